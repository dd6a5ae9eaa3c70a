//! Dates as log lines write them.
//!
//! In: text that may begin with a date. Out: the moment and how many bytes it took; nothing where there
//! is no date; a [`Fault`] where there clearly is one that does not exist (30 February).
//! Source: RFC 3164 section 4.1.2 as really sent (years, fractions, zones, Cisco's marks), RFC 3339,
//! Apache's and nginx's common log and error log formats, the C library's `ctime`.

use nhatle_event::Timestamp;
use nhatle_event::time::{Civil, offset_of, parse_prefix};

use super::{Fault, digits};

/// How far ahead of the receiver a sender's clock may be before its date is taken as last year's.
const AHEAD_MAX_NS: i64 = 24 * 3600 * 1_000_000_000;
/// A year has 365 days at least.
const YEAR_MIN_NS: i64 = 365 * 24 * 3600 * 1_000_000_000;
/// The reason of every date that does not exist.
const NO_SUCH_DATE: &str = "syslog: no such date";

/// Names of zones that mean one thing, seconds east of UTC. Few on purpose: most abbreviations mean several (IST, CST, MST).
const ZONES: &[(&str, i32)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("ICT", 7 * 3600),
    ("JST", 9 * 3600),
    ("WET", 0),
    ("WEST", 3600),
    ("EET", 2 * 3600),
    ("EEST", 3 * 3600),
    ("CET", 3600),
    ("CEST", 2 * 3600),
    ("EST", -5 * 3600),
    ("EDT", -4 * 3600),
    ("CDT", -5 * 3600),
    ("MDT", -6 * 3600),
    ("PST", -8 * 3600),
    ("PDT", -7 * 3600),
];

/// The offset that a zone's name means.
pub fn named_zone(name: &str) -> Option<i32> {
    ZONES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, offset_s)| *offset_s)
}

/// A date found at the front of text, with the bytes it takes.
pub type Found = Result<Option<(Timestamp, usize)>, Fault>;

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The number of the month whose English short name begins `bytes`.
pub fn month(bytes: &[u8]) -> Option<u32> {
    let name: [u8; 3] = bytes.get(..3)?.try_into().ok()?;
    let name = name.map(|byte| byte.to_ascii_lowercase());
    (1..).zip(MONTHS).find(|(_, known)| **known == name).map(|(number, _)| number)
}

/// The date as a moment, or the fault that it does not exist.
fn moment(civil: Civil, offset_s: i32, used: usize, at: usize) -> Found {
    match civil.at_offset(offset_s) {
        Some(stamp) => Ok(Some((stamp, used))),
        None => Err(Fault::new(NO_SUCH_DATE, at)),
    }
}

/// `hh:mm:ss` with an optional fraction after `.` or `,`; also the bytes used.
fn time_of_day(bytes: &[u8]) -> Option<([u32; 4], usize)> {
    let ([hour, minute, seconds], mut used) = match bytes.first_chunk().and_then(time_of_eight) {
        Some(time) => (time, 8),
        None => {
            let (hour, first) = digits(bytes, 2)?;
            let rest = bytes.get(first..)?.strip_prefix(b":")?;
            let (minute, second) = digits(rest, 2)?;
            let rest = rest.get(second..)?.strip_prefix(b":")?;
            let (seconds, third) = digits(rest, 2)?;
            ([hour, minute, seconds], first + second + third + 2)
        }
    };
    let mut nanosecond = 0;
    if let [b'.' | b',', after @ ..] = bytes.get(used..)?
        && after.first().is_some_and(u8::is_ascii_digit)
    {
        let mut scale = 100_000_000;
        let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        for digit in after.iter().take(count.min(9)) {
            nanosecond += u32::from(digit - b'0') * scale;
            scale /= 10;
        }
        used += 1 + count;
    }
    Some(([hour, minute, seconds, nanosecond], used))
}

/// `hh:mm:ss` with two digits each, as nearly all write it.
fn time_of_eight(bytes: &[u8; 8]) -> Option<[u32; 3]> {
    let digit = |at: usize| u32::from(bytes[at].wrapping_sub(b'0'));
    let is_time = bytes[2] == b':' && bytes[5] == b':' && [0, 1, 3, 4, 6, 7].iter().all(|at| digit(*at) < 10);
    is_time.then(|| [digit(0) * 10 + digit(1), digit(3) * 10 + digit(4), digit(6) * 10 + digit(7)])
}

fn civil(year: u32, month: u32, day: u32, [hour, minute, second, nanosecond]: [u32; 4]) -> Civil {
    Civil { year: i32::try_from(year).unwrap_or(0), month, day, hour, minute, second, nanosecond }
}

/// A year that a date may carry, followed by what may follow a date.
fn year(bytes: &[u8]) -> Option<u32> {
    let (number, 4) = digits(bytes, 5)? else { return None };
    // An address (`2001:db8::1`) or a number with a fraction may stand there too.
    let ends = matches!(bytes.get(4..), Some([] | [b' ' | b']', ..] | [b':'] | [b':', b' ', ..]));
    (ends && (1970..2200).contains(&number)).then_some(number)
}

/// BSD syslog's `Mmm dd hh:mm:ss`, with the year after the day, after the time or nowhere, a fraction,
/// and a zone before a colon. The year that is missing is the one that brings the date closest before
/// `received`, a day of clock difference allowed.
///
/// # Errors
/// The text has the form of such a date, and no year has that day or no day that time.
pub fn bsd(text: &str, received: Timestamp, offset_s: i32) -> Found {
    let bytes = text.as_bytes();
    let Some(month) = month(bytes) else { return Ok(None) };
    let spaces = bytes.iter().skip(3).take_while(|byte| **byte == b' ').count();
    let day_at = 3 + spaces;
    let Some((day, width)) = bytes.get(day_at..).filter(|_| spaces > 0).and_then(|rest| digits(rest, 2)) else {
        return Ok(None);
    };
    let mut at = day_at + width;
    let skip_spaces = |at: usize| at + bytes.iter().skip(at).take_while(|byte| **byte == b' ').count();
    let after_day = skip_spaces(at);
    if after_day == at {
        return Ok(None);
    }
    at = after_day;
    let mut found_year = bytes.get(at..).and_then(year);
    if found_year.is_some() {
        at = skip_spaces(at + 4);
    }
    let Some((time, used)) = bytes.get(at..).and_then(time_of_day) else { return Ok(None) };
    at += used;
    if found_year.is_none()
        && let Some(late) = bytes.get(at..).and_then(|rest| rest.strip_prefix(b" ")).and_then(year)
    {
        found_year = Some(late);
        at += 5;
    }
    let (zone, at) = zone(bytes, at).map_or((None, at), |(zone, at)| (Some(zone), at));
    let offset_s = zone.flatten().map_or(offset_s, |written| offset_of(written, offset_s));
    if let Some(year) = found_year {
        return moment(civil(year, month, day, time), offset_s, at, day_at);
    }
    let this_year = u32::try_from(received.civil_at(offset_s).year).unwrap_or(1970);
    let latest = received.plus_nanos(AHEAD_MAX_NS);
    // Nearly always it is this year: the same day of the next one is 365 days later at least, if it exists.
    if let Some(stamp) = civil(this_year, month, day, time).at_offset(offset_s)
        && stamp <= latest
        && latest < stamp.plus_nanos(YEAR_MIN_NS)
    {
        return Ok(Some((stamp, at)));
    }
    // Nine years back are enough for any 29 February (1900 and 2100 are no leap years).
    let stamp = (0..10)
        .filter_map(|back| civil((this_year + 1).checked_sub(back)?, month, day, time).at_offset(offset_s))
        .find(|stamp| *stamp <= latest);
    match stamp {
        Some(stamp) => Ok(Some((stamp, at))),
        None => Err(Fault::new(NO_SUCH_DATE, day_at)),
    }
}

/// A zone after a time: ` UTC:`, ` GMT:`, ` +07:00`; a name nobody can place is passed over (`None`
/// inside). Also where it ends.
fn zone(bytes: &[u8], at: usize) -> Option<(Option<i32>, usize)> {
    let rest = bytes.get(at..)?;
    if let [b'Z', ..] = rest {
        return Some((Some(0), at + 1));
    }
    let rest = rest.strip_prefix(b" ")?;
    if let Some((offset_s, used)) = numeric_zone(rest) {
        return Some((Some(offset_s), at + 1 + used));
    }
    let letters = rest.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    ((2..=5).contains(&letters) && rest.get(letters) == Some(&b':')).then_some(())?;
    let name = str::from_utf8(rest.get(..letters)?).ok()?;
    // Any other short name before a colon is a host or a program (`HQ: …`), but for Cisco's marks.
    let is_cisco = rest.get(letters + 1..).is_some_and(|rest| {
        let rest = rest.trim_ascii_start();
        // IOS XR and NX-OS have their program before the mark.
        rest.starts_with(b"%") || (named_zone(name).is_some() && is_program_and_mark(rest))
    });
    (is_cisco || matches!(name, "UTC" | "GMT")).then_some(())?;
    Some((named_zone(name), at + 1 + letters))
}

/// `SSHD_[65743]: %`: one word, its process, and a mark.
fn is_program_and_mark(bytes: &[u8]) -> bool {
    let word = bytes.iter().take(64).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let rest = bytes.get(word..).unwrap_or_default();
    let end = memchr::memchr(b']', rest.get(..rest.len().min(16)).unwrap_or_default());
    word > 0 && rest.starts_with(b"[") && end.is_some_and(|end| rest.get(end + 1..end + 4) == Some(b": %"))
}

/// `+hhmm` or `+hh:mm`, in seconds east of UTC; also the bytes used.
fn numeric_zone(bytes: &[u8]) -> Option<(i32, usize)> {
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, 2) = digits(bytes.get(1..)?, 2)? else { return None };
    let colon = usize::from(bytes.get(3) == Some(&b':'));
    let (minutes, 2) = digits(bytes.get(3 + colon..)?, 2)? else { return None };
    (hours < 24 && minutes < 60).then_some(())?;
    Some((sign * i32::try_from(hours * 3600 + minutes * 60).ok()?, 5 + colon))
}

/// Whether bytes begin as `2026:11:23-09:10:00`.
pub fn has_colons_form(bytes: &[u8]) -> bool {
    const FORM: &[u8; 19] = b"0000:00:00-00:00:00";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    bytes.get(..FORM.len()).is_some_and(|bytes| bytes.iter().zip(FORM).all(fits))
}

/// The date of Sophos UTM's syslog: `2026:11:23-09:10:00`.
///
/// # Errors
/// The text has the form of such a date, and it does not exist.
pub fn colons(text: &str, offset_s: i32) -> Found {
    let bytes = text.as_bytes();
    if !has_colons_form(bytes) {
        return Ok(None);
    }
    let number =
        |at: usize, count: usize| bytes.get(at..).and_then(|rest| digits(rest, count)).map(|(number, _)| number);
    let (Some(year), Some(month), Some(day), Some((time, used))) =
        (number(0, 4), number(5, 2), number(8, 2), bytes.get(11..).and_then(time_of_day))
    else {
        return Ok(None);
    };
    moment(civil(year, month, day, time), offset_s, 11 + used, 0)
}

/// RFC 3339's date and time, with the tolerance of [`parse_prefix`].
///
/// # Errors
/// The text has the form of such a date, and it does not exist.
pub fn iso(text: &str, offset_s: i32) -> Found {
    let bytes = text.as_bytes();
    if let Some((stamp, rest)) = parse_prefix(bytes, offset_s) {
        return Ok(Some((stamp, bytes.len() - rest.len())));
    }
    if has_iso_form(bytes) { Err(Fault::new(NO_SUCH_DATE, 5)) } else { Ok(None) }
}

/// Whether bytes begin like `2026-02-03T04:05:06`, whatever the digits.
pub fn has_iso_form(bytes: &[u8]) -> bool {
    const FORM: &[u8; 19] = b"dddd-dd-dd dd:dd:dd";
    bytes.len() >= FORM.len()
        && FORM.iter().zip(bytes).all(|(form, byte)| match form {
            b'd' => byte.is_ascii_digit(),
            b' ' => matches!(byte, b' ' | b'T' | b't'),
            exact => byte == exact,
        })
}

/// The common log format's `03/Feb/2026:04:05:06 +0700`.
///
/// # Errors
/// The text has the form of such a date, and it does not exist.
pub fn common_log(text: &str, offset_s: i32) -> Found {
    let bytes = text.as_bytes();
    let read = || -> Option<(Civil, i32, usize)> {
        let (day, width) = digits(bytes, 2)?;
        let rest = bytes.get(width..)?.strip_prefix(b"/")?;
        let (day, month, month_width) = match month(rest) {
            Some(month) => (day, month, 3),
            // cPanel's month stands first.
            None if (1..=12).contains(&day) => (digits(rest, 2).filter(|(_, width)| *width == 2)?.0, day, 2),
            None => return None,
        };
        let rest = rest.get(month_width..)?.strip_prefix(b"/")?;
        let (year, 4) = digits(rest, 4)? else { return None };
        let rest = rest.get(4..)?.strip_prefix(b":")?;
        let (time, used) = time_of_day(rest)?;
        let rest = rest.get(used..)?;
        let zone = rest.strip_prefix(b" ").and_then(numeric_zone);
        let (offset_s, zone_used) =
            zone.map_or((offset_s, 0), |(written, used)| (offset_of(written, offset_s), used + 1));
        Some((civil(year, month, day, time), offset_s, width + 7 + month_width + used + zone_used))
    };
    match read() {
        Some((civil, offset_s, used)) => moment(civil, offset_s, used, 0),
        None => Ok(None),
    }
}

/// `[Wdy ]Mmm dd hh:mm:ss[.ffffff] yyyy`, as Apache's error log and `ctime` have it.
///
/// # Errors
/// The text has the form of such a date, and it does not exist.
pub fn ctime(text: &str, offset_s: i32) -> Found {
    let bytes = text.as_bytes();
    let weekday = match bytes {
        [a, b, c, b' ', ..] if [a, b, c].iter().all(|byte| byte.is_ascii_alphabetic()) && month(bytes).is_none() => 4,
        _ => 0,
    };
    let read = || -> Option<(Civil, usize)> {
        let rest = bytes.get(weekday..)?;
        let month = month(rest)?;
        let spaces = rest.iter().skip(3).take_while(|byte| **byte == b' ').count();
        let (day, width) = digits(rest.get(3 + spaces..)?, 2)?;
        let at = 3 + spaces + width + 1;
        let (time, used) = time_of_day(rest.get(at..)?)?;
        let year = year(rest.get(at + used..)?.strip_prefix(b" ")?)?;
        Some((civil(year, month, day, time), weekday + at + used + 5))
    };
    match read() {
        Some((civil, used)) => moment(civil, offset_s, used, weekday),
        None => Ok(None),
    }
}

/// nginx's error log's `2026/02/03 04:05:06`.
///
/// # Errors
/// The text has the form of such a date, and it does not exist.
pub fn slashed(text: &str, offset_s: i32) -> Found {
    let bytes = text.as_bytes();
    let read = || -> Option<(Civil, usize)> {
        let (year, 4) = digits(bytes, 4)? else { return None };
        let (month, 2) = digits(bytes.get(4..)?.strip_prefix(b"/")?, 2)? else { return None };
        let (day, 2) = digits(bytes.get(7..)?.strip_prefix(b"/")?, 2)? else { return None };
        let (time, used) = time_of_day(bytes.get(10..)?.strip_prefix(b" ")?)?;
        Some((civil(year, month, day, time), 11 + used))
    };
    match read() {
        Some((civil, used)) => moment(civil, offset_s, used, 5),
        None => Ok(None),
    }
}

/// `03-Feb-2026 04:05:06.789`, as named and Tomcat write.
///
/// # Errors
/// The text has the form of such a date, and it does not exist.
pub fn day_first(text: &str, offset_s: i32) -> Found {
    let bytes = text.as_bytes();
    let read = || -> Option<(Civil, usize)> {
        let (day, 2) = digits(bytes, 2)? else { return None };
        let rest = bytes.get(2..)?.strip_prefix(b"-")?;
        let month = month(rest)?;
        let (year, 4) = digits(rest.get(3..)?.strip_prefix(b"-")?, 4)? else { return None };
        let (time, used) = time_of_day(bytes.get(11..)?.strip_prefix(b" ")?)?;
        Some((civil(year, month, day, time), 12 + used))
    };
    match read() {
        Some((civil, used)) => moment(civil, offset_s, used, 0),
        None => Ok(None),
    }
}

/// `20260203-04:05:06:789`, as some Android programs write.
fn compact(text: &str, offset_s: i32) -> Option<(Timestamp, usize)> {
    let bytes = text.as_bytes();
    let (date, 8) = digits(bytes, 8)? else { return None };
    let rest = bytes.get(8..)?.strip_prefix(b"-")?;
    let ([hour, minute, second, _], used) = time_of_day(rest)?;
    let millis = rest.get(used..)?.strip_prefix(b":").and_then(|rest| digits(rest, 3));
    let (millis, width) = millis.map_or((0, 0), |(millis, width)| (millis, width + 1));
    let time = [hour, minute, second, millis * 1_000_000];
    let stamp = civil(date / 10_000, date / 100 % 100, date % 100, time).at_offset(offset_s)?;
    Some((stamp, 9 + used + width))
}

/// The date a plain log line carries at its front, or after its first word: best effort, in any of the
/// forms of this file but the year-less one.
///
/// # Errors
/// The line begins with a date that does not exist.
pub fn anywhere_in_front(line: &str, offset_s: i32) -> Found {
    let trimmed = line.trim_start_matches([' ', '\t', '[', '(']);
    let skipped = line.len() - trimmed.len();
    let shift = |(stamp, used): (Timestamp, usize)| (stamp, used + skipped);
    for form in [iso, ctime, slashed, common_log, day_first] {
        match form(trimmed, offset_s) {
            Ok(None) => {}
            Ok(Some(found)) => return Ok(Some(shift(found))),
            Err(fault) => return Err(Fault { offset: fault.offset + skipped, ..fault }),
        }
    }
    if let Some(found) = compact(trimmed, offset_s) {
        return Ok(Some(shift(found)));
    }
    let second_word = trimmed.find(' ').filter(|at| *at < 128).and_then(|at| trimmed.get(at..));
    let second_word = second_word.map(|rest| rest.trim_start_matches(' '));
    let second =
        second_word.and_then(|word| iso(word, offset_s).ok().flatten().map(|(stamp, used)| (stamp, used, word)));
    Ok(second.map(|(stamp, used, word)| (stamp, line.len() - word.len() + used)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-02T00:00:00Z
    const RECEIVED: &str = "2026-01-02T00:00:00Z";

    #[track_caller]
    fn check(form: fn(&str, i32) -> Found, text: &str, expected: Option<(&str, usize)>) {
        let found = form(text, 7 * 3600).expect("exists").map(|(stamp, used)| (stamp.to_string(), used));
        assert_eq!(found, expected.map(|(stamp, used)| (stamp.to_owned(), used)), "{text}");
    }

    fn bsd_received(text: &str, offset_s: i32) -> Found {
        bsd(text, Timestamp::parse(RECEIVED, 0).unwrap(), offset_s)
    }

    #[test]
    fn the_missing_year_is_the_one_closest_before_receipt() {
        check(bsd_received, "Jan  1 10:00:00 host", Some(("2026-01-01T03:00:00Z", 15)));
        check(bsd_received, "Dec 31 23:59:59 host", Some(("2025-12-31T16:59:59Z", 15)));
        check(bsd_received, "Jan  2 20:00:00 host", Some(("2026-01-02T13:00:00Z", 15)));
        check(bsd_received, "Jan 20 20:00:00 host", Some(("2025-01-20T13:00:00Z", 15)));
        check(bsd_received, "Feb 29 12:00:00 host", Some(("2024-02-29T05:00:00Z", 15)));
        let new_year = |text: &str, offset_s| bsd(text, Timestamp::parse("2025-12-31T16:59:00Z", 0).unwrap(), offset_s);
        let found = new_year("Jan 1 00:00:01 host", 7 * 3600).expect("exists").expect("is a date");
        assert_eq!(found.0.to_string(), "2025-12-31T17:00:01Z", "a clock a little ahead over new year");
    }

    #[test]
    fn bsd_dates_as_really_sent() {
        check(bsd_received, "Mar  1 2024 18:48:50.483 UTC: %SYS", Some(("2024-03-01T18:48:50.483Z", 28)));
        check(bsd_received, "Mar  1 18:48:50 2024 host", Some(("2024-03-01T11:48:50Z", 20)));
        check(bsd_received, "Mar 01 2024 18:48:50: %ASA", Some(("2024-03-01T11:48:50Z", 20)));
        check(bsd_received, "Mar 01 2024 18:48:50 EDT: %ASA", Some(("2024-03-01T22:48:50Z", 24)));
        check(bsd_received, "Mar 01 2024 18:48:50 IST: %ASA", Some(("2024-03-01T11:48:50Z", 24)));
        check(bsd_received, "Mar  1 18:48:50 2020 ways", Some(("2020-03-01T11:48:50Z", 20)));
        check(bsd_received, "Marge said so", None);
        check(bsd_received, "May 5 people", None);
    }

    #[test]
    fn a_date_that_does_not_exist_is_a_fault_with_its_place() {
        for text in ["Feb 30 10:00:00 host", "Jan  0 10:00:00 x", "Jan 1 25:00:00 x"] {
            assert_eq!(bsd_received(text, 0).expect_err("does not exist").reason, NO_SUCH_DATE, "{text}");
        }
        assert_eq!(bsd_received("Feb 30 10:00:00 host", 0).expect_err("does not exist").offset, 4);
        assert_eq!(iso("2026-02-30T10:00:00Z", 0).expect_err("does not exist").offset, 5);
    }

    #[test]
    fn web_servers_dates() {
        check(common_log, "03/Feb/2026:04:05:06 +0900] x", Some(("2026-02-02T19:05:06Z", 26)));
        check(common_log, "03/Feb/2026:04:05:06]", Some(("2026-02-02T21:05:06Z", 20)));
        check(ctime, "Tue Feb 03 04:05:06.123456 2026] x", Some(("2026-02-02T21:05:06.123456Z", 31)));
        check(slashed, "2026/02/03 04:05:06 [error]", Some(("2026-02-02T21:05:06Z", 19)));
    }

    #[test]
    fn plain_lines_dates() {
        check(anywhere_in_front, "2026-02-03 04:05:06,123 INFO x", Some(("2026-02-02T21:05:06.123Z", 23)));
        check(anywhere_in_front, "20260203-4:5:6:78|App|x", Some(("2026-02-02T21:05:06.078Z", 17)));
        check(anywhere_in_front, "app.log.1 2026-02-03 04:05:06.008 7 INFO", Some(("2026-02-02T21:05:06.008Z", 33)));
        check(anywhere_in_front, "03-Feb-2026 04:05:06.5 INFO", Some(("2026-02-02T21:05:06.500Z", 22)));
        check(anywhere_in_front, "no date here", None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9 :/.+-]{0,40}|.{0,40}") {
            for form in [iso, ctime, slashed, common_log, day_first, anywhere_in_front, bsd_received] {
                if let Ok(Some((_, used))) = form(&text, 0) {
                    prop_assert!(text.is_char_boundary(used), "{used}");
                }
            }
        }
    }
}
