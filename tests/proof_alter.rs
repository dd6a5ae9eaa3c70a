//! How a store is altered, for the table of what is found (`proof_table.rs`). In: the folder of a copy. Each function does
//! what somebody could do who can write files, up to having the store's own key.

use std::path::Path;
use std::sync::Arc;

use nhatle::pki::heads;
use nhatle_event::{Clock, Stored, SystemClock};
use nhatle_storage::manifest::Manifest;
use nhatle_storage::proof::entry::{Entry, Leaf, SegmentEntry};
use nhatle_storage::proof::{Head, SignedHead, SigningKey, head, log, tree};
use nhatle_storage::register::{Register, hash_of};
use nhatle_storage::segment::meta::{SegmentMeta, Tier, WriteOptions};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Store};

use crate::proof::copy;

pub fn disk(data: &Path) -> Arc<dyn Disk> {
    Arc::new(OsDisk::existing(data).unwrap())
}

pub fn flip(data: &Path, name: &str, at: impl FnOnce(usize) -> usize) {
    let path = data.join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

pub fn segment_file(data: &Path, name: &str) -> String {
    let manifest = Manifest::newest(&*disk(data)).unwrap();
    manifest.segments.iter().find(|meta| meta.dataset == Dataset::Events).unwrap().path(name)
}

/// Puts a well-formed segment with other events in the place of the first one, with right checksums in the manifest.
pub fn forge(data: &Path, alter: impl FnOnce(&mut Vec<Stored>)) {
    let disk = disk(data);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open_read_only(disk.clone(), Config::default(), clock).unwrap();
    let mut events = store.snapshot().segments(Dataset::Events).next().unwrap().events().unwrap();
    alter(&mut events);
    let mut manifest = Manifest::newest(&*disk).unwrap();
    let meta = manifest.segments.iter_mut().find(|meta| meta.dataset == Dataset::Events).unwrap();
    let leaf = meta.leaf;
    *meta = nhatle_storage::segment::write(
        &*disk,
        &meta.dir,
        &events,
        &WriteOptions { dataset: Dataset::Events, tier: Tier::Recent },
    )
    .unwrap();
    meta.leaf = leaf;
    manifest.publish(&*disk).unwrap();
}

pub fn edit_manifest(data: &Path, alter: impl FnOnce(&mut Manifest)) {
    let mut manifest = Manifest::newest(&*disk(data)).unwrap();
    alter(&mut manifest);
    manifest.publish(&*disk(data)).unwrap();
}

/// Runs SQL on the register's file, with every row's hash made anew from `from` on where that is wanted.
pub fn edit_register(data: &Path, alter: impl FnOnce(&mut Vec<nhatle_storage::register::Entry>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut rows = runtime.block_on(async {
        let register = Register::open(data).await.unwrap();
        let rows = register.read_after(0, 10_000).await.unwrap();
        register.close().await;
        rows
    });
    alter(&mut rows);
    let mut before = nhatle_storage::register::GENESIS.to_owned();
    for row in &mut rows {
        row.prev_hash.clone_from(&before);
        row.hash = hash_of(row);
        before.clone_from(&row.hash);
    }
    for name in ["register.sqlite", "register.sqlite-wal", "register.sqlite-shm"] {
        drop(std::fs::remove_file(data.join(name)));
    }
    runtime.block_on(async {
        let register = Register::open(data).await.unwrap();
        for (after, row) in (0i64..).zip(&rows) {
            register.append(after, std::slice::from_ref(&row.change)).await.unwrap();
        }
        register.close().await;
    });
}

/// Writes log, hashes and heads anew with other lines, signed with the store's own key.
pub fn write_log_anew(data: &Path, key: &SigningKey, alter: impl Fn(&str) -> String) {
    let lines: Vec<String> = std::fs::read_to_string(data.join(log::LOG)).unwrap().lines().map(alter).collect();
    let leaves = tree::Tree::of(lines.iter().map(|line| tree::leaf_hash(line.as_bytes())).collect());
    let old = log::newest(&*disk(data)).unwrap().unwrap().head;
    let head = Head { origin: old.origin, size: leaves.len(), root: leaves.root(), at: old.at, writer: old.writer };
    std::fs::write(data.join(log::LOG), lines.join("\n") + "\n").unwrap();
    std::fs::write(data.join(log::HEADS), SignedHead::sign(head, key).to_text() + "\n").unwrap();
    // The hashes are made again from the log by whoever opens the store.
    std::fs::write(data.join(log::NODES), b"").unwrap();
    drop(log::ProofLog::open(&*disk(data)).unwrap());
}

pub fn newest_manifest(data: &Path) -> String {
    nhatle_storage::manifest::path(Manifest::newest(&*disk(data)).unwrap().number)
}

/// Alters a character in the middle of this line of the newest head.
pub fn flip_in_head(data: &Path, line: usize) {
    let whole = std::fs::read_to_string(data.join(log::HEADS)).unwrap();
    let begin = whole.rfind("nhatle/").and_then(|at| whole[..at].rfind("\n\n")).map_or(0, |at| at + 2);
    let begin = whole[..begin].rfind("nhatle/").filter(|_| whole[begin..].starts_with('\u{2014}')).unwrap_or(begin);
    let place: usize = whole[begin..].split_inclusive('\n').take(line).map(str::len).sum::<usize>() + begin;
    let length = whole[place..].find('\n').unwrap();
    let at = place + length - 20;
    let mut bytes = whole.into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(data.join(log::HEADS), bytes).unwrap();
}

/// Yesterday's copy is kept beside the store by the test.
pub fn put_back(data: &Path) {
    std::fs::remove_dir_all(data).unwrap();
    copy(&data.parent().unwrap().join("yesterday"), data);
}

/// As [`forge`], with the line of the log of the proof that speaks of the segment written anew too.
pub fn forge_and_log(data: &Path, alter: impl FnOnce(&mut Vec<Stored>)) {
    forge(data, alter);
    let manifest = Manifest::newest(&*disk(data)).unwrap();
    let meta = manifest.segments.iter().find(|meta| meta.dataset == Dataset::Events).unwrap();
    let line = |line: &str| {
        let mut leaf = Leaf::parse(line).unwrap();
        match &mut leaf.entry {
            Entry::Segment(entry) if entry.dir == meta.dir => *entry = SegmentEntry::of(meta),
            _ => return line.to_owned(),
        }
        leaf.line().unwrap()
    };
    let text = std::fs::read_to_string(data.join(log::LOG)).unwrap();
    let lines: String = text.lines().map(|one| line(one) + "\n").collect();
    assert_ne!(lines, text, "a line speaks of the segment");
    std::fs::write(data.join(log::LOG), lines).unwrap();
}

/// Exchanges the files of two segments of events, and what the manifest says of them but for their folders.
pub fn swap_segments(data: &Path) {
    let disk = disk(data);
    let mut manifest = Manifest::newest(&*disk).unwrap();
    let of_events = |meta: &SegmentMeta| meta.dataset == Dataset::Events;
    let places: Vec<usize> =
        (0..manifest.segments.len()).filter(|at| of_events(&manifest.segments[*at])).take(2).collect();
    let &[a, b] = &places[..] else { panic!("two segments of events") };
    let (first, second) = (manifest.segments[a].dir.clone(), manifest.segments[b].dir.clone());
    let beside = data.join("beside");
    for (from, to) in
        [(data.join(&first), beside.clone()), (data.join(&second), data.join(&first)), (beside, data.join(&second))]
    {
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    std::fs::remove_dir_all(data.join("beside")).unwrap();
    manifest.segments.swap(a, b);
    (manifest.segments[a].dir, manifest.segments[b].dir) = (first, second);
    manifest.publish(&*disk).unwrap();
}

/// Takes a segment and all that speaks of it out of folder and manifest.
pub fn drop_segment(data: &Path) {
    let dir = Manifest::newest(&*disk(data)).unwrap().segments[0].dir.clone();
    edit_manifest(data, |manifest| manifest.segments.retain(|meta| meta.dir != dir));
    std::fs::remove_dir_all(data.join(dir)).unwrap();
}

/// Cuts the last lines off a file.
pub fn cut_lines(data: &Path, name: &str, count: usize) {
    let text = std::fs::read_to_string(data.join(name)).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(data.join(name), lines[..lines.len() - count].concat()).unwrap();
}

/// Cuts the newest head off, and the leaves that only it covers: the log as it was a head before.
pub fn cut_log_and_heads(data: &Path) {
    let text = std::fs::read_to_string(data.join(log::HEADS)).unwrap();
    let heads: Vec<SignedHead> = head::read_all(&text).into_iter().map(Result::unwrap).collect();
    let kept = &heads[..heads.len() - 1];
    std::fs::write(data.join(log::HEADS), kept.iter().map(|head| head.to_text() + "\n").collect::<String>()).unwrap();
    let size = usize::try_from(kept.last().unwrap().head.size).unwrap();
    let lines = std::fs::read_to_string(data.join(log::LOG)).unwrap().lines().count();
    cut_lines(data, log::LOG, lines - size);
    std::fs::write(data.join(log::NODES), b"").unwrap();
    drop(log::ProofLog::open(&*disk(data)).unwrap());
}

/// Adds a head over more than there is, signed with a key of one's own.
pub fn forge_head(data: &Path) {
    let newest = log::newest(&*disk(data)).unwrap().unwrap().head;
    let forged = SignedHead::sign(Head { root: [7; 32], ..newest }, &another_key());
    let mut text = std::fs::read_to_string(data.join(log::HEADS)).unwrap();
    text.push_str(&(forged.to_text() + "\n"));
    std::fs::write(data.join(log::HEADS), text).unwrap();
}

/// A key of somebody else.
pub fn another_key() -> SigningKey {
    let folder = tempfile::tempdir().unwrap();
    heads::open_or_make(folder.path()).unwrap()
}

/// Puts another key in the place of the store's own, public half and all.
pub fn replace_key(data: &Path) {
    let folder = tempfile::tempdir().unwrap();
    heads::open_or_make(folder.path()).unwrap();
    for name in ["pki/proof.key", "pki/proof.pub"] {
        std::fs::copy(folder.path().join(name), data.join(name)).unwrap();
    }
}

/// Alters a letter of a row of the register, in its file.
pub fn flip_in_register(data: &Path) {
    // Closing moves every row out of SQLite's own log into the file.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Register::open(data).await.unwrap().close().await });
    let needle = b":\"18853\"";
    let bytes = std::fs::read(data.join("register.sqlite")).unwrap();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    flip(data, "register.sqlite", |_| at + needle.len() - 2);
}

/// The newest file of the intake log.
pub fn intake_log(data: &Path) -> String {
    let names = std::fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().file_name());
    format!("log/{}", names.max().unwrap().to_str().unwrap())
}
