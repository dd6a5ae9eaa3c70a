//! What of a WHERE the index can say. In: the conditions that must all hold. Out: a time range and a [`Filter`] that
//! every row they hold for passes. Promise: it is never narrower than the conditions, so it only spares rows;
//! DataFusion asks the conditions themselves of the rows that are left.
//!
//! Why it is never narrower: equal texts have equal folded forms; a text that is LIKE a pattern, folded, is of the
//! pattern whose letters are folded, where only letters count whose folding does not depend on what stands beside them;
//! numbers in 64 bits are in order as doubles, where ends count as inside.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use nhatle_event::{Field, Kind, Text, Timestamp};

use super::functions::Which;
use crate::query::Filter;
use crate::query::filter::Test;
use crate::query::pattern::{Bound, Network, Phrase, Piece, Range, Wildcard};
use crate::query::resolve::FieldName;
use crate::segment::columns::{ATTRS, FIELDS, TIMESTAMP};
use crate::segment::words::{fold, name_key};

/// How many values of an IN are looked up; a longer list is left to DataFusion.
const VALUES_MAX: usize = 500;

/// What the index is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// `@timestamp` is not before this.
    pub from: Timestamp,
    /// `@timestamp` is before this; [`Timestamp::MAX`] is no end.
    pub to: Timestamp,
    /// Every row passes it.
    pub filter: Filter,
}

/// What can be asked for conditions that must all hold.
pub fn push(conditions: &[Expr]) -> Pushed {
    let mut pushed = Pushed { from: Timestamp::MIN, to: Timestamp::MAX, filter: Filter::All };
    let mut filters = Vec::new();
    let mut open: Vec<&Expr> = conditions.iter().collect();
    while let Some(expr) = open.pop() {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) = expr {
            open.extend([&**left, &**right]);
            continue;
        }
        match times(expr) {
            Some((from, to)) => {
                pushed.from = pushed.from.max(from);
                pushed.to = pushed.to.min(to);
            }
            None => filters.extend(condition(expr)),
        }
    }
    filters.reverse();
    pushed.filter = Filter::all(filters);
    pushed
}

/// The condition is nothing but a time range: from the first to before the second.
fn times(expr: &Expr) -> Option<(Timestamp, Timestamp)> {
    let behind = |at: Timestamp| Timestamp(at.0.saturating_add(1));
    match expr {
        Expr::BinaryExpr(binary) => {
            let (column, op, value) = sides(binary)?;
            if column.name != TIMESTAMP {
                return None;
            }
            let at = moment(value)?;
            Some(match op {
                Operator::Eq => (at, behind(at)),
                Operator::Lt => (Timestamp::MIN, at),
                Operator::LtEq => (Timestamp::MIN, behind(at)),
                Operator::Gt => (behind(at), Timestamp::MAX),
                Operator::GtEq => (at, Timestamp::MAX),
                _ => return None,
            })
        }
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let is_time = matches!(&**expr, Expr::Column(column) if column.name == TIMESTAMP);
            let (low, high) = (literal(low)?, literal(high)?);
            is_time.then_some(())?;
            Some((moment(low)?, behind(moment(high)?)))
        }
        _ => None,
    }
}

fn moment(value: &ScalarValue) -> Option<Timestamp> {
    match value {
        ScalarValue::TimestampNanosecond(Some(nanos), _) => Some(Timestamp(*nanos)),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) if !value.is_null() => Some(value),
        _ => None,
    }
}

/// A column, what it is compared by, and the value it is compared with.
fn sides(binary: &BinaryExpr) -> Option<(&Column, Operator, &ScalarValue)> {
    match (&*binary.left, &*binary.right) {
        (Expr::Column(column), value) => Some((column, binary.op, literal(value)?)),
        (value, Expr::Column(column)) => Some((column, binary.op.swap()?, literal(value)?)),
        _ => None,
    }
}

/// What every row passes that the condition holds for; `None` where nothing is known.
fn condition(expr: &Expr) -> Option<Filter> {
    match expr {
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::Or => Some(Filter::any(vec![condition(&binary.left)?, condition(&binary.right)?])),
            Operator::And => {
                let both: Vec<Filter> =
                    [&binary.left, &binary.right].into_iter().filter_map(|one| condition(one)).collect();
                (!both.is_empty()).then(|| Filter::all(both))
            }
            Operator::Eq => equal(&binary.left, &binary.right).or_else(|| equal(&binary.right, &binary.left)),
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                let (column, op, value) = sides(binary)?;
                range(column, op, value)
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) if list.len() <= VALUES_MAX => {
            let each: Option<Vec<Filter>> = list.iter().map(|value| equal(expr, value)).collect();
            each.filter(|each| !each.is_empty()).map(Filter::any)
        }
        Expr::Like(like) if !like.negated => like_pattern(like),
        Expr::ScalarFunction(function) => call(function),
        _ => None,
    }
}

/// The field of a column that the index knows values of.
fn field_of(column: &Column) -> Option<(Field, Kind)> {
    FIELDS.iter().copied().find(|(field, _)| field.name() == column.name)
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.as_deref(),
        _ => None,
    }
}

fn equal(left: &Expr, right: &Expr) -> Option<Filter> {
    let value = literal(right)?;
    if let Expr::ScalarFunction(function) = left {
        let key = Text::from(&*name_key(attr_name(function)?));
        let name = FieldName { written: key.clone(), candidates: vec![key], offset: None };
        let value = text(value)?;
        // Several values are the text of an array.
        let is_array = value.starts_with('[');
        return (!is_array).then(|| Filter::Field(name, Test::Is(Phrase::new(value))));
    }
    let Expr::Column(column) = left else { return None };
    let (field, kind) = field_of(column)?;
    let written = match kind {
        Kind::Keyword | Kind::Text | Kind::Ip => text(value)?.to_owned(),
        Kind::Long => whole(value)?.to_string(),
        Kind::Boolean => match value {
            ScalarValue::Boolean(Some(flag)) => flag.to_string(),
            _ => return None,
        },
        Kind::Double | Kind::Date => return None,
    };
    Some(Filter::Field(FieldName::of(field), Test::Is(Phrase::new(&written))))
}

/// The name in `attr(attrs, 'name')`.
pub fn attr_name(function: &ScalarFunction) -> Option<&str> {
    let is_attr = Which::of(function.name()) == Some(Which::Attr);
    match function.args.as_slice() {
        [Expr::Column(column), name] if is_attr && column.name == ATTRS => text(literal(name)?),
        _ => None,
    }
}

fn whole(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Int64(Some(number)) => Some(*number),
        ScalarValue::Int32(Some(number)) => Some(i64::from(*number)),
        _ => None,
    }
}

fn range(column: &Column, op: Operator, value: &ScalarValue) -> Option<Filter> {
    let (field, Kind::Long) = field_of(column)? else { return None };
    let bound = Some(Bound { written: Text::from(whole(value)?.to_string()), is_inside: true });
    let range = match op {
        Operator::Lt | Operator::LtEq => Range { low: None, high: bound },
        _ => Range { low: bound, high: None },
    };
    Some(Filter::Field(FieldName::of(field), Test::Range(range)))
}

fn like_pattern(like: &Like) -> Option<Filter> {
    let Expr::Column(column) = &*like.expr else { return None };
    let (field, Kind::Keyword | Kind::Text | Kind::Ip) = field_of(column)? else { return None };
    if like.escape_char.is_some_and(|escape| escape != '\\') {
        return None;
    }
    let mut pieces = Vec::new();
    let mut run = String::new();
    let mut letters = text(literal(&like.pattern)?)?.chars();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '%' | '_' => None,
            '\\' => letters.next(),
            other => Some(other),
        };
        match plain.filter(|letter| is_plain(*letter, like.case_insensitive)) {
            Some(letter) => run.push(letter),
            None => {
                if !run.is_empty() {
                    pieces.push(Piece::Literal(Text::from(std::mem::take(&mut run))));
                }
                if pieces.last() != Some(&Piece::Any) {
                    pieces.push(Piece::Any);
                }
            }
        }
    }
    if !run.is_empty() {
        pieces.push(Piece::Literal(Text::from(run)));
    }
    if pieces.iter().all(|piece| *piece == Piece::Any) {
        return None;
    }
    Some(Filter::Field(FieldName::of(field), Test::Wildcard(Wildcard::new(pieces).ok()?)))
}

/// The letter folds to the same whatever stands beside it, and so does every letter that is equal to it without case.
fn is_plain(letter: char, is_without_case: bool) -> bool {
    if letter.is_ascii() {
        // ſ is s without case, and not folded so.
        let has_twin = is_without_case && matches!(letter, 's' | 'S');
        return !(has_twin || letter.is_ascii_control());
    }
    let is_latin = ('\u{c0}'..='\u{24f}').contains(&letter) || ('\u{1e00}'..='\u{1eff}').contains(&letter);
    is_latin && !is_without_case && {
        let folded = fold(letter.encode_utf8(&mut [0; 4])).into_owned();
        folded.len() == 1 && folded.is_ascii()
    }
}

fn call(function: &ScalarFunction) -> Option<Filter> {
    match (Which::of(function.name())?, function.args.as_slice()) {
        (Which::Match, [Expr::Column(column), phrase]) => {
            let (_, Kind::Keyword | Kind::Text | Kind::Ip) = field_of(column)? else { return None };
            Some(Filter::Phrase(Phrase::new(text(literal(phrase)?)?)))
        }
        (Which::CidrContains, [network, Expr::Column(column)]) => {
            let (field, Kind::Ip | Kind::Keyword) = field_of(column)? else { return None };
            let network = Network::parse(text(literal(network)?)?)?;
            Some(Filter::Field(FieldName::of(field), Test::Network(network)))
        }
        _ => None,
    }
}
