//! The index of one column: from a value to every atom of the column that holds for it, in one pass.
//!
//! In: the atoms that rules put on a column. Out: for a text, the numbers of the atoms that hold. Whole
//! values stand in a hash map; everything that has a literal in it is found by one Aho-Corasick automaton
//! over the folded text (contiguous NFA: small, and the value cache hides its speed) and, where the place or
//! the rest matters, checked; numbers, addresses and dates are read once. Regular expressions only leave
//! *hints*: marks that one of their required literals is there.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use hashbrown::HashMap;
use nhatle_rules::fold::fold;
use nhatle_rules::predicate::{Atom, Pattern, Shape, Test};

use super::literals::longest_literal;
use crate::matching::{normal_bits, number_of, prepared_matches, scalar_passes};

/// What else must be true where a literal was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Nothing.
    None,
    /// It stands at the front.
    Start,
    /// It stands at the end.
    End,
    /// The pattern at this place of the atom matches.
    Pattern(u32),
}

/// An atom to mark when a literal is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hit {
    atom: u32,
    check: Check,
}

/// Collects what one column looks for.
#[derive(Default)]
pub struct IndexBuilder {
    equals: HashMap<String, Vec<Hit>>,
    needles: HashMap<String, Vec<Hit>>,
    numbers: HashMap<u64, Vec<u32>>,
    scalars: Vec<u32>,
    anything: Vec<u32>,
    always: Vec<Hit>,
}

impl IndexBuilder {
    /// Adds an atom. Tests that no single value decides, and regular expressions, are not added.
    pub fn add(&mut self, number: u32, test: &Test) {
        match test {
            Test::Text(pattern) => self.add_pattern(number, 0, pattern),
            Test::OneOf(patterns) => {
                (0u32..).zip(patterns).for_each(|(place, pattern)| self.add_pattern(number, place, pattern));
            }
            Test::Number(wanted) => self.numbers.entry(normal_bits(*wanted)).or_default().push(number),
            Test::Compare(..) | Test::Cidr { .. } | Test::TimePart(..) => self.scalars.push(number),
            Test::Regex(_) | Test::Exists | Test::Null | Test::FieldRef { .. } => {}
        }
    }

    /// Adds literals of which any marks `number`.
    pub fn add_hints(&mut self, number: u32, literals: Vec<String>) {
        for literal in literals {
            self.needles.entry(literal).or_default().push(Hit { atom: number, check: Check::None });
        }
    }

    fn add_pattern(&mut self, atom: u32, place: u32, pattern: &Pattern) {
        let plain = |check| if pattern.is_cased { Check::Pattern(place) } else { check };
        let folded = |literal: &str| String::from(fold(literal));
        let (literal, check) = match pattern.shape() {
            Shape::Anything => return self.anything.push(atom),
            Shape::Empty => {
                return self.equals.entry(String::new()).or_default().push(Hit { atom, check: Check::None });
            }
            Shape::Equals(literal) => {
                let hit = Hit { atom, check: plain(Check::None) };
                return self.equals.entry(folded(literal)).or_default().push(hit);
            }
            Shape::StartsWith(literal) => (Some(folded(literal)), plain(Check::Start)),
            Shape::EndsWith(literal) => (Some(folded(literal)), plain(Check::End)),
            Shape::Contains(literal) => (Some(folded(literal)), plain(Check::None)),
            Shape::Wild => (longest_literal(pattern), Check::Pattern(place)),
        };
        match literal {
            Some(literal) => self.needles.entry(literal).or_default().push(Hit { atom, check }),
            None => self.always.push(Hit { atom, check }),
        }
    }

    /// The finished index. An automaton that cannot be built (past the library's limits) leaves its
    /// literals to be tried one by one: slow, never wrong.
    pub fn build(self) -> ColumnIndex {
        let mut needles: Vec<_> = self.needles.into_iter().collect();
        needles.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(needles.iter().map(|(literal, _)| literal));
        let (literals, hits): (Vec<_>, Vec<Box<[Hit]>>) =
            needles.into_iter().map(|(literal, hits)| (literal, hits.into_boxed_slice())).unzip();
        let search = match automaton {
            _ if literals.is_empty() => Search::None,
            Ok(automaton) => Search::Automaton(automaton),
            Err(_) => Search::OneByOne(literals.into()),
        };
        ColumnIndex {
            equals: self.equals.into_iter().map(|(text, hits)| (text.into(), hits.into())).collect(),
            search,
            hits: hits.into(),
            numbers: self.numbers.into_iter().map(|(bits, atoms)| (bits, atoms.into())).collect(),
            scalars: self.scalars.into(),
            anything: self.anything.into(),
            always: self.always.into(),
        }
    }
}

enum Search {
    None,
    Automaton(AhoCorasick),
    OneByOne(Box<[String]>),
}

/// See the module.
pub struct ColumnIndex {
    equals: HashMap<Box<str>, Box<[Hit]>>,
    search: Search,
    /// What each literal marks, by its number in the search.
    hits: Box<[Box<[Hit]>]>,
    numbers: HashMap<u64, Box<[u32]>>,
    scalars: Box<[u32]>,
    anything: Box<[u32]>,
    always: Box<[Hit]>,
}

impl ColumnIndex {
    /// Whether nothing is looked for in values of this column.
    pub fn is_empty(&self) -> bool {
        self.equals.is_empty()
            && matches!(self.search, Search::None)
            && self.numbers.is_empty()
            && self.scalars.is_empty()
            && self.anything.is_empty()
            && self.always.is_empty()
    }

    /// Writes the atoms that hold for a value, in order and without repeats, to `worker.held`.
    pub fn look_up(&self, atoms: &[Atom], text: &str, worker: &mut LookUp) {
        worker.begin(self.hits.len());
        let folded = fold(text);
        let values = Values { atoms, text, folded: &folded };
        worker.held.extend_from_slice(&self.anything);
        for hit in self.equals.get(&*folded).into_iter().flatten().chain(&self.always) {
            values.mark(*hit, &mut worker.held);
        }
        self.search_literals(&values, worker);
        let held = &mut worker.held;
        if !self.numbers.is_empty() {
            let bits = number_of(text).map(normal_bits);
            held.extend(bits.and_then(|bits| self.numbers.get(&bits)).into_iter().flat_map(|atoms| atoms.iter()));
        }
        held.extend(
            self.scalars
                .iter()
                .filter(|number| atoms.get(**number as usize).is_some_and(|atom| scalar_passes(&atom.test, text))),
        );
        held.sort_unstable();
        held.dedup();
    }

    fn search_literals(&self, values: &Values<'_>, worker: &mut LookUp) {
        let length = values.folded.len();
        match &self.search {
            Search::None => {}
            Search::Automaton(automaton) => {
                for found in automaton.find_overlapping_iter(values.folded) {
                    let literal = found.pattern().as_usize();
                    self.mark_literal(literal, found.start() == 0, found.end() == length, values, worker);
                }
            }
            Search::OneByOne(literals) => {
                for (number, literal) in literals.iter().enumerate() {
                    if values.folded.contains(literal.as_str()) {
                        let (start, end) = (values.folded.starts_with(literal), values.folded.ends_with(literal));
                        self.mark_literal(number, start, end, values, worker);
                    }
                }
            }
        }
    }

    /// A literal was found: what needs no place is marked the first time, the rest where the place is right,
    /// so that a literal repeated a million times in a value costs no more than finding it.
    fn mark_literal(&self, number: usize, start: bool, end: bool, values: &Values<'_>, worker: &mut LookUp) {
        let is_first = worker.is_first(number);
        if !is_first && !start && !end {
            return;
        }
        for hit in &self.hits[number] {
            match hit.check {
                Check::Start if start => worker.held.push(hit.atom),
                Check::End if end => worker.held.push(hit.atom),
                Check::None | Check::Pattern(_) if is_first => values.mark(*hit, &mut worker.held),
                _ => {}
            }
        }
    }
}

/// What a worker needs to look values up; kept so that nothing is allocated for a value.
#[derive(Default)]
pub struct LookUp {
    /// The atoms that held for the last value.
    pub held: Vec<u32>,
    /// For each literal the last look-up that met it.
    met: Vec<u32>,
    now: u32,
}

impl LookUp {
    fn begin(&mut self, literal_count: usize) {
        self.held.clear();
        if self.now == u32::MAX {
            self.met.fill(0);
            self.now = 0;
        }
        self.now += 1;
        if self.met.len() < literal_count {
            self.met.resize(literal_count, 0);
        }
    }

    fn is_first(&mut self, literal: usize) -> bool {
        std::mem::replace(&mut self.met[literal], self.now) != self.now
    }
}

/// One value in the two forms it is compared in.
struct Values<'a> {
    atoms: &'a [Atom],
    text: &'a str,
    folded: &'a str,
}

impl Values<'_> {
    /// Marks an atom whose literal is where it should be, if the rest of it matches too.
    fn mark(&self, hit: Hit, held: &mut Vec<u32>) {
        let holds = match hit.check {
            Check::None | Check::Start | Check::End => true,
            Check::Pattern(place) => self.pattern(hit.atom, place).is_some_and(|pattern| {
                prepared_matches(pattern, if pattern.is_cased { self.text } else { self.folded })
            }),
        };
        if holds {
            held.push(hit.atom);
        }
    }

    fn pattern(&self, atom: u32, place: u32) -> Option<&Pattern> {
        match &self.atoms.get(atom as usize)?.test {
            Test::Text(pattern) => Some(pattern),
            Test::OneOf(patterns) => patterns.get(place as usize),
            _ => None,
        }
    }
}
