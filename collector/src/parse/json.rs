//! JSON objects as records: flattened leaves, and the moment they tell.
//!
//! In: the text of one JSON object. Out: a [`Document`] or [`Leaves`] (dotted names, typed values). Failure: text that is
//! no JSON object, nests too deep or has too many leaves, with the byte. Source: RFC 8259; the time
//! names are those of contract.md (`detect`).

use std::cell::Cell;

use nhatle_event::json::{Document, Leaves, Reader};
use nhatle_event::{Timestamp, Value};

use super::Fault;

/// The names an event's time may have, the first that can be read counts. `UtcTime` is Sysmon's.
const TIME_NAMES: &[&str] = &[
    "@timestamp",
    "timestamp",
    "UtcTimeCreated",
    "SystemTime",
    "time",
    "date",
    "Event.System.TimeCreated.SystemTime",
    // Not of the contract: zap and Caddy, AWS CloudTrail, many others.
    "ts",
    "t",
    "eventTime",
    "datetime",
];

thread_local! {
    /// This thread's reader: its buffers are used again for each document.
    static READER: Cell<Option<Box<Reader>>> = const { Cell::new(None) };
}

/// Reads one JSON object and gives it to `then`.
///
/// # Errors
/// It is none, or passes the bounds of [`nhatle_event::json::flatten`].
pub fn with_document<R>(text: &str, then: impl FnOnce(Document<'_>) -> R) -> Result<R, Fault> {
    if text.starts_with('[') {
        return Err(Fault::new("json: an array stands where one object is expected", 0));
    }
    // Taken, not borrowed: a document may carry a line that is a document.
    let mut reader = READER.take().unwrap_or_default();
    let result = reader.read(text).map(then);
    READER.set(Some(reader));
    result.map_err(|error| Fault::new(format!("json: {}", error.reason), error.offset))
}

/// Reads one JSON object into leaves of its own.
///
/// # Errors
/// As [`with_document`].
pub fn parse(text: &str) -> Result<Leaves, Fault> {
    with_document(text, |mut document| document.to_leaves())
}

/// When the event happened, by the first of the contract's time names that holds a time. `offset_s` is
/// the zone of `timestamp`, `time` and `date` without one; the others are UTC.
pub fn timestamp(leaves: &Leaves, offset_s: i32) -> Option<Timestamp> {
    TIME_NAMES.iter().find_map(|name| {
        let value = leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value)?;
        let is_utc = name.starts_with('@') || name.contains("Utc") || name.contains("System");
        moment(value, if is_utc { 0 } else { offset_s })
    })
}

/// A JSON value as a moment: RFC 3339 text, or a number of epoch seconds, milliseconds, microseconds or
/// nanoseconds, told apart by size.
pub fn moment(value: &Value, offset_s: i32) -> Option<Timestamp> {
    match value {
        Value::Long(number) => epoch_whole(*number),
        Value::Double(number) => epoch_fraction(*number),
        Value::Text(text) => {
            let text = text.trim();
            Timestamp::parse(text, offset_s)
                .or_else(|| text.parse().ok().and_then(epoch_whole))
                .or_else(|| text.parse().ok().and_then(epoch_fraction))
        }
        Value::Date(stamp) => Some(*stamp),
        _ => None,
    }
}

/// Numbers up to this many seconds (the year 5138) are seconds; each unit below is a thousand times more.
const SECONDS_MAX: i64 = 100_000_000_000;

fn epoch_whole(number: i64) -> Option<Timestamp> {
    let nanos_each = match number.checked_abs()? {
        size if size < SECONDS_MAX => 1_000_000_000,
        size if size < SECONDS_MAX * 1_000 => 1_000_000,
        size if size < SECONDS_MAX * 1_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(nanos_each).map(Timestamp)
}

fn epoch_fraction(number: f64) -> Option<Timestamp> {
    (number.is_finite() && number.abs() < 9e15).then_some(())?;
    #[expect(clippy::cast_precision_loss, reason = "the bound is exact in a double")]
    let nanos_each = if number.abs() < SECONDS_MAX as f64 { 1e9 } else { 1e6 };
    let micros = (number * (nanos_each / 1e3)).round();
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above; a double holds no more than microseconds")]
    let micros = micros as i64;
    micros.checked_mul(1_000).map(Timestamp)
}

/// Finds where JSON values end, by brackets and strings alone, so that a broken one does not take the
/// others with it. Carried on from one piece of input to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    depth: usize,
    is_text: bool,
    is_escaped: bool,
}

impl Scanner {
    /// Looks at the next bytes of a value that began outside any bracket. Where the value ends, the place
    /// after its last byte; `None` = it goes on.
    pub fn end_of_value(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_text => self.is_escaped = true,
                b'"' => self.is_text = !self.is_text,
                _ if self.is_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => {
                    self.depth = 0;
                    return Some(at + 1);
                }
                b',' | b']' if self.depth == 0 => return Some(at),
                _ => {}
            }
        }
        None
    }
}

/// The elements of a JSON array's text, unparsed. What follows the array, and a broken last element, is
/// an element too: nothing is left out.
pub fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = array.strip_prefix(b"[").unwrap_or(array);
    std::iter::from_fn(move || {
        let is_between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b']');
        rest = rest.get(rest.iter().position(|byte| !is_between(byte))?..)?;
        let (element, after) = rest.split_at(Scanner::default().end_of_value(rest).unwrap_or(rest.len()));
        rest = after;
        Some(element)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let leaves = parse(text).expect("is an object");
        assert_eq!(timestamp(&leaves, 7 * 3600).map(|stamp| stamp.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn times_by_name_and_unit() {
        check(r#"{"@timestamp":"2026-02-03T04:05:06Z","time":1}"#, Some("2026-02-03T04:05:06Z"));
        check(r#"{"timestamp":1770091506}"#, Some("2026-02-03T04:05:06Z"));
        check(r#"{"timestamp":1770091506123}"#, Some("2026-02-03T04:05:06.123Z"));
        check(r#"{"time":1770091506.25}"#, Some("2026-02-03T04:05:06.250Z"));
        check(r#"{"time":"1770091506"}"#, Some("2026-02-03T04:05:06Z"));
        check(r#"{"date":"2026-02-03 11:05:06"}"#, Some("2026-02-03T04:05:06Z"));
        check(r#"{"UtcTimeCreated":"2026-02-03 04:05:06.5"}"#, Some("2026-02-03T04:05:06.500Z"));
        check(r#"{"timestamp":"nonsense","time":1770091506}"#, Some("2026-02-03T04:05:06Z"));
        check(r#"{"time":9223372036854775807,"x":1e300}"#, Some("2262-04-11T23:47:16.854775807Z"));
        check(r#"{"x":1}"#, None);
    }

    #[test]
    fn elements_are_cut_by_brackets_and_strings() {
        let found: Vec<_> =
            elements(br#"[{"a":"]}"}, {"b":[1,{}]} ,7,"x,y" ,{"broken":]"#).map(String::from_utf8_lossy).collect();
        let found: Vec<_> = found.iter().map(|text| text.trim()).collect();
        assert_eq!(found, [r#"{"a":"]}"}"#, r#"{"b":[1,{}]}"#, "7", r#""x,y""#, r#"{"broken":]"#]);
        assert_eq!(elements(b"[]").count(), 0);
    }

    #[test]
    fn a_break_is_named_with_its_byte() {
        let fault = parse(r#"{"a":1,"b":}"#).expect_err("is no JSON");
        assert_eq!((fault.reason.as_str(), fault.offset), ("json: expected value", 11));
        assert!(parse("[{}]").is_err());
        assert!(parse(&"{\"a\":".repeat(200_000)).is_err());
    }
}
