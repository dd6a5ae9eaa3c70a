//! Writing into the spool: appending, syncing, and what goes when there is no room.
//!
//! In: records and places. Out: frames at the end of a lane's newest file. See [`super::spool`] for the promises.

use std::collections::BTreeMap;

use nhatle_collector::listen::Keep;
use nhatle_collector::wire;
use nhatle_event::{Record, Timestamp};

use super::spool::{FOLDER, LANES, Lane, Lost, RESERVE, Spool, SpoolError, SpoolFile, at, is_full, path};
use super::spool_file::{self, Frame};

/// How many bytes of records one frame holds, unless a single one is longer.
const FRAME_RECORDS_BYTES: usize = 256 << 10;
/// A file is closed at a sixteenth of the bound, within these: what is shed at once is never more.
const FILE_BYTES: (u64, u64) = (64 << 10, 8 << 20);
/// So long a full disk is waited for before anything is shed.
const FULL_GRACE_NS: i64 = 10_000_000_000;
const FULL_FORGOTTEN_NS: i64 = 60_000_000_000;

impl Spool {
    /// Appends records to a lane, and moves places. Durable only after [`Spool::sync`].
    ///
    /// # Errors
    /// Full of what is no less important; what the disk says. Nothing of it counts then.
    pub fn append(&mut self, lane: u32, records: &[Record], keeps: &[Keep], now: Timestamp) -> Result<(), SpoolError> {
        if self.is_poisoned {
            return Err(SpoolError::Poisoned);
        }
        let at_lane = lane as usize - 1;
        let (mut rest, mut frames, mut bytes) = (records, Vec::new(), Vec::new());
        let (mut next, mut order) = (self.lanes[at_lane].next, self.order);
        while !rest.is_empty() || frames.is_empty() {
            let (some, more) = rest.split_at(wire::block_len(rest, FRAME_RECORDS_BYTES));
            rest = more;
            let mut block = Vec::new();
            if !some.is_empty() {
                wire::encode_block(some, &mut block);
            }
            // Places say that all of the records are here, so they stand in the last frame.
            let keeps = if rest.is_empty() { keeps } else { &[] };
            let moved = keeps.iter().map(|keep| (keep.key.as_str(), keep.value.as_str()));
            let moved: BTreeMap<&str, &str> = moved.collect();
            let places = if moved.is_empty() { Vec::new() } else { serde_json::to_vec(&moved).unwrap_or_default() };
            order += 1;
            let frame =
                Frame { first: next, count: u32::try_from(some.len()).unwrap_or(u32::MAX), order, places, block };
            next = frame.end();
            bytes.extend(frame.encode(lane));
            frames.push(frame);
        }
        self.make_room(lane, bytes.len() as u64, now)?;
        // One write, so that a batch is taken whole or not at all.
        loop {
            match self.write(at_lane, frames[0].first, &bytes) {
                Ok(()) => break,
                // The disk has less than the bound. What is on its way to the city frees room soon, and who can wait does;
                // past that, what goes for want of room goes as it would at the bound.
                Err(SpoolError::Io { source, .. }) if is_full(&source) && !self.is_poisoned => {
                    if self.is_newly_full(now) {
                        return Err(SpoolError::Full);
                    }
                    self.shed(lane, now)?;
                }
                Err(error) => return Err(error),
            }
        }
        self.order = order;
        self.lanes[at_lane].next = next;
        frames.iter().for_each(|frame| self.take_places(lane, frame));
        Ok(())
    }

    /// Writes frames at the end of the lane's newest file, or of a new one.
    fn write(&mut self, at_lane: usize, first: u64, bytes: &[u8]) -> Result<(), SpoolError> {
        let file_bytes_max = (self.bytes_max / 16).clamp(FILE_BYTES.0, FILE_BYTES.1);
        let lane = &self.lanes[at_lane];
        let is_past = |file: &SpoolFile| file_bytes_max < file.bytes + bytes.len() as u64 && file.first < lane.next;
        if lane.active.is_none() || lane.files.back().is_none_or(is_past) {
            self.begin_file(at_lane, first)?;
        }
        let lane = &mut self.lanes[at_lane];
        let (Some(file), Some(active)) = (lane.files.back_mut(), lane.active.as_mut()) else {
            return Err(SpoolError::Poisoned);
        };
        if let Err(source) = active.write_at(file.bytes, bytes) {
            // Part of it may be there; the next frame stands where this one would.
            self.is_poisoned = active.truncate(file.bytes).is_err();
            return Err(SpoolError::Io { path: path(lane.number, file.first), source });
        }
        file.bytes += bytes.len() as u64;
        lane.is_dirty = true;
        Ok(())
    }

    /// Begins a lane's next file: its first frame holds all places of the lane, so that older files may go.
    fn begin_file(&mut self, at_lane: usize, first: u64) -> Result<(), SpoolError> {
        self.sync_lane(at_lane)?;
        let lane = &mut self.lanes[at_lane];
        lane.active = None;
        let path = path(lane.number, first);
        let mine = self.places.iter().filter(|(_, (_, owner, _))| *owner == lane.number);
        let mine: Vec<(&String, &(u64, u32, String))> = mine.collect();
        let order = mine.iter().map(|(_, (order, ..))| *order).max().unwrap_or(0);
        let places: BTreeMap<&String, &String> = mine.into_iter().map(|(key, (_, _, value))| (key, value)).collect();
        let places = serde_json::to_vec(&places).unwrap_or_default();
        let snapshot = Frame { first, count: 0, order, places, block: Vec::new() };
        let mut bytes = spool_file::header(lane.number, first).to_vec();
        bytes.extend(snapshot.encode(lane.number));
        let made = self.disk.create(&path).and_then(|mut file| {
            file.write_at(0, &bytes)?;
            file.sync_data()?;
            Ok(file)
        });
        let file = match made {
            Ok(file) => file,
            Err(source) => {
                // What stays of it has no whole header or no record, which recovery knows.
                drop(self.disk.remove(&path));
                return Err(SpoolError::Io { path, source });
            }
        };
        self.disk.sync_folder(FOLDER).map_err(at(FOLDER))?;
        lane.files.push_back(SpoolFile { first, bytes: bytes.len() as u64 });
        lane.active = Some(file);
        Ok(())
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// What the disk says; then the spool is poisoned.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        (0..LANES).try_for_each(|at_lane| self.sync_lane(at_lane))
    }

    fn sync_lane(&mut self, at_lane: usize) -> Result<(), SpoolError> {
        if self.is_poisoned {
            return Err(SpoolError::Poisoned);
        }
        let lane = &mut self.lanes[at_lane];
        if !lane.is_dirty {
            return Ok(());
        }
        if let Some(active) = lane.active.as_mut()
            && let Err(source) = active.sync_data()
        {
            self.is_poisoned = true;
            let first = lane.files.back().map_or(0, |file| file.first);
            return Err(SpoolError::Io { path: path(lane.number, first), source });
        }
        lane.is_dirty = false;
        lane.synced = lane.next;
        Ok(())
    }

    /// The disk is full for less than [`FULL_GRACE_NS`]. Shedding gives room to a few writes, so it is full until it was not
    /// found so for [`FULL_FORGOTTEN_NS`].
    fn is_newly_full(&mut self, now: Timestamp) -> bool {
        // A clock that was set back begins anew.
        let known = self.full.filter(|(_, last)| (0..FULL_FORGOTTEN_NS).contains(&now.since(*last)));
        let since = known.map_or(now, |(since, _)| since);
        self.full = Some((since, now));
        now.since(since) < FULL_GRACE_NS
    }

    fn make_room(&mut self, lane: u32, bytes: u64, now: Timestamp) -> Result<(), SpoolError> {
        while self.bytes_max < self.bytes() + bytes {
            self.shed(lane, now)?;
        }
        Ok(())
    }

    /// Lets the oldest file of the lowest lane go, for room in `lane`.
    fn shed(&mut self, lane: u32, now: Timestamp) -> Result<(), SpoolError> {
        let holds = |lane: &Lane| lane.files.iter().any(|file| file.first < lane.next);
        let lowest = self.lanes.iter().rposition(holds).filter(|at| lane as usize <= at + 1);
        let Some(at_lane) = lowest else { return Err(SpoolError::Full) };
        if self.lanes[at_lane].files.len() == 1 {
            // The newest file holds the places, so another one takes its turn first.
            let next = self.lanes[at_lane].next;
            match self.begin_file(at_lane, next) {
                Err(SpoolError::Io { source, .. }) if is_full(&source) => {
                    self.disk.remove(RESERVE).map_err(at(RESERVE))?;
                    self.begin_file(at_lane, next)?;
                }
                begun => begun?,
            }
        }
        let (number, last) = (self.lanes[at_lane].number, self.lanes[at_lane].files[1].first - 1);
        let first = self.state.lanes[at_lane].passed + 1;
        if first <= last {
            self.lose(number, first, last, Lost::Full, now);
            self.shed[at_lane] += last + 1 - first;
        }
        self.state.lanes[at_lane].passed = self.state.lanes[at_lane].passed.max(last);
        self.keep_state()?;
        self.remove_passed(at_lane)
    }
}
