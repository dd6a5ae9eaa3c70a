//! The only door to the file system: the [`Disk`] trait, and [`OsDisk`], a folder of the machine.
//!
//! Paths are relative to the store's folder, with `/` between names; no name is empty, `.` or `..`.
//! Two kinds of files exist. The log is one file at a time that grows ([`DiskFile`]) and is synced.
//! Everything else is an immutable object that appears whole or not at all ([`Disk::replace`]) and is
//! read whole or by range, so that an object store can stand behind the same calls.
//!
//! Promise: after `Ok` from `DiskFile::sync_data` the file's bytes survive a power cut; after `Ok` from
//! `Disk::replace` the object and its name do. An `Err` from a sync promises nothing, not even on retry
//! (the kernel may have dropped the pages: "fsyncgate", PostgreSQL, 2018).

mod os;
#[cfg(any(test, feature = "sim"))]
pub mod sim;

use std::io;
use std::path::PathBuf;

pub use os::OsDisk;

/// The ending of a file that [`Disk::replace`] has not finished; recovery deletes such files.
pub const UNFINISHED: &str = ".tmp";

/// One thing in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, without the folder.
    pub name: String,
    /// It is a folder.
    pub is_folder: bool,
}

/// A file open for writing.
pub trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`, making the file longer where needed. Not durable yet.
    ///
    /// # Errors
    /// What the disk says; any part of `bytes` may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written to this file durable (fdatasync).
    ///
    /// # Errors
    /// What the disk says; then nothing is known about what was written since the last `Ok`.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts the file to `length` bytes. Not durable yet.
    ///
    /// # Errors
    /// What the disk says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// Held for as long as the lock is.
pub trait DiskLock: Send + Sync {}

/// Where a store keeps its files.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it, durably. A folder that is there already is fine.
    ///
    /// # Errors
    /// What the disk says.
    fn create_folder(&self, path: &str) -> io::Result<()>;

    /// What is in a folder, sorted by name; empty where there is no such folder.
    ///
    /// # Errors
    /// What the disk says.
    fn list(&self, path: &str) -> io::Result<Vec<Entry>>;

    /// The length of a file in bytes, or `None` where there is no such file.
    ///
    /// # Errors
    /// What the disk says.
    fn length(&self, path: &str) -> io::Result<Option<u64>>;

    /// A whole file.
    ///
    /// # Errors
    /// What the disk says; `NotFound` where there is no such file.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// `length` bytes of a file from `offset`, all of them.
    ///
    /// # Errors
    /// What the disk says; `UnexpectedEof` where the file ends before.
    fn read_range(&self, path: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// A new, empty file for writing; a file of that name is emptied. Its name is durable only after
    /// [`Disk::sync_folder`].
    ///
    /// # Errors
    /// What the disk says.
    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// [`Disk::create`] of a file that nobody but its owner may read, where this disk knows owners.
    ///
    /// # Errors
    /// What the disk says.
    fn create_private(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.create(path)
    }

    /// A file that is there, for writing.
    ///
    /// # Errors
    /// What the disk says; `NotFound` where there is no such file.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, taking the place of what has that name. Durable only after
    /// [`Disk::sync_folder`]; use [`Disk::replace`].
    ///
    /// # Errors
    /// What the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the disk says.
    fn sync_folder(&self, path: &str) -> io::Result<()>;

    /// Deletes a file, or an empty folder. What is not there already is fine.
    ///
    /// # Errors
    /// What the disk says.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Takes the lock of this name, or `None` where someone else holds it.
    ///
    /// # Errors
    /// What the disk says.
    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>>;

    /// Takes the lock of this name beside others who take it so, waiting for one who holds it alone to let go; `None`
    /// where there is no such lock file, or this disk has no such locks.
    ///
    /// # Errors
    /// What the disk says.
    fn lock_shared(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>>;

    /// Bytes that can still be written.
    ///
    /// # Errors
    /// What the disk says.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Where the operating system has this file, for readers that map it into memory; `None` for a
    /// disk that has no such place.
    fn local_path(&self, path: &str) -> Option<PathBuf>;

    /// Puts a whole object under a name, durably: after a crash the name holds all of the old bytes or
    /// all of the new ones. Write beside, sync, rename, sync the folder.
    ///
    /// # Errors
    /// What the disk says; the name then holds the old object or the new one.
    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = format!("{path}{UNFINISHED}");
        let written = self.create(&beside).and_then(|mut file| {
            file.write_at(0, bytes)?;
            file.sync_data()
        });
        if let Err(error) = written {
            // The first error is the one to tell; recovery deletes what stays.
            drop(self.remove(&beside));
            return Err(error);
        }
        self.rename(&beside, path)?;
        self.sync_folder(folder_of(path))
    }
}

/// The folder a path is in; empty for the store's own.
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path below a folder; the folder may be empty, which is the store's own.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Deletes a folder and the files in it (folders of ours hold no folders past one level).
///
/// # Errors
/// What the disk says.
pub fn remove_folder(disk: &dyn Disk, path: &str) -> io::Result<()> {
    for entry in disk.list(path)? {
        let inner = join(path, &entry.name);
        if entry.is_folder {
            for file in disk.list(&inner)? {
                disk.remove(&join(&inner, &file.name))?;
            }
        }
        disk.remove(&inner)?;
    }
    disk.remove(path)
}
