//! Matches to firings: nanoseconds an event by kind of correlation, over few and many groups, full windows, and
//! events that all come late. Shapes are those of the peer's harness: one matching rule, a window of an hour, a
//! thousand events a second, thresholds that are never met.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nhatle_engine::correlate::{Arrived, Correlator, Limits};
use nhatle_engine::detect::Detector;
use nhatle_event::{Event, Field, Seq, Timestamp};
use nhatle_rules::{LoadOptions, Routing, RuleSet};

use crate::report;

const EVENTS: usize = 200_000;
const REPETITIONS: usize = 5;
/// Up to so many events are detected on the thread that asks.
const BATCH: usize = 256;
const KINDS: [(&str, &str); 8] = [
    ("event_count", "gte: 1000000000"),
    ("value_count", "field: src_ip\n    gte: 1000000000"),
    ("value_sum", "field: bytes\n    gte: 1000000000000"),
    ("value_avg", "field: bytes\n    gte: 1000000000000"),
    ("value_percentile", "field: bytes\n    percentile: 95\n    gte: 1000000000000"),
    ("value_median", "field: bytes\n    gte: 1000000000000"),
    ("temporal", ""),
    ("temporal_ordered", ""),
];

pub fn run() {
    for groups in [10, 1_000, 50_000, 100_000] {
        let shape = Shape { groups, ..Shape::of(EVENTS) };
        for (kind, condition) in KINDS {
            time(&format!("{kind}, {groups} groups"), &rules(kind, condition, "1h"), shape);
        }
    }
    let (kind, condition) = KINDS[1];
    let shape = Shape { values: 10_000, ..Shape::of(EVENTS) };
    time(&format!("{kind}, 1 group, 10,000 distinct values"), &rules(kind, condition, "1h"), shape);
    // A window that is full: 100,000 hits stay in it, each new one pushes one out.
    for (kind, condition) in KINDS {
        let name = format!("{kind}, 1 group, 100,000 in the window");
        time(&name, &rules(kind, condition, "100s"), Shape::of(2 * EVENTS));
    }
    // The newest first, so that every event is late and belongs to the front of its group.
    for (kind, condition) in [KINDS[0], KINDS[1], KINDS[5]] {
        let shape = Shape { groups: 10, is_backward: true, ..Shape::of(EVENTS) };
        time(&format!("{kind}, 10 groups, every event late"), &rules(kind, condition, "1h"), shape);
    }
}

/// What is sent: a thousand events a second.
#[derive(Clone, Copy)]
struct Shape {
    count: usize,
    groups: u64,
    /// How many different addresses there are at most.
    values: u64,
    is_backward: bool,
}

impl Shape {
    fn of(count: usize) -> Shape {
        Shape { count, groups: 1, values: u64::MAX, is_backward: false }
    }
}

/// One matching rule, one that never does, and the correlation over them.
fn rules(kind: &str, condition: &str, span: &str) -> Arc<RuleSet> {
    let rule = |name: &str, action: &str| {
        format!(
            "title: {name}\nname: {name}\nlogsource:\n  category: auth\ndetection:\n  s:\n    action: {action}\n  condition: s\n---\n"
        )
    };
    let (referred, condition) = match kind.starts_with("temporal") {
        true => ("base, never", String::new()),
        false => ("base", format!("  condition:\n    {condition}\n")),
    };
    let correlation = format!(
        "title: c\ncorrelation:\n  type: {kind}\n  rules: [{referred}]\n  group-by: [user]\n  timespan: {span}\n{condition}"
    );
    let text = rule("base", "login_failed") + &rule("never", "other_thing") + &correlation;
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    let set = RuleSet::from_texts(&[("bench.yml".into(), text)], &options);
    assert!(set.errors.is_empty() && set.correlations.len() == 1, "{:?}", set.errors);
    Arc::new(set)
}

/// The events `first..last` of a shape, with random users, addresses and sizes.
fn events(shape: Shape, first: usize, last: usize, state: &mut u64) -> Vec<Event> {
    let mut random = || {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    };
    let one = |number: usize| {
        let second = if shape.is_backward { shape.count - number } else { number } / 1_000;
        let mut event = Event::new(Timestamp::from_seconds(1_700_000_000 + i64::try_from(second).unwrap()), *b"");
        event.received = Timestamp::from_seconds(1_700_086_400);
        event.set(Field::NHATLE_SOURCE, "sshd.may-chu-01");
        event.set_named("action", "login_failed");
        event.set_named("user", format!("user{}", random() % shape.groups));
        let address = random() % shape.values;
        event.set_named("src_ip", format!("10.{}.{}.{}", address >> 16 & 255, address >> 8 & 255, address & 255));
        event.set_named("bytes", i64::try_from(random() % 10_000).unwrap());
        event
    };
    (first..last).map(one).collect()
}

/// Nanoseconds an event for detection and for correlation, batch by batch, events being made between: they are as
/// fresh as those of a pipeline are.
fn time(name: &str, rules: &Arc<RuleSet>, shape: Shape) {
    let (mut detection, mut correlation, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let detector = Detector::new(rules.clone());
        let mut correlator = Correlator::new(rules.clone(), Limits::default());
        let mut state = 88_172_645_463_325_252u64;
        let (mut detecting, mut correlating) = (Duration::ZERO, Duration::ZERO);
        for first in (0..shape.count).step_by(BATCH) {
            let batch = events(shape, first, shape.count.min(first + BATCH), &mut state);
            let began = Instant::now();
            let matches = detector.detect_events(&batch);
            let detected = Instant::now();
            let seqs = (first as u64..).map(Seq);
            let arrived: Vec<_> = seqs.zip(&batch).map(|(seq, event)| Arrived { seq, event }).collect();
            let fired = correlator.push(&arrived, &matches);
            correlating += detected.elapsed();
            detecting += detected - began;
            assert!(matches.len() == batch.len() && fired.is_empty());
        }
        let nanos = |span: Duration| span.as_secs_f64() * 1e9 / shape.count as f64;
        detection.push(nanos(detecting));
        correlation.push(nanos(correlating));
        kept.push(correlator.hit_count() as f64);
    }
    report("correlate", &format!("{name}: detection"), "ns/event", detection);
    report("correlate", &format!("{name}: correlation"), "ns/event", correlation);
    report("correlate", &format!("{name}: kept"), "hits", kept);
}
