//! Rules proven alive on a live server: green when the canary was seen and the source sends, red within one run
//! when a mapping breaks, red when the source stops; and nothing of it anywhere else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, request, stdout, token, wait_for};

const GOOD: &str = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01";
const BROKEN: &str = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02";
const MANY: &str = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a03";
const BARE: &str = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a04";
const IMPOSSIBLE: &str = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a05";

fn rule(id: &str, field: &str) -> String {
    format!(
        "title: {field}\nid: {id}\nname: r{}\nstatus: test\nlevel: high\nlogsource: {{product: windows, service: security}}\n\
         detection:\n  selection:\n    EventID: 4625\n    {field}: an\n  condition: selection\ntags: [attack.t1110]\n",
        &id[id.len() - 1..]
    )
}

fn line(user: &str) -> String {
    json!({"@timestamp": "2026-02-03T04:05:06Z", "EventID": 4625, "Channel": "Security", "Computer": "may-01", "TargetUserName": user})
        .to_string()
}

fn sample(lines: &[String]) -> String {
    format!("{}\n", json!({"expect": "match", "profile": null, "lines": lines, "why": "x"}))
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// A folder of rules: one that works, one whose field no longer maps, a correlation, one without a sample, one that
/// can never match.
fn rules(folder: &Path) {
    write(folder, "good.yml", &rule(GOOD, "TargetUserName"));
    write(folder, "good.samples.jsonl", &sample(&[line("an")]));
    write(folder, "broken.yml", &rule(BROKEN, "TargetUserNameOld"));
    write(folder, "broken.samples.jsonl", &sample(&[line("an")]));
    let many = format!(
        "title: Many\nid: {MANY}\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [r1]\n  group-by: [TargetUserName]\n  \
         timespan: 5m\n  condition: {{gte: 3}}\n  generate: true\n"
    );
    write(folder, "many.yml", &many);
    write(folder, "many.samples.jsonl", &sample(&vec![line("an"); 3]));
    write(folder, "bare.yml", &rule(BARE, "Computer"));
    write(
        folder,
        "impossible.yml",
        &rule(IMPOSSIBLE, "Computer").replace("Computer: an", "Computer: an\n    Computer|contains: o"),
    );
}

fn send(http: SocketAddr, push: &str, user: &str) {
    let body = format!("{}\n", line(user));
    let answer = request(http, "POST", "/api/v1/events", &[("Authorization", push)], body.as_bytes());
    assert_eq!(answer.unwrap().status, 200);
}

#[test]
fn a_rule_is_green_when_proven_and_red_when_its_mapping_or_its_source_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let (data, pack, config) = (folder.path().join("data"), folder.path().join("rules"), folder.path().join("c.toml"));
    std::fs::create_dir(&pack).unwrap();
    std::fs::create_dir(&data).unwrap();
    rules(&pack);
    std::fs::write(&config, "[canary]\nfirst_after_s = 0\nsource_silent_s = 20\n").unwrap();
    let bearer = |name: &str, role: &str| format!("Bearer {}", token(&data, name, role, None));
    let (push, admin) = (bearer("a", "ingest"), bearer("b", "admin"));
    let server = Server::start(&data, &["--config", config.to_str().unwrap(), "--rules", pack.to_str().unwrap()]);
    let get = |path: &str| request(server.http, "GET", path, &[("Authorization", &admin)], b"").unwrap();
    let alive = |id: &str| -> Value { get(&format!("/api/v1/rules/{id}")).json()["alive"].clone() };

    wait_for("the first run", PATIENCE, || alive(GOOD)["proven_at"].is_string());
    wait_for("its end", PATIENCE, || {
        alive(BROKEN)["light"] == "red" && [BARE, MANY].iter().all(|id| alive(id)["proven_at"].is_string())
    });
    // No source ever sent such a thing: proven, and still not green.
    assert_eq!(
        (&alive(GOOD)["light"], &alive(GOOD)["reason"]),
        (&json!("amber"), &json!("no-source")),
        "{}",
        alive(GOOD)
    );
    assert_eq!(alive(BROKEN)["reason"], json!("field"), "{}", alive(BROKEN));
    assert!(alive(BROKEN)["detail"].as_str().unwrap().contains("TargetUserNameOld: absent"), "{}", alive(BROKEN));
    // Without a sample a canary is made of the condition, and goes the same way; where none can be, that is said.
    assert_eq!((&alive(BARE)["reason"], &alive(BARE)["is_made"]), (&json!("no-source"), &json!(true)));
    assert_eq!(alive(GOOD)["is_made"], json!(false));
    assert_eq!(alive(IMPOSSIBLE)["reason"], json!("no-canary"));
    assert_eq!(alive(IMPOSSIBLE)["detail"], json!("no value found for Computer"));
    assert!(alive(MANY)["proven_at"].is_string(), "{}", alive(MANY));

    // Canaries are nowhere else.
    for path in ["/api/v1/alerts", "/api/v1/incidents", "/api/v1/search?q="] {
        assert_eq!(get(path).json()["total"], json!(0), "{path}");
    }
    assert_eq!(get("/api/v1/sources").json()["sources"], json!([]));
    let count = stdout(&["search", "*", "--count", "--data", data.to_str().unwrap()]);
    assert_eq!(count.trim(), "0");

    // The source sends: green. One real sign-in is counted with no canary: the correlation stays silent.
    send(server.http, &push, "an");
    wait_for("green", PATIENCE, || alive(GOOD)["light"] == "green");
    assert_eq!(alive(MANY)["light"], json!("green"));
    wait_for("the real one", PATIENCE, || get("/api/v1/alerts").json()["total"] == json!(1));
    let coverage = get("/api/v1/coverage").json();
    let cell = |coverage: &Value| coverage["techniques"].as_array().unwrap()[0]["state"].clone();
    assert_eq!(cell(&coverage), json!("green"), "{coverage}");
    // What stands between a rule and a source is named.
    let fit = |id: &str| get(&format!("/api/v1/rules/{id}/sources")).json();
    wait_for("what it sends", PATIENCE, || fit(GOOD)["counts"] == json!([0, 0, 1, 0, 0]));
    // From here on it goes on with what no rule is about, however long the questions take.
    let is_over = Arc::new(AtomicBool::new(false));
    let sender = {
        let (is_over, push, http) = (is_over.clone(), push.clone(), server.http);
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                send(http, &push, "khac");
                std::thread::sleep(Duration::from_secs(1));
            }
        })
    };
    let lacks = fit(BROKEN);
    assert_eq!(
        (&lacks["counts"], &lacks["sources"][0]["fields"]),
        (&json!([1, 0, 0, 0, 0]), &json!(["TargetUserNameOld"]))
    );
    let source = lacks["sources"][0]["source"].as_str().unwrap().to_owned();
    let of_source = get(&format!("/api/v1/sources/rules?source={source}")).json();
    assert_eq!(of_source["rules"][0]["state"], json!("missing"), "what lacks something comes first: {of_source}");
    assert_eq!(get("/api/v1/sources/rules?source=nobody").status, 404);
    let matrix = |query: &str| get(&format!("/api/v1/coverage/sources?{query}")).json();
    let lacking = matrix("state=missing&module=windows");
    assert_eq!(lacking["sources"][0]["source"], json!(source), "{lacking}");
    let broken = lacking["rules"].as_array().unwrap().iter().find(|rule| rule["id"] == BROKEN).unwrap();
    assert_eq!(broken["cells"][0]["fields"], json!(["TargetUserNameOld"]));
    assert!(!lacking.to_string().contains(GOOD), "that one can match");
    assert!(matrix("state=can").to_string().contains(GOOD));
    assert_eq!(
        (matrix("module=linux")["sources"].clone(), matrix("skip_sources=1")["sources"].clone()),
        (json!([]), json!([]))
    );
    assert_eq!(matrix("text=xxxx")["rules_total"], json!(0));
    is_over.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    // It stops: red within the time a source may be silent.
    wait_for("red", PATIENCE, || alive(GOOD)["light"] == "red");
    assert_eq!(alive(GOOD)["reason"], json!("source-silent"));
    assert_ne!(cell(&get("/api/v1/coverage").json()), json!("green"));
    let listed = get("/api/v1/rules?light=red").json();
    assert!(listed["rules"].as_array().unwrap().iter().any(|row| row["id"] == GOOD), "{listed}");
    server.stop();

    // After a restart it is still known that the source had sent, and what.
    let server = Server::start(&data, &["--config", config.to_str().unwrap(), "--rules", pack.to_str().unwrap()]);
    let answer =
        request(server.http, "GET", &format!("/api/v1/rules/{GOOD}"), &[("Authorization", &admin)], b"").unwrap();
    assert_eq!(answer.json()["alive"]["light"], json!("red"), "{}", answer.body);
    let again = || {
        let path = format!("/api/v1/rules/{BROKEN}/sources");
        request(server.http, "GET", &path, &[("Authorization", &admin)], b"").unwrap().json()["counts"].clone()
    };
    wait_for("learned from what is stored", PATIENCE, || again() == json!([1, 0, 0, 0, 0]));
    server.stop();
    stdout(&["verify", "--data", data.to_str().unwrap()]);
}
