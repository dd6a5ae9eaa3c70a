//! Hunts: from the command line, and from the page of a running server.

use serde_json::{Value, json};

use crate::support::{run, stdout};

const SIGN_IN: &str = "title: Failed sign-in\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01\nstatus: test\nlevel: high\n\
    logsource: {product: windows, service: security}\ndetection:\n  selection:\n    EventID: 4625\n  condition: selection\n\
    nhatle: {suppress_s: 60, entity: [host.name]}\n";
const NEVER: &str = "title: Never\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02\nstatus: test\nlevel: low\n\
    logsource: {product: windows, service: security}\ndetection:\n  selection:\n    EventID: 1\n  condition: selection\n";

#[test]
fn a_hunt_from_the_command_line_finds_and_stores_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("sign_in.yml"), SIGN_IN).unwrap();
    std::fs::write(path("never.yml"), NEVER).unwrap();
    let lines: String = [0, 5, 90]
        .iter()
        .map(|second| {
            let at = format!("2026-02-03T04:{:02}:{:02}Z", second / 60, second % 60);
            let event =
                json!({"@timestamp": at, "EventID": 4625, "Channel": "Security", "Computer": "may-01", "TargetUserName": "an"});
            format!("{event}\n")
        })
        .collect();
    std::fs::write(path("events.json"), lines).unwrap();
    let data = path("data");
    stdout(&["import", "--data", &data, "--rules", &path("never.yml"), "--", &path("events.json")]);
    let replay = |more: &[&str]| {
        let rules = path("sign_in.yml");
        let fixed = ["replay", "--data", &data, "--rules", &rules, "--from", "2026-02-03", "--to"];
        stdout(&[&fixed[..], more].concat())
    };
    let found = replay(&["2026-02-03T04:01:00Z"]);
    let found: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0]["rule"]["title"], "Failed sign-in");
    assert_eq!(found[0]["timestamp"], "2026-02-03T04:00:00Z");
    assert_eq!(found[0]["event"]["seq"], 1);
    assert_eq!(found[0]["fields"], json!({"EventID": "4625"}));
    for format in ["table", "csv", "summary"] {
        assert!(!replay(&["2026-02-04", "--format", format]).is_empty(), "{format}");
    }
    let never = path("never.yml");
    let none = stdout(&["replay", "--data", &data, "--rules", &never, "--from", "2026-02-03", "--format", "summary"]);
    let none: Value = serde_json::from_str(&none).unwrap();
    assert_eq!((&none["events"], &none["read"], &none["segments_skipped"]), (&json!(3), &json!(0), &json!(1)));

    // The second is within a minute of the first, the third is not.
    let stored: Value = serde_json::from_str(&replay(&["2026-02-04", "--store"])).unwrap();
    let counts =
        |value: &Value| ["findings", "alerts", "repeats", "known"].map(|name| value["counts"][name].as_u64().unwrap());
    assert_eq!((stored["outcome"].as_str(), counts(&stored)), (Some("done"), [3, 2, 1, 0]));
    let again: Value = serde_json::from_str(&replay(&["2026-02-04", "--store"])).unwrap();
    assert_eq!((again["hunt"].as_u64(), counts(&again)), (Some(2), [3, 0, 1, 2]));
    assert_eq!(stdout(&["search", "--data", &data, "nhatle.alert.origin:retro", "--count"]).trim(), "2");
    let missing = run(&["replay", "--data", &data, "--from", "2026-02-03", "--rule", "none"]);
    assert_eq!(missing.status.code(), Some(2));
}
