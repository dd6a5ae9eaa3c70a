//! Hunts: from the command line, and from the page of a running server.

use nhatle_event::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server, request, run, stdout, token, wait_for};

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

#[test]
fn a_rule_is_previewed_before_it_is_on_and_hunts_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, rules) = (folder.path().join("data"), folder.path().join("rules.yml"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&rules, SIGN_IN).unwrap();
    let bearer = |name: &str, role: &str, unit| format!("Bearer {}", token(&data, name, role, unit));
    let (push, admin) = (bearer("a", "ingest", Some("DH01")), bearer("b", "admin", None));
    let (auditor, of_unit) = (bearer("c", "auditor", None), bearer("d", "analyst", Some("DH02")));
    let server = Server::start(&data, &["--rules", rules.to_str().unwrap()]);
    let call = |who: &str, method: &str, path: &str, body: &Value| -> Answer {
        let headers = [("Authorization", who), ("Content-Type", "application/json")];
        request(server.http, method, path, &headers, body.to_string().as_bytes()).unwrap()
    };
    let rule = "/api/v1/rules/6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01";
    let (preview, hunts) = (format!("{rule}/preview"), format!("{rule}/hunts"));
    let off = json!({"kind": "disable", "reason": "not yet"});
    assert_eq!(call(&admin, "PATCH", rule, &off).status, 200);
    let rule_is_off = || call(&admin, "GET", rule, &Value::Null).body.contains("\"off\"");
    wait_for("the rule is off", PATIENCE, rule_is_off);

    // Three failed sign-ins two hours ago; the second repeats the first.
    let now = SystemClock.now();
    let event = |second: i64| {
        let at = now.plus_nanos((second - 7_200) * 1_000_000_000).to_string();
        let event = json!({"@timestamp": at, "EventID": 4625, "Channel": "Security", "Computer": "may-01"});
        format!("{event}\n")
    };
    let lines = [0, 5, 90].map(event).concat();
    let sent = request(server.http, "POST", "/api/v1/events", &[("Authorization", &push)], lines.as_bytes());
    assert_eq!(sent.unwrap().status, 200);
    let alerts = || call(&admin, "GET", "/api/v1/alerts?limit=500", &Value::Null).json();
    assert_eq!(alerts()["total"], 0);

    // The preview: only who decides may, and only what one may see is counted.
    assert_eq!(call(&auditor, "POST", &preview, &Value::Null).status, 403);
    assert_eq!(call(&admin, "GET", &preview, &Value::Null).json()["state"], "none");
    let made = |who: &str| {
        assert!(call(who, "POST", &preview, &Value::Null).status < 300);
        let state = || call(who, "GET", &preview, &Value::Null).json();
        wait_for("a preview", PATIENCE, || state()["state"] == "done");
        state()
    };
    let shown = made(&admin);
    assert_eq!((&shown["hits"], &shown["alerts"]), (&json!(3), &json!(2)), "{shown}");
    assert_eq!(shown["hosts"], json!([["may-01", 3]]));
    assert_eq!(shown["sample"].as_array().map(Vec::len), Some(3));
    let days: u64 = shown["by_day"].as_array().unwrap().iter().map(|day| day["count"].as_u64().unwrap()).sum();
    assert_eq!(days, 3);
    let other = made(&of_unit);
    assert_eq!((&other["hits"], &other["sample"]), (&json!(0), &json!([])), "another unit's");

    // The hunt stores what is new, once, and opens no incident.
    assert_eq!(call(&auditor, "POST", &hunts, &json!({"days": 3})).status, 403);
    assert_eq!(call(&of_unit, "POST", &hunts, &json!({"days": 3})).status, 403);
    assert_eq!(call(&admin, "POST", &hunts, &json!({"days": 0})).status, 422);
    let hunt = |number: u64| {
        let begun = call(&admin, "POST", &hunts, &json!({"days": 3}));
        assert_eq!((begun.status, &begun.json()["hunt"]), (202, &json!(number)));
        let first = || call(&admin, "GET", &preview, &Value::Null).json()["hunts"][0].clone();
        wait_for("a hunt", PATIENCE, || first()["number"] == number && first()["state"] != "running");
        first()
    };
    let first = hunt(1);
    assert_eq!((&first["state"], &first["findings"], &first["alerts"]), (&json!("done"), &json!(3), &json!(2)));
    let again = hunt(2);
    assert_eq!((&again["alerts"], &again["known"], &again["repeats"]), (&json!(0), &json!(2), &json!(1)));
    let found = alerts();
    assert_eq!(found["total"], 2);
    assert!(found["alerts"].as_array().unwrap().iter().all(|alert| alert["hunt"] == 1 && alert["incident"].is_null()));
    assert_eq!(call(&admin, "GET", "/api/v1/incidents", &Value::Null).json()["total"], 0);
    assert_eq!(call(&admin, "POST", "/api/v1/hunts/9/cancel", &Value::Null).status, 404);
    server.stop();

    // After a restart they are still what they were.
    let server = Server::start(&data, &["--rules", rules.to_str().unwrap()]);
    let headers = [("Authorization", admin.as_str())];
    let incidents = request(server.http, "GET", "/api/v1/incidents", &headers, b"").unwrap();
    assert_eq!(incidents.json()["total"], 0);
    server.stop();
}
