//! Intake beside its peers, in pairs that take turns: durable over TCP (P1, P3, P5), over UDP at given rates (P6, P7), `_bulk`, and
//! what rules cost (P11). CPU an event first; wall time is shared with the sender.
//!
//! In: `NHATLE_PEERS` (rsyslog, syslog-ng), `NHATLE_BENCH_EVENTS`, `NHATLE_BENCH_PAIRS` (default 5). Out: rows with min, median and
//! max over the pairs. Not here: rsyslog's mmnormalize (P4), for which a rule base of our own would have to be written first.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Running, listens, metric, program, serve_ready, stream_of};
use crate::{event_count, input, report};

const WAIT_MAX: Duration = Duration::from_secs(120);
const CONNECTIONS: usize = 4;
/// Datagrams a second.
const RATES: [usize; 4] = [50_000, 100_000, 200_000, 300_000];
const BULK_DOCUMENTS: usize = 1_000;

/// What one run took.
struct Took {
    events: f64,
    seconds: f64,
    cpu_s: f64,
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
                &format!("events/s of ours by those of {name}"),
                "",
                ratios(|took| took.events / took.seconds),
            );
        }
    }
    tell("nhatle with rules (P11)", &(0..pairs).map(|_| nhatle_tcp(count, true)).collect::<Vec<_>>());
    RATES.iter().for_each(|rate| udp(*rate));
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
    report("intake", name, "events/s", took.iter().map(|one| one.events / one.seconds).collect());
    report("intake", &format!("{name}: events"), "", took.iter().map(|one| one.events).collect());
}

/// A server without canaries, and without rules unless asked for.
fn server(folder: &Path, has_rules: bool) -> (Running, String) {
    let paths: Vec<_> = input::corpus().filter(|_| has_rules).map(|all| all.join("sigma/rules")).into_iter().collect();
    let config = folder.join("nhatle.toml");
    std::fs::write(&config, format!("[rules]\nbuiltin = {has_rules}\npaths = {paths:?}\n[canary]\nenabled = false\n"))
        .unwrap();
    let (server, ready, _) = serve_ready(&folder.join("data"), &["--config".into(), config.into_os_string()]);
    (server, ready)
}

/// Waits until so many records are durable, or nothing comes any more; says how many there are.
fn durable(http: &str, count: f64) -> f64 {
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
    let (began, cpu) = (Instant::now(), server.cpu_s());
    send_tcp(&tcp, count);
    let events = durable(&http, count as f64);
    Took { events, seconds: began.elapsed().as_secs_f64(), cpu_s: server.cpu_s() - cpu }
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
const PEERS: [(&str, &str); 3] = [
    ("rsyslog imtcp, omfile (P1)", include_str!("rsyslog-file.conf")),
    ("rsyslog imptcp, disk queue (P3)", include_str!("rsyslog-disk.conf")),
    ("syslog-ng, format-json (P5)", include_str!("syslog-ng.conf")),
];

/// A peer with a configuration, listening; `None` where it does not start.
fn start_peer(peers: &Path, template: &str, folder: &Path, port: u16) -> Option<Running> {
    let place = |name: &str| folder.join(name).display().to_string();
    let text =
        template.replace("@PORT@", &port.to_string()).replace("@OUT@", &place("out")).replace("@WORK@", &place(""));
    std::fs::write(folder.join("conf"), text).unwrap();
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

/// Waits until a file grows no more; says how many lines it has, and when it grew last.
fn written(path: &Path, began: Instant) -> (f64, f64) {
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
    let (events, seconds) = written(&folder.path().join("out"), began);
    Some(Took { events, seconds, cpu_s: running.cpu_s() - cpu })
}

/// So many datagrams a second for five seconds: what is stored, and what the kernel and the queue dropped.
fn udp(rate: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (server, ready) = server(folder.path(), false);
    let (http, address) = (listens(&ready, "http="), listens(&ready, "syslog_udp="));
    let lines: Vec<Vec<u8>> = stream_of(2_000).split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (began, cpu, mut sent) = (Instant::now(), server.cpu_s(), 0usize);
    while began.elapsed() < Duration::from_secs(5) {
        let due = (began.elapsed().as_secs_f64() * rate as f64) as usize;
        while sent < due {
            let line = &lines[sent % lines.len()];
            sent += usize::from(line.is_empty() || socket.send_to(line, &address).is_ok());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let stored = durable(&http, sent as f64);
    let name = format!("UDP at {rate} a second");
    report("intake", &format!("{name}: sent"), "events/s", vec![sent as f64 / 5.0]);
    report("intake", &format!("{name}: lost"), "%", vec![100.0 * (1.0 - stored / sent as f64)]);
    report("intake", &format!("{name}: CPU"), "us/event", vec![(server.cpu_s() - cpu) * 1e6 / stored]);
    let dropped = |name: &str| metric(&http, &format!("nhatle_input_{name}_total{{input=\"syslog_udp\"}}"));
    report("intake", &format!("{name}: dropped by the kernel"), "events", vec![dropped("kernel_dropped")]);
    report("intake", &format!("{name}: dropped by the queue"), "events", vec![dropped("dropped")]);
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
