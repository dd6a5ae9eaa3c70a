//! Alerts as pages and the JSON API show them: queue, one alert, what can be done with it.
//!
//! Plain values filled by the [`crate::Desk`]; nothing here can fail.

use nhatle_event::{Stored, Timestamp};
use serde::{Deserialize, Serialize};

use super::reference::AssetRow;
use super::{AlertSort, AlertStatus, Entity, Entry, Level, RuleView, UnitRow, Verdict, as_text};
use crate::account::Localized;

/// One alert in the queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertRow {
    /// Its id.
    pub id: String,
    /// When its first event happened.
    #[serde(serialize_with = "as_text")]
    pub first_at: Timestamp,
    /// When its last event happened.
    #[serde(serialize_with = "as_text")]
    pub last_at: Timestamp,
    /// How bad.
    pub level: Level,
    /// The rule's id.
    pub rule_id: String,
    /// The rule's title.
    pub title: Localized,
    /// The one sentence that says what happened.
    pub sentence: Localized,
    /// Whose it is.
    pub unit: Option<UnitRow>,
    /// What it is about: at most a handful, the most telling first.
    pub entities: Vec<Entity>,
    /// How many matches it stands for (repeats are suppressed into it).
    pub count: u64,
    /// Where it stands.
    pub status: AlertStatus,
    /// What it turned out to be.
    pub verdict: Option<Verdict>,
    /// Account name of who has it.
    pub owner: Option<String>,
    /// The incident it belongs to.
    pub incident: Option<u64>,
    /// ATT&CK tags as the rule has them (`attack.t1110`).
    pub tags: Vec<String>,
    /// The hunt that found it in what was stored; `None` = the stream did.
    pub hunt: Option<u64>,
    /// An indicator that came later found it in what was stored.
    pub is_looked_back: bool,
}

/// What the queue shall show. Empty or `None` = no restriction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertQuery {
    /// These states.
    pub statuses: Vec<AlertStatus>,
    /// These levels.
    pub levels: Vec<Level>,
    /// This unit's.
    pub unit: Option<String>,
    /// This rule's.
    pub rule: Option<String>,
    /// Owned by this account; `Some("")` = by nobody.
    pub owner: Option<String>,
    /// Belongs to this incident.
    pub incident: Option<u64>,
    /// Text inside title, sentence and entities.
    pub text: Option<String>,
    /// Happened at or after.
    pub from: Option<Timestamp>,
    /// Happened before.
    pub to: Option<Timestamp>,
    /// Order.
    pub sort: AlertSort,
    /// Go on after this page ([`AlertPage::next`]).
    pub cursor: Option<String>,
    /// At most so many rows.
    pub limit: usize,
}

impl Default for AlertQuery {
    fn default() -> AlertQuery {
        AlertQuery {
            statuses: Vec::new(),
            levels: Vec::new(),
            unit: None,
            rule: None,
            owner: None,
            incident: None,
            text: None,
            from: None,
            to: None,
            sort: AlertSort::Urgency,
            cursor: None,
            limit: 50,
        }
    }
}

/// How many alerts of one rule are in a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertGroup {
    /// The rule's id.
    pub rule_id: String,
    /// Its title.
    pub title: Localized,
    /// Its level.
    pub level: Level,
    /// How many alerts.
    pub count: u64,
}

/// A page of the queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AlertPage {
    /// The rows.
    pub rows: Vec<AlertRow>,
    /// How many there are in all.
    pub total: u64,
    /// Counts by rule over the whole result, largest first, at most 20.
    pub groups: Vec<AlertGroup>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// One field condition that was met, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The part of the rule (`selection_img`).
    pub selection: String,
    /// The condition as the rule states it (`Image|endswith: '\powershell.exe'`).
    pub condition: String,
    /// The event's field that met it, dotted as in the event; empty for a keyword search over all fields.
    pub field: String,
    /// The value that met it.
    pub value: String,
    /// Which of [`AlertDetail::events`], by id.
    pub event_id: String,
}

/// What a correlation counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Correlation {
    /// `event_count`, `value_count`, `temporal`, …
    pub kind: String,
    /// What it was counted by.
    pub group: Vec<Entity>,
    /// How many.
    pub count: u64,
    /// First event counted.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// Last event counted.
    #[serde(serialize_with = "as_text")]
    pub end: Timestamp,
}

/// One alert with everything the page shows.
#[derive(Clone, Debug)]
pub struct AlertDetail {
    /// The row of the queue.
    pub row: AlertRow,
    /// The rule as loaded now; `None` when it is gone.
    pub rule: Option<RuleView>,
    /// Why it fired.
    pub evidence: Vec<Evidence>,
    /// What was counted, for correlations.
    pub correlation: Option<Correlation>,
    /// The events it speaks of, oldest first, at most 50.
    pub events: Vec<Stored>,
    /// How many there are in all.
    pub event_count: u64,
    /// What people did with it, oldest first.
    pub history: Vec<Entry>,
    /// The assets that the hosts and addresses it is about are.
    pub assets: Vec<AssetRow>,
}

/// What to do with an alert.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AlertChange {
    /// The viewer takes it.
    Acknowledge,
    /// Nobody has it any more.
    Release,
    /// Closed.
    Close {
        /// What it was.
        verdict: Verdict,
        /// Why; compulsory.
        note: String,
    },
    /// Opened again.
    Reopen {
        /// Why; compulsory.
        note: String,
    },
    /// A note.
    Note {
        /// The note.
        text: String,
    },
}
