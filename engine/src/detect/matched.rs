//! The values that made a rule match, for every alert and every line of `detect`.
//!
//! In: a rule set, one of its rules, an event that it matches. Out: names and values. The same as [`super::evidence`]
//! says of the tests that hold and are not negated (a test compares the two), without its words: this is made for each
//! match, evidence when somebody asks. Bounded: at most [`FIELDS_MAX`] values.

use std::borrow::Cow;

use nhatle_event::{Event, Field, Value};
use nhatle_rules::predicate::{Atom, FieldRef, Predicate, RuleField, Test, sigma_key};
use nhatle_rules::{RuleId, RuleSet};

use super::searched::{has_null, searched_fields};
use crate::matching::{holder_of, text_passes};
use crate::moment::{moment_field, with_moment};

/// How many values are given.
const FIELDS_MAX: usize = 256;

/// The fields that made a rule match, by the rule's names, each once, in the order of the condition.
pub fn matched_fields(rules: &RuleSet, rule: RuleId, event: &Event) -> Vec<(String, Value)> {
    let mut found = Found { rules, event, looked: Vec::new(), is_spaced: None, fields: Vec::new() };
    if let Some(rule) = rules.rules.get(rule.0 as usize) {
        found.walk(&rule.predicate, false);
    }
    found.fields
}

/// A field of an event and its value.
type Entry<'e> = Option<(Field, Cow<'e, Value>)>;

struct Found<'e> {
    rules: &'e RuleSet,
    event: &'e Event,
    /// What the rule's names mean in this event, as far as somebody asked.
    looked: Vec<(FieldRef, Entry<'e>)>,
    /// Whether the event has a field with a space in its name, once known.
    is_spaced: Option<bool>,
    fields: Vec<(String, Value)>,
}

impl<'e> Found<'e> {
    fn walk(&mut self, predicate: &Predicate, is_negated: bool) {
        match predicate {
            Predicate::Constant(_) => {}
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().for_each(|part| self.walk(part, is_negated));
            }
            Predicate::Not(part) => self.walk(part, !is_negated),
            Predicate::Atom(atom) => {
                let atom = self.rules.atoms.get(atom.0 as usize).filter(|_| !is_negated);
                if let Some(atom) = atom.filter(|_| self.fields.len() < FIELDS_MAX) {
                    self.take(atom);
                }
            }
        }
    }

    /// Adds what an atom found, unless its name is there already.
    fn take(&mut self, atom: &Atom) {
        let Some(field) = atom.field else {
            let holds = |value: &Value| value.each().find(|one| passes(&atom.test, one)).cloned();
            let found = searched_fields(self.event).find_map(|(field, value)| Some((field, holds(value)?)));
            if let Some((field, value)) = found.filter(|(field, _)| !self.has(field.name())) {
                self.fields.push((field.name().to_owned(), value));
            }
            return;
        };
        let name = self.rules.fields.get(field.0 as usize).map_or("", |field| field.name.as_str());
        if self.has(name) {
            return;
        }
        let entry = self.look(field);
        let value = entry.as_ref().map(|(_, value)| value.as_ref());
        let found = match &atom.test {
            Test::Exists => value.cloned(),
            Test::Null => value.filter(|_| has_null(value)).cloned(),
            Test::FieldRef { other, position, case } => {
                let other = self.look(*other);
                let others: Vec<Cow<'_, str>> =
                    other.iter().flat_map(|(_, value)| value.each()).filter_map(Value::as_text).collect();
                let ones = value.into_iter().flat_map(Value::each).filter_map(|one| Some((one, one.as_text()?)));
                let (ones, texts): (Vec<&Value>, Vec<Cow<'_, str>>) = ones.unzip();
                let place = holder_of(&texts, &others, *position, *case);
                place.and_then(|place| ones.get(place).copied()).cloned()
            }
            test => value.and_then(|value| value.each().find(|one| passes(test, one))).cloned(),
        };
        if let Some(value) = found {
            // A name can only be empty where the set is broken; then the event's own counts.
            let name = match entry {
                Some((field, _)) if name.is_empty() => field.name(),
                _ => name,
            };
            self.fields.push((name.to_owned(), value));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// What a rule's name means in the event.
    fn look(&mut self, field: FieldRef) -> Entry<'e> {
        if let Some((_, entry)) = self.looked.iter().find(|(known, _)| *known == field) {
            return entry.clone();
        }
        let entry = self.rules.fields.get(field.0 as usize).and_then(|name| self.entry(name));
        self.looked.push((field, entry.clone()));
        entry
    }

    fn entry(&mut self, name: &RuleField) -> Entry<'e> {
        if moment_field().is_some_and(|moment| name.candidates.contains(&moment)) {
            let seen = with_moment(self.event);
            let ranked = seen.fields().iter().filter_map(|(field, value)| Some((name.rank(*field)?, *field, value)));
            let best = ranked.min_by_key(|(rank, ..)| *rank)?;
            return Some((best.1, Cow::Owned(best.2.clone())));
        }
        let event = self.event;
        let exact = name.candidates.iter().find_map(|field| Some((*field, event.get(*field)?)));
        if let Some((field, value)) = exact {
            return Some((field, Cow::Borrowed(value)));
        }
        // Names that differ by spaces only: [`RuleField::rank`] where there can be one.
        let is_spaced =
            || event.fields().iter().any(|(field, _)| field.known().is_none() && field.name().contains(' '));
        let may_differ = name.candidates.iter().any(|field| matches!(sigma_key(field.name()), Cow::Owned(_)));
        if !may_differ && !*self.is_spaced.get_or_insert_with(is_spaced) {
            return None;
        }
        let ranked = event.fields().iter().filter_map(|(field, value)| Some((name.rank(*field)?, *field, value)));
        ranked.min_by_key(|(rank, ..)| *rank).map(|(_, field, value)| (field, Cow::Borrowed(value)))
    }
}

fn passes(test: &Test, value: &Value) -> bool {
    value.as_text().is_some_and(|text| text_passes(test, &text))
}
