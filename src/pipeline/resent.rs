//! What of the memory of resends outlives the process: it is written with the batches, and read at the start.
//!
//! Of pushes over HTTP the hashes of those whose answer may not have arrived stand in a mark of the batch that stores them;
//! once they have arrived a later mark leaves them out. The records of RELP sessions are in the log itself: a mark says
//! only that there are some, and the last ones are read again. Failure: what cannot be read is logged, and what is sent
//! again after this start may then stand there twice.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use nhatle_collector::listen::resend::{Breaks, Delivery, Lane, Memory, PushMark};
use nhatle_event::{Event, Field, Seq, Stored, Timestamp};
use nhatle_storage::{Dataset, Store};
use tracing::error;

/// The input whose sessions are remembered.
const SESSIONS_INPUT: &str = "relp";
/// The mark with the hashes of pushes.
const PUSHES_MARK: &str = "resend.pushes";
/// The mark with a `Seq` before the last records of sessions.
const SESSIONS_MARK: &str = "resend.sessions";
/// So many events are read again for the sake of the sessions' last records.
const EVENTS_READ_MAX: usize = 32_768;
/// Of them so many may lie before what the mark speaks of.
const EVENTS_BEFORE: u64 = 16_384;

/// The memory, and what of it is written down.
#[derive(Debug, Default)]
pub struct Resent {
    memory: Memory,
    /// `None` = not known.
    written: Option<Vec<PushMark>>,
}

impl Resent {
    /// The memory as the store says it must be.
    pub fn new(store: &Store, breaks: &Arc<Breaks>, now: Timestamp) -> Resent {
        let mut memory = Memory::default();
        let written = store.mark(PUSHES_MARK).map(|bytes| read(&bytes)).unwrap_or_default();
        memory.remember_pushes(breaks, &written, now);
        if let Some(after) = store.mark(SESSIONS_MARK).and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            for (lane, events) in last_of_sessions(store, after) {
                let records = events.iter().map(|stored| &*stored.event.original);
                memory.remember_sessions(breaks, lane, records, now);
            }
        }
        Resent { memory, written: Some(written) }
    }

    /// Which rows of a part are stored already, by their place, rising.
    pub fn look(&mut self, delivery: &Arc<Delivery>, rows: &[(Dataset, Event)], now: Timestamp) -> Vec<u32> {
        self.memory.look(delivery, rows.iter().map(|(_, event)| &*event.original), now)
    }

    /// What a batch has to say of the resends. `sessions_after`: a `Seq` before those of its rows, where there are records
    /// of sessions among them.
    pub fn marks(&mut self, sessions_after: Option<u64>, now: Timestamp) -> Vec<(String, Vec<u8>)> {
        let mut marks = Vec::new();
        if let Some(after_seq) = sessions_after {
            marks.push((SESSIONS_MARK.to_owned(), after_seq.to_string().into_bytes()));
        }
        let open = self.memory.open_pushes(now);
        if self.written.as_ref() != Some(&open) {
            marks.push((PUSHES_MARK.to_owned(), write(&open)));
            self.written = Some(open);
        }
        marks
    }

    /// The batch is durable, or it is not.
    pub fn settle(&mut self, is_stored: bool) {
        self.memory.settle(is_stored);
        if !is_stored {
            self.written = None;
        }
    }
}

/// The last records of sessions, by lane, in the order in which they were stored.
fn last_of_sessions(store: &Store, after: u64) -> BTreeMap<Lane, Vec<Stored>> {
    let snapshot = store.snapshot();
    let mut lanes: BTreeMap<Lane, Vec<Stored>> = BTreeMap::new();
    for dataset in [Dataset::Events, Dataset::DeadLetters] {
        let from = Seq(after.saturating_sub(EVENTS_BEFORE));
        match snapshot.events_after(dataset, from, EVENTS_READ_MAX) {
            Ok(events) => {
                for stored in events {
                    if stored.event.text(Field::NHATLE_INPUT) == Some(SESSIONS_INPUT) {
                        lanes.entry(lane_of(&stored.event)).or_default().push(stored);
                    }
                }
            }
            Err(error) => error!(%error, "last records of RELP not read; what is sent again may be stored twice"),
        }
    }
    lanes.values_mut().for_each(|events| events.sort_by_key(|stored| stored.seq));
    lanes
}

fn lane_of(event: &Event) -> Lane {
    let peer: Option<IpAddr> = event.text(Field::LOG_SOURCE_ADDRESS).and_then(|address| address.parse().ok());
    Lane::of_peer(SESSIONS_INPUT, peer)
}

fn write(marks: &[PushMark]) -> Vec<u8> {
    let lines = marks.iter().map(|mark| format!("{:016x}{:032x}\n", mark.lane.0, mark.hash));
    lines.collect::<String>().into_bytes()
}

fn read(bytes: &[u8]) -> Vec<PushMark> {
    let text = String::from_utf8_lossy(bytes);
    let marks = text.lines().filter_map(|line| {
        let (lane, hash) = line.split_at_checked(16)?;
        let lane = Lane(u64::from_str_radix(lane, 16).ok()?);
        Some(PushMark { lane, hash: u128::from_str_radix(hash, 16).ok()? })
    });
    marks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_as_they_were_written() {
        let marks = vec![PushMark { lane: Lane(7), hash: 1 }, PushMark { lane: Lane(u64::MAX), hash: u128::MAX - 3 }];
        assert_eq!(read(&write(&marks)), marks);
        assert_eq!(read(b"khong phai\n\xff\n00\n"), []);
    }
}
