//! What silence is usual for a source: learned from its [`History`].
//!
//! In: the past weeks. Out: a [`Habit`]. Three things are told apart. **Breaks** are long silences that come again at the same time
//! of day, or end then: nights of office PCs, the time between two runs of a job; one is over when the latest of them was, and a
//! margin for how they differ. **Silences at work** are all others. They are measured in records missed (what the source would have
//! sent, by hour of the day on working days, Saturdays and Sundays, hours of like pace taken together), so that a quiet night and a
//! busy morning weigh alike; the tail of them ([`super::tail`]) says which silence comes once in ten days, the usual one, and which
//! is so rare that it alarms. **Days on which it does not work** count for nothing.

use super::calendar::Calendar;
use super::history::{GAP_MIN_S, Gap, History};
use super::tail::Tail;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// So many hours are watched before anything is called unusual; so many of who is neither busy nor always at work.
const HOURS_MIN: usize = 24;
const SLOW_HOURS_MIN: usize = 72;
/// A break is at least this long, and so many records are missed in it.
const BREAK_MIN_S: i64 = 2_700;
const BREAK_MISSED_MIN: f32 = 14.0;
/// At first, before it is known what is missed: at least this long, and so many times the mean interval of hours in which it speaks.
const FIRST_BREAK_MIN_S: i64 = 7_200;
const FIRST_BREAK_INTERVALS: f32 = 20.0;
/// Breaks that begin or end within this of each other come again.
const AGAIN_S: i64 = 1_800;
/// Within the first so many days whatever there is may come again.
const START_DAYS: usize = 3;
/// On so many of the days.
const AGAIN_SHARE: f32 = 0.25;
/// A source with silences of days speaks by a plan if those differ less than this, as a share of their mean.
const PLAN_SPREAD_MAX: f32 = 0.35;
const PLAN_GAP_MIN_S: i64 = 80_000;
/// A break that begins so soon after a record may have begun with it.
const CLOSE_S: i64 = 1_800;
/// And so soon while few days are known.
const CLOSE_AT_FIRST_S: i64 = 2_400;
const FEW_DAYS: usize = 10;
/// And began at most so long before.
const BEGUN_S: i64 = 12 * HOUR_S;
/// A break at least so long is a night.
const NIGHT_S: i64 = 8 * HOUR_S;
/// The most an office PC may be late.
const OFFICE_MARGIN_MAX_S: i64 = 7_200;
/// One that began at an unusual time may begin so much earlier or later the next time.
const ODD_CLOSE_S: i64 = 5_400;
/// On fewer days than this a break at that time is not to be expected.
const CLOSE_SHARE_MIN: f32 = 0.08;
/// How what happened a day earlier weighs less.
const DAY_FADE: f32 = 0.95;
/// A usual silence up to this is that of a busy source, seconds.
pub const BUSY_S: f32 = 480.0;
/// Silences that begin so many hours beside are taken together, and are to be so many at least.
const BESIDE: i64 = 2;
const SILENCES_MIN: usize = 40;
/// Who speaks more often, an hour, is known to be silent within minutes.
const SLOW_RATE_MAX: f32 = 45.0;
/// So few are enough where it speaks on a beat at all hours.
const BEATS_MIN: usize = 6;
/// On a beat none is longer than so many times the middle one.
const BEAT_LONGEST: f32 = 1.8;
/// How many false alarms for silence are allowed a source and month, in the mean.
const ALARMS_A_MONTH: f32 = 0.25;

/// A break.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Break {
    begin_s: i64,
    end_s: i64,
    /// It began at a time of day at which breaks do not begin.
    is_odd: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Habit {
    pace: Pace,
    /// Whether working days, Saturdays, Sundays and days off count.
    counts: [bool; 3],
    breaks: Vec<Break>,
    /// The days that were watched, since 1970, with their kind.
    days: Vec<(i64, usize)>,
    /// Records missed: a silence that comes about once in ten days, and one that alarms.
    limits: Limits,
    /// The same in seconds, by kind of day and hour in which a silence begins, where that is known.
    by_hour: Vec<Option<Limits>>,
    is_office: bool,
}

/// A silence that comes about once in ten days, and one that alarms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The first.
    pub usual: f32,
    /// The second.
    pub alarm: f32,
}

impl Limits {
    /// Of silences like these, which begin in this share of the hours.
    fn of(silences: Vec<f32>, (records, months): (f32, f32), days: f32, share: f32, remembered_from: f32) -> Limits {
        let tail = Tail::of(silences, records, months, remembered_from);
        let usual = tail.exceeded((0.1 * days / months).min(0.01 * records / months));
        // A few days are too much alike.
        let unsure = 1.0 + 1.0 / days.max(1.0).powi(2);
        Limits { usual, alarm: (unsure * tail.rare(share * ALARMS_A_MONTH)).min(1.95 * usual) }
    }
}

/// When a silence that began with a break is too long: counted time from the midnight before it began, seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Due {
    midnight_s: i64,
    /// The break is usually over.
    usual_s: i64,
    limit_s: i64,
}

impl Habit {
    /// What is usual; `open_s`: when the silence began that is going on. `None` where too little is known.
    pub fn learn(history: &History, open_s: i64, now_s: i64, calendar: &Calendar) -> Option<Habit> {
        let hours: Vec<(i64, u8)> = history.hours().collect();
        if hours.len() < HOURS_MIN {
            return None;
        }
        let days = days_of(&hours, calendar);
        let spoken: f32 = hours.iter().map(|(_, minutes)| records(f32::from(*minutes), 60.0)).sum();
        let active = hours.iter().filter(|(_, minutes)| 0 < *minutes).count();
        let interval_s = active as f32 * HOUR_S as f32 / spoken.max(1.0);
        let is_long =
            |gap: &Gap| FIRST_BREAK_MIN_S <= gap.long_s() && FIRST_BREAK_INTERVALS * interval_s <= gap.long_s() as f32;
        let open = (HOUR_S <= now_s - open_s).then_some((open_s, now_s));
        let outages = || history.gaps().filter(|gap| gap.is_outage).map(|gap| (gap.begin_s, gap.end_s)).chain(open);
        let first: Vec<_> = history.gaps().filter(|gap| is_long(gap)).map(|gap| (gap.begin_s, gap.end_s)).collect();
        let counts = counting(&hours, !first.is_empty(), calendar);
        let pace = Pace::of(&hours, first.into_iter().chain(outages()), calendar);
        let missed = |pace: &Pace, gap: &Gap| pace.expected((gap.begin_s, gap.end_s), counts, calendar) * gap.tempo;
        let candidates: Vec<Gap> = history
            .gaps()
            .filter(|gap| BREAK_MIN_S <= gap.long_s())
            .filter(|gap| BREAK_MISSED_MIN <= missed(&pace, gap) || is_long(gap) && PLAN_GAP_MIN_S <= gap.long_s())
            .copied()
            .collect();
        let breaks = recurring(&candidates, &days, counts, calendar);
        let open_gap = Gap { begin_s: open_s, end_s: now_s, tempo: 1.0, is_outage: false };
        if breaks.is_empty() && active_days_of(&hours) <= START_DAYS && is_long(&open_gap) {
            // Its first night: nobody knows yet when those end.
            return None;
        }
        let pace = Pace::of(&hours, breaks.iter().map(|one| (one.begin_s, one.end_s)).chain(outages()), calendar);
        let is_break = |gap: &Gap| breaks.binary_search_by_key(&gap.begin_s, |one| one.begin_s).is_ok();
        let at_work = || history.gaps().filter(|gap| !gap.is_outage && !is_break(gap));
        let months = hours.len() as f32 / 720.0;
        let active_days = days.len() as f32 * if breaks.is_empty() { 1.0 } else { active as f32 / hours.len() as f32 };
        let size = (spoken, months);
        // Where it speaks so often that a silence of minutes alarms in any case, none is by chance.
        let is_slow = |gap: &&Gap| {
            let kind = calendar.kind_of_day(gap.begin_s.div_euclid(DAY_S));
            pace.rates[place(kind, gap.begin_s)].min(pace.rates[place(kind, gap.begin_s + HOUR_S)]) <= SLOW_RATE_MAX
        };
        let mut silences: Vec<f32> = at_work().filter(is_slow).map(|gap| missed(&pace, gap)).collect();
        if silences.len() < SILENCES_MIN {
            silences = at_work().map(|gap| missed(&pace, gap)).collect();
        }
        let most = pace.rates.iter().copied().fold(0.0, f32::max) * GAP_MIN_S as f32 / HOUR_S as f32;
        let limits = Limits::of(silences, size, active_days.max(1.0), 1.0, most);
        if hours.len() < SLOW_HOURS_MIN && (!breaks.is_empty() || BUSY_S < limits.usual * interval_s) {
            return None;
        }
        let by_hour = by_hour(at_work(), size, &days, calendar);
        let is_office = is_office(&breaks, counts, &days, active);
        Some(Habit { pace, counts, breaks, days, limits, by_hour, is_office })
    }

    /// Whether people switch it on and off: it works by day on working days, for hours, and stands still at night.
    pub fn is_office(&self) -> bool {
        self.is_office
    }

    /// Whether it has breaks at certain times.
    pub fn has_breaks(&self) -> bool {
        !self.breaks.is_empty()
    }

    /// How many records it sends an hour while it works, in the mean.
    pub fn mean_rate(&self) -> f32 {
        self.pace.mean
    }

    /// How many records are missed in silences at work.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long silences at work are that begin at this moment, seconds, where enough of them are known.
    pub fn limits_s(&self, begin_s: i64, calendar: &Calendar) -> Option<Limits> {
        self.by_hour[place(calendar.kind_of_day(begin_s.div_euclid(DAY_S)), begin_s)]
    }

    /// How many records are missed between two moments, local seconds.
    pub fn expected(&self, span: (i64, i64), calendar: &Calendar) -> f32 {
        self.pace.expected(span, self.counts, calendar)
    }

    /// How many records it sends an hour at that moment while it works; nothing where the day does not count.
    pub fn rate(&self, at_s: i64, calendar: &Calendar) -> f32 {
        let kind = calendar.kind_of_day(at_s.div_euclid(DAY_S));
        if self.counts[kind] { self.pace.rates[place(kind, at_s)] } else { 0.0 }
    }

    /// When a silence is too long whose last record came at this moment, if a break is to be expected then.
    pub fn due(&self, begin_s: i64, calendar: &Calendar) -> Option<Due> {
        let (day, time_s) = (begin_s.div_euclid(DAY_S), begin_s.rem_euclid(DAY_S));
        let kind = calendar.kind_of_day(day);
        let is_counted = self.counts[kind];
        let of_kind = |wanted: &dyn Fn(usize) -> bool| -> Vec<i64> {
            self.days.iter().filter(|(_, kind)| wanted(*kind)).map(|(day, _)| *day).collect()
        };
        let mut days = of_kind(&|other| if is_counted { other == kind } else { self.counts[other] });
        if days.len() < 2 && kind != 0 && is_counted {
            days = of_kind(&|other| other != 0);
        }
        let mut ends: Vec<(i64, i64)> =
            days.iter().filter_map(|other| self.end_of(*other, time_s, is_counted, calendar)).collect();
        if ends.is_empty() && kind != 0 && is_counted {
            // It seldom works on such days: as on others.
            days = of_kind(&|_| true);
            ends.extend(days.iter().filter_map(|other| self.end_of(*other, time_s, is_counted, calendar)));
        }
        let is_rare = (ends.len() as f32) < CLOSE_SHARE_MIN * days.len() as f32
            || ends.len() < 2
                && 5 < days.len()
                && (self.is_office || ends.iter().all(|(_, long_s)| *long_s < PLAN_GAP_MIN_S));
        if ends.is_empty() || is_rare && !self.is_odd_again(time_s) {
            return None;
        }
        ends.sort_unstable();
        let (middle_s, latest_s) = (ends[ends.len() / 2].0, ends[ends.len() - 1].0);
        let most_s = if self.is_office { OFFICE_MARGIN_MAX_S } else { i64::MAX };
        let margin_s = margin_s(&ends, middle_s).min(most_s);
        // Who may stay away for a day after a night is not missed on the first one, but on the second.
        let is_night = NIGHT_S <= ends[ends.len() / 2].1;
        let latest_s = if self.is_office && is_night { middle_s + DAY_S } else { latest_s };
        let before_s = if is_counted { 0 } else { middle_s.div_euclid(DAY_S) * DAY_S };
        Some(Due {
            midnight_s: day * DAY_S,
            usual_s: middle_s - before_s,
            limit_s: latest_s.saturating_add(margin_s) - before_s,
        })
    }

    /// How long it is over by now, seconds; below 0 where it is not.
    pub fn late_s(&self, due: &Due, now_s: i64, calendar: &Calendar) -> i64 {
        counted_s((due.midnight_s, now_s), self.counts, calendar) - due.limit_s
    }

    /// How long a silence that began at this moment usually is, and when it alarms, seconds from its begin; not further than ten weeks.
    pub fn lengths_s(&self, due: &Due, begin_s: i64, calendar: &Calendar) -> (i64, i64) {
        let reach_s = |wanted_s: i64| {
            let mut left_s = wanted_s;
            for day in 0..70 {
                let midnight_s = due.midnight_s + day * DAY_S;
                if self.counts[calendar.kind_of_day(midnight_s.div_euclid(DAY_S))] {
                    if left_s <= DAY_S {
                        return midnight_s + left_s - begin_s;
                    }
                    left_s -= DAY_S;
                }
            }
            70 * DAY_S
        };
        (reach_s(due.usual_s), reach_s(due.limit_s))
    }

    /// A break that went on, shortly after this time of that day: its end in counted seconds from midnight, and its length.
    fn end_of(&self, day: i64, time_s: i64, is_counted: bool, calendar: &Calendar) -> Option<(i64, i64)> {
        let at_s = day * DAY_S + time_s + if self.days.len() < FEW_DAYS { CLOSE_AT_FIRST_S } else { CLOSE_S };
        let from = self.breaks.partition_point(|one| one.end_s <= at_s);
        // From a day on which it does not work the night of any other is as good.
        let next_s = (day + 1) * DAY_S;
        let found = self.breaks[from..].iter().find(|one| match is_counted {
            true => one.begin_s <= at_s && at_s - one.begin_s < BEGUN_S,
            false => one.begin_s < next_s && next_s < one.end_s,
        })?;
        let end_s = counted_s((day * DAY_S, found.end_s), self.counts, calendar);
        Some((end_s, counted_s((found.begin_s, found.end_s), self.counts, calendar)))
    }

    fn is_odd_again(&self, time_s: i64) -> bool {
        let mut odd = self.breaks.iter().filter(|one| one.is_odd);
        let near = |one: &Break| apart_s(one.begin_s, time_s) <= ODD_CLOSE_S;
        odd.clone().any(near) || 2 <= odd.by_ref().count()
    }
}

/// How much later than ever before a break may end.
fn margin_s(ends: &[(i64, i64)], middle_s: i64) -> i64 {
    let near: Vec<f64> =
        ends.iter().map(|(end, _)| (end - middle_s) as f64).filter(|apart| apart.abs() < 3.0 * 3_600.0).collect();
    let count = near.len() as f64;
    let mean = near.iter().sum::<f64>() / count;
    let spread = (near.iter().map(|apart| (apart - mean).powi(2)).sum::<f64>() / count).sqrt();
    let longest_s = ends.iter().map(|(_, long_s)| *long_s).max().unwrap_or(0);
    let margin_s = match ends.len() {
        1 => longest_s / 5,
        2 => (longest_s / 12).max((3.0 * spread) as i64),
        3..6 => (3.0 * spread) as i64,
        6..12 => (2.0 * spread) as i64,
        _ => (1.5 * spread) as i64,
    };
    margin_s.max(900)
}

/// How many records an hour, by kind of day and hour of the day, while it works.
#[derive(Clone, Debug, PartialEq)]
struct Pace {
    rates: [f32; 72],
    mean: f32,
}

impl Pace {
    /// Hours less what is excluded of them. Hours that differ no more than chance makes them are taken together (empirical Bayes:
    /// each is drawn to the mean of all, by how much of the spread between them is chance).
    fn of(hours: &[(i64, u8)], excluded: impl Iterator<Item = (i64, i64)>, calendar: &Calendar) -> Pace {
        let first = hours.first().map_or(0, |hour| hour.0);
        let newest = hours.last().map_or(0, |hour| hour.0);
        let mut work = vec![1.0f32; usize::try_from(newest - first + 1).unwrap_or(0)];
        for (begin_s, end_s) in excluded {
            for hour in begin_s.div_euclid(HOUR_S).max(first)..=end_s.div_euclid(HOUR_S).min(newest) {
                let part_s = end_s.min((hour + 1) * HOUR_S) - begin_s.max(hour * HOUR_S);
                work[(hour - first) as usize] -= part_s.max(0) as f32 / HOUR_S as f32;
            }
        }
        let mut sums = [(0.0f32, 0.0f32); 72];
        let mut weight = (i64::MIN, 1.0);
        for (hour, minutes) in hours {
            let worked = work[(hour - first) as usize];
            if worked < 0.05 {
                continue;
            }
            let day = hour.div_euclid(24);
            if weight.0 != day {
                weight = (day, DAY_FADE.powi(i32::try_from(newest.div_euclid(24) - day).unwrap_or(i32::MAX)));
            }
            let sum = &mut sums[place(calendar.kind_of_day(day), hour * HOUR_S)];
            sum.0 += weight.1 * records(f32::from(*minutes), 60.0 * worked);
            sum.1 += weight.1 * worked;
        }
        let (records, hours) = sums.iter().fold((0.0, 0.0), |(one, other), sum| (one + sum.0, other + sum.1));
        Pace { rates: drawn_together(&sums), mean: records / f32::max(hours, 0.1) }
    }

    fn expected(&self, (begin_s, end_s): (i64, i64), counts: [bool; 3], calendar: &Calendar) -> f32 {
        let (mut at_s, mut sum, mut known) = (begin_s, 0.0f32, (i64::MIN, 0));
        while at_s < end_s {
            let next_s = ((at_s.div_euclid(HOUR_S) + 1) * HOUR_S).min(end_s);
            let day = at_s.div_euclid(DAY_S);
            if known.0 != day {
                known = (day, calendar.kind_of_day(day));
            }
            if counts[known.1] {
                sum += self.rates[place(known.1, at_s)] * (next_s - at_s) as f32 / HOUR_S as f32;
            }
            at_s = next_s;
        }
        sum
    }
}

/// Rates from sums of records and hours.
fn drawn_together(sums: &[(f32, f32); 72]) -> [f32; 72] {
    let (records, hours) = sums.iter().fold((0.0, 0.0), |(one, other), sum| (one + sum.0, other + sum.1));
    let mean = records / hours.max(0.1);
    let seen = sums.iter().filter(|sum| 0.0 < sum.1).count() as f32;
    let scatter: f32 = sums.iter().filter(|sum| 0.0 < sum.1).map(|sum| sum.1 * (sum.0 / sum.1 - mean).powi(2)).sum();
    let between = (scatter - (seen - 1.0) * mean).max(0.0) / hours.max(0.1);
    // So many hours of the mean are added to each.
    let added = if between < 1e-6 * mean * mean { 1e6 } else { mean / between };
    let mut rates = [0.0f32; 72];
    for (place, rate) in rates.iter_mut().enumerate() {
        let sum = match sums[place] {
            (_, hours) if 0.0 < hours => sums[place],
            // Nothing is known of that hour of such a day: as slow as any of the same hour; silent where it never works then.
            _ => {
                let same = (0..3).map(|kind| sums[kind * 24 + place % 24]).filter(|sum| 0.0 < sum.1);
                let Some(slowest) = same.min_by(|one, other| (one.0 / one.1).total_cmp(&(other.0 / other.1))) else {
                    continue;
                };
                slowest
            }
        };
        *rate = (sum.0 + mean * added) / (sum.1 + added);
    }
    rates
}

/// How many records make it speak in so many of so many minutes, where they come at random.
fn records(minutes: f32, of_minutes: f32) -> f32 {
    let of_minutes = of_minutes.max(1.0);
    -of_minutes * (1.0 - minutes.min(of_minutes) / (of_minutes + 0.5)).ln()
}

fn place(kind: usize, at_s: i64) -> usize {
    kind * 24 + usize::try_from(at_s.rem_euclid(DAY_S) / HOUR_S).unwrap_or(0)
}

/// How far two moments are apart in the time of day, seconds.
fn apart_s(one_s: i64, other_s: i64) -> i64 {
    let apart_s = (one_s - other_s).rem_euclid(DAY_S);
    apart_s.min(DAY_S - apart_s)
}

/// Seconds of days that count.
fn counted_s((from_s, to_s): (i64, i64), counts: [bool; 3], calendar: &Calendar) -> i64 {
    if counts == [true; 3] {
        return to_s - from_s;
    }
    let part_s = |day: i64| (to_s.min((day + 1) * DAY_S) - from_s.max(day * DAY_S)).max(0);
    let days = from_s.div_euclid(DAY_S)..=to_s.div_euclid(DAY_S);
    days.filter(|day| counts[calendar.kind_of_day(*day)]).map(part_s).sum()
}

/// On how many days it spoke.
fn active_days_of(hours: &[(i64, u8)]) -> usize {
    let by_day = hours.chunk_by(|one, other| one.0.div_euclid(24) == other.0.div_euclid(24));
    by_day.filter(|hours| hours.iter().any(|(_, minutes)| 0 < *minutes)).count()
}

/// The days of which most was watched.
fn days_of(hours: &[(i64, u8)], calendar: &Calendar) -> Vec<(i64, usize)> {
    let by_day = hours.chunk_by(|one, other| one.0.div_euclid(24) == other.0.div_euclid(24));
    let days = by_day.filter(|hours| 4 <= hours.len()).filter_map(|hours| Some(hours.first()?.0.div_euclid(24)));
    days.map(|day| (day, calendar.kind_of_day(day))).collect()
}

/// Which kinds of day count: those on which it speaks in a third as many hours as on working days. Of a kind not seen yet: if it makes
/// no breaks.
fn counting(hours: &[(i64, u8)], has_breaks: bool, calendar: &Calendar) -> [bool; 3] {
    let mut sums = [(0.0f32, 0.0f32); 3];
    for (hour, minutes) in hours {
        let sum = &mut sums[calendar.kind_of_day(hour.div_euclid(24))];
        sum.0 += f32::from(u8::from(0 < *minutes));
        sum.1 += 1.0;
    }
    let share = |kind: usize| sums[kind].0 / sums[kind].1.max(1.0);
    let is_counted = |kind: usize| if sums[kind].1 < 20.0 { !has_breaks } else { 0.3 * share(0) <= share(kind) };
    [true, is_counted(1), is_counted(2)]
}

/// Those that come again at the same time of day, or lie between runs of a plan; in order.
fn recurring(candidates: &[Gap], days: &[(i64, usize)], counts: [bool; 3], calendar: &Calendar) -> Vec<Break> {
    let is_rest = |at_s: i64| calendar.kind_of_day(at_s.div_euclid(DAY_S)) != 0;
    let again = |gap: &Gap, moment: fn(&Gap) -> i64| {
        let at_s = moment(gap);
        let of = days.iter().filter(|(_, kind)| (*kind != 0) == is_rest(at_s)).count();
        // While there are few such days all count.
        let is_alike = |other_s: i64| of <= START_DAYS || is_rest(other_s) == is_rest(at_s);
        let same = |other: &&Gap| is_alike(moment(other)) && apart_s(moment(other), at_s) <= AGAIN_S;
        let mut on: Vec<i64> = candidates.iter().filter(same).map(|other| moment(other).div_euclid(DAY_S)).collect();
        on.dedup();
        let is_start = days.len() <= START_DAYS && !gap.is_outage;
        is_start || 2 <= on.len() && AGAIN_SHARE * of as f32 <= on.len() as f32
    };
    let is_by_plan = is_by_plan(candidates, days.len());
    let mut breaks = Vec::new();
    for gap in candidates {
        let (begins, ends) = (again(gap, |gap| gap.begin_s), again(gap, |gap| gap.end_s));
        // What was said to be an outage is a break after all where it ended as the next break does: somebody left early.
        let is_break = match gap.is_outage {
            true => ends && counted_s((gap.begin_s, gap.end_s), counts, calendar) <= DAY_S,
            false => begins || ends || is_by_plan && PLAN_GAP_MIN_S <= gap.long_s(),
        };
        if is_break {
            breaks.push(Break { begin_s: gap.begin_s, end_s: gap.end_s, is_odd: ends && !begins });
        }
    }
    breaks
}

/// Whether it mostly is silent for days, for about as many each time.
fn is_by_plan(candidates: &[Gap], days: usize) -> bool {
    let long: Vec<f32> = candidates
        .iter()
        .filter(|gap| PLAN_GAP_MIN_S <= gap.long_s() && !gap.is_outage)
        .map(|gap| gap.long_s() as f32)
        .collect();
    let (count, sum) = (long.len() as f32, long.iter().sum::<f32>());
    let mean = sum / count.max(1.0);
    let spread = (long.iter().map(|long| (long - mean).powi(2)).sum::<f32>() / count.max(1.0)).sqrt();
    0.4 * (days as f32) * DAY_S as f32 <= sum && spread <= PLAN_SPREAD_MAX * mean
}

/// Where it speaks on a beat, maybe among other things, seconds tell more than records missed: silences by the hour they begin in, those
/// of two hours before and after included, or all of them.
fn by_hour<'a>(
    at_work: impl Iterator<Item = &'a Gap>,
    (records, months): (f32, f32),
    days: &[(i64, usize)],
    calendar: &Calendar,
) -> Vec<Option<Limits>> {
    let (mut silences, mut all) = (vec![Vec::new(); 48], Vec::new());
    for gap in at_work {
        all.push(gap.long_s() as f32);
        let is_rest = calendar.kind_of_day(gap.begin_s.div_euclid(DAY_S)) != 0;
        for hour in -BESIDE..=BESIDE {
            silences[place(usize::from(is_rest), gap.begin_s + hour * HOUR_S)].push(gap.long_s() as f32);
        }
    }
    let is_beat = |silences: &mut Vec<f32>| {
        silences.sort_by(f32::total_cmp);
        silences.last().is_some_and(|longest| *longest <= BEAT_LONGEST * silences[silences.len() / 2])
    };
    let share = (2 * BESIDE + 1) as f32 / 24.0;
    if BEATS_MIN <= all.len() && is_beat(&mut all) {
        return vec![Some(Limits::of(all, (records, months), days.len() as f32, 1.0, f32::INFINITY)); 72];
    }
    let limits = |place: usize| {
        let is_rest = 24 <= place % 72;
        let mut silences = silences[usize::from(is_rest) * 24 + place % 24].clone();
        let days = days.iter().filter(|(_, kind)| (*kind != 0) == is_rest).count() as f32;
        let part = months * if is_rest { 2.0 / 7.0 } else { 5.0 / 7.0 };
        let is_known = SILENCES_MIN <= silences.len() && 3.0 <= days && is_beat(&mut silences);
        is_known.then(|| Limits::of(silences, (records * part / months * share, months), days, share, f32::INFINITY))
    };
    (0..72).map(limits).collect()
}

/// See [`Habit::is_office`].
fn is_office(breaks: &[Break], counts: [bool; 3], days: &[(i64, usize)], active_hours: usize) -> bool {
    let working_days = days.iter().filter(|(_, kind)| *kind == 0).count();
    let is_night = |one: &&Break| NIGHT_S <= one.end_s - one.begin_s;
    let mut mornings: Vec<i64> = breaks.iter().filter(is_night).map(|one| one.end_s.rem_euclid(DAY_S)).collect();
    mornings.sort_unstable();
    let morning_s = mornings.get(mornings.len() / 2).copied().unwrap_or(0);
    !counts[2]
        && 0.6 * working_days as f32 <= mornings.len() as f32 + 1.0
        && (5 * HOUR_S..12 * HOUR_S).contains(&morning_s)
        && 4 * working_days <= active_hours
}
