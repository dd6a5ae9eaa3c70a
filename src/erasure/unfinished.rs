//! `state/erasure-<front of the mark>`: what an erasure that has begun needs to go on after a restart. In: what was asked, with the
//! receipt. Out: the same, with the number that the register has for it. It holds the value, readable for whoever can read the
//! events, and goes when the erasure is done; it is written before the register says that it begins. Promise: one that the
//! register does not know, or has done, is removed and nothing is erased for it. Failure: what the disk says.

use std::io;

use anyhow::Context;
use nhatle_engine::register::RegisterState;
use nhatle_engine::retention::erasure::mark_of;
use nhatle_storage::Disk;
use nhatle_storage::disk::join;
use serde::{Deserialize, Serialize};

use super::{Order, Wanted};
use crate::state;

/// How the names of the files begin.
const FRONT: &str = "erasure-";
/// How much of the mark is in a name.
const MARK_CHARS: usize = 16;
/// No such file is longer: a value, a line of the search language, names of fields and a basis.
const BYTES_MAX: u64 = 1 << 20;

/// What is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Unfinished {
    pub wanted: Wanted,
    pub order: Order,
    pub receipt: String,
}

fn path(mark: &str) -> String {
    join(state::FOLDER, &format!("{FRONT}{}", mark.get(..MARK_CHARS).unwrap_or(mark)))
}

impl Unfinished {
    /// The mark that the register has of it; `None` where what is kept makes no sense.
    fn mark(&self) -> Option<String> {
        Some(mark_of(&self.receipt, &self.wanted.aim().ok()?.marked))
    }

    pub fn keep(&self, disk: &dyn Disk, mark: &str) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        let path = path(mark);
        anyhow::ensure!(bytes.len() as u64 + 64 <= BYTES_MAX, "{path}: {} bytes are too many", bytes.len());
        state::keep(disk, &path, &bytes).with_context(|| format!("write {path}"))
    }
}

/// Removes what is kept of an erasure that is done or did not begin.
pub(super) fn forget(disk: &dyn Disk, mark: &str) -> io::Result<()> {
    match disk.remove(&path(mark)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Something is kept with which this erasure goes on.
pub fn is_kept(disk: &dyn Disk, mark: &str) -> bool {
    !mark.is_empty() && disk.length(&path(mark)).is_ok_and(|length| length.is_some())
}

/// Those that began and are not done, by their numbers; files that are of none are removed.
///
/// # Errors
/// The folder or a file cannot be read, or is damaged.
pub(super) fn all(disk: &dyn Disk, state: &RegisterState) -> anyhow::Result<Vec<(u64, Unfinished)>> {
    let entries = match disk.list(state::FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context("list state")?,
    };
    let mut all = Vec::new();
    let is_one = |name: &str| name.starts_with(FRONT) && !name.ends_with(nhatle_storage::disk::UNFINISHED);
    for entry in entries.iter().filter(|entry| is_one(&entry.name)) {
        let path = join(state::FOLDER, &entry.name);
        let Some(bytes) = state::read(disk, &path, BYTES_MAX).with_context(|| format!("read {path}"))? else {
            continue;
        };
        let kept: Unfinished = serde_json::from_slice(&bytes).with_context(|| format!("read {path}"))?;
        let mark = kept.mark();
        let is_it =
            |one: &nhatle_engine::retention::erasure::Erasure| Some(&one.mark) == mark.as_ref() && one.done.is_none();
        match state.erasures.iter().find(|(_, one)| is_it(one)) {
            Some((number, _)) => all.push((*number, kept)),
            None => disk.remove(&path).with_context(|| format!("remove {path}"))?,
        }
    }
    all.sort_by_key(|(number, _)| *number);
    Ok(all)
}
