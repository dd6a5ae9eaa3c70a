//! A store at one moment, as files to copy, beside a process that may be writing it.
//!
//! In: the files. Out: [`Border`]: the newest manifest, the segments it names (which never change), the log up to its last
//! whole batch, and how much of the proof goes with them. Writes nothing; holds the segments' files while it lives.
//! Promise: the files of a border, put into an empty folder, are a store with exactly the events up to its last `Seq`, and
//! its proof agrees with its segments. Failure: damage, with file and place; a writer that seals so often that no reading
//! was all of one piece.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use nhatle_event::Seq;

use crate::dataset::Dataset;
use crate::disk::{Disk, DiskLock};
use crate::error::{Corrupt, OpenError, ReadError};
use crate::manifest::{self, Manifest};
use crate::proof::entry::{Entry, Leaf};
use crate::proof::log::{self, HEADS, LOG, NODES};
use crate::proof::stamp::kept as stamp;
use crate::publish::hold_segments;
use crate::recover::live_logs;
use crate::segment::meta::{BLOCK_BYTES, FileMeta, SegmentMeta};
use crate::wal::{self, reader::Tail};

/// How long the reading is begun anew because the writer moved on.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the proof is waited for.
const WAITS_MAX: usize = 20;
/// A manifest that is published is in the log of the proof a moment later.
const PROOF_WAIT: Duration = Duration::from_millis(2);
/// How many entries at the end of the log of the proof are looked through for the newest segments.
const TAIL_MAX: u64 = 4096;
/// Blocks read at once.
const BLOCKS: usize = 16;

/// See the module.
pub struct Border {
    /// The newest manifest, path and bytes; `None` for a store that never sealed.
    pub manifest: Option<(String, Vec<u8>)>,
    /// The segments it names.
    pub segments: Vec<SegmentMeta>,
    /// The log files that count, path and bytes. As large as what is not sealed yet.
    pub logs: Vec<(String, Vec<u8>)>,
    /// The files of the proof, and how many bytes of each belong to this manifest: what comes behind them speaks of segments
    /// that are not here.
    pub proof: Vec<(String, u64)>,
    /// Events of each dataset, in the order of [`Dataset::ALL`].
    pub counts: [u64; Dataset::ALL.len()],
    /// Events of all datasets.
    pub event_count: u64,
    /// The last of them.
    pub last_seq: Seq,
    /// Keeps the files of the segments until they are copied.
    readers: Option<Box<dyn DiskLock>>,
}

impl std::fmt::Debug for Border {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_held = self.readers.is_some();
        f.debug_struct("Border").field("last_seq", &self.last_seq).field("is_held", &is_held).finish_non_exhaustive()
    }
}

impl Border {
    /// The store of this disk as it is now.
    ///
    /// # Errors
    /// It is damaged; what the disk says.
    pub fn of(disk: &dyn Disk) -> Result<Border, OpenError> {
        let readers = hold_segments(disk)?;
        let (begun, mut waits) = (Instant::now(), 0);
        loop {
            let is_over = PATIENCE < begun.elapsed();
            let manifest = Manifest::newest(disk)?;
            let number = manifest.number;
            let border = read(disk, &manifest);
            let has_moved = manifest::numbers(disk)?.last().copied().unwrap_or(0) != number;
            match border {
                // Where the proof stays behind, it is behind in the store too, and opening catches up.
                Ok((border, is_proved)) if !has_moved && (is_proved || waits == WAITS_MAX) => {
                    return Ok(Border { readers, ..border });
                }
                Ok(_) if !has_moved => {
                    waits += 1;
                    std::thread::sleep(PROOF_WAIT);
                }
                Err(error) if !has_moved || is_over => return Err(error),
                Ok(_) if is_over => {
                    let source = io::Error::other("sealed again and again while it was read");
                    return Err(ReadError::io(manifest::FOLDER, source).into());
                }
                _ => {}
            }
        }
    }
}

/// The border, and whether the proof says everything of its manifest.
fn read(disk: &dyn Disk, manifest: &Manifest) -> Result<(Border, bool), OpenError> {
    let read = |path: &str| disk.read(path).map_err(|source| ReadError::io(path, source));
    let file = match manifest.number {
        0 => None,
        number => Some((manifest::path(number), read(&manifest::path(number))?)),
    };
    let mut counts = [0; Dataset::ALL.len()];
    manifest.segments.iter().for_each(|segment| counts[usize::from(segment.dataset.number())] += segment.row_count);
    let mut next_seq = Seq(manifest.next_seq);
    let mut logs = Vec::new();
    let live = live_logs(disk, manifest)?;
    for number in &live {
        let path = wal::path(*number);
        let mut bytes = read(&path)?;
        let tail = if live.last() == Some(number) { Tail::MayBeTorn } else { Tail::MustBeWhole };
        let log = wal::reader::read(&path, *number, &bytes, tail)?;
        if log.frames.is_empty() {
            // Begun, and nothing committed to it.
            continue;
        }
        let events = log.frames.iter().flat_map(|frame| &frame.batch.events);
        events.for_each(|(dataset, _)| counts[usize::from(dataset.number())] += 1);
        next_seq = log.next_seq;
        bytes.truncate(usize::try_from(log.good_bytes).unwrap_or(usize::MAX));
        logs.push((path, bytes));
    }
    let last_seq = Seq(next_seq.0.saturating_sub(1));
    let is_proved = is_proved(disk, manifest)?;
    // Time-stamps before the heads they are of, these before the log: no one of them is past what comes behind it here.
    let mut proof = kept_stamps(disk)?;
    for path in [HEADS, LOG, NODES] {
        let length = disk.length(path).map_err(|source| ReadError::io(path, source))?;
        proof.extend(length.map(|length| (path.to_owned(), length)));
    }
    let segments = manifest.segments.clone();
    let event_count = counts.iter().sum();
    Ok((Border { manifest: file, segments, logs, proof, counts, event_count, last_seq, readers: None }, is_proved))
}

/// The files of heads that have a time-stamp.
fn kept_stamps(disk: &dyn Disk) -> Result<Vec<(String, u64)>, ReadError> {
    let mut files = Vec::new();
    for size in stamp::sizes(disk, "tsr")? {
        for path in ["head", "tsq", "tsr"].map(|kind| stamp::path(size, kind)) {
            let length = disk.length(&path).map_err(|source| ReadError::io(&path, source))?;
            files.extend(length.map(|length| (path, length)));
        }
    }
    Ok(files)
}

/// The log of the proof names each segment of the manifest, as far as the manifest does not say so itself.
fn is_proved(disk: &dyn Disk, manifest: &Manifest) -> Result<bool, ReadError> {
    let mut unknown: BTreeSet<&str> =
        manifest.segments.iter().filter(|meta| meta.leaf.is_none()).map(|meta| meta.dir.as_str()).collect();
    if unknown.is_empty() || disk.length(LOG).map_err(|source| ReadError::io(LOG, source))?.is_none() {
        return Ok(true);
    }
    let covered = log::newest(disk)?.map_or(0, |head| head.head.size);
    for line in log::lines_from(disk, covered.saturating_sub(TAIL_MAX))? {
        if let Ok(Leaf { entry: Entry::Segment(segment), .. }) = Leaf::parse(&line) {
            unknown.remove(segment.dir.as_str());
        }
    }
    Ok(unknown.is_empty())
}

/// A file of a segment from front to end, every block checked before anything of it is given out. Memory: one piece.
pub struct CheckedRead<'a> {
    disk: &'a dyn Disk,
    path: String,
    file: &'a FileMeta,
    /// The block that is read next.
    block: usize,
    piece: Vec<u8>,
    given: usize,
}

impl<'a> CheckedRead<'a> {
    /// This file of this segment.
    pub fn new(disk: &'a dyn Disk, segment: &SegmentMeta, file: &'a FileMeta) -> CheckedRead<'a> {
        CheckedRead { disk, path: segment.path(&file.name), file, block: 0, piece: Vec::new(), given: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        let offset = (self.block * BLOCK_BYTES) as u64;
        let length = (self.file.bytes.saturating_sub(offset)).min((BLOCKS * BLOCK_BYTES) as u64);
        self.given = 0;
        self.piece = match length {
            0 => Vec::new(),
            _ => self.disk.read_range(&self.path, offset, usize::try_from(length).unwrap_or(0))?,
        };
        for block in self.piece.chunks(BLOCK_BYTES) {
            let (expected, found) = (self.file.block_crc32c.get(self.block).copied(), crc32c::crc32c(block));
            if expected != Some(found) {
                let offset = (self.block * BLOCK_BYTES) as u64;
                let expected = format!("a block with checksum {:08x}", expected.unwrap_or(0));
                let corrupt = Corrupt { file: self.path.clone(), offset, expected, found: format!("{found:08x}") };
                return Err(io::Error::new(io::ErrorKind::InvalidData, corrupt));
            }
            self.block += 1;
        }
        Ok(())
    }
}

impl Read for CheckedRead<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() {
            self.fill()?;
        }
        let count = into.len().min(self.piece.len() - self.given);
        into[..count].copy_from_slice(&self.piece[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::proof::canonical::Hashed;
    use crate::segment::meta::write_file;
    use crate::tests_rows::event;
    use nhatle_event::{Stored, Timestamp};

    #[test]
    fn a_segment_is_streamed_as_it_is_and_a_flipped_bit_is_named_by_its_block() {
        let disk = SimDisk::new(1);
        disk.create_folder("segments/1").expect("is made");
        for length in [0, 1, BLOCK_BYTES, BLOCKS * BLOCK_BYTES, 3 * BLOCKS * BLOCK_BYTES + 17] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).expect("small")).collect();
            let file = write_file(&disk, "segments/1", "f", &bytes).expect("is written");
            let stored = Stored { seq: Seq(1), committed: Timestamp(1), event: event(1, 0) };
            let meta = SegmentMeta::of(Dataset::Events, "segments/1", vec![Hashed::of(&stored)], vec![file.clone()]);
            let meta = meta.expect("has an event");
            let mut read = Vec::new();
            CheckedRead::new(&disk, &meta, &file).read_to_end(&mut read).expect("is whole");
            assert!(read == bytes, "{length}");
            for at in [0, length / 2, length.saturating_sub(1)].into_iter().filter(|at| *at < length) {
                assert!(disk.flip("segments/1/f", at, 3));
                let error = CheckedRead::new(&disk, &meta, &file).read_to_end(&mut Vec::new()).expect_err("damage");
                let block = at / BLOCK_BYTES * BLOCK_BYTES;
                assert!(error.to_string().contains(&format!("segments/1/f is damaged at byte {block}:")), "{error}");
                assert!(disk.flip("segments/1/f", at, 3));
            }
        }
    }
}
