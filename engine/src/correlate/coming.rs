//! Between what happened and the groups, and between groups and what is told: parts of hits joined, firings named.
//!
//! In: parts with key, source and moment; firings of groups with their key. Out: what is on its way to a group;
//! [`CorrelationMatch`]es but for their units.

use nhatle_event::{Field, Seq, Timestamp};
use nhatle_rules::{Correlation, CorrelationId};

use super::group::{Fired, Frame, Moment, Part};
use super::running::Coming;
use super::window::Weight;
use super::{CorrelationMatch, FIRING_EVENTS_MAX, scope, sources};

/// Something on its way to a group.
pub struct Come {
    /// Of its group.
    pub key: String,
    /// Of the event.
    pub source: u16,
    /// When.
    pub moment: Moment,
    /// What.
    pub coming: Coming,
}

/// Adds a part to the hit of its key and moment. What an event is at several places counts once: as the set of
/// them where weights are sets, else as the first. What was taken back in between does not come back: a firing
/// that replaces one of the same moment stands behind that one's [`Edit::Take`].
pub fn join(hits: &mut Vec<Come>, (key, source, moment): (&str, u16, Moment), part: Part, joins_weights: bool) {
    let last = hits.iter_mut().rev().find(|hit| hit.key == key && hit.moment == moment);
    let known = last.and_then(|hit| match &mut hit.coming {
        Coming::Parts(parts) => Some(parts),
        _ => None,
    });
    let Some(parts) = known else {
        hits.push(Come { key: key.to_owned(), source, moment, coming: Coming::Parts(vec![part]) });
        return;
    };
    match parts.iter_mut().find(|known| known.origin == part.origin) {
        Some(known) if joins_weights => known.weight |= part.weight,
        Some(_) => {}
        None => parts.push(part),
    }
}

/// Names and values of a key, and its unit.
pub fn named(correlation: &Correlation, key: &str) -> Vec<(String, String)> {
    let values = sources::values_of(key, correlation.group_by.len());
    let named = correlation.group_by.iter().zip(values).map(|(entry, value)| (entry.name.clone(), value.to_owned()));
    let unit = scope::divided(key).0.map(|unit| (Field::NHATLE_UNIT.name().to_owned(), unit.to_owned()));
    named.chain(unit).collect()
}

/// A firing of a group, to be told.
pub fn firing(
    correlation: &Correlation,
    number: CorrelationId,
    key: &str,
    fired: Fired,
    (position, is_late): (usize, bool),
) -> CorrelationMatch {
    CorrelationMatch {
        correlation: number,
        group: named(correlation, key),
        events: fired.events,
        start: Timestamp(fired.start),
        end: Timestamp(fired.moment.0),
        count: u64::try_from(fired.count).unwrap_or(u64::MAX),
        value: fired.value,
        position,
        is_late,
        units: Vec::new(),
    }
}

/// Adds a part to those of a hit; another of the same origin takes its place, or joins it where weights are sets.
pub fn put(frame: &Frame, parts: &mut Vec<Part>, part: Part) {
    match parts.iter_mut().find(|known| known.origin == part.origin) {
        Some(known) if frame.joins_weights && part.origin.0 == 0 => known.weight |= part.weight,
        Some(known) => *known = part,
        None => parts.push(part),
    }
}

/// What all parts of a hit count for; `None` where there is none.
pub fn joined(frame: &Frame, parts: &[Part]) -> Option<Weight> {
    let first = parts.first()?.weight;
    Some(if frame.joins_weights { parts.iter().fold(0, |all, part| all | part.weight) } else { first })
}

/// Adds the events of a hit, newest first: its own, then those of the inner firings.
pub fn newest_first<'a>(own: Seq, inner: impl Iterator<Item = &'a [Seq]>, events: &mut Vec<Seq>) {
    events.push(own);
    inner.for_each(|inner| events.extend(inner.iter().rev()));
}

/// Newest first, with repeats, to oldest first, each once, no more than [`FIRING_EVENTS_MAX`].
pub fn in_order(newest_first: Vec<Seq>) -> Vec<Seq> {
    let mut seen = hashbrown::HashSet::new();
    let is_unique = newest_first.len() < 2 || newest_first.is_sorted_by(|left, right| right < left);
    let mut events: Vec<Seq> =
        newest_first.into_iter().filter(|seq| is_unique || seen.insert(*seq)).take(FIRING_EVENTS_MAX).collect();
    events.reverse();
    events
}
