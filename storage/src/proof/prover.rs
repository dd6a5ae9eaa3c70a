//! `Prover`: keeps the log in step with the store and signs its heads. In: each manifest that became the newest, the
//! register's state, documents. Out: entries and heads, durable. Promise: a seal never fails because of it: what cannot
//! be written now waits and is said in [`ProofState`]; a log that is damaged is not gone on with.

use std::collections::{BTreeMap, BTreeSet};

use nhatle_event::Timestamp;

use super::entry::{Entry, Leaf, SegmentEntry, unhex};
use super::head::{Head, SignedHead, origin_of};
use super::log::{self, ProofLog};
use super::note::{KeyKind, SigningKey, VerifierKey};
use super::tree::Hash;
use crate::disk::Disk;
use crate::error::{ReadError, WriteError};
use crate::manifest::Manifest;

/// How many entries may wait for the disk; past that the log is given up until the store is opened again.
pub const WAITING_MAX: usize = 65_536;
/// How many entries at the end of the log are looked through for segments whose leaf the manifest does not say.
const TAIL_MAX: u64 = 4096;

/// How the proof stands, for the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProofState {
    /// The newest head.
    pub newest: Option<SignedHead>,
    /// The key it is signed with.
    pub key: Option<VerifierKey>,
    /// Entries in the log.
    pub size: u64,
    /// Entries that wait for the disk.
    pub waiting: usize,
    /// Why the log is not gone on with, or why entries wait.
    pub trouble: Option<String>,
}

/// See the module.
#[derive(Default)]
pub struct Prover {
    log: Option<ProofLog>,
    key: Option<(String, SigningKey)>,
    waiting: Vec<Entry>,
    /// Segments of before, with the leaves the manifest says, until the log could be opened to see which it has.
    unsure: Vec<(SegmentEntry, Option<u64>)>,
    /// Segments whose dropping is in the log already.
    announced: BTreeSet<String>,
    trouble: Option<String>,
    is_broken: bool,
    register: Option<(u64, Hash)>,
}

impl Prover {
    /// Opens the log beside the manifest that recovery found. What is missing in it waits for the first entry of this life.
    pub fn open(disk: &dyn Disk, manifest: &mut Manifest) -> Prover {
        let unsure = manifest.segments.iter().map(|meta| (SegmentEntry::of(meta), meta.leaf)).collect();
        let mut prover = Prover { unsure, ..Prover::default() };
        prover.open_log(disk);
        let leaves = prover.settle(disk);
        for meta in &mut manifest.segments {
            meta.leaf = leaves.get(&meta.dir).copied().or(meta.leaf);
        }
        prover
    }

    /// Segments that the open log has not wait to be written down, before all else. Gives the leaves of those that were not known
    /// to be in it.
    fn settle(&mut self, disk: &dyn Disk) -> BTreeMap<String, u64> {
        let Some(size) = self.log.as_ref().map(ProofLog::size) else { return BTreeMap::new() };
        let mut unsure = std::mem::take(&mut self.unsure);
        let is_unknown = |leaf: Option<u64>| leaf.is_none_or(|leaf| size <= leaf);
        unsure.retain(|(_, leaf)| is_unknown(*leaf));
        if unsure.is_empty() {
            return BTreeMap::new();
        }
        let mut leaves = match segments_of_tail(disk, size) {
            Ok(tail) => tail,
            Err(error @ ReadError::Io { .. }) => {
                self.trouble = Some(error.to_string());
                (self.log, self.unsure) = (None, unsure);
                return BTreeMap::new();
            }
            Err(error) => {
                self.give_up(&error.to_string());
                return BTreeMap::new();
            }
        };
        unsure.retain(|(entry, _)| !leaves.contains_key(&entry.dir));
        leaves.extend((size..).zip(&unsure).map(|(leaf, (entry, _))| (entry.dir.clone(), leaf)));
        self.waiting.splice(0..0, unsure.into_iter().map(|(entry, _)| Entry::Segment(entry)));
        leaves
    }

    /// How it stands.
    pub fn state(&self) -> ProofState {
        ProofState {
            newest: self.log.as_ref().and_then(|log| log.newest().cloned()),
            key: self.key.as_ref().map(|(origin, key)| key.verifier(origin, KeyKind::Note)),
            size: self.log.as_ref().map_or(0, ProofLog::size),
            waiting: self.waiting.len(),
            trouble: self.trouble.clone(),
        }
    }

    /// The newest head.
    pub fn newest(&self) -> Option<&SignedHead> {
        self.log.as_ref()?.newest()
    }

    /// Signs heads with this key from now on.
    pub fn sign_with(&mut self, disk: &dyn Disk, key: SigningKey, now: Timestamp) {
        let newest = self.newest();
        let origin = newest.map_or_else(|| origin_of(&key.public()), |newest| newest.head.origin.clone());
        let is_known = newest.is_some_and(|newest| newest.check(&key.public()).is_ok());
        if !is_known {
            let text = key.verifier(&origin, KeyKind::Note).text();
            self.waiting.push(Entry::Key { origin: origin.clone(), key: text });
        }
        self.key = Some((origin, key));
        self.flush(disk);
        self.sign(disk, now);
    }

    /// Goes on with another key. The entry that names it is under a head that both keys signed, so that whoever knows the
    /// old one can trust the new one.
    ///
    /// # Errors
    /// There is no key to go on from, or it could not be written; then the old one stays.
    pub fn replace_key(
        &mut self,
        disk: &dyn Disk,
        next: SigningKey,
        now: Timestamp,
    ) -> Result<VerifierKey, WriteError> {
        let unwritable = |reason: &str| WriteError::Unwritable { file: log::LOG.to_owned(), reason: reason.to_owned() };
        let origin = match &self.key {
            Some((origin, _)) => origin.clone(),
            None => return Err(unwritable("no key signs it yet")),
        };
        let verifier = next.verifier(&origin, KeyKind::Note);
        self.append(disk, Entry::Key { origin: origin.clone(), key: verifier.text() })?;
        let (Some(log), Some((_, old))) = (&mut self.log, &self.key) else { return Err(unwritable("it was given up")) };
        let head = Head { origin: origin.clone(), size: log.size(), root: log.root(), at: Some(now), writer: Some(0) };
        let mut signed = SignedHead::sign(head, old);
        let by_next = next.sign(&origin, &signed.note.text);
        signed.note.signatures.push(by_next);
        log.append_head(disk, signed)?;
        self.key = Some((origin, next));
        Ok(verifier)
    }

    /// Writes down what the step from one manifest to the next one did, and signs it. Sets the leaf of each segment.
    pub fn follow(&mut self, disk: &dyn Disk, before: &Manifest, next: &mut Manifest, now: Timestamp) {
        let known: BTreeMap<&str, Option<u64>> =
            before.segments.iter().map(|meta| (meta.dir.as_str(), meta.leaf)).collect();
        let mut gone: BTreeSet<String> = known.keys().map(|dir| (*dir).to_owned()).collect();
        for meta in &mut next.segments {
            gone.remove(&meta.dir);
            match known.get(meta.dir.as_str()) {
                Some(leaf) => meta.leaf = *leaf,
                None => {
                    meta.leaf = self.next_leaf();
                    let entry = SegmentEntry::of(meta);
                    gone.retain(|dir| !entry.replaces.contains(dir));
                    self.waiting.push(Entry::Segment(entry));
                }
            }
        }
        gone.retain(|dir| !self.announced.remove(dir));
        if !gone.is_empty() {
            let dirs = gone.into_iter().collect();
            self.waiting.push(Entry::Dropped { dirs, reason: "not said".to_owned(), at_ns: now.0 });
        }
        self.flush(disk);
        self.sign(disk, now);
    }

    /// Writes down that segments will be dropped, before they are: afterwards nobody could tell them from lost ones.
    ///
    /// # Errors
    /// It could not be written down; then they must stay.
    pub fn announce_drop(
        &mut self,
        disk: &dyn Disk,
        dirs: &[String],
        reason: &str,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        self.announce(disk, Entry::Dropped { dirs: dirs.to_vec(), reason: reason.to_owned(), at_ns: now.0 })?;
        self.announced.extend(dirs.iter().cloned());
        Ok(())
    }

    /// Writes down what is going to be done, before it is.
    ///
    /// # Errors
    /// It could not be written down; then it must not be done.
    pub fn announce(&mut self, disk: &dyn Disk, entry: Entry) -> Result<(), WriteError> {
        self.append(disk, entry)
    }

    /// Writes down the register as it is, where it is not as it was written down last. Says whether it did.
    ///
    /// # Errors
    /// It could not be written down.
    pub fn record_register(
        &mut self,
        disk: &dyn Disk,
        (rows, head, root): (u64, Hash, Hash),
        now: Timestamp,
    ) -> Result<bool, WriteError> {
        if self.register.is_none() {
            // Another life may have written it down.
            self.register = self.log.as_ref().and_then(|log| register_of_tail(disk, log.size()));
        }
        if self.register == Some((rows, head)) {
            self.sign(disk, now);
            return Ok(false);
        }
        self.append(disk, Entry::register(rows, &head, &root, now))?;
        self.register = Some((rows, head));
        self.sign(disk, now);
        Ok(true)
    }

    /// Writes down a file that leaves the house.
    ///
    /// # Errors
    /// It could not be written down.
    pub fn record_document(
        &mut self,
        disk: &dyn Disk,
        (name, bytes, sha256): (String, u64, String),
        now: Timestamp,
    ) -> Result<(), WriteError> {
        self.append(disk, Entry::Document { name, bytes, sha256, at_ns: now.0 })?;
        self.sign(disk, now);
        Ok(())
    }

    /// Signs the log as it is, where no head covers it yet.
    pub fn sign(&mut self, disk: &dyn Disk, now: Timestamp) {
        let (Some(log), Some((origin, key))) = (&mut self.log, &self.key) else { return };
        if !self.waiting.is_empty() || log.newest().map_or(0, |newest| newest.head.size) == log.size() {
            return;
        }
        let head = Head { origin: origin.clone(), size: log.size(), root: log.root(), at: Some(now), writer: Some(0) };
        if let Err(error) = log.append_head(disk, SignedHead::sign(head, key)) {
            tracing::warn!(%error, "a head of the proof could not be written; tried again later");
            self.trouble = Some(error.to_string());
        }
    }

    /// Tries again what waits.
    pub fn flush(&mut self, disk: &dyn Disk) {
        if self.is_broken {
            return;
        }
        if self.log.is_none() {
            self.open_log(disk);
            self.settle(disk);
        }
        let Some(log) = &mut self.log else { return };
        match log.append(disk, &self.waiting) {
            Ok(()) => {
                self.waiting.clear();
                self.trouble = None;
            }
            Err(error) => {
                tracing::warn!(%error, waiting = self.waiting.len(), "the proof is behind; tried again later");
                self.trouble = Some(error.to_string());
                if WAITING_MAX < self.waiting.len() {
                    self.give_up(&error.to_string());
                }
            }
        }
    }

    fn append(&mut self, disk: &dyn Disk, entry: Entry) -> Result<(), WriteError> {
        self.flush(disk);
        let unwritable = |reason: String| WriteError::Unwritable { file: log::LOG.to_owned(), reason };
        if !self.waiting.is_empty() || self.is_broken {
            let trouble = self.trouble.clone().unwrap_or_default();
            return Err(unwritable(format!("what came before could not be written: {trouble}")));
        }
        let log = self.log.as_mut().ok_or_else(|| unwritable("it could not be opened".to_owned()))?;
        log.append(disk, &[entry])
    }

    /// The number of the next entry; `None` while nobody knows how many there are.
    fn next_leaf(&self) -> Option<u64> {
        Some(self.log.as_ref()?.size() + self.waiting.len() as u64)
    }

    fn open_log(&mut self, disk: &dyn Disk) {
        match ProofLog::open(disk) {
            Ok(log) => self.log = Some(log),
            Err(
                error @ (WriteError::Io { .. } | WriteError::DiskFull { .. } | WriteError::Read(ReadError::Io { .. })),
            ) => {
                tracing::warn!(%error, "the log of the proof could not be opened; tried again later");
                self.trouble = Some(error.to_string());
            }
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    fn give_up(&mut self, reason: &str) {
        tracing::error!(reason, "the log of the proof is damaged and not gone on with; see nhatle verify");
        self.trouble = Some(reason.to_owned());
        self.is_broken = true;
        self.log = None;
        self.waiting.clear();
        self.unsure.clear();
    }
}

/// The leaves of the segments that the end of the log names.
fn segments_of_tail(disk: &dyn Disk, size: u64) -> Result<BTreeMap<String, u64>, ReadError> {
    let mut found = BTreeMap::new();
    for line in log::lines_from(disk, size.saturating_sub(TAIL_MAX))? {
        if let Ok(Leaf { leaf, entry: Entry::Segment(segment) }) = Leaf::parse(&line) {
            found.insert(segment.dir, leaf);
        }
    }
    Ok(found)
}

/// The newest state of the register that the end of the log says. Nothing where it cannot be read: it is written anew then.
fn register_of_tail(disk: &dyn Disk, size: u64) -> Option<(u64, Hash)> {
    let lines = log::lines_from(disk, size.saturating_sub(TAIL_MAX)).ok()?;
    lines.iter().rev().filter_map(|line| Leaf::parse(line).ok()).find_map(|leaf| match leaf.entry {
        Entry::Register { rows, head, .. } => Some((rows, unhex(&head)?)),
        _ => None,
    })
}
