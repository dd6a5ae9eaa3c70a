//! Histograms and facets: how many events match by time and by value.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::{Field, Stored, Text, Timestamp, Value};

use super::control::Control;
use super::filter::{is_of_key, own_value};
use super::plan::Plan;
use super::resolve::FieldName;
use super::rule_out::rule_out;
use super::search::{TOTAL_ROWS_MAX, is_inside};
use super::{BUCKETS_MAX, Cursor, FACET_VALUES_MAX, Facet, Filter, Order, Query};
use crate::error::ReadError;
use crate::live::LiveSegment;
use crate::memtable::Row;
use crate::segment::Projection;
use crate::segment::meta::SegmentMeta;
use crate::segment::words::name_key;
use crate::snapshot::Snapshot;

/// How many events are looked at for facets.
pub const FACET_ROWS_MAX: usize = 100_000;
/// How many rows are read at a time for facets.
const STEP_ROWS: usize = 8192;
/// What a counted value takes besides its text, roughly.
const VALUE_BYTES: usize = 64;

impl Snapshot {
    /// How many events match in each of `bucket_count` equal spans of the time range (where it is open, of
    /// the time the store has events of), by the first moment of the span; spans without events too. Where
    /// more than [`TOTAL_ROWS_MAX`] rows would have to be looked at, those that may match are counted.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn histogram(&self, query: &Query, bucket_count: usize) -> Result<Vec<(Timestamp, u64)>, ReadError> {
        let recent = self.recent_matches(query);
        let segments = self.segments_for(query, Order::NewestFirst);
        let Some(mut buckets) = Buckets::over(query, &recent, &segments, bucket_count.max(1)) else {
            return Ok(Vec::new());
        };
        recent.iter().for_each(|place| buckets.add(place.timestamp, 1));
        let mut plans = Vec::new();
        for segment in segments {
            let meta = segment.meta();
            let is_all = matches!(query.filter, Filter::All) && query.units.is_none() && is_inside(query, segment);
            match is_all && buckets.is_one(meta) {
                true => buckets.add(meta.timestamp_min, meta.row_count),
                false if rule_out(query, segment, None)?.is_some() => {}
                false => plans.push(Plan::new(query, segment.open()?)?),
            }
        }
        let unchecked: u64 = plans.iter().map(Plan::unchecked).sum();
        for mut plan in plans {
            if unchecked <= TOTAL_ROWS_MAX {
                plan.check_all(query)?;
            }
            buckets.add_plan(&plan)?;
        }
        Ok(buckets.counts())
    }

    /// The most frequent values of each field among the events that match.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn facets(&self, query: &Query, fields: &[Field], top_n: usize) -> Result<Vec<Facet>, ReadError> {
        self.facets_among(query, fields, top_n, FACET_ROWS_MAX, &Control::default())
    }

    /// The same among at most `rows_max` events, the newest, until it is told to stop.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged; it was told to stop.
    pub fn facets_among(
        &self,
        query: &Query,
        fields: &[Field],
        top_n: usize,
        rows_max: usize,
        control: &Control,
    ) -> Result<Vec<Facet>, ReadError> {
        let names: Vec<FieldName> = fields.iter().map(|field| FieldName::of(*field)).collect();
        self.facets_of(query, &names, top_n, rows_max, control)
    }

    /// The same of fields by name, of sources and vendors too; [`usize::MAX`] rows are all.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged; it was told to stop.
    pub fn facets_of(
        &self,
        query: &Query,
        fields: &[FieldName],
        top_n: usize,
        rows_max: usize,
        control: &Control,
    ) -> Result<Vec<Facet>, ReadError> {
        let mut values = Values::new(fields, rows_max);
        self.recent_matches_with(query, control, values.taker(control).as_mut().map(|one| one as _))?;
        for segment in self.segments_for(query, Order::NewestFirst) {
            if !values.has_room() {
                values.pass_over();
                break;
            }
            control.check()?;
            if rule_out(query, segment, None)?.is_some() {
                continue;
            }
            values.add_plan(query, &mut Plan::new(query, segment.open()?)?, control)?;
        }
        Ok(values.top(top_n, true))
    }

    /// How many events match for each value of a field, exactly, among those with a `Seq` after the first and up to the
    /// second of `seqs`; events without the field are under "". `rest` is called after each step of rows: it may take its time.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged; it was told to stop.
    pub fn count_by(
        &self,
        query: &Query,
        field: Field,
        (after, through): (u64, u64),
        control: &Control,
        mut rest: impl FnMut(),
    ) -> Result<BTreeMap<String, u64>, ReadError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |stored: &Stored| {
            if after < stored.seq.0 && stored.seq.0 <= through {
                let value = stored.event.get(field).and_then(|value| value.each().next()).and_then(Value::as_text);
                *counts.entry(value.unwrap_or_default().into_owned()).or_default() += 1;
            }
        };
        // Only those that are asked for are made whole again.
        let is_asked = |row: &Row<'_>| after < row.seq().0 && row.seq().0 <= through;
        for row in self.recent_in_time(query).filter(is_asked) {
            let stored = row.stored();
            if query.matches(&stored) {
                add(&stored);
            }
        }
        let keys = [Text::from(&*name_key(field.name()))];
        for segment in self.segments_for(query, Order::OldestFirst) {
            let meta = segment.meta();
            if meta.last_seq.0 <= after || through < meta.first_seq.0 {
                continue;
            }
            if rule_out(query, segment, None)?.is_some() {
                continue;
            }
            let mut plan = Plan::new(query, segment.open()?)?;
            let rows = plan.rows_behind(None, Order::OldestFirst)?;
            for rows in rows.chunks(STEP_ROWS) {
                control.check()?;
                plan.check(query, rows)?;
                let mut rows: Vec<usize> = rows.iter().copied().filter(|row| plan.holds(*row)).collect();
                rows.sort_unstable();
                plan.segment.fetch(&rows, Projection::Keys(&keys))?.iter().for_each(&mut add);
                rest();
            }
        }
        Ok(counts)
    }
}

/// Equal spans of time.
pub(super) struct Buckets {
    from: i128,
    width: i128,
    counts: Vec<u64>,
}

impl Buckets {
    /// Spans over the time of the query, where it is open over the time there are events of; `None` where there is no
    /// event or none is wanted.
    pub(super) fn over(query: &Query, recent: &[Cursor], segments: &[&LiveSegment], count: usize) -> Option<Buckets> {
        let stamps = || recent.iter().map(|place| place.timestamp);
        let earliest = stamps().chain(segments.iter().map(|segment| segment.meta().timestamp_min)).min()?;
        let latest = stamps().chain(segments.iter().map(|segment| segment.meta().timestamp_max)).max()?;
        let from = if query.from == Timestamp::MIN { earliest } else { query.from };
        let to = if query.to == Timestamp::MAX { i128::from(latest.0) + 1 } else { i128::from(query.to.0) };
        if count == 0 { None } else { Buckets::new(from, to, count.min(BUCKETS_MAX)) }
    }

    fn new(from: Timestamp, to: i128, count: usize) -> Option<Buckets> {
        let from = i128::from(from.0);
        let span = Some(to - from).filter(|span| 0 < *span)?;
        let width = (span + count as i128 - 1) / count as i128;
        let used = usize::try_from((span + width - 1) / width).ok()?;
        Some(Buckets { from, width, counts: vec![0; used] })
    }

    fn place(&self, stamp: Timestamp) -> Option<usize> {
        let behind = i128::from(stamp.0) - self.from;
        usize::try_from(behind / self.width).ok().filter(|at| 0 <= behind && *at < self.counts.len())
    }

    /// A whole segment stands in one span.
    pub(super) fn is_one(&self, meta: &SegmentMeta) -> bool {
        let place = self.place(meta.timestamp_min);
        place.is_some() && place == self.place(meta.timestamp_max)
    }

    pub(super) fn add(&mut self, stamp: Timestamp, count: u64) {
        if let Some(at) = self.place(stamp) {
            self.counts[at] += count;
        }
    }

    /// Adds the rows of a segment that match; times are read only where the segment is of several spans.
    pub(super) fn add_plan(&mut self, plan: &Plan) -> Result<(), ReadError> {
        if plan.count() == 0 {
            return Ok(());
        }
        let meta = plan.segment.meta();
        if self.is_one(meta) {
            self.add(meta.timestamp_min, plan.count());
            return Ok(());
        }
        let at = |stamp: Timestamp| {
            let behind = (i128::from(stamp.0) - self.from).max(0) / self.width;
            usize::try_from(behind).unwrap_or(usize::MAX).min(self.counts.len() - 1)
        };
        let (first, last) = (at(meta.timestamp_min), at(meta.timestamp_max));
        let row_at = |span: usize| {
            let stamp = self.from + self.width * span as i128;
            i64::try_from(stamp).map_or(Ok(plan.segment.row_count()), |nanos| plan.segment.first_at(Timestamp(nanos)))
        };
        let mut begin = row_at(first)?;
        for span in first..=last {
            let end = row_at(span + 1)?;
            self.counts[span] += plan.count_between(begin, end);
            begin = end;
        }
        Ok(())
    }

    pub(super) fn counts(self) -> Vec<(Timestamp, u64)> {
        let start = |at: usize| Timestamp(i64::try_from(self.from + self.width * at as i128).unwrap_or(i64::MAX));
        self.counts.iter().enumerate().map(|(at, count)| (start(at), *count)).collect()
    }
}

/// Values of some fields with their number, among so many events.
pub(super) struct Values {
    fields: Vec<Counted>,
    keys: Vec<Text>,
    left: usize,
    looked_at: u64,
    is_exact: bool,
}

/// One field and its values so far.
struct Counted {
    name: FieldName,
    /// The field itself, where the name means only one.
    one: Option<Field>,
    counts: HashMap<String, u64>,
}

impl Counted {
    fn new(name: &FieldName) -> Counted {
        let one = Field::lookup(&name.written).filter(|field| name.candidates.len() == 1 && field.known().is_some());
        Counted { name: name.clone(), one, counts: HashMap::new() }
    }

    fn add_event(&mut self, stored: &Stored, control: &Control) -> Result<(), ReadError> {
        let counts = &mut self.counts;
        if let Some(field) = self.one {
            let values = stored.event.get(field).into_iter().flat_map(|value| value.each());
            return values.filter_map(Value::as_text).try_for_each(|text| count(counts, &text, control));
        }
        for key in &self.name.candidates {
            for (_, value) in stored.event.fields().iter().filter(|(field, _)| is_of_key(*field, key)) {
                value.each().filter_map(Value::as_text).try_for_each(|text| count(counts, &text, control))?;
            }
            if let Some((value, _)) = own_value(stored, key) {
                value.as_text().into_iter().try_for_each(|text| count(counts, &text, control))?;
            }
        }
        Ok(())
    }
}

fn count(counts: &mut HashMap<String, u64>, text: &str, control: &Control) -> Result<(), ReadError> {
    match counts.get_mut(text) {
        Some(count) => *count += 1,
        None => {
            control.hold(text.len() + VALUE_BYTES)?;
            counts.insert(text.to_owned(), 1);
        }
    }
    Ok(())
}

impl Values {
    pub(super) fn new(fields: &[FieldName], rows_max: usize) -> Values {
        Values {
            fields: fields.iter().map(Counted::new).collect(),
            keys: fields.iter().flat_map(|name| name.candidates.iter().cloned()).collect(),
            left: rows_max,
            looked_at: 0,
            is_exact: true,
        }
    }

    /// More events are wanted.
    pub(super) fn has_room(&self) -> bool {
        !self.fields.is_empty() && 0 < self.left
    }

    /// Events that match are left out.
    pub(super) fn pass_over(&mut self) {
        self.is_exact &= self.fields.is_empty();
    }

    fn add(&mut self, stored: &Stored, control: &Control) -> Result<(), ReadError> {
        self.looked_at += 1;
        self.fields.iter_mut().try_for_each(|field| field.add_event(stored, control))
    }

    /// Takes each event in memory that matches; `None` where no values are wanted.
    pub(super) fn taker<'a>(
        &'a mut self,
        control: &'a Control,
    ) -> Option<impl FnMut(&Stored) -> Result<(), ReadError> + 'a> {
        (!self.fields.is_empty()).then_some(move |stored: &Stored| {
            self.left = self.left.saturating_sub(1);
            self.add(stored, control)
        })
    }

    /// Adds the newest events of a segment; how many.
    pub(super) fn add_plan(&mut self, query: &Query, plan: &mut Plan, control: &Control) -> Result<u64, ReadError> {
        if self.fields.is_empty() || plan.count() == 0 {
            return Ok(0);
        }
        let before = self.looked_at;
        for rows in plan.rows_behind(None, Order::NewestFirst)?.chunks(STEP_ROWS) {
            if self.left == 0 {
                self.is_exact = false;
                break;
            }
            plan.check_with(query, rows, control)?;
            let mut rows: Vec<usize> = rows.iter().copied().filter(|row| plan.holds(*row)).collect();
            self.is_exact &= rows.len() <= self.left;
            rows.truncate(self.left);
            self.left -= rows.len();
            rows.sort_unstable();
            for stored in plan.segment.fetch(&rows, Projection::Keys(&self.keys))? {
                self.add(&stored, control)?;
            }
        }
        Ok(self.looked_at - before)
    }

    /// The commonest of each field; `is_whole` says that nothing was left out on the way.
    pub(super) fn top(self, count: usize, is_whole: bool) -> Vec<Facet> {
        let (is_exact, looked_at) = (self.is_exact && is_whole, self.looked_at);
        let top = |counts: HashMap<String, u64>| {
            let distinct = counts.len() as u64;
            let mut values: Vec<(String, u64)> = counts.into_iter().collect();
            values.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            values.truncate(count.min(FACET_VALUES_MAX));
            (values, distinct)
        };
        let facet = |field: Counted| {
            let (values, distinct) = top(field.counts);
            Facet { field: field.name.written, values, is_exact, looked_at, distinct }
        };
        self.fields.into_iter().map(facet).collect()
    }
}
