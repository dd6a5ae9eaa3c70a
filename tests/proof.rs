//! The proof from outside: what is altered in a store or a package is found by `nhatle verify` and by a program that
//! knows nothing of nhatle but `docs/format/proof.md` (`tests/proof/check.py`, skipped where there is no Python).
//!
//! In: one store with events, alerts, an incident and accounts. Each row of the table alters a copy of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nhatle::evidence::archive;
use nhatle::pki::heads;
use nhatle_event::{Clock, Stored, SystemClock, Text};
use nhatle_storage::manifest::Manifest;
use nhatle_storage::proof::{Head, SignedHead, log, tree};
use nhatle_storage::register::{Register, hash_of};
use nhatle_storage::segment::meta::{Tier, WriteOptions};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Store};

use crate::support::{Server, run, stdout, token};

const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proof/check.py");

/// What `check.py` says: its exit code and its lines; `None` where there is no Python.
fn python(arguments: &[&str]) -> Option<(i32, String)> {
    let output = Command::new("python3").arg("-B").arg(CHECK).args(arguments).output();
    let Ok(output) = output else {
        eprintln!("skipped: no python3");
        return None;
    };
    let said = [&output.stdout[..], &output.stderr].concat();
    Some((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
}

fn verify(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(&[&["verify"], arguments].concat());
    let said = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A store with two seals, alerts, an incident and three tokens.
fn store(data: &Path) {
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

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &place);
        } else {
            std::fs::copy(path, place).unwrap();
        }
    }
}

fn disk(data: &Path) -> Arc<dyn Disk> {
    Arc::new(OsDisk::existing(data).unwrap())
}

fn flip(data: &Path, name: &str, at: impl FnOnce(usize) -> usize) {
    let path = data.join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn segment_file(data: &Path, name: &str) -> String {
    let manifest = Manifest::newest(&*disk(data)).unwrap();
    manifest.segments.iter().find(|meta| meta.dataset == Dataset::Events).unwrap().path(name)
}

/// Puts a well-formed segment with other events in the place of the first one, with right checksums in the manifest.
fn forge(data: &Path, alter: impl FnOnce(&mut Vec<Stored>)) {
    let disk = disk(data);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open_read_only(disk.clone(), Config::default(), clock).unwrap();
    let mut events = store.snapshot().segments(Dataset::Events).next().unwrap().events().unwrap();
    alter(&mut events);
    let mut manifest = Manifest::newest(&*disk).unwrap();
    let meta = manifest.segments.iter_mut().find(|meta| meta.dataset == Dataset::Events).unwrap();
    let leaf = meta.leaf;
    *meta = nhatle_storage::segment::write(
        &*disk,
        &meta.dir,
        &events,
        &WriteOptions { dataset: Dataset::Events, tier: Tier::Recent },
    )
    .unwrap();
    meta.leaf = leaf;
    manifest.publish(&*disk).unwrap();
}

fn edit_manifest(data: &Path, alter: impl FnOnce(&mut Manifest)) {
    let mut manifest = Manifest::newest(&*disk(data)).unwrap();
    alter(&mut manifest);
    manifest.publish(&*disk(data)).unwrap();
}

/// Runs SQL on the register's file, with every row's hash made anew from `from` on where that is wanted.
fn edit_register(data: &Path, alter: impl FnOnce(&mut Vec<nhatle_storage::register::Entry>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut rows = runtime.block_on(async {
        let register = Register::open(data).await.unwrap();
        let rows = register.read_after(0, 10_000).await.unwrap();
        register.close().await;
        rows
    });
    alter(&mut rows);
    let mut before = nhatle_storage::register::GENESIS.to_owned();
    for row in &mut rows {
        row.prev_hash.clone_from(&before);
        row.hash = hash_of(row);
        before.clone_from(&row.hash);
    }
    for name in ["register.sqlite", "register.sqlite-wal", "register.sqlite-shm"] {
        drop(std::fs::remove_file(data.join(name)));
    }
    runtime.block_on(async {
        let register = Register::open(data).await.unwrap();
        for (after, row) in (0i64..).zip(&rows) {
            register.append(after, std::slice::from_ref(&row.change)).await.unwrap();
        }
        register.close().await;
    });
}

/// Writes log, hashes and heads anew with other lines, signed with the store's own key.
fn write_log_anew(data: &Path, key: &nhatle_storage::proof::SigningKey, alter: impl Fn(&str) -> String) {
    let lines: Vec<String> = std::fs::read_to_string(data.join(log::LOG)).unwrap().lines().map(alter).collect();
    let leaves = tree::Tree::of(lines.iter().map(|line| tree::leaf_hash(line.as_bytes())).collect());
    let old = log::newest(&*disk(data)).unwrap().unwrap().head;
    let head = Head { origin: old.origin, size: leaves.len(), root: leaves.root(), at: old.at, writer: old.writer };
    std::fs::write(data.join(log::LOG), lines.join("\n") + "\n").unwrap();
    std::fs::write(data.join(log::HEADS), SignedHead::sign(head, key).to_text() + "\n").unwrap();
    // The hashes are made again from the log by whoever opens the store.
    std::fs::write(data.join(log::NODES), b"").unwrap();
    drop(log::ProofLog::open(&*disk(data)).unwrap());
}

/// What finds it: `nhatle verify`, and the Python program.
struct Row {
    name: &'static str,
    alter: fn(&Path),
    /// The file that `verify` names, and words of what it says.
    verify: (&'static str, &'static str),
    /// What the Python program says; `None` where the page says that it does not look there.
    python: Option<&'static str>,
    /// Only found with a head that was kept elsewhere.
    needs_head: bool,
}

const ROWS: &[Row] = &[
    Row {
        name: "a byte of the rows of a segment",
        alter: |data| flip(data, &segment_file(data, "rows.parquet"), |n| n / 2),
        verify: ("rows.parquet", "checksum"),
        python: Some("is not the file that was sealed"),
        needs_head: false,
    },
    Row {
        name: "a byte of the index of a segment",
        alter: |data| flip(data, &segment_file(data, "words.index"), |n| n / 3),
        verify: ("words.index", "checksum"),
        python: Some("is not the file that was sealed"),
        needs_head: false,
    },
    Row {
        name: "a byte of the manifest",
        alter: |data| flip(data, &newest_manifest(data), |n| n / 2),
        verify: ("manifest/", "checksum"),
        python: None,
        needs_head: false,
    },
    Row {
        name: "a byte of the log of the proof",
        alter: |data| flip(data, log::LOG, |n| n / 2),
        verify: ("proof/", "root"),
        python: Some("proof/heads"),
        needs_head: false,
    },
    Row {
        name: "a byte of the hashes of the proof",
        alter: |data| flip(data, log::NODES, |n| n / 2),
        verify: ("proof/nodes", "not that of the log"),
        python: None,
        needs_head: false,
    },
    Row {
        name: "a byte of the root in a head",
        alter: |data| flip_in_head(data, 2),
        verify: ("proof/heads", "not signed by the key"),
        python: Some("no key of the log signed"),
        needs_head: false,
    },
    Row {
        name: "a byte of the signature of a head",
        alter: |data| flip_in_head(data, 6),
        verify: ("proof/heads", "not signed by the key"),
        python: Some("no key of the log signed"),
        needs_head: false,
    },
    Row {
        name: "a row taken out of a segment that is else well formed",
        alter: |data| forge(data, |events| drop(events.remove(3))),
        verify: ("manifest/", "not what leaf"),
        python: Some("not what the log says"),
        needs_head: false,
    },
    Row {
        name: "two rows exchanged",
        alter: |data| {
            forge(data, |events| {
                let seq = events[3].seq;
                events[3].seq = events[4].seq;
                events[4].seq = seq;
            })
        },
        verify: ("manifest/", "not what leaf"),
        python: Some("not what the log says"),
        needs_head: false,
    },
    Row {
        name: "a segment replaced by a forged one with right checksums",
        alter: |data| forge(data, |events| events[0].event.set_named("source.ip", Text::from("198.51.100.7"))),
        verify: ("manifest/", "not what leaf"),
        python: Some("not what the log says"),
        needs_head: false,
    },
    Row {
        name: "a row added to a segment",
        alter: |data| {
            forge(data, |events| {
                let mut more = events[0].clone();
                more.seq.0 += 100_000;
                events.push(more);
            })
        },
        verify: ("manifest/", "not what leaf"),
        python: Some("not what the log says"),
        needs_head: false,
    },
    Row {
        name: "a segment taken out of the manifest, with a right checksum",
        alter: |data| edit_manifest(data, |manifest| drop(manifest.segments.remove(0))),
        verify: ("manifest/", "was never dropped"),
        python: Some("was never dropped"),
        needs_head: false,
    },
    Row {
        name: "a forged segment's root and files in the manifest only",
        alter: |data| edit_manifest(data, |manifest| manifest.segments[0].events_root = "00".repeat(32)),
        verify: ("manifest/", "not what leaf"),
        python: Some("not what the log says"),
        needs_head: false,
    },
    Row {
        name: "a register row edited, its chain made again",
        alter: |data| edit_register(data, |rows| rows[0].change.actor = "somebody else".to_owned()),
        verify: ("register.sqlite", "a row was written anew"),
        python: Some("a row was written anew"),
        needs_head: false,
    },
    Row {
        name: "the register's last row taken out",
        alter: |data| edit_register(data, |rows| drop(rows.pop())),
        verify: ("register.sqlite", "put back to an older state"),
        python: Some("put back to an older state"),
        needs_head: false,
    },
    Row {
        name: "log and hashes written anew, signed with another key",
        alter: |data| {
            let other = tempfile::tempdir().unwrap();
            write_log_anew(data, &heads::open_or_make(other.path()).unwrap(), |line| {
                line.replace("203.0.113", "198.51.100").replace("\"rows\":4", "\"rows\":5")
            });
        },
        verify: ("proof/heads", "not signed by the key"),
        python: Some("no key of the log signed"),
        needs_head: false,
    },
    Row {
        name: "everything written anew by somebody who has the key",
        alter: |data| {
            let key = heads::open(data).unwrap();
            write_log_anew(data, &key, |line| line.replace("\"at_ns\":1", "\"at_ns\":2"));
        },
        verify: ("proof/log.jsonl", "written anew"),
        python: Some("was written anew"),
        needs_head: true,
    },
    Row {
        name: "the whole store put back to yesterday's copy",
        alter: put_back,
        verify: ("proof/log.jsonl", "put back to an older state"),
        python: Some("put back to an older state"),
        needs_head: true,
    },
];

fn newest_manifest(data: &Path) -> String {
    nhatle_storage::manifest::path(Manifest::newest(&*disk(data)).unwrap().number)
}

/// Alters a character in the middle of this line of the newest head.
fn flip_in_head(data: &Path, line: usize) {
    let whole = std::fs::read_to_string(data.join(log::HEADS)).unwrap();
    let begin = whole.rfind("nhatle/").and_then(|at| whole[..at].rfind("\n\n")).map_or(0, |at| at + 2);
    let begin = whole[..begin].rfind("nhatle/").filter(|_| whole[begin..].starts_with('\u{2014}')).unwrap_or(begin);
    let place: usize = whole[begin..].split_inclusive('\n').take(line).map(str::len).sum::<usize>() + begin;
    let length = whole[place..].find('\n').unwrap();
    let at = place + length - 20;
    let mut bytes = whole.into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(data.join(log::HEADS), bytes).unwrap();
}

/// Yesterday's copy is kept beside the store by the test.
fn put_back(data: &Path) {
    std::fs::remove_dir_all(data).unwrap();
    copy(&data.parent().unwrap().join("yesterday"), data);
}

#[test]
fn every_row_of_the_table_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    store(&base);
    copy(&base, &folder.path().join("yesterday"));
    let more = folder.path().join("more.txt");
    std::fs::write(&more, "Feb  3 05:00:00 cong-01 sshd[7]: Connection closed by 203.0.113.9 port 7\n").unwrap();
    stdout(&["import", "--data", text(&base), text(&more)]);
    // Somebody else got the newest head.
    let kept = folder.path().join("kept-head.txt");
    std::fs::write(&kept, log::newest(&*disk(&base)).unwrap().unwrap().to_text()).unwrap();
    let key = folder.path().join("key.txt");
    std::fs::copy(base.join("pki/proof.pub"), &key).unwrap();
    let (kept, key) = (text(&kept), text(&key));
    let whole = verify(&["--data", text(&base), "--head", kept, "--key", key, "--deep"]);
    assert_eq!(whole.0, Some(0), "{}", whole.1);
    if let Some((code, said)) = python(&["--key", key, "--head", kept, "--store", text(&base)]) {
        assert_eq!(code, 0, "{said}");
    }
    for row in ROWS {
        let data = folder.path().join("altered");
        drop(std::fs::remove_dir_all(&data));
        copy(&base, &data);
        (row.alter)(&data);
        let head: &[&str] = if row.needs_head { &["--head", kept] } else { &[] };
        let (code, said) = verify(&[&["--data", text(&data)], head].concat());
        assert_eq!(code, Some(1), "{}: {said}", row.name);
        let (file, words) = row.verify;
        let is_named = said.lines().any(|line| line.contains(file) && line.contains(words));
        assert!(is_named, "{}: {said}", row.name);
        if row.needs_head {
            let (code, said) = verify(&["--data", text(&data)]);
            assert_eq!(code, Some(0), "{} is found without a head too: {said}", row.name);
        }
        let Some(words) = row.python else { continue };
        let Some((code, said)) = python(&[head, &["--store", text(&data)]].concat()) else { continue };
        assert_eq!(code, 1, "{}: {said}", row.name);
        assert!(said.lines().any(|line| line.contains(words)), "{}: {said}", row.name);
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
    ] {
        let output = run(&[&["evidence", "--data", text(&data), "-o", text(&out)], subject].concat());
        assert_eq!(output.status.code(), Some(2), "{subject:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!out.exists());
    }
    assert_eq!(verify(&["--data", text(&data), "--key", "no key"]).0, Some(2));
    assert_eq!(verify(&[text(&folder.path().join("nowhere.tar"))]).0, Some(2));
}
