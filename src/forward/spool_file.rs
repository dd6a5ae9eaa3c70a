//! The spool's file format: a header, then frames, each with a checksum (docs/format/forward.md).
//!
//! In: bytes of a file. Out: frames, and what lies between them that is none. Promise: any bytes are read without a
//! panic; a frame is taken only when its checksum is right, and its checksum counts in lane and numbers, so that a frame
//! out of place is none. Failure: a torn tail and damage are values ([`Piece`]).

use std::ops::Range;

/// The first bytes of a spool file.
const MAGIC: &[u8; 8] = b"nhatleSP";
const VERSION: u32 = 1;
/// Magic, version, lane, first number, checksum.
pub const HEADER_BYTES: usize = 28;
/// Length, checksum, first number, how many, order of writing, length of the places.
pub const FRAME_HEADER_BYTES: usize = 32;
/// How long a frame may be, without its header.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// The header of a file of a lane that begins with this number.
pub fn header(lane: u32, first: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&lane.to_le_bytes());
    bytes[16..24].copy_from_slice(&first.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Whether this is the header of that file.
pub fn is_header(bytes: &[u8], lane: u32, first: u64) -> bool {
    bytes.get(..HEADER_BYTES) == Some(&header(lane, first)[..])
}

/// A frame: records with the numbers `first..first + count`, and places that became durable with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The number of its first record.
    pub first: u64,
    /// How many records; none where only places moved.
    pub count: u32,
    /// Counts frames of all lanes, so that the newest place of a key is known.
    pub order: u64,
    /// The places as JSON.
    pub places: Vec<u8>,
    /// The records, as [`nhatle_collector::wire::encode_block`] writes them; empty where there are none.
    pub block: Vec<u8>,
}

impl Frame {
    /// Its bytes in a file of this lane.
    pub fn encode(&self, lane: u32) -> Vec<u8> {
        let length = self.places.len() + self.block.len();
        let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + length);
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.order.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(self.places.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&self.places);
        bytes.extend_from_slice(&self.block);
        let crc = checksum(&bytes, lane);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The number behind its last record.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

fn checksum(frame: &[u8], lane: u32) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&lane.to_le_bytes()), &frame[..4]);
    crc32c::crc32c_append(crc, &frame[8..])
}

/// The frame at a place, and how many bytes it takes; `None` where there is none whole.
pub fn frame_at(bytes: &[u8], at: usize, lane: u32) -> Option<(Frame, usize)> {
    let rest = bytes.get(at..)?;
    let head = rest.get(..FRAME_HEADER_BYTES)?;
    let number = |range: Range<usize>| -> u64 {
        head[range].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let length = usize::try_from(number(0..4)).ok().filter(|length| *length <= FRAME_BYTES_MAX)?;
    let whole = rest.get(..FRAME_HEADER_BYTES + length)?;
    let places_len = usize::try_from(number(28..32)).ok().filter(|places| *places <= length)?;
    if u64::from(checksum(whole, lane)) != number(4..8) {
        return None;
    }
    let (places, block) = whole[FRAME_HEADER_BYTES..].split_at(places_len);
    let frame = Frame {
        first: number(8..16),
        count: u32::try_from(number(16..20)).ok()?,
        order: number(20..28),
        places: places.to_vec(),
        block: block.to_vec(),
    };
    Some((frame, FRAME_HEADER_BYTES + length))
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A frame, and where it ends.
    Frame(Frame, usize),
    /// Bytes that are no frame, up to where the next one begins.
    Damage(usize),
    /// Bytes that are no frame, and none follows.
    Torn,
}

/// The piece at a place; `None` at the end.
pub fn piece_at(bytes: &[u8], at: usize, lane: u32) -> Option<Piece> {
    if bytes.len() <= at {
        return None;
    }
    if let Some((frame, length)) = frame_at(bytes, at, lane) {
        return Some(Piece::Frame(frame, at + length));
    }
    // Cheap enough: a checksum is reckoned only where a length fits, and damage is rare.
    let next = (at + 1..bytes.len().saturating_sub(FRAME_HEADER_BYTES)).find(|at| frame_at(bytes, *at, lane).is_some());
    Some(next.map_or(Piece::Torn, Piece::Damage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u64, block: &[u8]) -> Frame {
        Frame { first, count: 2, order: 9, places: b"{}".to_vec(), block: block.to_vec() }
    }

    #[test]
    fn frames_come_back_and_damage_is_passed_over() {
        let mut bytes = header(2, 5).to_vec();
        assert!(is_header(&bytes, 2, 5) && !is_header(&bytes, 1, 5) && !is_header(&bytes, 2, 6));
        for first in [5, 7, 9] {
            bytes.extend(frame(first, b"some records").encode(2));
        }
        let length = FRAME_HEADER_BYTES + 2 + 12;
        let second = HEADER_BYTES + length;
        assert_eq!(piece_at(&bytes, HEADER_BYTES, 2), Some(Piece::Frame(frame(5, b"some records"), second)));
        assert_eq!(piece_at(&bytes, HEADER_BYTES, 1), Some(Piece::Torn), "of another lane");
        bytes[second + 40] ^= 1;
        assert_eq!(piece_at(&bytes, second, 2), Some(Piece::Damage(second + length)));
        bytes.truncate(bytes.len() - 1);
        assert_eq!(piece_at(&bytes, second, 2), Some(Piece::Torn));
        assert_eq!(piece_at(&bytes, bytes.len(), 2), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
            drop(piece_at(&bytes, at, 1));
        }
    }
}
