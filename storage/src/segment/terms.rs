//! Which words and values of an event the index holds, and how a term is written. In: events. Out: terms.
//! The planner asks the same functions, so an index never claims to know what was not put in.
//!
//! ```text
//! words:  <part>                     a part of a text that no value term of the row says already
//! exact:  <key> 01 <folded value>    a value of a field; 01 behind it when it was cut at 256 bytes
//!         02 <unit>                  nhatle.unit, byte for byte, for the limit to units
//!         03                         a row with more words or values than the index takes
//! ```

use std::sync::LazyLock;

use foldhash::HashMap;
use nhatle_event::field::{Known, Storage, TABLE};
use nhatle_event::{Field, Kind};

use super::words::{front, name_key, parts};

/// How long a value term may be; a longer value is cut and looked at again in the row.
pub const VALUE_BYTES_MAX: usize = 256;
/// How long a word may be; a longer one is cut and looked at again in the row.
pub const PART_BYTES_MAX: usize = 128;
/// How many words one event may put into the index, and how many values.
pub const TERMS_MAX: usize = 4096;
/// How many fields may spare their single words from the words.
pub const COVERING_MAX: usize = 64;
/// How many keys of fields a segment lists.
pub const KEYS_MAX: usize = 8192;

/// Stands between key and value, and behind a cut value.
pub const MARK: char = '\u{1}';
/// Stands before a unit.
pub const UNIT: char = '\u{2}';
/// The term of rows that are not fully indexed.
pub const OVERFLOW: &str = "\u{3}";

static KNOWN: LazyLock<HashMap<&'static str, &'static Known>> =
    LazyLock::new(|| TABLE.iter().map(|known| (known.name, known)).collect());

/// The fields of this key hold running text, in which words are found.
pub fn is_running_text(key: &str) -> bool {
    KNOWN.get(key).is_some_and(|known| known.kind == Kind::Text)
}

/// Every value of the fields of this key is an exact term. Not: running text (found by words), moments, and
/// the numbers that are not a column (counters and offsets, a new term for every row).
pub fn has_exact_terms(key: &str) -> bool {
    KNOWN.get(key).is_none_or(|known| match known.kind {
        Kind::Text | Kind::Date => false,
        Kind::Long | Kind::Double => known.storage == Storage::Column,
        Kind::Keyword | Kind::Boolean | Kind::Ip => true,
    })
}

/// Bare words are looked for in every value of the fields of this key. In the other fields (numbers,
/// booleans, moments) only in values that are text or addresses all the same.
pub fn is_word_field(key: &str) -> bool {
    KNOWN.get(key).is_none_or(|known| matches!(known.kind, Kind::Text | Kind::Keyword | Kind::Ip))
}

/// The filter over terms has the words of this folded value of a field whose values are searched for words
/// ([`is_word_field`]), and not the value: one that has words and was not cut.
pub fn is_by_words(folded: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric();
    folded.len() <= VALUE_BYTES_MAX
        && folded.last() != Some(&(MARK as u8))
        && (folded.first().is_some_and(is_letter)
            || std::str::from_utf8(folded).is_ok_and(|text| parts(text).next().is_some()))
}

/// The term of a value, and whether it was cut.
pub fn exact_term(key: &str, folded: &str) -> (String, bool) {
    let is_cut = VALUE_BYTES_MAX < folded.len();
    let mut term = String::with_capacity(key.len() + folded.len().min(VALUE_BYTES_MAX) + 2);
    term.push_str(key);
    term.push(MARK);
    term.push_str(front(folded, VALUE_BYTES_MAX));
    if is_cut {
        term.push(MARK);
    }
    (term, is_cut)
}

/// The term of a unit, or `None` for text that is no code of a unit: no limit lets it through.
pub fn unit_term(unit: &str) -> Option<String> {
    is_unit_code(unit).then(|| format!("{UNIT}{unit}"))
}

/// The text can be the code of a unit: not empty, not longer than a value term, no control characters.
pub fn is_unit_code(unit: &str) -> bool {
    !unit.is_empty() && unit.len() <= VALUE_BYTES_MAX && !unit.contains(char::is_control)
}

/// What the terms of a field are, worked out once for each.
pub struct FieldTerms {
    /// Its name as terms have it.
    pub key: String,
    /// Bare words are looked for in every value of it.
    pub is_word_field: bool,
    /// Each value is an exact term.
    pub is_exact: bool,
    /// Its values that are one word are not put among the words.
    pub is_covering: bool,
    /// It holds running text.
    pub is_running_text: bool,
}

/// What the terms of the fields of a segment are.
#[derive(Default)]
pub struct Fields {
    fields: Vec<Option<FieldTerms>>,
    /// The keys of covering fields.
    pub covering: Vec<String>,
    /// The keys of all fields seen, up to [`KEYS_MAX`] and one more.
    pub keys: Vec<String>,
}

impl Fields {
    /// Of this field.
    pub fn of(&mut self, field: Field) -> &FieldTerms {
        let at = field.index();
        if self.fields.len() <= at {
            self.fields.resize_with(at + 1, || None);
        }
        if self.fields[at].is_none() {
            let key = name_key(field.name()).into_owned();
            let (is_word_field, is_exact) = (is_word_field(&key), has_exact_terms(&key));
            let is_known = self.covering.contains(&key);
            let is_covering = is_exact && is_word_field && (is_known || self.covering.len() < COVERING_MAX);
            if is_covering && !is_known {
                self.covering.push(key.clone());
            }
            if self.keys.len() <= KEYS_MAX && !self.keys.contains(&key) {
                self.keys.push(key.clone());
            }
            let is_running_text = is_running_text(&key);
            self.fields[at] = Some(FieldTerms { key, is_word_field, is_exact, is_covering, is_running_text });
        }
        self.fields[at].as_ref().expect("it was put there above")
    }
}

#[cfg(test)]
pub use plain::TermMaker;

/// The terms of events, each worked out for itself: the plain twin of [`super::gather`].
#[cfg(test)]
mod plain {
    use foldhash::{HashSet, HashSetExt};
    use nhatle_event::{Event, Field, Value};

    use std::collections::BTreeMap;

    use super::super::stands::{Named, STANDS_BYTES_MIN, STANDS_MAX, Stand};
    use super::super::words::{fold, front, parts};
    use super::{Fields, OVERFLOW, PART_BYTES_MAX, TERMS_MAX, exact_term, unit_term};

    /// A longer text's term stands for no other and no other's for it.
    const TEXT_BYTES_MAX: usize = 64;

    /// The terms of one event, each with a NUL behind it.
    #[derive(Default)]
    pub struct Terms {
        /// Words.
        pub words: String,
        /// Values, unit, overflow.
        pub exact: String,
    }

    /// Gives the terms of one event after the other.
    #[derive(Default)]
    pub struct TermMaker {
        /// What is known of each field.
        pub fields: Fields,
        /// How often a key's value was left out for another's.
        left_out: Vec<(String, String, usize)>,
        /// How many postings each key has.
        postings: BTreeMap<String, usize>,
    }

    impl TermMaker {
        /// Whose terms stand for which others'.
        pub fn named(&self) -> Named {
            let mut named = Named::new();
            for (key, by, count) in &self.left_out {
                let stand = Stand { key: by.clone(), is_always: self.postings.get(by) == Some(count) };
                named.entry(key.clone()).or_default().push(stand);
            }
            named
        }

        /// The value's own term is left out, as that of `by` says it in this row.
        fn is_left_out(&mut self, key: &str, is_covering: bool, by: &str) -> bool {
            if key == by || (is_covering && !self.fields.covering.iter().any(|one| one == by)) {
                return false;
            }
            if let Some(known) = self.left_out.iter_mut().find(|known| known.0 == key && known.1 == by) {
                known.2 += 1;
                return true;
            }
            let is_room = self.left_out.iter().filter(|known| known.0 == key).count() < STANDS_MAX;
            if is_room {
                self.left_out.push((key.to_owned(), by.to_owned(), 1));
            }
            is_room
        }

        /// The terms of an event.
        pub fn terms(&mut self, event: &Event) -> Terms {
            let mut terms = Terms::default();
            let mut covered: HashSet<String> = HashSet::with_capacity(32);
            let mut texts: Vec<String> = Vec::with_capacity(8);
            let mut exact_count = 0usize;
            // Which key's term says a value, and the terms of the row.
            let mut sayers: BTreeMap<String, String> = BTreeMap::new();
            let mut said: Vec<String> = Vec::new();
            for (field, value) in event.fields() {
                let of = self.fields.of(*field);
                let (key, is_exact, is_covering) = (of.key.clone(), of.is_exact, of.is_covering);
                let is_word_field = of.is_word_field;
                for single in value.each() {
                    let Some(text) = single.as_text() else { continue };
                    let folded = fold(&text);
                    if is_exact {
                        exact_count += 1;
                        let term = exact_term(&key, &folded).0;
                        if exact_count <= TERMS_MAX && !said.contains(&term) {
                            said.push(term.clone());
                            let may_stand = STANDS_BYTES_MIN <= folded.len()
                                && match single {
                                    Value::Text(text) => text.len() <= TEXT_BYTES_MAX,
                                    other => matches!(other, Value::Ip(_) | Value::Long(_) | Value::Boolean(_)),
                                };
                            let sayer = sayers.get(&*folded).filter(|_| may_stand).cloned();
                            if may_stand && sayer.is_none() {
                                sayers.insert(folded.to_string(), key.clone());
                            }
                            if !sayer.is_some_and(|by| self.is_left_out(&key, is_covering, &by)) {
                                *self.postings.entry(key.clone()).or_default() += 1;
                                terms.exact.push_str(&term);
                                terms.exact.push('\0');
                            }
                        }
                    }
                    if !(is_word_field || matches!(single, Value::Text(_) | Value::Ip(_))) {
                        continue;
                    }
                    let is_one_word = folded.len() <= PART_BYTES_MAX && parts(&folded).next() == Some(&*folded);
                    if is_covering && is_one_word && exact_count <= TERMS_MAX {
                        covered.insert(folded.into_owned());
                    } else {
                        texts.push(folded.into_owned());
                    }
                }
            }
            let mut word_count = 0usize;
            for part in texts.iter().flat_map(|text| parts(text)) {
                let part = front(part, PART_BYTES_MAX);
                if word_count <= TERMS_MAX && !covered.contains(part) {
                    covered.insert(part.to_owned());
                    word_count += 1;
                    terms.words.push_str(part);
                    terms.words.push('\0');
                }
            }
            if TERMS_MAX < word_count.max(exact_count) {
                terms.exact.push_str(OVERFLOW);
                terms.exact.push('\0');
            }
            if let Some(unit) = event.text(Field::NHATLE_UNIT).and_then(unit_term) {
                terms.exact.push_str(&unit);
                terms.exact.push('\0');
            }
            terms
        }
    }
}
