//! The terms of a segment's events and the rows each stands in, gathered in memory before they are written. In: events in
//! row order. Out: [`Lists`], in the order a term dictionary wants them.
//!
//! What a value gives (its folded form, its words) is worked out once for each different value of a field in the segment,
//! not once for each event; after that an event costs one look-up a value. [`super::terms::TermMaker`] is the plain twin
//! that says what the terms of an event are.
//!
//! Memory: 4 bytes a posting while gathering and 8 while writing, and each different term and short value once.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::HashMap;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use nhatle_event::{Event, Field, Text, Value};

use super::terms::{FieldTerms, Fields, MARK, OVERFLOW, PART_BYTES_MAX, TERMS_MAX, UNIT, VALUE_BYTES_MAX, unit_term};
use super::words::{fold, front, parts};

/// Values up to this length are remembered with their terms.
const REMEMBERED_BYTES_MAX: usize = 64;
/// No list.
const NONE: u32 = u32::MAX;

/// Different texts, each stored once, numbered as they come.
#[derive(Default)]
struct Texts {
    table: HashTable<u32>,
    bytes: Vec<u8>,
    /// Where each ends; it begins where the one before ends.
    ends: Vec<usize>,
    state: FixedState,
}

impl Texts {
    fn get(&self, id: u32) -> &[u8] {
        slice_of(&self.bytes, &self.ends, id)
    }

    /// The number of the text `front` and `back` together, and whether it is new.
    fn intern(&mut self, front: &[u8], back: &[u8]) -> (u32, bool) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(front);
        self.bytes.extend_from_slice(back);
        let Texts { table, bytes, ends, state } = self;
        let hash = state.hash_one(&bytes[begin..]);
        let is_same = |id: &u32| slice_of(bytes, ends, *id) == &bytes[begin..];
        if let Some(id) = table.find(hash, is_same) {
            let id = *id;
            self.bytes.truncate(begin);
            return (id, false);
        }
        let id = u32::try_from(ends.len()).expect("a segment has fewer rows than 2^32, and terms in proportion");
        ends.push(bytes.len());
        table.insert_unique(hash, id, |id| state.hash_one(slice_of(bytes, ends, *id)));
        (id, true)
    }
}

fn slice_of<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let at = id as usize;
    let begin = at.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[begin..ends[at]]
}

/// Which rows each of many terms stands in. A term is the name of its group and a text behind it.
#[derive(Default)]
pub struct Lists {
    texts: Texts,
    /// For each list the row it was last looked at for, plus one.
    seen: Vec<u32>,
    /// The lists of the rows, row after row.
    entries: Vec<u32>,
    /// How many entries the rows up to each have.
    row_ends: Vec<usize>,
    /// What stands before the texts of each group.
    groups: Vec<String>,
    group_by_name: HashMap<String, u32>,
}

impl Lists {
    fn group(&mut self, name: &str) -> u32 {
        if let Some(group) = self.group_by_name.get(name) {
            return *group;
        }
        let group = u32::try_from(self.groups.len()).expect("fields have 32-bit numbers");
        self.groups.push(name.to_owned());
        self.group_by_name.insert(name.to_owned(), group);
        group
    }

    fn list(&mut self, group: u32, text: &str) -> u32 {
        let (list, is_new) = self.texts.intern(&group.to_le_bytes(), text.as_bytes());
        if is_new {
            self.seen.push(0);
        }
        list
    }

    /// Marks the list as seen in this row; whether it was not yet.
    fn see(&mut self, list: u32, row: u32) -> bool {
        std::mem::replace(&mut self.seen[list as usize], row + 1) != row + 1
    }

    fn add(&mut self, list: u32, row: u32) {
        if self.see(list, row) {
            self.entries.push(list);
        }
    }

    fn end_row(&mut self) {
        self.row_ends.push(self.entries.len());
    }

    /// How many postings there are.
    pub fn posting_count(&self) -> usize {
        self.entries.len()
    }

    /// Gives each term that stands in a row, in the order of their bytes, with its rows in order.
    ///
    /// # Errors
    /// What `each` says.
    pub fn write<E>(&self, mut each: impl FnMut(&[u8], &[u32]) -> Result<(), E>) -> Result<(), E> {
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
                each(&term, of)?;
            }
        }
        Ok(())
    }

    /// The lists by the bytes of their terms. No group's name is the front of another's.
    fn in_order(&self) -> impl Iterator<Item = u32> {
        let mut by_name: Vec<usize> = (0..self.groups.len()).collect();
        by_name.sort_by_key(|group| &self.groups[*group]);
        let mut ranks = vec![0usize; by_name.len()];
        by_name.iter().enumerate().for_each(|(rank, group)| ranks[*group] = rank);
        let lists = 0..u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        let mut keyed: Vec<(usize, u64, u32)> = lists
            .map(|list| {
                let (group, text) = split(self.texts.get(list));
                let mut first = [0u8; 8];
                let length = text.len().min(8);
                first[..length].copy_from_slice(&text[..length]);
                (ranks[group], u64::from_be_bytes(first), list)
            })
            .collect();
        // Fronts filled up with NUL cannot order wrongly: no term has a NUL, and equal fronts are compared whole.
        keyed.sort_unstable_by(|(a_rank, a_front, a), (b_rank, b_front, b)| {
            let fronts = (a_rank, a_front).cmp(&(b_rank, b_front));
            fronts.then_with(|| self.texts.get(*a)[GROUP_BYTES..].cmp(&self.texts.get(*b)[GROUP_BYTES..]))
        });
        keyed.into_iter().map(|(_, _, list)| list)
    }
}

const GROUP_BYTES: usize = size_of::<u32>();

fn split(interned: &[u8]) -> (usize, &[u8]) {
    match interned.split_first_chunk::<GROUP_BYTES>() {
        Some((group, text)) => (u32::from_le_bytes(*group) as usize, text),
        None => (0, interned),
    }
}

/// What a value gives to the index.
#[derive(Clone, Copy)]
struct Given {
    /// Its list among the exact terms.
    exact: u32,
    /// Its list among the words, where it is one word.
    word: u32,
    /// Its words, in [`Gatherer::words_of`].
    words: (usize, usize),
}

/// What is worked out once for each field.
#[derive(Clone, Copy)]
struct Of {
    group: u32,
    is_exact: bool,
    is_covering: bool,
    is_word_field: bool,
    is_remembered: bool,
}

/// Takes one event after the other.
#[derive(Default)]
pub struct Gatherer {
    fields: Fields,
    of: Vec<Option<Of>>,
    /// Words and where they stand.
    words: Lists,
    /// Values, units and overflow, and where they stand.
    exact: Lists,
    remembered: Texts,
    given: Vec<Given>,
    words_of: Vec<u32>,
    row: u32,
    /// The unit last seen, and its list.
    unit: Option<(Text, Option<u32>)>,
    /// Of the event at hand: the lists of words that count unless a value says them already.
    pending: Vec<u32>,
}

impl Gatherer {
    /// Takes the event of the next row.
    pub fn add(&mut self, event: &Event) {
        let row = self.row;
        self.row += 1;
        let mut late: Vec<Cow<'_, str>> = Vec::new();
        let mut exact_count = 0usize;
        self.pending.clear();
        for (field, value) in event.fields() {
            let of = self.field(*field);
            for single in value.each() {
                let is_words = of.is_word_field || matches!(single, Value::Text(_) | Value::Ip(_));
                if !of.is_exact && !is_words {
                    continue;
                }
                let Some(given) = self.remembered(*field, of, single) else {
                    let Some(text) = single.as_text() else { continue };
                    exact_count += usize::from(of.is_exact);
                    if let Some(rest) = self.take(of, &text, is_words, exact_count <= TERMS_MAX) {
                        late.push(rest.map_or(text, Cow::Owned));
                    }
                    continue;
                };
                exact_count += usize::from(of.is_exact);
                if of.is_exact && exact_count <= TERMS_MAX {
                    self.exact.add(given.exact, row);
                }
                if !is_words {
                    continue;
                }
                if given.word != NONE && of.is_covering && exact_count <= TERMS_MAX {
                    self.words.see(given.word, row);
                } else {
                    self.pending.extend_from_slice(&self.words_of[given.words.0..given.words.1]);
                }
            }
        }
        let word_count = self.add_words(&late);
        if TERMS_MAX < word_count.max(exact_count) {
            let group = self.exact.group(OVERFLOW);
            let list = self.exact.list(group, "");
            self.exact.add(list, row);
        }
        if let Some(list) = event.text(Field::NHATLE_UNIT).and_then(|unit| self.unit(unit)) {
            self.exact.add(list, row);
        }
        self.words.end_row();
        self.exact.end_row();
    }

    /// The fields seen, the words, and the exact terms.
    pub fn finish(self) -> (Fields, Lists, Lists) {
        (self.fields, self.words, self.exact)
    }

    /// The list of a unit; `None` for what is no code of one.
    fn unit(&mut self, unit: &str) -> Option<u32> {
        if let Some((last, list)) = &self.unit
            && last == unit
        {
            return *list;
        }
        let list = unit_term(unit).map(|term| {
            let (mark, code) = term.split_at(UNIT.len_utf8());
            let group = self.exact.group(mark);
            self.exact.list(group, code)
        });
        self.unit = Some((Text::from(unit), list));
        list
    }

    /// Adds the words of the event that no value says; says how many they are.
    fn add_words(&mut self, late: &[Cow<'_, str>]) -> usize {
        let row = self.row - 1;
        let group = self.words.group("");
        let mut count = 0usize;
        for list in &self.pending {
            if count <= TERMS_MAX && self.words.see(*list, row) {
                self.words.entries.push(*list);
                count += 1;
            }
        }
        for part in late.iter().flat_map(|text| parts(text)) {
            if TERMS_MAX < count {
                break;
            }
            let list = self.words.list(group, front(part, PART_BYTES_MAX));
            if self.words.see(list, row) {
                self.words.entries.push(list);
                count += 1;
            }
        }
        count
    }

    fn field(&mut self, field: Field) -> Of {
        let at = field.index();
        if let Some(Some(of)) = self.of.get(at) {
            return *of;
        }
        let FieldTerms { key, is_word_field, is_exact, is_covering, is_running_text } = self.fields.of(field);
        let group = self.exact.group(&format!("{key}{MARK}"));
        let (is_word_field, is_exact, is_covering) = (*is_word_field, *is_exact, *is_covering);
        let of = Of { group, is_exact, is_covering, is_word_field, is_remembered: !*is_running_text };
        if self.of.len() <= at {
            self.of.resize(at + 1, None);
        }
        self.of[at] = Some(of);
        of
    }

    /// What this value of the field gives, worked out when it is first seen; `None` for what is not remembered.
    fn remembered(&mut self, field: Field, of: Of, single: &Value) -> Option<Given> {
        if !of.is_remembered {
            return None;
        }
        // A field, a type, and bytes that tell the values of the type apart.
        let mut key = [0u8; 5];
        key[..4].copy_from_slice(&u32::try_from(field.index()).ok()?.to_le_bytes());
        let (kind, text) = match single {
            Value::Text(text) if text.len() <= REMEMBERED_BYTES_MAX => (0, text.as_bytes()),
            Value::Ip(std::net::IpAddr::V4(address)) => (1, &address.octets()[..]),
            Value::Ip(std::net::IpAddr::V6(address)) => (2, &address.octets()[..]),
            Value::Long(number) => (3, &number.to_le_bytes()[..]),
            Value::Boolean(flag) => (4, &[u8::from(*flag)][..]),
            _ => return None,
        };
        key[4] = kind;
        let (id, is_new) = self.remembered.intern(&key, text);
        if is_new {
            let given = self.work_out(of, &single.as_text()?);
            self.given.push(given);
        }
        self.given.get(id as usize).copied()
    }

    fn work_out(&mut self, of: Of, text: &str) -> Given {
        let folded = fold(text);
        let exact = if of.is_exact { self.exact.list(of.group, &folded) } else { NONE };
        let begin = self.words_of.len();
        let group = self.words.group("");
        for part in parts(&folded) {
            self.words_of.push(self.words.list(group, part));
        }
        let is_one_word = parts(&folded).next() == Some(&*folded);
        let word = if is_one_word { self.words_of[begin] } else { NONE };
        Given { exact, word, words: (begin, self.words_of.len()) }
    }

    /// Takes a value that is not remembered. Out: whether its words are still to be added, and the folded text where it is
    /// another than the text.
    fn take(&mut self, of: Of, text: &str, is_words: bool, is_room: bool) -> Option<Option<String>> {
        let row = self.row - 1;
        let folded = fold(text);
        if of.is_exact && is_room {
            let list = if VALUE_BYTES_MAX < folded.len() {
                self.exact.list(of.group, &format!("{}{MARK}", front(&folded, VALUE_BYTES_MAX)))
            } else {
                self.exact.list(of.group, &folded)
            };
            self.exact.add(list, row);
        }
        if !is_words {
            return None;
        }
        let is_one_word = folded.len() <= PART_BYTES_MAX && parts(&folded).next() == Some(&*folded);
        if of.is_covering && is_one_word && is_room {
            let group = self.words.group("");
            let list = self.words.list(group, &folded);
            self.words.see(list, row);
            return None;
        }
        Some(match folded {
            Cow::Borrowed(_) => None,
            Cow::Owned(folded) => Some(folded),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nhatle_event::{Seq, Stored, Timestamp};
    use proptest::prelude::*;

    use super::super::terms::TermMaker;
    use super::super::text_index::{TextIndex, build};
    use super::*;

    type Terms = BTreeMap<Vec<u8>, Vec<usize>>;

    /// What the plain twin puts where; rows with too many words by their overflow only.
    fn plain(events: &[Stored]) -> ([Terms; 2], Fields) {
        let mut maker = TermMaker::default();
        let mut terms = [Terms::new(), Terms::new()];
        for (row, stored) in events.iter().enumerate() {
            let of = maker.terms(&stored.event);
            for (terms, text) in terms.iter_mut().zip([of.words, of.exact]) {
                for term in text.split_terminator('\0') {
                    let rows: &mut Vec<usize> = terms.entry(term.as_bytes().to_vec()).or_default();
                    if rows.last() != Some(&row) {
                        rows.push(row);
                    }
                }
            }
        }
        (terms, maker.fields)
    }

    fn check(events: &[Event]) {
        let stored =
            |(seq, event): (u64, &Event)| Stored { seq: Seq(seq), committed: Timestamp(0), event: event.clone() };
        let events: Vec<Stored> = (1..).zip(events).map(stored).collect();
        let index = TextIndex::open(build(&events.iter().collect::<Vec<_>>()).unwrap(), events.len() as u64).unwrap();
        let (terms, fields) = plain(&events);
        assert_eq!(index.dump(), terms);
        assert_eq!(index.contents.covering, fields.covering);
        assert_eq!(index.contents.keys, Some(fields.keys));
    }

    fn event(fields: &[(&str, Value)]) -> Event {
        let mut event = Event::new(Timestamp(0), Vec::new());
        fields.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
        event
    }

    #[test]
    fn a_word_that_a_value_says_is_no_word_whatever_comes_first() {
        let user = ("user.name", Value::from("Root"));
        let message = ("message", Value::from("root logged in as ROOT from 10.0.0.1"));
        let rows = [vec![user.clone(), message.clone()], vec![message.clone()], vec![message, user]];
        check(&rows.map(|fields| event(&fields)));
    }

    #[test]
    fn names_that_are_fronts_of_names_stay_in_order() {
        let values = |name| [event(&[(name, Value::from("b"))]), event(&[(name, Value::from(""))])];
        check(&["a", "a.b", "a b", "A", "a.", "", "đ"].map(values).concat());
    }

    #[test]
    fn long_values_are_cut_as_the_twin_cuts_them() {
        for length in [63, 64, 65, 127, 128, 129, 255, 256, 257, 300] {
            let word = Value::from("đ".repeat(length / 2).as_str());
            let text = Value::from("w ".repeat(length).as_str());
            check(&[
                event(&[("user.name", word.clone()), ("x", text), ("message", word.clone())]),
                event(&[("x", word)]),
            ]);
        }
    }

    #[test]
    fn a_row_with_too_many_values_overflows_as_the_twin_does() {
        let many = |count: usize| Value::List((0..count).map(|at| Value::from(format!("v{at}").as_str())).collect());
        check(&[event(&[("user.name", many(TERMS_MAX))]), event(&[("user.name", many(TERMS_MAX + 1))])]);
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[a-cA-C1 .đĐ\\x00\\x01]{0,12}".prop_map(|text| Value::from(text.as_str())),
            Just(Value::from("10.0.0.1:80 Phường Bắc Lý 10.0.0.1")),
            Just(Value::from("10.0.0.1"))
        ];
        let other = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            (0i64..5).prop_map(Value::Long),
            (0i64..5).prop_map(|number| Value::Double(number as f64 / 2.0)),
            Just(Value::Ip([10, 0, 0, 1].into())),
            Just(Value::Ip(std::net::Ipv6Addr::LOCALHOST.into())),
            Just(Value::Date(Timestamp(0))),
        ];
        let single = prop_oneof![3 => text, 1 => other];
        prop_oneof![4 => single.clone(), 1 => proptest::collection::vec(single, 0..4).prop_map(Value::List)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_terms_are_those_of_the_plain_twin(rows in proptest::collection::vec(
            proptest::collection::vec((prop_oneof![
                Just("message"), Just("user.name"), Just("source.ip"), Just("event.code"), Just("process.pid"),
                Just("nhatle.unit"), Just("Image"), Just("image"), Just("tags"), Just("event.start")], value()), 0..6),
            1..40)) {
            check(&rows.iter().map(|fields| event(fields)).collect::<Vec<_>>());
        }
    }
}
