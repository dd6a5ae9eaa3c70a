//! Rules about the tree that the compiler cannot check: direction, headers, sizes, forgotten tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Which crates of the workspace each crate may name in its manifest: the architecture, as data.
const ALLOWED: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("collector", &["event"]),
    ("rules", &["event"]),
    ("engine", &["event", "rules"]),
    ("storage", &["event"]),
    ("ui", &["event", "rules", "engine"]),
];

/// Crates from outside that only these crates may name.
const KEPT: &[(&str, &[&str])] = &[
    ("arrow", &["storage"]),
    ("datafusion", &["storage"]),
    ("parquet", &["storage"]),
    ("tantivy", &["storage"]),
    ("sqlx", &["storage"]),
    // Backups only: the root package.
    ("object_store", &[]),
    ("askama", &["ui"]),
    ("tokio", &["collector", "ui", "storage"]),
];

const LINES_MAX: usize = 600;

/// Tables that are one thing, however long.
const LONG: &[&str] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(krate: &str) -> String {
    fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap()
}

#[test]
fn crates_depend_only_downwards() {
    for (krate, allowed) in ALLOWED {
        let manifest = manifest(krate);
        for (other, _) in ALLOWED {
            let named = manifest.lines().any(|line| line.starts_with(&format!("nhatle-{other}")));
            assert!(!named || allowed.contains(other), "{krate} must not depend on {other}");
        }
    }
}

#[test]
fn what_one_crate_keeps_no_other_names() {
    for (dependency, keepers) in KEPT {
        for (krate, _) in ALLOWED.iter().filter(|(krate, _)| !keepers.contains(krate)) {
            let manifest = manifest(krate);
            let named = manifest.lines().any(|line| line.starts_with(dependency));
            assert!(!named, "{krate} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_log_and_the_engine_are_not_async() {
    let keeps_plain = |path: &str| {
        ["event/", "rules/", "engine/"].iter().any(|folder| path.starts_with(folder))
            || (path.starts_with("storage/src/")
                && !["storage/src/register", "storage/src/sql/"].iter().any(|own| path.starts_with(own)))
    };
    let bad: Vec<_> = rust_files()
        .into_iter()
        .filter(|(path, text)| keeps_plain(path) && (text.contains("async fn") || text.contains(".await")))
        .map(|(path, _)| path)
        .collect();
    assert!(bad.is_empty(), "async ends at a channel: {bad:?}");
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let mut bad = Vec::new();
    for (path, text) in rust_files() {
        if !text.starts_with("//! ") {
            bad.push(format!("{path}: first line must be a `//!` sentence"));
        }
        if LINES_MAX < text.lines().count() && !LONG.contains(&path.as_str()) {
            bad.push(format!("{path}: more than {LINES_MAX} lines"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn no_test_module_is_forgotten() {
    let main = fs::read_to_string(root().join("tests/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else {
            continue;
        };
        assert!(main.contains(&format!("mod {module};")), "tests/{name} is not in tests/main.rs");
    }
}

#[test]
fn every_license_is_one_we_can_ship() {
    // What we ship is built for this platform; packages of others are not even downloaded.
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let known = [
        "MIT",
        "Apache-2.0",
        "BSD",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "Unlicense",
        "0BSD",
        "CC0-1.0",
        "MPL-2.0",
        "BSL-1.0",
    ];
    let mut bad = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let license = package["license"].as_str().unwrap_or_default();
        if !known.iter().any(|known| license.contains(known)) {
            bad.push(format!("{}: {license}", package["name"]));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn one_version_of_arrow_and_parquet() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in ["arrow-array", "parquet", "tantivy"] {
        let count = lock.matches(&format!("name = \"{name}\"\n")).count();
        assert_eq!(count, 1, "{name} stands {count} times in Cargo.lock");
    }
}

/// Each reading of Sigma that we document names a test, and the test is there.
#[test]
fn every_reading_of_sigma_has_its_test() {
    let files = rust_files();
    let document = fs::read_to_string(root().join("docs/sigma.md")).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| choice"));
    let mut count = 0;
    for row in rows.filter(|row| !row.starts_with("| ---")) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = tests.split('`').filter(|name| name.contains('_')).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            let is_there = files.values().any(|text| text.contains(&format!("fn {name}(")));
            assert!(is_there, "there is no test `{name}`: {row}");
            count += 1;
        }
    }
    assert!(50 < count, "{count}");
}

fn rust_files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<_> = ["src", "tests", "benches", "fuzz"].iter().map(|name| root().join(name)).collect();
    folders.extend(ALLOWED.iter().map(|(krate, _)| root().join(krate)));
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(root()).unwrap().display().to_string(), text);
            }
        }
    }
    files
}
