//! Evidence packages: what an incident, an alert or a list of events is made of, or a file that leaves the house, gathered
//! with its proofs into one file.
//!
//! In: a subject, the store, the register, the key. Out: the package's bytes. Promise: the same things under the same head
//! are the same bytes; what is in a package was proved before it was written. Failure: [`EvidenceError`]; what no head
//! covers yet is [`EvidenceError::is_too_early`], and works a moment later.

pub mod archive;

use nhatle_engine::alert::Alert;
use nhatle_engine::register::RegisterState;
use nhatle_event::{EventId, Seq, Text};
use nhatle_storage::proof::package::{self, About, Contents};
use nhatle_storage::proof::prove::{self, ProveError};
use nhatle_storage::proof::stamp::kept::{self, Kept};
use nhatle_storage::proof::{SignedHead, SigningKey, log};
use nhatle_storage::query::{Page, Query};
use nhatle_storage::register::{Entry, Register, RegisterError};
use nhatle_storage::{Dataset, Disk, ReadError, Snapshot};

use crate::prove::request::Document;

/// How many events one package holds at most.
pub const EVENTS_MAX: usize = 100_000;
/// How to check, in words.
const README: &str = include_str!("readme.txt");
/// How to check, as a program of its own: the standard library of Python, nothing of ours.
pub const CHECKER: &str = include_str!("../../tests/proof/check.py");

/// What a package is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An incident: what was done about it, its alerts, and their events.
    Incident(u64),
    /// An alert: what was done about it, and its events.
    Alert(String),
    /// Events by their names (`event.id`).
    Events(Vec<String>),
    /// The events that a query finds, newest first.
    Query(String),
    /// A file that leaves the house, with its bytes: a report. It is to be written down first.
    Document(Document, Vec<u8>),
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// More than a package holds.
    #[error("more than {EVENTS_MAX} events")]
    TooMany,
    /// The query is none.
    #[error("query: {0}")]
    Query(String),
    /// Something is not proved.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The register could not be read.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The package could not be written.
    #[error("write the package")]
    Write(#[from] std::io::Error),
}

impl EvidenceError {
    /// It only came too early: the next head covers it.
    pub fn is_too_early(&self) -> bool {
        matches!(self, EvidenceError::Prove(ProveError::NotCovered { .. } | ProveError::NoHead))
    }
}

/// What belongs to a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    what: &'static str,
    name: String,
    seqs: Vec<Seq>,
    streams: Vec<String>,
    document: Option<(Document, Vec<u8>)>,
}

/// What belongs to a subject: events and streams of the register.
///
/// # Errors
/// There is no such thing, or the store cannot be read.
pub fn gather(subject: &Subject, snapshot: &Snapshot, state: &RegisterState) -> Result<Gathered, EvidenceError> {
    let mut found = match subject {
        Subject::Incident(number) => {
            let incident = state.incidents.get(number);
            let incident = incident.ok_or_else(|| EvidenceError::NotFound(format!("incident {number}")))?;
            let mut found = Gathered { what: "incident", name: number.to_string(), ..Gathered::default() };
            found.streams.push(format!("incident/{number}"));
            for alert in &incident.alerts {
                // One that retention dropped is still named by the register's rows.
                add_alert(&alert.id, snapshot, &mut found)?;
            }
            found
        }
        Subject::Alert(id) => {
            let mut found = Gathered { what: "alert", name: id.clone(), ..Gathered::default() };
            if !add_alert(id, snapshot, &mut found)? {
                return Err(EvidenceError::NotFound(format!("alert {id}")));
            }
            found
        }
        Subject::Events(ids) => {
            let mut found = Gathered { what: "events", name: ids.join(" "), ..Gathered::default() };
            for id in ids {
                let seq = EventId(Text::from(id.as_str())).seq();
                found.seqs.push(seq.ok_or_else(|| EvidenceError::NotFound(format!("event {id}")))?);
            }
            found
        }
        Subject::Query(text) => {
            let mut found = Gathered { what: "events", name: text.clone(), ..Gathered::default() };
            let query = Query::parse(text).map_err(|error| EvidenceError::Query(error.reason.to_string()))?;
            found.seqs = search(&query, snapshot)?.into_iter().map(|stored| stored.seq).collect();
            found
        }
        Subject::Document(document, bytes) => {
            let (name, document) = (document.name.clone(), Some((document.clone(), bytes.clone())));
            Gathered { what: package::DOCUMENT, name, document, ..Gathered::default() }
        }
    };
    found.seqs.sort_unstable();
    found.seqs.dedup();
    if EVENTS_MAX < found.seqs.len() {
        return Err(EvidenceError::TooMany);
    }
    // Events that are named and gone stay named by the alert; what is asked for by name must be there.
    if !matches!(subject, Subject::Events(_)) {
        found.seqs = snapshot.get_all(&found.seqs)?.into_iter().map(|stored| stored.seq).collect();
    }
    found.streams.sort();
    found.streams.dedup();
    Ok(found)
}

/// Adds an alert as it is stored, each version of it, with its events. Says whether it is there.
fn add_alert(id: &str, snapshot: &Snapshot, found: &mut Gathered) -> Result<bool, EvidenceError> {
    let query = Query::parse(&format!("nhatle.alert.id:\"{}\"", id.replace(['"', '\\'], "")));
    let query = query.map_err(|error| EvidenceError::Query(error.reason.to_string()))?.in_datasets(&[Dataset::Alerts]);
    let stored = search(&query, snapshot)?;
    found.streams.push(format!("alert/{id}"));
    for one in &stored {
        found.seqs.push(one.seq);
        found.seqs.extend(Alert::from_event(&one.event).iter().flat_map(|alert| alert.seqs().collect::<Vec<_>>()));
    }
    Ok(!stored.is_empty())
}

fn search(query: &Query, snapshot: &Snapshot) -> Result<Vec<nhatle_event::Stored>, EvidenceError> {
    let mut stored = Vec::new();
    let mut page = Page::first(1_000);
    loop {
        let hits = snapshot.search(query, &page)?;
        stored.extend(hits.hits);
        if EVENTS_MAX < stored.len() {
            return Err(EvidenceError::TooMany);
        }
        match hits.cursor {
            Some(cursor) => page = Page::first(1_000).behind(cursor),
            None => return Ok(stored),
        }
    }
}

/// Rows of the register, and the hashes of all of them.
pub struct Rows {
    /// The rows of the streams.
    pub rows: Vec<Entry>,
    /// Every row's hash, in order.
    pub hashes: Vec<[u8; 32]>,
}

impl Rows {
    /// Those of a subject.
    ///
    /// # Errors
    /// The register cannot be read.
    pub async fn read(register: &Register, gathered: &Gathered) -> Result<Rows, RegisterError> {
        let mut rows = Vec::new();
        for stream in &gathered.streams {
            rows.extend(register.read_stream(stream).await?);
        }
        rows.sort_by_key(|entry| entry.id);
        let hashes = if rows.is_empty() { Vec::new() } else { register.hashes_after(0).await? };
        Ok(Rows { rows, hashes })
    }
}

/// A finished package.
pub struct Package {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it is about.
    pub about: About,
    /// The head it stands under.
    pub head: SignedHead,
    /// It holds a time-stamp of it.
    pub is_stamped: bool,
}

/// The leaf under this head that writes a document down.
///
/// # Errors
/// There is none yet, or the log cannot be read.
fn leaf_of(disk: &dyn Disk, head: &SignedHead, document: &Document) -> Result<u64, EvidenceError> {
    let leaf = prove::document_leaf(disk, head, (document.bytes, &document.sha256))?;
    Ok(leaf.ok_or_else(|| ProveError::NotCovered { what: document.name.clone() })?)
}

/// Whether the newest head covers a document already.
///
/// # Errors
/// The log cannot be read.
pub fn is_written_down(disk: &dyn Disk, document: &Document) -> Result<bool, EvidenceError> {
    let Some(head) = log::newest(disk)? else { return Ok(false) };
    Ok(prove::document_leaf(disk, &head, (document.bytes, &document.sha256))?.is_some())
}

/// Makes the package under the newest head that has a time-stamp, where that one covers all of it, else under the newest.
///
/// # Errors
/// Something of it is not covered by the head yet, or is not what was written.
pub fn build(
    gathered: &Gathered,
    (disk, snapshot): (&dyn Disk, &Snapshot),
    register: Rows,
    (key, made_by): (&SigningKey, &str),
) -> Result<Package, EvidenceError> {
    let newest = log::newest(disk)?.ok_or(ProveError::NoHead)?;
    // What is in a package is signed with its key: a head of before another key came is of no use. A time-stamp that does
    // not hold keeps nobody from a package; `verify` names it.
    let is_ours = |kept: &Kept| {
        kept.head.head.size <= newest.head.size && kept.head.check(&key.public()).is_ok() && kept.check(None).is_ok()
    };
    if let Some(stamped) = kept::newest(disk).ok().flatten().filter(is_ours) {
        let stamp = [(package::STAMP_REQUEST, stamped.request.to_der()), (package::STAMP, stamped.answer)];
        match under((stamped.head, stamp.into()), gathered, (disk, snapshot), &register, (key, made_by)) {
            Err(error) if error.is_too_early() => {}
            made => return made,
        }
    }
    under((newest, Vec::new()), gathered, (disk, snapshot), &register, (key, made_by))
}

/// Makes the package under this head, with its time-stamp where it has one.
fn under(
    (head, stamp): (SignedHead, Vec<(&'static str, Vec<u8>)>),
    gathered: &Gathered,
    (disk, snapshot): (&dyn Disk, &Snapshot),
    register: &Rows,
    (key, made_by): (&SigningKey, &str),
) -> Result<Package, EvidenceError> {
    let events = prove::events(disk, snapshot, &head, &gathered.seqs)?;
    let mut wanted: Vec<u64> = events.iter().map(|one| one.proof.leaf).collect();
    wanted.extend(events.iter().filter_map(|one| Some(one.proof.erased.as_ref()?.leaf)));
    let mut changes = Vec::new();
    if !register.rows.is_empty() {
        let not_covered = || ProveError::NotCovered { what: "the register".to_owned() };
        let leaf = prove::register_leaf(disk, &head)?.ok_or_else(not_covered)?;
        let id = |entry: &Entry| u64::try_from(entry.id).unwrap_or(0);
        let ids: Vec<u64> = register.rows.iter().map(id).collect();
        let proofs = prove::rows(&register.hashes, leaf, &ids)?;
        changes = register.rows.iter().cloned().zip(proofs).collect();
        wanted.push(leaf.0);
    }
    if let Some((document, _)) = &gathered.document {
        wanted.push(leaf_of(disk, &head, document)?);
    }
    let entries = prove::leaves(disk, &head, &wanted)?;
    let about = About {
        format: 1,
        what: gathered.what.to_owned(),
        name: gathered.name.clone(),
        origin: head.head.origin.clone(),
        made_by: made_by.to_owned(),
        made_at: head.head.at.map(|at| at.to_string()).unwrap_or_default(),
        program: format!("nhatle {}", env!("CARGO_PKG_VERSION")),
        events: events.len() as u64,
        changes: changes.len() as u64,
    };
    let others = [("README.txt", README), ("check.py", CHECKER)];
    let mut others = others.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).to_vec();
    others.extend(gathered.document.iter().map(|(_, bytes)| (package::DOCUMENT.to_owned(), bytes.clone())));
    let is_stamped = !stamp.is_empty();
    others.extend(stamp.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)));
    let contents = Contents { about, head, events, changes, entries, others };
    let files = package::files(&contents, key).map_err(std::io::Error::from)?;
    Ok(Package { bytes: archive::write(&files)?, about: contents.about, head: contents.head, is_stamped })
}
