//! One segment out of several. In: open segments of one dataset, one after the other in `Seq`. Out: one segment of
//! exactly their events, rows in order of `@timestamp`, then `Seq`, written as it is read: memory holds a batch of each
//! input, one row group, the growing index and the hash of each event. Where all inputs have the same columns, these are
//! copied as tables; events are made of them for index and hashes only.
//!
//! Promise: the root over the events' hashes of each input is made anew from what was read and compared with the one
//! the input was sealed with, so damage or a mistake of ours is never carried over into a new file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;
use std::vec::IntoIter;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use nhatle_event::json::hex;
use nhatle_event::{Seq, Stored, Timestamp};

use super::erased::{ERASED_FILE, Keeper};
use super::frequent::{Census, Frequent, SAMPLE_ROWS};
use super::meta::{Kinds, Replaced, SegmentMeta, WriteOptions, write_file};
use super::object::ObjectWriter;
use super::reader::{Projection, Segment};
use super::recent::event_bytes;
use super::stream::RowStream;
use super::text_index::IndexBuilder;
use super::writer::RowsWriter;
use super::{INDEX_FILE, ROWS_FILE};
use crate::disk::{Disk, join};
use crate::erase::Erasure;
use crate::error::{Corrupt, WriteError};
use crate::proof::canonical::{self, Canonical, Hashed};
use crate::proof::tree::{Hash, Tree};

/// What the batches of all inputs may take in memory.
const INPUT_BYTES: usize = 64 << 20;
/// How many rows, and how many bytes of events in memory, are written at a time.
const OUTPUT_ROWS: usize = 4096;
const OUTPUT_BYTES: usize = 32 << 20;

/// How many rows are looked at in one place of an input to choose columns.
const RUN_ROWS: usize = 256;

/// What is asked between two batches: `false` gives the work up.
pub type Pace<'a> = &'a mut dyn FnMut() -> bool;

/// What happens to the events on the way.
#[derive(Clone, Copy)]
pub enum Work<'a> {
    /// Nothing.
    Keep,
    /// Something of them is erased.
    Erase(&'a Erasure<'a>),
}

/// Merges `inputs` (at least one) into a segment in the folder `dir`, which is there and empty, durably. `None` where
/// `pace` gave it up; what is in the folder then is of no use.
///
/// # Errors
/// What the disk says; an input that is damaged or not what it was sealed as.
pub fn merge(
    disk: &dyn Disk,
    dir: &str,
    inputs: &[Arc<Segment>],
    (options, work): (&WriteOptions, Work<'_>),
    pace: Pace<'_>,
) -> Result<Option<SegmentMeta>, WriteError> {
    let rows_path = join(dir, ROWS_FILE);
    let unwritable = |name: &str, reason: String| WriteError::Unwritable { file: join(dir, name), reason };
    let object = ObjectWriter::create(disk, dir, ROWS_FILE)?;
    let failure = object.failure();
    let parquet_failed = |error: parquet::errors::ParquetError| failure.error(&rows_path, error.to_string());
    let frequent = match settled(inputs)? {
        Some(frequent) => frequent,
        None => sampled(inputs)?,
    };
    let mut rows = RowsWriter::new(object, options.tier, frequent).map_err(parquet_failed)?;
    let mut index = IndexBuilder::default();
    let before = inputs.iter().map(|input| input.erased()).collect::<Result<Vec<_>, _>>()?;
    let mut summary = Summary { keeper: Keeper::of(before.into_iter()), ..Summary::default() };
    let mut merged = Merged::new(inputs)?;
    // Tables of the columns that are written go over as they are; others are made anew from their events.
    let schema = rows.schema().clone();
    let as_tables = matches!(work, Work::Keep) && merged.has_columns(&schema);
    if as_tables {
        for input in inputs {
            rows.spill(input.spilled()?);
            rows.outline(input.outlines()?.unwrap_or_default());
        }
    }
    loop {
        if !pace() {
            return Ok(None);
        }
        let mut taken = merged.take()?;
        if taken.events.is_empty() {
            break;
        }
        if let Work::Erase(erasure) = work {
            for stored in &mut taken.events {
                summary.keeper.erase(stored, erasure).map_err(|reason| unwritable(ERASED_FILE, reason))?;
            }
        }
        let hashed: Vec<Hashed<'_>> = taken.events.iter().map(Hashed::of).collect();
        if as_tables {
            let table = taken.table(&schema).map_err(|error| unwritable(ROWS_FILE, error.to_string()))?;
            rows.push_table(&table).map_err(parquet_failed)?;
        } else {
            rows.push(&hashed).map_err(parquet_failed)?;
        }
        for hashed in &hashed {
            index.add(&hashed.stored.event);
            summary.add(hashed);
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
    let erased = std::mem::take(&mut summary.keeper).into_erased().write(disk, dir)?;
    let files = [rows, index].into_iter().chain(erased).collect();
    let metas = inputs.iter().map(|input| input.meta());
    let meta = summary.meta(options, dir, files, metas.map(Replaced::of).collect());
    meta.map(Some).ok_or_else(|| unwritable("", "no events".to_owned()))
}

/// The columns of frequent fields, where all inputs have the same and are large enough to have chosen them well.
fn settled(inputs: &[Arc<Segment>]) -> Result<Option<Vec<Frequent>>, WriteError> {
    let Some(first) = inputs.first() else { return Ok(None) };
    let frequent = first.frequent()?;
    for input in inputs {
        let is_same = match (&frequent, input.frequent()?) {
            (Some(one), Some(other)) => {
                let columns = |of: &[Frequent]| -> Vec<_> { of.iter().map(|one| (one.field, one.kind)).collect() };
                columns(one) == columns(&other)
            }
            _ => false,
        };
        if !is_same || input.row_count() < SAMPLE_ROWS {
            return Ok(None);
        }
    }
    Ok(frequent)
}

/// The columns that a sample of all inputs speaks for: runs of rows that lie in few pages each.
fn sampled(inputs: &[Arc<Segment>]) -> Result<Vec<Frequent>, WriteError> {
    let total: usize = inputs.iter().map(|input| input.row_count()).sum();
    let mut census = Census::default();
    for input in inputs {
        let count = input.row_count();
        let share = count * SAMPLE_ROWS.min(total) / total.max(1);
        let runs = share.div_ceil(RUN_ROWS).max(1);
        let run = share.div_ceil(runs).max(1);
        for at in 0..runs {
            let begin = (count * (2 * at + 1) / (2 * runs)).saturating_sub(run / 2).min(count.saturating_sub(run));
            let rows: Vec<usize> = (begin..(begin + run).min(count)).collect();
            input.fetch(&rows, Projection::Others)?.iter().for_each(|stored| census.add(&stored.event));
        }
    }
    Ok(census.choose(total))
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
pub(super) struct Summary {
    leaves: Vec<(Seq, Hash)>,
    timestamps: Option<(Timestamp, Timestamp)>,
    committed: Option<(Timestamp, Timestamp)>,
    kinds: Kinds,
    canonical: Canonical,
    keeper: Keeper,
}

impl Summary {
    /// The next row.
    pub(super) fn add(&mut self, hashed: &Hashed<'_>) {
        let stored = hashed.stored;
        let widen = |range: &mut Option<(Timestamp, Timestamp)>, stamp: Timestamp| {
            let (first, last) = range.unwrap_or((stamp, stamp));
            *range = Some((first.min(stamp), last.max(stamp)));
        };
        widen(&mut self.timestamps, stored.event.timestamp);
        widen(&mut self.committed, stored.committed);
        self.kinds.add(&stored.event);
        let made = self.canonical.leaf_of(hashed);
        self.leaves.push((stored.seq, self.keeper.leaf(stored.seq, made)));
    }

    /// The meta of a segment of these rows; `None` where there are none.
    pub(super) fn meta(
        mut self,
        options: &WriteOptions,
        dir: &str,
        files: Vec<super::meta::FileMeta>,
        replaces: Vec<Replaced>,
    ) -> Option<SegmentMeta> {
        let (timestamp_min, timestamp_max) = self.timestamps?;
        self.leaves.sort_unstable();
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
    inputs: Vec<Input>,
    /// The next row of each input that has one.
    next: BinaryHeap<Reverse<Head>>,
}

/// One input, and where it is.
struct Input {
    stream: RowStream,
    events: IntoIter<Stored>,
    /// The table that its events are of, and the row of the next.
    table: Option<RecordBatch>,
    row: usize,
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

/// The next rows: their events, and where each stands in the tables they were read from.
#[derive(Default)]
struct Taken {
    events: Vec<Stored>,
    tables: Vec<RecordBatch>,
    /// For each event the table and the row.
    places: Vec<(usize, usize)>,
}

impl Taken {
    /// These rows as one table of these columns.
    fn table(&self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let first = self.places.first().copied().unwrap_or_default();
        let mut run = (first.1..).map(|row| (first.0, row));
        // Segments mostly follow each other in time, too.
        let is_run = self.places.iter().all(|place| run.next() == Some(*place));
        let table = match self.tables.get(first.0).filter(|_| is_run) {
            Some(table) => table.slice(first.1, self.places.len()),
            None => interleave_record_batch(&self.tables.iter().collect::<Vec<_>>(), &self.places)?,
        };
        RecordBatch::try_new(schema.clone(), table.columns().to_vec())
    }
}

impl Merged {
    fn new(segments: &[Arc<Segment>]) -> Result<Merged, WriteError> {
        let bytes = INPUT_BYTES / segments.len().max(1);
        let mut merged = Merged { inputs: Vec::new(), next: BinaryHeap::new() };
        for (input, segment) in segments.iter().enumerate() {
            let (stream, events) = (segment.stream(bytes)?, Vec::new().into_iter());
            merged.inputs.push(Input { stream, events, table: None, row: 0 });
            if let Some(stored) = merged.pull(input)? {
                merged.next.push(Reverse(Head { stored, input }));
            }
        }
        Ok(merged)
    }

    /// The tables of all inputs have these columns, in their order.
    fn has_columns(&self, schema: &SchemaRef) -> bool {
        self.inputs.iter().all(|input| input.stream.schema().fields() == schema.fields())
    }

    fn pull(&mut self, input: usize) -> Result<Option<Stored>, WriteError> {
        let input = &mut self.inputs[input];
        loop {
            if let Some(stored) = input.events.next() {
                input.row += 1;
                return Ok(Some(stored));
            }
            match input.stream.next_table() {
                Some(more) => {
                    let (table, events) = more?;
                    (input.table, input.events, input.row) = (Some(table), events.into_iter(), 0);
                }
                None => return Ok(None),
            }
        }
    }

    /// The next rows; none at the end.
    fn take(&mut self) -> Result<Taken, WriteError> {
        let mut taken = Taken { events: Vec::with_capacity(OUTPUT_ROWS), ..Taken::default() };
        // Which of `taken.tables` is the table of each input now.
        let mut tables: Vec<Option<usize>> = vec![None; self.inputs.len()];
        let mut bytes = 0;
        while taken.events.len() < OUTPUT_ROWS && bytes < OUTPUT_BYTES {
            let Some(Reverse(head)) = self.next.peek() else { break };
            let input = head.input;
            let of = &self.inputs[input];
            let table = match (tables[input], &of.table) {
                (Some(table), _) => table,
                (None, Some(table)) => {
                    taken.tables.push(table.clone());
                    *tables[input].insert(taken.tables.len() - 1)
                }
                (None, None) => break,
            };
            taken.places.push((table, of.row - 1));
            if of.events.len() == 0 {
                // The next row is of the next table.
                tables[input] = None;
            }
            let next = self.pull(input)?;
            let Some(mut top) = self.next.peek_mut() else { break };
            let stored = match next {
                Some(stored) => std::mem::replace(&mut top.0.stored, stored),
                None => PeekMut::pop(top).0.stored,
            };
            bytes += event_bytes(&stored);
            taken.events.push(stored);
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::{Event, Field, Value};
    use proptest::prelude::*;

    use super::super::meta::Tier;
    use super::super::tests_old::write_version_1;
    use super::super::write;
    use super::*;
    use crate::dataset::Dataset;
    use crate::disk::OsDisk;

    #[test]
    fn what_is_taken_at_a_time_is_bounded_whatever_field_is_long() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
        disk.create_folder("s").unwrap();
        let long = "x".repeat(20 << 10);
        let event = |seq: u64| {
            let mut event = Event::new(Timestamp(seq as i64), *b"short");
            event.set_named("user_agent.original", long.as_str());
            Stored { seq: Seq(seq), committed: Timestamp(7), event }
        };
        let options = WriteOptions { dataset: Dataset::Events, tier: Tier::Recent };
        let meta = write(&*disk, "s", &(1..=3_000).map(event).collect::<Vec<_>>(), &options).unwrap();
        let mut merged = Merged::new(&[Arc::new(Segment::open(disk, &meta).unwrap())]).unwrap();
        let mut counts = Vec::new();
        loop {
            let taken = merged.take().unwrap();
            if taken.events.is_empty() {
                break;
            }
            assert!(taken.events.iter().map(event_bytes).sum::<usize>() < OUTPUT_BYTES + (64 << 10));
            counts.push(taken.events.len());
        }
        assert!(1 < counts.len() && counts.iter().sum::<usize>() == 3_000, "{counts:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// A merge by tables is what sealing all events at once would be.
        #[test]
        fn a_merged_segment_is_the_one_of_all_events_at_once(
            parts in proptest::collection::vec(
                (1u8..4, proptest::collection::vec((0i64..40, 0u8..6), 1..60)), 1..5),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
            let options = WriteOptions { dataset: Dataset::Events, tier: Tier::Recent };
            let mut seq = 0;
            let mut all = Vec::new();
            let mut inputs = Vec::new();
            for (number, (version, part)) in parts.iter().enumerate() {
                let events: Vec<Stored> = part.iter().map(|(second, kind)| {
                    seq += 1;
                    let mut event = Event::new(Timestamp::from_seconds(*second), format!("line {seq}").into_bytes());
                    event.set(Field::MESSAGE, format!("line {seq}"));
                    match kind {
                        0 => event.set(Field::SOURCE_IP, Value::Ip([10, 0, 0, 1].into())),
                        // A value that has no place in its column, and a name that is a column's but for its case.
                        1 => event.set(Field::SOURCE_IP, "somewhere"),
                        2 => event.set_named("Host.Name", "h"),
                        3 => event.set_named("vendor.key", "another type"),
                        4 => event.set_named("Vendor.Key", "another case"),
                        _ => event.set_named("vendor.key", Value::Long(*second)),
                    }
                    Stored { seq: Seq(seq), committed: Timestamp(7), event }
                }).collect();
                let dir = format!("s{number}");
                disk.create_folder(&dir).unwrap();
                let meta = match version {
                    1 => write_version_1(&*disk, &dir, &events, &options),
                    _ => write(&*disk, &dir, &events, &options).unwrap(),
                };
                inputs.push(Arc::new(Segment::open(disk.clone(), &meta).unwrap()));
                all.extend(events);
            }
            for dir in ["merged", "whole"] {
                disk.create_folder(dir).unwrap();
            }
            let merged = merge(&*disk, "merged", &inputs, (&options, Work::Keep), &mut || true).unwrap().unwrap();
            let whole = write(&*disk, "whole", &all, &options).unwrap();
            prop_assert_eq!(&merged.events_root, &whole.events_root);
            let [merged, whole] = [merged, whole].map(|meta| Segment::open(disk.clone(), &meta).unwrap());
            prop_assert_eq!(merged.rows().unwrap(), whole.rows().unwrap());
            let [mut of_merged, mut of_whole] = [merged.spilled().unwrap(), whole.spilled().unwrap()];
            of_merged.sort();
            of_whole.sort();
            prop_assert_eq!(of_merged, of_whole);
            prop_assert_eq!(merged.index().unwrap().dump(), whole.index().unwrap().dump());
        }
    }
}
