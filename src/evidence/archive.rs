//! An evidence package as one file: a tar archive (POSIX ustar) that any `tar` opens, the same bytes each time it is made
//! of the same things. In: files by name. Out: the archive, and back. Failure: what is no such archive, or past a limit.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, bail};
use nhatle_storage::proof::package::{BYTES_MAX, FILES_MAX};

/// The archive.
///
/// # Errors
/// A name that does not fit, which would be a mistake of ours.
pub fn write(files: &[(String, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, name, &bytes[..])?;
    }
    tar.into_inner()
}

/// The files of an archive.
///
/// # Errors
/// It is none, holds something but plain files, one twice, or too much.
pub fn read(from: impl Read) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut left = BYTES_MAX;
    let mut tar = tar::Archive::new(from);
    for entry in tar.entries().context("read the package")? {
        let mut entry = entry.context("read the package")?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).context("a file's name is no text")?;
        if entry.header().entry_type() != tar::EntryType::Regular || name.contains('/') {
            bail!("{name:?} is no plain file");
        }
        if files.len() == FILES_MAX || left < entry.size() {
            bail!("more than {FILES_MAX} files or {BYTES_MAX} bytes");
        }
        left -= entry.size();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).with_context(|| format!("read {name}"))?;
        if files.insert(name.clone(), bytes).is_some() {
            bail!("{name} is there twice");
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_the_same_each_time_and_comes_back() {
        let files = vec![("a.txt".to_owned(), b"one".to_vec()), ("b.txt".to_owned(), vec![0; 1000])];
        let bytes = write(&files).expect("an archive");
        assert_eq!(bytes, write(&files).expect("an archive"));
        assert_eq!(read(&bytes[..]).expect("files"), files.clone().into_iter().collect());
        assert!(read(&bytes[..700]).is_err());
        let twice = [files[0].clone(), files[0].clone()];
        assert!(read(&write(&twice).expect("an archive")[..]).is_err());
        assert!(read(&b"something else that is no archive"[..]).is_err());
    }
}
