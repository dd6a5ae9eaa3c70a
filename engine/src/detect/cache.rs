//! The value cache of a worker: from `(column, value)` to the marks that hold for it and the rules they wake.
//!
//! Values repeat enormously (34,426 images of a day are 261 distinct ones), so nearly every value is looked
//! up here and not in an index. Two generations of at most [`GENERATION_BYTES_MAX`] each: what is used moves
//! to the young one, the old one is dropped whole. Keys are compared in full; the hash is keyed, because
//! attackers choose command lines. A column whose values hardly repeat is not cached for a while.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

/// How many bytes of keys and marks one generation holds.
pub const GENERATION_BYTES_MAX: usize = 4 << 20;
/// Longer values are looked up in the index each time.
pub const CACHED_VALUE_BYTES_MAX: usize = 2048;
/// What an entry costs beside its key and marks.
const ENTRY_BYTES: usize = 80;
/// After so many look-ups it is judged whether caching a column pays.
const JUDGED_AFTER: u32 = 4096;

/// What is known of a value.
pub struct Entry {
    column: u32,
    value: Box<str>,
    /// The marks that hold.
    pub marks: Box<[u32]>,
    /// The rules they wake.
    pub wakes: Box<[u32]>,
}

#[derive(Clone, Copy, Default)]
struct Habit {
    looked_up: u32,
    found: u32,
    skip: u32,
}

/// See the module.
pub struct ValueCache {
    hasher: RandomState,
    young: HashTable<Entry>,
    old: HashTable<Entry>,
    young_bytes: usize,
    habits: Vec<Habit>,
}

impl ValueCache {
    /// An empty cache for so many columns.
    pub fn new(columns: usize) -> ValueCache {
        ValueCache {
            hasher: RandomState::default(),
            young: HashTable::new(),
            old: HashTable::new(),
            young_bytes: 0,
            habits: vec![Habit::default(); columns],
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_bytes = 0;
    }

    /// Whether values of this column, of this length, are worth remembering now.
    pub fn is_worth_it(&mut self, column: u32, length: usize) -> bool {
        let Some(habit) = self.habits.get_mut(column as usize) else { return false };
        if CACHED_VALUE_BYTES_MAX < length {
            return false;
        }
        if habit.skip > 0 {
            habit.skip -= 1;
            return false;
        }
        habit.looked_up += 1;
        if habit.looked_up == JUDGED_AFTER {
            let rarely = habit.found < JUDGED_AFTER / 16;
            *habit = Habit { skip: if rarely { JUDGED_AFTER * 8 } else { 0 }, ..Habit::default() };
        }
        true
    }

    /// The entry of a value; made by `find` where there is none.
    pub fn entry(
        &mut self,
        column: u32,
        value: &str,
        find: impl FnOnce() -> (Box<[u32]>, Box<[u32]>),
    ) -> Option<&Entry> {
        let hash = self.hasher.hash_one((column, value));
        let is_it = |entry: &Entry| entry.column == column && *entry.value == *value;
        if self.young.find(hash, is_it).is_none() {
            let moved = self.old.find_entry(hash, is_it).ok().map(|held| held.remove().0);
            if let (Some(_), Some(habit)) = (&moved, self.habits.get_mut(column as usize)) {
                habit.found += 1;
            }
            let entry = moved.unwrap_or_else(|| {
                let (marks, wakes) = find();
                Entry { column, value: value.into(), marks, wakes }
            });
            self.insert(hash, entry);
        } else if let Some(habit) = self.habits.get_mut(column as usize) {
            habit.found += 1;
        }
        self.young.find(hash, is_it)
    }

    fn insert(&mut self, hash: u64, entry: Entry) {
        let bytes = ENTRY_BYTES + entry.value.len() + 4 * (entry.marks.len() + entry.wakes.len());
        if GENERATION_BYTES_MAX < self.young_bytes + bytes {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        let hasher = &self.hasher;
        self.young.insert_unique(hash, entry, |entry| hasher.hash_one((entry.column, &*entry.value)));
    }
}
