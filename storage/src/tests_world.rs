//! The simulated world: a store on a [`SimDisk`], a model that says what it must hold, and a seeded
//! workload. A broken promise is an `Err` with the promise's number (docs/format/log.md), the seed and
//! the steps.
//!
//! - S1 every acknowledged event is there exactly once, every acknowledged mark has its value;
//! - S2 nothing is there that was not appended; an unacknowledged batch is there whole or not at all;
//! - S3 `Seq` is the order of commit without gaps, and commit times never run back;
//! - S5 opening twice changes nothing;
//! - S6 no orphan file after recovery;
//! - S7 counters balance;
//! - S8 a head of the proof that was given out is never taken back, and log, tree, heads and segments agree.
//!
//! (S4, index against full scan, is the query's own test.)

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nhatle_event::{Clock, Seq, Timestamp};

use crate::disk::Disk;
use crate::disk::sim::{Random, SimDisk};
use crate::live::SegmentForm;
use crate::manifest::Manifest;
use crate::proof::check;
use crate::store::Marks;
use crate::tests_rows::{Row, check_orphans, check_same, event, key, read_all};
use crate::{Config, Dataset, OpenError, ReadError, Snapshot, Store, WriteError};

/// A clock that moves only when told, backwards too.
pub struct SimClock(AtomicI64);

impl SimClock {
    /// A clock that shows `nanos`.
    pub fn new(nanos: i64) -> SimClock {
        SimClock(AtomicI64::new(nanos))
    }

    /// Moves it.
    pub fn move_by(&self, nanos: i64) {
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// How a run differs from the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honesty<'a> {
    /// The disk keeps its promises.
    Honest,
    /// `sync_data` does nothing: the run must find a broken promise.
    LyingSync,
    /// One kind of sync does nothing ([`SimDisk::leave_out`]), as if the program had left it out.
    LeftOut(&'a str),
}

/// What one thing to do is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Append,
    AppendLarge,
    Mark,
    Seal,
    SealIfDue,
    Query,
    CutPower,
    Kill,
    Reopen,
    Error,
    Fill,
    Free,
    Clock,
    Day,
    BackInTime,
    Compact,
    Die,
    Hold,
}

const STEPS: [Step; 18] = [
    Step::Append,
    Step::AppendLarge,
    Step::Mark,
    Step::Seal,
    Step::SealIfDue,
    Step::Query,
    Step::CutPower,
    Step::Kill,
    Step::Reopen,
    Step::Error,
    Step::Fill,
    Step::Free,
    Step::Clock,
    Step::Day,
    Step::BackInTime,
    Step::Compact,
    Step::Die,
    Step::Hold,
];

#[derive(Clone, Debug)]
struct Attempt {
    rows: Vec<Row>,
    marks: Vec<(String, Vec<u8>)>,
}

/// What must be there.
#[derive(Default)]
struct Model {
    /// By `Seq`, from 1.
    rows: Vec<Row>,
    marks: Marks,
    /// Batches that failed together with the writer since the last success: one of them may turn up at the next opening.
    /// What was refused while the writer goes on was cut off again, durably, and may not.
    maybe: Vec<Attempt>,
    /// How many leaves the newest head covers that was given out.
    head: u64,
    next_id: u64,
}

/// A store on a simulated disk.
pub struct World {
    pub disk: SimDisk,
    clock: Arc<SimClock>,
    config: Config,
    form: SegmentForm,
    store: Option<Store>,
    model: Model,
    random: Random,
    seed: u64,
    steps: Vec<String>,
    said: u32,
    /// A snapshot from earlier in this life, and what it held.
    held: Option<(Snapshot, Vec<Row>)>,
    merges: usize,
}

/// What a run left: the same for the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    trace: u64,
    said: u32,
    /// How often segments were merged.
    pub merges: usize,
}

/// Runs one seed; gives the trace, which is the same for the same seed.
pub fn run(seed: u64, step_count: usize, form: SegmentForm, honesty: Honesty<'_>) -> Result<Told, String> {
    let mut world = World::new(seed, form);
    match honesty {
        Honesty::Honest => {}
        Honesty::LyingSync => world.disk.ignore_sync_data(),
        Honesty::LeftOut(place) => world.disk.leave_out(place),
    }
    let done = world.work(step_count);
    done.map(|()| Told { trace: world.disk.trace(), said: world.said, merges: world.merges })
        .map_err(|broken| format!("{broken}\nNHATLE_SEED={seed}, last steps: {}", world.last_steps()))
}

impl World {
    /// An empty disk and the store on it, not opened yet.
    pub fn new(seed: u64, form: SegmentForm) -> World {
        let mut random = Random(seed);
        let config = Config {
            log_file_bytes_max: 300 + random.below(4000),
            memtable_events_max: 3 + usize::try_from(random.below(40)).unwrap_or(0),
            memtable_bytes_max: 500 + random.below(8000),
            backlog_bytes_max: 1 << 20,
            merged_events_max: 20 + random.below(300),
            reserve_bytes: 0,
            subject_keys: false,
        };
        World {
            disk: SimDisk::new(seed ^ 0x5eed),
            clock: Arc::new(SimClock::new(1_700_000_000_000_000_000)),
            config,
            form,
            store: None,
            model: Model::default(),
            random,
            seed,
            steps: Vec::new(),
            said: 0,
            held: None,
            merges: 0,
        }
    }

    fn last_steps(&self) -> String {
        self.steps[self.steps.len().saturating_sub(40)..].join(" ")
    }

    fn say(&mut self, step: String) {
        self.said = crc32c::crc32c_append(self.said, step.as_bytes());
        self.steps.push(step);
    }

    /// So many steps of the seed's dice, then a look at everything.
    pub fn work(&mut self, step_count: usize) -> Result<(), String> {
        // Swarm testing: each seed has its own weights, some of them none.
        let mut weights = STEPS.map(|_| self.random.below(10).saturating_sub(3));
        (weights[0], weights[3], weights[15]) = (weights[0] + 4, weights[3] + 2, weights[15] + 3);
        let total = weights.iter().sum();
        self.reopen()?;
        for _ in 0..step_count {
            let mut at = self.random.below(total);
            let chosen = weights.iter().position(|weight| {
                let is_it = at < *weight;
                at = at.saturating_sub(*weight);
                is_it
            });
            self.step(STEPS[chosen.unwrap_or(0)])?;
            self.note_head();
            if self.disk.is_off() {
                self.say("off".to_owned());
                self.power_back()?;
            }
            if self.disk.is_dead() {
                self.say("dead".to_owned());
                self.kill_and_reopen()?;
            }
        }
        self.disk.calm();
        self.kill_and_reopen()?;
        self.check_damage()
    }

    /// A head that is given out is durable.
    fn note_head(&mut self) {
        let head = self.store.as_ref().and_then(Store::newest_head).map_or(0, |head| head.head.size);
        self.model.head = self.model.head.max(head);
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Append => {
                let count = 1 + self.random.below(5);
                self.append(count, 0)
            }
            Step::AppendLarge => self.append(2, 3000),
            Step::Mark => self.append(0, 0),
            Step::Seal | Step::SealIfDue => {
                let store = self.store()?;
                let sealed = if step == Step::Seal { store.seal() } else { store.seal_if_due() };
                self.say(format!("seal={sealed:?}"));
                match sealed {
                    Err(WriteError::Poisoned) => self.kill_and_reopen(),
                    Err(WriteError::Read(error)) => Err(format!("S1 sealing read damage: {error}")),
                    _ => Ok(()),
                }
            }
            Step::Query => self.agree(),
            Step::CutPower => {
                let at = self.disk.calls() + self.random.below(30);
                self.disk.cut_power_at(at);
                self.say(format!("cut@{at}"));
                Ok(())
            }
            Step::Kill => self.kill_and_reopen(),
            Step::Reopen => {
                self.store = None;
                self.reopen()
            }
            Step::Error => {
                let kind = if self.random.once_in(3) { ErrorKind::StorageFull } else { ErrorKind::Other };
                let at = self.disk.calls() + self.random.below(20);
                self.disk.fail_at(at, kind);
                self.say(format!("{kind:?}@{at}"));
                Ok(())
            }
            Step::Fill => {
                let room = self.random.below(2000);
                self.disk.set_capacity(self.disk.used_bytes() + room);
                self.say(format!("fill+{room}"));
                Ok(())
            }
            Step::Free => {
                self.disk.set_capacity(u64::MAX);
                self.say("free".to_owned());
                Ok(())
            }
            Step::Clock => {
                let forward = i64::try_from(self.random.below(2_000_000_000)).unwrap_or(0);
                self.clock.move_by(forward - 1_000_000_000);
                Ok(())
            }
            Step::Day => {
                self.next_day();
                Ok(())
            }
            Step::BackInTime => {
                let hours = i64::try_from(self.random.below(72)).unwrap_or(0);
                self.clock.move_by(-hours * 3_600_000_000_000);
                Ok(())
            }
            Step::Compact => {
                if self.random.once_in(2) {
                    self.next_day();
                }
                self.compact()
            }
            Step::Die => {
                let at = self.disk.calls() + self.random.below(30);
                self.disk.die_at(at);
                self.say(format!("die@{at}"));
                Ok(())
            }
            Step::Hold => {
                if !self.disk.is_off() && !self.disk.is_dead() {
                    let snapshot = self.store()?.snapshot();
                    self.held = Some((snapshot, self.model.rows.clone()));
                }
                Ok(())
            }
        }
    }

    /// The clock goes on by a day.
    pub fn next_day(&self) {
        self.clock.move_by(86_400_000_000_000);
    }

    /// Merges what there is to merge; now and then it is given up in the middle.
    pub fn compact(&mut self) -> Result<(), String> {
        for _ in 0..4 {
            let patience = if self.random.once_in(5) { self.random.below(4) } else { u64::MAX };
            let mut asked = 0;
            let mut pace = || {
                asked += 1;
                asked <= patience
            };
            let merged = self.store()?.compact(&mut pace);
            self.say(format!("compact={merged:?}"));
            match merged {
                Ok(Some(_)) => self.merges += 1,
                Ok(None) => break,
                Err(WriteError::Read(ReadError::Corrupt(error))) => {
                    return Err(format!("S1 merging read damage: {error}"));
                }
                Err(WriteError::Read(ReadError::Unreadable { file, reason })) => {
                    return Err(format!("S1 merging could not read {file}: {reason}"));
                }
                Err(_) => break,
            }
        }
        self.check_held()
    }

    /// A snapshot taken before is as it was, whatever was sealed and merged since.
    fn check_held(&self) -> Result<(), String> {
        let Some((snapshot, rows)) = &self.held else { return Ok(()) };
        if self.disk.is_off() || self.disk.is_dead() {
            return Ok(());
        }
        match read_all(snapshot) {
            Ok(found) if found == *rows => Ok(()),
            Ok(found) => Err(format!("a held snapshot changed: expected {rows:?}, found {found:?}")),
            Err(error) if error.contains("entity not found") => Err(format!("a held snapshot lost a file: {error}")),
            Err(error) if error.contains("reading segments/") => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub fn store(&self) -> Result<&Store, String> {
        self.store.as_ref().ok_or_else(|| "the store is not open".to_owned())
    }

    /// The power comes back and the store is opened again.
    pub fn power_back(&mut self) -> Result<(), String> {
        self.store = None;
        self.disk.restart();
        self.reopen()
    }

    /// The process was killed and is started again.
    pub fn kill_and_reopen(&mut self) -> Result<(), String> {
        self.store = None;
        self.disk.kill();
        self.reopen()
    }

    /// Appends `count` events, and now and then a mark with them (always where there are no events).
    pub fn append(&mut self, count: u64, padding: usize) -> Result<(), String> {
        let mut attempt = Attempt { rows: Vec::new(), marks: Vec::new() };
        let mut batch = Vec::new();
        for _ in 0..count {
            let dataset = Dataset::ALL[usize::try_from(self.random.below(6)).unwrap_or(0).saturating_sub(3)];
            let id = self.model.next_id;
            self.model.next_id += 1;
            attempt.rows.push((dataset, id));
            batch.push((dataset, event(id, padding)));
        }
        if count == 0 || self.random.once_in(3) {
            let name = ["detected", "sources"][usize::try_from(self.random.below(2)).unwrap_or(0)];
            attempt.marks.push((name.to_owned(), self.model.next_id.to_le_bytes().to_vec()));
            self.model.next_id += 1;
        }
        let marks: Vec<(&str, Vec<u8>)> =
            attempt.marks.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let appended = self.store()?.append(batch, &marks);
        self.say(format!("append({count})={:?}", appended.as_ref().map(|rows| rows.len())));
        match appended {
            Ok(rows) => {
                let first = self.model.rows.len() as u64 + 1;
                if !rows.iter().zip(first..).all(|(stored, seq)| stored.seq == Seq(seq)) {
                    return Err(format!("S3 a batch got Seq {:?}, not {first}", rows.first().map(|one| one.seq)));
                }
                self.model.rows.extend(&attempt.rows);
                self.model.marks.extend(attempt.marks);
                self.model.maybe.clear();
                Ok(())
            }
            Err(error) => {
                if self.store()?.stats().is_poisoned {
                    self.model.maybe.push(attempt);
                }
                match error {
                    WriteError::Poisoned => self.kill_and_reopen(),
                    WriteError::DiskFull { .. } | WriteError::Io { .. } | WriteError::Behind { .. } => Ok(()),
                    other => Err(format!("an append was refused: {other}")),
                }
            }
        }
    }

    /// Opens the store, through whatever faults are set, until it opens; then compares.
    pub fn reopen(&mut self) -> Result<(), String> {
        (self.store, self.held) = (None, None);
        self.disk.set_moment("recovery");
        if self.random.once_in(4) {
            let at = self.disk.calls() + self.random.below(25);
            self.disk.cut_power_at(at);
        }
        let mut faults = 0;
        for attempt in 0.. {
            if attempt > 3 {
                self.disk.calm();
            }
            faults = self.disk.faults();
            let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
            let opened = Store::open_with(disk, self.config.clone(), self.clock.clone(), self.form);
            self.say(format!("open={:?}", opened.as_ref().map(Store::stats)));
            match opened {
                Ok(store) => {
                    store.sign_with(key());
                    self.store = Some(store);
                    break;
                }
                Err(OpenError::Read(ReadError::Io { .. }) | OpenError::Write(_)) if attempt < 8 => {
                    if self.disk.is_off() {
                        self.disk.restart();
                    }
                    self.disk.kill();
                }
                Err(error) => return Err(format!("S1 the store does not open: {error}")),
            }
        }
        self.disk.calm();
        self.disk.set_moment("");
        if self.disk.is_off() {
            return self.power_back();
        }
        if self.disk.is_dead() {
            return self.kill_and_reopen();
        }
        self.adopt()?;
        self.agree()?;
        check_orphans(&self.disk)?;
        self.check_proof()?;
        // What an error kept the log of the proof from doing is done at the next opening.
        let was_quiet = faults == self.disk.faults();
        if self.random.once_in(4) && was_quiet { self.check_twice() } else { Ok(()) }
    }

    /// What is there beyond the acknowledged must be one whole attempt; from now on it is acknowledged.
    fn adopt(&mut self) -> Result<(), String> {
        let found = self.read()?;
        let marks = self.store()?.marks();
        let more = found.get(self.model.rows.len()..).unwrap_or_default();
        let is_it = |attempt: &Attempt| {
            let mut with = self.model.marks.clone();
            with.extend(attempt.marks.iter().cloned());
            attempt.rows == more && with == marks
        };
        if more.is_empty() && marks == self.model.marks {
            self.model.maybe.clear();
            return Ok(());
        }
        let Some(attempt) = self.model.maybe.iter().find(|attempt| is_it(attempt)).cloned() else {
            return Err(format!(
                "S2 there are {more:?} and marks {marks:?} past what was acknowledged ({} events, marks {:?})",
                self.model.rows.len(),
                self.model.marks
            ));
        };
        self.model.rows.extend(attempt.rows);
        self.model.marks.extend(attempt.marks);
        self.model.maybe.clear();
        Ok(())
    }

    /// Everything in the store, in `Seq` order.
    fn read(&self) -> Result<Vec<Row>, String> {
        read_all(&self.store()?.snapshot())
    }

    /// The store holds what the model holds.
    pub fn agree(&self) -> Result<(), String> {
        if self.disk.is_off() || self.disk.is_dead() {
            return Ok(());
        }
        self.check_held()?;
        let found = match self.read() {
            // An error that was ordered; the next look will see.
            Err(error) if error.contains("reading segments/") => return Ok(()),
            found => found?,
        };
        if found != self.model.rows {
            return Err(format!("S1 expected {:?}, found {found:?}", self.model.rows));
        }
        let store = self.store()?;
        if store.marks() != self.model.marks {
            return Err(format!("S1 expected marks {:?}, found {:?}", self.model.marks, store.marks()));
        }
        let stats = store.stats();
        let count = |dataset| self.model.rows.iter().filter(|row| row.0 == dataset).count() as u64;
        if stats.events != Dataset::ALL.map(count) || stats.last_seq != Seq(self.model.rows.len() as u64) {
            return Err(format!("S7 counters do not balance: {stats:?}"));
        }
        Ok(())
    }

    /// What the log of the proof says of the store, and how far its newest head goes.
    fn check_proof(&mut self) -> Result<(), String> {
        let store = self.store()?;
        store.catch_up_proof();
        let (state, head) = (store.proof_state(), store.newest_head().map_or(0, |head| head.head.size));
        if self.disk.is_off() || self.disk.is_dead() {
            return Ok(());
        }
        if let Some(trouble) = state.trouble {
            return Err(format!("S8 the proof is not gone on with: {trouble}"));
        }
        if head < self.model.head {
            return Err(format!("S8 a head over {} leaves was given out, the newest covers {head}", self.model.head));
        }
        self.model.head = head;
        match check::store(&self.disk) {
            Ok(Some(checked)) if !checked.findings.is_empty() => Err(format!("S8 {:?}", checked.findings)),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("S8 {error}")),
        }
    }

    fn check_twice(&mut self) -> Result<(), String> {
        let before = self.disk.image();
        self.store = None;
        self.disk.set_moment("recovery");
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let store = Store::open_with(disk, self.config.clone(), self.clock.clone(), self.form);
        let store = store.map_err(|error| format!("S5 {error}"))?;
        store.sign_with(key());
        self.store = Some(store);
        self.disk.set_moment("");
        self.agree()?;
        check_same(&before, &self.disk)
    }

    /// One flipped bit in a sealed file is named by file and block, and never read as data.
    fn check_damage(&mut self) -> Result<(), String> {
        let findings = crate::verify(&self.disk);
        if !findings.is_empty() {
            return Err(format!("verify found damage in a whole store: {findings:?}"));
        }
        let manifest = Manifest::newest(&self.disk).map_err(|error| error.to_string())?;
        let Some(segment) = manifest.segments.last() else { return Ok(()) };
        let at = usize::try_from(self.random.below(segment.files.len() as u64)).unwrap_or(0);
        let file = &segment.files[at];
        let offset = usize::try_from(self.random.below(file.bytes.max(1))).unwrap_or(0);
        let path = segment.path(&file.name);
        if !self.disk.flip(&path, offset, u32::try_from(self.random.below(8)).unwrap_or(0)) {
            return Ok(());
        }
        let block = (offset / crate::segment::meta::BLOCK_BYTES * crate::segment::meta::BLOCK_BYTES) as u64;
        let findings = crate::verify(&self.disk);
        if !findings.iter().any(|finding| finding.file == path && finding.offset == block) {
            return Err(format!("a flipped bit at {path} {offset} was not named: {findings:?}"));
        }
        if self.form == SegmentForm::Plain && self.read().is_ok() {
            return Err(format!("seed {}: damage at {path} {offset} was read as data", self.seed));
        }
        Ok(())
    }
}
