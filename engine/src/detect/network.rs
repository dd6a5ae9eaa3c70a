//! The network: a rule set made ready to be run over events. Built once, shared by all workers, immutable.
//!
//! In: a [`RuleSet`]. Out: its columns, the index of each, the gates, the regular expressions (compiled when
//! first needed), and the numbering of *marks*: an atom's own number, and after them one hint for each
//! regular expression with required literals.

use std::sync::{Arc, OnceLock};

use nhatle_rules::RuleSet;
use nhatle_rules::predicate::{Predicate, Test};
use regex::Regex;

use super::columns::Columns;
use super::gate::{Bits, Gates, Reads};
use super::index::{ColumnIndex, IndexBuilder};
use super::literals::required_literals;
use super::program::Programs;
use crate::matching::compile_regex;
use crate::moment::moment_field;

/// The mark of an atom that no index tells.
pub const NO_MARK: u32 = u32::MAX;

/// How an atom is found: by a mark in the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtomPlace {
    /// The column; that of keywords for an atom without a field.
    pub column: u32,
    /// The mark its index sets whenever the atom holds, or could hold for a regular expression; or
    /// [`NO_MARK`], and the atom is tried when a rule asks.
    pub mark: u32,
    /// Whether the mark alone says that the atom holds.
    pub is_exact: bool,
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
    /// The predicates.
    pub programs: Programs,
    places: Box<[AtomPlace]>,
    mark_count: usize,
    keyword_marks: Bits,
    /// For each atom, empty for those that are no regular expression.
    regexes: Box<[OnceLock<Option<Regex>>]>,
}

impl Network {
    /// Prepares a rule set.
    pub fn new(rules: Arc<RuleSet>) -> Network {
        let columns = Columns::new(&rules.fields);
        let keywords = columns.count();
        let mut builders: Vec<IndexBuilder> = (0..=keywords).map(|_| IndexBuilder::default()).collect();
        let mut mark_count = rules.atoms.len();
        let mut places = Vec::with_capacity(rules.atoms.len());
        for (number, atom) in (0u32..).zip(&rules.atoms) {
            let column = atom.field.map_or(keywords, |field| columns.of(field) as usize);
            let mut place =
                AtomPlace { column: u32::try_from(column).unwrap_or(NO_MARK), mark: number, is_exact: true };
            if let Some(builder) = builders.get_mut(column) {
                builder.add(number, &atom.test);
                match &atom.test {
                    Test::Regex(expression) => {
                        (place.mark, place.is_exact) = (NO_MARK, false);
                        if let Some(literals) = required_literals(expression) {
                            place.mark = u32::try_from(mark_count).unwrap_or(NO_MARK);
                            mark_count += 1;
                            builder.add_hints(place.mark, literals);
                        }
                    }
                    Test::Exists | Test::Null | Test::FieldRef { .. } => {
                        (place.mark, place.is_exact) = (NO_MARK, false)
                    }
                    _ => {}
                }
            }
            places.push(place);
        }
        let keyword_marks = keyword_marks(&places, keywords, mark_count);
        let programs = Programs::new(&rules, &places);
        let regexes = rules.atoms.iter().map(|_| OnceLock::new()).collect();
        let reads: Vec<Reads> = rules.rules.iter().map(|rule| reads_of(&rules, &columns, &rule.predicate)).collect();
        let gates = Gates::new(&rules, &reads, columns.count());
        let indexes = builders.into_iter().map(IndexBuilder::build).collect();
        let moments = moment_field()
            .map_or_else(Box::default, |field| columns.routes(field).iter().map(|route| route.column).collect());
        Network {
            rules,
            columns,
            indexes,
            gates,
            moments,
            programs,
            places: places.into(),
            mark_count,
            keyword_marks,
            regexes,
        }
    }

    /// The place of the keyword index, which is also the number of its column.
    pub fn keyword_column(&self) -> u32 {
        u32::try_from(self.columns.count()).unwrap_or(u32::MAX)
    }

    /// The index of keywords.
    pub fn index_of_keywords(&self) -> Option<&ColumnIndex> {
        self.indexes.last()
    }

    /// How many marks there are.
    pub fn mark_count(&self) -> usize {
        self.mark_count
    }

    /// How an atom is found.
    pub fn place_of(&self, atom: u32) -> AtomPlace {
        let nowhere = AtomPlace { column: NO_MARK, mark: NO_MARK, is_exact: false };
        self.places.get(atom as usize).copied().unwrap_or(nowhere)
    }

    /// Whether a mark is a keyword's.
    pub fn is_keyword(&self, mark: u32) -> bool {
        self.keyword_marks.contains(mark)
    }

    /// The compiled expression of an atom, compiled now if it was not needed before.
    pub fn regex(&self, atom: u32) -> Option<&Regex> {
        let Some(Test::Regex(expression)) = self.rules.atoms.get(atom as usize).map(|atom| &atom.test) else {
            return None;
        };
        self.regexes.get(atom as usize)?.get_or_init(|| compile_regex(expression)).as_ref()
    }
}

/// The marks that stand in the index of keywords.
fn keyword_marks(places: &[AtomPlace], keywords: usize, mark_count: usize) -> Bits {
    let mut marks = Bits::new(mark_count);
    let of_keywords = places.iter().filter(|place| place.column as usize == keywords && place.mark != NO_MARK);
    of_keywords.for_each(|place| marks.insert(place.mark));
    marks
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
