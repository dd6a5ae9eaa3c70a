//! `nhatle retention`: how long the store lasts, what goes when, legal holds.
//!
//! In: the data folder, also of a running server, and the configuration where it is named. Out: lines, or JSON lines.
//! A hold goes into the register; a running server knows it within a second, and before it lets anything go.

use std::sync::Arc;

use anyhow::Context;
use nhatle_engine::register::AnyChange;
use nhatle_engine::retention::hold::HoldChange;
use nhatle_event::{Clock, SystemClock, Timestamp};
use nhatle_storage::{Config as StorageConfig, Dataset, Disk, OsDisk, Store};
use serde_json::{Value, json};

use super::accounts::{record_change, with_registry};
use super::{End, UsageError, output};
use crate::cli_retention::{HoldArgs, RetentionCommand, RetentionShowArgs};
use crate::config::{self, Config, ConfigFile};
use crate::overload::reserve::Reserve;
use crate::retention::forecast::{forecast, metas};
use crate::retention::{Due, plan};

/// How many lines of one kind are shown.
const SHOWN_MAX: usize = 20;

/// Runs the command.
///
/// # Errors
/// The folder, the register or the configuration cannot be read; a hold is refused.
pub fn run(command: &RetentionCommand) -> anyhow::Result<End> {
    match command {
        RetentionCommand::Show(args) => show(args),
        RetentionCommand::Hold(args) => hold(args),
        RetentionCommand::Extend { number, until, reason, data } => {
            let until_ns = time("until", until)?.0;
            let change = HoldChange::Extend { until_ns, reason: reason.clone() };
            record_change(&data.data, &AnyChange::Hold(*number, change))?;
            output::say(&format!("hold {number} lasts until {}", Timestamp(until_ns)));
            Ok(End::Done)
        }
        RetentionCommand::Release { number, reason, data } => {
            let change = HoldChange::Release { reason: reason.clone() };
            record_change(&data.data, &AnyChange::Hold(*number, change))?;
            output::say(&format!("hold {number} is over"));
            Ok(End::Done)
        }
    }
}

fn time(what: &str, text: &str) -> anyhow::Result<Timestamp> {
    let parsed = Timestamp::parse(text, 0).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z"), 0));
    parsed.ok_or_else(|| UsageError(format!("--{what}: no time: {text}")).into())
}

fn hold(args: &HoldArgs) -> anyhow::Result<End> {
    let (from, to, until) = (time("from", &args.from)?, time("to", &args.to)?, time("until", &args.until)?);
    let number = with_registry(&args.data.data, |registry| registry.read(|state| state.next_hold()))?;
    let place = HoldChange::Place { from_ns: from.0, to_ns: to.0, until_ns: until.0, reason: args.reason.clone() };
    record_change(&args.data.data, &AnyChange::Hold(number, place))?;
    output::say(&format!("hold {number}: nothing from {from} to {to} goes until {until}"));
    Ok(End::Done)
}

fn show(args: &RetentionShowArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    let file = match &args.config {
        Some(path) => config::read(path)?,
        None => ConfigFile { data: data.clone(), ..ConfigFile::default() },
    };
    let rules = Config::check(file)?.retention;
    let now = SystemClock.now();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let store = Store::open_read_only(disk, StorageConfig::default(), Arc::new(SystemClock)).context("open store")?;
    let snapshot = store.snapshot();
    let (holds, drops) =
        with_registry(data, |registry| registry.read(|state| (state.holds.clone(), state.drops.clone())))?;
    let free = Reserve::new(data, 0).free_bytes();
    let grown = forecast(metas(&snapshot), free, now);
    let plan = plan(&snapshot, &rules, holds.values(), now)?;
    let mut lines = vec![(
        format!(
            "{} bytes in segments, {} a day, {} free, {}",
            grown.bytes,
            grown.bytes_per_day.map_or_else(|| "not known".to_owned(), |a_day| a_day.to_string()),
            free.map_or_else(|| "not known how many".to_owned(), |free| free.to_string()),
            grown.days_left.map_or_else(|| "days left not known".to_owned(), |days| format!("{days} days left"))
        ),
        json!({"kind": "forecast", "bytes": grown.bytes, "bytes_per_day": grown.bytes_per_day, "free_bytes": free,
            "days_left": grown.days_left}),
    )];
    for dataset in Dataset::ALL {
        let metas: Vec<_> = snapshot.segments(dataset).map(|segment| segment.meta()).collect();
        if metas.is_empty() {
            continue;
        }
        let (events, bytes): (u64, u64) =
            metas.iter().fold((0, 0), |(events, bytes), meta| (events + meta.row_count, bytes + meta.bytes()));
        lines.push((
            format!("{}: {} segments, {events} events, {bytes} bytes", dataset.name(), metas.len()),
            json!({"kind": "dataset", "dataset": dataset.name(), "segments": metas.len(), "events": events, "bytes": bytes}),
        ));
    }
    for (at, rule) in rules.iter().enumerate() {
        let minimum = rule.minimum();
        lines.push((
            format!(
                "rule {}: {} {} {:?} {}: {} months at hand, {} in the archive ({}); at least {}",
                at + 1,
                all_or(&rule.datasets),
                all_or(&rule.kinds),
                rule.levels,
                rule.purpose.name(),
                rule.online_months,
                rule.archive_months,
                rule.basis,
                minimum.map_or_else(|| "nothing".to_owned(), |one| format!("{} months: {}", one.months, one.basis))
            ),
            json!({"kind": "rule", "rule": at + 1, "datasets": rule.datasets, "kinds": rule.kinds, "levels": rule.levels,
                "purpose": rule.purpose.name(), "online_months": rule.online_months, "archive_months": rule.archive_months,
                "basis": rule.basis, "minimum_months": minimum.map(|one| one.months),
                "minimum_basis": minimum.map(|one| one.basis)}),
        ));
    }
    lines.push((
        format!("{} segments that no rule lets go, {} to compress more", plan.kept_for_good, plan.to_archive.len()),
        json!({"kind": "kept", "segments": plan.kept_for_good, "to_archive": plan.to_archive.len()}),
    ));
    for (kind, dues) in [("due", plan.due.as_slice()), ("held", &plan.held), ("next", plan.next.as_slice())] {
        lines.extend(dues.iter().take(SHOWN_MAX).map(|due| line_of(kind, due)));
    }
    for (number, hold) in &holds {
        let state = if now < hold.until { "in force" } else { "over" };
        lines.push((
            format!(
                "hold {number}: {} to {}, until {} ({state}), by {}: {}",
                hold.from, hold.to, hold.until, hold.actor, hold.reason
            ),
            json!({"kind": "hold", "number": number, "from": hold.from.to_string(), "to": hold.to.to_string(),
                "until": hold.until.to_string(), "is_in_force": now < hold.until, "actor": hold.actor, "reason": hold.reason}),
        ));
    }
    for (number, job) in drops.iter().rev().take(SHOWN_MAX) {
        let done = job.done.map_or_else(|| "not finished".to_owned(), |done| format!("done {done}"));
        lines.push((
            format!(
                "job {number}: begun {}, {done}: {} segments, {} events, {} bytes, stored up to {}",
                job.begun, job.segments, job.events, job.bytes, job.stored_last
            ),
            json!({"kind": "job", "number": number, "begun": job.begun.to_string(),
                "done": job.done.map(|done| done.to_string()), "segments": job.segments, "events": job.events,
                "bytes": job.bytes, "stored_last": job.stored_last.to_string()}),
        ));
    }
    for (text, json) in lines {
        output::line(&if args.json { json.to_string() } else { text })?;
    }
    Ok(End::Done)
}

fn line_of(kind: &str, due: &Due) -> (String, Value) {
    let meta = due.segment.meta();
    let (from, what) = (due.gone_from(), &meta.dir);
    let text = match kind {
        "due" => "goes now".to_owned(),
        "held" => "held".to_owned(),
        _ => format!("goes next, on {from}"),
    };
    (
        format!("{what}: {} events stored up to {}: {text}", meta.row_count, due.stored.1),
        json!({"kind": kind, "segment": what, "events": meta.row_count, "stored_last": due.stored.1.to_string(),
            "gone_from": from.to_string(), "months": due.keep.months, "rule": due.keep.rule + 1}),
    )
}

fn all_or(names: &[String]) -> String {
    if names.is_empty() { "all".to_owned() } else { names.join(",") }
}
