//! The job: looks once an hour, drops what is due, archives what is due. Runs on the thread that looks after the store.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use nhatle_engine::register::AnyChange;
use nhatle_engine::retention::hold::{DROP_SEGMENTS_MAX, DropChange, Hold};
use nhatle_event::Timestamp;
use tracing::{info, warn};

use super::{Plan, plan};
use crate::pipeline::Shared;
use crate::pipeline::detect::ACTOR;
use crate::registry::RecordError;

/// How often it looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(3600);
/// Between two jobs of deletion.
const DROP_INTERVAL: Duration = Duration::from_secs(86_400);
/// The wall clock and the machine's own may differ by so much before the wall clock is not believed.
const JUMP_MAX_NS: i64 = 600 * 1_000_000_000;

/// What people see of the job and may ask of it.
#[derive(Default)]
pub struct Watch {
    /// Who asked for a run now.
    asked: Mutex<Option<String>>,
    shown: Mutex<Shown>,
}

/// How the job stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// When it looks next; `None` before it began.
    pub look_at: Option<Timestamp>,
    /// From when on it may delete again by itself.
    pub drop_at: Option<Timestamp>,
    /// The clock jumped: nothing goes until the next start.
    pub had_jump: bool,
    /// Why the last look did not work.
    pub trouble: Option<String>,
}

impl Watch {
    /// Asks for a run now, in the name of `actor`: without the hour after a start and the day between two deletions. A
    /// clock that jumped is still not believed.
    pub fn ask(&self, actor: &str) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor.to_owned());
    }

    /// How the job stands.
    pub fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn taken(&self) -> Option<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// When it looks, and whether the clock is believed.
pub struct Job {
    started: (Instant, Timestamp),
    look_at: Instant,
    drop_at: Instant,
    had_jump: bool,
}

impl Job {
    /// The first look is an hour from now.
    pub fn new(now: Timestamp) -> Job {
        let begin = Instant::now();
        Job { started: (begin, now), look_at: begin + LOOK_INTERVAL, drop_at: begin + LOOK_INTERVAL, had_jump: false }
    }

    /// Looks, if it is time, and drops what is due. Gives the folders that belong in the archive.
    ///
    /// # Errors
    /// The register or the store cannot be read or written. What was not dropped is tried again.
    pub fn look(&mut self, shared: &Shared) -> anyhow::Result<Option<BTreeSet<String>>> {
        let asked = shared.retention_watch.taken();
        if asked.is_none() && Instant::now() < self.look_at {
            self.show(shared, None);
            return Ok(None);
        }
        let looked = self.look_now(shared, asked.as_deref());
        self.show(shared, looked.as_ref().err().map(|error| format!("{error:#}")));
        looked
    }

    /// Says how it stands; a trouble stays until the next look.
    fn show(&self, shared: &Shared, trouble: Option<String>) {
        let (now, wall) = (Instant::now(), shared.clock.now());
        let at = |at: Instant| {
            wall.plus_nanos(i64::try_from(at.saturating_duration_since(now).as_nanos()).unwrap_or(i64::MAX))
        };
        let mut shown = shared.retention_watch.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // Seconds do not creep while it waits.
        let is_new = shown.look_at.is_none_or(|before| before <= wall) || trouble.is_some();
        if is_new || shown.had_jump != self.had_jump {
            let (look_at, drop_at) = (Some(at(self.look_at)), Some(at(self.drop_at)));
            *shown = Shown { look_at, drop_at, had_jump: self.had_jump, trouble };
        }
    }

    fn look_now(&mut self, shared: &Shared, asked: Option<&str>) -> anyhow::Result<Option<BTreeSet<String>>> {
        self.look_at = Instant::now() + LOOK_INTERVAL;
        let rules = shared.retention.get();
        if rules.is_empty() {
            return Ok(None);
        }
        let now = shared.clock.now();
        if !self.believes(now, self.started.0.elapsed()) {
            return Ok(None);
        }
        let plan = plan_now(shared, now)?;
        let actor = asked.unwrap_or(ACTOR);
        if (asked.is_some() || self.drop_at <= Instant::now()) && drop_due(shared, &plan, actor, now)? {
            self.drop_at = Instant::now() + DROP_INTERVAL;
        }
        Ok(Some(plan.to_archive.into_iter().collect()))
    }

    /// Whether the wall clock went on as the machine's own did since the start.
    fn believes(&mut self, now: Timestamp, elapsed: Duration) -> bool {
        let elapsed = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX);
        let off_ns = now.since(self.started.1).saturating_sub(elapsed);
        let has_jumped = JUMP_MAX_NS < off_ns.saturating_abs();
        if has_jumped && !self.had_jump {
            warn!(
                off_s = off_ns / 1_000_000_000,
                "the clock jumped: nothing stored goes until nhatle is started again"
            );
        }
        self.had_jump |= has_jumped;
        !self.had_jump
    }
}

/// The plan of a running server.
///
/// # Errors
/// As [`plan`].
pub fn plan_now(shared: &Shared, now: Timestamp) -> anyhow::Result<Plan> {
    let holds: Vec<Hold> = shared.registry.read(|state| state.holds.values().cloned().collect());
    plan(&shared.store.snapshot(), &shared.retention.get(), holds.iter(), now).context("look at what is stored")
}

/// Drops the oldest of what is due, in the name of `actor`. Says whether anything went.
///
/// # Errors
/// The register or the store cannot be written.
pub fn drop_due(shared: &Shared, plan: &Plan, actor: &str, now: Timestamp) -> anyhow::Result<bool> {
    let going = plan.first_days(DROP_SEGMENTS_MAX);
    if going.is_empty() {
        return Ok(false);
    }
    let rules = shared.retention.get();
    let segments: Vec<_> = going.iter().map(|due| due.record(&rules)).collect();
    let number = shared
        .registry
        .record(actor, now, |state| {
            let number = state.next_drop();
            // A hold placed since the plan was made counts.
            let is_held = |segment: &nhatle_engine::retention::hold::DroppedSegment| {
                let first = Timestamp(segment.happened_ns[0].min(segment.stored_ns[0]));
                let last = Timestamp(segment.happened_ns[1].max(segment.stored_ns[1]));
                state.holds.values().any(|hold| hold.keeps(first, last, now))
            };
            let free: Vec<_> = segments.iter().filter(|segment| !is_held(segment)).cloned().collect();
            if free.is_empty() {
                return Ok::<_, RecordError>((Vec::new(), None));
            }
            let dirs: BTreeSet<String> = free.iter().map(|segment| segment.dir.clone()).collect();
            Ok((vec![AnyChange::Drop(number, DropChange::Begin { segments: free })], Some((number, dirs))))
        })
        .context("write down what goes")?;
    let Some((number, dirs)) = number else { return Ok(false) };
    let dropped = shared.store.drop_segments(&dirs, "past its retention").context("drop segments")?;
    let done = |_: &_| Ok::<_, RecordError>((vec![AnyChange::Drop(number, DropChange::Done {})], ()));
    shared.registry.record(actor, now, done).context("write down what went")?;
    let events: u64 = dropped.iter().map(|meta| meta.row_count).sum();
    info!(job = number, segments = dropped.len(), events, "what was past its retention is gone");
    shared.tick();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumped_is_not_believed_again() {
        let minute = |minutes: i64| Timestamp(minutes * 60_000_000_000);
        let mut job = Job::new(minute(0));
        assert!(job.believes(minute(61), Duration::from_secs(3600)));
        assert!(job.believes(minute(55), Duration::from_secs(3600)));
        assert!(!job.believes(minute(60 * 24 * 365), Duration::from_secs(7200)));
        assert!(!job.believes(minute(180), Duration::from_secs(10_800)), "it stays so until the start");
    }
}
