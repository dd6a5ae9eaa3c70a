//! Rows of one row group: conditions first, columns after. In: a part and what is asked for. Out: batches. Columns that
//! conditions are about are read first, those written as numbers of a dictionary before others; a text that must stand
//! somewhere is looked for in whole pages before any is taken apart. Other columns are read of the rows that are left.
//! Where a query for the newest rows narrows what it still wants, the newest rows of the group come first.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::buffer::{BooleanBuffer, Buffer};
use datafusion::arrow::compute::{concat_batches, filter_record_batch};
use datafusion::common::{DataFusionError, Result};
use nhatle_event::Timestamp;

use super::condition::Condition;
use super::error::unread;
use super::events::SOURCES;
use super::parts::{Asked, Opened, Part, made_of, sources};
use crate::error::ReadError;
use crate::segment::{Picked, SpanBatches};

/// About how many bytes one batch has.
const BATCH_BYTES: usize = 4 << 20;
/// How many rows a batch has.
const BATCH_ROWS: Range<usize> = 16..8192;
/// How many of the newest rows of a group are given before the rest, where the rest may not be wanted any more.
const NEWEST_ROWS: [usize; 2] = [512, 4096];

/// See the top.
pub struct Spread {
    opened: Arc<Opened>,
    group: usize,
    /// What is read of it still: the newest last.
    pieces: Vec<Piece>,
    open: Option<Reading>,
}

/// Some rows of a group.
struct Piece {
    rows: Picked,
    /// From the first to the last.
    times: Option<(Timestamp, Timestamp)>,
}

struct Reading {
    batches: Option<SpanBatches>,
    /// Columns that were read for conditions, of the rows that are left.
    ready: RecordBatch,
    /// How many of them were given.
    given: usize,
    step: usize,
}

/// What may still be wanted of rows between two moments.
pub type Wants<'a> = &'a dyn Fn(Timestamp, Timestamp) -> bool;

impl Spread {
    /// A row group, whole or the newest rows first.
    ///
    /// # Errors
    /// The segment cannot be read, or is damaged.
    pub fn open(opened: &Arc<Opened>, group: usize, newest_first: bool) -> Result<Spread> {
        let rows = picked(opened, group);
        let mut pieces = vec![Piece { rows, times: None }];
        if newest_first {
            pieces = split(opened, group, pieces.remove(0).rows).map_err(unread)?;
        }
        Ok(Spread { opened: Arc::clone(opened), group, pieces, open: None })
    }

    /// Leaves out what is not wanted any more.
    pub fn narrow(&mut self, wants: Wants<'_>) {
        self.pieces.retain(|piece| piece.times.is_none_or(|(first, last)| wants(first, last)));
    }

    /// The next batch.
    ///
    /// # Errors
    /// The segment cannot be read, or is damaged; the time is over.
    pub fn next(&mut self, asked: &Asked) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reading) = &mut self.open {
                match reading.next(asked)? {
                    Some(batch) => return Ok(Some(batch)),
                    None => self.open = None,
                }
            }
            let Some(piece) = self.pieces.pop() else { return Ok(None) };
            self.open = Reading::open(asked, &self.opened, self.group, piece.rows)?;
            if self.open.is_none() {
                // Whoever asked looks whether more is wanted.
                return Ok(Some(RecordBatch::new_empty(asked.schema().clone())));
            }
        }
    }
}

/// Groups of rows that a part stands for.
pub fn groups(opened: &Opened, part: Part) -> Range<usize> {
    let count = opened.spans.count();
    match part {
        Part::Recent => 0..0,
        Part::Group { group, is_last, .. } => group.min(count)..if is_last { count } else { (group + 1).min(count) },
    }
}

/// The rows of a group that are in question.
pub fn picked(opened: &Opened, group: usize) -> Picked {
    let begin: usize = (0..group).map(|before| opened.spans.rows(before)).sum();
    let count = opened.spans.rows(group);
    opened.rows.as_ref().map(|rows| {
        let words = &rows.words()[begin / 64..(begin + count).div_ceil(64)];
        BooleanBuffer::new(Buffer::from_slice_ref(words), begin % 64, count)
    })
}

/// Cuts the rows of a group by time, the newest last and fewest.
fn split(opened: &Opened, group: usize, rows: Picked) -> std::result::Result<Vec<Piece>, ReadError> {
    let begin: usize = (0..group).map(|before| opened.spans.rows(before)).sum();
    let count = opened.spans.rows(group);
    let rows = rows.unwrap_or_else(|| BooleanBuffer::new_set(count));
    let found: Vec<usize> = rows.set_indices().collect();
    let keys = opened.segment.keys()?;
    let mut pieces = Vec::new();
    let mut end = found.len();
    for size in NEWEST_ROWS.into_iter().chain([usize::MAX]) {
        let first = end.saturating_sub(size);
        let (Some(low), Some(high)) = (found.get(first), found[..end].last()) else { break };
        let piece = BooleanBuffer::collect_bool(count, |row| *low <= row && row <= *high && rows.value(row));
        let times = Some((keys.timestamp(begin + low), keys.timestamp(begin + high)));
        pieces.push(Piece { rows: Some(piece), times });
        end = first;
    }
    pieces.reverse();
    Ok(pieces)
}

impl Reading {
    /// Asks the conditions; `None` where no row is left.
    fn open(asked: &Asked, opened: &Opened, group: usize, rows: Picked) -> Result<Option<Reading>> {
        let left = left(asked, opened, group, rows, &asked.sources)?;
        if left.count == 0 {
            return Ok(None);
        }
        let names: Vec<&str> =
            asked.sources.iter().copied().filter(|name| left.ready.column_by_name(name).is_none()).collect();
        let step =
            (BATCH_BYTES / opened.spans.row_bytes(group, &asked.sources)).clamp(BATCH_ROWS.start, BATCH_ROWS.end);
        let batches = match names.is_empty() {
            true => None,
            false => Some(opened.spans.read(group, &left.rows, &names, step).map_err(unread)?),
        };
        Ok(Some(Reading { batches, ready: left.ready, given: 0, step }))
    }

    fn next(&mut self, asked: &Asked) -> Result<Option<RecordBatch>> {
        let count = self.ready.num_rows();
        let rest = match &mut self.batches {
            None => None,
            Some(batches) => match batches.next() {
                None => return Ok(None),
                Some(batch) => Some(batch.map_err(unread)?),
            },
        };
        let rows = rest.as_ref().map_or(self.step.min(count - self.given), RecordBatch::num_rows);
        if rows == 0 {
            return Ok(None);
        }
        let ready = self.ready.slice(self.given, rows.min(count - self.given));
        self.given += rows;
        let batch = match rest {
            None => ready,
            Some(rest) if ready.num_columns() == 0 => rest,
            Some(rest) => beside(&ready, &rest)?,
        };
        asked.shaped(&batch).map(Some)
    }
}

/// Two tables of the same rows as one.
///
/// # Errors
/// Arrow's, which would be a mistake of ours.
pub fn beside(one: &RecordBatch, other: &RecordBatch) -> Result<RecordBatch> {
    let tables = [one, other];
    let fields: Vec<Arc<Field>> =
        tables.iter().flat_map(|table| table.schema().fields().iter().cloned().collect::<Vec<_>>()).collect();
    let arrays: Vec<ArrayRef> = tables.iter().flat_map(|table| table.columns().to_vec()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(other.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

/// The rows of a group that all conditions hold for.
pub struct Left {
    /// Which; `None` is all.
    pub rows: Picked,
    /// How many.
    pub count: usize,
    /// Columns of them that had to be read for conditions and are wanted.
    pub ready: RecordBatch,
}

/// Asks the conditions of a scan of some rows of a group. `wanted` are columns of which values are needed afterwards.
///
/// # Errors
/// The segment cannot be read, or is damaged; the time is over.
pub fn left(asked: &Asked, opened: &Opened, group: usize, rows: Picked, wanted: &[&str]) -> Result<Left> {
    let count = rows.as_ref().map_or(opened.spans.rows(group), BooleanBuffer::count_set_bits);
    let mut left = Left { rows, count, ready: nothing(count) };
    if count == 0 {
        return Ok(left);
    }
    let is_quick = |condition: &Condition| {
        let by_numbers = |column: &usize| {
            let name = SOURCES[*column].1.column();
            opened.spans.is_by_numbers(name) || !is_long(name)
        };
        condition.columns.iter().all(by_numbers)
    };
    let meta = opened.segment.meta();
    let is_open = |condition: &&Arc<Condition>| !condition.holds_between(meta.timestamp_min, meta.timestamp_max);
    let (quick, slow): (Vec<_>, Vec<_>) =
        asked.conditions.iter().filter(is_open).partition(|condition| is_quick(condition));
    if !quick.is_empty() {
        left.ask(asked, opened, group, &quick, Columns::Kept(wanted))?;
    }
    for condition in slow {
        if left.count == 0 {
            break;
        }
        if let (Some(needle), [column]) = (&condition.needle, condition.columns.as_slice()) {
            let name = SOURCES[*column].1.column();
            let check = || asked.base.deadline.check().map_err(Stop::Engine);
            let rows = opened.spans.sift(group, &left.rows, name, needle, check).map_err(Stop::into_error)?;
            left.keep(rows)?;
            if left.count == 0 {
                break;
            }
        }
        left.ask(asked, opened, group, &[condition], Columns::Dropped)?;
    }
    Ok(left)
}

/// What becomes of columns that were read for conditions.
#[derive(Clone, Copy)]
enum Columns<'a> {
    /// Those of these names are needed afterwards.
    Kept(&'a [&'a str]),
    /// They may be long, so they are read a few rows at a time, and once more where they are wanted.
    Dropped,
}

/// The column has texts of any length.
fn is_long(name: &str) -> bool {
    use crate::segment::columns::{CREATED, INGESTED, SCHEMA, SEQ, TIMESTAMP};
    let is_number = |of: &arrow_schema::DataType| of.is_primitive() || *of == arrow_schema::DataType::Boolean;
    ![SEQ, TIMESTAMP, CREATED, INGESTED].contains(&name)
        && SCHEMA.field_with_name(name).is_ok_and(|field| !is_number(field.data_type()))
}

fn nothing(rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .expect("a table without columns has any number of rows")
}

/// Why looking through pages ended early.
enum Stop {
    Read(ReadError),
    Engine(DataFusionError),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        Stop::Read(error)
    }
}

impl Stop {
    fn into_error(self) -> DataFusionError {
        match self {
            Stop::Read(error) => unread(error),
            Stop::Engine(error) => error,
        }
    }
}

impl Left {
    /// Keeps those of the rows, which are some of those that are left.
    fn keep(&mut self, rows: Picked) -> Result<()> {
        let Some(rows) = rows else { return Ok(()) };
        if 0 < self.ready.num_columns() {
            let before = self.rows.as_ref();
            let kept: BooleanBuffer = match before {
                None => rows.clone(),
                Some(before) => before.set_indices().map(|row| rows.value(row)).collect(),
            };
            self.ready = filter_record_batch(&self.ready, &BooleanArray::new(kept, None))?;
        }
        self.count = rows.count_set_bits();
        if self.ready.num_columns() == 0 {
            self.ready = nothing(self.count);
        }
        self.rows = Some(rows);
        Ok(())
    }

    /// Reads the columns of the conditions and keeps the rows they hold for.
    fn ask(
        &mut self,
        asked: &Asked,
        opened: &Opened,
        group: usize,
        conditions: &[&Arc<Condition>],
        after: Columns<'_>,
    ) -> Result<()> {
        let columns = conditions.iter().flat_map(|condition| condition.columns.iter().copied());
        let mut names = sources(columns);
        names.retain(|name| self.ready.column_by_name(name).is_none());
        let batch_rows = match after {
            Columns::Kept(_) => opened.spans.rows(group),
            Columns::Dropped => {
                (BATCH_BYTES / opened.spans.row_bytes(group, &names)).clamp(BATCH_ROWS.start, BATCH_ROWS.end)
            }
        };
        let mut found: Vec<BooleanBuffer> = Vec::new();
        let mut kept: Vec<RecordBatch> = Vec::new();
        let mut given = 0;
        for batch in opened.spans.read(group, &self.rows, &names, batch_rows).map_err(unread)? {
            asked.base.deadline.check()?;
            let batch = batch.map_err(unread)?;
            let ready = self.ready.slice(given, batch.num_rows());
            given += batch.num_rows();
            let batch = beside(&ready, &batch)?;
            let mut holds: Option<BooleanBuffer> = None;
            for condition in conditions {
                let one = asked_of(condition, &batch)?;
                holds = Some(holds.map_or_else(|| one.clone(), |before| &before & &one));
            }
            let holds = holds.unwrap_or_else(|| BooleanBuffer::new_set(batch.num_rows()));
            let is_kept = |at: &usize| {
                let name = batch.schema_ref().field(*at).name();
                match after {
                    Columns::Kept(wanted) => wanted.contains(&name.as_str()),
                    Columns::Dropped => ready.column_by_name(name).is_some(),
                }
            };
            let columns: Vec<usize> = (0..batch.num_columns()).filter(is_kept).collect();
            let batch = batch.project(&columns)?;
            kept.push(filter_record_batch(&batch, &BooleanArray::new(holds.clone(), None))?);
            found.push(holds);
        }
        self.take(&found, kept, opened.spans.rows(group))
    }

    fn take(&mut self, found: &[BooleanBuffer], kept: Vec<RecordBatch>, rows: usize) -> Result<()> {
        self.count = found.iter().map(BooleanBuffer::count_set_bits).sum();
        self.ready = match kept.as_slice() {
            [] => nothing(0),
            [one] => one.clone(),
            several => concat_batches(&several[0].schema(), several)?,
        };
        let mut holds = found.iter().flat_map(BooleanBuffer::iter);
        self.rows = Some(match (&self.rows, found) {
            (None, [one]) => one.clone(),
            (None, _) => holds.collect(),
            (Some(before), _) => {
                let mut rows = vec![false; rows];
                before.set_indices().zip(&mut holds).for_each(|(row, holds)| rows[row] = holds);
                BooleanBuffer::from(rows)
            }
        });
        Ok(())
    }
}

fn asked_of(condition: &Condition, batch: &RecordBatch) -> Result<BooleanBuffer> {
    if let [column] = condition.columns.as_slice()
        && let Some(array) = batch.column_by_name(SOURCES[*column].1.column())
        && matches!(array.data_type(), arrow_schema::DataType::Dictionary(..))
    {
        return condition.holds_by_numbers(array);
    }
    condition.holds(made_of(&condition.columns, batch)?, batch.num_rows())
}
