//! The sentinel against recorded rhythms with silences, drops, floods, set clocks and twins planted in them.
//!
//! The goal: every planted silence is found within two of the source's usual intervals, 15 minutes for busy sources, and no source has
//! more than one false alarm in any 30 days. What of it is reached stands in `docs/operate.md` and is asserted ([`score`]). Cities are made by seed ([`record`]); the usual interval
//! is measured apart from the sentinel ([`usual`]). `RHYTHM_SEEDS=201..221 cargo test -p nhatle-engine --test rhythm -- --ignored
//! --no-capture` runs others and prints the table of ADR 26; `RHYTHM_SAID=1` prints false alarms.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests stop at the first surprise and say what they saw"
)]

mod plant;
mod record;
mod score;
mod usual;

use nhatle_engine::rhythm::{Beat, Calendar, Finding, Sentinel};
use nhatle_event::Timestamp;

use plant::{Plant, Planted, Schedule};
use record::{Dice, Recorded};
use score::Scores;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A Monday, midnight in Viet Nam.
const BEGIN: &str = "2026-10-05T00:00:00+07:00";
/// Two working days off.
const DAYS_OFF: &str = "2026-10-13\n2026-10-28\n";

/// Two weeks to learn, two with plants of all kinds.
const FOUR_WEEKS: Schedule =
    Schedule { learn_days: 14, plant_days: 14, days: 36, each: 2, measured_days: 60, is_silences: false };
/// Fourteen days: one week to learn, silences in the second.
const TWO_WEEKS: Schedule =
    Schedule { learn_days: 7, plant_days: 7, days: 19, each: 1, measured_days: 60, is_silences: true };

fn begin() -> i64 {
    Timestamp::parse(BEGIN, 0).expect("a time").0
}

/// Runs the sentinel over the rhythm with what is planted; gives back every finding that is not one of being over.
fn watch(sources: &[Recorded], planted: &[Planted], days: i64, dice: &mut Dice) -> Vec<Finding> {
    let calendar = Calendar::parse(DAYS_OFF, 7 * 3600).expect("days");
    let mut sentinel = Sentinel::new(calendar.clone());
    let mut findings = Vec::new();
    for minute in 0..days * 1_440 {
        for (place, source) in sources.iter().enumerate() {
            let Some((mut count, second)) = source.minutes.get(&minute).copied() else { continue };
            let active = |plant: &&Planted| plant.source == place && (plant.from..plant.to).contains(&minute);
            let plant = planted.iter().find(active).map(|planted| planted.plant);
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

/// Cities of these seeds; prints the table.
fn run(seeds: std::ops::Range<u64>, schedule: Schedule) -> Scores {
    let mut scores = Scores::new(schedule);
    for seed in seeds {
        scores.add(seed);
    }
    scores.print();
    scores
}

#[test]
fn four_weeks_of_a_city() {
    run(101..102, FOUR_WEEKS).promise();
}

#[test]
fn silences_in_fourteen_days() {
    run(1..2, TWO_WEEKS).promise();
}

#[test]
fn silences_in_fourteen_days_of_another_city() {
    run(101..102, TWO_WEEKS).promise();
}

#[test]
#[ignore = "minutes; prints the table of ADR 26 for seeds of RHYTHM_SEEDS"]
fn many_cities() {
    let text = std::env::var("RHYTHM_SEEDS").unwrap_or("201..206".to_owned());
    let (first, end) = text.split_once("..").unwrap();
    let seeds = first.parse().unwrap()..end.parse().unwrap();
    run(seeds.clone(), Schedule { measured_days: 120, ..FOUR_WEEKS });
    run(seeds, Schedule { measured_days: 120, ..TWO_WEEKS });
}
