//! The clock of a source: right, wrong, or set.
//!
//! In: event time minus receipt time of its records. Out: that its clock is wrong, was set, or is right again. A clock that is wrong is
//! wrong by the same amount for minutes; days of the past that are brought in late, and records that waited on the way, are not:
//! those differ from each other, or come all at once. Bounded: [`OFFSETS_MAX`] readings.

use std::collections::VecDeque;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::source::{Remark, SECOND_NS};

/// How many readings of a clock are kept, and how long.
const OFFSETS_MAX: usize = 64;
const OFFSETS_NS: i64 = 1_800 * SECOND_NS;
/// So many make a judgment.
const OFFSETS_MIN: usize = 5;
/// The newest so many are judged, with older ones until they span this long.
const NEWEST: usize = 9;
const SPAN_NS: i64 = 120 * SECOND_NS;
/// A clock further off than this is wrong.
const CLOCK_LIMIT_MS: i32 = 300_000;
/// A clock that jumps further than this, and reads steadily before and after, was set.
const CLOCK_STEP_MS: i32 = 120_000;
/// Readings that differ less than this are steady.
const CLOCK_STEADY_MS: i32 = 30_000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Clock {
    #[serde(skip)]
    readings: VecDeque<(i64, i32)>,
    #[serde(skip)]
    is_fresh: bool,
    /// What it reads when all is well, milliseconds.
    usual_ms: Option<i32>,
    /// It is said to be wrong since then.
    wrong_since: Option<i64>,
}

impl Clock {
    /// Takes in readings of one moment.
    pub fn see(&mut self, at: Timestamp, offsets_ms: &[i32]) {
        self.readings.extend(offsets_ms.iter().map(|offset_ms| (at.0, *offset_ms)));
        self.is_fresh |= !offsets_ms.is_empty();
        let past = self.readings.len().saturating_sub(OFFSETS_MAX);
        self.readings.drain(..past);
    }

    /// Judges, where there is anything new.
    pub fn pass(&mut self, now: Timestamp, remarks: &mut Vec<Remark>) {
        if !std::mem::take(&mut self.is_fresh) {
            return;
        }
        self.readings.retain(|(at, _)| now.0 - at <= OFFSETS_NS);
        let Some(read) = self.read() else { return };
        // Records that waited on the way look old; the least delayed of them tell the clock. Nothing comes from the future.
        let is_ahead = CLOCK_LIMIT_MS < read.median;
        let is_behind = read.upper < -CLOCK_LIMIT_MS && read.is_long && read.spread < 2 * CLOCK_STEADY_MS;
        let moved = self.usual_ms.map_or(0, |usual_ms| read.median.saturating_sub(usual_ms).saturating_abs());
        let usual_ms = self.usual_ms.unwrap_or(0);
        let is_elsewhere =
            usual_ms < read.median || read.is_long && read.upper < usual_ms.saturating_sub(CLOCK_STEP_MS);
        let is_step = read.spread < CLOCK_STEADY_MS && CLOCK_STEP_MS < moved && is_elsewhere;
        let is_wrong = is_ahead || is_behind;
        match (self.wrong_since, is_wrong || is_step) {
            (None, true) => {
                self.wrong_since = Some(now.0);
                remarks.push(Remark::Clock { since: now.0, offset_ms: read.median, is_step: !is_wrong });
            }
            (Some(since), false) if read.is_long || -CLOCK_LIMIT_MS <= read.upper => {
                self.wrong_since = None;
                remarks.push(Remark::ClockOver { since, offset_ms: read.median });
            }
            _ => {}
        }
        if self.wrong_since.is_none() && read.spread < CLOCK_STEADY_MS && -CLOCK_LIMIT_MS <= read.upper {
            let usual_ms = self.usual_ms.unwrap_or(read.median);
            self.usual_ms = Some(usual_ms.saturating_add(read.median.saturating_sub(usual_ms) / 8));
        }
    }

    fn read(&self) -> Option<Read> {
        let newest_ns = self.readings.back()?.0;
        let mut taken = 0;
        let mut is_long = false;
        for (at, _) in self.readings.iter().rev() {
            if NEWEST <= taken && is_long {
                break;
            }
            taken += 1;
            is_long = SPAN_NS <= newest_ns - at;
        }
        let mut read: Vec<i32> = self.readings.iter().rev().take(taken).map(|(_, offset_ms)| *offset_ms).collect();
        if read.len() < OFFSETS_MIN {
            return None;
        }
        read.sort_unstable();
        let at = |quarter: usize| read[(read.len() - 1) * quarter / 4];
        Some(Read { median: at(2), upper: at(3), spread: at(3).saturating_sub(at(1)), is_long })
    }
}

/// The newest readings, milliseconds.
struct Read {
    median: i32,
    upper: i32,
    /// Between the quarters.
    spread: i32,
    /// They span minutes.
    is_long: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said where each second of receipt brings records of these offsets, seconds.
    fn said(seconds: std::ops::Range<i64>, every: usize, offset_s: impl Fn(i64) -> i64) -> Vec<Remark> {
        let (mut clock, mut remarks) = (Clock::default(), Vec::new());
        for second in seconds.step_by(every) {
            let at = Timestamp(second * SECOND_NS);
            let offsets = [0, 1, 2].map(|more| i32::try_from(offset_s(second) * 1_000 + more).expect("some days"));
            clock.see(at, &offsets);
            clock.pass(at, &mut remarks);
        }
        remarks
    }

    #[test]
    fn a_wrong_clock_is_told_and_days_of_the_past_are_none() {
        assert_eq!(said(0..3_600, 15, |_| 0), [], "right");
        for (name, offset_s) in [("seven hours behind", -25_200), ("ahead", 400), ("six minutes behind", -360)] {
            let remarks = said(0..3_600, 15, |_| offset_s);
            assert!(matches!(remarks[..], [Remark::Clock { is_step: false, .. }]), "{name}: {remarks:?}");
        }
        let remarks = said(0..3_600, 15, |second| if second < 1_800 { 0 } else { -200 });
        assert!(matches!(remarks[..], [Remark::Clock { is_step: true, .. }]), "it was set: {remarks:?}");
        assert_eq!(said(0..60, 1, |_| -86_400), [], "a file of yesterday, at once");
        assert_eq!(
            said(0..3_600, 15, |second| -86_400 + 20 * second),
            [],
            "a day is brought in within an hour and more"
        );
        assert_eq!(said(0..3_600, 15, |second| -((second * 7_919) % 5_000)), [], "records that waited on the way");
    }
}
