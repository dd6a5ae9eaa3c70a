//! An evidence package: files by name, and what they prove. In: the parts ([`Contents`]), or files of strangers. Out: the
//! files to be put into one archive, or a [`Verdict`]. Needs no store, no configuration, no clock. Failure: each thing
//! that does not hold is a finding with its file; nothing is taken on trust but the key, which the reader compares.
//!
//! Format: `docs/format/proof.md`, section 'Evidence package'.

use std::collections::{BTreeMap, BTreeSet};

use nhatle_event::Seq;
use nhatle_event::json::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::canonical::Canonical;
use super::entry::{Entry, Leaf, unhex};
use super::event_json;
use super::head::SignedHead;
use super::note::{KeyKind, Note, SigningKey, VerifierKey};
use super::prove::{ErasedProof, EventProof, LeafProof, ProvenEvent, RowProof, unhex_path};
use super::stamp::{self, Authorities, Request, Stamp, StampError};
use super::tree::{Hash, leaf_hash, root_of_inclusion};
use crate::dataset::Dataset;
use crate::register;
use crate::segment::erased::record;

/// What the package is about, and how many of each.
pub const ABOUT: &str = "about.json";
/// The head.
pub const HEAD: &str = "head.txt";
/// The key that signed it.
pub const KEY: &str = "key.txt";
/// The leaves of the log, one line each.
pub const ENTRIES: &str = "entries.jsonl";
/// The events, one line each.
pub const EVENTS: &str = "events.jsonl";
/// The rows of the register, one line each.
pub const CHANGES: &str = "changes.jsonl";
/// All paths.
pub const PROOFS: &str = "proofs.json";
/// A file that left the house, where the package is about one: a report.
pub const DOCUMENT: &str = "document";
/// What a time-stamping authority was asked about the head, where it was.
pub const STAMP_REQUEST: &str = "head.tsq";
/// What it answered.
pub const STAMP: &str = "head.tsr";
/// The SHA-256 of every other file, signed.
pub const SUMS: &str = "sums.txt";
/// The first line of [`SUMS`].
const SUMS_TITLE: &str = "nhatle evidence 1";
/// How many files a package may hold.
pub const FILES_MAX: usize = 64;
/// How large all of them together may be.
pub const BYTES_MAX: u64 = 4 << 30;

/// What a package is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of the form, 1.
    pub format: u32,
    /// `incident`, `alert`, `events` or `document`.
    pub what: String,
    /// Which: the incident's number, the alert's id, the query.
    pub name: String,
    /// The log.
    pub origin: String,
    /// Who asked for it; empty where nobody said.
    pub made_by: String,
    /// The time of the head, which is the package's own: it says nothing that is later.
    pub made_at: String,
    /// The program and its version.
    pub program: String,
    /// How many events.
    pub events: u64,
    /// How many rows of the register.
    pub changes: u64,
}

/// All paths of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proofs {
    /// Of the leaves of the log, in the order of [`ENTRIES`].
    pub entries: Vec<LeafProof>,
    /// Of the events, in the order of [`EVENTS`].
    pub events: Vec<EventProof>,
    /// Of the rows, in the order of [`CHANGES`].
    pub changes: Vec<RowProof>,
}

/// What goes into a package.
pub struct Contents {
    /// What it is about.
    pub about: About,
    /// The head.
    pub head: SignedHead,
    /// The events.
    pub events: Vec<ProvenEvent>,
    /// Rows of the register.
    pub changes: Vec<(register::Entry, RowProof)>,
    /// The lines of all leaves that events and rows stand under.
    pub entries: Vec<(String, LeafProof)>,
    /// More files: how to check, in words and as a program.
    pub others: Vec<(String, Vec<u8>)>,
}

/// The files of a package, in the order they stand in it, signed.
///
/// # Errors
/// A mistake of ours: JSON that cannot be written.
pub fn files(contents: &Contents, key: &SigningKey) -> Result<Vec<(String, Vec<u8>)>, serde_json::Error> {
    let mut files: Vec<(String, Vec<u8>)> = contents.others.clone();
    let mut add = |name: &str, bytes: Vec<u8>| files.push((name.to_owned(), bytes));
    let lines =
        |lines: Vec<String>| lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into_bytes();
    let origin = &contents.head.head.origin;
    add(ABOUT, with_line_feed(serde_json::to_vec_pretty(&contents.about)?));
    add(HEAD, contents.head.to_text().into_bytes());
    add(KEY, format!("{}\n", key.verifier(origin, KeyKind::Note).text()).into_bytes());
    add(ENTRIES, lines(contents.entries.iter().map(|(line, _)| line.clone()).collect()));
    add(EVENTS, lines(contents.events.iter().map(|one| event_json::write(one.dataset, &one.stored)).collect()));
    let changes = contents.changes.iter().map(|(entry, _)| change_line(entry));
    add(CHANGES, lines(changes.collect()));
    let proofs = Proofs {
        entries: contents.entries.iter().map(|(_, proof)| proof.clone()).collect(),
        events: contents.events.iter().map(|one| one.proof.clone()).collect(),
        changes: contents.changes.iter().map(|(_, proof)| proof.clone()).collect(),
    };
    add(PROOFS, with_line_feed(serde_json::to_vec(&proofs)?));
    let mut sums = format!("{SUMS_TITLE}\n");
    for (name, bytes) in &files {
        sums.push_str(&format!("{}  {name}\n", hex(&Sha256::digest(bytes))));
    }
    let note = Note { signatures: vec![key.sign(origin, &sums)], text: sums };
    files.push((SUMS.to_owned(), note.to_text().into_bytes()));
    Ok(files)
}

fn with_line_feed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(b'\n');
    bytes
}

/// A row of the register as a line.
fn change_line(entry: &register::Entry) -> String {
    serde_json::json!({
        "id": entry.id,
        "stream": entry.change.stream,
        "version": entry.version,
        "kind": entry.change.kind,
        "json": entry.change.json,
        "actor": entry.change.actor,
        "at_ns": entry.change.at.0,
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
    })
    .to_string()
}

/// What a package proves, and what does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What it says it is about.
    pub about: Option<About>,
    /// The head.
    pub head: Option<SignedHead>,
    /// The key that signed it. Whoever reads this compares it with the one the city handed out.
    pub key: Option<VerifierKey>,
    /// How many events were proved.
    pub events: u64,
    /// Of how many of them something was erased: that they stood there is proved, what is left of them is not.
    pub erased: u64,
    /// How many rows of the register.
    pub changes: u64,
    /// The name under which the file of the package was written down, and when, nanoseconds since 1970.
    pub document: Option<(String, i64)>,
    /// What a time-stamping authority said of the head.
    pub stamp: Option<Stamp>,
    /// What does not hold: the file, and what is wrong.
    pub findings: Vec<(String, String)>,
}

/// Checks the files of a package. `expected` is the key the reader knows, where they gave one; `authorities` are those whose
/// time they trust: without, all of a time-stamp but its chain is checked.
pub fn verify(
    files: &BTreeMap<String, Vec<u8>>,
    expected: Option<&VerifierKey>,
    authorities: Option<&Authorities>,
) -> Verdict {
    let mut check = Check { files, verdict: Verdict::default() };
    check.all(expected);
    check.stamp(authorities);
    check.verdict
}

struct Check<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    verdict: Verdict,
}

impl Check<'_> {
    fn find(&mut self, file: &str, what: impl Into<String>) {
        self.verdict.findings.push((file.to_owned(), what.into()));
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let Some(bytes) = self.files.get(name) else {
            self.find(name, "is missing");
            return None;
        };
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        if text.is_none() {
            self.find(name, "is no text");
        }
        text
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        let read = serde_json::from_str(&text);
        read.map_err(|error| self.find(name, error.to_string())).ok()
    }

    fn all(&mut self, expected: Option<&VerifierKey>) {
        let Some(key) = self.key(expected) else { return };
        self.sums(&key);
        self.verdict.about = self.json(ABOUT);
        let Some(head) = self.head(&key) else { return };
        let Some(proofs) = self.json::<Proofs>(PROOFS) else { return };
        let entries = self.entries(&head, &proofs.entries);
        self.events(&entries, &proofs.events);
        self.changes(&entries, &proofs.changes);
        self.document(&entries);
        let Some(about) = &self.verdict.about else { return };
        let said = (about.format, about.origin.clone(), about.events, about.changes);
        if said != (1, head.head.origin.clone(), self.verdict.events, self.verdict.changes) {
            self.find(ABOUT, "does not say what the package holds");
        }
    }

    fn key(&mut self, expected: Option<&VerifierKey>) -> Option<VerifierKey> {
        let text = self.text(KEY)?;
        let key = match VerifierKey::parse(&text) {
            Ok(key) if key.kind == KeyKind::Note => key,
            Ok(_) => {
                self.find(KEY, "a key of another kind");
                return None;
            }
            Err(error) => {
                self.find(KEY, error.to_string());
                return None;
            }
        };
        if let Some(expected) = expected.filter(|expected| **expected != key) {
            self.find(KEY, format!("is {}, not the key given: {}", key.text(), expected.text()));
        }
        self.verdict.key = Some(key.clone());
        Some(key)
    }

    /// Every file is as it was when the package was signed, none is missing and none was added.
    fn sums(&mut self, key: &VerifierKey) {
        let Some(text) = self.text(SUMS) else { return };
        let note = match Note::parse(text.as_bytes()) {
            Ok(note) => note,
            Err(error) => return self.find(SUMS, error.to_string()),
        };
        if let Err(error) = note.check(key) {
            self.find(SUMS, error.to_string());
        }
        let mut lines = note.text.lines();
        if lines.next() != Some(SUMS_TITLE) {
            self.find(SUMS, format!("does not begin with the line {SUMS_TITLE}"));
        }
        let mut listed = BTreeSet::from([SUMS.to_owned()]);
        for line in lines {
            let Some((sum, name)) = line.split_once("  ") else {
                self.find(SUMS, "a line that is none");
                continue;
            };
            if !listed.insert(name.to_owned()) {
                self.find(SUMS, format!("names {name} twice"));
            }
            match self.files.get(name) {
                None => self.find(name, "is missing"),
                Some(bytes) if hex(&Sha256::digest(bytes)) != sum => self.find(name, "is not the file that was signed"),
                Some(_) => {}
            }
        }
        let added: Vec<String> = self.files.keys().filter(|name| !listed.contains(*name)).cloned().collect();
        added.iter().for_each(|name| self.find(name, "was added: it is not among the files that were signed"));
    }

    fn head(&mut self, key: &VerifierKey) -> Option<SignedHead> {
        let text = self.text(HEAD)?;
        let head = match SignedHead::parse(text.as_bytes()) {
            Ok(head) => head,
            Err(error) => {
                self.find(HEAD, error.to_string());
                return None;
            }
        };
        if head.head.origin != key.name {
            self.find(HEAD, format!("is of the log {}, the key of {}", head.head.origin, key.name));
        }
        if let Err(error) = head.note.check(key) {
            self.find(HEAD, error.to_string());
        }
        self.verdict.head = Some(head.clone());
        Some(head)
    }

    /// The time-stamp is of the bytes of the head.
    fn stamp(&mut self, authorities: Option<&Authorities>) {
        let get = |name: &str| self.files.get(name).map(Vec::as_slice);
        let (request, answer) = match (get(STAMP_REQUEST), get(STAMP)) {
            (None, None) => return,
            (Some(_), None) => return self.find(STAMP, "is missing"),
            (None, Some(_)) => return self.find(STAMP_REQUEST, "is missing"),
            (Some(request), Some(answer)) => (Request::parse(request), answer),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return self.find(STAMP_REQUEST, format!("no request for a time-stamp: {error}")),
        };
        let head: Hash = Sha256::digest(get(HEAD).unwrap_or_default()).into();
        let checked = if request.imprint == head {
            stamp::check(answer, &request, authorities)
        } else {
            Err(StampError::OtherImprint)
        };
        match checked {
            Ok(stamp) => self.verdict.stamp = Some(stamp),
            Err(error) => self.find(STAMP, error.to_string()),
        }
    }

    /// The leaves of the log that stand under the head.
    fn entries(&mut self, head: &SignedHead, proofs: &[LeafProof]) -> BTreeMap<u64, Entry> {
        let mut known = BTreeMap::new();
        let Some(text) = self.text(ENTRIES) else { return known };
        if text.lines().count() != proofs.len() {
            self.find(PROOFS, "has not one proof for each entry");
        }
        for (line, proof) in text.lines().zip(proofs) {
            let number = proof.leaf;
            let path = unhex_path(&proof.path).unwrap_or_default();
            let root = root_of_inclusion(&leaf_hash(line.as_bytes()), number, head.head.size, &path);
            if root != Some(head.head.root) {
                self.find(ENTRIES, format!("leaf {number} does not stand under the head"));
                continue;
            }
            match Leaf::parse(line) {
                Ok(leaf) if leaf.leaf == number => drop(known.insert(number, leaf.entry)),
                Ok(leaf) => self.find(ENTRIES, format!("leaf {number} says that it is {}", leaf.leaf)),
                Err(error) => self.find(ENTRIES, format!("leaf {number}: {error}")),
            }
        }
        known
    }

    fn events(&mut self, entries: &BTreeMap<u64, Entry>, proofs: &[EventProof]) {
        let Some(text) = self.text(EVENTS) else { return };
        if text.lines().count() != proofs.len() {
            self.find(PROOFS, "has not one proof for each event");
        }
        let mut canonical = Canonical::default();
        for (line, proof) in text.lines().zip(proofs) {
            let seq = proof.seq;
            let (dataset, stored) = match event_json::read(line) {
                Ok(read) => read,
                Err(error) => {
                    self.find(EVENTS, format!("event {seq}: {error}"));
                    continue;
                }
            };
            let Some(Entry::Segment(segment)) = entries.get(&proof.leaf) else {
                self.find(EVENTS, format!("event {seq}: leaf {} is no segment that was proved", proof.leaf));
                continue;
            };
            let path = unhex_path(&proof.path).unwrap_or_default();
            let leaf = match &proof.erased {
                None => Some(canonical.leaf(&stored)),
                Some(erased) => leaf_before(entries.get(&erased.leaf), erased, (dataset, seq)),
            };
            let root = leaf.and_then(|leaf| root_of_inclusion(&leaf, proof.index, segment.rows, &path));
            let is_proved = root.is_some() && root == segment.events_root();
            if is_proved && stored.seq.0 == seq && segment.dataset == dataset {
                self.verdict.events += 1;
                self.verdict.erased += u64::from(proof.erased.is_some());
            } else {
                self.find(EVENTS, format!("event {seq} is not what was stored in {}", segment.dir));
            }
        }
    }

    /// The file that left the house is the one that was written down.
    fn document(&mut self, entries: &BTreeMap<u64, Entry>) {
        let is_said = self.verdict.about.as_ref().is_some_and(|about| about.what == DOCUMENT);
        let Some(bytes) = self.files.get(DOCUMENT) else {
            if is_said {
                self.find(DOCUMENT, "is missing");
            }
            return;
        };
        let sum = hex(&Sha256::digest(bytes));
        let is_it = |entry: &&Entry| entry.document() == Some((bytes.len() as u64, sum.as_str()));
        match entries.values().find(is_it) {
            Some(Entry::Document { name, at_ns, .. }) if is_said => {
                self.verdict.document = Some((name.clone(), *at_ns));
            }
            Some(_) => self.find(ABOUT, "does not say that the package holds a document"),
            None => self.find(DOCUMENT, "is not a file that was written down"),
        }
    }

    fn changes(&mut self, entries: &BTreeMap<u64, Entry>, proofs: &[RowProof]) {
        let Some(text) = self.text(CHANGES) else { return };
        if text.lines().count() != proofs.len() {
            self.find(PROOFS, "has not one proof for each row of the register");
        }
        for (line, proof) in text.lines().zip(proofs) {
            let id = proof.id;
            let Some(row) = read_change(line) else {
                self.find(CHANGES, format!("row {id} is of no known form"));
                continue;
            };
            let hash = register::hash_of(&row);
            let Some(Entry::Register { rows, root, .. }) = entries.get(&proof.leaf) else {
                self.find(CHANGES, format!("row {id}: leaf {} is no register that was proved", proof.leaf));
                continue;
            };
            let path = unhex_path(&proof.path).unwrap_or_default();
            let leaf: Option<Hash> = unhex(&hash).map(|hash| leaf_hash(&hash));
            let index = id.checked_sub(1);
            let found = leaf.zip(index).and_then(|(leaf, index)| root_of_inclusion(&leaf, index, *rows, &path));
            let is_proved = found.is_some() && found == unhex(root);
            if is_proved && hash == row.hash && u64::try_from(row.id) == Ok(id) {
                self.verdict.changes += 1;
            } else {
                self.find(CHANGES, format!("row {id} is not what stood in the register"));
            }
        }
    }
}

/// The leaf that an event was sealed with of which something was erased, where the log says that it was.
fn leaf_before(entry: Option<&Entry>, proof: &ErasedProof, (dataset, seq): (Dataset, u64)) -> Option<Hash> {
    let Some(Entry::Erased(entry)) = entry else { return None };
    let was = unhex(&proof.was)?;
    let path = unhex_path(&proof.path)?;
    let root = root_of_inclusion(&leaf_hash(&record(Seq(seq), &was)), proof.index, entry.events, &path);
    let is_said = root.is_some() && root == unhex(&entry.erased) && entry.dataset == dataset;
    (is_said && (entry.first_seq..=entry.last_seq).contains(&seq)).then_some(was)
}

fn read_change(line: &str) -> Option<register::Entry> {
    let json: Json = serde_json::from_str(line).ok()?;
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    Some(register::Entry {
        id: json["id"].as_i64()?,
        version: json["version"].as_i64()?,
        change: register::NewChange {
            stream: text("stream")?,
            kind: text("kind")?,
            json: text("json")?,
            actor: text("actor")?,
            at: nhatle_event::Timestamp(json["at_ns"].as_i64()?),
        },
        prev_hash: text("prev_hash")?,
        hash: text("hash")?,
    })
}
