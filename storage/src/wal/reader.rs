//! Reads log files back. In: the bytes of one file. Out: its frames up to the last whole one.
//!
//! A torn tail (a crash in the middle of the last, unacknowledged write) is normal in the newest file
//! and is left out. A hole (bytes that are no frame, with a whole frame after them, or in a file that
//! is not the newest) is [`Corrupt`]: something acknowledged is gone. What cannot be told apart is
//! damage to the very last frame of the newest file; it reads as a torn tail.

use nhatle_event::Seq;

use super::{Bad, Batch, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, HEADER_BYTES, Header};
use crate::error::Corrupt;

/// How many bytes the search for a frame behind a torn one may checksum; past it the tail counts as
/// torn. Only content made to look like frames gets there.
const SEARCH_BYTES_MAX: usize = 1 << 30;
/// A `Seq` behind a hole is not further than this from the expected one.
const SEQ_GAP_MAX: u64 = 1 << 32;

/// Whether a file may end in the middle of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The newest file: a crash may have cut it.
    MayBeTorn,
    /// A file with a newer one after it: it was whole when that was made.
    MustBeWhole,
}

/// One whole frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Where it starts in the file.
    pub offset: u64,
    /// The `Seq` of its first event, or of the next event to come where it has none.
    pub seq: Seq,
    /// Its content.
    pub batch: Batch,
}

/// What a log file holds.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Its header; `None` where not even that was written whole.
    pub header: Option<Header>,
    /// Its frames.
    pub frames: Vec<Frame>,
    /// The length up to the end of the last whole frame.
    pub good_bytes: u64,
    /// The `Seq` after its last event.
    pub next_seq: Seq,
}

/// Reads the bytes of log file `number`; `path` is for the message.
///
/// # Errors
/// A hole, a frame out of order, or a file that is not this log file.
pub fn read(path: &str, number: u64, bytes: &[u8], tail: Tail) -> Result<LogFile, Corrupt> {
    let mut frames = Vec::new();
    let (header, good_bytes, next_seq) = walk(path, number, bytes, tail, |offset, seq, payload| {
        let batch = Batch::decode(payload)?;
        let count = batch.events.len();
        frames.push(Frame { offset, seq, batch });
        Ok(count)
    })?;
    Ok(LogFile { header, frames, good_bytes, next_seq })
}

/// Checks as [`read`] does that every byte is as written, and makes no events: of a file that others use, from time to time.
///
/// # Errors
/// As [`read`], but for what stands in a payload whose checksum is right.
pub fn check(path: &str, number: u64, bytes: &[u8], tail: Tail) -> Result<(), Corrupt> {
    walk(path, number, bytes, tail, |_, _, payload| super::event_count(payload)).map(|_| ())
}

/// Goes through the frames; `take` gets place, `Seq` and payload of each, and says how many events it has.
fn walk(
    path: &str,
    number: u64,
    bytes: &[u8],
    tail: Tail,
    mut take: impl FnMut(u64, Seq, &[u8]) -> Result<usize, Bad>,
) -> Result<(Option<Header>, u64, Seq), Corrupt> {
    let corrupt = |offset: usize, expected: &str, found: &str| Corrupt {
        file: path.to_owned(),
        offset: offset as u64,
        expected: expected.to_owned(),
        found: found.to_owned(),
    };
    let header = match Header::decode(bytes) {
        Ok(header) if header.number == number => header,
        Ok(header) => return Err(corrupt(12, &format!("number {number}"), &header.number.to_string())),
        // The header is synced before the first frame is written: a bad one with nothing behind it was
        // never finished.
        Err(_) if tail == Tail::MayBeTorn && bytes.len() <= HEADER_BYTES => return Ok((None, 0, Seq(0))),
        Err(bad) => return Err(corrupt(bad.offset, bad.expected, "other bytes")),
    };
    let (mut at, mut next_seq) = (HEADER_BYTES, header.first_seq);
    while at < bytes.len() {
        let Ok((seq, payload)) = whole_frame(&header, bytes, at) else {
            if tail == Tail::MayBeTorn && !has_frame_after(&header, bytes, at, next_seq) {
                break;
            }
            return Err(corrupt(at, &format!("a whole frame with Seq {next_seq}"), "other bytes"));
        };
        if seq != next_seq {
            return Err(corrupt(at + 8, &format!("Seq {next_seq}"), &seq.to_string()));
        }
        let count = take(at as u64, seq, payload)
            .map_err(|bad| corrupt(at + FRAME_HEADER_BYTES + bad.offset, bad.expected, "other bytes"))?;
        next_seq = Seq(seq.0 + count as u64);
        at += FRAME_HEADER_BYTES + payload.len();
    }
    // A torn tail ends the walk where it begins.
    Ok((Some(header), at as u64, next_seq))
}

/// The frame at `at`, where there is a whole one.
fn whole_frame<'a>(header: &Header, bytes: &'a [u8], at: usize) -> Result<(Seq, &'a [u8]), Bad> {
    let bad = |expected| Bad { offset: at, expected };
    let front = bytes.get(at..at + FRAME_HEADER_BYTES).ok_or(bad("a frame's header"))?;
    let word = |from: usize| u32::from_le_bytes([front[from], front[from + 1], front[from + 2], front[from + 3]]);
    let length = word(0);
    let seq = Seq(u64::from(word(8)) | u64::from(word(12)) << 32);
    let start = at + FRAME_HEADER_BYTES;
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    if size == 0 || FRAME_BYTES_MAX < size {
        return Err(bad("a length"));
    }
    let payload = bytes.get(start..start.saturating_add(size)).ok_or(bad("a whole payload"))?;
    if word(4) != header.frame_crc(length, seq, payload) {
        return Err(bad("the frame's checksum"));
    }
    Ok((seq, payload))
}

/// Whether any whole frame starts after `torn`. The salt keeps an event from carrying one.
fn has_frame_after(header: &Header, bytes: &[u8], torn: usize, expected: Seq) -> bool {
    let mut checked = 0usize;
    for at in torn + 1..bytes.len().saturating_sub(FRAME_HEADER_BYTES) {
        let word = |from: usize| u64::from_le_bytes(std::array::from_fn(|place| bytes[at + from + place]));
        let (length, seq) = (word(0) & 0xffff_ffff, word(8));
        let left = (bytes.len() - at - FRAME_HEADER_BYTES) as u64;
        if length == 0 || left < length || seq < expected.0 || expected.0.saturating_add(SEQ_GAP_MAX) < seq {
            continue;
        }
        checked = checked.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if SEARCH_BYTES_MAX < checked {
            return false;
        }
        if whole_frame(header, bytes, at).is_ok() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use nhatle_event::{Event, Timestamp};
    use proptest::prelude::*;

    use super::super::{encode_frame, path, set_committed};
    use super::*;
    use crate::dataset::Dataset;

    const HEADER: Header = Header { number: 3, first_seq: Seq(7), salt: 0x1234_5678_9abc, previous_bytes: 99 };

    fn file(header: &Header, batches: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut bytes = header.encode().to_vec();
        let mut seq = header.first_seq;
        for batch in batches {
            let event = |original: &Vec<u8>| (Dataset::Events, Event::new(Timestamp(4), original.clone()));
            let events: Vec<_> = batch.iter().map(event).collect();
            let mut frame = encode_frame(&events, &[("detected", vec![1, 2])]);
            set_committed(&mut frame, Timestamp(5));
            header.close_frame(seq, &mut frame);
            seq.0 += events.len() as u64;
            bytes.extend_from_slice(&frame);
        }
        bytes
    }

    fn batches() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
        let original = proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::vec(proptest::collection::vec(original, 0..5), 0..8)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_a_cut_file_gives_its_whole_frames(
            batches in batches(),
            cut: prop::sample::Index,
        ) {
            let bytes = file(&HEADER, &batches);
            let log = read("log", 3, &bytes, Tail::MustBeWhole).expect("is whole");
            let rows = |log: &LogFile| -> Vec<Vec<Vec<u8>>> {
                let originals = |frame: &Frame| frame.batch.events.iter().map(|(_, event)| event.original.to_vec()).collect();
                log.frames.iter().map(originals).collect()
            };
            prop_assert_eq!(&rows(&log), &batches);
            let cut = &bytes[..cut.index(bytes.len())];
            let log = read("log", 3, cut, Tail::MayBeTorn).expect("a torn tail is normal");
            prop_assert_eq!(rows(&log), batches[..log.frames.len()].to_vec());
            prop_assert!(log.good_bytes <= cut.len() as u64);
        }

        #[test]
        fn checking_says_what_reading_says(batches in batches(), at: prop::sample::Index, bit in 0..9u32) {
            let mut bytes = file(&HEADER, &batches);
            if let Some(bit) = 1u8.checked_shl(bit) {
                let at = at.index(bytes.len());
                bytes[at] ^= bit;
            }
            for tail in [Tail::MayBeTorn, Tail::MustBeWhole] {
                let read = read("log", 3, &bytes, tail).map(|_| ());
                prop_assert_eq!(check("log", 3, &bytes, tail), read);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut after: Vec<u8>, batches in batches()) {
            let mut bytes = file(&HEADER, &batches);
            drop(read("log", 3, &after, Tail::MayBeTorn));
            bytes.append(&mut after);
            let log = read("log", 3, &bytes, Tail::MayBeTorn).expect("the rest is a torn tail");
            prop_assert_eq!(log.frames.len(), batches.len());
        }

        #[test]
        fn any_payload_is_decoded_or_refused(payload: Vec<u8>) {
            drop(Batch::decode(&payload));
        }
    }

    #[test]
    fn a_frame_inside_an_event_is_no_frame() {
        // Whoever wrote this event knew everything but the salt.
        let inner = file(&Header { salt: 0, ..HEADER }, &[vec![b"inner".to_vec()]]);
        let mut bytes = file(&HEADER, &[vec![b"first".to_vec()], vec![inner[HEADER_BYTES..].repeat(5)]]);
        bytes.truncate(bytes.len() - 3);
        let log = read(&path(3), 3, &bytes, Tail::MayBeTorn).expect("is a torn tail");
        assert_eq!(log.frames.len(), 1);
        assert!(read(&path(3), 3, &bytes, Tail::MustBeWhole).is_err());
    }
}
