//! Rules for pages: what runs, what people decided about it, and the decisions themselves.
//!
//! In: the rules in force and the register. Out: rows, one rule with its history, what does not load. A decision
//! is a change in the register; the rules are loaded anew a moment later.

use std::sync::Arc;

use nhatle_engine::register::{AnyChange, RegisterState};
use nhatle_engine::rule_state::{RuleChange as Decision, RuleState};
use nhatle_rules::{Level as RuleLevel, Meta, Referred, RuleSet};
use nhatle_ui::model::{Alive, PROBLEMS_MAX, PackRow, RuleChange, RuleLoad, RuleRow, RuleStanding, RuleStep, RuleView};
use nhatle_ui::{Answer, DeskError, Localized, Viewer};

use super::{LiveDesk, alerts, alive, failed, words};
use crate::live_rules;

/// Every rule and correlation, also those that are off.
pub(super) fn list(desk: &LiveDesk, viewer: &Viewer) -> Vec<RuleRow> {
    let counts = alerts::counts_by_rule(desk, &desk.limit(viewer));
    let set = desk.shared.rules();
    let mut lives = alive::lives(desk, viewer, &set);
    desk.shared.registry.read(|state| {
        let row = |(meta, is_correlation): (&Arc<Meta>, bool)| {
            let alive = lives.remove(&meta.id).unwrap_or_else(Alive::unknown);
            row(desk, state, (meta, is_correlation), counts.get(&meta.id).copied().unwrap_or(0), alive)
        };
        set.metas().map(row).collect()
    })
}

/// One rule with its text and history.
pub(super) fn view(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<RuleView> {
    let count = alerts::counts_by_rule(desk, &desk.limit(viewer)).get(id).copied().unwrap_or(0);
    let set = desk.shared.rules();
    let (meta, is_correlation) = set.metas().find(|(meta, _)| meta.id == id).ok_or(DeskError::NotFound)?;
    let alive = alive::life(desk, viewer, &set, id);
    desk.shared.registry.read(|state| {
        Ok(RuleView {
            row: row(desk, state, (meta, is_correlation), count, alive),
            sentence: Localized::new(
                meta.explanation_vi.clone().unwrap_or_default(),
                meta.explanation_en.clone().unwrap_or_default(),
            ),
            description: meta.description.clone(),
            author: meta.author.clone().unwrap_or_default(),
            false_positives: meta.false_positives.clone(),
            questions: words::questions(meta),
            references: meta.references.clone(),
            license_text: desk.shared.live.license(desk.shared.live.pack_of(meta)).unwrap_or_default(),
            counted_by: counted_by(&set, id),
            history: state.rules.get(id).map(history).unwrap_or_default(),
            text: meta.text.to_string(),
        })
    })
}

fn row(
    desk: &LiveDesk,
    state: &RegisterState,
    (meta, is_correlation): (&Arc<Meta>, bool),
    alert_count: u64,
    alive: Alive,
) -> RuleRow {
    let names = ["category", "product", "service"].iter().zip(&meta.logsource);
    let logsource: Vec<String> =
        names.filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}: {value}"))).collect();
    let pack = desk.shared.live.pack_of(meta);
    let of_pack = || state.packs.get(pack).map(|pack| pack.import.license.clone());
    // The register and not the set: a decision is shown at once, and in force a moment later.
    let decided = state.rules.get(&meta.id);
    let is_on = || !state.packs.get(pack).is_some_and(|pack| pack.import.is_off);
    let level_written = meta.level_written.unwrap_or(meta.level);
    let level = decided.and_then(|state| state.level).unwrap_or(level_written);
    RuleRow {
        id: meta.id.clone(),
        title: words::localized(&meta.title, meta.title_vi.as_deref()),
        level: words::level(level),
        level_written: (level != level_written).then(|| words::level(level_written)),
        logsource: logsource.join(", "),
        tags: meta.tags.clone(),
        is_correlation,
        standing: match decided.and_then(|state| state.is_on).unwrap_or_else(is_on) {
            true => RuleStanding::On,
            false if desk.shared.live.is_feeding(&meta.id) => RuleStanding::Feeding,
            false => RuleStanding::Off,
        },
        pack: pack.to_owned(),
        license: meta.license.clone().or_else(of_pack).unwrap_or_default(),
        alert_count,
        alive,
    }
}

/// The correlations that count a rule.
fn counted_by(set: &RuleSet, id: &str) -> Vec<(String, Localized)> {
    let counts = |referred: &Referred| match referred {
        Referred::Rule(rule) => set.rules.get(rule.0 as usize).is_some_and(|rule| rule.meta.id == id),
        Referred::Correlation(inner) => set.correlations.get(inner.0 as usize).is_some_and(|one| one.meta.id == id),
    };
    let counting = set.correlations.iter().filter(|correlation| correlation.referred.iter().any(counts));
    let name = |meta: &Meta| (meta.id.clone(), words::localized(&meta.title, meta.title_vi.as_deref()));
    counting.map(|correlation| name(&correlation.meta)).collect()
}

fn history(state: &RuleState) -> Vec<RuleStep> {
    let step = |step: &nhatle_engine::rule_state::Step<Decision>| {
        let (kind, level, text) = match &step.change {
            Decision::Enable { note } => ("enable", None, note.clone()),
            Decision::Disable { reason } => ("disable", None, reason.clone()),
            Decision::SetLevel { level, reason } => ("set_level", RuleLevel::from_name(level), reason.clone()),
            Decision::ResetLevel {} => ("reset_level", None, String::new()),
        };
        let level = level.map(words::level);
        RuleStep { at: step.at, actor: step.actor.clone(), kind: kind.to_owned(), level, text }
    };
    state.steps.iter().map(step).collect()
}

/// What is loaded and what is not.
pub(super) fn load(desk: &LiveDesk, viewer: &Viewer) -> RuleLoad {
    let set = desk.shared.rules();
    let last = desk.shared.live.last();
    // Names of files are the city's business.
    let told = if desk.limit(viewer).is_none() { PROBLEMS_MAX } else { 0 };
    let packs = desk.shared.registry.read(|state| {
        let row = |(name, pack): (&String, &nhatle_engine::rule_state::Pack)| PackRow {
            name: name.clone(),
            source: pack.import.source.clone(),
            license: pack.import.license.clone(),
            is_off: pack.import.is_off,
            loaded: pack.import.loaded,
            refused: pack.import.refused,
            retired: pack.import.retired,
            sha256: pack.import.sha256.clone(),
            imported: pack.steps.last().map(|step| step.at).unwrap_or_default(),
            importer: pack.steps.last().map(|step| step.actor.clone()).unwrap_or_default(),
        };
        state.packs.iter().map(row).collect()
    });
    RuleLoad {
        generation: last.generation,
        at: last.at,
        is_waiting: desk.shared.live.is_waiting(),
        loaded: set.loaded_count() as u64,
        refused: set.errors.len() as u64,
        retired: set.retired.len() as u64,
        problems: set.errors.iter().take(told).map(|error| desk.shared.live.said(error)).collect(),
        packs,
    }
}

/// Writes a decision down and has the rules loaded anew soon.
pub(super) fn change(desk: &LiveDesk, viewer: &Viewer, id: &str, change: &RuleChange) -> Answer<()> {
    let set = desk.shared.rules();
    if desk.limit(viewer).is_some() {
        return Err(DeskError::Forbidden);
    }
    if !set.metas().any(|(meta, _)| meta.id == id) {
        return Err(DeskError::NotFound);
    }
    let decision = match change {
        RuleChange::Enable { note } => Decision::Enable { note: note.clone() },
        RuleChange::Disable { reason } => Decision::Disable { reason: reason.clone() },
        RuleChange::SetLevel { level, reason } => {
            Decision::SetLevel { level: level.as_str().to_owned(), reason: reason.clone() }
        }
        RuleChange::ResetLevel => Decision::ResetLevel {},
    };
    desk.record(viewer, |_state| Ok((vec![AnyChange::Rule(id.to_owned(), decision.clone())], ())))?;
    desk.shared.live.ask();
    Ok(())
}

/// Loads rules anew, now.
pub(super) fn reload(desk: &LiveDesk, viewer: &Viewer) -> Answer<RuleLoad> {
    if desk.limit(viewer).is_some() {
        return Err(DeskError::Forbidden);
    }
    desk.shared.registry.catch_up().map_err(failed)?;
    live_rules::reload(&desk.shared);
    Ok(load(desk, viewer))
}
