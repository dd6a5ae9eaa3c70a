//! Histograms and facets: how many events match by time and by value.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::{Field, Stored, Text, Timestamp, Value};

use super::plan::Plan;
use super::search::{TOTAL_ROWS_MAX, is_inside};
use super::{BUCKETS_MAX, FACET_VALUES_MAX, Facet, Filter, Order, Query};
use crate::error::ReadError;
use crate::segment::Projection;
use crate::segment::words::name_key;
use crate::snapshot::Snapshot;

/// How many events are looked at for facets.
pub const FACET_ROWS_MAX: usize = 100_000;
/// How many rows are read at a time for facets.
const STEP_ROWS: usize = 8192;

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
        let stamps = recent.iter().map(|stored| stored.event.timestamp);
        let metas = || segments.iter().map(|segment| segment.meta());
        let earliest = stamps.clone().chain(metas().map(|meta| meta.timestamp_min)).min();
        let latest = stamps.clone().chain(metas().map(|meta| meta.timestamp_max)).max();
        let (Some(earliest), Some(latest)) = (earliest, latest) else { return Ok(Vec::new()) };
        let from = if query.from == Timestamp::MIN { earliest } else { query.from };
        let to = if query.to == Timestamp::MAX { i128::from(latest.0) + 1 } else { i128::from(query.to.0) };
        let Some(mut buckets) = Buckets::new(from, to, bucket_count.clamp(1, BUCKETS_MAX)) else {
            return Ok(Vec::new());
        };
        stamps.for_each(|stamp| buckets.add(stamp, 1));
        let mut plans = Vec::new();
        for segment in segments {
            let meta = segment.meta();
            let is_all = matches!(query.filter, Filter::All) && query.units.is_none() && is_inside(query, segment);
            match buckets.place(meta.timestamp_min) {
                place if is_all && place.is_some() && place == buckets.place(meta.timestamp_max) => {
                    buckets.add(meta.timestamp_min, meta.row_count);
                }
                _ => plans.push(Plan::new(query, segment.open()?)?),
            }
        }
        let unchecked: u64 = plans.iter().map(Plan::unchecked).sum();
        for mut plan in plans {
            if unchecked <= TOTAL_ROWS_MAX {
                plan.check_all(query)?;
            }
            plan.rows().for_each(|row| buckets.add(plan.keys.timestamp(row), 1));
        }
        Ok(buckets.counts())
    }

    /// The most frequent values of each field among the events that match.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn facets(&self, query: &Query, fields: &[Field], top_n: usize) -> Result<Vec<Facet>, ReadError> {
        let mut counts: Vec<HashMap<String, u64>> = fields.iter().map(|_| HashMap::new()).collect();
        let mut add = |stored: &Stored| {
            for (field, counts) in fields.iter().zip(&mut counts) {
                for value in stored.event.get(*field).into_iter().flat_map(|value| value.each()) {
                    value.as_text().into_iter().for_each(|text| *counts.entry(text.into_owned()).or_default() += 1);
                }
            }
        };
        let recent = self.recent_matches(query);
        recent.iter().for_each(|stored| add(stored));
        let mut left = FACET_ROWS_MAX.saturating_sub(recent.len());
        let mut is_exact = true;
        let keys: Vec<Text> = fields.iter().map(|field| Text::from(&*name_key(field.name()))).collect();
        for segment in self.segments_for(query, Order::NewestFirst) {
            if left == 0 {
                is_exact = false;
                break;
            }
            let mut plan = Plan::new(query, segment.open()?)?;
            let rows = plan.rows_behind(None, Order::NewestFirst);
            for rows in rows.chunks(STEP_ROWS) {
                if left == 0 {
                    is_exact = false;
                    break;
                }
                plan.check(query, rows)?;
                let mut rows: Vec<usize> = rows.iter().copied().filter(|row| plan.holds(*row)).collect();
                is_exact &= rows.len() <= left;
                rows.truncate(left);
                left -= rows.len();
                rows.sort_unstable();
                plan.segment.fetch(&rows, Projection::Keys(&keys))?.iter().for_each(&mut add);
            }
        }
        let top = |counts: HashMap<String, u64>| {
            let mut values: Vec<(String, u64)> = counts.into_iter().collect();
            values.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            values.truncate(top_n.min(FACET_VALUES_MAX));
            values
        };
        let counted = fields.iter().zip(counts);
        Ok(counted.map(|(field, counts)| Facet { field: *field, values: top(counts), is_exact }).collect())
    }

    /// How many events match for each value of a field, exactly, among those with a `Seq` after the first and up to the
    /// second of `seqs`; events without the field are under "". `rest` is called after each segment: it may take its time.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged.
    pub fn count_by(
        &self,
        query: &Query,
        field: Field,
        (after, through): (u64, u64),
        rest: impl Fn(),
    ) -> Result<BTreeMap<String, u64>, ReadError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |stored: &Stored| {
            if after < stored.seq.0 && stored.seq.0 <= through {
                let value = stored.event.get(field).and_then(|value| value.each().next()).and_then(Value::as_text);
                *counts.entry(value.unwrap_or_default().into_owned()).or_default() += 1;
            }
        };
        self.recent_matches(query).into_iter().for_each(&mut add);
        let keys = [Text::from(&*name_key(field.name()))];
        for segment in self.segments_for(query, Order::OldestFirst) {
            let meta = segment.meta();
            if meta.last_seq.0 <= after || through < meta.first_seq.0 {
                continue;
            }
            let mut plan = Plan::new(query, segment.open()?)?;
            let rows = plan.rows_behind(None, Order::OldestFirst);
            for rows in rows.chunks(STEP_ROWS) {
                plan.check(query, rows)?;
                let mut rows: Vec<usize> = rows.iter().copied().filter(|row| plan.holds(*row)).collect();
                rows.sort_unstable();
                plan.segment.fetch(&rows, Projection::Keys(&keys))?.iter().for_each(&mut add);
            }
            rest();
        }
        Ok(counts)
    }
}

/// Equal spans of time.
struct Buckets {
    from: i128,
    width: i128,
    counts: Vec<u64>,
}

impl Buckets {
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

    fn add(&mut self, stamp: Timestamp, count: u64) {
        if let Some(at) = self.place(stamp) {
            self.counts[at] += count;
        }
    }

    fn counts(self) -> Vec<(Timestamp, u64)> {
        let start = |at: usize| Timestamp(i64::try_from(self.from + self.width * at as i128).unwrap_or(i64::MAX));
        self.counts.iter().enumerate().map(|(at, count)| (start(at), *count)).collect()
    }
}
