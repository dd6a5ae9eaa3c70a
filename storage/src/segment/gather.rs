//! The terms of a segment's events and the rows each stands in, gathered in memory before they are written. In: events in
//! row order. Out: [`Lists`].
//!
//! What a value gives (its folded form, its words) is worked out once for each different value of a field in the segment,
//! not once for each event; after that an event costs one look-up a value. [`super::terms::TermMaker`] is the plain twin
//! that says what the terms of an event are.
//!
//! Memory: 4 bytes a posting while gathering and 8 while writing, and each different term and short value once.

use std::borrow::Cow;

use nhatle_event::value::address_text;
use nhatle_event::{Event, Field, Text, Value};

use super::lists::Lists;
use super::shape::Shape;
use super::stands::{Named, STANDS_BYTES_MIN, Stands};
use super::terms::{
    FieldTerms, Fields, MARK, OVERFLOW, PART_BYTES_MAX, TERMS_MAX, UNIT, VALUE_BYTES_MAX, is_word_field, unit_term,
};
use super::texts::Texts;
use super::words::{fold, front, is_folded, parts};

/// Values up to this length are remembered with their terms.
const REMEMBERED_BYTES_MAX: usize = 64;
/// No list.
const NONE: u32 = u32::MAX;
/// Before a remembered value: the number of its field, and its type.
const KEY_BYTES: usize = 5;

/// What a value gives to the index.
#[derive(Clone, Copy)]
struct Given {
    /// Its list among the exact terms.
    exact: u32,
    /// Its list among the words, where it is one word.
    word: u32,
    /// Its words, in [`Gatherer::words_of`].
    words: (usize, usize),
    /// Its number among the values of all fields, where another field's may stand for it.
    value: u32,
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

/// What an index is made of.
pub struct Gathered {
    /// The fields seen.
    pub fields: Fields,
    /// The words.
    pub words: Lists,
    /// The exact terms.
    pub exact: Lists,
    /// Which fields' terms stand for which others'.
    pub stands: Named,
    /// What the values of covering fields that are one word look like, in the order of these fields.
    pub shapes: Vec<Shape>,
    /// For each group of exact terms: its field is one whose values are searched for words.
    pub is_by_words: Vec<bool>,
}

/// Takes one event after the other.
#[derive(Default)]
pub struct Gatherer {
    fields: Fields,
    of: Vec<Option<Of>>,
    /// The value last seen of each field, by its number: in `remembered`, and in `exact`.
    last: Vec<u32>,
    last_folded: Vec<u32>,
    /// Words and where they stand.
    words: Lists,
    /// Values, units and overflow, and where they stand.
    exact: Lists,
    /// Values that are not their own folded form, and what they give.
    remembered: Texts<KEY_BYTES>,
    given: Vec<Given>,
    /// What values that are their own folded form give, by their list in `exact`.
    given_of_exact: Vec<Option<Given>>,
    words_of: Vec<u32>,
    /// The values of all fields, and which field's term says each in the row it was last seen in (plus one).
    values: Texts<0>,
    sayers: Vec<(u32, u32)>,
    stands: Stands,
    /// What the values of each group of `exact` look like that are one word and of a covering field.
    shapes: Vec<Shape>,
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
                    self.add_exact(of, given);
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

    /// What was gathered.
    pub fn finish(self) -> Gathered {
        let key_of = |group: usize| self.exact.groups[group].trim_end_matches(MARK);
        let stands = self.stands.named(|group| key_of(group as usize).to_owned());
        let shape_of = |key: &String| {
            let group = (0..self.shapes.len()).find(|group| key_of(*group) == key);
            group.map(|group| self.shapes[group]).unwrap_or_default()
        };
        let shapes = self.fields.covering.iter().map(shape_of).collect();
        let is_key = |group: usize| self.exact.groups[group].ends_with(MARK);
        let is_by_words = (0..self.exact.groups.len()).map(|group| is_key(group) && is_word_field(key_of(group)));
        let is_by_words = is_by_words.collect();
        Gathered { fields: self.fields, words: self.words, exact: self.exact, stands, shapes, is_by_words }
    }

    /// A value that is one word was found in a field.
    fn shape(&mut self, of: Of, word: &str) {
        if of.is_covering {
            let at = of.group as usize;
            if self.shapes.len() <= at {
                self.shapes.resize(at + 1, Shape::default());
            }
            self.shapes[at].add(Shape::of(word.as_bytes()));
        }
    }

    /// Adds the exact term of a value, unless the term of another field says it in this row.
    fn add_exact(&mut self, of: Of, given: Given) {
        let row = self.row - 1;
        if !self.exact.see(given.exact, row) {
            return;
        }
        if let Some(sayer) = self.sayers.get_mut(given.value as usize) {
            if sayer.0 != row + 1 {
                *sayer = (row + 1, of.group);
            } else if sayer.1 != of.group && self.stands.takes(of.group, of.is_covering, sayer.1) {
                return;
            }
        }
        self.exact.entries.push(given.exact);
        self.stands.count(of.group);
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
        self.stands.know(group, is_covering);
        if self.of.len() <= at {
            self.of.resize(at + 1, None);
            self.last.resize(at + 1, NONE);
            self.last_folded.resize(at + 1, NONE);
        }
        self.of[at] = Some(of);
        of
    }

    /// What this value of the field gives, worked out when it is first seen; `None` for what is not remembered.
    fn remembered(&mut self, field: Field, of: Of, single: &Value) -> Option<Given> {
        if !of.is_remembered {
            return None;
        }
        match single {
            Value::Text(text) if REMEMBERED_BYTES_MAX < text.len() => None,
            Value::Text(text) if of.is_exact && is_folded(text) => Some(self.folded(field, of, text)),
            Value::Text(text) => self.unfolded(field, of, 0, text.as_bytes(), single),
            // These are written without capitals.
            Value::Ip(address) if of.is_exact => Some(self.folded(field, of, &address_text(*address))),
            Value::Long(number) if of.is_exact => {
                Some(self.folded(field, of, &Value::Long(*number).to_text().unwrap_or_default()))
            }
            Value::Boolean(flag) if of.is_exact => Some(self.folded(field, of, if *flag { "true" } else { "false" })),
            Value::Ip(std::net::IpAddr::V4(address)) => self.unfolded(field, of, 1, &address.octets(), single),
            Value::Ip(std::net::IpAddr::V6(address)) => self.unfolded(field, of, 2, &address.octets(), single),
            Value::Long(number) => self.unfolded(field, of, 3, &number.to_le_bytes(), single),
            Value::Boolean(flag) => self.unfolded(field, of, 4, &[u8::from(*flag)], single),
            _ => None,
        }
    }

    /// Of a text that is its own folded form, in a field with exact terms: its term says where it is.
    fn folded(&mut self, field: Field, of: Of, text: &str) -> Given {
        // Many values are those of the event before.
        let group = of.group.to_le_bytes();
        let last = self.last_folded[field.index()];
        let list = match last != NONE && self.exact.texts.is(last, &group, text.as_bytes()) {
            true => last,
            false => self.exact.list(of.group, text),
        };
        self.last_folded[field.index()] = list;
        let at = list as usize;
        if self.given_of_exact.len() <= at {
            self.given_of_exact.resize(at + 1, None);
        }
        if let Some(given) = self.given_of_exact[at] {
            return given;
        }
        let given = self.work_out_words(of, list, text);
        self.given_of_exact[at] = Some(given);
        given
    }

    /// Of any other value: `text` tells the values of a kind apart.
    fn unfolded(&mut self, field: Field, of: Of, kind: u8, text: &[u8], single: &Value) -> Option<Given> {
        let mut key = [kind; KEY_BYTES];
        key[..4].copy_from_slice(&u32::try_from(field.index()).ok()?.to_le_bytes());
        let last = self.last[field.index()];
        if last != NONE && self.remembered.is(last, &key, text) {
            return self.given.get(last as usize).copied();
        }
        let (id, is_new) = self.remembered.intern(&key, text);
        self.last[field.index()] = id;
        if is_new {
            let folded = fold(&single.as_text()?).into_owned();
            let exact = if of.is_exact { self.exact.list(of.group, &folded) } else { NONE };
            let given = self.work_out_words(of, exact, &folded);
            self.given.push(given);
        }
        self.given.get(id as usize).copied()
    }

    /// The words of a folded value.
    fn work_out_words(&mut self, of: Of, exact: u32, folded: &str) -> Given {
        let begin = self.words_of.len();
        let group = self.words.group("");
        let mut is_one_word = false;
        for part in parts(folded) {
            is_one_word = part.len() == folded.len();
            self.words_of.push(self.words.list(group, part));
        }
        let word = if is_one_word { self.words_of[begin] } else { NONE };
        if is_one_word {
            self.shape(of, folded);
        }
        let value = self.number_of(exact, folded);
        Given { exact, word, words: (begin, self.words_of.len()), value }
    }

    /// The number of a folded value among those of all fields; [`NONE`] for what no other field's term stands for.
    fn number_of(&mut self, exact: u32, folded: &str) -> u32 {
        if exact == NONE || folded.len() < STANDS_BYTES_MIN {
            return NONE;
        }
        let (value, is_new) = self.values.intern(&[], folded.as_bytes());
        if is_new {
            self.sayers.push((0, 0));
        }
        value
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
            if self.exact.see(list, row) {
                self.exact.entries.push(list);
                self.stands.count(of.group);
            }
        }
        if !is_words {
            return None;
        }
        let is_one_word = folded.len() <= PART_BYTES_MAX && parts(&folded).next() == Some(&*folded);
        if of.is_covering && is_one_word && is_room {
            let group = self.words.group("");
            let list = self.words.list(group, &folded);
            self.words.see(list, row);
            self.shape(of, &folded);
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
    fn plain(events: &[Stored]) -> ([Terms; 2], TermMaker) {
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
        (terms, maker)
    }

    fn check(events: &[Event]) {
        let stored =
            |(seq, event): (u64, &Event)| Stored { seq: Seq(seq), committed: Timestamp(0), event: event.clone() };
        let events: Vec<Stored> = (1..).zip(events).map(stored).collect();
        let index = build(events.iter().map(|stored| &stored.event)).unwrap();
        let index = TextIndex::open(index, events.len() as u64).unwrap();
        let (terms, maker) = plain(&events);
        assert_eq!(index.dump(), terms);
        assert_eq!(index.contents.stands, maker.named());
        assert_eq!(index.contents.covering, maker.fields.covering);
        assert_eq!(index.contents.keys, Some(maker.fields.keys));
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
            Just(Value::from("10.0.0.1")),
            Just(Value::from("ROOT")),
            Just(Value::from("1234"))
        ];
        let other = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            (0i64..5).prop_map(Value::Long),
            Just(Value::Long(1234)),
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
                Just("nhatle.unit"), Just("Image"), Just("image"), Just("tags"), Just("event.start"),
                Just("destination.ip"), Just("related.ip"), Just("vendor.a"), Just("vendor.b")], value()), 0..9),
            1..40)) {
            check(&rows.iter().map(|fields| event(fields)).collect::<Vec<_>>());
        }
    }
}
