//! Why a rule matches an event, or does not: for alert pages, for the `fields` of `detect` and for
//! `rule explain`. Worked out from the predicate when someone asks; never on the way of every event.
//!
//! In: a rule set, one of its rules, an event. Out: the tests with the values they looked at. Bounded:
//! at most [`EVIDENCE_MAX`] tests; a test of hundreds of literals shows those that matched.

use std::borrow::Cow;

use nhatle_event::{Event, Field, Value};
use nhatle_rules::predicate::{Atom, Comparison, Part, Pattern, Position, Predicate, Shape, Test, TimePart};
use nhatle_rules::{RuleId, RuleSet};

use super::gate::gate_passes;
use super::naive::{field_of, predicate_holds, value_of};
use super::searched::{has_null, searched_fields};
use crate::matching::{holder_of, pattern_matches, text_passes};
use crate::moment::seen_by;

/// How many tests evidence lists.
pub const EVIDENCE_MAX: usize = 256;
/// How many literals of one test are shown where none of them matched.
const LITERALS_SHOWN: usize = 8;

/// One test of a rule, and what it found in an event.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceItem {
    /// The field as the rule names it; empty for a keyword.
    pub name: String,
    /// The event's field that it means, if the event has one; for a keyword the field it was found in.
    pub field: Option<Field>,
    /// The value it looked at: of a list, the first element that passed.
    pub value: Option<Value>,
    /// Sigma's word for the test: empty for equal, `contains`, `startswith`, `re`, `gt`, …
    pub modifier: &'static str,
    /// What the rule asks for, as the rule writes it; of many alternatives those that matched.
    pub wanted: Vec<String>,
    /// The rule asks that it does not hold.
    pub is_negated: bool,
    /// Whether it holds.
    pub holds: bool,
}

/// A part of a condition with its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Whether this part holds.
    pub holds: bool,
    /// What it is made of.
    pub step: Step,
}

/// See [`Explained`].
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Always or never.
    Constant,
    /// Every part must hold.
    All(Vec<Explained>),
    /// One part must hold.
    Any(Vec<Explained>),
    /// The part must not hold.
    Not(Box<Explained>),
    /// A test.
    Test(EvidenceItem),
}

/// A rule explained on an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Whether the rule looks at such events at all.
    pub passes_gate: bool,
    /// Whether it matches: gate and condition.
    pub matches: bool,
    /// The whole condition.
    pub condition: Explained,
    /// The named searches, in the order written.
    pub searches: Vec<(String, Explained)>,
}

/// The tests of a rule with what they found, each once, in the order of the condition.
pub fn evidence(rules: &RuleSet, rule: RuleId, event: &Event) -> Vec<EvidenceItem> {
    let mut items = Vec::new();
    if let Some(rule) = rules.rules.get(rule.0 as usize) {
        collect(rules, &rule.predicate, false, &seen_by(rules, event), &mut items);
    }
    items
}

/// Says of every part of a rule whether it holds. `None` for a rule the set does not have.
pub fn explain(rules: &RuleSet, rule: RuleId, event: &Event) -> Option<Explanation> {
    let rule = rules.rules.get(rule.0 as usize)?;
    let event = &*seen_by(rules, event);
    let passes_gate = gate_passes(&rule.gate, event);
    let condition = explain_part(rules, &rule.predicate, false, event);
    let searches =
        rule.searches.iter().map(|(name, part)| (name.clone(), explain_part(rules, part, false, event))).collect();
    Some(Explanation { passes_gate, matches: passes_gate && condition.holds, condition, searches })
}

fn explain_part(rules: &RuleSet, predicate: &Predicate, is_negated: bool, event: &Event) -> Explained {
    let each = |parts: &[Predicate]| -> Vec<Explained> {
        parts.iter().map(|part| explain_part(rules, part, is_negated, event)).collect()
    };
    match predicate {
        Predicate::Constant(holds) => Explained { holds: *holds, step: Step::Constant },
        Predicate::All(parts) => {
            let parts = each(parts);
            Explained { holds: parts.iter().all(|part| part.holds), step: Step::All(parts) }
        }
        Predicate::Any(parts) => {
            let parts = each(parts);
            Explained { holds: parts.iter().any(|part| part.holds), step: Step::Any(parts) }
        }
        Predicate::Not(part) => {
            let part = explain_part(rules, part, !is_negated, event);
            Explained { holds: !part.holds, step: Step::Not(Box::new(part)) }
        }
        Predicate::Atom(atom) => match rules.atoms.get(atom.0 as usize) {
            Some(atom) => {
                let item = item_of(rules, atom, is_negated, event);
                Explained { holds: item.holds, step: Step::Test(item) }
            }
            None => Explained { holds: false, step: Step::Constant },
        },
    }
}

fn collect(rules: &RuleSet, predicate: &Predicate, is_negated: bool, event: &Event, items: &mut Vec<EvidenceItem>) {
    match predicate {
        Predicate::Constant(_) => {}
        Predicate::All(parts) | Predicate::Any(parts) => {
            parts.iter().for_each(|part| collect(rules, part, is_negated, event, items));
        }
        Predicate::Not(part) => collect(rules, part, !is_negated, event, items),
        Predicate::Atom(atom) => {
            if let Some(atom) = rules.atoms.get(atom.0 as usize).filter(|_| items.len() < EVIDENCE_MAX) {
                let item = item_of(rules, atom, is_negated, event);
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
    }
}

fn item_of(rules: &RuleSet, atom: &Atom, is_negated: bool, event: &Event) -> EvidenceItem {
    let name = atom.field.and_then(|field| rules.fields.get(field.0 as usize)).map_or("", |field| &field.name);
    let (modifier, wanted) = describe(rules, &atom.test);
    let mut item =
        EvidenceItem { name: name.to_owned(), field: None, value: None, modifier, wanted, is_negated, holds: false };
    match atom.field {
        Some(field) => {
            let entry = field_of(rules, field, event);
            item.field = entry.map(|entry| entry.0);
            find_in(rules, atom, entry.map(|entry| &entry.1), event, &mut item);
        }
        None => {
            for (field, value) in searched_fields(event) {
                if let Some(text) = value.each().find(|one| passes(&atom.test, one)) {
                    (item.field, item.value, item.holds) = (Some(field), Some(text.clone()), true);
                    break;
                }
            }
        }
    }
    if let (Test::OneOf(patterns), Some(text)) = (&atom.test, item.value.as_ref().and_then(Value::as_text))
        && item.holds
    {
        item.wanted = patterns.iter().filter(|one| pattern_matches(one, &text)).map(written).collect();
    }
    item
}

fn find_in(rules: &RuleSet, atom: &Atom, value: Option<&Value>, event: &Event, item: &mut EvidenceItem) {
    let (found, holds) = match &atom.test {
        Test::Exists => (value, value.is_some()),
        Test::Null => (value, has_null(value)),
        Test::FieldRef { other, position, case } => {
            let others: Vec<Cow<'_, str>> =
                value_of(rules, *other, event).into_iter().flat_map(Value::each).filter_map(Value::as_text).collect();
            let ones = value.into_iter().flat_map(Value::each).filter_map(|one| Some((one, one.as_text()?)));
            let (ones, texts): (Vec<&Value>, Vec<Cow<'_, str>>) = ones.unzip();
            let found = holder_of(&texts, &others, *position, *case).and_then(|place| ones.get(place).copied());
            (found, found.is_some())
        }
        test => {
            let found = value.into_iter().flat_map(Value::each).find(|one| passes(test, one));
            (found, found.is_some())
        }
    };
    item.value = found.or(value).cloned();
    item.holds = holds;
}

fn passes(test: &Test, value: &Value) -> bool {
    value.as_text().is_some_and(|text| text_passes(test, &text))
}

/// The Sigma word of a test, and what it asks for.
fn describe(rules: &RuleSet, test: &Test) -> (&'static str, Vec<String>) {
    match test {
        Test::Text(pattern) => (word_of(pattern), vec![literal_of(pattern)]),
        Test::OneOf(patterns) => ("", patterns.iter().take(LITERALS_SHOWN).map(written).collect()),
        Test::Number(number) => ("", vec![number.to_string()]),
        // As the rule has it: the loader writes `$` so.
        Test::Regex(expression) => ("re", vec![expression.replace(r"\n?\z", "$")]),
        Test::Cidr { network, prefix } => ("cidr", vec![format!("{network}/{prefix}")]),
        Test::Compare(comparison, limit) => (comparison_word(*comparison), vec![limit.to_string()]),
        Test::TimePart(part, comparison, wanted) => {
            let sign = match comparison {
                Comparison::Equal => String::new(),
                other => format!("{} ", comparison_word(*other)),
            };
            (time_word(*part), vec![format!("{sign}{wanted}")])
        }
        Test::Exists => ("exists", Vec::new()),
        Test::Null => ("null", Vec::new()),
        Test::FieldRef { other, position, .. } => {
            let word = match position {
                Position::Whole => "fieldref",
                Position::Start => "fieldref|startswith",
                Position::End => "fieldref|endswith",
                Position::Inside => "fieldref|contains",
            };
            let name = rules.fields.get(other.0 as usize).map_or("", |field| &field.name);
            (word, vec![name.to_owned()])
        }
    }
}

fn word_of(pattern: &Pattern) -> &'static str {
    match pattern.shape() {
        Shape::StartsWith(_) => "startswith",
        Shape::EndsWith(_) => "endswith",
        Shape::Contains(_) => "contains",
        Shape::Empty | Shape::Equals(_) | Shape::Anything | Shape::Wild => "",
    }
}

/// The literal without the wildcards that the word says, else the whole pattern.
fn literal_of(pattern: &Pattern) -> String {
    match pattern.shape() {
        Shape::StartsWith(literal) | Shape::EndsWith(literal) | Shape::Contains(literal) => literal.to_owned(),
        _ => written(pattern),
    }
}

/// A pattern with its wildcards.
fn written(pattern: &Pattern) -> String {
    let part = |part: &Part| match part {
        Part::Literal(literal) => literal.clone(),
        Part::Many => "*".to_owned(),
        Part::One => "?".to_owned(),
    };
    pattern.parts.iter().map(part).collect()
}

fn comparison_word(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "lt",
        Comparison::LessOrEqual => "lte",
        Comparison::Greater => "gt",
        Comparison::GreaterOrEqual => "gte",
        Comparison::Equal => "eq",
        Comparison::NotEqual => "neq",
    }
}

fn time_word(part: TimePart) -> &'static str {
    match part {
        TimePart::Minute => "minute",
        TimePart::Hour => "hour",
        TimePart::Day => "day",
        TimePart::Week => "week",
        TimePart::Month => "month",
        TimePart::Year => "year",
    }
}

/// Whether a rule matches an event: gate and predicate, decided the slow way.
pub fn rule_matches(rules: &RuleSet, rule: RuleId, event: &Event) -> bool {
    rules.rules.get(rule.0 as usize).is_some_and(|rule| {
        gate_passes(&rule.gate, event) && predicate_holds(rules, &rule.predicate, &seen_by(rules, event))
    })
}
