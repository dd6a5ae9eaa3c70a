//! `Distinct`: different texts, each with a number, counted from 0. Most texts that groups are made by are short (addresses,
//! names): those up to [`SHORT_BYTES`] stand in the table itself, because a look-up of a text misses the caches wherever it
//! looks, and so looks in one place only. Several texts are looked at before any is looked up: so the processor waits for
//! memory once for all of them, not once for each.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// How long a short text is at most.
const SHORT_BYTES: usize = 16;
/// How many texts are looked at before they are looked up: some times as many as a processor waits for at once.
pub const BLOCK: usize = 32;

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

#[derive(Clone, Copy)]
struct Short {
    /// Filled up with zeros; of no text that is long.
    bytes: [u64; 2],
    length: u32,
    number: u32,
}

impl Short {
    fn of(text: &str) -> Short {
        let mut bytes = [0; SHORT_BYTES];
        if let Some(front) = bytes.get_mut(..text.len()) {
            front.copy_from_slice(text.as_bytes());
        }
        let all = u128::from_le_bytes(bytes);
        Short { bytes: [all as u64, (all >> 64) as u64], length: text.len() as u32, number: 0 }
    }
}

struct Long {
    hash: u64,
    number: u32,
}

impl Distinct {
    /// The number of each text, and whether it is new.
    pub fn numbers<'a>(&mut self, texts: impl Iterator<Item = &'a str>, mut found: impl FnMut(&'a str, u32, bool)) {
        let mut texts = texts.peekable();
        let mut block: Vec<(u64, Short, &str)> = Vec::with_capacity(BLOCK);
        while texts.peek().is_some() {
            block.clear();
            block.extend(texts.by_ref().take(BLOCK).map(|text| {
                let short = Short::of(text);
                (self.hash(&short, text), short, text)
            }));
            let mut seen = 0;
            for (hash, _, text) in &block {
                seen ^= match text.len() <= SHORT_BYTES {
                    true => self.short.find(*hash, |_| true).map_or(0, |known| known.number),
                    false => self.long.find(*hash, |_| true).map_or(0, |known| known.number),
                };
            }
            std::hint::black_box(seen);
            for &(hash, short, text) in &block {
                let (number, is_new) = self.number_of(hash, short, text);
                found(text, number, is_new);
            }
        }
    }

    /// The number of a text, and whether it is new.
    pub fn number(&mut self, text: &str) -> (u32, bool) {
        let short = Short::of(text);
        self.number_of(self.hash(&short, text), short, text)
    }

    fn hash(&self, short: &Short, text: &str) -> u64 {
        let mut hasher = self.state.build_hasher();
        match text.len() <= SHORT_BYTES {
            true => short.bytes.iter().for_each(|word| hasher.write_u64(*word)),
            false => hasher.write(text.as_bytes()),
        }
        hasher.finish()
    }

    fn number_of(&mut self, hash: u64, short: Short, text: &str) -> (u32, bool) {
        let next = self.ends.len() as u32;
        let Distinct { text: all, ends, short: shorts, long, state } = self;
        let number = if text.len() <= SHORT_BYTES {
            let is_it = |known: &Short| known.bytes == short.bytes && known.length == short.length;
            let again = |known: &Short| {
                let mut hasher = state.build_hasher();
                known.bytes.iter().for_each(|word| hasher.write_u64(*word));
                hasher.finish()
            };
            shorts.entry(hash, is_it, again).or_insert(Short { number: next, ..short }).get().number
        } else {
            let is_it = |known: &Long| known.hash == hash && of(all, ends, known.number) == text;
            long.entry(hash, is_it, |known| known.hash).or_insert(Long { hash, number: next }).get().number
        };
        if number == next {
            self.text.push_str(text);
            self.ends.push(self.text.len());
        }
        (number, number == next)
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
        // Several at once, some of them new, some of them twice.
        let texts: Vec<String> = (0..3_000).map(|_| format!("{}", dice.below(900)).repeat(1 + dice.below(9))).collect();
        let mut one_by_one = Vec::new();
        let mut other = Distinct::default();
        slow.iter().for_each(|text| assert!(other.number(text).1));
        texts.iter().for_each(|text| one_by_one.push((text.as_str(), other.number(text))));
        let mut at_once = Vec::new();
        distinct
            .numbers(texts.iter().map(String::as_str), |text, number, is_new| at_once.push((text, (number, is_new))));
        assert_eq!(at_once, one_by_one);
    }
}
