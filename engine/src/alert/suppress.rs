//! Suppression: repeats of an alert on the same entities within its window are counted, not shown.
//!
//! The window is in event time and begins with the alert that was shown; it does not slide, so that an
//! attack that goes on raises an alert once a window. State is bounded; after a restart it is rebuilt
//! from the stored alerts ([`Suppressor::remember`]), so a restart repeats nothing.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};

use super::Alert;

/// The window of rules that name none: one hour.
pub const SUPPRESS_DEFAULT_S: u64 = 3600;
/// How many alerts are remembered; the oldest are forgotten first and may then show again.
pub const FINGERPRINTS_MAX: usize = 200_000;

/// Remembers which alerts were shown when.
#[derive(Debug, Default)]
pub struct Suppressor {
    shown: HashMap<String, Shown>,
    /// Fingerprints by when they were shown, for forgetting the oldest.
    by_time: BTreeMap<(i64, String), ()>,
    /// Repeats not shown since the process started.
    pub suppressed_count: u64,
}

#[derive(Debug, Default)]
struct Shown {
    /// When, in order; the newest [`SHOWN_MAX`]. Several, because late alerts are shown between others, and their
    /// repeats are not those of the newest.
    at_ns: Vec<i64>,
    repeat_count: u64,
}

/// How many times a fingerprint was shown are remembered.
const SHOWN_MAX: usize = 8;

impl Suppressor {
    /// Nothing remembered.
    pub fn new() -> Suppressor {
        Suppressor { shown: HashMap::with_capacity(1024), by_time: BTreeMap::new(), suppressed_count: 0 }
    }

    /// Whether the alert is to be shown; if not, it is counted as a repeat.
    pub fn admit(&mut self, alert: &Alert) -> bool {
        let window_ns = i64::try_from(alert.suppress_s).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        if let Some(shown) = self.shown.get_mut(&alert.fingerprint) {
            // A late event of the same story (negative distance) repeats it as well.
            let repeats = |at: &i64| alert.at_ns.saturating_sub(*at).saturating_abs() < window_ns;
            if shown.at_ns.iter().any(repeats) {
                shown.repeat_count += 1;
                self.suppressed_count += 1;
                return false;
            }
        }
        self.remember(alert);
        true
    }

    /// Writes down an alert that was shown, now or before a restart.
    pub fn remember(&mut self, alert: &Alert) {
        let shown = self.shown.entry(alert.fingerprint.clone()).or_default();
        let before = shown.at_ns.last().copied();
        let place = shown.at_ns.partition_point(|at| *at < alert.at_ns);
        shown.at_ns.insert(place, alert.at_ns);
        if SHOWN_MAX < shown.at_ns.len() {
            shown.at_ns.remove(0);
        }
        shown.repeat_count = 0;
        let newest = shown.at_ns.last().copied().unwrap_or(alert.at_ns);
        if let Some(before) = before {
            self.by_time.remove(&(before, alert.fingerprint.clone()));
        }
        self.by_time.insert((newest, alert.fingerprint.clone()), ());
        while FINGERPRINTS_MAX < self.shown.len() {
            let Some(((_, oldest), ())) = self.by_time.pop_first() else { break };
            self.shown.remove(&oldest);
        }
    }

    /// How often an alert of this fingerprint repeated since it was last shown.
    pub fn repeat_count(&self, fingerprint: &str) -> u64 {
        self.shown.get(fingerprint).map_or(0, |shown| shown.repeat_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(at_s: i64, fingerprint: &str) -> Alert {
        let json = serde_json::json!({
            "id": "x", "rule_id": "r", "title": "t", "title_vi": null, "level": "low", "tags": [],
            "at_ns": at_s * 1_000_000_000, "span_ns": [0, 0], "events": [1], "count": 1, "group": [],
            "entities": [], "evidence": [], "units": [], "explanation_vi": null, "explanation_en": null,
            "fingerprint": fingerprint, "suppress_s": 60
        });
        serde_json::from_value(json).expect("is an alert")
    }

    #[test]
    fn repeats_inside_the_window_are_counted_and_later_ones_are_shown() {
        let mut suppressor = Suppressor::new();
        let rows =
            [(0, "a", true), (30, "a", false), (59, "a", false), (10, "b", true), (60, "a", true), (61, "a", false)];
        for (at_s, fingerprint, expected) in rows {
            assert_eq!(suppressor.admit(&alert(at_s, fingerprint)), expected, "{at_s} {fingerprint}");
        }
        assert_eq!(suppressor.repeat_count("a"), 1);
        assert_eq!(suppressor.suppressed_count, 3);
    }

    #[test]
    fn a_late_alert_is_shown_once_and_moves_nothing() {
        let mut suppressor = Suppressor::new();
        let rows = [(10_000, true), (100, true), (130, false), (10_030, false), (40, true), (10_060, true)];
        for (at_s, expected) in rows {
            assert_eq!(suppressor.admit(&alert(at_s, "a")), expected, "{at_s}");
        }
    }

    #[test]
    fn what_was_shown_before_a_restart_is_not_shown_again() {
        let mut suppressor = Suppressor::new();
        suppressor.remember(&alert(0, "a"));
        assert!(!suppressor.admit(&alert(10, "a")));
    }
}
