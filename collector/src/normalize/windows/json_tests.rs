//! Tests: the four JSON forms of a Windows event.

use std::path::{Path, PathBuf};

use nhatle_event::json::{flatten, value_to_json};
use nhatle_event::{Event, Field, Record, Timestamp, Value};

use super::from_leaves;

fn read(text: &str) -> Option<Event> {
    from_leaves(flatten(text.as_bytes()).expect("is JSON"), &Record::new(text.as_bytes(), "test", Timestamp(0)))
}

#[track_caller]
fn check(text: &str, expected: &[(&str, Option<&str>)]) {
    let event = read(text).expect("is a Windows event");
    for (name, expected) in expected {
        let found = match *name {
            "@timestamp" => Some(event.timestamp.to_string()),
            name => {
                let value = Field::lookup(name).and_then(|field| event.get(field));
                value.map(value_to_json).map(|value| value.as_str().map_or(value.to_string(), String::from))
            }
        };
        assert_eq!(found.as_deref(), *expected, "{name}");
    }
}

#[test]
fn flat_names_are_system_or_data() {
    check(
        r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_Name":"Microsoft-Windows-Sysmon",
            "Computer":"pc-07.demo.example","UtcTimeCreated":"2026-02-03T04:05:06.5Z","UtcTime":"2026-02-03 04:05:06.100",
            "EventRecordID":9,"Execution_ProcessID":700,"Image":"C:\\Windows\\System32\\cmd.exe","ProcessId":4242,
            "CommandLine":"cmd.exe /c \"dir\" ","User":"DEMO\\an","Company":null,"Product":"-","Hashes":"MD5=AB,SHA256=CD",
            "ParentImage":"C:\\Windows\\explorer.exe","nhatle.unit":"fake"}"#,
        &[
            ("@timestamp", Some("2026-02-03T04:05:06.500Z")),
            ("event.code", Some("1")),
            ("event.dataset", Some("windows.sysmon")),
            ("event.action", Some("process-created")),
            ("host.name", Some("pc-07.demo.example")),
            ("winlog.record_id", Some("9")),
            ("winlog.process.pid", Some("700")),
            ("winlog.event_data.ProcessId", Some("4242")),
            ("winlog.event_data.CommandLine", Some("cmd.exe /c \"dir\" ")),
            ("winlog.event_data.Company", Some("null")),
            ("winlog.event_data.Product", Some("-")),
            ("process.executable", Some(r"C:\Windows\System32\cmd.exe")),
            ("process.name", Some("cmd.exe")),
            ("process.pid", Some("4242")),
            ("process.hash.sha256", Some("cd")),
            ("process.pe.product", None),
            ("process.parent.name", Some("explorer.exe")),
            ("user.name", Some("an")),
            ("user.domain", Some("DEMO")),
            ("nhatle.unit", None),
            ("labels.nhatle.unit", Some("fake")),
        ],
    );
}

#[test]
fn a_system_twin_leaves_the_name_to_the_data() {
    check(
        r#"{"EventID":104,"System_Channel":"System","Channel":"Application","Provider_Name":"Microsoft-Windows-Eventlog"}"#,
        &[
            ("winlog.channel", Some("System")),
            ("winlog.event_data.Channel", Some("Application")),
            ("event.action", Some("event-log-cleared")),
        ],
    );
    check(
        r#"{"EventID":4,"Channel":"Microsoft-Windows-Sysmon/Operational","System_Version":3,"Version":"15.0","State":"Started"}"#,
        &[
            ("winlog.version", Some("3")),
            ("winlog.event_data.Version", Some("15.0")),
            ("service.state", Some("started")),
        ],
    );
}

#[test]
fn winlogbeat_keeps_its_ecs_and_gains_ours() {
    check(
        r#"{"@timestamp":"2026-02-03T04:05:06Z","event":{"code":4688,"module":"security","original":"fake"},"host":{"name":"collector"},
            "agent":{"version":"8.17.0"},"message":"A new process","source":{"port":"51000"},
            "winlog":{"event_id":4688,"channel":"Security","provider_name":"Microsoft-Windows-Security-Auditing",
            "computer_name":"pc-07","keywords":["Audit Success"],"record_id":12,"event_data":{"NewProcessName":"C:\\a\\b.exe",
            "NewProcessId":"0x1f4","SubjectUserName":"an","ParentProcessName":"C:\\p.exe","CommandLine":""}}}"#,
        &[
            ("@timestamp", Some("2026-02-03T04:05:06Z")),
            ("event.module", Some("windows")),
            ("event.code", Some("4688")),
            ("event.outcome", Some("success")),
            ("event.original", None),
            ("host.name", Some("collector")),
            ("agent.version", Some("8.17.0")),
            ("message", Some("A new process")),
            ("source.port", Some("51000")),
            ("process.executable", Some(r"C:\a\b.exe")),
            ("process.pid", Some("500")),
            ("process.parent.executable", Some(r"C:\p.exe")),
            ("process.command_line", None),
            ("winlog.event_data.CommandLine", Some("")),
            ("winlog.event_data.Image", None),
            ("user.name", Some("an")),
        ],
    );
}

#[test]
fn nxlog_names_are_understood() {
    check(
        r#"{"EventTime":"2026-02-03T04:05:06.5+07:00","Hostname":"dc01","Keywords":-9214364837600034816,"Severity":"INFO",
            "EventID":4624,"SourceName":"Microsoft-Windows-Security-Auditing","RecordNumber":5,"ProcessID":600,"ThreadID":7,
            "Channel":"Security","Message":"An account was logged on","TargetUserName":"an","LogonType":"3",
            "IpAddress":"::ffff:192.0.2.9","IpPort":"50123","SourceModuleName":"in"}"#,
        &[
            ("@timestamp", Some("2026-02-02T21:05:06.500Z")),
            ("host.name", Some("dc01")),
            ("event.outcome", Some("success")),
            ("event.provider", Some("Microsoft-Windows-Security-Auditing")),
            ("message", Some("An account was logged on")),
            ("winlog.process.pid", Some("600")),
            ("winlog.event_data.ProcessID", None),
            ("winlog.event_data.LogonType", Some("3")),
            ("source.ip", Some("192.0.2.9")),
            ("source.port", Some("50123")),
            ("user.name", Some("an")),
        ],
    );
}

#[test]
fn evtx_dump_names_are_understood() {
    check(
        r##"{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider":{"#attributes":{"Name":"PowerShell"}},
            "EventID":{"#attributes":{"Qualifiers":0},"#text":400},"Channel":"Windows PowerShell","Computer":"pc",
            "TimeCreated":{"#attributes":{"SystemTime":"2026-02-03T04:05:06Z"}}},"EventData":{"Data":{"#text":["Available","None"]},"Binary":null}}}"##,
        &[
            ("@timestamp", Some("2026-02-03T04:05:06Z")),
            ("event.code", Some("400")),
            ("event.action", Some("Engine Lifecycle")),
            ("winlog.event_data.param2", Some("None")),
            ("winlog.event_data.Data", Some(r#"["Available","None"]"#)),
        ],
    );
}

#[test]
fn dns_answers_and_registry_values_are_split() {
    check(
        r#"{"EventID":22,"Channel":"Microsoft-Windows-Sysmon/Operational","QueryName":"files.example","QueryStatus":"0",
            "QueryResults":"type:  5 edge.example;::ffff:192.0.2.1;2001:db8::1;"}"#,
        &[
            ("dns.question.name", Some("files.example")),
            ("dns.answers.data", Some(r#"["edge.example","192.0.2.1","2001:db8::1"]"#)),
            ("dns.answers.type", Some(r#"["CNAME","A","AAAA"]"#)),
            ("dns.resolved_ip", Some(r#"["192.0.2.1","2001:db8::1"]"#)),
        ],
    );
    check(
        r#"{"EventID":13,"Channel":"Microsoft-Windows-Sysmon/Operational","TargetObject":"HKLM\\Software\\Run\\x","Details":"DWORD (0x0000000a)"}"#,
        &[
            ("registry.hive", Some("HKLM")),
            ("registry.key", Some(r"Software\Run\x")),
            ("registry.value", Some("x")),
            ("registry.data.strings", Some("10")),
            ("registry.data.type", Some("SZ_DWORD")),
        ],
    );
}

#[test]
fn other_json_is_no_windows_event() {
    for text in [r#"{"EventID":1}"#, r#"{"Channel":"x"}"#, r#"{"message":"x","event":{"code":"1"}}"#, "{}"] {
        assert_eq!(read(text).map(|event| event.fields().len()), None, "{text}");
    }
}

/// Every field of the flat events that were made from the corpus' EVTX files is found under its name.
#[test]
fn every_flat_field_of_the_corpus_is_kept() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let corpus = std::env::var_os("NHATLE_CORPUS").map_or_else(beside, PathBuf::from);
    let Ok(file) = std::fs::File::open(corpus.join("sigma/expected/regression_events.jsonl.gz")) else {
        println!("skipped: no corpus");
        return;
    };
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).expect("is gzip");
    for line in text.lines() {
        let document: serde_json::Value = serde_json::from_str(line).expect("is JSON");
        let flat = document["event"].as_object().expect("is an object");
        let event = read(&document["event"].to_string()).expect("is a Windows event");
        for (name, value) in flat {
            let kept = event.fields().iter().any(|(_, held)| {
                *value == value_to_json(held) || held.as_text().is_some_and(|held| held == value.to_string().as_str())
            });
            assert!(kept || name == "UtcTimeCreated", "{name} of {line}");
            if !super::system::PARTS.iter().any(|row| row.flat.contains(&name.as_str())) {
                let field = Field::lookup(&format!("winlog.event_data.{name}"));
                assert_eq!(field.and_then(|field| event.get(field)).map(value_to_json).as_ref(), Some(value), "{name}");
            }
        }
    }
}

#[test]
fn text_a_sender_made_up_never_fails() {
    for text in [
        r#"{"EventID":{"a":1},"EventID.b":[[]],"Channel":[],"Provider_Name":7,"Keywords":[null,"0xzz"],"Level":"x","Computer":false}"#,
        r#"{"EventID":[1,2],"Channel":null,"Hashes":"=,=,MD5","TargetObject":"","QueryResults":";;type:;type: 1"}"#,
        r#"{"winlog.event_id":null,"winlog.event_data.":"","winlog.user_data.x":[],"@timestamp":"never"}"#,
        r##"{"Event":{"System":{"":1,"EventID":{"#text":{"#text":3}}},"UserData":"x","EventData":{"Data":[{"@Name":"a"}]}}}"##,
    ] {
        if let Some(event) = read(text) {
            assert_eq!(event.get(Field::EVENT_MODULE), Some(&Value::from("windows")), "{text}");
        }
    }
}
