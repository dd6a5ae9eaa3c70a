//! The alert book: stored alerts in memory, for the queue, the counters and the incident pages.
//!
//! In: alerts as the detector stores them, and at start those of the store. Bounded: past
//! [`ALERTS_MAX`] the oldest leave memory; they stay in the store and are found by search.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use nhatle_engine::alert::Alert;
use nhatle_event::{Seq, Stored};
use nhatle_storage::{Dataset, ReadError, Snapshot, Store};

/// How many alerts are kept in memory.
pub const ALERTS_MAX: usize = 100_000;

/// How many stored alerts are read together.
const READ_EVENTS: usize = 2_048;

/// Alerts by id and by time.
#[derive(Debug, Default)]
pub struct AlertBook {
    by_id: HashMap<String, Arc<Alert>>,
    by_time: BTreeMap<(i64, String), Arc<Alert>>,
    by_rule: HashMap<String, u64>,
    /// How many were ever taken in.
    pub total: u64,
}

impl AlertBook {
    /// An empty book.
    pub fn new() -> AlertBook {
        AlertBook { by_id: HashMap::with_capacity(1024), ..AlertBook::default() }
    }

    /// The newest alerts of the store. Without those of a damaged segment: it must not keep the server from starting.
    ///
    /// # Errors
    /// Something else than a segment cannot be read.
    pub fn of(store: &Store) -> Result<AlertBook, ReadError> {
        AlertBook::read(&store.snapshot())
    }

    /// [`AlertBook::of`] of what a snapshot sees.
    ///
    /// # Errors
    /// As there.
    pub fn read(snapshot: &Snapshot) -> Result<AlertBook, ReadError> {
        snapshot.serve_rest(AlertBook::of_snapshot).map(|(book, _damaged)| book)
    }

    /// Takes in what was stored behind this place, some at a time: a hundred thousand whole events would be a gigabyte.
    ///
    /// # Errors
    /// As [`AlertBook::of`].
    pub fn catch_up(&mut self, snapshot: &Snapshot, after: Seq) -> Result<(), ReadError> {
        let mut sealed = after;
        for segment in snapshot.segments(Dataset::Alerts).filter(|segment| after < segment.meta().last_seq) {
            // Within a segment, for numbers of different segments may interleave.
            self.take_in(after, |from| segment.events_after(from, READ_EVENTS))?;
            sealed = sealed.max(segment.meta().last_seq);
        }
        self.take_in(sealed, |from| snapshot.events_after(Dataset::Alerts, from, READ_EVENTS))
    }

    fn take_in(
        &mut self,
        mut from: Seq,
        read: impl Fn(Seq) -> Result<Vec<Stored>, ReadError>,
    ) -> Result<(), ReadError> {
        loop {
            let stored = read(from)?;
            let Some(last) = stored.last() else { return Ok(()) };
            from = last.seq;
            stored.iter().filter_map(|stored| Alert::from_event(&stored.event)).for_each(|alert| self.insert(alert));
        }
    }

    fn of_snapshot(snapshot: &Snapshot) -> Result<AlertBook, ReadError> {
        let mut book = AlertBook::new();
        let total = snapshot.count(Dataset::Alerts);
        let mut skip = total.saturating_sub(ALERTS_MAX as u64);
        let mut after = Seq(0);
        for segment in snapshot.segments(Dataset::Alerts) {
            let rows = segment.meta().row_count;
            if skip < rows {
                break;
            }
            skip -= rows;
            after = segment.meta().last_seq;
        }
        book.catch_up(snapshot, after)?;
        Ok(book)
    }

    /// Takes an alert in, and marks those it replaces. One that is known already changes nothing, unless it is a
    /// new version.
    pub fn insert(&mut self, alert: Alert) {
        let id = alert.id.to_string();
        for replaced in alert.replaces.iter().filter(|replaced| **replaced != id) {
            self.change(replaced, |known| known.replaced_by = Some(alert.id.clone()));
        }
        if self.by_id.contains_key(&id) {
            if alert.is_revision() {
                self.change(&id, |known| *known = Alert { replaced_by: known.replaced_by.take(), ..alert });
            }
            return;
        }
        let alert = Arc::new(alert);
        *self.by_rule.entry(alert.rule_id.clone()).or_default() += 1;
        self.by_time.insert((alert.at_ns, id.clone()), alert.clone());
        self.by_id.insert(id, alert);
        self.total += 1;
        while ALERTS_MAX < self.by_time.len() {
            let Some(((_, oldest), _)) = self.by_time.pop_first() else { break };
            self.by_id.remove(&oldest);
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Alert)) {
        if let Some(known) = self.by_id.get_mut(id) {
            let alert = Arc::make_mut(known);
            change(alert);
            self.by_time.insert((alert.at_ns, id.to_owned()), known.clone());
        }
    }

    /// The alert of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Alert>> {
        self.by_id.get(id)
    }

    /// Whether an alert of this id is known.
    pub fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// All alerts in memory that stand, newest first: neither replaced nor taken back.
    pub fn newest_first(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.by_time.values().rev().filter(|alert| alert.is_standing())
    }

    /// How many alerts a rule ever raised here.
    pub fn count_of_rule(&self, rule_id: &str) -> u64 {
        self.by_rule.get(rule_id).copied().unwrap_or(0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use nhatle_event::Timestamp;

    use super::*;

    /// Other bytes in the rows of the oldest segment below a data folder.
    pub(crate) fn damage_first_segment(data: &std::path::Path) {
        let segments = std::fs::read_dir(data.join("segments")).expect("is listed");
        let first = segments.flatten().map(|segment| segment.path()).min().expect("there is one");
        let rows = first.join("rows.parquet");
        let length = std::fs::read(&rows).expect("is there").len();
        std::fs::write(&rows, vec![7; length]).expect("is written");
    }

    #[test]
    fn a_damaged_segment_does_not_keep_the_others_alerts_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there"));
        let clock = Arc::new(nhatle_event::SystemClock);
        let store = Store::open(disk, nhatle_storage::Config::default(), clock).expect("opens");
        for id in ["a", "b"] {
            store.append(vec![(Dataset::Alerts, alert(id, 1).to_event(Timestamp(2)))], &[]).expect("is written");
            store.seal().expect("seals");
        }
        damage_first_segment(folder.path());
        let book = AlertBook::of(&store).expect("opens");
        assert_eq!((book.contains("a"), book.contains("b")), (false, true));
    }

    #[test]
    fn what_was_stored_while_alerts_were_read_is_caught_up_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(nhatle_storage::OsDisk::new(folder.path()).expect("the folder is there"));
        let clock = Arc::new(nhatle_event::SystemClock);
        let store = Store::open(disk, nhatle_storage::Config::default(), clock).expect("opens");
        let append = |from: usize, to: usize| {
            let rows = (from..to).map(|at| (Dataset::Alerts, alert(&format!("a{at}"), 1).to_event(Timestamp(2))));
            store.append(rows.collect(), &[]).expect("is written");
        };
        append(0, READ_EVENTS + 10);
        store.seal().expect("seals");
        append(READ_EVENTS + 10, 2 * READ_EVENTS + 20);
        let snapshot = store.snapshot();
        append(2 * READ_EVENTS + 20, 2 * READ_EVENTS + 30);
        store.seal().expect("seals");
        append(2 * READ_EVENTS + 30, 2 * READ_EVENTS + 40);
        let mut book = AlertBook::read(&snapshot).expect("reads");
        assert_eq!(book.total, 2 * READ_EVENTS as u64 + 20);
        book.catch_up(&store.snapshot(), snapshot.last_seq()).expect("reads");
        assert_eq!((book.total, book.by_id.len()), (2 * READ_EVENTS as u64 + 40, 2 * READ_EVENTS + 40));
    }

    fn alert(id: &str, at_ns: i64) -> Alert {
        let json = serde_json::json!({
            "id": id, "rule_id": "r", "title": "t", "title_vi": null, "level": "low", "tags": [],
            "at_ns": at_ns, "span_ns": [0, 0], "events": [1], "count": 1, "group": [],
            "entities": [], "evidence": [], "units": [], "explanation_vi": null, "explanation_en": null,
            "fingerprint": "f", "suppress_s": 60
        });
        serde_json::from_value(json).expect("is an alert")
    }

    #[test]
    fn what_is_replaced_or_taken_back_does_not_stand_and_is_still_there() {
        let mut book = AlertBook::new();
        let standing = |book: &AlertBook| book.newest_first().map(|alert| alert.id.to_string()).collect::<Vec<_>>();
        book.insert(alert("a", 1));
        book.insert(alert("b", 2));
        let mut corrected = alert("c", 3);
        corrected.replace("a");
        book.insert(corrected);
        assert_eq!(standing(&book), ["c", "b"]);
        let taken_back = book.get("b").expect("is known").withdrawn();
        book.insert(taken_back);
        book.insert(alert("b", 2));
        assert_eq!(standing(&book), ["c"]);
        assert_eq!(book.get("a").and_then(|alert| alert.replaced_by.clone()).as_deref(), Some("c"));
        let mut revised = Alert { count: 5, ..alert("c", 3) };
        book.insert(revised.clone());
        assert_eq!(book.get("c").map(|alert| alert.count), Some(1));
        revised.replace("c");
        book.insert(revised);
        assert_eq!(book.get("c").map(|alert| alert.count), Some(5));
        assert_eq!((book.total, book.count_of_rule("r")), (3, 3));
    }
}
