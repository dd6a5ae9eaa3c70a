//! The index of one column: from a value to every atom of the column that holds for it, in one pass.
//!
//! In: the atoms that rules put on a column. Out: for a text, the numbers of the atoms that hold. Whole
//! values stand in a hash map; everything that has a literal in it is found by one Aho-Corasick automaton
//! over the folded text (a contiguous NFA where they are many: small, and the value cache hides its speed) and, where the place or
//! the rest matters, checked; numbers, addresses and dates are read once. Regular expressions only leave
//! *hints*: marks that one of their required literals is there.

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous;
use aho_corasick::{Anchored, dfa};
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
        let (mut literals, mut hits, mut hit_ranges) = (Vec::new(), Vec::new(), Vec::new());
        for (literal, of_literal) in needles {
            hit_ranges.push((number(hits.len()), number(of_literal.len())));
            hits.extend(of_literal);
            literals.push(literal);
        }
        let is_plain = |literal: &String| literal.bytes().all(is_plain_byte);
        let only_literals = self.equals.is_empty()
            && self.numbers.is_empty()
            && self.scalars.is_empty()
            && self.anything.is_empty()
            && self.always.is_empty();
        ColumnIndex {
            equals: self.equals.into_iter().map(|(text, hits)| (text.into(), hits.into())).collect(),
            passes_over_plain: only_literals && !literals.iter().any(is_plain),
            search: Search::new(literals),
            hits: hits.into(),
            hit_ranges: hit_ranges.into(),
            numbers: self.numbers.into_iter().map(|(bits, atoms)| (bits, atoms.into())).collect(),
            scalars: self.scalars.into(),
            anything: self.anything.into(),
            always: self.always.into(),
        }
    }
}

/// Bounded by the bytes of a rule set.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Digits and what stands between them in numbers, dates, addresses and identifiers.
fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'{' | b'}' | b'-' | b':' | b'.' | b'+' | b'T' | b'Z' | b't'
        | b'z' | b'x' | b'X' | b' ' | b',' | b'/')
}

/// Whether a text consists of nothing else: `2026-03-09T22:41:07Z`, `{5770385f-c22a-43e0-bf4c-06f5698ffbd9}`.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(is_plain_byte)
}

/// Up to so many bytes of literals are searched by a table of all moves; more would fill the processor's cache.
const DENSE_BYTES_MAX: usize = 2048;

enum Search {
    None,
    Dense(dfa::DFA),
    Compact(contiguous::NFA),
    OneByOne(Box<[String]>),
}

impl Search {
    fn new(literals: Vec<String>) -> Search {
        if literals.is_empty() {
            return Search::None;
        }
        let bytes: usize = literals.iter().map(String::len).sum();
        let dense = (bytes <= DENSE_BYTES_MAX).then(|| dfa::Builder::new().prefilter(false).build(&literals).ok());
        if let Some(dense) = dense.flatten() {
            return Search::Dense(dense);
        }
        match contiguous::Builder::new().prefilter(false).build(&literals) {
            Ok(compact) => Search::Compact(compact),
            Err(_) => Search::OneByOne(literals.into()),
        }
    }
}

/// See the module.
pub struct ColumnIndex {
    equals: HashMap<Box<str>, Box<[Hit]>>,
    search: Search,
    /// What literals mark, one after another.
    hits: Box<[Hit]>,
    /// For each literal where its marks begin in `hits`, and how many they are.
    hit_ranges: Box<[(u32, u32)]>,
    numbers: HashMap<u64, Box<[u32]>>,
    scalars: Box<[u32]>,
    anything: Box<[u32]>,
    always: Box<[Hit]>,
    /// Nothing is looked for that could stand in a text that [`is_plain`].
    pub passes_over_plain: bool,
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

    /// Adds the atoms that hold for the value at hand ([`LookUp::begin`]) to `worker.held`, in no order and
    /// perhaps repeated.
    pub fn look_up(&self, atoms: &[Atom], text: &str, worker: &mut LookUp) {
        worker.next_column(self.hit_ranges.len());
        let folded = std::mem::take(&mut worker.folded);
        let values = Values { atoms, text, folded: &folded };
        worker.held.extend_from_slice(&self.anything);
        if !self.equals.is_empty() {
            for hit in self.equals.get(&*folded).into_iter().flatten() {
                values.mark(*hit, &mut worker.held);
            }
        }
        for hit in &self.always {
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
        worker.folded = folded;
    }

    fn search_literals(&self, values: &Values<'_>, worker: &mut LookUp) {
        match &self.search {
            Search::None => {}
            Search::Dense(automaton) => self.walk(automaton, values, worker),
            Search::Compact(automaton) => self.walk(automaton, values, worker),
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

    /// One walk of the automaton over the folded text. The library's own iterator over overlapping matches
    /// does the same and takes up its state anew for each match.
    fn walk<A: Automaton>(&self, automaton: &A, values: &Values<'_>, worker: &mut LookUp) {
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
        let length = values.folded.len();
        for (place, byte) in values.folded.bytes().enumerate() {
            state = automaton.next_state(Anchored::No, state, byte);
            if !automaton.is_special(state) || !automaton.is_match(state) {
                continue;
            }
            let end = place + 1;
            for nth in 0..automaton.match_len(state) {
                let literal = automaton.match_pattern(state, nth);
                let is_at_start = automaton.pattern_len(literal) == end;
                self.mark_literal(literal.as_usize(), is_at_start, end == length, values, worker);
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
        let (first, count) = self.hit_ranges[number];
        for hit in &self.hits[first as usize..][..count as usize] {
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
    /// The last value, folded.
    folded: String,
    /// For each literal of a column the last look-up that met it.
    met: Vec<u32>,
    now: u32,
}

impl LookUp {
    /// Makes a value ready to be looked up in some columns.
    pub fn begin(&mut self, text: &str) {
        self.held.clear();
        self.folded.clear();
        if text.is_ascii() {
            self.folded.push_str(text);
            self.folded.make_ascii_lowercase();
        } else {
            self.folded.push_str(&fold(text));
        }
    }

    /// Puts what held in order, without repeats.
    pub fn finish(&mut self) {
        self.held.sort_unstable();
        self.held.dedup();
    }

    fn next_column(&mut self, literal_count: usize) {
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
