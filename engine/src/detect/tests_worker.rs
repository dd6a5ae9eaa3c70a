//! What a worker keeps between events changes no match: shapes and values past their bounds, new plans, lists.

use nhatle_event::Timestamp;
use nhatle_rules::predicate::{Atom, AtomId, FieldRef, Gate, GateCase, Part, Pattern, Predicate, Test};
use nhatle_rules::{Meta, Rule};

use super::program::{Kind, Programs};
use super::*;

fn contains(field: Option<u32>, literal: &str) -> Atom {
    let parts = vec![Part::Many, Part::Literal(literal.to_owned()), Part::Many];
    Atom { field: field.map(FieldRef), test: Test::Text(Pattern { parts, is_cased: false }) }
}

fn regex(field: Option<u32>, expression: &str) -> Atom {
    Atom { field: field.map(FieldRef), test: Test::Regex(expression.to_owned()) }
}

fn atom(number: u32) -> Predicate {
    Predicate::Atom(AtomId(number))
}

fn rule_set(atoms: Vec<Atom>, rules: Vec<(Gate, Predicate)>) -> RuleSet {
    let rules = rules.into_iter().map(|(gate, predicate)| Rule {
        meta: Arc::new(Meta::default()),
        gate,
        predicate,
        is_alerting: true,
        searches: Vec::new(),
    });
    let field = |name: &str| RuleField { name: name.to_owned(), candidates: Field::intern(name).into_iter().collect() };
    RuleSet { rules: rules.collect(), atoms, fields: vec![field("A"), field("B")], ..RuleSet::default() }
}

fn event(fields: &[(&str, Value)]) -> Event {
    let mut event = Event::new(Timestamp(0), *b"raw");
    fields.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
    event
}

#[track_caller]
fn agrees(rules: RuleSet, events: &[Event], matches_min: usize) {
    let expected = naive::detect(&rules, events);
    assert!(matches_min <= expected.len(), "{} matches prove little", expected.len());
    let detector = Detector::new(Arc::new(rules));
    for size in [events.len(), 7] {
        let mut found = Vec::new();
        for (piece, events) in events.chunks(size.max(1)).enumerate() {
            let moved = |one: Match| Match { position: one.position + piece * size, ..one };
            found.extend(detector.detect_events(events).into_iter().map(moved));
        }
        assert_eq!(found, expected);
    }
}

fn keyword_rules() -> RuleSet {
    rule_set(
        vec![contains(Some(0), "needle"), contains(None, "mimi"), regex(Some(1), "x[0-9]+y"), contains(Some(1), "b")],
        vec![
            (Gate::Any, atom(0)),
            (Gate::Any, Predicate::All(vec![atom(1), Predicate::Not(Box::new(atom(3)))])),
            (Gate::Cases(vec![GateCase { modules: vec!["m".to_owned()], ..GateCase::default() }]), atom(2)),
        ],
    )
}

#[test]
fn fields_made_up_for_each_event_are_forgotten_and_nothing_is_missed() {
    let events: Vec<Event> = (0..6000)
        .map(|number| {
            let name = format!("made.up.{}", number % 5000);
            event(&[
                (&name, Value::from(if number % 3 == 0 { "mimikatz" } else { "calm" })),
                ("A", Value::from(if number % 5 == 0 { "a NEEDLE" } else { "hay" })),
                ("event.module", Value::from(if number % 2 == 0 { "m" } else { "n" })),
                ("B", Value::from(format!("x{number}y"))),
            ])
        })
        .collect();
    agrees(keyword_rules(), &events, 5000);
}

#[test]
fn values_past_what_the_cache_holds_are_looked_up_again() {
    // Some 19 MiB of values, each met four times: generations change under way.
    let events: Vec<Event> = (0..24_000u32)
        .map(|number| {
            let value = format!("{}{}{}", "z".repeat(800), number % 6000, if number % 7 == 0 { "needle" } else { "" });
            event(&[("A", Value::from(value)), ("B", Value::from(if number % 11 == 0 { "Mimi" } else { "b" }))])
        })
        .collect();
    agrees(keyword_rules(), &events, 3000);
}

#[test]
fn lists_and_single_values_of_every_kind_are_read_alike() {
    let list = |texts: &[&str]| Value::List(texts.iter().map(|text| Value::from(*text)).collect());
    let values = [
        list(&["needle", "needle", "mimi", "b"]),
        list(&["x1y", "mimi"]),
        list(&[]),
        Value::Null,
        Value::Long(42),
        Value::Boolean(true),
        Value::from("{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"),
        Value::from("x12y mimi needle"),
    ];
    let mut events = Vec::new();
    for first in &values {
        for second in &values {
            events.push(event(&[
                ("A", first.clone()),
                ("event.module", Value::from("m")),
                ("B", second.clone()),
                ("C", first.clone()),
            ]));
        }
    }
    agrees(keyword_rules(), &events, 50);
}

#[test]
fn plain_values_are_passed_over_only_where_no_keyword_is_plain() {
    let rules = |keyword: &str| rule_set(vec![contains(None, keyword)], vec![(Gate::Any, atom(0))]);
    let events = [
        event(&[("A", Value::Long(4_242_420))]),
        event(&[("A", Value::from("{5770385F-C22A}"))]),
        event(&[("A", Value::Ip("10.42.42.1".parse().expect("an address")))]),
        event(&[("A", Value::Boolean(true))]),
    ];
    agrees(rules("42"), &events, 2);
    agrees(rules("c22a"), &events, 1);
    agrees(rules("true"), &events, 1);
    agrees(rules("{"), &events, 1);
    agrees(rules("g"), &events, 0);
}

#[test]
fn regular_expressions_come_last() {
    let rules = rule_set(
        vec![regex(Some(0), "a.b"), contains(Some(1), "c"), regex(Some(0), "long needle")],
        vec![(Gate::Any, Predicate::All(vec![atom(0), atom(2), atom(1)]))],
    );
    let network = Network::new(Arc::new(rules));
    let programs: &Programs = &network.programs;
    let start = programs.start_of(0).expect("a rule");
    let kinds: Vec<Kind> = (start..start + 4).filter_map(|place| programs.node(place)).map(|node| node.kind).collect();
    // The expression with a literal is tried where the literal stands, the other one everywhere.
    assert!(matches!(kinds[..], [Kind::All, Kind::Atom(1), Kind::Atom(2), Kind::Atom(0)]), "{kinds:?}");
}
