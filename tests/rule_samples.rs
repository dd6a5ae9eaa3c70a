//! The rule pack against its samples, and against the demo day.
//!
//! Every rule of `rules/sigma` has `<rule>.samples.jsonl` beside it; each line of that file is raw records with
//! what the rule must do. They go through the real collector, detector and correlator. The demo day must make
//! each story one incident with the alerts it names, and nothing else may raise an alert at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nhatle::demo;
use nhatle_collector::{Settings, to_event};
use nhatle_engine::alert::{Alert, Finding, NamedBy, Suppressor};
use nhatle_engine::correlate::{Arrived, Correlator, Limits};
use nhatle_engine::detect::Detector;
use nhatle_engine::incident::grouping::{Grouping, Opened};
use nhatle_engine::incident::{Incident, apply};
use nhatle_event::{Event, Record, Seq, Stored, Text, Timestamp};
use nhatle_rules::{LoadOptions, Meta, RuleSet};

/// What a sample says must happen.
#[derive(serde::Deserialize)]
struct Sample {
    expect: String,
    profile: Option<String>,
    lines: Vec<String>,
    why: String,
}

fn pack_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/sigma")
}

fn pack() -> Arc<RuleSet> {
    Arc::new(RuleSet::load(&[pack_path()], &LoadOptions::default()))
}

fn settings() -> Settings {
    Settings { default_offset_s: demo::ZONE_S, ..Settings::default() }
}

fn day() -> Timestamp {
    Timestamp::parse("2026-11-23T00:00:00+07:00", 0).expect("a date")
}

/// The rules and correlations of the pack that raise alerts.
fn alerting(rules: &RuleSet) -> Vec<&Arc<Meta>> {
    let rows = rules.rules.iter().filter(|rule| rule.is_alerting).map(|rule| &rule.meta);
    rows.chain(rules.correlations.iter().filter(|one| one.is_alerting).map(|one| &one.meta)).collect()
}

/// The alerts of these events, in the order of the events that completed them, before suppression.
fn alerts(detector: &Detector, events: Vec<Event>) -> Vec<Alert> {
    let rules = detector.rules();
    let stored: Vec<Stored> =
        (1..).zip(events).map(|(seq, event)| Stored { seq: Seq(seq), committed: event.received, event }).collect();
    let matches = detector.detect(&stored);
    let arrived: Vec<Arrived<'_>> = stored.iter().map(|one| Arrived { seq: one.seq, event: &one.event }).collect();
    let fired = Correlator::new(rules.clone(), Limits::default()).push(&arrived, &matches);
    let event_of = |seq: &Seq| &stored[usize::try_from(seq.0 - 1).expect("small")];
    let mut alerts = Vec::new();
    for one in &matches {
        let (rule, event) = (&rules.rules[one.rule.0 as usize], &stored[one.position]);
        if rule.is_alerting {
            let at = event.event.timestamp;
            let (events, seqs) = ([event], [event.seq]);
            let (group, evidence) = (Vec::new(), Vec::new());
            let finding = Finding {
                meta: &rule.meta,
                events: &events,
                units: None,
                seqs: &seqs,
                span: (at, at),
                count: 1,
                group,
                evidence,
                named_by: NamedBy::Events,
                is_late: false,
            };
            alerts.extend(Alert::new(finding).map(|alert| (one.position, alert)));
        }
    }
    for one in &fired {
        let correlation = &rules.correlations[one.correlation.0 as usize];
        if correlation.is_alerting {
            let events: Vec<&Stored> = one.events.iter().map(event_of).collect();
            let finding = Finding {
                meta: &correlation.meta,
                events: &events,
                units: None,
                seqs: &one.events,
                span: (one.start, one.end),
                count: one.count,
                group: one.group.clone(),
                evidence: Vec::new(),
                named_by: NamedBy::Window,
                is_late: false,
            };
            alerts.extend(Alert::new(finding).map(|alert| (one.position, alert)));
        }
    }
    alerts.sort_by_key(|(position, _)| *position);
    alerts.into_iter().map(|(_, alert)| alert).collect()
}

fn samples_of(meta: &Meta) -> Vec<Sample> {
    let path = meta.file.with_extension("samples.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .collect()
}

fn event_of(line: &str, profile: Option<&str>) -> Event {
    let received = day().plus_nanos(86_399_000_000_000);
    let mut record = Record::new(line.as_bytes(), "samples", received);
    record.profile = profile.map(Text::from);
    let event = to_event(&record, &settings()).unwrap_or_else(|dead| panic!("{}: {line}", dead.reason));
    assert_eq!(event.text(nhatle_event::Field::NHATLE_PROFILE_READ), None, "never another than named: {line}");
    event
}

/// What went wrong with one sample, if anything did.
fn fault(detector: &Detector, meta: &Meta, sample: &Sample) -> Option<String> {
    let events = sample.lines.iter().map(|line| event_of(line, sample.profile.as_deref())).collect();
    let found: Vec<Alert> = alerts(detector, events).into_iter().filter(|alert| alert.rule_id == meta.id).collect();
    let told = |what: &str| Some(format!("{}: {what}: {}", meta.file.display(), sample.why));
    match (sample.expect.as_str(), found.last()) {
        ("silent", None) => None,
        ("match", Some(alert)) => {
            let sentences = [&alert.explanation_vi, &alert.explanation_en];
            let is_whole = sentences.iter().all(|text| text.as_deref().is_some_and(|text| !text.contains('–')));
            if is_whole { None } else { told(&format!("a placeholder stays empty: {sentences:?}")) }
        }
        ("silent", Some(_)) => told("matches and should not"),
        ("match", None) => told("does not match and should"),
        _ => told("neither match nor silent"),
    }
}

#[test]
fn every_rule_of_the_pack_loads_without_a_word() {
    let rules = pack();
    assert!(rules.errors.is_empty(), "{:#?}", rules.errors);
    assert!(rules.warnings.is_empty(), "{:#?}", rules.warnings);
    assert!(alerting(&rules).len() >= 45, "{}", alerting(&rules).len());
}

#[test]
fn every_rule_says_what_a_reader_needs() {
    let rules = pack();
    for meta in alerting(&rules) {
        let at = meta.file.display();
        assert!(meta.title_vi.is_some() && meta.explanation_vi.is_some() && meta.explanation_en.is_some(), "{at}");
        assert!(meta.questions_vi.len() >= 3 && meta.questions_en.len() >= 3, "{at}: first questions");
        assert!(meta.tags.iter().any(|tag| tag.starts_with("attack.t")), "{at}");
        assert!(3 <= meta.questions_vi.len() && meta.questions_vi.len() == meta.questions_en.len(), "{at}");
        assert!(!meta.false_positives.is_empty() && meta.suppress_s.is_some() && !meta.entity.is_empty(), "{at}");
        assert_eq!((meta.author.as_deref(), meta.license.as_deref()), (Some("nhatle"), Some("Apache-2.0")), "{at}");
    }
}

#[test]
fn every_rule_does_with_its_samples_what_they_say() {
    let rules = pack();
    // Made once: what a detector finds does not depend on what it saw before.
    let detector = Detector::new(rules.clone());
    let mut faults = Vec::new();
    for meta in alerting(&rules) {
        let samples = samples_of(meta);
        let count = |expect| samples.iter().filter(|sample| sample.expect == expect).count();
        if count("match") < 1 || count("silent") < 2 {
            faults.push(format!("{}: too few samples", meta.file.display()));
        }
        faults.extend(samples.iter().filter_map(|sample| fault(&detector, meta, sample)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The alerts that a day of records raises, repeats left out.
fn shown(rules: &Arc<RuleSet>, records: Vec<demo::DemoRecord>) -> Vec<Alert> {
    let event = |one: demo::DemoRecord| {
        let mut record = Record::new(one.bytes, "demo", one.at);
        record.profile = one.profile.map(Text::from);
        record.unit = Some(Text::from(one.unit));
        to_event(&record, &settings())
            .unwrap_or_else(|dead| panic!("{}: {}", dead.reason, String::from_utf8_lossy(&dead.record.bytes)))
    };
    let events: Vec<Event> = records.into_iter().map(event).collect();
    let mut suppressor = Suppressor::new();
    alerts(&Detector::new(rules.clone()), events).into_iter().filter(|alert| suppressor.admit(alert)).collect()
}

/// The incidents these alerts are grouped in.
fn incidents(alerts: &[Alert]) -> BTreeMap<u64, Incident> {
    let (mut opened, mut incidents) = (Opened::default(), BTreeMap::new());
    for alert in alerts {
        let Some((number, change)) = opened.group(alert, &Grouping::default()) else { continue };
        let number = number.unwrap_or(u64::try_from(incidents.len()).expect("few") + 1);
        let incident = apply(incidents.get(&number), number, &change, "nhatle", alert.timestamp()).expect("applies");
        opened.note(&incident);
        incidents.insert(number, incident);
    }
    incidents
}

#[test]
fn stories_name_rules_of_the_pack() {
    let rules = pack();
    let titles: BTreeMap<&str, &str> =
        alerting(&rules).into_iter().map(|meta| (meta.id.as_str(), meta.title.as_str())).collect();
    for story in demo::stories() {
        for rule in &story.rules {
            assert_eq!(titles.get(rule.id.as_str()).copied(), Some(rule.title.as_str()), "{}", story.key);
        }
    }
}

#[test]
fn normal_life_raises_no_alert() {
    let rules = pack();
    let found = shown(&rules, demo::generate_life(7, day()));
    let told: BTreeSet<String> = found.iter().map(|alert| format!("{} {:?}", alert.title, alert.entities)).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn each_story_is_one_incident_and_its_twin_is_none() {
    let rules = pack();
    for seed in [7, 2026] {
        let found = shown(&rules, demo::generate(seed, day()));
        let incidents = incidents(&found);
        let rule_of: BTreeMap<&str, &str> =
            found.iter().map(|alert| (alert.id.as_str(), alert.rule_id.as_str())).collect();
        let mut sets: Vec<BTreeSet<&str>> = incidents
            .values()
            .map(|incident| incident.alerts.iter().map(|alert| rule_of[alert.id.as_str()]).collect())
            .collect();
        let stories = demo::stories();
        let mut wanted: Vec<BTreeSet<&str>> =
            stories.iter().map(|story| story.rules.iter().map(|rule| rule.id.as_str()).collect()).collect();
        sets.sort();
        wanted.sort();
        let told: Vec<String> = incidents
            .values()
            .map(|incident| {
                let titles: Vec<_> = incident.alerts.iter().map(|alert| (&alert.title, alert.at_ns)).collect();
                format!("{} {:?}: {titles:#?}", incident.title, incident.entities)
            })
            .collect();
        assert_eq!(sets, wanted, "seed {seed}:\n{}", told.join("\n"));
    }
}
