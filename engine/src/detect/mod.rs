//! The detector: a batch of events in, the matches of all rules out.
//!
//! In: an `Arc<RuleSet>`, then events. Out: [`Match`]es in the order of events, then of rule ids; the same
//! events give the same matches whatever came before, however they are batched and on however many threads
//! (`naive` is the obvious twin it is compared with). It cannot fail: a value that a test cannot read does
//! not pass it.
//!
//! The order of work for an event: its shape (which fields, in which order) and the facts of its log source
//! give its route: the rules that look at it, and the fields those read. Each value of these is looked up once
//! (what it was in the event before, else the cache, else the indexes of its columns) and gives the marks of
//! the atoms that hold and the rules they wake; woken rules are evaluated over those marks, cheap tests first.

mod cache;
mod columns;
mod gate;
mod index;
mod literals;
mod network;
mod program;
mod searched;
mod shape;
mod witness;
mod worker;
pub mod naive;
pub mod evidence;
pub mod matched;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_sigma;
#[cfg(test)]
mod tests_worker;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use nhatle_event::{Event, Field, Stored, Value};
use nhatle_rules::predicate::RuleField;
use nhatle_rules::{RuleId, RuleSet};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

pub use evidence::{EvidenceItem, Explained, evidence, explain};
pub use gate::gate_passes;
pub(crate) use gate::{gate_facts, gate_fields};
pub(crate) use literals::required_literals;
pub use matched::matched_fields;
use network::Network;
use witness::{Counts, Plan};
use worker::Worker;

/// How many events one thread takes at a time.
const CHUNK_EVENTS: usize = 256;
/// After so many events witnesses are chosen for the first time by what was measured; then each time the
/// number of events has grown eightfold, and at last every so many events.
const FIRST_PLAN_EVENTS: u32 = 2048;
/// See [`FIRST_PLAN_EVENTS`].
const PLAN_EVENTS_MAX: u32 = 1 << 20;

/// A worker's counts are added to those of all when it has counted so many events.
const ADDED_UP_AFTER: u32 = 512;

/// A rule that matches an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match {
    /// Place of the event in the batch.
    pub position: usize,
    /// The rule.
    pub rule: RuleId,
}

/// Runs a rule set over events. Shared between threads; see the module.
pub struct Detector {
    network: Arc<Network>,
    plan: RwLock<Arc<Plan>>,
    measured: Mutex<Measured>,
    idle: Mutex<Vec<Worker>>,
}

struct Measured {
    counts: Counts,
    plans: u32,
    next_plan: u32,
    interval: u32,
}

impl Detector {
    /// Makes a rule set ready. Takes some hundred milliseconds for a few thousand rules.
    pub fn new(rules: Arc<RuleSet>) -> Detector {
        let network = Arc::new(Network::new(rules));
        let counts = Counts::new(network.mark_count(), network.columns.count());
        let plan = RwLock::new(Arc::new(witness::plan(&network, &counts, 1)));
        let measured = Measured { counts, plans: 1, next_plan: FIRST_PLAN_EVENTS, interval: FIRST_PLAN_EVENTS };
        Detector { network, plan, measured: Mutex::new(measured), idle: Mutex::new(Vec::new()) }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.network.rules
    }

    /// The matches in a committed batch.
    pub fn detect(&self, events: &[Stored]) -> Vec<Match> {
        self.detect_by(events.len(), |place| events.get(place).map(|stored| &stored.event))
    }

    /// The matches in events that have no number, such as those of a file.
    pub fn detect_events(&self, events: &[Event]) -> Vec<Match> {
        self.detect_by(events.len(), |place| events.get(place))
    }

    fn detect_by<'e>(&self, count: usize, event_at: impl Fn(usize) -> Option<&'e Event> + Sync) -> Vec<Match> {
        if self.network.rules.rules.is_empty() {
            return Vec::new();
        }
        self.plan_again_if_due();
        let chunk = |first: usize| {
            let mut worker = self.worker();
            let mut matches = Vec::new();
            for position in first..count.min(first + CHUNK_EVENTS) {
                if let Some(event) = event_at(position) {
                    worker.run(event, |rule| matches.push(Match { position, rule: RuleId(rule) }));
                }
            }
            self.give_back(worker);
            matches
        };
        if count <= CHUNK_EVENTS {
            return chunk(0);
        }
        let chunks = count.div_ceil(CHUNK_EVENTS);
        let found: Vec<Vec<Match>> = (0..chunks).into_par_iter().map(|number| chunk(number * CHUNK_EVENTS)).collect();
        found.into_iter().flatten().collect()
    }

    fn worker(&self) -> Worker {
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner).clone();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = idle.unwrap_or_else(|| Worker::new(self.network.clone(), plan.clone()));
        worker.follow(&plan);
        worker
    }

    fn give_back(&self, mut worker: Worker) {
        // Adding up takes as long as some hundred events.
        if ADDED_UP_AFTER <= worker.counts.events {
            self.measured.lock().unwrap_or_else(PoisonError::into_inner).counts.absorb(&mut worker.counts);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }

    /// Chooses witnesses again when enough new events were measured.
    fn plan_again_if_due(&self) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if measured.counts.events < measured.next_plan {
            return;
        }
        measured.plans = measured.plans.wrapping_add(1);
        self.plan_from(&measured.counts, measured.plans);
        if measured.interval < PLAN_EVENTS_MAX {
            measured.interval = measured.interval.saturating_mul(8).min(PLAN_EVENTS_MAX);
        } else {
            // Old counts fade, so that the plan follows the stream.
            measured.counts.halve();
        }
        measured.next_plan = measured.counts.events.saturating_add(measured.interval);
    }

    fn plan_from(&self, counts: &Counts, serial: u32) {
        let plan = Arc::new(witness::plan(&self.network, counts, serial));
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

/// The value that a rule's field name has in an event: that of the best field the event has.
pub fn value_of_field<'e>(name: &RuleField, event: &'e Event) -> Option<&'e Value> {
    let ranked = event.fields().iter().filter_map(|(field, value)| Some((name.rank(*field)?, value)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, value)| value)
}

/// Our own alerts are events too; rules do not look at them, else an alert could raise the next.
pub(crate) fn is_our_alert(event: &Event) -> bool {
    event.text(Field::EVENT_DATASET) == Some(nhatle_event::event::ALERTS)
}
