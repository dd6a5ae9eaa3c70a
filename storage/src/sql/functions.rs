//! Our functions: `match`, `cidr_contains`, `time_bucket`, `fold`, `attr`, `||` within a bound, and constants that others
//! give. Each says the same of a value as search does of it. In: columns or values. Out: one value for each row; null
//! where an argument is null.

use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, StringViewBuilder, TimestampNanosecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, StringViewArray};
use arrow_schema::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, expr::ScalarFunction,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::cell::Constant;
use super::guard::{GROWN_BYTES_MAX, NO_PATTERNS, ROW_BYTES_MAX};
use super::tables;
use crate::query::pattern::{Network, Phrase};
use crate::segment::attrs;
use crate::segment::words;

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// `match(text, phrase)`: the words of the phrase stand in the text next to each other, as search finds them.
    Match,
    /// `cidr_contains(network, address)`.
    CidrContains,
    /// `time_bucket(width, moment [, offset])`: the beginning of the bucket the moment is in.
    TimeBucket,
    /// `fold(text)`: as search compares it, without case and marks.
    Fold,
    /// `attr(attrs, name)`: the value of a field that has no column, as text.
    Attr,
    /// `a || b`.
    Joined,
}

impl Which {
    const ALL: [Which; 6] =
        [Which::Match, Which::CidrContains, Which::TimeBucket, Which::Fold, Which::Attr, Which::Joined];

    fn name(self) -> &'static str {
        match self {
            Which::Match => "match",
            Which::CidrContains => "cidr_contains",
            Which::TimeBucket => "time_bucket",
            Which::Fold => "fold",
            Which::Attr => "attr",
            Which::Joined => "text_joined",
        }
    }

    /// The function of this name.
    pub fn of(name: &str) -> Option<Which> {
        Which::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// All functions of ours.
pub fn ours() -> Vec<Arc<ScalarUDF>> {
    Which::ALL.into_iter().map(|which| Arc::new(udf(which))).collect()
}

fn udf(which: Which) -> ScalarUDF {
    ScalarUDF::new_from_impl(Function { which, signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    which: Which,
    signature: Signature,
}

fn stamp(zone: Option<Arc<str>>) -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, zone)
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.which.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match self.which {
            Which::Match | Which::CidrContains => DataType::Boolean,
            Which::Fold | Which::Attr | Which::Joined => DataType::Utf8View,
            Which::TimeBucket => match types.get(1) {
                Some(DataType::Timestamp(_, zone)) => stamp(zone.clone()),
                _ => stamp(Some("UTC".into())),
            },
        })
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let text = || DataType::Utf8View;
        let wanted = match (self.which, types.len()) {
            (Which::Fold, 1) => vec![text()],
            (Which::Match | Which::CidrContains | Which::Attr | Which::Joined, 2) => vec![text(), text()],
            (Which::TimeBucket, 2 | 3) => {
                let zone = match &types[1] {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => Some("UTC".into()),
                };
                let mut wanted = vec![text(), stamp(zone)];
                wanted.resize(types.len(), text());
                wanted
            }
            _ => {
                let usage = match self.which {
                    Which::Match => "match(text, 'words')",
                    Which::CidrContains => "cidr_contains('network/bits', address)",
                    Which::TimeBucket => "time_bucket('5m', moment) or time_bucket('1d', moment, '+07:00')",
                    Which::Fold => "fold(text)",
                    Which::Attr => "attr('field') or attr(t.attrs, 'field')",
                    Which::Joined => "a || b",
                };
                return plan_err!("use it as {usage}");
            }
        };
        Ok(wanted)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { call.number_rows };
        let made = self.make(&call.args, rows, call.return_field.data_type())?;
        match is_scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)),
            false => Ok(ColumnarValue::Array(made)),
        }
    }
}

/// A text argument: one for all rows, or one for each.
enum Texts {
    One(Option<String>),
    Each(StringViewArray),
}

impl Texts {
    fn of(argument: &ColumnarValue) -> Result<Texts> {
        match argument {
            ColumnarValue::Scalar(
                ScalarValue::Utf8View(text) | ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text),
            ) => Ok(Texts::One(text.clone())),
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Texts::One(None)),
            ColumnarValue::Array(array) => match array.as_string_view_opt() {
                Some(texts) => Ok(Texts::Each(texts.clone())),
                None => exec_err!("text was expected, not {}", array.data_type()),
            },
            other => exec_err!("text was expected, not {}", other.data_type()),
        }
    }

    fn at(&self, row: usize) -> Option<&str> {
        match self {
            Texts::One(text) => text.as_deref(),
            Texts::Each(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }
}

/// What is worked out of an argument, again only when the argument changes.
struct Kept<T>(Option<(String, T)>);

impl<T> Kept<T> {
    fn of(&mut self, text: &str, make: impl FnOnce(&str) -> T) -> &T {
        if self.0.as_ref().is_none_or(|(of, _)| of != text) {
            self.0 = Some((text.to_owned(), make(text)));
        }
        &self.0.as_ref().expect("it was put there above").1
    }
}

impl Function {
    fn make(&self, arguments: &[ColumnarValue], rows: usize, returns: &DataType) -> Result<ArrayRef> {
        match self.which {
            Which::TimeBucket => time_bucket(arguments, rows, returns),
            Which::Fold => {
                let texts = Texts::of(&arguments[0])?;
                let mut out = StringViewBuilder::with_capacity(rows);
                (0..rows).for_each(|row| out.append_option(texts.at(row).map(words::fold)));
                Ok(Arc::new(out.finish()))
            }
            Which::Match => {
                let mut phrase = Kept(None);
                booleans(arguments, rows, |text, written| Some(phrase.of(written, Phrase::new).is_in(text)))
            }
            Which::CidrContains => {
                let mut network = Kept(None);
                booleans(arguments, rows, |written, address| {
                    let network = *network.of(written, Network::parse);
                    address.trim().parse::<IpAddr>().ok()?;
                    Some(network?.holds(address))
                })
            }
            Which::Attr => texts(self.which, arguments, rows, attrs::text_of),
            Which::Joined => texts(self.which, arguments, rows, |left, right| Some([left, right].concat())),
        }
    }
}

fn booleans(
    arguments: &[ColumnarValue],
    rows: usize,
    mut of: impl FnMut(&str, &str) -> Option<bool>,
) -> Result<ArrayRef> {
    let (left, right) = (Texts::of(&arguments[0])?, Texts::of(&arguments[1])?);
    let mut out = BooleanBuilder::with_capacity(rows);
    for row in 0..rows {
        out.append_option(left.at(row).zip(right.at(row)).and_then(|(left, right)| of(left, right)));
    }
    Ok(Arc::new(out.finish()))
}

fn texts(
    which: Which,
    arguments: &[ColumnarValue],
    rows: usize,
    of: impl Fn(&str, &str) -> Option<String>,
) -> Result<ArrayRef> {
    let (left, right) = (Texts::of(&arguments[0])?, Texts::of(&arguments[1])?);
    let mut out = StringViewBuilder::with_capacity(rows);
    let mut made = 0;
    for row in 0..rows {
        let Some((left, right)) = left.at(row).zip(right.at(row)) else {
            out.append_null();
            continue;
        };
        made += left.len() + right.len();
        if GROWN_BYTES_MAX < made || ROW_BYTES_MAX < left.len() + right.len() && which == Which::Joined {
            return exec_err!("more than {ROW_BYTES_MAX} bytes of text of one row or {GROWN_BYTES_MAX} of one batch");
        }
        out.append_option(of(left, right));
    }
    Ok(Arc::new(out.finish()))
}

/// Nanoseconds of a width (`30s`, `5m`, `1h`, `1d`, `1w`).
pub fn width_ns(text: &str) -> Option<i64> {
    let text = text.trim();
    let (count, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let seconds = match unit.trim() {
        "s" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 7 * 86_400,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(seconds)?.checked_mul(1_000_000_000).filter(|width| 0 < *width)
}

/// Nanoseconds of an offset from UTC (`+07:00`).
fn offset_ns(text: &str) -> Option<i64> {
    let (sign, rest) = match text.trim().split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60) * 1_000_000_000)
}

/// Monday, 1970-01-05: weeks begin on Mondays.
const MONDAY_NS: i64 = 4 * 86_400 * 1_000_000_000;

fn time_bucket(arguments: &[ColumnarValue], rows: usize, returns: &DataType) -> Result<ArrayRef> {
    let widths = Texts::of(&arguments[0])?;
    let moments = arguments[1].to_array(rows)?;
    let Some(moments) = moments.as_primitive_opt::<TimestampNanosecondType>() else {
        return exec_err!("time_bucket: a moment was expected, not {}", moments.data_type());
    };
    let offsets = arguments.get(2).map(Texts::of).transpose()?;
    let mut out = TimestampNanosecondBuilder::with_capacity(rows).with_data_type(returns.clone());
    let (mut width, mut offset) = (Kept(None), Kept(None));
    for row in 0..rows {
        let written = widths.at(row);
        let shift = match &offsets {
            None => Some("+0"),
            Some(offsets) => offsets.at(row),
        };
        let (Some(written), Some(shift), true) = (written, shift, moments.is_valid(row)) else {
            out.append_null();
            continue;
        };
        let Some(width) = *width.of(written, width_ns) else {
            return exec_err!("time_bucket: {written} is no width; write 30s, 5m, 1h, 1d or 1w");
        };
        let Some(offset) = *offset.of(shift, offset_ns) else {
            return exec_err!("time_bucket: {shift} is no offset from UTC; write +07:00");
        };
        let offset = if width % (7 * 86_400 * 1_000_000_000) == 0 { offset - MONDAY_NS } else { offset };
        let local = moments.value(row).saturating_add(offset);
        out.append_value(local.saturating_sub(local.rem_euclid(width)).saturating_sub(offset));
    }
    Ok(Arc::new(out.finish()))
}

/// Plans `a || b` and `attrs ->> 'name'` as functions of ours.
#[derive(Debug)]
pub struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let which = match expr.op {
            BinaryOperator::StringConcat => Which::Joined,
            BinaryOperator::LongArrow => Which::Attr,
            BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
                if !matches!(expr.right, Expr::Literal(..) | Expr::Placeholder(_)) =>
            {
                return plan_err!("{NO_PATTERNS}");
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let function = ScalarFunction::new_udf(Arc::new(udf(which)), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(function)))
    }
}

/// The functions of constants.
pub fn constants(given: &[Constant]) -> Vec<Arc<ScalarUDF>> {
    given
        .iter()
        .map(|one| {
            Arc::new(ScalarUDF::new_from_impl(Given {
                name: one.name.clone(),
                value: tables::scalar(&one.value),
                signature: Signature::user_defined(Volatility::Stable),
            }))
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Given {
    name: String,
    value: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for Given {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn invoke_with_args(&self, _call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}
