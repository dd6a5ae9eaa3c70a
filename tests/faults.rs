//! The fault table: every way of sending beside every fault, counted line by line.
//!
//! All transports send at once to one server; in the middle the fault comes. Where a transport acknowledges, what was
//! acknowledged must be stored (lost = 0), and once where records carry ids (doubled = 0). The table goes to standard
//! output. A short run by default; `NHATLE_FAULTS=full` runs every fault with more lines (docs/faults.md).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::overload::SmallDisk;
use crate::support::{Server, request, stdout, token, wait_for};

/// Lines of one request, or unanswered at once.
const BATCH: usize = 20;
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Terminate,
    Cut,
    SlowReader,
    DiskFull,
    Overload,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill -9",
            Fault::Terminate => "SIGTERM",
            Fault::Cut => "connection cut",
            Fault::SlowReader => "answers not read for 2 s",
            Fault::DiskFull => "disk full",
            Fault::Overload => "flood by others",
        }
    }
}

/// What is promised.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// No answer: what is on the way may be lost.
    Nothing,
    /// Answered when durable; sent again when not answered.
    Durable,
    /// The same, and a record sent again is known by its id.
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

const TRANSPORTS: [Transport; 8] = [
    Transport { name: "syslog UDP", letter: 'u', promise: Promise::Nothing, send: udp },
    Transport { name: "syslog TCP", letter: 't', promise: Promise::Nothing, send: tcp },
    Transport { name: "GELF TCP", letter: 'g', promise: Promise::Nothing, send: gelf },
    Transport { name: "RELP", letter: 'r', promise: Promise::Durable, send: relp },
    Transport { name: "HTTP NDJSON", letter: 'n', promise: Promise::Once, send: ndjson },
    Transport { name: "`_bulk`", letter: 'b', promise: Promise::Once, send: bulk },
    Transport { name: "HEC", letter: 'h', promise: Promise::Durable, send: hec },
    Transport { name: "OTLP", letter: 'o', promise: Promise::Durable, send: otlp },
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
}

impl Place {
    fn new(folder: &Path) -> Place {
        let data = folder.join("data");
        std::fs::create_dir(&data).unwrap();
        let token = format!("Bearer {}", token(&data, "sender", "ingest", None));
        // Held together, so that no two are one.
        let held: Vec<_> = ["http", "syslog_tcp", "syslog_udp", "relp", "gelf_tcp"]
            .into_iter()
            .map(|name| (name, TcpListener::bind("127.0.0.1:0").unwrap()))
            .collect();
        let ports: BTreeMap<_, _> =
            held.iter().map(|(name, listener)| (*name, listener.local_addr().unwrap().port())).collect();
        drop(held);
        let proxies =
            ports.iter().filter(|(name, _)| **name != "syslog_udp").map(|(name, port)| (*name, Proxy::new(*port)));
        let proxies = proxies.collect();
        let config = folder.join("nhatle.toml");
        let text = format!(
            "[collector]\nrelp = \"127.0.0.1:{}\"\ngelf_tcp = \"127.0.0.1:{}\"\n[canary]\nenabled = false\n",
            ports["relp"], ports["gelf_tcp"]
        );
        std::fs::write(&config, text).unwrap();
        Place { data, config, ports, proxies, token }
    }

    fn start(&self) -> Server {
        let at = |name: &str| format!("127.0.0.1:{}", self.ports[name]);
        let (http, tcp, udp) = (at("http"), at("syslog_tcp"), at("syslog_udp"));
        let config = self.config.to_str().unwrap();
        let more = ["--config", config, "--http", &http, "--syslog-tcp", &tcp, "--syslog-udp", &udp];
        Server::start(&self.data, &more)
    }

    /// Where the input of this name is reached, by way of its proxy.
    fn reach(&self, name: &str) -> SocketAddr {
        self.proxies[name].address
    }

    /// How often each line of ours is stored, by its text.
    fn stored(&self, limit: usize) -> BTreeMap<String, usize> {
        let (data, limit) = (self.data.to_str().unwrap(), limit.to_string());
        let text = stdout(&["search", "message:loi*", "--data", data, "--limit", &limit, "--format", "jsonl"]);
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            *found.entry(event["message"].as_str().unwrap().trim().to_owned()).or_insert(0) += 1;
        }
        found
    }
}

/// A TCP proxy that can cut its connections, and hold back what the server answers.
struct Proxy {
    address: SocketAddr,
    /// Raised by each cut; a connection of an older number ends.
    cuts: Arc<AtomicU32>,
    is_holding: Arc<AtomicBool>,
}

impl Proxy {
    fn new(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (cuts, is_holding) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (all_cuts, holding) = (cuts.clone(), is_holding.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let cut = (all_cuts.clone(), all_cuts.load(Ordering::Acquire));
                let holding = holding.clone();
                std::thread::spawn(move || {
                    // While the server is away the client waits, as it would try again by itself.
                    let began = Instant::now();
                    let server = loop {
                        match TcpStream::connect(("127.0.0.1", port)) {
                            Ok(server) => break server,
                            Err(_away) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                            Err(_gone) => return,
                        }
                    };
                    let never = Arc::new(AtomicBool::new(false));
                    pass(client.try_clone().unwrap(), server.try_clone().unwrap(), cut.clone(), never);
                    pass(server, client, cut, holding);
                });
            }
        });
        Proxy { address, cuts, is_holding }
    }
}

/// Passes bytes on until one side ends or it is cut.
fn pass(mut from: TcpStream, mut to: TcpStream, (cuts, number): (Arc<AtomicU32>, u32), is_holding: Arc<AtomicBool>) {
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        let is_cut = || cuts.load(Ordering::Acquire) != number;
        while !is_cut() {
            if is_holding.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            match from.read(&mut buffer) {
                Ok(read @ 1..) if !is_cut() && to.write_all(&buffer[..read]).is_ok() => {}
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                _ => break,
            }
        }
        drop(to.shutdown(std::net::Shutdown::Both));
        if is_cut() {
            drop(from.shutdown(std::net::Shutdown::Both));
        }
    });
}

fn syslog(line: &str) -> String {
    format!("<13>1 2026-02-03T04:05:06Z loi app - - - {line}")
}

fn udp(place: &Place, lines: &Lines) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for batch in lines.batches() {
        for number in &batch {
            // A server that is away refuses by ICMP: lost, as UDP loses.
            drop(socket.send_to(syslog(&lines.text(*number)).as_bytes(), ("127.0.0.1", place.ports["syslog_udp"])));
        }
        lines.sent(batch.len());
    }
}

/// Sends over a connection that is opened anew when it breaks; what was written is taken as sent.
fn stream(address: SocketAddr, lines: &Lines, form: impl Fn(&str) -> String) {
    let mut connection: Option<TcpStream> = None;
    for batch in lines.batches() {
        let bytes: String = batch.iter().map(|number| form(&lines.text(*number))).collect();
        loop {
            let written = match &mut connection {
                Some(stream) => stream.write_all(bytes.as_bytes()),
                None => Err(std::io::ErrorKind::NotConnected.into()),
            };
            if written.is_ok() {
                break;
            }
            connection = TcpStream::connect(address).ok();
            std::thread::sleep(Duration::from_millis(20));
        }
        lines.sent(batch.len());
    }
}

fn tcp(place: &Place, lines: &Lines) {
    stream(place.reach("syslog_tcp"), lines, |line| format!("{}\n", syslog(line)));
}

fn gelf(place: &Place, lines: &Lines) {
    let form = |line: &str| format!("{}\0", json!({"version": "1.1", "host": "loi", "short_message": line}));
    stream(place.reach("gelf_tcp"), lines, form);
}

/// A session of RELP that sends again what was not answered.
fn relp(place: &Place, lines: &Lines) {
    for batch in lines.batches() {
        lines.sent(batch.len());
        while relp_batch(place.reach("relp"), lines, &batch).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        lines.acknowledged(&batch);
    }
}

fn relp_batch(address: SocketAddr, lines: &Lines, batch: &[usize]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = "1 open 30 relp_version=0\ncommands=syslog\n".to_owned();
    for (transaction, number) in (2..).zip(batch) {
        let message = syslog(&lines.text(*number));
        writeln!(bytes, "{transaction} syslog {} {message}", message.len()).map_err(std::io::Error::other)?;
    }
    stream.write_all(bytes.as_bytes())?;
    let last = format!("{} rsp 6 200 OK\n", batch.len() + 1);
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => read.extend_from_slice(&buffer[..length]),
        }
        // Answers come in the order of the messages.
        if read.windows(last.len()).any(|window| window == last.as_bytes()) {
            return Ok(());
        }
    }
}

/// Pushes a body until it is taken.
fn push(place: &Place, lines: &Lines, path: &str, kind: &str, body: impl Fn(&str) -> String) {
    for batch in lines.batches() {
        lines.sent(batch.len());
        let all: String = batch.iter().map(|number| body(&lines.text(*number))).collect();
        let all = if path == "/v1/logs" { otlp_body(&all) } else { all };
        let headers = [("Authorization", place.token.as_str()), ("Content-Type", kind)];
        let is_taken = || match request(place.reach("http"), "POST", path, &headers, all.as_bytes()) {
            Ok(answer) if answer.status == 200 && path == "/_bulk" => {
                let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
                let statuses = items.iter().map(|item| item["create"]["status"].as_u64());
                assert!(statuses.clone().all(|status| matches!(status, Some(201 | 409))), "{answer:?}");
                statuses.count() == batch.len()
            }
            Ok(answer) => answer.status == 200,
            Err(_) => false,
        };
        while !is_taken() {
            std::thread::sleep(Duration::from_millis(50));
        }
        lines.acknowledged(&batch);
    }
}

fn ndjson(place: &Place, lines: &Lines) {
    let body = |line: &str| format!("{}\n", json!({"event.id": line, "host.name": "loi-n", "message": line}));
    push(place, lines, "/api/v1/events", "application/x-ndjson", body);
}

fn bulk(place: &Place, lines: &Lines) {
    let body = |line: &str| format!("{{\"create\":{{\"_id\":\"{line}\"}}}}\n{}\n", json!({"message": line}));
    push(place, lines, "/_bulk", "application/x-ndjson", body);
}

fn hec(place: &Place, lines: &Lines) {
    push(place, lines, "/services/collector/event", "application/json", |line| json!({"event": line}).to_string());
}

fn otlp(place: &Place, lines: &Lines) {
    push(place, lines, "/v1/logs", "application/json", |line| format!("{line} "));
}

fn otlp_body(lines: &str) -> String {
    let records: Vec<Value> = lines.split_whitespace().map(|line| json!({"body": {"stringValue": line}})).collect();
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string()
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
        Fault::Terminate => {
            come();
            server.stop();
            place.start()
        }
        Fault::Cut => {
            come();
            for _ in 0..3 {
                for proxy in place.proxies.values() {
                    proxy.cuts.fetch_add(1, Ordering::AcqRel);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            server
        }
        Fault::SlowReader => {
            place.proxies.values().for_each(|proxy| proxy.is_holding.store(true, Ordering::Release));
            come();
            std::thread::sleep(Duration::from_secs(2));
            place.proxies.values().for_each(|proxy| proxy.is_holding.store(false, Ordering::Release));
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
    }
}

/// One fault with all transports at once: the rows of the table.
fn rows(fault: Fault, count: usize) -> Option<String> {
    let disk = if fault == Fault::DiskFull { Some(SmallDisk::mount(200)?) } else { None };
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(disk.as_ref().map_or(folder.path(), |disk| disk.path()));
    let server = place.start();
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
            let place = &place;
            scope.spawn(move || (transport.send)(place, lines));
        }
        wait_for("all are in the middle", PATIENCE, || {
            all.iter().all(|lines| count / 4 <= lines.sent.load(Ordering::Acquire))
        });
        strike(fault, &place, server, disk.as_ref(), &has_come)
    });
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    // Stopping stores everything that was taken.
    server.stop();
    let stored = place.stored(TRANSPORTS.len() * count * 4);
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
        if transport.promise != Promise::Durable {
            assert_eq!(doubled, 0, "{name}, {}\n{table}", fault.name());
        }
    }
    assert!(stdout(&["verify", "--data", place.data.to_str().unwrap()]).contains("nothing altered"));
    Some(table)
}

#[test]
fn what_is_acknowledged_is_stored_under_every_fault() {
    let is_full = std::env::var("NHATLE_FAULTS").is_ok_and(|asked| asked == "full");
    let (faults, count) = match is_full {
        true => (
            &[Fault::Kill, Fault::Terminate, Fault::Cut, Fault::SlowReader, Fault::DiskFull, Fault::Overload][..],
            2_000,
        ),
        false => (&[Fault::Kill, Fault::Cut][..], 200),
    };
    let mut table = "| transport | fault | sent | acknowledged | stored | lost | doubled |\n| --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for fault in faults {
        table.extend(rows(*fault, count));
    }
    let date = Command::new("date").arg("+%Y-%m-%d").output().map(|output| output.stdout).unwrap_or_default();
    println!("{}\n{table}", String::from_utf8_lossy(&date).trim());
}
