//! Programs: the predicates of all rules, flat in one vector, cheap tests first.
//!
//! In: predicates. Out: nodes in prefix order, each knowing where its part ends, and for each rule where it
//! begins. The parts of an `and` or an `or` are put in order of what they cost, so that a regular expression
//! runs (and is compiled at all) only where nothing cheaper decides. That changes no outcome: no test has an
//! effect.

use nhatle_rules::RuleSet;
use nhatle_rules::predicate::{Predicate, Test};

use super::network::{AtomPlace, NO_MARK};

/// One step of a program.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// What it asks.
    pub kind: Kind,
    /// The place behind its last part.
    pub end: u32,
}

/// See [`Node`].
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Always or never.
    Constant(bool),
    /// The atom holds.
    Atom(u32),
    /// Every part up to the end holds.
    All,
    /// One of the parts holds.
    Any,
    /// The part does not hold.
    Not,
}

/// The predicates of a rule set.
#[derive(Debug, Default)]
pub struct Programs {
    nodes: Vec<Node>,
    /// For each rule the place of its first node.
    starts: Vec<u32>,
}

impl Programs {
    /// Writes the predicates of a rule set down. `places` is how each atom is found.
    pub fn new(rules: &RuleSet, places: &[AtomPlace]) -> Programs {
        let mut programs = Programs::default();
        for rule in &rules.rules {
            programs.starts.push(number(programs.nodes.len()));
            programs.add(&rule.predicate, rules, places);
        }
        programs
    }

    /// The first node of a rule.
    pub fn start_of(&self, rule: u32) -> Option<u32> {
        self.starts.get(rule as usize).copied()
    }

    /// The node at a place.
    pub fn node(&self, place: u32) -> Option<Node> {
        self.nodes.get(place as usize).copied()
    }

    fn add(&mut self, predicate: &Predicate, rules: &RuleSet, places: &[AtomPlace]) {
        let (kind, parts) = match predicate {
            Predicate::Constant(value) => (Kind::Constant(*value), &[][..]),
            Predicate::Atom(atom) => (Kind::Atom(atom.0), &[][..]),
            Predicate::All(parts) => (Kind::All, parts.as_slice()),
            Predicate::Any(parts) => (Kind::Any, parts.as_slice()),
            Predicate::Not(part) => (Kind::Not, std::slice::from_ref(&**part)),
        };
        let place = self.nodes.len();
        self.nodes.push(Node { kind, end: 0 });
        let mut parts: Vec<&Predicate> = parts.iter().collect();
        parts.sort_by_cached_key(|part| cost(part, rules, places));
        parts.into_iter().for_each(|part| self.add(part, rules, places));
        self.nodes[place].end = number(self.nodes.len());
    }
}

/// Bounded by the bytes of a rule set.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// About how many nanoseconds deciding a predicate takes at worst.
fn cost(predicate: &Predicate, rules: &RuleSet, places: &[AtomPlace]) -> u64 {
    match predicate {
        Predicate::Constant(_) => 1,
        Predicate::Not(part) => cost(part, rules, places),
        Predicate::All(parts) | Predicate::Any(parts) => {
            parts.iter().map(|part| cost(part, rules, places)).fold(1, u64::saturating_add)
        }
        Predicate::Atom(atom) => {
            let is_marked = places.get(atom.0 as usize).is_some_and(|place| place.mark != NO_MARK);
            match rules.atoms.get(atom.0 as usize).map(|atom| &atom.test) {
                Some(Test::Regex(_)) if is_marked => 500,
                Some(Test::Regex(_)) => 1000,
                Some(Test::FieldRef { .. }) => 100,
                _ => 5,
            }
        }
    }
}
