//! Which findings of a hunt through history are news. In: the alerts that stand, then findings in order of
//! time. Out: for each finding whether it is new. A finding with the id of an alert that stands is that alert;
//! one within the suppression window of an alert with the same fingerprint, before or after it, is a repeat of
//! it, as it would have been in the stream.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashSet};
use nhatle_event::Text;

use super::{Alert, Suppressor};

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody was told of it.
    New,
    /// It is an alert already.
    Known,
    /// It repeats an alert, of the stream or of this hunt.
    Repeat,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Retro {
    known: HashSet<Text>,
    /// When alerts of a fingerprint happened.
    standing: HashMap<String, BTreeSet<i64>>,
    suppressor: Suppressor,
}

impl Retro {
    /// With the alerts that stand.
    pub fn new<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Retro {
        let mut retro = Retro { suppressor: Suppressor::new(), ..Retro::default() };
        for alert in alerts {
            retro.known.insert(alert.id.clone());
            retro.standing.entry(alert.fingerprint.clone()).or_default().insert(alert.at_ns);
        }
        retro
    }

    /// What a finding is. Findings are to come in order of time.
    pub fn judge(&mut self, alert: &Alert) -> Standing {
        if self.known.contains(&alert.id) {
            return Standing::Known;
        }
        let window_ns = i64::try_from(alert.suppress_s).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        let at = alert.at_ns;
        if let Some(standing) = self.standing.get(&alert.fingerprint) {
            // Less than a window away, on either side.
            let (low, high) = (at.saturating_sub(window_ns), at.saturating_add(window_ns));
            if standing.range(low..).take_while(|one| **one < high).any(|one| low < *one) {
                return Standing::Repeat;
            }
        }
        match self.suppressor.admit(alert) {
            true => Standing::New,
            false => Standing::Repeat,
        }
    }
}
