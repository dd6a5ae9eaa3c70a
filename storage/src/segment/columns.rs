//! Events as an Arrow table and back: one typed column for each row of the field table that has
//! `Storage::Column`, named as ECS names it, columns for what every stored event has, and `attrs` for all
//! the rest ([`super::attrs`]). A value goes to its column when it is single and of the column's type, else
//! to `attrs`: nothing is lost or changed but the order of the fields.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field as Column, Schema, SchemaRef, TimeUnit};
use nhatle_event::field::{Storage, TABLE};
use nhatle_event::{Event, Field, Kind, Seq, Stored, Text, Timestamp, Value};

use super::attrs;
use super::words::has_key;

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
            (Builder::Text(builder), Some(Value::Ip(address))) => builder.append_value(address.to_string()),
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

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Text(mut builder) => Arc::new(builder.finish()),
            Builder::Long(mut builder) => Arc::new(builder.finish()),
            Builder::Double(mut builder) => Arc::new(builder.finish()),
            Builder::Boolean(mut builder) => Arc::new(builder.finish()),
            Builder::Date(mut builder) => Arc::new(builder.finish()),
        }
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

fn takes(field: Field, value: &Value) -> bool {
    field.known().is_some_and(|known| known.storage == Storage::Column && fits(known.kind, value))
}

/// The field has a column, or is a vendor's that has the name of one but for its case.
fn has_column_key(field: Field) -> bool {
    match field.known() {
        Some(known) => known.storage == Storage::Column,
        None => FIELDS.iter().any(|(column, _)| has_key(field.name(), column.name())),
    }
}

/// The table of these events, and the fields of the name of a column that have a value in `attrs`.
///
/// # Errors
/// Arrow's, which would be a mistake of ours.
pub fn to_batch(events: &[&Stored]) -> Result<(RecordBatch, Vec<Field>), ArrowError> {
    let stamps = || TimestampNanosecondBuilder::new().with_data_type(stamp_type());
    let (mut seq, mut timestamp, mut created, mut ingested) = (UInt64Builder::new(), stamps(), stamps(), stamps());
    let (mut original, mut hash) = (BinaryBuilder::new(), FixedSizeBinaryBuilder::new(32));
    let mut builders: Vec<Builder> = FIELDS.iter().map(|(_, kind)| Builder::new(*kind)).collect();
    let mut rest = StringBuilder::new();
    let mut spilled = Vec::new();
    let mut slots: Vec<Option<&Value>> = vec![None; TABLE.len()];
    for stored in events {
        let event = &stored.event;
        seq.append_value(stored.seq.0);
        timestamp.append_value(event.timestamp.0);
        created.append_value(event.received.0);
        ingested.append_value(stored.committed.0);
        original.append_value(&event.original);
        hash.append_value(event.original_hash())?;
        slots.fill(None);
        let mut dynamic = Vec::with_capacity(event.fields().len());
        for (field, value) in event.fields() {
            if takes(*field, value) {
                slots[field.index()] = Some(value);
                continue;
            }
            dynamic.push((*field, value));
            if has_column_key(*field) && !spilled.contains(field) {
                spilled.push(*field);
            }
        }
        builders.iter_mut().zip(&*FIELDS).for_each(|(builder, (field, _))| builder.push(slots[field.index()]));
        rest.append_option(attrs::encode(dynamic.into_iter()));
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(seq.finish()),
        Arc::new(timestamp.finish()),
        Arc::new(created.finish()),
        Arc::new(ingested.finish()),
        Arc::new(original.finish()),
        Arc::new(hash.finish()),
    ];
    columns.extend(builders.into_iter().map(Builder::finish));
    columns.push(Arc::new(rest.finish()));
    Ok((RecordBatch::try_new(SCHEMA.clone(), columns)?, spilled))
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
            let (batch, _) = to_batch(&[&stored]).expect("a table");
            let back = from_batch(&batch).expect("readable");
            prop_assert_eq!(back.iter().map(sorted).collect::<Vec<_>>(), vec![sorted(&stored)]);
        }
    }
}
