//! The hours of a source: those that are stored and those that are open, as one list.
//!
//! In: the book and a snapshot, taken together. Out: for each hour in a span the sum of its parts, oldest first.
//! Failure: a segment that cannot be read.

use std::collections::BTreeMap;

use nhatle_event::{Field, Timestamp};
use nhatle_storage::query::{Filter, HITS_MAX, Order, Page, Query};
use nhatle_storage::{Dataset, ReadError, Snapshot};

use super::hour::HOUR_NS;
use super::{Ended, HourPart, SourceBook};

/// How many hours are given at once: a year and a bit.
pub const HOURS_MAX: usize = 9_600;

/// The hours of one source that begin in `[from, to)`.
///
/// # Errors
/// A segment cannot be read, or is damaged.
pub fn of_source(
    book: &SourceBook,
    snapshot: &Snapshot,
    source: &str,
    span: (Timestamp, Timestamp),
) -> Result<Vec<HourPart>, ReadError> {
    let mut hours = BTreeMap::new();
    each_ended(snapshot, Filter::is(Field::NHATLE_SOURCE, source), span, |ended| {
        if ended.source == source {
            add(&mut hours, ended.part);
        }
    })?;
    let open = book.row(source).into_iter().flat_map(|row| &row.open);
    open.filter(|part| (span.0..span.1).contains(&part.begin())).for_each(|part| add(&mut hours, part.clone()));
    let mut hours: Vec<HourPart> = hours.into_values().collect();
    let past = hours.len().saturating_sub(HOURS_MAX);
    hours.drain(..past);
    Ok(hours)
}

/// One hour of every source that has anything in it, stored and open.
///
/// # Errors
/// A segment cannot be read, or is damaged.
pub fn of_hour(book: &SourceBook, snapshot: &Snapshot, hour: i64) -> Result<BTreeMap<String, HourPart>, ReadError> {
    let begin = Timestamp(hour.saturating_mul(HOUR_NS));
    let mut sources: BTreeMap<String, HourPart> = BTreeMap::new();
    let mut put = |source: String, part: HourPart| match sources.get_mut(&source) {
        Some(known) => known.add(&part),
        None => drop(sources.insert(source, part)),
    };
    each_ended(snapshot, Filter::All, (begin, begin.plus_nanos(HOUR_NS)), |ended| put(ended.source, ended.part))?;
    for (source, row) in book.rows() {
        row.open.iter().filter(|part| part.hour == hour).for_each(|part| put(source.to_owned(), part.clone()));
    }
    Ok(sources)
}

fn add(hours: &mut BTreeMap<i64, HourPart>, part: HourPart) {
    match hours.get_mut(&part.hour) {
        Some(known) => known.add(&part),
        None => drop(hours.insert(part.hour, part)),
    }
}

fn each_ended(
    snapshot: &Snapshot,
    filter: Filter,
    (from, to): (Timestamp, Timestamp),
    mut take: impl FnMut(Ended),
) -> Result<(), ReadError> {
    let query = Query::new(filter).in_datasets(&[Dataset::Receipts]).between(from, to);
    let mut page = Page { limit: HITS_MAX, cursor: None, order: Order::OldestFirst };
    loop {
        let hits = snapshot.search(&query, &page)?;
        hits.hits.iter().filter_map(|stored| Ended::of(&stored.event)).for_each(&mut take);
        match hits.cursor {
            Some(cursor) => page = page.behind(cursor),
            None => return Ok(()),
        }
    }
}
