//! A rule held against what a source sends.
//!
//! A test that must hold needs its field, under any of the names it can mean; where the values are few, one that
//! passes. A test that must not hold stands in nobody's way, but for "not null". Of alternatives the best counts, of
//! what must hold together the worst; of a source's kinds of event the best.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use nhatle_event::{Field, Value};
use nhatle_rules::predicate::{Atom, AtomId, FieldRef, Gate, Predicate, Test};
use nhatle_rules::{CorrelationId, Referred, Rule, RuleId, RuleSet};
use regex::Regex;

use super::hint::Hint;
use super::seen::{FieldSeen, KindSeen, SourceSeen, Values};
use crate::detect::gate_passes;
use crate::matching::{compile_regex, text_passes};

/// How many compiled expressions are kept.
const EXPRESSIONS_MAX: usize = 1_000;

/// Regular expressions of rules, compiled once for all sources and kinds of event they are held against. Compiling one
/// takes thousands of times longer than asking it.
#[derive(Debug, Default)]
pub struct Expressions(Mutex<HashMap<String, Option<Regex>>>);

impl Expressions {
    fn passes(&self, test: &Test, text: &str) -> bool {
        let Test::Regex(expression) = test else { return text_passes(test, text) };
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().get(expression.as_str()).cloned();
        let regex = known.unwrap_or_else(|| {
            let regex = compile_regex(expression);
            let mut kept = kept();
            if EXPRESSIONS_MAX <= kept.len() {
                kept.clear();
            }
            kept.insert(expression.to_string(), regex.clone());
            regex
        });
        regex.is_some_and(|regex| regex.is_match(text))
    }
}

/// How names of fields begin that our own enrichment puts on an event in which an indicator stands.
const OF_INDICATORS: [&str; 4] = ["nhatle.indicator.", "threat.indicator.", "threat.enrichments.", "threat.feed."];
/// How many names are given for what is missing.
const NAMES_MAX: usize = 8;

/// Whether a rule can match what a source sends; the better, the greater.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It sends no events of this rule's log source, or none of the event ids the rule asks for.
    NoSource(Option<Hint>),
    /// It never sent fields that the rule needs.
    Missing {
        /// As the rule names them.
        fields: Vec<String>,
        /// What was looked for instead of them.
        looked_for: Vec<String>,
        /// What to switch on.
        hint: Option<Hint>,
    },
    /// The fields it needs come of no source: they are put on an event that has an indicator of a list, and none had.
    Indicators {
        /// As the rule names them.
        fields: Vec<String>,
    },
    /// All fields came, and not yet a value that the rule wants. Nothing is wrong with that.
    Unseen {
        /// As the rule names them.
        fields: Vec<String>,
    },
    /// Nothing is in the way.
    Can,
}

impl Fit {
    fn rank(&self) -> u8 {
        match self {
            Fit::NoSource(_) => 0,
            Fit::Missing { .. } => 1,
            Fit::Indicators { .. } => 2,
            Fit::Unseen { .. } => 3,
            Fit::Can => 4,
        }
    }

    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Fit::NoSource(_) => "no-source",
            Fit::Missing { .. } => "missing",
            Fit::Indicators { .. } => "indicators",
            Fit::Unseen { .. } => "unseen",
            Fit::Can => "can",
        }
    }
}

/// A rule, or a correlation by the rules it counts: what several must send together is as good as its worst.
pub fn fit_of(rules: &RuleSet, which: Referred, source: &SourceSeen, expressions: &Expressions) -> Fit {
    let mut worst: Option<Fit> = None;
    for rule in places(rules, which, 0).into_iter().filter_map(|place| rules.rules.get(place)) {
        let next = fit(rules, rule, source, expressions);
        if worst.as_ref().is_none_or(|worst| next.rank() < worst.rank()) {
            worst = Some(next);
        }
    }
    worst.unwrap_or(Fit::NoSource(None))
}

/// The places of the rules behind a correlation.
fn places(rules: &RuleSet, which: Referred, depth: usize) -> Vec<usize> {
    match which {
        Referred::Rule(rule) => vec![rule.0 as usize],
        Referred::Correlation(one) if depth < 16 => {
            let referred = rules.correlations.get(one.0 as usize).map(|one| &*one.referred).unwrap_or_default();
            referred.iter().flat_map(|which| places(rules, *which, depth + 1)).collect()
        }
        Referred::Correlation(_) => Vec::new(),
    }
}

/// Whether a rule can match what a source sends.
pub fn fit(rules: &RuleSet, rule: &Rule, source: &SourceSeen, expressions: &Expressions) -> Fit {
    let passing = source.kinds().filter(|kind| gate_passes(&rule.gate, &kind.facts));
    let looks: Vec<Look<'_>> = passing.map(|kind| Look::new(rules, kind, expressions)).collect();
    fit_in(rules, rule, &looks.iter().collect::<Vec<_>>())
}

/// The rules and correlations of a set, each held against one source; those that share a log source or a test ask
/// once.
pub fn fit_all(rules: &RuleSet, source: &SourceSeen, expressions: &Expressions) -> Vec<(Referred, Fit)> {
    let looks: Vec<Look<'_>> = source.kinds().map(|kind| Look::new(rules, kind, expressions)).collect();
    let mut behind: HashMap<&Gate, Vec<&Look<'_>>> = HashMap::new();
    let mut fits = Vec::with_capacity(rules.rules.len() + rules.correlations.len());
    for (number, rule) in (0u32..).zip(&rules.rules) {
        let passing = || looks.iter().filter(|look| gate_passes(&rule.gate, &look.kind.facts)).collect();
        let behind = behind.entry(&rule.gate).or_insert_with(passing);
        fits.push((Referred::Rule(RuleId(number)), fit_in(rules, rule, behind)));
    }
    for number in (0u32..).take(rules.correlations.len()) {
        let which = Referred::Correlation(CorrelationId(number));
        let worst = places(rules, which, 0).into_iter().filter_map(|place| fits.get(place)).map(|(_, fit)| fit);
        let worst = worst.min_by_key(|fit| fit.rank()).cloned().unwrap_or(Fit::NoSource(None));
        fits.push((which, worst));
    }
    fits
}

fn fit_in(rules: &RuleSet, rule: &Rule, looks: &[&Look<'_>]) -> Fit {
    let mut best: Option<(Found, &KindSeen)> = None;
    for look in looks {
        let found = look.possible(&rule.predicate, true);
        let is_free = found.is_free();
        if best.as_ref().is_none_or(|(known, _)| found.cost() < known.cost()) {
            best = Some((found, look.kind));
        }
        if is_free {
            break;
        }
    }
    let Some((found, kind)) = best.filter(|(found, _)| !found.is_other) else {
        return Fit::NoSource(Hint::for_gate(&rule.gate));
    };
    let name = |field: &FieldRef| rules.fields.get(field.0 as usize).map(|field| field.name.clone());
    let names = |fields: &[FieldRef]| -> Vec<String> { fields.iter().filter_map(name).take(NAMES_MAX).collect() };
    if !found.missing.is_empty() {
        let fields = names(&found.missing);
        let of_list = |name: &str| OF_INDICATORS.iter().any(|front| name.starts_with(front));
        let is_of_list = |field: &FieldRef| name(field).is_some_and(|name| of_list(&name));
        if found.missing.iter().all(is_of_list) {
            return Fit::Indicators { fields };
        }
        let others = found.missing.iter().filter_map(|field| rules.fields.get(field.0 as usize));
        let looked_for = others
            .flat_map(|field| field.candidates.iter().filter(|one| one.name() != field.name))
            .map(|field| field.name().to_owned())
            .take(NAMES_MAX)
            .collect();
        let hint = fields.iter().find_map(|field| Hint::for_field(field, &kind.facts));
        return Fit::Missing { fields, looked_for, hint };
    }
    match found.unseen.is_empty() {
        false => Fit::Unseen { fields: names(&found.unseen) },
        true => Fit::Can,
    }
}

/// What stands in the way of a part of a condition.
#[derive(Clone, Debug, Default)]
struct Found {
    missing: Vec<FieldRef>,
    unseen: Vec<FieldRef>,
    /// It cannot hold whatever is sent.
    is_never: bool,
    /// It asks for another kind of event: what is looked at here is none of its business.
    is_other: bool,
}

impl Found {
    fn cost(&self) -> (bool, bool, usize, usize) {
        (self.is_other, self.is_never, self.missing.len(), self.unseen.len())
    }

    /// Nothing is better.
    fn is_free(&self) -> bool {
        self.cost() == (false, false, 0, 0)
    }

    fn add(&mut self, other: Found) {
        for field in other.missing {
            if !self.missing.contains(&field) {
                self.missing.push(field);
            }
        }
        for field in other.unseen {
            if !self.unseen.contains(&field) {
                self.unseen.push(field);
            }
        }
        self.is_never |= other.is_never;
        self.is_other |= other.is_other;
    }
}

/// What stands in the way of one test.
#[derive(Clone, Copy, Debug)]
enum Way {
    Free,
    Missing(FieldRef),
    Unseen(FieldRef),
    Other,
}

/// One kind of event, and what was asked about it. Rules share tests and name the same fields, and a rule may list
/// hundreds of values of one field: each is looked at once.
struct Look<'a> {
    rules: &'a RuleSet,
    kind: &'a KindSeen,
    expressions: &'a Expressions,
    fields: RefCell<HashMap<FieldRef, Rc<[&'a FieldSeen]>>>,
    ways: RefCell<HashMap<AtomId, Way>>,
}

impl<'a> Look<'a> {
    fn new(rules: &'a RuleSet, kind: &'a KindSeen, expressions: &'a Expressions) -> Look<'a> {
        Look { rules, kind, expressions, fields: RefCell::default(), ways: RefCell::default() }
    }

    fn possible(&self, predicate: &Predicate, wanted: bool) -> Found {
        match (predicate, wanted) {
            (Predicate::Constant(value), wanted) => Found { is_never: *value != wanted, ..Found::default() },
            (Predicate::Not(part), wanted) => self.possible(part, !wanted),
            (Predicate::Atom(atom), wanted) => self.atom(*atom, wanted),
            (Predicate::All(parts), true) | (Predicate::Any(parts), false) => {
                let mut all = Found::default();
                parts.iter().for_each(|part| all.add(self.possible(part, wanted)));
                all
            }
            (Predicate::Any(parts) | Predicate::All(parts), _) => {
                let mut best: Option<Found> = None;
                for part in parts {
                    let found = self.possible(part, wanted);
                    if found.is_free() {
                        return found;
                    }
                    if best.as_ref().is_none_or(|best| found.cost() < best.cost()) {
                        best = Some(found);
                    }
                }
                best.unwrap_or_default()
            }
        }
    }

    fn atom(&self, id: AtomId, wanted: bool) -> Found {
        let Some(atom) = self.rules.atoms.get(id.0 as usize) else { return Found::default() };
        // What must not hold stands in nobody's way, but for "not null": most of long lists of filters is that. And a
        // field that has not always been there can be absent.
        let is_free = matches!((&atom.test, wanted), (Test::Null, true)) || !wanted && !matches!(atom.test, Test::Null);
        let (false, Some(field)) = (is_free, atom.field) else { return Found::default() };
        let known = self.ways.borrow().get(&id).copied();
        let way = known.unwrap_or_else(|| {
            let way = self.way(atom, field);
            self.ways.borrow_mut().insert(id, way);
            way
        });
        match way {
            Way::Free => Found::default(),
            Way::Missing(field) => Found { missing: vec![field], ..Found::default() },
            Way::Unseen(field) => Found { unseen: vec![field], ..Found::default() },
            Way::Other => Found { is_other: true, ..Found::default() },
        }
    }

    fn way(&self, atom: &Atom, field: FieldRef) -> Way {
        let seen = self.field(field);
        match &atom.test {
            _ if seen.is_empty() => Way::Missing(field),
            Test::FieldRef { other, .. } if self.field(*other).is_empty() => Way::Missing(*other),
            Test::Exists | Test::Null | Test::FieldRef { .. } => Way::Free,
            test => {
                let can = |seen: &&FieldSeen| match &seen.values {
                    Values::Many => true,
                    Values::Few(texts) => texts.iter().any(|text| self.expressions.passes(test, text)),
                };
                match () {
                    () if seen.iter().any(can) => Way::Free,
                    () if self.is_fact(field) => Way::Other,
                    () => Way::Unseen(field),
                }
            }
        }
    }

    /// Whether a rule's name means what makes the kind: one value in all of its events.
    fn is_fact(&self, field: FieldRef) -> bool {
        const FACTS: [Field; 4] =
            [Field::WINLOG_EVENT_ID, Field::EVENT_CODE, Field::EVENT_DATASET, Field::WINLOG_CHANNEL];
        let name = self.rules.fields.get(field.0 as usize);
        name.is_some_and(|name| name.candidates.iter().any(|candidate| FACTS.contains(candidate)))
    }

    /// The fields that came and answer to a rule's name: the best of the candidates; all that differ by spaces only.
    fn field(&self, field: FieldRef) -> Rc<[&'a FieldSeen]> {
        if let Some(known) = self.fields.borrow().get(&field) {
            return known.clone();
        }
        let found: Rc<[&'a FieldSeen]> = self.find(field).into();
        self.fields.borrow_mut().insert(field, found.clone());
        found
    }

    fn find(&self, field: FieldRef) -> Vec<&'a FieldSeen> {
        let Some(name) = self.rules.fields.get(field.0 as usize) else { return Vec::new() };
        let seen: Vec<_> = name.candidates.iter().filter_map(|candidate| self.kind.fields.get(*candidate)).collect();
        if !seen.is_empty() {
            return seen;
        }
        let spaced = self.kind.fields.iter().filter(|(field, _)| field.name().contains(' '));
        spaced.filter(|(field, _)| name.rank(*field).is_some()).map(|(_, seen)| seen).collect()
    }
}

/// A value as the facts of a kind hold it.
pub(super) fn first_text(value: Option<&Value>) -> String {
    value.into_iter().flat_map(Value::each).find_map(Value::as_text).map(String::from).unwrap_or_default()
}
