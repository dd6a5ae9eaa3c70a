//! The correlator: matches in, firings of correlation rules out.
//!
//! In: events in order of commit with the rules they match. Out: [`CorrelationMatch`]es, and which of those
//! before do not hold any more ([`Withdrawn`]). Windows slide in event time; an event exactly `timespan` older is
//! inside; an event without a group-by field is in no group. After firing, a group fires again only for a window
//! that holds no moment of the fired one.
//!
//! A firing is out as soon as the event that completes it is in: nothing waits for what may still come. What
//! comes late is put where it belongs and its group judged again. The promise (ADR 12): for the same events in
//! any order of arrival within the lateness of their sources, cut into any batches, what was fired less what was
//! withdrawn is the same once all is settled: that of the events in order of time (`naive` is the twin it is
//! compared with).
//!
//! Memory is bounded by [`Limits`]; what had to go for want of room is counted in [`Counters`]. Source: Sigma
//! correlation rules specification 2.1.0; where it is silent, decisions, section 5.

mod checkpoint;
mod clock;
mod coming;
mod condition;
mod fingerprint;
mod group;
mod groups;
mod hits;
mod limits;
mod ranked;
mod running;
mod scope;
mod sources;
mod sum;
mod units;
mod window;
pub mod naive;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_order;
#[cfg(test)]
mod tests_readings;

use std::sync::Arc;

use hashbrown::HashMap;
use nhatle_event::{Event, Field, Seq, Text, Timestamp};
use nhatle_rules::{CorrelationId, Referred, RuleSet};

use crate::detect::Match;
pub use checkpoint::RestoreError;
use clock::{Clocks, Lateness};
use coming::{Come, firing, join, named};
use condition::Condition;
pub use fingerprint::{Fingerprint, fingerprints};
use group::{Change, Edit, Moment, Part};
pub use limits::{Counters, Limits};
use running::{Coming, Found, Running};
use sources::{Happened, Shared};

/// How many events a firing names; of more it names the newest.
pub const FIRING_EVENTS_MAX: usize = 500;
/// Room for the key of a group; it grows where one is longer.
const KEY_BYTES: usize = 128;
/// After so many hits the sum of all hits is looked at.
const TOTAL_HITS: u64 = 4_096;

/// An event to correlate: its place in the order of commit (or in a file), and itself.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Its number; larger means later.
    pub seq: Seq,
    /// The event.
    pub event: &'a Event,
}

/// A firing of a correlation. Correlation, group and end name it: a group fires at most once at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelationMatch {
    /// The correlation.
    pub correlation: CorrelationId,
    /// Names and values of `group-by`, and last the organization unit where the group is of one.
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
    /// It was found more than [`Limits::lateness_ns`] after it happened.
    pub is_late: bool,
    /// The organization units of all its events, also those not in `events`, in order; none where one of them is of no
    /// unit, or they are of more than can be told apart.
    pub units: Vec<String>,
}

/// A firing that does not hold any more, because of events that came late. A firing of the same name that comes
/// out with it takes its place with other content; one that overlaps it, with another end.
#[derive(Clone, Debug, PartialEq)]
pub struct Withdrawn {
    /// The correlation.
    pub correlation: CorrelationId,
    /// Names and values of `group-by`.
    pub group: Vec<(String, String)>,
    /// Time of the last event.
    pub end: Timestamp,
}

/// Runs the correlations of a rule set. See the module.
pub struct Correlator {
    rules: Arc<RuleSet>,
    running: Vec<Option<Running>>,
    /// For each rule the correlations it feeds, in their order, with the place in `referred`.
    fed_by_rule: Vec<Box<[(u32, usize)]>>,
    /// The same for each correlation.
    fed_by_correlation: Vec<Vec<(u32, usize)>>,
    clocks: Clocks,
    shared: Shared,
    limits: Limits,
    counters: Counters,
    refused: Vec<(CorrelationId, &'static str)>,
    fingerprints: Vec<Fingerprint>,
    withdrawn: Vec<Withdrawn>,
    touches: u64,
    scratch: Scratch,
}

/// What is used again and again.
#[derive(Default)]
struct Scratch {
    /// For each correlation what happened to it.
    sources: Vec<Vec<(usize, What)>>,
    /// Correlations to which something happened.
    due: Vec<u32>,
    key: String,
    found: Vec<Found>,
    /// What fired or does not fire any more, in the order it was found.
    changes: Vec<Changed>,
}

/// Something a correlation refers to has happened.
#[derive(Clone, Copy)]
enum What {
    /// The event that is looked at matched.
    Event,
    /// This one of the changes.
    Change(usize),
}

struct Changed {
    correlation: u32,
    key: Text,
    source: u16,
    change: Change,
    /// When the event was received that brought it about.
    received: i64,
    position: usize,
}

/// The event that is looked at.
#[derive(Clone, Copy)]
struct Looked<'a> {
    arrived: Option<Arrived<'a>>,
    /// Its organization unit.
    unit: Option<&'a str>,
    source: u16,
    position: usize,
    received: i64,
}

impl Correlator {
    /// A correlator with nothing seen yet.
    pub fn new(rules: Arc<RuleSet>, limits: Limits) -> Correlator {
        let mut fed_by_rule: Vec<Vec<(u32, usize)>> = Vec::new();
        let mut fed_by_correlation = vec![Vec::new(); rules.correlations.len()];
        let (mut running, mut refused) = (Vec::new(), Vec::new());
        let (picks, shared) = sources::picks(&rules, limits.hash_seed);
        for ((number, correlation), picks) in (0u32..).zip(&rules.correlations).zip(picks) {
            match Condition::new(&correlation.kind, correlation.referred.len()) {
                Ok(condition) => running.push(Some(Running::new(correlation, condition, picks, limits))),
                Err(reason) => {
                    refused.push((CorrelationId(number), reason));
                    running.push(None);
                    continue;
                }
            }
            for (place, referred) in correlation.referred.iter().enumerate() {
                match referred {
                    Referred::Rule(rule) => {
                        let rule = rule.0 as usize;
                        fed_by_rule.resize_with(fed_by_rule.len().max(rule + 1), Vec::new);
                        fed_by_rule[rule].push((number, place));
                    }
                    // Order of compilation: the inner one stands before; anything else would be a circle.
                    Referred::Correlation(inner) if inner.0 < number => {
                        fed_by_correlation[inner.0 as usize].push((number, place));
                    }
                    Referred::Correlation(_) => {}
                }
            }
        }
        let sources = vec![Vec::new(); rules.correlations.len()];
        Correlator {
            fingerprints: fingerprints(&rules),
            rules,
            running,
            fed_by_rule: fed_by_rule.into_iter().map(Vec::into_boxed_slice).collect(),
            fed_by_correlation,
            clocks: Clocks::new(Lateness { min_ns: limits.lateness_ns, max_ns: limits.lateness_max_ns }),
            shared,
            limits,
            counters: Counters::default(),
            refused,
            withdrawn: Vec::new(),
            touches: 0,
            scratch: Scratch { sources, key: String::with_capacity(KEY_BYTES), ..Scratch::default() },
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

    /// How many hits are remembered.
    pub fn hit_count(&self) -> usize {
        self.running.iter().flatten().map(|running| running.hit_count).sum()
    }

    /// Takes over from the correlator before a change of rules: the groups of every correlation whose
    /// [`Fingerprint`] is the same in both, the clocks and the counters. What changed begins anew; `old` is left
    /// without what was taken. What was pushed before is kept by what changed only: it is how that was filled
    /// from history. Both need the same [`Limits`]. Returns how many correlations went on.
    pub fn adopt(&mut self, old: &mut Correlator) -> usize {
        self.counters = old.counters;
        self.clocks = old.clocks.clone();
        self.shared.seed = old.shared.seed;
        let own = std::mem::replace(&mut self.shared.units, old.shared.units.clone());
        let numbers: Vec<u16> = own.sets().iter().map(|set| self.shared.units.insert(set.clone())).collect();
        let mut kept = 0;
        for (running, fingerprint) in self.running.iter_mut().zip(&self.fingerprints) {
            let Some(running) = running else { continue };
            let place = old.fingerprints.iter().position(|known| known == fingerprint);
            if let Some(mut before) = place.and_then(|place| old.running.get_mut(place)?.take()) {
                // Where values are found can depend on correlations around it.
                before.picks = running.picks.clone();
                *running = before;
                kept += 1;
            } else {
                // Numbers of sources are those of the clocks taken over; the floor of all holds for any.
                running.groups.values_mut().for_each(|group| {
                    group.source = clock::MANY;
                    group.renumber(&numbers);
                });
            }
        }
        kept
    }

    /// Takes a batch with its matches, in order of position as [`Detector`](crate::detect::Detector) gives
    /// them, and returns what fired, also of correlations that only feed others. [`Correlator::withdrawn`] says
    /// what does not hold any more; it happened before.
    pub fn push(&mut self, batch: &[Arrived<'_>], matches: &[Match]) -> Vec<CorrelationMatch> {
        self.withdrawn.clear();
        if self.rules.correlations.is_empty() {
            return Vec::new();
        }
        for matches in matches.chunk_by(|left, right| left.position == right.position) {
            let Some(first) = matches.first() else { continue };
            let fed = self.fed_by_rule.get(first.rule.0 as usize);
            let is_single = matches.len() == 1;
            match (fed, batch.get(first.position)) {
                (None, _) if is_single => {}
                (Some(fed), _) if is_single && fed.is_empty() => {}
                (Some(fed), Some(arrived)) if is_single && fed.len() == 1 => {
                    let fed = fed[0];
                    self.push_single(*arrived, first.position, fed);
                }
                (_, Some(arrived)) => self.push_event(*arrived, first.position, matches),
                (_, None) => {}
            }
        }
        self.finish()
    }

    /// Puts everything late that waits in its place, at whatever cost, and returns what fired. `position` is that
    /// of the firings.
    pub fn settle(&mut self, position: usize) -> Vec<CorrelationMatch> {
        self.withdrawn.clear();
        let looked = Looked { arrived: None, unit: None, source: clock::MANY, position, received: self.clocks.now };
        for number in 0..self.running.len() {
            if let Some(running) = &mut self.running[number] {
                while running.settle_one(&self.clocks, &mut self.counters, &mut self.scratch.found) {}
            }
            self.hand_on(number, looked);
            // Outer ones stand behind: their turn comes.
            while let Some(due) = self.scratch.due.pop() {
                self.run_one(due as usize, looked);
            }
        }
        self.finish()
    }

    /// Whether nothing late waits.
    pub fn is_settled(&self) -> bool {
        self.running.iter().flatten().all(|running| running.pending.is_empty())
    }

    /// What the last [`Correlator::push`] or [`Correlator::settle`] took back of what was returned before it.
    pub fn withdrawn(&self) -> &[Withdrawn] {
        &self.withdrawn
    }

    /// An event that one rule matched, which feeds one correlation: nearly all are.
    fn push_single(&mut self, arrived: Arrived<'_>, position: usize, (number, place): (u32, usize)) {
        let source = self.clocks.note(arrived.event);
        let looked = Looked::at(arrived, source, position);
        let is_plain = |running: &&mut Running| !running.picks.is_carrying && running.pending.is_empty();
        match self.running.get_mut(number as usize).and_then(Option::as_mut).filter(is_plain) {
            Some(running) => {
                let happened = Happened::Event(arrived.event, looked.unit);
                let key = &mut self.scratch.key;
                if running.picks.key(happened, place, key)
                    && let Some(weight) = running.picks.weight(happened, place, &mut self.shared)
                {
                    let at = (key.as_str(), source, (arrived.event.timestamp.0, arrived.seq.0));
                    let counted = (weight, self.shared.units.number(looked.unit));
                    running.push_event(&self.clocks, &mut self.counters, at, counted, &mut self.scratch.found);
                    if !running.pending.is_empty() {
                        running.work(&self.clocks, &mut self.counters, &mut self.scratch.found);
                    }
                }
                self.hand_on(number as usize, looked);
            }
            None => self.scratch.happens(number, place, What::Event),
        }
        self.run_due(looked);
    }

    fn push_event(&mut self, arrived: Arrived<'_>, position: usize, matches: &[Match]) {
        for found in matches {
            for (correlation, place) in self.fed_by_rule.get(found.rule.0 as usize).into_iter().flatten() {
                self.scratch.happens(*correlation, *place, What::Event);
            }
        }
        if self.scratch.due.is_empty() {
            return;
        }
        let source = self.clocks.note(arrived.event);
        let looked = Looked::at(arrived, source, position);
        self.run_due(looked);
    }

    /// Runs the correlations to which something happened, in their order, until nothing follows from it.
    fn run_due(&mut self, looked: Looked<'_>) {
        while let Some(next) = self.scratch.due.iter().min().copied() {
            self.scratch.due.retain(|due| *due != next);
            self.run_one(next as usize, looked);
        }
        self.touches += 1;
        if self.touches.is_multiple_of(TOTAL_HITS) {
            self.bound_total();
        }
    }

    /// Counts what happened to one correlation, and hands on what comes of it.
    fn run_one(&mut self, number: usize, looked: Looked<'_>) {
        let Some(sources) = self.scratch.sources.get_mut(number) else { return };
        let mut sources = std::mem::take(sources);
        if let Some(Some(running)) = self.running.get_mut(number) {
            match (sources.as_slice(), looked.arrived) {
                ([(place, What::Event)], Some(arrived)) if !running.picks.is_carrying => {
                    let happened = Happened::Event(arrived.event, looked.unit);
                    let key = &mut self.scratch.key;
                    if running.picks.key(happened, *place, key)
                        && let Some(weight) = running.picks.weight(happened, *place, &mut self.shared)
                    {
                        let at = (key.as_str(), looked.source, (arrived.event.timestamp.0, arrived.seq.0));
                        let found = &mut self.scratch.found;
                        let counted = (weight, self.shared.units.number(looked.unit));
                        running.push_event(&self.clocks, &mut self.counters, at, counted, found);
                    }
                }
                _ => self.push_sources(number, &sources, looked),
            }
        }
        if let Some(Some(running)) = self.running.get_mut(number) {
            running.work(&self.clocks, &mut self.counters, &mut self.scratch.found);
        }
        sources.clear();
        self.scratch.sources[number] = sources;
        self.hand_on(number, looked);
    }

    /// Several things that happened at once, or firings of inner correlations.
    fn push_sources(&mut self, number: usize, sources: &[(usize, What)], looked: Looked<'_>) {
        let Some(Some(running)) = self.running.get_mut(number) else { return };
        let mut hits: Vec<Come> = Vec::new();
        for (place, what) in sources {
            let (happened, moment, source, origin) = match what {
                What::Event => {
                    let Some(arrived) = looked.arrived else { continue };
                    let moment = (arrived.event.timestamp.0, arrived.seq.0);
                    (Happened::Event(arrived.event, looked.unit), moment, looked.source, (0, Text::default()))
                }
                What::Change(change) => {
                    let Some(changed) = self.scratch.changes.get(*change) else { continue };
                    let (moment, carried) = match &changed.change {
                        Change::Fired(fired) => (fired.moment, &fired.carried),
                        Change::Withdrawn(moment, carried) => (*moment, carried),
                    };
                    let origin = self.fingerprints[changed.correlation as usize].short();
                    let origin = (origin, changed.key.clone());
                    (Happened::Inner(&changed.key, carried.as_ref()), moment, changed.source, origin)
                }
            };
            if !running.picks.key(happened, *place, &mut self.scratch.key) {
                continue;
            }
            let change = match what {
                What::Event => None,
                What::Change(change) => self.scratch.changes.get(*change).map(|changed| &changed.change),
            };
            if let Some(Change::Withdrawn(..)) = change {
                let key = self.scratch.key.clone();
                hits.push(Come { key, source, moment, coming: Coming::Edit(Edit::Take(origin)) });
                continue;
            }
            let Some(weight) = running.picks.weight(happened, *place, &mut self.shared) else { continue };
            let events = match change {
                Some(Change::Fired(fired)) => Some(fired.events.as_slice().into()),
                _ => None,
            };
            let carried = match happened {
                Happened::Event(event, _) if running.picks.is_carrying => Some(self.shared.carried(event)),
                Happened::Event(..) => None,
                Happened::Inner(_, carried) => carried.cloned(),
            };
            let units = match (happened, change) {
                (Happened::Event(_, unit), _) => self.shared.units.number(unit),
                (_, Some(Change::Fired(fired))) => self.shared.units.joined(&fired.units),
                _ => units::CITY,
            };
            let part = Part { origin, weight, events, carried, units };
            join(&mut hits, (&self.scratch.key, source, moment), part, running.frame.joins_weights);
        }
        for Come { key, source, moment, coming } in hits {
            let at = (key.as_str(), source, moment);
            running.push(&self.clocks, &mut self.counters, at, coming, &mut self.scratch.found);
        }
    }

    /// Tells the correlations that refer to this one what it found.
    fn hand_on(&mut self, number: usize, looked: Looked<'_>) {
        let correlation = u32::try_from(number).unwrap_or(u32::MAX);
        if self.scratch.found.is_empty() {
            return;
        }
        let mut found = std::mem::take(&mut self.scratch.found);
        for Found { key, source, change } in found.drain(..) {
            let place_of_change = self.scratch.changes.len();
            let Looked { position, received, .. } = looked;
            self.scratch.changes.push(Changed { correlation, key, source, change, received, position });
            for (outer, place) in self.fed_by_correlation.get(number).into_iter().flatten() {
                self.scratch.happens(*outer, *place, What::Change(place_of_change));
            }
        }
        self.scratch.found = found;
    }

    /// What comes out of a push: firings that were taken back in it never were.
    fn finish(&mut self) -> Vec<CorrelationMatch> {
        let mut firings: Vec<Option<CorrelationMatch>> = Vec::new();
        let changes = std::mem::take(&mut self.scratch.changes);
        let is_plain = changes.iter().all(|changed| matches!(changed.change, Change::Fired(_)));
        let mut places: HashMap<(u32, Text, Moment), usize> = HashMap::new();
        for changed in changes {
            let Some(correlation) = self.rules.correlations.get(changed.correlation as usize) else { continue };
            let id = CorrelationId(changed.correlation);
            match changed.change {
                Change::Fired(fired) => {
                    if !is_plain {
                        places.insert((changed.correlation, changed.key.clone(), fired.moment), firings.len());
                    }
                    let is_late = self.limits.lateness_ns < changed.received.saturating_sub(fired.moment.0);
                    let position = changed.position;
                    let units = self.shared.units.joined(&fired.units);
                    let found = firing(correlation, id, &changed.key, fired, (position, is_late));
                    firings.push(Some(CorrelationMatch { units: self.shared.units.names(units), ..found }));
                }
                Change::Withdrawn(moment, _) => {
                    match places.remove(&(changed.correlation, changed.key.clone(), moment)) {
                        Some(place) => firings[place] = None,
                        None => self.withdrawn.push(Withdrawn {
                            correlation: id,
                            group: named(correlation, &changed.key),
                            end: Timestamp(moment.0),
                        }),
                    }
                }
            }
        }
        firings.into_iter().flatten().collect()
    }

    /// Where all correlations together hold too much, the largest gives way.
    fn bound_total(&mut self) {
        let count = self.hit_count();
        let Some(surplus) = count.checked_sub(self.limits.total_hits_max).filter(|surplus| 0 < *surplus) else {
            return;
        };
        let largest = self.running.iter_mut().flatten().max_by_key(|running| running.hit_count);
        if let Some(running) = largest {
            let room = running.hit_count.saturating_sub(surplus + running.hit_count / 8);
            running.make_room(&self.clocks, &mut self.counters, room);
        }
    }
}

impl<'a> Looked<'a> {
    fn at(arrived: Arrived<'a>, source: u16, position: usize) -> Looked<'a> {
        let unit = arrived.event.text(Field::NHATLE_UNIT).filter(|unit| !unit.is_empty());
        Looked { arrived: Some(arrived), unit, source, position, received: arrived.event.received.0 }
    }
}

impl Scratch {
    fn happens(&mut self, correlation: u32, place: usize, what: What) {
        if let Some(sources) = self.sources.get_mut(correlation as usize) {
            sources.push((place, what));
            if !self.due.contains(&correlation) {
                self.due.push(correlation);
            }
        }
    }
}
