//! What opening a store does first. In: the files as a crash left them. Out: [`Recovered`], exactly the
//! acknowledged events (and perhaps the one batch that was being written), and a tidy folder.
//!
//! 1. The newest manifest says which segments live and which log files count.
//! 2. The log is replayed; it must go on without a gap where the manifest ends.
//! 3. For the writing process only: a torn tail is cut off; the last frame is written once more and
//!    synced, for it may be in the page cache only (a sync that failed, a process that was killed);
//!    what nothing refers to is deleted.
//!
//! Segments are opened when first asked for, so their number does not matter here. A second recovery
//! right after changes nothing. A reader beside a running writer does steps 1 and 2, again from the
//! start when the manifest moved meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use nhatle_event::{Seq, Stored, Timestamp};

use crate::dataset::Dataset;
use crate::disk::{Disk, UNFINISHED, join, remove_folder};
use crate::error::{Corrupt, OpenError, ReadError, WriteError};
use crate::manifest::{self, Manifest};
use crate::memtable::{Chunk, Memtable};
use crate::publish::READERS;
use crate::wal::reader::{Frame, LogFile, Tail};
use crate::wal::{self, FRAME_HEADER_BYTES};

/// The folder of the segments.
pub const SEGMENTS: &str = "segments";
/// How often a reader starts over because a running writer moved on.
const READ_ATTEMPTS_MAX: usize = 20;

/// A store as its files have it.
#[derive(Debug)]
pub struct Recovered {
    /// The newest manifest.
    pub manifest: Manifest,
    /// The events past it, from the log.
    pub memtable: Memtable,
    /// The marks, the log's over the manifest's.
    pub marks: BTreeMap<String, Vec<u8>>,
    /// The `Seq` of the next event.
    pub next_seq: Seq,
    /// When the last event was committed.
    pub committed_last: Timestamp,
    /// The number of the next log file.
    pub log_next: u64,
    /// The length of the log file before that, 0 where there is none.
    pub log_last_bytes: u64,
    /// All bytes of the log.
    pub log_bytes: u64,
    /// Bytes of an unfinished frame that were left out.
    pub torn_bytes: u64,
    /// Folders of segments that no manifest names and that a reader may still hold.
    pub orphans: Vec<String>,
}

/// Recovers for the process that will write; it holds the lock.
///
/// # Errors
/// A hole in the log, a damaged manifest, or what the disk says.
pub fn recover(disk: &dyn Disk) -> Result<Recovered, OpenError> {
    let manifest = Manifest::newest(disk)?;
    // A process that was killed between renaming the manifest and syncing its folder left a name that the next power cut
    // may take back; nothing it made superfluous may go before.
    disk.sync_folder(manifest::FOLDER).map_err(|source| WriteError::io(manifest::FOLDER, source))?;
    let (mut recovered, last) = replay(disk, manifest)?;
    if let Some(last) = last {
        mend(disk, &last).map_err(|source| WriteError::io(&last.path, source))?;
    }
    recovered.orphans = remove_orphans(disk, &recovered)?;
    Ok(recovered)
}

/// Reads what is there and writes nothing; another process may be writing.
///
/// # Errors
/// As [`recover`]; also a writer so quick that no reading of the folder was all of one piece.
pub fn read_only(disk: &dyn Disk) -> Result<Recovered, OpenError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let manifest = Manifest::newest(disk)?;
        let number = manifest.number;
        let replayed = replay(disk, manifest);
        let has_moved = Manifest::newest(disk)?.number != number;
        match replayed {
            Ok((recovered, _)) if !has_moved => return Ok(recovered),
            Err(error) if !has_moved || attempt == READ_ATTEMPTS_MAX => return Err(error),
            Ok((recovered, _)) if attempt == READ_ATTEMPTS_MAX => return Ok(recovered),
            _ => {}
        }
    }
}

/// The newest log file, where the writer may have to put things right.
struct Last {
    path: String,
    log: LogFile,
    /// The last whole frame, as bytes.
    last_frame: Vec<u8>,
}

/// The log files that still count, in order without gaps.
pub(crate) fn live_logs(disk: &dyn Disk, manifest: &Manifest) -> Result<Vec<u64>, OpenError> {
    let entries = disk.list(wal::FOLDER).map_err(|source| ReadError::io(wal::FOLDER, source))?;
    let numbers = entries.iter().filter_map(|entry| wal::number(&entry.name));
    let live: Vec<u64> = numbers.filter(|number| manifest.log_first <= *number).collect();
    for (number, expected) in live.iter().zip(manifest.log_first..) {
        if *number != expected {
            return Err(missing(&wal::path(expected), *number).into());
        }
    }
    Ok(live)
}

fn missing(path: &str, found: u64) -> Corrupt {
    Corrupt {
        file: path.to_owned(),
        offset: 0,
        expected: "a log file".to_owned(),
        found: format!("none, but number {found}"),
    }
}

fn replay(disk: &dyn Disk, manifest: Manifest) -> Result<(Recovered, Option<Last>), OpenError> {
    let live = live_logs(disk, &manifest)?;
    let mut recovered = Recovered {
        memtable: Memtable::default(),
        marks: manifest.marks(),
        next_seq: Seq(manifest.next_seq),
        committed_last: Timestamp(manifest.committed_ns),
        log_next: manifest.log_first,
        log_last_bytes: 0,
        log_bytes: 0,
        torn_bytes: 0,
        orphans: Vec::new(),
        manifest,
    };
    let mut last = None;
    for number in &live {
        let path = wal::path(*number);
        let bytes = disk.read(&path).map_err(|source| ReadError::io(&path, source))?;
        let tail = if live.last() == Some(number) { Tail::MayBeTorn } else { Tail::MustBeWhole };
        let mut log = wal::reader::read(&path, *number, &bytes, tail)?;
        check_joint(&path, &log, &recovered)?;
        let frames = std::mem::take(&mut log.frames);
        recovered.torn_bytes += bytes.len() as u64 - log.good_bytes;
        if let Some(frame) = frames.last() {
            recovered.log_next = number + 1;
            recovered.log_last_bytes = log.good_bytes;
            recovered.log_bytes += log.good_bytes;
            let from = usize::try_from(frame.offset).unwrap_or(usize::MAX);
            let to = usize::try_from(log.good_bytes).unwrap_or(usize::MAX);
            let last_frame = bytes.get(from..to).unwrap_or_default().to_vec();
            last = Some(Last { path, log, last_frame });
        } else {
            last = Some(Last { path, log, last_frame: Vec::new() });
        }
        frames.into_iter().for_each(|frame| recovered.take(frame));
    }
    Ok((recovered, last))
}

/// A file must go on where the one before it, or the manifest, ends.
fn check_joint(path: &str, log: &LogFile, so_far: &Recovered) -> Result<(), Corrupt> {
    let Some(header) = log.header else { return Ok(()) };
    let corrupt = |offset, expected: String, found: String| Corrupt { file: path.to_owned(), offset, expected, found };
    if header.first_seq != so_far.next_seq {
        return Err(corrupt(20, format!("Seq {}", so_far.next_seq), header.first_seq.to_string()));
    }
    let has_previous = so_far.log_last_bytes != 0;
    if has_previous && header.previous_bytes != so_far.log_last_bytes {
        let expected = format!("a file before it of {} bytes", header.previous_bytes);
        return Err(corrupt(36, expected, format!("one of {}", so_far.log_last_bytes)));
    }
    Ok(())
}

impl Recovered {
    fn take(&mut self, frame: Frame) {
        let mut log_bytes = FRAME_HEADER_BYTES as u64;
        self.committed_last = self.committed_last.max(frame.batch.committed);
        for (name, value) in frame.batch.marks {
            log_bytes += value.len() as u64;
            self.marks.insert(name, value);
        }
        if frame.batch.events.is_empty() {
            return;
        }
        let committed = frame.batch.committed;
        let mut datasets: Vec<Dataset> = Vec::with_capacity(frame.batch.events.len());
        let mut rows = Vec::with_capacity(frame.batch.events.len());
        for (dataset, event) in frame.batch.events {
            log_bytes += event.original.len() as u64;
            datasets.push(dataset);
            rows.push(Stored { seq: self.next_seq, committed, event });
            self.next_seq = self.next_seq.next();
        }
        self.memtable.push(Chunk::new(&rows, &datasets, log_bytes));
    }
}

/// Makes the newest log file what was read of it, durably. Its name needs no sync: no frame is written before the name is
/// durable ([`crate::wal::writer`]), and a file without a frame that a power cut brings back is deleted once more.
fn mend(disk: &dyn Disk, last: &Last) -> std::io::Result<()> {
    if last.last_frame.is_empty() {
        // Nothing in it was ever acknowledged; its number is given again.
        return disk.remove(&last.path);
    }
    let mut file = disk.open(&last.path)?;
    file.truncate(last.log.good_bytes)?;
    file.write_at(last.log.good_bytes - last.last_frame.len() as u64, &last.last_frame)?;
    file.sync_data()
}

/// Deletes what no manifest refers to: unfinished objects, segments that were never published, log
/// files that are sealed, manifests past [`manifest::KEPT`]. Gives the folders of segments that stay because another
/// process reads the store.
fn remove_orphans(disk: &dyn Disk, recovered: &Recovered) -> Result<Vec<String>, WriteError> {
    let failed = |path: &str| {
        let path = path.to_owned();
        move |source| WriteError::io(&path, source)
    };
    let alone = disk.lock(READERS).map_err(failed(READERS))?;
    let mut held = Vec::new();
    for entry in disk.list(SEGMENTS).map_err(failed(SEGMENTS))? {
        let path = join(SEGMENTS, &entry.name);
        let segment = recovered.manifest.segments.iter().find(|segment| segment.dir == path);
        match segment {
            None if alone.is_some() => remove_folder(disk, &path).map_err(failed(&path))?,
            None => held.push(path),
            Some(_) => {}
        }
    }
    drop(alone);
    let is_orphan = |folder: &str, name: &str| match folder {
        wal::FOLDER => wal::number(name).is_some_and(|number| number < recovered.manifest.log_first),
        manifest::FOLDER => {
            manifest::number(name).is_some_and(|number| number + (manifest::KEPT as u64) <= recovered.manifest.number)
        }
        _ => false,
    };
    for folder in [wal::FOLDER, manifest::FOLDER] {
        for entry in disk.list(folder).map_err(failed(folder))? {
            if entry.name.ends_with(UNFINISHED) || is_orphan(folder, &entry.name) {
                let path = join(folder, &entry.name);
                disk.remove(&path).map_err(failed(&path))?;
            }
        }
    }
    Ok(held)
}

/// The live segments' share of [`crate::store::Store`]: one handle each, none opened.
pub(crate) fn handles(
    disk: &Arc<dyn Disk>,
    manifest: &Manifest,
    form: crate::live::SegmentForm,
) -> Vec<Arc<crate::live::LiveSegment>> {
    let handle = |meta: &crate::segment::meta::SegmentMeta| {
        Arc::new(crate::live::LiveSegment::new(disk.clone(), meta.clone(), form))
    };
    manifest.segments.iter().map(handle).collect()
}
