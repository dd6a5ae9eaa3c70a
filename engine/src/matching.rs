//! Does a text pass a test? Pure functions of `(test, text)`, shared by the detector and its naive twin.
//!
//! In: a [`Test`] and one value as text ([`nhatle_event::Value::as_text`]). Every value is looked at as its
//! text: `4688` and `"4688"` are the same value to a rule. Out: yes or no; never an error, never a panic.
//! [`Test::Exists`], [`Test::Null`] and [`Test::FieldRef`] need more than one value and are decided by the
//! callers; here they do not hold.
//!
//! Source: Sigma rules specification 2.1.0, where it is silent the readings of decisions, section 5.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use nhatle_event::Timestamp;
use nhatle_event::time::{Civil, days_in_month};
use nhatle_rules::fold::fold;
use nhatle_rules::predicate::{Case, Part, Pattern, Position, Shape, Test, TimePart};
use regex::Regex;

/// Compiles the expression of a [`Test::Regex`] as the loader of rules did when it checked it. `None` when it
/// is none, which is not met with a checked rule set.
pub fn compile_regex(expression: &str) -> Option<Regex> {
    nhatle_rules::build_regex(expression).ok()
}

/// How many expressions a thread keeps for [`regex_matches`].
const REGEXES_KEPT: usize = 256;

/// Whether a regular expression matches: for evidence and alerts, which look at the same few again and again.
fn regex_matches(expression: &str, text: &str) -> bool {
    thread_local! {
        static KEPT: RefCell<HashMap<String, Option<Regex>>> = RefCell::new(HashMap::new());
    }
    KEPT.with_borrow_mut(|kept| {
        if let Some(regex) = kept.get(expression) {
            return regex.as_ref().is_some_and(|regex| regex.is_match(text));
        }
        if REGEXES_KEPT <= kept.len() {
            kept.clear();
        }
        let regex = compile_regex(expression);
        let is_match = regex.as_ref().is_some_and(|regex| regex.is_match(text));
        kept.insert(expression.to_owned(), regex);
        is_match
    })
}

/// Whether one value, as text, passes a test that needs nothing but that value.
pub fn text_passes(test: &Test, text: &str) -> bool {
    match test {
        Test::Text(pattern) => pattern_matches(pattern, text),
        Test::OneOf(patterns) => patterns.iter().any(|pattern| pattern_matches(pattern, text)),
        Test::Regex(expression) => regex_matches(expression, text),
        other => scalar_passes(other, text),
    }
}

/// The tests that read a number, an address or a date out of the text.
pub fn scalar_passes(test: &Test, text: &str) -> bool {
    match test {
        Test::Number(wanted) => number_of(text).is_some_and(|number| number.to_bits() == normal_bits(*wanted)),
        Test::Compare(comparison, limit) => number_of(text).is_some_and(|number| comparison.holds(number, *limit)),
        Test::Cidr { network, prefix } => address_of(text).is_some_and(|address| is_inside(address, *network, *prefix)),
        Test::TimePart(part, comparison, wanted) => {
            time_part(*part, text).is_some_and(|found| comparison.holds(f64::from(found), *wanted))
        }
        _ => false,
    }
}

/// The finite number a text is; minus zero reads as zero.
pub fn number_of(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    number.is_finite().then_some(if number == 0.0 { 0.0 } else { number })
}

/// The bits of a number, one zero only, so that equal numbers have equal bits.
pub fn normal_bits(number: f64) -> u64 {
    if number == 0.0 { 0 } else { number.to_bits() }
}

/// The address a text is. The zone of a link-local one (`fe80::1%12`) is the interface's name, not the address.
pub fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    match text.split_once('%') {
        Some((address, _)) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// Whether an address is in a network of the same family.
pub fn is_inside(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32u32.saturating_sub(prefix);
            let cut = |bits: u32| bits.checked_shr(shift).unwrap_or(0);
            cut(address.to_bits()) == cut(network.to_bits())
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128u32.saturating_sub(prefix);
            let cut = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
            cut(address.to_bits()) == cut(network.to_bits())
        }
        _ => false,
    }
}

/// Whether a whole text has the form of a pattern.
pub fn pattern_matches(pattern: &Pattern, text: &str) -> bool {
    let text = if pattern.is_cased { Cow::Borrowed(text) } else { Cow::Owned(folded(text)) };
    prepared_matches(pattern, &text)
}

/// [`pattern_matches`] for a text that is folded already where the pattern is not cased.
pub fn prepared_matches(pattern: &Pattern, text: &str) -> bool {
    match pattern.shape() {
        Shape::Empty => text.is_empty(),
        Shape::Equals(literal) => text == literal,
        Shape::StartsWith(literal) => text.starts_with(literal),
        Shape::EndsWith(literal) => text.ends_with(literal),
        Shape::Contains(literal) => text.contains(literal),
        Shape::Anything => true,
        Shape::Wild => wild_matches(&pattern.parts, text),
    }
}

/// Wildcards by the usual greedy walk with one point to go back to: linear for each `*`, no recursion.
fn wild_matches(parts: &[Part], text: &str) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let step = match parts.get(part) {
            Some(Part::Many) => {
                back = Some((part + 1, at));
                part += 1;
                continue;
            }
            Some(Part::One) => text[at..].chars().next().map(char::len_utf8),
            Some(Part::Literal(literal)) => text[at..].starts_with(literal.as_str()).then_some(literal.len()),
            None if at == text.len() => return true,
            None => None,
        };
        match (step, back) {
            (Some(length), _) => {
                part += 1;
                at += length;
            }
            (None, Some((after, from))) => {
                let Some(skipped) = text[from..].chars().next() else { return false };
                back = Some((after, from + skipped.len_utf8()));
                (part, at) = (after, from + skipped.len_utf8());
            }
            (None, None) => return false,
        }
    }
}

/// How many values of each of two lists `fieldref` compares where it must compare each with each.
pub const FIELDREF_VALUES_MAX: usize = 64;

/// Which of the texts, the first, has one of the others standing so in it, for `fieldref`. Whole values are looked up, however many
/// there are; else the first [`FIELDREF_VALUES_MAX`] of both sides are compared, so that no event costs the square of
/// its size.
pub fn holder_of(texts: &[Cow<'_, str>], others: &[Cow<'_, str>], position: Position, case: Case) -> Option<usize> {
    if let ([text], [other]) = (texts, others) {
        return stands_in(text, other, position, case).then_some(0);
    }
    let prepared = |texts: &[Cow<'_, str>], most: usize| -> Vec<String> {
        let as_case = |text: &Cow<'_, str>| if case == Case::Exact { text.to_string() } else { folded(text) };
        texts.iter().take(most).map(as_case).collect()
    };
    if position == Position::Whole {
        let others: HashSet<String> = prepared(others, usize::MAX).into_iter().collect();
        return prepared(texts, usize::MAX).iter().position(|text| others.contains(text));
    }
    let (texts, others) = (prepared(texts, FIELDREF_VALUES_MAX), prepared(others, FIELDREF_VALUES_MAX));
    texts.iter().position(|text| others.iter().any(|other| stands_in(text, other, position, Case::Exact)))
}

/// How a text stands in another, for `fieldref`.
pub fn stands_in(text: &str, other: &str, position: Position, case: Case) -> bool {
    let (text, other) = match case {
        Case::Exact => (Cow::Borrowed(text), Cow::Borrowed(other)),
        Case::Folded => (Cow::Owned(folded(text)), Cow::Owned(folded(other))),
    };
    match position {
        Position::Whole => text == other,
        Position::Start => text.starts_with(&*other),
        Position::End => text.ends_with(&*other),
        Position::Inside => text.contains(&*other),
    }
}

/// The text folded, owned.
fn folded(text: &str) -> String {
    String::from(fold(text))
}

/// A part of the date a text is: ISO 8601 as written, whatever its zone, or epoch seconds or milliseconds
/// in UTC.
pub fn time_part(part: TimePart, text: &str) -> Option<u32> {
    let civil = civil_as_written(text.trim())?;
    Some(match part {
        TimePart::Minute => civil.minute,
        TimePart::Hour => civil.hour,
        TimePart::Day => civil.day,
        TimePart::Week => iso_week(civil.year, civil.month, civil.day),
        TimePart::Month => civil.month,
        TimePart::Year => u32::try_from(civil.year).ok()?,
    })
}

/// Epoch numbers from here on are milliseconds: as seconds they would be past the year 5138.
const MILLIS_FROM: f64 = 100_000_000_000.0;

fn civil_as_written(text: &str) -> Option<Civil> {
    if let Some(number) = number_of(text) {
        let seconds = if number.abs() >= MILLIS_FROM { number / 1000.0 } else { number };
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the check; a fraction of a second is cut")]
        return (seconds.abs() < 9e9).then(|| Timestamp::from_seconds(seconds.floor() as i64).civil());
    }
    // Without its zone, read as UTC, the date comes back as it was written.
    let (zoneless, is_date_only) = match text.as_bytes() {
        bytes if bytes.len() == 10 => (format!("{text}T00:00:00"), true),
        bytes if bytes.len() == 16 => (format!("{text}:00"), false),
        _ => (text.get(..19)?.to_owned(), false),
    };
    let rest = if is_date_only { "" } else { text.get(19..).unwrap_or("") };
    let is_time = rest.is_empty() || Timestamp::parse(text, 0).is_some();
    is_time.then(|| Timestamp::parse(&zoneless, 0)).flatten().map(Timestamp::civil)
}

/// ISO 8601 week, 1 to 53: the week of the year's Thursday.
fn iso_week(year: i32, month: u32, day: u32) -> u32 {
    let ordinal = |month: u32| (1..month).map(|m| days_in_month(year, m)).sum::<u32>() + day;
    let days_of = |year: i32| (1..=12).map(|m| days_in_month(year, m)).sum::<u32>();
    let at_day =
        |year: i32, month: u32, day: u32| Civil { year, month, day, hour: 0, minute: 0, second: 0, nanosecond: 0 };
    // 1970-01-01 was a Thursday; Monday is 1.
    let days = at_day(year, month, day).at_offset(0).map_or(0, |stamp| stamp.seconds().div_euclid(86_400));
    let weekday = u32::try_from((days + 3).rem_euclid(7) + 1).unwrap_or(1);
    let week = (ordinal(month) + 10 - weekday) / 7;
    let weeks_in = |year: i32| {
        let first = at_day(year, 1, 1).at_offset(0).map_or(0, |stamp| stamp.seconds().div_euclid(86_400));
        let weekday = (first + 3).rem_euclid(7) + 1;
        if weekday == 4 || (weekday == 3 && days_of(year) == 366) { 53 } else { 52 }
    };
    match week {
        0 => weeks_in(year - 1),
        53 if weeks_in(year) == 52 => 1,
        week => week,
    }
}
