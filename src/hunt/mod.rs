//! Rules over what is stored: the same compiled rules as in the stream, by the same detector and correlator.
//!
//! In: a snapshot, a rule set, a time range of `@timestamp`. Out: matches, and when all is read the firings of
//! correlations. Promise: the matches and firings are those that a detector looking at every event of the range
//! would give ([`Reading::Everything`] does that, and the tests compare the two). Segments, and rows of them, that
//! cannot match are not read ([`sieve`]); of the rest only the columns the rules read, and whole events only where
//! somebody asked for them. Correlations are fed the events of twice the longest window before the range too,
//! and only what ends inside the range is given.
//!
//! Failure: a segment that cannot be read ends the run with an error that names it.

pub mod guest;
pub mod job;
pub mod preview;
pub mod sieve;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use nhatle_engine::correlate::{Arrived, CorrelationMatch, Correlator, Limits};
use nhatle_engine::detect::{Detector, Match};
use nhatle_engine::{needs, replay};
use nhatle_event::{Field, Stored, Timestamp};
use nhatle_rules::{CorrelationId, RuleSet};
use nhatle_storage::query::sieve::{READ_ROWS, Sieve, Sifted};
use nhatle_storage::{Dataset, LiveSegment, ReadError, Row, Snapshot};

/// How many batches may be read ahead of the detector.
const BATCHES_AHEAD: usize = 2;
/// So many events are looked at on the calling thread between two looks at the watch.
const SLICE_EVENTS: usize = 256;
/// How many firings one run remembers until it is over; past it the run stops.
pub const FIRINGS_MAX: usize = 1_000_000;

/// What is read of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What may match.
    Candidates,
    /// Every event of the range: the slow twin.
    Everything,
}

/// What is given with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The event with at least the fields that rules read.
    Projected,
    /// The event as it is stored.
    Whole,
}

/// Rules made ready for runs over the store.
pub struct Hunter {
    rules: Arc<RuleSet>,
    detector: Detector,
    sieve: Sieve,
    fields: Option<Vec<Field>>,
    /// So many of the events match that reading them whole at once costs less than reading them twice.
    is_matched_by_many: AtomicBool,
}

/// From one match in so many events on, events are read whole.
const WHOLE_FROM_ONE_IN: usize = 4;

/// What to run over.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// `@timestamp` is not before this.
    pub from: Timestamp,
    /// `@timestamp` is before this; [`Timestamp::MAX`] is no end.
    pub to: Timestamp,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events of the range that were looked at or need not be.
    pub events: u64,
    /// Of those, how many were read.
    pub read: u64,
    /// Segments of the range, and those of them of which nothing had to be read.
    pub segments: u64,
    /// See `segments`.
    pub segments_skipped: u64,
}

/// Some events that match, with what matches them.
pub struct Looked<'a> {
    /// Events; only such as match.
    pub events: &'a [Stored],
    /// Which rules match which of `events`, in order of position, then of rule.
    pub matches: &'a [Match],
    /// How far the run is.
    pub progress: Progress,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Firings whose last event is in the range, in order of its time.
    pub fired: Vec<CorrelationMatch>,
    /// How far it came.
    pub progress: Progress,
    /// Somebody stopped it.
    pub is_stopped: bool,
}

/// Who pays for a run.
pub enum Pace<'a> {
    /// A command that has the machine to itself: all cores.
    AllCores,
    /// A guest in a running server: the calling thread only, asking now and then whether to go on. The one asked
    /// may take its time.
    Guest(&'a mut dyn FnMut(Progress) -> ControlFlow<()>),
}

/// Events to be looked at, and where their whole form is.
struct Batch {
    events: Vec<Stored>,
    from: Option<(Arc<Sifted>, Vec<usize>)>,
    progress: Progress,
}

impl Hunter {
    /// Makes a rule set ready. Takes some hundred milliseconds for a few thousand rules.
    pub fn new(rules: Arc<RuleSet>, reading: Reading) -> Hunter {
        let (sieve, fields) = match reading {
            Reading::Candidates => (sieve::sieve_of(&needs::of(&rules)), needs::fields_read(&rules)),
            Reading::Everything => (Sieve::Everything, None),
        };
        Hunter {
            detector: Detector::new(rules.clone()),
            sieve,
            fields,
            rules,
            is_matched_by_many: AtomicBool::new(false),
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// How many events a run over this range has to account for, to show how far it is.
    pub fn event_count(&self, snapshot: &Snapshot, range: Range) -> u64 {
        let range = self.fed(range);
        let sealed: u64 = segments(snapshot, range).map(|segment| segment.meta().row_count).sum();
        sealed + recent(snapshot, range).count() as u64
    }

    /// Runs over a range. `found` gets the matches as they are found, segment by segment, and may stop the run.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn run(
        &self,
        snapshot: &Snapshot,
        range: Range,
        detail: Detail,
        pace: Pace<'_>,
        mut found: impl FnMut(Looked<'_>) -> ControlFlow<()>,
    ) -> Result<Ended, ReadError> {
        let mut run = Run {
            hunter: self,
            // What is stored may be read in any order of time, as files are.
            correlator: Correlator::new(self.rules.clone(), Limits::for_files()),
            range,
            detail,
            slice: if matches!(pace, Pace::AllCores) { READ_ROWS } else { SLICE_EVENTS },
            fired: BTreeMap::new(),
            progress: Progress::default(),
        };
        let is_stopped = match pace {
            Pace::Guest(watch) => {
                let mut result = Ok(());
                let flow = self.read(snapshot, range, &mut |batch| {
                    let flow = run.look(batch, &mut *watch, &mut found);
                    flow.unwrap_or_else(|error| {
                        result = Err(error);
                        ControlFlow::Break(())
                    })
                })?;
                result?;
                flow.is_break()
            }
            Pace::AllCores => self.run_ahead(snapshot, range, |batch| {
                run.look(batch, &mut |_progress| ControlFlow::Continue(()), &mut found)
            })?,
        };
        Ok(run.end(is_stopped))
    }

    /// Reads on one thread what this one looks at. Says whether it was stopped.
    fn run_ahead(
        &self,
        snapshot: &Snapshot,
        range: Range,
        mut look: impl FnMut(Batch) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<bool, ReadError> {
        std::thread::scope(|scope| {
            let (to_look, batches) = sync_channel::<Batch>(BATCHES_AHEAD);
            let reader = scope.spawn(move || {
                self.read(snapshot, range, &mut |batch| match to_look.send(batch) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_stopped) => ControlFlow::Break(()),
                })
            });
            let mut is_stopped = false;
            for batch in batches.iter() {
                if look(batch)?.is_break() {
                    is_stopped = true;
                    break;
                }
            }
            drop(batches);
            match reader.join() {
                Ok(read) => read.map(|_flow| is_stopped),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The range whose events are read: what correlations count reaches further back.
    fn fed(&self, range: Range) -> Range {
        let span_ns = replay::replay_span_ns(&self.rules, &Limits::default());
        Range { from: range.from.plus_nanos(-span_ns), ..range }
    }

    fn read(
        &self,
        snapshot: &Snapshot,
        range: Range,
        give: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let range = self.fed(range);
        for segment in segments(snapshot, range) {
            let sifted = segment.sift(&self.sieve, (range.from, range.to), self.fields.as_deref())?;
            let mut progress = Progress {
                events: (sifted.in_time() - sifted.rows().len()) as u64,
                read: 0,
                segments: 1,
                segments_skipped: u64::from(sifted.rows().is_empty()),
            };
            let sifted = Arc::new(sifted);
            for rows in chunks_or_none(sifted.rows()) {
                progress.events += rows.len() as u64;
                progress.read += rows.len() as u64;
                let is_whole = sifted.is_whole() || self.is_matched_by_many.load(Ordering::Relaxed);
                let events = if is_whole { sifted.whole(rows)? } else { sifted.read(rows)? };
                let from = (!is_whole).then(|| (sifted.clone(), rows.to_vec()));
                let batch = Batch { events, from, progress: std::mem::take(&mut progress) };
                if give(batch).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        let recent: Vec<Row<'_>> = recent(snapshot, range).collect();
        for events in recent.chunks(READ_ROWS) {
            let count = events.len() as u64;
            let progress = Progress { events: count, read: count, ..Progress::default() };
            let events = events.iter().map(Row::stored).collect();
            if give(Batch { events, from: None, progress }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Chunks of rows, and one empty one where there are none, so that a skipped segment is told of too.
fn chunks_or_none(rows: &[usize]) -> impl Iterator<Item = &[usize]> {
    let none = rows.is_empty().then_some(rows);
    none.into_iter().chain(rows.chunks(READ_ROWS))
}

fn segments(snapshot: &Snapshot, range: Range) -> impl Iterator<Item = &LiveSegment> {
    let is_touched = move |segment: &&LiveSegment| {
        let meta = segment.meta();
        range.from <= meta.timestamp_max && (meta.timestamp_min < range.to || range.to == Timestamp::MAX)
    };
    snapshot.segments(Dataset::Events).map(|segment| &**segment).filter(is_touched)
}

fn recent(snapshot: &Snapshot, range: Range) -> impl Iterator<Item = Row<'_>> {
    snapshot.recent(Dataset::Events).filter(move |row| range.holds(row.timestamp()))
}

impl Range {
    /// All there is.
    pub const ALL: Range = Range { from: Timestamp::MIN, to: Timestamp::MAX };

    /// The moment is in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && (at < self.to || self.to == Timestamp::MAX)
    }
}

impl std::ops::AddAssign for Progress {
    fn add_assign(&mut self, more: Progress) {
        self.events += more.events;
        self.read += more.read;
        self.segments += more.segments;
        self.segments_skipped += more.segments_skipped;
    }
}

/// One run on its way.
struct Run<'a> {
    hunter: &'a Hunter,
    correlator: Correlator,
    range: Range,
    detail: Detail,
    /// How many events go to the detector at once; few enough stay on this thread.
    slice: usize,
    fired: BTreeMap<Name, CorrelationMatch>,
    progress: Progress,
}

/// What a firing is called: end, correlation and group.
type Name = (Timestamp, CorrelationId, Vec<(String, String)>);

impl Run<'_> {
    fn look(
        &mut self,
        batch: Batch,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
        found: &mut dyn FnMut(Looked<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        self.progress += batch.progress;
        let Some(mut matches) = self.detect(&batch.events, watch) else { return Ok(ControlFlow::Break(())) };
        self.correlate(&batch.events, &matches);
        if FIRINGS_MAX <= self.fired.len() {
            return Ok(ControlFlow::Break(()));
        }
        matches.retain(|one| self.range.holds(batch.events[one.position].event.timestamp));
        let events = self.matching(batch, &mut matches)?;
        Ok(found(Looked { events: &events, matches: &matches, progress: self.progress }))
    }

    /// The matches of a batch; `None` where the watch says stop.
    fn detect(&self, events: &[Stored], watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Option<Vec<Match>> {
        if events.is_empty() {
            return watch(self.progress).is_continue().then(Vec::new);
        }
        let mut matches = Vec::new();
        for (number, slice) in events.chunks(self.slice).enumerate() {
            let first = number * self.slice;
            let found = self.hunter.detector.detect(slice);
            matches.extend(found.into_iter().map(|one| Match { position: one.position + first, ..one }));
            if watch(self.progress).is_break() {
                return None;
            }
        }
        Some(matches)
    }

    fn correlate(&mut self, events: &[Stored], matches: &[Match]) {
        if self.hunter.rules.correlations.is_empty() || matches.is_empty() {
            return;
        }
        let arrived: Vec<Arrived<'_>> =
            events.iter().map(|stored| Arrived { seq: stored.seq, event: &stored.event }).collect();
        let fired = self.correlator.push(&arrived, matches);
        self.stand(fired);
    }

    fn stand(&mut self, fired: Vec<CorrelationMatch>) {
        for one in self.correlator.withdrawn() {
            self.fired.remove(&(one.end, one.correlation, one.group.clone()));
        }
        for one in fired {
            self.fired.insert((one.end, one.correlation, one.group.clone()), one);
        }
    }

    /// The events that match, as they were asked for, with the places of matches set to theirs.
    fn matching(&self, batch: Batch, matches: &mut [Match]) -> Result<Vec<Stored>, ReadError> {
        let mut places: Vec<usize> = matches.iter().map(|one| one.position).collect();
        places.dedup();
        for one in matches.iter_mut() {
            one.position = places.binary_search(&one.position).unwrap_or_default();
        }
        match (&batch.from, self.detail) {
            (Some((sifted, rows)), Detail::Whole) => {
                if rows.len() < places.len() * WHOLE_FROM_ONE_IN {
                    self.hunter.is_matched_by_many.store(true, Ordering::Relaxed);
                }
                let rows: Vec<usize> = places.iter().filter_map(|place| rows.get(*place).copied()).collect();
                sifted.whole(&rows)
            }
            _ => {
                let mut events: Vec<Option<Stored>> = batch.events.into_iter().map(Some).collect();
                Ok(places.iter().filter_map(|place| events.get_mut(*place)?.take()).collect())
            }
        }
    }

    fn end(mut self, is_stopped: bool) -> Ended {
        let late = self.correlator.settle(0);
        self.stand(late);
        let range = self.range;
        let fired = std::mem::take(&mut self.fired).into_values().filter(|one| range.holds(one.end)).collect();
        Ended { fired, progress: self.progress, is_stopped }
    }
}
