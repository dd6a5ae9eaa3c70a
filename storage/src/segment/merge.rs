//! One segment out of several. In: open segments of one dataset, one after the other in `Seq`. Out: one segment of
//! exactly their events, rows in order of `@timestamp`, then `Seq`, written as it is read: memory holds a batch of each
//! input, one row group, the growing index and the hash of each event.
//!
//! Promise: the root over the events' hashes of each input is made anew from what was read and compared with the one
//! the input was sealed with, so damage or a mistake of ours is never carried over into a new file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;
use std::vec::IntoIter;

use nhatle_event::json::hex;
use nhatle_event::{Seq, Stored, Timestamp};

use super::meta::{Kinds, Replaced, SegmentMeta, WriteOptions, write_file};
use super::object::ObjectWriter;
use super::reader::{RowStream, Segment};
use super::text_index::IndexBuilder;
use super::writer::RowsWriter;
use super::{INDEX_FILE, ROWS_FILE};
use crate::disk::{Disk, join};
use crate::error::{Corrupt, WriteError};
use crate::proof::canonical::{self, Canonical};
use crate::proof::tree::{Hash, Tree};

/// What the batches of all inputs may take in memory.
const INPUT_BYTES: usize = 64 << 20;
/// How many rows, and how many bytes as received, are written at a time.
const OUTPUT_ROWS: usize = 4096;
const OUTPUT_BYTES: usize = 32 << 20;

/// What is asked between two batches: `false` gives the work up.
pub type Pace<'a> = &'a mut dyn FnMut() -> bool;

/// Merges `inputs` (at least one) into a segment in the folder `dir`, which is there and empty, durably. `None` where
/// `pace` gave it up; what is in the folder then is of no use.
///
/// # Errors
/// What the disk says; an input that is damaged or not what it was sealed as.
pub fn merge(
    disk: &dyn Disk,
    dir: &str,
    inputs: &[Arc<Segment>],
    options: &WriteOptions,
    pace: Pace<'_>,
) -> Result<Option<SegmentMeta>, WriteError> {
    let rows_path = join(dir, ROWS_FILE);
    let unwritable = |name: &str, reason: String| WriteError::Unwritable { file: join(dir, name), reason };
    let object = ObjectWriter::create(disk, dir, ROWS_FILE)?;
    let failure = object.failure();
    let parquet_failed = |error: parquet::errors::ParquetError| failure.error(&rows_path, error.to_string());
    let mut rows = RowsWriter::new(object, options.tier).map_err(parquet_failed)?;
    let mut index = IndexBuilder::default();
    let mut summary = Summary::default();
    let mut merged = Merged::new(inputs)?;
    loop {
        if !pace() {
            return Ok(None);
        }
        let batch = merged.take()?;
        if batch.is_empty() {
            break;
        }
        rows.push(&batch.iter().collect::<Vec<_>>()).map_err(parquet_failed)?;
        for stored in &batch {
            index.add(&stored.event);
            summary.add(stored);
        }
    }
    let rows = rows.finish().map_err(parquet_failed)?.finish(disk)?;
    let index = index.finish().map_err(|reason| unwritable(INDEX_FILE, reason))?;
    if !pace() {
        return Ok(None);
    }
    let index = write_file(disk, dir, INDEX_FILE, &index)?;
    summary.leaves.sort_unstable();
    for input in inputs {
        check_input(input.meta(), &summary.leaves)?;
    }
    let metas = inputs.iter().map(|input| input.meta());
    let meta = summary.meta(options, dir, vec![rows, index], metas.map(Replaced::of).collect());
    meta.map(Some).ok_or_else(|| unwritable("", "no events".to_owned()))
}

/// The events of an input are those it was sealed with.
fn check_input(input: &SegmentMeta, leaves: &[(Seq, Hash)]) -> Result<(), WriteError> {
    // A root of another form cannot be made again; its rows stand under the checksums of their blocks.
    let is_known = input.root_form == Some(canonical::FORM);
    let begin = leaves.partition_point(|(seq, _)| *seq < input.first_seq);
    let end = leaves.partition_point(|(seq, _)| *seq <= input.last_seq);
    let root = hex(&Tree::of(leaves[begin..end].iter().map(|(_, leaf)| *leaf).collect()).root());
    if (root == input.events_root || !is_known) && (end - begin) as u64 == input.row_count {
        return Ok(());
    }
    let expected = format!("{} events of root {}", input.row_count, input.events_root);
    let found = format!("{} of root {root}", end - begin);
    Err(WriteError::Read(Corrupt { file: input.path(ROWS_FILE), offset: 0, expected, found }.into()))
}

/// What the meta of the new segment says, gathered row by row.
#[derive(Default)]
struct Summary {
    leaves: Vec<(Seq, Hash)>,
    timestamps: Option<(Timestamp, Timestamp)>,
    committed: Option<(Timestamp, Timestamp)>,
    kinds: Kinds,
    canonical: Canonical,
}

impl Summary {
    fn add(&mut self, stored: &Stored) {
        let widen = |range: &mut Option<(Timestamp, Timestamp)>, stamp: Timestamp| {
            let (first, last) = range.unwrap_or((stamp, stamp));
            *range = Some((first.min(stamp), last.max(stamp)));
        };
        widen(&mut self.timestamps, stored.event.timestamp);
        widen(&mut self.committed, stored.committed);
        self.kinds.add(&stored.event);
        self.leaves.push((stored.seq, self.canonical.leaf(stored)));
    }

    fn meta(
        self,
        options: &WriteOptions,
        dir: &str,
        files: Vec<super::meta::FileMeta>,
        replaces: Vec<Replaced>,
    ) -> Option<SegmentMeta> {
        let (timestamp_min, timestamp_max) = self.timestamps?;
        Some(SegmentMeta {
            version: super::meta::SEGMENT_VERSION,
            dataset: options.dataset,
            dir: dir.to_owned(),
            row_count: self.leaves.len() as u64,
            first_seq: self.leaves.first()?.0,
            last_seq: self.leaves.last()?.0,
            timestamp_min,
            timestamp_max,
            committed: self.committed.map(|(first, last)| [first.0, last.0]),
            tier: options.tier,
            kinds: self.kinds.list(),
            files,
            replaces,
            events_root: hex(&Tree::of(self.leaves.into_iter().map(|(_, leaf)| leaf).collect()).root()),
            root_form: Some(canonical::FORM),
            leaf: None,
        })
    }
}

/// The rows of all inputs in order.
struct Merged {
    inputs: Vec<(RowStream, IntoIter<Stored>)>,
    /// The next row of each input that has one.
    next: BinaryHeap<Reverse<Head>>,
}

struct Head {
    stored: Stored,
    input: usize,
}

impl Head {
    fn key(&self) -> (Timestamp, Seq) {
        (self.stored.event.timestamp, self.stored.seq)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Merged {
    fn new(segments: &[Arc<Segment>]) -> Result<Merged, WriteError> {
        let bytes = INPUT_BYTES / segments.len().max(1);
        let mut merged = Merged { inputs: Vec::new(), next: BinaryHeap::new() };
        for (input, segment) in segments.iter().enumerate() {
            merged.inputs.push((segment.stream(bytes)?, Vec::new().into_iter()));
            if let Some(stored) = merged.pull(input)? {
                merged.next.push(Reverse(Head { stored, input }));
            }
        }
        Ok(merged)
    }

    fn pull(&mut self, input: usize) -> Result<Option<Stored>, WriteError> {
        let (stream, batch) = &mut self.inputs[input];
        loop {
            if let Some(stored) = batch.next() {
                return Ok(Some(stored));
            }
            match stream.next() {
                Some(more) => *batch = more?.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// The next rows; none at the end.
    fn take(&mut self) -> Result<Vec<Stored>, WriteError> {
        let mut taken = Vec::with_capacity(OUTPUT_ROWS);
        let mut bytes = 0;
        while taken.len() < OUTPUT_ROWS && bytes < OUTPUT_BYTES {
            let Some(Reverse(head)) = self.next.peek() else { break };
            let input = head.input;
            let next = self.pull(input)?;
            let Some(mut top) = self.next.peek_mut() else { break };
            let stored = match next {
                Some(stored) => std::mem::replace(&mut top.0.stored, stored),
                None => PeekMut::pop(top).0.stored,
            };
            bytes += stored.event.original.len();
            taken.push(stored);
        }
        Ok(taken)
    }
}
