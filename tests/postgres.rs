//! PostgreSQL's clients ask the store: psql, psycopg, SQLAlchemy and pandas, within TLS, as a ward, with a wrong password, with
//! statements that do not end; and strangers send what they like.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::cli::add_user;
use crate::support::{PATIENCE, Server, python, request, stdout, token, wait_for};

const OWN: (&str, &str) = ("18853", "cuanha");
const OTHER: (&str, &str) = ("18856", "hangxom");
const PASSWORD: &str = "mot-mat-khau-dai";
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/postgres.py");

/// A server that answers PostgreSQL's clients and holds events of two wards.
struct City {
    folder: tempfile::TempDir,
    server: Server,
    admin: String,
}

impl City {
    fn start(listen: &str) -> City {
        City::configured(&format!("[postgres]\nlisten = \"{listen}\"\n"))
    }

    fn configured(config: &str) -> City {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let file = folder.path().join("nhatle.toml");
        std::fs::write(&file, format!("{config}[canary]\nenabled = false\n[sentinel]\nenabled = false\n")).unwrap();
        for (unit, _) in [OWN, OTHER] {
            assert!(add_user(&data, &format!("nguoi-{unit}"), "ward", Some(unit), PASSWORD).status.success());
        }
        let admin = token(&data, "grafana", "analyst", None);
        let server = Server::start(&data, &["--config", file.to_str().unwrap()]);
        for (unit, word) in [OWN, OTHER] {
            let bearer = format!("Bearer {}", token(&data, &format!("push-{unit}"), "ingest", Some(unit)));
            wait_for("the token is known", PATIENCE, || push(&server, &bearer, word) == 200);
        }
        City { folder, server, admin }
    }

    fn port(&self) -> String {
        self.address().port().to_string()
    }

    fn address(&self) -> SocketAddr {
        let mut address = self.server.address("postgres");
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        address
    }

    fn ca(&self) -> String {
        self.folder.path().join("data/pki/ca.pem").display().to_string()
    }

    /// Runs psql; `None` where there is none.
    fn psql(&self, user: &str, password: &str, options: &str, text: &str) -> Output {
        let place = format!(
            "host=localhost hostaddr=127.0.0.1 port={} dbname=nhatle user={user} connect_timeout=120 {options}",
            self.port()
        );
        let mut command = Command::new("psql");
        command.env("PGPASSWORD", password).env("LC_ALL", "C.UTF-8").env("PAGER", "cat").stdin(Stdio::null());
        command.args(["-X", "-A", "-v", "ON_ERROR_STOP=1", &place, "-c", text]).output().unwrap()
    }

    /// What psql prints; it must not fail.
    #[track_caller]
    fn asked(&self, text: &str) -> String {
        told(&self.psql("token", &self.admin, "sslmode=disable", text), text)
    }

    /// What the Python clients saw, by `step` or `client`.
    #[track_caller]
    fn python(&self, python: &Path, what: &str, user: &str, password: &str, more: &[&str]) -> Vec<Value> {
        let output =
            Command::new(python).arg(CLIENT).args([what, &self.port(), user, password]).args(more).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{what}: {errors}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            self.server.errors()
        );
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn told(output: &Output, text: &str) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}: {errors}\n{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn push(server: &Server, bearer: &str, word: &str) -> u16 {
    let text = format!("{word} : TTY=pts/1 ; PWD=/home/{word} ; USER=root ; COMMAND=/usr/bin/vi /etc/sudoers");
    let line = format!("<86>Feb  3 04:05:06 may-{word} sudo: {text}");
    let body = format!("{}\n", json!({ "message": line }));
    request(server.http, "POST", "/api/v1/events", &[("Authorization", bearer)], body.as_bytes()).unwrap().status
}

fn has_psql() -> bool {
    let has = Command::new("psql").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: no psql");
    }
    has
}

fn step<'a>(seen: &'a [Value], name: &str) -> &'a Value {
    seen.iter().find(|one| one["step"] == name).unwrap_or_else(|| panic!("no {name} in {seen:?}"))
}

#[test]
fn psql_lists_describes_and_asks() {
    if !has_psql() {
        return;
    }
    let city = City::start("127.0.0.1:0");
    let tables = city.asked("\\dt");
    for table in ["events", "alerts", "dead_letters", "incidents", "sources"] {
        assert!(tables.contains(&format!("public|{table}|table|nhatle\n")), "{tables}");
    }
    let events = city.asked("\\d events");
    assert!(events.contains("Table \"public.events\""), "{events}");
    assert!(events.contains("\n@timestamp|timestamp with time zone|||\n"), "{events}");
    assert!(events.contains("\nsource.ip|text|||\n") && events.contains("\nnhatle.seq|bigint|||\n"), "{events}");
    assert!(city.asked("\\d+ events").contains("source.ip"));
    assert!(city.asked("\\l").contains("nhatle|nhatle|UTF8|"));
    assert!(city.asked("\\dn").contains("public|nhatle"));
    assert!(city.asked("\\d").contains("public|alerts|table|nhatle"));
    for quiet in [
        "\\df",
        "\\di",
        "\\dv",
        "\\du",
        "\\dT",
        "\\dx",
        "\\z",
        "\\dp events",
        "\\det",
        "\\ds",
        "\\db",
        "\\dd",
        "\\dX",
        "\\dAc",
        "\\dt *.*",
        "\\d pg_class",
        "\\l+",
        "\\dt+",
        "\\conninfo",
    ] {
        city.asked(quiet);
    }
    assert_eq!(
        city.asked("SELECT nhatle.unit AS unit, count(*) FROM events GROUP BY 1 ORDER BY 1"),
        "unit|count(*)\n18853|1\n18856|1\n(2 rows)\n".replace("count(*)", &column(&city))
    );
    assert!(city.asked("SELECT version(), current_database(), current_user").contains("PostgreSQL 15.0 (nhatle"));
    assert_eq!(city.asked("SELECT current_database() AS d, count(*) AS n FROM events"), "d|n\nnhatle|2\n(1 row)\n");
    assert_eq!(city.asked("SHOW server_version"), "server_version\n15.0\n(1 row)\n");
    assert_eq!(city.asked("BEGIN; SELECT 1 AS a; COMMIT"), "BEGIN\na\n1\n(1 row)\nCOMMIT\n");
    assert_eq!(city.asked("COPY (SELECT 1, 'a b', NULL) TO STDOUT"), "1\ta b\t\\N\n");
    let wrong = city.psql("token", &city.admin, "sslmode=disable", "SELECT 1 FROM events WHERE");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("ERROR:"), "{wrong:?}");
    // With a place, under which psql puts its caret.
    let wrong = city.psql("token", &city.admin, "sslmode=disable", "SELECT oid\nFROM pg_class WHERE )");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("LINE 2:"), "{wrong:?}");
    city.server.stop();
}

/// What the engine calls a count without a name.
fn column(city: &City) -> String {
    city.asked("SELECT count(*) FROM events").lines().next().unwrap().to_owned()
}

#[test]
fn a_ward_sees_its_ward_in_each_client() {
    let city = City::start("0.0.0.0:0");
    let user = format!("nguoi-{}", OWN.0);
    if has_psql() {
        let tls = format!("sslmode=verify-full sslrootcert={}", city.ca());
        let text = "SELECT nhatle.unit AS unit, message FROM events";
        let seen = told(&city.psql(&user, PASSWORD, &tls, text), text);
        assert!(seen.contains(OWN.1) && !seen.contains(OTHER.1) && seen.contains("(1 row)"), "{seen}");
        // Whatever the statement says, the other ward's rows are not there.
        for text in [
            "SELECT count(*) FROM events WHERE nhatle.unit = '18856' OR true",
            "SELECT count(*) FROM (SELECT * FROM events UNION ALL SELECT * FROM events WHERE false) x",
            "WITH x AS (SELECT * FROM public.events) SELECT count(*) FROM x",
            "SELECT count(*) FROM \"nhatle\".\"public\".\"events\"",
        ] {
            let seen = told(&city.psql(&user, PASSWORD, &tls, text), text);
            assert!(seen.contains("\n1\n"), "{text}: {seen}");
        }
        let all = told(&city.psql("any", &city.admin, &tls, "SELECT count(*) FROM events"), "all");
        assert!(all.contains("\n2\n"), "{all}");
        // Beyond loopback nobody is asked for a password outside of TLS, and another authority's word does not count.
        let plain = city.psql(&user, PASSWORD, "sslmode=disable", "SELECT 1");
        assert!(String::from_utf8_lossy(&plain.stderr).contains("without TLS"), "{plain:?}");
        let other = tempfile::tempdir().unwrap();
        let clock = nhatle_event::Clock::now(&nhatle_event::SystemClock);
        let authority = nhatle::pki::Authority::open(other.path(), clock).unwrap();
        drop(authority);
        let foreign = format!("sslmode=verify-full sslrootcert={}", other.path().join("pki/ca.pem").display());
        assert!(!city.psql(&user, PASSWORD, &foreign, "SELECT 1").status.success());
    }
    if let Some(python) = python::with_postgres() {
        let seen = city.python(&python, "units", &user, PASSWORD, &[&city.ca(), OTHER.0]);
        assert_eq!(seen.len(), 3, "{seen:?}");
        for client in &seen {
            assert_eq!(client["rows"], json!([[OWN.0, 1]]), "{client}");
        }
        assert_eq!(seen[0]["named"], json!([0]));
    }
    city.server.stop();
}

#[test]
fn python_clients_read_values_tables_and_parts() {
    let Some(python) = python::with_postgres() else { return };
    let city = City::start("127.0.0.1:0");
    let seen = city.python(&python, "values", "token", &city.admin, &[]);
    let rows: Vec<&Value> = seen.iter().filter(|one| one["step"] == "row").collect();
    assert_eq!(rows[0]["row"], rows[1]["row"], "text and binary");
    assert_eq!(rows[0]["oids"], json!([1184, 20, 25, 701, 16, 25, 16]), "{rows:?}");
    for one in seen.iter().filter(|one| one["step"] == "parameters") {
        assert_eq!(one["row"], json!([2]), "{one}");
    }
    for one in seen.iter().filter(|one| one["step"] == "catalog") {
        assert_eq!(one["rows"], json!([["bool", 16, 1, 1000], ["text", 25, -1, 1009], ["timestamptz", 1184, 8, 1185]]));
    }
    assert_eq!(step(&seen, "cursor")["rows"].as_array().unwrap().len(), 2);
    assert_eq!(step(&seen, "copy")["text"], "a,b,c\n1,\"x,y\",\n");
    assert_eq!((&step(&seen, "error")["code"], &step(&seen, "aborted")["code"]), (&json!("42703"), &json!("25P02")));
    assert!(seen.iter().filter(|one| one["step"] == "change").all(|one| one["code"] == "25006"), "{seen:?}");
    assert_eq!(step(&seen, "pipeline")["rows"], json!((0..20).collect::<Vec<_>>()));

    let seen = city.python(&python, "reflect", "token", &city.admin, &[]);
    let names = step(&seen, "tables")["names"].as_array().unwrap();
    assert!(["events", "alerts", "incidents"].iter().all(|name| names.contains(&json!(name))), "{names:?}");
    let some = &step(&seen, "columns")["some"];
    assert_eq!(*some, json!({"@timestamp": "TIMESTAMP", "source.ip": "TEXT", "nhatle.seq": "BIGINT"}));
    assert_eq!(step(&seen, "select")["rows"].as_array().unwrap().len(), 2);
    assert_eq!(step(&seen, "parts")["lengths"], json!([1, 1]));
    assert_eq!(step(&seen, "table")["columns"], json!(["@timestamp"]));
    city.server.stop();
}

#[test]
fn what_does_not_end_is_ended_by_its_time_or_by_whoever_asked() {
    let Some(python) = python::with_postgres() else { return };
    let city = City::start("127.0.0.1:0");
    let seen = city.python(&python, "limits", "token", &city.admin, &[]);
    for (name, word) in [("time", "timeout"), ("cancel", "user request")] {
        let one = step(&seen, name);
        assert_eq!(one["code"], "57014", "{one}");
        assert!(one["message"].as_str().unwrap().contains(word), "{one}");
        assert!((0.5..10.0).contains(&one["took"].as_f64().unwrap()), "{one}");
    }
    assert_eq!(step(&seen, "after")["row"], json!([42]));
    city.server.stop();
}

#[test]
fn who_may_not_search_or_guesses_is_refused_and_written_down() {
    if !has_psql() {
        return;
    }
    let city = City::start("127.0.0.1:0");
    let data = city.folder.path().join("data");
    let refused = |user: &str, password: &str| {
        let output = city.psql(user, password, "sslmode=disable", "SELECT 1");
        assert!(!output.status.success(), "{user}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let ingest = token(&data, "agent", "ingest", None);
    wait_for("the token is known", PATIENCE, || refused("x", &ingest).contains("may not search"));
    let user = format!("nguoi-{}", OWN.0);
    assert!(refused("nobody", PASSWORD).contains("password authentication failed"));
    assert!(refused(&user, "").contains("no password supplied"));
    // Right ones do not count, however many.
    for _ in 0..12 {
        told(&city.psql(&user, PASSWORD, "sslmode=disable", "SELECT 1"), "right");
    }
    for _ in 0..10 {
        assert!(refused(&user, "sai-mat-khau-roi").contains("password authentication failed"));
    }
    assert!(refused(&user, PASSWORD).contains("too many tries"), "the brake holds the right one too");
    // A token is not guessed, so it is not held up.
    told(&city.psql(&user, &city.admin, "sslmode=disable", "SELECT 1"), "token");
    assert!(refused("token", &format!("{}x", city.admin)).contains("password authentication failed"));
    let database = city.psql("token", &city.admin, "sslmode=disable dbname=other", "SELECT 1");
    assert!(String::from_utf8_lossy(&database.stderr).contains("there is one database"), "{database:?}");
    city.server.stop();
    let Some(register) = sign_ins(&data) else { return };
    for (outcome, count) in [("refused", 12), ("rate_limited", 1), ("accepted", 1)] {
        assert_eq!(register.matches(&format!("\"outcome\":\"{outcome}\"")).count(), count, "{outcome}: {register}");
    }
}

/// What the register holds of sign-ins, as JSON; `None` where there is no Python to read it with.
fn sign_ins(data: &Path) -> Option<String> {
    let script = "import sqlite3, sys\nfor row in sqlite3.connect(sys.argv[1]).execute(\"select json from change_log\"): print(row[0])";
    let output = Command::new("python3").args(["-c", script]).arg(data.join("register.sqlite")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn startup(user: &str) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    body.extend_from_slice(format!("user\0{user}\0database\0nhatle\0\0").as_bytes());
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], &body].concat()
}

#[test]
fn strangers_grow_nothing_and_break_nothing() {
    let seed = std::env::var("NHATLE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5_432);
    println!("seed {seed}");
    let city = City::start("127.0.0.1:0");
    let before = resident_kib(city.server.pid());
    let connect = || {
        let stream = TcpStream::connect_timeout(&city.address(), PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    // A thousand that say nothing, or half of something.
    let half: Vec<TcpStream> = (0..1_000)
        .filter_map(|number| {
            let mut stream = TcpStream::connect_timeout(&city.address(), PATIENCE).ok()?;
            drop(stream.write_all(&startup("an")[..number % 30]));
            Some(stream)
        })
        .collect();
    assert!(900 < half.len());
    drop(half);
    let serves = || {
        let mut first = [0];
        let stream = TcpStream::connect_timeout(&city.address(), Duration::from_secs(5));
        stream.is_ok_and(|mut stream| {
            drop(stream.set_read_timeout(Some(Duration::from_secs(5))));
            stream.write_all(&startup("an")).is_ok() && matches!(stream.read(&mut first), Ok(1)) && first[0] == b'R'
        })
    };
    wait_for("those who said nothing are gone", PATIENCE, serves);
    // Lengths that lie, before and after the first message.
    for word in [1_u32 << 30, u32::MAX, 0, 7, 10_001] {
        let mut stream = connect();
        stream.write_all(&word.to_be_bytes()).unwrap();
        drop(stream.write_all(&[0; 64]));
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(rest.is_empty(), "{word}: {rest:?}");
        let mut stream = connect();
        stream.write_all(&startup("an")).unwrap();
        let mut first = [0; 9];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"R\0\0\0\x08\0\0\0\x03");
        stream.write_all(&[&b"p"[..], &word.to_be_bytes()].concat()).unwrap();
        drop(stream.read_to_end(&mut rest));
        assert!(rest.len() < 200, "{word}: {rest:?}");
    }
    // Random bytes, and messages of the signed-in from who has not signed in.
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..400 {
        let mut stream = connect();
        let mut bytes = if dice.random_bool(0.5) { startup("an") } else { Vec::new() };
        for _ in 0..dice.random_range(0..4) {
            let kind = b"pQPBDCEHSXdcf\0"[dice.random_range(0..14)];
            let body: Vec<u8> =
                (0..dice.random_range(0..60)).map(|_| if dice.random_bool(0.5) { 0 } else { dice.random() }).collect();
            let length = if dice.random_bool(0.8) { body.len() as u32 + 4 } else { dice.random() };
            bytes.push(kind);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&body);
        }
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut rest = Vec::new();
        drop(stream.take(1 << 16).read_to_end(&mut rest));
        assert!(!rest.windows(5).any(|part| part == b"Z\0\0\0\x05"), "ready without a sign-in: {bytes:?}");
    }
    // And of who has: broken chains end the session, not the program.
    for _ in 0..150 {
        let mut stream = connect();
        stream.write_all(&startup("token")).unwrap();
        let password = [city.admin.as_bytes(), b"\0"].concat();
        stream.write_all(&[&b"p"[..], &(password.len() as u32 + 4).to_be_bytes(), &password].concat()).unwrap();
        // What is closed with bytes unread loses what was sent before, so that is read first.
        let mut greeting = Vec::new();
        let mut part = [0; 1_024];
        while !greeting.windows(5).any(|part| part == b"Z\0\0\0\x05") {
            let read = stream.read(&mut part).unwrap();
            assert!(0 < read, "it did not come in: {greeting:?}");
            greeting.extend_from_slice(&part[..read]);
        }
        let mut bytes = Vec::new();
        for _ in 0..dice.random_range(1..6) {
            let texts: [&[u8]; 6] =
                [b"select 1\0", b"\0\0\0", b"S\0", b"P\0", b"\0select $1\0\0\0", b"\0\0\0\0\0\0\0\0"];
            let mut body = texts[dice.random_range(0..6)].to_vec();
            if dice.random_bool(0.3) {
                body.push(dice.random());
            }
            bytes.push(b"QPBDCEHSdcf"[dice.random_range(0..11)]);
            bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
            bytes.extend_from_slice(&body);
        }
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut rest = Vec::new();
        drop(stream.take(1 << 20).read_to_end(&mut rest));
    }
    wait_for("the server answers", PATIENCE, serves);
    let after = resident_kib(city.server.pid());
    // Threads and caches of the sessions above, nothing for each of the strangers.
    assert!(after < before + (160 << 10), "{before} KiB, then {after} KiB");
    drop(stdout(&["search", "*", "--data", city.folder.path().join("data").to_str().unwrap(), "--count"]));
    city.server.stop();
}
