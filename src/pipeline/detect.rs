//! Stage 3: committed events meet the rules; matches become alerts, alerts become incidents.
//!
//! In: committed batches, in order. Out: alerts in the store and incidents in the register. The alerts of
//! a batch and the mark `detected` are one batch of the log: after a crash the batch is either looked at
//! again as a whole, with the same alert ids, or not at all.
//!
//! At start: what was stored and not looked at is looked at now. Before that, the correlator is brought to where it
//! was, from its checkpoint or from the events of twice the longest window (and the lateness allowed), without
//! raising anything.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use nhatle_engine::alert::{Alert, Suppressor};
use nhatle_engine::correlate::{Arrived, CorrelationMatch, Correlator};
use nhatle_engine::detect::{Detector, Match};
use nhatle_engine::exception::{Hider, Subject};
use nhatle_engine::register::AnyChange;
use nhatle_engine::replay;
use nhatle_event::{Seq, Stored, Timestamp};
use nhatle_storage::{Dataset, WriteError};
use tracing::{error, info, warn};

use super::checkpoint::Checkpoint;
use super::committed::{self, Received};
use super::refill::Refill;
use super::{Shared, corrections, findings, nanos, publish};
use crate::canary::{Judge, kinds};
use crate::exceptions;
use crate::registry::RecordError;
use crate::telemetry::Counters;

/// The mark that says up to where the rules have looked.
pub const MARK: &str = "detected";
/// Who opens incidents when no person does.
pub const ACTOR: &str = "nhatle";
/// How many events are looked at together when catching up.
const CATCH_UP_EVENTS: usize = 20_000;
/// The mark is written at least so often, when no alert carries it.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
/// How often what sources send is written down.
const KINDS_INTERVAL_NS: i64 = 10_000_000_000;
/// So many alerts are put into incidents in one write of the register.
const GROUPED_MAX: usize = 1_024;
/// How long to wait before a failed write is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// The detecting stage.
pub struct Stage {
    shared: Arc<Shared>,
    detector: Detector,
    correlator: Correlator,
    suppressor: Suppressor,
    /// Events of the firings of before, which the next ones often need again.
    samples: findings::Samples,
    judge: Judge,
    checkpoint: Checkpoint,
    kinds_kept: Timestamp,
    /// The rules have looked at everything up to here.
    detected: Seq,
    /// The mark in the log says so.
    marked: Seq,
    /// What was committed when the stage was made; later events come through the channel.
    backlog_end: Seq,
    /// Its threads. `None` where the system gave none: then those of everybody.
    threads: Option<rayon::ThreadPool>,
}

impl Stage {
    /// A stage that knows what was detected before. Must be made before anything new is appended.
    pub fn new(shared: Arc<Shared>) -> Stage {
        let marked = Seq(shared.store.mark(MARK).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes));
        let mut suppressor = Suppressor::new();
        for alert in shared.alerts().newest_first().collect::<Vec<_>>().into_iter().rev() {
            suppressor.remember(alert);
        }
        let backlog_end = shared.store.snapshot().last_seq();
        shared.live.set_detected(marked);
        shared.live.set_committed(backlog_end);
        Stage {
            detector: Detector::new(shared.rules()),
            correlator: Correlator::new(shared.rules(), shared.live.limits),
            suppressor,
            samples: findings::Samples::default(),
            judge: Judge::default(),
            checkpoint: Checkpoint::new(shared.disk.clone(), shared.clock.now()),
            kinds_kept: Timestamp::MIN,
            detected: marked,
            marked,
            backlog_end,
            threads: super::threads("detect"),
            shared,
        }
    }

    /// Catches up, then runs until the appending stage is gone.
    pub fn run(mut self, committed: &committed::Receiver) {
        self.regroup();
        self.warm_up();
        self.catch_up();
        loop {
            let received = committed.receive(MARK_INTERVAL);
            self.follow_rules();
            match received {
                Received::Batch(batch) => self.look(&batch),
                Received::Nothing => {
                    self.settle();
                    self.write_mark();
                }
                Received::Over => break,
            }
            if self.correlator.is_settled() {
                self.shared.live.set_settled(self.detected);
            }
            self.write_checkpoint_if_due();
        }
        self.settle();
        self.write_mark();
        if self.marked == self.detected {
            self.checkpoint.write_last(self.shared.clock.now(), &self.correlator, self.marked);
        }
    }

    /// Brings the correlator to where it was at the mark: from its checkpoint and what came after it, or else by
    /// feeding it what lies within the longest window before the mark. What fires here fired before the restart.
    fn warm_up(&mut self) {
        if let Some(known) = self.checkpoint.restore(&mut self.correlator, self.detected) {
            let mut rest = Refill::after(known);
            return rest.run(&self.shared.store, (&self.detector, &mut self.correlator), self.detected, || true);
        }
        let span_ns = replay::replay_span_ns(self.detector.rules(), &self.shared.live.limits);
        let Some(mut refill) = Refill::begin(&self.shared.store, span_ns, self.detected) else { return };
        refill.run(&self.shared.store, (&self.detector, &mut self.correlator), self.detected, || true);
    }

    /// Takes over the rules that were loaded meanwhile, if there are any. Windows of correlations that mean what
    /// they meant go on; the caches of the detector begin anew.
    fn follow_rules(&mut self) {
        let Some(prepared) = self.shared.live.take_prepared() else { return };
        let taken = self.shared.live.hand_over(prepared, &self.shared.store, &mut self.correlator, self.detected);
        (self.detector, self.correlator) = (taken.detector, taken.correlator);
    }

    /// Looks at everything committed after the mark.
    fn catch_up(&mut self) {
        let snapshot = self.shared.store.snapshot();
        let mut count = 0;
        while self.detected < self.backlog_end {
            let detected = self.detected;
            // What is in a damaged segment is looked at by nobody; all else is.
            match snapshot.serve_rest(|rest| rest.events_after(Dataset::Events, detected, CATCH_UP_EVENTS)) {
                Ok((events, _damaged)) if events.is_empty() => break,
                Ok((mut events, _damaged)) => {
                    events.retain(|stored| stored.seq <= self.backlog_end);
                    if events.is_empty() {
                        break;
                    }
                    count += events.len();
                    self.look(&events);
                }
                Err(error) => return error!(%error, "events after the mark not read"),
            }
        }
        self.detected = self.detected.max(self.backlog_end);
        self.shared.live.set_detected(self.detected);
        if count > 0 {
            info!(count, "events of before the start looked at");
        }
    }

    /// Looks at one batch.
    fn look(&mut self, batch: &[Stored]) {
        let Some(last) = batch.last().map(|stored| stored.seq) else { return };
        let began = self.shared.clock.now();
        let is_event = |stored: &&Stored| Dataset::of(&stored.event) == Dataset::Events && self.detected < stored.seq;
        // Nearly always all of them are events; copying is for the batch that has a dead letter in it.
        let fresh: Cow<'_, [Stored]> = match batch.iter().all(|stored| is_event(&stored)) {
            true => Cow::Borrowed(batch),
            false => Cow::Owned(batch.iter().filter(is_event).cloned().collect()),
        };
        self.judge.take(batch, &self.detector, &self.shared.canaries, began);
        let sample = self.shared.kinds.see(fresh.iter().map(|stored| &stored.event));
        self.shared.look_closely(sample);
        let matches = super::on(self.threads.as_ref(), || self.detector.detect(&fresh));
        let fired = self.correlate(&fresh, &matches);
        self.detected = self.detected.max(last);
        self.shared.live.set_detected(self.detected);
        self.raise(&fresh, &matches, &fired);
        self.shared.counters.set_correlation(self.correlator.counters());
        Counters::add(&self.shared.counters.detect_ns, nanos(self.shared.clock.now().since(began)));
    }

    /// Puts late events in their places that had to wait because there were too many.
    fn settle(&mut self) {
        if !self.correlator.is_settled() {
            let fired = self.correlator.settle(0);
            self.raise(&[], &[], &fired);
        }
    }

    /// Makes alerts of what was found, and takes back what does not hold any more.
    fn raise(&mut self, events: &[Stored], matches: &[Match], fired: &[CorrelationMatch]) {
        Counters::add(&self.shared.counters.matches, (matches.len() + fired.len()) as u64);
        Counters::add(&self.shared.counters.firings, fired.len() as u64);
        let mut found = self.alerts(events, matches, fired);
        let withdrawn = self.correlator.withdrawn();
        let taken_back = corrections::correct(&mut found, withdrawn, self.detector.rules(), &self.shared.alerts());
        let mut fresh = self.admit(found);
        if fresh.is_empty() && taken_back.is_empty() {
            return;
        }
        fresh.extend(taken_back);
        self.store(&fresh);
        let raised: Vec<Alert> = fresh.iter().filter(|alert| !alert.is_revision()).cloned().collect();
        Counters::add(&self.shared.counters.alerts, raised.len() as u64);
        self.group(&raised);
        publish(&self.shared, fresh);
    }

    fn correlate(&mut self, events: &[Stored], matches: &[Match]) -> Vec<CorrelationMatch> {
        let rows: Vec<Arrived<'_>> =
            events.iter().map(|stored| Arrived { seq: stored.seq, event: &stored.event }).collect();
        self.correlator.push(&rows, matches)
    }

    /// The alerts that matches and correlations make, before suppression.
    fn alerts(&mut self, events: &[Stored], matches: &[Match], fired: &[CorrelationMatch]) -> Vec<Alert> {
        let rules = self.detector.rules();
        let hider = self.shared.exceptions.hider();
        let mut alerts = Vec::new();
        for one in matches {
            let Some(stored) = events.get(one.position) else { continue };
            let alert = findings::of_match(rules, one, stored);
            alerts.extend(alert.filter(|alert| !self.is_expected(&hider, alert, stored)));
        }
        let snapshot = self.shared.store.snapshot();
        let mut samples = std::mem::take(&mut self.samples);
        for fired in fired.chunks(findings::FIRINGS_MAX) {
            samples.read(rules, fired, events, &snapshot);
            for one in fired {
                let made = findings::of_firing(rules, one, |seq| samples.find(events, seq));
                let kept = made.filter(|(alert, last)| !self.is_expected(&hider, alert, last));
                alerts.extend(kept.map(|(alert, _)| alert));
            }
        }
        self.samples = samples;
        // In the order of the events that completed them, however the batch was cut: suppression and
        // grouping look at what came before.
        alerts.sort_by(|a, b| (a.events.iter().max(), &a.rule_id).cmp(&(b.events.iter().max(), &b.rule_id)));
        alerts
    }

    /// Whether an exception hides this alert; if so, it is counted with the exception.
    fn is_expected(&self, hider: &Hider, alert: &Alert, last: &Stored) -> bool {
        let (rule_id, at) = (alert.rule_id.as_str(), alert.timestamp());
        let subject = Subject { rule_id, event: &last.event, group: &alert.group, units: &alert.units, at };
        let Some(number) = hider.hides(&subject) else { return false };
        // After a crash the same alert may be found again, and may have been shown before the exception.
        if !self.shared.alerts().contains(&alert.id) {
            self.shared.exceptions.count(number, at);
        }
        true
    }

    /// The alerts that are neither known nor repeats.
    fn admit(&mut self, found: Vec<Alert>) -> Vec<Alert> {
        let mut fresh = Vec::new();
        for alert in found {
            let is_known = self.shared.alerts().contains(&alert.id);
            if alert.is_revision() {
                fresh.push(alert);
            } else if !is_known && !alert.replaces.is_empty() {
                // It was shown before, as another one.
                self.suppressor.remember(&alert);
                fresh.push(alert);
            } else if !is_known && self.suppressor.admit(&alert) {
                fresh.push(alert);
            } else if !is_known {
                Counters::add(&self.shared.counters.suppressed, 1);
            }
        }
        fresh
    }

    /// Makes alerts and mark durable; tries until it is done, because nothing may go undetected.
    fn store(&mut self, alerts: &[Alert]) {
        let now = self.shared.clock.now();
        let mut rows: Vec<_> = alerts.iter().map(|alert| (Dataset::Alerts, alert.to_event(now))).collect();
        let kinds = self.kinds_mark();
        let mut is_told = false;
        loop {
            let mark = self.detected.0.to_le_bytes().to_vec();
            let hidden = self.shared.exceptions.fresh_mark().map(|hidden| (exceptions::MARK, hidden));
            let marks: Vec<(&str, Vec<u8>)> = [(MARK, mark)].into_iter().chain(hidden).chain(kinds.clone()).collect();
            match self.shared.store.append_from(&mut rows, &marks) {
                Ok(_) => {
                    self.shared.exceptions.mark_written();
                    self.marked = self.detected;
                    return;
                }
                Err(WriteError::Behind { .. }) => {}
                Err(error) => {
                    if !is_told {
                        is_told = true;
                        error!(%error, "alerts not stored");
                    }
                    // A full disk may come before it.
                    if matches!(error, WriteError::Poisoned | WriteError::ReadOnly) {
                        return;
                    }
                }
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    /// What sources send, now and then: it need not be exact after a crash.
    fn kinds_mark(&mut self) -> Option<(&'static str, Vec<u8>)> {
        let now = self.shared.clock.now();
        if (0..KINDS_INTERVAL_NS).contains(&now.since(self.kinds_kept)) {
            return None;
        }
        self.kinds_kept = now;
        Some((kinds::MARK, self.shared.kinds.fresh_mark()?))
    }

    fn write_mark(&mut self) {
        if self.marked < self.detected {
            self.store(&[]);
        }
    }

    fn write_checkpoint_if_due(&mut self) {
        let now = self.shared.clock.now();
        if self.checkpoint.is_due(now) {
            self.write_mark();
            if self.marked == self.detected {
                self.checkpoint.write(now, &self.correlator, self.marked);
            }
        }
    }

    /// Alerts that a crash left without an incident are grouped now.
    fn regroup(&self) {
        let book = self.shared.alerts();
        let alerts: Vec<Alert> = self.shared.registry.read(|state| {
            book.newest_first()
                .filter(|alert| self.shared.grouping.get().opens_at <= alert.level())
                // What was found in what is stored is grouped by a person (ADR 15, ADR 21).
                .filter(|alert| !alert.is_retro())
                .filter(|alert| !state.opened.is_grouped(&alert.id))
                .map(|alert| Alert::clone(alert))
                .collect()
        });
        drop(book);
        let oldest_first: Vec<Alert> = alerts.into_iter().rev().collect();
        self.group(&oldest_first);
    }

    /// Puts alerts into incidents: all of a batch in one write of the register, which syncs each time. What one
    /// alert cannot have does not keep the others out.
    fn group(&self, alerts: &[Alert]) {
        for alerts in alerts.chunks(GROUPED_MAX) {
            if self.record(alerts).is_err() {
                alerts.iter().for_each(|alert| {
                    if let Err(error) = self.record(std::slice::from_ref(alert)) {
                        warn!(%error, "alert not grouped; it will be at the next start");
                    }
                });
            }
        }
    }

    fn record(&self, alerts: &[Alert]) -> Result<(), RecordError> {
        let grouping = *self.shared.grouping.get();
        self.shared.registry.record_each(ACTOR, self.shared.clock.now(), alerts, |state, alert| {
            let (number, change) = state.opened.group(alert, &grouping)?;
            Some(AnyChange::Incident(number.unwrap_or_else(|| state.next_incident()), change))
        })
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::Event;
    use nhatle_storage::Store;
    use nhatle_storage::disk::sim::SimDisk;

    use super::*;
    use crate::config::{Config, ConfigFile};

    #[test]
    fn what_stands_behind_a_damaged_segment_is_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
        let file = ConfigFile { data: folder.path().to_owned(), ..ConfigFile::default() };
        let config = Config::check(file).expect("the defaults hold");
        let shared = Arc::new(crate::command::serve::open(&config, runtime.handle().clone()).expect("opens"));
        for _ in 0..2 {
            let event = Event::new(Timestamp(0), *b"x");
            shared.store.append(vec![(Dataset::Events, event)], &[]).expect("is written");
            shared.store.seal().expect("seals");
        }
        crate::alerts::tests::damage_first_segment(folder.path());
        let mut stage = Stage::new(shared.clone());
        stage.warm_up();
        stage.catch_up();
        assert_eq!(stage.detected, Seq(2));
        let mut refill = Refill::after(Seq(0));
        refill.run(&shared.store, (&stage.detector, &mut stage.correlator), Seq(2), || true);
        assert_eq!(refill.done, Seq(2));
    }

    #[test]
    fn a_log_that_takes_nothing_more_is_not_tried_for_ever_also_after_a_full_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
        let file = ConfigFile { data: folder.path().to_owned(), ..ConfigFile::default() };
        let config = Config::check(file).expect("the defaults hold");
        let mut shared = crate::command::serve::open(&config, runtime.handle().clone()).expect("opens");
        let disk = SimDisk::new(1);
        let store = Store::open(Arc::new(disk.clone()), config.storage.clone(), shared.clock.clone()).expect("opens");
        store.append(vec![(Dataset::Events, Event::new(Timestamp(0), *b"x"))], &[]).expect("is written");
        shared.store = Arc::new(store);
        let shared = Arc::new(shared);
        let mut stage = Stage::new(shared.clone());
        stage.detected = stage.backlog_end;
        // No room for the mark; then what was written of it cannot be cut off again.
        disk.set_capacity(disk.used_bytes());
        disk.fail_from(disk.calls() + 4, std::io::ErrorKind::Other);
        stage.write_mark();
        assert!(shared.store.stats().is_poisoned);
        assert_eq!(stage.marked, Seq(0), "it is not written");
    }
}
