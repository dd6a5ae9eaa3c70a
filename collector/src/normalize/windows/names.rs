//! `Names`: what the names of a form of JSON mean, told once for each name and then found by hash.
//!
//! In: a name and the hash its document has for it. Out: the place of its meaning. Promise: a meaning is a function
//! of the name alone, so that forgetting one changes nothing; names are kept up to [`NAMES_MAX`] and
//! [`NAMES_BYTES_MAX`] and those of one document more.

use hashbrown::HashTable;
use nhatle_event::json::Document;

/// How many names are kept.
pub(super) const NAMES_MAX: usize = 4096;
/// How many bytes of names are kept.
pub(super) const NAMES_BYTES_MAX: usize = 1 << 18;

/// Meanings by name.
#[derive(Debug)]
pub(super) struct Names<T> {
    table: HashTable<u32>,
    known: Vec<Known<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Known<T> {
    hash: u64,
    name: Box<str>,
    /// The name that stood behind this one the last time: most documents are like the last one.
    next: u32,
    meaning: T,
}

impl<T> Default for Names<T> {
    fn default() -> Names<T> {
        Names { table: HashTable::new(), known: Vec::new(), bytes: 0 }
    }
}

impl<T> Names<T> {
    /// Before each document: forgets everything where too much is kept.
    fn begin(&mut self) {
        if NAMES_MAX < self.known.len() || NAMES_BYTES_MAX < self.bytes {
            *self = Names::default();
        }
    }

    /// The place of the name's meaning, good until the next [`Names::begin`]. `before` is the place of the name
    /// in front of it.
    #[inline]
    fn place(&mut self, before: Option<u32>, name: &str, hash: u64, told: impl FnOnce(&str) -> T) -> u32 {
        let is_it = |known: &Known<T>| known.hash == hash && *known.name == *name;
        let guess = before.map_or(0, |before| self.known[index(before)].next);
        if self.known.get(index(guess)).is_some_and(is_it) {
            return guess;
        }
        let place = match self.table.find(hash, |place| is_it(&self.known[index(*place)])) {
            Some(place) => *place,
            None => self.learn(name, hash, told(name)),
        };
        if let Some(before) = before {
            self.known[index(before)].next = place;
        }
        place
    }

    fn learn(&mut self, name: &str, hash: u64, meaning: T) -> u32 {
        // A document has far fewer leaves than `u32` has numbers.
        let place = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.bytes += name.len();
        self.known.push(Known { hash, name: name.into(), next: 0, meaning });
        self.table.insert_unique(hash, place, |place| self.known[index(*place)].hash);
        place
    }

    /// The places of all names of a document.
    pub fn places(&mut self, document: &Document<'_>, places: &mut Vec<u32>, told: impl Fn(&str) -> T) {
        self.begin();
        places.clear();
        let mut before = None;
        for (name, hash, _) in document.hashed() {
            let place = self.place(before, name, hash, &told);
            before = Some(place);
            places.push(place);
        }
    }

    /// The meaning at a place.
    pub fn meaning(&mut self, place: u32) -> &mut T {
        &mut self.known[index(place)].meaning
    }

    /// How many names are known.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_meaning_and_strangers_cannot_fill_the_memory() {
        let mut names: Names<String> = Names::default();
        let mut told = 0;
        for document in 0..40 {
            names.begin();
            let mut before = None;
            for at in 0..500 {
                // Half of the names are always the same, in changing order; two hashes collide.
                let name =
                    if at % 2 == 0 { format!("n{}", (at + document) % 500) } else { format!("x{document}.{at}") };
                let place = names.place(before, &name, at % 3, |name| {
                    told += 1;
                    name.to_uppercase()
                });
                assert_eq!(*names.meaning(place), name.to_uppercase());
                before = Some(place);
            }
            assert!(names.len() <= NAMES_MAX + 500);
        }
        assert!(told < 40 * 500, "names are kept");
        names.place(None, &"n".repeat(NAMES_BYTES_MAX + 1), 7, str::to_owned);
        names.begin();
        assert_eq!(names.len(), 0, "long names are not kept");
    }
}
