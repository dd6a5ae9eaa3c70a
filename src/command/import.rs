//! `nhatle import`: files through the same pipeline into a store, then exits.
//!
//! Everything a file holds is stored: what cannot be parsed is a dead letter. At the end the counts are
//! printed; stored and dead-lettered together are the records of the files. A server waits for room on a full disk; this ends, and says
//! how much is stored.

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

use super::{End, output, parse};
use crate::cli::{ImportArgs, ServeArgs};
use crate::config::Config;
use crate::pipeline::convert::Part;
use crate::pipeline::{Pipeline, Shared};
use crate::sources::owners::By;

/// How many records are converted together.
const CHUNK_RECORDS: usize = 4_096;

/// So long nothing moves on a full disk until it is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// With less room than this a disk may be full: a segment has some tens of MiB.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// What to do where a server has the store.
const BESIDE_A_SERVER: &str = "import needs the store for itself; a running server takes lines by POST /api/v1/events, files by [[collector.file]]";

/// Runs the command.
///
/// # Errors
/// The store cannot be opened (a server may have it), or a file cannot be read.
pub fn run(args: &ImportArgs) -> anyhow::Result<End> {
    let serve = ServeArgs { data: Some(args.data.data.clone()), rules: args.rules.clone(), ..ServeArgs::default() };
    let config = Config::load(&serve)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let shared = super::serve::open(&config, runtime.handle().clone()).map_err(|error| {
        let is_locked = error.chain().any(|cause| matches!(cause.downcast_ref(), Some(OpenError::Locked { .. })));
        match is_locked {
            true => error.context(BESIDE_A_SERVER),
            false => error,
        }
    })?;
    let shared = Arc::new(shared);
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
        let mut chunk = Vec::with_capacity(CHUNK_RECORDS);
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
            if chunk.len() == CHUNK_RECORDS {
                send((shared, by), &settings, &to_append, std::mem::take(&mut chunk))?;
            }
        }
        send((shared, by), &settings, &to_append, chunk)?;
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
    let (units, now) = (shared.units.get(), shared.clock.now());
    let row = |entry: FileEntry| -> (Dataset, Event) {
        let (dataset, mut event) = match entry.convert(settings) {
            Ok(event) => (Dataset::Events, event),
            Err(dead_letter) => (Dataset::DeadLetters, dead_letter_event(&dead_letter, settings)),
        };
        shared.owners.name(&mut event, by, &units, now);
        (dataset, event)
    };
    let rows: Vec<_> = chunk.into_par_iter().map(row).collect();
    crate::telemetry::Counters::add(&shared.counters.records_received, rows.len() as u64);
    to_append.send(vec![Part::of(rows)]).context("the pipeline ended early")
}
