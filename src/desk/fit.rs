//! Which rules can match what which sources send, for pages.
//!
//! In: what was learned of sources, the rules in force. Out: a rule with the sources of the viewer's units, a source
//! with the rules. Nobody's lock is held while rules are looked at.

use nhatle_engine::fit::{Fit as Held, Hint, SourceSeen, fit_all, fit_of};
use nhatle_event::Timestamp;
use nhatle_rules::{Meta, Referred, RuleId, RuleSet};
use nhatle_ui::model::{Fit, FitState, RuleFit, RuleFitRow, SourceFit, SourceFitRow};
use nhatle_ui::{Answer, DeskError, Viewer};

use super::{LiveDesk, may_see, words};
use crate::canary::coverage::alerting;

/// How many rows a page or an answer gives.
const ROWS_MAX: usize = 500;

/// A rule with the sources.
pub(super) fn rule(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<RuleFit> {
    let set = desk.shared.rules();
    let single = (0u32..).zip(&set.rules).find(|(_, rule)| rule.meta.id == id);
    let which = match single {
        Some((number, _)) => Some(Referred::Rule(RuleId(number))),
        None => alerting(&set).find(|(_, meta)| meta.id == id).map(|(which, _)| which),
    };
    // A rule that is off, or one that is not there: the page of the rule itself says which.
    let Some(which) = which else { return Ok(RuleFit::default()) };
    let limit = desk.limit(viewer);
    let mut answer = RuleFit::default();
    let sources = desk.shared.seen().sources();
    for (name, source) in sources.iter().filter(|(_, source)| may_see(&limit, &unit_of(source))) {
        let (fit, place) = fit(fit_of(&set, which, source));
        answer.counts[place] += 1;
        if fit.state == FitState::NoSource {
            continue;
        }
        answer.sources.push(SourceFitRow {
            source: name.to_string(),
            unit: source.unit.as_deref().map(|code| desk.unit_row(code)),
            last_seen: Some(source.newest).filter(|at| *at != Timestamp::default()),
            fit,
        });
    }
    answer.sources.sort_by_key(|row| std::cmp::Reverse(order(row.fit.state)));
    answer.sources.truncate(ROWS_MAX);
    if let Held::NoSource(hint) = fit_of(&set, which, &SourceSeen::default()) {
        answer.hint = hint.map_or("", Hint::name);
    }
    Ok(answer)
}

/// A source with the rules.
pub(super) fn source(desk: &LiveDesk, viewer: &Viewer, name: &str) -> Answer<SourceFit> {
    let limit = desk.limit(viewer);
    let sources = desk.shared.seen().sources();
    let sources: Vec<_> = sources.into_iter().filter(|(_, source)| may_see(&limit, &unit_of(source))).collect();
    let mut answer = SourceFit {
        source: name.to_owned(),
        sources: sources.iter().map(|(name, _)| name.to_string()).collect(),
        ..SourceFit::default()
    };
    if name.is_empty() {
        return Ok(answer);
    }
    let (_, source) = sources.iter().find(|(known, _)| known == name).ok_or(DeskError::NotFound)?;
    let set = desk.shared.rules();
    for (which, held) in fit_all(&set, source) {
        let Some(meta) = meta_of(&set, which) else { continue };
        let (fit, place) = fit(held);
        answer.counts[place] += 1;
        if fit.state != FitState::NoSource {
            answer.rules.push(RuleFitRow {
                id: meta.id.clone(),
                title: words::localized(&meta.title, meta.title_vi.as_deref()),
                level: words::level(meta.level),
                fit,
            });
        }
    }
    answer.rules.sort_by(|left, right| {
        let key = |row: &RuleFitRow| (order(row.fit.state), std::cmp::Reverse(row.level));
        key(left).cmp(&key(right)).then_with(|| left.title.vi.cmp(&right.title.vi))
    });
    answer.rules.truncate(ROWS_MAX);
    Ok(answer)
}

fn unit_of(source: &SourceSeen) -> Option<String> {
    source.unit.as_ref().map(ToString::to_string)
}

fn meta_of(set: &RuleSet, which: Referred) -> Option<&Meta> {
    Some(match which {
        Referred::Rule(rule) => &*set.rules.get(rule.0 as usize)?.meta,
        Referred::Correlation(one) => &*set.correlations.get(one.0 as usize)?.meta,
    })
}

/// Worst first; a source that sends no such events is not shown.
fn order(state: FitState) -> u8 {
    match state {
        FitState::NoSource => 3,
        FitState::Missing => 0,
        FitState::Unseen => 1,
        FitState::Can => 2,
    }
}

/// What the engine found, and its place among the counts.
fn fit(held: Held) -> (Fit, usize) {
    let of = |state, fields, looked_for, hint: Option<Hint>| Fit {
        state,
        fields,
        looked_for,
        hint: hint.map_or("", Hint::name),
    };
    match held {
        Held::Missing { fields, looked_for, hint } => (of(FitState::Missing, fields, looked_for, hint), 0),
        Held::Unseen { fields } => (of(FitState::Unseen, fields, Vec::new(), None), 1),
        Held::Can => (of(FitState::Can, Vec::new(), Vec::new(), None), 2),
        Held::NoSource(hint) => (of(FitState::NoSource, Vec::new(), Vec::new(), hint), 3),
    }
}
