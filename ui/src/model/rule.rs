//! Rules as pages and the JSON API show them: what runs, what is off and why, where it comes from.
//!
//! Plain values filled by the [`crate::Desk`]; nothing here can fail.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Alive, Level, as_text};
use crate::account::Localized;

words! {
    /// Whether a rule runs.
    RuleStanding {
        /// It runs.
        On "on",
        /// It is switched off, and runs on without alerts of its own because a correlation counts it.
        Feeding "feeding",
        /// It is switched off.
        Off "off",
    }
}

/// One rule in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: Localized,
    /// How bad a match is.
    pub level: Level,
    /// The level as the rule has it, where somebody decided on another.
    pub level_written: Option<Level>,
    /// Its log source in words (`category: process_creation, product: windows`).
    pub logsource: String,
    /// ATT&CK tags.
    pub tags: Vec<String>,
    /// Whether it is a correlation.
    pub is_correlation: bool,
    /// Whether it runs.
    pub standing: RuleStanding,
    /// The pack it comes from.
    pub pack: String,
    /// Its licence: its own, else the pack's in one line; may be empty.
    pub license: String,
    /// Alerts it raised that the viewer may see.
    pub alert_count: u64,
    /// Whether it is alive.
    pub alive: Alive,
}

/// One rule with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// The row of the list.
    #[serde(flatten)]
    pub row: RuleRow,
    /// The sentence of its alerts, with fields in braces; empty where it has none.
    pub sentence: Localized,
    /// What it looks for.
    pub description: String,
    /// Author, as the rule has it.
    pub author: String,
    /// What else can look like it.
    pub false_positives: Vec<String>,
    /// The first questions for the analyst.
    pub questions: Vec<Localized>,
    /// Where to read more. Shown as text unless `https://`.
    pub references: Vec<String>,
    /// The text of its pack's licence; may be empty.
    pub license_text: String,
    /// The correlations that count it: id and title.
    pub counted_by: Vec<(String, Localized)>,
    /// What people decided about it, oldest first.
    pub history: Vec<RuleStep>,
    /// Its YAML.
    pub text: String,
}

/// What somebody decides about a rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RuleChange {
    /// It runs.
    Enable {
        /// In words; may be empty.
        #[serde(default)]
        note: String,
    },
    /// It raises no alerts.
    Disable {
        /// Why.
        reason: String,
    },
    /// Its alerts have this level.
    SetLevel {
        /// The level.
        level: Level,
        /// Why.
        reason: String,
    },
    /// Its alerts have the level written.
    ResetLevel,
}

/// One step in the history of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleStep {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// `enable`, `disable`, `set_level` or `reset_level`.
    pub kind: String,
    /// The level it was given.
    pub level: Option<Level>,
    /// The reason or note.
    pub text: String,
}

/// What is loaded, and what is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleLoad {
    /// Counts loads since the start.
    pub generation: u64,
    /// When it was loaded.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Detection has not taken this load yet: it is still busy with events of before.
    pub is_waiting: bool,
    /// Documents that load: rules, correlations and filters.
    pub loaded: u64,
    /// Documents that do not.
    pub refused: u64,
    /// Rules their authors gave up.
    pub retired: u64,
    /// Why documents do not load, `file:line:column: reason`; at most [`PROBLEMS_MAX`].
    pub problems: Vec<String>,
    /// Imported packs.
    pub packs: Vec<PackRow>,
}

/// How many problems one answer names.
pub const PROBLEMS_MAX: usize = 200;

/// An imported pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackRow {
    /// Its name.
    pub name: String,
    /// What it was imported from.
    pub source: String,
    /// Its licence in one line.
    pub license: String,
    /// Whether its rules are off unless switched on.
    pub is_off: bool,
    /// Documents that load.
    pub loaded: u64,
    /// Documents that do not.
    pub refused: u64,
    /// Rules their authors gave up.
    pub retired: u64,
    /// SHA-256 of its rule files.
    pub sha256: String,
    /// When it was imported.
    #[serde(serialize_with = "as_text")]
    pub imported: Timestamp,
    /// By whom.
    pub importer: String,
}
