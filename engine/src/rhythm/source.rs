//! One source under watch: what it did in this hour, how long it is silent, and what is being said about it.
//!
//! Silence is measured in records missed at the pace of its [`Habit`], or, where a break is to be expected, by when breaks end. Who was
//! called silent and comes back soon after was called so wrongly: for [`PATIENCE_NS`] it takes more than that, so that a
//! second such alarm is rare.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, LocalHour};
use super::clock::Clock;
use super::habit::{BUSY_S, Due, Habit};
use super::history::{Gap, History};
use super::profile::{Profile, Usual};
use super::{Beat, identity::Addresses};

pub(super) const SECOND_NS: i64 = 1_000_000_000;
/// A silence shorter than this alarms nobody: machines restart.
const QUIET_MIN_S: f32 = 840.0;
/// Who is busy alarms after this, whatever else is known.
const BUSY_LIMIT_S: f32 = 870.0;
/// After a false alarm only who is usually silent for no longer than this is.
const SURELY_BUSY_S: f32 = 300.0;
/// Who alarms within this while it works is to be heard of where its unit is.
const ACTIVE_S: f32 = 2_400.0;
/// An alarm whose silence ended before so many times what alarms was chance.
const CHANCE_MAX: f32 = 1.5;
/// And one after a break that ended so soon after it alarmed.
const LATE_MAX_S: i64 = 3 * 3_600;
/// What it takes after such an alarm: so many times that silence, at most so many times what alarmed, and how long.
const PATIENCE: (f32, f32) = (1.15, 1.3);
const PATIENCE_NS: i64 = 30 * 86_400 * SECOND_NS;
/// So many outages within so many days are no outages, but a new rhythm.
const OUTAGES_MAX: usize = 4;
const OUTAGES_S: i64 = 3 * 86_400;
/// What is usual is learned anew each so many hours.
const LEARN_HOURS: i64 = 3;
/// The pace of the newest so many minutes with a record is compared with the usual one, and so many are added to both sides.
const TEMPO_FADE: f32 = 0.98;
const TEMPO_PRIOR: f32 = 12.0;
/// So many standard deviations less are chance.
const TEMPO_CHANCE: f32 = 0.7;
const TEMPO_MIN: f32 = 0.4;
/// Who speaks less often than this an hour shows no pace of the day: at least this.
const SLOW_RATE: f32 = 15.0;
const SLOW_TEMPO_MIN: f32 = 0.8;
/// After so long the pace is that of another day.
const TEMPO_S: i64 = 6 * 3_600;
/// An hour needs so many records for a drop to be told.
const DROP_COUNT_MIN: f32 = 60.0;
/// A drop that was over after so long was chance.
const DROP_CHANCE_NS: i64 = 2 * 3_600 * SECOND_NS;
/// Fewer records than this are no flood.
const FLOOD_COUNT_MIN: f32 = 300.0;

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

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Source {
    pub unit: Option<String>,
    pub last_ns: i64,
    /// Silence is counted from here: the last record, or when watching began again.
    pub base_ns: i64,
    pub standing: Standing,
    profile: Profile,
    history: History,
    hour: i64,
    /// The hour was not watched from end to end, or not left to itself.
    is_partial: bool,
    /// Of this hour: records, minutes with any, the newest of them.
    count: u64,
    minutes: u8,
    minute: i64,
    /// Records missed since `base_ns`, up to `waited_ns`.
    missed: f32,
    waited_ns: i64,
    /// Minutes with a record, and how many were to be expected, the newest weighing most; those to be expected since the last one.
    tempo: (f32, f32),
    to_come: f32,
    /// So many records missed alarm nobody, and until when.
    patience: f32,
    patience_ns: i64,
    drop_since: Option<i64>,
    /// How deep it is, as a logarithm; one that was soon over, and until when it is remembered: only a deeper one is told.
    drop_depth: f32,
    drop_known: Option<(i64, f32)>,
    flood_since: Option<i64>,
    clock: Clock,
    pub addresses: Addresses,
    /// What is usual; learned again from the history.
    #[serde(skip)]
    habit: Option<Habit>,
    #[serde(skip)]
    habit_hour: Option<i64>,
    /// For a silence that began at the first, and the habit of the second: when it is too long, if it may be a break.
    #[serde(skip)]
    due: Option<(i64, i64, Option<Due>)>,
    /// Counts at the hour of the week it was asked for last.
    #[serde(skip)]
    counts: Option<(usize, Option<Usual>)>,
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
        let (last_ns, base_ns, waited_ns) = (at.0, at.0, at.0);
        Source { last_ns, base_ns, waited_ns, hour, is_partial: true, ..Source::default() }
    }

    /// Takes in that it sent. Gives back since when it was silent, where that was said.
    pub fn see(&mut self, beat: &Beat<'_>, calendar: &Calendar, remarks: &mut Vec<Remark>) -> Option<i64> {
        self.roll(beat.last, calendar, remarks);
        if beat.unit.is_some() && self.unit.as_deref() != beat.unit {
            self.unit = beat.unit.map(str::to_owned);
        }
        self.count += beat.count;
        self.wait(beat.last, calendar);
        if self.last_ns < beat.last.0 {
            self.end_silence(beat.last, calendar);
        }
        let minute = beat.last.0.div_euclid(60 * SECOND_NS);
        if self.minute < minute {
            self.minute = minute;
            self.minutes = (self.minutes + 1).min(60);
            let (seen, expected) = self.tempo;
            self.tempo = (seen * TEMPO_FADE + 1.0, expected * TEMPO_FADE + self.to_come);
            self.to_come = 0.0;
        }
        self.clock.see(beat.last, beat.offsets_ms);
        match std::mem::take(&mut self.standing) {
            Standing::Silent(since) => Some(since),
            _ => None,
        }
    }

    /// Remembers the silence that this record ends.
    fn end_silence(&mut self, at: Timestamp, calendar: &Calendar) {
        let (begin_s, end_s) = (calendar.local_s(self.last_ns), calendar.local_s(at.0));
        // Of what alarms.
        let reached = self.reached(at, calendar).map_or(0.0, |(_, alarm)| alarm);
        let is_said = matches!(self.standing, Standing::Silent(_));
        let due = self.due_now(calendar).filter(|_| is_said);
        let late = self.habit.as_ref().zip(due).map(|(habit, due)| habit.late_s(&due, end_s, calendar));
        let mut is_outage = is_said && late.map_or(CHANCE_MAX < reached, |late_s| LATE_MAX_S < late_s);
        if is_said && !is_outage && late.is_none() {
            let known = if self.last_ns < self.patience_ns { self.patience } else { 0.0 };
            let limit = self.habit.as_ref().map_or(0.0, |habit| habit.limits().alarm);
            let taken = PATIENCE.0 * self.missed * self.pace();
            self.patience = taken.min(PATIENCE.1 * limit).max(known);
            self.patience_ns = at.0 + PATIENCE_NS;
        }
        if is_outage && OUTAGES_MAX <= 1 + self.history.outages_since(end_s - OUTAGES_S) {
            self.history.forgive();
            is_outage = false;
        }
        // Where watching began only in the midst of it nobody knows how long it was.
        if self.base_ns == self.last_ns && self.standing != Standing::Covered {
            self.history.gap(Gap { begin_s, end_s, tempo: self.pace(), is_outage });
        }
        if is_said || 1.0 < reached {
            self.to_come = 0.0;
        }
        self.is_partial |= is_said;
        if TEMPO_S < end_s - begin_s {
            self.tempo = (0.0, 0.0);
        }
        self.last_ns = at.0;
        self.base_ns = self.base_ns.max(at.0);
        self.missed = 0.0;
        if let Some(habit) = self.habit.as_ref().filter(|_| at.0 < self.waited_ns) {
            self.missed = habit.rate(end_s, calendar) * seconds(self.waited_ns - at.0) / 3_600.0;
        }
    }

    /// Counts what is missed up to this moment.
    fn wait(&mut self, to: Timestamp, calendar: &Calendar) {
        let passed_s = seconds(to.0 - self.waited_ns.max(self.base_ns));
        if passed_s <= 0.0 {
            return;
        }
        self.waited_ns = to.0;
        let Some(habit) = &self.habit else { return };
        let rate = habit.rate(calendar.local_s(to.0), calendar);
        self.missed += rate * passed_s / 3_600.0;
        self.to_come += (1.0 - (-rate / 60.0).exp()) * passed_s / 60.0;
    }

    /// How fast it speaks against what is usual.
    fn pace(&self) -> f32 {
        let is_slow = self.habit.as_ref().is_none_or(|habit| habit.mean_rate() < SLOW_RATE);
        let least = if is_slow { SLOW_TEMPO_MIN } else { TEMPO_MIN };
        let (seen, expected) = self.tempo;
        let chance = TEMPO_CHANCE * expected.sqrt();
        ((seen + chance + TEMPO_PRIOR) / (expected + TEMPO_PRIOR)).clamp(least, 1.0)
    }

    /// Learns what is usual, where it is time to.
    pub fn learn(&mut self, now: Timestamp, calendar: &Calendar) {
        if self.habit_hour.is_none_or(|hour| hour + LEARN_HOURS <= self.hour) {
            self.habit_hour = Some(self.hour);
            self.habit = Habit::learn(&self.history, calendar.local_s(self.base_ns), calendar.local_s(now.0), calendar);
        }
    }

    /// Lets time pass that is over.
    pub fn pass_over(&mut self, now: Timestamp, calendar: &Calendar) {
        self.roll(now, calendar, &mut Vec::new());
    }

    /// Lets time pass.
    pub fn pass(&mut self, now: Timestamp, calendar: &Calendar, remarks: &mut Vec<Remark>) {
        self.roll(now, calendar, remarks);
        self.learn(now, calendar);
        self.wait(now, calendar);
        let hour = calendar.hour_of(now);
        self.watch_flood(hour, now, remarks);
        self.clock.pass(now, remarks);
    }

    /// Whether its silence is longer than it should be.
    pub fn is_too_quiet(&mut self, now: Timestamp, calendar: &Calendar) -> bool {
        let quiet_s = seconds(now.0 - self.base_ns);
        if quiet_s < QUIET_MIN_S {
            return false;
        }
        let due = self.due_now(calendar);
        let patience = if now.0 < self.patience_ns { self.patience } else { 0.0 };
        let is_borne = self.missed * self.pace() < patience;
        let Some((habit, (usual, alarm))) = self.habit.as_ref().zip(self.reached(now, calendar)) else { return false };
        match due {
            Some(due) => 0 <= habit.late_s(&due, calendar.local_s(now.0), calendar),
            None => {
                let busy_s = if 0.0 < patience { SURELY_BUSY_S } else { BUSY_S };
                1.0 <= alarm && !is_borne || quiet_s <= busy_s * usual && BUSY_LIMIT_S <= quiet_s
            }
        }
    }

    /// How much of a usual silence at work, and of one that alarms, it is silent for.
    fn reached(&self, now: Timestamp, calendar: &Calendar) -> Option<(f32, f32)> {
        let habit = self.habit.as_ref()?;
        let (missed, pace) = (habit.limits(), self.pace());
        let (usual, alarm) = (self.missed * pace / missed.usual, self.missed * pace / missed.alarm);
        let Some(long) = habit.limits_s(calendar.local_s(self.base_ns), calendar).filter(|_| 0.0 < self.missed) else {
            return Some((usual, alarm));
        };
        let quiet_s = seconds(now.0 - self.base_ns);
        Some((usual.max(quiet_s / long.usual), alarm.max(quiet_s / long.alarm)))
    }

    /// When the silence that is going on is too long, if it may be a break.
    fn due_now(&mut self, calendar: &Calendar) -> Option<Due> {
        let (habit, hour) = (self.habit.as_ref()?, self.habit_hour?);
        match self.due {
            Some((base_ns, of_hour, due)) if (base_ns, of_hour) == (self.base_ns, hour) => due,
            _ => {
                let due = habit.due(calendar.local_s(self.base_ns), calendar);
                self.due = Some((self.base_ns, hour, due));
                due
            }
        }
    }

    /// What silence is usual at this moment, and which alarms, seconds: of the one that is going on where there is one, else of one that
    /// began now. `None` where too little is known, or none is to be heard that day.
    pub fn usual_s(&self, now: Timestamp, calendar: &Calendar) -> Option<(f32, f32)> {
        let habit = self.habit.as_ref()?;
        let begin_s = calendar.local_s(self.base_ns);
        if let Some(due) = habit.due(begin_s, calendar) {
            let (usual_s, limit_s) = habit.lengths_s(&due, begin_s, calendar);
            return Some((usual_s as f32, (limit_s as f32).max(QUIET_MIN_S)));
        }
        let (usual_s, alarm_s) = self.at_work_s(now, calendar)?;
        let most_s = if usual_s <= BUSY_S { BUSY_LIMIT_S } else { f32::MAX };
        Some((usual_s.max(60.0), alarm_s.clamp(QUIET_MIN_S, most_s)))
    }

    /// The same of silences at work.
    fn at_work_s(&self, now: Timestamp, calendar: &Calendar) -> Option<(f32, f32)> {
        let habit = self.habit.as_ref()?;
        let (now_s, pace) = (calendar.local_s(now.0), self.pace());
        let rate = habit.rate(now_s, calendar) * pace / 3_600.0;
        let missed = habit.limits();
        let long = habit.limits_s(now_s, calendar);
        let least = |missed: f32, long_s: Option<f32>| (missed / rate).min(long_s.unwrap_or(f32::MAX));
        (0.0 < rate).then(|| {
            (least(missed.usual, long.map(|long| long.usual)), least(missed.alarm, long.map(|long| long.alarm)))
        })
    }

    /// What is known of it.
    pub fn kind(&self) -> super::Rhythm {
        match &self.habit {
            None => super::Rhythm::Unknown,
            Some(habit) if habit.is_office() => super::Rhythm::Office,
            Some(habit) if habit.has_breaks() => super::Rhythm::Planned,
            Some(_) => super::Rhythm::Steady,
        }
    }

    /// Whether it should be heard of within minutes at this hour, and after which silence it is told, seconds.
    pub fn is_active(&self, now: Timestamp, calendar: &Calendar) -> bool {
        let Some(habit) = &self.habit else { return false };
        let is_soon = self.at_work_s(now, calendar).is_some_and(|(_, alarm_s)| alarm_s <= ACTIVE_S);
        is_soon && habit.due(calendar.local_s(now.0), calendar).is_none()
    }

    /// Whether it is silent for so long that it may be cut off with others.
    pub fn is_hushed(&self, now: Timestamp, calendar: &Calendar) -> bool {
        let reached = self.reached(now, calendar).map_or(0.0, |(_, alarm)| alarm);
        180.0 <= seconds(now.0 - self.base_ns) && 0.3 <= reached
    }

    /// Begins anew with silence: nothing was watched, or nothing was to be expected.
    pub fn excuse(&mut self, now: Timestamp) {
        self.base_ns = self.base_ns.max(now.0);
        self.waited_ns = self.waited_ns.max(now.0);
        (self.missed, self.to_come) = (0.0, 0.0);
        self.is_partial = true;
    }

    /// The same, and what was said about its silence is over.
    pub fn excuse_whole(&mut self, now: Timestamp) {
        self.excuse(now);
        self.standing = Standing::Fine;
    }

    fn usual(&mut self, hour: LocalHour) -> Option<Usual> {
        match self.counts {
            Some((place, usual)) if place == hour.place() => usual,
            _ => {
                let usual = self.profile.usual(hour);
                self.counts = Some((hour.place(), usual));
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
        let begin_ns = hour.number * 3_600 * SECOND_NS - calendar.zone_ns();
        let ended_at = Timestamp(begin_ns - (hour.number - self.hour) * 3_600 * SECOND_NS);
        let ended = calendar.hour_of(ended_at);
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
            self.profile.learn(ended, self.count);
        }
        self.history.hour(ended.number, (is_left_alone && !is_odd).then_some(self.minutes));
        (self.count, self.minutes, self.counts) = (0, 0, None);
        self.is_partial = hour.number - self.hour != 1;
        self.hour = hour.number;
    }

    fn watch_drop(&mut self, hour: LocalHour, began: Timestamp, remarks: &mut Vec<Remark>) {
        let Some(usual) = self.usual(hour) else { return };
        let ((mean, deviation), count) = (usual.log_count, self.count as f32);
        let is_dropped = 3.0 <= usual.weight
            && DROP_COUNT_MIN <= mean.exp()
            && count.ln_1p() < mean - (5.0 * deviation).max(1.4)
            && count < 0.5 * usual.count.0
            // Of whom nothing comes is silent.
            && 0.0 < count
            && self.drop_known.is_none_or(|(until_ns, known)| until_ns < began.0 || 1.1 * known < mean - count.ln_1p());
        match (self.drop_since, is_dropped) {
            (None, true) => {
                self.drop_since = Some(began.0);
                self.drop_depth = mean - count.ln_1p();
                let usual = f64::from(mean.exp());
                remarks.push(Remark::Drop { since: began.0, count: self.count, usual });
            }
            (Some(since), false) if DROP_COUNT_MIN <= mean.exp() => {
                self.drop_since = None;
                if began.0 - since <= DROP_CHANCE_NS {
                    self.drop_known = Some((began.0 + PATIENCE_NS, self.drop_depth));
                }
                remarks.push(Remark::DropOver { since });
            }
            _ => {}
        }
    }

    fn watch_flood(&mut self, hour: LocalHour, now: Timestamp, remarks: &mut Vec<Remark>) {
        let Some(usual) = self.usual(hour).filter(|_| self.flood_since.is_none()) else { return };
        let ((mean, deviation), count) = (usual.log_count, self.count as f32);
        let height = count.ln_1p() - mean;
        let is_flood = FLOOD_COUNT_MIN <= count
            && (5.0 * deviation).max(1.6) < height
            && 3.0 * usual.count.1 < count
            && (1.5 * self.profile.count_most() < count || (6.0 * deviation).max(2.8) < height);
        if is_flood && !hour.is_day_off {
            self.flood_since = Some(now.0);
            remarks.push(Remark::Flood { since: now.0, count: self.count, usual: f64::from(mean.exp()) });
        }
    }
}

fn seconds(nanos: i64) -> f32 {
    (nanos as f64 / 1e9) as f32
}
