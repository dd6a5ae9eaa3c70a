//! Devices' lines of the corpus, where it is there: what they must tell, what must never come out.

use std::path::{Path, PathBuf};

use nhatle_event::{Event, Field, Record, Text, Timestamp, Value};

use crate::{Settings, to_event};

fn corpus(file: &str) -> Option<String> {
    let root = std::env::var_os("NHATLE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let text = std::fs::read_to_string(root.join(file)).ok();
    if text.is_none() {
        println!("skipped: no corpus");
    }
    text
}

fn read(line: &str, profile: Option<&str>) -> Result<Event, String> {
    let received = Timestamp::parse("2026-06-01T00:00:00Z", 0).expect("is a date");
    let record = Record { profile: profile.map(Text::from), ..Record::new(line.as_bytes(), "test", received) };
    to_event(&record, &Settings::default()).map_err(|letter| format!("{} at {}", letter.reason, letter.offset))
}

fn held(event: &Event, name: &str) -> Option<String> {
    if name == "@timestamp" {
        return Some(event.timestamp.to_string());
    }
    let value = Field::lookup(name).and_then(|field| event.get(field))?;
    Some(value.each().filter_map(Value::as_text).collect::<Vec<_>>().join(","))
}

fn shown(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn lines_of_devices_here_tell_what_they_must_and_nothing_a_stranger_wrote() {
    let files = [
        ("vn-devices/draytek/knowledge-base-lines.jsonl", "draytek"),
        ("vn-devices/hikvision/isapi-alerts-made.jsonl", "hikvision"),
        ("vn-devices/dahua/event-lines-made.jsonl", "dahua"),
        ("vn-devices/mikrotik/auth-and-firewall.jsonl", "mikrotik"),
        ("vn-devices/pfsense/elastic-integrations-lines.jsonl", "pfsense"),
    ];
    for (file, profile) in files {
        let Some(text) = corpus(file) else { return };
        for row in text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("is JSON")) {
            let line = row.get("line").or_else(|| row.get("xml")).and_then(|text| text.as_str()).expect("has a line");
            let event = read(line, Some(profile)).unwrap_or_else(|reason| panic!("{reason}: {line}"));
            for (name, wanted) in row["expect"].as_object().into_iter().flatten() {
                let wanted = shown(wanted);
                let found = held(&event, name).unwrap_or_default();
                let moment = |text: &str| Timestamp::parse(text, 0);
                let is_same = found == wanted || (moment(&wanted).is_some() && moment(&wanted) == moment(&found));
                assert!(is_same, "{name}: {found:?}, not {wanted:?}, of {line}");
            }
            for (name, never) in row["never"].as_object().into_iter().flatten() {
                assert_ne!(held(&event, name), Some(shown(never)), "{name} of {line}");
            }
        }
    }
}

/// A template's marks as a sender fills them.
fn filled(template: &str) -> String {
    let marks = [
        ("mark", "<134>"),
        ("bsd", "Nov 23 09:10:00"),
        ("iso", "2026-11-23T09:10:00"),
        ("host", "host-01"),
        ("time", "2026/11/23 09:10:00"),
        ("recv_time", "2026/11/23 09:10:00"),
        ("generated_time", "2026/11/23 09:10:00"),
        ("high_res_time", "2026-11-23T09:10:00.000+07:00"),
        ("epoch", "1795399800"),
        ("epochlong", "1795399800000"),
        ("tzname", "UTC"),
        ("key", "key-01"),
    ];
    marks.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{ {name} }}}}"), value).replace(&format!("{{{{{name}}}}}"), value)
    })
}

#[test]
fn templates_of_other_products_are_read() {
    let Some(text) = corpus("syslog/sc4s-message-templates.jsonl") else { return };
    let mut counts = std::collections::BTreeMap::<&str, (usize, usize)>::new();
    for row in text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("is JSON")) {
        let (vendor, line) = (shown(&row["vendor_test"]), filled(&shown(&row["template"])));
        let (profile, dataset) = match vendor.as_str() {
            _ if line.contains("CEF:0|") => ("cef", "cef."),
            "leef" => ("leef", "leef."),
            "palo_alto" => ("paloalto", "panw."),
            "sophos_firewall_xg" => ("sophos", "sophos."),
            "ubiquiti_unifi" => ("unifi", "unifi."),
            _ => continue,
        };
        let event = read(&line, Some(profile)).unwrap_or_else(|reason| panic!("{reason}: {line}"));
        assert!(held(&event, "event.dataset").is_some_and(|held| held.starts_with(dataset)), "{line}");
        let count = counts.entry(profile).or_default();
        count.0 += 1;
        count.1 += usize::from(event.get(Field::EVENT_CATEGORY).is_some());
    }
    println!("read, with a category: {counts:?}");
    assert!(counts.len() == 5 && counts["cef"].0 > 20 && counts["paloalto"].0 > 10, "{counts:?}");
}

#[test]
fn gateways_of_unifi_tell_packets_and_sign_ins() {
    let Some(text) = corpus("crowdsec-hub/unifi-logs/unifi-logs.log") else { return };
    let events: Vec<Event> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| read(line, Some("unifi")).expect("is an event"))
        .collect();
    let of = |name: &str| events.iter().map(|event| held(event, name).unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(of("event.action")[..3], ["drop", "drop", "accept"]);
    assert_eq!(of("source.ip"), ["192.168.1.1", "192.168.1.1", "192.168.1.2", "192.168.1.2"]);
    assert_eq!(of("user.name")[3], "asdasf");
}
