//! `RuleError`: file, line, column, what is wrong, what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::yaml::Place;

/// Why a rule document did not load, or looks wrong. Shown as `FILE:LINE:COL: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and, where there is one, what to write instead. Lower case, no full stop.
    pub reason: String,
    /// The name of the lint, where it is a warning: stable, for those who search or count.
    pub lint: Option<&'static str>,
    /// The id of the rule, where it got far enough to have one.
    pub rule_id: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.reason)?;
        self.lint.map_or(Ok(()), |lint| write!(f, " [{lint}]"))
    }
}

impl std::error::Error for RuleError {}

/// What is wrong and where, before anyone knows in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) reason: String,
    pub(crate) lint: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(place: Place, reason: String) -> Fault {
        Fault { place, reason, lint: None }
    }

    /// A warning of this name (see `lint::NAMES`).
    pub(crate) fn warning(place: Place, lint: &'static str, reason: impl Into<String>) -> Fault {
        Fault { place, reason: reason.into(), lint: Some(lint) }
    }

    /// With its file, and the rule's id where it is known.
    pub(crate) fn at(self, file: &Path, rule_id: Option<String>) -> RuleError {
        RuleError {
            file: file.to_owned(),
            line: self.place.line,
            column: self.place.column,
            reason: self.reason,
            lint: self.lint,
            rule_id,
        }
    }
}
