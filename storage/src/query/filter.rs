//! `Filter`: what an event must be, as a tree, and the plain meaning of it, event by event. This is the
//! oracle that every index plan is compared with, and the search in memory.
//!
//! A bare word or phrase is looked for in the values of every field but those that ECS types as numbers,
//! booleans or moments; a test on a field holds when one of the values of one of the fields it may mean
//! passes it. In fields of running text (`message`,
//! `process.command_line`, `url.original`, …) a word is found inside; in others it is the whole value.
//! Numbers, moments and what is our own (`@timestamp`, `event.original`, `nhatle.id`, …) are found by name.

use nhatle_event::json::hex;
use nhatle_event::{Field, Kind, Stored, Text, Value};

use super::pattern::{Expression, Network, Phrase, Range, Wildcard};
use super::resolve::FieldName;
use crate::segment::terms;
use crate::segment::words::{fold, has_key, name_key, parts};

/// What an event must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Anything.
    All,
    /// A word or phrase somewhere.
    Phrase(Phrase),
    /// A word of this form somewhere.
    Wildcard(Wildcard),
    /// A field passes a test.
    Field(FieldName, Test),
    /// Not that.
    Not(Box<Filter>),
    /// All of these.
    And(Vec<Filter>),
    /// One of these.
    Or(Vec<Filter>),
}

/// What a value of a field must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// This, or in running text: with this inside.
    Is(Phrase),
    /// Of this form, or in running text: with a word of this form inside.
    Wildcard(Wildcard),
    /// With a match of this inside.
    Expression(Expression),
    /// An address of this network.
    Network(Network),
    /// In this range.
    Range(Range),
    /// Anything but null.
    Exists,
}

impl Filter {
    /// The field has this value (in running text: this phrase).
    pub fn is(field: Field, value: &str) -> Filter {
        Filter::Field(FieldName::of(field), Test::Is(Phrase::new(value)))
    }

    /// All of these; none is everything.
    pub fn all(filters: Vec<Filter>) -> Filter {
        let mut flat = Vec::with_capacity(filters.len());
        for filter in filters {
            match filter {
                Filter::And(inner) => flat.extend(inner),
                Filter::All => {}
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Filter::All,
            1 => flat.swap_remove(0),
            _ => Filter::And(flat),
        }
    }

    /// One of these; there is at least one.
    pub fn any(filters: Vec<Filter>) -> Filter {
        let mut flat = Vec::with_capacity(filters.len());
        for filter in filters {
            match filter {
                Filter::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            1 => flat.swap_remove(0),
            _ => Filter::Or(flat),
        }
    }

    /// The event is what it must be.
    pub fn matches(&self, stored: &Stored) -> bool {
        match self {
            Filter::All => true,
            Filter::Phrase(phrase) => {
                searched(stored).any(|value| value.as_text().is_some_and(|text| phrase.is_in(&text)))
            }
            Filter::Wildcard(wildcard) => {
                searched(stored).any(|value| value.as_text().is_some_and(|text| wildcard.is_word_of(&fold(&text))))
            }
            Filter::Field(name, test) => name.candidates.iter().any(|key| field_passes(stored, key, test)),
            Filter::Not(filter) => !filter.matches(stored),
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(stored)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(stored)),
        }
    }

    /// It looks at the bytes as received, which only whole rows have.
    pub fn needs_bytes(&self) -> bool {
        let is_whole = |key: &Text| matches!(key.as_str(), "event.original" | "event.hash");
        match self {
            Filter::All | Filter::Phrase(_) | Filter::Wildcard(_) => false,
            Filter::Field(name, _) => name.candidates.iter().any(is_whole),
            Filter::Not(filter) => filter.needs_bytes(),
            Filter::And(filters) | Filter::Or(filters) => filters.iter().any(Filter::needs_bytes),
        }
    }

    /// The keys of the fields that decide, or `None` where every field may.
    pub fn keys(&self) -> Option<Vec<Text>> {
        match self {
            Filter::All => Some(Vec::new()),
            Filter::Phrase(_) | Filter::Wildcard(_) => None,
            Filter::Field(name, _) => Some(name.candidates.clone()),
            Filter::Not(filter) => filter.keys(),
            Filter::And(filters) | Filter::Or(filters) => {
                filters.iter().map(Filter::keys).collect::<Option<Vec<_>>>().map(|keys| keys.concat())
            }
        }
    }
}

/// Bare words are looked for in this value of this field.
pub fn is_searched(field: Field, value: &Value) -> bool {
    matches!(value, Value::Text(_) | Value::Ip(_))
        || match field.known() {
            Some(known) => matches!(known.kind, Kind::Text | Kind::Keyword | Kind::Ip),
            None => terms::is_word_field(&name_key(field.name())),
        }
}

/// The field holds running text, in which words are found (a vendor's field counts by its name in lower case).
pub fn is_running_text(field: Field) -> bool {
    match field.known() {
        Some(known) => known.kind == Kind::Text,
        None => {
            field.name().bytes().any(|byte| !byte.is_ascii_lowercase())
                && terms::is_running_text(&name_key(field.name()))
        }
    }
}

fn searched(stored: &Stored) -> impl Iterator<Item = &Value> {
    let each = stored.event.fields().iter().flat_map(|(field, value)| value.each().map(move |one| (*field, one)));
    each.filter(|(field, value)| is_searched(*field, value)).map(|(_, value)| value)
}

fn field_passes(stored: &Stored, key: &str, test: &Test) -> bool {
    let named = stored.event.fields().iter().filter(|(field, _)| is_of_key(*field, key));
    let passes =
        |(field, value): &(Field, Value)| value.each().any(|one| value_passes(one, is_running_text(*field), test));
    if named.into_iter().any(passes) {
        return true;
    }
    own_value(stored, key).is_some_and(|(value, is_text)| value_passes(&value, is_text, test))
}

/// The field has this key. Nearly all fields of an event are of the table, whose names are ASCII: one of another length
/// costs nothing more.
pub(super) fn is_of_key(field: Field, key: &str) -> bool {
    match field.known() {
        Some(known) => known.name.len() == key.len() && has_key(known.name, key),
        None => has_key(field.name(), key),
    }
}

/// The value of a field that every stored event has, and whether it is running text.
pub fn own_value(stored: &Stored, key: &str) -> Option<(Value, bool)> {
    Some(match key {
        "@timestamp" => (Value::Date(stored.event.timestamp), false),
        "event.created" => (Value::Date(stored.event.received), false),
        "event.ingested" => (Value::Date(stored.committed), false),
        "event.original" => (Value::from(&*String::from_utf8_lossy(&stored.event.original)), true),
        "event.hash" => (Value::from(hex(&stored.event.original_hash())), false),
        "nhatle.id" => (Value::Text(stored.id().0), false),
        "nhatle.seq" => (Value::from(stored.seq.0), false),
        _ => return None,
    })
}

/// Whether [`own_value`] knows this key.
pub fn is_own(key: &str) -> bool {
    ["@timestamp", "event.created", "event.ingested", "event.original", "event.hash", "nhatle.id", "nhatle.seq"]
        .contains(&key)
}

fn value_passes(value: &Value, is_text: bool, test: &Test) -> bool {
    // The same as below, without a text made and read again for each event.
    if let (Value::Date(at), Test::Range(range)) = (value, test)
        && let Some((from, to)) = range.moments()
    {
        return from <= *at && *at < to;
    }
    let Some(text) = value.as_text() else { return false };
    match test {
        Test::Is(phrase) if is_text && !phrase.written.is_empty() => phrase.is_in(&text),
        Test::Is(phrase) => phrase.is_all_of(&text),
        Test::Wildcard(wildcard) if is_text => {
            let folded = fold(&text);
            wildcard.is_all_of(&folded) || parts(&folded).any(|part| wildcard.is_all_of(part))
        }
        Test::Exists => true,
        other => other.holds(&fold(&text)),
    }
}

impl Test {
    /// A whole folded value passes. Marks are not looked at here ([`Phrase::needs_marks`]).
    pub fn holds(&self, folded: &str) -> bool {
        match self {
            Test::Is(phrase) => phrase.wholes().any(|whole| whole == folded),
            Test::Wildcard(wildcard) => wildcard.is_all_of(folded),
            Test::Expression(expression) => expression.is_in(folded),
            Test::Network(network) => network.holds(folded),
            Test::Range(range) => range.holds(folded),
            Test::Exists => true,
        }
    }
}
