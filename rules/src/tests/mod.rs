//! Rules as text against what they compile to, and against the public corpus where it is there.

mod collections;
mod errors;
mod hostile;
mod sets;
mod switches;
mod values;

use std::path::{Path, PathBuf};

use crate::predicate::{Gate, Predicate, Test};
use crate::{LoadOptions, RuleSet};

/// A rule with this detection (YAML, two spaces in).
fn rule(detection: &str) -> String {
    format!(
        "title: t\nid: 00000000-0000-4000-8000-000000000001\nlogsource:\n  category: test\ndetection:\n{detection}\n"
    )
}

fn load(text: &str) -> RuleSet {
    RuleSet::from_texts(&[(PathBuf::from("t.yml"), text.to_owned())], &LoadOptions::default())
}

fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("NHATLE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    if path.join("sigma").is_dir() {
        return Some(path.join("sigma"));
    }
    println!("skipped: no corpus");
    None
}

#[test]
fn a_simple_rule_loads() {
    let set = load(&rule("  sel:\n    A: x\n  condition: sel"));
    assert_eq!(set.errors, []);
    assert_eq!(set.rules.len(), 1);
    assert_eq!(set.rules[0].gate, Gate::Any);
    assert!(matches!(set.rules[0].predicate, Predicate::Atom(_)));
    assert!(matches!(&set.atoms[0].test, Test::Text(_)));
}

#[test]
fn conformance_errors_are_refused_and_all_else_loads() {
    let Some(corpus) = corpus() else { return };
    for (file, key) in [("detection.jsonl", "rule"), ("correlation.jsonl", "rules")] {
        let text = std::fs::read_to_string(corpus.join("conformance").join(file)).unwrap();
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let set = load(case[key].as_str().unwrap());
            let is_refused = !set.errors.is_empty();
            assert_eq!(is_refused, case["error"] == true, "{}: {:?}", case["id"], set.errors);
        }
    }
}

#[test]
fn every_live_public_rule_loads_but_those_with_placeholders() {
    let Some(corpus) = corpus() else { return };
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-placeholder", "rules-compliance"];
    let paths: Vec<PathBuf> = folders.iter().map(|folder| corpus.join("rules").join(folder)).collect();
    let start = std::time::Instant::now();
    let set = RuleSet::load(&paths, &LoadOptions::default());
    println!(
        "{} rules, {} atoms, {} fields in {:?}",
        set.rules.len(),
        set.atoms.len(),
        set.fields.len(),
        start.elapsed()
    );
    for error in &set.errors {
        println!("{error}");
    }
    let mut lints = std::collections::BTreeMap::<_, usize>::new();
    set.warnings.iter().for_each(|warning| *lints.entry(warning.lint).or_default() += 1);
    println!("{lints:?}");
    let is_unknown = |warning: &&crate::RuleError| warning.lint == Some("field-unknown");
    set.warnings.iter().filter(is_unknown).for_each(|warning| println!("{warning}"));
    assert!(set.errors.iter().all(|error| error.reason.contains("placeholder")));
    assert_eq!((set.rules.len(), set.errors.len()), (3_755, 25));
}

/// The files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_document_of_the_whole_public_tree_is_loaded_refused_or_retired() {
    let Some(corpus) = corpus() else { return };
    let set = RuleSet::load(&[corpus.join("rules")], &LoadOptions::default());
    // Counted another way: parts between `---` lines that have a key and do not only lend to others.
    let mut count = 0;
    for file in files(&corpus.join("rules")).iter().filter(|file| file.extension().is_some_and(|end| end == "yml")) {
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let documents = lines.split(|line| *line == "---");
        let is_document = |lines: &&[&str]| {
            lines.iter().any(|line| line.trim_start().starts_with(|c: char| c.is_ascii_alphabetic()))
                && !lines.iter().any(|line| matches!(*line, "action: global" | "action: reset"))
        };
        count += documents.filter(is_document).count();
    }
    println!(
        "{count} documents: {} loaded, {} refused, {} retired",
        set.loaded_count(),
        set.errors.len(),
        set.retired.len()
    );
    assert_eq!(set.document_count, count);
    assert_eq!(set.loaded_count() + set.errors.len() + set.retired.len(), count);
    assert!(set.errors.iter().all(|error| !error.reason.is_empty() && 0 < error.line));
}

#[test]
fn every_shipped_rule_loads_without_error() {
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("sigma");
    let set = RuleSet::load(&[pack], &LoadOptions::default());
    for warning in &set.warnings {
        println!("{warning}");
    }
    assert_eq!(set.errors, []);
    assert!(set.rules.iter().all(|rule| rule.gate != Gate::Never));
}

#[test]
fn a_rule_its_authors_gave_up_is_read_and_does_not_run() {
    let text = "title: t\nid: 5f3c1c1e-9a44-4b5e-8a3b-0f6f6a6d1a11\nstatus: deprecated\nlogsource:\n  category: test\n\
                detection:\n  sel:\n    A: x\n  condition: sel\n";
    for (status, running, retired) in [("deprecated", 0, 1), ("Unsupported", 0, 1), ("stable", 1, 0)] {
        let text = text.replace("deprecated", status);
        let set = RuleSet::from_texts(&[("t.yml".into(), text)], &LoadOptions::default());
        assert_eq!((set.rules.len(), set.retired.len(), set.errors.len()), (running, retired, 0), "{status}");
    }
}
