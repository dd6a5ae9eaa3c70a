//! The threads of the sentinel: one for ticks and state, one for the receipt book, one hour after the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nhatle_engine::rhythm::{Beat, Calendar, Finding, Sentinel};
use nhatle_event::Timestamp;
use nhatle_storage::Disk;
use nhatle_storage::query::Control;
use tracing::{info, warn};

use super::{alert, balance};
use crate::pipeline::Shared;
use crate::sources::hour::hour_of;
use crate::state;

/// How often time passes for the sentinel.
const TICK: Duration = Duration::from_secs(15);
/// How often its state is written.
const STATE_INTERVAL: Duration = Duration::from_secs(300);
/// How often it is looked whether to stop.
const SLICE: Duration = Duration::from_millis(100);
/// An hour is compared with the store so long after its end: it is stored two minutes after.
const CHECK_AFTER_NS: i64 = 300_000_000_000;
const PATH: &str = "state/rhythm.ckpt";
/// A larger file is not ours.
const FILE_BYTES_MAX: u64 = 1 << 28;

/// The running thread.
pub struct Running {
    is_stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Ends it; its state is written.
    pub fn stop(self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("the sentinel panicked");
            }
        }
    }
}

/// Starts the threads, one that watches and one that checks the book, which takes as long as an hour has events; none without a
/// calendar.
///
/// # Errors
/// The system gives no thread.
pub fn start(shared: &Arc<Shared>, calendar: Option<Calendar>) -> io::Result<Running> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let mut running = Running { is_stopping: is_stopping.clone(), threads: Vec::new() };
    let Some(calendar) = calendar else { return Ok(running) };
    let spawn =
        |name: &str, work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.to_owned()).spawn(work);
    let (watched, stopping) = (shared.clone(), is_stopping.clone());
    running.threads.push(spawn("sentinel", Box::new(move || run(&watched, &calendar, &stopping)))?);
    let checked = shared.clone();
    running.threads.push(spawn("balance", Box::new(move || check(&checked, is_stopping)))?);
    Ok(running)
}

/// Checks the book, hour by hour, until told to stop.
fn check(shared: &Shared, is_stopping: Arc<AtomicBool>) {
    let control = Control::by(is_stopping);
    let mut ticked = Instant::now();
    while !control.is_canceled() {
        std::thread::sleep(SLICE);
        if TICK <= ticked.elapsed() {
            ticked = Instant::now();
            balance::check_next(shared, hour_of(shared.clock.now().plus_nanos(-CHECK_AFTER_NS)) - 1, &control);
        }
    }
}

/// Runs until told to stop.
fn run(shared: &Shared, calendar: &Calendar, is_stopping: &AtomicBool) {
    let mut sentinel = open(&*shared.disk, calendar);
    let now = shared.clock.now();
    sentinel.learn(now);
    publish(shared, &sentinel, now);
    let mut kept = Instant::now();
    let mut ticked = Instant::now();
    while !is_stopping.load(Ordering::Relaxed) {
        std::thread::sleep(SLICE);
        if ticked.elapsed() < TICK {
            continue;
        }
        ticked = Instant::now();
        tick(shared, &mut sentinel);
        if STATE_INTERVAL <= kept.elapsed() {
            kept = Instant::now();
            keep(&*shared.disk, &sentinel);
        }
    }
    tick(shared, &mut sentinel);
    keep(&*shared.disk, &sentinel);
}

/// Takes in what was heard, lets time pass, and makes alerts of what is found.
fn tick(shared: &Shared, sentinel: &mut Sentinel) {
    for (source, heard) in shared.feed.take() {
        if heard.count == 0 {
            continue;
        }
        sentinel.see(&Beat {
            source: &source,
            unit: heard.unit.as_deref(),
            count: heard.count,
            last: Timestamp(heard.last_ns),
            offsets_ms: &heard.offsets_ms,
            addresses: &heard.addresses,
        });
    }
    let now = shared.clock.now();
    let outages: Vec<_> = shared.registry.read(|state| {
        state.outages.values().filter(|outage| outage.from <= now && now < outage.until).cloned().collect()
    });
    let is_planned = |source: &str, unit: Option<&str>| outages.iter().any(|outage| outage.covers(source, unit, now));
    let (over, found): (Vec<Finding>, Vec<Finding>) =
        sentinel.tick(now, is_planned).into_iter().partition(|finding| finding.is_over);
    publish(shared, sentinel, now);
    alert::raise(shared, found.iter().map(alert::of_finding).collect());
    over.iter().for_each(|finding| alert::resolve(shared, finding));
}

fn publish(shared: &Shared, sentinel: &Sentinel, now: Timestamp) {
    shared.feed.publish(sentinel.usual(now).map(|(name, usual)| (name.to_owned(), usual)).collect());
}

fn open(disk: &dyn Disk, calendar: &Calendar) -> Sentinel {
    let state = match state::read(disk, PATH, FILE_BYTES_MAX) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => return Sentinel::new(calendar.clone()),
        // As it was written before it had a checksum: weeks of learning are in it.
        Err(error) => disk.read(PATH).and_then(|bytes| if bytes.starts_with(b"{") { Ok(bytes) } else { Err(error) }),
    };
    let restored = state.and_then(|bytes| {
        let bad = |error: serde_json::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        Sentinel::restore(&bytes, calendar.clone()).map_err(bad)
    });
    match restored {
        Ok(sentinel) => {
            info!(sources = sentinel.source_count(), "rhythms of sources go on from their state");
            sentinel
        }
        Err(error) => {
            warn!(%error, "rhythms of sources not read; they are learned anew");
            Sentinel::new(calendar.clone())
        }
    }
}

/// Writes its state; the old one stands until the new one is whole and synced.
pub fn keep(disk: &dyn Disk, sentinel: &Sentinel) {
    if let Err(error) = state::keep(disk, PATH, &sentinel.state()) {
        warn!(%error, "rhythms of sources not written");
    }
}

#[cfg(test)]
mod tests {
    use nhatle_engine::rhythm::Kind;
    use nhatle_event::{Event, Field};
    use nhatle_storage::Dataset;

    use super::*;
    use crate::config::{Config, ConfigFile};
    use crate::sources::hour::HOUR_NS;
    use crate::sources::{Fate, Tally};

    fn shared(folder: &std::path::Path, runtime: &tokio::runtime::Runtime) -> Shared {
        let file = ConfigFile { data: folder.to_owned(), ..ConfigFile::default() };
        let config = Config::check(file).expect("the defaults hold");
        crate::command::serve::open(&config, runtime.handle().clone()).expect("opens")
    }

    #[test]
    fn a_finding_is_one_alert_that_is_stored_and_closed_when_it_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
        let shared = shared(folder.path(), &runtime);
        let now = shared.clock.now();
        let finding = Finding {
            kind: Kind::Silence,
            name: "fw-01".into(),
            unit: None,
            since: now.plus_nanos(-900_000_000_000),
            at: now,
            is_over: false,
            names: Vec::new(),
            number: 900.0,
            usual: 300.0,
        };
        assert!(alert::raise(&shared, vec![alert::of_finding(&finding)]));
        let later = Finding { at: now.plus_nanos(5), ..finding.clone() };
        assert!(alert::raise(&shared, vec![alert::of_finding(&later)]));
        assert_eq!(shared.store.snapshot().count(Dataset::Alerts), 1, "the same silence is the same alert");
        let id = alert::of_finding(&finding).id.to_string();
        assert!(shared.alerts().contains(&id));
        assert!(shared.registry.read(|state| state.incident_of.contains_key(&id)), "it is in an incident");
        alert::resolve(&shared, &Finding { is_over: true, ..later });
        let triage = shared.registry.read(|state| state.triage.get(&id).cloned()).expect("is noted");
        assert!(triage.disposition.is_some() && triage.note.contains("sends again after 15 min"), "{triage:?}");
    }

    #[test]
    fn a_book_that_is_off_is_a_critical_alert_and_the_next_hour_is_checked_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
        let shared = shared(folder.path(), &runtime);
        let hour = hour_of(shared.clock.now()) - 3;
        let mut event = Event::new(Timestamp(0), *b"x");
        event.received = Timestamp(hour * HOUR_NS + 5);
        event.set(Field::NHATLE_SOURCE, "fw-01");
        let mut tally = Tally::new();
        tally.count(&event, Fate::Stored, 0);
        let rows = shared.store.append(vec![(Dataset::Events, event)], &[]).expect("is written");
        // Counted twice: the book says two, the store holds one.
        shared.book().after_batch(&tally, rows.last().map(|last| last.seq));
        shared.book().add(&tally);
        assert!(balance::check_next(&shared, hour + 1, &Control::default()));
        assert!(balance::check_next(&shared, hour + 1, &Control::default()), "the next hour");
        assert!(!balance::check_next(&shared, hour + 1, &Control::default()), "there is no other");
        let checked = shared.feed.checked().clone();
        assert_eq!((checked.hours, checked.through, checked.differences.len()), (2, hour + 1, 1));
        let alerts: Vec<_> = shared.alerts().newest_first().cloned().collect();
        assert_eq!(alerts.len(), 1);
        assert_eq!((alerts[0].rule_id.as_str(), alerts[0].level.as_str()), (alert::BALANCE_RULE, "critical"));
        assert!(shared.store.mark(balance::MARK).is_some(), "it is remembered");
    }

    #[test]
    fn an_hour_in_a_damaged_segment_does_not_keep_the_next_ones_from_being_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
        let hour = hour_of(nhatle_event::Clock::now(&nhatle_event::SystemClock)) - 3;
        {
            let shared = shared(folder.path(), &runtime);
            let mut event = Event::new(Timestamp(0), *b"x");
            event.received = Timestamp((hour + 1) * HOUR_NS + 5);
            shared.store.append(vec![(Dataset::Events, event)], &[]).expect("is written");
            shared.store.seal().expect("seals");
            shared.registry.close();
        }
        crate::alerts::tests::damage_first_segment(folder.path());
        let shared = shared(folder.path(), &runtime);
        shared.feed.checked().through = hour;
        assert!(balance::check_next(&shared, hour + 2, &Control::default()));
        assert!(balance::check_next(&shared, hour + 2, &Control::default()), "the next hour");
        assert_eq!(shared.feed.checked().through, hour + 2);
    }

    #[test]
    fn what_is_learned_survives_and_damage_is_no_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there");
        let calendar = Calendar::default();
        let mut sentinel = open(&disk, &calendar);
        let beat = Beat { source: "a", unit: None, count: 1, last: Timestamp(5), offsets_ms: &[], addresses: &[] };
        sentinel.see(&beat);
        keep(&disk, &sentinel);
        assert_eq!(open(&disk, &calendar).source_count(), 1);
        disk.replace(PATH, b"{\"sources\":").expect("is written");
        assert_eq!(open(&disk, &calendar).source_count(), 0);
        disk.replace(PATH, &sentinel.state()).expect("is written");
        assert_eq!(open(&disk, &calendar).source_count(), 1, "as it was written before it had a checksum");
    }
}
