//! `abs`, `floor`, `ceil` and `round`, which dashboards write into their queries. In: a number. Out: a whole number stays
//! one, any other is a double; null where it is null. The least whole number has no `abs` and is an error.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// How many digits `round` keeps at most, on either side of the point.
const DIGITS_MAX: i64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    Abs,
    Floor,
    Ceil,
    Round,
}

/// The functions.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    let make = |which| {
        let aliases = if which == Which::Ceil { vec!["ceiling".to_owned()] } else { Vec::new() };
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Math { which, aliases, signature }))
    };
    [Which::Abs, Which::Floor, Which::Ceil, Which::Round].into_iter().map(make).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Math {
    which: Which,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for Math {
    fn name(&self) -> &str {
        match self.which {
            Which::Abs => "abs",
            Which::Floor => "floor",
            Which::Ceil => "ceil",
            Which::Round => "round",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Float64))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let number = |of: &DataType| match of {
            whole if whole.is_integer() && *whole != DataType::UInt64 => Some(DataType::Int64),
            other if other.is_numeric() || other.is_null() => Some(DataType::Float64),
            _ => None,
        };
        match (types, types.first().and_then(number)) {
            ([_], Some(of)) => Ok(vec![of]),
            ([_, digits], Some(_)) if self.which == Which::Round && (digits.is_integer() || digits.is_null()) => {
                Ok(vec![DataType::Float64, DataType::Int64])
            }
            _ => plan_err!("{}() takes a number", self.name()),
        }
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { call.number_rows };
        let numbers = call.args[0].to_array(rows)?;
        let digits = call.args.get(1).map(|digits| digits.to_array(rows)).transpose()?;
        let made: ArrayRef = match numbers.data_type() {
            DataType::Int64 => Arc::new(self.of_whole(numbers.as_primitive::<Int64Type>())?),
            DataType::Float64 => {
                let digits = digits.as_ref().map(|digits| {
                    digits.as_primitive_opt::<Int64Type>().ok_or_else(|| exec_datafusion_err!("digits are whole"))
                });
                Arc::new(self.of_doubles(numbers.as_primitive::<Float64Type>(), digits.transpose()?))
            }
            other => return exec_err!("{}() of {other}", self.name()),
        };
        match is_scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)),
            false => Ok(ColumnarValue::Array(made)),
        }
    }
}

impl Math {
    fn of_whole(&self, numbers: &Int64Array) -> Result<Int64Array> {
        if self.which != Which::Abs {
            return Ok(numbers.clone());
        }
        let absolute =
            |number: i64| number.checked_abs().ok_or_else(|| exec_datafusion_err!("abs({number}) is too large"));
        numbers.iter().map(|number| number.map(absolute).transpose()).collect()
    }

    fn of_doubles(&self, numbers: &Float64Array, digits: Option<&Int64Array>) -> Float64Array {
        let digits_of = |row: usize| match digits {
            None => Some(0),
            Some(digits) => digits.is_valid(row).then(|| digits.value(row)),
        };
        let of = |row: usize, number: f64| match self.which {
            Which::Abs => Some(number.abs()),
            Which::Floor => Some(number.floor()),
            Which::Ceil => Some(number.ceil()),
            Which::Round => {
                let digits = i32::try_from(digits_of(row)?.clamp(-DIGITS_MAX, DIGITS_MAX)).unwrap_or(0);
                let scale = 10f64.powi(digits);
                let scaled = (number * scale).round() / scale;
                // Past what a double can tell apart it is itself.
                Some(if scaled.is_finite() { scaled } else { number })
            }
        };
        numbers.iter().enumerate().map(|(row, number)| of(row, number?)).collect()
    }
}
