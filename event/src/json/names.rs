//! `Names`: the names a reader has met, each a number, so that a name is told by one comparison with the one
//! expected at its place.
//!
//! In: keys, each with the name of the object it stands in. Out: numbers, dense from 0, the same for the same name
//! as long as the [`Names::generation`] lasts. Promise: one document cannot make it grow past [`NAMES_MAX`] and
//! [`NAMES_BYTES_MAX`]; where it would, everything is forgotten or the plain reader reads the document.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

use super::PATH_BYTES_MAX;
use super::reader::end_of_plain;

/// How many names a reader knows.
pub const NAMES_MAX: usize = 4096;
/// How many bytes of names a reader keeps.
pub const NAMES_BYTES_MAX: usize = 1 << 18;
/// The object that is the document.
pub(super) const ROOT: u32 = u32::MAX;

static GENERATIONS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct Names {
    known: Vec<Known>,
    /// Names by hash, open addressing: number and 1; 0 is free. A power of two, at most half of it taken.
    slots: Vec<u32>,
    bytes: usize,
    hashes: RandomState,
    generation: u64,
    /// The number of the document being read.
    document: u64,
    /// The name that came first in the last document.
    first: u32,
}

/// A key in an object.
#[derive(Debug)]
struct Known {
    hash: u64,
    /// The object it stands in.
    parent: u32,
    /// All keys down to this one, with dots between.
    name: Box<str>,
    /// Where this key begins in the name.
    key_at: usize,
    /// The key of the document itself that is written like this name; itself where it is one.
    flat: u32,
    /// It stands in a text as it is.
    is_plain: bool,
    /// The name that followed the last time.
    next: u32,
    /// The last document that had a leaf of this name, and where that stood. For keys of the document only.
    seen: (u64, usize),
}

impl Known {
    fn key(&self) -> &str {
        self.name.get(self.key_at..).unwrap_or_default()
    }
}

impl Default for Names {
    fn default() -> Names {
        Names {
            known: Vec::new(),
            slots: vec![0; 64],
            bytes: 0,
            hashes: RandomState::default(),
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            document: 1,
            first: 0,
        }
    }
}

impl Names {
    /// Before each document. Forgets everything where too much is known.
    pub fn begin(&mut self) {
        if NAMES_MAX < self.known.len() || NAMES_BYTES_MAX < self.bytes {
            *self = Names::default();
        }
        self.document += 1;
    }

    /// Tells these numbers from those given out before all was forgotten, and from those of other readers.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The name of a number.
    #[inline]
    pub fn name(&self, number: u32) -> &str {
        self.known.get(index(number)).map_or("", |known| &known.name)
    }

    /// The key of the document that is written like this name.
    #[inline]
    pub fn flat(&self, number: u32) -> u32 {
        self.known.get(index(number)).map_or(number, |known| known.flat)
    }

    /// The name expected behind `before`, where a text goes on with it and a quote; also how long its key is.
    #[inline]
    pub fn expected(&self, before: u32, parent: u32, text: &[u8]) -> Option<(u32, usize)> {
        let next = self.known.get(index(before)).map_or(self.first, |known| known.next);
        let known = self.known.get(index(next)).filter(|known| known.parent == parent && known.is_plain)?;
        let after = text.strip_prefix(known.key().as_bytes())?;
        (after.first() == Some(&b'"')).then_some((next, known.key().len()))
    }

    /// The number of a key, learned where it is new; `None` where there is no room. It stood behind `before`.
    pub fn number(&mut self, before: u32, parent: u32, key: &str) -> Option<u32> {
        let number = match self.find(parent, key) {
            Ok(number) => number,
            Err(_free) => self.learn(parent, key)?,
        };
        match self.known.get_mut(index(before)) {
            Some(known) => known.next = number,
            None => self.first = number,
        }
        Some(number)
    }

    /// The number of a name that is written like a key of the document, whatever there is room for.
    pub fn hold(&mut self, name: &str) -> u32 {
        match self.find(ROOT, name) {
            Ok(number) => number,
            Err(_free) => self.add(ROOT, name.into(), 0),
        }
    }

    /// The number of a key of the document, where it is known.
    pub fn lookup(&self, name: &str) -> Option<u32> {
        self.find(ROOT, name).ok()
    }

    /// Where this document's leaf of a name stands. The name is a key of the document.
    #[inline]
    pub fn place(&self, number: u32) -> Option<usize> {
        let known = self.known.get(index(number))?;
        (known.seen.0 == self.document).then_some(known.seen.1)
    }

    /// This document's leaf of the name stands here.
    #[inline]
    pub fn set_place(&mut self, number: u32, at: usize) {
        if let Some(known) = self.known.get_mut(index(number)) {
            known.seen = (self.document, at);
        }
    }

    fn hash(&self, parent: u32, key: &str) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        hasher.write_u32(parent);
        hasher.write(key.as_bytes());
        hasher.finish()
    }

    /// The number of a key, or the free slot that is for it.
    fn find(&self, parent: u32, key: &str) -> Result<u32, usize> {
        let hash = self.hash(parent, key);
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = slot_of(hash) & mask;
        loop {
            let number = match self.slots.get(slot) {
                None | Some(0) => return Err(slot),
                Some(place) => *place - 1,
            };
            match self.known.get(index(number)) {
                Some(known) if known.hash != hash || known.parent != parent || known.key() != key => {}
                _ => return Ok(number),
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn learn(&mut self, parent: u32, key: &str) -> Option<u32> {
        let above = if parent == ROOT { "" } else { self.name(parent) };
        let length = above.len() + 1 + key.len();
        // Twice: a name of several keys is learned as the document's key that is written like it, too.
        let is_too_much = NAMES_MAX < self.known.len() + 2 || NAMES_BYTES_MAX < self.bytes + 2 * length;
        if is_too_much || (parent != ROOT && PATH_BYTES_MAX < length) {
            return None;
        }
        if parent == ROOT {
            return Some(self.add(ROOT, key.into(), 0));
        }
        let name = [above, ".", key].concat();
        let flat = self.hold(&name);
        let number = self.add(parent, name.into(), length - key.len());
        self.known[index(number)].flat = flat;
        Some(number)
    }

    fn add(&mut self, parent: u32, name: Box<str>, key_at: usize) -> u32 {
        let number = u32::try_from(self.known.len()).unwrap_or(ROOT - 1);
        let key = name.get(key_at..).unwrap_or_default();
        let (hash, is_plain) = (self.hash(parent, key), end_of_plain(key.as_bytes(), 0) == key.len());
        self.bytes += name.len();
        self.known.push(Known { hash, parent, name, key_at, flat: number, is_plain, next: 0, seen: (0, 0) });
        if self.slots.len() < self.known.len() * 2 {
            let length = self.slots.len() * 2;
            self.slots.clear();
            self.slots.resize(length, 0);
            for (known, place) in self.known.iter().zip(1u32..) {
                note(&mut self.slots, known.hash, place);
            }
        } else {
            note(&mut self.slots, hash, number + 1);
        }
        number
    }
}

fn note(slots: &mut [u32], hash: u64, place: u32) {
    let mask = slots.len() - 1;
    let mut slot = slot_of(hash) & mask;
    while slots[slot] != 0 {
        slot = (slot + 1) & mask;
    }
    slots[slot] = place;
}

fn slot_of(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default()
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
