//! `nhatle import`, done by the server: its files, read and converted as the command alone would, on the way that inputs'
//! records go from the appending stage on.
//!
//! Promise: a chunk is read on only when the one before is durable, so what the command hears is what is stored; the last,
//! unfinished record of a file that breaks off is not stored. Where there is no room it waits as long as the command does.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TrySendError;
use std::time::{Duration, Instant};

use nhatle_collector::Settings;
use nhatle_collector::listen::file::{FileEntries, FileEntry, FileOptions};
use nhatle_collector::listen::{Receipt, Refusal};
use nhatle_event::Text;
use serde_json::{Value, json};
use tokio::sync::oneshot::error::RecvError;

use super::files::{Broken, FileBytes};
use super::server::{Ended, Teller, Within};
use super::{Counts, Next, Told, modified_of};
use crate::command::import::{CHUNK_RECORDS, Chunk, rows};
use crate::command::parse;
use crate::pipeline::convert::Part;
use crate::sources::owners::By;
use crate::telemetry::Counters;

/// How often it is looked whether there is room again, or the rules have looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How often it is looked whether the appending stage takes more.
const TURN_INTERVAL: Duration = Duration::from_millis(2);
/// So long an answer is waited for before it is looked whether the server ends.
const ANSWER_SLICE: Duration = Duration::from_millis(500);
/// The command is told at least so often that there is no room: so it is known whether it still waits.
const TELL_INTERVAL: Duration = Duration::from_secs(5);
/// So long late events are waited for once the rules have looked at all.
const SETTLE_PATIENCE: Duration = Duration::from_secs(30);

type Answer = tokio::sync::oneshot::Receiver<Result<Receipt, Refusal>>;

struct Import<'a> {
    within: &'a Within,
    by: By,
    settings: Settings,
    teller: &'a mut Teller,
    is_stopping: &'a AtomicBool,
    counts: Counts,
}

/// Does it.
pub(super) fn run(
    within: &Within,
    (source, unit): (Option<&str>, Option<&str>),
    bytes: &FileBytes,
    teller: &mut Teller,
    is_stopping: &AtomicBool,
) -> Result<Value, Ended> {
    let shared = &within.shared;
    let profile = parse::profile(source).map_err(|error| Ended::Refused(error.to_string()))?;
    let options = FileOptions { profile, unit: unit.map(Text::from), ..FileOptions::new(shared.clock.now()) };
    // As the command alone would: a time without a zone is in UTC, and what the configuration says of senders is of inputs.
    let settings =
        Settings { units: shared.settings.get().units.clone(), tables: shared.tables.current(), ..parse::settings() };
    let by = if unit.is_some() { By::Grant } else { By::Configuration };
    let alerts = || shared.counters.alerts.load(Ordering::Relaxed);
    let before = alerts();
    let mut import = Import { within, by, settings, teller, is_stopping, counts: Counts::default() };
    loop {
        let next = bytes.wire().next_file()?;
        match next {
            Next::End {} => break,
            Next::File { path, modified_ns } => import.file(&path, modified_ns, &options, bytes)?,
        }
    }
    let Counts { records, stored, dead_lettered, duplicate } = import.counts;
    import.look()?;
    // Those that others' events raised meanwhile are among them.
    let alerts = alerts().saturating_sub(before);
    Ok(json!({
        "stored": stored, "dead_lettered": dead_lettered, "duplicate": duplicate, "records": records, "alerts": alerts,
    }))
}

impl Import<'_> {
    fn file(
        &mut self,
        path: &str,
        modified_ns: Option<i64>,
        options: &FileOptions,
        bytes: &FileBytes,
    ) -> Result<(), Ended> {
        let received = modified_of(modified_ns).unwrap_or(options.now);
        let mut chunk = Chunk::default();
        let mut problem = None;
        match FileEntries::of_bytes(Box::new(bytes.clone()), Path::new(path), received, options) {
            Err(error) => problem = Some(error),
            Ok(entries) => {
                if let Some(told) = parse::misnamed(entries.name(), entries.misnamed()) {
                    self.teller.tell(&Told::Said(told))?;
                }
                for entry in entries {
                    match entry {
                        Ok(entry) => chunk.push(entry),
                        Err(error) => problem = Some(error),
                    }
                    if chunk.is_full() {
                        self.store(chunk.take())?;
                    }
                }
            }
        }
        // Before what is left is stored: a record that broke off is none.
        let is_whole = bytes.wire().end_file()?;
        self.store(chunk.take())?;
        if let Some(error) = problem.filter(|_| is_whole) {
            self.teller.tell(&Told::Problem(format!("{:#}", anyhow::Error::from(error))))?;
        }
        Ok(())
    }

    fn store(&mut self, chunk: Vec<FileEntry>) -> Result<(), Ended> {
        if chunk.is_empty() {
            return Ok(());
        }
        debug_assert!(chunk.len() <= CHUNK_RECORDS, "chunks are bounded");
        let shared = &self.within.shared;
        Counters::add(&shared.counters.records_received, chunk.len() as u64);
        let receipt = loop {
            let rows = rows((shared, self.by), &self.settings, chunk.clone());
            let (told, hears) = tokio::sync::oneshot::channel();
            let part = Part { waiting: Some(told), ..Part::of(rows) };
            self.hand_on(part)?;
            match self.answer(hears)? {
                Ok(Ok(receipt)) => break receipt,
                Ok(Err(Refusal::Busy { .. })) => self.wait_for_room()?,
                Ok(Err(Refusal::Store { reason })) => return Err(Ended::Failed(reason)),
                Err(_over) => return Err(Broken::Stopping.into()),
            }
        };
        self.count(chunk.len(), &receipt);
        self.teller.tell(&Told::Stored(self.counts))?;
        Ok(())
    }

    fn count(&mut self, records: usize, receipt: &Receipt) {
        self.counts.records += records as u64;
        self.counts.stored += receipt.accepted;
        self.counts.dead_lettered += receipt.dead_lettered;
        self.counts.duplicate += receipt.duplicate();
    }

    /// Hands a part on. It may be long in being taken: what nobody waits for is before it, and there is no room.
    fn hand_on(&mut self, part: Part) -> Result<(), Broken> {
        let (mut parts, mut told) = (vec![part], Instant::now());
        loop {
            match self.within.to_append.try_send(parts) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Broken::Stopping),
                Err(TrySendError::Full(back)) => parts = back,
            }
            self.pause(TURN_INTERVAL)?;
            self.tell_at_times(&mut told)?;
        }
    }

    /// The answer of the appending stage, which may be long in coming for the same reason.
    fn answer(&mut self, mut hears: Answer) -> Result<Result<Result<Receipt, Refusal>, RecvError>, Broken> {
        let mut told = Instant::now();
        loop {
            let answer = async { tokio::time::timeout(ANSWER_SLICE, &mut hears).await };
            match self.within.runtime.block_on(answer) {
                Ok(answer) => return Ok(answer),
                Err(_late) => self.tell_at_times(&mut told)?,
            }
            self.pause(Duration::ZERO)?;
        }
    }

    fn tell_at_times(&mut self, told: &mut Instant) -> Result<(), Broken> {
        if told.elapsed() < TELL_INTERVAL {
            return Ok(());
        }
        *told = Instant::now();
        self.tell_waiting()
    }

    fn trouble(&self) -> Option<String> {
        self.within.shared.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn tell_waiting(&mut self) -> Result<(), Broken> {
        let why = self.trouble().unwrap_or_else(|| "what waits to be sealed is at its bound".to_owned());
        self.teller.tell(&Told::Waits(why))
    }

    /// Waits until there may be room again, and tells the command each time.
    fn wait_for_room(&mut self) -> Result<(), Broken> {
        self.tell_waiting()?;
        let store = &self.within.shared.store;
        let is_behind = || {
            let (bytes, bytes_max) = store.backlog();
            bytes_max < bytes
        };
        let began = Instant::now();
        while began.elapsed() < TELL_INTERVAL && (is_behind() || self.trouble().is_some()) {
            self.pause(LOOK_INTERVAL)?;
        }
        Ok(())
    }

    fn pause(&self, pause: Duration) -> Result<(), Broken> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(Broken::Stopping);
        }
        std::thread::sleep(pause);
        Ok(())
    }

    /// Waits until the rules have looked at everything.
    fn look(&self) -> Result<(), Broken> {
        let live = &self.within.shared.live;
        let last = live.committed();
        while live.detected() < last {
            self.pause(LOOK_INTERVAL)?;
        }
        let began = Instant::now();
        while live.settled() < last && began.elapsed() < SETTLE_PATIENCE {
            self.pause(LOOK_INTERVAL)?;
        }
        Ok(())
    }
}
