//! `ChunkReader`: an EVTX file cut into its chunks, each with its records found and its claims checked, but nothing
//! decoded, so that chunks can be decoded side by side.
//!
//! In: anything that reads. Out: [`Chunk`]s in the file's order. Promise: one chunk (64 KiB) is read at a time; whatever
//! is missing or not as its header says is a dead letter with a reason, chunk and byte in the file. Failure: those.
//! Source: libevtx documentation, "Windows XML Event Log (EVTX) format", sections 2 (file header), 3 (chunk), 4 (record).

use std::io::Read;

use nhatle_event::{DeadLetter, Record, Text};

use super::cursor::Cursor;
use super::{MAGIC, RECORD_MAGIC};

const CHUNK_MAGIC: &[u8; 8] = b"ElfChnk\0";
const HEADER_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 65_536;
/// Chunk header, and tables of common strings and templates.
const CHUNK_HEADER_BYTES: usize = 512;
/// Magic, size, id, time; and the size once more at the end.
const RECORD_BYTES_MIN: usize = 28;
/// How many wrong checksums of an unclosed file wait for its end, where it is known which chunk was the last.
const HELD_MAX: usize = 64;

/// A part of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// A record: where it begins and ends.
    Record(usize, usize),
    /// Bytes where a record should be.
    Gap(usize, usize),
}

/// A chunk, not decoded yet.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Its bytes; empty where there is only something to say.
    pub(super) bytes: Vec<u8>,
    pub(super) place: ChunkPlace,
    /// What is wrong with the file or the chunk as a whole.
    pub(super) losses: Vec<DeadLetter>,
    pub(super) spans: Vec<Span>,
    /// The position in the file of its first record.
    pub(super) first_record: u64,
}

impl Chunk {
    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Where a chunk stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChunkPlace {
    /// From 0.
    pub number: usize,
    /// Bytes of the file before it.
    pub base: u64,
}

impl ChunkPlace {
    /// A dead letter of the bytes from `start` to `end` of a chunk; `fault` is where in it things went wrong.
    pub fn letter(
        self,
        bytes: &[u8],
        (start, end, fault): (usize, usize, usize),
        record_number: Option<u64>,
        reason: &str,
        template: &Record,
    ) -> DeadLetter {
        let mut record = template.clone();
        record.bytes = bytes.get(start..end.min(bytes.len())).unwrap_or_default().into();
        let mut named = format!("evtx: {reason}: chunk {}", self.number);
        if let Some(number) = record_number {
            named.push_str(&format!(", record {number}"));
        }
        named.push_str(&format!(", file offset {}", self.base + start as u64));
        DeadLetter { offset: fault.saturating_sub(start), reason: Text::from(named), record }
    }
}

/// What the file's header claims.
#[derive(Clone, Copy, Debug, Default)]
struct Claims {
    /// It was not closed, so what it claims may be old.
    is_dirty: bool,
    /// Its checksum is right, so the two numbers are what was written.
    is_sound: bool,
    chunks: u64,
    next_record: u64,
}

/// See the module.
pub(super) struct ChunkReader<R> {
    input: R,
    template: Record,
    stage: Stage,
    place: ChunkPlace,
    /// Bytes read.
    end: u64,
    claims: Claims,
    /// Chunks with a header, records in them, and the highest record number seen.
    chunk_count: u64,
    record_count: u64,
    last_number: u64,
    /// Wrong checksums of an unclosed file, with the last record's number of their chunk.
    held: Vec<(u64, DeadLetter)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Chunks,
    Done,
}

impl<R: Read> ChunkReader<R> {
    pub fn new(input: R, template: Record) -> ChunkReader<R> {
        ChunkReader {
            input,
            template,
            stage: Stage::Header,
            place: ChunkPlace::default(),
            end: 0,
            claims: Claims::default(),
            chunk_count: 0,
            record_count: 0,
            last_number: 0,
            held: Vec::new(),
        }
    }

    /// What every event and dead letter of the file is made with.
    pub fn template(&self) -> &Record {
        &self.template
    }

    /// Up to `count` more bytes. An error of the input ends it like an early end.
    fn read(&mut self, count: usize) -> (Vec<u8>, std::io::Result<()>) {
        let mut bytes = Vec::with_capacity(count);
        let read = self.input.by_ref().take(u64::try_from(count).unwrap_or(u64::MAX)).read_to_end(&mut bytes);
        self.place.base = self.end;
        self.end += bytes.len() as u64;
        (bytes, read.map(drop))
    }

    fn chunk(&self, bytes: Vec<u8>) -> Chunk {
        Chunk { bytes, place: self.place, losses: Vec::new(), spans: Vec::new(), first_record: self.record_count }
    }

    /// A loss of the file or chunk as a whole; its bytes are the first `shown`.
    fn loss(&self, chunk: &mut Chunk, reason: &str, shown: usize, fault: usize) {
        let range = (0, shown, fault);
        chunk.losses.push(chunk.place.letter(&chunk.bytes, range, None, reason, &self.template));
    }

    fn header(&mut self) -> Chunk {
        let (bytes, read) = self.read(HEADER_BYTES);
        self.stage = Stage::Chunks;
        let mut chunk = self.chunk(bytes);
        if read.is_err() || chunk.bytes.len() < HEADER_BYTES {
            self.stage = Stage::Done;
            let length = chunk.bytes.len();
            self.loss(&mut chunk, "file ends inside its header", length, length);
        } else if !chunk.bytes.starts_with(MAGIC) {
            self.loss(&mut chunk, "file header is none", 128, 0);
        } else {
            let cursor = |at| Cursor::new(&chunk.bytes, at);
            let is_sound = cursor(124).u32() == Ok(checksum(&[&chunk.bytes[..120]]));
            self.claims = Claims {
                is_dirty: chunk.bytes[120] & 1 != 0,
                is_sound,
                chunks: cursor(42).u16().map_or(0, u64::from),
                next_record: cursor(24).u64().unwrap_or(0),
            };
            if !is_sound {
                self.loss(&mut chunk, "file header checksum does not match", 128, 124);
            }
            if self.claims.is_dirty {
                self.loss(&mut chunk, "file was not closed, its newest records may be missing", 128, 120);
            }
        }
        chunk.bytes.clear();
        chunk
    }

    fn next_chunk(&mut self) -> Chunk {
        let (bytes, read) = self.read(CHUNK_BYTES);
        let mut chunk = self.chunk(bytes);
        if let Err(error) = &read {
            let length = chunk.bytes.len();
            self.loss(&mut chunk, &format!("file cannot be read any further ({error})"), 0, length);
        }
        if chunk.bytes.is_empty() {
            self.finish(&mut chunk);
            return chunk;
        }
        let is_cut = chunk.bytes.len() < CHUNK_BYTES;
        if chunk.bytes.iter().all(|byte| *byte == 0) {
            if is_cut {
                self.loss(&mut chunk, "file ends inside a chunk that holds nothing", 0, 0);
            }
            chunk.bytes.clear();
        } else if !chunk.bytes.starts_with(CHUNK_MAGIC) || chunk.bytes.len() < CHUNK_HEADER_BYTES {
            self.loss(&mut chunk, "chunk header is none", CHUNK_HEADER_BYTES, 0);
            chunk.bytes.clear();
        } else {
            self.chunk_count += 1;
            self.check(&mut chunk, is_cut);
        }
        self.place.number += 1;
        chunk
    }

    /// Finds the records of a chunk, and what is not as its header says.
    fn check(&mut self, chunk: &mut Chunk, is_cut: bool) {
        let cursor = |at| Cursor::new(&chunk.bytes, at);
        let (first, last) = (cursor(8).u64().unwrap_or(0), cursor(16).u64().unwrap_or(0));
        let free = cursor(48).offset().unwrap_or(CHUNK_BYTES);
        let is_told = (CHUNK_HEADER_BYTES..=CHUNK_BYTES).contains(&free);
        let length = chunk.bytes.len();
        let end = if is_told { free.min(length) } else { length };
        chunk.spans = spans(&chunk.bytes, end);
        let count = chunk.spans.iter().filter(|span| matches!(span, Span::Record(..))).count() as u64;
        let (header, records) = stated_and_found(&chunk.bytes, end);
        let is_sound = header.0 == header.1;
        match (is_cut, is_told) {
            (true, true) if free <= length => {
                self.loss(chunk, "file ends inside a chunk, behind its last record", CHUNK_HEADER_BYTES, length);
            }
            (true, _) => self.loss(chunk, "file ends inside a chunk", CHUNK_HEADER_BYTES, length),
            (false, false) => self.loss(chunk, "chunk header does not say where records end", CHUNK_HEADER_BYTES, 48),
            (false, true) => {}
        }
        if !is_sound {
            self.checksum_loss(chunk, last, "chunk header checksum does not match", 124);
        }
        if records.0 != records.1 && free <= length {
            self.checksum_loss(chunk, last, "chunk checksum of its records does not match", 52);
        }
        let claimed = last.checked_sub(first).and_then(|more| more.checked_add(1)).filter(|_| is_sound);
        if let Some(claimed) = claimed
            && (count < claimed || (claimed < count && !self.claims.is_dirty))
        {
            let reason = format!("chunk holds {count} records, its header says {claimed}");
            self.loss(chunk, &reason, CHUNK_HEADER_BYTES, 16);
        }
        self.record_count += count;
        if is_sound {
            self.last_number = self.last_number.max(last);
        }
    }

    /// A wrong checksum. In a file that was not closed, that of the chunk written last is no fault.
    fn checksum_loss(&mut self, chunk: &mut Chunk, last: u64, reason: &str, fault: usize) {
        self.loss(chunk, reason, CHUNK_HEADER_BYTES, fault);
        if self.claims.is_dirty && self.held.len() < HELD_MAX {
            self.held.extend(chunk.losses.pop().map(|letter| (last, letter)));
            self.last_number = self.last_number.max(last);
        }
    }

    /// What is only known at the end: held checksums, chunks and records that the header claims.
    fn finish(&mut self, chunk: &mut Chunk) {
        self.stage = Stage::Done;
        let newest = self.last_number;
        chunk.losses.extend(self.held.drain(..).filter(|(last, _)| *last < newest).map(|(_, letter)| letter));
        let claims = self.claims;
        if !claims.is_sound || claims.is_dirty {
            return;
        }
        if self.chunk_count < claims.chunks {
            let reason = format!("file has {} chunks, its header says {}", self.chunk_count, claims.chunks);
            self.loss(chunk, &reason, 0, 0);
        }
        if self.last_number.saturating_add(1) < claims.next_record {
            let expected = claims.next_record - 1;
            let reason = format!("file ends with record {}, its header says {expected}", self.last_number);
            self.loss(chunk, &reason, 0, 0);
        }
    }
}

impl<R: Read> Iterator for ChunkReader<R> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        loop {
            let chunk = match self.stage {
                Stage::Header => self.header(),
                Stage::Chunks => self.next_chunk(),
                Stage::Done => return None,
            };
            if !chunk.losses.is_empty() || !chunk.spans.is_empty() {
                return Some(chunk);
            }
        }
    }
}

/// The records between the chunk's header and `end`, and what lies between them; zeros are nothing.
fn spans(chunk: &[u8], end: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = CHUNK_HEADER_BYTES;
    while at < end {
        let start = at;
        if let Some(size) = record_size(chunk, start) {
            at = start + size;
            spans.push(Span::Record(start, at));
            continue;
        }
        let next = (start + 1..end).find(|at| record_size(chunk, *at).is_some());
        at = next.unwrap_or(end);
        if chunk[start..at].iter().any(|byte| *byte != 0) {
            spans.push(Span::Gap(start, at));
        }
    }
    spans
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

/// A chunk's two checksums (header, records), each as stated and as found.
fn stated_and_found(chunk: &[u8], end: usize) -> ((u32, u32), (u32, u32)) {
    let stated = |at| Cursor::new(chunk, at).u32().unwrap_or(0);
    let records = chunk.get(CHUNK_HEADER_BYTES..end).unwrap_or_default();
    let header = checksum(&[&chunk[..120], &chunk[128..CHUNK_HEADER_BYTES]]);
    ((stated(124), header), (stated(52), checksum(&[records])))
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut crc = flate2::Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}
