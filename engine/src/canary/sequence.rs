//! Canaries of correlations: so many events of the rules it refers to as make it fire.
//!
//! In: a correlation. Out: records in order, a second apart, all of one group. Made for those that count events,
//! count values, or wait for several rules; for the others the reason says that there is none. Bounded by `events_max`.

use std::collections::BTreeMap;

use nhatle_event::{Kind, Timestamp};
use nhatle_rules::predicate::RuleField;
use nhatle_rules::{Correlation, CorrelationId, CorrelationKind, GroupBy, Referred, RuleId, RuleSet, Threshold};

use super::raw::{Raw, raw};
use super::{Solution, Unsolved, solve};

/// Records that make a rule match.
///
/// # Errors
/// None could be found; why.
pub fn of_rule(rules: &RuleSet, rule: RuleId, at: Timestamp) -> Result<Vec<Raw>, Unsolved> {
    solve(rules, rule).map(|solution| vec![raw(rules, rule, &solution, at)])
}

/// Records that make a correlation fire.
///
/// # Errors
/// None could be found; why.
pub fn of_correlation(
    rules: &RuleSet,
    correlation: CorrelationId,
    at: Timestamp,
    events_max: usize,
) -> Result<Vec<Raw>, Unsolved> {
    let one = rules.correlations.get(correlation.0 as usize).ok_or(Unsolved::NoRule)?;
    let plan = plan(one, events_max)?;
    let mut raws = Vec::with_capacity(plan.len());
    for (number, place) in (0i64..).zip(&plan) {
        let Some(Referred::Rule(rule)) = one.referred.get(*place) else { return Err(Unsolved::Kind) };
        let mut solution = solve(rules, *rule)?;
        for group in &one.group_by {
            fill(&mut solution, group, *place, "canary", 7)?;
        }
        if let CorrelationKind::ValueCount(_, counted) = &one.kind {
            for group in counted {
                let field = group.fields.get(*place).ok_or(Unsolved::Kind)?;
                if solution.fields.contains_key(&field.name) && 1 < plan.len() {
                    // The rule itself says what stands there: it cannot be many things.
                    return Err(Unsolved::Field(field.name.clone()));
                }
                fill(&mut solution, group, *place, &format!("canary-{number}"), u8::try_from(number).unwrap_or(255))?;
            }
        }
        raws.push(raw(rules, *rule, &solution, Timestamp(at.0 + number * 1_000_000_000)));
    }
    Ok(raws)
}

/// Which of the referred rules each event is of, in order.
fn plan(correlation: &Correlation, events_max: usize) -> Result<Vec<usize>, Unsolved> {
    let least = |threshold: &Threshold| -> Result<usize, Unsolved> {
        let count = u32::try_from(events_max).unwrap_or(u32::MAX);
        let found = (1..=count).find(|count| threshold.holds(f64::from(*count)));
        found.map(|count| count as usize).ok_or(Unsolved::Kind)
    };
    match &correlation.kind {
        CorrelationKind::EventCount(threshold) | CorrelationKind::ValueCount(threshold, _) => {
            Ok(vec![0; least(threshold)?])
        }
        CorrelationKind::Temporal(_) | CorrelationKind::TemporalOrdered(_)
            if correlation.referred.len() <= events_max =>
        {
            Ok((0..correlation.referred.len()).collect())
        }
        _ => Err(Unsolved::Kind),
    }
}

/// Gives a field of a group a value, unless the rule has given it one.
fn fill(solution: &mut Solution, group: &GroupBy, place: usize, text: &str, number: u8) -> Result<(), Unsolved> {
    let field = group.fields.get(place).ok_or(Unsolved::Kind)?;
    let kind = field.candidates.iter().find_map(|candidate| candidate.known()).map(|known| known.kind);
    let is_address = kind == Some(Kind::Ip) || is_address_name(field);
    let text = match kind {
        _ if is_address => format!("203.0.113.{number}"),
        Some(Kind::Long) => number.to_string(),
        _ => text.to_owned(),
    };
    let fields: &mut BTreeMap<String, String> = &mut solution.fields;
    fields.entry(field.name.clone()).or_insert(text);
    Ok(())
}

fn is_address_name(field: &RuleField) -> bool {
    let name = field.name.to_lowercase();
    name.ends_with("ip") || name.ends_with("ipaddress") || name.ends_with("address")
}
