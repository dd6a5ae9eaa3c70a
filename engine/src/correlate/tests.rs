//! The correlator against its naive twin, and the readings of the specification by hand.

use nhatle_event::Field;
use nhatle_rules::predicate::{Comparison, RuleField};
use nhatle_rules::{CorrelationKind, Expression, GroupBy, Meta, RuleId, Threshold};
use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;

fn field(name: &str) -> RuleField {
    RuleField { name: name.to_owned(), scopes: Vec::new(), candidates: Field::intern(name).into_iter().collect() }
}

fn group_by(name: &str, referred: usize) -> GroupBy {
    GroupBy { name: name.to_owned(), fields: vec![field(name); referred] }
}

fn at_least(count: f64) -> Threshold {
    Threshold(vec![(Comparison::GreaterOrEqual, count)])
}

fn correlation(kind: CorrelationKind, referred: Vec<Referred>, timespan_s: i64) -> Correlation {
    Correlation {
        meta: Arc::new(Meta::default()),
        kind,
        group_by: vec![group_by("u", referred.len())],
        referred,
        timespan_ns: timespan_s * SECOND,
        is_alerting: true,
    }
}

fn rules(correlations: Vec<Correlation>) -> Arc<RuleSet> {
    Arc::new(RuleSet { correlations, ..RuleSet::default() })
}

fn event(at_s: i64, fields: &[(&str, &str)]) -> Event {
    let mut event = Event::new(Timestamp::from_seconds(at_s), *b"raw");
    fields.iter().for_each(|(name, value)| event.set_named(name, *value));
    event
}

/// What happened: second, group, value, rules that match.
type Row = (i64, Option<u8>, u8, Vec<u32>);

fn history(rows: &[Row]) -> (Vec<Event>, Vec<Match>) {
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

fn arrived(events: &[Event]) -> Vec<Arrived<'_>> {
    (1u64..).zip(events).map(|(seq, event)| Arrived { seq: Seq(seq), event }).collect()
}

fn run(rules: &Arc<RuleSet>, rows: &[Row]) -> Vec<CorrelationMatch> {
    let (events, matches) = history(rows);
    Correlator::new(rules.clone(), Limits::default()).push(&arrived(&events), &matches)
}

/// Which correlation fired with which last event (from 0), in order.
#[track_caller]
fn check(correlations: Vec<Correlation>, rows: &[Row], expected: &[(u32, u64)]) {
    let rules = rules(correlations);
    let found = run(&rules, rows);
    let ends: Vec<_> =
        found.iter().map(|one| (one.correlation.0, one.events.last().map_or(0, |seq| seq.0 - 1))).collect();
    assert_eq!(ends, expected, "{found:?}");
}

fn count_of(count: f64, timespan_s: i64) -> Correlation {
    correlation(CorrelationKind::EventCount(at_least(count)), vec![Referred::Rule(RuleId(0))], timespan_s)
}

fn fails(seconds: &[i64]) -> Vec<Row> {
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
    let rules = rules(vec![count_of(2.0, 60)]);
    let (events, matches) = history(&fails(&[10_000, 0]));
    let mut correlator = Correlator::new(rules, Limits::default());
    assert!(correlator.push(&arrived(&events), &matches).is_empty());
    assert_eq!(correlator.counters().too_late, 1);
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
    let limits = Limits { groups_max: 64, hits_max: 4, correlation_hits_max: 100, lateness_ns: 0 };
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

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = (0usize..3).prop_map(Expression::Occurred);
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Expression::All),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Expression::Any),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

fn threshold() -> impl Strategy<Value = Threshold> {
    let sign = prop_oneof![
        4 => Just(Comparison::GreaterOrEqual),
        1 => Just(Comparison::Equal),
        1 => Just(Comparison::Less),
        1 => Just(Comparison::Greater)
    ];
    (sign, 1u8..5).prop_map(|(sign, limit)| Threshold(vec![(sign, f64::from(limit))]))
}

fn kind() -> impl Strategy<Value = CorrelationKind> {
    let value = || group_by("v", 3);
    prop_oneof![
        threshold().prop_map(CorrelationKind::EventCount),
        threshold().prop_map(move |limit| CorrelationKind::ValueCount(limit, vec![value()])),
        threshold().prop_map(CorrelationKind::Temporal),
        threshold().prop_map(CorrelationKind::TemporalOrdered),
        expression().prop_map(CorrelationKind::Extended),
        expression().prop_map(CorrelationKind::ExtendedOrdered),
        threshold().prop_map(move |limit| CorrelationKind::ValueSum(limit, value())),
        threshold().prop_map(move |limit| CorrelationKind::ValueAvg(limit, value())),
        (threshold(), 0u8..101)
            .prop_map(move |(limit, percent)| { CorrelationKind::ValuePercentile(limit, value(), f64::from(percent)) }),
        threshold().prop_map(move |limit| CorrelationKind::ValueMedian(limit, value())),
    ]
}

fn any_correlations() -> impl Strategy<Value = Vec<Correlation>> {
    (kind(), kind(), 1i64..12, 1i64..12).prop_map(|(inner, outer, inner_s, outer_s)| {
        let rule = |number| Referred::Rule(RuleId(number));
        vec![
            correlation(inner, vec![rule(0), rule(1), rule(2)], inner_s),
            correlation(outer, vec![Referred::Correlation(CorrelationId(0)), rule(1), rule(2)], outer_s),
        ]
    })
}

fn row() -> impl Strategy<Value = Row> {
    (0i64..4, proptest::option::weighted(0.9, 0u8..2), 0u8..4, proptest::collection::vec(0u32..3, 0..3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_correlator_fires_as_its_naive_twin_does(
        correlations in any_correlations(),
        mut rows in proptest::collection::vec(row(), 1..40),
        cut in 0usize..40,
    ) {
        let mut now = 0;
        for row in &mut rows {
            now += row.0;
            row.0 = now;
        }
        let rules = rules(correlations);
        let (events, matches) = history(&rows);
        let arrived = arrived(&events);
        let expected = naive::correlate(&rules, &arrived, &matches);
        let mut correlator = Correlator::new(rules.clone(), Limits::default());
        prop_assert_eq!(&correlator.push(&arrived, &matches), &expected);
        // Any split of the batch.
        let cut = cut.min(rows.len());
        let (before, after): (Vec<Match>, Vec<Match>) = matches.iter().partition(|found| found.position < cut);
        let after: Vec<_> = after.iter().map(|found| Match { position: found.position - cut, ..*found }).collect();
        let mut correlator = Correlator::new(rules, Limits::default());
        let mut found = correlator.push(&arrived[..cut], &before);
        let rest = correlator.push(&arrived[cut..], &after);
        found.extend(rest.into_iter().map(|one| CorrelationMatch { position: one.position + cut, ..one }));
        prop_assert_eq!(&found, &expected);
    }

    #[test]
    fn late_events_end_in_the_same_state(
        kind in kind(),
        mut rows in proptest::collection::vec(row(), 1..20),
        order in proptest::collection::vec(any::<u32>(), 20),
    ) {
        // Whatever the order of arrival, the last window is that over all hits in time order.
        let referred: Vec<_> = (0..3).map(|number| Referred::Rule(RuleId(number))).collect();
        let rules = rules(vec![correlation(kind, referred, 1000)]);
        let mut now = 0;
        for row in &mut rows {
            now += row.0 + 1;
            row.0 = now;
            row.1 = Some(0);
        }
        let mut places: Vec<usize> = (0..rows.len()).collect();
        places.sort_by_key(|place| order[*place]);
        let shuffled: Vec<Row> = places.iter().map(|place| rows[*place].clone()).collect();
        let fires = |rows: &[Row]| !run(&rules, rows).is_empty();
        // A condition that only grows fires in any order, or in none.
        if let CorrelationKind::EventCount(Threshold(limits)) | CorrelationKind::ValueCount(Threshold(limits), _) = &rules.correlations[0].kind
            && limits.iter().all(|(sign, _)| matches!(sign, Comparison::GreaterOrEqual | Comparison::Greater))
        {
            prop_assert_eq!(fires(&rows), fires(&shuffled));
        } else {
            fires(&shuffled);
        }
    }
}
