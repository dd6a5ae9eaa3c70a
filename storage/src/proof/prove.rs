//! Proofs of inclusion: of stored events under their segment's leaf, of leaves of the log under a head, of the register's
//! rows under its leaf. In: a snapshot, the disk, a head. Out: [`EventProof`], [`LeafProof`], [`RowProof`]. Failure: what
//! is not covered by the head yet, or is damaged, by name.

use std::collections::BTreeSet;

use nhatle_event::{Seq, Stored};
use serde::{Deserialize, Serialize};

use super::canonical::{Canonical, FORM};
use super::entry::{Entry, ErasedEntry, Leaf, SegmentEntry, unhex};
use super::head::SignedHead;
use super::log;
use super::tree::{self, Hash, Tree, leaf_hash};
use crate::dataset::Dataset;
use crate::disk::Disk;
use crate::error::ReadError;
use crate::segment::Segment;
use crate::segment::erased::{Erased, record};
use crate::snapshot::Snapshot;

/// What a batch of events may take in memory, about.
const BATCH_BYTES: usize = 32 << 20;
/// How many entries at the end of the log are looked through for one whose number is not known.
const SOUGHT_MAX: u64 = 65_536;

/// Why something cannot be proved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// No head was signed yet.
    #[error("there is no signed head yet")]
    NoHead,
    /// There is no such event.
    #[error("there is no event with number {0}")]
    NoEvent(Seq),
    /// It came after the newest head.
    #[error("{what} is not under the newest head yet; a head is signed when events are sealed, and hourly")]
    NotCovered {
        /// What.
        what: String,
    },
    /// It was sealed by a version that made no such proofs.
    #[error("segment {dir} was sealed before there were proofs of single events")]
    NoForm {
        /// Its folder.
        dir: String,
    },
    /// The store does not come to what the log says of it.
    #[error("{what} is not as it was written; see nhatle verify")]
    Altered {
        /// What.
        what: String,
    },
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// That an event stands in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventProof {
    /// The event's `Seq`.
    pub seq: u64,
    /// The leaf of its segment in the log.
    pub leaf: u64,
    /// Its place in the segment, in order of `Seq`.
    pub index: u64,
    /// From the leaf to the root of the segment, in hexadecimal.
    pub path: Vec<String>,
    /// Something of it was erased: the path is from the leaf that it was sealed with, its content is not proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedProof>,
}

/// That something of an event was erased, and which leaf it was sealed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedProof {
    /// The leaf of the log that says so.
    pub leaf: u64,
    /// The hash of the event's leaf as it was sealed, in hexadecimal.
    pub was: String,
    /// Its place among the erased events of that leaf, in order of `Seq`.
    pub index: u64,
    /// From there to the root over them, in hexadecimal.
    pub path: Vec<String>,
}

/// That an entry stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafProof {
    /// Its number.
    pub leaf: u64,
    /// From it to the root of the head, in hexadecimal.
    pub path: Vec<String>,
}

/// That a row stands in the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowProof {
    /// Its `id`.
    pub id: u64,
    /// The leaf of the log that says what the register was.
    pub leaf: u64,
    /// From it to the root over the register's rows, in hexadecimal.
    pub path: Vec<String>,
}

/// An event with its dataset and its proof.
#[derive(Clone, Debug)]
pub struct ProvenEvent {
    /// Whose.
    pub dataset: Dataset,
    /// The event.
    pub stored: Stored,
    /// Its proof.
    pub proof: EventProof,
}

/// The hexadecimal form of a path.
pub fn hex_path(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| nhatle_event::json::hex(hash)).collect()
}

/// A path from its hexadecimal form.
pub fn unhex_path(path: &[String]) -> Option<Vec<Hash>> {
    path.iter().map(|text| unhex(text)).collect()
}

/// The hashes of a segment's leaves, in order of `Seq`.
pub type Leaves = Vec<(Seq, Hash)>;

/// The hashes of the leaves of a segment's events, in order of `Seq`, and the events for which `is_wanted`.
///
/// # Errors
/// It cannot be read, or is damaged.
pub fn segment_leaves(segment: &Segment, is_wanted: impl Fn(Seq) -> bool) -> Result<(Leaves, Vec<Stored>), ReadError> {
    let (mut leaves, mut wanted) = (Vec::with_capacity(segment.row_count()), Vec::new());
    let erased = segment.erased()?;
    let mut canonical = Canonical::default();
    for events in segment.stream(BATCH_BYTES)? {
        for stored in events? {
            leaves.push((stored.seq, erased.counts(stored.seq, canonical.leaf(&stored))));
            if is_wanted(stored.seq) {
                wanted.push(stored);
            }
        }
    }
    leaves.sort_unstable_by_key(|(seq, _)| *seq);
    wanted.sort_unstable_by_key(|stored| stored.seq);
    Ok((leaves, wanted))
}

/// The events of these numbers with their proofs, in order of `Seq`, each once.
///
/// # Errors
/// One is not there or not covered by the head; its segment is not what the log says.
pub fn events(
    disk: &dyn Disk,
    snapshot: &Snapshot,
    head: &SignedHead,
    seqs: &[Seq],
) -> Result<Vec<ProvenEvent>, ProveError> {
    let mut left: Vec<Seq> = seqs.to_vec();
    left.sort_unstable();
    left.dedup();
    let mut proven = Vec::with_capacity(left.len());
    for dataset in Dataset::ALL {
        for live in snapshot.segments(dataset) {
            let meta = live.meta();
            let inside = |seq: &Seq| (meta.first_seq..=meta.last_seq).contains(seq);
            if !left.iter().any(inside) {
                continue;
            }
            let segment = live.open()?;
            let (leaves, wanted) = segment_leaves(&segment, |seq| left.binary_search(&seq).is_ok())?;
            if wanted.is_empty() {
                continue;
            }
            let (leaf, entry) = segment_entry(disk, head, &meta.dir, meta.leaf)?;
            if entry.form != FORM {
                return Err(ProveError::NoForm { dir: meta.dir.clone() });
            }
            let tree = Tree::of(leaves.iter().map(|(_, leaf)| *leaf).collect());
            if entry.events_root() != Some(tree.root()) || entry.dataset != dataset {
                return Err(ProveError::Altered { what: format!("segment {}", meta.dir) });
            }
            let erased = segment.erased()?;
            let said = if erased.is_empty() { Vec::new() } else { erased_entries(disk, head, dataset)? };
            let said: Vec<Said<'_>> = said.iter().filter_map(|(leaf, entry)| Said::of(*leaf, entry, &erased)).collect();
            for stored in wanted {
                let seq = stored.seq;
                let erased =
                    match erased.of(seq) {
                        None => None,
                        Some(_) => Some(erased_proof(&erased, &said, seq).ok_or_else(|| ProveError::NotCovered {
                            what: format!("what was erased from event {seq}"),
                        })?),
                    };
                let index = leaves.partition_point(|(known, _)| *known < seq) as u64;
                let path = tree.inclusion(index, tree.len()).unwrap_or_default();
                let proof = EventProof { seq: seq.0, leaf, index, path: hex_path(&path), erased };
                proven.push(ProvenEvent { dataset, stored, proof });
                left.retain(|known| *known != seq);
            }
        }
    }
    if let Some(seq) = left.first() {
        let is_recent = snapshot.recent_by_seq(*seq).is_some();
        let what = format!("event {seq}");
        return Err(if is_recent { ProveError::NotCovered { what } } else { ProveError::NoEvent(*seq) });
    }
    proven.sort_by_key(|one| one.stored.seq);
    Ok(proven)
}

/// What the log under the head says was erased from events of a dataset.
fn erased_entries(disk: &dyn Disk, head: &SignedHead, dataset: Dataset) -> Result<Vec<(u64, ErasedEntry)>, ReadError> {
    let lines = log::lines_from(disk, 0)?;
    let leaves = lines.iter().filter(|line| line.contains("\"erased\"")).filter_map(|line| Leaf::parse(line).ok());
    let of_this = |leaf: Leaf| match leaf.entry {
        Entry::Erased(entry) if entry.dataset == dataset && leaf.leaf < head.head.size => Some((leaf.leaf, entry)),
        _ => None,
    };
    Ok(leaves.filter_map(of_this).collect())
}

/// An entry of the log that says what was erased from a segment, and the tree over that.
struct Said<'a> {
    leaf: u64,
    entry: &'a ErasedEntry,
    seqs: Vec<Seq>,
    tree: Tree,
}

impl<'a> Said<'a> {
    /// `None` where the segment has not what the entry says, or no more.
    fn of(leaf: u64, entry: &'a ErasedEntry, erased: &Erased) -> Option<Said<'a>> {
        let (all, root) = erased.of_erasure(entry.erasure, Seq(entry.first_seq), Seq(entry.last_seq));
        if all.is_empty() || unhex(&entry.erased) != Some(root) {
            return None;
        }
        let tree = Tree::of(all.iter().map(|one| leaf_hash(&record(one.seq, &one.leaf))).collect());
        Some(Said { leaf, entry, seqs: all.iter().map(|one| one.seq).collect(), tree })
    }
}

/// That the newest erasure that touched an event is in the log.
fn erased_proof(erased: &Erased, said: &[Said<'_>], seq: Seq) -> Option<ErasedProof> {
    let kept = erased.of(seq)?;
    said.iter().rev().filter(|said| kept.erasures.contains(&said.entry.erasure)).find_map(|said| {
        let index = said.seqs.binary_search(&seq).ok()? as u64;
        let path = hex_path(&said.tree.inclusion(index, said.tree.len())?);
        Some(ErasedProof { leaf: said.leaf, was: nhatle_event::json::hex(&kept.leaf), index, path })
    })
}

/// The leaf of a segment and what it says.
fn segment_entry(
    disk: &dyn Disk,
    head: &SignedHead,
    dir: &str,
    leaf: Option<u64>,
) -> Result<(u64, SegmentEntry), ProveError> {
    let not_covered = || ProveError::NotCovered { what: format!("segment {dir}") };
    let covered = head.head.size;
    let read = |line: &str| match Leaf::parse(line) {
        Ok(Leaf { leaf, entry: Entry::Segment(entry) }) if entry.dir == dir => Some((leaf, entry)),
        _ => None,
    };
    if let Some(leaf) = leaf {
        if covered <= leaf {
            return Err(not_covered());
        }
        let line = log::line(disk, leaf)?;
        return read(&line).ok_or_else(|| ProveError::Altered { what: format!("leaf {leaf} of the log") });
    }
    let lines = log::lines_from(disk, covered.saturating_sub(SOUGHT_MAX))?;
    let found = lines.iter().rev().find_map(|line| read(line));
    found.filter(|(leaf, _)| *leaf < covered).ok_or_else(not_covered)
}

/// The lines of these leaves with their proofs under the head, each once.
///
/// # Errors
/// One is not covered by the head, or cannot be read.
pub fn leaves(disk: &dyn Disk, head: &SignedHead, leaves: &[u64]) -> Result<Vec<(String, LeafProof)>, ProveError> {
    let wanted: BTreeSet<u64> = leaves.iter().copied().collect();
    let size = head.head.size;
    let nodes = |level: u32, place: u64| log::node(disk, level, place);
    let mut proven = Vec::with_capacity(wanted.len());
    for leaf in wanted {
        if size <= leaf {
            return Err(ProveError::NotCovered { what: format!("leaf {leaf} of the log") });
        }
        let line = log::line(disk, leaf)?;
        let path = tree::inclusion(&nodes, leaf, size)?;
        if tree::root_of_inclusion(&leaf_hash(line.as_bytes()), leaf, size, &path) != Some(head.head.root) {
            return Err(ProveError::Altered { what: format!("leaf {leaf} of the log") });
        }
        proven.push((line, LeafProof { leaf, path: hex_path(&path) }));
    }
    Ok(proven)
}

/// The newest leaf under the head that says what the register was: its number, how many rows, and the root.
///
/// # Errors
/// What the disk says.
pub fn register_leaf(disk: &dyn Disk, head: &SignedHead) -> Result<Option<(u64, u64, Hash)>, ReadError> {
    let lines = log::lines_from(disk, head.head.size.saturating_sub(SOUGHT_MAX))?;
    let covered = |leaf: &Leaf| leaf.leaf < head.head.size;
    Ok(lines.iter().rev().filter_map(|line| Leaf::parse(line).ok()).filter(covered).find_map(|leaf| match leaf.entry {
        Entry::Register { rows, root, .. } => Some((leaf.leaf, rows, unhex(&root)?)),
        _ => None,
    }))
}

/// The first leaf under the head that writes down a file with this length and SHA-256 (hexadecimal).
///
/// # Errors
/// What the disk says.
pub fn document_leaf(disk: &dyn Disk, head: &SignedHead, sum: (u64, &str)) -> Result<Option<u64>, ReadError> {
    let lines = log::lines_from(disk, 0)?;
    let found = lines.iter().filter(|line| line.contains(sum.1)).filter_map(|line| Leaf::parse(line).ok());
    let mut found = found.filter(|leaf| leaf.leaf < head.head.size && leaf.entry.document() == Some(sum));
    Ok(found.next().map(|leaf| leaf.leaf))
}

/// Proofs of register rows (`id`s from 1) under a leaf that says the register had the first `rows` of `hashes`.
///
/// # Errors
/// A row came later, or the hashes do not come to the root.
pub fn rows(hashes: &[Hash], (leaf, rows, root): (u64, u64, Hash), ids: &[u64]) -> Result<Vec<RowProof>, ProveError> {
    let covered = usize::try_from(rows).ok().and_then(|rows| hashes.get(..rows));
    let covered = covered.ok_or_else(|| ProveError::Altered { what: "the register".to_owned() })?;
    let tree = Tree::of(covered.iter().map(|hash| leaf_hash(hash)).collect());
    if tree.root() != root {
        return Err(ProveError::Altered { what: "the register".to_owned() });
    }
    let prove = |id: &u64| {
        let path = id.checked_sub(1).and_then(|index| tree.inclusion(index, rows));
        let path = path.ok_or_else(|| ProveError::NotCovered { what: format!("row {id} of the register") })?;
        Ok(RowProof { id: *id, leaf, path: hex_path(&path) })
    };
    ids.iter().map(prove).collect()
}
