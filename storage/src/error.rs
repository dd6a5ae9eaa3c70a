//! What can go wrong between nhatle and its disk: [`ReadError`], [`WriteError`], [`OpenError`], and
//! [`Corrupt`], which names the file and the byte. All are a bad world; bad input never gets here.

use std::io;

pub use crate::query::control::Stop;

/// Bytes that are not what was written, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}: expected {expected}, found {found}")]
pub struct Corrupt {
    /// The path below the store's folder.
    pub file: String,
    /// Where, counted from the front of the file.
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Why something could not be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The disk gave an error.
    #[error("reading {file}")]
    Io {
        /// The path below the store's folder.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
    /// The bytes are not those that were written.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// Whole bytes that this version cannot read (a newer format, a column of another type).
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The path below the store's folder.
        file: String,
        /// What this version does not know.
        reason: String,
    },
    /// Nothing is wrong with the store: whoever reads was told to stop.
    #[error("the search ended: {0}")]
    Stopped(Stop),
}

impl ReadError {
    /// The disk's error on `file`.
    pub fn io(file: &str, source: io::Error) -> ReadError {
        ReadError::Io { file: file.to_owned(), source }
    }
}

/// Why something was not written. Nothing of it is acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// No space is left. Nothing acknowledged is lost; the same call works again when there is space.
    #[error("no space left for {file}")]
    DiskFull {
        /// The path below the store's folder.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
    /// The disk gave an error.
    #[error("writing {file}")]
    Io {
        /// The path below the store's folder.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
    /// An earlier sync failed, so nobody knows what of it is on disk; open the store anew.
    #[error("the log was given up after a failed sync; the store must be opened again")]
    Poisoned,
    /// The store was opened for reading.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// One batch is larger than one frame of the log may be.
    #[error("a batch of {bytes} bytes, more than {bytes_max}")]
    BatchTooLarge {
        /// Its encoded size.
        bytes: usize,
        /// [`crate::wal::FRAME_BYTES_MAX`].
        bytes_max: usize,
    },
    /// A mark whose name or value is too long, or one name too many.
    #[error("mark {name} of {bytes} bytes is past a limit")]
    MarkPastLimit {
        /// The mark's name.
        name: String,
        /// The size of its value.
        bytes: usize,
    },
    /// Sealing fell so far behind (full or failing disk) that memory would not hold more.
    #[error("{bytes} bytes wait to be sealed, more than {bytes_max}")]
    Behind {
        /// What waits.
        bytes: u64,
        /// `[storage] backlog_bytes_max`.
        bytes_max: u64,
    },
    /// Events that could not be given the form of a segment.
    #[error("{file} could not be built: {reason}")]
    Unwritable {
        /// The path below the store's folder.
        file: String,
        /// What the encoder said.
        reason: String,
    },
    /// Reading back what had to be read to write failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl WriteError {
    /// The disk's error on `file`; a full disk gets its own name.
    pub fn io(file: &str, source: io::Error) -> WriteError {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::DiskFull { file, source },
            _ => WriteError::Io { file, source },
        }
    }
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store is open in another process (lock file {file})")]
    Locked {
        /// The lock file.
        file: String,
    },
    /// It could not be read; a damaged file is named with the place.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Recovery could not write.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<Corrupt> for OpenError {
    fn from(corrupt: Corrupt) -> OpenError {
        OpenError::Read(ReadError::Corrupt(corrupt))
    }
}
