//! Forwarders of the wards: what they are, how they stand, and which numbers will not come.

use nhatle_event::Timestamp;
use serde::Serialize;

use super::{UnitRow, as_text_or_null};

/// One forwarder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForwarderRow {
    /// Its name: of its certificate, or of its token and what it calls itself.
    pub name: String,
    /// Whose it is.
    pub unit: Option<UnitRow>,
    /// Its program's version.
    pub program: String,
    /// When it last came.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_contact: Option<Timestamp>,
    /// How far its clock is ahead of ours.
    pub clock_offset_ms: Option<i32>,
    /// Records that wait in its spool.
    pub waiting: u64,
    /// Bytes of the spool, and its bound.
    pub spool_bytes: u64,
    /// See `spool_bytes`.
    pub spool_bytes_max: u64,
    /// Records taken.
    pub taken: u64,
    /// Records sent again, recognized and not stored again.
    pub repeated: u64,
    /// Records that will not come, in all.
    pub lost: u64,
    /// Records its UDP inputs dropped since it started.
    pub dropped: u64,
    /// How often it came with an older copy of its spool.
    pub forks: u64,
    /// The numbers that will not come, the newest last.
    pub gaps: Vec<ForwarderGap>,
}

/// Numbers that will not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForwarderGap {
    /// The lane: 1 high, 2 normal, 3 low.
    pub lane: u32,
    /// The first number.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// `full`, `damaged`, `too_large`, `unexplained`.
    pub reason: String,
    /// When.
    #[serde(serialize_with = "as_text_or_null")]
    pub at: Option<Timestamp>,
}
