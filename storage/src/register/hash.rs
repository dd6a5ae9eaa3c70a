//! The hash that chains the register's entries.
//!
//! SHA-256 over: `nhatle-register-1`, then id, stream, version, kind, json, actor, at_ns and the hash before,
//! each written as its length in bytes (u64, little-endian) and its text. Lengths keep columns apart.

use sha2::{Digest, Sha256};

use super::Entry;

/// What stands for "the hash before" in the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of an entry, hexadecimal; its own `hash` is not looked at.
pub fn of(entry: &Entry) -> String {
    let change = &entry.change;
    let mut hash = Sha256::new();
    hash.update(b"nhatle-register-1");
    let numbers = [entry.id.to_string(), entry.version.to_string(), change.at.0.to_string()];
    let [id, version, at] = &numbers;
    for text in [id, &change.stream, version, &change.kind, &change.json, &change.actor, at, &entry.prev_hash] {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(text.as_bytes());
    }
    nhatle_event::json::hex(&hash.finalize())
}

/// What is wrong with an entry that follows entry `before` of hash `prev_hash`, if anything is.
pub(super) fn fault(entry: &Entry, before: i64, prev_hash: &str) -> Option<String> {
    if entry.id != before + 1 {
        return Some(format!("rows {} to {} are missing", before + 1, entry.id - 1));
    }
    if entry.prev_hash != prev_hash {
        return Some("does not follow the row before it".to_owned());
    }
    (of(entry) != entry.hash).then(|| "does not have the hash it was written with".to_owned())
}
