//! Looking back: new indicators in what was stored before they came (ADR 21).
//!
//! In: the register, which names the new indicators of each import; the store. Out: alerts with the time of the event,
//! marked as found in what is stored, and when all is looked through a change of the register that says what came of it.
//! An event is judged as it would have been at intake: the tables in force write their fields into it, and what rules say
//! of it then and did not say before becomes an alert, with the id the stream would have given it. So nothing is told
//! twice, and an indicator that is over, removed or never to match says nothing.
//!
//! One thread, one import at a time, oldest first, segment by segment in order of `Seq`. How far it is stands in the same
//! batch of the log as the alerts found up to there: after a crash it goes on behind them. It waits while detection is
//! behind. Failure: a segment that cannot be read is said and stepped over; what cannot be written is tried again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nhatle_collector::enrich::Tables;
use nhatle_collector::enrich::intel::fields::fields_of;
use nhatle_collector::enrich::intel::table::{Indicators, ListInfo, Never};
use nhatle_collector::enrich::intel::{Kind, list};
use nhatle_engine::alert::retro::Standing;
use nhatle_engine::alert::{Alert, Retro};
use nhatle_engine::detect::{Detector, Match};
use nhatle_engine::exception::Subject;
use nhatle_engine::reference::{Fresh, INTEL, ReferenceChange};
use nhatle_engine::register::AnyChange;
use nhatle_event::{Event, Field, Seq, Stored, Timestamp};
use nhatle_rules::RuleSet;
use nhatle_storage::query::sieve::{Held, Passing, Sieve};
use nhatle_storage::{Dataset, LiveSegment, ReadError, Row, Snapshot, WriteError};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::shelf::Shelf;
use crate::hunt::job;
use crate::pipeline::detect::ACTOR;
use crate::pipeline::{Shared, findings, publish};

/// The mark that says how far the look back is.
pub const MARK: &str = "lookback";
/// How many alerts one import may make; somebody has to look at them.
pub const ALERTS_MAX: u64 = 10_000;
/// How many rows are read together.
const ROWS: usize = 1_024;
/// How often it is looked whether there is something to do.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long it waits before it looks again whether detection is behind.
const BREATH: Duration = Duration::from_millis(20);
/// Detection is behind when so many events wait for it.
const BEHIND_EVENTS: u64 = 2_000;
/// Where nothing new is stored for so long, nothing is on its way that was converted with the tables before.
const QUIET_NS: i64 = 60_000_000_000;

/// How far a look back is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The file of the new indicators.
    pub sha256: String,
    /// When they came, nanoseconds: what was removed and comes again is looked for again.
    pub came_ns: i64,
    /// Everything up to here is looked at.
    pub done: u64,
    /// Events that were looked at, or that cannot match.
    pub events: u64,
    /// Events that hold one of the indicators.
    pub found: u64,
    /// Alerts that came of it.
    pub alerts: u64,
}

/// The look back on its way, for pages.
#[derive(Debug, Default)]
pub struct Running(Mutex<Option<(String, Progress, u64)>>);

impl Running {
    /// The list, how far, and the `Seq` it goes up to.
    pub fn now(&self) -> Option<(String, Progress, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: Option<(String, Progress, u64)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// One import to look back for.
struct Job {
    /// The name in the register.
    name: String,
    came: Timestamp,
    fresh: Fresh,
    /// The new indicators alone: what to look for. The tables in force decide.
    wanted: Arc<Indicators>,
    fields: Vec<Field>,
    sieve: Sieve,
}

/// Looks back whenever there is something to look for, until told to stop.
pub fn follow(shared: &Shared) {
    while shared.tables.wait(INTERVAL) {
        let Some((name, came, fresh)) = next(shared) else { continue };
        match job(shared, (&name, came), &fresh) {
            Ok(job) => run(shared, &job),
            Err(error) => {
                // It will not become readable; the list itself is in force.
                error!(%error, reference.name = name, "new indicators not read, not looked back for");
                end(shared, &name, &Progress { sha256: fresh.sha256, ..Progress::default() });
            }
        }
        shared.looking_back.set(None);
        shared.tick();
    }
}

/// The oldest import whose new indicators are in force and not looked for yet.
fn next(shared: &Shared) -> Option<(String, Timestamp, Fresh)> {
    let waiting = shared.registry.read(|state| {
        let of = |(name, one): (&String, &nhatle_engine::reference::Reference)| {
            let sha256 = one.file.as_ref()?.sha256.clone();
            let (at, fresh) = one.pending.first()?.clone();
            Some((at, name.clone(), fresh, sha256))
        };
        state.references.iter().filter_map(of).min_by_key(|(at, ..)| *at)
    });
    waiting
        .filter(|(_, name, _, sha256)| shared.tables.has(name, sha256))
        .map(|(came, name, fresh, _)| (name, came, fresh))
}

fn job(shared: &Shared, (name, came): (&str, Timestamp), fresh: &Fresh) -> std::io::Result<Job> {
    let bytes = Shelf::Intel.read(shared.tables.data(), &fresh.sha256)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut kinds: Vec<Kind> = Vec::new();
    let indicators = list::read(&text).map_while(Result::ok).inspect(|one| {
        if kinds.last() != Some(&one.kind) {
            kinds.push(one.kind);
        }
    });
    let wanted = Arc::new(Indicators::new([(ListInfo::default(), indicators)], Never::default()));
    let fields = fields_of(&kinds);
    let asked = wanted.clone();
    let test = Passing(Arc::new(move |text: &str| asked.may_name(text)));
    let sieve = Sieve::Field(fields.clone(), Held::Passing(test));
    Ok(Job { name: name.to_owned(), came, fresh: fresh.clone(), wanted, fields, sieve })
}

impl Job {
    /// Whether it is still wanted: its list may have been removed.
    fn is_wanted(&self, shared: &Shared) -> bool {
        !shared.tables.is_stopping()
            && shared.registry.read(|state| {
                let pending = state.references.get(&self.name).map(|one| one.pending.as_slice()).unwrap_or_default();
                pending.iter().any(|(_, fresh)| *fresh == self.fresh)
            })
    }
}

fn run(shared: &Shared, job: &Job) {
    let kept = shared.store.mark(MARK).and_then(|bytes| serde_json::from_slice::<Progress>(&bytes).ok());
    let begin = || Progress { sha256: job.fresh.sha256.clone(), came_ns: job.came.0, ..Progress::default() };
    let mut look = Look {
        shared,
        job,
        progress: kept
            .filter(|kept| (&kept.sha256, kept.came_ns) == (&job.fresh.sha256, job.came.0))
            .unwrap_or_else(begin),
        judge: None,
        swapped: shared.tables.standing().swapped,
    };
    let began = shared.clock.now();
    info!(reference.name = job.name, indicators = job.fresh.count, done = look.progress.done, "looking back");
    let mut quiet_since = began;
    loop {
        let before = look.progress.done;
        let snapshot = shared.store.snapshot();
        let settled = job::settled(shared);
        let is_last = look.is_last(&snapshot, settled);
        if look.through(&snapshot, settled).is_none() || !job.is_wanted(shared) {
            return info!(reference.name = job.name, done = look.progress.done, "look back stopped");
        }
        let now = shared.clock.now();
        if before != look.progress.done {
            quiet_since = now;
        }
        let is_trouble = shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_last || (!is_trouble && QUIET_NS <= now.since(quiet_since)) {
            break;
        }
        if !shared.tables.wait(INTERVAL) {
            return;
        }
    }
    end(shared, &job.name, &look.progress);
    info!(reference.name = job.name, found = look.progress.found, alerts = look.progress.alerts, "looked back");
}

fn end(shared: &Shared, name: &str, progress: &Progress) {
    let change = ReferenceChange::LookedBack {
        sha256: progress.sha256.clone(),
        events: progress.events,
        found: progress.found,
        alerts: progress.alerts,
    };
    let change = AnyChange::Reference(name.to_owned(), change);
    if let Err(error) = shared.registry.change(ACTOR, shared.clock.now(), &change) {
        // Removed meanwhile, or tried again: everything up to the mark is looked at.
        warn!(%error, reference.name = name, "end of a look back not written down");
    }
}

/// One look back on its way.
struct Look<'a> {
    shared: &'a Shared,
    job: &'a Job,
    progress: Progress,
    /// The rules as they were when something was last found, made ready.
    judge: Option<(Arc<RuleSet>, Detector)>,
    /// What was received from then on was looked at on its way in.
    swapped: Timestamp,
}

impl Look<'_> {
    /// Whether everything that was received before the tables were swapped is in this snapshot and looked at by the
    /// rules: conversion keeps the order, so it is when something is stored that was received after.
    fn is_last(&self, snapshot: &Snapshot, settled: Seq) -> bool {
        let newest = snapshot.recent(Dataset::Events).next_back();
        newest.is_some_and(|newest| newest.seq() <= settled && self.swapped <= newest.stored().event.received)
    }

    /// Looks through what of the snapshot is not looked at yet, up to `settled`. `None` when it is to stop.
    fn through(&mut self, snapshot: &Snapshot, settled: Seq) -> Option<()> {
        let mut segments: Vec<&Arc<LiveSegment>> = snapshot.segments(Dataset::Events).collect();
        segments.sort_by_key(|segment| segment.meta().last_seq);
        for segment in segments {
            let meta = segment.meta();
            // The rest of one that is looked at in part comes with its last event.
            if meta.last_seq.0 <= self.progress.done || settled < meta.last_seq {
                continue;
            }
            self.breathe(settled)?;
            let found = match self.of_segment(segment) {
                Ok(found) => found?,
                Err(error) => {
                    error!(%error, "segment stepped over in a look back");
                    Vec::new()
                }
            };
            self.progress.events += meta.row_count;
            self.store(found, meta.last_seq)?;
        }
        let recent: Vec<Row<'_>> = snapshot
            .recent(Dataset::Events)
            .filter(|row| self.progress.done < row.seq().0 && row.seq() <= settled)
            .collect();
        for rows in recent.chunks(ROWS) {
            self.breathe(settled)?;
            let (Some(last), at) = (rows.last(), self.shared.clock.now()) else { continue };
            let held = rows.iter().map(Row::stored).filter(|one| self.is_named(&one.event, at)).collect();
            self.progress.events += rows.len() as u64;
            self.store(held, last.seq())?;
        }
        Some(())
    }

    /// Waits while detection is behind; `None` when it is to stop.
    fn breathe(&self, until: Seq) -> Option<()> {
        let state = (self.job.name.strip_prefix(INTEL).unwrap_or_default().to_owned(), self.progress.clone(), until.0);
        self.shared.looking_back.set(Some(state));
        while BEHIND_EVENTS <= self.shared.live.behind() {
            if !self.shared.tables.wait(BREATH) {
                return None;
            }
        }
        self.job.is_wanted(self.shared).then_some(())
    }

    /// Whether the event was received before the tables had the new indicators, and holds one.
    fn is_named(&self, event: &Event, at: Timestamp) -> bool {
        event.received < self.swapped && !self.job.wanted.find(event, at).is_empty()
    }

    /// The events of a segment that hold one of the new indicators, whole and in order of `Seq`.
    fn of_segment(&self, segment: &LiveSegment) -> Result<Option<Vec<Stored>>, ReadError> {
        let all = (Timestamp::MIN, Timestamp::MAX);
        let sifted = segment.sift(&self.job.sieve, all, Some(&self.job.fields))?;
        let mut held = Vec::new();
        for rows in sifted.rows().chunks(ROWS) {
            if self.breathe(segment.meta().last_seq).is_none() {
                return Ok(None);
            }
            let at = self.shared.clock.now();
            let events = sifted.read(rows)?;
            let named = rows.iter().zip(&events).filter(|(_, stored)| self.is_named(&stored.event, at));
            let named: Vec<usize> = named.map(|(row, _)| *row).collect();
            if !named.is_empty() {
                held.extend(sifted.whole(&named)?);
            }
        }
        held.retain(|stored| self.progress.done < stored.seq.0);
        held.sort_by_key(|stored| stored.seq);
        Ok(Some(held))
    }

    /// Makes alerts of events, and stores them together with how far it is. `None` when it is to stop.
    fn store(&mut self, events: Vec<Stored>, done: Seq) -> Option<()> {
        let mut alerts = Vec::new();
        if !events.is_empty() {
            alerts = self.alerts(events);
            let room = usize::try_from(ALERTS_MAX.saturating_sub(self.progress.alerts)).unwrap_or(0);
            alerts.truncate(room);
        }
        self.progress.alerts += alerts.len() as u64;
        self.progress.done = done.0;
        let mark = serde_json::to_vec(&self.progress).expect("numbers and text are JSON");
        let now = self.shared.clock.now();
        let mut rows: Vec<(Dataset, Event)> =
            alerts.iter().map(|alert| (Dataset::Alerts, alert.to_event(now))).collect();
        while let Err(error) = self.shared.store.append_from(&mut rows, &[(MARK, mark.clone())]) {
            if matches!(error, WriteError::Poisoned | WriteError::ReadOnly) {
                error!(%error, "look back stopped");
                return None;
            }
            if !self.shared.tables.wait(INTERVAL) {
                return None;
            }
        }
        publish(self.shared, alerts);
        Some(())
    }

    /// What rules say of these events with the fields of the tables in force, and do not say without; no exception hides
    /// it and nobody was told.
    fn alerts(&mut self, events: Vec<Stored>) -> Vec<Alert> {
        let tables = self.shared.tables.current();
        let with = enriched(&tables, &events, self.shared.clock.now());
        self.progress.found +=
            with.iter().filter(|one| one.event.get(Field::NHATLE_INDICATOR_LIST).is_some()).count() as u64;
        let rules = self.shared.rules();
        if self.judge.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, &rules)) {
            self.judge = Some((rules.clone(), Detector::new(rules.clone())));
        }
        let Some((_, detector)) = &self.judge else { return Vec::new() };
        let said: std::collections::BTreeSet<(usize, u32)> =
            detector.detect(&events).iter().map(|one| (one.position, one.rule.0)).collect();
        let is_new = |one: &Match| !said.contains(&(one.position, one.rule.0));
        let hider = self.shared.exceptions.hider();
        let mut found: Vec<Alert> = Vec::new();
        for one in detector.detect(&with).iter().filter(|one| is_new(one)) {
            let Some(stored) = with.get(one.position) else { continue };
            let Some(alert) = findings::of_match(&rules, one, stored) else { continue };
            let (rule_id, at) = (alert.rule_id.as_str(), alert.timestamp());
            let subject = Subject { rule_id, event: &stored.event, group: &alert.group, units: &alert.units, at };
            if hider.hides(&subject).is_none() {
                found.push(alert);
            }
        }
        found.sort_by(|left, right| {
            (left.at_ns, &left.rule_id, &left.events).cmp(&(right.at_ns, &right.rule_id, &right.events))
        });
        let snapshot = self.shared.store.snapshot();
        let stored: Vec<Alert> =
            snapshot.recent(Dataset::Alerts).filter_map(|row| Alert::from_event(&row.stored().event)).collect();
        let book = self.shared.alerts();
        let mut retro = Retro::new(book.newest_first().map(|alert| &**alert).chain(&stored));
        drop(book);
        found.retain(|alert| retro.judge(alert) == Standing::New);
        found.into_iter().map(Alert::looked_back).collect()
    }
}

/// The events as they would be if they came in now.
fn enriched(tables: &Tables, events: &[Stored], now: Timestamp) -> Vec<Stored> {
    let mut with = events.to_vec();
    for stored in &mut with {
        tables.indicators.enrich(&mut stored.event, now);
    }
    with
}
