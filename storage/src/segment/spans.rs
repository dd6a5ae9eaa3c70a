//! `Spans`: columns of a segment by row groups, for whoever reads many rows of few columns. In: a row group, the rows of
//! it, names of columns. Out: tables of those columns in the order of rows. Texts of a column that is written as numbers
//! of a dictionary come as such ([`arrow_array::DictionaryArray`]), other texts and bytes as views of their pages. What the file
//! does not have as it is, is made of what it has ([`super::made`]).
//! Failure: [`ReadError`], with the file.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use datafusion::arrow::buffer::BooleanBuffer;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::basic::Encoding;
use parquet::column::page::PageReader;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use regex::bytes::Regex;

use super::ahead::{self, Ahead};
use super::checked_file::CheckedFile;
use super::made::{Made, Wanted};
use super::reader::{Footer, Segment};
use crate::error::ReadError;

/// See the top.
pub(crate) struct Spans {
    footer: Arc<Footer>,
    typed: ArrowReaderMetadata,
    wanted: Wanted,
}

/// The rows of a row group that are read; `None` is all.
pub(crate) type Picked = Option<BooleanBuffer>;

impl Spans {
    /// Opens a segment for this; `attrs` of it has at least the fields that are wanted of it.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn of(segment: &Segment, wanted: Wanted) -> Result<Spans, ReadError> {
        let footer = segment.footer()?;
        let typed = match footer.by_numbers.get() {
            Some(typed) => typed.clone(),
            None => {
                let options = ArrowReaderOptions::new().with_schema(Arc::new(schema(&footer.metadata)));
                let metadata = Arc::clone(footer.metadata.metadata());
                let typed =
                    ArrowReaderMetadata::try_new(metadata, options).map_err(|error| footer.file.error(error))?;
                footer.by_numbers.get_or_init(|| typed).clone()
            }
        };
        Ok(Spans { footer, typed, wanted })
    }

    /// How many row groups there are.
    pub fn count(&self) -> usize {
        self.typed.metadata().num_row_groups()
    }

    /// How many rows a row group has.
    pub fn rows(&self, group: usize) -> usize {
        usize::try_from(self.typed.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    fn made(&self, names: &[&str]) -> Made {
        Made::of(names, &self.wanted, &self.footer)
    }

    /// The column is there, and written as numbers of a dictionary.
    pub fn is_by_numbers(&self, name: &str) -> bool {
        let field = self.typed.schema().fields().iter().find(|field| field.name() == name);
        field.is_some_and(|field| matches!(field.data_type(), DataType::Dictionary(..)))
    }

    /// About how many bytes one row of these columns has in memory, at least one; whatever the file says of their size.
    pub fn row_bytes(&self, group: usize, names: &[&str]) -> usize {
        let row_group = self.typed.metadata().row_group(group);
        let made = self.made(names);
        let sizes = self.leaves(&made).into_iter().map(|at| row_group.column(at).uncompressed_size().max(0));
        let plain = usize::try_from(sizes.fold(0i64, i64::saturating_add)).unwrap_or(usize::MAX);
        (plain / self.rows(group).max(1)).saturating_add(1 + 16 * names.len() + made.row_bytes())
    }

    fn leaves(&self, made: &Made) -> Vec<usize> {
        let columns = self.typed.schema().fields().iter().enumerate();
        columns.filter(|(_, column)| made.reads(column.name())).map(|(at, _)| at).collect()
    }

    /// Some columns of some rows of a row group, so many rows at a time. A column the segment has not is left out.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn read(
        &self,
        group: usize,
        picked: &Picked,
        names: &[&str],
        batch_rows: usize,
    ) -> Result<SpanBatches, ReadError> {
        let selection = picked.as_ref().map(|rows| RowSelection::from_boolean_buffer(rows.clone()));
        let made = self.made(names);
        let chosen = self.leaves(&made);
        let file = self.ahead(group, &chosen, selection.as_ref());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.typed.clone())
            .with_row_groups(vec![group])
            .with_projection(ProjectionMask::leaves(self.typed.parquet_schema(), chosen))
            .with_batch_size(batch_rows.max(1));
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        CheckedFile::forget_failure();
        let reader = builder.build().map_err(|error| self.footer.file.error(error))?;
        Ok(SpanBatches { footer: Arc::clone(&self.footer), reader, made: Box::new(made) })
    }

    fn ahead(&self, group: usize, chosen: &[usize], selection: Option<&RowSelection>) -> Ahead {
        let wanted = wanted(self.typed.metadata(), group, chosen, selection);
        Ahead::new(self.footer.file.clone(), vec![wanted])
    }

    /// Those of the rows that may hold bytes of this form in a column that is not written as numbers: all rows of a page
    /// in which they stand somewhere. `go_on` is asked before each page.
    ///
    /// # Errors
    /// It cannot be read, or is damaged; what `go_on` says.
    pub fn sift<E: From<ReadError>>(
        &self,
        group: usize,
        picked: &Picked,
        name: &str,
        form: &Regex,
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<Picked, E> {
        let metadata = self.typed.metadata();
        // One that is made of several has them in none of its pages as they are.
        let [leaf] = self.leaves(&self.made(&[name]))[..] else { return Ok(picked.clone()) };
        if self.typed.schema().field(leaf).name() != name {
            return Ok(picked.clone());
        }
        let Some(pages) = metadata.offset_index().and_then(|index| index.get(group)?.get(leaf)) else {
            return Ok(picked.clone());
        };
        let pages = pages.page_locations();
        let rows = self.rows(group);
        let selection = picked.as_ref().map(|rows| RowSelection::from_boolean_buffer(rows.clone()));
        let file = Arc::new(self.ahead(group, &[leaf], selection.as_ref()));
        let failed = |error| E::from(self.footer.file.error(error));
        CheckedFile::forget_failure();
        let column = metadata.row_group(group).column(leaf);
        let mut reader = SerializedPageReader::new(file, column, rows, Some(pages.clone())).map_err(failed)?;
        // Skipping the first page would skip only the dictionary, and each page be taken for the one behind it.
        if reader.peek_next_page().map_err(failed)?.is_some_and(|page| page.is_dict) {
            reader.skip_next_page().map_err(failed)?;
        }
        let mut kept = vec![false; rows];
        let first_of =
            |at: usize| pages.get(at).map_or(rows, |page| usize::try_from(page.first_row_index).unwrap_or(rows));
        for at in 0..pages.len() {
            let (first, end) = (first_of(at).min(rows), first_of(at + 1).min(rows));
            let is_asked = picked.as_ref().is_none_or(|rows| rows.slice(first, end - first).count_set_bits() > 0);
            if !is_asked {
                reader.skip_next_page().map_err(failed)?;
                continue;
            }
            go_on()?;
            let page = reader.get_next_page().map_err(failed)?;
            let may_hold = page.is_none_or(|page| page.encoding() != Encoding::PLAIN || form.is_match(page.buffer()));
            if may_hold {
                kept[first..end].fill(true);
            }
        }
        let kept = BooleanBuffer::from(kept);
        Ok(Some(match picked {
            Some(rows) => rows & &kept,
            None => kept,
        }))
    }
}

/// The bytes that reading these columns of a row group asks for.
pub(super) fn wanted(
    metadata: &ParquetMetaData,
    group: usize,
    chosen: &[usize],
    selection: Option<&RowSelection>,
) -> ahead::Wanted {
    let row_group = metadata.row_group(group);
    let pages = metadata.offset_index().and_then(|index| index.get(group));
    let mut columns = Vec::new();
    for leaf in chosen {
        let mut ranges = Vec::new();
        let (start, length) = row_group.column(*leaf).byte_range();
        let locations = pages.and_then(|pages| pages.get(*leaf)).map(|pages| pages.page_locations());
        match (selection, locations) {
            (Some(selection), Some(locations)) if !locations.is_empty() => {
                let first = u64::try_from(locations[0].offset).unwrap_or(start);
                let found = selection.scan_ranges(locations);
                if !found.is_empty() {
                    // The dictionary stands before the first page.
                    ranges.push(start..first);
                }
                ranges.extend(found);
            }
            _ => ranges.push(start..start.saturating_add(length)),
        }
        columns.push(ranges);
    }
    ahead::Wanted::new(columns)
}

/// The columns of a file with their texts as numbers of a dictionary, where every page is written so; else as views.
fn schema(metadata: &ArrowReaderMetadata) -> Schema {
    let groups = metadata.metadata().row_groups();
    let is_by_numbers = |leaf: usize| {
        groups.iter().all(|group| {
            let column = group.column(leaf);
            let only = |mask: &parquet::basic::EncodingMask| {
                mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY)
            };
            column.dictionary_page_offset().is_some() && column.page_encoding_stats_mask().is_some_and(only)
        })
    };
    let columns = metadata.schema().fields().iter().enumerate().map(|(leaf, column)| {
        let of = match column.data_type() {
            DataType::Utf8 if is_by_numbers(leaf) => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            DataType::Utf8 => DataType::Utf8View,
            DataType::Binary => DataType::BinaryView,
            other => other.clone(),
        };
        column.as_ref().clone().with_data_type(of)
    });
    Schema::new_with_metadata(columns.collect::<Vec<_>>(), metadata.schema().metadata().clone())
}

/// See [`Spans::read`].
pub(crate) struct SpanBatches {
    footer: Arc<Footer>,
    reader: ParquetRecordBatchReader,
    made: Box<Made>,
}

impl Iterator for SpanBatches {
    type Item = Result<RecordBatch, ReadError>;

    fn next(&mut self) -> Option<Result<RecordBatch, ReadError>> {
        CheckedFile::forget_failure();
        let batch = self.reader.next()?.and_then(|batch| self.made.table(batch));
        Some(batch.map_err(|error| self.footer.file.arrow_error(error)))
    }
}
