//! The alert book: stored alerts in memory, for the queue, the counters and the incident pages.
//!
//! In: alerts as the detector stores them, and at start those of the store. Bounded: past
//! [`ALERTS_MAX`] the oldest leave memory; they stay in the store and are found by search.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use nhatle_engine::alert::Alert;

/// How many alerts are kept in memory.
pub const ALERTS_MAX: usize = 100_000;

/// Alerts by id and by time.
#[derive(Debug, Default)]
pub struct AlertBook {
    by_id: HashMap<String, Arc<Alert>>,
    by_time: BTreeMap<(i64, String), Arc<Alert>>,
    by_rule: HashMap<String, u64>,
    /// How many were ever taken in.
    pub total: u64,
}

impl AlertBook {
    /// An empty book.
    pub fn new() -> AlertBook {
        AlertBook { by_id: HashMap::with_capacity(1024), ..AlertBook::default() }
    }

    /// Takes an alert in; one that is known already changes nothing.
    pub fn insert(&mut self, alert: Alert) {
        let id = alert.id.to_string();
        if self.by_id.contains_key(&id) {
            return;
        }
        let alert = Arc::new(alert);
        *self.by_rule.entry(alert.rule_id.clone()).or_default() += 1;
        self.by_time.insert((alert.at_ns, id.clone()), alert.clone());
        self.by_id.insert(id, alert);
        self.total += 1;
        while ALERTS_MAX < self.by_time.len() {
            let Some(((_, oldest), _)) = self.by_time.pop_first() else { break };
            self.by_id.remove(&oldest);
        }
    }

    /// The alert of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Alert>> {
        self.by_id.get(id)
    }

    /// Whether an alert of this id is known.
    pub fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// All alerts in memory, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.by_time.values().rev()
    }

    /// How many alerts a rule ever raised here.
    pub fn count_of_rule(&self, rule_id: &str) -> u64 {
        self.by_rule.get(rule_id).copied().unwrap_or(0)
    }
}
