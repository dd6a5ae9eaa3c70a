//! One meaning, two directions: what is found in stored events is what the stream finds, and what is not read
//! could not have matched. On rules and events made at random, and on the corpus.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use nhatle::hunt::{Detail, Hunter, Pace, Range, Reading};
use nhatle_collector::listen::file::{FileEntries, FileOptions, files_below};
use nhatle_engine::correlate::{Arrived, CorrelationMatch, Correlator, Limits, Withdrawn};
use nhatle_engine::detect::Detector;
use nhatle_event::{Event, Field, Stored, SystemClock, Timestamp, Value};
use nhatle_rules::{LoadOptions, RuleSet};
use nhatle_storage::{Config, Dataset, OsDisk, Snapshot, Store};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use crate::support::corpus;

/// A kind of field each: running text, exact values, numbers with and without terms, a vendor's, names that are
/// the same to a rule.
const FIELDS: [&str; 9] = [
    "message",
    "process.command_line",
    "user.name",
    "source.ip",
    "destination.port",
    "http.response.body.bytes",
    "Custom",
    "Threat Name",
    "ThreatName",
];
const WORDS: [&str; 24] = [
    "system",
    "SYSTEM",
    "ſyſtem",
    "\u{212a}ey",
    "cmd",
    "CMD.exe",
    "/c",
    "10.0.0.1",
    "10.0.0",
    "1",
    "22",
    "22.0",
    "true",
    "đăng",
    "Đăng nhập",
    "nhập",
    "İs",
    "ß",
    "s",
    "a\tb",
    "xMimikatzy",
    "e\u{301}s",
    "x",
    "\u{1}",
];
const GAPS: [&str; 7] = ["", "", " ", ".", "-", "/", "\\"];

fn text() -> impl Strategy<Value = String> {
    let part = (select(&WORDS[..]), select(&GAPS[..]));
    let text = proptest::collection::vec(part, 1..4)
        .prop_map(|parts| parts.iter().flat_map(|(word, behind)| [*word, *behind]).collect::<String>());
    // As long as to be cut in the index, now and then.
    (text, prop_oneof![12 => Just(1usize), 1 => 20usize..60]).prop_map(|(text, times)| text.repeat(times))
}

/// The same to a rule, or nearly so.
#[derive(Clone, Copy, Debug)]
enum Twist {
    As,
    Upper,
    Lower,
    LongS,
}

fn twisted(text: &str, twist: Twist) -> String {
    match twist {
        Twist::As => text.to_owned(),
        Twist::Upper => text.to_uppercase(),
        Twist::Lower => text.to_lowercase(),
        Twist::LongS => text.replace(['s', 'S'], "ſ"),
    }
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![3 => Just(Twist::As), 1 => Just(Twist::Upper), 1 => Just(Twist::Lower), 1 => Just(Twist::LongS)]
}

/// What a field of an event has: one of the texts of the case, or something else.
#[derive(Clone, Debug)]
enum Holds {
    Text(Index, Twist),
    Other(Value),
}

fn holds() -> impl Strategy<Value = Holds> {
    let other = prop_oneof![
        1 => Just(Value::Null),
        2 => select(vec![22i64, 1]).prop_map(Value::Long),
        1 => Just(Value::Double(22.0)),
        1 => any::<bool>().prop_map(Value::Boolean),
        2 => select(vec!["10.0.0.1", "203.0.113.9", "::1"]).prop_map(|text| Value::Ip(text.parse().unwrap())),
        1 => Just(Value::List(vec![Value::Null, Value::Long(22), Value::from("x system")])),
        1 => Just(Value::List(Vec::new())),
    ];
    prop_oneof![4 => (any::<Index>(), twist()).prop_map(|(index, twist)| Holds::Text(index, twist)), 1 => other.prop_map(Holds::Other)]
}

/// An event still without the texts.
#[derive(Clone, Debug)]
struct Draft {
    fields: Vec<(&'static str, Holds)>,
    second: i64,
    module: &'static str,
}

fn draft() -> impl Strategy<Value = Draft> {
    let fields = proptest::collection::vec((select(&FIELDS[..]), holds()), 1..6);
    let modules = select(vec!["windows", "linux", "other"]);
    (fields, 0i64..600, modules).prop_map(|(fields, second, module)| Draft { fields, second, module })
}

fn event(draft: &Draft, texts: &[String]) -> Event {
    let mut event = Event::new(Timestamp(draft.second * 1_000_000_000), *b"raw");
    event.set(Field::EVENT_MODULE, draft.module);
    if draft.module == "windows" {
        event.set(Field::WINLOG_CHANNEL, "Security");
    }
    for (name, holds) in &draft.fields {
        match holds {
            Holds::Text(index, twist) => event.set_named(name, twisted(index.get(texts).as_str(), *twist)),
            Holds::Other(value) => event.set_named(name, value.clone()),
        }
    }
    event
}

/// A piece of one of the texts of the case.
#[derive(Clone, Debug)]
struct Piece(Index, Twist, Index, Index);

impl Piece {
    fn of(&self, texts: &[String]) -> String {
        let letters: Vec<char> = self.0.get(texts).chars().collect();
        let (a, b) = (self.2.index(letters.len() + 1), self.3.index(letters.len() + 1));
        let piece: String = letters[a.min(b)..a.max(b)].iter().take(80).collect();
        twisted(&piece, self.1)
    }
}

#[derive(Clone, Debug)]
enum Search {
    Field(&'static str, &'static str, Vec<Piece>),
    Whole(&'static str, Index, Twist),
    Wild(&'static str, Piece, &'static str, Piece),
    Other(&'static str, &'static str),
    Keywords(Vec<Piece>),
}

fn search() -> impl Strategy<Value = Search> {
    const MODIFIERS: &[&str] = &["|contains", "|startswith", "|endswith", "|cased", "|contains|cased"];
    const OTHER: &[&str] = &[
        "|re: '(?i)system.*'",
        "|re: '^$'",
        "|cidr: 10.0.0.0/8",
        "|gt: 21",
        "|lte: 22",
        "|exists: true",
        "|exists: false",
        ": null",
        ": 22",
        "|fieldref: user.name",
        "|re: 'c[m]d|mimi'",
    ];
    let piece = || (any::<Index>(), twist(), any::<Index>(), any::<Index>()).prop_map(|(a, b, c, d)| Piece(a, b, c, d));
    let field = || select(&FIELDS[..]);
    let pieces = || proptest::collection::vec(piece(), 1..3);
    prop_oneof![
        8 => (field(), select(MODIFIERS), pieces()).prop_map(|(name, modifier, pieces)| Search::Field(name, modifier, pieces)),
        3 => (field(), any::<Index>(), twist()).prop_map(|(name, index, twist)| Search::Whole(name, index, twist)),
        2 => (field(), piece(), select(vec!["*", "?", "*x"]), piece())
            .prop_map(|(name, a, wild, b)| Search::Wild(name, a, wild, b)),
        3 => (field(), select(OTHER)).prop_map(|(name, test)| Search::Other(name, test)),
        2 => pieces().prop_map(Search::Keywords),
    ]
}

/// The search as YAML.
fn search_text(search: &Search, texts: &[String]) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    // A backslash of a value is its own in Sigma where it stands before a wildcard only if it is doubled.
    let literal = |text: String| text.replace('\\', "\\\\");
    let list = |pieces: &[Piece], around: &str| {
        let one = |piece: &Piece| quoted(&format!("{around}{}{around}", literal(piece.of(texts))));
        pieces.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match search {
        Search::Field(name, modifier, pieces) => {
            format!("{{{}: [{}]}}", quoted(&format!("{name}{modifier}")), list(pieces, ""))
        }
        Search::Whole(name, index, twist) => {
            format!("{{{}: {}}}", quoted(name), quoted(&literal(twisted(index.get(texts).as_str(), *twist))))
        }
        Search::Wild(name, a, wild, b) => {
            let value = format!("{}{wild}{}", literal(a.of(texts)), literal(b.of(texts)));
            format!("{{{}: {}}}", quoted(name), quoted(&value))
        }
        Search::Other(name, test) => {
            let (modifier, value) = test.split_once(": ").unwrap();
            format!("{{{}: {value}}}", quoted(&format!("{name}{modifier}")))
        }
        Search::Keywords(pieces) => format!("[{}]", list(pieces, "*")),
    }
}

type RuleDraft = (&'static str, Search, Search, &'static str);

fn rule() -> impl Strategy<Value = RuleDraft> {
    const SOURCES: &[&str] =
        &["{category: test}", "{category: test}", "{product: windows, service: security}", "{product: linux}"];
    const CONDITIONS: &[&str] =
        &["a", "a", "a", "a", "a and b", "a or b", "a and not b", "not a", "not (a or b)", "1 of them"];
    (select(SOURCES), search(), search(), select(CONDITIONS))
}

fn rule_text((source, a, b, condition): &RuleDraft, texts: &[String]) -> String {
    let (a, b) = (search_text(a, texts), search_text(b, texts));
    format!("title: t\nlogsource: {source}\ndetection:\n  a: {a}\n  b: {b}\n  condition: {condition}\n")
}

fn load(texts: &[String]) -> RuleSet {
    let named = |(number, text): (usize, &String)| {
        let id = format!("id: 00000000-0000-4000-8000-{number:012}\n");
        (PathBuf::from(format!("{number}.yml")), format!("{id}{text}"))
    };
    RuleSet::from_texts(&texts.iter().enumerate().map(named).collect::<Vec<_>>(), &LoadOptions::default())
}

struct World {
    _folder: tempfile::TempDir,
    snapshot: Snapshot,
    /// As they were appended.
    batches: Vec<Arc<[Stored]>>,
}

/// Appends batches, sealing behind those that say so.
fn world(batches: Vec<(Vec<Event>, bool)>) -> World {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OsDisk::new(folder.path()).unwrap());
    let store =
        Store::open(disk, Config { backlog_bytes_max: 4 << 30, ..Config::default() }, Arc::new(SystemClock)).unwrap();
    let mut appended = Vec::new();
    for (events, is_sealed) in batches {
        let rows = events.into_iter().map(|event| (Dataset::Events, event)).collect();
        appended.push(store.append(rows, &[]).unwrap());
        if is_sealed {
            store.seal().unwrap();
        }
    }
    World { snapshot: store.snapshot(), _folder: folder, batches: appended }
}

/// Rule and event of each match, and the firings.
type Found = (BTreeSet<(String, u64)>, Vec<String>);

fn hunt(rules: &Arc<RuleSet>, snapshot: &Snapshot, range: Range, reading: Reading, detail: Detail) -> (Found, u64) {
    let hunter = Hunter::new(rules.clone(), reading);
    let mut matches = BTreeSet::new();
    let mut is_once = true;
    let ended = hunter
        .run(snapshot, range, detail, Pace::AllCores, |looked| {
            for one in looked.matches {
                let rule = &rules.rules[one.rule.0 as usize].meta.id;
                is_once &= matches.insert((rule.clone(), looked.events[one.position].seq.0));
                assert!(detail == Detail::Projected || !looked.events[one.position].event.original.is_empty());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(is_once && !ended.is_stopped);
    ((matches, ended.fired.iter().map(|one| name_of(rules, one)).collect()), ended.progress.read)
}

fn name_of(rules: &RuleSet, one: &CorrelationMatch) -> String {
    let id = &rules.correlations[one.correlation.0 as usize].meta.id;
    format!("{id} {:?} {} {} {} {:?}", one.group, one.start, one.end, one.count, one.events)
}

fn batches() -> impl Strategy<Value = Vec<(Vec<Draft>, bool)>> {
    let batch = (proptest::collection::vec(draft(), 1..16), proptest::bool::weighted(0.7));
    proptest::collection::vec(batch, 1..4)
}

fn drawn(batches: Vec<(Vec<Draft>, bool)>, texts: &[String]) -> World {
    let drawn =
        |(drafts, is_sealed): (Vec<Draft>, bool)| (drafts.iter().map(|draft| event(draft, texts)).collect(), is_sealed);
    world(batches.into_iter().map(drawn).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_read_could_not_have_matched(
        texts in proptest::collection::vec(text(), 1..5),
        rules in proptest::collection::vec(rule(), 1..40),
        batches in batches(),
        times in (0i64..600, 0i64..800),
    ) {
        let rule_texts: Vec<String> = rules.iter().map(|rule| rule_text(rule, &texts)).collect();
        let rules = load(&rule_texts);
        let world = drawn(batches, &texts);
        let second = |second: i64| Timestamp(second * 1_000_000_000);
        let ids: Vec<String> = rules.rules.iter().map(|rule| rule.meta.id.clone()).collect();
        let all = Arc::new(rules.clone());
        for range in [Range::ALL, Range { from: second(times.0), to: second(times.1) }] {
            let (expected, _) = hunt(&all, &world.snapshot, range, Reading::Everything, Detail::Whole);
            let (found, _) = hunt(&all, &world.snapshot, range, Reading::Candidates, Detail::Whole);
            prop_assert_eq!(&found, &expected, "{:#?}", rule_texts);
            for id in &ids {
                let one = Arc::new(rules.only(&[id]));
                let (found, _) = hunt(&one, &world.snapshot, range, Reading::Candidates, Detail::Projected);
                let of_rule: BTreeSet<_> = expected.0.iter().filter(|(rule, _)| rule == id).cloned().collect();
                prop_assert_eq!(&found.0, &of_rule, "{}", one.rules[0].meta.text);
            }
        }
    }
}

const CORRELATED: &str = "title: base\nname: base\nid: 00000000-0000-4000-8000-0000000000b1\nlogsource: {category: test}\n\
    detection:\n  s:\n    Custom|exists: true\n  condition: s\n---\ntitle: other\nname: other\n\
    id: 00000000-0000-4000-8000-0000000000b2\nlogsource: {category: test}\ndetection:\n  s:\n    message|exists: true\n  \
    condition: s\n---\n";

fn correlation(number: usize, kind: &str, rules: &str, condition: &str) -> String {
    format!(
        "title: c{number}\nid: 00000000-0000-4000-8000-00000000c00{number}\ncorrelation:\n  type: {kind}\n  rules: [{rules}]\n  \
         group-by: [event.module]\n  timespan: 2m\n{condition}---\n"
    )
}

fn correlated() -> Arc<RuleSet> {
    let text = [
        CORRELATED.to_owned(),
        correlation(1, "event_count", "base", "  condition: {gte: 3}\n"),
        correlation(2, "value_count", "base", "  condition: {gte: 2, field: user.name}\n"),
        correlation(3, "temporal", "base, other", ""),
        correlation(4, "temporal_ordered", "base, other", ""),
    ]
    .concat();
    let text = text.trim_end_matches("---\n").to_owned();
    let rules = RuleSet::from_texts(&[(PathBuf::from("c.yml"), text)], &LoadOptions::default());
    assert!(rules.errors.is_empty() && rules.correlations.len() == 4, "{:?}", rules.errors);
    Arc::new(rules)
}

/// What stands after a stream of batches: fired less withdrawn.
fn stream(rules: &Arc<RuleSet>, batches: &[Arc<[Stored]>]) -> Found {
    let detector = Detector::new(rules.clone());
    let mut correlator = Correlator::new(rules.clone(), Limits::default());
    let mut matches = BTreeSet::new();
    let mut stands: Vec<CorrelationMatch> = Vec::new();
    let mut stand = |withdrawn: &[Withdrawn], fired: Vec<CorrelationMatch>| {
        for gone in withdrawn {
            stands.retain(|one| (one.correlation, &one.group, one.end) != (gone.correlation, &gone.group, gone.end));
        }
        stands.extend(fired);
    };
    for batch in batches {
        let found = detector.detect(batch);
        let arrived: Vec<Arrived<'_>> =
            batch.iter().map(|stored| Arrived { seq: stored.seq, event: &stored.event }).collect();
        let fired = correlator.push(&arrived, &found);
        stand(correlator.withdrawn(), fired);
        let named =
            found.iter().map(|one| (rules.rules[one.rule.0 as usize].meta.id.clone(), batch[one.position].seq.0));
        matches.extend(named);
    }
    let fired = correlator.settle(0);
    stand(correlator.withdrawn(), fired);
    stands.sort_by_key(|one| (one.end, one.correlation, one.group.clone()));
    (matches, stands.iter().map(|one| name_of(rules, one)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_stream_and_history_say_the_same(
        texts in proptest::collection::vec(text(), 1..5),
        batches in batches(),
    ) {
        let rules = correlated();
        let world = drawn(batches, &texts);
        let expected = stream(&rules, &world.batches);
        for reading in [Reading::Candidates, Reading::Everything] {
            let (found, _) = hunt(&rules, &world.snapshot, Range::ALL, reading, Detail::Whole);
            prop_assert_eq!(&found, &expected);
        }
        // A correlation on its own fires as it does among others.
        for correlation in &rules.correlations {
            let one = Arc::new(rules.only(&[&correlation.meta.id]));
            let (found, _) = hunt(&one, &world.snapshot, Range::ALL, Reading::Candidates, Detail::Projected);
            let of_it: Vec<&String> = expected.1.iter().filter(|name| name.starts_with(&correlation.meta.id)).collect();
            prop_assert_eq!(found.1.iter().collect::<Vec<_>>(), of_it);
        }
    }
}

#[test]
fn over_real_events_no_rule_loses_a_match_by_what_is_not_read() {
    let Some(corpus) = corpus() else { return };
    let rules = Arc::new(RuleSet::load(&[corpus.join("sigma/rules")], &LoadOptions::default()));
    let mut events = Vec::new();
    for folder in ["sigma/regression_data", "evtx", "ecs/winlogbeat", "crowdsec-hub", "loghub"] {
        for path in files_below(&[corpus.join(folder)]).unwrap() {
            let is_log = path.extension().is_some_and(|extension| extension == "evtx" || extension == "log");
            let entries = is_log.then(|| FileEntries::open(&path, &FileOptions::new(Timestamp(0))).ok()).flatten();
            let settings = nhatle_collector::Settings::default();
            events.extend(entries.into_iter().flatten().filter_map(|entry| entry.ok()?.convert(&settings).ok()));
        }
    }
    assert!(3_000 < events.len(), "{}", events.len());
    let count = events.len() as u64;
    let world = world(events.chunks(2_048).map(|events| (events.to_vec(), true)).collect());
    let ((expected, _), read) = hunt(&rules, &world.snapshot, Range::ALL, Reading::Everything, Detail::Projected);
    assert_eq!(read, count);
    let ((found, _), _) = hunt(&rules, &world.snapshot, Range::ALL, Reading::Candidates, Detail::Projected);
    assert_eq!(found, expected);
    // Each rule that matches by itself, and some of the others.
    let matching: BTreeSet<&String> = expected.iter().map(|(rule, _)| rule).collect();
    let (mut tried, mut read) = (0u64, 0u64);
    for (number, rule) in rules.rules.iter().enumerate() {
        let id = &rule.meta.id;
        if !(matching.contains(id) && number % 3 == 0 || number % 40 == 0) {
            continue;
        }
        let one = Arc::new(rules.only(&[id]));
        let ((found, _), read_now) = hunt(&one, &world.snapshot, Range::ALL, Reading::Candidates, Detail::Projected);
        let of_rule: BTreeSet<_> = expected.iter().filter(|(rule, _)| rule == id).cloned().collect();
        assert_eq!(found, of_rule, "{}", rule.meta.title);
        tried += 1;
        read += read_now;
    }
    println!("{tried} rules over {count} events read {} events each", read / tried);
    assert!(read / tried < count / 10, "skipping spares little: {} of {count}", read / tried);
}

#[test]
fn a_guest_can_be_stopped_at_any_moment() {
    let events = (0..600).map(|number| {
        let mut event = Event::new(Timestamp(number), *b"raw");
        event.set_named("Custom", "x");
        event
    });
    let world = world(vec![(events.collect(), true)]);
    let rules = correlated();
    let hunter = Hunter::new(rules, Reading::Candidates);
    for stop_at in 1..3 {
        let mut asked = 0;
        let mut watch = |_progress: nhatle::hunt::Progress| {
            asked += 1;
            if asked == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let pace = Pace::Guest(&mut watch);
        let ended = hunter.run(&world.snapshot, Range::ALL, Detail::Whole, pace, |_looked| ControlFlow::Continue(()));
        assert!(ended.unwrap().is_stopped);
        assert_eq!(asked, stop_at);
    }
}

/// Texts that are found in other places than words are looked for: each rule matches its event.
#[test]
fn what_is_no_word_is_found_too() {
    let rows = [
        ("['*tru*']", "Custom", Value::Boolean(true)),
        ("['*inf*']", "Custom", Value::Double(f64::INFINITY)),
        ("['*22*']", "destination.port", Value::Long(22)),
        // Letters that compose are composed in rules and events; this one does not (ADR 24).
        ("{message: \"*s\\u0301*\"}", "message", Value::from("\u{15b}ystem")),
        ("{message: \"*x\\u0301*\"}", "message", Value::from("x\u{301}ystem")),
        ("{message|contains: 0.0.1}", "message", Value::from("from 10.0.0.1 port")),
        ("{message|contains: 'a.b'}", "message", Value::from("xa.bx")),
        ("{Custom|exists: true}", "Custom", Value::Null),
        ("{ThreatName: x}", "winlog.event_data.Threat Name", Value::from("X")),
        ("{http.response.body.bytes|gte: 5}", "http.response.body.bytes", Value::Long(5)),
        ("{Custom: ''}", "Custom", Value::from("")),
    ];
    for (search, name, value) in rows {
        let text = format!("title: t\nlogsource: {{product: windows}}\ndetection:\n  a: {search}\n  condition: a\n");
        let rules = Arc::new(load(&[text]));
        assert!(rules.errors.is_empty(), "{:?}", rules.errors);
        let mut event = Event::new(Timestamp(5), *b"raw");
        event.set(Field::EVENT_MODULE, "windows");
        event.set_named(name, value);
        let world = world(vec![(vec![event], true)]);
        for reading in [Reading::Everything, Reading::Candidates] {
            let ((found, _), _) = hunt(&rules, &world.snapshot, Range::ALL, reading, Detail::Whole);
            assert_eq!(found.len(), 1, "{search} {reading:?}");
        }
    }
}

#[test]
fn an_event_with_more_words_than_the_index_takes_is_found() {
    let mut event = Event::new(Timestamp(5), *b"raw");
    let words: Vec<String> = (0..6_000).map(|number| format!("w{number}x")).collect();
    event.set(Field::MESSAGE, words.join(" "));
    let text =
        "title: t\nlogsource: {category: test}\ndetection:\n  a: {message|contains: ' w5990x '}\n  condition: a\n";
    let rules = Arc::new(load(&[text.to_owned()]));
    let world = world(vec![(vec![event], true)]);
    let ((found, _), read) = hunt(&rules, &world.snapshot, Range::ALL, Reading::Candidates, Detail::Whole);
    assert_eq!((found.len(), read), (1, 1));
}
