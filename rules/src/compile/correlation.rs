//! Correlations: references resolved, put in an order in which each stands after those it refers to.

use std::collections::HashMap;
use std::sync::Arc;

use super::merge::Merger;
use super::predicate::Comparison;
use crate::ast::{self, Alias, Condition, CorrelationCondition, LogSource};
use crate::error::Fault;
use crate::set::{Correlation, CorrelationId, CorrelationKind, Expression, GroupBy, Referred, RuleId, Threshold};
use crate::switch::Aside;

/// How long a chain of correlations may be.
pub const CHAIN_MAX: usize = 16;

/// What rules and correlations are called.
#[derive(Default)]
pub(crate) struct Names {
    by_name: HashMap<String, Referred>,
    sources: HashMap<Referred, LogSource>,
}

impl Names {
    /// Makes a rule or correlation known by its id and name.
    pub(crate) fn insert(&mut self, id: &str, name: Option<&str>, source: &LogSource, referred: Referred) {
        self.by_name.insert(id.to_lowercase(), referred);
        if let Some(name) = name {
            self.by_name.entry(name.to_owned()).or_insert(referred);
        }
        self.sources.insert(referred, source.clone());
    }

    /// What an id or name means.
    pub(crate) fn get(&self, name: &str) -> Option<Referred> {
        self.by_name.get(name).or_else(|| self.by_name.get(&name.to_lowercase())).copied()
    }

    fn source(&self, referred: Referred) -> LogSource {
        self.sources.get(&referred).cloned().unwrap_or_default()
    }
}

/// The correlations in order, and those refused.
pub(crate) struct Ordered {
    pub(crate) correlations: Vec<Correlation>,
    /// Each with whether what it refers to alerts on its own.
    pub(crate) generates: Vec<bool>,
    pub(crate) refused: Vec<(ast::Correlation, Fault)>,
}

/// Compiles all correlations. `names` knows the rules; correlations are added to it.
pub(crate) fn compile(mut waiting: Vec<ast::Correlation>, names: &mut Names, merger: &mut Merger) -> Ordered {
    let mut ordered = Ordered { correlations: Vec::new(), generates: Vec::new(), refused: Vec::new() };
    let mut depths: Vec<usize> = Vec::new();
    loop {
        let before = waiting.len();
        let mut later = Vec::new();
        for correlation in waiting {
            match try_one(&correlation, names, merger, &depths) {
                Ok((compiled, depth)) => {
                    let id = Referred::Correlation(CorrelationId(
                        u32::try_from(ordered.correlations.len()).unwrap_or(u32::MAX),
                    ));
                    let source = compiled.referred.first().map(|first| names.source(*first)).unwrap_or_default();
                    names.insert(&compiled.meta.id, compiled.meta.name.as_deref(), &source, id);
                    ordered.correlations.push(compiled);
                    ordered.generates.push(correlation.generates);
                    depths.push(depth);
                }
                Err(fault) => later.push((correlation, fault)),
            }
        }
        if later.len() == before || later.is_empty() {
            ordered.refused = later;
            return ordered;
        }
        waiting = later.into_iter().map(|(correlation, _)| correlation).collect();
    }
}

fn try_one(
    correlation: &ast::Correlation,
    names: &Names,
    merger: &mut Merger,
    depths: &[usize],
) -> Result<(Correlation, usize), Fault> {
    let rules = written_rules(correlation)?;
    let mut referred = Vec::with_capacity(rules.len());
    let mut depth = 1;
    for (name, place) in &rules {
        let found = names.get(name).ok_or_else(|| {
            Fault::new(*place, format!("there is no rule `{name}` (by id or name) among those loaded; correlations cannot refer in a circle"))
        })?;
        if let Referred::Correlation(CorrelationId(id)) = found {
            depth = depth.max(1 + usize::try_from(id).ok().and_then(|id| depths.get(id)).copied().unwrap_or(0));
        }
        referred.push(found);
    }
    if CHAIN_MAX < depth {
        return Err(Fault::new(correlation.place, format!("a chain of more than {CHAIN_MAX} correlations")));
    }
    check_aliases(correlation, &referred, names)?;
    let mut group = |name: &String| group_by(name, correlation, &referred, names, merger);
    let group_by_fields = correlation.group_by.iter().map(&mut group).collect();
    let kind = kind(correlation, &rules, &mut group)?;
    let compiled = Correlation {
        meta: Arc::new(correlation.meta.clone()),
        kind,
        referred,
        group_by: group_by_fields,
        timespan_ns: correlation.timespan_ns,
        scope: correlation.scope,
        is_alerting: true,
    };
    Ok((compiled, depth))
}

/// The rules it refers to: as listed, or as its condition names them. Both must say the same.
fn written_rules(correlation: &ast::Correlation) -> Result<Vec<(String, crate::yaml::Place)>, Fault> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, place) in &correlation.rules {
        if seen.contains(&name.as_str()) {
            return Err(Fault::new(*place, format!("the rule `{name}` stands there twice")));
        }
        seen.push(name);
    }
    let CorrelationCondition::Extended(expression, place) = &correlation.condition else {
        return Ok(correlation.rules.clone());
    };
    let mut named = Vec::new();
    collect_names(expression, &mut named);
    if correlation.rules.is_empty() {
        return Ok(named.into_iter().map(|name| (name, *place)).collect());
    }
    if let Some((name, place)) = correlation.rules.iter().find(|(name, _)| !named.contains(name)) {
        return Err(Fault::new(*place, format!("the rule `{name}` does not occur in the condition")));
    }
    match named.iter().find(|name| !seen.contains(&name.as_str())) {
        Some(name) => Err(Fault::new(*place, format!("the condition names `{name}`, which is not in `rules`"))),
        None => Ok(correlation.rules.clone()),
    }
}

fn collect_names(condition: &Condition, names: &mut Vec<String>) {
    match condition {
        Condition::Identifier(name) if !names.contains(name) => names.push(name.clone()),
        Condition::Identifier(_) | Condition::Of(..) => {}
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| collect_names(part, names)),
        Condition::Not(part) => collect_names(part, names),
    }
}

/// An alias may call a rule by its name where `rules` has its id, and the other way round.
fn check_aliases(correlation: &ast::Correlation, referred: &[Referred], names: &Names) -> Result<(), Fault> {
    let is_meant = |rule: &str| names.get(rule).is_some_and(|rule| referred.contains(&rule));
    for Alias { name: alias, fields } in &correlation.aliases {
        if let Some((rule, _, place)) = fields.iter().find(|(rule, _, _)| !is_meant(rule)) {
            return Err(Fault::new(
                *place,
                format!("the alias `{alias}` names the rule `{rule}`, which is not in `rules`"),
            ));
        }
    }
    Ok(())
}

/// For each referred rule the field that a `group-by` entry means.
fn group_by(
    name: &str,
    correlation: &ast::Correlation,
    referred: &[Referred],
    names: &Names,
    merger: &mut Merger,
) -> GroupBy {
    let alias = correlation.aliases.iter().find(|alias| alias.name == name).map(|alias| &alias.fields);
    let fields = referred.iter().map(|referred| {
        let of_rule = alias.and_then(|fields| fields.iter().find(|(rule, _, _)| names.get(rule) == Some(*referred)));
        let written = of_rule.map_or(name, |(_, field, _)| field.as_str());
        let place = merger.field(written, &names.source(*referred));
        merger.fields[usize::try_from(place.0).unwrap_or(0)].clone()
    });
    GroupBy { name: name.to_owned(), fields: fields.collect() }
}

fn kind(
    correlation: &ast::Correlation,
    rules: &[(String, crate::yaml::Place)],
    group: &mut impl FnMut(&String) -> GroupBy,
) -> Result<CorrelationKind, Fault> {
    use ast::CorrelationKind as Written;
    let (threshold, fields, percentile) = match &correlation.condition {
        CorrelationCondition::Extended(condition, _) => {
            let expression = expression(condition, rules);
            return Ok(match correlation.kind {
                Written::TemporalOrdered => CorrelationKind::ExtendedOrdered(expression),
                _ => CorrelationKind::Extended(expression),
            });
        }
        #[expect(clippy::cast_precision_loss, reason = "a list of rules is short")]
        CorrelationCondition::None => {
            (Threshold(vec![(Comparison::GreaterOrEqual, rules.len() as f64)]), &[][..], None)
        }
        CorrelationCondition::Threshold { comparisons, fields, percentile } => {
            (Threshold(comparisons.clone()), fields.as_slice(), *percentile)
        }
    };
    let needed = || Fault::new(correlation.place, "this correlation type needs a `field` in its condition".into());
    let mut first = || fields.first().map(&mut *group).ok_or_else(needed);
    Ok(match correlation.kind {
        Written::EventCount => CorrelationKind::EventCount(threshold),
        Written::ValueCount => CorrelationKind::ValueCount(threshold, fields.iter().map(group).collect()),
        Written::Temporal => CorrelationKind::Temporal(threshold),
        Written::TemporalOrdered => CorrelationKind::TemporalOrdered(threshold),
        Written::ValueSum => CorrelationKind::ValueSum(threshold, first()?),
        Written::ValueAvg => CorrelationKind::ValueAvg(threshold, first()?),
        Written::ValuePercentile => {
            CorrelationKind::ValuePercentile(threshold, first()?, percentile.unwrap_or(PERCENTILE_DEFAULT))
        }
        Written::ValueMedian => CorrelationKind::ValueMedian(threshold, first()?),
    })
}

/// What `value_percentile` means without `percentile`: the specification has no word for it. Loads with a warning.
pub(crate) const PERCENTILE_DEFAULT: f64 = 50.0;

fn expression(condition: &Condition, rules: &[(String, crate::yaml::Place)]) -> Expression {
    let each = |parts: &[Condition]| parts.iter().map(|part| expression(part, rules)).collect();
    match condition {
        Condition::Identifier(name) => {
            Expression::Occurred(rules.iter().position(|(known, _)| known == name).unwrap_or(0))
        }
        Condition::All(parts) => Expression::All(each(parts)),
        Condition::Any(parts) => Expression::Any(each(parts)),
        Condition::Not(part) => Expression::Not(Box::new(expression(part, rules))),
        // Refused by the parser.
        Condition::Of(..) => Expression::Any(Vec::new()),
    }
}

/// The names and ids a correlation refers to, as written.
pub(crate) fn written_names(correlation: &ast::Correlation) -> Vec<String> {
    let mut named: Vec<String> = correlation.rules.iter().map(|(name, _)| name.clone()).collect();
    if let CorrelationCondition::Extended(expression, _) = &correlation.condition {
        collect_names(expression, &mut named);
    }
    named
}

/// Ids of rules that do not alert on their own: those that only feed correlations, also one that is switched
/// off, and those that are off themselves.
pub(crate) fn silent(ordered: &Ordered, names: &Names, aside: &Aside) -> (Vec<RuleId>, Vec<CorrelationId>) {
    let mut heard = Vec::new();
    let wanted: Vec<Referred> = aside.wanted.iter().filter_map(|id| names.get(id)).collect();
    let silenced = aside.silenced.iter().filter_map(|name| names.get(name));
    let mut all: Vec<Referred> = silenced.filter(|referred| !wanted.contains(referred)).collect();
    for (correlation, generates) in ordered.correlations.iter().zip(&ordered.generates) {
        let list = if *generates { &mut heard } else { &mut all };
        list.extend(correlation.referred.iter().copied());
    }
    all.retain(|referred| !heard.contains(referred));
    all.extend(aside.feeding.iter().filter_map(|id| names.get(id)));
    let (mut rules, mut correlations) = (Vec::new(), Vec::new());
    for referred in all {
        match referred {
            Referred::Rule(id) => rules.push(id),
            Referred::Correlation(id) => correlations.push(id),
        }
    }
    (rules, correlations)
}
