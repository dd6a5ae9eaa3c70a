//! The canary of the simulator: with any one kind of sync left out it must find a broken promise. A sync that can be left
//! out unnoticed is one too many, or the simulator is blind to what it is for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::sim::SimDisk;
use crate::live::SegmentForm;
use crate::tests::STEPS;
use crate::tests_faults::noticed_by_the_story;
use crate::tests_rows::event;
use crate::tests_world::{Honesty, SimClock, World, run};
use crate::{Config, Dataset, Store};

/// So many seeds say which kinds of sync there are.
const KIND_SEEDS: u64 = 60;
/// A kind must be noticed within so many.
const SEEDS_MAX: u64 = 300;

/// Kinds of sync that the store does without, each with the reason why nothing can be lost with it.
const NEEDLESS: [(&str, &str); 1] = [(
    "folder of the store",
    "needless: opening has synced it, and no name in it is made while a store runs; a new folder syncs those above it",
)];

/// Where it is noticed first that this kind of sync does nothing, and what is wrong then.
fn noticed(kind: &str) -> Option<(String, String)> {
    let first = |what: &str| what.chars().take(70).collect::<String>();
    let by_seed = (0..SEEDS_MAX).find_map(|seed| {
        let told = run(seed, STEPS, SegmentForm::Plain, Honesty::LeftOut(kind));
        told.err().map(|broken| (format!("seed {seed}"), first(&broken)))
    });
    by_seed
        .or_else(|| {
            let (call, what) = noticed_by_the_story(kind)?;
            Some((format!("story, call {call}"), first(&what)))
        })
        .or_else(|| {
            let (seed, what) = noticed_after_a_failed_write(kind)?;
            Some((format!("failed write, seed {seed}"), first(&what)))
        })
}

/// A frame does not fit on the disk and is cut back; the next one begins a new file of the log; then the power fails.
fn noticed_after_a_failed_write(kind: &str) -> Option<(u64, String)> {
    let batch = |ids: Range<u64>| ids.map(|id| (Dataset::Events, event(id, 0))).collect::<Vec<_>>();
    let broken = |seed: u64, log_file_bytes_max: u64| {
        let disk = SimDisk::new(seed);
        disk.leave_out(kind);
        let config = Config { log_file_bytes_max, ..Config::default() };
        let open = || {
            let clock = Arc::new(SimClock::new(1));
            disk.set_moment("recovery");
            let store = Store::open_with(Arc::new(disk.clone()), config.clone(), clock, SegmentForm::Plain);
            disk.set_moment("");
            store
        };
        let store = open().unwrap();
        store.append(batch(0..1), &[]).unwrap();
        disk.fail_at(disk.calls(), ErrorKind::StorageFull);
        store.append(batch(1..2), &[]).unwrap_err();
        store.append(batch(2..40), &[]).unwrap();
        drop(store);
        disk.restart();
        match open() {
            Ok(store) => {
                let found = store.snapshot().count(Dataset::Events);
                (found != 39).then(|| format!("S1 {found} events where 39 were acknowledged"))
            }
            Err(error) => Some(format!("S1 the store does not open: {error}")),
        }
    };
    (0..40).find_map(|seed| {
        let what = [500, 800, 1_200, 2_000].into_iter().find_map(|bytes| broken(seed, bytes))?;
        Some((seed, what))
    })
}

/// The same tale on a disk that keeps its promises: nothing is lost.
#[test]
fn a_frame_that_was_cut_back_does_not_come_back() {
    assert_eq!(noticed_after_a_failed_write("nothing"), None);
}

#[test]
fn every_sync_that_is_left_out_is_noticed() {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..KIND_SEEDS {
        let mut world = World::new(seed, SegmentForm::Plain);
        world.work(STEPS).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        world.disk.syncs().into_iter().for_each(|(kind, count)| *kinds.entry(kind).or_default() += count);
    }
    let kinds: Vec<(String, u64)> = kinds.into_iter().collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((kind, count)) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let row = noticed(kind).map(|(where_, what)| (*count, where_, what));
            rows.lock().unwrap().insert(kind.clone(), row);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut text = "| left out | asked for | noticed | as |\n| --- | --- | --- | --- |\n".to_owned();
    let mut unnoticed = Vec::new();
    for (kind, row) in rows.into_inner().unwrap() {
        match (row, NEEDLESS.iter().find(|(known, _)| *known == kind)) {
            (Some((count, place, what)), None) => writeln!(text, "| {kind} | {count} | {place} | {what} |").unwrap(),
            (None, Some((_, reason))) => writeln!(text, "| {kind} | | never | {reason} |").unwrap(),
            // A sync that is said to be needless and is not is as bad as one that nobody misses.
            (row, _) => unnoticed.push((kind, row)),
        }
    }
    println!("{text}");
    assert!(15 < kinds.len(), "{kinds:?}");
    assert!(unnoticed.is_empty(), "left out and not noticed, or noticed though said to be needless: {unnoticed:?}");
}
