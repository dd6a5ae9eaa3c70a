//! Tables and constants that others give, as DataFusion has them. In: [`Table`]. Out: a table in memory.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use datafusion::catalog::MemTable;
use datafusion::common::{Result, ScalarValue};

use super::cell::{Cell, Kind, Table};

/// Arrow's type of a kind.
pub fn type_of(kind: Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::Int => DataType::Int64,
        Kind::UInt => DataType::UInt64,
        Kind::Double => DataType::Float64,
        Kind::Text | Kind::Other => DataType::Utf8,
        Kind::Bytes => DataType::Binary,
        Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Kind::Date => DataType::Date32,
    }
}

/// The kind of one of Arrow's types.
pub fn kind_of(of: &DataType) -> Kind {
    match of {
        DataType::Boolean => Kind::Bool,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Kind::Int,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Kind::UInt,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Double,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Kind::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Kind::Bytes,
        DataType::Timestamp(..) => Kind::Time,
        DataType::Date32 => Kind::Date,
        _ => Kind::Other,
    }
}

/// One value as DataFusion has it.
pub fn scalar(cell: &Cell<'_>) -> ScalarValue {
    match cell {
        Cell::Null => ScalarValue::Null,
        Cell::Bool(flag) => ScalarValue::Boolean(Some(*flag)),
        Cell::Int(number) => ScalarValue::Int64(Some(*number)),
        Cell::UInt(number) => ScalarValue::UInt64(Some(*number)),
        Cell::Double(number) => ScalarValue::Float64(Some(*number)),
        Cell::Text(text) => ScalarValue::Utf8(Some(text.to_string())),
        Cell::Bytes(bytes) => ScalarValue::Binary(Some(bytes.to_vec())),
        Cell::Time(nanos) => ScalarValue::TimestampNanosecond(Some(*nanos), Some("UTC".into())),
        Cell::Date(days) => ScalarValue::Date32(Some(*days)),
    }
}

/// The table in memory.
///
/// # Errors
/// Arrow's, which would be a mistake of ours.
pub fn in_memory(table: &Table) -> Result<MemTable> {
    let fields: Vec<Field> =
        table.columns.iter().map(|column| Field::new(&column.name, type_of(column.kind), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let columns: Vec<ArrayRef> =
        table.columns.iter().enumerate().map(|(at, column)| array(&table.rows, at, column.kind)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(table.rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    MemTable::try_new(schema, vec![vec![batch]])
}

fn array(rows: &[Vec<Cell<'static>>], at: usize, kind: Kind) -> ArrayRef {
    macro_rules! collect {
        ($builder:expr, $($shape:pat => $value:expr),+) => {{
            let mut builder = $builder;
            for row in rows {
                match row.get(at) {
                    $(Some($shape) => builder.append_value($value),)+
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }};
    }
    match kind {
        Kind::Bool => collect!(BooleanBuilder::new(), Cell::Bool(flag) => *flag),
        Kind::Int => collect!(Int64Builder::new(), Cell::Int(number) => *number),
        Kind::UInt => collect!(UInt64Builder::new(), Cell::UInt(number) => *number),
        Kind::Double => collect!(Float64Builder::new(), Cell::Double(number) => *number),
        Kind::Text | Kind::Other => collect!(StringBuilder::new(), Cell::Text(text) => text.as_ref()),
        Kind::Bytes => collect!(BinaryBuilder::new(), Cell::Bytes(bytes) => bytes.as_ref()),
        Kind::Time => collect!(
            TimestampNanosecondBuilder::new().with_data_type(type_of(Kind::Time)), Cell::Time(nanos) => *nanos),
        Kind::Date => collect!(Date32Builder::new(), Cell::Date(days) => *days),
    }
}
