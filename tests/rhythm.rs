//! The sentinel against recorded rhythms: weeks of office PCs, servers, firewalls, recorders and jobs, with silences, drops, floods,
//! set clocks and twins planted in the last two.
//!
//! Made here by seed, minute by minute, as such machines speak: working hours with lunch, people who come late or stay away,
//! weekends, a public holiday, night jobs, weekly jobs, a backup each Monday, a ward whose line is cut. Prints what was
//! found, after how much of what is allowed, and the false alarms; asserts the promise of `docs/operate.md`.
//!
//! The usual interval of a source at an hour: what 99 of 100 intervals that begin about that hour of such a day (Monday to Thursday,
//! Friday, Saturday, Sunday) do not exceed, nor the longest of them on nine of ten such days; measured on the same rhythm without
//! anything planted.

use std::collections::BTreeMap;

use nhatle_engine::rhythm::{Beat, Calendar, Finding, Kind, Sentinel};
use nhatle_event::Timestamp;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A Monday, midnight in Viet Nam.
const BEGIN: &str = "2026-10-05T00:00:00+07:00";
/// Learned before anything is planted, and watched with plants.
const LEARN_DAYS: i64 = 14;
const PLANT_DAYS: i64 = 14;
/// Silences that begin late are followed to their limit.
const DAYS: i64 = LEARN_DAYS + PLANT_DAYS + 8;
/// A silence is to be found within 15 minutes, or two usual intervals where those are longer.
const BUSY_LIMIT: i64 = 15 * MINUTE;
/// Two working days off, one while it learns and one later.
const DAYS_OFF: &str = "2026-10-13\n2026-10-28\n";

/// Numbers by seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// In 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Mean 0, deviation 1, nearly normal.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    fn poisson(&mut self, mean: f64) -> u64 {
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
enum Trade {
    OfficePc,
    Server,
    SmallServer,
    Firewall,
    Switch,
    Recorder,
    NightJob,
    WeeklyJob,
}

/// One recorded source: for each minute that has any, how many records and the second of the last.
struct Recorded {
    name: String,
    unit: &'static str,
    trade: Trade,
    minutes: BTreeMap<i64, (u64, i64)>,
}

fn begin() -> i64 {
    Timestamp::parse(BEGIN, 0).expect("a time").0
}

/// 0 = Monday; a day off is a Sunday.
fn weekday(day: i64) -> i64 {
    match day {
        8 | 23 => 6,
        day => day % 7,
    }
}

/// The means of each minute of a day, for what does not depend on people.
fn record(name: String, unit: &'static str, trade: Trade, dice: &mut Dice) -> Recorded {
    let mut minutes = BTreeMap::new();
    let rate = match trade {
        Trade::OfficePc => dice.between(20.0, 60.0),
        Trade::Server => dice.between(40.0, 200.0),
        Trade::SmallServer => dice.between(3.0, 6.0),
        Trade::Firewall => dice.between(2_000.0, 8_000.0),
        Trade::Switch => dice.between(5.0, 10.0),
        Trade::Recorder => 6.0,
        Trade::NightJob | Trade::WeeklyJob => 0.0,
    } / 60.0;
    let (phase, has_backup) = (dice.next() % 10, dice.share() < 0.3);
    for day in 0..DAYS {
        let weekday = weekday(day);
        let is_work = weekday < 5;
        let mood = (0.35 * dice.normal()).exp();
        let (arrives, leaves) = (450.0 + 15.0 * dice.normal(), 1_020.0 + 15.0 * dice.normal());
        let is_there = is_work && 0.02 < dice.share() || weekday == 5 && dice.share() < 0.05;
        let job_at = (120.0 + 10.0 * dice.normal()).round() as i64;
        let job_count = 20 + dice.next() % 60;
        for minute in 0..1_440 {
            let at = minute as f64;
            let is_office = is_work && (450..1_050).contains(&minute);
            let count = match trade {
                Trade::OfficePc if is_there && arrives < at && at < leaves => {
                    dice.poisson(rate * mood * if (690..780).contains(&minute) { 0.5 } else { 1.0 })
                }
                Trade::OfficePc => 0,
                Trade::Server => {
                    let backup = has_backup && weekday == 0 && (1_320..1_380).contains(&minute);
                    let cron = u64::from(minute % 10 == phase as i64);
                    cron + dice
                        .poisson(rate * mood * if is_office { 2.5 } else { 1.0 } * if backup { 30.0 } else { 1.0 })
                }
                Trade::SmallServer => u64::from(minute % 60 == 17) + dice.poisson(rate),
                Trade::Firewall => {
                    let swing = (0.3 * dice.normal()).exp();
                    dice.poisson(rate * mood * swing * if is_office { 1.0 } else { 0.15 })
                }
                Trade::Switch => dice.poisson(rate),
                Trade::Recorder => {
                    u64::from(minute % 10 == phase as i64) + dice.poisson(if is_office { 0.15 } else { 0.01 })
                }
                Trade::NightJob if (job_at..job_at + 5).contains(&minute) => job_count / 5,
                Trade::WeeklyJob if weekday == 6 && day % 7 == 6 && (job_at..job_at + 5).contains(&minute) => {
                    job_count / 5
                }
                Trade::NightJob | Trade::WeeklyJob => 0,
            };
            if 0 < count {
                minutes.insert(day * 1_440 + minute, (count, (dice.next() % 60) as i64));
            }
        }
    }
    Recorded { name, unit, trade, minutes }
}

fn city(seed: u64) -> Vec<Recorded> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..20 {
        dice.next();
    }
    let mut sources = Vec::new();
    let mut add = |unit: &'static str, trade: Trade, count: usize, dice: &mut Dice| {
        for number in 0..count {
            sources.push(record(format!("{unit}-{trade:?}-{number}").to_lowercase(), unit, trade, dice));
        }
    };
    for unit in ["nam-ly", "bao-ninh", "dong-son"] {
        add(unit, Trade::OfficePc, 6, &mut dice);
        for trade in [Trade::Firewall, Trade::Switch, Trade::Recorder] {
            add(unit, trade, 1, &mut dice);
        }
    }
    add("tp", Trade::Server, 10, &mut dice);
    add("tp", Trade::SmallServer, 4, &mut dice);
    add("tp", Trade::Firewall, 2, &mut dice);
    add("tp", Trade::NightJob, 4, &mut dice);
    add("tp", Trade::WeeklyJob, 2, &mut dice);
    sources
}

/// The intervals of a source: the day and hour in which each begins, and its length.
struct Usual(Vec<(i64, i64, i64)>);

impl Usual {
    fn of(source: &Recorded) -> Usual {
        let times: Vec<i64> =
            source.minutes.iter().map(|(minute, (_, second))| minute * MINUTE + second * SECOND).collect();
        Usual(times.windows(2).map(|pair| (pair[0] / DAY, pair[0] % DAY / HOUR, pair[1] - pair[0])).collect())
    }

    /// The usual interval where the last record came at this moment.
    fn at(&self, last: i64) -> i64 {
        let kind = |day: i64| weekday(day).max(3);
        let (day, hour) = (last / DAY, last % DAY / HOUR);
        let mut about: Vec<i64> = Vec::new();
        let mut longest: BTreeMap<i64, i64> = BTreeMap::new();
        for (other, begins, length) in self.0.iter().filter(|(other, ..)| kind(*other) == kind(day)) {
            if (begins - hour).abs() <= 1 {
                about.push(*length);
            }
            if *begins == hour {
                let known = longest.entry(*other).or_default();
                *known = (*known).max(*length);
            }
        }
        let share = |mut lengths: Vec<i64>, percent: usize| {
            lengths.sort_unstable();
            lengths[(lengths.len() * percent).div_ceil(100) - 1]
        };
        share(about, 99).max(share(longest.into_values().collect(), 90))
    }
}

/// What is done to a source, from a minute to another.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plant {
    Silence,
    /// The whole unit.
    Line,
    /// Silence that is planned.
    Planned,
    Drop,
    Flood,
    /// The clock is so far off, milliseconds.
    Clock(i32),
    /// Another machine sends under its name.
    Twin,
}

struct Planted {
    source: usize,
    plant: Plant,
    from: i64,
    to: i64,
    /// Nanoseconds after the first moment: its last record, and how long it may take.
    last: i64,
    limit: i64,
    found: Option<i64>,
}

/// The plants of a city: at most one for a source and week, so that what one leaves behind does not hide the next.
fn plants(sources: &[Recorded], dice: &mut Dice) -> Vec<Planted> {
    let mut planted = Vec::new();
    for (place, source) in sources.iter().enumerate() {
        let usual = Usual::of(source);
        // A ward is cut in the second week, by day and by night.
        let weeks = if source.unit == "tp" { 2 } else { 1 };
        for week in 0..weeks {
            let first = (LEARN_DAYS + week * 7) * 1_440;
            let kinds: &[Plant] = match source.trade {
                Trade::Firewall | Trade::Server if week == 1 || place % 3 == 1 => {
                    &[Plant::Drop, Plant::Flood, Plant::Clock(-25_200_000), Plant::Clock(420_000), Plant::Twin]
                }
                Trade::SmallServer if week == 1 => &[Plant::Planned],
                Trade::WeeklyJob if week == 1 => &[],
                _ => &[Plant::Silence],
            };
            let Some(plant) = kinds.get(dice.next() as usize % kinds.len().max(1)).copied() else { continue };
            let mut from = first + (dice.next() % (6 * 1_440)) as i64;
            if matches!(plant, Plant::Drop | Plant::Flood) {
                from = from / 1_440 * 1_440 + 9 * 60;
            }
            if planted.iter().any(|one: &Planted| one.source == place && from <= one.to + 2_880) {
                continue;
            }
            // From its next record on, so that there is a last one.
            let Some((minute, (_, second))) = source.minutes.range(..from).next_back() else { continue };
            let last = minute * MINUTE + second * SECOND;
            let limit = (2 * usual.at(last)).max(BUSY_LIMIT);
            let length = match plant {
                Plant::Silence => (limit / MINUTE * 3 / 2).max(120),
                _ => 240,
            };
            planted.push(Planted {
                source: place,
                plant,
                from: minute + 1,
                to: from + length,
                last,
                limit,
                found: None,
            });
        }
    }
    for (unit, from) in [("nam-ly", 10 * 60 + 20), ("bao-ninh", 8 * 60 + 40), ("dong-son", 22 * 60)] {
        let from = (LEARN_DAYS + 8) * 1_440 + from;
        let members = sources.iter().enumerate().filter(|(_, source)| source.unit == unit);
        for (place, source) in members {
            let Some((minute, (_, second))) = source.minutes.range(..from).next_back() else { continue };
            let last = minute * MINUTE + second * SECOND;
            let limit = (2 * Usual::of(source).at(last)).max(BUSY_LIMIT);
            planted.push(Planted { source: place, plant: Plant::Line, from, to: from + 600, last, limit, found: None });
        }
    }
    planted
}

/// Runs the sentinel over the rhythm with what is planted; gives back every finding that is not one of being over.
fn watch(sources: &[Recorded], planted: &[Planted], dice: &mut Dice) -> Vec<Finding> {
    let calendar = Calendar::parse(DAYS_OFF, 7 * 3600).expect("days");
    let mut sentinel = Sentinel::new(calendar.clone());
    let mut findings = Vec::new();
    for minute in 0..DAYS * 1_440 {
        for (place, source) in sources.iter().enumerate() {
            let active = |plant: &&Planted| plant.source == place && (plant.from..plant.to).contains(&minute);
            let plant = planted.iter().find(active).map(|planted| planted.plant);
            let Some((mut count, second)) = source.minutes.get(&minute).copied() else { continue };
            let (mut offset_ms, mut addresses) = ((40.0 * dice.normal() - 300.0) as i32, vec!["192.0.2.1".to_owned()]);
            match plant {
                Some(Plant::Silence | Plant::Line | Plant::Planned) => continue,
                Some(Plant::Drop) => count = dice.poisson(count as f64 * 0.03),
                Some(Plant::Flood) => count *= 40,
                Some(Plant::Clock(off_ms)) => offset_ms += off_ms,
                Some(Plant::Twin) => addresses.push("192.0.2.2".to_owned()),
                None => {}
            }
            if count == 0 {
                continue;
            }
            let last = Timestamp(begin() + minute * MINUTE + second * SECOND);
            let (name, unit) = (source.name.as_str(), Some(source.unit));
            let offsets_ms = [offset_ms];
            sentinel.see(&Beat { source: name, unit, count, last, offsets_ms: &offsets_ms, addresses: &addresses });
        }
        let planned = |name: &str| {
            planted.iter().any(|planted| {
                planted.plant == Plant::Planned
                    && sources[planted.source].name == name
                    && (planted.from..planted.to + 15).contains(&minute)
            })
        };
        findings.extend(sentinel.tick(Timestamp(begin() + (minute + 1) * MINUTE), |name, _unit| planned(name)));
        if minute % (9 * 1_440 + 77) == 0 {
            // A restart forgets nothing.
            sentinel = Sentinel::restore(&sentinel.state(), calendar.clone()).expect("its own state");
        }
    }
    findings.retain(|finding| !finding.is_over);
    findings
}

fn kind_of(plant: Plant) -> &'static [Kind] {
    match plant {
        Plant::Silence | Plant::Line => &[Kind::Silence, Kind::Line],
        Plant::Planned => &[],
        Plant::Drop => &[Kind::Drop],
        Plant::Flood => &[Kind::Flood],
        Plant::Clock(_) => &[Kind::Clock],
        Plant::Twin => &[Kind::Identity],
    }
}

#[derive(Default)]
struct Score {
    planted: u32,
    found: u32,
    in_time: u32,
    /// Found after so much of what is allowed.
    shares: Vec<f64>,
    minutes: Vec<f64>,
}

/// Scores one city; gives back false alarms by source and in all, and how many alarms each cut of a line made.
fn score(seed: u64, scores: &mut BTreeMap<String, Score>) -> (BTreeMap<String, u32>, usize, Vec<usize>) {
    let sources = city(seed);
    let mut dice = Dice(seed + 77);
    let mut planted = plants(&sources, &mut dice);
    let findings = watch(&sources, &planted, &mut dice);
    let mut false_alarms: BTreeMap<String, u32> = BTreeMap::new();
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in &findings {
        let at = finding.at.0 - begin();
        let mut is_planted = false;
        for one in &mut planted {
            let source = &sources[one.source];
            let is_of =
                if finding.kind == Kind::Line { finding.name == source.unit } else { finding.name == source.name };
            // Until it resumes, and a little longer: an hour's count is told at its end.
            let is_then = (one.from * MINUTE..one.to * MINUTE + 2 * HOUR).contains(&at);
            if is_of && is_then && kind_of(one.plant).contains(&finding.kind) {
                is_planted = true;
                one.found = Some(one.found.unwrap_or(at).min(at));
            }
        }
        let is_line = planted.iter().any(|one| {
            one.plant == Plant::Line
                && Some(sources[one.source].unit) == finding.unit.as_deref()
                && (one.from * MINUTE..one.to * MINUTE + 2 * HOUR).contains(&at)
        });
        if is_line && is_planted && std::env::var_os("RHYTHM_LINES").is_some() {
            println!(
                "seed {seed}: line: day {} {:02}:{:02} {} {} {:.0} {:?}",
                at / DAY,
                at % DAY / HOUR,
                at % HOUR / MINUTE,
                finding.name,
                finding.kind.name(),
                finding.number,
                finding.names
            );
        }
        if is_line && is_planted {
            *lines
                .entry(
                    sources.iter().find(|source| Some(source.unit) == finding.unit.as_deref()).map_or("", |s| s.unit),
                )
                .or_default() += 1;
        }
        if !is_planted {
            *false_alarms.entry(format!("{} {}", finding.name, finding.kind.name())).or_default() += 1;
            if std::env::var_os("RHYTHM_SAID").is_some() {
                println!(
                    "seed {seed}: false: day {} {:02}:{:02} {} {} {:.0} usual {:.0}",
                    at / DAY,
                    at % DAY / HOUR,
                    at % HOUR / MINUTE,
                    finding.name,
                    finding.kind.name(),
                    finding.number,
                    finding.usual
                );
            }
        }
    }
    for one in &planted {
        let source = &sources[one.source];
        let name = match one.plant {
            Plant::Line | Plant::Planned => continue,
            Plant::Silence => format!("silence {:?}", source.trade),
            Plant::Clock(_) => "clock".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let score = scores.entry(name).or_default();
        score.planted += 1;
        let Some(found) = one.found else {
            println!(
                "seed {seed}: missed: {} {:?} from day {} minute {} limit {} min",
                source.name,
                one.plant,
                one.from / 1_440,
                one.from % 1_440,
                one.limit / MINUTE
            );
            continue;
        };
        score.found += 1;
        let delay = if one.plant == Plant::Silence { found - one.last } else { found - one.from * MINUTE };
        score.shares.push(delay as f64 / one.limit as f64);
        score.minutes.push(delay as f64 / MINUTE as f64);
        if delay <= one.limit + MINUTE {
            score.in_time += 1;
        } else if one.plant == Plant::Silence {
            println!(
                "seed {seed}: late: {} from day {} minute {}: {} of {} min",
                source.name,
                one.from / 1_440,
                one.from % 1_440,
                delay / MINUTE,
                one.limit / MINUTE
            );
        }
    }
    (false_alarms, sources.len(), lines.into_values().collect())
}

fn middle(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(0.0)
}

#[test]
fn planted_silences_are_found_in_time_and_false_alarms_are_rare() {
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let (mut alarms, mut source_count, mut worst, mut lines) = (0, 0, 0, Vec::new());
    for seed in 1..=3 {
        let (false_alarms, sources, cut) = score(seed, &mut scores);
        alarms += false_alarms.values().sum::<u32>();
        worst = worst.max(false_alarms.values().copied().max().unwrap_or(0));
        source_count += sources;
        lines.extend(cut);
    }
    println!(
        "planted                  count  found  in time  delay: share of what is allowed (median, worst), minutes (median)"
    );
    for (name, score) in &mut scores {
        let (median, most) = (middle(&mut score.shares, 0.5), middle(&mut score.shares, 1.0));
        let minutes = middle(&mut score.minutes, 0.5);
        println!(
            "{name:24} {:5}  {:5}  {:7}  {median:.2} {most:.2} {minutes:.0}",
            score.planted, score.found, score.in_time
        );
    }
    let months = source_count as f64 * DAYS as f64 / 30.0;
    println!(
        "false alarms: {alarms} in {months:.0} source-months = {:.2} a source and month; most of one source and kind: {worst}",
        f64::from(alarms) / months
    );
    println!("alarms for each line that was cut: {lines:?}");
    let silences: Vec<&Score> =
        scores.iter().filter(|(name, _)| name.starts_with("silence")).map(|(_, score)| score).collect();
    let sum = |of: fn(&Score) -> u32| silences.iter().map(|score| of(score)).sum::<u32>();
    let (planted, found, in_time) = (sum(|score| score.planted), sum(|score| score.found), sum(|score| score.in_time));
    println!("silences: {planted} planted, {found} found, {in_time} of them in time");
    for (name, score) in scores.iter().filter(|(name, _)| !name.starts_with("silence")) {
        assert_eq!(score.found, score.planted, "{name}: some were missed");
    }
    // Floors at what is reached. The goal is all, and at most one false alarm for each source; docs/operate.md says what is not.
    assert!(planted * 97 <= found * 100, "silences were missed");
    assert!(planted * 92 <= in_time * 100, "silences were found late");
    assert!(f64::from(alarms) <= months, "more than one false alarm a source and month");
    assert!(
        lines.len() == 9 && lines.iter().all(|count| *count <= 2),
        "a line that is cut is one alarm, not fifty: {lines:?}"
    );
}
