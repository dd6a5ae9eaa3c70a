//! What a correlator does with groups, windows, late events, limits and new rules, by hand.

use nhatle_event::Field;
use nhatle_rules::predicate::{Comparison, RuleField};
use nhatle_rules::{Correlation, CorrelationKind, GroupBy, Meta, RuleId, Threshold};

use super::*;

pub const SECOND: i64 = 1_000_000_000;

pub fn field(name: &str) -> RuleField {
    RuleField { name: name.to_owned(), candidates: Field::intern(name).into_iter().collect() }
}

pub fn group_by(name: &str, referred: usize) -> GroupBy {
    GroupBy { name: name.to_owned(), fields: vec![field(name); referred] }
}

pub fn at_least(count: f64) -> Threshold {
    Threshold(vec![(Comparison::GreaterOrEqual, count)])
}

pub fn correlation(kind: CorrelationKind, referred: Vec<Referred>, timespan_s: i64) -> Correlation {
    Correlation {
        meta: Arc::new(Meta::default()),
        kind,
        group_by: vec![group_by("u", referred.len())],
        referred,
        timespan_ns: timespan_s * SECOND,
        scope: nhatle_rules::Scope::default(),
        is_alerting: true,
    }
}

pub fn rules(correlations: Vec<Correlation>) -> Arc<RuleSet> {
    Arc::new(RuleSet { correlations, ..RuleSet::default() })
}

pub fn event(at_s: i64, fields: &[(&str, &str)]) -> Event {
    let mut event = Event::new(Timestamp::from_seconds(at_s), *b"raw");
    fields.iter().for_each(|(name, value)| event.set_named(name, *value));
    event
}

/// What happened: second, group, value, rules that match.
pub type Row = (i64, Option<u8>, u8, Vec<u32>);

pub fn history(rows: &[Row]) -> (Vec<Event>, Vec<Match>) {
    let (mut events, mut matches) = (Vec::new(), Vec::new());
    for (position, (at_s, group, value, matched)) in rows.iter().enumerate() {
        let (group, value) = (group.map(|group| group.to_string()), value.to_string());
        let mut fields = vec![("v", value.as_str())];
        fields.extend(group.as_deref().map(|group| ("u", group)));
        events.push(event(*at_s, &fields));
        let mut matched = matched.clone();
        matched.sort_unstable();
        matched.dedup();
        matches.extend(matched.iter().map(|rule| Match { position, rule: RuleId(*rule) }));
    }
    (events, matches)
}

pub fn arrived(events: &[Event]) -> Vec<Arrived<'_>> {
    (1u64..).zip(events).map(|(seq, event)| Arrived { seq: Seq(seq), event }).collect()
}

pub fn run(rules: &Arc<RuleSet>, rows: &[Row]) -> Vec<CorrelationMatch> {
    let (events, matches) = history(rows);
    let mut found = Correlator::new(rules.clone(), Limits::default()).push(&arrived(&events), &matches);
    found.sort_by_key(|one| (one.end, one.correlation));
    found
}

/// Which correlation fired with which last event (from 0), in order.
#[track_caller]
pub fn check(correlations: Vec<Correlation>, rows: &[Row], expected: &[(u32, u64)]) {
    let rules = rules(correlations);
    let found = run(&rules, rows);
    let ends: Vec<_> =
        found.iter().map(|one| (one.correlation.0, one.events.last().map_or(0, |seq| seq.0 - 1))).collect();
    assert_eq!(ends, expected, "{found:?}");
}

pub fn count_of(count: f64, timespan_s: i64) -> Correlation {
    correlation(CorrelationKind::EventCount(at_least(count)), vec![Referred::Rule(RuleId(0))], timespan_s)
}

pub fn fails(seconds: &[i64]) -> Vec<Row> {
    seconds.iter().map(|at| (*at, Some(0), 0, vec![0])).collect()
}

#[test]
fn a_window_slides_and_takes_in_an_event_exactly_its_length_older() {
    check(vec![count_of(3.0, 60)], &fails(&[0, 50, 100, 105, 140]), &[(0, 3)]);
    check(vec![count_of(3.0, 60)], &fails(&[0, 30, 60]), &[(0, 2)]);
    check(vec![count_of(3.0, 60)], &fails(&[0, 30, 61]), &[]);
}

#[test]
fn a_group_fires_again_only_outside_the_window_that_fired() {
    check(vec![count_of(3.0, 60)], &fails(&[0, 10, 20, 30, 40, 50, 80]), &[(0, 2)]);
    check(vec![count_of(3.0, 60)], &fails(&[0, 10, 20, 75, 76, 77, 81]), &[(0, 2), (0, 6)]);
    check(vec![count_of(2.0, 10)], &fails(&[0, 1, 20, 21]), &[(0, 1), (0, 3)]);
}

#[test]
fn an_event_without_a_group_by_field_is_in_no_group() {
    let rows = [(0, None, 0, vec![0]), (1, None, 0, vec![0]), (2, Some(1), 0, vec![0]), (3, Some(1), 0, vec![0])];
    check(vec![count_of(2.0, 60)], &rows, &[(0, 3)]);
}

#[test]
fn a_late_event_is_put_where_it_belongs() {
    check(vec![count_of(3.0, 60)], &fails(&[20, 0, 10]), &[(0, 0)]);
    check(vec![count_of(3.0, 60)], &fails(&[0, 200, 10, 20, 210, 220]), &[(0, 3), (0, 5)]);
    // An earlier end takes the place of the one that was found first.
    check(vec![count_of(3.0, 60)], &fails(&[0, 10, 20, 5]), &[(0, 1)]);
}

/// Pushes rows one by one; what came out of each: ends of what fired, ends of what was taken back.
fn push_each(correlator: &mut Correlator, rows: &[Row], first_seq: u64) -> Vec<(Vec<i64>, Vec<i64>)> {
    let (events, matches) = history(rows);
    let mut out = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let seq = Seq(first_seq + place as u64);
        let of_it = matches.iter().filter(|found| found.position == place);
        let matches: Vec<Match> = of_it.map(|found| Match { position: 0, ..*found }).collect();
        let fired = correlator.push(&[Arrived { seq, event }], &matches);
        let taken = correlator.withdrawn().iter().map(|one| one.end.seconds()).collect();
        out.push((fired.iter().map(|one| one.end.seconds()).collect(), taken));
    }
    out
}

#[test]
fn what_was_out_and_does_not_hold_is_taken_back_and_replaced() {
    let mut correlator = Correlator::new(rules(vec![count_of(3.0, 60)]), Limits::default());
    let out = push_each(&mut correlator, &fails(&[0, 10, 20, 100, 5, 15]), 1);
    let none = || (vec![], vec![]);
    // Within the quiet of the one at 20, 5 moves its end to 10; 15 changes nothing that was found by then.
    assert_eq!(out, [none(), none(), (vec![20], vec![]), none(), (vec![10], vec![20]), none()]);
    let mut correlator = Correlator::new(
        rules(vec![correlation(
            CorrelationKind::EventCount(Threshold(vec![(Comparison::Equal, 2.0)])),
            vec![Referred::Rule(RuleId(0))],
            60,
        )]),
        Limits::default(),
    );
    // Two, and then there were always three where it fired; two stand at 5.
    let out = push_each(&mut correlator, &fails(&[0, 10, 5]), 1);
    assert_eq!(out, [none(), (vec![10], vec![]), (vec![5], vec![10])]);
}

#[test]
fn a_firing_that_keeps_its_end_is_taken_back_and_comes_with_its_new_content() {
    let kind = CorrelationKind::ValueCount(at_least(2.0), vec![group_by("v", 1)]);
    let rules = rules(vec![correlation(kind, vec![Referred::Rule(RuleId(0))], 60)]);
    let rows = vec![(0, Some(0), 1, vec![0]), (10, Some(0), 2, vec![0]), (5, Some(0), 1, vec![0])];
    let mut correlator = Correlator::new(rules, Limits::default());
    assert_eq!(push_each(&mut correlator, &rows, 1)[1..], [(vec![10], vec![]), (vec![10], vec![10])]);
}

#[test]
fn a_day_of_backlog_alerts_once_and_moves_nobody_else() {
    const DAY: i64 = 86_400;
    let rules = rules(vec![count_of(3.0, 300)]);
    let mut correlator = Correlator::new(rules, Limits::default());
    let mut seq = 0;
    let mut push = |source: &str, group: &str, at: i64, received: i64| {
        let mut event = event(at, &[("u", group)]);
        event.received = Timestamp::from_seconds(received);
        event.set(Field::NHATLE_SOURCE, source);
        seq += 1;
        let fired =
            correlator.push(&[Arrived { seq: Seq(seq), event: &event }], &[Match { position: 0, rule: RuleId(0) }]);
        assert!(correlator.withdrawn().is_empty());
        fired.iter().map(|one| (one.group[0].1.clone(), one.end.seconds(), one.is_late)).collect::<Vec<_>>()
    };
    let now = 10 * DAY;
    // Two attempts before the ward is cut off, one after.
    for second in [0, 10] {
        assert_eq!(push("ward", "thủy", now - DAY + second, now - DAY + second), []);
    }
    // Meanwhile others go on; a group of theirs is half full when the ward comes back.
    for minute in 0..1440 {
        push("other", &format!("quiet {minute}"), now - DAY + minute * 60, now - DAY + minute * 60);
    }
    assert_eq!(push("other", "lan", now, now), []);
    assert_eq!(push("other", "lan", now + 1, now + 1), []);
    let mut found = Vec::new();
    // What is new comes first, then the day, between what is new.
    found.extend(push("ward", "mới", now, now));
    for minute in 0..1440 {
        let (at, received) = (now - DAY + minute * 60 + 20, now + minute / 1440);
        let group = if minute == 0 { "thủy".to_owned() } else { format!("hour {}", minute / 60) };
        found.extend(push("ward", &group, at, received));
        found.extend(push("ward", "mới", received, received));
    }
    assert!(found.contains(&("thủy".to_owned(), now - DAY + 20, true)), "{found:?}");
    // One a minute, windows of five: every six minutes, ten times an hour.
    let hours: Vec<_> = found.iter().filter(|one| one.0.starts_with("hour")).collect();
    assert_eq!(hours.len(), 240, "{hours:?}");
    assert!(hours.iter().all(|(_, end, is_late)| *is_late == (*end < now - 600)), "{hours:?}");
    assert_eq!(push("other", "lan", now + 2, now + 2), [("lan".to_owned(), now + 2, false)]);
}

#[test]
fn late_hits_around_which_something_was_let_go_are_counted() {
    // Five minutes after its window a group's hits go; one that comes later finds them gone.
    let limits = Limits { lateness_ns: 300 * SECOND, ..Limits::default() };
    let rows = fails(&[0, 1, 1000, 2, 3, 4]);
    let mut correlator = Correlator::new(rules(vec![count_of(3.0, 60)]), limits);
    let out = push_each(&mut correlator, &rows, 1);
    assert_eq!(out.iter().flat_map(|(fired, _)| fired).collect::<Vec<_>>(), [&4], "what is left counts");
    assert_eq!(correlator.counters(), Counters { late_partial: 3, ..Counters::default() });
    // A condition that more hits can break must not be judged by a part of them.
    let kind = CorrelationKind::EventCount(Threshold(vec![(Comparison::Less, 2.0)]));
    let rules = rules(vec![correlation(kind, vec![Referred::Rule(RuleId(0))], 60)]);
    let mut correlator = Correlator::new(rules, limits);
    let out = push_each(&mut correlator, &rows, 1);
    assert_eq!(out.iter().flat_map(|(fired, _)| fired).collect::<Vec<_>>(), [&0, &1000]);
    assert_eq!(correlator.counters().too_late, 3);
}

#[test]
fn whoever_sends_everything_late_pays_for_it_alone() {
    // A group as long as it may be, and all that follows goes to its front.
    let kind = CorrelationKind::ValueMedian(at_least(1e9), group_by("v", 1));
    let rules = rules(vec![correlation(kind, vec![Referred::Rule(RuleId(0))], 7 * 86_400)]);
    let limits = Limits::default();
    let mut correlator = Correlator::new(rules, limits);
    let count = 30_000u64;
    let late = (0..count).map(|number| if number < count / 2 { 500_000 + number } else { 500_000 - number });
    let mut settled = 0;
    for (seq, second) in (1..).zip(late) {
        let event = event(i64::try_from(second).unwrap_or(0), &[("u", "x"), ("v", "1")]);
        correlator.push(&[Arrived { seq: Seq(seq), event: &event }], &[Match { position: 0, rule: RuleId(0) }]);
        settled += u64::from(correlator.is_settled());
    }
    // At its length settling once costs some three hundred hits' credit: most were left waiting, and no more.
    assert!(settled < count * 3 / 4, "{settled}");
    assert!(!correlator.is_settled());
    assert_eq!(correlator.settle(0), []);
    assert!(correlator.is_settled());
    assert_eq!(correlator.hit_count(), 30_000);
    assert_eq!(correlator.counters(), Counters::default());
}

#[test]
fn ordered_rules_follow_each_other() {
    let referred: Vec<_> = (0..3).map(|rule| Referred::Rule(RuleId(rule))).collect();
    let ordered = || vec![correlation(CorrelationKind::TemporalOrdered(at_least(3.0)), referred.clone(), 60)];
    let rows = |list: &[(i64, u32)]| list.iter().map(|(at, rule)| (*at, Some(0), 0, vec![*rule])).collect::<Vec<Row>>();
    check(ordered(), &rows(&[(0, 0), (1, 1), (2, 2)]), &[(0, 2)]);
    check(ordered(), &rows(&[(0, 0), (1, 2), (2, 1)]), &[]);
    check(ordered(), &rows(&[(0, 0), (40, 1), (50, 0), (70, 1), (80, 2)]), &[(0, 4)]);
    check(ordered(), &rows(&[(0, 0), (0, 1), (0, 2)]), &[(0, 2)]);
    check(ordered(), &[(0, Some(0), 0, vec![0, 1, 2])], &[]);
}

#[test]
fn a_chain_takes_each_firing_of_the_inner_one_as_a_hit() {
    let outer = correlation(
        CorrelationKind::TemporalOrdered(at_least(2.0)),
        vec![Referred::Correlation(CorrelationId(0)), Referred::Rule(RuleId(1))],
        600,
    );
    let rows: Vec<Row> = vec![
        (0, Some(0), 0, vec![0]),
        (1, Some(0), 0, vec![0]),
        (2, Some(0), 0, vec![0]),
        (3, Some(0), 0, vec![1]),
        (4, Some(1), 0, vec![1]),
    ];
    let rules = rules(vec![count_of(3.0, 600), outer]);
    let found = run(&rules, &rows);
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].events, [Seq(1), Seq(2), Seq(3), Seq(4)]);
    assert_eq!(found[1].group, [("u".to_owned(), "0".to_owned())]);
    assert_eq!(crate::replay::longest_timespan_ns(&rules), 1200 * SECOND);
}

#[test]
fn full_groups_and_too_many_groups_are_counted() {
    let limits = Limits { groups_max: 64, hits_max: 4, correlation_hits_max: 100, lateness_ns: 0, ..Limits::default() };
    let rules = rules(vec![correlation(
        CorrelationKind::ValueSum(at_least(1e9), group_by("v", 1)),
        vec![Referred::Rule(RuleId(0))],
        1000,
    )]);
    let mut correlator = Correlator::new(rules, limits);
    for round in 0..1000u64 {
        let name = format!("group {}", round % 200);
        let event = event(0, &[("u", &name), ("v", "1")]);
        let arrived = [Arrived { seq: Seq(round), event: &event }];
        correlator.push(&arrived, &[Match { position: 0, rule: RuleId(0) }]);
        assert!(correlator.group_count() <= 64);
    }
    assert!(correlator.counters().groups_dropped > 0);
    for round in 0..10u64 {
        let event = event(0, &[("u", "one"), ("v", "1")]);
        correlator
            .push(&[Arrived { seq: Seq(2000 + round), event: &event }], &[Match { position: 0, rule: RuleId(0) }]);
    }
    assert_eq!(correlator.counters().hits_dropped, 6);
}

#[test]
fn a_new_rule_set_takes_over_what_did_not_change() {
    let named = |id: &str, count: f64, referred| {
        let mut one = correlation(CorrelationKind::EventCount(at_least(count)), vec![referred], 60);
        one.meta = Arc::new(Meta { id: id.into(), ..Meta::default() });
        one
    };
    let rule = |id: &str, predicate| nhatle_rules::Rule {
        meta: Arc::new(Meta { id: id.into(), ..Meta::default() }),
        gate: nhatle_rules::predicate::Gate::Any,
        predicate,
        is_alerting: false,
        searches: Vec::new(),
    };
    let set = |rules: Vec<nhatle_rules::Rule>, correlations: Vec<Correlation>| {
        Arc::new(RuleSet { rules, correlations, ..RuleSet::default() })
    };
    let (always, never) =
        (nhatle_rules::predicate::Predicate::Constant(true), nhatle_rules::predicate::Predicate::Constant(false));
    let of_rule = |number| Referred::Rule(RuleId(number));
    let before = set(
        vec![rule("a", always.clone()), rule("b", always.clone())],
        vec![named("kept", 3.0, of_rule(0)), named("raised", 3.0, of_rule(0)), named("other rule", 3.0, of_rule(1))],
    );
    // A rule before them, a changed threshold, a changed rule, and another order.
    let after = set(
        vec![rule("0", always.clone()), rule("a", always), rule("b", never)],
        vec![named("other rule", 3.0, of_rule(2)), named("raised", 4.0, of_rule(1)), named("kept", 3.0, of_rule(1))],
    );
    let (events, _) = history(&fails(&[0, 1, 2]));
    let arrived = arrived(&events);
    let matched = |rules: &[u32], count: usize| -> Vec<Match> {
        let each = |position| rules.iter().map(move |rule| Match { position, rule: RuleId(*rule) });
        (0..count).flat_map(each).collect()
    };
    let mut old = Correlator::new(before, Limits::default());
    assert!(old.push(&arrived[..2], &matched(&[0, 1], 2)).is_empty());
    let mut new = Correlator::new(after, Limits::default());
    assert_eq!(new.adopt(&mut old), 1);
    let fired = new.push(&arrived[2..], &matched(&[1, 2], 1));
    assert_eq!(fired.iter().map(|one| (one.correlation.0, one.count)).collect::<Vec<_>>(), [(2, 3)]);
}
