//! `nhatle rule check` and `list`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use nhatle_engine::rule_state::{self, Pack, RuleState};
use nhatle_rules::{LoadOptions, Meta, RuleError, RuleSet};
use serde_json::{Value, json};

use super::{End, UsageError, output};
use crate::config::{Rules, read_placeholders};
use crate::live_rules;
use crate::pack::Packs;
use crate::registry::Registry;
use crate::ruleset;

/// Compiles rules; a line for each that does not load, and for each that looks wrong.
///
/// # Errors
/// Standard output is closed.
pub fn check(paths: &[PathBuf], placeholders: Option<&Path>, is_json: bool) -> anyhow::Result<End> {
    let placeholders = placeholders.map(read_placeholders).transpose()?.unwrap_or_default();
    let rules = ruleset::load(&Rules::of(paths), &LoadOptions { placeholders, ..LoadOptions::default() });
    for (kind, list) in [("error", &rules.errors), ("warning", &rules.warnings)] {
        for one in list {
            if is_json {
                output::line(&error_json(kind, one).to_string())?;
            } else {
                output::line(&format!("{one}{}", if kind == "warning" { " (warning)" } else { "" }))?;
            }
        }
    }
    let (rule_count, correlation_count) = (rules.rules.len(), rules.correlations.len());
    output::say(&format!(
        "{} files: {rule_count} rules, {correlation_count} correlations, {} retired by their status, {} refused, \
         {} warnings",
        rules.file_count,
        rules.retired.len(),
        rules.errors.len(),
        rules.warnings.len(),
    ));
    Ok(if rules.errors.is_empty() { End::Done } else { End::Findings })
}

/// The rules of these paths; those that come with the program where there is none.
pub fn load(paths: &[PathBuf]) -> Arc<RuleSet> {
    let rules = Rules::of(paths);
    ruleset::load(&rules, &LoadOptions::default())
}

pub(super) fn error_json(kind: &str, error: &RuleError) -> Value {
    json!({
        "kind": kind, "file": error.file, "line": error.line, "column": error.column,
        "reason": error.reason, "lint": error.lint, "rule_id": error.rule_id,
    })
}

/// Lists rules: with a data folder also those of its packs, and what was decided about each.
///
/// # Errors
/// Standard output is closed, or the register cannot be read.
pub fn list(paths: &[PathBuf], data: Option<&Path>, is_json: bool) -> anyhow::Result<End> {
    let mut known = Known::default();
    let mut rules = Rules::of(paths);
    let mut options = LoadOptions::default();
    if let Some(data) = data {
        let packs = Packs::new(data);
        known = Known::read(data)?;
        options.switches = rule_state::switches(&known.rules, &known.packs, packs.folder());
        known.folder = packs.folder().to_owned();
        rules.paths.extend(Some(known.folder.clone()).filter(|folder| folder.is_dir()));
    }
    let rules = ruleset::load(&rules, &options);
    let mut running: Vec<bool> = rules.rules.iter().map(|rule| rule.is_alerting).collect();
    running.extend(rules.correlations.iter().map(|correlation| correlation.is_alerting));
    for (place, (meta, _)) in rules.metas().enumerate() {
        let is_on = options.switches.is_on(meta);
        let is_alerting = running.get(place).copied().unwrap_or(false);
        if is_json {
            output::line(&known.json(meta, is_alerting, is_on).to_string())?;
            continue;
        }
        let state = if is_on { "on" } else { "off" };
        let (level, id, title) = (meta.level.name(), &meta.id, &meta.title);
        match data {
            None => output::line(&format!("{level:<13} {id:<36} {title}"))?,
            Some(_) => {
                let (pack, license) = (known.pack_of(meta), output::cut(&known.license_of(meta), 24));
                output::line(&format!("{state:<3} {level:<13} {pack:<12} {license:<24} {id:<36} {title}"))?;
            }
        }
    }
    for error in &rules.errors {
        output::say(&error.to_string());
    }
    Ok(if rules.errors.is_empty() { End::Done } else { End::Findings })
}

/// What a data folder knows of rules.
#[derive(Default)]
struct Known {
    rules: BTreeMap<String, RuleState>,
    packs: BTreeMap<String, Pack>,
    folder: PathBuf,
}

impl Known {
    fn read(data: &Path) -> anyhow::Result<Known> {
        if !data.is_dir() {
            return Err(UsageError(format!("{} is no folder", data.display())).into());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let registry = Registry::open(data, runtime.handle().clone()).context("open register")?;
        let known = registry.read(|state| (state.rules.clone(), state.packs.clone()));
        registry.close();
        Ok(Known { rules: known.0, packs: known.1, folder: PathBuf::new() })
    }

    fn pack_of(&self, meta: &Meta) -> String {
        live_rules::pack_of(&self.folder, meta).to_owned()
    }

    fn license_of(&self, meta: &Meta) -> String {
        let of_pack = || self.packs.get(&self.pack_of(meta)).map(|pack| pack.import.license.clone());
        meta.license.clone().or_else(of_pack).unwrap_or_default()
    }

    fn json(&self, meta: &Meta, is_alerting: bool, is_on: bool) -> Value {
        let [category, product, service] = &meta.logsource;
        json!({
            "id": meta.id, "title": meta.title, "title_vi": meta.title_vi, "level": meta.level.name(),
            "level_written": meta.level_written.map(|level| level.name()), "tags": meta.tags,
            "logsource": {"category": category, "product": product, "service": service},
            "file": meta.file, "is_alerting": is_alerting, "is_on": is_on, "pack": self.pack_of(meta),
            "license": self.license_of(meta), "author": meta.author,
        })
    }
}
