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
//!   simulator notices. So is one kind of sync that does nothing ([`SimDisk::leave_out`]).
//!
//! What is to happen beside a call (another process looks, the clock jumps, the call hangs) is a hook
//! ([`SimDisk::hook_at`], [`SimDisk::on_each_call`]).
//!
//! Not modelled: short reads ([`Disk::read_range`] promises all or an error), damaged folders, and a
//! folder sync that fails and makes a later one lie (journaling file systems retry or go read-only).

mod calls;
mod content;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

pub use self::content::Random;
use self::content::{Bytes, Change, NameChange, Node};
use super::folder_of;

/// A disk in memory. A clone is the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What is done once, at a call, before it.
type Hook = Box<dyn FnOnce() + Send>;

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What the program was doing ([`SimDisk::set_moment`]).
    pub moment: &'static str,
    /// The name of the call.
    pub name: &'static str,
    /// The file or folder.
    pub path: String,
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
    /// From that call on each one fails.
    fail_from: Option<(u64, io::ErrorKind)>,
    /// From that call on nothing more fits.
    fill_at: Option<u64>,
    capacity: u64,
    is_sync_ignored: bool,
    trace: u64,
    moment: &'static str,
    /// The calls made, where they are written down.
    log: Option<Vec<Call>>,
    hook: Option<(u64, Hook)>,
    each: Option<Arc<dyn Fn() + Send + Sync>>,
    left_out: Option<String>,
    /// How often each kind of sync was asked for.
    syncs: BTreeMap<String, u64>,
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
            fail_from: None,
            fill_at: None,
            is_sync_ignored: false,
            trace: 0,
            moment: "",
            log: None,
            hook: None,
            each: None,
            left_out: None,
            syncs: BTreeMap::new(),
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

    /// Lets that call and all after it fail, until [`SimDisk::calm`].
    pub fn fail_from(&self, call: u64, kind: io::ErrorKind) {
        self.state().fail_from = Some((call, kind));
    }

    /// At that call the disk is full with what it has then, until [`SimDisk::calm`].
    pub fn fill_at(&self, call: u64) {
        self.state().fill_at = Some(call);
    }

    /// Takes back every fault that is set and every hook; not [`SimDisk::leave_out`].
    pub fn calm(&self) {
        let mut state = self.state();
        (state.fail_at, state.cut_at, state.die_at, state.capacity) = (None, None, None, u64::MAX);
        (state.fail_from, state.fill_at) = (None, None);
        (state.hook, state.each) = (None, None);
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

    /// From now on this kind of sync says `Ok` and does nothing. The kinds: [`SimDisk::syncs`].
    pub fn leave_out(&self, place: &str) {
        self.state().left_out = Some(place.to_owned());
    }

    /// The kinds of sync that were asked for, and how often. A kind is the file or folder (numbers in names left out), for
    /// a log file also what of it is synced, and whether it was while a store was opened.
    pub fn syncs(&self) -> BTreeMap<String, u64> {
        self.state().syncs.clone()
    }

    /// Says what the program does from now on; while it is `recovery` kinds of sync are others.
    pub fn set_moment(&self, moment: &'static str) {
        self.state().moment = moment;
    }

    /// What the program does now.
    pub fn moment(&self) -> &'static str {
        self.state().moment
    }

    /// Writes down every call from now on.
    pub fn record(&self) {
        self.state().log = Some(Vec::new());
    }

    /// The calls written down since [`SimDisk::record`].
    pub fn recorded(&self) -> Vec<Call> {
        self.state().log.clone().unwrap_or_default()
    }

    /// Runs this once before that call, which waits; it may use the disk.
    pub fn hook_at(&self, call: u64, hook: impl FnOnce() + Send + 'static) {
        self.state().hook = Some((call, Box::new(hook)));
    }

    /// Runs this before each call.
    pub fn on_each_call(&self, each: impl Fn() + Send + Sync + 'static) {
        self.state().each = Some(Arc::new(each));
    }

    fn run_hook(&self) {
        let mut state = self.state();
        let each = state.each.clone();
        let calls = state.calls;
        let hook = state.hook.take_if(|(at, _)| *at <= calls);
        drop(state);
        if let Some(each) = each {
            each();
        }
        if let Some((_, hook)) = hook {
            hook();
        }
    }

    /// Somebody holds the lock of this name.
    pub fn is_locked(&self, path: &str) -> bool {
        self.state().locks.contains(path)
    }

    /// Another disk with everything this one has, and none of its hooks.
    pub fn fork(&self) -> SimDisk {
        let state = self.state();
        let fork = State {
            random: state.random.clone(),
            files: state.files.clone(),
            live: state.live.clone(),
            durable: state.durable.clone(),
            pending: state.pending.clone(),
            locks: state.locks.clone(),
            log: None,
            hook: None,
            each: None,
            left_out: state.left_out.clone(),
            syncs: BTreeMap::new(),
            ..*state
        };
        SimDisk { state: Arc::new(Mutex::new(fork)) }
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
    fn call(&self, name: &'static str, path: &str) -> io::Result<MutexGuard<'_, State>> {
        self.run_hook();
        let mut state = self.state();
        state.begin(name, path)?;
        Ok(state)
    }
}

impl State {
    fn begin(&mut self, name: &'static str, path: &str) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        if let Some(log) = &mut self.log {
            log.push(Call { moment: self.moment, name, path: path.to_owned() });
        }
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
        if let Some((_, kind)) = self.fail_from.filter(|(at, _)| *at <= call) {
            self.faults += 1;
            return Err(kind.into());
        }
        if self.fill_at.take_if(|at| *at <= call).is_some() {
            self.capacity = self.used();
        }
        Ok(())
    }

    fn place_of_file(&self, path: &str, file: usize) -> String {
        let file = &self.files[file];
        let place = match folder_of(path) {
            "log" if !file.was_synced => "header of a log file".to_owned(),
            "log" if matches!(file.pending.last(), Some(Change::Truncate(_))) => "a log file cut back".to_owned(),
            "log" if self.moment == "recovery" => "last frame of the log".to_owned(),
            "log" => "frame of the log".to_owned(),
            "proof" => path.to_owned(),
            folder => format!("file in {}", without_numbers(folder)),
        };
        self.in_moment(place)
    }

    fn place_of_folder(&self, path: &str) -> String {
        let place = match path {
            "" => "folder of the store".to_owned(),
            path => format!("folder {}", without_numbers(path)),
        };
        self.in_moment(place)
    }

    fn in_moment(&self, place: String) -> String {
        if self.moment == "recovery" { format!("{place}, recovery") } else { place }
    }

    /// Counts a sync, and says whether it is one that does nothing.
    fn leaves_out(&mut self, place: String) -> bool {
        let is_left_out = self.left_out.as_ref() == Some(&place);
        *self.syncs.entry(place).or_default() += 1;
        is_left_out
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

fn without_numbers(path: &str) -> String {
    let is_number = |name: &str| name.starts_with(|first: char| first.is_ascii_digit());
    path.split('/').map(|name| if is_number(name) { "*" } else { name }).collect::<Vec<_>>().join("/")
}
