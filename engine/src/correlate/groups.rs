//! `Groups`: the groups of one correlation by key.
//!
//! In: keys. Out: groups. A small table of 8 bytes a group finds the place of a group by a hash of 32 bits, which is
//! verified by the key; groups stand in chunks of fixed size, each with its key in two lines of the cache, and never
//! move. So a table that grows moves and hashes nothing but its 8 bytes, and one that is looked up in stays in
//! the cache where the groups do not. Places of groups that went are used again.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use nhatle_event::Text;

use super::group::Group;

/// Groups of a chunk: 32 KiB.
const CHUNK_GROUPS: usize = 256;

/// See the module.
#[derive(Default)]
pub struct Groups {
    table: HashTable<Entry>,
    chunks: Vec<Vec<Option<Slot>>>,
    free: Vec<u32>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    place: u32,
}

/// Two lines of the cache.
#[repr(align(64))]
struct Slot {
    key: Text,
    group: Group,
}

impl Entry {
    /// The table wants bits at both ends.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Groups {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The group of a key.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Group> {
        let place = self.find(self.hash(key), key)?;
        slot_mut(&mut self.chunks, place).map(|slot| &mut slot.group)
    }

    /// The group of a key; `make` makes it where there is none.
    pub fn get_or_insert_with(&mut self, key: &str, make: impl FnOnce() -> Group) -> &mut Group {
        let hash = self.hash(key);
        let place = match self.find(hash, key) {
            Some(place) => place,
            None => self.put(hash, Slot { key: Text::from(key), group: make() }),
        };
        &mut slot_mut(&mut self.chunks, place).expect("what was found or put is there").group
    }

    /// Puts a group in the place of what was there.
    pub fn insert(&mut self, key: &Text, group: Group) {
        let mut group = Some(group);
        let known = self.get_or_insert_with(key, || group.take().expect("taken once"));
        if let Some(group) = group {
            *known = group;
        }
    }

    /// Keys and groups, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Group)> {
        self.chunks.iter().flatten().flatten().map(|slot| (&slot.key, &slot.group))
    }

    /// The groups.
    pub fn values(&self) -> impl Iterator<Item = &Group> {
        self.iter().map(|(_, group)| group)
    }

    /// The groups, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.chunks.iter_mut().flatten().flatten().map(|slot| &mut slot.group)
    }

    /// Lets go of those that are not to stay.
    pub fn retain(&mut self, stays: impl Fn(&Group) -> bool) {
        let (chunks, free) = (&mut self.chunks, &mut self.free);
        self.table.retain(|entry| {
            let Some(place) = place_mut(chunks, entry.place) else { return false };
            let is_kept = place.as_ref().is_some_and(|slot| stays(&slot.group));
            if !is_kept {
                *place = None;
                free.push(entry.place);
            }
            is_kept
        });
        if self.table.is_empty() {
            self.clear();
        }
    }

    /// Lets go of all.
    pub fn clear(&mut self) {
        self.table.clear();
        self.chunks.clear();
        self.free.clear();
    }

    fn hash(&self, key: &str) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.as_bytes());
        u32::try_from(hasher.finish() >> 32).unwrap_or(0)
    }

    fn find(&self, hash: u32, key: &str) -> Option<u32> {
        let is_it = |entry: &Entry| {
            entry.hash == hash && slot(&self.chunks, entry.place).is_some_and(|slot| slot.key.as_str() == key)
        };
        self.table.find(Entry::spread(hash), is_it).map(|entry| entry.place)
    }

    fn put(&mut self, hash: u32, slot: Slot) -> u32 {
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(known) = place_mut(&mut self.chunks, place) {
                    *known = Some(slot);
                }
                place
            }
            None => {
                if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_GROUPS) {
                    self.chunks.push(Vec::with_capacity(CHUNK_GROUPS));
                }
                let before = (self.chunks.len() - 1) * CHUNK_GROUPS;
                let chunk = self.chunks.last_mut().expect("one with room was pushed");
                chunk.push(Some(slot));
                u32::try_from(before + chunk.len() - 1).expect("groups are bounded far below 2^32")
            }
        };
        self.table.insert_unique(Entry::spread(hash), Entry { hash, place }, |entry| Entry::spread(entry.hash));
        place
    }
}

fn slot(chunks: &[Vec<Option<Slot>>], place: u32) -> Option<&Slot> {
    chunks.get(place as usize / CHUNK_GROUPS)?.get(place as usize % CHUNK_GROUPS)?.as_ref()
}

fn place_mut(chunks: &mut [Vec<Option<Slot>>], place: u32) -> Option<&mut Option<Slot>> {
    chunks.get_mut(place as usize / CHUNK_GROUPS)?.get_mut(place as usize % CHUNK_GROUPS)
}

fn slot_mut(chunks: &mut [Vec<Option<Slot>>], place: u32) -> Option<&mut Slot> {
    place_mut(chunks, place)?.as_mut()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nhatle_rules::Threshold;
    use proptest::prelude::*;

    use super::super::condition::Condition;
    use super::*;

    #[test]
    fn a_group_and_its_key_are_two_lines_of_the_cache() {
        assert_eq!((size_of::<Option<Slot>>(), size_of::<Entry>()), (128, 8));
    }

    proptest! {
        #[test]
        fn groups_are_those_of_a_plain_map(steps in proptest::collection::vec((0..40u32, 0..3000u16), 0..3000)) {
            let condition = Condition::Count(Threshold(Vec::new()));
            let (mut groups, mut plain): (Groups, BTreeMap<String, u16>) = Default::default();
            for (step, number) in steps {
                let key = format!("a key that is longer than what stands in place {number}");
                if step == 0 {
                    groups.retain(|group| number < group.source);
                    plain.retain(|_, source| number < *source);
                } else if step < 20 {
                    groups.get_or_insert_with(&key, || Group::new(&condition, number));
                    plain.entry(key).or_insert(number);
                } else if step < 30 {
                    groups.insert(&Text::from(key.as_str()), Group::new(&condition, number + 1));
                    plain.insert(key, number + 1);
                } else {
                    prop_assert_eq!(groups.get_mut(&key).map(|group| group.source), plain.get(&key).copied());
                }
                prop_assert_eq!(groups.len(), plain.len());
            }
            let all: BTreeMap<String, u16> = groups.iter().map(|(key, group)| (key.to_string(), group.source)).collect();
            prop_assert_eq!(all, plain);
        }
    }
}
