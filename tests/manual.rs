//! The manual says what the program does: example configuration, commands, translations, links.
//!
//! In: the files of this repository. Fails where one of them says what is not so (a default, a command, a
//! twin, a file that is not there).

use std::path::{Path, PathBuf};

use clap::Parser;
use nhatle::cli::Cli;
use nhatle::config::{Config, ConfigFile};
use nhatle::forward::config as forward;

const TRANSLATED: &[&str] = &["operate", "proof", "rules", "ward"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// README, ARCHITECTURE and so on, and everything under `docs`.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/adr", "docs/format"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_example_configuration_is_the_default() {
    let file: ConfigFile = toml::from_str(&read("nhatle.example.toml")).unwrap();
    assert_eq!(file, ConfigFile::default());
}

/// The forwarder's example holds every key with its default, and its tables are tables when uncommented.
#[test]
fn the_forwarders_example_is_its_default() {
    let text = read("nhatle.forward.example.toml");
    let file: forward::ConfigFile = toml::from_str(&text).unwrap();
    assert_eq!(file, forward::ConfigFile::default());
    let serde_json::Value::Object(options) = serde_json::to_value(&file).unwrap() else { panic!("it is no table") };
    for key in options.keys() {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "no {key}");
    }
    let tables: String = text
        .lines()
        .filter(|line| !line.starts_with("file = ") && !line.starts_with("evtx = "))
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with("[[") || rest.contains(" = \"") && !rest.contains(": ") => {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let mut file: forward::ConfigFile = toml::from_str(&tables).unwrap();
    (file.server, file.token) = ("http://127.0.0.1:1".to_owned(), "t".to_owned());
    let config = forward::check(file).unwrap();
    assert_eq!(config.followed.len(), 2);
}

#[test]
fn the_example_unit_is_one_when_uncommented() {
    let text: String = read("nhatle.example.toml")
        .lines()
        .skip_while(|line| !line.starts_with("# [[unit]]"))
        .map(|line| format!("{}\n", line.trim_start_matches("# ")))
        .collect();
    let file: ConfigFile = toml::from_str(&text).unwrap();
    assert_eq!(file.unit.len(), 1);
    Config::check(file).unwrap();
}

#[test]
fn the_example_source_is_one_when_uncommented() {
    let example = read("nhatle.example.toml");
    let from = |start: &'static str| {
        let lines =
            example.lines().skip_while(move |line| !line.starts_with(start)).take_while(|line| !line.is_empty());
        lines.map(|line| format!("{}\n", line.trim_start_matches("# "))).collect::<String>()
    };
    let file: ConfigFile = toml::from_str(&format!("{}{}", from("# [[source]]"), from("# [[unit]]"))).unwrap();
    assert_eq!(file.source.len(), 1);
    Config::check(file).unwrap();
}

#[test]
fn the_example_names_every_option() {
    let example = read("nhatle.example.toml");
    let serde_json::Value::Object(options) = serde_json::to_value(ConfigFile::default()).unwrap() else {
        panic!("the configuration is no table");
    };
    for (name, value) in options {
        match value {
            serde_json::Value::Object(section) => {
                let heading = format!("[{name}]\n");
                let (_, below) = example.split_once(&heading).unwrap_or_else(|| panic!("no [{name}]"));
                let below = below.split("\n[").next().unwrap();
                for key in section.keys() {
                    assert!(below.lines().any(|line| line.starts_with(&format!("{key} = "))), "no {name}.{key}");
                }
            }
            serde_json::Value::Array(_) => assert!(example.contains(&format!("[[{name}]]")), "no [[{name}]]"),
            _ => assert!(example.lines().any(|line| line.starts_with(&format!("{name} = "))), "no {name}"),
        }
    }
}

#[test]
fn every_command_of_the_documents_exists() {
    let mut count = 0;
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut is_shell = false;
        for line in text.lines() {
            if line.starts_with("```") {
                is_shell = line == "```sh";
                continue;
            }
            let line = line.split(" # ").next().unwrap().split(" | nhatle").last().unwrap().trim();
            let line = line.strip_prefix("sudo -u nhatle ").unwrap_or(line);
            let command = line.strip_prefix("cargo run --release --").or_else(|| line.strip_prefix("nhatle "));
            let Some(command) = command.filter(|_| is_shell) else { continue };
            // What stands between quotes is one word.
            let words = command.split('\'').enumerate().flat_map(|(at, part)| match at % 2 {
                0 => part.split_whitespace().collect(),
                _ => vec![part],
            });
            let parsed = Cli::try_parse_from(std::iter::once("nhatle").chain(words));
            if let Err(error) = parsed {
                panic!("{}: {line}: {error}", path.display());
            }
            count += 1;
        }
    }
    assert!(3 <= count, "only {count} commands were found");
}

#[test]
fn every_guide_has_a_vietnamese_twin() {
    for name in TRANSLATED {
        let sections = |text: String| text.lines().filter(|line| line.starts_with("## ")).count();
        let (english, vietnamese) = (format!("docs/{name}.md"), format!("docs/{name}.vi.md"));
        assert_eq!(sections(read(&english)), sections(read(&vietnamese)), "{name}: sections differ");
    }
}

#[test]
fn every_link_leads_to_a_file() {
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            // The screenshot is taken from a running demo.
            if target.is_empty() || target.contains("://") || target.ends_with(".png") {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{}: {target} is not there", path.display());
        }
    }
}
