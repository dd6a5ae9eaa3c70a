//! `nhatle import`: files through the same pipeline into a store, then exits.
//!
//! Everything a file holds is stored: what cannot be parsed is a dead letter. At the end the counts are
//! printed; stored and dead-lettered together are the records of the files. A server waits for room on a full disk; this ends, and says
//! how much is stored. Where a server has the folder the files are handed to it ([`crate::handover`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nhatle_collector::listen::file::{FileEntries, FileEntry, FileOptions, files_below};
use nhatle_collector::{Settings, UnitRule, dead_letter_event};
use nhatle_event::{Clock, Event, SystemClock, Text};
use nhatle_storage::{Dataset, OpenError};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use serde_json::json;

use super::{End, UsageError, output, parse};
use crate::cli::{ImportArgs, ServeArgs};
use crate::config::Config;
use crate::handover::{Ask, client};
use crate::pipeline::convert::Part;
use crate::pipeline::{Pipeline, Shared};
use crate::sources::owners::By;

/// How many records are converted together.
pub const CHUNK_RECORDS: usize = 4_096;
/// And at most about so many bytes of them.
const CHUNK_BYTES: usize = 8 << 20;

/// So long nothing moves on a full disk until it is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// With less room than this a disk may be full: a segment has some tens of MiB.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// Runs the command.
///
/// # Errors
/// The store cannot be opened (a server may have it), or a file cannot be read.
pub fn run(args: &ImportArgs) -> anyhow::Result<End> {
    let serve = ServeArgs { data: Some(args.data.data.clone()), rules: args.rules.clone(), ..ServeArgs::default() };
    let config = Config::load(&serve)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let shared = match super::serve::open(&config, runtime.handle().clone()) {
        Err(error) if is_locked(&error) => return beside(args),
        opened => Arc::new(opened?),
    };
    let (to_hear, heard) = sync_channel(1);
    let (storing, own) = (shared.clone(), args.clone());
    let units = super::serve::unit_rules(&config);
    let work = move || drop(to_hear.send(store_all(&storing, &own, units)));
    std::thread::Builder::new().name("import".to_owned()).spawn(work)?;
    let mut moved = (progress(&shared), Instant::now());
    loop {
        match heard.recv_timeout(LOOK_INTERVAL) {
            Ok(end) => return end,
            Err(RecvTimeoutError::Disconnected) => bail!("the import panicked"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = progress(&shared);
        if now != moved.0 || !is_disk_full(&shared) {
            moved = (now, Instant::now());
        } else if PATIENCE <= moved.1.elapsed() {
            // Whatever waits for room is left to wait; what is stored is durable.
            runtime.shutdown_background();
            let [_, stored, dead_lettered, ..] = now;
            bail!(
                "no space left for {}: {stored} records are stored and {dead_lettered} are dead letters; with room, import only what is missing",
                config.data.display()
            );
        }
    }
}

/// Whether another process has the folder.
pub fn is_locked(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(OpenError::Locked { .. })))
}

/// Hands the files to the server that has the folder, and prints the counts.
fn beside(args: &ImportArgs) -> anyhow::Result<End> {
    if !args.rules.is_empty() {
        let what = "--rules: a server has this folder, and looks at what is imported by its own rules";
        return Err(UsageError(what.to_owned()).into());
    }
    parse::profile(args.source.as_deref())?;
    let files = files_below(&args.files)?;
    let ask = Ask::Import { source: args.source.clone(), unit: args.unit.clone() };
    let client::Done { value, problems } = client::import(&args.data.data, &ask, &files)?;
    let count = |key: &str| value.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let line = json!({
        "files": files.len(), "stored": count("stored"), "dead_lettered": count("dead_lettered"),
        "duplicate": count("duplicate"), "records": count("records"), "alerts": count("alerts"),
    });
    output::line(&line.to_string())?;
    Ok(if problems == 0 { End::Done } else { End::Findings })
}

/// What changes while anything is done.
fn progress(shared: &Shared) -> [u64; 6] {
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (counters, stats) = (&shared.counters, shared.store.stats());
    let read = load(&counters.records_received);
    let (stored, dead_lettered) = (load(&counters.events_stored), load(&counters.dead_letters));
    [read, stored, dead_lettered, stats.last_seq.0, stats.segments as u64, stats.segment_bytes]
}

fn is_disk_full(shared: &Shared) -> bool {
    shared.overload.room().2.is_some_and(|free| free < ROOM_BYTES_MIN)
}

/// Stores all files, and prints the counts.
fn store_all(shared: &Arc<Shared>, args: &ImportArgs, units: Vec<UnitRule>) -> anyhow::Result<End> {
    let settings = Settings { units, tables: shared.tables.current(), ..parse::settings() };
    let (pipeline, to_append) = Pipeline::start_import(shared)?;
    let options = FileOptions {
        profile: parse::profile(args.source.as_deref())?,
        unit: args.unit.as_deref().map(Text::from),
        ..FileOptions::new(SystemClock.now())
    };
    let by = if args.unit.is_some() { By::Grant } else { By::Configuration };
    let mut problems = 0usize;
    let files = files_below(&args.files)?;
    for path in &files {
        let mut chunk = Chunk::default();
        let entries = match FileEntries::open(path, &options) {
            Ok(entries) => entries,
            Err(error) => {
                problems += 1;
                output::say(&format!("{:#}", anyhow::Error::from(error)));
                continue;
            }
        };
        parse::say_misnamed(entries.name(), entries.misnamed());
        for entry in entries {
            match entry {
                Ok(entry) => chunk.push(entry),
                Err(error) => {
                    problems += 1;
                    output::say(&format!("{:#}", anyhow::Error::from(error)));
                }
            }
            if chunk.is_full() {
                send((shared, by), &settings, &to_append, chunk.take())?;
            }
        }
        send((shared, by), &settings, &to_append, chunk.take())?;
    }
    drop(to_append);
    pipeline.join();
    shared.store.seal().context("seal what was imported")?;
    shared.registry.close();
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let counters = &shared.counters;
    let line = json!({
        "files": files.len(), "stored": load(&counters.events_stored), "dead_lettered": load(&counters.dead_letters),
        "duplicate": load(&counters.duplicates), "records": load(&counters.records_received),
        "alerts": load(&counters.alerts),
    });
    output::line(&line.to_string())?;
    Ok(if problems == 0 { End::Done } else { End::Findings })
}

fn send(
    (shared, by): (&Shared, By),
    settings: &Settings,
    to_append: &std::sync::mpsc::SyncSender<Vec<Part>>,
    chunk: Vec<FileEntry>,
) -> anyhow::Result<()> {
    if chunk.is_empty() {
        return Ok(());
    }
    let rows = rows((shared, by), settings, chunk);
    crate::telemetry::Counters::add(&shared.counters.records_received, rows.len() as u64);
    to_append.send(vec![Part::of(rows)]).context("the pipeline ended early")
}

/// Records of a file that are converted and stored together.
#[derive(Default)]
pub struct Chunk {
    entries: Vec<FileEntry>,
    bytes: usize,
}

impl Chunk {
    /// One record more.
    pub fn push(&mut self, entry: FileEntry) {
        self.bytes += entry.bytes();
        self.entries.push(entry);
    }

    /// Whether it is time to take them.
    pub fn is_full(&self) -> bool {
        CHUNK_RECORDS <= self.entries.len() || CHUNK_BYTES <= self.bytes
    }

    /// Takes them.
    pub fn take(&mut self) -> Vec<FileEntry> {
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }
}

/// The rows that records of a file become.
pub fn rows((shared, by): (&Shared, By), settings: &Settings, chunk: Vec<FileEntry>) -> Vec<(Dataset, Event)> {
    let (units, now) = (shared.units.get(), shared.clock.now());
    let row = |entry: FileEntry| -> (Dataset, Event) {
        let (dataset, mut event) = match entry.convert(settings) {
            Ok(event) => (Dataset::Events, event),
            Err(dead_letter) => (Dataset::DeadLetters, dead_letter_event(&dead_letter, settings)),
        };
        shared.owners.name(&mut event, by, &units, now);
        (dataset, event)
    };
    let mut rows: Vec<_> = chunk.into_par_iter().map(row).collect();
    shared.subject_keys.put(rows.iter_mut().map(|(_, event)| event), now);
    rows
}
