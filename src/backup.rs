//! The form of a backup: one tar archive (POSIX ustar) that any `tar` can list, with an index as its last file.
//!
//! The index says of each file before it how long it is and its SHA-256, and what the store held: a backup without one
//! was not finished. Source: POSIX.1-2017, pax, "ustar Interchange Format"; docs/operate.md.

use std::io::{Read, Write};

use anyhow::{Context, bail};
use nhatle_event::json::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The last file of the archive.
pub const INDEX: &str = "nhatle-backup.json";
/// The version of this form.
pub const FORMAT: u32 = 1;
/// How many files an archive may hold.
pub const FILES_MAX: usize = 1_000_000;
/// How large the index may be.
const INDEX_BYTES_MAX: u64 = 256 << 20;
/// What is read at once.
const READ_BYTES: usize = 256 << 10;

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// Its path below the data folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`FORMAT`].
    pub format: u32,
    /// When it was made.
    pub made: String,
    /// The last event's `Seq`; all up to it are there.
    pub last_seq: u64,
    /// How many events of all datasets that are.
    pub events: u64,
    /// Entries of the register.
    pub register_entries: u64,
    /// Every file, in the order of the archive.
    pub files: Vec<FileRow>,
}

impl Index {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|row| row.bytes).sum()
    }
}

/// Writes an archive.
pub struct Archive<W: Write> {
    tar: tar::Builder<W>,
    files: Vec<FileRow>,
}

impl<W: Write> Archive<W> {
    /// Into this.
    pub fn new(into: W) -> Archive<W> {
        Archive { tar: tar::Builder::new(into), files: Vec::new() }
    }

    /// Adds a file. `is_private`: nobody but its owner may read it.
    ///
    /// # Errors
    /// The disk says so, or there are too many files.
    pub fn add(&mut self, path: &str, bytes: &[u8], is_private: bool) -> anyhow::Result<()> {
        if FILES_MAX <= self.files.len() {
            bail!("more than {FILES_MAX} files");
        }
        self.append(path, bytes, is_private)?;
        let (length, sha256) = (bytes.len() as u64, hex(&Sha256::digest(bytes)));
        self.files.push(FileRow { path: path.to_owned(), bytes: length, sha256 });
        Ok(())
    }

    fn append(&mut self, path: &str, bytes: &[u8], is_private: bool) -> anyhow::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(if is_private { 0o600 } else { 0o644 });
        header.set_entry_type(tar::EntryType::Regular);
        self.tar.append_data(&mut header, path, bytes).with_context(|| format!("write {path} into the backup"))
    }

    /// Adds the index and ends the archive; gives back what it was written into, and the index.
    ///
    /// # Errors
    /// The disk says so.
    pub fn finish(mut self, index: impl FnOnce(Vec<FileRow>) -> Index) -> anyhow::Result<(W, Index)> {
        let index = index(std::mem::take(&mut self.files));
        self.append(INDEX, &serde_json::to_vec(&index)?, true)?;
        Ok((self.tar.into_inner()?, index))
    }
}

/// Reads an archive to its end and compares every file with the index. `keep` is given each piece of each file in order:
/// its path, whether it is private, and the bytes; an empty piece is its end.
///
/// # Errors
/// The archive is cut, altered, or none; `keep` failed.
pub fn read(from: impl Read, mut keep: impl FnMut(&str, bool, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<Index> {
    let mut tar = tar::Archive::new(from);
    let mut found: Vec<FileRow> = Vec::new();
    let mut index: Option<Index> = None;
    let mut piece = vec![0; READ_BYTES];
    for entry in tar.entries().context("read the backup")? {
        let mut entry = entry.context("read the backup")?;
        if index.is_some() {
            bail!("something stands behind the index of the backup");
        }
        let path = String::from_utf8(entry.path_bytes().into_owned()).context("a file's name is no text")?;
        if entry.header().entry_type() != tar::EntryType::Regular || !is_plain(&path) {
            bail!("{path:?} is no file of a store");
        }
        if FILES_MAX <= found.len() {
            bail!("more than {FILES_MAX} files");
        }
        if path == INDEX {
            let mut bytes = Vec::new();
            (&mut entry).take(INDEX_BYTES_MAX).read_to_end(&mut bytes).context("read the index of the backup")?;
            index = Some(serde_json::from_slice(&bytes).context("the index of the backup is none")?);
            continue;
        }
        let is_private = entry.header().mode().unwrap_or(0o600) & 0o077 == 0;
        let (mut sha256, mut bytes) = (Sha256::new(), 0);
        loop {
            let count = entry.read(&mut piece).with_context(|| format!("read {path} of the backup"))?;
            keep(&path, is_private, &piece[..count])?;
            if count == 0 {
                break;
            }
            sha256.update(&piece[..count]);
            bytes += count as u64;
        }
        if bytes != entry.header().size().unwrap_or(0) {
            bail!("the backup is cut off in {path}");
        }
        found.push(FileRow { path, bytes, sha256: hex(&sha256.finalize()) });
    }
    let Some(index) = index else { bail!("the backup has no index: it was cut off, or is none") };
    if index.format != FORMAT {
        bail!("the backup is of format {}, this program reads {FORMAT}", index.format);
    }
    for (is, should) in found.iter().zip(&index.files) {
        if is != should {
            bail!("{} of the backup is not as it was written (its index says {})", is.path, should.path);
        }
    }
    if found.len() != index.files.len() {
        bail!("the backup has {} files, its index says {}", found.len(), index.files.len());
    }
    Ok(index)
}

/// A path below a folder: names with `/` between them, none of them empty, `.` or `..`.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | "..")) && !path.contains(['\0', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        for (path, bytes) in files {
            archive.add(path, bytes, path.starts_with("pki")).expect("is written");
        }
        let index = |files| Index {
            format: FORMAT,
            made: "2026-02-03T04:05:06Z".to_owned(),
            last_seq: 7,
            events: 7,
            register_entries: 1,
            files,
        };
        archive.finish(index).expect("is written").0
    }

    fn files(bytes: &[u8]) -> Result<Vec<(String, bool, Vec<u8>)>, String> {
        let mut kept: Vec<(String, bool, Vec<u8>)> = Vec::new();
        let mut is_new = true;
        let index = read(bytes, |path, is_private, piece| {
            if std::mem::replace(&mut is_new, piece.is_empty()) {
                kept.push((path.to_owned(), is_private, Vec::new()));
            }
            kept.last_mut().expect("was just put there").2.extend_from_slice(piece);
            Ok(())
        });
        index.map(|_| kept).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_was_written_is_read() {
        let large = vec![7; READ_BYTES + 1];
        let long = format!("segments/{}/rows.parquet", "x".repeat(90));
        let written = [("log/1.log", &b"abc"[..]), ("empty", b""), ("pki/ca.key", b"secret"), (&long, &large)];
        let read = files(&archive(&written)).expect("is whole");
        let expected = written.map(|(path, bytes)| (path.to_owned(), path.starts_with("pki"), bytes.to_vec()));
        assert_eq!(read, expected);
    }

    #[test]
    fn every_cut_and_every_altered_byte_of_a_file_is_noticed() {
        let whole = archive(&[("a", b"abcdef"), ("b", b"ghi")]);
        for length in (0..whole.len()).step_by(101) {
            // The zeros at the end of an archive may be missing.
            if whole[length..].iter().any(|byte| *byte != 0) {
                assert!(files(&whole[..length]).is_err(), "cut at {length}");
            }
        }
        for at in (512..518).chain(1536..1539) {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            assert!(files(&altered).is_err(), "altered at {at}");
        }
        assert!(files(b"").is_err());
        assert!(files(&[7; 4096]).is_err());
    }

    #[test]
    fn no_file_leaves_the_folder() {
        for path in ["../x", "a/../../x", "/etc/x", "a//b", "./a", "a\\b", ""] {
            assert!(!is_plain(path), "{path}");
        }
        assert!(is_plain("log/0000000000000001.log"));
    }
}
