//! Answers as files: JSON, JSON lines, CSV, Arrow IPC, Parquet. In: an [`Answer`]. Out: bytes, as they come. Columns of
//! one name are told apart by a number behind it, since objects and tables cannot.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::compute::cast;
use datafusion::arrow::ipc::writer::StreamWriter;
use nhatle_event::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value as Json, json};

use super::answer::Answer;
use super::cell::Cell;
use super::error::SqlError;
use super::run::bytes_of;

/// How many bytes of text are copied at a time.
const PIECE_BYTES_MAX: u64 = 256 << 20;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object: `columns` with name and kind, `rows` as objects, `row_count`.
    Json,
    /// One object a line for each row.
    JsonLines,
    /// RFC 4180, with a line of names.
    Csv,
    /// A stream of Arrow IPC.
    Arrow,
    /// Apache Parquet, zstd.
    Parquet,
}

/// Writes an answer to its end; gives the number of rows.
///
/// # Errors
/// Why the answer ended early; what `out` says. What was written then is not whole.
pub fn write(answer: &mut Answer, format: Format, out: &mut dyn Write) -> Result<u64, SqlError> {
    match format {
        Format::Json => json_object(answer, out),
        Format::JsonLines => {
            let names = names(answer);
            each(answer, |batch, row| {
                serde_json::to_writer(&mut *out, &object(&names, batch, row)).map_err(std::io::Error::from)?;
                out.write_all(b"\n")
            })
        }
        Format::Csv => csv(answer, out),
        Format::Arrow => arrow(answer, out),
        Format::Parquet => parquet(answer, out),
    }
}

fn failed(source: std::io::Error) -> SqlError {
    SqlError::World { what: "writing the answer".to_owned(), source }
}

/// The names of the columns, each once.
pub fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for column in answer.columns() {
        let mut name = column.name.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{}_{number}", column.name);
            number += 1;
        }
        names.push(name);
    }
    names
}

fn each(
    answer: &mut Answer,
    mut give: impl FnMut(&super::Batch, usize) -> std::io::Result<()>,
) -> Result<u64, SqlError> {
    let mut rows = 0;
    while let Some(batch) = answer.next_batch()? {
        for row in 0..batch.len() {
            give(&batch, row).map_err(failed)?;
        }
        rows += batch.len() as u64;
    }
    Ok(rows)
}

/// A value in JSON: moments as RFC 3339, days as ISO 8601, bytes in base64; a number that JSON has not is null.
pub fn json(cell: &Cell<'_>) -> Json {
    match cell {
        Cell::Null => Json::Null,
        Cell::Bool(flag) => json!(flag),
        Cell::Int(number) => json!(number),
        Cell::UInt(number) => json!(number),
        Cell::Double(number) => json!(number),
        Cell::Text(text) => json!(text),
        other => json!(plain(other)),
    }
}

/// A value as plain text; null is empty.
pub fn plain(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Bool(flag) => flag.to_string(),
        Cell::Int(number) => number.to_string(),
        Cell::UInt(number) => number.to_string(),
        Cell::Double(number) => number.to_string(),
        Cell::Text(text) => text.to_string(),
        Cell::Bytes(bytes) => STANDARD.encode(bytes),
        Cell::Time(nanos) => Timestamp(*nanos).to_string(),
        Cell::Date(days) => {
            let moment = i64::from(*days).saturating_mul(86_400 * 1_000_000_000);
            Timestamp(moment).to_string().chars().take_while(|letter| *letter != 'T').collect()
        }
    }
}

/// A row as an object.
pub fn object(names: &[String], batch: &super::Batch, row: usize) -> Json {
    let fields = names.iter().enumerate().map(|(column, name)| (name.clone(), json(&batch.cell(row, column))));
    Json::Object(fields.collect::<Map<_, _>>())
}

fn json_object(answer: &mut Answer, out: &mut dyn Write) -> Result<u64, SqlError> {
    let names = names(answer);
    let columns: Vec<Json> = names
        .iter()
        .zip(answer.columns())
        .map(|(name, column)| json!({"name": name, "kind": column.kind.name()}))
        .collect();
    write!(out, "{{\"columns\":{},\"rows\":[", Json::Array(columns)).map_err(failed)?;
    let mut is_first = true;
    let rows = each(answer, |batch, row| {
        out.write_all(if is_first { b"" } else { b"," })?;
        is_first = false;
        serde_json::to_writer(&mut *out, &object(&names, batch, row)).map_err(std::io::Error::from)
    })?;
    write!(out, "],\"row_count\":{rows}}}").map_err(failed)?;
    Ok(rows)
}

/// A value of CSV, quoted where it must be.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

fn csv(answer: &mut Answer, out: &mut dyn Write) -> Result<u64, SqlError> {
    let names = names(answer);
    let line = |fields: Vec<String>| format!("{}\r\n", fields.join(","));
    out.write_all(line(names.iter().map(|name| quoted(name)).collect()).as_bytes()).map_err(failed)?;
    each(answer, |batch, row| {
        let fields = (0..names.len()).map(|column| match batch.cell(row, column) {
            // An empty text is not nothing.
            Cell::Text(text) if text.is_empty() => "\"\"".to_owned(),
            cell => quoted(&plain(&cell)),
        });
        out.write_all(line(fields.collect()).as_bytes())
    })
}

/// The schema with a name for each column, and without views, which not every reader knows.
fn plain_schema(answer: &Answer) -> SchemaRef {
    let fields = names(answer).into_iter().zip(answer.schema().fields()).map(|(name, field)| {
        let of = match field.data_type() {
            DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
            DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
            other => other.clone(),
        };
        arrow_schema::Field::new(name, of, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The batch in pieces whose texts one array can hold: views may show one text many times.
fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    if batch.num_rows() < 2 || bytes_of(batch) <= PIECE_BYTES_MAX {
        return vec![batch.clone()];
    }
    let half = batch.num_rows() / 2;
    [batch.slice(0, half), batch.slice(half, batch.num_rows() - half)].iter().flat_map(pieces).collect()
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns =
        batch.columns().iter().zip(schema.fields()).map(|(array, field)| plain_array(array, field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)
}

fn plain_array(array: &ArrayRef, of: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == of { Ok(Arc::clone(array)) } else { cast(array, of) }
}

fn arrow_failed(error: ArrowError) -> SqlError {
    match error {
        ArrowError::IoError(_, source) => failed(source),
        other => SqlError::Failed(other.to_string()),
    }
}

fn arrow(answer: &mut Answer, out: &mut dyn Write) -> Result<u64, SqlError> {
    let schema = plain_schema(answer);
    let mut writer = StreamWriter::try_new(out, &schema).map_err(arrow_failed)?;
    let mut rows = 0;
    while let Some(batch) = answer.next_record_batch()? {
        for piece in pieces(&batch) {
            writer.write(&plain_batch(&piece, &schema).map_err(arrow_failed)?).map_err(arrow_failed)?;
        }
        rows += batch.num_rows() as u64;
    }
    writer.finish().map_err(arrow_failed)?;
    Ok(rows)
}

fn parquet(answer: &mut Answer, out: &mut dyn Write) -> Result<u64, SqlError> {
    // Parquet writes behind itself: the file is made here, then given.
    let parquet_failed = |error: parquet::errors::ParquetError| SqlError::Failed(error.to_string());
    let schema = plain_schema(answer);
    let level = ZstdLevel::try_new(3).map_err(parquet_failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties)).map_err(parquet_failed)?;
    let mut rows = 0;
    while let Some(batch) = answer.next_record_batch()? {
        for piece in pieces(&batch) {
            writer.write(&plain_batch(&piece, &schema).map_err(arrow_failed)?).map_err(parquet_failed)?;
        }
        rows += batch.num_rows() as u64;
    }
    writer.close().map_err(parquet_failed)?;
    out.write_all(&bytes).map_err(failed)?;
    Ok(rows)
}
