//! Writes a segment. In: events of one dataset. Out: two durable files and the [`SegmentMeta`] for the
//! manifest. Rows stand in order of `@timestamp`, then `Seq`.

use std::borrow::Borrow;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

use nhatle_event::{Field, Kind, Stored};

use super::columns::{ATTRS, CREATED, INGESTED, ORIGINAL, OUTLINE, REST, SEQ, TIMESTAMP, Tables};
use super::fine::FineWriter;
use super::frequent::{self, Census, Frequent};
use super::kinds::Noting;
use super::merge::Summary;
use super::meta::{SegmentMeta, Tier, WriteOptions, write_file};
use super::object::ObjectWriter;
use super::outline::Outlined;
use super::text_index::IndexBuilder;
use super::{INDEX_FILE, ROWS_FILE};
use crate::disk::{Disk, join};
use crate::error::WriteError;
use crate::memtable::Row;
use crate::proof::canonical::Hashed;

/// How many rows one row group has.
pub const GROUP_ROWS: usize = 65_536;
/// About how many rows one page of a column of long texts has; a sparse fetch reads whole pages.
pub const PAGE_ROWS: usize = 1024;
/// How many rows one page of any column has at most. A page costs 50 bytes and a call of zstd whatever is in it, and of most
/// columns most rows have no value.
const PAGE_ROWS_MAX: usize = 4096;
/// Pages are cut by their bytes, too: of numbers, of texts, of texts that hardly repeat ([`PAGE_ROWS`] lines of a usual length).
const NUMBER_PAGE_BYTES: usize = 8 << 10;
const PAGE_BYTES: usize = 64 << 10;
const TEXT_PAGE_BYTES: usize = 128 << 10;
const ORIGINAL_PAGE_BYTES: usize = 384 << 10;
/// How many rows, and how many bytes in the log, are decoded at a time: so few that they stay in the caches while tables,
/// index and hashes are made of them.
const STEP_ROWS: usize = 256;
const STEP_BYTES: usize = 8 << 20;
/// How many rows, and about how many bytes as received, one Arrow table has. Two of them are in memory.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 64 << 20;

/// The level of zstd.
const RECENT_LEVEL: i32 = 3;
/// ADR 29 has the measurement: 15 is 1.3 % smaller and takes 3.4 times as long.
const ARCHIVE_LEVEL: i32 = 12;

/// The version of the rows, in the metadata of the file.
pub const VERSION_KEY: &str = "nhatle.version";
/// The version of the rows written now.
pub const ROWS_VERSION: &str = "3";
/// The version before: the bytes as received are whole in each row.
pub const ROWS_VERSION_2: &str = "2";
/// The first version: a column of the hash of `event.original`, and no columns but those of the field table.
pub const ROWS_VERSION_1: &str = "1";
/// The fields with a column that have values in `attrs`, as a JSON array, in the metadata of the file.
pub const SPILLED_KEY: &str = "nhatle.attrs_columns";
/// The fields that have a column in this segment though the field table gives them none, as a JSON array, in the metadata
/// of the file.
pub const FREQUENT_KEY: &str = "nhatle.frequent_columns";
/// Which columns the rows of a kind have values in ([`super::kinds`]), as JSON, in the metadata of the file.
pub const KINDS_KEY: &str = "nhatle.kinds";

/// What outlines of the bytes as received name ([`Outlined`]), as JSON, in the metadata of the file.
pub const OUTLINES_KEY: &str = "nhatle.outlines";

/// Writes `events` (of one dataset, at least one, in any order) as a segment into the folder `dir`, which is there and
/// empty, durably.
///
/// # Errors
/// What the disk says, or an event that cannot be given the form.
pub fn write<E: Borrow<Stored>>(
    disk: &dyn Disk,
    dir: &str,
    events: &[E],
    options: &WriteOptions,
) -> Result<SegmentMeta, WriteError> {
    let mut sorted: Vec<&Stored> = events.iter().map(Borrow::borrow).collect();
    sorted.sort_unstable_by_key(|stored| (stored.event.timestamp, stored.seq));
    let mut census = Census::default();
    frequent::sample(sorted.len()).for_each(|at| census.add(&sorted[at].event));
    let frequent = census.choose(sorted.len());
    let mut batches = sorted.chunks(STEP_ROWS);
    let next = || batches.next().unwrap_or_default().iter().map(|stored| (*stored).clone()).collect();
    write_in_steps(disk, dir, options, frequent, next)
}

/// Writes rows of the memtable (of one dataset, at least one, in the order of rows) as a segment into the folder `dir`,
/// which is there and empty, durably. They are decoded some at a time and written as they come: memory holds those, the
/// columns of a row group, compressed, and the growing index. A few are decoded before, to see what fields there are.
///
/// # Errors
/// What the disk says, or an event that cannot be given the form.
pub fn write_rows(
    disk: &dyn Disk,
    dir: &str,
    rows: &[Row<'_>],
    options: &WriteOptions,
) -> Result<SegmentMeta, WriteError> {
    let mut census = Census::default();
    frequent::sample(rows.len()).for_each(|at| census.add(&rows[at].stored().event));
    let frequent = census.choose(rows.len());
    let mut rest = rows;
    let next = || {
        let mut bytes = 0;
        let fits = |row: &&Row<'_>| {
            let is_room = bytes < STEP_BYTES;
            bytes += row.bytes();
            is_room
        };
        let (now, later) = rest.split_at(rest.iter().take(STEP_ROWS).take_while(fits).count());
        rest = later;
        now.par_iter().map(Row::stored).collect()
    };
    write_in_steps(disk, dir, options, frequent, next)
}

/// `next` gives the rows in their order, some at a time; none is the end.
fn write_in_steps(
    disk: &dyn Disk,
    dir: &str,
    options: &WriteOptions,
    frequent: Vec<Frequent>,
    mut next: impl FnMut() -> Vec<Stored> + Send,
) -> Result<SegmentMeta, WriteError> {
    let unwritable = |name: &str, reason: String| WriteError::Unwritable { file: join(dir, name), reason };
    let object = ObjectWriter::create(disk, dir, ROWS_FILE)?;
    let (failure, rows_path) = (object.failure(), join(dir, ROWS_FILE));
    let parquet_failed = |error: parquet::errors::ParquetError| failure.error(&rows_path, error.to_string());
    let mut rows = RowsWriter::new(object, options.tier, frequent).map_err(parquet_failed)?;
    let (mut index, mut summary) = (IndexBuilder::default(), Summary::default());
    // A table is written while the next one is made.
    let mut table = None;
    loop {
        let RowsWriter { writer, tables, kinds, .. } = &mut rows;
        let make = || {
            while !is_full(tables) {
                let events = next();
                if events.is_empty() {
                    break;
                }
                let hashed: Vec<Hashed<'_>> = events.par_iter().map(Hashed::of).collect();
                let to_table = || events.iter().for_each(|stored| tables.add(stored));
                let to_index = || events.iter().for_each(|stored| index.add(&stored.event));
                let to_summary = || hashed.iter().for_each(|hashed| summary.add(hashed));
                rayon::join(to_index, || rayon::join(to_table, to_summary));
            }
            (0 < tables.rows()).then(|| tables.finish()).transpose()
        };
        let write = || table.take().map_or(Ok(()), |table| write_table(writer, kinds, &table));
        let (made, written) = rayon::join(make, write);
        written.map_err(parquet_failed)?;
        table = made.map_err(|error| parquet_failed(error.into()))?;
        if table.is_none() {
            break;
        }
    }
    let (rows, index) = rayon::join(|| rows.finish(), || index.finish());
    let rows = rows.map_err(parquet_failed)?.finish(disk)?;
    let index = write_file(disk, dir, INDEX_FILE, &index.map_err(|reason| unwritable(INDEX_FILE, reason))?)?;
    let meta = summary.meta(options, dir, vec![rows, index], Vec::new());
    meta.ok_or_else(|| unwritable("", "no events".to_owned()))
}

/// Checksums of small blocks of the row groups ([`super::fine`]), in the metadata of the file.
pub const FINE_KEY: &str = "nhatle.crc32c";

/// Writes rows, given in their order, some at a time.
pub struct RowsWriter<W: std::io::Write + Send> {
    writer: ArrowWriter<FineWriter<W>>,
    tables: Tables,
    kinds: Noting,
    /// See [`RowsWriter::spill`].
    spilled: Vec<String>,
    /// See [`RowsWriter::outline`].
    outlined: Outlined,
}

fn write_table<W: std::io::Write + Send>(
    writer: &mut ArrowWriter<W>,
    kinds: &mut Noting,
    table: &RecordBatch,
) -> parquet::errors::Result<()> {
    kinds.add(table);
    writer.write(table)
}

/// The table has as much as one may have.
fn is_full(tables: &Tables) -> bool {
    BATCH_ROWS <= tables.rows() || BATCH_BYTES <= tables.original_bytes()
}

impl<W: std::io::Write + Send> RowsWriter<W> {
    /// Begins a file in which these fields have columns beside those of the field table.
    ///
    /// # Errors
    /// What Parquet says.
    pub fn new(to: W, tier: Tier, frequent: Vec<Frequent>) -> parquet::errors::Result<RowsWriter<W>> {
        let properties = properties(tier, &frequent)?;
        let tables = Tables::new(frequent);
        let writer = ArrowWriter::try_new(FineWriter::new(to), tables.schema().clone(), Some(properties))?;
        let (spilled, outlined) = (Vec::new(), Outlined::default());
        Ok(RowsWriter { writer, tables, kinds: Noting::default(), spilled, outlined })
    }

    /// The columns of the file.
    pub fn schema(&self) -> &SchemaRef {
        self.tables.schema()
    }

    /// Adds these rows behind those before.
    ///
    /// # Errors
    /// What Parquet says.
    pub fn push(&mut self, events: &[Hashed<'_>]) -> parquet::errors::Result<()> {
        for hashed in events {
            self.tables.add(hashed.stored);
            if is_full(&self.tables) {
                self.end_table()?;
            }
        }
        Ok(())
    }

    fn end_table(&mut self) -> parquet::errors::Result<()> {
        if 0 < self.tables.rows() {
            let table = self.tables.finish()?;
            write_table(&mut self.writer, &mut self.kinds, &table)?;
        }
        Ok(())
    }

    /// Adds a table of the file's columns behind those before, as it is.
    ///
    /// # Errors
    /// What Parquet says.
    pub fn push_table(&mut self, table: &RecordBatch) -> parquet::errors::Result<()> {
        self.end_table()?;
        write_table(&mut self.writer, &mut self.kinds, table)
    }

    /// Says that fields of these names have a column, or the name of one, and yet values in `attrs` of tables that are
    /// added as they are.
    pub fn spill(&mut self, names: Vec<String>) {
        let new: Vec<String> = names.into_iter().filter(|name| !self.spilled.contains(name)).collect();
        self.spilled.extend(new);
    }

    /// Says what outlines name in tables that are added as they are.
    pub fn outline(&mut self, outlined: Outlined) {
        self.outlined.join(outlined);
    }

    /// Ends the file and gives back what it was written to.
    ///
    /// # Errors
    /// What Parquet says.
    pub fn finish(mut self) -> parquet::errors::Result<W> {
        self.end_table()?;
        self.spill(self.tables.spilled().iter().map(|field| field.name().to_owned()).collect());
        let outlines = self.tables.outlines();
        let (fields, bytes) = (outlines.names().map(str::to_owned).collect(), outlines.outlined_bytes());
        self.outlined.join(Outlined { fields, bytes });
        let frequent: Vec<&str> = self.tables.frequent().iter().map(|one| one.field.name()).collect();
        let json = |names: serde_json::Result<String>| {
            names.map_err(|error| parquet::errors::ParquetError::External(error.into()))
        };
        let frequent = json(serde_json::to_string(&frequent))?;
        let spilled = json(serde_json::to_string(&self.spilled))?;
        let kinds = json(self.kinds.end().to_json())?;
        let outlined = json(serde_json::to_string(&self.outlined))?;
        let version = ROWS_VERSION.to_owned();
        for (key, value) in [
            (VERSION_KEY, version),
            (SPILLED_KEY, spilled),
            (FREQUENT_KEY, frequent),
            (KINDS_KEY, kinds),
            (OUTLINES_KEY, outlined),
        ] {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        // All row groups are in the file then, and what stands behind them is read whole.
        self.writer.flush()?;
        self.writer.sync()?;
        let fine = self.writer.inner().text();
        self.writer.append_key_value_metadata(KeyValue::new(FINE_KEY.to_owned(), fine));
        self.writer.into_inner().map(FineWriter::into_inner)
    }
}

pub(super) fn properties(tier: Tier, frequent: &[Frequent]) -> parquet::errors::Result<WriterProperties> {
    let level = match tier {
        Tier::Recent => RECENT_LEVEL,
        Tier::Archive => ARCHIVE_LEVEL,
    };
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let mut builder = WriterProperties::builder()
        .set_created_by("nhatle segment 3".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for name in [SEQ, TIMESTAMP, CREATED, INGESTED] {
        builder = builder
            .set_column_data_page_size_limit(path(name), NUMBER_PAGE_BYTES)
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(path(name), EnabledStatistics::Page);
    }
    // A sparse fetch would decode a whole dictionary of texts that hardly repeat.
    let message = Field::MESSAGE.name();
    builder = builder.set_column_statistics_enabled(path(OUTLINE), EnabledStatistics::None);
    for (name, page_bytes) in
        [(ORIGINAL, ORIGINAL_PAGE_BYTES), (REST, TEXT_PAGE_BYTES), (ATTRS, TEXT_PAGE_BYTES), (message, TEXT_PAGE_BYTES)]
    {
        builder = builder
            .set_column_data_page_size_limit(path(name), page_bytes)
            .set_column_dictionary_enabled(path(name), false)
            .set_column_statistics_enabled(path(name), EnabledStatistics::None);
    }
    for one in frequent {
        let name = || path(one.field.name());
        if !one.is_repeating {
            builder = builder.set_column_dictionary_enabled(name(), false);
        }
        if !one.is_repeating && one.kind == Kind::Long {
            builder = builder.set_column_encoding(name(), Encoding::DELTA_BINARY_PACKED);
        }
    }
    Ok(builder.build())
}
