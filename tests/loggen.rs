//! 20,000 lines over TCP from `loggen` with three kill -9 in between; `NHATLE_LINES` asks for more.
//!
//! Skipped where `loggen` (Debian: syslog-ng-core) is not installed. TCP has no acknowledgement: what a kill
//! catches on the way is lost, but nothing is doubled, and all lines sent after the last restart are there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Server, ports, request, stdout, wait_for};

const ROUNDS: usize = 4;
/// More than a server stores of itself in its first seconds.
const PART: u64 = 100;

fn loggen(port: u16, lines: usize, rate: usize, tag: &str) -> Child {
    let (lines, rate, data) = (lines.to_string(), rate.to_string(), format!("[nhatle round=\"{tag}\"]"));
    Command::new("loggen")
        .args([
            "--inet",
            "--stream",
            "--syslog-proto",
            "--sdata",
            &data,
            "--size",
            "300",
            "--quiet",
            "--number",
            &lines,
        ])
        .args(["--rate", &rate, "127.0.0.1", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn count(data: &Path, query: &str) -> usize {
    stdout(&["search", query, "--count", "--data", data.to_str().unwrap()]).trim().parse().unwrap()
}

/// How many events the server has stored since it was started.
fn stored(http: SocketAddr) -> u64 {
    let text = request(http, "GET", "/metrics", &[], b"").unwrap().body;
    let value = text.lines().find_map(|line| line.strip_prefix("nhatle_events_stored_total "));
    value.unwrap_or_else(|| panic!("no such metric in {text}")).parse().unwrap()
}

#[test]
fn every_line_of_loggen_after_the_last_kill_is_stored_once() {
    if Command::new("loggen").arg("--help").output().is_err() {
        eprintln!("skipped: no loggen (Debian package syslog-ng-core)");
        return;
    }
    let total: usize = std::env::var("NHATLE_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let lines = total / ROUNDS;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let port = ports::free();
    let address = format!("127.0.0.1:{port}");
    let began = Instant::now();
    for round in 1..ROUNDS {
        let server = Server::start(data, &["--syslog-tcp", &address]);
        // Sent within about two seconds, killed after one, and not before something of it is stored.
        let mut sender = loggen(port, lines, lines / 2, &format!("r{round}"));
        std::thread::sleep(Duration::from_millis(1_000));
        wait_for("a part is stored", PATIENCE, || PART <= stored(server.http));
        assert!(!server.errors().contains("panicked"), "{}", server.errors());
        server.kill();
        drop(sender.kill());
        sender.wait().unwrap();
    }
    let server = Server::start(data, &["--syslog-tcp", &address]);
    let sending = Instant::now();
    assert!(loggen(port, lines, 1_000_000, "last").wait().unwrap().success());
    let sent_s = sending.elapsed().as_secs_f64();
    wait_for("the last run is stored", PATIENCE, || lines <= count(data, "last"));
    let stored_s = sending.elapsed().as_secs_f64();
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.stop();
    let per_round: Vec<usize> = (1..ROUNDS).map(|round| count(data, &format!("r{round}"))).collect();
    let last = count(data, "last");
    println!(
        "loggen: {lines} lines a run; stored of the killed runs {per_round:?}, of the last {last}; \
         last run sent in {sent_s:.2} s, searchable within {stored_s:.2} s; all in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    assert_eq!(last, lines, "all lines of the last run, none twice");
    assert!(per_round.iter().all(|stored| 0 < *stored && *stored <= lines), "{per_round:?}");
    assert_eq!(count(data, "*"), last + per_round.iter().sum::<usize>(), "nothing else is in the store");
    assert!(stdout(&["verify", "--data", data.to_str().unwrap()]).contains("nothing altered"));
}
