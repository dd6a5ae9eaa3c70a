//! The rows of the simulated world: an event whose content is a number, a snapshot read back into such numbers, and what
//! may lie on the disk beside them.

use std::collections::BTreeMap;

use nhatle_event::{Event, Timestamp};

use crate::disk::sim::SimDisk;
use crate::disk::{Disk, UNFINISHED, join};
use crate::manifest::{self, Manifest};
use crate::recover::SEGMENTS;
use crate::{Dataset, ReadError, Snapshot, wal};

/// The content of an event is its number.
pub type Row = (Dataset, u64);

/// Everything in a snapshot by its `Seq`, with its time of commit.
pub fn rows_of(snapshot: &Snapshot) -> Result<BTreeMap<u64, (Timestamp, Row)>, String> {
    let mut rows: BTreeMap<u64, (Timestamp, Row)> = BTreeMap::new();
    for dataset in Dataset::ALL {
        let mut events = Vec::new();
        for segment in snapshot.segments(dataset) {
            events.extend(segment.events().map_err(|error| said(&error))?);
        }
        events.extend(snapshot.recent(dataset).map(|row| row.stored()));
        for stored in events {
            let row = (dataset, id_of(&stored.event));
            if rows.insert(stored.seq.0, (stored.committed, row)).is_some() {
                return Err(format!("S1 Seq {} is there twice", stored.seq));
            }
        }
    }
    if !rows.values().map(|(committed, _)| committed).is_sorted() {
        return Err("S3 commit times run back".to_owned());
    }
    Ok(rows)
}

/// Everything in a snapshot, in `Seq` order.
pub fn read_all(snapshot: &Snapshot) -> Result<Vec<Row>, String> {
    let rows = rows_of(snapshot)?;
    if rows.keys().zip(1..).any(|(seq, expected)| *seq != expected) {
        return Err(format!("S3 Seqs have a gap: {:?}", rows.keys().collect::<Vec<_>>()));
    }
    Ok(rows.into_values().map(|(_, row)| row).collect())
}

/// S6: after recovery nothing lies about that no manifest names.
pub fn check_orphans(disk: &SimDisk) -> Result<(), String> {
    let manifest = Manifest::newest(disk).map_err(|error| format!("S6 {error}"))?;
    let list = |folder: &str| disk.list(folder).map_err(|error| format!("S6 {error}"));
    for entry in list(SEGMENTS)? {
        let dir = join(SEGMENTS, &entry.name);
        let Some(segment) = manifest.segments.iter().find(|segment| segment.dir == dir) else {
            return Err(format!("S6 {dir} is in no manifest"));
        };
        let names: Vec<_> = list(&dir)?.into_iter().map(|file| file.name).collect();
        if names.iter().any(|name| segment.file(name).is_none()) || names.len() != segment.files.len() {
            return Err(format!("S6 {dir} holds {names:?}"));
        }
    }
    for entry in list(wal::FOLDER)? {
        if wal::number(&entry.name).is_none_or(|number| number < manifest.log_first) {
            return Err(format!("S6 {} stayed", entry.name));
        }
    }
    let manifests = list(manifest::FOLDER)?;
    if manifest::KEPT < manifests.len() || manifests.iter().any(|entry| entry.name.ends_with(UNFINISHED)) {
        return Err(format!("S6 manifests {manifests:?}"));
    }
    Ok(())
}

/// S5: the files before and after a second opening are the same.
pub fn check_same(before: &BTreeMap<String, Option<Vec<u8>>>, disk: &SimDisk) -> Result<(), String> {
    let after = disk.image();
    let differs = |(path, content): &(&String, &Option<Vec<u8>>)| after.get(*path) != Some(content);
    match before.iter().find(differs) {
        Some((path, _)) => Err(format!("S5 opening again changed {path}")),
        None if before.len() != after.len() => Err("S5 opening again made a file".to_owned()),
        None => Ok(()),
    }
}

/// The key of every simulated store: the same in each run, so that a seed runs the same way.
pub fn key() -> crate::proof::SigningKey {
    // PKCS #8, version 1, Ed25519 (RFC 8410, section 7), and a private key of 32 bytes.
    let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend([7; 32]);
    crate::proof::SigningKey::from_pkcs8(&der).expect("it is a key")
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
