//! Committed events that are not in a segment yet, queried like one. In: the batches of the log, in
//! order. Out: the same events, oldest or newest first, by dataset. Cloning one is cheap (some hundred
//! pointers), and a clone never changes: that is what a snapshot holds.
//!
//! Events wait as the log encodes them, with 24 bytes for each beside that say its dataset, its `@timestamp` and where it
//! stands; one is decoded when somebody asks for it and kept by whoever asked. As an [`Event`](nhatle_event::Event) each takes
//! several times as much.

use std::sync::Arc;

use nhatle_event::{Seq, Stored, Timestamp, binary};

use crate::dataset::Dataset;
use crate::wal::Place;

/// How many chunks stand in one group; a clone copies a pointer for each group and each chunk that is
/// in none yet.
const GROUP_CHUNKS: usize = 256;

/// One committed batch.
#[derive(Debug)]
pub struct Chunk {
    /// The events as the log encodes them, and what stands between them there.
    bytes: Box<[u8]>,
    places: Box<[Narrow]>,
    first_seq: Seq,
    committed: Timestamp,
    log_bytes: u64,
    timestamp_min: Timestamp,
    timestamp_max: Timestamp,
}

/// A [`Place`] in a frame, which is shorter than [`crate::wal::FRAME_BYTES_MAX`].
#[derive(Clone, Copy, Debug)]
struct Narrow {
    timestamp: Timestamp,
    begin: u32,
    end: u32,
    dataset: Dataset,
}

/// An event in a chunk, not decoded yet.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    chunk: &'a Chunk,
    at: usize,
}

impl Row<'_> {
    /// When it happened.
    pub fn timestamp(&self) -> Timestamp {
        self.chunk.places[self.at].timestamp
    }

    /// Its place in the order of commit.
    pub fn seq(&self) -> Seq {
        Seq(self.chunk.first_seq.0 + self.at as u64)
    }

    /// How many bytes it has in the log.
    pub fn bytes(&self) -> usize {
        let place = &self.chunk.places[self.at];
        (place.end - place.begin) as usize
    }

    /// The event.
    pub fn stored(&self) -> Stored {
        let place = &self.chunk.places[self.at];
        let bytes = &self.chunk.bytes[place.begin as usize..place.end as usize];
        let event = binary::decode(bytes).expect("this process encoded it, or read it from the log");
        Stored { seq: self.seq(), committed: self.chunk.committed, event }
    }
}

impl Chunk {
    /// A batch of at least one event, as it stands in a frame that [`crate::wal::frame`] made of it.
    pub fn of_frame(rows: &[Stored], mut frame: Vec<u8>, places: &[Place]) -> Chunk {
        let log_bytes = frame.len() as u64;
        // Marks need not wait with the events.
        frame.truncate(places.last().map_or(0, |last| last.end));
        Chunk::of(rows, frame, places, log_bytes)
    }

    /// A batch of at least one event with the dataset of each, and what it took in the log.
    pub fn new(rows: &[Stored], datasets: &[Dataset], log_bytes: u64) -> Chunk {
        assert!(rows.len() == datasets.len(), "each row has its dataset");
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(rows.len());
        for (stored, dataset) in rows.iter().zip(datasets) {
            let begin = bytes.len();
            binary::encode(&stored.event, &mut bytes);
            let timestamp = stored.event.timestamp;
            places.push(Place { timestamp, begin, end: bytes.len(), dataset: *dataset });
        }
        Chunk::of(rows, bytes, &places, log_bytes)
    }

    fn of(rows: &[Stored], bytes: Vec<u8>, places: &[Place], log_bytes: u64) -> Chunk {
        assert!(!rows.is_empty() && rows.len() == places.len(), "a chunk holds rows, each with its place");
        let narrow = |at: usize| u32::try_from(at).expect("a frame is shorter than FRAME_BYTES_MAX");
        let place = |place: &Place| Narrow {
            timestamp: place.timestamp,
            begin: narrow(place.begin),
            end: narrow(place.end),
            dataset: place.dataset,
        };
        let places: Box<[Narrow]> = places.iter().map(place).collect();
        let stamps = || places.iter().map(|place| place.timestamp);
        let timestamp_min = stamps().min().unwrap_or(Timestamp::MAX);
        let timestamp_max = stamps().max().unwrap_or(Timestamp::MIN);
        let (first_seq, committed) = (rows[0].seq, rows[0].committed);
        Chunk { bytes: bytes.into(), places, first_seq, committed, log_bytes, timestamp_min, timestamp_max }
    }

    /// The events of a dataset, in `Seq` order.
    pub fn of_dataset(&self, dataset: Dataset) -> impl DoubleEndedIterator<Item = Row<'_>> {
        self.rows().filter(move |(of, _)| *of == dataset).map(|(_, row)| row)
    }

    /// Every event with its dataset, in `Seq` order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = (Dataset, Row<'_>)> {
        self.places.iter().enumerate().map(|(at, place)| (place.dataset, Row { chunk: self, at }))
    }

    /// The earliest and the latest `@timestamp` in it.
    pub fn timestamps(&self) -> (Timestamp, Timestamp) {
        (self.timestamp_min, self.timestamp_max)
    }

    fn first_seq(&self) -> Seq {
        self.first_seq
    }
}

/// Committed events in `Seq` order.
#[derive(Clone, Debug, Default)]
pub struct Memtable {
    groups: Vec<Arc<[Arc<Chunk>]>>,
    tail: Vec<Arc<Chunk>>,
    events: usize,
    /// Of each dataset, by its number.
    counts: [usize; Dataset::ALL.len()],
    log_bytes: u64,
}

impl Memtable {
    /// Adds a batch behind all others.
    pub fn push(&mut self, chunk: Chunk) {
        assert!(self.last_seq().is_none_or(|last| last < chunk.first_seq()), "Seq only rises");
        self.events += chunk.places.len();
        chunk.places.iter().for_each(|place| self.counts[usize::from(place.dataset.number())] += 1);
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
    pub fn of(&self, dataset: Dataset) -> impl DoubleEndedIterator<Item = Row<'_>> {
        self.chunks().flat_map(move |chunk| chunk.of_dataset(dataset))
    }

    /// The event of this `Seq`.
    pub fn get(&self, seq: Seq) -> Option<(Dataset, Row<'_>)> {
        let group = self.groups.partition_point(|group| group[0].first_seq() <= seq);
        let chunks = match group {
            _ if self.tail.first().is_some_and(|chunk| chunk.first_seq() <= seq) => &self.tail[..],
            0 => return None,
            at => &self.groups[at - 1][..],
        };
        let chunk = &chunks[chunks.partition_point(|chunk| chunk.first_seq() <= seq).checked_sub(1)?];
        let at = usize::try_from(seq.0 - chunk.first_seq().0).ok()?;
        Some((chunk.places.get(at)?.dataset, Row { chunk, at }))
    }

    /// The `Seq` of the newest event.
    pub fn last_seq(&self) -> Option<Seq> {
        let last = self.chunks().next_back()?;
        Some(Seq(last.first_seq.0 + last.places.len() as u64 - 1))
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.events
    }

    /// How many events of a dataset it holds.
    pub fn count(&self, dataset: Dataset) -> usize {
        self.counts[usize::from(dataset.number())]
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
        Chunk::new(&(0..datasets.len()).map(row).collect::<Vec<_>>(), datasets, 10)
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
                let found: Vec<_> = memtable.of(dataset).map(|row| row.seq().0).collect();
                let expected: Vec<_> = plain.iter().filter(|one| one.0 == dataset).map(|one| one.1).collect();
                prop_assert_eq!(&found, &expected);
                let newest_first: Vec<_> = memtable.of(dataset).rev().map(|row| row.seq().0).collect();
                prop_assert!(newest_first.iter().eq(expected.iter().rev()));
                prop_assert_eq!(memtable.count(dataset), expected.len());
            }
            for seq in 0..plain.len() as u64 + 2 {
                let found = memtable.get(Seq(seq)).map(|(dataset, row)| (dataset, row.seq().0));
                prop_assert_eq!(found, plain.iter().find(|one| one.1 == seq).copied());
            }
            prop_assert_eq!(memtable.len(), plain.len());
        }
    }

    #[test]
    fn a_batch_comes_back_from_its_frame_as_it_was() {
        let event = |number: u8| {
            let mut event = Event::new(Timestamp(i64::from(number)), vec![number; usize::from(number)]);
            event.set_named("vendor.name", "x".repeat(usize::from(number)));
            event
        };
        let batch: Vec<(Dataset, Event)> = (1..200).map(|number| (Dataset::Events, event(number))).collect();
        let (frame, places) = crate::wal::frame(&[crate::wal::Encoded::of(&batch)], &[("mark", vec![7; 900])]);
        let stored = |(at, (_, event)): (u64, &(Dataset, Event))| Stored {
            seq: Seq(at),
            committed: Timestamp(5),
            event: event.clone(),
        };
        let rows: Vec<Stored> = (40..).zip(&batch).map(stored).collect();
        let log_bytes = frame.len() as u64;
        let of_frame = Chunk::of_frame(&rows, frame, &places);
        let plain = Chunk::new(&rows, &vec![Dataset::Events; rows.len()], log_bytes);
        for chunk in [of_frame, plain] {
            assert_eq!(chunk.rows().map(|(_, row)| row.stored()).collect::<Vec<_>>(), rows);
            assert_eq!(chunk.timestamps(), (Timestamp(1), Timestamp(199)));
            assert_eq!(chunk.log_bytes, log_bytes);
        }
    }
}
