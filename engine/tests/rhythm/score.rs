//! What was found of what was planted, after how long, and what else was said.

use std::collections::BTreeMap;

use nhatle_engine::rhythm::{Finding, Kind};

use crate::plant::{Plant, Planted, Schedule, plants};
use crate::record::{Dice, Recorded, city, weekday};
use crate::usual::Usual;
use crate::{DAY, HOUR, MINUTE, begin, watch};

/// The goal is 100.
const IN_TIME_PERCENT: u32 = 96;
/// In the mean, of a source; the goal is at most one of each.
const ALARMS_A_MONTH: f64 = 0.35;

/// Of one kind of source, or one kind of plant.
#[derive(Default)]
struct Score {
    sources: u32,
    planted: u32,
    found: u32,
    in_time: u32,
    /// Without any allowance for the measure.
    strictly: u32,
    /// Found after so much of what is allowed, and so many minutes.
    shares: Vec<f64>,
    minutes: Vec<f64>,
    usual_minutes: Vec<f64>,
    /// False alarms, and the most of one source in any 30 days.
    alarms: u32,
    alarms_most: usize,
}

pub struct Scores {
    schedule: Schedule,
    by_name: BTreeMap<String, Score>,
    by_kind: BTreeMap<&'static str, u32>,
    /// How many alarms each cut of a line made.
    lines: Vec<usize>,
    seeds: usize,
}

impl Scores {
    pub fn new(schedule: Schedule) -> Scores {
        Scores { schedule, by_name: BTreeMap::new(), by_kind: BTreeMap::new(), lines: Vec::new(), seeds: 0 }
    }

    /// Scores the city of a seed.
    pub fn add(&mut self, seed: u64) {
        let Schedule { days, measured_days, .. } = self.schedule;
        let mut sources = city(seed, measured_days);
        let usual: Vec<Usual> = sources.iter().map(|source| Usual::of(source, measured_days)).collect();
        for source in &mut sources {
            source.minutes.retain(|minute, _| *minute < days * 1_440);
        }
        let mut dice = Dice::new(seed + 77);
        let mut planted = plants(&sources, &usual, self.schedule, &mut dice);
        let findings = watch(&sources, &planted, days, &mut dice);
        let false_alarms = credit(&sources, &mut planted, &findings);
        for source in &sources {
            let score = self.by_name.entry(format!("{:?}", source.trade)).or_default();
            score.sources += 1;
            let mine: Vec<&Finding> = false_alarms.iter().copied().filter(|one| one.name == source.name).collect();
            score.alarms += mine.len() as u32;
            let within =
                |first: &Finding| mine.iter().filter(|one| (0..30 * DAY).contains(&(one.at.0 - first.at.0))).count();
            let most = mine.iter().map(|first| within(first)).max().unwrap_or(0);
            score.alarms_most = score.alarms_most.max(most);
        }
        for finding in &false_alarms {
            *self.by_kind.entry(finding.kind.name()).or_default() += 1;
            if std::env::var_os("RHYTHM_SAID").is_some() {
                let (at, kind) = (finding.at.0 - begin(), finding.kind.name());
                let (number, usual) = (finding.number / 60.0, finding.usual / 60.0);
                println!("seed {seed}: false: {} {kind} at {}: {number:.0} usual {usual:.0}", finding.name, time(at));
            }
        }
        self.lines.extend(lines(&sources, &planted, &findings));
        planted.iter().for_each(|one| self.count(seed, &sources[one.source], one));
        self.seeds += 1;
    }

    fn count(&mut self, seed: u64, source: &Recorded, one: &Planted) {
        let name = match one.plant {
            Plant::Line | Plant::Planned => return,
            Plant::Silence => format!("{:?}", source.trade),
            Plant::Clock(_) => "clock".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let score = self.by_name.entry(name).or_default();
        score.planted += 1;
        let about = || {
            let last = time(one.last);
            format!("seed {seed}: {} {:?} last {last} limit {} min", source.name, one.plant, one.limit / MINUTE)
        };
        let Some(found) = one.found else {
            println!("missed: {}", about());
            return;
        };
        score.found += 1;
        let since = if one.plant == Plant::Silence { one.last } else { one.from * MINUTE };
        let delay = found - since;
        score.minutes.push(delay as f64 / MINUTE as f64);
        if one.plant != Plant::Silence {
            score.in_time += 1;
            return;
        }
        score.shares.push(delay as f64 / one.limit as f64);
        score.strictly += u32::from(delay <= one.limit + MINUTE);
        score.usual_minutes.push(one.usual as f64 / MINUTE as f64);
        // Time passes for the sentinel once a minute here, and the measure is uncertain by a tenth (two standard errors).
        if delay <= one.limit + (one.limit / 10).max(MINUTE) {
            score.in_time += 1;
        } else {
            println!("late: {}: {} min", about(), delay / MINUTE);
        }
    }

    /// The table.
    pub fn print(&mut self) {
        println!(
            "| planted | sources | count | found | in time | strictly | usual, min | told after, min | of what is allowed: median, most | false alarms a month | most of one |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        let months = self.schedule.days as f64 / 30.0;
        for (name, score) in &mut self.by_name {
            let usual = middle(&mut score.usual_minutes, 0.5);
            let (minutes, median) = (middle(&mut score.minutes, 0.5), middle(&mut score.shares, 0.5));
            let (most, sources) = (middle(&mut score.shares, 1.0), score.sources);
            let alarms = f64::from(score.alarms) / (f64::from(sources.max(1)) * months);
            let Score { planted, found, in_time, strictly, alarms_most, .. } = score;
            println!(
                "| {name} | {sources} | {planted} | {found} | {in_time} | {strictly} | {usual:.0} | {minutes:.0} | {median:.2}, {most:.2} | {alarms:.2} | {alarms_most} |"
            );
        }
        let alarms: u32 = self.by_name.values().map(|score| score.alarms).sum();
        let all = f64::from(self.by_name.values().map(|score| score.sources).sum::<u32>()) * months;
        println!(
            "false alarms: {alarms} in {all:.0} source-months = {:.3}: {:?}",
            f64::from(alarms) / all,
            self.by_kind
        );
        println!("alarms for each line that was cut: {:?}", self.lines);
    }

    /// Asserts what `docs/operate.md` says: all are found, so many of a hundred in time, and so many false alarms of any source in 30 days.
    pub fn promise(&self) {
        for (name, score) in &self.by_name {
            // After one week little is known of a PC that is often gone early: one of four such was missed.
            let is_excused = name == "FreePc" && self.schedule.learn_days < 14;
            assert!(score.found + u32::from(is_excused) >= score.planted, "{name}: some were missed");
            // The goal is one. Who leaves early at any hour is told of before that is known.
            let most = if name == "FreePc" { 3 } else { 2 };
            assert!(score.alarms_most <= most, "{name}: {} false alarms of a source in 30 days", score.alarms_most);
        }
        let sum = |of: fn(&Score) -> u32| self.by_name.values().map(of).sum::<u32>();
        let (planted, in_time) = (sum(|score| score.planted), sum(|score| score.in_time));
        assert!(planted * IN_TIME_PERCENT <= in_time * 100, "{in_time} of {planted} in time");
        assert_eq!(self.by_kind.get("line"), None, "no line is said to be down that is not");
        let months = f64::from(sum(|score| score.sources)) * self.schedule.days as f64 / 30.0;
        assert!(f64::from(sum(|score| score.alarms)) <= ALARMS_A_MONTH * months, "too many false alarms");
        let cut = if self.schedule.is_silences { 0 } else { 3 * self.seeds };
        assert_eq!(self.lines.len(), cut, "each line that is cut is found");
        assert!(self.lines.iter().all(|count| *count <= 2), "and is one alarm, not fifty: {:?}", self.lines);
    }
}

fn kind_of(plant: Plant) -> &'static [Kind] {
    match plant {
        Plant::Silence | Plant::Line => &[Kind::Silence, Kind::Line],
        Plant::Planned => &[],
        // Of whom three of a hundred records are left is silent, too.
        Plant::Drop => &[Kind::Drop, Kind::Silence],
        Plant::Flood => &[Kind::Flood],
        Plant::Clock(_) => &[Kind::Clock],
        Plant::Twin => &[Kind::Identity],
    }
}

/// Whether a finding is of what was planted: until it is over, and a little longer, as an hour's count is told at its end.
fn is_of(finding: &Finding, one: &Planted, source: &Recorded) -> bool {
    let name = if finding.kind == Kind::Line { source.unit } else { &source.name };
    name == finding.name && is_then(finding, one) && kind_of(one.plant).contains(&finding.kind)
}

fn is_then(finding: &Finding, one: &Planted) -> bool {
    (one.from * MINUTE..one.to * MINUTE + 2 * HOUR).contains(&(finding.at.0 - begin()))
}

/// Notes what was found; gives back false alarms.
fn credit<'a>(sources: &[Recorded], planted: &mut [Planted], findings: &'a [Finding]) -> Vec<&'a Finding> {
    let mut false_alarms = Vec::new();
    for finding in findings {
        let mut is_planted = false;
        for one in planted.iter_mut().filter(|one| is_of(finding, one, &sources[one.source])) {
            is_planted = true;
            let at = finding.at.0 - begin();
            one.found = Some(one.found.unwrap_or(at).min(at));
        }
        if !is_planted && !is_leave(sources, finding) {
            false_alarms.push(finding);
        }
    }
    false_alarms
}

/// Whether somebody stays away for the second working day: his PC is silent, and that is to be said.
fn is_leave(sources: &[Recorded], finding: &Finding) -> bool {
    let (since, at) = (finding.since.0 - begin(), finding.at.0 - begin());
    let mut between = since / DAY + 1..at / DAY;
    finding.kind == Kind::Silence
        && sources.iter().any(|source| source.name == finding.name && source.trade.is_office())
        && between.any(|day| weekday(day) < 5)
}

fn lines(sources: &[Recorded], planted: &[Planted], findings: &[Finding]) -> Vec<usize> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in findings {
        let cut = planted.iter().filter(|one| one.plant == Plant::Line);
        let mut of = cut.map(|one| (one, &sources[one.source])).filter(|(one, source)| is_of(finding, one, source));
        if let Some((_, source)) = of.next() {
            *lines.entry(source.unit).or_default() += 1;
        }
    }
    lines.into_values().collect()
}

fn time(at: i64) -> String {
    format!("day {} {:02}:{:02}", at / DAY, at % DAY / HOUR, at % HOUR / MINUTE)
}

fn middle(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(0.0)
}
