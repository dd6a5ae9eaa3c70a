//! ECS JSON and `Event`: the one interchange form (pushed events, `nhatle parse`, exports, goldens).
//!
//! Reading ([`Reader`]) flattens: `{"a":{"b":1}}` is the field `a.b`, an array of objects gives each leaf a list. A
//! key written flat (`"a.b"`) wins over the same name nested. Depth, leaves and bytes are bounded;
//! what is no JSON object is named with the byte where it went wrong.
//!
//! Writing gives dotted keys or nested objects. Where one name is both a value and a prefix of another
//! (`source` and `source.ip`), nesting writes the value as `source.value`.

use serde_json::{Map, json};

use crate::event::{Event, Stored};
use crate::value::{Text, Value};

pub mod reader;
mod names;
pub mod plain;

#[cfg(test)]
mod twin_tests;

pub use names::{NAMES_BYTES_MAX, NAMES_MAX};
pub use reader::{Document, Reader};

/// How deep objects and arrays may stand in each other.
pub const DEPTH_MAX: usize = 64;
/// How many leaves one document may have.
pub const LEAVES_MAX: usize = 20_000;

/// How long a name made of several keys may be, in bytes: it is looked at again for each of its values.
pub const PATH_BYTES_MAX: usize = 1024;
/// How many names may be looked at in one document to tell whether empty objects are empty.
pub const LOOKS_MAX: usize = 4_000_000;

/// Why bytes are no JSON object that can be an event, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("json: {reason} at byte {offset}")]
pub struct JsonError {
    /// What was wrong.
    pub reason: String,
    /// Counted from the front of the document.
    pub offset: usize,
}

/// A flattened document: dotted names with their values, in the order first seen.
pub type Leaves = Vec<(Text, Value)>;

/// Reads one JSON object and flattens it.
///
/// # Errors
/// The bytes are no JSON object, or pass [`DEPTH_MAX`], [`LEAVES_MAX`], [`PATH_BYTES_MAX`] or [`LOOKS_MAX`].
pub fn flatten(bytes: &[u8]) -> Result<Leaves, JsonError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Reader::default().read(text)?.to_leaves()),
        Err(_bad) => plain::flatten(bytes),
    }
}

/// How the keys of a written event stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `"source.ip": …`
    Dotted,
    /// `"source": {"ip": …}`
    Nested,
}

/// The event as a JSON object: the four times, `event.original`, its hash, then the fields.
pub fn to_json(event: &Event, shape: Shape) -> serde_json::Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: serde_json::Value| match shape {
        Shape::Dotted => drop(map.insert(name.to_owned(), value)),
        Shape::Nested => put_nested(&mut map, name, value),
    };
    put("@timestamp", json!(event.timestamp.to_string()));
    put("event.created", json!(event.received.to_string()));
    match std::str::from_utf8(&event.original) {
        Ok(text) => put("event.original", json!(text)),
        Err(_) => {
            put("event.original", json!(String::from_utf8_lossy(&event.original)));
            put("nhatle.original_hex", json!(hex(&event.original)));
        }
    }
    put("event.hash", json!(hex(&event.original_hash())));
    for (field, value) in event.fields() {
        put(field.name(), value_to_json(value));
    }
    serde_json::Value::Object(map)
}

/// A stored event as a JSON object with dotted keys: [`to_json`] with its name, `Seq` and commit time.
pub fn stored_to_json(stored: &Stored, shape: Shape) -> serde_json::Value {
    let mut value = to_json(&stored.event, shape);
    if let serde_json::Value::Object(map) = &mut value {
        let mut put = |name: &str, value| match shape {
            Shape::Dotted => drop(map.insert(name.to_owned(), value)),
            Shape::Nested => put_nested(map, name, value),
        };
        put("event.ingested", json!(stored.committed.to_string()));
        put("nhatle.id", json!(stored.id().to_string()));
        put("nhatle.seq", json!(stored.seq.0));
    }
    value
}

fn put_nested(map: &mut Map<String, serde_json::Value>, name: &str, value: serde_json::Value) {
    let Some((first, rest)) = name.split_once('.') else {
        match map.get_mut(name) {
            Some(serde_json::Value::Object(inner)) => drop(inner.insert("value".to_owned(), value)),
            _ => drop(map.insert(name.to_owned(), value)),
        }
        return;
    };
    let inner = map.entry(first).or_insert_with(|| json!({}));
    if !inner.is_object() {
        *inner = json!({"value": inner.take()});
    }
    if let serde_json::Value::Object(inner) = inner {
        put_nested(inner, rest, value);
    }
}

/// A value as JSON: addresses and dates as text, a list as an array.
pub fn value_to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(flag) => json!(flag),
        Value::Long(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::Text(text) => json!(text.as_str()),
        Value::Ip(address) => json!(address.to_string()),
        Value::Date(stamp) => json!(stamp.to_string()),
        Value::List(values) => values.iter().map(value_to_json).collect(),
    }
}

/// Bytes as lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;
    use crate::time::Timestamp;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, serde_json::Value)]) {
        let leaves = flatten(text.as_bytes()).expect("is an object");
        let found: Vec<_> = leaves.iter().map(|(name, value)| (name.as_str(), value_to_json(value))).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn objects_and_arrays_become_dotted_names_and_lists() {
        check(
            r#"{"a":{"b":1,"c":{"d":"x"}},"e":[1,2]}"#,
            &[("a.b", json!(1)), ("a.c.d", json!("x")), ("e", json!([1, 2]))],
        );
        check(r#"{"a":[{"b":1},{"b":2,"c":3}]}"#, &[("a.b", json!([1, 2])), ("a.c", json!(3))]);
        check(r#"{"a":null,"b":{},"c":[]}"#, &[("a", json!(null)), ("b", json!([])), ("c", json!([]))]);
        check(r#"{"n":18446744073709551615}"#, &[("n", json!("18446744073709551615"))]);
    }

    #[test]
    fn a_flat_key_wins_over_a_nested_one() {
        check(r#"{"a.b":"x","a":{"b":"y"}}"#, &[("a.b", json!("x"))]);
        check(r#"{"a":{"b":"y"},"a.b":"x"}"#, &[("a.b", json!("x"))]);
    }

    #[test]
    fn many_leaves_are_told_apart_like_few() {
        let text = |count: usize| {
            let keys: Vec<String> = (0..count).map(|at| format!(r#""k{at}":{at},"n":{{"k{at}":[{at}]}}"#)).collect();
            format!("{{{},\"k1\":\"again\",\"n.k2\":\"flat\"}}", keys.join(","))
        };
        for count in [3, 31, 32, 33, 63, 64, 65, 500] {
            let leaves = flatten(text(count).as_bytes()).expect("is an object");
            assert_eq!(leaves.len(), count * 2, "{count}");
            let value =
                |name: &str| leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value_to_json(value));
            assert_eq!(
                (value("k1"), value("n.k2"), value("n.k0")),
                (Some(json!("again")), Some(json!("flat")), Some(json!(0)))
            );
        }
    }

    #[test]
    fn what_is_no_object_is_named_with_its_place() {
        let error = flatten(br#"{"a":1,"b":}"#).expect_err("is no JSON");
        assert_eq!(error.offset, 11);
        assert!(flatten(b"[1]").is_err());
        assert!(flatten(b"{} x").is_err());
        assert!(flatten("{\"a\":".repeat(100).as_bytes()).is_err());
        let deep = format!("{}1{}", "{\"a\":".repeat(90), "}".repeat(90));
        assert!(flatten(deep.as_bytes()).expect_err("too deep").reason.contains("64 levels"));
    }

    #[test]
    fn nesting_keeps_a_value_that_is_also_a_prefix() {
        let mut event = Event::new(Timestamp(0), *b"x");
        event.set_named("source", "cam");
        event.set(Field::SOURCE_IP, "10.0.0.1");
        let nested = to_json(&event, Shape::Nested);
        assert_eq!(nested["source"], json!({"value": "cam", "ip": "10.0.0.1"}));
    }
}
