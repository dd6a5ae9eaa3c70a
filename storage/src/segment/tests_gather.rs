//! The terms that are gathered of a segment are those of the plain twin.

use std::collections::BTreeMap;

use nhatle_event::{Event, Seq, Stored, Timestamp, Value};
use proptest::prelude::*;

use super::gather::CHAIN_MAX;
use super::terms::{COVERING_MAX, TERMS_MAX, TermMaker};
use super::text_index::{TextIndex, build};

type Terms = BTreeMap<Vec<u8>, Vec<usize>>;

/// What the plain twin puts where; rows with too many words by their overflow only.
fn plain(events: &[Stored]) -> ([Terms; 2], TermMaker) {
    let mut maker = TermMaker::default();
    let mut terms = [Terms::new(), Terms::new()];
    for (row, stored) in events.iter().enumerate() {
        let of = maker.terms(&stored.event);
        for (terms, text) in terms.iter_mut().zip([of.words, of.exact]) {
            for term in text.split_terminator('\0') {
                let rows: &mut Vec<usize> = terms.entry(term.as_bytes().to_vec()).or_default();
                if rows.last() != Some(&row) {
                    rows.push(row);
                }
            }
        }
    }
    (terms, maker)
}

fn check(events: &[Event]) {
    let stored = |(seq, event): (u64, &Event)| Stored { seq: Seq(seq), committed: Timestamp(0), event: event.clone() };
    let events: Vec<Stored> = (1..).zip(events).map(stored).collect();
    let index = build(events.iter().map(|stored| &stored.event)).unwrap();
    let index = TextIndex::open(index, events.len() as u64).unwrap();
    let (terms, maker) = plain(&events);
    assert_eq!(index.dump(), terms);
    assert_eq!(index.contents.stands, maker.named());
    assert_eq!(index.contents.covering, maker.fields.covering);
    assert_eq!(index.contents.keys, Some(maker.fields.keys));
}

fn event(fields: &[(&str, Value)]) -> Event {
    let mut event = Event::new(Timestamp(0), Vec::new());
    fields.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
    event
}

#[test]
fn a_word_that_a_value_says_is_no_word_whatever_comes_first() {
    let user = ("user.name", Value::from("Root"));
    let message = ("message", Value::from("root logged in as ROOT from 10.0.0.1"));
    let rows = [vec![user.clone(), message.clone()], vec![message.clone()], vec![message, user]];
    check(&rows.map(|fields| event(&fields)));
}

#[test]
fn names_that_are_fronts_of_names_stay_in_order() {
    let values = |name| [event(&[(name, Value::from("b"))]), event(&[(name, Value::from(""))])];
    check(&["a", "a.b", "a b", "A", "a.", "", "đ"].map(values).concat());
}

#[test]
fn long_values_are_cut_as_the_twin_cuts_them() {
    for length in [63, 64, 65, 127, 128, 129, 255, 256, 257, 300] {
        let word = Value::from("đ".repeat(length / 2).as_str());
        let text = Value::from("w ".repeat(length).as_str());
        check(&[event(&[("user.name", word.clone()), ("x", text), ("message", word.clone())]), event(&[("x", word)])]);
    }
}

#[test]
fn a_short_value_that_is_long_when_folded_is_cut_as_the_twin_cuts_it() {
    let word = Value::from("한".repeat(21).as_str());
    check(&[event(&[("user.name", word.clone()), ("x", "a".into())]), event(&[("x", word)])]);
}

#[test]
fn one_value_of_many_fields_has_a_list_of_each() {
    let names: Vec<String> = (0..3 * CHAIN_MAX).map(|at| format!("vendor.f{at}")).collect();
    let of = |value: &str, from: usize| {
        event(&names[from..].iter().map(|name| (name.as_str(), Value::from(value))).collect::<Vec<_>>())
    };
    check(&[of("abc", 0), of("abcd", 0), of("abc", 5), of("x", 9), of("abc", CHAIN_MAX), of("abcd", 1)]);
}

#[test]
fn a_word_is_found_whatever_the_case_of_the_field_that_had_it_first() {
    let mut fields: Vec<(String, Value)> = vec![("Image".to_owned(), "a".into())];
    fields.extend((0..COVERING_MAX).map(|at| (format!("vendor.f{at}"), Value::from("b"))));
    let mut all = event(&[]);
    fields.iter().for_each(|(name, value)| all.set_named(name, value.clone()));
    let events = [all, event(&[("image", "word".into())]), event(&[("Image", "word".into())])];
    let index = TextIndex::open(build(events.iter()).unwrap(), 3).unwrap();
    assert_eq!(index.word("word").unwrap().maybe.iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_row_with_too_many_values_overflows_as_the_twin_does() {
    let many = |count: usize| Value::List((0..count).map(|at| Value::from(format!("v{at}").as_str())).collect());
    check(&[event(&[("user.name", many(TERMS_MAX))]), event(&[("user.name", many(TERMS_MAX + 1))])]);
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-cA-C1 .đĐ\\x00\\x01]{0,12}".prop_map(|text| Value::from(text.as_str())),
        Just(Value::from("10.0.0.1:80 Phường Bắc Lý 10.0.0.1")),
        Just(Value::from("10.0.0.1")),
        Just(Value::from("ROOT")),
        Just(Value::from("1234"))
    ];
    let other = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        (0i64..5).prop_map(Value::Long),
        Just(Value::Long(1234)),
        (0i64..5).prop_map(|number| Value::Double(number as f64 / 2.0)),
        Just(Value::Ip([10, 0, 0, 1].into())),
        Just(Value::Ip(std::net::Ipv6Addr::LOCALHOST.into())),
        Just(Value::Date(Timestamp(0))),
    ];
    let single = prop_oneof![3 => text, 1 => other];
    prop_oneof![4 => single.clone(), 1 => proptest::collection::vec(single, 0..4).prop_map(Value::List)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_terms_are_those_of_the_plain_twin(rows in proptest::collection::vec(
        proptest::collection::vec((prop_oneof![
            Just("message"), Just("user.name"), Just("source.ip"), Just("event.code"), Just("process.pid"),
            Just("nhatle.unit"), Just("Image"), Just("image"), Just("tags"), Just("event.start"),
            Just("destination.ip"), Just("related.ip"), Just("vendor.a"), Just("vendor.b")], value()), 0..9),
        1..40)) {
        check(&rows.iter().map(|fields| event(fields)).collect::<Vec<_>>());
    }
}
