//! A million indicators: what making the table takes, what it holds, and what looking up costs an event.

use std::time::Instant;

use nhatle_collector::enrich::intel::table::{Indicators, ListInfo, Never};
use nhatle_collector::enrich::intel::{Indicator, Kind, Note};
use nhatle_event::Event;

use crate::{RECEIVED, measure, report};

const COUNT: usize = 1_000_000;
const EVENTS: usize = 20_000;

/// Numbers that look random and are the same each time.
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// A quarter each of addresses, domains, URLs and hashes.
pub fn made(count: usize) -> Vec<Indicator> {
    let mut next = numbers();
    let one = |kind: Kind, value: String| Indicator {
        kind,
        value: value.into(),
        confidence: None,
        first_seen: None,
        until: None,
        note: Note::default(),
    };
    (0..count)
        .map(|number| match number % 4 {
            0 => one(Kind::Ip, format!("{}.{}.{}.{}", 11 + next() % 80, next() % 256, next() % 256, next() % 256)),
            1 => one(Kind::Domain, format!("host{}.evil{}.example", next(), next() % 1000)),
            2 => one(Kind::Url, format!("evil{}.example/path/{}", next() % 100_000, next())),
            _ => one(Kind::File, format!("{:032x}{:032x}", next(), next())),
        })
        .collect()
}

pub fn run() {
    let indicators = made(COUNT);
    let began = Instant::now();
    let table = Indicators::new([(ListInfo::default(), indicators.into_iter())], Never::default());
    eprintln!("{} indicators ready in {:?}, {} MB", table.len(), began.elapsed(), table.bytes() / 1_000_000);
    for (name, rows) in [("flows", flows as Rows), ("names", names), ("requests", requests), ("hashes", hashes)] {
        let mut next = numbers();
        let events: Vec<Event> = (0..EVENTS).map(|_| event(&rows(&mut next))).collect();
        let hits: usize = stage_find(&table, &events);
        let figures = measure(EVENTS, || assert_eq!(stage_find(&table, &events), hits));
        report(&format!("indicators, {hits} hits in {EVENTS}"), name, &figures);
    }
}

#[inline(never)]
fn stage_find(table: &Indicators, events: &[Event]) -> usize {
    events.iter().map(|event| table.find(event, RECEIVED).len()).sum()
}

type Rows = fn(&mut dyn FnMut() -> u64) -> Vec<(&'static str, String)>;

fn event(rows: &[(&'static str, String)]) -> Event {
    let mut event = Event::new(RECEIVED, *b"x");
    rows.iter().for_each(|(name, value)| match value.parse::<std::net::IpAddr>() {
        Ok(address) => event.set_named(name, address),
        Err(_) => event.set_named(name, value.as_str()),
    });
    event
}

fn address(next: &mut dyn FnMut() -> u64) -> String {
    format!("{}.{}.{}.{}", 11 + next() % 200, next() % 256, next() % 256, next() % 256)
}

fn flows(next: &mut dyn FnMut() -> u64) -> Vec<(&'static str, String)> {
    vec![
        ("source.ip", "10.1.2.3".into()),
        ("destination.ip", address(next)),
        ("network.transport", "tcp".into()),
        ("message", "x".into()),
    ]
}

fn names(next: &mut dyn FnMut() -> u64) -> Vec<(&'static str, String)> {
    vec![
        ("source.ip", "10.1.2.3".into()),
        ("dns.question.name", format!("www.site{}.example", next())),
        ("message", "x".into()),
    ]
}

fn requests(next: &mut dyn FnMut() -> u64) -> Vec<(&'static str, String)> {
    vec![
        ("source.ip", address(next)),
        ("url.original", format!("/index.php?x={}", next())),
        ("url.domain", "www.donghoi.example".into()),
        ("message", "x".into()),
    ]
}

fn hashes(next: &mut dyn FnMut() -> u64) -> Vec<(&'static str, String)> {
    let hash = || format!("{:032X}{:032X}", next(), next());
    let mut hash = hash;
    vec![
        ("process.hash.sha256", hash()),
        ("process.hash.md5", hash()[..32].to_owned()),
        ("host.name", "pc-01".into()),
        ("message", "x".into()),
    ]
}
