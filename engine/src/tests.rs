//! The whole engine against the corpus: the conformance cases of both kinds, the regression events of
//! SigmaHQ, and fast against naive over real rules. Skipped where the corpus is not there.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use hashbrown::HashSet;
use nhatle_event::field::TABLE;
use nhatle_event::{Event, Field, Seq, Timestamp, Value, json};
use nhatle_rules::{LoadOptions, Routing, RuleSet};

use crate::correlate::{Arrived, Correlator, Limits};
use crate::detect::{Detector, Match, naive};

/// The corpus folder, if there is one.
fn corpus() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("NHATLE_CORPUS").map_or_else(beside, PathBuf::from).join("sigma");
    let is_there = folder.is_dir();
    if !is_there {
        println!("skipped: no corpus");
    }
    is_there.then_some(folder)
}

fn rows(text: &str) -> Vec<serde_json::Value> {
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect("is JSON")).collect()
}

fn read_gzip(path: PathBuf) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("the file is there");
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).expect("is text");
    text
}

/// An event with its keys as they are, at the second its `timestamp` says.
fn plain_event(value: &serde_json::Value) -> Event {
    let at = value.get("timestamp").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, reason = "test data are whole seconds")]
    let mut event = Event::new(Timestamp::from_seconds(at as i64), *b"raw");
    let leaves = json::flatten(value.to_string().as_bytes()).expect("is an object");
    leaves.into_iter().for_each(|(name, value)| event.set_named(&name, value));
    event
}

/// An event with flat Windows names, put where the collector puts them.
fn windows_event(value: &serde_json::Value) -> Event {
    let mut event = Event::new(Timestamp(0), *b"raw");
    event.set(Field::EVENT_MODULE, "windows");
    for (name, value) in json::flatten(value.to_string().as_bytes()).expect("is an object") {
        let alias = format!("windows:{name}");
        match TABLE.iter().find(|known| known.sigma.contains(&alias.as_str())) {
            Some(known) => {
                let text = value.as_text().map(|text| Value::from(&*text));
                event.set_named(known.name, text.unwrap_or(value));
            }
            None => event.set_named(&format!("winlog.event_data.{name}"), value),
        }
    }
    event
}

fn load_text(text: &str) -> RuleSet {
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    RuleSet::from_texts(&[(PathBuf::from("case.yml"), text.to_owned())], &options)
}

#[test]
fn every_conformance_case_of_detection_holds() {
    let Some(folder) = corpus() else { return };
    let cases = rows(&std::fs::read_to_string(folder.join("conformance/detection.jsonl")).expect("is there"));
    let mut wrong = Vec::new();
    for case in &cases {
        let rules = load_text(case["rule"].as_str().expect("a rule"));
        let holds = match case["cases"].as_array() {
            Some(events) if case["error"].is_null() => {
                let made: Vec<Event> = events.iter().map(|one| plain_event(&one["event"])).collect();
                let found = Detector::new(Arc::new(rules.clone())).detect_events(&made);
                assert_eq!(found, naive::detect(&rules, &made), "{}", case["id"]);
                let hit: HashSet<usize> = found.iter().map(|one| one.position).collect();
                let as_said =
                    |(place, one): (usize, &serde_json::Value)| Some(hit.contains(&place)) == one["match"].as_bool();
                rules.errors.is_empty() && events.iter().enumerate().all(as_said)
            }
            _ => !rules.errors.is_empty(),
        };
        if !holds {
            wrong.push(format!("{} {:?}", case["id"], rules.errors));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_conformance_case_of_correlation_holds() {
    let Some(folder) = corpus() else { return };
    let cases = rows(&std::fs::read_to_string(folder.join("conformance/correlation.jsonl")).expect("is there"));
    let mut wrong = Vec::new();
    for case in &cases {
        let rules = load_text(case["rules"].as_str().expect("rules"));
        let holds = match case["events"].as_array() {
            Some(events) if case["error"].is_null() => rules.errors.is_empty() && edges(rules, events) == wanted(case),
            _ => !rules.errors.is_empty(),
        };
        if !holds {
            wrong.push(case["id"].to_string());
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The first edge of each correlation: its title and the place of the event that completes it.
fn wanted(case: &serde_json::Value) -> Vec<(String, u64)> {
    let mut first: Vec<(String, u64)> = Vec::new();
    for edge in case["edges"].as_array().into_iter().flatten() {
        let (title, place) = (edge[0].as_str().unwrap_or_default(), edge[1].as_u64().unwrap_or_default());
        if first.iter().all(|(known, _)| known != title) {
            first.push((title.to_owned(), place));
        }
    }
    first.sort();
    first
}

fn edges(rules: RuleSet, events: &[serde_json::Value]) -> Vec<(String, u64)> {
    let rules = Arc::new(rules);
    let made: Vec<Event> = events.iter().map(plain_event).collect();
    let matches = Detector::new(rules.clone()).detect_events(&made);
    let arrived: Vec<Arrived<'_>> =
        (0u64..).zip(&made).map(|(place, event)| Arrived { seq: Seq(place), event }).collect();
    let mut first: Vec<(String, u64)> = Vec::new();
    for fired in Correlator::new(rules.clone(), Limits::default()).push(&arrived, &matches) {
        let correlation = &rules.correlations[fired.correlation.0 as usize];
        let title = &correlation.meta.title;
        // One that only feeds another says nothing itself.
        if correlation.is_alerting && first.iter().all(|(known, _)| known != title) {
            first.push((title.clone(), fired.events.last().map_or(0, |seq| seq.0)));
        }
    }
    first.sort();
    first
}

#[test]
fn the_regression_events_match_the_rules_they_were_recorded_for() {
    let Some(folder) = corpus() else { return };
    let rules = Arc::new(RuleSet::load(&[folder.join("rules")], &LoadOptions::default()));
    let events = rows(&read_gzip(folder.join("expected/regression_events.jsonl.gz")));
    let key = |row: &serde_json::Value| format!("{} {}", row["file"], row["record"]);
    let mut expected: HashSet<(String, String)> = HashSet::new();
    for row in rows(&std::fs::read_to_string(folder.join("expected/regression_matches.jsonl")).expect("is there")) {
        for rule in row["rules"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
            expected.insert((key(&row), rule.to_owned()));
        }
    }
    let made: Vec<Event> = events.iter().map(|row| windows_event(&row["event"])).collect();
    let found = Detector::new(rules.clone()).detect_events(&made);
    let name = |one: &Match| (key(&events[one.position]), rules.rules[one.rule.0 as usize].meta.id.clone());
    let found: HashSet<(String, String)> = found.iter().map(name).collect();
    let mut missing: Vec<_> = expected.difference(&found).collect();
    let mut extra: Vec<_> = found.difference(&expected).collect();
    missing.sort();
    extra.sort();
    println!("{} of {} found, {} extra", expected.len() - missing.len(), expected.len(), extra.len());
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}\nextra {extra:#?}");
}

#[test]
fn over_real_rules_the_detector_finds_what_its_naive_twin_finds() {
    let Some(folder) = corpus() else { return };
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    let rules = Arc::new(RuleSet::load(&[folder.join("rules")], &options));
    let events = rows(&read_gzip(folder.join("expected/regression_events.jsonl.gz")));
    // Every rule on every event is slow unoptimized; a spread of them will do.
    let made: Vec<Event> = events.iter().step_by(12).map(|row| windows_event(&row["event"])).collect();
    let detector = Detector::new(rules.clone());
    let expected = naive::detect(&rules, &made);
    assert!(expected.len() > made.len());
    assert_eq!(detector.detect_events(&made), expected);
    assert_eq!(detector.detect_events(&made), expected);
}
