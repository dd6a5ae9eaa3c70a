//! One group of a correlation: its hits in time order, the window over the newest, and when it fired.
//!
//! A hit that is newer than all before it moves the window on. A late one is put where it belongs and the
//! windows it is in are judged again. Windows that fired do not overlap: after firing, the group is quiet
//! until a window holds no moment of the fired one.

use std::collections::VecDeque;

use nhatle_event::{Seq, Timestamp};

use super::window::{Condition, Hit, Window};

/// What a group needs to know of its correlation.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it fires.
    pub condition: Condition,
    /// Length of the window.
    pub timespan_ns: i64,
    /// How late a hit may be.
    pub lateness_ns: i64,
    /// How many hits a group keeps.
    pub hits_max: usize,
}

/// A window that met the condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    /// The hits in it, oldest first.
    pub hits: Vec<Hit>,
    /// The number the condition was judged by.
    pub value: f64,
}

/// What became of a hit.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was counted, and these windows fired (one, or more for a late hit).
    Counted(Vec<Fired>),
    /// It came too late.
    TooLate,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Group {
    hits: VecDeque<Hit>,
    /// Place of the first hit in the window over the newest.
    first: usize,
    window: Window,
    /// Ends of windows that fired, oldest first.
    fired: VecDeque<Timestamp>,
    /// Number of the last hit anywhere in the correlation that touched this group.
    pub touched: u64,
}

impl Group {
    /// How many hits it keeps.
    pub fn len(&self) -> usize {
        self.hits.len()
    }

    /// Time of its newest hit.
    pub fn newest(&self) -> Timestamp {
        self.hits.back().map_or(Timestamp::MIN, |hit| hit.at)
    }

    /// Counts a hit. Returns also how many old hits had to go for want of room.
    pub fn push(&mut self, frame: &Frame, hit: Hit) -> (Outcome, usize) {
        let newest = self.newest();
        let is_late = self.hits.back().is_some_and(|last| (hit.at, hit.seq) < (last.at, last.seq));
        if is_late && frame.lateness_ns < newest.since(hit.at) {
            return (Outcome::TooLate, 0);
        }
        let fired = if is_late { self.push_late(frame, hit) } else { Vec::from_iter(self.push_newest(frame, hit)) };
        let dropped = self.forget(frame);
        (Outcome::Counted(fired), dropped)
    }

    fn push_newest(&mut self, frame: &Frame, hit: Hit) -> Option<Fired> {
        self.hits.push_back(hit);
        let end = self.hits.len() - 1;
        let value = self.slide(frame, end)?;
        self.fire(frame, end, value)
    }

    /// Moves the window so that it ends with the hit at `end`, the one after where it ended before.
    fn slide(&mut self, frame: &Frame, end: usize) -> Option<f64> {
        let since = self.hits[end].at.plus_nanos(-frame.timespan_ns);
        self.window.add(&frame.condition, &self.hits[end]);
        while self.hits[self.first].at < since {
            let place = self.first;
            self.first += 1;
            self.window.remove(&frame.condition, &self.hits[place], &self.hits, self.first);
        }
        self.window.verdict(&frame.condition, since)
    }

    /// Fires the window that ends at `end`, unless it touches one that fired.
    fn fire(&mut self, frame: &Frame, end: usize, value: f64) -> Option<Fired> {
        let at = self.hits[end].at;
        let touches = |fired: &Timestamp| at.since(*fired).saturating_abs() <= frame.timespan_ns;
        if self.fired.iter().any(touches) {
            return None;
        }
        let place = self.fired.partition_point(|known| *known < at);
        self.fired.insert(place, at);
        Some(Fired { hits: self.hits.range(self.first..=end).cloned().collect(), value })
    }

    /// Puts a late hit where it belongs and judges again every window it is in.
    fn push_late(&mut self, frame: &Frame, hit: Hit) -> Vec<Fired> {
        let (at, place) = (hit.at, self.hits.partition_point(|known| (known.at, known.seq) < (hit.at, hit.seq)));
        self.hits.insert(place, hit);
        self.window = Window::default();
        self.first = 0;
        let mut fired = Vec::new();
        for end in 0..self.hits.len() {
            let value = self.slide(frame, end);
            let is_in_window = place <= end && self.hits[end].at.since(at) <= frame.timespan_ns;
            if let Some(value) = value.filter(|_| is_in_window) {
                fired.extend(self.fire(frame, end, value));
            }
        }
        fired
    }

    /// Lets go of hits no window can hold any more, and of the oldest where there are too many.
    fn forget(&mut self, frame: &Frame) -> usize {
        let newest = self.newest();
        let kept_ns = frame.timespan_ns.saturating_add(frame.lateness_ns);
        let mut dropped = 0;
        while let Some(oldest) = self.hits.front() {
            let is_over = kept_ns < newest.since(oldest.at);
            if !is_over && self.hits.len() <= frame.hits_max {
                break;
            }
            dropped += usize::from(!is_over);
            let oldest = self.hits.pop_front();
            match (self.first.checked_sub(1), oldest) {
                (Some(first), _) => self.first = first,
                (None, Some(oldest)) => self.window.remove(&frame.condition, &oldest, &self.hits, 0),
                (None, None) => {}
            }
        }
        let quiet_ns = kept_ns.saturating_add(frame.timespan_ns);
        while self.fired.front().is_some_and(|fired| quiet_ns < newest.since(*fired)) {
            self.fired.pop_front();
        }
        dropped
    }
}

/// The events of hits, oldest first, each once.
pub fn events_of(hits: &[Hit]) -> Vec<Seq> {
    let mut events = Vec::new();
    for hit in hits {
        match &hit.inner {
            Some(inner) => events.extend_from_slice(inner),
            None => events.push(hit.seq),
        }
    }
    let mut seen = hashbrown::HashSet::new();
    events.retain(|seq| seen.insert(*seq));
    events
}
