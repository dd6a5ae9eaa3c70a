//! What one source sent in one hour, and what is counted of it.
//!
//! In: tallies. Out: sums, and the form in which an ended hour is stored: an event of the dataset `receipts`, whose
//! bytes are JSON of [`Ended`]. An hour is that of receipt, in UTC. What comes in after its hour was
//! stored makes a second part of the same hour; the hour is the sum of its parts. Everything a sender can make grow is
//! bounded: reasons, gaps, samples of its clock.

use std::collections::BTreeMap;

use nhatle_event::{Event, Field, Timestamp};
use nhatle_storage::Dataset;
use serde::{Deserialize, Serialize};

/// An hour in nanoseconds.
pub const HOUR_NS: i64 = 3_600_000_000_000;
/// How many reasons are counted one by one; the rest is [`OTHER_REASON`].
pub const REASONS_MAX: usize = 12;
/// The row of all reasons past the bound.
pub const OTHER_REASON: &str = "(other)";
/// How long a reason is, in characters.
const REASON_CHARS_MAX: usize = 120;
/// How many gaps are named; further ones are only counted.
pub const GAPS_MAX: usize = 32;
/// How many samples of a clock are kept for an hour.
const SAMPLES_MAX: usize = 16;

/// Why records were refused or not understood: how often each.
pub type Reasons = BTreeMap<String, u64>;

/// Counts of a source. Conservation: received = stored + rejected + duplicate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records received.
    pub received: u64,
    /// Records stored, as events or as dead letters.
    pub stored: u64,
    /// Records refused (queue full, source over its limit).
    pub rejected: u64,
    /// Records stored before, recognized by their id.
    pub duplicate: u64,
    /// Records stored as dead letters.
    pub dead_lettered: u64,
    /// Why records were refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected_by: Reasons,
    /// Why records became dead letters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dead_by: Reasons,
    /// Records stored as events that were read with another profile than was named for their source: `apache → auditd`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub misnamed_by: Reasons,
    /// Numbers the sender gave and that never came, first and last of each range; the newest [`GAPS_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(u64, u64)>,
    /// How many numbers are missing in all.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing: u64,
    /// Datagrams that the kernel dropped: lost before they were received, so no part of `received`.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Counts {
    /// Whether nothing got lost in the counting.
    pub fn is_balanced(&self) -> bool {
        self.stored.checked_add(self.rejected).and_then(|sum| sum.checked_add(self.duplicate)) == Some(self.received)
    }

    /// Which profile was named and which its records are read with, where most of what was stored was read with another.
    pub fn misnamed(&self) -> Option<&str> {
        let count: u64 = self.misnamed_by.values().sum();
        let most = self.misnamed_by.iter().max_by_key(|(_, count)| **count);
        most.map(|(names, _)| names.as_str()).filter(|_| self.stored < count.saturating_mul(2))
    }

    /// Adds what another part counted.
    pub fn add(&mut self, other: &Counts) {
        self.received += other.received;
        self.stored += other.stored;
        self.rejected += other.rejected;
        self.duplicate += other.duplicate;
        self.dead_lettered += other.dead_lettered;
        self.missing += other.missing;
        self.lost += other.lost;
        other.rejected_by.iter().for_each(|(reason, count)| count_reason(&mut self.rejected_by, reason, *count));
        other.dead_by.iter().for_each(|(reason, count)| count_reason(&mut self.dead_by, reason, *count));
        other.misnamed_by.iter().for_each(|(names, count)| count_reason(&mut self.misnamed_by, names, *count));
        self.gaps.extend(&other.gaps);
        let past = self.gaps.len().saturating_sub(GAPS_MAX);
        self.gaps.drain(..past);
    }
}

/// Counts a reason within bounds.
pub fn count_reason(reasons: &mut Reasons, reason: &str, count: u64) {
    if let Some(known) = reasons.get_mut(reason) {
        *known += count;
        return;
    }
    let cut: String = reason.chars().take(REASON_CHARS_MAX).collect();
    let is_full = REASONS_MAX <= reasons.len() && !reasons.contains_key(&cut);
    *reasons.entry(if is_full { OTHER_REASON.to_owned() } else { cut }).or_default() += count;
}

/// Samples of event time minus receipt time, milliseconds, spread evenly over what was offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockSamples {
    samples: Vec<i32>,
    /// How many were offered.
    seen: u64,
    /// One of so many is kept.
    stride: u64,
}

impl ClockSamples {
    /// Offers one.
    pub fn add(&mut self, offset_ms: i32) {
        if self.seen.is_multiple_of(self.stride.max(1)) {
            self.samples.push(offset_ms);
        }
        self.seen += 1;
        if SAMPLES_MAX < self.samples.len() {
            let mut place = 0;
            self.samples.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.stride = self.stride.max(1) * 2;
        }
    }

    /// Offers those of another part.
    pub fn extend(&mut self, other: &ClockSamples) {
        other.samples.iter().for_each(|sample| self.add(*sample));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The samples, in no order.
    pub fn samples(&self) -> &[i32] {
        &self.samples
    }

    /// The middle one, and the width of the middle half, milliseconds. `None` without samples.
    pub fn median_and_spread(&self) -> Option<(i32, i32)> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get((sorted.len().checked_sub(1)? * part + 2) / 4).copied();
        Some((at(2)?, at(3)?.saturating_sub(at(1)?)))
    }
}

/// What one source sent in one hour, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourPart {
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// The first and the last number of its records, where the sender numbers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<(u64, u64)>,
    /// Its clock.
    #[serde(default, skip_serializing_if = "ClockSamples::is_empty")]
    pub clock: ClockSamples,
    /// Every event of this part has a larger `Seq`; `u64::MAX` where it has none.
    #[serde(default)]
    pub after_seq: u64,
}

impl HourPart {
    /// An hour nothing is counted of yet.
    pub fn new(hour: i64, after_seq: u64) -> HourPart {
        HourPart { hour, after_seq, ..HourPart::default() }
    }

    /// Its first moment.
    pub fn begin(&self) -> Timestamp {
        Timestamp(self.hour.saturating_mul(HOUR_NS))
    }

    /// Adds another part of the same hour.
    pub fn add(&mut self, other: &HourPart) {
        self.counts.add(&other.counts);
        self.clock.extend(&other.clock);
        self.after_seq = self.after_seq.min(other.after_seq);
        self.numbers = match (self.numbers, other.numbers) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
    }
}

/// The hour a moment is in.
pub fn hour_of(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR_NS)
}

/// An ended hour as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whose.
    pub source: String,
    /// The input its last record came by.
    pub input: String,
    /// The organization unit of its last record.
    pub unit: Option<String>,
    /// What was counted.
    #[serde(flatten)]
    pub part: HourPart,
}

impl Ended {
    /// The event of the dataset `receipts`.
    pub fn to_row(&self, now: Timestamp) -> (Dataset, Event) {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut event = Event::new(self.part.begin(), json);
        event.received = now;
        event.set(Field::EVENT_KIND, "metric");
        event.set(Field::EVENT_DATASET, nhatle_event::event::RECEIPTS);
        event.set(Field::NHATLE_SOURCE, self.source.as_str());
        event.set(Field::NHATLE_INPUT, self.input.as_str());
        if let Some(unit) = &self.unit {
            event.set(Field::NHATLE_UNIT, unit.as_str());
        }
        (Dataset::Receipts, event)
    }

    /// An ended hour back from its event; `None` for another event.
    pub fn of(event: &Event) -> Option<Ended> {
        serde_json::from_slice(&event.original).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_past_the_bound_are_counted_together() {
        let mut reasons = Reasons::new();
        for number in 0..REASONS_MAX + 5 {
            count_reason(&mut reasons, &format!("reason {number}"), 2);
        }
        assert_eq!(reasons.len(), REASONS_MAX + 1);
        assert_eq!((reasons["reason 0"], reasons[OTHER_REASON]), (2, 10));
    }

    #[test]
    fn a_name_is_wrong_where_most_records_say_so() {
        let counts = |stored, misnamed: &[(&str, u64)]| Counts {
            stored,
            misnamed_by: misnamed.iter().map(|(names, count)| ((*names).to_owned(), *count)).collect(),
            ..Counts::default()
        };
        assert_eq!(counts(0, &[]).misnamed(), None);
        assert_eq!(counts(10, &[("apache → auditd", 5)]).misnamed(), None);
        assert_eq!(counts(10, &[("apache → auditd", 4), ("apache → linux", 2)]).misnamed(), Some("apache → auditd"));
        let mut sum = counts(10, &[("apache → auditd", 5)]);
        sum.add(&counts(2, &[("apache → auditd", 2)]));
        assert_eq!(sum.misnamed(), Some("apache → auditd"));
    }

    #[test]
    fn samples_of_a_clock_are_few_and_spread() {
        let mut clock = ClockSamples::default();
        assert_eq!(clock.median_and_spread(), None);
        (0..10_000).for_each(|number| clock.add(number));
        assert!(clock.samples().len() <= SAMPLES_MAX);
        let (median, spread) = clock.median_and_spread().expect("has samples");
        assert!((4_000..6_000).contains(&median) && (4_000..6_500).contains(&spread), "{median} {spread}");
        let mut one = ClockSamples::default();
        one.add(-7);
        assert_eq!(one.median_and_spread(), Some((-7, 0)));
    }

    #[test]
    fn an_ended_hour_comes_back_from_its_event() {
        let mut part = HourPart::new(7, 3);
        part.counts.received = 5;
        part.counts.gaps.push((3, 9));
        part.clock.add(1_500);
        let ended = Ended { source: "fw".into(), input: "syslog-udp".into(), unit: Some("NL".into()), part };
        let (dataset, event) = ended.to_row(Timestamp(9));
        assert_eq!((dataset, event.timestamp), (Dataset::Receipts, Timestamp(7 * HOUR_NS)));
        assert_eq!(Ended::of(&event), Some(ended));
    }
}
