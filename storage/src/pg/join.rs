//! `FROM`: tables, subqueries and functions, joined from the left to the right.
//!
//! In: the tree of `FROM`, the conditions of `WHERE`. Out: rows, each the columns of all relations side by side. Promise: a
//! condition is looked at as soon as all it needs is there, and equal columns are found through a table of hashes, so that the
//! joins of a client's start take milliseconds; the answer is that of the plain nested loops. Failure: [`Problem`].

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins,
};

use super::bind::Binder;
use super::bound::{Bound, Compare, Scope, Visible};
use super::datum::{Datum, Kind};
use super::names::{folded, parts};
use super::plan::{self, Plan};
use super::rows::{Giver, Rows, function};
use super::run::{Env, World};
use super::{BYTES_MAX, Problem, ROWS_MAX, bytes_of};

/// From how many rows on the left a table of hashes pays.
const HASH_ROWS_MIN: usize = 4;

/// What rows are read from.
#[derive(Debug)]
pub(super) enum Source {
    /// A table of the catalog.
    Table(String, String),
    /// A subquery; a lateral one sees the row so far.
    Query {
        plan: Plan,
        is_lateral: bool,
    },
    Rows {
        rows: Rows,
        has_number: bool,
    },
    Nested(From),
}

/// One relation, and how it is joined to those before it.
#[derive(Debug)]
pub(super) struct Step {
    source: Source,
    start: usize,
    width: usize,
    keeps_left: bool,
    keeps_right: bool,
    /// What makes two rows belong together.
    on: Vec<Bound>,
    /// What a row must be once they are joined.
    after: Vec<Bound>,
}

/// A whole `FROM`.
#[derive(Debug, Default)]
pub(super) struct From {
    pub steps: Vec<Step>,
    /// What every row must be.
    rest: Vec<Bound>,
}

impl From {
    /// Keeps only rows for which this is true, as early as it can be told.
    pub fn keep(&mut self, condition: Bound) {
        let parts = match condition {
            Bound::And(parts) => parts,
            one => vec![one],
        };
        let may_move = !self.steps.iter().any(|step| step.keeps_right);
        for part in parts {
            let needs = reach(&part);
            let step = self.steps.iter_mut().find(|step| needs.is_some_and(|needs| needs <= step.start + step.width));
            match step.filter(|_| may_move) {
                Some(step) if step.keeps_left => step.after.push(part),
                Some(step) => step.on.push(part),
                None => self.rest.push(part),
            }
        }
    }
}

/// How many columns of the row an expression needs: one more than the last; `None` where that is not told.
fn reach(bound: &Bound) -> Option<usize> {
    let all = |parts: &[Bound]| parts.iter().map(reach).try_fold(0, |most, part| Some(most.max(part?)));
    let both = |left: &Bound, right: &Bound| Some(reach(left)?.max(reach(right)?));
    match bound {
        Bound::Const(_) | Bound::Parameter(..) => Some(0),
        Bound::Column { up: 0, index } => Some(index + 1),
        Bound::Column { .. } => Some(0),
        Bound::Not(one) | Bound::Negative(one) => reach(one),
        Bound::Is { value, .. } | Bound::Cast { value, .. } => reach(value),
        Bound::And(parts) | Bound::Or(parts) | Bound::List(parts) | Bound::Call(_, parts) => all(parts),
        Bound::Compare(left, _, right) | Bound::Arithmetic(left, _, right) | Bound::Concat(left, right) => {
            both(left, right)
        }
        Bound::Index(left, right) | Bound::Any { left, right, .. } | Bound::Distinct { left, right, .. } => {
            both(left, right)
        }
        Bound::Matches { value, pattern, .. } => both(value, pattern),
        Bound::In { value, list, .. } => Some(reach(value)?.max(all(list)?)),
        Bound::Case { operand, arms, otherwise } => {
            let ends = operand.iter().chain(otherwise).map(|one| reach(one));
            let arms = arms.iter().map(|(condition, result)| both(condition, result));
            ends.chain(arms).try_fold(0, |most, part| Some(most.max(part?)))
        }
        Bound::AnyRow { .. } | Bound::Exists(_) | Bound::Scalar(_) | Bound::ListOf(_) => None,
        Bound::Aggregate(_) | Bound::Window(_) => None,
    }
}

/// Resolves a `FROM`; its relations are then visible in `scope`.
pub(super) fn from(binder: &Binder<'_>, tables: &[TableWithJoins], scope: &mut Scope<'_>) -> Result<From, Problem> {
    let mut from = From::default();
    for table in tables {
        joined(binder, table, scope, &mut from)?;
    }
    Ok(from)
}

fn joined(binder: &Binder<'_>, table: &TableWithJoins, scope: &mut Scope<'_>, from: &mut From) -> Result<(), Problem> {
    from.steps.push(step(binder, &table.relation, scope)?);
    for join in &table.joins {
        join_on(binder, join, scope, from)?;
    }
    Ok(())
}

fn join_on(binder: &Binder<'_>, join: &Join, scope: &mut Scope<'_>, from: &mut From) -> Result<(), Problem> {
    let (constraint, keeps_left, keeps_right) = match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) | JoinOperator::CrossJoin(constraint) => {
            (constraint, false, false)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (constraint, true, false),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (constraint, false, true),
        JoinOperator::FullOuter(constraint) => (constraint, true, true),
        _ => return Err(Problem::not_here("this kind of join")),
    };
    let mut next = step(binder, &join.relation, scope)?;
    (next.keeps_left, next.keeps_right) = (keeps_left, keeps_right);
    match constraint {
        JoinConstraint::None => {}
        JoinConstraint::On(condition) => {
            let (bound, _) = binder.expression(condition, scope)?;
            next.on = match bound {
                Bound::And(parts) => parts,
                one => vec![one],
            };
        }
        JoinConstraint::Using(names) => {
            let names: Vec<String> = names.iter().filter_map(|name| parts(name).pop()).collect();
            using(&names, scope, &mut next)?;
        }
        JoinConstraint::Natural => {
            let Some((last, before)) = scope.relations.split_last() else { return Ok(()) };
            let is_before = |name: &str| before.iter().any(|one| one.columns.iter().any(|(known, _)| known == name));
            let names: Vec<String> =
                last.columns.iter().map(|(name, _)| name.clone()).filter(|name| is_before(name)).collect();
            using(&names, scope, &mut next)?;
        }
    }
    from.steps.push(next);
    Ok(())
}

fn using(names: &[String], scope: &mut Scope<'_>, next: &mut Step) -> Result<(), Problem> {
    for name in names {
        let missing = || Problem::new("42703", format!("column \"{name}\" of USING does not exist on both sides"));
        let (last, before) = scope.relations.split_last_mut().ok_or_else(missing)?;
        let place = |one: &Visible| one.columns.iter().position(|(known, _)| known == name).map(|at| one.start + at);
        let left = before.iter().find_map(place).ok_or_else(missing)?;
        let right = place(last).ok_or_else(missing)?;
        last.merged.push(right - last.start);
        let column = |index| Box::new(Bound::Column { up: 0, index });
        next.on.push(Bound::Compare(column(left), Compare::Equal, column(right)));
    }
    Ok(())
}

/// Binds a relation and makes it visible.
fn step(binder: &Binder<'_>, factor: &TableFactor, scope: &mut Scope<'_>) -> Result<Step, Problem> {
    let start = scope.width();
    let mut oid = None;
    let (source, name, schema, columns) = match factor {
        TableFactor::Table { name, args: None, .. } => {
            let (source, columns, found) = table(binder, name, scope)?;
            oid = found;
            let mut names = parts(name);
            let last = names.pop().unwrap_or_default();
            (source, last, names.pop(), columns)
        }
        TableFactor::Table { name, args: Some(args), with_ordinality, .. } => {
            let (source, name, columns) = function(binder, name, &args.args, *with_ordinality, scope)?;
            (source, name, None, columns)
        }
        TableFactor::Function { name, args, with_ordinality, .. } => {
            let (source, name, columns) = function(binder, name, args, *with_ordinality, scope)?;
            (source, name, None, columns)
        }
        TableFactor::UNNEST { array_exprs, with_ordinality, .. } => {
            let [array] = array_exprs.as_slice() else { return Err(Problem::not_here("unnest of several lists")) };
            let (bound, kind) = binder.expression(array, scope)?;
            let rows = Rows { of: Giver::Unnest, arguments: vec![bound] };
            let mut columns = vec![("unnest".to_owned(), kind.element().unwrap_or(Kind::Text))];
            if *with_ordinality {
                columns.push(("ordinality".to_owned(), Kind::Int8));
            }
            (Source::Rows { rows, has_number: *with_ordinality }, "unnest".to_owned(), None, columns)
        }
        TableFactor::Derived { lateral, subquery, .. } => {
            let inner;
            let seen: &Scope<'_> = if *lateral {
                scope
            } else {
                inner = Scope { outer: scope.outer, named: scope.named.clone(), ..Scope::default() };
                &inner
            };
            let plan = plan::query(binder, subquery, Some(seen))?;
            let columns = plan.columns.clone();
            (Source::Query { plan, is_lateral: *lateral }, String::new(), None, columns)
        }
        TableFactor::NestedJoin { table_with_joins, .. } => return nested(binder, table_with_joins, scope),
        other => return Err(Problem::not_here(other)),
    };
    let columns = renamed(alias_of(factor), columns, matches!(source, Source::Rows { .. }));
    let width = columns.len();
    let alias = alias_of(factor).map_or(name, |alias| folded(&alias.name));
    scope.relations.push(Visible { alias, schema, columns, start, oid, merged: Vec::new() });
    Ok(Step { source, start, width, keeps_left: false, keeps_right: false, on: Vec::new(), after: Vec::new() })
}

fn nested(binder: &Binder<'_>, table: &TableWithJoins, scope: &mut Scope<'_>) -> Result<Step, Problem> {
    let start = scope.width();
    let mut inner = Scope { outer: scope.outer, named: scope.named.clone(), ..Scope::default() };
    let mut from = From::default();
    binder.deeper(|| joined(binder, table, &mut inner, &mut from))?;
    let width = inner.width();
    for mut relation in inner.relations {
        relation.start += start;
        scope.relations.push(relation);
    }
    Ok(Step {
        source: Source::Nested(from),
        start,
        width,
        keeps_left: false,
        keeps_right: false,
        on: Vec::new(),
        after: Vec::new(),
    })
}

fn alias_of(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

/// Columns under the names an alias gives them; of a function's rows the alias itself names the one column.
fn renamed(alias: Option<&TableAlias>, columns: Vec<(String, Kind)>, is_function: bool) -> Vec<(String, Kind)> {
    let Some(alias) = alias else { return columns };
    let mut columns = columns;
    for (column, named) in columns.iter_mut().zip(&alias.columns) {
        column.0 = folded(&named.name);
    }
    if is_function
        && alias.columns.is_empty()
        && let Some(first) = columns.first_mut()
        && first.0 != "word"
    {
        first.0 = folded(&alias.name);
    }
    columns
}

type Found = (Source, Vec<(String, Kind)>, Option<i64>);

fn table(binder: &Binder<'_>, name: &ObjectName, scope: &Scope<'_>) -> Result<Found, Problem> {
    let names = parts(name);
    let unknown = || Problem::new("42P01", format!("relation \"{}\" does not exist", names.join(".")));
    let (last, before) = names.split_last().ok_or_else(unknown)?;
    if before.is_empty() {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let Some(place) = scope.named.iter().rposition(|(known, ..)| known == last) {
                let (_, query, columns) = &scope.named[place];
                // It sees those before it, not itself, and no rows around it.
                let mut seen = scope.named[..place].to_vec();
                let mut further = scope.outer;
                while let Some(scope) = further {
                    seen.splice(0..0, scope.named.iter().cloned());
                    further = scope.outer;
                }
                let inner = Scope { named: seen, ..Scope::default() };
                let plan = plan::query(binder, query, Some(&inner))?;
                let mut shown = plan.columns.clone();
                for (column, named) in shown.iter_mut().zip(columns) {
                    column.0.clone_from(named);
                }
                return Ok((Source::Query { plan, is_lateral: false }, shown, None));
            }
            at = scope.outer;
        }
    }
    let schema = before.last().map(String::as_str);
    let relation = binder.catalog.relation(schema, last).ok_or_else(unknown)?;
    let schema = schema.unwrap_or("pg_catalog").to_owned();
    Ok((Source::Table(schema, last.clone()), relation.columns.clone(), Some(relation.oid)))
}

impl From {
    /// How many columns its rows have.
    pub fn width(&self) -> usize {
        self.steps.last().map_or(0, |step| step.start + step.width)
    }

    /// All rows.
    pub fn run(&self, world: &World<'_>, outer: Option<&Env<'_>>) -> Result<Vec<Vec<Datum>>, Problem> {
        let mut rows = vec![Vec::new()];
        for step in &self.steps {
            rows = step.run(world, outer, rows)?;
        }
        if !self.rest.is_empty() {
            let mut kept = Vec::new();
            for row in rows {
                if holds(world, &self.rest, &Env::of(&row, outer))? {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        Ok(rows)
    }
}

fn holds(world: &World<'_>, conditions: &[Bound], env: &Env<'_>) -> Result<bool, Problem> {
    for condition in conditions {
        if world.value(condition, Some(env))?.truth()? != Some(true) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Step {
    fn run(
        &self,
        world: &World<'_>,
        outer: Option<&Env<'_>>,
        left: Vec<Vec<Datum>>,
    ) -> Result<Vec<Vec<Datum>>, Problem> {
        let (mut out, mut bytes) = (Vec::new(), 0);
        let made;
        let is_lateral = matches!(self.source, Source::Query { is_lateral: true, .. } | Source::Rows { .. });
        let right: &[Vec<Datum>] = if is_lateral {
            &[]
        } else {
            made = self.read(world, outer)?;
            &made
        };
        let finder = Finder::new(self, right, left.len());
        let mut met = vec![false; if self.keeps_right { right.len() } else { 0 }];
        let mut pairs = Vec::new();
        for row in left {
            let own;
            let (right, finder) = if is_lateral {
                own = self.read_beside(world, &Env::of(&row, outer))?;
                (own.as_slice(), None)
            } else {
                (right, finder.as_ref())
            };
            let mut row = row;
            let before = row.len();
            let mut is_matched = false;
            pairs.clear();
            match finder {
                Some(finder) => finder.find(world, &row, outer, right, &mut pairs)?,
                None => pairs.extend(0..right.len()),
            }
            for index in &pairs {
                world.spent.step()?;
                row.extend_from_slice(&right[*index]);
                if holds(world, &self.on, &Env::of(&row, outer))? {
                    is_matched = true;
                    if let Some(met) = met.get_mut(*index) {
                        *met = true;
                    }
                    self.take(world, outer, &row, (&mut out, &mut bytes))?;
                }
                row.truncate(before);
            }
            if !is_matched && self.keeps_left {
                row.resize(before + self.width, Datum::Null);
                self.take(world, outer, &row, (&mut out, &mut bytes))?;
            }
        }
        for (index, _) in met.iter().enumerate().filter(|(_, met)| !**met) {
            let mut row = vec![Datum::Null; self.start];
            row.extend_from_slice(&right[index]);
            self.take(world, outer, &row, (&mut out, &mut bytes))?;
        }
        Ok(out)
    }

    fn take(
        &self,
        world: &World<'_>,
        outer: Option<&Env<'_>>,
        row: &[Datum],
        (out, bytes): (&mut Vec<Vec<Datum>>, &mut usize),
    ) -> Result<(), Problem> {
        if holds(world, &self.after, &Env::of(row, outer))? {
            *bytes += bytes_of(row);
            if ROWS_MAX <= out.len() || BYTES_MAX < *bytes {
                let message = format!("an intermediate result has more than {ROWS_MAX} rows or {BYTES_MAX} bytes");
                return Err(Problem::new("54000", message));
            }
            out.push(row.to_vec());
        }
        Ok(())
    }

    fn read<'w>(
        &self,
        world: &World<'w>,
        outer: Option<&Env<'_>>,
    ) -> Result<std::borrow::Cow<'w, [Vec<Datum>]>, Problem> {
        Ok(match &self.source {
            Source::Table(schema, name) => match world.relation(schema, name) {
                Some(made) => made.into(),
                None => world.catalog.relation(Some(schema), name).map_or(&[][..], |relation| &relation.rows).into(),
            },
            Source::Query { plan, .. } => plan.run(world, Some(&Env::of(&[], outer)))?.into(),
            Source::Rows { .. } => Vec::new().into(),
            Source::Nested(from) => from.run(world, outer)?.into(),
        })
    }

    fn read_beside(&self, world: &World<'_>, env: &Env<'_>) -> Result<Vec<Vec<Datum>>, Problem> {
        match &self.source {
            Source::Query { plan, .. } => plan.run(world, Some(env)),
            Source::Rows { rows, has_number } => {
                let mut rows = rows.run(world, Some(env))?;
                if *has_number {
                    rows.iter_mut().zip(1..).for_each(|(row, number)| row.push(Datum::Int(number)));
                }
                Ok(rows)
            }
            Source::Table(..) | Source::Nested(_) => Ok(Vec::new()),
        }
    }
}

/// Rows by the value of one column.
struct Finder<'a> {
    column: usize,
    other: &'a Bound,
    /// `None`: too few rows on the left to pay for it.
    by_value: Option<HashMap<String, Vec<usize>>>,
}

impl<'a> Finder<'a> {
    fn new(step: &'a Step, right: &[Vec<Datum>], left_count: usize) -> Option<Finder<'a>> {
        let within = step.start..step.start + step.width;
        let sides = |left: &'a Bound, right: &'a Bound| match left {
            Bound::Column { up: 0, index } if within.contains(index) => {
                reach(right).filter(|needs| *needs <= step.start).map(|_| (index - step.start, right))
            }
            _ => None,
        };
        let equal = step.on.iter().find_map(|condition| match condition {
            Bound::Compare(left, Compare::Equal, right) => sides(left, right).or_else(|| sides(right, left)),
            _ => None,
        });
        let (column, other) = equal?;
        let by_value = (HASH_ROWS_MIN <= left_count).then(|| {
            let mut by_value: HashMap<String, Vec<usize>> = HashMap::new();
            for (index, row) in right.iter().enumerate() {
                if let Some(key) = key(&row[column]) {
                    by_value.entry(key).or_default().push(index);
                }
            }
            by_value
        });
        Some(Finder { column, other, by_value })
    }

    /// The rows that may fit; the condition itself is looked at again afterwards.
    fn find(
        &self,
        world: &World<'_>,
        row: &[Datum],
        outer: Option<&Env<'_>>,
        right: &[Vec<Datum>],
        pairs: &mut Vec<usize>,
    ) -> Result<(), Problem> {
        let wanted = key(&world.value(self.other, Some(&Env::of(row, outer)))?);
        let Some(wanted) = wanted else { return Ok(()) };
        match &self.by_value {
            Some(by_value) => pairs.extend_from_slice(by_value.get(&wanted).map_or(&[][..], Vec::as_slice)),
            None => {
                for (index, row) in right.iter().enumerate() {
                    world.spent.step()?;
                    if key(&row[self.column]).as_ref() == Some(&wanted) {
                        pairs.push(index);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A value as a key: values that compare as equal have one key, whatever they are held as.
pub(super) fn key(value: &Datum) -> Option<String> {
    match value {
        Datum::Null => None,
        Datum::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => Some((*value as i64).to_string()),
        Datum::Text(text) => Some(match text.trim().parse::<i64>() {
            Ok(number) => number.to_string(),
            // A truth value is written with one letter.
            Err(_) if matches!(text.as_str(), "true" | "false") => text[..1].to_owned(),
            Err(_) => text.clone(),
        }),
        other => other.written(),
    }
}
