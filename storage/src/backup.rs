//! A store at one moment, as files to copy, beside a process that may be writing it.
//!
//! In: the files. Out: [`Border`]: the newest manifest, the segments it names (which never change), and the log up to
//! its last whole batch. Writes nothing; holds the segments' files while it lives. Promise: the files of a border, put into an empty folder, are
//! a store with exactly the events up to its last `Seq`. Failure: damage, with file and place; a writer that seals so
//! often that no reading was all of one piece.

use nhatle_event::Seq;

use crate::disk::{Disk, DiskLock};
use crate::error::{OpenError, ReadError};
use crate::manifest::{self, Manifest};
use crate::publish::hold_segments;
use crate::recover::live_logs;
use crate::segment::meta::SegmentMeta;
use crate::wal::{self, reader::Tail};

/// How often the reading is begun anew because the writer moved on.
const ATTEMPTS_MAX: usize = 20;

/// See the module.
pub struct Border {
    /// The newest manifest, path and bytes; `None` for a store that never sealed.
    pub manifest: Option<(String, Vec<u8>)>,
    /// The segments it names.
    pub segments: Vec<SegmentMeta>,
    /// The log files that count, path and bytes. As large as what is not sealed yet.
    pub logs: Vec<(String, Vec<u8>)>,
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
        let mut attempt = 0;
        loop {
            attempt += 1;
            let manifest = Manifest::newest(disk)?;
            let number = manifest.number;
            let border = read(disk, &manifest);
            let has_moved = Manifest::newest(disk)?.number != number;
            match border {
                Ok(border) if !has_moved => return Ok(Border { readers, ..border }),
                Err(error) if !has_moved || attempt == ATTEMPTS_MAX => return Err(error),
                Ok(_) if attempt == ATTEMPTS_MAX => {
                    let source = std::io::Error::other("sealed again and again while it was read");
                    return Err(ReadError::io(manifest::FOLDER, source).into());
                }
                _ => {}
            }
        }
    }
}

fn read(disk: &dyn Disk, manifest: &Manifest) -> Result<Border, OpenError> {
    let read = |path: &str| disk.read(path).map_err(|source| ReadError::io(path, source));
    let file = match manifest.number {
        0 => None,
        number => Some((manifest::path(number), read(&manifest::path(number))?)),
    };
    let mut event_count: u64 = manifest.segments.iter().map(|segment| segment.row_count).sum();
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
        event_count += log.frames.iter().map(|frame| frame.batch.events.len() as u64).sum::<u64>();
        next_seq = log.next_seq;
        bytes.truncate(usize::try_from(log.good_bytes).unwrap_or(usize::MAX));
        logs.push((path, bytes));
    }
    let last_seq = Seq(next_seq.0.saturating_sub(1));
    Ok(Border { manifest: file, segments: manifest.segments.clone(), logs, event_count, last_seq, readers: None })
}
