//! Reads a segment: its rows by number or by `Seq`, its times, its index. What was opened is kept for the
//! next query in caches of a bounded size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use nhatle_event::field::{Storage, TABLE};
use nhatle_event::{Field, Seq, Stored, Text, Timestamp};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::Length;

use super::ahead::Ahead;
use super::bundle::Bundle;
use super::cache::Cache;
use super::checked_file::CheckedFile;
use super::columns::{self, ATTRS, CREATED, HASH, INGESTED, ORIGINAL, OUTLINE, REST, SEQ, TIMESTAMP};
use super::erased::Erased;
use super::fine::Fine;
use super::frequent::Frequent;
use super::kinds::Kinds;
use super::meta::{SEGMENT_VERSION, SegmentMeta};
use super::outline::Outlined;
use super::pick::{self, pick};
use super::recent::{Recent, event_bytes};
use super::row_keys::RowKeys;
use super::spans::wanted;
use super::text_index::TextIndex;
use super::words::has_key;
use super::writer::{
    FINE_KEY, FREQUENT_KEY, GROUP_ROWS, KINDS_KEY, OUTLINES_KEY, ROWS_VERSION, ROWS_VERSION_1, ROWS_VERSION_2,
    SPILLED_KEY, VERSION_KEY,
};
use super::{INDEX_FILE, ROWS_FILE};
use crate::disk::Disk;
use crate::error::ReadError;

const FOOTERS_BYTES_MAX: usize = 64 << 20;
const KEYS_BYTES_MAX: usize = 128 << 20;
const INDEXES_BYTES_MAX: usize = 256 << 20;
/// Some thousand events: those of the pages of results that were looked at last.
const ROWS_BYTES_MAX: usize = 16 << 20;
/// What is fetched by more rows at a time is gone through once, and nothing of it kept.
const KEPT_ROWS_MAX: usize = 128;
/// How many rows are decoded at a time.
pub(super) const BATCH_ROWS: usize = 8192;
/// So many columns are read in pieces larger than a page where every row is.
const FEW_COLUMNS: usize = 4;

static FOOTERS: Cache<Footer> = Cache::new(FOOTERS_BYTES_MAX);
static KEYS: Cache<RowKeys> = Cache::new(KEYS_BYTES_MAX);
static INDEXES: Cache<TextIndex> = Cache::new(INDEXES_BYTES_MAX);
/// Whole events, by the number of the segment and the row.
static ROWS: Recent<(u64, usize), Stored> = Recent::new(ROWS_BYTES_MAX);
static NUMBERS: AtomicU64 = AtomicU64::new(0);

pub(super) struct Footer {
    pub file: CheckedFile,
    pub metadata: ArrowReaderMetadata,
    /// The same with other types of columns, made when first asked for ([`super::spans`]).
    pub by_numbers: OnceLock<ArrowReaderMetadata>,
    /// The number of the segment.
    pub number: u64,
    /// The fields with a column, or the name of one but for its case, that have values in `attrs` too.
    pub spilled: Vec<String>,
    /// The fields with a column of their own in this segment.
    pub frequent: Vec<String>,
    /// Which columns the rows of a kind have; none in a segment of before.
    pub kinds: Kinds,
    /// What outlines of the bytes as received name; `None` in a segment of before, which has none.
    pub outlines: Option<Outlined>,
}

/// Which part of the rows is read.
#[derive(Clone, Copy, Debug)]
pub enum Projection<'a> {
    /// The whole events.
    All,
    /// The values of the fields of these keys, with `Seq` and `@timestamp`.
    Keys(&'a [Text]),
    /// All fields, without the bytes as received, their hash, and the times but `@timestamp`.
    Fields,
    /// The fields that the field table gives no column.
    Others,
}

/// A sealed segment, open for reading. Opening one reads nothing yet but the length of its rows.
pub struct Segment {
    disk: Arc<dyn Disk>,
    meta: SegmentMeta,
    number: u64,
}

impl Segment {
    /// Opens it.
    ///
    /// # Errors
    /// It is of a version this program does not know, or its files are not there.
    pub fn open(disk: Arc<dyn Disk>, meta: &SegmentMeta) -> Result<Segment, ReadError> {
        if meta.version != SEGMENT_VERSION {
            let reason = format!("a segment of version {}", meta.version);
            return Err(ReadError::Unreadable { file: meta.dir.clone(), reason });
        }
        CheckedFile::open(disk.clone(), meta, ROWS_FILE)?;
        Ok(Segment { disk, meta: meta.clone(), number: NUMBERS.fetch_add(1, Ordering::Relaxed) })
    }

    /// Forgets what is kept of its events in memory: it was written anew because something was erased from them (ADR 38), or it goes.
    pub fn forget_events(&self) {
        ROWS.forget(|(number, _)| *number == self.number);
        pick::forget(self.number);
        crate::sql::forget(self.number);
    }

    /// Its number in this process; no other segment ever has it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What is known of it without opening it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// How many rows it has.
    pub fn row_count(&self) -> usize {
        usize::try_from(self.meta.row_count).unwrap_or(usize::MAX)
    }

    /// All its events, in the order of rows.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn rows(&self) -> Result<Vec<Stored>, ReadError> {
        self.decode(None, Projection::All)
    }

    /// The events of these rows (ascending, each once), in that order.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn fetch(&self, rows: &[usize], projection: Projection<'_>) -> Result<Vec<Stored>, ReadError> {
        match projection {
            _ if rows.is_empty() => Ok(Vec::new()),
            Projection::All if rows.len() <= KEPT_ROWS_MAX => self.fetch_and_keep(rows),
            _ => self.decode(Some(rows), projection),
        }
    }

    /// Whole events, which are kept: who found some looks at one of them next, or asks for the same again.
    fn fetch_and_keep(&self, rows: &[usize]) -> Result<Vec<Stored>, ReadError> {
        let kept: Vec<Option<Arc<Stored>>> = rows.iter().map(|row| ROWS.get((self.number, *row))).collect();
        let missing = rows.iter().zip(&kept).filter(|(_, kept)| kept.is_none());
        let missing: Vec<usize> = missing.map(|(row, _)| *row).collect();
        let read = if missing.is_empty() { Vec::new() } else { self.decode(Some(&missing), Projection::All)? };
        for (row, stored) in missing.iter().zip(&read) {
            ROWS.put((self.number, *row), Arc::new(stored.clone()), event_bytes(stored));
        }
        let mut read = read.into_iter();
        Ok(kept.into_iter().filter_map(|kept| kept.map(|one| (*one).clone()).or_else(|| read.next())).collect())
    }

    /// The event of this `Seq`.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn get(&self, seq: Seq) -> Result<Option<Stored>, ReadError> {
        if !(self.meta.first_seq..=self.meta.last_seq).contains(&seq) {
            return Ok(None);
        }
        match self.keys()?.row_of(seq) {
            Some(row) => Ok(self.fetch(&[row], Projection::All)?.pop()),
            None => Ok(None),
        }
    }

    /// Times and `Seq`s of all rows.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn keys(&self) -> Result<Arc<RowKeys>, ReadError> {
        KEYS.get(self.number, || {
            let footer = self.footer()?;
            let mut keys = RowKeys::default();
            for batch in self.batches(&footer, None, footer.named(&[SEQ, TIMESTAMP]))? {
                let column = |name: &str| batch.column_by_name(name);
                let seqs = column(SEQ).and_then(|array| array.as_primitive_opt::<UInt64Type>());
                let stamps = column(TIMESTAMP).and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>());
                let (Some(seqs), Some(stamps)) = (seqs, stamps) else {
                    return Err(footer.file.unreadable("no column of Seq or time".to_owned()));
                };
                keys.seqs.extend_from_slice(seqs.values());
                keys.timestamps.extend_from_slice(stamps.values());
            }
            if keys.len() != self.row_count() || !keys.timestamps.is_sorted() {
                return Err(footer.file.unreadable("its rows are not those of the manifest in order".to_owned()));
            }
            let bytes = keys.len() * 16;
            Ok((keys, bytes))
        })
    }

    /// The first row that is not before this moment. Where the manifest says it, nothing is read.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn first_at(&self, stamp: Timestamp) -> Result<usize, ReadError> {
        match stamp {
            _ if stamp <= self.meta.timestamp_min => Ok(0),
            _ if self.meta.timestamp_max < stamp => Ok(self.row_count()),
            _ => Ok(self.keys()?.first_at(stamp)),
        }
    }

    /// The names of fields that have a column, or the name of one, and yet values in `attrs`.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn spilled(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.footer()?.spilled.clone())
    }

    /// What its outlines name; `None` in one of a version without such.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn outlines(&self) -> Result<Option<Outlined>, ReadError> {
        Ok(self.footer()?.outlines.clone())
    }

    /// The fields with a column of their own in this segment; `None` in one of a version without such, and where this process
    /// knows too many names.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn frequent(&self) -> Result<Option<Vec<Frequent>>, ReadError> {
        let footer = self.footer()?;
        if said(&footer.metadata, VERSION_KEY) == Some(ROWS_VERSION_1) {
            return Ok(None);
        }
        let groups = footer.metadata.metadata().row_groups();
        let of = |name: &String| {
            let field = Field::intern(name)?;
            let (leaf, column) = footer.metadata.schema().column_with_name(name)?;
            let is_repeating =
                groups.first().is_some_and(|group| group.column(leaf).dictionary_page_offset().is_some());
            Some(Frequent { field, kind: columns::kind_of(field, column.data_type())?, is_repeating })
        };
        Ok(footer.frequent.iter().map(of).collect())
    }

    /// The index is in memory, and how many bytes it has.
    pub fn index_state(&self) -> (bool, u64) {
        (INDEXES.keeps(self.number), self.meta.file(INDEX_FILE).map_or(0, |file| file.bytes))
    }

    /// The index.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn index(&self) -> Result<Arc<TextIndex>, ReadError> {
        INDEXES.get(self.number, || {
            let file = CheckedFile::open(self.disk.clone(), &self.meta, INDEX_FILE)?;
            let length = usize::try_from(Length::len(&file)).unwrap_or(usize::MAX);
            let (bundle, contents) = Bundle::on_disk(file)?;
            let index = TextIndex::over(bundle, contents, self.meta.row_count);
            Ok((index.map_err(|reason| self.index_error(reason))?, length))
        })
    }

    /// What the index said, with the file; what could not be read of the file, where that was why.
    pub fn index_error(&self, reason: String) -> ReadError {
        let file = self.meta.path(INDEX_FILE);
        CheckedFile::take_failure(&file).unwrap_or(ReadError::Unreadable { file, reason })
    }

    pub(super) fn footer(&self) -> Result<Arc<Footer>, ReadError> {
        FOOTERS.get(self.number, || {
            let file = CheckedFile::open(self.disk.clone(), &self.meta, ROWS_FILE)?;
            let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
            let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| file.error(error))?;
            super::sound::check(metadata.metadata(), Length::len(&file)).map_err(|reason| file.unreadable(reason))?;
            let rows = metadata.metadata().file_metadata().num_rows();
            if u64::try_from(rows) != Ok(self.meta.row_count) {
                return Err(file.unreadable(format!("{rows} rows where the manifest has {}", self.meta.row_count)));
            }
            let (has_frequent, has_outlines) = match said(&metadata, VERSION_KEY) {
                Some(ROWS_VERSION) => (true, true),
                Some(ROWS_VERSION_2) => (true, false),
                Some(ROWS_VERSION_1) => (false, false),
                found => {
                    let found = found.unwrap_or("no");
                    let reason = format!("rows of {found} version, this program reads up to {ROWS_VERSION}");
                    return Err(file.unreadable(reason));
                }
            };
            let bytes = metadata.metadata().memory_size();
            let names = |key| names(&metadata, key).map_err(|reason| file.unreadable(reason));
            let spilled = names(SPILLED_KEY)?;
            let frequent = if has_frequent { names(FREQUENT_KEY)? } else { Vec::new() };
            let kinds = match said(&metadata, KINDS_KEY) {
                Some(text) => Kinds::from_json(text).map_err(|reason| file.unreadable(reason))?,
                None => Kinds::default(),
            };
            let outlines = has_outlines.then(|| Outlined::of(said(&metadata, OUTLINES_KEY)));
            let outlines = outlines.transpose().map_err(|reason| file.unreadable(reason))?;
            let (file, fine_bytes) = match said(&metadata, FINE_KEY) {
                Some(text) => {
                    let fine = Fine::from_text(text, Length::len(&file)).map_err(|reason| file.unreadable(reason))?;
                    let bytes = fine.bytes();
                    (file.with_fine(fine), bytes)
                }
                None => (file, 0),
            };
            let bytes = bytes + kinds.bytes() + fine_bytes;
            let (by_numbers, number) = (OnceLock::new(), self.number);
            Ok((Footer { file, metadata, by_numbers, number, spilled, frequent, kinds, outlines }, bytes))
        })
    }

    fn decode(&self, rows: Option<&[usize]>, projection: Projection<'_>) -> Result<Vec<Stored>, ReadError> {
        let footer = self.footer()?;
        let leaves = footer.leaves(projection);
        if let Some(events) = rows.and_then(|rows| pick(&footer, rows, &leaves)) {
            return Ok(events);
        }
        self.decode_tables(&footer, rows, leaves)
    }

    #[cfg(test)]
    pub(super) fn pick_rows(&self, rows: &[usize], leaves: &[usize]) -> Result<Option<Vec<Stored>>, ReadError> {
        Ok(pick(&*self.footer()?, rows, leaves))
    }

    #[cfg(test)]
    pub(super) fn decode_rows(&self, rows: &[usize], leaves: &[usize]) -> Result<Vec<Stored>, ReadError> {
        self.decode_tables(&*self.footer()?, Some(rows), leaves.to_vec())
    }

    /// The events, by Parquet's reader and tables.
    fn decode_tables(
        &self,
        footer: &Footer,
        rows: Option<&[usize]>,
        leaves: Vec<usize>,
    ) -> Result<Vec<Stored>, ReadError> {
        let mut events = Vec::with_capacity(rows.map_or(self.row_count().min(GROUP_ROWS), <[usize]>::len));
        for batch in self.batches(footer, rows, leaves)? {
            events.extend(columns::from_batch(&batch).map_err(|reason| footer.file.unreadable(reason))?);
        }
        if rows.is_some_and(|rows| rows.len() != events.len()) {
            return Err(footer.file.unreadable("fewer rows than asked for".to_owned()));
        }
        Ok(events)
    }

    fn batches(
        &self,
        footer: &Footer,
        rows: Option<&[usize]>,
        leaves: Vec<usize>,
    ) -> Result<Vec<RecordBatch>, ReadError> {
        let reader = self.reader(footer, rows, leaves, BATCH_ROWS)?;
        reader.map(|batch| batch.map_err(|error| footer.file.arrow_error(error))).collect()
    }

    pub(super) fn reader(
        &self,
        footer: &Footer,
        rows: Option<&[usize]>,
        chosen: Vec<usize>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, ReadError> {
        let file = match rows {
            Some(rows) => ahead(footer, rows, &chosen),
            None if chosen.len() <= FEW_COLUMNS => {
                let groups = 0..footer.metadata.metadata().num_row_groups();
                let wanted = groups.map(|group| wanted(footer.metadata.metadata(), group, &chosen, None));
                Ahead::new(footer.file.clone(), wanted.collect())
            }
            // One page of each column after the other, so that memory does not grow with the number of columns.
            None => Ahead::new(footer.file.clone(), Vec::new()),
        };
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.metadata.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), chosen);
        builder = builder.with_projection(mask).with_batch_size(batch_rows);
        CheckedFile::forget_failure();
        if let Some(rows) = rows {
            let ranges = rows.iter().map(|row| *row..row + 1);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, self.row_count()));
        }
        builder.build().map_err(|error| footer.file.error(error))
    }

    /// Of which of its events something was erased.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn erased(&self) -> Result<Erased, ReadError> {
        Erased::read(&*self.disk, &self.meta)
    }

    /// When its first and its last event were committed.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn committed(&self) -> Result<(Timestamp, Timestamp), ReadError> {
        let footer = self.footer()?;
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        for batch in self.batches(&footer, None, footer.named(&[INGESTED]))? {
            let column = batch.column_by_name(INGESTED);
            let Some(stamps) = column.and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>()) else {
                return Err(footer.file.unreadable("no column of the time of commit".to_owned()));
            };
            first = stamps.values().iter().copied().fold(first, i64::min);
            last = stamps.values().iter().copied().fold(last, i64::max);
        }
        Ok((Timestamp(first), Timestamp(last)))
    }
}

/// The file with the pages of these rows (ascending) joined where they lie close together, so that a row costs few reads,
/// not one a column.
fn ahead(footer: &Footer, rows: &[usize], chosen: &[usize]) -> Ahead {
    let metadata = footer.metadata.metadata();
    let mut groups = Vec::new();
    let (mut begin, mut rest) = (0, rows);
    for (group, of) in metadata.row_groups().iter().enumerate() {
        let count = usize::try_from(of.num_rows()).unwrap_or(0);
        let (here, behind) = rest.split_at(rest.partition_point(|row| *row < begin + count));
        if !here.is_empty() {
            let ranges = here.iter().map(|row| row - begin..row - begin + 1);
            let selection = RowSelection::from_consecutive_ranges(ranges, count);
            groups.push(wanted(metadata, group, chosen, Some(&selection)));
        }
        (begin, rest) = (begin + count, behind);
    }
    Ahead::new(footer.file.clone(), groups)
}

impl Drop for Segment {
    fn drop(&mut self) {
        FOOTERS.forget(self.number);
        KEYS.forget(self.number);
        INDEXES.forget(self.number);
        self.forget_events();
    }
}

/// How many rows and dictionaries of the segment of this number are kept.
#[cfg(test)]
pub fn kept_of(number: u64) -> [usize; 2] {
    [ROWS.count(|(of, _)| *of == number), pick::kept_of(number)]
}

impl Footer {
    /// The columns that are read, by their numbers. Not by name: Parquet would take the dots in a name for nesting. Every
    /// column is one leaf.
    fn leaves(&self, projection: Projection<'_>) -> Vec<usize> {
        let columns = self.metadata.schema().fields().iter().enumerate();
        match projection {
            Projection::Keys(keys) => self.named(&self.columns(keys)),
            Projection::Others => self.named(&self.others()),
            // The hash is made from the bytes, never trusted.
            Projection::All => columns.filter(|(_, column)| column.name() != HASH).map(|(at, _)| at).collect(),
            Projection::Fields => {
                let is_in = |name: &str| ![ORIGINAL, OUTLINE, REST, HASH, CREATED, INGESTED].contains(&name);
                columns.filter(|(_, column)| is_in(column.name())).map(|(at, _)| at).collect()
            }
        }
    }

    fn named(&self, names: &[&str]) -> Vec<usize> {
        let columns = self.metadata.schema().fields().iter().enumerate();
        columns.filter(|(_, column)| names.contains(&column.name().as_str())).map(|(at, _)| at).collect()
    }

    /// The columns that hold the values of these keys.
    fn columns(&self, keys: &[Text]) -> Vec<&str> {
        let mut names = vec![SEQ, TIMESTAMP];
        for key in keys {
            match key.as_str() {
                "@timestamp" | "nhatle.seq" | "nhatle.id" => continue,
                "event.created" => names.push(CREATED),
                "event.ingested" => names.push(INGESTED),
                "event.original" | "event.hash" => {
                    names.push(ORIGINAL);
                    names.extend(self.outlines.iter().flat_map(Outlined::columns));
                }
                _ => {}
            }
            let known = TABLE.iter().filter(|known| known.storage == Storage::Column && known.name == key);
            let before = names.len();
            names.extend(known.map(|known| known.name));
            names.extend(self.frequent.iter().map(String::as_str).filter(|name| has_key(name, key)));
            // What has no place in its column is in `attrs`, and a field of the same key but other case.
            if names.len() == before || self.spilled.iter().any(|spilled| has_key(spilled, key)) {
                names.push(ATTRS);
            }
        }
        debug_assert!(!names.contains(&HASH), "the hash is made from the bytes, never trusted");
        names
    }

    /// The columns that hold the values of all fields that the field table gives none.
    fn others(&self) -> Vec<&str> {
        self.frequent.iter().map(String::as_str).chain([SEQ, TIMESTAMP, ATTRS]).collect()
    }
}

/// What the metadata of the file says under this key.
fn said<'a>(metadata: &'a ArrowReaderMetadata, key: &str) -> Option<&'a str> {
    let pairs = metadata.metadata().file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

/// The names it lists under this key.
fn names(metadata: &ArrowReaderMetadata, key: &str) -> Result<Vec<String>, String> {
    match said(metadata, key) {
        Some(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
        None => Err(format!("it has no {key}")),
    }
}
