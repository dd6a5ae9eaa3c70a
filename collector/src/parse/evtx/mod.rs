//! EVTX: Windows event log files, read chunk by chunk straight into normalized events.
//!
//! In: anything that reads, and a `Record` that says where the file came from. Out: an iterator of
//! `Result<Event, DeadLetter>` in the file's order; `event.original` is the record's bytes. Promise: one
//! chunk (64 KiB) in memory at a time, no panic whatever the bytes are; chunks do not depend on each other, so they may
//! be decoded side by side. Failure: a truncated file, a chunk with a wrong checksum, a record that is none, records
//! that a header claims and that are not there: each is one dead letter that names chunk, record and the byte in the
//! file, and reading goes on behind it.
//! Source: libevtx documentation, "Windows XML Event Log (EVTX) format" (J. Metz); [MS-EVEN6] section 2.2.

mod cursor;
mod chunk;
mod kept;
mod fill;
mod plan;
mod value;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod made;
#[cfg(test)]
mod made_tests;

use std::io::Read;
use std::sync::Arc;

pub use chunk::Chunk;
use chunk::{ChunkReader, Span};
use cursor::{Cursor, Fault};
use fill::Plans;
use nhatle_event::{DeadLetter, Event, Record, Timestamp};

use crate::normalize::windows;

/// The first bytes of every EVTX file.
pub const MAGIC: &[u8; 8] = b"ElfFile\0";

const RECORD_MAGIC: [u8; 4] = [0x2a, 0x2a, 0, 0];

/// What a record became, or what is wrong with the file or a chunk as a whole.
#[derive(Debug)]
pub struct Decoded {
    /// The record's position in the file, from 0; of what is no record, that of the next one.
    pub position: u64,
    /// Whether it is a record, readable or not.
    pub is_record: bool,
    /// The event, or what is wrong.
    pub result: Result<Event, DeadLetter>,
}

/// Decodes chunks. It keeps plans of templates from chunk to chunk and from file to file, so one that lives long is fast.
#[derive(Default)]
pub struct Decoder {
    plans: Plans,
}

impl Decoder {
    /// Adds what a chunk holds to `out`, in its order. `template` gives input name, peer, unit and time of receipt.
    pub fn decode(&mut self, chunk: Chunk, template: &Record, out: &mut Vec<Decoded>) {
        self.plans.begin_chunk();
        let mut position = chunk.first_record;
        out.reserve(chunk.losses.len() + chunk.spans.len());
        let whole = |letter| Decoded { position, is_record: false, result: Err(letter) };
        out.extend(chunk.losses.into_iter().map(whole));
        let bytes = &chunk.bytes[..];
        let mut last_number = None;
        for span in chunk.spans {
            let (start, end) = match span {
                Span::Record(start, end) => (start, end),
                Span::Gap(start, end) => {
                    let letter = chunk.place.letter(bytes, (start, end, start), None, "record is none", template);
                    out.push(Decoded { position, is_record: false, result: Err(letter) });
                    last_number = None;
                    continue;
                }
            };
            let number = Cursor::new(bytes, start + 8).u64().unwrap_or(0);
            if let Some(last) = last_number
                && number.wrapping_sub(last) != 1
            {
                let reason = format!("record numbers go from {last} to {number}");
                let letter = chunk.place.letter(bytes, (start, start + 24, start + 8), None, &reason, template);
                out.push(Decoded { position, is_record: false, result: Err(letter) });
            }
            last_number = Some(number);
            let result = self.record(bytes, (start, end), template).map_err(|Fault { reason, offset }| {
                chunk.place.letter(bytes, (start, end, offset), Some(number), reason, template)
            });
            out.push(Decoded { position, is_record: true, result });
            position += 1;
        }
    }

    fn record(&mut self, chunk: &[u8], (start, end): (usize, usize), template: &Record) -> Result<Event, Fault> {
        let written = Cursor::new(chunk, start + 16).u64().ok();
        let event = self.plans.read(chunk, start + 24, end - 4)?;
        let original: Arc<[u8]> = chunk[start..end].into();
        let fallback = written.map_or(template.received, Timestamp::from_filetime);
        Ok(windows::drain(event, original, fallback, template))
    }
}

/// Events of one EVTX file, in the file's order.
pub struct EvtxReader<R> {
    chunks: ChunkReader<R>,
    decoder: Decoder,
    decoded: std::vec::IntoIter<Decoded>,
    record_count: u64,
}

impl<R: Read> EvtxReader<R> {
    /// Reads `input` from its first byte. `template` gives input name, peer, unit and time of receipt of
    /// every event and dead letter; its bytes are not looked at.
    pub fn new(input: R, template: &Record) -> EvtxReader<R> {
        let mut template = template.clone();
        template.bytes = Arc::from([].as_slice());
        let decoder = Decoder::default();
        EvtxReader {
            chunks: ChunkReader::new(input, template),
            decoder,
            decoded: Vec::new().into_iter(),
            record_count: 0,
        }
    }

    /// How many records have been handed out, as events or dead letters. Dead letters of the file or a chunk as a
    /// whole do not count, so the record just handed out is the one at this position less one.
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    /// The next chunk, not decoded: for a [`Decoder`] on another thread. Not to be mixed with the iterator.
    pub fn read_chunk(&mut self) -> Option<Chunk> {
        self.chunks.next()
    }

    /// What decoding a chunk needs to know of the file.
    pub fn template(&self) -> &Record {
        self.chunks.template()
    }

    /// The next record or loss, with its position.
    pub fn next_decoded(&mut self) -> Option<Decoded> {
        loop {
            if let Some(decoded) = self.decoded.next() {
                self.record_count += u64::from(decoded.is_record);
                return Some(decoded);
            }
            let chunk = self.chunks.next()?;
            let mut decoded = Vec::new();
            self.decoder.decode(chunk, self.chunks.template(), &mut decoded);
            self.decoded = decoded.into_iter();
        }
    }
}

impl<R: Read> Iterator for EvtxReader<R> {
    type Item = Result<Event, DeadLetter>;

    fn next(&mut self) -> Option<Result<Event, DeadLetter>> {
        self.next_decoded().map(|decoded| decoded.result)
    }
}
