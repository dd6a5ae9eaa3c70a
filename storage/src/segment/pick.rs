//! Rows of a segment picked out one by one. In: rows, columns. Out: their events, as [`super::columns::from_batch`] gives them of the
//! tables that Parquet's reader makes. That reader opens each column to read on: it makes contexts of zstd, decodes dictionaries whole, makes tables.
//! A row needs one value of each column, and of most columns none: the segment says which columns its kind of row has ([`super::kinds`]),
//! only pages of those are read, and a dictionary only where a row has a number of it.
//!
//! Promise: only what is written as we write it is read here; of anything else (damage, too), `None`, and the slow way says
//! what it is. Bounds: one page at a time, of at most `PAGE_BYTES_MAX`.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::DataType;
use bytes::Bytes;
use nhatle_event::value::address_text;
use nhatle_event::{Event, Field, Seq, Stored, Timestamp, Value};
use parquet::basic::{Compression, Type};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::ChunkReader;
use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer};

use super::ahead::{Ahead, Wanted};
use super::columns::{CREATED, INGESTED, ORIGINAL, OUTLINE, REST, Raw, SEQ, Slot, TIMESTAMP};
use super::kinds::{BY, Key};
use super::outline::{compose, pieces};
use super::pages::{self, DELTA_BINARY_PACKED, Header, PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY};
use super::reader::Footer;
use super::recent::Recent;

/// A page that says it is larger is left to the slow way; ours have some hundred KiB, and more only where single values do.
const PAGE_BYTES_MAX: usize = 64 << 20;
/// A longer page of texts is decompressed by steps of so much, until the value is there. zstd does a block of as many bytes at a time.
const STEP_BYTES: usize = 128 << 10;
/// The columns of a row are shared by two threads where they are so many bytes: a thread more costs as much as unpacking some 20 KiB.
const SHARED_BYTES_MIN: u64 = 128 << 10;
/// Of more rows than this nobody waits for one: what a thread of its own allocates stays with the allocator's arena of that thread.
const SHARED_ROWS_MAX: usize = 16;
/// Decompressed dictionaries of the segments that rows were fetched from last; those of one have some two MiB.
const DICTIONARIES_BYTES_MAX: usize = 32 << 20;
/// Of fewer columns than this, what kind a row is of costs more to find out than it spares.
const COLUMNS_OF_KINDS_MIN: usize = 8;

/// By the number of the segment, the row group and the column.
static DICTIONARIES: Recent<(u64, usize, usize), Dictionary> = Recent::new(DICTIONARIES_BYTES_MAX);

/// Forgets the dictionaries of the segment of this number.
pub fn forget(number: u64) {
    DICTIONARIES.forget(|(of, _, _)| *of == number);
}

/// How many of them are kept.
#[cfg(test)]
pub fn kept_of(number: u64) -> usize {
    DICTIONARIES.count(|(of, _, _)| *of == number)
}

/// The plain values of a dictionary.
struct Dictionary(Vec<u8>);

/// A row of a row group, and the place of its event among those of the group.
#[derive(Clone, Copy)]
struct Asked {
    row: usize,
    at: usize,
}

/// A page, the rows it has, and those of them that are asked for.
type OfPage<'a, 'b> = (&'a PageLocation, Range<usize>, &'b [Asked]);

/// Takes a value of the event at this place; `None` where it cannot be one.
type Take<'a> = dyn FnMut(usize, Raw<'_>) -> Option<()> + 'a;

/// The events of these rows (ascending, each once) with the values of these columns (ascending).
pub fn pick(footer: &Footer, rows: &[usize], leaves: &[usize]) -> Option<Vec<Stored>> {
    let mut events: Vec<Fetched> = rows.iter().map(|_| Fetched::default()).collect();
    let mut unpacked = Unpacked::new()?;
    let (mut begin, mut done) = (0, 0);
    for group in 0..footer.metadata.metadata().num_row_groups() {
        let count = usize::try_from(footer.metadata.metadata().row_group(group).num_rows()).ok()?;
        let end = done + rows[done..].partition_point(|row| *row < begin + count);
        if done < end {
            let asked: Vec<Asked> = (done..end).map(|at| Asked { row: rows[at] - begin, at: at - done }).collect();
            let picked = Picked::of(footer, group, &asked, leaves, &mut unpacked)?;
            picked.read(footer, &mut unpacked, &mut events[done..end])?;
        }
        (begin, done) = (begin + count, end);
    }
    (done == rows.len()).then_some(())?;
    events.into_iter().map(Fetched::stored).collect()
}

/// An event as far as it was read.
struct Fetched {
    stored: Stored,
    outline: Option<Box<str>>,
    rest: Vec<u8>,
}

impl Default for Fetched {
    fn default() -> Fetched {
        let stored = Stored { seq: Seq(0), committed: Timestamp(0), event: Event::new(Timestamp(0), Vec::new()) };
        Fetched { stored, outline: None, rest: Vec::new() }
    }
}

impl Fetched {
    /// Takes over the values of a column.
    fn put(&mut self, slot: &Slot<'_>, name: &str, raw: Raw<'_>) -> Option<()> {
        match (name, raw) {
            (OUTLINE, Raw::Bytes(bytes)) => self.outline = Some(str::from_utf8(bytes).ok()?.into()),
            (REST, Raw::Bytes(bytes)) => self.rest = bytes.to_vec(),
            (_, raw) => slot.put(&mut self.stored, raw)?,
        }
        Some(())
    }

    /// The event, when all was read; `None` where its outline is not of its values, or names more fields than may be known.
    fn stored(self) -> Option<Stored> {
        let Fetched { mut stored, outline, rest } = self;
        if let Some(outline) = outline {
            let value = |name: &str, out: &mut Vec<u8>| push_text(stored.event.get(Field::lookup(name)?)?, out);
            stored.event.original = compose(pieces(&outline), &rest, value).ok()?.into();
        }
        Some(stored)
    }
}

/// Puts what a value is in a column, as text.
fn push_text(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Ip(address) => out.extend_from_slice(address_text(*address).as_bytes()),
        Value::Long(number) => out.extend_from_slice(number.to_string().as_bytes()),
        _ => return None,
    }
    Some(())
}

/// What is read of a row group: columns, and the rows of each that may have a value there.
struct Picked<'a> {
    columns: Vec<(Column<'a>, Vec<Asked>)>,
}

impl<'a> Picked<'a> {
    fn of(
        footer: &'a Footer,
        group: usize,
        asked: &[Asked],
        leaves: &[usize],
        unpacked: &mut Unpacked,
    ) -> Option<Picked<'a>> {
        let keys = match COLUMNS_OF_KINDS_MIN <= leaves.len() && !footer.kinds.is_empty() {
            true => keys(footer, group, asked, unpacked)?,
            false => vec![None; asked.len()],
        };
        let of_rows: Vec<_> = keys.iter().map(|key| footer.kinds.columns(key.as_ref()?)).collect();
        let mut columns = Vec::new();
        for leaf in leaves {
            let column = Column::of(footer, group, *leaf)?;
            if column.is_empty() {
                continue;
            }
            let mut here = Vec::new();
            for (asked, kind) in asked.iter().zip(&of_rows) {
                let may_have = kind.is_none_or(|columns| columns.contains(*leaf));
                if may_have || !column.is_nullable {
                    here.push(*asked);
                }
            }
            if !here.is_empty() {
                columns.push((column.with_kept(), here));
            }
        }
        Some(Picked { columns })
    }

    fn read(&self, footer: &Footer, unpacked: &mut Unpacked, events: &mut [Fetched]) -> Option<()> {
        let ranges: Option<Vec<_>> = self.columns.iter().map(|(column, asked)| column.ranges(asked)).collect();
        let ranges = ranges?;
        let half = if events.len() <= SHARED_ROWS_MAX { self.half(&ranges) } else { ranges.len() };
        let part = |columns: &Range<usize>, unpacked: &mut Unpacked, events: &mut [Fetched]| {
            let wanted = Wanted::new(ranges[columns.clone()].to_vec());
            let file = Ahead::in_order(footer.file.clone(), vec![wanted]);
            for (column, asked) in &self.columns[columns.clone()] {
                let slot = Slot::of_column(column.name, column.of)?;
                let mut take = |at: usize, raw: Raw<'_>| events.get_mut(at)?.put(&slot, column.name, raw);
                column.give(&file, unpacked, asked, &mut take)?;
            }
            Some(())
        };
        let (first, second) = (0..half, half..self.columns.len());
        if second.is_empty() {
            return part(&first, unpacked, events);
        }
        let count = events.len();
        let behind = || {
            let mut events: Vec<Fetched> = (0..count).map(|_| Fetched::default()).collect();
            part(&second, &mut Unpacked::new()?, &mut events)?;
            Some(events)
        };
        std::thread::scope(|scope| {
            let spawned = std::thread::Builder::new().name("fetch".to_owned()).spawn_scoped(scope, behind);
            part(&first, unpacked, events)?;
            let Ok(thread) = spawned else { return part(&second, unpacked, events) };
            for (fetched, behind) in events.iter_mut().zip(thread.join().ok()??) {
                fetched.stored.event.take_over(behind.stored.event);
            }
            Some(())
        })
    }

    /// Where the columns are parted, so that both parts are about as many bytes; behind the last where one thread is enough. What is not
    /// of the fields is in the first.
    fn half(&self, ranges: &[Vec<Range<u64>>]) -> usize {
        let bytes = |ranges: &Vec<Range<u64>>| ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        let all: u64 = ranges.iter().map(bytes).sum();
        if all < SHARED_BYTES_MIN {
            return ranges.len();
        }
        let mut before = 0;
        let is_before = |ranges: &&Vec<Range<u64>>| {
            before += bytes(ranges);
            before <= all / 2
        };
        let half = ranges.iter().take_while(is_before).count();
        let is_own = |name: &str| [SEQ, TIMESTAMP, CREATED, INGESTED, ORIGINAL, OUTLINE, REST].contains(&name);
        let fields = self.columns.iter().rposition(|(column, _)| is_own(column.name)).map_or(0, |last| last + 1);
        half.max(fields)
    }
}

/// What says of which kinds these rows are.
fn keys(footer: &Footer, group: usize, asked: &[Asked], unpacked: &mut Unpacked) -> Option<Vec<Option<Key>>> {
    let mut keys: Vec<Key> = asked.iter().map(|_| Key::default()).collect();
    for (number, field) in BY.iter().enumerate() {
        let Some((leaf, _)) = footer.metadata.schema().column_with_name(field.name()) else { continue };
        let column = Column::of(footer, group, leaf)?.with_kept();
        if column.is_empty() {
            continue;
        }
        let file = Ahead::new(footer.file.clone(), vec![Wanted::new(vec![column.ranges(asked)?])]);
        column.give(&file, unpacked, asked, &mut |at, raw| {
            let Raw::Bytes(bytes) = raw else { return None };
            keys.get_mut(at)?[number] = Some(str::from_utf8(bytes).ok()?.to_owned());
            Some(())
        })?;
    }
    Some(keys.into_iter().map(Some).collect())
}

/// A column of a row group.
struct Column<'a> {
    chunk: &'a ColumnChunkMetaData,
    pages: &'a [PageLocation],
    rows: usize,
    name: &'a str,
    of: &'a DataType,
    is_nullable: bool,
    key: (u64, usize, usize),
    /// Its dictionary, where it is kept.
    kept: Option<Arc<Dictionary>>,
}

impl<'a> Column<'a> {
    fn of(footer: &'a Footer, group: usize, leaf: usize) -> Option<Column<'a>> {
        let metadata = footer.metadata.metadata();
        let pages = metadata.offset_index()?.get(group)?.get(leaf)?.page_locations();
        let field = footer.metadata.schema().fields().get(leaf)?;
        let row_group = metadata.row_group(group);
        let chunk = row_group.columns().get(leaf)?;
        let levels = chunk.column_descr().max_def_level();
        let is_usual = matches!(chunk.compression(), Compression::ZSTD(_))
            && levels <= 1
            && chunk.column_descr().max_rep_level() == 0;
        is_usual.then_some(())?;
        let rows = usize::try_from(row_group.num_rows()).ok()?;
        let key = (footer.number, group, leaf);
        let (name, of, is_nullable) = (field.name(), field.data_type(), levels == 1);
        Some(Column { chunk, pages, rows, name, of, is_nullable, key, kept: None })
    }

    /// With its dictionary, where that is kept.
    fn with_kept(self) -> Column<'a> {
        let has_dictionary = self.chunk.dictionary_page_offset().is_some();
        Column { kept: has_dictionary.then(|| DICTIONARIES.get(self.key)).flatten(), ..self }
    }

    /// No row has a value.
    fn is_empty(&self) -> bool {
        let nulls = self.chunk.statistics().and_then(|statistics| statistics.null_count_opt());
        self.is_nullable && nulls.is_some_and(|nulls| usize::try_from(nulls) == Ok(self.rows))
    }

    /// The page with this row, and the rows it has.
    fn page(&self, row: usize) -> Option<(&'a PageLocation, Range<usize>)> {
        let first = |page: &PageLocation| usize::try_from(page.first_row_index).unwrap_or(usize::MAX);
        let behind = self.pages.partition_point(|page| first(page) <= row);
        let page = self.pages.get(behind.checked_sub(1)?)?;
        Some((page, first(page)..self.pages.get(behind).map_or(self.rows, first)))
    }

    /// These rows by their pages.
    fn by_pages<'b>(&self, mut asked: &'b [Asked]) -> Option<Vec<OfPage<'a, 'b>>> {
        let mut found = Vec::new();
        while let Some(first) = asked.first() {
            let (page, rows) = self.page(first.row)?;
            let (here, behind) = asked.split_at(asked.partition_point(|asked| asked.row < rows.end));
            (!here.is_empty()).then_some(())?;
            found.push((page, rows, here));
            asked = behind;
        }
        Some(found)
    }

    fn dictionary(&self) -> Option<Range<u64>> {
        let start = u64::try_from(self.chunk.dictionary_page_offset()?).ok()?;
        let end = u64::try_from(self.pages.first()?.offset).ok()?;
        (start < end).then_some(start..end)
    }

    /// The bytes that these rows need.
    fn ranges(&self, asked: &[Asked]) -> Option<Vec<Range<u64>>> {
        let dictionary = if self.kept.is_some() { None } else { self.dictionary() };
        let mut ranges: Vec<Range<u64>> = dictionary.into_iter().collect();
        for (page, _, _) in self.by_pages(asked)? {
            let start = u64::try_from(page.offset).ok()?;
            ranges.push(start..start + u64::try_from(page.compressed_page_size).ok()?);
        }
        Some(ranges)
    }

    /// Gives the values of those of these rows that have one.
    fn give(&self, file: &Ahead, unpacked: &mut Unpacked, asked: &[Asked], take: &mut Take<'_>) -> Option<()> {
        // Which number of the dictionary the event has.
        let mut numbers: Vec<(usize, usize)> = Vec::new();
        for (page, rows, asked) in self.by_pages(asked)? {
            let (start, length) = (u64::try_from(page.offset).ok()?, usize::try_from(page.compressed_page_size).ok()?);
            let header = unpacked.open(file, start, length)?;
            (!header.is_dictionary).then_some(())?;
            let local: Vec<usize> = asked.iter().map(|asked| asked.row - rows.start).collect();
            let (found, levels_end) = match self.is_nullable {
                true => {
                    let levels = pages::levels_range(unpacked.until(4)?)?;
                    (pages::present(unpacked.until(levels.end)?.get(levels.clone())?, &local)?, levels.end)
                }
                false => (local.into_iter().enumerate().collect(), 0),
            };
            // The place of an event, and the number of its value in the page.
            let found: Vec<(usize, usize)> = found.iter().map(|(at, number)| (asked[*at].at, *number)).collect();
            if let Some((_, last)) = found.last() {
                let is_plain_texts = header.encoding == PLAIN && self.chunk.column_type() == Type::BYTE_ARRAY;
                let mut body = unpacked.until(if is_plain_texts { 0 } else { header.plain_bytes })?;
                if is_plain_texts {
                    loop {
                        let needed = pages::plain_bytes_end(body.get(levels_end..)?, *last).saturating_add(levels_end);
                        if needed <= body.len() {
                            break;
                        }
                        body = unpacked.until(needed)?;
                    }
                }
                self.give_of_page(&header, body.get(levels_end..)?, &found, &mut numbers, take)?;
            }
        }
        if numbers.is_empty() { Some(()) } else { self.give_of_dictionary(file, unpacked, numbers, take) }
    }

    fn give_of_page(
        &self,
        header: &Header,
        values: &[u8],
        found: &[(usize, usize)],
        numbers: &mut Vec<(usize, usize)>,
        take: &mut Take<'_>,
    ) -> Option<()> {
        let wanted = || found.iter().map(|(_, number)| *number);
        let mut places = found.iter().map(|(at, _)| *at);
        match (header.encoding, self.chunk.column_type()) {
            (RLE_DICTIONARY | PLAIN_DICTIONARY, _) => pages::indexes(values, wanted(), |number| {
                numbers.push((number as usize, places.next()?));
                Some(())
            }),
            (PLAIN, Type::BYTE_ARRAY) => {
                pages::plain_bytes(values, wanted(), |bytes| take(places.next()?, Raw::Bytes(bytes)))
            }
            (PLAIN, Type::INT64 | Type::DOUBLE) => {
                found.iter().try_for_each(|(at, number)| take(*at, Raw::Number(pages::plain_number(values, *number)?)))
            }
            (PLAIN, Type::BOOLEAN) => {
                found.iter().try_for_each(|(at, number)| take(*at, Raw::Flag(pages::plain_flag(values, *number)?)))
            }
            (DELTA_BINARY_PACKED, Type::INT64) => {
                pages::deltas(values, wanted(), |number| take(places.next()?, Raw::Number(number)))
            }
            _ => None,
        }
    }

    fn give_of_dictionary(
        &self,
        file: &Ahead,
        unpacked: &mut Unpacked,
        mut numbers: Vec<(usize, usize)>,
        take: &mut Take<'_>,
    ) -> Option<()> {
        let dictionary = match &self.kept {
            Some(kept) => kept.clone(),
            None => self.read_dictionary(file, unpacked)?,
        };
        let body = dictionary.0.as_slice();
        numbers.sort_unstable();
        let mut places = numbers.iter().map(|(_, at)| *at);
        let wanted = numbers.iter().map(|(number, _)| *number);
        match self.chunk.column_type() {
            Type::BYTE_ARRAY => pages::plain_bytes(body, wanted, |bytes| take(places.next()?, Raw::Bytes(bytes))),
            Type::INT64 | Type::DOUBLE => {
                numbers.iter().try_for_each(|(number, at)| take(*at, Raw::Number(pages::plain_number(body, *number)?)))
            }
            _ => None,
        }
    }

    fn read_dictionary(&self, file: &Ahead, unpacked: &mut Unpacked) -> Option<Arc<Dictionary>> {
        let Range { start, end } = self.dictionary()?;
        let header = unpacked.open(file, start, usize::try_from(end - start).ok()?)?;
        let body = unpacked.until(header.plain_bytes)?;
        (header.is_dictionary && matches!(header.encoding, PLAIN | PLAIN_DICTIONARY)).then_some(())?;
        let dictionary = Arc::new(Dictionary(body.to_vec()));
        DICTIONARIES.put(self.key, dictionary.clone(), body.len() + size_of::<Column<'_>>());
        Some(dictionary)
    }
}

/// The page that was opened last, decompressed as far as it was asked for.
struct Unpacked {
    context: DCtx<'static>,
    packed: Bytes,
    /// How much of it was read.
    read: usize,
    plain_bytes: usize,
    body: Vec<u8>,
}

impl Unpacked {
    fn new() -> Option<Unpacked> {
        let (context, packed) = (DCtx::try_create()?, Bytes::new());
        Some(Unpacked { context, packed, read: 0, plain_bytes: 0, body: Vec::new() })
    }

    /// The page of so many bytes, with its header, that stands there.
    fn open(&mut self, file: &Ahead, start: u64, length: usize) -> Option<Header> {
        let bytes = file.get_bytes(start, length).ok()?;
        let header = pages::header(&bytes)?;
        let end = header.bytes.checked_add(header.packed_bytes)?;
        (header.plain_bytes <= PAGE_BYTES_MAX && end <= bytes.len()).then_some(())?;
        self.packed = bytes.slice(header.bytes..end);
        self.plain_bytes = header.plain_bytes;
        self.read = 0;
        self.body.clear();
        Some(header)
    }

    /// At least the first `end` bytes of it.
    fn until(&mut self, end: usize) -> Option<&[u8]> {
        if self.plain_bytes < end {
            return None;
        }
        // All of it, or what is one block of zstd or little more.
        let is_whole = end == self.plain_bytes || self.plain_bytes <= STEP_BYTES + STEP_BYTES / 4;
        if is_whole && self.body.is_empty() {
            self.body.reserve(self.plain_bytes);
            let length = self.context.decompress(&mut self.body, &self.packed).ok()?;
            (length == self.plain_bytes).then_some(())?;
        }
        while self.body.len() < end.max(1).min(self.plain_bytes) {
            self.step()?;
        }
        Some(&self.body)
    }

    fn step(&mut self) -> Option<()> {
        if self.body.is_empty() {
            self.context.init().ok()?;
        }
        let before = self.body.len();
        self.body.resize(self.plain_bytes.min(before + STEP_BYTES), 0);
        let mut input = InBuffer::around(&self.packed);
        input.set_pos(self.read);
        let mut output = OutBuffer::around_pos(self.body.as_mut_slice(), before);
        self.context.decompress_stream(&mut output, &mut input).ok()?;
        let (after, read) = (output.pos(), input.pos());
        self.body.truncate(after);
        self.read = read;
        (before < after).then_some(())
    }
}
