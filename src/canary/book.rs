//! What is known of each rule: when its canary was tried, when it was last seen, what was wrong.
//!
//! In: results of runs; what sources send ([`super::Kinds`]). Out: a light for each rule. Green: proven in the last
//! run, and a source sends what it looks at. Red: its canary was not seen, or its source stopped. Amber:
//! it cannot be told (no sample, no run yet, no such source ever). Kept as a mark of the store.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nhatle_event::Timestamp;
use nhatle_rules::{CorrelationKind, Referred, RuleSet};
use serde::{Deserialize, Serialize};

use super::kinds::Look;

/// The mark that keeps the book.
pub const MARK: &str = "canaries";
/// How many rules the book holds.
pub const PROOFS_MAX: usize = 50_000;
/// How long a reason is, in characters.
const REASON_CHARS_MAX: usize = 400;

/// Why a canary was not seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The record could not be parsed.
    DeadLetter(String),
    /// The rule does not look at such events: module, dataset, channel or code are others.
    LogSource(String),
    /// The event lacks a field the rule asks for, or it has another value.
    Field(String),
    /// A correlation counted too little.
    Correlation(String),
    /// It did not come through in time.
    Lost,
}

/// What is known of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When its canary was last sent, nanoseconds.
    pub tried_ns: i64,
    /// When it was last seen, nanoseconds.
    pub proven_ns: Option<i64>,
    /// Why it was not seen the last time.
    pub fault: Option<Fault>,
    /// It has no canary: no positive sample, and none can be made of the rule.
    #[serde(default)]
    pub has_none: bool,
    /// Why not.
    #[serde(default)]
    pub why_none: String,
    /// Its canary is made of the rule, not its own sample.
    #[serde(default)]
    pub is_made: bool,
}

/// What a canary is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A sample beside the rule.
    Sample,
    /// The rule itself.
    Made,
}

/// Why it cannot be told whether a rule is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It has no sample, and no canary can be made of it.
    NoCanary,
    /// It was not tried yet.
    NotYet,
    /// No source ever sent what it looks at.
    NoSource,
}

/// Whether a rule is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Light {
    /// Proven, and its source sends.
    Green,
    /// It cannot be told.
    Amber(Doubt),
    /// Its canary was not seen.
    Unproven(Fault),
    /// Its source sent, and stopped.
    Silent,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    proofs: Mutex<BTreeMap<String, Proof>>,
}

impl Book {
    /// The book as its mark kept it; an empty one where there is none.
    pub fn new(mark: Option<&[u8]>) -> Book {
        let proofs = mark.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        Book { proofs: Mutex::new(proofs) }
    }

    /// What the mark is to keep.
    pub fn mark(&self) -> Vec<u8> {
        serde_json::to_vec(&*self.lock()).unwrap_or_default()
    }

    /// What is known of a rule.
    pub fn proof(&self, rule_id: &str) -> Option<Proof> {
        self.lock().get(rule_id).cloned()
    }

    /// A rule's canary is sent; until it is seen, it counts as lost when `run` is over.
    pub fn sent(&self, rule_id: &str, run: i64, origin: Origin) {
        self.note(rule_id, |proof| {
            (proof.tried_ns, proof.has_none, proof.is_made) = (run, false, origin == Origin::Made);
            proof.why_none.clear();
        });
    }

    /// A rule has no canary; why.
    pub fn has_none(&self, rule_id: &str, run: i64, why: &str) {
        let why_none = bounded(why);
        self.note(rule_id, |proof| *proof = Proof { tried_ns: run, has_none: true, why_none, ..Proof::default() });
    }

    /// What became of a canary of a run.
    pub fn judged(&self, rule_id: &str, run: i64, result: Result<Timestamp, Fault>) {
        self.note(rule_id, |proof| {
            // A canary of an earlier run says nothing about this one.
            if proof.tried_ns != run {
                return;
            }
            proof.has_none = false;
            match result {
                Ok(at) => (proof.proven_ns, proof.fault) = (Some(at.0), None),
                Err(fault) => proof.fault = Some(fault),
            }
        });
    }

    /// Rules whose canary of this run was neither seen nor judged.
    pub fn waiting(&self, run: i64) -> Vec<String> {
        let is_open = |proof: &Proof| {
            let is_seen = proof.proven_ns.is_some_and(|at| run <= at);
            proof.tried_ns == run && !proof.has_none && proof.fault.is_none() && !is_seen
        };
        self.lock().iter().filter(|(_, proof)| is_open(proof)).map(|(id, _)| id.clone()).collect()
    }

    /// Begins a run: faults of earlier ones no longer count.
    pub fn begin(&self, rule_id: &str) {
        self.note(rule_id, |proof| proof.fault = None);
    }

    /// Lets go of rules that are no longer there.
    pub fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        self.lock().retain(|id, _| is_kept(id));
    }

    fn note(&self, rule_id: &str, change: impl FnOnce(&mut Proof)) {
        let mut proofs = self.lock();
        if proofs.len() < PROOFS_MAX || proofs.contains_key(rule_id) {
            change(proofs.entry(rule_id.to_owned()).or_default());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Proof>> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The light of a rule, given when the newest event that it looks at was received.
    pub fn light(&self, rule_id: &str, newest: Option<Timestamp>, now: Timestamp, silent_ns: i64) -> Light {
        let proof = self.proof(rule_id).unwrap_or_default();
        if let Some(fault) = proof.fault {
            return Light::Unproven(fault);
        }
        match newest {
            Some(newest) if silent_ns < now.since(newest) => return Light::Silent,
            _ if proof.has_none => return Light::Amber(Doubt::NoCanary),
            _ if proof.proven_ns.is_none() => return Light::Amber(Doubt::NotYet),
            None => return Light::Amber(Doubt::NoSource),
            Some(_) => {}
        }
        Light::Green
    }
}

/// When the newest event was received that a rule or correlation looks at. A correlation of several rules that
/// must all occur is as old as the oldest of them, any other as new as the newest.
pub fn newest_of(rules: &RuleSet, which: Referred, look: &mut Look) -> Option<Timestamp> {
    let place = match which {
        Referred::Rule(rule) => return look.newest(&rules.rules.get(rule.0 as usize)?.gate),
        Referred::Correlation(correlation) => correlation.0,
    };
    let correlation = rules.correlations.get(place as usize)?;
    let mut each = Vec::new();
    for referred in &correlation.referred {
        // Inner ones stand before those that refer to them, so this ends.
        let is_before = !matches!(referred, Referred::Correlation(inner) if place <= inner.0);
        each.push(if is_before { newest_of(rules, *referred, look) } else { None });
    }
    match correlation.kind {
        CorrelationKind::Temporal(_) | CorrelationKind::TemporalOrdered(_) => {
            each.into_iter().min_by_key(|newest| newest.unwrap_or(Timestamp::MIN)).flatten()
        }
        _ => each.into_iter().flatten().max(),
    }
}

/// A reason within bounds.
pub fn bounded(text: &str) -> String {
    text.chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: i64 = 3_600_000_000_000;

    #[test]
    fn the_light_says_what_is_known() {
        let book = Book::default();
        let light = |newest_h: Option<i64>| {
            book.light("r", newest_h.map(|hour| Timestamp(hour * HOUR_NS)), Timestamp(100 * HOUR_NS), 24 * HOUR_NS)
        };
        assert_eq!(light(Some(99)), Light::Amber(Doubt::NotYet));
        book.has_none("r", 5, "why");
        assert_eq!(light(Some(99)), Light::Amber(Doubt::NoCanary));
        book.sent("r", 7, Origin::Sample);
        assert_eq!(book.waiting(7), [String::from("r")]);
        book.judged("r", 6, Ok(Timestamp(9)));
        assert_eq!(book.waiting(7).len(), 1, "a canary of another run proves nothing");
        book.judged("r", 7, Ok(Timestamp(9)));
        assert_eq!((light(Some(99)), light(None)), (Light::Green, Light::Amber(Doubt::NoSource)));
        assert_eq!(light(Some(75)), Light::Silent);
        book.sent("r", 10, Origin::Made);
        book.judged("r", 10, Err(Fault::Lost));
        assert_eq!(light(Some(99)), Light::Unproven(Fault::Lost));
        let again = Book::new(Some(&book.mark()));
        assert_eq!(again.proof("r"), book.proof("r"));
        assert_eq!(again.proof("r").and_then(|proof| proof.proven_ns), Some(9), "when it last was, is kept");
        book.keep(|_| false);
        assert_eq!(book.proof("r"), None);
    }
}
