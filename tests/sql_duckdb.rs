//! Answers of our SQL compared with DuckDB's on the Parquet that we export: the eight questions of a SIEM and two hundred
//! generated ones. Seeded; `NHATLE_SQL_QUERIES` says how many, `NHATLE_SQL_SEED` where they begin.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nhatle_event::json::hex;
use nhatle_event::{Event, Field, SystemClock, Timestamp, Value};
use nhatle_storage::sql::write::{self, Format};
use nhatle_storage::sql::{Cell, Column, Kind, Limits, Sql, Table, World};
use nhatle_storage::{Config, Dataset, OsDisk, Store};
use serde_json::{Value as Json, json};

use crate::support::python;

const EVENTS: i64 = 3_000;
const BEGIN_S: i64 = 1_770_000_000;

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn is(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

const USERS: [&str; 8] = ["root", "lan", "Minh", "quản trị", "nguyễn văn a", "NGUYỄN VĂN A", "svc-backup", "o'hara"];
const WORDS: [&str; 8] =
    ["đăng nhập thất bại", "accepted", "mimikatz", "sudo", "phường Đồng Hới", "100% done", "GET /index", "x_y"];
const SOURCES: [&str; 4] = ["web-1", "fw-1", "Máy chủ 2", "quiet"];

fn event(dice: &mut Dice, at: i64) -> Event {
    let stamp = Timestamp((BEGIN_S + at * 7) * 1_000_000_000 + dice.below(1_000_000) as i64 * 1_000);
    let message = format!("{} {} {}", dice.one(&WORDS), dice.below(50), dice.one(&WORDS));
    let mut event = Event::new(stamp, format!("<14>{at} web-1: {message}").into_bytes());
    event.received = stamp.plus_nanos(dice.below(5_000_000) as i64 * 1_000);
    event.set(Field::MESSAGE, Value::from(message));
    event.set_named("nhatle.source", Value::from(dice.one(&SOURCES[..3])));
    if !dice.is(5) {
        event.set(Field::SOURCE_IP, Value::Ip(std::net::Ipv4Addr::from(0xcb00_7100 + dice.below(12) as u32).into()));
    }
    if !dice.is(4) {
        event.set(Field::USER_NAME, Value::from(dice.one(&USERS)));
    }
    if dice.is(2) {
        event.set_named("event.action", Value::from("login"));
        event.set_named("event.outcome", Value::from(dice.one(&["failure", "failure", "success"])));
    } else {
        event.set_named("http.response.status_code", Value::Long([200, 301, 404, 500][dice.below(4)]));
        event.set_named("url.original", Value::from(format!("/trang/{}", dice.below(9))));
    }
    if !dice.is(6) {
        event.set_named("event.severity", Value::Long(dice.below(8) as i64));
    }
    if dice.is(3) {
        event.set_named("source.port", Value::Long(1_000 + dice.below(300) as i64));
    }
    event
}

fn world(folder: &Path) -> World {
    let disk = Arc::new(OsDisk::new(folder).unwrap());
    let store = Store::open(disk, Config::default(), Arc::new(SystemClock)).unwrap();
    let mut dice = Dice(11);
    for piece in 0..6 {
        let batch = (piece * EVENTS / 6..(piece + 1) * EVENTS / 6).map(|at| (Dataset::Events, event(&mut dice, at)));
        store.append(batch.collect(), &[]).unwrap();
        if piece < 5 {
            store.seal().unwrap();
        }
    }
    let mut world = World::of(store.snapshot());
    let text = |text: &str| Cell::text(text);
    world.tables.push(Table {
        schema: None,
        name: "sources".to_owned(),
        columns: vec![
            Column::new("name", Kind::Text),
            Column::new("unit", Kind::Text),
            Column::new("received", Kind::Int),
        ],
        rows: vec![
            vec![text("web-1"), text("18853"), Cell::Int(900)],
            vec![text("fw-1"), Cell::Null, Cell::Int(12)],
            vec![text("Máy chủ 2"), text("18856"), Cell::Int(0)],
            vec![text("quiet"), text("18856"), Cell::Null],
        ],
    });
    world.tables.push(Table {
        schema: None,
        name: "incidents".to_owned(),
        columns: vec![
            Column::new("number", Kind::Int),
            Column::new("title", Kind::Text),
            Column::new("owner", Kind::Text),
            Column::new("severity", Kind::Int),
        ],
        rows: (0..20i64)
            .map(|number| {
                let owner = if number % 3 == 0 { Cell::Null } else { text(USERS[number as usize % 8]) };
                vec![Cell::Int(number), text(WORDS[number as usize % 8]), owner, Cell::Int(number % 8)]
            })
            .collect(),
    });
    world
}

/// The eight questions, in our words and in DuckDB's.
fn eight() -> Vec<(String, String)> {
    let both = |text: &str| (ours(text), duckdb(text));
    vec![
        both(
            "SELECT {source.ip}, count(*) AS c FROM events WHERE {source.ip} IS NOT NULL GROUP BY {source.ip} ORDER BY c DESC, {source.ip} LIMIT 10",
        ),
        both(
            "SELECT {user.name}, <us:5m> AS w, count(*) AS c FROM events WHERE {event.action} = 'login' AND {event.outcome} = 'failure' \
              GROUP BY {user.name}, <us:5m> HAVING count(*) >= 2 ORDER BY c DESC, {user.name} NULLS LAST, w LIMIT 20",
        ),
        both(
            "SELECT <us>, {nhatle.source}, {user.name}, message FROM events WHERE {source.ip} = '203.0.113.7' ORDER BY {@timestamp} DESC, {nhatle.seq} LIMIT 100",
        ),
        both("SELECT count(*), min(<us>), max(<us>) FROM events WHERE message LIKE '%mimikatz%'"),
        both(
            "SELECT {source.ip}, count(DISTINCT {user.name}) AS c FROM events WHERE {source.ip} IS NOT NULL GROUP BY {source.ip} ORDER BY c DESC, {source.ip} LIMIT 10",
        ),
        both(
            "SELECT <us:5m> AS w, {event.severity}, count(*) AS c FROM events GROUP BY <us:5m>, {event.severity} ORDER BY w, {event.severity} NULLS LAST",
        ),
        both(
            "SELECT {url.original}, count(*) AS c FROM events WHERE {http.response.status_code} >= 400 GROUP BY {url.original} ORDER BY c DESC, {url.original} LIMIT 20",
        ),
        both(
            "WITH f AS (SELECT {user.name} AS u, {source.ip} AS ip, {@timestamp} AS t FROM events WHERE {event.action} = 'login' AND {event.outcome} = 'failure'), \
              s AS (SELECT {user.name} AS u, {source.ip} AS ip, {@timestamp} AS t FROM events WHERE {event.action} = 'login' AND {event.outcome} = 'success') \
              SELECT s.u, s.ip, count(*) AS c FROM s JOIN f ON s.u = f.u AND s.ip = f.ip WHERE f.t < s.t AND f.t >= s.t - INTERVAL '10 minutes' \
              GROUP BY s.u, s.ip ORDER BY c DESC, s.u, s.ip LIMIT 20",
        ),
    ]
}

/// `{name}` is a column, `<us>` its moment in microseconds, `<us:5m>` that of its bucket.
fn ours(text: &str) -> String {
    let text = text.replace("<us>", "(CAST({@timestamp} AS BIGINT) / 1000)");
    let text = ["5m", "1h", "1d"].iter().fold(text, |text, width| {
        let bucket = format!("(CAST(time_bucket('{width}', {{@timestamp}}) AS BIGINT) / 1000)");
        text.replace(&format!("<us:{width}>"), &bucket)
    });
    // Half of them as people type them: without quotes.
    if text.len() % 2 == 0 { text.replace(['{', '}'], "\"") } else { text.replace(['{', '}'], "") }
}

fn duckdb(text: &str) -> String {
    let text = text.replace("<us>", "epoch_us({@timestamp})");
    let text = [("5m", "5 minutes"), ("1h", "1 hour"), ("1d", "1 day")].iter().fold(text, |text, (width, words)| {
        let bucket = format!("epoch_us(time_bucket(INTERVAL '{words}', {{@timestamp}}))");
        text.replace(&format!("<us:{width}>"), &bucket)
    });
    text.replace(['{', '}'], "\"")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn condition(dice: &mut Dice, depth: usize) -> String {
    if depth > 0 && dice.is(2) {
        let (left, right) = (condition(dice, depth - 1), condition(dice, depth - 1));
        return match dice.below(5) {
            0..2 => format!("({left} AND {right})"),
            2..4 => format!("({left} OR {right})"),
            _ => format!("NOT ({left})"),
        };
    }
    let ops = ["=", "<>", "<", "<=", ">", ">="];
    match dice.below(12) {
        0 => format!("{{user.name}} {} {}", dice.one(&ops), quoted(dice.one(&USERS))),
        1 => format!("{{user.name}} IN ({}, {})", quoted(dice.one(&USERS)), quoted(dice.one(&USERS))),
        2 => format!(
            "message LIKE {}",
            quoted(&format!("%{}%", dice.one(&["mimi", "Đồng", "thất bại", "done", "7 s", "sudo"])))
        ),
        3 => format!("message NOT LIKE {}", quoted(&format!("{}%", dice.one(&["đăng", "acc", "GET", "phường"])))),
        4 => format!("message ILIKE {}", quoted(&format!("%{}%", dice.one(&["MIMI", "ACCEPT", "get /", "done"])))),
        5 => format!("{{source.ip}} = '203.0.113.{}'", dice.below(13)),
        6 => format!("{{event.severity}} {} {}", dice.one(&ops), dice.below(9)),
        7 => format!("{{http.response.status_code}} BETWEEN {} AND 404", 200 + dice.below(200)),
        8 => format!(
            "{} IS {}NULL",
            dice.one(&["{user.name}", "{source.ip}", "{source.port}", "{url.original}"]),
            dice.one(&["", "NOT "])
        ),
        9 => format!("<us> >= {}", (BEGIN_S + dice.below(20_000) as i64) * 1_000_000),
        10 => {
            let at = Timestamp((BEGIN_S + dice.below(21_000) as i64) * 1_000_000_000);
            format!(
                "{{@timestamp}} {} TIMESTAMP '{}'",
                dice.one(&ops[2..]),
                at.to_string().replace('T', " ").replace('Z', "")
            )
        }
        _ => format!("{{event.severity}} + coalesce({{source.port}}, 0) > {}", dice.below(1_200)),
    }
}

fn generated(dice: &mut Dice) -> String {
    let group = [
        "{user.name}",
        "{source.ip}",
        "{event.outcome}",
        "{nhatle.source}",
        "{event.severity}",
        "{http.response.status_code}",
        "<us:1h>",
        "<us:1d>",
    ];
    let aggregate = [
        "count(*)",
        "count({user.name})",
        "sum({event.severity})",
        "min(message)",
        "max({user.name})",
        "avg({source.port})",
        "count(DISTINCT {source.ip})",
        "max(<us>)",
        "sum(CASE WHEN {event.outcome} = 'failure' THEN 1 ELSE 0 END)",
    ];
    let wanted = condition(dice, 2);
    match dice.below(9) {
        0 => format!("SELECT {{nhatle.seq}}, <us>, {{user.name}}, message FROM events WHERE {wanted} ORDER BY {{nhatle.seq}} LIMIT {}", 1 + dice.below(60)),
        1 => format!("SELECT <us> AS t, {{nhatle.seq}} AS n FROM events WHERE {wanted} ORDER BY t DESC, n DESC LIMIT {} OFFSET {}", 1 + dice.below(40), dice.below(5)),
        2 | 3 => {
            let (one, two) = (dice.one(&group), dice.one(&aggregate));
            let having = if dice.is(3) { format!(" HAVING count(*) > {}", dice.below(40)) } else { String::new() };
            format!("SELECT {one} AS g, count(*) AS n, {two} AS a FROM events WHERE {wanted} GROUP BY {one}{having} ORDER BY n DESC, g NULLS LAST LIMIT 50")
        }
        4 => {
            let (one, two) = (dice.one(&group), dice.one(&group[..4]));
            format!("SELECT {one} AS g, {two} AS h, {} AS a FROM events WHERE {wanted} GROUP BY {one}, {two} ORDER BY g NULLS LAST, h NULLS LAST", dice.one(&aggregate))
        }
        5 => format!(
            "SELECT s.name, s.unit, count(e.{{nhatle.seq}}) AS n FROM sources s {} JOIN events e ON e.{{nhatle.source}} = s.name AND {} GROUP BY s.name, s.unit ORDER BY s.name",
            dice.one(&["LEFT", "INNER"]),
            wanted.replace("{", "e.{").replace("message", "e.message").replace("<us>", "epoch(e)")
        )
        .replace("epoch(e)", "<e.us>"),
        6 => format!(
            "SELECT i.number, i.title, count(*) AS n FROM incidents i JOIN events e ON e.{{user.name}} = i.owner AND e.{{event.severity}} = i.severity \
             GROUP BY i.number, i.title ORDER BY n DESC, i.number LIMIT {}",
            1 + dice.below(20)
        ),
        7 => format!(
            "SELECT {{user.name}} AS u, {{nhatle.seq}} AS n, row_number() OVER (PARTITION BY {{user.name}} ORDER BY {{nhatle.seq}}) AS r, \
             lag({{event.severity}}) OVER (PARTITION BY {{user.name}} ORDER BY {{nhatle.seq}}) AS l FROM events WHERE {wanted} ORDER BY n LIMIT 40"
        ),
        _ => format!(
            "SELECT count(*) FROM (SELECT {{user.name}} AS u FROM events WHERE {wanted} {} SELECT owner FROM incidents WHERE severity > {}) x \
             WHERE u IS NULL OR u NOT IN (SELECT unit FROM sources WHERE unit IS NOT NULL)",
            dice.one(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]),
            dice.below(8)
        ),
    }
}

fn rows(sql: &Sql, query: &str, world: &World) -> Vec<Vec<Json>> {
    let mut answer = sql.run(query, &[], world).unwrap_or_else(|error| panic!("{query}: {error}"));
    let columns = answer.columns().len();
    let mut rows = Vec::new();
    while let Some(batch) = answer.next_batch().unwrap_or_else(|error| panic!("{query}: {error}")) {
        rows.extend(
            (0..batch.len()).map(|row| (0..columns).map(|at| write::json(&batch.cell(row, at))).collect::<Vec<_>>()),
        );
    }
    rows
}

fn is_same(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
        _ => one == other,
    }
}

#[test]
fn sql_answers_as_duckdb_does_on_what_we_export() {
    let Some(python) = python::with_duckdb() else { return };
    let folder = tempfile::tempdir().unwrap();
    let world = world(&folder.path().join("store"));
    let sql = Sql::new(Limits::default()).unwrap();
    let tables = ["events", "sources", "incidents"].map(|name| {
        let path = folder.path().join(format!("{name}.parquet"));
        let mut file = std::fs::File::create(&path).unwrap();
        let mut answer = sql.run(&format!("SELECT * FROM {name}"), &[], &world).unwrap();
        write::write(&mut answer, Format::Parquet, &mut file).unwrap();
        format!("{name}={}", path.display())
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/duckdb_answers.py");
    let mut peer =
        Command::new(python).arg(script).args(tables).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(peer.stdout.take().unwrap()).lines();
    let mut ask = peer.stdin.take().unwrap();
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (count, seed) = (number("NHATLE_SQL_QUERIES", 200), number("NHATLE_SQL_SEED", 1));
    let mut queries = eight();
    for at in 0..count {
        let text = generated(&mut Dice(seed * 1_000_003 + at));
        let ours = ours(&text.replace("<e.us>", "(CAST(e.{@timestamp} AS BIGINT) / 1000)"));
        queries.push((ours, duckdb(&text.replace("<e.us>", "epoch_us(e.{@timestamp})"))));
    }
    let mut with_rows = 0;
    for (at, (ours, theirs)) in queries.iter().enumerate() {
        writeln!(ask, "{}", json!({ "query": theirs })).unwrap();
        let answer: Json = serde_json::from_str(&said.next().unwrap().unwrap()).unwrap();
        let expected = answer["rows"].as_array().unwrap_or_else(|| panic!("DuckDB, {at}: {theirs}: {answer}"));
        let found = rows(&sql, ours, &world);
        assert_eq!(found.len(), expected.len(), "{at}: {ours}\n{theirs}");
        for (one, other) in found.iter().zip(expected) {
            let same = one.iter().zip(other.as_array().unwrap()).all(|(one, other)| is_same(one, other));
            assert!(same, "{at}: {ours}\n{theirs}\nours {one:?}\nDuckDB {other}");
        }
        with_rows += usize::from(!found.is_empty());
    }
    assert!(queries.len() / 2 < with_rows, "{with_rows} of {} have rows", queries.len());
    drop(ask);
    assert!(peer.wait().unwrap().success());
}

#[test]
fn another_program_makes_the_bytes_as_received_of_a_segments_columns() {
    let Some(python) = python::with_duckdb() else { return };
    let folder = tempfile::tempdir().unwrap();
    let world = world(&folder.path().join("store"));
    let sql = Sql::new(Limits::default()).unwrap();
    let ours = rows(&sql, "SELECT nhatle.seq, event.original FROM events", &world);
    let ours: BTreeMap<u64, String> =
        ours.iter().map(|row| (row[0].as_u64().unwrap(), row[1].as_str().unwrap().to_owned())).collect();
    let segments = std::fs::read_dir(folder.path().join("store/segments")).unwrap();
    let files: Vec<_> = segments.map(|entry| entry.unwrap().path().join("rows.parquet")).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/originals.py");
    let told = Command::new(python).arg(script).args(&files).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let (mut outlined, mut whole) = (0, 0);
    for line in String::from_utf8(told.stdout).unwrap().lines() {
        let row: Json = serde_json::from_str(line).unwrap();
        let Some(expected) = ours.get(&row["seq"].as_u64().unwrap()) else { continue };
        assert_eq!(row["original"].as_str().unwrap(), hex(expected.as_bytes()), "{row}");
        *(if row["outlined"].as_bool().unwrap() { &mut outlined } else { &mut whole }) += 1;
    }
    assert!(0 < outlined, "{whole} rows, none with an outline");
}
