//! `Walk`: makes the groups of one partition. In: its parts, keys and what is reckoned. Out: the groups ([`Piles`], and what is
//! still together). Memory: the query's pool is asked after each table that is read; where it says no, or past what a walk
//! may hold, the groups so far are written to the disk, cut by their keys, and begun anew. After each table the thread is
//! somebody else's, so that a long query keeps no other from going on, and ends where it is dropped.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;

use super::bucket;
use super::condition::Condition;
use super::error::unread;
use super::events::{SOURCES, Source};
use super::kept::{self, Known, Place};
use super::parts::{Asked, Opened, Part, Rows, made_of, sources};
use super::piles::Piles;
use super::spread::{beside, groups, left, picked};
use super::tally::Tally;
use crate::segment::{GROUP_ROWS, SpanBatches};

/// How many rows of groups a table has.
pub const BATCH_ROWS: usize = 8192;
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
    /// What was too much to be held.
    piles: Piles,
    bounds: Bounds,
    /// The number of what is asked, where it was asked before.
    question: Option<u64>,
    /// The part whose groups are made alone.
    alone: Option<Alone>,
}

/// How many bytes of groups a walk holds.
pub struct Bounds {
    /// At most so many.
    pub bytes_max: usize,
    /// And no more than the query's pool has left.
    pub reservation: MemoryReservation,
}

/// Groups of one part, which may be worth keeping for the next time.
struct Alone {
    place: Place,
    /// How many rows it has.
    rows: usize,
    tally: Tally,
}

/// The groups of one partition.
pub struct Walked {
    /// Those that are together.
    pub tally: Tally,
    /// Those that were too much.
    pub piles: Piles,
    /// The memory of those that are together.
    pub reservation: MemoryReservation,
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

impl Walk {
    /// Over these parts. The keys come with the columns that measures are about, and the number of the question ([`kept`]).
    pub fn new(
        asked: Arc<Asked>,
        parts: Vec<Part>,
        (keys, measured, question): (Arc<Vec<Key>>, Arc<Vec<usize>>, Option<u64>),
        (tally, piles): (Tally, Piles),
        bounds: Bounds,
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
            piles,
            bounds,
            question,
            alone: None,
        }
    }

    /// Makes all groups.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged; the time is over; the disk fails.
    pub async fn all(mut self) -> Result<Walked> {
        while self.step()? {
            tokio::task::yield_now().await;
        }
        if self.piles.is_on_disk() {
            let tally = self.tally.another();
            self.piles.write(std::mem::replace(&mut self.tally, tally))?;
            self.bounds.reservation.free();
        }
        Ok(Walked { tally: self.tally, piles: self.piles, reservation: self.bounds.reservation })
    }

    /// Takes one table, or opens what comes next; false where nothing comes.
    fn step(&mut self) -> Result<bool> {
        self.asked.base.deadline.check()?;
        if let Some(mut open) = self.open.take() {
            if let Some(batch) = open.next(&self.asked)? {
                self.add(&open, &batch)?;
                self.open = Some(open);
                self.bound()?;
            }
            return Ok(true);
        }
        if let Some((opened, group)) = self.waiting.pop() {
            self.open = self.begin(&opened, group)?;
            return Ok(true);
        }
        if let Some(alone) = self.alone.take() {
            self.together(alone)?;
            return Ok(true);
        }
        let Some(part) = self.parts.get(self.next).copied() else { return Ok(false) };
        self.next += 1;
        match part {
            Part::Recent => self.open = Some(Open::Recent(self.asked.recent())),
            Part::Group { segment, group, .. } => {
                if let Some(place) = self.place(segment, group)? {
                    match kept::known(place).as_deref() {
                        Some(Known::Groups(tables)) => {
                            for table in tables {
                                self.tally.join(table)?;
                            }
                            self.bound()?;
                            return Ok(true);
                        }
                        Some(Known::TooMany) => {}
                        None => {
                            let rows = self.asked.base.live(segment).meta().row_count;
                            let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(GROUP_ROWS);
                            self.alone = Some(Alone { place, rows, tally: self.tally.another() });
                        }
                    }
                }
                if let Some(opened) = self.asked.base.access(segment)? {
                    self.waiting.extend(groups(&opened, part).rev().map(|group| (Arc::clone(&opened), group)));
                }
            }
        }
        Ok(true)
    }

    /// Puts the groups of a part to the others, and keeps them where that is worth it.
    fn together(&mut self, alone: Alone) -> Result<()> {
        let Alone { place, rows, tally } = alone;
        let is_worth = kept::is_worth_keeping(tally.len(), rows, tally.bytes());
        let mut tables = Vec::new();
        for begin in (0..tally.len()).step_by(BATCH_ROWS) {
            let table = tally.some(begin..(begin + BATCH_ROWS).min(tally.len()))?;
            self.tally.join(&table)?;
            if is_worth {
                tables.push(table);
            }
        }
        kept::keep(place, if is_worth { Known::Groups(tables) } else { Known::TooMany });
        self.bound()
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

    /// Writes what there is to the disk where it is too much.
    fn bound(&mut self) -> Result<()> {
        let of_alone = self.alone.as_ref().map_or(0, |alone| alone.tally.bytes());
        if self.holds(self.tally.bytes() + of_alone) {
            return Ok(());
        }
        let tally = self.tally.another();
        self.piles.write(std::mem::replace(&mut self.tally, tally))?;
        if self.holds(of_alone) {
            return Ok(());
        }
        if let Some(alone) = self.alone.take() {
            kept::keep(alone.place, Known::TooMany);
            self.piles.write(alone.tally)?;
        }
        self.bounds.reservation.free();
        Ok(())
    }

    /// So many bytes may be held, and are held from now on.
    fn holds(&mut self, bytes: usize) -> bool {
        bytes <= self.bounds.bytes_max && self.bounds.reservation.try_resize(bytes).is_ok()
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
        let tally = self.alone.as_mut().map_or(&mut self.tally, |alone| &mut alone.tally);
        add(tally, &self.keys, &self.measured, batch.num_rows(), column)
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
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use foldhash::fast::RandomState;
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

    /// Bytes of groups that the walk holds at most.
    const BYTES_MAX: usize = 8 << 20;

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
        let disk = RuntimeEnvBuilder::new().build().expect("a folder for temporary files").disk_manager;
        Walk::new(
            Arc::new(asked),
            parts,
            (Arc::new(vec![Key::Column(message)]), Arc::default(), None),
            (Tally::new(schema, vec![Measure::Rows]), Piles::new(RandomState::default(), disk)),
            Bounds { bytes_max: BYTES_MAX, reservation: MemoryConsumer::new("test").register(pool) },
        )
    }

    #[test]
    fn groups_are_bounded_and_the_pool_counts_what_is_there() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut walk = walk(snapshot(10, 9, 1 << 18), &pool);
        let (mut pauses, mut held) = (0, 0);
        while walk.step().expect("nothing fails") {
            pauses += 1;
            held = held.max(walk.tally.bytes());
            assert_eq!(pool.reserved(), walk.tally.bytes());
        }
        assert!(held <= BYTES_MAX, "{held} bytes of groups at once");
        // Whoever else has something to do has his turn between tables.
        assert!(2 <= pauses, "{pauses} pauses");
        assert!(walk.piles.is_on_disk());
        let mut all = walk.tally.another();
        walk.piles.write(walk.tally).expect("room on the disk");
        for pile in walk.piles.into_parts().expect("nothing fails").into_iter().flatten() {
            pile.add_to(&mut all).expect("what was written");
        }
        assert_eq!(all.len(), 90);
    }
}
