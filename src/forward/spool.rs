//! The spool: what the forwarder has taken and the city has not yet said to hold.
//!
//! In: batches of records, each of a lane (its priority), and the places of its inputs. Out: the same records by number,
//! lane by lane, until they are acknowledged. A lane numbers its records from 1 on, without gaps, under the spool's epoch.
//!
//! Promises, tested on a simulated disk (`spool_tests.rs`): after [`Spool::sync`] what was appended survives a power cut,
//! its places with it; what was not shed is read in order, each number with the same bytes for ever; places say no more
//! than what is there. Bound: `bytes_max`. When it is reached the oldest file of the lowest lane goes, and its numbers
//! become a [`Gap`] before the file does; the highest lane loses its oldest last. Failure: a damaged file gives gaps, never
//! a panic; a failed sync poisons the spool (the kernel may have dropped pages), and it has to be opened again.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use nhatle_event::Timestamp;
use nhatle_storage::{Disk, DiskFile};
use serde::{Deserialize, Serialize};

use super::losses::{Losses, Report};
use super::spool_file::{self, Frame, HEADER_BYTES, Piece};
use super::spool_read::Cursor;

/// The folder of the files.
pub(super) const FOLDER: &str = "spool";
/// What is kept beside the files.
const STATE: &str = "spool.json";
/// Room that is given up when the disk is full, so that what has to be written down still can be.
pub(super) const RESERVE: &str = "spool.reserve";
const RESERVE_BYTES: usize = 128 << 10;
/// How many priorities there are: 1 is the highest.
pub const LANES: usize = 3;
/// Gaps the city was not told yet; past so many, neighbors of one lane become one, and the range says more than is lost.
const GAPS_MAX: usize = 512;

/// Why records went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// The spool was full.
    Full,
    /// A file of the spool is damaged.
    Damaged,
    /// The city does not take a record so long.
    TooLarge,
}

/// Numbers that will not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Which lane, 1 to [`LANES`].
    pub lane: u32,
    /// The first number.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// Why.
    pub reason: Lost,
    /// When, nanoseconds.
    pub at_ns: i64,
}

/// Why the spool did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is no room, and nothing that may go for this.
    #[error("the spool is full")]
    Full,
    /// A sync failed, or what could not be written could not be undone; the spool has to be opened again.
    #[error("the spool has to be opened again")]
    Poisoned,
    /// What the disk says.
    #[error("spool file {path}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The state is none of ours.
    #[error("{STATE} cannot be read: {reason}; move the spool folder away to begin anew")]
    State {
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LaneState {
    /// Up to here everything is acknowledged, or gone.
    pub(super) passed: u64,
    /// The first number of the present epoch.
    pub(super) begins_at: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) epoch: String,
    pub(super) lanes: [LaneState; LANES],
    pub(super) gaps: Vec<Gap>,
    /// What inputs dropped; not there in a spool of before.
    #[serde(default)]
    pub(super) losses: Losses,
}

pub(super) struct SpoolFile {
    pub(super) first: u64,
    pub(super) bytes: u64,
}

pub(super) struct Lane {
    /// 1 to [`LANES`].
    pub(super) number: u32,
    pub(super) files: VecDeque<SpoolFile>,
    pub(super) active: Option<Box<dyn DiskFile>>,
    /// The next record's number.
    pub(super) next: u64,
    /// The number behind the last one that is synced.
    pub(super) synced: u64,
    pub(super) is_dirty: bool,
    pub(super) cursor: Option<Cursor>,
}

/// Frames to be sent: consecutive numbers of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which lane.
    pub lane: u32,
    /// The first number; the next one to come where there is no block.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The frames' blocks.
    pub blocks: Vec<Vec<u8>>,
    /// For each block its last number and its checksum: they tell two histories of the same numbers apart.
    pub ends: Vec<(u64, u32)>,
    /// The number behind the last one that was durable here at that moment.
    pub assigned: u64,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Records waiting.
    pub records: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// The bound.
    pub bytes_max: u64,
}

/// What the city's answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// What was sent, or part of it, is durable there.
    Moved,
    /// The city holds other records under these numbers: the spool is an older copy of itself. A new epoch has begun.
    Forked,
}

/// See the module.
pub struct Spool {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) bytes_max: u64,
    pub(super) lanes: [Lane; LANES],
    pub(super) state: State,
    pub(super) places: BTreeMap<String, (u64, u32, String)>,
    pub(super) order: u64,
    pub(super) is_poisoned: bool,
    /// Records shed since the start, by lane.
    pub shed: [u64; LANES],
    /// Since when the disk has no room, and when that was found last.
    pub(super) full: Option<(Timestamp, Timestamp)>,
}

pub(super) fn at(path: &str) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { path, source }
}

pub(super) fn path(lane: u32, first: u64) -> String {
    format!("{FOLDER}/{lane}-{first:020}.spool")
}

impl Spool {
    /// Opens the spool on a disk, or makes one there with this epoch.
    ///
    /// # Errors
    /// What the disk says; a state that cannot be read. Damaged files are no error: they become gaps.
    pub fn open(disk: Arc<dyn Disk>, bytes_max: u64, new_epoch: &str) -> Result<Spool, SpoolError> {
        disk.create_folder(FOLDER).map_err(at(FOLDER))?;
        let kept = match disk.read(STATE) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(STATE)(error)),
        };
        let is_new = kept.is_none();
        let state = match kept {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| SpoolError::State { reason: error.to_string() })?
            }
            None => State { epoch: new_epoch.to_owned(), ..State::default() },
        };
        let lane = |number: usize| Lane {
            number: number as u32,
            files: VecDeque::new(),
            active: None,
            next: 1,
            synced: 1,
            is_dirty: false,
            cursor: None,
        };
        let lanes = [lane(1), lane(2), lane(3)];
        let (places, shed) = (BTreeMap::new(), [0; LANES]);
        let mut spool = Spool { disk, bytes_max, lanes, state, places, order: 0, is_poisoned: false, shed, full: None };
        if is_new {
            // Before the first record: an epoch that is forgotten would be taken for another one.
            spool.keep_state()?;
        }
        spool.recover()?;
        spool.reserve();
        Ok(spool)
    }

    /// Finds the files, mends the newest of each lane, and takes up the places.
    fn recover(&mut self) -> Result<(), SpoolError> {
        let mut found: [Vec<u64>; LANES] = Default::default();
        for entry in self.disk.list(FOLDER).map_err(at(FOLDER))? {
            let name = entry.name.strip_suffix(".spool").and_then(|name| name.split_once('-'));
            let numbers =
                name.and_then(|(lane, first)| Some((lane.parse::<usize>().ok()?, first.parse::<u64>().ok()?)));
            if let Some((lane, first)) = numbers
                && (1..=LANES).contains(&lane)
            {
                found[lane - 1].push(first);
            }
        }
        for (at_lane, mut firsts) in found.into_iter().enumerate() {
            let number = self.lanes[at_lane].number;
            firsts.sort_unstable();
            self.lanes[at_lane].next = self.state.lanes[at_lane].passed + 1;
            let mut newest = firsts.pop();
            while let Some(first) = newest
                && !self.recover_newest(at_lane, first)?
            {
                newest = firsts.pop();
            }
            firsts.extend(newest);
            for (place, first) in firsts.iter().enumerate().rev().skip(1) {
                let path = path(number, *first);
                // All of it is behind what was passed: shed or acknowledged, and the deleting was cut off.
                if firsts[place + 1] <= self.state.lanes[at_lane].passed + 1 {
                    self.disk.remove(&path).map_err(at(&path))?;
                } else {
                    let bytes = self.disk.length(&path).map_err(at(&path))?.unwrap_or(0);
                    self.lanes[at_lane].files.push_front(SpoolFile { first: *first, bytes });
                }
            }
            let lane = &mut self.lanes[at_lane];
            lane.next = lane.next.max(self.state.lanes[at_lane].passed + 1);
            lane.synced = lane.next;
        }
        Ok(())
    }

    /// Mends a lane's newest file and takes up its places. False where it never was one: its header is not whole.
    fn recover_newest(&mut self, at_lane: usize, first: u64) -> Result<bool, SpoolError> {
        let number = self.lanes[at_lane].number;
        let path = path(number, first);
        let bytes = self.disk.read(&path).map_err(at(&path))?;
        if !spool_file::is_header(&bytes, number, first) {
            // Never finished, or damaged: what it held has numbers from `first` on, and nobody knows how many.
            self.lanes[at_lane].next = self.lanes[at_lane].next.max(first);
            self.disk.remove(&path).map_err(at(&path))?;
            return Ok(false);
        }
        if !matches!(spool_file::piece_at(&bytes, HEADER_BYTES, number), Some(Piece::Frame(..))) {
            // Without its first frame it says nothing about places: the file before it does, where it is there.
            self.take_places_before(number, first)?;
        }
        let (mut end, mut next, mut last_frame) = (HEADER_BYTES, first, None);
        while let Some(piece) = spool_file::piece_at(&bytes, end, number) {
            match piece {
                Piece::Frame(frame, behind) => {
                    // What is missing before it is written down when it is read.
                    next = next.max(frame.end());
                    self.take_places(number, &frame);
                    last_frame = Some(end..behind);
                    end = behind;
                }
                Piece::Damage(behind) => end = behind,
                Piece::Torn => break,
            }
        }
        if last_frame.is_none() {
            self.lanes[at_lane].next = self.lanes[at_lane].next.max(first);
            self.disk.remove(&path).map_err(at(&path))?;
            return Ok(false);
        }
        // A killed process leaves bytes that no sync has seen: what is shown to the city must not go by a power cut.
        let mut file = self.disk.open(&path).map_err(at(&path))?;
        let mended = file.truncate(end as u64).and_then(|()| match last_frame {
            Some(last) => file.write_at(last.start as u64, &bytes[last]),
            None => Ok(()),
        });
        mended.and_then(|()| file.sync_data()).map_err(at(&path))?;
        self.disk.sync_folder(FOLDER).map_err(at(FOLDER))?;
        let lane = &mut self.lanes[at_lane];
        lane.next = lane.next.max(next);
        lane.files.push_back(SpoolFile { first, bytes: end as u64 });
        lane.active = Some(file);
        Ok(true)
    }

    /// Takes up the places of the file before the one that begins with `first`.
    fn take_places_before(&mut self, number: u32, first: u64) -> Result<(), SpoolError> {
        let entries = self.disk.list(FOLDER).map_err(at(FOLDER))?;
        let newest = path(number, first);
        let names = entries.iter().map(|entry| format!("{FOLDER}/{}", entry.name));
        let before = names.filter(|name| name.starts_with(&format!("{FOLDER}/{number}-")) && *name < newest).max();
        let Some(before) = before else { return Ok(()) };
        let bytes = self.disk.read(&before).map_err(at(&before))?;
        let mut offset = HEADER_BYTES;
        while let Some(piece) = spool_file::piece_at(&bytes, offset, number) {
            match piece {
                Piece::Frame(frame, behind) => {
                    self.take_places(number, &frame);
                    offset = behind;
                }
                Piece::Damage(behind) => offset = behind,
                Piece::Torn => break,
            }
        }
        Ok(())
    }

    pub(super) fn take_places(&mut self, lane: u32, frame: &Frame) {
        self.order = self.order.max(frame.order);
        let places: BTreeMap<String, String> = serde_json::from_slice(&frame.places).unwrap_or_default();
        for (key, value) in places {
            match self.places.get(&key) {
                Some((order, ..)) if frame.order < *order => {}
                _ => drop(self.places.insert(key, (frame.order, lane, value))),
            }
        }
    }

    /// The epoch that numbers are counted under.
    pub fn epoch(&self) -> &str {
        &self.state.epoch
    }

    /// The first number of the epoch in a lane.
    pub fn begins_at(&self, lane: u32) -> u64 {
        self.state.lanes[lane as usize - 1].begins_at.max(1)
    }

    /// The place kept under a key.
    pub fn place(&self, key: &str) -> Option<String> {
        self.places.get(key).map(|(_, _, value)| value.clone()).filter(|value| !value.is_empty())
    }

    /// How full it is.
    pub fn depth(&self) -> Depth {
        let waiting = |(lane, state): (&Lane, &LaneState)| lane.next.saturating_sub(state.passed + 1);
        Depth {
            records: self.lanes.iter().zip(&self.state.lanes).map(waiting).sum(),
            bytes: self.bytes(),
            bytes_max: self.bytes_max,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lanes.iter().flat_map(|lane| &lane.files).map(|file| file.bytes).sum()
    }

    /// Says that numbers will not come. Not kept yet.
    pub(super) fn lose(&mut self, lane: u32, first: u64, last: u64, reason: Lost, now: Timestamp) {
        let first = first.max(self.state.lanes[lane as usize - 1].passed + 1);
        if last < first {
            return;
        }
        let gaps = &mut self.state.gaps;
        let near = gaps.iter_mut().rev().find(|gap| gap.lane == lane && gap.reason == reason && gap.last + 1 == first);
        match near {
            Some(gap) => gap.last = last,
            None => gaps.push(Gap { lane, first, last, reason, at_ns: now.0 }),
        }
        if GAPS_MAX < gaps.len()
            && let Some(oldest) = gaps.first().copied()
            && let Some(other) = gaps.iter().skip(1).position(|gap| gap.lane == oldest.lane)
        {
            let other = gaps.remove(other + 1);
            gaps[0].last = gaps[0].last.max(other.last);
            gaps[0].first = gaps[0].first.min(other.first);
        }
    }

    /// What the city was not told yet.
    pub fn gaps(&self) -> &[Gap] {
        &self.state.gaps
    }

    /// The city keeps these now.
    ///
    /// # Errors
    /// What the disk says.
    pub fn gaps_told(&mut self, told: &[Gap]) -> Result<(), SpoolError> {
        if told.is_empty() {
            return Ok(());
        }
        self.state.gaps.retain(|gap| !told.contains(gap));
        self.keep_state()
    }

    /// What inputs dropped and the city does not hold yet. Kept with the next [`Spool::keep_state`].
    pub fn losses(&mut self) -> &mut Losses {
        &mut self.state.losses
    }

    /// The losses to tell the city; a report of this id where there is none yet, written down before anybody is told.
    ///
    /// # Errors
    /// What the disk says.
    pub fn report(&mut self, id: u64) -> Result<Option<Report>, SpoolError> {
        let (report, is_new) = self.state.losses.report(id);
        let report = report.cloned();
        if is_new {
            self.keep_state()?;
        }
        Ok(report)
    }

    /// The city holds this report now.
    ///
    /// # Errors
    /// What the disk says.
    pub fn report_taken(&mut self, id: u64) -> Result<(), SpoolError> {
        if self.state.losses.is_taken(id) {
            self.keep_state()?;
        }
        Ok(())
    }

    /// Begins a new epoch: what is not acknowledged goes under it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn fork(&mut self, new_epoch: &str) -> Result<(), SpoolError> {
        self.state.epoch = new_epoch.to_owned();
        for state in &mut self.state.lanes {
            state.begins_at = state.passed + 1;
        }
        self.keep_state()
    }

    /// Numbers up to here are not to be sent: the city does not take them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn give_up(&mut self, lane: u32, last: u64, now: Timestamp) -> Result<(), SpoolError> {
        let at_lane = lane as usize - 1;
        let first = self.state.lanes[at_lane].passed + 1;
        self.lose(lane, first, last, Lost::TooLarge, now);
        self.pass(at_lane, last)?;
        self.remove_passed(at_lane)
    }

    /// Deletes files all of whose records are passed; the newest stays, for its places.
    pub(super) fn remove_passed(&mut self, at_lane: usize) -> Result<(), SpoolError> {
        let passed = self.state.lanes[at_lane].passed;
        let lane = &mut self.lanes[at_lane];
        while lane.files.get(1).is_some_and(|next| next.first <= passed + 1) {
            if let Some(file) = lane.files.pop_front() {
                let path = path(lane.number, file.first);
                self.disk.remove(&path).map_err(at(&path))?;
            }
        }
        self.reserve();
        Ok(())
    }

    /// Writes down up to where things were acknowledged.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_state(&self) -> Result<(), SpoolError> {
        let json = serde_json::to_vec(&self.state).expect("numbers and texts are JSON");
        let written = match self.disk.replace(STATE, &json) {
            Err(error) if is_full(&error) => {
                self.disk.remove(RESERVE).map_err(at(RESERVE))?;
                self.disk.replace(STATE, &json)
            }
            written => written,
        };
        written.map_err(at(STATE))
    }

    /// Takes room for later, where there is none yet and the disk has it.
    fn reserve(&self) {
        if matches!(self.disk.length(RESERVE), Ok(None)) {
            // A disk without room for it is one that sheds already.
            drop(self.disk.replace(RESERVE, &vec![b' '; RESERVE_BYTES]));
        }
    }
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
