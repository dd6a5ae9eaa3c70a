//! What is not taken, and what never came: the words for it. In: nothing. Out: reasons and counts for the receipt book.

use nhatle_event::{Record, Text};

/// Why a batch is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum NoRoom {
    /// This sender has its share of the room.
    #[error("the sender has more waiting than its share")]
    Flood,
    /// There is no room for anybody.
    #[error("the queue is full")]
    Full,
    /// Nothing may be stored now; come again after so many seconds.
    #[error("nothing can be stored now")]
    Shut,
    /// The pipeline has ended.
    #[error("the pipeline has ended")]
    Closed,
}

impl NoRoom {
    /// The reason in the receipt book.
    pub fn reason(self) -> &'static str {
        match self {
            NoRoom::Flood => "flood",
            NoRoom::Full => "queue_full",
            NoRoom::Shut => "disk_full",
            NoRoom::Closed => "stopping",
        }
    }
}

/// Records of one sender that were dropped for one reason.
#[derive(Clone, Debug)]
pub struct Shed {
    /// Why.
    pub why: NoRoom,
    /// How many.
    pub records: u64,
    /// One of them, which says whose they are.
    pub sample: Record,
}

/// What is known to have been sent, and never came to us.
#[derive(Clone, Debug)]
pub enum Unreceived {
    /// Numbers that a sender gave.
    Numbers {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// A record of no bytes, which says whose they are.
        sample: Record,
    },
    /// Datagrams that the kernel dropped; whose, nobody knows.
    Kernel {
        /// The input they would have come by.
        input: Text,
        /// How many.
        datagrams: u64,
    },
}
