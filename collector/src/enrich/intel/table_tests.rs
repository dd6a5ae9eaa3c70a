//! The table of indicators against its plain twin, and what it says of events.

use proptest::prelude::*;

use super::super::{Form, normal, read};
use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);

fn list(name: &str, text: &str) -> (ListInfo, std::vec::IntoIter<Indicator>) {
    let found = read(text.as_bytes(), Form::Any).expect("is a list");
    (ListInfo { name: name.into(), ..ListInfo::default() }, found.indicators.into_iter())
}

fn event(rows: &[(&str, &str)]) -> Event {
    let mut event = Event::new(NOW, *b"x");
    rows.iter().for_each(|(name, value)| event.set_named(name, *value));
    event
}

#[track_caller]
fn check(table: &Indicators, rows: &[(&str, &str)], expected: &[(&str, &str)]) {
    let mut event = event(rows);
    table.enrich(&mut event, NOW);
    for (name, value) in expected {
        let held = Field::lookup(name).and_then(|field| event.get(field));
        let held: Vec<Text> = held.map(|value| value.each().filter_map(Value::to_text).collect()).unwrap_or_default();
        assert_eq!(held.join(","), *value, "{name} of {rows:?}");
    }
}

const CSV: &str = "value,confidence,tlp,tags\n198.51.100.7,90,green,c2\n198.51.100.0/24,20,,\nevil.example,60,,bad\n\
    http://drop.example/a.exe,,,\nd41d8cd98f00b204e9800998ecf8427e,0,,\nbad@evil.example,,,\n";

#[test]
fn an_event_gets_what_the_surest_indicator_says() {
    let table = Indicators::new([list("one", CSV), list("two", "198.51.100.7\n")], Never::default());
    check(
        &table,
        &[("source.ip", "10.0.0.1"), ("destination.ip", "198.51.100.7")],
        &[
            ("threat.indicator.type", "ipv4-addr"),
            ("threat.indicator.name", "198.51.100.7"),
            ("threat.indicator.confidence", "High"),
            ("threat.indicator.description", "c2"),
            ("threat.indicator.marking.tlp", "GREEN"),
            ("threat.feed.name", "one"),
            ("threat.enrichments.matched.field", "destination.ip"),
            ("threat.enrichments.matched.atomic", "198.51.100.7"),
            ("nhatle.indicator.list", "one,two"),
        ],
    );
    check(
        &table,
        &[("dns.question.name", "A.B.Evil.example.")],
        &[
            ("threat.indicator.type", "domain-name"),
            ("threat.indicator.name", "evil.example"),
            ("threat.indicator.confidence", "Medium"),
            ("threat.enrichments.matched.atomic", "a.b.evil.example"),
        ],
    );
    check(
        &table,
        &[("url.original", "HTTP://DROP.example:80/a.exe?x=1#y")],
        &[("threat.indicator.confidence", "Not Specified")],
    );
    check(&table, &[("url.original", "/a.exe"), ("url.domain", "drop.example")], &[("threat.indicator.type", "url")]);
    check(&table, &[("url.full", "https://www.evil.example/")], &[("threat.indicator.name", "evil.example")]);
    check(
        &table,
        &[("process.hash.md5", "D41D8CD98F00B204E9800998ECF8427E")],
        &[("threat.indicator.confidence", "None")],
    );
    check(&table, &[("email.from.address", "Bad@Evil.Example")], &[("threat.indicator.type", "email-addr")]);
    check(
        &table,
        &[("url.domain", "198.51.100.9")],
        &[("threat.indicator.name", "198.51.100.0/24"), ("threat.indicator.confidence", "Low")],
    );
    let none = [("threat.indicator.type", "")];
    check(
        &table,
        &[("source.ip", "198.51.101.7"), ("dns.question.name", "notevil.example"), ("url.original", "/a.exe")],
        &none,
    );
    assert_eq!(table.hits().collect::<Vec<_>>(), [(TEST_LIST, 0), ("one", 9), ("two", 1)]);
}

#[test]
fn what_is_over_or_never_matches_says_nothing() {
    let text = "value,valid_until\nold.example,2026-01-01\nnew.example,2036-01-01\nown.example,\nown.example/x,\n203.0.113.7,\n10.0.0.1,\n";
    let never = ["own.example".to_owned(), "203.0.113.0/28".to_owned()];
    let (info, indicators) = list("l", text);
    let over = ListInfo { name: "over".into(), until: Some(NOW.plus_nanos(-1)), confidence: None };
    let table = Indicators::new(
        [(info, indicators), (over, list("x", "late.example\n").1)],
        Never::new(&never).expect("are names"),
    );
    let name = |name: &str| table.find(&event(&[("dns.question.name", name)]), NOW).len();
    assert_eq!(["old.example", "new.example", "a.own.example", "late.example"].map(name), [0, 1, 0, 0]);
    assert_eq!(table.find(&event(&[("url.original", "http://own.example/x")]), NOW).len(), 0);
    assert_eq!(table.find(&event(&[("source.ip", "203.0.113.7"), ("destination.ip", "10.0.0.1")]), NOW).len(), 0);
    assert_eq!(
        table.find(&event(&[("dns.question.name", "old.example")]), Timestamp::from_seconds(1)).len(),
        1,
        "it was in force then"
    );
    assert_eq!(Never::new(&["x y".to_owned()]).err(), Some(vec!["x y".to_owned()]));
}

#[test]
fn the_test_list_is_always_there() {
    let table = Indicators::default();
    assert!(table.is_empty());
    for (field, value, kind, confidence) in [
        ("source.ip", "2001:db8:ca9a::1", "ipv6-addr", "High"),
        ("dns.question.name", "domain-medium.nhatle.invalid", "domain-name", "Medium"),
        ("url.full", "https://url-low.nhatle.invalid/test", "url", "Low"),
        ("file.hash.md5", "00000000000000000000000ca9a0001", "", ""),
        ("file.hash.md5", "000000000000000000000000ca9a0001", "file", "High"),
        ("email.from.address", "email-high@nhatle.invalid", "email-addr", "High"),
    ] {
        check(
            &table,
            &[(field, value)],
            &[("threat.indicator.type", kind), ("threat.indicator.confidence", confidence)],
        );
    }
}

/// The plain twin: every indicator is asked.
fn plain(indicators: &[Indicator], field: &str, value: &str) -> Vec<String> {
    let names = |one: &Indicator| match one.kind {
        Kind::Ip => one.value.parse::<Cidr>().is_ok_and(|range| {
            value.parse().is_ok_and(|address| is_public(address) && range.contains(address) && field != "file.hash.md5")
        }),
        Kind::Domain => {
            field == "dns.question.name" && (value == one.value || value.ends_with(&format!(".{}", one.value)))
        }
        Kind::File => field == "file.hash.md5" && value == one.value,
        _ => false,
    };
    let mut found: Vec<String> = indicators.iter().filter(|one| names(one)).map(|one| one.value.to_string()).collect();
    found.sort();
    found
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["a", "b", "evil", "x1"], 1..4)
        .prop_map(|labels| format!("{}.example", labels.join(".")))
}

fn address() -> impl Strategy<Value = String> {
    (prop_oneof![Just("198.51.100"), Just("203.0.113"), Just("10.0.0")], 0u8..20)
        .prop_map(|(net, low)| format!("{net}.{low}"))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        name(),
        address(),
        (address(), 24u8..33).prop_map(|(address, prefix)| format!("{address}/{prefix}")),
        (0u8..20).prop_map(|number| format!("{number:032x}")),
    ]
}

proptest! {
    #[test]
    fn events_hold_what_asking_each_indicator_finds(
        values in proptest::collection::vec(value(), 0..60),
        asked in proptest::collection::vec(prop_oneof![name(), address(), (0u8..20).prop_map(|number| format!("{number:032x}"))], 1..40),
    ) {
        let mut indicators: Vec<Indicator> = Vec::new();
        for (kind, value) in values.iter().filter_map(|value| normal(None, value).ok()) {
            if !indicators.iter().any(|one| one.value == value) {
                indicators.push(Indicator { kind, value, confidence: None, first_seen: None, until: None, note: Note::default() });
            }
        }
        let table = Indicators::new([(ListInfo::default(), indicators.clone().into_iter())], Never::default());
        for value in asked {
            for field in ["source.ip", "dns.question.name", "file.hash.md5"] {
                let event = event(&[(field, &value)]);
                let hits = table.find(&event, NOW);
                let mut found: Vec<String> = hits.iter().map(|hit| table.text(&table.entries[hit.entry as usize]).to_owned()).collect();
                found.sort();
                let expected = plain(&indicators, field, &value);
                if expected.len() < HITS_MAX {
                    prop_assert_eq!(&found, &expected, "{} {}", field, value);
                }
                prop_assert!(found.is_empty() || table.may_name(&value), "{}", value);
            }
        }
    }
}

/// Host with a port, path: of URLs that lists and events have in common now and then.
fn url_parts() -> impl Strategy<Value = (String, String)> {
    let some = |texts: &'static [&'static str]| (0..texts.len()).prop_map(move |at| texts[at]);
    let host = some(&["a.example", "B.example", "b.a.example", "198.51.100.7", "[2001:db8::1]", "no", ""]);
    let port = some(&["", "", ":80", ":443", ":8080", ":x"]);
    let path = some(&["", "/", "/x", "/x?y=1", "/x?y=http://b.example/", "?y", "/x#z", "/@a.example/"]);
    (host, port, path).prop_map(|(host, port, path)| (format!("{host}{port}"), path.to_owned()))
}

proptest! {
    #[test]
    fn urls_are_found_by_their_whole_spelling(
        named in proptest::collection::vec(url_parts(), 0..12),
        asked in proptest::collection::vec((url_parts(), 0u8..5), 1..20),
    ) {
        let mut indicators: Vec<Indicator> = Vec::new();
        for (host, path) in named {
            let Ok((kind, value)) = normal(Some(Kind::Url), &format!("http://{host}{path}")) else { continue };
            if !indicators.iter().any(|one| one.value == value) {
                indicators.push(Indicator { kind, value, confidence: None, first_seen: None, until: None, note: Note::default() });
            }
        }
        let table = Indicators::new([(ListInfo::default(), indicators.clone().into_iter())], Never::default());
        for ((host, path), form) in asked {
            let whole = format!("{}{host}{path}", ["", "", "http://", "HTTPS://u:p@", "ftp://"][usize::from(form)]);
            let rows: Vec<(&str, &str)> = match form {
                0 => vec![("url.original", &path), ("url.domain", &host)],
                1 => vec![("url.original", &path), ("destination.domain", &host)],
                _ => vec![("url.full", &whole), ("url.domain", "other.example")],
            };
            let is_told = 2 <= form || path.starts_with('/');
            let spelled = super::super::url(&whole).ok().filter(|_| is_told);
            let is_named = |one: &&Indicator| {
                one.kind == Kind::Url
                    && spelled.as_ref().is_some_and(|url| {
                        *url == one.value || url.split('?').next() == Some(one.value.as_str())
                    })
            };
            let mut expected: Vec<_> = indicators.iter().filter(is_named).map(|one| one.value.to_string()).collect();
            let hits = table.find(&event(&rows), NOW);
            let entries = hits.iter().map(|hit| &table.entries[hit.entry as usize]).filter(|entry| entry.kind == Kind::Url);
            let mut found: Vec<_> = entries.map(|entry| table.text(entry).to_owned()).collect();
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected, "{:?}", rows);
        }
    }
}
