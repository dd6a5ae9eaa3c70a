//! The `attrs` column: every value that no typed column of its row took, as one JSON object that any reader
//! can read, and that gives back the exact [`Value`]s.
//!
//! Text, numbers, booleans, null and arrays are JSON's own; an address or a moment in a field of that type
//! is plain text. What would come back as something else is an object of one key: `{"ip": text}`,
//! `{"date": nanoseconds}`, `{"double": text}`, `{"text": text}` (text in a field of addresses or moments).

use std::fmt::Write as _;

use nhatle_event::value::address_text;
use nhatle_event::{Event, Field, Kind, Text, Timestamp, Value};
use serde_json::{Map, Value as Json, json};

/// Adds a value to the object that `out` becomes: nothing, or what this wrote before. `head` is from [`head`].
pub fn push(out: &mut String, head: &str, kind: Kind, value: &Value) {
    out.push(if out.is_empty() { '{' } else { ',' });
    out.push_str(head);
    push_value(out, kind, value);
}

/// [`push`] for a text, and for an address in a field of addresses, which is written in the same way.
pub fn push_as_text(out: &mut String, head: &str, text: &str) {
    out.push(if out.is_empty() { '{' } else { ',' });
    out.push_str(head);
    push_text(out, text);
}

/// The object of these values; `None` where there are none.
pub fn encode<'a>(fields: impl Iterator<Item = (Field, &'a Value)>) -> Option<String> {
    let mut text = String::new();
    fields.for_each(|(field, value)| push(&mut text, &head(field), field.kind(), value));
    end(&mut text);
    (!text.is_empty()).then_some(text)
}

/// Ends the object.
pub fn end(out: &mut String) {
    if !out.is_empty() {
        out.push('}');
    }
}

/// What stands before the values of a field: its name as JSON, and a colon.
pub fn head(field: Field) -> String {
    head_of(field.name())
}

/// [`head`] for the name of a field.
pub fn head_of(name: &str) -> String {
    let mut head = String::new();
    push_text(&mut head, name);
    head.push(':');
    head
}

fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = escaped_at(rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let byte = rest.as_bytes()[at];
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => {
                out.push_str("\\u00");
                out.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// The first byte that does not stand for itself in a JSON text: a quote, a backslash, or one below a space.
fn escaped_at(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let is_escaped = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let mut at = 0;
    // Eight at a time: a high bit stays in the first byte below the bound, and perhaps in some behind it.
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let found =
            below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if found != 0 {
            break;
        }
        at += 8;
    }
    bytes[at..].iter().position(is_escaped).map(|found| at + found)
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
        Value::Long(number) => push_number(out, *number),
        Value::Null => out.push_str("null"),
        Value::Boolean(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Ip(address) if kind == Kind::Ip => {
            out.push('"');
            out.push_str(&address_text(*address));
            out.push('"');
        }
        other => out.push_str(&single(kind, other).to_string()),
    }
}

fn push_number(out: &mut String, number: i64) {
    write!(out, "{number}").expect("writing to a string cannot go wrong");
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
/// The text is not what [`push`] writes; the reason.
pub fn decode(text: &str, event: &mut Event) -> Result<(), String> {
    match quick::read(text) {
        Some(values) => values.into_iter().for_each(|(field, value)| event.set_interned(field, value)),
        None => decode_any(text, event)?,
    }
    Ok(())
}

/// [`decode`] for any JSON object: what the quick reader leaves, and its plain twin.
fn decode_any(text: &str, event: &mut Event) -> Result<(), String> {
    let map: Map<String, Json> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for (name, value) in map {
        let kind = Field::lookup(&name).map_or(Kind::Keyword, Field::kind);
        let value = read(kind, value).ok_or_else(|| format!("attrs: {name} is of no known form"))?;
        event.set_named(&name, value);
    }
    Ok(())
}

/// The value of one field of an `attrs` text, as text; several are the text of a JSON array. `None` where there is none,
/// or it is null.
pub fn text_of(text: &str, name: &str) -> Option<String> {
    let mut quoted = String::new();
    push_text(&mut quoted, name);
    // Quick no: most texts do not hold the name at all.
    if !text.contains(quoted.as_str()) {
        return None;
    }
    let mut map: Map<String, Json> = serde_json::from_str(text).ok()?;
    let kind = Field::lookup(name).map_or(Kind::Keyword, Field::kind);
    match read(kind, map.remove(name)?)? {
        Value::List(values) => {
            let texts: Vec<Option<String>> = values.iter().map(|one| Some(one.as_text()?.into_owned())).collect();
            serde_json::to_string(&texts).ok()
        }
        single => Some(single.as_text()?.into_owned()),
    }
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

/// Reads the objects that are written here, without spaces, without the rare forms, each name once; `None` for any other.
mod quick {
    use nhatle_event::{Field, Kind, Text, Timestamp, Value};

    /// The values of an object, in order.
    pub fn read(text: &str) -> Option<Vec<(Field, Value)>> {
        let mut rest = text.strip_prefix('{')?;
        let mut values: Vec<(Field, Value)> = Vec::with_capacity(32);
        loop {
            let (name, after) = plain_text(rest.strip_prefix('"')?)?;
            let field = Field::intern(name)?;
            let (value, after) = value(after.strip_prefix(':')?, field.kind())?;
            values.push((field, value));
            match after.as_bytes() {
                b"}" => return Some(values),
                [b',', ..] => rest = &after[1..],
                _ => return None,
            }
        }
    }

    fn value(text: &str, kind: Kind) -> Option<(Value, &str)> {
        let Some(mut rest) = text.strip_prefix('[') else { return single(text, kind) };
        let mut values = Vec::new();
        if let Some(after) = rest.strip_prefix(']') {
            return Some((Value::List(values), after));
        }
        loop {
            let (value, after) = single(rest, kind)?;
            values.push(value);
            match after.as_bytes().first()? {
                b',' => rest = &after[1..],
                b']' => return Some((Value::List(values), &after[1..])),
                _ => return None,
            }
        }
    }

    fn single(text: &str, kind: Kind) -> Option<(Value, &str)> {
        match text.as_bytes().first()? {
            b'"' => {
                let text = &text[1..];
                let (of, after) = match plain_text(text) {
                    Some((of, after)) => (Text::from(of), after),
                    None => escaped_text(text)?,
                };
                let value = match kind {
                    Kind::Ip => Value::Ip(of.parse().ok()?),
                    Kind::Date => Value::Date(Timestamp::parse(&of, 0)?),
                    _ => Value::Text(of),
                };
                Some((value, after))
            }
            b'-' | b'0'..=b'9' => {
                let end = text.bytes().position(|byte| matches!(byte, b',' | b']' | b'}'))?;
                let (digits, after) = text.split_at(end);
                let unsigned = digits.strip_prefix('-').unwrap_or(digits);
                // `-0` and `07` are something else or nothing to JSON.
                let is_whole = unsigned.bytes().all(|byte| byte.is_ascii_digit());
                let is_usual = is_whole && (!unsigned.starts_with('0') || digits == "0");
                Some((Value::Long(is_usual.then(|| digits.parse().ok())??), after))
            }
            b't' => Some((Value::Boolean(true), text.strip_prefix("true")?)),
            b'f' => Some((Value::Boolean(false), text.strip_prefix("false")?)),
            b'n' => Some((Value::Null, text.strip_prefix("null")?)),
            _ => None,
        }
    }

    /// A text that stands as it is up to its quote, and what follows the quote.
    fn plain_text(text: &str) -> Option<(&str, &str)> {
        let end = super::escaped_at(text.as_bytes())?;
        (text.as_bytes()[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
    }

    fn escaped_text(text: &str) -> Option<(Text, &str)> {
        let mut out = Text::with_capacity(text.len().min(64));
        let mut rest = text;
        loop {
            let at = super::escaped_at(rest.as_bytes())?;
            out.push_str(&rest[..at]);
            if rest.as_bytes()[at] == b'"' {
                return Some((out, &rest[at + 1..]));
            }
            let escape = rest.as_bytes().get(at..at + 2)?;
            out.push(match escape {
                b"\\\"" => '"',
                b"\\\\" => '\\',
                b"\\/" => '/',
                b"\\n" => '\n',
                b"\\r" => '\r',
                b"\\t" => '\t',
                b"\\b" => '\u{8}',
                b"\\f" => '\u{c}',
                _ => return None,
            });
            rest = &rest[at + 2..];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_written_as_serde_writes_it(text in "[a-z\"\\\\\x00-\x22đ\x7f-\u{a0}]{0,40}|\\PC{0,20}", skipped in 0usize..9) {
            for text in [text.as_str(), text.get(skipped..).unwrap_or_default()] {
                let mut out = String::new();
                push_text(&mut out, text);
                prop_assert_eq!(out, serde_json::to_string(text).expect("text is JSON"));
            }
        }

        #[test]
        fn values_are_written_as_json_values_are(number: i64, flag: bool, address: std::net::IpAddr) {
            for value in [Value::Long(number), Value::Boolean(flag), Value::Null, Value::Ip(address)] {
                for kind in [Kind::Keyword, Kind::Ip, Kind::Date] {
                    let mut out = String::new();
                    push_value(&mut out, kind, &value);
                    prop_assert_eq!(out, single_plain(kind, &value));
                }
            }
        }
    }

    fn event(values: &[(String, Value)]) -> Event {
        let mut event = Event::new(Timestamp(0), Vec::new());
        values.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
        event
    }

    fn value() -> impl Strategy<Value = Value> {
        let single = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            prop_oneof![any::<i64>(), Just(0), Just(-1)].prop_map(Value::Long),
            any::<f64>().prop_filter("a number", |number| !number.is_nan()).prop_map(Value::Double),
            "[a-z\"\\\\/\x00-\x22đ]{0,20}".prop_map(Value::from),
            any::<std::net::IpAddr>().prop_map(Value::Ip),
            any::<i64>().prop_map(|nanos| Value::Date(Timestamp(nanos))),
        ];
        prop_oneof![4 => single.clone(), 1 => proptest::collection::vec(single, 0..4).prop_map(Value::List)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_plain_twin_reads_it(
            values in proptest::collection::vec(
                (prop_oneof![Just("related.ip".to_owned()), Just("event.start".to_owned()), "[a-f\"\\\\]{1,3}"], value()), 1..8),
        ) {
            let given = event(&values);
            let mut text = String::new();
            given.fields().iter().for_each(|(field, value)| push(&mut text, &head(*field), field.kind(), value));
            end(&mut text);
            let (mut quick, mut plain) = (event(&[]), event(&[]));
            decode(&text, &mut quick).expect("readable");
            decode_any(&text, &mut plain).expect("readable");
            prop_assert_eq!(&quick, &plain);
            prop_assert_eq!(&quick, &given);
        }

        #[test]
        fn other_texts_are_read_or_refused_as_the_plain_twin_does(
            text in r#"\{("[ab]":(-?[0-9]{1,3}|[0-9.eE-]{1,4}|"[a\\u"nđ]{0,4}"|true|nul|\[[1,"a]{0,4}\]|\{\})[, ]?){0,4}\}?"#,
        ) {
            let (mut quick, mut plain) = (event(&[]), event(&[]));
            let results = (decode(&text, &mut quick), decode_any(&text, &mut plain));
            prop_assert_eq!(&results.0, &results.1);
            if results.0.is_ok() {
                prop_assert_eq!(quick, plain);
            }
        }
    }

    fn single_plain(kind: Kind, value: &Value) -> String {
        match value {
            Value::Long(number) => number.to_string(),
            other => single(kind, other).to_string(),
        }
    }
}
