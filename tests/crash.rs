//! `kill -9` of the real binary while it writes: nothing acknowledged is lost, nothing stands there twice.
//!
//! Five rounds over HTTP and TCP. HTTP batches that got no answer are sent again after the restart, with
//! the same ids. TCP has no acknowledgement: lines may be lost at the kill, never doubled, and what is
//! sent after the last restart must all be there. Attacks planted in each round alert exactly once.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{PATIENCE, Server, request, stdout, token, wait_for};

const ROUNDS: usize = 5;
const BATCH: usize = 100;
/// So many lines are sent over TCP in one round at most: more than a server takes in before it is killed, and not so many
/// that a slow machine counts them for minutes.
const ROUND_LINES_MAX: usize = 10_000;

#[test]
fn five_kills_under_load_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let token = token(data, "pusher", "ingest", None);
    let mut pusher = Pusher { token, next: 0, waiting: None, acknowledged: Arc::default() };
    let mut tcp_sent = 0usize;
    let acknowledged = pusher.acknowledged.clone();
    let acknowledged = || acknowledged.load(Ordering::Acquire);
    for round in 0..ROUNDS {
        let server = Server::start(data, &[]);
        let (http, tcp) = (server.http, server.syslog_tcp);
        let stop = AtomicBool::new(false);
        let before = acknowledged();
        std::thread::scope(|scope| {
            scope.spawn(|| pusher.push(http, &stop));
            scope.spawn(|| send_lines(tcp, &mut tcp_sent, &stop));
            // Different moments of sealing and syncing in each round.
            std::thread::sleep(Duration::from_millis(400 + 250 * round as u64));
            wait_for("enough is pushed to say something", PATIENCE, || before + 2 * BATCH <= acknowledged());
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let server = Server::start(data, &[]);
    let stop = AtomicBool::new(false);
    pusher.resend(server.http);
    let before_last = tcp_sent;
    send_exactly(server.syslog_tcp, &mut tcp_sent, 500);
    stop.store(true, Ordering::Relaxed);
    wait_for("the last lines are stored", PATIENCE, || {
        count(data, &format!("message:\"tcp line {}\"", tcp_sent - 1)) == 1
    });
    let books = books(server.http, data);
    server.stop();

    for (source, [received, stored, duplicate, by_hour]) in &books {
        assert_eq!(received, &(stored + duplicate), "{source}: the book does not balance");
        assert_eq!(received, by_hour, "{source}: the hours are not the total");
        let found = count(data, &format!("nhatle.source:\"{source}\"")) as u64;
        assert_eq!(*stored, found, "{source}: the book and search differ");
    }
    assert_eq!(books.len(), 8, "seven hosts and the pusher: {books:?}");

    let ids = values(data, "event.id:*", "event.id");
    assert!(acknowledged() > 5 * BATCH, "too little was pushed to say anything: {}", acknowledged());
    assert_eq!(ids.len(), acknowledged(), "acknowledged and stored differ");
    let doubled: Vec<_> = ids.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(doubled.is_empty(), "stored more than once: {doubled:?}");

    let lines = values(data, "message:\"tcp line\"", "message");
    let doubled: Vec<_> = lines.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(doubled.is_empty(), "stored more than once: {doubled:?}");
    for number in before_last..tcp_sent {
        assert!(lines.contains_key(&format!("tcp line {number}")), "line {number} was sent after the last restart");
    }
    assert_eq!(
        stdout(&["verify", "--data", data.to_str().unwrap()]).lines().filter(|line| line.contains("damage")).count(),
        0
    );
}

struct Pusher {
    token: String,
    next: usize,
    /// The batch that got no answer yet.
    waiting: Option<Vec<u8>>,
    acknowledged: Arc<AtomicUsize>,
}

impl Pusher {
    fn push(&mut self, server: SocketAddr, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if !self.send(server) {
                return;
            }
        }
    }

    fn resend(&mut self, server: SocketAddr) {
        // A server that has just started may ask for a moment.
        while self.waiting.is_some() {
            assert!(self.send(server), "the last batch is taken by a server nobody kills");
        }
    }

    /// Sends the waiting batch, or a new one. Returns whether the server acknowledged it.
    fn send(&mut self, server: SocketAddr) -> bool {
        let body = self.waiting.take().unwrap_or_else(|| {
            let mut body = Vec::new();
            for number in self.next..self.next + BATCH {
                let event = serde_json::json!({
                    "@timestamp": format!("2026-02-03T04:{:02}:{:02}Z", number / 60 % 60, number % 60),
                    "event.id": format!("push-{number}"), "message": format!("pushed {number}"), "host.name": "pusher",
                });
                writeln!(body, "{event}").unwrap();
            }
            self.next += BATCH;
            body
        });
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-ndjson")];
        match request(server, "POST", "/api/v1/events", &headers, &body) {
            Ok(answer) if answer.status == 200 => {
                assert_eq!(answer.json()["dead_lettered"], 0, "{}", answer.body);
                self.acknowledged.fetch_add(BATCH, Ordering::Release);
                true
            }
            Ok(answer) if answer.status == 429 || answer.status == 503 => {
                self.waiting = Some(body);
                true
            }
            Ok(answer) => panic!("{answer:?}"),
            Err(_broken) => {
                self.waiting = Some(body);
                false
            }
        }
    }
}

/// What the receipt book says of each source: received, stored, duplicate, and received by its hours.
fn books(server: SocketAddr, data: &Path) -> BTreeMap<String, [u64; 4]> {
    let token = token(data, "reader", "auditor", None);
    let bearer = format!("Bearer {token}");
    let get = |path: &str| {
        let answer = request(server, "GET", path, &[("Authorization", &bearer)], b"").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    };
    let number = |row: &serde_json::Value, name: &str| row[name].as_u64().unwrap();
    let sources = get("/api/v1/sources");
    let rows = sources["sources"].as_array().unwrap().iter().map(|row| {
        let name = row["name"].as_str().unwrap();
        let hours = get(&format!("/api/v1/sources/{name}/hours"));
        let by_hour = hours["hours"].as_array().unwrap().iter().map(|hour| number(hour, "received")).sum();
        (name.to_owned(), [number(row, "received"), number(row, "stored"), number(row, "duplicate"), by_hour])
    });
    rows.collect()
}

fn line(number: usize) -> String {
    format!("<13>Feb  3 04:05:06 host{} app[1]: tcp line {number}\n", number % 7)
}

fn send_lines(server: SocketAddr, sent: &mut usize, stop: &AtomicBool) {
    let Ok(mut stream) = TcpStream::connect(server) else { return };
    let end = *sent + ROUND_LINES_MAX;
    while !stop.load(Ordering::Relaxed) {
        if *sent == end {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        }
        if stream.write_all(line(*sent).as_bytes()).is_err() {
            return;
        }
        *sent += 1;
        if sent.is_multiple_of(50) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn send_exactly(server: SocketAddr, sent: &mut usize, count: usize) {
    let mut stream = TcpStream::connect(server).unwrap();
    for _ in 0..count {
        stream.write_all(line(*sent).as_bytes()).unwrap();
        *sent += 1;
    }
}

fn count(data: &Path, query: &str) -> usize {
    stdout(&["search", query, "--count", "--data", data.to_str().unwrap()]).trim().parse().unwrap()
}

/// How often each value of a field stands in what a query finds.
fn values(data: &Path, query: &str, field: &str) -> BTreeMap<String, usize> {
    let mut values = BTreeMap::new();
    for line in stdout(&["search", query, "--limit", "10000000", "--data", data.to_str().unwrap()]).lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        *values.entry(event[field].as_str().unwrap().to_owned()).or_default() += 1;
    }
    values
}
