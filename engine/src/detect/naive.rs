//! The slow, obvious twin of the detector: every rule on every event, straight from the predicate.
//!
//! For tests, benches and fuzzing only. Same in, same out as [`Detector`](super::Detector).

use hashbrown::HashMap;
use nhatle_event::{Event, Value};
use nhatle_rules::predicate::{Atom, FieldRef, Predicate, Test};
use nhatle_rules::{RuleId, RuleSet};
use regex::Regex;

use super::gate::gate_passes;
use super::searched::{has_null, searched_texts};
use super::{Match, is_our_alert};
use crate::matching::{compile_regex, holder_of, text_passes};
use crate::moment::seen_by;

/// The matches of a rule set in events, in order of events, then of rule ids.
pub fn detect(rules: &RuleSet, events: &[Event]) -> Vec<Match> {
    let mut regexes = HashMap::new();
    for atom in &rules.atoms {
        if let Test::Regex(expression) = &atom.test {
            regexes.insert(expression.clone(), compile_regex(expression));
        }
    }
    let naive = Naive { rules, regexes };
    let mut matches = Vec::new();
    for (position, event) in events.iter().enumerate().filter(|(_, event)| !is_our_alert(event)) {
        let event = &*seen_by(rules, event);
        for (number, rule) in (0u32..).zip(&rules.rules) {
            if gate_passes(&rule.gate, event) && naive.holds(&rule.predicate, event) {
                matches.push(Match { position, rule: RuleId(number) });
            }
        }
    }
    matches
}

/// Whether a predicate holds for an event.
pub fn predicate_holds(rules: &RuleSet, predicate: &Predicate, event: &Event) -> bool {
    Naive { rules, regexes: HashMap::new() }.holds(predicate, event)
}

/// The value that a rule's field name has in an event: that of the best field it has.
pub fn value_of<'e>(rules: &RuleSet, field: FieldRef, event: &'e Event) -> Option<&'e Value> {
    field_of(rules, field, event).map(|(_, value)| value)
}

/// The event's field and value that a rule's field name means.
pub fn field_of<'e>(rules: &RuleSet, field: FieldRef, event: &'e Event) -> Option<&'e (nhatle_event::Field, Value)> {
    let name = rules.fields.get(field.0 as usize)?;
    let ranked = event.fields().iter().filter_map(|entry| Some((name.rank(entry.0)?, entry)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry)
}

struct Naive<'a> {
    rules: &'a RuleSet,
    regexes: HashMap<String, Option<Regex>>,
}

impl Naive<'_> {
    fn holds(&self, predicate: &Predicate, event: &Event) -> bool {
        match predicate {
            Predicate::Constant(value) => *value,
            Predicate::Atom(atom) => {
                self.rules.atoms.get(atom.0 as usize).is_some_and(|atom| self.atom_holds(atom, event))
            }
            Predicate::All(parts) => parts.iter().all(|part| self.holds(part, event)),
            Predicate::Any(parts) => parts.iter().any(|part| self.holds(part, event)),
            Predicate::Not(part) => !self.holds(part, event),
        }
    }

    fn atom_holds(&self, atom: &Atom, event: &Event) -> bool {
        let Some(field) = atom.field else {
            return searched_texts(event).any(|text| self.text_passes(&atom.test, &text));
        };
        let value = value_of(self.rules, field, event);
        let texts = || value.into_iter().flat_map(Value::each).filter_map(Value::as_text);
        match &atom.test {
            Test::Exists => value.is_some(),
            Test::Null => has_null(value),
            Test::FieldRef { other, position, case } => {
                let others = value_of(self.rules, *other, event).into_iter().flat_map(Value::each);
                let others: Vec<_> = others.filter_map(Value::as_text).collect();
                holder_of(&texts().collect::<Vec<_>>(), &others, *position, *case).is_some()
            }
            test => texts().any(|text| self.text_passes(test, &text)),
        }
    }

    fn text_passes(&self, test: &Test, text: &str) -> bool {
        match test {
            Test::Regex(expression) => match self.regexes.get(expression) {
                Some(regex) => regex.as_ref().is_some_and(|regex| regex.is_match(text)),
                None => text_passes(test, text),
            },
            test => text_passes(test, text),
        }
    }
}
