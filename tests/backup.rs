//! A store copied while it is written, made again elsewhere, and looked at: nothing missing, nothing half.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, request, run, stdout, token, wait_for};

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
    wait_for("several segments", PATIENCE, || 3_000 < acknowledged.load(Ordering::SeqCst));
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
    // So large that no machine is through with it before it is killed; full of holes, so it takes no room itself.
    let ballast = std::fs::File::create(data.join("ballast")).unwrap();
    ballast.set_len(1 << 36).unwrap();
    let file = folder.path().join("city.backup");
    let mut child = std::process::Command::new(crate::support::NHATLE)
        .args(["backup", "--data", text(&data), text(&file)])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("it has begun", PATIENCE, || {
        names(folder.path()).iter().any(|name| name.starts_with(".nhatle-backup")) || file.exists()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!file.exists(), "killed in the middle, it gave its file the name");
    ballast.set_len(16 << 20).unwrap();
    stdout(&["backup", "--data", text(&data), text(&file)]);
    stdout(&["restore", "--data", text(&folder.path().join("again")), text(&file)]);
}

/// A server that makes a segment of each few hundred events and merges them, and a sender that never rests. With fewer events
/// in each, an unoptimized server seals faster than a backup can read between two seals.
struct Busy {
    server: Option<Server>,
    acknowledged: Arc<AtomicU64>,
    is_stopping: Arc<AtomicBool>,
    sender: Option<std::thread::JoinHandle<()>>,
}

impl Busy {
    fn start(folder: &Path) -> Busy {
        let data = folder.join("data");
        let push = token(&data, "sender", "ingest", None);
        let config = folder.join("nhatle.toml");
        std::fs::write(&config, "[storage]\nmemtable_events_max = 600\nlog_file_bytes_max = 65536\n").unwrap();
        let server = Server::start(&data, &["--config", text(&config)]);
        let (acknowledged, is_stopping) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stop, http) = (acknowledged.clone(), is_stopping.clone(), server.http);
        let sender = std::thread::spawn(move || {
            let authorization = format!("Bearer {push}");
            let mut batch = 0;
            while !stop.load(Ordering::Relaxed) {
                let line = |n| {
                    format!("{}\n", json!({"message": format!("dong {batch} {n}"), "event.id": format!("{batch}-{n}")}))
                };
                let body: String = (0..50).map(line).collect();
                let headers = [("Authorization", authorization.as_str())];
                let answer = request(http, "POST", "/api/v1/events", &headers, body.as_bytes()).unwrap();
                match answer.status {
                    200 => drop(count.fetch_add(50, Ordering::SeqCst)),
                    429 | 503 => std::thread::sleep(Duration::from_millis(20)),
                    _ => panic!("{answer:?}"),
                }
                batch += 1;
            }
        });
        Busy { server: Some(server), acknowledged, is_stopping, sender: Some(sender) }
    }

    fn wait_for(&self, events: u64) {
        wait_for("events", PATIENCE, || events < self.acknowledged.load(Ordering::SeqCst));
    }

    fn merges(&self) -> u64 {
        let http = self.server.as_ref().unwrap().http;
        let metrics = request(http, "GET", "/metrics", &[], b"").unwrap().body;
        let line = metrics.lines().find(|line| line.starts_with("nhatle_merges_total ")).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn stop(mut self) -> u64 {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.sender.take().unwrap().join().unwrap();
        self.server.take().unwrap().stop();
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// `restore --drill` of these: exit code, and what it said.
fn drill(files: &[&Path]) -> (Option<i32>, String) {
    let args: Vec<&str> = ["restore", "--drill"].into_iter().chain(files.iter().map(|file| text(file))).collect();
    let output = run(&args);
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn increments_of_a_busy_store_that_merges_are_a_chain_that_a_drill_proves() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let data = at("data");
    let files = [at("1.backup"), at("2.backup"), at("3.backup"), at("4.backup")];
    let busy = Busy::start(folder.path());
    let back_up = |number: usize| -> Value {
        let mut args = vec!["backup", "--json", "--data", text(&data)];
        if 0 < number {
            args.extend(["--since", text(&files[number - 1])]);
        }
        args.push(text(&files[number]));
        serde_json::from_str(&stdout(&args)).unwrap()
    };
    busy.wait_for(1_500);
    let first = back_up(0);
    busy.wait_for(busy.acknowledged.load(Ordering::SeqCst) + 1_000);
    let second = back_up(1);
    wait_for("segments are merged", PATIENCE, || 0 < busy.merges());
    let third = back_up(2);
    let acknowledged = busy.stop();
    let fourth = back_up(3);
    assert_eq!(first["kept_files"], 0, "{first}");
    for (increment, before) in [(&second, &first), (&third, &second), (&fourth, &third)] {
        assert_eq!(increment["since"], before["id"]);
        assert!(0 < increment["kept_files"].as_u64().unwrap(), "{increment}");
    }
    let chain: Vec<&Path> = files.iter().map(std::path::PathBuf::as_path).collect();
    for (length, made) in [&first, &second, &third, &fourth].into_iter().enumerate() {
        let (code, said) = drill(&chain[..=length]);
        assert_eq!(code, Some(0), "{length}: {said}");
        let events = format!("{} events up to {} (", made["events"], made["last_seq"]);
        assert!(said.starts_with("20") && said.contains(" restore drill: whole: ") && said.contains(&events), "{said}");
        assert!(said.contains(", head of ") && said.contains(" leaves of "), "{said}");
    }
    let restored = at("again");
    let mut args = vec!["restore", "--json", "--data", text(&restored)];
    args.extend(chain.iter().map(|file| text(file)));
    let again: Value = serde_json::from_str(&stdout(&args)).unwrap();
    assert_eq!((&again["events"], &again["register_entries"]), (&fourth["events"], &fourth["register_entries"]));
    assert_eq!(count(&restored), acknowledged, "as many as were acknowledged");
    stdout(&["verify", "--deep", "--data", text(&restored)]);

    // A link that is missing, in another order, altered or cut: named, and nothing is made.
    for wrong in [&[chain[1]][..], &[chain[0], chain[2]], &[chain[1], chain[0]]] {
        let (code, said) = drill(wrong);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("difference: ") && said.contains(" restore drill: NOT WHOLE, 1 differences"), "{said}");
        let mut args = vec!["restore", "--data", "never"];
        args.extend(wrong.iter().map(|file| text(file)));
        assert_eq!(run(&args).status.code(), Some(3));
    }
    assert_eq!(drill(&[&at("none")]).0, Some(2), "a file that is not there says nothing of a backup");
    for (number, file) in files.iter().enumerate() {
        let whole = std::fs::read(file).unwrap();
        let mut altered = whole.clone();
        altered[700] ^= 1;
        for bytes in [&altered[..], &whole[..whole.len() / 2]] {
            std::fs::write(file, bytes).unwrap();
            let (code, said) = drill(&chain);
            assert_eq!(code, Some(1), "{number}: {said}");
        }
        std::fs::write(file, &whole).unwrap();
    }
    assert_eq!(drill(&chain).0, Some(0));
    let left: Vec<String> = names(folder.path()).into_iter().filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_full_disk_gives_no_backup_and_a_drill_without_room_says_nothing_of_the_backup() {
    let Some(small) = crate::overload::SmallDisk::mount(8) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    token(&data, "sender", "ingest", None);
    std::fs::create_dir_all(data.join("log")).unwrap();
    std::fs::write(data.join("ballast"), vec![7; 16 << 20]).unwrap();
    let target = small.path().join("city.backup");
    let output = run(&["backup", "--data", text(&data), text(&target)]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
    let left: Vec<String> = names(small.path()).into_iter().filter(|name| name != "lost+found").collect();
    assert!(left.is_empty(), "{left:?}");
    let file = folder.path().join("city.backup");
    stdout(&["backup", "--data", text(&data), text(&file)]);
    let output = run(&["restore", "--drill", "--scratch", text(small.path()), text(&file)]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    stdout(&["restore", "--drill", text(&file)]);
}
