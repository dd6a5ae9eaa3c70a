//! The receipt book: for each source, in all and by hour, what was received, stored, rejected, duplicate and
//! dead-lettered, why, and which numbers are missing.
//!
//! Invariant (S7, checked by [`SourceBook::unbalanced`] and, against what search counts, by [`balance`]): received =
//! stored + rejected + duplicate, where a dead letter is stored too, in its own dataset.
//!
//! The log is the book (ADR 20): what is stored is counted again from the log after a crash. What the log does not
//! say (duplicates, refusals, gaps) is written in the batch it counts, as marks `sources.00` to `sources.31` (sources
//! are spread over them by name) with the mark `sources.counted`: up to which event the marks have counted. Marks hold totals and
//! open hours; an hour that is over leaves them as an event of the dataset `receipts`, in one batch with marks that no longer hold it.
//! So a restart neither forgets nor counts twice, and the book of an hour is kept as long as the logs.
//! Bounded: sources past [`SOURCES_MAX`] are counted together under [`OTHER_SOURCE`].

pub mod hour;
pub mod tally;
pub mod history;
pub mod owners;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nhatle_event::{Event, Seq, Text, Timestamp};
use nhatle_storage::wal::MARK_BYTES_MAX;
use nhatle_storage::{Dataset, Finding, ReadError, Store, WriteError};
use serde::{Deserialize, Serialize};

pub use hour::{Counts, Ended, HourPart};
pub use tally::{Tally, Whose};

use hour::{HOUR_NS, hour_of};
use tally::Sent;

use crate::tend::scrub;

/// How many sources are counted one by one.
pub const SOURCES_MAX: usize = 4_096;
/// The row of all sources past the bound.
pub const OTHER_SOURCE: &str = "(other)";
/// Over how many marks the book is spread.
pub const SHARDS: usize = 32;
/// The mark that says up to which event the others have counted.
const COUNTED_MARK: &str = "sources.counted";
/// How many hours of one source are open at once; the oldest is stored first where there would be more.
const OPEN_HOURS_MAX: usize = 4;
/// An hour is stored so long after its end: records that were on their way then are still in it.
const GRACE_NS: i64 = 120_000_000_000;
/// How many stored events are read together at the start.
const REPLAY_EVENTS: usize = 8_192;

/// What one source sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// The input its last record came by.
    pub input: String,
    /// The organization unit of its last record.
    pub unit: Option<String>,
    /// What was counted in all.
    #[serde(flatten)]
    pub total: Counts,
    /// When the last one was received, nanoseconds.
    pub last_seen_ns: i64,
    /// Hours that are not stored yet, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<HourPart>,
    /// Its clock in the last stored hour that says anything of it: median and spread, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ms: Option<(i32, i32)>,
}

impl Receipts {
    /// Which profile was named and which most of its records are read with, where that is another: by the newest hour that is still in the
    /// marks, so that what came before a name was corrected does not count; in all where there is none.
    pub fn misnamed(&self) -> Option<&str> {
        let last = self.open.iter().rev().find(|part| 0 < part.counts.stored);
        last.map_or(&self.total, |part| &part.counts).misnamed()
    }

    /// How far its clock is ahead of ours, and how widely that spreads, milliseconds.
    pub fn clock(&self) -> Option<(i32, i32)> {
        self.open.iter().rev().find_map(|part| part.clock.median_and_spread()).or(self.clock_ms)
    }
}

type Shard = BTreeMap<String, Receipts>;

/// All sources. A copy costs some pointers until it is changed.
#[derive(Clone, Debug, Default)]
pub struct SourceBook {
    shards: [Arc<Shard>; SHARDS],
    is_dirty: [bool; SHARDS],
    names: usize,
    /// Marks that could not be read when it was opened.
    damaged: Vec<Finding>,
    /// Stored events up to this one are counted.
    pub counted: Seq,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Stored as an event.
    Stored,
    /// Stored as a dead letter.
    DeadLettered,
    /// Stored before.
    Duplicate,
}

impl SourceBook {
    /// The book of a store: its marks, and what was stored after them, as far as that can be read.
    ///
    /// # Errors
    /// Something else than a segment cannot be read.
    pub fn open(store: &Store) -> Result<SourceBook, ReadError> {
        let (marks, snapshot) = (store.marks(), store.snapshot());
        // Books of before this mark were exact at each batch.
        let counted = match marks.get(COUNTED_MARK).and_then(|bytes| bytes.as_slice().try_into().ok()) {
            Some(bytes) => Seq(u64::from_le_bytes(bytes)),
            None => snapshot.last_seq(),
        };
        let mut book = SourceBook::from_marks(|name| marks.get(name).cloned());
        book.counted = counted;
        for (dataset, fate) in [(Dataset::Events, Fate::Stored), (Dataset::DeadLetters, Fate::DeadLettered)] {
            let mut after = counted;
            loop {
                // What is in a damaged segment is counted by nobody: the others go on.
                let (events, _damaged) =
                    snapshot.serve_rest(|rest| rest.events_after(dataset, after, REPLAY_EVENTS))?;
                let Some(last) = events.last() else { break };
                let mut tally = Tally::new();
                for stored in &events {
                    tally.count(&stored.event, fate, stored.seq.0.saturating_sub(1));
                }
                book.add(&tally);
                after = last.seq;
            }
        }
        book.counted = snapshot.last_seq().max(counted);
        Ok(book)
    }

    /// The book as its marks kept it; an empty one where there are none. A mark that cannot be read is named by
    /// [`SourceBook::damaged`]: its sources begin anew, and the others are as they were.
    fn from_marks(mark: impl Fn(&str) -> Option<Vec<u8>>) -> SourceBook {
        let mut book = SourceBook::default();
        for (shard, rows) in book.shards.iter_mut().enumerate() {
            let name = mark_name(shard);
            let kept = mark(&name).map(|bytes| serde_json::from_slice::<Shard>(&bytes)).transpose();
            let kept = kept.inspect_err(|error| book.damaged.push(scrub::of_mark(&name, error)));
            *rows = Arc::new(kept.ok().flatten().unwrap_or_default());
        }
        book.names = book.shards.iter().map(|rows| rows.len()).sum();
        book
    }

    /// Marks that could not be read when the book was opened: what their sources had sent by then is not counted.
    pub fn damaged(&self) -> &[Finding] {
        &self.damaged
    }

    /// The marks of all rows changed since this was last called, and the one that says up to where they count.
    pub fn take_marks(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut marks = vec![(COUNTED_MARK.to_owned(), self.counted.0.to_le_bytes().to_vec())];
        for (shard, is_dirty) in self.is_dirty.iter_mut().enumerate().filter(|(_, is_dirty)| **is_dirty) {
            *is_dirty = false;
            let json = serde_json::to_vec(&*self.shards[shard]).expect("a map of text to numbers is JSON");
            marks.push((mark_name(shard), json));
        }
        marks
    }

    /// Whether something is counted that no mark says.
    pub fn is_dirty(&self) -> bool {
        self.is_dirty.contains(&true)
    }

    /// The book with what a batch has to say that the log does not, and the marks that go into the batch.
    pub fn before_batch(&self, other: &Tally) -> (SourceBook, Vec<(String, Vec<u8>)>) {
        let mut next = self.clone();
        next.add(other);
        let marks = if other.is_empty() { Vec::new() } else { next.take_marks() };
        (next, marks)
    }

    /// Counts a batch that is durable now: what is stored, up to its last event.
    pub fn after_batch(&mut self, stored: &Tally, last: Option<Seq>) {
        self.add(stored);
        self.counted = last.unwrap_or(self.counted);
    }

    /// Writes down what no mark says yet, with what was noted; stores the hours that are over where `has_ended`, and those past
    /// the bound at once: a ward that was cut off for weeks comes with hundreds.
    ///
    /// # Errors
    /// The store cannot be written; the book is then as before.
    pub fn keep(&mut self, store: &Store, noted: &Tally, now: Timestamp, has_ended: bool) -> Result<(), WriteError> {
        let mut next = self.clone();
        next.add(noted);
        let has_too_many = next.rows().any(|(_, row)| OPEN_HOURS_MAX < row.open.len());
        let mut rows = if has_ended || has_too_many { next.take_ended(now) } else { Vec::new() };
        if !next.is_dirty() {
            return Ok(());
        }
        let marks = next.take_marks();
        store.append_from(&mut rows, &by_name(&marks))?;
        *self = next;
        Ok(())
    }

    /// Adds what was tallied.
    pub fn add(&mut self, tally: &Tally) {
        for (name, sent) in tally.rows() {
            self.add_source(name, sent);
        }
    }

    fn add_source(&mut self, name: &str, sent: &Sent) {
        let shard = shard_of(name);
        let has_room = self.names < SOURCES_MAX || name == OTHER_SOURCE;
        if !has_room && !self.shards[shard].contains_key(name) {
            return self.add_source(OTHER_SOURCE, sent);
        }
        self.is_dirty[shard] = true;
        let rows = Arc::make_mut(&mut self.shards[shard]);
        let row = match rows.get_mut(name) {
            Some(row) => row,
            None => {
                self.names += 1;
                rows.entry(name.to_owned()).or_default()
            }
        };
        row.last_seen_ns = row.last_seen_ns.max(sent.last_ns);
        if row.input != sent.input.as_str() {
            row.input = sent.input.to_string();
        }
        if sent.unit.is_some() && row.unit.as_deref() != sent.unit.as_deref() && name != OTHER_SOURCE {
            row.unit = sent.unit.as_ref().map(Text::to_string);
        }
        for part in &sent.parts {
            row.total.add(&part.counts);
            match row.open.binary_search_by_key(&part.hour, |open| open.hour) {
                Ok(place) => row.open[place].add(part),
                Err(place) => row.open.insert(place, part.clone()),
            }
        }
    }

    /// Takes out the hours that are over, as rows to be stored.
    pub fn take_ended(&mut self, now: Timestamp) -> Vec<(Dataset, Event)> {
        let mut ended = Vec::new();
        let border = hour_of(now.plus_nanos(-GRACE_NS));
        let is_over =
            |row: &Receipts| row.open.first().is_some_and(|part| part.hour < border) || OPEN_HOURS_MAX < row.open.len();
        for (shard, rows) in self.shards.iter_mut().enumerate() {
            if !rows.values().any(is_over) {
                continue;
            }
            self.is_dirty[shard] = true;
            for (source, row) in Arc::make_mut(rows).iter_mut().filter(|(_, row)| is_over(row)) {
                let past = row.open.len().saturating_sub(OPEN_HOURS_MAX);
                let count = row.open.iter().take_while(|part| part.hour < border).count().max(past);
                for part in row.open.drain(..count) {
                    row.clock_ms = part.clock.median_and_spread().or(row.clock_ms);
                    let (source, input, unit) = (source.clone(), row.input.clone(), row.unit.clone());
                    ended.push(Ended { source, input, unit, part }.to_row(now));
                }
            }
        }
        ended
    }

    /// When hours may be over next.
    pub fn next_end(now: Timestamp) -> Timestamp {
        let hour = hour_of(now.plus_nanos(-GRACE_NS)) + 1;
        Timestamp(hour.saturating_mul(HOUR_NS)).plus_nanos(GRACE_NS)
    }

    /// Every source with its receipts.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &Receipts)> {
        self.shards.iter().flat_map(|rows| rows.iter()).map(|(name, row)| (name.as_str(), row))
    }

    /// The receipts of one source.
    pub fn row(&self, name: &str) -> Option<&Receipts> {
        self.shards[shard_of(name)].get(name)
    }

    /// The sources whose numbers do not balance; always none.
    pub fn unbalanced(&self) -> Vec<&str> {
        self.rows().filter(|(_, row)| !row.total.is_balanced()).map(|(name, _)| name).collect()
    }
}

/// Marks as the store takes them. One that is too long is left out and told, once: with it no batch would ever be stored,
/// without it what it says is as old as its last value.
pub fn by_name(marks: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    let (fit, too_long): (Vec<_>, Vec<_>) = marks.iter().partition(|(_, value)| value.len() <= MARK_BYTES_MAX);
    for (name, value) in too_long {
        if !IS_TOLD.swap(true, Ordering::Relaxed) {
            tracing::error!(
                name,
                bytes = value.len(),
                "a mark is too long to be kept; what it says stays as old as it is"
            );
        }
    }
    fit.into_iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
}

fn mark_name(shard: usize) -> String {
    format!("sources.{shard:02}")
}

/// FNV-1a of the name: stable over versions, because the marks are kept.
fn shard_of(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash % SHARDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use nhatle_event::Field;

    use super::*;

    fn event(source: &str, received: i64) -> Event {
        let mut event = Event::new(Timestamp(received), *b"x");
        event.received = Timestamp(received);
        event.set(Field::NHATLE_SOURCE, source);
        event
    }

    #[test]
    fn the_book_balances_and_comes_back_from_its_marks() {
        let mut book = SourceBook::default();
        let mut tally = Tally::new();
        for fate in [Fate::Stored, Fate::DeadLettered, Fate::Duplicate] {
            tally.count(&event("web", 9), fate, 0);
        }
        let whose = Whose { source: "web", input: "syslog-udp", unit: Some("NL") };
        tally.reject(whose, "queue full", 4, Timestamp(9));
        tally.gap(whose, (7, 9), Timestamp(HOUR_NS));
        tally.numbered(whose, (3, 12), Timestamp(HOUR_NS));
        book.add(&tally);
        let row = book.row("web").expect("is there");
        let total = &row.total;
        assert_eq!((total.received, total.stored, total.rejected), (7, 2, 4));
        assert_eq!((total.duplicate, total.dead_lettered, total.missing), (1, 1, 3));
        assert_eq!((row.open.len(), row.open[1].numbers), (2, Some((3, 12))));
        assert!(book.unbalanced().is_empty());
        let marks = book.take_marks();
        assert_eq!(marks.len(), 2);
        let again = SourceBook::from_marks(|name| marks.iter().find(|(known, _)| known == name).map(|m| m.1.clone()));
        assert_eq!(again.row("web"), book.row("web"));
        assert!(!book.is_dirty());
    }

    #[test]
    fn a_book_of_the_first_form_is_read() {
        let old = br#"{"web":{"input":"i","unit":null,"received":3,"stored":2,"rejected":0,"duplicate":1,"dead_lettered":1,"last_seen_ns":9}}"#;
        let book = SourceBook::from_marks(|name| (name == mark_name(shard_of("web"))).then(|| old.to_vec()));
        assert_eq!(
            book.row("web").map(|row| (row.total.received, row.total.duplicate, row.last_seen_ns)),
            Some((3, 1, 9))
        );
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_named_and_the_others_are_as_they_were() {
        let mut book = SourceBook::default();
        let mut tally = Tally::new();
        let names: Vec<String> = (0..100).map(|number| format!("s{number}")).collect();
        names.iter().for_each(|name| tally.count(&event(name, 9), Fate::Stored, 0));
        book.add(&tally);
        let mut marks: BTreeMap<String, Vec<u8>> = book.take_marks().into_iter().collect();
        let bad = mark_name(shard_of("s7"));
        marks.get_mut(&bad).expect("is there").truncate(40);
        let again = SourceBook::from_marks(|name| marks.get(name).cloned());
        let damaged: Vec<&str> = again.damaged().iter().map(|one| one.file.as_str()).collect();
        assert_eq!(damaged, [format!("mark {bad}")]);
        for name in &names {
            let is_lost = mark_name(shard_of(name)) == bad;
            assert_eq!(again.row(name), book.row(name).filter(|_| !is_lost), "{name}");
        }
        assert!(book.damaged().is_empty());
    }

    #[test]
    fn a_mark_that_is_too_long_does_not_keep_a_batch_from_being_stored() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there"));
        let clock = Arc::new(nhatle_event::SystemClock);
        let store = Store::open(disk, nhatle_storage::Config::default(), clock).expect("opens");
        let marks = [("places.00".to_owned(), vec![b'x'; MARK_BYTES_MAX + 1]), (COUNTED_MARK.to_owned(), vec![1; 8])];
        let mut rows = vec![(Dataset::Events, event("web", 9))];
        store.append_from(&mut rows, &by_name(&marks)).expect("is stored");
        assert_eq!(store.marks().keys().map(|name| &**name).collect::<Vec<_>>(), [COUNTED_MARK]);
    }

    #[test]
    fn an_hour_leaves_the_book_some_time_after_its_end_and_may_have_a_second_part() {
        let mut book = SourceBook::default();
        let count = |book: &mut SourceBook, received| {
            let mut tally = Tally::new();
            tally.count(&event("web", received), Fate::Stored, 5);
            book.add(&tally);
        };
        count(&mut book, HOUR_NS - 1);
        count(&mut book, HOUR_NS);
        assert!(book.take_ended(Timestamp(HOUR_NS + GRACE_NS - 1)).is_empty());
        assert_eq!(SourceBook::next_end(Timestamp(HOUR_NS + 5)), Timestamp(HOUR_NS + GRACE_NS));
        let ended = book.take_ended(Timestamp(HOUR_NS + GRACE_NS));
        let parts: Vec<Ended> = ended.iter().filter_map(|(_, event)| Ended::of(event)).collect();
        assert_eq!((parts.len(), parts[0].part.hour, parts[0].part.counts.stored), (1, 0, 1));
        count(&mut book, 7);
        assert_eq!(book.take_ended(Timestamp(HOUR_NS + GRACE_NS)).len(), 1, "what came late is a second part");
        assert_eq!(book.row("web").map(|row| (row.total.stored, row.open.len())), Some((3, 1)));
    }

    #[test]
    fn a_damaged_segment_is_not_counted_and_the_book_opens_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there"));
        let clock = Arc::new(nhatle_event::SystemClock);
        let store = Store::open(disk, nhatle_storage::Config::default(), clock).expect("opens");
        let counted = [(COUNTED_MARK, vec![0; 8])];
        for source in ["lost", "web"] {
            store.append(vec![(Dataset::Events, event(source, 9))], &counted).expect("is written");
            store.seal().expect("seals");
        }
        crate::alerts::tests::damage_first_segment(folder.path());
        let book = SourceBook::open(&store).expect("opens");
        assert_eq!(book.rows().map(|(name, _)| name).collect::<Vec<_>>(), ["web"]);
        assert_eq!(book.counted, Seq(2));
    }

    #[test]
    fn hours_past_the_bound_are_stored_before_the_hour_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there"));
        let clock = Arc::new(nhatle_event::SystemClock);
        let store = Store::open(disk, nhatle_storage::Config::default(), clock).expect("opens");
        let (mut book, mut tally) = (SourceBook::default(), Tally::new());
        for hour in (0..500).rev() {
            tally.count(&event("web", hour * HOUR_NS), Fate::Stored, 5);
        }
        book.add(&tally);
        assert_eq!(book.row("web").map(|row| row.open.len()), Some(500));
        book.keep(&store, &Tally::new(), Timestamp(499 * HOUR_NS + 5), false).expect("is written");
        assert_eq!(book.row("web").map(|row| (row.total.stored, row.open.len() <= OPEN_HOURS_MAX)), Some((500, true)));
        assert!(500 - OPEN_HOURS_MAX as u64 <= store.snapshot().count(Dataset::Receipts));
        let bytes: usize = store.marks().values().map(|value| value.len()).sum();
        assert!(bytes < 4_096, "{bytes}: marks are written again and again");
    }

    /// What was counted, the plain way: received, stored, duplicate, rejected by source and hour.
    type Plain = BTreeMap<(String, i64), [u64; 4]>;

    /// A store whose process ends at any moment, between any two writes: the book is what was counted, and the hours
    /// are, however often they were stored in parts.
    #[test]
    fn whenever_the_process_ends_the_book_neither_forgets_nor_doubles() {
        for seed in 0..3_u64 {
            let folder = tempfile::tempdir().expect("a folder");
            let open = || {
                let disk = Arc::new(nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there"));
                let clock = Arc::new(nhatle_event::SystemClock);
                Store::open(disk, nhatle_storage::Config::default(), clock).expect("opens")
            };
            let mut store = open();
            let mut book = SourceBook::open(&store).expect("reads");
            let mut state = seed;
            let mut dice = |sides: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % sides
            };
            let mut plain = Plain::new();
            for step in 0..60_i64 {
                let now = Timestamp(step * HOUR_NS / 7);
                match dice(10) {
                    0..6 => {
                        let (mut rows, mut stored, mut other) = (Vec::new(), Tally::new(), Tally::new());
                        for _ in 0..dice(4) + 1 {
                            let source = format!("s{}", dice(3));
                            let event = event(&source, now.0 - i64::try_from(dice(3)).unwrap_or(0) * HOUR_NS / 2);
                            let counts = plain.entry((source, hour_of(event.received))).or_default();
                            counts[0] += 1;
                            if dice(4) == 0 {
                                counts[2] += 1;
                                other.count(&event, Fate::Duplicate, book.counted.0);
                            } else {
                                counts[1] += 1;
                                stored.count(&event, Fate::Stored, book.counted.0);
                                rows.push((Dataset::Events, event));
                            }
                        }
                        if dice(5) == 0 {
                            let whose = Whose { source: "s0", input: "i", unit: None };
                            other.reject(whose, "queue full", 2, now);
                            let counts = plain.entry(("s0".into(), hour_of(now))).or_default();
                            (counts[0], counts[3]) = (counts[0] + 2, counts[3] + 2);
                        }
                        let (mut next, marks) = book.before_batch(&other);
                        let rows = store.append_from(&mut rows, &by_name(&marks)).expect("is written");
                        next.after_batch(&stored, rows.last().map(|last| last.seq));
                        book = next;
                    }
                    6 => book.keep(&store, &Tally::new(), now, false).expect("is written"),
                    7 => book.keep(&store, &Tally::new(), now, true).expect("is written"),
                    8 => drop(store.seal().expect("seals")),
                    _ => {
                        drop(store);
                        store = open();
                        book = SourceBook::open(&store).expect("reads");
                    }
                }
            }
            let snapshot = store.snapshot();
            let mut found = Plain::new();
            for hour in -2..12 {
                for (source, part) in history::of_hour(&book, &snapshot, hour).expect("reads") {
                    let counts = &part.counts;
                    let row = [counts.received, counts.stored, counts.duplicate, counts.rejected];
                    found.insert((source.clone(), hour), row);
                    let span = (part.begin(), part.begin().plus_nanos(1));
                    let alone = history::of_source(&book, &snapshot, &source, span).expect("reads");
                    assert_eq!(alone.len(), 1, "seed {seed}");
                    assert_eq!(alone[0].counts.received, row[0], "seed {seed}");
                }
            }
            assert_eq!(found, plain, "seed {seed}");
            let total: u64 = book.rows().map(|(_, row)| row.total.received).sum();
            assert_eq!(total, plain.values().map(|counts| counts[0]).sum::<u64>(), "seed {seed}");
        }
    }

    #[test]
    fn sources_past_the_bound_are_counted_together() {
        let mut book = SourceBook::default();
        for number in 0..SOURCES_MAX + 10 {
            let mut tally = Tally::new();
            tally.count(&event(&format!("s{number}"), 5), Fate::Stored, 0);
            book.add(&tally);
        }
        assert_eq!(book.rows().count(), SOURCES_MAX + 1);
        assert_eq!(book.row(OTHER_SOURCE).map(|row| row.total.received), Some(10));
        let mut tally = Tally::new();
        tally.reject(Whose { source: "one more", input: "http", unit: Some("A") }, "flood", 1, Timestamp(5));
        book.add(&tally);
        assert_eq!(
            book.row(OTHER_SOURCE).map(|row| (row.total.received, &row.unit)),
            Some((11, &None)),
            "nobody's own"
        );
    }
}
