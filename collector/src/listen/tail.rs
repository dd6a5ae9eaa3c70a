//! Files that grow: each new line is a record, through rotation by rename, copytruncate, reuse of inodes, and restarts.
//!
//! In: a path, or a pattern (`*`, `?`) in its last part. Out: batches, each with the places up to where its files were
//! read; the places become durable with the records, so a restart neither leaves out nor repeats a line. Promise: memory
//! is bounded by [`FILES_MAX`] places and [`READ_BYTES`] a file. A file is known by its inode **and** by its bytes: the
//! first KiB and the KiB before the offset; an inode used again is a new file, and a copy of what was read is not read
//! again. A last line without its end waits for it. Compressed files are passed over: they were read before they were
//! compressed. Failure: what cannot be read is tried again at the next look, every [`INTERVAL`].
//!
//! Looking every quarter second is used in place of inotify: it works on network and overlay file systems and needs no
//! dependency, and costs one `stat` a file. What is renamed *twice* between two looks is found by its inode in the folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nhatle_event::Clock;

use super::tail_file::{Found, Tail};
use super::{Keep, Kept, ListenError, Sink, deliver};
use crate::frame::Origin;

/// How often files are looked at.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// How many files one input follows.
pub const FILES_MAX: usize = 128;
/// How many bytes of one file are read at a time.
pub const READ_BYTES: usize = 1 << 20;

/// What to follow, and what its records share.
#[derive(Clone, Debug)]
pub struct TailOptions {
    /// A file, or a pattern in the last part of the path.
    pub path: PathBuf,
    /// Profile and unit of the records; the input's name is made of the path.
    pub origin: Origin,
    /// A longer line is cut and marked.
    pub record_bytes_max: usize,
}

/// Files being followed.
pub struct TailInput {
    tail: Tail,
    key: String,
}

impl TailInput {
    /// Follows files from where they were left.
    ///
    /// # Errors
    /// The path is no path, or has a pattern elsewhere than in its last part.
    pub fn new(options: TailOptions, kept: &Kept) -> Result<TailInput, TailError> {
        let key = format!("file/{}", options.path.display());
        let places = kept(&key).unwrap_or_default();
        Ok(TailInput { tail: Tail::new(options, &places)?, key })
    }

    /// Runs until the channel closes.
    ///
    /// # Errors
    /// Never today: what cannot be read now is tried again.
    pub async fn run(self, sink: Sink, clock: Arc<dyn Clock>) -> Result<(), ListenError> {
        let TailInput { mut tail, key } = self;
        loop {
            let now = clock.now();
            // Reading may wait for a slow disk; it must not hold up sockets.
            let looked = tokio::task::spawn_blocking(move || {
                let found = tail.look(now);
                (tail, found)
            });
            let Ok((back, found)) = looked.await else { return Ok(()) };
            tail = back;
            let is_idle = found.is_empty();
            for Found { file, records, place } in found {
                let value = tail.places_with(file, &place);
                if !deliver(&sink, records, vec![Keep { key: key.clone(), value }]).await {
                    return Ok(());
                }
                tail.moved(file, place);
            }
            if is_idle {
                tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = sink.closed() => return Ok(()),
                }
            }
        }
    }
}

/// Why files cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// Nothing names a file.
    #[error("{path}: no file name at the end of the path")]
    NoName {
        /// The path.
        path: String,
    },
    /// A pattern in a folder's name.
    #[error("{path}: * and ? may stand in the last part of the path only")]
    PatternInFolder {
        /// The path.
        path: String,
    },
}

/// Whether a name fits a pattern of `*` (any characters, none too) and `?` (one).
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last star stands, and how far it reaches so far.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(one) if *one == '?' || *one == name[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star_at, reached)) = star else { return false };
                star = Some((star_at, reached + 1));
                (at, from) = (star_at + 1, reached + 1);
            }
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|one| *one == '*')
}
