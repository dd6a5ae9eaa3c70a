//! `Lists`: which rows each of many numbered lists has. In: numbers of lists, row after row. Out: the rows of each in order.
//! And the order of many texts. Memory: 4 bytes a posting while gathering and 8 while writing, and 8 for each list.

use super::terms::VALUE_BYTES_MAX;
use super::texts::Texts;

/// Which rows each of many lists has.
#[derive(Default)]
pub struct Lists {
    /// The lists of the rows, row after row.
    entries: Vec<u32>,
    /// How many entries the rows up to each have.
    row_ends: Vec<usize>,
}

impl Lists {
    /// Adds the row at hand to a list that has it not yet.
    pub fn add(&mut self, list: u32) {
        self.entries.push(list);
    }

    /// What is added from here on is of the next row.
    pub fn end_row(&mut self) {
        self.row_ends.push(self.entries.len());
    }

    /// The rows of so many lists, by their numbers.
    pub fn by_list(&self, count: usize) -> ByList {
        // Where the rows of each list begin, by counting; then each entry goes to its place, so that they are where they end.
        let mut ends = vec![0usize; count + 1];
        self.entries.iter().for_each(|list| ends[*list as usize + 1] += 1);
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let mut rows = vec![0u32; self.entries.len()];
        let mut begin = 0;
        for (row, end) in (0u32..).zip(&self.row_ends) {
            for list in &self.entries[begin..*end] {
                let place = &mut ends[*list as usize];
                rows[*place] = row;
                *place += 1;
            }
            begin = *end;
        }
        ByList { ends, rows }
    }
}

/// See [`Lists::by_list`].
pub struct ByList {
    ends: Vec<usize>,
    rows: Vec<u32>,
}

impl ByList {
    /// The rows of a list.
    pub fn get(&self, list: u32) -> &[u32] {
        let at = list as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[begin..self.ends[at]]
    }
}

/// The numbers of all texts in the order of their bytes.
pub fn in_order(texts: &Texts) -> Vec<u32> {
    let mut keyed: Vec<(u128, u32)> = (0..u32::try_from(texts.len()).unwrap_or(u32::MAX)).map(|id| (0, id)).collect();
    sort(texts, &mut keyed, 0);
    keyed.into_iter().map(|(_, id)| id).collect()
}

/// Orders texts that are the same up to `from`, by sixteen bytes at a time: so each text is looked at once for each sixteen
/// bytes that it shares with others, and not once for each comparison.
fn sort(texts: &Texts, ids: &mut [(u128, u32)], from: usize) {
    if ids.len() < FEW || VALUE_BYTES_MAX < from {
        return ids.sort_unstable_by(|(_, a), (_, b)| texts.get(*a).cmp(texts.get(*b)));
    }
    ids.iter_mut().for_each(|(front, id)| *front = front_of(texts.get(*id), from));
    ids.sort_unstable_by_key(|(front, _)| *front);
    for same in ids.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|same| 1 < same.len()) {
        // Fronts are filled up with NUL, which ends no more than one of texts of which none has a NUL.
        sort(texts, same, from + size_of::<u128>());
    }
}

/// So few texts are ordered as a whole.
const FEW: usize = 8;

/// Sixteen bytes of a text as a number of the same order, filled up with NUL.
fn front_of(text: &[u8], from: usize) -> u128 {
    let rest = text.get(from..).unwrap_or_default();
    let mut front = [0u8; size_of::<u128>()];
    match rest.first_chunk() {
        Some(whole) => front = *whole,
        None => front[..rest.len()].copy_from_slice(rest),
    }
    u128::from_be_bytes(front)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_order(of: &BTreeSet<String>, seed: usize) {
        let mut texts = Texts::default();
        let all: Vec<&String> = of.iter().collect();
        (0..all.len()).for_each(|at| {
            texts.intern(all[(at * 7 + seed) % all.len()].as_bytes());
        });
        all.iter().for_each(|text| {
            texts.intern(text.as_bytes());
        });
        let found: Vec<&[u8]> = in_order(&texts).into_iter().map(|id| texts.get(id)).collect();
        assert_eq!(found, all.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn texts_with_long_fronts_in_common_stay_in_order() {
        let texts = |length: usize| (0..40).map(move |at| format!("{}{}", "a".repeat(length), at * 7 % 40));
        check_order(
            &[0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 254, 255, 256, 300].into_iter().flat_map(texts).collect(),
            3,
        );
        check_order(&BTreeSet::new(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn texts_come_as_from_a_plain_set(
            texts in proptest::collection::btree_set("[ab]{0,40}|[a-c]{0,3}|đ{0,9}|x{10}[ab]{0,9}", 0..99), seed in 0usize..9,
        ) {
            check_order(&texts, seed);
        }

        #[test]
        fn rows_come_as_from_plain_lists(rows in proptest::collection::vec(
            proptest::collection::btree_set(0u32..9, 0..5), 0..40)) {
            let mut lists = Lists::default();
            let mut plain = vec![Vec::new(); 9];
            for (row, of) in (0u32..).zip(&rows) {
                for list in of {
                    lists.add(*list);
                    plain[*list as usize].push(row);
                }
                lists.end_row();
            }
            let by_list = lists.by_list(9);
            for (list, rows) in (0u32..).zip(&plain) {
                prop_assert_eq!(by_list.get(list), rows.as_slice());
            }
        }
    }
}
