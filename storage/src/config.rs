//! `[storage]` of the configuration: how large things may grow before they are sealed or refused.

use serde::{Deserialize, Serialize};

/// Sizes and limits of a store. The folder is not among them: it is the [`crate::disk::Disk`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A log file past this size is closed and a new one begun.
    pub log_file_bytes_max: u64,
    /// Sealing is due when this many events are in memory only (and in the log).
    pub memtable_events_max: usize,
    /// Sealing is due when the events in memory took this many bytes of log.
    pub memtable_bytes_max: u64,
    /// Appends are refused when this many bytes wait to be sealed, because sealing fails.
    pub backlog_bytes_max: u64,
    /// Small segments are merged into larger ones of at most this many events; 0 leaves them as they are.
    pub merged_events_max: u64,
    /// So much room on the disk is kept for when it is full, by whoever owns the folder; 0 = none. The store itself does
    /// not touch it.
    pub reserve_bytes: u64,
    /// Events with a person's fields get a key, so that what is erased of them cannot be guessed from what is kept, by whoever
    /// appends. The store itself does not look at it.
    pub subject_keys: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            log_file_bytes_max: 64 << 20,
            // 65,536 events are a row group, and in memory what they take in the log.
            memtable_events_max: 65_536,
            memtable_bytes_max: 64 << 20,
            backlog_bytes_max: 256 << 20,
            // It bounds the index that grows in memory meanwhile: some 12 bytes for each word and value of an event.
            merged_events_max: 524_288,
            reserve_bytes: 256 << 20,
            subject_keys: false,
        }
    }
}
