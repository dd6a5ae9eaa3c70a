//! Real senders against the real binary, with `kill -9` in the middle: rsyslog over RELP and `_bulk`, and a client of
//! `_bulk` as Beats is one.
//!
//! rsyslog comes from Debian's packages, unpacked into the build folder and never installed. Where they cannot be
//! had the tests say `skipped: no rsyslog`. syslog-ng, `logger` and the Python clients stand in files of their own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::faults::proxy::Proxy;
use crate::support::{PATIENCE, Server, debian, ports, request, stdout, token, wait_for};

/// So many lines are sent.
const LINES: usize = 8_000;

/// rsyslog, unpacked.
pub struct Rsyslog {
    folder: PathBuf,
}

impl Rsyslog {
    /// Unpacks rsyslog unless that was done before.
    pub fn get() -> Option<Rsyslog> {
        let names = [
            "rsyslog",
            "rsyslog-relp",
            "rsyslog-elasticsearch",
            "rsyslog-gnutls",
            "rsyslog-openssl",
            "librelp0",
            "libestr0",
            "libfastjson4",
            "liblognorm5",
            "libcurl3-gnutls",
        ];
        debian::unpacked("rsyslog-2", &names, "usr/sbin/rsyslogd").map(|folder| Rsyslog { folder })
    }

    fn program(&self) -> PathBuf {
        self.folder.join("usr/sbin/rsyslogd")
    }

    /// Starts it with an action, reading the lines of a file.
    fn start(&self, folder: &Path, lines: &Path, action: &str) -> Sender {
        self.start_with(folder, lines, "", action)
    }

    /// The same with settings for all of it.
    pub fn start_with(&self, folder: &Path, lines: &Path, globals: &str, action: &str) -> Sender {
        let work = folder.join("rsyslog");
        std::fs::create_dir_all(&work).unwrap();
        let config = folder.join("rsyslog.conf");
        let text = format!(
            "global(workDirectory=\"{}\")\n{globals}\
             module(load=\"imfile\" PollingInterval=\"1\")\nmodule(load=\"omrelp\")\nmodule(load=\"omelasticsearch\")\n\
             template(name=\"line\" type=\"string\" string=\"<13>1 2026-02-03T04:05:06Z may-01 app - - - %msg%\")\n\
             template(name=\"id\" type=\"string\" string=\"%msg%\")\n\
             template(name=\"document\" type=\"string\" string=\"{{\\\"message\\\":\\\"%msg:::json%\\\"}}\")\n\
             input(type=\"imfile\" File=\"{}\" Tag=\"app\" ruleset=\"out\")\n\
             ruleset(name=\"out\") {{ {action} }}\n",
            work.display(),
            lines.display(),
        );
        std::fs::write(&config, text).unwrap();
        self.run(&config, &work.join("pid"))
    }

    /// Runs it with a configuration, in the foreground.
    pub fn run(&self, config: &Path, pid: &Path) -> Sender {
        let libraries = self.folder.join("usr/lib/x86_64-linux-gnu");
        let child = Command::new(self.program())
            .args(["-n", "-f"])
            .arg(config)
            .arg("-i")
            .arg(pid)
            .arg("-M")
            .arg(libraries.join("rsyslog"))
            .env("LD_LIBRARY_PATH", &libraries)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Sender { child }
    }
}

/// A running sender.
pub struct Sender {
    /// Its process.
    pub child: Child,
}

impl Drop for Sender {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How many messages of ours are stored.
pub fn count(data: &Path) -> usize {
    stdout(&["search", "message:dong*", "--data", data.to_str().unwrap(), "--count"]).trim().parse().unwrap()
}

/// Every stored message that is one of ours, with how often it is stored.
fn stored(data: &Path) -> BTreeMap<String, usize> {
    let data = data.to_str().unwrap();
    let limit = (2 * LINES).to_string();
    let text = stdout(&["search", "message:dong*", "--data", data, "--limit", &limit, "--format", "jsonl"]);
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let message = event["message"].as_str().unwrap().trim().to_owned();
        *found.entry(message).or_insert(0) += 1;
    }
    found
}

/// A server with a port that stays the same through restarts, and the lines that are sent there.
pub struct Place {
    /// Everything of it.
    pub folder: tempfile::TempDir,
    /// The data folder.
    pub data: PathBuf,
    /// The port.
    pub port: u16,
    /// A token to push with, of the account `sender`.
    pub token: String,
    /// How many lines are sent.
    pub lines: usize,
    flags: Vec<String>,
}

impl Place {
    /// The input of this option of `[collector]` has the port.
    pub fn new(setting: &str) -> Place {
        let mut place = Place::with_flag("--config");
        let config = place.folder.path().join("nhatle.toml");
        std::fs::write(&config, format!("[collector]\n{setting} = \"127.0.0.1:{}\"\n", place.port)).unwrap();
        place.flags = vec!["--config".to_owned(), config.display().to_string()];
        place
    }

    /// The listener of this flag has the port.
    pub fn with_flag(flag: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let token = token(&data, "sender", "ingest", None);
        let port = ports::free();
        let flags = vec![flag.to_owned(), format!("127.0.0.1:{port}")];
        Place { folder, data, port, token, lines: LINES, flags }
    }

    /// Starts the server, again and again on the same port.
    pub fn start(&self) -> Server {
        Server::start(&self.data, &self.flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The lines to send, in a file.
    pub fn lines(&self) -> PathBuf {
        let mut text = String::new();
        for number in 0..self.lines {
            writeln!(text, "{}", line(number)).unwrap();
        }
        let file = self.folder.path().join("lines.log");
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Waits until every line is stored; gives how often each is.
    pub fn wait_for_all(&self) -> BTreeMap<String, usize> {
        let began = Instant::now();
        let mut stored = stored(&self.data);
        // Only the distinct ones count here: what stands there twice is the caller's to find.
        while stored.len() < self.lines && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(300));
            stored = self::stored(&self.data);
        }
        let missing: Vec<String> = (0..self.lines).map(line).filter(|line| !stored.contains_key(line)).collect();
        assert!(
            missing.is_empty(),
            "{} are missing, among them {:?}",
            missing.len(),
            missing.iter().take(5).collect::<Vec<_>>()
        );
        stored
    }

    /// Kills the server twice while lines come in.
    pub fn kill_twice(&self, mut server: Server) -> Server {
        for part in 1..=2 {
            wait_for("a part is stored", PATIENCE, || part * self.lines / 10 < count(&self.data));
            server.kill();
            server = self.start();
        }
        server
    }
}

fn line(number: usize) -> String {
    format!("dong{number:05}")
}

/// No line is stored more than once.
#[track_caller]
pub fn check_none_doubled(stored: &BTreeMap<String, usize>) {
    let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(doubled.is_empty(), "stored more than once: {doubled:?}");
}

/// How rsyslog waits while the server is away. Its own default keeps 1,000 messages and gives each further one up
/// after two seconds, which no receiver can help.
pub const QUEUE: &str = "action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\" queue.type=\"linkedList\" \
                     queue.size=\"100000\" queue.timeoutEnqueue=\"60000\"";

#[test]
fn rsyslog_over_relp_loses_and_doubles_nothing_when_the_server_is_killed() {
    let Some(rsyslog) = Rsyslog::get() else { return };
    let place = Place::new("relp");
    let server = place.start();
    let action = format!(
        "action(type=\"omrelp\" target=\"127.0.0.1\" port=\"{}\" template=\"line\" timeout=\"5\" {QUEUE})",
        place.port
    );
    let sender = rsyslog.start(place.folder.path(), &place.lines(), &action);
    let server = place.kill_twice(server);
    // RELP has no ids: what was stored and not answered comes again, and is known.
    check_none_doubled(&place.wait_for_all());
    drop(sender);
    server.stop();
}

#[test]
fn rsyslog_over_relp_loses_and_doubles_nothing_when_its_answers_are_cut_off() {
    let Some(rsyslog) = Rsyslog::get() else { return };
    let place = Place::new("relp");
    let server = place.start();
    let proxy = Proxy::new(place.port);
    let action = format!(
        "action(type=\"omrelp\" target=\"127.0.0.1\" port=\"{}\" template=\"line\" timeout=\"5\" {QUEUE})",
        proxy.address.port()
    );
    let sender = rsyslog.start(place.folder.path(), &place.lines(), &action);
    for part in 1..=4 {
        wait_for("a part is stored", PATIENCE, || part * place.lines / 20 < count(&place.data));
        proxy.is_holding.store(true, Ordering::Release);
        std::thread::sleep(Duration::from_millis(200));
        proxy.cuts.fetch_add(1, Ordering::AcqRel);
        proxy.is_holding.store(false, Ordering::Release);
    }
    check_none_doubled(&place.wait_for_all());
    drop(sender);
    server.stop();
}

#[test]
fn rsyslog_over_bulk_loses_and_doubles_nothing_when_the_server_is_killed() {
    let Some(rsyslog) = Rsyslog::get() else { return };
    let place = Place::new("elastic");
    let server = place.start();
    let action = format!(
        "action(type=\"omelasticsearch\" server=\"http://127.0.0.1\" serverport=\"{}\" uid=\"rsyslog\" \
         pwd=\"{}\" template=\"document\" searchIndex=\"logs\" searchType=\"\" bulkmode=\"on\" \
         bulkid=\"id\" dynbulkid=\"on\" writeoperation=\"create\" queue.dequeueBatchSize=\"500\" {QUEUE})",
        place.port, place.token
    );
    let sender = rsyslog.start(place.folder.path(), &place.lines(), &action);
    let server = place.kill_twice(server);
    check_none_doubled(&place.wait_for_all());
    drop(sender);
    server.stop();
}

/// A client as Beats is one: what got no answer is sent again, item by item as the answer says.
#[test]
fn bulk_loses_and_doubles_nothing_when_the_server_is_killed() {
    const BATCH: usize = 200;
    let place = Place::new("elastic");
    let server = place.start();
    let address = ([127, 0, 0, 1], place.port).into();
    let authorization = format!("Bearer {}", place.token);
    let client = std::thread::spawn(move || {
        let mut repeats = 0;
        for first in (0..LINES).step_by(BATCH) {
            let mut body = String::new();
            for number in first..first + BATCH {
                let line = line(number);
                writeln!(body, "{{\"create\":{{\"_id\":\"{line}\"}}}}\n{{\"message\":\"{line}\"}}").unwrap();
            }
            loop {
                match request(address, "POST", "/_bulk", &[("Authorization", &authorization)], body.as_bytes()) {
                    Ok(answer) if answer.status == 200 => {
                        let answer = answer.json();
                        let statuses: Vec<u64> = answer["items"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .map(|item| item["create"]["status"].as_u64().unwrap())
                            .collect();
                        assert_eq!(statuses.len(), BATCH);
                        assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{answer}");
                        repeats += statuses.iter().filter(|status| **status == 409).count();
                        break;
                    }
                    _ => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        }
        repeats
    });
    let server = place.kill_twice(server);
    let repeats = client.join().unwrap();
    eprintln!("{repeats} were stored before their answer got lost");
    check_none_doubled(&place.wait_for_all());
    server.stop();
}
