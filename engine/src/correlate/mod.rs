//! The correlator: matches in, firings of correlation rules out.
//!
//! In: events in order of commit with the rules they match. Out: [`CorrelationMatch`]es in the order of the
//! events that completed them, then of correlations. Windows slide in event time; an event exactly
//! `timespan` older is inside; an event without a group-by field is in no group; a late event is put where
//! it belongs, up to [`Limits::lateness_ns`]. After firing, a group fires again only for a window that holds
//! no moment of the fired one. The same events in the same order give the same firings, however they are
//! batched (`naive` is the twin it is compared with).
//!
//! Memory is bounded by [`Limits`]; what had to go for want of room is counted in [`Counters`].
//! Source: Sigma correlation rules specification 2.1.0; where it is silent, decisions, section 5.

mod fingerprint;
mod group;
mod sources;
mod window;
pub mod naive;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use nhatle_event::{Event, Seq, Text, Timestamp};
use nhatle_rules::{Correlation, CorrelationId, Referred, RuleSet};

use crate::detect::Match;
pub use fingerprint::{Fingerprint, fingerprints};
use group::{Fired, Frame, Group, Outcome};
use sources::{Source, gather};
use window::{Condition, Hit};

/// How many events a firing names; of more it names the newest.
pub const FIRING_EVENTS_MAX: usize = 500;
/// After so many hits the groups of a correlation that are over are let go.
const SWEEP_HITS: u64 = 16_384;

/// How much a correlator remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups of one correlation; past it the eighth that was touched longest ago goes.
    pub groups_max: usize,
    /// Hits of one group; past it the oldest go.
    pub hits_max: usize,
    /// Hits of one correlation; past it the groups touched longest ago go.
    pub correlation_hits_max: usize,
    /// How late an event may be, measured in its group.
    pub lateness_ns: i64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { groups_max: 100_000, hits_max: 10_000, correlation_hits_max: 500_000, lateness_ns: 600_000_000_000 }
    }
}

/// What a correlator could not keep or take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Hits that came later than the limit.
    pub too_late: u64,
    /// Hits dropped from groups that were full.
    pub hits_dropped: u64,
    /// Groups dropped while they still counted.
    pub groups_dropped: u64,
}

/// An event to correlate: its place in the order of commit (or in a file), and itself.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Its number; larger means later.
    pub seq: Seq,
    /// The event.
    pub event: &'a Event,
}

/// A firing of a correlation.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelationMatch {
    /// The correlation.
    pub correlation: CorrelationId,
    /// Names and values of `group-by`.
    pub group: Vec<(String, String)>,
    /// The events in the window, in time order; the last one completes it. At most [`FIRING_EVENTS_MAX`].
    pub events: Vec<Seq>,
    /// Time of the first of them.
    pub start: Timestamp,
    /// Time of the last of them.
    pub end: Timestamp,
    /// How many hits the window holds: events, or firings of an inner correlation.
    pub count: u64,
    /// The number the condition was judged by: count, distinct values or rules, sum, average, …
    pub value: f64,
    /// Place in the batch of the event whose arrival made it fire.
    pub position: usize,
}

/// Runs the correlations of a rule set. See the module.
pub struct Correlator {
    rules: Arc<RuleSet>,
    running: Vec<Option<Running>>,
    /// For each rule the correlations it feeds, with the place in `referred`.
    fed_by_rule: HashMap<u32, Vec<(u32, usize)>>,
    /// The same for each correlation.
    fed_by_correlation: Vec<Vec<(u32, usize)>>,
    counters: Counters,
    refused: Vec<(CorrelationId, &'static str)>,
    sources: Vec<Vec<Source>>,
    fingerprints: Vec<Fingerprint>,
}

/// One correlation with its groups.
struct Running {
    frame: Frame,
    groups: HashMap<Vec<Text>, Group, RandomState>,
    hit_count: usize,
    touches: u64,
    watermark: Timestamp,
    limits: Limits,
}

impl Correlator {
    /// A correlator with nothing seen yet.
    pub fn new(rules: Arc<RuleSet>, limits: Limits) -> Correlator {
        let mut fed_by_rule: HashMap<u32, Vec<(u32, usize)>> = HashMap::new();
        let mut fed_by_correlation = vec![Vec::new(); rules.correlations.len()];
        let (mut running, mut refused) = (Vec::new(), Vec::new());
        for (number, correlation) in (0u32..).zip(&rules.correlations) {
            for (place, referred) in correlation.referred.iter().enumerate() {
                match referred {
                    Referred::Rule(rule) => fed_by_rule.entry(rule.0).or_default().push((number, place)),
                    // Order of compilation: the inner one stands before; anything else would be a circle.
                    Referred::Correlation(inner) if inner.0 < number => {
                        fed_by_correlation[inner.0 as usize].push((number, place));
                    }
                    Referred::Correlation(_) => {}
                }
            }
            match Condition::new(&correlation.kind, correlation.referred.len()) {
                Ok(condition) => running.push(Some(Running::new(correlation, condition, limits))),
                Err(reason) => {
                    refused.push((CorrelationId(number), reason));
                    running.push(None);
                }
            }
        }
        let sources = vec![Vec::new(); rules.correlations.len()];
        Correlator {
            fingerprints: fingerprints(&rules),
            rules,
            running,
            fed_by_rule,
            fed_by_correlation,
            counters: Counters::default(),
            refused,
            sources,
        }
    }

    /// What could not be kept or taken so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Correlations that are not run, and why.
    pub fn refused(&self) -> &[(CorrelationId, &'static str)] {
        &self.refused
    }

    /// How many groups are remembered.
    pub fn group_count(&self) -> usize {
        self.running.iter().flatten().map(|running| running.groups.len()).sum()
    }

    /// Takes over from the correlator before a change of rules: the groups of every correlation whose
    /// [`Fingerprint`] is the same in both, and the counters. What changed begins anew; `old` is left without
    /// what was taken. Returns how many correlations went on.
    pub fn adopt(&mut self, old: &mut Correlator) -> usize {
        self.counters = old.counters;
        let mut kept = 0;
        for (running, fingerprint) in self.running.iter_mut().zip(&self.fingerprints) {
            let Some(running) = running else { continue };
            let place = old.fingerprints.iter().position(|known| known == fingerprint);
            if let Some(before) = place.and_then(|place| old.running.get_mut(place)?.take()) {
                *running = before;
                kept += 1;
            }
        }
        kept
    }

    /// Takes a batch with its matches, in order of position as [`Detector`](crate::detect::Detector) gives
    /// them, and returns what fired, also of correlations that only feed others.
    pub fn push(&mut self, batch: &[Arrived<'_>], matches: &[Match]) -> Vec<CorrelationMatch> {
        let mut firings = Vec::new();
        if self.rules.correlations.is_empty() {
            return firings;
        }
        for matches in matches.chunk_by(|left, right| left.position == right.position) {
            let position = matches.first().map_or(0, |first| first.position);
            if let Some(arrived) = batch.get(position) {
                self.push_event(*arrived, position, matches, &mut firings);
            }
        }
        firings
    }

    fn push_event(
        &mut self,
        arrived: Arrived<'_>,
        position: usize,
        matches: &[Match],
        firings: &mut Vec<CorrelationMatch>,
    ) {
        let mut due = BTreeSet::new();
        for found in matches {
            for (correlation, place) in self.fed_by_rule.get(&found.rule.0).into_iter().flatten() {
                self.sources[*correlation as usize].push(Source { place: *place, firing: None });
                due.insert(*correlation);
            }
        }
        while let Some(number) = due.pop_first() {
            let mut sources = std::mem::take(&mut self.sources[number as usize]);
            let first = firings.len();
            self.push_sources(number, arrived, position, &sources, firings);
            sources.clear();
            self.sources[number as usize] = sources;
            for (firing, fired) in firings.iter().enumerate().skip(first) {
                for (outer, place) in self.fed_by_correlation.get(fired.correlation.0 as usize).into_iter().flatten() {
                    self.sources[*outer as usize].push(Source { place: *place, firing: Some(firing) });
                    due.insert(*outer);
                }
            }
        }
    }

    fn push_sources(
        &mut self,
        number: u32,
        arrived: Arrived<'_>,
        position: usize,
        sources: &[Source],
        firings: &mut Vec<CorrelationMatch>,
    ) {
        let rules = self.rules.clone();
        let (Some(correlation), Some(Some(running))) =
            (rules.correlations.get(number as usize), self.running.get_mut(number as usize))
        else {
            return;
        };
        for (key, hit) in gather(correlation, arrived, sources, firings) {
            let happened = arrived.event.timestamp.min(arrived.event.received);
            let fired = running.push(&key, hit, happened, &mut self.counters);
            firings.extend(
                fired.into_iter().map(|fired| firing(correlation, CorrelationId(number), &key, &fired, position)),
            );
        }
    }
}

impl Running {
    fn new(correlation: &Correlation, condition: Condition, limits: Limits) -> Running {
        let frame = Frame {
            hits_max: hits_needed(&condition).saturating_mul(2).clamp(limits.hits_max, limits.correlation_hits_max),
            condition,
            timespan_ns: correlation.timespan_ns.max(0),
            lateness_ns: limits.lateness_ns,
        };
        Running { frame, groups: HashMap::default(), hit_count: 0, touches: 0, watermark: Timestamp::MIN, limits }
    }

    fn push(&mut self, key: &[Text], hit: Hit, happened: Timestamp, counters: &mut Counters) -> Vec<Fired> {
        self.touches += 1;
        self.watermark = self.watermark.max(happened);
        if !self.groups.contains_key(key) {
            self.groups.insert(key.to_vec(), Group::default());
        }
        let Some(group) = self.groups.get_mut(key) else { return Vec::new() };
        group.touched = self.touches;
        let before = group.len();
        let (outcome, dropped) = group.push(&self.frame, hit);
        self.hit_count = (self.hit_count + group.len()).saturating_sub(before);
        counters.hits_dropped += u64::try_from(dropped).unwrap_or(0);
        if self.touches.is_multiple_of(SWEEP_HITS) {
            self.sweep();
        }
        if self.limits.groups_max < self.groups.len() || self.limits.correlation_hits_max < self.hit_count {
            self.evict(counters);
        }
        match outcome {
            Outcome::Counted(fired) => fired,
            Outcome::TooLate => {
                counters.too_late += 1;
                Vec::new()
            }
        }
    }

    /// Lets go of groups no event can complete any more.
    fn sweep(&mut self) {
        let kept_ns = self.frame.timespan_ns.saturating_add(self.frame.lateness_ns);
        let watermark = self.watermark;
        self.groups.retain(|_, group| watermark.since(group.newest()) <= kept_ns);
        self.hit_count = self.groups.values().map(Group::len).sum();
    }

    /// Makes room: first what is over, then the eighth of the groups that was touched longest ago.
    fn evict(&mut self, counters: &mut Counters) {
        self.sweep();
        let room = self.limits.groups_max - self.limits.groups_max / 8;
        let hits_room = self.limits.correlation_hits_max - self.limits.correlation_hits_max / 8;
        if self.groups.len() <= room && self.hit_count <= hits_room {
            return;
        }
        let mut touched: Vec<(u64, usize)> = self.groups.values().map(|group| (group.touched, group.len())).collect();
        touched.sort_unstable_by(|left, right| right.cmp(left));
        let mut hits = 0;
        let fits = touched.iter().take(room).take_while(|(_, length)| {
            hits += length;
            hits <= hits_room
        });
        // The group just touched always stays.
        let oldest_kept = fits.last().map_or(self.touches, |(touched, _)| *touched);
        let before = self.groups.len();
        self.groups.retain(|_, group| oldest_kept <= group.touched);
        counters.groups_dropped += u64::try_from(before - self.groups.len()).unwrap_or(0);
        self.hit_count = self.groups.values().map(Group::len).sum();
    }
}

/// How many hits a window must hold to meet a condition on their number.
fn hits_needed(condition: &Condition) -> usize {
    let (Condition::Count(threshold) | Condition::Distinct(threshold)) = condition else { return 0 };
    let largest = threshold.0.iter().map(|(_, limit)| *limit).fold(0.0, f64::max);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a large number saturates")]
    let needed = largest.ceil() as usize;
    needed.saturating_add(1)
}

fn firing(
    correlation: &Correlation,
    number: CorrelationId,
    key: &[Text],
    fired: &Fired,
    position: usize,
) -> CorrelationMatch {
    let names = correlation.group_by.iter().map(|entry| entry.name.clone());
    let mut events = group::events_of(&fired.hits);
    let surplus = events.len().saturating_sub(FIRING_EVENTS_MAX);
    events.drain(..surplus);
    let at = |hit: Option<&Hit>| hit.map_or(Timestamp::default(), |hit| hit.at);
    CorrelationMatch {
        correlation: number,
        group: names.zip(key.iter().map(ToString::to_string)).collect(),
        events,
        start: at(fired.hits.first()),
        end: at(fired.hits.last()),
        count: u64::try_from(fired.hits.len()).unwrap_or(u64::MAX),
        value: fired.value,
        position,
    }
}
