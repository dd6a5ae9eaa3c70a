//! `FrameRoom`: how much the unfinished frames of all connections of the process hold at once, over every input that cuts a
//! stream (syslog, RELP, GELF; plain and TLS).
//!
//! In: what each connection holds, whenever that changes. Out: whether its sender may be read further, and who gives way.
//! Promise: a sender holds at most as much as is still free ([`super::fair`] has the same rule), so one holds half of the room
//! and whoever holds nothing is read as long as there is any; where a sender holds more, its own largest unfinished frame
//! gives way first, of equal ones the oldest. What is finished and waits for the queue counts too, and is never taken.
//! Bounds: a connection's first [`UNCOUNTED_BYTES`] are not counted, so short lines take no lock; what one read brings may
//! go beyond the room. Failure: none.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Notify;

use super::fair::Sender;

/// So much unfinished frames may hold together, unless told otherwise: 256 frames of the longest record.
pub const FRAME_ROOM_BYTES: usize = 256 << 20;
/// So much of each connection is not counted.
pub(super) const UNCOUNTED_BYTES: usize = 4 << 10;
/// How many bytes one read takes at most.
pub(super) const READ_BYTES: usize = 64 << 10;

/// The room of all unfinished frames.
pub struct FrameRoom {
    bytes_max: AtomicUsize,
    /// As in `held`, for looking without its lock.
    bytes: AtomicUsize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    /// Of them what is told to give way.
    going: usize,
    /// Senders that hold something.
    senders: BTreeMap<Sender, Own>,
    /// Frames begun so far: numbers say which is older.
    frames: u64,
}

#[derive(Default)]
struct Own {
    bytes: usize,
    going: usize,
    /// Unfinished frames by size, the oldest of equal ones last.
    frames: BTreeMap<(usize, Reverse<u64>), Arc<Told>>,
}

/// Whether a connection's frame has to give way.
#[derive(Default)]
pub(super) struct Told {
    is_told: AtomicBool,
    notify: Notify,
}

/// What one connection holds; given back when dropped.
pub(super) struct FrameHold {
    room: Arc<FrameRoom>,
    sender: Sender,
    told: Arc<Told>,
    number: u64,
    unfinished: usize,
    finished: usize,
}

impl Default for FrameRoom {
    fn default() -> FrameRoom {
        FrameRoom {
            bytes_max: AtomicUsize::new(FRAME_ROOM_BYTES),
            bytes: AtomicUsize::new(0),
            held: Mutex::default(),
            freed: Notify::new(),
        }
    }
}

impl FrameRoom {
    /// Makes it so large from now on.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A hold of nothing yet.
    pub(super) fn hold(self: &Arc<FrameRoom>, sender: Sender) -> FrameHold {
        let (room, told) = (Arc::clone(self), Arc::default());
        FrameHold { room, sender, told, number: 0, unfinished: 0, finished: 0 }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether a sender may hold more.
    fn has_room(&self, sender: Sender) -> bool {
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        // Nobody holds more than all do.
        if self.bytes() <= bytes_max / 2 {
            return true;
        }
        let held = self.held();
        let own = held.senders.get(&sender).map_or(0, |own| own.bytes);
        own.saturating_add(held.bytes) <= bytes_max
    }
}

impl Held {
    /// Tells the largest frames of a sender to give way until it holds no more than is free.
    fn make_room(&mut self, sender: Sender, bytes_max: usize) {
        let Some(own) = self.senders.get_mut(&sender) else { return };
        while bytes_max < (own.bytes - own.going).saturating_add(self.bytes - self.going) {
            let Some(((bytes, _), told)) = own.frames.pop_last() else { return };
            own.going += bytes;
            self.going += bytes;
            told.is_told.store(true, Ordering::Release);
            told.notify.notify_one();
        }
    }
}

impl Told {
    /// Ends once the frame has to give way.
    pub(super) async fn gives_way(&self) {
        while !self.is_told.load(Ordering::Acquire) {
            self.notify.notified().await;
        }
    }
}

impl FrameHold {
    /// What hears that the frame has to give way.
    pub(super) fn told(&self) -> Arc<Told> {
        Arc::clone(&self.told)
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        self.room.has_room(self.sender)
    }

    /// Says what is held now: of a frame that is unfinished, and of what is finished and on its way.
    pub(super) fn set(&mut self, unfinished: usize, finished: usize) {
        let counted = |bytes: usize| if bytes <= UNCOUNTED_BYTES { 0 } else { bytes };
        let (unfinished, finished) = (counted(unfinished), counted(finished));
        if (unfinished, finished) == (self.unfinished, self.finished) {
            return;
        }
        let (before, bytes) = (self.unfinished + self.finished, unfinished + finished);
        let mut guard = self.room.held();
        let held = &mut *guard;
        held.bytes = held.bytes - before + bytes;
        let own = held.senders.entry(self.sender).or_default();
        own.bytes = own.bytes - before + bytes;
        if own.frames.remove(&(self.unfinished, Reverse(self.number))).is_none()
            && self.told.is_told.swap(false, Ordering::AcqRel)
        {
            own.going -= self.unfinished;
            held.going -= self.unfinished;
        }
        if 0 < unfinished {
            if self.unfinished == 0 {
                held.frames += 1;
                self.number = held.frames;
            }
            own.frames.insert((unfinished, Reverse(self.number)), Arc::clone(&self.told));
        }
        if own.bytes == 0 {
            held.senders.remove(&self.sender);
        }
        (self.unfinished, self.finished) = (unfinished, finished);
        held.make_room(self.sender, self.room.bytes_max.load(Ordering::Relaxed));
        self.room.bytes.store(held.bytes, Ordering::Relaxed);
        drop(guard);
        if bytes < before {
            self.room.freed.notify_waiters();
        }
    }

    /// Reads once, when there is room, and hands what came to `take`, which says by [`FrameHold::set`] what is held then.
    /// Answers how many bytes came: 0 at the end, when the connection broke, or when nothing came for so long. Whoever waits
    /// for bytes holds no buffer.
    pub(super) async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        patience: Duration,
        mut take: impl FnMut(&mut FrameHold, &[u8]),
    ) -> usize {
        thread_local! {
            static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; READ_BYTES]);
        }
        let room = Arc::clone(&self.room);
        loop {
            // Room is looked for in the same step that reads: whoever waited since there was some looks again.
            let read = std::future::poll_fn(|context| {
                if !room.has_room(self.sender) {
                    return Poll::Ready(Ok(None));
                }
                BUFFER.with_borrow_mut(|buffer| {
                    let mut into = ReadBuf::new(buffer);
                    std::task::ready!(Pin::new(&mut *stream).poll_read(context, &mut into))?;
                    if !into.filled().is_empty() {
                        take(self, into.filled());
                    }
                    Poll::Ready(io::Result::Ok(Some(into.filled().len())))
                })
            });
            match tokio::time::timeout(patience, read).await {
                Ok(Ok(Some(length))) => return length,
                Ok(Ok(None)) => {
                    let mut freed = pin!(room.freed.notified());
                    freed.as_mut().enable();
                    if !self.has_room() {
                        freed.await;
                    }
                }
                // Broken or silent: like an end.
                Ok(Err(_)) | Err(_) => return 0,
            }
        }
    }
}

impl Drop for FrameHold {
    fn drop(&mut self) {
        self.set(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(bytes_max: usize) -> Arc<FrameRoom> {
        let room = Arc::new(FrameRoom::default());
        room.set_bytes_max(bytes_max);
        room
    }

    fn is_told(hold: &FrameHold) -> bool {
        hold.told.is_told.load(Ordering::Relaxed)
    }

    #[test]
    fn the_largest_frame_of_whoever_holds_too_much_gives_way_first() {
        let room = room(100_000);
        let mut flood: Vec<FrameHold> = (0..4).map(|_| room.hold(Sender::named("flood"))).collect();
        let mut other = room.hold(Sender::named("other"));
        other.set(20_000, 0);
        for (hold, bytes) in flood.iter_mut().zip([9_000, 12_000, 12_000, 6_000]) {
            hold.set(bytes, 0);
        }
        assert!(!flood.iter().any(is_told), "39,000 and 59,000 are no more than there is");
        flood[3].set(8_000, 0);
        let told: Vec<bool> = flood.iter().map(is_told).collect();
        assert_eq!(told, [false, true, false, false], "of the two largest the older");
        assert!(!is_told(&other) && !room.has_room(Sender::named("flood")) && room.has_room(Sender::named("other")));
        flood[1].set(0, 0);
        assert!(!is_told(&flood[1]) && room.has_room(Sender::named("flood")));
        flood[3].set(0, 60_000);
        assert!(is_told(&flood[0]) && is_told(&flood[2]) && !is_told(&flood[3]), "what is finished is never taken");
        drop((flood, other));
        let held = room.held();
        assert_eq!((held.bytes, held.going, held.senders.len(), room.bytes()), (0, 0, 0, 0));
    }
}
