//! Binary XML's values as `Value`s: the 25 types of a substitution, and arrays of them.
//!
//! In: a type byte and the bytes of the value. Out: a `Value`, written the way Windows renders it as XML
//! where it has to be text (GUID `{lower-case}`, SID `S-1-…`, hexadecimal `0x…`, time with seven digits).
//! Promise: never more memory than a small multiple of the bytes, no panic. Failure: bytes that do not
//! fit their type come out as hexadecimal text, so that nothing is lost.
//! Source: libevtx documentation, "Windows XML Event Log (EVTX) format", section 5.5 (value types).

use std::fmt::Write as _;

use nhatle_event::{Text, Timestamp, Value};

/// How many characters are narrowed at once.
const ASCII_BLOCK: usize = 64;
/// How many bytes a text holds without an allocation.
const INLINE_BYTES: usize = 24;
/// The flag that makes a type an array of it.
const ARRAY: u8 = 0x80;
/// A nested binary XML fragment.
pub(super) const BINARY_XML: u8 = 0x21;
/// How many parts of an identifier are put together in a buffer; Windows writes up to 15.
const TEXT_PARTS_MAX: usize = 20;
const STRING: u8 = 0x01;
const ANSI_STRING: u8 = 0x02;
const FILETIME: u8 = 0x11;

/// The value of these bytes. A nested fragment is not read here; it comes out as hexadecimal.
pub(super) fn value(kind: u8, bytes: &[u8]) -> Value {
    match kind {
        0 => Value::Null,
        STRING => Value::Text(utf16(bytes)),
        kind if kind & ARRAY != 0 => array(kind & !ARRAY, bytes),
        kind => single(kind, bytes).unwrap_or_else(|| Value::from(hex(bytes))),
    }
}

/// The value of these bytes where it is known to be a time: a FILETIME without the detour over text.
pub(super) fn moment(kind: u8, bytes: &[u8]) -> Value {
    match (kind, bytes.try_into()) {
        (FILETIME, Ok(units)) => Value::Date(Timestamp::from_filetime(u64::from_le_bytes(units))),
        _ => value(kind, bytes),
    }
}

/// Text of UTF-16 bytes without the zeros at its end; what is no UTF-16 becomes U+FFFD.
pub(super) fn utf16(bytes: &[u8]) -> Text {
    let (mut units, _odd) = bytes.as_chunks::<2>();
    while let [rest @ .., [0, 0]] = units {
        units = rest;
    }
    if units.iter().fold(0, |seen, unit| seen | u16::from_le_bytes(*unit)) < 0x80 {
        return ascii(units);
    }
    let mut text = Text::default();
    push_utf16(units.as_flattened(), &mut text);
    text
}

/// Text of units that are all ASCII: one look, one copy, one allocation where it is too long for none.
fn ascii(units: &[[u8; 2]]) -> Text {
    let mut buffer = [0u8; INLINE_BYTES];
    if let Some(buffer) = buffer.get_mut(..units.len()) {
        for (place, unit) in buffer.iter_mut().zip(units) {
            *place = unit[0];
        }
        return Text::from(std::str::from_utf8(buffer).unwrap_or_default());
    }
    let bytes: Vec<u8> = units.iter().map(|unit| unit[0]).collect();
    Text::from(String::from_utf8(bytes).unwrap_or_default())
}

/// Appends UTF-16 bytes to `out` as UTF-8.
pub(super) fn push_utf16(bytes: &[u8], out: &mut Text) {
    let (mut units, _odd) = bytes.as_chunks::<2>();
    while let [rest @ .., [0, 0]] = units {
        units = rest;
    }
    out.reserve(units.len());
    while !units.is_empty() {
        // Nearly all of it is ASCII: looked at and narrowed in blocks, which compiles to vector code.
        let mut buffer = [0u8; ASCII_BLOCK];
        let (block, rest) = units.split_at(units.len().min(ASCII_BLOCK));
        let all = block.iter().fold(0, |seen, unit| seen | u16::from_le_bytes(*unit));
        if all < 0x80 {
            for (place, unit) in buffer.iter_mut().zip(block) {
                *place = unit[0];
            }
            out.push_str(std::str::from_utf8(&buffer[..block.len()]).unwrap_or_default());
            units = rest;
            continue;
        }
        // A pair of surrogates may lie across the end of a block, so the text goes on until it is ASCII again.
        let is_ascii = |unit: &&[u8; 2]| unit[1] == 0 && unit[0] < 0x80;
        let wide = units.iter().position(|unit| is_ascii(&unit)).unwrap_or(units.len());
        let (wide, rest) =
            if wide == 0 { units.split_at(units.iter().take_while(is_ascii).count()) } else { units.split_at(wide) };
        let decoded = char::decode_utf16(wide.iter().map(|unit| u16::from_le_bytes(*unit)));
        out.extend(decoded.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
        units = rest;
    }
}

/// Text of bytes in Windows-1252, which is what "ANSI" means on a Western system.
fn ansi(bytes: &[u8]) -> Text {
    // The 27 characters that differ from Latin-1 (Unicode Consortium, CP1252.TXT).
    const HIGH: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let decode = |byte: &u8| match byte {
        0x80..=0x9f => HIGH.chars().nth(usize::from(byte - 0x80)).unwrap_or(char::REPLACEMENT_CHARACTER),
        byte => char::from(*byte),
    };
    bytes[..end].iter().map(decode).collect()
}

fn array(kind: u8, bytes: &[u8]) -> Value {
    let size = match kind {
        STRING => return list(split_utf16(bytes)),
        ANSI_STRING => {
            let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
            return list(bytes.split(|byte| *byte == 0).map(|part| Value::Text(ansi(part))).collect());
        }
        0x03 | 0x04 => 1,
        0x05 | 0x06 => 2,
        0x07 | 0x08 | 0x0b | 0x0d | 0x14 => 4,
        0x09 | 0x0a | 0x0c | 0x11 | 0x15 => 8,
        0x0f | 0x12 => 16,
        0x13 => return list(split_sids(bytes)),
        _ => return Value::from(hex(bytes)),
    };
    list(bytes.chunks(size).map(|part| value(kind, part)).collect())
}

fn list(mut values: Vec<Value>) -> Value {
    match values.len() {
        0 => Value::Null,
        1 => values.remove(0),
        _ => Value::List(values),
    }
}

/// The texts of a string array: each ends with a zero, the last one perhaps without.
fn split_utf16(bytes: &[u8]) -> Vec<Value> {
    let (units, _odd) = bytes.as_chunks::<2>();
    let units = units.strip_suffix(&[[0, 0]]).unwrap_or(units);
    if units.is_empty() {
        return Vec::new();
    }
    units.split(|unit| *unit == [0, 0]).map(|part| Value::Text(utf16(part.as_flattened()))).collect()
}

fn split_sids(mut bytes: &[u8]) -> Vec<Value> {
    let mut values = Vec::new();
    while let [_, count, ..] = bytes {
        let Some((one, rest)) = bytes.split_at_checked(8 + 4 * usize::from(*count)) else { break };
        values.extend(sid(one).map(Value::from));
        bytes = rest;
    }
    values
}

/// A fixed-size value; `None` where the bytes are of another size.
fn single(kind: u8, bytes: &[u8]) -> Option<Value> {
    Some(match kind {
        ANSI_STRING => Value::Text(ansi(bytes)),
        0x03 => Value::Long(i64::from(i8::from_le_bytes(bytes.try_into().ok()?))),
        0x04 => Value::Long(i64::from(u8::from_le_bytes(bytes.try_into().ok()?))),
        0x05 => Value::Long(i64::from(i16::from_le_bytes(bytes.try_into().ok()?))),
        0x06 => Value::from(u16::from_le_bytes(bytes.try_into().ok()?)),
        0x07 => Value::Long(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        0x08 => Value::from(u32::from_le_bytes(bytes.try_into().ok()?)),
        0x09 => Value::Long(i64::from_le_bytes(bytes.try_into().ok()?)),
        0x0a => Value::from(u64::from_le_bytes(bytes.try_into().ok()?)),
        0x0b => Value::Double(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
        0x0c => Value::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        // Windows writes bit masks into some of these; only 0 and 1 are truth values.
        0x0d => match i32::from_le_bytes(bytes.try_into().ok()?) {
            0 => Value::Boolean(false),
            1 => Value::Boolean(true),
            mask => Value::Long(i64::from(mask)),
        },
        0x0f => Value::from(guid(bytes.try_into().ok()?)),
        FILETIME => Value::from(filetime(u64::from_le_bytes(bytes.try_into().ok()?))),
        0x12 => Value::from(systemtime(bytes.try_into().ok()?)),
        0x13 => Value::from(sid(bytes)?),
        0x10 | 0x14 | 0x15 => match bytes.len() {
            4 => Value::from(hexadecimal(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))),
            8 => Value::from(hexadecimal(u64::from_le_bytes(bytes.try_into().ok()?))),
            _ => return None,
        },
        0x23 => Value::Text(utf16(bytes)),
        _ => return None,
    })
}

fn format_text(arguments: std::fmt::Arguments<'_>) -> Text {
    let mut text = Text::default();
    text.write_fmt(arguments).expect("writing to a string cannot go wrong");
    text
}

/// Bytes as upper-case hexadecimal, the way Windows renders binary data.
fn hex(bytes: &[u8]) -> Text {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// `{9f32b55f-7c4e-5f98-5803-000000000500}`: the first three parts are little-endian numbers.
fn guid(bytes: [u8; 16]) -> Text {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [b'-'; 38];
    out[0] = b'{';
    out[37] = b'}';
    let mut place = 1;
    for (nth, from) in ORDER.into_iter().enumerate() {
        place += usize::from(matches!(nth, 4 | 6 | 8 | 10));
        out[place] = DIGITS[usize::from(bytes[from] >> 4)];
        out[place + 1] = DIGITS[usize::from(bytes[from] & 15)];
        place += 2;
    }
    std::str::from_utf8(&out).map(Text::from).unwrap_or_default()
}

/// `S-1-5-21-…`; `None` where the bytes are shorter than their own count says.
fn sid(bytes: &[u8]) -> Option<Text> {
    let [revision, count, a, b, c, d, e, f, rest @ ..] = bytes else { return None };
    let rest = rest.get(..4 * usize::from(*count))?;
    let authority = u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f]);
    // `S-`, three digits, and a dash and ten digits for each part; the authority has at most fifteen.
    let mut text = Digits::<256>::default();
    text.push(b"S-").decimal(u64::from(*revision)).push(b"-").decimal(authority);
    if TEXT_PARTS_MAX < usize::from(*count) {
        let mut long = text.text();
        for part in rest.as_chunks::<4>().0 {
            write!(long, "-{}", u32::from_le_bytes(*part)).expect("writing to a string cannot go wrong");
        }
        return Some(long);
    }
    for part in rest.as_chunks::<4>().0 {
        text.push(b"-").decimal(u64::from(u32::from_le_bytes(*part)));
    }
    Some(text.text())
}

/// `0x…` in lower case without leading zeros.
fn hexadecimal(number: u64) -> Text {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Digits::<24>::default();
    text.push(b"0x");
    let count = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for nth in (0..count).rev() {
        text.push(&[DIGITS[usize::try_from(number >> (4 * nth) & 15).unwrap_or(0)]]);
    }
    text.text()
}

/// ASCII text put together without the machinery of formatting: identifiers stand in every record.
struct Digits<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Digits<N> {
    fn default() -> Digits<N> {
        Digits { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Digits<N> {
    /// Adds text; what finds no room is left out, which no caller lets happen.
    fn push(&mut self, text: &[u8]) -> &mut Digits<N> {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + text.len()) {
            room.copy_from_slice(text);
            self.length += text.len();
        }
        self
    }

    fn decimal(&mut self, mut number: u64) -> &mut Digits<N> {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                return self.push(&digits[at..]);
            }
        }
    }

    /// A number with leading zeros.
    fn padded(&mut self, number: u32, width: usize) -> &mut Digits<N> {
        let mut digits = [b'0'; 10];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        self.push(&digits[digits.len() - width.min(digits.len())..])
    }

    fn text(&self) -> Text {
        std::str::from_utf8(&self.bytes[..self.length]).map(Text::from).unwrap_or_default()
    }
}

/// The moment with seven digits of fraction, as Windows writes it.
fn filetime(units: u64) -> Text {
    let c = Timestamp::from_filetime(units).civil();
    let mut text = Digits::<32>::default();
    text.padded(c.year.unsigned_abs(), 4).push(b"-").padded(c.month, 2).push(b"-").padded(c.day, 2);
    text.push(b"T").padded(c.hour, 2).push(b":").padded(c.minute, 2).push(b":").padded(c.second, 2);
    text.push(b".").padded(c.nanosecond / 100, 7).push(b"Z").text()
}

/// Eight numbers: year, month, day of the week, day, hour, minute, second, millisecond.
fn systemtime(bytes: [u8; 16]) -> Text {
    let part = |at: usize| u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]);
    format_text(format_args!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        part(0),
        part(1),
        part(3),
        part(4),
        part(5),
        part(6),
        part(7)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: u8, bytes: &[u8], expected: impl Into<Value>) {
        assert_eq!(value(kind, bytes), expected.into(), "{kind:#x} {bytes:?}");
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn every_type_reads_as_windows_renders_it() {
        check(0x01, &wide("a b \0"), "a b ");
        check(0x01, &wide("phường Sài Gòn 🏙"), "phường Sài Gòn 🏙");
        check(0x01, &[0x00, 0xd8], "\u{fffd}");
        let long = format!("{}🏙{} ệ{}", "a".repeat(63), "b".repeat(130), "c".repeat(64));
        check(0x01, &wide(&long), long.as_str());
        check(0x02, b"caf\xe9 \x80\0", "café €");
        check(0x03, &[0xff], -1i64);
        check(0x06, &[0x39, 0x30], 12345i64);
        check(0x08, &[0, 0, 0, 0x80], 2_147_483_648i64);
        check(0x0a, &[0xff; 8], "18446744073709551615");
        check(0x0c, &1.5f64.to_le_bytes(), Value::Double(1.5));
        check(0x0d, &[1, 0, 0, 0], true);
        check(0x0d, &[4, 0, 0, 0], 4i64);
        check(0x0e, &[0xab, 0x01], "AB01");
        check(0x0f, &(1..=16).collect::<Vec<u8>>(), "{04030201-0605-0807-090a-0b0c0d0e0f10}");
        check(0x10, &[0x10, 0, 0, 0], "0x10");
        check(0x11, &116_444_736_000_000_001u64.to_le_bytes(), "1970-01-01T00:00:00.0000001Z");
        check(0x12, &[0xea, 7, 2, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0], "2026-02-03T04:05:06.007Z");
        check(0x13, &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0], "S-1-5-32-544");
        check(0x15, &0x3e7u64.to_le_bytes(), "0x3e7");
        check(0x00, &[], Value::Null);
    }

    proptest::proptest! {
        #[test]
        fn text_of_any_length_is_what_the_standard_library_reads(text in "[a-zệ🏙]{0,200}") {
            proptest::prop_assert_eq!(utf16(&wide(&text)), text);
        }
    }

    #[test]
    fn text_put_together_is_what_formatting_gives() {
        for number in [0, 1, 9, 10, 0xf, 0x10, 0x1234_5678, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(hexadecimal(number), format!("{number:#x}"));
            assert_eq!(Digits::<24>::default().decimal(number).text(), number.to_string());
        }
        for count in [0usize, 1, 15, 20, 21, 255] {
            let mut bytes = vec![1, u8::try_from(count).expect("fits"), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
            bytes.extend([0xff; 4].repeat(count));
            let parts = "-4294967295".repeat(count);
            check(0x13, &bytes, format!("S-1-281474976710655{parts}"));
        }
        let far = Timestamp::from_filetime(u64::MAX).civil();
        check(
            0x11,
            &[0xff; 8],
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
                far.year,
                far.month,
                far.day,
                far.hour,
                far.minute,
                far.second,
                far.nanosecond / 100
            ),
        );
    }

    #[test]
    fn arrays_are_lists() {
        check(0x81, &wide("one\0two\0"), Value::List(vec![Value::from("one"), Value::from("two")]));
        check(0x81, &wide("one\0"), "one");
        check(0x81, &[], Value::Null);
        check(0x86, &[1, 0, 2, 0], Value::List(vec![Value::Long(1), Value::Long(2)]));
    }

    #[test]
    fn bytes_of_another_size_are_kept_as_hexadecimal() {
        check(0x08, &[1, 2, 3], "010203");
        check(0x13, &[1, 9, 0], "010900");
        check(0x77, &[1], "01");
    }
}
