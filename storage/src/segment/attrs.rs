//! The `attrs` column: every value that no typed column of its row took, as one JSON object that any reader
//! can read, and that gives back the exact [`Value`]s.
//!
//! Text, numbers, booleans, null and arrays are JSON's own; an address or a moment in a field of that type
//! is plain text. What would come back as something else is an object of one key: `{"ip": text}`,
//! `{"date": nanoseconds}`, `{"double": text}`, `{"text": text}` (text in a field of addresses or moments).

use nhatle_event::{Event, Field, Kind, Text, Timestamp, Value};
use serde_json::{Map, Value as Json, json};

/// Writes the values of an event that `is_taken` does not name; `None` where there are none.
pub fn encode<'a>(fields: impl Iterator<Item = (Field, &'a Value)>) -> Option<String> {
    let mut text = String::new();
    for (field, value) in fields {
        text.push(if text.is_empty() { '{' } else { ',' });
        push_text(&mut text, field.name());
        text.push(':');
        push_value(&mut text, field.kind(), value);
    }
    if text.is_empty() {
        return None;
    }
    text.push('}');
    Some(text)
}

fn push_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("text is JSON"));
}

fn push_value(out: &mut String, kind: Kind, value: &Value) {
    match value {
        Value::List(values) => {
            out.push('[');
            for (at, single) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_value(out, kind, single);
            }
            out.push(']');
        }
        Value::Text(text) if !matches!(kind, Kind::Ip | Kind::Date) => push_text(out, text),
        Value::Long(number) => out.push_str(&number.to_string()),
        other => out.push_str(&single(kind, other).to_string()),
    }
}

fn single(kind: Kind, value: &Value) -> Json {
    match value {
        Value::Null | Value::List(_) => Json::Null,
        Value::Boolean(flag) => json!(flag),
        Value::Long(number) => json!(number),
        Value::Double(number) => {
            // JSON has no infinity, and a reader may round the last digit.
            let is_same = |written: &str| {
                serde_json::from_str::<f64>(written).is_ok_and(|read| read.to_bits() == number.to_bits())
            };
            match json!(number) {
                written @ Json::Number(_) if is_same(&written.to_string()) => written,
                _ => json!({"double": format!("{number:?}")}),
            }
        }
        Value::Text(text) if matches!(kind, Kind::Ip | Kind::Date) => json!({"text": text.as_str()}),
        Value::Text(text) => json!(text.as_str()),
        Value::Ip(address) if kind == Kind::Ip => json!(address.to_string()),
        Value::Ip(address) => json!({"ip": address.to_string()}),
        Value::Date(stamp) => {
            let text = stamp.to_string();
            match Timestamp::parse(&text, 0) == Some(*stamp) && kind == Kind::Date {
                true => json!(text),
                false => json!({"date": stamp.0}),
            }
        }
    }
}

/// Puts the values of an `attrs` text into an event.
///
/// # Errors
/// The text is not what [`encode`] writes; the reason.
pub fn decode(text: &str, event: &mut Event) -> Result<(), String> {
    let map: Map<String, Json> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for (name, value) in map {
        let kind = Field::lookup(&name).map_or(Kind::Keyword, Field::kind);
        let value = read(kind, value).ok_or_else(|| format!("attrs: {name} is of no known form"))?;
        event.set_named(&name, value);
    }
    Ok(())
}

fn read(kind: Kind, value: Json) -> Option<Value> {
    Some(match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(flag),
        Json::Number(number) => match number.as_i64() {
            Some(long) => Value::Long(long),
            None => Value::Double(number.as_f64()?),
        },
        Json::String(text) => match kind {
            Kind::Ip => Value::Ip(text.parse().ok()?),
            Kind::Date => Value::Date(Timestamp::parse(&text, 0)?),
            _ => Value::Text(Text::from(text)),
        },
        Json::Array(values) => Value::List(values.into_iter().map(|one| read(kind, one)).collect::<Option<_>>()?),
        Json::Object(map) => match map.into_iter().next()? {
            (name, Json::String(text)) if name == "text" => Value::Text(Text::from(text)),
            (name, Json::String(text)) if name == "ip" => Value::Ip(text.parse().ok()?),
            (name, Json::String(text)) if name == "double" => Value::Double(text.parse().ok()?),
            (name, Json::Number(nanos)) if name == "date" => Value::Date(Timestamp(nanos.as_i64()?)),
            _ => return None,
        },
    })
}
