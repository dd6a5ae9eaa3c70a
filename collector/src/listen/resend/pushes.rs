//! Pushes whose answer may not have arrived: known again by all of their records.
//!
//! A push counts as repeated where the one before it
//! - broke off ([`State::Broken`]);
//! - was answered, and its connection has stood without a word since ([`State::Answered`]): the line may have gone silent;
//! - was answered while connections of the same address broke: what stands between (a balancer, a tunnel) may have
//!   swallowed the answer.
//!
//! A push that was answered over a connection that went on, or ended, with nothing wrong is never compared, so that a
//! sender may say the same thing twice.
//! Bounds: [`PUSHES_MAX`] in all, [`LANE_PUSHES_MAX`] of one lane, the time after which each is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use nhatle_event::Timestamp;

use super::memory::{Kept, PushMark};
use super::{Breaks, Delivery, Kind, Lane, State};

/// So many pushes are remembered.
pub const PUSHES_MAX: usize = 65_536;
/// And so many of one lane.
pub const LANE_PUSHES_MAX: usize = 1_024;
/// How long a push whose answer was not given is remembered.
pub const BROKEN_REMEMBERED_NS: i64 = 5 * 60 * 1_000_000_000;
/// How long one is that was answered and left in order.
pub const ANSWERED_REMEMBERED_NS: i64 = 60 * 1_000_000_000;
/// How long a connection has to have said nothing after an answer for that to be doubtful.
pub const SILENT_NS: i64 = 5 * 1_000_000_000;
/// An answer given so near to a break of another connection of its address may have been lost with it.
pub const NEAR_BREAK_NS: i64 = 1_000_000_000;

#[derive(Debug)]
struct Push {
    hash: u128,
    delivery: Arc<Delivery>,
    kept: Kept,
    /// It came again in the group that is being stored; only the newer one counts then.
    is_claimed: bool,
}

impl Push {
    /// Whether its sender may not have heard the answer.
    fn may_repeat(&self, now: Timestamp) -> bool {
        let (state, since) = self.delivery.state();
        match state {
            State::Open | State::Proven | State::Quiet => false,
            State::Broken => now.since(since) <= BROKEN_REMEMBERED_NS,
            State::Answered => {
                (SILENT_NS..=BROKEN_REMEMBERED_NS).contains(&now.since(since)) || self.is_near_break(since, now)
            }
            State::Left => self.is_near_break(since, now),
        }
    }

    fn is_near_break(&self, since: Timestamp, now: Timestamp) -> bool {
        now.since(since) <= ANSWERED_REMEMBERED_NS
            && self.delivery.breaks.is_near(self.delivery.peer, since, NEAR_BREAK_NS)
    }

    /// Whether it may still become one that repeats.
    fn is_past(&self, now: Timestamp) -> bool {
        let (state, since) = self.delivery.state();
        match state {
            State::Open => false,
            State::Proven | State::Quiet => true,
            State::Broken | State::Answered => BROKEN_REMEMBERED_NS < now.since(since),
            State::Left => ANSWERED_REMEMBERED_NS < now.since(since),
        }
    }

    /// Whether a server that is killed now would have to know it afterwards.
    fn is_open(&self, now: Timestamp) -> bool {
        let (state, since) = self.delivery.state();
        match state {
            State::Open => true,
            State::Answered | State::Left => now.since(since) <= NEAR_BREAK_NS,
            State::Broken => now.since(since) <= BROKEN_REMEMBERED_NS,
            State::Proven | State::Quiet => false,
        }
    }
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    lanes: BTreeMap<Lane, VecDeque<Push>>,
    count: usize,
    /// Lanes of the group that is being stored.
    touched: Vec<Lane>,
}

impl Pushes {
    /// How many pushes are remembered.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether all of a push is stored already. It is remembered either way.
    pub fn is_repeat(&mut self, delivery: &Arc<Delivery>, hash: u128, now: Timestamp) -> bool {
        self.make_room(now);
        let lane = self.lanes.entry(delivery.lane).or_default();
        let before = lane.len();
        lane.retain(|push| !push.is_past(now));
        if lane.len() == LANE_PUSHES_MAX {
            lane.pop_front();
        }
        let claims = |push: &&mut Push| push.hash == hash && push.kept != Kept::Refused && push.may_repeat(now);
        let mut kept = Kept::Pending;
        let mut is_repeat = false;
        for push in lane.iter_mut().filter(claims) {
            (is_repeat, push.is_claimed) = (true, true);
            if push.kept == Kept::Stored {
                kept = Kept::Stored;
            }
        }
        lane.push_back(Push { hash, delivery: Arc::clone(delivery), kept, is_claimed: false });
        self.count = self.count + lane.len() - before;
        self.touched.push(delivery.lane);
        is_repeat
    }

    pub fn settle(&mut self, is_stored: bool) {
        for lane in std::mem::take(&mut self.touched) {
            let Some(pushes) = self.lanes.get_mut(&lane) else { continue };
            let before = pushes.len();
            for push in pushes.iter_mut() {
                match (push.kept, is_stored) {
                    (Kept::Pending, true) => push.kept = Kept::Stored,
                    (Kept::Pending, false) => push.kept = Kept::Refused,
                    _ => {}
                }
                push.is_claimed &= is_stored;
            }
            // What came again is remembered by its newer self.
            pushes.retain(|push| !push.is_claimed && push.kept != Kept::Refused);
            self.count -= before - pushes.len();
            if pushes.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    pub fn remember(&mut self, breaks: &Arc<Breaks>, mark: PushMark, now: Timestamp) {
        if PUSHES_MAX <= self.count {
            return;
        }
        let delivery = Delivery::new(breaks, Kind::Push, mark.lane, None, now);
        delivery.set(State::Broken, now);
        let push = Push { hash: mark.hash, delivery, kept: Kept::Stored, is_claimed: false };
        self.lanes.entry(mark.lane).or_default().push_back(push);
        self.count += 1;
    }

    /// See [`super::Memory::open_pushes`]: at most [`LANE_PUSHES_MAX`].
    pub fn open(&mut self, now: Timestamp) -> Vec<PushMark> {
        let all = self.lanes.iter().flat_map(|(lane, pushes)| pushes.iter().map(move |push| (*lane, push)));
        let open = all.filter(|(_, push)| !push.is_claimed && push.kept != Kept::Refused && push.is_open(now));
        let mut marks: Vec<PushMark> =
            open.map(|(lane, push)| PushMark { lane, hash: push.hash }).take(LANE_PUSHES_MAX).collect();
        marks.sort_unstable();
        marks.dedup();
        marks
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.count < PUSHES_MAX {
            return;
        }
        self.lanes.retain(|_, pushes| {
            pushes.retain(|push| push.kept == Kept::Pending || !push.is_past(now));
            !pushes.is_empty()
        });
        self.count = self.lanes.values().map(VecDeque::len).sum();
        if PUSHES_MAX <= self.count {
            // All of them may come again: the older half goes.
            for pushes in self.lanes.values_mut() {
                pushes.drain(..pushes.len().div_ceil(2));
            }
            self.lanes.retain(|_, pushes| !pushes.is_empty());
            self.count = self.lanes.values().map(VecDeque::len).sum();
        }
    }
}
