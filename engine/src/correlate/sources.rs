//! From what happened to what counts: the matches of an event, and the firings they caused, become hits in
//! groups of a correlation.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;
use nhatle_event::{Event, Seq, Text, Timestamp, Value};
use nhatle_rules::predicate::RuleField;
use nhatle_rules::{Correlation, CorrelationKind, GroupBy};

use super::window::{Hit, Weight, bit};
use super::{Arrived, CorrelationMatch};
use crate::detect::value_of_field;

/// Something a correlation refers to has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Place in `referred`.
    pub place: usize,
    /// The firing, for an inner correlation; `None` for a match of the event itself.
    pub firing: Option<usize>,
}

/// The hits an event makes in a correlation, with the key of the group of each. An event that several
/// referred rules match is one hit in a group.
pub fn gather(
    correlation: &Correlation,
    arrived: Arrived<'_>,
    sources: &[Source],
    firings: &[CorrelationMatch],
) -> Vec<(Vec<Text>, Hit)> {
    let mut hits: Vec<(Vec<Text>, Hit)> = Vec::new();
    for source in sources {
        let inner = source.firing.and_then(|firing| firings.get(firing));
        let happened = Happened { event: arrived.event, inner };
        let Some(key) = happened.key(correlation, source.place) else { continue };
        let Some(weight) = happened.weight(correlation, source.place) else { continue };
        let (at, seq) = happened.when(arrived.seq);
        let known = hits.iter_mut().find(|(other, hit)| *other == key && (hit.at, hit.seq) == (at, seq));
        match known {
            Some((_, hit)) => {
                if let (Weight::Places(all), Weight::Places(more)) = (&mut hit.weight, weight) {
                    *all |= more;
                }
                if hit.inner.is_none() {
                    hit.inner = inner.map(events_of);
                }
            }
            None => hits.push((key, Hit { at, seq, weight, inner: inner.map(events_of) })),
        }
    }
    hits
}

fn events_of(firing: &CorrelationMatch) -> Arc<[Seq]> {
    firing.events.as_slice().into()
}

/// A match of an event, or a firing that the event completed.
struct Happened<'a> {
    event: &'a Event,
    inner: Option<&'a CorrelationMatch>,
}

impl Happened<'_> {
    /// When it counts: a firing at its last event.
    fn when(&self, seq: Seq) -> (Timestamp, Seq) {
        match self.inner {
            Some(firing) => (firing.end, firing.events.last().copied().unwrap_or(seq)),
            None => (self.event.timestamp, seq),
        }
    }

    /// The group, or `None` where a field is missing.
    fn key(&self, correlation: &Correlation, place: usize) -> Option<Vec<Text>> {
        correlation.group_by.iter().map(|entry| self.text(entry, place)).collect()
    }

    fn weight(&self, correlation: &Correlation, place: usize) -> Option<Weight> {
        Some(match &correlation.kind {
            CorrelationKind::EventCount(_) => Weight::One,
            CorrelationKind::ValueCount(_, entries) => {
                let values: Option<Vec<Text>> = entries.iter().map(|entry| self.text(entry, place)).collect();
                Weight::Value(hash_of(&values?))
            }
            CorrelationKind::Temporal(_)
            | CorrelationKind::TemporalOrdered(_)
            | CorrelationKind::Extended(_)
            | CorrelationKind::ExtendedOrdered(_) => Weight::Places(bit(place)),
            CorrelationKind::ValueSum(_, entry)
            | CorrelationKind::ValueAvg(_, entry)
            | CorrelationKind::ValuePercentile(_, entry, _)
            | CorrelationKind::ValueMedian(_, entry) => {
                let number = crate::matching::number_of(&self.text(entry, place)?)?;
                Weight::Number(number)
            }
        })
    }

    /// The value of an entry: of a firing its group's, else the event's.
    fn text(&self, entry: &GroupBy, place: usize) -> Option<Text> {
        let field: &RuleField = entry.fields.get(place)?;
        let of_group = self.inner.and_then(|firing| {
            let group = firing.group.iter().find(|(name, _)| *name == field.name || *name == entry.name)?;
            Some(Text::from(&group.1))
        });
        of_group.or_else(|| {
            let value = value_of_field(field, self.event)?;
            value.each().find_map(Value::as_text).map(|text| Text::from(&*text))
        })
    }
}

/// 128 bits of a tuple of texts; two different tuples have the same ones with a chance of 2^-64 among four
/// thousand million.
fn hash_of(values: &[Text]) -> u128 {
    let half = |seed: u64| {
        let mut hasher = FixedState::with_seed(seed).build_hasher();
        for value in values {
            hasher.write_usize(value.len());
            hasher.write(value.as_bytes());
        }
        u128::from(hasher.finish())
    };
    half(0x6e68_6174_6c65_0001) << 64 | half(0x6e68_6174_6c65_0002)
}
