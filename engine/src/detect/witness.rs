//! Witnesses: for each rule a set of marks of which at least one is there whenever the rule matches, so that
//! an event wakes only the rules it could match.
//!
//! In: the predicates, and how often each atom has held so far. Out: a [`Plan`] from marks to rules. The plan
//! changes how fast rules are found, never which: any plan finds the same matches. Frequencies measured on
//! the stream decide; until there are any, a guess from the length of literals does, in which channel and
//! event id are never rare.

use nhatle_rules::predicate::{Pattern, Predicate, Shape, Test};

use super::gate::Bits;
use super::network::{NO_MARK, Network};

/// What wakes which rules.
#[derive(Debug, Default)]
pub struct Plan {
    /// Tells plans of one detector apart.
    pub serial: u32,
    /// For each atom and hint: the rules it wakes.
    pub by_mark: Vec<Box<[u32]>>,
    /// For each column: the rules that wake when the event has the field.
    pub by_column: Vec<Box<[u32]>>,
    /// Rules that must be looked at whenever the gate lets the event pass.
    pub always: Bits,
}

impl Plan {
    /// Writes the rules that any of these marks wakes, in order and without repeats.
    pub fn wakes_of(&self, marks: &[u32], wakes: &mut Vec<u32>) {
        wakes.clear();
        for rules in marks.iter().filter_map(|mark| self.by_mark.get(*mark as usize)) {
            wakes.extend_from_slice(rules);
        }
        wakes.sort_unstable();
        wakes.dedup();
    }
}

/// How often marks were seen.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// For each atom and hint, in how many events it held.
    pub marks: Vec<u32>,
    /// For each column, in how many events it was present.
    pub columns: Vec<u32>,
    /// How many events were looked at.
    pub events: u32,
}

impl Counts {
    /// No counts yet, for so many marks and columns.
    pub fn new(marks: usize, columns: usize) -> Counts {
        Counts { marks: vec![0; marks], columns: vec![0; columns], events: 0 }
    }

    /// Counts an event with these columns.
    pub fn count_event(&mut self, columns: &[u32]) {
        self.events = self.events.saturating_add(1);
        add_one(&mut self.columns, columns);
    }

    /// Counts what held for a value.
    pub fn count_marks(&mut self, marks: &[u32]) {
        add_one(&mut self.marks, marks);
    }

    /// Adds the counts of a worker and empties them.
    pub fn absorb(&mut self, other: &mut Counts) {
        let add = |sum: &mut [u32], part: &mut [u32]| {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum = sum.saturating_add(std::mem::take(part));
            }
        };
        add(&mut self.marks, &mut other.marks);
        add(&mut self.columns, &mut other.columns);
        self.events = self.events.saturating_add(std::mem::take(&mut other.events));
    }

    /// Halves every count.
    pub fn halve(&mut self) {
        self.marks.iter_mut().chain(&mut self.columns).for_each(|count| *count /= 2);
        self.events /= 2;
    }
}

fn add_one(counts: &mut [u32], places: &[u32]) {
    for place in places {
        if let Some(count) = counts.get_mut(*place as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// Something that wakes a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Mark(u32),
    Present(u32),
}

/// What a predicate needs to hold.
enum Need {
    /// Nothing that can be waited for.
    Nothing,
    /// One of these, at this cost: how often they wake the rule, 1 is every event.
    OneOf(f64, Vec<Wake>),
}

/// The cost of looking at a rule on every event.
const ALWAYS_COST: f64 = 1.0;

/// Chooses the witnesses of all rules.
pub fn plan(network: &Network, counts: &Counts, serial: u32) -> Plan {
    let mut by_mark = vec![Vec::new(); network.mark_count()];
    let mut by_column = vec![Vec::new(); network.columns.count()];
    let mut always = Bits::new(network.rules.rules.len());
    let chooser = Chooser { network, counts };
    for (number, rule) in (0u32..).zip(&network.rules.rules) {
        match chooser.need(&rule.predicate, false) {
            Need::Nothing => always.insert(number),
            Need::OneOf(_, mut wakes) => {
                wakes.sort_unstable();
                wakes.dedup();
                for wake in wakes {
                    match wake {
                        Wake::Mark(mark) => by_mark[mark as usize].push(number),
                        Wake::Present(column) => by_column[column as usize].push(number),
                    }
                }
            }
        }
    }
    let boxed = |lists: Vec<Vec<u32>>| lists.into_iter().map(Vec::into_boxed_slice).collect();
    Plan { serial, by_mark: boxed(by_mark), by_column: boxed(by_column), always }
}

struct Chooser<'a> {
    network: &'a Network,
    counts: &'a Counts,
}

impl Chooser<'_> {
    /// What `predicate` needs, or what its negation needs.
    fn need(&self, predicate: &Predicate, is_negated: bool) -> Need {
        match (predicate, is_negated) {
            (Predicate::Constant(value), _) if *value != is_negated => Need::Nothing,
            (Predicate::Constant(_), _) => Need::OneOf(0.0, Vec::new()),
            (Predicate::Not(part), _) => self.need(part, !is_negated),
            (Predicate::Atom(atom), _) => self.need_of_atom(atom.0, is_negated),
            (Predicate::All(parts), false) | (Predicate::Any(parts), true) => self.cheapest(parts, is_negated),
            (Predicate::Any(parts), false) | (Predicate::All(parts), true) => self.together(parts, is_negated),
        }
    }

    /// All parts must hold: wait for the one that holds least often.
    fn cheapest(&self, parts: &[Predicate], is_negated: bool) -> Need {
        let mut best = Need::Nothing;
        for part in parts {
            let need = self.need(part, is_negated);
            best = match (best, need) {
                (best, Need::Nothing) => best,
                (Need::OneOf(known, _), Need::OneOf(cost, wakes)) if cost < known => Need::OneOf(cost, wakes),
                (Need::Nothing, need) => need,
                (best, _) => best,
            };
        }
        best
    }

    /// Any part may hold: wait for all of them.
    fn together(&self, parts: &[Predicate], is_negated: bool) -> Need {
        let (mut sum, mut all) = (0.0, Vec::new());
        for part in parts {
            match self.need(part, is_negated) {
                Need::Nothing => return Need::Nothing,
                Need::OneOf(cost, wakes) => {
                    sum += cost;
                    all.extend(wakes);
                }
            }
        }
        Need::OneOf(sum, all)
    }

    fn need_of_atom(&self, number: u32, is_negated: bool) -> Need {
        let Some(atom) = self.network.rules.atoms.get(number as usize) else { return Need::Nothing };
        let column = atom.field.map(|field| self.network.columns.of(field));
        let present = || column.map_or(Need::Nothing, |column| self.need_present(column));
        match (&atom.test, is_negated, self.network.place_of(number).mark) {
            (Test::Null, true, _) | (Test::Exists | Test::FieldRef { .. }, false, _) => present(),
            (Test::Null, false, _) | (_, true, _) => Need::Nothing,
            (_, false, NO_MARK) => present(),
            (_, false, mark) => {
                let guess = guess(&atom.test).max(self.floor_of(column));
                Need::OneOf(self.cost(self.counts.marks.get(mark as usize), guess), vec![Wake::Mark(mark)])
            }
        }
    }

    fn need_present(&self, column: u32) -> Need {
        let cost = self.cost(self.counts.columns.get(column as usize), 0.5);
        Need::OneOf(cost, vec![Wake::Present(column)])
    }

    /// Until something was measured, the guess; then the measure, in which the guess breaks ties.
    fn cost(&self, count: Option<&u32>, guess: f64) -> f64 {
        match (self.counts.events, count) {
            (0, _) | (_, None) => guess.min(ALWAYS_COST),
            (events, Some(count)) => (f64::from(*count) + 0.01 + guess * 0.1) / f64::from(events),
        }
    }

    /// Names whose values are never rare, whatever their length.
    fn floor_of(&self, column: Option<u32>) -> f64 {
        const COMMON: [&str; 9] = [
            "EventID",
            "Channel",
            "Provider_Name",
            "event.code",
            "winlog.channel",
            "Computer",
            "Level",
            "event.module",
            "event.dataset",
        ];
        let name = column.map_or("", |column| self.network.columns.name(column));
        if COMMON.contains(&name) { 0.3 } else { 0.0 }
    }
}

/// How often a test holds, guessed from its form.
fn guess(test: &Test) -> f64 {
    match test {
        Test::Text(pattern) => guess_pattern(pattern),
        Test::OneOf(patterns) => patterns.iter().map(guess_pattern).sum(),
        Test::Regex(_) => 0.01,
        Test::Number(_) | Test::Cidr { .. } => 0.05,
        Test::Compare(..) | Test::TimePart(..) | Test::Exists | Test::Null | Test::FieldRef { .. } => 0.5,
    }
}

fn guess_pattern(pattern: &Pattern) -> f64 {
    let by_length = |length: usize| 0.3f64.powi(i32::try_from(length.min(12)).unwrap_or(12)).max(1e-4);
    match pattern.shape() {
        Shape::Empty => 0.05,
        Shape::Anything => 0.5,
        Shape::Equals(_) => 1e-3,
        Shape::StartsWith(literal) | Shape::EndsWith(literal) | Shape::Contains(literal) => by_length(literal.len()),
        Shape::Wild => by_length(super::literals::longest_literal(pattern).map_or(0, |literal| literal.len())),
    }
}
