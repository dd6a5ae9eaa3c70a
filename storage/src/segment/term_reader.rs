//! The terms of one kind of an index that is open, in the form of today or in Tantivy's, in which indexes of versions 1 and 2
//! are. In: terms, and fronts of them. Out: rows. Failure: the reason, as text.

use std::sync::Arc;

use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, InvertedIndexReader, TERMINATED};

use super::dictionary::Dictionary;
use super::rows::RowSet;

/// The terms of one kind.
pub enum TermReader {
    /// Of version 3.
    Own(Dictionary),
    /// Of versions 1 and 2.
    Tantivy(Arc<InvertedIndexReader>),
}

impl TermReader {
    /// Adds the rows of a term, where it is there.
    ///
    /// # Errors
    /// The terms are not readable; the reason.
    pub fn add(&self, term: &[u8], rows: &mut RowSet) -> Result<(), String> {
        match self {
            TermReader::Own(terms) => terms.add(term, rows),
            TermReader::Tantivy(reader) => match reader.terms().get(term).map_err(|error| error.to_string())? {
                Some(info) => add_postings(reader, &info, rows),
                None => Ok(()),
            },
        }
    }

    /// How many rows a term has; none where it is not there.
    ///
    /// # Errors
    /// The terms are not readable; the reason.
    pub fn count(&self, term: &[u8]) -> Result<u64, String> {
        match self {
            TermReader::Own(terms) => terms.count(term),
            TermReader::Tantivy(reader) => {
                let found = reader.terms().get(term).map_err(|error| error.to_string())?;
                Ok(found.map_or(0, |info| u64::from(info.doc_freq)))
            }
        }
    }

    /// Adds the rows of every term that begins with `prefix` and whose text behind `behind` passes. `false`
    /// where the budget ran out.
    ///
    /// # Errors
    /// They are not readable; the reason.
    pub fn add_that(
        &self,
        prefix: &str,
        behind: &str,
        budget: &mut usize,
        rows: &mut RowSet,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool, String> {
        let mut is_done = true;
        self.each(prefix, &mut |term, add| {
            let Ok(term) = std::str::from_utf8(term) else { return Ok(false) };
            let Some(left) = budget.checked_sub(1) else {
                is_done = false;
                return Ok(false);
            };
            *budget = left;
            if term.strip_prefix(behind).is_some_and(&mut *test) {
                add(rows)?;
            }
            Ok(true)
        })?;
        Ok(is_done)
    }

    /// Goes through the terms that begin so until `each` says that it is enough.
    pub(super) fn each(&self, prefix: &str, each: Each<'_>) -> Result<(), String> {
        let reader = match self {
            TermReader::Own(terms) => return terms.each(prefix.as_bytes(), each),
            TermReader::Tantivy(reader) => reader,
        };
        let range = reader.terms().range().ge(prefix.as_bytes());
        let mut stream = range.into_stream().map_err(|error| error.to_string())?;
        while stream.advance() {
            let info = stream.value();
            let is_more = stream.key().starts_with(prefix.as_bytes())
                && each(stream.key(), &mut |rows| add_postings(reader, info, rows))?;
            if !is_more {
                break;
            }
        }
        Ok(())
    }
}

/// Is given a term, and what adds its rows; says whether more are wanted.
pub(super) type Each<'a> =
    &'a mut dyn FnMut(&[u8], &mut dyn FnMut(&mut RowSet) -> Result<(), String>) -> Result<bool, String>;

fn add_postings(
    reader: &InvertedIndexReader,
    info: &tantivy::postings::TermInfo,
    rows: &mut RowSet,
) -> Result<(), String> {
    let postings = reader.read_postings_from_terminfo(info, IndexRecordOption::Basic);
    let mut postings = postings.map_err(|error| error.to_string())?;
    while postings.doc() != TERMINATED {
        rows.insert(usize::try_from(postings.doc()).unwrap_or(usize::MAX));
        postings.advance();
    }
    Ok(())
}
