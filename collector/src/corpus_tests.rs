//! Real logs of others against the truth that comes with them; `skipped: no corpus` where there is none.

use std::path::{Path, PathBuf};

use nhatle_event::{Event, Field, Timestamp, Value};

use crate::Settings;
use crate::listen::file::{FileOptions, FileRecords, files_below};
use crate::parse::json::moment;

/// A file or folder of the corpus.
fn corpus(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NHATLE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = root.join(name);
    if !path.exists() {
        println!("skipped: no corpus");
        return None;
    }
    Some(path)
}

/// The events of a file, and how many dead letters it has.
fn read(path: &Path, profile: &str) -> (Vec<Event>, Vec<String>) {
    let settings = Settings::default();
    let now = Timestamp::parse("2026-06-01T00:00:00Z", 0).expect("a date");
    let options = FileOptions { profile: (!profile.is_empty()).then(|| profile.into()), ..FileOptions::new(now) };
    let (mut events, mut dead) = (Vec::new(), Vec::new());
    for record in FileRecords::open(path, &options, &settings).expect("opens") {
        match record.expect("reads") {
            (_, Ok(event)) => events.push(event),
            (index, Err(letter)) => dead.push(format!("{}:{index}: {}", path.display(), letter.reason)),
        }
    }
    (events, dead)
}

/// Whether two values tell the same: times as numbers or as text, fractions up to a microsecond.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(ones), Value::List(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| is_same(one, other))
        }
        _ if one == other => true,
        (Value::Double(one), Value::Double(other)) => (one - other).abs() <= 1e-6_f64.max(other.abs() * 1e-6),
        (Value::Long(_) | Value::Double(_), Value::Long(_) | Value::Double(_)) => one.as_number() == other.as_number(),
        _ => moment(one, 0).zip(moment(other, 0)).is_some_and(|(one, other)| one.since(other).abs() < 1_000),
    }
}

/// What differs between an event of a tab-separated log and the same of a JSON log.
fn difference(tsv: &Event, json: &Event) -> Option<String> {
    let is_told = |field: Field| {
        field.name() != "message"
            && !field.name().ends_with("._write_ts")
            && !field.name().starts_with("nhatle.")
            && !field.name().starts_with("log.file")
    };
    let told = |event: &Event| event.fields().iter().filter(|(field, _)| is_told(*field)).count();
    for (field, value) in tsv.fields().iter().filter(|(field, _)| is_told(*field)) {
        match json.get(*field) {
            Some(other) if is_same(value, other) => {}
            // The JSON writer gives intervals more digits.
            Some(Value::Long(other))
                if *field == Field::EVENT_DURATION
                    && value.as_long().is_some_and(|one| (one - other).abs() <= 1_000) => {}
            other => return Some(format!("{field}: {value:?} and {other:?}")),
        }
    }
    (told(tsv) != told(json)).then(|| format!("{} and {} fields", told(tsv), told(json)))
}

#[test]
fn zeeks_tab_separated_logs_are_its_json_logs() {
    let Some(folder) = corpus("zeek/zed-sample-data") else { return };
    let mut count = 0;
    for path in files_below(&[folder.join("zeek-default")]).expect("is listed") {
        let name = path.file_name().expect("has a name").to_string_lossy().replace(".log.", ".json.");
        let ((tsv, dead), (json, _)) = (read(&path, ""), read(&folder.join("zeek-json").join(&name), "zeek"));
        assert!(dead.is_empty() && !tsv.is_empty(), "{name}: {dead:?}");
        assert_eq!(tsv.len(), json.len(), "{name}");
        for (at, (tsv, json)) in tsv.iter().zip(&json).enumerate() {
            assert_eq!(difference(tsv, json), None, "{name}:{at}");
            let has_time = tsv.fields().iter().any(|(field, _)| field.name().ends_with(".ts"));
            assert!(!has_time || tsv.timestamp == json.timestamp, "{name}:{at}");
        }
        count += tsv.len();
    }
    println!("{count} events of Zeek are the same in both forms");
    assert!(count > 1_000, "{count}");
}

#[test]
fn zeeks_own_test_logs_are_read_whole() {
    let Some(folder) = corpus("zeek/btest-baseline") else { return };
    for path in files_below(&[folder])
        .expect("is listed")
        .iter()
        .filter(|path| path.extension().is_some_and(|name| name == "log"))
    {
        let (events, dead) = read(path, "zeek");
        assert!(dead.is_empty(), "{dead:?}");
        assert!(
            events.iter().all(|event| event.text(Field::EVENT_DATASET).is_some_and(|name| name.starts_with("zeek."))),
            "{}",
            path.display()
        );
    }
}
