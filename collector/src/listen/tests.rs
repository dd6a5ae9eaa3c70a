//! The inputs against themselves: files in all forms, sockets over loopback, pushes over HTTP.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use nhatle_event::{Clock, DeadLetter, Event, Field, Record, Timestamp, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;

use super::datagram::{self, DatagramInput};
use super::file::{FileOptions, FileRecords};
use super::stream::{Limits, Protocol, StreamInput};
use super::{Intake, Receipt, Refusal, channel};
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
    // Documents in a member of an object around them; what else stands in it is not passed over.
    check_file(b"{\"Records\":[{\"message\":\"a\"},{\"message\":\"b\"}]}\n", &[(0, Some("a")), (1, Some("b"))]);
    check_file(b"{\n \"events\": [\n {\n \"message\": \"a\" } ]\n}\n", &[(0, Some("a"))]);
    check_file(
        b"{\n \"events\": [ {\"message\": \"a\"} ], \"more\": 1 }\n",
        &[(0, Some("a")), (1, Some(", \"more\": 1 }"))],
    );
    check_file(b"{\"message\":\"x\",\"events\":[{\"a\":1}]}\n", &[(0, Some("x"))]);
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
async fn take(batches: &mut Intake, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch =
            tokio::time::timeout(Duration::from_secs(120), batches.recv()).await.expect("in time").expect("is open");
        records.extend(batch.records);
    }
    records
}

/// A setting that stays as it is.
fn fixed<T>(value: T) -> watch::Receiver<T> {
    watch::channel(value).1
}

#[tokio::test]
async fn batches_of_large_datagrams_are_no_larger_than_others() {
    let (sink, batches) = channel(super::queue::QUEUED_BYTES_MAX);
    let (_stop, stopping) = watch::channel(false);
    let bound =
        DatagramInput::bind(loopback(), 1, datagram::Protocol::Syslog, Origin::new("udp"), fixed(1 << 20)).await;
    let input = bound.expect("binds");
    let address = input.address().expect("has one");
    let socket = UdpSocket::bind(loopback()).await.expect("binds");
    for _ in 0..50 {
        socket.send_to(&[b'x'; 60_000], address).await.expect("sends");
    }
    let running = tokio::spawn(input.run(sink, Arc::new(Noon), stopping));
    let mut count = 0;
    while count < 50 {
        let batch = batches.recv().await.expect("more comes");
        count += batch.records.len();
        let bytes: usize = batch.records.iter().map(|record| record.bytes.len()).sum();
        assert!(bytes < (1 << 20) + 60_000, "{bytes} bytes in one batch");
    }
    drop(batches);
    running.await.expect("ends").expect("ends well");
}

#[tokio::test]
async fn a_datagram_is_a_record_and_a_flood_drops_its_own() {
    let (sink, mut batches) = channel(2_000);
    let (stop, stopping) = watch::channel(false);
    let bound = DatagramInput::bind(loopback(), 2, datagram::Protocol::Syslog, Origin::new("udp"), fixed(8)).await;
    let input = bound.expect("binds");
    assert!(0 < input.receive_buffer_bytes());
    let (address, counts) = (input.address().expect("has one"), input.counts());
    let running = tokio::spawn(input.run(sink.clone(), Arc::new(Noon), stopping));
    let socket = UdpSocket::bind(loopback()).await.expect("binds");
    socket.send_to(b"<13>abcdefgh\n", address).await.expect("sends");
    let records = take(&mut batches, 1).await;
    assert_eq!((&*records[0].bytes, records[0].is_truncated), (b"<13>abcd".as_slice(), true));
    assert!(records[0].peer.is_some_and(|peer| peer.is_loopback()));
    while counts.read().dropped == 0 {
        socket.send_to(b"<13>x", address).await.expect("sends");
        tokio::task::yield_now().await;
    }
    let shed = batches.take_shed();
    assert_eq!(shed.iter().map(|shed| shed.records).sum::<u64>(), counts.read().dropped);
    assert_eq!((shed[0].why.reason(), shed[0].sample.peer), ("flood", records[0].peer));
    while batches.try_recv().is_some() {}
    // What lies in the kernel's buffer when it is stopped is still taken.
    let before = counts.read();
    socket.send_to(b"<13>last", address).await.expect("sends");
    stop.send_replace(true);
    running.await.expect("ends").expect("ends well");
    let after = counts.read();
    assert!(before.received + before.dropped < after.received + after.dropped, "{before:?} {after:?}");
}

#[tokio::test]
async fn a_connection_is_cut_into_records_and_its_end_ends_the_last() {
    let (sink, mut batches) = channel(1 << 20);
    let (limits, known) = watch::channel(Limits { connections_max: 1, ..Limits::default() });
    let (stop, stopping) = watch::channel(false);
    let input = StreamInput::bind(loopback(), Protocol::Syslog, Origin::new("tcp"), known).await.expect("binds");
    let (address, counts) = (input.address().expect("has one"), input.counts());
    let running = tokio::spawn(input.run(sink, Arc::new(Noon), stopping));
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(b"<13>one\n7 <13>t\no<13>unfinished").await.expect("sends");
    let first = take(&mut batches, 2).await;
    let mut second = TcpStream::connect(address).await.expect("connects");
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0, "past the limit");
    // Another limit holds for who comes then; the open connection stays.
    limits.send_modify(|limits| limits.connections_max = 2);
    let mut third = TcpStream::connect(address).await.expect("connects");
    third.write_all(b"<13>three\n").await.expect("sends");
    assert_eq!(take(&mut batches, 1).await.len(), 1);
    assert_eq!(counts.read().open_connections, 2);
    // Stopped, it takes nobody more and serves whom it has to their end.
    stop.send_replace(true);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    drop(third);
    drop(stream);
    let last = take(&mut batches, 1).await;
    let texts: Vec<_> =
        first.iter().chain(&last).map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect();
    assert_eq!(texts, ["<13>one", "<13>t\no", "<13>unfinished"]);
    running.await.expect("ends").expect("ends well");
    let counted = counts.read();
    assert_eq!((counted.received, counted.refused_connections, counted.open_connections), (4, 1, 0), "{counted:?}");
}

#[tokio::test]
async fn one_address_does_not_hold_every_connection() {
    let (sink, mut batches) = channel(1 << 20);
    let (_limits, known) = watch::channel(Limits { connections_max: 4, ..Limits::default() });
    let (_stop, stopping) = watch::channel(false);
    let input = StreamInput::bind(loopback(), Protocol::Syslog, Origin::new("tcp"), known).await.expect("binds");
    let (address, counts) = (input.address().expect("has one"), input.counts());
    let running = tokio::spawn(input.run(sink, Arc::new(Noon), stopping));
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(b"<13>x\n").await.expect("sends");
        assert_eq!(take(&mut batches, 1).await.len(), 1);
        held.push(stream);
    }
    let mut fourth = TcpStream::connect(address).await.expect("connects");
    assert_eq!(fourth.read(&mut [0; 1]).await.unwrap_or(0), 0, "past its share");
    let other = tokio::net::TcpSocket::new_v4().expect("is made");
    other.bind("127.0.0.2:0".parse().expect("an address")).expect("binds");
    let mut other = other.connect(address).await.expect("connects");
    other.write_all(b"<13>y\n").await.expect("sends");
    assert_eq!(take(&mut batches, 1).await.len(), 1);
    // What it holds no more counts no more.
    held.clear();
    while 1 < counts.read().open_connections {
        tokio::task::yield_now().await;
    }
    let mut again = TcpStream::connect(address).await.expect("connects");
    again.write_all(b"<13>z\n").await.expect("sends");
    assert_eq!(take(&mut batches, 1).await.len(), 1);
    running.abort();
}

#[tokio::test]
async fn told_to_end_a_connection_is_read_out() {
    // Room for two batches or so: the rest stays in the sockets until somebody takes batches.
    let (sink, batches) = channel(256 << 10);
    let (stop, stopping) = watch::channel(false);
    let (ends, ending) = watch::channel(false);
    let known = fixed(Limits::default());
    let input = StreamInput::bind(loopback(), Protocol::Syslog, Origin::new("tcp"), known).await.expect("binds");
    let input = input.ending_by(ending);
    let (address, counts) = (input.address().expect("has one"), input.counts());
    let running = tokio::spawn(input.run(sink, Arc::new(Noon), stopping));
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let mut sent = 0;
    // Until nobody reads and the sockets are full.
    let line = format!("<13>{}\n", "x".repeat(1_019));
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(300), stream.write_all(line.as_bytes())).await {
        written.expect("sends");
        sent += 1;
        assert!(sent < 100_000, "the sender has to wait some time");
    }
    let before = counts.read().received;
    assert!(before < sent, "{before} of {sent}");
    stop.send_replace(true);
    ends.send_replace(true);
    // The connection stays open, and still everything that was handed over comes.
    let mut taken = Vec::new();
    while let Some(batch) = batches.recv().await {
        taken.extend(batch.records);
    }
    running.await.expect("ends").expect("ends well");
    let whole = taken.iter().filter(|record| record.bytes.len() == line.len() - 1).count();
    assert_eq!(u64::try_from(whole), Ok(sent), "of {}", taken.len());
    drop(stream);
}

/// A session with a RELP input, and what the input gives on.
async fn relp(limits: Limits) -> (TcpStream, Intake, tokio::task::JoinHandle<()>) {
    let (sink, batches) = channel(1 << 20);
    let bound = StreamInput::bind(loopback(), Protocol::Relp, Origin::new("relp"), fixed(limits)).await;
    let input = bound.expect("binds");
    let address = input.address().expect("has one");
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(async move {
        input.run(sink, Arc::new(Noon), stopping).await.expect("ends well");
        drop(stop);
    });
    (TcpStream::connect(address).await.expect("connects"), batches, running)
}

#[track_caller]
fn answered(expected: &str, read: &[u8]) {
    assert_eq!(String::from_utf8_lossy(read), expected);
}

async fn read_exactly(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut read = vec![0; length];
    let result = tokio::time::timeout(Duration::from_secs(120), stream.read_exact(&mut read)).await;
    result.expect("in time").expect("reads");
    read
}

#[tokio::test]
async fn relp_answers_a_message_only_once_it_is_durable() {
    let (mut stream, batches, running) = relp(Limits::default()).await;
    stream.write_all(b"1 open 30 relp_version=0\ncommands=syslog\n").await.expect("sends");
    let offer = "1 rsp 58 200 OK\nrelp_version=0\nrelp_software=nhatle\ncommands=syslog\n";
    answered(offer, &read_exactly(&mut stream, offer.len()).await);
    stream.write_all(b"2 syslog 7 <13>one\n3 syslog 7 <13>two\n4 sys").await.expect("sends");
    let first = batches.recv().await.expect("is open");
    assert_eq!(first.records.iter().map(|record| &*record.bytes).collect::<Vec<_>>(), [b"<13>one", b"<13>two"]);
    stream.write_all(b"log 9 <13>three\n").await.expect("sends");
    let second = batches.recv().await.expect("is open");
    // Durable in the other order; answered in the order of the messages, and nothing before the first is.
    second.done.expect("waits").send(Ok(Receipt::default())).expect("waits");
    let early = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 1])).await;
    assert!(early.is_err(), "nothing may be answered yet");
    first.done.expect("waits").send(Ok(Receipt::default())).expect("waits");
    let answers = "2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 6 200 OK\n";
    answered(answers, &read_exactly(&mut stream, answers.len()).await);
    stream.write_all(b"5 close 0\n").await.expect("sends");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("reads");
    answered("5 rsp 0\n0 serverclose 0\n", &rest);
    running.abort();
}

#[tokio::test]
async fn relp_closes_without_an_answer_what_it_cannot_store() {
    let (mut stream, batches, running) = relp(Limits::default()).await;
    stream.write_all(b"1 syslog 7 <13>one\n").await.expect("sends");
    let batch = batches.recv().await.expect("is open");
    batch.done.expect("waits").send(Err(Refusal::Busy { retry_after_s: 5 })).expect("waits");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("reads");
    answered("0 serverclose 0\n", &rest);
    running.abort();

    // A message that is too long is not cut: it would be acknowledged as if it were whole.
    let (mut stream, batches, running) = relp(Limits { record_bytes_max: 8, ..Limits::default() }).await;
    stream.write_all(b"1 syslog 7 <13>one\n2 syslog 9 <13>three\n").await.expect("sends");
    assert_eq!(batches.recv().await.expect("is open").records.len(), 1);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    running.abort();
}

#[tokio::test]
async fn relp_reads_no_further_than_its_window() {
    let (mut stream, batches, running) = relp(Limits { window: 1, ..Limits::default() }).await;
    stream.write_all(b"1 syslog 7 <13>one\n").await.expect("sends");
    let first = batches.recv().await.expect("is open");
    stream.write_all(b"2 syslog 7 <13>two\n").await.expect("sends");
    let early = tokio::time::timeout(Duration::from_millis(50), batches.recv()).await;
    assert!(early.is_err(), "the first is not answered yet");
    first.done.expect("waits").send(Ok(Receipt::default())).expect("waits");
    assert_eq!(batches.recv().await.expect("is open").records.len(), 1);
    running.abort();
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
    for profile in ["iis", "", "apache"] {
        let found = events_of(iis, profile);
        let told = |at: usize, field| {
            found[at].1.as_ref().expect("an event").get(field).and_then(Value::as_text).map(String::from)
        };
        assert_eq!(told(0, Field::SOURCE_IP).as_deref(), Some("203.0.113.9"));
        assert_eq!(told(1, Field::SOURCE_IP).as_deref(), Some("203.0.113.8"));
        assert_eq!(told(1, Field::URL_PATH).as_deref(), Some("/b"));
    }
    // Without a header above it a line of values means what the default columns say, or nothing.
    let dead = events_of("1770091506.25\t10.0.0.1\n", "zeek").remove(0).1.expect_err("is broken");
    assert_eq!(dead.reason, "zeek: values without a #fields line that fit no log's default columns");
}

#[test]
fn records_of_several_lines_are_one() {
    let slow = "/usr/sbin/mysqld, Version: 8.0.39 (x). started with:\nTcp port: 3306  Unix socket: x\n# Time: 2026-11-23T02:10:00.5Z\n# User@Host: lan[lan] @  [203.0.113.9]\n# Query_time: 1.0\nSELECT *\n  FROM cong_dan;\n# User@Host: nam[nam] @  [203.0.113.8]\n# Query_time: 2.0\nSELECT 2;\n";
    let found = events_of(slow, "mysql");
    let query = Field::lookup("mysql.log.query").expect("is known");
    let queries: Vec<_> =
        found.iter().map(|(index, event)| (*index, event.as_ref().expect("an event").text(query))).collect();
    // What mysqld writes when it opens the file is a header.
    assert_eq!(queries, [(2, Some("SELECT *\n  FROM cong_dan;")), (7, Some("SELECT 2;"))]);
    let log = "2026-11-23 02:10:00 UTC [7] LOG:  statement: SELECT *\n\tFROM cong_dan\n\n2026-11-23 02:10:01 UTC [7] LOG:  x\n";
    assert_eq!(events_of(log, "postgresql").len(), 2);
}

/// Forty connections of one address begin frames of a megabyte each; the room is eight.
#[tokio::test]
async fn unfinished_frames_hold_no_more_than_their_room_and_short_lines_go_on() {
    const MIB: usize = 1 << 20;
    for protocol in [Protocol::Syslog, Protocol::Gelf, Protocol::Relp] {
        let (_limits, known) = watch::channel(Limits::default());
        let input = StreamInput::bind(loopback(), protocol, Origin::new("test"), known).await.expect("binds");
        let address = input.address().expect("is bound");
        let (sink, intake) = channel(64 * MIB);
        let frames = Arc::clone(sink.frames());
        frames.set_bytes_max(8 * MIB);
        let (_stop, stop) = watch::channel(false);
        let serving = tokio::spawn(input.run(sink.clone(), Arc::new(Noon), stop));
        let mut floods = tokio::task::JoinSet::new();
        for _ in 0..40 {
            floods.spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("connects");
                let begin: &[u8] = if protocol == Protocol::Relp { b"1 syslog 1048570 " } else { b"<13>" };
                let frame = [begin, &vec![b'x'; MIB - 100]].concat();
                // A session that gives way is closed.
                let _written: std::io::Result<()> = stream.write_all(&frame).await;
                stream
            });
        }
        let (mut held_max, mut cut, mut open) = (0, 0, Vec::new());
        while open.len() < 40 {
            tokio::select! {
                stream = floods.join_next() => open.extend(stream.and_then(Result::ok)),
                batch = intake.recv() => cut += batch.map_or(0, |batch| count_gave_way(&batch.records)),
            }
            held_max = held_max.max(frames.bytes());
        }
        assert!(2 * MIB < held_max && held_max < 9 * MIB, "{protocol:?}: {held_max} bytes were held");
        let mut short = TcpStream::connect(address).await.expect("connects");
        let (line, end): (&[u8], u8) = match protocol {
            Protocol::Syslog => (b"<13>short\n", b'\n'),
            Protocol::Gelf => (b"<13>short\0", 0),
            Protocol::Relp => (b"1 syslog 9 <13>short\n", b'\n'),
        };
        short.write_all(line).await.expect("is taken");
        loop {
            let batch = tokio::time::timeout(Duration::from_secs(20), intake.recv()).await;
            let batch = batch.expect("the short line is not kept waiting").expect("is open");
            cut += count_gave_way(&batch.records);
            if batch.records.iter().any(|record| &*record.bytes == b"<13>short") {
                break;
            }
        }
        assert_eq!(0 < cut, protocol != Protocol::Relp, "a RELP sender sends it again");
        // What has given way is skipped to its end, and the next line is whole.
        if protocol != Protocol::Relp {
            let mut whole = 0;
            for mut stream in open {
                stream.write_all(&[end]).await.expect("is taken");
                stream.write_all(line).await.expect("is taken");
            }
            while whole < 40 {
                let batch = intake.recv().await.expect("is open");
                whole += batch.records.iter().filter(|record| &*record.bytes == b"<13>short").count();
                cut += count_gave_way(&batch.records);
            }
            assert!(30 < cut, "{cut}");
        }
        serving.abort();
        while 0 < frames.bytes() {
            tokio::task::yield_now().await;
        }
    }
}

/// How many are dead letters because their frames gave way.
fn count_gave_way(records: &[Record]) -> usize {
    let dead = records.iter().filter_map(|record| crate::to_event(record, &Settings::default()).err());
    dead.filter(|letter| letter.reason.starts_with("frame: ")).count()
}
