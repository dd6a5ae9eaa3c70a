//! Room for bodies: how many bytes of them are held at once, all together and by each sender.
//!
//! In: a sender, bytes. Out: a hold that gives them back when dropped, or `None`. A sender that holds nothing gets what is
//! free; one that holds something may hold as much as is still free, so one token never takes all of it
//! ([`crate::listen::fair`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::listen::fair::Sender;

/// The room of all bodies.
pub(super) struct Room {
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    /// Bytes by sender; none stands here with nothing. As many as there are requests at most.
    senders: BTreeMap<Sender, usize>,
}

/// Bytes held until this is dropped.
pub(super) struct Hold {
    room: Arc<Room>,
    sender: Sender,
    bytes: usize,
}

impl Room {
    pub(super) fn new(bytes_max: usize) -> Room {
        Room { bytes_max, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Hold {
    /// A hold of nothing yet.
    pub(super) fn new(room: &Arc<Room>, sender: Sender) -> Hold {
        Hold { room: Arc::clone(room), sender, bytes: 0 }
    }

    /// Holds so many bytes more, if there is room.
    pub(super) fn grow(&mut self, bytes: usize) -> Option<()> {
        let mut held = self.room.held();
        let free = self.room.bytes_max.saturating_sub(held.bytes);
        let own = held.senders.get(&self.sender).copied().unwrap_or(0);
        if free < own.saturating_add(bytes) {
            return None;
        }
        held.bytes += bytes;
        *held.senders.entry(self.sender).or_default() += bytes;
        self.bytes += bytes;
        Some(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.room.held();
        held.bytes -= self.bytes;
        if let Some(own) = held.senders.get_mut(&self.sender) {
            *own -= self.bytes;
            if *own == 0 {
                held.senders.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_never_holds_all_and_gives_everything_back() {
        let room = Arc::new(Room::new(1_000));
        let hold = |name: &str| Hold::new(&room, Sender::named(name));
        let (mut first, mut again, mut other) = (hold("a"), hold("a"), hold("b"));
        assert_eq!((first.grow(400), again.grow(201)), (Some(()), None), "601 is more than the 600 left");
        assert_eq!((again.grow(100), other.grow(500)), (Some(()), Some(())));
        assert_eq!(other.grow(1), None);
        drop((first, again));
        assert_eq!(other.grow(0), Some(()));
        drop(other);
        let held = room.held();
        assert_eq!((held.bytes, held.senders.len()), (0, 0));
    }
}
