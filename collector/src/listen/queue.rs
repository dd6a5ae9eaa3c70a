//! The one way into the pipeline: [`Sink`] for inputs, [`Intake`] for the stage that converts, a [`FairQueue`] between.
//!
//! In: batches, each of one sender. Out: the same, served fairly. What happens without room is the input's kind:
//! [`Sink::send`] waits (TCP, RELP, files), [`Sink::offer`] drops and keeps account of it by sender ([`Shed`], UDP),
//! [`Sink::admit`] says so (HTTP). A gate can be shut for all of them while nothing may be stored (ADR 22); what is
//! in already is still served, and so is what this program sends itself.
//! Bounds: [`QUEUED_BYTES_MAX`], senders ([`super::fair`]), senders of which it is counted what was dropped
//! ([`SHED_SENDERS_MAX`]). Failure: [`Closed`] once the other end is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use nhatle_event::Record;
use tokio::sync::{Notify, oneshot};

use super::fair::{FairQueue, Sender};
use super::frame_room::FrameRoom;
use super::packed::{Packed, Waiting, packed_weight, sender_of, weight};
use super::resend::Breaks;
pub use super::shed::{NoRoom, Shed, Unreceived};
use super::{Batch, sizes};

/// So much memory may hold records that wait to be converted, of all senders together.
pub const QUEUED_BYTES_MAX: usize = 128 << 20;
/// Of so many senders it is counted one by one what was dropped; those past it are counted together.
pub const SHED_SENDERS_MAX: usize = 4_096;

/// The pipeline is gone; nothing is taken any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline has ended")]
pub struct Closed;

/// How much of it waits to be asked for; that there was more is said in the log, once.
pub const UNRECEIVED_MAX: usize = 16_384;

/// Figures of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Bytes waiting.
    pub bytes: usize,
    /// Senders with something waiting.
    pub senders: usize,
    /// Records dropped for want of room, since the start.
    pub shed: u64,
    /// Of them those whose sender had its share, or that found the queue full.
    pub flooded: u64,
    /// The gate is shut.
    pub is_shut: bool,
}

/// Somebody who waits for room.
type Waiter = (usize, oneshot::Sender<()>);

struct State {
    queue: FairQueue<Waiting>,
    /// Who waits until something of theirs has been served.
    waiters: BTreeMap<Sender, VecDeque<Waiter>>,
    /// Who waits although nothing of theirs is in the queue: there was no room at all.
    starved: VecDeque<Waiter>,
    shed: BTreeMap<(Sender, NoRoom), Shed>,
    unreceived: Vec<Unreceived>,
    /// It was said that there is no room for more.
    is_unreceived_full: bool,
}

struct Shared {
    state: Mutex<State>,
    /// For the thread that takes.
    filled: Condvar,
    /// For a task that takes.
    filled_task: Notify,
    is_shut: AtomicBool,
    opened: Notify,
    /// The taker is gone.
    is_closed: AtomicBool,
    closed: Notify,
    /// Every sink is gone.
    is_ended: AtomicBool,
    shed: AtomicU64,
    flooded: AtomicU64,
    breaks: Arc<Breaks>,
    frames: Arc<FrameRoom>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn take_unreceived(&self) -> Vec<Unreceived> {
        let mut state = self.state();
        state.is_unreceived_full = false;
        std::mem::take(&mut state.unreceived)
    }

    fn take_shed(&self) -> Vec<Shed> {
        if self.shed.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        std::mem::take(&mut self.state().shed).into_values().collect()
    }
}

/// Ends the queue when the last sink is dropped.
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.is_ended.store(true, Ordering::Release);
        // Under the lock, or a taker that has just looked would sleep through it.
        drop(self.0.state());
        self.0.filled.notify_all();
        self.0.filled_task.notify_one();
    }
}

/// Where inputs put their batches.
#[derive(Clone)]
pub struct Sink {
    shared: Arc<Shared>,
    _alive: Arc<Alive>,
}

/// Where the pipeline takes them.
pub struct Intake {
    shared: Arc<Shared>,
}

/// A queue for so many bytes; [`QUEUED_BYTES_MAX`] unless in a test.
pub fn channel(bytes_max: usize) -> (Sink, Intake) {
    let state = State {
        queue: FairQueue::new(bytes_max),
        waiters: BTreeMap::new(),
        starved: VecDeque::new(),
        shed: BTreeMap::new(),
        unreceived: Vec::new(),
        is_unreceived_full: false,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        filled: Condvar::new(),
        filled_task: Notify::new(),
        is_shut: AtomicBool::new(false),
        opened: Notify::new(),
        is_closed: AtomicBool::new(false),
        closed: Notify::new(),
        is_ended: AtomicBool::new(false),
        shed: AtomicU64::new(0),
        flooded: AtomicU64::new(0),
        breaks: Arc::default(),
        frames: Arc::default(),
    });
    (Sink { shared: shared.clone(), _alive: Arc::new(Alive(shared.clone())) }, Intake { shared })
}

impl Sink {
    /// Puts a batch in, waiting until there is room for its sender. Whoever stops waiting keeps nothing in the queue.
    ///
    /// # Errors
    /// The pipeline has ended.
    pub async fn send(&self, batch: Batch) -> Result<(), Closed> {
        let sender = sender_of(&batch.records);
        self.send_as(sender, batch).await
    }

    /// [`Sink::send`] for a sender that is known by something better than an address.
    ///
    /// # Errors
    /// The pipeline has ended.
    pub async fn send_as(&self, sender: Sender, batch: Batch) -> Result<(), Closed> {
        let bytes = weight(&batch.records);
        loop {
            self.open(sender).await?;
            let room = {
                let mut state = self.shared.state();
                if state.queue.has_room(sender, bytes) {
                    self.put(state, sender, bytes, batch);
                    return Ok(());
                }
                state.wait(sender, bytes)
            };
            // Dropped without a word only when the taker goes, which `open` then says.
            drop(room.await);
        }
    }

    /// [`Sink::send`] on a thread that may block, as this program itself: canaries, the demo. Their batches stay in the
    /// order in which they are sent, whoever they speak of, and the gate is open to them.
    ///
    /// # Errors
    /// The pipeline has ended.
    pub fn blocking_send(&self, batch: Batch) -> Result<(), Closed> {
        let (sender, bytes) = (Sender::Own, weight(&batch.records));
        loop {
            if self.shared.is_closed.load(Ordering::Acquire) {
                return Err(Closed);
            }
            let room = {
                let mut state = self.shared.state();
                if state.queue.has_room(sender, bytes) {
                    self.put(state, sender, bytes, batch);
                    return Ok(());
                }
                state.wait(sender, bytes)
            };
            drop(room.blocking_recv());
        }
    }

    /// Waits until a little more of this sender would be taken: an input that cannot make its sender wait otherwise
    /// reads only then.
    ///
    /// # Errors
    /// The pipeline has ended.
    pub async fn ready(&self, sender: Sender) -> Result<(), Closed> {
        loop {
            self.open(sender).await?;
            let room = {
                let mut state = self.shared.state();
                if state.queue.has_room(sender, 1) {
                    return Ok(());
                }
                state.wait(sender, 1)
            };
            drop(room.await);
        }
    }

    /// Whether this sender may come now, for inputs that can say no.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, sender: Sender) -> Result<(), NoRoom> {
        self.may_enter(sender)?;
        let state = self.shared.state();
        match state.queue.has_room(sender, 1) {
            true => Ok(()),
            false => Err(state.why_not(sender)),
        }
    }

    /// When connections of its senders broke.
    pub fn breaks(&self) -> &Arc<Breaks> {
        &self.shared.breaks
    }

    /// What unfinished frames of every connection hold.
    pub fn frames(&self) -> &Arc<FrameRoom> {
        &self.shared.frames
    }

    /// Whether nobody would be taken now.
    pub fn is_full(&self) -> bool {
        self.shared.is_shut.load(Ordering::Acquire) || self.shared.state().queue.is_full()
    }

    /// Puts records in as far as their senders have room, and drops the others, counted by sender: for datagrams.
    /// Records of several senders are told apart; their order within a sender stays. Answers how many were taken, how
    /// many of those were cut, and how many were dropped.
    pub fn offer(&self, mut records: Vec<Record>) -> (usize, usize, usize) {
        let (mut taken, mut cut, mut dropped) = (0, 0, 0);
        let is_of_one = records.windows(2).all(|two| two[0].peer == two[1].peer);
        if !is_of_one {
            records.sort_by_key(|record| record.peer);
        }
        while !records.is_empty() {
            let end = match is_of_one {
                true => records.len(),
                false => records.partition_point(|record| record.peer <= records[0].peer),
            };
            let rest = if end == records.len() { Vec::new() } else { records.split_off(end) };
            let own = std::mem::replace(&mut records, rest);
            let (count, truncated) = sizes(&own);
            if self.offer_one(own) {
                taken += count;
                cut += truncated;
            } else {
                dropped += count;
            }
        }
        (taken, cut, dropped)
    }

    /// Records of one sender; `false` where they were dropped.
    fn offer_one(&self, records: Vec<Record>) -> bool {
        let sender = sender_of(&records);
        let entered = self.may_enter(sender);
        let mut state = self.shared.state();
        // What is next needs no packing; behind others it may wait for long.
        let is_next = state.queue.bytes_of(sender) == 0;
        let bytes = if is_next { weight(&records) } else { packed_weight(&records) };
        let why = match entered {
            Ok(()) if state.queue.has_room(sender, bytes) => {
                if is_next {
                    self.put(state, sender, bytes, Batch::of(records));
                } else {
                    self.pack(state, sender, records);
                }
                return true;
            }
            Ok(()) => state.why_not(sender),
            Err(why) => why,
        };
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        self.shared.shed.fetch_add(count, Ordering::Relaxed);
        if matches!(why, NoRoom::Flood | NoRoom::Full) {
            self.shared.flooded.fetch_add(count, Ordering::Relaxed);
        }
        let is_one_too_many = SHED_SENDERS_MAX <= state.shed.len() && !state.shed.contains_key(&(sender, why));
        let sender = if is_one_too_many { Sender::Shared(0) } else { sender };
        if let Some(sample) = records.into_iter().next() {
            let shed = state.shed.entry((sender, why)).or_insert_with(|| Shed { why, records: 0, sample });
            shed.records += count;
            if is_one_too_many {
                shed.sample.peer = None;
            }
        }
        false
    }

    /// Says what never came, for the receipt book.
    pub fn miss(&self, unreceived: Unreceived) {
        let mut state = self.shared.state();
        if let Unreceived::Kernel { input, datagrams } = &unreceived {
            // One row an input, also where nobody asks for them.
            let same = state.unreceived.iter_mut().find_map(|one| match one {
                Unreceived::Kernel { input: known, datagrams } if known == input => Some(datagrams),
                _ => None,
            });
            if let Some(known) = same {
                *known += datagrams;
                return;
            }
        }
        if state.unreceived.len() < UNRECEIVED_MAX {
            state.unreceived.push(unreceived);
        } else if !std::mem::replace(&mut state.is_unreceived_full, true) {
            drop(state);
            tracing::warn!("more gaps than the receipt book takes at once; the newest are not named");
        }
    }

    /// What never came, said since this was last called.
    pub fn take_unreceived(&self) -> Vec<Unreceived> {
        self.shared.take_unreceived()
    }

    /// What was dropped since this was last called, for who looks at it when no batch comes any more.
    pub fn take_shed(&self) -> Vec<Shed> {
        self.shared.take_shed()
    }

    /// Shuts the gate: nobody but this program itself is let in until [`Sink::open_gate`].
    pub fn shut_gate(&self) {
        self.shared.is_shut.store(true, Ordering::Release);
    }

    /// Opens the gate.
    pub fn open_gate(&self) {
        self.shared.is_shut.store(false, Ordering::Release);
        self.shared.opened.notify_waiters();
    }

    /// Figures.
    pub fn stats(&self) -> QueueStats {
        let state = self.shared.state();
        QueueStats {
            bytes: state.queue.bytes(),
            senders: state.queue.senders(),
            shed: self.shared.shed.load(Ordering::Relaxed),
            flooded: self.shared.flooded.load(Ordering::Relaxed),
            is_shut: self.shared.is_shut.load(Ordering::Acquire),
        }
    }

    /// Ends once the pipeline has.
    pub async fn closed(&self) {
        loop {
            let told = self.shared.closed.notified();
            if self.shared.is_closed.load(Ordering::Acquire) {
                return;
            }
            told.await;
        }
    }

    fn may_enter(&self, sender: Sender) -> Result<(), NoRoom> {
        if self.shared.is_closed.load(Ordering::Acquire) {
            return Err(NoRoom::Closed);
        }
        match sender != Sender::Own && self.shared.is_shut.load(Ordering::Acquire) {
            true => Err(NoRoom::Shut),
            false => Ok(()),
        }
    }

    /// Waits while the gate is shut.
    async fn open(&self, sender: Sender) -> Result<(), Closed> {
        loop {
            let opened = self.shared.opened.notified();
            match self.may_enter(sender) {
                Ok(()) => return Ok(()),
                Err(NoRoom::Closed) => return Err(Closed),
                Err(_) => {}
            }
            tokio::select! {
                () = opened => {}
                () = self.closed() => return Err(Closed),
            }
        }
    }

    fn put(&self, mut state: MutexGuard<'_, State>, sender: Sender, bytes: usize, batch: Batch) {
        state.queue.push(sender, bytes, Waiting::Batch(batch));
        self.tell(state);
    }

    /// Puts datagrams behind what their sender has waiting, packed.
    fn pack(&self, mut state: MutexGuard<'_, State>, sender: Sender, records: Vec<Record>) {
        if !state.queue.extend(sender, |last| last.add(&records)) {
            let as_came = |records| Waiting::Batch(Batch::of(records));
            let waiting = Packed::of(records).map_or_else(as_came, Waiting::Packed);
            state.queue.push(sender, waiting.weight(), waiting);
        }
        self.tell(state);
    }

    fn tell(&self, state: MutexGuard<'_, State>) {
        drop(state);
        self.shared.filled.notify_one();
        self.shared.filled_task.notify_one();
    }
}

impl State {
    fn why_not(&self, sender: Sender) -> NoRoom {
        if self.queue.bytes_of(sender) == 0 { NoRoom::Full } else { NoRoom::Flood }
    }

    /// Joins those who wait for room.
    fn wait(&mut self, sender: Sender, bytes: usize) -> oneshot::Receiver<()> {
        let (told, hears) = oneshot::channel();
        match self.queue.bytes_of(sender) {
            0 => self.starved.push_back((bytes, told)),
            _ => self.waiters.entry(sender).or_default().push_back((bytes, told)),
        }
        hears
    }

    /// Takes the next batch and wakes whom that gives room.
    fn take(&mut self) -> Option<Waiting> {
        let (sender, is_last, taken) = self.queue.pop()?;
        let freed = taken.weight().max(1);
        wake(&mut self.starved, freed);
        if let Some(waiting) = self.waiters.get_mut(&sender) {
            // Where nothing of theirs is left nobody would wake them later.
            wake(waiting, if is_last { usize::MAX } else { freed });
            if waiting.is_empty() {
                self.waiters.remove(&sender);
            }
        }
        Some(taken)
    }
}

/// Wakes the first ones, as many as so many bytes may give room, one at least.
fn wake(waiting: &mut VecDeque<Waiter>, freed: usize) {
    let mut given = 0usize;
    while given < freed {
        let Some((bytes, told)) = waiting.pop_front() else { return };
        // One that has stopped waiting needs no room.
        if told.send(()).is_ok() {
            given = given.saturating_add(bytes.max(1));
        }
    }
}

impl Intake {
    /// The next batch; blocks until there is one. `None` once every sink is gone and nothing waits.
    pub fn blocking_recv(&self) -> Option<Batch> {
        let mut state = self.shared.state();
        loop {
            if let Some(taken) = state.take() {
                drop(state);
                return Some(taken.open());
            }
            if self.shared.is_ended.load(Ordering::Acquire) {
                return None;
            }
            state = self.shared.filled.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// What was dropped since this was last called.
    pub fn take_shed(&self) -> Vec<Shed> {
        self.shared.take_shed()
    }

    /// What never came, said since this was last called.
    pub fn take_unreceived(&self) -> Vec<Unreceived> {
        self.shared.take_unreceived()
    }

    /// [`Sink::breaks`].
    pub fn breaks(&self) -> &Arc<Breaks> {
        &self.shared.breaks
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.shared.state().queue.bytes() == 0
    }

    /// The next batch, if one waits.
    pub fn try_recv(&self) -> Option<Batch> {
        let taken = self.shared.state().take();
        taken.map(Waiting::open)
    }

    /// [`Intake::blocking_recv`] for a task.
    pub async fn recv(&self) -> Option<Batch> {
        loop {
            if let Some(batch) = self.try_recv() {
                return Some(batch);
            }
            if self.shared.is_ended.load(Ordering::Acquire) {
                return None;
            }
            self.shared.filled_task.notified().await;
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Release);
        let mut state = self.shared.state();
        // What waits is dropped, so that whoever waits for its receipt hears that there is none; and so are the waiters.
        while state.queue.pop().is_some() {}
        state.waiters.clear();
        state.starved.clear();
        drop(state);
        self.shared.closed.notify_waiters();
        self.shared.opened.notify_waiters();
    }
}
