//! What is measured with: records of our own generator, repeated with moved times, and the rules.

use std::path::PathBuf;
use std::sync::Arc;

use nhatle::demo;
use nhatle_collector::{Settings, to_event};
use nhatle_event::{Event, Record, Text, Timestamp};
use nhatle_rules::{LoadOptions, RuleSet};

/// A day of records.
pub fn day() -> Vec<Record> {
    let start = Timestamp::parse("2026-11-23T00:00:00+07:00", 0).unwrap();
    let record = |one: demo::DemoRecord| {
        let mut record = Record::new(one.bytes, "bench", one.at);
        record.profile = one.profile.map(Text::from);
        record.unit = Some(Text::from(one.unit));
        record
    };
    demo::generate(7, start).into_iter().map(record).collect()
}

/// A day's events.
pub fn events() -> Vec<Event> {
    day().iter().filter_map(|record| to_event(record, &Settings::default()).ok()).collect()
}

/// `count` events: the day's, again and again, each time a day later.
pub fn many(count: usize) -> impl Iterator<Item = Event> {
    let day = events();
    (0..count).map(move |number| {
        let mut event = day[number % day.len()].clone();
        let days = i64::try_from(number / day.len()).unwrap();
        event.timestamp = event.timestamp.plus_nanos(days * 86_400_000_000_000);
        event
    })
}

/// The corpus, where it is.
pub fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("NHATLE_CORPUS").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data")));
    folder.filter(|folder| folder.is_dir())
}

/// Rule sets by name: ours, and the large tree where the corpus is.
pub fn rule_sets() -> Vec<(String, Arc<RuleSet>)> {
    let options = LoadOptions::default();
    let mut sets = vec![("builtin".to_owned(), RuleSet::from_texts(&nhatle::ruleset::builtin_texts(), &options))];
    if let Some(folder) = corpus() {
        sets.push(("sigmahq".to_owned(), RuleSet::load(&[folder.join("sigma/rules")], &options)));
    }
    let named = |(name, set): (String, RuleSet)| (format!("{name} ({} rules)", set.rules.len()), Arc::new(set));
    sets.into_iter().map(named).collect()
}
