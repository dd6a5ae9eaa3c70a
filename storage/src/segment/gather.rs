//! The terms of a segment's events and the rows each stands in, gathered in memory before they are written. In: events in
//! row order. Out: [`Gathered`], which gives the terms in the order a dictionary wants them, each with its rows.
//!
//! A text is looked up once, whatever it is: a value of several fields, a word, or both. What it gives (its words, the lists
//! of the fields it is a value of) is worked out when it is first seen; after that an event costs one look-up for a value that is
//! not the last one of its field, and one for a word. [`super::terms::TermMaker`] is the plain twin that says what the terms of an
//! event are.
//!
//! Memory: 4 bytes a posting while gathering and 8 while writing, and each different text once.

use std::borrow::Cow;
use std::net::IpAddr;

use foldhash::HashMap;
use nhatle_event::value::address_text;
use nhatle_event::{Event, Field, Text, Value};

use super::lists::{Lists, in_order};
use super::shape::Shape;
use super::stands::{Named, STANDS_BYTES_MIN, Stands};
use super::terms::{FieldTerms, Fields, MARK, OVERFLOW, PART_BYTES_MAX, TERMS_MAX, UNIT, VALUE_BYTES_MAX, unit_term};
use super::texts::{Key, Texts, short};
use super::words::{fold, front, is_folded, parts};

/// Values up to this length are remembered with what they give.
const REMEMBERED_BYTES_MAX: usize = 64;
/// Lists of more fields than this are looked for in a table.
pub(super) const CHAIN_MAX: usize = 8;
/// No list; words that are not worked out.
const NONE: u32 = u32::MAX;

/// What is known of a text.
#[derive(Clone, Copy)]
struct Known {
    /// The row (plus one) it was last seen in as a word; 0 for what was none yet.
    word_row: u32,
    /// Where its words begin in [`Gatherer::words_of`], and how many there are.
    words_begin: u32,
    words_count: u16,
    /// Another field's term may stand for it.
    may_stand: bool,
    /// The row (plus one) in which a field's term said it last, and the group of the field.
    said: (u32, u32),
    /// The first of its lists.
    list: u32,
}

/// The list of a text as a value of one group.
struct List {
    group: u32,
    text: u32,
    /// The next list of the text.
    next: u32,
    /// The row (plus one) it was last seen in.
    row: u32,
}

/// What a value gives to the index.
#[derive(Clone, Copy)]
struct Given {
    /// The number of its folded form.
    text: u32,
    /// Its list among the exact terms.
    list: u32,
}

/// The value last seen of a field, as it came.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Short(Key),
    /// A longer text that is its own folded form.
    Folded,
    /// A longer text that is not, by its number in [`Gatherer::raw`].
    Raw(u32),
    Ip(IpAddr),
    Long(i64),
    Boolean(bool),
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
    /// Which fields' terms stand for which others'.
    pub stands: Named,
    /// What the values of covering fields that are one word look like, in the order of these fields.
    pub shapes: Vec<Shape>,
    texts: Texts,
    known: Vec<Known>,
    words: Lists,
    lists: Vec<List>,
    exact: Lists,
    groups: Vec<String>,
}

impl Gathered {
    /// Gives each word that was seen, in no order, whether it stands for itself or a value says it.
    pub fn each_word(&self, mut each: impl FnMut(&[u8])) {
        let words = (0u32..).zip(&self.known).filter(|(_, known)| known.word_row != 0);
        words.for_each(|(text, _)| each(self.texts.get(text)));
    }

    /// The numbers of all texts in the order of their bytes.
    pub fn order(&self) -> Vec<u32> {
        in_order(&self.texts)
    }

    /// Gives each word that stands for itself, with its rows.
    ///
    /// # Errors
    /// What `each` says.
    pub fn words<E>(&self, order: &[u32], mut each: impl FnMut(&[u8], &[u32]) -> Result<(), E>) -> Result<(), E> {
        let by_list = self.words.by_list(self.texts.len());
        let words = order.iter().map(|text| (*text, by_list.get(*text))).filter(|(_, rows)| !rows.is_empty());
        words.into_iter().try_for_each(|(text, rows)| each(self.texts.get(text), rows))
    }

    /// Gives each exact term, with its value, its rows, and whether the filter has the words of the value and not the term.
    ///
    /// # Errors
    /// What `each` says.
    pub fn exact<E>(
        &self,
        order: &[u32],
        mut each: impl FnMut(&[u8], &[u8], &[u32], bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let by_list = self.exact.by_list(self.lists.len());
        let mut places = vec![0u32; order.len()];
        (0u32..).zip(order).for_each(|(place, text)| places[*text as usize] = place);
        // No group's name is the front of another's.
        let mut groups: Vec<(&String, Vec<(u32, u32)>)> = self.groups.iter().map(|name| (name, Vec::new())).collect();
        for (at, list) in (0u32..).zip(&self.lists) {
            groups[list.group as usize].1.push((places[list.text as usize], at));
        }
        groups.sort_by_key(|(name, _)| *name);
        let mut term = Vec::new();
        for (name, mut lists) in groups {
            lists.sort_unstable();
            let is_word_field = name.strip_suffix(MARK).is_some_and(super::terms::is_word_field);
            for (place, list) in lists {
                let rows = by_list.get(list);
                if !rows.is_empty() {
                    let text = self.texts.get(order[place as usize]);
                    term.clear();
                    term.extend_from_slice(name.as_bytes());
                    term.extend_from_slice(text);
                    each(&term, text, rows, is_word_field)?;
                }
            }
        }
        Ok(())
    }
}

/// Takes one event after the other.
#[derive(Default)]
pub struct Gatherer {
    fields: Fields,
    of: Vec<Option<Of>>,
    /// By the number of the field: the value last seen of it, and what it gave.
    last: Vec<(Last, Given)>,
    /// All folded texts, and what is known of each.
    texts: Texts,
    known: Vec<Known>,
    words_of: Vec<u32>,
    /// Texts that are not their own folded form, and the numbers of that.
    raw: Texts,
    folded: Vec<u32>,
    /// The lists of values, units and overflow, and what stands before the texts of each of their groups.
    lists: Vec<List>,
    groups: Vec<String>,
    group_by_name: HashMap<String, u32>,
    /// The list of a text of a group, where the text has many.
    far: HashMap<(u32, u32), u32>,
    /// Which rows have each word (by its text), and each of `lists`.
    words: Lists,
    exact: Lists,
    stands: Stands,
    /// What the values of each group look like that are one word and of a covering field.
    shapes: Vec<Shape>,
    row: u32,
    /// The unit last seen, and its list.
    unit: Option<(Text, Option<u32>)>,
    /// Of the event at hand: words that count unless a value says them already.
    pending: Vec<u32>,
    /// The text at hand.
    folded_text: String,
}

impl Gatherer {
    /// Takes the event of the next row.
    pub fn add(&mut self, event: &Event) {
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
                let Some(given) = self.remembered(field.index(), of, single) else {
                    let Some(text) = single.as_text() else { continue };
                    exact_count += usize::from(of.is_exact);
                    if let Some(rest) = self.take(of, &text, is_words, exact_count <= TERMS_MAX) {
                        late.push(rest.map_or(text, Cow::Owned));
                    }
                    continue;
                };
                exact_count += usize::from(of.is_exact);
                let is_room = exact_count <= TERMS_MAX;
                if of.is_exact && is_room {
                    self.add_exact(of, given);
                }
                if is_words {
                    self.add_words_of(given.text, of.is_covering && is_room);
                }
            }
        }
        let word_count = self.add_words(&late);
        if TERMS_MAX < word_count.max(exact_count) {
            let list = self.list_named(OVERFLOW, "");
            self.add_list(list);
        }
        if let Some(list) = event.text(Field::NHATLE_UNIT).and_then(|unit| self.unit(unit)) {
            self.add_list(list);
        }
        self.words.end_row();
        self.exact.end_row();
    }

    /// What was gathered.
    pub fn finish(self) -> Gathered {
        let Gatherer { fields, texts, known, lists, groups, words, exact, stands, shapes, .. } = self;
        let key_of = |group: usize| groups[group].trim_end_matches(MARK);
        let stands = stands.named(|group| key_of(group as usize).to_owned());
        let shape_of = |key: &String| {
            let group = (0..shapes.len()).find(|group| key_of(*group) == key);
            group.map(|group| shapes[group]).unwrap_or_default()
        };
        let shapes = fields.covering.iter().map(shape_of).collect();
        Gathered { fields, stands, shapes, texts, known, words, lists, exact, groups }
    }

    /// A value that is one word was found in a field, of this shape.
    fn shape(&mut self, of: Of, word: Shape) {
        if of.is_covering {
            let at = of.group as usize;
            if self.shapes.len() <= at {
                self.shapes.resize(at + 1, Shape::default());
            }
            self.shapes[at].add(word);
        }
    }

    /// Adds the exact term of a value, unless the term of another field says it in this row.
    fn add_exact(&mut self, of: Of, given: Given) {
        if !self.see_list(given.list) {
            return;
        }
        let known = &mut self.known[given.text as usize];
        if known.may_stand {
            if known.said.0 != self.row {
                known.said = (self.row, of.group);
            } else if known.said.1 != of.group && self.stands.takes(of.group, of.is_covering, known.said.1) {
                return;
            }
        }
        self.exact.add(given.list);
        self.stands.count(of.group);
    }

    /// Marks the list as seen in this row; whether it was not yet.
    fn see_list(&mut self, list: u32) -> bool {
        std::mem::replace(&mut self.lists[list as usize].row, self.row) != self.row
    }

    fn add_list(&mut self, list: u32) {
        if self.see_list(list) {
            self.exact.add(list);
        }
    }

    /// Marks the word as seen in this row; whether it was not yet.
    fn see_word(&mut self, word: u32) -> bool {
        std::mem::replace(&mut self.known[word as usize].word_row, self.row) != self.row
    }

    /// Sees to the words of a value; a single one of a field that covers it is no word of the row.
    fn add_words_of(&mut self, text: u32, is_covered: bool) {
        let known = self.known[text as usize];
        let begin = known.words_begin as usize;
        match &self.words_of[begin..begin + usize::from(known.words_count)] {
            [word] if *word == text && is_covered => {
                self.see_word(text);
            }
            words => self.pending.extend_from_slice(words),
        }
    }

    /// The list of a group by its name, of a text of it.
    fn list_named(&mut self, group: &str, text: &str) -> u32 {
        let (group, text) = (self.group(group), self.text(text));
        self.list(group, text).0
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
            self.list_named(mark, code)
        });
        self.unit = Some((Text::from(unit), list));
        list
    }

    /// Adds the words of the event that no value says; says how many they are.
    fn add_words(&mut self, late: &[Cow<'_, str>]) -> usize {
        let mut count = 0usize;
        for at in 0..self.pending.len() {
            let word = self.pending[at];
            if count <= TERMS_MAX && self.see_word(word) {
                self.words.add(word);
                count += 1;
            }
        }
        for part in late.iter().flat_map(|text| parts(text)) {
            if TERMS_MAX < count {
                break;
            }
            let word = self.text(front(part, PART_BYTES_MAX));
            if self.see_word(word) {
                self.words.add(word);
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
        let name = format!("{key}{MARK}");
        let (is_word_field, is_exact, is_covering) = (*is_word_field, *is_exact, *is_covering);
        let is_remembered = !*is_running_text;
        let group = self.group(&name);
        let of = Of { group, is_exact, is_covering, is_word_field, is_remembered };
        self.stands.know(group, is_covering);
        if self.of.len() <= at {
            self.of.resize(at + 1, None);
            self.last.resize(at + 1, (Last::Nothing, Given { text: NONE, list: NONE }));
        }
        self.of[at] = Some(of);
        of
    }

    /// The group of this name.
    fn group(&mut self, name: &str) -> u32 {
        if let Some(group) = self.group_by_name.get(name) {
            return *group;
        }
        let group = u32::try_from(self.groups.len()).expect("fields have 32-bit numbers");
        self.groups.push(name.to_owned());
        self.group_by_name.insert(name.to_owned(), group);
        group
    }

    /// The number of a folded text.
    fn text(&mut self, text: &str) -> u32 {
        let (id, is_new) = self.texts.intern(text.as_bytes());
        if is_new {
            let may_stand = STANDS_BYTES_MIN <= text.len();
            let (word_row, words_begin, words_count, said, list) = (0, NONE, 0, (0, 0), NONE);
            self.known.push(Known { word_row, words_begin, words_count, may_stand, said, list });
        }
        id
    }

    /// The list of a text of a group, and whether it is new.
    fn list(&mut self, group: u32, text: u32) -> (u32, bool) {
        let first = self.known[text as usize].list;
        let (mut at, mut count) = (first, 0);
        while let Some(list) = self.lists.get(at as usize) {
            if list.group == group {
                return (at, false);
            }
            (at, count) = (list.next, count + 1);
        }
        let new = u32::try_from(self.lists.len()).expect("a segment has fewer rows than 2^32, and terms in proportion");
        if count < CHAIN_MAX {
            self.known[text as usize].list = new;
        } else if let Some(list) = self.far.get(&(group, text)) {
            return (*list, false);
        } else {
            self.far.insert((group, text), new);
        }
        let next = if count < CHAIN_MAX { first } else { NONE };
        self.lists.push(List { group, text, next, row: 0 });
        (new, true)
    }

    /// What this value of the field gives; `None` for what is not remembered.
    fn remembered(&mut self, field: usize, of: Of, single: &Value) -> Option<Given> {
        if !of.is_remembered {
            return None;
        }
        let (last, given) = self.last[field];
        let (new, text) = match single {
            Value::Text(text) if REMEMBERED_BYTES_MAX < text.len() => return None,
            Value::Text(text) => match short(text.as_bytes()) {
                Some(key) if last == Last::Short(key) => return Some(given),
                Some(key) => (Last::Short(key), self.folded(text).1),
                None => {
                    let same = match last {
                        Last::Folded => self.texts.get(given.text),
                        Last::Raw(raw) => self.raw.get(raw),
                        _ => &[],
                    };
                    if same == text.as_bytes() {
                        return Some(given);
                    }
                    self.folded(text)
                }
            },
            Value::Ip(address) if last == Last::Ip(*address) => return Some(given),
            Value::Long(number) if last == Last::Long(*number) => return Some(given),
            Value::Boolean(flag) if last == Last::Boolean(*flag) => return Some(given),
            // These are written without capitals.
            Value::Ip(address) => (Last::Ip(*address), self.text(&address_text(*address))),
            Value::Long(number) => (Last::Long(*number), self.text(&single.to_text().unwrap_or_default())),
            Value::Boolean(flag) => (Last::Boolean(*flag), self.text(if *flag { "true" } else { "false" })),
            _ => return None,
        };
        let given = self.give(of, text);
        self.last[field] = (new, given);
        Some(given)
    }

    /// The number of the folded form of a text, and what tells it apart where it is long.
    fn folded(&mut self, text: &str) -> (Last, u32) {
        if is_folded(text) {
            return (Last::Folded, self.text(text));
        }
        let (raw, is_new) = self.raw.intern(text.as_bytes());
        if is_new {
            let folded = self.text(&fold(text));
            self.folded.push(folded);
        }
        (Last::Raw(raw), self.folded[raw as usize])
    }

    /// What a folded text gives as a value of a field.
    fn give(&mut self, of: Of, text: u32) -> Given {
        if self.known[text as usize].words_begin == NONE {
            self.work_out_words(text);
        }
        if !of.is_exact {
            return Given { text, list: NONE };
        }
        let (list, is_new) = self.list(of.group, text);
        if is_new && self.is_one_word(text) {
            let shape = Shape::of(self.texts.get(text));
            self.shape(of, shape);
        }
        Given { text, list }
    }

    fn work_out_words(&mut self, text: u32) {
        let begin = self.words_of.len();
        let mut folded = std::mem::take(&mut self.folded_text);
        folded.clear();
        folded.push_str(std::str::from_utf8(self.texts.get(text)).unwrap_or_default());
        for part in parts(&folded) {
            let is_whole = part.len() == folded.len() && part.len() <= PART_BYTES_MAX;
            let word = if is_whole { text } else { self.text(front(part, PART_BYTES_MAX)) };
            self.words_of.push(word);
        }
        self.folded_text = folded;
        let known = &mut self.known[text as usize];
        known.words_begin = u32::try_from(begin).expect("each text has a few words");
        known.words_count = u16::try_from(self.words_of.len() - begin).expect("a remembered value is short");
    }

    fn is_one_word(&self, text: u32) -> bool {
        let known = self.known[text as usize];
        known.words_count == 1 && self.words_of[known.words_begin as usize] == text
    }

    /// Takes a value that is not remembered. Out: whether its words are still to be added, and the folded text where it is
    /// another than the text.
    fn take(&mut self, of: Of, text: &str, is_words: bool, is_room: bool) -> Option<Option<String>> {
        let folded = fold(text);
        if of.is_exact && is_room {
            let text = match VALUE_BYTES_MAX < folded.len() {
                true => self.text(&format!("{}{MARK}", front(&folded, VALUE_BYTES_MAX))),
                false => self.text(&folded),
            };
            let list = self.list(of.group, text).0;
            if self.see_list(list) {
                self.exact.add(list);
                self.stands.count(of.group);
            }
        }
        if !is_words {
            return None;
        }
        let is_one_word = folded.len() <= PART_BYTES_MAX && parts(&folded).next() == Some(&*folded);
        if of.is_covering && is_one_word && is_room {
            let word = self.text(&folded);
            self.see_word(word);
            self.shape(of, Shape::of(folded.as_bytes()));
            return None;
        }
        Some(match folded {
            Cow::Borrowed(_) => None,
            Cow::Owned(folded) => Some(folded),
        })
    }
}
