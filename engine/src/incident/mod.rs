//! `Incident`: alerts investigated together, with status, owner, layer and notes; `Status`,
//! `Disposition` and `Layer`, the words an incident is described with.
//!
//! An incident is the fold of its changes ([`change::apply`]); nothing else alters it.

pub mod change;
pub mod grouping;

use std::collections::BTreeSet;

use nhatle_event::Timestamp;
use nhatle_rules::Level;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Entity};

pub use change::{Change, Refused, apply, apply_in_place};
pub use grouping::{Grouping, Opened};

/// How many alerts an incident names; what comes after is only counted.
pub const INCIDENT_ALERTS_MAX: usize = 2_000;
/// How many entities an incident is recognized by.
pub const INCIDENT_ENTITIES_MAX: usize = 256;

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has taken it yet.
    New,
    /// Somebody works on it.
    Active,
    /// Closed with a verdict.
    Closed,
}

/// What an incident or alert turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// An attack.
    TruePositive,
    /// What the rule says, but allowed.
    BenignPositive,
    /// Not what the rule says.
    FalsePositive,
    /// Could not be told.
    Undetermined,
}

impl Disposition {
    /// The word in forms, JSON and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Disposition::TruePositive => "true_positive",
            Disposition::BenignPositive => "benign_positive",
            Disposition::FalsePositive => "false_positive",
            Disposition::Undetermined => "undetermined",
        }
    }

    /// The disposition of a word.
    pub fn from_name(name: &str) -> Option<Disposition> {
        [Disposition::TruePositive, Disposition::BenignPositive, Disposition::FalsePositive, Disposition::Undetermined]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// The four organizational layers of Vietnam's model (Chỉ thị 14/CT-TTg 2019): who holds the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// 1: the on-site force.
    OnSite,
    /// 2: professional monitoring and protection.
    Professional,
    /// 3: independent inspection and assessment.
    Independent,
    /// 4: connection to the national monitoring system.
    National,
}

impl Layer {
    /// 1 to 4.
    pub fn number(self) -> u8 {
        match self {
            Layer::OnSite => 1,
            Layer::Professional => 2,
            Layer::Independent => 3,
            Layer::National => 4,
        }
    }

    /// The layer of a number from 1 to 4.
    pub fn from_number(number: u8) -> Option<Layer> {
        [Layer::OnSite, Layer::Professional, Layer::Independent, Layer::National]
            .into_iter()
            .find(|layer| layer.number() == number)
    }
}

/// An alert as an incident names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRef {
    /// The alert's id.
    pub id: String,
    /// The rule's title.
    pub title: String,
    /// The rule's title in Vietnamese.
    pub title_vi: Option<String>,
    /// The rule's id.
    pub rule_id: String,
    /// The rule's level.
    pub level: String,
    /// When, nanoseconds.
    pub at_ns: i64,
    /// Whom it is about.
    pub entities: Vec<Entity>,
    /// Organization units.
    pub units: Vec<String>,
    /// The rule's tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl From<&Alert> for AlertRef {
    fn from(alert: &Alert) -> AlertRef {
        AlertRef {
            id: alert.id.to_string(),
            title: alert.title.clone(),
            title_vi: alert.title_vi.clone(),
            rule_id: alert.rule_id.clone(),
            level: alert.level.clone(),
            at_ns: alert.at_ns,
            entities: alert.entities.clone(),
            units: alert.units.clone(),
            tags: alert.tags.clone(),
        }
    }
}

/// One step of an incident's history, as people read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it was done.
    pub at: Timestamp,
    /// By whom: an account's name, or `nhatle` for the program itself.
    pub actor: String,
    /// What was done.
    pub change: Change,
}

/// Alerts investigated together.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// 1 and up, never reused.
    pub number: u64,
    /// Its title, in the language it was written in (rules: English).
    pub title: String,
    /// Its title in Vietnamese, where there is one.
    pub title_vi: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// The verdict, once closed.
    pub disposition: Option<Disposition>,
    /// How bad: highest level of its alerts until a person sets it.
    pub severity: Level,
    /// A person set the severity; alerts no longer raise it.
    pub is_severity_set: bool,
    /// The account that works on it.
    pub owner: Option<String>,
    /// Which of the four layers holds it.
    pub layer: Layer,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it last changed.
    pub changed: Timestamp,
    /// Time of its first and last alert.
    pub span: (Timestamp, Timestamp),
    /// Its alerts, at most [`INCIDENT_ALERTS_MAX`].
    pub alerts: Vec<AlertRef>,
    /// How many alerts it has, also those not named.
    pub alert_count: u64,
    /// Whom it is about.
    pub entities: BTreeSet<Entity>,
    /// Organization units of its alerts.
    pub units: BTreeSet<String>,
    /// One of its alerts is of no unit: then it is the city's, whatever units the others are of.
    pub is_citys: bool,
    /// Everything that was done, oldest first.
    pub steps: Vec<Step>,
}

impl Incident {
    /// The title in Vietnamese, or as it was written.
    pub fn title_for(&self, is_vietnamese: bool) -> &str {
        match &self.title_vi {
            Some(title) if is_vietnamese => title,
            _ => &self.title,
        }
    }

    /// Takes an alert in: its level, time, entities and units become the incident's.
    fn admit(&mut self, alert: &AlertRef) {
        let at = Timestamp(alert.at_ns);
        self.span = if self.alert_count == 0 { (at, at) } else { (self.span.0.min(at), self.span.1.max(at)) };
        self.alert_count += 1;
        if !self.is_severity_set {
            self.severity = self.severity.max(Level::from_name(&alert.level).unwrap_or_default());
        }
        self.units.extend(alert.units.iter().cloned());
        self.is_citys |= alert.units.is_empty();
        let room = INCIDENT_ENTITIES_MAX.saturating_sub(self.entities.len());
        self.entities.extend(alert.entities.iter().take(room).cloned());
        if self.alerts.len() < INCIDENT_ALERTS_MAX {
            self.alerts.push(alert.clone());
        }
    }
}
