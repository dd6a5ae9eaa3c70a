//! What is planted into a city: silences, cut lines, planned outages, drops, floods, set clocks and twins; and what is allowed.

use crate::record::{Dice, Recorded, Trade, weekday};
use crate::usual::Usual;
use crate::{DAY, HOUR, MINUTE, SECOND};

/// A silence is to be found within 15 minutes, or two usual intervals where those are longer.
const BUSY_LIMIT: i64 = 15 * MINUTE;
/// A usual interval so long is a night.
const NIGHT: i64 = 8 * HOUR;
/// Two hours after work begins.
const MORNING: i64 = 9 * HOUR + 30 * MINUTE;

/// What is done to a source, from a minute to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plant {
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

pub struct Planted {
    pub source: usize,
    pub plant: Plant,
    pub from: i64,
    pub to: i64,
    /// Nanoseconds after the first moment: its last record, and how long it may take.
    pub last: i64,
    pub usual: i64,
    pub limit: i64,
    pub found: Option<i64>,
}

/// When what is learned, planted and followed.
#[derive(Clone, Copy)]
pub struct Schedule {
    pub learn_days: i64,
    pub plant_days: i64,
    /// So that silences that begin late are followed to their limit.
    pub days: i64,
    /// Plants for each source.
    pub each: i64,
    /// The usual interval is measured on so many days.
    pub measured_days: i64,
    /// Only silences.
    pub is_silences: bool,
}

/// How long a silence may take to be found: two usual intervals, 15 minutes for busy sources. An office PC that was switched off for the
/// night, or for the weekend, may stay off for a day: two hours after work begins on the second working day. So may one that is switched off early at times,
/// at all hours: what is planted there is the same as what people do.
fn limit_of(source: &Recorded, usual: i64, last: i64) -> i64 {
    if source.trade == Trade::FreePc || source.trade.is_office() && (NIGHT <= usual || 5 <= weekday(last / DAY)) {
        let mut working_days = (last / DAY + 1..).filter(|day| weekday(*day) < 5);
        let second = working_days.nth(1).unwrap_or(0);
        return second * DAY + MORNING - last;
    }
    (2 * usual).max(BUSY_LIMIT)
}

/// The plants of a city: far enough from each other that what one leaves behind does not hide the next.
pub fn plants(sources: &[Recorded], usual: &[Usual], schedule: Schedule, dice: &mut Dice) -> Vec<Planted> {
    let mut planted: Vec<Planted> = Vec::new();
    let span = schedule.plant_days / schedule.each;
    for (place, source) in sources.iter().enumerate() {
        // A ward is cut in the second part, by day and by night.
        let is_cut = source.unit != "tp" && !schedule.is_silences;
        for part in 0..if is_cut { 1 } else { schedule.each } {
            let first = (schedule.learn_days + part * span) * 1_440;
            let kinds: &[Plant] = match source.trade {
                Trade::WeeklyJob if part == 1 || schedule.learn_days < 14 => &[],
                _ if schedule.is_silences => &[Plant::Silence],
                Trade::Firewall | Trade::Server if part == 1 || place % 3 == 1 => {
                    &[Plant::Drop, Plant::Flood, Plant::Clock(-25_200_000), Plant::Clock(420_000), Plant::Twin]
                }
                Trade::SmallServer if part == 1 => &[Plant::Planned],
                _ => &[Plant::Silence],
            };
            let Some(mut plant) = kinds.get(dice.next() as usize % kinds.len().max(1)).copied() else { continue };
            if planted.iter().any(|one| one.source == place && (one.plant, plant) == (Plant::Twin, Plant::Twin)) {
                // A name at two addresses is said once.
                plant = Plant::Clock(420_000);
            }
            let mut from = first + (dice.next() % ((span as u64 - 1) * 1_440)) as i64;
            if matches!(plant, Plant::Drop | Plant::Flood) {
                from = from / 1_440 * 1_440 + 9 * 60;
            }
            if planted.iter().any(|one: &Planted| one.source == place && from <= one.to + 2_880) {
                continue;
            }
            planted.extend(plant_at(plant, (place, source), &usual[place], from));
        }
    }
    if schedule.is_silences {
        return planted;
    }
    for (unit, from) in [("nam-ly", 10 * 60 + 20), ("bao-ninh", 8 * 60 + 40), ("dong-son", 22 * 60)] {
        let from = (schedule.learn_days + 8) * 1_440 + from;
        let members = sources.iter().enumerate().filter(|(_, source)| source.unit == unit);
        for (place, source) in members {
            let cut = plant_at(Plant::Line, (place, source), &usual[place], from);
            planted.extend(cut.map(|cut| Planted { from, to: from + 600, ..cut }));
        }
    }
    planted
}

/// From its next record on, so that there is a last one.
fn plant_at(plant: Plant, (place, source): (usize, &Recorded), usual: &Usual, from: i64) -> Option<Planted> {
    let (minute, (_, second)) = source.minutes.range(..from).next_back()?;
    let last = minute * MINUTE + second * SECOND;
    let usual = usual.at(last);
    let limit = limit_of(source, usual, last);
    let length = if plant == Plant::Silence { (limit / MINUTE * 3 / 2).max(120) } else { 240 };
    Some(Planted { source: place, plant, from: minute + 1, to: from + length, last, usual, limit, found: None })
}
