//! What a rule would have found, and hunts with it. Plain values filled by the [`crate::Desk`].

use nhatle_event::{Stored, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Bucket, UnitRow, as_text, as_text_or_null};
use crate::account::Localized;

/// How far a preview is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewState {
    /// Nobody asked for one, or the rule has changed since.
    #[default]
    None,
    /// Others come first.
    Waiting,
    /// On its way.
    Running,
    /// All of the time was looked at.
    Done,
    /// The budget ran out; the newest days were looked at.
    Partial,
    /// Something could not be read.
    Failed,
}

impl PreviewState {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            PreviewState::None => "none",
            PreviewState::Waiting => "waiting",
            PreviewState::Running => "running",
            PreviewState::Done => "done",
            PreviewState::Partial => "partial",
            PreviewState::Failed => "failed",
        }
    }
}

/// A hit of the sample.
#[derive(Clone, Debug, Serialize)]
pub struct PreviewHit {
    /// The event's id.
    pub event_id: String,
    /// When it happened.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Its host.
    pub host: String,
    /// Its message, or the record as received.
    pub text: String,
}

/// What a rule would have found in the past days.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RulePreview {
    /// The rule.
    pub rule_id: String,
    /// Its title.
    pub title: Localized,
    /// The rule is on.
    pub is_on: bool,
    /// How far it is.
    pub state: PreviewState,
    /// How many days were asked for.
    pub days: u32,
    /// From this moment on everything was looked at.
    #[serde(serialize_with = "as_text_or_null")]
    pub looked_from: Option<Timestamp>,
    /// Matches, or firings of a correlation.
    pub hits: u64,
    /// Alerts it would have raised, after exceptions and suppression.
    pub alerts: u64,
    /// Alerts a day.
    pub alerts_a_day: f64,
    /// Hits that exceptions hide.
    pub hidden: u64,
    /// When the newest hit happened.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_hit: Option<Timestamp>,
    /// Hits of each day.
    pub by_day: Vec<Bucket>,
    /// Units by hits, the most first.
    pub units: Vec<(UnitRow, u64)>,
    /// Hosts by hits, the most first.
    pub hosts: Vec<(String, u64)>,
    /// The newest hits.
    pub sample: Vec<PreviewHit>,
    /// Hits in alerts that were real attacks.
    pub in_true: u64,
    /// Hits in alerts that were closed as false.
    pub in_false: u64,
    /// Events of the time.
    pub events: u64,
    /// Of those, how many had to be read.
    pub read: u64,
    /// When it was made.
    #[serde(serialize_with = "as_text_or_null")]
    pub at: Option<Timestamp>,
    /// Events that came since.
    pub newer_events: u64,
    /// Hunts with this rule, the newest first.
    pub hunts: Vec<HuntRow>,
    /// By how many events the live detection is behind; previews and hunts wait for it. 0 where they do not.
    pub detection_behind: u64,
    /// Some hunt is on its way, so no other can begin.
    pub is_hunting: bool,
}

impl RulePreview {
    /// How many days were asked for, for messages about a number.
    pub fn days_number(&self) -> u64 {
        u64::from(self.days)
    }
}

/// A hunt.
#[derive(Clone, Debug, Serialize)]
pub struct HuntRow {
    /// Its number.
    pub number: u64,
    /// The rule.
    pub rule_id: String,
    /// Who wanted it.
    pub by: String,
    /// When it began.
    #[serde(serialize_with = "as_text")]
    pub begun: Timestamp,
    /// The time it looks at.
    #[serde(serialize_with = "as_text")]
    pub from: Timestamp,
    /// See `from`.
    #[serde(serialize_with = "as_text")]
    pub to: Timestamp,
    /// `running`, `done`, `canceled`, `full`, `failed`, or `broken` when the server ended before it.
    pub state: &'static str,
    /// How far it is, in percent.
    pub percent: u64,
    /// Events looked at.
    pub events: u64,
    /// Matches and firings.
    pub findings: u64,
    /// Findings that became alerts.
    pub alerts: u64,
    /// Findings that are alerts already.
    pub known: u64,
    /// Findings that repeat an alert.
    pub repeats: u64,
    /// Findings that exceptions hide.
    pub hidden: u64,
}

/// What to hunt over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHunt {
    /// How many days back from now.
    pub days: u32,
}

/// The most days a hunt may look back: ten years.
pub const HUNT_DAYS_MAX: u32 = 3_660;

impl PreviewHit {
    /// The hit of an event.
    pub fn of(stored: &Stored) -> PreviewHit {
        use nhatle_event::Field;
        PreviewHit {
            event_id: stored.id().to_string(),
            at: stored.event.timestamp,
            host: stored.event.text(Field::HOST_NAME).unwrap_or_default().to_owned(),
            text: crate::brief::of(&stored.event).chars().take(400).collect(),
        }
    }
}
