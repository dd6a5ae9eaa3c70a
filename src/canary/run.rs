//! The schedule: when canaries are sent, and the end of a run.
//!
//! A run begins some time after the start, again each day at a fixed time, and when the rules in force have
//! changed. It sends a canary for each rule that alerts, in small batches, each durable before the next goes, so
//! that real records are never held up by more than one. What was not seen [`PATIENCE`] after the last was
//! sent, is lost. In: the sink every input uses. Out: the book, kept as a mark.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nhatle_collector::listen::{Batch, Sink};
use nhatle_engine::canary::Unsolved;
use nhatle_event::{Record, Seq, Text, Timestamp};
use nhatle_rules::{Meta, Referred, RuleSet};
use nhatle_storage::Dataset;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::book::{Fault, MARK, Origin};
use super::coverage::alerting;
use super::{EVENTS_MAX, INPUT, Tag, made};
use crate::pipeline::Shared;
use crate::samples::{self, Sample};

/// How long to wait for the last canaries of a run.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many records go together.
const BATCH_RECORDS: usize = 64;
/// From how many of the newest stored events is learned at the start.
const LEARN_EVENTS: u64 = 50_000;
/// How many of them are read together.
const LEARN_CHUNK: usize = 2_000;
/// How often the schedule is looked at.
const TICK: Duration = Duration::from_millis(500);
const DAY_S: i64 = 86_400;

/// When canaries are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Whether at all.
    pub is_on: bool,
    /// The first run, after the start; also how long rules must stand unchanged before they are tried.
    pub first_after: Duration,
    /// The second of the day, local time.
    pub daily_at_s: i64,
    /// Seconds east of UTC.
    pub zone_offset_s: i64,
    /// A source that sent nothing for so long makes its rules red.
    pub silent_ns: i64,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule {
            is_on: true,
            first_after: Duration::from_secs(60),
            daily_at_s: 3 * 3600 + 600,
            zone_offset_s: 7 * 3600,
            silent_ns: DAY_S * 1_000_000_000,
        }
    }
}

impl Schedule {
    /// The number of the day whose fixed time is past.
    fn day(&self, now: Timestamp) -> i64 {
        (now.0.div_euclid(1_000_000_000) + self.zone_offset_s - self.daily_at_s).div_euclid(DAY_S)
    }
}

/// Sends canaries until told to stop, or until nobody takes records any more.
pub fn run(shared: &Shared, sink: &Sink, is_stopping: &AtomicBool) {
    let mut waited = Instant::now();
    let mut tried: Option<Arc<RuleSet>> = None;
    let mut stands = shared.rules();
    let mut day = shared.canary_schedule.get().day(shared.clock.now());
    while !is_stopping.load(Ordering::Relaxed) {
        std::thread::sleep(TICK);
        // As it is now: a reload may change it.
        let schedule = shared.canary_schedule.get();
        if !schedule.is_on {
            continue;
        }
        let (rules, today) = (shared.rules(), schedule.day(shared.clock.now()));
        if !Arc::ptr_eq(&rules, &stands) {
            // Rules that just changed may change again.
            (stands, waited) = (rules.clone(), Instant::now());
        }
        let is_new = tried.as_ref().is_none_or(|tried| !Arc::ptr_eq(tried, &rules));
        let is_due = is_new && schedule.first_after <= waited.elapsed();
        if is_due || day != today {
            (day, tried) = (today, Some(rules.clone()));
            if run_once(shared, &rules, sink, is_stopping).is_none() {
                return;
            }
        }
    }
}

/// Learns from the newest stored events what sources send: what was known before the start is not kept.
pub fn learn(shared: &Shared, is_stopping: &AtomicBool) {
    let snapshot = shared.store.snapshot();
    let mut after = Seq(snapshot.last_seq().0.saturating_sub(LEARN_EVENTS));
    while !is_stopping.load(Ordering::Relaxed) {
        match snapshot.events_after(Dataset::Events, after, LEARN_CHUNK) {
            Ok(events) => {
                let Some(last) = events.last() else { return };
                after = last.seq;
                shared.look_closely(events.iter().map(|stored| &stored.event));
            }
            Err(error) => return warn!(%error, "stored events not read to learn from"),
        }
    }
}

/// One run. `None` when nobody takes records any more.
pub fn run_once(shared: &Shared, rules: &RuleSet, sink: &Sink, is_stopping: &AtomicBool) -> Option<()> {
    let began = shared.clock.now();
    let run = began.0;
    let metas: Vec<(Referred, &Meta)> = alerting(rules).collect();
    let ids: HashSet<&str> = metas.iter().map(|(_, meta)| &*meta.id).collect();
    shared.canaries.keep(|id| ids.contains(id));
    let mut batch = Vec::new();
    let mut sent = 0usize;
    for (which, meta) in &metas {
        let (lines, origin) = match lines_of(rules, *which, meta, began) {
            Ok(found) => found,
            Err(unsolved) => {
                shared.canaries.has_none(&meta.id, run, &unsolved.to_string());
                continue;
            }
        };
        sent += 1;
        shared.canaries.begin(&meta.id);
        shared.canaries.sent(&meta.id, run, origin);
        batch.extend(records(meta, &lines, run, shared.clock.now()));
        if BATCH_RECORDS <= batch.len() {
            send(sink, std::mem::take(&mut batch))?;
        }
        if is_stopping.load(Ordering::Relaxed) {
            return None;
        }
    }
    send(sink, batch)?;
    let patience = Instant::now();
    while !shared.canaries.waiting(run).is_empty()
        && patience.elapsed() < PATIENCE
        && !is_stopping.load(Ordering::Relaxed)
    {
        std::thread::sleep(TICK / 10);
    }
    let lost = shared.canaries.waiting(run);
    if is_stopping.load(Ordering::Relaxed) {
        // A stop is no fault of the rules.
        return None;
    }
    for rule_id in &lost {
        shared.canaries.judged(rule_id, run, Err(Fault::Lost));
    }
    keep(shared);
    let unseen =
        metas.iter().filter(|(_, meta)| shared.canaries.proof(&meta.id).is_some_and(|proof| proof.fault.is_some()));
    info!(sent, unseen = unseen.count(), without = metas.len() - sent, "canaries went through");
    shared.tick();
    Some(())
}

/// The sample a rule's canary is made of: its first positive one, where it has any.
fn sample_of(meta: &Meta) -> Option<Sample> {
    match samples::beside(&meta.file) {
        // A file may hold several rules; a sample that names none is for all of them that alert.
        Ok(samples) => samples.into_iter().find(|sample| sample.is_positive && sample.lines.len() <= EVENTS_MAX),
        Err(error) => {
            warn!(%error, "samples not read");
            None
        }
    }
}

/// A record, and the profile it is read with.
type Line = (Option<String>, String);

/// What a canary is made of: the rule's sample, else the rule.
fn lines_of(rules: &RuleSet, which: Referred, meta: &Meta, at: Timestamp) -> Result<(Vec<Line>, Origin), Unsolved> {
    if let Some(sample) = sample_of(meta) {
        let lines = sample.lines.into_iter().map(|line| (sample.profile.clone(), line)).collect();
        return Ok((lines, Origin::Sample));
    }
    let raws = made::records(rules, which, at)?;
    Ok((raws.into_iter().map(|raw| (raw.profile.map(str::to_owned), raw.line)).collect(), Origin::Made))
}

fn records(meta: &Meta, lines: &[Line], run: i64, now: Timestamp) -> Vec<Record> {
    let count = lines.len();
    let record = |(place, (profile, line)): (usize, &Line)| {
        let mut record = Record::new(line.as_bytes(), INPUT, now);
        record.profile = profile.as_deref().map(Text::from);
        record.canary = Some(Text::from(Tag { rule_id: meta.id.clone(), run, place, count }.text()));
        record
    };
    lines.iter().enumerate().map(record).collect()
}

/// Sends and waits until it is durable, or refused: then the run says that canaries were lost.
fn send(sink: &Sink, records: Vec<Record>) -> Option<()> {
    if records.is_empty() {
        return Some(());
    }
    let (done, durable) = oneshot::channel();
    sink.blocking_send(Batch { done: Some(done), ..Batch::of(records) }).ok()?;
    match durable.blocking_recv() {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!(%error, "canaries not stored"),
        Err(_gone) => return None,
    }
    Some(())
}

fn keep(shared: &Shared) {
    let marks = [(MARK, shared.canaries.mark())];
    if let Err(error) = shared.store.append_from(&mut Vec::new(), &marks) {
        warn!(%error, "results of canaries not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_turns_at_its_time() {
        let schedule = Schedule::default();
        let day = |text: &str| schedule.day(Timestamp::parse(text, 0).expect("a time"));
        assert_eq!(day("2026-11-25T20:09:59Z") + 1, day("2026-11-25T20:10:00Z"), "03:10 in Viet Nam");
        assert_eq!(day("2026-11-25T20:10:00Z"), day("2026-11-26T20:09:59Z"));
    }
}
