//! All files of a Tantivy index in one file, and a read-only [`Directory`] over it.
//!
//! ```text
//! the files, back to back | table of contents: JSON | its length: u64, little-endian | "NHATLEIX"
//! ```

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, OwnedBytes, RamDirectory, WatchCallback, WatchHandle, WritePtr,
};

const MAGIC: &[u8; 8] = b"NHATLEIX";
/// The version of bundles written now.
pub const VERSION: u32 = 1;

/// What is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// How many rows the index has.
    pub row_count: u64,
    /// The keys of fields whose values that are one word are not among the words.
    pub covering: Vec<String>,
    /// The keys of all fields in the segment; `None` where there are too many to list.
    pub keys: Option<Vec<String>>,
    /// Offset and length of each file.
    pub files: BTreeMap<String, (u64, u64)>,
}

/// Puts the files of an index behind each other.
///
/// # Errors
/// A file that the index names is not there; the reason.
pub fn pack(index: &tantivy::Index, directory: &RamDirectory, mut contents: Contents) -> Result<Vec<u8>, String> {
    let mut names: Vec<PathBuf> = index.directory().list_managed_files().into_iter().collect();
    names.push(PathBuf::from("meta.json"));
    names.push(PathBuf::from(".managed.json"));
    names.sort();
    names.dedup();
    let mut bytes = Vec::new();
    for name in names {
        let is_there = directory.exists(&name).map_err(|error| error.to_string())?;
        if !is_there {
            continue;
        }
        let file = directory.atomic_read(&name).map_err(|error| error.to_string())?;
        let name = name.to_str().ok_or("a file name that is not UTF-8")?.to_owned();
        contents.files.insert(name, (bytes.len() as u64, file.len() as u64));
        bytes.extend_from_slice(&file);
    }
    let table = serde_json::to_vec(&contents).map_err(|error| error.to_string())?;
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&(table.len() as u64).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(bytes)
}

/// The files of a bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    bytes: OwnedBytes,
    files: Arc<BTreeMap<PathBuf, Range<usize>>>,
}

impl Bundle {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// The bytes are no bundle of a version this program knows; the reason.
    pub fn open(bytes: Vec<u8>) -> Result<(Bundle, Contents), String> {
        let front = bytes.strip_suffix(MAGIC).ok_or("it does not end as an index does")?;
        let (front, length) = front.split_last_chunk::<8>().ok_or("it is too short")?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let table_at = front.len().checked_sub(length).ok_or("its table of contents is longer than it")?;
        let contents: Contents = serde_json::from_slice(&front[table_at..]).map_err(|error| error.to_string())?;
        if contents.version != VERSION {
            return Err(format!("an index of version {}", contents.version));
        }
        let mut files = BTreeMap::new();
        for (name, (offset, length)) in &contents.files {
            let end = offset.checked_add(*length).filter(|end| *end <= table_at as u64);
            let end = end.ok_or_else(|| format!("its file {name} is past its end"))?;
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            files.insert(PathBuf::from(name), place(*offset)..place(end));
        }
        Ok((Bundle { bytes: OwnedBytes::new(bytes), files: Arc::new(files) }, contents))
    }

    fn file(&self, path: &Path) -> Result<OwnedBytes, OpenReadError> {
        let range = self.files.get(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        Ok(self.bytes.slice(range.clone()))
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
        Ok(self.file(path)?.as_slice().to_vec())
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
