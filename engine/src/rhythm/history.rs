//! What a source did in the past weeks: how many minutes of each hour it spoke in, and its longer silences.
//!
//! In: hours that are over, and silences that are over. Out: the same, oldest first, for [`super::habit`] to learn from. Bounded:
//! [`HOURS_MAX`] hours of a byte, [`GAPS_MAX`] silences of some bytes; the oldest go first.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How many hours are remembered: five weeks.
pub const HOURS_MAX: usize = 35 * 24;
/// How many silences are remembered.
pub const GAPS_MAX: usize = 1_536;
/// Shorter ones are not remembered, seconds: an alarm needs three times that.
pub const GAP_MIN_S: i64 = 240;
/// An hour that was not watched from end to end.
const UNWATCHED: u8 = u8::MAX;

/// A silence that is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(i64, i64, f32, bool)", into = "(i64, i64, f32, bool)")]
pub struct Gap {
    /// The record before it, seconds since 1970, local.
    pub begin_s: i64,
    /// The record after it.
    pub end_s: i64,
    /// How fast the source spoke before it, against what is usual.
    pub tempo: f32,
    /// It was said to be unusual, and was longer than chance makes it.
    pub is_outage: bool,
}

impl From<(i64, i64, f32, bool)> for Gap {
    fn from((begin_s, end_s, tempo, is_outage): (i64, i64, f32, bool)) -> Gap {
        Gap { begin_s, end_s, tempo, is_outage }
    }
}

impl From<Gap> for (i64, i64, f32, bool) {
    fn from(gap: Gap) -> (i64, i64, f32, bool) {
        (gap.begin_s, gap.end_s, gap.tempo, gap.is_outage)
    }
}

impl Gap {
    /// How long it was, seconds.
    pub fn long_s(&self) -> i64 {
        self.end_s - self.begin_s
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The local hour after the newest.
    next_hour: i64,
    hours: VecDeque<u8>,
    gaps: VecDeque<Gap>,
}

impl History {
    /// Takes in a local hour that is over, in which it spoke in so many minutes; `None` where it was not watched.
    pub fn hour(&mut self, hour: i64, minutes: Option<u8>) {
        if self.hours.is_empty() || self.next_hour + HOURS_MAX as i64 <= hour {
            self.hours.clear();
            self.next_hour = hour;
        }
        while self.next_hour < hour {
            self.push(UNWATCHED);
        }
        if self.next_hour == hour {
            self.push(minutes.map_or(UNWATCHED, |minutes| minutes.min(60)));
        }
    }

    fn push(&mut self, minutes: u8) {
        self.next_hour += 1;
        self.hours.push_back(minutes);
        if HOURS_MAX < self.hours.len() {
            self.hours.pop_front();
        }
    }

    /// Takes in a silence that is over.
    pub fn gap(&mut self, gap: Gap) {
        if gap.long_s() < GAP_MIN_S {
            return;
        }
        self.gaps.push_back(gap);
        let oldest_s = (self.next_hour - HOURS_MAX as i64) * 3_600;
        while GAPS_MAX < self.gaps.len() || self.gaps.front().is_some_and(|gap| gap.end_s < oldest_s) {
            self.gaps.pop_front();
        }
    }

    /// How many outages ended after this moment.
    pub fn outages_since(&self, at_s: i64) -> usize {
        self.gaps.iter().filter(|gap| gap.is_outage && at_s < gap.end_s).count()
    }

    /// No silence was an outage: it does that now.
    pub fn forgive(&mut self) {
        self.gaps.iter_mut().for_each(|gap| gap.is_outage = false);
    }

    /// The hours that were watched, oldest first: local hour, minutes in which it spoke.
    pub fn hours(&self) -> impl Iterator<Item = (i64, u8)> {
        let first = self.next_hour - self.hours.len() as i64;
        let watched = self.hours.iter().enumerate().filter(|(_, minutes)| **minutes != UNWATCHED);
        watched.map(move |(place, minutes)| (first + place as i64, *minutes))
    }

    /// The silences, oldest first.
    pub fn gaps(&self) -> impl ExactSizeIterator<Item = &Gap> {
        self.gaps.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_hours_that_were_not_watched_are_left_out() {
        let mut history = History::default();
        for hour in 0..2_000 {
            history.hour(hour, (hour % 2 == 0).then_some(60));
            history.gap(Gap { begin_s: hour * 3_600, end_s: hour * 3_600 + 300, tempo: 1.0, is_outage: false });
        }
        history.gap(Gap { begin_s: 7_200_000, end_s: 7_200_100, tempo: 1.0, is_outage: false });
        assert_eq!(history.hours().count(), HOURS_MAX / 2);
        assert_eq!(history.hours().last(), Some((1_998, 60)));
        assert!(history.gaps().len() <= HOURS_MAX + 1, "a short one and old ones are not kept");
        history.hour(2_010, Some(5));
        assert_eq!(history.hours().last(), Some((2_010, 5)), "hours between were not watched");
        history.hour(9_000, Some(5));
        assert_eq!(history.hours().count(), 1);
        let bytes = serde_json::to_vec(&history).expect("is written");
        assert_eq!(serde_json::from_slice::<History>(&bytes).expect("is read"), history);
    }
}
