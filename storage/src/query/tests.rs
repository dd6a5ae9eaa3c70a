//! Answers compared with the plain meaning of a query: every event looked at, one by one.

use std::sync::Arc;

use nhatle_event::{Event, Field, Seq, Stored, Text, Timestamp, Value};
use proptest::prelude::*;

use super::{Cursor, Filter, Order, Page, Query, is_in_units};
use crate::dataset::Dataset;
use crate::disk::{Disk, OsDisk};
use crate::live::{LiveSegment, SegmentForm};
use crate::memtable::{Chunk, Memtable};
use crate::segment::meta::{Tier, WriteOptions};
use crate::segment::tests_old::write_version_1;
use crate::snapshot::Snapshot;

/// A store of some segments and some events in memory.
pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub snapshot: Snapshot,
    pub all: Vec<Stored>,
}

/// Sealed pieces, then what is in memory only.
pub(crate) fn world(pieces: &[Vec<Event>], recent: &[Event]) -> World {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
    let mut all: Vec<Stored> = Vec::new();
    let mut segments = Vec::new();
    let store = |events: &[Event], all: &mut Vec<Stored>| -> Vec<Stored> {
        let first = all.len() as u64 + 1;
        let stored = (first..).zip(events).map(|(seq, event)| Stored {
            seq: Seq(seq),
            committed: Timestamp(7),
            event: event.clone(),
        });
        let stored: Vec<Stored> = stored.collect();
        all.extend(stored.iter().cloned());
        stored
    };
    for (at, events) in pieces.iter().enumerate().filter(|(_, events)| !events.is_empty()) {
        let dir = format!("segments/{at}");
        disk.create_folder(&dir).unwrap();
        let options = WriteOptions { dataset: Dataset::Events, tier: Tier::Recent };
        let stored = store(events, &mut all);
        // Every third is one of before.
        let meta = match at % 3 {
            2 => write_version_1(&*disk, &dir, &stored, &options),
            _ => crate::segment::write(&*disk, &dir, &stored, &options).unwrap(),
        };
        segments.push(Arc::new(LiveSegment::new(disk.clone(), meta, SegmentForm::Columns)));
    }
    let mut memtable = Memtable::default();
    if !recent.is_empty() {
        let rows = store(recent, &mut all);
        memtable.push(Chunk::new(&rows, &vec![Dataset::Events; rows.len()], 1));
    }
    let last = Seq(all.len() as u64);
    World { _folder: folder, snapshot: Snapshot::new(vec![memtable], Arc::new(segments), last), all }
}

impl World {
    /// What the query is about, newest first, by looking at every event.
    pub fn expected(&self, query: &Query) -> Vec<u64> {
        let mut found: Vec<&Stored> = self.all.iter().filter(|stored| query.matches(stored)).collect();
        found.sort_by_key(|stored| std::cmp::Reverse(Cursor::behind(stored)));
        found.iter().map(|stored| stored.seq.0).collect()
    }

    #[track_caller]
    fn check(&self, query: &Query, page_limit: usize) {
        let expected = self.expected(query);
        let line = query.filter.to_string();
        assert_eq!(self.snapshot.count_matches(query).unwrap(), expected.len() as u64, "count of {line}");
        let mut page = Page::first(page_limit);
        let mut found = Vec::new();
        loop {
            let hits = self.snapshot.search(query, &page).unwrap();
            assert_eq!((hits.total, hits.total_is_exact), (expected.len() as u64, true), "total of {line}");
            assert!(hits.hits.len() <= page_limit);
            for hit in &hits.hits {
                let whole = &self.all[usize::try_from(hit.seq.0).unwrap() - 1];
                assert_eq!(
                    nhatle_event::json::stored_to_json(hit, nhatle_event::json::Shape::Dotted).as_object().map(sorted),
                    nhatle_event::json::stored_to_json(whole, nhatle_event::json::Shape::Dotted)
                        .as_object()
                        .map(sorted)
                );
            }
            found.extend(hits.hits.iter().map(|stored| stored.seq.0));
            let Some(cursor) = hits.cursor else { break };
            page = page.behind(Cursor::parse(&cursor.to_string()).unwrap());
        }
        assert_eq!(found, expected, "hits of {line}");
        let oldest = Page { limit: expected.len() + 1, cursor: None, order: Order::OldestFirst };
        let mut oldest: Vec<u64> =
            self.snapshot.search(query, &oldest).unwrap().hits.iter().map(|stored| stored.seq.0).collect();
        oldest.reverse();
        assert_eq!(oldest, expected, "oldest first, {line}");
        let histogram = self.snapshot.histogram(query, 7).unwrap();
        assert_eq!(histogram.iter().map(|(_, count)| count).sum::<u64>(), expected.len() as u64, "histogram of {line}");
    }
}

fn sorted(map: &serde_json::Map<String, serde_json::Value>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = map.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    pairs.sort();
    pairs
}

const WORDS: [&str; 14] = [
    "failed",
    "Password",
    "root",
    "đăng",
    "dang",
    "nhập",
    "Đồng Hới",
    "hoà",
    "hòa",
    "10.0.0.7",
    "22",
    "cmd.exe",
    "a_b",
    "xin-chào",
];
const FIELDS: [&str; 12] = [
    "message",
    "user.name",
    "source.ip",
    "source.port",
    "process.command_line",
    "winlog.event_data.Image",
    "log.offset",
    "Message",
    "tags",
    "event.start",
    "nhatle.unit",
    "json.Count",
];

fn text() -> impl Strategy<Value = String> {
    let joint = prop_oneof![Just(" "), Just("/"), Just(".")];
    (proptest::collection::vec(0..WORDS.len(), 1..4), joint)
        .prop_map(|(words, joint)| words.iter().map(|at| WORDS[*at]).collect::<Vec<_>>().join(joint))
}

fn value() -> impl Strategy<Value = Value> {
    let single = || {
        prop_oneof![
            6 => text().prop_map(Value::from),
            2 => (0i64..30).prop_map(Value::Long),
            1 => Just(Value::Null),
            1 => any::<bool>().prop_map(Value::Boolean),
            1 => (0i64..30).prop_map(|number| Value::Double(number as f64 / 2.0)),
            2 => (0u32..12).prop_map(|last| Value::Ip(std::net::Ipv4Addr::from(0x0a00_0000 + last).into())),
            1 => (0i64..100).prop_map(|second| Value::Date(Timestamp::from_seconds(second))),
            1 => (250usize..260).prop_map(|length| Value::from("x".repeat(length))),
        ]
    };
    prop_oneof![5 => single(), 1 => proptest::collection::vec(single(), 0..3).prop_map(Value::List)]
}

fn event() -> impl Strategy<Value = Event> {
    (0i64..50, proptest::collection::vec((0..FIELDS.len(), value()), 0..6)).prop_map(|(second, fields)| {
        let mut event = Event::new(Timestamp::from_seconds(second), *b"original bytes");
        fields.into_iter().for_each(|(at, value)| event.set_named(FIELDS[at], value));
        event
    })
}

fn test_line() -> impl Strategy<Value = String> {
    let word = || (0..WORDS.len()).prop_map(|at| WORDS[at]);
    let field = || {
        (0..FIELDS.len()).prop_map(|at| ["Image", "@timestamp", "nhatle.seq"].get(at).copied().unwrap_or(FIELDS[at]))
    };
    prop_oneof![
        3 => text().prop_map(|text| format!("\"{text}\"")),
        2 => word().prop_map(|word| word.split(' ').next().unwrap_or(word).to_owned()),
        1 => word().prop_map(|word| format!("{}*", word.chars().take(2).collect::<String>().trim())),
        1 => word().prop_map(|word| format!("?{}", word.chars().skip(1).collect::<String>().replace(' ', "\\ "))),
        3 => (field(), text()).prop_map(|(field, text)| format!("{field}:\"{text}\"")),
        2 => (field(), word()).prop_map(|(field, word)| format!("{field}:{}*", word.split(' ').next().unwrap_or(word))),
        1 => (field(), word()).prop_map(|(field, word)| format!("{field}:/{}/", word.to_lowercase())),
        1 => field().prop_map(|field| format!("{field}:*")),
        1 => (field(), 0..30).prop_map(|(field, number)| format!("{field}:>={number}")),
        1 => (field(), 0..30, 0..30).prop_map(|(field, low, high)| format!("{field}:{{{low} TO {high}]")),
        1 => field().prop_map(|field| format!("{field}:10.0.0.0/29")),
        1 => (field(), 250usize..260).prop_map(|(field, length)| format!("{field}:{}", "x".repeat(length))),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let two = |word: &'static str| move |(one, other): (String, String)| format!("({one} {word} {other})");
    test_line().prop_recursive(3, 8, 2, move |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(two("AND")),
            (inner.clone(), inner.clone()).prop_map(two("OR")),
            inner.prop_map(|inner| format!("NOT {inner}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_index_gives_what_looking_at_every_event_gives(
        pieces in proptest::collection::vec(proptest::collection::vec(event(), 0..40), 0..3),
        recent in proptest::collection::vec(event(), 0..10),
        lines in proptest::collection::vec(line(), 12),
        times in (0i64..50, 0i64..60),
        units in proptest::option::of(proptest::collection::vec(0..WORDS.len(), 0..4)),
        page_limit in 1usize..20,
    ) {
        let world = world(&pieces, &recent);
        for line in lines.iter().map(String::as_str).chain(["*"]) {
            let query = Query::parse(line).unwrap_or_else(|error| panic!("{line}: {error:?}"));
            world.check(&query, page_limit);
            let mut query = query.between(Timestamp::from_seconds(times.0), Timestamp::from_seconds(times.1));
            query.units = units.as_ref().map(|units| units.iter().map(|at| Text::from(WORDS[*at])).collect());
            world.check(&query, page_limit);
        }
    }
}

pub(super) fn simple(second: i64, fields: &[(&str, &str)]) -> Event {
    let mut event = Event::new(Timestamp::from_seconds(second), *b"bytes");
    fields.iter().for_each(|(name, value)| event.set_named(name, *value));
    event
}

#[test]
fn vietnamese_is_found_without_marks_and_marks_are_kept_when_typed() {
    let messages =
        ["Đăng nhập thất bại từ phường Đồng Hới", "dang nhap that bai", "xã Đức Ninh Đông", "Dục Ninh", "hoà bình"];
    let events: Vec<Event> = messages.iter().map(|message| simple(1, &[("message", message)])).collect();
    let world = world(&[events], &[]);
    for (line, expected) in [
        ("dang nhap", vec![2, 1]),
        ("đăng nhập", vec![1]),
        ("\"dong hoi\"", vec![1]),
        ("\"Đồng Hới\"", vec![1]),
        ("duc ninh", vec![4, 3]),
        ("\"Đức Ninh\"", vec![3]),
        ("hòa", vec![5]),
        ("message:dang*", vec![2, 1]),
    ] {
        let hits = world.snapshot.search(&Query::parse(line).unwrap(), &Page::first(10)).unwrap();
        assert_eq!(hits.hits.iter().map(|hit| hit.seq.0).collect::<Vec<_>>(), expected, "{line}");
    }
}

#[test]
fn a_cursor_gives_each_hit_once_while_events_are_appended() {
    let events: Vec<Event> = (0..30).map(|second| simple(second / 3, &[("user.name", "root")])).collect();
    let before = world(&[events[..20].to_vec()], &events[20..]);
    let query = Query::parse("user.name:root").unwrap();
    let first = before.snapshot.search(&query, &Page::first(10)).unwrap();
    let mut more = events.clone();
    more.extend((0..5).map(|second| simple(second, &[("user.name", "root")])));
    let after = world(&[more[..30].to_vec()], &more[30..]);
    let mut page = Page::first(10).behind(first.cursor.unwrap());
    let mut seen: Vec<u64> = first.hits.iter().map(|hit| hit.seq.0).collect();
    loop {
        let hits = after.snapshot.search(&query, &page).unwrap();
        seen.extend(hits.hits.iter().map(|hit| hit.seq.0));
        let Some(cursor) = hits.cursor else { break };
        page = page.behind(cursor);
    }
    for seq in 1..=30 {
        assert_eq!(seen.iter().filter(|one| **one == seq).count(), 1, "{seq}");
    }
    assert_eq!(seen.len(), seen.iter().collect::<std::collections::BTreeSet<_>>().len());
}

#[test]
fn a_limit_to_units_holds_for_every_answer() {
    let of = |unit: &str| simple(1, &[("nhatle.unit", unit), ("host.name", "h"), ("user.name", unit)]);
    let events = [of("dong-hoi"), of("Dong-Hoi"), of("đồng-hới"), simple(1, &[("host.name", "h")]), of("nam-ly")];
    let mut list = Event::new(Timestamp::from_seconds(1), *b"x");
    list.set(Field::NHATLE_UNIT, Value::List(vec!["dong-hoi".into(), "nam-ly".into()]));
    let mut all = events.to_vec();
    all.push(list);
    let world = world(&[all[..3].to_vec()], &all[3..]);
    let units = [Text::from("dong-hoi")];
    let query = Query::new(Filter::All).for_units(&units);
    let seqs = |stored: &[Stored]| stored.iter().map(|one| one.seq.0).collect::<Vec<_>>();
    assert_eq!(seqs(&world.snapshot.search(&query, &Page::first(10)).unwrap().hits), vec![1]);
    assert_eq!(world.snapshot.count_matches(&query).unwrap(), 1);
    assert_eq!(world.snapshot.histogram(&query, 3).unwrap().iter().map(|one| one.1).sum::<u64>(), 1);
    let facets = world.snapshot.facets(&query, &[Field::USER_NAME], 9).unwrap();
    assert_eq!(facets[0].values, vec![("dong-hoi".to_owned(), 1)]);
    assert_eq!(seqs(&world.snapshot.around(Seq(1), 9, Some(&units)).unwrap()), vec![1]);
    assert!((2..=6).all(|seq| world.snapshot.get(Seq(seq), Some(&units)).unwrap().is_none()));
    assert!(world.snapshot.around(Seq(2), 9, Some(&units)).unwrap().is_empty());
    let none = Query::new(Filter::All).for_units(&[]);
    assert_eq!(world.snapshot.count_matches(&none).unwrap(), 0);
    assert!(!is_in_units(Some(&units), &world.all[5]));
}

#[test]
fn single_events_neighbors_and_replay() {
    let events: Vec<Event> =
        (0..20i64).map(|at| simple(20 - at, &[("host.name", if at % 2 == 0 { "web" } else { "db" })])).collect();
    let world = world(&[events[..7].to_vec(), events[7..14].to_vec()], &events[14..]);
    for seq in 1..=20 {
        let (dataset, stored) = world.snapshot.get(Seq(seq), None).unwrap().unwrap();
        assert_eq!((dataset, stored.seq), (Dataset::Events, Seq(seq)));
    }
    assert!(world.snapshot.get(Seq(21), None).unwrap().is_none());
    // Several at once: in the order asked for, some twice, one that is not there.
    let seqs: Vec<Seq> = [20, 3, 21, 1, 3, 11].map(Seq).to_vec();
    let one_by_one: Vec<Stored> =
        seqs.iter().filter_map(|seq| world.snapshot.get(*seq, None).unwrap()).map(|(_, stored)| stored).collect();
    assert_eq!(world.snapshot.get_all(&seqs).unwrap(), one_by_one);
    assert_eq!(one_by_one.len(), 5);
    let around = world.snapshot.around(Seq(9), 2, None).unwrap();
    assert_eq!(around.iter().map(|one| one.seq.0).collect::<Vec<_>>(), vec![13, 11, 9, 7, 5]);
    let mut after = Seq(0);
    let mut seen = Vec::new();
    loop {
        let some = world.snapshot.events_after(Dataset::Events, after, 3).unwrap();
        let Some(last) = some.last() else { break };
        after = last.seq;
        seen.extend(some.iter().map(|one| one.seq.0));
    }
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    let facets = world.snapshot.facets(&Query::new(Filter::All), &[Field::HOST_NAME, Field::USER_NAME], 1).unwrap();
    assert_eq!(facets[0].values, vec![("db".to_owned(), 10)]);
    assert!(facets[0].is_exact && facets[1].values.is_empty());
}

#[test]
fn a_damaged_segment_is_an_error_and_not_a_shorter_answer() {
    let events: Vec<Event> = (0..50).map(|second| simple(second, &[("user.name", "root")])).collect();
    for (file, seed) in [("rows.parquet", 30), ("words.index", 40)] {
        let world = world(std::slice::from_ref(&events), &[]);
        let path = world._folder.path().join("segments/0").join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[seed] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = world.snapshot.search(&Query::parse("user.name:root").unwrap(), &Page::first(50)).unwrap_err();
        assert!(error.to_string().contains(file), "{error}");
    }
}
