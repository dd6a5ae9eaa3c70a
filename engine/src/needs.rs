//! What an event must have for any rule of a set to match it: a necessary condition that an index can answer
//! without looking at the event. In: a [`RuleSet`]. Out: a [`Need`], and the fields the rules read.
//!
//! Promise: where a rule of the set matches an event, the need holds for it ([`Need::holds`] is the plain
//! meaning, and the tests compare the two). It may hold for events that no rule matches: the rules decide.
//! Negation promises nothing but that a field is there where its absence was denied. Pure; cannot fail.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};
use nhatle_rules::fold::fold;
use nhatle_rules::predicate::{Atom, Comparison, FieldRef, Gate, GateCase, Part, Pattern, Predicate, Test, sigma_key};
use nhatle_rules::{CorrelationKind, RuleSet};

use crate::detect::{gate_fields, required_literals};
use crate::matching::{address_of, is_inside, number_of};
use crate::moment::moment_field;

/// How many forms a need may name in all; past it, rules count by their log source alone.
pub const FORMS_MAX: usize = 4_096;

/// What an event must have.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// Nothing that could be asked for.
    Anything,
    /// No event has it.
    Nothing,
    /// One of these fields is there and holds this. A field of another case, or with other spaces, counts too.
    Field(Vec<Field>, Held),
    /// Some value of the event has one of these forms.
    Somewhere(Vec<Form>),
    /// All of these.
    All(Vec<Need>),
    /// One of these.
    Any(Vec<Need>),
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// Whatever, a null included.
    Field,
    /// A value that reads as text.
    Text,
    /// A text of one of these forms.
    Form(Vec<Form>),
    /// A number from the first to the second, both included.
    Number(f64, f64),
    /// An address of this network, with the length of its prefix in bits.
    Network(IpAddr, u8),
}

/// The form of a text after simple case folding: all of what is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    /// It is all of this.
    pub whole: Option<String>,
    /// It begins so.
    pub start: Option<String>,
    /// It holds each of these.
    pub inside: Vec<String>,
    /// It ends so.
    pub end: Option<String>,
}

/// The need of a rule set: one rule or another may match.
pub fn of(rules: &RuleSet) -> Need {
    let whole = any(rules.rules.iter().map(|rule| {
        let gate = of_gate(&rule.gate);
        all([gate, of_predicate(rules, &rule.predicate, false)])
    }));
    if form_count(&whole) <= FORMS_MAX {
        return whole;
    }
    // So many forms cost more than they spare. Whose log source says nothing counts by its predicate.
    any(rules.rules.iter().map(|rule| match of_gate(&rule.gate) {
        Need::Anything => of_predicate(rules, &rule.predicate, false),
        gate => gate,
    }))
}

/// The fields that decide what matches and fires, or `None` where every field may.
pub fn fields_read(rules: &RuleSet) -> Option<Vec<Field>> {
    if rules.atoms.iter().any(|atom| atom.field.is_none()) {
        return None;
    }
    let mut read: BTreeSet<Field> = gate_fields().collect();
    read.extend([Field::NHATLE_SOURCE, Field::NHATLE_INPUT, Field::NHATLE_UNIT]);
    read.extend(rules.fields.iter().flat_map(|field| field.candidates.iter().copied()));
    for correlation in &rules.correlations {
        let counted: &[nhatle_rules::GroupBy] = match &correlation.kind {
            CorrelationKind::ValueCount(_, fields) => fields,
            CorrelationKind::ValueSum(_, field)
            | CorrelationKind::ValueAvg(_, field)
            | CorrelationKind::ValuePercentile(_, field, _)
            | CorrelationKind::ValueMedian(_, field) => std::slice::from_ref(field),
            _ => &[],
        };
        let named = correlation.group_by.iter().chain(counted).flat_map(|entry| &entry.fields);
        read.extend(named.flat_map(|field| field.candidates.iter().copied()));
    }
    Some(read.into_iter().collect())
}

fn of_gate(gate: &Gate) -> Need {
    match gate {
        Gate::Any => Need::Anything,
        Gate::Never => Need::Nothing,
        Gate::Cases(cases) => any(cases.iter().map(of_case)),
    }
}

fn of_case(case: &GateCase) -> Need {
    let lists = [
        &case.modules,
        &case.datasets,
        &case.channels,
        &case.codes,
        &case.programs,
        &case.event_types,
        &case.categories,
    ];
    let facts = crate::detect::gate_facts();
    all(lists.into_iter().zip(facts).filter(|(list, _)| !list.is_empty()).map(|(list, fields)| {
        // Gates have folding rules of their own; for plain names they are those of rules.
        match list.iter().all(|text| text.is_ascii()) {
            true => {
                let form = |text: &String| Form { whole: Some(text.to_ascii_lowercase()), ..Form::default() };
                Need::Field(fields, Held::Form(list.iter().map(form).collect()))
            }
            false => Need::Field(fields, Held::Text),
        }
    }))
}

/// What the predicate needs to hold, or its negation.
fn of_predicate(rules: &RuleSet, predicate: &Predicate, is_negated: bool) -> Need {
    let each =
        |parts: &[Predicate]| -> Vec<Need> { parts.iter().map(|part| of_predicate(rules, part, is_negated)).collect() };
    match (predicate, is_negated) {
        (Predicate::Constant(value), _) if *value != is_negated => Need::Anything,
        (Predicate::Constant(_), _) => Need::Nothing,
        (Predicate::Not(part), _) => of_predicate(rules, part, !is_negated),
        (Predicate::All(parts), false) | (Predicate::Any(parts), true) => all(each(parts)),
        (Predicate::Any(parts), false) | (Predicate::All(parts), true) => any(each(parts)),
        (Predicate::Atom(atom), _) => match rules.atoms.get(atom.0 as usize) {
            Some(atom) => of_atom(rules, atom, is_negated),
            None if is_negated => Need::Anything,
            None => Need::Nothing,
        },
    }
}

fn of_atom(rules: &RuleSet, atom: &Atom, is_negated: bool) -> Need {
    let Some(field) = atom.field else {
        return match forms_of(&atom.test) {
            Some(forms) if !is_negated => Need::Somewhere(forms),
            _ => Need::Anything,
        };
    };
    let field_needs = |field: FieldRef, held: Held| {
        let candidates = rules.fields.get(field.0 as usize).map(|field| field.candidates.clone()).unwrap_or_default();
        // Every event has a moment, beside its fields.
        let is_moment = moment_field().is_some_and(|moment| candidates.contains(&moment));
        if is_moment { Need::Anything } else { Need::Field(candidates, held) }
    };
    let needs = |held: Held| field_needs(field, held);
    match (&atom.test, is_negated) {
        (Test::Null, true) | (Test::Exists, false) => needs(Held::Field),
        (_, true) | (Test::Null, false) => Need::Anything,
        (Test::FieldRef { other, .. }, false) => all([needs(Held::Text), field_needs(*other, Held::Text)]),
        (Test::Number(number), false) => needs(Held::Number(*number, *number)),
        (Test::Compare(comparison, limit), false) => needs(range(*comparison, *limit)),
        (Test::Cidr { network, prefix }, false) => needs(Held::Network(*network, *prefix)),
        (test, false) => needs(forms_of(test).map_or(Held::Text, Held::Form)),
    }
}

fn range(comparison: Comparison, limit: f64) -> Held {
    match comparison {
        Comparison::Less | Comparison::LessOrEqual => Held::Number(f64::NEG_INFINITY, limit),
        Comparison::Greater | Comparison::GreaterOrEqual => Held::Number(limit, f64::INFINITY),
        Comparison::Equal => Held::Number(limit, limit),
        Comparison::NotEqual => Held::Number(f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// The forms one of which a value has that passes; `None` where nothing is known of it.
fn forms_of(test: &Test) -> Option<Vec<Form>> {
    let forms: Vec<Form> = match test {
        Test::Text(pattern) => vec![form_of(pattern)],
        Test::OneOf(patterns) => patterns.iter().map(form_of).collect(),
        Test::Regex(expression) => {
            let one = |literal| Form { inside: vec![literal], ..Form::default() };
            required_literals(expression)?.into_iter().map(one).collect()
        }
        _ => return None,
    };
    (!forms.contains(&Form::default())).then_some(forms)
}

fn form_of(pattern: &Pattern) -> Form {
    let folded = |literal: &str| fold(literal).into_owned();
    let mut form = Form::default();
    match pattern.parts.as_slice() {
        [] => form.whole = Some(String::new()),
        [Part::Literal(literal)] => form.whole = Some(folded(literal)),
        parts => {
            let last = parts.len() - 1;
            for (place, part) in parts.iter().enumerate() {
                match part {
                    Part::Literal(literal) if place == 0 => form.start = Some(folded(literal)),
                    Part::Literal(literal) if place == last => form.end = Some(folded(literal)),
                    Part::Literal(literal) => form.inside.push(folded(literal)),
                    Part::Many | Part::One => {}
                }
            }
        }
    }
    form
}

fn all(needs: impl IntoIterator<Item = Need>) -> Need {
    let mut parts = Vec::new();
    for need in needs {
        match need {
            Need::Nothing => return Need::Nothing,
            Need::Anything => {}
            Need::All(inner) => parts.extend(inner),
            other => parts.push(other),
        }
    }
    match parts.len() {
        0 => Need::Anything,
        1 => parts.swap_remove(0),
        _ => Need::All(parts),
    }
}

fn any(needs: impl IntoIterator<Item = Need>) -> Need {
    let mut parts = Vec::new();
    // Hundreds of rules of one log source need the same; what was seen is told apart by how it prints.
    let mut seen = foldhash::HashSet::default();
    let mut add = |need: Need, parts: &mut Vec<Need>| {
        if seen.insert(format!("{need:?}")) {
            parts.push(need);
        }
    };
    for need in needs {
        match need {
            Need::Anything => return Need::Anything,
            Need::Nothing => {}
            Need::Any(inner) => inner.into_iter().for_each(|one| add(one, &mut parts)),
            other => add(other, &mut parts),
        }
    }
    match parts.len() {
        0 => Need::Nothing,
        1 => parts.swap_remove(0),
        _ => Need::Any(parts),
    }
}

fn form_count(need: &Need) -> usize {
    match need {
        Need::Anything | Need::Nothing => 0,
        Need::Field(_, Held::Form(forms)) | Need::Somewhere(forms) => forms.len(),
        Need::Field(..) => 1,
        Need::All(parts) | Need::Any(parts) => parts.iter().map(form_count).sum(),
    }
}

impl Need {
    /// The plain meaning, event by event: what every index is compared with.
    pub fn holds(&self, event: &Event) -> bool {
        match self {
            Need::Anything => true,
            Need::Nothing => false,
            Need::All(parts) => parts.iter().all(|part| part.holds(event)),
            Need::Any(parts) => parts.iter().any(|part| part.holds(event)),
            Need::Somewhere(forms) => {
                let mut texts = event.fields().iter().flat_map(|(_, value)| value.each()).filter_map(Value::as_text);
                texts.any(|text| forms.iter().any(|form| form.fits(&fold(&text))))
            }
            Need::Field(names, held) => {
                let keys: Vec<String> = names.iter().map(|name| loose(name.name())).collect();
                let named = event.fields().iter().filter(|(field, _)| keys.contains(&loose(field.name())));
                named.into_iter().any(|(_, value)| held.holds(value))
            }
        }
    }
}

/// A name without case and spaces.
fn loose(name: &str) -> String {
    sigma_key(name).to_lowercase()
}

impl Held {
    fn holds(&self, value: &Value) -> bool {
        let mut texts = value.each().filter_map(Value::as_text);
        match self {
            Held::Field => true,
            Held::Text => texts.next().is_some(),
            Held::Form(forms) => texts.any(|text| forms.iter().any(|form| form.fits(&fold(&text)))),
            Held::Number(low, high) => {
                texts.any(|text| number_of(&text).is_some_and(|number| *low <= number && number <= *high))
            }
            Held::Network(network, prefix) => {
                texts.any(|text| address_of(&text).is_some_and(|address| is_inside(address, *network, *prefix)))
            }
        }
    }
}

impl Form {
    /// A folded text has this form.
    pub fn fits(&self, folded: &str) -> bool {
        self.whole.as_ref().is_none_or(|whole| whole == folded)
            && self.start.as_ref().is_none_or(|start| folded.starts_with(start.as_str()))
            && self.end.as_ref().is_none_or(|end| folded.ends_with(end.as_str()))
            && self.inside.iter().all(|inside| folded.contains(inside.as_str()))
    }
}
