//! The rules in force as coverage sees them: on, with data, proven.
//!
//! In: rules, the book, what sources send, and which kinds are asked about (a unit, a module). Out: a row for
//! each rule that alerts.

use nhatle_engine::coverage::CoverageRule;
use nhatle_event::Timestamp;
use nhatle_rules::{CorrelationId, Meta, Referred, RuleId, RuleSet};

use super::book::{Book, Light, newest_of};
use super::kinds::Look;

/// What alerts, with its place.
pub fn alerting(rules: &RuleSet) -> impl Iterator<Item = (Referred, &Meta)> {
    let single = (0u32..).zip(&rules.rules).filter(|(_, rule)| rule.is_alerting);
    let single = single.map(|(at, rule)| (Referred::Rule(RuleId(at)), &*rule.meta));
    let several = (0u32..).zip(&rules.correlations).filter(|(_, one)| one.is_alerting);
    single.chain(several.map(|(at, one)| (Referred::Correlation(CorrelationId(at)), &*one.meta)))
}

/// The rows of coverage. `silent_ns`: after so long without an event, data no longer arrives.
pub fn rows(rules: &RuleSet, book: &Book, look: &mut Look, now: Timestamp, silent_ns: i64) -> Vec<CoverageRule> {
    let row = |(which, meta): (Referred, &Meta)| {
        let newest = newest_of(rules, which, look);
        let proof = book.proof(&meta.id).unwrap_or_default();
        CoverageRule {
            id: meta.id.clone(),
            title: meta.title.clone(),
            tags: meta.tags.clone(),
            is_on: true,
            has_data: newest.is_some_and(|newest| now.since(newest) <= silent_ns),
            is_proven: proof.fault.is_none() && proof.proven_ns.is_some(),
        }
    };
    alerting(rules).map(row).collect()
}

/// The light of one rule or correlation.
pub fn light(rules: &RuleSet, which: Referred, book: &Book, look: &mut Look, now: Timestamp, silent_ns: i64) -> Light {
    let meta = match which {
        Referred::Rule(rule) => rules.rules.get(rule.0 as usize).map(|rule| &rule.meta),
        Referred::Correlation(one) => rules.correlations.get(one.0 as usize).map(|one| &one.meta),
    };
    let newest = newest_of(rules, which, look);
    meta.map_or(Light::Amber(super::Doubt::NotYet), |meta| book.light(&meta.id, newest, now, silent_ns))
}
