//! Buckets of moments that stand in order. In: an expression, moments. Out: the bucket of each. Promise: what the expression
//! gives of each moment by itself; but where the moments are in order and two of them, some hundreds of rows apart, are of
//! one bucket, so are all between, and are not asked for.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampNanosecondArray};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use datafusion::common::Result;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// How many rows stand between those that are asked for.
const STEP_ROWS: usize = 256;

/// The expression's values.
///
/// # Errors
/// The expression's.
pub fn evaluated(
    expr: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
    values: Vec<ArrayRef>,
    rows: usize,
) -> Result<ArrayRef> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema.clone(), values, &options)?;
    expr.evaluate(&batch)?.into_array(rows)
}

/// The same, where the expression is a bucket of one column of moments in order.
///
/// # Errors
/// The expression's.
pub fn of_moments(expr: &Arc<dyn PhysicalExpr>, schema: &SchemaRef, values: &[ArrayRef]) -> Result<Option<ArrayRef>> {
    let [column] = values else { return Ok(None) };
    let Some(moments) = column.as_primitive_opt::<TimestampNanosecondType>() else { return Ok(None) };
    let rows = moments.len();
    if rows <= STEP_ROWS || 0 < moments.null_count() || !is_bucket(expr) || !moments.values().is_sorted() {
        return Ok(None);
    }
    let of = expr.data_type(schema)?;
    if !matches!(of, DataType::Timestamp(TimeUnit::Nanosecond, _)) {
        return Ok(None);
    }
    let places: Vec<usize> = (0..rows).step_by(STEP_ROWS).chain([rows - 1]).collect();
    let chosen = TimestampNanosecondArray::from_iter_values(places.iter().map(|place| moments.value(*place)));
    let chosen: ArrayRef = Arc::new(chosen.with_data_type(column.data_type().clone()));
    let sampled = evaluated(expr, schema, vec![chosen], places.len())?;
    let Some(sampled) = sampled.as_primitive_opt::<TimestampNanosecondType>().filter(|one| one.null_count() == 0)
    else {
        return Ok(None);
    };
    let mut buckets: Vec<i64> = Vec::with_capacity(rows);
    for (at, pair) in places.windows(2).enumerate() {
        // The last of all is in the last stretch.
        let end = if pair[1] == rows - 1 { rows } else { pair[1] };
        if sampled.value(at) == sampled.value(at + 1) {
            buckets.resize(end, sampled.value(at));
            continue;
        }
        let begin = buckets.len();
        let each = evaluated(expr, schema, vec![column.slice(begin, end - begin)], end - begin)?;
        let Some(each) = each.as_primitive_opt::<TimestampNanosecondType>().filter(|one| one.null_count() == 0) else {
            return Ok(None);
        };
        buckets.extend_from_slice(each.values());
    }
    buckets.resize(rows, sampled.value(sampled.len() - 1));
    Ok(Some(Arc::new(TimestampNanosecondArray::from(buckets).with_data_type(of))))
}

/// The expression gives later moments no earlier buckets.
fn is_bucket(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() else { return false };
    let columns = call.args().iter().filter(|argument| argument.is::<Column>()).count();
    ["date_bin", "time_bucket"].contains(&call.fun().name())
        && columns == 1
        && call.args().iter().all(|argument| argument.is::<Column>() || argument.is::<Literal>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::events::SCHEMA;
    use crate::sql::functions::ours;
    use datafusion::common::ScalarValue;
    use datafusion::config::ConfigOptions;

    #[test]
    fn buckets_of_moments_in_order_are_those_of_each() {
        let at = SCHEMA.index_of("@timestamp").expect("a column of ours");
        let schema: SchemaRef = Arc::new(SCHEMA.project(&[at]).expect("a column of ours"));
        let bucket = ours().into_iter().find(|one| one.name() == "time_bucket").expect("a function of ours");
        let width: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Utf8View(Some("1m".to_owned()))));
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("@timestamp", 0));
        let config = Arc::new(ConfigOptions::default());
        let expr = ScalarFunctionExpr::try_new(bucket, vec![width, column], &schema, config).expect("a call");
        let expr: Arc<dyn PhysicalExpr> = Arc::new(expr);
        let of = schema.field(0).data_type().clone();
        for (rows, step_ns) in
            [(257usize, 1i64), (1_000, 700_000_000), (1_024, 90_000_000_000), (5_000, 40_000_000), (513, 0)]
        {
            let moments = (0..rows as i64).map(|row| row * step_ns - 3_000_000_000);
            let moments = TimestampNanosecondArray::from_iter_values(moments).with_data_type(of.clone());
            let moments: ArrayRef = Arc::new(moments);
            let found = of_moments(&expr, &schema, &[Arc::clone(&moments)]).expect("a call");
            let each = evaluated(&expr, &schema, vec![moments], rows).expect("a call");
            assert_eq!(found.as_deref(), Some(&*each), "{rows} rows, {step_ns} ns apart");
        }
    }
}
