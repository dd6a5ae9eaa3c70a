//! Files of reference data below the data folder, each named by the SHA-256 of its bytes.
//!
//! In: bytes. Out: their hash, once they are durable; and the bytes again. Promise: a file is there whole or not at all,
//! and what is read has the hash it is named by. Failure: what the system says, with the path.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nhatle_event::json::hex;
use sha2::{Digest, Sha256};

/// A file that nothing names is kept for so long: a command may be about to name it.
const KEPT_UNNAMED: Duration = Duration::from_secs(3600);

/// What a file is for; also the folder it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// The table of assets.
    Assets,
    /// Places and networks of addresses.
    GeoIp,
    /// Lists of indicators.
    Intel,
}

impl Shelf {
    /// All of them.
    pub const ALL: [Shelf; 3] = [Shelf::Assets, Shelf::GeoIp, Shelf::Intel];

    /// The folder's name below the data folder.
    pub fn folder(self) -> &'static str {
        match self {
            Shelf::Assets => "assets",
            Shelf::GeoIp => "geoip",
            Shelf::Intel => "intel",
        }
    }

    /// The shelf of a name in the register.
    pub fn of(name: &str) -> Shelf {
        use nhatle_engine::reference::{ASSETS, INTEL};
        match name {
            ASSETS => Shelf::Assets,
            name if name.starts_with(INTEL) => Shelf::Intel,
            _ => Shelf::GeoIp,
        }
    }

    /// Where a file lies.
    pub fn path(self, data: &Path, sha256: &str) -> PathBuf {
        data.join(self.folder()).join(sha256)
    }

    /// Keeps bytes; the same bytes are kept once.
    ///
    /// # Errors
    /// The folder or file cannot be written.
    pub fn keep(self, data: &Path, bytes: &[u8]) -> io::Result<String> {
        let sha256 = sha256(bytes);
        let path = self.path(data, &sha256);
        if path.is_file() {
            return Ok(sha256);
        }
        let folder = data.join(self.folder());
        fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(|error| at(&folder, &error))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| at(&path, &error.error))?;
        File::open(&folder)?.sync_all()?;
        Ok(sha256)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// It cannot be read, or is not what it is named.
    pub fn read(self, data: &Path, sha256_named: &str) -> io::Result<Vec<u8>> {
        let path = self.path(data, sha256_named);
        let bytes = fs::read(&path).map_err(|error| at(&path, &error))?;
        if sha256(&bytes) != sha256_named {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: damaged, its hash is another one", path.display()),
            ));
        }
        Ok(bytes)
    }

    /// Takes away files that nothing names and nobody is about to name.
    pub fn tidy(self, data: &Path, named: &BTreeSet<String>) {
        let Ok(entries) = fs::read_dir(data.join(self.folder())) else { return };
        for entry in entries.flatten() {
            let is_named = entry.file_name().to_str().is_some_and(|name| named.contains(name));
            let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
            let is_old = !is_named && age.is_some_and(|age| KEPT_UNNAMED < age);
            if is_old && let Err(error) = fs::remove_file(entry.path()) {
                tracing::debug!(%error, "old reference data not removed");
            }
        }
    }
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_back_or_says_that_it_is_damaged() {
        let data = tempfile::tempdir().expect("a folder");
        let name = Shelf::Assets.keep(data.path(), b"host\na\n").expect("is kept");
        assert_eq!(Shelf::Assets.keep(data.path(), b"host\na\n").expect("is kept"), name);
        assert_eq!(Shelf::Assets.read(data.path(), &name).expect("reads"), b"host\na\n");
        Shelf::Assets.tidy(data.path(), &BTreeSet::new());
        assert!(Shelf::Assets.read(data.path(), &name).is_ok(), "it may be about to be named");
        fs::write(Shelf::Assets.path(data.path(), &name), b"other").expect("writes");
        assert_eq!(Shelf::Assets.read(data.path(), &name).expect_err("is damaged").kind(), io::ErrorKind::InvalidData);
    }
}
