//! GELF over UDP: whole, packed or in chunks. Over TCP each message ends with a zero byte ([`super::syslog`]).
//!
//! In: datagrams. Out: messages, and what records of them share: the profile `gelf`. Bounds: unfinished messages at once, their chunks (128), how long they wait (5 s),
//! bytes of all of them, bytes of a message, unpacked. What cannot be unpacked is a record as it came, which becomes
//! a dead letter. Failure: none. Source: GELF 1.1, "GELF via UDP" and "GELF via TCP".

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;

use nhatle_event::{Text, Timestamp};

use crate::frame::Origin;
use crate::normalize::envelope;

/// A chunk begins with these bytes, an id of eight, its number and how many there are.
const CHUNK_MARK: [u8; 2] = [0x1e, 0x0f];
/// A message has at most so many chunks.
const CHUNKS_MAX: u8 = 128;
/// An unfinished message is given up after so long, in nanoseconds.
const CHUNK_WAIT_NS: i64 = 5_000_000_000;
/// So many unfinished messages are held at once; past it the oldest is given up.
const UNFINISHED_MAX: usize = 1024;
/// And so many bytes of them.
const UNFINISHED_BYTES_MAX: usize = 32 << 20;

/// What the records of an input share.
pub(super) fn origin(origin: Origin) -> Origin {
    Origin { profile: Some(Text::const_new(envelope::GELF)), ..origin }
}

/// Datagrams become messages: chunks put together, packed ones unpacked.
#[derive(Default)]
pub(super) struct Assembly {
    unfinished: Unfinished,
}

impl Assembly {
    /// Takes a datagram; gives the message it is or completes, and how many messages were given up. What cannot be
    /// unpacked is the message as it came.
    pub(super) fn push(
        &mut self,
        peer: IpAddr,
        datagram: &[u8],
        now: Timestamp,
        bytes_max: usize,
    ) -> (Option<Vec<u8>>, usize) {
        let given_up = self.unfinished.given_up;
        let message = self.unfinished.push(peer, datagram, now);
        let lost = usize::try_from(self.unfinished.given_up - given_up).unwrap_or(usize::MAX);
        (message.map(|message| unpack(&message, bytes_max).unwrap_or(message)), lost)
    }
}

/// A message unpacked, at most one byte past the bound; `None` where it is not packed or broken.
fn unpack(message: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX - 1).saturating_add(1);
    let mut unpacked = Vec::new();
    let read = match message {
        [0x1f, 0x8b, ..] => flate2::read::GzDecoder::new(message).take(limit).read_to_end(&mut unpacked),
        // zlib: the method is 8, and the two bytes are a multiple of 31 (RFC 1950).
        [first, second, ..] if first & 15 == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0 => {
            flate2::read::ZlibDecoder::new(message).take(limit).read_to_end(&mut unpacked)
        }
        _ => return None,
    };
    read.is_ok().then_some(unpacked)
}

/// A message of which chunks are missing.
struct Pieces {
    began: Timestamp,
    bytes: usize,
    /// Chunks by their number.
    chunks: BTreeMap<u8, Vec<u8>>,
    count: u8,
}

/// Messages of which chunks are missing, by who sent them and their id.
#[derive(Default)]
struct Unfinished {
    messages: BTreeMap<(IpAddr, [u8; 8]), Pieces>,
    bytes: usize,
    /// How many messages were given up: chunks that never came, or no room.
    given_up: u64,
}

impl Unfinished {
    /// Takes a datagram; gives the message it is or completes.
    fn push(&mut self, peer: IpAddr, datagram: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let Some(rest) = datagram.strip_prefix(&CHUNK_MARK) else { return Some(datagram.to_vec()) };
        let (Some(id), Some([number, count]), Some(data)) =
            (rest.first_chunk::<8>(), rest.get(8..10).and_then(|two| two.first_chunk::<2>()), rest.get(10..))
        else {
            return Some(datagram.to_vec());
        };
        if *count == 0 || CHUNKS_MAX < *count || count <= number {
            return Some(datagram.to_vec());
        }
        self.give_up_before(now.plus_nanos(-CHUNK_WAIT_NS));
        let key = (peer, *id);
        let empty = || Pieces { began: now, bytes: 0, chunks: BTreeMap::new(), count: *count };
        let pieces = self.messages.entry(key).or_insert_with(empty);
        if pieces.count == *count && !pieces.chunks.contains_key(number) {
            pieces.bytes += data.len();
            self.bytes += data.len();
            pieces.chunks.insert(*number, data.to_vec());
        }
        if pieces.chunks.len() == usize::from(pieces.count) {
            let whole = self.messages.remove(&key)?;
            self.bytes -= whole.bytes;
            return Some(whole.chunks.into_values().flatten().collect());
        }
        while UNFINISHED_MAX < self.messages.len() || UNFINISHED_BYTES_MAX < self.bytes {
            let oldest = self.messages.iter().min_by_key(|(_, pieces)| pieces.began).map(|(key, _)| *key);
            let Some(pieces) = oldest.and_then(|key| self.messages.remove(&key)) else { break };
            self.bytes -= pieces.bytes;
            self.given_up += 1;
        }
        None
    }

    fn give_up_before(&mut self, limit: Timestamp) {
        let before = self.messages.len();
        let bytes = &mut self.bytes;
        self.messages.retain(|_, pieces| {
            let is_kept = limit <= pieces.began;
            *bytes -= if is_kept { 0 } else { pieces.bytes };
            is_kept
        });
        self.given_up += u64::try_from(before - self.messages.len()).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn chunk(id: u8, number: u8, count: u8, data: &[u8]) -> Vec<u8> {
        [&CHUNK_MARK[..], &[id; 8], &[number, count], data].concat()
    }

    #[test]
    fn chunks_in_any_order_make_the_message_once() {
        let mut unfinished = Unfinished::default();
        let mut push = |datagram: Vec<u8>| unfinished.push(PEER, &datagram, Timestamp(0));
        assert_eq!(push(chunk(1, 2, 3, b"c")), None);
        assert_eq!(push(chunk(1, 0, 3, b"a")), None);
        assert_eq!(push(chunk(2, 0, 2, b"x")), None);
        assert_eq!(push(chunk(1, 0, 3, b"again")), None);
        assert_eq!(push(chunk(1, 1, 3, b"b")), Some(b"abc".to_vec()));
        assert_eq!(push(b"{}".to_vec()), Some(b"{}".to_vec()));
        // What claims to be a chunk and is none is a message, which will be a dead letter.
        for broken in [chunk(3, 3, 3, b""), chunk(3, 0, 0, b""), chunk(3, 0, 129, b""), CHUNK_MARK.to_vec()] {
            assert_eq!(push(broken.clone()), Some(broken));
        }
        assert_eq!((unfinished.messages.len(), unfinished.bytes), (1, 1));
    }

    #[test]
    fn unfinished_messages_are_given_up_by_age_and_by_room() {
        let mut unfinished = Unfinished::default();
        unfinished.push(PEER, &chunk(1, 0, 2, b"x"), Timestamp(0));
        unfinished.push(PEER, &chunk(2, 0, 2, b"y"), Timestamp(CHUNK_WAIT_NS + 1));
        assert_eq!((unfinished.given_up, unfinished.messages.len(), unfinished.bytes), (1, 1, 1));
        let mut unfinished = Unfinished::default();
        let big = vec![b'x'; 60_000];
        for at in 0..2_000u32 {
            let mut datagram = chunk(0, 0, 2, &big);
            datagram[2..6].copy_from_slice(&at.to_le_bytes());
            unfinished.push(PEER, &datagram, Timestamp(i64::from(at)));
        }
        assert!(unfinished.bytes <= UNFINISHED_BYTES_MAX && unfinished.messages.len() <= UNFINISHED_MAX);
        assert_eq!(unfinished.given_up, 2_000 - unfinished.messages.len() as u64);
        assert_eq!(unfinished.bytes, unfinished.messages.len() * big.len());
    }

    #[test]
    fn packed_messages_are_unpacked_under_the_bound() {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[b'a'; 1000]).expect("packs");
        let gzip = gzip.finish().expect("packs");
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"{}").expect("packs");
        assert_eq!(unpack(&zlib.finish().expect("packs"), 100).as_deref(), Some(b"{}".as_slice()));
        assert_eq!(unpack(&gzip, 1000).map(|bytes| bytes.len()), Some(1000));
        assert_eq!(unpack(&gzip, 10).map(|bytes| bytes.len()), Some(11));
        assert_eq!(unpack(&gzip[..8], 10), None);
        assert_eq!(unpack(b"{}", 10), None);
    }
}
