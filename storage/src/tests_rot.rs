//! Bit rot and other versions, in each kind of file of a store with real segments. In: a whole store; one bit flipped, or
//! one file of an older or a newer version with right checksums. Out: it is named by file, by `verify` or the weekly
//! reading; nothing of it is ever read as data; what stands elsewhere is still served, unless the file is one without
//! which nobody can say what the store holds (log and newest manifest): then opening refuses, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use nhatle_event::Seq;

use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::live::SegmentForm;
use crate::manifest::{self, Manifest};
use crate::proof::check;
use crate::proof::log::{HEADS, LOG, NODES};
use crate::scrub::Place;
use crate::segment::meta::FileMeta;
use crate::segment::{INDEX_FILE, ROWS_FILE};
use crate::tests_rows::Row;
use crate::tests_story::Story;
use crate::verify::Finding;
use crate::wal::{self, FRAME_HEADER_BYTES, HEADER_BYTES};
use crate::{Dataset, OpenError, ReadError, Snapshot, Store};

/// How many bits are flipped in each file, spread over its bytes.
const FLIPS: usize = 24;

/// A whole store: merged, archived and fresh segments, a log of several files, two manifests, a signed proof.
fn story() -> Story {
    let mut story = Story::new(SimDisk::new(1), SegmentForm::Columns);
    story.tell();
    story.open().expect("opens");
    (0..4).for_each(|_| story.append(3, 700));
    story.store.as_ref().expect("is open").catch_up_proof();
    story.store = None;
    story.disk.kill();
    story
}

/// What can be read of a store, by `Seq`, and which segments are left out; an error names a file.
fn serve(story: &Story, disk: &SimDisk) -> Result<(BTreeMap<u64, Row>, Vec<String>), String> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = Store::open_read_only(shared, story.config.clone(), story.clock.clone());
    let snapshot = store.map_err(|error| said(&error))?.snapshot();
    // As the weekly reading does: what it finds is left out by searches from then on.
    let mut place = Place::default();
    let (_, has_ended) = place.read_on(disk, &snapshot, u64::MAX, 1);
    assert!(has_ended, "a pass ends");
    served(&snapshot)
}

/// What is read by `Seq`, and which segments are left out.
fn served(snapshot: &Snapshot) -> Result<(BTreeMap<u64, Row>, Vec<String>), String> {
    let all = |rest: &Snapshot| {
        let mut rows = BTreeMap::new();
        for dataset in Dataset::ALL {
            for stored in rest.events_after(dataset, Seq(0), usize::MAX)? {
                let id = String::from_utf8_lossy(&stored.event.original).split(' ').nth(1).map(str::parse);
                rows.insert(stored.seq.0, (dataset, id.and_then(Result::ok).unwrap_or(u64::MAX)));
            }
        }
        // The index too.
        for segment in Dataset::ALL.into_iter().flat_map(|dataset| rest.segments(dataset)) {
            segment.open()?.index()?;
        }
        Ok(rows)
    };
    let (rows, left_out) = snapshot.serve_rest(all).map_err(|error| error.to_string())?;
    Ok((rows, left_out.iter().map(|segment| segment.meta().dir.clone()).collect()))
}

fn said(error: &OpenError) -> String {
    match error {
        OpenError::Read(ReadError::Io { file, source }) => format!("{file}: {source}"),
        other => other.to_string(),
    }
}

/// The files that `verify` names.
fn named(disk: &SimDisk) -> Vec<String> {
    let mut files: Vec<String> = crate::verify(disk).into_iter().map(|finding| finding.file).collect();
    match check::store(disk) {
        Ok(Some(checked)) => {
            files.extend(check::keys(&checked, None).into_iter().map(|finding| finding.file));
            files.extend(checked.findings.into_iter().map(|finding| finding.file));
        }
        Ok(None) => files.push("no proof".to_owned()),
        Err(error) => files.push(Finding::of(error).file),
    }
    files
}

/// The kind of a file, and the bytes of it that must not change.
fn kind_of(path: &str, bytes: &[u8], newest: (&str, &str)) -> Option<(&'static str, std::ops::Range<usize>)> {
    let all = 0..bytes.len();
    Some(match path {
        LOG => ("proof: log", all),
        NODES => ("proof: hashes", all),
        HEADS => ("proof: heads", all),
        path if path == newest.0 => ("manifest, the newest", all),
        path if path.starts_with("manifest/") => ("manifest, the one before", all),
        // What stands in the last frame of the newest file is a torn tail when it does not check (docs/format/log.md).
        path if path == newest.1 => ("log, the newest file but its last batch", 0..last_frame(bytes)),
        path if path.starts_with("log/") => ("log, an older file", all),
        path if path.ends_with(ROWS_FILE) => ("segment: rows", all),
        path if path.ends_with(INDEX_FILE) => ("segment: words", all),
        _ => return None,
    })
}

fn last_frame(bytes: &[u8]) -> usize {
    let (mut at, mut last) = (HEADER_BYTES, HEADER_BYTES);
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a frame's length"));
        last = at;
        at += FRAME_HEADER_BYTES + usize::try_from(length).expect("is small");
    }
    last
}

#[test]
fn every_flipped_bit_is_named_and_never_read_as_data() {
    let story = story();
    let expected = story.ledger.there();
    let manifest = Manifest::newest(&story.disk).expect("is whole");
    let image = story.disk.image();
    let newest_log = image.keys().rev().find(|path| path.starts_with("log/")).expect("has a log").clone();
    let newest = (manifest::path(manifest.number), newest_log);
    assert_eq!(named(&story.disk), Vec::<String>::new());
    assert_eq!(serve(&story, &story.disk), Ok((expected.clone(), vec![])));
    let mut table: BTreeMap<&'static str, [usize; 4]> = BTreeMap::new();
    for (path, bytes) in image.iter().filter_map(|(path, bytes)| Some((path, bytes.as_ref()?))) {
        let Some((kind, range)) = kind_of(path, bytes, (&newest.0, &newest.1)) else { continue };
        let step = (range.len() / FLIPS).max(1);
        for offset in range.step_by(step) {
            let disk = story.disk.fork();
            assert!(disk.flip(path, offset, u32::try_from(offset).expect("is small")));
            let row = table.entry(kind).or_default();
            row[0] += 1;
            let names = named(&disk);
            row[1] += usize::from(names.iter().any(|name| name.contains(path.as_str())));
            match serve(&story, &disk) {
                Ok((rows, left_out)) => {
                    let is_wrong = rows.iter().any(|(seq, row)| expected.get(seq) != Some(row));
                    let is_elsewhere = |seq: &u64| {
                        let holds = |dir: &String| {
                            let meta = manifest.segments.iter().find(|meta| meta.dir == *dir);
                            meta.is_none_or(|meta| (meta.first_seq.0..=meta.last_seq.0).contains(seq))
                        };
                        !left_out.iter().any(holds)
                    };
                    let is_missed = expected.keys().any(|seq| is_elsewhere(seq) && !rows.contains_key(seq));
                    row[2] += usize::from(is_wrong);
                    row[3] += usize::from(!is_missed);
                    assert!(!is_wrong && !is_missed, "{path} byte {offset}: {rows:?}, left out {left_out:?}");
                }
                Err(error) => {
                    assert!(kind.starts_with("log") || kind == "manifest, the newest", "{path} byte {offset}: {error}");
                    assert!(error.contains(path.as_str()), "{path} byte {offset}: {error}");
                }
            }
            assert!(names.iter().any(|name| name.contains(path.as_str())), "{path} byte {offset}: named {names:?}");
        }
    }
    let mut text =
        "| file | bits flipped | named | read as data | all else served |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for (kind, [flips, named, wrong, served]) in &table {
        let served = if *served == 0 { "opening refuses by name".to_owned() } else { served.to_string() };
        writeln!(text, "| {kind} | {flips} | {named} | {wrong} | {served} |").expect("fits");
    }
    println!("{text}");
    assert_eq!(table.len(), 9, "a kind of file is missing: {table:?}");
}

#[test]
fn what_rots_under_a_running_store_is_named_by_the_weekly_reading_as_by_verify() {
    let story = story();
    let expected = story.ledger.there();
    let manifest = Manifest::newest(&story.disk).expect("is whole");
    let image = story.disk.image();
    let newest_log = image.keys().rev().find(|path| path.starts_with("log/")).expect("has a log").clone();
    let newest = (manifest::path(manifest.number), newest_log);
    let mut kinds = BTreeSet::new();
    for (path, bytes) in image.iter().filter_map(|(path, bytes)| Some((path, bytes.as_ref()?))) {
        let Some((kind, range)) = kind_of(path, bytes, (&newest.0, &newest.1)) else { continue };
        kinds.insert(kind);
        let step = (range.len() / 6).max(1);
        for offset in range.step_by(step) {
            let disk = story.disk.fork();
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let store = Store::open_read_only(shared, story.config.clone(), story.clock.clone()).expect("is whole");
            let snapshot = store.snapshot();
            let mut place = Place::default();
            assert_eq!(place.read_on(&disk, &snapshot, u64::MAX, 1), (vec![], true));
            assert!(disk.flip(path, offset, u32::try_from(offset).expect("is small")));
            let files =
                |findings: &[Finding]| findings.iter().map(|one| one.file.clone()).collect::<BTreeSet<String>>();
            // At any pace, and after restarts.
            let (mut new, mut has_ended) = (Vec::new(), false);
            while !has_ended {
                let (found, ended) = place.read_on(&disk, &snapshot, 10_000, 2);
                new.extend(found);
                has_ended = ended;
                place = serde_json::from_str(&serde_json::to_string(&place).expect("is text")).expect("is a place");
            }
            assert!(files(&new).contains(path), "{path} byte {offset}: {new:?}");
            assert_eq!(files(&new), named(&disk).into_iter().collect(), "{path} byte {offset}");
            assert_eq!(files(&place.findings), files(&new), "{path} byte {offset}: what a page shows");
            // The next pass knows of it, and forgets it when it is whole again.
            assert_eq!(place.read_on(&disk, &snapshot, u64::MAX, 3), (vec![], true), "{path} byte {offset}");
            assert_eq!(files(&place.findings), files(&new), "{path} byte {offset}");
            let (rows, left_out) = served(&snapshot).expect("serves the rest");
            assert_eq!(left_out.is_empty(), !path.starts_with("segments/"), "{path} byte {offset}: {left_out:?}");
            assert!(rows.iter().all(|(seq, row)| expected.get(seq) == Some(row)));
            assert!(!left_out.is_empty() || rows == expected, "{path} byte {offset}: {rows:?}");
            if left_out.is_empty() {
                disk.replace(path, bytes).expect("is mended");
                assert_eq!(place.read_on(&disk, &snapshot, u64::MAX, 4), (vec![], true));
                assert_eq!(place.findings, vec![], "{path} byte {offset}");
            }
        }
    }
    assert_eq!(kinds.len(), 9, "a kind of file is missing: {kinds:?}");
}

/// A copy of the store in which a file is another one.
fn with(story: &Story, path: &str, bytes: &[u8]) -> SimDisk {
    let disk = story.disk.fork();
    disk.replace(path, bytes).expect("is written");
    disk
}

fn manifest_bytes(version: u32, body: &str) -> Vec<u8> {
    format!("nhatle manifest {version} {:08x}\n{body}", crc32c::crc32c(body.as_bytes())).into_bytes()
}

/// The newest manifest with this change.
fn with_manifest(story: &Story, change: impl Fn(&mut Manifest)) -> SimDisk {
    let mut manifest = Manifest::newest(&story.disk).expect("is whole");
    change(&mut manifest);
    let body = serde_json::to_string(&manifest).expect("is written");
    with(story, &manifest::path(manifest.number), &manifest_bytes(1, &body))
}

/// The first segment's file with other bytes, and a manifest that says so.
fn with_file(story: &Story, name: &str, change: impl Fn(&[u8]) -> Vec<u8>) -> (SimDisk, String) {
    let manifest = Manifest::newest(&story.disk).expect("is whole");
    let path = manifest.segments[0].path(name);
    let bytes = change(&story.disk.read(&path).expect("is there"));
    let disk = with_manifest(story, |manifest| {
        let file = manifest.segments[0].files.iter_mut().find(|file| file.name == name).expect("is named");
        *file = FileMeta::of(name, &bytes);
    });
    disk.replace(&path, &bytes).expect("is written");
    (disk, path)
}

#[test]
fn another_version_is_refused_by_name_and_never_misread() {
    let story = story();
    let expected = story.ledger.there();
    let manifest = Manifest::newest(&story.disk).expect("is whole");
    let first = &manifest.segments[0];
    let is_rest = |rows: &BTreeMap<u64, Row>| {
        let in_first = |seq: &u64| (first.first_seq.0..=first.last_seq.0).contains(seq);
        let rest = expected.iter().filter(|(seq, row)| !(in_first(seq) && row.0 == first.dataset));
        *rows == rest.map(|(seq, row)| (*seq, *row)).collect()
    };
    for version in [0u32, 2, 9] {
        // The log, of which versions 1 and 2 are read, and the manifest: opening refuses.
        let of_log = if version == 2 { 3 } else { version };
        let path = wal::path(manifest.log_first);
        let mut bytes = story.disk.read(&path).expect("is there");
        bytes[8..12].copy_from_slice(&of_log.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        let refused = serve(&story, &with(&story, &path, &bytes)).expect_err("another version of the log");
        assert!(refused.contains(&path), "{refused}");
        let path = manifest::path(manifest.number);
        let body = serde_json::to_string(&manifest).expect("is written");
        let refused = serve(&story, &with(&story, &path, &manifest_bytes(version, &body)));
        assert!(refused.expect_err("another version of the manifest").contains(&path));
        // Rows and words are written as version 3, and read of those before (`segment/tests_old.rs`).
        let unread = if version == 2 { 4 } else { version };
        // A segment, its rows, its words: it is left out, the rest is served.
        let disks = [
            (with_manifest(&story, |manifest| manifest.segments[0].version = version), first.dir.clone()),
            with_file(&story, ROWS_FILE, |bytes| replaced(bytes, b"nhatle.version\x18\x013", unread)),
            with_file(&story, INDEX_FILE, |bytes| replaced(bytes, b"{\"version\":3", unread)),
        ];
        for (disk, path) in disks {
            let (rows, left_out) =
                serve(&story, &disk).unwrap_or_else(|error| panic!("{path} of version {version}: {error}"));
            assert_eq!(left_out, std::slice::from_ref(&first.dir), "{path} of version {version} was read");
            assert!(is_rest(&rows), "{path} of version {version}: {rows:?}");
        }
    }
}

/// The bytes with the last digit of `text`, which stands there once or more, as another.
fn replaced(bytes: &[u8], text: &[u8], version: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(!places.is_empty(), "the version is not where it was");
    let digit = u8::try_from(version).expect("one digit") + b'0';
    places.into_iter().for_each(|at| bytes[at + text.len() - 1] = digit);
    bytes
}
