//! The form of a backup: one tar archive (POSIX ustar) that any `tar` can list, with an index as its last file.
//!
//! The index says of each file before it how long it is and its SHA-256, and what the store held: a backup without one
//! was not finished. An **increment** holds only what the backups before it do not; its index names the one before by the
//! SHA-256 of that one's index, and of each file that stands in an earlier one, in which. So a chain cannot be mixed up,
//! and any link altered is found. Source: POSIX.1-2017, pax, "ustar Interchange Format"; docs/operate.md.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use anyhow::{Context, bail};
use nhatle_event::json::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The last file of the archive.
pub const INDEX: &str = "nhatle-backup.json";
/// The version of this form: a backup that stands alone.
pub const FORMAT: u32 = 1;
/// The version of an increment, which a program that knows only whole ones must refuse.
pub const FORMAT_INCREMENT: u32 = 2;
/// The version of an index in an object store ([`crate::objects`]).
pub const FORMAT_OBJECTS: u32 = 3;
/// How many files an archive, or a chain, may hold.
pub const FILES_MAX: usize = 1_000_000;
/// How large the index may be.
pub const INDEX_BYTES_MAX: u64 = 256 << 20;
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

/// One file that stands in an earlier archive of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRow {
    /// The file.
    #[serde(flatten)]
    pub file: FileRow,
    /// [`Link::id`] of the archive it stands in.
    pub archive: String,
}

/// The backup before an increment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Its [`Link::id`].
    pub id: String,
    /// When it was made.
    pub made: String,
    /// The last event it goes to.
    pub last_seq: u64,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`FORMAT`], [`FORMAT_INCREMENT`], or [`FORMAT_OBJECTS`].
    pub format: u32,
    /// When it was made.
    pub made: String,
    /// The last event's `Seq`; all up to it are there.
    pub last_seq: u64,
    /// How many events of all datasets that are.
    pub events: u64,
    /// How many of each dataset; empty in a backup from before this was counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub datasets: BTreeMap<String, u64>,
    /// Entries of the register.
    pub register_entries: u64,
    /// Of an increment: the backup before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// Of an increment: the files that stand in earlier archives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptRow>,
    /// In an object store: the files nobody but their owner may read; in an archive their own modes say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub private: Vec<String>,
    /// Every file, in the order of the archive.
    pub files: Vec<FileRow>,
}

impl Index {
    /// The bytes of all files of this archive.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|row| row.bytes).sum()
    }
}

/// An archive as one of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// SHA-256 of its index, hexadecimal: it stands for everything in it, and in those before it.
    pub id: String,
    /// Its index.
    pub index: Index,
}

impl Link {
    fn of(bytes: &[u8]) -> anyhow::Result<Link> {
        let index: Index = serde_json::from_slice(bytes).context("the index of the backup is none")?;
        let (is_increment, known) = (index.since.is_some(), [FORMAT, FORMAT_INCREMENT]);
        if !known.contains(&index.format) || (index.format == FORMAT_INCREMENT) != is_increment {
            bail!("the backup is of format {}, this program reads {FORMAT} and {FORMAT_INCREMENT}", index.format);
        }
        if FILES_MAX < index.files.len() + index.kept.len() {
            bail!("the index of the backup names more than {FILES_MAX} files");
        }
        Ok(Link { id: hex(&Sha256::digest(bytes)), index })
    }

    /// Where each file of the store as it was stands: here, or in an earlier archive.
    pub fn places(&self) -> BTreeMap<String, KeptRow> {
        let here = self.index.files.iter().map(|file| KeptRow { file: file.clone(), archive: self.id.clone() });
        here.chain(self.index.kept.iter().cloned()).map(|row| (row.file.path.clone(), row)).collect()
    }
}

/// Reads the index of a finished archive, and nothing else of it.
///
/// # Errors
/// It has none, or it is none.
pub fn link(mut file: &File) -> anyhow::Result<Link> {
    file.seek(SeekFrom::Start(0))?;
    let mut tar = tar::Archive::new(file);
    for entry in tar.entries_with_seek().context("read the backup")? {
        let mut entry = entry.context("read the backup")?;
        if entry.path_bytes().as_ref() == INDEX.as_bytes() {
            return Link::of(&index_bytes(&mut entry)?);
        }
    }
    bail!("the backup has no index: it was cut off, or is none")
}

fn index_bytes(entry: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(INDEX_BYTES_MAX).read_to_end(&mut bytes).context("read the index of the backup")?;
    Ok(bytes)
}

/// Bytes that are hashed as they pass.
struct Hashing<R> {
    from: R,
    sha256: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(into)?;
        self.sha256.update(&into[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Length and SHA-256 of what can be read, up to `length` bytes.
///
/// # Errors
/// It cannot be read.
pub fn hash_of(from: impl Read, length: u64) -> std::io::Result<(u64, String)> {
    let mut from = Hashing { from: from.take(length), sha256: Sha256::new(), bytes: 0 };
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok((from.bytes, hex(&from.sha256.finalize())))
}

/// Writes an archive.
pub struct Archive<W: Write> {
    tar: tar::Builder<W>,
    files: Vec<FileRow>,
    kept: Vec<KeptRow>,
}

impl<W: Write> Archive<W> {
    /// Into this.
    pub fn new(into: W) -> Archive<W> {
        Archive { tar: tar::Builder::new(into), files: Vec::new(), kept: Vec::new() }
    }

    /// Adds a file of just so many bytes, as they come; what `from` has behind them is left out. `is_private`: nobody but
    /// its owner may read it. Gives its row.
    ///
    /// # Errors
    /// There are not so many bytes, they cannot be read, the disk says so, or there are too many files.
    pub fn add(&mut self, path: &str, length: u64, is_private: bool, from: impl Read) -> anyhow::Result<&FileRow> {
        if FILES_MAX <= self.files.len() + self.kept.len() {
            bail!("more than {FILES_MAX} files");
        }
        let mut from = Hashing { from: from.take(length), sha256: Sha256::new(), bytes: 0 };
        self.append(path, length, is_private, &mut from)?;
        if from.bytes != length {
            bail!("{path} has {} bytes, not {length}: it became shorter while it was read", from.bytes);
        }
        self.files.push(FileRow { path: path.to_owned(), bytes: length, sha256: hex(&from.sha256.finalize()) });
        Ok(&self.files[self.files.len() - 1])
    }

    /// Says that a file stands in an earlier archive of the chain.
    ///
    /// # Errors
    /// There are too many files.
    pub fn keep(&mut self, row: KeptRow) -> anyhow::Result<()> {
        if FILES_MAX <= self.files.len() + self.kept.len() {
            bail!("more than {FILES_MAX} files");
        }
        self.kept.push(row);
        Ok(())
    }

    fn append(&mut self, path: &str, length: u64, is_private: bool, from: impl Read) -> anyhow::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(if is_private { 0o600 } else { 0o644 });
        header.set_entry_type(tar::EntryType::Regular);
        self.tar.append_data(&mut header, path, from).with_context(|| format!("write {path} into the backup"))
    }

    /// Adds the index and ends the archive; gives back what it was written into, and what it is in a chain.
    ///
    /// # Errors
    /// The disk says so.
    pub fn finish(mut self, index: impl FnOnce(Vec<FileRow>, Vec<KeptRow>) -> Index) -> anyhow::Result<(W, Link)> {
        let index = index(std::mem::take(&mut self.files), std::mem::take(&mut self.kept));
        let bytes = serde_json::to_vec(&index)?;
        self.append(INDEX, bytes.len() as u64, true, &bytes[..])?;
        Ok((self.tar.into_inner()?, Link::of(&bytes)?))
    }
}

/// Reads an archive to its end and compares every file with the index. `keep` is given each piece of each file in order:
/// its path, whether it is private, and the bytes; an empty piece is its end.
///
/// # Errors
/// The archive is cut, altered, or none; `keep` failed.
pub fn read(from: impl Read, mut keep: impl FnMut(&str, bool, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<Link> {
    let mut tar = tar::Archive::new(from);
    let mut found: Vec<FileRow> = Vec::new();
    let mut link: Option<Link> = None;
    let mut piece = vec![0; READ_BYTES];
    for entry in tar.entries().context("read the backup")? {
        let mut entry = entry.context("read the backup")?;
        if link.is_some() {
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
            link = Some(Link::of(&index_bytes(&mut entry)?)?);
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
    let Some(link) = link else { bail!("the backup has no index: it was cut off, or is none") };
    let index = &link.index;
    for (is, should) in found.iter().zip(&index.files) {
        if is != should {
            bail!("{} of the backup is not as it was written (its index says {})", is.path, should.path);
        }
    }
    if found.len() != index.files.len() {
        bail!("the backup has {} files, its index says {}", found.len(), index.files.len());
    }
    Ok(link)
}

/// A path below a folder: names with `/` between them, none of them empty, `.` or `..`.
pub fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | "..")) && !path.contains(['\0', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        for (path, bytes) in files {
            archive.add(path, bytes.len() as u64, path.starts_with("pki"), *bytes).expect("is written");
        }
        let index = |files, kept| Index {
            format: FORMAT,
            made: "2026-02-03T04:05:06Z".to_owned(),
            last_seq: 7,
            events: 7,
            datasets: BTreeMap::new(),
            register_entries: 1,
            since: None,
            kept,
            private: Vec::new(),
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
    fn a_target_that_is_full_at_any_byte_gives_no_archive() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let count = bytes.len().min(self.0);
                self.0 -= count;
                if count == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(count) }
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let whole = archive(&[("a", b"abcdef"), ("b", &[7; 3000])]).len();
        for room in (0..whole).step_by(64) {
            let mut full = Archive::new(Full(room));
            let written = full
                .add("a", 6, false, &b"abcdef"[..])
                .map(drop)
                .and_then(|()| full.add("b", 3000, false, &[7; 3000][..]).map(drop));
            let index = |files, kept| Index {
                format: FORMAT,
                made: "2026-02-03T04:05:06Z".to_owned(),
                last_seq: 7,
                events: 7,
                datasets: BTreeMap::new(),
                register_entries: 1,
                since: None,
                kept,
                private: Vec::new(),
                files,
            };
            let finished = written.and_then(|()| full.finish(index).map(drop));
            assert!(finished.is_err(), "room for {room} of {whole} bytes");
        }
    }

    #[test]
    fn a_file_that_becomes_shorter_is_no_file_and_one_that_grows_is_cut() {
        let mut archive = Archive::new(Vec::new());
        assert_eq!(archive.add("grows", 3, false, &b"abcdef"[..]).expect("is written").bytes, 3);
        assert!(archive.add("shrinks", 7, false, &b"abcdef"[..]).is_err());
        assert_eq!(hash_of(&b"abcdef"[..], 3).expect("is read"), hash_of(&b"abc"[..], 9).expect("is read"));
    }

    #[test]
    fn no_file_leaves_the_folder() {
        for path in ["../x", "a/../../x", "/etc/x", "a//b", "./a", "a\\b", ""] {
            assert!(!is_plain(path), "{path}");
        }
        assert!(is_plain("log/0000000000000001.log"));
    }
}
