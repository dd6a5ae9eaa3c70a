//! What a forwarder sends to the city: a head and numbered records, in one body (docs/format/forward.md).
//!
//! In, one side: records. Out, other side: the same records. A *block* is records with the tables they refer to; the
//! forwarder's spool holds blocks, and a request is a head and some blocks one after another, packed by zstd, so that
//! nothing is written anew between disk and line. Promise: reading is bounded in bytes (a bomb is cut off while it is
//! unpacked), records and table rows, and never panics. Failure: a [`WireError`] that says what is wrong and where.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;

use nhatle_event::{Record, Text, Timestamp};

/// How many records one request has at most.
pub const RECORDS_MAX: usize = 65_536;
/// How many rows the tables of one block have.
pub const ROWS_MAX: usize = 4_096;
/// How long a name in a table or an id may be.
pub const NAME_BYTES_MAX: usize = 4_096;
/// How long a head may be.
pub const HEAD_BYTES_MAX: usize = 256 << 10;

/// Why bytes are no block or no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// What is there is not what should be.
    #[error("forward: {what} at byte {at}")]
    Broken {
        /// What was expected.
        what: &'static str,
        /// Counted from the front of the unpacked body or block.
        at: usize,
    },
    /// Past a bound.
    #[error("forward: more than {max} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The body is no zstd.
    #[error("forward: the body is not packed as it should be: {reason}")]
    Packing {
        /// What the unpacking says.
        reason: String,
    },
}

/// Records as a block. Records past [`RECORDS_MAX`], and tables past [`ROWS_MAX`], are the caller's to avoid:
/// see [`block_len`].
pub fn encode_block(records: &[Record], out: &mut Vec<u8>) {
    let mut inputs: Vec<[&str; 3]> = Vec::new();
    let mut peers: Vec<IpAddr> = Vec::new();
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(records.len());
    for record in records {
        let unit = record.unit.as_deref().unwrap_or_default();
        let input = [&*record.input, record.profile.as_deref().unwrap_or_default(), unit];
        let input_at = inputs.iter().rposition(|known| *known == input).unwrap_or_else(|| {
            inputs.push(input);
            inputs.len() - 1
        });
        let peer_at = record.peer.map_or(0, |peer| {
            1 + peers.iter().rposition(|known| *known == peer).unwrap_or_else(|| {
                peers.push(peer);
                peers.len() - 1
            })
        });
        rows.push((input_at, peer_at));
    }
    leb(records.len() as u64, out);
    leb(inputs.len() as u64, out);
    for names in &inputs {
        names.iter().for_each(|name| put(name.as_bytes(), out));
    }
    leb(peers.len() as u64, out);
    for peer in &peers {
        put(peer.to_string().as_bytes(), out);
    }
    let mut before = 0i64;
    for (record, (input, peer)) in records.iter().zip(rows) {
        let step = record.received.0.wrapping_sub(before);
        before = record.received.0;
        leb((step << 1 ^ step >> 63).cast_unsigned(), out);
        leb(input as u64, out);
        leb(peer as u64, out);
        leb(u64::from(record.is_truncated) | u64::from(record.id.is_some()) << 1, out);
        if let Some(id) = &record.id {
            put(id.as_bytes(), out);
        }
        put(&record.bytes, out);
    }
}

/// How many of the first of these records one block may hold: by their number, and by `bytes_max`, but at least one.
pub fn block_len(records: &[Record], bytes_max: usize) -> usize {
    let mut bytes = 0usize;
    let fits = |record: &&Record| {
        bytes = bytes.saturating_add(record.bytes.len() + 16);
        bytes <= bytes_max
    };
    records.iter().take(ROWS_MAX).take_while(fits).count().max(1).min(records.len())
}

/// The records of a block.
///
/// # Errors
/// The bytes are no block, or past a bound.
pub fn decode_block(bytes: &[u8]) -> Result<Vec<Record>, WireError> {
    let mut cursor = Cursor { bytes, at: 0 };
    let count = cursor.count("records", RECORDS_MAX)?;
    let input_count = cursor.count("inputs", ROWS_MAX)?;
    let mut inputs = Vec::new();
    for _ in 0..input_count {
        let mut name = || cursor.text("a name in UTF-8");
        inputs.push([name()?, name()?, name()?]);
    }
    let peer_count = cursor.count("senders", ROWS_MAX)?;
    let mut peers: Vec<IpAddr> = Vec::new();
    for _ in 0..peer_count {
        let at = cursor.at;
        let text = cursor.text("an address")?;
        peers.push(text.parse().map_err(|_bad| WireError::Broken { what: "expected an address", at })?);
    }
    let mut records = Vec::new();
    let mut received = 0i64;
    for _ in 0..count {
        let step = cursor.leb()?;
        received = received.wrapping_add((step >> 1).cast_signed() ^ -((step & 1).cast_signed()));
        let [name, profile, unit] = cursor.row("an input's row", &inputs, 0)?.cloned().unwrap_or_default();
        let peer = cursor.row("a sender's row", &peers, 1)?.copied();
        let flags = cursor.leb()?;
        let id = if flags & 2 != 0 { Some(cursor.text("an id in UTF-8")?) } else { None };
        let bytes = cursor.bytes()?;
        let some = |text: Text| Some(text).filter(|text| !text.is_empty());
        records.push(Record {
            bytes: Arc::from(bytes),
            received: Timestamp(received),
            peer,
            input: name,
            profile: some(profile),
            unit: some(unit),
            source: None,
            id,
            is_truncated: flags & 1 != 0,
            canary: None,
        });
    }
    match cursor.at == bytes.len() {
        true => Ok(records),
        false => Err(cursor.broken("expected the end of the block")),
    }
}

/// A request: head and blocks, unpacked.
pub fn encode_request(head: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(head.len() + blocks.iter().map(|block| block.len() + 5).sum::<usize>() + 5);
    put(head, &mut body);
    blocks.iter().for_each(|block| put(block, &mut body));
    body
}

/// The head and the records of a request.
///
/// # Errors
/// The bytes are none, or past a bound.
pub fn decode_request(body: &[u8]) -> Result<(&[u8], Vec<Record>), WireError> {
    let mut cursor = Cursor { bytes: body, at: 0 };
    let head = cursor.bytes()?;
    if HEAD_BYTES_MAX < head.len() {
        return Err(WireError::TooMuch { what: "bytes of a head", max: HEAD_BYTES_MAX });
    }
    let mut records: Vec<Record> = Vec::new();
    while cursor.at < body.len() {
        let start = cursor.at;
        let block = cursor.bytes()?;
        let from = cursor.at - block.len();
        let more = decode_block(block).map_err(|error| match error {
            WireError::Broken { what, at } => WireError::Broken { what, at: from.max(start) + at },
            other => other,
        })?;
        records.extend(more);
        if RECORDS_MAX < records.len() {
            return Err(WireError::TooMuch { what: "records", max: RECORDS_MAX });
        }
    }
    Ok((head, records))
}

/// Packs a request.
///
/// # Errors
/// What the packing says; it never did.
pub fn pack(body: &[u8]) -> std::io::Result<Vec<u8>> {
    /// Twice as fast as the default of 3 and, on logs, within a tenth of its size.
    const LEVEL: i32 = 1;
    zstd::bulk::compress(body, LEVEL)
}

/// Unpacks a request.
///
/// # Errors
/// The bytes are no zstd, or more than `bytes_max` once unpacked.
pub fn unpack(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, WireError> {
    let packing = |error: std::io::Error| WireError::Packing { reason: error.to_string() };
    let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(packing)?;
    let mut unpacked = Vec::new();
    decoder.take(bytes_max as u64 + 1).read_to_end(&mut unpacked).map_err(packing)?;
    match unpacked.len() <= bytes_max {
        true => Ok(unpacked),
        false => Err(WireError::TooMuch { what: "bytes unpacked", max: bytes_max }),
    }
}

fn leb(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    leb(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn broken(&self, what: &'static str) -> WireError {
        WireError::Broken { what, at: self.at }
    }

    fn leb(&mut self) -> Result<u64, WireError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.broken("expected a number"))?;
            self.at += 1;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.broken("expected a number of 64 bits"))
    }

    fn count(&mut self, what: &'static str, max: usize) -> Result<usize, WireError> {
        let count = usize::try_from(self.leb()?).unwrap_or(usize::MAX);
        if count <= max { Ok(count) } else { Err(WireError::TooMuch { what, max }) }
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.leb()?).unwrap_or(usize::MAX);
        let end = self.at.saturating_add(length);
        let bytes = self.bytes.get(self.at..end).ok_or_else(|| self.broken("expected so many bytes"))?;
        self.at = end;
        Ok(bytes)
    }

    fn text(&mut self, what: &'static str) -> Result<Text, WireError> {
        let bytes = self.bytes()?;
        if NAME_BYTES_MAX < bytes.len() {
            return Err(WireError::TooMuch { what: "bytes of a name", max: NAME_BYTES_MAX });
        }
        std::str::from_utf8(bytes).map(Text::from).map_err(|_bad| self.broken(what))
    }

    /// A row of a table by its number, of which the first is `base`; a number below that is no row.
    fn row<'t, T>(&mut self, what: &'static str, table: &'t [T], base: usize) -> Result<Option<&'t T>, WireError> {
        let number = usize::try_from(self.leb()?).unwrap_or(usize::MAX);
        let Some(at) = number.checked_sub(base) else { return Ok(None) };
        table.get(at).map(Some).ok_or_else(|| self.broken(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(records: &[Record]) -> Vec<String> {
        records.iter().map(|record| format!("{record:?}")).collect()
    }

    fn record() -> impl Strategy<Value = Record> {
        let names = (0..3usize, 0..3usize, 0..3usize);
        let more = (any::<i64>(), any::<bool>(), proptest::option::of("[a-z]{0,5}"));
        (proptest::collection::vec(any::<u8>(), 0..40), names, more).prop_map(
            |(bytes, (input, profile, peer), more)| {
                let mut record = Record::new(bytes, ["syslog-udp", "file:/var/log/x", ""][input], Timestamp(more.0));
                record.profile = [None, Some("nginx"), Some("sshd")][profile].map(Text::from);
                record.peer = [None, Some("192.0.2.7"), Some("2001:db8::1")][peer].map(|text| text.parse().unwrap());
                (record.is_truncated, record.id) = (more.1, more.2.map(Text::from));
                record
            },
        )
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were(blocks in proptest::collection::vec(proptest::collection::vec(record(), 0..20), 0..4)) {
            let encoded: Vec<Vec<u8>> = blocks.iter().map(|records| {
                let mut block = Vec::new();
                encode_block(records, &mut block);
                block
            }).collect();
            let packed = pack(&encode_request(b"{\"a\":1}", &encoded)).unwrap();
            let body = unpack(&packed, 1 << 20).unwrap();
            let (head, records) = decode_request(&body).unwrap();
            prop_assert_eq!(head, b"{\"a\":1}");
            prop_assert_eq!(shown(&records), shown(&blocks.concat()));
        }

        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(decode_request(&bytes));
            drop(decode_block(&bytes));
            drop(unpack(&bytes, 1000));
        }
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let packed = pack(&vec![0; 64 << 20]).unwrap();
        assert!(packed.len() < 64 << 10);
        assert_eq!(unpack(&packed, 1 << 20), Err(WireError::TooMuch { what: "bytes unpacked", max: 1 << 20 }));
    }

    #[test]
    fn a_block_holds_at_least_one_record() {
        let records = vec![Record::new(vec![b'x'; 1000], "a", Timestamp(0)); 10];
        assert_eq!(block_len(&records, 100), 1);
        assert_eq!(block_len(&records, 4_100), 4);
        assert_eq!(block_len(&[], 100), 0);
    }
}
