//! Conditions that can never, or must always, hold, as far as the names of their searches say.

use crate::ast::{Condition, Quantifier, Selector};
use crate::error::Fault;
use crate::parse::condition::pattern_matches;
use crate::yaml::Place;

/// What is wrong with a condition.
pub(super) fn condition(condition: &Condition, place: Place) -> Vec<Fault> {
    let mut found = Vec::new();
    walk(condition, place, &mut found);
    found
}

/// Whether a `not` stands in it.
pub(super) fn has_not(condition: &Condition) -> bool {
    match condition {
        Condition::Not(_) => true,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(has_not),
        Condition::Identifier(_) | Condition::Of(..) => false,
    }
}

fn walk(condition: &Condition, place: Place, found: &mut Vec<Fault>) {
    match condition {
        Condition::All(parts) => {
            if let Some(name) = parts.iter().find_map(|part| denied(part, parts)) {
                let reason = format!("`{name}` and `not {name}` are never both true; the rule cannot match");
                found.push(Fault::warning(place, "impossible", reason));
            }
            parts.iter().for_each(|part| walk(part, place, found));
        }
        Condition::Any(parts) => {
            let name = parts.iter().find_map(|part| match part {
                Condition::Identifier(name) if parts.iter().any(|other| is_not(other, name)) => Some(name),
                _ => None,
            });
            if let Some(name) = name {
                let reason = format!("`{name}` or `not {name}` is always true; the rule matches every event");
                found.push(Fault::warning(place, "always-true", reason));
            }
            parts.iter().for_each(|part| walk(part, place, found));
        }
        Condition::Not(part) => walk(part, place, found),
        Condition::Identifier(_) | Condition::Of(..) => {}
    }
}

/// The name that `part` asks for and one of `parts` forbids.
fn denied<'a>(part: &'a Condition, parts: &[Condition]) -> Option<&'a str> {
    let Condition::Identifier(name) = part else { return None };
    let forbids = |other: &Condition| {
        is_not(other, name)
            || matches!(other, Condition::Not(inner) if match &**inner {
                Condition::Of(Quantifier::One, Selector::Pattern(pattern)) => {
                    !name.starts_with('_') && pattern_matches(pattern, name)
                }
                Condition::Of(Quantifier::One, Selector::Them) => !name.starts_with('_'),
                Condition::Any(inner) => inner.contains(part),
                _ => false,
            })
    };
    parts.iter().any(forbids).then_some(name)
}

fn is_not(condition: &Condition, name: &str) -> bool {
    matches!(condition, Condition::Not(inner) if matches!(&**inner, Condition::Identifier(known) if known == name))
}
