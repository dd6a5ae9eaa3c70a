//! The store as a whole: the crash simulator over seeds, an error and a power cut at every single call,
//! a full disk, two processes, damage. `NHATLE_SEED=<n>` runs one seed alone, `NHATLE_SEEDS=<n>` so many.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nhatle_event::{Seq, SystemClock};

use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::live::SegmentForm;
use crate::tests_rows::event;
use crate::tests_world::{Honesty, SimClock, World, run};
use crate::{Config, Dataset, OpenError, OsDisk, ReadError, Store, WriteError};

const SEEDS: u64 = 1000;
/// Fewer with real segments, which take some milliseconds each to build.
const COLUMN_SEEDS: u64 = 12;
pub const STEPS: usize = 60;

/// The seeds to run: `NHATLE_SEED=<n>` that one alone, `NHATLE_SEEDS=<n>` so many.
fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    match (number("NHATLE_SEED"), number("NHATLE_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..SEEDS,
    }
}

/// Seeds that broke a promise once: a disk that failed while the log of the proof was opened.
const BROKEN_ONCE: [u64; 1] = [26_995];

#[test]
fn no_seed_that_broke_a_promise_once_does_so_again() {
    for seed in BROKEN_ONCE {
        run(seed, STEPS, SegmentForm::Plain, Honesty::Honest).unwrap();
    }
}

#[test]
fn no_seed_breaks_a_promise() {
    let (seeds, started) = (seeds(), Instant::now());
    let (next, merges) = (AtomicU64::new(seeds.start), AtomicUsize::new(0));
    let broken = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let told = run(seed, STEPS, SegmentForm::Plain, Honesty::Honest);
            if seed % 10 == 0 {
                let again = run(seed, STEPS, SegmentForm::Plain, Honesty::Honest);
                assert_eq!(told, again, "seed {seed} does not run the same way twice");
            }
            match told {
                Ok(told) => drop(merges.fetch_add(told.merges, Ordering::Relaxed)),
                Err(error) => broken.lock().unwrap().push(error),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (count, merges, broken) = (seeds.end - seeds.start, merges.into_inner(), broken.into_inner().unwrap());
    println!("{count} seeds, {merges} merges, {} broken in {:.1} s", broken.len(), started.elapsed().as_secs_f64());
    assert!(broken.is_empty(), "{} of {count} seeds: {}", broken.len(), broken[0]);
    assert!(count == 1 || count / 8 < merges as u64, "only {merges} merges of segments in {count} seeds");
}

#[test]
fn no_seed_breaks_a_promise_with_real_segments() {
    for seed in 0..COLUMN_SEEDS {
        run(seed, STEPS, SegmentForm::Columns, Honesty::Honest).unwrap_or_else(|broken| panic!("{broken}"));
    }
}

#[test]
fn the_simulator_notices_a_missing_sync() {
    let broken = (0..50).filter(|seed| run(*seed, STEPS, SegmentForm::Plain, Honesty::LyingSync).is_err()).count();
    assert!(broken > 10, "only {broken} of 50 seeds noticed that nothing was synced");
}

/// Some of everything, the same each time.
fn story(world: &mut World) -> Result<(), String> {
    world.reopen()?;
    for round in 0..3 {
        world.append(3, 100)?;
        world.append(0, 0)?;
        drop(world.store()?.seal());
        world.append(2 + round, 0)?;
        drop(world.store()?.seal());
        world.next_day();
        world.compact()?;
    }
    world.append(1, 0)
}

#[test]
fn an_error_at_any_call_loses_nothing() {
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        for call in 0.. {
            let mut world = World::new(call, SegmentForm::Plain);
            world.disk.fail_at(call, kind);
            story(&mut world)
                .and_then(|()| world.agree())
                .unwrap_or_else(|broken| panic!("{kind} at {call}: {broken}"));
            let is_past = world.disk.calls() <= call;
            world.disk.calm();
            world.reopen().unwrap_or_else(|broken| panic!("{kind} at {call}, opened again: {broken}"));
            if is_past {
                assert!(call > 50, "the story is too short: {call}");
                break;
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_call_loses_nothing() {
    for call in 0..600 {
        let mut world = World::new(call, SegmentForm::Plain);
        world.disk.cut_power_at(call);
        let told = story(&mut world);
        if !world.disk.is_off() {
            told.unwrap_or_else(|broken| panic!("cut at {call}: {broken}"));
        }
        world.power_back().unwrap_or_else(|broken| panic!("cut at {call}: {broken}"));
    }
}

#[test]
fn a_killed_process_at_any_call_loses_nothing() {
    for call in 0..600 {
        let mut world = World::new(call, SegmentForm::Plain);
        world.disk.die_at(call);
        let told = story(&mut world);
        if !world.disk.is_dead() {
            told.unwrap_or_else(|broken| panic!("killed at {call}: {broken}"));
        }
        world.kill_and_reopen().unwrap_or_else(|broken| panic!("killed at {call}: {broken}"));
    }
}

fn open(disk: &SimDisk) -> Result<Store, OpenError> {
    let clock = Arc::new(SimClock::new(5));
    Store::open_with(Arc::new(disk.clone()), Config::default(), clock, SegmentForm::Plain)
}

fn append(store: &Store, id: u64) -> Result<Seq, WriteError> {
    store.append(vec![(Dataset::Events, event(id, 0))], &[]).map(|rows| rows[0].seq)
}

#[test]
fn a_full_disk_refuses_by_name_and_goes_on_when_there_is_space() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    assert_eq!(append(&store, 1).unwrap(), Seq(1));
    for room in 0..120 {
        disk.set_capacity(disk.used_bytes() + room);
        let refused = store.append(vec![(Dataset::Events, event(2, 200))], &[]);
        assert!(matches!(refused, Err(WriteError::DiskFull { .. })), "{room}: {refused:?}");
        assert!(matches!(store.seal(), Ok(false) | Err(WriteError::DiskFull { .. })));
        assert_eq!(store.snapshot().count(Dataset::Events), 1);
    }
    drop(store);
    let store = open(&disk).expect("a full disk still opens");
    disk.set_capacity(u64::MAX);
    assert_eq!(append(&store, 3).unwrap(), Seq(2));
    assert!(store.seal().unwrap());
    assert_eq!(append(&store, 4).unwrap(), Seq(3));
    drop(store);
    disk.restart();
    assert_eq!(open(&disk).unwrap().snapshot().count(Dataset::Events), 3);
}

#[test]
fn a_failed_sync_stops_the_writer_until_the_store_is_opened_again() {
    let disk = SimDisk::new(2);
    let store = open(&disk).unwrap();
    append(&store, 1).unwrap();
    disk.fail_at(disk.calls() + 1, ErrorKind::Other);
    assert!(matches!(append(&store, 2), Err(WriteError::Io { .. })));
    assert!(matches!(append(&store, 3), Err(WriteError::Poisoned)));
    assert!(store.stats().is_poisoned);
    assert_eq!(store.snapshot().last_seq(), Seq(1), "what is not acknowledged is not readable");
    drop(store);
    let store = open(&disk).unwrap();
    let next = append(&store, 3).unwrap();
    assert!(next == Seq(2) || next == Seq(3));
    // What was visible after the failed sync is durable now, whatever the page cache did.
    let before = store.snapshot().count(Dataset::Events);
    drop(store);
    disk.restart();
    assert_eq!(open(&disk).unwrap().snapshot().count(Dataset::Events), before);
}

#[test]
fn a_torn_tail_is_left_out_and_a_hole_is_named() {
    for cut in 1..58 {
        let disk = SimDisk::new(3);
        let store = open(&disk).unwrap();
        assert!((1..=3).all(|id| append(&store, id).is_ok()));
        drop(store);
        let path = crate::wal::path(1);
        let bytes = disk.read(&path).unwrap();
        assert!(
            cut * 3 <= bytes.len() as u64 - crate::wal::HEADER_BYTES as u64,
            "the last of three frames is cut, no other"
        );
        disk.open(&path).unwrap().truncate(bytes.len() as u64 - cut).unwrap();
        assert_eq!(open(&disk).unwrap().snapshot().last_seq(), Seq(2), "{cut} bytes cut off");
    }
    for offset in crate::wal::HEADER_BYTES..crate::wal::HEADER_BYTES + 100 {
        let disk = SimDisk::new(3);
        let store = open(&disk).unwrap();
        assert!((1..=3).all(|id| append(&store, id).is_ok()));
        drop(store);
        assert!(disk.flip(&crate::wal::path(1), offset, 3));
        match open(&disk) {
            Err(OpenError::Read(ReadError::Corrupt(corrupt))) => {
                assert_eq!(corrupt.file, crate::wal::path(1));
                assert!((corrupt.offset..corrupt.offset + 100).contains(&(offset as u64)), "{corrupt}");
            }
            opened => panic!("a flipped bit at {offset} gave {:?}", opened.map(|store| store.stats())),
        }
        assert_eq!(crate::verify(&disk).len(), 1);
    }
}

#[test]
fn two_processes_are_refused_and_a_reader_sees_what_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(OsDisk::new(folder.path()).unwrap());
    let clock = || Arc::new(SystemClock);
    let writer = Store::open_with(disk(), Config::default(), clock(), SegmentForm::Plain).unwrap();
    append(&writer, 1).unwrap();
    let second = Store::open_with(disk(), Config::default(), clock(), SegmentForm::Plain);
    assert!(matches!(second.map(|_| ()), Err(OpenError::Locked { .. })));
    let reader = Store::open_read_only(disk(), Config::default(), clock()).unwrap();
    assert_eq!(reader.snapshot().last_seq(), Seq(1));
    assert!(matches!(append(&reader, 2), Err(WriteError::ReadOnly)));
    assert!(matches!(reader.seal(), Err(WriteError::ReadOnly)));
    drop(writer);
    let writer = Store::open_with(disk(), Config::default(), clock(), SegmentForm::Plain).unwrap();
    assert_eq!(append(&writer, 2).unwrap(), Seq(2));
    assert!(writer.seal().unwrap());
    assert!(!writer.seal().unwrap());
    assert_eq!(crate::verify(&*disk()), vec![]);
}

#[test]
fn seqs_and_marks_go_on_after_everything_was_sealed() {
    let disk = SimDisk::new(4);
    for round in 0..5u64 {
        let store = open(&disk).unwrap();
        assert_eq!(append(&store, round).unwrap(), Seq(round + 1));
        store.append(Vec::new(), &[("detected", vec![7; 3])]).unwrap();
        assert!(store.seal().unwrap());
        assert_eq!(store.mark("detected"), Some(vec![7; 3]));
        let after = store.snapshot().events_after(Dataset::Events, Seq(1), 2).unwrap();
        assert!(after.iter().map(|stored| stored.seq.0).eq(2..(round + 2).min(4)));
    }
    assert_eq!(open(&disk).unwrap().mark("detected"), Some(vec![7; 3]));
}

#[test]
fn a_snapshot_does_not_change_while_the_store_does() {
    let disk = SimDisk::new(5);
    let store = open(&disk).unwrap();
    append(&store, 1).unwrap();
    let before = store.snapshot();
    append(&store, 2).unwrap();
    store.seal().unwrap();
    append(&store, 3).unwrap();
    assert_eq!((before.count(Dataset::Events), before.last_seq()), (1, Seq(1)));
    let after = store.snapshot();
    assert_eq!((after.count(Dataset::Events), after.segments(Dataset::Events).count()), (3, 1));
    assert_eq!(after.recent_by_seq(Seq(3)).map(|(_, row)| row.seq()), Some(Seq(3)));
}

#[test]
fn what_is_past_a_limit_is_refused() {
    let disk = SimDisk::new(6);
    let store = open(&disk).unwrap();
    let huge = store.append(vec![(Dataset::Events, event(1, crate::wal::FRAME_BYTES_MAX))], &[]);
    assert!(matches!(huge, Err(WriteError::BatchTooLarge { .. })));
    let name = "n".repeat(crate::wal::MARK_NAME_BYTES_MAX + 1);
    assert!(matches!(store.append(Vec::new(), &[(&name, vec![])]), Err(WriteError::MarkPastLimit { .. })));
    let names: Vec<String> = (0..=crate::wal::MARKS_MAX).map(|at| format!("m{at}")).collect();
    let marks: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), vec![1])).collect();
    assert!(matches!(store.append(Vec::new(), &marks), Err(WriteError::MarkPastLimit { .. })));
    assert_eq!(store.stats().log_bytes, 0);
}
