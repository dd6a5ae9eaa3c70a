//! Time-stamps beside the heads: three files for each, that other programs read too, and what is going on.
//!
//! ```text
//! proof/stamps/000000004711.head   the head over 4711 leaves, as it is handed on
//! proof/stamps/000000004711.tsq    what was asked (TimeStampReq); alone where the answer is still to come
//! proof/stamps/000000004711.tsr    the answer (TimeStampResp), written last
//! proof/stamps/wanted              somebody waits for a time-stamp of the newest head
//! proof/stamps/state.json          how asking goes; only where the server asks
//! ```
//!
//! In: a disk. Out: [`Kept`]. Promise: each file is there whole or not at all; none is changed. Failure: what is no such
//! file, as [`ReadError`] or a [`Finding`].

use std::io;

use serde::{Deserialize, Serialize};

use super::request::REQUEST_BYTES_MAX;
use super::token::ANSWER_BYTES_MAX;
use super::{Authorities, Request, Stamp, check};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::proof::check::{Checked, kept_head};
use crate::proof::head::SignedHead;
use crate::proof::note::NOTE_BYTES_MAX;
use crate::verify::Finding;

/// The folder.
pub const FOLDER: &str = "proof/stamps";
/// Somebody waits.
pub const WANTED: &str = "proof/stamps/wanted";
/// How asking goes.
pub const STATE: &str = "proof/stamps/state.json";
const STATE_BYTES_MAX: u64 = 4 << 10;

/// A head, what was asked about it, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The head.
    pub head: SignedHead,
    /// What was asked.
    pub request: Request,
    /// The answer; empty while there is none.
    pub answer: Vec<u8>,
}

/// How asking goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// When it was tried last, nanoseconds since 1970; 0 where it was not yet.
    pub tried_ns: i64,
    /// What went wrong then.
    pub trouble: Option<String>,
}

/// A file of the head over so many leaves; `kind` is `head`, `tsq` or `tsr`.
pub fn path(size: u64, kind: &str) -> String {
    format!("{FOLDER}/{size:012}.{kind}")
}

/// The sizes of the heads that have a file of this kind, smallest first.
///
/// # Errors
/// What the disk says.
pub fn sizes(disk: &dyn Disk, kind: &str) -> Result<Vec<u64>, ReadError> {
    let entries = disk.list(FOLDER).map_err(|source| ReadError::io(FOLDER, source))?;
    let named = |name: &str| name.split_once('.').filter(|(_, ending)| *ending == kind)?.0.parse().ok();
    let mut sizes: Vec<u64> = entries.iter().filter_map(|entry| named(&entry.name)).collect();
    sizes.sort_unstable();
    Ok(sizes)
}

/// The requests that have no answer yet, smallest head first.
///
/// # Errors
/// What the disk says.
pub fn waiting(disk: &dyn Disk) -> Result<Vec<u64>, ReadError> {
    let answered = sizes(disk, "tsr")?;
    Ok(sizes(disk, "tsq")?.into_iter().filter(|size| answered.binary_search(size).is_err()).collect())
}

/// Reads what is kept of the head over so many leaves; the answer may be missing.
///
/// # Errors
/// A file is missing, too large, or none of its kind.
pub fn read(disk: &dyn Disk, size: u64) -> Result<Kept, ReadError> {
    let wrong = |kind: &str, reason: String| ReadError::Unreadable { file: path(size, kind), reason };
    let head = SignedHead::parse(&bounded(disk, &path(size, "head"), NOTE_BYTES_MAX)?);
    let head = head.map_err(|error| wrong("head", error.to_string()))?;
    let request = Request::parse(&bounded(disk, &path(size, "tsq"), REQUEST_BYTES_MAX)?);
    let request = request.map_err(|error| wrong("tsq", format!("no request for a time-stamp: {error}")))?;
    let place = path(size, "tsr");
    let answer = match disk.length(&place).map_err(|source| ReadError::io(&place, source))? {
        Some(_) => bounded(disk, &place, ANSWER_BYTES_MAX)?,
        None => Vec::new(),
    };
    if head.head.size != size {
        return Err(wrong("head", format!("a head over {} leaves", head.head.size)));
    }
    Ok(Kept { head, request, answer })
}

fn bounded(disk: &dyn Disk, path: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let length = disk.length(path).map_err(|source| ReadError::io(path, source))?;
    let length = length.ok_or_else(|| ReadError::io(path, io::ErrorKind::NotFound.into()))?;
    match usize::try_from(length) {
        Ok(length) if length <= bytes_max => {
            disk.read_range(path, 0, length).map_err(|source| ReadError::io(path, source))
        }
        _ => Err(ReadError::Unreadable { file: path.to_owned(), reason: format!("longer than {bytes_max} bytes") }),
    }
}

/// The newest head that has an answer.
///
/// # Errors
/// It cannot be read.
pub fn newest(disk: &dyn Disk) -> Result<Option<Kept>, ReadError> {
    sizes(disk, "tsr")?.last().map(|size| read(disk, *size)).transpose()
}

/// Writes down a head and what is asked about it, then the answer, where there is one.
///
/// # Errors
/// What the disk says.
pub fn write(disk: &dyn Disk, kept: &Kept) -> io::Result<()> {
    let size = kept.head.head.size;
    disk.create_folder(FOLDER)?;
    disk.replace(&path(size, "head"), kept.head.to_text().as_bytes())?;
    disk.replace(&path(size, "tsq"), &kept.request.to_der())?;
    if kept.answer.is_empty() { Ok(()) } else { disk.replace(&path(size, "tsr"), &kept.answer) }
}

/// How asking goes; `None` where the server does not ask, or where that cannot be read.
pub fn asking(disk: &dyn Disk) -> Option<Asking> {
    let length = disk.length(STATE).ok().flatten().filter(|length| *length <= STATE_BYTES_MAX)?;
    let bytes = disk.read_range(STATE, 0, usize::try_from(length).ok()?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes down how asking goes; `None`: the server does not ask.
///
/// # Errors
/// What the disk says.
pub fn tell(disk: &dyn Disk, asking: Option<&Asking>) -> io::Result<()> {
    match asking {
        Some(asking) => {
            disk.create_folder(FOLDER)?;
            disk.replace(STATE, &serde_json::to_vec(asking).map_err(io::Error::from)?)
        }
        None => disk.remove(STATE),
    }
}

/// Checks every answered head against its time-stamp and against the log: the newest that holds, and what does not.
/// `sizes` were listed before the log was read, so that no head of them is past it.
pub fn check_all(
    disk: &dyn Disk,
    sizes: &[u64],
    checked: Option<&Checked>,
    authorities: Option<&Authorities>,
) -> (Option<(SignedHead, Stamp)>, Vec<Finding>) {
    let (mut newest, mut findings) = (None, Vec::new());
    for size in sizes {
        let kept = match read(disk, *size) {
            Ok(kept) => kept,
            Err(error) => {
                findings.push(Finding::of(error));
                continue;
            }
        };
        if let Some(what) = kept_head(checked, &kept.head) {
            findings.push(Finding { file: path(*size, "head"), offset: 0, what });
            continue;
        }
        match kept.check(authorities) {
            Ok(stamp) => newest = Some((kept.head, stamp)),
            Err(error) => {
                findings.push(Finding { file: path(*size, "tsr"), offset: 0, what: error.to_string() });
            }
        }
    }
    (newest, findings)
}

impl Kept {
    /// The answer holds for the request, and the request is for the head.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self, authorities: Option<&Authorities>) -> Result<Stamp, super::StampError> {
        if super::request::imprint(&self.head) != self.request.imprint {
            return Err(super::StampError::OtherImprint);
        }
        check(&self.answer, &self.request, authorities)
    }
}
