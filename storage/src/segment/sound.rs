//! Whether what the footer of a file of rows says can be: a damaged or made-up file may carry right checksums, and readers
//! take sizes, places and counts of it for what they allocate, divide by and cut out. In: the footer, as Parquet read it.
//! Out: nothing, or what cannot be. Asked once for each footer that is read. Source: parquet.thrift of Apache Parquet 2.11.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;

use super::writer::GROUP_ROWS;

/// A segment has fewer rows than this: what is made of rows has numbers of 32 bits.
const ROWS_MAX: i64 = u32::MAX as i64;

/// The footer of a file of so many bytes.
///
/// # Errors
/// What it says cannot be; the reason.
pub fn check(metadata: &ParquetMetaData, file_bytes: u64) -> Result<(), String> {
    let mut rows = 0i64;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let count = group.num_rows();
        if !(0..=GROUP_ROWS as i64).contains(&count) {
            return Err(format!("row group {number} of {count} rows"));
        }
        rows = rows.saturating_add(count);
        for (leaf, column) in group.columns().iter().enumerate() {
            let of = |what| format!("column {leaf} of row group {number} {what}");
            check_column(column, file_bytes).map_err(of)?;
            let pages = metadata.offset_index().and_then(|index| index.get(number)?.get(leaf));
            if let Some(pages) = pages {
                check_pages(pages.page_locations(), count, file_bytes).map_err(of)?;
            }
        }
    }
    let said = metadata.file_metadata().num_rows();
    if rows != said || ROWS_MAX < rows {
        return Err(format!("{said} rows in row groups that have {rows}"));
    }
    Ok(())
}

fn check_column(column: &ColumnChunkMetaData, file_bytes: u64) -> Result<(), String> {
    let first = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    if !is_inside(first, column.compressed_size(), file_bytes) || !is_inside(column.data_page_offset(), 0, file_bytes) {
        return Err(format!("stands at {first} with {} bytes", column.compressed_size()));
    }
    if column.uncompressed_size() < 0 || column.num_values() < 0 {
        return Err(format!("has {} values of {} bytes", column.num_values(), column.uncompressed_size()));
    }
    Ok(())
}

/// Pages follow each other, and the first row of one is behind that of the page before.
fn check_pages(pages: &[PageLocation], rows: i64, file_bytes: u64) -> Result<(), String> {
    let mut before = -1;
    for (number, page) in pages.iter().enumerate() {
        let is_next = before < page.first_row_index && page.first_row_index < rows.max(1);
        let is_first = number != 0 || page.first_row_index == 0;
        if !is_next || !is_first || !is_inside(page.offset, page.compressed_page_size.into(), file_bytes) {
            return Err(format!("has page {number} at {} from row {}", page.offset, page.first_row_index));
        }
        before = page.first_row_index;
    }
    Ok(())
}

fn is_inside(offset: i64, length: i64, file_bytes: u64) -> bool {
    let (Ok(offset), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else { return false };
    offset.checked_add(length).is_some_and(|end| end <= file_bytes)
}
