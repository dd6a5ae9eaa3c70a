//! `Timestamp` (nanoseconds since 1970, UTC) and `Clock`, the one door to the wall clock.
//!
//! Text form: RFC 3339 (`2026-02-03T04:05:06.123456Z`); parsing takes any offset, a space instead of
//! `T`, one to nine digits of fraction, and refuses dates that do not exist (30 February). Calendar
//! arithmetic is the proleptic Gregorian one; a leap second (`:60`) is read as the second after `:59`.
//!
//! An offset (`offset_s`, seconds east of UTC) is the zone of a time that names none. One from [`fixed_offset`] is
//! the zone of every time, whatever zone it names: for senders that write `Z` and mean their wall clock.

use std::fmt;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Added to an offset that counts whatever zone a text names; far past any real offset.
const FIXED: i32 = 1 << 20;

/// An offset that counts whatever zone a text names.
pub fn fixed_offset(offset_s: i32) -> i32 {
    plain_offset(offset_s) + FIXED
}

/// The offset itself, seconds east of UTC.
pub fn plain_offset(offset_s: i32) -> i32 {
    if is_fixed(offset_s) { offset_s - FIXED } else { offset_s }
}

/// The offset of a text that names the zone `written`, read where times without a zone are at `offset_s`.
pub fn offset_of(written: i32, offset_s: i32) -> i32 {
    if is_fixed(offset_s) { offset_s } else { written }
}

fn is_fixed(offset_s: i32) -> bool {
    FIXED / 2 < offset_s
}

/// A moment: nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1678 to 2261.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A calendar date and time of day without a zone, as written in a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Gregorian year, 1 to 9999.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
    /// 0 to 999,999,999.
    pub nanosecond: u32,
}

impl Civil {
    /// Returns the moment this is at `offset_s` seconds east of UTC, or `None` for a date that does
    /// not exist or that nanoseconds in an `i64` cannot hold.
    pub fn at_offset(&self, offset_s: i32) -> Option<Timestamp> {
        let valid = (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
            && i64::from(self.nanosecond) < NANOS_PER_SECOND;
        if !valid {
            return None;
        }
        let seconds = days_from_civil(self.year, self.month, self.day) * SECONDS_PER_DAY
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
            - i64::from(plain_offset(offset_s));
        seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(self.nanosecond)).map(Timestamp)
    }
}

impl Timestamp {
    /// The earliest moment that can be held.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest moment that can be held.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From whole seconds since 1970; saturates at the ends of the range.
    pub fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// From milliseconds since 1970; saturates at the ends of the range.
    pub fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.saturating_mul(1_000_000))
    }

    /// From a Windows FILETIME (100 ns units since 1601-01-01); saturates at the ends of the range.
    pub fn from_filetime(filetime: u64) -> Timestamp {
        const EPOCH_GAP: i64 = 116_444_736_000_000_000;
        let units = i64::try_from(filetime).unwrap_or(i64::MAX).saturating_sub(EPOCH_GAP);
        Timestamp(units.saturating_mul(100))
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// Whole milliseconds since 1970, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Nanoseconds from `earlier` to this; negative when `earlier` is later. Saturates.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved by `nanos`; saturates at the ends of the range.
    #[must_use]
    pub fn plus_nanos(self, nanos: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos))
    }

    /// Calendar date and time of day in UTC.
    pub fn civil(self) -> Civil {
        self.civil_at(0)
    }

    /// Calendar date and time of day at `offset_s` seconds east of UTC.
    pub fn civil_at(self, offset_s: i32) -> Civil {
        let seconds = self.seconds() + i64::from(plain_offset(offset_s));
        let (days, of_day) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        let part = |value: i64| u32::try_from(value).unwrap_or(0);
        Civil {
            year,
            month,
            day,
            hour: part(of_day / 3600),
            minute: part(of_day / 60 % 60),
            second: part(of_day % 60),
            nanosecond: part(self.0.rem_euclid(NANOS_PER_SECOND)),
        }
    }

    /// Reads RFC 3339 (section 5.6) with the tolerance named in the module header. Text without a
    /// zone is taken at `default_offset_s` seconds east of UTC. `None` when it is no such date.
    pub fn parse(text: &str, default_offset_s: i32) -> Option<Timestamp> {
        let (stamp, rest) = parse_prefix(text.as_bytes(), default_offset_s)?;
        rest.is_empty().then_some(stamp)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with 3, 6 or 9 digits of fraction, or none where there is none to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        write!(f, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second)?;
        match c.nanosecond {
            0 => {}
            n if n % 1_000_000 == 0 => write!(f, ".{:03}", n / 1_000_000)?,
            n if n % 1_000 == 0 => write!(f, ".{:06}", n / 1_000)?,
            n => write!(f, ".{n:09}")?,
        }
        f.write_str("Z")
    }
}

/// Reads an RFC 3339 date and time from the front of `bytes`; also returns what follows it.
pub fn parse_prefix(bytes: &[u8], default_offset_s: i32) -> Option<(Timestamp, &[u8])> {
    let front = bytes.first_chunk::<19>()?;
    if [front[4], front[7], front[13], front[16]] != *b"--::" || !matches!(front[10], b'T' | b't' | b' ') {
        return None;
    }
    let number = |at: usize| -> Option<u32> {
        let (tens, ones) = (front[at].wrapping_sub(b'0'), front[at + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
    };
    let mut civil = Civil {
        year: i32::try_from(number(0)? * 100 + number(2)?).ok()?,
        month: number(5)?,
        day: number(8)?,
        hour: number(11)?,
        minute: number(14)?,
        second: number(17)?,
        nanosecond: 0,
    };
    let mut rest = bytes.get(19..)?;
    if let [b'.' | b',', after @ ..] = rest {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let mut scale = 100_000_000;
        for digit in after.iter().take(digits.min(9)) {
            civil.nanosecond += u32::from(digit - b'0') * scale;
            scale /= 10;
        }
        rest = after.get(digits..)?;
    }
    let (offset_s, rest) = match parse_offset(rest).or_else(|| spaced_offset(rest)) {
        Some((written, rest)) => (offset_of(written, default_offset_s), rest),
        None => (default_offset_s, rest),
    };
    Some((civil.at_offset(offset_s)?, rest))
}

/// Reads ` +hh:mm` or ` +hhmm` behind a space, and ` +hh` where nothing follows: `2026-11-23 09:10:00 +0700`. Two digits in
/// front of other text may be anything.
fn spaced_offset(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let [b' ', rest @ ..] = bytes else { return None };
    matches!(rest.first(), Some(b'+' | b'-')).then_some(())?;
    let (offset_s, after) = parse_offset(rest)?;
    let is_whole = rest.len() - after.len() > 3 || after.is_empty();
    (is_whole && !after.first().is_some_and(u8::is_ascii_digit)).then_some((offset_s, after))
}

/// Reads `Z`, `+hh:mm`, `+hhmm` or `+hh` from the front of `bytes`.
fn parse_offset(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let digit = |at: usize| bytes.get(at).filter(|b| b.is_ascii_digit()).map(|b| i32::from(b - b'0'));
    let sign = match bytes.first()? {
        b'Z' | b'z' => return Some((0, bytes.get(1..)?)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = digit(1)? * 10 + digit(2)?;
    let colon = usize::from(bytes.get(3) == Some(&b':'));
    let (minutes, used) = match (digit(3 + colon), digit(4 + colon)) {
        (Some(tens), Some(ones)) => (tens * 10 + ones, 5 + colon),
        _ => (0, 3),
    };
    (hours < 24 && minutes < 60).then_some(())?;
    Some((sign * (hours * 3600 + minutes * 60), bytes.get(used..)?))
}

/// Days in a month of the proleptic Gregorian calendar; 0 for a month that is none.
pub fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days since 1970-01-01 of a Gregorian date (era arithmetic over 400 years of 146,097 days, with the
/// year beginning in March so that the leap day is the last of it).
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u32::try_from(value).unwrap_or(0);
    (i32::try_from(year).unwrap_or(0), small(month), small(day))
}

/// Where the present moment comes from; a simulated clock can stand in for the real one.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door that everything else goes through")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let parsed = Timestamp::parse(text, 7 * 3600).map(|stamp| stamp.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    #[test]
    fn rfc3339_as_really_written() {
        check("2026-02-03T04:05:06Z", Some("2026-02-03T04:05:06Z"));
        check("2026-02-03T04:05:06.123456Z", Some("2026-02-03T04:05:06.123456Z"));
        check("2026-02-03T04:05:06.1234567891Z", Some("2026-02-03T04:05:06.123456789Z"));
        check("2026-02-03T04:05:06+07:00", Some("2026-02-02T21:05:06Z"));
        check("2026-02-03 04:05:06,5-0530", Some("2026-02-03T09:35:06.500Z"));
        check("2026-02-03T04:05:06", Some("2026-02-02T21:05:06Z"));
        check("2026-02-03 04:05:06.5 +0900", Some("2026-02-02T19:05:06.500Z"));
        check("2026-02-03 04:05:06 +09:00", Some("2026-02-02T19:05:06Z"));
        check("2026-02-03 04:05:06 +09", Some("2026-02-02T19:05:06Z"));
        check("2026-12-31T23:59:60Z", Some("2027-01-01T00:00:00Z"));
        check("2024-02-29T00:00:00Z", Some("2024-02-29T00:00:00Z"));
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in ["2026-02-30T00:00:00Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", ""]
        {
            check(text, None);
        }
        check("2026-02-03T04:05:06.Z", None);
        check("2026-02-03T04:05:06Zx", None);
        check("2026-02-03T04:05:06 -10 x", None);
        check("2026-02-03T04:05:06 +07000", None);
        for at in 0..19 {
            // Each of the first bytes counts.
            let mut text = *b"2026-02-03T04:05:06Z";
            text[at] = b'/';
            check(std::str::from_utf8(&text).expect("is ASCII"), None);
            check(std::str::from_utf8(&b"2026-02-03T04:05:06"[..at]).expect("is ASCII"), None);
        }
    }

    #[test]
    fn a_fixed_offset_counts_whatever_zone_is_named() {
        let fixed = fixed_offset(7 * 3600);
        for zone in ["", "Z", "+00:00", "+08:00", "-0530"] {
            let stamp = Timestamp::parse(&format!("2026-02-03T04:05:06{zone}"), fixed).expect("is a date");
            assert_eq!(stamp.to_string(), "2026-02-02T21:05:06Z", "{zone}");
            assert_eq!((stamp.civil_at(fixed).day, stamp.civil_at(fixed).hour), (3, 4));
        }
        assert_eq!(plain_offset(fixed_offset(-14 * 3600)), -14 * 3600);
        assert_eq!(fixed_offset(fixed), fixed);
    }

    proptest! {
        #[test]
        fn civil_and_back(seconds in -9_000_000_000i64..9_000_000_000) {
            let stamp = Timestamp::from_seconds(seconds);
            prop_assert_eq!(stamp.civil().at_offset(0), Some(stamp));
            prop_assert_eq!(Timestamp::parse(&stamp.to_string(), 0), Some(stamp));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Timestamp::parse(&text, 0);
        }
    }
}
