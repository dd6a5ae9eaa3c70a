//! Rules over sealed segments: events accounted for a second, reading what may match and reading everything.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use nhatle::hunt::{Detail, Hunter, Pace, Range, Reading};
use nhatle_event::SystemClock;
use nhatle_rules::RuleSet;
use nhatle_storage::{Config, Dataset, OsDisk, Snapshot, Store};

use crate::{event_count, input, report};

pub fn run() {
    let count = event_count();
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OsDisk::new(folder.path()).unwrap());
    let config = Config { backlog_bytes_max: 4 << 30, ..Config::default() };
    let store = Store::open(disk, config, Arc::new(SystemClock)).unwrap();
    let mut batch = Vec::new();
    for event in input::many(count) {
        batch.push((Dataset::Events, event));
        if batch.len() == 16_384 {
            store.append(std::mem::take(&mut batch), &[]).unwrap();
            store.seal_if_due().unwrap();
        }
    }
    store.append(batch, &[]).unwrap();
    store.seal().unwrap();
    let snapshot = store.snapshot();
    for (name, rules) in input::rule_sets() {
        both(&name, &rules, &snapshot);
    }
    let (_, builtin) = &input::rule_sets()[0];
    let one = builtin.rules.iter().find(|rule| rule.meta.title.contains("sudo")).or(builtin.rules.first()).unwrap();
    both(&format!("one rule: {}", one.meta.title), &Arc::new(builtin.only(&[&one.meta.id])), &snapshot);
}

fn both(name: &str, rules: &Arc<RuleSet>, snapshot: &Snapshot) {
    for (reading, how) in [(Reading::Candidates, "candidates"), (Reading::Everything, "full scan")] {
        let hunter = Hunter::new(rules.clone(), reading);
        let (mut matches, mut read, mut segments) = (0usize, 0, (0, 0));
        let mut once = || {
            matches = 0;
            let began = Instant::now();
            let ended = hunter
                .run(snapshot, Range::ALL, Detail::Projected, Pace::AllCores, |looked| {
                    matches += looked.matches.len();
                    ControlFlow::Continue(())
                })
                .unwrap();
            read = ended.progress.read;
            segments = (ended.progress.segments, ended.progress.segments_skipped);
            ended.progress.events as f64 / began.elapsed().as_secs_f64()
        };
        let figures = (0..3).map(|_| once()).collect();
        let name = format!("{name}, {how} ({matches} matches, {read} read, {} of {} skipped)", segments.1, segments.0);
        report("replay", &name, "events/s", figures);
    }
}
