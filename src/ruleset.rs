//! Which rules run: those that come with the program (`rules/sigma`, inside the binary), or paths.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use nhatle_rules::load::{FILES_MAX, FOLDER_DEPTH_MAX};
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
    let mut options = options.clone();
    options.placeholders.extend(rules.placeholders.clone());
    Arc::new(RuleSet::load_with(&texts, &rules.paths, &options))
}

/// What rule files look like from outside: to see that one changed without reading any.
#[derive(Debug, Default)]
pub struct FilesState {
    hash: u64,
    count: usize,
}

impl FilesState {
    /// Adds a file, or the rule files below a folder, at most [`FILES_MAX`] in all.
    pub fn add(&mut self, path: &Path) {
        self.add_below(path, FOLDER_DEPTH_MAX);
    }

    /// A number that is another one when a file was added, removed, renamed or changed.
    pub fn number(&self) -> u64 {
        self.hash
    }

    fn add_below(&mut self, path: &Path, depth: usize) {
        let Ok(kind) = std::fs::metadata(path) else { return };
        if self.count == FILES_MAX {
            return;
        }
        self.count += 1;
        if !kind.is_dir() {
            let mut hasher = foldhash::fast::FixedState::default().build_hasher();
            path.hash(&mut hasher);
            (kind.len(), kind.modified().ok()).hash(&mut hasher);
            // Folders list their files in any order.
            self.hash = self.hash.wrapping_add(hasher.finish());
            return;
        }
        let Ok(entries) = std::fs::read_dir(path) else { return };
        if depth == 0 {
            return;
        }
        for entry in entries.filter_map(Result::ok) {
            // A link to a folder is not followed when rules are loaded either.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if !(is_link && entry.path().is_dir()) {
                self.add_below(&entry.path(), depth - 1);
            }
        }
    }
}
