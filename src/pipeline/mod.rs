//! The record's walk: collector → storage → engine → register, and who owns which thread.
//!
//! | thread | takes | gives |
//! | --- | --- | --- |
//! | `convert` | batches from every input | events and dead letters, in order |
//! | `append` | those | committed events; answers whoever waits for durability |
//! | `detect` | committed events | alerts, incidents |
//! | `seal` | a clock | segments |
//! | `tend` | a clock | fewer, larger segments |
//!
//! Channels between them are short. A full one stops the stage before it, and in the end the inputs, each sender by
//! its share of their queue: TCP stops reading, HTTP answers 429, UDP drops and counts. The order of the stages is the promise: an event
//! is durable before any rule sees it, and whatever is durable is seen, if need be after a restart.

mod append;
mod checkpoint;
mod committed;
pub mod convert;
mod corrections;
pub mod detect;
pub mod findings;
mod recent;
mod resent;
pub mod refill;
pub(crate) mod shed;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use nhatle_collector::Settings;
use nhatle_collector::listen::resend::Breaks;
use nhatle_collector::listen::{Intake, Sink};
use nhatle_engine::alert::Alert;
use nhatle_engine::fit::Seen;
use nhatle_engine::incident::Grouping;
use nhatle_engine::retention::Rule;
use nhatle_event::{Clock, Event};
use nhatle_rules::RuleSet;
use nhatle_storage::{Disk, Store};
use tokio::sync::watch;

use crate::alerts::AlertBook;
use crate::canary::run::Schedule;
use crate::canary::{Book, Kinds};
use crate::erasure::key::SubjectKeys;
use crate::exceptions::Exceptions;
use crate::forward::receive::Forwarders;
use crate::inputs::Shown;
use crate::live::Live;
use crate::live_rules::LiveRules;
use crate::overload::Overload;
use crate::places::PlaceBook;
use crate::reference::{LiveTables, lookback};
use crate::registry::Registry;
use crate::reload::Reloader;
use crate::sentinel::Feed;
use crate::sources::owners::Owners;
use crate::sources::{SourceBook, Tally};
use crate::telemetry::Counters;
use crate::tend::{self, scrub::Scrub};
use crate::units::Units;

/// How many converted batches may wait to be appended.
const CONVERTED_MAX: usize = 2;
/// Sealing waits while detection is more than so many events behind what is stored: a batch or two.
const SEAL_BEHIND_EVENTS: u64 = 16_384;
/// But not once so many events wait to be sealed, or so many bytes: they take memory, and past the bound of their
/// log intake stops.
const SEAL_WAITING_EVENTS: usize = 131_072;
/// See [`SEAL_WAITING_EVENTS`].
const SEAL_WAITING_BYTES: u64 = 128 << 20;
/// How often sealing is considered.
const SEAL_INTERVAL: Duration = Duration::from_millis(500);
/// And at most, where it fails.
const SEAL_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What every thread, page and command shares.
pub struct Shared {
    /// Events, alerts and dead letters.
    pub store: Arc<Store>,
    /// What people do.
    pub registry: Registry,
    /// Stored alerts, in memory.
    pub alerts: RwLock<AlertBook>,
    /// The receipt book; see [`Shared::book`].
    pub sources: Mutex<SourceBook>,
    /// Whose the names of sources are.
    pub owners: Owners,
    /// Up to where inputs and forwarders have come.
    pub places: Mutex<PlaceBook>,
    /// What others than the appending stage have to say for it; see [`Shared::noted`].
    pub noted: Mutex<Tally>,
    /// The forwarders of the wards.
    pub forwarders: Arc<Forwarders>,
    /// What sources sent, for the sentinel.
    pub feed: Feed,
    /// The rules in force; see [`Shared::rules`].
    pub rules: RwLock<Arc<RuleSet>>,
    /// Where the rules come from, and how they are loaded anew.
    pub live: LiveRules,
    /// What is expected of rules.
    pub exceptions: Exceptions,
    /// Which rules are proven alive.
    pub canaries: Book,
    /// What kinds of event sources send.
    pub kinds: Kinds,
    /// Which fields and values they send.
    pub seen: Mutex<Seen>,
    /// When canaries are sent.
    pub canary_schedule: Live<Schedule>,
    /// Assets, places of addresses and indicators in force.
    pub tables: LiveTables,
    /// The look back for new indicators that is on its way.
    pub looking_back: lookback::Running,
    /// How important hosts, accounts and addresses are, 1 to 5.
    pub importance: Live<BTreeMap<String, u8>>,
    /// What the configuration says of single senders.
    pub source_settings: nhatle_collector::SourceSettings,
    /// When alerts belong together.
    pub grouping: Live<Grouping>,
    /// What makes erased events impossible to guess.
    pub subject_keys: SubjectKeys,
    /// How far the files were read and checked, and what was found.
    pub scrub: Scrub,
    /// How long events are kept.
    pub retention: Live<Vec<Rule>>,
    /// When the job of retention runs, and who wants it to.
    pub retention_watch: crate::retention::job::Watch,
    /// What conversion depends on.
    pub settings: Live<Settings>,
    /// Organization units.
    pub units: Live<Units>,
    /// Overload and what is done about it.
    pub overload: Overload,
    /// `[storage] backlog_bytes_max`.
    pub backlog_bytes_max: u64,
    /// Reads the configuration again, once a server runs.
    pub reloader: OnceLock<Reloader>,
    /// The data folder, for what is kept there beside the store.
    pub disk: Arc<dyn Disk>,
    /// Counters.
    pub counters: Counters,
    /// The inputs and what they count.
    pub inputs: Mutex<Shown>,
    /// The way into the pipeline, while there is one; for its figures.
    pub sink: Mutex<Option<Sink>>,
    /// Ticks when something on a page may have changed.
    pub changes: watch::Sender<u64>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Why nothing can be taken right now, if so.
    pub trouble: Mutex<Option<String>>,
}

impl Shared {
    /// Says that something on a page may have changed.
    pub fn tick(&self) {
        self.changes.send_modify(|tick| *tick = tick.wrapping_add(1));
    }

    /// Learns from events what their sources send.
    pub fn look_closely<'e>(&self, events: impl IntoIterator<Item = &'e Event>) {
        let mut seen = self.seen();
        events.into_iter().for_each(|event| seen.look(event));
        self.counters.sources_passed_over.store(seen.passed_over(), Ordering::Relaxed);
    }

    /// The place kept under this key, if it is durable.
    pub fn place(&self, key: &str) -> Option<String> {
        self.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(key).map(ToOwned::to_owned)
    }

    /// What sources send, for looking.
    pub fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The receipt book. Only the appending stage changes it.
    pub fn book(&self) -> std::sync::MutexGuard<'_, SourceBook> {
        self.sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// For inputs: what they refused, and which numbers are missing. It goes into the next batch.
    pub fn noted(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The inputs and what they count.
    pub fn inputs(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.inputs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The way into the pipeline, while there is one.
    pub fn sink(&self) -> std::sync::MutexGuard<'_, Option<Sink>> {
        self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The alerts, for looking.
    pub fn alerts(&self) -> std::sync::RwLockReadGuard<'_, AlertBook> {
        self.alerts.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Reads the alerts of the store again: something was erased from them.
    ///
    /// # Errors
    /// They cannot be read; those in memory stay as they are.
    pub fn forget_alerts(&self) -> anyhow::Result<()> {
        let snapshot = self.store.snapshot();
        let mut book = AlertBook::read(&snapshot).context("read stored alerts")?;
        // Nobody waits while all are read. What the detector stored meanwhile is read with the book held, and what it stores
        // from then on it puts in behind it.
        let mut alerts = self.alerts.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        book.catch_up(&self.store.snapshot(), snapshot.last_seq()).context("read stored alerts")?;
        let before = std::mem::replace(&mut *alerts, book);
        drop(alerts);
        drop(before);
        Ok(())
    }

    /// The rules in force now. They may be others at the next call.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Puts the register's exceptions in force.
    pub fn renew_exceptions(&self) {
        let rules = self.rules();
        self.registry.read(|state| self.exceptions.renew(state.exceptions.values(), &rules));
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = trouble;
    }
}

/// The running threads.
pub struct Pipeline {
    stages: Vec<JoinHandle<()>>,
    /// The way past the inputs; `None` where whoever started this has the only one.
    to_append: Option<SyncSender<Vec<convert::Part>>>,
    seal: JoinHandle<()>,
    tend: JoinHandle<()>,
    is_stopping: Arc<AtomicBool>,
}

impl Pipeline {
    /// Starts the threads. They end by themselves once every sender of `intake` is gone; see
    /// [`Pipeline::join`].
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(shared: &Arc<Shared>, settings: Settings, intake: Intake) -> std::io::Result<Pipeline> {
        let (mut pipeline, to_append) = Pipeline::start_stages(shared, intake.breaks().clone())?;
        let counted = shared.clone();
        shared.settings.set(settings);
        pipeline.to_append = Some(to_append.clone());
        let convert = move || convert::run(&counted, &intake, &to_append);
        pipeline.stages.insert(0, spawn("convert", convert)?);
        Ok(pipeline)
    }

    /// Starts every thread but `convert`: the caller converts, and sends what it converted. The threads end
    /// once the sender is gone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start_import(shared: &Arc<Shared>) -> std::io::Result<(Pipeline, SyncSender<Vec<convert::Part>>)> {
        Pipeline::start_stages(shared, Arc::default())
    }

    fn start_stages(
        shared: &Arc<Shared>,
        breaks: Arc<Breaks>,
    ) -> std::io::Result<(Pipeline, SyncSender<Vec<convert::Part>>)> {
        let (to_append, converted) = sync_channel(CONVERTED_MAX);
        let (to_detect, committed) = committed::queue();
        let is_stopping = Arc::new(AtomicBool::new(false));
        // Made before anything new is appended: it catches up to what is stored now, no further.
        let stage = detect::Stage::new(shared.clone());
        let stored = shared.clone();
        let append = spawn("append", move || append::run(&stored, &breaks, &converted, &to_detect))?;
        let detect = spawn("detect", move || stage.run(&committed))?;
        let (sealed, stopping) = (shared.clone(), is_stopping.clone());
        let seal = spawn("seal", move || seal(&sealed, &stopping))?;
        let (tended, stopping) = (shared.clone(), is_stopping.clone());
        let tend = spawn("tend", move || tend::run(&tended, &stopping))?;
        Ok((Pipeline { stages: vec![append, detect], to_append: None, seal, tend, is_stopping }, to_append))
    }

    /// A way to the appending stage for what is converted already. Every one must be gone before [`Pipeline::join`].
    pub fn to_append(&self) -> Option<SyncSender<Vec<convert::Part>>> {
        self.to_append.clone()
    }

    /// Waits until everything that was taken is stored and looked at. Every sender of the intake must be
    /// gone, or this waits for ever.
    pub fn join(self) {
        drop(self.to_append);
        for stage in self.stages {
            if stage.join().is_err() {
                tracing::error!("a pipeline stage panicked");
            }
        }
        self.is_stopping.store(true, Ordering::Relaxed);
        if self.seal.join().is_err() {
            tracing::error!("the sealing stage panicked");
        }
        if self.tend.join().is_err() {
            tracing::error!("the stage that looks after what is stored panicked");
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Seals when it is due, until told to stop. A failure is said once and tried again.
///
/// Sealing 65,536 events takes a core for seconds. On threads shared with detection and conversion it would hold
/// up both for as long; on its own the system gives each its turn.
fn seal(shared: &Shared, is_stopping: &AtomicBool) {
    let threads = threads("seal");
    let mut had_trouble = false;
    while !is_stopping.load(Ordering::Relaxed) {
        let began = shared.clock.now();
        let sealed = match has_to_wait(shared) {
            true => Ok(false),
            false => on(threads.as_ref(), || shared.store.seal_if_due()),
        };
        match sealed {
            Ok(true) => {
                Counters::add(&shared.counters.seal_ns, nanos(shared.clock.now().since(began)));
                had_trouble = false;
                // There may be more.
                continue;
            }
            Ok(false) => had_trouble = false,
            Err(error) if had_trouble => tracing::debug!(%error, "segment not sealed"),
            Err(error) => {
                had_trouble = true;
                tracing::error!(%error, "segment not sealed");
            }
        }
        let pause = pause(had_trouble, shared.clock.now().since(began));
        let began = std::time::Instant::now();
        // Sliced, so that a stop does not wait for the interval.
        while began.elapsed() < pause {
            if is_stopping.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(SEAL_INTERVAL / 10);
        }
    }
}

/// How long until sealing is tried again. An attempt that finds no room on the disk takes a core for its length: it is made a tenth of the
/// time at most, and each half minute at least.
fn pause(has_failed: bool, took_ns: i64) -> Duration {
    match has_failed {
        true => (Duration::from_nanos(u64::try_from(took_ns).unwrap_or(0)) * 9).clamp(SEAL_INTERVAL, SEAL_PAUSE_MAX),
        false => SEAL_INTERVAL,
    }
}

/// Whether detection comes first: columns and index may lag behind a burst, detection may not.
fn has_to_wait(shared: &Shared) -> bool {
    let stats = shared.store.stats();
    let behind = stats.last_seq.0.saturating_sub(shared.live.detected().0);
    let has_room = stats.unsealed_events < SEAL_WAITING_EVENTS && stats.log_bytes < SEAL_WAITING_BYTES;
    SEAL_BEHIND_EVENTS < behind && has_room
}

/// Threads for one stage, one for each core. `None` where the system gives none.
fn threads(name: &'static str) -> Option<rayon::ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().thread_name(move |_| name.to_owned());
    builder.build().inspect_err(|error| tracing::warn!(%error, name, "no threads of its own")).ok()
}

/// Does something on these threads, or on those of everybody.
fn on<T: Send>(threads: Option<&rayon::ThreadPool>, work: impl FnOnce() -> T + Send) -> T {
    match threads {
        Some(threads) => threads.install(work),
        None => work(),
    }
}

fn nanos(span: i64) -> u64 {
    u64::try_from(span).unwrap_or(0)
}

/// Writes alerts into the alert book and says so. Called after they are durable.
pub fn publish(shared: &Shared, alerts: Vec<Alert>) {
    if alerts.is_empty() {
        return;
    }
    let mut book = shared.alerts.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    for alert in alerts {
        book.insert(alert);
    }
    drop(book);
    shared.tick();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_tried_a_tenth_of_the_time() {
        let of = |seconds: f64| pause(true, (seconds * 1e9) as i64).as_secs_f64();
        assert_eq!(
            [0.0, -5.0, 0.01].map(of),
            [0.5; 3],
            "no faster than what goes well, also where the clock was set back"
        );
        assert_eq!([1.0, 2.0, 60.0, 1e9].map(of), [9.0, 18.0, 30.0, 30.0]);
        assert_eq!(pause(false, i64::MAX), SEAL_INTERVAL);
    }
}
