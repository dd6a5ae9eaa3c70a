//! Bytes to event: nanoseconds a record by format, one thread.

use nhatle_collector::{Settings, to_event};
use nhatle_event::{Record, Text, Timestamp};

use crate::{input, measure};

pub fn run() {
    let day = input::day();
    let holds = |record: &Record, text: &str| String::from_utf8_lossy(&record.bytes).contains(text);
    let of = |test: &dyn Fn(&Record) -> bool| -> Vec<Record> { day.iter().filter(|one| test(one)).cloned().collect() };
    let is_json = |record: &Record| record.bytes.starts_with(b"{");
    let line = |bytes: &str, profile: Option<&str>| {
        let mut record = Record::new(bytes.as_bytes(), "bench", Timestamp(0));
        record.profile = profile.map(Text::from);
        vec![record]
    };
    let groups = [
        ("whole day, mixed", day.clone()),
        ("sshd in RFC 5424", of(&|one| !is_json(one) && holds(one, " sshd "))),
        (
            "sshd in RFC 3164",
            line(
                "<86>Nov 23 08:01:02 web01 sshd[4711]: Failed password for root from 203.0.113.9 port 40022 ssh2",
                None,
            ),
        ),
        ("nginx in syslog", of(&|one| !is_json(one) && holds(one, "nginx"))),
        ("auditd in syslog", of(&|one| !is_json(one) && holds(one, "audit("))),
        ("Windows agent JSON", of(&is_json)),
        (
            "flat Sysmon JSON",
            line(
                r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"pc1","UtcTime":"2026-11-23 01:02:03.004","Image":"C:\\Windows\\System32\\cmd.exe","CommandLine":"cmd /c whoami","ParentImage":"C:\\Windows\\explorer.exe","User":"CITY\\an","ProcessId":4242}"#,
                None,
            ),
        ),
        (
            "generic JSON",
            line(
                r#"{"time":"2026-11-23T01:02:03Z","level":"info","app":"portal","user":"an","ip":"192.0.2.7","ms":12,"path":"/a/b"}"#,
                Some("json"),
            ),
        ),
    ];
    for (name, records) in groups.iter().filter(|(_, records)| !records.is_empty()) {
        let rounds = (40_000 / records.len()).max(1);
        let factor = 1e9 / (rounds * records.len()) as f64;
        measure("parse", name, "ns/record", factor, 5, || {
            let settings = Settings::default();
            (0..rounds).flat_map(|_| records).filter(|record| to_event(record, &settings).is_ok()).count()
        });
    }
}
