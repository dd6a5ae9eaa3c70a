//! `Entry`: what one leaf of the log says, as one line of JSON. In: what the store did. Out: the line; the leaf is over its
//! bytes without the line feed, so that nobody has to write JSON in our way to check it. Failure: a line that is none.

use nhatle_event::Timestamp;
use nhatle_event::json::hex;
use serde::{Deserialize, Serialize};

use super::canonical::FORM;
use super::tree::Hash;
use crate::dataset::Dataset;
use crate::segment::meta::SegmentMeta;

/// The longest line that is read; one that names many segments is the longest.
pub const LINE_BYTES_MAX: usize = 4 << 20;

/// One leaf of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leaf {
    /// Its number, from 0.
    pub leaf: u64,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a leaf says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// Heads from here on are signed with this key.
    Key {
        /// The log.
        origin: String,
        /// The key, as [`super::note::VerifierKey::text`] has it.
        key: String,
    },
    /// A segment went live.
    Segment(SegmentEntry),
    /// Segments went, data and all.
    Dropped {
        /// Their folders.
        dirs: Vec<String>,
        /// Why, in the words of whoever dropped them.
        reason: String,
        /// When, in nanoseconds since 1970.
        at_ns: i64,
    },
    /// The register as it was.
    Register {
        /// How many rows.
        rows: u64,
        /// `hash` of the last one.
        head: String,
        /// The root over the `hash`es (32 bytes each) of all rows, in hexadecimal.
        root: String,
        /// When, in nanoseconds since 1970.
        at_ns: i64,
    },
    /// A file that left the house: a report, a package.
    Document {
        /// Its name.
        name: String,
        /// Its length.
        bytes: u64,
        /// Its SHA-256, in hexadecimal.
        sha256: String,
        /// When, in nanoseconds since 1970.
        at_ns: i64,
    },
    /// Something was erased from events of a segment, which is written anew; its root stays.
    Erased(ErasedEntry),
}

/// What was erased from a segment, as its leaf has it. It stands before the entry of the segment that takes the place of the
/// old one; a crash between the two leaves it without effect, and another follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedEntry {
    /// The number of the erasure in the register.
    pub erasure: u64,
    /// Whose events.
    pub dataset: Dataset,
    /// The folder of the segment that goes.
    pub dir: String,
    /// The folder of the one that takes its place.
    pub by_dir: String,
    /// The smallest `Seq` in it.
    pub first_seq: u64,
    /// The largest `Seq` in it.
    pub last_seq: u64,
    /// How many events it has.
    pub rows: u64,
    /// The root over its events as they were sealed: the same before and after.
    pub root: String,
    /// From how many of them something was erased.
    pub events: u64,
    /// The root over `Seq` and leaf of these ([`crate::segment::erased::root`]), in hexadecimal.
    pub erased: String,
    /// On what basis.
    pub basis: String,
    /// Who asked for it.
    pub by: String,
    /// When, in nanoseconds since 1970.
    pub at_ns: i64,
}

/// A segment as its leaf has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// [`FORM`] of the leaves under `root`; 0 for a segment that was sealed before there were any: only its files are
    /// bound.
    pub form: u32,
    /// Whose events.
    pub dataset: Dataset,
    /// Its folder; no other segment of the store ever has the same.
    pub dir: String,
    /// How many events.
    pub rows: u64,
    /// The smallest `Seq` in it.
    pub first_seq: u64,
    /// The largest `Seq` in it.
    pub last_seq: u64,
    /// The earliest `@timestamp`, in nanoseconds since 1970.
    pub time_min_ns: i64,
    /// The latest `@timestamp`.
    pub time_max_ns: i64,
    /// The root over its events in order of `Seq`, in hexadecimal.
    pub root: String,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// The folders of the segments whose events it took over; empty for a new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
}

/// A file of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

impl SegmentEntry {
    /// What a segment's leaf says.
    pub fn of(meta: &SegmentMeta) -> SegmentEntry {
        let file = |file: &crate::segment::meta::FileMeta| FileEntry {
            name: file.name.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        };
        SegmentEntry {
            form: meta.root_form.unwrap_or(0),
            dataset: meta.dataset,
            dir: meta.dir.clone(),
            rows: meta.row_count,
            first_seq: meta.first_seq.0,
            last_seq: meta.last_seq.0,
            time_min_ns: meta.timestamp_min.0,
            time_max_ns: meta.timestamp_max.0,
            root: meta.events_root.clone(),
            files: meta.files.iter().map(file).collect(),
            replaces: meta.replaces.iter().map(|one| one.dir.clone()).collect(),
        }
    }

    /// The root over its events; `None` where there is none that could be made again.
    pub fn events_root(&self) -> Option<Hash> {
        (self.form == FORM).then(|| unhex(&self.root)).flatten()
    }
}

impl Entry {
    /// The register as it is.
    pub fn register(rows: u64, head: &Hash, root: &Hash, at: Timestamp) -> Entry {
        Entry::Register { rows, head: hex(head), root: hex(root), at_ns: at.0 }
    }

    /// Length and SHA-256 of the file that it writes down, if it does.
    pub fn document(&self) -> Option<(u64, &str)> {
        match self {
            Entry::Document { bytes, sha256, .. } => Some((*bytes, sha256)),
            _ => None,
        }
    }
}

impl Leaf {
    /// The line, without its line feed: the data of the leaf.
    ///
    /// # Errors
    /// A mistake of ours.
    pub fn line(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    /// Reads a line.
    ///
    /// # Errors
    /// It is none; the reason.
    pub fn parse(line: &str) -> Result<Leaf, String> {
        if LINE_BYTES_MAX < line.len() {
            return Err("longer than 4 MiB".to_owned());
        }
        serde_json::from_str(line).map_err(|error| error.to_string())
    }
}

/// A hash from its 64 hexadecimal digits.
pub fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_comes_back() {
        let entry = Entry::register(3, &[1; 32], &[2; 32], Timestamp(5));
        let line = Leaf { leaf: 7, entry }.line().expect("a line");
        let (ones, twos) = ("01".repeat(32), "02".repeat(32));
        assert_eq!(
            line,
            format!(r#"{{"leaf":7,"kind":"register","rows":3,"head":"{ones}","root":"{twos}","at_ns":5}}"#)
        );
        assert_eq!(Leaf::parse(&line).and_then(|leaf| leaf.line()), Ok(line));
        assert!(Leaf::parse("{}").is_err());
        assert_eq!(unhex(&ones), Some([1; 32]));
        assert_eq!(unhex(&"0+".repeat(32)), None);
        assert_eq!(unhex(&"0".repeat(63)), None);
    }
}
