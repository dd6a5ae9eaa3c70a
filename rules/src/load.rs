//! Files in, a [`RuleSet`] out: walks folders, splits files into documents, goes on after a bad rule.
//!
//! Every document is accounted for: it is a rule, a correlation or a filter of the set, or one [`RuleError`].
//! Same files, same set: rules stand in order of id whatever the order of files. Files parse in parallel.
//!
//! Source: Sigma specification 2.1.0; bounds in [`yaml`](crate::yaml).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::ast::{self, Document, LogSource};
use crate::collection::Collection;
use crate::compile::correlation::{self, Names};
use crate::compile::merge::Merger;
use crate::compile::predicate::{Gate, Predicate};
use crate::compile::value::Placeholders;
use crate::compile::{self, Compiled};
use crate::error::{Fault, RuleError};
use crate::set::{CorrelationId, Meta, Referred, Rule, RuleId, RuleSet};
use crate::switch::{self, Off, Switches};
use crate::yaml::{self, DOCUMENTS_MAX, FILE_BYTES_MAX, Place};
use crate::{lint, parse, taxonomy};

/// How many rule files one load reads.
pub const FILES_MAX: usize = 100_000;
/// How deep folders may nest.
pub const FOLDER_DEPTH_MAX: usize = 32;
/// How many distinct field names one load may have.
pub const RULE_FIELDS_MAX: usize = 16_384;

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// What log sources do.
    pub routing: Routing,
    /// Value lists for placeholders, by name without the percent signs; a rule with another is refused.
    pub placeholders: Placeholders,
    /// What is off, and what has another level.
    pub switches: Switches,
}

/// What a rule's log source does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// A rule looks at the events of its log source.
    #[default]
    ByLogSource,
    /// Every rule looks at every event (`--ignore-logsource`).
    Ignored,
}

impl RuleSet {
    /// Loads the files and the `.yml` and `.yaml` files under the folders. A path that cannot be read is an error
    /// of the set, like a bad rule; nothing here stops the rest.
    pub fn load(paths: &[PathBuf], options: &LoadOptions) -> RuleSet {
        RuleSet::load_with(&[], paths, options)
    }

    /// Loads rules from texts (those inside the program) and from paths, as one set.
    pub fn load_with(texts: &[(PathBuf, String)], paths: &[PathBuf], options: &LoadOptions) -> RuleSet {
        let mut files = Vec::new();
        let mut errors = Vec::new();
        for path in paths {
            walk(path, FOLDER_DEPTH_MAX, true, &mut files, &mut errors);
        }
        files.sort();
        files.dedup();
        if FILES_MAX < files.len() {
            errors
                .push(file_error(&files[FILES_MAX], format!("more than {FILES_MAX} rule files; the rest is left out")));
            files.truncate(FILES_MAX);
        }
        let parsed = files.par_iter().map(|file| match read(file) {
            Ok(text) => parse_file(file, &text, options),
            Err(reason) => refused_file(file, reason),
        });
        let mut all: Vec<FileResult> = texts.par_iter().map(|(file, text)| parse_text(file, text, options)).collect();
        all.extend(parsed.collect::<Vec<_>>());
        assemble(all, errors, options)
    }

    /// Loads rules from texts; the paths are only for messages.
    pub fn from_texts(texts: &[(PathBuf, String)], options: &LoadOptions) -> RuleSet {
        let parsed = texts.par_iter().map(|(file, text)| parse_text(file, text, options));
        assemble(parsed.collect(), Vec::new(), options)
    }
}

fn parse_text(file: &Path, text: &str, options: &LoadOptions) -> FileResult {
    if FILE_BYTES_MAX < text.len() {
        return refused_file(file, too_large());
    }
    parse_file(file, text, options)
}

fn refused_file(file: &Path, reason: String) -> FileResult {
    FileResult { document_count: 1, errors: vec![file_error(file, reason)], ..FileResult::default() }
}

fn file_error(file: &Path, reason: String) -> RuleError {
    RuleError { file: file.to_owned(), line: 1, column: 1, reason, lint: None, rule_id: None }
}

fn too_large() -> String {
    format!("the file is larger than {FILE_BYTES_MAX} bytes; split it")
}

/// Collects the rule files under a path. Only what was named itself may be a file of another ending.
fn walk(path: &Path, depth: usize, is_named: bool, files: &mut Vec<PathBuf>, errors: &mut Vec<RuleError>) {
    if FILES_MAX < files.len() {
        return;
    }
    // Links are followed where they were named; inside a folder they could lead in a circle.
    let kind = if is_named { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
    let kind = match kind {
        Ok(kind) => kind,
        Err(error) => return errors.push(file_error(path, format!("cannot be read: {error}"))),
    };
    if kind.is_dir() {
        if depth == 0 {
            return errors.push(file_error(path, format!("folders nest more than {FOLDER_DEPTH_MAX} deep")));
        }
        match std::fs::read_dir(path) {
            Ok(entries) => {
                entries.filter_map(Result::ok).for_each(|entry| walk(&entry.path(), depth - 1, false, files, errors))
            }
            Err(error) => errors.push(file_error(path, format!("cannot be read: {error}"))),
        }
        return;
    }
    let is_link_to_file = kind.is_symlink() && std::fs::metadata(path).is_ok_and(|target| target.is_file());
    let is_yaml = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
    if is_named || ((kind.is_file() || is_link_to_file) && is_yaml) {
        files.push(path.to_owned());
    }
}

/// The text of a file, read up to its bound only.
fn read(file: &Path) -> Result<String, String> {
    let open = File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    let bound = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    if open.metadata().is_ok_and(|kind| bound < kind.len()) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    open.take(bound + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if FILE_BYTES_MAX < bytes.len() {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

/// What one file came to.
#[derive(Default)]
struct FileResult {
    /// How many documents were looked at; each is in one of the lists but `warnings`.
    document_count: usize,
    rules: Vec<(ast::Rule, Compiled)>,
    correlations: Vec<ast::Correlation>,
    filters: Vec<(ast::Filter, Compiled)>,
    errors: Vec<RuleError>,
    warnings: Vec<RuleError>,
}

fn parse_file(file: &Path, text: &str, options: &LoadOptions) -> FileResult {
    let mut result = FileResult::default();
    let chunks = yaml::chunks(text);
    if DOCUMENTS_MAX < chunks.len() {
        result
            .errors
            .push(file_error(file, format!("more than {DOCUMENTS_MAX} documents in one file; the rest is left out")));
        result.document_count += 1;
    }
    let mut collection = Collection::new(text);
    for chunk in chunks.into_iter().take(DOCUMENTS_MAX) {
        match yaml::parse(chunk) {
            Ok(documents) => {
                let text: Arc<str> = Arc::from(chunk.text);
                for node in documents.into_iter().filter(|node| !node.is_null()) {
                    document(node, &text, file, options, &mut collection, &mut result);
                }
            }
            Err(fault) => {
                collection.forget();
                result.document_count += 1;
                result.errors.push(fault.at(file, None));
            }
        }
    }
    result
}

/// One document; those that only lend to others (`action: global`) are not counted.
fn document(
    node: yaml::Node,
    text: &Arc<str>,
    file: &Path,
    options: &LoadOptions,
    collection: &mut Collection,
    result: &mut FileResult,
) {
    let (node, text) = match collection.take(node, text) {
        Ok(Some(whole)) => whole,
        Ok(None) => return,
        Err(fault) => {
            result.document_count += 1;
            return result.errors.push(fault.at(file, None));
        }
    };
    result.document_count += 1;
    let id =
        node.get("id").and_then(yaml::Node::text).filter(|id| id.len() <= parse::NAME_BYTES_MAX).map(str::to_lowercase);
    if let Err(fault) = try_document(&node, &text, file, options, result) {
        result.errors.push(fault.at(file, id));
    }
}

fn try_document(
    node: &yaml::Node,
    text: &Arc<str>,
    file: &Path,
    options: &LoadOptions,
    result: &mut FileResult,
) -> Result<(), Fault> {
    let parsed = parse::parse(node, text, file, node.place.line)?;
    let mut found = lint::document(node, &parsed);
    let id = match &parsed {
        Document::Rule(rule) => rule.meta.id.clone(),
        Document::Correlation(correlation) => correlation.meta.id.clone(),
        Document::Filter(filter) => filter.meta.id.clone(),
    };
    match parsed {
        Document::Rule(rule) => {
            let mut compiled = compile::detection(&rule.detection, &options.placeholders)?;
            found.append(&mut compiled.warnings);
            result.rules.push((rule, compiled));
        }
        Document::Correlation(correlation) => result.correlations.push(correlation),
        Document::Filter(filter) => {
            let mut compiled = compile::detection(&filter.detection, &options.placeholders)?;
            found.append(&mut compiled.warnings);
            result.filters.push((filter, compiled));
        }
    }
    result.warnings.extend(found.into_iter().map(|fault| fault.at(file, Some(id.clone()))));
    Ok(())
}

/// Puts the files together: ids unique, filters applied, atoms shared, correlations resolved.
fn assemble(files: Vec<FileResult>, errors: Vec<RuleError>, options: &LoadOptions) -> RuleSet {
    let mut set = RuleSet { document_count: errors.len(), errors, file_count: files.len(), ..RuleSet::default() };
    let mut all = FileResult::default();
    for mut file in files {
        set.document_count += file.document_count;
        all.rules.append(&mut file.rules);
        all.correlations.append(&mut file.correlations);
        all.filters.append(&mut file.filters);
        set.errors.append(&mut file.errors);
        set.warnings.append(&mut file.warnings);
    }
    // What its authors gave up (`status: deprecated` or `unsupported`) is read and checked, and does not run.
    let is_retired = |meta: &Meta| matches!(meta.status.as_deref(), Some("deprecated" | "unsupported"));
    let (retired, running) = all.rules.into_iter().partition(|(rule, _)| is_retired(&rule.meta));
    all.rules = running;
    let retired: Vec<(ast::Rule, Compiled)> = retired;
    set.retired = retired.into_iter().map(|(rule, _)| Arc::new(rule.meta)).collect();
    let mut ids = Ids::default();
    all.rules.retain_mut(|(rule, _)| ids.admit(&mut rule.meta, rule.place, &mut set.errors));
    all.correlations.retain_mut(|correlation| ids.admit(&mut correlation.meta, correlation.place, &mut set.errors));
    all.filters.retain_mut(|(filter, _)| ids.admit(&mut filter.meta, filter.place, &mut set.errors));
    set.filter_count = all.filters.len();
    all.rules.sort_by(|(left, _), (right, _)| left.meta.id.cmp(&right.meta.id));
    all.correlations.sort_by(|left, right| left.meta.id.cmp(&right.meta.id));
    all.filters.sort_by(|(left, _), (right, _)| left.meta.id.cmp(&right.meta.id));
    warn_duplicate_titles(&all, &mut set.warnings);
    let aside = switch::set_aside(&mut all.rules, &mut all.correlations, &options.switches);

    let mut merger = Merger::default();
    let mut names = Names::default();
    let filters = Filters::new(&all.filters);
    for (rule, compiled) in all.rules {
        if RULE_FIELDS_MAX < merger.fields.len() {
            set.errors.push(refused(
                &rule.meta,
                rule.place,
                format!("the rules name more than {RULE_FIELDS_MAX} fields"),
            ));
            continue;
        }
        let id = RuleId(u32::try_from(set.rules.len()).unwrap_or(u32::MAX));
        names.insert(&rule.meta.id, rule.meta.name.as_deref(), &rule.logsource, Referred::Rule(id));
        set.rules.push(one_rule(rule, compiled, &filters, &mut merger, options, &mut set.warnings));
    }
    filters.warn_unused(&names, &aside.off, &mut set.warnings);
    let ordered = correlation::compile(all.correlations, &mut names, &mut merger);
    let (silent_rules, silent_correlations) = correlation::silent(&ordered, &names, &aside);
    set.correlations = ordered.correlations;
    set.errors.extend(
        ordered
            .refused
            .into_iter()
            .map(|(correlation, fault)| fault.at(&correlation.meta.file, Some(correlation.meta.id.clone()))),
    );
    silence(&mut set, &silent_rules, &silent_correlations);
    set.off = aside.off;
    set.off.sort_by(|left, right| left.meta.id.cmp(&right.meta.id));
    set.atoms = merger.atoms;
    set.fields = merger.fields;
    set.errors.sort_by(by_place);
    set.warnings.sort_by(by_place);
    set
}

fn by_place(left: &RuleError, right: &RuleError) -> std::cmp::Ordering {
    (&left.file, left.line, left.column).cmp(&(&right.file, right.line, right.column))
}

fn refused(meta: &Meta, place: Place, reason: String) -> RuleError {
    Fault::new(place, reason).at(&meta.file, Some(meta.id.clone()))
}

fn warned(meta: &Meta, place: Place, lint: &'static str, reason: String) -> RuleError {
    Fault::warning(place, lint, reason).at(&meta.file, Some(meta.id.clone()))
}

/// Rules and correlations that are called the same: an analyst cannot tell their alerts apart.
fn warn_duplicate_titles(all: &FileResult, warnings: &mut Vec<RuleError>) {
    let mut titles: HashMap<String, &Meta> = HashMap::new();
    let rules = all.rules.iter().map(|(rule, _)| (&rule.meta, rule.place));
    for (meta, place) in rules.chain(all.correlations.iter().map(|one| (&one.meta, one.place))) {
        if let Some(first) = titles.get(&meta.title.to_lowercase()) {
            let reason = format!(
                "{}:{} has the same title; say in one of them what tells it from the other",
                first.file.display(),
                first.line
            );
            warnings.push(warned(meta, place, "duplicate-title", reason));
        } else {
            titles.insert(meta.title.to_lowercase(), meta);
        }
    }
}

fn silence(set: &mut RuleSet, rules: &[RuleId], correlations: &[CorrelationId]) {
    for RuleId(id) in rules {
        if let Some(rule) = usize::try_from(*id).ok().and_then(|id| set.rules.get_mut(id)) {
            rule.is_alerting = false;
        }
    }
    for CorrelationId(id) in correlations {
        if let Some(correlation) = usize::try_from(*id).ok().and_then(|id| set.correlations.get_mut(id)) {
            correlation.is_alerting = false;
        }
    }
}

/// The ids and names given out, with where.
#[derive(Default)]
struct Ids {
    ids: HashMap<String, (PathBuf, usize)>,
    names: HashSet<String>,
}

impl Ids {
    /// Whether the document may join. The later of two with one id is refused; derived ids give way instead.
    fn admit(&mut self, meta: &mut Meta, place: Place, errors: &mut Vec<RuleError>) -> bool {
        if meta.id == parse::derived_id(&meta.title) && self.ids.contains_key(&meta.id) {
            meta.id = parse::derived_id(&meta.text);
        }
        if let Some((file, line)) = self.ids.get(&meta.id) {
            let reason = format!("the id {} is taken by {}:{line}; give this rule its own", meta.id, file.display());
            errors.push(refused(meta, place, reason));
            return false;
        }
        if let Some(name) = &meta.name
            && !self.names.insert(name.clone())
        {
            errors.push(refused(
                meta,
                place,
                format!("the name `{name}` is taken by another rule; give this one its own"),
            ));
            return false;
        }
        self.ids.insert(meta.id.clone(), (meta.file.clone(), meta.line));
        true
    }
}

fn one_rule(
    rule: ast::Rule,
    compiled: Compiled,
    filters: &Filters<'_>,
    merger: &mut Merger,
    options: &LoadOptions,
    warnings: &mut Vec<RuleError>,
) -> Rule {
    let Compiled { mut predicate, mut searches, atoms, fields, .. } = compiled;
    let mapping = merger.take(atoms, &fields, &rule.logsource);
    mapping.apply(&mut predicate);
    searches.iter_mut().for_each(|(_, search)| mapping.apply(search));
    for (filter, compiled) in filters.of(&rule) {
        let mapping = merger.take(compiled.atoms.clone(), &compiled.fields, &rule.logsource);
        let mut narrowing = compiled.predicate.clone();
        mapping.apply(&mut narrowing);
        predicate = joined(predicate, narrowing);
        for (name, search) in &compiled.searches {
            let mut search = search.clone();
            mapping.apply(&mut search);
            searches.push((format!("{}: {name}", filter.meta.title), search));
        }
    }
    let gate = match options.routing {
        Routing::Ignored => Gate::Any,
        Routing::ByLogSource => taxonomy::gate(&rule.logsource),
    };
    if gate == Gate::Never {
        let reason = "no event log has this log source; the rule never runs";
        warnings.push(warned(&rule.meta, rule.place, "asleep", reason.into()));
    }
    Rule { meta: Arc::new(rule.meta), gate, predicate, is_alerting: true, searches }
}

fn joined(left: Predicate, right: Predicate) -> Predicate {
    match left {
        Predicate::All(mut parts) => {
            parts.push(right);
            Predicate::All(parts)
        }
        left => Predicate::All(vec![left, right]),
    }
}

/// The filters by the rules they are for.
struct Filters<'a> {
    by_rule: BTreeMap<&'a str, Vec<usize>>,
    for_all: Vec<usize>,
    filters: &'a [(ast::Filter, Compiled)],
}

impl<'a> Filters<'a> {
    fn new(filters: &'a [(ast::Filter, Compiled)]) -> Filters<'a> {
        let mut by_rule: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut for_all = Vec::new();
        for (place, (filter, _)) in filters.iter().enumerate() {
            if filter.rules.is_empty() {
                for_all.push(place);
            }
            for (rule, _) in &filter.rules {
                by_rule.entry(rule).or_default().push(place);
            }
        }
        Filters { by_rule, for_all, filters }
    }

    /// The filters of a rule, in order of id: named or for all, and of a log source that holds the rule's.
    fn of(&self, rule: &ast::Rule) -> impl Iterator<Item = &'a (ast::Filter, Compiled)> {
        let by_id = self.by_rule.get(rule.meta.id.as_str());
        let by_name = rule.meta.name.as_deref().and_then(|name| self.by_rule.get(name));
        let mut places: Vec<usize> = by_id.into_iter().chain(by_name).flatten().chain(&self.for_all).copied().collect();
        places.sort_unstable();
        places.dedup();
        let holds = |filter: &LogSource, rule: &LogSource| {
            let part = |filter: &Option<String>, rule: &Option<String>| filter.is_none() || filter == rule;
            part(&filter.category, &rule.category)
                && part(&filter.product, &rule.product)
                && part(&filter.service, &rule.service)
        };
        let logsource = rule.logsource.clone();
        places
            .into_iter()
            .filter_map(|place| self.filters.get(place))
            .filter(move |(filter, _)| holds(&filter.logsource, &logsource))
    }

    fn warn_unused(&self, names: &Names, off: &[Off], warnings: &mut Vec<RuleError>) {
        let is_off = |rule: &str| off.iter().any(|off| off.meta.id == rule || off.meta.name.as_deref() == Some(rule));
        for (filter, _) in self.filters {
            for (rule, place) in filter.rules.iter().filter(|(rule, _)| names.get(rule).is_none() && !is_off(rule)) {
                let reason = format!("the filter is for the rule `{rule}`, which is not loaded");
                warnings.push(warned(&filter.meta, *place, "filter-for-nothing", reason));
            }
        }
    }
}
