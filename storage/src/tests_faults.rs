//! The fault table of the store: the fixed story ([`crate::tests_story`]) with each fault at each single call of the disk,
//! counted by what the program was doing then: events, marks and heads lost, doubled, wrong, unreadable. All must be 0.
//! The table goes to standard output (docs/faults.md says which command prints it).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::disk::sim::{Call, SimDisk};
use crate::live::SegmentForm;
use crate::store::LOCK;
use crate::tests_ledger::Tally;
use crate::tests_rows::{event, rows_of};
use crate::tests_story::{Beside, MOMENTS, Story, copy_of, moment_of};
use crate::{Dataset, OpenError, Store};

/// A call that hangs does not end before everybody else went on, or this has passed.
const PATIENCE: Duration = Duration::from_secs(120);
const DAY_NS: i64 = 86_400_000_000_000;
/// With real segments, which take their time, one of so many calls is tried with each fault; `NHATLE_FAULTS=full`: more.
const COLUMNS_STRIDE: usize = 41;
const COLUMNS_STRIDE_FULL: usize = 9;
/// Of the crashes in recovery one in so many is tried: calls of the story times calls of recovery.
const AGAIN_STRIDE: u64 = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    PowerCut,
    Killed,
    IoError,
    IoErrors,
    FailedSync,
    NoSpace,
    DiskFull,
    ClockBack,
    Hangs,
    SecondWriter,
    Reader,
    CrashAgain,
}

impl Fault {
    const ALL: [Fault; 12] = [
        Fault::PowerCut,
        Fault::Killed,
        Fault::IoError,
        Fault::IoErrors,
        Fault::FailedSync,
        Fault::NoSpace,
        Fault::DiskFull,
        Fault::ClockBack,
        Fault::Hangs,
        Fault::SecondWriter,
        Fault::Reader,
        Fault::CrashAgain,
    ];

    fn name(self) -> &'static str {
        match self {
            Fault::PowerCut => "power cut",
            Fault::Killed => "kill -9, OOM kill",
            Fault::IoError => "one I/O error",
            Fault::IoErrors => "I/O errors from there on",
            Fault::FailedSync => "one failed sync",
            Fault::NoSpace => "no space, once",
            Fault::DiskFull => "disk full from there on",
            Fault::ClockBack => "clock a day back",
            Fault::Hangs => "slow disk: the call hangs",
            Fault::SecondWriter => "second process that writes",
            Fault::Reader => "second process that reads, backup",
            Fault::CrashAgain => "crash, and again in recovery",
        }
    }

    /// In a short run every so many calls are tried; `NHATLE_FAULTS=full` tries each.
    fn stride(self) -> usize {
        match self {
            Fault::PowerCut | Fault::Killed | Fault::FailedSync | Fault::NoSpace => 1,
            Fault::IoError | Fault::IoErrors | Fault::DiskFull | Fault::Reader => 2,
            Fault::ClockBack | Fault::Hangs | Fault::SecondWriter | Fault::CrashAgain => 3,
        }
    }

    /// This call can have this fault.
    fn fits(self, call: &Call) -> bool {
        let is_sync = matches!(call.name, "sync_data" | "sync_folder");
        let takes_room = matches!(call.name, "create" | "write_at" | "create_folder" | "rename");
        match self {
            Fault::IoError => !is_sync,
            Fault::FailedSync => is_sync,
            Fault::NoSpace | Fault::DiskFull => takes_room,
            _ => true,
        }
    }
}

fn is_full() -> bool {
    std::env::var("NHATLE_FAULTS").is_ok_and(|value| value == "full")
}

/// The calls of the story when nothing goes wrong.
fn calls_of(form: SegmentForm) -> Vec<Call> {
    let mut story = Story::new(SimDisk::new(1), form);
    story.disk.record();
    story.tell();
    let calls = story.disk.recorded();
    let mut tally = story.tally.clone();
    story.settle(&mut tally);
    assert!(!tally.is_broken(), "the story alone: {:?}", tally.said);
    assert!(!story.ledger.dropped.is_empty() && 20 < story.ledger.rows.len() && 5 < story.ledger.head);
    calls
}

/// The story with this fault at call `at`.
fn run(fault: Fault, at: usize, form: SegmentForm) -> Tally {
    let mut story = Story::new(SimDisk::new(at as u64), form);
    let call = at as u64;
    match fault {
        Fault::PowerCut => story.disk.cut_power_at(call),
        Fault::Killed => story.disk.die_at(call),
        Fault::IoError | Fault::FailedSync => story.disk.fail_at(call, ErrorKind::Other),
        Fault::IoErrors => story.disk.fail_from(call, ErrorKind::Other),
        Fault::NoSpace => story.disk.fail_at(call, ErrorKind::StorageFull),
        Fault::DiskFull => story.disk.fill_at(call),
        Fault::ClockBack => {
            let clock = story.clock.clone();
            story.disk.hook_at(call, move || clock.move_by(-DAY_NS));
        }
        Fault::Hangs => hang(&story, call),
        Fault::SecondWriter => second_writer(&story, call),
        Fault::Reader => reader(&story, call),
        Fault::CrashAgain => return crash_again(call, form),
    }
    story.tell();
    let mut tally = story.tally.clone();
    end(&mut story, fault, &mut tally);
    tally
}

/// The fault is over, by a restart of the machine or of the process; then everything is looked at.
fn end(story: &mut Story, fault: Fault, tally: &mut Tally) {
    if story.disk.is_off() {
        story.disk.restart();
    } else if story.disk.is_dead() {
        story.disk.kill();
        // What the next process took for true must survive a power cut.
        let mut cut = story.fork();
        cut.disk.set_moment("recovery");
        if let Err(what) = cut.open() {
            tally.unreadable(format!("S1 the store does not open: {what}"));
        }
        cut.look(tally);
        cut.store = None;
        *cut.current.lock().unwrap() = None;
        cut.disk.restart();
        cut.settle(tally);
    } else if matches!(fault, Fault::IoError | Fault::IoErrors | Fault::FailedSync | Fault::NoSpace | Fault::DiskFull) {
        // What the errors left must survive a power cut as well as a plain end.
        let mut cut = story.fork();
        cut.disk.calm();
        cut.disk.restart();
        cut.settle(tally);
    }
    story.settle(tally);
}

/// The first call of the story at which a power cut or a kill breaks a promise where this kind of sync does nothing.
pub fn noticed_by_the_story(kind: &str) -> Option<(usize, String)> {
    let form = SegmentForm::Plain;
    (0..calls_of(form).len()).find_map(|at| {
        [Fault::PowerCut, Fault::Killed].into_iter().find_map(|fault| {
            let mut story = Story::new(SimDisk::new(at as u64), form);
            story.disk.leave_out(kind);
            match fault {
                Fault::Killed => story.disk.die_at(at as u64),
                _ => story.disk.cut_power_at(at as u64),
            }
            story.tell();
            let mut tally = story.tally.clone();
            end(&mut story, fault, &mut tally);
            tally.said.into_iter().next().map(|said| (at, said))
        })
    })
}

/// The call hangs until somebody else has read, and appended where no append is under way.
fn hang(story: &Story, call: u64) {
    let (current, beside, disk) = (story.current.clone(), story.beside.clone(), story.disk.clone());
    story.disk.hook_at(call, move || {
        let Some(store) = current.lock().unwrap().clone() else { return };
        let may_append = !["append", "backup"].contains(&disk.moment());
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            let rows = vec![(Dataset::Events, 1_000_001), (Dataset::Alerts, 1_000_002)];
            let batch = rows.iter().map(|(dataset, id)| (*dataset, event(*id, 0))).collect();
            let appended = if may_append { store.append(batch, &[]).map(|_| rows) } else { Ok(Vec::new()) };
            let read = rows_of(&store.snapshot());
            // The story may open the store anew as soon as it is told.
            drop(store);
            // Nobody waits any more where it took too long.
            drop(done.send((appended, read)));
        });
        let said = match is_done.recv_timeout(PATIENCE) {
            Ok((Ok(rows), Ok(_))) => Beside::Appended(rows),
            Ok((appended, read)) => {
                Beside::Wrong(format!("beside a slow call: {:?}, {:?}", appended.err(), read.err()))
            }
            Err(_) => Beside::Wrong("a slow call held up reading or intake".to_owned()),
        };
        beside.lock().unwrap().push(said);
    });
}

/// Another process tries to open the store: refused, and nothing changed.
fn second_writer(story: &Story, call: u64) {
    let (disk, config, form) = (story.disk.clone(), story.config.clone(), story.form);
    let (clock, beside) = (story.clock.clone(), story.beside.clone());
    story.disk.hook_at(call, move || {
        if !disk.is_locked(LOCK) {
            return;
        }
        let before = disk.image();
        let opened = Store::open_with(Arc::new(disk.clone()), config, clock, form);
        let is_same = before == disk.image();
        let said = match opened {
            Err(OpenError::Locked { .. }) if is_same => return,
            Err(error) => format!("a second process was refused with {error}; nothing changed: {is_same}"),
            Ok(_) => "a second process opened the store".to_owned(),
        };
        beside.lock().unwrap().push(Beside::Wrong(said));
    });
}

/// Another process reads: everything acknowledged and nothing else, nothing damaged, and a backup is the same.
fn reader(story: &Story, call: u64) {
    let (disk, config, form) = (story.disk.clone(), story.config.clone(), story.form);
    let (clock, beside) = (story.clock.clone(), story.beside.clone());
    story.disk.hook_at(call, move || {
        let moment = disk.moment();
        disk.set_moment("backup");
        let read = || -> Result<Beside, String> {
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let store =
                Store::open_read_only_with(shared, config.clone(), clock, form).map_err(|error| error.to_string())?;
            let rows = rows_of(&store.snapshot())?;
            let rows: BTreeMap<_, _> = rows.into_iter().map(|(seq, (_, row))| (seq, row)).collect();
            let findings = crate::verify(&disk);
            if !findings.is_empty() {
                return Err(format!("verify beside: {findings:?}"));
            }
            let copy = copy_of(&disk, form, &config).map_err(|error| error.to_string())?;
            if copy != rows {
                return Err(format!("a backup beside holds {copy:?}, a reader found {rows:?}"));
            }
            Ok(Beside::Read(rows))
        };
        beside.lock().unwrap().push(read().unwrap_or_else(Beside::Wrong));
        disk.set_moment(moment);
    });
}

/// The story is cut at `call`, by turns by power and by a kill; then recovery is, at one call after the other, until it
/// comes to its end.
fn crash_again(call: u64, form: SegmentForm) -> Tally {
    let mut tally = Tally::default();
    for by_power in [true, false] {
        let mut story = Story::new(SimDisk::new(call), form);
        if by_power {
            story.disk.cut_power_at(call)
        } else {
            story.disk.die_at(call)
        }
        story.tell();
        tally.add(&story.tally, "the story");
        for step in 0.. {
            let at = call % AGAIN_STRIDE + step * AGAIN_STRIDE;
            let mut again = story.fork();
            again.disk.calm();
            if by_power {
                again.disk.restart()
            } else {
                again.disk.kill()
            }
            // A kill in recovery after a power cut, and the other way round, too.
            let by_power = (step + call).is_multiple_of(2);
            let at = again.disk.calls() + at;
            if by_power {
                again.disk.cut_power_at(at)
            } else {
                again.disk.die_at(at)
            }
            again.disk.set_moment("recovery");
            let opened = again.open();
            if opened.is_ok() && !again.is_over() {
                break;
            }
            again.store = None;
            *again.current.lock().unwrap() = None;
            if by_power {
                again.disk.restart()
            } else {
                again.disk.kill()
            }
            again.settle(&mut tally);
        }
    }
    tally
}

type Table = BTreeMap<(Fault, &'static str), Tally>;

/// Runs these, on all cores.
fn table(runs: &[(Fault, usize)], calls: &[Call], form: SegmentForm) -> Table {
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Table::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((fault, at)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tally = run(*fault, *at, form);
                    let moment = if *fault == Fault::CrashAgain { "recovery" } else { moment_of(&calls[*at]) };
                    let place = format!("{fault:?} at call {at} ({} {})", calls[*at].name, calls[*at].path);
                    table.lock().unwrap().entry((*fault, moment)).or_default().add(&tally, &place);
                }
            });
        }
    });
    table.into_inner().unwrap()
}

fn print(table: &Table) -> String {
    let mut text = "| fault | moment | runs | lost | doubled | wrong | unreadable |\n".to_owned();
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for fault in Fault::ALL {
        for moment in MOMENTS {
            if let Some(tally) = table.get(&(fault, moment)) {
                let Tally { runs, lost, doubled, wrong, unreadable, .. } = tally;
                let name = fault.name();
                writeln!(text, "| {name} | {moment} | {runs} | {lost} | {doubled} | {wrong} | {unreadable} |").unwrap();
            }
        }
    }
    text
}

fn check(table: &Table) {
    let broken: Vec<String> = table.values().flat_map(|tally| tally.said.iter().cloned()).collect();
    assert!(table.values().all(|tally| !tally.is_broken()), "{}", broken.join("\n"));
}

/// The table of these faults; in parts, so that each takes its time.
fn check_plain(faults: &[Fault]) -> Table {
    let form = SegmentForm::Plain;
    let (started, calls) = (Instant::now(), calls_of(form));
    let mut runs = Vec::new();
    for fault in faults {
        let stride = if is_full() { 1 } else { fault.stride() };
        let chosen = calls.iter().enumerate().skip(*fault as usize % stride).step_by(stride);
        runs.extend(chosen.filter(|(_, call)| fault.fits(call)).map(|(at, _)| (*fault, at)));
    }
    let table = table(&runs, &calls, form);
    let runs: usize = table.values().map(|tally| tally.runs).sum();
    let took = started.elapsed().as_secs_f64();
    println!("{}\n{} calls in the story, {runs} runs in {took:.1} s", print(&table), calls.len());
    check(&table);
    table
}

#[test]
fn the_fault_table_of_crashes_has_no_loss() {
    let table = check_plain(&[Fault::PowerCut, Fault::Killed, Fault::FailedSync]);
    for fault in [Fault::PowerCut, Fault::Killed] {
        let missed: Vec<_> = MOMENTS.into_iter().filter(|moment| !table.contains_key(&(fault, *moment))).collect();
        assert!(missed.is_empty(), "{fault:?} was never at {missed:?}");
    }
}

#[test]
fn the_fault_table_of_errors_has_no_loss() {
    check_plain(&[Fault::IoError, Fault::IoErrors, Fault::NoSpace, Fault::DiskFull]);
}

#[test]
fn the_fault_table_of_what_comes_beside_has_no_loss() {
    check_plain(&[Fault::ClockBack, Fault::Hangs, Fault::SecondWriter, Fault::Reader, Fault::CrashAgain]);
}

#[test]
fn the_fault_table_with_real_segments_has_no_loss() {
    let form = SegmentForm::Columns;
    let (started, calls) = (Instant::now(), calls_of(form));
    let stride = if is_full() { COLUMNS_STRIDE_FULL } else { COLUMNS_STRIDE };
    let faults = [Fault::PowerCut, Fault::Killed, Fault::IoError, Fault::FailedSync, Fault::DiskFull];
    // The calls are shared out between the faults.
    let is_it = |(at, fault): &(usize, Fault)| {
        let turn = faults.iter().position(|one| one == fault).unwrap_or(0);
        (at + turn * 2).is_multiple_of(stride) && fault.fits(&calls[*at])
    };
    let all = (0..calls.len()).flat_map(|at| faults.map(|fault| (at, fault)));
    let runs: Vec<(Fault, usize)> = all.filter(is_it).map(|(at, fault)| (fault, at)).collect();
    let table = table(&runs, &calls, form);
    println!("{}\n{} runs in {:.1} s", print(&table), runs.len(), started.elapsed().as_secs_f64());
    check(&table);
}
