//! `Store`: one writer, many [`Snapshot`]s. In: batches of events, each with its dataset, and marks.
//! Out: the same events with their `Seq`, durable, readable at once and for good.
//!
//! Appends go to the log and the memtable. A memtable that is full is set aside together with its log files
//! (appends go to new ones). [`Store::seal`], on a thread of its own, turns one after the other into
//! segments: written, published in
//! the manifest, and only then taken out of memory and its log files deleted. So however far sealing is behind, room
//! comes back a memtable at a time. At each moment every event
//! is in exactly one of the three, and a snapshot sees each once. A seal that fails leaves the memtable
//! where it is and is tried again.
//!
//! Locks, in the order they are taken: `sealer` (one seal at a time), `prover` (the log of the proof), `writer` (one
//! append at a time), `view` (held for the time of some copies, never over a disk call).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use nhatle_event::{Clock, Event, Seq, Stored, Timestamp};

use crate::config::Config;
use crate::dataset::Dataset;
use crate::disk::{Disk, DiskLock, join, remove_folder};
use crate::error::{OpenError, WriteError};
use crate::live::{self, LiveSegment, SegmentForm};
use crate::manifest::{self, Manifest};
use crate::memtable::{Chunk, Memtable, Row};
use crate::proof::prover::Prover;
use crate::publish::{READERS, Retired, hold_segments};
use crate::recover::{self, Recovered, SEGMENTS};
use crate::segment::meta::{SegmentMeta, Tier, WriteOptions};
use crate::snapshot::Snapshot;
use crate::wal::writer::LogWriter;
use crate::wal::{self, Encoded, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, MARK_BYTES_MAX, MARK_NAME_BYTES_MAX, MARKS_MAX};

/// The file that the writing process locks.
pub const LOCK: &str = "LOCK";

/// Small named values that become durable together with a batch; the last one of a name counts.
pub type Marks = BTreeMap<String, Vec<u8>>;

/// A store of events.
pub struct Store {
    disk: Arc<dyn Disk>,
    config: Config,
    clock: Arc<dyn Clock>,
    form: SegmentForm,
    /// `None` for a store that is open for reading only.
    lock: Option<Box<dyn DiskLock>>,
    /// Of a store that is open for reading only: keeps the files of its segments.
    _readers: Option<Box<dyn DiskLock>>,
    sealer: Mutex<Sealer>,
    writer: Mutex<Writer>,
    view: Mutex<View>,
    prover: Mutex<Prover>,
    torn_bytes: u64,
}

struct Writer {
    log: LogWriter,
    next_seq: Seq,
    committed_last: Timestamp,
}

pub(crate) struct Sealer {
    pub(crate) manifest: Manifest,
    /// Written, but not surely published.
    pub(crate) pending: Option<Manifest>,
    pub(crate) retired: Retired,
    /// Folders of segments that could not be merged, not tried again in this life.
    pub(crate) unmergeable: BTreeSet<String>,
}

struct View {
    active: Memtable,
    /// Set aside, oldest first: each is sealed by itself.
    sealing: VecDeque<Arc<Sealing>>,
    segments: Arc<Vec<Arc<LiveSegment>>>,
    marks: Marks,
    last_seq: Seq,
    /// Bytes of the log that no seal has taken on.
    log_bytes: u64,
}

impl View {
    /// The memtable has gathered enough to be sealed.
    fn is_full(&self, config: &Config) -> bool {
        config.memtable_events_max <= self.active.len() || config.memtable_bytes_max <= self.log_bytes
    }

    /// Bytes of the log that are in no segment yet.
    fn waiting_bytes(&self) -> u64 {
        self.log_bytes + self.sealing.iter().map(|sealing| sealing.log_bytes).sum::<u64>()
    }

    /// Sets the memtable aside, where there is anything in it; appends go to a new file of the log.
    fn set_aside(&mut self, writer: &mut Writer) {
        if self.log_bytes == 0 {
            return;
        }
        self.sealing.push_back(Arc::new(Sealing {
            memtable: std::mem::take(&mut self.active),
            marks: self.marks.clone(),
            next_seq: writer.next_seq,
            committed_last: writer.committed_last,
            log_first: writer.log.close(),
            log_bytes: std::mem::take(&mut self.log_bytes),
        }));
    }
}

/// A memtable set aside, and the border at which that was done.
struct Sealing {
    memtable: Memtable,
    marks: Marks,
    next_seq: Seq,
    committed_last: Timestamp,
    /// The first log file behind the border.
    log_first: u64,
    log_bytes: u64,
}

/// Figures of a store, for its page and for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events of each dataset, in the order of [`Dataset::ALL`].
    pub events: [u64; Dataset::ALL.len()],
    /// Live segments.
    pub segments: usize,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Events in memory and log only.
    pub unsealed_events: usize,
    /// Bytes of the log that are not sealed.
    pub log_bytes: u64,
    /// The `Seq` of the newest event.
    pub last_seq: Seq,
    /// Bytes of an unfinished batch that opening left out.
    pub torn_bytes: u64,
    /// A sync failed; nothing is taken until the store is opened again.
    pub is_poisoned: bool,
}

impl Store {
    /// Opens a store for writing, making it where there is none, and recovers what a crash left.
    ///
    /// # Errors
    /// Another process has it open; it is damaged (file and place are named); what the disk says.
    pub fn open(disk: Arc<dyn Disk>, config: Config, clock: Arc<dyn Clock>) -> Result<Store, OpenError> {
        Store::open_with(disk, config, clock, SegmentForm::Columns)
    }

    /// [`Store::open`] with segments of another form.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        disk: Arc<dyn Disk>,
        config: Config,
        clock: Arc<dyn Clock>,
        form: SegmentForm,
    ) -> Result<Store, OpenError> {
        let lock = disk.lock(LOCK).map_err(|source| WriteError::io(LOCK, source))?;
        let lock = lock.ok_or_else(|| OpenError::Locked { file: LOCK.to_owned() })?;
        for folder in [wal::FOLDER, SEGMENTS, manifest::FOLDER] {
            disk.create_folder(folder).map_err(|source| WriteError::io(folder, source))?;
        }
        // Readers beside us lock it, so it has to be there before the first segment goes.
        drop(disk.lock(READERS).map_err(|source| WriteError::io(READERS, source))?);
        let recovered = recover::recover(&*disk)?;
        if recovered.torn_bytes > 0 {
            tracing::info!(bytes = recovered.torn_bytes, "left out an unfinished batch at the end of the log");
        }
        Ok(Store::new(disk, config, clock, form, [Some(lock), None], recovered))
    }

    /// Opens a store for reading as it is now, beside a process that may be writing it. Takes no lock
    /// and writes nothing.
    ///
    /// # Errors
    /// It is damaged; what the disk says.
    pub fn open_read_only(disk: Arc<dyn Disk>, config: Config, clock: Arc<dyn Clock>) -> Result<Store, OpenError> {
        Store::open_read_only_with(disk, config, clock, SegmentForm::Columns)
    }

    /// [`Store::open_read_only`] with segments of another form.
    ///
    /// # Errors
    /// As [`Store::open_read_only`].
    pub fn open_read_only_with(
        disk: Arc<dyn Disk>,
        config: Config,
        clock: Arc<dyn Clock>,
        form: SegmentForm,
    ) -> Result<Store, OpenError> {
        let readers = hold_segments(&*disk)?;
        let recovered = recover::read_only(&*disk)?;
        Ok(Store::new(disk, config, clock, form, [None, readers], recovered))
    }

    fn new(
        disk: Arc<dyn Disk>,
        config: Config,
        clock: Arc<dyn Clock>,
        form: SegmentForm,
        [lock, readers]: [Option<Box<dyn DiskLock>>; 2],
        mut recovered: Recovered,
    ) -> Store {
        let prover = match &lock {
            Some(_) => Prover::open(&*disk, &mut recovered.manifest),
            None => Prover::default(),
        };
        let view = View {
            active: recovered.memtable,
            sealing: VecDeque::new(),
            segments: Arc::new(recover::handles(&disk, &recovered.manifest, form)),
            marks: recovered.marks,
            last_seq: Seq(recovered.next_seq.0 - 1),
            log_bytes: recovered.log_bytes,
        };
        let writer = Writer {
            log: LogWriter::new(disk.clone(), recovered.log_next, recovered.log_last_bytes),
            next_seq: recovered.next_seq,
            committed_last: recovered.committed_last,
        };
        Store {
            disk,
            config,
            clock,
            form,
            lock,
            _readers: readers,
            sealer: Mutex::new(Sealer {
                manifest: recovered.manifest,
                pending: None,
                retired: Retired::of_folders(recovered.orphans),
                unmergeable: BTreeSet::new(),
            }),
            writer: Mutex::new(writer),
            view: Mutex::new(view),
            prover: Mutex::new(prover),
            torn_bytes: recovered.torn_bytes,
        }
    }

    /// Commits a batch and marks as one: after `Ok` all of it is durable and readable, after a crash all
    /// of it is there or none. Each call syncs the disk once, so batches should be large.
    ///
    /// # Errors
    /// The disk is full or failing, the batch or a mark is past a limit, sealing is too far behind. The
    /// batch is not acknowledged then, and not readable.
    pub fn append(
        &self,
        mut batch: Vec<(Dataset, Event)>,
        marks: &[(&str, Vec<u8>)],
    ) -> Result<Arc<[Stored]>, WriteError> {
        self.append_from(&mut batch, marks)
    }

    /// [`Store::append`] that takes the events out of `batch` only when they are committed, so that the
    /// caller still has them when the disk is full.
    ///
    /// # Errors
    /// As [`Store::append`]; the batch is then as it was.
    pub fn append_from(
        &self,
        batch: &mut Vec<(Dataset, Event)>,
        marks: &[(&str, Vec<u8>)],
    ) -> Result<Arc<[Stored]>, WriteError> {
        let encoded = [Encoded::of(batch)];
        self.append_encoded(batch, &encoded, marks)
    }

    /// [`Store::append_from`] for events that were encoded beforehand, all of them in the same order.
    ///
    /// # Errors
    /// As [`Store::append`]; the batch is then as it was.
    pub fn append_encoded(
        &self,
        batch: &mut Vec<(Dataset, Event)>,
        encoded: &[Encoded],
        marks: &[(&str, Vec<u8>)],
    ) -> Result<Arc<[Stored]>, WriteError> {
        if self.lock.is_none() {
            return Err(WriteError::ReadOnly);
        }
        if batch.is_empty() && marks.is_empty() {
            return Ok(Arc::new([]));
        }
        let (mut frame, places) = wal::frame(encoded, marks);
        assert!(places.len() == batch.len(), "each event is encoded, once");
        let bytes = frame.len() - FRAME_HEADER_BYTES;
        if FRAME_BYTES_MAX < bytes {
            return Err(WriteError::BatchTooLarge { bytes, bytes_max: FRAME_BYTES_MAX });
        }
        let mut writer = self.writer();
        self.check_limits(marks)?;
        let committed = self.clock.now().max(writer.committed_last);
        let first = writer.next_seq;
        writer.log.append(first, committed, &mut frame, self.config.log_file_bytes_max)?;
        writer.committed_last = committed;
        writer.next_seq = Seq(first.0 + batch.len() as u64);

        let rows = std::mem::take(batch).into_iter().zip(first.0..);
        let rows: Arc<[Stored]> = rows.map(|((_, event), seq)| Stored { seq: Seq(seq), committed, event }).collect();
        let log_bytes = frame.len() as u64;
        let chunk = (!rows.is_empty()).then(|| Chunk::of_frame(&rows, frame, &places));
        let mut view = self.view();
        view.log_bytes += log_bytes;
        for (name, value) in marks {
            view.marks.insert((*name).to_owned(), value.clone());
        }
        if let Some(chunk) = chunk {
            view.active.push(chunk);
            view.last_seq = Seq(writer.next_seq.0 - 1);
        }
        if view.is_full(&self.config) {
            view.set_aside(&mut writer);
        }
        Ok(rows)
    }

    /// All events as they are now.
    pub fn snapshot(&self) -> Snapshot {
        let view = self.view();
        let sealing = view.sealing.iter().map(|sealing| sealing.memtable.clone());
        let memtables = sealing.chain([view.active.clone()]).collect();
        Snapshot::new(memtables, view.segments.clone(), view.last_seq)
    }

    /// How many bytes of the log wait to be sealed, and past how many appends are refused.
    pub fn backlog(&self) -> (u64, u64) {
        (self.view().waiting_bytes(), self.config.backlog_bytes_max)
    }

    /// The number of the newest event.
    pub fn last_seq(&self) -> Seq {
        self.view().last_seq
    }

    /// The marks as they are now.
    pub fn marks(&self) -> Marks {
        self.view().marks.clone()
    }

    /// One mark as it is now.
    pub fn mark(&self, name: &str) -> Option<Vec<u8>> {
        self.view().marks.get(name).cloned()
    }

    /// Seals one memtable where enough has gathered, or where an earlier seal did not finish. Says whether it did: then
    /// there may be more.
    ///
    /// # Errors
    /// As [`Store::seal`].
    pub fn seal_if_due(&self) -> Result<bool, WriteError> {
        let is_due = {
            let view = self.view();
            !view.sealing.is_empty() || view.is_full(&self.config)
        };
        if is_due { self.seal_up_to(1) } else { Ok(false) }
    }

    /// Turns everything committed so far into segments. Events stay readable and appends go on
    /// meanwhile. Says whether there was anything to seal.
    ///
    /// # Errors
    /// The disk is full or failing; nothing is lost, and the next call tries again.
    pub fn seal(&self) -> Result<bool, WriteError> {
        self.seal_up_to(usize::MAX)
    }

    fn seal_up_to(&self, count_max: usize) -> Result<bool, WriteError> {
        if self.lock.is_none() {
            return Err(WriteError::ReadOnly);
        }
        let mut sealer = self.sealer();
        let waiting = self.view().sealing.len();
        // An earlier seal that did not finish comes first, then what has gathered since.
        self.settle(&mut sealer)?;
        let mut has_sealed = self.view().sealing.len() < waiting;
        if count_max == usize::MAX || self.view().sealing.is_empty() {
            self.set_aside()?;
        }
        // What is set aside meanwhile is for the next call.
        let waiting = self.view().sealing.len().min(count_max);
        for _ in 0..waiting {
            let Some(sealing) = self.view().sealing.front().cloned() else { break };
            if self.writer().log.is_poisoned() {
                return Err(WriteError::Poisoned);
            }
            self.seal_one(&mut sealer, &sealing)?;
            has_sealed = true;
        }
        Ok(has_sealed)
    }

    /// Figures of the store.
    pub fn stats(&self) -> Stats {
        let snapshot = self.snapshot();
        let is_poisoned = self.writer().log.is_poisoned();
        let view = self.view();
        Stats {
            events: Dataset::ALL.map(|dataset| snapshot.count(dataset)),
            segments: view.segments.len(),
            segment_bytes: view.segments.iter().map(|segment| segment.meta().bytes()).sum(),
            unsealed_events: view.active.len()
                + view.sealing.iter().map(|sealing| sealing.memtable.len()).sum::<usize>(),
            log_bytes: view.waiting_bytes(),
            last_seq: snapshot.last_seq(),
            torn_bytes: self.torn_bytes,
            is_poisoned,
        }
    }

    /// The disk it is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The clock it goes by.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// It was opened for writing.
    pub(crate) fn is_writer(&self) -> bool {
        self.lock.is_some()
    }

    pub(crate) fn prover(&self) -> MutexGuard<'_, Prover> {
        self.prover.lock().expect("no code panics while it holds this lock")
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("no code panics while it holds this lock")
    }

    pub(crate) fn sealer(&self) -> MutexGuard<'_, Sealer> {
        self.sealer.lock().expect("no code panics while it holds this lock")
    }

    /// How segments are written.
    pub(crate) fn form(&self) -> SegmentForm {
        self.form
    }

    /// Its sizes and limits.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("no code panics while it holds this lock")
    }

    fn check_limits(&self, marks: &[(&str, Vec<u8>)]) -> Result<(), WriteError> {
        let view = self.view();
        let mut mark_count = view.marks.len();
        for (name, value) in marks {
            mark_count += usize::from(!view.marks.contains_key(*name));
            if MARK_NAME_BYTES_MAX < name.len() || MARK_BYTES_MAX < value.len() || MARKS_MAX < mark_count {
                return Err(WriteError::MarkPastLimit { name: (*name).to_owned(), bytes: value.len() });
            }
        }
        let bytes = view.waiting_bytes();
        if self.config.backlog_bytes_max < bytes {
            return Err(WriteError::Behind { bytes, bytes_max: self.config.backlog_bytes_max });
        }
        Ok(())
    }

    /// Sets aside what has gathered since the last memtable was.
    fn set_aside(&self) -> Result<(), WriteError> {
        let mut writer = self.writer();
        if writer.log.is_poisoned() {
            return Err(WriteError::Poisoned);
        }
        self.view().set_aside(&mut writer);
        Ok(())
    }

    fn seal_one(&self, sealer: &mut Sealer, sealing: &Sealing) -> Result<(), WriteError> {
        let written = self.write_segments(&mut sealer.manifest, sealing)?;
        let mut next = sealer.manifest.clone();
        next.number += 1;
        next.log_first = sealing.log_first;
        next.next_seq = sealing.next_seq.0;
        next.committed_ns = sealing.committed_last.0;
        next.segments.extend(written);
        next.set_marks(&sealing.marks);
        self.publish(sealer, next)
    }

    /// New snapshots see the segments of this manifest, and those that were sealed no longer in memory. Gives the
    /// segments that are live no more.
    pub(crate) fn show(&self, next: &Manifest, has_moved_border: bool) -> Vec<Arc<LiveSegment>> {
        let mut view = self.view();
        let mut before: BTreeMap<&str, &Arc<LiveSegment>> =
            view.segments.iter().map(|segment| (segment.meta().dir.as_str(), segment)).collect();
        let mut live = |meta: &SegmentMeta| match before.remove(meta.dir.as_str()) {
            Some(segment) => segment.clone(),
            None => Arc::new(LiveSegment::new(self.disk.clone(), meta.clone(), self.form)),
        };
        let segments = next.segments.iter().map(&mut live).collect();
        let retired = before.into_values().cloned().collect();
        view.segments = Arc::new(segments);
        if has_moved_border {
            view.sealing.pop_front();
        }
        retired
    }

    /// One segment for each dataset that has events. Where one fails, none stays.
    fn write_segments(&self, manifest: &mut Manifest, sealing: &Sealing) -> Result<Vec<SegmentMeta>, WriteError> {
        let mut written: Vec<SegmentMeta> = Vec::new();
        for dataset in Dataset::ALL {
            let mut rows: Vec<Row<'_>> = sealing.memtable.of(dataset).collect();
            if rows.is_empty() {
                continue;
            }
            rows.sort_unstable_by_key(|row| (row.timestamp(), row.seq()));
            let dir = join(SEGMENTS, &format!("{:016}-{}", manifest.next_segment, dataset.name()));
            // A number is not given twice while the process runs: a reader may still ask for the old one.
            manifest.next_segment += 1;
            let meta = self.disk.create_folder(&dir).map_err(|source| WriteError::io(&dir, source)).and_then(|()| {
                live::write(self.form, &*self.disk, &dir, &rows, &WriteOptions { dataset, tier: Tier::Recent })
            });
            match meta {
                Ok(meta) => written.push(meta),
                Err(error) => {
                    let failed = written.iter().map(|meta| meta.dir.as_str()).chain([dir.as_str()]);
                    failed.for_each(|dir| drop(remove_folder(&*self.disk, dir)));
                    return Err(error);
                }
            }
        }
        Ok(written)
    }
}
