//! What a store must hold after a fault, counted: in: what was acknowledged, and a store opened again. Out: how many
//! events, marks and heads are lost, doubled, wrong or unreadable, each broken promise by its number
//! ([`crate::tests_world`]).

use std::collections::{BTreeMap, BTreeSet};

use nhatle_event::Timestamp;

use crate::proof::check;
use crate::store::Marks;
use crate::tests_rows::{Row, check_orphans, check_same, rows_of};
use crate::tests_story::Story;
use crate::{Dataset, Store};

/// A batch that was not acknowledged and of which nobody knows whether it is on the disk.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub rows: Vec<Row>,
    pub marks: Vec<(String, Vec<u8>)>,
}

/// What was acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By `Seq`, from 1; also what was dropped.
    pub rows: Vec<Row>,
    pub marks: Marks,
    /// What may turn up at the next opening.
    pub maybe: Vec<Attempt>,
    /// What was dropped and told so.
    pub dropped: BTreeSet<u64>,
    /// What may have been dropped, each all or none.
    pub maybe_dropped: Vec<BTreeSet<u64>>,
    /// How many leaves the newest head covers that was given out.
    pub head: u64,
    pub next_id: u64,
}

/// How often promises were broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub runs: usize,
    pub lost: usize,
    pub doubled: usize,
    pub wrong: usize,
    pub unreadable: usize,
    /// The first ones in words.
    pub said: Vec<String>,
}

const SAID_MAX: usize = 5;

impl Tally {
    pub fn say(&mut self, what: String) {
        if self.said.len() < SAID_MAX {
            self.said.push(what);
        }
    }

    pub fn lost(&mut self, what: String) {
        self.lost += 1;
        self.say(what);
    }

    pub fn wrong(&mut self, what: String) {
        self.wrong += 1;
        self.say(what);
    }

    pub fn unreadable(&mut self, what: String) {
        self.unreadable += 1;
        self.say(what);
    }

    pub fn is_broken(&self) -> bool {
        self.lost + self.doubled + self.wrong + self.unreadable > 0
    }

    pub fn add(&mut self, other: &Tally, place: &str) {
        self.runs += other.runs;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.wrong += other.wrong;
        self.unreadable += other.unreadable;
        other.said.iter().for_each(|what| self.say(format!("{place}: {what}")));
    }
}

type Rows = BTreeMap<u64, (Timestamp, Row)>;

impl Ledger {
    /// Compares what was found with what must be there, and takes over what may be there and is.
    pub fn compare(&mut self, found: &Rows, marks: &Marks, tally: &mut Tally) {
        let ids: Vec<u64> = found.values().map(|(_, (_, id))| *id).collect();
        let distinct: BTreeSet<u64> = ids.iter().copied().collect();
        if distinct.len() != ids.len() {
            tally.doubled += ids.len() - distinct.len();
            tally.say(format!("S1 {} events are there twice", ids.len() - distinct.len()));
        }
        for gone in std::mem::take(&mut self.maybe_dropped) {
            let there = gone.iter().filter(|seq| found.contains_key(seq)).count();
            if there == 0 {
                self.dropped.extend(gone);
            } else if there != gone.len() {
                tally.wrong(format!("S2 of a dropped segment {there} of {} events stayed", gone.len()));
            }
        }
        for (seq, row) in (1..).zip(&self.rows) {
            match (found.get(&seq), self.dropped.contains(&seq)) {
                (Some((_, is)), false) if is == row => {}
                (Some((_, is)), false) => tally.wrong(format!("S1 Seq {seq} is {is:?}, was {row:?}")),
                (None, false) => tally.lost(format!("S1 {row:?} with Seq {seq} is gone")),
                (Some(_), true) => tally.wrong(format!("S2 Seq {seq} was dropped and is back")),
                (None, true) => {}
            }
        }
        let last = self.rows.len() as u64;
        let more: Vec<Row> = found.range(last + 1..).map(|(_, (_, row))| *row).collect();
        let is_whole = found.range(last + 1..).map(|(seq, _)| *seq).eq(last + 1..last + 1 + more.len() as u64);
        if !is_whole {
            tally.wrong(format!("S3 the Seqs past {last} have a gap"));
        }
        self.adopt(more, marks, tally);
    }

    fn adopt(&mut self, more: Vec<Row>, marks: &Marks, tally: &mut Tally) {
        let maybe = std::mem::take(&mut self.maybe);
        if more.is_empty() && *marks == self.marks {
            return;
        }
        let is_it = |attempt: &&Attempt| {
            let mut with = self.marks.clone();
            with.extend(attempt.marks.iter().cloned());
            attempt.rows == more && with == *marks
        };
        match maybe.iter().find(is_it) {
            Some(attempt) => {
                self.rows.extend(&attempt.rows);
                self.marks.extend(attempt.marks.iter().cloned());
            }
            None if more.is_empty() => tally.lost(format!("S1 marks are {marks:?}, were {:?}", self.marks)),
            None => tally.wrong(format!("S2 {more:?} and marks {marks:?} were never appended so")),
        }
    }

    /// What is there by dataset.
    fn counts(&self) -> [u64; Dataset::ALL.len()] {
        let there = |dataset| {
            let is_it = |(seq, row): &(u64, &Row)| row.0 == dataset && !self.dropped.contains(seq);
            (1..).zip(&self.rows).filter(is_it).count() as u64
        };
        Dataset::ALL.map(there)
    }
}

impl Story {
    /// Looks at the whole store as it is open now.
    pub fn look(&mut self, tally: &mut Tally) {
        let Some(store) = self.store.clone() else { return tally.unreadable("S1 the store is not open".to_owned()) };
        let found = match rows_of(&store.snapshot()) {
            Ok(found) => found,
            Err(what) if what.contains("twice") => {
                tally.doubled += 1;
                return tally.say(what);
            }
            Err(what) if what.starts_with("S3") => return tally.wrong(what),
            Err(what) => return tally.unreadable(what),
        };
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.compare(&found, &store.marks(), tally);
        self.ledger = ledger;
        let stats = store.stats();
        if stats.events != self.ledger.counts() || stats.last_seq.0 != self.ledger.rows.len() as u64 {
            tally.wrong(format!("S7 {stats:?}, must be {:?}", self.ledger.counts()));
        }
        let head = store.newest_head().map_or(0, |head| head.head.size);
        if head < self.ledger.head {
            tally.lost(format!("S8 a head over {} leaves was given out, the newest covers {head}", self.ledger.head));
        }
        self.ledger.head = head;
    }

    fn look_at_proof(&self, store: &Store, tally: &mut Tally) {
        store.catch_up_proof();
        let state = store.proof_state();
        if let Some(trouble) = state.trouble {
            tally.wrong(format!("S8 the proof is not gone on with: {trouble}"));
        }
        match check::store(&self.disk) {
            Ok(checked) => {
                let findings = checked.map(|checked| checked.findings).unwrap_or_default();
                findings.iter().for_each(|finding| tally.wrong(format!("S8 {}: {}", finding.file, finding.what)));
            }
            Err(error) => tally.unreadable(format!("S8 the proof cannot be read: {error}")),
        }
    }

    /// The fault is over: the store opens, holds what it must, lies tidy, opens again without a change, and goes on.
    pub fn settle(&mut self, tally: &mut Tally) {
        tally.runs += 1;
        self.disk.calm();
        self.disk.set_moment("recovery");
        if let Err(what) = self.open() {
            return tally.unreadable(format!("S1 the store does not open: {what}"));
        }
        if let Err(what) = check_orphans(&self.disk) {
            tally.wrong(what);
        }
        self.look(tally);
        for finding in crate::verify(&self.disk) {
            tally.unreadable(format!("{} at byte {}: {}", finding.file, finding.offset, finding.what));
        }
        let before = self.disk.image();
        self.store = None;
        match self.open() {
            Ok(()) => {
                if let Err(what) = check_same(&before, &self.disk) {
                    tally.wrong(what);
                }
            }
            Err(what) => return tally.unreadable(format!("S5 the store does not open again: {what}")),
        }
        self.disk.set_moment("append");
        let acknowledged = self.ledger.rows.len();
        self.append(2, 0);
        self.disk.set_moment("seal");
        self.seal();
        if self.ledger.rows.len() != acknowledged + 2 {
            tally.unreadable("the store takes nothing more".to_owned());
        }
        self.store = None;
        self.disk.restart();
        self.disk.set_moment("recovery");
        match self.open() {
            Ok(()) => {
                self.look(tally);
                if let Some(store) = self.store.clone() {
                    self.look_at_proof(&store, tally);
                }
            }
            Err(what) => tally.unreadable(format!("S1 after a power cut the store does not open: {what}")),
        }
    }
}
