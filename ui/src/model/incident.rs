//! Incidents as pages and the JSON API show them: list, one incident, what can be done with it.
//!
//! Plain values filled by the [`crate::Desk`]; nothing here can fail.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AlertRow, Entity, Entry, IncidentStatus, Layer, LayerState, Level, UnitRow, Verdict, as_text, as_text_or_null,
};
use crate::account::Localized;

/// One incident in the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentRow {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: Localized,
    /// Where it stands.
    pub status: IncidentStatus,
    /// How bad.
    pub level: Level,
    /// What it turned out to be.
    pub verdict: Option<Verdict>,
    /// Account name of who has it.
    pub owner: Option<String>,
    /// Which layer has it.
    pub layer: Layer,
    /// Whose it is, as far as the viewer may know.
    pub units: Vec<UnitRow>,
    /// How many alerts belong to it.
    pub alert_count: u64,
    /// When it was opened.
    #[serde(serialize_with = "as_text")]
    pub opened_at: Timestamp,
    /// When it last changed.
    #[serde(serialize_with = "as_text")]
    pub changed_at: Timestamp,
}

/// Which incidents. Empty or `None` = no restriction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentQuery {
    /// These states.
    pub statuses: Vec<IncidentStatus>,
    /// These levels.
    pub levels: Vec<Level>,
    /// At this layer.
    pub layer: Option<Layer>,
    /// Owned by this account; `Some("")` = by nobody.
    pub owner: Option<String>,
    /// Text inside title.
    pub text: Option<String>,
    /// Go on after this page.
    pub cursor: Option<String>,
    /// At most so many rows.
    pub limit: usize,
}

impl Default for IncidentQuery {
    fn default() -> IncidentQuery {
        IncidentQuery {
            statuses: Vec::new(),
            levels: Vec::new(),
            layer: None,
            owner: None,
            text: None,
            cursor: None,
            limit: 50,
        }
    }
}

/// A page of incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IncidentPage {
    /// The rows.
    pub rows: Vec<IncidentRow>,
    /// How many there are in all.
    pub total: u64,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// One layer of the strip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerStep {
    /// Which.
    pub layer: Layer,
    /// How far.
    pub state: LayerState,
    /// When it last took over.
    #[serde(serialize_with = "as_text_or_null")]
    pub since: Option<Timestamp>,
    /// Who handed it over.
    pub by: Option<String>,
    /// With which reason.
    pub reason: String,
}

/// One incident with everything the page shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentView {
    /// The row of the list.
    #[serde(flatten)]
    pub row: IncidentRow,
    /// The number of its last change; forms send it back.
    pub version: u64,
    /// The four layers, in order.
    pub layers: Vec<LayerStep>,
    /// What it is about.
    pub entities: Vec<Entity>,
    /// Its alerts, most urgent first, at most [`PAGE_ROWS_MAX`].
    pub alerts: Vec<AlertRow>,
    /// What happened and what was done, oldest first.
    pub timeline: Vec<Entry>,
}

/// An incident to open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// Its title.
    pub title: String,
    /// How bad.
    pub level: Level,
    /// Alerts it begins with.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// A first note; may be empty.
    #[serde(default)]
    pub note: String,
}

/// What to do with an incident.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum IncidentChange {
    /// A note.
    Note {
        /// The note.
        text: String,
    },
    /// New title.
    Title {
        /// The title.
        title: String,
    },
    /// New or active; closing is [`IncidentChange::Close`].
    Status {
        /// The state.
        status: IncidentStatus,
    },
    /// New severity.
    Severity {
        /// How bad.
        level: Level,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// New owner; `None` = nobody.
    Owner {
        /// Account name.
        owner: Option<String>,
    },
    /// Another layer takes over.
    Handover {
        /// Which.
        layer: Layer,
        /// Why; compulsory.
        reason: String,
        /// Who there; `None` = whoever is on duty.
        #[serde(default)]
        owner: Option<String>,
    },
    /// More alerts.
    AddAlerts {
        /// Their ids.
        alerts: Vec<String>,
    },
    /// Closed.
    Close {
        /// What it was.
        verdict: Verdict,
        /// Why; compulsory.
        reason: String,
    },
    /// Opened again.
    Reopen {
        /// Why; compulsory.
        reason: String,
    },
}
