//! Correlations through the real server: any order of arrival, `kill -9`, the checkpoint.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{PATIENCE, Server, request, token, wait_for};

const RULES: &str = "title: Failed sign-in\nname: failed\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b01\nlogsource: {product: windows, service: \
    security}\ndetection:\n  s:\n    EventID: 4625\n  condition: s\n---\ntitle: Many failed sign-ins\nid: \
    6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b02\nname: many\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [TargetUserName]\n  \
    timespan: 1m\n  condition: {gte: 3}\n  generate: false\nlevel: high\nnhatle: {suppress_s: 0}\n---\ntitle: Exactly two\nid: \
    6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b03\ncorrelation:\n  type: value_count\n  rules: [failed]\n  group-by: [TargetUserName]\n  timespan: \
    1m\n  condition: {field: Computer, eq: 2}\nlevel: medium\nnhatle: {suppress_s: 0}\n";

/// Second of the day, user, host.
type Row = (i64, &'static str, &'static str);

struct City {
    _folder: tempfile::TempDir,
    data: PathBuf,
    rules: PathBuf,
    push: String,
    admin: String,
}

impl City {
    fn new() -> City {
        let folder = tempfile::tempdir().unwrap();
        let (data, rules) = (folder.path().join("data"), folder.path().join("rules.yml"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&rules, RULES).unwrap();
        let bearer = |name: &str, role: &str| format!("Bearer {}", token(&data, name, role, None));
        let (push, admin) = (bearer("a", "ingest"), bearer("b", "admin"));
        City { _folder: folder, data, rules, push, admin }
    }

    fn start(&self) -> Server {
        Server::start_without_sentinel(&self.data, &["--rules", self.rules.to_str().unwrap()])
    }

    fn send(&self, http: SocketAddr, rows: &[Row]) {
        let line = |(second, user, host): &Row| {
            let at = nhatle_event::Timestamp::from_seconds(1_770_091_506 + second).to_string();
            let event = serde_json::json!({
                "@timestamp": at, "EventID": 4625, "Channel": "Security", "Computer": host, "TargetUserName": user,
            });
            format!("{event}\n")
        };
        let body: String = rows.iter().map(line).collect();
        let answer =
            request(http, "POST", "/api/v1/events", &[("Authorization", &self.push)], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// What stands in the queue: rule, user, first and last event, number of events, id.
    fn alerts(&self, http: SocketAddr) -> Vec<String> {
        let rows = self.get(http, "/api/v1/alerts?limit=500").json();
        let row = |row: &Value| {
            let entity = row["entities"][0]["value"].as_str().unwrap_or_default().to_owned();
            format!("{} {entity} {} {} {} {}", row["title"], row["first_at"], row["last_at"], row["count"], row["id"])
        };
        let mut rows: Vec<String> = rows["alerts"].as_array().unwrap().iter().map(row).collect();
        rows.sort();
        rows
    }

    fn get(&self, http: SocketAddr, path: &str) -> crate::support::Answer {
        request(http, "GET", path, &[("Authorization", &self.admin)], b"").unwrap()
    }

    fn wait_looked_at(&self, http: SocketAddr, events: usize) {
        wait_for("all matches are in", PATIENCE, || {
            let text = self.get(http, "/metrics").body;
            let value = text.lines().find_map(|line| line.strip_prefix("nhatle_events_stored_total ")?.parse().ok());
            value == Some(events)
        });
    }
}

const DAY: [Row; 12] = [
    (0, "an", "a"),
    (10, "an", "a"),
    (20, "an", "b"),
    (25, "lan", "a"),
    (30, "an", "c"),
    (35, "lan", "b"),
    (70, "an", "a"),
    (75, "an", "b"),
    (76, "an", "a"),
    (80, "lan", "c"),
    (140, "an", "a"),
    (150, "an", "b"),
];

#[test]
fn any_order_of_arrival_ends_in_the_same_alerts() {
    let mut seen: Vec<Vec<String>> = Vec::new();
    // In order and at once; backwards, each alone; from the middle outwards.
    let orders: [(Vec<usize>, usize); 3] =
        [((0..12).collect(), 12), ((0..12).rev().collect(), 1), (vec![6, 5, 7, 4, 8, 3, 9, 2, 10, 1, 11, 0], 2)];
    for (order, size) in orders {
        let city = City::new();
        let server = city.start();
        for rows in order.chunks(size) {
            let rows: Vec<Row> = rows.iter().map(|place| DAY[*place]).collect();
            city.send(server.http, &rows);
        }
        city.wait_looked_at(server.http, DAY.len());
        if let Some(first) = seen.first() {
            wait_for("the same alerts", PATIENCE, || city.alerts(server.http) == *first);
        } else {
            wait_for("alerts", PATIENCE, || city.alerts(server.http).len() == 5);
        }
        let alerts = city.alerts(server.http);
        server.stop();
        // And after a restart, from the store.
        let server = city.start();
        assert_eq!(city.alerts(server.http), alerts);
        server.stop();
        seen.push(alerts);
    }
}

#[test]
fn a_kill_in_the_middle_of_an_attack_loses_and_doubles_nothing() {
    let city = City::new();
    let server = city.start();
    city.send(server.http, &DAY[..2]);
    city.wait_looked_at(server.http, 2);
    // Stopped in order: the state is written down.
    server.stop();
    assert!(city.data.join("state/correlate.ckpt").is_file());
    let server = city.start();
    assert!(said(&server, "correlations go on from their checkpoint"), "{}", server.errors());
    city.send(server.http, &[DAY[2]]);
    let is_there = |server: &Server| city.alerts(server.http).iter().filter(|row| row.contains("Many")).count() == 1;
    wait_for("the third completes it", PATIENCE, || is_there(&server));
    let before = city.alerts(server.http);
    // The checkpoint is older than what is marked; the rest comes from the store.
    server.kill();
    let server = city.start();
    assert!(said(&server, "correlations go on from their checkpoint"), "{}", server.errors());
    assert_eq!(city.alerts(server.http), before);
    city.send(server.http, &DAY[3..7]);
    city.wait_looked_at(server.http, 4);
    server.kill();
    // A damaged one is said and does no harm.
    let path = city.data.join("state/correlate.ckpt");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let server = city.start();
    assert!(said(&server, "checkpoint of correlations ignored"), "{}", server.errors());
    city.send(server.http, &DAY[7..]);
    city.wait_looked_at(server.http, 5);
    let whole = City::new();
    let other = whole.start();
    whole.send(other.http, &DAY);
    wait_for("five alerts", PATIENCE, || whole.alerts(other.http).len() == 5);
    wait_for("the same as without kills", PATIENCE, || city.alerts(server.http) == whole.alerts(other.http));
    let all = stored_ids(&city.data, server);
    assert_eq!(all.len(), 5, "{all:?}");
    other.stop();
}

/// What starts is said after `ready`.
fn said(server: &Server, words: &str) -> bool {
    wait_for(words, PATIENCE, || server.errors().contains(words));
    true
}

/// The ids of all alert rows in the store.
fn stored_ids(data: &Path, server: Server) -> Vec<String> {
    server.stop();
    let query = "event.kind:signal";
    let lines = crate::support::stdout(&["search", query, "--limit", "1000", "--data", data.to_str().unwrap()]);
    lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["nhatle.alert.id"].to_string()).collect()
}

#[test]
fn what_is_found_long_after_it_happened_says_so() {
    let city = City::new();
    let server = city.start();
    city.send(server.http, &DAY[..3]);
    wait_for("the alert", PATIENCE, || !city.alerts(server.http).is_empty());
    let rows = city.get(server.http, "/api/v1/alerts?limit=500").json();
    let many: Vec<&Value> =
        rows["alerts"].as_array().unwrap().iter().filter(|row| row["title"].to_string().contains("Many")).collect();
    assert_eq!(many.len(), 1, "{rows}");
    assert!(many[0]["tags"].to_string().contains("nhatle.late"), "{rows}");
    server.stop();
}

const LOCAL_RULES: &str = "title: Failed sign-in\nname: failed\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b11\nlogsource: {product: windows, \
    service: security}\ndetection:\n  s:\n    EventID: 4625\n  condition: s\n---\ntitle: Many\nid: \
    6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b12\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [IpAddress]\n  timespan: \
    1m\n  condition: {gte: 3}\nlevel: high\nnhatle: {suppress_s: 0}\n---\ntitle: Anywhere\nid: \
    6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b13\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [IpAddress]\n  timespan: \
    1m\n  condition: {gte: 5}\nlevel: high\nnhatle: {suppress_s: 0, scope: city}\n";

/// Every ward has a 192.168.1.10; 203.0.113.9 is one attacker.
#[test]
fn wards_share_what_is_one_thing_in_the_city_and_nothing_else() {
    let city = City::new();
    std::fs::write(&city.rules, LOCAL_RULES).unwrap();
    let bearer = |name: &str, role: &str, unit| format!("Bearer {}", token(&city.data, name, role, Some(unit)));
    let push = ["A", "B"].map(|unit| bearer(&format!("push-{unit}"), "ingest", unit));
    let wards = ["A", "B"].map(|unit| bearer(&format!("ward-{unit}"), "ward", unit));
    let server = city.start();
    let rows = [
        (0, 0, "192.168.1.10"),
        (1, 0, "192.168.1.10"),
        (2, 1, "192.168.1.10"),
        (3, 1, "192.168.1.10"),
        (4, 0, "203.0.113.9"),
        (5, 0, "203.0.113.9"),
        (6, 1, "203.0.113.9"),
        (7, 1, "192.168.1.10"),
    ];
    for (second, ward, address) in rows {
        let at = nhatle_event::Timestamp::from_seconds(1_770_091_506 + second).to_string();
        let event = serde_json::json!({
            "@timestamp": at, "EventID": 4625, "Channel": "Security", "Computer": "PC-01", "IpAddress": address,
        });
        let headers = [("Authorization", push[ward].as_str())];
        let answer = request(server.http, "POST", "/api/v1/events", &headers, format!("{event}\n").as_bytes());
        assert_eq!(answer.unwrap().status, 200);
    }
    let found = |who: &str| {
        let rows =
            request(server.http, "GET", "/api/v1/alerts?limit=500", &[("Authorization", who)], b"").unwrap().json();
        let row = |row: &Value| format!("{} {} {}", row["title"]["en"], row["count"], row["unit"]["code"]);
        let mut rows: Vec<String> = rows["alerts"].as_array().unwrap().iter().map(row).collect();
        rows.sort();
        rows
    };
    wait_for("three alerts", PATIENCE, || found(&city.admin).len() == 3);
    assert_eq!(
        found(&city.admin),
        ["\"Anywhere\" 5 \"A\"", "\"Many\" 3 \"A\"", "\"Many\" 3 \"B\""],
        "the first of them is shown"
    );
    assert_eq!((found(&wards[0]), found(&wards[1])), (vec![], vec!["\"Many\" 3 \"B\"".to_owned()]));
    server.stop();
    // What is stored is found as it was live.
    let (data, rules) = (city.data.to_str().unwrap(), city.rules.to_str().unwrap());
    let lines = crate::support::stdout(&["replay", "--data", data, "--rules", rules, "--from", "2026-02-03"]);
    let mut groups: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| !line["correlation"].is_null())
        .map(|line| format!("{} {}", line["rule"]["title"], line["correlation"]["group"]))
        .collect();
    groups.sort();
    let expected = [
        r#""Anywhere" {"IpAddress":"192.168.1.10"}"#,
        r#""Many" {"IpAddress":"192.168.1.10","nhatle.unit":"B"}"#,
        r#""Many" {"IpAddress":"203.0.113.9"}"#,
    ];
    assert_eq!(groups, expected);
}
