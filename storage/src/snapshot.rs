//! `Snapshot`: all events of a store as they were at one moment. It never changes, whatever is appended
//! or sealed meanwhile; taking one costs some hundred pointers.

use std::sync::Arc;

use nhatle_event::{Seq, Stored};

use crate::dataset::Dataset;
use crate::error::ReadError;
use crate::live::LiveSegment;
use crate::memtable::{Chunk, Memtable, Row};

/// An unchanging view of a store.
#[derive(Clone)]
pub struct Snapshot {
    /// Oldest first: the one that is being sealed, where there is one, then the one that grows.
    memtables: Vec<Memtable>,
    segments: Arc<Vec<Arc<LiveSegment>>>,
    last_seq: Seq,
}

impl Snapshot {
    /// A view of these: every event of a segment is older than any in the memtables.
    pub(crate) fn new(memtables: Vec<Memtable>, segments: Arc<Vec<Arc<LiveSegment>>>, last_seq: Seq) -> Snapshot {
        Snapshot { memtables, segments, last_seq }
    }

    /// Asks, and where a segment turns out to be damaged, asks again without it. Gives the answer and the segments that it
    /// leaves out, those known to be damaged before among them: such an answer is partial and has to say so.
    ///
    /// # Errors
    /// What goes wrong elsewhere than in one segment.
    pub fn serve_rest<T>(
        &self,
        mut ask: impl FnMut(&Snapshot) -> Result<T, ReadError>,
    ) -> Result<(T, Vec<Arc<LiveSegment>>), ReadError> {
        let (mut left_out, mut whole): (Vec<_>, Vec<_>) =
            self.segments.iter().cloned().partition(|segment| segment.damage().is_some());
        loop {
            let rest = Snapshot { segments: Arc::new(whole.clone()), ..self.clone() };
            let error = match ask(&rest) {
                Ok(answer) => return Ok((answer, left_out)),
                Err(error) => error,
            };
            let Some(at) = whole.iter().position(|segment| segment.is_meant(&error)) else { return Err(error) };
            let damaged = whole.remove(at);
            damaged.set_damage(said(&error));
            left_out.push(damaged);
        }
    }

    /// The `Seq` of the newest event; 0 where there is none.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// The sealed segments of a dataset, oldest first. Their ranges of `Seq` do not overlap.
    pub fn segments(&self, dataset: Dataset) -> impl DoubleEndedIterator<Item = &Arc<LiveSegment>> {
        self.segments.iter().filter(move |segment| segment.meta().dataset == dataset)
    }

    /// The batches that are in no segment yet, oldest first; of every dataset, see [`Chunk::of_dataset`].
    pub fn chunks(&self) -> impl DoubleEndedIterator<Item = &Arc<Chunk>> {
        self.memtables.iter().flat_map(Memtable::chunks)
    }

    /// The events of a dataset that are in no segment yet, in `Seq` order; each is decoded where it is asked for.
    pub fn recent(&self, dataset: Dataset) -> impl DoubleEndedIterator<Item = Row<'_>> {
        self.memtables.iter().flat_map(move |memtable| memtable.of(dataset))
    }

    /// An event by its `Seq`, where it is in no segment yet.
    pub fn recent_by_seq(&self, seq: Seq) -> Option<(Dataset, Row<'_>)> {
        self.memtables.iter().find_map(|memtable| memtable.get(seq))
    }

    /// How many events of a dataset there are.
    pub fn count(&self, dataset: Dataset) -> u64 {
        let sealed: u64 = self.segments(dataset).map(|segment| segment.meta().row_count).sum();
        sealed + self.recent_count(dataset)
    }

    /// How many of them are in no segment yet.
    pub fn recent_count(&self, dataset: Dataset) -> u64 {
        self.memtables.iter().map(|memtable| memtable.count(dataset) as u64).sum()
    }

    /// The first `count_max` events of a dataset after `after`, in `Seq` order, reading only those: what a replay goes on
    /// with.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn events_after(&self, dataset: Dataset, after: Seq, count_max: usize) -> Result<Vec<Stored>, ReadError> {
        let mut found = Vec::new();
        for segment in self.segments(dataset).filter(|segment| after < segment.meta().last_seq) {
            if count_max <= found.len() {
                break;
            }
            found.extend(segment.events_after(after, count_max - found.len())?);
        }
        let recent = self.recent(dataset).filter(|row| after < row.seq());
        found.extend(recent.take(count_max.saturating_sub(found.len())).map(|row| row.stored()));
        Ok(found)
    }
}

fn said(error: &ReadError) -> String {
    match error {
        ReadError::Io { file, source } => format!("reading {file}: {source}"),
        other => other.to_string(),
    }
}
