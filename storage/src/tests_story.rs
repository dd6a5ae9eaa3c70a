//! One fixed story of a store on a [`SimDisk`], with everything a store does, so that a fault can be put at each of its
//! calls in turn. In: a disk with a fault. Out: what was acknowledged ([`Ledger`]); errors are taken as a server takes
//! them: tried again later, and after a failed sync the store is opened anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::backup::Border;
use crate::disk::Disk;
use crate::disk::sim::{Call, SimDisk};
use crate::live::SegmentForm;
use crate::proof::check;
use crate::segment::meta::SegmentMeta;
use crate::tests_ledger::{Attempt, Ledger, Tally};
use crate::tests_rows::{Row, event, key, rows_of};
use crate::tests_world::SimClock;
use crate::{Config, Dataset, OpenError, ReadError, Store, WriteError};

const DAY_NS: i64 = 86_400_000_000_000;
/// How often opening is tried while the disk fails.
const OPEN_ATTEMPTS: usize = 3;

/// What the program was doing when a fault came.
pub const MOMENTS: [&str; 11] = [
    "append",
    "seal",
    "publish",
    "merge",
    "archive",
    "drop",
    "deleting logs",
    "deleting segments",
    "proof",
    "backup",
    "recovery",
];

/// See the module.
pub struct Story {
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub store: Option<Arc<Store>>,
    pub ledger: Ledger,
    pub config: Config,
    pub form: SegmentForm,
    /// The store that is open now, for what happens beside it.
    pub current: Arc<Mutex<Option<Arc<Store>>>>,
    /// What somebody beside it saw or did in this step.
    pub beside: Arc<Mutex<Vec<Beside>>>,
    /// What went wrong beside it.
    pub tally: Tally,
}

/// What happened at one call beside the story.
pub enum Beside {
    /// Another process read all of this.
    Read(BTreeMap<u64, Row>),
    /// Another thread appended this, and was acknowledged.
    Appended(Vec<Row>),
    /// It went wrong.
    Wrong(String),
}

type Step = (&'static str, fn(&mut Story));

#[rustfmt::skip]
const STEPS: [Step; 27] = [
    ("recovery", |story| drop(story.open())),
    ("append", |story| story.append(3, 700)),
    ("append", |story| story.mark()),
    ("seal", Story::seal),
    ("append", |story| story.append(2, 0)),
    ("append", |story| story.append(1, 0)),
    ("seal", Story::seal),
    ("append", |story| story.append(4, 60)),
    ("seal", Story::seal),
    ("merge", Story::next_day_and_merge),
    ("append", |story| story.append(2, 0)),
    ("proof", Story::record_register),
    ("seal", Story::seal),
    ("archive", Story::archive),
    ("append", |story| story.append(2, 0)),
    ("seal", Story::seal),
    ("drop", Story::drop_oldest),
    ("append", |story| story.append(3, 0)),
    ("backup", Story::back_up),
    ("recovery", Story::reopen),
    ("append", |story| story.append(2, 300)),
    ("recovery", Story::kill_and_reopen),
    ("append", |story| story.append(1, 0)),
    ("seal", Story::seal),
    ("merge", Story::next_day_and_merge),
    ("proof", Story::record_register),
    ("append", |story| story.append(1, 0)),
];

/// What a call was part of.
pub fn moment_of(call: &Call) -> &'static str {
    match (call.moment, call.name) {
        ("recovery" | "append" | "backup", _) => call.moment,
        (_, "remove") if call.path.starts_with("log/") => "deleting logs",
        (_, "remove" | "lock") if call.path.starts_with("segments") || call.path == "READERS" => "deleting segments",
        _ if call.path.starts_with("manifest") => "publish",
        _ if call.path.starts_with("proof") => "proof",
        (moment, _) => moment,
    }
}

impl Story {
    pub fn new(disk: SimDisk, form: SegmentForm) -> Story {
        let config = Config {
            log_file_bytes_max: 1500,
            memtable_events_max: 100,
            memtable_bytes_max: 1 << 20,
            backlog_bytes_max: 1 << 20,
            merged_events_max: 1000,
            reserve_bytes: 0,
            subject_keys: false,
        };
        Story {
            disk,
            clock: Arc::new(SimClock::new(1_700_000_000_000_000_000)),
            store: None,
            ledger: Ledger::default(),
            config,
            form,
            current: Arc::default(),
            beside: Arc::default(),
            tally: Tally::default(),
        }
    }

    /// The story as it is before the fault is over, with a copy of its disk.
    pub fn fork(&self) -> Story {
        let fork = Story::new(self.disk.fork(), self.form);
        Story { ledger: self.ledger.clone(), clock: self.clock.clone(), ..fork }
    }

    /// Tells it to its end, or until the power or the process goes.
    pub fn tell(&mut self) {
        for (moment, step) in STEPS {
            self.disk.set_moment(moment);
            if moment != "recovery" && self.store.is_none() && self.open().is_err() {
                continue;
            }
            self.disk.set_moment(moment);
            let before = self.ledger.clone();
            step(self);
            self.take_beside(&before);
            if self.is_over() {
                break;
            }
        }
        self.close();
    }

    pub fn is_over(&self) -> bool {
        self.disk.is_off() || self.disk.is_dead()
    }

    fn close(&mut self) {
        self.store = None;
        *self.current.lock().unwrap() = None;
    }

    /// Opens the store; the reason, where that does not work.
    pub fn open(&mut self) -> Result<(), String> {
        self.close();
        let mut why = String::new();
        for _ in 0..OPEN_ATTEMPTS {
            let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
            match Store::open_with(disk, self.config.clone(), self.clock.clone(), self.form) {
                Ok(store) => {
                    store.sign_with(key());
                    let store = Arc::new(store);
                    *self.current.lock().unwrap() = Some(store.clone());
                    self.store = Some(store);
                    self.adopt();
                    return Ok(());
                }
                Err(error @ (OpenError::Read(ReadError::Io { .. }) | OpenError::Write(_))) if !self.is_over() => {
                    why = error.to_string();
                    self.disk.kill();
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(why)
    }

    /// What is there now counts from now on.
    fn adopt(&mut self) {
        let Some(store) = self.store.clone() else { return };
        if self.ledger.maybe.is_empty() && self.ledger.maybe_dropped.is_empty() {
            return;
        }
        if let Ok(found) = rows_of(&store.snapshot()) {
            self.ledger.compare(&found, &store.marks(), &mut self.tally);
        }
    }

    fn reopen(&mut self) {
        self.close();
        drop(self.open());
    }

    fn kill_and_reopen(&mut self) {
        self.close();
        if !self.is_over() {
            self.disk.kill();
            drop(self.open());
        }
    }

    /// A server ends and is started again when the log was given up.
    fn take(&mut self, error: &WriteError) {
        match error {
            WriteError::Poisoned => self.kill_and_reopen(),
            WriteError::Read(error @ (ReadError::Corrupt(_) | ReadError::Unreadable { .. })) => {
                self.tally.unreadable(format!("S1 {error}"));
            }
            _ => {}
        }
    }

    pub fn append(&mut self, count: u64, padding: usize) {
        let Some(store) = self.store.clone() else { return };
        let mut attempt = Attempt { rows: Vec::new(), marks: Vec::new() };
        let mut batch = Vec::new();
        for _ in 0..count {
            let id = self.ledger.next_id;
            self.ledger.next_id += 1;
            let dataset = if id % 5 == 4 { Dataset::Alerts } else { Dataset::Events };
            attempt.rows.push((dataset, id));
            batch.push((dataset, event(id, padding)));
        }
        if count != 2 {
            attempt.marks.push(("detected".to_owned(), self.ledger.next_id.to_le_bytes().to_vec()));
            self.ledger.next_id += 1;
        }
        let marks: Vec<(&str, Vec<u8>)> =
            attempt.marks.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        match store.append(batch, &marks) {
            Ok(_) => {
                self.ledger.rows.extend(&attempt.rows);
                self.ledger.marks.extend(attempt.marks);
                self.ledger.maybe.clear();
            }
            Err(error) => {
                // What was refused while the writer goes on was cut off again, durably.
                if store.stats().is_poisoned {
                    self.ledger.maybe.push(attempt);
                }
                drop(store);
                self.take(&error);
            }
        }
    }

    fn mark(&mut self) {
        self.append(0, 0);
    }

    pub fn seal(&mut self) {
        let Some(store) = self.store.clone() else { return };
        if let Err(error) = store.seal() {
            drop(store);
            self.take(&error);
        }
        self.note_head();
    }

    fn note_head(&mut self) {
        let head = self.store.as_ref().and_then(|store| store.newest_head());
        self.ledger.head = self.ledger.head.max(head.map_or(0, |head| head.head.size));
    }

    fn next_day_and_merge(&mut self) {
        self.clock.move_by(DAY_NS);
        let Some(store) = self.store.clone() else { return };
        for _ in 0..3 {
            match store.compact(&mut || true) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    self.take(&error);
                    break;
                }
            }
        }
        self.note_head();
    }

    fn archive(&mut self) {
        let Some(store) = self.store.clone() else { return };
        if let Err(error) = store.archive(&|_: &SegmentMeta| true, &mut || true) {
            self.take(&error);
        }
        self.note_head();
    }

    fn drop_oldest(&mut self) {
        let Some(store) = self.store.clone() else { return };
        let snapshot = store.snapshot();
        let Some(oldest) = snapshot.segments(Dataset::Events).next().map(|segment| segment.meta().clone()) else {
            return;
        };
        drop(snapshot);
        let is_in = |(seq, row): &(u64, &Row)| {
            row.0 == Dataset::Events && (oldest.first_seq.0..=oldest.last_seq.0).contains(seq)
        };
        let gone: BTreeSet<u64> = (1..).zip(&self.ledger.rows).filter(is_in).map(|(seq, _)| seq).collect();
        match store.drop_segments(&[oldest.dir].into(), "over") {
            Ok(_) => self.ledger.dropped.extend(gone),
            Err(error) => {
                self.ledger.maybe_dropped.push(gone);
                self.take(&error);
            }
        }
        self.note_head();
    }

    fn record_register(&mut self) {
        let Some(store) = self.store.clone() else { return };
        let rows = self.ledger.next_id;
        let hash = [u8::try_from(rows % 251).unwrap_or(0); 32];
        // What cannot be written down is written down later.
        drop(store.record_register((rows, hash, hash)));
        self.note_head();
    }

    fn back_up(&mut self) {
        // One that fails is made anew; it changes nothing here.
        let is_known = self.ledger.maybe.is_empty() && self.ledger.maybe_dropped.is_empty();
        match copy_of(&self.disk, self.form, &self.config) {
            Ok(found) if is_known && found != self.ledger.there() => {
                self.tally.wrong(format!("a backup holds {found:?}, not {:?}", self.ledger.there()));
            }
            _ => {}
        }
    }

    fn take_beside(&mut self, before: &Ledger) {
        let beside = std::mem::take(&mut *self.beside.lock().unwrap());
        for one in beside {
            match one {
                Beside::Wrong(what) => self.tally.wrong(what),
                Beside::Appended(rows) => {
                    self.ledger.next_id += rows.len() as u64;
                    self.ledger.rows.extend(rows);
                }
                Beside::Read(found) => {
                    if found != before.there() && found != self.ledger.there() {
                        self.tally.wrong(format!(
                            "a reader beside found {found:?}, not {:?} or {:?}",
                            before.there(),
                            self.ledger.there()
                        ));
                    }
                }
            }
        }
    }
}

impl Ledger {
    /// What must be there, by `Seq`.
    pub fn there(&self) -> BTreeMap<u64, Row> {
        let rows = (1..).zip(self.rows.iter().copied());
        rows.filter(|(seq, _)| !self.dropped.contains(seq)).collect()
    }
}

/// What a backup made now would bring back.
pub fn copy_of(disk: &SimDisk, form: SegmentForm, config: &Config) -> Result<BTreeMap<u64, Row>, OpenError> {
    let border = Border::of(disk)?;
    let copy = SimDisk::new(0);
    let put = |path: &str, bytes: &[u8]| {
        copy.create_folder(crate::disk::folder_of(path)).and_then(|()| copy.replace(path, bytes)).expect("it is whole");
    };
    for segment in &border.segments {
        for file in &segment.files {
            put(&segment.path(&file.name), &segment.read_file(disk, &file.name)?);
        }
    }
    border.logs.iter().chain(&border.manifest).for_each(|(path, bytes)| put(path, bytes));
    for (path, length) in &border.proof {
        let bytes = disk.read_range(path, 0, usize::try_from(*length).unwrap_or(0));
        put(path, &bytes.map_err(|source| ReadError::io(path, source))?);
    }
    let clock = Arc::new(SimClock::new(5));
    let store = Store::open_with(Arc::new(copy.clone()), config.clone(), clock, form)?;
    store.sign_with(key());
    store.catch_up_proof();
    let checked = check::store(&copy).map_err(OpenError::Read)?;
    let findings = checked.map(|checked| checked.findings).unwrap_or_default();
    assert!(findings.is_empty(), "the proof of a copy: {findings:?}");
    assert_eq!(store.stats().events.iter().sum::<u64>(), border.event_count, "a backup says what it holds");
    let rows = rows_of(&store.snapshot()).expect("a copy is whole");
    Ok(rows.into_iter().map(|(seq, (_, row))| (seq, row)).collect())
}
