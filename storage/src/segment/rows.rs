//! `RowSet`: a set of row numbers of one segment, as bits.

/// A set of row numbers below a fixed length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    length: usize,
}

impl RowSet {
    /// No row of `length`.
    pub fn none(length: usize) -> RowSet {
        RowSet { words: vec![0; length.div_ceil(64)], length }
    }

    /// Every row of `length`.
    pub fn all(length: usize) -> RowSet {
        RowSet::range(length, 0, length)
    }

    /// The rows from `begin` to before `end`.
    pub fn range(length: usize, begin: usize, end: usize) -> RowSet {
        let mut set = RowSet::none(length);
        let (begin, end) = (begin.min(length), end.min(length));
        for (at, word) in set.words.iter_mut().enumerate() {
            let first = at * 64;
            let below = |count: usize| match count.saturating_sub(first) {
                0 => 0,
                64.. => u64::MAX,
                bits => (1u64 << bits) - 1,
            };
            *word = below(end) & !below(begin);
        }
        set
    }

    /// Adds a row; one past the length is none.
    pub fn insert(&mut self, row: usize) {
        if row < self.length {
            self.words[row / 64] |= 1 << (row % 64);
        }
    }

    /// Takes a row out.
    pub fn remove(&mut self, row: usize) {
        if row < self.length {
            self.words[row / 64] &= !(1 << (row % 64));
        }
    }

    /// How many rows there are, in it or not.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Adds the rows whose bits are set, the lowest first; what is past the length is none.
    pub fn add_bits(&mut self, bits: &[u8]) {
        for (word, bytes) in self.words.iter_mut().zip(bits.chunks(size_of::<u64>())) {
            let mut bits = [0u8; size_of::<u64>()];
            bits[..bytes.len()].copy_from_slice(bytes);
            *word |= u64::from_le_bytes(bits);
        }
        if !self.length.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (self.length % 64)) - 1;
        }
    }

    /// The row is in it.
    pub fn contains(&self, row: usize) -> bool {
        row < self.length && self.words[row / 64] >> (row % 64) & 1 == 1
    }

    /// Keeps what `other` has too.
    pub fn keep(&mut self, other: &RowSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &RowSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes out what `other` has.
    pub fn take(&mut self, other: &RowSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// The rows that are not in it.
    #[must_use]
    pub fn inverted(&self) -> RowSet {
        let mut all = RowSet::all(self.length);
        all.take(self);
        all
    }

    /// How many rows are in it.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many rows from `begin` to before `end` are in it.
    pub fn count_between(&self, begin: usize, end: usize) -> u64 {
        let (begin, end) = (begin.min(self.length), end.min(self.length));
        if end <= begin {
            return 0;
        }
        let (first, last) = (begin / 64, (end - 1) / 64);
        let mut count = 0;
        for (at, word) in self.words[first..=last].iter().enumerate() {
            let mut word = *word;
            if at == 0 {
                word &= u64::MAX << (begin % 64);
            }
            if first + at == last && !end.is_multiple_of(64) {
                word &= (1 << (end % 64)) - 1;
            }
            count += u64::from(word.count_ones());
        }
        count
    }

    /// No row is in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Bits, the lowest row first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The rows, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let word = *word;
            (0..if word == 0 { 0 } else { 64 }).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(length in 1usize..300, rows: Vec<u16>, begin in 0usize..300, end in 0usize..300) {
            let rows: std::collections::BTreeSet<usize> = rows.iter().map(|row| usize::from(*row) % length).collect();
            let mut set = RowSet::none(length);
            rows.iter().for_each(|row| set.insert(*row));
            prop_assert!(set.iter().eq(rows.iter().copied()));
            prop_assert!(set.iter().rev().eq(rows.iter().rev().copied()));
            prop_assert_eq!(set.count(), rows.len() as u64);
            prop_assert_eq!(set.inverted().count(), (length - rows.len()) as u64);
            let range = RowSet::range(length, begin, end);
            prop_assert!(range.iter().eq((begin..end.min(length)).filter(|row| *row < length)));
            prop_assert_eq!(set.count_between(begin, end), set.iter().filter(|row| (begin..end).contains(row)).count() as u64);
            set.keep(&range);
            prop_assert!(set.iter().eq(rows.iter().copied().filter(|row| (begin..end).contains(row))));
        }
    }
}
