//! `Lists`: which rows each of many terms stands in. In: terms by group and text, row after row. Out: the terms in the order
//! a dictionary wants them, each with its rows. Memory: 4 bytes a posting while gathering and 8 while writing, and each
//! different term once.

use foldhash::HashMap;

use super::terms::VALUE_BYTES_MAX;
use super::texts::Texts;

/// Which rows each of many terms stands in. A term is the name of its group and a text behind it.
#[derive(Default)]
pub struct Lists {
    pub(super) texts: Texts<GROUP_BYTES>,
    /// For each list the row it was last looked at for, plus one.
    seen: Vec<u32>,
    /// The lists of the rows, row after row.
    pub(super) entries: Vec<u32>,
    /// How many entries the rows up to each have.
    row_ends: Vec<usize>,
    /// What stands before the texts of each group.
    pub(super) groups: Vec<String>,
    group_by_name: HashMap<String, u32>,
}

impl Lists {
    /// The group of this name.
    pub fn group(&mut self, name: &str) -> u32 {
        if let Some(group) = self.group_by_name.get(name) {
            return *group;
        }
        let group = u32::try_from(self.groups.len()).expect("fields have 32-bit numbers");
        self.groups.push(name.to_owned());
        self.group_by_name.insert(name.to_owned(), group);
        group
    }

    /// The list of a text of a group.
    pub fn list(&mut self, group: u32, text: &str) -> u32 {
        let (list, is_new) = self.texts.intern(&group.to_le_bytes(), text.as_bytes());
        if is_new {
            self.seen.push(0);
        }
        list
    }

    /// Marks the list as seen in this row; whether it was not yet.
    pub fn see(&mut self, list: u32, row: u32) -> bool {
        std::mem::replace(&mut self.seen[list as usize], row + 1) != row + 1
    }

    /// Adds the row to the list, unless it is there.
    pub fn add(&mut self, list: u32, row: u32) {
        if self.see(list, row) {
            self.entries.push(list);
        }
    }

    /// What is added from here on is of the next row.
    pub fn end_row(&mut self) {
        self.row_ends.push(self.entries.len());
    }

    /// Gives each text that was seen in a row, in no order, whether it was added or not.
    pub fn each_seen(&self, mut each: impl FnMut(&[u8])) {
        let lists = (0u32..).zip(&self.seen).filter(|(_, seen)| **seen != 0);
        lists.for_each(|(list, _)| each(split(self.texts.get(list)).1));
    }

    /// Gives each term that stands in a row, in the order of their bytes, with its group, its text and its rows in order.
    ///
    /// # Errors
    /// What `each` says.
    pub fn write<E>(&self, mut each: impl FnMut(usize, &[u8], &[u8], &[u32]) -> Result<(), E>) -> Result<(), E> {
        // Where the rows of each list end, by counting; then each entry goes to its place.
        let mut ends = vec![0usize; self.seen.len() + 1];
        self.entries.iter().for_each(|list| ends[*list as usize + 1] += 1);
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let begins = ends.clone();
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
        let mut term = Vec::new();
        for list in self.in_order() {
            let at = list as usize;
            let of = &rows[begins[at]..begins[at + 1]];
            if !of.is_empty() {
                let (group, text) = split(self.texts.get(list));
                term.clear();
                term.extend_from_slice(self.groups[group].as_bytes());
                term.extend_from_slice(text);
                each(group, &term, text, of)?;
            }
        }
        Ok(())
    }

    /// The lists by the bytes of their terms. No group's name is the front of another's.
    fn in_order(&self) -> Vec<u32> {
        let mut by_name: Vec<usize> = (0..self.groups.len()).collect();
        by_name.sort_by_key(|group| &self.groups[*group]);
        let mut of_groups: Vec<Vec<(u64, u32)>> = vec![Vec::new(); by_name.len()];
        for list in 0..u32::try_from(self.seen.len()).unwrap_or(u32::MAX) {
            of_groups[split(self.texts.get(list)).0].push((0, list));
        }
        let mut lists = Vec::with_capacity(self.seen.len());
        for group in by_name {
            let mut keyed = std::mem::take(&mut of_groups[group]);
            self.sort(&mut keyed, GROUP_BYTES);
            lists.extend(keyed.into_iter().map(|(_, list)| list));
        }
        lists
    }

    /// Orders lists of one group, whose texts are the same up to `from`, by eight bytes at a time: so each text is looked
    /// at once for each eight bytes that it shares with others, and not once for each comparison.
    fn sort(&self, lists: &mut [(u64, u32)], from: usize) {
        if lists.len() < FEW || VALUE_BYTES_MAX < from {
            return lists.sort_unstable_by(|(_, a), (_, b)| self.texts.get(*a).cmp(self.texts.get(*b)));
        }
        lists.iter_mut().for_each(|(front, list)| *front = front_of(self.texts.get(*list), from));
        lists.sort_unstable_by_key(|(front, _)| *front);
        for same in lists.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|same| 1 < same.len()) {
            // Fronts are filled up with NUL, which ends no more than one of texts of which none has a NUL.
            self.sort(same, from + size_of::<u64>());
        }
    }
}

/// So few lists are ordered by whole texts.
const FEW: usize = 8;

/// Eight bytes of a text as a number of the same order, filled up with NUL.
fn front_of(text: &[u8], from: usize) -> u64 {
    let rest = text.get(from..).unwrap_or_default();
    let mut front = [0u8; size_of::<u64>()];
    match rest.first_chunk() {
        Some(whole) => front = *whole,
        None => front[..rest.len()].copy_from_slice(rest),
    }
    u64::from_be_bytes(front)
}

const GROUP_BYTES: usize = size_of::<u32>();

fn split(interned: &[u8]) -> (usize, &[u8]) {
    match interned.split_first_chunk::<GROUP_BYTES>() {
        Some((group, text)) => (u32::from_le_bytes(*group) as usize, text),
        None => (0, interned),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(rows: &[Vec<(&str, String)>]) {
        let (mut lists, mut plain) = (Lists::default(), BTreeMap::<Vec<u8>, Vec<u32>>::new());
        for (row, terms) in (0u32..).zip(rows) {
            for (group, text) in terms {
                let number = lists.group(group);
                let list = lists.list(number, text);
                lists.add(list, row);
                let of = plain.entry(format!("{group}{text}").into_bytes()).or_default();
                if of.last() != Some(&row) {
                    of.push(row);
                }
            }
            lists.end_row();
        }
        let mut written = Vec::new();
        let keep = |_: usize, term: &[u8], _: &[u8], rows: &[u32]| {
            written.push((term.to_vec(), rows.to_vec()));
            Ok::<(), ()>(())
        };
        lists.write(keep).unwrap();
        assert_eq!(written, plain.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn texts_with_long_fronts_in_common_stay_in_order() {
        let texts = |length: usize| (0..40).map(move |at| ("x\u{1}", format!("{}{}", "a".repeat(length), at * 7 % 40)));
        let rows: Vec<_> =
            [0, 1, 7, 8, 9, 15, 16, 17, 254, 255, 300].into_iter().map(|length| texts(length).collect()).collect();
        check(&rows);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn terms_come_as_from_a_plain_map(rows in proptest::collection::vec(
            proptest::collection::vec((prop_oneof![Just(""), Just("b\u{1}"), Just("a.b\u{1}"), Just("a\u{1}")], "[ab]{0,20}|[a-c]{0,3}|đ{0,9}"), 0..40), 0..20)) {
            // One group only has no name.
            let rows: Vec<Vec<_>> = rows.into_iter().map(|row| row.into_iter().filter(|(group, text)| !group.is_empty() || !text.is_empty()).collect()).collect();
            let is_named = |(group, _): &(&str, String)| !group.is_empty();
            check(&rows.iter().map(|row| row.iter().filter(|one| is_named(one)).cloned().collect()).collect::<Vec<_>>());
            check(&rows.iter().map(|row| row.iter().filter(|one| !is_named(one)).cloned().collect()).collect::<Vec<_>>());
        }
    }
}
