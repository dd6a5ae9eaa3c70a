//! Planned outages: for a source or a whole unit, until when, and why. While one holds, silence is expected.
//!
//! Changes of the register (stream `outage/7`), folded here. Failure: [`Refused`] with what is wrong.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::Refused;

/// How many outages the register's state holds; past it the oldest is forgotten.
pub const OUTAGES_MAX: usize = 1_000;
/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 2_000;
/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 256;
/// How far ahead an outage may end: a silence that is expected for ever is no silence.
pub const SPAN_MAX_NS: i64 = 92 * 86_400 * 1_000_000_000;

/// A change of an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OutageChange {
    /// Plans it, from now on.
    Plan {
        /// Of this source; else of a whole unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// Of this unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
        /// When it ends by itself, nanoseconds.
        until_ns: i64,
        /// Why.
        reason: String,
    },
    /// Ends it early.
    End {},
}

/// A planned outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Of this source.
    pub source: Option<String>,
    /// Of this unit.
    pub unit: Option<String>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who planned it.
    pub actor: String,
}

impl Outage {
    /// Whether it covers this source of this unit now.
    pub fn covers(&self, source: &str, unit: Option<&str>, now: Timestamp) -> bool {
        let is_meant = match (&self.source, &self.unit) {
            (Some(meant), _) => meant == source,
            (None, Some(meant)) => unit == Some(meant),
            (None, None) => false,
        };
        is_meant && self.from <= now && now < self.until
    }
}

/// An outage after a change.
///
/// # Errors
/// It names nothing, has no reason, ends in the past or too far ahead; it is ended already.
pub fn apply(before: Option<&Outage>, change: &OutageChange, actor: &str, at: Timestamp) -> Result<Outage, Refused> {
    match (before, change) {
        (None, OutageChange::Plan { source, unit, until_ns, reason }) => {
            if source.is_some() == unit.is_some() {
                return Err(Refused::Empty("source or unit"));
            }
            if reason.trim().is_empty() {
                return Err(Refused::Empty("reason"));
            }
            if REASON_CHARS_MAX < reason.chars().count() {
                return Err(Refused::TooLong { what: "reason", max: REASON_CHARS_MAX });
            }
            let name = source.as_deref().or(unit.as_deref()).unwrap_or_default();
            if name.is_empty() || NAME_CHARS_MAX < name.chars().count() {
                return Err(Refused::TooLong { what: "name", max: NAME_CHARS_MAX });
            }
            let until = Timestamp(*until_ns);
            if until <= at || SPAN_MAX_NS < until.since(at) {
                return Err(Refused::UnknownWord { what: "end", word: until.to_string() });
            }
            let (source, unit, reason) = (source.clone(), unit.clone(), reason.clone());
            Ok(Outage { source, unit, from: at, until, reason, actor: actor.to_owned() })
        }
        (Some(_), OutageChange::Plan { .. }) => Err(Refused::Exists),
        (None, OutageChange::End {}) => Err(Refused::Unknown),
        (Some(before), OutageChange::End {}) if before.until <= at => Err(Refused::Closed),
        (Some(before), OutageChange::End {}) => Ok(Outage { until: at, ..before.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_covers_what_it_names_until_it_ends() {
        let plan = |source: Option<&str>, unit: Option<&str>, until_ns, reason: &str| OutageChange::Plan {
            source: source.map(str::to_owned),
            unit: unit.map(str::to_owned),
            until_ns,
            reason: reason.to_owned(),
        };
        let made = |change: &OutageChange| apply(None, change, "lan", Timestamp(10));
        for bad in [
            plan(None, None, 20, "r"),
            plan(Some("a"), Some("u"), 20, "r"),
            plan(Some("a"), None, 10, "r"),
            plan(Some("a"), None, i64::MAX, "r"),
            plan(Some("a"), None, 20, " "),
            plan(Some(""), None, 20, "r"),
        ] {
            assert!(made(&bad).is_err(), "{bad:?}");
        }
        let one = made(&plan(Some("a"), None, 20, "moves house")).expect("is fine");
        let covers = |outage: &Outage, source, unit, at| outage.covers(source, unit, Timestamp(at));
        assert!(covers(&one, "a", None, 10) && covers(&one, "a", Some("u"), 19));
        assert!(!covers(&one, "a", None, 20) && !covers(&one, "b", None, 15) && !covers(&one, "a", None, 9));
        let unit = made(&plan(None, Some("u"), 20, "line is renewed")).expect("is fine");
        assert!(covers(&unit, "a", Some("u"), 15) && !covers(&unit, "a", None, 15));
        let ended = apply(Some(&one), &OutageChange::End {}, "minh", Timestamp(15)).expect("ends");
        assert!(!covers(&ended, "a", None, 15));
        assert_eq!(apply(Some(&ended), &OutageChange::End {}, "minh", Timestamp(16)), Err(Refused::Closed));
    }
}
