//! Reading the spool: what is to be sent next, and what the city's answer to it means.
//!
//! In: a lane, bounds, answers. Out: [`Ready`] frames of consecutive numbers. See [`super::spool`] for the promises.

use std::io;

use nhatle_event::Timestamp;

use super::spool::{Acknowledged, Lost, Ready, Spool, SpoolError, at, path};
use super::spool_file::{self, Frame, HEADER_BYTES, Piece};

/// Where reading goes on, so that a file is not read from its front for each frame.
pub(super) struct Cursor {
    /// The first number of the file.
    pub(super) file: u64,
    /// The number whose frame begins at `offset`.
    pub(super) number: u64,
    pub(super) offset: usize,
    /// Bytes of the file, and where in it they begin.
    pub(super) bytes: Vec<u8>,
    pub(super) base: usize,
}

impl Spool {
    /// The next frames of a lane: at least one where there is one, at most so many bytes and records.
    ///
    /// # Errors
    /// What the disk says. Damage is none: it becomes a gap.
    pub fn read(&mut self, lane: u32, bytes_max: usize, records_max: u64, now: Timestamp) -> Result<Ready, SpoolError> {
        let at_lane = lane as usize - 1;
        let first = self.state.lanes[at_lane].passed + 1;
        let assigned = self.lanes[at_lane].synced;
        let mut ready = Ready { lane, first, count: 0, blocks: Vec::new(), ends: Vec::new(), assigned };
        let mut bytes = 0;
        while ready.first + ready.count < assigned {
            let wanted = ready.first + ready.count;
            let Some(frame) = self.frame_of(at_lane, wanted, now)? else { break };
            if frame.first > wanted || frame.end() <= wanted {
                // Numbers are missing here: what comes behind them is another request's.
                if ready.count > 0 {
                    break;
                }
                ready.first = frame.first.max(wanted);
            }
            let is_more = bytes > 0
                && (bytes_max < bytes + frame.block.len() || records_max < ready.count + u64::from(frame.count));
            if is_more {
                break;
            }
            bytes += frame.block.len();
            ready.first = if ready.count == 0 { frame.first } else { ready.first };
            ready.count += u64::from(frame.count);
            ready.ends.push((frame.end() - 1, crc32c::crc32c(&frame.block)));
            ready.blocks.push(frame.block);
        }
        Ok(ready)
    }

    /// The frame with this number, or the next one where it is lost (and that is written down). `None` where no file
    /// has one.
    fn frame_of(&mut self, at_lane: usize, mut wanted: u64, now: Timestamp) -> Result<Option<Frame>, SpoolError> {
        let number = self.lanes[at_lane].number;
        loop {
            let lane = &mut self.lanes[at_lane];
            let at_file = lane.files.iter().rposition(|file| file.first <= wanted).unwrap_or(0);
            let Some(file) = lane.files.get(at_file) else { return Ok(None) };
            let (first, length) = (file.first, usize::try_from(file.bytes).unwrap_or(usize::MAX));
            let following = lane.files.get(at_file + 1).map(|file| file.first);
            let kept = lane.cursor.take().filter(|cursor| cursor.file == first && cursor.number <= wanted);
            let fresh = Cursor { file: first, number: first, offset: 0, bytes: Vec::new(), base: 0 };
            let mut cursor = kept.unwrap_or(fresh);
            if cursor.base + cursor.bytes.len() < length && cursor.base + cursor.bytes.len() <= cursor.offset {
                cursor.base = cursor.offset;
                cursor.bytes = self.bytes_of(&path(number, first), cursor.base, length)?;
            }
            if cursor.offset == 0 && spool_file::is_header(&cursor.bytes, number, first) {
                cursor.offset = HEADER_BYTES;
            }
            let mut found = None;
            while let Some(piece) = spool_file::piece_at(&cursor.bytes, cursor.offset - cursor.base, number) {
                match piece {
                    Piece::Frame(frame, behind) => {
                        cursor.offset = cursor.base + behind;
                        if wanted < frame.end() {
                            cursor.number = frame.end();
                            found = Some(frame);
                            break;
                        }
                    }
                    Piece::Damage(behind) => cursor.offset = cursor.base + behind,
                    Piece::Torn => break,
                }
            }
            let is_grown = cursor.base + cursor.bytes.len() < length;
            if let Some(frame) = found {
                self.lanes[at_lane].cursor = Some(cursor);
                if wanted < frame.first {
                    self.lose(number, wanted, frame.first - 1, Lost::Damaged, now);
                    self.pass(at_lane, frame.first - 1)?;
                }
                return Ok(Some(frame));
            }
            if is_grown {
                // What was read is not all of it: read on from here.
                cursor.bytes.clear();
                self.lanes[at_lane].cursor = Some(cursor);
                continue;
            }
            // Nothing more of this file is to be read.
            let end = following.unwrap_or(self.lanes[at_lane].synced);
            self.lose(number, wanted, end - 1, Lost::Damaged, now);
            self.pass(at_lane, end - 1)?;
            match following {
                Some(following) => wanted = following,
                None => return Ok(None),
            }
        }
    }

    /// Bytes of a file from an offset on; none of a file that is gone or shorter than it should be.
    fn bytes_of(&self, path: &str, offset: usize, end: usize) -> Result<Vec<u8>, SpoolError> {
        match self.disk.read_range(path, offset as u64, end.saturating_sub(offset)) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![0; end.saturating_sub(offset)]),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                // Cut short by somebody: what there is, and zeros, which are no frame.
                let mut bytes = self.disk.read(path).map_err(at(path))?.split_off(offset.min(end));
                bytes.resize(end.saturating_sub(offset), 0);
                Ok(bytes)
            }
            Err(error) => Err(at(path)(error)),
        }
    }

    pub(super) fn pass(&mut self, at_lane: usize, last: u64) -> Result<(), SpoolError> {
        let passed = &mut self.state.lanes[at_lane].passed;
        *passed = (*passed).max(last);
        self.keep_state()
    }

    /// Takes the city's answer to what was sent: up to `durable_to` it holds the lane's records, the last of which has
    /// this checksum, where it knows one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn acknowledge(
        &mut self,
        sent: &Ready,
        durable_to: u64,
        crc: Option<u32>,
        new_epoch: &str,
        now: Timestamp,
    ) -> Result<Acknowledged, SpoolError> {
        let at_lane = sent.lane as usize - 1;
        let last = (sent.first + sent.count).saturating_sub(1);
        let mut known = sent.ends.iter().find(|(number, _)| *number == durable_to).map(|(_, crc)| *crc);
        if last < durable_to && durable_to < sent.assigned {
            // It holds more than was sent now, from before a restart: only if it is the same.
            let mut wanted = last + 1;
            while wanted <= durable_to
                && let Some(frame) = self.frame_of(at_lane, wanted, now)?
            {
                wanted = frame.end();
                known = (frame.end() == durable_to + 1).then(|| crc32c::crc32c(&frame.block));
            }
        }
        let is_other = crc.is_some() && known.is_some() && crc != known;
        if sent.assigned <= durable_to || is_other {
            self.fork(new_epoch)?;
            return Ok(Acknowledged::Forked);
        }
        let before = self.state.lanes[at_lane].passed;
        let passed = before.max(durable_to.min(last));
        self.state.lanes[at_lane].passed = passed;
        for gap in &mut self.state.gaps {
            // Shed while it was on its way, and it arrived.
            if gap.lane == sent.lane && sent.first <= gap.first && gap.first <= durable_to.min(last) {
                gap.first = durable_to.min(last).min(gap.last) + 1;
            }
        }
        self.state.gaps.retain(|gap| gap.first <= gap.last);
        let lane = &self.lanes[at_lane];
        if lane.files.get(1).is_some_and(|next| next.first <= passed + 1) {
            self.keep_state()?;
            self.remove_passed(at_lane)?;
        }
        Ok(Acknowledged::Moved)
    }
}
