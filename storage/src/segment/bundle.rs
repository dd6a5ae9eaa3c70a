//! All files of an index in one file; a read-only [`Directory`] over it, where they are those of Tantivy. Of a bundle on disk only what is asked for
//! is read, block by block with its checksum.
//!
//! ```text
//! the files, back to back | table of contents: JSON | its length: u64, little-endian | "NHATLEIX"
//! ```

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr};
use tantivy::{Directory, HasLen};

use super::checked_file::CheckedFile;
use super::dictionary::Read;
use super::meta::BLOCK_BYTES;
use super::shape::Shape;
use super::stands::{Named, Stand};
use crate::error::ReadError;

const MAGIC: &[u8; 8] = b"NHATLEIX";
/// The file of the Bloom filter ([`super::bloom`]); it stands first, so its blocks never cross those of the checksums.
pub const BLOOM: &str = "!bloom";
/// The version of bundles written now.
pub const VERSION: u32 = 3;
/// The last one whose terms and rows are a Tantivy index.
pub const VERSION_TANTIVY: u32 = 2;
/// The oldest one that is read.
const VERSION_OLDEST: u32 = 1;

/// What is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// How many rows the index has.
    pub row_count: u64,
    /// The keys of fields whose values that are one word are not among the words.
    pub covering: Vec<String>,
    /// What the values of those that are one word look like, in their order; before version 3 nothing is known.
    #[serde(default)]
    pub shapes: Vec<Shape>,
    /// The keys of all fields in the segment; `None` where there are too many to list.
    pub keys: Option<Vec<String>>,
    /// Whose exact terms stand for those of which other fields; in version 1 no field's do.
    #[serde(default)]
    pub stands: Named,
    /// Offset and length of each file.
    pub files: BTreeMap<String, (u64, u64)>,
}

impl Contents {
    /// The filter has the words of a value of a field whose values are searched for words, not the value ([`super::terms::is_by_words`]).
    pub fn has_values_by_words(&self) -> bool {
        VERSION_TANTIVY < self.version
    }

    /// No row of the segment has a field of this key.
    pub fn lacks(&self, key: &str) -> bool {
        self.keys.as_ref().is_some_and(|keys| !keys.iter().any(|known| known == key))
    }

    /// The fields whose exact terms stand for some of this key.
    pub fn stands_for(&self, key: &str) -> &[Stand] {
        self.stands.get(key).map_or(&[], Vec::as_slice)
    }
}

/// Puts the filter and the files of an index behind each other.
///
/// # Errors
/// The table of contents cannot be written; the reason.
pub fn pack(bloom: Vec<u8>, files: &[(&str, Vec<u8>)], mut contents: Contents) -> Result<Vec<u8>, String> {
    let mut bytes = bloom;
    contents.files.insert(BLOOM.to_owned(), (0, bytes.len() as u64));
    for (name, file) in files {
        contents.files.insert((*name).to_owned(), (bytes.len() as u64, file.len() as u64));
        bytes.extend_from_slice(file);
    }
    let table = serde_json::to_vec(&contents).map_err(|error| error.to_string())?;
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&(table.len() as u64).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(bytes)
}

/// Where the bytes of a bundle are.
#[derive(Clone)]
enum Source {
    Memory(OwnedBytes),
    File(CheckedFile),
}

impl Source {
    fn length(&self) -> u64 {
        match self {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File(file) => parquet::file::reader::Length::len(file),
        }
    }

    fn read(&self, range: Range<u64>) -> Result<OwnedBytes, ReadError> {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        match self {
            Source::Memory(bytes) => Ok(bytes.slice(place(range.start)..place(range.end))),
            Source::File(file) => Ok(OwnedBytes::new(file.read(range.start, range.end)?.to_vec())),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(if matches!(self, Source::Memory(_)) { "Memory" } else { "File" })
    }
}

/// The files of a bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    source: Source,
    files: Arc<BTreeMap<PathBuf, Range<u64>>>,
}

impl Bundle {
    /// Reads the table of contents of a bundle in memory.
    ///
    /// # Errors
    /// The bytes are no bundle of a version this program knows; the reason.
    pub fn in_memory(bytes: Vec<u8>) -> Result<(Bundle, Contents), String> {
        Bundle::over(Source::Memory(OwnedBytes::new(bytes))).map_err(|error| error.to_string())
    }

    /// Reads the table of contents of a bundle on disk.
    ///
    /// # Errors
    /// It cannot be read, or is damaged, or no bundle of a version this program knows.
    pub fn on_disk(file: CheckedFile) -> Result<(Bundle, Contents), ReadError> {
        let unreadable = file.unreadable(String::new());
        Bundle::over(Source::File(file)).map_err(|error| match (error, unreadable) {
            (Failure::Read(error), _) => error,
            (Failure::Form(reason), ReadError::Unreadable { file, .. }) => ReadError::Unreadable { file, reason },
            (Failure::Form(_), other) => other,
        })
    }

    fn over(source: Source) -> Result<(Bundle, Contents), Failure> {
        let form = |reason: &str| Failure::Form(reason.to_owned());
        let length = source.length();
        let tail_at = length.checked_sub(16).ok_or_else(|| form("it is too short"))?;
        let tail = source.read(tail_at..length)?;
        let front = tail.strip_suffix(MAGIC).ok_or_else(|| form("it does not end as an index does"))?;
        let (_, table_length) = front.split_last_chunk::<8>().ok_or_else(|| form("it is too short"))?;
        let table_at = tail_at.checked_sub(u64::from_le_bytes(*table_length));
        let table_at = table_at.ok_or_else(|| form("its table of contents is longer than it"))?;
        let table = source.read(table_at..tail_at)?;
        let contents: Contents = serde_json::from_slice(&table).map_err(|error| Failure::Form(error.to_string()))?;
        if !(VERSION_OLDEST..=VERSION).contains(&contents.version) {
            return Err(Failure::Form(format!("an index of version {}", contents.version)));
        }
        let mut files = BTreeMap::new();
        for (name, (offset, length)) in &contents.files {
            let end = offset.checked_add(*length).filter(|end| *end <= table_at);
            let end = end.ok_or_else(|| Failure::Form(format!("its file {name} is past its end")))?;
            files.insert(PathBuf::from(name), *offset..end);
        }
        Ok((Bundle { source, files: Arc::new(files) }, contents))
    }

    /// How many bytes its file of this name has; `None` where there is no such file.
    pub fn length_of(&self, name: &str) -> Option<u64> {
        self.files.get(Path::new(name)).map(|range| range.end - range.start)
    }

    /// Some bytes of its file of this name.
    ///
    /// # Errors
    /// They cannot be read, or are damaged.
    pub fn read(&self, name: &str, range: Range<u64>) -> Result<OwnedBytes, ReadError> {
        let begin = self.files.get(Path::new(name)).map_or(0, |file| file.start);
        self.source.read(begin + range.start..begin + range.end)
    }

    /// All bytes of its file of this name.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub fn whole(&self, name: &str) -> Result<OwnedBytes, String> {
        let file = self.file(Path::new(name)).map_err(|error| error.to_string())?;
        file.all().map_err(|error| error.to_string())
    }

    /// What reads its file of this name in pieces.
    ///
    /// # Errors
    /// There is no such file.
    pub fn reader(&self, name: &str) -> Result<Read, String> {
        let file = self.file(Path::new(name)).map_err(|error| error.to_string())?;
        Ok(Arc::new(move |begin, most| {
            let begin = usize::try_from(begin).unwrap_or(usize::MAX).min(file.len());
            let end = begin.saturating_add(most).min(file.len());
            file.read_bytes(begin..end).map_err(|error| error.to_string())
        }))
    }

    fn file(&self, path: &Path) -> Result<Part, OpenReadError> {
        let range = self.files.get(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        Ok(Part {
            source: self.source.clone(),
            range: range.clone(),
            read: AtomicUsize::new(0),
            whole: OnceLock::new(),
        })
    }
}

/// Why a bundle was not opened.
#[derive(Debug)]
enum Failure {
    Form(String),
    Read(ReadError),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        Failure::Read(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Form(reason) => to.write_str(reason),
            Failure::Read(error) => error.fmt(to),
        }
    }
}

/// A file of a bundle. Once half of its length has been read in pieces, the whole is read and kept.
#[derive(Debug)]
struct Part {
    source: Source,
    range: Range<u64>,
    read: AtomicUsize,
    whole: OnceLock<OwnedBytes>,
}

impl Part {
    fn all(&self) -> io::Result<OwnedBytes> {
        if let Some(whole) = self.whole.get() {
            return Ok(whole.clone());
        }
        let whole = self.source.read(self.range.clone()).map_err(io::Error::other)?;
        Ok(self.whole.get_or_init(|| whole).clone())
    }
}

impl HasLen for Part {
    fn len(&self) -> usize {
        usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX)
    }
}

impl FileHandle for Part {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if self.len() < range.end || range.end < range.start {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What is in memory costs nothing to give; a piece of a file costs the blocks it stands in.
        let cost = range.len().max(BLOCK_BYTES);
        let is_much = self.len() / 2 < self.read.fetch_add(cost, Ordering::Relaxed).saturating_add(cost);
        if is_much || self.whole.get().is_some() || matches!(self.source, Source::Memory(_)) {
            return Ok(self.all()?.slice(range));
        }
        let place = |at: usize| self.range.start + at as u64;
        self.source.read(place(range.start)..place(range.end)).map_err(io::Error::other)
    }
}

fn read_only() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

impl Directory for Bundle {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.file(path)?))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.files.contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let whole = self.file(path)?.all().map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(whole.as_slice().to_vec())
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
