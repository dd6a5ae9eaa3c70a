//! SQL from outside: the command, the API by role and by `Accept`, what a ward sees, the examples of the manual.

use std::net::SocketAddr;
use std::path::Path;

use nhatle_ui::routes::{TABLE, Verb};
use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server, request, run, stdout, token, wait_for};

const SUDO: &str = "TTY=pts/1 ; PWD=/home/lan ; USER=root ; COMMAND=/usr/bin/vi /etc/sudoers";

fn lines() -> String {
    let event = |at: u32, user: &str, outcome: &str, message: &str| {
        json!({
            "@timestamp": format!("2026-02-03T04:05:{at:02}Z"), "event.action": "login", "event.outcome": outcome,
            "user.name": user, "source.ip": "203.0.113.9", "host.name": "may-1", "message": message,
            "fortinet.action": "deny",
        })
    };
    let rows = [
        event(1, "lan", "failure", "Đăng nhập thất bại"),
        event(2, "Lan", "failure", "Đăng nhập thất bại"),
        event(3, "lan", "success", "accepted"),
        event(4, "root", "success", "sudo: vi"),
    ];
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A folder with a few events in it.
fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    std::fs::write(&file, lines()).unwrap();
    let data = folder.path().join("data");
    stdout(&["import", "--data", data.to_str().unwrap(), file.to_str().unwrap()]);
    folder
}

fn sql(data: &Path, more: &[&str], query: &str) -> String {
    stdout(&[&["sql", "--data", data.to_str().unwrap()], more, &[query]].concat())
}

#[test]
fn the_command_prints_rows_in_each_format() {
    let folder = store();
    let data = folder.path().join("data");
    let query = "SELECT user.name, count(*) AS n, min(@timestamp) AS first FROM events GROUP BY user.name ORDER BY n DESC, user.name";
    let jsonl = sql(&data, &[], query);
    let first: Value = serde_json::from_str(jsonl.lines().next().unwrap()).unwrap();
    assert_eq!(first, json!({"user.name": "lan", "n": 2, "first": "2026-02-03T04:05:01Z"}), "{jsonl}");
    let csv = sql(&data, &["--format", "csv"], query);
    assert_eq!(csv.lines().nth(1), Some("lan,2,2026-02-03T04:05:01Z"), "{csv}");
    let table = sql(&data, &["--format", "table"], query);
    assert!(table.starts_with("user.name  n  first"), "{table}");
    let parquet = run(&["sql", "--data", data.to_str().unwrap(), "--format", "parquet", query]);
    assert!(parquet.stdout.starts_with(b"PAR1") && parquet.stdout.ends_with(b"PAR1"));
    let of = |value: &str| sql(&data, &["--param", value], "SELECT count(*) AS n FROM events WHERE user.name = $1");
    assert_eq!((of("Lan").trim(), of("x").trim()), ("{\"n\":1}", "{\"n\":0}"));
    assert_eq!(sql(&data, &[], "SELECT attr('fortinet.action') AS a FROM events LIMIT 1").trim(), "{\"a\":\"deny\"}");
    let refused = |query: &str, code: i32, said: &str| {
        let output = run(&["sql", "--data", data.to_str().unwrap(), query]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{query}: {errors}");
        assert!(errors.contains(said) && output.stdout.is_empty(), "{query}: {errors}");
    };
    refused("SELECT user.nmae FROM events", 2, "did you mean \"user.name\"");
    refused("COPY events TO 'x'", 2, "only queries that read");
    refused("SELECT CAST(user.name AS BIGINT) FROM events", 2, "lan");
}

/// The blocks of SQL of a document.
fn examples(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_example_of_the_manual_is_answered() {
    let folder = store();
    let data = folder.path().join("data");
    let queries = examples("docs/sql.md");
    assert!(8 <= queries.len());
    assert_eq!(queries, examples("docs/sql.vi.md"), "both languages have the same examples");
    let with_rows = queries.iter().filter(|query| !sql(&data, &[], query).is_empty()).count();
    assert!(7 <= with_rows, "{with_rows}");
}

fn ask(server: SocketAddr, bearer: &str, accept: &str, body: &Value) -> Answer {
    let headers = [("Authorization", bearer), ("Accept", accept), ("Content-Type", "application/json")];
    request(server, "POST", "/api/v1/sql", &headers, body.to_string().as_bytes()).unwrap()
}

fn push(server: SocketAddr, bearer: &str, text: &str) {
    let answer = request(server, "POST", "/api/v1/events", &[("Authorization", bearer)], text.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn value(server: SocketAddr, bearer: &str, query: &str) -> Value {
    let answer = ask(server, bearer, "application/json", &json!({ "query": query }));
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let rows = answer.json()["rows"].clone();
    let values = |row: &Value| Value::Array(row.as_object().unwrap().values().cloned().collect());
    Value::Array(rows.as_array().unwrap().iter().map(values).collect())
}

#[test]
fn the_api_answers_by_role_and_a_ward_sees_its_ward() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let bearer = |name: &str, role: &str, unit: Option<&str>| format!("Bearer {}", token(data, name, role, unit));
    let (own, other) = (bearer("a", "ingest", Some("18853")), bearer("b", "ingest", Some("18856")));
    let readers = [("c", "admin", None), ("d", "analyst", None), ("e", "auditor", None), ("f", "ward", Some("18853"))]
        .map(|(name, role, unit)| bearer(name, role, unit));
    let [admin, _, _, ward] = &readers;
    let limited_auditor = bearer("g", "auditor", Some("18853"));
    let server = Server::start(data, &[]);
    let http = server.http;
    for (bearer, host) in [(&own, "may-nha"), (&other, "may-xom")] {
        push(
            http,
            bearer,
            &format!("{}\n", json!({"message": format!("<86>Feb  3 04:05:06 {host} sudo: {host} : {SUDO}")})),
        );
        push(http, bearer, &lines().replace("may-1", host));
    }
    wait_for("both wards have incidents", PATIENCE, || {
        value(http, admin, "SELECT count(DISTINCT units) FROM incidents") == json!([[2]])
    });
    for bearer in &readers {
        assert_eq!(ask(http, bearer, "*/*", &json!({"query": "SELECT 1 AS one"})).json()["rows"], json!([{"one": 1}]));
    }
    assert_eq!(ask(http, &own, "*/*", &json!({"query": "SELECT 1"})).status, 403, "who pushes does not ask");
    assert_eq!(ask(http, "Bearer x", "*/*", &json!({"query": "SELECT 1"})).status, 401);
    let is_there = |route: &&nhatle_ui::routes::Route| route.path == "/api/v1/sql" && route.verb == Verb::Post;
    assert!(TABLE.iter().any(|route| is_there(&route)));
    // A ward's account, and an auditor's of that ward, see that ward, whatever they write.
    for query in [
        "SELECT DISTINCT nhatle.unit FROM events",
        "SELECT DISTINCT nhatle.unit FROM events WHERE nhatle.unit = '18853' OR true",
        "SELECT DISTINCT nhatle.unit FROM alerts",
        "SELECT DISTINCT units FROM incidents",
        "SELECT DISTINCT unit FROM sources",
        "SELECT DISTINCT coalesce(b.nhatle.unit, s.unit) FROM sources s FULL JOIN events b ON b.nhatle.source = s.name",
        "SELECT DISTINCT a.nhatle.unit FROM incident_alerts x JOIN alerts a ON a.nhatle.alert.id = x.alert_id",
        "SELECT nhatle.unit FROM events UNION SELECT units FROM incidents UNION SELECT unit FROM sources",
    ] {
        for bearer in [ward, &limited_auditor] {
            assert_eq!(value(http, bearer, query), json!([["18853"]]), "{query}");
        }
        let all = value(http, admin, query);
        assert!(all.to_string().contains("18853"), "{query}: {all}");
    }
    assert!(value(http, admin, "SELECT DISTINCT nhatle.unit FROM events").to_string().contains("18856"));
    let everything = ["events", "alerts", "dead_letters", "incidents", "incident_alerts", "sources"];
    for table in everything {
        let answer = ask(http, ward, "text/csv", &json!({"query": format!("SELECT * FROM {table}")}));
        assert!(
            answer.status == 200 && !answer.body.contains("may-xom") && !answer.body.contains("18856"),
            "{table}: {answer:?}"
        );
    }
    assert_ne!(value(http, ward, "SELECT count(*) FROM attack"), json!([[0]]));
    answers_have_forms(http, admin);
}

fn answers_have_forms(http: SocketAddr, admin: &str) {
    let of = |accept: &str, body: Value| ask(http, admin, accept, &body);
    let query = json!({"query": "SELECT user.name AS u FROM events WHERE user.name = $1 AND event.severity IS NOT DISTINCT FROM $2 LIMIT 1", "params": ["lan", null]});
    let json = of("application/json", query.clone());
    assert_eq!(
        json.json(),
        json!({"columns": [{"name": "u", "kind": "text"}], "rows": [{"u": "lan"}], "row_count": 1})
    );
    assert_eq!(of("text/csv", query.clone()).body, "u\r\nlan\r\n");
    assert_eq!(of("application/x-ndjson", query.clone()).body, "{\"u\":\"lan\"}\n");
    let parquet = of("application/vnd.apache.parquet", query.clone());
    assert!(parquet.body.starts_with("PAR1") && parquet.head.contains("application/vnd.apache.parquet"), "{parquet:?}");
    assert!(of("application/vnd.apache.arrow.stream", query.clone()).status == 200);
    let refused = |accept: &str, body: Value, status: u16, code: &str| {
        let answer = of(accept, body.clone());
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (status, Some(code)),
            "{body}: {answer:?}"
        );
        answer.json()["error"].clone()
    };
    refused("image/png", query, 400, "bad-request");
    refused("*/*", json!({"text": "SELECT 1"}), 400, "bad-request");
    let error = refused("*/*", json!({"query": "SELECT nosuch FROM events"}), 400, "sql-refused");
    assert!(error["detail"]["message"].as_str().unwrap().contains("nosuch"), "{error}");
    refused("*/*", json!({"query": "DELETE FROM events"}), 400, "sql-refused");
    refused("*/*", json!({"query": "SELECT * FROM events WHERE user.name = $1"}), 400, "sql-refused");
    refused("*/*", json!({"query": "SELECT CAST(user.name AS BIGINT) FROM events"}), 422, "sql-failed");
}

#[test]
fn limits_are_those_of_the_configuration_and_the_command_asks_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("nhatle.toml");
    std::fs::write(
        &config,
        "[sql]\ntime_max_s = 1\nrows_max = 3\nmemory_bytes_max = 1048576\n[server]\nhttps = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    std::fs::create_dir_all(&data).unwrap();
    let analyst = token(&data, "a", "analyst", None);
    let push_token = format!("Bearer {}", token(&data, "b", "ingest", None));
    let server = Server::start(&data, &["--config", config.to_str().unwrap()]);
    push(server.http, &push_token, &lines());
    let bearer = format!("Bearer {analyst}");
    let answer = |query: &str| ask(server.http, &bearer, "*/*", &json!({ "query": query }));
    for (query, code) in [
        ("SELECT * FROM events UNION ALL SELECT * FROM events", "sql-too-much"),
        ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r", "sql-too-long"),
    ] {
        let answer = answer(query);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (422, Some(code)), "{query}: {answer:?}");
    }
    assert!(data.join("sql.spill").is_dir());
    let ca = data.join("pki/ca.pem");
    let urls = [
        vec!["--url".to_owned(), format!("http://{}", server.http)],
        vec![
            "--url".to_owned(),
            format!("https://{}", server.address("https")),
            "--ca".to_owned(),
            ca.display().to_string(),
        ],
    ];
    for url in urls {
        let url: Vec<&str> = url.iter().map(String::as_str).collect();
        let ask = |more: &[&str], query: &str| {
            run(&[&["sql", "--token", analyst.as_str()], url.as_slice(), more, &[query]].concat())
        };
        let output = ask(&["--param", "root"], "SELECT user.name FROM events WHERE user.name = $1");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"user.name\":\"root\"}\n", "{output:?}");
        let output = ask(&["--format", "table"], "SELECT 1 AS a, 'x' AS b");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a  b\n-  -\n1  x\n", "{output:?}");
        let output = ask(&[], "SELECT nosuch FROM events");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}
