//! Resends: what a sender sends again because it heard no answer is known and not stored twice.
//!
//! In: of each push over HTTP and each session of RELP a [`Delivery`], kept up to date by its input: whether the answer was
//! given, and how its connection ended. Out: [`Memory`], which the stage that stores asks which records of a batch are there
//! already. Neither protocol carries ids, so a resend is known by its place: it comes first after a break, from the same
//! sender, in the same order. Reasons and limits: ADR 25.
//!
//! Bounds: addresses whose breaks are remembered ([`PEERS_MAX`]); those of [`Memory`]. Failure: none.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::quality::FixedState;
use nhatle_event::{Clock, Timestamp};

mod memory;
mod pushes;
mod sessions;

#[cfg(test)]
mod tests;

pub use memory::{Memory, PushMark};

/// Of so many addresses it is remembered when their connections broke.
pub const PEERS_MAX: usize = 4_096;
/// And of each so many breaks.
const BREAKS_MAX: usize = 64;
/// Breaks nearer together are one.
const BREAK_GRAIN_NS: i64 = 250_000_000;

/// Whose records may repeat each other: an input and what is known of the sender, by its hash. Stable while the program
/// runs and over restarts of the same version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u64);

impl Lane {
    /// The lane of everything this address sends to this input.
    pub fn of_peer(input: &str, peer: Option<IpAddr>) -> Lane {
        Lane(FixedState::default().hash_one((input, peer)))
    }

    /// The lane of this token at this address.
    pub fn of_token(token: &str, unit: Option<&str>, peer: Option<IpAddr>) -> Lane {
        Lane(FixedState::default().hash_one(("token", token, unit, peer)))
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Records one by one, in the order of a session (RELP).
    Session,
    /// All records of a batch together (a push).
    Push,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Its connection is open, or its answer not given yet.
    Open = 0,
    /// The answer was given, and the connection has said nothing since.
    Answered = 1,
    /// The sender has heard the answer: it went on, or took leave.
    Proven = 2,
    /// The session ended without a farewell, all of it answered.
    Quiet = 3,
    /// The connection broke before the answer was given or while it was.
    Broken = 4,
    /// The answer was given, and the sender then ended the connection in order.
    Left = 5,
}

impl State {
    fn from_number(number: u8) -> State {
        match number {
            1 => State::Answered,
            2 => State::Proven,
            3 => State::Quiet,
            4 => State::Broken,
            5 => State::Left,
            _ => State::Open,
        }
    }
}

/// One push, or one session: whose it is and what became of its answers.
#[derive(Debug)]
pub struct Delivery {
    lane: Lane,
    kind: Kind,
    /// Tells deliveries apart.
    number: u64,
    peer: Option<IpAddr>,
    state: AtomicU8,
    /// When its state became that.
    since_ns: AtomicI64,
    breaks: Arc<Breaks>,
}

impl Delivery {
    /// One that begins.
    pub fn new(breaks: &Arc<Breaks>, kind: Kind, lane: Lane, peer: Option<IpAddr>, now: Timestamp) -> Arc<Delivery> {
        Arc::new(Delivery {
            lane,
            kind,
            number: breaks.deliveries.fetch_add(1, Ordering::Relaxed),
            peer,
            state: AtomicU8::new(State::Open as u8),
            since_ns: AtomicI64::new(now.0),
            breaks: Arc::clone(breaks),
        })
    }

    /// Whether it is a session, whose records are compared one by one.
    pub fn is_session(&self) -> bool {
        self.kind == Kind::Session
    }

    /// How far it is, and since when.
    pub fn state(&self) -> (State, Timestamp) {
        let state = State::from_number(self.state.load(Ordering::Acquire));
        (state, Timestamp(self.since_ns.load(Ordering::Acquire)))
    }

    /// It goes on to this state.
    pub fn set(&self, state: State, now: Timestamp) {
        self.since_ns.store(now.0, Ordering::Release);
        self.state.store(state as u8, Ordering::Release);
        if let (State::Broken | State::Quiet, Some(peer)) = (state, self.peer) {
            self.breaks.note(peer, now);
        }
    }
}

/// A delivery that is broken when this is dropped before its input has said otherwise.
pub(super) struct Ending {
    delivery: Arc<Delivery>,
    clock: Arc<dyn Clock>,
}

impl Ending {
    pub(super) fn new(delivery: Arc<Delivery>, clock: Arc<dyn Clock>) -> Ending {
        Ending { delivery, clock }
    }

    pub(super) fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    pub(super) fn set(&self, state: State) {
        self.delivery.set(state, self.clock.now());
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.delivery.state().0 == State::Open {
            self.set(State::Broken);
        }
    }
}

/// The push that a connection brought last: what comes after it proves that its answer was heard, and a connection that
/// breaks takes the answer with it.
#[derive(Clone, Default)]
pub struct LastPush(Arc<Mutex<Option<Ending>>>);

impl LastPush {
    /// A request has come: whoever asks again has heard the last answer.
    pub(super) fn asks_again(&self) {
        self.end(State::Proven);
    }

    /// This one was answered.
    pub(super) fn answered(&self, ending: Ending) {
        ending.set(State::Answered);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
    }

    /// The sender ended the connection in order.
    pub(super) fn left(&self) {
        self.end(State::Left);
    }

    /// The connection broke.
    pub(super) fn broke(&self) {
        self.end(State::Broken);
    }

    fn end(&self, state: State) {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ending) = last {
            // For one that has left it counts when it was answered.
            let (_, since) = ending.delivery.state();
            ending.delivery.set(state, if state == State::Left { since } else { ending.clock.now() });
        }
    }
}

/// When connections of each address broke.
#[derive(Debug, Default)]
pub struct Breaks {
    deliveries: AtomicU64,
    of_peers: Mutex<BTreeMap<IpAddr, VecDeque<Timestamp>>>,
}

impl Breaks {
    fn note(&self, peer: IpAddr, now: Timestamp) {
        let mut of_peers = self.of_peers.lock().unwrap_or_else(PoisonError::into_inner);
        if PEERS_MAX <= of_peers.len() && !of_peers.contains_key(&peer) {
            let stalest = of_peers.iter().min_by_key(|(_, breaks)| breaks.back().copied()).map(|(peer, _)| *peer);
            stalest.map(|stalest| of_peers.remove(&stalest));
        }
        let breaks = of_peers.entry(peer).or_default();
        if breaks.back().is_some_and(|last| now.since(*last).abs() < BREAK_GRAIN_NS) {
            return;
        }
        if breaks.len() == BREAKS_MAX {
            breaks.pop_front();
        }
        breaks.push_back(now);
    }

    /// Whether a connection of this address broke so near to that time.
    fn is_near(&self, peer: Option<IpAddr>, at: Timestamp, span_ns: i64) -> bool {
        let Some(peer) = peer else { return false };
        let of_peers = self.of_peers.lock().unwrap_or_else(PoisonError::into_inner);
        of_peers.get(&peer).is_some_and(|breaks| breaks.iter().any(|one| one.since(at).abs() <= span_ns))
    }
}

/// The hash of a record in a session.
pub fn record_hash(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}

/// The hash of all records of a push, in their order.
pub fn push_hash<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> u128 {
    let states = [FixedState::with_seed(0x9e37_79b9_7f4a_7c15), FixedState::with_seed(0xc2b2_ae3d_27d4_eb4f)];
    let [high, low] = records
        .into_iter()
        .fold([0u64; 2], |[high, low], bytes| [states[0].hash_one((high, bytes)), states[1].hash_one((low, bytes))]);
    u128::from(high) << 64 | u128::from(low)
}
