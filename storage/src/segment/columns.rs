//! Events as an Arrow table and back: one typed column for each row of the field table that has
//! `Storage::Column`, named as ECS names it, columns for what every stored event has, and `attrs` for all
//! the rest ([`super::attrs`]). A value goes to its column when it is single and of the column's type, else
//! to `attrs`: nothing is lost or changed but the order of the fields.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampNanosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field as Column, Schema, SchemaRef, TimeUnit};
use nhatle_event::field::{Storage, TABLE};
use nhatle_event::value::address_text;
use nhatle_event::{Event, Field, Kind, Seq, Stored, Text, Timestamp, Value};

use super::attrs;
use super::words::has_key;
use crate::proof::canonical::Hashed;

/// The column of [`Seq`].
pub const SEQ: &str = "nhatle.seq";
/// The column of the event's own time.
pub const TIMESTAMP: &str = "@timestamp";
/// The column of the time it was received.
pub const CREATED: &str = "event.created";
/// The column of the time it was committed.
pub const INGESTED: &str = "event.ingested";
/// The column of the bytes as received.
pub const ORIGINAL: &str = "event.original";
/// The column of their SHA-256.
pub const HASH: &str = "event.hash";
/// The column of all other values.
pub const ATTRS: &str = "attrs";

/// The fields with a column, in the order of the columns.
pub static FIELDS: LazyLock<Vec<(Field, Kind)>> = LazyLock::new(|| {
    let rows = (0u32..).zip(TABLE).filter(|(_, known)| known.storage == Storage::Column);
    rows.filter_map(|(row, known)| Some((Field::from_row(row)?, known.kind))).collect()
});

fn stamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The table written now.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut columns = vec![
        Column::new(SEQ, DataType::UInt64, false),
        Column::new(TIMESTAMP, stamp_type(), false),
        Column::new(CREATED, stamp_type(), false),
        Column::new(INGESTED, stamp_type(), false),
        Column::new(ORIGINAL, DataType::Binary, false),
        Column::new(HASH, DataType::FixedSizeBinary(32), false),
    ];
    for (field, kind) in &*FIELDS {
        let of = match kind {
            Kind::Keyword | Kind::Text | Kind::Ip => DataType::Utf8,
            Kind::Long => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Date => stamp_type(),
        };
        columns.push(Column::new(field.name(), of, true));
    }
    columns.push(Column::new(ATTRS, DataType::Utf8, true));
    Arc::new(Schema::new(columns))
});

enum Builder {
    Text(StringBuilder),
    Long(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
    Date(TimestampNanosecondBuilder),
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Keyword | Kind::Text | Kind::Ip => Builder::Text(StringBuilder::new()),
            Kind::Long => Builder::Long(Int64Builder::new()),
            Kind::Double => Builder::Double(Float64Builder::new()),
            Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
            Kind::Date => Builder::Date(TimestampNanosecondBuilder::new().with_data_type(stamp_type())),
        }
    }

    /// Puts a value that fits, else null.
    fn push(&mut self, value: Option<&Value>) {
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

    fn finish(&mut self) -> ArrayRef {
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
struct Sparse {
    builder: Builder,
    /// Rows up to here are in the builder.
    rows: usize,
    /// A column without a value, kept for the next table of the same length.
    nulls: Option<ArrayRef>,
}

impl Sparse {
    fn put(&mut self, row: usize, value: &Value) {
        if self.rows < row {
            self.builder.push_nulls(row - self.rows);
        }
        self.builder.push(Some(value));
        self.rows = row + 1;
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
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
        self.builder.finish()
    }
}

/// The value is of the column's type.
fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Keyword | Kind::Text => matches!(value, Value::Text(_)),
        Kind::Ip => matches!(value, Value::Ip(_)),
        Kind::Long => matches!(value, Value::Long(_)),
        Kind::Double => matches!(value, Value::Double(_)),
        Kind::Boolean => matches!(value, Value::Boolean(_)),
        Kind::Date => matches!(value, Value::Date(_)),
    }
}

/// The field has a column, or is a vendor's that has the name of one but for its case.
fn has_column_key(field: Field) -> bool {
    match field.known() {
        Some(known) => known.storage == Storage::Column,
        None => FIELDS.iter().any(|(column, _)| has_key(field.name(), column.name())),
    }
}

fn takes(field: Field, value: &Value) -> bool {
    field.known().is_some_and(|known| known.storage == Storage::Column && fits(known.kind, value))
}

/// Where the values of a field go, worked out when it is first seen.
struct Place {
    /// Its column, where it has one.
    column: Option<usize>,
    kind: Kind,
    /// What stands before its values in `attrs`.
    head: String,
    has_column_key: bool,
    is_spilled: bool,
}

impl Place {
    fn of(field: Field) -> Place {
        Place {
            column: FIELDS.iter().position(|(known, _)| *known == field),
            kind: field.kind(),
            head: attrs::head(field),
            has_column_key: has_column_key(field),
            is_spilled: false,
        }
    }
}

/// Makes tables of events, one after the other.
pub struct Tables {
    places: Vec<Option<Place>>,
    columns: Vec<Sparse>,
    spilled: Vec<Field>,
    rest: String,
}

impl Default for Tables {
    fn default() -> Tables {
        Tables::new()
    }
}

impl Tables {
    /// A maker that has seen no event.
    pub fn new() -> Tables {
        let sparse = |(_, kind): &(Field, Kind)| Sparse { builder: Builder::new(*kind), rows: 0, nulls: None };
        let columns = FIELDS.iter().map(sparse).collect();
        Tables { places: Vec::new(), columns, spilled: Vec::new(), rest: String::new() }
    }

    /// The fields of the name of a column that had a value in `attrs` so far.
    pub fn spilled(&self) -> &[Field] {
        &self.spilled
    }

    /// The table of these events.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn make(&mut self, events: &[Hashed<'_>]) -> Result<RecordBatch, ArrowError> {
        let count = events.len();
        let bytes = events.iter().map(|hashed| hashed.stored.event.original.len()).sum();
        let (mut original, mut hash) =
            (BinaryBuilder::with_capacity(count, bytes), FixedSizeBinaryBuilder::with_capacity(count, 32));
        let mut rest = StringBuilder::with_capacity(count, 0);
        for (row, hashed) in events.iter().enumerate() {
            original.append_value(&hashed.stored.event.original);
            hash.append_value(hashed.original)?;
            self.add(row, &hashed.stored.event);
            rest.append_option((!self.rest.is_empty()).then_some(&self.rest));
        }
        let stored = || events.iter().map(|hashed| hashed.stored);
        let stamps = |of: fn(&Stored) -> Timestamp| -> ArrayRef {
            let values = TimestampNanosecondArray::from_iter_values(stored().map(|stored| of(stored).0));
            Arc::new(values.with_data_type(stamp_type()))
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(stored().map(|stored| stored.seq.0))),
            stamps(|stored| stored.event.timestamp),
            stamps(|stored| stored.event.received),
            stamps(|stored| stored.committed),
            Arc::new(original.finish()),
            Arc::new(hash.finish()),
        ];
        columns.extend(self.columns.iter_mut().map(|column| column.finish(count)));
        columns.push(Arc::new(rest.finish()));
        RecordBatch::try_new(SCHEMA.clone(), columns)
    }

    /// Puts the values of an event into their columns and the others into `rest`.
    fn add(&mut self, row: usize, event: &Event) {
        let Tables { places, columns, spilled, rest } = self;
        rest.clear();
        for (field, value) in event.fields() {
            let at = field.index();
            if places.len() <= at {
                places.resize_with(at + 1, || None);
            }
            let place = places[at].get_or_insert_with(|| Place::of(*field));
            match place.column {
                Some(column) if fits(place.kind, value) => columns[column].put(row, value),
                _ => {
                    attrs::push(rest, &place.head, place.kind, value);
                    if place.has_column_key && !place.is_spilled {
                        place.is_spilled = true;
                        spilled.push(*field);
                    }
                }
            }
        }
        attrs::end(rest);
    }
}

/// Some columns of these events, as [`Tables`] makes them; a name that is no column's is left out.
///
/// # Errors
/// Arrow's, which would be a mistake of ours.
pub fn project(events: &[&Stored], names: &[&str]) -> Result<RecordBatch, ArrowError> {
    let stamps = |of: fn(&Stored) -> Timestamp| -> ArrayRef {
        let mut builder = TimestampNanosecondBuilder::new().with_data_type(stamp_type());
        events.iter().for_each(|stored| builder.append_value(of(stored).0));
        Arc::new(builder.finish())
    };
    let (mut columns, mut arrays): (Vec<Column>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for name in names {
        let Ok(column) = SCHEMA.field_with_name(name) else { continue };
        arrays.push(match *name {
            SEQ => Arc::new(events.iter().map(|stored| Some(stored.seq.0)).collect::<UInt64Array>()),
            TIMESTAMP => stamps(|stored| stored.event.timestamp),
            CREATED => stamps(|stored| stored.event.received),
            INGESTED => stamps(|stored| stored.committed),
            ORIGINAL => {
                let mut builder = BinaryBuilder::new();
                events.iter().for_each(|stored| builder.append_value(&stored.event.original));
                Arc::new(builder.finish())
            }
            HASH => {
                let mut builder = FixedSizeBinaryBuilder::new(32);
                for stored in events {
                    builder.append_value(stored.event.original_hash())?;
                }
                Arc::new(builder.finish())
            }
            ATTRS => {
                let mut builder = StringBuilder::new();
                for stored in events {
                    let fields = stored.event.fields().iter().map(|(field, value)| (*field, value));
                    builder.append_option(attrs::encode(fields.filter(|(field, value)| !takes(*field, value))));
                }
                Arc::new(builder.finish())
            }
            _ => {
                let Some((field, kind)) = FIELDS.iter().find(|(field, _)| field.name() == *name) else { continue };
                let mut builder = Builder::new(*kind);
                for stored in events {
                    builder.push(stored.event.get(*field).filter(|value| takes(*field, value)));
                }
                builder.finish()
            }
        });
        columns.push(column.clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(events.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(columns)), arrays, &options)
}

/// The events of a table. Columns that are not there leave their part of the event empty.
///
/// # Errors
/// A column is not of the type this version knows, or `attrs` is not readable; the reason.
pub fn from_batch(batch: &RecordBatch) -> Result<Vec<Stored>, String> {
    let mut events: Vec<Stored> = (0..batch.num_rows())
        .map(|_| Stored { seq: Seq(0), committed: Timestamp(0), event: Event::new(Timestamp(0), Vec::new()) })
        .collect();
    for (column, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        fill(&mut events, column.name(), array).map_err(|reason| format!("column {}: {reason}", column.name()))?;
    }
    Ok(events)
}

fn fill(events: &mut [Stored], name: &str, array: &ArrayRef) -> Result<(), String> {
    let wrong = || format!("of type {}", array.data_type());
    match name {
        SEQ => {
            let values = array.as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?;
            events.iter_mut().zip(values.values()).for_each(|(stored, seq)| stored.seq = Seq(*seq));
        }
        TIMESTAMP | CREATED | INGESTED => {
            let values = array.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(wrong)?;
            for (stored, nanos) in events.iter_mut().zip(values.values()) {
                match name {
                    TIMESTAMP => stored.event.timestamp = Timestamp(*nanos),
                    CREATED => stored.event.received = Timestamp(*nanos),
                    _ => stored.committed = Timestamp(*nanos),
                }
            }
        }
        ORIGINAL => {
            let values = array.as_binary_opt::<i32>().ok_or_else(wrong)?;
            for (row, stored) in events.iter_mut().enumerate() {
                stored.event.original = values.value(row).into();
            }
        }
        HASH => {}
        ATTRS => {
            let values = array.as_string_opt::<i32>().ok_or_else(wrong)?;
            for (row, stored) in events.iter_mut().enumerate().filter(|(row, _)| values.is_valid(*row)) {
                attrs::decode(values.value(row), &mut stored.event)?;
            }
        }
        _ => match Field::intern(name) {
            Some(field) => fill_field(events, field, array)?,
            None => return Err("a field this version has no room for".to_owned()),
        },
    }
    Ok(())
}

fn fill_field(events: &mut [Stored], field: Field, array: &ArrayRef) -> Result<(), String> {
    let wrong = || format!("of type {}", array.data_type());
    let mut rows = events.iter_mut().enumerate().filter(|(row, _)| array.is_valid(*row));
    match field.kind() {
        Kind::Keyword | Kind::Text => {
            let values = array.as_string_opt::<i32>().ok_or_else(wrong)?;
            rows.for_each(|(row, stored)| stored.event.set(field, Text::from(values.value(row))));
        }
        Kind::Ip => {
            let values = array.as_string_opt::<i32>().ok_or_else(wrong)?;
            for (row, stored) in rows {
                let address =
                    values.value(row).parse().map_err(|_bad| format!("{:?} is no address", values.value(row)))?;
                stored.event.set(field, Value::Ip(address));
            }
        }
        Kind::Long => {
            let values = array.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
            rows.for_each(|(row, stored)| stored.event.set(field, values.value(row)));
        }
        Kind::Double => {
            let values = array.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
            rows.for_each(|(row, stored)| stored.event.set(field, Value::Double(values.value(row))));
        }
        Kind::Boolean => {
            let values = array.as_boolean_opt().ok_or_else(wrong)?;
            rows.for_each(|(row, stored)| stored.event.set(field, values.value(row)));
        }
        Kind::Date => {
            let values = array.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(wrong)?;
            rows.by_ref().for_each(|(row, stored)| stored.event.set(field, Timestamp(values.value(row))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn single() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Long),
            any::<f64>().prop_filter("a number", |number| !number.is_nan()).prop_map(Value::Double),
            Just(Value::Double(f64::INFINITY)),
            ".{0,20}".prop_map(Value::from),
            any::<std::net::IpAddr>().prop_map(Value::Ip),
            any::<i64>().prop_map(|nanos| Value::Date(Timestamp(nanos))),
        ]
    }

    /// The same event with its fields in order of their names.
    fn sorted(stored: &Stored) -> Stored {
        let mut fields = stored.event.fields().to_vec();
        fields.sort_by_key(|(field, _)| field.name());
        let mut event = Event::new(stored.event.timestamp, stored.event.original.clone());
        event.received = stored.event.received;
        fields.into_iter().for_each(|(field, value)| event.set(field, value));
        Stored { event, ..stored.clone() }
    }

    proptest! {
        #[test]
        fn events_come_back_as_they_were(
            seq: u64, stamps: [i64; 3], original: Vec<u8>,
            known in proptest::collection::vec(
                (0u32..190, prop_oneof![4 => single(), 1 => proptest::collection::vec(single(), 0..4).prop_map(Value::List)]), 0..12),
            vendor in proptest::collection::vec(("[a-zA-Z=\"\\\\đ .]{1,12}", single()), 0..5),
        ) {
            let mut event = Event::new(Timestamp(stamps[0]), original);
            event.received = Timestamp(stamps[1]);
            known.into_iter().for_each(|(row, value)| event.set(Field::from_row(row).expect("a row"), value));
            vendor.into_iter().for_each(|(name, value)| event.set_named(&name, value));
            let stored = Stored { seq: Seq(seq), committed: Timestamp(stamps[2]), event };
            let batch = Tables::new().make(&[Hashed::of(&stored)]).expect("a table");
            let back = from_batch(&batch).expect("readable");
            prop_assert_eq!(back.iter().map(sorted).collect::<Vec<_>>(), vec![sorted(&stored)]);
            // The same, column by column.
            let names: Vec<&str> = SCHEMA.fields().iter().map(|column| column.name().as_str()).collect();
            prop_assert_eq!(project(&[&stored], &names).expect("a table"), batch);
        }

        #[test]
        fn tables_are_those_of_the_plain_twin(
            tables in proptest::collection::vec(proptest::collection::vec(
                (proptest::collection::vec((0u32..190, single()), 0..5), proptest::collection::vec(("[Ss]ource\\.ip|x|y", single()), 0..3)),
                0..12), 1..4),
        ) {
            let (mut made, mut spilled) = (Tables::new(), Vec::new());
            for table in &tables {
                let events: Vec<Stored> = (1..).zip(table).map(|(seq, (known, vendor))| {
                    let mut event = Event::new(Timestamp(3), seq.to_string().into_bytes());
                    known.iter().for_each(|(row, value)| event.set(Field::from_row(*row).expect("a row"), value.clone()));
                    vendor.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
                    Stored { seq: Seq(seq), committed: Timestamp(4), event }
                }).collect();
                let hashed: Vec<Hashed<'_>> = events.iter().map(Hashed::of).collect();
                prop_assert_eq!(made.make(&hashed).expect("a table"), plain(&events, &mut spilled));
                prop_assert_eq!(made.spilled(), &*spilled);
            }
        }
    }

    /// The table of these events, each value looked for in each event.
    fn plain(events: &[Stored], spilled: &mut Vec<Field>) -> RecordBatch {
        let stamps = |of: fn(&Stored) -> Timestamp| -> ArrayRef {
            let mut builder = TimestampNanosecondBuilder::new().with_data_type(stamp_type());
            events.iter().for_each(|stored| builder.append_value(of(stored).0));
            Arc::new(builder.finish())
        };
        let (mut original, mut hash) = (BinaryBuilder::new(), FixedSizeBinaryBuilder::new(32));
        let mut rest = StringBuilder::new();
        for stored in events {
            original.append_value(&stored.event.original);
            hash.append_value(stored.event.original_hash()).expect("32 bytes");
            let mut text = String::new();
            for (field, value) in stored.event.fields() {
                let is_taken =
                    field.known().is_some_and(|known| known.storage == Storage::Column && fits(known.kind, value));
                if is_taken {
                    continue;
                }
                attrs::push(&mut text, &attrs::head(*field), field.kind(), value);
                if has_column_key(*field) && !spilled.contains(field) {
                    spilled.push(*field);
                }
            }
            attrs::end(&mut text);
            rest.append_option((!text.is_empty()).then_some(text));
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(events.iter().map(|stored| stored.seq.0))),
            stamps(|stored| stored.event.timestamp),
            stamps(|stored| stored.event.received),
            stamps(|stored| stored.committed),
            Arc::new(original.finish()),
            Arc::new(hash.finish()),
        ];
        for (field, kind) in &*FIELDS {
            let mut builder = Builder::new(*kind);
            events.iter().for_each(|stored| builder.push(stored.event.get(*field).filter(|value| fits(*kind, value))));
            columns.push(builder.finish());
        }
        columns.push(Arc::new(rest.finish()));
        RecordBatch::try_new(SCHEMA.clone(), columns).expect("a table")
    }
}
