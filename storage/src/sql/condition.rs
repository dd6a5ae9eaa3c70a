//! Conditions that a scan asks itself, before it reads any other column. In: a filter of DataFusion's plan. Out: a
//! [`Condition`], where it is of a form that cannot fail whatever a value is and says of each row by that row's values
//! alone: comparisons, LIKE, IN, IS NULL of columns and literals, joined by AND, OR, NOT. So it may be asked of each
//! different text of a dictionary once, of rows too that the query does not see, and none can tell. The answer is
//! DataFusion's own: its expression is what is asked. All other filters stay where they are.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringViewArray, TimestampNanosecondArray,
    new_null_array,
};
use arrow_schema::{DataType, SchemaRef};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use nhatle_event::Timestamp;
use regex::bytes::Regex;

use super::events::{SCHEMA, SOURCES, Source};
use crate::segment::columns::TIMESTAMP;

/// How many bytes a text has at least that pages are looked through for.
const NEEDLE_BYTES_MIN: usize = 3;

/// See the top.
#[derive(Debug)]
pub struct Condition {
    /// Over `columns`.
    expr: Arc<dyn PhysicalExpr>,
    /// The table's columns it is about.
    pub columns: Vec<usize>,
    schema: SchemaRef,
    /// Bytes that every value has for which it holds, where it is about one column of text.
    pub needle: Option<Regex>,
    /// It is about `@timestamp` alone, and where it holds for two moments, it holds for those between.
    pub is_of_times: bool,
}

impl Condition {
    /// The filter over some columns of the table as a condition.
    pub fn of(filter: &Arc<dyn PhysicalExpr>, given: &[usize]) -> Option<Condition> {
        if !cannot_fail(filter) {
            return None;
        }
        let (expr, columns, schema) = rebased(filter, given)?;
        let is_text = |source: Source| matches!(source, Source::Same(_) | Source::Text);
        let needle = match columns.as_slice() {
            [one] if SOURCES.get(*one).is_some_and(|(_, source)| is_text(*source)) => needle(&expr),
            _ => None,
        };
        let is_of_times = matches!(columns.as_slice(), [one] if SOURCES[*one].0 == TIMESTAMP) && has_no_gap(&expr);
        Some(Condition { expr, columns, schema, needle, is_of_times })
    }

    /// The rows it holds for. `values` are those of its columns, in their order and of the table's types.
    ///
    /// # Errors
    /// DataFusion's, which would be a mistake of ours.
    pub fn holds(&self, values: Vec<ArrayRef>, rows: usize) -> Result<BooleanBuffer> {
        let found = self.ask(values, rows)?;
        Ok(match found.nulls() {
            Some(nulls) => found.values() & nulls.inner(),
            None => found.values().clone(),
        })
    }

    /// The same for one column whose texts are numbers of a dictionary: each text is asked for once.
    ///
    /// # Errors
    /// As [`Condition::holds`].
    pub fn holds_by_numbers(&self, array: &ArrayRef) -> Result<BooleanBuffer> {
        let numbers = array.as_dictionary::<Int32Type>();
        let texts: ArrayRef = Arc::new(StringViewArray::from(numbers.values().as_string::<i32>()));
        let count = texts.len();
        let of_text = self.holds(vec![texts], count)?;
        let of_null = self.holds(vec![new_null_array(&DataType::Utf8View, 1)], 1)?.value(0);
        let keys = numbers.keys();
        let values = keys.values();
        let all_hold = of_text.count_set_bits() == count;
        Ok(match numbers.nulls() {
            None if all_hold => BooleanBuffer::new_set(values.len()),
            None => BooleanBuffer::collect_bool(values.len(), |row| is_set(&of_text, values[row])),
            Some(nulls) if all_hold && !of_null => nulls.inner().clone(),
            Some(nulls) => BooleanBuffer::collect_bool(values.len(), |row| match nulls.is_valid(row) {
                true => is_set(&of_text, values[row]),
                false => of_null,
            }),
        })
    }

    /// It holds for every row whose `@timestamp` is not before the first of these moments and not behind the last, whatever else
    /// is in the row.
    pub fn holds_between(&self, first: Timestamp, last: Timestamp) -> bool {
        let ends = TimestampNanosecondArray::from(vec![first.0, last.0]).with_timezone("UTC");
        self.is_of_times && self.holds(vec![Arc::new(ends)], 2).is_ok_and(|found| found.count_set_bits() == 2)
    }

    /// What is asked, and of which columns of the table.
    pub fn asked(&self) -> (Option<Arc<dyn PhysicalExpr>>, Vec<usize>) {
        (Some(Arc::clone(&self.expr)), self.columns.clone())
    }

    fn ask(&self, values: Vec<ArrayRef>, rows: usize) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // A null of a column that has none is asked for where a dictionary is.
        let schema = match values
            .iter()
            .zip(self.schema.fields())
            .all(|(one, field)| field.is_nullable() || one.null_count() == 0)
        {
            true => Arc::clone(&self.schema),
            false => {
                let fields = self.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
                Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()))
            }
        };
        let batch = RecordBatch::try_new_with_options(schema, values, &options)?;
        let found = self.expr.evaluate(&batch)?.into_array(rows)?;
        Ok(found.as_boolean().clone())
    }
}

/// The expression over those columns of the table only that it is about, with them and their types; `None` where it is
/// about none, or about one that is not given.
pub fn rebased(
    expr: &Arc<dyn PhysicalExpr>,
    given: &[usize],
) -> Option<(Arc<dyn PhysicalExpr>, Vec<usize>, SchemaRef)> {
    let mut columns: Vec<usize> = Vec::new();
    let mut is_known = true;
    let expr = Arc::clone(expr)
        .transform_down(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
            let Some(number) = given.get(column.index()) else {
                is_known = false;
                return Ok(Transformed::no(expr));
            };
            let at = columns.iter().position(|one| one == number).unwrap_or_else(|| {
                columns.push(*number);
                columns.len() - 1
            });
            let new: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), at));
            Ok(Transformed::new(new, true, TreeNodeRecursion::Jump))
        })
        .data()
        .ok()?;
    if !is_known || columns.is_empty() {
        return None;
    }
    let schema = Arc::new(SCHEMA.project(&columns).ok()?);
    Some((expr, columns, schema))
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.expr.fmt(f)
    }
}

fn is_set(bits: &BooleanBuffer, number: i32) -> bool {
    usize::try_from(number).is_ok_and(|number| number < bits.len() && bits.value(number))
}

/// The expression has a form that says yes, no or nothing of any values.
fn cannot_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let is_plain = |expr: &Arc<dyn PhysicalExpr>| expr.is::<Column>() || expr.is::<Literal>();
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::And | Operator::Or => cannot_fail(binary.left()) && cannot_fail(binary.right()),
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => is_plain(binary.left()) && is_plain(binary.right()),
            _ => false,
        };
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return cannot_fail(not.arg());
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return like.expr().is::<Column>() && like.pattern().is::<Literal>();
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return list.expr().is::<Column>() && list.list().iter().all(|one| one.is::<Literal>());
    }
    let of_null = expr.downcast_ref::<IsNullExpr>().map(IsNullExpr::arg);
    let of_value = || expr.downcast_ref::<IsNotNullExpr>().map(IsNotNullExpr::arg);
    of_null.or_else(of_value).is_some_and(|arg| arg.is::<Column>())
}

/// The expression over one column holds for whatever is between two values it holds for.
fn has_no_gap(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let Some(binary) = expr.downcast_ref::<BinaryExpr>() else { return false };
    let (left, right) = (binary.left(), binary.right());
    match binary.op() {
        Operator::And => has_no_gap(left) && has_no_gap(right),
        Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
            left.is::<Column>() && right.is::<Literal>() || left.is::<Literal>() && right.is::<Column>()
        }
        _ => false,
    }
}

/// Bytes that every text has that the expression holds for, as a pattern; of a LIKE of enough letters.
fn needle(expr: &Arc<dyn PhysicalExpr>) -> Option<Regex> {
    let like = expr.downcast_ref::<LikeExpr>()?;
    if like.negated() {
        return None;
    }
    let pattern = like.pattern().downcast_ref::<Literal>()?;
    let (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text))) =
        pattern.value()
    else {
        return None;
    };
    // What a backslash means is the engine's to say.
    let runs = text.split(['%', '_', '\\']);
    let longest = runs.max_by_key(|run| run.len()).filter(|run| NEEDLE_BYTES_MIN <= run.len())?;
    // Without case only letters have twins that are known here to be the engine's.
    let is_without_case = like.case_insensitive();
    if is_without_case && !longest.is_ascii() {
        return None;
    }
    // What is no text is shown with this in its place.
    if longest.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let escaped = regex::escape(longest);
    let form = if is_without_case { format!("(?i:{escaped})") } else { escaped };
    Regex::new(&form).ok()
}
