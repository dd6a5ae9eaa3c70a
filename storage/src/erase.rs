//! Erasing what is about a person out of sealed segments, one segment at a time. In: which event becomes what
//! ([`Erasure::change`]). Out: the segment written anew without it, in the place of the old one, whose files go. The leaves of
//! the events as they were sealed are kept ([`crate::segment::erased`]), so the segment's root and every proof given out stay
//! true; the log of the proof says which segment was written anew for which erasure before the new one goes live (ADR 38).
//!
//! Promise: a crash leaves the old segment or the new one; no event but those changed differs. Failure: nothing is changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use nhatle_event::{Event, Stored};

use crate::compact::Aim;
use crate::dataset::Dataset;
use crate::error::WriteError;
use crate::live::LiveSegment;
use crate::mention::Narrowed;
use crate::proof::entry::{Entry, ErasedEntry};
use crate::segment::erased::Erased;
use crate::segment::merge::Pace;
use crate::segment::meta::SegmentMeta;
use crate::store::Store;

/// What an event becomes, where something of it is erased; `None` leaves it as it is. What it gives for what it gave is `None`.
pub type Change<'a> = &'a dyn Fn(&Stored) -> Option<Event>;

/// One erasure, as the log of the proof names it.
#[derive(Clone, Copy)]
pub struct Erasure<'a> {
    /// Its number in the register.
    pub number: u64,
    /// On what basis, in words.
    pub basis: &'a str,
    /// Who asked for it.
    pub by: &'a str,
    /// What it can be about: events that are left out here are not changed. `None` is any.
    pub narrowed: Option<&'a Narrowed>,
    /// What is erased.
    pub change: Change<'a>,
}

/// A segment that was written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedSegment {
    /// The folder of the new one.
    pub dir: String,
    /// How many of its events this erasure changed.
    pub events: u64,
    /// How many events it holds.
    pub rows: u64,
}

impl Store {
    /// Erases in the live segment of this folder. `pace` as in [`Store::compact`]. `None` where there is no such segment (any
    /// more), nothing of it is to be erased, or the work was given up.
    ///
    /// # Errors
    /// As [`Store::compact`]; the log of the proof cannot be written. Nothing is erased then, or the next call on the store
    /// finishes it.
    pub fn erase(&self, dir: &str, erasure: &Erasure<'_>, pace: Pace<'_>) -> Result<Option<ErasedSegment>, WriteError> {
        if !self.is_writer() {
            return Err(WriteError::ReadOnly);
        }
        let is_it = |segment: &Arc<LiveSegment>| segment.meta().dir == dir;
        let Some(segment) = self.live_segments().into_iter().find(is_it) else { return Ok(None) };
        let has_none = |events: &[Stored]| events.iter().all(|stored| (erasure.change)(stored).is_none());
        let has_none = match erasure.narrowed {
            Some(narrowed) => segment.each_of(narrowed, &mut |events| pace() && has_none(events)),
            None => segment.in_batches(&mut |events| pace() && has_none(&events)),
        };
        if has_none? {
            return Ok(None);
        }
        drop(segment);
        let find =
            |segments: &[Arc<LiveSegment>], _: &BTreeSet<String>| segments.iter().position(is_it).map(|at| at..at + 1);
        let Some(done) = self.rewrite(&find, Aim::Erase(erasure), pace)? else { return Ok(None) };
        // The old files go now that nobody here reads them.
        self.sweep();
        let (events, _) = done.erased.unwrap_or_default();
        Ok(Some(ErasedSegment { dir: done.dir, events, rows: done.events }))
    }

    fn live_segments(&self) -> Vec<Arc<LiveSegment>> {
        let snapshot = self.snapshot();
        Dataset::ALL.into_iter().flat_map(|dataset| snapshot.segments(dataset)).cloned().collect()
    }

    /// Says in the log of the proof that this segment takes the place of `before`, with less in it. Gives how many events this
    /// erasure changed, and the root over them.
    pub(crate) fn announce_erased(
        &self,
        before: &SegmentMeta,
        meta: &SegmentMeta,
        erasure: &Erasure<'_>,
    ) -> Result<(u64, String), WriteError> {
        let erased = Erased::read(&**self.disk(), meta)?;
        let (kept, root) = erased.of_erasure(erasure.number, meta.first_seq, meta.last_seq);
        let (events, erased) = (kept.len() as u64, nhatle_event::json::hex(&root));
        let entry = ErasedEntry {
            erasure: erasure.number,
            dataset: meta.dataset,
            dir: before.dir.clone(),
            by_dir: meta.dir.clone(),
            first_seq: meta.first_seq.0,
            last_seq: meta.last_seq.0,
            rows: meta.row_count,
            root: meta.events_root.clone(),
            events,
            erased: erased.clone(),
            basis: erasure.basis.to_owned(),
            by: erasure.by.to_owned(),
            at_ns: self.clock().now().0,
        };
        self.prover().announce(&**self.disk(), Entry::Erased(entry))?;
        Ok((events, erased))
    }
}
