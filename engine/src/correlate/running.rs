//! One correlation with its groups: bounded in groups, in hits, and in the work that late hits make.
//!
//! In: parts of hits with the key of their group. Out: changes of what fired. A late hit costs a constant
//! when it comes; putting it in its place costs as much as its group is long. So each hit earns
//! [`CREDIT_OF_HIT`] steps of such work, groups with late hits wait in a queue, and whoever sends everything
//! late gets late answers and slows nobody down. Nothing is lost by waiting: what a group has fired in the end
//! does not depend on when it was settled.

use std::collections::VecDeque;

use nhatle_event::Text;
use nhatle_rules::{Correlation, CorrelationKind};

use super::clock::{Clocks, MANY};
use super::condition::Condition;
use super::group::{Change, Edit, Frame, Group, Moment, Part};
use super::groups::Groups;
use super::sources::Picks;
use super::window::Weight;
use super::{Counters, Limits};

/// After at least so many hits the groups that are over are let go.
const SWEEP_HITS: u64 = 16_384;
/// Steps of settling that each hit earns: some microseconds at most.
const CREDIT_OF_HIT: i64 = 64;
/// How many steps can be saved up: some milliseconds.
pub const CREDIT_MAX: i64 = 1 << 20;

/// See the module.
pub struct Running {
    /// What its groups need to know of it.
    pub frame: Frame,
    /// How it makes hits.
    pub picks: Picks,
    /// By key.
    pub groups: Groups,
    /// Of all groups.
    pub hit_count: usize,
    /// Hits so far.
    pub touches: u64,
    /// Steps of settling that may be made now.
    pub credit: i64,
    /// Groups with late hits, in the order they are settled.
    pub pending: VecDeque<Text>,
    is_monotone: bool,
    /// When groups that are over are let go next, in hits.
    pub sweep_due: u64,
    limits: Limits,
    /// Used again and again.
    fired: Vec<Change>,
}

/// What changed in a group.
pub struct Found {
    /// Its key.
    pub key: Text,
    /// Its source.
    pub source: u16,
    /// See there.
    pub change: Change,
}

/// What is counted in a group.
pub enum Coming {
    /// An event that counts for itself, of these units.
    Event(Weight, u16),
    /// The parts of one hit.
    Parts(Vec<Part>),
    /// A change of an older one.
    Edit(Edit),
}

impl Running {
    /// No groups yet.
    pub fn new(correlation: &Correlation, condition: Condition, picks: Picks, limits: Limits) -> Running {
        let joins_weights = matches!(
            correlation.kind,
            CorrelationKind::Temporal(_)
                | CorrelationKind::TemporalOrdered(_)
                | CorrelationKind::Extended(_)
                | CorrelationKind::ExtendedOrdered(_)
        );
        let hits_needed = condition.hits_needed().saturating_mul(2);
        let is_monotone = condition.is_monotone();
        let frame = Frame {
            hits_least: condition.hits_least(),
            hits_max: hits_needed.clamp(limits.hits_max, limits.correlation_hits_max.max(limits.hits_max)),
            condition,
            timespan_ns: correlation.timespan_ns.max(0),
            joins_weights,
        };
        Running {
            frame,
            picks,
            groups: Groups::default(),
            hit_count: 0,
            touches: 0,
            credit: CREDIT_MAX,
            pending: VecDeque::new(),
            is_monotone,
            sweep_due: SWEEP_HITS,
            limits,
            fired: Vec::new(),
        }
    }

    /// Counts an event that counts for itself: the short way for one that is the newest of a group that is known.
    pub fn push_event(
        &mut self,
        clocks: &Clocks,
        counters: &mut Counters,
        (key, source, moment): (&str, u16, Moment),
        (weight, units): (Weight, u16),
        changes: &mut Vec<Found>,
    ) {
        let is_plain = |group: &&mut Group| group.source == source && group.is_newest(moment) && !group.is_pending();
        let Some(group) = self.groups.get_mut(key).filter(is_plain) else {
            return self.push(clocks, counters, (key, source, moment), Coming::Event(weight, units), changes);
        };
        self.touches += 1;
        self.credit = (self.credit + CREDIT_OF_HIT).min(CREDIT_MAX);
        group.touched = self.touches;
        group.push(&self.frame, moment, (weight, units), &mut self.fired);
        self.hit_count += 1;
        let horizon = clocks.floor_of(source).saturating_sub(self.frame.timespan_ns);
        if group.has_to_forget(&self.frame, horizon) {
            let before = group.hits.len();
            counters.hits_dropped += number(group.forget(&self.frame, horizon));
            self.hit_count = (self.hit_count + group.hits.len()).saturating_sub(before);
        }
        if !self.fired.is_empty() {
            changes.extend(self.fired.drain(..).map(|change| Found { key: Text::from(key), source, change }));
        }
        self.bound(clocks, counters);
    }

    /// Sweeps when it is time, makes room when it is needed.
    fn bound(&mut self, clocks: &Clocks, counters: &mut Counters) {
        if self.sweep_due <= self.touches {
            self.sweep(clocks);
        }
        if self.limits.groups_max < self.groups.len() || self.limits.correlation_hits_max < self.hit_count {
            let room = self.limits.correlation_hits_max - self.limits.correlation_hits_max / 8;
            self.make_room(clocks, counters, room);
        }
    }

    /// Counts something in a group.
    pub fn push(
        &mut self,
        clocks: &Clocks,
        counters: &mut Counters,
        (key, source, moment): (&str, u16, Moment),
        coming: Coming,
        changes: &mut Vec<Found>,
    ) {
        self.touches += 1;
        self.credit = (self.credit + CREDIT_OF_HIT).min(CREDIT_MAX);
        let (frame, touched) = (&self.frame, self.touches);
        let group = self.groups.get_or_insert_with(key, || Group::new(&frame.condition, source));
        group.touched = touched;
        if group.source != source {
            group.source = MANY;
        }
        let before = group.hits.len();
        let mut fired = Vec::new();
        let late = match coming {
            Coming::Event(weight, units) if group.push(frame, moment, (weight, units), &mut fired) => Vec::new(),
            Coming::Event(weight, units) => vec![Edit::Put(Part::of_event(weight, units))],
            Coming::Parts(parts) => match group.push_parts(frame, moment, parts, &mut fired) {
                Ok(()) => Vec::new(),
                Err(parts) => parts.into_iter().map(Edit::Put).collect(),
            },
            Coming::Edit(edit) => vec![edit],
        };
        if !late.is_empty() {
            let is_partial = moment.0.saturating_sub(frame.timespan_ns) <= group.forgotten;
            counters.late_partial += u64::from(is_partial);
            if is_partial && !self.is_monotone {
                counters.too_late += 1;
            } else {
                if !group.is_pending() {
                    self.pending.push_back(Text::from(key));
                }
                late.into_iter().for_each(|edit| group.edit(moment, edit));
            }
        }
        if !group.is_pending() {
            let horizon = clocks.floor_of(group.source).saturating_sub(frame.timespan_ns);
            counters.hits_dropped += number(group.forget(frame, horizon));
        }
        self.hit_count = (self.hit_count + group.hits.len()).saturating_sub(before);
        let source = group.source;
        if !fired.is_empty() {
            changes.extend(fired.into_iter().map(|change| Found { key: Text::from(key), source, change }));
        }
        self.bound(clocks, counters);
    }

    /// Settles groups with late hits as far as the credit goes.
    pub fn work(&mut self, clocks: &Clocks, counters: &mut Counters, changes: &mut Vec<Found>) {
        while 0 < self.credit && self.settle_one(clocks, counters, changes) {}
    }

    /// Settles the group that has waited longest. Returns whether there was one.
    pub fn settle_one(&mut self, clocks: &Clocks, counters: &mut Counters, changes: &mut Vec<Found>) -> bool {
        let Some(key) = self.pending.pop_front() else { return false };
        // It may have been let go for want of room.
        let Some(group) = self.groups.get_mut(&key) else { return true };
        let before = group.hits.len();
        let mut found = Vec::new();
        let steps = group.settle(&self.frame, &mut found);
        self.credit -= i64::try_from(steps).unwrap_or(i64::MAX);
        let horizon = clocks.floor_of(group.source).saturating_sub(self.frame.timespan_ns);
        counters.hits_dropped += number(group.forget(&self.frame, horizon));
        self.hit_count = (self.hit_count + group.hits.len()).saturating_sub(before);
        let source = group.source;
        changes.extend(found.into_iter().map(|change| Found { key: key.clone(), source, change }));
        true
    }

    /// Lets go of groups no event can complete any more.
    fn sweep(&mut self, clocks: &Clocks) {
        let timespan_ns = self.frame.timespan_ns;
        let is_over = |group: &Group| group.newest() < clocks.floor_of(group.source).saturating_sub(timespan_ns);
        self.groups.retain(|group| group.is_pending() || !is_over(group));
        self.hit_count = self.groups.values().map(|group| group.hits.len()).sum();
        // A sweep looks at every group: it must not come more often than they are touched.
        self.sweep_due = self.touches + SWEEP_HITS.max(2 * number(self.groups.len()));
    }

    /// Makes room: first what is over, then the groups that were touched longest ago, down to seven eighths of
    /// the groups allowed and to so many hits.
    pub fn make_room(&mut self, clocks: &Clocks, counters: &mut Counters, hits_room: usize) {
        self.sweep(clocks);
        let room = self.limits.groups_max - self.limits.groups_max / 8;
        if self.groups.len() <= room && self.hit_count <= hits_room {
            return;
        }
        let mut touched: Vec<(u64, usize)> =
            self.groups.values().map(|group| (group.touched, group.hits.len())).collect();
        touched.sort_unstable_by(|left, right| right.cmp(left));
        let mut hits = 0;
        let fits = touched.iter().take(room).take_while(|(_, length)| {
            hits += length;
            hits <= hits_room
        });
        // The group just touched always stays.
        let oldest_kept = fits.last().map_or(self.touches, |(touched, _)| *touched);
        let before = self.groups.len();
        self.groups.retain(|group| oldest_kept <= group.touched);
        counters.groups_dropped += number(before - self.groups.len());
        self.hit_count = self.groups.values().map(|group| group.hits.len()).sum();
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
