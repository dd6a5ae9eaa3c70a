//! What is usual for a source at each hour of the week.
//!
//! In: for each hour that is over, how many records came and what the longest silence in it was. Out: for an hour
//! of the week how long a silence is usual, and how many records are. An hour of the week is seen once a week, so its own few
//! visits are pooled with those of the same hour on other days of its kind (working day or not), which weigh less.
//! Old weeks fade. Bounded: 168 slots of some bytes.

use serde::{Deserialize, Serialize};

use super::calendar::LocalHour;

/// Older visits fade once there are so many.
const VISITS_MAX: f32 = 8.0;
/// What a visit on another day of the same kind weighs.
const SIBLING_WEIGHT: f32 = 0.35;
/// So much must be known of an hour before anything is called unusual.
const WEIGHT_MIN: f32 = 2.0;
/// Where more of the visits than this were silent from end to end, silence says nothing.
const SILENT_SHARE_MAX: f32 = 0.4;
/// A silence shorter than this alarms nobody: machines restart.
const QUIET_MIN_S: f32 = 780.0;
/// One silence in some thousands is longer than so many mean intervals where records come at random: e to the minus that.
const RANDOM_INTERVALS: f32 = 8.0;
/// Silences so many times longer than chance makes them are those of an hour in which work begins or ends.
const BORDER: f32 = 1.7;
/// How an old extreme fades with each visit.
const FADE: f32 = 0.96;

/// One hour of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    visits: f32,
    /// Of the longest silences in seconds: mean, mean square, longest.
    quiet: f32,
    quiet_square: f32,
    quiet_longest: f32,
    /// Of the silences from the hour's begin to its first record, seconds: mean, mean square, longest.
    head: f32,
    head_square: f32,
    head_longest: f32,
    /// Share of visits without a record.
    silent: f32,
    /// Mean of records.
    count: f32,
    /// Of ln(1 + records): mean and mean square.
    log_count: f32,
    log_count_square: f32,
    count_most: f32,
    count_least: f32,
    /// The highest pressure that passed by itself.
    pressure: f32,
}

/// How records come in an hour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// On a beat.
    Beat,
    /// At random.
    Random,
    /// In a part of the hour only.
    Border,
}

/// What is usual at an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// How much is known.
    pub weight: f32,
    /// A silence longer than this is unusual, seconds; `None` where silence says nothing.
    pub quiet_limit_s: Option<f32>,
    /// The same for a silence that began before the hour did.
    pub head_limit_s: Option<f32>,
    /// Work begins or ends in this hour: what it says of silence is worth nothing in the next.
    pub is_border: bool,
    /// Records come at random.
    pub is_random: bool,
    /// How many records there are, in the mean.
    pub count_mean: f32,
    /// The pressure that alarms; at least 1.
    pub pressure_limit: f32,
    /// Mean and standard deviation of ln(1 + records).
    pub log_count: (f32, f32),
    /// The fewest and the most records there were.
    pub count: (f32, f32),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    slots: Vec<Slot>,
    /// The most records in any hour.
    count_most: f32,
}

/// An hour that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// Records.
    pub count: u64,
    /// The longest silence inside the hour, seconds.
    pub quiet_longest_s: f32,
    /// The silence before the first record of the hour, seconds; all of the hour where there was none.
    pub head_s: f32,
    /// The highest pressure.
    pub pressure: f32,
}

impl Profile {
    /// Learns an hour.
    pub fn learn(&mut self, hour: LocalHour, visit: &Visit) {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); 7 * 24];
        }
        let count = visit.count as f32;
        self.count_most = count.max(self.count_most * 0.9995);
        let slot = &mut self.slots[hour.place()];
        let is_first = slot.visits == 0.0;
        slot.visits = (slot.visits + 1.0).min(VISITS_MAX);
        let share = 1.0 / slot.visits;
        let blend = |held: &mut f32, value: f32| *held += (value - *held) * share;
        blend(&mut slot.silent, f32::from(u8::from(visit.count == 0)));
        blend(&mut slot.quiet, visit.quiet_longest_s);
        blend(&mut slot.quiet_square, visit.quiet_longest_s.powi(2));
        slot.quiet_longest = visit.quiet_longest_s.max(slot.quiet_longest * FADE);
        blend(&mut slot.head, visit.head_s);
        blend(&mut slot.head_square, visit.head_s.powi(2));
        slot.head_longest = visit.head_s.max(slot.head_longest * FADE);
        blend(&mut slot.count, count);
        let log_count = count.ln_1p();
        blend(&mut slot.log_count, log_count);
        blend(&mut slot.log_count_square, log_count.powi(2));
        slot.count_most = count.max(slot.count_most * FADE);
        slot.count_least = if is_first { count } else { count.min(slot.count_least / FADE) };
        slot.pressure = visit.pressure.max(slot.pressure * FADE);
    }

    /// The most records there were in any hour.
    pub fn count_most(&self) -> f32 {
        self.count_most
    }

    /// What is usual at an hour; `None` where too little is known.
    pub fn usual(&self, hour: LocalHour) -> Option<Usual> {
        let pool = self.pool(hour.weekday, hour.hour)?;
        let opens_or_closes = [(hour.hour + 23) % 24, (hour.hour + 1) % 24].into_iter().any(|beside| {
            let pool = self.pool(hour.weekday, beside);
            pool.is_none_or(|pool| pool.pace() == Pace::Border || SILENT_SHARE_MAX < pool.silent)
        });
        let by_spread_s =
            (1.6 * pool.quiet).max(pool.quiet + 4.4 * pool.quiet_deviation).max(1.15 * pool.quiet_longest);
        let (pace, random_s) = (pool.pace(), RANDOM_INTERVALS * pool.interval_s());
        let limit_s = match pace {
            Pace::Random if opens_or_closes => random_s.max(by_spread_s),
            Pace::Random => random_s,
            Pace::Border | Pace::Beat => by_spread_s,
        };
        // The first record comes as soon as any, unless work only begins in this hour or has ended before.
        let head_s = (1.6 * pool.head).max(pool.head + 4.4 * pool.head_deviation).max(1.15 * pool.head_longest);
        let head_limit_s = if pace == Pace::Beat { head_s.max(limit_s) } else { head_s.max(random_s) };
        let is_chance = pace == Pace::Random && !opens_or_closes;
        Some(Usual {
            weight: pool.weight,
            quiet_limit_s: (pool.silent <= SILENT_SHARE_MAX).then_some(limit_s.max(QUIET_MIN_S)),
            head_limit_s: (pool.silent <= SILENT_SHARE_MAX).then_some(head_limit_s.max(QUIET_MIN_S)),
            is_border: pace == Pace::Border,
            is_random: pace == Pace::Random,
            pressure_limit: (1.2 * pool.pressure).clamp(1.0, if is_chance { 1.0 } else { 1.4 }),
            count_mean: pool.count,
            log_count: (pool.log_count, pool.log_count_deviation),
            count: (pool.count_least, pool.count_most),
        })
    }

    /// An hour of the week with its siblings; `None` where too little is known.
    fn pool(&self, weekday: usize, hour: usize) -> Option<Pool> {
        let is_rest = |weekday: usize| 5 <= weekday;
        let mut pool = Pool { count_least: f32::MAX, ..Pool::default() };
        let (mut quiet_square, mut head_square, mut log_count_square) = (0.0, 0.0, 0.0);
        for sibling in (0..7).filter(|sibling| is_rest(*sibling) == is_rest(weekday)) {
            let Some(slot) = self.slots.get(sibling * 24 + hour).filter(|slot| 0.0 < slot.visits) else { continue };
            let weight = slot.visits * if sibling == weekday { 1.0 } else { SIBLING_WEIGHT };
            pool.weight += weight;
            pool.quiet += weight * slot.quiet;
            quiet_square += weight * slot.quiet_square;
            pool.head += weight * slot.head;
            head_square += weight * slot.head_square;
            pool.head_longest = pool.head_longest.max(slot.head_longest);
            pool.silent += weight * slot.silent;
            pool.count += weight * slot.count;
            pool.log_count += weight * slot.log_count;
            log_count_square += weight * slot.log_count_square;
            pool.quiet_longest = pool.quiet_longest.max(slot.quiet_longest);
            pool.count_most = pool.count_most.max(slot.count_most);
            pool.count_least = pool.count_least.min(slot.count_least);
            pool.pressure = pool.pressure.max(slot.pressure);
        }
        if pool.weight < WEIGHT_MIN {
            return None;
        }
        for sum in [&mut pool.quiet, &mut pool.head, &mut pool.silent, &mut pool.count, &mut pool.log_count] {
            *sum /= pool.weight;
        }
        // A few visits say little of how they spread.
        let unsure = 1.0 + 1.5 / pool.weight;
        let deviation = |mean: f32, square: f32| (square / pool.weight - mean.powi(2)).max(0.0).sqrt() * unsure;
        pool.quiet_deviation = deviation(pool.quiet, quiet_square);
        pool.head_deviation = deviation(pool.head, head_square);
        pool.log_count_deviation = deviation(pool.log_count, log_count_square);
        Some(pool)
    }
}

/// Slots together.
#[derive(Clone, Copy, Default)]
struct Pool {
    weight: f32,
    quiet: f32,
    quiet_deviation: f32,
    quiet_longest: f32,
    head: f32,
    head_deviation: f32,
    head_longest: f32,
    silent: f32,
    count: f32,
    log_count: f32,
    log_count_deviation: f32,
    count_most: f32,
    count_least: f32,
    pressure: f32,
}

impl Pool {
    fn interval_s(&self) -> f32 {
        3_600.0 / self.count.max(0.5)
    }

    fn pace(&self) -> Pace {
        let interval_s = self.interval_s();
        // What the longest silence of an hour is on average where records come at random (Gumbel).
        let random_s = interval_s * ((3_600.0 / interval_s).max(1.0).ln() + 0.577);
        match self.quiet {
            // Hours in which work begins or ends have long silences at one end.
            quiet if BORDER * random_s.max(QUIET_MIN_S / 2.0) < quiet => Pace::Border,
            quiet if 1.5 * interval_s < quiet || 0.03 < self.silent && 0.5 * interval_s < quiet => Pace::Random,
            _ => Pace::Beat,
        }
    }
}
