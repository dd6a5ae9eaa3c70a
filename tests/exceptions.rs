//! An exception on a live server: proposed from an alert, previewed, made, counted, ended; after a restart too.

use std::net::SocketAddr;
use std::path::Path;

use nhatle_event::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server, request, token, wait_for};

const RULE: &str = "title: Failed sign-in\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01\nstatus: test\nlevel: high\nlogsource: {product: windows, \
    service: security}\ndetection:\n  selection:\n    EventID: 4625\n  condition: selection\nnhatle: {suppress_s: 1, entity: [host.name, \
    user.name]}\n";

fn line(second: u32, user: &str) -> String {
    let at = format!("2026-02-03T04:{:02}:{:02}Z", second / 60, second % 60);
    let event =
        json!({"@timestamp": at, "EventID": 4625, "Channel": "Security", "Computer": "may-01", "TargetUserName": user});
    format!("{event}\n")
}

struct Api<'a> {
    http: SocketAddr,
    push: &'a str,
    admin: &'a str,
}

impl Api<'_> {
    fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("Authorization", self.admin), ("Content-Type", "application/json")];
        request(self.http, method, path, &headers, body.to_string().as_bytes()).unwrap()
    }

    fn send(&self, body: &str) {
        let answer = request(self.http, "POST", "/api/v1/events", &[("Authorization", self.push)], body.as_bytes());
        assert_eq!(answer.unwrap().status, 200);
    }

    fn alerts(&self) -> Vec<Value> {
        self.call("GET", "/api/v1/alerts?limit=500", &Value::Null).json()["alerts"].as_array().unwrap().clone()
    }

    fn hidden(&self, number: u64) -> u64 {
        let view = self.call("GET", &format!("/api/v1/exceptions/{number}"), &Value::Null).json();
        view["row"]["hidden"].as_u64().unwrap()
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.call("GET", "/metrics", &Value::Null).body;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
    }
}

fn start(data: &Path, rules: &Path) -> Server {
    Server::start_without_sentinel(data, &["--rules", rules.to_str().unwrap()])
}

#[test]
fn what_is_expected_is_hidden_counted_and_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, rules) = (folder.path().join("data"), folder.path().join("rules.yml"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&rules, RULE).unwrap();
    let bearer = |name: &str, role: &str| format!("Bearer {}", token(&data, name, role, None));
    let (push, admin, ward) = (bearer("a", "ingest"), bearer("b", "admin"), bearer("c", "auditor"));
    let server = start(&data, &rules);
    let api = Api { http: server.http, push: &push, admin: &admin };
    api.send(&(line(0, "backup") + &line(10, "backup") + &line(20, "lan")));
    wait_for("three alerts", PATIENCE, || api.alerts().len() == 3);
    let of = |user: &str| {
        let speaks = |alert: &&Value| alert["entities"].to_string().contains(user);
        api.alerts().iter().find(speaks).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (backup, lan) = (of("backup"), of("lan"));
    let until_ns = SystemClock.now().plus_nanos(86_400_000_000_000).0;
    let wanted = |tests: Value, accepts: bool| json!({"alert_id": backup, "tests": tests, "because": "sao lưu hằng đêm", "until_ns": until_ns, "accepts_known": accepts});
    let narrow = json!([{"field": "user.name", "how": "equals", "value": "backup"}]);
    let wide = json!([{"field": "host.name", "how": "equals", "value": "may-01"}]);

    // One that would hide an attack is refused until somebody says that this is accepted.
    let closed = json!({"kind": "close", "verdict": "true_positive", "note": "tấn công"});
    assert_eq!(api.call("PATCH", &format!("/api/v1/alerts/{lan}"), &closed).status, 200);
    let preview = |tests: &Value| api.call("POST", "/api/v1/exceptions/preview", &wanted(tests.clone(), false)).json();
    // The alerts are of a day in the past; a preview looks 30 days back from today, so none of them is in it.
    assert_eq!(preview(&narrow)["hidden"], json!(0));
    let refused = api.call("POST", "/api/v1/exceptions", &wanted(json!([]), false));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (422, &json!("bad-test")));
    let bad = json!([{"field": "source.ip", "how": "cidr", "value": "nowhere"}]);
    assert!(preview(&bad)["fault"].is_string(), "{}", preview(&bad));
    let as_auditor = [("Authorization", ward.as_str())];
    let body = wanted(narrow.clone(), false).to_string();
    let forbidden = request(server.http, "POST", "/api/v1/exceptions", &as_auditor, body.as_bytes()).unwrap();
    assert_eq!(forbidden.status, 403);

    let made = api.call("POST", "/api/v1/exceptions", &wanted(narrow, false));
    assert_eq!(made.status, 201, "{made:?}");
    let sigma = made.json()["sigma"].as_str().unwrap().to_owned();
    assert!(sigma.contains("filter:") && sigma.contains("condition: not selection"), "{sigma}");
    api.send(&(line(30, "backup") + &line(40, "minh") + &line(50, "backup")));
    wait_for("the fourth alert", PATIENCE, || api.alerts().len() == 4);
    wait_for("two hidden", PATIENCE, || api.hidden(1) == 2);
    assert!(api.metric("nhatle_matches_total") >= 6, "hidden ones are still matches");
    server.stop();

    let server = start(&data, &rules);
    let api = Api { http: server.http, ..api };
    assert_eq!(api.hidden(1), 2, "the count came back");
    api.send(&line(70, "backup"));
    wait_for("three hidden", PATIENCE, || api.hidden(1) == 3);
    let end = json!({"kind": "end", "because": "không dùng nữa"});
    assert_eq!(api.call("POST", "/api/v1/exceptions/1/changes", &end).status, 200);
    api.send(&line(90, "backup"));
    wait_for("it is shown again", PATIENCE, || api.alerts().len() == 5);
    assert_eq!(api.hidden(1), 3);
    let again = api.call("POST", "/api/v1/exceptions/1/changes", &end);
    assert_eq!(again.status, 422, "it has ended");
    let wide = api.call("POST", "/api/v1/exceptions/preview", &wanted(wide, false)).json();
    assert_eq!(wide["days"], json!(30));
    server.stop();
}
