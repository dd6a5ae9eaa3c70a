//! Small senders of every transport: each sends again what was not answered, as far as its protocol answers.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Lines, PATIENCE, Place};
use crate::forward::Forwarder;
use crate::support::request;
use crate::tls;

fn syslog(line: &str) -> String {
    format!("<13>1 2026-02-03T04:05:06Z loi app - - - {line}")
}

pub fn udp(place: &Place, lines: &Lines) {
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

pub fn tcp(place: &Place, lines: &Lines) {
    stream(place.reach("syslog_tcp"), lines, |line| format!("{}\n", syslog(line)));
}

pub fn gelf(place: &Place, lines: &Lines) {
    let form = |line: &str| format!("{}\0", json!({"version": "1.1", "host": "loi", "short_message": line}));
    stream(place.reach("gelf_tcp"), lines, form);
}

/// Over TLS, by a sender of the city.
pub fn syslog_tls(place: &Place, lines: &Lines) {
    let mut connection: Option<tls::Tls> = None;
    for batch in lines.batches() {
        let bytes: String = batch.iter().map(|number| format!("{}\n", syslog(&lines.text(*number)))).collect();
        loop {
            let written = match &mut connection {
                Some(tls) => tls.write_all(bytes.as_bytes()).and_then(|()| tls.flush()),
                None => Err(std::io::ErrorKind::NotConnected.into()),
            };
            if written.is_ok() {
                break;
            }
            connection = tls::connect(place.reach("syslog_tls"), &place.tls).ok();
            std::thread::sleep(Duration::from_millis(20));
        }
        lines.sent(batch.len());
    }
}

/// Lines of a file that `nhatle forward` follows; what is in the file it has to bring.
pub fn forward(place: &Place, lines: &Lines) {
    let forwarder = Forwarder::start(&place.forwarder());
    let mut file = std::fs::File::options().append(true).create(true).open(place.followed()).unwrap();
    for batch in lines.batches() {
        let text: String = batch.iter().map(|number| format!("{}\n", syslog(&lines.text(*number)))).collect();
        file.write_all(text.as_bytes()).unwrap();
        lines.sent(batch.len());
        lines.acknowledged(&batch);
    }
    let began = Instant::now();
    let query = format!("message:loi{}*", lines.letter);
    while place.stored(&query, lines.count * 2).len() < lines.count {
        assert!(began.elapsed() < PATIENCE, "the forwarder does not bring its lines: {}", forwarder.errors());
        std::thread::sleep(Duration::from_millis(500));
    }
    forwarder.stop();
}

/// A session of RELP that sends again what was not answered.
pub fn relp(place: &Place, lines: &Lines) {
    for batch in lines.batches() {
        lines.sent(batch.len());
        while relp_batch(place.reach("relp"), lines, &batch).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        lines.acknowledged(&batch);
    }
}

fn relp_batch(address: SocketAddr, lines: &Lines, batch: &[usize]) -> std::io::Result<()> {
    let texts: Vec<String> = batch.iter().map(|number| lines.text(*number)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    relp_session(address, &texts, false)
}

/// A session with these lines, over once all are answered; with a farewell or without.
pub fn relp_session(address: SocketAddr, lines: &[&str], has_farewell: bool) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = "1 open 30 relp_version=0\ncommands=syslog\n".to_owned();
    for (transaction, line) in (2..).zip(lines) {
        let message = syslog(line);
        writeln!(bytes, "{transaction} syslog {} {message}", message.len()).map_err(std::io::Error::other)?;
    }
    let mut last = format!("{} rsp 6 200 OK\n", lines.len() + 1);
    if has_farewell {
        writeln!(bytes, "{} close 0", lines.len() + 2).map_err(std::io::Error::other)?;
        last = "serverclose 0\n".to_owned();
    }
    stream.write_all(bytes.as_bytes())?;
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

pub fn ndjson(place: &Place, lines: &Lines) {
    let body = |line: &str| format!("{}\n", json!({"event.id": line, "host.name": "loi-n", "message": line}));
    push(place, lines, "/api/v1/events", "application/x-ndjson", body);
}

pub fn bulk(place: &Place, lines: &Lines) {
    let body = |line: &str| format!("{{\"create\":{{\"_id\":\"{line}\"}}}}\n{}\n", json!({"message": line}));
    push(place, lines, "/_bulk", "application/x-ndjson", body);
}

pub fn hec(place: &Place, lines: &Lines) {
    push(place, lines, "/services/collector/event", "application/json", |line| json!({"event": line}).to_string());
}

/// As a forwarder of Splunk's does: what was answered counts only once its `ackId` is acknowledged on its channel.
pub fn hec_acked(place: &Place, lines: &Lines) {
    let channel = "0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba";
    let headers = [("Authorization", place.token.as_str()), ("X-Splunk-Request-Channel", channel)];
    let ask = |path: &str, body: &str| {
        let answer = request(place.reach("http"), "POST", path, &headers, body.as_bytes()).ok()?;
        (answer.status == 200).then(|| answer.json())
    };
    for batch in lines.batches() {
        lines.sent(batch.len());
        let body: String = batch.iter().map(|number| json!({ "event": lines.text(*number) }).to_string()).collect();
        let again = || std::thread::sleep(Duration::from_millis(50));
        let id = loop {
            match ask("/services/collector/event", &body).and_then(|answer| answer["ackId"].as_u64()) {
                Some(id) => break id,
                None => again(),
            }
        };
        let asked = json!({ "acks": [id] }).to_string();
        while ask("/services/collector/ack", &asked).is_none_or(|answer| answer["acks"][id.to_string()] != true) {
            again();
        }
        lines.acknowledged(&batch);
    }
}

pub fn otlp(place: &Place, lines: &Lines) {
    push(place, lines, "/v1/logs", "application/json", |line| format!("{line} "));
}

fn otlp_body(lines: &str) -> String {
    let records: Vec<Value> = lines.split_whitespace().map(|line| json!({"body": {"stringValue": line}})).collect();
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string()
}
