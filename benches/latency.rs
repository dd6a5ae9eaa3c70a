//! Receipt to alert: a paced stream of syslog lines over TCP into a real server with every rule there is, and the
//! time from when a line was due to when its alert stands in the API. With it what must be published with it: what
//! was lost, and whether every match was found.
//!
//! The stream is lines of our own day with their times moved to now; twenty a second are markers: on a host of its own
//! an account is added to `sudo`, which a rule of our pack finds. A marker's time begins when it was due by the pace, not
//! when it could be written, so a server that lets its senders wait does not look fast. The alerts are asked for
//! every [`POLL`]. Recall: the server's count of rule matches beside that of the naive engine, which has looked at
//! each distinct line once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nhatle_collector::{Settings, to_event};
use nhatle_engine::detect::naive;
use nhatle_event::{Clock, Record, SystemClock, Timestamp};
use nhatle_rules::{LoadOptions, RuleSet};

use crate::server::{metric, program, serve_with};
use crate::{input, report};

/// `user_added_to_admin_group.yml`.
const MARKER_RULE: &str = "9c844149-082a-43c5-a966-1f1e84ed84f9";
const MARKERS_A_SECOND: u64 = 20;
const CONNECTIONS: usize = 4;
/// How many distinct lines the stream repeats.
const DISTINCT: usize = 2_000;
const TICK: Duration = Duration::from_millis(5);
const POLL: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_secs(120);
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A line without its time.
struct Line {
    head: Vec<u8>,
    tail: Vec<u8>,
    is_5424: bool,
    /// Rules that match it, as the naive engine says.
    matches: u64,
}

pub fn run() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (rate, seconds) = (number("NHATLE_BENCH_RATE", 50_000), number("NHATLE_BENCH_SECONDS", 30));
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("nhatle.toml"));
    let paths: Vec<_> = input::corpus().map(|folder| folder.join("sigma/rules")).into_iter().collect();
    std::fs::write(&config, format!("[rules]\npaths = {paths:?}\n[canary]\nenabled = false\n")).unwrap();
    let rules = RuleSet::load_with(&nhatle::ruleset::builtin_texts(), &paths, &LoadOptions::default());
    let lines = lines(&rules);
    let token = token(&data);
    let (server, http, tcp, _) = serve_with(&data, &["--config".into(), config.into_os_string()]);
    let cpu = server.cpu_s();
    let (is_sent, began) = (AtomicBool::new(false), Instant::now());
    let (sent, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&http, &token, &is_sent, (began, rate * seconds)));
        let sent = send(&tcp, &lines, (rate, seconds), began);
        is_sent.store(true, Ordering::Relaxed);
        (sent, watcher.join().unwrap())
    });
    let of = |name: &str| metric(&http, name);
    let name = |what: &str| format!("{rate}/s for {seconds} s, {} rules: {what}", rules.rules.len());
    let row = |what: &str, unit: &str, figure: f64| report("latency", &name(what), unit, vec![figure]);
    let mut took: Vec<f64> = seen
        .iter()
        .filter_map(|(number, at)| Some((at.checked_sub(*sent.due.get(*number)?)?).as_secs_f64() * 1e3))
        .collect();
    took.sort_by(f64::total_cmp);
    let at =
        |share: f64| took.get(((took.len() as f64 * share).ceil() as usize).max(1) - 1).copied().unwrap_or(f64::NAN);
    row("p50", "ms", at(0.5));
    row("p99", "ms", at(0.99));
    row("max", "ms", at(1.0));
    row("markers with an alert", "", took.len() as f64);
    row("markers", "", sent.due.len() as f64);
    row("really sent", "events/s", sent.count as f64 / sent.took.as_secs_f64());
    let stored = of("nhatle_events_stored_total") + of("nhatle_dead_letters_total");
    row("lost (sent less stored)", "events", sent.count as f64 - stored);
    row("rule matches found", "", of("nhatle_matches_total") - of("nhatle_correlation_firings_total"));
    row("rule matches of the naive engine", "", sent.matches as f64);
    row("firings of correlations", "", of("nhatle_correlation_firings_total"));
    row("alerts", "", of("nhatle_alerts_total"));
    row("CPU until the last alert", "us/event", (server.cpu_s() - cpu) * 1e6 / sent.count as f64);
    row("peak memory", "MiB", server.memory_mb("VmHWM"));
}

/// Distinct lines of the day whose time can be moved, with what the naive engine finds in each.
fn lines(rules: &RuleSet) -> Vec<Line> {
    let day: Vec<Record> = input::day().into_iter().filter(|record| record.bytes.starts_with(b"<")).collect();
    let step = (day.len() / DISTINCT).max(1);
    let mut lines = Vec::new();
    for record in day.iter().step_by(step) {
        let Some(mut line) = split(&record.bytes) else { continue };
        let mut bare = record.clone();
        (bare.profile, bare.unit) = (None, None);
        let Ok(event) = to_event(&bare, &Settings::default()) else { continue };
        line.matches = naive::detect(rules, &[event]).len() as u64;
        lines.push(line);
    }
    lines
}

fn split(bytes: &[u8]) -> Option<Line> {
    let head = bytes.iter().position(|byte| *byte == b'>')? + 1;
    let is_5424 = bytes[head..].starts_with(b"1 ");
    let head = if is_5424 { head + 2 } else { head };
    let is_3164 = MONTHS.iter().any(|month| bytes[head..].starts_with(month.as_bytes()));
    let length = match (is_5424, is_3164) {
        (true, _) => bytes[head..].iter().position(|byte| *byte == b' ')?,
        (_, true) => 15,
        _ => return None,
    };
    let tail = bytes.get(head + length..)?.to_vec();
    Some(Line { head: bytes[..head].to_vec(), tail, is_5424, matches: 0 })
}

struct Sent {
    count: u64,
    matches: u64,
    took: Duration,
    /// Of each marker, since the beginning.
    due: Vec<Duration>,
}

fn send(address: &str, lines: &[Line], (rate, seconds): (u64, u64), began: Instant) -> Sent {
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let marker_every = (rate / MARKERS_A_SECOND).max(1);
    let mut sent = Sent { count: 0, matches: 0, took: Duration::ZERO, due: Vec::new() };
    let (mut buffer, mut turn) = (Vec::new(), 0);
    while sent.count < rate * seconds {
        let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
        // So that a batch belongs to one tick even where the sender was held up.
        let upto = due.min(rate * seconds).min(sent.count + rate / 50 + 1);
        let now = times(SystemClock.now());
        buffer.clear();
        while sent.count < upto {
            if sent.count.is_multiple_of(marker_every) {
                let number = sent.due.len();
                sent.due.push(Duration::from_secs_f64(sent.count as f64 / rate as f64));
                write!(buffer, "<86>1 {} marker{number} usermod 7 - - add 'deploy' to group 'sudo'", now.0).unwrap();
                sent.matches += 1;
            } else {
                let line = &lines[(sent.count % lines.len() as u64) as usize];
                let time = if line.is_5424 { &now.0 } else { &now.1 };
                buffer.extend([&line.head, time.as_bytes(), &line.tail].into_iter().flatten());
                sent.matches += line.matches;
            }
            buffer.push(b'\n');
            sent.count += 1;
        }
        streams[turn % CONNECTIONS].write_all(&buffer).unwrap();
        turn += 1;
        if due <= sent.count {
            std::thread::sleep(TICK);
        }
    }
    sent.took = began.elapsed();
    sent
}

/// Now as RFC 5424 and RFC 3164 have it.
fn times(now: Timestamp) -> (String, String) {
    let civil = now.civil_at(nhatle::demo::ZONE_S);
    let month = MONTHS[civil.month as usize - 1];
    let old = format!("{month} {:>2} {:02}:{:02}:{:02}", civil.day, civil.hour, civil.minute, civil.second);
    (Timestamp::from_millis(now.millis()).to_string(), old)
}

/// When each marker's alert was first seen, by number.
fn watch(http: &str, token: &str, is_sent: &AtomicBool, (began, count): (Instant, u64)) -> BTreeMap<usize, Duration> {
    let mut seen = BTreeMap::new();
    let mut api = BufReader::new(TcpStream::connect(http).unwrap());
    let mut limit = 50;
    let mut quiet: Option<Instant> = None;
    loop {
        let before = seen.len();
        let path = format!("/api/v1/alerts?rule={MARKER_RULE}&sort=newest&limit={limit}");
        let body = get(&mut api, http, token, &path);
        let at = began.elapsed();
        for number in markers(&body) {
            seen.entry(number).or_insert(at);
        }
        // A page full of news: there may be more behind it.
        limit = if seen.len() - before < limit / 2 { 50 } else { 500 };
        if is_sent.load(Ordering::Relaxed) {
            if before < seen.len() {
                quiet = None;
            }
            let since = *quiet.get_or_insert_with(Instant::now);
            let stored = || metric(http, "nhatle_events_stored_total") + metric(http, "nhatle_dead_letters_total");
            let is_over = Duration::from_secs(5) < since.elapsed() && count as f64 <= stored();
            if is_over || WAIT_MAX < since.elapsed() {
                return seen;
            }
        }
        std::thread::sleep(POLL);
    }
}

/// The numbers of the markers named in an answer.
fn markers(body: &str) -> impl Iterator<Item = usize> {
    body.split("marker")
        .skip(1)
        .filter_map(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok())
}

fn get(api: &mut BufReader<TcpStream>, host: &str, token: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
    api.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut length, mut line) = (0, String::new());
    while line != "\r\n" {
        line.clear();
        api.read_line(&mut line).unwrap();
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    api.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn token(data: &Path) -> String {
    let mut command = std::process::Command::new(program());
    command.args(["token", "add", "bench", "--role", "admin", "--data"]).arg(data);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}
