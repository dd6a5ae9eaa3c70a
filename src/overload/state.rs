//! The states of overload, as a pure machine: readings in, changes of state out (ADR 22).
//!
//! | state | begins | ends | what is done |
//! | --- | --- | --- | --- |
//! | behind | half of `backlog_bytes_max` waits to be sealed, or detection is [`BEHIND_EVENTS`] behind | at half of that | search and alerts lag; previews, hunts and sealing give way; nothing is refused |
//! | shedding | records of a sender past its share were dropped | [`SHED_LINGER_NS`] without | UDP of the flood is dropped and counted; TCP and RELP of it wait; HTTP 429 |
//! | read-only | less than a quarter of the reserve is free, or a write found no room | one and a half times the reserve is free, with the reserve given up | nothing is taken; what is in already is stored in the reserve; people go on working |
//!
//! The worse state is shown; a state never ends and begins within one reading. No clock, no disk.

use nhatle_event::Timestamp;

/// Detection this far behind is overload.
pub const BEHIND_EVENTS: u64 = 200_000;
/// So long after the last dropped record shedding is over, in nanoseconds.
pub const SHED_LINGER_NS: i64 = 10_000_000_000;

/// So long after a write that found no room, at least, nothing is taken, in nanoseconds.
pub const NO_ROOM_LINGER_NS: i64 = 5_000_000_000;

/// What state intake is in; the later one is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Everything is taken and looked at.
    #[default]
    Normal,
    /// Search or detection lags.
    Behind,
    /// Records of senders past their share are dropped.
    Shedding,
    /// Nothing is taken, because nothing more may be stored.
    ReadOnly,
}

impl State {
    /// Its name in metrics, the API and messages.
    pub fn name(self) -> &'static str {
        match self {
            State::Normal => "normal",
            State::Behind => "behind",
            State::Shedding => "shedding",
            State::ReadOnly => "read-only",
        }
    }

    /// Its number in metrics.
    pub fn number(self) -> u64 {
        match self {
            State::Normal => 0,
            State::Behind => 1,
            State::Shedding => 2,
            State::ReadOnly => 3,
        }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Bytes free on the disk of the data folder; `None` where it does not say.
    pub free_bytes: Option<u64>,
    /// The reserve, as it should be; 0 = there is none.
    pub reserve_bytes: u64,
    /// The reserve takes its place on the disk.
    pub is_reserve_held: bool,
    /// A write found no room since the reading before.
    pub has_no_room: bool,
    /// Bytes that wait to be sealed.
    pub backlog_bytes: u64,
    /// `[storage] backlog_bytes_max`.
    pub backlog_bytes_max: u64,
    /// By how many events detection is behind.
    pub behind_events: u64,
    /// Records of senders past their share that were dropped, since the start.
    pub flooded: u64,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Machine {
    state: State,
    flooded: u64,
    /// When more had been dropped than the time before.
    shed_at: Option<Timestamp>,
    /// When a write had found no room.
    no_room_at: Option<Timestamp>,
}

impl Machine {
    /// The state now.
    pub fn state(&self) -> State {
        self.state
    }

    /// Looks at a reading; says what changed.
    pub fn step(&mut self, reading: &Reading, now: Timestamp) -> Option<Change> {
        if self.flooded < reading.flooded {
            self.flooded = reading.flooded;
            self.shed_at = Some(now);
        }
        // A moment that is yet to come is none: a clock that was set back must not keep intake shut until it is there again.
        let lingers = |at: Timestamp, linger_ns: i64| (0..linger_ns).contains(&now.since(at));
        let is_shedding = self.shed_at.is_some_and(|at| lingers(at, SHED_LINGER_NS));
        if reading.has_no_room {
            self.no_room_at = Some(now);
        }
        let was_refused = self.no_room_at.is_some_and(|at| lingers(at, NO_ROOM_LINGER_NS));
        let to = if was_refused || self.has_little_room(reading) {
            State::ReadOnly
        } else if is_shedding {
            State::Shedding
        } else if self.is_behind(reading) {
            State::Behind
        } else {
            State::Normal
        };
        let from = std::mem::replace(&mut self.state, to);
        (from != to).then_some(Change { from, to })
    }

    fn has_little_room(&self, reading: &Reading) -> bool {
        // A disk that does not say how much is free is full when a write says so.
        let free = reading.free_bytes.unwrap_or(u64::MAX);
        let reserve = reading.reserve_bytes;
        match reading.is_reserve_held {
            true => free < reserve / 4,
            // It was given up, or could not be made.
            false => free < reserve.saturating_add(reserve / 2),
        }
    }

    fn is_behind(&self, reading: &Reading) -> bool {
        let (bytes, events) = match self.state {
            State::Behind => (reading.backlog_bytes_max / 4, BEHIND_EVENTS / 2),
            _ => (reading.backlog_bytes_max / 2, BEHIND_EVENTS),
        };
        bytes < reading.backlog_bytes || events < reading.behind_events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SECOND: i64 = 1_000_000_000;

    /// Readings, a second apart, with the state each must end in.
    #[track_caller]
    fn check(readings: &[(Reading, State)]) {
        let mut machine = Machine::default();
        for (at, (reading, expected)) in (0i64..).zip(readings) {
            let before = machine.state();
            let change = machine.step(reading, Timestamp(at * SECOND));
            assert_eq!(machine.state(), *expected, "reading {at}");
            let told = (before != *expected).then_some(Change { from: before, to: *expected });
            assert_eq!(change, told, "reading {at}");
        }
    }

    fn calm() -> Reading {
        Reading {
            free_bytes: Some(1_000 * MIB),
            reserve_bytes: 100 * MIB,
            is_reserve_held: true,
            backlog_bytes_max: 256 * MIB,
            ..Reading::default()
        }
    }

    #[test]
    fn a_full_disk_begins_and_ends_at_different_marks() {
        let held = |free: u64| Reading { free_bytes: Some(free * MIB), ..calm() };
        let given_up = |free: u64| Reading { is_reserve_held: false, ..held(free) };
        check(&[
            (held(26), State::Normal),
            (held(24), State::ReadOnly),
            (given_up(124), State::ReadOnly),
            (given_up(149), State::ReadOnly),
            (given_up(150), State::Normal),
            (held(50), State::Normal),
            (Reading { has_no_room: true, ..held(50) }, State::ReadOnly),
            (given_up(500), State::ReadOnly),
            (given_up(500), State::ReadOnly),
            (Reading { has_no_room: true, ..given_up(500) }, State::ReadOnly),
            (given_up(500), State::ReadOnly),
            (given_up(500), State::ReadOnly),
            (given_up(500), State::ReadOnly),
            (given_up(500), State::ReadOnly),
            (given_up(500), State::Normal),
        ]);
        // A reserve that cannot be made at the start; none that is wanted.
        check(&[(given_up(120), State::ReadOnly), (given_up(151), State::Normal)]);
        let none = Reading { reserve_bytes: 0, is_reserve_held: false, free_bytes: Some(0), ..calm() };
        check(&[(none, State::Normal), (Reading { has_no_room: true, ..none }, State::ReadOnly)]);
        check(&[(Reading { free_bytes: None, ..calm() }, State::Normal)]);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_shut() {
        let mut machine = Machine::default();
        let refused = Reading { has_no_room: true, flooded: 1, ..calm() };
        machine.step(&refused, Timestamp(1_000_000 * SECOND));
        assert_eq!(machine.state(), State::ReadOnly);
        machine.step(&Reading { flooded: 1, ..calm() }, Timestamp(SECOND));
        assert_eq!(machine.state(), State::Normal);
    }

    #[test]
    fn shedding_lingers_and_lag_has_two_marks() {
        let shed = |shed: u64| Reading { flooded: shed, ..calm() };
        let mut readings = vec![(shed(0), State::Normal), (shed(5), State::Shedding)];
        readings.extend((0..9).map(|_| (shed(5), State::Shedding)));
        readings.push((shed(5), State::Normal));
        check(&readings);
        let behind = |mib: u64, events: u64| Reading { backlog_bytes: mib * MIB, behind_events: events, ..calm() };
        check(&[
            (behind(128, 0), State::Normal),
            (behind(129, 0), State::Behind),
            (behind(65, 0), State::Behind),
            (behind(64, 0), State::Normal),
            (behind(0, BEHIND_EVENTS + 1), State::Behind),
            (Reading { flooded: 1, ..behind(129, 0) }, State::Shedding),
            (Reading { flooded: 1, free_bytes: Some(0), ..behind(129, 0) }, State::ReadOnly),
        ]);
    }
}
