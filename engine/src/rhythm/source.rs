//! One source under watch: what it did in this hour, how long it is silent, and what is being said about it.
//!
//! Silence has two measures. **Pressure**: each second of silence adds a second over what is usual at that hour of the week; at
//! 1 (more where more has passed by itself before) the silence is unusual. Hours in which silence is usual add nothing, and after one
//! of them the pressure begins anew. **The long gap**: a silence longer than the longest of the past weeks, for sources that speak
//! once a day or a week; days off do not count for it.

use std::collections::VecDeque;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, LocalHour};
use super::profile::{Profile, Usual, Visit};
use super::{Beat, identity::Addresses};

pub(super) const SECOND_NS: i64 = 1_000_000_000;
/// A pressure beyond this was an outage, not a rhythm to learn.
const LEARNED_PRESSURE_MAX: f32 = 2.5;
/// After so long in hours where silence says nothing, pressure begins anew.
const STALE_S: f32 = 3_600.0;
/// The long gap is trusted once a source is known so long: a week and its weekend.
const LONG_AGE_NS: i64 = 8 * 86_400 * SECOND_NS;
/// And is at least this.
const LONG_MIN_S: f32 = 780.0;
/// An hour needs so many records for a drop to be told.
const DROP_COUNT_MIN: f32 = 60.0;
/// Fewer records than this are no flood.
const FLOOD_COUNT_MIN: f32 = 300.0;
/// So many records are added to both sides when a pace is compared with the usual one.
const TEMPO_PRIOR: f32 = 6.0;
/// How many readings of a clock are kept, and how long.
const OFFSETS_MAX: usize = 32;
const OFFSETS_NS: i64 = 1_800 * SECOND_NS;
/// So many make a judgment.
const OFFSETS_MIN: usize = 5;
/// A clock further off than this is wrong.
const CLOCK_LIMIT_MS: i32 = 300_000;
/// A clock that jumps further than this, and reads steadily before and after, was set.
const CLOCK_STEP_MS: i32 = 120_000;
/// Readings that differ less than this are steady.
const CLOCK_STEADY_MS: i32 = 30_000;

/// What is said about a source's silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// It sends, or is silent as usual.
    #[default]
    Fine,
    /// It is silent since then, and that is said.
    Silent(i64),
    /// Its whole unit is silent, and that is said.
    Covered,
}

/// The longest silences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LongGap {
    count: u32,
    longest_s: f32,
    /// The day it last faded.
    day: i64,
}

impl LongGap {
    fn limit_s(&self) -> Option<f32> {
        let factor = if 20 <= self.count { 1.3 } else { 1.6 };
        // One interval is enough where it is a day or more: who speaks once a week is not known better for weeks.
        let is_known = 2 <= self.count || 80_000.0 < self.longest_s;
        is_known.then_some((self.longest_s * factor).max(LONG_MIN_S))
    }
}

/// The clock of a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ClockState {
    #[serde(skip)]
    readings: VecDeque<(i64, i32)>,
    #[serde(skip)]
    is_fresh: bool,
    /// What it reads when all is well, milliseconds.
    usual_ms: Option<i32>,
    /// It is said to be wrong since then.
    wrong_since: Option<i64>,
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Source {
    pub unit: Option<String>,
    pub first_ns: i64,
    pub last_ns: i64,
    /// Silence is counted from here: the last record, or when watching began again.
    pub base_ns: i64,
    pub standing: Standing,
    profile: Profile,
    visit: Visit,
    hour: i64,
    /// The hour was not watched from end to end, or not left to itself.
    is_partial: bool,
    pressure: f32,
    untelling_s: f32,
    /// What it takes more than usual, because it was called silent and was not.
    patience: f32,
    /// Records in the hour before, and how many were to be expected.
    before: (f32, f32),
    /// The hour is one in which work begins or ends.
    is_border: bool,
    long: LongGap,
    long_s: f32,
    drop_since: Option<i64>,
    flood_since: Option<i64>,
    clock: ClockState,
    pub addresses: Addresses,
    /// What is usual at the hour it was asked for last; made again when learned.
    #[serde(skip)]
    known: Option<(usize, Option<Usual>)>,
}

/// What a source has to say at a tick, besides silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Remark {
    Drop { since: i64, count: u64, usual: f64 },
    DropOver { since: i64 },
    Flood { since: i64, count: u64, usual: f64 },
    FloodOver { since: i64 },
    Clock { since: i64, offset_ms: i32, is_step: bool },
    ClockOver { since: i64, offset_ms: i32 },
}

impl Source {
    pub fn new(at: Timestamp, calendar: &Calendar) -> Source {
        let hour = calendar.hour_of(at).number;
        Source { first_ns: at.0, last_ns: at.0, base_ns: at.0, hour, is_partial: true, ..Source::default() }
    }

    /// Takes in that it sent. Gives back since when it was silent, where that was said.
    pub fn see(&mut self, beat: &Beat<'_>, calendar: &Calendar, remarks: &mut Vec<Remark>) -> Option<i64> {
        self.roll(beat.last, calendar, remarks);
        if beat.unit.is_some() && self.unit.as_deref() != beat.unit {
            self.unit = beat.unit.map(str::to_owned);
        }
        let into_hour_s = seconds(beat.last.0 - hour_begin(beat.last, calendar));
        let quiet_s = seconds(beat.last.0 - self.base_ns).max(0.0);
        self.visit.quiet_longest_s = self.visit.quiet_longest_s.max(quiet_s.min(into_hour_s));
        if self.visit.count == 0 {
            self.visit.head_s = into_hour_s;
        }
        self.visit.count += beat.count;
        if matches!(self.standing, Standing::Silent(_)) && self.pressure <= LEARNED_PRESSURE_MAX {
            self.patience = (self.patience + 0.3).min(0.6);
        }
        if self.pressure <= LEARNED_PRESSURE_MAX {
            self.visit.pressure = self.visit.pressure.max(self.pressure);
        } else {
            self.is_partial = true;
        }
        let is_known = LONG_AGE_NS <= beat.last.0 - self.first_ns;
        let is_outage = is_known && self.standing != Standing::Fine;
        if 60.0 <= self.long_s {
            self.long.count += 1;
            // An outage is no rhythm; but what looks like one again and again is.
            let most_s = if is_outage { 1.1 * self.long.longest_s } else { f32::MAX };
            self.long.longest_s = self.long.longest_s.max(self.long_s.min(most_s));
        }
        (self.pressure, self.untelling_s, self.long_s) = (0.0, 0.0, 0.0);
        self.last_ns = self.last_ns.max(beat.last.0);
        self.base_ns = self.base_ns.max(beat.last.0);
        for offset_ms in beat.offsets_ms {
            self.clock.readings.push_back((beat.last.0, *offset_ms));
            self.clock.is_fresh = true;
        }
        while OFFSETS_MAX < self.clock.readings.len() {
            self.clock.readings.pop_front();
        }
        match std::mem::take(&mut self.standing) {
            Standing::Silent(since) => Some(since),
            _ => None,
        }
    }

    /// Lets time pass; `from` is when it was last asked.
    pub fn pass(&mut self, (from, now): (Timestamp, Timestamp), calendar: &Calendar, remarks: &mut Vec<Remark>) {
        self.roll(now, calendar, remarks);
        let hour = calendar.hour_of(now);
        let passed_s = seconds(now.0 - from.0.max(self.base_ns)).max(0.0);
        if !hour.is_day_off {
            self.long_s += passed_s;
        }
        let usual = self.usual(hour);
        let is_border = usual.is_some_and(|usual| usual.is_border);
        if self.is_border && !is_border {
            self.pressure = 0.0;
        }
        self.is_border = is_border;
        let is_from_before = self.base_ns < hour_begin(now, calendar);
        match usual.map(|usual| if is_from_before { usual.head_limit_s } else { usual.quiet_limit_s }) {
            Some(Some(limit_s)) => {
                self.pressure += passed_s / limit_s * usual.map_or(1.0, |usual| self.tempo(&usual, now, calendar))
            }
            Some(None) => {
                self.untelling_s += passed_s;
                if STALE_S <= self.untelling_s {
                    (self.pressure, self.untelling_s) = (0.0, 0.0);
                }
            }
            None => {}
        }
        self.watch_flood(hour, usual, now, remarks);
        self.watch_clock(now, remarks);
    }

    /// How much slower than usual it speaks in this hour and the one before, up to its last record: where records come at
    /// random, silences are as much longer on a slow day.
    fn tempo(&self, usual: &Usual, now: Timestamp, calendar: &Calendar) -> f32 {
        if !usual.is_random {
            return 1.0;
        }
        let spoken_s = seconds(self.last_ns - hour_begin(now, calendar)).clamp(0.0, 3_600.0);
        let expected = self.before.1 + usual.count_mean * spoken_s / 3_600.0;
        let count = self.before.0 + self.visit.count as f32;
        ((count + TEMPO_PRIOR) / (expected + TEMPO_PRIOR)).clamp(0.75, 1.0)
    }

    /// Whether its silence is longer than it should be.
    pub fn is_too_quiet(&mut self, hour: LocalHour, now: Timestamp) -> bool {
        let pressure_limit = self.usual(hour).map_or(f32::MAX, |usual| usual.pressure_limit);
        let is_long =
            LONG_AGE_NS <= now.0 - self.first_ns && self.long.limit_s().is_some_and(|limit_s| limit_s < self.long_s);
        pressure_limit * (1.0 + self.patience) <= self.pressure || is_long
    }

    /// Whether it should be heard of within minutes at this hour.
    pub fn is_active(&mut self, hour: LocalHour) -> bool {
        self.usual(hour).and_then(|usual| usual.quiet_limit_s).is_some_and(|limit_s| limit_s <= 2_400.0)
    }

    /// Whether it is silent for so long that it may be cut off with others.
    pub fn is_hushed(&mut self, hour: LocalHour, now: Timestamp) -> bool {
        let quiet_s = seconds(now.0 - self.base_ns);
        self.usual(hour)
            .and_then(|usual| usual.quiet_limit_s)
            .is_some_and(|limit_s| (0.2 * limit_s).max(180.0) <= quiet_s)
    }

    /// What silence is usual at this hour, seconds: what is said with an alert.
    pub fn usual_quiet_s(&mut self, hour: LocalHour) -> f32 {
        self.usual(hour).and_then(|usual| usual.quiet_limit_s).unwrap_or(self.long.longest_s)
    }

    /// Begins anew with silence: nothing was watched, or nothing was to be expected.
    pub fn excuse(&mut self, now: Timestamp) {
        self.base_ns = self.base_ns.max(now.0);
        (self.pressure, self.untelling_s) = (0.0, 0.0);
        self.is_partial = true;
    }

    /// The same, and what was said about its silence is over.
    pub fn excuse_whole(&mut self, now: Timestamp) {
        self.excuse(now);
        self.long_s = 0.0;
        self.standing = Standing::Fine;
    }

    fn usual(&mut self, hour: LocalHour) -> Option<Usual> {
        match self.known {
            Some((place, usual)) if place == hour.place() => usual,
            _ => {
                let usual = self.profile.usual(hour);
                self.known = Some((hour.place(), usual));
                usual
            }
        }
    }

    /// Ends the hour where `at` is in a later one.
    fn roll(&mut self, at: Timestamp, calendar: &Calendar, remarks: &mut Vec<Remark>) {
        let hour = calendar.hour_of(at);
        if hour.number <= self.hour {
            return;
        }
        let begin = hour_begin(at, calendar);
        let ended_at = Timestamp(begin - (hour.number - self.hour) * 3_600 * SECOND_NS);
        let ended = calendar.hour_of(ended_at);
        let end_ns = ended_at.0 + 3_600 * SECOND_NS;
        self.visit.quiet_longest_s =
            self.visit.quiet_longest_s.max(seconds(end_ns - self.base_ns.max(ended_at.0)).clamp(0.0, 3_600.0));
        if self.visit.count == 0 {
            self.visit.head_s = 3_600.0;
        }
        let is_left_alone = !self.is_partial && self.standing == Standing::Fine;
        if is_left_alone {
            self.watch_drop(ended, ended_at, remarks);
        }
        if let Some(since) = self.flood_since.filter(|since| *since < ended_at.0) {
            self.flood_since = None;
            remarks.push(Remark::FloodOver { since });
        }
        let is_odd = self.drop_since.is_some() || self.flood_since.is_some();
        if is_left_alone && !ended.is_day_off && !is_odd {
            self.profile.learn(ended, &self.visit);
        }
        let day = hour.number.div_euclid(24);
        if self.long.day != day {
            self.long.day = day;
            self.long.longest_s *= 0.99;
            self.patience *= 0.8;
        }
        let expected = self.usual(ended).filter(|usual| usual.is_random).map(|usual| usual.count_mean);
        self.before = match expected {
            Some(expected) if hour.number - self.hour == 1 => (self.visit.count as f32, expected),
            _ => (0.0, 0.0),
        };
        self.visit = Visit::default();
        self.known = None;
        self.is_partial = hour.number - self.hour != 1;
        self.hour = hour.number;
    }

    fn watch_drop(&mut self, hour: LocalHour, began: Timestamp, remarks: &mut Vec<Remark>) {
        let Some(usual) = self.usual(hour) else { return };
        let ((mean, deviation), count) = (usual.log_count, self.visit.count as f32);
        let is_dropped = 3.0 <= usual.weight
            && DROP_COUNT_MIN <= mean.exp()
            && count.ln_1p() < mean - (5.0 * deviation).max(1.4)
            && count < 0.5 * usual.count.0;
        match (self.drop_since, is_dropped) {
            (None, true) => {
                self.drop_since = Some(began.0);
                let usual = f64::from(mean.exp());
                remarks.push(Remark::Drop { since: began.0, count: self.visit.count, usual });
            }
            (Some(since), false) if DROP_COUNT_MIN <= mean.exp() => {
                self.drop_since = None;
                remarks.push(Remark::DropOver { since });
            }
            _ => {}
        }
    }

    fn watch_flood(&mut self, hour: LocalHour, usual: Option<Usual>, now: Timestamp, remarks: &mut Vec<Remark>) {
        let Some(usual) = usual.filter(|_| self.flood_since.is_none()) else { return };
        let ((mean, deviation), count) = (usual.log_count, self.visit.count as f32);
        let height = count.ln_1p() - mean;
        let is_flood = FLOOD_COUNT_MIN <= count
            && (5.0 * deviation).max(1.6) < height
            && 3.0 * usual.count.1 < count
            && (1.5 * self.profile.count_most() < count || (8.0 * deviation).max(3.0) < height);
        if is_flood && !hour.is_day_off {
            self.flood_since = Some(now.0);
            remarks.push(Remark::Flood { since: now.0, count: self.visit.count, usual: f64::from(mean.exp()) });
        }
    }

    fn watch_clock(&mut self, now: Timestamp, remarks: &mut Vec<Remark>) {
        if !std::mem::take(&mut self.clock.is_fresh) {
            return;
        }
        let clock = &mut self.clock;
        clock.readings.retain(|(at, _)| now.0 - at <= OFFSETS_NS);
        if clock.readings.len() < OFFSETS_MIN {
            return;
        }
        let mut newest: Vec<i32> = clock.readings.iter().rev().take(9).map(|(_, offset_ms)| *offset_ms).collect();
        newest.sort_unstable();
        let at = |quarter: usize| newest[(newest.len() - 1) * quarter / 4];
        let (median, upper, spread) = (at(2), at(3), at(3).saturating_sub(at(1)));
        // Records that waited on the way look old; the least delayed of them tell the clock.
        let is_wrong = CLOCK_LIMIT_MS < median || upper < -CLOCK_LIMIT_MS;
        let moved = clock.usual_ms.map_or(0, |usual_ms| median.saturating_sub(usual_ms).saturating_abs());
        let usual_ms = clock.usual_ms.unwrap_or(0);
        let is_elsewhere = usual_ms < median || upper < usual_ms.saturating_sub(CLOCK_STEP_MS);
        let is_step = spread < CLOCK_STEADY_MS && CLOCK_STEP_MS < moved && is_elsewhere;
        match (clock.wrong_since, is_wrong || is_step) {
            (None, true) => {
                clock.wrong_since = Some(now.0);
                remarks.push(Remark::Clock { since: now.0, offset_ms: median, is_step: !is_wrong });
            }
            (Some(since), false) => {
                clock.wrong_since = None;
                remarks.push(Remark::ClockOver { since, offset_ms: median });
            }
            _ => {}
        }
        if clock.wrong_since.is_none() && spread < CLOCK_STEADY_MS {
            let usual_ms = clock.usual_ms.unwrap_or(median);
            clock.usual_ms = Some(usual_ms.saturating_add(median.saturating_sub(usual_ms) / 8));
        }
    }
}

fn hour_begin(at: Timestamp, calendar: &Calendar) -> i64 {
    // Zones of half hours have their own borders.
    let number = calendar.hour_of(at).number;
    number * 3_600 * SECOND_NS - calendar.zone_ns()
}

fn seconds(nanos: i64) -> f32 {
    (nanos as f64 / 1e9) as f32
}
