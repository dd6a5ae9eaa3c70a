//! `Texts`: different texts, each stored once and numbered as they come. In: texts. Out: numbers. Memory: each text once, and
//! some 36 bytes for it.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// See the module.
#[derive(Default)]
pub struct Texts {
    table: HashTable<Entry>,
    bytes: Vec<u8>,
    /// Where each ends; it begins where the one before ends.
    ends: Vec<usize>,
    state: RandomState,
}

/// A text in the table: all that is compared of a short one is in one place, because most look-ups miss the caches.
#[derive(Clone, Copy)]
struct Entry {
    key: Key,
    id: u32,
}

/// A text of up to [`SHORT_BYTES`], filled up with NUL, and its length behind it ([`short`]). Of a longer one its hash, and
/// [`LONG`] and its length.
pub type Key = [u64; 2];

/// How long a text may be to stand in the table as it is.
pub const SHORT_BYTES: usize = 15;
const LONG: u64 = 0xff << 56;

impl Texts {
    /// The text of a number.
    pub fn get(&self, id: u32) -> &[u8] {
        slice_of(&self.bytes, &self.ends, id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of a text, and whether it is new.
    pub fn intern(&mut self, text: &[u8]) -> (u32, bool) {
        let short = short(text);
        let key = short.unwrap_or_else(|| [self.state.hash_one(text), LONG | text.len() as u64]);
        let Texts { table, bytes, ends, state } = self;
        let is_it = |known: &Entry| known.key == key && (short.is_some() || slice_of(bytes, ends, known.id) == text);
        let hash = hash(state, key);
        if let Some(known) = table.find(hash, is_it) {
            return (known.id, false);
        }
        bytes.extend_from_slice(text);
        let id = u32::try_from(ends.len()).expect("a segment has fewer rows than 2^32, and terms in proportion");
        ends.push(bytes.len());
        table.insert_unique(hash, Entry { key, id }, |known| self::hash(state, known.key));
        (id, true)
    }
}

/// The key of a short text; no two texts have the same.
pub fn short(text: &[u8]) -> Option<Key> {
    let length = text.len();
    let [low, high] = match (text.first_chunk(), text.last_chunk()) {
        _ if SHORT_BYTES < length => return None,
        (Some(first), Some(last)) => {
            let behind = u64::from_le_bytes(*last).checked_shr(8 * (16 - length as u32));
            [u64::from_le_bytes(*first), behind.unwrap_or(0)]
        }
        _ => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => {
                let last = u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4));
                [u64::from(u32::from_le_bytes(*first)) | last, 0]
            }
            _ => [text.iter().rev().fold(0, |low, byte| low << 8 | u64::from(*byte)), 0],
        },
    };
    Some([low, high | (length as u64) << 56])
}

fn hash(state: &RandomState, [low, high]: Key) -> u64 {
    state.hash_one(u128::from(low) | u128::from(high) << 64)
}

fn slice_of<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let at = id as usize;
    let begin = at.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[begin..ends[at]]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_those_of_a_plain_map(texts in proptest::collection::vec("[ab\\x00]{0,3}|[a-c]{7,9}|[ab]{14,18}|a{0,40}", 0..200)) {
            let mut made = Texts::default();
            let mut plain: HashMap<String, u32> = HashMap::new();
            for text in &texts {
                let next = u32::try_from(plain.len()).expect("few");
                let is_new = !plain.contains_key(text);
                let number = *plain.entry(text.clone()).or_insert(next);
                prop_assert_eq!(made.intern(text.as_bytes()), (number, is_new));
                prop_assert_eq!(made.get(number), text.as_bytes());
                prop_assert_eq!(made.len(), plain.len());
            }
        }

        #[test]
        fn a_key_has_the_bytes_in_their_order_and_the_length(text in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut plain = [0u8; 16];
            let is_short = text.len() <= SHORT_BYTES;
            if is_short {
                plain[..text.len()].copy_from_slice(&text);
                plain[15] = text.len() as u8;
            }
            let expected = is_short.then(|| plain.to_vec());
            prop_assert_eq!(short(&text).map(|key| key.map(u64::to_le_bytes).concat()), expected);
        }
    }
}
