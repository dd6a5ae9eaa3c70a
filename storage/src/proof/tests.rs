//! The proof with a store: on the simulated disk through crashes and errors, and against the naive tree.

use std::sync::Arc;

use nhatle_event::{Event, Seq, Timestamp};

use super::entry::Entry;
use super::log::{self, HEADS, LOG, NODES, ProofLog};
use super::{Head, SignedHead, SigningKey, check, head, prove, tree};
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::live::SegmentForm;
use crate::manifest::Manifest;
use crate::tests_world::SimClock;
use crate::{Config, Dataset, Store};

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("a key")
}

fn open(disk: &SimDisk, form: SegmentForm) -> Store {
    let store = Store::open_with(Arc::new(disk.clone()), Config::default(), Arc::new(SimClock::new(5)), form);
    store.expect("opens")
}

fn event(number: u64) -> Event {
    let mut event =
        Event::new(Timestamp(1_000 - i64::try_from(number).expect("small")), format!("line {number}").into_bytes());
    event.set_named("vendor.number", i64::try_from(number).expect("small"));
    event
}

fn append(store: &Store, numbers: std::ops::Range<u64>) {
    let dataset = |number: u64| if number.is_multiple_of(5) { Dataset::Alerts } else { Dataset::Events };
    store.append(numbers.map(|number| (dataset(number), event(number))).collect(), &[]).expect("appends");
}

fn findings(disk: &SimDisk) -> Vec<String> {
    let checked = check::store(disk).expect("reads").expect("a proof");
    checked.findings.into_iter().map(|finding| format!("{}: {}", finding.file, finding.what)).collect()
}

fn document(number: u64) -> Entry {
    Entry::Document {
        name: "x".repeat(usize::try_from(number * 7 % 900).expect("small")),
        bytes: number,
        sha256: String::new(),
        at_ns: 0,
    }
}

#[test]
fn the_log_is_the_tree_of_its_lines_and_finds_each_of_them() {
    let disk = SimDisk::new(1);
    let mut log = ProofLog::open(&disk).expect("opens");
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for count in [1, 2, 0, 5, 13, 40] {
        let entries: Vec<Entry> = (0..count).map(|at| document(lines.len() as u64 + at)).collect();
        log.append(&disk, &entries).expect("appends");
        let text = disk.read(LOG).expect("reads");
        lines = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.pop();
        assert_eq!((log.size(), log.root()), (lines.len() as u64, tree::naive::root(&lines)));
        let again = ProofLog::open(&disk).expect("opens");
        assert_eq!((again.size(), again.root()), (log.size(), log.root()));
    }
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(log::line(&disk, at as u64).expect("is there").as_bytes(), line, "{at}");
        let path = tree::inclusion(&|level, place| log::node(&disk, level, place), at as u64, log.size());
        assert_eq!(path.expect("its nodes are there"), tree::naive::path(at, &lines), "{at}");
        assert_eq!(log::lines_from(&disk, at as u64).expect("reads").len(), lines.len() - at);
    }
    assert!(log::line(&disk, lines.len() as u64).is_err());
}

#[test]
fn a_torn_entry_is_cut_off_and_what_a_head_covers_is_never_let_go() {
    let (disk, key) = (SimDisk::new(1), key());
    let mut log = ProofLog::open(&disk).expect("opens");
    log.append(&disk, &[document(1), document(2), document(3)]).expect("appends");
    let origin = head::origin_of(&key.public());
    let at =
        |log: &ProofLog| Head { origin: origin.clone(), size: log.size(), root: log.root(), at: None, writer: None };
    log.append_head(&disk, SignedHead::sign(at(&log), &key)).expect("writes");
    let covered = (log.size(), log.root());
    let whole = disk.read(LOG).expect("reads");
    for torn in [
        "",
        "{\"leaf\":3,\"kind\":\"doc",
        "\0\0\0\0\n",
        "{\"leaf\":9,\"kind\":\"dropped\",\"dirs\":[],\"reason\":\"\",\"at_ns\":0}\n",
    ] {
        disk.replace(LOG, &[&whole[..], torn.as_bytes()].concat()).expect("writes");
        let again = ProofLog::open(&disk).expect("opens");
        assert_eq!((again.size(), again.root()), covered, "{torn:?}");
        assert_eq!(disk.read(LOG).expect("reads"), whole, "{torn:?}");
    }
    // The hashes are only a cache.
    for nodes in [Vec::new(), vec![7; 128], vec![7; 5_000]] {
        disk.replace(NODES, &nodes).expect("writes");
        let again = ProofLog::open(&disk).expect("opens");
        assert_eq!((again.size(), again.root()), covered);
    }
    // A torn head is as if it were not there; a damaged one, or a log that is not the head's, is not gone on with.
    let heads = disk.read(HEADS).expect("reads");
    disk.replace(HEADS, &[&heads[..], b"nhatle/torn\n4"].concat()).expect("writes");
    assert_eq!(ProofLog::open(&disk).expect("opens").newest().map(|head| head.head.size), Some(3));
    // Torn at any byte of it, also behind the empty line before its signature (NHATLE_SEED=5252).
    let mut longer = ProofLog::open(&disk).expect("opens");
    longer.append(&disk, &[document(4)]).expect("appends");
    longer.append_head(&disk, SignedHead::sign(at(&longer), &key)).expect("writes");
    let both = disk.read(HEADS).expect("reads");
    assert!(both.starts_with(&heads) && heads.len() + 100 < both.len());
    for cut in heads.len()..both.len() {
        disk.replace(HEADS, &both[..cut]).expect("writes");
        let newest = ProofLog::open(&disk).unwrap_or_else(|error| panic!("cut at {cut}: {error}")).newest().cloned();
        assert_eq!(newest.map(|head| head.head.size), Some(3), "cut at {cut}");
        assert_eq!(disk.read(HEADS).expect("reads"), heads, "cut at {cut}");
    }
    disk.replace(LOG, &whole).expect("writes");
    let mut altered = heads.clone();
    let root = heads.iter().position(|byte| *byte == b'\n').expect("a line") + 8;
    altered[root] ^= 1;
    disk.replace(HEADS, &altered).expect("writes");
    assert!(ProofLog::open(&disk).is_err());
    disk.replace(HEADS, &heads).expect("writes");
    for at in [3, whole.len() / 2, whole.len() - 2] {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        disk.replace(LOG, &altered).expect("writes");
        disk.replace(NODES, b"").expect("writes");
        assert!(ProofLog::open(&disk).is_err(), "byte {at}");
    }
}

#[test]
fn each_event_of_a_store_is_proved_under_its_head() {
    let disk = SimDisk::new(1);
    let store = open(&disk, SegmentForm::Columns);
    append(&store, 1..40);
    store.seal().expect("seals");
    store.sign_with(key());
    append(&store, 40..43);
    store.seal().expect("seals");
    append(&store, 43..45);
    let newest = log::newest(&disk).expect("reads").expect("a head");
    assert_eq!(findings(&disk), Vec::<String>::new());
    let snapshot = store.snapshot();
    let all: Vec<Seq> = (1..43).map(Seq).collect();
    let proven = prove::events(&disk, &snapshot, &newest, &all).expect("all of it is sealed");
    assert_eq!(proven.len(), 42);
    let leaves: Vec<u64> = proven.iter().map(|one| one.proof.leaf).collect();
    let entries = prove::leaves(&disk, &newest, &leaves).expect("they are in the log");
    // Four segments: two datasets, sealed twice.
    assert_eq!(entries.len(), 4);
    for (seq, what) in [(43, "not under the newest head yet"), (99, "no event")] {
        let refused = prove::events(&disk, &snapshot, &newest, &[Seq(seq)]).expect_err("it is not covered");
        assert!(refused.to_string().contains(what), "{refused}");
    }
    assert_eq!(check::events(&snapshot), []);
}

#[test]
fn a_store_that_nobody_proved_is_taken_over_whole() {
    let disk = SimDisk::new(1);
    let store = open(&disk, SegmentForm::Columns);
    append(&store, 1..20);
    store.seal().expect("seals");
    drop(store);
    // As a version before the proof left it: no log, and segments that say nothing of it.
    let mut manifest = Manifest::newest(&disk).expect("reads");
    for file in [LOG, NODES] {
        disk.remove(file).expect("removes");
    }
    manifest.segments.iter_mut().for_each(|meta| (meta.leaf, meta.root_form) = (None, None));
    manifest.publish(&disk).expect("writes");
    let text = String::from_utf8(disk.read(&crate::manifest::path(manifest.number)).expect("reads")).expect("text");
    assert!(!text.contains("root_form") && !text.contains("\"leaf\""), "{text}");
    let store = open(&disk, SegmentForm::Columns);
    store.sign_with(key());
    assert_eq!(findings(&disk), Vec::<String>::new());
    let newest = log::newest(&disk).expect("reads").expect("a head");
    let refused = prove::events(&disk, &store.snapshot(), &newest, &[Seq(1)]).expect_err("it was never proved");
    assert!(refused.to_string().contains("before there were proofs"), "{refused}");
    append(&store, 20..30);
    store.seal().expect("seals");
    let newest = log::newest(&disk).expect("reads").expect("a head");
    prove::events(&disk, &store.snapshot(), &newest, &[Seq(21)]).expect("is proved");
}

#[test]
fn a_disk_that_fails_while_a_store_is_opened_leaves_no_segment_out_of_the_log() {
    let disk = SimDisk::new(1);
    let store = open(&disk, SegmentForm::Plain);
    for round in 0..3 {
        append(&store, round * 5..round * 5 + 5);
        store.seal().expect("seals");
    }
    drop(store);
    // The log has the first segment only, as where its end was torn off, and the manifest does not say which it has.
    let text = String::from_utf8(disk.read(LOG).expect("reads")).expect("text");
    let first = text.lines().next().expect("a line");
    disk.replace(LOG, format!("{first}\n").as_bytes()).expect("writes");
    disk.remove(NODES).expect("removes");
    let mut manifest = Manifest::newest(&disk).expect("reads");
    manifest.segments.iter_mut().for_each(|meta| meta.leaf = None);
    manifest.publish(&disk).expect("writes");
    let mut opened = 0;
    for call in 0..80 {
        let disk = disk.fork();
        disk.fail_at(disk.calls() + call, std::io::ErrorKind::Other);
        let clock = Arc::new(SimClock::new(5));
        let store = Store::open_with(Arc::new(disk.clone()), Config::default(), clock, SegmentForm::Plain);
        let Ok(store) = store else { continue };
        opened += 1;
        disk.calm();
        store.sign_with(key());
        store.catch_up_proof();
        assert_eq!(findings(&disk), Vec::<String>::new(), "call {call}");
        let log = String::from_utf8(disk.read(LOG).expect("reads")).expect("text");
        for meta in Manifest::newest(&disk).expect("reads").segments {
            assert_eq!(log.matches(&format!("{:?}", meta.dir)).count(), 1, "call {call}: {log}");
        }
    }
    assert!(10 < opened, "{opened}");
}

#[test]
fn a_power_cut_anywhere_leaves_a_proof_that_holds() {
    for call in 0..260 {
        let (disk, key) = (SimDisk::new(call), SigningKey::generate().expect("randomness"));
        let key = || SigningKey::from_pkcs8(&key).expect("a key");
        disk.cut_power_at(call);
        let opened =
            Store::open_with(Arc::new(disk.clone()), Config::default(), Arc::new(SimClock::new(5)), SegmentForm::Plain);
        if let Ok(store) = opened {
            store.sign_with(key());
            for round in 0..4 {
                let batch = vec![(Dataset::Events, event(round)), (Dataset::Alerts, event(round + 9))];
                drop(store.append(batch, &[]));
                drop(store.seal());
                drop(store.record_register((round + 1, [7; 32], [8; 32])));
            }
        }
        disk.restart();
        let before = log::newest(&disk).expect("reads");
        let store = open(&disk, SegmentForm::Plain);
        store.sign_with(key());
        assert_eq!(store.proof_state().trouble, None, "cut at {call}");
        let checked = check::store(&disk).expect("reads").expect("a proof");
        let said: Vec<_> = checked.findings.iter().map(|finding| &finding.what).collect();
        assert!(said.is_empty(), "cut at {call}: {said:?}");
        // What was signed before the cut is still true.
        assert_eq!(before.and_then(|before| check::kept_head(Some(&checked), &before)), None, "cut at {call}");
    }
}

#[test]
fn what_was_dropped_and_said_is_not_missing() {
    let disk = SimDisk::new(1);
    let store = open(&disk, SegmentForm::Plain);
    store.sign_with(key());
    append(&store, 1..6);
    store.seal().expect("seals");
    drop(store);
    let mut manifest = Manifest::newest(&disk).expect("reads");
    let dir = manifest.segments.remove(0).dir;
    manifest.number += 1;
    manifest.publish(&disk).expect("writes");
    let lost = findings(&disk);
    assert!(lost.len() == 1 && lost[0].contains(&dir) && lost[0].contains("never dropped"), "{lost:?}");
    let store = open(&disk, SegmentForm::Plain);
    store.announce_drop(&[dir], "older than 12 months").expect("writes");
    assert_eq!(findings(&disk), Vec::<String>::new());
}
