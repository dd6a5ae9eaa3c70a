//! Whether rules can ever match what sources send, as pages and the JSON API show it.
//!
//! Plain values filled by the [`crate::Desk`]; nothing here can fail.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Level, UnitRow, as_text_or_null};
use crate::account::Localized;

words! {
    /// What stands between a rule and a source, worst first.
    FitState {
        /// A field that the rule needs never came.
        Missing "missing",
        /// All fields came, not yet a value that it wants.
        Unseen "unseen",
        /// Nothing.
        Can "can",
        /// The source sends no such events.
        NoSource "no-source",
    }
}

/// What stands between one rule and one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// In a word.
    pub state: FitState,
    /// The fields that never came, or whose values did not, as the rule names them.
    pub fields: Vec<String>,
    /// Under which other names they were looked for.
    pub looked_for: Vec<String>,
    /// What to switch on at the source: the word of a message; may be empty.
    pub hint: &'static str,
}

/// A source beside a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceFitRow {
    /// Its name.
    pub source: String,
    /// Whose it is.
    pub unit: Option<UnitRow>,
    /// When it last sent something.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_seen: Option<Timestamp>,
    /// What stands between.
    #[serde(flatten)]
    pub fit: Fit,
}

/// A rule beside a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFitRow {
    /// The rule's id.
    pub id: String,
    /// Its title.
    pub title: Localized,
    /// How bad a match is.
    pub level: Level,
    /// What stands between.
    #[serde(flatten)]
    pub fit: Fit,
}

/// A rule with the sources of the viewer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleFit {
    /// How many sources: missing, unseen, can, no-source.
    pub counts: [u64; 4],
    /// The sources that send such events, those it can match first; a bounded number of them.
    pub sources: Vec<SourceFitRow>,
    /// What to switch on where no source sends such events: the word of a message; may be empty.
    pub hint: &'static str,
}

/// A source with the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceFit {
    /// The source that was asked for; empty where none was.
    pub source: String,
    /// All that can be asked for.
    pub sources: Vec<String>,
    /// How many rules: missing, unseen, can, no-source.
    pub counts: [u64; 4],
    /// The rules that look at what it sends, those that lack a field first; a bounded number of them.
    pub rules: Vec<RuleFitRow>,
}
