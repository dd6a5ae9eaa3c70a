//! `nhatle rule import` on real folders and archives: the report adds up, decisions outlive updates, a running
//! server notices, strangers' archives write nothing elsewhere.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use nhatle::pack::Packs;
use serde_json::{Value, json};

use crate::support::{NHATLE, PATIENCE, Server, corpus, request, run, stdout, token, wait_for};

fn rule(number: u32, title: &str, code: u32) -> String {
    format!(
        "title: {title}\nid: 7d1b52a0-6d0c-4c8f-8a5e-{number:012}\nauthor: Somebody Else\nlevel: medium\n\
         logsource: {{product: windows, service: security}}\ndetection: {{s: {{EventID: {code}}}, condition: s}}\n"
    )
}

fn id(number: u32) -> String {
    format!("7d1b52a0-6d0c-4c8f-8a5e-{number:012}")
}

fn write_pack(folder: &Path, files: &[(&str, String)]) {
    drop(std::fs::remove_dir_all(folder));
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// The lines of a report as JSON, the summary last; with the exit code.
fn import(source: &Path, data: &Path, more: &[&str]) -> (Vec<Value>, Value, Option<i32>) {
    let mut args = vec!["rule", "import", source.to_str().unwrap(), "--data", data.to_str().unwrap(), "--json"];
    args.extend(more);
    let output = run(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let number = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(number("loaded") + number("refused") + number("retired"), number("documents"), "{summary}");
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count() as u64;
    assert_eq!((of("error"), of("retired")), (number("refused"), number("retired")), "each is named");
    (lines, summary, output.status.code())
}

#[test]
fn a_pack_is_taken_in_updated_and_keeps_what_was_decided() {
    let folder = tempfile::tempdir().unwrap();
    let (data, pack) = (folder.path().join("data"), folder.path().join("city-pack"));
    std::fs::create_dir(&data).unwrap();
    let bearer = |name: &str, role: &str| format!("Bearer {}", token(&data, name, role, None));
    let (push, admin) = (bearer("a", "ingest"), bearer("b", "admin"));
    let server = Server::start(&data, &[]);
    let call = |method: &str, path: &str, body: &str| {
        let headers = [("Authorization", if path.ends_with("events") { &push } else { &admin }.as_str())];
        request(server.http, method, path, &headers, body.as_bytes()).unwrap()
    };
    let view = |number: u32| call("GET", &format!("/api/v1/rules/{}", id(number)), "").json();

    let builtin = stdout(&["rule", "list", "--json"]);
    let taken: Value = serde_json::from_str(builtin.lines().next().unwrap()).unwrap();
    let collides = rule(1, "Stranger", 1).replace(&id(1), taken["id"].as_str().unwrap());
    write_pack(
        &pack,
        &[
            ("LICENSE", "\n# Our License\n\nDo what you like.\n".to_owned()),
            ("a/one.yml", rule(1, "First", 4720)),
            (
                "a/b/two.yaml",
                rule(2, "Second", 4722)
                    + "---\n"
                    + &rule(3, "Old", 4723).replace("level:", "status: deprecated\nlevel:"),
            ),
            ("bad.yml", rule(4, "Bad", 1).replace("condition: s", "condition: nobody")),
            ("broken.yml", "title: [\n".to_owned()),
            ("taken.yml", collides),
            (".git/config.yml", "not: ours\n".to_owned()),
            ("README.md", "# not a rule\n".to_owned()),
        ],
    );
    let (lines, summary, code) = import(&pack, &data, &[]);
    assert_eq!((code, &summary["pack"], &summary["license"]), (Some(1), &json!("city-pack"), &json!("Our License")));
    let numbers = ["files", "documents", "loaded", "refused", "retired"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(numbers, [5, 6, 2, 3, 1]);
    let bad = lines.iter().find(|line| line["file"] == "bad.yml").unwrap();
    assert_eq!((&bad["line"], &bad["column"]), (&json!(6), &json!(41)), "{bad}");
    assert!(
        lines
            .iter()
            .any(|line| line["file"] == "taken.yml" && line["reason"].as_str().unwrap().contains("is taken by"))
    );

    // The server noticed by itself; licence and author are shown.
    wait_for("the pack is loaded", PATIENCE, || view(1)["standing"] == "on");
    let one = view(1);
    assert_eq!(
        (&one["pack"], &one["license"], &one["author"]),
        (&json!("city-pack"), &json!("Our License"), &json!("Somebody Else"))
    );
    assert!(one["license_text"].as_str().unwrap().contains("Do what you like"));
    let decision = json!({"kind": "disable", "reason": "thử"}).to_string();
    assert_eq!(call("PATCH", &format!("/api/v1/rules/{}", id(1)), &decision).status, 200);

    // A newer one: one changed, one new, two gone (that of the taken id among them); the decision stands.
    write_pack(
        &pack,
        &[
            ("moved.yml", rule(1, "First", 4720)),
            ("three.yml", rule(5, "Fifth", 4725)),
            ("two.yml", rule(3, "Old", 4726)),
        ],
    );
    let (_, summary, code) = import(&pack, &data, &[]);
    let changes = ["added", "changed", "removed", "unchanged", "decided"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!((code, changes), (Some(0), [1, 1, 2, 1, 1]), "{summary}");
    wait_for("the newer one is loaded", PATIENCE, || view(5)["standing"] == "on");
    assert_eq!((&view(1)["standing"], &view(1)["history"][0]["actor"]), (&json!("off"), &json!("token:b")));
    assert_eq!(call("GET", &format!("/api/v1/rules/{}", id(2)), "").status, 404);
    let events: String = [4720, 4725, 4726]
        .map(|code| {
            json!({"@timestamp": "2026-02-03T04:05:06Z", "EventID": code, "Channel": "Security", "Computer": "may-01"})
                .to_string()
                + "\n"
        })
        .concat();
    assert_eq!(call("POST", "/api/v1/events", &events).status, 200);
    let alerts = || call("GET", "/api/v1/alerts?limit=500", "").json()["alerts"].as_array().unwrap().clone();
    let of = |number: u32| alerts().iter().filter(|alert| alert["rule_id"] == id(number).as_str()).count();
    wait_for("alerts of the pack", PATIENCE, || of(5) == 1 && of(3) == 1);
    assert_eq!(of(1), 0, "it is off");

    // The whole pack off, and one of it on.
    let (_, summary, _) = import(&pack, &data, &["--off"]);
    assert_eq!((&summary["off"], &summary["unchanged"]), (&json!(true), &json!(3)));
    wait_for("the pack is off", PATIENCE, || view(5)["standing"] == "off");
    assert_eq!(call("PATCH", &format!("/api/v1/rules/{}", id(3)), r#"{"kind":"enable"}"#).status, 200);
    let listed = call("GET", "/api/v1/rules?pack=city-pack&limit=100", "").json();
    let standings: Vec<_> = listed["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["id"].as_str().unwrap(), row["standing"].as_str().unwrap()))
        .collect();
    assert!(standings.contains(&(&id(3), "on")) && standings.contains(&(&id(5), "off")), "{standings:?}");
    assert_eq!(listed["load"]["packs"][0]["name"], "city-pack");
    let line = "off medium        city-pack";
    assert!(stdout(&["rule", "list", "--data", data.to_str().unwrap()]).contains(line));
    server.stop();
}

/// An archive of stored entries (APPNOTE 4.3): enough to lead a reader astray.
fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in entries {
        let mut crc = !0_u32;
        for byte in text.bytes() {
            crc ^= u32::from(byte);
            (0..8).for_each(|_| crc = (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)));
        }
        let (offset, size) = (u32::try_from(out.len()).unwrap(), u32::try_from(text.len()).unwrap());
        let mut middle = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        [!crc, size, size].iter().for_each(|number| middle.extend(number.to_le_bytes()));
        middle.extend([u8::try_from(name.len()).unwrap(), 0, 0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&middle);
        out.extend([name.as_bytes(), text.as_bytes()].concat());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&middle);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (offset, size) = (u32::try_from(out.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    (0..2).for_each(|_| out.extend(u16::try_from(entries.len()).unwrap().to_le_bytes()));
    [size, offset].iter().for_each(|number| out.extend(number.to_le_bytes()));
    out.extend([0, 0]);
    out
}

#[test]
fn an_archive_of_a_stranger_writes_nothing_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (data, zip) = (folder.path().join("data"), folder.path().join("pack.zip"));
    let (good, evil) = (rule(1, "Good", 4720), rule(2, "Evil", 4721));
    let entries =
        [("../evil.yml", evil.as_str()), ("/evil.yml", &evil), ("a/../../evil.yml", &evil), ("top/good.yml", &good)];
    std::fs::write(&zip, archive(&entries)).unwrap();
    let (lines, summary, code) = import(&zip, &data, &["--name", "strange"]);
    assert_eq!((code, &summary["loaded"], &summary["refused"]), (Some(1), &json!(1), &json!(3)), "{lines:?}");
    assert!(data.join("rules/strange/top/good.yml").is_file());
    assert!(
        !data.join("rules/evil.yml").exists()
            && !folder.path().join("evil.yml").exists()
            && !data.join("evil.yml").exists()
    );

    // All below one folder, as a repository packs itself: that folder is left out.
    std::fs::write(
        &zip,
        archive(&[
            ("repo-main/LICENSE", "Permission is hereby granted, free of charge"),
            ("repo-main/good.yml", &good),
        ]),
    )
    .unwrap();
    let (_, summary, code) = import(&zip, &data, &["--name", "strange"]);
    assert_eq!((code, &summary["license"], &summary["unchanged"]), (Some(0), &json!("MIT"), &json!(1)));
    assert!(data.join("rules/strange/good.yml").is_file() && !data.join("rules/strange/top").exists());

    // What is refused as a whole leaves the pack as it was.
    let mut cut = archive(&[("a.yml", &good)]);
    cut.truncate(cut.len() - 30);
    for (bytes, code) in [(cut, 3), (b"no archive".to_vec(), 2)] {
        std::fs::write(&zip, bytes).unwrap();
        let output =
            run(&["rule", "import", zip.to_str().unwrap(), "--name", "strange", "--data", data.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(data.join("rules/strange/good.yml").is_file());
    }
    let output = run(&["rule", "import", zip.to_str().unwrap(), "--name", "../x", "--data", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a crash is staged, nothing is kept")]
fn a_crash_between_two_renames_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let (data, pack) = (folder.path().join("data"), folder.path().join("pack"));
    write_pack(&pack, &[("one.yml", rule(1, "First", 4720))]);
    import(&pack, &data, &[]);
    let (place, staging) = (data.join("rules/pack"), data.join("rules.staging"));
    std::fs::rename(&place, staging.join("pack.old")).unwrap();
    std::fs::create_dir(staging.join("pack.new")).unwrap();
    std::fs::write(staging.join("pack.new/half.yml"), "title: ha").unwrap();
    let server = Server::start(&data, &[]);
    server.stop();
    assert!(place.join("one.yml").is_file());
    assert!(!staging.join("pack.old").exists() && !staging.join("pack.new").exists());
}

/// Killed at any moment, an import leaves all of the pack of before or all of the new one.
#[test]
fn an_import_killed_in_the_middle_leaves_one_whole_pack() {
    const FILES: u32 = 600;
    let folder = tempfile::tempdir().unwrap();
    let (data, pack) = (folder.path().join("data"), folder.path().join("pack"));
    let name = |number: u32| format!("{}/{number}.yml", number % 7);
    let write = |code: u32| {
        let names: Vec<String> = (0..FILES).map(name).collect();
        let files: Vec<(&str, String)> =
            names.iter().zip(0..).map(|(name, number)| (name.as_str(), rule(number, "R", code))).collect();
        write_pack(&pack, &files);
    };
    write(1);
    import(&pack, &data, &[]);
    write(2);
    let (place, staging) = (data.join("rules/pack"), data.join("rules.staging"));
    // Killed once so many files of the new pack are there, or when it is in place.
    for written in [1, 300, u64::from(FILES), u64::MAX] {
        let mut importing = Command::new(NHATLE)
            .args(["rule", "import", pack.to_str().unwrap(), "--data", data.to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let is_there = || {
            let (new, old) = (staging.join("pack.new"), staging.join("pack.old"));
            if written == u64::MAX { old.exists() } else { new.exists() && written <= files_below(&new) }
        };
        while importing.try_wait().unwrap().is_none() && !is_there() {}
        importing.kill().unwrap();
        importing.wait().unwrap();
        Packs::new(&data).recover().unwrap();
        assert_eq!(files_below(&place), u64::from(FILES), "killed after {written} files");
        let codes: BTreeSet<bool> = (0..FILES)
            .map(|number| std::fs::read_to_string(place.join(name(number))).unwrap() == rule(number, "R", 2))
            .collect();
        assert_eq!(codes.len(), 1, "old and new are mixed: killed after {written} files");
        assert!(!staging.join("pack.new").exists() && !staging.join("pack.old").exists());
    }
}

/// Files below a folder that somebody may be writing or moving.
fn files_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

#[test]
fn every_document_of_the_public_rules_is_accounted_for() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let license = corpus.join("sigma/LICENSE");
    let more = ["--name", "sigmahq", "--off", "--license", license.to_str().unwrap()];
    let (lines, summary, _) = import(&corpus.join("sigma/rules"), &data, &more);
    let files = files_of(&corpus.join("sigma/rules"));
    assert_eq!((summary["files"].as_u64().unwrap(), &summary["license"]), (files, &json!("DRL-1.1")));
    assert!(
        files <= summary["documents"].as_u64().unwrap() && 3_500 < summary["loaded"].as_u64().unwrap(),
        "{summary}"
    );
    for line in lines.iter().filter(|line| line["kind"] == "error") {
        let is_placed = 0 < line["line"].as_u64().unwrap() && 0 < line["column"].as_u64().unwrap();
        assert!(is_placed && !line["reason"].as_str().unwrap().is_empty(), "{line}");
    }
    // What was copied loads to the same.
    let copied = run(&["rule", "check", data.join("rules/sigmahq").to_str().unwrap(), "--json"]);
    let errors =
        String::from_utf8(copied.stdout).unwrap().lines().filter(|line| line.contains("\"kind\":\"error\"")).count();
    assert_eq!(errors as u64, summary["refused"].as_u64().unwrap());
}

fn files_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                files_of(&path)
            } else {
                u64::from(path.extension().is_some_and(|ending| ending == "yml"))
            }
        })
        .sum()
}

#[test]
fn placeholders_take_their_values_from_a_configuration_or_a_file_of_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let expanded = rule(1, "Servers", 4720).replace("EventID: 4720", "Computer|expand: '%servers%'");
    std::fs::write(path("rule.yml"), expanded).unwrap();
    std::fs::write(path("lists.toml"), "servers = [\"may-01\", \"dc-*\"]\n").unwrap();
    std::fs::write(
        path("nhatle.toml"),
        format!(
            "[rules]\nbuiltin = false\npaths = [\"{}\"]\n[rules.placeholders]\nservers = [\"may-01\"]\n",
            path("rule.yml")
        ),
    )
    .unwrap();
    std::fs::write(path("bad.toml"), "servers = 1\n").unwrap();
    let event = |host: &str| json!({"EventID": 4720, "Channel": "Security", "Computer": host}).to_string() + "\n";
    std::fs::write(path("events.json"), event("may-01") + &event("dc-2") + &event("may-02")).unwrap();

    let without = run(&["rule", "check", &path("rule.yml")]);
    assert_eq!(without.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&without.stdout).contains("%servers%"));
    for (file, matches) in [("lists.toml", 2), ("nhatle.toml", 1)] {
        assert_eq!(run(&["rule", "check", &path("rule.yml"), "--placeholders", &path(file)]).status.code(), Some(0));
        let args = ["detect", "--rules", &path("rule.yml"), "--placeholders", &path(file), &path("events.json")];
        assert_eq!(stdout(&args).lines().count(), matches, "{file}");
    }
    assert_eq!(run(&["rule", "check", &path("rule.yml"), "--placeholders", &path("bad.toml")]).status.code(), Some(2));
    let (_, summary, code) =
        import(folder.path(), &folder.path().join("data"), &["--name", "p", "--placeholders", &path("lists.toml")]);
    assert_eq!((code, &summary["loaded"]), (Some(0), &json!(1)));

    // And of the server, from its configuration.
    let data = folder.path().join("served");
    std::fs::create_dir(&data).unwrap();
    let (push, admin) = (token(&data, "a", "ingest", None), token(&data, "b", "admin", None));
    let server = Server::start(&data, &["--config", &path("nhatle.toml")]);
    let call = |method: &str, path: &str, token: &str, body: &str| {
        let bearer = format!("Bearer {token}");
        request(server.http, method, path, &[("Authorization", bearer.as_str())], body.as_bytes()).unwrap()
    };
    assert_eq!(call("POST", "/api/v1/events", &push, &(event("may-02") + &event("may-01"))).status, 200);
    wait_for("its alert", PATIENCE, || call("GET", "/api/v1/alerts", &admin, "").json()["total"] == 1);
    server.stop();
}
