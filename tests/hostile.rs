//! Hostile input against a live server: each a clear error or a dead letter, and everything else goes on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::cli::add_user;
use crate::support::{Answer, PATIENCE, Server, corpus, request, run, stdout, token, wait_for};
use crate::ward::{cookie, csrf};

fn count(data: &Path, query: &str) -> usize {
    stdout(&["search", query, "--count", "--data", data.to_str().unwrap()]).trim().parse().unwrap()
}

fn push(server: SocketAddr, bearer: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut headers = vec![("Authorization", bearer)];
    headers.extend(more);
    request(server, "POST", "/api/v1/events", &headers, body).unwrap()
}

#[test]
fn hostile_lines_over_tcp_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Server::start(data, &[]);
    // A connection that trickles and one that says nothing hold nobody up.
    let mut trickle = TcpStream::connect(server.syslog_tcp).unwrap();
    trickle.write_all(b"<13>Feb  3 04:05").unwrap();
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(server.syslog_tcp).unwrap()).collect();
    let mut stream = TcpStream::connect(server.syslog_tcp).unwrap();
    let mut long = b"<13>Feb  3 04:05:06 dai app: ".to_vec();
    long.resize(10 << 20, b'A');
    long.push(b'\n');
    stream.write_all(&long).unwrap();
    for line in [
        &b"<13>Feb  3 04:05:06 utf app: khong \xff\xfe hop le\n"[..],
        b"<13>Feb  3 04:05:06 nul app: mot hai\0\0\0\0\n",
        b"<13>Feb 30 04:05:06 ngay app: ba muoi thang hai\n",
        b"<999999999999>Feb  3 04:05:06 pri app: uu tien\n",
        b"99999999999999999999 <13>1 - - - - - -\n",
        b"\0\0\0\0\n",
        b"<13>Feb  3 04:05:07 cuoi app: het roi\n",
    ] {
        stream.write_all(line).unwrap();
    }
    drop(stream);
    wait_for("the last line is stored", PATIENCE, || count(data, "\"het roi\"") == 1);
    assert_eq!(count(data, "\"khong\" AND \"hop le\""), 1);
    assert_eq!(count(data, "\"mot hai\""), 1);
    assert_eq!(count(data, "\"ba muoi thang hai\""), 1);
    assert!(1 <= count(data, "host.name:dai OR nhatle.dead_letter.reason:* OR event.dataset:nhatle.dead_letters"));
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    drop((trickle, silent));
    server.stop();
    assert!(stdout(&["verify", "--data", data.to_str().unwrap()]).contains("nothing altered"));
}

#[test]
fn hostile_requests_are_refused_each_with_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let bearer = format!("Bearer {}", token(data, "pusher", "ingest", None));
    let reader = format!("Bearer {}", token(data, "reader", "analyst", None));
    let config = data.join("small.toml");
    std::fs::write(&config, "[collector]\npush_bytes_max = 1048576\n").unwrap();
    let server = Server::start(data, &["--config", config.to_str().unwrap()]);
    let http = server.http;
    // Slow clients of the pages hold nobody up.
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(http).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();

    let gzip = |bytes: &[u8]| {
        let path = data.join("bomb");
        std::fs::write(&path, bytes).unwrap();
        let output = Command::new("gzip").args(["-9", "-c"]).arg(&path).output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    let zeros = gzip(&vec![b' '; 64 << 20]);
    assert!(zeros.len() < 100_000);
    assert_eq!(push(http, &bearer, &[("Content-Encoding", "gzip")], &zeros).status, 413);
    assert_eq!(push(http, &bearer, &[], &vec![b'a'; 2 << 20]).status, 413);
    let broken = push(http, &bearer, &[("Content-Encoding", "gzip")], b"no gzip at all");
    assert!((400..500).contains(&broken.status), "{broken:?}");
    let unknown = push(http, &bearer, &[("Content-Encoding", "rot13")], b"{}");
    assert!((400..500).contains(&unknown.status), "{unknown:?}");

    // A JSON bomb is one dead letter (or a bounded event), and its neighbors are stored.
    let bomb = "[".repeat(200_000);
    let wide = format!("{{{}\"z\":1}}", (0..20_000).map(|n| format!("\"k{n}\":1,")).collect::<String>());
    let body = format!("{{\"message\":\"truoc\"}}\n{{\"a\":{bomb}\n{wide}\n\u{0}\u{0}\n{{\"message\":\"sau\"}}\n");
    let answer = push(http, &bearer, &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = answer.json();
    assert!(1 <= receipt["dead_lettered"].as_u64().unwrap(), "{receipt}");
    assert!(2 <= receipt["accepted"].as_u64().unwrap(), "{receipt}");
    assert_eq!((count(data, "truoc"), count(data, "sau")), (1, 1));

    for (headers, status) in [
        (vec![], 401),
        (vec![("Authorization", "Bearer wrong")], 401),
        (vec![("Authorization", "Basic YTph")], 401),
        (vec![("Authorization", reader.as_str())], 403),
    ] {
        let answer = request(http, "POST", "/api/v1/events", &headers, b"{}\n").unwrap();
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }

    let read = [("Authorization", reader.as_str())];
    let answer = request(http, "GET", "/api/v1/search?q=abc%20AND%20%28", &read, b"").unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.json()["error"]["detail"]["offset"].is_u64(), "{answer:?}");
    for path in [
        "/api/v1/alerts/..%2f..%2fetc%2fpasswd",
        "/api/v1/alerts/%00",
        "/api/v1/incidents/99999999999999999999",
        "/api/v1/incidents/0",
        "/static/..%2f..%2fCargo.toml",
        "/static/../Cargo.toml",
        "/static/",
        "/nowhere",
    ] {
        let answer = request(http, "GET", path, &read, b"").unwrap();
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    assert!(request(http, "GET", "/healthz", &[], b"").unwrap().status == 200);
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    drop(slow);
    server.stop();
}

#[test]
fn a_change_needs_our_own_form() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert!(add_user(data, "lan", "analyst", None, "mot-mat-khau-dai").status.success());
    let server = Server::start(data, &[]);
    let http = server.http;
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let page = request(http, "GET", "/login", &[], b"").unwrap();
    let (visitor, visitor_token) = (cookie(&page), csrf(&page.body));
    let bare = request(http, "POST", "/login", &[form], b"user=lan&password=mot-mat-khau-dai").unwrap();
    assert_eq!(bare.status, 403, "{bare:?}");
    let sent = format!("csrf={visitor_token}&user=lan&password=mot-mat-khau-dai");
    let signed = request(http, "POST", "/login", &[form, ("Cookie", &visitor)], sent.as_bytes()).unwrap();
    assert_eq!(signed.status, 303, "{signed:?}");
    assert!(signed.head.to_lowercase().contains("httponly") && signed.head.to_lowercase().contains("samesite"));
    let session = cookie(&signed);
    let token = csrf(&request(http, "GET", "/account", &[("Cookie", &session)], b"").unwrap().body);
    let good = format!("csrf={token}&title=Mot&level=low&note=");
    let own = format!("http://{http}");
    let rows: [(&[(&str, &str)], &str, bool); 5] = [
        (&[], "title=Mot&level=low&note=", false),
        (&[], "csrf=0&title=Mot&level=low&note=", false),
        (&[("Origin", "http://evil.example")], &good, false),
        (&[("Sec-Fetch-Site", "cross-site")], &good, false),
        (&[("Origin", &own), ("Sec-Fetch-Site", "same-origin")], &good, true),
    ];
    for (more, body, is_taken) in rows {
        let mut headers = vec![form, ("Cookie", session.as_str())];
        headers.extend(more);
        let answer = request(http, "POST", "/incidents", &headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status == 303, is_taken, "{more:?} {body}: {answer:?}");
        assert!(is_taken || answer.status == 403, "{more:?} {body}: {answer:?}");
    }
}

#[test]
fn a_cut_windows_file_gives_its_whole_records_and_says_where_it_ends() {
    let Some(corpus) = corpus() else { return };
    let mut folders = vec![corpus.join("evtx")];
    let mut whole = None;
    while let (Some(folder), None) = (folders.pop(), &whole) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "evtx") {
                whole = Some(path);
            }
        }
    }
    let whole = whole.unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    let store = tempfile::tempdir().unwrap();
    let said = stdout(&["import", "--data", store.path().to_str().unwrap(), whole.to_str().unwrap()]);
    let records = serde_json::from_str::<serde_json::Value>(&said).unwrap()["records"].clone();
    for length in [10, 128, 4_000, 4_096 + 600, bytes.len() / 2] {
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut.evtx");
        std::fs::write(&cut, &bytes[..length]).unwrap();
        let data = folder.path().join("d");
        let output = run(&["import", "--data", data.to_str().unwrap(), cut.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{length}: {:?} {said}", output.status);
        assert!(!said.contains("panicked"), "{length}: {said}");
        let receipt: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        // Behind the last record a chunk is empty: cutting there loses nothing, and nothing has to be said.
        let is_told = receipt["stored"] == records
            || output.status.code() == Some(1)
            || 1 <= receipt["dead_lettered"].as_u64().unwrap();
        assert!(is_told, "{length}: {receipt} {said}");
    }
}

/// A small file system of its own, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(folder)),
            other => {
                eprintln!("skipped: no small file system: {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let data = disk.0.path();
    let bearer = format!("Bearer {}", token(data, "pusher", "ingest", None));
    let ballast = data.join("ballast");
    let server = Server::start(data, &[]);
    let batch = |number: usize| -> String {
        let pad = "đầy ".repeat(200);
        (0..200)
            .map(|n| format!("{{\"event.id\":\"{number}-{n}\",\"host.name\":\"day\",\"message\":\"{pad}\"}}\n"))
            .collect()
    };
    assert_eq!(push(server.http, &bearer, &[], batch(0).as_bytes()).status, 200);
    let mut acknowledged = 1;
    // Leaves little room, then pushes until there is none.
    std::fs::write(&ballast, vec![1u8; 12 << 20]).unwrap();
    let mut refused = None;
    for number in 1..200 {
        let answer = push(server.http, &bearer, &[], batch(number).as_bytes());
        match answer.status {
            200 => acknowledged += 1,
            _ => {
                refused = Some((number, answer));
                break;
            }
        }
    }
    let (number, answer) = refused.expect("the disk got full");
    assert!(matches!(answer.status, 429 | 503), "{answer:?}");
    assert_eq!(request(server.http, "GET", "/healthz", &[], b"").unwrap().status, 200);
    std::fs::remove_file(&ballast).unwrap();
    wait_for("it takes events again", PATIENCE, || {
        push(server.http, &bearer, &[], batch(number).as_bytes()).status == 200
    });
    acknowledged += 1;
    assert!(!server.errors().contains("panicked"), "{}", server.errors());
    server.kill();
    let server = Server::start(data, &[]);
    server.stop();
    assert_eq!(count(data, "host.name:day"), acknowledged * 200, "all that was acknowledged, once");
    println!("full disk: {acknowledged} batches of 200 acknowledged, refused with {}", answer.status);
}

#[test]
fn one_connection_may_ask_twice_and_a_broken_request_line_is_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(request(server.http, "GET", "/readyz", &[], b"").unwrap().status, 200);
    server.stop();
}
