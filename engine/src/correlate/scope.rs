//! Whose events a group holds: those of one organization unit where a value of the group names another thing in
//! every unit ([`Names`]), or where the rule says so; else those of the whole city (ADR 39).
//!
//! In: a rule set; the unit of what happened. Out: what the group-by entries name, and keys of groups with a unit in
//! front. What is of no unit is in a group of its own, as it was before there were units.

use nhatle_event::Field;
use nhatle_rules::predicate::RuleField;
use nhatle_rules::{Correlation, Referred, RuleSet, Scope};

use crate::local::Names;

/// Stands on both sides of the unit in a key. A key without a unit that begins with it has an empty one.
const MARK: char = '\0';

/// By correlation, entry of `group-by` and place in `referred`: what the values name. Those of a firing name what
/// they did in the correlation that fired.
pub fn names(rules: &RuleSet) -> Vec<Vec<Vec<Names>>> {
    let mut all: Vec<Vec<Vec<Names>>> = Vec::with_capacity(rules.correlations.len());
    for correlation in &rules.correlations {
        let of_entry = |entry: &nhatle_rules::GroupBy| {
            let fields = correlation.referred.iter().zip(&entry.fields);
            let of_place = |(referred, field): (&Referred, &RuleField)| {
                let of_inner = inner_place(rules, *referred, &entry.name, &field.name)
                    .and_then(|(inner, place)| all.get(inner)?.get(place)?.iter().max().copied());
                of_inner.unwrap_or_else(|| Names::of_rule_field(field))
            };
            fields.map(of_place).collect()
        };
        let own = correlation.group_by.iter().map(of_entry).collect();
        all.push(own);
    }
    all
}

/// The correlation referred to, and at which place of its group an entry or a field of this name stands.
pub fn inner_place(rules: &RuleSet, referred: Referred, entry: &str, field: &str) -> Option<(usize, usize)> {
    let Referred::Correlation(inner) = referred else { return None };
    let inner = inner.0 as usize;
    let is_asked = |known: &nhatle_rules::GroupBy| known.name == field || known.name == entry;
    Some((inner, rules.correlations.get(inner)?.group_by.iter().position(is_asked)?))
}

/// What the rule says, or [`Scope::City`] where its groups are told apart by unit anyway.
pub fn of(correlation: &Correlation) -> Scope {
    let is_unit = |field: &RuleField| field.candidates.contains(&Field::NHATLE_UNIT);
    match correlation.group_by.iter().flat_map(|entry| &entry.fields).any(is_unit) {
        true => Scope::City,
        false => correlation.scope,
    }
}

/// Whether an outer correlation may ask for the unit of a firing whose group has none, though its values are the
/// group's: then it is that of the event that completed it.
pub fn asks_unit(rules: &RuleSet, outer: &Correlation, referred: Referred, names: &[Vec<Vec<Names>>]) -> bool {
    let Referred::Correlation(inner) = referred else { return false };
    let inner = inner.0 as usize;
    let Some(of_inner) = rules.correlations.get(inner).map(of) else { return false };
    // What is local at one place of the inner one and not at another counts as local outside.
    let differs = |entry: &Vec<Names>| entry.windows(2).any(|pair| pair[0] != pair[1]);
    match of(outer) {
        Scope::City => false,
        Scope::Unit => of_inner != Scope::Unit,
        Scope::Values => of_inner == Scope::City || names[inner].iter().any(differs),
    }
}

/// Begins a key with a unit; returns how long the beginning is.
pub fn begin(key: &mut String, unit: &str) -> usize {
    key.push(MARK);
    // No unit has the mark in it; one that had would be as good as its beginning.
    key.push_str(unit.split(MARK).next().unwrap_or_default());
    key.push(MARK);
    key.len()
}

/// Takes the beginning, so long, off a key: its group is of the whole city. No value can be made to look like a unit.
pub fn take_off(key: &mut String, length: usize) {
    key.drain(..length);
    if key.starts_with(MARK) {
        key.insert(0, MARK);
        key.insert(0, MARK);
    }
}

/// The unit of a key, and the rest of it.
pub fn divided(key: &str) -> (Option<&str>, &str) {
    match key.strip_prefix(MARK).and_then(|rest| rest.split_once(MARK)) {
        Some(("", rest)) => (None, rest),
        Some((unit, rest)) => (Some(unit), rest),
        None => (None, key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_unit_back_and_no_value_looks_like_one() {
        for value in ["", "192.168.1.10", "\0DH01\0x", "\0\0", "\0", "1:a3:2:b"] {
            let mut key = String::new();
            let length = begin(&mut key, "DH01");
            key.push_str(value);
            assert_eq!(divided(&key), (Some("DH01"), value));
            take_off(&mut key, length);
            assert_eq!(divided(&key), (None, value));
        }
        assert_eq!(divided("192.168.1.10"), (None, "192.168.1.10"));
    }
}
