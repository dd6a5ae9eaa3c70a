//! `Walk`: makes the groups of one partition. In: its parts, keys and what is reckoned. Out: groups with partial states, a
//! group perhaps several times. Memory: the query's pool is asked after each table that is read; where it says no, or past
//! [`GROUPS_BYTES_MAX`], the groups so far are given and forgotten, and whoever joins them spills or fails. What is given is
//! made one table after the other, each of its own memory, and the pool has the groups back when all are given. After each
//! table the thread is somebody else's, so that a long query keeps no other from going on, and ends where it is dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{BaselineMetrics, RecordOutput};
use futures_util::Stream;

use super::bucket;
use super::condition::Condition;
use super::error::unread;
use super::events::{SOURCES, Source};
use super::kept::{self, Known, Place};
use super::parts::{Asked, Opened, Part, Rows, made_of, sources};
use super::spread::{beside, groups, left, picked};
use super::tally::Tally;
use crate::segment::{GROUP_ROWS, SpanBatches};

/// So many bytes of groups are kept before they are given.
const GROUPS_BYTES_MAX: usize = 64 << 20;
/// How many rows of groups are given at a time.
const BATCH_ROWS: usize = 8192;
/// About how many bytes of a row group are taken apart at a time.
const STEP_BYTES: usize = 8 << 20;

/// A key of a group.
#[derive(Debug)]
pub enum Key {
    /// A column of the table.
    Column(usize),
    /// An expression over these columns.
    Expr(Arc<dyn PhysicalExpr>, Vec<usize>, SchemaRef),
}

/// See the top.
pub struct Walk {
    asked: Arc<Asked>,
    parts: Vec<Part>,
    next: usize,
    /// Row groups of the part at hand, the last first.
    waiting: Vec<(Arc<Opened>, usize)>,
    open: Option<Open>,
    keys: Arc<Vec<Key>>,
    /// The columns that measures are about.
    measured: Arc<Vec<usize>>,
    /// The columns of the segment that all of them are made of.
    names: Vec<&'static str>,
    tally: Tally,
    /// The groups are being given, so many of them so far.
    given: Option<usize>,
    reservation: MemoryReservation,
    is_over: bool,
    metrics: BaselineMetrics,
    /// The number of what is asked, where it was asked before.
    question: Option<u64>,
    /// The part whose groups are made alone, and how many rows it has.
    alone: Option<(Place, usize)>,
    /// Groups that are being given and kept.
    kept: Option<(Place, Vec<RecordBatch>)>,
    /// Groups that were made before, and so many tables of them are given.
    before: Option<(Arc<Known>, usize)>,
}

/// What is being read.
enum Open {
    /// Of memory: tables of the columns that the scan gives.
    Recent(Rows),
    /// Of a row group: tables of the segment's columns.
    Group {
        /// Columns that were read for conditions, of the rows that are left.
        ready: RecordBatch,
        /// The others; nothing where there are none.
        batches: Option<SpanBatches>,
        /// How many rows were given.
        given: usize,
    },
}

impl Stream for Walk {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let walk = self.get_mut();
        if let Some(batch) = walk.next_given() {
            return Poll::Ready(Some(batch.map(|batch| batch.record_output(&walk.metrics))));
        }
        if walk.is_over {
            return Poll::Ready(None);
        }
        if let Err(error) = walk.step() {
            walk.is_over = true;
            return Poll::Ready(Some(Err(error)));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Walk {
    /// Over these parts. The keys come with the columns that measures are about, and the number of the question ([`kept`]).
    pub fn new(
        asked: Arc<Asked>,
        parts: Vec<Part>,
        (keys, measured, question): (Arc<Vec<Key>>, Arc<Vec<usize>>, Option<u64>),
        tally: Tally,
        reservation: MemoryReservation,
        metrics: BaselineMetrics,
    ) -> Walk {
        let mut columns: Vec<usize> = measured.to_vec();
        for key in &*keys {
            match key {
                Key::Column(column) => columns.push(*column),
                Key::Expr(_, of, _) => columns.extend(of),
            }
        }
        Walk {
            names: sources(columns.into_iter()),
            asked,
            parts,
            next: 0,
            waiting: Vec::new(),
            open: None,
            keys,
            measured,
            tally,
            given: None,
            reservation,
            is_over: false,
            metrics,
            question,
            alone: None,
            kept: None,
            before: None,
        }
    }

    /// The next table of groups that are being given.
    fn next_given(&mut self) -> Option<Result<RecordBatch>> {
        if let Some((known, given)) = &mut self.before {
            let table = match &**known {
                Known::Groups(tables) => tables.get(*given).cloned(),
                Known::TooMany => None,
            };
            *given += 1;
            if let Some(table) = table {
                return Some(Ok(table));
            }
            self.before = None;
        }
        let begin = self.given?;
        let end = (begin + BATCH_ROWS).min(self.tally.len());
        if begin < end {
            self.given = Some(end);
            let table = self.tally.some(begin..end);
            if let (Some((_, tables)), Ok(table)) = (&mut self.kept, &table) {
                tables.push(table.clone());
            }
            return Some(table);
        }
        self.given = None;
        if let Some((place, tables)) = self.kept.take() {
            kept::keep(place, Known::Groups(tables));
        }
        self.tally.clear();
        self.reservation.free();
        None
    }

    /// Takes one table, or opens what comes next.
    fn step(&mut self) -> Result<()> {
        self.asked.base.deadline.check()?;
        if let Some(mut open) = self.open.take() {
            if let Some(batch) = open.next(&self.asked)? {
                self.add(&open, &batch)?;
                self.open = Some(open);
                self.bound();
            }
            return Ok(());
        }
        if let Some((opened, group)) = self.waiting.pop() {
            self.open = self.begin(&opened, group)?;
            return Ok(());
        }
        if let Some((place, rows)) = self.alone.take() {
            match kept::is_worth_keeping(self.tally.len(), rows, self.tally.bytes()) {
                true => {
                    self.kept = Some((place, Vec::new()));
                    self.given = Some(0);
                }
                false => kept::keep(place, Known::TooMany),
            }
            return Ok(());
        }
        let Some(part) = self.parts.get(self.next).copied() else {
            self.is_over = true;
            self.given = Some(0);
            return Ok(());
        };
        self.next += 1;
        match part {
            Part::Recent => self.open = Some(Open::Recent(self.asked.recent())),
            Part::Group { segment, group, .. } => {
                if let Some(place) = self.place(segment, group)? {
                    match kept::known(place) {
                        Some(known) if matches!(*known, Known::Groups(_)) => {
                            self.before = Some((known, 0));
                            return Ok(());
                        }
                        Some(_too_many) => {}
                        None if 0 < self.tally.len() => {
                            // What was counted before it is not its own.
                            self.next -= 1;
                            self.given = Some(0);
                            return Ok(());
                        }
                        None => {
                            let rows = self.asked.base.live(segment).meta().row_count;
                            let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(GROUP_ROWS);
                            self.alone = Some((place, rows));
                        }
                    }
                }
                if let Some(opened) = self.asked.base.access(segment)? {
                    self.waiting.extend(groups(&opened, part).rev().map(|group| (Arc::clone(&opened), group)));
                }
            }
        }
        Ok(())
    }

    /// Where the groups of a part are kept: where all its rows are of the time that is asked for.
    fn place(&self, segment: usize, group: usize) -> Result<Option<Place>> {
        let Some(question) = self.question else { return Ok(None) };
        let live = self.asked.base.live(segment);
        let (first, last) = (live.meta().timestamp_min, live.meta().timestamp_max);
        let is_whole = |condition: &Arc<Condition>| !condition.is_of_times || condition.holds_between(first, last);
        if !self.asked.conditions.iter().all(is_whole) {
            return Ok(None);
        }
        let segment = live.open().map_err(unread)?.number();
        Ok(Some(Place { segment, group, question }))
    }

    /// Gives what there is where it is too much.
    fn bound(&mut self) {
        let bytes = self.tally.bytes();
        if GROUPS_BYTES_MAX < bytes || self.reservation.try_resize(bytes).is_err() {
            if let Some((place, _)) = self.alone.take() {
                kept::keep(place, Known::TooMany);
            }
            self.given = Some(0);
        }
    }

    /// Asks the conditions of a row group; `None` where no row is left.
    fn begin(&self, opened: &Arc<Opened>, group: usize) -> Result<Option<Open>> {
        let left = left(&self.asked, opened, group, picked(opened, group), &self.names)?;
        if left.count == 0 {
            return Ok(None);
        }
        let names: Vec<&str> =
            self.names.iter().copied().filter(|name| left.ready.column_by_name(name).is_none()).collect();
        let step = (STEP_BYTES / opened.spans.row_bytes(group, &names)).clamp(16, opened.spans.rows(group).max(16));
        let batches = match names.is_empty() {
            true => None,
            false => Some(opened.spans.read(group, &left.rows, &names, step).map_err(unread)?),
        };
        Ok(Some(Open::Group { ready: left.ready, batches, given: 0 }))
    }

    fn add(&mut self, open: &Open, batch: &RecordBatch) -> Result<()> {
        let columns = &self.asked.columns;
        let of_scan = |column: usize| {
            let at = columns.iter().position(|one| *one == column);
            at.map(|at| Arc::clone(batch.column(at))).ok_or_else(|| exec_datafusion_err!("column {column} of no scan"))
        };
        let column: &dyn Fn(usize) -> Result<ArrayRef> = match open {
            Open::Recent(_) => &of_scan,
            Open::Group { .. } => &|column| of_segment(column, batch),
        };
        add(&mut self.tally, &self.keys, &self.measured, batch.num_rows(), column)
    }
}

impl Open {
    fn next(&mut self, asked: &Asked) -> Result<Option<RecordBatch>> {
        match self {
            Open::Recent(rows) => rows.next(asked).transpose(),
            Open::Group { ready, batches: None, given } => {
                let rows = ready.num_rows() - std::mem::replace(given, ready.num_rows());
                Ok((0 < rows).then(|| ready.clone()))
            }
            Open::Group { ready, batches: Some(batches), given } => {
                let Some(batch) = batches.next() else { return Ok(None) };
                let batch = batch.map_err(unread)?;
                let begin = std::mem::replace(given, *given + batch.num_rows());
                beside(&ready.slice(begin, batch.num_rows()), &batch).map(Some)
            }
        }
    }
}

/// A column of the table; one that is written as numbers of a dictionary comes as such.
fn of_segment(column: usize, batch: &RecordBatch) -> Result<ArrayRef> {
    let (name, source) = SOURCES[column];
    match (source, batch.column_by_name(name)) {
        (Source::Same(_), Some(array)) if matches!(array.data_type(), DataType::Dictionary(..)) => {
            Ok(Arc::clone(array))
        }
        _ => made_of(&[column], batch)?.pop().ok_or_else(|| exec_datafusion_err!("no column {column}")),
    }
}

/// Counts rows, of which `column` gives the columns.
fn add(
    tally: &mut Tally,
    keys: &[Key],
    measured: &[usize],
    rows: usize,
    column: &dyn Fn(usize) -> Result<ArrayRef>,
) -> Result<()> {
    if rows == 0 {
        return Ok(());
    }
    let mut arrays = Vec::with_capacity(keys.len());
    for key in keys {
        arrays.push(match key {
            Key::Column(one) => column(*one)?,
            Key::Expr(expr, columns, schema) => {
                let values = columns.iter().map(|one| column(*one)).collect::<Result<Vec<_>>>()?;
                match bucket::of_moments(expr, schema, &values)? {
                    Some(buckets) => buckets,
                    None => bucket::evaluated(expr, schema, values, rows)?,
                }
            }
        });
    }
    let measured = measured.iter().map(|one| column(*one)).collect::<Result<Vec<_>>>()?;
    tally.add(&arrays, &measured, rows)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow_schema::{Field as Column, Schema};
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
    use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
    use nhatle_event::{Event, Field, Seq, Stored, Timestamp};

    use super::*;
    use crate::dataset::Dataset;
    use crate::memtable::{Chunk, Memtable};
    use crate::query::{Filter, Query};
    use crate::snapshot::Snapshot;
    use crate::sql::deadline::Deadline;
    use crate::sql::events::SCHEMA;
    use crate::sql::parts::Base;
    use crate::sql::tally::Measure;

    /// Batches of events in memory, each of another message of this length.
    fn snapshot(batches: u64, rows: u64, length: usize) -> Snapshot {
        let mut memtable = Memtable::default();
        for batch in 0..batches {
            let stored = |seq: u64| {
                let mut event = Event::new(Timestamp(0), *b"x");
                event.set(Field::MESSAGE, format!("{seq} {}", "x".repeat(length)));
                Stored { seq: Seq(seq), committed: Timestamp(0), event }
            };
            let stored: Vec<Stored> = (batch * rows + 1..=(batch + 1) * rows).map(stored).collect();
            memtable.push(Chunk::new(&stored, &vec![Dataset::Events; stored.len()], 1));
        }
        Snapshot::new(vec![memtable], Arc::default(), Seq(batches * rows))
    }

    fn walk(snapshot: Snapshot, pool: &Arc<dyn MemoryPool>) -> Walk {
        let message = SCHEMA.index_of(Field::MESSAGE.name()).expect("a column of ours");
        let query = Query {
            filter: Filter::All,
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            datasets: vec![Dataset::Events],
            units: None,
        };
        let base = Base::new(snapshot, query, Deadline::after(Duration::from_secs(600), Arc::default()), None);
        let parts = base.parts(1).remove(0);
        let asked = Asked::new(Arc::new(base), vec![message], Vec::new()).expect("columns of ours");
        let count = Column::new("count", DataType::Int64, false);
        let schema = Arc::new(Schema::new(vec![SCHEMA.field(message).clone(), count]));
        Walk::new(
            Arc::new(asked),
            parts,
            (Arc::new(vec![Key::Column(message)]), Arc::default(), None),
            Tally::new(schema, vec![Measure::Rows]),
            MemoryConsumer::new("test").register(pool),
            BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0),
        )
    }

    #[test]
    fn groups_of_memory_are_bounded_too_and_others_have_their_turn_between_tables() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut walk = walk(snapshot(10, 9, 1 << 20), &pool);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let (mut pauses, mut given, mut held) = (0, Vec::new(), 0);
        loop {
            match Pin::new(&mut walk).poll_next(&mut context) {
                Poll::Pending => pauses += 1,
                Poll::Ready(Some(batch)) => given.push(batch.expect("nothing fails").num_rows()),
                Poll::Ready(None) => break,
            }
            held = held.max(walk.tally.bytes());
        }
        assert_eq!((given.len(), given.iter().sum::<usize>()), (2, 90));
        // With the table that is one too many.
        assert!(held <= GROUPS_BYTES_MAX + (10 << 20), "{held} bytes of groups at once");
        assert!(10 <= pauses, "{pauses} pauses");
    }

    #[test]
    fn a_table_of_groups_has_no_memory_but_its_own_and_the_pool_counts_what_is_there() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut walk = walk(snapshot(10, 2_500, 100), &pool);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let (mut tables, mut bytes, mut groups) = (Vec::new(), Vec::new(), 0);
        loop {
            match Pin::new(&mut walk).poll_next(&mut context) {
                Poll::Pending => groups = groups.max(walk.tally.bytes()),
                Poll::Ready(Some(batch)) => {
                    let batch = batch.expect("nothing fails");
                    assert_eq!(pool.reserved(), groups, "the groups are there until the last is given");
                    tables.push(batch.num_rows());
                    bytes.push(batch.get_array_memory_size());
                }
                Poll::Ready(None) => break,
            }
        }
        assert_eq!(tables, [8_192, 8_192, 8_192, 424]);
        assert_eq!(pool.reserved(), 0);
        // A slice of a table of all would have as much memory as all.
        let most = bytes[..3].iter().max().copied().unwrap_or_default();
        assert!(bytes[3] * 4 < most, "{bytes:?}");
    }
}
