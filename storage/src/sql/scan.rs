//! `ScanExec`: reads a table's parts, several at once. In: [`Asked`] and the parts for each thread. Out: batches, in no
//! order. It takes the filters above it that it can ask itself ([`Condition`]) and leaves columns away that nobody needs
//! after that. While a query for the newest few rows runs, DataFusion narrows what can still be among them; segments and
//! rows of them that hold nothing of it are not read ([`Narrowed`]), and the newest are read first.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampNanosecondArray, UInt64Array};
use arrow_schema::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result, ScalarValue, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::condition::Condition;
use super::deadline::Deadline;
use super::events::SOURCES;
use super::parts::{Asked, Opened, Part, Rows};
use super::slices::Stretch;
use super::spread::{Spread, groups};
use nhatle_event::Timestamp;

use crate::segment::columns::{SEQ, TIMESTAMP};
use crate::segment::meta::SegmentMeta;

/// The parts that each thread reads, in turn.
pub type Dealt = Arc<Vec<Vec<Part>>>;

/// Reads parts of a table.
pub struct ScanExec {
    asked: Arc<Asked>,
    parts: Dealt,
    /// So many rows are enough.
    limit: Option<usize>,
    /// How many rows there are, where that is known and may be said.
    rows: Option<u64>,
    /// What the rows must be, as far as it is known while the query runs.
    narrowed: Vec<Arc<dyn PhysicalExpr>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// Reads these parts, one list in each partition.
    pub fn new(asked: Asked, parts: Vec<Vec<Part>>, limit: Option<usize>, rows: Option<u64>) -> ScanExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(asked.schema().clone()),
            Partitioning::UnknownPartitioning(parts.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        ScanExec {
            asked: Arc::new(asked),
            parts: Arc::new(parts),
            limit,
            rows,
            narrowed: Vec::new(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn narrowed_by(&self, narrowed: Vec<Arc<dyn PhysicalExpr>>) -> ScanExec {
        ScanExec {
            asked: Arc::clone(&self.asked),
            parts: Arc::clone(&self.parts),
            limit: self.limit,
            rows: self.rows,
            narrowed,
            properties: Arc::clone(&self.properties),
            metrics: self.metrics.clone(),
        }
    }

    /// The same parts, asked for something else.
    fn asked_for(&self, columns: Vec<usize>, conditions: Vec<Arc<Condition>>) -> Result<ScanExec> {
        let rows = self.rows.filter(|_| conditions.is_empty());
        let asked = Asked::new(Arc::clone(&self.asked.base), columns, conditions)?;
        Ok(ScanExec::new(asked, self.parts.to_vec(), self.limit, rows))
    }

    /// What is asked, and the parts; `None` where rows are counted or narrowed while it runs.
    pub fn parts(&self) -> Option<(&Arc<Asked>, &Dealt)> {
        let is_plain = self.limit.is_none() && self.narrowed.is_empty();
        is_plain.then_some((&self.asked, &self.parts))
    }

    /// The column is `@timestamp`, and rows may be read by it.
    pub fn is_time(&self, column: usize) -> bool {
        let name = self.asked.columns.get(column).and_then(|number| SOURCES.get(*number)).map(|(name, _)| *name);
        self.limit.is_none() && name == Some(TIMESTAMP)
    }

    /// Where in time the rows are that may be read, roughly.
    pub fn stretches(&self) -> Vec<Stretch> {
        self.asked.base.stretches()
    }

    /// Until when.
    pub fn deadline(&self) -> &Deadline {
        &self.asked.base.deadline
    }

    /// The same, of the rows between two moments, in one partition and narrowed by nothing else.
    ///
    /// # Errors
    /// None, but by a mistake of ours.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Result<ScanExec> {
        let base = Arc::new(self.asked.base.between(from, to));
        let parts = base.parts(1);
        let asked = Asked::new(base, self.asked.columns.clone(), self.asked.conditions.clone())?;
        Ok(ScanExec::new(asked, parts, self.limit, None))
    }

    /// Takes those of the filters that it can ask itself.
    fn conditions(&self, found: &ChildPushdownResult) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let mut conditions = self.asked.conditions.clone();
        let before = conditions.len();
        // A limit counts the rows that there are, not those that a filter leaves.
        let mut take = |filter| match Condition::of(filter, &self.asked.columns) {
            Some(condition) if self.limit.is_none() => {
                conditions.push(Arc::new(condition));
                PushedDown::Yes
            }
            _ => PushedDown::No,
        };
        let taken = found.parent_filters.iter().map(|parent| take(&parent.filter)).collect();
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(taken);
        if conditions.len() == before {
            return Ok(propagation);
        }
        let scan = self.asked_for(self.asked.columns.clone(), conditions)?;
        Ok(propagation.with_updated_node(Arc::new(scan) as _))
    }
}

impl fmt::Debug for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanExec")
    }
}

impl DisplayAs for ScanExec {
    /// What is asked, never how much there is: that would be of everybody's events.
    fn fmt_as(&self, _type: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanExec: ")?;
        self.asked.describe(f)?;
        match self.narrowed.is_empty() {
            true => Ok(()),
            false => f.write_str(", narrowed while it runs"),
        }
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in &self.narrowed {
            if visit(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let walk = Walk {
            asked: Arc::clone(&self.asked),
            parts: Arc::clone(&self.parts),
            partition,
            next: 0,
            waiting: Vec::new(),
            open: None,
            left: self.limit,
            narrowed: self.narrowed.clone(),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let schema = self.asked.schema().clone();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures_util::stream::iter(walk))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(self.asked.schema());
        if let (None, Some(rows), None) = (partition, self.rows, self.limit) {
            statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        Ok(Arc::new(statistics))
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !self.narrowed.is_empty() {
            return Ok(None);
        }
        let columns = projection.expr().iter().flat_map(|one| collect_columns(&one.expr));
        let mut used: Vec<usize> = columns.map(|column| column.index()).collect();
        used.sort_unstable();
        used.dedup();
        let is_same = used.len() == self.asked.columns.len();
        if is_same || used.iter().any(|at| self.asked.columns.len() <= *at) {
            return Ok(None);
        }
        let columns = used.iter().map(|at| self.asked.columns[*at]).collect();
        let scan = self.asked_for(columns, self.asked.conditions.clone())?;
        let schema = scan.schema();
        let exprs = projection.expr().iter().map(|one| {
            let expr = reassign_expr_columns(Arc::clone(&one.expr), &schema)?;
            Ok(ProjectionExpr { expr, alias: one.alias.clone() })
        });
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        let is_nothing = exprs.len() == schema.fields().len()
            && exprs.iter().enumerate().all(|(at, one)| {
                let column = one.expr.downcast_ref::<PhysicalColumn>();
                column.is_some_and(|column| column.index() == at && column.name() == one.alias)
            });
        Ok(Some(match is_nothing {
            true => Arc::new(scan),
            false => Arc::new(ProjectionExec::try_new(exprs, Arc::new(scan))?),
        }))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        found: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        if phase == FilterPushdownPhase::Pre {
            return self.conditions(&found);
        }
        // They only spare rows; who asked for them looks at the rows all the same.
        let unsupported = vec![PushedDown::No; found.parent_filters.len()];
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(unsupported);
        if found.parent_filters.is_empty() {
            return Ok(propagation);
        }
        let filters = found.parent_filters.into_iter().map(|parent| parent.filter).collect();
        Ok(propagation.with_updated_node(Arc::new(self.narrowed_by(filters)) as _))
    }
}

/// The parts of one partition, one after the other.
struct Walk {
    asked: Arc<Asked>,
    parts: Dealt,
    partition: usize,
    next: usize,
    /// What is read after what is open, the last first.
    waiting: Vec<(Arc<Opened>, usize)>,
    open: Option<Rows>,
    left: Option<usize>,
    narrowed: Vec<Arc<dyn PhysicalExpr>>,
    metrics: BaselineMetrics,
}

impl Walk {
    /// The next rows, or the next part; `None` at the end.
    fn step(&mut self) -> Result<Option<Option<RecordBatch>>> {
        self.asked.base.deadline.check()?;
        if self.left == Some(0) {
            return Ok(None);
        }
        if let Some(rows) = &mut self.open {
            if let (Rows::Spread(spread), false) = (&mut *rows, self.narrowed.is_empty()) {
                let wants = |first, last| {
                    !self.narrowed.iter().any(|filter| is_out(self.asked.schema(), filter, &Narrowed { first, last }))
                };
                spread.narrow(&wants);
            }
            match rows.next(&self.asked) {
                Some(batch) => return Ok(Some(Some(batch?))),
                None => self.open = None,
            }
        }
        if let Some((opened, group)) = self.waiting.pop() {
            let spread = Spread::open(&opened, group, !self.narrowed.is_empty())?;
            self.open = Some(Rows::Spread(Box::new(spread)));
            return Ok(Some(None));
        }
        let Some(part) = self.parts.get(self.partition).and_then(|parts| parts.get(self.next)).copied() else {
            return Ok(None);
        };
        self.next += 1;
        match part {
            Part::Recent => self.open = Some(self.asked.recent()),
            Part::Group { segment, .. } => {
                let times = Narrowed::of(self.asked.base.live(segment).meta());
                let is_out = self.narrowed.iter().any(|filter| is_out(self.asked.schema(), filter, &times));
                if !is_out && let Some(opened) = self.asked.base.access(segment)? {
                    self.waiting.extend(groups(&opened, part).map(|group| (Arc::clone(&opened), group)));
                }
            }
        }
        Ok(Some(None))
    }
}

impl Iterator for Walk {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            let batch = match self.step() {
                Err(error) => {
                    self.left = Some(0);
                    return Some(Err(error));
                }
                Ok(None) => return None,
                Ok(Some(None)) => continue,
                Ok(Some(Some(batch))) if batch.num_rows() == 0 => continue,
                Ok(Some(Some(batch))) => batch,
            };
            let batch = match &mut self.left {
                None => batch,
                Some(left) => {
                    let taken = batch.num_rows().min(*left);
                    *left -= taken;
                    batch.slice(0, taken)
                }
            };
            return Some(Ok(batch.record_output(&self.metrics)));
        }
    }
}

/// No row passes the filter, by their times.
fn is_out(schema: &SchemaRef, filter: &Arc<dyn PhysicalExpr>, times: &Narrowed) -> bool {
    let built = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(Arc::clone(filter));
    built.and_then(|predicate| predicate.prune(times)).is_ok_and(|kept| kept == [false])
}

/// What is known of rows without reading them.
struct Narrowed {
    first: Timestamp,
    last: Timestamp,
}

impl Narrowed {
    fn of(meta: &SegmentMeta) -> Narrowed {
        Narrowed { first: meta.timestamp_min, last: meta.timestamp_max }
    }

    fn stamp(&self, column: &Column, nanos: i64) -> Option<ArrayRef> {
        let stamps = TimestampNanosecondArray::from(vec![nanos]).with_timezone("UTC");
        (column.name == TIMESTAMP).then(|| Arc::new(stamps) as ArrayRef)
    }
}

impl PruningStatistics for Narrowed {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.stamp(column, self.first.0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.stamp(column, self.last.0)
    }

    fn num_containers(&self) -> usize {
        1
    }

    /// Every row has its time and its number. Said, because `ORDER BY … DESC` puts nulls first: what is narrowed for it also wants
    /// rows without a time, and where none is known to be missing no row would be out.
    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        matches!(column.name.as_str(), TIMESTAMP | SEQ).then(|| Arc::new(UInt64Array::from(vec![0])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &std::collections::HashSet<ScalarValue>,
    ) -> Option<arrow_array::BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{binary, col, is_null, lit};

    use super::*;
    use crate::sql::events::SCHEMA;

    type Expr = Arc<dyn PhysicalExpr>;

    /// As DataFusion makes it of the newest row so far: with nulls first, as `DESC` has them, or last.
    fn newer_than(schema: &SchemaRef, nanos: i64, seq: u64, has_nulls: bool) -> Expr {
        let stamp = lit(ScalarValue::TimestampNanosecond(Some(nanos), Some("UTC".into())));
        let of = |name: &str| col(name, schema).expect("a column");
        let op = |left: Expr, op: Operator, right: Expr| binary(left, op, right, schema).expect("types agree");
        let above = |name: &str, value: Expr| {
            let above = op(of(name), Operator::Gt, value);
            match has_nulls {
                true => op(is_null(of(name)).expect("is made"), Operator::Or, above),
                false => above,
            }
        };
        let same = op(of(TIMESTAMP), Operator::Eq, Arc::clone(&stamp));
        let then = op(same, Operator::And, above(SEQ, lit(seq)));
        op(above(TIMESTAMP, stamp), Operator::Or, then)
    }

    #[test]
    fn older_rows_are_out_also_where_nulls_would_come_first() {
        let columns = [SEQ, TIMESTAMP].map(|name| SCHEMA.index_of(name).expect("a column"));
        let schema = Arc::new(SCHEMA.project(&columns).expect("two columns"));
        let times = |first, last| Narrowed { first: Timestamp(first), last: Timestamp(last) };
        for has_nulls in [false, true] {
            let filter = newer_than(&schema, 1_000, 7, has_nulls);
            assert!(is_out(&schema, &filter, &times(1, 999)), "older, nulls first: {has_nulls}");
            assert!(!is_out(&schema, &filter, &times(1, 1_000)), "the same moment: its number may be higher");
            assert!(!is_out(&schema, &filter, &times(999, 2_000)));
        }
    }
}
