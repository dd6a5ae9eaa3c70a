//! EVTX: Windows event log files, read chunk by chunk straight into normalized events.
//!
//! In: anything that reads, and a `Record` that says where the file came from. Out: an iterator of
//! `Result<Event, DeadLetter>` in the file's order; `event.original` is the record's bytes. Promise: one
//! chunk (64 KiB) in memory at a time, no panic whatever the bytes are. Failure: a truncated file, a chunk with
//! a wrong checksum, a record that is none: each is one dead letter that names chunk, record and the byte in the
//! file, and reading goes on behind it.
//! Source: libevtx documentation, "Windows XML Event Log (EVTX) format" (J. Metz); [MS-EVEN6] section 2.2.

mod cursor;
mod fill;
mod plan;
mod value;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod made_tests;

use std::io::Read;
use std::sync::Arc;

use cursor::{Cursor, Fault};
use fill::Plans;
use nhatle_event::{DeadLetter, Event, Record, Text, Timestamp};

use crate::normalize::windows;

/// The first bytes of every EVTX file.
pub const MAGIC: &[u8; 8] = b"ElfFile\0";

const CHUNK_MAGIC: &[u8; 8] = b"ElfChnk\0";
const RECORD_MAGIC: [u8; 4] = [0x2a, 0x2a, 0, 0];
const HEADER_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 65_536;
/// Chunk header, and tables of common strings and templates.
const CHUNK_HEADER_BYTES: usize = 512;
/// Magic, size, id, time; and the size once more at the end.
const RECORD_BYTES_MIN: usize = 28;

/// Events of one EVTX file, in the file's order.
pub struct EvtxReader<R> {
    input: R,
    template: Record,
    /// The file's header, then one chunk after another.
    chunk: Vec<u8>,
    /// Where in the file `chunk` begins.
    base: u64,
    plans: Plans,
    /// What the file's header says: it was not closed, so checksums may be behind.
    is_dirty: bool,
    stage: Stage,
    /// Number of the present chunk, from 0.
    chunk_number: usize,
    /// Where in the present chunk the next record begins, and where records end.
    at: usize,
    end: usize,
    record_number: Option<u64>,
    /// Records handed out, read or not.
    record_count: u64,
    /// What is wrong with the header or a chunk as a whole, to be handed out before the records.
    pending: Option<DeadLetter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    BetweenChunks,
    InChunk,
    Done,
}

impl<R: Read> EvtxReader<R> {
    /// Reads `input` from its first byte. `template` gives input name, peer, unit and time of receipt of
    /// every event and dead letter; its bytes are not looked at.
    pub fn new(input: R, template: &Record) -> EvtxReader<R> {
        let mut template = template.clone();
        template.bytes = Arc::from([].as_slice());
        EvtxReader {
            input,
            template,
            chunk: Vec::new(),
            base: 0,
            plans: Plans::new(),
            is_dirty: false,
            stage: Stage::Header,
            chunk_number: 0,
            at: 0,
            end: 0,
            record_number: None,
            record_count: 0,
            pending: None,
        }
    }

    /// How many records have been handed out, as events or dead letters. Dead letters of the file or a chunk as a
    /// whole do not count, so the record just handed out is the one at this position less one.
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Fills the buffer with up to `count` bytes. An error of the input ends it like an early end.
    fn fill(&mut self, count: usize) -> Result<(), std::io::Error> {
        self.base += self.chunk.len() as u64;
        self.chunk.clear();
        self.input.by_ref().take(u64::try_from(count).unwrap_or(u64::MAX)).read_to_end(&mut self.chunk).map(drop)
    }

    fn header(&mut self) -> Option<DeadLetter> {
        let read = self.fill(HEADER_BYTES);
        self.stage = Stage::BetweenChunks;
        if read.is_err() || self.chunk.len() < HEADER_BYTES {
            self.stage = Stage::Done;
            return Some(self.letter("file ends inside its header", 0, self.chunk.len(), self.chunk.len()));
        }
        self.is_dirty = self.chunk[120] & 1 != 0;
        let is_whole = self.chunk.starts_with(MAGIC);
        (!is_whole).then(|| self.letter("file header is none", 0, 128, 0))
    }

    /// Reads the next chunk; returns what is wrong with it.
    fn next_chunk(&mut self) -> Option<DeadLetter> {
        let read = self.fill(CHUNK_BYTES);
        self.plans.clear();
        self.record_number = None;
        if self.chunk.is_empty() {
            self.stage = Stage::Done;
            return read.err().map(|_error| self.letter("file cannot be read any further", 0, 0, 0));
        }
        let is_cut = self.chunk.len() < CHUNK_BYTES;
        if self.chunk.iter().all(|byte| *byte == 0) {
            self.chunk_number += 1;
            return None;
        }
        if !self.chunk.starts_with(CHUNK_MAGIC) || self.chunk.len() < CHUNK_HEADER_BYTES {
            let letter = self.letter("chunk header is none", 0, CHUNK_HEADER_BYTES, 0);
            self.chunk_number += 1;
            return Some(letter);
        }
        self.stage = Stage::InChunk;
        self.at = CHUNK_HEADER_BYTES;
        let free = Cursor::new(&self.chunk, 48).offset().unwrap_or(CHUNK_BYTES);
        let is_told = (CHUNK_HEADER_BYTES..=CHUNK_BYTES).contains(&free);
        self.end = if is_told { free.min(self.chunk.len()) } else { self.chunk.len() };
        let reason = if is_cut && (!is_told || self.chunk.len() < free) {
            Some("file ends inside a chunk")
        } else if !self.is_dirty && !is_checked(&self.chunk, free) {
            Some("chunk checksum does not match")
        } else {
            None
        };
        reason.map(|reason| self.letter(reason, 0, CHUNK_HEADER_BYTES, 124))
    }

    /// The next record of the chunk, or `None` at the chunk's end.
    fn next_record(&mut self) -> Option<Result<Event, DeadLetter>> {
        while self.at < self.end {
            let start = self.at;
            let Some(size) = record_size(&self.chunk, start) else {
                let next = (start + 1..self.end).find(|at| record_size(&self.chunk, *at).is_some());
                self.at = next.unwrap_or(self.end);
                self.record_number = None;
                if self.chunk[start..self.at].iter().all(|byte| *byte == 0) {
                    continue;
                }
                return Some(Err(self.letter("record is none", start, self.at, start)));
            };
            self.at = start + size;
            return Some(self.record(start, size));
        }
        self.stage = Stage::BetweenChunks;
        self.chunk_number += 1;
        None
    }

    fn record(&mut self, start: usize, size: usize) -> Result<Event, DeadLetter> {
        self.record_count += 1;
        let mut cursor = Cursor::new(&self.chunk, start + 8);
        let number = cursor.u64().ok();
        let written = cursor.u64().ok();
        self.record_number = number;
        let read = self.plans.read(&self.chunk, start + 24, start + size - 4);
        let event = read.map_err(|Fault { reason, offset }| self.letter(reason, start, start + size, offset))?;
        let original: Arc<[u8]> = self.chunk[start..start + size].into();
        let fallback = written.map_or(self.template.received, Timestamp::from_filetime);
        Ok(windows::to_event(event, original, fallback, &self.template))
    }

    /// A dead letter of the bytes from `start` to `end` of the buffer; `fault` is where in it things went wrong.
    fn letter(&self, reason: &str, start: usize, end: usize, fault: usize) -> DeadLetter {
        let mut record = self.template.clone();
        let end = end.min(self.chunk.len());
        record.bytes = self.chunk.get(start..end).unwrap_or_default().into();
        let mut named = format!("evtx: {reason}: chunk {}", self.chunk_number);
        if let Some(number) = self.record_number {
            named.push_str(&format!(", record {number}"));
        }
        named.push_str(&format!(", file offset {}", self.base + start as u64));
        DeadLetter { offset: fault.saturating_sub(start), reason: Text::from(named), record }
    }
}

impl<R: Read> Iterator for EvtxReader<R> {
    type Item = Result<Event, DeadLetter>;

    fn next(&mut self) -> Option<Result<Event, DeadLetter>> {
        loop {
            if let Some(letter) = self.pending.take() {
                return Some(Err(letter));
            }
            match self.stage {
                Stage::Header => self.pending = self.header(),
                Stage::BetweenChunks => self.pending = self.next_chunk(),
                Stage::InChunk => {
                    if let Some(result) = self.next_record() {
                        return Some(result);
                    }
                }
                Stage::Done => return None,
            }
        }
    }
}

/// The size of the record at this place, if there is one: magic, a size that fits, the same size at its end.
fn record_size(chunk: &[u8], at: usize) -> Option<usize> {
    let mut cursor = Cursor::new(chunk, at);
    if cursor.take(4).ok()? != RECORD_MAGIC {
        return None;
    }
    let size = cursor.offset().ok()?;
    let again = Cursor::new(chunk, at.checked_add(size)?.checked_sub(4)?).offset().ok()?;
    (RECORD_BYTES_MIN <= size && size == again).then_some(size)
}

/// Whether both checksums of a chunk (header, records) are right.
fn is_checked(chunk: &[u8], free: usize) -> bool {
    let sum = |parts: &[&[u8]]| {
        let mut crc = flate2::Crc::new();
        parts.iter().for_each(|part| crc.update(part));
        crc.sum()
    };
    let stated = |at| Cursor::new(chunk, at).u32().unwrap_or(0);
    let (Some(records), Some(tables)) = (chunk.get(CHUNK_HEADER_BYTES..free), chunk.get(128..CHUNK_HEADER_BYTES))
    else {
        return false;
    };
    stated(124) == sum(&[&chunk[..120], tables]) && stated(52) == sum(&[records])
}
