//! Sessions whose answers may not have arrived: known again by their last records, one after the other.
//!
//! A sender that comes back sends what was not answered, oldest first, and then goes on. So the first records of a session
//! are compared with the tails of the other sessions of its lane: what follows there one by one is stored already. With
//! the first record that does not follow the comparison ends for this session, and what was found again is forgotten,
//! so that a record which is the same as an older one is stored. Where records of the tail repeat each other, every
//! place where the row may be is followed ([`PLACES_MAX`]).
//! The tail that is made of the log after a restart holds the records of all sessions of a lane; there a row may leave out
//! records, but never goes back.
//!
//! Bounds: records of a tail ([`TAIL_MAX`]: as many as may be unanswered), of all tails ([`RECORDS_MAX`], past which open
//! sessions keep [`TIGHT_TAIL_MAX`] each), tails of a lane ([`LANE_TAILS_MAX`]) and of all ([`TAILS_MAX`]), the time after
//! which each is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use nhatle_event::Timestamp;

use super::memory::Kept;
use super::{Breaks, Delivery, Kind, Lane, State};

/// So many records of a session are remembered: as many as may be unanswered.
pub const TAIL_MAX: usize = 16_384;
/// So many of one that is open where [`RECORDS_MAX`] are remembered.
pub const TIGHT_TAIL_MAX: usize = 512;
/// So many records are remembered, of all sessions together.
pub const RECORDS_MAX: usize = 1 << 20;
/// So many sessions of a lane are remembered.
pub const LANE_TAILS_MAX: usize = 64;
/// So many sessions are remembered, of all lanes together.
pub const TAILS_MAX: usize = 16_384;
/// At so many places of the tails a row may be.
pub const PLACES_MAX: usize = 64;
/// How long a session that broke is remembered.
pub const BROKEN_REMEMBERED_NS: i64 = 24 * 3600 * 1_000_000_000;
/// How long one is that ended without a farewell, all of it answered.
pub const QUIET_REMEMBERED_NS: i64 = 600 * 1_000_000_000;

#[derive(Debug)]
struct Tail {
    delivery: Arc<Delivery>,
    records: VecDeque<(u64, Kept)>,
    /// How many records went before the first of `records`.
    before: u64,
    /// How many of the last ones belong to the group that is being stored.
    touched: usize,
    row: Row,
    /// Made of the log: the records of all sessions of the lane.
    is_of_log: bool,
}

/// How far the first records of a session are found in the tails of others.
#[derive(Debug)]
enum Row {
    /// Nothing has come yet.
    Fresh,
    /// All of it so far: the places where the next record may stand.
    On(Vec<Place>),
    Over,
}

/// A place in a tail: its number, and how many records of it went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    tail: u64,
    next: u64,
}

impl Tail {
    fn may_repeat(&self, now: Timestamp) -> bool {
        let (state, since) = self.delivery.state();
        match state {
            State::Proven => false,
            // Its end may not have been heard here yet.
            State::Open | State::Answered | State::Left => true,
            State::Quiet => now.since(since) <= QUIET_REMEMBERED_NS,
            State::Broken => now.since(since) <= BROKEN_REMEMBERED_NS,
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.delivery.state().0, State::Proven | State::Quiet | State::Broken)
    }

    /// The record that so many went before.
    fn get(&self, at: u64) -> Option<(u64, Kept)> {
        let at = usize::try_from(at.checked_sub(self.before)?).ok()?;
        self.records.get(at).copied()
    }

    /// Where this record follows, at this place or, in a tail of the log, after it.
    fn follow(&self, from: u64, hash: u64) -> Option<(u64, Kept)> {
        if !self.is_of_log {
            return self.get(from).filter(|(known, _)| *known == hash).map(|(_, kept)| (from + 1, kept));
        }
        (from..self.before + self.records.len() as u64)
            .find_map(|at| self.get(at).filter(|(known, _)| *known == hash).map(|(_, kept)| (at + 1, kept)))
    }
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    tails: BTreeMap<u64, Tail>,
    /// The tails of each lane, the oldest first.
    lanes: BTreeMap<Lane, VecDeque<u64>>,
    records: usize,
    /// Sessions of the group that is being stored.
    touched: Vec<u64>,
    /// Tails that were found again in it.
    claimed: Vec<u64>,
}

/// One session among them.
pub(super) struct Session<'a> {
    all: &'a mut Sessions,
    number: u64,
    lane: Lane,
}

impl Sessions {
    /// The session of this delivery.
    pub fn of(&mut self, delivery: &Arc<Delivery>, now: Timestamp) -> Session<'_> {
        let (number, lane) = (delivery.number, delivery.lane);
        if !self.tails.contains_key(&number) {
            self.forget_past(lane, now);
            self.make_room();
            self.add(delivery, false);
        }
        Session { all: self, number, lane }
    }

    /// How many records are remembered.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Forgets the tails of a lane that cannot come again.
    fn forget_past(&mut self, lane: Lane, now: Timestamp) {
        let of_lane = self.lanes.get(&lane).into_iter().flatten();
        let is_past = |number: &&u64| self.tails.get(number).is_none_or(|tail| !tail.may_repeat(now));
        let past: Vec<u64> = of_lane.filter(is_past).copied().collect();
        past.into_iter().for_each(|number| self.forget(number));
    }

    /// Forgets the oldest sessions where there is no room for another; first those that have ended.
    fn make_room(&mut self) {
        if self.records < RECORDS_MAX && self.tails.len() < TAILS_MAX {
            return;
        }
        let ended = self.tails.iter().filter(|(_, tail)| tail.has_ended()).map(|(number, _)| *number);
        let half = TAILS_MAX / 2;
        let ended: Vec<u64> = ended.take(half).collect();
        let gone = if ended.is_empty() && TAILS_MAX <= self.tails.len() {
            self.tails.keys().copied().take(half).collect()
        } else {
            ended
        };
        gone.into_iter().for_each(|number| self.forget(number));
    }

    fn add(&mut self, delivery: &Arc<Delivery>, is_of_log: bool) {
        let (number, lane) = (delivery.number, delivery.lane);
        let lane = self.lanes.entry(lane).or_default();
        lane.push_back(number);
        let oldest = if LANE_TAILS_MAX < lane.len() { lane.front().copied() } else { None };
        let row = if is_of_log { Row::Over } else { Row::Fresh };
        let (records, before) = (VecDeque::new(), 0);
        let tail = Tail { delivery: Arc::clone(delivery), records, before, touched: 0, row, is_of_log };
        self.tails.insert(number, tail);
        oldest.into_iter().for_each(|oldest| self.forget(oldest));
    }

    fn forget(&mut self, number: u64) {
        let Some(tail) = self.tails.remove(&number) else { return };
        self.records -= tail.records.len();
        let lane = tail.delivery.lane;
        if let Some(numbers) = self.lanes.get_mut(&lane) {
            numbers.retain(|one| *one != number);
            if numbers.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    pub fn settle(&mut self, is_stored: bool) {
        for number in std::mem::take(&mut self.touched) {
            let Some(tail) = self.tails.get_mut(&number) else { continue };
            let touched = std::mem::take(&mut tail.touched);
            let kept = if is_stored { Kept::Stored } else { Kept::Refused };
            let pending = tail.records.iter_mut().rev().take(touched).filter(|(_, kept)| *kept == Kept::Pending);
            pending.for_each(|(_, is)| *is = kept);
        }
        for number in std::mem::take(&mut self.claimed) {
            let is_done = self.tails.get(&number).is_some_and(|tail| !tail.is_of_log && tail.has_ended());
            if is_stored && is_done {
                self.forget(number);
            }
        }
    }

    pub fn remember(&mut self, breaks: &Arc<Breaks>, lane: Lane, hashes: impl Iterator<Item = u64>, now: Timestamp) {
        let delivery = Delivery::new(breaks, Kind::Session, lane, None, now);
        delivery.set(State::Broken, now);
        self.add(&delivery, true);
        for hash in hashes {
            self.push(delivery.number, hash, Kept::Stored);
        }
        if let Some(tail) = self.tails.get_mut(&delivery.number) {
            tail.touched = 0;
        }
    }

    /// Adds a record to a tail and forgets what is past the bounds.
    fn push(&mut self, number: u64, hash: u64, kept: Kept) {
        let most = if RECORDS_MAX <= self.records { TIGHT_TAIL_MAX } else { TAIL_MAX };
        let Some(tail) = self.tails.get_mut(&number) else { return };
        tail.records.push_back((hash, kept));
        tail.touched = (tail.touched + 1).min(most);
        let over = tail.records.len().saturating_sub(most);
        tail.records.drain(..over);
        tail.before += over as u64;
        self.records = self.records + 1 - over;
    }
}

impl Session<'_> {
    /// Whether the next record of the session is stored already. It is remembered either way.
    pub fn is_repeat(&mut self, hash: u64, now: Timestamp) -> bool {
        let row = self.all.tails.get_mut(&self.number).map(|tail| std::mem::replace(&mut tail.row, Row::Over));
        let (row, found) = match row {
            Some(Row::Fresh) => self.begin(hash, now),
            Some(Row::On(places)) => self.go_on(&places, hash),
            Some(Row::Over) | None => (Row::Over, None),
        };
        if let Some(tail) = self.all.tails.get_mut(&self.number) {
            tail.row = row;
        }
        let kept = found.filter(|kept| *kept != Kept::Refused);
        self.all.push(self.number, hash, kept.unwrap_or(Kept::Pending));
        self.all.touched.push(self.number);
        self.all.touched.dedup();
        kept.is_some()
    }

    /// Where the first record may stand in the tails of others, the newest ones first.
    fn begin(&self, hash: u64, now: Timestamp) -> (Row, Option<Kept>) {
        let mut places = Vec::new();
        let mut found = None;
        let others = self.all.lanes.get(&self.lane).into_iter().flatten().rev().filter(|other| **other != self.number);
        for number in others {
            let Some(tail) = self.all.tails.get(number).filter(|tail| tail.may_repeat(now)) else { continue };
            for (at, (_, kept)) in tail.records.iter().enumerate().rev().filter(|(_, (known, _))| *known == hash) {
                if places.len() == PLACES_MAX {
                    break;
                }
                places.push(Place { tail: *number, next: tail.before + at as u64 + 1 });
                found = better(found, *kept);
            }
        }
        if places.is_empty() { (Row::Over, None) } else { (Row::On(places), found) }
    }

    fn go_on(&mut self, places: &[Place], hash: u64) -> (Row, Option<Kept>) {
        let mut found = None;
        let mut next: Vec<Place> = Vec::new();
        for place in places {
            let Some(tail) = self.all.tails.get(&place.tail) else { continue };
            let Some((at, kept)) = tail.follow(place.next, hash) else { continue };
            found = better(found, kept);
            let place = Place { tail: place.tail, next: at };
            // Two rows in a tail of the log may meet.
            if next.last() != Some(&place) {
                next.push(place);
            }
        }
        if next.is_empty() {
            self.all.claimed.extend(places.iter().map(|place| place.tail));
            return (Row::Over, None);
        }
        (Row::On(next), found)
    }
}

/// What is stored is, wherever else it was refused.
fn better(found: Option<Kept>, kept: Kept) -> Option<Kept> {
    match (found, kept) {
        (Some(Kept::Stored), _) | (_, Kept::Stored) => Some(Kept::Stored),
        (Some(Kept::Pending), _) | (_, Kept::Pending) => Some(Kept::Pending),
        _ => Some(Kept::Refused),
    }
}
