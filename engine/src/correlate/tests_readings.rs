//! Correlation rules as they are written, and at which event they fire: the readings of the specification, and what
//! it leaves open, case by case. From YAML through the detector to the correlator and its twin.

use nhatle_event::Value;
use nhatle_rules::{LoadOptions, Routing};

use super::*;
use crate::detect::Detector;

/// Three rules to refer to: they match events whose `a` is 1, 2 or 3.
const RULES: &str = "title: r1\nname: r1\nlogsource: {category: t}\ndetection: {s: {a: 1}, condition: s}\n---\n\
    title: r2\nname: r2\nlogsource: {category: t}\ndetection: {s: {a: 2}, condition: s}\n---\n\
    title: r3\nname: r3\nlogsource: {category: t}\ndetection: {s: {a: 3}, condition: s}\n";

/// `12 a=1 u=x`: second, then fields.
fn event(row: &str) -> Event {
    let mut words = row.split_whitespace();
    let second = words.next().and_then(|word| word.parse().ok()).expect("a row begins with a second");
    let mut event = Event::new(Timestamp::from_seconds(second), *b"");
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        event.set_named(name, value);
    }
    event
}

/// Correlations (YAML flow maps, the last one is looked at), events, and the places of those that complete a firing.
#[track_caller]
fn check(correlations: &[&str], rows: &[&str], expected: &[u64]) {
    let mut text = RULES.to_owned();
    for (number, correlation) in correlations.iter().enumerate() {
        text += &format!("---\ntitle: c{number}\nname: c{number}\ncorrelation: {correlation}\n");
    }
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    let rules = Arc::new(RuleSet::from_texts(&[("r.yml".into(), text)], &options));
    assert!(rules.errors.is_empty(), "{:?}", rules.errors);
    let events: Vec<Event> = rows.iter().map(|row| event(row)).collect();
    let matches = Detector::new(rules.clone()).detect_events(&events);
    let arrived: Vec<_> = (0..).zip(&events).map(|(seq, event)| Arrived { seq: Seq(seq), event }).collect();
    let twin = naive::correlate(&rules, &arrived, &matches);
    let found = Correlator::new(rules, Limits::default()).push(&arrived, &matches);
    assert_eq!(found, twin);
    let last = correlations.len() as u32 - 1;
    let ends: Vec<u64> = found
        .iter()
        .filter(|one| one.correlation.0 == last)
        .map(|one| one.events.last().map_or(0, |seq| seq.0))
        .collect();
    assert_eq!(ends, expected, "{found:?}");
}

#[test]
fn comparisons_and_ranges_hold_as_written() {
    let count = |condition: &str| {
        format!("{{type: event_count, rules: [r1], group-by: [u], timespan: 10s, condition: {{{condition}}}}}")
    };
    let rows = ["0 a=1 u=x", "1 a=1 u=x", "2 a=1 u=x", "3 a=1 u=x"];
    for (condition, expected) in [
        ("gte: 3", Some(2)),
        ("gt: 3", Some(3)),
        ("eq: 2", Some(1)),
        ("lt: 2", Some(0)),
        ("lte: 1", Some(0)),
        ("neq: 1", Some(1)),
        ("gt: 1, lte: 3", Some(1)),
        ("gte: 3, lt: 4", Some(2)),
        ("gt: 4, lt: 9", None),
        ("gte: 2.5", Some(2)),
        ("gt: 0", Some(0)),
        ("eq: 0", None),
    ] {
        check(&[&count(condition)], &rows, &Vec::from_iter(expected));
    }
}

#[test]
fn a_window_is_as_long_as_written_with_both_ends_in_it() {
    let count = |span: &str| {
        format!("{{type: event_count, rules: [r1], group-by: [u], timespan: {span}, condition: {{gte: 2}}}}")
    };
    for (span, inside) in [("1s", 1), ("1m", 60), ("1h", 3600), ("1d", 86_400), ("1w", 604_800), ("1M", 2_629_746)] {
        let (at, past) = (format!("{inside} a=1 u=x"), format!("{} a=1 u=x", inside + 1));
        check(&[&count(span)], &["0 a=1 u=x", &at], &[1]);
        check(&[&count(span)], &["0 a=1 u=x", &past], &[]);
    }
}

#[test]
fn groups_are_told_apart_by_all_their_values_and_case() {
    let count = "{type: event_count, rules: [r1, r2], group-by: [u, h], timespan: 1m, condition: {gte: 2}}";
    check(&[count], &["0 a=1 u=x h=1", "1 a=1 u=x h=2", "2 a=2 u=x h=1"], &[2]);
    check(&[count], &["0 a=1 u=x1 h=2", "1 a=1 u=x h=12"], &[]);
    check(&[count], &["0 a=1 u=x h=1", "1 a=1 u=X h=1"], &[]);
    check(&[count], &["0 a=1 u=x", "1 a=1 u=x"], &[]);
    // Without group-by, all events are one group.
    let all = "{type: event_count, rules: [r1], timespan: 1m, condition: {gte: 2}}";
    check(&[all], &["0 a=1 u=x", "1 a=1", "90 a=1"], &[1]);
}

#[test]
fn distinct_values_leave_with_their_window() {
    let count = "{type: value_count, rules: [r1], group-by: [h], timespan: 10s, condition: {field: u, gte: 3}}";
    check(&[count], &["0 a=1 h=1 u=a", "1 a=1 h=1 u=a", "2 a=1 h=1 u=b", "3 a=1 h=1 u=c"], &[3]);
    check(&[count], &["0 a=1 h=1 u=a", "2 a=1 h=1 u=b", "11 a=1 h=1 u=c", "12 a=1 h=1 u=d"], &[3]);
    check(&[count], &["0 a=1 h=1 u=a", "1 a=1 h=1", "2 a=1 h=1 u=b"], &[]);
    let pairs = "{type: value_count, rules: [r1], group-by: [h], timespan: 10s, condition: {field: [u, v], gte: 2}}";
    check(&[pairs], &["0 a=1 h=1 u=ab v=c", "1 a=1 h=1 u=a v=bc", "2 a=1 h=1 u=a v=bc"], &[1]);
    check(&[pairs], &["0 a=1 h=1 u=a v=1", "1 a=1 h=1 u=a", "2 a=1 h=1 u=a v=1"], &[]);
}

#[test]
fn order_is_over_all_rules_and_in_one_window() {
    let ordered = "{type: temporal_ordered, rules: [r1, r2, r3], group-by: [u], timespan: 10s}";
    check(&[ordered], &["0 a=1 u=x", "1 a=2 u=x", "2 a=3 u=x"], &[2]);
    check(&[ordered], &["0 a=2 u=x", "1 a=1 u=x", "2 a=3 u=x"], &[]);
    check(&[ordered], &["0 a=1 u=x", "1 a=3 u=x", "2 a=2 u=x", "3 a=3 u=x"], &[3]);
    // The whole chain lies in the window, not each step.
    check(&[ordered], &["0 a=1 u=x", "6 a=2 u=x", "11 a=3 u=x"], &[]);
    check(&[ordered], &["0 a=1 u=x", "0 a=2 u=x", "10 a=3 u=x"], &[2]);
    check(&[ordered], &["0 a=1 u=x", "1 a=2 u=y", "2 a=3 u=x"], &[]);
    // Of equal times the order of arrival counts.
    check(&[ordered], &["0 a=2 u=x", "0 a=1 u=x", "0 a=3 u=x"], &[]);
    let two = "{type: temporal_ordered, rules: [r1, r2, r3], group-by: [u], timespan: 10s, condition: {gte: 2}}";
    check(&[two], &["0 a=1 u=x", "1 a=3 u=x"], &[1]);
    check(&[two], &["0 a=3 u=x", "1 a=2 u=x", "2 a=1 u=x"], &[]);
    let any = "{type: temporal, rules: [r1, r2, r3], group-by: [u], timespan: 10s}";
    check(&[any], &["0 a=3 u=x", "1 a=2 u=x", "2 a=2 u=x", "3 a=1 u=x"], &[3]);
    check(&[any], &["0 a=3 u=x", "5 a=2 u=x", "11 a=1 u=x"], &[]);
}

#[test]
fn extended_conditions_are_over_what_occurred_in_the_window() {
    let any = |condition: &str| {
        format!("{{type: temporal, rules: [r1, r2, r3], group-by: [u], timespan: 10s, condition: {condition}}}")
    };
    check(&[&any("(r1 or r2) and r3")], &["0 a=3 u=x", "1 a=2 u=x"], &[1]);
    check(&[&any("r1 and not r2 and (r3 or r1)")], &["0 a=2 u=x", "5 a=1 u=x", "11 a=1 u=x"], &[2]);
    check(&[&any("not r1 or (r2 and r3)")], &["0 a=1 u=x", "1 a=2 u=x", "2 a=3 u=x"], &[2]);
    let ordered = |condition: &str| {
        format!("{{type: temporal_ordered, rules: [r1, r2, r3], group-by: [u], timespan: 10s, condition: {condition}}}")
    };
    check(&[&ordered("r1 and r3 or r2")], &["0 a=3 u=x", "1 a=1 u=x", "2 a=3 u=x"], &[2]);
    check(&[&ordered("r1 and (r2 or r3)")], &["0 a=3 u=x", "1 a=1 u=x", "2 a=2 u=x"], &[2]);
    check(&[&ordered("r1 and r3 and not r2")], &["0 a=1 u=x", "1 a=2 u=x", "2 a=3 u=x", "12 a=1 u=x"], &[]);
    // Without `rules`, the condition names them.
    let bare = "{type: temporal, group-by: [u], timespan: 10s, condition: r1 and r2}";
    check(&[bare], &["0 a=2 u=x", "1 a=1 u=x"], &[1]);
}

#[test]
fn numbers_are_added_averaged_and_ranked_and_what_is_no_number_is_left_out() {
    let of = |kind: &str, condition: &str| {
        format!("{{type: {kind}, rules: [r1], group-by: [u], timespan: 10s, condition: {{field: n, {condition}}}}}")
    };
    let rows =
        ["0 a=1 u=x n=4", "1 a=1 u=x n=many", "2 a=1 u=x", "3 a=1 u=x n=6", "4 a=1 u=x n=-1", "12 a=1 u=x n=2.5"];
    check(&[&of("value_sum", "gte: 10")], &rows, &[3]);
    check(&[&of("value_sum", "lt: 9.5, gt: 8")], &rows, &[4]);
    check(&[&of("value_avg", "gt: 4")], &rows, &[3]);
    check(&[&of("value_avg", "eq: 3")], &rows, &[4]);
    check(&[&of("value_median", "eq: 5")], &rows, &[3]);
    check(&[&of("value_median", "lt: 3")], &rows, &[5]);
    // Ten times a tenth is one.
    let tenths: Vec<String> = (0..10).map(|second| format!("{second} a=1 u=x n=0.1")).collect();
    check(&[&of("value_sum", "gte: 1")], &tenths.iter().map(String::as_str).collect::<Vec<_>>(), &[9]);
    // A huge number that left the window leaves nothing behind.
    check(&[&of("value_sum", "eq: 3")], &["0 a=1 u=x n=1e300", "9 a=1 u=x n=1", "11 a=1 u=x n=2"], &[2]);
    check(&[&of("value_sum", "gte: 1")], &["0 a=1 u=x n=inf", "1 a=1 u=x n=nan", "2 a=1 u=x n=1"], &[2]);
}

#[test]
fn percentiles_are_values_that_were_there_by_nearest_rank() {
    let of = |percent: u32, condition: &str| {
        format!(
            "{{type: value_percentile, rules: [r1], group-by: [u], timespan: 1h, condition: {{field: n, percentile: \
             {percent}, {condition}}}}}"
        )
    };
    let list = |numbers: &[i32]| -> Vec<String> {
        numbers.iter().enumerate().map(|(second, number)| format!("{second} a=1 u=x n={number}")).collect()
    };
    let at = |percent: u32, condition: &str, numbers: &[i32], expected: &[u64]| {
        let rows = list(numbers);
        check(&[&of(percent, condition)], &rows.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    };
    at(50, "eq: 20", &[15, 40, 20], &[2]);
    at(30, "eq: 20", &[15, 20, 35, 40, 50], &[3]);
    at(40, "eq: 20", &[50, 40, 35, 20, 15], &[4]);
    at(100, "eq: 50", &[15, 50], &[1]);
    at(0, "lt: 15", &[15, 50, 14], &[2]);
    // Seven per cent of a hundred are seven, not a little more.
    let hundred: Vec<i32> = (1..=100).rev().collect();
    at(7, "eq: 7", &hundred, &[99]);
}

#[test]
fn aliases_name_a_field_for_each_rule() {
    let correlation =
        "{type: temporal, rules: [r1, r2], group-by: [ip], timespan: 10s, aliases: {ip: {r1: src, r2: dst}}}";
    check(&[correlation], &["0 a=1 src=k dst=m", "1 a=2 src=k dst=m", "2 a=2 src=m dst=k"], &[2]);
    check(&[correlation], &["0 a=1 dst=k", "1 a=2 dst=k"], &[]);
}

#[test]
fn a_chain_counts_firings_and_a_firing_is_at_its_last_event() {
    let many = "{type: event_count, rules: [r1], group-by: [u], timespan: 10s, condition: {gte: 2}}";
    let then = "{type: temporal_ordered, rules: [c0, r2], group-by: [u], timespan: 10s}";
    check(&[many, then], &["0 a=1 u=x", "8 a=1 u=x", "18 a=2 u=x"], &[2]);
    check(&[many, then], &["0 a=1 u=x", "8 a=1 u=x", "19 a=2 u=x"], &[]);
    check(&[many, then], &["0 a=1 u=x", "1 a=2 u=x", "2 a=1 u=x"], &[]);
    check(&[many, then], &["0 a=1 u=x", "1 a=1 u=y", "2 a=2 u=x"], &[]);
    // Three firings a minute apart, each once however long it goes on.
    let waves = "{type: event_count, rules: [c0], group-by: [u], timespan: 5m, condition: {gte: 3}}";
    let rows: Vec<String> =
        [0, 1, 2, 3, 60, 61, 62, 120, 121].iter().map(|second| format!("{second} a=1 u=x")).collect();
    check(&[many, waves], &rows.iter().map(String::as_str).collect::<Vec<_>>(), &[8]);
    // An outer group by a field the inner one is not grouped by takes it from the event that completes it.
    let hosts = "{type: value_count, rules: [c0], group-by: [u], timespan: 5m, condition: {field: h, gte: 2}}";
    let rows = ["0 a=1 u=x h=1", "1 a=1 u=x h=2", "60 a=1 u=x h=2", "61 a=1 u=x h=3"];
    check(&[many, hosts], &rows, &[3]);
    let third = "{type: temporal, rules: [c1, r3], group-by: [u], timespan: 10s}";
    check(&[many, then, third], &["0 a=1 u=x", "1 a=1 u=x", "2 a=2 u=x", "3 a=3 u=x"], &[3]);
}

#[test]
fn an_event_that_two_rules_match_counts_once() {
    let text = RULES.replace("{a: 2}", "{a: [1, 2]}");
    let correlation = "{type: event_count, rules: [r1, r2], group-by: [u], timespan: 10s, condition: {gte: 2}}";
    let text = format!("{text}---\ntitle: c\ncorrelation: {correlation}\n");
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    let rules = Arc::new(RuleSet::from_texts(&[("r.yml".into(), text)], &options));
    let events = [event("0 a=1 u=x"), event("1 a=1 u=x")];
    let matches = Detector::new(rules.clone()).detect_events(&events);
    assert_eq!(matches.len(), 4);
    let arrived: Vec<_> = (0..).zip(&events).map(|(seq, event)| Arrived { seq: Seq(seq), event }).collect();
    let found = Correlator::new(rules, Limits::default()).push(&arrived, &matches);
    assert_eq!(found.iter().map(|one| (one.position, one.count)).collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn numbers_group_and_count_as_their_text() {
    let mut events = [event("0 a=1"), event("1 a=1"), event("2 a=1")];
    events[0].set_named("u", 7i64);
    events[1].set_named("u", "7");
    events[2].set_named("u", Value::List(vec![Value::Null, Value::from("7"), Value::from("8")]));
    let correlation = "{type: event_count, rules: [r1], group-by: [u], timespan: 10s, condition: {gte: 3}}";
    let text = format!("{RULES}---\ntitle: c\ncorrelation: {correlation}\n");
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    let rules = Arc::new(RuleSet::from_texts(&[("r.yml".into(), text)], &options));
    let matches = Detector::new(rules.clone()).detect_events(&events);
    let arrived: Vec<_> = (0..).zip(&events).map(|(seq, event)| Arrived { seq: Seq(seq), event }).collect();
    let found = Correlator::new(rules, Limits::default()).push(&arrived, &matches);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].group, [("u".to_owned(), "7".to_owned())]);
}
