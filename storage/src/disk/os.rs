//! `OsDisk`: a folder of the machine as a [`Disk`]. Linux semantics: fdatasync for files, fsync on the
//! folder for names, an advisory lock that ends with the process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Disk, DiskFile, DiskLock, Entry, folder_of};

/// A folder of the machine.
#[derive(Clone, Debug)]
pub struct OsDisk {
    root: PathBuf,
}

impl OsDisk {
    /// The folder `root`; where it is not there it is made, for its owner alone: it holds logs, hashes of passwords and keys.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<OsDisk> {
        let disk = OsDisk { root: root.into() };
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&disk.root)?;
        Ok(disk)
    }

    /// The folder `root`, which must be there; nothing is written.
    ///
    /// # Errors
    /// `NotFound` where there is no such folder.
    pub fn existing(root: impl Into<PathBuf>) -> io::Result<OsDisk> {
        let disk = OsDisk { root: root.into() };
        match fs::metadata(&disk.root)?.is_dir() {
            true => Ok(disk),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn place(&self, path: &str) -> io::Result<PathBuf> {
        let is_inside = path.is_empty()
            || path.split('/').all(|name| !name.is_empty() && name != "." && name != ".." && !name.contains('\\'));
        if !is_inside {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path} is no path inside the store")));
        }
        Ok(if path.is_empty() { self.root.clone() } else { self.root.join(path) })
    }
}

impl Disk for OsDisk {
    fn create_folder(&self, path: &str) -> io::Result<()> {
        // A folder that is there is synced all the same: whoever made it may have crashed before.
        if !folder_of(path).is_empty() {
            self.create_folder(folder_of(path))?;
        }
        match fs::create_dir(self.place(path)?) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.sync_folder(folder_of(path)),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let folder = match fs::read_dir(self.place(path)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            folder => folder?,
        };
        let mut entries = Vec::new();
        for entry in folder {
            let entry = entry?;
            // A name that is no UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_folder: entry.file_type()?.is_dir() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.place(path)?) {
            Ok(found) => Ok(found.is_file().then_some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(self.place(path)?)
    }

    fn read_range(&self, path: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.place(path)?)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length)?;
        match file.take(length as u64).read_to_end(&mut bytes)? {
            read if read < length => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(bytes),
        }
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(self.place(path)?)?;
        Ok(Box::new(OsFile { file }))
    }

    #[cfg(unix)]
    fn create_private(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        use std::os::unix::fs::OpenOptionsExt;
        // The mode counts only where the file is new: what was there goes first.
        self.remove(path)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.place(path)?)?;
        Ok(Box::new(OsFile { file }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).open(self.place(path)?)?;
        Ok(Box::new(OsFile { file }))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door; `Disk::replace` syncs the folder after it")]
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.place(from)?, self.place(to)?)
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        sync_folder(&self.place(path)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let place = self.place(path)?;
        let removed = if place.is_dir() { fs::remove_dir(&place) } else { fs::remove_file(&place) };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.place(path)?)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(OsLock { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn lock_shared(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        let file = match File::open(self.place(path)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        file.lock_shared()?;
        Ok(Some(Box::new(OsLock { _file: file })))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        // The standard library has no call for it and statvfs needs unsafe code; the log's own
        // `DiskFull` is what intake acts on.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn local_path(&self, path: &str) -> Option<PathBuf> {
        self.place(path).ok()
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened to be synced; the names are as durable as the system makes them.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

struct OsFile {
    file: File,
}

impl DiskFile for OsFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

/// The lock goes when the file is closed, by us or by the end of the process.
struct OsLock {
    _file: File,
}

impl DiskLock for OsLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_put_and_read_whole_and_by_range() {
        let folder = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(folder.path()).unwrap();
        disk.create_folder("a/b").unwrap();
        disk.replace("a/b/object", b"first").unwrap();
        disk.replace("a/b/object", b"second").unwrap();
        assert_eq!(disk.read("a/b/object").unwrap(), b"second");
        assert_eq!(disk.read_range("a/b/object", 2, 3).unwrap(), b"con");
        assert_eq!(disk.length("a/b/object").unwrap(), Some(6));
        assert_eq!(disk.length("a/b/none").unwrap(), None);
        assert_eq!(disk.list("a/b").unwrap(), vec![Entry { name: "object".into(), is_folder: false }]);
        super::super::remove_folder(&disk, "a").unwrap();
        assert_eq!(disk.list("").unwrap(), vec![]);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_made_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let made = folder.path().join("data");
        OsDisk::new(&made).unwrap();
        assert_eq!(mode(&made), 0o700);
        // One that somebody made stays as they made it.
        fs::set_permissions(&made, fs::Permissions::from_mode(0o750)).unwrap();
        OsDisk::new(&made).unwrap();
        assert_eq!(mode(&made), 0o750);
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(folder.path()).unwrap();
        for path in ["../x", "/etc/passwd", "a//b", "a/./b", "a/../../b"] {
            assert_eq!(disk.read(path).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path}");
        }
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(folder.path()).unwrap();
        let held = disk.lock("LOCK").unwrap();
        assert!(held.is_some());
        assert!(disk.lock("LOCK").unwrap().is_none());
        drop(held);
        assert!(disk.lock("LOCK").unwrap().is_some());
        let readers = (disk.lock_shared("LOCK").unwrap(), disk.lock_shared("LOCK").unwrap());
        assert!(readers.0.is_some() && readers.1.is_some() && disk.lock("LOCK").unwrap().is_none());
        drop(readers);
        assert!(disk.lock("LOCK").unwrap().is_some());
        assert!(disk.lock_shared("OTHER").unwrap().is_none());
    }
}
