//! `IndexHead`: what is read of an index before the index itself: which fields the segment has, and the filter over its
//! terms. In: the file of the index. Out: no, or maybe. Promise: a no is true. Reading one answer costs one block of
//! the file. Failure: the disk's, or a damaged block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::INDEX_FILE;
use super::bloom::{self, BLOCK, Kind};
use super::bundle::{BLOOM, Bundle, Contents};
use super::cache::Cache;
use super::checked_file::CheckedFile;
use super::meta::SegmentMeta;
use super::stands::Stand;
use super::terms::OVERFLOW;
use crate::disk::Disk;
use crate::error::ReadError;

const HEADS_BYTES_MAX: usize = 32 << 20;
/// What a key takes besides its bytes, roughly.
const KEY_BYTES: usize = 48;

static HEADS: Cache<IndexHead> = Cache::new(HEADS_BYTES_MAX);
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// The head of an index.
pub struct IndexHead {
    bundle: Bundle,
    contents: Contents,
    /// How many blocks its filter has; 0 where it was written before there were filters.
    blocks: usize,
    /// Some rows are not fully indexed, so no word is surely not there.
    has_overflow: bool,
}

impl IndexHead {
    fn open(disk: Arc<dyn Disk>, meta: &SegmentMeta) -> Result<IndexHead, ReadError> {
        let (bundle, contents) = Bundle::on_disk(CheckedFile::open(disk, meta, INDEX_FILE)?)?;
        let bytes = bundle.length_of(BLOOM).unwrap_or(0);
        let blocks = usize::try_from(bytes).unwrap_or(0) / BLOCK;
        let mut head = IndexHead { bundle, contents, blocks, has_overflow: false };
        head.has_overflow = head.may_hold(Kind::Exact, OVERFLOW.as_bytes())?;
        Ok(head)
    }

    fn size(&self) -> usize {
        let keys = self.contents.keys.iter().flatten().chain(&self.contents.covering);
        let stands =
            self.contents.stands.iter().flat_map(|(key, by)| [key].into_iter().chain(by.iter().map(|one| &one.key)));
        keys.chain(stands).map(|key| key.len() + KEY_BYTES).sum::<usize>()
            + size_of_val(self.contents.shapes.as_slice())
            + 1024
    }

    /// A term of this kind may be in the index.
    ///
    /// # Errors
    /// The filter cannot be read, or is damaged.
    pub fn may_hold(&self, kind: Kind, term: &[u8]) -> Result<bool, ReadError> {
        if self.blocks == 0 {
            return Ok(true);
        }
        let hash = bloom::hash(kind, term);
        let begin = (bloom::block_of(hash, self.blocks) * BLOCK) as u64;
        let block = self.bundle.read(BLOOM, begin..begin + BLOCK as u64)?;
        Ok(bloom::may_hold(&block, hash))
    }

    /// The filter has the words of a value of a field whose values are searched for words, not the value.
    pub fn has_values_by_words(&self) -> bool {
        self.contents.has_values_by_words()
    }

    /// Rows that are not fully indexed may be there; each of them is looked at for every query.
    pub fn has_overflow(&self) -> bool {
        self.has_overflow
    }

    /// The fields whose exact terms stand for some of this key.
    pub fn stands_for(&self, key: &str) -> &[Stand] {
        self.contents.stands_for(key)
    }

    /// No row of the segment has a field of this key.
    pub fn lacks(&self, key: &str) -> bool {
        self.contents.lacks(key)
    }
}

/// The head of the index of one segment, kept for the next question among those of others.
pub struct KeptHead(u64);

/// One that is not read yet.
impl Default for KeptHead {
    fn default() -> KeptHead {
        KeptHead(NUMBERS.fetch_add(1, Ordering::Relaxed))
    }
}

impl KeptHead {
    /// The head.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn get(&self, disk: &Arc<dyn Disk>, meta: &SegmentMeta) -> Result<Arc<IndexHead>, ReadError> {
        HEADS.get(self.0, || {
            let head = IndexHead::open(disk.clone(), meta)?;
            let size = head.size();
            Ok((head, size))
        })
    }
}

impl Drop for KeptHead {
    fn drop(&mut self) {
        HEADS.forget(self.0);
    }
}
