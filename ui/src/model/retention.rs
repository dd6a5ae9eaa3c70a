//! How long what is stored is kept: rules with their basis, what goes when, holds, what went.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{as_text, as_text_or_null};

/// How many segments of one kind, and how many jobs, are shown.
pub const SEGMENTS_SHOWN_MAX: usize = 50;

/// How retention stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RetentionView {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes a day, over the last week; `None` where there is less than a day.
    pub bytes_per_day: Option<u64>,
    /// Bytes left on the disk.
    pub free_bytes: Option<u64>,
    /// Days until the disk is full, if nothing goes.
    pub days_left: Option<u64>,
    /// What is stored.
    pub datasets: Vec<DatasetRow>,
    /// The rules, in their order.
    pub rules: Vec<KeepRow>,
    /// The profile of the legal minimums.
    pub profile: String,
    /// Segments that no rule lets go.
    pub kept_for_good: u64,
    /// Segments that belong in the archive and are not there yet.
    pub to_archive: u64,
    /// What may go now, oldest first; then what could but for a hold; then what goes next. The first of each.
    pub segments: Vec<SegmentRow>,
    /// How many may go now.
    pub due_count: u64,
    /// How many could go but for a hold.
    pub held_count: u64,
    /// Holds, newest first.
    pub holds: Vec<HoldRow>,
    /// Jobs that deleted, newest first.
    pub jobs: Vec<JobRow>,
    /// When the job looks next.
    #[serde(serialize_with = "as_text_or_null")]
    pub look_at: Option<Timestamp>,
    /// The clock jumped: nothing goes until the next start.
    pub had_jump: bool,
    /// Why the last look did not work.
    pub trouble: Option<String>,
}

/// A dataset in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetRow {
    /// Its name.
    pub name: String,
    /// Segments, and of these in the archive.
    pub segments: u64,
    /// Segments in the archive.
    pub archived: u64,
    /// Events.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeepRow {
    /// Its place, from 1.
    pub number: u64,
    /// Of these datasets; none = all.
    pub datasets: Vec<String>,
    /// Of these kinds of sources; none = all.
    pub kinds: Vec<String>,
    /// Of systems of these levels; none = all.
    pub levels: Vec<u8>,
    /// What for: `security`, `online_service`, `investigation`, `internet_provider`.
    pub purpose: String,
    /// Months at hand.
    pub online_months: u32,
    /// Months in the archive after that.
    pub archive_months: u32,
    /// Where that is written.
    pub basis: String,
    /// What the law demands at least.
    pub minimum: Option<MinimumRow>,
}

/// A legal minimum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MinimumRow {
    /// Months.
    pub months: u32,
    /// Where it is written.
    pub basis: String,
    /// When that was last read (year and month).
    pub checked: String,
}

/// A segment that goes, is held, or goes next; or one that went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentRow {
    /// `due`, `held`, `next` or `gone`.
    pub state: String,
    /// Its folder.
    pub dir: String,
    /// Its dataset.
    pub dataset: String,
    /// Events.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
    /// When its last event was stored.
    #[serde(serialize_with = "as_text")]
    pub stored_last: Timestamp,
    /// From when on it may go.
    #[serde(serialize_with = "as_text_or_null")]
    pub gone_from: Option<Timestamp>,
    /// Months it is kept.
    pub months: u32,
    /// The basis of the rule that keeps it longest.
    pub basis: String,
    /// The root over its events, which its leaf in the log of the proof says.
    pub root: String,
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldRow {
    /// Its number.
    pub number: u64,
    /// What happened or was stored from then
    #[serde(serialize_with = "as_text")]
    pub from: Timestamp,
    /// to before then
    #[serde(serialize_with = "as_text")]
    pub to: Timestamp,
    /// stays until then.
    #[serde(serialize_with = "as_text")]
    pub until: Timestamp,
    /// Whether it is in force.
    pub is_in_force: bool,
    /// Why, as last said.
    pub reason: String,
    /// Who placed it.
    pub by: String,
    /// When.
    #[serde(serialize_with = "as_text")]
    pub placed: Timestamp,
}

/// A job that deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRow {
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
    /// How many segments went.
    pub segment_count: u64,
    /// Their events.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first of them.
    pub segments: Vec<SegmentRow>,
}

/// A hold that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// From when, RFC 3339.
    pub from: String,
    /// To before when.
    pub to: String,
    /// Until when it lasts.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// A change of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum HoldChange {
    /// It lasts longer.
    Extend {
        /// Until when, RFC 3339.
        until: String,
        /// Why.
        reason: String,
    },
    /// It ends now.
    Release {
        /// Why.
        reason: String,
    },
}
