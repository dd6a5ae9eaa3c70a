//! Functions that give rows: in `FROM`, and as an item of a `SELECT`.
//!
//! In: arguments. Out: rows, at most [`ROWS_MAX`]. Failure: [`Problem`]: 42883 no such function, 54000 too many.

use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName};

use super::bind::Binder;
use super::bound::{Bound, Scope};
use super::datum::{Datum, Kind};
use super::join::Source;
use super::names::parts;
use super::run::{Env, World};
use super::{Problem, ROWS_MAX, VALUE_BYTES_MAX};

/// A function that gives rows.
#[derive(Debug)]
pub(super) struct Rows {
    pub of: Giver,
    pub arguments: Vec<Bound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Giver {
    Series,
    Unnest,
    Subscripts,
    Keywords,
    /// Gives one row, its value.
    Value,
    /// Gives nothing: what it would tell of is not there.
    Nothing,
}

pub(super) type Given = (Source, String, Vec<(String, Kind)>);

pub(super) fn function(
    binder: &Binder<'_>,
    name: &ObjectName,
    arguments: &[FunctionArg],
    has_number: bool,
    scope: &Scope<'_>,
) -> Result<Given, Problem> {
    let last = parts(name).pop().unwrap_or_default();
    let mut bound = Vec::new();
    for argument in arguments {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => bound.push(binder.expression(expr, scope)?),
            other => return Err(Problem::not_here(format!("the argument {other}"))),
        }
    }
    let kinds: Vec<Kind> = bound.iter().map(|(_, kind)| *kind).collect();
    let arguments: Vec<Bound> = bound.into_iter().map(|(bound, _)| bound).collect();
    let mut columns = Vec::new();
    let rows = match giver(&last, &kinds) {
        Some((of, shown)) => {
            columns.extend(shown.into_iter().map(|(name, kind)| (name.to_owned(), kind)));
            Rows { of, arguments }
        }
        None => {
            let Some(found) = super::function::find(&last, arguments.len()) else {
                return Err(Problem::new("42883", format!("function {last}() does not exist")));
            };
            let kind = match found.gives {
                super::function::Gives::Is(kind) => kind,
                _ => Kind::Text,
            };
            columns.push((last.clone(), kind));
            Rows { of: Giver::Value, arguments: vec![Bound::Call(found, arguments)] }
        }
    };
    if has_number {
        columns.push(("ordinality".to_owned(), Kind::Int8));
    }
    Ok((Source::Rows { rows, has_number }, last, columns))
}

/// A function that gives rows, and its columns.
fn giver(name: &str, kinds: &[Kind]) -> Option<(Giver, Vec<(&'static str, Kind)>)> {
    let first = kinds.first().copied();
    Some(match name {
        "generate_series" => (Giver::Series, vec![("generate_series", first.unwrap_or(Kind::Int4))]),
        "generate_subscripts" => (Giver::Subscripts, vec![("generate_subscripts", Kind::Int4)]),
        "unnest" => (Giver::Unnest, vec![("unnest", first.and_then(Kind::element).unwrap_or(Kind::Text))]),
        "pg_get_keywords" => {
            (Giver::Keywords, vec![("word", Kind::Text), ("catcode", Kind::Char), ("catdesc", Kind::Text)])
        }
        "_pg_expandarray" => (Giver::Nothing, vec![("x", Kind::Int4), ("n", Kind::Int4)]),
        "pg_partition_ancestors" => (Giver::Nothing, vec![("relid", Kind::Oid)]),
        "pg_options_to_table" => (Giver::Nothing, vec![("option_name", Kind::Text), ("option_value", Kind::Text)]),
        "aclexplode" => (
            Giver::Nothing,
            vec![
                ("grantor", Kind::Oid),
                ("grantee", Kind::Oid),
                ("privilege_type", Kind::Text),
                ("is_grantable", Kind::Bool),
            ],
        ),
        "pg_listening_channels" => (Giver::Nothing, vec![("pg_listening_channels", Kind::Text)]),
        _ => return None,
    })
}

/// The rows an item of a `SELECT` gives, where it is a function of such.
pub(super) fn rows_of(binder: &Binder<'_>, expr: &Expr, scope: &Scope<'_>) -> Result<Option<(Rows, Kind)>, Problem> {
    let called = match expr {
        Expr::Function(called) => called,
        Expr::CompoundFieldAccess { root, .. } | Expr::Nested(root) => return rows_of(binder, root, scope),
        _ => return Ok(None),
    };
    let FunctionArguments::List(list) = &called.args else { return Ok(None) };
    let last = parts(&called.name).pop().unwrap_or_default();
    if giver(&last, &[]).is_none() {
        return Ok(None);
    }
    let (source, _, columns) = function(binder, &called.name, &list.args, false, scope)?;
    match source {
        Source::Rows { rows, .. } => Ok(columns.first().map(|(_, kind)| (rows, *kind))),
        _ => Ok(None),
    }
}

impl Rows {
    /// The rows it gives.
    pub fn run(&self, world: &World<'_>, env: Option<&Env<'_>>) -> Result<Vec<Vec<Datum>>, Problem> {
        let arguments: Vec<Datum> =
            self.arguments.iter().map(|one| world.value(one, env)).collect::<Result<_, Problem>>()?;
        let whole = |index: usize| arguments.get(index).map_or(Ok(None), Datum::whole);
        let span = |low: i64, high: i64, step: i64| {
            let count = (i128::from(high) - i128::from(low)) / i128::from(step) + 1;
            if (ROWS_MAX as i128) < count {
                return Err(Problem::new("54000", format!("more than {ROWS_MAX} rows")));
            }
            let is_in = |at: &i64| if 0 < step { *at <= high } else { high <= *at };
            let values = std::iter::successors(Some(low), |at| at.checked_add(step)).take_while(is_in);
            Ok(values.map(|at| vec![Datum::Int(at)]).collect())
        };
        match self.of {
            Giver::Value => Ok(vec![arguments]),
            Giver::Nothing => Ok(Vec::new()),
            Giver::Keywords => Ok(Vec::new()),
            Giver::Series => match (whole(0)?, whole(1)?, if arguments.len() < 3 { Some(1) } else { whole(2)? }) {
                (_, _, Some(0)) => Err(Problem::new("22023", "step size cannot equal zero")),
                (Some(low), Some(high), Some(step)) => span(low, high, step),
                _ => Ok(Vec::new()),
            },
            Giver::Subscripts => match arguments.first() {
                Some(Datum::List(values)) => span(1, i64::try_from(values.len()).unwrap_or(0), 1),
                _ => Ok(Vec::new()),
            },
            Giver::Unnest => match arguments.into_iter().next() {
                Some(Datum::List(values)) => Ok(values.into_iter().map(|value| vec![value]).collect()),
                Some(Datum::Text(text)) => {
                    Ok(super::datum::list_of(&text)?.into_iter().map(|value| vec![value]).collect())
                }
                _ => Ok(Vec::new()),
            },
        }
    }
}

/// A value's length is bounded, whoever makes it.
pub(super) fn bounded(text: String) -> Result<Datum, Problem> {
    if VALUE_BYTES_MAX < text.len() {
        return Err(Problem::new("54000", format!("a value has more than {VALUE_BYTES_MAX} bytes")));
    }
    Ok(Datum::Text(text))
}
