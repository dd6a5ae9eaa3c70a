//! `Distinct`: different texts, each with a number, counted from 0. Most texts that groups are made by are short (addresses,
//! names): those up to [`SHORT_BYTES`] stand in the table itself, because a look-up of a text misses the caches wherever it
//! looks, and so looks in one place only.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// How long a short text is at most.
const SHORT_BYTES: usize = 16;

/// See the top.
#[derive(Default)]
pub struct Distinct {
    /// All of them, one behind the other.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
    short: HashTable<Short>,
    long: HashTable<Long>,
    state: RandomState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Short {
    /// Filled up with zeros.
    bytes: u128,
    length: u32,
    number: u32,
}

struct Long {
    hash: u64,
    number: u32,
}

impl Distinct {
    /// The number of a text, and whether it is new.
    pub fn number(&mut self, text: &str) -> (u32, bool) {
        let next = self.ends.len() as u32;
        let number = if text.len() <= SHORT_BYTES { self.short(text, next) } else { self.long(text, next) };
        if number == next {
            self.text.push_str(text);
            self.ends.push(self.text.len());
        }
        (number, number == next)
    }

    fn short(&mut self, text: &str, next: u32) -> u32 {
        let mut bytes = [0; SHORT_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let one = Short { bytes: u128::from_le_bytes(bytes), length: text.len() as u32, number: next };
        let is_it = |known: &Short| known.bytes == one.bytes && known.length == one.length;
        let hash = |one: &Short| {
            let mut hasher = self.state.build_hasher();
            hasher.write_u128(one.bytes);
            hasher.finish()
        };
        self.short.entry(hash(&one), is_it, hash).or_insert(one).get().number
    }

    fn long(&mut self, text: &str, next: u32) -> u32 {
        let mut hasher = self.state.build_hasher();
        hasher.write(text.as_bytes());
        let hash = hasher.finish();
        let Distinct { text: all, ends, long, .. } = self;
        let is_it = |known: &Long| known.hash == hash && of(all, ends, known.number) == text;
        long.entry(hash, is_it, |known| known.hash).or_insert(Long { hash, number: next }).get().number
    }

    /// The text of a number.
    pub fn get(&self, number: u32) -> &str {
        of(&self.text, &self.ends, number)
    }

    /// All of them, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.get(number))
    }
}

fn of<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let at = number as usize;
    let begin = at.checked_sub(1).map_or(0, |before| ends[before]);
    &text[begin..ends[at]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::Dice;

    #[test]
    fn equal_texts_have_equal_numbers_and_others_have_others() {
        let mut dice = Dice(3);
        let (mut distinct, mut slow): (Distinct, Vec<String>) = (Distinct::default(), Vec::new());
        for _ in 0..5_000 {
            let letters = ["a", "\0", "ộ", "bb"];
            let text: String = (0..dice.below(9)).map(|_| letters[dice.below(letters.len())]).collect();
            let text = if dice.below(4) == 0 { text.repeat(3) } else { text };
            let at = slow.iter().position(|known| *known == text);
            let (number, is_new) = distinct.number(&text);
            assert_eq!((number as usize, is_new), (at.unwrap_or(slow.len()), at.is_none()), "{text:?}");
            if is_new {
                slow.push(text);
            }
            assert_eq!(distinct.get(number), slow[number as usize]);
        }
        assert!(distinct.iter().eq(slow.iter()));
    }
}
