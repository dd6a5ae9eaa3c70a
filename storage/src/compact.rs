//! Few large segments out of many small ones. In: the live segments. Out: the same events in fewer files, rows in order
//! of time, index made anew; by day, so that retention can drop whole files.
//!
//! What is merged: segments of one dataset that follow each other, of one day (UTC, by the commit of their last event),
//! together at most `merged_events_max` events and [`BYTES_MAX`]. While the day goes on, at least [`RUN_MIN`] of them of
//! which none holds more than half of the events, so that an event is written again some four times at most; when it
//! is over, whatever still fits together. Ranges of `Seq` of a dataset so never overlap.
//!
//! It never holds up intake or sealing: files are written without a lock, and only the manifest is published under the
//! sealer's. A crash leaves the old segments or the new one; what is left over is an orphan. Snapshots taken before
//! keep their segments. A run that cannot be merged (damage) stays as it is, is said once and not tried again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use nhatle_event::Timestamp;

use crate::dataset::Dataset;
use crate::disk::{join, remove_folder};
use crate::erase::Erasure;
use crate::error::{ReadError, WriteError};
use crate::live::{self, LiveSegment};
use crate::manifest::Manifest;
use crate::recover::SEGMENTS;
use crate::segment::merge::{Pace, Work};
use crate::segment::meta::{SEGMENT_VERSION, SegmentMeta, Tier, WriteOptions};
use crate::store::Store;

/// How many segments are merged at least while their day goes on.
pub const RUN_MIN: usize = 8;
/// How many are merged at once at most.
pub const RUN_MAX: usize = 16;
/// How many bytes of files are merged at once at most.
pub const BYTES_MAX: u64 = 512 << 20;
const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Which segments of one dataset, oldest first, are written anew; not those that could not be read before.
type Find<'a> = &'a dyn Fn(&[Arc<LiveSegment>], &BTreeSet<String>) -> Option<Range<usize>>;

/// Segments that are written anew, and the folder of the new one.
struct Run {
    inputs: Vec<Arc<LiveSegment>>,
    dir: String,
}

/// What one merge did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The folder of the new segment.
    pub dir: String,
    /// How many segments it took the place of.
    pub segments: usize,
    /// How many events it holds.
    pub events: u64,
    /// The bytes of the segments before.
    pub bytes_before: u64,
    /// The bytes of the new one.
    pub bytes: u64,
    /// How many events an erasure changed, and the root over them, where it was one.
    pub erased: Option<(u64, String)>,
}

/// Why a segment is written anew.
#[derive(Clone, Copy)]
pub(crate) enum Aim<'a> {
    /// To be kept so.
    Tier(Tier),
    /// To have less in it.
    Erase(&'a Erasure<'a>),
}

/// What the choice knows of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    events: u64,
    bytes: u64,
    /// Days since 1970 of the last commit; `None` is never merged.
    day: Option<i64>,
}

/// The day of a moment.
pub fn day_of(stamp: Timestamp) -> i64 {
    stamp.0.div_euclid(DAY_NS)
}

/// The first run worth merging of the segments of one dataset, oldest first.
fn choose(pieces: &[Piece], today: i64, events_max: u64) -> Option<Range<usize>> {
    (0..pieces.len()).find_map(|start| {
        let day = pieces[start].day?;
        let (mut events, mut bytes, mut largest, mut count) = (0, 0, 0, 0);
        for piece in pieces[start..].iter().take(RUN_MAX).take_while(|piece| piece.day == Some(day)) {
            if events_max < events + piece.events || BYTES_MAX < bytes + piece.bytes {
                break;
            }
            (events, bytes, largest) = (events + piece.events, bytes + piece.bytes, piece.events.max(largest));
            count += 1;
        }
        let is_worth_it = if day < today { 2 <= count } else { RUN_MIN <= count && largest <= events / 2 };
        is_worth_it.then_some(start..start + count)
    })
}

impl Store {
    /// Merges one run of small segments, where there is one. `pace` is called again and again meanwhile: it may take its
    /// time, and `false` gives the work up. `None` where nothing was merged.
    ///
    /// # Errors
    /// The disk is full or failing; nothing is changed then. A damaged segment is an error once.
    pub fn compact(&self, pace: Pace<'_>) -> Result<Option<Compacted>, WriteError> {
        let today = day_of(self.clock().now());
        let find = |segments: &[Arc<LiveSegment>], unmergeable: &BTreeSet<String>| {
            let piece = |segment: &Arc<LiveSegment>| {
                let meta = segment.meta();
                let is_possible = meta.version == SEGMENT_VERSION && !unmergeable.contains(&meta.dir);
                let last = meta.committed.map_or(meta.timestamp_max, |[_, last]| Timestamp(last));
                let day = (is_possible && meta.tier == Tier::Recent).then(|| day_of(last));
                Piece { events: meta.row_count, bytes: meta.bytes(), day }
            };
            choose(&segments.iter().map(piece).collect::<Vec<_>>(), today, self.config().merged_events_max)
        };
        self.rewrite(&find, Aim::Tier(Tier::Recent), pace)
    }

    /// Writes one segment anew, smaller, of those that `is_due` names. `pace` as in [`Store::compact`]. `None` where there
    /// is none.
    ///
    /// # Errors
    /// As [`Store::compact`].
    pub fn archive(
        &self,
        is_due: &dyn Fn(&SegmentMeta) -> bool,
        pace: Pace<'_>,
    ) -> Result<Option<Compacted>, WriteError> {
        let find = |segments: &[Arc<LiveSegment>], unmergeable: &BTreeSet<String>| {
            let is_it = |segment: &Arc<LiveSegment>| {
                let meta = segment.meta();
                let is_possible = meta.version == SEGMENT_VERSION && !unmergeable.contains(&meta.dir);
                is_possible && meta.tier == Tier::Recent && is_due(meta)
            };
            segments.iter().position(is_it).map(|at| at..at + 1)
        };
        self.rewrite(&find, Aim::Tier(Tier::Archive), pace)
    }

    /// Takes these segments out of the store, for good; the log of the proof says so, and why, before they go. Gives those that were there. Snapshots taken before keep them.
    ///
    /// # Errors
    /// The disk is full or failing. It may be done all the same; the next call on the store finishes it.
    pub fn drop_segments(&self, dirs: &BTreeSet<String>, reason: &str) -> Result<Vec<SegmentMeta>, WriteError> {
        if !self.is_writer() {
            return Err(WriteError::ReadOnly);
        }
        let mut sealer = self.sealer();
        self.settle(&mut sealer)?;
        let mut next = sealer.manifest.clone();
        let (dropped, kept) = next.segments.into_iter().partition::<Vec<_>, _>(|meta| dirs.contains(&meta.dir));
        if dropped.is_empty() {
            return Ok(dropped);
        }
        // Within the lock: what is written anew meanwhile would be told as dropped, and live on.
        let named: Vec<String> = dropped.iter().map(|meta| meta.dir.clone()).collect();
        self.announce_drop(&named, reason)?;
        next.segments = kept;
        next.number += 1;
        self.publish(&mut sealer, next)?;
        Ok(dropped)
    }

    pub(crate) fn rewrite(
        &self,
        find: Find<'_>,
        aim: Aim<'_>,
        pace: Pace<'_>,
    ) -> Result<Option<Compacted>, WriteError> {
        if !self.is_writer() {
            return Err(WriteError::ReadOnly);
        }
        let Some(Run { inputs, dir }) = self.begin_merge(find)? else { return Ok(None) };
        let (tier, work) = match aim {
            Aim::Tier(tier) => (tier, Work::Keep),
            Aim::Erase(erasure) => (inputs[0].meta().tier, Work::Erase(erasure)),
        };
        let options = WriteOptions { dataset: inputs[0].meta().dataset, tier };
        let disk = &**self.disk();
        let merged = disk
            .create_folder(&dir)
            .map_err(|source| WriteError::io(&dir, source))
            .and_then(|()| live::merge(self.form(), disk, &dir, &inputs, (&options, work), pace));
        let failed = match merged {
            Ok(Some(meta)) => match self.replace(&inputs, meta.clone(), aim) {
                Ok(Some(erased)) => return Ok(Some(Compacted { erased, ..compacted(&inputs, &meta) })),
                // Somebody dropped an input meanwhile.
                Ok(None) => None,
                Err(error) => Some(error),
            },
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let mut sealer = self.sealer();
        let is_pending = |next: &Manifest| next.segments.iter().any(|meta| meta.dir == dir);
        if !sealer.pending.as_ref().is_some_and(is_pending) {
            // What cannot be deleted here recovery deletes.
            drop(remove_folder(disk, &dir));
        }
        let Some(error) = failed else { return Ok(None) };
        if matches!(error, WriteError::Read(ReadError::Corrupt(_) | ReadError::Unreadable { .. })) {
            sealer.unmergeable.extend(inputs.iter().map(|input| input.meta().dir.clone()));
        }
        Err(error)
    }

    /// The segments to write anew and the folder for the new one.
    fn begin_merge(&self, find: Find<'_>) -> Result<Option<Run>, WriteError> {
        let mut sealer = self.sealer();
        self.settle(&mut sealer)?;
        sealer.retired.sweep(&**self.disk());
        let snapshot = self.snapshot();
        for dataset in Dataset::ALL {
            let live: Vec<Arc<LiveSegment>> = snapshot.segments(dataset).cloned().collect();
            if let Some(run) = find(&live, &sealer.unmergeable) {
                let dir = join(SEGMENTS, &format!("{:016}-{}", sealer.manifest.next_segment, dataset.name()));
                sealer.manifest.next_segment += 1;
                return Ok(Some(Run { inputs: live[run].to_vec(), dir }));
            }
        }
        Ok(None)
    }

    /// Publishes `merged` in the place of `inputs`, all of them or none: `None` where one of them is live no more. The
    /// one place where a segment takes over the events of others; [`SegmentMeta::replaces`] names them. Gives what of it was
    /// erased.
    fn replace(
        &self,
        inputs: &[Arc<LiveSegment>],
        merged: SegmentMeta,
        aim: Aim<'_>,
    ) -> Result<Option<Option<(u64, String)>>, WriteError> {
        let mut sealer = self.sealer();
        self.settle(&mut sealer)?;
        let mut next = sealer.manifest.clone();
        let Some(place) = next.segments.iter().position(|meta| meta.dir == inputs[0].meta().dir) else {
            return Ok(None);
        };
        let is_input = |meta: &SegmentMeta| inputs.iter().any(|input| input.meta().dir == meta.dir);
        let before = next.segments.len();
        next.segments.retain(|meta| !is_input(meta));
        if before - next.segments.len() != inputs.len() {
            return Ok(None);
        }
        // Nothing is erased that the log does not say; until here nobody could take the input away.
        let erased = match aim {
            Aim::Tier(_) => None,
            Aim::Erase(erasure) => Some(self.announce_erased(inputs[0].meta(), &merged, erasure)?),
        };
        next.segments.insert(place, merged);
        next.number += 1;
        self.publish(&mut sealer, next)?;
        Ok(Some(erased))
    }
}

fn compacted(inputs: &[Arc<LiveSegment>], meta: &SegmentMeta) -> Compacted {
    Compacted {
        dir: meta.dir.clone(),
        segments: inputs.len(),
        events: meta.row_count,
        bytes_before: inputs.iter().map(|input| input.meta().bytes()).sum(),
        bytes: meta.bytes(),
        erased: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: i64 = 100;

    fn choice(pieces: &[(u64, i64)]) -> Option<Range<usize>> {
        let piece = |(events, day): &(u64, i64)| Piece { events: *events, bytes: events * 100, day: Some(*day) };
        choose(&pieces.iter().map(piece).collect::<Vec<_>>(), TODAY, 1000)
    }

    #[test]
    fn a_day_that_goes_on_waits_until_it_is_worth_it() {
        assert_eq!(choice(&[(10, TODAY); 7]), None);
        assert_eq!(choice(&[(10, TODAY); 8]), Some(0..8));
        assert_eq!(choice(&[(10, TODAY); 40]), Some(0..RUN_MAX));
        // A large one is not written again for the sake of small ones.
        let mut pieces = vec![(200, TODAY)];
        pieces.extend([(10, TODAY); 9]);
        assert_eq!(choice(&pieces), Some(1..10));
        pieces.extend([(20, TODAY); 9]);
        assert_eq!(choice(&pieces), Some(0..16));
    }

    #[test]
    fn a_day_that_is_over_is_put_together_as_far_as_it_fits() {
        assert_eq!(choice(&[(10, 99)]), None);
        assert_eq!(choice(&[(900, 99), (50, 99), (60, 99), (10, 98)]), Some(0..2));
        assert_eq!(choice(&[(950, 99), (60, 99)]), None);
        assert_eq!(choice(&[(950, 99), (600, 99), (300, 99)]), Some(1..3));
        assert_eq!(choice(&[(10, 98), (10, 99), (10, TODAY)]), None);
        assert_eq!(choice(&[(2000, 99), (10, 99), (10, 99)]), Some(1..3));
    }

    #[test]
    fn it_comes_to_an_end_with_few_segments_and_few_rewrites() {
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut written, mut made) = (0u64, 0u64);
        for _ in 0..4000 {
            pieces.push(Piece { events: 10, bytes: 1000, day: Some(TODAY) });
            made += 10;
            while let Some(run) = choose(&pieces, TODAY, 1000) {
                let events = pieces[run.clone()].iter().map(|piece| piece.events).sum();
                written += events;
                pieces.splice(run, [Piece { events, bytes: events * 100, day: Some(TODAY) }]);
            }
        }
        assert!(written <= made * 4, "{written} events written again for {made}");
        assert!(pieces.len() < 100, "{} segments are left", pieces.len());
        let piece = |events| Piece { events, bytes: 1, day: None };
        assert_eq!(choose(&[piece(1); 20], TODAY, 1000), None, "what cannot be merged is left");
    }
}
