//! `Deadline`: until when a query may run, and [`WatchExec`], which asks it between any two batches of an operator that
//! could go on long without reading anything (joins, windows, recursion). Tasks are also aborted from outside, but a task
//! is only aborted where it waits; here it ends where it works.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures_util::StreamExt;

use super::error::{Ended, ended};

/// Until when a query may run. Clones are of the same query.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// Of this query.
    canceled: Arc<AtomicBool>,
    /// Of whoever asked; only read.
    outside: Arc<AtomicBool>,
    at: Instant,
    time: Duration,
}

impl Deadline {
    /// So long from now on, or until `outside` becomes true.
    pub fn after(time: Duration, outside: Arc<AtomicBool>) -> Deadline {
        Deadline { canceled: Arc::default(), outside, at: Instant::now() + time, time }
    }

    /// Ends the query.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::Relaxed);
    }

    /// Somebody ended it.
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed) || self.outside.load(Ordering::Relaxed)
    }

    /// What is left.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// How long it was given.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Goes on, unless its time is over or nobody waits.
    ///
    /// # Errors
    /// [`Ended`], inside.
    pub fn check(&self) -> Result<()> {
        if self.is_canceled() {
            return Err(ended(Ended::Canceled));
        }
        if self.left().is_zero() {
            return Err(ended(Ended::Time(self.time)));
        }
        Ok(())
    }
}

/// Operators that may give many batches for one they read.
const LONG: [&str; 6] = ["Join", "Recursive", "Window", "Unnest", "LazyMemory", "Union"];

/// Puts a [`WatchExec`] over each operator that may go on long.
pub fn watched(plan: Arc<dyn ExecutionPlan>, deadline: &Deadline) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|plan| {
        let is_long = LONG.iter().any(|part| plan.name().contains(part));
        Ok(match is_long {
            true => Transformed::yes(Arc::new(WatchExec { input: plan, deadline: deadline.clone() }) as _),
            false => Transformed::no(plan),
        })
    })
    .data()
}

/// Gives what its input gives, and ends with the deadline.
#[derive(Debug)]
struct WatchExec {
    input: Arc<dyn ExecutionPlan>,
    deadline: Deadline,
}

impl DisplayAs for WatchExec {
    fn fmt_as(&self, _type: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchExec")
    }
}

impl ExecutionPlan for WatchExec {
    fn name(&self) -> &'static str {
        "WatchExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        match children.pop() {
            Some(input) => Ok(Arc::new(WatchExec { input, deadline: self.deadline.clone() })),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let deadline = self.deadline.clone();
        let watched = input.map(move |batch| deadline.check().and(batch));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), watched)))
    }
}
