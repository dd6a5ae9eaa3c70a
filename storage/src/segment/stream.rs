//! `Segment::stream`: the events of a segment one batch after the other, for whoever goes through all of it. In: how much memory
//! a batch may take. Out: batches of events, each with its table. Bounds: [`BATCH_ROWS`]; about as many bytes as were given.
//! Failure: [`ReadError`], with the file.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use nhatle_event::Stored;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::file::metadata::ParquetMetaData;

use super::columns;
use super::reader::{BATCH_ROWS, Footer, Segment};
use super::writer::{GROUP_ROWS, PAGE_ROWS};
use crate::error::ReadError;

/// How few rows a stream decodes at a time.
const STREAM_ROWS_MIN: usize = 16;

impl Segment {
    /// The events one batch after the other, in the order of rows, each with its table: about `bytes` of memory at a time where
    /// the rows of a page are of like size, or [`STREAM_ROWS_MIN`] rows.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn stream(&self, bytes: usize) -> Result<RowStream, ReadError> {
        let footer = self.footer()?;
        let groups = footer.metadata.metadata().row_groups().iter();
        let plain = groups.fold(0i64, |sum, group| sum.saturating_add(group.total_byte_size().max(0)));
        // An event in memory is several times its columns: each field has a value of its own. The columns are there, too.
        let row_bytes = usize::try_from(plain).unwrap_or(usize::MAX) / self.row_count().max(1);
        let largest = texts_bytes_max(footer.metadata.metadata()).saturating_mul(3);
        let row_bytes = row_bytes.saturating_mul(5).max(largest).saturating_add(1);
        let batch_rows = (bytes / row_bytes).clamp(STREAM_ROWS_MIN, BATCH_ROWS);
        let all = (0..footer.metadata.schema().fields().len()).collect();
        let reader = self.reader(&footer, None, all, batch_rows)?;
        Ok(RowStream { footer, reader })
    }
}

/// How many bytes the texts of a row have, decoded, where they have most: a text that repeats stands once in its dictionary and
/// takes its length in each row that is read, and a few long ones among many short ones may follow each other.
fn texts_bytes_max(metadata: &ParquetMetaData) -> usize {
    let mut most = 0u64;
    for (group, of_columns) in metadata.offset_index().into_iter().flatten().enumerate() {
        let rows = usize::try_from(metadata.row_group(group).num_rows()).unwrap_or(0).min(GROUP_ROWS);
        // Of so many rows each.
        let mut stretches = vec![0u64; rows.div_ceil(PAGE_ROWS)];
        for of_column in of_columns {
            let Some(bytes) = of_column.unencoded_byte_array_data_bytes() else { continue };
            let first = |at: usize| {
                let page = of_column.page_locations().get(at);
                page.map_or(rows, |page| usize::try_from(page.first_row_index).unwrap_or(rows)).min(rows)
            };
            for (at, bytes) in bytes.iter().enumerate() {
                let (begin, end) = (first(at), first(at + 1));
                let of_row = u64::try_from(*bytes).unwrap_or(0) / (end.saturating_sub(begin) as u64).max(1);
                for (stretch, sum) in
                    stretches.iter_mut().enumerate().take(end.div_ceil(PAGE_ROWS)).skip(begin / PAGE_ROWS)
                {
                    let here = end.min((stretch + 1) * PAGE_ROWS).saturating_sub(begin.max(stretch * PAGE_ROWS));
                    *sum = sum.saturating_add(of_row.saturating_mul(here as u64));
                }
            }
        }
        let of_rows =
            stretches.iter().enumerate().map(|(stretch, sum)| sum / (rows - stretch * PAGE_ROWS).min(PAGE_ROWS) as u64);
        most = most.max(of_rows.max().unwrap_or(0));
    }
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// A table and its events.
type Table = (RecordBatch, Vec<Stored>);

/// See [`Segment::stream`].
pub struct RowStream {
    footer: Arc<Footer>,
    reader: ParquetRecordBatchReader,
}

impl RowStream {
    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        self.footer.metadata.schema()
    }

    /// The next events, with the table they are of.
    pub fn next_table(&mut self) -> Option<Result<Table, ReadError>> {
        let file = &self.footer.file;
        let batch = self.reader.next()?.map_err(|error| file.arrow_error(error));
        Some(batch.and_then(|batch| {
            let events = columns::from_batch(&batch).map_err(|reason| file.unreadable(reason))?;
            Ok((batch, events))
        }))
    }
}

impl Iterator for RowStream {
    type Item = Result<Vec<Stored>, ReadError>;

    fn next(&mut self) -> Option<Result<Vec<Stored>, ReadError>> {
        self.next_table().map(|table| table.map(|(_, events)| events))
    }
}
