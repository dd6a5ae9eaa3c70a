//! Accounts and tokens from outside: made, changed and taken back on the command line, while a server runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::cli::add_user;
use crate::support::{Answer, NHATLE, PATIENCE, Server, request, run, stdout, token, wait_for};
use crate::ward::{PASSWORD, sign_in};

fn get(server: &Server, path: &str, header: (&str, &str)) -> Answer {
    request(server.http, "GET", path, &[header], b"").unwrap()
}

fn on(data: &Path, args: &[&str]) -> Vec<String> {
    [args, &["--data", data.to_str().unwrap()]].concat().into_iter().map(str::to_owned).collect()
}

/// What was given can be taken back: a token that leaked, an account of somebody who left, a password that was seen.
#[test]
fn a_token_and_an_account_are_taken_back_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for (name, role, unit) in [("lan", "analyst", None), ("minh", "ward", Some("A"))] {
        assert!(add_user(data, name, role, unit, PASSWORD).status.success());
    }
    let bearer = format!("Bearer {}", token(data, "web01", "auditor", None));
    let server = Server::start(data, &[]);
    let (lan, _) = sign_in(server.http, "lan");
    let (minh, _) = sign_in(server.http, "minh");
    let has_token = || get(&server, "/api/v1/sources", ("Authorization", &bearer)).status;
    let has_session = |cookie: &str| get(&server, "/account", ("Cookie", cookie)).status;
    assert_eq!((has_token(), has_session(&lan), has_session(&minh)), (200, 200, 200));
    let call = |args: &[&str]| {
        let args = on(data, args);
        stdout(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut tail = TcpStream::connect(server.http).unwrap();
    tail.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(tail, "GET /api/v1/tail HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {bearer}\r\n\r\n")
        .unwrap();
    call(&["token", "revoke", "web01"]);
    wait_for("the token is refused", PATIENCE, || has_token() == 401);
    let mut told = String::new();
    tail.read_to_string(&mut told).expect("what goes on by the token ends");
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    call(&["user", "disable", "Minh"]);
    wait_for("the session is over", PATIENCE, || has_session(&minh) == 303);
    let mut other = Command::new(NHATLE)
        .args(on(data, &["user", "password", "lan", "--password-stdin"]))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    other.stdin.take().unwrap().write_all(b"mot-mat-khau-khac\n").unwrap();
    assert!(other.wait().unwrap().success());
    wait_for("a session with the old password is over", PATIENCE, || has_session(&lan) == 303);
    let listed = call(&["user", "list", "--json"]) + &call(&["token", "list", "--json"]);
    let rows: Vec<serde_json::Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |name: &str, role: &str, unit: Option<&str>, is_off: bool| json!({"name": name, "role": role, "unit": unit, "is_off": is_off});
    let expected =
        [row("lan", "analyst", None, false), row("minh", "ward", Some("A"), true), row("web01", "auditor", None, true)];
    assert_eq!(rows, expected);
    // What is not there is told, and no folder is made for it.
    for args in [["user", "disable", "nobody"], ["token", "revoke", "nothing"]] {
        let args = on(data, &args);
        assert_eq!(run(&args.iter().map(String::as_str).collect::<Vec<_>>()).status.code(), Some(2));
    }
    let mistyped = data.join("mistyped");
    let args = on(&mistyped, &["token", "revoke", "web01"]);
    assert_eq!(run(&args.iter().map(String::as_str).collect::<Vec<_>>()).status.code(), Some(2));
    assert!(!mistyped.exists());
}

/// An administrator of one unit runs nothing of the machine that all of them share.
#[test]
fn who_is_limited_to_a_unit_does_not_reload_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let bearer = |name: &str, unit| format!("Bearer {}", token(folder.path(), name, "admin", unit));
    let (city, ward) = (bearer("city", None), bearer("ward", Some("A")));
    let server = Server::start(folder.path(), &[]);
    for path in ["/api/v1/reload", "/api/v1/rules/reload"] {
        let status = |token: &str| request(server.http, "POST", path, &[("Authorization", token)], b"").unwrap().status;
        assert_eq!((status(&ward), status(&city)), (403, 200), "{path}");
    }
}

/// A code for a unit that is none would make a sender whose records nobody's officer sees.
#[test]
fn an_enrolment_names_a_unit_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let bearer = format!("Bearer {}", token(&data, "admin", "admin", None));
    let config = folder.path().join("nhatle.toml");
    let unit = |code: &str| format!("[[unit]]\ncode = \"{code}\"\nname = \"{code}\"\n");
    let text = format!("[server]\nhttps = \"127.0.0.1:0\"\n{}{}", unit("18853"), unit("TP01"));
    std::fs::write(&config, text).unwrap();
    let server = Server::start(&data, &["--config", config.to_str().unwrap()]);
    let told = "no unit is called 1885; did you mean 18853? The configuration has: 18853, TP01";
    let enroll = |unit: &str| {
        let args = on(&data, &["enroll", "phuong-01", "--unit", unit]);
        run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let refused = enroll("1885");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains(told) && refused.stdout.is_empty(), "{refused:?}");
    let post = |unit: &str| {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = json!({ "name": "phuong-02", "unit": unit }).to_string();
        request(server.http, "POST", "/api/v1/enrollments", &headers, body.as_bytes()).unwrap()
    };
    let refused = post("1885");
    assert!(refused.status == 422 && refused.body.contains(told), "{}", refused.body);
    assert_eq!((enroll("18853").status.code(), post("TP01").status), (Some(0), 201));
    server.stop();
}
