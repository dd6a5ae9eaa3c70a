//! Real logs of others against the truth that comes with them; `skipped: no corpus` where there is none.

use std::path::{Path, PathBuf};

use nhatle_event::{Event, Field, Timestamp, Value};

use crate::Settings;
use crate::listen::file::{FileOptions, FileRecords, files_below};
use crate::parse::json::moment;

/// A file or folder of the corpus.
pub(crate) fn corpus(name: &str) -> Option<PathBuf> {
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
pub(crate) fn read(path: &Path, profile: &str) -> (Vec<Event>, Vec<String>) {
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

/// A line without its header is read as with it, or is a dead letter; never as another log's.
#[test]
fn zeeks_lines_without_their_header_are_read_alike_or_refused() {
    let Some(folder) = corpus("zeek/zed-sample-data/zeek-default") else { return };
    let settings = Settings::default();
    let (mut same, mut refused) = (0, std::collections::BTreeMap::<String, usize>::new());
    for path in files_below(&[folder]).expect("is listed") {
        for event in &read(&path, "zeek").0 {
            let mut record = nhatle_event::Record::new(&event.original[..], "corpus", Timestamp(0));
            record.profile = Some("zeek".into());
            match crate::to_event(&record, &settings) {
                Ok(headless) if headless.text(Field::EVENT_DATASET) == Some("zeek.log") => {
                    *refused.entry("one column".to_owned()).or_default() += 1;
                }
                Ok(headless) => {
                    assert_eq!(difference(event, &headless), None, "{}", path.display());
                    same += 1;
                }
                Err(dead) => {
                    let log = event.text(Field::EVENT_DATASET).unwrap_or_default();
                    *refused.entry(format!("{log}: {}", dead.reason)).or_default() += 1;
                }
            }
        }
    }
    println!("{same} lines of Zeek are read alike without their header; refused: {refused:#?}");
    let refused: usize = refused.values().sum();
    assert!(same >= 1_000 && refused * 2 <= same, "{same} and {refused}");
}

/// Tests of CrowdSec's parsers: folder, the profile its log is read with, the parser whose asserts are the truth.
const CROWDSEC: &[(&str, &str, &str)] = &[
    ("postfix-logs", "postfix", "postfix-logs"),
    ("dovecot-slow-bf", "dovecot", "dovecot-logs"),
    ("dovecot-slow-bf-user-enum", "dovecot", "dovecot-logs"),
    ("dovecot-time-based-bf-user-enum", "dovecot", "dovecot-logs"),
    ("bind9-syslog", "bind", "named-logs"),
    ("pgsql-logs", "postgresql", "pgsql-logs"),
    ("pgsql-user-enum", "postgresql", "pgsql-logs"),
    ("mysql-logs", "mysql", "mysql-logs"),
    ("mariadb-logs", "mysql", "mariadb-logs"),
];

/// The values that an assert file expects of a parser, in order: `results["s01-parse"]["…/NAME"][0].Evt.Meta["KEY"] == "VALUE"`.
fn asserted(text: &str, parser: &str, key: &str) -> Vec<String> {
    let (front, mark) =
        (format!("results[\"s01-parse\"][\"crowdsecurity/{parser}\"]"), format!(".Evt.Meta[\"{key}\"] == \""));
    text.lines()
        .filter(|line| line.starts_with(&front))
        .filter_map(|line| line.split_once(&mark)?.1.strip_suffix('"').map(str::to_owned))
        .collect()
}

#[test]
fn addresses_that_crowdsec_finds_are_found() {
    let Some(folder) = corpus("crowdsec-hub") else { return };
    let mut count = 0;
    for (name, profile, parser) in CROWDSEC {
        let folder = folder.join(name);
        let truth = std::fs::read_to_string(folder.join("parser.assert")).expect("is there");
        let wanted = asserted(&truth, parser, "source_ip");
        let logs = files_below(&[folder]).expect("is listed");
        let log = logs.iter().find(|path| path.extension().is_some_and(|name| name == "log")).expect("a log");
        let (events, dead) = read(log, profile);
        assert!(dead.is_empty(), "{dead:?}");
        let mut found = events.iter().filter_map(|event| event.get(Field::SOURCE_IP)?.as_text());
        for address in &wanted {
            assert!(found.any(|one| one == address.as_str()), "{name}: {address} of {wanted:?}");
        }
        count += wanted.len();
    }
    println!("{count} addresses of CrowdSec's tests are found in their order");
    assert!(count >= 20, "{count}");
}

#[test]
fn clients_that_fail2ban_bans_at_dovecot_are_found() {
    let Some(path) = corpus("fail2ban-logs/dovecot") else { return };
    let text = std::fs::read_to_string(path).expect("is read");
    let (mut wanted, mut right, mut total, mut wrong) = (None, 0, 0, Vec::new());
    for line in text.lines() {
        if let Some(truth) = line.strip_prefix("# failJSON:") {
            let truth: serde_json::Value = serde_json::from_str(truth).unwrap_or_default();
            wanted = (truth["match"] == true).then(|| truth["host"].as_str().unwrap_or_default().to_owned());
        } else if !line.starts_with('#')
            && let Some(host) = wanted.take()
        {
            let mut record = nhatle_event::Record::new(line.as_bytes(), "corpus", Timestamp(0));
            record.profile = Some("dovecot".into());
            let event = crate::to_event(&record, &Settings::default()).expect("is an event");
            let found = event.get(Field::SOURCE_IP).and_then(Value::as_text).map(String::from);
            total += 1;
            right += usize::from(found.as_deref() == Some(host.as_str()));
            if found.as_deref() != Some(host.as_str()) {
                wrong.push(format!("{found:?} for {host}: {line}"));
            }
            assert!(found.is_none_or(|found| found == host), "another address than {host}: {line}");
        }
    }
    println!("{right} of {total} clients found; not: {wrong:#?}");
    assert!(right * 10 >= total * 7, "{right} of {total}: {wrong:#?}");
}

/// Fields compared with Elastic's modules, where they are for the same thing as ours.
const COMPARED: &[&str] = &[
    "source.ip",
    "source.port",
    "destination.ip",
    "destination.port",
    "user.name",
    "http.request.method",
    "http.response.status_code",
    "url.path",
    "url.domain",
    "process.pid",
    "event.duration",
    "rule.name",
    "event.code",
    "host.hostname",
    "network.protocol",
    "network.transport",
    "file.path",
];

/// Module tests of Elastic: folder, profile, the least share of [`COMPARED`] in percent.
const ELASTIC: &[(&str, &str, usize)] = &[
    ("ecs/beats/apache-2.0/iis", "iis", 100),
    ("ecs/beats/apache-2.0/postgresql", "postgresql", 95),
    ("ecs/beats/apache-2.0/mysql", "mysql", 95),
    ("ecs/beats/apache-2.0/osquery", "osquery", 100),
    ("ecs/beats/elastic-license/squid", "squid", 100),
    ("ecs/beats/elastic-license/suricata", "suricata", 100),
    ("ecs/beats/elastic-license/zeek", "zeek", 100),
];

#[test]
fn fields_are_those_of_elastics_modules() {
    for (name, profile, floor) in ELASTIC {
        let Some(folder) = corpus(name) else { return };
        let (mut right, mut total, mut wrong) = (0, 0, std::collections::BTreeMap::<&str, usize>::new());
        for truth in files_below(&[folder]).expect("is listed") {
            let shown = truth.to_string_lossy().into_owned();
            let Some(log) = shown.strip_suffix("-expected.json") else { continue };
            let documents: Vec<serde_json::Value> =
                serde_json::from_slice(&std::fs::read(&truth).expect("is read")).expect("is JSON");
            let (events, _) = read(Path::new(log), profile);
            // Filebeat leaves out the lines that a server begins its file with.
            let dataset = documents.first().and_then(|document| document["event.dataset"].as_str());
            let is_kept =
                |event: &&Event| documents.len() == events.len() || event.text(Field::EVENT_DATASET) == dataset;
            let events: Vec<_> = events.iter().filter(is_kept).collect();
            if events.len() < documents.len() {
                continue;
            }
            for (document, event) in documents.iter().zip(&events) {
                for field in COMPARED {
                    let Some(wanted) = document.get(*field).filter(|wanted| !wanted.is_array() && **wanted != "-")
                    else {
                        continue;
                    };
                    let wanted = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
                    let found = Field::lookup(field).and_then(|field| event.get(field)).and_then(Value::as_text);
                    let is_right = found.is_some_and(|found| found.eq_ignore_ascii_case(&wanted));
                    total += 1;
                    right += usize::from(is_right);
                    if !is_right {
                        *wrong.entry(field).or_default() += 1;
                    }
                }
            }
        }
        println!("{profile}: {right} of {total}, wrong {wrong:?}");
        assert!(total > 0 && right * 100 >= total * floor, "{profile}: {right} of {total}, wrong {wrong:?}");
    }
}
