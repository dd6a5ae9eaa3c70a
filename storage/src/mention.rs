//! Which rows of a segment may have something of a person, so that an erasure need not decode all others. In: a query, and
//! the value as whoever erases looks for it: without regard to case, in any text or address of an event or in its bytes as
//! received ([`Mention`]). Out: rows ([`Narrowed::rows`]), from the index and from the bytes alone. Promise: a row that is left
//! out does not have it; those given are looked at by whoever asks. What the index folds, cuts or leaves out is taken to
//! be there; a value of which the index cannot tell narrows nothing. Twin: reading every event (`tests_mention.rs`).

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use datafusion::arrow::buffer::BooleanBuffer;
use nhatle_event::Stored;
use regex::bytes::{Regex, RegexBuilder};

use crate::error::ReadError;
use crate::live::{LiveSegment, SegmentForm};
use crate::query::plan::Plan;
use crate::query::{Filter, Query};
use crate::segment::columns::ORIGINAL;
use crate::segment::rows::RowSet;
use crate::segment::terms::is_word_field;
use crate::segment::words::{fold, name_key};
use crate::segment::{Projection, Segment, Spans};

/// How many rows are read at a time.
const BATCH_ROWS: usize = 512;
/// How many runs of a value are looked for.
const RUNS_MAX: usize = 8;
/// Where more than one row in so many may have it, all are read in a row.
const SHARE: u64 = 3;

/// A run of ASCII letters and digits of a folded value. It stands in one word wherever the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    text: String,
    /// Something that is of no word stands before it in the value,
    is_begin: bool,
    /// or behind it.
    is_end: bool,
}

impl Run {
    /// A word (or an address) has it.
    pub(crate) fn is_in(&self, word: &str) -> bool {
        let is_apart = |byte: Option<&u8>| byte.is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric());
        let mut from = 0;
        while let Some(at) = word[from..].find(&self.text).map(|at| from + at) {
            let before = at.checked_sub(1).and_then(|at| word.as_bytes().get(at));
            let behind = word.as_bytes().get(at + self.text.len());
            if (!self.is_begin || is_apart(before)) && (!self.is_end || is_apart(behind)) {
                return true;
            }
            from = at + 1;
        }
        false
    }
}

/// A value that is looked for.
#[derive(Clone, Debug)]
pub struct Mention {
    bytes: Regex,
    runs: Vec<Run>,
}

impl Mention {
    /// The value; `fields` are those that may also have it as a number or a moment. `None` where nothing can be told of it.
    pub fn of(value: &str, fields: &[String]) -> Option<Mention> {
        let lower: String = value.trim().chars().flat_map(char::to_lowercase).collect();
        // İ is two letters in lower case; bytes that are no text read as U+FFFD.
        let is_plain = !lower.contains(['\u{307}', '\u{fffd}']);
        let has_words = fields.iter().all(|name| is_word_field(&name_key(name)));
        let runs = runs(&fold(&lower));
        if !is_plain || !has_words || runs.is_empty() {
            return None;
        }
        Some(Mention { bytes: form_of(&lower)?, runs })
    }
}

/// Finds what a text in lower case is the lower case of, letter by letter.
pub(crate) fn form_of(lower: &str) -> Option<Regex> {
    let mut form = String::new();
    for letter in lower.chars() {
        form.push_str("(?:");
        form.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
        if !letter.is_ascii() {
            // The pattern's tables may be of an older Unicode.
            let large: String = letter.to_uppercase().collect();
            form.push('|');
            form.push_str(&regex::escape(&large));
        }
        form.push(')');
    }
    RegexBuilder::new(&form).case_insensitive(true).build().ok()
}

/// The longest runs.
fn runs(folded: &str) -> Vec<Run> {
    let is_of = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = folded.as_bytes();
    let is_apart = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric());
    let (mut runs, mut begin) = (Vec::new(), 0);
    while begin < bytes.len() {
        let end = (begin..bytes.len()).find(|at| !is_of(bytes.get(*at))).unwrap_or(bytes.len());
        if begin < end {
            let before = begin.checked_sub(1).and_then(|at| bytes.get(at));
            let (is_begin, is_end) = (is_apart(before), is_apart(bytes.get(end)));
            runs.push(Run { text: folded[begin..end].to_owned(), is_begin, is_end });
        }
        begin = end + 1;
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.text.len()));
    runs.truncate(RUNS_MAX);
    runs
}

/// What an erasure can be about at all.
#[derive(Clone, Debug)]
pub struct Narrowed {
    /// Only events that match.
    pub query: Query,
    /// And have this somewhere; `None` is any.
    pub mention: Option<Mention>,
}

impl Narrowed {
    /// The rows; `None` is every row.
    ///
    /// # Errors
    /// The segment cannot be read, or is damaged.
    pub(crate) fn rows(&self, segment: &Arc<Segment>) -> Result<Option<RowSet>, ReadError> {
        let is_all = self.query.filter == Filter::All && self.query.units.is_none();
        let of_query = match is_all {
            true => None,
            false => Some(Plan::new(&self.query, segment.clone())?.into_rows()),
        };
        let Some(mention) = &self.mention else { return Ok(of_query) };
        let index = segment.index()?;
        let mut rows = index.rows_that_may(&mention.runs).map_err(|reason| segment.index_error(reason))?;
        let mut open = rows.inverted();
        if let Some(of_query) = &of_query {
            rows.keep(of_query);
            open.keep(of_query);
        }
        in_bytes(segment, &open, &mention.bytes, &mut rows)?;
        Ok(Some(rows))
    }
}

/// Adds those of the open rows that have it in their bytes as received.
fn in_bytes(segment: &Segment, open: &RowSet, form: &Regex, rows: &mut RowSet) -> Result<(), ReadError> {
    let spans = Spans::of(segment, None)?;
    let mut begin = 0;
    for group in 0..spans.count() {
        let count = spans.rows(group);
        let asked: Vec<usize> = (begin..begin + count).filter(|row| open.contains(*row)).collect();
        if !asked.is_empty() {
            let picked = BooleanBuffer::collect_bool(count, |row| open.contains(begin + row));
            let mut asked = asked.into_iter();
            for table in spans.read(group, &Some(picked), &[ORIGINAL], BATCH_ROWS)? {
                let table = table?;
                let bytes = table.column_by_name(ORIGINAL).and_then(|column| column.as_binary_view_opt());
                for at in 0..table.num_rows() {
                    let Some(row) = asked.next() else { break };
                    // A column that is not as we write it says nothing.
                    if bytes.is_none_or(|bytes| bytes.is_null(at) || form.is_match(bytes.value(at))) {
                        rows.insert(row);
                    }
                }
            }
            // As are rows that did not come.
            asked.for_each(|row| rows.insert(row));
        }
        begin += count;
    }
    Ok(())
}

impl LiveSegment {
    /// Goes through its events that it may be about, some at a time, in no order; `false` of `see` ends it. Says whether it went
    /// to the end.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn each_of(&self, narrowed: &Narrowed, see: &mut dyn FnMut(&[Stored]) -> bool) -> Result<bool, ReadError> {
        let rows = match self.form() {
            SegmentForm::Columns => narrowed.rows(&self.open()?)?,
            #[cfg(any(test, feature = "sim"))]
            SegmentForm::Plain => None,
        };
        let Some(rows) = rows.filter(|rows| rows.count() < self.meta().row_count / SHARE) else {
            return self.in_batches(&mut |events| see(&events));
        };
        let segment = self.open()?;
        let rows: Vec<usize> = rows.iter().collect();
        for rows in rows.chunks(BATCH_ROWS) {
            if !see(&segment.fetch(rows, Projection::All)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
