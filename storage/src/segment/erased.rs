//! `erased.leaves`: which events of a segment had something erased, with the leaf each had when it was sealed, so that the
//! segment's root and every proof of it stay true, and the leaf it has now, so that what is left is still checked. In: records.
//! Out: a small file of text beside the rows; a segment in which nothing was erased has none. Format:
//! `docs/format/segment.md`. Why: ADR 38. Failure: [`ReadError`] with the line.
//!
//! ```text
//! nhatle erased 1
//! <Seq> <leaf as sealed> <leaf as it is now> <erasure>[,<erasure>…]        in order of Seq
//! ```

use std::collections::HashMap;

use nhatle_event::json::hex;
use nhatle_event::{Seq, Stored};

use super::meta::{FileMeta, SegmentMeta, write_file};
use crate::disk::Disk;
use crate::erase::Erasure;
use crate::error::{ReadError, WriteError};
use crate::proof::canonical::Canonical;
use crate::proof::entry::unhex;
use crate::proof::tree::{Hash, Tree, leaf_hash};

/// The file, where a segment has one.
pub const ERASED_FILE: &str = "erased.leaves";
const TITLE: &str = "nhatle erased 1";
/// How many erasures may have touched one event; one more is refused by whoever erases.
pub const ERASURES_MAX: usize = 256;

/// One event of which something was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub seq: Seq,
    /// The hash of its leaf as it was sealed.
    pub leaf: Hash,
    /// The hash of the leaf that it would have as it is now.
    pub now: Hash,
    /// The erasures that touched it, ascending.
    pub erasures: Vec<u64>,
}

/// All of them in one segment, in order of `Seq`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    kept: Vec<Kept>,
}

impl Erased {
    /// What a segment has; nothing where it has no such file.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn read(disk: &dyn Disk, meta: &SegmentMeta) -> Result<Erased, ReadError> {
        if meta.file(ERASED_FILE).is_none() {
            return Ok(Erased::default());
        }
        let bytes = meta.read_file(disk, ERASED_FILE)?;
        let unreadable = |reason: String| ReadError::Unreadable { file: meta.path(ERASED_FILE), reason };
        let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(unreadable(format!("it does not begin with the line {TITLE}")));
        }
        let mut erased = Erased::default();
        for (number, line) in (2u64..).zip(lines) {
            let kept = parse(line).ok_or_else(|| unreadable(format!("line {number} is none")))?;
            if erased.kept.last().is_some_and(|last| kept.seq <= last.seq) {
                return Err(unreadable(format!("line {number} is not in order")));
            }
            erased.kept.push(kept);
        }
        Ok(erased)
    }

    /// Writes the file of a new segment durably; `None` where there is nothing to say.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(mut self, disk: &dyn Disk, dir: &str) -> Result<Option<FileMeta>, WriteError> {
        if self.kept.is_empty() {
            return Ok(None);
        }
        self.kept.sort_unstable_by_key(|kept| kept.seq);
        let mut text = format!("{TITLE}\n");
        for Kept { seq, leaf, now, erasures } in &self.kept {
            let numbers = erasures.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            text.push_str(&format!("{seq} {} {} {numbers}\n", hex(leaf), hex(now)));
        }
        write_file(disk, dir, ERASED_FILE, text.as_bytes()).map(Some)
    }

    /// Nothing was erased.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> &[Kept] {
        &self.kept
    }

    /// What is kept of this event.
    pub fn of(&self, seq: Seq) -> Option<&Kept> {
        let at = self.kept.binary_search_by_key(&seq, |kept| kept.seq).ok()?;
        self.kept.get(at)
    }

    /// One more; whoever adds out of order sorts by [`Erased::write`].
    pub fn push(&mut self, kept: Kept) {
        self.kept.push(kept);
    }

    /// The leaf that counts for the root of an event that now comes to `made`: the one it was sealed with, where it is one
    /// that was erased and what is left of it is as it was left.
    pub fn counts(&self, seq: Seq, made: Hash) -> Hash {
        self.of(seq).filter(|kept| kept.now == made).map_or(made, |kept| kept.leaf)
    }

    /// The records of one erasure from one `Seq` to another, and the root over them.
    pub fn of_erasure(&self, erasure: u64, first: Seq, last: Seq) -> (Vec<&Kept>, Hash) {
        let is_it = |kept: &&Kept| (first..=last).contains(&kept.seq) && kept.erasures.contains(&erasure);
        let found: Vec<&Kept> = self.kept.iter().filter(is_it).collect();
        let root = root(found.iter().map(|kept| (kept.seq, kept.leaf)));
        (found, root)
    }
}

/// Keeps leaves while segments are written anew: each row is first changed, where it is to be, and then asked for its leaf.
#[derive(Default)]
pub struct Keeper {
    before: Erased,
    /// Changed and not asked for yet: the leaf as sealed, and the erasures.
    changed: HashMap<Seq, (Hash, Vec<u64>)>,
    kept: Erased,
    canonical: Canonical,
}

impl Keeper {
    /// Of segments in which this was erased before.
    pub fn of(inputs: impl Iterator<Item = Erased>) -> Keeper {
        let mut before = Erased { kept: inputs.flat_map(|input| input.kept).collect() };
        before.kept.sort_unstable_by_key(|kept| kept.seq);
        Keeper { before, ..Keeper::default() }
    }

    /// Erases in an event what is to be erased.
    ///
    /// # Errors
    /// More erasures touched it than are kept; the reason.
    pub fn erase(&mut self, stored: &mut Stored, erasure: &Erasure<'_>) -> Result<(), String> {
        let Some(event) = (erasure.change)(stored) else { return Ok(()) };
        let (seq, made) = (stored.seq, self.canonical.leaf(stored));
        let mut erasures = self.before.of(seq).map_or(Vec::new(), |kept| kept.erasures.clone());
        if !erasures.contains(&erasure.number) {
            erasures.push(erasure.number);
            erasures.sort_unstable();
        }
        if ERASURES_MAX < erasures.len() {
            return Err(format!("event {seq} was touched by {ERASURES_MAX} erasures"));
        }
        self.changed.insert(seq, (self.before.counts(seq, made), erasures));
        stored.event = event;
        Ok(())
    }

    /// The leaf that counts for a row that comes to `made`.
    pub fn leaf(&mut self, seq: Seq, made: Hash) -> Hash {
        if let Some((leaf, erasures)) = self.changed.remove(&seq) {
            self.kept.push(Kept { seq, leaf, now: made, erasures });
            return leaf;
        }
        if let Some(kept) = self.before.of(seq).filter(|kept| kept.now == made) {
            self.kept.push(kept.clone());
            return kept.leaf;
        }
        made
    }

    /// What the new segment has to say.
    pub fn into_erased(self) -> Erased {
        self.kept
    }
}

/// The root that an entry of the log names: over `Seq` and leaf as sealed of each event, in order of `Seq`. Not over what is
/// left of them: a later erasure must not leave a hash behind by which somebody could try values.
pub fn root(events: impl Iterator<Item = (Seq, Hash)>) -> Hash {
    let record = |(seq, leaf): (Seq, Hash)| leaf_hash(&record(seq, &leaf));
    Tree::of(events.map(record).collect()).root()
}

/// What the leaf of [`root`] is over.
pub fn record(seq: Seq, leaf: &Hash) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&seq.0.to_le_bytes());
    bytes[8..].copy_from_slice(leaf);
    bytes
}

fn parse(line: &str) -> Option<Kept> {
    let mut words = line.split(' ');
    let seq = Seq(words.next()?.parse().ok()?);
    let (leaf, now) = (unhex(words.next()?)?, unhex(words.next()?)?);
    let numbers = words.next()?.split(',').take(ERASURES_MAX + 1);
    let erasures = numbers.map(|number| number.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let is_whole = words.next().is_none() && erasures.len() <= ERASURES_MAX && erasures.is_sorted();
    is_whole.then_some(Kept { seq, leaf, now, erasures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_others_are_refused() {
        let line = format!("17 {} {} 3,4", "01".repeat(32), "02".repeat(32));
        let kept = Kept { seq: Seq(17), leaf: [1; 32], now: [2; 32], erasures: vec![3, 4] };
        assert_eq!(parse(&line), Some(kept));
        for bad in ["", "17", "x 01 02 3", &line.replace("3,4", "4,3"), &format!("{line} 1"), &line.replace(",4", ",")]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        let many = (0..300).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(parse(&line.replace("3,4", &many)), None);
    }

    #[test]
    fn what_was_changed_after_it_was_erased_does_not_count_as_it_was_sealed() {
        let kept = Kept { seq: Seq(17), leaf: [1; 32], now: [2; 32], erasures: vec![3] };
        let erased = Erased { kept: vec![kept] };
        assert_eq!(erased.counts(Seq(17), [2; 32]), [1; 32]);
        assert_eq!(erased.counts(Seq(17), [3; 32]), [3; 32]);
        assert_eq!(erased.counts(Seq(18), [2; 32]), [2; 32]);
        assert_eq!(erased.of_erasure(3, Seq(1), Seq(20)).0.len(), 1);
        assert_eq!(erased.of_erasure(4, Seq(1), Seq(20)).0.len(), 0);
    }
}
