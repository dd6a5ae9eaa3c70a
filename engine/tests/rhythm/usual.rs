//! The usual interval of a source, measured on months of the same rhythm without anything planted, independently of the sentinel.
//!
//! It is what the longest interval of a day does not exceed on nine of ten days: of those that begin in working hours (7 to 18 on such
//! days: Monday to Thursday, Friday, Saturday, Sunday or day off), or in the others. Nights, and noons of PCs that are switched off then,
//! are not among those: they are usual only at the hour in which they begin, if they begin there on more than one of ten days. At least
//! it is what 99 of 100 intervals that begin within two hours do not exceed.

use std::collections::BTreeMap;

use crate::record::{Recorded, weekday};
use crate::{DAY, HOUR, MINUTE, SECOND};

/// Intervals: the day and hour in which each begins, and its length; and the days there are of each kind.
pub struct Usual(BTreeMap<(i64, i64), i64>);

impl Usual {
    pub fn of(source: &Recorded, days: i64) -> Usual {
        let times: Vec<i64> =
            source.minutes.iter().map(|(minute, (_, second))| minute * MINUTE + second * SECOND).collect();
        let mut by_hour: BTreeMap<(i64, i64), Vec<(i64, i64)>> = BTreeMap::new();
        for pair in times.windows(2) {
            let (day, hour) = (pair[0] / DAY, pair[0] % DAY / HOUR);
            by_hour.entry((kind(day), hour)).or_default().push((day, pair[1] - pair[0]));
        }
        let mut usual = BTreeMap::new();
        for kind in 3..7 {
            let count = (0..days).filter(|day| self::kind(*day) == kind).count();
            for hour in 0..24 {
                let of = |hours: std::ops::RangeInclusive<i64>| {
                    hours.flat_map(|hour| by_hour.get(&(kind, hour)).into_iter().flatten().copied())
                };
                let about: Vec<i64> = of(hour - 2..=hour + 2).map(|(_, length)| length).collect();
                let part = if (7..18).contains(&hour) { vec![7..=17] } else { vec![0..=6, 18..=23] };
                let break_min = if source.trade.is_office() { 90 * MINUTE } else { i64::MAX };
                let part = part.into_iter().flat_map(of).filter(|(_, length)| *length < break_min);
                let short = longest(part);
                let all = longest(of(hour..=hour));
                let most = share(about, 0, 99).max(share(short, count, 90)).max(share(all, count, 90));
                usual.insert((kind, hour), most);
            }
        }
        Usual(usual)
    }

    /// The usual interval where the last record came at this moment.
    pub fn at(&self, last: i64) -> i64 {
        self.0.get(&(kind(last / DAY), last % DAY / HOUR)).copied().unwrap_or(0)
    }
}

fn kind(day: i64) -> i64 {
    weekday(day).max(3)
}

/// The longest of each day.
fn longest(intervals: impl Iterator<Item = (i64, i64)>) -> Vec<i64> {
    let mut longest: BTreeMap<i64, i64> = BTreeMap::new();
    for (day, length) in intervals {
        let known = longest.entry(day).or_default();
        *known = (*known).max(length);
    }
    longest.into_values().collect()
}

/// What so many of a hundred do not exceed; days without any count as 0.
fn share(mut lengths: Vec<i64>, count: usize, percent: usize) -> i64 {
    lengths.resize(lengths.len().max(count), 0);
    lengths.sort_unstable();
    lengths.get(((lengths.len() * percent).div_ceil(100)).saturating_sub(1)).copied().unwrap_or(0)
}
