//! What the kernel drops before a socket's buffer is read, on a real drop: the server stands still while datagrams
//! come, more of them than its buffer holds. Every one is accounted for: sent = received + dropped by the kernel.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Server, request, stdout, token, wait_for};

const PATIENCE: Duration = Duration::from_secs(90);
/// As large as it may be and go over loopback in one piece: a few thousand fill the largest buffer.
pub const DATAGRAM_BYTES: usize = 60_000;
/// So many more are sent than a buffer could hold if a datagram took no more of it than its bytes.
pub const DATAGRAMS_MORE: usize = 300;

pub fn metric(http: SocketAddr, name: &str) -> usize {
    let text = request(http, "GET", "/metrics", &[], b"").unwrap().body;
    let name = format!("nhatle_input_{name}{{input=\"syslog_udp\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// Sends so many datagrams to a program that stands still meanwhile.
pub fn send_while_stopped(pid: u32, to: SocketAddr, word: &str, count: usize) {
    signal(pid, "-STOP");
    wait_for("it stands still", PATIENCE, || is_stopped(pid));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..count {
        let text = format!("<13>Feb  3 04:05:06 lu app: {word}{number:06} {:x<DATAGRAM_BYTES$}", "");
        socket.send_to(&text.as_bytes()[..DATAGRAM_BYTES], to).unwrap();
    }
    signal(pid, "-CONT");
}

/// Whether every thread of a process stands still.
fn is_stopped(pid: u32) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

/// What the book says of the input itself: what was lost before anybody received it.
fn lost(server: &Server, bearer: &str) -> (Value, usize) {
    let get = |path: &str| request(server.http, "GET", path, &[("Authorization", bearer)], b"").unwrap().json();
    let rows = get("/api/v1/sources");
    let row = rows["sources"].as_array().unwrap().iter().find(|row| row["name"] == "syslog-udp").cloned();
    let hours = get("/api/v1/sources/syslog-udp/hours");
    let of_hours = hours["hours"].as_array().into_iter().flatten();
    let of_hours: u64 = of_hours.map(|hour| hour["lost_before_receipt"].as_u64().unwrap()).sum();
    (row.unwrap_or_default()["lost_before_receipt"].clone(), usize::try_from(of_hours).unwrap())
}

fn stored(data: &Path) -> usize {
    stdout(&["search", "message:tran*", "--count", "--data", data.to_str().unwrap()]).trim().parse().unwrap()
}

#[test]
fn what_the_kernel_dropped_while_the_server_stood_still_is_counted_to_the_last_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let bearer = format!("Bearer {}", token(&data, "xem", "admin", None));
    let config = folder.path().join("nhatle.toml");
    // Short records of large datagrams: what the kernel kept fits into the queue, which is not what is tested here.
    std::fs::write(&config, "[collector]\nrecord_bytes_max = 1024\n[canary]\nenabled = false\n").unwrap();
    let start = || Server::start(&data, &["--config", config.to_str().unwrap()]);
    let server = start();
    let to = server.address("syslog_udp");
    // As the kernel says it, which is twice what is for data.
    let sent = metric(server.http, "receive_buffer_bytes") / DATAGRAM_BYTES + DATAGRAMS_MORE;
    send_while_stopped(server.pid(), to, "tran", sent);
    let counts = || ["received_total", "dropped_total", "kernel_dropped_total"].map(|name| metric(server.http, name));
    wait_for("all are accounted for", PATIENCE, || {
        let counts = counts();
        assert!(counts.iter().sum::<usize>() <= sent, "{counts:?} of {sent}");
        counts.iter().sum::<usize>() == sent
    });
    let [received, dropped, kernel_dropped] = counts();
    println!("kernel drops: {sent} sent, {received} received, {kernel_dropped} dropped by the kernel");
    assert_eq!(dropped, 0);
    assert!(DATAGRAMS_MORE <= kernel_dropped && 0 < received);
    wait_for("the book says so", PATIENCE, || lost(&server, &bearer) == (kernel_dropped.into(), kernel_dropped));
    wait_for("the others are stored", PATIENCE, || stored(&data) == received);
    // A quiet second look finds nothing more.
    assert_eq!(counts(), [received, dropped, kernel_dropped]);
    server.stop();
    let server = start();
    assert_eq!(lost(&server, &bearer), (kernel_dropped.into(), kernel_dropped), "after a restart");
    server.stop();
    assert_eq!(stored(&data), received);
}
