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
        /// It needs a hit of an indicator list, and there was none.
        Indicators "indicators",
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
    pub counts: [u64; 5],
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
    pub counts: [u64; 5],
    /// The rules that look at what it sends, those that lack a field first; a bounded number of them.
    pub rules: Vec<RuleFitRow>,
}

/// Which part of the matrix of rules and sources is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatrixQuery {
    /// Only sources that send this kind (`event.module`).
    pub module: Option<String>,
    /// Only rules that stand so with a source that is shown; [`FitState::NoSource`]: with all of them.
    pub state: Option<FitState>,
    /// Only rules with this in title or id.
    pub text: String,
    /// So many sources are passed over, in order of name.
    pub sources_skip: usize,
    /// At most so many sources are shown.
    pub sources_most: usize,
    /// So many rules are passed over, worst first.
    pub rules_skip: usize,
    /// At most so many rules are shown.
    pub rules_most: usize,
}

/// A source of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatrixSource {
    /// Its name.
    pub source: String,
    /// Whose it is.
    pub unit: Option<UnitRow>,
    /// Over all rules of the filter: missing, unseen, can, no-source.
    pub counts: [u64; 5],
}

/// A rule of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatrixRule {
    /// The rule's id.
    pub id: String,
    /// Its title.
    pub title: Localized,
    /// How bad a match is.
    pub level: Level,
    /// What stands between it and each source shown, in their order.
    pub cells: Vec<Fit>,
}

/// Rules and sources, and what stands between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FitMatrix {
    /// Kinds that can be asked for.
    pub modules: Vec<String>,
    /// How many sources there are of that kind.
    pub sources_total: u64,
    /// Those shown.
    pub sources: Vec<MatrixSource>,
    /// How many rules the filter lets through.
    pub rules_total: u64,
    /// Those shown: rules that lack a field first.
    pub rules: Vec<MatrixRule>,
}
