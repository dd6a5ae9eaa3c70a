//! Rules with whether they are alive, and what they cover.
//!
//! What sources send is limited to the viewer's units: a rule is red for a ward when its own source is silent.

use std::collections::BTreeMap;

use foldhash::HashMap;
use nhatle_engine::coverage::{CoverageRule, CoverageState, columns, navigator, techniques_once};
use nhatle_event::{Field, Timestamp};
use nhatle_rules::{CorrelationId, Meta, Referred, RuleId, RuleSet};
use nhatle_ui::model::{
    Alive, AliveReason, Coverage, CoverageQuery, CoverageRuleRow, RuleLight, TacticColumn, TechniqueRow,
};
use nhatle_ui::{Answer, Localized, Viewer};

use super::{LiveDesk, words};
use crate::canary::book::newest_of;
use crate::canary::kinds::Look;
use crate::canary::{Doubt, Fault, Light, coverage as canary_coverage};

/// Whether each rule and correlation that runs is alive, by id.
pub(super) fn lives(desk: &LiveDesk, viewer: &Viewer, set: &RuleSet) -> BTreeMap<String, Alive> {
    let mut look = look(desk, viewer, &CoverageQuery::default());
    let now = desk.now();
    all(set).map(|(which, meta, _)| (meta.id.clone(), alive(desk, set, (which, meta), &mut look, now))).collect()
}

/// The same for one; one that does not run is not known to be.
pub(super) fn life(desk: &LiveDesk, viewer: &Viewer, set: &RuleSet, id: &str) -> Alive {
    let Some((which, meta, _)) = all(set).find(|(_, meta, _)| meta.id == id) else { return Alive::unknown() };
    let mut look = look(desk, viewer, &CoverageQuery::default());
    alive(desk, set, (which, meta), &mut look, desk.now())
}

fn all(set: &RuleSet) -> impl Iterator<Item = (Referred, &Meta, bool)> {
    let single = (0u32..).zip(&set.rules).map(|(at, rule)| (Referred::Rule(RuleId(at)), &*rule.meta, false));
    let several = (0u32..).zip(&set.correlations);
    single.chain(several.map(|(at, one)| (Referred::Correlation(CorrelationId(at)), &*one.meta, true)))
}

/// What sources send, of the units the viewer may see.
fn look(desk: &LiveDesk, viewer: &Viewer, query: &CoverageQuery) -> Look {
    let limit = desk.limit(viewer);
    let asked = query.unit.as_ref().map(|unit| desk.unit_tree().within(unit));
    desk.shared.kinds.look(|kind| {
        let is_within = |units: &Vec<String>| kind.unit.as_ref().is_some_and(|unit| units.contains(unit));
        let module = kind.values.iter().find(|(name, _)| name == Field::EVENT_MODULE.name()).map(|(_, value)| value);
        limit.as_ref().is_none_or(is_within)
            && asked.as_ref().is_none_or(is_within)
            && query.module.as_ref().is_none_or(|wanted| module == Some(wanted))
    })
}

fn alive(desk: &LiveDesk, set: &RuleSet, (which, meta): (Referred, &Meta), look: &mut Look, now: Timestamp) -> Alive {
    let newest = newest_of(set, which, look);
    let silent_ns = desk.shared.canary_schedule.get().silent_ns;
    let proof = desk.shared.canaries.proof(&meta.id).unwrap_or_default();
    let (light, reason, detail) = match desk.shared.canaries.light(&meta.id, newest, now, silent_ns) {
        Light::Green => (RuleLight::Green, AliveReason::Proven, String::new()),
        Light::Amber(Doubt::NoCanary) => (RuleLight::Amber, AliveReason::NoCanary, proof.why_none.clone()),
        Light::Amber(Doubt::NotYet) => (RuleLight::Amber, AliveReason::NotYet, String::new()),
        Light::Amber(Doubt::NoSource) => (RuleLight::Amber, AliveReason::NoSource, String::new()),
        Light::Silent => (RuleLight::Red, AliveReason::SourceSilent, String::new()),
        Light::Unproven(fault) => {
            let (reason, detail) = match fault {
                Fault::DeadLetter(why) => (AliveReason::DeadLetter, why),
                Fault::LogSource(why) => (AliveReason::LogSource, why),
                Fault::Field(why) => (AliveReason::Field, why),
                Fault::Correlation(why) => (AliveReason::Correlation, why),
                Fault::Lost => (AliveReason::Lost, String::new()),
            };
            (RuleLight::Red, reason, detail)
        }
    };
    Alive {
        light,
        reason,
        detail,
        is_made: proof.is_made,
        proven_at: proof.proven_ns.map(Timestamp),
        tried_at: Some(Timestamp(proof.tried_ns)).filter(|at| at.0 != 0),
        source_at: newest,
    }
}

fn covered(desk: &LiveDesk, viewer: &Viewer, query: &CoverageQuery) -> Vec<CoverageRule> {
    let mut look = look(desk, viewer, query);
    let silent_ns = desk.shared.canary_schedule.get().silent_ns;
    canary_coverage::rows(&desk.shared.rules(), &desk.shared.canaries, &mut look, desk.now(), silent_ns)
}

/// Which techniques the rules would find today.
pub(super) fn coverage(desk: &LiveDesk, viewer: &Viewer, query: &CoverageQuery) -> Answer<Coverage> {
    let rules = covered(desk, viewer, query);
    let set = desk.shared.rules();
    // A rule stands in many cells.
    let metas: HashMap<&str, &Meta> = set.metas().map(|(meta, _)| (meta.id.as_str(), &**meta)).collect();
    let title = |rule: &CoverageRule| {
        metas.get(rule.id.as_str()).map_or_else(
            || Localized::same(rule.title.as_str()),
            |meta| words::localized(&meta.title, meta.title_vi.as_deref()),
        )
    };
    let columns = columns(&rules);
    let mut counts = [0; 3];
    for state in techniques_once(&columns).into_values() {
        counts[match state {
            CoverageState::Green => 0,
            CoverageState::Amber => 1,
            CoverageState::Off => 2,
        }] += 1;
    }
    let rule_row = |place: &usize| {
        let rule = &rules[*place];
        CoverageRuleRow {
            id: rule.id.clone(),
            title: title(rule),
            state: rule.state().name(),
            has_data: rule.has_data,
            is_proven: rule.is_proven,
        }
    };
    let column = |column: &nhatle_engine::coverage::Column| {
        let tag = column.tactic.map_or("", |tactic| tactic.tag);
        let technique = |one: &nhatle_engine::coverage::Technique| TechniqueRow {
            id: one.id.clone(),
            tactic: tag,
            state: one.state.name(),
            rules: one.rules.iter().map(rule_row).collect(),
        };
        TacticColumn {
            tag,
            name: column.tactic.map_or_else(|| Localized::same(""), |one| Localized::new(one.name_vi, one.name)),
            techniques: column.techniques.iter().map(technique).collect(),
        }
    };
    let mut lights = [0; 3];
    for alive in lives(desk, viewer, &set).into_values() {
        lights[alive.light as usize] += 1;
    }
    Ok(Coverage { columns: columns.iter().map(column).collect(), counts, modules: modules(desk, viewer), lights })
}

/// Kinds of source that sent something to the viewer's units.
fn modules(desk: &LiveDesk, viewer: &Viewer) -> Vec<String> {
    let limit = desk.limit(viewer);
    let mut modules: Vec<String> = Vec::new();
    for (kind, _) in desk.shared.kinds.all() {
        let is_seen = limit.as_ref().is_none_or(|units| kind.unit.as_ref().is_some_and(|unit| units.contains(unit)));
        let module = kind.values.iter().find(|(name, _)| name == Field::EVENT_MODULE.name());
        if let (true, Some((_, module))) = (is_seen, module)
            && !modules.contains(module)
        {
            modules.push(module.clone());
        }
    }
    modules.sort();
    modules.truncate(200);
    modules
}

/// The layer for ATT&CK Navigator.
pub(super) fn layer(desk: &LiveDesk, viewer: &Viewer, query: &CoverageQuery) -> Answer<serde_json::Value> {
    let rules = covered(desk, viewer, query);
    let name = query.unit.as_ref().map_or_else(|| "nhatle".to_owned(), |unit| format!("nhatle {unit}"));
    let description = format!("Made {}. Green: on, data arrives, proven by a canary.", desk.now());
    Ok(navigator(&columns(&rules), &rules, &name, &description))
}
