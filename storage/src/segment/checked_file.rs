//! A file of a segment as Parquet reads it, every block checked against its checksum before a byte of it
//! is given away.

use std::io::{self, Read};
use std::sync::Arc;

use arrow_schema::ArrowError;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::fine::{self, Fine};
use super::meta::{BLOCK_BYTES, FileMeta, SegmentMeta};
use crate::disk::Disk;
use crate::error::{Corrupt, ReadError};

thread_local! {
    /// Parquet's and Arrow's readers turn errors into text on some of their ways; what it was stands here. They read on the
    /// thread that asks.
    static LAST_FAILURE: std::cell::RefCell<Option<(Arc<str>, ReadError)>> = const { std::cell::RefCell::new(None) };
}

/// A file of a segment.
#[derive(Clone)]
pub struct CheckedFile {
    disk: Arc<dyn Disk>,
    path: Arc<str>,
    meta: Arc<FileMeta>,
    fine: Option<Fine>,
}

impl CheckedFile {
    /// The file of this name; its length is checked.
    ///
    /// # Errors
    /// It is not there, or not of its length.
    pub fn open(disk: Arc<dyn Disk>, segment: &SegmentMeta, name: &str) -> std::result::Result<CheckedFile, ReadError> {
        let path = segment.path(name);
        let unreadable = |reason: &str| ReadError::Unreadable { file: path.clone(), reason: reason.to_owned() };
        let meta = segment.file(name).ok_or_else(|| unreadable("the manifest names no such file"))?;
        let length = disk.length(&path).map_err(|source| ReadError::io(&path, source))?;
        match length {
            None => Err(ReadError::io(&path, io::ErrorKind::NotFound.into())),
            Some(length) if length != meta.bytes => Err(ReadError::Corrupt(Corrupt {
                file: path.clone(),
                offset: meta.bytes.min(length),
                expected: format!("a file of {} bytes", meta.bytes),
                found: format!("one of {length} bytes"),
            })),
            Some(_) => Ok(CheckedFile { disk, path: path.into(), meta: Arc::new(meta.clone()), fine: None }),
        }
    }

    /// The same file, its first blocks checked by these checksums.
    #[must_use]
    pub fn with_fine(self, fine: Fine) -> CheckedFile {
        CheckedFile { fine: Some(fine), ..self }
    }

    /// How many bytes at least are read and checked where one is asked for.
    pub fn block_bytes(&self) -> usize {
        if self.fine.is_some() { fine::BYTES } else { BLOCK_BYTES }
    }

    /// The bytes from `start` to before `end`.
    ///
    /// # Errors
    /// The disk's, a damaged block, or a range past the end.
    pub fn read(&self, start: u64, end: u64) -> std::result::Result<Bytes, ReadError> {
        self.read_checked(start, end).inspect_err(|error| {
            let kept = match error {
                ReadError::Io { file, source } => ReadError::io(file, source.kind().into()),
                ReadError::Corrupt(corrupt) => ReadError::Corrupt(corrupt.clone()),
                other => ReadError::Unreadable { file: self.path.to_string(), reason: other.to_string() },
            };
            LAST_FAILURE.set(Some((self.path.clone(), kept)));
        })
    }

    fn read_checked(&self, start: u64, end: u64) -> std::result::Result<Bytes, ReadError> {
        let (block_bytes, expected) = match self.fine.as_ref().and_then(|fine| fine.until(end)) {
            Some(fine) => (fine::BYTES, fine),
            None => (BLOCK_BYTES, &*self.meta.block_crc32c),
        };
        let block = block_bytes as u64;
        if end < start || self.meta.bytes < end {
            let reason = format!("bytes {start} to {end} of {}", self.meta.bytes);
            return Err(ReadError::Unreadable { file: self.path.to_string(), reason });
        }
        let first = start / block;
        let from = first * block;
        let to = end.div_ceil(block).saturating_mul(block).min(self.meta.bytes);
        let length = usize::try_from(to - from).unwrap_or(usize::MAX);
        let bytes =
            self.disk.read_range(&self.path, from, length).map_err(|source| ReadError::io(&self.path, source))?;
        for (at, bytes) in (first..).zip(bytes.chunks(block_bytes)) {
            let expected = usize::try_from(at).ok().and_then(|at| expected.get(at));
            let found = crc32c::crc32c(bytes);
            if expected != Some(&found) {
                return Err(ReadError::Corrupt(Corrupt {
                    file: self.path.to_string(),
                    offset: at * block,
                    expected: expected.map_or_else(|| "no block".to_owned(), |crc| format!("checksum {crc:08x}")),
                    found: format!("{found:08x}"),
                }));
            }
        }
        let place = |at: u64| usize::try_from(at - from).unwrap_or(usize::MAX);
        Ok(Bytes::from(bytes).slice(place(start)..place(end)))
    }

    /// Forgets what this thread has failed to read before.
    pub fn forget_failure() {
        LAST_FAILURE.set(None);
    }

    /// The last error on this file of this thread, where the readers above have made a text of it.
    fn last_failure(&self) -> Option<ReadError> {
        CheckedFile::take_failure(&self.path)
    }

    /// The same, of the file at this path.
    pub fn take_failure(path: &str) -> Option<ReadError> {
        let failure = LAST_FAILURE.with(std::cell::RefCell::take)?;
        (*failure.0 == *path).then_some(failure.1)
    }

    /// What Parquet said, as what it was: a [`ReadError`] of ours, or a file this version cannot read.
    pub fn error(&self, error: ParquetError) -> ReadError {
        let reason = error.to_string();
        let ParquetError::External(inner) = error else {
            return self.last_failure().unwrap_or_else(|| self.unreadable(reason));
        };
        // What is read as a stream comes wrapped once more.
        let inner = match inner.downcast::<io::Error>() {
            Ok(io) => match io.into_inner() {
                Some(inner) => inner,
                None => return self.unreadable(reason),
            },
            Err(inner) => inner,
        };
        inner.downcast::<ReadError>().map_or_else(|_| self.unreadable(reason), |ours| *ours)
    }

    /// What Arrow said while it read, in the same way.
    pub fn arrow_error(&self, error: ArrowError) -> ReadError {
        match error {
            ArrowError::ExternalError(inner) => match inner.downcast::<ParquetError>() {
                Ok(parquet) => self.error(*parquet),
                Err(inner) => match inner.downcast::<ReadError>() {
                    Ok(ours) => *ours,
                    Err(inner) => self.unreadable(inner.to_string()),
                },
            },
            other => self.last_failure().unwrap_or_else(|| self.unreadable(other.to_string())),
        }
    }

    /// A file this version cannot read.
    pub fn unreadable(&self, reason: String) -> ReadError {
        ReadError::Unreadable { file: self.path.to_string(), reason }
    }
}

impl Length for CheckedFile {
    fn len(&self) -> u64 {
        self.meta.bytes
    }
}

impl ChunkReader for CheckedFile {
    type T = Stream;

    fn get_read(&self, start: u64) -> Result<Stream> {
        Ok(Stream { file: self.clone(), at: start, bytes: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read(start, start.saturating_add(length as u64)).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// The file from some place on, read block by block.
pub struct Stream {
    file: CheckedFile,
    at: u64,
    bytes: Bytes,
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            let end = ((self.at / BLOCK_BYTES as u64 + 1) * BLOCK_BYTES as u64).min(self.file.meta.bytes);
            self.bytes = self.file.read(self.at.min(end), end).map_err(io::Error::other)?;
            self.at = end;
        }
        let count = out.len().min(self.bytes.len());
        out[..count].copy_from_slice(&self.bytes.split_to(count));
        Ok(count)
    }
}
