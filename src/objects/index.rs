//! What stands where in an object store, and the indexes of its backups.
//!
//! In: names as they are listed, bytes of an index. Out: [`Backups`], [`Listed`], a checked [`Index`]. The name of an index
//! holds when it was made and the SHA-256 of its bytes, so it cannot be altered under its name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use nhatle_event::json::hex;
use sha2::{Digest, Sha256};

use super::remote::{Remote, Unread};
use crate::backup::{FILES_MAX, FORMAT_OBJECTS, INDEX_BYTES_MAX, Index, is_plain};

/// Where files stand.
pub const OBJECTS: &str = "objects";
/// Where indexes stand.
pub const BACKUPS: &str = "backups";
/// How many backups one prefix may have.
pub const BACKUPS_MAX: usize = 100_000;
/// How many objects one prefix may have.
pub const OBJECTS_MAX: usize = 4_000_000;

/// SHA-256 as bytes.
pub type Hash = [u8; 32];

/// The object that holds a file of this SHA-256, hexadecimal.
pub fn object(sha256: &str) -> String {
    format!("{OBJECTS}/{}/{sha256}", sha256.get(..2).unwrap_or_default())
}

/// Reads a SHA-256 in lower-case hexadecimal.
pub fn hash(text: &str) -> Option<Hash> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(hash)
}

/// An index among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `<when>-<SHA-256>`: how it is named, without folder and ending.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was put, by the store's clock, in seconds since 1970.
    pub put_s: i64,
}

impl Entry {
    /// The object.
    pub fn object(&self) -> String {
        format!("{BACKUPS}/{}.json", self.name)
    }
}

/// The name of an index: when it was made ("2026-02-03T04:05:06Z", or with more digits), and its bytes.
pub fn name(made: &str, bytes: &[u8]) -> String {
    let when: String = made.chars().take(19).filter(|digit| !matches!(digit, '-' | ':')).collect();
    format!("{when}Z-{}", hex(&Sha256::digest(bytes)))
}

/// All backups of a prefix, the oldest first.
///
/// # Errors
/// The store is not reached; there are too many.
pub fn backups(remote: &Remote) -> anyhow::Result<Vec<Entry>> {
    let mut found = BTreeMap::new();
    remote.list(BACKUPS, |meta| {
        let name = meta.location.filename().and_then(|name| name.strip_suffix(".json"));
        let sha256 = name.and_then(|name| name.rsplit_once('-')).and_then(|(_, sha256)| hash(sha256));
        if let (Some(name), Some(_)) = (name, sha256) {
            if found.len() == BACKUPS_MAX {
                bail!("more than {BACKUPS_MAX} backups in {}", remote.address());
            }
            let entry = Entry { name: name.to_owned(), bytes: meta.size, put_s: meta.last_modified.timestamp() };
            found.insert(name.to_owned(), entry);
        }
        Ok(())
    })?;
    Ok(found.into_values().collect())
}

/// An object as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its length.
    pub bytes: u64,
    /// When it was put, by the store's clock, in seconds since 1970.
    pub put_s: i64,
}

/// All files that stand there.
///
/// # Errors
/// The store is not reached; there are too many.
pub fn objects(remote: &Remote) -> anyhow::Result<BTreeMap<Hash, Listed>> {
    let mut found = BTreeMap::new();
    remote.list(OBJECTS, |meta| {
        if let Some(hash) = meta.location.filename().and_then(hash) {
            if OBJECTS_MAX <= found.len() {
                bail!("more than {OBJECTS_MAX} objects in {}", remote.address());
            }
            found.insert(hash, Listed { bytes: meta.size, put_s: meta.last_modified.timestamp() });
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads an index. `Ok(Err(what))`: it is missing, altered, or none.
///
/// # Errors
/// The store is not reached.
pub fn read(remote: &Remote, entry: &Entry) -> anyhow::Result<Result<Index, String>> {
    let object = entry.object();
    if INDEX_BYTES_MAX < entry.bytes {
        return Ok(Err(format!("index {object} is larger than {INDEX_BYTES_MAX} bytes")));
    }
    let mut bytes = Vec::new();
    let keep = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    match remote.read(&object, entry.bytes, keep) {
        Ok(()) => {}
        Err(Unread::Missing) => return Ok(Err(format!("index {object} is missing"))),
        Err(Unread::Failed(error)) => return Err(error),
    }
    let sha256 = hex(&Sha256::digest(&bytes));
    if !entry.name.ends_with(&sha256) {
        return Ok(Err(format!("index {object} was altered: its SHA-256 is {sha256}")));
    }
    Ok(parse(&bytes).map_err(|error| format!("index {object}: {error:#}")))
}

/// Bytes of an index that is whole by itself.
fn parse(bytes: &[u8]) -> anyhow::Result<Index> {
    let index: Index = serde_json::from_slice(bytes).context("it is no index")?;
    if index.format != FORMAT_OBJECTS {
        bail!("it is of format {}, this program reads {FORMAT_OBJECTS}", index.format);
    }
    if FILES_MAX < index.files.len() {
        bail!("it names more than {FILES_MAX} files");
    }
    let mut paths = BTreeSet::new();
    for row in &index.files {
        if !is_plain(&row.path) || hash(&row.sha256).is_none() {
            bail!("{:?} is no file of a store", row.path);
        }
        if !paths.insert(row.path.as_str()) {
            bail!("{} is there twice", row.path);
        }
    }
    // A file in whose place another one needs a folder.
    if let Some(path) = paths.iter().find(|path| path.match_indices('/').any(|(at, _)| paths.contains(&path[..at]))) {
        bail!("{path} stands below a file");
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::FileRow;

    #[test]
    fn names_hold_the_time_and_the_hash() {
        let named = name("2026-02-03T04:05:06.789Z", b"abc");
        assert_eq!(named, "20260203T040506Z-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let sha256 = &named[17..];
        assert_eq!(hash(sha256).map(|hash| hex(&hash)).as_deref(), Some(sha256));
        assert_eq!(object(sha256), format!("objects/ba/{sha256}"));
        for bad in ["", "ba", &sha256.to_uppercase(), &sha256.replace('b', "g"), &sha256.replace('b', "é")] {
            assert_eq!(hash(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_index_names_files_of_a_store_and_nothing_else() {
        let sha256 = hex(&Sha256::digest(b"a"));
        let with = |format: u32, paths: &[&str], sha256: &str| {
            let row = |path: &&str| FileRow { path: (*path).to_owned(), bytes: 1, sha256: sha256.to_owned() };
            let index = Index {
                format,
                made: String::new(),
                last_seq: 0,
                events: 0,
                datasets: BTreeMap::new(),
                register_entries: 0,
                since: None,
                kept: Vec::new(),
                private: Vec::new(),
                files: paths.iter().map(row).collect(),
            };
            parse(&serde_json::to_vec(&index).expect("is JSON")).is_ok()
        };
        assert!(with(FORMAT_OBJECTS, &["log/1", "log/2", "a"], &sha256));
        assert!(!with(1, &["a"], &sha256));
        for bad in [&["/etc/passwd"][..], &["../a"], &["a/../../b"], &["a", "a"], &["a", "a/b"], &[""], &["a\\b"]] {
            assert!(!with(FORMAT_OBJECTS, bad, &sha256), "{bad:?}");
        }
        assert!(!with(FORMAT_OBJECTS, &["a"], "../../b"));
        assert!(parse(b"{}").is_err());
    }
}
