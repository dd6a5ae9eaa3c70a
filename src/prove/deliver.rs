//! Heads to second parties. In: the store's newest head. Out: it is appended to files, and posted to witnesses with a
//! proof that it continues what each of them has. What a second party already has is compared first: a copy or a witness
//! that knows a longer log, or another one, says that this store was put back or written anew. Failure: a line in the
//! log; tried again with the next tick.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nhatle_storage::proof::witness::AddCheckpoint;
use nhatle_storage::proof::{SignedHead, head, log, tree};
use nhatle_storage::{Disk, ReadError};
use tracing::{info, warn};

use super::alert::Trouble;
use super::receive::PATH;
use crate::forward::client::{City, Client, LineError};
use crate::pki;

/// How much of the end of a copy is read for its newest head.
const TAIL_BYTES: u64 = 64 << 10;
/// How often one delivery tries again with the size that the witness said.
const TRIES_MAX: usize = 3;

/// What a second party said of our log: something is wrong with it, and the size of the head it has.
pub type Contradiction = (Trouble, u64);

/// The file for heads of `origin` at a place that may be a folder.
fn file_of(place: &Path, origin: &str) -> PathBuf {
    if place.is_dir() { place.join(format!("{}.heads", origin.replace('/', "-"))) } else { place.to_owned() }
}

/// Appends a head to a copy, durably; first compares what stands there.
///
/// # Errors
/// The file cannot be read or written.
pub fn append(disk: &dyn Disk, place: &Path, newest: &SignedHead) -> std::io::Result<Option<Contradiction>> {
    let path = file_of(place, &newest.head.origin);
    let mut file = std::fs::OpenOptions::new().read(true).append(true).create(true).open(&path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    Read::by_ref(&mut file).take(TAIL_BYTES).read_to_end(&mut tail)?;
    let known = last_head(&tail, &newest.head.origin);
    if let Some(known) = known {
        if known.head.size == newest.head.size && known.head.root == newest.head.root {
            return Ok(None);
        }
        if let Some(trouble) = contradicts(disk, &known, newest).map_err(std::io::Error::other)? {
            return Ok(Some((trouble, known.head.size)));
        }
    }
    // A copy that was torn goes on in a paragraph of its own.
    let gap = if tail.is_empty() || tail.ends_with(b"\n\n") { "" } else { "\n\n" };
    file.write_all(format!("{gap}{}\n", newest.to_text()).as_bytes())?;
    file.sync_all()?;
    Ok(None)
}

/// The last head of `origin` in the end of a file.
fn last_head(tail: &[u8], origin: &str) -> Option<SignedHead> {
    let text = String::from_utf8_lossy(tail);
    let begins = text.match_indices(origin).map(|(at, _)| at).filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    let begins: Vec<usize> = begins.collect();
    begins.into_iter().rev().find_map(|at| {
        let head = head::read_all(&text[at..]).into_iter().next()?.ok()?;
        (head.head.origin == origin).then_some(head)
    })
}

/// What the store is, beside a head of it that somebody kept.
fn contradicts(disk: &dyn Disk, known: &SignedHead, newest: &SignedHead) -> Result<Option<Trouble>, ReadError> {
    if newest.head.size < known.head.size {
        return Ok(Some(Trouble::WentBack));
    }
    let root = tree::root(&|level, place| log::node(disk, level, place), known.head.size)?;
    Ok((root != known.head.root).then_some(Trouble::Contradicts))
}

/// A witness, and the size of the head it took last.
pub struct Witness {
    client: Client,
    name: String,
    known: u64,
}

/// Why a head could not be posted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The witness does not take it.
    #[error("the witness answers {status}: {said}")]
    Refused {
        /// Its status.
        status: u16,
        /// What it says.
        said: String,
    },
}

impl Witness {
    /// The witness at a place; `ca` is the PEM of its authority, for TLS.
    ///
    /// # Errors
    /// The authority is none.
    pub fn new(city: &City, ca: Option<&str>) -> Result<Witness, pki::PkiError> {
        let tls = ca.map(pki::client::authority_client).transpose()?;
        Ok(Witness { client: Client::new(city.clone(), tls), name: format!("{}:{}", city.host, city.port), known: 0 })
    }

    /// Its address, for the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Posts the newest head, where it does not have it.
    ///
    /// # Errors
    /// It cannot be reached, or does not take it.
    pub async fn post(&mut self, disk: &dyn Disk, newest: &SignedHead) -> Result<Option<Contradiction>, PostError> {
        if self.known == newest.head.size {
            return Ok(None);
        }
        let size = newest.head.size;
        for _ in 0..TRIES_MAX {
            if size < self.known {
                return Ok(Some((Trouble::WentBack, self.known)));
            }
            let path = tree::consistency(&|level, place| log::node(disk, level, place), self.known, size)?;
            let request = AddCheckpoint { old: self.known, path, head: newest.clone() };
            let answer = self.client.post(PATH, &[], request.to_text().into_bytes()).await?;
            let said = String::from_utf8_lossy(&answer.body).trim().to_owned();
            match (answer.status, said.parse::<u64>()) {
                (200, _) => {
                    info!(witness = self.name, head.size = size, "second party took the head");
                    self.known = size;
                    return Ok(None);
                }
                (409, Ok(known)) if known != self.known => self.known = known,
                (409 | 422, _) => return Ok(Some((Trouble::Contradicts, self.known))),
                (status, _) => return Err(PostError::Refused { status, said }),
            }
        }
        Ok(None)
    }
}

/// Says what went wrong with a copy.
pub fn warn_of_copy(place: &Path, error: &std::io::Error) {
    warn!(file.path = %place.display(), %error, "head not copied; tried again");
}

#[cfg(test)]
mod tests {
    use nhatle_storage::OsDisk;
    use nhatle_storage::proof::entry::Entry;
    use nhatle_storage::proof::log::ProofLog;
    use nhatle_storage::proof::{Head, SigningKey};

    use super::*;

    fn grown(disk: &dyn Disk, key: &SigningKey, count: u64, other: u64) -> SignedHead {
        let mut log = ProofLog::open(disk).expect("opens");
        let entry = |n: u64| Entry::Document { name: String::new(), bytes: n + other, sha256: String::new(), at_ns: 0 };
        log.append(disk, &(0..count).map(entry).collect::<Vec<_>>()).expect("appends");
        let origin = head::origin_of(&key.public());
        let head = Head { origin, size: log.size(), root: log.root(), at: None, writer: None };
        log.append_head(disk, SignedHead::sign(head.clone(), key)).expect("writes");
        SignedHead::sign(head, key)
    }

    #[test]
    fn a_copy_keeps_each_head_and_finds_a_store_that_was_put_back() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("a key");
        let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let disks: Vec<_> = folders.iter().map(|folder| OsDisk::new(folder.path()).expect("a disk")).collect();
        let copy = folders[0].path();
        let first = grown(&disks[1], &key, 3, 0);
        for _ in 0..2 {
            assert_eq!(append(&disks[1], copy, &first).expect("writes"), None);
        }
        let second = grown(&disks[1], &key, 4, 0);
        assert_eq!(append(&disks[1], copy, &second).expect("writes"), None);
        let path = file_of(copy, &first.head.origin);
        let kept = std::fs::read_to_string(&path).expect("reads");
        let kept: Vec<_> = head::read_all(&kept).into_iter().map(|head| head.expect("a head")).collect();
        assert_eq!(kept, [first, second]);
        let older = grown(&disks[2], &key, 5, 0);
        assert_eq!(append(&disks[2], copy, &older).expect("reads"), Some((Trouble::WentBack, 7)));
        let other = grown(&disks[3], &key, 9, 1);
        assert_eq!(append(&disks[3], copy, &other).expect("reads"), Some((Trouble::Contradicts, 7)));
    }
}
