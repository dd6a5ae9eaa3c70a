//! The detector against its naive twin, on rule sets and events made at random, and small rules by hand.

use std::net::{IpAddr, Ipv4Addr};

use nhatle_event::Timestamp;
use nhatle_rules::fold::fold;
use nhatle_rules::predicate::{
    Atom, AtomId, Case, Comparison, FieldRef, Gate, GateCase, Part, Pattern, Position, Predicate, Test,
};
use nhatle_rules::{Meta, Rule};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;

const FIELDS: [&str; 4] = ["A", "B", "winlog.event_data.A", "C"];

fn rule_field(name: &str) -> RuleField {
    let names = [name.to_owned(), format!("winlog.event_data.{name}")];
    let candidates = names.iter().filter_map(|name| Field::intern(name)).collect();
    RuleField { name: name.to_owned(), candidates }
}

fn rule_set(atoms: Vec<Atom>, rules: Vec<(Gate, Predicate)>) -> RuleSet {
    let rules = rules.into_iter().map(|(gate, predicate)| Rule {
        meta: Arc::new(Meta::default()),
        gate,
        predicate,
        is_alerting: true,
        searches: Vec::new(),
    });
    let fields = vec![rule_field("A"), rule_field("B"), rule_field("A"), rule_field("C")];
    RuleSet { rules: rules.collect(), atoms, fields, ..RuleSet::default() }
}

fn event(fields: &[(&str, Value)]) -> Event {
    let mut event = Event::new(Timestamp(0), *b"raw");
    fields.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
    event
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => "[abABđĐ1\\\\]{0,5}",
        1 => "(abc|ab\nc|192.168.0.[0-9]|42|042|4.2e1|-7|\u{130}|ſ|ß){1,2}",
        1 => Just("2026-03-09T22:41:07+07:00".to_owned()),
    ]
}

fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => text().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => (40i64..44).prop_map(Value::Long),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => Just(Value::Double(42.5)),
        1 => any::<u8>().prop_map(|last| Value::Ip(IpAddr::V4(Ipv4Addr::new(192, 168, 0, last)))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![5 => single(), 1 => proptest::collection::vec(single(), 0..3).prop_map(Value::List)]
}

fn any_event() -> impl Strategy<Value = Event> {
    let fields = proptest::collection::vec((0usize..4, value()), 0..5);
    (fields, 0u8..3).prop_map(|(fields, module)| {
        let mut event = Event::new(Timestamp(0), *b"raw");
        event.set(Field::EVENT_MODULE, format!("m{module}"));
        fields.into_iter().for_each(|(place, value)| event.set_named(FIELDS[place], value));
        event
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let part = prop_oneof![3 => "[abABđĐ1]{1,3}".prop_map(Part::Literal), 2 => Just(Part::Many), 1 => Just(Part::One)];
    (proptest::collection::vec(part, 0..4), proptest::bool::weighted(0.2)).prop_map(|(parts, is_cased)| {
        let mut joined: Vec<Part> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (Some(Part::Literal(known)), Part::Literal(more)) => known.push_str(&more),
                (_, part) => joined.push(part),
            }
        }
        for part in &mut joined {
            if let (Part::Literal(literal), false) = (part, is_cased) {
                *literal = String::from(fold(literal));
            }
        }
        Pattern { parts: joined, is_cased }
    })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![Just(Comparison::Less), Just(Comparison::GreaterOrEqual), Just(Comparison::Equal)]
}

fn test() -> impl Strategy<Value = Test> {
    let regex =
        prop_oneof![Just("a+b"), Just("(?i)^A.*1$"), Just("(?i)đ|bb"), Just("^$"), Just("[ab]{2}"), Just("ab|1")];
    prop_oneof![
        6 => pattern().prop_map(Test::Text),
        3 => proptest::collection::vec(pattern(), 2..5).prop_map(Test::OneOf),
        1 => prop_oneof![Just(42.0), Just(-7.0), Just(42.5)].prop_map(Test::Number),
        2 => regex.prop_map(|text| Test::Regex(text.to_owned())),
        1 => (0u8..33).prop_map(|prefix| Test::Cidr { network: IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), prefix }),
        1 => (comparison(), 40.0f64..44.0).prop_map(|(sign, limit)| Test::Compare(sign, limit)),
        1 => (comparison(), 0f64..24.0).prop_map(|(sign, hour)| {
            Test::TimePart(nhatle_rules::predicate::TimePart::Hour, sign, hour.floor())
        }),
        1 => Just(Test::Exists),
        1 => Just(Test::Null),
        1 => (0u32..4).prop_map(|other| {
            Test::FieldRef { other: FieldRef(other), position: Position::Inside, case: Case::Folded }
        }),
    ]
}

fn predicate(atoms: u32) -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![12 => (0..atoms).prop_map(|atom| Predicate::Atom(AtomId(atom))), 1 => any::<bool>().prop_map(Predicate::Constant)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 1..4).prop_map(Predicate::All),
            3 => proptest::collection::vec(inner.clone(), 1..4).prop_map(Predicate::Any),
            2 => inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

fn gate() -> impl Strategy<Value = Gate> {
    prop_oneof![
        2 => Just(Gate::Any),
        2 => proptest::collection::vec(0u8..4, 1..3).prop_map(|modules| {
            let modules = modules.iter().map(|module| format!("m{module}")).collect();
            Gate::Cases(vec![GateCase { modules, ..GateCase::default() }])
        }),
        1 => Just(Gate::Never),
    ]
}

fn any_rules() -> impl Strategy<Value = RuleSet> {
    let atom = (proptest::option::weighted(0.85, 0u32..4), test())
        .prop_map(|(field, test)| Atom { field: field.map(FieldRef), test });
    let rules = proptest::collection::vec((gate(), predicate(8)), 1..8);
    (proptest::collection::vec(atom, 8), rules).prop_map(|(atoms, rules)| rule_set(atoms, rules))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_detector_finds_what_its_naive_twin_finds(
        rules in any_rules(),
        events in proptest::collection::vec(any_event(), 1..12),
        cut in 0usize..12,
    ) {
        let expected = naive::detect(&rules, &events);
        let detector = Detector::new(Arc::new(rules.clone()));
        prop_assert_eq!(&detector.detect_events(&events), &expected);
        // Again with measured witnesses and a warm cache, and split elsewhere.
        detector.plan_now();
        let cut = cut.min(events.len());
        let mut found = detector.detect_events(&events[..cut]);
        let rest = detector.detect_events(&events[cut..]);
        found.extend(rest.into_iter().map(|one| Match { position: one.position + cut, ..one }));
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(&detector.detect_events(&events), &expected);
        // What explains agrees with what matches.
        for (position, event) in events.iter().enumerate() {
            for rule in (0u32..).zip(&rules.rules).map(|(number, _)| RuleId(number)) {
                let said = explain(&rules, rule, event).is_some_and(|said| said.matches);
                prop_assert_eq!(said, expected.contains(&Match { position, rule }));
                // What an alert shows is what the evidence says.
                let shown = matched_fields(&rules, rule, event);
                prop_assert_eq!(shown, fields_of_evidence(&rules, rule, event));
            }
        }
    }

    #[test]
    fn wildcards_match_as_the_same_regular_expression_does(pattern in pattern(), text in text()) {
        let mut expression = String::from(r"(?s)\A");
        for part in &pattern.parts {
            match part {
                Part::Literal(literal) => expression.push_str(&regex::escape(literal)),
                Part::Many => expression.push_str(".*"),
                Part::One => expression.push('.'),
            }
        }
        expression.push_str(r"\z");
        let seen = if pattern.is_cased { text.clone() } else { String::from(fold(&text)) };
        let expected = crate::matching::compile_regex(&expression).expect("is valid").is_match(&seen);
        prop_assert_eq!(crate::matching::pattern_matches(&pattern, &text), expected, "{:?} {:?}", pattern, text);
    }
}

impl Detector {
    /// Chooses witnesses by all that was counted so far.
    fn plan_now(&self) {
        let mut measured = self.measured.lock().expect("no panic");
        for worker in self.idle.lock().expect("no panic").iter_mut() {
            measured.counts.absorb(&mut worker.counts);
        }
        measured.plans += 1;
        self.plan_from(&measured.counts, measured.plans);
    }
}

/// [`matched_fields`], worked out from the evidence.
fn fields_of_evidence(rules: &RuleSet, rule: RuleId, event: &Event) -> Vec<(String, Value)> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    for item in evidence(rules, rule, event).into_iter().filter(|item| item.holds && !item.is_negated) {
        let name = match (item.name.is_empty(), item.field) {
            (true, Some(field)) => field.name().to_owned(),
            _ => item.name,
        };
        if let Some(value) = item.value
            && fields.iter().all(|(known, _)| *known != name)
        {
            fields.push((name, value));
        }
    }
    fields
}

/// How many evaluations (a rule on an event) [`evaluations_in_bulk_are_equal`] makes when not told otherwise.
const EVALUATIONS: u64 = 200_000;

/// `NHATLE_EVALUATIONS=10000000 cargo test --release -p nhatle-engine evaluations_in_bulk` makes ten million.
#[test]
fn evaluations_in_bulk_are_equal() {
    let asked = std::env::var("NHATLE_EVALUATIONS").ok().and_then(|text| text.parse().ok());
    let wanted: u64 = asked.unwrap_or(EVALUATIONS);
    let mut runner = proptest::test_runner::TestRunner::default();
    let (mut done, mut matches) = (0, 0);
    while done < wanted {
        let rules = any_rules().new_tree(&mut runner).expect("rules").current();
        let events = proptest::collection::vec(any_event(), 600).new_tree(&mut runner).expect("events").current();
        let expected = naive::detect(&rules, &events);
        let detector = Detector::new(Arc::new(rules.clone()));
        // Cold, on several threads; then with measured witnesses and a warm cache, in pieces of one thread each.
        assert_eq!(detector.detect_events(&events), expected, "{rules:?}");
        detector.plan_now();
        let mut found = Vec::new();
        for (piece, events) in events.chunks(97).enumerate() {
            let moved = |one: Match| Match { position: one.position + piece * 97, ..one };
            found.extend(detector.detect_events(events).into_iter().map(moved));
        }
        assert_eq!(found, expected, "{rules:?}");
        done += 2 * u64::try_from(rules.rules.len() * events.len()).expect("few");
        matches += expected.len();
    }
    assert!(0 < matches, "rules that never match prove nothing");
    eprintln!("{done} evaluations, {matches} matches, no difference");
}

fn contains(field: u32, literal: &str) -> Atom {
    let parts = vec![Part::Many, Part::Literal(literal.to_owned()), Part::Many];
    Atom { field: Some(FieldRef(field)), test: Test::Text(Pattern { parts, is_cased: false }) }
}

fn atom(number: u32) -> Predicate {
    Predicate::Atom(AtomId(number))
}

#[test]
fn many_events_on_several_threads_come_in_order() {
    let rules =
        rule_set(vec![contains(0, "needle"), contains(0, "n")], vec![(Gate::Any, atom(1)), (Gate::Any, atom(0))]);
    let events: Vec<Event> =
        (0..3000).map(|number| event(&[("A", Value::from(if number % 7 == 0 { "a NEEDLE" } else { "no" }))])).collect();
    let expected = naive::detect(&rules, &events);
    let detector = Detector::new(Arc::new(rules));
    for _ in 0..3 {
        assert_eq!(detector.detect_events(&events), expected);
    }
}

#[test]
fn evidence_names_field_value_and_literal() {
    let rules = rule_set(
        vec![contains(0, "needle"), contains(1, "good")],
        vec![(Gate::Any, Predicate::All(vec![atom(0), Predicate::Not(Box::new(atom(1)))]))],
    );
    let event = event(&[("winlog.event_data.A", Value::from("a NEEDLE")), ("B", Value::from("bad"))]);
    let items = evidence(&rules, RuleId(0), &event);
    assert_eq!(items.len(), 2);
    assert_eq!((items[0].name.as_str(), items[0].modifier, items[0].holds), ("A", "contains", true));
    assert_eq!(items[0].field.map(Field::name), Some("winlog.event_data.A"));
    assert_eq!(items[0].wanted, ["needle"]);
    assert!(items[1].is_negated && !items[1].holds);
    assert_eq!(matched_fields(&rules, RuleId(0), &event), [("A".to_owned(), Value::from("a NEEDLE"))]);
    assert!(evidence(&rules, RuleId(9), &event).is_empty());
}

#[test]
fn our_own_alerts_raise_nothing() {
    let rules = rule_set(Vec::new(), vec![(Gate::Any, Predicate::Constant(true))]);
    let alert = event(&[("event.dataset", Value::from("nhatle.alerts"))]);
    assert_eq!(Detector::new(Arc::new(rules.clone())).detect_events(std::slice::from_ref(&alert)), []);
    assert_eq!(naive::detect(&rules, &[alert]), []);
}

#[test]
fn a_value_of_a_million_letters_is_looked_at_once() {
    let cased = Pattern {
        parts: vec![Part::Many, Part::Literal("a".into()), Part::One, Part::Literal("Z".into())],
        is_cased: true,
    };
    let rules = rule_set(vec![Atom { field: Some(FieldRef(0)), test: Test::Text(cased) }], vec![(Gate::Any, atom(0))]);
    let event = event(&[("A", Value::from("a".repeat(1 << 20)))]);
    assert_eq!(Detector::new(Arc::new(rules)).detect_events(&[event]), []);
}

#[test]
fn time_parts_are_those_written() {
    use nhatle_rules::predicate::TimePart::{Day, Hour, Minute, Month, Week, Year};
    let rows = [
        (Hour, "2026-03-09T22:41:07+07:00", Some(22)),
        (Minute, "2026-03-09 22:41:07.123Z", Some(41)),
        (Day, "2026-03-09", Some(9)),
        (Month, "2026-03-09T22:41", Some(3)),
        (Year, "1773096067", Some(2026)),
        (Hour, "1773096067000", Some(22)),
        (Week, "2026-03-09T22:41:07Z", Some(11)),
        (Week, "2027-01-01T00:00:00Z", Some(53)),
        (Week, "2025-12-29T00:00:00Z", Some(1)),
        (Week, "2024-12-31", Some(1)),
        (Hour, "yesterday", None),
        (Hour, "2026-02-30T10:00:00Z", None),
    ];
    for (part, text, expected) in rows {
        assert_eq!(crate::matching::time_part(part, text), expected, "{part:?} of {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_event_that_matches_has_what_the_rules_need(
        rules in any_rules(),
        events in proptest::collection::vec(any_event(), 1..12),
    ) {
        let need = crate::needs::of(&rules);
        let read = crate::needs::fields_read(&rules);
        let detector = Detector::new(Arc::new(rules.clone()));
        for one in naive::detect(&rules, &events) {
            prop_assert!(need.holds(&events[one.position]), "{:?} does not hold", need);
        }
        // With no other fields than those that are read, the same matches.
        if let Some(read) = read {
            let slim = |event: &Event| {
                let mut slim = Event::new(event.timestamp, *b"");
                event.fields().iter().filter(|(field, _)| read.contains(field)).for_each(|(field, value)| {
                    slim.set(*field, value.clone());
                });
                slim
            };
            let slim: Vec<Event> = events.iter().map(slim).collect();
            prop_assert_eq!(detector.detect_events(&slim), naive::detect(&rules, &events));
        }
        // A rule on its own means what it means among others.
        let ids: Vec<String> = (0..rules.rules.len()).map(|number| format!("r{number}")).collect();
        let mut named = rules.clone();
        for (rule, id) in named.rules.iter_mut().zip(&ids) {
            rule.meta = Arc::new(Meta { id: id.clone(), ..Meta::default() });
        }
        let all = naive::detect(&named, &events);
        for (number, id) in (0u32..).zip(&ids) {
            let alone = named.only(&[id]);
            let found: Vec<usize> = naive::detect(&alone, &events).iter().map(|one| one.position).collect();
            let expected = all.iter().filter(|one| one.rule.0 == number).map(|one| one.position);
            prop_assert!(found.iter().copied().eq(expected));
        }
    }
}

#[test]
fn letters_that_fold_to_ascii_are_known_to_the_index() {
    // Whoever adds one here must tell `storage/src/segment/loose.rs`.
    let folds = |letter: &char| !letter.is_ascii() && nhatle_rules::fold::fold_char(*letter).is_ascii();
    let found: Vec<char> = (0..=0x0010_ffff).filter_map(char::from_u32).filter(folds).collect();
    assert_eq!(found, ['ſ', '\u{212a}']);
}
