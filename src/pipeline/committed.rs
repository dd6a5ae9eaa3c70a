//! The way from `append` to `detect`: committed batches, in order, bounded by what their events take in memory. In: a
//! batch. Out: the same. Promise: a batch is taken however large it is where none waits; an empty queue whose sender is
//! gone ends the receiver, one whose receiver is gone ends the sender.
//!
//! Events wait nowhere else in their large form: what waits to be sealed stands there as the log encodes it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nhatle_event::Stored;

/// Batches, in order of `Seq`.
type Batch = Arc<[Stored]>;

/// How many batches may wait.
const BATCHES_MAX: usize = 64;
/// How many bytes of memory the events that wait may take, about.
const BYTES_MAX: usize = 64 << 20;
/// What an event takes besides: itself, and for each byte as received and each field.
const EVENT_BYTES: usize = 256;
const BYTES_FOR_BYTE: usize = 4;
const FIELD_BYTES: usize = 48;

#[derive(Default)]
struct Waiting {
    batches: VecDeque<(Batch, usize)>,
    bytes: usize,
    /// One of the two ends is gone.
    is_over: bool,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }
}

/// The end of `append`.
pub struct Sender(Arc<Queue>);

/// The end of `detect`.
pub struct Receiver(Arc<Queue>);

/// What came of waiting for a batch.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// The next one.
    Batch(Batch),
    /// None, in the time given.
    Nothing,
    /// None will come any more.
    Over,
}

/// An empty queue.
pub fn queue() -> (Sender, Receiver) {
    let queue = Arc::new(Queue::default());
    (Sender(queue.clone()), Receiver(queue))
}

/// What a batch takes in memory, about.
fn bytes_of(batch: &[Stored]) -> usize {
    let of = |stored: &Stored| {
        EVENT_BYTES + stored.event.original.len() * BYTES_FOR_BYTE + stored.event.fields().len() * FIELD_BYTES
    };
    batch.iter().map(of).sum()
}

impl Sender {
    /// Puts a batch behind the others, once there is room. `false` where nobody takes it any more.
    pub fn send(&self, batch: Batch) -> bool {
        let bytes = bytes_of(&batch);
        let mut waiting = self.0.lock();
        let is_full = |waiting: &Waiting| {
            BATCHES_MAX <= waiting.batches.len()
                || (!waiting.batches.is_empty() && BYTES_MAX < waiting.bytes.saturating_add(bytes))
        };
        while !waiting.is_over && is_full(&waiting) {
            waiting = self.0.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.is_over {
            return false;
        }
        waiting.bytes += bytes;
        waiting.batches.push_back((batch, bytes));
        self.0.changed.notify_all();
        true
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Receiver {
    /// The next batch, waiting so long for it.
    pub fn receive(&self, timeout: Duration) -> Received {
        let until = Instant::now() + timeout;
        let mut waiting = self.0.lock();
        loop {
            if let Some((batch, bytes)) = waiting.batches.pop_front() {
                waiting.bytes -= bytes;
                self.0.changed.notify_all();
                return Received::Batch(batch);
            }
            if waiting.is_over {
                return Received::Over;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Nothing;
            }
            waiting = self.0.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::{Event, Seq, Timestamp};

    use super::*;

    fn batch(seq: u64, bytes: usize) -> Batch {
        let event = Event::new(Timestamp(0), vec![0; bytes]);
        Arc::new([Stored { seq: Seq(seq), committed: Timestamp(0), event }])
    }

    fn seqs(receiver: &Receiver, count: usize) -> Vec<u64> {
        let seq = |_| match receiver.receive(Duration::from_secs(60)) {
            Received::Batch(batch) => batch[0].seq.0,
            other => panic!("{other:?}"),
        };
        (0..count).map(seq).collect()
    }

    #[test]
    fn batches_come_in_order_and_the_sender_waits_for_room() {
        let (sender, receiver) = queue();
        let sending = std::thread::spawn(move || {
            // The first two do not fit together, and neither do so many as the others.
            let sizes = [BYTES_MAX, BYTES_MAX].into_iter().chain(std::iter::repeat_n(1, BATCHES_MAX * 3));
            (1..).zip(sizes).all(|(seq, bytes)| sender.send(batch(seq, bytes)))
        });
        let count = BATCHES_MAX * 3 + 2;
        assert_eq!(seqs(&receiver, count), (1..=count as u64).collect::<Vec<_>>());
        assert!(sending.join().expect("it does not panic"));
        assert_eq!(receiver.receive(Duration::from_secs(60)), Received::Over);
    }

    #[test]
    fn what_waits_is_given_after_the_sender_is_gone_and_a_gone_receiver_ends_the_sender() {
        let (sender, receiver) = queue();
        assert_eq!(receiver.receive(Duration::ZERO), Received::Nothing);
        assert!(sender.send(batch(1, 1)));
        drop(sender);
        assert_eq!(seqs(&receiver, 1), [1]);
        assert_eq!(receiver.receive(Duration::ZERO), Received::Over);
        let (sender, receiver) = queue();
        drop(receiver);
        assert!(!sender.send(batch(1, 1)));
    }
}
