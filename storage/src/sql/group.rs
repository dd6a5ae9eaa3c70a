//! `GroupExec`: an aggregation together with the scan below it. In: DataFusion's `AggregateExec` over a [`ScanExec`], in one step
//! or in two, where it counts rows or values, or tells the least or greatest number, by columns or by expressions of numbers
//! and moments. Out: what that would give, each group once. So texts are counted as numbers of their dictionaries and made once
//! a group, not once a row. What runs are [`Walk`]s, which [`Gather`] joins. Twin: the same query over a plain table
//! (`tests_group.rs`).

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow_schema::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use foldhash::fast::RandomState;
use futures_util::StreamExt;

use super::condition::rebased;
use super::events::SCHEMA;
use super::gather::Gather;
use super::kept::{self, Question};
use super::parts::{Asked, Part};
use super::piles::Piles;
use super::scan::{Dealt, ScanExec};
use super::tally::{KEYS_MAX, Measure, Tally, is_key, is_number};
use super::walk::{Bounds, Key, Walk};

/// So many bytes of groups one walk holds before it writes them to the disk.
const GROUPS_BYTES_MAX: usize = 64 << 20;
/// How many tables of groups wait for whoever takes them.
const TABLES_WAITING: usize = 2;

/// See the top.
pub struct GroupExec {
    asked: Arc<Asked>,
    parts: Dealt,
    keys: Arc<Vec<Key>>,
    /// The columns that measures are about.
    measured: Arc<Vec<usize>>,
    measures: Vec<Measure>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The number of what is asked, where it was asked before.
    question: OnceLock<Option<u64>>,
}

/// Puts aggregations into the scans below them, where that can be.
#[derive(Debug)]
pub struct GroupInScan;

impl PhysicalOptimizerRule for GroupInScan {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let made = plan.downcast_ref::<AggregateExec>().and_then(GroupExec::of);
            Ok(match made {
                Some(made) => Transformed::yes(Arc::new(made) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "group_in_scan"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl GroupExec {
    fn of(step: &AggregateExec) -> Option<GroupExec> {
        let first = first(step)?;
        let by = first.group_expr();
        let is_plain = by.is_single()
            && !by.is_true_no_grouping()
            && [step, first]
                .iter()
                .all(|step| step.limit_options().is_none() && step.filter_expr().iter().all(Option::is_none));
        if !is_plain {
            return None;
        }
        let (scan, projection) = below(first.input())?;
        let (asked, parts) = scan.parts()?;
        let inside = |expr: &Arc<dyn PhysicalExpr>| match projection {
            Some(projection) => through(expr, projection),
            None => Some(Arc::clone(expr)),
        };
        let keys = by.expr().iter().map(|(expr, _)| key(&inside(expr)?, &asked.columns));
        let keys: Vec<Key> = keys.collect::<Option<_>>()?;
        let mut measured = Vec::new();
        let mut measures = Vec::new();
        for one in first.aggr_expr() {
            measures.push(measure(one, &inside, &asked.columns, &mut measured)?);
        }
        let schema = step.schema();
        let fits = schema.fields().len() == keys.len() + measures.len()
            && (1..=KEYS_MAX).contains(&keys.len())
            && schema.fields().iter().take(keys.len()).all(|field| is_key(field.data_type()));
        if !fits {
            return None;
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Some(GroupExec {
            asked: Arc::clone(asked),
            parts: Arc::clone(parts),
            keys: Arc::new(keys),
            measured: Arc::new(measured),
            measures,
            schema,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            question: OnceLock::new(),
        })
    }

    /// The number of what is asked, where it was asked before and does not depend on who asks.
    fn question(&self) -> Option<u64> {
        *self.question.get_or_init(|| {
            let conditions = self.asked.conditions.iter().filter(|condition| !condition.is_of_times);
            let of_key = |key: &Key| match key {
                Key::Column(column) => (None, vec![*column]),
                Key::Expr(expr, columns, _) => (Some(Arc::clone(expr)), columns.clone()),
            };
            let question = Question {
                conditions: conditions.map(|condition| condition.asked()).collect(),
                keys: self.keys.iter().map(of_key).collect(),
                measures: self.measures.clone(),
                measured: self.measured.to_vec(),
            };
            let is_kept = self.asked.base.query.units.is_none() && question.is_of_rows_alone();
            is_kept.then(|| kept::asked_before(question)).flatten()
        })
    }
}

/// The step that reads rows: this one, or the one below that this one joins the groups of.
fn first(step: &AggregateExec) -> Option<&AggregateExec> {
    if *step.mode() == AggregateMode::Single {
        return Some(step);
    }
    let mut input = step.input();
    if *step.mode() != AggregateMode::Final {
        return None;
    }
    if let Some(coalesce) = input.downcast_ref::<CoalescePartitionsExec>() {
        if coalesce.fetch().is_some() {
            return None;
        }
        input = coalesce.input();
    }
    input.downcast_ref::<AggregateExec>().filter(|first| *first.mode() == AggregateMode::Partial)
}

/// The scan below, and what stands between.
fn below(plan: &Arc<dyn ExecutionPlan>) -> Option<(&ScanExec, Option<&ProjectionExec>)> {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        return Some((scan, None));
    }
    if let Some(cooperative) = plan.downcast_ref::<CooperativeExec>() {
        return below(cooperative.input());
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let (scan, None) = below(projection.input())? else { return None };
    Some((scan, Some(projection)))
}

/// The expression over what the projection is made of.
fn through(expr: &Arc<dyn PhysicalExpr>, projection: &ProjectionExec) -> Option<Arc<dyn PhysicalExpr>> {
    Arc::clone(expr)
        .transform_down(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
            let inner = projection.expr().get(column.index());
            let inner = inner.ok_or_else(|| exec_datafusion_err!("column {} of a projection", column.index()))?;
            Ok(Transformed::new(Arc::clone(&inner.expr), true, TreeNodeRecursion::Jump))
        })
        .data()
        .ok()
}

fn key(expr: &Arc<dyn PhysicalExpr>, given: &[usize]) -> Option<Key> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        let column = *given.get(column.index())?;
        return Some(Key::Column(column));
    }
    let (expr, columns, schema) = rebased(expr, given)?;
    let is_of_numbers = columns.iter().all(|column| !is_long(SCHEMA.field(*column).data_type()));
    (is_of_numbers && is_key(&expr.data_type(&schema).ok()?)).then_some(Key::Expr(expr, columns, schema))
}

fn is_long(of: &DataType) -> bool {
    matches!(of, DataType::Utf8View | DataType::BinaryView)
}

/// An expression over the scan's columns; `None` where it is about something else.
type Inside<'a> = dyn Fn(&Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> + 'a;

fn measure(
    one: &AggregateFunctionExpr,
    inside: &Inside<'_>,
    given: &[usize],
    measured: &mut Vec<usize>,
) -> Option<Measure> {
    if one.is_distinct() || !one.order_bys().is_empty() {
        return None;
    }
    let expressions = one.expressions();
    let [argument] = expressions.as_slice() else { return None };
    let name = one.fun().name();
    if let Some(literal) = argument.downcast_ref::<Literal>() {
        return (name == "count" && !literal.value().is_null()).then_some(Measure::Rows);
    }
    let argument = inside(argument)?;
    if let Some(literal) = argument.downcast_ref::<Literal>() {
        return (name == "count" && !literal.value().is_null()).then_some(Measure::Rows);
    }
    let column = *given.get(argument.downcast_ref::<Column>()?.index())?;
    let at = measured.iter().position(|one| *one == column).unwrap_or(measured.len());
    let of = is_number(SCHEMA.field(column).data_type());
    let found = match name {
        "count" => Measure::Count(at),
        "min" if of => Measure::Min(at),
        "max" if of => Measure::Max(at),
        _ => return None,
    };
    if at == measured.len() {
        measured.push(column);
    }
    Some(found)
}

impl fmt::Debug for GroupExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupExec")
    }
}

impl DisplayAs for GroupExec {
    /// What is asked, never how much there is.
    fn fmt_as(&self, _type: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let (keys, measures) = names.split_at(self.keys.len());
        write!(f, "GroupExec: gby=[{}], aggr=[{}], ", keys.join(", "), measures.join(", "))?;
        self.asked.describe(f)
    }
}

impl ExecutionPlan for GroupExec {
    fn name(&self) -> &'static str {
        "GroupExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let hash = RandomState::default();
        let pool = context.memory_pool();
        // Half of what the query has is for joining them, and for what is above.
        let bytes_max = match pool.memory_limit() {
            MemoryLimit::Finite(bytes) => GROUPS_BYTES_MAX.min(bytes / (2 * self.parts.len().max(1))),
            _ => GROUPS_BYTES_MAX,
        };
        let walk = |(at, parts): (usize, &Vec<Part>)| {
            let consumer = MemoryConsumer::new(format!("GroupExec[{at}]")).with_can_spill(true);
            let piles = Piles::new(hash.clone(), Arc::clone(&context.runtime_env().disk_manager));
            Walk::new(
                Arc::clone(&self.asked),
                parts.clone(),
                (Arc::clone(&self.keys), Arc::clone(&self.measured), self.question()),
                (Tally::new(self.schema.clone(), self.measures.clone()), piles),
                Bounds { bytes_max, reservation: consumer.register(pool) },
            )
        };
        let walks: Vec<Walk> = self.parts.iter().enumerate().map(walk).collect();
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), TABLES_WAITING);
        let deadline = self.asked.base.deadline.clone();
        let gather = Gather { pool: Arc::clone(pool), deadline, sender: builder.tx() };
        builder.spawn(gather.run(walks));
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let tables = builder.build().map(move |table| table.map(|table| table.record_output(&metrics)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), tables)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
