//! One group of a correlation: its hits in time order, the window over the newest, and when it fired.
//!
//! In: hits, in any order. Out: what fires, and what fired and does not any more. What a group has fired when
//! nothing is pending depends on its hits and not on the order they came in: walking through them in order
//! of time, it fires at a hit whose window meets the condition and holds no moment of the one that fired
//! before. A hit newer than all others moves the window on, at a constant cost. A late one is an [`Edit`] that
//! waits for [`Group::settle`], which puts all that wait in their places and judges again from the first of
//! them up to where nothing can differ any more.
//!
//! Hits of equal time stand in the order they arrived.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use nhatle_event::{Seq, Text};

use super::FIRING_EVENTS_MAX;
use super::coming::{in_order, joined, newest_first, put};
use super::condition::Condition;
use super::hits::Hits;
use super::units::CITY;
use super::window::{Weight, Window};

/// What a group needs to know of its correlation.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it fires.
    pub condition: Condition,
    /// Length of the window, nanoseconds.
    pub timespan_ns: i64,
    /// With fewer hits in the window it cannot fire.
    pub hits_least: usize,
    /// How many hits a group keeps.
    pub hits_max: usize,
    /// Weights of hits at one moment are sets to be joined.
    pub joins_weights: bool,
}

/// Time, nanoseconds, and number of the event: the order of hits.
pub type Moment = (i64, u64);

/// Something that counts: an event, or a firing of an inner correlation at its last event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// When.
    pub at: i64,
    /// The event, or the last event of the firing.
    pub seq: u64,
    /// What it counts for.
    pub weight: Weight,
}

impl Hit {
    /// Its place in the order.
    pub fn moment(&self) -> Moment {
        (self.at, self.seq)
    }
}

/// Where a part of a hit comes from: the event itself (zero, empty), or the inner correlation (the beginning of its
/// fingerprint) and its group.
pub type Origin = (u64, Text);

/// Values of the event behind a hit that outer correlations ask for.
pub type Carried = Arc<[Option<Text>]>;

/// What one origin adds to a hit.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Where it comes from.
    pub origin: Origin,
    /// What it counts for.
    pub weight: Weight,
    /// The events of the firing; `None` for the event itself.
    pub events: Option<Arc<[Seq]>>,
    /// See [`Carried`].
    pub carried: Option<Carried>,
    /// The units of its events ([`Units`](super::units::Units)).
    pub units: u16,
}

impl Part {
    /// An event that counts for itself.
    pub fn of_event(weight: Weight, units: u16) -> Part {
        Part { origin: (0, Text::default()), weight, events: None, carried: None, units }
    }

    fn is_plain(&self) -> bool {
        self.origin.0 == 0 && self.carried.is_none()
    }
}

/// A change somewhere before the newest hit.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A part of a hit that came late.
    Put(Part),
    /// What an inner correlation does not say any more.
    Take(Origin),
}

/// A window that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The hit that completed it.
    pub moment: Moment,
    /// Of its content: equal where nothing changed.
    pub digest: u64,
    /// Of that hit.
    pub carried: Option<Carried>,
}

impl Mark {
    fn of(fired: &Fired) -> Mark {
        Mark { moment: fired.moment, digest: digest(fired), carried: fired.carried.clone() }
    }

    fn is_same(&self, other: &Mark) -> bool {
        (self.moment, self.digest) == (other.moment, other.digest)
    }
}

/// A window that met the condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    /// The hit that completes it.
    pub moment: Moment,
    /// Time of the first hit.
    pub start: i64,
    /// How many hits are in it.
    pub count: usize,
    /// The number the condition was judged by.
    pub value: f64,
    /// The newest events, oldest first, each once.
    pub events: Vec<Seq>,
    /// Of the completing hit.
    pub carried: Option<Carried>,
    /// The units of all hits, each once ([`Units`](super::units::Units)).
    pub units: Vec<u16>,
}

/// What a push or a settlement brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A window fired.
    Fired(Fired),
    /// The window completed at this moment, with what its hit carried, did not fire after all.
    Withdrawn(Moment, Option<Carried>),
}

/// What most groups do not have.
#[derive(Clone, Debug, Default)]
pub struct Rare {
    /// Windows that fired, in order.
    pub fired: Vec<Mark>,
    /// Waiting changes.
    pub edits: Vec<(Moment, Edit)>,
    /// The parts of hits that are more than an event that counts for itself.
    pub parts: BTreeMap<Moment, Vec<Part>>,
    /// The units of each hit, where they differ; else empty, see [`Group::units`].
    pub units: VecDeque<u16>,
}

impl Rare {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.fired.is_empty() && self.edits.is_empty() && self.parts.is_empty() && self.units.is_empty()
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Group {
    /// In order.
    pub hits: Hits,
    window: Window,
    /// See there.
    pub rare: Option<Box<Rare>>,
    /// Time of the newest hit that was let go.
    pub forgotten: i64,
    /// Time of the oldest hit, or of one before it: whether there is anything to forget is asked at every hit, and
    /// the oldest hit stands elsewhere in memory.
    oldest: i64,
    /// Number of the last hit anywhere in the correlation that touched this group.
    pub touched: u64,
    /// Place of the first hit in the window over the newest.
    first: u32,
    /// The source all its hits are from, or [`super::clock::MANY`].
    pub source: u16,
    /// The units of every hit, where [`Rare::units`] has none.
    pub units: u16,
}

impl Group {
    /// A group without hits.
    pub fn new(condition: &Condition, source: u16) -> Group {
        Group {
            hits: Hits::default(),
            window: Window::new(condition),
            rare: None,
            forgotten: i64::MIN,
            oldest: i64::MAX,
            touched: 0,
            first: 0,
            source,
            units: CITY,
        }
    }

    /// Gives units other numbers, those of `new` by the old ones.
    pub fn renumber(&mut self, new: &[u16]) {
        let renumbered = |units: &mut u16| *units = new.get(*units as usize).copied().unwrap_or(CITY);
        renumbered(&mut self.units);
        let Some(rare) = &mut self.rare else { return };
        rare.units.iter_mut().for_each(renumbered);
        let waiting = rare.edits.iter_mut().filter_map(|(_, edit)| match edit {
            Edit::Put(part) => Some(part),
            Edit::Take(_) => None,
        });
        rare.parts.values_mut().flatten().chain(waiting).for_each(|part| renumbered(&mut part.units));
    }

    fn units_at(&self, place: usize) -> u16 {
        self.rare.as_ref().and_then(|rare| rare.units.get(place)).copied().unwrap_or(self.units)
    }

    /// Adds a hit behind all others.
    fn push_hit(&mut self, hit: Hit, units: u16) {
        let count = self.hits.len();
        let differs =
            count != 0 && (units != self.units || self.rare.as_ref().is_some_and(|rare| !rare.units.is_empty()));
        if differs {
            let of_each = &mut self.rare.get_or_insert_default().units;
            of_each.resize(count, self.units);
            of_each.push_back(units);
        } else {
            self.units = units;
        }
        self.hits.push_back(hit);
    }

    /// The units of these hits, each once.
    fn units_of(&self, first: usize, end: usize) -> Vec<u16> {
        let Some(rare) = self.rare.as_ref().filter(|rare| !rare.units.is_empty() || !rare.parts.is_empty()) else {
            return vec![self.units];
        };
        let mut units: Vec<u16> = match rare.units.is_empty() {
            true => vec![self.units],
            false => rare.units.range(first..=end).copied().collect(),
        };
        if let (Some(first), Some(last)) = (self.hits.get(first), self.hits.get(end)) {
            let parts = rare.parts.range(first.moment()..=last.moment());
            units.extend(parts.flat_map(|(_, parts)| parts).map(|part| part.units));
        }
        units.sort_unstable();
        units.dedup();
        units
    }

    /// Windows that fired, in order.
    pub fn fired(&self) -> &[Mark] {
        self.rare.as_ref().map_or(&[], |rare| &rare.fired)
    }

    fn fired_mut(&mut self) -> &mut Vec<Mark> {
        &mut self.rare.get_or_insert_default().fired
    }

    fn set_first(&mut self, first: usize) {
        self.first = u32::try_from(first).expect("hits of a group are bounded far below 2^32");
    }

    /// Time of its newest hit.
    pub fn newest(&self) -> i64 {
        self.hits.back().map_or(i64::MIN, |hit| hit.at)
    }

    /// Whether a hit at this moment is newer than all others.
    pub fn is_newest(&self, moment: Moment) -> bool {
        self.hits.back().is_none_or(|last| last.moment() < moment)
    }

    /// Whether [`Group::forget`] has anything to do.
    pub fn has_to_forget(&self, frame: &Frame, horizon: i64) -> bool {
        let is_old_fired =
            || 1 < self.fired().len() && self.fired().first().is_some_and(|mark| mark.moment.0 < horizon);
        self.oldest < horizon || frame.hits_max < self.hits.len() || is_old_fired()
    }

    /// Whether changes wait for [`Group::settle`].
    pub fn is_pending(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.edits.is_empty())
    }

    /// Counts a hit that is newer than all others, and returns true; or does nothing and returns false.
    pub fn push(
        &mut self,
        frame: &Frame,
        moment: Moment,
        (weight, units): (Weight, u16),
        changes: &mut Vec<Change>,
    ) -> bool {
        if self.hits.back().is_some_and(|last| moment <= last.moment()) {
            return false;
        }
        let newest = Hit { at: moment.0, seq: moment.1, weight };
        self.oldest = self.oldest.min(moment.0);
        self.push_hit(newest, units);
        let end = self.hits.len() - 1;
        let mut first = self.first as usize;
        let since = slide(frame, &self.hits, &mut first, &mut self.window, newest);
        self.set_first(first);
        let count = end + 1 - first;
        if count < frame.hits_least {
            return true;
        }
        let is_quiet = self.fired().last().is_some_and(|mark| touches(frame, mark.moment.0, moment.0));
        if !is_quiet && let Some(value) = self.window.verdict(&frame.condition, since, count) {
            let fired = self.fired_at(first, end, value);
            self.fired_mut().push(Mark::of(&fired));
            changes.push(Change::Fired(fired));
        }
        true
    }

    /// The same for a hit of several parts, or of one that is more than an event that counts for itself.
    pub fn push_parts(
        &mut self,
        frame: &Frame,
        moment: Moment,
        mut parts: Vec<Part>,
        changes: &mut Vec<Change>,
    ) -> Result<(), Vec<Part>> {
        if self.hits.back().is_some_and(|last| moment <= last.moment()) {
            return Err(parts);
        }
        parts.sort_by(|left, right| left.origin.cmp(&right.origin));
        let weight = joined(frame, &parts).unwrap_or_default();
        let units = parts.first().map_or(CITY, |part| part.units);
        if parts.iter().any(|part| !part.is_plain()) {
            self.rare.get_or_insert_default().parts.insert(moment, parts);
        }
        self.push(frame, moment, (weight, units), changes);
        Ok(())
    }

    /// Writes down a change to be made by [`Group::settle`].
    pub fn edit(&mut self, moment: Moment, edit: Edit) {
        self.rare.get_or_insert_default().edits.push((moment, edit));
    }

    /// Makes the changes that wait and judges again what they touch. Returns how many hits were looked at.
    pub fn settle(&mut self, frame: &Frame, changes: &mut Vec<Change>) -> usize {
        let Some(rare) = &mut self.rare else { return 0 };
        let mut edits = std::mem::take(&mut rare.edits);
        // By moment; of one moment in the order they came.
        edits.sort_by_key(|(moment, _)| *moment);
        let (Some((from, _)), Some((to, _))) = (edits.first(), edits.last()) else { return 0 };
        let (from, to) = (*from, *to);
        let before = self.hits.len();
        let place = self.hits.partition_point(|hit| hit.moment() < from);
        let moved = self.apply(frame, place, edits);
        let added = (before, self.hits.len());
        self.note_oldest();
        if self.rare.as_ref().is_some_and(|rare| rare.is_empty()) {
            self.rare = None;
        }
        moved + self.judge_again(frame, place, (from, to), added, changes)
    }

    /// Puts edits where they belong, at `place` and after it. Returns how many hits were moved.
    fn apply(&mut self, frame: &Frame, place: usize, edits: Vec<(Moment, Edit)>) -> usize {
        let units: Vec<u16> = (place..self.hits.len()).map(|place| self.units_at(place)).collect();
        let tail = self.hits.split_off(place);
        if let Some(rare) = &mut self.rare {
            rare.units.truncate(place);
        }
        let moved = tail.len() + edits.len();
        let mut tail = tail.into_iter().zip(units).peekable();
        let mut edits = edits.into_iter().peekable();
        while let Some((moment, _)) = edits.peek() {
            let moment = *moment;
            while let Some((hit, units)) = tail.next_if(|(hit, _)| hit.moment() < moment) {
                self.push_hit(hit, units);
            }
            let known = tail.next_if(|(hit, _)| hit.moment() == moment);
            let rare = self.rare.get_or_insert_default();
            let mut parts = rare.parts.remove(&moment).unwrap_or_default();
            if let Some((hit, units)) = known.filter(|_| parts.is_empty()) {
                parts.push(Part::of_event(hit.weight, units));
            }
            while let Some((_, edit)) = edits.next_if(|(next, _)| *next == moment) {
                match edit {
                    Edit::Put(part) => put(frame, &mut parts, part),
                    Edit::Take(origin) => parts.retain(|part| part.origin != origin),
                }
            }
            parts.sort_by(|left, right| left.origin.cmp(&right.origin));
            let units = parts.first().map_or(CITY, |part| part.units);
            let weight = joined(frame, &parts);
            if parts.iter().any(|part| !part.is_plain()) {
                rare.parts.insert(moment, parts);
            }
            if let Some(weight) = weight {
                self.push_hit(Hit { at: moment.0, seq: moment.1, weight }, units);
            }
        }
        tail.for_each(|(hit, units)| self.push_hit(hit, units));
        moved
    }

    fn note_oldest(&mut self) {
        self.oldest = self.hits.front().map_or(i64::MAX, |hit| hit.at);
    }

    /// Judges from `place` on, where something changed between two moments, until everything is as it was.
    /// `added` are the numbers of hits before and after.
    fn judge_again(
        &mut self,
        frame: &Frame,
        place: usize,
        (from, to): (Moment, Moment),
        added: (usize, usize),
        changes: &mut Vec<Change>,
    ) -> usize {
        let kept = self.fired().partition_point(|mark| mark.moment < from);
        let old = self.rare.as_mut().map(|rare| rare.fired.split_off(kept)).unwrap_or_default();
        let mut is_same_from = old.len();
        let since = from.0.saturating_sub(frame.timespan_ns);
        let mut first = self.hits.partition_point(|hit| hit.at < since);
        let mut window = Window::new(&frame.condition);
        let inside = (first..place).filter_map(|place| self.hits.get(place));
        inside.for_each(|hit| window.add(&frame.condition, hit.at, hit.weight));
        let last_touched = to.0.saturating_add(frame.timespan_ns);
        let begun = first;
        let mut end = place;
        let mut passed = 0;
        let mut fresh = Vec::new();
        while let Some(newest) = self.hits.get(end) {
            let moment = newest.moment();
            while old.get(passed).is_some_and(|mark| mark.moment < moment) {
                passed += 1;
            }
            // Nothing differs from here on when no window holds a change and the last one fired is the same.
            let last_old = passed.checked_sub(1).and_then(|last| old.get(last)).map(|mark| mark.moment);
            let last_new = self.fired().get(kept..).and_then(|marks| marks.last()).map(|mark| mark.moment);
            if last_touched < moment.0 && self.is_as_quiet(frame, moment.0, last_old, last_new, kept) {
                is_same_from = passed;
                break;
            }
            let since = slide(frame, &self.hits, &mut first, &mut window, newest);
            let is_quiet = self.fired().last().is_some_and(|mark| touches(frame, mark.moment.0, moment.0));
            if !is_quiet && let Some(value) = window.verdict(&frame.condition, since, end + 1 - first) {
                let fired = self.fired_at(first, end, value);
                self.fired_mut().push(Mark::of(&fired));
                fresh.push(fired);
            }
            end += 1;
        }
        if place == self.hits.len() {
            // The newest hits were taken out: the window is over the one before them.
            self.restore(frame);
        } else if end == self.hits.len() {
            self.set_first(first);
            self.window = window;
        } else {
            // Every change lies before the window over the newest hit.
            self.set_first((self.first as usize + added.1).saturating_sub(added.0));
        }
        let is_in = |marks: &[Mark], mark: &Mark| {
            let place = marks.partition_point(|known| known.moment < mark.moment);
            marks.get(place).is_some_and(|known| known.is_same(mark))
        };
        let gone = old[..is_same_from].iter().filter(|mark| !is_in(&self.fired()[kept..], mark));
        changes.extend(gone.map(|mark| Change::Withdrawn(mark.moment, mark.carried.clone())));
        let is_new = |fired: &Fired| !is_in(&old, &Mark::of(fired));
        changes.extend(fresh.into_iter().filter(is_new).map(Change::Fired));
        if is_same_from < old.len() {
            self.fired_mut().extend_from_slice(&old[is_same_from..]);
        }
        end - begun
    }

    /// Whether the last window that fired before and the last one that fires now leave the same quiet from
    /// `at` on: they are the same, or both are over.
    fn is_as_quiet(&self, frame: &Frame, at: i64, old: Option<Moment>, new: Option<Moment>, kept: usize) -> bool {
        let before = kept.checked_sub(1).and_then(|last| self.fired().get(last)).map(|mark| mark.moment);
        let (old, new) = (old.or(before), new.or(before));
        let is_over = |fired: Option<Moment>| fired.is_none_or(|fired| !touches(frame, fired.0, at));
        old == new || (is_over(old) && is_over(new))
    }

    fn carried_at(&self, moment: Moment) -> Option<Carried> {
        self.rare.as_ref()?.parts.get(&moment)?.iter().find_map(|part| part.carried.clone())
    }

    fn fired_at(&self, first: usize, end: usize, value: f64) -> Fired {
        let mut events: Vec<Seq> = Vec::new();
        for hit in (first..=end).rev().filter_map(|place| self.hits.get(place)) {
            if FIRING_EVENTS_MAX <= events.len() {
                break;
            }
            let parts = self.rare.as_ref().and_then(|rare| rare.parts.get(&hit.moment()));
            newest_first(
                Seq(hit.seq),
                parts.into_iter().flatten().filter_map(|part| part.events.as_deref()),
                &mut events,
            );
        }
        let moment = self.hits.get(end).map(|last| last.moment()).unwrap_or_default();
        let carried = self.carried_at(moment);
        let start = self.hits.get(first).map_or(moment.0, |hit| hit.at);
        let count = end + 1 - first;
        Fired { moment, start, count, value, events: in_order(events), carried, units: self.units_of(first, end) }
    }

    /// Lets go of hits before `horizon`, which no window to come can hold, and of the oldest where there are too
    /// many. Returns how many of the latter.
    pub fn forget(&mut self, frame: &Frame, horizon: i64) -> usize {
        let mut dropped = 0;
        while let Some(oldest) = self.hits.front() {
            let is_over = oldest.at < horizon;
            if !is_over && self.hits.len() <= frame.hits_max {
                break;
            }
            dropped += usize::from(!is_over);
            self.hits.pop_front();
            self.forgotten = self.forgotten.max(oldest.at);
            match self.first.checked_sub(1) {
                Some(first) => self.first = first,
                None => self.window.remove(oldest.weight),
            }
            if let Some(rare) = &mut self.rare {
                rare.parts.remove(&oldest.moment());
                rare.units.pop_front();
            }
        }
        self.note_oldest();
        if let Some(rare) = &mut self.rare {
            let over = rare.fired.partition_point(|mark| mark.moment.0 < horizon);
            rare.fired.drain(..over.min(rare.fired.len().saturating_sub(1)));
        }
        dropped
    }

    /// A group as it was written down: the window is made again from the hits.
    pub fn restore(&mut self, frame: &Frame) {
        let since = self.newest().saturating_sub(frame.timespan_ns);
        let first = self.hits.partition_point(|hit| hit.at < since);
        self.set_first(first);
        self.note_oldest();
        self.window = Window::new(&frame.condition);
        for hit in (first..self.hits.len()).filter_map(|place| self.hits.get(place)) {
            self.window.add(&frame.condition, hit.at, hit.weight);
        }
    }
}

/// Whether two windows of this length, one that fired and a later one, have a moment in common.
fn touches(frame: &Frame, fired: i64, at: i64) -> bool {
    at.saturating_sub(fired) <= frame.timespan_ns
}

/// Moves a window so that it ends with the hit `newest`, the one after where it ended before. Returns where it
/// begins.
fn slide(frame: &Frame, hits: &Hits, first: &mut usize, window: &mut Window, newest: Hit) -> i64 {
    let since = newest.at.saturating_sub(frame.timespan_ns);
    if !matches!(window, Window::Count) {
        window.add(&frame.condition, newest.at, newest.weight);
    }
    while let Some(oldest) = hits.get(*first).filter(|oldest| oldest.at < since) {
        window.remove(oldest.weight);
        *first += 1;
    }
    since
}

/// A number that differs where the content of a firing differs.
fn digest(fired: &Fired) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::quality::FixedState::with_seed(0).build_hasher();
    hasher.write_i64(fired.start);
    hasher.write_usize(fired.count);
    hasher.write_u64(fired.value.to_bits());
    fired.events.iter().for_each(|seq| hasher.write_u64(seq.0));
    hasher.finish()
}
