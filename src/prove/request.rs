//! What another process asks the server that has the folder for: a head that covers everything, and, where a file leaves
//! the house, that it is written down before. In: the file [`REQUEST`], which appears whole. Out: the same, read back.
//! Failure: what is no such request asks for a head only.

use std::io;

use nhatle_event::json::hex;
use nhatle_storage::Disk;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

/// Where the request stands.
pub const REQUEST: &str = "proof/request";
/// A request is not longer than this, bytes.
const REQUEST_BYTES_MAX: u64 = 4_096;
/// Nor a file's name, characters.
pub const NAME_CHARS_MAX: usize = 255;

/// A file that leaves the house, as the log of the proof names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name, without folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Document {
    /// Of a file with this name and these bytes.
    pub fn of(name: &str, bytes: &[u8]) -> Document {
        let name = name.chars().take(NAME_CHARS_MAX).collect();
        Document { name, bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
    }

    /// Whether it is one that [`Document::of`] could have made.
    fn is_sound(&self) -> bool {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        self.name.chars().count() <= NAME_CHARS_MAX && self.sha256.len() == 64 && self.sha256.bytes().all(is_hex)
    }
}

/// Asks the server that has this folder for a head, over this document too.
///
/// # Errors
/// What the disk says.
pub fn ask(disk: &dyn Disk, document: Option<&Document>) -> io::Result<()> {
    let text = document.map(serde_json::to_vec).transpose().map_err(io::Error::from)?;
    disk.replace(REQUEST, &text.unwrap_or_default())
}

/// Whether somebody asks.
pub fn is_asked(disk: &dyn Disk) -> bool {
    disk.length(REQUEST).is_ok_and(|length| length.is_some())
}

/// The document that is to be written down, where there is one.
pub fn document(disk: &dyn Disk) -> Option<Document> {
    let length = disk.length(REQUEST).ok().flatten().filter(|length| 0 < *length)?;
    let bytes = if length <= REQUEST_BYTES_MAX { disk.read(REQUEST).ok()? } else { Vec::new() };
    let document = serde_json::from_slice::<Document>(&bytes).ok().filter(Document::is_sound);
    if document.is_none() {
        warn!("the request for a head names a file in no known form; passed over");
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_made_and_nonsense_asks_for_a_head_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there");
        disk.create_folder("proof").expect("is made");
        assert!(!is_asked(&disk));
        ask(&disk, None).expect("is asked");
        assert!(is_asked(&disk) && document(&disk).is_none());
        let report = Document::of("báo cáo.pdf", b"thang 11");
        ask(&disk, Some(&report)).expect("is asked");
        assert_eq!(document(&disk), Some(report.clone()));
        let long = Document { name: "a".repeat(NAME_CHARS_MAX + 1), ..report.clone() };
        for bad in [
            b"{".to_vec(),
            vec![b' '; 5_000],
            serde_json::to_vec(&long).expect("JSON"),
            serde_json::to_vec(&Document { sha256: "x".repeat(64), ..report }).expect("JSON"),
        ] {
            disk.replace(REQUEST, &bad).expect("is written");
            assert!(is_asked(&disk) && document(&disk).is_none());
        }
    }
}
