//! `FairQueue`: one bounded queue for each sender, served in turn by bytes, so that no sender can starve another.
//!
//! In: items with the sender they come from and how many bytes they weigh. Out: the same items, in their order within
//! a sender; between senders that wait, equal bytes (deficit round robin, Shreedhar and Varghese, SIGCOMM 1995), which
//! is max-min fair: whoever wants less than an equal share gets all of it, and what is left is shared by the others.
//!
//! Promise on room ([`FairQueue::has_room`]): a sender that has nothing waiting gets in while there is any room; one that has
//! something waiting may hold at most as much as is still free (dynamic thresholds, Choudhury and Hahne, 1998, with
//! factor 1). So a single flood holds half of the room, two floods a third each, and some room is always left for who
//! is quiet. Bounds: bytes of all, senders kept apart ([`SENDERS_MAX`]); past that bound senders share
//! [`SHARED_QUEUES`] queues by the hash of their name. Pure: no clock, no lock, no async.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::quality::FixedState;

/// So many bytes a sender may be served in its turn.
pub const QUANTUM_BYTES: usize = 64 << 10;
/// So many senders with something waiting are kept apart.
pub const SENDERS_MAX: usize = 4_096;
/// Senders past [`SENDERS_MAX`] share so many queues.
pub const SHARED_QUEUES: u16 = 64;

/// Who sends, as far as it is known before a record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// This program itself: canaries, the demo.
    Own,
    /// An address.
    Peer(IpAddr),
    /// A token, a forwarder or another name, by its hash.
    Name(u64),
    /// One of the queues for senders past the bound. Last in the order: `queue_of` relies on it.
    Shared(u16),
}

impl Sender {
    /// The sender of this name.
    pub fn named(name: &str) -> Sender {
        Sender::Name(FixedState::default().hash_one(name))
    }

    /// Who sends: the name it proved, else its address, else the input.
    pub fn of(source: Option<&str>, peer: Option<IpAddr>, input: &str) -> Sender {
        match (source, peer) {
            (Some(name), _) => Sender::named(name),
            (None, Some(peer)) => Sender::Peer(peer),
            (None, None) => Sender::named(input),
        }
    }

    /// The queue it shares with others once there are too many senders.
    fn shared(self) -> Sender {
        let number = FixedState::default().hash_one(self) % u64::from(SHARED_QUEUES);
        Sender::Shared(u16::try_from(number).unwrap_or(0))
    }
}

/// What one sender has waiting. Never empty while it is kept.
struct Waiting<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    /// How many bytes it may still be served in this turn.
    deficit: usize,
}

/// The queues of all senders.
pub struct FairQueue<T> {
    senders: BTreeMap<Sender, Waiting<T>>,
    /// Senders with something waiting, the one whose turn it is in front.
    turns: VecDeque<Sender>,
    bytes: usize,
    bytes_max: usize,
}

impl<T> FairQueue<T> {
    /// An empty queue for so many bytes.
    pub fn new(bytes_max: usize) -> FairQueue<T> {
        FairQueue { senders: BTreeMap::new(), turns: VecDeque::new(), bytes: 0, bytes_max: bytes_max.max(1) }
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many senders have something waiting.
    pub fn senders(&self) -> usize {
        self.senders.len()
    }

    /// How many bytes this sender has waiting.
    pub fn bytes_of(&self, sender: Sender) -> usize {
        self.senders.get(&self.queue_of(sender)).map_or(0, |waiting| waiting.bytes)
    }

    /// Whether so many bytes of this sender may be pushed. The first item of a sender gets in while there is any room,
    /// however large it is: the bound may be passed by one item.
    pub fn has_room(&self, sender: Sender, bytes: usize) -> bool {
        let free = self.bytes_max.saturating_sub(self.bytes);
        match self.bytes_of(sender) {
            0 => 0 < free,
            held => held.saturating_add(bytes) <= free,
        }
    }

    /// Whether there is room for nobody, not even for who has nothing waiting.
    pub fn is_full(&self) -> bool {
        self.bytes_max <= self.bytes
    }

    /// Puts an item behind what this sender has waiting. Whether there is room is the caller's to ask. Nothing weighs nothing.
    pub fn push(&mut self, sender: Sender, bytes: usize, item: T) {
        let (sender, bytes) = (self.queue_of(sender), bytes.max(1));
        let waiting = self.senders.entry(sender).or_insert_with(|| {
            self.turns.push_back(sender);
            Waiting { items: VecDeque::new(), bytes: 0, deficit: QUANTUM_BYTES }
        });
        waiting.items.push_back((bytes, item));
        waiting.bytes += bytes;
        self.bytes += bytes;
    }

    /// Adds to the last item that this sender has waiting: `add` says how much it weighs more, or that it takes no more.
    pub fn extend(&mut self, sender: Sender, add: impl FnOnce(&mut T) -> Option<usize>) -> bool {
        let sender = self.queue_of(sender);
        let Some(waiting) = self.senders.get_mut(&sender) else { return false };
        let Some((weight, item)) = waiting.items.back_mut() else { return false };
        let Some(bytes) = add(item) else { return false };
        *weight += bytes;
        waiting.bytes += bytes;
        self.bytes += bytes;
        true
    }

    /// The next item, whose it is, and whether that sender has nothing waiting any more.
    pub fn pop(&mut self) -> Option<(Sender, bool, T)> {
        for _ in 0..self.turns.len() {
            if let Some(served) = self.serve() {
                return Some(served);
            }
        }
        // Nobody can be served in this round: everybody is given as many rounds as the nearest one needs.
        let rounds = |waiting: &Waiting<T>| {
            let first = waiting.items.front().map_or(0, |(bytes, _)| *bytes);
            first.saturating_sub(waiting.deficit).div_ceil(QUANTUM_BYTES)
        };
        let rounds = self.senders.values().map(rounds).min()?;
        for waiting in self.senders.values_mut() {
            waiting.deficit += rounds * QUANTUM_BYTES;
        }
        (0..self.turns.len()).find_map(|_| self.serve())
    }

    /// Serves the sender whose turn it is; where its item is larger than what it may be served, the turn goes on.
    fn serve(&mut self) -> Option<(Sender, bool, T)> {
        let sender = *self.turns.front()?;
        let waiting = self.senders.get_mut(&sender)?;
        let bytes = waiting.items.front()?.0;
        if waiting.deficit < bytes {
            waiting.deficit += QUANTUM_BYTES;
            self.turns.rotate_left(1);
            return None;
        }
        waiting.deficit -= bytes;
        waiting.bytes -= bytes;
        self.bytes -= bytes;
        let (_, item) = waiting.items.pop_front()?;
        let is_last = waiting.items.is_empty();
        if is_last {
            // What was not used is not saved up.
            self.senders.remove(&sender);
            self.turns.pop_front();
        }
        Some((sender, is_last, item))
    }

    /// The queue of a sender: its own, or a shared one where there are too many, or while it may have something there.
    fn queue_of(&self, sender: Sender) -> Sender {
        let are_some_shared = matches!(self.senders.last_key_value(), Some((Sender::Shared(_), _)));
        if (self.senders.len() < SENDERS_MAX && !are_some_shared) || self.senders.contains_key(&sender) {
            return sender;
        }
        let shared = sender.shared();
        if self.senders.len() < SENDERS_MAX && !self.senders.contains_key(&shared) { sender } else { shared }
    }
}
