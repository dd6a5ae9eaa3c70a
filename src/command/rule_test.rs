//! `nhatle rule test`: the samples beside rules through the real collector, detector and correlator.
//!
//! In: rule files or folders; our own pack if none is named. Out: a line a sample, passed or failed and why. All rules
//! named run together, so that a correlation finds the rules it counts; a sample is about the rules of its own file.
//! Times do not depend on the day it is run: records arrive at [`RECEIVED`], those without a zone are of the demo city.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nhatle_collector::{Settings, to_event};
use nhatle_engine::correlate::{Arrived, Correlator, Limits};
use nhatle_engine::detect::Detector;
use nhatle_event::{Event, Record, Seq, Text, Timestamp};
use nhatle_rules::{Meta, RuleSet};
use serde_json::json;

use super::{End, UsageError, output, rule};
use crate::demo;
use crate::samples::{self, Sample};

/// When the records of samples arrive; those without a year are of the year before it.
const RECEIVED: &str = "2026-12-31T23:59:59Z";

/// The rules and correlations of one file.
#[derive(Default)]
struct Subject {
    /// Ids of those that raise alerts.
    alerting: Vec<String>,
    /// Ids of those that only feed correlations.
    feeding: Vec<String>,
}

impl Subject {
    /// What a sample of the file is about: what raises alerts; where nothing does, what feeds.
    fn ids(&self) -> &[String] {
        if self.alerting.is_empty() { &self.feeding } else { &self.alerting }
    }
}

/// Runs the command.
///
/// # Errors
/// No rule loads, a file of samples cannot be read, or standard output is closed.
pub fn run(paths: &[PathBuf], is_json: bool) -> anyhow::Result<End> {
    let rules = rule::load(paths);
    rules.errors.iter().for_each(|error| output::say(&error.to_string()));
    let subjects = subjects(&rules);
    if subjects.is_empty() {
        return Err(UsageError("there is no rule that loads".to_owned()).into());
    }
    let bench = Bench::new(&rules);
    let (mut passed, mut failed, mut without) = (0, 0, Vec::new());
    for (file, subject) in &subjects {
        let samples = samples::beside(file).map_err(|error| UsageError(error.to_string()))?;
        if samples.is_empty() {
            without.push(file.display().to_string());
        }
        for sample in &samples {
            let fault = bench.fault(subject, sample);
            *(if fault.is_none() { &mut passed } else { &mut failed }) += 1;
            print(file, subject, sample, fault.as_deref(), is_json)?;
        }
    }
    without.iter().for_each(|file| output::say(&format!("{file}: no samples beside it")));
    output::say(&format!(
        "{} files of rules: {} samples, {passed} passed, {failed} failed; {} files without samples",
        subjects.len(),
        passed + failed,
        without.len()
    ));
    Ok(if failed == 0 && rules.errors.is_empty() { End::Done } else { End::Findings })
}

fn subjects(rules: &RuleSet) -> BTreeMap<PathBuf, Subject> {
    let mut subjects: BTreeMap<PathBuf, Subject> = BTreeMap::new();
    let mut add = |meta: &Meta, is_alerting: bool| {
        let subject = subjects.entry(meta.file.clone()).or_default();
        let ids = if is_alerting { &mut subject.alerting } else { &mut subject.feeding };
        ids.push(meta.id.clone());
    };
    rules.rules.iter().for_each(|rule| add(&rule.meta, rule.is_alerting));
    rules.correlations.iter().for_each(|one| add(&one.meta, one.is_alerting));
    subjects
}

fn print(file: &Path, subject: &Subject, sample: &Sample, fault: Option<&str>, is_json: bool) -> std::io::Result<()> {
    let expect = if sample.is_positive { "match" } else { "silent" };
    let samples = file.with_extension("samples.jsonl");
    if is_json {
        let line = json!({
            "file": samples, "line": sample.line, "rules": subject.ids(), "expect": expect,
            "passed": fault.is_none(), "reason": fault, "why": sample.why,
        });
        return output::line(&line.to_string());
    }
    let place = format!("{}:{}", samples.display(), sample.line);
    match fault {
        None => output::line(&format!("pass {place}: {expect}: {}", sample.why)),
        Some(fault) => output::line(&format!("FAIL {place}: {fault}: {}", sample.why)),
    }
}

/// The engine that all samples go through, one after the other.
struct Bench {
    rules: Arc<RuleSet>,
    detector: Detector,
    settings: Settings,
    received: Timestamp,
}

impl Bench {
    fn new(rules: &Arc<RuleSet>) -> Bench {
        Bench {
            rules: rules.clone(),
            detector: Detector::new(rules.clone()),
            settings: Settings { default_offset_s: demo::ZONE_S, ..Settings::default() },
            received: Timestamp::parse(RECEIVED, 0).unwrap_or_default(),
        }
    }

    /// What is wrong with a sample, if anything is.
    fn fault(&self, subject: &Subject, sample: &Sample) -> Option<String> {
        let events = match self.events(sample) {
            Ok(events) => events,
            Err(reason) => return Some(reason),
        };
        let found = self.found(&events);
        let hit = subject.ids().iter().find(|id| found.contains(id));
        match (sample.is_positive, hit) {
            (true, Some(_)) | (false, None) => None,
            (true, None) => Some("expected a match, and nothing matched".to_owned()),
            (false, Some(id)) => Some(format!("expected silence, and {id} matched")),
        }
    }

    fn events(&self, sample: &Sample) -> Result<Vec<Event>, String> {
        let event = |(number, line): (usize, &String)| {
            let mut record = Record::new(line.as_bytes(), "samples", self.received);
            record.profile = sample.profile.as_deref().map(Text::from);
            let dead = |reason, offset| format!("record {number} cannot be parsed: {reason} at byte {offset}");
            to_event(&record, &self.settings).map_err(|letter| dead(letter.reason, letter.offset))
        };
        (1..).zip(&sample.lines).map(event).collect()
    }

    /// The ids of the rules that match and of the correlations that fire.
    fn found(&self, events: &[Event]) -> Vec<&String> {
        let matches = self.detector.detect_events(events);
        let arrived: Vec<Arrived<'_>> =
            (1..).zip(events).map(|(seq, event)| Arrived { seq: Seq(seq), event }).collect();
        let fired = Correlator::new(self.rules.clone(), Limits::default()).push(&arrived, &matches);
        let matched = matches.iter().filter_map(|one| self.rules.rules.get(one.rule.0 as usize));
        let counted = fired.iter().filter_map(|one| self.rules.correlations.get(one.correlation.0 as usize));
        matched.map(|rule| &rule.meta.id).chain(counted.map(|one| &one.meta.id)).collect()
    }
}
