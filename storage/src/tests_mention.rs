//! Which rows may have a value, against looking for it in every value and in all bytes of every event: none that has it is left
//! out, whatever the index folds, cuts, leaves out or has no room for.

use std::sync::Arc;

use nhatle_event::{Event, Field, Stored, Timestamp, Value};
use proptest::prelude::*;

use crate::erase::Erasure;
use crate::live::{LiveSegment, SegmentForm};
use crate::mention::{Mention, Narrowed, form_of};
use crate::query::Query;
use crate::segment::meta::WriteOptions;
use crate::segment::{self, ROWS_FILE};
use crate::tests_world::SimClock;
use crate::{Config, Dataset, OsDisk, Store};

/// Lower case, letter by letter; half of a letter is none.
fn lower(text: &str) -> String {
    text.chars().map(|letter| if letter == 'İ' { '\u{fff0}' } else { letter }).flat_map(char::to_lowercase).collect()
}

/// The value stands somewhere in the event, as a part of a word too.
fn has(stored: &Stored, value: &str, fields: &[String]) -> bool {
    let wanted = lower(value.trim());
    let is_in = |text: &str| lower(text).contains(&wanted);
    let named = |field: &Field| fields.iter().any(|name| name.eq_ignore_ascii_case(field.name()));
    let of_field = |(field, value): &(Field, Value)| {
        let is_asked = |one: &Value| matches!(one, Value::Text(_) | Value::Ip(_)) || named(field);
        value.each().filter(|one| is_asked(one)).any(|one| one.as_text().is_some_and(|text| is_in(&text)))
    };
    is_in(&String::from_utf8_lossy(&stored.event.original)) || stored.event.fields().iter().any(of_field)
}

fn segment_of(events: Vec<Event>) -> (tempfile::TempDir, Vec<Stored>, LiveSegment) {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn crate::Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
    disk.create_folder("segments/1-events").unwrap();
    let stored = |(seq, event)| Stored { seq: nhatle_event::Seq(seq), committed: Timestamp(7), event };
    let events: Vec<Stored> = (1..).zip(events).map(stored).collect();
    let options = WriteOptions { dataset: Dataset::Events, tier: segment::meta::Tier::Recent };
    let meta = segment::write(&*disk, "segments/1-events", &events.iter().collect::<Vec<_>>(), &options).unwrap();
    (folder, events, LiveSegment::new(disk, meta, SegmentForm::Columns))
}

/// How many rows are read; each event that has the value is among them.
#[track_caller]
fn check(live: &LiveSegment, events: &[Stored], value: &str, fields: &[String]) -> usize {
    let mention = Mention::of(value, fields);
    let narrowed = Narrowed { query: Query::parse("").unwrap(), mention };
    let rows = narrowed.rows(&live.open().unwrap()).unwrap();
    let all = live.open().unwrap().rows().unwrap();
    for (row, stored) in all.iter().enumerate() {
        let is_left_out = rows.as_ref().is_some_and(|rows| !rows.contains(row));
        assert!(!is_left_out || !has(stored, value, fields), "{value:?} is in {stored:?}");
    }
    let mut seen = Vec::new();
    live.each_of(&narrowed, &mut |events| {
        seen.extend(events.iter().map(|stored| stored.seq));
        true
    })
    .unwrap();
    assert!(events.iter().all(|stored| !has(stored, value, fields) || seen.contains(&stored.seq)), "{value:?}");
    seen.len()
}

const FRAGMENTS: [&str; 30] = [
    "an",
    "Nguyen",
    "nguyễn",
    ".",
    "van",
    "\u{301}",
    "10.0.0.7",
    "5.",
    ".7",
    "0",
    "KELVIN\u{212a}",
    "İ",
    "ß",
    "đ",
    "Đ",
    "\u{5b0}",
    "\u{1}",
    " ",
    "\\",
    "\"",
    "@",
    "a",
    "x",
    "-",
    "…",
    "2001:db8::1",
    "ſ",
    "Σ",
    "7",
    "1b",
];
const VALUES: [&str; 22] = [
    "nguyen.van.an",
    "An",
    "10.0.0.7",
    "nguyễn an",
    "kelvink",
    "i",
    "ß",
    "an@x",
    "5.10.0.0.7",
    "0.7",
    "a\"b",
    "đan",
    "σ",
    "van\\an",
    "…an…",
    "an\u{301}",
    "x-an",
    "2001:db8::1",
    "1001",
    "s",
    "7",
    "\u{1}an",
];

/// Values of fields by the numbers of their names, the bytes as received, and whether they begin with one that is of no text.
type Made = (Vec<(usize, Value)>, String, bool);

fn fields() -> Vec<String> {
    ["user.name", "user.id", "Vendor.Account", "source.ip"].map(str::to_owned).to_vec()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(0..FRAGMENTS.len(), 0..7).prop_map(|at| at.into_iter().map(|at| FRAGMENTS[at]).collect()),
        (0..VALUES.len(), 0..FRAGMENTS.len(), 0..FRAGMENTS.len()).prop_map(|(value, before, behind)| format!(
            "{}{}{}",
            FRAGMENTS[before],
            VALUES[value].to_uppercase(),
            FRAGMENTS[behind]
        )),
        (0..VALUES.len(), 100usize..300).prop_map(|(value, long)| format!("{}{}", "w".repeat(long), VALUES[value])),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(|text| Value::from(text.as_str())),
        1 => Just(Value::Ip([10, 0, 0, 7].into())),
        1 => prop_oneof![Just(1001i64), Just(7)].prop_map(Value::Long),
        1 => Just(Value::Double(0.7)),
        1 => prop::collection::vec(text().prop_map(|text| Value::from(text.as_str())), 2..4).prop_map(Value::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn no_row_that_has_the_value_is_left_out(
        events in prop::collection::vec((prop::collection::vec((0usize..7, value()), 0..5), text(), any::<bool>()), 1..12),
    ) {
        let names = ["message", "user.name", "user.id", "vendor.account", "source.ip", "host.name", "vendor.Other"];
        let event = |(at, (values, bytes, is_torn)): (usize, Made)| {
            let mut bytes = bytes.into_bytes();
            if is_torn {
                bytes.insert(0, 0xff);
            }
            let mut event = Event::new(Timestamp(at as i64), bytes);
            values.into_iter().for_each(|(name, value)| event.set_named(names[name], value));
            event
        };
        let (_folder, events, live) = segment_of(events.into_iter().enumerate().map(event).collect());
        for value in VALUES {
            check(&live, &events, value, &fields());
            check(&live, &events, value, &["process.pid".to_owned()]);
        }
    }
}

#[test]
fn lower_case_is_what_the_pattern_takes_for_the_same() {
    for letter in '\0'..=char::MAX {
        let mut small = letter.to_lowercase();
        let (Some(one), None) = (small.next(), small.next()) else { continue };
        if one == letter || one.is_ascii() && letter.is_ascii() {
            continue;
        }
        assert!(form_of(&one.to_string()).unwrap().is_match(letter.to_string().as_bytes()), "{letter} is {one}");
    }
}

/// Events of many, some of one person: in a field, in the bytes only, in a row with more words than are indexed.
fn city() -> Vec<Event> {
    let event = |number: i64| {
        let mut event = Event::new(Timestamp(number), format!("line {number} of a host").into_bytes());
        event.set(Field::MESSAGE, format!("line {number}"));
        event.set_named("user.name", format!("user{}", number % 97).as_str());
        event.set(Field::SOURCE_IP, Value::Ip([10, 0, (number % 50) as u8, 7].into()));
        match number {
            500 => event.set_named("user.name", "Nguyen.Van.An"),
            900 => event.original = b"\xffby NGUYEN.VAN.AN!"[..].into(),
            1_300 => {
                let words: String = (0..9_000).map(|word| format!("w{word} ")).collect();
                event.set(Field::MESSAGE, format!("{words} nguyen.van.an").as_str());
            }
            _ => {}
        }
        event
    };
    (0..2_000).map(event).collect()
}

#[test]
fn most_of_a_segment_is_not_decoded() {
    let (_folder, events, live) = segment_of(city());
    assert_eq!(check(&live, &events, "nguyen.van.an", &fields()), 3);
    assert_eq!(check(&live, &events, "nobody.at.all", &fields()), 1, "whose words are not all known");
    assert_eq!(check(&live, &events, "!!", &fields()), 2_000, "nothing to ask the index for");
    let query = Query::parse("user.name:nguyen*").unwrap();
    let narrowed = Narrowed { query, mention: None };
    assert_eq!(narrowed.rows(&live.open().unwrap()).unwrap().map(|rows| rows.count()), Some(2));
}

#[test]
fn erasing_what_is_narrowed_is_erasing_what_is_not() {
    let change = |stored: &Stored| {
        has(stored, "nguyen.van.an", &fields()).then(|| {
            let mut event = Event::new(stored.event.timestamp, *b"gone");
            event.set(Field::MESSAGE, "gone");
            event
        })
    };
    let narrowed = Narrowed { query: Query::parse("").unwrap(), mention: Mention::of("Nguyen.Van.An", &fields()) };
    let left = [None, Some(&narrowed)].map(|narrowed| {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(OsDisk::new(folder.path()).unwrap());
        let store = Store::open(disk, Config::default(), Arc::new(SimClock::new(5))).unwrap();
        let mut events = city();
        let rest = events.split_off(1_000);
        for part in [events, rest, (0..20).map(|at| Event::new(Timestamp(at), *b"other")).collect()] {
            store.append(part.into_iter().map(|event| (Dataset::Events, event)).collect(), &[]).unwrap();
            store.seal().unwrap();
        }
        let dirs: Vec<String> =
            store.snapshot().segments(Dataset::Events).map(|segment| segment.meta().dir.clone()).collect();
        let erasure = Erasure { number: 1, basis: "b", by: "lan", narrowed, change: &change };
        let done: Vec<u64> = dirs
            .iter()
            .filter_map(|dir| store.erase(dir, &erasure, &mut || true).unwrap())
            .map(|one| one.events)
            .collect();
        assert_eq!(done, [2, 1]);
        store.snapshot().events_after(Dataset::Events, nhatle_event::Seq(0), 10_000).unwrap()
    });
    assert_eq!(left[0], left[1]);
}

#[test]
fn damaged_bytes_are_said() {
    let (folder, _, live) = segment_of(city());
    let path = folder.path().join(live.meta().path(ROWS_FILE));
    let mut bytes = std::fs::read(&path).unwrap();
    // In the first page of the bytes as received, or at least in some column before the footer.
    let middle = bytes.len() / 2;
    bytes.iter_mut().skip(middle / 2).step_by(997).take(200).for_each(|byte| *byte ^= 1);
    std::fs::write(&path, bytes).unwrap();
    let narrowed = Narrowed { query: Query::parse("").unwrap(), mention: Mention::of("nobody.at.all", &fields()) };
    let error = live.each_of(&narrowed, &mut |_| true).unwrap_err();
    assert!(error.to_string().contains(ROWS_FILE), "{error}");
}
