//! Local hours and days off: which hour of which kind of day a moment is.
//!
//! In: a zone, and days off as text: one `YYYY-MM-DD` or `YYYY-MM-DD..YYYY-MM-DD` a line, `#` begins a comment. Out: the
//! day of the week, where a day off counts as a Sunday. Failure: a line that is no day is an error with its number.

use std::collections::BTreeSet;

use nhatle_event::Timestamp;

const HOUR_NS: i64 = 3_600_000_000_000;
/// How many days off a calendar holds: ten years of them.
pub const DAYS_OFF_MAX: usize = 1_000;

/// A line of a list of days off that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct CalendarError {
    /// Which, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    zone_offset_s: i32,
    /// Days since 1970, local.
    days_off: BTreeSet<i64>,
}

/// An hour of local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalHour {
    /// Hours since 1970, local.
    pub number: i64,
    /// 0 = Monday to 6 = Sunday; a day off is a Sunday.
    pub weekday: usize,
    /// 0 to 23.
    pub hour: usize,
    /// It is a day off that is not just a Saturday or Sunday.
    pub is_day_off: bool,
}

impl LocalHour {
    /// Its place among the 168 of a week.
    pub fn place(&self) -> usize {
        self.weekday * 24 + self.hour
    }
}

impl Calendar {
    /// A calendar of a zone with these days off.
    ///
    /// # Errors
    /// A line is no day and no span of days.
    pub fn parse(text: &str, zone_offset_s: i32) -> Result<Calendar, CalendarError> {
        let mut days_off = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let error = |what: &str| CalendarError { line: number + 1, what: format!("{what}: {line}") };
            let (first, last) = line.split_once("..").unwrap_or((line, line));
            let day =
                |text: &str| Timestamp::parse(&format!("{}T00:00:00Z", text.trim()), 0).map(|at| at.0 / (24 * HOUR_NS));
            let (Some(first), Some(last)) = (day(first), day(last)) else { return Err(error("no day")) };
            if last < first || DAYS_OFF_MAX < days_off.len() + usize::try_from(last - first).unwrap_or(usize::MAX) {
                return Err(error("no span of days, or too many"));
            }
            days_off.extend(first..=last);
        }
        Ok(Calendar { zone_offset_s, days_off })
    }

    /// The local hour a moment is in.
    pub fn hour_of(&self, at: Timestamp) -> LocalHour {
        let local = at.plus_nanos(self.zone_ns());
        let number = local.0.div_euclid(HOUR_NS);
        let day = number.div_euclid(24);
        let is_day_off = self.days_off.contains(&day);
        // 1 January 1970 was a Thursday.
        let weekday = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        let hour = usize::try_from(number.rem_euclid(24)).unwrap_or(0);
        LocalHour { number, weekday: if is_day_off { 6 } else { weekday }, hour, is_day_off }
    }

    /// The kind of a local day since 1970: 0 = working day, 1 = Saturday, 2 = Sunday or day off.
    pub fn kind_of_day(&self, day: i64) -> usize {
        if self.days_off.contains(&day) {
            return 2;
        }
        // 1 January 1970 was a Thursday.
        usize::try_from((day + 3).rem_euclid(7) - 4).unwrap_or(0)
    }

    /// A moment as local seconds since 1970.
    pub fn local_s(&self, at_ns: i64) -> i64 {
        (at_ns + self.zone_ns()).div_euclid(1_000_000_000)
    }

    /// How far local time is ahead of UTC, nanoseconds.
    pub fn zone_ns(&self) -> i64 {
        i64::from(self.zone_offset_s) * 1_000_000_000
    }

    /// The last day the calendar knows anything of, days since 1970; `None` without days off.
    pub fn last_day(&self) -> Option<i64> {
        self.days_off.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_off_is_a_sunday_in_the_zone() {
        let calendar =
            Calendar::parse("# Tết\n2027-02-04..2027-02-10 # seven days\n2027-01-01\n\n", 7 * 3600).expect("is a list");
        let hour = |text: &str| calendar.hour_of(Timestamp::parse(text, 0).expect("a time"));
        for (text, weekday, of_day, is_day_off) in [
            ("2026-11-26T10:00:00Z", 3, 17, false),
            ("2026-11-26T17:00:00Z", 4, 0, false),
            ("2026-12-31T17:00:00Z", 6, 0, true),
            ("2027-02-03T16:59:59Z", 2, 23, false),
            ("2027-02-03T17:00:00Z", 6, 0, true),
            ("2027-02-10T16:00:00Z", 6, 23, true),
            ("2027-02-10T17:00:00Z", 3, 0, false),
        ] {
            let found = hour(text);
            assert_eq!((found.weekday, found.hour, found.is_day_off), (weekday, of_day, is_day_off), "{text}");
        }
        for (text, line) in
            [("2027-02-30", 1), ("2027-01-01\nsoon", 2), ("2027-02-03..2027-02-01", 1), ("2027-01-01..9999-01-01", 1)]
        {
            assert_eq!(Calendar::parse(text, 0).expect_err("is none").line, line, "{text}");
        }
    }
}
