//! Running one `SELECT`: rows, groups, windows, and what becomes of them.
//!
//! In: a [`Selected`], the [`World`]. Out: rows, the hidden ones an order needs behind the others. Failure: [`Problem`].

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::bound::{Aggregate, Bound};
use super::datum::{self, Datum};
use super::function::{self, Total};
use super::plan::{Item, Selected, Unique};
use super::run::{Env, Rows, World, keys};
use super::{BYTES_MAX, Problem, ROWS_MAX, bytes_of};

/// Rows on their way out.
#[derive(Default)]
struct Out {
    rows: Rows,
    bytes: usize,
}

impl Selected {
    pub fn run(&self, world: &World<'_>, outer: Option<&Env<'_>>) -> Result<Rows, Problem> {
        let rows = self.from.run(world, outer)?;
        let windows = self.number(world, &rows, outer)?;
        let mut out = Out::default();
        let mut marks: HashSet<Vec<Option<String>>> = HashSet::new();
        if self.is_grouped {
            for group in self.groups(world, &rows, outer)? {
                let aggregates = self.aggregates.iter().map(|one| total(world, one, &rows, &group, outer));
                let aggregates = aggregates.collect::<Result<Vec<_>, _>>()?;
                // Of a group without rows nothing but aggregates may be asked; its columns are no values.
                let nothing;
                let row: &[Datum] = match group.first() {
                    Some(first) => &rows[*first],
                    None => {
                        nothing = vec![Datum::Null; self.width()];
                        &nothing
                    }
                };
                let env = Env { row, aggregates: &aggregates, windows: &[], outer };
                if let Some(having) = &self.having
                    && world.value(having, Some(&env))?.truth()? != Some(true)
                {
                    continue;
                }
                self.give(world, &env, &mut marks, &mut out)?;
            }
        } else {
            for (index, row) in rows.iter().enumerate() {
                let windows = windows.get(index).map_or(&[][..], Vec::as_slice);
                self.give(world, &Env { row, aggregates: &[], windows, outer }, &mut marks, &mut out)?;
            }
        }
        Ok(out.rows)
    }

    fn width(&self) -> usize {
        self.from.width()
    }

    fn groups(
        &self,
        world: &World<'_>,
        rows: &[Vec<Datum>],
        outer: Option<&Env<'_>>,
    ) -> Result<Vec<Vec<usize>>, Problem> {
        if self.group.is_empty() {
            return Ok(vec![(0..rows.len()).collect()]);
        }
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut places: HashMap<Vec<Option<String>>, usize> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            let env = Env::of(row, outer);
            let values = self.group.iter().map(|by| world.value(by, Some(&env))).collect::<Result<Vec<_>, _>>()?;
            let place = *places.entry(keys(&values)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(index);
        }
        Ok(groups)
    }

    /// `row_number()` of each row, for each window.
    fn number(&self, world: &World<'_>, rows: &[Vec<Datum>], outer: Option<&Env<'_>>) -> Result<Rows, Problem> {
        let mut numbers = vec![Vec::new(); if self.windows.is_empty() { 0 } else { rows.len() }];
        for window in &self.windows {
            let mut placed = Vec::new();
            for (index, row) in rows.iter().enumerate() {
                let env = Env::of(row, outer);
                let of =
                    |parts: &[Bound]| parts.iter().map(|by| world.value(by, Some(&env))).collect::<Result<Vec<_>, _>>();
                let order =
                    window.order.iter().map(|(by, _)| world.value(by, Some(&env))).collect::<Result<Vec<_>, _>>()?;
                placed.push((keys(&of(&window.partition)?), order, index));
            }
            placed.sort_by(|left, right| {
                let parts =
                    left.1.iter().zip(&right.1).zip(&window.order).map(|((left, right), (_, is_descending))| {
                        if *is_descending { datum::order(right, left) } else { datum::order(left, right) }
                    });
                left.0.cmp(&right.0).then_with(|| parts.fold(Ordering::Equal, Ordering::then))
            });
            let mut number = 0;
            for place in 0..placed.len() {
                let is_new = place == 0 || placed[place].0 != placed[place - 1].0;
                number = if is_new { 1 } else { number + 1 };
                numbers[placed[place].2].push(Datum::Int(number));
            }
        }
        Ok(numbers)
    }

    /// Makes the row or rows of the answer.
    fn give(
        &self,
        world: &World<'_>,
        env: &Env<'_>,
        marks: &mut HashSet<Vec<Option<String>>>,
        out: &mut Out,
    ) -> Result<(), Problem> {
        let mut columns: Vec<Cow<'_, [Vec<Datum>]>> = Vec::new();
        let mut row = Vec::with_capacity(self.items.len() + self.hidden.len());
        for item in &self.items {
            match item {
                Item::Value(bound) => row.push(world.value(bound, Some(env))?),
                Item::Rows(rows) => {
                    columns.push(rows.run(world, Some(env))?.into());
                    row.push(Datum::Null);
                }
            }
        }
        for hidden in &self.hidden {
            row.push(world.value(hidden, Some(env))?);
        }
        let is_expanded = !columns.is_empty();
        let count = if is_expanded { columns.iter().map(|rows| rows.len()).max().unwrap_or(0) } else { 1 };
        for index in 0..count {
            world.spent.step()?;
            let mut one = row.clone();
            let places = self.items.iter().enumerate().filter(|(_, item)| matches!(item, Item::Rows(_)));
            for ((place, _), rows) in places.zip(&columns) {
                one[place] = rows.get(index).and_then(|row| row.first()).cloned().unwrap_or(Datum::Null);
            }
            if matches!(self.distinct, Unique::Rows) && !marks.insert(keys(&one)) {
                continue;
            }
            out.bytes += bytes_of(&one);
            if ROWS_MAX <= out.rows.len() || BYTES_MAX < out.bytes {
                let message = format!("a result of the catalog has more than {ROWS_MAX} rows or {BYTES_MAX} bytes");
                return Err(Problem::new("54000", message));
            }
            out.rows.push(one);
        }
        Ok(())
    }
}

/// One aggregate over the rows of a group.
fn total(
    world: &World<'_>,
    aggregate: &Aggregate,
    rows: &[Vec<Datum>],
    group: &[usize],
    outer: Option<&Env<'_>>,
) -> Result<Datum, Problem> {
    let mut values: Vec<(Vec<Datum>, Vec<Datum>)> = Vec::new();
    for index in group {
        let env = Env::of(&rows[*index], outer);
        if let Some(filter) = &aggregate.filter
            && world.value(filter, Some(&env))?.truth()? != Some(true)
        {
            continue;
        }
        let of = |parts: &mut dyn Iterator<Item = &Bound>| {
            parts.map(|one| world.value(one, Some(&env))).collect::<Result<Vec<_>, _>>()
        };
        let arguments = of(&mut aggregate.arguments.iter())?;
        values.push((of(&mut aggregate.order.iter().map(|(by, _)| by))?, arguments));
    }
    values.sort_by(|left, right| {
        let parts = left.0.iter().zip(&right.0).zip(&aggregate.order).map(|((left, right), (_, is_descending))| {
            if *is_descending { datum::order(right, left) } else { datum::order(left, right) }
        });
        parts.fold(Ordering::Equal, Ordering::then)
    });
    if aggregate.is_distinct {
        let mut seen = HashSet::new();
        values.retain(|(_, arguments)| seen.insert(keys(arguments)));
    }
    let arguments: Vec<Vec<Datum>> = values.into_iter().map(|(_, arguments)| arguments).collect();
    if aggregate.of == Total::Count && aggregate.arguments.is_empty() {
        return Ok(Datum::Int(i64::try_from(arguments.len()).unwrap_or(i64::MAX)));
    }
    function::totaled(aggregate.of, &arguments)
}
