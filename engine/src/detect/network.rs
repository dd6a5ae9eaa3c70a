//! The network: a rule set made ready to be run over events. Built once, shared by all workers, immutable.
//!
//! In: a [`RuleSet`]. Out: its columns, the index of each, the gates, the regular expressions (compiled when
//! first needed), and the numbering of *marks*: an atom's own number, and after them one hint for each
//! regular expression with required literals.

use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use nhatle_rules::RuleSet;
use nhatle_rules::predicate::{Predicate, Test};
use regex::Regex;

use super::columns::Columns;
use super::gate::{Gates, Reads};
use super::index::{ColumnIndex, IndexBuilder};
use super::literals::required_literals;
use crate::matching::compile_regex;
use crate::moment::moment_field;

/// How an atom is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Its index sets this mark whenever the atom holds, or could hold for a regular expression.
    Indexed(u32),
    /// No index tells; it is tried when a rule asks.
    Unindexed,
}

/// See the module.
pub struct Network {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Their columns.
    pub columns: Columns,
    /// The index of each column, then that of keywords.
    pub indexes: Vec<ColumnIndex>,
    /// The gates.
    pub gates: Gates,
    /// The columns that an event's moment can fill.
    pub moments: Box<[u32]>,
    hints: HashMap<u32, u32>,
    regexes: HashMap<u32, OnceLock<Option<Regex>>>,
}

impl Network {
    /// Prepares a rule set.
    pub fn new(rules: Arc<RuleSet>) -> Network {
        let columns = Columns::new(&rules.fields);
        let keywords = columns.count();
        let mut builders: Vec<IndexBuilder> = (0..=keywords).map(|_| IndexBuilder::default()).collect();
        let (mut hints, mut regexes) = (HashMap::new(), HashMap::new());
        for (number, atom) in (0u32..).zip(&rules.atoms) {
            let column = atom.field.map_or(keywords, |field| columns.of(field) as usize);
            let Some(builder) = builders.get_mut(column) else { continue };
            builder.add(number, &atom.test);
            if let Test::Regex(expression) = &atom.test {
                regexes.insert(number, OnceLock::new());
                if let Some(literals) = required_literals(expression) {
                    let hint = u32::try_from(rules.atoms.len() + hints.len()).unwrap_or(u32::MAX);
                    builder.add_hints(hint, literals);
                    hints.insert(number, hint);
                }
            }
        }
        let reads = rules.rules.iter().map(|rule| reads_of(&rules, &columns, &rule.predicate)).collect();
        let gates = Gates::new(&rules, reads, columns.count());
        let indexes = builders.into_iter().map(IndexBuilder::build).collect();
        let moments = moment_field()
            .map_or_else(Box::default, |field| columns.routes(field).iter().map(|route| route.column).collect());
        Network { rules, columns, indexes, gates, moments, hints, regexes }
    }

    /// The place of the keyword index, which is also the number of its column.
    pub fn keyword_column(&self) -> u32 {
        u32::try_from(self.columns.count()).unwrap_or(u32::MAX)
    }

    /// How many marks there are.
    pub fn mark_count(&self) -> usize {
        self.rules.atoms.len() + self.hints.len()
    }

    /// How an atom is found.
    pub fn mark_of(&self, atom: u32) -> Mark {
        match self.rules.atoms.get(atom as usize).map(|atom| &atom.test) {
            Some(Test::Regex(_)) => self.hints.get(&atom).map_or(Mark::Unindexed, |hint| Mark::Indexed(*hint)),
            Some(Test::Exists | Test::Null | Test::FieldRef { .. }) | None => Mark::Unindexed,
            Some(_) => Mark::Indexed(atom),
        }
    }

    /// The compiled expression of an atom, compiled now if it was not needed before.
    pub fn regex(&self, atom: u32) -> Option<&Regex> {
        let Some(Test::Regex(expression)) = self.rules.atoms.get(atom as usize).map(|atom| &atom.test) else {
            return None;
        };
        self.regexes.get(&atom)?.get_or_init(|| compile_regex(expression)).as_ref()
    }
}

/// The columns a predicate reads, and whether it searches all values.
fn reads_of(rules: &RuleSet, columns: &Columns, predicate: &Predicate) -> Reads {
    let mut reads = Reads::default();
    for_each_atom(predicate, &mut |number| {
        let Some(atom) = rules.atoms.get(number as usize) else { return };
        match atom.field {
            Some(field) => reads.columns.push(columns.of(field)),
            None => reads.has_keywords = true,
        }
        if let Test::FieldRef { other, .. } = &atom.test {
            reads.columns.push(columns.of(*other));
        }
    });
    reads.columns.sort_unstable();
    reads.columns.dedup();
    reads
}

/// Calls `visit` with the number of every atom in a predicate.
pub fn for_each_atom(predicate: &Predicate, visit: &mut impl FnMut(u32)) {
    match predicate {
        Predicate::Constant(_) => {}
        Predicate::Atom(atom) => visit(atom.0),
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| for_each_atom(part, visit)),
        Predicate::Not(part) => for_each_atom(part, visit),
    }
}
