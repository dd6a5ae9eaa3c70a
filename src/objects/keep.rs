//! Deletes old backups, and the objects that only they named.
//!
//! Promise: what a backup that stays names, stays; so does what a backup that is under way relies on (`send.rs`): indexes are
//! deleted first, then all that stay are read, then only objects go that none of them names and that were put
//! [`GRACE_S`] ago or earlier. Cut off anywhere, the next run goes on.

use std::collections::BTreeSet;

use super::index;
use super::remote::Remote;
use super::send::{Count, GRACE_S};

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Backups.
    pub backups: usize,
    /// Objects, and their bytes.
    pub objects: Count,
}

/// Keeps the newest `keep` backups (at least one).
///
/// # Errors
/// The store is not reached; an index that stays is damaged, then no object is deleted.
pub fn keep_newest(remote: &Remote, keep: usize) -> anyhow::Result<Deleted> {
    let mut deleted = Deleted::default();
    let all = index::backups(remote)?;
    let old = &all[..all.len().saturating_sub(keep.max(1))];
    if !old.is_empty() {
        deleted.backups = old.len();
        remote.delete(&old.iter().map(index::Entry::object).collect::<Vec<_>>())?;
        remote.sync()?;
    }
    let mut named = BTreeSet::new();
    let mut now_s = 0;
    for entry in index::backups(remote)? {
        // The store's own clock, as far as it is known: the newest index was put a moment ago.
        now_s = now_s.max(entry.put_s);
        match index::read(remote, &entry)? {
            Ok(index) => named.extend(index.files.iter().filter_map(|row| index::hash(&row.sha256))),
            Err(problem) => anyhow::bail!("no object is deleted, because a backup that stays is damaged: {problem}"),
        }
    }
    let mut names = Vec::new();
    for (hash, object) in index::objects(remote)? {
        if !named.contains(&hash) && object.put_s < now_s - GRACE_S {
            deleted.objects.files += 1;
            deleted.objects.bytes += object.bytes;
            names.push(index::object(&nhatle_event::json::hex(&hash)));
        }
    }
    remote.delete(&names)?;
    Ok(deleted)
}
