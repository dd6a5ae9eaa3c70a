//! Atoms and fields of single rules in, those of the rule set out: equal ones get one number.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher};

use nhatle_event::Field;

use super::predicate::{Atom, AtomId, FieldRef, Predicate, RuleField, Test};
use crate::ast::LogSource;
use crate::taxonomy;

/// The atoms and fields found so far.
#[derive(Default)]
pub(crate) struct Merger {
    pub(crate) atoms: Vec<Atom>,
    pub(crate) fields: Vec<RuleField>,
    hasher: foldhash::fast::FixedState,
    atoms_by_hash: HashMap<u64, Vec<AtomId>, foldhash::fast::FixedState>,
    fields_by_name: HashMap<(String, Vec<Field>), FieldRef, foldhash::fast::FixedState>,
    fields_by_source: HashMap<(String, LogSource), FieldRef, foldhash::fast::FixedState>,
}

/// The numbers, in the rule set, of what one rule numbered by itself.
pub(crate) struct Mapping {
    atoms: Vec<AtomId>,
}

impl Merger {
    /// Takes in the atoms of one rule. Its field names mean what they mean under `source`.
    pub(crate) fn take(&mut self, atoms: Vec<Atom>, fields: &[String], source: &LogSource) -> Mapping {
        let fields: Vec<FieldRef> = fields.iter().map(|name| self.field(name, source)).collect();
        let field = |local: FieldRef| fields.get(index(local.0)).copied().unwrap_or(local);
        let atoms = atoms.into_iter().map(|atom| {
            let test = match atom.test {
                Test::FieldRef { other, position, case } => Test::FieldRef { other: field(other), position, case },
                other => other,
            };
            self.atom(Atom { field: atom.field.map(field), test })
        });
        Mapping { atoms: atoms.collect() }
    }

    /// The number of a field name under a log source.
    pub(crate) fn field(&mut self, name: &str, source: &LogSource) -> FieldRef {
        let key = (name.to_owned(), source.clone());
        if let Some(known) = self.fields_by_source.get(&key) {
            return *known;
        }
        let field = taxonomy::field(name, source);
        let by_name = (field.name.clone(), field.candidates.clone());
        let place = match self.fields_by_name.get(&by_name) {
            Some(known) => *known,
            None => {
                let place = FieldRef(u32::try_from(self.fields.len()).unwrap_or(u32::MAX));
                self.fields.push(field);
                self.fields_by_name.insert(by_name, place);
                place
            }
        };
        self.fields_by_source.insert(key, place);
        place
    }

    fn atom(&mut self, atom: Atom) -> AtomId {
        let hash = self.hash(&atom);
        let same = self.atoms_by_hash.entry(hash).or_default();
        if let Some(known) = same.iter().find(|id| self.atoms.get(index(id.0)) == Some(&atom)) {
            return *known;
        }
        let id = AtomId(u32::try_from(self.atoms.len()).unwrap_or(u32::MAX));
        same.push(id);
        self.atoms.push(atom);
        id
    }

    /// A hash that is equal for equal atoms; numbers by their bits.
    fn hash(&self, atom: &Atom) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        atom.field.hash(&mut hasher);
        std::mem::discriminant(&atom.test).hash(&mut hasher);
        match &atom.test {
            Test::Text(pattern) => pattern.hash(&mut hasher),
            Test::OneOf(patterns) => patterns.hash(&mut hasher),
            Test::Number(number) | Test::Compare(_, number) | Test::TimePart(_, _, number) => {
                number.to_bits().hash(&mut hasher)
            }
            Test::Regex(pattern) => pattern.hash(&mut hasher),
            Test::Cidr { network, prefix } => (network, prefix).hash(&mut hasher),
            Test::Exists | Test::Null => {}
            Test::FieldRef { other, position, case } => (other, position, case).hash(&mut hasher),
        }
        hasher.finish()
    }
}

impl Mapping {
    /// The predicate with the rule set's numbers.
    pub(crate) fn apply(&self, predicate: &mut Predicate) {
        match predicate {
            Predicate::Constant(_) => {}
            Predicate::Atom(id) => *id = self.atoms.get(index(id.0)).copied().unwrap_or(*id),
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter_mut().for_each(|part| self.apply(part)),
            Predicate::Not(part) => self.apply(part),
        }
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
