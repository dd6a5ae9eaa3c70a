//! Pages of Parquet taken apart for single values, in the encodings that segments are written in. In: the bytes of a page,
//! which values of it are wanted (ascending). Out: those values, nothing of the others. Promise: nothing is allocated by a
//! size that stands in the bytes; what is not as we write it gives `None`, never a panic, and whoever asked takes the slow
//! way, which says what is wrong. Source: Apache Parquet format 2.11, parquet.thrift and Encodings.md; Thrift compact protocol.

use std::ops::Range;

/// Encodings, by their number in parquet.thrift.
pub const PLAIN: i64 = 0;
pub const PLAIN_DICTIONARY: i64 = 2;
const RLE: i64 = 3;
pub const DELTA_BINARY_PACKED: i64 = 5;
pub const RLE_DICTIONARY: i64 = 8;

const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;

/// Structs within structs of a header that are skipped.
const DEPTH_MAX: usize = 8;
/// The largest block of deltas that is read; ours have some hundred.
const DELTA_BLOCK_MAX: u64 = 1 << 16;

/// What the header of a page says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Its own length.
    pub bytes: usize,
    /// It is that of a dictionary, not of values.
    pub is_dictionary: bool,
    /// How long the rest of the page is.
    pub packed_bytes: usize,
    /// How long that is when it is decompressed.
    pub plain_bytes: usize,
    pub encoding: i64,
}

/// The header at the beginning of these bytes.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let mut thrift = Thrift { bytes, at: 0 };
    let (mut kind, mut plain, mut packed, mut of_data, mut of_dictionary) = (None, None, None, None, None);
    let mut id = 0;
    while let Some(of) = thrift.field(&mut id)? {
        match (id, of) {
            (1, Thrift::I32) => kind = Some(thrift.number()?),
            (2, Thrift::I32) => plain = Some(thrift.number()?),
            (3, Thrift::I32) => packed = Some(thrift.number()?),
            (5, Thrift::STRUCT) => of_data = Some(thrift.encodings()?),
            (7, Thrift::STRUCT) => of_dictionary = Some(thrift.encodings()?),
            _ => thrift.skip(of, 0)?,
        }
    }
    let is_dictionary = match kind? {
        DATA_PAGE => false,
        DICTIONARY_PAGE => true,
        _ => return None,
    };
    let (encoding, levels) = if is_dictionary { of_dictionary? } else { of_data? };
    (is_dictionary || levels? == RLE).then_some(())?;
    Some(Header {
        bytes: thrift.at,
        is_dictionary,
        packed_bytes: usize::try_from(packed?).ok()?,
        plain_bytes: usize::try_from(plain?).ok()?,
        encoding: encoding?,
    })
}

/// Bytes in Thrift's compact protocol.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    const I32: u8 = 5;
    const STRUCT: u8 = 12;

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn pass(&mut self, count: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        self.at = (end <= self.bytes.len()).then_some(end)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let (value, length) = varint(self.bytes.get(self.at..)?)?;
        self.at += length;
        Some(value)
    }

    fn number(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// The type of the next field, whose number is put into `id`; `Some(None)` at the end of the struct.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *id = match byte >> 4 {
            0 => self.number()?,
            step => id.checked_add(step.into())?,
        };
        Some(Some(byte & 15))
    }

    /// The encoding of the values and, where it is said, that of the levels, of the struct of a page that begins here.
    fn encodings(&mut self) -> Option<(Option<i64>, Option<i64>)> {
        let (mut of_values, mut of_levels, mut id) = (None, None, 0);
        while let Some(of) = self.field(&mut id)? {
            match (id, of) {
                (2, Thrift::I32) => of_values = Some(self.number()?),
                (3, Thrift::I32) => of_levels = Some(self.number()?),
                _ => self.skip(of, 0)?,
            }
        }
        Some((of_values, of_levels))
    }

    fn skip(&mut self, of: u8, depth: usize) -> Option<()> {
        match of {
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            Thrift::STRUCT if depth < DEPTH_MAX => {
                let mut id = 0;
                while let Some(of) = self.field(&mut id)? {
                    self.skip(of, depth + 1)?;
                }
                Some(())
            }
            // Lists and maps are in no header.
            _ => None,
        }
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 127) << (7 * at);
        if byte & 128 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// A stretch of numbers of so many bits each.
enum Run<'a> {
    Same { count: usize, value: u32 },
    Packed { count: usize, bytes: &'a [u8] },
}

/// Runs of the hybrid of run lengths and packed numbers.
struct Runs<'a> {
    rest: &'a [u8],
    width: usize,
}

impl<'a> Runs<'a> {
    fn next(&mut self) -> Option<Run<'a>> {
        let (head, length) = varint(self.rest)?;
        let rest = &self.rest[length..];
        let count = usize::try_from(head >> 1).ok()?;
        if head & 1 == 1 {
            let (bytes, rest) = rest.split_at_checked(count.checked_mul(self.width)?)?;
            self.rest = rest;
            return Some(Run::Packed { count: count.checked_mul(8)?, bytes });
        }
        let (bytes, rest) = rest.split_at_checked(self.width.div_ceil(8))?;
        self.rest = rest;
        let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        Some(Run::Same { count, value })
    }
}

/// The number of `width` (at most 57) bits at this place of packed numbers; what is behind the end is 0.
fn unpack(bytes: &[u8], at: usize, width: usize) -> u64 {
    let bit = at * width;
    let rest = bytes.get(bit / 8..).unwrap_or_default();
    let word = match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    word >> (bit % 8) & ((1 << width) - 1)
}

/// Where the levels stand in a page of a column whose values may be null, which begins so; the values are behind them.
pub fn levels_range(body: &[u8]) -> Option<Range<usize>> {
    let length = usize::try_from(u32::from_le_bytes(*body.first_chunk::<4>()?)).ok()?;
    Some(4..length.checked_add(4)?)
}

/// Which of these rows of a page have a value, as their place in `rows`, and the number of that value among those of the page.
pub fn present(levels: &[u8], rows: &[usize]) -> Option<Vec<(usize, usize)>> {
    let mut runs = Runs { rest: levels, width: 1 };
    let mut found = Vec::new();
    let (mut first, mut values, mut place) = (0usize, 0usize, 0);
    while place < rows.len() {
        match runs.next()? {
            Run::Same { count, value } => {
                let end = first.checked_add(count)?;
                while let Some(row) = rows.get(place).filter(|row| **row < end) {
                    if value == 1 {
                        found.push((place, values + (row - first)));
                    }
                    place += 1;
                }
                if value == 1 {
                    values = values.checked_add(count)?;
                }
                first = end;
            }
            Run::Packed { count, bytes } => {
                let end = first.checked_add(count)?;
                let mut counted = 0;
                while let Some(row) = rows.get(place).filter(|row| **row < end) {
                    let (byte, bit) = ((row - first) / 8, (row - first) % 8);
                    values += ones(&bytes[counted..byte]);
                    counted = byte;
                    if bytes[byte] >> bit & 1 == 1 {
                        found.push((place, values + (bytes[byte] & ((1 << bit) - 1)).count_ones() as usize));
                    }
                    place += 1;
                }
                values += ones(&bytes[counted..]);
                first = end;
            }
        }
    }
    Some(found)
}

fn ones(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let of_words: u32 = words.iter().map(|word| u64::from_le_bytes(*word).count_ones()).sum();
    (of_words + rest.iter().map(|byte| byte.count_ones()).sum::<u32>()) as usize
}

/// Gives the numbers in the dictionary of these values (ascending) of a page that is written so.
pub fn indexes(
    values: &[u8],
    wanted: impl Iterator<Item = usize>,
    mut give: impl FnMut(u32) -> Option<()>,
) -> Option<()> {
    let (width, rest) = values.split_first()?;
    let width = usize::from(*width);
    (width <= 32).then_some(())?;
    let mut runs = Runs { rest, width };
    let (mut first, mut run) = (0usize, Run::Same { count: 0, value: 0 });
    for at in wanted {
        loop {
            let count = match run {
                Run::Same { count, .. } | Run::Packed { count, .. } => count,
            };
            if at - first < count {
                break;
            }
            first = first.checked_add(count)?;
            run = runs.next()?;
        }
        give(match run {
            Run::Same { value, .. } => value,
            Run::Packed { bytes, .. } => u32::try_from(unpack(bytes, at - first, width)).ok()?,
        })?;
    }
    Some(())
}

/// Gives these (ascending; one may be there several times) of texts or bytes that stand plain one behind the other.
pub fn plain_bytes(
    values: &[u8],
    wanted: impl Iterator<Item = usize>,
    mut give: impl FnMut(&[u8]) -> Option<()>,
) -> Option<()> {
    let (mut rest, mut next) = (values, 0);
    let mut last: &[u8] = &[];
    for at in wanted {
        while next <= at {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            (last, rest) = behind.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            next += 1;
        }
        give(last)?;
    }
    Some(())
}

/// How many bytes are needed until this one of texts that stand plain is whole; at least so many, where `values` is cut off before it.
pub fn plain_bytes_end(values: &[u8], at: usize) -> usize {
    let mut end = 0usize;
    for _ in 0..=at {
        let Some(length) = values.get(end..).and_then(|rest| rest.first_chunk::<4>()) else {
            return end.saturating_add(4);
        };
        end = end.saturating_add(4).saturating_add(u32::from_le_bytes(*length) as usize);
    }
    end
}

/// One of numbers of eight bytes that stand plain.
pub fn plain_number(values: &[u8], at: usize) -> Option<i64> {
    let begin = at.checked_mul(8)?;
    values.get(begin..)?.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes))
}

/// One of booleans that stand plain.
pub fn plain_flag(values: &[u8], at: usize) -> Option<bool> {
    values.get(at / 8).map(|byte| byte >> (at % 8) & 1 == 1)
}

/// Gives these (ascending) of numbers that stand as differences.
pub fn deltas(
    values: &[u8],
    wanted: impl Iterator<Item = usize>,
    mut give: impl FnMut(i64) -> Option<()>,
) -> Option<()> {
    let mut thrift = Thrift { bytes: values, at: 0 };
    let (block, parts, count) = (thrift.varint()?, thrift.varint()?, thrift.varint()?);
    let mut value = thrift.number()?;
    let is_usual = block <= DELTA_BLOCK_MAX && parts != 0 && block.is_multiple_of(parts.checked_mul(32)?) && block != 0;
    is_usual.then_some(())?;
    let (parts, part_values) = (usize::try_from(parts).ok()?, usize::try_from(block / parts).ok()?);
    let mut wanted = wanted.peekable();
    // `value` is the one of this number.
    let mut number = 0;
    loop {
        while wanted.next_if_eq(&number).is_some() {
            give(value)?;
        }
        if wanted.peek().is_none() {
            return Some(());
        }
        let least = thrift.number()?;
        let widths = thrift.at;
        thrift.pass(parts as u64)?;
        for part in 0..parts {
            let width = usize::from(values[widths + part]);
            let left = usize::try_from(count).ok()?.saturating_sub(number + 1).min(part_values);
            if left == 0 {
                break;
            }
            (width <= 64).then_some(())?;
            let begin = thrift.at;
            // The last part may be cut short.
            let length = (part_values / 8 * width).min(values.len() - begin);
            ((left * width).div_ceil(8) <= length).then_some(())?;
            thrift.pass(length as u64)?;
            let bytes = &values[begin..begin + length];
            for at in 0..left {
                let packed = match width {
                    0..=57 => unpack(bytes, at, width),
                    _ => unpack_wide(bytes, at, width),
                };
                value = value.wrapping_add(least).wrapping_add(packed.cast_signed());
                number += 1;
                while wanted.next_if_eq(&number).is_some() {
                    give(value)?;
                }
            }
            if wanted.peek().is_none() {
                return Some(());
            }
        }
        (number + 1 < usize::try_from(count).ok()?).then_some(())?;
    }
}

/// [`unpack`] for any number of bits.
fn unpack_wide(bytes: &[u8], at: usize, width: usize) -> u64 {
    let bit = at * width;
    let rest = bytes.get(bit / 8..).unwrap_or_default();
    let word = rest.iter().take(9).rev().fold(0u128, |word, byte| word << 8 | u128::from(*byte));
    let kept = word >> (bit % 8) & ((1u128 << width) - 1);
    u64::try_from(kept).unwrap_or(0)
}
