//! Vietnamese text from sender to page: composed or in parts, in old encodings, found all the same, kept as it came.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{PATIENCE, Server, run, stdout, wait_for};

/// Đồng Hới with its letters in parts.
const IN_PARTS: &str = "\u{110}o\u{302}\u{300}ng Ho\u{31b}\u{301}i";

fn rule(value: &str) -> String {
    format!(
        "title: Name\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7c01\nlevel: low\nlogsource: {{product: any}}\n\
         detection: {{s: {{FileName|contains: '{value}'}}, condition: s}}\n"
    )
}

#[test]
fn a_rule_finds_a_name_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let lines =
        [IN_PARTS, "Đồng Hới", "ĐỒNG HỚI", "Dong Hoi"].map(|name| json!({"FileName": format!("/x/{name}.doc")}));
    std::fs::write(&events, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    for value in ["Đồng Hới", IN_PARTS] {
        let file = folder.path().join("rule.yml");
        std::fs::write(&file, rule(value)).unwrap();
        let output =
            run(&["detect", "--ignore-logsource", "--rules", file.to_str().unwrap(), events.to_str().unwrap()]);
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<u64> =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap()).collect();
        assert_eq!(found, [0, 1, 2], "{value}: {text}");
    }
}

#[test]
fn what_an_old_program_sends_is_found_and_its_bytes_stay() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("nhatle.toml");
    let text = "[[unit]]\ncode = \"P1\"\nname = \"P1\"\n\
                [[source]]\nhosts = [\"hoso-01\"]\nname = \"ho-so\"\nunit = \"P1\"\nencoding = \"tcvn3\"\n\
                [[source]]\nnetworks = [\"127.0.0.0/8\"]\nprograms = [\"vnpt\"]\nencoding = \"vni\"\ntime_zone_override = \"+07:00\"\n";
    std::fs::write(&config, text).unwrap();
    let server = Server::start(&data, &["--config", config.to_str().unwrap()]);
    let lines: [&[u8]; 4] = [
        b"<13>Feb  3 04:05:06 hoso-01 kho[7]: \xa7\xe5ng H\xedi mot \x80",
        b"<13>1 2026-02-03T11:05:06Z may-02 vnpt 7 - - \xd1o\xe0ng H\xf4\xf9i hai",
        "<13>Feb  3 04:05:06 may-03 app[7]: \u{110}o\u{302}\u{300}ng Ho\u{31b}\u{301}i ba".as_bytes(),
        b"<13>1 1970-01-01T00:00:09Z may-04 app 7 - - dong ho chet",
    ];
    let mut stream = TcpStream::connect(server.syslog_tcp).unwrap();
    for line in lines {
        stream.write_all(line).unwrap();
        stream.write_all(b"\n").unwrap();
    }
    drop(stream);
    let data = data.to_str().unwrap();
    let search = |query: &str| -> Vec<Value> {
        let text = stdout(&["search", query, "--data", data, "--format", "jsonl"]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    wait_for("all are stored", PATIENCE, || search("log.syslog.hostname:*").len() == lines.len());
    let found = search("\"Đồng Hới\"");
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(search("\"dong hoi\"").len(), 3);
    let of = |word: &str| found.iter().find(|event| event["message"].as_str().unwrap().contains(word)).unwrap();
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (first, second, third) = (of("mot"), of("hai"), of("ba"));
    assert_eq!(first["message"], "Đồng Hới mot \u{fffd}");
    assert_eq!((&first["nhatle.source"], &first["nhatle.unit"]), (&json!("ho-so"), &json!("P1")));
    assert_eq!(first["nhatle.unmapped_bytes"], 1);
    assert_eq!(second["message"], "Đồng Hới hai");
    assert_eq!(second["@timestamp"], "2026-02-03T04:05:06Z");
    assert_eq!(third["message"], "Đồng Hới ba");
    for (event, line) in [(first, lines[0]), (second, lines[1]), (third, lines[2])] {
        assert_eq!(event["event.hash"], hash(line), "{event}");
    }
    let dead_clock = &search("nhatle.time.problem:unset")[0];
    assert_eq!(dead_clock["nhatle.time.said"], "1970-01-01T00:00:09Z");
    assert_eq!(dead_clock["@timestamp"], dead_clock["event.created"]);
    server.stop();
}
