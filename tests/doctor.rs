//! `nhatle doctor` over a folder and over a running server: what is fine is said to be, what is broken is found.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;

use crate::support::{PATIENCE, Server, run, token, wait_for};

/// What the doctor says: the state of each check, and the exit code.
fn doctor(args: &[&str]) -> (BTreeMap<String, Vec<String>>, Option<i32>) {
    let mut all = vec!["doctor", "--json", "--lang", "en"];
    all.extend(args);
    let output = run(&all);
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let check: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| check[name].as_str().unwrap().to_owned();
        assert!(check["state"] == "fine" || !text("what").is_empty(), "{line}");
        states.entry(text("check")).or_default().push(text("state"));
    }
    (states, output.status.code())
}

#[test]
fn a_doctor_sees_what_is_fine_and_what_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let path = data.to_str().unwrap();
    let token = token(data, "doctor", "auditor", None);
    let server = Server::start(data, &[]);
    let mut stream = TcpStream::connect(server.syslog_tcp).unwrap();
    for number in 0..20 {
        // Every fourth claims to be JSON and is none.
        let body = if number % 4 == 0 { "{\"a\":".to_owned() } else { format!("app[1]: line {number}") };
        writeln!(stream, "{}", if number % 4 == 0 { body } else { format!("<13>Feb  3 04:05:06 host1 {body}") })
            .unwrap();
    }
    drop(stream);
    let url = format!("http://{}", server.http);
    wait_for("the doctor sees the source", PATIENCE, || {
        run(&["doctor", "--url", &url, "--token", &token, "--lang", "en"])
            .stdout
            .windows(7)
            .any(|part| part == b"sources")
            && !run(&["search", "line 19", "--count", "--data", path]).stdout.starts_with(b"0")
    });
    let (asked, code) = doctor(&["--url", &url, "--token", &token]);
    assert_eq!((asked["ready"][0].as_str(), asked["writes"][0].as_str(), code), ("fine", "fine", Some(0)), "{asked:?}");
    let (beside, _) = doctor(&["--data", path]);
    assert_eq!(beside["ports"], ["fine"], "a server runs on the folder");
    server.stop();

    let (states, code) = doctor(&["--data", path]);
    for id in ["conservation", "register", "rules", "backlog", "silence"] {
        assert_eq!(states[id], ["fine"], "{id}: {states:?}");
    }
    assert_eq!(states["dead_letters"], ["watch"], "{states:?}");
    // Ports of the defaults may be taken on a busy machine; then that is what is wrong.
    let is_wrong = states.values().flatten().any(|state| state == "wrong");
    assert_eq!(code, Some(i32::from(is_wrong)));
    let said = String::from_utf8(run(&["doctor", "--data", path, "--lang", "vi"]).stdout).unwrap();
    assert!(said.contains("không đọc được") && said.contains("nhatle search 'error.message:"), "{said}");

    std::fs::write(data.join("register.sqlite"), b"no register at all").unwrap();
    let (states, code) = doctor(&["--data", path]);
    assert_eq!((states["register"][0].as_str(), code), ("wrong", Some(1)), "{states:?}");
}
