//! Running a plan: expressions over rows, groups, order.
//!
//! In: a [`Plan`], the [`World`]. Out: rows. Promise: three-valued logic as in PostgreSQL; every step is counted. Failure:
//! [`Problem`]: 21000 a subquery with more than one row, 22P02 text that is no such value, 57014 stopped.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use regex::{Regex, RegexBuilder};

use super::bound::{Arithmetic, Bound, Cast, Compare, Match, Test};
use super::datum::{self, Datum, Kind, compare};
use super::join::key;
use super::plan::{Body, Joined, Plan};
use super::rows::bounded;
use super::tables::Catalog;
use super::{Problem, ROWS_MAX, Session, Spent, types};

/// What a regular expression may take once it is compiled.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// What a run sees.
pub(super) struct World<'a> {
    pub catalog: &'a Catalog,
    pub session: &'a Session,
    pub parameters: &'a [Datum],
    pub spent: &'a Spent<'a>,
}

/// The row an expression is over, and those around it.
pub(super) struct Env<'a> {
    pub row: &'a [Datum],
    pub aggregates: &'a [Datum],
    pub windows: &'a [Datum],
    pub outer: Option<&'a Env<'a>>,
}

impl<'a> Env<'a> {
    /// A row.
    pub fn of(row: &'a [Datum], outer: Option<&'a Env<'a>>) -> Env<'a> {
        Env { row, aggregates: &[], windows: &[], outer }
    }
}

pub(super) type Rows = Vec<Vec<Datum>>;

impl<'w> World<'w> {
    /// A table that depends on who asks.
    pub fn relation(&self, schema: &str, name: &str) -> Option<Rows> {
        if (schema, name) != ("pg_catalog", "pg_settings") {
            return None;
        }
        let columns = self.catalog.relation(Some(schema), name)?.columns.len();
        let row = |(name, setting): (&String, &String)| {
            let mut row = vec![Datum::Null; columns];
            row[0] = Datum::text(name.as_str());
            row[1] = Datum::text(setting.as_str());
            row
        };
        Some(self.session.settings.iter().map(row).collect())
    }

    /// The value of an expression.
    pub fn value(&self, bound: &Bound, env: Option<&Env<'_>>) -> Result<Datum, Problem> {
        self.spent.step()?;
        let truth = |value: Option<bool>| Ok(value.map_or(Datum::Null, Datum::Bool));
        let lost = || Problem::new("XX000", "a column stands outside of its row");
        match bound {
            Bound::Const(value) => Ok(value.clone()),
            Bound::Column { up, index } => {
                let mut at = env;
                for _ in 0..*up {
                    at = at.and_then(|env| env.outer);
                }
                at.and_then(|env| env.row.get(*index)).cloned().ok_or_else(lost)
            }
            Bound::Parameter(index, kind) => {
                let given = self.parameters.get(*index).cloned().unwrap_or(Datum::Null);
                self.cast(given, Kind::Text, Cast::To(*kind))
            }
            Bound::Not(inner) => truth(self.value(inner, env)?.truth()?.map(|value| !value)),
            Bound::Negative(inner) => match self.value(inner, env)? {
                Datum::Null => Ok(Datum::Null),
                Datum::Float(value) => Ok(Datum::Float(-value)),
                other => Ok(other.whole()?.and_then(i64::checked_neg).map_or(Datum::Null, Datum::Int)),
            },
            Bound::And(parts) => truth(self.chain(parts, false, env)?),
            Bound::Or(parts) => truth(self.chain(parts, true, env)?),
            Bound::Compare(left, how, right) => {
                truth(compared(&self.value(left, env)?, *how, &self.value(right, env)?)?)
            }
            Bound::Arithmetic(left, what, right) => reckon(&self.value(left, env)?, *what, &self.value(right, env)?),
            Bound::Concat(left, right) => concat(self.value(left, env)?, self.value(right, env)?),
            Bound::Matches { value, pattern, how, is_negated } => {
                let (value, pattern) = (self.value(value, env)?.written(), self.value(pattern, env)?.written());
                let (Some(value), Some(pattern)) = (value, pattern) else { return Ok(Datum::Null) };
                Ok(Datum::Bool(self.fits(&value, &pattern, *how)? != *is_negated))
            }
            Bound::Is { value, test, is_negated } => {
                let value = self.value(value, env)?;
                let is = match test {
                    Test::Null => value.is_null(),
                    Test::True => value.truth()? == Some(true),
                    Test::False => value.truth()? == Some(false),
                };
                Ok(Datum::Bool(is != *is_negated))
            }
            Bound::Distinct { left, right, is_negated } => {
                let (left, right) = (self.value(left, env)?, self.value(right, env)?);
                let is_same = match (left.is_null(), right.is_null()) {
                    (true, true) => true,
                    (false, false) => compare(&left, &right)? == Some(Ordering::Equal),
                    _ => false,
                };
                Ok(Datum::Bool(is_same == *is_negated))
            }
            Bound::In { value, list, is_negated } => {
                let value = self.value(value, env)?;
                let list = list.iter().map(|one| self.value(one, env)).collect::<Result<Vec<_>, _>>()?;
                truth(any(&value, Compare::Equal, &list, false)?.map(|is| is != *is_negated))
            }
            Bound::Any { left, compare, right, is_all } => {
                let left = self.value(left, env)?;
                let list = match self.value(right, env)? {
                    Datum::Null => return Ok(Datum::Null),
                    Datum::List(list) => list,
                    Datum::Text(text) => datum::list_of(&text)?,
                    _ => return Err(Problem::new("42809", "op ANY/ALL (array) requires array on right side")),
                };
                truth(any(&left, *compare, &list, *is_all)?)
            }
            Bound::AnyRow { left, compare, plan, is_all } => {
                let left = self.value(left, env)?;
                let list: Vec<Datum> = plan.run(self, env)?.into_iter().flatten().collect();
                truth(any(&left, *compare, &list, *is_all)?)
            }
            Bound::Exists(plan) => Ok(Datum::Bool(!plan.run(self, env)?.is_empty())),
            Bound::Scalar(plan) => {
                let mut rows = plan.run(self, env)?;
                match (rows.pop(), rows.is_empty()) {
                    (None, _) => Ok(Datum::Null),
                    (Some(row), true) => Ok(row.into_iter().next().unwrap_or(Datum::Null)),
                    (Some(_), false) => {
                        Err(Problem::new("21000", "more than one row returned by a subquery used as an expression"))
                    }
                }
            }
            Bound::ListOf(plan) => Ok(Datum::List(plan.run(self, env)?.into_iter().flatten().collect())),
            Bound::Case { operand, arms, otherwise } => self.case(operand.as_deref(), arms, otherwise.as_deref(), env),
            Bound::Cast { value, from, to } => {
                let value = self.value(value, env)?;
                self.cast(value, *from, *to)
            }
            Bound::Call(function, arguments) => {
                let arguments = arguments.iter().map(|one| self.value(one, env)).collect::<Result<Vec<_>, _>>()?;
                if function.is_strict && arguments.iter().any(Datum::is_null) {
                    return Ok(Datum::Null);
                }
                (function.call)(self, &arguments)
            }
            Bound::List(values) => {
                Ok(Datum::List(values.iter().map(|one| self.value(one, env)).collect::<Result<_, Problem>>()?))
            }
            Bound::Index(list, index) => match (self.value(list, env)?, self.value(index, env)?.whole()?) {
                (Datum::List(values), Some(index)) => {
                    let place = usize::try_from(index - 1).ok();
                    Ok(place.and_then(|place| values.get(place)).cloned().unwrap_or(Datum::Null))
                }
                _ => Ok(Datum::Null),
            },
            Bound::Aggregate(number) => env.and_then(|env| env.aggregates.get(*number)).cloned().ok_or_else(lost),
            Bound::Window(number) => env.and_then(|env| env.windows.get(*number)).cloned().ok_or_else(lost),
        }
    }

    /// `AND` (`ends` false) and `OR` (`ends` true): the first part of that truth settles it.
    fn chain(&self, parts: &[Bound], ends: bool, env: Option<&Env<'_>>) -> Result<Option<bool>, Problem> {
        let mut is_unknown = false;
        for part in parts {
            match self.value(part, env)?.truth()? {
                Some(value) if value == ends => return Ok(Some(ends)),
                Some(_) => {}
                None => is_unknown = true,
            }
        }
        Ok((!is_unknown).then_some(!ends))
    }

    fn case(
        &self,
        operand: Option<&Bound>,
        arms: &[(Bound, Bound)],
        otherwise: Option<&Bound>,
        env: Option<&Env<'_>>,
    ) -> Result<Datum, Problem> {
        let operand = operand.map(|operand| self.value(operand, env)).transpose()?;
        for (condition, result) in arms {
            let condition = self.value(condition, env)?;
            let is_met = match &operand {
                Some(operand) => compared(operand, Compare::Equal, &condition)?,
                None => condition.truth()?,
            };
            if is_met == Some(true) {
                return self.value(result, env);
            }
        }
        otherwise.map_or(Ok(Datum::Null), |otherwise| self.value(otherwise, env))
    }

    fn fits(&self, value: &str, pattern: &str, how: Match) -> Result<bool, Problem> {
        let (pattern, folds) = match how {
            Match::Like { folds, escape } => (like(pattern, escape)?, folds),
            Match::Regex { folds } => (pattern.to_owned(), folds),
        };
        Ok(regex(&pattern, folds)?.is_match(value))
    }

    /// A value as another kind.
    pub fn cast(&self, value: Datum, from: Kind, to: Cast) -> Result<Datum, Problem> {
        if value.is_null() {
            return Ok(Datum::Null);
        }
        let kind = match to {
            Cast::To(kind) => kind,
            Cast::Schema => {
                return Ok(match value {
                    Datum::Int(oid) => Datum::text(Catalog::schema_name(oid).unwrap_or("-")),
                    other => {
                        let name = other.written().unwrap_or_default();
                        let oid = Catalog::schema_oid(name.trim_matches('"'));
                        Datum::Int(
                            oid.ok_or_else(|| Problem::new("3F000", format!("schema \"{name}\" does not exist")))?,
                        )
                    }
                });
            }
            Cast::Role => {
                return Ok(match value {
                    Datum::Int(_) => Datum::text("nhatle"),
                    _ => Datum::Int(10),
                });
            }
        };
        if let Some(element) = kind.element() {
            let values = match value {
                Datum::List(values) => values,
                other => datum::list_of(&other.written().unwrap_or_default())?,
            };
            let values = values.into_iter().map(|value| self.cast(value, Kind::Text, Cast::To(element)));
            return Ok(Datum::List(values.collect::<Result<_, Problem>>()?));
        }
        match kind {
            Kind::Bool => Ok(value.truth()?.map_or(Datum::Null, Datum::Bool)),
            Kind::Float4 | Kind::Float8 => Ok(Datum::Float(datum::float(&value)?)),
            Kind::Regclass => match &value {
                Datum::Text(text) if text.parse::<i64>().is_err() => {
                    let oid = self.catalog.class_oid(text);
                    let unknown = || Problem::new("42P01", format!("relation \"{text}\" does not exist"));
                    Ok(Datum::Int(oid.ok_or_else(unknown)?))
                }
                other => Ok(other.whole()?.map_or(Datum::Null, Datum::Int)),
            },
            Kind::Regtype => match &value {
                Datum::Text(text) if text.parse::<i64>().is_err() => {
                    let unknown = || Problem::new("42704", format!("type \"{text}\" does not exist"));
                    let named = text.trim_matches('"');
                    let listed = named.strip_suffix("[]").map(|element| format!("_{element}"));
                    let of = types::by_name(named).or_else(|| types::by_name(listed.as_deref()?));
                    Ok(Datum::Int(of.map(|of| of.oid).ok_or_else(unknown)?))
                }
                other => Ok(other.whole()?.map_or(Datum::Null, Datum::Int)),
            },
            Kind::Regproc => match &value {
                Datum::Text(text) => Ok(Datum::Int(if text.contains("array_in") { 750 } else { 0 })),
                other => Ok(other.whole()?.map_or(Datum::Null, Datum::Int)),
            },
            kind if kind.is_whole() => Ok(value.whole()?.map_or(Datum::Null, Datum::Int)),
            _ => Ok(match (from, value) {
                (Kind::Regclass | Kind::Regtype | Kind::Regproc, value) => self.catalog.said(from, value),
                (_, Datum::Bool(value)) => Datum::text(if value { "true" } else { "false" }),
                (_, value) => value.written().map_or(Datum::Null, Datum::Text),
            }),
        }
    }
}

impl Catalog {
    /// What an OID of `regclass`, `regtype` or `regproc` is written as.
    fn said(&self, kind: Kind, value: Datum) -> Datum {
        let Datum::Int(oid) = value else { return value };
        Datum::Text(match kind {
            Kind::Regclass => {
                self.class_name(oid).unwrap_or_else(|| if oid == 0 { "-".to_owned() } else { oid.to_string() })
            }
            Kind::Regtype => types::said(oid),
            _ => match oid {
                750 => "array_in".to_owned(),
                _ => "-".to_owned(),
            },
        })
    }
}

/// Rows as they are shown: OIDs of tables and types by their names.
pub(super) fn named(catalog: &Catalog, columns: &[(String, Kind)], rows: Rows) -> Rows {
    let mut rows = rows;
    for (index, (_, kind)) in columns.iter().enumerate() {
        if matches!(kind, Kind::Regclass | Kind::Regtype | Kind::Regproc) {
            for row in &mut rows {
                row[index] = catalog.said(*kind, std::mem::replace(&mut row[index], Datum::Null));
            }
        }
    }
    rows
}

fn compared(left: &Datum, how: Compare, right: &Datum) -> Result<Option<bool>, Problem> {
    Ok(compare(left, right)?.map(|order| match how {
        Compare::Equal => order == Ordering::Equal,
        Compare::Unequal => order != Ordering::Equal,
        Compare::Less => order == Ordering::Less,
        Compare::LessOrEqual => order != Ordering::Greater,
        Compare::Greater => order == Ordering::Greater,
        Compare::GreaterOrEqual => order != Ordering::Less,
    }))
}

fn any(value: &Datum, how: Compare, list: &[Datum], is_all: bool) -> Result<Option<bool>, Problem> {
    let mut is_unknown = false;
    for one in list {
        match compared(value, how, one)? {
            Some(is) if is != is_all => return Ok(Some(!is_all)),
            Some(_) => {}
            None => is_unknown = true,
        }
    }
    Ok((!is_unknown).then_some(is_all))
}

fn reckon(left: &Datum, what: Arithmetic, right: &Datum) -> Result<Datum, Problem> {
    if left.is_null() || right.is_null() {
        return Ok(Datum::Null);
    }
    let too_large = || Problem::new("22003", "bigint out of range");
    let is_float = [left, right].iter().any(|one| match one {
        Datum::Float(_) => true,
        Datum::Text(text) => text.trim().parse::<i64>().is_err(),
        _ => false,
    });
    if is_float {
        let (left, right) = (datum::float(left)?, datum::float(right)?);
        let value = match what {
            Arithmetic::Plus => left + right,
            Arithmetic::Minus => left - right,
            Arithmetic::Times => left * right,
            Arithmetic::Over | Arithmetic::Modulo if right == 0.0 => {
                return Err(Problem::new("22012", "division by zero"));
            }
            Arithmetic::Over => left / right,
            Arithmetic::Modulo => left % right,
            Arithmetic::And | Arithmetic::Or => return Err(Problem::new("42883", "operator does not exist")),
        };
        return Ok(Datum::Float(value));
    }
    let (Some(left), Some(right)) = (left.whole()?, right.whole()?) else { return Ok(Datum::Null) };
    let value = match what {
        Arithmetic::Plus => left.checked_add(right),
        Arithmetic::Minus => left.checked_sub(right),
        Arithmetic::Times => left.checked_mul(right),
        Arithmetic::Over | Arithmetic::Modulo if right == 0 => return Err(Problem::new("22012", "division by zero")),
        Arithmetic::Over => left.checked_div(right),
        Arithmetic::Modulo => left.checked_rem(right),
        Arithmetic::And => Some(left & right),
        Arithmetic::Or => Some(left | right),
    };
    Ok(Datum::Int(value.ok_or_else(too_large)?))
}

fn concat(left: Datum, right: Datum) -> Result<Datum, Problem> {
    match (left, right) {
        (Datum::List(mut left), Datum::List(right)) => {
            left.extend(right);
            if ROWS_MAX < left.len() {
                return Err(Problem::new("54000", "a list is too long"));
            }
            Ok(Datum::List(left))
        }
        (Datum::List(list), Datum::Null) | (Datum::Null, Datum::List(list)) => Ok(Datum::List(list)),
        (Datum::List(mut list), one) => {
            list.push(one);
            Ok(Datum::List(list))
        }
        (one, Datum::List(mut list)) => {
            list.insert(0, one);
            Ok(Datum::List(list))
        }
        (left, right) => match (left.written(), right.written()) {
            (Some(left), Some(right)) => bounded(left + &right),
            _ => Ok(Datum::Null),
        },
    }
}

/// A compiled pattern; PostgreSQL's own class shorthands are those of the library as far as clients use them.
pub(super) fn regex(pattern: &str, folds: bool) -> Result<Regex, Problem> {
    let built = RegexBuilder::new(pattern).case_insensitive(folds).size_limit(REGEX_BYTES_MAX).nest_limit(64).build();
    built.map_err(|error| {
        Problem::new("2201B", format!("invalid regular expression: {}", first_line(&error.to_string())))
    })
}

fn first_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().chars().take(120).collect()
}

fn like(pattern: &str, escape: Option<char>) -> Result<String, Problem> {
    let mut out = String::from("(?s)^");
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape => {
                let next = letters
                    .next()
                    .ok_or_else(|| Problem::new("22025", "LIKE pattern must not end with escape character"))?;
                out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            letter => out.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    Ok(out)
}

impl Plan {
    /// The rows.
    pub fn run(&self, world: &World<'_>, outer: Option<&Env<'_>>) -> Result<Rows, Problem> {
        world.spent.step()?;
        let nothing = Env::of(&[], outer);
        let mut rows = match &self.body {
            Body::Select(selected) => selected.run(world, outer)?,
            Body::Nested(plan) => plan.run(world, Some(&nothing))?,
            Body::Set { left, op, is_all, right } => {
                joined(left.run(world, outer)?, *op, *is_all, right.run(world, outer)?)?
            }
            Body::Values(rows) => {
                let row = |row: &Vec<Bound>| row.iter().map(|one| world.value(one, Some(&nothing))).collect();
                rows.iter().map(row).collect::<Result<_, Problem>>()?
            }
        };
        if !self.order.is_empty() {
            rows.sort_by(|left, right| {
                let parts = self.order.iter().map(|by| {
                    let (left, right) = (&left[by.column], &right[by.column]);
                    match (left.is_null(), right.is_null()) {
                        (true, true) => Ordering::Equal,
                        (true, false) => {
                            if by.nulls_first {
                                Ordering::Less
                            } else {
                                Ordering::Greater
                            }
                        }
                        (false, true) => {
                            if by.nulls_first {
                                Ordering::Greater
                            } else {
                                Ordering::Less
                            }
                        }
                        _ if by.is_descending => datum::order(right, left),
                        _ => datum::order(left, right),
                    }
                });
                parts.fold(Ordering::Equal, Ordering::then)
            });
        }
        let count = |bound: &Option<Bound>| match bound {
            Some(bound) => Ok(world.value(bound, Some(&nothing))?.whole()?),
            None => Ok(None),
        };
        let (limit, offset): (Option<i64>, Option<i64>) = (count(&self.limit)?, count(&self.offset)?);
        let skip = usize::try_from(offset.unwrap_or(0).max(0)).unwrap_or(usize::MAX);
        let take = limit.map_or(usize::MAX, |limit| usize::try_from(limit.max(0)).unwrap_or(usize::MAX));
        let width = self.columns.len();
        let shown = rows.into_iter().skip(skip).take(take).map(|mut row| {
            row.truncate(width);
            row
        });
        Ok(shown.collect())
    }
}

fn joined(left: Rows, op: Joined, is_all: bool, right: Rows) -> Result<Rows, Problem> {
    let mut counts: HashMap<Vec<Option<String>>, usize> = HashMap::new();
    match op {
        Joined::Union => {
            if ROWS_MAX < left.len() + right.len() {
                return Err(Problem::new("54000", format!("an intermediate result has more than {ROWS_MAX} rows")));
            }
            let mut rows = left;
            rows.extend(right);
            if !is_all {
                let mut seen = HashSet::new();
                rows.retain(|row| seen.insert(keys(row)));
            }
            Ok(rows)
        }
        Joined::Except | Joined::Intersect => {
            for row in &right {
                *counts.entry(keys(row)).or_default() += 1;
            }
            let mut rows = left;
            if !is_all {
                let mut seen = HashSet::new();
                rows.retain(|row| seen.insert(keys(row)));
            }
            rows.retain(|row| {
                let left_over = counts.get_mut(&keys(row)).filter(|count| 0 < **count);
                let is_there = left_over.map(|count| *count -= usize::from(is_all)).is_some();
                is_there == (op == Joined::Intersect)
            });
            Ok(rows)
        }
    }
}

/// A row's values as keys of a table.
pub(super) fn keys(row: &[Datum]) -> Vec<Option<String>> {
    row.iter().map(exact).collect()
}

fn exact(value: &Datum) -> Option<String> {
    match value {
        Datum::Text(text) => Some(text.clone()),
        other => key(other),
    }
}
