//! What a restart needs so that correlations stand as they did.
//!
//! The correlator's memory is not written down: it is rebuilt by pushing the events again that could still
//! count, in order of `Seq`, and throwing away what fires for events that were detected before. Detection
//! and correlation depend on nothing but the events and their order (no wall clock, no random numbers that
//! show), so what fires then is what fired.
//!
//! How far back: a window reaches [`longest_timespan_ns`] and the lateness limit; whether a group is quiet
//! depends on the firing before, which reaches as far again. A group that was under fire without pause for
//! longer than that may fire at another moment of the same attack than before; suppression makes such an
//! alert a repeat of the one that stands.

use nhatle_rules::{CorrelationId, Referred, RuleSet};

use crate::correlate::Limits;

/// The longest time one event can count for: the sum of the windows along the longest chain of correlations.
pub fn longest_timespan_ns(rules: &RuleSet) -> i64 {
    reaches_ns(rules).into_iter().max().unwrap_or(0)
}

/// The same for each correlation.
fn reaches_ns(rules: &RuleSet) -> Vec<i64> {
    let mut reaches: Vec<i64> = Vec::with_capacity(rules.correlations.len());
    for correlation in &rules.correlations {
        let inner = correlation.referred.iter().filter_map(|referred| match referred {
            Referred::Correlation(inner) => reaches.get(inner.0 as usize).copied(),
            Referred::Rule(_) => None,
        });
        let inner = inner.max().unwrap_or(0);
        reaches.push(correlation.timespan_ns.max(0).saturating_add(inner));
    }
    reaches
}

/// How much older than the newest event events are to be pushed again after a restart; 0 where there is
/// nothing to correlate.
pub fn replay_span_ns(rules: &RuleSet, limits: &Limits) -> i64 {
    span_ns(longest_timespan_ns(rules), limits)
}

/// The same for some correlations only: those that begin anew after a change of rules.
pub fn replay_span_of(rules: &RuleSet, limits: &Limits, wanted: &[CorrelationId]) -> i64 {
    let reaches = reaches_ns(rules);
    let longest = wanted.iter().filter_map(|id| reaches.get(id.0 as usize)).copied().max();
    span_ns(longest.unwrap_or(0), limits)
}

fn span_ns(timespan_ns: i64, limits: &Limits) -> i64 {
    match timespan_ns {
        0 => 0,
        timespan_ns => timespan_ns.saturating_mul(2).saturating_add(limits.lateness_ns),
    }
}
