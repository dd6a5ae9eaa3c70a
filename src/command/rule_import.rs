//! `nhatle rule import`: a pack of rules made by others, into a data folder, with all that is known of it.
//!
//! In: a folder or ZIP archive. Out: the pack in its place, a record in the register, and a report in which
//! `loaded + refused + retired = documents`, each refused one with file, line, column and why. A server that
//! has the folder open loads the pack within seconds. What was decided about single rules stays decided.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nhatle_engine::register::AnyChange;
use nhatle_engine::rule_state::{PackChange, PackImport, is_pack_name};
use nhatle_event::{Clock, SystemClock};
use nhatle_rules::{LoadOptions, Meta, RuleError, RuleSet};
use nhatle_storage::OsDisk;
use serde_json::json;

use super::rule::error_json;
use super::{End, UsageError, output};
use crate::cli::RuleImportArgs;
use crate::config::{self, Rules};
use crate::pack::{Packs, Source};
use crate::registry::{RecordError, Registry};
use crate::ruleset;

/// Who the register names as the actor of a command.
const ACTOR: &str = "command line";

/// Runs the command.
///
/// # Errors
/// The source is none or passes a bound, the data folder or the register cannot be written.
pub fn run(args: &RuleImportArgs) -> anyhow::Result<End> {
    let name = pack_name(args)?;
    let mut source = Source::read(&args.source)?;
    if let Some(path) = &args.license {
        source.read_license(path)?;
    }
    let data = &args.data.data;
    OsDisk::new(data).with_context(|| format!("make folder {}", data.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let registry = Registry::open(data, runtime.handle().clone()).context("open register")?;
    let packs = Packs::new(data);
    let placeholders = args.placeholders.as_deref().map(config::read_placeholders).transpose()?.unwrap_or_default();
    let loaded = Loaded::new(&source, &packs, &name, &LoadOptions { placeholders, ..LoadOptions::default() })?;
    let difference = loaded.difference(&packs.folder().join(&name));
    let was_off = registry.read(|state| state.packs.get(&name).is_some_and(|pack| pack.import.is_off));
    let import = PackImport {
        source: args
            .source
            .file_name()
            .unwrap_or(args.source.as_os_str())
            .to_string_lossy()
            .chars()
            .take(256)
            .collect(),
        sha256: source.sha256(),
        license: source.license_line(),
        is_off: args.off || was_off && !args.on,
        files: source.files.len() as u64,
        documents: loaded.documents,
        loaded: loaded.loaded(),
        refused: loaded.errors.len() as u64,
        retired: loaded.set.retired.len() as u64,
    };
    packs.replace(&name, &source)?;
    let change = AnyChange::Pack(name.clone(), PackChange::Import(import.clone()));
    let recorded: Result<(), RecordError> = registry.change(ACTOR, SystemClock.now(), &change);
    recorded.context("write the import down")?;
    let decided = registry.read(|state| loaded.ids().filter(|id| state.rules.contains_key(*id)).count());
    registry.close();
    report(args.json, &name, &import, &loaded, &difference, decided)?;
    Ok(if loaded.errors.is_empty() { End::Done } else { End::Findings })
}

fn pack_name(args: &RuleImportArgs) -> anyhow::Result<String> {
    let stem = || args.source.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(stem);
    if is_pack_name(&name) {
        return Ok(name);
    }
    let rule = "a pack's name has 1 to 64 letters, digits, `-`, `_` or `.` and begins with a letter or digit";
    Err(UsageError(format!("`{name}` is no name for a pack: {rule}; name it with --name")).into())
}

/// What the pack comes to.
struct Loaded {
    set: RuleSet,
    /// All that is refused: by the loader, unreadable, or taken by another pack.
    errors: Vec<RuleError>,
    documents: u64,
    /// Ids that rules of other packs have.
    taken: usize,
}

impl Loaded {
    fn new(source: &Source, packs: &Packs, name: &str, options: &LoadOptions) -> anyhow::Result<Loaded> {
        let set = RuleSet::from_texts(&source.files, options);
        ensure!(set.is_balanced(), "a document of the pack is neither loaded nor refused; this is a bug of nhatle");
        let mut errors = source.errors.clone();
        errors.extend(set.errors.iter().cloned());
        let known = others(packs, name);
        let taken: Vec<RuleError> = set
            .metas()
            .filter_map(|(meta, _)| {
                let place = known.get(&meta.id)?;
                let reason = format!("the id {} is taken by {}; that one stays in force", meta.id, place.display());
                let (file, rule_id) = (meta.file.clone(), Some(meta.id.clone()));
                Some(RuleError { file, line: meta.line, column: 1, reason, lint: None, rule_id })
            })
            .collect();
        let documents = (set.document_count + source.errors.len()) as u64;
        let loaded = Loaded {
            taken: taken.len(),
            documents,
            errors: {
                errors.extend(taken);
                errors
            },
            set,
        };
        let sum = loaded.loaded() + loaded.errors.len() as u64 + loaded.set.retired.len() as u64;
        ensure!(sum == documents, "{sum} documents of {documents} are accounted for; this is a bug of nhatle");
        Ok(loaded)
    }

    fn loaded(&self) -> u64 {
        (self.set.loaded_count() - self.taken) as u64
    }

    fn ids(&self) -> impl Iterator<Item = &String> {
        self.set.metas().map(|(meta, _)| &meta.id)
    }

    /// Rules of the pack against those it had before.
    fn difference(&self, before: &Path) -> Difference {
        let folder = [before.to_owned()];
        let before = if before.is_dir() { RuleSet::load(&folder, &LoadOptions::default()) } else { RuleSet::default() };
        let mut old: BTreeMap<&str, &Meta> = texts(&before).collect();
        let mut difference = Difference { is_first: before.file_count == 0, ..Difference::default() };
        for (id, meta) in texts(&self.set) {
            match old.remove(id) {
                None => difference.added.push(meta.title.clone()),
                Some(known) if known.text == meta.text => difference.unchanged += 1,
                Some(_) => difference.changed.push(meta.title.clone()),
            }
        }
        difference.removed = old.into_values().map(|meta| meta.title.clone()).collect();
        difference
    }
}

/// All documents that load, the retired ones too, by id.
fn texts(set: &RuleSet) -> impl Iterator<Item = (&str, &Meta)> {
    let running = set.metas().map(|(meta, _)| meta);
    running.chain(&set.retired).map(|meta| (meta.id.as_str(), &**meta))
}

/// Ids of rules that come with the program or in another pack, with where they stand.
fn others(packs: &Packs, name: &str) -> BTreeMap<String, PathBuf> {
    let folders = std::fs::read_dir(packs.folder()).into_iter().flatten().filter_map(Result::ok);
    let paths = folders.filter(|entry| entry.file_name() != name).map(|entry| entry.path()).collect();
    let rules = Rules { paths, ..Rules::default() };
    let set = ruleset::load(&rules, &LoadOptions::default());
    let place = |meta: &Meta| meta.file.strip_prefix(packs.folder()).unwrap_or(&meta.file).to_owned();
    set.metas().map(|(meta, _)| (meta.id.clone(), place(meta))).collect()
}

/// What an update changed.
#[derive(Default)]
struct Difference {
    is_first: bool,
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    unchanged: usize,
}

fn report(
    is_json: bool,
    name: &str,
    import: &PackImport,
    loaded: &Loaded,
    difference: &Difference,
    decided: usize,
) -> anyhow::Result<()> {
    for error in &loaded.errors {
        output::line(&if is_json { error_json("error", error).to_string() } else { error.to_string() })?;
    }
    if is_json {
        for meta in &loaded.set.retired {
            let line = json!({"kind": "retired", "file": meta.file, "rule_id": meta.id, "title": meta.title, "status": meta.status});
            output::line(&line.to_string())?;
        }
        let summary = json!({
            "kind": "summary", "pack": name, "source": import.source, "sha256": import.sha256,
            "license": import.license, "off": import.is_off, "files": import.files,
            "documents": import.documents, "loaded": import.loaded, "refused": import.refused, "retired": import.retired,
            "added": difference.added.len(), "changed": difference.changed.len(),
            "removed": difference.removed.len(), "unchanged": difference.unchanged, "decided": decided,
        });
        output::line(&summary.to_string())?;
        return Ok(());
    }
    let state = if import.is_off { "off until switched on" } else { "on" };
    output::line(&format!(
        "pack {name} ({state}): {} files, {} documents = {} loaded + {} refused + {} retired",
        import.files, import.documents, import.loaded, import.refused, import.retired
    ))?;
    let license = match import.license.as_str() {
        "" => "no licence file in it; name one with --license FILE",
        line => line,
    };
    output::line(&format!("licence: {license}"))?;
    if !difference.is_first {
        for (word, titles) in
            [("added", &difference.added), ("changed", &difference.changed), ("removed", &difference.removed)]
        {
            titles.iter().try_for_each(|title| output::line(&format!("{word}: {title}")))?;
        }
        output::line(&format!(
            "{} added, {} changed, {} removed, {} unchanged; {decided} with decisions of yours, kept",
            difference.added.len(),
            difference.changed.len(),
            difference.removed.len(),
            difference.unchanged
        ))?;
    }
    Ok(())
}
