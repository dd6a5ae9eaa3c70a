//! What people decide about rules and packs of rules: on or off, and at which level; as a pure fold.
//!
//! In: a state (or none) and a change with who and when. Out: the state then, or why the change is refused.
//! Streams `rule/ID` (the rule's id, whatever file it stands in) and `pack/NAME`. What is decided about a rule
//! outlives the file: a pack that is imported again finds the decisions about its rules unchanged.

use std::path::PathBuf;

use nhatle_event::Timestamp;
use nhatle_rules::{Level, Switch, Switches};
use serde::{Deserialize, Serialize};

use crate::incident::Refused;

/// How long a reason or a note may be, in characters.
pub const REASON_CHARS_MAX: usize = 2_000;
/// How many steps of one rule's or pack's history are kept in memory; the register keeps all.
pub const STEPS_MAX: usize = 200;
/// How many rules something may be decided about.
pub const RULE_STATES_MAX: usize = 200_000;
/// How many packs there may be.
pub const PACKS_MAX: usize = 200;
/// How long a pack's name may be, in characters.
pub const PACK_NAME_CHARS_MAX: usize = 64;

/// A decision about one rule (stream `rule/ID`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RuleChange {
    /// It runs.
    Enable {
        /// In words; may be empty.
        #[serde(default)]
        note: String,
    },
    /// It raises no alerts, and runs only where a correlation that is on counts it.
    Disable {
        /// Why.
        reason: String,
    },
    /// Its alerts have this level in place of the one written.
    SetLevel {
        /// Sigma's level word.
        level: String,
        /// Why.
        reason: String,
    },
    /// Its alerts have the level written.
    ResetLevel {},
}

/// An import of a pack (stream `pack/NAME`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PackChange {
    /// The pack has now what was imported, and nothing it had before.
    Import(PackImport),
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackImport {
    /// The name of the folder or archive it came from, without its path.
    pub source: String,
    /// SHA-256 over names and content of the rule files, in hexadecimal digits.
    pub sha256: String,
    /// The licence in one line: its name, or the first line of the licence file; empty where there is none.
    #[serde(default)]
    pub license: String,
    /// Its rules are off until they are switched on one by one.
    #[serde(default)]
    pub is_off: bool,
    /// Rule files.
    pub files: u64,
    /// Documents in them: `loaded + refused + retired`.
    pub documents: u64,
    /// Documents that load.
    pub loaded: u64,
    /// Documents that do not, and why is in the report.
    pub refused: u64,
    /// Documents their authors gave up (`status: deprecated` or `unsupported`).
    pub retired: u64,
}

/// A change with when and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<C> {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub change: C,
}

/// What is decided about one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleState {
    /// On or off; `None` = as its pack is.
    pub is_on: Option<bool>,
    /// The level in place of the one written.
    pub level: Option<Level>,
    /// What was done, oldest first; of more than [`STEPS_MAX`] the oldest are gone.
    pub steps: Vec<Step<RuleChange>>,
}

impl RuleState {
    /// What it means for a load.
    pub fn switch(&self) -> Switch {
        Switch { is_on: self.is_on, level: self.level }
    }
}

/// An imported pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// What it has now.
    pub import: PackImport,
    /// Its imports, oldest first; of more than [`STEPS_MAX`] the oldest are gone.
    pub steps: Vec<Step<PackChange>>,
}

/// Whether a text can be a pack's name: it is the name of a folder and of a stream.
pub fn is_pack_name(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let begins_well = name.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
    begins_well && name.len() <= PACK_NAME_CHARS_MAX && name.chars().all(is_plain) && !matches!(name, "builtin" | "own")
}

/// The state after a decision about a rule.
///
/// # Errors
/// A reason is missing or too long, a level is none, or it is so already.
pub fn apply_rule(
    before: Option<&RuleState>,
    change: &RuleChange,
    actor: &str,
    at: Timestamp,
) -> Result<RuleState, Refused> {
    let mut after = before.cloned().unwrap_or_default();
    let text = match change {
        RuleChange::Enable { note } => {
            after.is_on = Some(true);
            Some(note)
        }
        RuleChange::Disable { reason } => {
            after.is_on = Some(false);
            Some(reason)
        }
        RuleChange::SetLevel { level, reason } => {
            let known = Level::from_name(level);
            after.level = Some(known.ok_or_else(|| Refused::UnknownWord { what: "level", word: short(level) })?);
            Some(reason)
        }
        RuleChange::ResetLevel {} => {
            after.level.take().ok_or(Refused::Unknown)?;
            None
        }
    };
    if text.is_some_and(|text| REASON_CHARS_MAX < text.chars().count()) {
        return Err(Refused::TooLong { what: "reason", max: REASON_CHARS_MAX });
    }
    let needs_reason = matches!(change, RuleChange::Disable { .. } | RuleChange::SetLevel { .. });
    if needs_reason && text.is_some_and(|text| text.trim().is_empty()) {
        return Err(Refused::Empty("reason"));
    }
    push(&mut after.steps, change, actor, at);
    Ok(after)
}

/// The pack after an import.
///
/// # Errors
/// The name is none, or the numbers do not add up.
pub fn apply_pack(
    before: Option<&Pack>,
    name: &str,
    change: &PackChange,
    actor: &str,
    at: Timestamp,
) -> Result<Pack, Refused> {
    if !is_pack_name(name) {
        return Err(Refused::UnknownWord { what: "form of pack name", word: short(name) });
    }
    let PackChange::Import(import) = change;
    let sum = import.loaded.checked_add(import.refused).and_then(|sum| sum.checked_add(import.retired));
    if sum != Some(import.documents) {
        return Err(Refused::UnknownWord { what: "sum of documents", word: import.documents.to_string() });
    }
    let mut after = before.cloned().unwrap_or_default();
    after.import = import.clone();
    push(&mut after.steps, change, actor, at);
    Ok(after)
}

fn push<C: Clone>(steps: &mut Vec<Step<C>>, change: &C, actor: &str, at: Timestamp) {
    if STEPS_MAX <= steps.len() {
        steps.remove(0);
    }
    steps.push(Step { at, actor: actor.to_owned(), change: change.clone() });
}

fn short(text: &str) -> String {
    text.chars().take(PACK_NAME_CHARS_MAX).collect()
}

/// The decisions as a load takes them. `folder` holds a folder for each pack.
pub fn switches<'a>(
    rules: impl IntoIterator<Item = (&'a String, &'a RuleState)>,
    packs: impl IntoIterator<Item = (&'a String, &'a Pack)>,
    folder: &std::path::Path,
) -> Switches {
    let off = packs.into_iter().filter(|(_, pack)| pack.import.is_off);
    Switches {
        rules: rules.into_iter().map(|(id, state)| (id.clone(), state.switch())).collect(),
        off_folders: off.map(|(name, _)| folder.join(name)).collect::<Vec<PathBuf>>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_last_holds_and_all_of_it_is_kept() {
        let changes = [
            RuleChange::Disable { reason: "quá nhiều".into() },
            RuleChange::SetLevel { level: "high".into(), reason: "máy chủ quan trọng".into() },
            RuleChange::Enable { note: String::new() },
            RuleChange::ResetLevel {},
        ];
        let states = [
            (Some(false), None),
            (Some(false), Some(Level::High)),
            (Some(true), Some(Level::High)),
            (Some(true), None),
        ];
        let mut state: Option<RuleState> = None;
        for (change, expected) in changes.iter().zip(states) {
            let after = apply_rule(state.as_ref(), change, "lan", Timestamp(7)).expect("is taken");
            assert_eq!((after.is_on, after.level), expected, "{change:?}");
            state = Some(after);
        }
        let steps = state.expect("was made").steps;
        assert_eq!(steps.into_iter().map(|step| step.change).collect::<Vec<_>>(), changes);
    }

    #[test]
    fn decisions_without_a_reason_are_refused() {
        let rows = [
            (RuleChange::Disable { reason: " ".into() }, Refused::Empty("reason")),
            (RuleChange::SetLevel { level: "low".into(), reason: String::new() }, Refused::Empty("reason")),
            (
                RuleChange::SetLevel { level: "huge".into(), reason: "x".into() },
                Refused::UnknownWord { what: "level", word: "huge".into() },
            ),
            (RuleChange::ResetLevel {}, Refused::Unknown),
            (
                RuleChange::Enable { note: "x".repeat(REASON_CHARS_MAX + 1) },
                Refused::TooLong { what: "reason", max: REASON_CHARS_MAX },
            ),
        ];
        for (change, expected) in rows {
            assert_eq!(apply_rule(None, &change, "lan", Timestamp(7)), Err(expected), "{change:?}");
        }
    }

    #[test]
    fn history_in_memory_is_bounded() {
        let mut state = RuleState::default();
        for _ in 0..STEPS_MAX + 5 {
            state =
                apply_rule(Some(&state), &RuleChange::Enable { note: String::new() }, "lan", Timestamp(7)).expect("ok");
        }
        assert_eq!(state.steps.len(), STEPS_MAX);
    }

    #[test]
    fn a_pack_has_a_name_that_is_a_folder_and_numbers_that_add_up() {
        let import = |documents| {
            PackChange::Import(PackImport { documents, loaded: 2, refused: 1, retired: 1, ..PackImport::default() })
        };
        for name in ["sigmahq", "SigmaHQ-2026.1", "a"] {
            assert!(apply_pack(None, name, &import(4), "lan", Timestamp(7)).is_ok(), "{name}");
        }
        for name in ["", ".", "..", ".a", "a/b", "a b", "é", "builtin", &"x".repeat(65)] {
            assert!(apply_pack(None, name, &import(4), "lan", Timestamp(7)).is_err(), "{name}");
        }
        assert!(apply_pack(None, "a", &import(5), "lan", Timestamp(7)).is_err());
    }
}
