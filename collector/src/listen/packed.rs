//! What waits in the queue: batches as they came, and datagrams packed, for those of a burst wait long and are many.
//!
//! In: records of one sender. Out: the same, in their order. A [`Record`] takes more than the bytes of a short line
//! besides them; what datagrams of one input and sender share is kept once, their bytes in one piece. Promise: a weight is
//! the memory it takes, but for what a sender's last piece takes ahead to grow. Bound: a piece is added to up to a sender's
//! turn ([`PACKED_BYTES_MAX`]). Pure.

use nhatle_event::{Record, Timestamp};

use super::Batch;
use super::fair::{QUANTUM_BYTES, Sender};

/// What a record takes besides its bytes: itself, and the counts in front of them.
pub(super) const RECORD_BYTES: usize = size_of::<Record>() + 16;
/// What a packed record takes besides its bytes.
const PACKED_RECORD_BYTES: usize = size_of::<Place>();
/// What a piece takes besides its records.
const PIECE_BYTES: usize = size_of::<Packed>() + 64;
/// A piece that weighs so much is not added to.
const PACKED_BYTES_MAX: usize = QUANTUM_BYTES;
/// A batch weighs no more than this: a pushed body can be as large as the whole queue; its bytes are bounded where it is
/// read, and here it is one turn among others and leaves room beside it.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Where a packed record ends, when it was received, and whether it was cut.
#[derive(Debug)]
struct Place {
    end: u32,
    is_truncated: bool,
    received: Timestamp,
}

/// Records that differ in their bytes, their moment and whether they were cut, and in nothing else.
#[derive(Debug)]
pub(super) struct Packed {
    /// What they share; its own bytes are none of them.
    shared: Record,
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// What one sender has waiting, in turn.
#[derive(Debug)]
pub(super) enum Waiting {
    /// As it came.
    Batch(Batch),
    /// Datagrams of a sender that has more waiting.
    Packed(Packed),
}

/// Whose a batch is, as its first record tells.
pub(super) fn sender_of(records: &[Record]) -> Sender {
    match records.first() {
        None | Some(Record { canary: Some(_), .. }) => Sender::Own,
        Some(record) => Sender::of(record.source.as_deref(), record.peer, &record.input),
    }
}

/// What records weigh.
pub(super) fn weight(records: &[Record]) -> usize {
    records.iter().map(|record| record.bytes.len() + RECORD_BYTES).sum::<usize>().min(BATCH_BYTES_MAX)
}

/// What records weigh packed, a piece of their own included.
pub(super) fn packed_weight(records: &[Record]) -> usize {
    PIECE_BYTES + bytes_of(records)
}

fn bytes_of(records: &[Record]) -> usize {
    records.iter().map(|record| record.bytes.len() + PACKED_RECORD_BYTES).sum()
}

fn is_alike(one: &Record, other: &Record) -> bool {
    let has_own = |record: &Record| record.id.is_some() || record.canary.is_some();
    one.peer == other.peer
        && one.input == other.input
        && (&one.profile, &one.unit, &one.source) == (&other.profile, &other.unit, &other.source)
        && !has_own(one)
        && !has_own(other)
}

impl Packed {
    /// Packs records; gives them back where they have more of their own than a packed one can.
    pub(super) fn of(records: Vec<Record>) -> Result<Packed, Vec<Record>> {
        let Some(first) = records.first() else { return Err(records) };
        let bytes = bytes_of(&records);
        if !records.iter().all(|record| is_alike(first, record)) || u32::try_from(bytes).is_err() {
            return Err(records);
        }
        let shared = Record { bytes: [].into(), ..first.clone() };
        let mut packed = Packed { shared, bytes: Vec::new(), places: Vec::new() };
        packed.add(&records);
        Ok(packed)
    }

    fn add(&mut self, records: &[Record]) {
        self.bytes.reserve(records.iter().map(|record| record.bytes.len()).sum());
        self.places.reserve(records.len());
        for record in records {
            self.bytes.extend_from_slice(&record.bytes);
            let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
            self.places.push(Place { end, is_truncated: record.is_truncated, received: record.received });
        }
    }

    fn weight(&self) -> usize {
        PIECE_BYTES + self.bytes.len() + self.places.len() * PACKED_RECORD_BYTES
    }

    fn records(self) -> Vec<Record> {
        let mut begin = 0;
        let mut record = |place: &Place| {
            let end = place.end as usize;
            let bytes = self.bytes.get(begin..end).unwrap_or_default();
            begin = end;
            let (received, is_truncated) = (place.received, place.is_truncated);
            Record { bytes: bytes.into(), received, is_truncated, ..self.shared.clone() }
        };
        self.places.iter().map(&mut record).collect()
    }
}

impl Waiting {
    /// What it weighs.
    pub(super) fn weight(&self) -> usize {
        match self {
            Waiting::Batch(batch) => weight(&batch.records),
            Waiting::Packed(packed) => packed.weight(),
        }
    }

    /// Takes more records of its kind in, and says how much it weighs more; `None` where they do not go in.
    pub(super) fn add(&mut self, records: &[Record]) -> Option<usize> {
        let Waiting::Packed(packed) = self else { return None };
        let more = bytes_of(records);
        if PACKED_BYTES_MAX < packed.weight() + more {
            // Nothing is added any more: what growing took ahead goes back.
            packed.bytes.shrink_to_fit();
            packed.places.shrink_to_fit();
            return None;
        }
        if !records.iter().all(|record| is_alike(&packed.shared, record)) {
            return None;
        }
        packed.add(records);
        Some(more)
    }

    /// The batch.
    pub(super) fn open(self) -> Batch {
        match self {
            Waiting::Batch(batch) => batch,
            Waiting::Packed(packed) => Batch::of(packed.records()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u8) -> Record {
        let mut record = Record::new(vec![number; usize::from(number)], "udp", Timestamp(number.into()));
        record.peer = Some([192, 0, 2, 1].into());
        record.unit = Some("DH01".into());
        record.is_truncated = number % 2 == 1;
        record
    }

    #[test]
    fn packed_records_come_out_as_they_went_in() {
        let records: Vec<Record> = (0..200).map(record).collect();
        let (first, rest) = records.split_at(100);
        let mut waiting = Waiting::Packed(Packed::of(first.to_vec()).expect("are alike"));
        assert_eq!(waiting.weight(), packed_weight(first));
        assert_eq!(waiting.add(rest), Some(packed_weight(rest) - PIECE_BYTES));
        assert_eq!(waiting.weight(), packed_weight(&records));
        assert!(waiting.add(&vec![record(200); 300]).is_none(), "no longer than a turn");
        assert_eq!(format!("{:?}", waiting.open().records), format!("{records:?}"));
    }

    #[test]
    fn records_with_something_of_their_own_are_not_packed() {
        let changes: [fn(&mut Record); 6] = [
            |record| record.peer = None,
            |record| record.input = "tcp".into(),
            |record| record.unit = None,
            |record| record.source = Some("a".into()),
            |record| record.id = Some("1".into()),
            |record| record.canary = Some("c".into()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = record(2);
            change(&mut other);
            assert_eq!(Packed::of(vec![record(1), other.clone()]).err().map(|back| back.len()), Some(2), "{number}");
            let mut waiting = Waiting::Packed(Packed::of(vec![record(1)]).expect("is alike"));
            assert!(waiting.add(&[other]).is_none(), "{number}");
        }
    }
}
