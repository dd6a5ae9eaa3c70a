//! `nhatle detect` as a hunting tool: the same findings whatever the threads, the order of files and the form
//! of the output, and the expected ones over a corpus of attacks.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{corpus, run, stdout};

const RULES: &str = "title: Failed\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01\nname: failed\nlevel: medium\nlogsource:\n  product: windows\n  \
    service: security\ndetection:\n  selection:\n    EventID: 4625\n  condition: selection\n---\ntitle: Many failed\nid: \
    6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [TargetUserName]\n  \
    timespan: 5m\n  condition: {gte: 3}\n  generate: true\n";

/// Files whose names are not in the order of what happened, one of them no log at all.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    for (name, second) in [("a", 40), ("b", 10), ("c", 30), ("d", 20)] {
        let event = |code: i64| {
            json!({"@timestamp": format!("2026-02-03T04:05:{second}Z"), "EventID": code, "Channel": "Security",
                "Computer": "may-01", "TargetUserName": "an", "CommandLine": "</script><b>\u{1b}[2J"})
        };
        let lines: String = [4624, 4625, 4688].map(event).iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(logs.join(format!("{name}.jsonl")), lines).unwrap();
    }
    folder
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn findings_do_not_depend_on_threads() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let run = |threads: &str| stdout(&["detect", "--rules", path(&rules), "--threads", threads, path(&logs)]);
    let one = run("1");
    let lines: Vec<Value> = one.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files: Vec<&str> = lines.iter().filter_map(|line| line["file"].as_str()).collect();
    assert!(files.is_sorted() && files.len() == 4, "in order of files: {one}");
    let fired = &lines[4]["correlation"];
    assert_eq!((lines.len(), &fired["count"], &fired["end"]), (5, &json!(3), &json!("2026-02-03T04:05:30Z")));
    let names: Vec<String> =
        fired["events"].as_array().unwrap().iter().map(|event| event["file"].to_string()).collect();
    assert!(names[0].contains("b.jsonl") && names[1].contains("d.jsonl") && names[2].contains("c.jsonl"), "{names:?}");
    for threads in ["2", "7"] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

#[test]
fn findings_can_be_put_in_order_of_time() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let args = ["detect", "--rules", path(&rules), "--by-time", path(&logs), "--format"];
    let times = |format: &str| -> Vec<String> {
        let text = stdout(&[&args[..], &[format]].concat());
        let time = |line: &str| line.split("2026-02-03T").nth(1).unwrap()[..8].to_owned();
        text.lines().filter(|line| line.contains("2026-02-03T")).map(time).collect()
    };
    for format in ["csv", "table"] {
        assert_eq!(times(format), ["04:05:10", "04:05:20", "04:05:30", "04:05:30", "04:05:40"], "{format}");
    }
    let lines = stdout(&[&args[..], &["jsonl"]].concat());
    let at = |line: &str| serde_json::from_str::<Value>(line).unwrap()["timestamp"].to_string();
    assert!(lines.lines().map(at).is_sorted() && lines.lines().count() == 5, "{lines}");
}

#[test]
fn a_timeline_is_one_page_that_interprets_nothing() {
    let folder = folder();
    let (rules, logs, page) =
        (folder.path().join("rules.yml"), folder.path().join("logs"), folder.path().join("timeline.html"));
    stdout(&["detect", "--rules", path(&rules), "--format", "html", "-o", path(&page), path(&logs)]);
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>") && text.trim_end().ends_with("</html>"));
    assert!(text.contains("may-01") && text.contains("Many failed") && text.contains("Dòng thời gian"));
    assert!(!text.contains("</script>") && !text.contains('\u{1b}') && !text.contains("http://"), "{text}");
}

#[test]
fn a_time_asked_for_holds_for_matches_and_correlations() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let args = ["detect", "--rules", path(&rules), path(&logs), "--by-time", "--format"];
    let run = |format: &str, more: &[&str]| stdout(&[&args[..], &[format], more].concat());
    let from = ["--from", "2026-02-03T04:05:20Z", "--to", "2026-02-03T04:05:40Z"];
    let lines = run("jsonl", &from);
    assert!(lines.lines().count() == 2 && !lines.contains("correlation"), "two of three: {lines}");
    let summary: Value = serde_json::from_str(&run("summary", &from)).unwrap();
    assert_eq!((&summary["events"], &summary["outside"]), (&json!(12), &json!(6)));
    assert_eq!(run("jsonl", &["--to", "2026-02-03"]), "");
    for wrong in [["--from", "yesterday"], ["--zone", "Asia/Hanoi"]] {
        assert_eq!(crate::support::run(&[&args[..], &["jsonl"], &wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
    let turned = ["--from", "2026-02-04", "--to", "2026-02-03"];
    assert_eq!(crate::support::run(&[&args[..], &["jsonl"], &turned].concat()).status.code(), Some(2));
}

#[test]
fn times_are_shown_in_the_zone_asked_for() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let run = |format: &str| {
        stdout(&["detect", "--rules", path(&rules), "--zone", "+07:00", "--format", format, path(&logs)])
    };
    for format in ["csv", "table", "count"] {
        let text = run(format);
        assert!(text.contains("2026-02-03T11:05:10+07:00") && !text.contains("T04:05"), "{format}: {text}");
    }
    assert!(run("jsonl").contains("2026-02-03T04:05:10Z"));
    let page = run("html");
    assert!(page.contains("2026-02-03 11:05:10") && page.contains("+07:00") && !page.contains(" 04:05:"), "{page}");
}

#[test]
fn findings_are_counted_by_rule() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let text = stdout(&["detect", "--rules", path(&rules), "--format", "count", path(&logs)]);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0][..4], ["1", "high", "Many", "failed"], "the most urgent first");
    assert_eq!(lines[1][..5], ["4", "medium", "Failed", "2026-02-03T04:05:10Z", "2026-02-03T04:05:40Z"]);
}

#[test]
fn a_cell_is_never_a_formula() {
    let folder = folder();
    let (rules, log) = (folder.path().join("rules.yml"), folder.path().join("formula.jsonl"));
    let event = json!({"@timestamp": "2026-02-03T04:05:06Z", "EventID": 4625, "Channel": "Security", "Computer": "=cmd|' /C calc'!A0"});
    std::fs::write(&log, format!("{event}\n")).unwrap();
    let text = stdout(&["detect", "--rules", path(&rules), "--format", "csv", path(&log)]);
    assert!(text.contains(",'=cmd|") && text.contains(",Security,4625,"), "{text}");
}

#[test]
fn standard_input_is_a_file() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let folder = folder();
    let (rules, log) = (folder.path().join("rules.yml"), folder.path().join("logs/a.jsonl"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_nhatle"))
        .args(["detect", "--rules", path(&rules), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(log).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["file"], &line["index"], output.status.code()), (&json!("-"), &json!(1), Some(0)));
}

#[test]
fn damage_of_an_event_log_is_named_and_ends_in_one() {
    let folder = folder();
    let rules = folder.path().join("rules.yml");
    let chunk = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/evtx/chunk");
    let output = run(&["detect", "--rules", path(&rules), "--format", "summary", path(&chunk)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("evtx/chunk: file ends inside a chunk") && said.contains("file offset 4096"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    // A line that cannot be parsed is named too, and is no damage.
    let broken = folder.path().join("broken.jsonl");
    std::fs::write(&broken, "{\"a\":1}\n{\"a\":\n").unwrap();
    let output = run(&["detect", "--rules", path(&rules), "--format", "summary", path(&broken)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("broken.jsonl: record 1, byte ") && said.contains("json"), "{said}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_level_leaves_out_what_is_below_it() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let high = stdout(&["detect", "--rules", path(&rules), "--level", "high", path(&logs)]);
    assert!(high.lines().count() == 1 && high.contains("correlation"), "{high}");
    let wrong = run(&["detect", "--rules", path(&rules), "--level", "loud", path(&logs)]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_read() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    // The front of a gzip file, and then nothing.
    std::fs::write(logs.join("broken.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]).unwrap();
    let output = run(&["detect", "--rules", path(&rules), "--format", "summary", path(&logs)]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["events"], &summary["matches"], &summary["files"]), (&json!(12), &json!(5), &json!(5)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("broken.gz"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_output_that_cannot_be_written_is_the_worlds_fault() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let nowhere = folder.path().join("none/here.csv");
    for format in ["csv", "html", "jsonl"] {
        for target in [path(&nowhere), "/dev/full"] {
            let output = run(&["detect", "--rules", path(&rules), "--format", format, "-o", target, path(&logs)]);
            assert_eq!(output.status.code(), Some(3), "{format} to {target}");
            assert!(!output.stderr.is_empty());
        }
    }
}

#[test]
fn attacks_of_the_corpus_are_found_as_expected() {
    let Some(corpus) = corpus() else { return };
    let (rules, folder) = (corpus.join("sigma/rules"), corpus.join("evtx/EVTX-to-MITRE-Attack"));
    let expected = std::fs::read_to_string(corpus.join("sigma/expected/evtx-to-mitre-attack_matches.jsonl")).unwrap();
    let mut wanted: BTreeSet<(String, u64, String)> = BTreeSet::new();
    for line in expected.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        for rule in row["rules"].as_array().into_iter().flatten() {
            let (file, record) = (row["file"].as_str().unwrap(), row["record"].as_u64().unwrap());
            wanted.insert((file.to_owned(), record, rule.as_str().unwrap().to_owned()));
        }
    }
    assert!(!wanted.is_empty());
    let output = run(&["detect", "--rules", path(&rules), path(&folder)]);
    let mut found = BTreeSet::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let file = row["file"].as_str().unwrap().trim_start_matches(path(&folder)).trim_start_matches('/').to_owned();
        found.insert((file, row["index"].as_u64().unwrap(), row["rule"]["id"].as_str().unwrap().to_owned()));
    }
    let missing: Vec<_> = wanted.difference(&found).collect();
    let extra: Vec<_> = found.difference(&wanted).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:?}, extra {extra:?}");
}

/// A ZIP archive of stored entries, written by hand (APPNOTE 4.3).
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (offset, length) = (bytes.len() as u32, content.len() as u32);
        let mut head = Vec::new();
        head.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        head.extend(crc.sum().to_le_bytes());
        head.extend(length.to_le_bytes());
        head.extend(length.to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&head);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend((entries.len() as u16).to_le_bytes());
    bytes.extend((entries.len() as u16).to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn what_is_in_an_archive_is_read_and_a_broken_one_is_named() {
    let folder = folder();
    let (rules, logs) = (folder.path().join("rules.yml"), folder.path().join("logs"));
    let read = |name: &str| std::fs::read(logs.join(name)).unwrap();
    let (a, b, c) = (read("a.jsonl"), read("b.jsonl"), read("c.jsonl"));
    let archive = zip(&[("thu/a.jsonl", &a), ("b.jsonl", &b), ("c.jsonl", &c)]);
    std::fs::write(folder.path().join("bang-chung.zip"), &archive).unwrap();
    let path_of = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let found = stdout(&["detect", "--rules", path(&rules), &path_of("bang-chung.zip")]);
    assert!(found.contains("bang-chung.zip:thu/a.jsonl") && found.contains("\"correlation\""), "{found}");
    assert_eq!(found.lines().count(), 4, "three matches and what they fire together");
    let mut broken = archive.clone();
    // One byte of the first entry's content: its checksum no longer fits.
    let at = broken.windows(4).position(|window| window == b"4625").unwrap();
    broken[at] = b'5';
    std::fs::write(folder.path().join("hong.zip"), &broken).unwrap();
    std::fs::write(folder.path().join("cut.zip"), &archive[..archive.len() / 2]).unwrap();
    for name in ["hong.zip", "cut.zip"] {
        let output = run(&["detect", "--rules", path(&rules), "--format", "summary", &path_of(name)]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(name), "{name}");
    }
}
