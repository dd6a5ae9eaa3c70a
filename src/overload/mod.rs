//! Overload as designed states: watched, acted on, shown and told (ADR 22).
//!
//! In: the disk, the store's backlog, how far detection is behind, what inputs dropped. Out: the state for pages, API and
//! metrics; a gate before the queue that is shut while nothing may be stored; a record of each change, which goes the way
//! of every record, so that rules raise our own alerts. Failure: a reserve that cannot be made is said and is a state.

pub mod reserve;
pub mod state;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nhatle_collector::Sink;
use nhatle_event::{Record, Text, Timestamp};
use serde_json::json;
use tracing::{error, info, warn};

use self::reserve::Reserve;
use self::state::{Change, Machine, Reading, State};
use crate::pipeline::Shared;
use crate::pipeline::shed;

/// How often the state is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// The input of the records about ourselves.
pub const INPUT: &str = "nhatle";

/// The state of a server.
pub struct Overload {
    reserve: Reserve,
    /// A write found no room since this was last looked at.
    has_no_room: AtomicBool,
    shown: Mutex<(State, Timestamp)>,
}

impl Overload {
    /// The state before the first look.
    pub fn new(data: &Path, reserve_bytes: u64, now: Timestamp) -> Overload {
        Overload {
            reserve: Reserve::new(data, reserve_bytes),
            has_no_room: AtomicBool::new(false),
            shown: Mutex::new((State::Normal, now)),
        }
    }

    /// The state, and since when.
    pub fn shown(&self) -> (State, Timestamp) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a write found no room.
    pub fn found_no_room(&self) {
        self.has_no_room.store(true, Ordering::Release);
    }

    /// How large the reserve is to be, whether it is held, and how much is free.
    pub fn room(&self) -> (u64, bool, Option<u64>) {
        (self.reserve.bytes(), self.reserve.is_held(), self.reserve.free_bytes())
    }
}

/// Looks until told to stop. The first look is made before anything is taken: see [`Watch::new`].
pub struct Watch {
    machine: Machine,
    sink: Sink,
}

impl Watch {
    /// Makes the reserve where there is room for it, and looks for the first time.
    pub fn new(shared: &Shared, sink: Sink) -> Watch {
        let reserve = &shared.overload.reserve;
        let is_roomy = reserve.free_bytes().is_none_or(|free| reserve.bytes() + reserve.bytes() / 2 <= free);
        if is_roomy && let Err(error) = reserve.hold() {
            warn!(%error, bytes = reserve.bytes(), "no reserve on the disk");
        }
        let mut watch = Watch { machine: Machine::default(), sink };
        watch.look(shared);
        watch
    }

    /// Looks again and again.
    pub fn run(mut self, shared: &Shared, is_stopping: &AtomicBool) {
        while !is_stopping.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_INTERVAL);
            self.look(shared);
        }
    }

    fn look(&mut self, shared: &Shared) {
        // With batches this is noted, too; the last of a flood has none behind it.
        shed::note(shared, self.sink.take_shed(), &shared.settings.get());
        shed::note_unreceived(shared, self.sink.take_unreceived());
        let stats = shared.store.stats();
        let (reserve_bytes, is_reserve_held, free_bytes) = shared.overload.room();
        let reading = Reading {
            free_bytes,
            reserve_bytes,
            is_reserve_held,
            has_no_room: shared.overload.has_no_room.swap(false, Ordering::AcqRel),
            backlog_bytes: stats.log_bytes,
            backlog_bytes_max: shared.backlog_bytes_max,
            behind_events: shared.live.behind(),
            flooded: self.sink.stats().flooded,
        };
        let now = shared.clock.now();
        if let Some(change) = self.machine.step(&reading, now) {
            self.act(shared, change, &reading, now);
        }
    }

    fn act(&self, shared: &Shared, change: Change, reading: &Reading, now: Timestamp) {
        *shared.overload.shown.lock().unwrap_or_else(PoisonError::into_inner) = (change.to, now);
        let (from, to) = (change.from.name(), change.to.name());
        let free_bytes = reading.free_bytes.unwrap_or(0);
        match change {
            Change { to: State::ReadOnly, .. } => {
                error!(from, free_bytes, "disk nearly full: nothing is taken until there is room");
                // Told before the gate is shut, which would keep it out.
                self.tell(change, reading, now);
                self.sink.shut_gate();
                if let Err(error) = shared.overload.reserve.give_up() {
                    error!(%error, "the reserve could not be given up");
                }
            }
            Change { from: State::ReadOnly, .. } => {
                info!(to, free_bytes, "room on the disk: records are taken again");
                if let Err(error) = shared.overload.reserve.hold() {
                    warn!(%error, bytes = reading.reserve_bytes, "no reserve on the disk");
                }
                self.sink.open_gate();
                self.tell(change, reading, now);
            }
            Change { to: State::Shedding, .. } => {
                warn!(
                    from,
                    dropped = reading.flooded,
                    "a sender sends more than its share; what is too much is dropped"
                );
                self.tell(change, reading, now);
            }
            Change { .. } => {
                info!(
                    from,
                    to,
                    behind = reading.behind_events,
                    backlog_bytes = reading.backlog_bytes,
                    "intake changed state"
                );
                self.tell(change, reading, now);
            }
        }
        shared.tick();
    }

    /// A record about the change. Where there is no room for it, it is counted like any other that is dropped.
    fn tell(&self, change: Change, reading: &Reading, now: Timestamp) {
        let told = json!({
            "@timestamp": now.to_string(),
            "event.provider": "nhatle",
            "event.action": format!("intake-{}", change.to.name()),
            "event.reason": format!("was {}", change.from.name()),
            "message": format!("intake is {}, was {}", change.to.name(), change.from.name()),
            "nhatle_intake": {
                "state": change.to.name(),
                "was": change.from.name(),
                "free_bytes": reading.free_bytes,
                "flooded": reading.flooded,
                "behind_events": reading.behind_events,
                "backlog_bytes": reading.backlog_bytes,
            },
        });
        let record =
            Record { profile: Some(Text::const_new("json")), ..Record::new(told.to_string().into_bytes(), INPUT, now) };
        self.sink.offer(vec![record]);
    }
}
