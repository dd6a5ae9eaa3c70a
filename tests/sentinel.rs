//! The sentinel end to end: a server that has learned the rhythm of its sources says by itself that one is silent, floods,
//! has a wrong clock, that a unit's line is down; says nothing where that is usual or planned; and takes it back.
//!
//! Two weeks are learned beforehand, by the same code, and left in the data folder as an earlier life of the server would
//! have: with the last record of some sources some fourteen minutes ago. Nothing waits but for the server's next look.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nhatle_engine::rhythm::{Beat, Calendar, Sentinel};
use nhatle_event::{Clock, SystemClock, Timestamp};
use nhatle_storage::OsDisk;
use serde_json::{Value, json};

use crate::pages::{PASSWORD, Visitor, add_user, csrf};
use crate::support::{PATIENCE, Server, request, token, wait_for};

const SECOND_NS: i64 = 1_000_000_000;
/// Two weeks and a day: less is too little to call an hour a flood, whatever day the test is run on. The first hour is known in part
/// and does not count, and on a Saturday each one does.
const LEARNED_S: i64 = 15 * 86_400;
/// How often each source speaks while it is learned, and how often time passes.
const BEAT_S: i64 = 120;
/// Told between 14 and 14.5 minutes; the server looks each quarter of a minute. Half a minute before that: learning and
/// starting take some seconds, and more on a slow machine, before it is asked whether anything is too long yet.
const SILENT_S: i64 = 811;

/// Name, unit, and how long ago its last record was.
const SOURCES: &[(&str, Option<&str>, i64)] = &[
    ("fw-01", Some("DH01"), SILENT_S),
    // Silent for five minutes, of fourteen: nothing is to be said.
    ("sw-01", Some("DH03"), 300),
    // As silent as the first, and planned.
    ("nas-02", Some("DH04"), SILENT_S),
    // A whole unit.
    ("cam-21", Some("DH02"), SILENT_S),
    ("cam-22", Some("DH02"), SILENT_S),
    ("cam-23", Some("DH02"), SILENT_S),
    // Speak as they always do, until the test lets them flood, or sets their clock.
    ("web-05", Some("DH05"), 60),
    ("cam-06", Some("DH06"), 60),
];

/// What a server knows after two weeks of these sources, up to this moment.
fn learned(now: Timestamp) -> Vec<u8> {
    let mut sentinel = Sentinel::new(Calendar::parse("", 7 * 3_600).unwrap());
    for passed_s in (0..=LEARNED_S).step_by(usize::try_from(BEAT_S).unwrap()) {
        let at = now.plus_nanos((passed_s - LEARNED_S) * SECOND_NS);
        for (source, unit, silent_s) in SOURCES {
            // Not all in the same second; the last one exactly so long ago.
            let last = at.plus_nanos(-(silent_s % BEAT_S) * SECOND_NS);
            if silent_s * SECOND_NS <= now.since(last) {
                let offsets_ms = [-200, -250, -300];
                sentinel.see(&Beat { source, unit: *unit, count: 2, last, offsets_ms: &offsets_ms, addresses: &[] });
            }
        }
        let said = sentinel.tick(at, |_, _| false);
        assert_eq!(said, [], "two quiet weeks");
    }
    sentinel.state()
}

struct City {
    server: Server,
    bearer: String,
}

impl City {
    /// A server that was away for a moment only.
    fn start(folder: &Path) -> City {
        let data = folder.join("data");
        add_user(&data);
        let bearer = format!("Bearer {}", token(&data, "admin", "admin", None));
        let config = config(folder);
        let start = || Server::start(&data, &["--config", config.to_str().unwrap()]);
        let city = City { server: start(), bearer };
        // Only of who has sent an outage can be planned.
        city.send("nas-02", 1, 0);
        let until = SystemClock.now().plus_nanos(3_600 * SECOND_NS).to_string();
        let outage = json!({ "source": "nas-02", "until": until, "reason": "thay nguồn điện" });
        wait_for("the outage is planned", PATIENCE, || city.ask("POST", "/api/v1/outages", &outage).0 == 201);
        let City { server, bearer } = city;
        server.stop();
        let state = learned(SystemClock.now());
        nhatle::state::keep(&OsDisk::new(&data).unwrap(), "state/rhythm.ckpt", &state).unwrap();
        City { server: start(), bearer }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("Authorization", self.bearer.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = request(self.server.http, method, path, &headers, body.as_bytes()).unwrap();
        (answer.status, answer.json())
    }

    /// The alerts of the sentinel's own rules, oldest first: rule and what is said in English.
    fn said(&self) -> Vec<(String, String)> {
        let (_, page) = self.ask("GET", "/api/v1/alerts?limit=100", &Value::Null);
        let text = |alert: &Value, name: &str| alert[name].as_str().unwrap_or_default().to_owned();
        let rows = page["alerts"].as_array().unwrap().iter();
        rows.map(|alert| (text(alert, "rule_id"), alert["sentence"].to_string())).collect()
    }

    /// Waits for an alert of this kind that names this.
    fn hears(&self, kind: &str, name: &str) {
        let rule = format!("nhatle-source-{kind}");
        let is_there = || self.said().iter().any(|(id, sentence)| *id == rule && sentence.contains(name));
        wait_for(&format!("{kind} of {name}"), PATIENCE, is_there);
    }

    /// The same, while this is sent again and again: an hour may begin, and a look sees some readings of a clock only.
    fn hears_while(&self, kind: &str, name: &str, send: impl Fn()) {
        let mut sent = None;
        let rule = format!("nhatle-source-{kind}");
        wait_for(&format!("{kind} of {name}"), PATIENCE, || {
            if sent.is_none_or(|at: Instant| Duration::from_secs(5) <= at.elapsed()) {
                send();
                sent = Some(Instant::now());
            }
            self.said().iter().any(|(id, sentence)| *id == rule && sentence.contains(name))
        });
    }

    /// The alert about the silence of this source.
    fn silence(&self, name: &str) -> Value {
        let (_, page) = self.ask("GET", "/api/v1/alerts?rule=nhatle-source-silence&limit=100", &Value::Null);
        let rows = page["alerts"].as_array().unwrap();
        rows.iter().find(|row| row["sentence"].to_string().contains(name)).cloned().unwrap_or_default()
    }

    /// Sends so many lines of a host whose clock is ahead by this much.
    fn send(&self, host: &str, lines: usize, ahead_s: i64) {
        let mut stream = TcpStream::connect(self.server.syslog_tcp).unwrap();
        let at = Timestamp(SystemClock.now().plus_nanos(ahead_s * SECOND_NS).0 / SECOND_NS * SECOND_NS);
        let lines: String = (0..lines).map(|line| format!("<13>1 {at} {host} app - - - dong {line}\n")).collect();
        stream.write_all(lines.as_bytes()).unwrap();
    }
}

/// Without holidays, so that the day of the test is none.
fn config(folder: &Path) -> PathBuf {
    let days_off = folder.join("days_off.txt");
    std::fs::write(&days_off, "").unwrap();
    let config = folder.join("nhatle.toml");
    let text = format!("[sentinel]\ndays_off = \"{}\"\n[canary]\nenabled = false\n", days_off.display());
    std::fs::write(&config, text).unwrap();
    config
}

#[test]
fn silence_flood_wrong_clock_and_a_line_that_is_down_are_told_and_what_is_usual_or_planned_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::start(folder.path());
    assert_eq!(city.said(), [], "nothing is too long yet");

    city.hears("silence", "fw-01");
    city.hears("line", "DH02");
    let said = city.said();
    let told: Vec<&str> = said.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(told.len(), 2, "once each, and of nobody else: {said:?}");
    let line = &said.iter().find(|(rule, _)| rule == "nhatle-source-line").unwrap().1;
    assert!(["cam-21", "cam-22", "cam-23"].iter().all(|name| line.contains(name)), "{line}");
    shown_on_the_page(&city);

    // The others are told while they send: far too much, and an hour ahead.
    city.hears_while("flood", "web-05", || city.send("web-05", 1_000, 0));
    city.hears_while("clock", "cam-06", || city.send("cam-06", 20, 3_600));

    // It speaks again: the alert is closed, and says so.
    assert_eq!(city.silence("fw-01")["status"], "new");
    city.send("fw-01", 1, 0);
    wait_for("the silence is over", PATIENCE, || city.silence("fw-01")["status"] == "closed");
    let id = city.silence("fw-01")["id"].as_str().unwrap().to_owned();
    let (_, alert) = city.ask("GET", &format!("/api/v1/alerts/{id}"), &Value::Null);
    assert!(alert.to_string().contains("sends again after"), "{alert}");
    let quiet = city.said();
    assert!(!quiet.iter().any(|(_, sentence)| sentence.contains("nas-02") || sentence.contains("sw-01")), "{quiet:?}");
    city.server.stop();
}

/// In the queue and on its own page, by name, for who looks with a browser.
fn shown_on_the_page(city: &City) {
    let mut visitor = Visitor { web: city.server.http, cookies: Vec::new() };
    let page = visitor.get("/login");
    let form = format!("csrf={}&user=lan&password={}", csrf(&page), PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.post("/login", &form).status, 303);
    let id = city.silence("fw-01")["id"].as_str().unwrap().to_owned();
    for path in ["/alerts".to_owned(), format!("/alerts/{id}")] {
        let page = visitor.get(&path);
        assert!(page.body.contains("Nguồn fw-01 đã im lặng"), "{path}: {}", page.body);
    }
}
