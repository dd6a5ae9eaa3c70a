//! Hits, single events and replay, over a [`Snapshot`]. Newest segments are asked first, and a segment that
//! cannot hold a hit of this page is not read for it; totals come from the index where it is sure.

use std::collections::BTreeMap;
use std::sync::Arc;

use nhatle_event::{Field, Seq, Stored, Text};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::control::Control;
use super::plan::Plan;
use super::rule_out::rule_out;
use super::survey::{Part, Survey, Wanted};
use super::{Cursor, Filter, Hits, Order, Page, Query, is_in_units};
use crate::dataset::Dataset;
use crate::error::ReadError;
use crate::live::LiveSegment;
use crate::memtable::{Chunk, Row};
use crate::segment::Projection;
use crate::snapshot::Snapshot;

/// How many rows are looked at to make a total exact.
pub const TOTAL_ROWS_MAX: u64 = 20_000;
/// How many candidate rows are looked at in the first step for a page.
const STEP_ROWS: usize = 128;
const STEP_ROWS_MAX: usize = 8192;
/// How many events in memory are decoded at a time.
const RECENT_STEP_ROWS: usize = 4096;

/// Who sees each event that matches.
pub(super) type Each<'a> = dyn FnMut(&Stored) -> Result<(), ReadError> + 'a;

/// A hit before its event is read.
#[derive(Clone, Copy)]
struct Found {
    place: Cursor,
    /// The number of its segment and its row; `None` is an event in memory.
    row: Option<(usize, usize)>,
}

impl Snapshot {
    /// A page of the events that match, with their number in all.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn search(&self, query: &Query, page: &Page) -> Result<Hits, ReadError> {
        self.search_with(query, page, &Control::default())
    }

    /// The same, until it is told to stop.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged; it was told to stop.
    pub fn search_with(&self, query: &Query, page: &Page, control: &Control) -> Result<Hits, ReadError> {
        let mut hits = Vec::new();
        let survey = self.survey(query, &Wanted::hits(*page), control, &mut |part| {
            if let Part::Hits(more) = part {
                hits.extend(more);
            }
        })?;
        let Survey { total, total_is_exact, cursor, took, .. } = survey;
        Ok(Hits { hits, total, total_is_exact, cursor, took })
    }

    /// How many events match, exactly.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn count_matches(&self, query: &Query) -> Result<u64, ReadError> {
        let mut count = self.recent_matches(query).len() as u64;
        for segment in self.segments_for(query, Order::NewestFirst) {
            if matches!(query.filter, Filter::All) && query.units.is_none() && is_inside(query, segment) {
                count += segment.meta().row_count;
                continue;
            }
            if rule_out(query, segment, None)?.is_some() {
                continue;
            }
            let mut plan = Plan::new(query, segment.open()?)?;
            plan.check_all(query)?;
            count += plan.count();
        }
        Ok(count)
    }

    /// The event of this `Seq` with its dataset, where the limit to units lets it through.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn get(&self, seq: Seq, units: Option<&[Text]>) -> Result<Option<(Dataset, Stored)>, ReadError> {
        if let Some((dataset, row)) = self.recent_by_seq(seq) {
            let stored = row.stored();
            return Ok(is_in_units(units, &stored).then_some((dataset, stored)));
        }
        for dataset in Dataset::ALL {
            for segment in self.segments(dataset) {
                let meta = segment.meta();
                if !(meta.first_seq..=meta.last_seq).contains(&seq) {
                    continue;
                }
                if let Some(stored) = segment.open()?.get(seq)? {
                    return Ok(is_in_units(units, &stored).then_some((dataset, stored)));
                }
            }
        }
        Ok(None)
    }

    /// The events of these `Seq`s, in the order given; those that are not there are left out. Reads each segment once.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn get_all(&self, seqs: &[Seq]) -> Result<Vec<Stored>, ReadError> {
        let mut found: BTreeMap<Seq, Stored> = BTreeMap::new();
        let mut wanted = Vec::new();
        for seq in seqs {
            match self.recent_by_seq(*seq) {
                Some((_, row)) => drop(found.insert(*seq, row.stored())),
                None => wanted.push(*seq),
            }
        }
        wanted.sort_unstable();
        for segment in Dataset::ALL.into_iter().flat_map(|dataset| self.segments(dataset)) {
            let begin = wanted.partition_point(|seq| *seq < segment.meta().first_seq);
            let end = wanted.partition_point(|seq| *seq <= segment.meta().last_seq);
            if end <= begin {
                continue;
            }
            let open = segment.open()?;
            let rows = open.keys()?.rows_of(&wanted[begin..end]);
            let events = open.fetch(&rows, Projection::All)?;
            found.extend(events.into_iter().map(|stored| (stored.seq, stored)));
        }
        Ok(seqs.iter().filter_map(|seq| found.get(seq).cloned()).collect())
    }

    /// The events around one, of the same host (else the same source), oldest first, with itself: up to
    /// `count` before and `count` after. Empty where there is no such event in these units.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn around(&self, seq: Seq, count: usize, units: Option<&[Text]>) -> Result<Vec<Stored>, ReadError> {
        let Some((dataset, stored)) = self.get(seq, units)? else { return Ok(Vec::new()) };
        let place = [Field::HOST_NAME, Field::NHATLE_SOURCE];
        let same = place.into_iter().find_map(|field| Some(Filter::is(field, stored.event.text(field)?)));
        let mut query = Query::new(same.unwrap_or(Filter::All)).in_datasets(&[dataset]);
        query.units = units.map(<[Text]>::to_vec);
        let cursor = Some(Cursor::behind(&stored));
        let older = Query { to: stored.event.timestamp.plus_nanos(1), ..query.clone() };
        let newer = Query { from: stored.event.timestamp, ..query };
        let mut found = self.search(&older, &Page { limit: count, cursor, order: Order::NewestFirst })?.hits;
        found.reverse();
        found.push(stored);
        found.extend(self.search(&newer, &Page { limit: count, cursor, order: Order::OldestFirst })?.hits);
        Ok(found)
    }

    /// Where the events in memory stand that match, by the plain meaning of the query.
    pub(super) fn recent_matches(&self, query: &Query) -> Vec<Cursor> {
        // Nobody can cancel this one.
        self.recent_matches_with(query, &Control::default(), None).unwrap_or_default()
    }

    /// The same, until it is told to stop; `each` sees the events.
    pub(super) fn recent_matches_with(
        &self,
        query: &Query,
        control: &Control,
        mut each: Option<&mut Each<'_>>,
    ) -> Result<Vec<Cursor>, ReadError> {
        let rows: Vec<Row<'_>> = self.recent_in_time(query).collect();
        let place = |row: &Row<'_>| Cursor { timestamp: row.timestamp(), seq: row.seq() };
        if matches!(query.filter, Filter::All) && query.units.is_none() && each.is_none() {
            return Ok(rows.iter().map(place).collect());
        }
        let mut found = Vec::new();
        for rows in rows.chunks(RECENT_STEP_ROWS) {
            control.check()?;
            let stored = rows.par_iter().map(Row::stored);
            match &mut each {
                Some(each) => {
                    let hits: Vec<Stored> = stored.filter(|stored| query.matches(stored)).collect();
                    hits.iter().try_for_each(&mut **each)?;
                    found.extend(hits.iter().map(Cursor::behind));
                }
                None => {
                    let hit = |stored: Stored| query.matches(&stored).then(|| Cursor::behind(&stored));
                    found.extend(stored.filter_map(hit).collect::<Vec<_>>());
                }
            }
        }
        control.check().map(|()| found)
    }

    /// The events in memory of the datasets and the time of the query.
    pub(crate) fn recent_in_time<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = Row<'a>> {
        let is_touched = |chunk: &&Arc<Chunk>| {
            let (earliest, latest) = chunk.timestamps();
            query.from <= latest && (earliest < query.to || query.to.0 == i64::MAX)
        };
        let of = |chunk: &'a Arc<Chunk>| query.datasets.iter().flat_map(|dataset| chunk.of_dataset(*dataset));
        self.chunks().filter(is_touched).flat_map(of).filter(|row| query.is_in_time(row.timestamp()))
    }

    /// The segments that can hold an event of the query, those that hold the first hits first.
    pub(super) fn segments_for(&self, query: &Query, order: Order) -> Vec<&LiveSegment> {
        let mut datasets = query.datasets.clone();
        datasets.sort_unstable();
        datasets.dedup();
        let all = datasets.iter().flat_map(|dataset| self.segments(*dataset));
        let mut found: Vec<&LiveSegment> = all.map(|segment| &**segment).filter(|one| is_touched(query, one)).collect();
        match order {
            Order::NewestFirst => found.sort_by_key(|segment| std::cmp::Reverse(segment.meta().timestamp_max)),
            Order::OldestFirst => found.sort_by_key(|segment| segment.meta().timestamp_min),
        }
        found
    }
}

fn is_touched(query: &Query, segment: &LiveSegment) -> bool {
    let meta = segment.meta();
    query.from <= meta.timestamp_max && (meta.timestamp_min < query.to || query.to.0 == i64::MAX)
}

/// All rows of the segment are in the time range.
pub(super) fn is_inside(query: &Query, segment: &LiveSegment) -> bool {
    query.is_in_time(segment.meta().timestamp_min) && query.is_in_time(segment.meta().timestamp_max)
}

/// The best hits so far, in order.
pub(super) struct Best {
    order: Order,
    limit: usize,
    found: Vec<Found>,
}

impl Best {
    pub(super) fn new(order: Order, limit: usize) -> Best {
        Best { order, limit, found: Vec::new() }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Where the hits are, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = Cursor> + '_ {
        self.found.iter().map(|found| found.place)
    }

    /// The hits from one to before another, with the number of their segment and their row.
    pub(super) fn range(&self, begin: usize, end: usize) -> Vec<(Cursor, Option<(usize, usize)>)> {
        self.found[begin..end].iter().map(|found| (found.place, found.row)).collect()
    }

    /// In the order of the page, `one` comes before `other`.
    pub(super) fn is_before(&self, one: Cursor, other: Cursor) -> bool {
        match self.order {
            Order::NewestFirst => other < one,
            Order::OldestFirst => one < other,
        }
    }

    pub(super) fn has_room_for(&self, place: Cursor) -> bool {
        match self.found.last() {
            _ if self.limit == 0 => false,
            Some(last) if self.limit <= self.found.len() => self.is_before(place, last.place),
            _ => true,
        }
    }

    /// A hit in memory.
    pub(super) fn offer_recent(&mut self, place: Cursor) {
        self.offer(Found { place, row: None });
    }

    fn offer(&mut self, found: Found) {
        if !self.has_room_for(found.place) {
            return;
        }
        let at = self.found.partition_point(|one| self.is_before(one.place, found.place));
        self.found.insert(at, found);
        self.found.truncate(self.limit);
    }

    /// Takes the hits of a segment, looking at no more rows than it must.
    pub(super) fn take_from(
        &mut self,
        query: &Query,
        page: &Page,
        plan: &mut Plan,
        number: usize,
        control: &Control,
    ) -> Result<(), ReadError> {
        if self.limit == 0 || plan.count() == 0 {
            return Ok(());
        }
        let rows = plan.rows_behind(page.cursor, page.order)?;
        if rows.is_empty() {
            return Ok(());
        }
        let keys = plan.keys()?;
        let place = |row: usize| Cursor { timestamp: keys.timestamp(row), seq: keys.seq(row) };
        let mut rest = rows.as_slice();
        let mut step = STEP_ROWS;
        while let Some(first) = rest.first() {
            if !self.has_room_for(place(*first)) {
                break;
            }
            let (now, later) = rest.split_at(step.min(rest.len()));
            plan.check_with(query, now, control)?;
            for row in now.iter().copied().filter(|row| plan.holds(*row)) {
                self.offer(Found { place: place(row), row: Some((number, row)) });
            }
            rest = later;
            step = (step * 2).min(STEP_ROWS_MAX);
        }
        Ok(())
    }
}
