//! `nhatle forward` against the real server: whatever breaks in between, sent = stored, once, in order, and what is lost
//! is named by its exact range.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::{NHATLE, PATIENCE, Server, ports, request, stdout, token, wait_for};

/// A running `nhatle forward`.
pub struct Forwarder {
    child: Child,
    ready: String,
    errors: Arc<Mutex<String>>,
}

impl Forwarder {
    /// Starts it and waits until it takes records.
    pub fn start(config: &Path) -> Forwarder {
        Forwarder::start_in(config, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_in(config: &Path, environment: &[(String, String)]) -> Forwarder {
        let mut command = Command::new(NHATLE);
        command.args(["forward", "--config"]).arg(config);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Forwarder::run(command)
    }

    fn run(mut command: Command) -> Forwarder {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let errors: Arc<Mutex<String>> = Arc::default();
        let (kept, from) = (errors.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                let mut errors = kept.lock().unwrap();
                if errors.len() < 1 << 20 {
                    writeln!(errors, "{line}").unwrap();
                }
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = match lines.next() {
            Some(Ok(line)) if line.starts_with("ready") => line,
            other => panic!("the forwarder ended before it was ready: {other:?}\n{}", errors.lock().unwrap()),
        };
        std::thread::spawn(move || lines.for_each(drop));
        Forwarder { child, ready, errors }
    }

    /// Where an input of this name listens.
    pub fn address(&self, name: &str) -> SocketAddr {
        let key = format!("{name}=");
        self.ready.split_whitespace().find_map(|word| word.strip_prefix(&key)).unwrap().parse().unwrap()
    }

    /// What it said on standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must exit with 0.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status} {}", self.errors());
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A city and a ward in one folder; the city's port stays the same through restarts.
pub struct World {
    folder: tempfile::TempDir,
    pub port: u16,
    token: String,
    admin: String,
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("city")).unwrap();
        let city = folder.path().join("city");
        let (token, admin) = (token(&city, "may-01", "ingest", Some("DH01")), token(&city, "admin", "admin", None));
        World { folder, port: ports::free(), token, admin }
    }

    fn city(&self) -> PathBuf {
        self.folder.path().join("city")
    }

    pub fn serve(&self) -> Server {
        Server::start(&self.city(), &["--http", &format!("127.0.0.1:{}", self.port)])
    }

    /// Writes the forwarder's configuration, with these lines more.
    pub fn config(&self, port: u16, more: &str) -> PathBuf {
        let path = self.folder.path().join("forward.toml");
        let (token, state) = (&self.token, self.folder.path().join("ward"));
        let text = format!(
            "server = \"http://127.0.0.1:{port}\"\ntoken = \"{token}\"\nname = \"may-01\"\nstate = \"{}\"\n{more}",
            state.display()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn count(&self, query: &str) -> usize {
        stdout(&["search", query, "--data", self.city().to_str().unwrap(), "--count"]).trim().parse().unwrap()
    }

    /// The messages of ours, in the order they were stored.
    fn messages(&self) -> Vec<String> {
        let data = self.city();
        let args = ["search", "message:dong*", "--data", data.to_str().unwrap(), "--limit", "1000000"];
        let mut found: Vec<(u64, String)> = Vec::new();
        for line in stdout(&args).lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            found.push((event["nhatle.seq"].as_u64().unwrap(), event["message"].as_str().unwrap().trim().to_owned()));
        }
        found.sort();
        found.into_iter().map(|(_, message)| message).collect()
    }

    fn wait_for_count(&self, query: &str, expected: usize) {
        wait_for("all are stored", PATIENCE, || expected <= self.count(query));
    }

    pub fn sources(&self, server: &Server) -> Value {
        let bearer = format!("Bearer {}", self.admin);
        request(server.http, "GET", "/api/v1/sources", &[("Authorization", &bearer)], b"").unwrap().json()
    }

    pub fn forwarder_row(&self, server: &Server) -> Value {
        let sources = self.sources(server);
        sources["forwarders"].as_array().and_then(|rows| rows.first()).cloned().unwrap_or(Value::Null)
    }
}

fn line(number: usize) -> String {
    format!("dong{number:06}")
}

fn log_line(number: usize) -> String {
    format!("<13>1 2026-02-03T04:05:06Z may-lan app - - - {}\n", line(number))
}

#[track_caller]
fn check_all(messages: &[String], count: usize) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    messages.iter().for_each(|message| *times.entry(message).or_default() += 1);
    let missing: Vec<_> = (0..count).map(line).filter(|line| !times.contains_key(line.as_str())).take(5).collect();
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times != 1).take(5).collect();
    assert!(missing.is_empty() && doubled.is_empty(), "missing {missing:?}, doubled {doubled:?}");
    assert!(messages.is_sorted(), "out of order");
}

/// A line between ward and city that can be cut, and lets go of it in the middle of a request.
struct Cable {
    port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Cable {
    fn to(port: u16) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = is_cut.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if cut.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(city) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (back, there) = (city.try_clone().unwrap(), stream.try_clone().unwrap());
                for (from, to) in [(stream, city), (back, there)] {
                    let cut = cut.clone();
                    std::thread::spawn(move || carry(from, to, &cut));
                }
            }
        });
        Cable { port: own, is_cut }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut buffer = [0; 4096];
    from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if cut.load(Ordering::Relaxed) {
                    break;
                }
                continue;
            }
            Err(_) => break,
        };
        if read == 0 || cut.load(Ordering::Relaxed) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(from.shutdown(std::net::Shutdown::Both));
    drop(to.shutdown(std::net::Shutdown::Both));
}

/// Appends lines to a log file in steps, as a program would; the last argument runs between the steps.
fn write_log(path: &Path, lines: std::ops::Range<usize>, steps: usize, mut between: impl FnMut(usize)) {
    let each = lines.len() / steps;
    for step in 0..steps {
        let from = lines.start + step * each;
        let text: String = (from..from + each).map(log_line).collect();
        std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        between(step);
    }
}

#[test]
fn killing_ward_and_city_in_turn_loses_and_doubles_nothing() {
    const LINES: usize = 12_000;
    let world = World::new();
    let log = world.folder.path().join("app.log");
    let config = world.config(world.port, &format!("[[file]]\npath = \"{}\"\n", log.display()));
    let (mut server, mut forwarder) = (Some(world.serve()), Some(Forwarder::start(&config)));
    write_log(&log, 0..LINES, 12, |step| {
        // In the middle of what is going on, wherever that is.
        std::thread::sleep(Duration::from_millis(150 + 70 * (step as u64 % 5)));
        match step % 4 {
            0 => {
                forwarder.take().unwrap().kill();
                forwarder = Some(Forwarder::start(&config));
            }
            1 => {
                server.take().unwrap().kill();
                server = Some(world.serve());
            }
            2 => {
                let away = log.with_extension(format!("log.{step}"));
                assert!(Command::new("mv").args([&log, &away]).status().unwrap().success());
            }
            _ => {
                server.take().unwrap().kill();
                forwarder.take().unwrap().kill();
                (server, forwarder) = (Some(world.serve()), Some(Forwarder::start(&config)));
            }
        }
    });
    world.wait_for_count("message:dong*", LINES);
    let server = server.unwrap();
    // All may have been there before the last kill; then it comes for the first time now.
    wait_for("it is known", PATIENCE, || world.forwarder_row(&server)["name"].is_string());
    forwarder.unwrap().stop();
    let row = world.forwarder_row(&server);
    assert_eq!(
        (row["lost"].as_u64(), row["name"].as_str(), row["unit"]["code"].as_str()),
        (Some(0), Some("may-01"), Some("DH01"))
    );
    server.stop();
    check_all(&world.messages(), LINES);
    assert_eq!(world.count("message:dong* AND nhatle.unit:DH01 AND nhatle.source:\"may-01/may-lan\""), LINES);
}

#[test]
fn a_line_cut_in_the_middle_of_requests_loses_and_doubles_nothing() {
    const LINES: usize = 8_000;
    let world = World::new();
    let server = world.serve();
    let cable = Cable::to(world.port);
    let config = world.config(cable.port, "syslog_tcp = \"127.0.0.1:0\"\nbytes_per_second_max = 200000\n");
    let forwarder = Forwarder::start(&config);
    let mut sender = TcpStream::connect(forwarder.address("syslog_tcp")).unwrap();
    for step in 0..8 {
        let text: String = (step * 1000..(step + 1) * 1000).map(log_line).collect();
        sender.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(120));
        cable.is_cut.store(step % 2 == 0, Ordering::Relaxed);
    }
    cable.is_cut.store(false, Ordering::Relaxed);
    world.wait_for_count("message:dong*", LINES);
    world.wait_for_count("event.dataset:forwarder.health AND nhatle.source:may-01 AND nhatle.unit:DH01", 1);
    // What the line and the clocks look like is known to the city.
    // An answer that takes long says little of the clocks; the next one says it anew.
    wait_for("the clocks agree", PATIENCE, || {
        world.forwarder_row(&server)["clock_offset_ms"].as_i64().is_some_and(|offset_ms| offset_ms.abs() < 2000)
    });
    let row = world.forwarder_row(&server);
    assert!(row["last_contact"].is_string() && row["program"].is_string(), "{row}");
    forwarder.stop();
    server.stop();
    check_all(&world.messages(), LINES);
}

/// Days without the city: more comes than the spool holds. The low lane goes first; every number is stored or named.
#[test]
fn an_outage_longer_than_the_spool_is_named_by_its_exact_range() {
    let world = World::new();
    let log = world.folder.path().join("audit.log");
    let more = format!(
        "spool_bytes_max = 4194304\nsyslog_tcp = \"127.0.0.1:0\"\nsyslog_priority = \"low\"\n\
         [[file]]\npath = \"{}\"\npriority = \"high\"\n",
        log.display()
    );
    let config = world.config(world.port, &more);
    let forwarder = Forwarder::start(&config);
    let mut sender = TcpStream::connect(forwarder.address("syslog_tcp")).unwrap();
    let padding = "x".repeat(400);
    let mut low = 0;
    let text = |number: usize| format!("<13>1 2026-02-03T04:05:06Z may-lan app - - - thap{number:06} {padding}\n");
    for _ in 0..20 {
        let some: String = (low..low + 1000).map(text).collect();
        sender.write_all(some.as_bytes()).unwrap();
        low += 1000;
    }
    write_log(&log, 0..2000, 2, |_| ());
    let status = world.folder.path().join("ward/status.json");
    let read = || -> Value {
        std::fs::read(&status).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    };
    wait_for("all of it was taken", PATIENCE, || {
        let status = read();
        let shed = status["shed"][2].as_u64().unwrap_or(0);
        let there = status["depth"]["records"].as_u64().unwrap_or(0) + shed;
        low as u64 + 2000 <= there
    });
    // And the ward's machine is switched off meanwhile.
    forwarder.kill();
    let forwarder = Forwarder::start(&config);
    let server = world.serve();
    world.wait_for_count("message:dong*", 2000);
    wait_for("sent or named", PATIENCE, || {
        let row = world.forwarder_row(&server);
        let lost = row["lost"].as_u64().unwrap_or(0) as usize;
        lost > 0 && world.count("message:thap*") + lost == low
    });
    let row = world.forwarder_row(&server);
    let gaps = row["gaps"].as_array().unwrap().clone();
    let named: u64 = gaps.iter().map(|gap| gap["last"].as_u64().unwrap() - gap["first"].as_u64().unwrap() + 1).sum();
    assert_eq!(Some(named), row["lost"].as_u64(), "{row}");
    assert!(gaps.iter().all(|gap| gap["lane"] == 3 && gap["reason"] == "full"), "{row}");
    // The gap stands on the row of the forwarder in the receipt book too.
    wait_for("the book has it", PATIENCE, || {
        let sources = world.sources(&server);
        let rows = sources["sources"].as_array().unwrap();
        rows.iter().any(|source| source["name"] == "may-01" && source["missing"].as_u64() == Some(named))
    });
    forwarder.stop();
    server.stop();
    check_all(&world.messages(), 2000);
    // The oldest went: what is stored of the low lane is the newest, without a hole.
    let data = world.city();
    let args = ["search", "message:thap*", "--data", data.to_str().unwrap(), "--limit", "1000000"];
    let mut stored: Vec<usize> = Vec::new();
    for line in stdout(&args).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        stored.push(event["message"].as_str().unwrap()[4..10].parse().unwrap());
    }
    stored.sort_unstable();
    assert_eq!(stored, (low - stored.len()..low).collect::<Vec<_>>());
}

#[test]
fn the_journal_is_followed_from_its_cursor() {
    let world = World::new();
    let server = world.serve();
    let program = world.folder.path().join("journalctl");
    let entries = world.folder.path().join("entries");
    // As journalctl does: everything behind the cursor, then what comes.
    let script = format!(
        "#!/bin/sh\nfrom=0\nfor word in \"$@\"; do case $word in --after-cursor=*) from=${{word#--after-cursor=}};; esac; done\n\
         exec tail -n +$((from * 6 + 1)) -f '{}'\n",
        entries.display()
    );
    std::fs::write(&program, script).unwrap();
    assert!(Command::new("chmod").arg("755").arg(&program).status().unwrap().success());
    let entry = |number: usize| {
        format!(
            "__CURSOR={}\n__REALTIME_TIMESTAMP=1770091506000000\n_HOSTNAME=may-01\nSYSLOG_IDENTIFIER=app\nMESSAGE={}\n\n",
            number + 1,
            line(number)
        )
    };
    let append = |numbers: std::ops::Range<usize>| {
        let text: String = numbers.map(entry).collect();
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&entries)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    };
    append(0..500);
    let config = world.config(world.port, &format!("journald = true\njournalctl = \"{}\"\n", program.display()));
    let forwarder = Forwarder::start(&config);
    world.wait_for_count("message:dong*", 300);
    append(500..900);
    forwarder.kill();
    append(900..1000);
    let forwarder = Forwarder::start(&config);
    world.wait_for_count("message:dong*", 1000);
    forwarder.stop();
    server.stop();
    check_all(&world.messages(), 1000);
}

#[test]
fn what_is_wrong_is_said() {
    let world = World::new();
    let check = |config: &Path, more: &[&str]| {
        let mut command = Command::new(NHATLE);
        let output =
            command.args(["forward", "--config"]).arg(config).args(more).env("LANG", "vi_VN.UTF-8").output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), text)
    };
    let config = world.config(world.port, "syslog_udp = \"nowhere\"\nspool_bytes_max = 5\n");
    let (code, text) = check(&config, &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("syslog_udp") && text.contains("spool_bytes_max"), "{text}");
    let config = world.config(world.port, "syslog_udp = \"127.0.0.1:0\"\n");
    let (code, text) = check(&config, &["--check"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("!! máy chủ thành phố"), "{text}");
    assert_eq!(check(&config, &["--status"]).0, Some(2));
    let server = world.serve();
    let (code, text) = check(&config, &["--check"]);
    assert_eq!(code, Some(0), "{text}");
    let forwarder = Forwarder::start(&config);
    wait_for("the status is there", PATIENCE, || check(&config, &["--status"]).1.contains("may-01, đang chạy"));
    // A second one on the same folder.
    let (code, text) = check(&config, &[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("in use by another forwarder"), "{text}");
    forwarder.stop();
    server.stop();
}

/// A disk of its own, as small as this, or `None` with a line that says so.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path, bytes: usize) -> Option<SmallDisk> {
        std::fs::create_dir(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(SmallDisk(folder.to_owned()));
        }
        eprintln!("skipped: may not mount a small disk");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// The disk has less than the spool's bound says: the same is shed and named, and nothing stops.
#[test]
fn a_full_disk_sheds_as_the_bound_would() {
    let world = World::new();
    let Some(disk) = SmallDisk::at(&world.folder.path().join("ward"), 6 << 20) else { return };
    let more = "spool_bytes_max = 67108864\nsyslog_tcp = \"127.0.0.1:0\"\nsyslog_priority = \"low\"\n";
    let config = world.config(world.port, more);
    let forwarder = Forwarder::start(&config);
    let mut sender = TcpStream::connect(forwarder.address("syslog_tcp")).unwrap();
    let padding = "x".repeat(400);
    let mut sent = 0;
    for _ in 0..25 {
        let text = |number| format!("<13>1 2026-02-03T04:05:06Z may-lan app - - - thap{number:06} {padding}\n");
        let some: String = (sent..sent + 1000).map(text).collect();
        sender.write_all(some.as_bytes()).unwrap();
        sent += 1000;
    }
    // A disk that is full for a moment is waited for, ten seconds; this one is full for longer. It may have no room for the status.
    let has_shed = || {
        let status = std::fs::read(world.folder.path().join("ward/status.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&status)
            .is_ok_and(|status| status["shed"][2].as_u64().is_some_and(|shed| 0 < shed))
    };
    let began = std::time::Instant::now();
    while !has_shed() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(200));
    }
    let server = world.serve();
    wait_for("sent or named", PATIENCE, || {
        let lost = world.forwarder_row(&server)["lost"].as_u64().unwrap_or(0) as usize;
        lost > 0 && world.count("message:thap*") + lost == sent
    });
    let (stored, lost) = (world.count("message:thap*"), world.forwarder_row(&server)["lost"].clone());
    println!(
        "| `nhatle forward`, syslog into it | forwarder: disk full for hours | {sent} | – | {stored} | {lost}, named by range | 0 |"
    );
    forwarder.stop();
    server.stop();
    drop(disk);
}
