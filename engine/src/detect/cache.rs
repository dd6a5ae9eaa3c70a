//! The value cache of a worker: from `(group of columns, value)` to the marks that hold for it and the rules
//! they wake.
//!
//! Values repeat enormously (34,426 images of a day are 261 distinct ones), so nearly every value is looked
//! up here and not in an index. Two generations of at most [`GENERATION_BYTES_MAX`] each: what is used moves
//! to the young one, the old one is dropped whole. Texts and lists stand end to end in one vector each, so
//! that remembering a value allocates nothing of its own. Keys are compared in full; the hash is keyed,
//! because attackers choose command lines. A group whose values hardly repeat is not cached for a while.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::witness::Plan;

/// How many bytes of texts, lists and entries one generation holds.
pub const GENERATION_BYTES_MAX: usize = 4 << 20;
/// Longer values are looked up in the index each time.
pub const CACHED_VALUE_BYTES_MAX: usize = 2048;
/// After so many look-ups it is judged whether caching a group pays.
const JUDGED_AFTER: u32 = 4096;

/// What is known of a value. The places are in the young generation, good until the next look-up.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    hash: u64,
    group: u32,
    text: u32,
    text_length: u32,
    list: u32,
    mark_count: u32,
    wake_count: u32,
    /// One of the marks is a keyword's.
    pub has_keyword: bool,
    /// The plan the wakes are of.
    plan: u32,
}

/// An entry that can be asked for again without looking for it.
#[derive(Clone, Copy, Debug)]
pub struct Remembered {
    entry: Entry,
    rotation: u32,
}

#[derive(Clone, Copy, Default)]
struct Habit {
    looked_up: u32,
    found: u32,
    skip: u32,
}

#[derive(Default)]
struct Generation {
    entries: HashTable<Entry>,
    texts: String,
    lists: Vec<u32>,
}

impl Generation {
    fn bytes(&self) -> usize {
        self.texts.len() + 4 * self.lists.len() + size_of::<Entry>() * self.entries.len()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.texts.clear();
        self.lists.clear();
    }

    fn text(&self, entry: &Entry) -> &str {
        let start = entry.text as usize;
        self.texts.get(start..start + entry.text_length as usize).unwrap_or("")
    }

    fn marks(&self, entry: &Entry) -> &[u32] {
        let start = entry.list as usize;
        self.lists.get(start..start + entry.mark_count as usize).unwrap_or(&[])
    }

    fn wakes(&self, entry: &Entry) -> &[u32] {
        let start = (entry.list + entry.mark_count) as usize;
        self.lists.get(start..start + entry.wake_count as usize).unwrap_or(&[])
    }

    fn find(&self, hash: u64, group: u32, value: &str) -> Option<&Entry> {
        self.entries.find(hash, |entry| entry.hash == hash && entry.group == group && self.text(entry) == value)
    }
}

/// Bounded far below: a generation holds [`GENERATION_BYTES_MAX`].
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// See the module.
#[derive(Default)]
pub struct ValueCache {
    hasher: RandomState,
    young: Generation,
    old: Generation,
    habits: Vec<Habit>,
    /// How often generations changed: with the old one go the places of entries.
    rotation: u32,
    moved: Vec<u32>,
    waking: Vec<u32>,
}

impl ValueCache {
    /// Whether values of this group, of this length, are worth remembering now.
    pub fn is_worth_it(&mut self, group: u32, length: usize) -> bool {
        if CACHED_VALUE_BYTES_MAX < length {
            return false;
        }
        let place = group as usize;
        if self.habits.len() <= place {
            self.habits.resize(place + 1, Habit::default());
        }
        let habit = &mut self.habits[place];
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

    /// The hash of a value, for the look-ups below.
    pub fn hash(&self, group: u32, value: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(value.as_bytes());
        hasher.write_u32(group);
        hasher.finish()
    }

    /// The entry of a value, its wakes those of this plan, where the value is remembered.
    pub fn find(&mut self, hash: u64, group: u32, value: &str, plan: &Plan) -> Option<Entry> {
        let entry = match self.young.find(hash, group, value) {
            Some(entry) if entry.plan == plan.serial => *entry,
            Some(entry) => {
                let entry = *entry;
                self.renew(entry, plan)
            }
            None => {
                let found = self.old.find(hash, group, value)?;
                let mut marks = std::mem::take(&mut self.moved);
                marks.clear();
                marks.extend_from_slice(self.old.marks(found));
                let has_keyword = found.has_keyword;
                let entry = self.insert((hash, group), value, (&marks, has_keyword), plan);
                self.moved = marks;
                entry
            }
        };
        if let Some(habit) = self.habits.get_mut(group as usize) {
            habit.found += 1;
        }
        Some(entry)
    }

    /// Works the wakes of an entry out again.
    fn renew(&mut self, mut entry: Entry, plan: &Plan) -> Entry {
        plan.wakes_of(self.young.marks(&entry), &mut self.waking);
        let start = entry.list as usize;
        let lists = &mut self.young.lists;
        entry.list = number(lists.len());
        lists.extend_from_within(start..start + entry.mark_count as usize);
        lists.extend_from_slice(&self.waking);
        (entry.wake_count, entry.plan) = (number(self.waking.len()), plan.serial);
        let is_it = |known: &Entry| known.text == entry.text && known.group == entry.group;
        if let Some(known) = self.young.entries.find_mut(entry.hash, is_it) {
            *known = entry;
        }
        entry
    }

    /// Remembers a value that is not known, by hash and group: its marks, and whether one is a keyword's.
    pub fn insert(
        &mut self,
        (hash, group): (u64, u32),
        value: &str,
        (marks, has_keyword): (&[u32], bool),
        plan: &Plan,
    ) -> Entry {
        if GENERATION_BYTES_MAX < self.young.bytes() + value.len() {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.rotation = self.rotation.wrapping_add(1);
        }
        plan.wakes_of(marks, &mut self.waking);
        let entry = Entry {
            hash,
            group,
            text: number(self.young.texts.len()),
            text_length: number(value.len()),
            list: number(self.young.lists.len()),
            mark_count: number(marks.len()),
            wake_count: number(self.waking.len()),
            has_keyword,
            plan: plan.serial,
        };
        self.young.lists.extend_from_slice(marks);
        self.young.lists.extend_from_slice(&self.waking);
        self.young.texts.push_str(value);
        self.young.entries.insert_unique(hash, entry, |entry| entry.hash);
        entry
    }

    /// For [`ValueCache::is_still`].
    pub fn remember(&self, entry: Entry) -> Remembered {
        Remembered { entry, rotation: self.rotation }
    }

    /// The entry found before, if it is of this value. The plan must be the same.
    pub fn is_still(&self, last: Option<&Remembered>, value: &str) -> Option<Entry> {
        let last = last.filter(|last| last.rotation == self.rotation)?;
        (self.young.text(&last.entry) == value).then_some(last.entry)
    }

    /// The marks that hold for the value of an entry.
    pub fn marks(&self, entry: &Entry) -> &[u32] {
        self.young.marks(entry)
    }

    /// The rules its marks wake.
    pub fn wakes(&self, entry: &Entry) -> &[u32] {
        self.young.wakes(entry)
    }
}

impl Entry {
    /// Whether the value is of no interest to anybody.
    pub fn is_idle(&self) -> bool {
        self.mark_count == 0 && self.wake_count == 0
    }
}
