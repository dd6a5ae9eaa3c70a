//! Commands beside a running server on the same folder: `nhatle import` is an import, whole or with a clear end; every other
//! command with `--data` reads a snapshot, adds to the register, or has the server do it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::pages::PASSWORD;
use crate::proof::text;
use crate::support::{NHATLE, PATIENCE, Server, corpus, run, stdout, wait_for};

/// What an import prints.
fn counts(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn count(data: &Path, query: &str) -> u64 {
    stdout(&["search", "--data", text(data), "--count", query]).trim().parse().unwrap()
}

fn compressed(program: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(program[0]).args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.ok()?;
    let (mut input, own) = (child.stdin.take()?, bytes.to_vec());
    let sending = std::thread::spawn(move || input.write_all(&own));
    let mut all = Vec::new();
    child.stdout.take()?.read_to_end(&mut all).ok()?;
    sending.join().ok()?.ok()?;
    child.wait().ok()?.success().then_some(all)
}

/// Guessing at sshd: the rules find it.
fn sshd_lines(from: usize, many: usize) -> String {
    (from..from + many)
        .map(|n| {
            format!(
                "Feb  3 04:{:02}:{:02} web-{} sshd[2345]: Failed password for root from 203.0.113.9 port {} ssh2\n",
                n / 60 % 60,
                n % 60,
                n % 3,
                1_024 + n
            )
        })
        .collect()
}

/// Files of every form, damaged ones too, with the arguments they are imported with.
fn imports(folder: &Path) -> Vec<Vec<String>> {
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_owned()
    };
    let lines = sshd_lines(0, 6_000);
    let plain = put("auth.log", lines.as_bytes());
    let mut mixed = vec![plain];
    mixed.extend(
        compressed(&["gzip", "-c"], sshd_lines(6_000, 900).as_bytes()).map(|bytes| put("auth.log.1.gz", &bytes)),
    );
    mixed.extend(
        compressed(&["zstd", "-q", "-c"], sshd_lines(7_000, 900).as_bytes()).map(|bytes| put("auth.log.2.zst", &bytes)),
    );
    let torn = compressed(&["gzip", "-c"], sshd_lines(8_000, 4_000).as_bytes());
    mixed.extend(torn.map(|bytes| put("torn.log.gz", &bytes[..bytes.len() / 2])));
    let json = put("events.json", br#"[{"@timestamp":"2026-02-03T04:05:06Z","message":"one"}, 7, {"message":"two"}]"#);
    let header = put(
        "conn.log",
        b"#separator \\x09\n#path\tconn\n#fields\tts\tid.orig_h\n#types\ttime\taddr\n1770091506.5\t192.0.2.1\n",
    );
    let wrong = put("nginx.log", sshd_lines(0, 20).as_bytes());
    let mut all = vec![
        [vec!["--unit".to_owned(), "18853".to_owned()], mixed].concat(),
        vec![json, header],
        vec!["--source".to_owned(), "nginx".to_owned(), wrong],
        vec!["--source".to_owned(), "sshd".to_owned(), put("again.log", lines.as_bytes())],
        vec![folder.join("nothing.log").display().to_string()],
        vec!["--source".to_owned(), "nonsense".to_owned(), put("none.log", b"a\n")],
    ];
    if let Some(corpus) = corpus() {
        let mut files = Vec::new();
        evtx_below(&corpus.join("evtx"), &mut files);
        files.sort();
        all.push(files.iter().take(25).map(|path| text(path).to_owned()).collect());
    }
    all
}

fn evtx_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            evtx_below(&path, files);
        } else if path.extension().is_some_and(|end| end == "evtx") {
            files.push(path);
        }
    }
}

/// What is stored of files: everything but numbers and moments that are the store's own.
fn stored(data: &Path) -> Vec<String> {
    let rows = stdout(&["search", "--data", text(data), "--format", "jsonl", "--limit", "1000000", "log.file.path:*"]);
    let own = ["event.ingested", "event.id", "nhatle.seq", "nhatle.id", "_id", "id", "seq"];
    let mut all: Vec<String> = rows
        .lines()
        .map(|line| {
            let event: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
            let kept: BTreeMap<_, _> = event.into_iter().filter(|(key, _)| !own.contains(&key.as_str())).collect();
            serde_json::to_string(&kept).unwrap()
        })
        .collect();
    all.sort();
    all
}

#[test]
fn an_import_beside_a_server_is_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let imports = imports(folder.path());
    // A long path: a socket's own is short.
    let long = folder.path().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let (alone, beside) = (long.join("alone"), long.join("beside"));
    let server = Server::start_without_sentinel(&beside, &[]);
    for arguments in &imports {
        let import = |data: &Path| {
            let mut all = vec!["import", "--data", text(data)];
            all.extend(arguments.iter().map(String::as_str));
            let output = run(&all);
            let errors = String::from_utf8(output.stderr).unwrap();
            // Without what a program alone has to log.
            let said: Vec<_> = errors.lines().filter(|line| !line.starts_with('{')).map(str::to_owned).collect();
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
        };
        let expected = import(&alone);
        assert_eq!(import(&beside), expected, "{arguments:?}");
        println!("{arguments:?}: {expected:?}");
    }
    let (expected, found) = (stored(&alone), stored(&beside));
    assert!(6_000 < expected.len());
    let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
    assert_eq!(differs, None);
    assert_eq!(expected.len(), found.len());
    let rules = run(&[
        "import",
        "--data",
        text(&beside),
        "--rules",
        text(folder.path()),
        text(&folder.path().join("auth.log")),
    ]);
    assert_eq!(rules.status.code(), Some(2), "the server's own rules look");
    let alerts = count(&beside, "event.kind:signal");
    assert!(0 < alerts && alerts == count(&alone, "event.kind:signal"));
    server.stop();
    assert!(!beside.join("handover").exists());
    assert!(stdout(&["verify", "--data", text(&beside)]).contains("nothing altered"));
}

/// An import from a pipe, with what it says on standard error.
struct Piped {
    child: Child,
    said: std::sync::mpsc::Receiver<String>,
}

impl Piped {
    fn start(data: &Path) -> Piped {
        let mut child = Command::new(NHATLE)
            .args(["import", "--data", text(data), "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (tell, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Piped { child, said }
    }

    fn send(&mut self, lines: &str) {
        self.child.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// Exit code, and what it said last.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.said.iter().collect::<Vec<_>>().join("\n"))
    }
}

/// The number before these words.
fn number_before(said: &str, words: &str) -> u64 {
    let front = said.split_once(words).unwrap_or_else(|| panic!("no {words:?} in {said}")).0;
    front.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn an_import_whose_server_goes_says_how_much_is_stored() {
    for is_killed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let server = Server::start_without_sentinel(&data, &[]);
        let mut import = Piped::start(&data);
        import.send(&sshd_lines(0, 9_000));
        // Two chunks; the rest is not whole.
        wait_for("what was sent is stored", PATIENCE, || 8_192 <= count(&data, "root"));
        // The receipt is on its way then.
        std::thread::sleep(Duration::from_millis(300));
        match is_killed {
            true => server.kill(),
            false => server.stop(),
        }
        let (code, said) = import.end();
        assert_eq!(code, Some(3), "{said}");
        assert_eq!(number_before(&said, " records are stored"), 8_192, "{said}");
        assert!(said.contains(if is_killed { "the server is gone" } else { "the server ends" }), "{said}");
        assert_eq!(count(&data, "NOT event.kind:signal"), 8_192, "what broke off is not stored");
        // Nobody listens any more: the store is the command's own again.
        let file = folder.path().join("more.log");
        std::fs::write(&file, sshd_lines(9_000, 10)).unwrap();
        assert_eq!(counts(&stdout(&["import", "--data", text(&data), text(&file)]))["stored"], 10);
    }
}

#[test]
fn an_import_that_goes_away_leaves_no_torn_record() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start_without_sentinel(&data, &[]);
    let mut import = Piped::start(&data);
    import.send(&sshd_lines(0, 5_000));
    wait_for("what was sent is stored", PATIENCE, || 4_096 <= count(&data, "root"));
    import.child.kill().unwrap();
    import.child.wait().unwrap();
    let file = folder.path().join("more.log");
    std::fs::write(&file, sshd_lines(9_000, 10)).unwrap();
    assert_eq!(counts(&stdout(&["import", "--data", text(&data), text(&file)]))["stored"], 10);
    assert_eq!(count(&data, "NOT event.kind:signal"), 4_106);
    server.stop();
}

#[test]
fn an_import_waits_for_room_and_says_so() {
    let Some(disk) = crate::overload::SmallDisk::mount(64) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = disk.path().join("data");
    let config = folder.path().join("nhatle.toml");
    std::fs::write(&config, "[sentinel]\nenabled = false\n[storage]\nreserve_bytes = 0\n").unwrap();
    let server = Server::start(&data, &["--config", text(&config)]);
    let ballast = disk.fill();
    let mut import = Piped::start(&data);
    let mut input = import.child.stdin.take().unwrap();
    // It does not take all of it before there is room.
    let sending = std::thread::spawn(move || input.write_all(sshd_lines(0, 20_000).as_bytes()));
    let said = import.said.recv_timeout(PATIENCE).unwrap();
    assert!(said.starts_with("waits for room: "), "{said}");
    std::fs::remove_file(&ballast).unwrap();
    sending.join().unwrap().unwrap();
    let mut out = String::new();
    import.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let (code, said) = import.end();
    assert_eq!((code, said.as_str()), (Some(0), "goes on"));
    let counts = counts(&out);
    assert_eq!((&counts["stored"], &counts["records"]), (&Value::from(20_000), &Value::from(20_000)), "{out}");
    // The server has a word of its own on the full disk.
    assert_eq!(count(&data, "Failed AND NOT event.kind:signal"), 20_000);
    server.stop();
}

fn with_password(arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(NHATLE)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that reads nothing may be gone already.
    drop(writeln!(child.stdin.take().unwrap(), "{PASSWORD}"));
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// How a command comes by the store that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// It reads a snapshot.
    Snapshot,
    /// It adds to the register, which the server follows.
    Register,
    /// It has the server do it.
    Handover,
    /// It waits for the server to sign.
    Request,
    /// It is not done beside a server, and says so.
    No,
}

/// Every command with `--data`, by the way it goes beside a server, the words that it says, and its exit code.
#[test]
fn every_command_with_a_folder_works_beside_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start_without_sentinel(&data, &[]);
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_owned()
    };
    let lines = put("auth.log", sshd_lines(0, 200).as_bytes());
    let assets = put("assets.csv", b"host,address,importance\nweb-1,192.0.2.1,4\n");
    let places = put("city.mmdb", &crate::reference::geo_file());
    let list = put("list.txt", b"203.0.113.9\n");
    let rules = folder.path().join("pack");
    std::fs::create_dir(&rules).unwrap();
    put("pack/LICENSE", b"ours\n");
    put(
        "pack/one.yml",
        b"title: One\nid: 7c8f6d36-6f3b-4f21-9f5a-0c2f3d5c9a11\nlevel: low\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  a:\n    user.name: root\n  condition: a\n",
    );
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (backup, package, layer, again) = (path("1.backup"), path("package.tar"), path("layer.json"), path("again"));
    let rules = text(&rules).to_owned();
    let table: &[(By, &str, &[&str], i32)] = &[
        (By::Handover, "import", &[&lines], 0),
        (By::Snapshot, "search", &["root"], 0),
        (By::Snapshot, "sql", &["SELECT count(*) AS n FROM events"], 0),
        (By::Snapshot, "replay", &["--from", "2020-01-01", "--format", "summary"], 0),
        (By::Handover, "replay", &["--from", "2020-01-01", "--store"], 0),
        (By::Snapshot, "verify", &[], 0),
        (By::Snapshot, "verify", &["--deep"], 0),
        (By::Snapshot, "doctor", &["--lang", "en"], 1),
        (By::Snapshot, "backup", &[&backup], 0),
        (By::Request, "evidence", &["--query", "root", "-o", &package], 0),
        (By::No, "proof new-key", &[], 2),
        (By::Snapshot, "rule list", &[], 0),
        (By::Snapshot, "rule coverage", &["--navigator", &layer], 0),
        (By::Register, "rule import", &[&rules, "--name", "mine"], 0),
        (By::Register, "asset import", &[&assets], 0),
        (By::Snapshot, "asset list", &[], 0),
        (By::Register, "geoip import", &[&places], 0),
        (By::Register, "intel import", &[&list, "--list", "mine"], 0),
        (By::Snapshot, "intel list", &[], 0),
        (By::Register, "intel remove", &["mine"], 0),
        (By::Register, "user add", &["lan", "--role", "admin", "--password-stdin"], 0),
        (By::Register, "user password", &["lan", "--password-stdin"], 0),
        (By::Snapshot, "user list", &[], 0),
        (By::Register, "token add", &["web01", "--role", "ingest"], 0),
        (By::Snapshot, "token list", &[], 0),
        (By::Register, "token revoke", &["web01"], 0),
        (By::Register, "enroll", &["phuong-hai-thanh", "--unit", "18853"], 0),
        (By::Snapshot, "retention show", &[], 0),
        (
            By::Register,
            "retention hold",
            &["--from", "2020-01-01", "--to", "2020-01-08", "--until", "2099-01-01", "--reason", "điều tra"],
            0,
        ),
        (By::Register, "retention extend", &["1", "--until", "2099-06-01", "--reason", "công văn 45"], 0),
        (By::Register, "retention release", &["1", "--reason", "xong"], 0),
        (By::Snapshot, "erase plan", &["--subject", "root"], 0),
        (
            By::Handover,
            "erase run",
            &["--subject", "root", "--basis", "Luật 91/2025/QH15", "--by", "lan", "--expect", "1"],
            2,
        ),
        (By::Handover, "erase resume", &[], 0),
        (By::Snapshot, "erase show", &[], 0),
        (By::Register, "user disable", &["lan"], 0),
    ];
    for (by, command, arguments, expected) in table {
        let words: Vec<&str> = command.split(' ').collect();
        let (code, said) = with_password(&[&words, &["--data", text(&data)][..], arguments].concat());
        println!("{by:?}\t{command}\t{code:?}\t{}", said.lines().next().unwrap_or_default());
        let is_right = code == Some(*expected) || (*command == "doctor" && code == Some(0));
        assert!(is_right, "{command} {arguments:?}: {code:?}\n{said}");
    }
    let (code, said) = with_password(&["restore", "--data", &again, &backup]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = with_password(&["restore", "--data", text(&data), &backup]);
    assert_eq!(code, Some(2), "a store is made in a new folder: {said}");
    server.stop();
}

#[test]
fn an_erasure_beside_a_server_is_done_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start_without_sentinel(&data, &[]);
    let file = folder.path().join("auth.log");
    std::fs::write(&file, sshd_lines(0, 100)).unwrap();
    stdout(&["import", "--data", text(&data), text(&file)]);
    let (code, said) =
        with_password(&["user", "add", "lan", "--role", "admin", "--password-stdin", "--data", text(&data)]);
    assert_eq!(code, Some(0), "{said}");
    let erase = |by: &str, expect: u64| {
        let output = run(&[
            "erase",
            "run",
            "--subject",
            "203.0.113.9",
            "--basis",
            "đơn số 12",
            "--by",
            by,
            "--expect",
            &expect.to_string(),
            "--json",
            "--data",
            text(&data),
        ]);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let plan = stdout(&["erase", "plan", "--json", "--subject", "203.0.113.9", "--data", text(&data)]);
    let events = counts(&plan)["plan"]["events"].as_u64().unwrap();
    assert!(100 <= events, "{plan}");
    let (code, said) = erase("lan", events + 7);
    assert!(code == Some(2) && said.contains("were confirmed"), "{said}");
    let (code, said) = erase("minh", events);
    assert!(code == Some(2) && said.contains("no administrator"), "{said}");
    let (code, said) = erase("lan", events);
    assert_eq!(code, Some(0), "{said}");
    let done = counts(said.trim());
    assert_eq!((&done["number"], &done["events"]), (&Value::from(1), &Value::from(events)), "{said}");
    assert!(done["receipt"].as_str().is_some_and(|receipt| 20 < receipt.len()), "{said}");
    assert_eq!(count(&data, "203.0.113.9"), 0);
    server.stop();
    assert!(stdout(&["verify", "--deep", "--data", text(&data)]).contains("erasure 1"));
}
