//! Checks the proof of a store: that log, tree and heads belong together, that the segments are those of the log, that
//! the register is what the log says, and that a head somebody kept is still true. In: the files. Out: [`Finding`]s.
//! Writes nothing and goes on after a finding.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use nhatle_event::Seq;
use nhatle_event::json::hex;

use super::canonical::FORM;
use super::entry::{Entry, ErasedEntry, Leaf, SegmentEntry, unhex};
use super::head::SignedHead;
use super::log::{self, HEADS, LOG, NODES};
use super::note::{KeyKind, VerifierKey};
use super::prove::segment_leaves;
use super::tree::{Hash, Tree, leaf_hash};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::manifest::Manifest;
use crate::publish::hold_segments;
use crate::segment::Segment;
use crate::segment::erased::{ERASED_FILE, Erased};
use crate::segment::meta::SegmentMeta;
use crate::snapshot::Snapshot;
use crate::verify::Finding;

/// How often reading is begun anew because a writer moved on.
const ATTEMPTS_MAX: usize = 20;

/// So many leaves may be under no head yet: a head follows each step of the store, and a crash can come between.
const UNSIGNED_MAX: u64 = 16;

/// The log of a store as it was read.
pub struct ReadLog {
    /// What each leaf says; `None` for a line that is none.
    pub entries: Vec<Option<Entry>>,
    /// The tree over them.
    pub tree: Tree,
    /// The keys that signed heads, each with the leaf that says so.
    pub keys: Vec<(u64, VerifierKey)>,
}

/// What the check of a log found, and what it read.
pub struct Checked {
    /// The log.
    pub log: ReadLog,
    /// The heads that hold.
    pub heads: Vec<SignedHead>,
    /// What does not.
    pub findings: Vec<Finding>,
}

fn finding(file: &str, offset: u64, what: impl Into<String>) -> Finding {
    Finding { file: file.to_owned(), offset, what: what.into() }
}

/// Reads the log and its heads; `None` for a store that has no proof yet.
///
/// # Errors
/// What the disk says.
pub fn log(disk: &dyn Disk) -> Result<Option<Checked>, ReadError> {
    let length = |path: &str| disk.length(path).map_err(|source| ReadError::io(path, source));
    let read = |path: &str| match length(path)? {
        Some(_) => disk.read(path).map_err(|source| ReadError::io(path, source)),
        None => Ok(Vec::new()),
    };
    // The heads first: what comes to the log meanwhile no head read here covers.
    let heads_text = read(HEADS)?;
    let bytes = read(LOG)?;
    if bytes.is_empty() && heads_text.is_empty() {
        return Ok(None);
    }
    let mut findings = Vec::new();
    let mut read_log = ReadLog { entries: Vec::new(), tree: Tree::default(), keys: Vec::new() };
    let (mut offset, mut offsets) = (0, Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        // A last line without its end was being written.
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let number = read_log.entries.len() as u64;
        let leaf = std::str::from_utf8(line).map_err(|error| error.to_string()).and_then(Leaf::parse);
        let entry = match leaf {
            Ok(leaf) if leaf.leaf == number => Some(leaf.entry),
            Ok(leaf) => {
                findings.push(finding(LOG, offset, format!("expected leaf {number}, found leaf {}", leaf.leaf)));
                None
            }
            Err(error) => {
                findings.push(finding(LOG, offset, format!("leaf {number} is none: {error}")));
                None
            }
        };
        if let Some(Entry::Key { key, .. }) = &entry {
            match VerifierKey::parse(key) {
                Ok(key) => read_log.keys.push((number, key)),
                Err(error) => findings.push(finding(LOG, offset, format!("leaf {number}: {error}"))),
            }
        }
        read_log.entries.push(entry);
        read_log.tree.push(leaf_hash(line));
        offsets.push(offset);
        offset += line.len() as u64 + 1;
    }
    let (heads, altered) = check_heads(&String::from_utf8_lossy(&heads_text), &read_log, &mut findings);
    if let Some(altered) = altered {
        findings.push(blame(disk, altered, &read_log.tree, &offsets)?);
    }
    check_nodes(disk, &read_log.tree, heads.last().map_or(0, |head| head.head.size), &mut findings)?;
    Ok(Some(Checked { log: read_log, heads, findings }))
}

/// The heads that hold, and the leaves that are not those that were signed: from the last head that holds to the first one
/// whose signature is right and whose root is not.
fn check_heads(text: &str, log: &ReadLog, findings: &mut Vec<Finding>) -> (Vec<SignedHead>, Option<Range<u64>>) {
    let mut good: Vec<SignedHead> = Vec::new();
    let mut altered = None;
    let mut offset = 0;
    for (number, read) in super::head::read_all(text).into_iter().enumerate() {
        let at = offset;
        let head = match read {
            Ok(head) => head,
            Err((_, error)) => {
                findings.push(finding(HEADS, at, format!("head {number}: {error}")));
                continue;
            }
        };
        offset += head.to_text().len() as u64 + 1;
        let says = head.head.size;
        let covered = good.last().map_or(0, |before| before.head.size);
        if !is_signed(&head, log) {
            let what = format!("head {number} over {says} leaves is not signed by the key of this log");
            findings.push(finding(HEADS, at, what));
        } else if let Err(what) = of_this_log(&head, &log.tree) {
            findings.push(finding(HEADS, at, format!("head {number} over {says} leaves {what}")));
            if altered.is_none() && says <= log.tree.len() {
                altered = Some(covered..says);
            }
        } else if says <= covered && !good.is_empty() {
            findings.push(finding(HEADS, at, format!("head {number} is not past the one before it")));
        } else {
            good.push(head);
        }
    }
    (good, altered)
}

/// Which of these leaves is not what was signed. The hashes kept beside the log say so, where nobody altered them too.
fn blame(disk: &dyn Disk, leaves: Range<u64>, tree: &Tree, offsets: &[u64]) -> Result<Finding, ReadError> {
    let offset = |leaf: u64| usize::try_from(leaf).ok().and_then(|leaf| offsets.get(leaf)).copied().unwrap_or(0);
    for leaf in leaves.clone() {
        match log::node(disk, 0, leaf) {
            Ok(kept) if Some(kept) != tree.node_at(0, leaf) => {
                return Ok(finding(LOG, offset(leaf), format!("leaf {leaf} is not the one that was signed")));
            }
            Ok(_) | Err(ReadError::Io { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let what = format!("among leaves {} to {} is one that was not signed so", leaves.start, leaves.end - 1);
    Ok(finding(LOG, offset(leaves.start), what))
}

/// A head is signed by a key of the log.
fn is_signed(head: &SignedHead, log: &ReadLog) -> bool {
    let mut keys = log.keys.iter().filter(|(leaf, key)| *leaf < head.head.size && key.name == head.head.origin);
    keys.any(|(_, key)| head.note.check(key).is_ok())
}

fn of_this_log(head: &SignedHead, tree: &Tree) -> Result<(), String> {
    match tree.root_at(head.head.size) {
        None => Err(format!("is of a longer log: this one has only {} leaves", tree.len())),
        Some(root) if root != head.head.root => {
            Err(format!("has root {}, the log comes to {}", hex(&head.head.root), hex(&root)))
        }
        Some(_) => Ok(()),
    }
}

/// The hashes are a cache, but proofs are made of them.
fn check_nodes(disk: &dyn Disk, tree: &Tree, covered: u64, findings: &mut Vec<Finding>) -> Result<(), ReadError> {
    let covered = covered.min(tree.len());
    for level in 0..64 - covered.leading_zeros() {
        for place in 0..covered >> level {
            let kept = match log::node(disk, level, place) {
                Ok(kept) => kept,
                Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::UnexpectedEof => [0; 32],
                Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => [0; 32],
                Err(error) => return Err(error),
            };
            if Some(kept) != tree.node_at(level, place) {
                let what = format!("the hash of subtree {place} of level {level} is not that of the log");
                findings.push(finding(NODES, log::node_offset(level, place), what));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The proof of a whole store but for its register.
///
/// # Errors
/// What the disk says.
pub fn store(disk: &dyn Disk) -> Result<Option<Checked>, ReadError> {
    let mut attempt = 0;
    // The files of a segment in which something was erased are read.
    let _held = hold_segments(disk)?;
    loop {
        attempt += 1;
        let before = Manifest::newest(disk)?;
        let checked = log(disk)?;
        let after = Manifest::newest(disk)?;
        if before.number != after.number && attempt < ATTEMPTS_MAX {
            continue;
        }
        let Some(mut checked) = checked else { return Ok(None) };
        check_segments(&before, &mut checked);
        check_erased(disk, &before, &mut checked);
        return Ok(Some(checked));
    }
}

fn check_segments(manifest: &Manifest, checked: &mut Checked) {
    let path = crate::manifest::path(manifest.number);
    let live: BTreeMap<&str, &SegmentMeta> = manifest.segments.iter().map(|meta| (meta.dir.as_str(), meta)).collect();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    let mut entries: BTreeMap<&str, (u64, &SegmentEntry)> = BTreeMap::new();
    for (leaf, entry) in (0..).zip(&checked.log.entries) {
        match entry {
            Some(Entry::Segment(segment)) => {
                gone.extend(segment.replaces.iter().map(String::as_str));
                entries.insert(&segment.dir, (leaf, segment));
            }
            Some(Entry::Dropped { dirs, .. }) => gone.extend(dirs.iter().map(String::as_str)),
            _ => {}
        }
    }
    for (dir, (leaf, entry)) in &entries {
        match live.get(dir) {
            None if gone.contains(dir) => {}
            None => {
                let what = format!(
                    "segment {dir} (leaf {leaf}: {} {}, Seq {} to {}) is missing and was never dropped",
                    entry.rows,
                    entry.dataset.name(),
                    entry.first_seq,
                    entry.last_seq
                );
                checked.findings.push(finding(&path, 0, what));
            }
            Some(meta) => {
                let said = SegmentEntry { replaces: entry.replaces.clone(), ..SegmentEntry::of(meta) };
                if said != **entry {
                    let what = format!("what it says of segment {dir} is not what leaf {leaf} of the log says");
                    checked.findings.push(finding(&path, 0, what));
                }
            }
        }
    }
    // Right after a crash the newest one is not in the log yet; whoever writes puts it there first.
    let covered = checked.heads.last().map_or(0, |head| head.head.size);
    let sealed_to = entries.values().filter(|(leaf, _)| *leaf < covered).map(|(_, entry)| entry.last_seq).max();
    for (dir, meta) in live.iter().filter(|(dir, _)| !entries.contains_key(*dir)) {
        if Some(meta.last_seq.0) <= sealed_to {
            let what = format!("segment {dir} is in no leaf of the log: it was put in later");
            checked.findings.push(finding(&path, 0, what));
        }
    }
}

impl ReadLog {
    /// What was erased, with the leaves that say so.
    pub fn erased(&self) -> impl Iterator<Item = (u64, &ErasedEntry)> {
        (0..).zip(&self.entries).filter_map(|(leaf, entry)| match entry {
            Some(Entry::Erased(entry)) => Some((leaf, entry)),
            _ => None,
        })
    }
}

/// Every event that a segment calls erased is one that the log says was, and the roots stayed.
fn check_erased(disk: &dyn Disk, manifest: &Manifest, checked: &mut Checked) {
    let mut findings = Vec::new();
    let segments: BTreeMap<&str, &SegmentEntry> = checked.log.entries.iter().flatten().filter_map(segment_of).collect();
    for (leaf, entry) in checked.log.erased() {
        let sealed = segments.get(entry.dir.as_str()).filter(|before| before.form == FORM);
        if sealed.is_some_and(|before| before.root != entry.root) {
            let what = format!("leaf {leaf} says another root of {} than it was sealed with", entry.dir);
            findings.push(finding(LOG, 0, what));
        }
    }
    for meta in manifest.segments.iter().filter(|meta| meta.file(ERASED_FILE).is_some()) {
        let path = meta.path(ERASED_FILE);
        let erased = match Erased::read(disk, meta) {
            Ok(erased) => erased,
            Err(error) => {
                findings.push(Finding::of(error));
                continue;
            }
        };
        let mut said: BTreeSet<(u64, u64)> = BTreeSet::new();
        for (_, entry) in checked.log.erased() {
            let is_inside = meta.first_seq.0 <= entry.first_seq && entry.last_seq <= meta.last_seq.0;
            if !is_inside || entry.dataset != meta.dataset {
                continue;
            }
            let (kept, root) = erased.of_erasure(entry.erasure, Seq(entry.first_seq), Seq(entry.last_seq));
            if kept.len() as u64 == entry.events && unhex(&entry.erased) == Some(root) {
                said.extend(kept.iter().map(|kept| (kept.seq.0, entry.erasure)));
            }
        }
        let all = erased.all().iter().flat_map(|kept| kept.erasures.iter().map(|number| (kept.seq.0, *number)));
        let mut unsaid = all.filter(|one| !said.contains(one));
        if let Some((seq, number)) = unsaid.next() {
            let more = unsaid.count();
            let what =
                format!("event {seq} is called erased by erasure {number}, the log does not say so (and {more} more)");
            findings.push(finding(&path, 0, what));
        }
    }
    checked.findings.extend(findings);
}

fn segment_of(entry: &Entry) -> Option<(&str, &SegmentEntry)> {
    match entry {
        Entry::Segment(segment) => Some((&segment.dir, segment)),
        _ => None,
    }
}

/// The leaves of all sealed events, made again from the rows.
pub fn events(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    for live in crate::Dataset::ALL.into_iter().flat_map(|dataset| snapshot.segments(dataset)) {
        if live.meta().root_form != Some(FORM) {
            continue;
        }
        let path = live.meta().path(crate::segment::ROWS_FILE);
        match live.open().and_then(|segment| events_hold(&segment)) {
            Ok(None) => {}
            Ok(Some(what)) => findings.push(finding(&path, 0, what)),
            Err(error) => findings.push(Finding::of(error)),
        }
    }
    findings
}

/// The events of a segment come to the root that its manifest entry says. The reason, where they do not.
fn events_hold(segment: &Segment) -> Result<Option<String>, ReadError> {
    let (leaves, _) = segment_leaves(segment, |_| false)?;
    let root = Tree::of(leaves.into_iter().map(|(_, leaf)| leaf).collect()).root();
    let said = unhex(&segment.meta().events_root);
    let differs =
        || format!("its events come to the root {}, it was sealed with {}", hex(&root), segment.meta().events_root);
    Ok((said != Some(root)).then(differs))
}

/// The register is what the log says it was. `hashes` are those of its rows, in order.
pub fn register(log: &ReadLog, hashes: &[Hash]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tree = Tree::of(hashes.iter().map(|hash| leaf_hash(hash)).collect());
    for (leaf, entry) in (0u64..).zip(&log.entries) {
        let Some(Entry::Register { rows, head, root, .. }) = entry else { continue };
        let last = usize::try_from(*rows).ok().and_then(|rows| hashes.get(rows.checked_sub(1)?));
        let what = match (tree.root_at(*rows), last) {
            (None, _) | (_, None) if *rows != 0 => {
                format!(
                    "it has {} rows, leaf {leaf} of the log says {rows}: it was put back to an older state",
                    hashes.len()
                )
            }
            (Some(found), last)
                if unhex(root) != Some(found) || last.is_some_and(|last| unhex(head) != Some(*last)) =>
            {
                format!("its first {rows} rows are not those of leaf {leaf} of the log: a row was written anew")
            }
            _ => continue,
        };
        findings.push(finding(crate::register::FILE_NAME, 0, what));
        return findings;
    }
    findings
}

/// The heads are signed by whom they should be: the newest one by `known`, else by the first key of the log, or by a key
/// that was vouched for. A later key is vouched for when the first head over the entry that names it is signed by a
/// trusted one too, as `nhatle proof new-key` does.
pub fn keys(checked: &Checked, known: Option<&VerifierKey>) -> Vec<Finding> {
    let (log, keys) = (&checked.log, &checked.log.keys);
    let of_heads = |what: String| vec![finding(HEADS, 0, what)];
    if let Some(known) = known.filter(|known| !keys.iter().any(|(_, key)| key == *known)) {
        return of_heads(format!("no head was signed with the key given: {}", known.text()));
    }
    let Some(newest) = checked.heads.last() else {
        // The first entry is the key, and a head follows it at once.
        let has_more = keys.first().is_some_and(|(leaf, _)| leaf + 1 < log.tree.len());
        let is_gone = checked.findings.is_empty() && (has_more || known.is_some());
        return if is_gone { of_heads("there is no signed head: they were taken out".to_owned()) } else { Vec::new() };
    };
    let unsigned = log.tree.len().saturating_sub(newest.head.size);
    let mut findings = Vec::new();
    if UNSIGNED_MAX < unsigned {
        let what = format!("the last {unsigned} leaves are under no head: heads were cut off, or could not be written");
        findings.push(finding(HEADS, 0, what));
    }
    let mut trusted: Vec<&VerifierKey> = known.or(keys.first().map(|(_, key)| key)).into_iter().collect();
    for (leaf, key) in keys {
        let first = checked.heads.iter().find(|head| *leaf < head.head.size);
        let is_vouched_for = |head: &SignedHead| trusted.iter().any(|one| head.note.check(one).is_ok());
        if !trusted.contains(&key) && first.is_some_and(is_vouched_for) {
            trusted.push(key);
        }
    }
    // A key is named once, when it begins to sign; again only where no head of its own was found any more.
    for ((leaf, key), before) in keys.iter().zip(0..) {
        let earlier = keys[..before].iter().rev().find(|(_, one)| one == key);
        if earlier.is_some_and(|(earlier, _)| earlier + 1 < *leaf) {
            let what = format!("leaf {leaf} names a key again: heads were taken out, or another key signed meanwhile");
            findings.push(finding(LOG, 0, what));
        }
    }
    if !trusted.iter().any(|key| newest.note.check(key).is_ok()) {
        let by = keys.iter().rev().find(|(_, key)| newest.note.check(key).is_ok());
        let (leaf, key) = by.map_or((0, String::new()), |(leaf, key)| (*leaf, key.text()));
        let what = format!(
            "the key was lost or replaced: from leaf {leaf} on heads are signed with {key}, and no key before it \
             vouched for that; give --key with this one if the city handed it out"
        );
        findings.push(finding(HEADS, 0, what));
    }
    findings
}

/// A head that somebody kept is still true of this log: what is wrong, where it is not.
pub fn kept_head(checked: Option<&Checked>, kept: &SignedHead) -> Option<String> {
    let size = kept.head.size;
    let Some(checked) = checked else {
        return Some(format!(
            "the store has no log, the head says {size} leaves: it is another store, or it was put back"
        ));
    };
    let log = &checked.log;
    let is_signed = |key: &VerifierKey| key.kind == KeyKind::Note && kept.note.check(key).is_ok();
    if !log.keys.iter().any(|(_, key)| is_signed(key)) {
        return Some("the head is not signed by a key of this store".to_owned());
    }
    match log.tree.root_at(size) {
        None => Some(format!(
            "the store was put back to an older state: the head of {} covers {size} leaves, the log has {}",
            kept.head.at.map_or_else(|| "that day".to_owned(), |at| at.to_string()),
            log.tree.len()
        )),
        Some(root) if root != kept.head.root => Some(format!(
            "the log was written anew: over its first {size} leaves the head has root {}, the log comes to {}",
            hex(&kept.head.root),
            hex(&root)
        )),
        Some(_) => None,
    }
}
