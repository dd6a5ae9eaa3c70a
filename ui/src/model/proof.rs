//! How the proof of the store stands, and evidence packages.

use nhatle_event::Timestamp;
use serde::Serialize;

use super::as_text_or_null;

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
}

/// A file to be given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
