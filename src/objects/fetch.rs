//! A store made again out of an object store.
//!
//! In: the name of a backup, or the newest. Out: its files on an empty disk, durable, each compared with its SHA-256; and
//! everything that is missing or damaged, by file and object. Memory: a few pieces, the index, a row for each object.

use std::collections::BTreeSet;

use anyhow::Context;
use nhatle_event::json::hex;
use nhatle_storage::Disk;
use nhatle_storage::disk;
use sha2::{Digest, Sha256};

use super::index::{self, Entry};
use super::remote::{Remote, Unread};
use super::transfer::Transfer;
use crate::backup::{FileRow, Index};
use crate::command::UsageError;
use crate::command::restore::Unwritten;

/// How many damaged files are named.
const DAMAGE_MAX: usize = 100;

/// What came out.
pub struct Rebuilt {
    /// The backup.
    pub name: String,
    /// What it says of itself; `None`: its index is damaged.
    pub index: Option<Index>,
    /// What is missing or damaged, a line each.
    pub damage: Vec<String>,
}

/// The backup whose name begins so, or the newest.
///
/// # Errors
/// There is none, or more than one; the store is not reached.
pub fn choose(remote: &Remote, named: Option<&str>) -> anyhow::Result<Entry> {
    let mut found = index::backups(remote)?;
    let Some(named) = named else {
        return found.pop().ok_or_else(|| UsageError(format!("no backup in {}", remote.address())).into());
    };
    found.retain(|entry| entry.name.starts_with(named));
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(UsageError(format!("no backup {named:?} in {}; see --list", remote.address())).into()),
        count => Err(UsageError(format!("{count} backups begin with {named:?} in {}", remote.address())).into()),
    }
}

/// Makes its files on an empty disk, as far as they are whole.
///
/// # Errors
/// The store is not reached; or, as [`Unwritten`], what the disk says.
pub fn rebuild(remote: &Remote, entry: &Entry, disk: &dyn Disk) -> anyhow::Result<Rebuilt> {
    let name = entry.name.clone();
    let index = match index::read(remote, entry)? {
        Ok(index) => index,
        Err(problem) => return Ok(Rebuilt { name, index: None, damage: vec![problem] }),
    };
    let listed = index::objects(remote)?;
    let private: BTreeSet<&str> = index.private.iter().map(String::as_str).collect();
    let (mut damage, mut folders) = (Vec::new(), BTreeSet::new());
    let mut transfer = Transfer::new("read");
    for row in &index.files {
        let object = index::object(&row.sha256);
        let problem = match index::hash(&row.sha256).and_then(|hash| listed.get(&hash)) {
            None => Some(format!("{}: {object} is missing", row.path)),
            Some(there) if there.bytes != row.bytes => {
                Some(format!("{}: {object} has {} bytes, not {}", row.path, there.bytes, row.bytes))
            }
            Some(_) => {
                let folder = disk::folder_of(&row.path);
                if folders.insert(folder) {
                    disk.create_folder(folder).with_context(|| Unwritten(row.path.clone()))?;
                }
                file(remote, row, private.contains(row.path.as_str()), disk, &mut transfer)?
            }
        };
        damage.extend(problem);
        if damage.len() == DAMAGE_MAX {
            damage.push("more was not looked at".to_owned());
            break;
        }
    }
    let synced = folders.iter().rev().try_for_each(|folder| disk.sync_folder(folder));
    synced.with_context(|| Unwritten("the folders".to_owned()))?;
    Ok(Rebuilt { name, index: Some(index), damage })
}

/// One file; what is wrong with its object.
fn file(
    remote: &Remote,
    row: &FileRow,
    is_private: bool,
    disk: &dyn Disk,
    transfer: &mut Transfer,
) -> anyhow::Result<Option<String>> {
    let unwritten = || Unwritten(row.path.clone());
    let object = index::object(&row.sha256);
    let made = if is_private { disk.create_private(&row.path) } else { disk.create(&row.path) };
    let mut file = made.with_context(unwritten)?;
    let (mut sha256, mut offset) = (Sha256::new(), 0);
    let read = remote.read(&object, row.bytes, |piece| {
        file.write_at(offset, piece).with_context(unwritten)?;
        sha256.update(piece);
        offset += piece.len() as u64;
        transfer.passed(piece.len() as u64);
        Ok(())
    });
    match read {
        Ok(()) => {}
        Err(Unread::Missing) => return Ok(Some(format!("{}: {object} is missing", row.path))),
        Err(Unread::Failed(error)) => return Err(error),
    }
    file.sync_data().with_context(unwritten)?;
    transfer.file();
    let found = hex(&sha256.finalize());
    let is_same = offset == row.bytes && found == row.sha256;
    Ok((!is_same).then(|| format!("{}: {object} is damaged: {offset} bytes with SHA-256 {found}", row.path)))
}
