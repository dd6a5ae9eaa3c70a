//! Whether rules are alive, and what of ATT&CK they cover, as pages and the JSON API show it.
//!
//! Plain values filled by the [`crate::Desk`]; nothing here can fail.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::as_text_or_null;
use crate::account::Localized;

words! {
    /// Whether a rule is alive.
    RuleLight {
        /// Proven, and its source sends.
        Green "green",
        /// It cannot be told.
        Amber "amber",
        /// Its canary was not seen, or its source stopped.
        Red "red",
    }
}

words! {
    /// Why a light is what it is.
    AliveReason {
        /// Its canary was seen, and its source sends.
        Proven "proven",
        /// It has no sample, and no canary can be made of it.
        NoCanary "no-canary",
        /// It was not tried yet.
        NotYet "not-yet",
        /// No source ever sent what it looks at.
        NoSource "no-source",
        /// Its source sent, and stopped.
        SourceSilent "source-silent",
        /// Its canary could not be parsed.
        DeadLetter "dead-letter",
        /// Its canary came out as another kind of event.
        LogSource "log-source",
        /// Its canary lacks a field, or has another value in it.
        Field "field",
        /// Its canary was counted too little.
        Correlation "correlation",
        /// Its canary did not come through in time.
        Lost "lost",
    }
}

/// What is known of a rule's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alive {
    /// The light.
    pub light: RuleLight,
    /// Why.
    pub reason: AliveReason,
    /// What exactly is missing; may be empty.
    pub detail: String,
    /// Its canary is made of the rule's own condition; else it is a sample beside the rule.
    pub is_made: bool,
    /// When its canary was last seen.
    #[serde(serialize_with = "as_text_or_null")]
    pub proven_at: Option<Timestamp>,
    /// When its canary was last sent.
    #[serde(serialize_with = "as_text_or_null")]
    pub tried_at: Option<Timestamp>,
    /// When the newest event was received that it looks at.
    #[serde(serialize_with = "as_text_or_null")]
    pub source_at: Option<Timestamp>,
}

impl Alive {
    /// Nothing is known.
    pub fn unknown() -> Alive {
        Alive {
            light: RuleLight::Amber,
            reason: AliveReason::NotYet,
            detail: String::new(),
            is_made: false,
            proven_at: None,
            tried_at: None,
            source_at: None,
        }
    }
}

/// What coverage shall be of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoverageQuery {
    /// Only what this unit sends.
    pub unit: Option<String>,
    /// Only what this kind of source sends (`event.module`).
    pub module: Option<String>,
}

/// A rule of a technique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageRuleRow {
    /// The rule's id.
    pub id: String,
    /// Its title.
    pub title: Localized,
    /// `green`, `amber`, `off`.
    pub state: &'static str,
    /// What it looks at arrives.
    pub has_data: bool,
    /// Its canary was seen.
    pub is_proven: bool,
}

/// A technique under a tactic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TechniqueRow {
    /// `T1110.001`
    pub id: String,
    /// The tactic's tag, or empty.
    pub tactic: &'static str,
    /// `green`, `amber`, `off`.
    pub state: &'static str,
    /// Its rules, best first.
    pub rules: Vec<CoverageRuleRow>,
}

/// A column of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TacticColumn {
    /// The tactic's tag, or empty.
    pub tag: &'static str,
    /// Its name; empty for none.
    pub name: Localized,
    /// Its techniques, by id.
    pub techniques: Vec<TechniqueRow>,
}

/// The whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The tactics, in the order of an attack.
    pub columns: Vec<TacticColumn>,
    /// How many techniques, each once: green, amber, off.
    pub counts: [u64; 3],
    /// Kinds of source that sent something, for the filter.
    pub modules: Vec<String>,
    /// Rules by light: green, amber, red.
    pub lights: [u64; 3],
}
