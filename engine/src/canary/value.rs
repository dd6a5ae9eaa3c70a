//! A value for one field that passes some tests and does not pass others.
//!
//! In: the tests that must hold and those that must not. Out: a text, or that the field had better be absent, or
//! that nothing was found. Every text is checked with the tests themselves ([`crate::matching`]) before it is
//! given out. Bounded by [`TRIES_MAX`].

use nhatle_event::Timestamp;
use nhatle_event::time::Civil;
use nhatle_rules::predicate::{Comparison, Test, TimePart};
use regex::Regex;

use super::shape::{Layout, Shape, laid, of_pattern, of_regex};
use crate::matching::{compile_regex, text_passes};

/// How many texts are tried for one field.
pub const TRIES_MAX: usize = 6_000;
/// How many shapes of one expression are tried.
const SEEDS_MAX: usize = 24;
/// How many ways to choose among alternatives are tried.
const CHOICES_MAX: usize = 400;

/// Values that many fields can have, tried where only denials speak of a field.
const USUAL: &[&str] = &[
    "canary",
    "1",
    "0",
    "203.0.113.7",
    "10.20.30.40",
    "192.168.77.7",
    "2001:db8::7",
    "C:\\canary\\canary.exe",
    "/canary/canary",
    "true",
    "2026-02-03T04:05:06Z",
    "",
    "nhatle canary 7431",
];

/// What a field is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: the event does not have it.
    Absent,
    /// This text.
    Text(String),
}

/// What is asked of one field.
#[derive(Clone, Debug, Default)]
pub struct Asked<'r> {
    /// Tests that must hold.
    pub holds: Vec<&'r Test>,
    /// Tests that must not.
    pub fails: Vec<&'r Test>,
    /// Texts that must stand somewhere in it (what `fieldref` asks for), as shapes.
    pub(super) texts: Vec<Shape>,
    /// Rather a text than nothing, where either would do.
    pub is_preferred: bool,
    /// Which of the usual values comes first, so that two fields can differ.
    pub turn: usize,
}

/// A test with its expression compiled.
struct Ready<'r> {
    test: &'r Test,
    regex: Option<Regex>,
}

impl<'r> Ready<'r> {
    fn new(test: &'r Test) -> Ready<'r> {
        let regex = match test {
            Test::Regex(expression) => compile_regex(expression),
            _ => None,
        };
        Ready { test, regex }
    }

    fn passes(&self, text: &str) -> bool {
        match (self.test, &self.regex) {
            (Test::Regex(_), regex) => regex.as_ref().is_some_and(|regex| regex.is_match(text)),
            (Test::Exists, _) => true,
            (Test::Null, _) => false,
            // Looked at with the other field's value, by whoever asks.
            (Test::FieldRef { .. }, _) => true,
            (test, _) => text_passes(test, text),
        }
    }
}

/// A value for a field. `None` where none was found. `variant` asks for another one than `variant - 1` gave.
pub fn value(asked: &Asked<'_>, variant: usize) -> Option<Wanted> {
    let is_null = asked.holds.contains(&&Test::Null);
    let must_be = !asked.texts.is_empty()
        || asked.holds.iter().any(|test| !matches!(test, Test::Null))
        || asked.fails.contains(&&Test::Null);
    let must_not_be = is_null || asked.fails.contains(&&Test::Exists);
    match (must_be, must_not_be) {
        (true, true) => return None,
        (false, true) => return Some(Wanted::Absent),
        (false, false) if !asked.is_preferred => return Some(Wanted::Absent),
        _ => {}
    }
    let holds: Vec<Ready<'_>> = asked.holds.iter().map(|test| Ready::new(test)).collect();
    let denials = asked.fails.iter().filter(|test| !matches!(test, Test::FieldRef { .. }));
    let fails: Vec<Ready<'_>> = denials.map(|test| Ready::new(test)).collect();
    let is_good =
        |text: &str| holds.iter().all(|test| test.passes(text)) && !fails.iter().any(|test| test.passes(text));
    let mut tries = 0;
    let mut left = variant;
    let mut found = None;
    candidates(asked, &mut |text| {
        tries += 1;
        if is_good(&text) && found.as_ref() != Some(&text) {
            found = Some(text);
            if left == 0 {
                return false;
            }
            left -= 1;
        }
        tries < TRIES_MAX
    });
    found.map(Wanted::Text)
}

/// Gives texts to `take`, likely ones first, until it has enough.
fn candidates(asked: &Asked<'_>, take: &mut dyn FnMut(String) -> bool) {
    if numbers(asked, take) && networks(asked, take) && dates(asked, take) && texts(asked, take) {
        for text in USUAL.iter().cycle().skip(asked.turn).take(USUAL.len()) {
            if !take((*text).to_owned()) {
                return;
            }
        }
    }
}

fn numbers(asked: &Asked<'_>, take: &mut dyn FnMut(String) -> bool) -> bool {
    let mut wanted = Vec::new();
    for test in &asked.holds {
        match test {
            Test::Number(number) => wanted.push(*number),
            Test::Compare(comparison, limit) => match comparison {
                Comparison::Less | Comparison::LessOrEqual => wanted.extend([limit - 1.0, limit - 0.5, *limit]),
                _ => wanted.extend([limit + 1.0, limit + 0.5, *limit]),
            },
            _ => {}
        }
    }
    let known = wanted.clone();
    // Between two limits, and past the denied numbers.
    wanted.extend(known.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])));
    wanted.extend(
        (2..40).flat_map(|step| known.iter().flat_map(move |one| [one + f64::from(step), one - f64::from(step)])),
    );
    wanted.into_iter().all(|number| take(number.to_string()))
}

fn networks(asked: &Asked<'_>, take: &mut dyn FnMut(String) -> bool) -> bool {
    for test in &asked.holds {
        let Test::Cidr { network, prefix } = test else { continue };
        // Near the front, and at steps through the whole of it, for what parts of it are denied.
        let bits = if network.is_ipv4() { 32 } else { 128 };
        let free = bits - u32::from(*prefix).min(bits);
        let near = [1u128, 0, 2, 7, 77];
        let steps = (0..free).map(|bit| (1u128 << bit) | 1);
        let last = 1u128.checked_shl(free).unwrap_or(0).wrapping_sub(2);
        let back = (0..free).map(|bit| last & !(1u128 << bit));
        for offset in near
            .into_iter()
            .chain(steps)
            .chain(back)
            .chain([last])
            .filter(|offset| free == 128 || *offset < (1u128 << free))
        {
            let address: std::net::IpAddr = match network {
                std::net::IpAddr::V4(first) => {
                    let number = u32::try_from(u128::from(first.to_bits()) | offset).unwrap_or(first.to_bits());
                    std::net::Ipv4Addr::from_bits(number).into()
                }
                std::net::IpAddr::V6(first) => std::net::Ipv6Addr::from_bits(first.to_bits() | offset).into(),
            };
            if !take(address.to_string()) {
                return false;
            }
        }
    }
    true
}

/// Dates whose day, then hour, then minute suits.
fn dates(asked: &Asked<'_>, take: &mut dyn FnMut(String) -> bool) -> bool {
    if !asked.holds.iter().any(|test| matches!(test, Test::TimePart(..))) {
        return true;
    }
    let suits = |text: &str, which: &[TimePart]| {
        let of = |test: &Test| matches!(test, Test::TimePart(part, ..) if which.contains(part));
        asked.holds.iter().filter(|test| of(test)).all(|test| text_passes(test, text))
            && !asked.fails.iter().filter(|test| of(test)).any(|test| text_passes(test, text))
    };
    let written = |day: i64, hour: u32, minute: u32| {
        let civil: Civil = Timestamp::from_seconds(day * 86_400).civil();
        format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:00Z", civil.year, civil.month, civil.day)
    };
    let years = asked.holds.iter().filter_map(|test| match test {
        Test::TimePart(TimePart::Year, _, year) if (1970.0..3000.0).contains(year) => Some(*year),
        _ => None,
    });
    let year = years.fold(2026.0, |_, year| year);
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    let first = ((year as i64) - 1971) * 36525 / 100;
    let is_day =
        |day: &i64| suits(&written(*day, 0, 0), &[TimePart::Day, TimePart::Week, TimePart::Month, TimePart::Year]);
    let Some(day) = (first..first + 1200).find(is_day) else { return true };
    let hour = (0..24).find(|hour| suits(&written(day, *hour, 0), &[TimePart::Hour])).unwrap_or(0);
    let minute = (0..60).find(|minute| suits(&written(day, hour, *minute), &[TimePart::Minute])).unwrap_or(0);
    take(written(day, hour, minute))
}

/// Texts laid of every shape asked for; of alternatives one after the other.
fn texts(asked: &Asked<'_>, take: &mut dyn FnMut(String) -> bool) -> bool {
    let mut sets: Vec<Vec<Shape>> = asked.texts.iter().map(|shape| vec![shape.clone()]).collect();
    for test in &asked.holds {
        match test {
            Test::Text(pattern) => sets.push(vec![of_pattern(pattern)]),
            Test::OneOf(patterns) => sets.push(patterns.iter().map(of_pattern).collect()),
            Test::Regex(expression) => {
                let mut shapes: Vec<Shape> = Vec::new();
                for shape in (0..SEEDS_MAX).filter_map(|seed| of_regex(expression, seed)) {
                    if !shapes.contains(&shape) {
                        shapes.push(shape);
                    }
                }
                sets.push(shapes);
            }
            Test::Number(number) => {
                sets.push(vec![vec![super::shape::Piece::Literal(number.to_string())]]);
            }
            _ => {}
        }
    }
    if sets.is_empty() || sets.iter().any(Vec::is_empty) {
        return true;
    }
    for choice in choices(&sets) {
        for layout in LAYOUTS {
            if !take(laid(&choice, layout)) {
                return false;
            }
        }
    }
    true
}

const fn layout(filler: &'static str, letter: char, is_reversed: bool, is_padded: bool) -> Layout {
    Layout { filler, letter, is_reversed, is_padded }
}

const LAYOUTS: [Layout; 12] = [
    layout(" ", 'a', false, false),
    layout("", 'a', false, false),
    layout("a", 'a', false, false),
    layout("\\", 'a', false, false),
    layout("/", '1', false, false),
    layout(" ", '1', true, false),
    layout("", '1', true, true),
    layout("x", 'x', false, true),
    layout(" ", 'a', false, true),
    layout(" canary ", 'a', false, true),
    layout("canary.example", 'e', true, false),
    layout("\\canary\\", 'a', true, false),
];

/// Ways to take one shape of each set: the first of all, then each set's others beside the first of the rest, then
/// all together.
fn choices(sets: &[Vec<Shape>]) -> Vec<Vec<Shape>> {
    let first: Vec<Shape> = sets.iter().filter_map(|set| set.first().cloned()).collect();
    let mut ways = vec![first.clone()];
    for (place, set) in sets.iter().enumerate() {
        for other in set.iter().skip(1) {
            let mut way = first.clone();
            way[place] = other.clone();
            ways.push(way);
        }
    }
    if sets.iter().filter(|set| 1 < set.len()).count() > 1 {
        let total = sets.iter().fold(1usize, |total, set| total.saturating_mul(set.len()));
        for number in 0..total.min(CHOICES_MAX) {
            let mut left = number;
            let pick = |set: &Vec<Shape>| {
                let place = left % set.len();
                left /= set.len();
                set[place].clone()
            };
            ways.push(sets.iter().map(pick).collect());
        }
    }
    ways.truncate(2 * CHOICES_MAX);
    ways
}
