//! The compact form of an event that the log keeps.
//!
//! ```text
//! version u8 = 2 | @timestamp i64 | event.created i64 | original: len, bytes | count | count x field
//! field:  name, value
//! name:   row * 2 + 1            for a row of the field table
//!         length * 2, bytes      for a vendor field
//! value:  0 null | 1 false | 2 true | 3 long i64 | 4 double f64 | 5 text: len, bytes
//!         6 IPv4: 4 bytes | 7 IPv6: 16 bytes | 8 date i64 | 9 list: count, values that are no lists
//!         10 text that the original ends with: len; of `message`, once
//! ```
//!
//! A line's message is mostly its end, a fifth of the event: it is not written twice. Version 1 has no such value and is read as it was.
//!
//! All lengths, counts and rows are LEB128; fixed numbers are little-endian. Decoding never panics and
//! never allocates more than twice the bytes it was given could fill; what is wrong is named by offset.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::event::Event;
use crate::field::Field;
use crate::time::Timestamp;
use crate::value::{Text, Value};

const VERSION: u8 = 2;
/// The version without [`TAIL`].
const VERSION_1: u8 = 1;
/// The kind of a text.
const TEXT: u8 = 5;
/// The kind of a text that the original ends with.
const TAIL: u8 = 10;
/// From so many bytes on a text is told by the end of the original.
const TAIL_BYTES_MIN: usize = 8;

/// What is wrong with encoded bytes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct DecodeError {
    /// What was expected and is not there.
    pub reason: &'static str,
    /// Where, counted from the front of the encoded event.
    pub offset: usize,
}

/// Appends the encoded event to `out`.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    let mut front = [VERSION; 17];
    front[1..9].copy_from_slice(&event.timestamp.0.to_le_bytes());
    front[9..].copy_from_slice(&event.received.0.to_le_bytes());
    out.extend_from_slice(&front);
    put_bytes(out, &event.original);
    put_number(out, event.fields().len() as u64);
    for (field, value) in event.fields() {
        let number = field.index() as u64 * 2 + 1;
        match (field.known(), value) {
            (_, Value::Text(text)) if *field == Field::MESSAGE && is_tail(event, text) => {
                put_number(out, number);
                out.push(TAIL);
                put_number(out, text.len() as u64);
            }
            (Some(_), Value::Text(text)) if number < 0x4000 && text.len() < 0x80 => put_short(out, number, text),
            (Some(_), value) => {
                put_number(out, number);
                put_value(out, value);
            }
            (None, value) => {
                put_number(out, field.name().len() as u64 * 2);
                out.extend_from_slice(field.name().as_bytes());
                put_value(out, value);
            }
        }
    }
}

/// Whether the original ends with this text.
fn is_tail(event: &Event, text: &Text) -> bool {
    TAIL_BYTES_MIN <= text.len() && event.original.ends_with(text.as_bytes())
}

/// Reads one event that fills `bytes` to the last byte.
///
/// # Errors
/// The bytes are of another version, end early, go on too long, or hold what no encoder writes.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let mut input = Input { bytes, at: 0 };
    if !matches!(input.byte()?, VERSION_1 | VERSION) {
        return Err(DecodeError { reason: "unknown version of an encoded event", offset: 0 });
    }
    let timestamp = Timestamp(i64::from_le_bytes(input.array()?));
    let received = Timestamp(i64::from_le_bytes(input.array()?));
    let original: Arc<[u8]> = input.bytes()?.into();
    let count = input.count()?;
    let mut fields = Vec::with_capacity(count);
    let mut overflow = Vec::new();
    let mut has_tail = false;
    for _ in 0..count {
        let name = input.number()?;
        let field = if name % 2 == 1 {
            let field = u32::try_from(name / 2).ok().and_then(Field::from_row);
            field.ok_or_else(|| input.error("a field this version does not know"))?
        } else {
            let length = usize::try_from(name / 2).map_err(|_past| input.error("a name longer than memory"))?;
            let name =
                std::str::from_utf8(input.take(length)?).map_err(|_bad| input.error("a name that is not UTF-8"))?;
            match Field::intern(name) {
                Some(field) => field,
                // Another process took this name; in this one all numbers of vendor fields are given.
                None => {
                    overflow.push((name, get_value(&mut input)?));
                    continue;
                }
            }
        };
        let value = match input.bytes.get(input.at) {
            Some(&TAIL) if field == Field::MESSAGE && !has_tail => {
                has_tail = true;
                input.at += 1;
                get_tail(&mut input, &original)?
            }
            _ => get_value(&mut input)?,
        };
        fields.push((field, value));
    }
    if input.at != bytes.len() {
        return Err(input.error("bytes after the end of the event"));
    }
    let mut event = Event::from_parts(timestamp, received, original, fields);
    for (name, value) in overflow {
        event.set_named(name, value);
    }
    Ok(event)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// A short text under a known name, which most of an event are: what stands before it is put down at once.
fn put_short(out: &mut Vec<u8>, number: u64, text: &Text) {
    let ([low, high, ..], [length, ..]) = (number.to_le_bytes(), text.len().to_le_bytes());
    match number < 0x80 {
        true => out.extend_from_slice(&[low, TEXT, length]),
        false => out.extend_from_slice(&[low | 0x80, high << 1 | low >> 7, TEXT, length]),
    }
    out.extend_from_slice(text.as_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_eight(out: &mut Vec<u8>, kind: u8, bytes: [u8; 8]) {
    let mut all = [kind; 9];
    all[1..].copy_from_slice(&bytes);
    out.extend_from_slice(&all);
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Boolean(false) => out.push(1),
        Value::Boolean(true) => out.push(2),
        Value::Long(number) => put_eight(out, 3, number.to_le_bytes()),
        Value::Double(number) => put_eight(out, 4, number.to_le_bytes()),
        Value::Text(text) => {
            out.push(TEXT);
            put_bytes(out, text.as_bytes());
        }
        Value::Ip(std::net::IpAddr::V4(address)) => {
            out.push(6);
            out.extend_from_slice(&address.octets());
        }
        Value::Ip(std::net::IpAddr::V6(address)) => {
            out.push(7);
            out.extend_from_slice(&address.octets());
        }
        Value::Date(stamp) => put_eight(out, 8, stamp.0.to_le_bytes()),
        Value::List(values) => {
            out.push(9);
            put_number(out, values.len() as u64);
            for value in values {
                put_value(out, value);
            }
        }
    }
}

fn get_tail(input: &mut Input<'_>, original: &[u8]) -> Result<Value, DecodeError> {
    let length = usize::try_from(input.number()?).unwrap_or(usize::MAX);
    let from = original.len().checked_sub(length).ok_or_else(|| input.error("an end longer than the original"))?;
    let text = std::str::from_utf8(&original[from..]).map_err(|_bad| input.error("text that is not UTF-8"))?;
    Ok(Value::Text(Text::from(text)))
}

fn get_value(input: &mut Input<'_>) -> Result<Value, DecodeError> {
    match input.byte()? {
        9 => {
            let count = input.count()?;
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                let kind = input.byte()?;
                values.push(get_single(input, kind)?);
            }
            Ok(Value::List(values))
        }
        kind => get_single(input, kind),
    }
}

fn get_single(input: &mut Input<'_>, kind: u8) -> Result<Value, DecodeError> {
    Ok(match kind {
        0 => Value::Null,
        1 => Value::Boolean(false),
        2 => Value::Boolean(true),
        3 => Value::Long(i64::from_le_bytes(input.array()?)),
        4 => Value::Double(f64::from_le_bytes(input.array()?)),
        TEXT => {
            let text = std::str::from_utf8(input.bytes()?).map_err(|_bad| input.error("text that is not UTF-8"))?;
            Value::Text(Text::from(text))
        }
        6 => Value::Ip(Ipv4Addr::from(input.array::<4>()?).into()),
        7 => Value::Ip(Ipv6Addr::from(input.array::<16>()?).into()),
        8 => Value::Date(Timestamp(i64::from_le_bytes(input.array()?))),
        _ => return Err(input.error("unknown kind of value")),
    })
}

/// A cursor over bytes that may be anything.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn error(&self, reason: &'static str) -> DecodeError {
        DecodeError { reason, offset: self.at }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.error("unexpected end"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_length| self.error("unexpected end"))
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.error("a number longer than 64 bits"))
    }

    /// A count of things that take at least one byte each.
    fn count(&mut self) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if self.bytes.len() - self.at < count {
            return Err(self.error("a count larger than what follows"));
        }
        Ok(count)
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.count()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn single() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Long),
            (-1e300f64..1e300).prop_map(Value::Double),
            ".{0,40}".prop_map(Value::from),
            any::<std::net::IpAddr>().prop_map(Value::Ip),
            any::<i64>().prop_map(|nanos| Value::Date(Timestamp(nanos))),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![4 => single(), 1 => proptest::collection::vec(single(), 0..4).prop_map(Value::List)]
    }

    /// The plain way: a number, a value, as the module says.
    fn encode_naive(event: &Event) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(event.timestamp.0.to_le_bytes());
        out.extend(event.received.0.to_le_bytes());
        put_bytes(&mut out, &event.original);
        put_number(&mut out, event.fields().len() as u64);
        for (field, value) in event.fields() {
            match field.known() {
                Some(_) => put_number(&mut out, field.index() as u64 * 2 + 1),
                None => {
                    put_number(&mut out, field.name().len() as u64 * 2);
                    out.extend(field.name().as_bytes());
                }
            }
            match value.text().filter(|text| field.name() == "message" && 8 <= text.len()) {
                Some(text) if event.original.ends_with(text.as_bytes()) => {
                    out.push(10);
                    put_number(&mut out, text.len() as u64);
                }
                _ => put_value(&mut out, value),
            }
        }
        out
    }

    #[test]
    fn each_known_name_and_each_length_is_encoded_the_plain_way() {
        for (row, length) in (0u32..).map_while(Field::from_row).zip((0u32..).step_by(3)) {
            let mut event = Event::new(Timestamp(i64::from(length)), *b"x");
            event.set(row, "x".repeat(usize::try_from(length % 300).unwrap_or(0)));
            let mut bytes = Vec::new();
            encode(&event, &mut bytes);
            assert_eq!(bytes, encode_naive(&event), "{row}");
            assert_eq!(decode(&bytes), Ok(event));
        }
    }

    #[test]
    fn a_message_that_the_original_ends_with_is_not_written_twice() {
        let originals: [&[u8]; 5] =
            [b"<13>app: a line of text", b"a line of text", b"line of text", b"\xff a line of text", b""];
        for (original, message) in
            originals.iter().flat_map(|one| ["a line of text", "text", "a line", ""].map(|two| (*one, two)))
        {
            let mut event = Event::new(Timestamp(1), original);
            event.set(Field::MESSAGE, message);
            event.set(Field::URL_ORIGINAL, message);
            let mut bytes = Vec::new();
            encode(&event, &mut bytes);
            assert_eq!(bytes, encode_naive(&event));
            assert_eq!(decode(&bytes), Ok(event));
            let is_shorter = 8 <= message.len() && original.ends_with(message.as_bytes());
            assert_eq!(
                bytes.len(),
                17 + 1 + original.len() + 1 + 3 + if is_shorter { 0 } else { message.len() } + 4 + message.len()
            );
        }
    }

    #[test]
    fn an_end_that_is_none_is_refused() {
        let front = |original: &[u8]| {
            let mut bytes = vec![0; 17];
            bytes[0] = VERSION;
            put_bytes(&mut bytes, original);
            bytes
        };
        let message = u8::try_from(Field::MESSAGE.index() * 2 + 1).expect("is small");
        let read =
            |original: &[u8], rest: &[u8]| decode(&[&front(original), rest].concat()).map_err(|error| error.reason);
        assert!(read(b"abc", &[1, message, TAIL, 2]).is_ok());
        assert_eq!(read(b"abc", &[1, message, TAIL, 4]), Err("an end longer than the original"));
        assert_eq!(read("đ".as_bytes(), &[1, message, TAIL, 1]), Err("text that is not UTF-8"));
        assert_eq!(read(b"abc", &[2, message, TAIL, 2, message, TAIL, 2]), Err("unknown kind of value"), "once");
        assert_eq!(read(b"abc", &[1, message + 2, TAIL, 2]), Err("unknown kind of value"), "of the message only");
    }

    #[test]
    fn version_1_is_read_as_it_was() {
        let mut event = Event::new(Timestamp(1), *b"<13>app: a line of text");
        event.set(Field::MESSAGE, "a line of text");
        let moment = 1i64.to_le_bytes();
        let front: [&[u8]; 3] = [&[VERSION_1], &moment, &moment];
        let rest: [&[u8]; 4] = [&[23], b"<13>app: a line of text", &[1, 1, TEXT, 14], b"a line of text"];
        let old = [front.concat(), rest.concat()].concat();
        assert_eq!(decode(&old), Ok(event));
    }

    proptest! {
        #[test]
        fn an_event_comes_back_as_it_was(
            stamp: i64,
            original: Vec<u8>,
            known in proptest::collection::vec((0u32..250, value()), 0..12),
            vendor in proptest::collection::vec(("[a-z]{1,8}\\.[A-Za-z ]{1,12}", value()), 0..6),
        ) {
            let mut event = Event::new(Timestamp(stamp), original);
            for (row, value) in known {
                event.set(Field::from_row(row).expect("a row"), value);
            }
            for (name, value) in vendor {
                event.set_named(&name, value);
            }
            let mut bytes = Vec::new();
            encode(&event, &mut bytes);
            prop_assert_eq!(&bytes, &encode_naive(&event));
            prop_assert_eq!(decode(&bytes), Ok(event));
            bytes.pop();
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(mut bytes: Vec<u8>) {
            // Whatever comes back is fine; that it comes back is the test.
            drop(decode(&bytes));
            bytes.insert(0, VERSION);
            drop(decode(&bytes));
        }
    }
}
