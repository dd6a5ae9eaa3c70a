//! `Texts`: different texts, each stored once and numbered as they come. In: texts, each with some bytes before it that tell
//! kinds of texts apart. Out: numbers. Memory: each text once, and some 32 bytes for it.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// See the module. `FRONT` is how many bytes stand before each text.
#[derive(Default)]
pub struct Texts<const FRONT: usize> {
    table: HashTable<Entry>,
    bytes: Vec<u8>,
    /// Where each ends; it begins where the one before ends.
    ends: Vec<usize>,
    state: RandomState,
}

/// A text in the table: all that is compared before its bytes, in one place, because most look-ups miss the caches.
#[derive(Clone, Copy)]
struct Entry {
    id: u32,
    hash: u32,
    begin: usize,
    length: usize,
}

impl<const FRONT: usize> Texts<FRONT> {
    /// The text of a number, with what stands before it.
    pub fn get(&self, id: u32) -> &[u8] {
        slice_of(&self.bytes, &self.ends, id)
    }

    /// The text of this number is `front` and `back` together.
    pub fn is(&self, id: u32, front: &[u8; FRONT], back: &[u8]) -> bool {
        is_same(self.get(id), front, back)
    }

    /// The number of the text `front` and `back` together, and whether it is new.
    pub fn intern(&mut self, front: &[u8; FRONT], back: &[u8]) -> (u32, bool) {
        let Texts { table, bytes, ends, state } = self;
        let (hash, length) = (hash(state, front, back), FRONT + back.len());
        let is_it = |known: &Entry| {
            let is_like = known.hash == hash && known.length == length;
            is_like && is_same(&bytes[known.begin..known.begin + length], front, back)
        };
        if let Some(known) = table.find(spread(hash), is_it) {
            return (known.id, false);
        }
        let begin = bytes.len();
        bytes.extend_from_slice(front);
        bytes.extend_from_slice(back);
        let id = u32::try_from(ends.len()).expect("a segment has fewer rows than 2^32, and terms in proportion");
        ends.push(bytes.len());
        table.insert_unique(spread(hash), Entry { id, hash, begin, length }, |known| spread(known.hash));
        (id, true)
    }
}

fn hash(state: &RandomState, front: &[u8], back: &[u8]) -> u32 {
    let mut hasher = state.build_hasher();
    if !front.is_empty() {
        hasher.write(front);
    }
    hasher.write(back);
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The table looks at the lowest and the highest bits of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn is_same<const FRONT: usize>(text: &[u8], front: &[u8; FRONT], back: &[u8]) -> bool {
    text.split_first_chunk::<FRONT>().is_some_and(|(of, rest)| of == front && rest == back)
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
        fn numbers_are_those_of_a_plain_map(texts in proptest::collection::vec(("[ab]{2}", "[a-c]{0,3}"), 0..200)) {
            let mut made = Texts::<2>::default();
            let mut plain: HashMap<String, u32> = HashMap::new();
            for (front, back) in &texts {
                let of: &[u8; 2] = front.as_bytes().try_into().expect("two letters");
                let next = u32::try_from(plain.len()).expect("few");
                let is_new = !plain.contains_key(&format!("{front}{back}"));
                let number = *plain.entry(format!("{front}{back}")).or_insert(next);
                prop_assert_eq!(made.intern(of, back.as_bytes()), (number, is_new));
                prop_assert!(made.is(number, of, back.as_bytes()) && !made.is(number, of, b"other"));
                let whole = format!("{front}{back}");
                prop_assert_eq!(made.get(number), whole.as_bytes());
            }
        }
    }
}
