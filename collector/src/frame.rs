//! `Framer`: a byte stream in, `Record`s out, by octet count or newline (RFC 6587 section 3.4).
//!
//! In: chunks of any size, as a connection gives them. Out: one record per frame, without its framing.
//! Promise: any split of the same bytes gives the same records. Which framing a frame has is decided
//! for each frame, because senders mix them: `digits SP <` begins a counted frame, anything else ends
//! at the newline. Newlines, carriage returns and NUL padding around a frame are dropped; an empty
//! frame is no record. A frame past the limit is cut, marked as cut, and the rest skipped and counted; so is one that has to
//! give way because unfinished frames hold too much ([`Framer::give_way`]): its front is a dead letter. GELF's frames end
//! at a zero byte and have no count ([`Framer::to_zero`]). What is held never has more capacity than the limit.
//! Source: RFC 6587 sections 3.4.1 and 3.4.2; rsyslog and syslog-ng senders for the tolerance.

use std::net::IpAddr;

use nhatle_event::{Record, Text, Timestamp};

/// How many bytes of one frame are kept, unless told otherwise.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// How many bytes are kept of a frame that has to give way.
const FRONT_BYTES: usize = 4 << 10;
/// A frame that had to give way, in place of a profile: it is a dead letter, whatever it says.
pub const GAVE_WAY: &str = "(gave way)";
/// And why.
pub(crate) const GAVE_WAY_REASON: &str =
    "frame: unfinished frames held too much memory, the rest of this one is not kept";
/// How many digits an octet count may have: a longer number is text.
const COUNT_DIGITS_MAX: usize = 9;

/// What all records of one stream share.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The configured name of the input.
    pub input: Text,
    /// The address of the sender.
    pub peer: Option<IpAddr>,
    /// The source profile the input fixes.
    pub profile: Option<Text>,
    /// The organization unit the input fixes.
    pub unit: Option<Text>,
    /// The name the sender proved.
    pub source: Option<Text>,
}

impl Origin {
    /// An origin with nothing known but the input's name.
    pub fn new(input: &str) -> Origin {
        Origin { input: Text::from(input), peer: None, profile: None, unit: None, source: None }
    }

    /// A record of these bytes from here.
    pub fn record(&self, bytes: &[u8], received: Timestamp, is_truncated: bool) -> Record {
        Record {
            bytes: bytes.into(),
            received,
            peer: self.peer,
            input: self.input.clone(),
            profile: self.profile.clone(),
            unit: self.unit.clone(),
            source: self.source.clone(),
            is_truncated,
            id: None,
            canary: None,
        }
    }
}

/// What the framer is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a frame: the framing is not decided yet.
    Start,
    /// In a frame that ends at a newline.
    Line,
    /// In a counted frame with so many bytes to come.
    Counted(usize),
}

/// Cuts a byte stream into records.
#[derive(Debug)]
pub struct Framer {
    origin: Origin,
    record_bytes_max: usize,
    /// The byte that ends a frame without a count.
    end: u8,
    state: State,
    /// The frame so far: at most `record_bytes_max` bytes (in `Start`, at most a count's prefix).
    held: Vec<u8>,
    /// The frame went past the limit.
    is_cut: bool,
    /// The frame has given way: nothing more of it is kept.
    has_given_way: bool,
    skipped_bytes: u64,
}

impl Framer {
    /// A framer for one stream. `record_bytes_max` of 0 is taken as 1.
    pub fn new(origin: Origin, record_bytes_max: usize) -> Framer {
        Framer {
            origin,
            record_bytes_max: record_bytes_max.max(1),
            end: b'\n',
            state: State::Start,
            held: Vec::new(),
            is_cut: false,
            has_given_way: false,
            skipped_bytes: 0,
        }
    }

    /// A framer for frames that end at a zero byte (GELF 1.1, "GELF via TCP").
    pub fn to_zero(origin: Origin, record_bytes_max: usize) -> Framer {
        Framer { end: 0, ..Framer::new(origin, record_bytes_max) }
    }

    /// Takes the next bytes of the stream and appends the records they complete to `records`.
    pub fn push(&mut self, mut bytes: &[u8], received: Timestamp, records: &mut Vec<Record>) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Start => self.start(bytes),
                State::Line => self.line(bytes, received, records),
                State::Counted(left) => self.counted(bytes, left, received, records),
            };
        }
    }

    /// The stream has ended: what is held is the last record.
    pub fn finish(&mut self, received: Timestamp, records: &mut Vec<Record>) {
        self.cut_held();
        self.emit(received, records);
    }

    /// True while an unfinished frame is held: the stream may not end here without losing its rest.
    pub fn is_inside_frame(&self) -> bool {
        !self.held.is_empty() || self.has_given_way
    }

    /// How much memory the unfinished frame holds.
    pub fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Gives back what the unfinished frame holds: its front is a record that becomes a dead letter, the rest of it is
    /// skipped and counted, now and as it comes.
    pub fn give_way(&mut self, received: Timestamp, records: &mut Vec<Record>) {
        if self.state == State::Start || self.has_given_way {
            return;
        }
        let held = std::mem::take(&mut self.held);
        let front = held.get(..FRONT_BYTES).unwrap_or(&held);
        let profile = Some(Text::const_new(GAVE_WAY));
        records.push(Record { profile, ..self.origin.record(front, received, true) });
        self.count_skipped(held.len() - front.len());
        self.has_given_way = true;
    }

    /// Bytes of over-long frames that were not kept.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Decides the framing of the next frame; takes one byte at a time, of which there are few.
    fn start<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((first, rest)) = bytes.split_first() else { return bytes };
        let digits = self.held.len();
        match first {
            _ if self.end == 0 => {
                self.state = State::Line;
                bytes
            }
            b'\n' | b'\r' | 0 | b' ' | b'\t' if digits == 0 => rest,
            b'0'..=b'9' if digits < COUNT_DIGITS_MAX && !(digits == 0 && *first == b'0') => {
                self.held.push(*first);
                rest
            }
            // `12 <`: the space is held until the `<` confirms that this was a count.
            b' ' if self.held.iter().all(u8::is_ascii_digit) => {
                self.held.push(b' ');
                rest
            }
            b'<' if self.held.last() == Some(&b' ') => {
                let digits = self.held.iter().take_while(|byte| byte.is_ascii_digit());
                let count = digits.fold(0usize, |sum, digit| sum * 10 + usize::from(digit - b'0'));
                self.held.clear();
                self.state = State::Counted(count);
                bytes
            }
            _ => {
                self.state = State::Line;
                self.cut_held();
                bytes
            }
        }
    }

    fn line<'a>(&mut self, bytes: &'a [u8], received: Timestamp, records: &mut Vec<Record>) -> &'a [u8] {
        match memchr::memchr(self.end, bytes) {
            Some(at) => {
                self.hold(&bytes[..at]);
                self.emit(received, records);
                &bytes[at + 1..]
            }
            None => {
                self.hold(bytes);
                &[]
            }
        }
    }

    fn counted<'a>(
        &mut self,
        bytes: &'a [u8],
        left: usize,
        received: Timestamp,
        records: &mut Vec<Record>,
    ) -> &'a [u8] {
        let (frame, rest) = bytes.split_at(left.min(bytes.len()));
        self.hold(frame);
        self.state = State::Counted(left - frame.len());
        if left == frame.len() {
            self.emit(received, records);
        }
        rest
    }

    /// Keeps what the limit allows of `bytes`, counts the rest.
    fn hold(&mut self, bytes: &[u8]) {
        let room = if self.has_given_way { 0 } else { self.record_bytes_max - self.held.len() };
        let kept = bytes.len().min(room);
        let needed = self.held.len() + kept;
        if self.held.capacity() < needed {
            // Twice as much as before, and never past the limit.
            let capacity = (2 * self.held.len()).min(self.record_bytes_max).max(needed);
            self.held.reserve_exact(capacity - self.held.len());
        }
        self.held.extend_from_slice(&bytes[..kept]);
        self.count_skipped(bytes.len() - kept);
    }

    /// Cuts a count's prefix that turned out to be text and is longer than a whole record may be.
    fn cut_held(&mut self) {
        let over = self.held.len().saturating_sub(self.record_bytes_max);
        self.held.truncate(self.record_bytes_max);
        self.count_skipped(over);
    }

    fn count_skipped(&mut self, bytes: usize) {
        self.is_cut |= bytes > 0;
        self.skipped_bytes = self.skipped_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn emit(&mut self, received: Timestamp, records: &mut Vec<Record>) {
        let frame = trim_frame(&self.held);
        if !frame.is_empty() {
            records.push(self.origin.record(frame, received, self.is_cut));
        }
        // A long frame keeps no memory for the short ones behind it.
        if FRONT_BYTES < self.held.capacity() {
            self.held = Vec::new();
        }
        self.held.clear();
        self.is_cut = false;
        self.has_given_way = false;
        self.state = State::Start;
    }
}

/// A byte that senders put around a frame and that is none of it.
pub(crate) fn is_padding(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// The frame without the line ends and NUL padding around it.
pub fn trim_frame(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_padding(*byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_padding(*byte)).map_or(start, |at| at + 1);
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(chunks: &[&[u8]], max: usize) -> Vec<(Vec<u8>, bool)> {
        let mut framer = Framer::new(Origin::new("test"), max);
        let mut records = Vec::new();
        for chunk in chunks {
            framer.push(chunk, Timestamp(0), &mut records);
        }
        framer.finish(Timestamp(0), &mut records);
        records.iter().map(|record| (record.bytes.to_vec(), record.is_truncated)).collect()
    }

    /// The slow and obvious twin: all bytes at once, looking ahead freely.
    fn frames_naive(mut bytes: &[u8], max: usize) -> Vec<(Vec<u8>, bool)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            if matches!(bytes[0], b'\n' | b'\r' | 0 | b' ' | b'\t') {
                bytes = &bytes[1..];
                continue;
            }
            let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let is_counted =
                (1..=COUNT_DIGITS_MAX).contains(&digits) && bytes[0] != b'0' && bytes[digits..].starts_with(b" <");
            let (frame, used) = if is_counted {
                let count: usize = std::str::from_utf8(&bytes[..digits]).unwrap().parse().unwrap();
                let end = bytes.len().min(digits + 1 + count);
                (&bytes[digits + 1..end], end)
            } else {
                let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
                (&bytes[..end], bytes.len().min(end + 1))
            };
            let kept = trim_frame(&frame[..frame.len().min(max)]);
            if !kept.is_empty() {
                found.push((kept.to_vec(), frame.len() > max));
            }
            bytes = &bytes[used..];
        }
        found
    }

    #[track_caller]
    fn check(bytes: &[u8], max: usize, expected: &[(&[u8], bool)]) {
        let expected: Vec<_> = expected.iter().map(|(frame, is_cut)| (frame.to_vec(), *is_cut)).collect();
        assert_eq!(frames(&[bytes], max), expected);
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(frames(&single, max), expected, "byte by byte");
    }

    #[test]
    fn frames_end_at_the_newline_or_at_the_count() {
        check(b"<13>one\n<13>two\r\n", 99, &[(b"<13>one", false), (b"<13>two", false)]);
        check(b"7 <13>one7 <13>two", 99, &[(b"<13>one", false), (b"<13>two", false)]);
        check(b"7 <13>one\n7 <13>t\no<13>last", 99, &[(b"<13>one", false), (b"<13>t\no", false), (b"<13>last", false)]);
        check(b"<13>a\n6 <13>bc<13>d\n", 99, &[(b"<13>a", false), (b"<13>bc", false), (b"<13>d", false)]);
    }

    #[test]
    fn a_number_that_is_no_count_is_text() {
        check(
            b"2024 was a year\n12\n007 <bond\n",
            99,
            &[(b"2024 was a year", false), (b"12", false), (b"007 <bond", false)],
        );
        check(b"1234567890 <x\n", 99, &[(b"1234567890 <x", false)]);
    }

    #[test]
    fn padding_is_dropped_and_empty_frames_are_none() {
        check(b"\n\0\0<13>a\0\0\n\r\n\0", 99, &[(b"<13>a", false)]);
        check(b"", 99, &[]);
    }

    #[test]
    fn a_long_frame_is_cut_and_the_next_one_is_whole() {
        check(b"abcdefgh\nij\n", 4, &[(b"abcd", true), (b"ij", false)]);
        check(b"12 <13>abcdefgh3 <1>\n", 4, &[(b"<13>", true), (b"<1>", false)]);
        let mut framer = Framer::new(Origin::new("test"), 4);
        framer.push(b"abcdefgh\n", Timestamp(0), &mut Vec::new());
        assert_eq!(framer.skipped_bytes(), 4);
    }

    #[test]
    fn ten_megabytes_without_a_newline_hold_no_more_than_the_limit() {
        let mut framer = Framer::new(Origin::new("test"), RECORD_BYTES_MAX);
        let mut records = Vec::new();
        let chunk = vec![b'x'; 65_536];
        for _ in 0..160 {
            framer.push(&chunk, Timestamp(0), &mut records);
            assert!(framer.held.capacity() <= RECORD_BYTES_MAX);
        }
        framer.push(b"\nnext\n", Timestamp(0), &mut records);
        assert_eq!(records.len(), 2);
        assert!(records[0].is_truncated && records[0].bytes.len() == RECORD_BYTES_MAX);
        assert_eq!(&*records[1].bytes, b"next");
        assert!(framer.held.capacity() <= FRONT_BYTES, "what the long one took is given back");
    }

    #[test]
    fn a_frame_that_gives_way_leaves_its_front_and_the_next_one_is_whole() {
        for (begin, rest) in [(&b""[..], &b"yyy\nnext\n"[..]), (b"10003 <", b"yyynext\n")] {
            let mut framer = Framer::new(Origin::new("test"), RECORD_BYTES_MAX);
            let mut records = Vec::new();
            framer.push(begin, Timestamp(0), &mut records);
            framer.push(&vec![b'x'; 10_000 - usize::from(!begin.is_empty())], Timestamp(0), &mut records);
            framer.give_way(Timestamp(0), &mut records);
            framer.give_way(Timestamp(0), &mut records);
            assert!(framer.held.capacity() == 0 && framer.is_inside_frame());
            framer.push(rest, Timestamp(0), &mut records);
            let found: Vec<_> = records.iter().map(|one| (one.bytes.len(), one.is_truncated)).collect();
            assert_eq!(found, [(FRONT_BYTES, true), (4, false)]);
            assert_eq!(framer.skipped_bytes(), 10_003 - FRONT_BYTES as u64);
            let dead = crate::to_event(&records[0], &crate::Settings::default()).expect_err("a dead letter");
            assert_eq!((&*dead.reason, dead.offset), (GAVE_WAY_REASON, FRONT_BYTES));
            assert!(crate::to_event(&records[1], &crate::Settings::default()).is_ok());
        }
    }

    #[test]
    fn a_stream_of_gelf_is_cut_at_zero_bytes_in_any_pieces() {
        let stream = b"{\"a\":1}\0\0{\"long message\"}\x0012 <rest";
        for piece in 1..stream.len() {
            let mut framer = Framer::to_zero(Origin::new("test"), 10);
            let mut records = Vec::new();
            stream.chunks(piece).for_each(|bytes| framer.push(bytes, Timestamp(0), &mut records));
            framer.finish(Timestamp(0), &mut records);
            let found: Vec<_> = records.iter().map(|one| (&*one.bytes, one.is_truncated)).collect();
            assert_eq!(
                found,
                [(&b"{\"a\":1}"[..], false), (b"{\"long mes", true), (b"12 <rest", false)],
                "in pieces of {piece}"
            );
            assert_eq!(framer.skipped_bytes(), 6);
        }
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"<13>".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\0".to_vec()),
            Just(b" ".to_vec()),
            "[0-9]{1,3} ?".prop_map(String::into_bytes),
            "[0-9]{1,2} <".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_split_frames_the_same(bytes in stream(), cuts in proptest::collection::vec(0usize..64, 0..8), max in 1usize..40) {
            let mut places: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            places.extend([0, bytes.len()]);
            places.sort_unstable();
            let chunks: Vec<_> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = frames_naive(&bytes, max);
            prop_assert_eq!(&frames(&chunks, max), &whole);
            prop_assert_eq!(&frames(&[&bytes], max), &whole);
        }
    }
}
