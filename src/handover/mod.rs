//! What a command asks of the server that has its data folder: by a socket in the folder, which only the folder's owner may
//! open (ADR 44).
//!
//! In: one [`Ask`] as a line of JSON, after an import's the files. Out: [`Told`], a line of JSON each, the last of them an
//! end. Failure: where nobody listens the command says so; what breaks off on the way is an error at both ends, and what was
//! told to be stored stays stored.

pub mod client;
pub mod files;
mod import;
pub mod server;

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::erasure::Wanted;

/// The socket's name in the data folder.
pub const SOCKET: &str = "handover";
/// A line is not longer than this, bytes.
pub const LINE_BYTES_MAX: u64 = 64 << 10;
/// A socket's path has 107 bytes at most (unix(7)).
const PATH_BYTES_MAX: usize = 100;

/// What a command asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// `nhatle import`; the files come behind it.
    Import {
        /// `--source`
        source: Option<String>,
        /// `--unit`
        unit: Option<String>,
    },
    /// `nhatle erase run`
    Erase {
        /// What.
        wanted: Wanted,
        /// The administrator's account in whose name it is done.
        by: String,
        /// On what basis.
        basis: String,
        /// How many events were confirmed.
        expect: u64,
    },
    /// `nhatle replay --store`, by the rules in force.
    Hunt {
        /// One rule; all of them without.
        rule: Option<String>,
        /// From when on, nanoseconds.
        from_ns: i64,
        /// Until when.
        to_ns: i64,
    },
}

/// What the server tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// For the person at the terminal.
    Said(String),
    /// The same, of a file that is damaged.
    Problem(String),
    /// There is no room now; it is tried again.
    Waits(String),
    /// What is durable so far.
    Stored(Counts),
    /// The end: it is done.
    Done(Value),
    /// The end: what was asked for makes no sense.
    Refused(String),
    /// The end: the world is in the way.
    Failed(String),
}

/// What became of the records of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Read from the files.
    pub records: u64,
    /// Stored as events.
    pub stored: u64,
    /// Stored as dead letters.
    pub dead_lettered: u64,
    /// Stored before.
    pub duplicate: u64,
}

/// What stands before the bytes of each file of an import, and behind the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Next {
    /// Its bytes follow in frames.
    File {
        /// Its name, as events tell it.
        path: String,
        /// When it was last changed, nanoseconds; `None` where that is not known.
        modified_ns: Option<i64>,
    },
    /// There is none more.
    End {},
}

/// A line, or `None` at the end.
fn read_line<T: for<'de> Deserialize<'de>>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => serde_json::from_slice(&line).map(Some).map_err(io::Error::from),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn write_line(to: &mut impl io::Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what).map_err(io::Error::from)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Where the socket is, by a path that is short enough; the folder stays open with it.
fn socket_path(data: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = data.join(SOCKET);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((path, None));
    }
    let folder = File::open(data)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())), Some(folder)))
}

fn connect(data: &Path) -> io::Result<UnixStream> {
    let (path, _folder) = socket_path(data)?;
    UnixStream::connect(path)
}

/// Listens, for the owner alone. What stands there is of a server that is gone: whoever calls this has the folder's lock.
fn listen(data: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let (path, _folder) = socket_path(data)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn modified_of(ns: Option<i64>) -> Option<Timestamp> {
    ns.map(Timestamp)
}
