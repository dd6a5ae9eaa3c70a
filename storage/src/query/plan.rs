//! Which rows of a segment a query can be about, from its index and its times. In: a query and a segment.
//! Out: [`Plan`]: rows that surely match, and rows that may and must be looked at. Each filter gives both
//! sets, so that NOT of "maybe" is "not surely" and a plan is never wider or narrower than the truth allows.
//! Tests of an AND are asked cheapest first, and no further once none is left; times of rows are read only where
//! the manifest does not say enough.

use std::sync::{Arc, OnceLock};

use super::control::Control;
use super::explain::{Explain, How, Skip};
use super::filter::{Filter, Test, is_own};
use super::pattern::{Phrase, Wildcard};
use super::{Cursor, Order, Query};
use crate::error::ReadError;
use crate::segment::rows::RowSet;
use crate::segment::terms::{has_exact_terms, is_running_text};
use crate::segment::text_index::{Found, TextIndex};
use crate::segment::{GROUP_ROWS, PAGE_ROWS, Projection, RowKeys, Segment};

/// How many rows are looked at in one step, and how many where their bytes as received are needed.
const CHECK_ROWS: usize = 8192;
const CHECK_ROWS_WITH_BYTES: usize = 1024;

/// The rows of a segment that a query is about.
pub struct Plan {
    pub segment: Arc<Segment>,
    /// How many rows were read and looked at, and of how many groups and pages.
    pub looked: Looked,
    keys: OnceLock<Arc<RowKeys>>,
    found: Found,
}

/// How much was read.
#[derive(Clone, Copy, Default)]
pub struct Looked {
    pub rows: u64,
    pub groups: u64,
    pub pages: u64,
}

impl Looked {
    /// Adds rows (ascending).
    pub fn add(&mut self, rows: &[usize]) {
        let distinct = |width: usize| {
            let changes = rows.windows(2).filter(|pair| pair[0] / width != pair[1] / width).count();
            if rows.is_empty() { 0 } else { changes as u64 + 1 }
        };
        self.rows += rows.len() as u64;
        self.groups += distinct(GROUP_ROWS);
        self.pages += distinct(PAGE_ROWS);
    }
}

impl Plan {
    /// Asks the index and the times of a segment.
    pub fn new(query: &Query, segment: Arc<Segment>) -> Result<Plan, ReadError> {
        Plan::noted(query, segment, &mut None)
    }

    /// The same, noting what each test gave.
    pub fn noted(query: &Query, segment: Arc<Segment>, notes: &mut Option<&mut Explain>) -> Result<Plan, ReadError> {
        let count = segment.row_count();
        let first = segment.first_at(query.from)?;
        let end = if query.to.0 == i64::MAX { count } else { segment.first_at(query.to)? };
        let in_time = RowSet::range(count, first, end);
        let nothing = |skip: Skip| Found::none(count, Some(skip));
        let (found, skip) = if end <= first { nothing(Skip::Time) } else { ask(query, &segment, in_time, notes)? };
        if let Some(notes) = notes {
            notes.note_segment(skip);
            notes.rows.candidates += found.maybe.count();
            notes.rows.sure += found.sure.count();
        }
        Ok(Plan { segment, looked: Looked::default(), keys: OnceLock::new(), found })
    }

    /// Times and `Seq`s of all rows.
    pub fn keys(&self) -> Result<Arc<RowKeys>, ReadError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys.clone());
        }
        let keys = self.segment.keys()?;
        Ok(self.keys.get_or_init(|| keys).clone())
    }

    /// How many rows that may match stand from row `begin` to before row `end`.
    pub fn count_between(&self, begin: usize, end: usize) -> u64 {
        self.found.maybe.count_between(begin, end)
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

    /// The rows that may match, as a set.
    pub fn into_rows(self) -> RowSet {
        self.found.maybe
    }

    /// The rows that may match and stand behind a cursor, in the order asked for.
    pub fn rows_behind(&self, cursor: Option<Cursor>, order: Order) -> Result<Vec<usize>, ReadError> {
        let Some(cursor) = cursor else {
            return Ok(match order {
                Order::NewestFirst => self.rows().rev().collect(),
                Order::OldestFirst => self.rows().collect(),
            });
        };
        let meta = self.segment.meta();
        let is_out = match order {
            Order::NewestFirst => cursor.timestamp < meta.timestamp_min,
            Order::OldestFirst => meta.timestamp_max < cursor.timestamp,
        };
        if is_out || self.found.maybe.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.keys()?;
        let place = |row: usize| Cursor { timestamp: keys.timestamp(row), seq: keys.seq(row) };
        Ok(match order {
            Order::NewestFirst => self.rows().rev().filter(|row| place(*row) < cursor).collect(),
            Order::OldestFirst => self.rows().filter(|row| cursor < place(*row)).collect(),
        })
    }

    /// Looks at those of `rows` that are not sure; afterwards each of them is sure or out.
    pub fn check(&mut self, query: &Query, rows: &[usize]) -> Result<(), ReadError> {
        self.check_with(query, rows, &Control::default())
    }

    /// The same, until it is told to stop.
    pub fn check_with(&mut self, query: &Query, rows: &[usize], control: &Control) -> Result<(), ReadError> {
        let mut open: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|row| self.found.maybe.contains(*row) && !self.found.sure.contains(*row))
            .collect();
        open.sort_unstable();
        let keys = query.filter.keys();
        let needs_bytes = query.filter.needs_bytes();
        let projection = match &keys {
            Some(keys) => Projection::Keys(keys),
            None if needs_bytes => Projection::All,
            None => Projection::Fields,
        };
        for rows in open.chunks(if needs_bytes { CHECK_ROWS_WITH_BYTES } else { CHECK_ROWS }) {
            control.check()?;
            self.looked.add(rows);
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
        self.check_all_with(query, &Control::default())
    }

    /// The same, until it is told to stop.
    pub fn check_all_with(&mut self, query: &Query, control: &Control) -> Result<(), ReadError> {
        if self.unchecked() == 0 {
            return Ok(());
        }
        let mut open = self.found.maybe.clone();
        open.take(&self.found.sure);
        let rows: Vec<usize> = open.iter().collect();
        self.check_with(query, &rows, control)
    }

    /// The row surely matches or was looked at and does.
    pub fn holds(&self, row: usize) -> bool {
        self.found.sure.contains(row)
    }
}

type Known = Result<Found, String>;

/// What the index of a segment says about the rows of the time range, and why none is left, where none is.
fn ask(
    query: &Query,
    segment: &Arc<Segment>,
    in_time: RowSet,
    notes: &mut Option<&mut Explain>,
) -> Result<(Found, Option<Skip>), ReadError> {
    let mut allowed = in_time;
    if matches!(query.filter, Filter::All) && query.units.is_none() {
        return Ok((Found { sure: allowed.clone(), maybe: allowed }, None));
    }
    let (is_kept, bytes) = segment.index_state();
    let index = segment.index()?;
    if let Some(notes) = notes {
        let read = &mut notes.read;
        if is_kept {
            read.indexes_kept += 1;
        } else {
            read.indexes_read += 1;
            read.index_bytes += bytes;
        }
    }
    if let Some(units) = &query.units {
        let rows = index.units(units.iter().map(|unit| unit.as_str()));
        allowed.keep(&rows.map_err(|reason| segment.index_error(reason))?);
        if allowed.is_empty() {
            return Ok(Found::none(segment.row_count(), Some(Skip::Unit)));
        }
    }
    let asker = Asker { index: &index, segment };
    let mut found = asker.rows_of(&query.filter, notes).map_err(|failure| match failure {
        Failure::Index(reason) => segment.index_error(reason),
        Failure::Read(error) => error,
    })?;
    let is_anywhere = !found.maybe.is_empty();
    found.sure.keep(&allowed);
    found.maybe.keep(&allowed);
    let skip = match found.maybe.is_empty() {
        false => None,
        true if is_anywhere => Some(Skip::Time),
        true if lacks_fields(&query.filter, &index) => Some(Skip::Field),
        true => Some(Skip::Words),
    };
    Ok((found, skip))
}

/// No row of the segment has the fields that the filter must have.
fn lacks_fields(filter: &Filter, index: &TextIndex) -> bool {
    match filter {
        Filter::Field(name, _) => name.candidates.iter().all(|key| !is_own(key) && index.lacks(key)),
        Filter::And(filters) => filters.iter().any(|filter| lacks_fields(filter, index)),
        Filter::Or(filters) => filters.iter().all(|filter| lacks_fields(filter, index)),
        _ => false,
    }
}

/// Why the index gave no answer.
enum Failure {
    Index(String),
    Read(ReadError),
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::Index(reason)
    }
}

/// Asks one segment.
struct Asker<'a> {
    index: &'a TextIndex,
    segment: &'a Segment,
}

impl Asker<'_> {
    fn rows_of(&self, filter: &Filter, notes: &mut Option<&mut Explain>) -> Result<Found, Failure> {
        let index = self.index;
        let found = match filter {
            Filter::All => return Ok(index.nothing().inverted()),
            Filter::Not(filter) => return Ok(self.rows_of(filter, notes)?.inverted()),
            Filter::And(filters) => {
                let mut found = index.nothing().inverted();
                let mut cheapest: Vec<&Filter> = filters.iter().collect();
                cheapest.sort_by_key(|filter| cost(filter));
                for filter in cheapest {
                    if found.maybe.is_empty() {
                        break;
                    }
                    found.and(&self.rows_of(filter, notes)?);
                }
                return Ok(found);
            }
            Filter::Or(filters) => {
                let mut found = index.nothing();
                for filter in filters {
                    found.or(&self.rows_of(filter, notes)?);
                }
                return Ok(found);
            }
            Filter::Phrase(phrase) => phrase_rows(phrase, index)?,
            Filter::Wildcard(wildcard) if wildcard.is_of_parts() => {
                let rows = index.words_that(&wildcard.prefix(), |part| wildcard.is_all_of(part))?;
                rows.unwrap_or_else(|| index.unknown())
            }
            Filter::Wildcard(wildcard) => wildcard_rows(wildcard, index)?,
            Filter::Field(name, test) => {
                let mut found = index.nothing();
                for key in &name.candidates {
                    match (key.as_str(), test) {
                        ("@timestamp", Test::Range(range)) if range.moments().is_some() => {
                            found.or(&self.moments(range.moments()).map_err(Failure::Read)?);
                        }
                        _ => found.or(&field_rows(key, test, index)?),
                    }
                }
                found
            }
        };
        if let Some(notes) = notes {
            notes.note_test(filter, found.maybe.count(), found.sure.count());
        }
        Ok(found)
    }

    /// The rows of a time range, from the times of the rows.
    fn moments(&self, range: Option<(nhatle_event::Timestamp, nhatle_event::Timestamp)>) -> Result<Found, ReadError> {
        let Some((low, high)) = range else { return Ok(self.index.unknown()) };
        let count = self.segment.row_count();
        let end = if high.0 == i64::MAX { count } else { self.segment.first_at(high)? };
        let rows = RowSet::range(count, self.segment.first_at(low)?, end);
        Ok(Found { sure: rows.clone(), maybe: rows })
    }
}

/// Tests that read little and say no to much come first.
fn cost(filter: &Filter) -> u8 {
    match filter {
        Filter::All => 0,
        Filter::Not(filter) => cost(filter),
        Filter::And(filters) => filters.iter().map(cost).min().unwrap_or(0),
        Filter::Or(filters) => filters.iter().map(cost).max().unwrap_or(0),
        leaf => How::of(leaf).cost(),
    }
}

/// Rows with all runs of letters and digits that the pattern has; each must be looked at.
fn wildcard_rows(wildcard: &Wildcard, index: &TextIndex) -> Known {
    let mut found = index.unknown();
    let mut runs = wildcard.runs();
    // What begins a word is looked up, and the longest of the rest is gone through for; more would not pay.
    runs.sort_by_key(|(run, begins)| (!*begins, std::cmp::Reverse(run.len())));
    for (run, begins) in runs.iter().take(2) {
        let rows = match begins {
            true => index.words_that(run, |part| part.starts_with(run.as_str()))?,
            false => index.words_that("", |part| part.contains(run.as_str()))?,
        };
        if let Some(rows) = rows {
            found.and(&rows.unsure());
        }
    }
    Ok(found)
}

/// Rows with all parts of the phrase somewhere; one part without marks is all there is to it.
fn phrase_rows(phrase: &Phrase, index: &TextIndex) -> Known {
    if phrase.parts().is_empty() {
        return Ok(index.unknown());
    }
    let mut found = index.nothing().inverted();
    for part in phrase.parts() {
        let mut rows = index.nothing();
        for way in phrase.ways(part) {
            rows.or(&index.word(&way)?);
        }
        found.and(&rows);
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
            Test::Wildcard(wildcard) => wildcard_rows(wildcard, index),
            _ => Ok(index.unknown()),
        };
    }
    if !has_exact_terms(key) {
        return Ok(index.unknown());
    }
    if let Test::Is(phrase) = test {
        if let Some((prefix, is_it)) = phrase.twins() {
            let found = index.values_that(key, prefix, is_it)?;
            return Ok(found.unwrap_or_else(|| index.unknown()).unsure());
        }
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
    fn none(length: usize, skip: Option<Skip>) -> (Found, Option<Skip>) {
        (Found { sure: RowSet::none(length), maybe: RowSet::none(length) }, skip)
    }

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
