//! What a simulated disk is made of: files with what programs see, what is durable and what is between; names likewise;
//! and the dice that say what of the pending a power cut keeps.

use std::collections::BTreeMap;

use super::super::folder_of;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(usize),
    Folder,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Put(String, Node),
    Remove(String),
    Rename { from: String, to: String, node: Node },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    pub live: Vec<u8>,
    pub durable: Vec<u8>,
    pub pending: Vec<Change>,
    /// It was synced once.
    pub was_synced: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Change {
    pub fn apply(&self, content: &mut Vec<u8>) {
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
    pub fn apply_some(&self, content: &mut Vec<u8>, random: &mut Random) {
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
    pub fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            NameChange::Put(path, node) => drop(names.insert(path.clone(), *node)),
            NameChange::Remove(path) => drop(names.remove(path)),
            NameChange::Rename { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }

    pub fn folder(&self) -> &str {
        match self {
            NameChange::Put(path, _) | NameChange::Remove(path) => folder_of(path),
            NameChange::Rename { to, .. } => folder_of(to),
        }
    }
}
