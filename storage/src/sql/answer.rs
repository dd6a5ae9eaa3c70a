//! `Answer`: the rows of a query, one [`Batch`] after the other, read from a blocking thread. Dropping it ends the query.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::cell::{Cell, Column, Kind};
use super::deadline::Deadline;
use super::error::SqlError;
use super::run::Message;
use super::tables::kind_of;

/// How often whoever waits looks whether somebody still wants to know.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The rows of a query.
pub struct Answer {
    schema: SchemaRef,
    columns: Vec<Column>,
    receiver: Receiver<Message>,
    room: Arc<Semaphore>,
    deadline: Deadline,
    task: Option<AbortHandle>,
    is_over: bool,
}

/// The columns of a schema.
pub(super) fn columns_of(schema: &Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| Column::new(field.name(), kind_of(field.data_type()))).collect()
}

impl Answer {
    pub(super) fn new(
        schema: SchemaRef,
        receiver: Receiver<Message>,
        room: Arc<Semaphore>,
        deadline: Deadline,
        task: Option<AbortHandle>,
    ) -> Answer {
        let columns = columns_of(&schema);
        Answer { schema, columns, receiver, room, deadline, task, is_over: false }
    }

    /// Its columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Ends the query from any thread.
    pub fn canceler(&self) -> Canceler {
        Canceler { deadline: self.deadline.clone(), task: self.task.clone() }
    }

    /// The next rows; `None` at the end. Waits for them.
    ///
    /// # Errors
    /// Why there are no more; after an error there is nothing.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, SqlError> {
        Ok(self.next_record_batch()?.map(|batch| Batch { batch }))
    }

    /// What the query's threads say next, or why they say nothing.
    fn message(&self) -> Message {
        loop {
            match self.receiver.recv_timeout(self.deadline.left().min(LOOK_INTERVAL)) {
                Ok(message) => return message,
                Err(RecvTimeoutError::Disconnected) => return Message::Error(SqlError::Canceled),
                Err(RecvTimeoutError::Timeout) if self.deadline.is_canceled() => {
                    return Message::Error(SqlError::Canceled);
                }
                Err(RecvTimeoutError::Timeout) if self.deadline.left().is_zero() => {
                    return Message::Error(SqlError::TimeLimit { time: self.deadline.time() });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    pub(super) fn next_record_batch(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        if self.is_over {
            return Ok(None);
        }
        match self.message() {
            Message::Rows(batch) => {
                self.room.add_permits(1);
                Ok(Some(batch))
            }
            Message::End => {
                self.is_over = true;
                Ok(None)
            }
            Message::Error(error) => {
                self.is_over = true;
                self.canceler().cancel();
                Err(error)
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.canceler().cancel();
    }
}

/// Ends a query.
#[derive(Clone)]
pub struct Canceler {
    deadline: Deadline,
    task: Option<AbortHandle>,
}

impl Canceler {
    /// Ends it; whoever reads its answer is told.
    pub fn cancel(&self) {
        self.deadline.cancel();
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Some rows of an answer.
pub struct Batch {
    batch: RecordBatch,
}

impl Batch {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row in a column; null where there is no such place.
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        match self.batch.columns().get(column) {
            Some(array) if row < array.len() => cell(array, row),
            _ => Cell::Null,
        }
    }
}

/// One value of an array.
pub(super) fn cell(array: &ArrayRef, row: usize) -> Cell<'_> {
    if array.is_null(row) {
        return Cell::Null;
    }
    macro_rules! number {
        ($of:ty) => {
            array.as_primitive::<$of>().value(row)
        };
    }
    match array.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Int(number!(Int8Type).into()),
        DataType::Int16 => Cell::Int(number!(Int16Type).into()),
        DataType::Int32 => Cell::Int(number!(Int32Type).into()),
        DataType::Int64 => Cell::Int(number!(Int64Type)),
        DataType::UInt8 => Cell::UInt(number!(UInt8Type).into()),
        DataType::UInt16 => Cell::UInt(number!(UInt16Type).into()),
        DataType::UInt32 => Cell::UInt(number!(UInt32Type).into()),
        DataType::UInt64 => Cell::UInt(number!(UInt64Type)),
        DataType::Float16 => Cell::Double(number!(Float16Type).into()),
        DataType::Float32 => Cell::Double(number!(Float32Type).into()),
        DataType::Float64 => Cell::Double(number!(Float64Type)),
        DataType::Utf8 => Cell::Text(Cow::Borrowed(array.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => Cell::Text(Cow::Borrowed(array.as_string::<i64>().value(row))),
        DataType::Utf8View => Cell::Text(Cow::Borrowed(array.as_string_view().value(row))),
        DataType::Binary => Cell::Bytes(Cow::Borrowed(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => Cell::Bytes(Cow::Borrowed(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => Cell::Bytes(Cow::Borrowed(array.as_binary_view().value(row))),
        DataType::FixedSizeBinary(_) => Cell::Bytes(Cow::Borrowed(array.as_fixed_size_binary().value(row))),
        DataType::Date32 => Cell::Date(number!(Date32Type)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            Cell::Time(number!(TimestampSecondType).saturating_mul(1_000_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Cell::Time(number!(TimestampMillisecondType).saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Cell::Time(number!(TimestampMicrosecondType).saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Cell::Time(number!(TimestampNanosecondType)),
        _ => other(array, row),
    }
}

/// A value of a type without a kind of its own, as text.
fn other(array: &ArrayRef, row: usize) -> Cell<'_> {
    debug_assert_eq!(kind_of(array.data_type()), Kind::Other, "kinds and cells agree");
    match ArrayFormatter::try_new(array, &FormatOptions::default()) {
        Ok(formatter) => Cell::Text(Cow::Owned(formatter.value(row).try_to_string().unwrap_or_default())),
        Err(_) => Cell::Null,
    }
}
