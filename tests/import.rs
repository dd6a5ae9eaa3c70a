//! `nhatle import` of the real logs: stored and dead-lettered together are the records of the files.
//!
//! In: the EVTX files and loghub of the corpus (skipped without it). The records are counted by another way
//! than the import does: lines that are not blank, and the records that the EVTX reader hands out.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use nhatle_collector::parse::evtx::EvtxReader;
use nhatle_event::{Record, Text, Timestamp};
use serde_json::Value;

use crate::support::{corpus, stdout};

fn files_named(folder: &Path, end: &str, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_named(&path, end, files);
        } else if path.to_str().is_some_and(|name| name.ends_with(end)) {
            files.push(path);
        }
    }
}

fn evtx_records(path: &Path) -> usize {
    let template = Record {
        bytes: Vec::new().into(),
        received: Timestamp(0),
        peer: None,
        input: Text::from("test"),
        profile: None,
        unit: None,
        is_truncated: false,
        id: None,
        source: None,
        canary: None,
    };
    EvtxReader::new(BufReader::new(File::open(path).unwrap()), &template).count()
}

fn lines(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count()
}

fn check(folder: &str, end: &str, count: fn(&Path) -> usize, words: &[&str]) {
    let Some(corpus) = corpus() else { return };
    let mut files = Vec::new();
    files_named(&corpus.join(folder), end, &mut files);
    assert!(!files.is_empty(), "{folder}: no files");
    let expected: usize = files.iter().map(|path| count(path)).sum();
    let store = tempfile::tempdir().unwrap();
    let data = store.path().to_str().unwrap();
    let mut args = vec!["import", "--data", data];
    args.extend(files.iter().map(|path| path.to_str().unwrap()));
    let said: Value = serde_json::from_str(&stdout(&args)).unwrap();
    println!("{folder}: {} files, {expected} records: {said}", files.len());
    let number = |key: &str| usize::try_from(said[key].as_u64().unwrap()).unwrap();
    assert_eq!(number("stored") + number("dead_lettered") + number("duplicate"), expected, "{folder}: {said}");
    assert_eq!(number("duplicate"), 0, "{folder}: {said}");
    assert_eq!(number("files"), files.len());
    let found =
        |query: &str| -> usize { stdout(&["search", query, "--count", "--data", data]).trim().parse().unwrap() };
    assert_eq!(found("*"), expected + number("alerts"), "{folder}: {said}");
    for word in words {
        assert!(0 < found(word), "{folder}: nothing found for {word}");
    }
    assert!(stdout(&["verify", "--data", data]).contains("nothing altered"));
}

#[test]
fn every_record_of_the_windows_files_is_stored_or_dead_lettered() {
    check("evtx", ".evtx", evtx_records, &["event.module:windows", "event.code:4624"]);
}

#[test]
fn every_line_of_loghub_is_stored_or_dead_lettered() {
    check("loghub", "_2k.log", lines, &["event.dataset:linux.auth", "sshd"]);
}

/// A server waits for room; whoever imports is told.
#[test]
fn an_import_onto_a_full_disk_ends_and_says_how_much_is_stored() {
    let Some(disk) = crate::overload::SmallDisk::mount(24) else { return };
    let lines: String = (0..200_000)
        .map(|n| format!("<13>Nov 23 02:10:00 web-{} app: line {n} {}\n", n % 50, "day ".repeat(40)))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let data = disk.path().join("data");
    let (data, file) = (data.to_str().unwrap(), file.path().to_str().unwrap());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_nhatle"))
        .args(["import", "--data", data, file])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    let stored = said
        .split_once(" records are stored")
        .map(|(front, _)| front.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    assert!(said.contains("no space left for") && stored.is_some_and(|stored| 10_000 < stored), "{said}");
    let rows = stdout(&["sql", "--data", data, "SELECT count(*) AS n FROM events"]);
    let counted: Value = serde_json::from_str(rows.trim()).unwrap();
    assert!(stored <= counted["n"].as_u64(), "{said} {counted}");
}
