//! `nhatle erase`: what is about a person goes from what is stored, and the proof stays true.
//!
//! In: the data folder, what is to go. Out: a count and what is not reached; or segments written anew, by the server where one
//! has the folder ([`crate::handover`]), and in the register who erased on what basis. Failure: refused with why (a legal hold, another count than
//! the one confirmed): nothing is changed then.

use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use nhatle_engine::account::Role;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::{Config as StorageConfig, Disk, OpenError, OsDisk, Store};
use serde_json::json;

use super::accounts::{ACTOR, with_registry};
use super::{End, UsageError, output};
use crate::cli_erase::{EraseCommand, ErasePlanArgs, EraseRunArgs, WantedArgs};
use crate::erasure::{self, NOT_REACHED, Order, Plan, Refusal, Wanted};
use crate::handover::{Ask, client};
use crate::pki::heads;

/// The longest first line of standard input.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Runs the command.
///
/// # Errors
/// It is refused, or the store or the register cannot be read or written.
pub fn run(command: &EraseCommand) -> anyhow::Result<End> {
    match command {
        EraseCommand::Plan(args) => plan(args),
        EraseCommand::Run(args) => erase(args),
        EraseCommand::Resume { data } => resume(&data.data),
        EraseCommand::Show { data, json } => show(&data.data, *json),
    }
}

fn wanted(args: &WantedArgs) -> anyhow::Result<Wanted> {
    let subject = match args.subject.as_deref() {
        Some("-") => {
            let mut line = String::new();
            let mut input = std::io::stdin().lock().take(LINE_BYTES_MAX);
            input.read_line(&mut line).context("read the value from standard input")?;
            Some(line.trim_end_matches(['\r', '\n']).to_owned())
        }
        other => other.map(str::to_owned),
    };
    Ok(Wanted {
        subject,
        query: args.query.clone(),
        fields: args.fields.clone(),
        also: args.also.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        leave_held: args.leave_held,
    })
}

/// What was refused is the user's to change.
fn refused(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Refusal>() {
        Ok(refusal) => UsageError(format!("not erased: {refusal}")).into(),
        Err(other) => other,
    }
}

fn folder(data: &Path) -> anyhow::Result<Arc<dyn Disk>> {
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    Ok(Arc::new(OsDisk::existing(data)?))
}

fn plan(args: &ErasePlanArgs) -> anyhow::Result<End> {
    let (wanted, disk) = (wanted(&args.wanted)?, folder(&args.data.data)?);
    let store = Store::open_read_only(disk, StorageConfig::default(), Arc::new(SystemClock)).context("open store")?;
    let snapshot = store.snapshot();
    let counted =
        with_registry(&args.data.data, |registry| erasure::preview(&snapshot, registry, &wanted, SystemClock.now()))?;
    let counted = counted.map_err(refused)?;
    match args.json {
        true => {
            let not_reached: Vec<&str> = NOT_REACHED.iter().map(|(key, _)| *key).collect();
            output::line(&json!({"plan": counted, "not_reached": not_reached}).to_string())?;
        }
        false => said(&counted)?,
    }
    Ok(End::Done)
}

fn said(plan: &Plan) -> anyhow::Result<()> {
    output::line(&format!(
        "{} events of {} days would lose it, {} of them in a named field, in the others it stands elsewhere",
        plan.events, plan.days, plan.named
    ))?;
    for (dataset, events) in &plan.datasets {
        output::line(&format!("  {dataset}: {events}"))?;
    }
    output::line(&format!(
        "{} segments with {} events ({} bytes) are written anew; {} of the events are sealed first",
        plan.segments, plan.segment_events, plan.segment_bytes, plan.unsealed
    ))?;
    for (name, events) in &plan.fields {
        output::line(&format!("  {name}: in {events} events"))?;
    }
    for (hold, events) in &plan.held {
        output::line(&format!("refused: {events} events more are under legal hold {hold}"))?;
    }
    output::line("not reached:")?;
    for (_, sentence) in NOT_REACHED {
        output::line(&format!("  {sentence}"))?;
    }
    output::line(&format!("to erase: the same with run, --basis, --by and --expect {}", plan.events))?;
    Ok(())
}

/// The store; `None` where a server has it.
fn open(data: &Path) -> anyhow::Result<Option<Store>> {
    let store = match Store::open(folder(data)?, StorageConfig::default(), Arc::new(SystemClock)) {
        Err(OpenError::Locked { .. }) => return Ok(None),
        other => other.context("open store")?,
    };
    store.sign_with(heads::open_or_make(data)?);
    Ok(Some(store))
}

fn resume(data: &Path) -> anyhow::Result<End> {
    let Some(store) = open(data)? else {
        output::line("a server has this folder: it goes on by itself with what was interrupted")?;
        return Ok(End::Done);
    };
    with_registry(data, |registry| -> anyhow::Result<()> {
        let interrupted = erasure::interrupted(&store, registry)?;
        if interrupted.is_empty() {
            output::line("nothing was interrupted")?;
        }
        for one in interrupted {
            let begun = erasure::resume((&store, registry), one, SystemClock.now()).map_err(refused)?;
            let done = begun.erase((&store, registry), &|| SystemClock.now(), &mut || true)?;
            let erasure::Done { number, events, segments, .. } = done;
            output::line(&format!("erasure {number}: {events} events of {segments} segments have it no more"))?;
        }
        Ok(())
    })??;
    Ok(End::Done)
}

fn erase(args: &EraseRunArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    let wanted = wanted(&args.wanted)?;
    let by = args.by.to_lowercase();
    let Some(store) = open(data)? else {
        let ask = Ask::Erase { wanted, by, basis: args.basis.clone(), expect: args.expect };
        let done = client::ask(data, &ask)?;
        let number = |key: &str| done.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let receipt = done.get("receipt").and_then(serde_json::Value::as_str).unwrap_or_default();
        return said_done(args.json, (number("number"), number("events"), number("segments"), receipt));
    };
    let order = Order { actor: ACTOR.to_owned(), by, basis: args.basis.clone(), expect: args.expect };
    let done = with_registry(data, |registry| -> anyhow::Result<_> {
        let is_admin = registry.read(|state| {
            state.accounts.get(&order.by).is_some_and(|account| account.role == Role::Admin && !account.is_disabled)
        });
        if !is_admin {
            return Err(UsageError(format!("--by: {} is no administrator's account", order.by)).into());
        }
        let begun = erasure::begin((&store, registry), &wanted, order, SystemClock.now()).map_err(refused)?;
        output::say(&format!(
            "erasure {}: {} events in {} segments",
            begun.number, begun.plan.events, begun.plan.segments
        ));
        begun.erase((&store, registry), &|| SystemClock.now(), &mut || true)
    })??;
    said_done(args.json, (done.number, done.events, done.segments, &done.receipt))
}

fn said_done(as_json: bool, (number, events, segments, receipt): (u64, u64, u64, &str)) -> anyhow::Result<End> {
    match as_json {
        true => {
            let line = json!({"number": number, "events": events, "segments": segments, "receipt": receipt});
            output::line(&line.to_string())?;
        }
        false => {
            output::line(&format!("erasure {number}: {events} events of {segments} segments have it no more"))?;
            output::line(&format!(
                "receipt {receipt} (not kept here: with the value it makes the mark in the register)"
            ))?;
        }
    }
    Ok(End::Done)
}

/// What an erasure that is not done waits for.
fn unfinished(goes_on: bool) -> &'static str {
    match goes_on {
        true => "not finished (a server goes on with it, also after a restart; without one, nhatle erase resume)",
        false => "not finished (what it needs to go on is not there any more: ask for it again)",
    }
}

fn show(data: &Path, as_json: bool) -> anyhow::Result<End> {
    let disk = folder(data)?;
    let erasures = with_registry(data, |registry| registry.read(|state| state.erasures.clone()))?;
    for (number, one) in erasures {
        let done = one.done.map(|done| done.to_string());
        let goes_on = done.is_none() && erasure::unfinished::is_kept(&*disk, &one.mark);
        output::line(&match as_json {
            true => {
                json!({"number": number, "begun": one.begun.to_string(), "done": done, "by": one.by, "basis": one.basis,
                "events": one.events, "segments": one.segments, "goes_on": goes_on})
                .to_string()
            }
            false => format!(
                "erasure {number}: begun {}, {}: {} events of {} segments, by {}: {}",
                one.begun,
                done.map_or_else(|| unfinished(goes_on).to_owned(), |done| format!("done {done}")),
                one.events,
                one.segments,
                one.by,
                one.basis
            ),
        })?;
    }
    Ok(End::Done)
}
