//! `nhatle rule coverage`: which techniques of ATT&CK the rules would find today.
//!
//! In: rules, and a data folder that says what arrives and what is proven. Out: a line for each technique under
//! each tactic; a layer for ATT&CK Navigator. Without a data folder nothing is known to arrive: no cell is green.

use std::sync::Arc;

use anyhow::Context;
use nhatle_engine::coverage::{columns, navigator, techniques_once};
use nhatle_event::{Clock, SystemClock};
use nhatle_rules::LoadOptions;
use nhatle_storage::{Config as StorageConfig, Disk, OsDisk, Store};
use serde_json::json;

use super::{End, UsageError, output};
use crate::canary::run::Schedule;
use crate::canary::{Book, Kinds, book, coverage, kinds};
use crate::cli::CoverageArgs;
use crate::config::Rules;
use crate::ruleset;

/// Runs the command.
///
/// # Errors
/// The data folder cannot be read, or the layer not be written.
pub fn run(args: &CoverageArgs) -> anyhow::Result<End> {
    let rules = Rules::of(&args.rules);
    let rules = ruleset::load(&rules, &LoadOptions::default());
    for error in &rules.errors {
        output::say(&error.to_string());
    }
    let (book, kinds) = known(args)?;
    let mut look = kinds.look(|kind| args.unit.is_none() || kind.unit == args.unit);
    let rows = coverage::rows(&rules, &book, &mut look, SystemClock.now(), Schedule::default().silent_ns);
    let columns = columns(&rows);
    for column in &columns {
        let tactic = column.tactic.map_or("", |tactic| tactic.tag);
        for one in &column.techniques {
            let ids: Vec<&str> = one.rules.iter().map(|place| rows[*place].id.as_str()).collect();
            let state = one.state.name();
            if args.json {
                let line = json!({"tactic": tactic, "technique": one.id, "state": state, "rules": ids});
                output::line(&line.to_string())?;
            } else {
                output::line(&format!("{tactic:<22} {:<10} {state:<6} {} rules", one.id, ids.len()))?;
            }
        }
    }
    let once = techniques_once(&columns);
    let count = |wanted: &str| once.values().filter(|state| state.name() == wanted).count();
    output::say(&format!(
        "{} techniques: {} green, {} amber, {} off; {} rules",
        once.len(),
        count("green"),
        count("amber"),
        count("off"),
        rows.len()
    ));
    if let Some(file) = &args.navigator {
        let layer = navigator(&columns, &rows, "nhatle", &format!("Made {}.", SystemClock.now()));
        let text = serde_json::to_string_pretty(&layer)?;
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(if rules.errors.is_empty() { End::Done } else { End::Findings })
}

fn known(args: &CoverageArgs) -> anyhow::Result<(Book, Kinds)> {
    let Some(data) = &args.data else { return Ok((Book::default(), Kinds::default())) };
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let store = Store::open_read_only(disk, StorageConfig::default(), Arc::new(SystemClock)).context("open store")?;
    let mark = |name: &str| store.mark(name);
    Ok((Book::new(mark(book::MARK).as_deref()), Kinds::new(mark(kinds::MARK).as_deref())))
}
