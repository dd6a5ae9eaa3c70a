//! Columns of the table that no file of a segment has as they are: `attrs` with the values of all fields that the field
//! table gives no column, also of those that have one in this segment, `event.original` where it is an outline, and `event.hash`. In: which are asked for, and the
//! names of the fields that are wanted of `attrs`. Out: the columns of the file to read for them, and tables with them.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BinaryViewArray, RecordBatch, RecordBatchOptions, StringViewArray};
use arrow_schema::{ArrowError, DataType, Field as Column, Schema};
use nhatle_event::{Field, Kind, Timestamp, Value};
use sha2::{Digest, Sha256};

use super::attrs;
use super::columns::{ATTRS, HASH, ORIGINAL};
use super::outline;
use super::reader::Footer;

/// The fields that are wanted of `attrs`; `None` is all.
pub(crate) type Wanted = Option<Arc<[String]>>;

/// What is made of the columns of a file.
#[derive(Default)]
pub(super) struct Made {
    /// The columns whose values go into `attrs`.
    parts: Vec<String>,
    /// The column of all other values goes into it, too.
    has_rest: bool,
    has_hash: bool,
    /// The columns that the bytes as received are made of; none where they are there as they are, or not asked for.
    of_original: Vec<String>,
    /// They are asked for.
    wants_original: bool,
    /// About how many bytes of a row they are.
    original_bytes: usize,
    /// Columns that come out as they are.
    plain: Vec<String>,
}

impl Made {
    /// Of a file.
    pub fn of(names: &[&str], wanted: &Wanted, footer: &Footer) -> Made {
        let (frequent, spilled) = (&footer.frequent, &footer.spilled);
        let has_hash = footer.metadata.schema().column_with_name(HASH).is_some();
        let mut made = Made { has_hash: !has_hash && names.contains(&HASH), ..Made::default() };
        if let Some(outlined) = &footer.outlines
            && (made.has_hash || names.contains(&ORIGINAL))
        {
            made.wants_original = names.contains(&ORIGINAL);
            made.of_original = outlined.columns().map(str::to_owned).collect();
            let rows = u64::try_from(footer.metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
            made.original_bytes = usize::try_from(outlined.bytes / rows.max(1)).unwrap_or(usize::MAX);
        }
        if names.contains(&ATTRS) && !frequent.is_empty() {
            let is_wanted = |name: &&String| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
            made.parts = frequent.iter().filter(is_wanted).cloned().collect();
            // A field with a column whose values all have their place there is not in the rest.
            let is_in_rest = |name: &String| !made.parts.contains(name) || spilled.contains(name);
            made.has_rest = wanted.as_ref().is_none_or(|wanted| wanted.iter().any(is_in_rest));
        }
        let is_made = |name: &str| match name {
            ATTRS => made.makes_attrs(),
            HASH => made.has_hash,
            ORIGINAL => !made.of_original.is_empty(),
            _ => false,
        };
        let is_plain = |name: &&&str| !is_made(name);
        made.plain = names.iter().filter(is_plain).map(|name| (*name).to_owned()).collect();
        made
    }

    fn makes_attrs(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The column of the file is read.
    pub fn reads(&self, name: &str) -> bool {
        self.plain.iter().chain(&self.parts).chain(&self.of_original).any(|one| one == name)
            || self.has_rest && name == ATTRS
            || (self.has_hash || !self.of_original.is_empty()) && name == ORIGINAL
    }

    /// How many more bytes than the columns it is made of a row has.
    pub fn row_bytes(&self) -> usize {
        // The name, in quotes, and what a text takes more than its number in a dictionary.
        let parts: usize = self.parts.iter().map(|name| name.len() + 16).sum();
        (parts + if self.has_hash { 32 } else { 0 }).saturating_add(self.original_bytes)
    }

    /// The table that was asked for.
    ///
    /// # Errors
    /// A column is not of a type that is written; Arrow's, which would be a mistake of ours.
    pub fn table(&self, read: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if !self.makes_attrs() && !self.has_hash && self.of_original.is_empty() {
            return Ok(read);
        }
        let (mut columns, mut arrays): (Vec<Arc<Column>>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
        for (column, array) in read.schema_ref().fields().iter().zip(read.columns()) {
            if self.plain.contains(column.name()) {
                columns.push(Arc::clone(column));
                arrays.push(Arc::clone(array));
            }
        }
        if self.makes_attrs() {
            columns.push(Arc::new(Column::new(ATTRS, DataType::Utf8View, true)));
            arrays.push(Arc::new(self.attrs(&read)?));
        }
        let original = match self.of_original.is_empty() {
            true => None,
            false => Some(outline::originals(&read).map_err(ArrowError::ParquetError)?),
        };
        if let Some(original) = original.as_ref().filter(|_| self.wants_original) {
            columns.push(Arc::new(Column::new(ORIGINAL, DataType::BinaryView, false)));
            arrays.push(Arc::new(BinaryViewArray::from_iter_values(original)));
        }
        if self.has_hash {
            columns.push(Arc::new(Column::new(HASH, DataType::FixedSizeBinary(32), false)));
            arrays.push(match original {
                Some(original) => hashes(original.iter().map(Vec::as_slice))?,
                None => {
                    let whole = read.column_by_name(ORIGINAL).and_then(|array| array.as_binary_view_opt());
                    let none = || ArrowError::SchemaError(format!("no column {ORIGINAL} of bytes"));
                    hashes(whole.ok_or_else(none)?.iter().map(Option::unwrap_or_default))?
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(columns)), arrays, &options)
    }

    fn attrs(&self, read: &RecordBatch) -> Result<StringViewArray, ArrowError> {
        let parts = self.parts.iter().filter_map(|name| Some(Part::of(name, read.column_by_name(name)?)));
        let parts: Vec<Part<'_>> = parts.collect::<Result<_, _>>()?;
        let rest = read.column_by_name(ATTRS).filter(|_| self.has_rest).and_then(|array| array.as_string_view_opt());
        let mut out = StringViewBuilder::with_capacity(read.num_rows());
        let mut text = String::new();
        for row in 0..read.num_rows() {
            text.clear();
            parts.iter().for_each(|part| part.push(&mut text, row));
            match rest.filter(|rest| rest.is_valid(row)).map(|rest| rest.value(row)) {
                Some(rest) if text.is_empty() => text.push_str(rest),
                Some(rest) => {
                    text.push(',');
                    text.push_str(rest.strip_prefix('{').unwrap_or(rest));
                }
                None => attrs::end(&mut text),
            }
            out.append_option((!text.is_empty()).then_some(&text));
        }
        Ok(out.finish())
    }
}

/// The values of one field.
struct Part<'a> {
    head: String,
    kind: Kind,
    array: &'a ArrayRef,
    values: Values<'a>,
}

enum Values<'a> {
    /// By numbers of a dictionary.
    Numbers(&'a [i32], &'a arrow_array::StringArray),
    Texts(&'a StringViewArray),
    Longs(&'a [i64]),
    Doubles(&'a [f64]),
    Booleans(&'a arrow_array::BooleanArray),
    Dates(&'a [i64]),
}

impl Part<'_> {
    fn of<'a>(name: &str, array: &'a ArrayRef) -> Result<Part<'a>, ArrowError> {
        let wrong = || ArrowError::SchemaError(format!("a column {name} of type {}", array.data_type()));
        let values = match array.data_type() {
            DataType::Dictionary(..) => {
                let numbers = array.as_dictionary_opt::<Int32Type>().ok_or_else(wrong)?;
                let texts = numbers.values().as_string_opt::<i32>().ok_or_else(wrong)?;
                Values::Numbers(numbers.keys().values(), texts)
            }
            DataType::Utf8View => Values::Texts(array.as_string_view()),
            DataType::Int64 => Values::Longs(array.as_primitive::<Int64Type>().values()),
            DataType::Float64 => Values::Doubles(array.as_primitive::<Float64Type>().values()),
            DataType::Boolean => Values::Booleans(array.as_boolean()),
            DataType::Timestamp(..) => {
                let stamps = array.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(wrong)?;
                Values::Dates(stamps.values())
            }
            _ => return Err(wrong()),
        };
        let kind = Field::lookup(name).map_or(Kind::Keyword, Field::kind);
        Ok(Part { head: attrs::head_of(name), kind, array, values })
    }

    fn push(&self, out: &mut String, row: usize) {
        if self.array.is_null(row) {
            return;
        }
        let mut put = |value: &Value| attrs::push(out, &self.head, self.kind, value);
        match &self.values {
            // The text of an address is what `attrs` has of it, too.
            Values::Numbers(numbers, texts) => {
                let at = usize::try_from(numbers[row]).unwrap_or(usize::MAX);
                attrs::push_as_text(out, &self.head, texts.value(at));
            }
            Values::Texts(texts) => attrs::push_as_text(out, &self.head, texts.value(row)),
            Values::Longs(numbers) => put(&Value::Long(numbers[row])),
            Values::Doubles(numbers) => put(&Value::Double(numbers[row])),
            Values::Booleans(flags) => put(&Value::Boolean(flags.value(row))),
            Values::Dates(stamps) => put(&Value::Date(Timestamp(stamps[row]))),
        }
    }
}

/// The SHA-256 of the bytes as received.
fn hashes<'a>(original: impl Iterator<Item = &'a [u8]>) -> Result<ArrayRef, ArrowError> {
    let mut out = FixedSizeBinaryBuilder::with_capacity(original.size_hint().0, 32);
    for bytes in original {
        out.append_value(Sha256::digest(bytes))?;
    }
    Ok(Arc::new(out.finish()))
}
