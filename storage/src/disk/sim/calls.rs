//! The calls of a simulated disk: each is counted, may be the one that fails, and leaves names and bytes pending until they
//! are synced.

use std::io;
use std::path::PathBuf;
use std::sync::MutexGuard;

use super::super::{Disk, DiskFile, DiskLock, Entry, folder_of};
use super::content::{Bytes, Change, NameChange, Node};
use super::{SimDisk, State};

impl Disk for SimDisk {
    fn create_folder(&self, path: &str) -> io::Result<()> {
        if !folder_of(path).is_empty() {
            self.create_folder(folder_of(path))?;
        }
        let mut state = self.call("create_folder", path)?;
        if !state.live.contains_key(path) {
            state.change_name(NameChange::Put(path.to_owned(), Node::Folder));
        }
        drop(state);
        self.sync_folder(folder_of(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let state = self.call("list", path)?;
        let inside = state.live.iter().filter(|(name, _)| folder_of(name) == path);
        let entry = |(name, node): (&String, &Node)| {
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            Entry { name, is_folder: *node == Node::Folder }
        };
        Ok(inside.map(entry).collect())
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        let state = self.call("length", path)?;
        Ok(state.file(path).ok().map(|file| state.files[file].live.len() as u64))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let state = self.call("read", path)?;
        Ok(state.files[state.file(path)?].live.clone())
    }

    fn read_range(&self, path: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.call("read_range", path)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = state.files[state.file(path)?].live.get(from..from.saturating_add(length));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.call("create", path)?;
        if state.capacity <= state.used() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if !folder_of(path).is_empty() && state.live.get(folder_of(path)) != Some(&Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = match state.file(path) {
            Ok(file) => {
                state.files[file].live.clear();
                state.files[file].was_synced = false;
                state.files[file].pending.push(Change::Truncate(0));
                file
            }
            Err(_) => {
                let file = state.files.len();
                state.files.push(Bytes::default());
                state.change_name(NameChange::Put(path.to_owned(), Node::File(file)));
                file
            }
        };
        let life = state.life;
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_owned(), file, life }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.call("open", path)?;
        let (file, life) = (state.file(path)?, state.life);
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_owned(), file, life }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.call("rename", from)?;
        let node = Node::File(state.file(from)?);
        state.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), node });
        Ok(())
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.call("sync_folder", path)?;
        let place = state.place_of_folder(path);
        if !state.leaves_out(place) {
            state.sync_folder(path);
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.call("remove", path)?;
        if state.live.keys().any(|name| folder_of(name) == path) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if state.live.contains_key(path) {
            state.change_name(NameChange::Remove(path.to_owned()));
        }
        Ok(())
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.call("lock", path)?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        let life = state.life;
        Ok(Some(Box::new(SimLock { disk: self.clone(), path: path.to_owned(), life })))
    }

    /// One process at a time is simulated, and it does not read beside itself.
    fn lock_shared(&self, path: &str) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.call("lock_shared", path).map(|_| None)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.call("free_bytes", "")?;
        Ok(state.capacity.saturating_sub(state.used()))
    }

    fn local_path(&self, _path: &str) -> Option<PathBuf> {
        None
    }
}

struct SimFile {
    disk: SimDisk,
    path: String,
    file: usize,
    life: u64,
}

impl SimFile {
    /// As [`SimDisk::call`]; a file of a dead process is no way to the disk.
    fn call(&self, name: &'static str) -> (MutexGuard<'_, State>, io::Result<()>) {
        self.disk.run_hook();
        let mut state = self.disk.state();
        assert_eq!(state.life, self.life, "a dead process does not write");
        let begun = state.begin(name, &self.path);
        (state, begun)
    }
}

impl DiskFile for SimFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut guard, begun) = self.call("write_at");
        let state = &mut *guard;
        state.stir(u64::from(crc32c::crc32c(bytes)));
        let offset = usize::try_from(offset).map_err(|_past| io::ErrorKind::FileTooLarge)?;
        let growth = (offset + bytes.len()).saturating_sub(state.files[self.file].live.len());
        let room = state.capacity.saturating_sub(state.used());
        let fits = usize::try_from((growth as u64).min(room)).unwrap_or(0);
        let (written, result) = match begun {
            Ok(()) if fits < growth => (bytes.len() - (growth - fits), Err(io::ErrorKind::StorageFull.into())),
            Ok(()) => (bytes.len(), Ok(())),
            Err(error) => {
                let front = state.random.below(bytes.len() as u64 + 1);
                (usize::try_from(front).unwrap_or(0), Err(error))
            }
        };
        let change = Change::Write { offset, bytes: bytes[..written].to_vec() };
        change.apply(&mut state.files[self.file].live);
        state.files[self.file].pending.push(change);
        result
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let (mut guard, begun) = self.call("sync_data");
        let state = &mut *guard;
        if state.is_sync_ignored || state.is_off || state.is_dead {
            return begun;
        }
        let place = state.place_of_file(&self.path, self.file);
        if begun.is_ok() && state.leaves_out(place) {
            return begun;
        }
        let file = &mut state.files[self.file];
        file.was_synced = true;
        for change in std::mem::take(&mut file.pending) {
            match begun {
                Ok(()) => change.apply(&mut file.durable),
                Err(_) => change.apply_some(&mut file.durable, &mut state.random),
            }
        }
        begun
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let (mut state, begun) = self.call("truncate");
        begun?;
        let change = Change::Truncate(usize::try_from(length).unwrap_or(usize::MAX));
        let file = &mut state.files[self.file];
        change.apply(&mut file.live);
        file.pending.push(change);
        Ok(())
    }
}

struct SimLock {
    disk: SimDisk,
    path: String,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}
