//! Fills a correlator with what is stored, so that its windows are as if it had always run.
//!
//! In: a correlator, a detector of the same rules, and up to where. Out: the correlator with the events that
//! still count pushed; what fires is thrown away, because it happened before. Failure: what cannot be read is
//! logged, and the windows hold less.

use nhatle_engine::correlate::{Arrived, Correlator};
use nhatle_engine::detect::Detector;
use nhatle_event::{Seq, Stored, Timestamp};
use nhatle_storage::{Dataset, Store};
use tracing::error;

/// How many events are looked at together.
const CHUNK_EVENTS: usize = 20_000;

/// Where a refill stands.
#[derive(Clone, Copy, Debug)]
pub struct Refill {
    /// Events before this cannot count any more.
    from: Timestamp,
    /// Everything up to here is in.
    pub done: Seq,
}

impl Refill {
    /// Begins with the events that happened up to `span_ns` before the newest one up to `until`. `None` where
    /// there is nothing to fill in.
    pub fn begin(store: &Store, span_ns: i64, until: Seq) -> Option<Refill> {
        let newest = newest_before(store, until).filter(|_| span_ns != 0)?;
        let from = newest.plus_nanos(-span_ns);
        let snapshot = store.snapshot();
        let over = snapshot.segments(Dataset::Events).filter(|segment| segment.meta().timestamp_max < from);
        Some(Refill { from, done: over.map(|segment| segment.meta().last_seq).max().unwrap_or(Seq(0)) })
    }

    /// Goes on after what is known.
    pub fn after(done: Seq) -> Refill {
        Refill { from: Timestamp::MIN, done }
    }

    /// Goes on until everything up to `until` is in. `goes_on` is asked before each chunk.
    pub fn run(
        &mut self,
        store: &Store,
        (detector, correlator): (&Detector, &mut Correlator),
        until: Seq,
        goes_on: impl Fn() -> bool,
    ) {
        let snapshot = store.snapshot();
        while self.done < until && goes_on() {
            let done = self.done;
            let events = match snapshot.serve_rest(|rest| rest.events_after(Dataset::Events, done, CHUNK_EVENTS)) {
                // Without those of damaged segments: the windows hold what the others say.
                Ok((events, _damaged)) => events,
                Err(error) => return error!(%error, "events before the mark not read"),
            };
            let Some(last) = events.last().map(|last| last.seq) else { break };
            let counts = |stored: &Stored| stored.seq <= until && self.from <= stored.event.timestamp;
            let known: Vec<Stored> = events.into_iter().filter(counts).collect();
            let matches = detector.detect(&known);
            let rows: Vec<Arrived<'_>> =
                known.iter().map(|stored| Arrived { seq: stored.seq, event: &stored.event }).collect();
            drop(correlator.push(&rows, &matches));
            self.done = last.min(until);
        }
        if goes_on() {
            self.done = self.done.max(until);
        }
    }
}

/// When the newest event up to `seq` happened.
fn newest_before(store: &Store, seq: Seq) -> Option<Timestamp> {
    let snapshot = store.snapshot();
    let sealed = snapshot.segments(Dataset::Events).map(|segment| segment.meta()).filter(|meta| meta.first_seq <= seq);
    let sealed = sealed.map(|meta| meta.timestamp_max).max();
    let recent = snapshot.recent(Dataset::Events).filter(|row| row.seq() <= seq);
    recent.map(|row| row.timestamp()).max().max(sealed)
}
