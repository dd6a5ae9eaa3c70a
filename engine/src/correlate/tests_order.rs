//! Any order of arrival, any batches, any restart: the same in the end. The correlator against its naive twin.

use std::collections::BTreeMap;

use nhatle_event::Field;
use nhatle_rules::predicate::Comparison;
use nhatle_rules::{Correlation, CorrelationKind, Expression, RuleId, Scope, Threshold};
use proptest::prelude::*;

use super::tests::{Row, SECOND, arrived, correlation, group_by, history, rules};
use super::*;

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

/// One over three rules, and one over its firings and two of them; the outer one may be grouped by what the inner
/// one is not.
fn any_correlations() -> impl Strategy<Value = Vec<Correlation>> {
    let two = (kind(), kind(), 1i64..12, 1i64..12);
    (two, 0usize..3, (scope(), scope())).prop_map(|((inner, outer, inner_s, outer_s), other, scopes)| {
        let rule = |number| Referred::Rule(RuleId(number));
        let mut outer = correlation(outer, vec![Referred::Correlation(CorrelationId(0)), rule(1), rule(2)], outer_s);
        let mut inner = correlation(inner, vec![rule(0), rule(1), rule(2)], inner_s);
        let more: Option<&str> = [None, Some("v"), Some("host.name")][other];
        outer.group_by.extend(more.map(|name| group_by(name, 3)));
        (inner.scope, outer.scope) = scopes;
        vec![inner, outer]
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![4 => Just(Scope::Values), 1 => Just(Scope::City), 1 => Just(Scope::Unit)]
}

fn row() -> impl Strategy<Value = Row> {
    (0i64..4, proptest::option::weighted(0.9, 0u8..2), 0u8..4, proptest::collection::vec(0u32..3, 0..3))
}

/// Rows in order of time, from distances.
fn in_time(mut rows: Vec<Row>, step: i64) -> Vec<Row> {
    let mut now = 1_000_000;
    for row in &mut rows {
        now += row.0 + step;
        row.0 = now;
    }
    rows
}

/// The rows as they arrive when each is held up by so many seconds.
fn held_up(rows: &[Row], delays: &[i64]) -> Vec<Row> {
    let mut arrivals: Vec<(i64, &Row)> =
        rows.iter().zip(delays.iter().cycle()).map(|(row, delay)| (row.0 + delay, row)).collect();
    arrivals.sort_by_key(|(at, _)| *at);
    arrivals.into_iter().map(|(_, row)| row.clone()).collect()
}

/// Events in order of arrival, with a source for each value, of two units and of none. One group is by an address that
/// every unit has, the other by one that is the same everywhere.
fn told_apart(rows: &[Row]) -> (Vec<Event>, Vec<Match>) {
    let (mut events, matches) = history(rows);
    for (event, row) in events.iter_mut().zip(rows) {
        event.set(Field::NHATLE_SOURCE, format!("s{}", row.2));
        event.set(Field::HOST_NAME, "PC-01");
        if let Some(group) = row.1 {
            event.set_named("u", ["192.168.1.10", "203.0.113.9"][usize::from(group)]);
        }
        if let Some(unit) = [Some("DH01"), Some("DH02"), None, Some("DH02")][usize::from(row.2)] {
            event.set(Field::NHATLE_UNIT, unit);
        }
    }
    (events, matches)
}

/// A piece of a batch, with its matches.
fn piece<'a>(arrived: &[Arrived<'a>], matches: &[Match], from: usize, to: usize) -> (Vec<Arrived<'a>>, Vec<Match>) {
    let inside = matches.iter().filter(|found| (from..to).contains(&found.position));
    let matches = inside.map(|found| Match { position: found.position - from, ..*found }).collect();
    (arrived[from..to].to_vec(), matches)
}

/// By name, what stands at the end, with everything but how it was found.
type Stands = BTreeMap<(u32, Vec<(String, String)>, i64), (Vec<i64>, i64, u64, u64, Vec<String>)>;

/// Events are named by their times, which differ in every order of arrival as little as they do.
fn add(stands: &mut Stands, fired: &[CorrelationMatch], events: &[Event]) {
    for one in fired {
        let times = one.events.iter().map(|seq| events[seq.0 as usize - 1].timestamp.seconds()).collect();
        let content = (times, one.start.seconds(), one.count, one.value.to_bits(), one.units.clone());
        let name = (one.correlation.0, one.group.clone(), one.end.0);
        assert_eq!(stands.insert(name, content), None, "fired twice: {one:?}");
    }
}

fn take(stands: &mut Stands, withdrawn: &[Withdrawn]) {
    for one in withdrawn {
        let name = (one.correlation.0, one.group.clone(), one.end.0);
        assert!(stands.remove(&name).is_some(), "never fired: {one:?}");
    }
}

/// What stands when all rows have arrived, in pieces.
fn stands(rules: &Arc<RuleSet>, rows: &[Row], cuts: &[usize], limits: Limits) -> (Stands, Counters) {
    let (events, matches) = told_apart(rows);
    let arrived = arrived(&events);
    let mut correlator = Correlator::new(rules.clone(), limits);
    let mut all = Stands::new();
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).chain([rows.len()]).collect();
    cuts.sort_unstable();
    for to in cuts {
        let (batch, matches) = piece(&arrived, &matches, from, to);
        let fired = correlator.push(&batch, &matches);
        take(&mut all, correlator.withdrawn());
        add(&mut all, &fired, &events);
        from = to;
    }
    let fired = correlator.settle(0);
    take(&mut all, correlator.withdrawn());
    add(&mut all, &fired, &events);
    (all, correlator.counters())
}

/// What the twin finds.
fn expected(rules: &Arc<RuleSet>, rows: &[Row]) -> Stands {
    let (events, matches) = told_apart(rows);
    let mut all = Stands::new();
    add(&mut all, &naive::correlate(rules, &arrived(&events), &matches), &events);
    all
}

#[test]
fn a_firing_that_replaces_one_taken_back_at_once_stands_behind_it() {
    let origin = || (1, Text::from("inner"));
    let part = |weight| Part { origin: origin(), weight, events: None, carried: None, units: 0 };
    let (moment, mut hits) = ((1, 1), Vec::new());
    join(&mut hits, ("group", 0, moment), part(1), true);
    let coming = Coming::Edit(Edit::Take(origin()));
    hits.push(Come { key: "group".to_owned(), source: 0, moment, coming });
    join(&mut hits, ("group", 0, moment), part(2), true);
    let last = hits.pop().map(|hit| hit.coming);
    assert!(matches!(last, Some(Coming::Parts(parts)) if parts == [part(2)]));
    assert_eq!(hits.len(), 2);
}

/// How many cases each property is tried on; `NHATLE_CASES` asks for others.
fn cases() -> u32 {
    std::env::var("NHATLE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn in_order_it_fires_as_its_twin_does_and_takes_nothing_back(
        correlations in any_correlations(),
        rows in proptest::collection::vec(row(), 1..40),
        cut in 0usize..40,
    ) {
        let (rules, rows) = (rules(correlations), in_time(rows, 0));
        let (events, matches) = told_apart(&rows);
        let arrived = arrived(&events);
        let expected = naive::correlate(&rules, &arrived, &matches);
        let mut correlator = Correlator::new(rules, Limits::default());
        let cut = cut.min(rows.len());
        let (batch, of_it) = piece(&arrived, &matches, 0, cut);
        let mut found = correlator.push(&batch, &of_it);
        prop_assert!(correlator.withdrawn().is_empty());
        let (batch, of_it) = piece(&arrived, &matches, cut, rows.len());
        let rest = correlator.push(&batch, &of_it);
        prop_assert!(correlator.withdrawn().is_empty());
        found.extend(rest.into_iter().map(|one| CorrelationMatch { position: one.position + cut, ..one }));
        prop_assert_eq!(&found, &expected);
        prop_assert!(correlator.settle(0).is_empty());
    }

    #[test]
    fn any_order_of_arrival_and_any_batches_end_in_the_same(
        correlations in any_correlations(),
        rows in proptest::collection::vec(row(), 1..40),
        delays in proptest::collection::vec(0i64..600, 1..40),
        cuts in proptest::collection::vec(0usize..40, 0..4),
    ) {
        let rules = rules(correlations);
        let in_order = in_time(rows, 1);
        let shuffled = held_up(&in_order, &delays);
        let (found, counters) = stands(&rules, &shuffled, &cuts, Limits::default());
        prop_assert_eq!(&found, &expected(&rules, &in_order));
        prop_assert_eq!(&found, &stands(&rules, &in_order, &[], Limits::default()).0);
        prop_assert_eq!(counters, Counters::default());
    }

    #[test]
    fn late_hits_that_had_to_wait_end_in_the_same(
        correlations in any_correlations(),
        rows in proptest::collection::vec(row(), 1..40),
        delays in proptest::collection::vec(0i64..100, 1..40),
        credit in -3000i64..0,
    ) {
        // Without credit late hits wait while newer ones are counted; it comes back little by little.
        let rules = rules(correlations);
        let in_order = in_time(rows, 1);
        let shuffled = held_up(&in_order, &delays);
        let (events, matches) = told_apart(&shuffled);
        let mut correlator = Correlator::new(rules.clone(), Limits::default());
        correlator.running.iter_mut().flatten().for_each(|running| running.credit = credit);
        let mut found = Stands::new();
        let fired = correlator.push(&arrived(&events), &matches);
        take(&mut found, correlator.withdrawn());
        add(&mut found, &fired, &events);
        let fired = correlator.settle(0);
        take(&mut found, correlator.withdrawn());
        add(&mut found, &fired, &events);
        prop_assert!(correlator.is_settled());
        prop_assert_eq!(&found, &expected(&rules, &in_order));
    }

    #[test]
    fn events_of_one_moment_stand_in_the_order_they_arrived(
        correlations in any_correlations(),
        rows in proptest::collection::vec(row(), 1..30),
        delays in proptest::collection::vec(0i64..20, 1..40),
    ) {
        let (rules, shuffled) = (rules(correlations), held_up(&in_time(rows, 0), &delays));
        prop_assert_eq!(stands(&rules, &shuffled, &[7], Limits::default()).0, expected(&rules, &shuffled));
    }

    #[test]
    fn what_is_let_go_behind_the_lateness_is_not_missed(
        correlations in any_correlations(),
        rows in proptest::collection::vec(row(), 1..60),
        delays in proptest::collection::vec(0i64..8, 1..40),
    ) {
        // Eight seconds are allowed; windows are up to twelve, histories up to some four minutes.
        let limits = Limits { lateness_ns: 8 * SECOND, ..Limits::default() };
        let (rules, in_order) = (rules(correlations), in_time(rows, 1));
        let shuffled = held_up(&in_order, &delays);
        let (found, counters) = stands(&rules, &shuffled, &[20, 40], limits);
        prop_assert_eq!(&found, &expected(&rules, &in_order));
        prop_assert_eq!(counters, Counters::default());
    }

    #[test]
    fn a_restored_state_goes_on_as_the_one_that_was_written(
        correlations in any_correlations(),
        rows in proptest::collection::vec(row(), 1..40),
        delays in proptest::collection::vec(0i64..30, 1..40),
        cut in 0usize..40,
        credit in prop_oneof![Just(running::CREDIT_MAX), Just(-1_000_000)],
    ) {
        let (rules, rows) = (rules(correlations), held_up(&in_time(rows, 0), &delays));
        let limits = Limits { lateness_ns: 8 * SECOND, ..Limits::default() };
        let (events, matches) = told_apart(&rows);
        let arrived = arrived(&events);
        let cut = cut.min(rows.len());
        let mut whole = Correlator::new(rules.clone(), limits);
        // Without credit, late hits wait and are written as waiting.
        whole.running.iter_mut().flatten().for_each(|running| running.credit = credit);
        let (batch, of_it) = piece(&arrived, &matches, 0, cut);
        whole.push(&batch, &of_it);
        let bytes = whole.encode();
        let mut restored = Correlator::new(rules, Limits { hash_seed: 7, ..limits });
        prop_assert_eq!(restored.restore(&bytes), Ok(()));
        prop_assert_eq!(&restored.encode(), &bytes);
        for place in cut..rows.len() {
            let (batch, of_it) = piece(&arrived, &matches, place, place + 1);
            prop_assert_eq!(restored.push(&batch, &of_it), whole.push(&batch, &of_it));
            prop_assert_eq!(restored.withdrawn(), whole.withdrawn());
        }
        prop_assert_eq!(restored.settle(0), whole.settle(0));
        prop_assert_eq!(restored.withdrawn(), whole.withdrawn());
        prop_assert_eq!(restored.encode(), whole.encode());
    }

    #[test]
    fn a_damaged_state_is_refused_and_changes_nothing(
        rows in proptest::collection::vec(row(), 1..20),
        place in any::<usize>(),
        flip in 1u8..=255,
    ) {
        let kind = CorrelationKind::EventCount(Threshold(vec![(Comparison::GreaterOrEqual, 3.0)]));
        let rules = rules(vec![correlation(kind, vec![Referred::Rule(RuleId(0))], 60)]);
        let (events, matches) = history(&in_time(rows, 1));
        let mut correlator = Correlator::new(rules.clone(), Limits::default());
        correlator.push(&arrived(&events), &matches);
        let bytes = correlator.encode();
        let mut damaged = bytes.clone();
        damaged[place % bytes.len()] ^= flip;
        let mut other = Correlator::new(rules.clone(), Limits::default());
        prop_assert_eq!(other.restore(&damaged), Err(RestoreError::Damaged));
        prop_assert_eq!(other.restore(&bytes[..place % bytes.len()]), Err(RestoreError::Damaged));
        prop_assert_eq!(other.encode(), Correlator::new(rules, Limits::default()).encode());
    }
}

#[test]
fn a_state_of_a_version_before_is_refused_and_changes_nothing() {
    use sha2::Digest;
    let one = || Correlator::new(rules(any_count()), Limits::default());
    let now = one().encode();
    let mut before = [&b"nhatle correlate 1\n"[..], &now[19..now.len() - 32]].concat();
    before.extend(sha2::Sha256::digest(&before));
    let mut fresh = one();
    assert_eq!(fresh.restore(&before), Err(RestoreError::Damaged));
    assert_eq!(fresh.encode(), now);
}

fn any_count() -> Vec<Correlation> {
    let kind = CorrelationKind::EventCount(Threshold(vec![(Comparison::GreaterOrEqual, 3.0)]));
    vec![correlation(kind, vec![Referred::Rule(RuleId(0))], 60)]
}

#[test]
fn a_state_of_other_rules_is_refused() {
    let count = |count: f64| {
        let kind = CorrelationKind::EventCount(Threshold(vec![(Comparison::GreaterOrEqual, count)]));
        Correlator::new(rules(vec![correlation(kind, vec![Referred::Rule(RuleId(0))], 60)]), Limits::default())
    };
    assert_eq!(count(3.0).restore(&count(4.0).encode()), Err(RestoreError::OtherRules));
    assert_eq!(count(3.0).restore(&count(3.0).encode()), Ok(()));
    assert_eq!(count(3.0).restore(b""), Err(RestoreError::Damaged));
}
