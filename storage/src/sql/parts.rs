//! What a scan is asked for, and the parts of a table it is made of: row groups of segments, and what is in no segment
//! yet. In: [`Asked`]. Out: [`Rows`], batches of the columns asked for. Promise: no row leaves that the limit to units does not
//! let through, and none that a condition of the scan does not hold for; no row is left out that all hold for. Failure:
//! [`ReadError`], with the file.

use std::sync::{Arc, Mutex};

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray, new_null_array};
use arrow_schema::{DataType, SchemaRef};
use datafusion::arrow::compute::{cast, filter_record_batch, take};
use datafusion::common::{Result, exec_datafusion_err};
use nhatle_event::json::hex;
use nhatle_event::{EventId, Seq, Stored, Timestamp};

use super::condition::Condition;
use super::deadline::Deadline;
use super::error::unread;
use super::events::{SCHEMA, SOURCES, Source};
use super::slices::Stretch;
use super::spread::Spread;
use crate::error::ReadError;
use crate::live::LiveSegment;
use crate::memtable::Chunk;
use crate::query::plan::Plan;
use crate::query::rule_out::rule_out;
use crate::query::worth::{may_be, worth};
use crate::query::{Filter, Query};
use crate::segment::rows::RowSet;
use crate::segment::{GROUP_ROWS, Segment, Spans, Wanted, columns};
use crate::snapshot::Snapshot;

/// How many rows of memory make a batch, and about how many bytes of the log.
const RECENT_ROWS: usize = 4096;
const RECENT_BYTES: usize = 8 << 20;

/// What does not change when a scan is asked for fewer columns or rows.
pub struct Base {
    snapshot: Snapshot,
    /// What the index is asked, and times and units.
    pub query: Query,
    /// Until when.
    pub deadline: Deadline,
    /// The fields of `attrs` that are asked for.
    wanted: Wanted,
    /// The segments, newest first, as far as they are opened.
    segments: Vec<(Arc<LiveSegment>, Mutex<Option<Access>>)>,
}

/// What a scan is asked for.
pub struct Asked {
    /// Of what.
    pub base: Arc<Base>,
    /// The table's columns.
    pub columns: Vec<usize>,
    /// The columns of the segment they are made of.
    pub sources: Vec<&'static str>,
    schema: SchemaRef,
    /// What holds for every row that comes out.
    pub conditions: Vec<Arc<Condition>>,
}

/// A part of a table.
#[derive(Clone, Copy)]
pub enum Part {
    /// What is in no segment yet.
    Recent,
    /// A row group.
    Group {
        /// The number of the segment.
        segment: usize,
        /// The number of the row group.
        group: usize,
        /// Nobody is asked for the row groups behind it.
        is_last: bool,
    },
}

/// How a segment is read; `None` where it has no row.
pub type Access = Option<Arc<Opened>>;

/// A segment with the rows of it that are in question.
pub struct Opened {
    /// The segment.
    pub segment: Arc<Segment>,
    /// Its columns.
    pub spans: Spans,
    /// The rows; `None` is every row.
    pub rows: Option<RowSet>,
}

impl Base {
    /// Events of a snapshot, in the time range and of the datasets and units of the query; of `attrs` at least the fields
    /// that are wanted.
    pub fn new(snapshot: Snapshot, query: Query, deadline: Deadline, wanted: Wanted) -> Base {
        let mut segments: Vec<Arc<LiveSegment>> = snapshot
            .segments(query.datasets[0])
            .filter(|segment| {
                let meta = segment.meta();
                query.from <= meta.timestamp_max && (meta.timestamp_min < query.to || query.to.0 == i64::MAX)
            })
            .cloned()
            .collect();
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.meta().timestamp_max));
        let segments = segments.into_iter().map(|segment| (segment, Mutex::new(None))).collect();
        Base { snapshot, query, deadline, wanted, segments }
    }

    /// The same, of the rows between two moments.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Base {
        let (from, to) = (self.query.from.max(from), self.query.to.min(to));
        let query = Query { from, to, ..self.query.clone() };
        Base::new(self.snapshot.clone(), query, self.deadline.clone(), self.wanted.clone())
    }

    /// Where in time the rows are, roughly: of each segment, and of each batch that is in none yet.
    pub fn stretches(&self) -> Vec<Stretch> {
        let of_segment = |(live, _): &(Arc<LiveSegment>, _)| {
            let meta = live.meta();
            Stretch { first: meta.timestamp_min, last: meta.timestamp_max, rows: meta.row_count }
        };
        let mut all: Vec<Stretch> = self.segments.iter().map(of_segment).collect();
        for chunk in self.snapshot.chunks() {
            let (first, last) = chunk.timestamps();
            let rows = chunk.of_dataset(self.query.datasets[0]).count() as u64;
            all.push(Stretch { first, last, rows });
        }
        all
    }

    /// The parts, dealt out to at most so many threads: what is in memory, then the row groups, newest first.
    pub fn parts(&self, threads: usize) -> Vec<Vec<Part>> {
        let mut all = vec![Part::Recent];
        for (segment, (live, _)) in self.segments.iter().enumerate() {
            let rows = usize::try_from(live.meta().row_count).unwrap_or(usize::MAX);
            let count = rows.div_ceil(GROUP_ROWS).max(1);
            all.extend((0..count).rev().map(|group| Part::Group { segment, group, is_last: group + 1 == count }));
        }
        let mut dealt = vec![Vec::new(); threads.clamp(1, all.len())];
        let count = dealt.len();
        all.into_iter().enumerate().for_each(|(at, part)| dealt[at % count].push(part));
        dealt
    }

    /// A segment by its number.
    pub fn live(&self, segment: usize) -> &Arc<LiveSegment> {
        &self.segments[segment].0
    }

    /// How a segment is read, worked out by the first that asks.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn access(&self, segment: usize) -> Result<Access> {
        let (live, kept) = &self.segments[segment];
        let mut kept = kept.lock().expect("no code panics while it holds this lock");
        if let Some(access) = &*kept {
            return Ok(access.clone());
        }
        let access = self.opened(live).map_err(unread)?;
        *kept = Some(access.clone());
        Ok(access)
    }

    fn opened(&self, live: &LiveSegment) -> Result<Access, ReadError> {
        let query = &self.query;
        if rule_out(query, live, None)?.is_some() {
            return Ok(None);
        }
        let segment = live.open()?;
        let meta = live.meta();
        let is_whole = query.is_in_time(meta.timestamp_min) && query.is_in_time(meta.timestamp_max);
        let filter = match may_be(&query.filter) {
            true => {
                let worth = worth(&query.filter, &*segment.index()?, meta.row_count);
                worth.map_err(|reason| segment.index_error(reason))?.map_or(Filter::All, |(filter, _)| filter)
            }
            false => Filter::All,
        };
        let rows = match is_whole && filter == Filter::All && query.units.is_none() {
            true => None,
            false => {
                let plan = Plan::new(&Query { filter, ..query.clone() }, segment.clone())?;
                if plan.count() == 0 {
                    return Ok(None);
                }
                Some(plan.into_rows())
            }
        };
        let spans = Spans::of(&segment, self.wanted.clone())?;
        Ok(Some(Arc::new(Opened { segment, spans, rows })))
    }
}

impl Asked {
    /// These columns of the table, of the rows that all conditions hold for.
    ///
    /// # Errors
    /// There is no such column.
    pub fn new(base: Arc<Base>, columns: Vec<usize>, conditions: Vec<Arc<Condition>>) -> Result<Asked> {
        let schema = Arc::new(SCHEMA.project(&columns)?);
        let sources = sources(columns.iter().copied());
        Ok(Asked { base, columns, sources, schema, conditions })
    }

    /// The columns that come out.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Says in a plan what is asked: of the index where it spares rows, and of columns before others are read.
    ///
    /// # Errors
    /// The formatter's.
    pub fn describe(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let query = &self.base.query;
        let dataset = query.datasets.first().map_or("", |dataset| dataset.name());
        write!(f, "{dataset}, index=[{}]", query.filter)?;
        if query.from.0 != i64::MIN {
            write!(f, ", from={}", query.from)?;
        }
        if query.to.0 != i64::MAX {
            write!(f, ", to={}", query.to)?;
        }
        if self.conditions.is_empty() {
            return Ok(());
        }
        let conditions: Vec<String> = self.conditions.iter().map(ToString::to_string).collect();
        write!(f, ", columns first=[{}]", conditions.join(" AND "))
    }

    /// Begins to read what is in no segment yet.
    pub fn recent(&self) -> Rows {
        let query = &self.base.query;
        let dataset = query.datasets[0];
        let is_in_time = |chunk: &&Arc<Chunk>| {
            let (first, last) = chunk.timestamps();
            query.from <= last && (first < query.to || query.to.0 == i64::MAX)
        };
        let has_some = |chunk: &&Arc<Chunk>| chunk.of_dataset(dataset).next().is_some();
        Rows::Recent(self.base.snapshot.chunks().filter(is_in_time).filter(has_some).cloned().collect())
    }

    /// The columns that come out, made of those of the segment.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn shaped(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let arrays = made_of(&self.columns, batch)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }

    fn shaped_recent(&self, events: &[&Stored]) -> Result<RecordBatch> {
        let of_conditions = self.conditions.iter().flat_map(|condition| condition.columns.iter());
        let names = sources(self.columns.iter().chain(of_conditions).copied());
        let batch = columns::project(events, &names)?;
        let mut shaped = self.shaped(&batch)?;
        let mut holds = None;
        for condition in &self.conditions {
            let found = condition.holds(made_of(&condition.columns, &batch)?, batch.num_rows())?;
            holds = Some(match holds {
                Some(before) => &before & &found,
                None => found,
            });
        }
        if let Some(holds) = holds {
            shaped = filter_record_batch(&shaped, &holds.into())?;
        }
        Ok(shaped)
    }
}

/// The columns of the segment that columns of the table are made of.
pub fn sources(columns: impl Iterator<Item = usize>) -> Vec<&'static str> {
    let mut sources: Vec<&'static str> = Vec::new();
    for (_, source) in columns.filter_map(|column| SOURCES.get(column)) {
        if !sources.contains(&source.column()) {
            sources.push(source.column());
        }
    }
    sources
}

/// Columns of the table, made of those of the segment.
///
/// # Errors
/// Arrow's, which would be a mistake of ours.
pub fn made_of(columns: &[usize], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let made = |column: &usize| {
        let source = SOURCES[*column].1;
        let of = SCHEMA.field(*column).data_type();
        match batch.column_by_name(source.column()) {
            Some(array) => made(source, array, of),
            // Sealed before the column was there.
            None => Ok(new_null_array(of, batch.num_rows())),
        }
    };
    columns.iter().map(made).collect()
}

fn made(source: Source, array: &ArrayRef, of: &DataType) -> Result<ArrayRef> {
    let wrong = || exec_datafusion_err!("a column of type {} where {of} is due", array.data_type());
    Ok(match source {
        Source::Same(_) if array.data_type() == of => array.clone(),
        Source::Same(_) if matches!(array.data_type(), DataType::Dictionary(..)) => texts(array)?,
        Source::Same(_) | Source::Seq => cast(array, of)?,
        Source::Id => {
            let seqs = array.as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?;
            let mut out = StringViewBuilder::with_capacity(seqs.len());
            seqs.values().iter().for_each(|seq| out.append_value(EventId::from(Seq(*seq)).0.as_str()));
            Arc::new(out.finish())
        }
        Source::Bytes => cast(array, of)?,
        Source::Text => {
            let bytes = cast(array, &DataType::BinaryView)?;
            let bytes = bytes.as_binary_view_opt().ok_or_else(wrong)?;
            // What is text already is not copied.
            match bytes.clone().to_string_view() {
                Ok(text) => Arc::new(text),
                Err(_) => {
                    let mut out = StringViewBuilder::with_capacity(bytes.len());
                    bytes.iter().flatten().for_each(|one| out.append_value(String::from_utf8_lossy(one)));
                    Arc::new(out.finish())
                }
            }
        }
        Source::Hash => {
            let hashes = array.as_fixed_size_binary_opt().ok_or_else(wrong)?;
            let mut out = StringViewBuilder::with_capacity(hashes.len());
            hashes.iter().flatten().for_each(|hash| out.append_value(hex(hash)));
            Arc::new(out.finish())
        }
    })
}

/// The texts of numbers of a dictionary, as views of it.
fn texts(array: &ArrayRef) -> Result<ArrayRef> {
    let numbers = array.as_dictionary::<Int32Type>();
    let dictionary = StringViewArray::from(numbers.values().as_string::<i32>());
    Ok(take(&dictionary, numbers.keys(), None)?)
}

/// The rows of a part, one batch after the other.
pub enum Rows {
    /// Of memory: the chunks that are left, the newest last.
    Recent(Vec<Arc<Chunk>>),
    /// Of a segment.
    Spread(Box<Spread>),
}

impl Rows {
    /// The next batch.
    pub fn next(&mut self, asked: &Asked) -> Option<Result<RecordBatch>> {
        match self {
            Rows::Spread(spread) => spread.next(asked).transpose(),
            Rows::Recent(chunks) => {
                let query = &asked.base.query;
                let mut taken: Vec<Arc<Chunk>> = Vec::new();
                let (mut rows, mut bytes) = (0, 0);
                while rows < RECENT_ROWS && bytes < RECENT_BYTES {
                    let Some(chunk) = chunks.pop() else { break };
                    for row in chunk.of_dataset(query.datasets[0]) {
                        (rows, bytes) = (rows + 1, bytes + row.bytes());
                    }
                    taken.push(chunk);
                }
                if taken.is_empty() {
                    return None;
                }
                let rows = taken.iter().flat_map(|chunk| chunk.of_dataset(query.datasets[0]));
                let rows = rows.filter(|row| query.is_in_time(row.timestamp())).map(|row| row.stored());
                let events: Vec<Stored> = rows.filter(|stored| query.matches(stored)).collect();
                Some(asked.shaped_recent(&events.iter().collect::<Vec<_>>()))
            }
        }
    }
}
