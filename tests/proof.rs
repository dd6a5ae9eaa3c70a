//! Evidence packages from outside: what is altered in one is found by `nhatle verify` and by a program that knows nothing
//! of nhatle but `docs/format/proof.md` (`tests/proof/check.py`, skipped where there is no Python).
//!
//! In: a store with events, alerts, an incident and accounts. Stores that are altered: `proof_table.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nhatle::evidence::archive;
use nhatle::pki::heads;
use nhatle_event::json::hex;
use nhatle_storage::proof::SigningKey;
use nhatle_storage::proof::note::Note;
use sha2::{Digest, Sha256};

use crate::support::{NHATLE, Server, run, stdout, token};

const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proof/check.py");

/// What `check.py` says: its exit code and its lines; `None` where there is no Python.
pub fn python(arguments: &[&str]) -> Option<(i32, String)> {
    let output = Command::new("python3").arg("-B").arg(CHECK).args(arguments).output();
    let Ok(output) = output else {
        eprintln!("skipped: no python3");
        return None;
    };
    let said = [&output.stdout[..], &output.stderr].concat();
    Some((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
}

pub fn verify(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(&[&["verify"], arguments].concat());
    let said = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A store with two seals, alerts, an incident and three tokens.
pub fn store(data: &Path) {
    for round in 0..2 {
        let line = |second: i64, said: &str| {
            let (minute, second) = (round * 20 + second / 60, second % 60);
            format!(
                "<86>1 2026-02-03T04:{minute:02}:{second:02}.000000+07:00 csdl-01 sshd 2345 - - {said} password for deploy from 203.0.113.9 port {} ssh2\n",
                40_000 + second
            )
        };
        let lines: String = (0..20).map(|n| line(n * 4, "Failed")).chain([line(100, "Accepted")]).collect();
        let file = data.with_extension("txt");
        std::fs::write(&file, lines).unwrap();
        stdout(&["import", "--data", text(data), text(&file)]);
        token(data, &format!("token{round}"), "ingest", Some("18853"));
    }
    // The register is written down with the next head.
    stdout(&[
        "evidence",
        "--data",
        text(data),
        "--query",
        "source.ip:203.0.113.9",
        "-o",
        text(&data.with_extension("first.tar")),
    ]);
    std::fs::remove_file(data.with_extension("first.tar")).unwrap();
}

/// Copies a folder with all files that are in it; a server that is running has a socket there.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &place);
        } else if path.is_file() {
            std::fs::copy(path, place).unwrap();
        }
    }
}

/// The incident of the store, as a package.
fn package(data: &Path, to: &Path) {
    stdout(&["evidence", "--data", text(data), "--incident", "1", "--by", "lan", "-o", text(to)]);
}

#[test]
fn a_package_of_an_incident_is_checked_without_the_store_and_a_forged_one_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("incident.tar"));
    store(&data);
    package(&data, &file);
    let again = folder.path().join("again.tar");
    package(&data, &again);
    let is_same = std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap();
    assert!(is_same, "the same bytes each time");
    let key = std::fs::read_to_string(data.join("pki/proof.pub")).unwrap();
    let other = tempfile::tempdir().unwrap();
    heads::open_or_make(other.path()).unwrap();
    // The machine of the reader has no store.
    std::fs::remove_dir_all(&data).unwrap();
    let (code, said) = verify(&[text(&file), "--key", key.trim()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("incident 1") && !said.contains("proved: 0 events") && !said.contains(" 0 changes"),
        "{said}"
    );
    if let Some((code, said)) = python(&["--key", key.trim(), text(&file)]) {
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("all of it holds") && !said.contains(" 0 changes"), "{said}");
    }
    let files = archive::read(&std::fs::read(&file).unwrap()[..]).unwrap();
    alone(&file, &files["check.py"], key.trim());
    let mut forged: Vec<(&str, Vec<(String, Vec<u8>)>)> = Vec::new();
    let mut with = |name: &'static str, which: &str, alter: &dyn Fn(&str) -> String| {
        let mut files = files.clone();
        let before = String::from_utf8(files[which].clone()).unwrap();
        let after = alter(&before);
        assert_ne!(before, after, "{name}");
        files.insert(which.to_owned(), after.into_bytes());
        forged.push((name, files.into_iter().collect()));
    };
    let without_first_line = |text: &str| text.split_inclusive('\n').skip(1).collect::<String>();
    with("an event altered", "events.jsonl", &|text| text.replacen("203.0.113.9", "203.0.113.8", 1));
    with("an event taken out", "events.jsonl", &without_first_line);
    with("events exchanged", "events.jsonl", &|text| {
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        lines.swap(0, 1);
        lines.concat()
    });
    with("a row of the register altered", "changes.jsonl", &|text| text.replacen("\"actor\":\"", "\"actor\":\"x", 1));
    with("a row of the register taken out", "changes.jsonl", &without_first_line);
    with("an entry altered", "entries.jsonl", &|text| text.replacen("\"rows\":", "\"rows\":1", 1));
    with("a path altered", "proofs.json", &|text| text.replacen("\"index\":", "\"index\":1", 1));
    with("the head altered", "head.txt", &|text| text.replacen("\ntime 2", "\ntime 3", 1));
    with("what it is about altered", "about.json", &|text| text.replacen("\"name\": \"1\"", "\"name\": \"2\"", 1));
    with("how to check altered", "README.txt", &|text| text.replacen("check.py", "other.py", 1));
    with("a file of the list altered", "sums.txt", &|text| text.replacen("README", "README2", 1));
    let mut added = files.clone();
    added.insert("more.txt".to_owned(), b"more".to_vec());
    forged.push(("a file added", added.into_iter().collect()));
    let mut missing = files.clone();
    missing.remove("proofs.json");
    forged.push(("a file taken out", missing.into_iter().collect()));
    let path = folder.path().join("forged.tar");
    let check = |name: &str, bytes: &[u8], key: &[&str]| {
        std::fs::write(&path, bytes).unwrap();
        let (code, said) = verify(&[&[text(&path)], key].concat());
        assert_eq!(code, Some(1), "{name}: {said}");
        if let Some((code, said)) = python(&[key, &[text(&path)]].concat()) {
            assert_eq!(code, 1, "{name}: {said}");
            assert!(said.contains("damage: "), "{name}: {said}");
        }
    };
    for (name, files) in &forged {
        check(name, &archive::write(files).unwrap(), &[]);
    }
    let whole = std::fs::read(&file).unwrap();
    check("cut off", &whole[..whole.len() / 2], &[]);
    check("no archive", b"nothing of the kind", &[]);
    // Made by somebody else, and whole in itself: only the key tells.
    let foreign = heads::open(other.path()).unwrap();
    let foreign = foreign.verifier("nhatle/0123456789abcdef", nhatle_storage::proof::KeyKind::Note).text();
    check("signed with another key than the one known", &whole, &["--key", &foreign]);
}

/// Checks a package in a folder that holds nothing but it and a program, without an environment: once with the binary, once
/// with the program that stands in the package.
fn alone(package: &Path, checker: &[u8], key: &str) {
    let said = |folder: &Path, program: &Path, arguments: &[&str]| {
        std::fs::copy(package, folder.join("incident.tar")).unwrap();
        let mut command = Command::new(program);
        let output = command.env_clear().current_dir(folder).args(arguments).output().unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        String::from_utf8_lossy(&said).into_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nhatle");
    if std::fs::hard_link(NHATLE, &program).is_err() {
        std::fs::copy(NHATLE, &program).unwrap();
    }
    let heard = said(folder.path(), &program, &["verify", "incident.tar", "--key", key]);
    assert!(heard.contains("nothing altered"), "{heard}");
    let found = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let python = found.unwrap_or_default().into_iter().map(|folder| folder.join("python3")).find(|file| file.is_file());
    let Some(python) = python else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("check.py"), checker).unwrap();
    let heard = said(folder.path(), &python, &["-I", "-B", "check.py", "--key", key, "incident.tar"]);
    assert!(heard.contains("all of it holds"), "{heard}");
}

#[test]
fn a_running_server_signs_for_whoever_asks_and_packages_of_all_kinds_hold() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    store(&data);
    let server = Server::start(&data, &[]);
    let rows = stdout(&["search", "--data", text(&data), "event.kind:signal", "--limit", "1"]);
    let alert: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    let id = alert["nhatle.alert.id"].as_str().unwrap().to_owned();
    let event = alert["event.id"].as_str().or(alert["nhatle.id"].as_str()).unwrap_or_default().to_owned();
    token(&data, "later", "ingest", None);
    let mut subjects: Vec<Vec<&str>> = vec![vec!["--alert", &id], vec!["--query", "sshd"], vec!["--incident", "1"]];
    if !event.is_empty() {
        subjects.push(vec!["--event", &event]);
    }
    for (n, subject) in subjects.iter().enumerate() {
        let file: PathBuf = folder.path().join(format!("{n}.tar"));
        stdout(&[&["evidence", "--data", text(&data), "-o", text(&file)], &subject[..]].concat());
        let (code, said) = verify(&[text(&file)]);
        assert_eq!(code, Some(0), "{subject:?}: {said}");
        if let Some((code, said)) = python(&[text(&file)]) {
            assert_eq!(code, 0, "{subject:?}: {said}");
        }
    }
    server.stop();
    let (code, said) = verify(&["--data", text(&data), "--deep"]);
    assert_eq!(code, Some(0), "{said}");
}

/// The files of a package with the list of their sums made and signed anew.
pub fn signed_anew(mut files: BTreeMap<String, Vec<u8>>, key: &SigningKey) -> Vec<(String, Vec<u8>)> {
    files.remove("sums.txt");
    let head = String::from_utf8(files["head.txt"].clone()).unwrap();
    let mut sums = "nhatle evidence 1\n".to_owned();
    for (name, bytes) in &files {
        writeln!(sums, "{}  {name}", hex(&Sha256::digest(bytes))).unwrap();
    }
    let note = Note { signatures: vec![key.sign(head.lines().next().unwrap(), &sums)], text: sums };
    files.insert("sums.txt".to_owned(), note.to_text().into_bytes());
    files.into_iter().collect()
}

/// A report, with and without a server that has the folder.
#[test]
fn a_report_that_left_the_house_is_proved_and_an_altered_one_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (data, report) = (folder.path().join("data"), folder.path().join("báo cáo 11.pdf"));
    store(&data);
    std::fs::write(&report, b"thang 11: 7 su co\0\xff").unwrap();
    let make = |name: &str| {
        let file = folder.path().join(name);
        stdout(&["evidence", "--data", text(&data), "--document", text(&report), "-o", text(&file)]);
        file
    };
    let (first, again) = (make("first.tar"), make("again.tar"));
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&again).unwrap(), "written down once");
    let server = Server::start_without_sentinel(&data, &[]);
    std::fs::write(&report, b"thang 12: 0 su co").unwrap();
    let second = make("second.tar");
    server.stop();
    for (file, bytes) in [(&first, &b"thang 11: 7 su co\0\xff"[..]), (&second, b"thang 12: 0 su co")] {
        let mut files = archive::read(&std::fs::read(file).unwrap()[..]).unwrap();
        assert_eq!(files["document"], bytes);
        let both = |is_sound: bool| {
            let (code, said) = verify(&[text(file)]);
            assert_eq!(code, Some(i32::from(!is_sound)), "{said}");
            assert!(said.contains(if is_sound { "document: \"báo cáo 11.pdf\"" } else { "not" }), "{said}");
            if let Some((code, said)) = python(&[text(file)]) {
                assert_eq!(code, i32::from(!is_sound), "{said}");
            }
        };
        both(true);
        // Signed anew by who has the key: the log still does not know it.
        let key = heads::open(&data).unwrap();
        files.insert("document".to_owned(), b"thang 11: 0 su co".to_vec());
        std::fs::write(file, archive::write(&signed_anew(files, &key)).unwrap()).unwrap();
        both(false);
    }
    let (code, said) = verify(&["--data", text(&data)]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_cannot_be_asked_for_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    store(&data);
    let out = folder.path().join("out.tar");
    for subject in [
        &["--incident", "99"][..],
        &["--alert", "no such"],
        &["--query", "a:("],
        &[],
        &["--incident", "1", "--query", "a"],
        &["--document", "no such file"],
    ] {
        let output = run(&[&["evidence", "--data", text(&data), "-o", text(&out)], subject].concat());
        assert_eq!(output.status.code(), Some(2), "{subject:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!out.exists());
    }
    assert_eq!(verify(&["--data", text(&data), "--key", "no key"]).0, Some(2));
    assert_eq!(verify(&[text(&folder.path().join("nowhere.tar"))]).0, Some(2));
}

#[test]
fn a_new_key_is_vouched_for_by_the_old_one_and_a_lost_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    store(&data);
    let public = || std::fs::read_to_string(data.join("pki/proof.pub")).unwrap().trim_end().to_owned();
    let found = |key: &[&str]| {
        let (code, said) = verify(&[&["--data", text(&data)], key].concat());
        if let Some((python, heard)) = python(&[key, &["--store", text(&data)]].concat()) {
            assert_eq!(Some(python), code, "{said}\n{heard}");
        }
        (code, said)
    };
    let first = public();
    let second = stdout(&["proof", "new-key", "--data", text(&data)]).trim_end().to_owned();
    assert_eq!(public(), second);
    assert_ne!(first, second);
    assert_eq!(first.split('+').next(), second.split('+').next(), "the log keeps its name");
    assert!(!data.join("pki/proof.next.key").exists());
    for key in [&[][..], &["--key", &first], &["--key", &second]] {
        let (code, said) = found(key);
        assert_eq!(code, Some(0), "{key:?}: {said}");
    }
    // Packages are signed with the new one from now on, and nothing is named twice by another start.
    let file = folder.path().join("incident.tar");
    package(&data, &file);
    assert_eq!(verify(&[text(&file), "--key", &second]).0, Some(0));
    assert_eq!(verify(&[text(&file), "--key", &first]).0, Some(1));
    let names_of_keys = || {
        let text = std::fs::read_to_string(data.join("proof/log.jsonl")).unwrap();
        text.lines().filter(|line| line.contains("\"kind\":\"key\"")).count()
    };
    assert_eq!(names_of_keys(), 2);
    let server = Server::start_without_sentinel(&data, &[]);
    let output = run(&["proof", "new-key", "--data", text(&data)]);
    assert_eq!(output.status.code(), Some(2), "a running server has the store");
    server.stop();
    assert_eq!((names_of_keys(), found(&["--key", &first]).0), (2, Some(0)));

    // The key is lost: another one is made, and nobody vouches for it.
    std::fs::remove_file(data.join("pki/proof.key")).unwrap();
    Server::start_without_sentinel(&data, &[]).stop();
    let third = public();
    for (key, code) in [(&[][..], 1), (&["--key", &first][..], 1), (&["--key", &second], 1), (&["--key", &third], 0)] {
        let (found, said) = found(key);
        assert_eq!(found, Some(code), "{key:?}: {said}");
        assert!(code == 0 || said.contains("lost or replaced"), "{said}");
    }
}
