//! Which outline ([`super::outline`]) a row gets. Lines of one program have the same fields in the same order, and stand alike around
//! their values. In: an event, and which of its values have a column. Out: its outline and its rest, or that it is kept whole.
//! For each order of fields the outlines used last are tried, value by value; where none fits, one is learned from the line
//! itself. Where that happens too often, words without digits are taken for rest, too; where it still does, such lines are kept whole.
//!
//! Promise: an outline that is given gives the bytes back. Bounds: [`ORDERS_MAX`], [`KNOWN_MAX`], [`BYTES_MAX`], [`LINE_BYTES_MAX`].

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::HashMap;
use foldhash::fast::FixedState;
use nhatle_event::value::address_text;
use nhatle_event::{Event, Field, Text, Value};

use super::outline::{BEGIN, END, JSON, escaped, push_json, push_rest};

/// Orders of fields that are told apart; lines of more are kept whole.
const ORDERS_MAX: usize = 4096;
/// Outlines that are tried for one order of fields.
const KNOWN_MAX: usize = 8;
/// All outlines of a segment together: they are a dictionary, and one that grows past a megabyte is given up.
const BYTES_MAX: usize = 512 << 10;
/// Shorter lines gain nothing, longer ones are few.
const LINE_BYTES_MIN: usize = 16;
const LINE_BYTES_MAX: usize = 64 << 10;
/// An outline has at most so many pieces.
const PIECES_MAX: usize = 512;
/// So many outlines are learned before it is asked whether they are of use: whether each is used some times.
const LEARNED_MIN: u32 = 16;
const USES_MIN: u32 = 4;
/// A value shorter than this is looked for only where a name stands before it: `1` may be anything.
const LONE_VALUE_BYTES_MIN: usize = 3;

/// See the top.
#[derive(Default)]
pub struct Outlines {
    orders: HashMap<u64, Order>,
    bytes: usize,
    /// The fields that outlines name.
    fields: Vec<Field>,
    /// Bytes of lines that have an outline.
    outlined_bytes: u64,
    rest: Vec<u8>,
}

/// What is known of the lines with fields in one order.
#[derive(Default)]
struct Order {
    known: Vec<Known>,
    learned: u32,
    used: u32,
    how: How,
}

/// How lines are taken apart.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum How {
    /// Words without digits belong to the outline.
    #[default]
    WordsStay,
    /// They are rest.
    WordsGo,
    /// Not at all.
    Whole,
}

struct Known {
    outline: Arc<str>,
    parts: Vec<Part>,
}

enum Part {
    Plain(Box<[u8]>),
    /// The value of the field at this place of the event.
    Value {
        at: usize,
        field: Field,
        is_json: bool,
    },
    /// Up to the end of the word, or of the string.
    Rest {
        is_string: bool,
    },
}

impl Outlines {
    /// The outline of the event's bytes, and its rest; `None` where they are kept whole. `has_column` says of each of its fields whether its
    /// value stands in the field's column.
    pub fn of(&mut self, event: &Event, has_column: &[bool]) -> Option<(Arc<str>, &[u8])> {
        let line = &*event.original;
        let is_usual = (LINE_BYTES_MIN..=LINE_BYTES_MAX).contains(&line.len());
        (is_usual && has_column.len() == event.fields().len()).then_some(())?;
        let may_learn = self.bytes < BYTES_MAX;
        let key = order(event, has_column);
        if !self.orders.contains_key(&key) && ORDERS_MAX <= self.orders.len() {
            return None;
        }
        let order = self.orders.entry(key).or_default();
        if order.how == How::Whole {
            return None;
        }
        let rest = &mut self.rest;
        let values = Values { event, has_column };
        let found = order.known.iter().position(|known| fits(&known.parts, &values, line, rest));
        let at = match found {
            Some(at) => {
                order.used += 1;
                at
            }
            None if !may_learn => return None,
            None => {
                let parts = order.learn(&values, line)?;
                fits(&parts, &values, line, rest).then_some(())?;
                let outline = text_of(&parts);
                self.bytes += outline.len();
                for part in &parts {
                    if let Part::Value { field, .. } = part
                        && !self.fields.contains(field)
                    {
                        self.fields.push(*field);
                    }
                }
                order.known.truncate(KNOWN_MAX - 1);
                order.known.push(Known { outline, parts });
                order.known.len() - 1
            }
        };
        // What was used last is tried first.
        order.known[..=at].rotate_right(1);
        let outline = Arc::clone(&order.known.first()?.outline);
        self.outlined_bytes += line.len() as u64;
        Some((outline, &self.rest))
    }

    /// The names of the fields that outlines named so far.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name())
    }

    /// How many bytes the lines have that were given an outline.
    pub fn outlined_bytes(&self) -> u64 {
        self.outlined_bytes
    }
}

impl Order {
    /// The parts of a line for which no known outline is right; `None` where too many of them were of no use.
    fn learn(&mut self, values: &Values<'_>, line: &[u8]) -> Option<Vec<Part>> {
        self.learned += 1;
        if LEARNED_MIN < self.learned && self.used < self.learned * USES_MIN {
            self.how = if self.how == How::WordsStay { How::WordsGo } else { How::Whole };
            (self.learned, self.used) = (1, 0);
            self.known.clear();
        }
        if self.how == How::Whole { None } else { take_apart(values, str::from_utf8(line).ok()?, self.how) }
    }
}

/// The values of an event that may stand in its outline.
struct Values<'a> {
    event: &'a Event,
    has_column: &'a [bool],
}

impl Values<'_> {
    fn text(&self, at: usize, field: Field) -> Option<Text> {
        let (known, value) = self.event.fields().get(at)?;
        if *known != field || !*self.has_column.get(at)? {
            return None;
        }
        text(value)
    }

    /// The length of the value of this field where the bytes begin with it.
    fn begins(&self, at: usize, field: Field, is_json: bool, bytes: &[u8]) -> Option<usize> {
        let (known, value) = self.event.fields().get(at)?;
        if *known != field || !*self.has_column.get(at)? {
            return None;
        }
        let begins = |text: &str| match is_json {
            true => begins_json(bytes, text),
            false => bytes.starts_with(text.as_bytes()).then_some(text.len()),
        };
        match value {
            Value::Text(text) => begins(text),
            value => begins(&text(value)?),
        }
    }
}

/// What a value is in a column, as text, where outlines take it.
fn text(value: &Value) -> Option<Text> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Ip(address) => Some(address_text(*address)),
        Value::Long(number) => Some(Text::from(number.to_string())),
        _ => None,
    }
}

/// The length of a text as it stands within a string of JSON, where the bytes begin with it.
fn begins_json(bytes: &[u8], text: &str) -> Option<usize> {
    if !text.bytes().any(|byte| escaped(byte).is_some()) {
        return bytes.starts_with(text.as_bytes()).then_some(text.len());
    }
    let mut all = Vec::with_capacity(text.len() + 16);
    push_json(&mut all, text);
    bytes.starts_with(&all).then_some(all.len())
}

/// What tells the orders of fields apart: the fields, what their values are, and whether these have a column.
fn order(event: &Event, has_column: &[bool]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for ((field, value), has_column) in event.fields().iter().zip(has_column) {
        let kind = match value {
            Value::Text(_) => 1,
            Value::Ip(_) => 2,
            Value::Long(_) => 3,
            _ => 0,
        };
        hasher.write_u64((field.index() as u64) << 3 | kind << 1 | u64::from(*has_column));
    }
    hasher.finish()
}

/// The line is of these parts; `rest` then is what no field has.
fn fits(parts: &[Part], values: &Values<'_>, line: &[u8], rest: &mut Vec<u8>) -> bool {
    rest.clear();
    let mut at = 0;
    for part in parts {
        let behind = &line[at..];
        let length = match part {
            Part::Plain(plain) => behind.starts_with(plain).then_some(plain.len()),
            Part::Value { at, field, is_json } => values.begins(*at, *field, *is_json, behind),
            Part::Rest { is_string } => {
                let length = if *is_string { string_length(behind) } else { word_length(behind) };
                push_rest(rest, &behind[..length]);
                (*is_string || 0 < length).then_some(length)
            }
        };
        match length {
            Some(length) => at += length,
            None => return false,
        }
    }
    at == line.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || 128 <= byte
}

/// The length of the word that the bytes begin with: letters and digits, and what stands between two digits of a time, an address, a number.
fn word_length(bytes: &[u8]) -> usize {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while at < bytes.len() {
        let joins =
            || matches!(bytes[at], b':' | b'.' | b'+' | b'-' | b',' | b'/') && 0 < at && digit(at - 1) && digit(at + 1);
        if !is_word(bytes[at]) && !joins() {
            break;
        }
        at += 1;
    }
    at
}

/// The length of what stands before the quote that ends a string.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// The name that stands before a value: `name=`, `"name":"`, `name: `.
fn name_before(line: &str) -> &str {
    let line = line.trim_end_matches(['"', ' ']).trim_end_matches(['=', ':']).trim_end_matches('"');
    let begin = line.rfind(|char: char| !char.is_alphanumeric() && !matches!(char, '_' | '-' | '.' | '@' | '$'));
    line.get(begin.map_or(0, |begin| begin + 1)..).unwrap_or_default()
}

/// A value, and where it is from.
struct Candidate {
    text: Text,
    json: Vec<u8>,
    at: usize,
    field: Field,
}

/// The parts of a line, so that as much of it as can be are values.
fn take_apart(values: &Values<'_>, line: &str, how: How) -> Option<Vec<Part>> {
    (!line.contains([BEGIN, END])).then_some(())?;
    let mut candidates = Vec::new();
    for (at, (field, _)) in values.event.fields().iter().enumerate() {
        let Some(text) = values.text(at, *field) else { continue };
        if text.is_empty() || field.name().contains([BEGIN, END]) || field.name().starts_with(JSON) {
            continue;
        }
        let mut json = Vec::with_capacity(text.len());
        push_json(&mut json, &text);
        candidates.push(Candidate { text, json, at, field: *field });
    }
    let bytes = line.as_bytes();
    let (mut parts, mut plain, mut at) = (Vec::new(), Vec::new(), 0);
    while at < bytes.len() {
        (parts.len() < PIECES_MAX).then_some(())?;
        let before = |back: usize| at.checked_sub(back).map(|at| bytes[at]);
        let is_json =
            before(1) == Some(b'"') && (before(2) == Some(b':') || before(2) == Some(b' ') && before(3) == Some(b':'));
        let is_string = is_json || before(1) == Some(b'"') && before(2) == Some(b'=');
        let is_named = is_string || matches!(before(1), Some(b'=' | b':'));
        let is_begin = plain.last().is_some_and(|byte: &u8| !is_word(*byte))
            || plain.is_empty() && !matches!(parts.last(), Some(Part::Rest { .. }));
        let string_end = is_string.then(|| at + string_length(&bytes[at..]));
        let found = if is_begin {
            let is_right = |length: usize| {
                let end = at + length;
                let is_word_end = bytes.get(end).is_none_or(|next| !is_word(*next)) || !is_word(bytes[end - 1]);
                string_end.map_or(is_word_end && (is_named || LONE_VALUE_BYTES_MIN <= length), |string| string == end)
            };
            let name = name_before(&line[..at]);
            let fitting = candidates.iter().filter_map(|one| {
                let text = if is_json { &one.json[..] } else { one.text.as_bytes() };
                let length = text.len();
                (bytes[at..].starts_with(text) && is_right(length)).then_some((one, length))
            });
            let rank = |(one, length): &(&Candidate, usize)| {
                let own = one.field.name();
                let is_of_name = own.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(name));
                (*length, is_of_name, std::cmp::Reverse(one.at))
            };
            fitting.max_by_key(rank)
        } else {
            None
        };
        let mut push = |parts: &mut Vec<Part>, part: Part| {
            if !plain.is_empty() {
                parts.push(Part::Plain(std::mem::take(&mut plain).into_boxed_slice()));
            }
            parts.push(part);
        };
        if let Some((one, length)) = found {
            push(&mut parts, Part::Value { at: one.at, field: one.field, is_json });
            at += length;
            continue;
        }
        if let Some(end) = string_end {
            push(&mut parts, Part::Rest { is_string: true });
            at = end;
            if at < bytes.len() {
                plain.push(bytes[at]);
                at += 1;
            }
            continue;
        }
        let length = word_length(&bytes[at..]);
        let word = &bytes[at..at + length];
        if word.is_empty() {
            plain.push(bytes[at]);
            at += 1;
        } else if how == How::WordsGo || word.iter().any(u8::is_ascii_digit) {
            push(&mut parts, Part::Rest { is_string: false });
            at += length;
        } else {
            plain.extend_from_slice(word);
            at += length;
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Plain(plain.into_boxed_slice()));
    }
    Some(parts)
}

fn text_of(parts: &[Part]) -> Arc<str> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Plain(plain) => out.push_str(&String::from_utf8_lossy(plain)),
            Part::Rest { .. } => out.extend([BEGIN, END]),
            Part::Value { field, is_json, .. } => {
                out.push(BEGIN);
                if *is_json {
                    out.push(JSON);
                }
                out.push_str(field.name());
                out.push(END);
            }
        }
    }
    out.into()
}
