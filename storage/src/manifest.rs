//! The manifest: which segments live, which log files still count, the marks and the next `Seq` as they
//! were at that border. In: a [`Manifest`]. Out: a new numbered file; the newest counts.
//!
//! ```text
//! nhatle manifest 1 <CRC-32C of the rest, 8 hexadecimal digits>\n
//! one JSON object
//! ```
//!
//! A file is put there by [`Disk::replace`], so a crash leaves the old newest or the new one. One that
//! does not check is therefore damage and is reported, never skipped: the log behind it is gone.
//! The one before the newest is kept, for people; older ones are deleted.

use std::collections::BTreeMap;

use nhatle_event::json::hex;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::error::{Corrupt, ReadError, WriteError};
use crate::segment::meta::SegmentMeta;

/// The folder of the manifests.
pub const FOLDER: &str = "manifest";
/// The version written now.
pub const VERSION: u32 = 1;
/// How many manifests are kept.
pub const KEPT: usize = 2;

const FIRST_LINE: &str = "nhatle manifest 1 ";

/// What is sealed, and where the log goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its number; 0 is a store that never sealed, which has no file.
    pub number: u64,
    /// The first log file that still counts.
    pub log_first: u64,
    /// The `Seq` of the first event in that log file; all before are in segments.
    pub next_seq: u64,
    /// The commit time of the last event before, in nanoseconds; time never runs back past it.
    pub committed_ns: i64,
    /// The number of the next segment's folder.
    pub next_segment: u64,
    /// The live segments, oldest first.
    pub segments: Vec<SegmentMeta>,
    /// The marks, values in hexadecimal.
    pub marks: BTreeMap<String, String>,
}

impl Default for Manifest {
    fn default() -> Manifest {
        Manifest {
            number: 0,
            log_first: 1,
            next_seq: 1,
            committed_ns: i64::MIN,
            next_segment: 1,
            segments: Vec::new(),
            marks: BTreeMap::new(),
        }
    }
}

/// The path of a manifest.
pub fn path(number: u64) -> String {
    format!("{FOLDER}/{number:016}.json")
}

/// The number in a manifest's name.
pub fn number(name: &str) -> Option<u64> {
    name.strip_suffix(".json").filter(|digits| digits.len() == 16)?.parse().ok()
}

/// The numbers of the manifests that are there, oldest first.
///
/// # Errors
/// What the disk says.
pub fn numbers(disk: &dyn Disk) -> Result<Vec<u64>, ReadError> {
    let entries = disk.list(FOLDER).map_err(|source| ReadError::io(FOLDER, source))?;
    Ok(entries.iter().filter_map(|entry| number(&entry.name)).collect())
}

impl Manifest {
    /// The newest manifest, or the empty one where there is none.
    ///
    /// # Errors
    /// It is damaged, or of a later version.
    pub fn newest(disk: &dyn Disk) -> Result<Manifest, ReadError> {
        match numbers(disk)?.last() {
            Some(number) => Manifest::read(disk, *number),
            None => Ok(Manifest::default()),
        }
    }

    /// The manifest of this number.
    ///
    /// # Errors
    /// It is damaged, or of a later version.
    pub fn read(disk: &dyn Disk, number: u64) -> Result<Manifest, ReadError> {
        let path = path(number);
        let bytes = disk.read(&path).map_err(|source| ReadError::io(&path, source))?;
        let corrupt = |offset: usize, expected: String, found: &str| {
            let found = found.to_owned();
            ReadError::Corrupt(Corrupt { file: path.clone(), offset: offset as u64, expected, found })
        };
        let front = FIRST_LINE.len();
        if !bytes.starts_with(FIRST_LINE.as_bytes()) || bytes.get(front + 8) != Some(&b'\n') {
            return Err(corrupt(0, format!("the line {FIRST_LINE}…"), "other bytes"));
        }
        let crc = format!("{:08x}", crc32c::crc32c(&bytes[front + 9..]));
        if bytes[front..front + 8] != *crc.as_bytes() {
            let written = String::from_utf8_lossy(&bytes[front..front + 8]).into_owned();
            return Err(corrupt(front + 9, format!("bytes with checksum {written}"), &crc));
        }
        let manifest: Manifest = serde_json::from_slice(&bytes[front + 9..])
            .map_err(|error| ReadError::Unreadable { file: path.clone(), reason: error.to_string() })?;
        if manifest.number != number {
            return Err(corrupt(front + 9, format!("number {number}"), &manifest.number.to_string()));
        }
        Ok(manifest)
    }

    /// Makes this the newest manifest, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn publish(&self, disk: &dyn Disk) -> Result<(), WriteError> {
        let path = path(self.number);
        let body = serde_json::to_string(self)
            .map_err(|error| WriteError::Unwritable { file: path.clone(), reason: error.to_string() })?;
        let bytes = format!("{FIRST_LINE}{:08x}\n{body}", crc32c::crc32c(body.as_bytes()));
        disk.replace(&path, bytes.as_bytes()).map_err(|source| WriteError::io(&path, source))
    }

    /// Takes over marks as they are in memory.
    pub fn set_marks(&mut self, marks: &BTreeMap<String, Vec<u8>>) {
        self.marks = marks.iter().map(|(name, value)| (name.clone(), hex(value))).collect();
    }

    /// The marks as they are in memory; a value that is no hexadecimal text was never written by us.
    pub fn marks(&self) -> BTreeMap<String, Vec<u8>> {
        let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
        let value = |text: &String| text.as_bytes().chunks(2).map_while(byte).collect();
        self.marks.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }
}
