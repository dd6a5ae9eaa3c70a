//! The reserve: a file that takes room on the disk as long as there is enough, and is given up when there is not.
//!
//! So that people can go on with incidents, what was taken already can be stored, and segments can be made of the log
//! (which frees more than it takes), however full somebody else makes the disk. In: the data folder, how large. Out: held
//! or given up. Failure: what the system says; without room for it there is no reserve, and that is a state (ADR 22).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Its name in the data folder.
pub const NAME: &str = "reserve";
/// At most this share of the file system is kept.
const SHARE: u64 = 20;
const CHUNK_BYTES: usize = 1 << 20;

/// The reserve of a data folder.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    folder: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve of a folder, as large as wanted but at most a twentieth of its file system. Nothing is written yet.
    pub fn new(folder: &Path, bytes_wanted: u64) -> Reserve {
        let total = room(folder).map_or(u64::MAX, |(total, _)| total);
        Reserve { path: folder.join(NAME), folder: folder.to_owned(), bytes: bytes_wanted.min(total / SHARE) }
    }

    /// How large it is to be.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes free on its disk.
    pub fn free_bytes(&self) -> Option<u64> {
        room(&self.folder).map(|(_, free)| free)
    }

    /// Whether it takes its room.
    pub fn is_held(&self) -> bool {
        self.bytes == 0 || std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() == self.bytes)
    }

    /// Takes its room, all of it or none.
    ///
    /// # Errors
    /// There is no room; what the system says.
    pub fn hold(&self) -> io::Result<()> {
        if self.is_held() {
            return Ok(());
        }
        let taken = self.take();
        if taken.is_err() {
            // The first error is the one to tell.
            drop(std::fs::remove_file(&self.path));
        }
        taken
    }

    fn take(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&self.path)?;
        if allocate(&file, self.bytes).is_err() {
            // A file system that cannot set room aside is written full; zeros might take none.
            let mut word = 0x9e37_79b9_7f4a_7c15_u64;
            let mut left = self.bytes;
            while 0 < left {
                let chunk: Vec<u8> = (0..CHUNK_BYTES / 8)
                    .flat_map(|_| {
                        word ^= word << 13;
                        word ^= word >> 7;
                        word ^= word << 17;
                        word.to_le_bytes()
                    })
                    .collect();
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
                file.write_all(chunk.get(..length).unwrap_or(&chunk))?;
                left -= length as u64;
            }
        }
        file.sync_all()
    }

    /// Gives its room up.
    ///
    /// # Errors
    /// What the system says.
    pub fn give_up(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes)?)
}

#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File, _bytes: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes of the file system, and how many of them are free for us.
#[cfg(target_os = "linux")]
fn room(folder: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some((stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize)))
}

#[cfg(not(target_os = "linux"))]
fn room(_folder: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_whole_and_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = Reserve::new(folder.path(), 3 << 20);
        assert!(!reserve.is_held());
        reserve.hold().expect("there is room");
        assert!(reserve.is_held());
        assert_eq!(std::fs::metadata(folder.path().join(NAME)).expect("is there").len(), 3 << 20);
        // One of another size is made anew.
        let larger = Reserve::new(folder.path(), 4 << 20);
        assert!(!larger.is_held());
        larger.hold().expect("there is room");
        assert!(larger.is_held() && !reserve.is_held());
        larger.give_up().expect("goes");
        larger.give_up().expect("is gone already");
        assert!(!larger.is_held());
        assert!(Reserve::new(folder.path(), 0).is_held(), "none is wanted");
        let of_all = Reserve::new(folder.path(), u64::MAX);
        assert!(of_all.bytes() < u64::MAX / SHARE && 0 < of_all.free_bytes().expect("is told"));
    }
}
