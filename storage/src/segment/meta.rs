//! `SegmentMeta`: all that is known of a sealed segment without opening it. The manifest holds one for
//! each live segment; readers prune by it, `verify` checks files against it.
//!
//! Written by the segment writer, never changed. Checksums are of 64 KiB blocks so that damage can be
//! named by its place; the SHA-256 of each file and the Merkle root over the events are for the proof
//! ([`crate::proof`]).

use nhatle_event::json::hex;
use nhatle_event::{Event, Field, Seq, Timestamp, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::disk::{Disk, join};
use crate::error::{Corrupt, ReadError, WriteError};
use crate::proof::canonical::{self, Hashed};

/// The version of segments written now.
pub const SEGMENT_VERSION: u32 = 1;
/// How many bytes one checksum of [`FileMeta::block_crc32c`] covers.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// What the writer of a segment is told besides the events.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Whose events these are.
    pub dataset: Dataset,
    /// How much work is put into making it small.
    pub tier: Tier,
}

/// How a segment is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// As it is sealed and merged: quick to write.
    #[default]
    Recent,
    /// Compressed once more at a higher level, for what is seldom looked at. Read in the same way.
    Archive,
}

impl Tier {
    fn is_recent(&self) -> bool {
        *self == Tier::Recent
    }
}

/// A sealed segment, from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// [`SEGMENT_VERSION`] when it was written.
    pub version: u32,
    /// Whose events it holds.
    pub dataset: Dataset,
    /// Its folder, below the store's.
    pub dir: String,
    /// How many events it holds; at least one.
    pub row_count: u64,
    /// The smallest `Seq` in it.
    #[serde(with = "seq")]
    pub first_seq: Seq,
    /// The largest `Seq` in it.
    #[serde(with = "seq")]
    pub last_seq: Seq,
    /// The earliest `@timestamp` in it.
    #[serde(with = "stamp")]
    pub timestamp_min: Timestamp,
    /// The latest `@timestamp` in it.
    #[serde(with = "stamp")]
    pub timestamp_max: Timestamp,
    /// When its first and its last event were committed, in nanoseconds; `None` in one that was sealed before this was
    /// written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<[i64; 2]>,
    /// How it is stored.
    #[serde(default, skip_serializing_if = "Tier::is_recent")]
    pub tier: Tier,
    /// What kinds of events it holds; `None` where there are more than [`KINDS_MAX`], or it was sealed before this was
    /// written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<Kind>>,
    /// Its files.
    pub files: Vec<FileMeta>,
    /// The segments whose events it took over, where it was merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Replaced>,
    /// The root over its events in `Seq` order ([`canonical::tree`]), in hexadecimal. In a segment without `root_form` a
    /// root that nobody can make again.
    pub events_root: String,
    /// The form of the leaves under it ([`canonical::FORM`]); `None` in one that was sealed before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_form: Option<u32>,
    /// Its leaf in the log of the proof, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
}

/// Events of one kind in a segment, which is what rules of retention speak of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kind {
    /// `event.module`; empty where there is none.
    pub module: String,
    /// `nhatle.system_level`; 0 where there is none.
    pub level: u8,
    /// How many there are.
    pub events: u64,
}

/// How many kinds one segment lists.
pub const KINDS_MAX: usize = 64;
/// A longer name of a module is no kind of its own.
const MODULE_BYTES_MAX: usize = 64;

/// Counts kinds of events.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// At most one more than [`KINDS_MAX`], so looking through them is quick.
    counts: Vec<(String, u8, u64)>,
    is_past: bool,
}

impl Kinds {
    /// Counts one more.
    pub fn add(&mut self, event: &Event) {
        let module = event.text(Field::EVENT_MODULE).unwrap_or_default();
        let level = match event.get(Field::NHATLE_SYSTEM_LEVEL) {
            Some(Value::Long(level)) => u8::try_from(*level).unwrap_or(0),
            _ => 0,
        };
        self.is_past |= MODULE_BYTES_MAX < module.len();
        if self.is_past {
            return;
        }
        if let Some((_, _, count)) = self.counts.iter_mut().find(|(known, of, _)| *of == level && known == module) {
            *count += 1;
            return;
        }
        self.counts.push((module.to_owned(), level, 1));
        self.is_past |= KINDS_MAX < self.counts.len();
    }

    /// The kinds, by name; `None` where there are too many.
    pub fn list(self) -> Option<Vec<Kind>> {
        let kind = |(module, level, events)| Kind { module, level, events };
        let mut kinds: Vec<Kind> = self.counts.into_iter().map(kind).collect();
        kinds.sort_unstable();
        (!self.is_past).then_some(kinds)
    }
}

/// A segment that another took the place of, with all its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replaced {
    /// The folder it had.
    pub dir: String,
    /// How many events it held.
    pub row_count: u64,
    /// The smallest `Seq` in it.
    #[serde(with = "seq")]
    pub first_seq: Seq,
    /// The largest `Seq` in it.
    #[serde(with = "seq")]
    pub last_seq: Seq,
    /// [`SegmentMeta::events_root`].
    pub events_root: String,
}

impl Replaced {
    /// What stays known of a segment.
    pub fn of(meta: &SegmentMeta) -> Replaced {
        Replaced {
            dir: meta.dir.clone(),
            row_count: meta.row_count,
            first_seq: meta.first_seq,
            last_seq: meta.last_seq,
            events_root: meta.events_root.clone(),
        }
    }
}

/// One file of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Its name, without the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of all of it, in hexadecimal.
    pub sha256: String,
    /// CRC-32C of each block of [`BLOCK_BYTES`]; the last block may be shorter.
    pub block_crc32c: Vec<u32>,
}

impl SegmentMeta {
    /// What `events` (in any order, all of `dataset`) and `files` make. `None` when there are no events.
    pub fn of(dataset: Dataset, dir: &str, events: Vec<Hashed<'_>>, files: Vec<FileMeta>) -> Option<SegmentMeta> {
        let stored = || events.iter().map(|hashed| hashed.stored);
        let seqs = || stored().map(|stored| stored.seq);
        let timestamps = || stored().map(|stored| stored.event.timestamp);
        let committed = || stored().map(|stored| stored.committed.0);
        let mut kinds = Kinds::default();
        stored().for_each(|stored| kinds.add(&stored.event));
        Some(SegmentMeta {
            version: SEGMENT_VERSION,
            dataset,
            dir: dir.to_owned(),
            row_count: events.len() as u64,
            first_seq: seqs().min()?,
            last_seq: seqs().max()?,
            timestamp_min: timestamps().min()?,
            timestamp_max: timestamps().max()?,
            committed: Some([committed().min()?, committed().max()?]),
            tier: Tier::Recent,
            kinds: kinds.list(),
            files,
            replaces: Vec::new(),
            events_root: hex(&canonical::tree_of(events).root()),
            root_form: Some(canonical::FORM),
            leaf: None,
        })
    }

    /// The path of one of its files.
    pub fn path(&self, name: &str) -> String {
        join(&self.dir, name)
    }

    /// What is known of one of its files.
    pub fn file(&self, name: &str) -> Option<&FileMeta> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Reads one of its files whole and checks it.
    ///
    /// # Errors
    /// The disk gave an error, or a block is not what was written.
    pub fn read_file(&self, disk: &dyn Disk, name: &str) -> Result<Vec<u8>, ReadError> {
        let path = self.path(name);
        let Some(file) = self.file(name) else {
            return Err(ReadError::Unreadable { file: path, reason: "the manifest names no such file".to_owned() });
        };
        let bytes = disk.read(&path).map_err(|source| ReadError::io(&path, source))?;
        match file.check(&path, &bytes).into_iter().next() {
            Some(corrupt) => Err(corrupt.into()),
            None => Ok(bytes),
        }
    }

    /// The bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl FileMeta {
    /// What these bytes make.
    pub fn of(name: &str, bytes: &[u8]) -> FileMeta {
        FileMeta {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
            block_crc32c: bytes.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect(),
        }
    }

    /// Every block of `bytes` that is not as written, and a length that is not; `path` is for the message.
    pub fn check(&self, path: &str, bytes: &[u8]) -> Vec<Corrupt> {
        let mut found = Vec::new();
        if self.bytes != bytes.len() as u64 {
            found.push(Corrupt {
                file: path.to_owned(),
                offset: self.bytes.min(bytes.len() as u64),
                expected: format!("a file of {} bytes", self.bytes),
                found: format!("one of {} bytes", bytes.len()),
            });
        }
        for (at, (block, expected)) in bytes.chunks(BLOCK_BYTES).zip(&self.block_crc32c).enumerate() {
            let crc = crc32c::crc32c(block);
            if crc != *expected {
                let start = at * BLOCK_BYTES;
                found.push(Corrupt {
                    file: path.to_owned(),
                    offset: start as u64,
                    expected: format!("bytes {start}..{} with checksum {expected:08x}", start + block.len()),
                    found: format!("{crc:08x}"),
                });
            }
        }
        found
    }
}

/// Writes one file of a segment durably and says what was written.
///
/// # Errors
/// What the disk says.
pub fn write_file(disk: &dyn Disk, dir: &str, name: &str, bytes: &[u8]) -> Result<FileMeta, WriteError> {
    let path = join(dir, name);
    disk.replace(&path, bytes).map_err(|source| WriteError::io(&path, source))?;
    Ok(FileMeta::of(name, bytes))
}

mod seq {
    use nhatle_event::Seq;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(seq: &Seq, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(seq.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seq, D::Error> {
        u64::deserialize(deserializer).map(Seq)
    }
}

mod stamp {
    use nhatle_event::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(stamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(stamp.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_named_by_its_block() {
        let mut bytes = vec![7u8; BLOCK_BYTES * 2 + 10];
        let meta = FileMeta::of("rows", &bytes);
        assert_eq!(meta.check("s/rows", &bytes), vec![]);
        bytes[BLOCK_BYTES + 5] ^= 1;
        let found = meta.check("s/rows", &bytes);
        assert_eq!(found.iter().map(|one| one.offset).collect::<Vec<_>>(), vec![BLOCK_BYTES as u64]);
        bytes[BLOCK_BYTES + 5] ^= 1;
        bytes.pop();
        assert_eq!(meta.check("s/rows", &bytes).len(), 2);
    }
}
