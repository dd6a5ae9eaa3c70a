//! `nhatle verify` names file and place of a changed byte, wherever in the store it stands.
//!
//! In: a store with sealed segments, a log, a manifest and a register. One byte is changed, `verify` must
//! exit with 1 and name that file, at or before the byte; then the byte is put back.

use std::path::{Path, PathBuf};

use nhatle_storage::register::Register;
use serde_json::Value;

use crate::support::{Server, request, run, stdout, token};

/// What is checked in blocks is named by the block's first byte; no block is longer.
const BLOCK_BYTES_MAX: u64 = 1 << 20;

/// The findings of `verify --json`, with its exit code.
fn findings(data: &Path) -> (Option<i32>, Vec<Value>) {
    let output = run(&["verify", "--json", "--data", data.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, files);
        } else if path.is_file() {
            // A server that was killed leaves its socket.
            files.push(path);
        }
    }
}

/// A store that was sealed and then pushed to, so that its log holds events too.
fn store(data: &Path) {
    let auth = data.join("auth.txt");
    let lines: String = (0..3_000)
        .map(|n| {
            format!(
                "Feb  3 04:{:02}:{:02} cong-01 sshd[{n}]: Connection closed by 203.0.113.9 port {n}\n",
                n / 60 % 60,
                n % 60
            )
        })
        .collect();
    std::fs::write(&auth, lines).unwrap();
    stdout(&["import", "--data", data.to_str().unwrap(), auth.to_str().unwrap()]);
    std::fs::remove_file(auth).unwrap();
    let bearer = format!("Bearer {}", token(data, "pusher", "ingest", None));
    // One that ends in order keeps what it has learned; one that is killed leaves its log.
    Server::start(data, &[]).stop();
    let server = Server::start(data, &[]);
    for n in 0..5 {
        let body = format!("{{\"@timestamp\":\"2026-02-03T05:00:0{n}Z\",\"message\":\"pushed {n}\"}}\n");
        let answer =
            request(server.http, "POST", "/api/v1/events", &[("Authorization", &bearer)], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server.kill();
}

#[test]
fn one_changed_byte_anywhere_is_found_by_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    store(data);
    assert_eq!(findings(data), (Some(0), Vec::new()));
    let mut files = Vec::new();
    files_below(data, &mut files);
    let (mut segment_files, mut log_files, mut manifests, mut states) = (0, 0, 0, 0);
    for path in files {
        let name = path.strip_prefix(data).unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let places = match name.split('/').next().unwrap() {
            "segments" => vec![0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1],
            "manifest" => vec![bytes.len() / 2, bytes.len() - 1],
            // The last frame of a log may be torn by a crash: a byte before it is what nobody may change.
            "log" => vec![0, bytes.len() / 4],
            "state" => vec![0, 20, bytes.len() / 2, bytes.len() - 1],
            _ => continue,
        };
        match name.split('/').next().unwrap() {
            "segments" => segment_files += 1,
            "manifest" => manifests += 1,
            "state" => states += 1,
            _ => log_files += 1,
        }
        for at in places.into_iter().filter(|at| *at < bytes.len()) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            std::fs::write(&path, &changed).unwrap();
            let (code, found) = findings(data);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(code, Some(1), "{name}: byte {at} of {} changed unseen", bytes.len());
            let is_named = found.iter().any(|one| {
                // Of a file of `state/` all is known by one checksum.
                let offset = one["offset"].as_u64().unwrap_or(if name.starts_with("state/") { 0 } else { u64::MAX });
                one["file"] == name.as_str() && offset <= at as u64 && (at as u64) - offset < BLOCK_BYTES_MAX
            });
            assert!(is_named, "{name}: byte {at} changed, but named: {found:?}");
        }
    }
    let counts = [segment_files, log_files, manifests, states];
    assert!(counts.iter().all(|count| 0 < *count), "{counts:?}");
    assert_eq!(findings(data), (Some(0), Vec::new()), "everything was put back");
}

#[test]
fn a_changed_register_row_is_named_with_its_row_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for name in ["mot", "hai", "ba"] {
        token(data, name, "ingest", Some("18853"));
    }
    // Closing moves every row out of SQLite's own log into the file.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Register::open(data).await.unwrap().close().await });
    assert_eq!(findings(data), (Some(0), Vec::new()));
    let path = data.join("register.sqlite");
    let bytes = std::fs::read(&path).unwrap();
    let needle = b":\"18853\"";
    let places: Vec<usize> =
        bytes.windows(needle.len()).enumerate().filter(|(_, window)| window == needle).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 3, "one in each row");
    for at in places {
        let mut changed = bytes.clone();
        changed[at + needle.len() - 2] = b'4';
        std::fs::write(&path, &changed).unwrap();
        let (code, found) = findings(data);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(code, Some(1), "{found:?}");
        let is_named = |one: &Value| {
            one["file"] == "register.sqlite"
                && one["row"].is_u64()
                && one["offset"].as_u64().is_some_and(|offset| offset.abs_diff(at as u64) < 4_096)
        };
        assert!(found.iter().any(is_named), "{found:?}");
    }
}
