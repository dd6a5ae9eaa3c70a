//! The receipt book: for each source, what was received, stored, rejected, duplicate and dead-lettered.
//!
//! Invariant (S7, checked by [`SourceBook::unbalanced`]): received = stored + rejected + duplicate, where a
//! dead letter is stored too, in its own dataset, and also counted by itself. The book goes into the log
//! with the batch it counts (marks `sources.00` to `sources.31`: sources are spread over them by name, and a
//! batch writes only those it touched), so that a restart neither forgets nor counts twice.
//! Bounded: sources past [`SOURCES_MAX`] are counted together under [`OTHER_SOURCE`].

use std::collections::BTreeMap;

use nhatle_event::{Event, Field, Timestamp};
use serde::{Deserialize, Serialize};

/// How many sources are counted one by one.
pub const SOURCES_MAX: usize = 4_096;
/// The row of all sources past the bound.
pub const OTHER_SOURCE: &str = "(other)";
/// Over how many marks the book is spread.
pub const SHARDS: usize = 32;

/// What one source sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// The input its last record came by.
    pub input: String,
    /// The organization unit of its last record.
    pub unit: Option<String>,
    /// Records received.
    pub received: u64,
    /// Records stored, as events or as dead letters.
    pub stored: u64,
    /// Records refused (too large, source over its limit).
    pub rejected: u64,
    /// Records stored before, recognized by their id.
    pub duplicate: u64,
    /// Records stored as dead letters.
    pub dead_lettered: u64,
    /// When the last one was received, nanoseconds.
    pub last_seen_ns: i64,
}

/// All sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceBook {
    shards: [BTreeMap<String, Receipts>; SHARDS],
    touched: [bool; SHARDS],
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Stored as an event.
    Stored,
    /// Stored as a dead letter.
    DeadLettered,
    /// Stored before.
    Duplicate,
}

impl SourceBook {
    /// The book as its marks kept it; an empty one where there are none.
    pub fn from_marks(mark: impl Fn(&str) -> Option<Vec<u8>>) -> SourceBook {
        let mut book = SourceBook::default();
        for (shard, rows) in book.shards.iter_mut().enumerate() {
            let kept = mark(&mark_name(shard)).and_then(|bytes| serde_json::from_slice(&bytes).ok());
            *rows = kept.unwrap_or_default();
        }
        book
    }

    /// The marks of all rows counted since this was last called.
    pub fn take_touched(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut marks = Vec::new();
        for (shard, is_touched) in self.touched.iter_mut().enumerate().filter(|(_, is_touched)| **is_touched) {
            *is_touched = false;
            let json = serde_json::to_vec(&self.shards[shard]).expect("a map of text to numbers is JSON");
            marks.push((mark_name(shard), json));
        }
        marks
    }

    /// Counts one record.
    pub fn count(&mut self, event: &Event, fate: Fate, now: Timestamp) {
        let name = event.text(Field::NHATLE_SOURCE).or(event.text(Field::NHATLE_INPUT)).unwrap_or(OTHER_SOURCE);
        let is_known = self.shards[shard_of(name)].contains_key(name);
        let name = if is_known || self.len() < SOURCES_MAX { name } else { OTHER_SOURCE };
        let shard = shard_of(name);
        self.touched[shard] = true;
        let row = self.shards[shard].entry(name.to_owned()).or_default();
        row.received += 1;
        match fate {
            Fate::Stored => row.stored += 1,
            Fate::DeadLettered => {
                row.stored += 1;
                row.dead_lettered += 1;
            }
            Fate::Duplicate => row.duplicate += 1,
        }
        row.last_seen_ns = row.last_seen_ns.max(now.0);
        let set = |held: &mut String, text: Option<&str>| {
            if let Some(text) = text.filter(|text| *text != held.as_str()) {
                text.clone_into(held);
            }
        };
        set(&mut row.input, event.text(Field::NHATLE_INPUT));
        if let Some(unit) = event.text(Field::NHATLE_UNIT) {
            set(row.unit.get_or_insert_default(), Some(unit));
        }
    }

    /// Every source with its receipts.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &Receipts)> {
        self.shards.iter().flatten().map(|(name, row)| (name.as_str(), row))
    }

    fn len(&self) -> usize {
        self.shards.iter().map(BTreeMap::len).sum()
    }

    /// The sources whose numbers do not balance; always none.
    pub fn unbalanced(&self) -> Vec<&str> {
        self.rows()
            .filter(|(_, row)| row.received != row.stored + row.rejected + row.duplicate)
            .map(|(name, _)| name)
            .collect()
    }
}

fn mark_name(shard: usize) -> String {
    format!("sources.{shard:02}")
}

/// FNV-1a of the name: stable over versions, because the marks are kept.
fn shard_of(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash % SHARDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_balances_and_comes_back_from_its_mark() {
        let mut book = SourceBook::default();
        let mut event = Event::new(Timestamp(5), *b"x");
        event.set(Field::NHATLE_SOURCE, "web");
        for fate in [Fate::Stored, Fate::DeadLettered, Fate::Duplicate] {
            book.count(&event, fate, Timestamp(9));
        }
        let (name, row) = book.rows().next().expect("one row");
        assert_eq!((name, row.received, row.stored, row.duplicate, row.dead_lettered), ("web", 3, 2, 1, 1));
        assert!(book.unbalanced().is_empty());
        let marks = book.take_touched();
        assert_eq!(marks.len(), 1);
        let find = |name: &str| marks.iter().find(|(known, _)| known == name).map(|(_, json)| json.clone());
        assert_eq!(SourceBook::from_marks(find), book);
        assert!(book.take_touched().is_empty());
    }

    #[test]
    fn sources_past_the_bound_are_counted_together() {
        let mut book = SourceBook::default();
        for number in 0..SOURCES_MAX + 10 {
            let mut event = Event::new(Timestamp(5), *b"x");
            event.set(Field::NHATLE_SOURCE, format!("s{number}"));
            book.count(&event, Fate::Stored, Timestamp(9));
        }
        assert_eq!(book.rows().count(), SOURCES_MAX + 1);
        assert!(book.rows().any(|(name, row)| name == OTHER_SOURCE && row.received == 10));
    }
}
