//! The rows of the simulated world: an event whose content is a number, and a snapshot read back into such numbers.

use std::collections::BTreeMap;

use nhatle_event::{Event, Timestamp};

use crate::{Dataset, ReadError, Snapshot};

/// The content of an event is its number.
pub type Row = (Dataset, u64);

/// Everything in a snapshot, in `Seq` order.
pub fn read_all(snapshot: &Snapshot) -> Result<Vec<Row>, String> {
    let mut rows: BTreeMap<u64, (Timestamp, Row)> = BTreeMap::new();
    for dataset in Dataset::ALL {
        let mut events = Vec::new();
        for segment in snapshot.segments(dataset) {
            events.extend(segment.events().map_err(|error| said(&error))?);
        }
        events.extend(snapshot.recent(dataset).cloned());
        for stored in events {
            let row = (dataset, id_of(&stored.event));
            if rows.insert(stored.seq.0, (stored.committed, row)).is_some() {
                return Err(format!("S1 Seq {} is there twice", stored.seq));
            }
        }
    }
    if rows.keys().zip(1..).any(|(seq, expected)| *seq != expected) {
        return Err(format!("S3 Seqs have a gap: {:?}", rows.keys().collect::<Vec<_>>()));
    }
    if !rows.values().map(|(committed, _)| committed).is_sorted() {
        return Err("S3 commit times run back".to_owned());
    }
    Ok(rows.into_values().map(|(_, row)| row).collect())
}

/// An error with what the disk said.
fn said(error: &ReadError) -> String {
    match error {
        ReadError::Io { file, source } => format!("S1 reading {file}: {source}"),
        other => format!("S1 {other}"),
    }
}

/// An event whose content is a number.
pub fn event(id: u64, padding: usize) -> Event {
    let original = format!("event {id} {}", "x".repeat(padding));
    let mut event =
        Event::new(Timestamp(1_700_000_000_000_000_000 + i64::try_from(id).unwrap_or(0)), original.as_bytes());
    event.set(nhatle_event::Field::MESSAGE, original);
    event
}

fn id_of(event: &Event) -> u64 {
    let text = String::from_utf8_lossy(&event.original);
    text.split(' ').nth(1).and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}
