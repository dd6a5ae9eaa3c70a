//! Merging segments with the real form: the same events, searches and hashes before and after; readers of old
//! snapshots, in this process and another; damage; bounded work.

use std::sync::Arc;

use nhatle_event::{Event, Field, Seq, Stored, Timestamp, Value};
use proptest::prelude::*;

use crate::compact::day_of;
use crate::disk::Disk;
use crate::live::SegmentForm;
use crate::proof::canonical;
use crate::query::{Page, Query};
use crate::tests_world::SimClock;
use crate::{Config, Dataset, OsDisk, ReadError, Snapshot, Store, WriteError};

const DAY_NS: i64 = 86_400_000_000_000;

struct Place {
    folder: tempfile::TempDir,
    clock: Arc<SimClock>,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), clock: Arc::new(SimClock::new(1_700_000_000_000_000_000)) }
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(OsDisk::new(self.folder.path()).unwrap())
    }

    fn open(&self) -> Store {
        Store::open_with(self.disk(), Config::default(), self.clock.clone(), SegmentForm::Columns).unwrap()
    }
}

fn event(number: u64) -> Event {
    let second = i64::try_from(number * 7919 % 1000).unwrap();
    let line = format!("line {number} user=u{} from 10.0.0.{}", number % 7, number % 250);
    let mut event = Event::new(Timestamp(1_700_000_000_000_000_000 + second * 1_000_000_000), line.as_bytes());
    event.set(Field::MESSAGE, line);
    event.set(Field::HOST_NAME, format!("h{}", number % 3));
    event.set_named("vendor.key", Value::from(format!("v{}", number % 5)));
    event
}

fn seal(store: &Store, numbers: std::ops::Range<u64>) {
    store.append(numbers.map(|number| (Dataset::Events, event(number))).collect(), &[]).unwrap();
    assert!(store.seal().unwrap());
}

fn merge_all(store: &Store) -> usize {
    let mut merges = 0;
    while store.compact(&mut || true).unwrap().is_some() {
        merges += 1;
    }
    merges
}

fn all(snapshot: &Snapshot) -> Vec<Stored> {
    snapshot.events_after(Dataset::Events, Seq(0), usize::MAX).unwrap()
}

fn answers(snapshot: &Snapshot) -> Vec<(u64, Vec<u64>)> {
    let lines = ["u3", "host.name:h1 AND NOT user", "\"from 10.0.0.7\"", "vendor.key:v4", "h*", "10.0.0.9 OR v1"];
    let answer = |line: &str| {
        let hits = snapshot.search(&Query::parse(line).unwrap(), &Page::first(1000)).unwrap();
        (hits.total, hits.hits.iter().map(|stored| stored.seq.0).collect())
    };
    lines.map(answer).to_vec()
}

#[test]
fn a_merge_keeps_every_event_every_answer_and_every_hash() {
    let place = Place::new();
    let store = place.open();
    for part in 0..9 {
        seal(&store, part * 50..(part + 1) * 50);
    }
    let before = store.snapshot();
    assert_eq!(before.segments(Dataset::Events).count(), 9);
    let (events, found) = (all(&before), answers(&before));
    assert_eq!(events.len(), 450);
    // While the day goes on eight or more are worth it; then one is left.
    assert_eq!(merge_all(&store), 1);
    let after = store.snapshot();
    assert_eq!(after.segments(Dataset::Events).count(), 1);
    let meta = after.segments(Dataset::Events).next().unwrap().meta().clone();
    assert_eq!((meta.row_count, meta.first_seq, meta.last_seq), (450, Seq(1), Seq(450)));
    assert_eq!(meta.replaces.len(), 9);
    assert_eq!(all(&after), events);
    assert_eq!(answers(&after), found);
    assert!(found.iter().any(|(total, _)| 0 < *total));
    let hashes = |events: &[Stored]| canonical::tree(&events.iter().collect::<Vec<_>>()).root();
    assert_eq!(hashes(&all(&after)), hashes(&events));
    let rows = after.segments(Dataset::Events).next().unwrap().open().unwrap().rows().unwrap();
    assert!(rows.is_sorted_by_key(|stored| (stored.event.timestamp, stored.seq)));
    // The old snapshot still reads its files; they go when it does.
    assert_eq!(answers(&before), found);
    let folders = || place.disk().list("segments").unwrap().len();
    assert_eq!(folders(), 10);
    drop(before);
    store.sweep();
    assert_eq!(folders(), 1);
    assert_eq!(crate::verify(&*place.disk()), vec![]);
    drop((store, after));
    assert_eq!(answers(&place.open().snapshot()), found);
}

#[test]
fn another_process_that_reads_keeps_its_files() {
    let place = Place::new();
    let store = place.open();
    (0..8).for_each(|part| seal(&store, part * 10..part * 10 + 10));
    let reader = Store::open_read_only(place.disk(), Config::default(), place.clock.clone()).unwrap();
    let border = crate::backup::Border::of(&*place.disk()).unwrap();
    assert_eq!(merge_all(&store), 1);
    assert_eq!(all(&reader.snapshot()).len(), 80);
    drop(reader);
    store.sweep();
    for segment in &border.segments {
        segment.files.iter().for_each(|file| drop(segment.read_file(&*place.disk(), &file.name).unwrap()));
    }
    // A writer that starts meanwhile leaves them too, and deletes them later.
    drop(store);
    let store = place.open();
    assert_eq!(place.disk().list("segments").unwrap().len(), 9);
    drop(border);
    store.sweep();
    assert_eq!(place.disk().list("segments").unwrap().len(), 1);
}

#[test]
fn what_was_given_up_in_the_middle_leaves_nothing() {
    let place = Place::new();
    let store = place.open();
    (0..8).for_each(|part| seal(&store, part * 10..part * 10 + 10));
    for patience in 0..3 {
        let mut asked = 0;
        let merged = store.compact(&mut || {
            asked += 1;
            asked <= patience
        });
        assert!(merged.unwrap().is_none());
        assert_eq!(place.disk().list("segments").unwrap().len(), 8);
    }
    assert_eq!(merge_all(&store), 1);
}

#[test]
fn a_damaged_segment_is_not_merged_and_the_others_are() {
    let place = Place::new();
    let store = place.open();
    (0..3).for_each(|part| seal(&store, part * 10..part * 10 + 10));
    let damaged = store.snapshot().segments(Dataset::Events).nth(1).unwrap().meta().path("rows.parquet");
    let path = place.folder.path().join(&damaged);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    place.clock.move_by(DAY_NS);
    match store.compact(&mut || true) {
        Err(WriteError::Read(ReadError::Corrupt(corrupt))) => assert_eq!(corrupt.file, damaged),
        other => panic!("{other:?}"),
    }
    assert!(store.compact(&mut || true).unwrap().is_none(), "it is tried again and again");
    assert_eq!(store.snapshot().segments(Dataset::Events).count(), 3);
    // What is sealed from now on is another run.
    (3..6).for_each(|part| seal(&store, part * 10..part * 10 + 10));
    place.clock.move_by(DAY_NS);
    assert_eq!(merge_all(&store), 1);
    assert_eq!(store.snapshot().segments(Dataset::Events).count(), 4);
}

#[test]
fn days_stay_apart() {
    let place = Place::new();
    let store = place.open();
    for day in 0..3 {
        (0..3).for_each(|part| seal(&store, (day * 3 + part) * 10..(day * 3 + part) * 10 + 10));
        place.clock.move_by(DAY_NS);
    }
    assert_eq!(merge_all(&store), 3);
    let snapshot = store.snapshot();
    let days: Vec<[i64; 2]> = snapshot
        .segments(Dataset::Events)
        .map(|segment| segment.committed().map(|(first, last)| [day_of(first), day_of(last)]).unwrap())
        .collect();
    assert!(days.iter().all(|[first, last]| first == last), "{days:?}");
    assert!(days.is_sorted_by(|one, other| one[0] < other[0]), "{days:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn any_events_are_the_same_after_merges(
        parts in proptest::collection::vec(proptest::collection::vec((any::<u8>(), 0i64..50, 0usize..300), 1..30), 2..12),
        hold: bool,
    ) {
        let place = Place::new();
        let store = place.open();
        let mut number = 0;
        for part in &parts {
            let batch = part.iter().map(|(kind, second, size)| {
                number += 1;
                let mut one = event(number);
                one.timestamp = Timestamp::from_seconds(*second);
                one.original = vec![*kind; *size].into();
                let dataset = Dataset::ALL[usize::from(*kind) % 3];
                (dataset, one)
            });
            store.append(batch.collect(), &[]).unwrap();
            store.seal().unwrap();
        }
        let read = |snapshot: &Snapshot| -> Vec<Vec<Stored>> {
            Dataset::ALL.iter().map(|dataset| snapshot.events_after(*dataset, Seq(0), usize::MAX).unwrap()).collect()
        };
        let before = store.snapshot();
        let expected = read(&before);
        let held = hold.then_some(before);
        place.clock.move_by(DAY_NS);
        merge_all(&store);
        prop_assert_eq!(&read(&store.snapshot()), &expected);
        for dataset in Dataset::ALL {
            let rows = expected.iter().flatten().count() as u64;
            prop_assert!(store.snapshot().segments(dataset).count() <= 1 && store.stats().events.iter().sum::<u64>() == rows);
        }
        if let Some(held) = held {
            prop_assert_eq!(&read(&held), &expected);
        }
        drop(store);
        prop_assert_eq!(&read(&place.open().snapshot()), &expected);
    }
}
