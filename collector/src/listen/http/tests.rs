//! Pushes over loopback, each protocol as its clients speak it.

use std::sync::Arc;
use std::time::Duration;

use nhatle_event::{Clock, Event, Field, Text, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Push, PushIdentity, PushLimits};
use crate::listen::{Intake, Receipt, Refusal, channel};
use crate::{Settings, to_event};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_770_091_506)
    }
}

fn loopback() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A server of the push route whose requests speak for a unit, and what it gives on.
async fn server(room_bytes: usize, limits: PushLimits) -> (std::net::SocketAddr, Intake) {
    let (sink, batches) = channel(room_bytes);
    let identity = PushIdentity { unit: Some(Text::const_new("W1")), name: Text::const_new("agent") };
    let router = Push::new(sink, Arc::new(Noon), limits).router().layer(axum::Extension(identity));
    let listener = TcpListener::bind(loopback()).await.expect("binds");
    let address = listener.local_addr().expect("has one");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, batches)
}

async fn post(address: std::net::SocketAddr, encoding: &str, body: &[u8]) -> String {
    ask(address, "POST /api/v1/events", &format!("content-encoding: {encoding}\r\n"), body).await
}

/// Sends a request and reads its whole answer. `line` is method and path, each header ends with CR LF.
async fn ask(address: std::net::SocketAddr, line: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let head =
        format!("{line} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let sent = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let mut answer = Vec::new();
    let received =
        tokio::time::timeout(Duration::from_secs(120), stream.read_to_end(&mut answer)).await.expect("in time");
    assert!(received.is_ok() || sent.is_err(), "a refused body may break the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_push_is_answered_when_it_is_durable() {
    let (address, batches) = server(2, PushLimits::default()).await;
    tokio::spawn(async move {
        while let Some(batch) = batches.recv().await {
            assert!(batch.records.iter().all(|record| record.unit.as_deref() == Some("W1")));
            let accepted = u64::try_from(batch.records.len()).unwrap_or(0);
            let receipt = Receipt { accepted, dead_lettered: 1, ..Receipt::default() };
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
    let (address, batches) = server(1, limits).await;
    check_refused(&post(address, "identity", &vec![b'x'; 1 << 17]).await, "413", "too_large");
    let bomb = zstd::encode_all(vec![b'x'; 64 << 20].as_slice(), 1).expect("packs");
    check_refused(&post(address, "zstd", &bomb).await, "413", "too_large");
    check_refused(&post(address, "identity", b"a\nb\nc\nd\n").await, "413", "too_large");
    check_refused(&post(address, "gzip", b"no gzip").await, "400", "broken_encoding");
    check_refused(&post(address, "br", b"x").await, "415", "encoding");
    // The first waits in the queue; the second finds it full.
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

/// Asks once; the pipeline says that the records of these places were stored before. Gives the answer and the
/// events, `None` for a dead letter.
async fn exchange(line: &str, headers: &str, body: &[u8], repeats: &[u32]) -> (String, Vec<Option<Event>>) {
    let (address, batches) = server(2, PushLimits::default()).await;
    let repeats = repeats.to_vec();
    let pipeline = tokio::spawn(async move {
        let Some(batch) = batches.recv().await else { return Vec::new() };
        let receipt = Receipt { repeats, ..Receipt::default() };
        batch.done.expect("somebody waits").send(Ok(receipt)).expect("is waited for");
        batch.records.iter().map(|record| to_event(record, &Settings::default()).ok()).collect()
    });
    let answer = ask(address, line, headers, body).await;
    if answer.starts_with("HTTP/1.1 200") {
        return (answer, pipeline.await.expect("ends"));
    }
    pipeline.abort();
    (answer, Vec::new())
}

fn body_of(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).expect("is JSON")
}

fn text(event: &Option<Event>, field: Field) -> &str {
    event.as_ref().and_then(|event| event.text(field)).unwrap_or("-")
}

#[tokio::test]
async fn bulk_answers_each_action_in_order() {
    let body = b"{\"create\":{\"_index\":\"logs\",\"_id\":\"a\"}}\n{\"message\":\"one\"}\n\n\
        {\"index\":{\"_index\":\"logs\",\"_id\":7}}\n\n{\"message\":\"two\"}\n\
        {\"delete\":{\"_index\":\"logs\",\"_id\":\"a\"}}\n\
        {\"update\":{\"_id\":\"a\"}}\n{\"doc\":{}}\n\
        {\"index\":{}}\n{\"broken\n\
        {\"create\":{\"_id\":\"b\"}}\n{\"message\":\"last\"}";
    let (answer, events) = exchange("POST /_bulk", "", body, &[0]).await;
    assert!(answer.to_lowercase().contains("x-elastic-product: elasticsearch"), "{answer}");
    let told = body_of(&answer);
    assert_eq!(told["errors"], true);
    let items = told["items"].as_array().expect("is a list");
    let short: Vec<(String, u64)> = items
        .iter()
        .map(|item| {
            let (op, told) = item.as_object().and_then(|item| item.iter().next()).expect("has one name");
            (format!("{op} {}", told["_id"].as_str().unwrap_or("")), told["status"].as_u64().unwrap_or(0))
        })
        .collect();
    let expected = [
        ("create a", 409),
        ("index 7", 201),
        ("delete a", 400),
        ("update a", 400),
        ("index push-0-4", 201),
        ("create b", 201),
    ];
    assert_eq!(short, expected.map(|(name, status)| (name.to_owned(), status)));
    let messages: Vec<_> = events.iter().map(|event| text(event, Field::MESSAGE)).collect();
    assert_eq!(messages, ["one", "two", "-", "last"]);
    assert_eq!(text(&events[1], Field::EVENT_ID), "7");
    let (answer, _) = exchange("POST /_bulk", "", b"{\"index\":{\"_id\":\"x\"}}\n{}\n", &[0]).await;
    assert_eq!(
        (&body_of(&answer)["errors"], &body_of(&answer)["items"][0]["index"]["status"]),
        (&json!(false), &json!(200))
    );
}

#[tokio::test]
async fn bulk_refuses_what_it_cannot_line_up_and_says_where() {
    for (body, line) in [
        ("", "line 1"),
        ("\n\n", "line 1"),
        ("{\"index\":{}}\n", "line 1"),
        ("{\"index\":{}}\n{}\n{\"pour\":{}}\n{}\n", "line 3"),
        ("{\"index\":{},\"create\":{}}\n{}\n", "line 1"),
        ("no json\n{}\n", "line 1"),
    ] {
        let (answer, _) = exchange("POST /es/logs/_bulk", "", body.as_bytes(), &[]).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        let reason = body_of(&answer)["error"]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains(line), "{body:?}: {reason}");
    }
}

#[tokio::test]
async fn clients_of_elasticsearch_find_what_they_ask_for_first() {
    let (address, _batches) = server(1, PushLimits::default()).await;
    let agent = "user-agent: Elastic-Filebeat/8.15.3 (linux)\r\n";
    let hello = ask(address, "GET /es", agent, b"").await;
    assert_eq!(body_of(&hello)["version"]["number"], "8.15.3", "{hello}");
    for path in [
        "/es/_license",
        "/es/_xpack",
        "/es/_cluster/health",
        "/es/_cat/health",
        "/es/_nodes/_all/http",
        "/es/_ilm/policy/filebeat",
        "/es/_index_template/filebeat-8.15.3",
        "/es/_template/x",
        "/es/_ingest/pipeline/filebeat-8.15.3-nginx-access-pipeline",
    ] {
        let answer = ask(address, &format!("GET {path}"), "", b"").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        let answer = ask(address, &format!("HEAD {path}"), "", b"").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "HEAD {path}: {answer}");
    }
    assert!(ask(address, "PUT /es/_template/x", "", b"{}").await.contains("\"acknowledged\":true"));
    assert!(ask(address, "GET /es/_search", "", b"").await.starts_with("HTTP/1.1 404"));
    let vendor = "application/vnd.elasticsearch+x-ndjson;compatible-with=9";
    let accept = "application/vnd.elasticsearch+json;compatible-with=9";
    let headers = format!("content-type: {vendor}\r\naccept: {accept}\r\n");
    let (answer, _) = exchange("PUT /_bulk", &headers, b"{\"index\":{}}\n{}\n", &[]).await;
    assert!(answer.contains(&format!("content-type: {accept}")), "{answer}");
}

#[tokio::test]
async fn hec_takes_objects_in_a_row_and_lines() {
    let body = b"{\"time\":1770091500.5,\"host\":\"web-01\",\"source\":\"/var/log/app\",\"sourcetype\":\"app\",\
        \"fields\":{\"zone\":\"dmz\",\"nhatle.unit\":\"W9\"},\"event\":\"\xc4\x91\xc4\x83ng nh\xe1\xba\xadp\"}\
        {\"event\":{\"message\":\"b\",\"user\":{\"name\":\"an\"}}}\n{\"time\":1}\r\njunk\n{\"event\":\"last\"}";
    let (answer, events) = exchange("POST /services/collector/event", "", body, &[]).await;
    assert_eq!(body_of(&answer), json!({ "text": "Success", "code": 0 }));
    let messages: Vec<_> = events.iter().map(|event| text(event, Field::MESSAGE)).collect();
    assert_eq!(messages, ["đăng nhập", "b", "-", "-", "last"]);
    let first = &events[0];
    assert_eq!(first.as_ref().map(|event| event.timestamp), Some(Timestamp(1_770_091_500_500_000_000)));
    assert_eq!((text(first, Field::HOST_NAME), text(first, Field::LOG_FILE_PATH)), ("web-01", "/var/log/app"));
    assert_eq!((text(first, Field::NHATLE_UNIT), text(first, Field::EVENT_DATASET)), ("W1", "hec"));
    assert_eq!(text(&events[1], Field::USER_NAME), "an");

    let line = "POST /services/collector/raw?sourcetype=nginx&channel=c";
    let (answer, events) = exchange(line, "", b"<13>one\n\ntwo\r\n", &[]).await;
    assert_eq!((body_of(&answer)["code"].as_u64(), body_of(&answer)["ackId"].as_u64()), (Some(0), Some(1)));
    assert_eq!(events.len(), 2);

    let (address, batches) = server(1, PushLimits::default()).await;
    let empty = ask(address, "POST /services/collector", "", b" \n").await;
    assert!(empty.starts_with("HTTP/1.1 400") && body_of(&empty)["code"] == 5, "{empty}");
    let acks = ask(address, "POST /services/collector/ack?channel=c", "", b"{\"acks\":[0,99]}").await;
    assert_eq!(body_of(&acks), json!({ "acks": { "0": true, "99": false } }));
    assert!(ask(address, "POST /services/collector/ack", "", b"[]").await.starts_with("HTTP/1.1 400"));
    assert_eq!(body_of(&ask(address, "GET /services/collector/health", "", b"").await)["code"], 17);
    drop(batches);
    let busy = ask(address, "POST /services/collector", "", b"{\"event\":\"x\"}").await;
    assert!(busy.starts_with("HTTP/1.1 503") && body_of(&busy)["code"] == 9, "{busy}");
}

/// A message of Protocol Buffers: fields of bytes, with numbers.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let field = |(number, bytes): &(u8, &[u8])| {
        let length =
            [u8::try_from(bytes.len() & 0x7f).unwrap_or(0) | 0x80, u8::try_from(bytes.len() >> 7).unwrap_or(0)];
        [&[number << 3 | 2][..], &length, bytes].concat()
    };
    fields.iter().flat_map(field).collect()
}

#[tokio::test]
async fn otlp_takes_protobuf_and_json_alike() {
    let word = |text: &str| message(&[(1, text.as_bytes())]);
    let pair = |key: &str, value: &[u8]| message(&[(1, key.as_bytes()), (2, value)]);
    let time = 1_770_091_500_000_000_007u64.to_le_bytes();
    let mut log = [&[9u8][..], &time, &[16, 17]].concat();
    log.extend(message(&[
        (3, b"ERROR"),
        (5, &word("hỏng đĩa")),
        (6, &pair("user.name", &word("an"))),
        (6, &pair("retries", &[24, 3])),
        (9, &[0xab; 16]),
    ]));
    let resource = message(&[(1, &pair("host.name", &word("csdl-01"))), (1, &pair("service.name", &word("portal")))]);
    let scoped = message(&[(1, &message(&[(1, b"app")])), (2, &log)]);
    let protobuf = message(&[(1, &message(&[(1, &resource), (2, &scoped)]))]);
    let json = json!({ "resourceLogs": [{
        "resource": { "attributes": [
            { "key": "host.name", "value": { "stringValue": "csdl-01" } },
            { "key": "service.name", "value": { "stringValue": "portal" } },
        ]},
        "scopeLogs": [{ "scope": { "name": "app" }, "logRecords": [{
            "timeUnixNano": "1770091500000000007", "severityNumber": 17, "severityText": "ERROR",
            "body": { "stringValue": "hỏng đĩa" }, "traceId": "abababababababababababababababab",
            "attributes": [
                { "key": "user.name", "value": { "stringValue": "an" } },
                { "key": "retries", "value": { "intValue": "3" } },
            ],
        }]}],
    }]})
    .to_string();
    let json_type = "content-type: application/json\r\n";
    for (headers, body) in
        [("content-type: application/x-protobuf\r\n", protobuf.as_slice()), (json_type, json.as_bytes())]
    {
        let (answer, events) = exchange("POST /v1/logs", headers, body, &[]).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(headers.trim_end()), "{answer}");
        let event = &events[0];
        assert_eq!(event.as_ref().map(|event| event.timestamp), Some(Timestamp(1_770_091_500_000_000_007)));
        let shown = [Field::MESSAGE, Field::HOST_NAME, Field::SERVICE_NAME, Field::USER_NAME, Field::LOG_LEVEL]
            .map(|field| text(event, field));
        assert_eq!(shown, ["hỏng đĩa", "csdl-01", "portal", "an", "ERROR"]);
        let named = |name: &str| Field::lookup(name).map_or("-", |field| text(event, field));
        assert_eq!((named("trace.id"), named("log.logger")), ("abababababababababababababababab", "app"));
    }
    for (headers, body) in [("", b"\x0a\xff".as_slice()), (json_type, b"[]"), (json_type, b"{")] {
        let (answer, _) = exchange("POST /v1/logs", headers, body, &[]).await;
        check_refused(&answer, "400", "format");
    }
}

#[tokio::test]
async fn a_small_body_that_becomes_much_is_refused() {
    let limits = PushLimits { unpacked_bytes_max: 1 << 20, ..PushLimits::default() };
    let (address, _batches) = server(1, limits).await;
    let logs = vec![json!({}); 10_000];
    let wide = "x".repeat(10_000);
    let attributes = json!([{ "key": "a", "value": { "stringValue": wide } }]);
    let body = json!({ "resourceLogs": [{
        "resource": { "attributes": attributes }, "scopeLogs": [{ "logRecords": logs }],
    }]});
    let headers = "content-type: application/json\r\n";
    check_refused(&ask(address, "POST /v1/logs", headers, body.to_string().as_bytes()).await, "413", "too_large");
}

#[tokio::test]
async fn bodies_that_do_not_fit_beside_the_others_come_again() {
    let limits = PushLimits { held_bytes_max: 4096, ..PushLimits::default() };
    let (address, _batches) = server(4, limits).await;
    check_refused(&post(address, "identity", &[b'x'; 8192]).await, "429", "busy");
}

#[tokio::test]
async fn who_is_unknown_is_told_so_in_the_protocols_own_form() {
    let (sink, _batches) = channel(1);
    let router = Push::new(sink, Arc::new(Noon), PushLimits::default()).router();
    let listener = TcpListener::bind(loopback()).await.expect("binds");
    let address = listener.local_addr().expect("has one");
    tokio::spawn(async move { axum::serve(listener, router).await });
    let bulk = ask(address, "POST /_bulk", "", b"{}").await;
    assert!(bulk.starts_with("HTTP/1.1 401") && body_of(&bulk)["error"]["type"] == "security_exception", "{bulk}");
    let hec = ask(address, "POST /services/collector", "", b"{}").await;
    assert!(hec.starts_with("HTTP/1.1 401") && body_of(&hec)["code"] == 3, "{hec}");
    check_refused(&ask(address, "POST /v1/logs", "", b"").await, "401", "unauthorized");
}

/// Two entries whole, one that never ends.
fn journal() -> Vec<u8> {
    let mut bytes = b"__CURSOR=s=1;i=1\n_HOSTNAME=may-01\nSYSLOG_IDENTIFIER=sshd\nMESSAGE=mot\n\n\
        __CURSOR=s=1;i=2\n_HOSTNAME=may-01\nMESSAGE\n"
        .to_vec();
    bytes.extend_from_slice(&9u64.to_le_bytes());
    bytes.extend_from_slice(b"hai\ndong!\n\n__CURSOR=s=1;i=3\nMESSAGE=half");
    bytes
}

#[tokio::test]
async fn a_journal_is_stored_entry_by_entry_with_its_cursors() {
    let (address, batches) = server(1 << 20, PushLimits::default()).await;
    let taker = tokio::spawn(async move {
        let batch = batches.recv().await.expect("comes");
        let told = batch.records.iter().map(|record| {
            let line = String::from_utf8_lossy(&record.bytes).into_owned();
            (record.id.as_deref().map(str::to_owned), line, record.unit.as_deref().map(str::to_owned))
        });
        let told: Vec<_> = told.collect();
        batch.done.expect("waits").send(Ok(Receipt::default())).expect("is still there");
        told
    });
    let media = "content-type: application/vnd.fdo.journal\r\n";
    let answer = ask(address, "POST /upload", media, &journal()).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let told = taker.await.expect("ends");
    let ids: Vec<_> = told.iter().map(|(id, _, _)| id.as_deref()).collect();
    assert_eq!(ids, [Some("s=1;i=1"), Some("s=1;i=2")]);
    assert!(told[0].1.ends_with(" may-01 sshd - - - mot"), "{told:?}");
    assert!(told[1].1.ends_with(" hai\ndong!"), "{told:?}");
    assert!(told.iter().all(|(_, _, unit)| unit.as_deref() == Some("W1")));
}

#[tokio::test]
async fn a_journal_that_is_none_or_cannot_be_stored_is_refused() {
    let (address, batches) = server(1 << 20, PushLimits::default()).await;
    for headers in
        ["", "content-type: text/plain\r\n", "content-type: application/vnd.fdo.journal\r\ncontent-encoding: gzip\r\n"]
    {
        let answer = ask(address, "POST /upload", headers, &journal()).await;
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    }
    tokio::spawn(async move {
        while let Some(batch) = batches.recv().await {
            let refusal = Refusal::Store { reason: "disk".to_owned() };
            batch.done.expect("waits").send(Err(refusal)).expect("is still there");
        }
    });
    let media = "content-type: application/vnd.fdo.journal\r\n";
    let answer = ask(address, "POST /upload", media, &journal()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let nothing = ask(address, "POST /upload", media, b"no journal at all").await;
    assert!(nothing.starts_with("HTTP/1.1 202"), "there is no entry in it: {nothing}");
}
