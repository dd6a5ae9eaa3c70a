//! Faults of a ward's own machine, with `nhatle forward` on it: killed, both killed, its disk full, its clock set.
//!
//! What stands in the followed file counts as acknowledged; it is over when the city has all of it, and nothing twice. The rows
//! are those of the table in docs/faults.md.

use std::fmt::Write as _;
use std::io::Write;

use super::*;
use crate::forward::Forwarder;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    BothKilled,
    DiskFull,
    ClockBack,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Killed => "forwarder: kill -9, 3 times",
            Fault::BothKilled => "forwarder and server: kill -9, 3 times",
            Fault::DiskFull => "forwarder: disk full for 3 s",
            Fault::ClockBack => "forwarder: clock a day back, then right",
        }
    }
}

/// What runs.
struct Running {
    server: Server,
    forwarder: Forwarder,
}

/// Brings the fault about, while more is written; ends it.
fn strike(
    fault: Fault,
    place: &Place,
    mut run: Running,
    own: (Option<&SmallDisk>, Option<&clock::Settable>),
) -> Running {
    let environment = own.1.map(clock::Settable::environment).unwrap_or_default();
    let config = forwarder_config(place, own.0);
    for round in 0..3 {
        match fault {
            Fault::Killed => {
                run.forwarder.kill();
                run.forwarder = Forwarder::start_in(&config, &environment);
            }
            Fault::BothKilled => {
                run.server.kill();
                run.forwarder.kill();
                run = Running { server: place.start(), forwarder: Forwarder::start_in(&config, &environment) };
            }
            Fault::DiskFull if round == 0 => {
                let ballast = own.0.expect("asked for").fill();
                std::thread::sleep(Duration::from_secs(3));
                std::fs::remove_file(ballast).unwrap();
            }
            Fault::ClockBack if round < 2 => {
                own.1.expect("asked for").set(["-1d", "+0d"][round]);
                std::thread::sleep(Duration::from_secs(1));
            }
            Fault::DiskFull | Fault::ClockBack => {}
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    run
}

/// The forwarder's configuration; its spool is on the small disk, if there is one.
fn forwarder_config(place: &Place, disk: Option<&SmallDisk>) -> PathBuf {
    let path = place.forwarder();
    if let Some(disk) = disk {
        let state = path.with_file_name("ward").display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(&state, &disk.path().join("ward").display().to_string())).unwrap();
    }
    path
}

/// The row of one fault: lines are written into the followed file all the while.
fn row(fault: Fault, count: usize) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let disk = if fault == Fault::DiskFull { Some(SmallDisk::mount(40)?) } else { None };
    let clock = if fault == Fault::ClockBack { Some(clock::Settable::new(folder.path())?) } else { None };
    let own = (disk.as_ref(), clock.as_ref());
    let environment = own.1.map(clock::Settable::environment).unwrap_or_default();
    let text = |number: usize| format!("loif{number:05}");
    let lines = |numbers: std::ops::Range<usize>| -> String {
        numbers.map(|number| format!("<13>1 2026-02-03T04:05:06Z loi app - - - {}\n", text(number))).collect()
    };
    let mut file = std::fs::File::options().append(true).create(true).open(place.followed()).unwrap();
    let config = forwarder_config(&place, own.0);
    let run = Running { server: place.start(), forwarder: Forwarder::start_in(&config, &environment) };
    let run = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for first in (0..count).step_by(BATCH) {
                file.write_all(lines(first..(first + BATCH).min(count)).as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(3_000 / u64::try_from(count / BATCH).unwrap()));
            }
        });
        std::thread::sleep(Duration::from_millis(700));
        let run = strike(fault, &place, run, own);
        writer.join().unwrap();
        run
    });
    let began = Instant::now();
    while place.stored("message:loif*", count * 2).len() < count {
        assert!(began.elapsed() < PATIENCE, "{}: not all has come: {}", fault.name(), run.forwarder.errors());
        std::thread::sleep(Duration::from_millis(500));
    }
    run.forwarder.stop();
    run.server.stop();
    let stored = place.stored("message:loif*", count * 2);
    let lost = (0..count).filter(|number| !stored.contains_key(&text(*number))).count();
    let doubled: usize = stored.values().map(|times| times - 1).sum();
    assert_eq!((lost, doubled), (0, 0), "{}", fault.name());
    let mut row = String::new();
    writeln!(
        row,
        "| `nhatle forward` | {} | {count} | {count} | {} | {lost} | {doubled} |",
        fault.name(),
        stored.len()
    )
    .unwrap();
    Some(row)
}

#[test]
fn whatever_befalls_the_wards_machine_nothing_is_lost_and_nothing_doubled() {
    let count = if is_full() { 2_000 } else { 400 };
    let faults = [Fault::Killed, Fault::BothKilled, Fault::DiskFull, Fault::ClockBack];
    show(&faults.iter().filter_map(|fault| row(*fault, count)).collect::<String>());
}
