//! Many and stubborn senders against a live server: its memory stays bounded, and whoever behaves is served meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Server, request, stdout, token, wait_for};

/// How long one that behaves may have to wait beside the others, on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

/// Resident memory of the process (proc(5), `VmRSS`).
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Memory may have grown by so much since `before`.
#[track_caller]
fn check_memory(server: &Server, before: u64, growth_max: u64, what: &str) {
    let grown = memory(server).saturating_sub(before);
    println!("{what}: {} MiB more", grown / MIB);
    assert!(grown <= growth_max, "{what}: {} MiB more than {} MiB before", grown / MIB, before / MIB);
}

fn count(data: &Path, query: &str) -> usize {
    stdout(&["search", query, "--count", "--data", data.to_str().unwrap()]).trim().parse().unwrap()
}

/// A push that must be answered in good time.
#[track_caller]
fn check_served(http: SocketAddr, bearer: &str, word: &str) {
    let began = Instant::now();
    let body = format!("{{\"message\":\"{word}\"}}\n");
    let answer = request(http, "POST", "/api/v1/events", &[("Authorization", bearer)], body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(began.elapsed() < ANSWER_MAX, "{word} took {:?}", began.elapsed());
}

fn start(folder: &Path, collector: &str) -> Server {
    let config = folder.join("nhatle.toml");
    std::fs::write(&config, format!("[collector]\n{collector}\n[canary]\nenabled = false\n")).unwrap();
    Server::start(&folder.join("data"), &["--config", config.to_str().unwrap()])
}

fn frame(number: usize, message: &str) -> String {
    format!("{number} syslog {} {message}\n", message.len())
}

/// A thousand connections, each with a frame begun and not ended; then all end theirs.
#[test]
fn a_thousand_unfinished_frames_are_held_and_nobody_waits_for_them() {
    const SENDERS: usize = 1_000;
    const BEGUN: usize = 32 << 10;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "tot", "ingest", None));
    let admin = format!("Bearer {}", token(&data, "quantri", "admin", None));
    let server = start(folder.path(), "relp = \"127.0.0.1:0\"");
    let relp = server.address("relp");
    let before = memory(&server);
    let padding = "x".repeat(BEGUN);
    let mut open: Vec<TcpStream> = Vec::new();
    for number in 0..SENDERS {
        // Half of them by RELP, where a frame says its length.
        let (address, begin) = match number % 2 {
            0 => (server.syslog_tcp, format!("<13>1 2026-02-03T04:05:06Z dong app - - - nghin{number} {padding}")),
            _ => (
                relp,
                format!("2 syslog {} <13>1 2026-02-03T04:05:06Z dong app - - - nghin{number} {padding}", BEGUN + 100),
            ),
        };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(begin.as_bytes()).unwrap();
        open.push(stream);
    }
    check_served(server.http, &bearer, "giuadam");
    wait_for("all have come in", PATIENCE, || {
        let answer = request(server.http, "GET", "/api/v1/sources", &[("Authorization", &admin)], b"").unwrap().json();
        let inputs = answer["inputs"].as_array().unwrap();
        inputs.iter().filter_map(|input| input["open_connections"].as_u64()).sum::<u64>() == SENDERS as u64
    });
    // Twice what they have sent, and what a thousand connections need besides.
    check_memory(&server, before, (2 * SENDERS * BEGUN) as u64 + 96 * MIB, "a thousand unfinished frames");
    for stream in open.iter_mut().step_by(2) {
        stream.write_all(b"\n").unwrap();
    }
    wait_for("what was ended is stored", PATIENCE, || count(&data, "message:nghin*") == SENDERS / 2);
    drop(open);
    check_served(server.http, &bearer, "saucung");
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.stop();
    // What RELP did not end was not acknowledged.
    assert_eq!(count(&data, "message:giuadam OR message:saucung"), 2);
}

/// Three hundred connections of one address begin a megabyte each; the room for what is unfinished is 64.
#[test]
fn unfinished_records_hold_no_more_than_their_room() {
    const SENDERS: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "tot", "ingest", None));
    let server = start(folder.path(), "unfinished_bytes_max = 67108864");
    let before = memory(&server);
    let begun = format!("<13>1 2026-02-03T04:05:06Z dong app - - - nghin {}", "x".repeat((1 << 20) - 100));
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..SENDERS {
        let mut stream = TcpStream::connect(server.syslog_tcp).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        open.push(stream);
    }
    check_memory(&server, before, (64 + 96) * MIB, "three hundred megabytes begun");
    check_served(server.http, &bearer, "giuadam");
    let mut short = TcpStream::connect(server.syslog_tcp).unwrap();
    short.write_all(b"<13>1 2026-02-03T04:05:06Z dong app - - - ngangan\n").unwrap();
    wait_for("a short line is stored meanwhile", PATIENCE, || count(&data, "message:ngangan") == 1);
    for stream in &mut open {
        stream.write_all(b"\n<13>1 2026-02-03T04:05:06Z dong app - - - tieptheo\n").unwrap();
    }
    drop(open);
    wait_for("what came behind is whole", PATIENCE, || count(&data, "message:tieptheo") == SENDERS);
    let metrics = request(server.http, "GET", "/metrics", &[], b"").unwrap();
    let dead = metrics.body.lines().find_map(|line| line.strip_prefix("nhatle_dead_letters_total ")).unwrap();
    assert!(dead.parse::<usize>().unwrap() > SENDERS / 2, "{dead} gave way");
    check_memory(&server, before, (64 + 96) * MIB, "after it");
    server.stop();
}

/// A sender of RELP and one of HTTP that never read an answer are read no further; others are served.
#[test]
fn who_never_reads_answers_waits_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "tot", "ingest", None));
    let server = start(folder.path(), "relp = \"127.0.0.1:0\"");
    let before = memory(&server);
    let deaf = |address: SocketAddr, text: String| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut taken = 0;
        // Until nothing more is taken, at most 16 MiB.
        while taken < 16 << 20 && stream.write_all(text.as_bytes()).is_ok() {
            taken += text.len();
        }
        (stream, taken)
    };
    // Few large ones: what is stored takes memory too, and is not meant here.
    let message = format!("<13>1 2026-02-03T04:05:06Z diec app - - - diec {}", "x".repeat(16 << 10));
    let frames: String = (2..12).map(|number| frame(number, &message)).collect();
    let page = "GET /api/v1/search?q=diec HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    let held = [std::thread::scope(|scope| {
        let relp = scope.spawn(|| deaf(server.address("relp"), frames));
        let http = scope.spawn(|| deaf(server.http, page));
        check_served(server.http, &bearer, "benhdiec");
        [relp.join().unwrap(), http.join().unwrap()]
    })];
    println!("taken of the deaf: {:?}", held.iter().flatten().map(|(_, taken)| taken).collect::<Vec<_>>());
    check_served(server.http, &bearer, "saudiec");
    check_memory(&server, before, 256 * MIB, "two that read no answer");
    drop(held);
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.stop();
    assert_eq!(count(&data, "message:benhdiec OR message:saudiec"), 2);
}

/// Heads and bodies that come a byte at a time hold connections, not the server; bodies end at their bound of time.
#[test]
fn slow_requests_shut_nobody_out() {
    const SLOW: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "tot", "ingest", None));
    let server = start(folder.path(), "");
    let before = memory(&server);
    let mut open: Vec<TcpStream> = (0..SLOW).map(|_| TcpStream::connect(server.http).unwrap()).collect();
    let head =
        format!("POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nContent-Length: 9999\r\n");
    for (number, stream) in open.iter_mut().enumerate() {
        stream.write_all(head.as_bytes()).unwrap();
        if number % 2 == 0 {
            // The head has ended, the body begins and goes no further.
            stream.write_all(b"\r\n{\"message\":").unwrap();
        }
    }
    for _ in 0..5 {
        for (number, stream) in open.iter_mut().enumerate() {
            let byte = if number % 2 == 0 { &b" "[..] } else { b"X-A: b\r\n" };
            // One that was closed meanwhile is what is wanted.
            drop(stream.write_all(byte));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    check_served(server.http, &bearer, "nhanh");
    check_memory(&server, before, 96 * MIB, "slow requests");
    // A body that stands still is ended, with a word or without.
    let began = Instant::now();
    let stream = &mut open[0];
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
    }
    assert!(began.elapsed() < PATIENCE && !answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    check_served(server.http, &bearer, "nhanh");
    drop(open);
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.stop();
}

/// Sends a body as far as it is taken, and gives the status of the answer.
fn push_large(http: SocketAddr, path: &str, headers: &str, part: &[u8], times: usize) -> u16 {
    let stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n", part.len() * times);
    let mut writer = stream.try_clone().unwrap();
    let mut reader = stream;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The answer may come, and the connection end, before all is sent.
            let mut sent = writer.write_all(head.as_bytes()).is_ok();
            for _ in 0..times {
                sent = sent && writer.write_all(part).is_ok();
            }
        });
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        while !read.windows(4).any(|window| window == b"\r\n\r\n") {
            match reader.read(&mut buffer) {
                Ok(length @ 1..) => read.extend_from_slice(&buffer[..length]),
                Ok(_) | Err(_) => break,
            }
        }
        String::from_utf8_lossy(&read).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    })
}

/// 100 MB of `_bulk` where 16 are allowed: 413, and never held. Where more are allowed they are taken within bounds.
#[test]
fn a_bulk_body_of_100_mb_is_refused_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "tot", "ingest", None));
    let server = start(folder.path(), "");
    let before = memory(&server);
    let document = format!("{{\"create\":{{}}}}\n{{\"message\":\"{}\"}}\n", "lon ".repeat(240));
    let part = document.repeat(1_000);
    let times = 100_000_000 / part.len() + 1;
    let headers = format!("Authorization: {bearer}\r\nContent-Type: application/x-ndjson\r\n");
    for _ in 0..3 {
        let status = push_large(server.http, "/_bulk", &headers, part.as_bytes(), times);
        assert_eq!(status, 413);
    }
    check_memory(&server, before, 128 * MIB, "three bodies of 100 MB");
    check_served(server.http, &bearer, "sauto");
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.stop();
    assert_eq!(count(&data, "message:lon"), 0, "nothing of them is stored");
}

/// Bodies of some hundred kilobytes that unpack to half a gigabyte, by gzip and by zstd, several at once.
#[test]
fn zip_bombs_are_cut_off_while_they_are_unpacked() {
    const BOMBS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "tot", "ingest", None));
    let bombs: Vec<(&str, Vec<u8>)> = [("gzip", "gzip -9 -c"), ("zstd", "zstd -19 -c -q")]
        .into_iter()
        .filter_map(|(encoding, command)| {
            // Half a gigabyte of spaces.
            let line = format!("head -c 536870912 /dev/zero | tr '\\0' ' ' | {command}");
            let output = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
            if !output.status.success() || output.stdout.is_empty() {
                eprintln!("skipped: no {encoding} here");
                return None;
            }
            Some((encoding, output.stdout))
        })
        .collect();
    assert!(!bombs.is_empty());
    let server = start(folder.path(), "");
    let before = memory(&server);
    let (http, bearer) = (server.http, bearer.as_str());
    std::thread::scope(|scope| {
        for (encoding, bomb) in &bombs {
            assert!(bomb.len() < 4 << 20, "{encoding}: {} bytes", bomb.len());
            for path in ["/api/v1/events", "/_bulk"].repeat(BOMBS / 2) {
                scope.spawn(move || {
                    let headers = [("Authorization", bearer), ("Content-Encoding", *encoding)];
                    let status = request(http, "POST", path, &headers, bomb).unwrap().status;
                    assert!(matches!(status, 413 | 429), "{path} {encoding}: {status}");
                });
            }
        }
    });
    check_memory(&server, before, 768 * MIB, "zip bombs");
    check_served(http, bearer, "saubom");
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.stop();
}
