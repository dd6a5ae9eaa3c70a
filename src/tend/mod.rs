//! Looking after what is stored, on a thread of its own that gives way to everything else: small segments are merged
//! into larger ones, what is past its retention goes, what is old is compressed more, and everything is read once a week. In: the store, the rules of
//! retention. Out: fewer and smaller files; the same events but those that may go. Failure: said, tried again later.
//!
//! It works at most half of the time, waits while detection is behind or intake is in any state but normal, and stops
//! between two batches when the program ends.

pub mod scrub;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{debug, error, info};

use crate::overload::state::State;
use crate::pipeline::Shared;
use crate::retention::job::Job;
use crate::telemetry::Counters;
use crate::tend::scrub::Pacer;

/// How often it looks whether there is something to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// It waits while detection is more than so many events behind: a batch.
const BEHIND_EVENTS: u64 = 16_384;
/// One wait.
const SLICE: Duration = Duration::from_millis(50);
/// After a merge that failed, so long nothing is merged.
const AFTER_FAILURE: Duration = Duration::from_secs(300);

/// Works until told to stop.
pub fn run(shared: &Shared, is_stopping: &AtomicBool) {
    let mut not_before: Option<Instant> = None;
    let mut job = Job::new(shared.clock.now());
    let mut to_archive = BTreeSet::new();
    let mut pacer = Pacer::new();
    while !is_stopping.load(Ordering::Relaxed) {
        let is_allowed = not_before.is_none_or(|at| at <= Instant::now());
        match job.look(shared) {
            Ok(Some(folders)) => to_archive = folders,
            Ok(None) => {}
            Err(error) => error!(error = format!("{error:#}"), "retention did not do its work; it tries again"),
        }
        if !must_wait(shared) {
            pacer.step(shared);
        }
        if is_allowed && !must_wait(shared) {
            match rewrite_one(shared, &to_archive, is_stopping) {
                Ok(true) => continue,
                Ok(false) => not_before = None,
                Err(error) => {
                    error!(%error, "segments not written anew; they stay as they are");
                    not_before = Some(Instant::now() + AFTER_FAILURE);
                }
            }
        }
        rest(LOOK_INTERVAL, is_stopping);
    }
}

/// Merges once, or compresses one segment more. Says whether there was anything to do.
fn rewrite_one(
    shared: &Shared,
    to_archive: &BTreeSet<String>,
    is_stopping: &AtomicBool,
) -> Result<bool, nhatle_storage::WriteError> {
    let began = Instant::now();
    let mut worked = Duration::ZERO;
    let mut since = Instant::now();
    let mut pace = || {
        let busy = since.elapsed();
        worked += busy;
        rest(busy, is_stopping);
        while must_wait(shared) && !is_stopping.load(Ordering::Relaxed) {
            std::thread::sleep(SLICE);
        }
        since = Instant::now();
        !is_stopping.load(Ordering::Relaxed)
    };
    let done = match shared.store.compact(&mut pace)? {
        Some(done) => done,
        None => match shared.store.archive(&|meta| to_archive.contains(&meta.dir), &mut pace)? {
            Some(done) => done,
            None => return Ok(false),
        },
    };
    Counters::add(&shared.counters.merges, 1);
    Counters::add(&shared.counters.merge_ns, u64::try_from(worked.as_nanos()).unwrap_or(u64::MAX));
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    info!(
        file.path = done.dir,
        segments = done.segments,
        events = done.events,
        bytes_before = done.bytes_before,
        bytes = done.bytes,
        took_ms,
        "segments written anew"
    );
    debug!(worked_ms = u64::try_from(worked.as_millis()).unwrap_or(u64::MAX), "time spent merging");
    Ok(true)
}

/// Everything else comes first; and a disk that is nearly full has no room for a second copy.
fn must_wait(shared: &Shared) -> bool {
    BEHIND_EVENTS < shared.live.behind() || shared.overload.shown().0 != State::Normal
}

/// Waits, in slices, so that a stop does not wait for it.
fn rest(time: Duration, is_stopping: &AtomicBool) {
    let until = Instant::now() + time;
    while !is_stopping.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(SLICE));
    }
}
