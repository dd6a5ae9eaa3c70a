//! Erasing what is about a person: what is wanted, what it would touch, what was erased.

use std::collections::BTreeMap;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{as_text, as_text_or_null};
use crate::account::Localized;

/// An erasure that is wanted. Without `expect` it is counted only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewErasure {
    /// The value; without one, what the fields have in the events that the query finds.
    pub subject: Option<String>,
    /// Only in the events that this line of the search language finds.
    pub query: Option<String>,
    /// The fields that are asked; the usual ones where there are none.
    pub fields: Vec<String>,
    /// Fields that go too in each event that is touched.
    pub also: Vec<String>,
    /// `@timestamp` is not before this.
    pub from: Option<String>,
    /// `@timestamp` is before this.
    pub to: Option<String>,
    /// Events under a legal hold stay and the others go; else nothing goes where a hold keeps any.
    pub leave_held: bool,
    /// On what basis.
    pub basis: Option<String>,
    /// How many events the preview counted.
    pub expect: Option<u64>,
}

/// What an erasure would touch, or begins to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErasurePlan {
    /// Its number in the register, where it begins.
    pub number: Option<u64>,
    /// Where it begins: with the value it makes the mark that the register has; kept nowhere.
    pub receipt: Option<String>,
    /// How many events.
    pub events: u64,
    /// Of them, in how many a named field has the value.
    pub named: u64,
    /// By dataset.
    pub datasets: BTreeMap<String, u64>,
    /// On how many days (UTC).
    pub days: u64,
    /// How many segments are written anew.
    pub segments: u64,
    /// Their events.
    pub segment_events: u64,
    /// How many of the events are in no segment yet.
    pub unsealed: u64,
    /// The fields of which something goes, with the number of events.
    pub fields: Vec<(String, u64)>,
    /// Events that a legal hold keeps, by the number of the hold.
    pub held: BTreeMap<u64, u64>,
    /// What is not reached.
    pub not_reached: Vec<String>,
}

/// What was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErasuresView {
    /// Newest first.
    pub erasures: Vec<ErasureRow>,
    /// One is on its way.
    pub is_running: bool,
    /// How many of its segments are written anew, and of how many.
    pub progress: Option<(u64, u64)>,
    /// Why the last one ended before its end.
    pub trouble: Option<String>,
    /// What this viewer has counted on the page; the API counts at once.
    #[serde(skip)]
    pub look: Option<ErasureLook>,
}

/// A count that an administrator asked for on the page, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureLook {
    /// What is wanted; without the value once it is erased.
    pub asked: NewErasure,
    /// When it was asked for.
    pub begun: Timestamp,
    /// How far it is.
    pub state: LookState,
}

/// How far a count on the page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookState {
    /// Everything of the span is being looked at.
    Counting,
    /// What it would touch; nothing is erased yet.
    Counted(ErasurePlan),
    /// It was confirmed: it is counted once more, and written down.
    Beginning,
    /// It is written down, and being erased or done.
    Begun {
        /// Its number in the register.
        number: u64,
        /// See [`ErasurePlan::receipt`].
        receipt: String,
    },
    /// Nothing is erased, and why.
    Refused(Localized),
}

impl LookState {
    /// Whether somebody has to wait.
    pub fn is_busy(&self) -> bool {
        matches!(self, LookState::Counting | LookState::Beginning)
    }
}

/// One erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErasureRow {
    /// Its number.
    pub number: u64,
    /// When it began.
    #[serde(serialize_with = "as_text")]
    pub begun: Timestamp,
    /// When it was done.
    #[serde(serialize_with = "as_text_or_null")]
    pub done: Option<Timestamp>,
    /// In whose name.
    pub by: String,
    /// On what basis.
    pub basis: String,
    /// How many events.
    pub events: u64,
    /// How many segments.
    pub segments: u64,
}
