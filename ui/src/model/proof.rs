//! How the proof of the store stands, and evidence packages.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{as_text, as_text_or_null};
use crate::account::Localized;

/// How the proof stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProofView {
    /// The name of the log.
    pub origin: String,
    /// Entries in the log.
    pub size: u64,
    /// How many of them the newest head covers.
    pub head_size: u64,
    /// When the newest head was signed.
    #[serde(serialize_with = "as_text_or_null")]
    pub head_at: Option<Timestamp>,
    /// The root it says, in hexadecimal.
    pub head_root: String,
    /// The newest head as it is kept elsewhere.
    pub head_text: String,
    /// The public key, as it is handed out.
    pub key: String,
    /// Entries that wait for the disk.
    pub waiting: u64,
    /// Why the log is not gone on with, or why entries wait.
    pub trouble: Option<String>,
    /// Times for heads by an authority (RFC 3161); nothing where none was ever asked.
    pub stamp: Option<StampView>,
    /// The newest check of the whole store since the start; nothing for a viewer that has a unit.
    pub check: Option<CheckView>,
}

/// The newest time-stamp of a head, and how asking for them goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StampView {
    /// The head existed at or before this.
    #[serde(serialize_with = "as_text_or_null")]
    pub at: Option<Timestamp>,
    /// Who says so.
    pub authority: String,
    /// The authority's number of it, in hexadecimal.
    pub serial: String,
    /// How many entries that head covers.
    pub head_size: u64,
    /// Somebody in `proof.timestamp_ca` vouched for the authority.
    pub is_chained: bool,
    /// The server asks by itself.
    pub is_asked: bool,
    /// What went wrong when it asked last.
    pub trouble: Option<String>,
    /// Why the newest time-stamp does not hold.
    pub damage: Option<String>,
}

/// How long the text of kept heads may be.
pub const KEPT_BYTES_MAX: usize = 64 << 10;
/// How many findings of a check are shown.
pub const FOUND_SHOWN_MAX: usize = 100;

/// A check that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewCheck {
    /// Heads that somebody kept, as text; empty where there is none.
    pub heads: String,
    /// Make the leaf of every stored event again too.
    pub is_deep: bool,
}

/// A check of the whole store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckView {
    /// Who asked for it.
    pub by: String,
    /// When it began.
    #[serde(serialize_with = "as_text")]
    pub begun: Timestamp,
    /// When it was done; `None` while it runs.
    #[serde(serialize_with = "as_text_or_null")]
    pub done: Option<Timestamp>,
    /// How many kept heads it compared.
    pub kept_heads: u64,
    /// Every stored event was looked at too.
    pub is_deep: bool,
    /// How many findings there are.
    pub found_count: u64,
    /// The first of them.
    pub found: Vec<FoundRow>,
    /// Why it could not be done.
    pub error: Option<String>,
}

impl CheckView {
    /// Whether there are findings that are not shown.
    pub fn has_more(&self) -> bool {
        (self.found.len() as u64) < self.found_count
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundRow {
    /// The file, below the data folder.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: Option<u64>,
    /// The row of the register.
    pub row: Option<i64>,
    /// What should be there and what is; in English as `nhatle verify` says it.
    pub what: Localized,
}

/// A file to be given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
