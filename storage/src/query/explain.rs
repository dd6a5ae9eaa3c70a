//! `Explain`: what a search did: what was not looked at and why, what was, and where the time went. In: notes of the
//! walk over segments. Out: plain numbers. Promise: every stored row in the datasets asked for is counted once under
//! why it was not looked at, or as a candidate; the numbers are of the whole store, so they are only for whoever may
//! see all of it.

use std::time::Duration;

use serde::Serialize;

use super::filter::{Filter, Test, is_own};
use crate::segment::terms::{has_exact_terms, is_running_text};

/// How the index answers one test of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// One entry of the dictionary, nothing else to look at.
    Entry,
    /// Entries of the dictionary, then the rows they name.
    EntryThenRows,
    /// The dictionary is gone through; where it is short enough, nothing else is looked at.
    Dictionary,
    /// The dictionary is gone through, then the rows it names are looked at.
    DictionaryThenRows,
    /// The times of the rows.
    Times,
    /// Nothing but looking at rows tells.
    Rows,
}

impl How {
    /// How this test is answered, as far as its form says.
    pub fn of(filter: &Filter) -> How {
        match filter {
            Filter::Phrase(phrase) => match phrase.parts() {
                [] => How::Rows,
                [_] if !phrase.needs_marks() => How::Entry,
                _ => How::EntryThenRows,
            },
            Filter::Wildcard(wildcard) if wildcard.is_of_parts() => How::Dictionary,
            Filter::Wildcard(wildcard) if wildcard.runs().is_empty() => How::Rows,
            Filter::Wildcard(_) => How::DictionaryThenRows,
            Filter::Field(name, test) => name.candidates.first().map_or(How::Rows, |key| How::of_field(key, test)),
            _ => How::Rows,
        }
    }

    fn of_field(key: &str, test: &Test) -> How {
        match test {
            Test::Range(range) if key == "@timestamp" && range.moments().is_some() => How::Times,
            _ if is_own(key) => How::Rows,
            Test::Is(phrase) if is_running_text(key) && !phrase.parts().is_empty() => How::EntryThenRows,
            Test::Wildcard(wildcard) if is_running_text(key) && !wildcard.runs().is_empty() => How::DictionaryThenRows,
            _ if is_running_text(key) || !has_exact_terms(key) => How::Rows,
            Test::Is(phrase) if phrase.needs_marks() => How::EntryThenRows,
            Test::Is(_) => How::Entry,
            _ => How::Dictionary,
        }
    }

    /// What it costs beside others, cheapest first.
    pub(super) fn cost(self) -> u8 {
        match self {
            How::Times => 0,
            How::Entry => 1,
            How::EntryThenRows => 2,
            How::Dictionary => 3,
            How::DictionaryThenRows => 4,
            How::Rows => 5,
        }
    }
}

/// One test of the query, over all segments it was asked of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestShare {
    /// The test, as the query language has it.
    pub test: String,
    /// How the index answers it.
    pub how: How,
    /// Of how many segments it was asked; of the others another test had already said no.
    pub segments_asked: u64,
    /// In how many of them no row can pass.
    pub segments_without: u64,
    /// How many rows may pass.
    pub rows: u64,
    /// How many of them surely do.
    pub rows_sure: u64,
}

/// Why no row of a segment was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// None is of the time range.
    Time,
    /// None is of the units.
    Unit,
    /// None has a field that is asked for.
    Field,
    /// The words and values asked for are not in the index, or never together.
    Words,
    /// A word or value asked for is not in the filter over the terms of the index, which was not read.
    Filter,
}

/// Where the segments of the datasets went. All but `all` and `read` are why one was not read further.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SegmentShare {
    /// How many there are.
    pub all: u64,
    /// Not opened: outside of the time range, by the manifest.
    pub out_of_time: u64,
    /// Not opened: everything in it matches and none of it is on this page, by the manifest.
    pub counted_whole: u64,
    /// Not opened: the search paused or was enough before it.
    pub not_reached: u64,
    /// Not opened: the filter over the terms of its index lacks a word or value.
    pub filtered: u64,
    /// No row is of the time range.
    pub no_time: u64,
    /// No row is of the units.
    pub no_unit: u64,
    /// No row has a field that is asked for.
    pub no_field: u64,
    /// The words and values are not in its index.
    pub no_words: u64,
    /// Rows of it may match.
    pub candidates: u64,
}

/// Where the rows went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowShare {
    /// In segments, of the datasets asked for.
    pub stored: u64,
    /// In memory, each looked at where its batch is of the time range.
    pub in_memory: u64,
    /// Of those, that match.
    pub in_memory_matched: u64,
    /// That may match, by times, units and index.
    pub candidates: u64,
    /// Of the candidates, that match without being looked at.
    pub sure: u64,
    /// Of the candidates, that were read and looked at.
    pub looked_at: u64,
    /// Read in full, for the page.
    pub fetched: u64,
    /// Read for the values of facets.
    pub for_facets: u64,
}

/// What was read of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadShare {
    /// Indexes that were still in memory.
    pub indexes_kept: u64,
    /// Indexes read from disk.
    pub indexes_read: u64,
    /// Their bytes.
    pub index_bytes: u64,
    /// Row groups of which rows were read; each has some ten thousand rows.
    pub groups: u64,
    /// Pages of which rows were read, in each column that was needed; a page has some thousand rows.
    pub pages: u64,
}

/// How long the steps took, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimeShare {
    /// Looking at what is in memory.
    pub memory_us: u64,
    /// Opening segments and asking indexes.
    pub index_us: u64,
    /// Reading candidates and looking at them, for the page and the count.
    pub rows_us: u64,
    /// Reading the events of the page.
    pub fetch_us: u64,
    /// Bars and facets.
    pub summary_us: u64,
    /// Until the first hits were given.
    pub first_us: u64,
    /// All of it.
    pub all_us: u64,
}

/// What a search did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explain {
    /// The query as it was read.
    pub query: String,
    /// Its tests, in the order in which they were asked.
    pub tests: Vec<TestShare>,
    /// Segments.
    pub segments: SegmentShare,
    /// Rows.
    pub rows: RowShare,
    /// Files.
    pub read: ReadShare,
    /// Time.
    pub time: TimeShare,
}

impl Explain {
    /// One test gave this much of a segment.
    pub(super) fn note_test(&mut self, filter: &Filter, rows: u64, sure: u64) {
        let test = filter.to_string();
        let at = self.tests.iter().position(|one| one.test == test).unwrap_or_else(|| {
            let how = How::of(filter);
            self.tests.push(TestShare { test, how, segments_asked: 0, segments_without: 0, rows: 0, rows_sure: 0 });
            self.tests.len() - 1
        });
        let share = &mut self.tests[at];
        share.segments_asked += 1;
        share.segments_without += u64::from(rows == 0);
        share.rows += rows;
        share.rows_sure += sure;
    }

    /// A segment was opened and planned.
    pub(super) fn note_segment(&mut self, skip: Option<Skip>) {
        let segments = &mut self.segments;
        *match skip {
            Some(Skip::Time) => &mut segments.no_time,
            Some(Skip::Unit) => &mut segments.no_unit,
            Some(Skip::Field) => &mut segments.no_field,
            Some(Skip::Words) => &mut segments.no_words,
            Some(Skip::Filter) => &mut segments.filtered,
            None => &mut segments.candidates,
        } += 1;
    }
}

/// The microseconds of a step.
pub(super) fn micros(step: Duration) -> u64 {
    u64::try_from(step.as_micros()).unwrap_or(u64::MAX)
}
