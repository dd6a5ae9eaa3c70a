//! Columns of an Arrow table as their values come. In: values of one field, by their rows. Out: a column of it, with null where
//! a row has none of its type.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use nhatle_event::value::address_text;
use nhatle_event::{Kind, Value};

use super::columns::stamp_type;

/// Makes a column of one type.
pub(super) enum Builder {
    Text(StringBuilder),
    Long(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
    Date(TimestampNanosecondBuilder),
}

impl Builder {
    pub fn new(kind: Kind) -> Builder {
        Builder::with_room(kind, 0, 0)
    }

    /// With room for so many values, and for texts of so many bytes.
    fn with_room(kind: Kind, count: usize, bytes: usize) -> Builder {
        match kind {
            Kind::Keyword | Kind::Text | Kind::Ip => Builder::Text(StringBuilder::with_capacity(count, bytes)),
            Kind::Long => Builder::Long(Int64Builder::with_capacity(count)),
            Kind::Double => Builder::Double(Float64Builder::with_capacity(count)),
            Kind::Boolean => Builder::Boolean(BooleanBuilder::with_capacity(count)),
            Kind::Date => Builder::Date(TimestampNanosecondBuilder::with_capacity(count).with_data_type(stamp_type())),
        }
    }

    /// Puts a value that fits, else null.
    pub fn push(&mut self, value: Option<&Value>) {
        match (self, value) {
            (Builder::Text(builder), Some(Value::Text(text))) => builder.append_value(text),
            (Builder::Text(builder), Some(Value::Ip(address))) => builder.append_value(address_text(*address)),
            (Builder::Text(builder), _) => builder.append_null(),
            (Builder::Long(builder), Some(Value::Long(number))) => builder.append_value(*number),
            (Builder::Long(builder), _) => builder.append_null(),
            (Builder::Double(builder), Some(Value::Double(number))) => builder.append_value(*number),
            (Builder::Double(builder), _) => builder.append_null(),
            (Builder::Boolean(builder), Some(Value::Boolean(flag))) => builder.append_value(*flag),
            (Builder::Boolean(builder), _) => builder.append_null(),
            (Builder::Date(builder), Some(Value::Date(stamp))) => builder.append_value(stamp.0),
            (Builder::Date(builder), _) => builder.append_null(),
        }
    }

    /// Puts so many nulls.
    fn push_nulls(&mut self, count: usize) {
        match self {
            Builder::Text(builder) => builder.append_nulls(count),
            Builder::Long(builder) => builder.append_nulls(count),
            Builder::Double(builder) => builder.append_nulls(count),
            Builder::Boolean(builder) => builder.append_nulls(count),
            Builder::Date(builder) => builder.append_nulls(count),
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Long(builder) => Arc::new(builder.finish()),
            Builder::Double(builder) => Arc::new(builder.finish()),
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
        }
    }
}

/// A column of which most rows may have no value: only those that have one cost anything.
pub(super) struct Sparse {
    kind: Kind,
    builder: Builder,
    /// Rows up to here are in the builder.
    rows: usize,
    /// The rows and the bytes of texts of the last table that had a value: about as many are expected of the next.
    room: (usize, usize),
    /// A column without a value, kept for the next table of the same length.
    nulls: Option<ArrayRef>,
}

impl Sparse {
    /// One without rows, of values of this type.
    pub fn new(kind: Kind) -> Sparse {
        Sparse { kind, builder: Builder::new(kind), rows: 0, room: (0, 0), nulls: None }
    }

    pub fn put(&mut self, row: usize, value: &Value) {
        if self.rows == 0 {
            self.builder = Builder::with_room(self.kind, self.room.0, self.room.1);
        }
        if self.rows < row {
            self.builder.push_nulls(row - self.rows);
        }
        self.builder.push(Some(value));
        self.rows = row + 1;
    }

    pub fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.rows == 0 {
            return match &self.nulls {
                Some(nulls) if nulls.len() == rows => nulls.clone(),
                _ => {
                    self.builder.push_nulls(rows);
                    self.nulls.insert(self.builder.finish()).clone()
                }
            };
        }
        if self.rows < rows {
            self.builder.push_nulls(rows - self.rows);
        }
        self.rows = 0;
        let column = self.builder.finish();
        self.room = (rows, column.as_string_opt::<i32>().map_or(0, |texts| texts.value_data().len()));
        column
    }
}
