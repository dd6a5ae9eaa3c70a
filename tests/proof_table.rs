//! The table of the proof: each way to alter a store × what finds it: the page, `nhatle verify`, and a program that knows
//! nothing of nhatle but `docs/format/proof.md` (`tests/proof/check.py`; its column is not looked at without Python).
//!
//! In: a store with events, alerts, an incident, accounts and unsealed events; each row alters a copy of it. Every cell is
//! asserted, and the table is the one that `docs/proof.md` and `docs/proof.vi.md` print.

use std::path::Path;

use nhatle::pki::heads;
use nhatle_event::Text;
use nhatle_storage::proof::log;
use serde_json::{Value, json};

use crate::proof::{copy, python, store, text, verify};
use crate::proof_alter::*;
use crate::support::{PATIENCE, Server, request, stdout, token, wait_for};

/// Whether a row is found, and by which words.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// Yes; it says these words.
    By(&'static str),
    /// Only beside a head that was kept elsewhere.
    WithHead(&'static str),
    /// The server does not even start, and says these.
    Refused(&'static str),
    /// No.
    No,
}

use Found::{By, No, Refused, WithHead};

impl Found {
    /// The cell, in English and in Vietnamese.
    fn cell(self) -> [&'static str; 2] {
        match self {
            By(_) => ["yes", "có"],
            WithHead(_) => ["with a kept head", "khi có head lưu giữ"],
            Refused(_) => ["the server does not start", "máy chủ không khởi động"],
            No => ["no", "không"],
        }
    }
}

struct Row {
    /// In English and in Vietnamese.
    name: [&'static str; 2],
    alter: fn(&Path),
    page: Found,
    verify: Found,
    python: Found,
}

const fn row(name: [&'static str; 2], alter: fn(&Path), [page, verify, python]: [Found; 3]) -> Row {
    Row { name, alter, page, verify, python }
}

const ROWS: &[Row] = &[
    row(
        ["a byte of a segment's rows", "một byte trong các dòng của một đoạn"],
        |data| flip(data, &segment_file(data, "rows.parquet"), |n| n / 2),
        [By("checksum"), By("checksum"), By("is not the file that was sealed")],
    ),
    row(
        ["a byte of a segment's index", "một byte trong chỉ mục của một đoạn"],
        |data| flip(data, &segment_file(data, "words.index"), |n| n / 3),
        [By("checksum"), By("checksum"), By("is not the file that was sealed")],
    ),
    row(
        ["a byte of the manifest", "một byte trong bản kê"],
        |data| flip(data, &newest_manifest(data), |n| n / 2),
        [Refused("manifest/"), By("checksum"), By("another checksum")],
    ),
    row(
        ["a byte of the log of intake", "một byte trong nhật ký tiếp nhận"],
        |data| flip(data, &intake_log(data), |_| 60),
        [Refused("log/"), By("log/"), By("is not as it was written")],
    ),
    row(
        ["a byte of the register", "một byte trong sổ"],
        flip_in_register,
        [By("register.sqlite"), By("register.sqlite"), By("is not as it was written")],
    ),
    row(
        ["a byte of the log of the proof", "một byte trong nhật ký chứng minh"],
        |data| flip(data, log::LOG, |n| n / 2),
        [By("root"), By("root"), By("proof/heads")],
    ),
    row(
        ["a byte of the hashes of the proof", "một byte trong các mã băm của bằng chứng"],
        |data| flip(data, log::NODES, |n| n / 2),
        [By("not that of the log"), By("not that of the log"), By("not that of the log")],
    ),
    row(
        ["a byte of the root in a head", "một byte của gốc trong một head"],
        |data| flip_in_head(data, 2),
        [By("not signed by the key"), By("not signed by the key"), By("no key of the log signed")],
    ),
    row(
        ["a byte of the signature of a head", "một byte trong chữ ký của một head"],
        |data| flip_in_head(data, 6),
        [By("not signed by the key"), By("not signed by the key"), By("no key of the log signed")],
    ),
    row(
        ["a row taken out of a segment, all checksums right", "bỏ một dòng khỏi một đoạn, mọi tổng kiểm đều đúng"],
        |data| forge(data, |events| drop(events.remove(3))),
        [By("not what leaf"), By("not what leaf"), By("not what the log says")],
    ),
    row(
        ["a row added to a segment, all checksums right", "thêm một dòng vào một đoạn, mọi tổng kiểm đều đúng"],
        |data| {
            forge(data, |events| {
                let mut more = events[0].clone();
                more.seq.0 += 100_000;
                events.push(more);
            });
        },
        [By("not what leaf"), By("not what leaf"), By("not what the log says")],
    ),
    row(
        ["two rows exchanged, all checksums right", "đổi chỗ hai dòng, mọi tổng kiểm đều đúng"],
        |data| {
            forge(data, |events| {
                let seq = events[3].seq;
                events[3].seq = events[4].seq;
                events[4].seq = seq;
            });
        },
        [By("not what leaf"), By("not what leaf"), By("not what the log says")],
    ),
    row(
        [
            "an event edited, its hash and the segment's root made again",
            "sửa một sự kiện, tính lại mã băm của nó và gốc của đoạn",
        ],
        |data| forge(data, |events| events[0].event.set_named("source.ip", Text::from("198.51.100.7"))),
        [By("not what leaf"), By("not what leaf"), By("not what the log says")],
    ),
    row(
        [
            "the same, with the line of the log of the proof made again",
            "như trên, viết lại cả dòng trong nhật ký chứng minh",
        ],
        |data| forge_and_log(data, |events| events[0].event.set_named("source.ip", Text::from("198.51.100.7"))),
        [By("root"), By("root"), By("written anew")],
    ),
    row(
        ["two segments swapped", "tráo hai đoạn"],
        swap_segments,
        [By("not what leaf"), By("not what leaf"), By("not what the log says")],
    ),
    row(
        ["a segment dropped, with its entry in the manifest", "bỏ một đoạn, kèm dòng của nó trong bản kê"],
        drop_segment,
        [By("was never dropped"), By("was never dropped"), By("was never dropped")],
    ),
    row(
        ["a root altered in the manifest", "sửa một gốc trong bản kê"],
        |data| edit_manifest(data, |manifest| manifest.segments[0].events_root = "00".repeat(32)),
        [By("not what leaf"), By("not what leaf"), By("not what the log says")],
    ),
    row(
        ["a row of the register edited, its chain made again", "sửa một dòng sổ, tính lại chuỗi băm"],
        |data| edit_register(data, |rows| rows[0].change.actor = "somebody else".to_owned()),
        [By("written anew"), By("written anew"), By("written anew")],
    ),
    row(
        ["the register's last rows taken out", "bỏ các dòng cuối của sổ"],
        |data| edit_register(data, |rows| rows.truncate(2)),
        [By("older state"), By("older state"), By("older state")],
    ),
    row(
        ["the log of the proof cut off", "cắt cụt nhật ký chứng minh"],
        |data| cut_lines(data, log::LOG, 2),
        [By("longer log"), By("longer log"), By("older state")],
    ),
    row(
        ["log and heads cut off together", "cắt cụt cả nhật ký chứng minh lẫn head"],
        cut_log_and_heads,
        [WithHead("proof/log.jsonl"), WithHead("older state"), WithHead("older state")],
    ),
    row(
        ["all heads taken out", "bỏ hết head"],
        |data| std::fs::remove_file(data.join(log::HEADS)).unwrap(),
        [By("taken out"), By("taken out"), By("taken out")],
    ),
    row(
        ["a forged head added", "thêm một head giả"],
        forge_head,
        [By("not signed by the key"), By("not signed by the key"), By("no key of the log signed")],
    ),
    row(
        ["the key replaced", "thay khóa ký"],
        replace_key,
        [By("lost or replaced"), By("replaced"), By("is no key of the log")],
    ),
    row(
        ["log and heads made again with another key", "viết lại nhật ký chứng minh và head bằng khóa khác"],
        |data| {
            write_log_anew(data, &another_key(), |line| line.replace("\"rows\":4", "\"rows\":5"));
        },
        [By("not signed by the key"), By("not signed by the key"), By("no key of the log signed")],
    ),
    row(
        [
            "log and heads made again with the store's own key",
            "viết lại nhật ký chứng minh và head bằng chính khóa của kho",
        ],
        |data| {
            let key = heads::open(data).unwrap();
            write_log_anew(data, &key, |line| line.replace("\"at_ns\":1", "\"at_ns\":2"));
        },
        [WithHead("written anew"), WithHead("written anew"), WithHead("written anew")],
    ),
    row(
        ["the whole store put back to yesterday's copy", "đưa cả kho về bản chép hôm qua"],
        put_back,
        [WithHead("proof/log.jsonl"), WithHead("older state"), WithHead("older state")],
    ),
    row(
        [
            "the last batch cut off the log of intake, before it was sealed",
            "cắt lô cuối khỏi nhật ký tiếp nhận, trước khi được niêm phong",
        ],
        |data| {
            let path = data.join(intake_log(data));
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
        [No, No, No],
    ),
];

/// What is wrong with one cell. `ask` checks with a kept head or without, and gives whether something was found and all
/// that was said.
fn wrong(cell: Found, mut ask: impl FnMut(bool) -> (bool, String)) -> Option<String> {
    let (is_found, said) = ask(false);
    let says = |said: &str, words: &str| said.lines().any(|line| line.contains(words));
    let without = match cell {
        By(words) | Refused(words) if !is_found || !says(&said, words) => Some(format!("no {words:?}: {said}")),
        WithHead(_) | No if is_found => Some(format!("found without a head: {said}")),
        _ => None,
    };
    let (By(_) | Refused(_), None) = (cell, &without) else {
        if without.is_some() {
            return without;
        }
        let (is_found, said) = ask(true);
        return match cell {
            WithHead(words) if !is_found || !says(&said, words) => Some(format!("no {words:?} with a head: {said}")),
            No if is_found => Some(format!("found with a head: {said}")),
            _ => None,
        };
    };
    None
}

/// What the page of a running server says after a check.
fn page(server: &Server, bearer: &str, heads: &str) -> (bool, String) {
    let headers = [("Authorization", bearer), ("Content-Type", "application/json")];
    let body = json!({ "heads": heads }).to_string();
    let begun = request(server.http, "POST", "/api/v1/proof/check", &headers, body.as_bytes()).unwrap();
    assert_eq!(begun.status, 202, "{begun:?}");
    let mut view = Value::Null;
    wait_for("the check", PATIENCE, || {
        view = request(server.http, "GET", "/api/v1/proof", &headers, b"").unwrap().json();
        view["check"]["done"].is_string()
    });
    let check = &view["check"];
    assert!(check["error"].is_null(), "{check}");
    let found = check["found"].as_array().unwrap();
    let lines: Vec<String> = found.iter().map(|one| format!("{}: {}", one["file"], one["what"])).collect();
    (check["found_count"] != 0, lines.join("\n"))
}

#[test]
fn every_cell_of_the_table_is_as_the_manual_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    let bearer = format!("Bearer {}", token(&base, "checker", "auditor", None));
    store(&base);
    copy(&base, &folder.path().join("yesterday"));
    let more = folder.path().join("more.txt");
    std::fs::write(&more, "Feb  3 05:00:00 cong-01 sshd[7]: Connection closed by 203.0.113.9 port 7\n").unwrap();
    stdout(&["import", "--data", text(&base), text(&more)]);
    stdout(&["evidence", "--data", text(&base), "--query", "sshd", "-o", text(&folder.path().join("more.tar"))]);
    // Some events stay in the log of intake.
    let pusher = format!("Bearer {}", token(&base, "pusher", "ingest", None));
    let server = Server::start_without_sentinel(&base, &[]);
    for n in 0..3 {
        let body = format!("{{\"@timestamp\":\"2026-02-03T05:00:0{n}Z\",\"message\":\"pushed {n}\"}}\n");
        let answer = request(server.http, "POST", "/api/v1/events", &[("Authorization", &pusher)], body.as_bytes());
        assert_eq!(answer.unwrap().status, 200);
    }
    server.kill();
    // Somebody else got the newest head.
    let kept = folder.path().join("kept-head.txt");
    let head = log::newest(&*disk(&base)).unwrap().unwrap().to_text();
    std::fs::write(&kept, &head).unwrap();
    let whole = verify(&["--data", text(&base), "--head", text(&kept), "--deep"]);
    assert_eq!(whole.0, Some(0), "{}", whole.1);
    let has_python = match python(&["--head", text(&kept), "--store", text(&base)]) {
        Some((code, said)) => {
            assert_eq!(code, 0, "{said}");
            true
        }
        None => false,
    };
    let (mut tables, mut problems) = ([String::new(), String::new()], Vec::new());
    let only = std::env::var("NHATLE_PROOF_ROW").ok();
    for row in ROWS.iter().filter(|row| only.as_ref().is_none_or(|only| row.name[0].contains(only))) {
        let data = folder.path().join("altered");
        drop(std::fs::remove_dir_all(&data));
        copy(&base, &data);
        (row.alter)(&data);
        let arguments = |has_head: bool| if has_head { vec!["--head", text(&kept)] } else { Vec::new() };
        let by_verify = wrong(row.verify, |has_head| {
            let (code, said) = verify(&[&["--data", text(&data)], &arguments(has_head)[..]].concat());
            assert!(matches!(code, Some(0 | 1)), "{}: {said}", row.name[0]);
            (code == Some(1), said)
        });
        let by_python = has_python.then(|| {
            wrong(row.python, |has_head| {
                let (code, said) = python(&[&arguments(has_head)[..], &["--store", text(&data)]].concat()).unwrap();
                assert_eq!(code == 1, said.contains("damage: "), "{}: {said}", row.name[0]);
                (code == 1, said)
            })
        });
        let by_page = match Server::try_start(&data, &["--config", text(&folder.path().join("base.toml"))]) {
            Err(said) if matches!(row.page, Refused(_)) => wrong(row.page, |_| (true, said.clone())),
            Err(said) => Some(format!("the server does not start: {said}")),
            Ok(_) if matches!(row.page, Refused(_)) => Some("the server starts".to_owned()),
            Ok(server) => {
                let found = wrong(row.page, |has_head| page(&server, &bearer, if has_head { &head } else { "" }));
                server.kill();
                found
            }
        };
        for (who, what) in [("verify", by_verify), ("Python", by_python.flatten()), ("the page", by_page)] {
            problems.extend(what.map(|what| format!("{}: {who}: {what}", row.name[0])));
        }
        for (table, language) in tables.iter_mut().zip(0..) {
            let cells = [row.name, row.page.cell(), row.verify.cell(), row.python.cell()].map(|cell| cell[language]);
            table.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    for (table, manual) in tables.iter().zip(["docs/proof.md", "docs/proof.vi.md"]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(manual);
        let printed = std::fs::read_to_string(path).unwrap();
        assert!(printed.contains(table.as_str()), "{manual} prints another table than this one:\n{table}");
    }
}
