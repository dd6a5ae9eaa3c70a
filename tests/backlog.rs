//! What waits while live detection is behind: the backlog is shown, previews and hunts wait and can be stopped, a
//! decision about a rule waits, and nothing of what came before or meanwhile is lost.
//!
//! Stored events that no rule has looked at stand for the backlog, as after a crash. Each has a long value of its own
//! that a rule's many regular expressions have to read to its end: that keeps detection busy long enough to be watched.

use std::path::Path;
use std::sync::Arc;

use nhatle_event::{Clock, Event, SystemClock, Timestamp};
use nhatle_storage::{Config, Dataset, OsDisk, Store};
use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server, request, token, wait_for};

/// Detection catches up in steps of 20,000 events: while it works on the first, the rest is its backlog.
const STORED: u32 = 24_000;
/// More than what previews and hunts call being behind: alerts are stored too, and are no backlog.
const OPENING: u32 = 2_500;
/// How long each event's own value is, and how many expressions read it.
const PAD_LENGTH: usize = 1_000;
const EXPRESSIONS: usize = 160;
const RULES: &str = "title: Opened\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7d01\nlevel: high\nlogsource: {category: test}\n\
    detection: {s: {Kind: opens}, condition: s}\nnhatle: {suppress_s: 1, entity: [user.name]}\n---\n\
    title: Last\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7d02\nlevel: low\nlogsource: {category: test}\n\
    detection: {s: {Kind: last}, condition: s}\nnhatle: {suppress_s: 1, entity: [user.name]}\n---\n\
    title: Pushed\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7d03\nlevel: low\nlogsource: {category: test}\n\
    detection: {s: {Kind: pushed}, condition: s}\nnhatle: {suppress_s: 1, entity: [user.name]}\n";

/// [`RULES`] and the one that takes long.
fn rules_text() -> String {
    let list: Vec<String> = (1..=EXPRESSIONS).map(|count| format!("'^[a-z0-9]*[A-Z]{{{count}}}$'")).collect();
    format!(
        "{RULES}---\ntitle: Slow\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7d04\nlevel: low\nlogsource: {{category: test}}\n\
         detection: {{s: {{Pad|re: [{}]}}, condition: s}}\n",
        list.join(", ")
    )
}

/// Events stored, and not looked at.
fn store_events(data: &Path, now: Timestamp) {
    let disk = Arc::new(OsDisk::new(data).unwrap());
    let store = Store::open(disk, Config::default(), Arc::new(SystemClock)).unwrap();
    let event = |number: u32| {
        let mut event = Event::new(now.plus_nanos((i64::from(number) - 90_000) * 1_000_000_000), *b"raw");
        let kind = match number {
            _ if number < OPENING => "opens",
            _ if number + 1 == STORED => "last",
            _ => "other",
        };
        event.set_named("Kind", kind);
        event.set_named("user.name", format!("u{number}"));
        event.set_named("Pad", format!("{number:0>PAD_LENGTH$}"));
        (Dataset::Events, event)
    };
    let rows: Vec<(Dataset, Event)> = (0..STORED).map(event).collect();
    store.append(rows, &[]).unwrap();
}

struct City {
    server: Server,
    push: String,
    admin: String,
}

impl City {
    fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("Authorization", self.admin.as_str()), ("Content-Type", "application/json")];
        request(self.server.http, method, path, &headers, body.to_string().as_bytes()).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        self.call("GET", path, &Value::Null).json()
    }

    fn send(&self, kind: &str, user: &str) {
        let headers = [("Authorization", self.push.as_str())];
        let event = json!({"@timestamp": SystemClock.now().to_string(), "Kind": kind, "user.name": user});
        let answer = request(self.server.http, "POST", "/api/v1/events", &headers, format!("{event}\n").as_bytes());
        assert_eq!(answer.unwrap().status, 200);
    }

    fn behind(&self) -> u64 {
        let text = self.call("GET", "/metrics", &Value::Null).body;
        let value = text.lines().find_map(|line| line.strip_prefix("nhatle_detection_behind_events "));
        value.unwrap().parse().unwrap()
    }

    fn alerts_of(&self, rule: &str) -> u64 {
        let id = format!("6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b{rule}");
        self.get(&format!("/api/v1/alerts?rule={id}&limit=1"))["total"].as_u64().unwrap()
    }
}

#[test]
fn while_detection_is_behind_guests_and_decisions_wait_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (data, rules) = (folder.path().join("data"), folder.path().join("rules.yml"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&rules, rules_text()).unwrap();
    store_events(&data, SystemClock.now());
    let bearer = |name: &str, role: &str| format!("Bearer {}", token(&data, name, role, None));
    let (push, admin) = (bearer("a", "ingest"), bearer("b", "admin"));
    let server = Server::start(&data, &["--rules", rules.to_str().unwrap()]);
    let city = City { server, push, admin };
    let rule = "/api/v1/rules/6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7d02";
    let (preview, hunts) = (format!("{rule}/preview"), format!("{rule}/hunts"));
    let state = |number: u64| {
        let shown = city.get(&preview);
        shown["hunts"].as_array().unwrap().iter().find(|hunt| hunt["number"] == number).unwrap()["state"].clone()
    };

    // A hunt begins, waits, and is stopped; so does a preview. One hunt at a time.
    assert_eq!(city.call("POST", &hunts, &json!({"days": 3})).status, 202);
    assert_eq!(city.call("POST", &hunts, &json!({"days": 3})).status, 422);
    assert_eq!(city.call("POST", &preview, &Value::Null).status, 202);
    let shown = city.get(&preview);
    assert!(matches!(shown["state"].as_str(), Some("waiting" | "running")), "{shown}");
    assert!(4_000 <= shown["detection_behind"].as_u64().unwrap(), "{shown}");
    assert_eq!(state(1), "running");
    assert_eq!(city.call("POST", "/api/v1/hunts/1/cancel", &Value::Null).status, 200);
    wait_for("the hunt is stopped", PATIENCE, || state(1) == "canceled");
    assert_eq!(city.call("POST", "/api/v1/hunts/1/cancel", &Value::Null).status, 422, "it is over");

    // A decision is written down and loaded; detection takes it when it has caught up. What is sent is durable at once.
    assert_eq!(city.call("PATCH", rule, &json!({"kind": "disable", "reason": "enough"})).status, 200);
    let load = || city.get("/api/v1/rules?limit=1")["load"].clone();
    wait_for("the rules are loaded anew", PATIENCE, || load()["generation"].as_u64() > Some(1));
    city.send("pushed", "an");
    city.send("last", "an");
    assert_eq!(load()["is_waiting"], true);
    let behind = city.behind();
    assert!(4_000 <= behind, "detection was too fast to be watched, or the backlog is not counted: {behind}");
    assert_eq!(city.alerts_of("7d02"), 0);

    // All of it is looked at: by the rules of before what came before, by the new ones what came after.
    wait_for("the pushed event", PATIENCE, || city.alerts_of("7d03") == 1);
    wait_for("nothing is behind", PATIENCE, || (city.behind(), &load()["is_waiting"]) == (0, &json!(false)));
    assert_eq!((city.alerts_of("7d01"), city.alerts_of("7d02")), (u64::from(OPENING), 1));
    assert_eq!(city.alerts_of("7d03"), 1);
    // It is made now, of as much as its bound of time lets it: all of it, but on a slow machine.
    wait_for("the preview", PATIENCE, || matches!(city.get(&preview)["state"].as_str(), Some("done" | "partial")));

    // The alerts just stored are no backlog: a hunt runs, and knows what the stream found.
    assert_eq!(city.call("POST", &hunts, &json!({"days": 3})).status, 202);
    wait_for("another hunt", PATIENCE, || state(2) != "running");
    let hunt = city.get(&preview)["hunts"][0].clone();
    assert_eq!((&hunt["state"], &hunt["known"], &hunt["alerts"]), (&json!("done"), &json!(1), &json!(1)), "{hunt}");

    // A wanted exception is held against all alerts of the rule, not only the newest page of them.
    let id = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7d01";
    let alert = city.get(&format!("/api/v1/alerts?rule={id}&limit=1"))["alerts"][0]["id"].clone();
    let until_ns = SystemClock.now().plus_nanos(86_400_000_000_000).0;
    let tests = json!([{"field": "Kind", "how": "equals", "value": "opens"}]);
    let wanted = json!({"alert_id": alert, "tests": tests, "because": "thử", "until_ns": until_ns});
    let shown = city.call("POST", "/api/v1/exceptions/preview", &wanted).json();
    let counts = (&shown["looked_at"], &shown["hidden"], &shown["is_partial"]);
    assert_eq!(counts, (&json!(OPENING), &json!(OPENING), &json!(false)));
    city.server.stop();
}
