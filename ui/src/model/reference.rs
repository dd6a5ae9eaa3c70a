//! Reference data on pages: assets, lists of indicators, places of addresses.

use nhatle_event::Timestamp;
use serde::Serialize;

use super::{as_text, as_text_or_null};

/// How many assets, and how many senders that are none, are shown.
pub const ASSETS_SHOWN_MAX: usize = 500;
/// The longest table or list taken over the API, in bytes; longer ones come by the command line.
pub const IMPORT_BYTES_MAX: usize = 32 << 20;

/// A machine or network of the city.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetRow {
    /// What people call it.
    pub name: String,
    /// Its host names.
    pub hosts: Vec<String>,
    /// Its addresses and ranges.
    pub addresses: Vec<String>,
    /// Its MAC addresses.
    pub macs: Vec<String>,
    /// Who answers for it.
    pub owner: String,
    /// 1 to 5.
    pub importance: Option<u8>,
    /// 1 to 5.
    pub system_level: Option<u8>,
    /// Code of its unit.
    pub unit: String,
    /// What it is for.
    pub role: String,
    /// Nothing automatic is ever done to it.
    pub is_observe_only: bool,
}

/// A sender that is no asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownSender {
    /// The source's name.
    pub name: String,
    /// Code of the unit its last record was of.
    pub unit: Option<String>,
    /// How many records it sent.
    pub received: u64,
    /// When the last one came.
    #[serde(serialize_with = "as_text")]
    pub last_seen: Timestamp,
}

/// A file that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// The name it is in force under.
    pub name: String,
    /// What it was called where it came from.
    pub source: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// When it was put in force.
    #[serde(serialize_with = "as_text")]
    pub put: Timestamp,
    /// By whom.
    pub by: String,
    /// When its maker made it, where it says.
    #[serde(serialize_with = "as_text_or_null")]
    pub made: Option<Timestamp>,
    /// What is in it, by kind.
    pub counts: Vec<(String, u64)>,
    /// What was left out, by reason.
    pub left_out: Vec<(String, u64)>,
    /// Why it cannot be read; then what was in force before stays.
    pub problem: Option<String>,
}

/// The assets the viewer may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetView {
    /// The table they come from.
    pub file: Option<FileRow>,
    /// The first of them.
    pub rows: Vec<AssetRow>,
    /// How many there are.
    pub total: u64,
    /// Who sends and is none, those that sent last first.
    pub unknown: Vec<UnknownSender>,
    /// How many of those there are.
    pub unknown_total: u64,
}

/// A list of indicators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListRow {
    /// Its file.
    pub file: FileRow,
    /// When those of its indicators end that say no end themselves.
    #[serde(serialize_with = "as_text_or_null")]
    pub until: Option<Timestamp>,
    /// That moment is past.
    pub is_over: bool,
    /// Events that held one of its indicators since the start; `None` for a viewer with a unit.
    pub hits: Option<u64>,
    /// New indicators that are still to be looked for in what is stored.
    pub waiting: u64,
    /// When it was last looked back for, what was found, and how many alerts came of it.
    pub looked_back: Option<LookedBackRow>,
}

/// What came of a look back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LookedBackRow {
    /// When it ended.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Events that were looked at, or that cannot match.
    pub events: u64,
    /// Events that hold a new indicator.
    pub found: u64,
    /// Alerts that came of it.
    pub alerts: u64,
}

/// A look back on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LookingBack {
    /// The list.
    pub list: String,
    /// 0 to 100.
    pub percent: u64,
    /// Events with a new indicator so far.
    pub found: u64,
    /// Alerts so far.
    pub alerts: u64,
}

/// Lists, places, and how far the look back is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IntelView {
    /// Lists by name.
    pub lists: Vec<ListRow>,
    /// Files of places and autonomous systems.
    pub places: Vec<FileRow>,
    /// Looks for places since the files are in force, and how many of them were answered by addresses kept.
    pub place_looks: (u64, u64),
    /// Indicators in force.
    pub indicators: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// On its way.
    pub looking_back: Option<LookingBack>,
    /// Configured files that could not be taken: name and why.
    pub problems: Vec<(String, String)>,
}

/// A list to be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewList {
    /// Its name.
    pub list: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// How it is written: auto, lines, csv, misp, stix.
    pub kind: String,
    /// Its indicators end after so many days.
    pub days: Option<u32>,
    /// Confidence of those that say none.
    pub confidence: Option<u8>,
}

/// What was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// What is in it, by kind.
    pub counts: Vec<(String, u64)>,
    /// What was left out, by reason.
    pub left_out: Vec<(String, u64)>,
    /// Indicators that are new.
    pub new: u64,
}

/// Why nothing was taken: a line each, with line and column where there are.
pub type Wrong = Vec<String>;
