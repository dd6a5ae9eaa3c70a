//! The slow, obvious twin of the correlator: every window judged anew over all hits so far.
//!
//! For tests and fuzzing only. Same out as [`Correlator`](super::Correlator) for events in time order that
//! stay within its limits.

use std::collections::BTreeMap;

use nhatle_event::{Text, Timestamp};
use nhatle_rules::{Correlation, CorrelationId, CorrelationKind, Expression, Referred, RuleSet};

use super::group::Fired;
use super::sources::{Source, gather};
use super::window::{Condition, Hit, Places, Weight, bit, expression_holds, float, median, percentile};
use super::{Arrived, CorrelationMatch, firing};
use crate::detect::Match;

/// How many referred rules an ordered kind may have here: all subsets of them are tried.
const PLACES_TRIED: usize = 8;

type Key = (usize, Vec<Text>);

/// All firings over a whole history.
pub fn correlate(rules: &RuleSet, events: &[Arrived<'_>], matches: &[Match]) -> Vec<CorrelationMatch> {
    let mut hits: BTreeMap<Key, Vec<Hit>> = BTreeMap::new();
    let mut fired: BTreeMap<Key, Vec<Timestamp>> = BTreeMap::new();
    let mut firings = Vec::new();
    for (position, arrived) in events.iter().enumerate() {
        let first_of_event = firings.len();
        for (number, correlation) in rules.correlations.iter().enumerate() {
            let sources = sources_of(correlation, position, matches, &firings, first_of_event);
            let id = CorrelationId(u32::try_from(number).unwrap_or(u32::MAX));
            let Ok(condition) = Condition::new(&correlation.kind, correlation.referred.len()) else { continue };
            for (key, hit) in gather(correlation, *arrived, &sources, &firings) {
                let at = hit.at;
                let group = hits.entry((number, key.clone())).or_default();
                group.push(hit);
                let inside = |hit: &&Hit| at.since(hit.at) <= correlation.timespan_ns;
                let window: Vec<Hit> = group.iter().filter(inside).cloned().collect();
                let quiet = fired.entry((number, key.clone())).or_default();
                let is_quiet = quiet.last().is_some_and(|fired| at.since(*fired) <= correlation.timespan_ns);
                if let Some(value) = judge(&correlation.kind, &condition, &window).filter(|_| !is_quiet) {
                    quiet.push(at);
                    firings.push(firing(correlation, id, &key, &Fired { hits: window, value }, position));
                }
            }
        }
    }
    firings
}

fn sources_of(
    correlation: &Correlation,
    position: usize,
    matches: &[Match],
    firings: &[CorrelationMatch],
    first_of_event: usize,
) -> Vec<Source> {
    let mut sources = Vec::new();
    for found in matches.iter().filter(|found| found.position == position) {
        for (place, referred) in correlation.referred.iter().enumerate() {
            if *referred == Referred::Rule(found.rule) {
                sources.push(Source { place, firing: None });
            }
        }
    }
    for (number, firing) in firings.iter().enumerate().skip(first_of_event) {
        for (place, referred) in correlation.referred.iter().enumerate() {
            if *referred == Referred::Correlation(firing.correlation) {
                sources.push(Source { place, firing: Some(number) });
            }
        }
    }
    sources
}

fn judge(kind: &CorrelationKind, condition: &Condition, window: &[Hit]) -> Option<f64> {
    let places: Vec<Places> = window
        .iter()
        .filter_map(|hit| match hit.weight {
            Weight::Places(places) => Some(places),
            _ => None,
        })
        .collect();
    let occurred = places.iter().fold(0, |all, places| all | places);
    let mut numbers: Vec<f64> = window
        .iter()
        .filter_map(|hit| match hit.weight {
            Weight::Number(number) => Some(number),
            _ => None,
        })
        .collect();
    let sum: f64 = numbers.iter().sum();
    numbers.sort_by(f64::total_cmp);
    let (threshold, value) = match condition {
        Condition::Count(threshold) => (threshold, float(window.len())),
        Condition::Distinct(threshold) => {
            let values: std::collections::BTreeSet<u128> = window
                .iter()
                .filter_map(|hit| match hit.weight {
                    Weight::Value(value) => Some(value),
                    _ => None,
                })
                .collect();
            (threshold, float(values.len()))
        }
        Condition::Rules(threshold) => (threshold, f64::from(occurred.count_ones())),
        Condition::OrderedRules(threshold, referred) => (threshold, float(longest_chain(&places, *referred))),
        Condition::Expression(expression) => {
            return expression_holds(expression, occurred).then_some(f64::from(occurred.count_ones()));
        }
        Condition::Terms(_) => {
            let CorrelationKind::ExtendedOrdered(expression) = kind else { return None };
            return ordered_expression_holds(expression, &places).then_some(f64::from(occurred.count_ones()));
        }
        Condition::Sum(threshold) => (threshold, sum),
        Condition::Average(threshold) => (threshold, sum / float(window.len().max(1))),
        Condition::Percentile(threshold, percent) => (threshold, percentile(&numbers, *percent)?),
        Condition::Median(threshold) => (threshold, median(&numbers)?),
    };
    threshold.holds(value).then_some(value)
}

/// Whether an expression holds for some chain in the order of `referred`: every subset of rules that
/// occurred is tried. Only for few rules.
fn ordered_expression_holds(expression: &Expression, places: &[Places]) -> bool {
    let occurred = places.iter().fold(0, |all, places| all | places);
    (0..1u128 << PLACES_TRIED).any(|subset| {
        subset & !occurred == 0
            && holds_for(expression, false, subset, occurred)
            && is_chain(subset, places, PLACES_TRIED)
    })
}

/// Positive rules must be in the chain, negated ones must not have occurred at all.
fn holds_for(expression: &Expression, is_negated: bool, chain: Places, occurred: Places) -> bool {
    let part_holds = |part: &Expression| holds_for(part, is_negated, chain, occurred);
    match (expression, is_negated) {
        (Expression::Occurred(place), false) => chain & bit(*place) != 0,
        (Expression::Occurred(place), true) => occurred & bit(*place) == 0,
        (Expression::Not(part), _) => holds_for(part, !is_negated, chain, occurred),
        (Expression::All(parts), false) | (Expression::Any(parts), true) => parts.iter().all(part_holds),
        (Expression::Any(parts), false) | (Expression::All(parts), true) => parts.iter().any(part_holds),
    }
}

fn is_chain(subset: Places, places: &[Places], referred: usize) -> bool {
    let mut wanted = (0..referred).filter(|place| subset & bit(*place) != 0).peekable();
    for places in places {
        if wanted.peek().is_some_and(|place| places & bit(*place) != 0) {
            wanted.next();
        }
    }
    wanted.peek().is_none()
}

fn longest_chain(places: &[Places], referred: usize) -> usize {
    let subsets = 0..1u128 << referred.min(PLACES_TRIED);
    let lengths = subsets.filter(|subset| is_chain(*subset, places, referred)).map(|subset| subset.count_ones());
    lengths.max().map_or(0, |length| usize::try_from(length).unwrap_or(0))
}
