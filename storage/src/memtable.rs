//! Committed events that are not in a segment yet, queried like one. In: the batches of the log, in
//! order. Out: the same events, oldest or newest first, by dataset. Cloning one is cheap (some hundred
//! pointers), and a clone never changes: that is what a snapshot holds.

use std::sync::Arc;

use nhatle_event::{Seq, Stored, Timestamp};

use crate::dataset::Dataset;

/// How many chunks stand in one group; a clone copies a pointer for each group and each chunk that is
/// in none yet.
const GROUP_CHUNKS: usize = 256;

/// One committed batch.
#[derive(Debug)]
pub struct Chunk {
    rows: Arc<[Stored]>,
    datasets: Box<[Dataset]>,
    log_bytes: u64,
    timestamp_min: Timestamp,
    timestamp_max: Timestamp,
}

impl Chunk {
    /// A batch of at least one event with the dataset of each, and what it took in the log.
    pub fn new(rows: Arc<[Stored]>, datasets: Box<[Dataset]>, log_bytes: u64) -> Chunk {
        assert!(!rows.is_empty() && rows.len() == datasets.len(), "a chunk holds rows, each with its dataset");
        let stamps = || rows.iter().map(|stored| stored.event.timestamp);
        let timestamp_min = stamps().min().unwrap_or(Timestamp::MAX);
        let timestamp_max = stamps().max().unwrap_or(Timestamp::MIN);
        Chunk { rows, datasets, log_bytes, timestamp_min, timestamp_max }
    }

    /// The events of a dataset, in `Seq` order.
    pub fn of(&self, dataset: Dataset) -> impl DoubleEndedIterator<Item = &Stored> {
        self.rows.iter().zip(&self.datasets).filter(move |(_, of)| **of == dataset).map(|(stored, _)| stored)
    }

    /// Every event with its dataset, in `Seq` order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = (Dataset, &Stored)> {
        self.datasets.iter().copied().zip(self.rows.iter())
    }

    /// The earliest and the latest `@timestamp` in it.
    pub fn timestamps(&self) -> (Timestamp, Timestamp) {
        (self.timestamp_min, self.timestamp_max)
    }

    fn first_seq(&self) -> Seq {
        self.rows[0].seq
    }
}

/// Committed events in `Seq` order.
#[derive(Clone, Debug, Default)]
pub struct Memtable {
    groups: Vec<Arc<[Arc<Chunk>]>>,
    tail: Vec<Arc<Chunk>>,
    events: usize,
    log_bytes: u64,
}

impl Memtable {
    /// Adds a batch behind all others.
    pub fn push(&mut self, chunk: Chunk) {
        assert!(self.last_seq().is_none_or(|last| last < chunk.first_seq()), "Seq only rises");
        self.events += chunk.rows.len();
        self.log_bytes += chunk.log_bytes;
        self.tail.push(Arc::new(chunk));
        if self.tail.len() == GROUP_CHUNKS {
            self.groups.push(self.tail.drain(..).collect());
        }
    }

    /// The batches, oldest first.
    pub fn chunks(&self) -> impl DoubleEndedIterator<Item = &Arc<Chunk>> {
        self.groups.iter().flat_map(|group| group.iter()).chain(&self.tail)
    }

    /// The events of a dataset, in `Seq` order; reversed, newest first.
    pub fn of(&self, dataset: Dataset) -> impl DoubleEndedIterator<Item = &Stored> {
        self.chunks().flat_map(move |chunk| chunk.of(dataset))
    }

    /// The event of this `Seq`.
    pub fn get(&self, seq: Seq) -> Option<(Dataset, &Stored)> {
        let group = self.groups.partition_point(|group| group[0].first_seq() <= seq);
        let chunks = match group {
            _ if self.tail.first().is_some_and(|chunk| chunk.first_seq() <= seq) => &self.tail[..],
            0 => return None,
            at => &self.groups[at - 1][..],
        };
        let chunk = &chunks[chunks.partition_point(|chunk| chunk.first_seq() <= seq).checked_sub(1)?];
        let at = usize::try_from(seq.0 - chunk.first_seq().0).ok()?;
        Some((*chunk.datasets.get(at)?, chunk.rows.get(at)?))
    }

    /// The `Seq` of the newest event.
    pub fn last_seq(&self) -> Option<Seq> {
        self.chunks().next_back().and_then(|chunk| chunk.rows.last()).map(|stored| stored.seq)
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.events
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// What its events took in the log.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::Event;
    use proptest::prelude::*;

    use super::*;

    fn chunk(first: u64, datasets: &[Dataset]) -> Chunk {
        let row = |at: usize| Stored {
            seq: Seq(first + at as u64),
            committed: Timestamp(1),
            event: Event::new(Timestamp(first as i64), *b"x"),
        };
        Chunk::new((0..datasets.len()).map(row).collect(), datasets.into(), 10)
    }

    proptest! {
        #[test]
        fn it_gives_back_what_a_plain_list_would(
            batches in proptest::collection::vec(proptest::collection::vec(0u8..3, 1..4), 0..700),
        ) {
            let mut memtable = Memtable::default();
            let mut plain: Vec<(Dataset, u64)> = Vec::new();
            for batch in &batches {
                let datasets: Vec<_> = batch.iter().filter_map(|number| Dataset::from_number(*number)).collect();
                let first = plain.len() as u64 + 1;
                memtable.push(chunk(first, &datasets));
                plain.extend(datasets.iter().zip(first..).map(|(dataset, seq)| (*dataset, seq)));
            }
            for dataset in Dataset::ALL {
                let found: Vec<_> = memtable.of(dataset).map(|stored| stored.seq.0).collect();
                let expected: Vec<_> = plain.iter().filter(|one| one.0 == dataset).map(|one| one.1).collect();
                prop_assert_eq!(&found, &expected);
                let newest_first: Vec<_> = memtable.of(dataset).rev().map(|stored| stored.seq.0).collect();
                prop_assert!(newest_first.iter().eq(expected.iter().rev()));
            }
            for seq in 0..plain.len() as u64 + 2 {
                let found = memtable.get(Seq(seq)).map(|(dataset, stored)| (dataset, stored.seq.0));
                prop_assert_eq!(found, plain.iter().find(|one| one.1 == seq).copied());
            }
            prop_assert_eq!(memtable.len(), plain.len());
        }
    }
}
