//! `SimDisk`: a disk in memory that knows which bytes are durable, and fails on demand, by seed.
//!
//! # The faults, and why recovery must cope
//!
//! Each file has what programs see (*live*), what a power cut leaves (*durable*), and the writes in
//! between (*pending*); names of files are kept apart in the same way.
//!
//! - **Power cut** at the n-th call ([`SimDisk::cut_power_at`], [`SimDisk::restart`]). Of the pending
//!   writes any subset reached the platter, each whole, torn at any byte, or in some of its sectors
//!   only: drives and kernels write in any order. What a lost write would have made the file longer by
//!   reads as zeros. Of the pending names (created, renamed, deleted) any subset did: a folder that was
//!   not synced promises nothing. A rename is atomic: POSIX, `rename`.
//! - **Killed process** ([`SimDisk::kill`], in the middle of anything: [`SimDisk::die_at`]). Live stays, pending stays pending: a new process sees bytes
//!   that are not on disk.
//! - **Error at the n-th call** ([`SimDisk::fail_at`]), `EIO` or `ENOSPC`. A write has then written some
//!   front part. A sync has then made some pending writes durable, and the kernel has forgotten the
//!   rest: they stay visible, no later sync writes them ("fsyncgate", PostgreSQL, 2018). Other calls did
//!   nothing.
//! - **Full disk** ([`SimDisk::set_capacity`]): a write writes what fits and fails.
//! - **Flipped bit** ([`SimDisk::flip`]) in a durable file: must be reported, never returned as data.
//! - **Lying sync** ([`SimDisk::ignore_sync_data`]): no program survives it. It is there to see that the
//!   simulator notices.
//!
//! Not modelled: short reads ([`Disk::read_range`] promises all or an error), damaged folders, and a
//! folder sync that fails and makes a later one lie (journaling file systems retry or go read-only).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile, DiskLock, Entry, folder_of};

const SECTOR_BYTES: usize = 512;

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "a die is no iterator: it never ends and is shared by rolling")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A disk in memory. A clone is the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    files: Vec<Bytes>,
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<NameChange>,
    locks: BTreeSet<String>,
    /// Raised at each restart, so that a lock of a dead process frees nothing.
    life: u64,
    calls: u64,
    faults: u64,
    cut_at: Option<u64>,
    is_off: bool,
    die_at: Option<u64>,
    is_dead: bool,
    fail_at: Option<(u64, io::ErrorKind)>,
    capacity: u64,
    is_sync_ignored: bool,
    trace: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

#[derive(Clone, Debug)]
enum NameChange {
    Put(String, Node),
    Remove(String),
    Rename { from: String, to: String, node: Node },
}

#[derive(Clone, Debug, Default)]
struct Bytes {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => {
                if content.len() < offset + bytes.len() {
                    content.resize(offset + bytes.len(), 0);
                }
                content[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Change::Truncate(length) => content.resize(*length, 0),
        }
    }

    /// Applies what a power cut in the middle left of it.
    fn apply_some(&self, content: &mut Vec<u8>, random: &mut Random) {
        let Change::Write { offset, bytes } = self else {
            if random.once_in(2) {
                self.apply(content);
            }
            return;
        };
        match random.below(4) {
            0 => {}
            1 => self.apply(content),
            2 => {
                let torn = usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap_or(0);
                Change::Write { offset: *offset, bytes: bytes[..torn].to_vec() }.apply(content);
            }
            _ => {
                for (at, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                    if random.once_in(2) {
                        let offset = offset + at * SECTOR_BYTES;
                        Change::Write { offset, bytes: sector.to_vec() }.apply(content);
                    }
                }
            }
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            NameChange::Put(path, node) => drop(names.insert(path.clone(), *node)),
            NameChange::Remove(path) => drop(names.remove(path)),
            NameChange::Rename { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }

    fn folder(&self) -> &str {
        match self {
            NameChange::Put(path, _) | NameChange::Remove(path) => folder_of(path),
            NameChange::Rename { to, .. } => folder_of(to),
        }
    }
}

impl SimDisk {
    /// An empty disk whose faults come from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            random: Random(seed),
            files: Vec::new(),
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            locks: BTreeSet::new(),
            life: 0,
            calls: 0,
            faults: 0,
            cut_at: None,
            is_off: false,
            die_at: None,
            is_dead: false,
            fail_at: None,
            capacity: u64::MAX,
            is_sync_ignored: false,
            trace: 0,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// How many calls were made so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// A number that hangs on every call so far and how it ended.
    pub fn trace(&self) -> u64 {
        self.state().trace
    }

    /// Cuts the power at that call; it and all after it fail until [`SimDisk::restart`].
    pub fn cut_power_at(&self, call: u64) {
        self.state().cut_at = Some(call);
    }

    /// Kills the process at that call, as the system does when memory runs out; it and all after it fail until
    /// [`SimDisk::kill`], and what was written stays in the page cache.
    pub fn die_at(&self, call: u64) {
        self.state().die_at = Some(call);
    }

    /// The process was killed.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// The power is off.
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Lets that call fail, once.
    pub fn fail_at(&self, call: u64, kind: io::ErrorKind) {
        self.state().fail_at = Some((call, kind));
    }

    /// Takes back what [`SimDisk::fail_at`], [`SimDisk::cut_power_at`], [`SimDisk::die_at`] and
    /// [`SimDisk::set_capacity`] set.
    pub fn calm(&self) {
        let mut state = self.state();
        (state.fail_at, state.cut_at, state.die_at, state.capacity) = (None, None, None, u64::MAX);
    }

    /// How many bytes all files together may have.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// How many errors it gave so far.
    pub fn faults(&self) -> u64 {
        self.state().faults
    }

    /// Bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.state().used()
    }

    /// From now on `sync_data` says `Ok` and does nothing.
    pub fn ignore_sync_data(&self) {
        self.state().is_sync_ignored = true;
    }

    /// The process died; its locks are gone, what it wrote is in the page cache.
    pub fn kill(&self) {
        let mut state = self.state();
        state.life += 1;
        state.locks.clear();
        (state.is_dead, state.die_at) = (false, None);
    }

    /// The power comes back: what is left is the durable content and some of the pending.
    pub fn restart(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        for file in &mut state.files {
            for change in std::mem::take(&mut file.pending) {
                change.apply_some(&mut file.durable, &mut state.random);
            }
            file.live.clone_from(&file.durable);
        }
        for change in std::mem::take(&mut state.pending) {
            if state.random.once_in(2) {
                change.apply(&mut state.durable);
            }
        }
        // A name in a folder that is not there is nowhere.
        let names = state.durable.clone();
        state.durable.retain(|path, _| folder_of(path).is_empty() || names.contains_key(folder_of(path)));
        state.live.clone_from(&state.durable);
        state.locks.clear();
        state.life += 1;
        (state.is_off, state.cut_at) = (false, None);
        (state.is_dead, state.die_at) = (false, None);
    }

    /// Flips one bit of a file for good. False where there is no such byte.
    pub fn flip(&self, path: &str, offset: usize, bit: u32) -> bool {
        let mut state = self.state();
        let Some(Node::File(file)) = state.live.get(path).copied() else { return false };
        let file = &mut state.files[file];
        for content in [&mut file.live, &mut file.durable] {
            match content.get_mut(offset) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => return false,
            }
        }
        true
    }

    /// Every path with the bytes that programs see; folders have none.
    pub fn image(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let state = self.state();
        let content = |node: &Node| match node {
            Node::File(file) => Some(state.files[*file].live.clone()),
            Node::Folder => None,
        };
        state.live.iter().map(|(path, node)| (path.clone(), content(node))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    /// Counts a call, and fails it where it is its turn.
    fn call(&self, name: &str, path: &str) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.begin(name, path)?;
        Ok(state)
    }
}

impl State {
    fn begin(&mut self, name: &str, path: &str) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        let said = crc32c::crc32c_append(crc32c::crc32c(name.as_bytes()), path.as_bytes());
        self.stir(u64::from(said));
        if self.cut_at.is_some_and(|at| at <= call) {
            self.is_off = true;
        }
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        if self.is_dead || self.die_at.is_some_and(|at| at <= call) {
            self.is_dead = true;
            return Err(io::Error::other("the process was killed"));
        }
        if let Some((at, kind)) = self.fail_at
            && at <= call
        {
            self.fail_at = None;
            self.faults += 1;
            return Err(kind.into());
        }
        Ok(())
    }

    fn stir(&mut self, said: u64) {
        self.trace = Random(self.trace ^ said).next();
    }

    fn used(&self) -> u64 {
        let files = self.live.values().filter_map(|node| match node {
            Node::File(file) => Some(self.files[*file].live.len() as u64),
            Node::Folder => None,
        });
        files.sum()
    }

    fn file(&self, path: &str) -> io::Result<usize> {
        match self.live.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn sync_folder(&mut self, folder: &str) {
        let (synced, others) = self.pending.drain(..).partition::<Vec<_>, _>(|change| change.folder() == folder);
        self.pending = others;
        synced.iter().for_each(|change| change.apply(&mut self.durable));
    }
}

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
        self.call("sync_folder", path)?.sync_folder(path);
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
    fn call(&self, name: &str) -> (MutexGuard<'_, State>, io::Result<()>) {
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
        let file = &mut state.files[self.file];
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
