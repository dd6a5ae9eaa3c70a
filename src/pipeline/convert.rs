//! Stage 1: batches of records from every input become events and dead letters, in order.
//!
//! Small batches are taken together, so that one sync of the log serves many senders; large ones are
//! converted on all cores. Rows are encoded for the log here, too: the thread that made an event has it at hand, and the
//! next stage is one thread.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use nhatle_collector::listen::resend::Delivery;
use nhatle_collector::listen::{Intake, Keep, Refusal};
use nhatle_collector::{Batch, Receipt, Settings, dead_letter_event, to_event};
use nhatle_event::{Event, Record};
use nhatle_storage::{Dataset, Encoded};
use rayon::prelude::{ParallelIterator, ParallelSlice};

use super::{Shared, nanos, shed};
use crate::sources::owners::By;
use crate::telemetry::Counters;

/// Batches are taken together up to so many records.
const RECORDS_TOGETHER_MAX: usize = 4_096;
/// And up to so many bytes.
const BYTES_TOGETHER_MAX: usize = 4 << 20;
/// From so many records on, converting on all cores pays.
const PARALLEL_FROM: usize = 512;
/// So many are then one piece of work.
const PIECE_RECORDS: usize = 128;

/// Who waits until a part is durable.
pub type Waiting = tokio::sync::oneshot::Sender<Result<Receipt, Refusal>>;

/// One sender's batch, converted.
pub struct Part {
    /// The rows, in the order of the records.
    pub rows: Vec<(Dataset, Event)>,
    /// The same rows as the log holds them.
    pub encoded: Vec<Encoded>,
    /// Who waits; `None` where nobody can be told.
    pub waiting: Option<Waiting>,
    /// What becomes durable with the rows.
    pub keep: Vec<Keep>,
    /// By which push or session they came, where what is sent again is known by it.
    pub delivery: Option<Arc<Delivery>>,
}

impl Part {
    /// Rows that nobody waits for.
    pub fn of(rows: Vec<(Dataset, Event)>) -> Part {
        let encoded = vec![Encoded::of(&rows)];
        Part { rows, encoded, waiting: None, keep: Vec::new(), delivery: None }
    }

    /// How many bytes its rows take in the log.
    pub fn bytes(&self) -> usize {
        self.encoded.iter().map(Encoded::bytes).sum()
    }
}

/// Runs until every sender is gone.
pub(super) fn run(shared: &Shared, intake: &Intake, to_append: &SyncSender<Vec<Part>>) {
    let mut in_force = shared.settings.get();
    let mut settings = Settings::clone(&in_force);
    while let Some(first) = intake.blocking_recv() {
        let mut batches = vec![first];
        let (mut records, mut bytes) = size(&batches[0]);
        while records < RECORDS_TOGETHER_MAX && bytes < BYTES_TOGETHER_MAX {
            let Some(next) = intake.try_recv() else { break };
            let (more_records, more_bytes) = size(&next);
            records += more_records;
            bytes += more_bytes;
            batches.push(next);
        }
        // As they are now: a reload changes them between two batches.
        let now = shared.settings.get();
        if !Arc::ptr_eq(&now, &in_force) {
            settings = Settings::clone(&now);
            in_force = now;
        }
        shed::note(shared, intake.take_shed(), &settings);
        let began = shared.clock.now();
        settings.tables = shared.tables.current();
        let part = |batch: Batch| {
            let (rows, encoded) = convert(&batch.records, &settings, |records, rows| finish(shared, records, rows));
            Part { rows, encoded, waiting: batch.done, keep: batch.keep, delivery: batch.delivery }
        };
        let converted: Vec<Part> = batches.into_iter().map(part).collect();
        Counters::add(&shared.counters.records_received, records as u64);
        Counters::add(&shared.counters.parse_ns, nanos(shared.clock.now().since(began)));
        if to_append.send(converted).is_err() {
            return;
        }
    }
    // What inputs said last, when they ended.
    shed::note(shared, intake.take_shed(), &settings);
    shed::note_unreceived(shared, intake.take_unreceived());
}

fn size(batch: &Batch) -> (usize, usize) {
    (batch.records.len(), batch.records.iter().map(|record| record.bytes.len()).sum())
}

/// Gives rows the names of their sources, and the keys of whom they are about, where that is asked for; before they are
/// encoded.
fn finish(shared: &Shared, records: &[Record], rows: &mut [(Dataset, Event)]) {
    let (units, now) = (shared.units.get(), shared.clock.now());
    // Canaries are ours, of no source.
    let of_sources = records.iter().zip(&mut *rows).filter(|(_, (dataset, _))| *dataset != Dataset::Canaries);
    let events = of_sources.map(|(record, (_, event))| (By::of(record), event));
    shared.owners.name_all(events, &units, now);
    shared.subject_keys.put(rows.iter_mut().map(|(_, event)| event), shared.clock.now());
}

fn convert(
    records: &[Record],
    settings: &Settings,
    finish: impl Fn(&[Record], &mut [(Dataset, Event)]) + Sync,
) -> (Vec<(Dataset, Event)>, Vec<Encoded>) {
    if records.len() < PARALLEL_FROM {
        let (rows, encoded) = piece(records, settings, &finish);
        return (rows, vec![encoded]);
    }
    let pieces: Vec<_> = records.par_chunks(PIECE_RECORDS).map(|records| piece(records, settings, &finish)).collect();
    let mut all = Vec::with_capacity(records.len());
    let encoded = pieces.into_iter().map(|(mut rows, encoded)| {
        all.append(&mut rows);
        encoded
    });
    let encoded = encoded.collect();
    (all, encoded)
}

fn piece(
    records: &[Record],
    settings: &Settings,
    finish: impl Fn(&[Record], &mut [(Dataset, Event)]),
) -> (Vec<(Dataset, Event)>, Encoded) {
    let mut rows: Vec<(Dataset, Event)> = records.iter().map(|record| row(record, settings)).collect();
    finish(records, &mut rows);
    let mut encoded = Encoded::with_capacity(records.len());
    rows.iter().for_each(|(dataset, event)| encoded.push(*dataset, event));
    (rows, encoded)
}

/// The row a record becomes: an event, or a dead letter's event.
fn row(record: &Record, settings: &Settings) -> (Dataset, Event) {
    if record.canary.is_some() {
        let event = to_event(record, settings).unwrap_or_else(|dead| dead_letter_event(&dead, settings));
        return (Dataset::Canaries, event);
    }
    match to_event(record, settings) {
        Ok(event) => (Dataset::Events, event),
        Err(dead_letter) => (Dataset::DeadLetters, dead_letter_event(&dead_letter, settings)),
    }
}
