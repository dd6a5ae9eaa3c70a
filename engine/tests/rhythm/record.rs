//! Rhythms made by seed, minute by minute, as such machines and people speak.
//!
//! Working hours with lunch, people who come late, leave early or stay away, weekends, public holidays, night jobs, weekly jobs, a backup
//! each Monday, beats, sources that speak at random, in bursts, or more from week to week.

use std::collections::BTreeMap;

/// Numbers by seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..20 {
            dice.next();
        }
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// In 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Mean 0, deviation 1, nearly normal.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    pub fn poisson(&mut self, mean: f64) -> u64 {
        if 50.0 < mean {
            return (mean + mean.sqrt() * self.normal()).max(0.0).round() as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.share(), 0);
        while limit < product {
            product *= self.share();
            count += 1;
        }
        count
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trade {
    OfficePc,
    /// Switched off over noon, too.
    SiestaPc,
    /// On leave for a week now and then, and often gone early.
    FreePc,
    Server,
    /// Half of the sources of its kind speak one and a half times as much after three weeks, half two thirds.
    DriftingServer,
    SmallServer,
    WebSite,
    Firewall,
    Switch,
    Recorder,
    /// Each five minutes.
    Beat,
    /// Each half hour.
    SlowBeat,
    /// Four times a day.
    QuarterJob,
    /// Twice an hour at random.
    Rare,
    /// Bursts at random.
    Bursty,
    NightJob,
    /// On working days only.
    WorkdayJob,
    WeeklyJob,
}

impl Trade {
    /// Whether people switch it on and off.
    pub fn is_office(self) -> bool {
        matches!(self, Trade::OfficePc | Trade::SiestaPc | Trade::FreePc)
    }
}

/// One recorded source: for each minute that has any, how many records and the second of the last.
pub struct Recorded {
    pub name: String,
    pub unit: &'static str,
    pub trade: Trade,
    pub minutes: BTreeMap<i64, (u64, i64)>,
}

/// 0 = Monday; a day off is a Sunday.
pub fn weekday(day: i64) -> i64 {
    match day {
        8 | 23 => 6,
        day => day % 7,
    }
}

/// What is the same for a source on all days.
struct Nature {
    trade: Trade,
    /// Records a minute.
    rate: f64,
    phase: i64,
    has_backup: bool,
    drift: f64,
}

/// What is the same for all of a day.
struct Day {
    number: i64,
    mood: f64,
    arrives: f64,
    leaves: f64,
    noon: (f64, f64),
    is_there: bool,
    job_at: i64,
    job_count: u64,
}

pub fn record(name: String, unit: &'static str, trade: Trade, days: i64, dice: &mut Dice) -> Recorded {
    let an_hour = match trade {
        Trade::OfficePc | Trade::SiestaPc | Trade::FreePc => dice.between(20.0, 60.0),
        Trade::Server | Trade::DriftingServer => dice.between(40.0, 200.0),
        Trade::SmallServer => dice.between(3.0, 6.0),
        Trade::WebSite => dice.between(30.0, 120.0),
        Trade::Firewall => dice.between(2_000.0, 8_000.0),
        Trade::Switch => dice.between(5.0, 10.0),
        Trade::Recorder => 6.0,
        Trade::Rare => dice.between(1.5, 3.0),
        Trade::Bursty => dice.between(1.0, 3.0),
        _ => 0.0,
    };
    let nature = Nature {
        trade,
        rate: an_hour / 60.0,
        phase: (dice.next() % 10) as i64,
        has_backup: dice.share() < 0.3,
        drift: if dice.share() < 0.5 { 1.5 } else { 0.67 },
    };
    let mut minutes = BTreeMap::new();
    let (mut leave_until, mut burst_until) = (0, 0);
    for number in 0..days {
        let is_work = weekday(number) < 5;
        if trade == Trade::FreePc && weekday(number) == 0 && dice.share() < 0.1 {
            leave_until = number + 7;
        }
        let is_early = trade == Trade::FreePc && dice.share() < 0.05;
        let day = Day {
            number,
            mood: (0.35 * dice.normal()).exp(),
            arrives: 450.0 + 15.0 * dice.normal(),
            leaves: if is_early { dice.between(600.0, 1_000.0) } else { 1_020.0 + 15.0 * dice.normal() },
            noon: (690.0 + 8.0 * dice.normal(), 810.0 + 8.0 * dice.normal()),
            is_there: leave_until <= number && is_work && 0.02 < dice.share()
                || weekday(number) == 5 && dice.share() < 0.05,
            job_at: (120.0 + 10.0 * dice.normal()).round() as i64,
            job_count: 20 + dice.next() % 60,
        };
        for minute in 0..1_440 {
            let count = if trade == Trade::Bursty {
                if dice.share() < nature.rate {
                    burst_until = number * 1_440 + minute + 2;
                }
                if number * 1_440 + minute < burst_until { 1 + dice.poisson(8.0) } else { 0 }
            } else {
                count_at(&nature, &day, minute, dice)
            };
            if 0 < count {
                minutes.insert(number * 1_440 + minute, (count, (dice.next() % 60) as i64));
            }
        }
    }
    Recorded { name, unit, trade, minutes }
}

fn count_at(nature: &Nature, day: &Day, minute: i64, dice: &mut Dice) -> u64 {
    let (at, weekday) = (minute as f64, weekday(day.number));
    let Nature { rate, phase, .. } = *nature;
    let is_office = weekday < 5 && (450..1_050).contains(&minute);
    let is_present = day.is_there && day.arrives < at && at < day.leaves;
    let is_job = (day.job_at..day.job_at + 5).contains(&minute);
    match nature.trade {
        Trade::SiestaPc if is_present && day.noon.0 < at && at < day.noon.1 => 0,
        Trade::OfficePc | Trade::SiestaPc | Trade::FreePc if is_present => {
            dice.poisson(rate * day.mood * if (690..780).contains(&minute) { 0.5 } else { 1.0 })
        }
        Trade::Server | Trade::DriftingServer => {
            let backup = nature.has_backup && weekday == 0 && (1_320..1_380).contains(&minute);
            let drifted = nature.drift.powf(day.number as f64 / 21.0).clamp(0.67, 1.5);
            let drift = if nature.trade == Trade::DriftingServer { drifted } else { 1.0 };
            let pace = drift * day.mood * if is_office { 2.5 } else { 1.0 } * if backup { 30.0 } else { 1.0 };
            u64::from(minute % 10 == phase && nature.trade == Trade::Server) + dice.poisson(rate * pace)
        }
        Trade::SmallServer => u64::from(minute % 60 == 17) + dice.poisson(rate),
        Trade::WebSite => {
            // Busiest at three in the afternoon, a twelfth of that at three in the morning.
            let swing = (-1.25 * (1.0 - ((at - 900.0) / 1_440.0 * std::f64::consts::TAU).cos())).exp();
            dice.poisson(rate * swing * day.mood.sqrt())
        }
        Trade::Firewall => {
            let swing = (0.3 * dice.normal()).exp();
            dice.poisson(rate * day.mood * swing * if is_office { 1.0 } else { 0.15 })
        }
        Trade::Switch | Trade::Rare => dice.poisson(rate),
        Trade::Recorder => u64::from(minute % 10 == phase) + dice.poisson(if is_office { 0.15 } else { 0.01 }),
        Trade::Beat => u64::from(minute % 5 == phase % 5),
        Trade::SlowBeat => u64::from(minute % 30 == phase + (day.job_at + minute / 30 * 7) % 3),
        Trade::QuarterJob => u64::from(minute % 360 == 30 * phase / 10 + (day.job_at * 7 + minute / 360) % 8),
        Trade::NightJob if is_job => day.job_count / 5,
        Trade::WorkdayJob if weekday < 5 && is_job => day.job_count / 5,
        Trade::WeeklyJob if day.number % 7 == 6 && is_job => day.job_count / 5,
        _ => 0,
    }
}

/// The sources of a city, recorded for so many days.
pub fn city(seed: u64, days: i64) -> Vec<Recorded> {
    let mut dice = Dice::new(seed);
    let mut sources = Vec::new();
    let mut add = |unit: &'static str, trade: Trade, count: usize, dice: &mut Dice| {
        for number in 0..count {
            sources.push(record(format!("{unit}-{trade:?}-{number}").to_lowercase(), unit, trade, days, dice));
        }
    };
    for unit in ["nam-ly", "bao-ninh", "dong-son"] {
        add(unit, Trade::OfficePc, 4, &mut dice);
        for trade in [Trade::Firewall, Trade::Switch, Trade::Recorder] {
            add(unit, trade, 1, &mut dice);
        }
    }
    for (trade, count) in [
        (Trade::OfficePc, 4),
        (Trade::SiestaPc, 4),
        (Trade::FreePc, 4),
        (Trade::Server, 6),
        (Trade::DriftingServer, 2),
        (Trade::SmallServer, 4),
        (Trade::WebSite, 3),
        (Trade::Firewall, 2),
        (Trade::Switch, 3),
        (Trade::Recorder, 2),
        (Trade::Beat, 2),
        (Trade::SlowBeat, 2),
        (Trade::QuarterJob, 2),
        (Trade::Rare, 3),
        (Trade::Bursty, 3),
        (Trade::NightJob, 3),
        (Trade::WorkdayJob, 2),
        (Trade::WeeklyJob, 2),
    ] {
        add("tp", trade, count, &mut dice);
    }
    sources
}
