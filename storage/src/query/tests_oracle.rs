//! The plan over indexes against looking at every event, on random predicates over random stores.
//!
//! Seeded: the same number of predicates is the same test. `NHATLE_ORACLE_PREDICATES` says how many (10,000 for a
//! release, 1,000 otherwise), `NHATLE_ORACLE_SEED` where they begin; a failure names store and predicate.

use std::collections::BTreeMap;

use nhatle_event::{Event, Stored, Text, Timestamp, Value};
use unicode_normalization::UnicodeNormalization;

use super::tests::{World, world};
use super::{Control, Page, Part, Query, Wanted};
use crate::query::resolve::FieldName;

const PREDICATES: u64 = 1_000;
/// How many predicates one store is asked.
const OF_A_STORE: u64 = 50;

const WORDS: [&str; 36] = [
    "failed",
    "Password",
    "root",
    "đăng",
    "dang",
    "nhập",
    "thất bại",
    "Đồng Hới",
    "phường",
    "phương",
    "hoà",
    "hòa",
    "hoa",
    "kỹ thuật",
    "kĩ",
    "ky",
    "Đức Ninh",
    "Dục",
    "quý",
    "quí",
    "10.0.0.7",
    "10.0.0.70",
    "22",
    "2200",
    "cmd.exe",
    "cmd",
    "a_b",
    "xin-chào",
    "ÀÁ",
    "ß",
    "İ",
    "C:\\Windows\\x",
    "2026-01-02T03:04:05Z",
    "true",
    "http://a.vn/?q=1",
    "“”",
];
const FIELDS: [&str; 20] = [
    "message",
    "user.name",
    "source.ip",
    "destination.ip",
    "source.port",
    "process.command_line",
    "url.original",
    "winlog.event_data.Image",
    "winlog.event_data.TargetUserName",
    "log.offset",
    "Message",
    "tags",
    "event.start",
    "event.code",
    "event.severity",
    "nhatle.unit",
    "json.Count",
    "json.Đường",
    "host.name",
    "http.response.status_code",
];
const NAMES: [&str; 6] = ["Image", "@timestamp", "nhatle.seq", "TargetUserName", "EventID", "no.such.field"];
const UNITS: [&str; 4] = ["dong-hoi", "nam-ly", "bac-ly", "duc-ninh"];

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn word(&mut self) -> String {
        let word = self.one(&WORDS);
        match self.below(6) {
            0 => word.nfd().collect(),
            1 => word.to_uppercase(),
            _ => word.to_owned(),
        }
    }

    fn text(&mut self) -> String {
        let joint = self.one(&[" ", " ", "/", ".", ", ", "\t"]);
        (0..1 + self.below(5)).map(|_| self.word()).collect::<Vec<_>>().join(joint)
    }

    fn single(&mut self) -> Value {
        match self.below(16) {
            0..8 => Value::from(self.text()),
            8 | 9 => Value::Long(self.below(40) as i64),
            10 => Value::Null,
            11 => Value::Boolean(self.below(2) == 0),
            12 => Value::Double(self.below(60) as f64 / 4.0),
            13 => Value::Ip(std::net::Ipv4Addr::from(0x0a00_0000 + self.next() as u32 % 64).into()),
            14 => Value::Ip(std::net::Ipv6Addr::from(0xfe80_u128 << 112 | u128::from(self.next() % 40)).into()),
            _ => match self.below(3) {
                0 => Value::Date(Timestamp::from_seconds(self.below(100) as i64)),
                1 => Value::from("y".repeat(120 + self.below(150))),
                _ => Value::from(self.word()),
            },
        }
    }

    fn event(&mut self, second: i64) -> Event {
        let at = Timestamp(second * 1_000_000_000 + self.below(3) as i64 * 250_000_000);
        let mut event = Event::new(at, self.text().into_bytes());
        event.received = Timestamp::from_seconds(second + self.below(9) as i64);
        for _ in 0..self.below(8) {
            let value = match self.below(6) {
                0 => Value::List((0..self.below(4)).map(|_| self.single()).collect()),
                _ => self.single(),
            };
            event.set_named(self.one(&FIELDS), value);
        }
        if self.below(3) > 0 {
            event.set_named("nhatle.unit", self.one(&UNITS));
        }
        event
    }

    /// A store: segments that overlap in time now and then, and what is in memory only.
    fn world(&mut self) -> World {
        let mut pieces = Vec::new();
        for piece in 0..1 + self.below(4) {
            let (begin, span) = ((piece * 20) as i64, 1 + self.below(60));
            let count = 20 + self.below(60);
            let mut events = Vec::new();
            for _ in 0..count {
                let at = begin + self.below(span) as i64;
                events.push(self.event(at));
            }
            pieces.push(events);
        }
        let mut recent = Vec::new();
        for _ in 0..self.below(25) {
            let at = 60 + self.below(40) as i64;
            recent.push(self.event(at));
        }
        world(&pieces, &recent)
    }

    fn quoted(&mut self) -> String {
        let text = self.text().replace('\t', " ");
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    fn plain(&mut self) -> String {
        let word = self.word();
        let keeps = |letter: char| {
            letter.is_alphanumeric() || matches!(letter, '.' | '_') || ('\u{300}'..'\u{370}').contains(&letter)
        };
        let cut: String = word.chars().take_while(|letter| keeps(*letter)).collect();
        match cut.chars().any(char::is_alphanumeric) && !["and", "or", "not"].contains(&cut.to_lowercase().as_str()) {
            true => cut,
            false => "root".to_owned(),
        }
    }

    fn pattern(&mut self) -> String {
        let mut letters: Vec<String> = self.plain().chars().map(String::from).collect();
        for _ in 0..1 + self.below(2) {
            let at = self.below(letters.len() + 1);
            match self.below(3) {
                0 => letters.insert(at, "*".to_owned()),
                1 => letters.truncate(at),
                _ if at < letters.len() => letters[at] = "?".to_owned(),
                _ => {}
            }
        }
        match self.below(3) {
            // `*.exe`: what ends so.
            0 => letters.insert(0, "*".to_owned()),
            _ => letters.push("*".to_owned()),
        }
        letters.concat()
    }

    fn bound(&mut self) -> String {
        match self.below(6) {
            0 => "*".to_owned(),
            1 | 2 => self.below(40).to_string(),
            3 => format!("1970-01-01T00:0{}:{:02}Z", self.below(2), self.below(60)),
            4 => format!("10.0.0.{}", self.below(64)),
            _ => self.plain(),
        }
    }

    fn leaf(&mut self) -> String {
        let field = match self.below(5) {
            0 => self.one(&NAMES),
            _ => self.one(&FIELDS),
        };
        match self.below(17) {
            0 | 1 => self.quoted(),
            2 => self.plain(),
            3 => self.pattern(),
            4 | 5 => format!("{field}:{}", self.quoted()),
            6 => format!("{field}:{}", self.plain()),
            7 | 8 => format!("{field}:{}", self.pattern()),
            9 => format!("{field}:/{}/", regex::escape(&self.plain().to_lowercase())),
            10 => format!("{field}:/{}[a-z0-9]*$/", regex::escape(&self.plain().chars().take(2).collect::<String>())),
            11 => format!("{field}:*"),
            12 => format!("_exists_:{field}"),
            13 => format!("{field}:{}{}", self.one(&[">", ">=", "<", "<="]), self.below(40)),
            14 => {
                let (open, close) = (self.one(&["[", "{"]), self.one(&["]", "}"]));
                format!("{field}:{open}{} TO {}{close}", self.bound(), self.bound())
            }
            15 => match self.below(3) {
                0 => format!("{field}:fe80::/{}", 110 + self.below(19)),
                _ => format!("{field}:10.0.0.{}/{}", self.below(64), 24 + self.below(9)),
            },
            _ => format!("{field}:({} OR {})", self.plain(), self.quoted()),
        }
    }

    fn line(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 2 } else { 6 }) {
            0 | 1 => self.leaf(),
            2 => format!("NOT {}", self.line(depth - 1)),
            3 => format!("({} OR {})", self.line(depth - 1), self.line(depth - 1)),
            _ => format!("({} AND {})", self.line(depth - 1), self.line(depth - 1)),
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The values of a field among some events, by looking at each.
fn values(events: &[&Stored], name: &FieldName) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for stored in events {
        let named =
            stored.event.fields().iter().filter(|(field, _)| {
                name.candidates.iter().any(|key| crate::segment::words::has_key(field.name(), key))
            });
        for text in named.flat_map(|(_, value)| value.each()).filter_map(Value::as_text) {
            *counts.entry(text.into_owned()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn random_predicates_are_answered_as_a_full_scan_would() {
    let (count, seed) = (number("NHATLE_ORACLE_PREDICATES", PREDICATES), number("NHATLE_ORACLE_SEED", 0));
    let (mut asked, mut found) = (0u64, 0u64);
    let mut store = seed;
    while asked < count {
        let mut dice = Dice(store.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let world = dice.world();
        for _ in 0..OF_A_STORE.min(count - asked) {
            asked += 1;
            let line = dice.line(3);
            let mut query = match Query::parse(&line) {
                Ok(query) => query,
                Err(error) => panic!("store {store}: {line}: {error:?}"),
            };
            if dice.below(3) == 0 {
                let from = dice.below(100) as i64;
                query =
                    query.between(Timestamp::from_seconds(from), Timestamp::from_seconds(from + dice.below(60) as i64));
            }
            if dice.below(4) == 0 {
                let units: Vec<Text> = (0..dice.below(3)).map(|_| Text::from(dice.one(&UNITS))).collect();
                query = query.for_units(&units);
            }
            let expected = world.expected(&query);
            found += u64::from(!expected.is_empty() && expected.len() < world.all.len());
            let what = format!("store {store}: {line} of {:?} from {} to {}", query.units, query.from.0, query.to.0);
            assert_eq!(world.snapshot.count_matches(&query).unwrap(), expected.len() as u64, "count of {what}");
            let name = FieldName::new(if dice.below(2) == 0 { "Image" } else { "user.name" });
            let wanted = Wanted {
                bucket_count: 1 + dice.below(20),
                facets: vec![name.clone()],
                facet_values: 1_000,
                ..Wanted::hits(Page::first(1 + dice.below(300)))
            };
            let mut hits = Vec::new();
            let survey = world.snapshot.survey(&query, &wanted, &Control::default(), &mut |part| {
                if let Part::Hits(more) = part {
                    hits.extend(more.into_iter().map(|stored| stored.seq.0));
                }
            });
            let survey = survey.unwrap();
            assert_eq!(hits, expected[..expected.len().min(wanted.page.limit)], "hits of {what}");
            assert_eq!((survey.total, survey.total_is_exact), (expected.len() as u64, true), "total of {what}");
            let bars: u64 = survey.buckets.iter().map(|(_, count)| count).sum();
            assert_eq!(bars, expected.len() as u64, "bars of {what}");
            let events: Vec<&Stored> =
                expected.iter().map(|seq| &world.all[usize::try_from(*seq).unwrap() - 1]).collect();
            let counted: BTreeMap<String, u64> = survey.facets[0].values.iter().cloned().collect();
            assert_eq!(counted, values(&events, &name), "values of {} in {what}", name.written);
            assert!(survey.facets[0].is_exact, "{what}");
        }
        store += 1;
    }
    println!("{asked} predicates over {} stores; {found} found some events and not all", store - seed);
    assert!(asked / 4 < found, "the predicates must tell events apart to mean anything: {found} of {asked}");
}
