//! Up to where inputs and forwarders have come: offsets of files, cursors of journals, numbers of forwarders.
//!
//! In: the [`Keep`]s of batches. Out: the place kept under a key. The book goes into the log with the batch it speaks of
//! (marks `places.00` to `places.07`; keys are spread over them, and a batch writes only those it touched): what it says
//! is stored is stored, and what is stored it says, also after `kill -9`. Bounded: past [`PLACES_MAX`] the place that
//! was not moved for the longest time is forgotten.

use std::collections::BTreeMap;

use nhatle_collector::listen::{KEEP_KEY_BYTES_MAX, KEEP_VALUE_BYTES_MAX, Keep};
use nhatle_storage::Finding;
use serde::{Deserialize, Serialize};

use crate::tend::scrub;

/// How many places are kept.
pub const PLACES_MAX: usize = 8_192;
/// Over how many marks they are spread.
const SHARDS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    value: String,
    /// Counts moves of all places, so that the stalest one is known.
    moved: u64,
}

/// Every kept place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceBook {
    shards: [BTreeMap<String, Place>; SHARDS],
    touched: [bool; SHARDS],
    moves: u64,
    /// Marks that could not be read when it was opened.
    damaged: Vec<Finding>,
}

impl PlaceBook {
    /// Marks that could not be read when the book was opened: whose places they kept begins anew.
    pub fn damaged(&self) -> &[Finding] {
        &self.damaged
    }

    /// The book as its marks kept it; an empty one where there are none.
    pub fn from_marks(mark: impl Fn(&str) -> Option<Vec<u8>>) -> PlaceBook {
        let mut book = PlaceBook::default();
        for (shard, places) in book.shards.iter_mut().enumerate() {
            let name = mark_name(shard);
            let kept = mark(&name).map(|bytes| serde_json::from_slice(&bytes)).transpose();
            let kept = kept.inspect_err(|error| book.damaged.push(scrub::of_mark(&name, error)));
            *places = kept.ok().flatten().unwrap_or_default();
        }
        book.moves = book.shards.iter().flat_map(BTreeMap::values).map(|place| place.moved).max().unwrap_or(0);
        book
    }

    /// The place kept under this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.shards[shard_of(key)].get(key).map(|place| place.value.as_str())
    }

    /// Every key that begins so, with its place.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let places = self.shards.iter().flatten();
        places.filter(move |(key, _)| key.starts_with(prefix)).map(|(key, place)| (key.as_str(), place.value.as_str()))
    }

    /// Moves places.
    pub fn keep(&mut self, keeps: &[Keep]) {
        for keep in keeps {
            if KEEP_KEY_BYTES_MAX < keep.key.len() || KEEP_VALUE_BYTES_MAX < keep.value.len() {
                tracing::error!(bytes = keep.value.len(), "a place is too long to be kept");
                continue;
            }
            let shard = shard_of(&keep.key);
            if keep.value.is_empty() {
                self.touched[shard] |= self.shards[shard].remove(&keep.key).is_some();
                continue;
            }
            self.touched[shard] = true;
            self.moves += 1;
            let place = Place { value: keep.value.clone(), moved: self.moves };
            if self.shards[shard].insert(keep.key.clone(), place).is_none() {
                self.forget_past_bound();
            }
        }
    }

    /// The marks of all places moved since this was last called.
    pub fn take_touched(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut marks = Vec::new();
        for (shard, is_touched) in self.touched.iter_mut().enumerate().filter(|(_, is_touched)| **is_touched) {
            *is_touched = false;
            let json = serde_json::to_vec(&self.shards[shard]).expect("a map of text to text and numbers is JSON");
            marks.push((mark_name(shard), json));
        }
        marks
    }

    fn forget_past_bound(&mut self) {
        if self.shards.iter().map(BTreeMap::len).sum::<usize>() <= PLACES_MAX {
            return;
        }
        let all = self.shards.iter().enumerate().flat_map(|(shard, places)| places.iter().map(move |one| (shard, one)));
        let stalest = all.min_by_key(|(_, (_, place))| place.moved).map(|(shard, (key, _))| (shard, key.clone()));
        if let Some((shard, key)) = stalest {
            tracing::warn!(key, "more places than are kept: the stalest one is forgotten");
            self.shards[shard].remove(&key);
            self.touched[shard] = true;
        }
    }
}

fn mark_name(shard: usize) -> String {
    format!("places.{shard:02}")
}

/// FNV-1a of the key: stable over versions, because the marks are kept.
fn shard_of(key: &str) -> usize {
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash % SHARDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(key: &str, value: &str) -> Keep {
        Keep { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn places_come_back_from_their_marks() {
        let mut book = PlaceBook::default();
        book.keep(&[keep("file/a", "1"), keep("file/b", "2"), keep("file/a", "3"), keep("forward/x", "9")]);
        let marks = book.take_touched();
        let mut again =
            PlaceBook::from_marks(|name| marks.iter().find(|(known, _)| known == name).map(|(_, json)| json.clone()));
        assert_eq!(again, book);
        assert_eq!(again.get("file/a"), Some("3"));
        assert_eq!(again.below("file/").count(), 2);
        again.keep(&[keep("file/a", "")]);
        assert_eq!(again.get("file/a"), None);
        assert_eq!(again.take_touched().len(), 1);
        assert!(again.take_touched().is_empty());
    }

    #[test]
    fn past_the_bound_the_stalest_is_forgotten() {
        let mut book = PlaceBook::default();
        for number in 0..PLACES_MAX {
            book.keep(&[keep(&format!("file/{number}"), "1")]);
        }
        book.keep(&[keep("file/0", "2"), keep("file/new", "1"), keep(&"x".repeat(2000), "1")]);
        assert_eq!(book.below("file/").count(), PLACES_MAX);
        assert_eq!((book.get("file/0"), book.get("file/1"), book.get("file/new")), (Some("2"), None, Some("1")));
    }
}
