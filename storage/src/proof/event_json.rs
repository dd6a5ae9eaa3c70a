//! A stored event as one line of JSON that says the type of each value, so that its leaf can be made again without our
//! table of fields. In: [`Stored`]. Out: the line, and back. Described in `docs/format/proof.md`.
//!
//! Text, whole numbers, booleans, null and arrays are JSON's own; `{"double": "1.5"}`, `{"ip": "10.0.0.1"}` and
//! `{"date": nanoseconds}` are the rest. The bytes as received are base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nhatle_event::{Event, Field, Seq, Stored, Text, Timestamp, Value};
use serde_json::{Map, Value as Json, json};

use crate::dataset::Dataset;

/// The line, without a line feed.
pub fn write(dataset: Dataset, stored: &Stored) -> String {
    let event = &stored.event;
    let mut fields: Vec<&(Field, Value)> = event.fields().iter().collect();
    fields.sort_unstable_by_key(|(field, _)| field.name());
    let fields: Map<String, Json> =
        fields.into_iter().map(|(field, value)| (field.name().to_owned(), value_json(value))).collect();
    json!({
        "seq": stored.seq.0,
        "dataset": dataset.name(),
        "committed_ns": stored.committed.0,
        "timestamp_ns": event.timestamp.0,
        "received_ns": event.received.0,
        "original": BASE64.encode(&event.original),
        "fields": fields,
    })
    .to_string()
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => json!(flag),
        Value::Long(number) => json!(number),
        Value::Double(number) => json!({"double": format!("{number:?}")}),
        Value::Text(text) => json!(text.as_str()),
        Value::Ip(address) => json!({"ip": address.to_string()}),
        Value::Date(stamp) => json!({"date": stamp.0}),
        Value::List(values) => Json::Array(values.iter().map(value_json).collect()),
    }
}

/// Reads a line of [`write`].
///
/// # Errors
/// It is none; the reason.
pub fn read(line: &str) -> Result<(Dataset, Stored), String> {
    let json: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let number = |name: &str| json[name].as_i64().ok_or_else(|| format!("{name} is no whole number"));
    let original = json["original"].as_str().and_then(|text| BASE64.decode(text).ok());
    let mut event = Event::new(Timestamp(number("timestamp_ns")?), original.ok_or("original is no base64")?);
    event.received = Timestamp(number("received_ns")?);
    for (name, value) in json["fields"].as_object().ok_or("fields is no object")? {
        let field = Field::intern(name).ok_or_else(|| format!("there is no room for a field {name}"))?;
        event.set(field, read_value(value, true).ok_or_else(|| format!("{name} is of no known form"))?);
    }
    let dataset = json["dataset"].as_str().and_then(Dataset::from_name).ok_or("an unknown dataset")?;
    let seq = Seq(json["seq"].as_u64().ok_or("seq is no whole number")?);
    Ok((dataset, Stored { seq, committed: Timestamp(number("committed_ns")?), event }))
}

fn read_value(json: &Json, may_be_list: bool) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => Value::Long(number.as_i64()?),
        Json::String(text) => Value::Text(Text::from(text.as_str())),
        Json::Array(values) if may_be_list => {
            Value::List(values.iter().map(|one| read_value(one, false)).collect::<Option<_>>()?)
        }
        Json::Array(_) => return None,
        Json::Object(map) => match map.iter().next().filter(|_| map.len() == 1)? {
            (name, Json::String(text)) if name == "ip" => Value::Ip(text.parse().ok()?),
            (name, Json::String(text)) if name == "double" => Value::Double(text.parse().ok()?),
            (name, Json::Number(nanos)) if name == "date" => Value::Date(Timestamp(nanos.as_i64()?)),
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proof::canonical::Canonical;

    fn single() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Long),
            any::<f64>().prop_map(Value::Double),
            Just(Value::Double(f64::NEG_INFINITY)),
            ".{0,20}".prop_map(Value::from),
            any::<std::net::IpAddr>().prop_map(Value::Ip),
            any::<i64>().prop_map(|nanos| Value::Date(Timestamp(nanos))),
        ]
    }

    proptest! {
        #[test]
        fn the_line_comes_to_the_same_leaf(
            seq: u64, stamps: [i64; 3], original: Vec<u8>,
            fields in proptest::collection::vec(
                ("[a-zA-Zđ. \"]{1,8}", prop_oneof![single(), proptest::collection::vec(single(), 0..4).prop_map(Value::List)]),
                0..8,
            ),
        ) {
            let mut event = Event::new(Timestamp(stamps[0]), original);
            event.received = Timestamp(stamps[1]);
            fields.into_iter().for_each(|(name, value)| event.set_named(&name, value));
            let stored = Stored { seq: Seq(seq), committed: Timestamp(stamps[2]), event };
            let (dataset, back) = read(&write(Dataset::Alerts, &stored)).expect("a line of ours");
            prop_assert_eq!(dataset, Dataset::Alerts);
            let mut canonical = Canonical::default();
            prop_assert_eq!(canonical.leaf(&back), canonical.leaf(&stored));
        }

        #[test]
        fn strangers_lines_never_panic(line in r#"[\{\}\[\]":,a-z0-9 ]{0,60}"#) {
            drop(read(&line));
        }
    }
}
