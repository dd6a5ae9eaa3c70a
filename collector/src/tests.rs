//! The whole way from bytes to event: each format once, bad input, and the corpus where it is there.

use std::path::{Path, PathBuf};

use nhatle_event::{DeadLetter, Event, Field, Record, Timestamp, Value};
use proptest::prelude::*;

use crate::listen::file::{FileOptions, FileRecords, files_below};
use crate::{Settings, dead_letter_event, to_event, to_events};

fn received() -> Timestamp {
    Timestamp::parse("2026-06-01T00:00:00Z", 0).expect("is a date")
}

fn read(bytes: &[u8], profile: Option<&str>) -> Result<Event, DeadLetter> {
    let mut record = Record::new(bytes, "test", received());
    record.profile = profile.map(Into::into);
    to_event(&record, &Settings::default())
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let event = read(text.as_bytes(), None).expect("is an event");
    assert_eq!(&*event.original, text.as_bytes());
    for (name, value) in expected {
        let found = match *name {
            "@timestamp" => Some(event.timestamp.to_string().into()),
            name => Field::lookup(name).and_then(|field| event.get(field)).and_then(Value::as_text),
        };
        assert_eq!(found.as_deref(), Some(*value), "{name} of {text}");
    }
}

#[test]
fn each_format_becomes_an_event() {
    check(
        "<38>Feb  3 04:05:06 web-01 sshd[71]: Failed password for root from 10.0.0.9 port 99 ssh2",
        &[
            ("@timestamp", "2026-02-03T04:05:06Z"),
            ("event.dataset", "linux.auth"),
            ("event.action", "ssh_login"),
            ("event.outcome", "failure"),
            ("user.name", "root"),
            ("source.ip", "10.0.0.9"),
            ("source.port", "99"),
            ("process.name", "sshd"),
            ("process.pid", "71"),
            ("host.name", "web-01"),
            ("nhatle.source", "web-01"),
            ("log.syslog.priority", "38"),
            ("log.syslog.facility.name", "auth"),
        ],
    );
    check(
        "<34>1 2026-02-03T04:05:06.5+07:00 web-01 su 7 ID1 [x@1 a=\"b\"] FAILED su for root by lan",
        &[
            ("@timestamp", "2026-02-02T21:05:06.500Z"),
            ("event.action", "su"),
            ("log.syslog.msgid", "ID1"),
            ("log.syslog.structured_data.x@1.a", "b"),
        ],
    );
    check(
        "type=EXECVE msg=audit(1770091506.123:7): argc=2 a0=\"cat\" a1=\"/etc/shadow\"",
        &[
            ("event.dataset", "auditd.log"),
            ("auditd.data.a1", "/etc/shadow"),
            ("process.command_line", "cat /etc/shadow"),
        ],
    );
    check(
        "<13>Feb  3 04:05:06 web audispd: node=db type=CWD msg=audit(1770091506.123:7): cwd=\"/tmp\"",
        &[("event.dataset", "auditd.log"), ("host.name", "db"), ("process.working_directory", "/tmp")],
    );
    check(
        "10.0.0.1 - - [03/Feb/2026:11:05:06 +0700] \"GET /x.php?id=1 HTTP/1.1\" 200 7 \"-\" \"curl\"",
        &[("@timestamp", "2026-02-03T04:05:06Z"), ("event.dataset", "nginx.access"), ("url.path", "/x.php")],
    );
    check(
        "<190>Feb  3 04:05:06 web nginx: 10.0.0.1 - - [03/Feb/2026:11:05:06 +0700] \"GET / HTTP/1.1\" 200 7",
        &[("event.dataset", "nginx.access"), ("host.name", "web")],
    );
    check(
        r#"{"time":1770091506,"source":{"ip":"10.0.0.1","port":"99"},"x":{"y":[1,2]},"event":{"code":7}}"#,
        &[
            ("@timestamp", "2026-02-03T04:05:06Z"),
            ("event.dataset", "json"),
            ("source.port", "99"),
            ("event.code", "7"),
        ],
    );
    check(
        r#"{"EventID":4625,"Channel":"Security","TargetUserName":"lan","Computer":"pc-1"}"#,
        &[("event.code", "4625"), ("event.module", "windows")],
    );
    check(
        "time=2026-02-03T04:05:06Z level=info user=\"lan\" nhatle.unit=W1",
        &[("@timestamp", "2026-02-03T04:05:06Z"), ("event.dataset", "kv"), ("labels.nhatle.unit", "W1")],
    );
    check(
        "2026-02-03 04:05:06,789 INFO [main] a.B: up",
        &[
            ("@timestamp", "2026-02-03T04:05:06.789Z"),
            ("event.dataset", "syslog"),
            ("message", "2026-02-03 04:05:06,789 INFO [main] a.B: up"),
        ],
    );
    check("\u{feff}just a line", &[("message", "just a line"), ("nhatle.source", "test")]);
}

#[test]
fn nobody_sets_our_fields_from_outside() {
    let text = r#"{"nhatle":{"unit":"W9","alert":{"id":"x"}},"event":{"kind":"signal","dataset":"nhatle.alerts","hash":"0","original":"x"}}"#;
    let event = read(text.as_bytes(), None).expect("is an event");
    assert_eq!(event.get(Field::NHATLE_UNIT), None);
    assert_eq!(event.get(Field::NHATLE_ALERT_ID), None);
    assert_eq!(event.text(Field::EVENT_KIND), Some("event"));
    assert_eq!(event.text(Field::EVENT_DATASET), Some("json"));
    check(
        text,
        &[("labels.nhatle.unit", "W9"), ("labels.event.kind", "signal"), ("labels.event.dataset", "nhatle.alerts")],
    );
}

#[track_caller]
fn check_dead(bytes: &[u8], profile: Option<&str>, reason: &str, offset: usize) {
    let letter = read(bytes, profile).expect_err("is no event");
    assert_eq!((letter.reason.as_str(), letter.offset), (reason, offset));
    assert_eq!(&*letter.record.bytes, bytes);
    let event = dead_letter_event(&letter, &Settings::default());
    assert_eq!(event.text(Field::EVENT_DATASET), Some("nhatle.dead_letters"));
    assert_eq!(event.text(Field::NHATLE_SOURCE), Some("test"));
}

#[test]
fn what_breaks_its_format_is_a_dead_letter_with_its_place() {
    check_dead(b"<38>Feb 30 04:05:06 web su: x", None, "syslog: no such date", 8);
    check_dead(b"\xef\xbb\xbf\0\0<38>Feb 30 04:05:06 web su: x\0\r\n", None, "syslog: no such date", 13);
    check_dead(b"2026-02-30 04:05:06 x", None, "syslog: no such date", 5);
    check_dead(br#"  {"a":1,"b":}"#, None, "json: expected value", 13);
    check_dead(b"{\"a\xff\":1,\"b\":}", None, "json: expected value", 12);
    check_dead(br#"[{"a":1}]"#, None, "json: an array stands where one object is expected", 0);
    check_dead(b"<193>x", None, "syslog: priority past 191", 1);
    check_dead(b"type=CWD msg=audit(x:7): a=1", None, "auditd: no such time", 19);
    check_dead(b"x", Some("nonsense"), "no source profile is called nonsense", 0);
    let deep = "{\"a\":".repeat(100_000);
    assert!(read(deep.as_bytes(), None).is_err());
}

#[test]
fn invalid_utf8_is_read_and_its_bytes_kept() {
    let bytes = b"<38>Feb  3 04:05:06 web sshd[7]: Invalid user \xff\xfe from 10.0.0.9 port 99";
    let event = read(bytes, None).expect("is an event");
    assert_eq!(event.text(Field::USER_NAME), Some("\u{fffd}\u{fffd}"));
    assert_eq!(&*event.original, bytes);
}

#[test]
fn ten_megabytes_in_one_record_are_an_event() {
    let line = [b"<38>Feb  3 04:05:06 web app: ".as_slice(), &vec![b'x'; 10 << 20]].concat();
    assert!(read(&line, None).is_ok());
    assert!(read(&vec![b'='; 10 << 20], None).is_ok());
    assert!(read(&b"a=b ".repeat(1 << 20), None).is_ok());
}

#[test]
fn a_batch_keeps_order_and_count() {
    let records: Vec<_> = ["a", "{\"x\":", "b"].map(|text| Record::new(text.as_bytes(), "t", received())).into();
    let converted = to_events(&records, &Settings::default());
    let messages: Vec<_> = converted.events.iter().filter_map(|event| event.text(Field::MESSAGE)).collect();
    assert_eq!((messages, converted.dead_letters.len()), (vec!["a", "b"], 1));
}

/// Files of the corpus below a folder of it; `None` where there is no corpus.
fn corpus(folder: &str) -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("NHATLE_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let folder = root.join(folder);
    if !folder.is_dir() {
        println!("skipped: no corpus");
        return None;
    }
    Some(files_below(&[folder]).expect("can be listed"))
}

/// Records and dead letters of a file.
fn count(path: &Path) -> (usize, Vec<String>) {
    let settings = Settings::default();
    let records = FileRecords::open(path, &FileOptions::new(received()), &settings).expect("opens");
    let (mut total, mut dead) = (0, Vec::new());
    for record in records {
        total += 1;
        if let (index, Err(letter)) = record.expect("reads") {
            dead.push(format!("{}:{index}: {} at {}", path.display(), letter.reason, letter.offset));
        }
    }
    (total, dead)
}

#[test]
fn real_logs_give_no_dead_letters() {
    for folder in ["loghub", "fail2ban-logs"] {
        for path in corpus(folder).unwrap_or_default() {
            let (total, dead) = count(&path);
            assert!(total > 0 && dead.is_empty(), "{total} records, dead: {dead:#?}");
        }
    }
}

#[test]
fn real_sshd_lines_tell_their_source() {
    for path in corpus("loghub/OpenSSH")
        .unwrap_or_default()
        .iter()
        .filter(|path| path.extension().is_some_and(|name| name == "log"))
    {
        let settings = Settings::default();
        let records = FileRecords::open(path, &FileOptions::new(received()), &settings).expect("opens");
        let events: Vec<_> = records.filter_map(|record| record.ok()?.1.ok()).collect();
        let failed: Vec<_> = events
            .iter()
            .filter(|event| event.text(Field::MESSAGE).is_some_and(|m| m.starts_with("Failed ")))
            .collect();
        assert!(failed.len() > 100);
        assert!(
            failed.iter().all(|event| event.get(Field::SOURCE_IP).is_some() && event.get(Field::SOURCE_PORT).is_some())
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_become_an_event_or_a_dead_letter(
        front in prop_oneof![Just("<38>"), Just("{\""), Just("type=A msg=audit("), Just("[Tue Feb 03"), Just("Feb  3 04:05:06 "), Just("")],
        back in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let bytes = [front.as_bytes(), &back].concat();
        match read(&bytes, None) {
            Ok(event) => prop_assert_eq!(&*event.original, &bytes[..]),
            Err(letter) => prop_assert!(letter.offset <= bytes.len()),
        }
        for profile in crate::Profile::ALL {
            let offset = read(&bytes, Some(profile.name())).err().map_or(0, |letter| letter.offset);
            prop_assert!(offset <= bytes.len());
        }
    }
}
