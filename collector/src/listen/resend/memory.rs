//! `Memory`: what was stored lately and may come again, of sessions and of pushes.
//!
//! In: batches in the order in which they are stored, each with its [`Delivery`], and after each group whether it was
//! stored. Out: which records are there already. Owned by one thread; time comes with each question. Its bounds are
//! those of [`Sessions`] and [`Pushes`]; what goes for want of room is stored twice if it comes again, never lost.

use std::sync::Arc;

use nhatle_event::Timestamp;

use super::pushes::Pushes;
use super::sessions::Sessions;
use super::{Breaks, Delivery, Kind, Lane, push_hash, record_hash};

/// What is written down of a push, so that it is known after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PushMark {
    /// Whose.
    pub lane: Lane,
    /// The hash of its records.
    pub hash: u128,
}

/// How far a record of a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Durable.
    Stored,
    /// In the group that is being stored.
    Pending,
    /// It was not stored: its place is known, and when it comes again it is new.
    Refused,
}

/// See the file's head.
#[derive(Debug, Default)]
pub struct Memory {
    sessions: Sessions,
    pushes: Pushes,
}

impl Memory {
    /// Which records of a batch are stored already, by their place, rising. They count as those of a group that
    /// [`Memory::settle`] ends.
    pub fn look<'a>(
        &mut self,
        delivery: &Arc<Delivery>,
        records: impl ExactSizeIterator<Item = &'a [u8]>,
        now: Timestamp,
    ) -> Vec<u32> {
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        match delivery.kind {
            Kind::Session => {
                let places = (0..count).zip(records);
                let mut session = self.sessions.of(delivery, now);
                places.filter_map(|(at, bytes)| session.is_repeat(record_hash(bytes), now).then_some(at)).collect()
            }
            Kind::Push if self.pushes.is_repeat(delivery, push_hash(records), now) => (0..count).collect(),
            Kind::Push => Vec::new(),
        }
    }

    /// Everything that was looked at since the last time is durable now, or none of it is.
    pub fn settle(&mut self, is_stored: bool) {
        self.sessions.settle(is_stored);
        self.pushes.settle(is_stored);
    }

    /// Remembers, at the start, the records a sender's sessions stored last, in the order in which they were stored: which
    /// of them it heard an answer to is not known any more.
    pub fn remember_sessions<'a>(
        &mut self,
        breaks: &Arc<Breaks>,
        lane: Lane,
        records: impl Iterator<Item = &'a [u8]>,
        now: Timestamp,
    ) {
        self.sessions.remember(breaks, lane, records.map(record_hash), now);
    }

    /// Remembers, at the start, the pushes whose answers may not have arrived.
    pub fn remember_pushes(&mut self, breaks: &Arc<Breaks>, marks: &[PushMark], now: Timestamp) {
        marks.iter().for_each(|mark| self.pushes.remember(breaks, *mark, now));
    }

    /// The pushes whose answers may not have arrived, those of the group included.
    pub fn open_pushes(&mut self, now: Timestamp) -> Vec<PushMark> {
        self.pushes.open(now)
    }

    /// How many records and pushes are remembered.
    pub fn records(&self) -> usize {
        self.sessions.records() + self.pushes.count()
    }
}
