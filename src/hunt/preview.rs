//! What a rule would have found in the past days: hits, alerts a day, where, a sample, and what people said of the
//! alerts those events are in.
//!
//! In: a hunter for one rule, the store. Out: a [`Preview`], given on after each day that was looked at, the newest
//! day first, so that a budget that runs out leaves the newest days whole. What is counted is what the stream would
//! have found; expected alerts are counted after exceptions and suppression. Bounded by time, rows and hits.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use nhatle_engine::alert::{Alert, Suppressor};
use nhatle_engine::correlate::CorrelationMatch;
use nhatle_engine::exception::Subject;
use nhatle_engine::incident::Disposition;
use nhatle_event::{Field, Seq, Stored, Timestamp, Value};
use nhatle_storage::{Dataset, ReadError, Snapshot};

use super::{Detail, Hunter, Looked, Pace, Progress, Range};
use crate::pipeline::{Shared, findings};

/// How many days back a preview looks.
pub const DAYS: u32 = 30;
/// How long one preview may take.
pub const TIME_MAX: Duration = Duration::from_secs(30);
/// How many events one preview reads.
pub const ROWS_MAX: u64 = 3_000_000;
/// How many hits one preview counts.
pub const HITS_MAX: u64 = 200_000;
/// How many hits are shown.
const SAMPLE: usize = 10;
/// How many values of a kind are told apart; the rest is not counted by value.
const VALUES_MAX: usize = 10_000;
const DAY_NS: i64 = 86_400_000_000_000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// The time asked about.
    pub from: Timestamp,
    /// See `from`.
    pub to: Timestamp,
    /// Everything from this moment on was looked at.
    pub looked_from: Timestamp,
    /// Events of the time so far, and how many of them were read.
    pub progress: Progress,
    /// Matches, or firings of a correlation.
    pub hits: u64,
    /// Alerts that would have been raised.
    pub alerts: u64,
    /// Hits that exceptions hide.
    pub hidden: u64,
    /// Beginning of each day and its hits, oldest first.
    pub days: Vec<(Timestamp, u64)>,
    /// Units by hits, the most first.
    pub units: Vec<(String, u64)>,
    /// Hosts by hits, the most first.
    pub hosts: Vec<(String, u64)>,
    /// The newest hits.
    pub sample: Vec<Stored>,
    /// When the newest hit happened.
    pub last_hit: Option<Timestamp>,
    /// Hits whose event is in an alert that was a real attack.
    pub in_true: u64,
    /// Hits whose event is in an alert that was closed as false.
    pub in_false: u64,
    /// It came to its end.
    pub is_whole: bool,
    /// The newest event it knows.
    pub last_seq: Seq,
    /// When it was made.
    pub at: Timestamp,
}

impl Preview {
    /// Nothing looked at yet.
    pub fn begin(now: Timestamp, zone_offset_s: i32) -> Preview {
        let zone_ns = i64::from(zone_offset_s) * 1_000_000_000;
        let local = now.0.saturating_add(zone_ns);
        let today = Timestamp(local - local.rem_euclid(DAY_NS) - zone_ns);
        let first = today.plus_nanos(-DAY_NS * i64::from(DAYS - 1));
        let days = (0..i64::from(DAYS)).map(|day| (first.plus_nanos(day * DAY_NS), 0)).collect();
        let to = today.plus_nanos(DAY_NS);
        Preview { from: first, to, looked_from: to, days, at: now, ..Preview::default() }
    }

    /// How many days were looked at, for alerts a day; the day that is not over counts by its part.
    pub fn days_looked(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a number of days")]
        let days = self.at.since(self.looked_from) as f64 / DAY_NS as f64;
        days.max(0.0)
    }
}

/// Whose hits are counted: those within these units, or all.
pub type Limit = Option<Vec<String>>;

/// Looks day by day, the newest first. `told` gets what is known so far, and says when to stop.
///
/// # Errors
/// A segment cannot be read, or is damaged.
pub fn run(
    shared: &Shared,
    hunter: &Hunter,
    (rule_id, limit): (&str, &Limit),
    mut preview: Preview,
    breathe: &mut dyn FnMut() -> ControlFlow<()>,
    told: &mut dyn FnMut(&Preview),
) -> Result<Preview, ReadError> {
    let snapshot = shared.store.snapshot();
    preview.last_seq = snapshot.last_seq();
    let oldest = oldest(&snapshot);
    let mut tally = Tally::new(shared, hunter, rule_id, limit);
    let began = Instant::now();
    for day in (0..preview.days.len()).rev() {
        let from = preview.days[day].0;
        let range = Range { from, to: from.plus_nanos(DAY_NS) };
        if range.to <= oldest {
            // Older than anything stored: nothing to look at, nothing to divide by.
            break;
        }
        let before = preview.progress;
        let mut watch = |progress: Progress| {
            let is_over = TIME_MAX < began.elapsed() || ROWS_MAX < before.read + progress.read;
            if is_over { ControlFlow::Break(()) } else { breathe() }
        };
        let found = tally.day(&snapshot, range, &mut watch)?;
        let Some((hits, progress)) = found else { return Ok(tally.put_into(preview, false)) };
        preview.progress += progress;
        preview.days[day].1 = hits;
        preview.looked_from = from.max(oldest.min(preview.at));
        if HITS_MAX <= tally.hits {
            return Ok(tally.put_into(preview, false));
        }
        told(&tally.put_into(preview.clone(), false));
    }
    Ok(tally.put_into(preview, true))
}

/// When the oldest stored event happened.
fn oldest(snapshot: &Snapshot) -> Timestamp {
    let sealed = snapshot.segments(Dataset::Events).map(|segment| segment.meta().timestamp_min).min();
    let recent = snapshot.recent(Dataset::Events).map(|row| row.timestamp()).min();
    sealed.into_iter().chain(recent).min().unwrap_or(Timestamp::MAX)
}

/// The events of alerts that people closed as a real attack (`true`) or as false.
fn judged(shared: &Shared) -> HashMap<u64, bool> {
    let book = shared.alerts();
    let mut known = HashMap::new();
    shared.registry.read(|state| {
        for alert in book.newest_first() {
            let verdict = state.triage.get(alert.id.as_str()).and_then(|triage| triage.disposition);
            let is_true = match verdict {
                Some(Disposition::TruePositive) => true,
                Some(Disposition::FalsePositive) => false,
                _ => continue,
            };
            for event in &alert.events {
                let known = known.entry(*event).or_insert(is_true);
                *known |= is_true;
            }
        }
    });
    known
}

/// What was counted so far.
struct Tally<'a> {
    shared: &'a Shared,
    hunter: &'a Hunter,
    rule_id: &'a str,
    limit: &'a Limit,
    known: HashMap<u64, bool>,
    suppressor: Suppressor,
    hits: u64,
    alerts: u64,
    hidden: u64,
    units: BTreeMap<String, u64>,
    hosts: BTreeMap<String, u64>,
    sample: Vec<Stored>,
    in_true: u64,
    in_false: u64,
}

/// A hit of a day: the alert it would be, if it alerts, and the event (of a correlation the last).
struct Hit {
    alert: Option<Alert>,
    stored: Stored,
    events: Vec<u64>,
}

impl<'a> Tally<'a> {
    fn new(shared: &'a Shared, hunter: &'a Hunter, rule_id: &'a str, limit: &'a Limit) -> Tally<'a> {
        Tally {
            shared,
            hunter,
            rule_id,
            limit,
            known: judged(shared),
            suppressor: Suppressor::new(),
            hits: 0,
            alerts: 0,
            hidden: 0,
            units: BTreeMap::new(),
            hosts: BTreeMap::new(),
            sample: Vec::new(),
            in_true: 0,
            in_false: 0,
        }
    }

    /// Looks at one day; `None` where the watch said stop: then nothing of the day counts.
    fn day(
        &mut self,
        snapshot: &Snapshot,
        range: Range,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Option<(u64, Progress)>, ReadError> {
        let rules = self.hunter.rules().clone();
        let mut found: Vec<Hit> = Vec::new();
        let room = usize::try_from(HITS_MAX - self.hits.min(HITS_MAX)).unwrap_or(usize::MAX);
        let is_correlation = rules.correlations.iter().any(|correlation| correlation.meta.id == self.rule_id);
        let ended = self.hunter.run(snapshot, range, Detail::Whole, Pace::Guest(watch), |looked: Looked<'_>| {
            for one in looked.matches.iter().filter(|_| !is_correlation) {
                let rule = rules.rules.get(one.rule.0 as usize).filter(|rule| rule.meta.id == self.rule_id);
                let Some((_, stored)) = rule.zip(looked.events.get(one.position)) else { continue };
                let alert = findings::of_match(&rules, one, stored);
                found.push(Hit { alert, events: vec![stored.seq.0], stored: stored.clone() });
            }
            if found.len() < room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if ended.is_stopped && found.len() < room {
            return Ok(None);
        }
        let fired = ended.fired.iter().filter(|one| {
            let correlation = rules.correlations.get(one.correlation.0 as usize);
            correlation.is_some_and(|correlation| correlation.meta.id == self.rule_id)
        });
        let fired: Vec<CorrelationMatch> = fired.cloned().collect();
        let mut samples = findings::Samples::default();
        for fired in fired.chunks(findings::FIRINGS_MAX) {
            samples.read(&rules, fired, &[], snapshot);
            for one in fired {
                let made = findings::of_firing(&rules, one, |seq| samples.find(&[], seq));
                let Some((alert, stored)) = made else { continue };
                found.push(Hit { events: alert.events.clone(), alert: Some(alert), stored: stored.clone() });
            }
        }
        found.sort_by_key(|hit| (hit.stored.event.timestamp, hit.stored.seq));
        let before = self.hits;
        found.into_iter().for_each(|hit| self.count(hit));
        self.sample.sort_by_key(|stored| std::cmp::Reverse((stored.event.timestamp, stored.seq)));
        self.sample.truncate(SAMPLE);
        Ok(Some((self.hits - before, ended.progress)))
    }

    fn count(&mut self, hit: Hit) {
        let units = texts(&hit.stored, Field::NHATLE_UNIT);
        if let Some(limit) = self.limit
            && (units.is_empty() || !units.iter().all(|unit| limit.contains(unit)))
        {
            return;
        }
        self.hits += 1;
        units.into_iter().for_each(|unit| add(&mut self.units, unit));
        texts(&hit.stored, Field::HOST_NAME).into_iter().for_each(|host| add(&mut self.hosts, host));
        let mut said = hit.events.iter().filter_map(|event| self.known.get(event));
        match said.clone().any(|is_true| *is_true) {
            true => self.in_true += 1,
            false => self.in_false += u64::from(said.next().is_some()),
        }
        if let Some(alert) = &hit.alert {
            let subject = Subject {
                rule_id: self.rule_id,
                event: &hit.stored.event,
                group: &alert.group,
                units: &alert.units,
                at: alert.timestamp(),
            };
            match self.shared.exceptions.hider().hides(&subject) {
                Some(_) => self.hidden += 1,
                None => self.alerts += u64::from(self.suppressor.admit(alert)),
            }
        }
        self.sample.push(hit.stored);
        if SAMPLE * 64 < self.sample.len() {
            // In order of time within a day: the newest stand last.
            self.sample.sort_by_key(|stored| std::cmp::Reverse((stored.event.timestamp, stored.seq)));
            self.sample.truncate(SAMPLE);
        }
    }

    fn put_into(&self, preview: Preview, is_whole: bool) -> Preview {
        Preview {
            hits: self.hits,
            alerts: self.alerts,
            hidden: self.hidden,
            units: top(&self.units),
            hosts: top(&self.hosts),
            last_hit: self.sample.first().map(|stored| stored.event.timestamp),
            sample: self.sample.clone(),
            in_true: self.in_true,
            in_false: self.in_false,
            is_whole,
            ..preview
        }
    }
}

fn texts(stored: &Stored, field: Field) -> Vec<String> {
    let values = stored.event.get(field).into_iter().flat_map(Value::each);
    values.filter_map(|value| value.text().map(String::from)).collect()
}

fn add(counts: &mut BTreeMap<String, u64>, value: String) {
    if counts.len() < VALUES_MAX || counts.contains_key(&value) {
        *counts.entry(value).or_default() += 1;
    }
}

fn top(counts: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut rows: Vec<(String, u64)> = counts.iter().map(|(value, count)| (value.clone(), *count)).collect();
    rows.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    rows.truncate(5);
    rows
}
