//! The rule writer's tools from outside: `rule test`, `rule explain`, the warnings of `rule check`.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::run;

const RULE: &str = "title: Shell by sudo\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b01\nname: shell\nstatus: test\n\
    description: d\nlevel: high\nlogsource:\n  product: linux\n  service: sudo\ndetection:\n  selection:\n    \
    message|contains: COMMAND=/bin/bash\n  condition: selection\n";
const TWICE: &str = "title: Shell by sudo, twice\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b02\nstatus: test\n\
    description: d\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [shell]\n  group-by: [host.name]\n  \
    timespan: 5m\n  condition: {gte: 2}\n";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn sudo(second: u32, command: &str) -> String {
    format!(
        "<86>1 2026-11-23T02:10:0{second}+07:00 may-01 sudo 77 - - lan : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND={command}"
    )
}

fn sample(expect: &str, lines: &[String], why: &str) -> String {
    format!("{}\n", json!({"expect": expect, "profile": "linux", "lines": lines, "why": why}))
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn samples_are_run_and_a_wrong_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let bash = |second| sudo(second, "/bin/bash");
    write(folder.path(), "shell.yml", RULE);
    write(
        folder.path(),
        "shell.samples.jsonl",
        &[sample("match", &[bash(1)], "a shell"), sample("silent", &[sudo(1, "/bin/ls")], "no shell")].concat(),
    );
    write(folder.path(), "twice.yml", TWICE);
    let twice =
        [sample("match", &[bash(1), bash(2)], "two shells"), sample("silent", &[bash(1)], "one shell")].concat();
    write(folder.path(), "twice.samples.jsonl", &twice);
    let output = run(&["rule", "test", path]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), text.lines().count()), (Some(0), 4), "{text}");
    assert!(text.lines().all(|line| line.starts_with("pass ")), "{text}");

    write(folder.path(), "twice.samples.jsonl", &[&twice, &*sample("match", &[bash(1)], "wrong")].concat());
    let output = run(&["rule", "test", "--json", path]);
    assert_eq!(output.status.code(), Some(1));
    let rows = lines(&output.stdout);
    let failed: Vec<&Value> = rows.iter().filter(|row| row["passed"] == false).collect();
    assert_eq!((rows.len(), failed.len()), (5, 1), "{rows:?}");
    assert_eq!((&failed[0]["line"], &failed[0]["why"]), (&json!(3), &json!("wrong")));
    assert!(failed[0]["reason"].as_str().unwrap().contains("nothing matched"), "{failed:?}");

    write(folder.path(), "twice.samples.jsonl", "{\"expect\": \"maybe\"}\n");
    assert_eq!(run(&["rule", "test", path]).status.code(), Some(2));
}

#[test]
fn the_rules_that_come_with_the_program_pass_their_samples() {
    let output = run(&["rule", "test"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn explain_says_what_was_looked_for_and_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let rule = write(
        folder.path(),
        "r.yml",
        &[
            &*RULE
                .replace("product: linux\n  service: sudo", "product: windows\n  service: security")
                .replace("message|contains: COMMAND=/bin/bash", "TargetUserNam: x"),
            "---\n",
            TWICE,
        ]
        .concat(),
    );
    let event = write(
        folder.path(),
        "e.json",
        r#"{"EventID": 1, "Channel": "System", "TargetUserName": "an", "@timestamp": "2026-02-03T04:05:06Z"}"#,
    );
    let output = run(&["rule", "explain", &rule, &event]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("log source windows security"), "{text}");
    assert!(text.contains("winlog.channel is \"System\", wanted Security"), "{text}");
    assert!(
        text.contains("absent (looked for") && text.contains("the event has") && text.contains("TargetUserName"),
        "{text}"
    );
    assert!(text.contains("Shell by sudo, twice: does not count this event"), "{text}");
    let rows = lines(&run(&["rule", "explain", "--json", &rule, &event]).stdout);
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["logsource"][0].as_str().unwrap().contains("winlog.channel"), "{rows:?}");
    assert_eq!(rows[1]["rules"][0]["matches"], json!(false), "{rows:?}");
}

#[test]
fn warnings_have_names() {
    let folder = tempfile::tempdir().unwrap();
    let rule =
        write(folder.path(), "r.yml", &RULE.replace("condition: selection", "condition: selection and not selection"));
    let output = run(&["rule", "check", &rule]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("[impossible]"), "{output:?}");
    assert_eq!(lines(&run(&["rule", "check", "--json", &rule]).stdout)[0]["lint"], json!("impossible"));
}
