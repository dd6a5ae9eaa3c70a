//! Which rules run: those that come with the program (`rules/sigma`, inside the binary), or paths.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use nhatle_rules::{LoadOptions, RuleSet};

use crate::config::Rules;

static BUILTIN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/rules/sigma");

/// The rule files that come with the program, as (name, text), in order of name.
pub fn builtin_texts() -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    collect(&BUILTIN, &mut texts);
    texts.sort();
    texts
}

/// The samples of our own pack in this file, by the name its rule has in the set.
pub fn builtin_samples(file: &Path) -> Option<&'static str> {
    BUILTIN.get_file(file.strip_prefix("builtin").ok()?)?.contents_utf8()
}

fn collect(folder: &Dir<'_>, texts: &mut Vec<(PathBuf, String)>) {
    for file in folder.files() {
        let is_rule = file.path().extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if let (true, Some(text)) = (is_rule, file.contents_utf8()) {
            texts.push((PathBuf::from("builtin").join(file.path()), text.to_owned()));
        }
    }
    for inner in folder.dirs() {
        collect(inner, texts);
    }
}

/// Loads what the configuration names. Rules that do not load are in the set's `errors`.
pub fn load(rules: &Rules, options: &LoadOptions) -> Arc<RuleSet> {
    let texts = if rules.builtin { builtin_texts() } else { Vec::new() };
    Arc::new(RuleSet::load_with(&texts, &rules.paths, options))
}
