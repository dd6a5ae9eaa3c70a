//! `FileBlocks`: a file cut into blocks that can be converted side by side.
//!
//! In: an open file. Out: blocks in its order; each knows the index of its first record, so the results are those of
//! [`FileEntries`], whoever converts which block when: chunks of EVTX, whole lines of text. What depends on the lines
//! before it (a header in force, records of several lines, the elements of an array) is cut into records while reading
//! and converted side by side all the same. Promise: a block is some 256 KiB, or one record if that is longer. Failure:
//! as with [`FileEntries`]; what was read before is given first.

use std::io::Read;
use std::sync::Arc;

use nhatle_event::{DeadLetter, Event, Record, Timestamp};

use super::file::{Content, FileEntries, FileEntry, FileError, Form, Reader, Shape, read_line, set_place};
use super::lines::LineForm;
use super::misnamed::Misnamed;
use crate::frame::{self, Origin};
use crate::parse::evtx::{Chunk, Decoder};
use crate::{Settings, enrich};

/// How many bytes of lines or records make a block.
const BLOCK_BYTES: usize = 256 << 10;
/// How many chunks of EVTX make a block: as many bytes.
const BLOCK_CHUNKS: usize = 4;
/// How many records make a block where they are cut while reading.
const BLOCK_RECORDS: usize = 512;

/// The blocks of one file, in order.
pub struct FileBlocks {
    entries: FileEntries,
    /// The front of a line whose end was not read yet.
    carried: Vec<u8>,
    /// What broke, to be told behind what was read before.
    broken: Option<FileError>,
}

/// A part of a file, not converted yet.
pub struct Block {
    path: Arc<str>,
    misnamed: Option<Misnamed>,
    content: Blocked,
}

enum Blocked {
    Chunks(Vec<Chunk>, Record),
    Lines(Lines),
    Entries(Vec<FileEntry>),
}

/// Lines that stand in the file one after another.
struct Lines {
    /// The index of the first.
    first: u64,
    bytes: Vec<u8>,
    /// It is one line, and longer than the limit.
    is_cut: bool,
    origin: Origin,
    received: Timestamp,
}

/// What a block became: the index of each record, and its event or dead letter.
pub type BlockRecords = Vec<(u64, Result<Event, DeadLetter>)>;

impl FileBlocks {
    /// The blocks of an open file from where its entries stand, which is the front.
    pub fn new(entries: FileEntries) -> FileBlocks {
        FileBlocks { entries, carried: Vec::new(), broken: None }
    }

    /// The file's name, as its events tell it.
    pub fn name(&self) -> &str {
        self.entries.name()
    }

    fn read(&mut self) -> Option<Result<Blocked, FileError>> {
        let entries = &mut self.entries;
        match &mut entries.form {
            Form::Evtx(reader) => {
                let mut chunks = Vec::with_capacity(BLOCK_CHUNKS);
                chunks.extend(std::iter::from_fn(|| reader.read_chunk()).take(BLOCK_CHUNKS));
                (!chunks.is_empty()).then(|| Ok(Blocked::Chunks(chunks, reader.template().clone())))
            }
            Form::Text(reader, Shape::Lines(LineForm::Single)) => {
                let read = next_lines(reader, &mut self.carried);
                let (bytes, is_cut, broken) = match read {
                    Ok(lines) => lines,
                    Err(source) => (Vec::new(), false, Some(source)),
                };
                self.broken = broken.map(|source| FileError::Read { path: entries.path.clone(), source });
                if bytes.is_empty() {
                    return self.broken.take().map(Err);
                }
                let (origin, received, first) = (entries.origin.clone(), entries.received, entries.index);
                entries.index += lines(&bytes).count() as u64;
                Some(Ok(Blocked::Lines(Lines { first, bytes, is_cut, origin, received })))
            }
            Form::Text(..) => self.records(),
        }
    }

    /// Records that only reading in order can cut.
    fn records(&mut self) -> Option<Result<Blocked, FileError>> {
        let (mut records, mut size) = (Vec::new(), 0);
        while records.len() < BLOCK_RECORDS && size < BLOCK_BYTES {
            match self.entries.next() {
                Some(Ok(entry)) => {
                    size += entry.size();
                    records.push(entry);
                }
                Some(Err(error)) => {
                    self.broken = Some(error);
                    break;
                }
                None => break,
            }
        }
        if records.is_empty() {
            return self.broken.take().map(Err);
        }
        Some(Ok(Blocked::Entries(records)))
    }
}

impl Iterator for FileBlocks {
    type Item = Result<Block, FileError>;

    fn next(&mut self) -> Option<Result<Block, FileError>> {
        if let Some(error) = self.broken.take() {
            self.entries.has_ended = true;
            return Some(Err(error));
        }
        if self.entries.has_ended {
            return None;
        }
        let read = self.read();
        self.entries.has_ended |= !matches!(read, Some(Ok(_)));
        let (path, misnamed) = (self.entries.shown.clone(), self.entries.misnamed);
        Some(read?.map(|content| Block { path, misnamed, content }))
    }
}

impl FileEntry {
    /// How many bytes its record has.
    fn size(&self) -> usize {
        match &self.content {
            Content::Record(record) | Content::Headed(record, _) => record.bytes.len(),
            Content::Read(_) => 0,
        }
    }
}

impl Block {
    /// The file's name, as its events tell it.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Whether it is of an event log, where a dead letter is damage of the file.
    pub fn is_evtx(&self) -> bool {
        matches!(self.content, Blocked::Chunks(..))
    }

    /// How many bytes of the file it is; of records cut while reading, what they hold.
    pub fn bytes(&self) -> u64 {
        let count = match &self.content {
            Blocked::Chunks(chunks, _) => chunks.iter().map(Chunk::size).sum(),
            Blocked::Lines(lines) => lines.bytes.len(),
            Blocked::Entries(entries) => entries.iter().map(FileEntry::size).sum(),
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The block's records in order. A dead letter of the file or a chunk as a whole has the index of the next record.
    pub fn convert(self, decoder: &mut Decoder, settings: &Settings) -> BlockRecords {
        match self.content {
            Blocked::Chunks(chunks, template) => {
                let mut decoded = Vec::new();
                chunks.into_iter().for_each(|chunk| decoder.decode(chunk, &template, &mut decoded));
                let finish = |one: crate::parse::evtx::Decoded| {
                    let mut result = one.result;
                    if let Ok(event) = &mut result {
                        enrich::enrich(event, &template, settings);
                        set_place(event, &self.path, one.position, self.misnamed);
                    }
                    (one.position, result)
                };
                decoded.into_iter().map(finish).collect()
            }
            Blocked::Lines(block) => {
                let mut records = Vec::new();
                for (index, line) in (block.first..).zip(lines(&block.bytes)) {
                    let line = frame::trim_frame(line);
                    if line.trim_ascii().is_empty() {
                        continue;
                    }
                    let record = block.origin.record(line, block.received, block.is_cut);
                    let mut result = crate::to_event(&record, settings);
                    if let Ok(event) = &mut result {
                        set_place(event, &self.path, index, self.misnamed);
                    }
                    records.push((index, result));
                }
                records
            }
            Blocked::Entries(entries) => {
                entries.into_iter().map(|entry| (entry.index, entry.convert(settings))).collect()
            }
        }
    }
}

/// The lines of a block; the last one may have no newline.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest);
        let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind.get(1..).unwrap_or_default();
        Some(line)
    })
}

/// Whole lines, whether they are one line that was cut, and what broke behind them.
type WholeLines = (Vec<u8>, bool, Option<std::io::Error>);

/// The next whole lines; none at the end. What follows the last newline is carried to the next call.
fn next_lines(reader: &mut Reader, carried: &mut Vec<u8>) -> std::io::Result<WholeLines> {
    let mut bytes = std::mem::take(carried);
    let wanted = BLOCK_BYTES.saturating_sub(bytes.len());
    bytes.reserve(wanted);
    let read = reader.by_ref().take(wanted as u64).read_to_end(&mut bytes);
    let last = memchr::memrchr(b'\n', &bytes);
    match (read, last) {
        // As where lines are read one by one, a line that breaks off is not a record.
        (Err(broken), last) => {
            bytes.truncate(last.map_or(0, |last| last + 1));
            Ok((bytes, false, Some(broken)))
        }
        (Ok(count), _) if count < wanted => Ok((bytes, false, None)),
        (Ok(_), Some(last)) => {
            *carried = bytes.split_off(last + 1);
            Ok((bytes, false, None))
        }
        (Ok(_), None) => {
            let is_cut = read_line(reader, &mut bytes)?.unwrap_or(false);
            Ok((bytes, is_cut, None))
        }
    }
}
