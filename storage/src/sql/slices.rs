//! `SlicesExec`: a join of rows that are near each other in time, made slice by slice of time. In: DataFusion's `HashJoinExec` of
//! two scans whose filter bounds how far apart `@timestamp` of the two sides is ([`Band`]). Out: the same rows. DataFusion holds all
//! of one side, and compares each pair of rows with equal keys; both grow with the store, the second with its square. Here the
//! rows of one side are cut in slices of time, and of the other only those are read that can be near enough: a pair of rows is in
//! one slice and no other. Where a slice is still too much for the query's memory, it is halved. Where there is one slice the join
//! is made as it was. Twin: the same query over a plain table (`tests_slices.rs`). Source: ADR 28.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, JoinSide, JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures_util::StreamExt;
use futures_util::stream::try_unfold;
use nhatle_event::Timestamp;

use super::band::{Band, band, moment};
use super::scan::ScanExec;

/// There is a slice for so many bytes of the query's memory to each row: a row of a table of a join takes about a hundred, and
/// of two rows that are read one at most is in it, mostly one in four.
const ROW_BYTES: usize = 64;
/// And for no more than so many rows: how many pairs have equal keys grows with the square of it.
const ROWS_MAX: usize = 1 << 20;
/// In how many pieces the time of a segment is taken apart to see where its rows are.
const PIECES: i128 = 16;
/// How often a segment is opened on the average at most; more than its neighbors share a slice where segments lie on top of each
/// other.
const OPENED_MAX: usize = 4;
/// How often a slice that is too much is halved.
const HALVED_MAX: u32 = 20;

/// Puts a [`SlicesExec`] over each join that can be made by slices.
#[derive(Debug)]
pub struct JoinInSlices {
    /// What a query has.
    pub memory_bytes: usize,
}

impl PhysicalOptimizerRule for JoinInSlices {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let made = plan.downcast_ref::<HashJoinExec>().and_then(cut_of);
            Ok(match made {
                Some((side, band)) => {
                    let join = Arc::clone(&plan);
                    let rows_max = ROWS_MAX.min(self.memory_bytes / ROW_BYTES);
                    Transformed::yes(Arc::new(SlicesExec { join, input: plan, side, band, rows_max }) as _)
                }
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "join_in_slices"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Which side is cut, and how far apart the others' rows may be. The side that is cut is one whose rows the join gives by
/// themselves, if any: each of them is in one slice, with all that it can be joined with.
fn cut_of(join: &HashJoinExec) -> Option<(JoinSide, Band)> {
    let side = match join.join_type() {
        JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            JoinSide::Left
        }
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => JoinSide::Right,
        JoinType::Full => return None,
    };
    if join.null_aware || join.fetch().is_some() {
        return None;
    }
    let of_side = |side, column| match side {
        JoinSide::Left => later(join.left(), column),
        JoinSide::Right => later(join.right(), column),
        JoinSide::None => None,
    };
    Some((side, band(join, &of_side)?))
}

/// How much later than `@timestamp` of the scan below the column is, in nanoseconds; `None` where it is something else, or where
/// what is between asks for more than one row at a time.
fn later(plan: &Arc<dyn ExecutionPlan>, column: usize) -> Option<i128> {
    if plan.fetch().is_some() {
        return None;
    }
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        return scan.is_time(column).then_some(0);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let column = match filter.projection() {
            Some(columns) => *columns.get(column)?,
            None => column,
        };
        return later(filter.input(), column);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        // Of which side is told by whoever asks.
        let below = |column: &Column| Some((JoinSide::None, later(projection.input(), column.index())?));
        return moment(&projection.expr().get(column)?.expr, &below).map(|(_, later_ns)| later_ns);
    }
    let coalesce = plan.downcast_ref::<CoalescePartitionsExec>().map(CoalescePartitionsExec::input);
    let input = coalesce.or_else(|| plan.downcast_ref::<CooperativeExec>().map(CooperativeExec::input));
    later(input?, column)
}

/// The scan below a side.
fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&ScanExec> {
    plan.downcast_ref::<ScanExec>().or_else(|| plan.children().into_iter().find_map(scan_of))
}

/// See the top.
#[derive(Debug)]
pub struct SlicesExec {
    /// The join as it was.
    join: Arc<dyn ExecutionPlan>,
    /// The same, as it is run where there is one slice.
    input: Arc<dyn ExecutionPlan>,
    side: JoinSide,
    band: Band,
    rows_max: usize,
}

/// A slice of time, and how often it was halved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    from: Timestamp,
    to: Timestamp,
    halved: u32,
}

/// Rows between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// How many.
    pub rows: u64,
}

/// Where the slices end, but for the last: each has about so many rows, and is as long as the band is wide at least.
fn ends(stretches: &[Stretch], rows_max: u64, width_ns: i128) -> Vec<Timestamp> {
    let mut pieces: Vec<(i128, u64)> = Vec::new();
    for stretch in stretches {
        let (first, last) = (i128::from(stretch.first.0), i128::from(stretch.last.0));
        let piece = |at| (first + (last - first) * at / PIECES, stretch.rows.div_ceil(PIECES as u64));
        pieces.extend((0..PIECES).map(piece));
    }
    pieces.sort_unstable();
    let opened = |ends: &[Timestamp]| {
        let shared = |stretch: &Stretch| {
            let before = |moment| ends.partition_point(|end| *end <= moment);
            1 + before(stretch.last) - before(stretch.first)
        };
        stretches.iter().map(shared).sum::<usize>()
    };
    let mut rows_max = rows_max.max(1);
    loop {
        let mut ends = Vec::new();
        let (mut begin, mut rows) = (pieces.first().map_or(0, |first| first.0), 0);
        for (at, more) in &pieces {
            if rows_max <= rows && width_ns <= *at - begin && begin < *at {
                ends.push(Timestamp(i64::try_from(*at).unwrap_or(i64::MAX)));
                (begin, rows) = (*at, 0);
            }
            rows += more;
        }
        if ends.is_empty() || opened(&ends) <= OPENED_MAX * stretches.len() {
            return ends;
        }
        rows_max = rows_max.saturating_mul(2);
    }
}

impl SlicesExec {
    fn sides(&self) -> Option<(&HashJoinExec, &ScanExec, &ScanExec)> {
        let join = self.join.downcast_ref::<HashJoinExec>()?;
        Some((join, scan_of(join.left())?, scan_of(join.right())?))
    }

    /// All slices, in order; none where the join is made as it was.
    fn slices(&self) -> Vec<Slice> {
        let Some((_, left, right)) = self.sides() else { return Vec::new() };
        let stretches: Vec<Stretch> = left.stretches().into_iter().chain(right.stretches()).collect();
        let width_ns = i128::from(self.band.most_ns) - i128::from(self.band.least_ns);
        let ends = ends(&stretches, self.rows_max as u64, width_ns);
        let from = [Timestamp::MIN].into_iter().chain(ends.iter().copied());
        let to = ends.iter().copied().chain([Timestamp::MAX]);
        match ends.is_empty() {
            true => Vec::new(),
            false => from.zip(to).map(|(from, to)| Slice { from, to, halved: 0 }).collect(),
        }
    }

    /// The rows of a slice.
    fn begin(&self, slice: Slice, context: &Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some((join, ..)) = self.sides() else { return self.input.execute(0, Arc::clone(context)) };
        #[cfg(test)]
        MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let own = (slice.from, slice.to);
        let Band { least_ns, most_ns } = self.band;
        let (left, right) = match self.side {
            JoinSide::Right => ((moved(own.0, -i128::from(most_ns)), moved(own.1, -i128::from(least_ns))), own),
            _ => (own, (moved(own.0, least_ns.into()), moved(own.1, most_ns.into()))),
        };
        let children = vec![between(join.left(), left)?, between(join.right(), right)?];
        let join = join.builder().with_new_children(children)?.reset_state().build()?;
        join.execute(0, Arc::clone(context))
    }

    /// The two halves of a slice, by the time that there are rows of.
    fn halves(&self, slice: Slice) -> Option<[Slice; 2]> {
        let (_, left, right) = self.sides()?;
        let stretches = match self.side {
            JoinSide::Right => right.stretches(),
            _ => left.stretches(),
        };
        let first = stretches.iter().map(|stretch| stretch.first).min()?.max(slice.from);
        let last = stretches.iter().map(|stretch| stretch.last).max()?.min(slice.to);
        let middle = Timestamp(i64::try_from((i128::from(first.0) + i128::from(last.0)) / 2).ok()?);
        let halved = slice.halved + 1;
        let is_cut = slice.from < middle && first < middle && middle < last && halved <= HALVED_MAX;
        is_cut.then_some([Slice { to: middle, halved, ..slice }, Slice { from: middle, halved, ..slice }])
    }

    /// The next rows of the slices that are left.
    async fn next(self: Arc<Self>, mut left: Left) -> Result<Option<(RecordBatch, Left)>> {
        loop {
            if let Some((_, scan, _)) = self.sides() {
                scan.deadline().check()?;
            }
            if let Some((slice, stream)) = &mut left.open {
                match (stream.next().await, *slice) {
                    (Some(Ok(batch)), _) => {
                        // What was given cannot be given again.
                        *slice = None;
                        return Ok(Some((batch, left)));
                    }
                    (Some(Err(error)), Some(slice)) if is_of_memory(&error) => {
                        left.open = None;
                        left.slices.extend(self.halves(slice).ok_or(error)?);
                    }
                    (Some(Err(error)), _) => return Err(error),
                    (None, _) => left.open = None,
                }
                continue;
            }
            let Some(slice) = left.slices.pop() else { return Ok(None) };
            left.open = Some((Some(slice), self.begin(slice, &left.context)?));
        }
    }
}

/// What one partition still has to do.
struct Left {
    slices: Vec<Slice>,
    /// What is open, and its slice as long as nothing was given of it.
    open: Option<(Option<Slice>, SendableRecordBatchStream)>,
    context: Arc<TaskContext>,
}

fn is_of_memory(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// The moment so much later; what is before or behind all stays so.
fn moved(moment: Timestamp, by_ns: i128) -> Timestamp {
    match moment {
        Timestamp::MIN | Timestamp::MAX => moment,
        Timestamp(at) => {
            let at = (i128::from(at) + by_ns).clamp(i64::MIN.into(), i64::MAX.into());
            Timestamp(i64::try_from(at).unwrap_or(i64::MAX))
        }
    }
}

/// The side, of the rows between two moments.
fn between(side: &Arc<dyn ExecutionPlan>, (from, to): (Timestamp, Timestamp)) -> Result<Arc<dyn ExecutionPlan>> {
    Arc::clone(side)
        .transform_up(|plan| {
            Ok(match plan.downcast_ref::<ScanExec>() {
                Some(scan) => {
                    let scan = Arc::new(scan.between(from, to)?);
                    Transformed::yes(Arc::new(CooperativeExec::new(scan)) as Arc<dyn ExecutionPlan>)
                }
                None => Transformed::no(plan),
            })
        })
        .data()
}

impl DisplayAs for SlicesExec {
    /// What is asked, never how much there is.
    fn fmt_as(&self, _type: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Band { least_ns, most_ns } = self.band;
        write!(f, "SlicesExec: of @timestamp, right side {least_ns} to {most_ns} ns later")
    }
}

impl ExecutionPlan for SlicesExec {
    fn name(&self) -> &'static str {
        "SlicesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else { return Ok(self) };
        let (join, side, band, rows_max) = (Arc::clone(&self.join), self.side, self.band, self.rows_max);
        Ok(Arc::new(SlicesExec { join, input, side, band, rows_max }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let slices = self.slices();
        if slices.is_empty() {
            return self.input.execute(partition, context);
        }
        let partitions = self.properties().output_partitioning().partition_count().max(1);
        let slices = slices.into_iter().skip(partition).step_by(partitions).collect();
        let (join, input) = (Arc::clone(&self.join), Arc::clone(&self.input));
        let this = Arc::new(SlicesExec { join, input, side: self.side, band: self.band, rows_max: self.rows_max });
        let left = Left { slices, open: None, context };
        let rows = try_unfold(left, move |left| Arc::clone(&this).next(left));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

#[cfg(test)]
static MADE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// How many slices were begun, of all queries of this process.
#[cfg(test)]
pub fn made() -> u64 {
    MADE.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(of: &[(i64, i64, u64)]) -> Vec<Stretch> {
        let stretch = |(first, last, rows): &(i64, i64, u64)| Stretch {
            first: Timestamp(*first),
            last: Timestamp(*last),
            rows: *rows,
        };
        of.iter().map(stretch).collect()
    }

    #[test]
    fn slices_have_about_as_many_rows_as_are_asked_for_and_are_as_long_as_the_band() {
        let beside: Vec<(i64, i64, u64)> = (0..10).map(|at| (at * 1_000, at * 1_000 + 999, 160)).collect();
        let of = |rows: &[(i64, i64, u64)], rows_max, width_ns| -> Vec<i64> {
            ends(&stretches(rows), rows_max, width_ns).into_iter().map(|end| end.0).collect()
        };
        assert_eq!(of(&beside, 800, 10), [5_000]);
        assert_eq!(of(&beside, 320, 10), [2_000, 4_000, 6_000, 8_000]);
        assert_eq!(of(&beside, 320, 6_000), [6_000]);
        assert_eq!(of(&beside, 1_600, 10), [0; 0]);
        assert_eq!(of(&[], 1, 1), [0; 0]);
        // All rows of one moment are in one slice.
        assert_eq!(of(&[(7, 7, 1_000), (7, 7, 1_000)], 10, 0), [0; 0]);
        // Segments on top of each other are opened four times each, not twenty.
        let above: Vec<(i64, i64, u64)> = (0..10).map(|_| (0, 100_000, 160)).collect();
        assert!(of(&above, 80, 10).len() < OPENED_MAX);
        assert_eq!(of(&[(i64::MIN, i64::MAX, 160)], 60, 0).len(), 2);
    }
}
