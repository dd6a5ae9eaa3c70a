//! What people ask of stored events. In: a [`Query`] (a line of text read by [`syntax::parse`], a time
//! range, datasets, units) and a [`Snapshot`] (memory and segments that do not change). Out: [`Hits`], counts,
//! histograms, facets, single events.
//!
//! Promise: an answer is the one that looking at every event with [`Filter::matches`] would give; the
//! index only makes it quicker (`tests.rs` compares the two). What was not counted to the end is called
//! so ([`Hits::total_is_exact`]). The unit limit holds for every row of every answer. Failure: a damaged
//! or unreadable segment is an error that names it, never a shorter answer.
//!
//! ```text
//! text -> syntax (tree) -> Filter -> plan (per segment: rows that surely and rows that maybe match)
//!      -> search (newest first, windows of maybe-rows checked with the Filter, only the columns it needs)
//! ```
//!
//! [`Snapshot`]: crate::snapshot::Snapshot

pub mod control;
pub mod explain;
pub mod filter;
pub mod hint;
pub mod pattern;
pub mod resolve;
pub mod sieve;
pub mod syntax;
mod print;
pub(crate) mod plan;
pub(crate) mod rule_out;
mod search;
mod summary;
pub mod survey;
pub mod tail;
pub mod telex;
pub(crate) mod worth;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tests_oracle;
#[cfg(test)]
mod tests_survey;

use std::time::Duration;

use nhatle_event::{Field, Seq, Stored, Text, Timestamp};

use crate::dataset::Dataset;

pub use control::{Control, Stop};
pub use explain::Explain;
pub use filter::Filter;
pub use search::TOTAL_ROWS_MAX;
pub use summary::FACET_ROWS_MAX;
pub use survey::{Part, Progress, Survey, Wanted};
pub use syntax::{SyntaxError, parse};

/// How many hits one page may have.
pub const HITS_MAX: usize = 10_000;
/// How many values of one field a facet gives.
pub const FACET_VALUES_MAX: usize = 1_000;
/// How many buckets a histogram may have.
pub const BUCKETS_MAX: usize = 10_000;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// What an event must be.
    pub filter: Filter,
    /// `@timestamp` is not before this.
    pub from: Timestamp,
    /// `@timestamp` is before this; [`Timestamp::MAX`] is no end.
    pub to: Timestamp,
    /// In which datasets.
    pub datasets: Vec<Dataset>,
    /// The events of these organization units only (`nhatle.unit`, byte for byte); `None` is no limit. An
    /// event without a unit is in no unit.
    pub units: Option<Vec<Text>>,
}

impl Query {
    /// Every event of the dataset `events` that the filter holds for, of all times and units.
    pub fn new(filter: Filter) -> Query {
        Query { filter, from: Timestamp::MIN, to: Timestamp::MAX, datasets: vec![Dataset::Events], units: None }
    }

    /// Reads a line of the query language; an empty one is everything.
    ///
    /// # Errors
    /// The line is not of the language; the error says where.
    pub fn parse(line: &str) -> Result<Query, SyntaxError> {
        Ok(Query::new(parse(line)?))
    }

    /// The same with another time range.
    #[must_use]
    pub fn between(self, from: Timestamp, to: Timestamp) -> Query {
        Query { from, to, ..self }
    }

    /// The same in other datasets.
    #[must_use]
    pub fn in_datasets(self, datasets: &[Dataset]) -> Query {
        Query { datasets: datasets.to_vec(), ..self }
    }

    /// The same for these units only.
    #[must_use]
    pub fn for_units(self, units: &[Text]) -> Query {
        Query { units: Some(units.to_vec()), ..self }
    }

    /// The time range holds this moment.
    pub fn is_in_time(&self, stamp: Timestamp) -> bool {
        self.from <= stamp && (stamp < self.to || self.to == Timestamp::MAX)
    }

    /// The plain meaning of a query for one event of one of its datasets.
    pub fn matches(&self, stored: &Stored) -> bool {
        self.is_in_time(stored.event.timestamp) && self.is_in_units(stored) && self.filter.matches(stored)
    }

    /// The unit limit lets this event through.
    pub fn is_in_units(&self, stored: &Stored) -> bool {
        is_in_units(self.units.as_deref(), stored)
    }
}

/// A limit to units lets this event through: its `nhatle.unit` is one text, and one of these.
pub fn is_in_units(units: Option<&[Text]>, stored: &Stored) -> bool {
    let Some(units) = units else { return true };
    match stored.event.text(Field::NHATLE_UNIT) {
        Some(unit) => crate::segment::is_unit_code(unit) && units.iter().any(|one| one == unit),
        None => false,
    }
}

/// In which order hits come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By `@timestamp`, then `Seq`, the highest first.
    #[default]
    NewestFirst,
    /// By `@timestamp`, then `Seq`, the lowest first.
    OldestFirst,
}

/// A place between two hits; the next page begins behind it. Events that are appended later never move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// `@timestamp` of the hit before.
    pub timestamp: Timestamp,
    /// `Seq` of the hit before.
    pub seq: Seq,
}

impl Cursor {
    /// The place right behind this event.
    pub fn behind(stored: &Stored) -> Cursor {
        Cursor { timestamp: stored.event.timestamp, seq: stored.seq }
    }

    /// Reads what `Display` wrote (`<nanoseconds>.<seq>`); `None` for text that is no cursor.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (timestamp, seq) = text.split_once('.')?;
        Some(Cursor { timestamp: Timestamp(timestamp.parse().ok()?), seq: Seq(seq.parse().ok()?) })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.timestamp.0, self.seq)
    }
}

/// Which part of the hits is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many, at most [`HITS_MAX`].
    pub limit: usize,
    /// Behind which place; `None` is from the start.
    pub cursor: Option<Cursor>,
    /// In which order.
    pub order: Order,
}

impl Page {
    /// The first `limit` hits, newest first.
    pub fn first(limit: usize) -> Page {
        Page { limit, cursor: None, order: Order::NewestFirst }
    }

    /// The hits behind a place, in the same order.
    #[must_use]
    pub fn behind(self, cursor: Cursor) -> Page {
        Page { cursor: Some(cursor), ..self }
    }
}

/// A page of hits.
#[derive(Clone, Debug)]
pub struct Hits {
    /// The events.
    pub hits: Vec<Stored>,
    /// How many events match in all, on any page.
    pub total: u64,
    /// `total` was counted to the end; otherwise the true number is not larger.
    pub total_is_exact: bool,
    /// Where the next page begins; `None` when there is none. A page may have fewer hits than asked for
    /// and still a next one, when the limit of what one call looks at was reached.
    pub cursor: Option<Cursor>,
    /// How long it took.
    pub took: Duration,
}

/// The values of one field among the events that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The field, as it was asked for.
    pub field: Text,
    /// Its most frequent values with their number of events, the most frequent first, then by value.
    pub values: Vec<(String, u64)>,
    /// Every event that matches was looked at; otherwise the newest were.
    pub is_exact: bool,
    /// Among how many events they were counted.
    pub looked_at: u64,
    /// How many different values there are among them.
    pub distinct: u64,
}
