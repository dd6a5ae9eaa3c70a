//! A store copied while it is written, made again elsewhere, and looked at: nothing missing, nothing half.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, request, run, stdout, token, wait_for};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn count(data: &Path) -> u64 {
    stdout(&["search", "message:dong*", "--data", text(data), "--count"]).trim().parse().unwrap()
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_running_store_is_copied_whole_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (data, file, restored) = (at("data"), at("city.backup"), at("again/data"));
    let (push, admin) = (token(&data, "sender", "ingest", None), token(&data, "head", "admin", None));
    std::fs::create_dir_all(data.join("pki")).unwrap();
    std::fs::write(data.join("pki/extra.key"), "secret").unwrap();
    std::fs::set_permissions(data.join("pki/extra.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // Small enough that segments are made all the time.
    let config = at("nhatle.toml");
    std::fs::write(&config, "[storage]\nmemtable_events_max = 500\nlog_file_bytes_max = 65536\n").unwrap();
    let server = Server::start(&data, &["--config", text(&config)]);
    let (acknowledged, is_stopping) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let sender = {
        let (acknowledged, is_stopping, http) = (acknowledged.clone(), is_stopping.clone(), server.http);
        let authorization = format!("Bearer {push}");
        std::thread::spawn(move || {
            for batch in 0..2_000 {
                if is_stopping.load(Ordering::Relaxed) {
                    break;
                }
                let body: String =
                    (0..50).map(|n| format!("{}\n", json!({"message": format!("dong {batch} {n}")}))).collect();
                let headers = [("Authorization", authorization.as_str())];
                let answer = request(http, "POST", "/api/v1/events", &headers, body.as_bytes()).unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
                acknowledged.fetch_add(50, Ordering::SeqCst);
            }
        })
    };
    wait_for("several segments", Duration::from_secs(60), || 3_000 < acknowledged.load(Ordering::SeqCst));
    let before = acknowledged.load(Ordering::SeqCst);
    let made: Value = serde_json::from_str(&stdout(&["backup", "--json", "--data", text(&data), text(&file)])).unwrap();
    is_stopping.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    server.stop();
    assert!(before <= made["events"].as_u64().unwrap(), "{made}: {before} were acknowledged before");
    assert!(2 <= made["register_entries"].as_u64().unwrap(), "{made}");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions()) & 0o777,
        0o600
    );

    let again: Value =
        serde_json::from_str(&stdout(&["restore", "--json", "--data", text(&restored), text(&file)])).unwrap();
    for key in ["events", "last_seq", "register_entries", "files", "bytes"] {
        assert_eq!(again[key], made[key], "{key}");
    }
    assert_eq!(names(restored.parent().unwrap()), ["data"]);
    stdout(&["verify", "--data", text(&restored)]);
    let found = count(&restored);
    assert!((before..=acknowledged.load(Ordering::SeqCst)).contains(&found), "{found} of {before}");
    let key = restored.join("pki/extra.key");
    assert_eq!(std::fs::read(&key).unwrap(), b"secret");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions()) & 0o777, 0o600);
    // It goes on: with the accounts of before, and new events.
    let server = Server::start(&restored, &["--config", text(&config)]);
    let headers = [("Authorization", format!("Bearer {admin}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = request(server.http, "GET", "/api/v1/search?q=message:dong*&limit=1", &headers, b"").unwrap();
    assert_eq!((answer.status, answer.json()["total"].as_u64()), (200, Some(found)), "{answer:?}");
    server.stop();

    // What may not be: over something, into something, from something cut or altered.
    assert_eq!(run(&["backup", "--data", text(&data), text(&file)]).status.code(), Some(2), "the file is there");
    assert_eq!(run(&["backup", "--data", text(&data), text(&data.join("b"))]).status.code(), Some(2), "inside itself");
    assert_eq!(run(&["restore", "--data", text(&restored), text(&file)]).status.code(), Some(2), "in use");
    let whole = std::fs::read(&file).unwrap();
    let mut altered = whole.clone();
    altered[700] ^= 1;
    for (name, bytes) in [("cut", &whole[..whole.len() / 2]), ("altered", &altered), ("none", b"nothing")] {
        let (file, data) = (at(name), at("never"));
        std::fs::write(&file, bytes).unwrap();
        let output = run(&["restore", "--data", text(&data), text(&file)]);
        assert_eq!(output.status.code(), Some(3), "{name}");
        assert!(!data.exists(), "{name}");
    }
    let left: Vec<String> = names(folder.path()).into_iter().filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_backup_that_is_killed_leaves_no_file_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    token(&data, "sender", "ingest", None);
    std::fs::create_dir_all(data.join("log")).unwrap();
    // Large enough that it takes its time.
    for number in 0..8 {
        std::fs::write(data.join(format!("ballast-{number}")), vec![7; 16 << 20]).unwrap();
    }
    let file = folder.path().join("city.backup");
    let mut child = std::process::Command::new(crate::support::NHATLE)
        .args(["backup", "--data", text(&data), text(&file)])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("it has begun", Duration::from_secs(30), || {
        names(folder.path()).iter().any(|name| name.starts_with(".nhatle-backup")) || file.exists()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!file.exists(), "killed in the middle, it gave its file the name");
    stdout(&["backup", "--data", text(&data), text(&file)]);
    stdout(&["restore", "--data", text(&folder.path().join("again")), text(&file)]);
}
