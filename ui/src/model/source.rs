//! A source and its receipt book: in all, and hour by hour.
//!
//! Plain values filled by the [`crate::Desk`]. Times of a clock are milliseconds here and seconds in JSON.

use std::collections::BTreeMap;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{SourceState, UnitRow, as_text, as_text_or_null};

/// The most hours one call gives: a year and a bit.
pub const HOURS_MAX: i64 = 9_600;

/// Why records were refused or not understood, with how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reasons {
    /// Why records were refused.
    pub rejected: BTreeMap<String, u64>,
    /// Why records were not understood.
    pub dead_lettered: BTreeMap<String, u64>,
    /// The profile that was named and the one they were read with, of records that are surely of another.
    pub misnamed: BTreeMap<String, u64>,
}

impl Reasons {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rejected.is_empty() && self.dead_lettered.is_empty() && self.misnamed.is_empty()
    }
}

/// Numbers that a sender gave and that never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// One source with its receipt book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceRow {
    /// Its name (`nhatle.source`).
    pub name: String,
    /// Whose it is.
    pub unit: Option<UnitRow>,
    /// The input it comes in by.
    pub input: String,
    /// Received = stored + rejected + duplicate.
    pub received: u64,
    /// Stored, dead letters included.
    pub stored: u64,
    /// Refused.
    pub rejected: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Stored, but not understood.
    pub dead_lettered: u64,
    /// When it last sent.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_seen: Option<Timestamp>,
    /// What it is doing.
    pub state: SourceState,
    /// Why records were refused or not understood.
    pub reasons: Reasons,
    /// Numbers that never came, the newest ranges.
    pub gaps: Vec<Gap>,
    /// How many numbers never came.
    pub missing: u64,
    /// Datagrams that the kernel dropped before anybody received them; whose, nobody knows: they stand on the input's row.
    #[serde(rename = "lost_before_receipt")]
    pub lost: u64,
    /// How far its clock is ahead of ours; `None` where its records say no time.
    #[serde(rename = "clock_offset_s", serialize_with = "as_seconds")]
    pub clock_offset_ms: Option<i32>,
    /// The profile that was named and the one most of its records were read with of late, where that is another.
    pub misnamed: Option<String>,
    /// What the configuration says of it, in the words of the configuration.
    pub setting: Option<String>,
}

impl SourceRow {
    /// Whether the book balances.
    pub fn is_balanced(&self) -> bool {
        is_balanced([self.received, self.stored, self.rejected, self.duplicate])
    }
}

/// What the comparison of an hour's book with the store gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HourCheck {
    /// Not compared yet.
    Open,
    /// Search counts what the book says is stored.
    Agrees,
    /// It counts so many.
    Differs(u64),
}

/// One hour of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceHour {
    /// When it begins.
    #[serde(serialize_with = "as_text")]
    pub begin: Timestamp,
    /// It is not over, or was so only just: numbers may still grow.
    pub is_open: bool,
    /// Whether the store holds what the book says.
    pub check: HourCheck,
    /// Received = stored + rejected + duplicate.
    pub received: u64,
    /// Stored, dead letters included.
    pub stored: u64,
    /// Refused.
    pub rejected: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Stored, but not understood.
    pub dead_lettered: u64,
    /// Why records were refused or not understood.
    pub reasons: Reasons,
    /// The first and last number of its records, where the sender numbers them.
    pub numbers: Option<Gap>,
    /// Numbers that never came.
    pub gaps: Vec<Gap>,
    /// How many.
    pub missing: u64,
    /// Datagrams that the kernel dropped before anybody received them; whose, nobody knows: they stand on the input's row.
    #[serde(rename = "lost_before_receipt")]
    pub lost: u64,
    /// How far its clock was ahead of ours (median).
    #[serde(rename = "clock_offset_s", serialize_with = "as_seconds")]
    pub clock_offset_ms: Option<i32>,
    /// Width of the middle half of that.
    #[serde(rename = "clock_spread_s", serialize_with = "as_seconds")]
    pub clock_spread_ms: Option<i32>,
}

impl SourceHour {
    /// Whether the book balances.
    pub fn is_balanced(&self) -> bool {
        is_balanced([self.received, self.stored, self.rejected, self.duplicate])
    }
}

/// The longest reason of a planned outage, in bytes.
pub const OUTAGE_REASON_BYTES_MAX: usize = 2_000;

/// An outage to be planned, from now on: of a source, or of all sources of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOutage {
    /// The source.
    #[serde(default)]
    pub source: Option<String>,
    /// The unit's code.
    #[serde(default)]
    pub unit: Option<String>,
    /// When it ends by itself, RFC 3339.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// A planned outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutageRow {
    /// Its number.
    pub number: u64,
    /// Of this source.
    pub source: Option<String>,
    /// Of this unit.
    pub unit: Option<UnitRow>,
    /// From when.
    #[serde(serialize_with = "as_text")]
    pub from: Timestamp,
    /// Until when.
    #[serde(serialize_with = "as_text")]
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who planned it.
    pub actor: String,
}

words! {
    /// What is known of when a source speaks.
    RhythmKind {
        /// Too little.
        Unknown "unknown",
        /// At all hours.
        Steady "steady",
        /// At certain times, as jobs do.
        Planned "planned",
        /// While people work.
        Office "office",
    }
}

/// What silence of a source is usual now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RhythmRow {
    /// What is known of it.
    pub kind: RhythmKind,
    /// What a silence that goes on, or begins now, does not exceed on nine of ten days, seconds; `null` where that is not known.
    pub usual_s: Option<u64>,
    /// After so many seconds it alarms.
    pub alarm_s: Option<u64>,
}

/// A source, hour by hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceView {
    /// In all.
    pub source: SourceRow,
    /// The hours asked for that have anything in them, oldest first.
    pub hours: Vec<SourceHour>,
    /// Outages that are planned now, of it or its unit.
    pub outages: Vec<OutageRow>,
    /// What silence is usual; `null` where nobody watches.
    pub rhythm: Option<RhythmRow>,
}

fn is_balanced([received, stored, rejected, duplicate]: [u64; 4]) -> bool {
    stored.checked_add(rejected).and_then(|sum| sum.checked_add(duplicate)) == Some(received)
}

fn as_seconds<S: Serializer>(millis: &Option<i32>, serializer: S) -> Result<S::Ok, S::Error> {
    match millis {
        Some(millis) => serializer.serialize_f64(f64::from(*millis) / 1000.0),
        None => serializer.serialize_none(),
    }
}
