//! Columns of the table that no file of a segment has as they are: `attrs` with the values of all fields that the field
//! table gives no column, also of those that have one in this segment, and `event.hash`. In: which are asked for, and the
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
    /// Columns that come out as they are.
    plain: Vec<String>,
}

impl Made {
    /// Of a file with these columns of frequent fields, of which `spilled` have values in `attrs`, too.
    pub fn of(names: &[&str], wanted: &Wanted, frequent: &[String], spilled: &[String], has_hash: bool) -> Made {
        let mut made = Made { has_hash: !has_hash && names.contains(&HASH), ..Made::default() };
        if names.contains(&ATTRS) && !frequent.is_empty() {
            let is_wanted = |name: &&String| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
            made.parts = frequent.iter().filter(is_wanted).cloned().collect();
            // A field with a column whose values all have their place there is not in the rest.
            let is_in_rest = |name: &String| !made.parts.contains(name) || spilled.contains(name);
            made.has_rest = wanted.as_ref().is_none_or(|wanted| wanted.iter().any(is_in_rest));
        }
        let is_plain = |name: &&&str| !(made.makes_attrs() && **name == ATTRS || made.has_hash && **name == HASH);
        made.plain = names.iter().filter(is_plain).map(|name| (*name).to_owned()).collect();
        made
    }

    fn makes_attrs(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The column of the file is read.
    pub fn reads(&self, name: &str) -> bool {
        self.plain.iter().chain(&self.parts).any(|one| one == name)
            || self.has_rest && name == ATTRS
            || self.has_hash && name == ORIGINAL
    }

    /// How many more bytes than the columns it is made of a row has.
    pub fn row_bytes(&self) -> usize {
        // The name, in quotes, and what a text takes more than its number in a dictionary.
        self.parts.iter().map(|name| name.len() + 16).sum::<usize>() + if self.has_hash { 32 } else { 0 }
    }

    /// The table that was asked for.
    ///
    /// # Errors
    /// A column is not of a type that is written; Arrow's, which would be a mistake of ours.
    pub fn table(&self, read: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if !self.makes_attrs() && !self.has_hash {
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
        if self.has_hash {
            columns.push(Arc::new(Column::new(HASH, DataType::FixedSizeBinary(32), false)));
            arrays.push(hashes(&read)?);
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
fn hashes(read: &RecordBatch) -> Result<ArrayRef, ArrowError> {
    let original = read.column_by_name(ORIGINAL).and_then(|array| array.as_binary_view_opt());
    let original: &BinaryViewArray =
        original.ok_or_else(|| ArrowError::SchemaError(format!("no column {ORIGINAL} of bytes")))?;
    let mut out = FixedSizeBinaryBuilder::with_capacity(original.len(), 32);
    for row in 0..original.len() {
        out.append_value(Sha256::digest(original.value(row)))?;
    }
    Ok(Arc::new(out.finish()))
}
