//! Checks a whole store: every block of every segment, every frame of the log, the manifest, the chain of the register, and
//! the proof: its log, tree and signed heads, the segments and the register against it, heads that somebody kept; and the
//! files of `state/` against their checksums.
//!
//! In: the data folder, also of a running server, and what the reader knows from elsewhere. Out: [`Checked`]. Writes
//! nothing and goes on after a finding. Failure: what cannot be read at all.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use nhatle_event::json::hex;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::proof::entry::ErasedEntry;
use nhatle_storage::proof::stamp::{Authorities, Stamp, kept};
use nhatle_storage::proof::{SignedHead, VerifierKey, check, head, log};
use nhatle_storage::verify::Finding;
use nhatle_storage::{Config, Disk, OsDisk, Store};

use crate::pki::heads::PUBLIC_FILE;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file, below the store's folder or in the package.
    pub file: String,
    /// Where in it.
    pub offset: Option<u64>,
    /// The row of the register.
    pub row: Option<i64>,
    /// What should be there and what is.
    pub what: String,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Found {
        Found { file: finding.file, offset: Some(finding.offset), row: None, what: finding.what }
    }
}

/// What the reader knows from elsewhere, and how much is looked at.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The key that must have signed.
    pub key: Option<VerifierKey>,
    /// Heads that somebody kept.
    pub heads: Vec<SignedHead>,
    /// The leaf of every stored event is made again.
    pub is_deep: bool,
    /// Whose time-stamps count; `None`: all of them is checked but who vouched for their certificates.
    pub authorities: Option<Authorities>,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What is not as it should be.
    pub found: Vec<Found>,
    /// The newest head that holds.
    pub newest: Option<SignedHead>,
    /// The keys that signed.
    pub keys: Vec<VerifierKey>,
    /// What was erased, in words, oldest first.
    pub erased: Vec<String>,
    /// The newest head with a time-stamp that holds.
    pub stamp: Option<(SignedHead, Stamp)>,
}

/// Checks the store in this folder.
///
/// # Errors
/// It cannot be read.
pub fn store(data: &Path, known: &Known) -> anyhow::Result<Checked> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let mut done = Checked::default();
    done.found.extend(nhatle_storage::verify(&*disk).into_iter().map(Found::from));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the log, which no time-stamp is past then.
    let stamped = kept::sizes(&*disk, "tsr")?;
    // The log of the proof first: rows that come to the register meanwhile are past what it says.
    let checked = check::store(&*disk);
    let damage = runtime.block_on(nhatle_storage::register::verify(data));
    let is_register_whole = damage.is_empty();
    for one in damage {
        let file = one.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        done.found.push(Found { file, offset: one.offset, row: one.row, what: one.what });
    }
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => {
            // Where the manifest is damaged this was said already.
            let finding = Finding::of(error);
            if !done.found.iter().any(|one| one.file == finding.file) {
                done.found.push(finding.into());
            }
            None
        }
    };
    if let Some(checked) = &checked {
        done.found.extend(checked.findings.iter().cloned().map(Found::from));
        if is_register_whole {
            let hashes = runtime.block_on(nhatle_storage::register::hashes(data)).context("read the register")?;
            done.found.extend(check::register(&checked.log, &hashes).into_iter().map(Found::from));
        }
        done.newest = checked.heads.last().cloned();
        done.erased = checked.log.erased().map(|(leaf, entry)| said_erased(leaf, entry)).collect();
        done.keys = checked.log.keys.iter().map(|(_, key)| key.clone()).collect();
    }
    let (stamp, wrong) = kept::check_all(&*disk, &stamped, checked.as_ref(), known.authorities.as_ref());
    done.stamp = stamp;
    done.found.extend(wrong.into_iter().map(Found::from));
    let damaged = crate::state::damage(&*disk).into_iter();
    done.found.extend(damaged.map(|(file, what)| Found { file, offset: None, row: None, what }));
    check_keys(&mut done, known.key.as_ref(), checked.as_ref());
    check_public(data, &mut done);
    for head in &known.heads {
        if let Some(what) = check::kept_head(checked.as_ref(), head) {
            done.found.push(finding(log::LOG, what));
        }
    }
    if known.is_deep {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open_read_only(disk, Config::default(), clock).context("open store")?;
        done.found.extend(check::events(&store.snapshot()).into_iter().map(Found::from));
    }
    Ok(done)
}

fn finding(file: &str, what: String) -> Found {
    Finding { file: file.to_owned(), offset: 0, what }.into()
}

fn check_keys(done: &mut Checked, known: Option<&VerifierKey>, checked: Option<&check::Checked>) {
    match (known, checked) {
        (Some(_), None) => done.found.push(finding(log::HEADS, "there is no signed head".to_owned())),
        (known, Some(checked)) => {
            done.found.extend(check::keys(checked, known).into_iter().map(Found::from));
        }
        (None, None) => {}
    }
}

/// The public key that is handed out is one of the log.
fn check_public(data: &Path, done: &mut Checked) {
    let Ok(text) = std::fs::read_to_string(data.join(PUBLIC_FILE)) else { return };
    if !done.keys.is_empty() && !done.keys.iter().any(|key| key.text() == text.trim_end()) {
        let what = "is no key of the log: it was replaced, and nothing is signed with it yet".to_owned();
        done.found.push(finding(PUBLIC_FILE, what));
    }
}

/// What was erased from a segment, in a line.
fn said_erased(leaf: u64, entry: &ErasedEntry) -> String {
    let ErasedEntry { erasure, events, rows, dir, by_dir, .. } = entry;
    let (at, by) = (nhatle_event::Timestamp(entry.at_ns), &entry.by);
    format!(
        "erased: erasure {erasure}, leaf {leaf}: {events} of {rows} events of {dir}, now {by_dir}, {at}, by {by:?}, basis {:?}",
        entry.basis
    )
}

/// What an authority said of a head, in a line.
pub fn said_stamp(stamp: &Stamp) -> String {
    let vouched =
        if stamp.is_chained { "" } else { "; who vouched for its certificate was not looked at: give --timestamp-ca" };
    format!(
        "time-stamp: existed at or before {} by {:?}, number {}{vouched}",
        stamp.latest(),
        stamp.authority,
        stamp.serial
    )
}

/// What a head is, in a line.
pub fn said(head: &SignedHead) -> String {
    let at = head.head.at.map_or_else(|| "without a time".to_owned(), |at| format!("of {at}"));
    format!("head {at} over {} leaves of {}, root {}", head.head.size, head.head.origin, hex(&head.head.root))
}

/// The text of a head or key as it was handed out: a clipboard or an editor may have given it other line ends, a byte order
/// mark, or taken its last line feed. None of that is signed, and nothing that is signed is altered.
pub fn as_signed(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    format!("{}\n", text.trim_matches('\n'))
}

/// The heads of a text: one, or many behind each other.
///
/// # Errors
/// One of them is none, or there is none; in words.
pub fn kept_heads(text: &str) -> Result<Vec<SignedHead>, String> {
    let heads: Result<Vec<SignedHead>, _> = head::read_all(&as_signed(text)).into_iter().collect();
    let heads = heads.map_err(|(number, error)| format!("head {number}: {error}"))?;
    if heads.is_empty() { Err("no signed head".to_owned()) } else { Ok(heads) }
}
