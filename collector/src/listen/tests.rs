//! The inputs against themselves: files in all forms, sockets over loopback, pushes over HTTP.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use nhatle_event::{Clock, DeadLetter, Event, Field, Record, Text, Timestamp, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::Receiver;

use super::file::{FileOptions, FileRecords};
use super::http::{Push, PushIdentity, PushLimits};
use super::tcp::{TcpInput, TcpLimits};
use super::udp::UdpInput;
use super::{Batch, Receipt, Refusal, channel};
use crate::Settings;
use crate::frame::Origin;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_770_091_506)
    }
}

fn loopback() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Index of each record with its message, or `None` for a dead letter.
fn read_file(bytes: &[u8]) -> Vec<(u64, Option<String>)> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("is written");
    let settings = Settings::default();
    let records = FileRecords::open(file.path(), &FileOptions::new(Noon.now()), &settings).expect("opens");
    let mut found = Vec::new();
    for record in records {
        let (index, result) = record.expect("reads");
        let message = result.ok().map(|event| {
            let told = event.get(Field::NHATLE_FILE_INDEX).and_then(Value::as_long);
            assert_eq!(told, i64::try_from(index).ok());
            event.text(Field::MESSAGE).unwrap_or_default().to_owned()
        });
        found.push((index, message));
    }
    found
}

#[track_caller]
fn check_file(bytes: &[u8], expected: &[(u64, Option<&str>)]) {
    let expected: Vec<_> = expected.iter().map(|(index, message)| (*index, message.map(ToOwned::to_owned))).collect();
    assert_eq!(read_file(bytes), expected);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("packs");
    assert_eq!(read_file(&gzip.finish().expect("packs")), expected, "gzip");
    assert_eq!(read_file(&zstd::encode_all(bytes, 1).expect("packs")), expected, "zstd");
}

#[test]
fn files_of_all_forms() {
    check_file(b"one\n\n  \nfour\r\n", &[(0, Some("one")), (3, Some("four"))]);
    check_file(b"{\"message\":\"a\"}\n{\"broken\n\n{\"message\":\"b\"}", &[(0, Some("a")), (1, None), (3, Some("b"))]);
    check_file(
        b"\xef\xbb\xbf[\n  {\n    \"message\": \"a]}\"\n  },\n  {\"broken\":},\n 7, {\"message\": \"b\"}\n]\n",
        &[(0, Some("a]}")), (1, None), (2, None), (3, Some("b"))],
    );
    check_file(b"{\n  \"message\": \"a\"\n}\n{\n  \"message\": \"b\"\n}\n", &[(0, Some("a")), (1, Some("b"))]);
    check_file(b"[{\"message\":\"a\"},{\"message\":\"never ends", &[(0, Some("a")), (1, None)]);
    check_file(b"[]", &[]);
    check_file(b"", &[]);
}

#[test]
fn a_broken_compression_ends_the_file_with_an_error() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let packed = zstd::encode_all(vec![b'x'; 1 << 20].as_slice(), 1).expect("packs");
    file.write_all(&packed[..packed.len() / 2]).expect("is written");
    let settings = Settings::default();
    let records = FileRecords::open(file.path(), &FileOptions::new(Noon.now()), &settings);
    assert!(records.map_or(true, |records| records.take(10).any(|record| record.is_err())));
}

/// Receives records until there are so many.
async fn take(batches: &mut Receiver<Batch>, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch =
            tokio::time::timeout(Duration::from_secs(20), batches.recv()).await.expect("in time").expect("is open");
        records.extend(batch.records);
    }
    records
}

#[tokio::test]
async fn a_datagram_is_a_record_and_a_full_channel_drops_it() {
    let (sink, mut batches) = channel(1);
    let input = UdpInput::bind(loopback(), Origin::new("udp"), 8).await.expect("binds");
    let (address, counts) = (input.address().expect("has one"), input.counts());
    let running = tokio::spawn(input.run(sink, Arc::new(Noon)));
    let socket = UdpSocket::bind(loopback()).await.expect("binds");
    socket.send_to(b"<13>abcdefgh\n", address).await.expect("sends");
    let records = take(&mut batches, 1).await;
    assert_eq!((&*records[0].bytes, records[0].is_truncated), (b"<13>abcd".as_slice(), true));
    assert!(records[0].peer.is_some_and(|peer| peer.is_loopback()));
    while counts.read().dropped == 0 {
        socket.send_to(b"<13>x", address).await.expect("sends");
        tokio::task::yield_now().await;
    }
    running.abort();
}

#[tokio::test]
async fn a_connection_is_cut_into_records_and_its_end_ends_the_last() {
    let (sink, mut batches) = channel(4);
    let limits = TcpLimits { connections_max: 1, ..TcpLimits::default() };
    let input = TcpInput::bind(loopback(), Origin::new("tcp"), limits).await.expect("binds");
    let (address, counts) = (input.address().expect("has one"), input.counts());
    let running = tokio::spawn(input.run(sink, Arc::new(Noon)));
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(b"<13>one\n7 <13>t\no<13>unfinished").await.expect("sends");
    let first = take(&mut batches, 2).await;
    let mut second = TcpStream::connect(address).await.expect("connects");
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0, "past the limit");
    drop(stream);
    let last = take(&mut batches, 1).await;
    let texts: Vec<_> =
        first.iter().chain(&last).map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect();
    assert_eq!(texts, ["<13>one", "<13>t\no", "<13>unfinished"]);
    while counts.read().received < 3 {
        tokio::task::yield_now().await;
    }
    let counted = counts.read();
    assert_eq!((counted.received, counted.connections, counted.refused_connections), (3, 1, 1));
    running.abort();
}

/// A server of the push route whose requests speak for a unit, and what it gives on.
async fn server(batches_max: usize, limits: PushLimits) -> (std::net::SocketAddr, Receiver<Batch>) {
    let (sink, batches) = channel(batches_max);
    let identity = PushIdentity { unit: Some(Text::const_new("W1")), name: Text::const_new("agent") };
    let router = Push::new(sink, Arc::new(Noon), limits).router().layer(axum::Extension(identity));
    let listener = TcpListener::bind(loopback()).await.expect("binds");
    let address = listener.local_addr().expect("has one");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, batches)
}

async fn post(address: std::net::SocketAddr, encoding: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let sent = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let mut answer = Vec::new();
    let received =
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("in time");
    assert!(received.is_ok() || sent.is_err(), "a refused body may break the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_push_is_answered_when_it_is_durable() {
    let (address, mut batches) = server(2, PushLimits::default()).await;
    tokio::spawn(async move {
        while let Some(batch) = batches.recv().await {
            assert!(batch.records.iter().all(|record| record.unit.as_deref() == Some("W1")));
            let accepted = u64::try_from(batch.records.len()).unwrap_or(0);
            let receipt = Receipt { accepted, dead_lettered: 1, duplicate: 0 };
            batch.done.expect("somebody waits").send(Ok(receipt)).expect("is waited for");
        }
    });
    let lines = b"{\"a\":1}\n\n{\"b\":2}\n";
    let packed = zstd::encode_all(lines.as_slice(), 1).expect("packs");
    for (encoding, body) in
        [("identity", lines.as_slice()), ("zstd", &packed), ("identity", b"[{\"a\":1},{\"b\":\"]\"}]")]
    {
        let answer = post(address, encoding, body).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\"accepted\":2,\"dead_lettered\":1"),
            "{answer}"
        );
    }
    assert!(post(address, "identity", b"").await.contains("\"accepted\":0"));
}

#[track_caller]
fn check_refused(answer: &str, status: &str, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert!(answer.contains(&format!("\"error\":{{\"code\":\"{code}\"")) && answer.contains("request_id"), "{answer}");
}

#[tokio::test]
async fn a_push_past_a_bound_is_refused_and_says_why() {
    let limits =
        PushLimits { body_bytes_max: 1 << 16, unpacked_bytes_max: 1 << 20, records_max: 3, ..PushLimits::default() };
    let (address, mut batches) = server(1, limits).await;
    check_refused(&post(address, "identity", &vec![b'x'; 1 << 17]).await, "413", "too_large");
    let bomb = zstd::encode_all(vec![b'x'; 64 << 20].as_slice(), 1).expect("packs");
    check_refused(&post(address, "zstd", &bomb).await, "413", "too_large");
    check_refused(&post(address, "identity", b"a\nb\nc\nd\n").await, "413", "too_large");
    check_refused(&post(address, "gzip", b"no gzip").await, "400", "broken_encoding");
    check_refused(&post(address, "br", b"x").await, "415", "encoding");
    // The first waits in the channel; the second finds it full.
    let first = tokio::spawn(async move { post(address, "identity", b"a").await });
    while batches.is_empty() {
        tokio::task::yield_now().await;
    }
    let full = post(address, "identity", b"b").await;
    check_refused(&full, "429", "busy");
    assert!(full.to_lowercase().contains("retry-after: 1"), "{full}");
    let waiting = batches.recv().await.expect("is open").done.expect("somebody waits");
    waiting.send(Err(Refusal::Store { reason: "disk full".into() })).expect("somebody waits");
    check_refused(&first.await.expect("ends"), "503", "not_stored");
}

#[tokio::test]
async fn a_push_without_identity_is_refused() {
    let (sink, _batches) = channel(1);
    let router = Push::new(sink, Arc::new(Noon), PushLimits::default()).router();
    let listener = TcpListener::bind(loopback()).await.expect("binds");
    let address = listener.local_addr().expect("has one");
    tokio::spawn(async move { axum::serve(listener, router).await });
    check_refused(&post(address, "identity", b"a").await, "401", "unauthorized");
}

/// The events of a file's text, read with a profile (empty = by content).
fn events_of(text: &str, profile: &str) -> Vec<(u64, Result<Event, DeadLetter>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.log");
    std::fs::write(&path, text).expect("written");
    let options =
        FileOptions { profile: (!profile.is_empty()).then(|| profile.into()), ..FileOptions::new(Timestamp(0)) };
    let settings = Settings::default();
    FileRecords::open(&path, &options, &settings).expect("opens").map(|record| record.expect("reads")).collect()
}

#[test]
fn lines_below_a_header_are_read_by_it_and_it_may_change() {
    let zeek = "#separator \\x09\n#path\tdns\n#fields\tts\tid.orig_h\tquery\n#types\ttime\taddr\tstring\n1770091506.25\t10.0.0.1\ta.example\n1\t2\n#separator \\x09\n#path\tssh\n#fields\tts\tauth_success\n#types\ttime\tbool\n1770091506.25\tF\n#close\tx\n";
    for profile in ["zeek", ""] {
        let found = events_of(zeek, profile);
        assert_eq!(found.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [4, 5, 10]);
        let first = found[0].1.as_ref().expect("an event");
        assert_eq!(first.text(Field::DNS_QUESTION_NAME), Some("a.example"));
        assert_eq!(first.timestamp.to_string(), "2026-02-03T04:05:06.250Z");
        let dead = found[1].1.as_ref().expect_err("is broken");
        assert_eq!((dead.reason.as_str(), dead.offset), ("zeek: fewer values than #fields", 3));
        let last = found[2].1.as_ref().expect("an event");
        assert_eq!(last.text(Field::EVENT_DATASET), Some("zeek.ssh"));
        assert_eq!(last.text(Field::EVENT_OUTCOME), Some("failure"));
    }
    let iis = "#Software: Microsoft Internet Information Services 10.0\r\n#Fields: date time c-ip cs-uri-stem sc-status\r\n2026-02-03 04:05:06 203.0.113.9 /a 404\r\n#Fields: date time cs-uri-stem c-ip\r\n2026-02-03 04:05:07 /b 203.0.113.8\r\n";
    for profile in ["iis", ""] {
        let found = events_of(iis, profile);
        let told = |at: usize, field| {
            found[at].1.as_ref().expect("an event").get(field).and_then(Value::as_text).map(String::from)
        };
        assert_eq!(told(0, Field::SOURCE_IP).as_deref(), Some("203.0.113.9"));
        assert_eq!(told(1, Field::SOURCE_IP).as_deref(), Some("203.0.113.8"));
        assert_eq!(told(1, Field::URL_PATH).as_deref(), Some("/b"));
    }
    // Without a header above it a line of values means nothing.
    let dead = events_of("1770091506.25\t10.0.0.1\n", "zeek").remove(0).1.expect_err("is broken");
    assert_eq!(dead.reason, "zeek: values without the #fields line above them");
}

#[test]
fn records_of_several_lines_are_one() {
    let slow = "/usr/sbin/mysqld, Version: 8\n# Time: 2026-11-23T02:10:00.5Z\n# User@Host: lan[lan] @  [203.0.113.9]\n# Query_time: 1.0\nSELECT *\n  FROM cong_dan;\n# User@Host: nam[nam] @  [203.0.113.8]\n# Query_time: 2.0\nSELECT 2;\n";
    let found = events_of(slow, "mysql");
    let query = Field::lookup("mysql.log.query").expect("is known");
    let queries: Vec<_> =
        found.iter().map(|(index, event)| (*index, event.as_ref().expect("an event").text(query))).collect();
    assert_eq!(queries, [(0, None), (1, Some("SELECT *\n  FROM cong_dan;")), (6, Some("SELECT 2;"))]);
    let log = "2026-11-23 02:10:00 UTC [7] LOG:  statement: SELECT *\n\tFROM cong_dan\n\n2026-11-23 02:10:01 UTC [7] LOG:  x\n";
    assert_eq!(events_of(log, "postgresql").len(), 2);
}
