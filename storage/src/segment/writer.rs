//! Writes a segment. In: events of one dataset. Out: two durable files and the [`SegmentMeta`] for the
//! manifest. Rows stand in order of `@timestamp`, then `Seq`.

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use nhatle_event::{Field, Stored};

use super::columns::{self, ATTRS, CREATED, HASH, INGESTED, ORIGINAL, SEQ, TIMESTAMP};
use super::meta::{SegmentMeta, Tier, WriteOptions, write_file};
use super::{INDEX_FILE, ROWS_FILE, text_index};
use crate::disk::{Disk, join};
use crate::error::WriteError;

/// How many rows one row group has.
pub const GROUP_ROWS: usize = 65_536;
/// How many rows one page of a column has; a sparse fetch reads whole pages.
pub const PAGE_ROWS: usize = 1024;
/// How many rows, and how many bytes as received, one Arrow table has.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 128 << 20;

/// The level of zstd.
const RECENT_LEVEL: i32 = 3;
const ARCHIVE_LEVEL: i32 = 15;

/// The version of the rows, in the metadata of the file.
pub const VERSION_KEY: &str = "nhatle.version";
/// The fields with a column that have values in `attrs`, as a JSON array, in the metadata of the file.
pub const SPILLED_KEY: &str = "nhatle.attrs_columns";

/// Writes `events` (of one dataset, at least one) as a segment into the folder `dir`, which is there and
/// empty, durably.
///
/// # Errors
/// What the disk says, or an event that cannot be given the form.
pub fn write(disk: &dyn Disk, dir: &str, events: &[Stored], options: &WriteOptions) -> Result<SegmentMeta, WriteError> {
    let mut sorted: Vec<&Stored> = events.iter().collect();
    sorted.sort_by_key(|stored| (stored.event.timestamp, stored.seq));
    let unwritable = |name: &str, reason: String| WriteError::Unwritable { file: join(dir, name), reason };
    let (rows, index) = rayon::join(|| rows(&sorted, options.tier), || text_index::build(&sorted));
    let rows = rows.map_err(|error| unwritable(ROWS_FILE, error.to_string()))?;
    let index = index.map_err(|reason| unwritable(INDEX_FILE, reason))?;
    let files = vec![write_file(disk, dir, ROWS_FILE, &rows)?, write_file(disk, dir, INDEX_FILE, &index)?];
    SegmentMeta::of(options.dataset, dir, events, files).ok_or_else(|| unwritable("", "no events".to_owned()))
}

fn rows(events: &[&Stored], tier: Tier) -> parquet::errors::Result<Vec<u8>> {
    let mut writer = RowsWriter::new(Vec::new(), tier)?;
    writer.push(events)?;
    writer.finish()
}

/// Writes rows, given in their order, some at a time.
pub struct RowsWriter<W: std::io::Write + Send> {
    writer: ArrowWriter<W>,
    spilled: Vec<Field>,
}

impl<W: std::io::Write + Send> RowsWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What Parquet says.
    pub fn new(to: W, tier: Tier) -> parquet::errors::Result<RowsWriter<W>> {
        let writer = ArrowWriter::try_new(to, columns::SCHEMA.clone(), Some(properties(tier)?))?;
        Ok(RowsWriter { writer, spilled: Vec::new() })
    }

    /// Adds these rows behind those before.
    ///
    /// # Errors
    /// What Parquet says.
    pub fn push(&mut self, events: &[&Stored]) -> parquet::errors::Result<()> {
        let mut rest = events;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |stored: &&&Stored| {
                let is_room = bytes < BATCH_BYTES;
                bytes += stored.event.original.len();
                is_room
            };
            let count = rest.iter().take(BATCH_ROWS).take_while(fits).count().max(1);
            let (batch, more) = columns::to_batch(&rest[..count])?;
            let new: Vec<Field> = more.into_iter().filter(|field| !self.spilled.contains(field)).collect();
            self.spilled.extend(new);
            self.writer.write(&batch)?;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Ends the file and gives back what it was written to.
    ///
    /// # Errors
    /// What Parquet says.
    pub fn finish(mut self) -> parquet::errors::Result<W> {
        let names: Vec<&str> = self.spilled.iter().map(|field| field.name()).collect();
        let names =
            serde_json::to_string(&names).map_err(|error| parquet::errors::ParquetError::External(error.into()))?;
        self.writer.append_key_value_metadata(KeyValue::new(VERSION_KEY.to_owned(), "1".to_owned()));
        self.writer.append_key_value_metadata(KeyValue::new(SPILLED_KEY.to_owned(), names));
        self.writer.into_inner()
    }
}

fn properties(tier: Tier) -> parquet::errors::Result<WriterProperties> {
    let level = match tier {
        Tier::Recent => RECENT_LEVEL,
        Tier::Archive => ARCHIVE_LEVEL,
    };
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let mut builder = WriterProperties::builder()
        .set_created_by("nhatle segment 1".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for name in [SEQ, TIMESTAMP, CREATED, INGESTED] {
        builder = builder
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    // A sparse fetch would decode a whole dictionary of texts that hardly repeat.
    for name in [ORIGINAL, HASH, ATTRS, Field::MESSAGE.name()] {
        builder = builder
            .set_column_dictionary_enabled(path(name), false)
            .set_column_statistics_enabled(path(name), EnabledStatistics::None);
    }
    Ok(builder.build())
}
