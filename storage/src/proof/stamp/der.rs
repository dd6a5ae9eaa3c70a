//! DER, as much of it as time-stamps need (ITU-T X.690): in: bytes of strangers. Out: items, one level at a time, that
//! borrow; and small values written. Promise: strict (definite lengths in their shortest form, whole numbers in theirs, no
//! tag numbers past 30), no recursion, no panic. Failure: [`DerError`].

use nhatle_event::Timestamp;

/// `BOOLEAN`
pub const BOOLEAN: u8 = 0x01;
/// `INTEGER`
pub const INTEGER: u8 = 0x02;
/// `BIT STRING`
pub const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`
pub const OCTET_STRING: u8 = 0x04;
/// `NULL`
pub const NULL: u8 = 0x05;
/// `OBJECT IDENTIFIER`
pub const OID: u8 = 0x06;
/// `UTF8String`
pub const UTF8: u8 = 0x0c;
/// `PrintableString`
pub const PRINTABLE: u8 = 0x13;
/// `GeneralizedTime`
pub const GENERALIZED_TIME: u8 = 0x18;
/// `SEQUENCE`, `SEQUENCE OF`
pub const SEQUENCE: u8 = 0x30;
/// `SET`, `SET OF`
pub const SET: u8 = 0x31;

/// Bytes that are no DER, or not of the form that is due; in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DerError(pub &'static str);

/// `[n]` around something, or in place of the tag of something constructed.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// `[n]` in place of the tag of something primitive.
pub const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its tag.
    pub tag: u8,
    /// What stands in it.
    pub content: &'a [u8],
    /// All its bytes, with tag and length.
    pub whole: &'a [u8],
}

impl<'a> Item<'a> {
    /// What stands in it, as values.
    pub fn inside(&self) -> Reader<'a> {
        Reader { rest: self.content }
    }
}

/// Values one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// One value that is all there is.
    ///
    /// # Errors
    /// It is not of this tag, or more stands behind it.
    pub fn only(bytes: &'a [u8], tag: u8) -> Result<Item<'a>, DerError> {
        let mut reader = Reader::new(bytes);
        let item = reader.expect(tag)?;
        reader.end()?;
        Ok(item)
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    /// It is no DER.
    pub fn read(&mut self) -> Result<Option<Item<'a>>, DerError> {
        let Some((tag, rest)) = self.rest.split_first() else { return Ok(None) };
        if tag & 0x1f == 0x1f {
            return Err(DerError("a tag number past 30"));
        }
        let (first, rest) = rest.split_first().ok_or(DerError("it ends in a length"))?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x80 => return Err(DerError("a length that is not said before: no DER")),
            0x81..=0x84 => {
                let (bytes, rest) =
                    rest.split_at_checked(usize::from(first & 0x7f)).ok_or(DerError("it ends in a length"))?;
                let length = bytes.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
                if bytes[0] == 0 || length < 0x80 {
                    return Err(DerError("a length in more bytes than it needs: no DER"));
                }
                (length, rest)
            }
            _ => return Err(DerError("a length past 4 GiB")),
        };
        let (content, after) = rest.split_at_checked(length).ok_or(DerError("a value longer than what is there"))?;
        let whole = &self.rest[..self.rest.len() - after.len()];
        self.rest = after;
        Ok(Some(Item { tag: *tag, content, whole }))
    }

    /// The next value, which has this tag.
    ///
    /// # Errors
    /// It has another, or there is none.
    pub fn expect(&mut self, tag: u8) -> Result<Item<'a>, DerError> {
        match self.read()? {
            Some(item) if item.tag == tag => Ok(item),
            Some(_) => Err(DerError("a value of another kind than is due")),
            None => Err(DerError("a value is missing")),
        }
    }

    /// The next value, if it has this tag.
    ///
    /// # Errors
    /// It is no DER.
    pub fn take_if(&mut self, tag: u8) -> Result<Option<Item<'a>>, DerError> {
        if self.rest.first() == Some(&tag) { self.read() } else { Ok(None) }
    }

    /// Nothing stands behind.
    ///
    /// # Errors
    /// Something does.
    pub fn end(&self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError("more stands behind it")) }
    }
}

/// A whole number, its bytes in the shortest form.
///
/// # Errors
/// It is no such.
pub fn integer<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DerError> {
    let content = reader.expect(INTEGER)?.content;
    match content {
        [] => Err(DerError("a whole number of no byte")),
        [0, next, ..] if next & 0x80 == 0 => Err(DerError("a whole number in more bytes than it needs")),
        [0xff, next, ..] if next & 0x80 != 0 => Err(DerError("a whole number in more bytes than it needs")),
        _ => Ok(content),
    }
}

/// A small whole number, not below 0.
///
/// # Errors
/// It is no such.
pub fn small(content: &[u8]) -> Result<u32, DerError> {
    let is_small = !content.is_empty() && content.len() <= 4 && content[0] & 0x80 == 0;
    let sum = content.iter().take(4).fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
    if is_small { Ok(sum) } else { Err(DerError("a number past its bounds")) }
}

/// `GeneralizedTime` as RFC 3161 (2.4.2) writes it: in UTC, with seconds, a fraction where there is one.
///
/// # Errors
/// It is no such.
pub fn time(content: &[u8]) -> Result<Timestamp, DerError> {
    let wrong = DerError("a time that is none");
    let text = std::str::from_utf8(content).ok().and_then(|text| text.strip_suffix('Z')).ok_or(wrong)?;
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |(whole, fraction)| (whole, fraction));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_fraction =
        text.len() == whole.len() || (!fraction.is_empty() && fraction.len() <= 9 && !fraction.ends_with('0'));
    if whole.len() != 14 || !is_digits(whole) || !is_digits(fraction) || !is_fraction {
        return Err(wrong);
    }
    let part = |from: usize, to: usize| &whole[from..to];
    let point = if fraction.is_empty() { "" } else { "." };
    let said = format!(
        "{}-{}-{}T{}:{}:{}{point}{fraction}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    );
    Timestamp::parse(&said, 0).ok_or(wrong)
}

/// A value: tag, length, content.
pub fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let skip = length.iter().take_while(|byte| **byte == 0).count();
    match content.len() {
        0..=0x7f => out.push(length[length.len() - 1]),
        _ => {
            out.push(0x80 | (length.len() - skip) as u8);
            out.extend_from_slice(&length[skip..]);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A whole number, not below 0.
pub fn write_number(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let skip = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    let sign: &[u8] = if bytes[skip] & 0x80 == 0 { &[] } else { &[0] };
    write(INTEGER, &[sign, &bytes[skip..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_other_forms_are_refused() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let bytes = write(OCTET_STRING, &vec![7; length]);
            let item = Reader::only(&bytes, OCTET_STRING).expect("a value");
            assert_eq!((item.content.len(), item.whole.len()), (length, bytes.len()));
            assert!(Reader::only(&bytes[..bytes.len() - 1], OCTET_STRING).is_err());
        }
        for number in [0, 1, 127, 128, 255, 256, u64::MAX] {
            let bytes = write_number(number);
            let content = integer(&mut Reader::new(&bytes)).expect("a number");
            assert_eq!(content.iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte)), u128::from(number));
        }
        for bad in [
            &[0x30, 0x80, 0, 0][..],
            &[0x04, 0x81, 0x01, 0],
            &[0x04, 0x82, 0, 0x80],
            &[0x1f, 0x81, 1],
            &[0x04],
            &[0x04, 0x85, 1, 1, 1, 1, 1],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Reader::new(bad).read().is_err(), "{bad:x?}");
        }
        for bad in [&[0x02, 0x00][..], &[0x02, 0x02, 0, 1], &[0x02, 0x02, 0xff, 0x80]] {
            assert!(integer(&mut Reader::new(bad)).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn times_are_those_of_the_specification() {
        let said = |text: &str| time(text.as_bytes()).ok().map(|at| at.to_string());
        assert_eq!(said("20261128151800Z"), Timestamp::parse("2026-11-28T15:18:00Z", 0).map(|at| at.to_string()));
        let fraction = Timestamp::parse("2026-11-28T15:18:00.25Z", 0).map(|at| at.to_string());
        assert_eq!(said("20261128151800.25Z"), fraction);
        for bad in [
            "",
            "Z",
            "20261128151800",
            "2026112815Z",
            "20261328151800Z",
            "20261128151800.Z",
            "20261128151800.50Z",
            "20261128151800.1234567891Z",
            "2026112815180\u{e1}Z",
        ] {
            assert_eq!(said(bad), None, "{bad}");
        }
    }
}
