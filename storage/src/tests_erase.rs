//! Erasing in sealed segments: the value is in no file, everything else is as it was, every proof given out before holds, a
//! crash at any step leaves the old segment or the new one, and what is altered beside it is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use nhatle_event::{Event, Field, Seq, Stored, Timestamp};

use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::erase::Erasure;
use crate::live::SegmentForm;
use crate::manifest::Manifest;
use crate::proof::check;
use crate::proof::prove::{self, EventProof, segment_leaves};
use crate::proof::tree::{Tree, leaf_hash, root_of_inclusion};
use crate::query::{Page, Query};
use crate::segment::erased::{ERASED_FILE, Erased};
use crate::segment::meta::{SegmentMeta, Tier, WriteOptions, write_file};
use crate::segment::{Segment, kept_of};
use crate::tests_rows::{check_orphans, key};
use crate::tests_world::SimClock;
use crate::{Config, Dataset, OsDisk, Snapshot, Store};

const NAME: &str = "nguyen.van.an";
const MARK: &str = "[gone]";
const BEGIN: i64 = 1_700_000_000_000_000_000;

fn event(number: u64) -> Event {
    let user = if number % 5 == 2 { NAME.to_owned() } else { format!("user{}", number % 7) };
    let line = format!("line {number} user={user} from 10.0.0.{}", number % 250);
    let mut event = Event::new(Timestamp(BEGIN + i64::try_from(number).unwrap() * 1_000_000), line.as_bytes());
    event.set(Field::MESSAGE, line);
    event.set_named("user.name", user.as_str());
    event.set_named("vendor.account", format!("CITY\\{user}"));
    event
}

fn is_an(event: &Event) -> bool {
    String::from_utf8_lossy(&event.original).contains(NAME)
}

/// What stays of an event of this person; others stay as they are.
fn without_an(stored: &Stored) -> Option<Event> {
    is_an(&stored.event).then(|| {
        let mut event = stored.event.clone();
        event.original = MARK.as_bytes().into();
        for name in ["message", "user.name", "vendor.account"] {
            event.set_named(name, MARK);
        }
        event
    })
}

fn erasure(number: u64) -> Erasure<'static> {
    Erasure { number, basis: "đơn số 12", by: "lan", narrowed: None, change: &without_an }
}

/// Erases in all segments; how many events and segments.
fn erase_all(store: &Store, erasure: &Erasure<'_>) -> (u64, u64) {
    let dirs: Vec<String> =
        store.snapshot().segments(Dataset::Events).map(|segment| segment.meta().dir.clone()).collect();
    let done = dirs.iter().filter_map(|dir| store.erase(dir, erasure, &mut || true).unwrap());
    done.fold((0, 0), |(events, segments), one| (events + one.events, segments + 1))
}

struct Place {
    folder: tempfile::TempDir,
    clock: Arc<SimClock>,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), clock: Arc::new(SimClock::new(BEGIN)) }
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(OsDisk::new(self.folder.path()).unwrap())
    }

    fn open(&self) -> Store {
        let store = Store::open(self.disk(), Config::default(), self.clock.clone()).unwrap();
        store.sign_with(key());
        store
    }
}

fn seal(store: &Store, numbers: std::ops::Range<u64>) {
    store.append(numbers.map(|number| (Dataset::Events, event(number))).collect(), &[]).unwrap();
    assert!(store.seal().unwrap());
}

fn all(store: &Store) -> Vec<Stored> {
    store.snapshot().events_after(Dataset::Events, Seq(0), usize::MAX).unwrap()
}

fn metas(store: &Store) -> Vec<SegmentMeta> {
    store.snapshot().segments(Dataset::Events).map(|segment| segment.meta().clone()).collect()
}

fn found(store: &Store, line: &str) -> u64 {
    store.snapshot().search(&Query::parse(line).unwrap(), &Page::first(10)).unwrap().total
}

/// The files below this folder that hold the bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut with = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            with.extend(files_with(&path, bytes));
        } else if std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            with.push(path.display().to_string());
        }
    }
    with
}

fn sound(store: &Store, disk: &dyn Disk) {
    assert_eq!(crate::verify(disk), vec![]);
    assert_eq!(check::store(disk).unwrap().unwrap().findings, vec![]);
    assert_eq!(check::events(&store.snapshot()), vec![]);
}

/// The event stands under the root of a segment by a proof of earlier.
fn holds(proof: &EventProof, stored: &Stored, meta: &SegmentMeta) -> bool {
    let leaf = leaf_hash(crate::proof::canonical::Canonical::default().data(stored));
    let path = prove::unhex_path(&proof.path).unwrap();
    let root = root_of_inclusion(&leaf, proof.index, meta.row_count, &path);
    root.map(|root| nhatle_event::json::hex(&root)) == Some(meta.events_root.clone())
}

#[test]
fn a_person_goes_and_everything_else_stays_with_its_proofs() {
    let place = Place::new();
    let store = place.open();
    (0..4).for_each(|part| seal(&store, part * 50..part * 50 + 50));
    // One segment has nobody of that name.
    store.append((0..20).map(|number| (Dataset::Events, event(number * 5))).collect(), &[]).unwrap();
    store.seal().unwrap();
    let (before, roots) = (all(&store), metas(&store).iter().map(|meta| meta.events_root.clone()).collect::<Vec<_>>());
    let (untouched, last) = (metas(&store)[4].clone(), metas(&store)[3].clone());
    let head = store.newest_head().unwrap();
    let neighbor = before[54].seq;
    let old = prove::events(&*place.disk(), &store.snapshot(), &head, &[neighbor]).unwrap().remove(0);
    let dump = |store: &Store| {
        let snapshot = store.snapshot();
        let segments = snapshot.segments(Dataset::Events).map(|segment| segment.open().unwrap().index().unwrap());
        let terms = segments.flat_map(|index| index.dump().into_iter().flatten().map(|(term, _)| term));
        terms.map(|term| String::from_utf8_lossy(&term).into_owned()).collect::<Vec<_>>().join(" ")
    };
    assert!(dump(&store).contains("nguyen") && files_with(place.folder.path(), b"\"kind\":\"segment\"").len() == 1);
    assert_eq!((found(&store, NAME), found(&store, "user.name:nguyen.van.an")), (40, 40));

    assert_eq!(erase_all(&store, &erasure(1)), (40, 4));

    assert_eq!(files_with(&place.folder.path().join("segments"), NAME.as_bytes()), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(place.folder.path().join("segments")).unwrap().count(), 5, "the old files are gone");
    assert!(!dump(&store).contains("nguyen"));
    for line in [NAME, "user.name:nguyen.van.an", "vendor.account:*nguyen*", "van", "event.original:nguyen"] {
        assert_eq!(found(&store, line), 0, "{line}");
    }
    let after = all(&store);
    assert_eq!(after.len(), before.len());
    for (one, other) in before.iter().zip(&after) {
        match is_an(&one.event) {
            false => assert_eq!(one, other),
            true => {
                assert_eq!(
                    (one.seq, one.committed, one.event.timestamp),
                    (other.seq, other.committed, other.event.timestamp)
                );
                assert_eq!(&*other.event.original, MARK.as_bytes());
                assert!(!format!("{other:?}").contains(NAME));
            }
        }
    }
    let now = metas(&store);
    assert_eq!(now.iter().map(|meta| meta.events_root.clone()).collect::<Vec<_>>(), roots, "the roots stay");
    assert_eq!(now[4], untouched);
    assert_ne!(now[3].dir, last.dir);
    // A proof of before holds, and one made now is the same; the old head still covers what it covered.
    assert!(holds(&old.proof, &old.stored, &now[1]));
    let newest = store.newest_head().unwrap();
    let again = prove::events(&*place.disk(), &store.snapshot(), &newest, &[neighbor, before[2].seq]).unwrap();
    assert_eq!(again[1].proof.path, old.proof.path);
    let checked = check::store(&*place.disk()).unwrap().unwrap();
    assert_eq!(check::kept_head(Some(&checked), &head), None);
    // An erased event is proved to have stood there, by the leaf it had.
    let erased = again[0].proof.erased.as_ref().unwrap();
    assert!(!holds(&again[0].proof, &again[0].stored, &now[0]));
    assert_eq!(checked.log.erased().count(), 4);
    assert_eq!(checked.log.erased().find(|(leaf, _)| *leaf == erased.leaf).unwrap().1.events, 10);
    sound(&store, &*place.disk());
    // Again: nothing is left to do. Opened anew: the same.
    assert_eq!(erase_all(&store, &erasure(1)), (0, 0));
    drop(store);
    let store = place.open();
    assert_eq!(all(&store), after);
    sound(&store, &*place.disk());
}

#[test]
fn what_was_kept_in_memory_of_a_segment_goes_with_it() {
    let place = Place::new();
    let store = place.open();
    seal(&store, 0..50);
    seal(&store, 50..100);
    let held = store.snapshot();
    let numbers: Vec<u64> = held.segments(Dataset::Events).map(|segment| segment.open().unwrap().number()).collect();
    let hits = |snapshot: &Snapshot| snapshot.search(&Query::parse(NAME).unwrap(), &Page::first(100)).unwrap().hits;
    assert_eq!(hits(&held).len(), 20);
    let before: Vec<[usize; 2]> = numbers.iter().map(|number| kept_of(*number)).collect();
    assert!(before.iter().all(|[rows, dictionaries]| 0 < *rows && 0 < *dictionaries), "{before:?}");
    let dir = metas(&store)[0].dir.clone();
    store.erase(&dir, &erasure(1), &mut || true).unwrap().unwrap();
    assert_eq!((kept_of(numbers[0]), kept_of(numbers[1])), ([0, 0], before[1]), "of the other nothing was erased");
    // Whoever holds the store as it was may still ask for what it had; that goes with the last of them.
    assert_eq!(hits(&held).len(), 20);
    assert_eq!(kept_of(numbers[0]), before[0]);
    drop(held);
    store.sweep();
    assert_eq!(kept_of(numbers[0]), [0, 0]);
}

#[test]
fn merging_the_archive_and_a_second_erasure_keep_the_leaves() {
    let place = Place::new();
    let store = place.open();
    (0..8).for_each(|part| seal(&store, part * 20..part * 20 + 20));
    let before = all(&store);
    assert_eq!(erase_all(&store, &erasure(1)), (32, 8));
    place.clock.move_by(86_400_000_000_000);
    assert!(store.compact(&mut || true).unwrap().is_some());
    let [merged] = &metas(&store)[..] else { panic!("they are merged") };
    let tree = crate::proof::canonical::tree(&before.iter().collect::<Vec<_>>());
    assert_eq!(merged.events_root, nhatle_event::json::hex(&tree.root()), "the root of the events as they were sealed");
    sound(&store, &*place.disk());
    // The second takes something else out of events that the first one touched, and of others.
    let change = |stored: &Stored| {
        let is_it = stored.seq.0.is_multiple_of(3) && stored.event.get(Field::MESSAGE).is_some();
        is_it.then(|| {
            let mut event = stored.event.clone();
            drop(event.remove(Field::MESSAGE));
            event.original = MARK.as_bytes().into();
            event
        })
    };
    let second = Erasure { number: 2, change: &change, ..erasure(2) };
    assert_eq!(erase_all(&store, &second), (53, 1));
    sound(&store, &*place.disk());
    assert!(store.archive(&|_| true, &mut || true).unwrap().is_some());
    let [archived] = &metas(&store)[..] else { panic!("there is one") };
    assert_eq!((archived.tier, archived.events_root.clone()), (Tier::Archive, merged.events_root.clone()));
    let erased = Erased::read(&*place.disk(), archived).unwrap();
    let both = erased.all().iter().filter(|kept| kept.erasures == [1, 2]).count();
    assert_eq!((erased.all().len(), both), (32 + 53 - 11, 11));
    sound(&store, &*place.disk());
    // Erasing in the archive keeps it in the archive.
    let third = Erasure {
        number: 3,
        change: &|stored| {
            (stored.seq == Seq(1) && stored.event.get(Field::MESSAGE).is_some()).then(|| {
                let mut event = stored.event.clone();
                drop(event.remove(Field::MESSAGE));
                event
            })
        },
        ..erasure(3)
    };
    assert_eq!(erase_all(&store, &third), (1, 1));
    assert_eq!(metas(&store)[0].tier, Tier::Archive);
    assert_eq!(files_with(&place.folder.path().join("segments"), NAME.as_bytes()), Vec::<String>::new());
    sound(&store, &*place.disk());
}

/// Writes the rows of a segment anew by hand, with the manifest that goes with them: what somebody would do who can write the
/// folder and knows the formats.
fn forge(place: &Place, alter: impl Fn(&mut Stored), more: &str) -> SegmentMeta {
    let disk = place.disk();
    let mut manifest = Manifest::newest(&*disk).unwrap();
    let meta = manifest.segments[0].clone();
    let mut events = Segment::open(disk.clone(), &meta).unwrap().rows().unwrap();
    events.iter_mut().for_each(alter);
    let erased = meta.read_file(&*disk, ERASED_FILE).unwrap();
    let options = WriteOptions { dataset: meta.dataset, tier: meta.tier };
    let mut files = crate::segment::write(&*disk, &meta.dir, &events, &options).unwrap().files;
    let erased = [&erased[..], more.as_bytes()].concat();
    files.push(write_file(&*disk, &meta.dir, ERASED_FILE, &erased).unwrap());
    manifest.segments[0] = SegmentMeta { files, ..meta };
    manifest.publish(&*disk).unwrap();
    manifest.segments[0].clone()
}

#[test]
fn what_is_altered_beside_or_in_an_erased_event_is_found() {
    let an = |seq: u64| seq % 5 == 3;
    type Alter = fn(&mut Stored);
    let alterations: [(&str, Alter, &str); 4] = [
        (
            "a neighbor",
            |stored| {
                if stored.seq == Seq(4) {
                    stored.event.set(Field::MESSAGE, "another")
                }
            },
            "",
        ),
        (
            "an erased event",
            |stored| {
                if stored.seq == Seq(3) {
                    stored.event.set(Field::MESSAGE, "another")
                }
            },
            "",
        ),
        (
            "the order",
            |stored| {
                stored.seq = Seq(match stored.seq.0 {
                    1 => 2,
                    2 => 1,
                    seq => seq,
                })
            },
            "",
        ),
        // The row of an event that was never erased, called erased: its leaf is there, the log does not say so.
        ("one called erased", |_| {}, "\u{0}"),
    ];
    for (name, alter, more) in alterations {
        let place = Place::new();
        let store = place.open();
        seal(&store, 0..20);
        assert_eq!(erase_all(&store, &erasure(1)).0, 4);
        assert!(all(&store).iter().all(|one| an(one.seq.0) == (&*one.event.original == MARK.as_bytes())));
        let last = all(&store).pop().unwrap();
        drop(store);
        let leaf = nhatle_event::json::hex(&crate::proof::canonical::Canonical::default().leaf(&last));
        let more = if more.is_empty() { String::new() } else { format!("20 {leaf} {} 1\n", "00".repeat(32)) };
        let meta = forge(&place, alter, &more);
        let checked = check::store(&*place.disk()).unwrap().unwrap();
        assert!(!checked.findings.is_empty(), "{name}: the files are not those of the log");
        let segment = Segment::open(place.disk(), &meta).unwrap();
        let leaves = segment_leaves(&segment, |_| false).unwrap().0;
        let root = Tree::of(leaves.into_iter().map(|(_, leaf)| leaf).collect()).root();
        let is_root = nhatle_event::json::hex(&root) == meta.events_root;
        assert_eq!(is_root, !more.is_empty(), "{name}");
        let is_said = checked.findings.iter().any(|one| {
            one.what.starts_with("event 3 is called erased") || one.what.starts_with("event 20 is called erased")
        });
        assert_eq!(is_said, !more.is_empty(), "{name}: {:?}", checked.findings);
    }
}

/// A store on a simulated disk with three segments, of which two have the person; the one that the plain form writes.
fn world(form: SegmentForm) -> (SimDisk, Arc<SimClock>, BTreeMap<u64, Stored>) {
    let (disk, clock) = (SimDisk::new(7), Arc::new(SimClock::new(BEGIN)));
    let store = open(&disk, &clock, form);
    for numbers in [vec![1, 2, 3], vec![5, 6], vec![7, 8]] {
        store.append(numbers.into_iter().map(|number| (Dataset::Events, event(number))).collect(), &[]).unwrap();
        store.seal().unwrap();
    }
    let events = events_of(&store);
    (disk, clock, events)
}

fn open(disk: &SimDisk, clock: &Arc<SimClock>, form: SegmentForm) -> Store {
    let store = Store::open_with(Arc::new(disk.clone()), Config::default(), clock.clone(), form).unwrap();
    store.sign_with(key());
    store
}

fn events_of(store: &Store) -> BTreeMap<u64, Stored> {
    let snapshot = store.snapshot();
    let segments = snapshot.segments(Dataset::Events);
    segments.flat_map(|segment| segment.events().unwrap()).map(|stored| (stored.seq.0, stored)).collect()
}

#[test]
fn a_crash_at_any_step_loses_nothing_and_brings_nothing_back() {
    for form in [SegmentForm::Plain, SegmentForm::Columns] {
        let (disk, clock, before) = world(form);
        let calls = {
            let disk = disk.fork();
            let store = open(&disk, &clock, form);
            let begun = disk.calls();
            assert_eq!(erase_all(&store, &erasure(1)), (2, 2));
            disk.calls() - begun
        };
        assert!(20 < calls, "{calls}");
        // The real form takes a second each time, and its steps on the disk are like those of the plain one.
        let stride = if form == SegmentForm::Plain { 1 } else { 9 };
        for (at, is_power) in (0..calls + 2).step_by(stride).flat_map(|at| [(at, true), (at, false)]) {
            let disk = disk.fork();
            let store = open(&disk, &clock, form);
            let call = disk.calls() + at;
            if is_power {
                disk.cut_power_at(call)
            } else {
                disk.die_at(call)
            }
            let dirs: Vec<String> =
                store.snapshot().segments(Dataset::Events).map(|segment| segment.meta().dir.clone()).collect();
            let mut gone = Vec::new();
            for dir in &dirs {
                match store.erase(dir, &erasure(1), &mut || true) {
                    Ok(Some(done)) => gone.push(done.dir),
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
            drop(store);
            if disk.is_off() {
                disk.restart()
            } else {
                disk.kill()
            }
            disk.calm();
            let store = open(&disk, &clock, form);
            store.catch_up_proof();
            let name = format!("{form:?}, call {at}, power cut: {is_power}");
            let after = events_of(&store);
            assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{name}");
            for (seq, stored) in &after {
                let left = without_an(&before[seq]);
                let is_as_it_was = *stored == before[seq];
                assert!(is_as_it_was || left.as_ref() == Some(&stored.event), "{name}: event {seq}");
            }
            // What was said to be erased stays so.
            let live = metas(&store);
            for dir in &gone {
                assert!(live.iter().any(|meta| meta.dir == *dir), "{name}: {dir} is gone again");
            }
            check_orphans(&disk).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(check::store(&disk).unwrap().unwrap().findings, vec![], "{name}");
            // Running it again does the rest.
            erase_all(&store, &erasure(1));
            assert!(events_of(&store).values().all(|stored| !is_an(&stored.event)), "{name}");
            assert_eq!(crate::verify(&disk), vec![], "{name}");
            assert_eq!(check::store(&disk).unwrap().unwrap().findings, vec![], "{name}");
            let with_name = |content: &Option<Vec<u8>>| {
                let mut windows = content.as_deref().unwrap_or_default().windows(NAME.len());
                windows.any(|window| window == NAME.as_bytes())
            };
            let image = disk.image();
            let left: Vec<&String> =
                image.iter().filter(|(_, content)| with_name(content)).map(|(path, _)| path).collect();
            assert_eq!(left, Vec::<&String>::new(), "{name}");
        }
    }
}

#[test]
fn what_cannot_be_written_into_the_log_is_not_erased() {
    let (disk, clock, before) = world(SegmentForm::Plain);
    let store = open(&disk, &clock, SegmentForm::Plain);
    let dir = metas(&store)[0].dir.clone();
    // Given up in the middle: nothing is left of it.
    assert!(store.erase(&dir, &erasure(1), &mut || false).unwrap().is_none());
    assert!(store.erase("segments/none", &erasure(1), &mut || true).unwrap().is_none());
    assert_eq!(events_of(&store), before);
    disk.set_capacity(disk.used_bytes());
    assert!(store.erase(&dir, &erasure(1), &mut || true).is_err());
    assert_eq!(events_of(&store), before);
    disk.set_capacity(u64::MAX);
    assert_eq!(erase_all(&store, &erasure(1)), (2, 2));
    drop(store);
    let read = Store::open_read_only_with(Arc::new(disk), Config::default(), clock, SegmentForm::Plain).unwrap();
    assert!(read.erase(&dir, &erasure(1), &mut || true).is_err(), "a reader erases nothing");
}
