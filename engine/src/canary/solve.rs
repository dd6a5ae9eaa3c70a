//! The search: which tests must hold, and values for all of them together.
//!
//! What a condition asks for without a choice is taken at once. Where it leaves a choice (`or`, a denied `and`), an
//! event is built of what is known; only a choice that this event does not meet by itself is made, one way after the
//! other. So a filter that nothing runs into costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use nhatle_event::{Event, Field, Timestamp};
use nhatle_rules::predicate::{AtomId, FieldRef, Gate, GateCase, Position, Predicate, Test};
use nhatle_rules::{RuleId, RuleSet};

use super::shape::{Piece, Shape};
use super::value::{Asked, Wanted, value};
use crate::detect::evidence::rule_matches;
use crate::detect::gate_passes;
use crate::detect::naive::predicate_holds;

/// How many events are built in search of one that matches.
pub const BUILDS_MAX: usize = 400;

/// How many ways to pass a log source are tried.
const CASES_MAX: usize = 8;

/// Values that make a rule match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// Field names as the rule writes them, with their texts. In order of name.
    pub fields: BTreeMap<String, String>,
    /// What keywords look for: the text of the message.
    pub message: Option<String>,
    /// The way it passes the log source.
    pub case: GateCase,
}

/// Why no values could be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsolved {
    /// The rule set has no such rule.
    #[error("no such rule")]
    NoRule,
    /// No event of ours passes the log source.
    #[error("its log source has no events here")]
    Asleep,
    /// No text passes what is asked of this field.
    #[error("no value found for {0}")]
    Field(String),
    /// A correlation of a kind that no canary is made for.
    #[error("no canary is made for a correlation of this kind")]
    Kind,
    /// The condition contradicts itself, or the search was given up.
    #[error("no event found after {0} attempts")]
    GivenUp(usize),
}

/// Values that make a rule match.
///
/// # Errors
/// None could be found; why.
pub fn solve(rules: &RuleSet, rule: RuleId) -> Result<Solution, Unsolved> {
    solve_with(rules, rule, &BTreeMap::new())
}

/// The same with fields that must hold given texts (what a correlation groups by or counts).
///
/// # Errors
/// See [`solve`].
pub fn solve_with(rules: &RuleSet, rule: RuleId, given: &BTreeMap<String, String>) -> Result<Solution, Unsolved> {
    let rule = rules.rules.get(rule.0 as usize).ok_or(Unsolved::NoRule)?;
    let any = [GateCase::default()];
    let cases: &[GateCase] = match &rule.gate {
        Gate::Any => &any,
        Gate::Cases(cases) => cases,
        Gate::Never => return Err(Unsolved::Asleep),
    };
    let mut search = Search { rules, given, case: &any[0], builds: 0, stuck: None };
    let found = cases.iter().take(CASES_MAX).find_map(|case| {
        search.case = case;
        let known = Known { literals: BTreeMap::new(), open: Vec::new(), forced: BTreeSet::new() };
        let solution = search.step(known, vec![(&rule.predicate, true)])?;
        gate_passes(&rule.gate, &event_of(&solution)).then_some(solution)
    });
    match found {
        Some(solution) => Ok(solution),
        None => Err(search
            .stuck
            .filter(|_| search.builds < BUILDS_MAX)
            .map_or(Unsolved::GivenUp(search.builds), Unsolved::Field)),
    }
}

/// A part of a condition that must, or must not, hold.
type Goal<'r> = (&'r Predicate, bool);

#[derive(Clone)]
struct Known<'r> {
    literals: BTreeMap<AtomId, bool>,
    /// Choices not made yet.
    open: Vec<Goal<'r>>,
    /// Fields that must be there: without them something else answers to the name.
    forced: BTreeSet<&'r str>,
}

struct Search<'r> {
    rules: &'r RuleSet,
    given: &'r BTreeMap<String, String>,
    case: &'r GateCase,
    builds: usize,
    /// The field that stood in the way last.
    stuck: Option<String>,
}

impl<'r> Search<'r> {
    fn step(&mut self, mut known: Known<'r>, mut goals: Vec<Goal<'r>>) -> Option<Solution> {
        while let Some((predicate, wanted)) = goals.pop() {
            match (predicate, wanted) {
                (Predicate::Constant(value), wanted) if *value == wanted => {}
                (Predicate::Constant(_), _) => return None,
                (Predicate::Not(part), wanted) => goals.push((part, !wanted)),
                (Predicate::Atom(atom), wanted) => {
                    if *known.literals.entry(*atom).or_insert(wanted) != wanted {
                        return None;
                    }
                }
                (Predicate::All(parts), true) | (Predicate::Any(parts), false) => {
                    goals.extend(parts.iter().rev().map(|part| (part, wanted)));
                }
                (choice, wanted) => known.open.push((choice, wanted)),
            }
        }
        // Another text where the first one runs into a denial.
        for variant in 0..3 {
            if BUILDS_MAX <= self.builds {
                return None;
            }
            self.builds += 1;
            let solution = self.build(&known, variant)?;
            let event = event_of(&solution);
            let is_met = |(predicate, wanted): &Goal<'_>| predicate_holds(self.rules, predicate, &event) == *wanted;
            let unmet = known.open.iter().position(|goal| !is_met(goal));
            let Some(place) = unmet else {
                let mut wrong =
                    known.literals.iter().filter(|(atom, wanted)| !is_met(&(&Predicate::Atom(**atom), **wanted)));
                let Some((atom, _)) = wrong.next() else { return Some(solution) };
                let field = self.rules.atoms.get(atom.0 as usize)?.field;
                known.forced.extend(field.map(|field| name_of(self.rules, field)));
                continue;
            };
            let (predicate, wanted) = known.open[place];
            let mut rest = known.clone();
            rest.open.remove(place);
            let (Predicate::All(parts) | Predicate::Any(parts)) = predicate else { return None };
            for part in parts {
                let found = self.step(rest.clone(), vec![(part, wanted)]);
                if found.is_some() || BUILDS_MAX <= self.builds {
                    return found;
                }
            }
            return None;
        }
        None
    }

    /// Values for the fields, each alone; fields that refer to each other after those they refer to.
    fn build(&mut self, known: &Known<'r>, variant: usize) -> Option<Solution> {
        let mut asked: BTreeMap<&'r str, Asked<'r>> = BTreeMap::new();
        let mut refers: Vec<(&'r str, &'r str, Position, bool)> = Vec::new();
        for (atom, wanted) in &known.literals {
            let atom = self.rules.atoms.get(atom.0 as usize)?;
            let name = atom.field.map_or("", |field| name_of(self.rules, field));
            let entry = asked.entry(name).or_default();
            if let Test::FieldRef { other, position, .. } = &atom.test {
                refers.push((name, name_of(self.rules, *other), *position, *wanted));
            }
            if *wanted { entry.holds.push(&atom.test) } else { entry.fails.push(&atom.test) }
        }
        for (name, other, _, _) in refers.iter().filter(|refer| refer.3) {
            asked.entry(other).or_default().is_preferred = true;
            asked.entry(name).or_default().is_preferred = true;
        }
        for (name, ..) in refers.iter().filter(|refer| !refer.3) {
            asked.entry(name).or_default().turn = 1;
        }
        for (name, text) in self.given {
            let name = self.rules.fields.iter().map(|field| &*field.name).find(|known| known == name);
            if let Some(name) = name {
                asked.entry(name).or_default().texts.push(vec![Piece::Literal(text.clone())]);
            }
        }
        let mut solution = Solution { fields: self.given.clone(), message: None, case: self.case.clone() };
        let mut waiting: Vec<&str> = asked.keys().copied().collect();
        // What is equal by reference shares what is asked of it.
        for (name, other, position, wanted) in &refers {
            if *wanted && *position == Position::Whole {
                let (theirs, ours) = (asked.get(other)?.clone(), asked.get(name)?.clone());
                let both = asked.get_mut(other)?;
                both.holds.extend(ours.holds);
                both.fails.extend(ours.fails);
                both.texts.extend(ours.texts);
                both.is_preferred |= theirs.is_preferred;
            }
        }
        let is_after = |name: &&str| refers.iter().any(|refer| refer.3 && refer.0 == *name);
        waiting.sort_by_key(is_after);
        for name in waiting {
            let mut ask = asked.get(name)?.clone();
            ask.is_preferred |= known.forced.contains(name);
            for (_, other, position, _) in refers.iter().filter(|refer| refer.3 && refer.0 == name) {
                ask.texts.push(standing(solution.fields.get(*other)?, *position));
            }
            match value(&ask, variant).or_else(|| value(&ask, 0)) {
                None => {
                    self.stuck = Some(if name.is_empty() { "keywords".to_owned() } else { name.to_owned() });
                    return None;
                }
                Some(Wanted::Absent) => {}
                Some(Wanted::Text(text)) if name.is_empty() => solution.message = Some(text),
                Some(Wanted::Text(text)) => {
                    solution.fields.insert(name.to_owned(), text);
                }
            }
        }
        Some(solution)
    }
}

fn name_of(rules: &RuleSet, field: FieldRef) -> &str {
    rules.fields.get(field.0 as usize).map_or("", |field| &field.name)
}

/// The shape of a text in which another stands.
fn standing(text: &str, position: Position) -> Shape {
    let literal = Piece::Literal(text.to_owned());
    match position {
        Position::Whole => vec![literal],
        Position::Start => vec![literal, Piece::Many],
        Position::End => vec![Piece::Many, literal],
        Position::Inside => vec![Piece::Many, literal, Piece::Many],
    }
}

/// The event of a solution, fields named as the rule does, with the facts its log source asks for. For checks; what
/// goes through the pipeline is written as the source writes it.
pub fn event_of(solution: &Solution) -> Event {
    let case = &solution.case;
    let mut event = Event::new(Timestamp::default(), *b"");
    let facts: [(Field, &[String]); 6] = [
        (Field::EVENT_MODULE, &case.modules),
        (Field::EVENT_DATASET, &case.datasets),
        (Field::WINLOG_CHANNEL, &case.channels),
        (Field::EVENT_CODE, &case.codes),
        (Field::PROCESS_NAME, &case.programs),
        (Field::EVENT_CATEGORY, &case.categories),
    ];
    for (field, list) in facts {
        if let Some(text) = list.first() {
            event.set(field, text.as_str());
        }
    }
    if let Some(text) = case.event_types.first() {
        event.set_named("winlog.event_data.EventType", text.as_str());
    }
    for (name, text) in &solution.fields {
        event.set_named(name, text.as_str());
    }
    if let Some(message) = &solution.message {
        event.set(Field::MESSAGE, message.as_str());
    }
    event
}

/// Whether a rule matches the event of a solution.
pub fn is_matched(rules: &RuleSet, rule: RuleId, solution: &Solution) -> bool {
    rule_matches(rules, rule, &event_of(solution))
}
