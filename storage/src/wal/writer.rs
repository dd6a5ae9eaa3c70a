//! Writes the log: appends one frame at a time, syncs it, begins a new file when one is full.
//!
//! Promise: after `Ok` from [`LogWriter::append`] the frame survives a power cut. After a failed write
//! the file is cut back and the same frame may be tried again (the disk was full). After a failed sync
//! nobody knows what is on disk, so the writer takes nothing more ([`WriteError::Poisoned`]).

use std::sync::Arc;

use nhatle_event::{Seq, Timestamp};
use sha2::{Digest, Sha256};

use super::{FOLDER, HEADER_BYTES, Header, path};
use crate::disk::{Disk, DiskFile};
use crate::error::WriteError;

/// The one writer of the log.
pub struct LogWriter {
    disk: Arc<dyn Disk>,
    active: Option<Active>,
    next_number: u64,
    previous_bytes: u64,
    /// Stirred with every frame; the next file's salt comes from it.
    stirred: [u8; 32],
    is_poisoned: bool,
    /// Bytes of frames written since the writer was made.
    written_bytes: u64,
}

struct Active {
    file: Box<dyn DiskFile>,
    path: String,
    header: Header,
    bytes: u64,
}

impl LogWriter {
    /// A writer whose first file is `next_number`, after a file of `previous_bytes`. Nothing is written
    /// before the first append.
    pub fn new(disk: Arc<dyn Disk>, next_number: u64, previous_bytes: u64) -> LogWriter {
        LogWriter {
            disk,
            active: None,
            next_number,
            previous_bytes,
            stirred: [0; 32],
            is_poisoned: false,
            written_bytes: 0,
        }
    }

    /// Appends a frame (from [`super::encode_frame`]) and makes it durable. A new file is begun when
    /// the present one would pass `file_bytes_max`.
    ///
    /// # Errors
    /// What the disk says, by name where it is full; nothing of the frame counts then.
    pub fn append(
        &mut self,
        seq: Seq,
        committed: Timestamp,
        frame: &mut [u8],
        file_bytes_max: u64,
    ) -> Result<(), WriteError> {
        if self.is_poisoned {
            return Err(WriteError::Poisoned);
        }
        let is_full = |active: &Active| active.bytes.saturating_add(frame.len() as u64) > file_bytes_max;
        if self.active.as_ref().is_some_and(is_full) {
            self.close();
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin(seq, committed)?,
        };
        super::set_committed(frame, committed);
        active.header.close_frame(seq, frame);
        self.stir(frame, committed);
        let written = self.write(&mut active, frame);
        self.active = Some(active);
        written
    }

    /// Closes the present file, so that the next frame begins a new one; a file without a frame stays.
    /// Returns the number of the file the next frame goes to.
    pub fn close(&mut self) -> u64 {
        if let Some(active) = self.active.take_if(|active| active.bytes > HEADER_BYTES as u64) {
            self.previous_bytes = active.bytes;
            self.next_number = active.header.number + 1;
        }
        self.active.as_ref().map_or(self.next_number, |active| active.header.number)
    }

    /// A sync failed; nothing more is taken.
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }

    /// Bytes of frames written since the writer was made.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Writes a frame at the end of the file and syncs it.
    fn write(&mut self, active: &mut Active, frame: &[u8]) -> Result<(), WriteError> {
        if let Err(error) = active.file.write_at(active.bytes, frame) {
            // Part of it may be there. Cut back, so that the next frame stands where this one would.
            let undone = active.file.truncate(active.bytes).and_then(|()| active.file.sync_data());
            self.is_poisoned = undone.is_err();
            return Err(WriteError::io(&active.path, error));
        }
        if let Err(error) = active.file.sync_data() {
            self.is_poisoned = true;
            return Err(WriteError::io(&active.path, error));
        }
        active.bytes += frame.len() as u64;
        self.written_bytes += frame.len() as u64;
        Ok(())
    }

    /// Begins the next file: header, synced, then its name, synced, before any frame.
    fn begin(&mut self, first_seq: Seq, now: Timestamp) -> Result<Active, WriteError> {
        let number = self.next_number;
        let path = path(number);
        self.stir(&number.to_le_bytes(), now);
        let salt = u64::from_le_bytes(std::array::from_fn(|at| self.stirred[at]));
        let header = Header { number, first_seq, salt, previous_bytes: self.previous_bytes };
        let written = self.disk.create(&path).and_then(|mut file| {
            file.write_at(0, &header.encode())?;
            Ok(file)
        });
        let mut file = match written {
            Ok(file) => file,
            Err(error) => {
                // The same number is tried again; a left-over is emptied then, or deleted by recovery.
                drop(self.disk.remove(&path));
                return Err(WriteError::io(&path, error));
            }
        };
        if let Err(error) = file.sync_data().and_then(|()| self.disk.sync_folder(FOLDER)) {
            self.is_poisoned = true;
            return Err(WriteError::io(&path, error));
        }
        Ok(Active { file, path, header, bytes: HEADER_BYTES as u64 })
    }

    /// Salts need not be secret for long, only unknown to whoever wrote the events before them: they
    /// hang on every frame and commit time so far, to the nanosecond.
    fn stir(&mut self, frame: &[u8], now: Timestamp) {
        let mut hash = Sha256::new();
        hash.update(self.stirred);
        hash.update(now.0.to_le_bytes());
        hash.update(&frame[..frame.len().min(HEADER_BYTES)]);
        self.stirred = hash.finalize().into();
    }
}
