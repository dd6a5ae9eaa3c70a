//! The bytes as received, as an outline of what else the row has. Most of a line stands in the columns of its row, too: its
//! message, and the names, addresses and numbers that were read out of it. In place of the bytes a row has an *outline*: the line with
//! the names of fields where their values stood. Thousands of rows have the same. Pieces that no field has are its *rest*.
//!
//! In: outline, rest, and the values of the row. Out: the bytes, exactly. Failure: the reason. Bounds: [`BYTES_MAX`].
//! Which outline a row gets: [`super::outlines`]. Format: `docs/format/segment.md`; why: ADR 43.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, Int64Array, RecordBatch, StringArray, StringViewArray,
};
use arrow_schema::DataType;
use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use super::columns::{ORIGINAL, OUTLINE, REST};
use super::writer::OUTLINES_KEY;

/// Begins a piece that is no part of the text of an outline, up to [`END`].
pub const BEGIN: char = '\u{1}';
/// See [`BEGIN`].
pub const END: char = '\u{2}';
/// Before the name of a field whose text stands there as it does within a string of JSON (RFC 8259, section 7).
pub const JSON: char = '"';
/// What is made of an outline is never longer: a damaged one could name a long value any number of times.
pub const BYTES_MAX: usize = 64 << 20;

/// A part of an outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it is.
    Plain(&'a str),
    /// The value of a field.
    Value {
        /// Its name.
        name: &'a str,
        /// As it stands within a string of JSON.
        is_json: bool,
    },
    /// The next piece of the rest.
    Rest,
}

/// The pieces of an outline in their order; an error ends them.
pub fn pieces(mut outline: &str) -> impl Iterator<Item = Result<Piece<'_>, String>> {
    std::iter::from_fn(move || {
        let begin = outline.find(BEGIN).unwrap_or(outline.len());
        if 0 < begin {
            let (plain, behind) = outline.split_at(begin);
            outline = behind;
            return Some(Ok(Piece::Plain(plain)));
        }
        let within = outline.strip_prefix(BEGIN)?;
        let Some((name, behind)) = within.split_once(END) else {
            outline = "";
            return Some(Err("an outline that ends within a piece".to_owned()));
        };
        outline = behind;
        Some(Ok(match name.strip_prefix(JSON) {
            Some(name) => Piece::Value { name, is_json: true },
            None if name.is_empty() => Piece::Rest,
            None => Piece::Value { name, is_json: false },
        }))
    })
}

/// Puts a piece behind the rest so far: its length, seven bits a byte, the lowest first, all but the last with the high bit; then it.
pub fn push_rest(rest: &mut Vec<u8>, piece: &[u8]) {
    let mut length = piece.len();
    while 127 < length {
        rest.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    rest.push((length & 127) as u8);
    rest.extend_from_slice(piece);
}

/// Takes the next piece off the rest.
fn take_rest<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        length |= usize::from(byte & 127).checked_shl(shift)?;
        if byte & 128 == 0 {
            break;
        }
        shift += 7;
        (shift < 28).then_some(())?;
    }
    let (piece, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(piece)
}

/// Puts a text behind `out` as it stands within a string of JSON, with no more escapes than it needs.
pub fn push_json(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match escaped(byte) {
            None => out.push(byte),
            Some(short) if short != b'u' => out.extend_from_slice(&[b'\\', short]),
            // Writing to memory does not fail.
            Some(_) => drop(write!(out, "\\u{byte:04x}")),
        }
    }
}

/// What stands behind the backslash for this byte; `None` where it needs none.
pub fn escaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        0..=31 => b'u',
        _ => return None,
    })
}

/// The bytes of an outline. `value` puts the text of the field of a name behind what it is given; `None` where the row has none.
///
/// # Errors
/// The outline is none, or is not of this rest or these values; which.
pub fn compose<'a>(
    pieces: impl Iterator<Item = Result<Piece<'a>, String>>,
    mut rest: &[u8],
    mut value: impl FnMut(&'a str, &mut Vec<u8>) -> Option<()>,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut text = Vec::new();
    for piece in pieces {
        match piece? {
            Piece::Plain(plain) => out.extend_from_slice(plain.as_bytes()),
            Piece::Rest => out.extend_from_slice(take_rest(&mut rest).ok_or("an outline with too short a rest")?),
            Piece::Value { name, is_json } => {
                let missing = || format!("an outline with {name}, which the row has not");
                if is_json {
                    text.clear();
                    value(name, &mut text).ok_or_else(missing)?;
                    push_json(&mut out, str::from_utf8(&text).map_err(|_bad| missing())?);
                } else {
                    value(name, &mut out).ok_or_else(missing)?;
                }
            }
        }
        if BYTES_MAX < out.len() {
            return Err(format!("an outline of more than {BYTES_MAX} bytes"));
        }
    }
    if rest.is_empty() { Ok(out) } else { Err("an outline with too long a rest".to_owned()) }
}

/// The bytes as received of each row of a table that has the columns of the outlines, and those that they name.
///
/// # Errors
/// It has not, or an outline is none; the reason.
pub fn originals(table: &RecordBatch) -> Result<Vec<Vec<u8>>, String> {
    let column = |name: &str| table.column_by_name(name).ok_or_else(|| format!("no column {name}"));
    let whole = Bytes::of(column(ORIGINAL)?)?;
    let outlines = Texts::of(column(OUTLINE)?)?;
    let rests = Bytes::of(column(REST)?)?;
    // Rows that follow each other have some hundred outlines.
    let mut parsed: HashMap<&str, Vec<Piece<'_>>> = HashMap::default();
    let mut named: HashMap<&str, Texts<'_>> = HashMap::default();
    let mut all = Vec::with_capacity(table.num_rows());
    for row in 0..table.num_rows() {
        let Some(outline) = outlines.text(row) else {
            all.push(whole.bytes(row).ok_or("a row with neither its bytes nor an outline of them")?.to_vec());
            continue;
        };
        if !parsed.contains_key(outline) {
            let found: Vec<Piece<'_>> = pieces(outline).collect::<Result<_, _>>()?;
            for piece in &found {
                if let Piece::Value { name, .. } = piece {
                    named.insert(name, Texts::of(column(name)?)?);
                }
            }
            parsed.insert(outline, found);
        }
        let pieces = parsed.get(outline).into_iter().flatten().map(|piece| Ok(*piece));
        let value = |name: &str, out: &mut Vec<u8>| named.get(name)?.push(row, out);
        all.push(compose(pieces, rests.bytes(row).unwrap_or_default(), value)?);
    }
    Ok(all)
}

/// The bytes of a column.
enum Bytes<'a> {
    Plain(&'a BinaryArray),
    View(&'a BinaryViewArray),
}

impl<'a> Bytes<'a> {
    fn of(array: &'a ArrayRef) -> Result<Bytes<'a>, String> {
        let plain = array.as_binary_opt::<i32>().map(Bytes::Plain);
        let found = plain.or_else(|| array.as_binary_view_opt().map(Bytes::View));
        found.ok_or_else(|| format!("bytes of type {}", array.data_type()))
    }

    fn bytes(&self, row: usize) -> Option<&'a [u8]> {
        match self {
            Bytes::Plain(array) => array.is_valid(row).then(|| array.value(row)),
            Bytes::View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// The values of a column that may stand in a line.
enum Texts<'a> {
    Plain(&'a StringArray),
    View(&'a StringViewArray),
    /// By numbers of a dictionary.
    Numbers(&'a ArrayRef, &'a [i32], &'a StringArray),
    Longs(&'a Int64Array),
}

impl<'a> Texts<'a> {
    fn of(array: &'a ArrayRef) -> Result<Texts<'a>, String> {
        let found = match array.data_type() {
            DataType::Utf8 => array.as_string_opt::<i32>().map(Texts::Plain),
            DataType::Utf8View => array.as_string_view_opt().map(Texts::View),
            DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(Texts::Longs),
            DataType::Dictionary(..) => array.as_dictionary_opt::<Int32Type>().and_then(|numbers| {
                let texts = numbers.values().as_string_opt::<i32>()?;
                Some(Texts::Numbers(array, numbers.keys().values(), texts))
            }),
            _ => None,
        };
        found.ok_or_else(|| format!("an outline with values of type {}", array.data_type()))
    }

    fn text(&self, row: usize) -> Option<&'a str> {
        match self {
            Texts::Plain(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::View(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Numbers(array, numbers, texts) => {
                let number = usize::try_from(*numbers.get(row)?).ok()?;
                (array.is_valid(row) && number < texts.len()).then(|| texts.value(number))
            }
            Texts::Longs(_) => None,
        }
    }

    fn push(&self, row: usize, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Texts::Longs(array) => {
                let number = array.is_valid(row).then(|| array.value(row))?;
                write!(out, "{number}").ok()
            }
            _ => {
                out.extend_from_slice(self.text(row)?.as_bytes());
                Some(())
            }
        }
    }
}

/// What outlines of the bytes as received name, in the metadata of the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outlined {
    /// The fields; each has a column.
    pub fields: Vec<String>,
    /// How many bytes the lines with an outline have together.
    pub bytes: u64,
}

impl Outlined {
    /// Of the text in the metadata.
    ///
    /// # Errors
    /// There is none, or it is not readable; the reason.
    pub fn of(text: Option<&str>) -> Result<Outlined, String> {
        let text = text.ok_or_else(|| format!("it has no {OUTLINES_KEY}"))?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The columns that the bytes as received are made of, besides their own.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        [OUTLINE, REST].into_iter().chain(self.fields.iter().map(String::as_str))
    }

    /// Of both.
    pub fn join(&mut self, other: Outlined) {
        let new: Vec<String> = other.fields.into_iter().filter(|name| !self.fields.contains(name)).collect();
        self.fields.extend(new);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}
