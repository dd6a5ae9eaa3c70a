//! The fault table: every way of sending beside every fault, counted line by line.
//!
//! All transports send at once to one server; in the middle the fault comes. Where a transport acknowledges, what was
//! acknowledged must be stored (lost = 0), and once (doubled = 0), with ids and without. The table goes to standard
//! output. A short run by default; `NHATLE_FAULTS=full` runs every fault with more lines (docs/faults.md). Faults of a ward's own
//! machine stand in [`ward`], of certificates in [`identity`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nhatle::pki::Authority;
use nhatle_event::{Clock, SystemClock};
use serde_json::{Value, json};

use self::proxy::Proxy;
use crate::overload::SmallDisk;
use crate::support::{PATIENCE, Server, ports, request, stdout, token, wait_for};
use crate::tls;

mod clock;
mod identity;
pub mod proxy;
mod senders;
mod ward;

/// Lines of one request, or unanswered at once.
const BATCH: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Terminate,
    /// Killed while it has stored and its answers are on the way.
    KillUnheard,
    Cut,
    /// Cut while it has stored and its answers are on the way.
    CutUnheard,
    SlowReader,
    DiskFull,
    Overload,
    /// The configuration is read anew, with other limits, without some inputs and with them again.
    Reload,
    /// The server's clock is set a day ahead, and right again.
    ClockAhead,
    /// A day back.
    ClockBack,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill -9",
            Fault::Terminate => "SIGTERM",
            Fault::KillUnheard => "kill -9, answers on the way",
            Fault::Cut => "connection cut",
            Fault::CutUnheard => "connection cut, answers on the way",
            Fault::SlowReader => "answers not read for 2 s",
            Fault::DiskFull => "disk full",
            Fault::Overload => "flood by others",
            Fault::Reload => "reload, 4 times",
            Fault::ClockAhead => "clock a day ahead, then right",
            Fault::ClockBack => "clock a day back, then right",
        }
    }
}

/// What is promised.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// No answer: what is on the way may be lost.
    Nothing,
    /// Answered when durable; sent again when not answered, and then not stored twice.
    Once,
}

#[derive(Clone, Copy)]
struct Transport {
    name: &'static str,
    /// Its letter in the lines.
    letter: char,
    promise: Promise,
    send: fn(&Place, &Lines),
}

#[rustfmt::skip]
const TRANSPORTS: [Transport; 11] = [
    Transport { name: "syslog UDP", letter: 'u', promise: Promise::Nothing, send: senders::udp },
    Transport { name: "syslog TCP", letter: 't', promise: Promise::Nothing, send: senders::tcp },
    Transport { name: "syslog TLS", letter: 's', promise: Promise::Nothing, send: senders::syslog_tls },
    Transport { name: "GELF TCP", letter: 'g', promise: Promise::Nothing, send: senders::gelf },
    Transport { name: "RELP", letter: 'r', promise: Promise::Once, send: senders::relp },
    Transport { name: "HTTP NDJSON", letter: 'n', promise: Promise::Once, send: senders::ndjson },
    Transport { name: "`_bulk`", letter: 'b', promise: Promise::Once, send: senders::bulk },
    Transport { name: "HEC", letter: 'h', promise: Promise::Once, send: senders::hec },
    Transport { name: "HEC, asking for acks", letter: 'a', promise: Promise::Once, send: senders::hec_acked },
    Transport { name: "OTLP", letter: 'o', promise: Promise::Once, send: senders::otlp },
    Transport { name: "`nhatle forward`", letter: 'f', promise: Promise::Once, send: senders::forward },
];

/// The lines of one transport, and how far it is.
struct Lines {
    letter: char,
    count: usize,
    sent: AtomicUsize,
    acknowledged: Mutex<Vec<usize>>,
    /// The fault has come; nobody passes the middle before.
    has_come: Arc<AtomicBool>,
}

impl Lines {
    fn text(&self, number: usize) -> String {
        format!("loi{}{number:05}", self.letter)
    }

    /// Batches in order, the second half only once the fault has come.
    fn batches(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        (0..self.count).step_by(BATCH).map(|first| {
            let began = Instant::now();
            while self.count / 2 <= first && !self.has_come.load(Ordering::Acquire) && began.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(Duration::from_millis(5));
            (first..(first + BATCH).min(self.count)).collect()
        })
    }

    fn sent(&self, count: usize) {
        self.sent.fetch_add(count, Ordering::Release);
    }

    fn acknowledged(&self, batch: &[usize]) {
        self.acknowledged.lock().unwrap().extend(batch);
    }
}

/// A server with ports that stay through restarts, each behind a proxy that can cut and hold.
struct Place {
    data: PathBuf,
    config: PathBuf,
    ports: BTreeMap<&'static str, u16>,
    proxies: BTreeMap<&'static str, Proxy>,
    token: String,
    admin: String,
    authority: Authority,
    /// A sender of the city, for TLS.
    tls: rustls::ClientConfig,
    /// A clock of the server's own, that can be set.
    clock: Option<clock::Settable>,
    /// Where whoever writes what is followed has room, also when the disk of the others is full.
    outside: tempfile::TempDir,
}

impl Place {
    fn new(folder: &Path) -> Place {
        let data = folder.join("data");
        std::fs::create_dir(&data).unwrap();
        let bearer = |name: &str, role: &str| format!("Bearer {}", token(&data, name, role, None));
        let (token, admin) = (bearer("sender", "ingest"), bearer("admin", "admin"));
        let ports: BTreeMap<_, _> = ["http", "https", "syslog_tcp", "syslog_tls", "syslog_udp", "relp", "gelf_tcp"]
            .into_iter()
            .map(|name| (name, ports::free()))
            .collect();
        let proxies =
            ports.iter().filter(|(name, _)| **name != "syslog_udp").map(|(name, port)| (*name, Proxy::new(*port)));
        let proxies = proxies.collect();
        let outside = tempfile::tempdir().unwrap();
        let config = folder.join("nhatle.toml");
        let authority = Authority::open(&data, SystemClock.now()).unwrap();
        let tls = tls::paper(folder, &authority, &authority, "loi-s", "DH01", 0).config;
        let place = Place { data, config, ports, proxies, token, admin, authority, tls, clock: None, outside };
        place.configure(&["relp", "gelf_tcp", "syslog_tls"], 4_096);
        place
    }

    /// Writes the configuration with these inputs and this limit.
    fn configure(&self, inputs: &[&str], connections_max: usize) {
        let at = |name: &str| format!("{name} = \"127.0.0.1:{}\"\n", self.ports[name]);
        let inputs: String = inputs.iter().map(|name| at(name)).collect();
        let text = format!(
            "[server]\n{}[collector]\nconnection_count_max = {connections_max}\n{inputs}[canary]\nenabled = false\n",
            at("https")
        );
        std::fs::write(&self.config, text).unwrap();
    }

    /// The file that the forwarder follows.
    fn followed(&self) -> PathBuf {
        self.outside.path().join("followed.log")
    }

    /// The configuration of the forwarder.
    fn forwarder(&self) -> PathBuf {
        let path = self.config.with_file_name("forward.toml");
        let text = format!(
            "server = \"http://{}\"\ntoken = \"{}\"\nname = \"loi-f\"\nstate = \"{}\"\n[[file]]\npath = \"{}\"\n",
            self.reach("http"),
            self.token.trim_start_matches("Bearer "),
            path.with_file_name("ward").display(),
            self.followed().display()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn start(&self) -> Server {
        let at = |name: &str| format!("127.0.0.1:{}", self.ports[name]);
        let (http, tcp, udp) = (at("http"), at("syslog_tcp"), at("syslog_udp"));
        let config = self.config.to_str().unwrap();
        let more = ["--config", config, "--http", &http, "--syslog-tcp", &tcp, "--syslog-udp", &udp];
        Server::start_in(&self.data, &more, &self.clock.as_ref().map(clock::Settable::environment).unwrap_or_default())
    }

    /// Where the input of this name is reached, by way of its proxy.
    fn reach(&self, name: &str) -> SocketAddr {
        self.proxies[name].address
    }

    /// How often each line that the query finds is stored, by its text.
    fn stored(&self, query: &str, limit: usize) -> BTreeMap<String, usize> {
        let (data, limit) = (self.data.to_str().unwrap(), limit.to_string());
        let text = stdout(&["search", query, "--data", data, "--limit", &limit, "--format", "jsonl"]);
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            *found.entry(event["message"].as_str().unwrap().trim().to_owned()).or_insert(0) += 1;
        }
        found
    }
}

/// Others who send as fast as they are let, with a token of their own.
fn flood(place: &Place) -> (Arc<AtomicBool>, Vec<std::thread::JoinHandle<()>>) {
    let is_over = Arc::new(AtomicBool::new(false));
    let bearer = format!("Bearer {}", token(&place.data, "flood", "ingest", None));
    let http: SocketAddr = ([127, 0, 0, 1], place.ports["http"]).into();
    let threads = (0..4).map(|_| {
        let (is_over, bearer) = (is_over.clone(), bearer.clone());
        std::thread::spawn(move || {
            let body = format!("{}\n", json!({"message": "nuoc dang"})).repeat(2_000);
            while !is_over.load(Ordering::Relaxed) {
                drop(request(http, "POST", "/api/v1/events", &[("Authorization", &bearer)], body.as_bytes()));
            }
        })
    });
    let threads = threads.collect();
    (is_over, threads)
}

fn hold(place: &Place, is_holding: bool) {
    place.proxies.values().for_each(|proxy| proxy.is_holding.store(is_holding, Ordering::Release));
}

fn cut(place: &Place) {
    for proxy in place.proxies.values() {
        proxy.cuts.fetch_add(1, Ordering::AcqRel);
    }
}

/// Brings the fault about and ends it; gives the server that runs then.
fn strike(fault: Fault, place: &Place, server: Server, disk: Option<&SmallDisk>, has_come: &AtomicBool) -> Server {
    let come = || has_come.store(true, Ordering::Release);
    match fault {
        Fault::Kill => {
            server.kill();
            come();
            std::thread::sleep(Duration::from_millis(300));
            place.start()
        }
        Fault::KillUnheard => {
            hold(place, true);
            come();
            std::thread::sleep(Duration::from_millis(300));
            server.kill();
            cut(place);
            hold(place, false);
            place.start()
        }
        Fault::Terminate => {
            come();
            server.stop();
            place.start()
        }
        Fault::Cut => {
            come();
            for _ in 0..3 {
                cut(place);
                std::thread::sleep(Duration::from_millis(100));
            }
            server
        }
        Fault::CutUnheard => {
            come();
            for _ in 0..3 {
                hold(place, true);
                std::thread::sleep(Duration::from_millis(300));
                cut(place);
                hold(place, false);
                std::thread::sleep(Duration::from_millis(100));
            }
            server
        }
        Fault::SlowReader => {
            hold(place, true);
            come();
            std::thread::sleep(Duration::from_secs(2));
            hold(place, false);
            server
        }
        Fault::DiskFull => {
            let ballast = disk.expect("asked for").fill();
            come();
            wait_for("it is read-only", PATIENCE, || {
                request(server.http, "GET", "/readyz", &[], b"").unwrap().status == 503
            });
            std::thread::sleep(Duration::from_secs(2));
            std::fs::remove_file(ballast).unwrap();
            server
        }
        Fault::Overload => {
            let (is_over, threads) = flood(place);
            come();
            std::thread::sleep(Duration::from_secs(3));
            is_over.store(true, Ordering::Relaxed);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            server
        }
        Fault::Reload => {
            come();
            reload(place, server.http);
            server
        }
        Fault::ClockAhead | Fault::ClockBack => {
            let clock = place.clock.as_ref().expect("asked for");
            clock.set(if fault == Fault::ClockAhead { "+1d" } else { "-1d" });
            come();
            std::thread::sleep(Duration::from_secs(2));
            wait_for("something is received by it", PATIENCE, || {
                0 < clock.stamped(&place.data, fault == Fault::ClockAhead)
            });
            clock.set("+0d");
            std::thread::sleep(Duration::from_secs(1));
            server
        }
    }
}

/// Other limits, inputs that go and come again; who is connected stays so.
fn reload(place: &Place, http: SocketAddr) {
    for round in 0..4 {
        match round % 2 {
            0 => place.configure(&[], 64),
            _ => place.configure(&["relp", "gelf_tcp", "syslog_tls"], 4_096),
        }
        let answer = request(http, "POST", "/api/v1/reload", &[("Authorization", &place.admin)], b"").unwrap();
        let said = answer.json();
        assert_eq!((answer.status, &said["needs_restart"]), (200, &json!([])), "{said}");
        assert_eq!(said["inputs"], json!(["gelf_tcp", "relp", "syslog_tls"]), "{said}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// One fault with all transports at once: the rows of the table.
fn rows(fault: Fault, count: usize) -> Option<String> {
    let disk = if fault == Fault::DiskFull { Some(SmallDisk::mount(200)?) } else { None };
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::new(disk.as_ref().map_or(folder.path(), |disk| disk.path()));
    if matches!(fault, Fault::ClockAhead | Fault::ClockBack) {
        place.clock = Some(clock::Settable::new(folder.path())?);
    }
    let (place, server) = (&place, place.start());
    let has_come = Arc::new(AtomicBool::new(false));
    let all: Vec<Lines> = TRANSPORTS
        .iter()
        .map(|transport| Lines {
            letter: transport.letter,
            count,
            sent: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
            has_come: has_come.clone(),
        })
        .collect();
    let server = std::thread::scope(|scope| {
        for (transport, lines) in TRANSPORTS.iter().zip(&all) {
            scope.spawn(move || (transport.send)(place, lines));
        }
        wait_for("all are in the middle", PATIENCE, || {
            all.iter().all(|lines| count / 4 <= lines.sent.load(Ordering::Acquire))
        });
        strike(fault, place, server, disk.as_ref(), &has_come)
    });
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    // Stopping stores everything that was taken.
    server.stop();
    let stored = place.stored("message:loi*", TRANSPORTS.len() * count * 4);
    if let Some(clock) = &place.clock {
        let count = clock.stamped(&place.data, fault == Fault::ClockAhead);
        assert!(0 < count, "the clock was set");
    }
    let mut table = String::new();
    for (transport, lines) in TRANSPORTS.iter().zip(&all) {
        let acknowledged = lines.acknowledged.lock().unwrap();
        let times = |number: usize| stored.get(&lines.text(number)).copied().unwrap_or(0);
        let distinct = (0..count).filter(|number| 0 < times(*number)).count();
        let doubled: usize = (0..count).map(|number| times(number).saturating_sub(1)).sum();
        let lost = match transport.promise {
            Promise::Nothing => lines.sent.load(Ordering::Acquire) - distinct,
            _ => acknowledged.iter().filter(|number| times(**number) == 0).count(),
        };
        let told =
            if transport.promise == Promise::Nothing { "–".to_owned() } else { acknowledged.len().to_string() };
        let sent = lines.sent.load(Ordering::Acquire);
        let name = transport.name;
        writeln!(table, "| {name} | {} | {sent} | {told} | {distinct} | {lost} | {doubled} |", fault.name()).unwrap();
        if transport.promise != Promise::Nothing {
            assert_eq!(
                (acknowledged.len(), lost),
                (count, 0),
                "{name}, {}: acknowledged is stored\n{table}",
                fault.name()
            );
        }
        assert_eq!(doubled, 0, "{name}, {}: nothing is stored twice\n{table}", fault.name());
    }
    assert!(stdout(&["verify", "--data", place.data.to_str().unwrap()]).contains("nothing altered"));
    Some(table)
}

#[test]
fn what_is_acknowledged_is_stored_under_every_fault() {
    let (faults, count) = match is_full() {
        true => (
            &[
                Fault::Kill,
                Fault::KillUnheard,
                Fault::Terminate,
                Fault::Cut,
                Fault::CutUnheard,
                Fault::SlowReader,
                Fault::DiskFull,
                Fault::Overload,
                Fault::Reload,
                Fault::ClockAhead,
                Fault::ClockBack,
            ][..],
            2_000,
        ),
        false => (&[Fault::KillUnheard, Fault::Cut, Fault::CutUnheard, Fault::Reload, Fault::ClockBack][..], 200),
    };
    show(&faults.iter().filter_map(|fault| rows(*fault, count)).collect::<String>());
}

/// Whether every fault is asked for, with more lines.
fn is_full() -> bool {
    std::env::var("NHATLE_FAULTS").is_ok_and(|asked| asked == "full")
}

/// Prints a table of these rows.
fn show(rows: &str) {
    let date = Command::new("date").arg("+%Y-%m-%d").output().map(|output| output.stdout).unwrap_or_default();
    println!(
        "{}\n| transport | fault | sent | acknowledged | stored | lost | doubled |\n| --- | --- | --- | --- | --- | --- | --- |\n{rows}",
        String::from_utf8_lossy(&date).trim()
    );
}

/// What is said twice over lines with nothing wrong is stored twice, though it is the same to the byte.
#[test]
fn the_same_said_twice_is_stored_twice() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let server = place.start();
    let http = server.http;
    let headers = [("Authorization", place.token.as_str()), ("Content-Type", "application/json")];
    for _ in 0..3 {
        for (path, body) in [
            ("/api/v1/events", "{\"message\":\"hai\"}\n"),
            ("/services/collector/event", "{\"event\":\"ba\"}"),
            ("/_bulk", "{\"create\":{}}\n{\"message\":\"bon\"}\n"),
        ] {
            let answer = request(http, "POST", path, &headers, body.as_bytes()).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        senders::relp_session(([127, 0, 0, 1], place.ports["relp"]).into(), &["nam", "nam"], true).unwrap();
    }
    server.stop();
    let expected = [("hai", 3), ("ba", 3), ("bon", 3), ("nam", 6)];
    for (word, count) in expected {
        assert_eq!(place.stored(&format!("message:{word}"), 100).get(word), Some(&count), "{word}");
    }
}
