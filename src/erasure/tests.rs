//! An erasure that is given up at each of its steps and taken up again: it is not done before it is, nothing is erased twice, and
//! the log of the proof has an entry for each segment that was written anew.

use std::path::Path;
use std::sync::Arc;

use nhatle_engine::retention::hold::HoldChange;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::proof::check;
use nhatle_storage::{Config, Disk, OsDisk};

use super::*;

const NAME: &str = "nguyen.van.an";

fn event(number: i64) -> Event {
    let user = if number % 4 == 1 { NAME } else { "binh" };
    let mut event = Event::new(Timestamp(number), format!("line {number} by {user}").into_bytes());
    event.set_named("user.name", user);
    event
}

fn open(data: &Path, runtime: &tokio::runtime::Runtime) -> (Store, Registry, Arc<dyn Disk>) {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(data).unwrap());
    let store = Store::open(disk.clone(), Config::default(), Arc::new(SystemClock)).unwrap();
    store.sign_with(crate::pki::heads::open_or_make(data).unwrap());
    (store, Registry::open(data, runtime.handle().clone()).unwrap(), disk)
}

fn left(store: &Store) -> u64 {
    let query = Query::parse(NAME).unwrap();
    store.snapshot().search(&query, &nhatle_storage::query::Page::first(1)).unwrap().total
}

#[test]
fn what_is_given_up_at_any_step_is_not_done_and_is_taken_up_again() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let wanted = Wanted { subject: Some(NAME.to_owned()), ..Wanted::default() };
    let order = Order { actor: "cli".to_owned(), by: "lan".to_owned(), basis: "đơn số 12".to_owned(), expect: 9 };
    let (mut given_up, mut steps) = (0, 0);
    loop {
        let folder = tempfile::tempdir().unwrap();
        let (store, registry, _) = open(folder.path(), &runtime);
        for round in 0..3 {
            store.append((0..12).map(|at| (Dataset::Events, event(round * 12 + at))).collect(), &[]).unwrap();
            store.seal().unwrap();
        }
        let begun = begin((&store, &registry), &wanted, order.clone(), SystemClock.now()).unwrap();
        let receipt = begun.receipt.clone();
        let mut asked = 0;
        let mut pace = || {
            asked += 1;
            asked <= steps
        };
        let done = begun.erase((&store, &registry), &|| SystemClock.now(), &mut pace).unwrap();
        registry.close();
        drop((store, registry));

        let (store, registry, disk) = open(folder.path(), &runtime);
        let one = registry.read(|state| state.erasures[&1].clone());
        assert_eq!(done.is_given_up, one.done.is_none(), "after {steps} steps");
        assert_eq!(unfinished::is_kept(&*disk, &one.mark), done.is_given_up, "after {steps} steps");
        assert_eq!(done.is_given_up, 0 < left(&store), "after {steps} steps");
        let interrupted = interrupted(&store, &registry).unwrap();
        assert_eq!(interrupted.len(), usize::from(done.is_given_up), "after {steps} steps");
        for one in interrupted {
            let begun = resume((&store, &registry), one, SystemClock.now()).unwrap();
            assert_eq!((begun.number, &begun.receipt), (1, &receipt));
            let done = begun.erase((&store, &registry), &|| SystemClock.now(), &mut || true).unwrap();
            assert_eq!((done.events, done.segments, done.is_given_up), (9, 3, false), "after {steps} steps");
        }
        let one = registry.read(|state| state.erasures[&1].clone());
        assert_eq!(
            (one.done.is_some(), one.events, one.segments, left(&store)),
            (true, 9, 3, 0),
            "after {steps} steps"
        );
        assert!(!unfinished::is_kept(&*disk, &one.mark));
        let checked = check::store(&*disk).unwrap().unwrap();
        assert_eq!(checked.findings, vec![]);
        assert_eq!(checked.log.erased().map(|(_, entry)| entry.events).collect::<Vec<_>>(), [3, 3, 3]);
        registry.close();
        if !done.is_given_up {
            break;
        }
        (given_up, steps) = (given_up + 1, steps + 1);
    }
    assert!(9 < given_up, "{given_up}");
}

#[test]
fn a_hold_placed_while_it_erases_keeps_what_is_left() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for leave_held in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (store, registry, _) = open(folder.path(), &runtime);
        for round in 0..3 {
            store.append((0..12).map(|at| (Dataset::Events, event(round * 12 + at))).collect(), &[]).unwrap();
            store.seal().unwrap();
        }
        let wanted = Wanted { subject: Some(NAME.to_owned()), leave_held, ..Wanted::default() };
        let order =
            Order { actor: "cli".to_owned(), by: "lan".to_owned(), basis: "đơn số 12".to_owned(), expect: 9 };
        let begun = begin((&store, &registry), &wanted, order, SystemClock.now()).unwrap();
        let hold = HoldChange::Place { from_ns: 0, to_ns: i64::MAX, until_ns: i64::MAX, reason: "vụ 12".to_owned() };
        let hold = AnyChange::Hold(1, hold);
        let mut pace = || {
            if left(&store) == 6 && registry.read(|state| state.holds.is_empty()) {
                registry.change("cli", SystemClock.now(), &hold).unwrap();
            }
            true
        };
        let done = begun.erase((&store, &registry), &|| SystemClock.now(), &mut pace);
        assert_eq!(left(&store), 6, "what was not erased when the hold was placed");
        match done {
            Ok(done) => assert!(leave_held && done.events == 3, "{done:?}"),
            Err(refused) => assert!(!leave_held && refused.to_string().contains("holds"), "{refused:#}"),
        }
        let is_done = registry.read(|state| state.erasures[&1].done.is_some());
        assert_eq!(is_done, leave_held, "what a hold stops is taken up again when it is over");
        registry.close();
    }
}

#[test]
fn a_hold_placed_meanwhile_stops_it_and_what_never_began_is_forgotten() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (store, registry, disk) = open(folder.path(), &runtime);
    store.append((0..12).map(|at| (Dataset::Events, event(at))).collect(), &[]).unwrap();
    let wanted = Wanted { subject: Some(NAME.to_owned()), ..Wanted::default() };
    let order = Order { actor: "cli".to_owned(), by: "lan".to_owned(), basis: "đơn số 12".to_owned(), expect: 3 };
    let now = SystemClock.now();
    begin((&store, &registry), &wanted, order.clone(), now).unwrap();
    let hold = HoldChange::Place { from_ns: 0, to_ns: i64::MAX, until_ns: i64::MAX, reason: "vụ 12".to_owned() };
    registry.change("cli", now, &AnyChange::Hold(1, hold)).unwrap();
    let one = interrupted(&store, &registry).unwrap().remove(0);
    let refused = resume((&store, &registry), one, now).map(|begun| begun.number).unwrap_err();
    assert!(refused.to_string().contains("hold 1"), "{refused:#}");
    assert_eq!(left(&store), 3);
    let stray = Unfinished { wanted, order, receipt: "another".to_owned() };
    stray.keep(&*disk, &erasure::mark_of("another", NAME)).unwrap();
    assert_eq!(disk.list(crate::state::FOLDER).unwrap().len(), 2);
    let found = interrupted(&store, &registry).unwrap();
    assert_eq!(found.iter().map(|one| one.number).collect::<Vec<_>>(), [1]);
    assert_eq!(disk.list(crate::state::FOLDER).unwrap().len(), 1, "what never began is removed");
}
