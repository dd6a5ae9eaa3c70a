//! The walk over a store for one question: hits, their number, bars and commonest values in one pass, newest segment
//! first. In: a [`Query`], what is [`Wanted`], a [`Control`]. Out: [`Part`]s while it goes, then a [`Survey`].
//!
//! Promise: a hit is given when nothing that was not looked at yet could come before it, so what was given never
//! moves; all given hits together are the page that [`Snapshot::search`] gives. A walk that was due ends between two
//! segments: it says how far it came, counts nothing twice, and its cursor goes on exactly there. Failure: as search;
//! [`ReadError::Stopped`] where it was canceled or would hold too much.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nhatle_event::{Seq, Stored, Timestamp};

use super::control::Control;
use super::explain::{Explain, micros};
use super::plan::{Looked, Plan};
use super::resolve::FieldName;
use super::rule_out::rule_out;
use super::search::{Best, TOTAL_ROWS_MAX, is_inside};
use super::summary::{Buckets, FACET_ROWS_MAX, Values};
use super::{Cursor, Facet, Filter, HITS_MAX, Order, Page, Query};
use crate::error::ReadError;
use crate::live::LiveSegment;
use crate::segment::{Projection, Segment};
use crate::snapshot::Snapshot;

/// How many events are read in full at a time.
const FETCH_ROWS: usize = 512;
/// What an event in memory takes besides its bytes, roughly.
const EVENT_BYTES: usize = 1024;

/// What is wanted of the events that match.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// These hits.
    pub page: Page,
    /// Bars over the time range, at most so many; 0 is none.
    pub bucket_count: usize,
    /// The commonest values of these fields.
    pub facets: Vec<FieldName>,
    /// So many of each.
    pub facet_values: usize,
    /// Among so many events, the newest.
    pub facet_rows_max: usize,
    /// So many rows may be looked at to make the number exact.
    pub check_rows_max: u64,
}

impl Wanted {
    /// A page of hits and their number.
    pub fn hits(page: Page) -> Wanted {
        Wanted {
            page,
            bucket_count: 0,
            facets: Vec::new(),
            facet_values: 0,
            facet_rows_max: FACET_ROWS_MAX,
            check_rows_max: TOTAL_ROWS_MAX,
        }
    }
}

/// What a walk tells while it goes.
#[derive(Debug)]
pub enum Part {
    /// The next hits, behind all that were given.
    Hits(Vec<Stored>),
    /// How far it is.
    Progress(Progress),
}

/// How far a walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Segments done.
    pub segments_done: usize,
    /// Of so many.
    pub segments_all: usize,
    /// So many events match in what is done.
    pub total: u64,
    /// Everything newer (oldest first: older) than this moment is done; `None` is everything.
    pub done_to: Option<Timestamp>,
    /// Since it began.
    pub took: Duration,
}

/// What a walk found besides the hits it gave.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How many events match in what was looked at.
    pub total: u64,
    /// `total` was counted to the end; otherwise, unless `paused_at` is a moment, the true number is not larger.
    pub total_is_exact: bool,
    /// It was due and paused: everything newer (oldest first: older) than this moment was looked at. `None` is all.
    pub paused_at: Option<Timestamp>,
    /// Where the next page begins, also after a pause; `None` when there is none.
    pub cursor: Option<Cursor>,
    /// Events by time, in what was looked at.
    pub buckets: Vec<(Timestamp, u64)>,
    /// Commonest values.
    pub facets: Vec<Facet>,
    /// How long it took.
    pub took: Duration,
    /// What was done.
    pub explain: Explain,
}

impl Snapshot {
    /// Walks over what the query is about; tells parts as it goes.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged; the walk was told to stop.
    pub fn survey(
        &self,
        query: &Query,
        wanted: &Wanted,
        control: &Control,
        tell: &mut dyn FnMut(Part),
    ) -> Result<Survey, ReadError> {
        let begin = Instant::now();
        let segments = self.segments_for(query, wanted.page.order);
        let mut values = Values::new(&wanted.facets, wanted.facet_rows_max);
        let recent = self.recent_matches_with(query, control, values.taker(control).as_mut().map(|one| one as _))?;
        let mut explain = self.explain_store(query, &segments);
        explain.rows.in_memory_matched = recent.len() as u64;
        explain.time.memory_us = micros(begin.elapsed());
        let order = wanted.page.order;
        let mut walk = Walk {
            query,
            wanted,
            control,
            begin,
            best: Best::new(order, wanted.page.limit.min(HITS_MAX)),
            given: 0,
            opened: Vec::new(),
            total: recent.len() as u64,
            total_is_exact: true,
            check_left: wanted.check_rows_max,
            buckets: Buckets::over(query, &recent, &segments, wanted.bucket_count),
            values,
            explain,
        };
        for place in recent {
            if let Some(buckets) = &mut walk.buckets {
                buckets.add(place.timestamp, 1);
            }
            if wanted.page.cursor.is_none_or(|cursor| walk.best.is_before(cursor, place)) {
                walk.best.offer_recent(place);
            }
        }
        // Segments before the place where the page begins hold none of its hits: they are counted last.
        let (first, later): (Vec<_>, Vec<_>) = segments.iter().copied().partition(|one| reaches(&wanted.page, one));
        let all: Vec<&LiveSegment> = first.iter().chain(&later).copied().collect();
        let mut paused = None;
        for (at, segment) in all.iter().enumerate() {
            walk.give(self, first.get(at).copied(), tell)?;
            // Who goes on from a pause must come further each time.
            let is_further =
                wanted.page.cursor.is_none_or(|from| walk.best.is_before(from, before(order, edge(order, segment))));
            if at > 0 && (is_further || first.len() <= at) && walk.control.is_due() {
                paused = Some((edge(order, segment), at < first.len()));
                walk.explain.segments.not_reached = (all.len() - at) as u64;
                break;
            }
            walk.control.check()?;
            walk.take(segment, |walk| walk.give(self, first.get(at + 1).copied(), tell))?;
            tell(Part::Progress(Progress {
                segments_done: at + 1,
                segments_all: all.len(),
                total: walk.total,
                done_to: all.get(at + 1).map(|next| edge(order, next)),
                took: begin.elapsed(),
            }));
        }
        if paused.is_none() {
            walk.give(self, None, tell)?;
        }
        Ok(walk.end(paused))
    }

    fn explain_store(&self, query: &Query, segments: &[&LiveSegment]) -> Explain {
        let mut explain = Explain { query: query.filter.to_string(), ..Explain::default() };
        let mut datasets = query.datasets.clone();
        datasets.sort_unstable();
        datasets.dedup();
        for dataset in datasets {
            for segment in self.segments(dataset) {
                explain.segments.all += 1;
                explain.rows.stored += segment.meta().row_count;
            }
            explain.rows.in_memory += self.recent_count(dataset);
        }
        explain.segments.out_of_time = explain.segments.all - segments.len() as u64;
        explain
    }
}

/// The segment can hold events behind the place where the page begins.
fn reaches(page: &Page, segment: &LiveSegment) -> bool {
    page.cursor.is_none_or(|cursor| match page.order {
        Order::NewestFirst => segment.meta().timestamp_min <= cursor.timestamp,
        Order::OldestFirst => cursor.timestamp <= segment.meta().timestamp_max,
    })
}

/// What of a segment comes first.
fn edge(order: Order, segment: &LiveSegment) -> Timestamp {
    match order {
        Order::NewestFirst => segment.meta().timestamp_max,
        Order::OldestFirst => segment.meta().timestamp_min,
    }
}

/// The place before everything of this moment.
fn before(order: Order, timestamp: Timestamp) -> Cursor {
    match order {
        Order::NewestFirst => Cursor { timestamp, seq: Seq(u64::MAX) },
        Order::OldestFirst => Cursor { timestamp, seq: Seq(0) },
    }
}

struct Walk<'a> {
    query: &'a Query,
    wanted: &'a Wanted,
    control: &'a Control,
    begin: Instant,
    best: Best,
    /// So many of the best hits were given.
    given: usize,
    /// Segments that hits may be of, by the number in the hit.
    opened: Vec<Arc<Segment>>,
    total: u64,
    total_is_exact: bool,
    check_left: u64,
    buckets: Option<Buckets>,
    values: Values,
    explain: Explain,
}

impl Walk<'_> {
    /// Takes everything wanted of a segment; `hits_are_there` is called as soon as its hits are known.
    fn take(
        &mut self,
        segment: &LiveSegment,
        mut hits_are_there: impl FnMut(&mut Self) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let meta = segment.meta();
        let is_all = matches!(self.query.filter, Filter::All) && self.query.units.is_none();
        let is_whole = is_all && is_inside(self.query, segment);
        let could_hit = self.could_hit(segment);
        let bucket_is_one = self.buckets.as_ref().is_none_or(|buckets| buckets.is_one(meta));
        if is_whole && !could_hit && bucket_is_one && !self.values.has_room() {
            self.total += meta.row_count;
            if let Some(buckets) = &mut self.buckets {
                buckets.add(meta.timestamp_min, meta.row_count);
            }
            self.values.pass_over();
            self.explain.segments.counted_whole += 1;
            return Ok(());
        }
        let step = Instant::now();
        if let Some(skip) = rule_out(self.query, segment, Some(&mut self.explain))? {
            self.explain.note_segment(Some(skip));
            self.explain.time.index_us += micros(step.elapsed());
            return Ok(());
        }
        let mut plan = Plan::noted(self.query, segment.open()?, &mut Some(&mut self.explain))?;
        self.explain.time.index_us += micros(step.elapsed());
        let step = Instant::now();
        if could_hit {
            self.best.take_from(self.query, &self.wanted.page, &mut plan, self.opened.len(), self.control)?;
        }
        self.opened.push(plan.segment.clone());
        self.explain.time.rows_us += micros(step.elapsed());
        hits_are_there(self)?;
        let step = Instant::now();
        let unchecked = plan.unchecked();
        if unchecked <= self.check_left {
            plan.check_all_with(self.query, self.control)?;
            self.check_left -= unchecked;
        } else {
            self.total_is_exact = false;
        }
        self.total += plan.count();
        self.explain.time.rows_us += micros(step.elapsed());
        let step = Instant::now();
        if let Some(buckets) = &mut self.buckets {
            buckets.add_plan(&plan)?;
        }
        let read = self.values.add_plan(self.query, &mut plan, self.control)?;
        self.explain.rows.for_facets += read;
        self.explain.time.summary_us += micros(step.elapsed());
        let looked = plan.looked;
        self.explain.rows.looked_at += looked.rows;
        self.note(looked);
        Ok(())
    }

    fn note(&mut self, looked: Looked) {
        self.explain.read.groups += looked.groups;
        self.explain.read.pages += looked.pages;
    }

    /// A hit of the page can still be in this segment.
    fn could_hit(&self, segment: &LiveSegment) -> bool {
        let first = before(self.wanted.page.order, edge(self.wanted.page.order, segment));
        reaches(&self.wanted.page, segment) && self.best.has_room_for(first)
    }

    /// Gives the hits that nothing in `next` or behind it can come before.
    fn give(
        &mut self,
        snapshot: &Snapshot,
        next: Option<&LiveSegment>,
        tell: &mut dyn FnMut(Part),
    ) -> Result<(), ReadError> {
        let order = self.wanted.page.order;
        let is_final = |place: &Cursor| match (next, order) {
            (None, _) => true,
            (Some(next), Order::NewestFirst) => next.meta().timestamp_max < place.timestamp,
            (Some(next), Order::OldestFirst) => place.timestamp < next.meta().timestamp_min,
        };
        let end = self.best.places().take_while(is_final).count();
        if end <= self.given {
            return Ok(());
        }
        let step = Instant::now();
        let found = self.best.range(self.given, end);
        let mut looked = Looked::default();
        let hits = fetch(&found, snapshot, &self.opened, self.control, &mut looked)?;
        self.given = end;
        self.explain.rows.fetched += looked.rows;
        self.note(looked);
        self.explain.time.fetch_us += micros(step.elapsed());
        if self.explain.time.first_us == 0 {
            self.explain.time.first_us = micros(self.begin.elapsed());
        }
        tell(Part::Hits(hits));
        Ok(())
    }

    /// `paused` is where, and whether hits of the page may still be behind it.
    fn end(mut self, paused: Option<(Timestamp, bool)>) -> Survey {
        let limit = self.best.limit();
        let total_is_exact = self.total_is_exact && paused.is_none();
        let is_full = limit <= self.given;
        let is_whole = total_is_exact && self.wanted.page.cursor.is_none() && self.total == self.given as u64;
        let cursor = match (is_full, paused) {
            (true, _) if is_whole || limit == 0 => None,
            (true, _) => self.best.places().nth(self.given.saturating_sub(1)),
            (false, None | Some((_, false))) => None,
            (false, Some((at, true))) => Some(before(self.wanted.page.order, at)),
        };
        self.explain.time.all_us = micros(self.begin.elapsed());
        Survey {
            total: self.total,
            total_is_exact,
            paused_at: paused.map(|(at, _)| at),
            cursor,
            buckets: self.buckets.map(Buckets::counts).unwrap_or_default(),
            facets: self.values.top(self.wanted.facet_values, paused.is_none()),
            took: self.begin.elapsed(),
            explain: self.explain,
        }
    }
}

/// Reads the events of hits, in their order.
fn fetch(
    found: &[(Cursor, Option<(usize, usize)>)],
    snapshot: &Snapshot,
    segments: &[Arc<Segment>],
    control: &Control,
    looked: &mut Looked,
) -> Result<Vec<Stored>, ReadError> {
    let size = |events: &[Stored]| events.iter().map(|one| one.event.original.len() * 2 + EVENT_BYTES).sum();
    let mut hits: Vec<Stored> = Vec::with_capacity(found.len());
    let mut by_segment: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, row) in found.iter().filter_map(|one| one.1) {
        by_segment.entry(number).or_default().push(row);
    }
    for (number, mut rows) in by_segment {
        rows.sort_unstable();
        looked.add(&rows);
        for rows in rows.chunks(FETCH_ROWS) {
            control.check()?;
            let events = segments[number].fetch(rows, Projection::All)?;
            control.hold(size(&events))?;
            hits.extend(events);
        }
    }
    let in_memory = found.iter().filter(|one| one.1.is_none());
    for (_, row) in in_memory.filter_map(|one| snapshot.recent_by_seq(one.0.seq)) {
        let stored = row.stored();
        control.hold(size(std::slice::from_ref(&stored)))?;
        hits.push(stored);
    }
    // The order of places is that of the hits.
    hits.sort_unstable_by_key(Cursor::behind);
    if let (Some(first), Some(last)) = (found.first(), found.last())
        && last.0 < first.0
    {
        hits.reverse();
    }
    Ok(hits)
}
