//! Functions that make text longer, within a bound: DataFusion does not count what they make, and a text that doubles
//! itself a few dozen times would take all memory there is. In: DataFusion's own function. Out: the same function, asked
//! of so many rows at a time that its longest possible answer fits; what it makes of one batch is bounded.

use std::sync::Arc;

use super::text::LITERAL_BYTES_MAX;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, FieldRef};
use datafusion::arrow::compute::concat;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// What one call may make of one batch.
pub const GROWN_BYTES_MAX: usize = 64 << 20;
/// What one call may make of one row: a join may put it beside every other.
pub const ROW_BYTES_MAX: usize = 1 << 20;

/// How long an answer can be, by the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// It does not grow; another reason to look at it.
    None,
    /// All arguments behind each other, the first between any two.
    Joined,
    /// The first, as often as the second says.
    Repeated,
    /// So many characters as the second says.
    Padded,
    /// The third at each byte of the first.
    Replaced,
}

const GUARDED: [(&str, Growth); 13] = [
    ("regexp_like", Growth::None),
    ("regexp_match", Growth::None),
    ("regexp_count", Growth::None),
    ("regexp_instr", Growth::None),
    ("concat", Growth::Joined),
    ("concat_ws", Growth::Joined),
    ("overlay", Growth::Joined),
    ("translate", Growth::Joined),
    ("repeat", Growth::Repeated),
    ("lpad", Growth::Padded),
    ("rpad", Growth::Padded),
    ("replace", Growth::Replaced),
    ("regexp_replace", Growth::Replaced),
];
/// Not there: what takes the square of its arguments' time, what speaks of files, what undoes views of text.
const LEFT_OUT: [&str; 6] =
    ["levenshtein", "input_file_name", "file_row_index", "arrow_metadata", "arrow_cast", "arrow_try_cast"];
/// Not there: what makes one value of all rows, as long as they are together, which a join would copy.
const AGGREGATES_LEFT_OUT: [&str; 2] = ["string_agg", "array_agg"];

/// DataFusion's aggregate functions as they are offered here.
pub fn bounded(functions: Vec<Arc<AggregateUDF>>) -> Vec<Arc<AggregateUDF>> {
    functions.into_iter().filter(|function| !AGGREGATES_LEFT_OUT.contains(&function.name())).collect()
}

/// DataFusion's functions as they are offered here.
pub fn guarded(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let kept = functions.into_iter().filter(|function| !LEFT_OUT.contains(&function.name()));
    kept.map(|inner| match GUARDED.iter().find(|(name, _)| *name == inner.name()) {
        Some((_, growth)) => Arc::new(ScalarUDF::new_from_impl(Guarded { inner, growth: *growth })),
        None => inner,
    })
    .collect()
}

/// Regular expressions are made once, not for each row: that takes milliseconds, and nothing could end it.
const PATTERNED: [&str; 5] = ["regexp_like", "regexp_match", "regexp_count", "regexp_instr", "regexp_replace"];
/// Why a pattern out of a column is refused.
pub const NO_PATTERNS: &str = "a regular expression must be written in the query, not come out of a column";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Guarded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Guarded {
    /// The longest answer for one row.
    fn longest(&self, arguments: &[ArrayRef], row: usize) -> usize {
        // A value for all rows stands in an array of one.
        let of = |array: &ArrayRef| if array.len() == 1 { 0 } else { row };
        let length = |at: usize| arguments.get(at).map_or(0, |array| text_length(array, of(array)));
        let number = |at: usize| arguments.get(at).map_or(0, |array| whole_number(array, of(array)));
        match self.growth {
            Growth::None => 0,
            Growth::Joined => (0..arguments.len())
                .map(length)
                .sum::<usize>()
                .saturating_add(length(0).saturating_mul(arguments.len()))
                .saturating_mul(4),
            Growth::Repeated => length(0).saturating_mul(number(1)),
            Growth::Padded => number(1).saturating_mul(4).saturating_add(length(0)),
            Growth::Replaced => (length(0) + 1).saturating_mul(length(2) + 1),
        }
    }
}

impl Guarded {
    /// The row behind as many rows from `begin` on as surely fit; at least one.
    fn fitting(&self, arguments: &[ArrayRef], begin: usize, rows: usize) -> Result<usize> {
        let mut longest = self.longest(arguments, begin);
        if GROWN_BYTES_MAX < longest {
            return exec_err!("{}() could make a text of more than {GROWN_BYTES_MAX} bytes", self.name());
        }
        for row in begin + 1..rows {
            longest = longest.saturating_add(self.longest(arguments, row));
            if GROWN_BYTES_MAX < longest {
                return Ok(row);
            }
        }
        Ok(rows)
    }
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(arguments)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if PATTERNED.contains(&self.name()) && matches!(call.args.get(1), Some(ColumnarValue::Array(_))) {
            return exec_err!("{NO_PATTERNS}");
        }
        let is_scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { call.number_rows };
        let arguments: Vec<ArrayRef> = call
            .args
            .iter()
            .map(|argument| match argument {
                ColumnarValue::Array(array) => Ok(Arc::clone(array)),
                ColumnarValue::Scalar(value) => value.to_array(),
            })
            .collect::<Result<_>>()?;
        if is_scalar && LITERAL_BYTES_MAX < self.longest(&arguments, 0) {
            return exec_err!("{}() would make a text of more than {LITERAL_BYTES_MAX} bytes", self.name());
        }
        let (mut parts, mut made): (Vec<ArrayRef>, usize) = (Vec::new(), 0);
        let mut begin = 0;
        while begin < rows {
            let end = self.fitting(&arguments, begin, rows)?;
            let whole = begin == 0 && end == rows;
            let part = ScalarFunctionArgs {
                args: call.args.iter().map(|argument| slice(argument, begin, end - begin)).collect(),
                arg_fields: call.arg_fields.clone(),
                number_rows: if whole { call.number_rows } else { end - begin },
                return_field: Arc::clone(&call.return_field),
                config_options: Arc::clone(&call.config_options),
            };
            let part = match self.inner.invoke_with_args(part)? {
                ColumnarValue::Array(array) => array,
                scalar if whole => return Ok(scalar),
                scalar => scalar.into_array(end - begin)?,
            };
            for row in 0..part.len() {
                let length = text_length(&part, row);
                made += length;
                if ROW_BYTES_MAX < length || GROWN_BYTES_MAX < made {
                    return exec_err!(
                        "{}() makes more than {ROW_BYTES_MAX} bytes of one row or {GROWN_BYTES_MAX} of one batch",
                        self.name()
                    );
                }
            }
            parts.push(part);
            begin = end;
        }
        match parts.as_slice() {
            [] => self.inner.invoke_with_args(call),
            [whole] => Ok(ColumnarValue::Array(Arc::clone(whole))),
            parts => {
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                Ok(ColumnarValue::Array(concat(&parts)?))
            }
        }
    }
}

fn slice(argument: &ColumnarValue, begin: usize, length: usize) -> ColumnarValue {
    match argument {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(begin, length)),
        ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.clone()),
    }
}

/// The bytes of a text; 0 where it is none.
pub fn text_length(array: &ArrayRef, row: usize) -> usize {
    if array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).len(),
        DataType::Utf8View => array.as_string_view().value(row).len(),
        // Numbers and moments as text.
        _ => 64,
    }
}

fn whole_number(array: &ArrayRef, row: usize) -> usize {
    use arrow_array::types::{Int32Type, Int64Type, UInt64Type};
    if array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::Int64 => usize::try_from(array.as_primitive::<Int64Type>().value(row)).unwrap_or(0),
        DataType::Int32 => usize::try_from(array.as_primitive::<Int32Type>().value(row)).unwrap_or(0),
        DataType::UInt64 => usize::try_from(array.as_primitive::<UInt64Type>().value(row)).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}
