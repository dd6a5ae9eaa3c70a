//! A rule set cut down to some rules and what they refer to. In: ids. Out: a rule set of its own, with the
//! atoms and fields those rules need and no others, so that it is as quick to make ready as it is small.
//!
//! What the chosen rules mean does not change: gates, predicates (filters are in them) and references are
//! taken over as compiled. A rule that is there only because a chosen correlation refers to it does not alert.

use std::collections::{BTreeMap, BTreeSet};

use crate::compile::predicate::{Atom, AtomId, FieldRef, Predicate, Test};
use crate::set::{Correlation, CorrelationId, Referred, Rule, RuleId, RuleSet};

impl RuleSet {
    /// The rules and correlations of these ids (`Meta::id`), with all they refer to. Ids that are not in the
    /// set are left out; with none that is, the set is empty.
    #[must_use]
    pub fn only(&self, ids: &[&str]) -> RuleSet {
        let is_named = |id: &str| ids.contains(&id);
        let mut rules: BTreeSet<u32> = BTreeSet::new();
        let mut correlations: BTreeSet<u32> = BTreeSet::new();
        rules.extend((0u32..).zip(&self.rules).filter(|(_, rule)| is_named(&rule.meta.id)).map(|(number, _)| number));
        let count = u32::try_from(self.correlations.len()).unwrap_or(u32::MAX);
        // Backwards: what a correlation refers to stands before it.
        for (number, correlation) in (0..count).zip(&self.correlations).rev() {
            if !is_named(&correlation.meta.id) && !correlations.contains(&number) {
                continue;
            }
            correlations.insert(number);
            for referred in &correlation.referred {
                match referred {
                    Referred::Rule(rule) => drop(rules.insert(rule.0)),
                    Referred::Correlation(inner) => drop(correlations.insert(inner.0)),
                }
            }
        }
        let mut cut = Cut { from: self, atoms: BTreeMap::new(), fields: BTreeMap::new(), set: RuleSet::default() };
        for number in &rules {
            if let Some(rule) = self.rules.get(*number as usize) {
                let rule = cut.rule(rule, is_named(&rule.meta.id));
                cut.set.rules.push(rule);
            }
        }
        for number in &correlations {
            if let Some(correlation) = self.correlations.get(*number as usize) {
                let is_alerting = correlation.is_alerting && is_named(&correlation.meta.id);
                let referred = correlation.referred.iter().map(|one| renumbered(*one, &rules, &correlations)).collect();
                cut.set.correlations.push(Correlation { referred, is_alerting, ..correlation.clone() });
            }
        }
        cut.set
    }
}

fn renumbered(referred: Referred, rules: &BTreeSet<u32>, correlations: &BTreeSet<u32>) -> Referred {
    let place = |of: &BTreeSet<u32>, number: u32| u32::try_from(of.range(..number).count()).unwrap_or(u32::MAX);
    match referred {
        Referred::Rule(rule) => Referred::Rule(RuleId(place(rules, rule.0))),
        Referred::Correlation(inner) => Referred::Correlation(CorrelationId(place(correlations, inner.0))),
    }
}

struct Cut<'a> {
    from: &'a RuleSet,
    atoms: BTreeMap<u32, u32>,
    fields: BTreeMap<u32, u32>,
    set: RuleSet,
}

impl Cut<'_> {
    fn rule(&mut self, rule: &Rule, is_named: bool) -> Rule {
        let searches = rule.searches.iter().map(|(name, search)| (name.clone(), self.predicate(search))).collect();
        Rule {
            meta: rule.meta.clone(),
            gate: rule.gate.clone(),
            predicate: self.predicate(&rule.predicate),
            is_alerting: rule.is_alerting && is_named,
            searches,
        }
    }

    fn predicate(&mut self, predicate: &Predicate) -> Predicate {
        match predicate {
            Predicate::Constant(value) => Predicate::Constant(*value),
            Predicate::Atom(atom) => self.atom(*atom),
            Predicate::All(parts) => Predicate::All(parts.iter().map(|part| self.predicate(part)).collect()),
            Predicate::Any(parts) => Predicate::Any(parts.iter().map(|part| self.predicate(part)).collect()),
            Predicate::Not(part) => Predicate::Not(Box::new(self.predicate(part))),
        }
    }

    fn atom(&mut self, atom: AtomId) -> Predicate {
        if let Some(known) = self.atoms.get(&atom.0) {
            return Predicate::Atom(AtomId(*known));
        }
        // The engine takes an atom that is not there for one that does not hold.
        let Some(Atom { field, test }) = self.from.atoms.get(atom.0 as usize) else {
            return Predicate::Constant(false);
        };
        let field = field.map(|field| self.field(field));
        let test = match test {
            Test::FieldRef { other, position, case } => {
                Test::FieldRef { other: self.field(*other), position: *position, case: *case }
            }
            other => other.clone(),
        };
        let place = u32::try_from(self.set.atoms.len()).unwrap_or(u32::MAX);
        self.set.atoms.push(Atom { field, test });
        self.atoms.insert(atom.0, place);
        Predicate::Atom(AtomId(place))
    }

    fn field(&mut self, field: FieldRef) -> FieldRef {
        let next = u32::try_from(self.set.fields.len()).unwrap_or(u32::MAX);
        let place = *self.fields.entry(field.0).or_insert(next);
        if place == next {
            // Kept in step with the numbers also where the set is not whole.
            let field = self.from.fields.get(field.0 as usize).cloned();
            self.set.fields.push(field.unwrap_or_else(|| crate::compile::predicate::RuleField {
                name: String::new(),
                candidates: Vec::new(),
            }));
        }
        FieldRef(place)
    }
}
