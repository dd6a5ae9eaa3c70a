//! Which rows of a segment a query can be about, from its index and its times. In: a query and a segment.
//! Out: [`Plan`]: rows that surely match, and rows that may and must be looked at. Each filter gives both
//! sets, so that NOT of "maybe" is "not surely" and a plan is never wider or narrower than the truth allows.

use std::sync::Arc;

use super::filter::{Filter, Test, is_own};
use super::pattern::Phrase;
use super::{Cursor, Order, Query};
use crate::error::ReadError;
use crate::segment::rows::RowSet;
use crate::segment::terms::{has_exact_terms, is_running_text};
use crate::segment::text_index::{Found, TextIndex};
use crate::segment::{Projection, RowKeys, Segment};

/// How many rows are looked at in one step.
const CHECK_ROWS: usize = 8192;

/// The rows of a segment that a query is about.
pub struct Plan {
    pub segment: Arc<Segment>,
    pub keys: Arc<RowKeys>,
    found: Found,
}

impl Plan {
    /// Asks the index and the times of a segment.
    pub fn new(query: &Query, segment: Arc<Segment>) -> Result<Plan, ReadError> {
        let keys = segment.keys()?;
        let end = if query.to.0 == i64::MAX { keys.len() } else { keys.first_at(query.to) };
        let in_time = RowSet::range(keys.len(), keys.first_at(query.from), end);
        let mut found = match &query.filter {
            Filter::All => Found { sure: in_time.clone(), maybe: in_time },
            filter => {
                let index = segment.index()?;
                let mut found = rows_of(filter, &index).map_err(|reason| segment.index_error(reason))?;
                found.sure.keep(&in_time);
                found.maybe.keep(&in_time);
                found
            }
        };
        if let Some(units) = &query.units {
            let index = segment.index()?;
            let rows = index.units(units.iter().map(|unit| unit.as_str()));
            let rows = rows.map_err(|reason| segment.index_error(reason))?;
            found.sure.keep(&rows);
            found.maybe.keep(&rows);
        }
        Ok(Plan { segment, keys, found })
    }

    /// How many rows may match.
    pub fn count(&self) -> u64 {
        self.found.maybe.count()
    }

    /// How many rows must be looked at before [`Plan::count`] is exact.
    pub fn unchecked(&self) -> u64 {
        self.found.maybe.count() - self.found.sure.count()
    }

    /// The rows that may match, lowest first.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.found.maybe.iter()
    }

    /// The rows that may match and stand behind a cursor, in the order asked for.
    pub fn rows_behind(&self, cursor: Option<Cursor>, order: Order) -> Vec<usize> {
        let is_behind = |row: &usize| {
            cursor.is_none_or(|cursor| match order {
                Order::NewestFirst => self.place(*row) < cursor,
                Order::OldestFirst => cursor < self.place(*row),
            })
        };
        match order {
            Order::NewestFirst => self.rows().rev().filter(is_behind).collect(),
            Order::OldestFirst => self.rows().filter(is_behind).collect(),
        }
    }

    /// The place of a row among all hits.
    pub fn place(&self, row: usize) -> Cursor {
        Cursor { timestamp: self.keys.timestamp(row), seq: self.keys.seq(row) }
    }

    /// Looks at those of `rows` that are not sure; afterwards each of them is sure or out.
    pub fn check(&mut self, query: &Query, rows: &[usize]) -> Result<(), ReadError> {
        let mut open: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|row| self.found.maybe.contains(*row) && !self.found.sure.contains(*row))
            .collect();
        open.sort_unstable();
        let keys = query.filter.keys();
        let projection = keys.as_deref().map_or(Projection::All, Projection::Keys);
        for rows in open.chunks(CHECK_ROWS) {
            let events = self.segment.fetch(rows, projection)?;
            for (row, stored) in rows.iter().zip(&events) {
                match query.filter.matches(stored) {
                    true => self.found.sure.insert(*row),
                    false => self.found.maybe.remove(*row),
                }
            }
        }
        Ok(())
    }

    /// Looks at every row that is not sure.
    pub fn check_all(&mut self, query: &Query) -> Result<(), ReadError> {
        let mut open = self.found.maybe.clone();
        open.take(&self.found.sure);
        let rows: Vec<usize> = open.iter().collect();
        self.check(query, &rows)
    }

    /// The row surely matches or was looked at and does.
    pub fn holds(&self, row: usize) -> bool {
        self.found.sure.contains(row)
    }
}

type Known = Result<Found, String>;

fn rows_of(filter: &Filter, index: &TextIndex) -> Known {
    match filter {
        Filter::All => Ok(index.nothing().inverted()),
        Filter::Phrase(phrase) => phrase_rows(phrase, index),
        Filter::Wildcard(wildcard) if wildcard.is_of_parts() => {
            let rows = index.words_that(&wildcard.prefix(), |part| wildcard.is_all_of(part))?;
            Ok(rows.unwrap_or_else(|| index.unknown()))
        }
        Filter::Wildcard(_) => Ok(index.unknown()),
        Filter::Field(name, test) => {
            let mut found = index.nothing();
            for key in &name.candidates {
                found.or(&field_rows(key, test, index)?);
            }
            Ok(found)
        }
        Filter::Not(filter) => Ok(rows_of(filter, index)?.inverted()),
        Filter::And(filters) => {
            let mut found = index.nothing().inverted();
            for filter in filters {
                found.and(&rows_of(filter, index)?);
            }
            Ok(found)
        }
        Filter::Or(filters) => {
            let mut found = index.nothing();
            for filter in filters {
                found.or(&rows_of(filter, index)?);
            }
            Ok(found)
        }
    }
}

/// Rows with all parts of the phrase somewhere; one part without marks is all there is to it.
fn phrase_rows(phrase: &Phrase, index: &TextIndex) -> Known {
    if phrase.parts().is_empty() {
        return Ok(index.unknown());
    }
    let mut found = index.nothing().inverted();
    for part in phrase.parts() {
        found.and(&index.word(part)?);
    }
    Ok(match phrase.parts() {
        [_] if !phrase.needs_marks() => found,
        _ => found.unsure(),
    })
}

fn field_rows(key: &str, test: &Test, index: &TextIndex) -> Known {
    if is_own(key) {
        return Ok(index.unknown());
    }
    if index.lacks(key) {
        return Ok(index.nothing());
    }
    if is_running_text(key) {
        return match test {
            // The words are those of all fields, so the field itself is looked at.
            Test::Is(phrase) if !phrase.written.is_empty() => Ok(phrase_rows(phrase, index)?.unsure()),
            _ => Ok(index.unknown()),
        };
    }
    if !has_exact_terms(key) {
        return Ok(index.unknown());
    }
    if let Test::Is(phrase) = test {
        let mut found = index.nothing();
        for whole in phrase.wholes() {
            found.or(&index.value(key, whole)?);
        }
        return Ok(if phrase.needs_marks() { found.unsure() } else { found });
    }
    let prefix = match test {
        Test::Wildcard(wildcard) => wildcard.prefix(),
        _ => String::new(),
    };
    let found = index.values_that(key, &prefix, |value| test.holds(value))?;
    Ok(found.unwrap_or_else(|| index.unknown()))
}

impl Found {
    fn and(&mut self, other: &Found) {
        self.sure.keep(&other.sure);
        self.maybe.keep(&other.maybe);
    }

    fn or(&mut self, other: &Found) {
        self.sure.add(&other.sure);
        self.maybe.add(&other.maybe);
    }

    fn inverted(&self) -> Found {
        Found { sure: self.maybe.inverted(), maybe: self.sure.inverted() }
    }

    /// The same rows, all of which must be looked at.
    fn unsure(mut self) -> Found {
        let all = self.sure.clone();
        self.sure.take(&all);
        self
    }
}
