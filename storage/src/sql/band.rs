//! `Band`: how far apart in time the rows of a join are. In: a join, and which columns of its sides are moments. Out: the least
//! and the most that a row of the right side is later than the row of the left side it is joined with, where the join bounds
//! both. Promise: no pair of rows outside of them is joined. It is about conjunctions of comparisons of `moment [± interval]`
//! with another, or of a difference of moments with an interval; all others bound nothing.

use std::sync::Arc;

use datafusion::common::{JoinSide, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::joins::HashJoinExec;

const DAY_NS: i128 = 86_400_000_000_000;

/// See the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// A row of the right side is at least so much later.
    pub least_ns: i64,
    /// And at most so much.
    pub most_ns: i64,
}

/// How much later a column of a side is than the moment that its rows can be read by; `None` where it is something else.
pub type OfSide<'a> = &'a dyn Fn(JoinSide, usize) -> Option<i128>;
/// The same of a column of an expression.
type OfColumn<'a> = &'a dyn Fn(&Column) -> Option<Moment>;

/// The band of a join.
pub fn band(join: &HashJoinExec, of_side: OfSide<'_>) -> Option<Band> {
    let of = |side, column: &Column| Some((side, of_side(side, column.index())?));
    let mut found = Vec::new();
    for (left, right) in join.on() {
        let left = moment(left, &|column| of(JoinSide::Left, column));
        let right = moment(right, &|column| of(JoinSide::Right, column));
        found.extend(left.zip(right).and_then(|(left, right)| of_sides(left, right, Operator::Eq, 0)));
    }
    if let Some(filter) = join.filter() {
        let of_column = |column: &Column| {
            let of = filter.column_indices().get(column.index())?;
            Some((of.side, of_side(of.side, of.index)?))
        };
        let conjuncts = split_conjunction(filter.expression()).into_iter();
        let comparisons = conjuncts.filter_map(|one| one.downcast_ref::<BinaryExpr>());
        found.extend(comparisons.filter_map(|one| later(one, &of_column)));
    }
    let (mut least, mut most) = (None::<i128>, None::<i128>);
    for (op, ns) in found {
        let (low, high) = match op {
            Operator::Lt => (None, Some(ns - 1)),
            Operator::LtEq => (None, Some(ns)),
            Operator::Gt => (Some(ns + 1), None),
            Operator::GtEq => (Some(ns), None),
            Operator::Eq => (Some(ns), Some(ns)),
            _ => continue,
        };
        least = least.max(low);
        most = [most, high].into_iter().flatten().min();
    }
    let band = Band { least_ns: i64::try_from(least?).ok()?, most_ns: i64::try_from(most?).ok()? };
    (band.least_ns <= band.most_ns).then_some(band)
}

/// What the comparison says of how much later the right side is: the operator, and what it is compared with.
fn later(binary: &BinaryExpr, of_column: OfColumn<'_>) -> Option<(Operator, i128)> {
    let op = *binary.op();
    if let (Some(left), Some(right)) = (moment(binary.left(), of_column), moment(binary.right(), of_column)) {
        return of_sides(left, right, op, 0);
    }
    let (difference, op, interval) = match nanos(binary.right()) {
        Some(_) => (binary.left(), op, binary.right()),
        None => (binary.right(), op.swap()?, binary.left()),
    };
    let literal = interval.downcast_ref::<Literal>()?;
    let ns = match literal.value() {
        // The engine compares days before nanoseconds, so a day is more than any difference.
        ScalarValue::IntervalMonthDayNano(Some(of)) if of.days != 0 => return None,
        ScalarValue::IntervalDayTime(_) => return None,
        _ => nanos(interval)?,
    };
    let difference = difference.downcast_ref::<CastExpr>().map_or(difference, CastExpr::expr);
    let difference = difference.downcast_ref::<BinaryExpr>().filter(|one| *one.op() == Operator::Minus)?;
    of_sides(moment(difference.left(), of_column)?, moment(difference.right(), of_column)?, op, ns)
}

/// The moment that rows of a side can be read by, and so much is added to it.
pub type Moment = (JoinSide, i128);

/// `first - second op ns`, said of the right side less the left side.
fn of_sides(first: Moment, second: Moment, op: Operator, ns: i128) -> Option<(Operator, i128)> {
    let ns = ns + second.1 - first.1;
    match (first.0, second.0) {
        (JoinSide::Right, JoinSide::Left) => Some((op, ns)),
        (JoinSide::Left, JoinSide::Right) => Some((op.swap()?, -ns)),
        _ => None,
    }
}

/// What moment an expression is.
pub fn moment(expr: &Arc<dyn PhysicalExpr>, of_column: OfColumn<'_>) -> Option<Moment> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return of_column(column);
    }
    let binary = expr.downcast_ref::<BinaryExpr>()?;
    let (of, added) = match (binary.op(), nanos(binary.left()), nanos(binary.right())) {
        (Operator::Plus, Some(added), None) => (binary.right(), added),
        (Operator::Plus, None, Some(added)) => (binary.left(), added),
        (Operator::Minus, None, Some(taken)) => (binary.left(), -taken),
        _ => return None,
    };
    let (side, before) = moment(of, of_column)?;
    Some((side, before + added))
}

/// A length of time in quotes; moments are of UTC, where every day is as long.
fn nanos(expr: &Arc<dyn PhysicalExpr>) -> Option<i128> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::IntervalMonthDayNano(Some(of)) if of.months == 0 => {
            Some(i128::from(of.days) * DAY_NS + i128::from(of.nanoseconds))
        }
        ScalarValue::IntervalDayTime(Some(of)) => {
            Some(i128::from(of.days) * DAY_NS + i128::from(of.milliseconds) * 1_000_000)
        }
        ScalarValue::DurationNanosecond(Some(of)) => Some(i128::from(*of)),
        _ => None,
    }
}
