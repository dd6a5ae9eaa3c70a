//! Events as an Arrow table and back: one typed column for each row of the field table that has
//! `Storage::Column`, named as ECS names it, one for each field that is frequent in the segment
//! ([`super::frequent`]), columns for what every stored event has, and `attrs` for all the rest
//! ([`super::attrs`]). A value goes to its column when it is single and of the column's type, else to `attrs`:
//! nothing is lost or changed but the order of the fields.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, StringBuilder, TimestampNanosecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field as Column, Schema, SchemaRef, TimeUnit};
use nhatle_event::field::{Storage, TABLE};
use nhatle_event::{Event, Field, Kind, Seq, Stored, Text, Timestamp, Value};

use super::attrs;
use super::builders::{Builder, Sparse};
use super::frequent::Frequent;
use super::outline;
use super::outlines::Outlines;
use super::words::{has_key, name_key};

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
/// The column of what the bytes as received are an outline of ([`super::outline`]); it and the next are in files only.
pub const OUTLINE: &str = "nhatle.original.outline";
/// The column of what of these bytes no field has.
pub const REST: &str = "nhatle.original.rest";
/// The column of their SHA-256.
pub const HASH: &str = "event.hash";
/// The column of all other values.
pub const ATTRS: &str = "attrs";

/// The fields with a column, in the order of the columns.
pub static FIELDS: LazyLock<Vec<(Field, Kind)>> = LazyLock::new(|| {
    let rows = (0u32..).zip(TABLE).filter(|(_, known)| known.storage == Storage::Column);
    rows.filter_map(|(row, known)| Some((Field::from_row(row)?, known.kind))).collect()
});

pub(super) fn stamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The type of a column.
fn type_of(kind: Kind) -> DataType {
    match kind {
        Kind::Keyword | Kind::Text | Kind::Ip => DataType::Utf8,
        Kind::Long => DataType::Int64,
        Kind::Double => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
        Kind::Date => stamp_type(),
    }
}

/// What is in a column of this type that a field has beside those of the field table.
pub(super) fn kind_of(field: Field, of: &DataType) -> Option<Kind> {
    match of {
        DataType::Utf8 if field.kind() == Kind::Ip => Some(Kind::Ip),
        DataType::Utf8 => Some(Kind::Keyword),
        DataType::Int64 => Some(Kind::Long),
        DataType::Float64 => Some(Kind::Double),
        DataType::Boolean => Some(Kind::Boolean),
        DataType::Timestamp(..) => Some(Kind::Date),
        _ => None,
    }
}

fn event_columns(is_whole: bool) -> Vec<Column> {
    vec![
        Column::new(SEQ, DataType::UInt64, false),
        Column::new(TIMESTAMP, stamp_type(), false),
        Column::new(CREATED, stamp_type(), false),
        Column::new(INGESTED, stamp_type(), false),
        Column::new(ORIGINAL, DataType::Binary, !is_whole),
    ]
}

fn table_columns() -> impl Iterator<Item = Column> {
    FIELDS.iter().map(|(field, kind)| Column::new(field.name(), type_of(*kind), true))
}

/// The table that every segment can be read as, whatever columns its file has.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut columns = event_columns(true);
    columns.push(Column::new(HASH, DataType::FixedSizeBinary(32), false));
    columns.extend(table_columns());
    columns.push(Column::new(ATTRS, DataType::Utf8, true));
    Arc::new(Schema::new(columns))
});

/// The columns that are written now.
pub fn file_schema(frequent: &[Frequent]) -> SchemaRef {
    let mut columns = event_columns(false);
    columns.push(Column::new(OUTLINE, DataType::Utf8, true));
    columns.push(Column::new(REST, DataType::Binary, true));
    columns.extend(table_columns());
    columns.extend(frequent.iter().map(|one| Column::new(one.field.name(), type_of(one.kind), true)));
    columns.push(Column::new(ATTRS, DataType::Utf8, true));
    Arc::new(Schema::new(columns))
}

/// The value is of the column's type.
pub(crate) fn fits(kind: Kind, value: &Value) -> bool {
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

/// Where the values of a field go, worked out when it is first seen.
struct Place {
    /// Its column, where it has one, and the type of that.
    column: Option<(usize, Kind)>,
    kind: Kind,
    /// What stands before its values in `attrs`.
    head: String,
    /// It has a column, or has the name of one but for its case.
    has_column_key: bool,
    is_spilled: bool,
}

impl Place {
    fn of(field: Field, frequent: &[Frequent]) -> Place {
        let all = || FIELDS.iter().copied().chain(frequent.iter().map(|one| (one.field, one.kind)));
        Place {
            column: all().enumerate().find(|(_, (known, _))| *known == field).map(|(at, (_, kind))| (at, kind)),
            kind: field.kind(),
            head: attrs::head(field),
            has_column_key: all().any(|(column, _)| has_key(field.name(), &name_key(column.name()))),
            is_spilled: false,
        }
    }
}

/// Makes tables of events, one after the other.
pub struct Tables {
    schema: SchemaRef,
    frequent: Vec<Frequent>,
    places: Vec<Option<Place>>,
    spilled: Vec<Field>,
    /// The rows of the table that is being made.
    rows: usize,
    seqs: Vec<u64>,
    /// Of [`TIMESTAMP`], [`CREATED`], [`INGESTED`].
    stamps: [Vec<i64>; 3],
    outlines: Outlines,
    /// Of each field of the row at hand, that its value is in its column.
    has_column: Vec<bool>,
    original: BinaryBuilder,
    outline: StringBuilder,
    outline_rest: BinaryBuilder,
    /// The bytes as received of the rows of the table that is being made.
    original_bytes: usize,
    columns: Vec<Sparse>,
    rest: StringBuilder,
    /// What of the row at hand goes to `attrs`.
    rest_text: String,
    /// The rows of the last table, and the bytes of `original` and `rest` of it: about as many are expected of the next.
    room: (usize, usize, usize),
}

impl Tables {
    /// A maker that has seen no event; these fields get columns beside those of the field table.
    pub fn new(frequent: Vec<Frequent>) -> Tables {
        let kinds = FIELDS.iter().map(|(_, kind)| *kind).chain(frequent.iter().map(|one| one.kind));
        Tables {
            schema: file_schema(&frequent),
            columns: kinds.map(Sparse::new).collect(),
            frequent,
            places: Vec::new(),
            spilled: Vec::new(),
            rows: 0,
            seqs: Vec::new(),
            stamps: Default::default(),
            outlines: Outlines::default(),
            has_column: Vec::new(),
            original: BinaryBuilder::new(),
            outline: StringBuilder::new(),
            outline_rest: BinaryBuilder::new(),
            original_bytes: 0,
            rest: StringBuilder::new(),
            rest_text: String::new(),
            room: (0, 0, 0),
        }
    }

    /// The columns of its tables.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The fields with a column that the field table gives none.
    pub fn frequent(&self) -> &[Frequent] {
        &self.frequent
    }

    /// The fields of the name of a column that had a value in `attrs` so far.
    pub fn spilled(&self) -> &[Field] {
        &self.spilled
    }

    /// The outlines that rows were given so far.
    pub fn outlines(&self) -> &Outlines {
        &self.outlines
    }

    /// How many rows the table has so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes as received it has so far.
    pub fn original_bytes(&self) -> usize {
        self.original_bytes
    }

    /// Adds a row to the table.
    pub fn add(&mut self, stored: &Stored) {
        if self.rows == 0 {
            let (rows, original, rest) = self.room;
            self.seqs.reserve(rows);
            self.stamps.iter_mut().for_each(|stamps| stamps.reserve(rows));
            self.original = BinaryBuilder::with_capacity(rows, original);
            self.rest = StringBuilder::with_capacity(rows, rest);
        }
        let event = &stored.event;
        self.seqs.push(stored.seq.0);
        for (stamps, stamp) in self.stamps.iter_mut().zip([event.timestamp, event.received, stored.committed]) {
            stamps.push(stamp.0);
        }
        self.add_fields(event);
        self.add_original(event);
        self.rest.append_option((!self.rest_text.is_empty()).then_some(&self.rest_text));
        self.rows += 1;
    }

    /// The table of the rows that were added since the last one.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.original_bytes = 0;
        let (original, rest) = (self.original.finish(), self.rest.finish());
        let (outline, outline_rest) = (self.outline.finish(), self.outline_rest.finish());
        self.room = (rows, original.value_data().len(), rest.value_data().len());
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from(std::mem::take(&mut self.seqs)))];
        for stamps in &mut self.stamps {
            let stamps = TimestampNanosecondArray::from(std::mem::take(stamps));
            columns.push(Arc::new(stamps.with_data_type(stamp_type())));
        }
        columns.extend::<[ArrayRef; 3]>([Arc::new(original), Arc::new(outline), Arc::new(outline_rest)]);
        columns.extend(self.columns.iter_mut().map(|column| column.finish(rows)));
        columns.push(Arc::new(rest));
        RecordBatch::try_new(self.schema.clone(), columns)
    }

    /// Puts the bytes as received, or the outline of them.
    fn add_original(&mut self, event: &Event) {
        self.original_bytes += event.original.len();
        match self.outlines.of(event, &self.has_column) {
            Some((outline, rest)) => {
                self.original.append_null();
                self.outline.append_value(outline);
                self.outline_rest.append_option((!rest.is_empty()).then_some(rest));
            }
            None => {
                self.original.append_value(&event.original);
                self.outline.append_null();
                self.outline_rest.append_null();
            }
        }
    }

    /// Puts the values of an event into their columns and the others into `rest`.
    fn add_fields(&mut self, event: &Event) {
        let Tables { frequent, places, columns, spilled, rows, rest_text: rest, has_column, .. } = self;
        rest.clear();
        has_column.clear();
        for (field, value) in event.fields() {
            let at = field.index();
            if places.len() <= at {
                places.resize_with(at + 1, || None);
            }
            let place = places[at].get_or_insert_with(|| Place::of(*field, frequent));
            let column = place.column.filter(|(_, kind)| fits(*kind, value));
            has_column.push(column.is_some());
            match column {
                Some((column, _)) => columns[column].put(*rows, value),
                None => {
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

/// Some columns of [`SCHEMA`] of these events; a name that is no column's is left out.
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

/// A value as it stands in a column of a file.
pub(super) enum Raw<'a> {
    Bytes(&'a [u8]),
    /// Eight bytes, whatever they are.
    Number(i64),
    Flag(bool),
}

/// What of an event the values of a column are: [`from_batch`] for one value.
pub(super) struct Slot<'a> {
    name: &'a str,
    of: &'a DataType,
    /// As many names may be known as there is room for.
    field: Option<Field>,
}

impl<'a> Slot<'a> {
    /// Of the column of this name and type; `None` where its type is not the one it has in our files.
    pub fn of_column(name: &'a str, of: &'a DataType) -> Option<Slot<'a>> {
        let is_stamp = || matches!(of, DataType::Timestamp(TimeUnit::Nanosecond, _));
        let (is_right, field) = match name {
            SEQ => (*of == DataType::UInt64, None),
            TIMESTAMP | CREATED | INGESTED => (is_stamp(), None),
            ORIGINAL | REST => (*of == DataType::Binary, None),
            ATTRS | OUTLINE => (*of == DataType::Utf8, None),
            _ => {
                let is_plain = matches!(of, DataType::Utf8 | DataType::Int64 | DataType::Float64 | DataType::Boolean);
                (is_plain || is_stamp(), Field::intern(name))
            }
        };
        is_right.then_some(Slot { name, of, field })
    }

    /// Puts a value into its event; `None` where it is no value of this column.
    pub fn put(&self, stored: &mut Stored, raw: Raw<'_>) -> Option<()> {
        let value = match (self.name, raw) {
            (SEQ, Raw::Number(number)) => {
                stored.seq = Seq(number.cast_unsigned());
                return Some(());
            }
            (TIMESTAMP, Raw::Number(nanos)) => {
                stored.event.timestamp = Timestamp(nanos);
                return Some(());
            }
            (CREATED, Raw::Number(nanos)) => {
                stored.event.received = Timestamp(nanos);
                return Some(());
            }
            (INGESTED, Raw::Number(nanos)) => {
                stored.committed = Timestamp(nanos);
                return Some(());
            }
            (ORIGINAL, Raw::Bytes(bytes)) => {
                stored.event.original = bytes.into();
                return Some(());
            }
            (ATTRS, Raw::Bytes(bytes)) => return attrs::decode(str::from_utf8(bytes).ok()?, &mut stored.event).ok(),
            (_, raw) => self.value(raw)?,
        };
        match self.field {
            Some(field) => stored.event.set(field, value),
            None => stored.event.set_named(self.name, value),
        }
        Some(())
    }

    fn value(&self, raw: Raw<'_>) -> Option<Value> {
        Some(match (self.of, raw) {
            (DataType::Utf8, Raw::Bytes(bytes)) => {
                let text = str::from_utf8(bytes).ok()?;
                match self.field.is_some_and(|field| field.kind() == Kind::Ip) {
                    true => Value::Ip(text.parse().ok()?),
                    false => Value::Text(Text::from(text)),
                }
            }
            (DataType::Int64, Raw::Number(number)) => Value::Long(number),
            (DataType::Float64, Raw::Number(bits)) => Value::Double(f64::from_bits(bits.cast_unsigned())),
            (DataType::Timestamp(..), Raw::Number(nanos)) => Value::Date(Timestamp(nanos)),
            (DataType::Boolean, Raw::Flag(flag)) => Value::Boolean(flag),
            _ => return None,
        })
    }
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
    if batch.column_by_name(OUTLINE).is_some() {
        for (stored, original) in events.iter_mut().zip(outline::originals(batch)?) {
            stored.event.original = original.into();
        }
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
            for (row, stored) in events.iter_mut().enumerate().filter(|(row, _)| values.is_valid(*row)) {
                stored.event.original = values.value(row).into();
            }
        }
        HASH | OUTLINE | REST => {}
        ATTRS => {
            let values = array.as_string_opt::<i32>().ok_or_else(wrong)?;
            for (row, stored) in events.iter_mut().enumerate().filter(|(row, _)| values.is_valid(*row)) {
                attrs::decode(values.value(row), &mut stored.event)?;
            }
        }
        _ => fill_field(events, name, array)?,
    }
    Ok(())
}

/// Puts the values of a column into the field of its name. The type says what they are, and the field table which texts
/// are addresses.
fn fill_field(events: &mut [Stored], name: &str, array: &ArrayRef) -> Result<(), String> {
    let mut put = |of: &dyn Fn(usize) -> Result<Value, String>| {
        // As many names may be known as there is room for.
        let field = Field::intern(name);
        for (row, stored) in events.iter_mut().enumerate().filter(|(row, _)| array.is_valid(*row)) {
            match field {
                Some(field) => stored.event.set(field, of(row)?),
                None => stored.event.set_named(name, of(row)?),
            }
        }
        Ok(())
    };
    let is_address = Field::lookup(name).is_some_and(|field| field.kind() == Kind::Ip);
    match array.data_type() {
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            match is_address {
                true => put(&|row| {
                    let text = values.value(row);
                    Ok(Value::Ip(text.parse().map_err(|_bad| format!("{text:?} is no address"))?))
                }),
                false => put(&|row| Ok(Value::Text(Text::from(values.value(row))))),
            }
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            put(&|row| Ok(Value::Long(values.value(row))))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            put(&|row| Ok(Value::Double(values.value(row))))
        }
        DataType::Boolean => {
            let values = array.as_boolean();
            put(&|row| Ok(Value::Boolean(values.value(row))))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = array.as_primitive::<TimestampNanosecondType>();
            put(&|row| Ok(Value::Date(Timestamp(values.value(row)))))
        }
        other => Err(format!("of type {other}")),
    }
}
