//! Intake beside its peers, in pairs that take turns: durable over TCP (P1 to P5), over UDP at given rates (P6, P7), `_bulk`, and
//! what rules cost (P11). CPU an event first; wall time is shared with the sender.
//!
//! In: `NHATLE_PEERS` (rsyslog, syslog-ng), `NHATLE_BENCH_EVENTS`, `NHATLE_BENCH_PAIRS` (default 5). Out: rows with min, median and
//! max over the pairs. Our processor time is told twice: all of it, and without the threads `seal`, which make segments while the
//! lines come; the peers make none, and what they write is not to be searched.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Running, listens, metric, program, serve_ready, stream_of};
use crate::{event_count, input, intake_udp, report};

const WAIT_MAX: Duration = Duration::from_secs(120);
const CONNECTIONS: usize = 4;
const BULK_DOCUMENTS: usize = 1_000;

/// What one run took.
struct Took {
    events: f64,
    seconds: f64,
    cpu_s: f64,
    /// Without making segments.
    intake_cpu_s: f64,
}

pub fn run() {
    let count = event_count() / CONNECTIONS * CONNECTIONS;
    let pairs = std::env::var("NHATLE_BENCH_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let peers = std::env::var_os("NHATLE_PEERS").map(PathBuf::from);
    let mut ours = Vec::new();
    let mut theirs: Vec<(&str, Vec<Took>)> = PEERS.iter().map(|(name, _)| (*name, Vec::new())).collect();
    for _ in 0..pairs {
        ours.push(nhatle_tcp(count, false));
        for ((_, config), (_, took)) in PEERS.iter().zip(&mut theirs) {
            took.extend(peers.as_ref().and_then(|peers| peer_tcp(peers, config, count)));
        }
    }
    tell("nhatle, no rules: parsed, durable", &ours);
    theirs.iter().for_each(|(name, took)| tell(name, took));
    for (name, took) in &theirs {
        let ratios = |of: fn(&Took) -> f64| {
            ours.iter().zip(took).map(|(ours, theirs)| of(ours) / of(theirs)).collect::<Vec<_>>()
        };
        if !took.is_empty() {
            report("intake", &format!("CPU of ours by that of {name}"), "", ratios(|took| took.cpu_s / took.events));
            report(
                "intake",
                &format!("CPU of ours without sealing by that of {name}"),
                "",
                ratios(|took| took.intake_cpu_s / took.events),
            );
            report(
                "intake",
                &format!("events/s of ours by those of {name}"),
                "",
                ratios(|took| took.events / took.seconds),
            );
        }
    }
    tell("nhatle with rules (P11)", &(0..pairs).map(|_| nhatle_tcp(count, true)).collect::<Vec<_>>());
    intake_udp::run(peers.as_deref(), pairs.min(3));
    bulk(count);
}

fn tell(name: &str, took: &[Took]) {
    if took.is_empty() {
        return;
    }
    report(
        "intake",
        &format!("{name}: CPU"),
        "us/event",
        took.iter().map(|one| one.cpu_s * 1e6 / one.events).collect(),
    );
    report(
        "intake",
        &format!("{name}: CPU without sealing"),
        "us/event",
        took.iter().map(|one| one.intake_cpu_s * 1e6 / one.events).collect(),
    );
    report("intake", name, "events/s", took.iter().map(|one| one.events / one.seconds).collect());
    report("intake", &format!("{name}: events"), "", took.iter().map(|one| one.events).collect());
}

/// A server without canaries, and without rules unless asked for.
pub fn server(folder: &Path, has_rules: bool) -> (Running, String) {
    let paths: Vec<_> = input::corpus().filter(|_| has_rules).map(|all| all.join("sigma/rules")).into_iter().collect();
    let config = folder.join("nhatle.toml");
    std::fs::write(&config, format!("[rules]\nbuiltin = {has_rules}\npaths = {paths:?}\n[canary]\nenabled = false\n"))
        .unwrap();
    let (server, ready, _) = serve_ready(&folder.join("data"), &["--config".into(), config.into_os_string()]);
    (server, ready)
}

/// Waits until so many records are durable, or nothing comes any more; says how many there are.
pub fn durable(http: &str, count: f64) -> f64 {
    let stored = || metric(http, "nhatle_events_stored_total") + metric(http, "nhatle_dead_letters_total");
    let (began, mut last, mut still) = (Instant::now(), 0.0, 0);
    while last < count && still < 100 && began.elapsed() < WAIT_MAX {
        std::thread::sleep(Duration::from_millis(20));
        let now = stored();
        still = if now > last { 0 } else { still + 1 };
        last = now;
    }
    last
}

fn nhatle_tcp(count: usize, has_rules: bool) -> Took {
    let folder = tempfile::tempdir().unwrap();
    let (server, ready) = server(folder.path(), has_rules);
    let (http, tcp) = (listens(&ready, "http="), listens(&ready, "syslog_tcp="));
    let (began, cpu, sealing) = (Instant::now(), server.cpu_s(), server.threads_cpu_s("seal"));
    send_tcp(&tcp, count);
    let events = durable(&http, count as f64);
    let (seconds, cpu_s) = (began.elapsed().as_secs_f64(), server.cpu_s() - cpu);
    Took { events, seconds, cpu_s, intake_cpu_s: cpu_s - (server.threads_cpu_s("seal") - sealing) }
}

fn send_tcp(address: &str, count: usize) {
    let bytes = stream_of(count / CONNECTIONS);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| TcpStream::connect(address).unwrap().write_all(&bytes).unwrap());
        }
    });
}

/// Peers by name, each with the template of its configuration. All write a file without sync.
const PEERS: [(&str, &str); 5] = [
    ("rsyslog imtcp, omfile (P1)", include_str!("rsyslog-file.conf")),
    ("syslog-ng, no-parse (P2)", include_str!("syslog-ng-plain.conf")),
    ("rsyslog imptcp, disk queue (P3)", include_str!("rsyslog-disk.conf")),
    ("rsyslog imptcp, mmnormalize, JSON (P4)", include_str!("rsyslog-normalize.conf")),
    ("syslog-ng, format-json (P5)", include_str!("syslog-ng.conf")),
];

/// A peer with a configuration, listening; `None` where it does not start.
pub fn start_peer(peers: &Path, template: &str, folder: &Path, port: u16) -> Option<Running> {
    let place = |name: &str| folder.join(name).display().to_string();
    let text =
        template.replace("@PORT@", &port.to_string()).replace("@OUT@", &place("out")).replace("@WORK@", &place(""));
    std::fs::write(folder.join("conf"), text).unwrap();
    std::fs::write(folder.join("rules.rb"), include_str!("rsyslog-normalize.rb")).unwrap();
    let mut command = if template.starts_with('@') {
        let library = peers.join("sng/usr/lib/syslog-ng");
        let mut command = Command::new(peers.join("sng/usr/sbin/syslog-ng"));
        command.args([
            "-F",
            "-R",
            &place("state"),
            "-c",
            &place("ctl"),
            "-p",
            &place("pid"),
            "--no-caps",
            "--module-path",
        ]);
        command.arg(library.join("3.38"));
        let paths = format!("{}:{}/3.38:{}", library.display(), library.display(), peers.join("lib").display());
        command.env("LD_LIBRARY_PATH", paths);
        command
    } else {
        let mut command = Command::new(peers.join("rsys/usr/sbin/rsyslogd"));
        command.args(["-n", "-i", &place("pid"), "-M"]).arg(peers.join("rsys/usr/lib/x86_64-linux-gnu/rsyslog"));
        command.env("LD_LIBRARY_PATH", peers.join("lib"));
        command
    };
    command.arg("-f").arg(folder.join("conf")).stdout(Stdio::null()).stderr(Stdio::null());
    Some(Running::new(command.spawn().ok()?))
}

fn lines_in(path: &Path) -> f64 {
    std::fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() as f64
}

/// How many lines rsyslog's rule base did not know, where it was asked.
fn tell_unknown(path: &Path) {
    let text = std::fs::read(path).unwrap_or_default();
    let (has, mark) =
        (|line: &[u8], mark: &[u8]| line.windows(mark.len()).any(|part| part == mark), b"\"unparsed-data\"");
    let unknown = text.split(|byte| *byte == b'\n').filter(|line| has(line, mark)).count();
    report("intake", "mmnormalize: lines its rules do not know", "", vec![unknown as f64]);
}

/// Waits until a file grows no more; says how many lines it has, and when it grew last.
pub fn written(path: &Path, began: Instant) -> (f64, f64) {
    let (mut bytes, mut still, mut took) = (0, 0, began.elapsed());
    while still < 10 {
        std::thread::sleep(Duration::from_millis(200));
        let now = std::fs::metadata(path).map_or(0, |meta| meta.len());
        (still, took) = if now == bytes { (still + 1, took) } else { (0, began.elapsed()) };
        bytes = now;
    }
    (lines_in(path), took.as_secs_f64())
}

fn peer_tcp(peers: &Path, template: &str, count: usize) -> Option<Took> {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let running = start_peer(peers, template, folder.path(), port)?;
    let address = format!("127.0.0.1:{port}");
    (0..100).find(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(&address).is_ok()
    })?;
    let (began, cpu) = (Instant::now(), running.cpu_s());
    send_tcp(&address, count);
    let out = folder.path().join("out");
    let (events, seconds) = written(&out, began);
    let cpu_s = running.cpu_s() - cpu;
    if template.contains("mmnormalize") {
        tell_unknown(&out);
    }
    Some(Took { events, seconds, cpu_s, intake_cpu_s: cpu_s })
}

/// Documents a second over one connection after another, each request answered when durable.
fn bulk(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (server, ready) = server(folder.path(), false);
    let http = listens(&ready, "http=");
    let data = folder.path().join("data");
    let output =
        Command::new(program()).args(["token", "add", "bench", "--role", "ingest", "--data"]).arg(&data).output();
    let token = String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned();
    let document = "{\"create\":{}}\n{\"@timestamp\":\"2026-11-23T01:02:03Z\",\"message\":\"bench\",\"host\":{\"name\":\"web01\"}}\n";
    let body = document.repeat(BULK_DOCUMENTS);
    let (began, cpu, requests) = (Instant::now(), server.cpu_s(), (count / BULK_DOCUMENTS / 4).max(4));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..requests / 4 {
                    let mut stream = TcpStream::connect(&http).unwrap();
                    let length = body.len();
                    write!(stream, "POST /_bulk HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    assert!(answer.starts_with("HTTP/1.1 200"), "{}", answer.get(..200).unwrap_or(&answer));
                }
            });
        }
    });
    let documents = (requests / 4 * 4 * BULK_DOCUMENTS) as f64;
    report("intake", "_bulk, durable", "documents/s", vec![documents / began.elapsed().as_secs_f64()]);
    report("intake", "_bulk: CPU", "us/document", vec![(server.cpu_s() - cpu) * 1e6 / documents]);
}
