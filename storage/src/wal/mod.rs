//! The log: what a file and a frame look like, and all their limits. In: batches of events and marks.
//! Out: the same after a crash. One frame is one batch, so a batch is there whole or not at all.
//!
//! ```text
//! file:    magic 8 | version u32 | number u64 | first Seq u64 | salt u64 | previous bytes u64 | CRC-32C u32
//! frame:   length u32 | CRC-32C u32 | first Seq u64 | payload
//! payload: committed i64 | count | count x event | count | count x mark
//! event:   dataset u8 | length | bytes (nhatle_event::binary)
//! mark:    length | name | length | bytes
//! ```
//!
//! Fixed numbers are little-endian, lengths and counts in the payload LEB128. The checksum of a frame
//! covers salt, length, Seq and payload. Pictures, commit protocol and what a reader tolerates:
//! docs/format/log.md.

pub mod reader;
pub mod writer;

use nhatle_event::{Event, Seq, Timestamp, binary};

use crate::dataset::Dataset;

/// The folder of the log.
pub const FOLDER: &str = "log";
/// The first eight bytes of a log file.
pub const MAGIC: [u8; 8] = *b"nhatleLG";
/// The version written now: its events may be of version 2 of [`nhatle_event::binary`], which a program of before must refuse.
pub const VERSION: u32 = 2;
/// The oldest version that is read.
const VERSION_MIN: u32 = 1;
/// The length of a file's header, its checksum included.
pub const HEADER_BYTES: usize = 48;
/// How much of the header its checksum covers.
const HEADER_CHECKED: usize = 44;
/// The length of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 16;
/// How long a frame's payload may be. A record is at most some MiB, a batch some hundred KiB.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
/// How long a mark's name may be.
pub const MARK_NAME_BYTES_MAX: usize = 64;
/// How long a mark's value may be.
pub const MARK_BYTES_MAX: usize = 16 << 20;
/// How many marks a store may have.
pub const MARKS_MAX: usize = 64;
/// How many bytes an encoded event takes, about.
const EVENT_BYTES: usize = 768;
/// How many bytes a length or count takes at most.
const NUMBER_BYTES_MAX: usize = 10;

/// What stands at the front of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its place in the order of log files, from 1 without gaps.
    pub number: u64,
    /// The `Seq` that the first event written to it gets.
    pub first_seq: Seq,
    /// Mixed into every checksum of this file, so that bytes of another file, or of an event that
    /// carries the picture of a frame, are no frame here.
    pub salt: u64,
    /// The length of the file before it when that was closed; 0 for the first.
    pub previous_bytes: u64,
}

/// One batch as the log holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// When it was committed.
    pub committed: Timestamp,
    /// Its events, in order; the first has the frame's `Seq`.
    pub events: Vec<(Dataset, Event)>,
    /// Named values that became durable with it.
    pub marks: Vec<(String, Vec<u8>)>,
}

/// What is wrong with bytes, and at which offset in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Counted from the front of the bytes given.
    pub offset: usize,
    /// What should be there.
    pub expected: &'static str,
}

/// Where an encoded event stands, and what is known of it without decoding it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// When it happened.
    pub timestamp: Timestamp,
    /// Where its bytes begin,
    pub begin: usize,
    /// and end.
    pub end: usize,
    /// Its dataset.
    pub dataset: Dataset,
}

/// Events as a frame holds them, one behind the other. Whoever makes events encodes them while they are at hand, on as many threads
/// as make them; the one thread that appends then copies bytes in a row.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Encoded {
    /// These events.
    pub fn of(events: &[(Dataset, Event)]) -> Encoded {
        let mut encoded = Encoded::with_capacity(events.len());
        events.iter().for_each(|(dataset, event)| encoded.push(*dataset, event));
        encoded
    }

    /// None yet, with room for about so many.
    pub fn with_capacity(count: usize) -> Encoded {
        Encoded { bytes: Vec::with_capacity(count.saturating_mul(EVENT_BYTES)), places: Vec::with_capacity(count) }
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds an event behind the others.
    pub fn push(&mut self, dataset: Dataset, event: &Event) {
        self.bytes.push(dataset.number());
        let front = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        binary::encode(event, &mut self.bytes);
        let length = self.bytes.len() - front - 2;
        match u16::try_from(length) {
            // Nearly all lengths are numbers of two bytes.
            Ok(short @ 0x80..0x4000) => {
                self.bytes[front] = short.to_le_bytes()[0] | 0x80;
                self.bytes[front + 1] = (short >> 7).to_le_bytes()[0];
            }
            _ => {
                let mut number = Vec::new();
                put_number(&mut number, length);
                drop(self.bytes.splice(front..front + 2, number));
            }
        }
        let end = self.bytes.len();
        self.places.push(Place { timestamp: event.timestamp, begin: end - length, end, dataset });
    }

    /// The events of several, but for those at these places among all of them, which rise.
    pub fn without(parts: &[Encoded], left_out: &[u32]) -> Encoded {
        let mut kept = Encoded::with_capacity(parts.iter().map(Encoded::len).sum());
        let mut left_out = left_out.iter().peekable();
        let all = parts.iter().flat_map(|part| part.places.iter().map(move |place| (part, place)));
        for (at, (part, place)) in (0u32..).zip(all) {
            if left_out.next_if_eq(&&at).is_some() {
                continue;
            }
            kept.bytes.push(place.dataset.number());
            put_number(&mut kept.bytes, place.end - place.begin);
            let begin = kept.bytes.len();
            kept.bytes.extend_from_slice(&part.bytes[place.begin..place.end]);
            kept.places.push(Place { begin, end: kept.bytes.len(), ..*place });
        }
        kept
    }
}

/// The path of a log file.
pub fn path(number: u64) -> String {
    format!("{FOLDER}/{number:016}.log")
}

/// The number in a log file's name.
pub fn number(name: &str) -> Option<u64> {
    name.strip_suffix(".log").filter(|digits| digits.len() == 16)?.parse().ok()
}

impl Header {
    /// The bytes at the front of the file.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let words = [self.number, self.first_seq.0, self.salt, self.previous_bytes];
        let fields = MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain(words.into_iter().flat_map(u64::to_le_bytes));
        for (place, byte) in bytes.iter_mut().zip(fields) {
            *place = byte;
        }
        let crc = crc32c::crc32c(&bytes[..HEADER_CHECKED]);
        bytes[HEADER_CHECKED..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header from the front of a file.
    ///
    /// # Errors
    /// Where the bytes are no header of a version that is read.
    pub fn decode(bytes: &[u8]) -> Result<Header, Bad> {
        let bad = |offset, expected| Bad { offset, expected };
        let mut input = Input { bytes, at: 0 };
        if input.array::<8>()? != MAGIC {
            return Err(bad(0, "the magic of a log file"));
        }
        if !(VERSION_MIN..=VERSION).contains(&u32::from_le_bytes(input.array()?)) {
            return Err(bad(8, "log version 1 or 2"));
        }
        let number = u64::from_le_bytes(input.array()?);
        let first_seq = Seq(u64::from_le_bytes(input.array()?));
        let salt = u64::from_le_bytes(input.array()?);
        let previous_bytes = u64::from_le_bytes(input.array()?);
        if u32::from_le_bytes(input.array()?) != crc32c::crc32c(&bytes[..HEADER_CHECKED]) {
            return Err(bad(HEADER_CHECKED, "the checksum of the header"));
        }
        Ok(Header { number, first_seq, salt, previous_bytes })
    }

    /// The checksum of a frame in this file.
    pub fn frame_crc(&self, length: u32, seq: Seq, payload: &[u8]) -> u32 {
        let mut front = [0; 20];
        front[..8].copy_from_slice(&self.salt.to_le_bytes());
        front[8..12].copy_from_slice(&length.to_le_bytes());
        front[12..].copy_from_slice(&seq.0.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&front), payload)
    }

    /// Fills in the header of a frame whose payload already stands behind room for it.
    pub fn close_frame(&self, seq: Seq, frame: &mut [u8]) {
        assert!(frame.len() > FRAME_HEADER_BYTES, "a payload is never empty");
        let length = u32::try_from(frame.len() - FRAME_HEADER_BYTES).expect("the caller keeps to FRAME_BYTES_MAX");
        let crc = self.frame_crc(length, seq, &frame[FRAME_HEADER_BYTES..]);
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        frame[8..16].copy_from_slice(&seq.0.to_le_bytes());
    }
}

/// A frame with room for its header: the payload of these events and marks. The commit time is filled
/// in by [`set_committed`], because it is known only once it is the frame's turn. Also where in it the bytes of each event
/// stand.
pub fn frame(events: &[Encoded], marks: &[(&str, Vec<u8>)]) -> (Vec<u8>, Vec<Place>) {
    let count = events.iter().map(Encoded::len).sum();
    let event_bytes: usize = events.iter().map(|part| part.bytes.len()).sum();
    let mark_bytes: usize = marks.iter().map(|(name, value)| name.len() + value.len() + 2 * NUMBER_BYTES_MAX).sum();
    let mut out = Vec::with_capacity(FRAME_HEADER_BYTES + 8 + 2 * NUMBER_BYTES_MAX + event_bytes + mark_bytes);
    let mut places = Vec::with_capacity(count);
    out.resize(FRAME_HEADER_BYTES + 8, 0);
    put_number(&mut out, count);
    for part in events {
        let from = out.len();
        out.extend_from_slice(&part.bytes);
        places.extend(part.places.iter().map(|place| Place {
            begin: from + place.begin,
            end: from + place.end,
            ..*place
        }));
    }
    put_number(&mut out, marks.len());
    for (name, value) in marks {
        put_number(&mut out, name.len());
        out.extend_from_slice(name.as_bytes());
        put_number(&mut out, value.len());
        out.extend_from_slice(value);
    }
    (out, places)
}

/// [`frame`] of events at hand.
#[cfg(test)]
pub fn encode_frame(events: &[(Dataset, Event)], marks: &[(&str, Vec<u8>)]) -> Vec<u8> {
    frame(&[Encoded::of(events)], marks).0
}

/// Writes the commit time into a frame from [`encode_frame`].
pub fn set_committed(frame: &mut [u8], committed: Timestamp) {
    frame[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + 8].copy_from_slice(&committed.0.to_le_bytes());
}

/// How many events a payload says it has.
///
/// # Errors
/// Where the bytes are no batch.
pub fn event_count(payload: &[u8]) -> Result<usize, Bad> {
    let mut input = Input { bytes: payload, at: 0 };
    input.array::<8>()?;
    input.count()
}

impl Batch {
    /// Reads a payload.
    ///
    /// # Errors
    /// Where the bytes are no batch.
    pub fn decode(payload: &[u8]) -> Result<Batch, Bad> {
        let mut input = Input { bytes: payload, at: 0 };
        let committed = Timestamp(i64::from_le_bytes(input.array()?));
        let mut batch = Batch { committed, events: Vec::with_capacity(input.count()?), marks: Vec::new() };
        for _ in 0..batch.events.capacity() {
            let number = input.array::<1>()?[0];
            let dataset = Dataset::from_number(number).ok_or_else(|| input.bad("the number of a dataset"))?;
            let length = input.count()?;
            let start = input.at;
            let event = binary::decode(input.take(length)?)
                .map_err(|error| Bad { offset: start + error.offset, expected: error.reason })?;
            batch.events.push((dataset, event));
        }
        for _ in 0..input.count()? {
            let length = input.count()?;
            let name = std::str::from_utf8(input.take(length)?).map_err(|_bad| input.bad("a name in UTF-8"))?;
            let length = input.count()?;
            batch.marks.push((name.to_owned(), input.take(length)?.to_vec()));
        }
        if input.at != payload.len() {
            return Err(input.bad("the end of the batch"));
        }
        Ok(batch)
    }
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut number = number as u64;
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// A cursor over bytes that may be anything.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn bad(&self, expected: &'static str) -> Bad {
        Bad { offset: self.at, expected }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Bad> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.bad("more bytes"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        self.take(N)?.try_into().map_err(|_length| self.bad("more bytes"))
    }

    /// A length, or a count of things that take at least one byte each.
    fn count(&mut self) -> Result<usize, Bad> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let left = self.bytes.len() - self.at;
                return usize::try_from(number)
                    .ok()
                    .filter(|count| *count <= left)
                    .ok_or_else(|| self.bad("a count no larger than what follows"));
            }
        }
        Err(self.bad("a number of 64 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_the_same_however_its_events_are_taken_together() {
        // Lengths of one, two and three bytes, at their borders.
        let sizes = (0..140).chain([0x3f00, 0x3fe0, 0x3fff, 0x4000, 0x4100, 0x20_0000]);
        let event = |size: usize| {
            let mut event = Event::new(Timestamp(size as i64), vec![7; size]);
            event.set_named("test.name", "value");
            (if size.is_multiple_of(3) { Dataset::DeadLetters } else { Dataset::Events }, event)
        };
        let events: Vec<(Dataset, Event)> = sizes.map(event).collect();
        let marks = [("mark", vec![1; 200])];
        let (whole, places) = frame(&[Encoded::of(&events)], &marks);
        assert_eq!(places.len(), events.len());
        for (place, (dataset, event)) in places.iter().zip(&events) {
            assert_eq!((place.dataset, place.timestamp), (*dataset, event.timestamp));
            assert_eq!(binary::decode(&whole[place.begin..place.end]).as_ref(), Ok(event));
        }
        let batch = Batch::decode(&whole[FRAME_HEADER_BYTES..]).expect("is a batch");
        assert_eq!(batch.events, events);
        let parts: Vec<Encoded> = events.chunks(7).map(Encoded::of).collect();
        assert_eq!(frame(&parts, &marks).0, whole);
        assert_eq!(frame(&[Encoded::without(&parts, &[])], &marks).0, whole);
        let left_out = [0, 6, 7, 20, 145];
        let kept = |(at, _): &(u32, &(Dataset, Event))| !left_out.contains(at);
        let fewer: Vec<(Dataset, Event)> = (0..).zip(&events).filter(kept).map(|(_, one)| one.clone()).collect();
        let without = Encoded::without(&parts, &left_out);
        assert_eq!(frame(&[without], &marks).0, encode_frame(&fewer, &marks));
    }
}
