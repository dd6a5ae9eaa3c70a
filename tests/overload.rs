//! Overload as people meet it: a flood beside quiet sources, a disk that somebody fills, a configuration that changes
//! while senders send.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nhatle_event::Timestamp;
use serde_json::{Value, json};

use crate::cli::add_user;
use crate::support::{Answer, PATIENCE, Server, ports, request, stdout, token, wait_for};
use crate::ward::{PASSWORD, sign_in};

fn events(data: &Path, query: &str, limit: usize) -> Vec<Value> {
    let (data, limit) = (data.to_str().unwrap(), limit.to_string());
    let text = stdout(&["search", query, "--data", data, "--limit", &limit, "--format", "jsonl"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(data: &Path, query: &str) -> usize {
    stdout(&["search", query, "--count", "--data", data.to_str().unwrap()]).trim().parse().unwrap()
}

/// The value of a metric, labels included in the name.
fn metric(http: SocketAddr, name: &str) -> u64 {
    let text = request(http, "GET", "/metrics", &[], b"").unwrap().body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// A flood is over after so many lines: far more than the quiet ones send, and what a slow machine can count again.
const FLOOD_LINES_MAX: usize = 40_000;

/// Sends as fast as it is let until told to stop, as one address; says how many lines.
fn flood(server: SocketAddr, is_over: Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let lines: String =
            (0..200).map(|n| format!("<13>Feb  3 04:05:06 lu app: nuoc dang {n:05} {}\n", "x".repeat(200))).collect();
        let mut stream = TcpStream::connect(server).unwrap();
        let mut sent = 0;
        while !is_over.load(Ordering::Relaxed) && sent < FLOOD_LINES_MAX {
            stream.write_all(lines.as_bytes()).unwrap();
            sent += 200;
        }
        sent
    })
}

const QUIET: u8 = 20;
const QUIET_LINES: usize = 40;

/// What one quiet source sends: a line each tenth of a second.
fn quiet(server: SocketAddr, number: u8) {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 0, 9, number), 0)).unwrap();
    for line in 0..QUIET_LINES {
        let text = format!("<13>Feb  3 04:05:06 lang{number:02} app: yen tinh {line:03}");
        socket.send_to(text.as_bytes(), server).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How long a quiet source's line may take from its arrival to its being durable, beside floods and an unoptimized
/// build on a shared machine: what stands before it is one turn of the others and the batches being written.
const LATENCY_MAX: Duration = Duration::from_secs(15);

#[test]
fn floods_neither_starve_nor_hold_up_who_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let server = Server::start(&data, &[]);
    let (tcp, udp) = (server.syslog_tcp, server.address("syslog_udp"));
    let is_over = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..4).map(|_| flood(tcp, is_over.clone())).collect();
    let quiet_ones: Vec<_> = (1..=QUIET).map(|number| std::thread::spawn(move || quiet(udp, number))).collect();
    quiet_ones.into_iter().for_each(|one| one.join().unwrap());
    wait_for("the quiet ones are stored", PATIENCE, || {
        usize::from(QUIET) * QUIET_LINES <= count(&data, "message:\"yen tinh\"")
    });
    is_over.store(true, Ordering::Relaxed);
    let sent: usize = floods.into_iter().map(|one| one.join().unwrap()).sum();
    assert_eq!(metric(server.http, "nhatle_input_kernel_dropped_total{input=\"syslog_udp\"}"), 0);
    let found = events(&data, "message:\"yen tinh\"", 10_000);
    let mut by_source: BTreeMap<String, usize> = BTreeMap::new();
    let mut waits = Vec::new();
    for event in &found {
        *by_source.entry(event["host.name"].as_str().unwrap().to_owned()).or_default() += 1;
        let at = |key: &str| Timestamp::parse(event[key].as_str().unwrap(), 0).unwrap();
        waits.push(Duration::from_nanos(at("event.ingested").since(at("event.created")).unsigned_abs()));
    }
    assert_eq!(by_source.len(), usize::from(QUIET));
    assert!(by_source.values().all(|count| *count == QUIET_LINES), "{by_source:?}");
    waits.sort();
    println!(
        "fair: {sent} lines of floods sent; {} of quiet sources, none lost; arrival to durable p50 {:?}, p99 {:?}, max {:?}",
        found.len(),
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
        waits[waits.len() - 1]
    );
    assert!(waits[waits.len() - 1] < LATENCY_MAX, "{waits:?}");
    // What the floods were let send is all there: TCP waits, it does not lose. Stopping stores what was taken; what lies
    // in the sockets is read out for some seconds only, which a slow machine may need for less than this.
    wait_for("what the floods sent is read", PATIENCE, || {
        metric(server.http, "nhatle_input_received_total{input=\"syslog_tcp\"}") == u64::try_from(sent).unwrap()
    });
    server.stop();
    assert_eq!(count(&data, "message:\"nuoc dang\""), sent);
}

/// A small file system of its own, unmounted at the end: ext4 in a file where that can be mounted, else in memory.
pub struct SmallDisk {
    folder: tempfile::TempDir,
    _image: Option<tempfile::NamedTempFile>,
}

impl SmallDisk {
    /// Of so many MiB; `None` where nothing may be mounted.
    pub fn mount(mib: u64) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let run = |program: &str, args: &[&std::ffi::OsStr]| {
            Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
        };
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(mib << 20).unwrap();
        let (file, place) = (image.path().as_os_str(), folder.path().as_os_str());
        let word = |text: &'static str| std::ffi::OsStr::new(text);
        if run("mkfs.ext4", &[word("-q"), word("-m"), word("0"), file])
            && run("mount", &[word("-o"), word("loop"), file, place])
        {
            println!("small disk: ext4 of {mib} MiB");
            return Some(SmallDisk { folder, _image: Some(image) });
        }
        let size = format!("size={mib}m");
        if run("mount", &[word("-t"), word("tmpfs"), word("-o"), size.as_ref(), word("tmpfs"), place]) {
            println!("small disk: tmpfs of {mib} MiB");
            return Some(SmallDisk { folder, _image: None });
        }
        eprintln!("skipped: no small file system may be mounted");
        None
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it from outside until nothing is left; gives the file.
    pub fn fill(&self) -> std::path::PathBuf {
        let ballast = self.path().join("ballast");
        let file = std::fs::File::create(&ballast).unwrap();
        // At once: a slow writer would go on into the reserve that is given up meanwhile.
        let stat = rustix::fs::statvfs(&ballast).unwrap();
        let mut bytes = stat.f_bavail * stat.f_frsize;
        while rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).is_err() {
            bytes = bytes.checked_sub(64 << 10).expect("some of the free room can be taken");
        }
        file.sync_all().unwrap();
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

fn push(server: &Server, bearer: &str, ids: std::ops::Range<usize>) -> Answer {
    let pad = "đầy ".repeat(100);
    let body: String =
        ids.map(|n| format!("{{\"event.id\":\"day-{n}\",\"host.name\":\"day\",\"message\":\"{pad}\"}}\n")).collect();
    request(server.http, "POST", "/api/v1/events", &[("Authorization", bearer)], body.as_bytes()).unwrap()
}

#[test]
fn a_full_disk_is_read_only_with_a_banner_and_resumes_alone() {
    const BATCH: usize = 100;
    let Some(disk) = SmallDisk::mount(160) else { return };
    let data = disk.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "pusher", "ingest", None));
    let admin = format!("Bearer {}", token(&data, "quan-tri", "admin", None));
    assert!(add_user(&data, "lan", "admin", None, PASSWORD).status.success());
    let server = Server::start(&data, &[]);
    let (session, _) = sign_in(server.http, "lan");
    let page = |path: &str| request(server.http, "GET", path, &[("Cookie", &session)], b"").unwrap();
    let state = || metric(server.http, "nhatle_intake_state");
    assert_eq!((push(&server, &bearer, 0..BATCH).status, state()), (200, 0));
    assert!(!page("/").body.contains("intake-read-only"));
    let mut acknowledged = BATCH;
    // A connection that is open before, and goes on afterwards.
    let mut stream = TcpStream::connect(server.syslog_tcp).unwrap();
    stream.write_all(b"<13>Feb  3 04:05:06 kien app: nhan truoc\n").unwrap();
    wait_for("the first line", PATIENCE, || count(&data, "message:\"nhan truoc\"") == 1);

    let ballast = disk.fill();
    wait_for("it is read-only", PATIENCE, || state() == 3);
    let refused = push(&server, &bearer, acknowledged..acknowledged + BATCH);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.to_lowercase().contains("retry-after"), "{refused:?}");
    assert_eq!(request(server.http, "GET", "/readyz", &[], b"").unwrap().status, 503);
    assert_eq!(request(server.http, "GET", "/healthz", &[], b"").unwrap().status, 200);
    let shown = page("/");
    assert!(shown.body.contains("intake-read-only") && shown.body.contains("Ổ đĩa"), "{shown:?}");
    assert!(page("/sources").body.contains("intake-read-only"));
    // People work on: search, and the register with the room of the reserve.
    assert_eq!(page("/search?q=nhan").status, 200);
    let headers = [("Authorization", admin.as_str()), ("Content-Type", "application/json")];
    let new = json!({"title": "Ổ đĩa đầy", "level": "high"}).to_string();
    let opened = request(server.http, "POST", "/api/v1/incidents", &headers, new.as_bytes()).unwrap();
    assert!(matches!(opened.status, 200 | 201), "{opened:?}");
    // UDP is dropped and counted; TCP waits and loses nothing.
    let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagram.send_to(b"<13>Feb  3 04:05:06 roi app: roi mat", server.address("syslog_udp")).unwrap();
    wait_for("the datagram is counted", PATIENCE, || {
        metric(server.http, "nhatle_input_dropped_total{input=\"syslog_udp\"}") == 1
    });
    stream.write_all(b"<13>Feb  3 04:05:06 kien app: nhan trong\n").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(count(&data, "message:\"nhan trong\""), 0);
    // A sender that is told to come again does.
    let began = Instant::now();
    std::fs::remove_file(ballast).unwrap();
    wait_for("it takes events again", PATIENCE, || {
        push(&server, &bearer, acknowledged..acknowledged + BATCH).status == 200
    });
    println!("full disk: takes events again {:?} after there is room", began.elapsed());
    acknowledged += BATCH;
    stream.write_all(b"<13>Feb  3 04:05:06 kien app: nhan sau\n").unwrap();
    wait_for("the waiting lines", PATIENCE, || count(&data, "message:\"nhan trong\" OR message:\"nhan sau\"") == 2);
    assert_eq!(state(), 0);
    assert!(!page("/").body.contains("intake-read-only"));
    // Both changes are records of our own, and alerts; the dropped datagram stands against its source.
    wait_for("alerts of the beginning and the end", PATIENCE, || {
        let alerts = request(server.http, "GET", "/api/v1/alerts?limit=100", &headers, b"").unwrap().body;
        alerts.contains("d5a3f0c2-7c1e-4a57-9b2e-6f0d8c3a1e01")
            && alerts.contains("d5a3f0c2-7c1e-4a57-9b2e-6f0d8c3a1e02")
    });
    wait_for("the dropped one stands against its source", PATIENCE, || {
        let sources = request(server.http, "GET", "/api/v1/sources", &headers, b"").unwrap().json();
        let row = sources["sources"].as_array().unwrap().iter().find(|row| row["name"] == "roi").cloned();
        row.map(|row| row["rejected"].clone()) == Some(json!(1))
    });
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.kill();
    let server = Server::start(&data, &[]);
    server.stop();
    assert_eq!(count(&data, "host.name:day"), acknowledged, "all that was acknowledged, once");
    assert!(stdout(&["verify", "--data", data.to_str().unwrap()]).contains("nothing altered"));
}

#[test]
fn a_configuration_changes_while_a_connection_sends() {
    const LINES: usize = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("nhatle.toml"));
    std::fs::create_dir(&data).unwrap();
    let admin = format!("Bearer {}", token(&data, "quan-tri", "admin", None));
    let reader = format!("Bearer {}", token(&data, "xem", "auditor", None));
    let write = |text: &str| std::fs::write(&config, text).unwrap();
    write("");
    let server = Server::start(&data, &["--config", config.to_str().unwrap()]);
    let reload =
        |bearer: &str| request(server.http, "POST", "/api/v1/reload", &[("Authorization", bearer)], b"").unwrap();
    let (tcp, http) = (server.syslog_tcp, server.http);
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(tcp).unwrap();
        for number in 0..LINES {
            writeln!(stream, "<13>Feb  3 04:05:06 kien app: khong ngat {number:05}").unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(reload(&reader).status, 403);
    let port = ports::free();
    // A new input, a unit, limits.
    let units = "[[unit]]\ncode = \"P1\"\nname = \"Phường 1\"\nhosts = [\"moi\"]\n";
    write(&format!(
        "[collector]\nrelp = \"127.0.0.1:{port}\"\nconnection_count_max = 64\n[engine]\nincident_level = \"high\"\n{units}"
    ));
    let answer = reload(&admin);
    assert_eq!(answer.status, 200, "{answer:?}");
    let changed = answer.json();
    assert_eq!(changed["inputs"], json!(["relp"]), "{changed}");
    assert_eq!(changed["needs_restart"], json!([]), "{changed}");
    drop(TcpStream::connect(("127.0.0.1", port)).expect("RELP listens"));
    let mut moi = TcpStream::connect(tcp).unwrap();
    moi.write_all(b"<13>Feb  3 04:05:06 moi app: don vi moi\n").unwrap();
    drop(moi);
    wait_for("the new unit", PATIENCE, || count(&data, "nhatle.unit:P1 AND host.name:moi") == 1);
    // Refused with every problem; nothing changes.
    write("[collector]\nrelp = \"nirgends\"\nrecord_bytes_max = 1\n");
    let refused = reload(&admin);
    assert_eq!(refused.status, 422, "{refused:?}");
    let detail = refused.json()["error"]["detail"].to_string();
    assert!(detail.contains("relp") && detail.contains("record_bytes_max"), "{detail}");
    drop(TcpStream::connect(("127.0.0.1", port)).expect("RELP still listens"));
    // An address that is taken.
    write(&format!("[collector]\nrelp = \"127.0.0.1:{}\"\n", http.port()));
    assert_eq!(reload(&admin).status, 422);
    // What cannot change while it runs is said; an input that goes, goes. By a signal this time.
    write("[storage]\nmemtable_events_max = 1000\n");
    assert!(Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap().success());
    wait_for("RELP is closed", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_err());
    wait_for("it is said", PATIENCE, || server.errors().contains("storage.memtable_events_max"));
    sender.join().unwrap();
    wait_for("every line", PATIENCE, || LINES <= count(&data, "message:\"khong ngat\""));
    assert_eq!(count(&data, "message:\"khong ngat\""), LINES);
    assert_eq!(metric(http, "nhatle_input_connections_total{input=\"syslog_tcp\"}"), 2, "no reconnect");
    server.stop();
}
