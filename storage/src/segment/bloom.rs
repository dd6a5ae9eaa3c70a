//! A filter over the terms of a segment: a question that it answers with no need not be asked of the index, so the index is
//! neither read nor kept. In: terms. Out: blocks of 32 bytes; whether a term may be there. Promise: a term that was added is
//! never denied. About one in 300 of the others is not denied either.
//!
//! It is the split block Bloom filter of Apache Parquet (BloomFilter.md, format 2.11): the upper half of a hash chooses the
//! block, the lower half one bit in each of its eight words. The hash is our own ([`hash`]); `docs/format/segment.md` has it.

/// Bytes of a block.
pub const BLOCK: usize = 32;
/// How many bits there are for each term.
const BITS_PER_TERM: usize = 12;
/// Parquet's constants, one for each word of a block.
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];
/// 2^64 divided by the golden ratio, as an odd number.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Which kind of term it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word of what bare words are looked for in, covered or not.
    Word = 1,
    /// A value with its key, a unit, the mark of overflow: as in `exact`.
    Exact = 2,
}

/// The hash of a term: eight bytes at a time, little-endian, the last ones filled up with zeros.
pub fn hash(kind: Kind, term: &[u8]) -> u64 {
    let mut state = (kind as u64) ^ (term.len() as u64).wrapping_mul(FACTOR);
    for chunk in term.chunks(8) {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
        state ^= state >> 32;
    }
    state = (state ^ (state >> 29)).wrapping_mul(FACTOR);
    state ^ (state >> 32)
}

/// Gathers hashes and makes the filter.
#[derive(Default)]
pub struct Builder {
    hashes: Vec<u64>,
}

impl Builder {
    /// Adds a term.
    pub fn add(&mut self, kind: Kind, term: &[u8]) {
        self.hashes.push(hash(kind, term));
    }

    /// The blocks; at least one.
    pub fn finish(self) -> Vec<u8> {
        let count = (self.hashes.len() * BITS_PER_TERM).div_ceil(BLOCK * 8).max(1);
        let mut bytes = vec![0u8; count * BLOCK];
        for hash in self.hashes {
            let block = &mut bytes[block_of(hash, count) * BLOCK..][..BLOCK];
            for (word, bit) in block.chunks_exact_mut(4).zip(bits(hash)) {
                word[(bit / 8) as usize] |= 1 << (bit % 8);
            }
        }
        bytes
    }
}

/// The number of the block of a hash among `count`.
pub fn block_of(hash: u64, count: usize) -> usize {
    usize::try_from(((hash >> 32) * count as u64) >> 32).unwrap_or(0)
}

/// A term of this hash may be there, as its block says.
pub fn may_hold(block: &[u8], hash: u64) -> bool {
    block.chunks_exact(4).zip(bits(hash)).all(|(word, bit)| word[(bit / 8) as usize] & (1 << (bit % 8)) != 0)
}

/// The bit of each word, by its place in the four bytes of the word (little-endian).
fn bits(hash: u64) -> impl Iterator<Item = u32> {
    let low = (hash & 0xffff_ffff) as u32;
    SALT.iter().map(move |salt| low.wrapping_mul(*salt) >> 27)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asks(bytes: &[u8], kind: Kind, term: &[u8]) -> bool {
        let hash = hash(kind, term);
        may_hold(&bytes[block_of(hash, bytes.len() / BLOCK) * BLOCK..][..BLOCK], hash)
    }

    proptest! {
        #[test]
        fn what_was_added_is_never_denied(terms in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..300)) {
            let mut builder = Builder::default();
            terms.iter().for_each(|term| builder.add(Kind::Exact, term));
            let bytes = builder.finish();
            prop_assert!(terms.iter().all(|term| asks(&bytes, Kind::Exact, term)));
        }
    }

    #[test]
    fn most_of_the_others_are_denied() {
        let mut builder = Builder::default();
        (0..20_000).for_each(|number| builder.add(Kind::Word, format!("word{number}").as_bytes()));
        let bytes = builder.finish();
        assert_eq!(bytes.len(), 30_016);
        let is_wrong = |number: &usize| asks(&bytes, Kind::Word, format!("other{number}").as_bytes());
        let wrong = (0..100_000).filter(is_wrong).count();
        assert!(wrong < 1_000, "{wrong} of 100,000 not denied");
        let of_other_kind = (0..20_000).filter(|number| asks(&bytes, Kind::Exact, format!("word{number}").as_bytes()));
        assert!(of_other_kind.count() < 200);
    }

    /// The form on disk stays: these numbers are those of the first version.
    #[test]
    fn the_hash_does_not_change() {
        assert_eq!(hash(Kind::Word, b""), HASHES[0]);
        assert_eq!(hash(Kind::Word, b"mimikatz"), HASHES[1]);
        assert_eq!(hash(Kind::Exact, b"source.ip\x01203.0.113.7"), HASHES[2]);
    }

    const HASHES: [u64; 3] = [0x9e37_79b9_e17d_05ac, 0x3f82_9a12_61e1_c11a, 0xf63d_5f26_b19b_dd5c];
}
