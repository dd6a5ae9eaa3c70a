//! Which fields of `attrs` a query asks for. A segment has many of them as columns of their own; where a query only ever
//! asks for some by name (`attr(attrs, 'name')`), `attrs` is made of the columns of these, and no other is read. In: a
//! plan as it was written, before DataFusion changes it. Out: the same plan over tables that know. Where anything else
//! may be done with `attrs`, it is whole.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::events::EventsTable;
use super::push::attr_name;
use crate::segment::Wanted;
use crate::segment::columns::ATTRS;

/// A query that names more fields reads all.
const NAMES_MAX: usize = 64;

/// The plan over tables that know which fields of `attrs` it asks for.
///
/// # Errors
/// DataFusion's, which would be a mistake of ours.
pub fn narrowed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let wanted = wanted(&plan)?;
    if wanted.is_none() {
        return Ok(plan);
    }
    let over = |plan: LogicalPlan| {
        let LogicalPlan::TableScan(mut scan) = plan else { return Ok(Transformed::no(plan)) };
        let provider = source_as_provider(&scan.source)?;
        let Some(table) = provider.downcast_ref::<EventsTable>() else {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        };
        scan.source = provider_as_source(Arc::new(EventsTable { wanted: wanted.clone(), ..table.clone() }));
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    };
    plan.transform_down_with_subqueries(over).data()
}

/// The names; `None` is all.
fn wanted(plan: &LogicalPlan) -> Result<Wanted> {
    let mut names: Vec<String> = Vec::new();
    // What comes out of the plan is seen by whoever asked.
    let mut is_whole = has_attrs(plan);
    plan.apply_with_subqueries(|node| {
        is_whole |= !names_its_columns(node) && node.inputs().into_iter().any(has_attrs);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::ScalarFunction(function) => {
                        if let Some(name) = attr_name(function) {
                            names.push(name.to_owned());
                            return Ok(TreeNodeRecursion::Jump);
                        }
                    }
                    Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => is_whole |= column.name == ATTRS,
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    names.sort_unstable();
    names.dedup();
    Ok((!is_whole && names.len() <= NAMES_MAX).then(|| names.into()))
}

fn has_attrs(plan: &LogicalPlan) -> bool {
    plan.schema().fields().iter().any(|field| field.name() == ATTRS)
}

/// Every column that such a node does something with stands in its expressions; the others it only hands on.
fn names_its_columns(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
    )
}
