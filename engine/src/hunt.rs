//! Hunts: a person has a rule looked for in what is stored, and what is found and new becomes alerts.
//!
//! In: changes of stream `hunt/NUMBER` with who and when. Out: who hunted with which rule over which time, what
//! came of it, who stopped it. A hunt whose end was never written down did not end: the process did. Failure: a
//! change that is refused, and why. Bounded: the newest [`HUNTS_MAX`] are kept in memory, the register has all.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::Refused;

/// How many hunts are kept in memory.
pub const HUNTS_MAX: usize = 1_000;

/// A step of a hunt (stream `hunt/NUMBER`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HuntChange {
    /// It begins.
    Begin {
        /// The rule's id; for all rules an asterisk.
        rule_id: String,
        /// Its title on that day.
        rule_title: String,
        /// Events from this moment on, nanoseconds.
        from_ns: i64,
        /// Events before this moment, nanoseconds.
        to_ns: i64,
    },
    /// It is over.
    End {
        /// How.
        outcome: HuntOutcome,
        /// What came of it.
        counts: HuntCounts,
    },
}

/// How a hunt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HuntOutcome {
    /// It came to its end.
    Done,
    /// Somebody stopped it; what was found till then stands.
    Canceled,
    /// It found more than one hunt may store; the first of it stands.
    Full,
    /// Something could not be read or written; what was stored till then stands.
    Failed,
}

/// What came of a hunt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HuntCounts {
    /// Events of the time that were looked at, or that cannot match.
    pub events: u64,
    /// Of those, how many were read.
    pub read: u64,
    /// Matches and firings.
    pub findings: u64,
    /// Findings that became alerts.
    pub alerts: u64,
    /// Findings that are alerts already.
    pub known: u64,
    /// Findings that repeat an alert.
    pub repeats: u64,
    /// Findings that an exception hides.
    pub hidden: u64,
}

/// A hunt as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunt {
    /// Its number.
    pub number: u64,
    /// The rule's id; for all rules an asterisk.
    pub rule_id: String,
    /// Its title on that day.
    pub rule_title: String,
    /// Events from this moment on.
    pub from: Timestamp,
    /// Events before this moment.
    pub to: Timestamp,
    /// Who wanted it.
    pub by: String,
    /// When it began.
    pub begun: Timestamp,
    /// When and how it ended, who wrote that down, and what came of it.
    pub ended: Option<(Timestamp, HuntOutcome, String, HuntCounts)>,
}

/// Folds one change in.
///
/// # Errors
/// The change is refused: a hunt begins once, and ends once after it began.
pub fn apply(
    hunt: Option<&Hunt>,
    number: u64,
    change: &HuntChange,
    actor: &str,
    at: Timestamp,
) -> Result<Hunt, Refused> {
    match (hunt, change) {
        (Some(_), HuntChange::Begin { .. }) => Err(Refused::Exists),
        (None, HuntChange::End { .. }) => Err(Refused::Unknown),
        (Some(Hunt { ended: Some(_), .. }), HuntChange::End { .. }) => Err(Refused::Closed),
        (None, HuntChange::Begin { rule_id, .. }) if rule_id.is_empty() => Err(Refused::Empty("rule")),
        (None, HuntChange::Begin { rule_id, rule_title, from_ns, to_ns }) => Ok(Hunt {
            number,
            rule_id: rule_id.clone(),
            rule_title: rule_title.clone(),
            from: Timestamp(*from_ns),
            to: Timestamp(*to_ns),
            by: actor.to_owned(),
            begun: at,
            ended: None,
        }),
        (Some(hunt), HuntChange::End { outcome, counts }) => {
            Ok(Hunt { ended: Some((at, *outcome, actor.to_owned(), *counts)), ..hunt.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hunt_begins_once_and_ends_once() {
        let begin = HuntChange::Begin { rule_id: "r".into(), rule_title: "t".into(), from_ns: 1, to_ns: 2 };
        let end =
            HuntChange::End { outcome: HuntOutcome::Done, counts: HuntCounts { alerts: 3, ..Default::default() } };
        let at = Timestamp(5);
        assert_eq!(apply(None, 1, &end, "lan", at), Err(Refused::Unknown));
        let begun = apply(None, 1, &begin, "lan", at).expect("it begins");
        assert_eq!((begun.by.as_str(), begun.begun, &begun.ended), ("lan", at, &None));
        assert_eq!(apply(Some(&begun), 1, &begin, "lan", at), Err(Refused::Exists));
        let ended = apply(Some(&begun), 1, &end, "nhatle", at).expect("it ends");
        assert_eq!(ended.ended.as_ref().map(|(_, _, by, counts)| (by.as_str(), counts.alerts)), Some(("nhatle", 3)));
        assert_eq!(apply(Some(&ended), 1, &end, "nhatle", at), Err(Refused::Closed));
    }

    #[test]
    fn a_count_that_an_older_version_did_not_write_is_zero() {
        let json = r#"{"kind":"end","outcome":"done","counts":{"events":7}}"#;
        let read: HuntChange = serde_json::from_str(json).expect("is a change");
        let counts = HuntCounts { events: 7, ..HuntCounts::default() };
        assert_eq!(read, HuntChange::End { outcome: HuntOutcome::Done, counts });
    }
}
