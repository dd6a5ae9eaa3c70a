//! `nhatle asset`, `nhatle geoip`, `nhatle intel`: reference data without the page.
//!
//! The file is checked and kept below the data folder, and a change of the register puts it in force; a running server
//! finds that within a second. A file that is wrong is refused with place (exit code 2) and nothing is changed.

use std::path::Path;

use anyhow::Context;
use nhatle_collector::enrich::asset::Assets;
use nhatle_collector::enrich::intel::Form;
use nhatle_engine::reference::{ASSETS, INTEL, Reference, ReferenceChange, ReferenceFile, is_list_name};
use nhatle_engine::register::AnyChange;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::OsDisk;
use serde_json::json;

use super::accounts::ACTOR;
use super::{End, UsageError, output};
use crate::cli_reference::{AssetCommand, GeoCommand, IntelCommand, IntelImportArgs};
use crate::reference::import::{self, ImportError, ListOptions};
use crate::reference::shelf::Shelf;
use crate::registry::{RecordError, Registry};

/// Runs `nhatle asset …`.
///
/// # Errors
/// The table is wrong, or cannot be read or kept.
pub fn asset(command: &AssetCommand) -> anyhow::Result<End> {
    match command {
        AssetCommand::Import { file, data } => {
            let bytes = read(file)?;
            with_register(&data.data, |registry| {
                let taken = import::assets(&data.data, &bytes, &import::source_name(file))
                    .map_err(|error| said(file, error))?;
                put(registry, ASSETS, taken)
            })
        }
        AssetCommand::List { data, json } => {
            with_register(&data.data, |registry| list_assets(&data.data, registry, *json))
        }
    }
}

/// Runs `nhatle geoip …`.
///
/// # Errors
/// The file is no such file, or cannot be read or kept.
pub fn geo(command: &GeoCommand) -> anyhow::Result<End> {
    let GeoCommand::Import { file, data } = command;
    let bytes = read(file)?;
    with_register(&data.data, |registry| {
        let (name, taken) =
            import::geo(&data.data, bytes, &import::source_name(file)).map_err(|error| said(file, error))?;
        put(registry, name, taken)
    })
}

/// Runs `nhatle intel …`.
///
/// # Errors
/// The list is wrong, or cannot be read or kept.
pub fn intel(command: &IntelCommand) -> anyhow::Result<End> {
    match command {
        IntelCommand::Import(args) => import_list(args),
        IntelCommand::List { data, json } => with_register(&data.data, |registry| list_lists(registry, *json)),
        IntelCommand::Remove { list, data } => with_register(&data.data, |registry| {
            change(registry, &format!("{INTEL}{list}"), ReferenceChange::Remove {})?;
            output::say(&format!("list {list} removed"));
            Ok(End::Done)
        }),
    }
}

fn import_list(args: &IntelImportArgs) -> anyhow::Result<End> {
    let usage = |text: String| anyhow::Error::from(UsageError(text));
    if !is_list_name(&args.list) {
        return Err(usage("a list's name has letters, digits, '-', '_' and '.'".to_owned()));
    }
    let form = Form::from_name(&args.kind);
    let form =
        form.ok_or_else(|| usage(format!("unknown kind {}; write auto, lines, csv, misp or stix", args.kind)))?;
    let options = ListOptions { form, days_valid: args.days, confidence: args.confidence };
    let found = import::read_list(&args.file, form).map_err(|error| said(&args.file, error))?;
    let name = format!("{INTEL}{}", args.list);
    with_register(&args.data.data, |registry| {
        let before = registry.read(|state| state.references.get(&name).cloned());
        let source = import::source_name(&args.file);
        let taken = import::intel(&args.data.data, &found, before.as_ref(), options, (&source, SystemClock.now()));
        put(registry, &name, taken.map_err(|error| said(&args.file, error))?)
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// What is wrong with the data is the user's to mend, what is wrong with the world is not.
fn said(file: &Path, error: ImportError) -> anyhow::Error {
    match error.is_of_data() {
        true => {
            let lines: Vec<String> =
                error.to_string().lines().map(|line| format!("{}: {line}", file.display())).collect();
            UsageError(lines.join("\n")).into()
        }
        false => error.into(),
    }
}

fn with_register(data: &Path, work: impl FnOnce(&Registry) -> anyhow::Result<End>) -> anyhow::Result<End> {
    OsDisk::new(data).with_context(|| format!("make folder {}", data.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let registry = Registry::open(data, runtime.handle().clone())?;
    let result = work(&registry);
    registry.close();
    result
}

fn change(registry: &Registry, name: &str, change: ReferenceChange) -> anyhow::Result<()> {
    match registry.change(ACTOR, SystemClock.now(), &AnyChange::Reference(name.to_owned(), change)) {
        Err(RecordError::Refused(refused)) => Err(UsageError(format!("{name}: {refused}")).into()),
        other => Ok(other?),
    }
}

/// Puts a file in force and prints what is in it.
fn put(registry: &Registry, name: &str, file: ReferenceFile) -> anyhow::Result<End> {
    let line = json!({
        "name": name, "sha256": file.sha256, "counts": file.counts, "left_out": file.left_out,
        "new": file.fresh.as_ref().map(|fresh| fresh.count),
        "made": file.made_ns.map(|at| nhatle_event::Timestamp(at).to_string()),
    });
    let has_left_out = !file.left_out.is_empty();
    change(registry, name, ReferenceChange::Put(file))?;
    output::line(&line.to_string())?;
    if has_left_out {
        output::say("some of it was left out; see left_out");
    }
    Ok(End::Done)
}

fn list_assets(data: &Path, registry: &Registry, is_json: bool) -> anyhow::Result<End> {
    let file = registry.read(|state| state.references.get(ASSETS).and_then(|one| one.file.clone()));
    let Some(file) = file else { return Ok(End::Done) };
    let bytes = Shelf::Assets.read(data, &file.sha256)?;
    let assets = Assets::read(&String::from_utf8_lossy(&bytes)).map_err(ImportError::Table)?;
    for asset in assets.rows() {
        let ranges: Vec<String> = asset.ranges.iter().map(ToString::to_string).collect();
        let line = match is_json {
            true => json!({
                "name": asset.name, "hosts": asset.hosts, "addresses": ranges, "macs": asset.macs, "owner": asset.owner,
                "importance": asset.importance, "system_level": asset.system_level, "unit": asset.unit, "role": asset.role,
                "observe_only": asset.is_observe_only,
            })
            .to_string(),
            false => {
                let grade = |grade: Option<u8>| grade.map_or_else(|| "-".to_owned(), |grade| grade.to_string());
                format!("{}\t{}\t{}\t{}\t{}", asset.name, ranges.join(" "), grade(asset.importance), asset.unit, asset.owner)
            }
        };
        output::line(&line)?;
    }
    Ok(End::Done)
}

fn list_lists(registry: &Registry, is_json: bool) -> anyhow::Result<End> {
    let lists: Vec<(String, Reference)> = registry.read(|state| {
        let lists =
            state.references.iter().filter_map(|(name, one)| Some((name.strip_prefix(INTEL)?.to_owned(), one.clone())));
        lists.filter(|(_, one)| one.file.is_some()).collect()
    });
    for (name, one) in &lists {
        let Some(file) = &one.file else { continue };
        let waiting: u64 = one.pending.iter().map(|(_, fresh)| fresh.count).sum();
        let line = match is_json {
            true => json!({
                "list": name, "source": file.source, "imported": one.put.to_string(), "by": one.by, "counts": file.counts,
                "until": one.until().map(|until| until.to_string()), "waiting_to_be_looked_for": waiting,
            })
            .to_string(),
            false => format!(
                "{name}\t{}\t{}\t{}\t{}",
                file.counts.values().sum::<u64>(),
                one.put,
                one.until().map_or_else(|| "-".to_owned(), |until| until.to_string()),
                file.source
            ),
        };
        output::line(&line)?;
    }
    Ok(End::Done)
}
