//! Conservation, checked by the program itself: for each hour that is over and each source, received = stored + rejected +
//! duplicate, and stored = what search counts for that source and that hour of receipt.
//!
//! In: the book and a snapshot, taken together. Out: the sources that differ. The two counts come by different ways: the book adds up
//! what the appending stage did, search reads the events. Failure: a segment that cannot be read. Cheap: one
//! look at the hour's events, source and moment of receipt only, some segments at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nhatle_event::{Field, Timestamp};
use nhatle_storage::query::{Control, Query};
use nhatle_storage::{Dataset, ReadError, Snapshot};
use serde::{Deserialize, Serialize};

use super::alert::{of_imbalance, raise};
use crate::pipeline::Shared;
use crate::sources::hour::HOUR_NS;
use crate::sources::{OTHER_SOURCE, SourceBook, history};

/// The mark that keeps what was checked.
pub const MARK: &str = "sources.checked";
/// How many differences are remembered.
const DIFFERENCES_MAX: usize = 100;
/// How many hours before the newest are checked at the first start.
const FIRST_HOURS: i64 = 2;
/// The longest rest between two steps: nobody waits for this, so it works at most half of the time.
const REST_MAX: Duration = Duration::from_secs(1);

/// A source whose hour does not add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which.
    pub source: String,
    /// Its organization unit.
    pub unit: Option<String>,
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// Received, stored, rejected, duplicate, as the book says.
    pub book: [u64; 4],
    /// What search counts.
    pub found: u64,
}

/// What was checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checked {
    /// The last hour that was; 0 = none yet.
    pub through: i64,
    /// How many hours.
    pub hours: u64,
    /// What did not add up, newest last.
    pub differences: Vec<Difference>,
}

/// The sources whose hour does not add up.
///
/// # Errors
/// A segment cannot be read, or is damaged; it was told to stop.
pub fn compare(
    book: &SourceBook,
    snapshot: &Snapshot,
    hour: i64,
    control: &Control,
) -> Result<Vec<Difference>, ReadError> {
    let parts = history::of_hour(book, snapshot, hour)?;
    let after = parts.values().map(|part| part.after_seq).min().unwrap_or(u64::MAX);
    let begin = Timestamp(hour.saturating_mul(HOUR_NS));
    let text = format!("event.created:[\"{begin}\" TO \"{}\"}}", begin.plus_nanos(HOUR_NS));
    let query = Query::parse(&text).expect("two moments are of the language");
    let query = query.in_datasets(&[Dataset::Events, Dataset::DeadLetters]);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    let mut since = Instant::now();
    let rest = || {
        std::thread::sleep(since.elapsed().min(REST_MAX));
        since = Instant::now();
    };
    let counts = snapshot.count_by(&query, Field::NHATLE_SOURCE, (after, book.counted.0), control, rest)?;
    for (source, count) in counts {
        let name = if parts.contains_key(&source) { source } else { OTHER_SOURCE.to_owned() };
        *found.entry(name).or_default() += count;
    }
    let mut differences = Vec::new();
    for (source, part) in &parts {
        let counts = &part.counts;
        let found = found.remove(source).unwrap_or(0);
        if !counts.is_balanced() || counts.stored != found {
            differences.push(Difference {
                unit: book.row(source).and_then(|row| row.unit.clone()),
                source: source.clone(),
                hour,
                book: [counts.received, counts.stored, counts.rejected, counts.duplicate],
                found,
            });
        }
    }
    // Stored, and in no book.
    let lost = found.into_iter().map(|(source, found)| Difference { source, unit: None, hour, book: [0; 4], found });
    differences.extend(lost);
    Ok(differences)
}

/// Checks the next hour that is over and stored, until it is told to stop. Says whether there was one.
pub fn check_next(shared: &Shared, newest: i64, control: &Control) -> bool {
    let next = match shared.feed.checked().through {
        0 => newest - FIRST_HOURS + 1,
        through => through + 1,
    };
    if newest < next {
        return false;
    }
    // Together: each hour is in one of them.
    let (book, snapshot) = {
        let book = shared.book();
        (book.clone(), shared.store.snapshot())
    };
    match compare(&book, &snapshot, next, control) {
        Ok(differences) => {
            let begin = Timestamp(next.saturating_mul(HOUR_NS));
            let now = shared.clock.now();
            let alert = |one: &Difference| of_imbalance(&one.source, one.unit.as_deref(), begin, &why(one), now);
            if !raise(shared, differences.iter().map(alert).collect()) {
                return false;
            }
            let mut checked = shared.feed.checked();
            (checked.through, checked.hours) = (next, checked.hours + 1);
            checked.differences.extend(differences);
            let past = checked.differences.len().saturating_sub(DIFFERENCES_MAX);
            checked.differences.drain(..past);
            let mark = serde_json::to_vec(&*checked).unwrap_or_default();
            drop(checked);
            if let Err(error) = shared.store.append_from(&mut Vec::new(), &[(MARK, mark)]) {
                tracing::debug!(%error, "what was checked is not written down");
            }
            true
        }
        Err(ReadError::Stopped(_)) => false,
        Err(error @ (ReadError::Corrupt(_) | ReadError::Unreadable { .. })) => {
            // It will not be otherwise the next time; the hours behind it are checked all the same.
            tracing::error!(%error, hour = next, "an hour of the receipt book cannot be checked");
            shared.feed.checked().through = next;
            true
        }
        Err(error) => {
            tracing::warn!(%error, "an hour of the receipt book not checked");
            false
        }
    }
}

fn why(one: &Difference) -> [String; 2] {
    let ([received, stored, rejected, duplicate], found, source) = (one.book, one.found, &one.source);
    let hour = Timestamp(one.hour.saturating_mul(HOUR_NS));
    [
        format!(
            "Nguồn {source}, giờ {hour}: sổ ghi nhận {received} = lưu {stored} + từ chối {rejected} + trùng {duplicate}, nhưng kho đếm được {found}."
        ),
        format!(
            "Source {source}, hour {hour}: the book says received {received} = stored {stored} + rejected {rejected} + duplicate {duplicate}, the store counts {found}."
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nhatle_event::{Event, SystemClock};
    use nhatle_storage::{Config, OsDisk, Store};

    use super::*;
    use crate::sources::{Fate, Tally};

    /// A store with some records of two sources in two hours, in a segment and in memory, and its book.
    fn stored(folder: &std::path::Path) -> (Store, SourceBook) {
        let disk = Arc::new(OsDisk::new(folder).expect("the folder is there"));
        let store = Store::open(disk, Config::default(), Arc::new(SystemClock)).expect("opens");
        let mut book = SourceBook::default();
        for number in 0..60_i64 {
            let mut event = Event::new(Timestamp(number), *b"x");
            event.received = Timestamp(7 * HOUR_NS + number * HOUR_NS / 30);
            event.set(Field::NHATLE_SOURCE, if number % 3 == 0 { "fw" } else { "PC-1" });
            let (dataset, fate) = match number % 7 {
                0 => (Dataset::DeadLetters, Fate::DeadLettered),
                _ => (Dataset::Events, Fate::Stored),
            };
            let mut tally = Tally::new();
            tally.count(&event, fate, book.counted.0);
            let rows = store.append(vec![(dataset, event)], &[]).expect("is written");
            book.after_batch(&tally, rows.last().map(|last| last.seq));
            if number == 40 {
                store.seal().expect("seals");
            }
        }
        (store, book)
    }

    #[test]
    fn a_book_that_was_tampered_with_is_found_and_an_honest_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, mut book) = stored(folder.path());
        let check = |book: &SourceBook| {
            let snapshot = store.snapshot();
            [6, 7, 8].map(|hour| compare(book, &snapshot, hour, &Control::default()).expect("reads"))
        };
        assert_eq!(check(&book), [vec![], vec![], vec![]]);
        book.keep(&store, &Tally::new(), Timestamp(20 * HOUR_NS), true).expect("is written");
        assert_eq!(check(&book), [vec![], vec![], vec![]], "the hours are stored now");
        // One record more than there is.
        let mut event = Event::new(Timestamp(0), *b"x");
        event.received = Timestamp(8 * HOUR_NS + 5);
        event.set(Field::NHATLE_SOURCE, "fw");
        let mut tally = Tally::new();
        tally.count(&event, Fate::Stored, 0);
        let mut tampered = book.clone();
        tampered.add(&tally);
        let [_, before, found] = check(&tampered);
        assert!(before.is_empty());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].source.as_str(), found[0].book[1], found[0].found), ("fw", 11, 10));
        // A record that no book has.
        event.set(Field::NHATLE_SOURCE, "stranger");
        let rows = store.append(vec![(Dataset::Events, event)], &[]).expect("is written");
        book.counted = rows.last().map_or(book.counted, |last| last.seq);
        let [_, _, found] = check(&book);
        assert_eq!(found.iter().map(|one| (one.source.as_str(), one.found)).collect::<Vec<_>>(), [(OTHER_SOURCE, 1)]);
    }
}
