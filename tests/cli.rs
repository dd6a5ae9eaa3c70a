//! The command line from outside: help, exit codes, shapes of what is printed (contract, 'Command line').

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{NHATLE, run, stdout};

const FAILED_LOGIN: &str = "title: Failed sign-in\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01\nname: failed\n\
    status: stable\nlevel: medium\ntags:\n  - attack.t1110\nlogsource:\n  product: windows\n  service: security\n\
    detection:\n  selection:\n    EventID: 4625\n  condition: selection\n";
const MANY_FAILED: &str = "title: Many failed sign-ins\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02\nlevel: high\n\
    correlation:\n  type: event_count\n  rules:\n    - failed\n  group-by:\n    - TargetUserName\n  timespan: 5m\n  \
    condition:\n    gte: 3\n  generate: true\n";

/// A folder with rules and events, and commands in it.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        std::fs::create_dir(bench.0.path().join("rules")).unwrap();
        bench.write("rules/failed.yml", FAILED_LOGIN);
        bench.write("rules/many.yml", MANY_FAILED);
        let mut events = String::new();
        for (second, code) in [(1, 4624), (2, 4625), (3, 4625), (4, 4625), (5, 4688)] {
            let event = json!({
                "@timestamp": format!("2026-02-03T04:05:0{second}Z"), "EventID": code, "Channel": "Security",
                "Computer": "may-01", "TargetUserName": "an", "CommandLine": "a, \"b\"",
            });
            events.push_str(&format!("{event}\n"));
        }
        bench.write("events.jsonl", &events);
        bench
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, line: &[&str]) -> Output {
        Command::new(NHATLE).args(line).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn every_command_has_help_with_an_example() {
    let commands = [
        "serve",
        "demo",
        "detect",
        "parse",
        "import",
        "search",
        "sql",
        "rule check",
        "rule explain",
        "rule test",
        "rule coverage",
        "rule list",
        "rule import",
        "replay",
        "verify",
        "forward",
        "backup",
        "restore",
        "doctor",
        "config check",
        "asset import",
        "asset list",
        "geoip import",
        "intel import",
        "intel list",
        "intel remove",
        "user add",
        "user password",
        "user disable",
        "user list",
        "token add",
        "token revoke",
        "token list",
        "enroll",
    ];
    for command in commands {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let help = stdout(&args);
        assert!(help.contains("Example: ") && help.contains(&format!("nhatle {command}")), "{command}: {help}");
    }
}

#[test]
fn exit_codes_tell_usage_from_findings_from_the_world() {
    let bench = Bench::new();
    bench.write("bad.toml", "nonsense = 1\n");
    bench.write("good.toml", "data = \"here\"\n");
    bench.write("broken.yml", "title: x\ndetection:\n  selection:\n    A|nosuch: 1\n  condition: selection\n");
    let rows: [(&[&str], i32); 17] = [
        (&["--version"], 0),
        (&[], 2),
        (&["nosuch"], 2),
        (&["search"], 2),
        (&["search", "x", "--data", "nowhere"], 2),
        (&["search", "x", "--from", "yesterday"], 2),
        (&["sql", "SELECT 1", "--data", "nowhere"], 2),
        (&["verify", "--data", "nowhere"], 2),
        (&["config", "check", "good.toml"], 0),
        (&["config", "check", "bad.toml"], 2),
        (&["rule", "check", "rules"], 0),
        (&["rule", "check", "broken.yml"], 1),
        (&["parse", "--source", "fortigate-9000", "events.jsonl"], 2),
        (&["parse", "nowhere.log"], 3),
        (&["detect", "--rules", "rules", "--threads", "1", "events.jsonl"], 0),
        (&["detect", "--rules", "rules", "nowhere.log"], 3),
        (&["token", "add", "x", "--role", "emperor", "--data", "d"], 2),
    ];
    for (args, code) in rows {
        let output = bench.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}{}", text(&output.stdout), text(&output.stderr));
        if code > 1 {
            assert!(!output.stderr.is_empty(), "{args:?} fails without a word");
        }
    }
}

#[test]
fn a_source_profile_not_built_is_refused_by_name() {
    let bench = Bench::new();
    for command in [["parse", "--source", "nosuch", "events.jsonl"], ["import", "--source", "nosuch", "events.jsonl"]] {
        let output = bench.run(&command);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("nosuch"), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_file_under_a_wrong_name_is_read_as_what_it_is_and_the_terminal_is_told() {
    let bench = Bench::new();
    bench.write(
        "mysqld.log",
        "# Time: 2026-11-23T02:10:00.861934Z\n# User@Host: lan[lan] @ localhost [203.0.113.9]  Id:     8\n\
        # Query_time: 2.5  Lock_time: 0.0 Rows_sent: 7  Rows_examined: 9\nSET timestamp=1795399800;\nSELECT *\nFROM cong_dan;\n",
    );
    let output = bench.run(&["parse", "--source", "apache", "mysqld.log"]);
    let said = text(&output.stderr);
    assert_eq!(said.trim(), "mysqld.log: read as mysql, not as apache: none of its first records is of apache");
    let rows = json_lines(&output.stdout);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["nhatle.profile.named"], "apache", "{}", rows[0]);
    assert_eq!(rows[0]["nhatle.profile.read"], "mysql", "{}", rows[0]);
    assert_eq!(rows[0]["user.name"], "lan", "{}", rows[0]);
    let output = bench.run(&["parse", "--source", "mysql", "mysqld.log"]);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert!(json_lines(&output.stdout)[0].get("nhatle.profile.read").is_none());
}

#[test]
fn import_and_detect_say_which_file_has_a_wrong_name() {
    let bench = Bench::new();
    bench.write(
        "mysqld.log",
        "# Time: 2026-11-23T02:10:00.861934Z\n# User@Host: lan[lan] @ localhost [203.0.113.9]  Id:     8\n\
        # Query_time: 2.5  Lock_time: 0.0 Rows_sent: 7  Rows_examined: 9\nSET timestamp=1795399800;\nSELECT *\nFROM cong_dan;\n",
    );
    const SAID: &str = "mysqld.log: read as mysql, not as apache: none of its first records is of apache";
    let rows: [(&[&str], bool); 4] = [
        (&["import", "--data", "a", "--source", "apache", "mysqld.log"], true),
        (&["import", "--data", "b", "--source", "mysql", "mysqld.log"], false),
        (&["detect", "--rules", "rules", "--source", "apache", "mysqld.log"], true),
        (&["detect", "--rules", "rules", "--source", "mysql", "mysqld.log"], false),
    ];
    for (args, is_said) in rows {
        let output = bench.run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}\n{said}");
        assert_eq!(said.contains(SAID), is_said, "{args:?}\n{said}");
    }
}

#[test]
fn parse_prints_one_ecs_line_a_record_in_order() {
    let bench = Bench::new();
    bench.write(
        "auth.log",
        "Feb  3 04:05:06 cong-01 sshd[7]: Failed password for an from 203.0.113.7 port 5 ssh2\n\
        Feb  3 04:05:07 cong-01 sshd[7]: Accepted password for an from 203.0.113.7 port 5 ssh2\n",
    );
    let output = bench.run(&["parse", "--source", "sshd", "auth.log"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rows = json_lines(&output.stdout);
    assert_eq!(rows.len(), 2);
    for (row, outcome) in rows.iter().zip(["failure", "success"]) {
        assert_eq!(row["source.ip"], "203.0.113.7", "{row}");
        assert_eq!(row["event.outcome"], outcome, "{row}");
        assert!(row["event.original"].as_str().unwrap().starts_with("Feb  3"), "{row}");
    }
    let nested = bench.run(&["parse", "--ecs-nested", "auth.log"]);
    assert_eq!(json_lines(&nested.stdout)[0]["source"]["ip"], "203.0.113.7");
    // Elastic's form there, and the line beside it.
    let row = json_lines(&nested.stdout).swap_remove(0);
    assert_eq!(row["event"]["original"], row["message"], "{row}");
    assert!(row["log"]["original"].as_str().unwrap().starts_with("Feb  3"), "{row}");
    assert_eq!(row["event"]["hash"], rows[0]["event.hash"], "{row}");
    let clock = |output: &Output| {
        let stamp = json_lines(&output.stdout)[0]["@timestamp"].as_str().unwrap_or_default().to_owned();
        stamp.get(10..19).unwrap_or_default().to_owned()
    };
    assert_eq!(clock(&output), "T04:05:06", "a time without a zone is UTC");
    let shifted = bench.run(&["parse", "--offset", "-120", "--source", "sshd", "auth.log"]);
    assert_eq!(clock(&shifted), "T06:05:06");
    assert_eq!(bench.run(&["parse", "--offset", "1440", "auth.log"]).status.code(), Some(2));
}

#[test]
fn detect_jsonl_has_the_shape_of_the_contract() {
    let bench = Bench::new();
    let output = bench.run(&["detect", "--rules", "rules", "events.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rows = json_lines(&output.stdout);
    let plain: Vec<_> = rows.iter().filter(|row| row.get("correlation").is_none()).collect();
    let indexes: Vec<_> = plain.iter().map(|row| row["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [1, 2, 3], "{rows:?}");
    let expected = json!({"id": "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01", "title": "Failed sign-in", "level": "medium",
        "tags": ["attack.t1110"]});
    assert_eq!(plain[0]["rule"], expected);
    assert_eq!(plain[0]["file"], "events.jsonl");
    assert_eq!(plain[0]["timestamp"], "2026-02-03T04:05:02Z");
    assert!(plain[0]["fields"]["EventID"] == 4625 || plain[0]["fields"]["EventID"] == "4625", "{}", plain[0]);
    // The correlation stands behind the event that completed it.
    let last = rows.last().unwrap();
    let correlation = &last["correlation"];
    assert!(last.get("index").is_none());
    assert_eq!(correlation["type"], "event_count", "{last}");
    assert_eq!(correlation["group"], json!({"TargetUserName": "an"}));
    assert_eq!(correlation["count"], 3);
    assert_eq!(correlation["start"], "2026-02-03T04:05:02Z");
    assert_eq!(correlation["end"], "2026-02-03T04:05:04Z");
    let events: Vec<_> = [1, 2, 3].map(|index| json!({"file": "events.jsonl", "index": index})).into();
    assert_eq!(correlation["events"], json!(events));
}

#[test]
fn detect_prints_csv_table_and_summary() {
    let bench = Bench::new();
    let with = |format: &str| {
        let output = bench.run(&["detect", "--rules", "rules/failed.yml", "--format", format, "events.jsonl"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let csv = with("csv");
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.starts_with("timestamp,level,title,rule,file,index,fields,"), "{csv}");
    assert_eq!(with("table").lines().count(), 3);
    let summary: Value = serde_json::from_str(&with("summary")).unwrap();
    for (key, expected) in [("events", 5), ("matches", 3), ("rules_loaded", 1), ("rules_failed", 0)] {
        assert_eq!(summary[key], expected, "{key}: {summary}");
    }
    assert!(summary["seconds"].is_number() && summary["load_seconds"].is_number());
}

#[test]
fn detect_tries_every_rule_where_the_log_source_is_ignored() {
    let bench = Bench::new();
    bench.write("rules/failed.yml", &FAILED_LOGIN.replace("security", "system"));
    let count = |more: &[&str]| {
        let mut args = vec!["detect", "--rules", "rules/failed.yml"];
        args.extend(more);
        args.extend(["--format", "jsonl", "events.jsonl"]);
        json_lines(&bench.run(&args).stdout).len()
    };
    assert_eq!(count(&[]), 0);
    assert_eq!(count(&["--ignore-logsource"]), 3);
}

#[test]
fn a_rule_that_does_not_load_is_one_line_and_the_others_run() {
    let bench = Bench::new();
    bench.write(
        "rules/broken.yml",
        &FAILED_LOGIN
            .replace("EventID: 4625", "EventID|nosuch: 4625")
            .replace("7a01", "7a03")
            .replace("name: failed\n", ""),
    );
    let output = bench.run(&["detect", "--rules", "rules", "events.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let place: Vec<&str> = errors.splitn(4, ':').collect();
    assert!(place[0].ends_with("broken.yml"), "{errors}");
    let line = FAILED_LOGIN.replace("name: failed\n", "").lines().position(|line| line.contains("4625")).unwrap() + 1;
    assert_eq!(place[1].parse::<usize>().unwrap(), line, "{errors}");
    assert!(place[2].parse::<usize>().is_ok() && place[3].contains("nosuch"), "{errors}");
    assert_eq!(json_lines(&output.stdout).iter().filter(|row| row.get("index").is_some()).count(), 3);
}

#[test]
fn rules_are_checked_listed_and_explained() {
    let bench = Bench::new();
    let listed = json_lines(&bench.run(&["rule", "list", "--json", "rules"]).stdout);
    assert_eq!(listed.len(), 2);
    let built_in = stdout(&["rule", "list"]);
    assert!(40 <= built_in.lines().count(), "{built_in}");
    bench.write("one.json", "{\"EventID\": 4625, \"Channel\": \"Security\", \"@timestamp\": \"2026-02-03T04:05:06Z\"}");
    let output = bench.run(&["rule", "explain", "--json", "rules/failed.yml", "one.json"]);
    let explained = &json_lines(&output.stdout)[0];
    assert_eq!((&explained["matches"], &explained["passes_logsource"]), (&json!(true), &json!(true)), "{explained}");
    bench.write("one.json", "{\"EventID\": 4624, \"Channel\": \"Security\", \"@timestamp\": \"2026-02-03T04:05:06Z\"}");
    let output = bench.run(&["rule", "explain", "rules/failed.yml", "one.json"]);
    assert!(text(&output.stdout).contains("does not match"), "{}", text(&output.stdout));
}

#[test]
fn a_mistake_in_a_query_is_shown_with_a_caret() {
    let bench = Bench::new();
    let output = bench.run(&["import", "--data", "d", "events.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = bench.run(&["search", "đường AND (", "--data", "d"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    let lines: Vec<&str> = errors.lines().collect();
    let at = lines.iter().position(|line| line.contains("đường AND (")).unwrap();
    let caret = lines[at + 1].find('^').unwrap();
    assert!(lines[at].chars().count() + 1 >= caret, "{errors}");
    for (format, lines) in [("jsonl", 5), ("csv", 6), ("table", 5)] {
        let output = bench.run(&["search", "host.name:may-01", "--format", format, "--data", "d"]);
        assert_eq!(text(&output.stdout).lines().count(), lines, "{format}: {}", text(&output.stdout));
    }
    assert_eq!(
        text(
            &bench
                .run(&[
                    "search",
                    "*",
                    "--count",
                    "--from",
                    "2026-02-03T04:05:03Z",
                    "--to",
                    "2026-02-03T04:05:05Z",
                    "--data",
                    "d"
                ])
                .stdout
        )
        .trim(),
        "2"
    );
}

#[test]
fn tokens_are_printed_alone_and_accounts_need_a_good_password() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let token = stdout(&["token", "add", "may-01", "--role", "ingest", "--unit", "18853", "--data", data]);
    assert_eq!(token.lines().count(), 1);
    assert!(32 <= token.trim().len() && token.trim().chars().all(|c| c.is_ascii_graphic()), "{token}");
    let taken = run(&["token", "add", "may-01", "--role", "ingest", "--data", data]);
    assert_eq!(taken.status.code(), Some(2), "{}", text(&taken.stderr));
    assert!(taken.stdout.is_empty());
    let rows = [
        ("lan", "analyst", None, "mot-mat-khau-dai", 0),
        ("lan", "analyst", None, "mot-mat-khau-dai", 2),
        ("minh", "analyst", None, "short", 2),
        ("minh", "ward", None, "mot-mat-khau-dai", 2),
        ("minh", "ward", Some("18853"), "mot-mat-khau-dai", 0),
    ];
    for (name, role, unit, password, code) in rows {
        let output = add_user(folder.path(), name, role, unit, password);
        assert_eq!(output.status.code(), Some(code), "{name} {role}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains(password) && output.stdout.is_empty());
    }
}

/// `nhatle user add` with the password on standard input.
pub fn add_user(data: &Path, name: &str, role: &str, unit: Option<&str>, password: &str) -> Output {
    let mut command = Command::new(NHATLE);
    command.args(["user", "add", name, "--role", role, "--password-stdin", "--data"]).arg(data);
    if let Some(unit) = unit {
        command.args(["--unit", unit]);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may refuse before it reads.
    drop(writeln!(child.stdin.take().unwrap(), "{password}"));
    child.wait_with_output().unwrap()
}
