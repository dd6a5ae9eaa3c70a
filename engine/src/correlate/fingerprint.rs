//! What a correlation is, as 32 bytes: state is carried from one rule set to the next, and from one process
//! to the next, only where these are equal.
//!
//! In: a compiled rule set. Out: for each correlation a SHA-256 over everything its hits and firings depend
//! on: its id, kind, condition, grouping and window, and the same of every rule and correlation it refers to,
//! with gates, filters and values as compiled. What only people read (title, level, explanation) is not in it.
//! Places in the rule set (`RuleId`, `AtomId`) are not in it either: they move when another file changes.

use std::fmt::Write as _;

use nhatle_rules::predicate::Predicate;
use nhatle_rules::{Correlation, Referred, Rule, RuleSet};
use sha2::{Digest, Sha256};

/// Raised when the correlator reads the same rules differently than before.
const VERSION: &str = "nhatle correlation 3";

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Its first eight bytes, never zero.
    pub(super) fn short(&self) -> u64 {
        let bytes = self.0.first_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(bytes).max(1)
    }
}

/// The fingerprints of all correlations, in their order.
pub fn fingerprints(rules: &RuleSet) -> Vec<Fingerprint> {
    let mut known: Vec<Fingerprint> = Vec::with_capacity(rules.correlations.len());
    for correlation in &rules.correlations {
        let own = of_correlation(rules, correlation, &known);
        known.push(own);
    }
    known
}

fn of_correlation(rules: &RuleSet, correlation: &Correlation, known: &[Fingerprint]) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(VERSION);
    part(&correlation.meta.id);
    let (kind, group_by, scope) = (&correlation.kind, &correlation.group_by, correlation.scope);
    part(&format!("{kind:?} {group_by:?} {} {scope:?}", correlation.timespan_ns));
    for referred in &correlation.referred {
        match referred {
            Referred::Rule(id) => part(&rules.rules.get(id.0 as usize).map_or_else(String::new, |r| of_rule(rules, r))),
            Referred::Correlation(id) => part(&format!("{:?}", known.get(id.0 as usize))),
        }
    }
    Fingerprint(hash.finalize().into())
}

fn of_rule(rules: &RuleSet, rule: &Rule) -> String {
    let mut text = format!("{} {:?} ", rule.meta.id, rule.gate);
    write_predicate(rules, &rule.predicate, &mut text);
    text
}

/// A predicate with its atoms written out.
fn write_predicate(rules: &RuleSet, predicate: &Predicate, text: &mut String) {
    let list = |name: &str, parts: &[Predicate], text: &mut String| {
        text.push_str(name);
        parts.iter().for_each(|part| write_predicate(rules, part, text));
        text.push(')');
    };
    match predicate {
        Predicate::Constant(value) => text.push_str(if *value { "always" } else { "never" }),
        Predicate::Atom(id) => {
            let atom = rules.atoms.get(id.0 as usize);
            let name = |place: u32| rules.fields.get(place as usize);
            let field = atom.and_then(|atom| atom.field).and_then(|field| name(field.0));
            let other = atom.and_then(|atom| match &atom.test {
                nhatle_rules::predicate::Test::FieldRef { other, position, case } => {
                    Some(format!("{:?} {position:?} {case:?}", name(other.0)))
                }
                _ => None,
            });
            let test = other.or_else(|| atom.map(|atom| format!("{:?}", atom.test))).unwrap_or_default();
            write!(text, "[{field:?} {test}]").expect("writing to a string cannot go wrong");
        }
        Predicate::All(parts) => list("all(", parts, text),
        Predicate::Any(parts) => list("any(", parts, text),
        Predicate::Not(part) => list("not(", std::slice::from_ref(&**part), text),
    }
}
