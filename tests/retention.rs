//! Retention on a running server: old segments go, held ones stay, what is old is archived; the page, the API, the register
//! and the log of the proof tell it.
//!
//! In: a store whose segments were sealed in the past, by a clock of the test's own; a rule of twelve months.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nhatle::pki::heads;
use nhatle_event::{Clock, Event, SystemClock, Text, Timestamp};
use nhatle_storage::{Config, Dataset, OsDisk, Store};
use serde_json::{Value, json};

use crate::pages::{PASSWORD, Visitor, add_user, csrf};
use crate::proof::{python, text, verify};
use crate::support::{PATIENCE, Server, request, token, wait_for};

const DAY_NS: i64 = 86_400 * 1_000_000_000;

struct Then(AtomicI64);

impl Clock for Then {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A segment of 50 events for each of these ages in days, oldest first.
fn store(data: &Path, ages: &[i64]) {
    std::fs::create_dir_all(data).unwrap();
    let now = SystemClock.now();
    let clock = Arc::new(Then(AtomicI64::new(0)));
    let disk = Arc::new(OsDisk::new(data).unwrap());
    clock.0.store(now.0 - ages[0] * DAY_NS, Ordering::Relaxed);
    let store = Store::open(disk, Config::default(), clock.clone()).unwrap();
    store.sign_with(heads::open_or_make(data).unwrap());
    for age in ages {
        let at = Timestamp(now.0 - age * DAY_NS);
        clock.0.store(at.0, Ordering::Relaxed);
        let event = |n: i64| {
            let mut event =
                Event::new(at.plus_nanos(-n * 1_000_000), format!("line {n} of {age} days ago").into_bytes());
            event.set_named("event.module", Text::from("linux"));
            event.set_named("host.name", Text::from(format!("may-{age}").as_str()));
            (Dataset::Events, event)
        };
        store.append((0..50).map(event).collect(), &[]).unwrap();
        store.seal().unwrap();
    }
}

/// What the log of the proof says of this kind.
fn logged(data: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(data.join("proof/log.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn old_segments_go_held_ones_stay_and_everything_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    store(&data, &[430, 400, 160, 5]);
    let sealed = logged(&data, "segment");
    assert_eq!(sealed.len(), 4);
    add_user(&data);
    let admin = format!("Bearer {}", token(&data, "boss", "admin", None));
    let analyst = format!("Bearer {}", token(&data, "reader", "analyst", None));
    let config = folder.path().join("nhatle.toml");
    let rule = "[[retention]]\nonline_months = 3\narchive_months = 9\nbasis = \"Quy chế <điều 7>\"\n";
    std::fs::write(&config, format!("[sentinel]\nenabled = false\n{rule}")).unwrap();
    let server = Server::start(&data, &["--config", text(&config)]);
    let call = |method: &str, path: &str, bearer: &str, body: Value| {
        let headers = [("Authorization", bearer), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        request(server.http, method, path, &headers, body.as_bytes()).unwrap()
    };
    let view = || call("GET", "/api/v1/retention", &analyst, Value::Null).json();
    let before = view();
    assert_eq!((&before["due_count"], &before["held_count"]), (&json!(2), &json!(0)), "{before}");
    assert_eq!(before["rules"][0]["minimum"]["months"], 12, "{before}");
    let next = before["segments"].as_array().unwrap().iter().find(|one| one["state"] == "next").unwrap();
    assert_eq!(next["dir"], sealed[2]["dir"], "of those that stay the oldest goes next");

    // A hold over the second one; who may, and what makes no sense.
    let moment = |age: i64| Timestamp(SystemClock.now().0 - age * DAY_NS).to_string();
    let hold = |until: i64, reason: &str| json!({ "from": moment(401), "to": moment(399), "until": moment(until), "reason": reason });
    let place = |bearer: &str, hold: Value| call("POST", "/api/v1/retention/holds", bearer, hold).status;
    assert_eq!(place(&analyst, hold(-30, "điều tra vụ 12")), 403);
    assert_eq!(place(&admin, hold(30, "điều tra vụ 12")), 422, "its end is past");
    assert_eq!(place(&admin, hold(-30, " ")), 422, "no reason");
    assert_eq!(place(&admin, hold(-30, "điều tra vụ 12")), 201);
    let held = view();
    assert_eq!((&held["due_count"], &held["held_count"]), (&json!(1), &json!(1)), "{held}");
    assert_eq!((&held["holds"][0]["is_in_force"], &held["holds"][0]["by"]), (&json!(true), &json!("token:boss")));

    // Nothing goes by itself in the first hour; asked for, it goes.
    assert!(data.join(sealed[0]["dir"].as_str().unwrap()).exists());
    assert_eq!(call("POST", "/api/v1/retention/run", &analyst, Value::Null).status, 403);
    assert_eq!(call("POST", "/api/v1/retention/run", &admin, Value::Null).status, 202);
    let mut after = Value::Null;
    wait_for("the job, and the archive", PATIENCE, || {
        after = view();
        let archived = after["datasets"].as_array().unwrap().iter().map(|one| one["archived"].as_u64().unwrap());
        after["jobs"][0]["done"].is_string() && archived.sum::<u64>() == 2
    });
    let gone = &after["jobs"][0];
    assert_eq!(
        (&gone["by"], &gone["segment_count"], &gone["events"]),
        (&json!("token:boss"), &json!(1), &json!(50)),
        "{gone}"
    );
    assert_eq!((&gone["segments"][0]["root"], &gone["segments"][0]["dir"]), (&sealed[0]["root"], &sealed[0]["dir"]));
    assert_eq!((&after["due_count"], &after["held_count"], &after["to_archive"]), (&json!(0), &json!(1), &json!(0)));
    assert!(after["look_at"].is_string(), "{after}");
    let dropped = logged(&data, "dropped");
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0]["dirs"], json!([sealed[0]["dir"]]));
    wait_for("its folder to go", PATIENCE, || !data.join(sealed[0]["dir"].as_str().unwrap()).exists());
    for (age, total) in [(430, 0), (400, 50), (160, 50), (5, 50)] {
        let found = call("GET", &format!("/api/v1/search?q=host.name:may-{age}"), &analyst, Value::Null).json();
        assert_eq!(found["total"], total, "{age}: {found}");
    }

    // The page, in both languages, without JavaScript.
    let mut visitor = Visitor { web: server.http, cookies: Vec::new() };
    let login = format!("csrf={}&user=lan&password={}", csrf(&visitor.get("/login")), PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.post("/login", &login).status, 303);
    for (language, words) in [("vi", ["Lệnh giữ", "Đã bỏ", "đang giữ"]), ("en", ["Legal holds", "What went", "held"])]
    {
        let page = visitor.get(&format!("/retention?lang={language}")).body;
        for word in words.into_iter().chain([
            gone["segments"][0]["root"].as_str().unwrap(),
            "điều tra vụ 12",
            "TCVN 14423:2026",
        ]) {
            assert!(page.contains(word), "no {word:?} in {page}");
        }
        assert!(page.contains("&#60;điều 7&#62;") && !page.contains("<điều 7>"), "{page}");
        assert!(!page.contains("action=\"/retention/holds\""), "an analyst changes nothing: {page}");
    }

    // The hold ends, and the next run takes it.
    let release = json!({ "kind": "release", "reason": "vụ đã khép lại" });
    assert_eq!(call("POST", "/api/v1/retention/holds/9/changes", &admin, release.clone()).status, 404);
    assert_eq!(call("POST", "/api/v1/retention/holds/1/changes", &admin, release).status, 200);
    assert_eq!(call("POST", "/api/v1/retention/run", &admin, Value::Null).status, 202);
    wait_for("the second job", PATIENCE, || view()["jobs"][1]["done"].is_string());
    assert_eq!(view()["held_count"], 0);
    server.stop();
    let (code, said) = verify(&["--data", text(&data), "--deep"]);
    assert_eq!(code, Some(0), "{said}");
    if let Some((code, said)) = python(&["--store", text(&data)]) {
        assert_eq!(code, 0, "{said}");
    }
}
