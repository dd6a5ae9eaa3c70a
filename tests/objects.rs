//! Backups in an object store: a bucket on loopback that fails on purpose, and a folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::s3::{BUCKET, KEY_ID, S3, Trouble};
use crate::support::{NHATLE, PATIENCE, Server, request, run, stdout, token, wait_for};

/// What must never be printed.
const SECRET: &str = "a-secret-of-nobody-0123456789abcdef";
/// More than one part, and the last one a small one.
const BALLAST_BYTES: usize = (17 << 20) + 5;

struct City {
    folder: tempfile::TempDir,
    data: PathBuf,
    config: PathBuf,
    address: String,
    push: String,
    sent: u64,
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Bytes without a pattern.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(next).collect()
}

impl City {
    /// A store with some segments, a large file and a private one.
    fn new(backup: &str, address: &str) -> City {
        let folder = tempfile::tempdir().unwrap();
        let (data, config) = (folder.path().join("data"), folder.path().join("nhatle.toml"));
        let push = token(&data, "sender", "ingest", None);
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        let storage = "[storage]\nmemtable_events_max = 500\nlog_file_bytes_max = 65536\n[canary]\nenabled = false\n";
        let written = format!(
            "{storage}[backup]\nretry_max_s = 20\naccess_key_id = {KEY_ID:?}\nsecret_access_key_file = {:?}\n{backup}",
            folder.path().join("secret")
        );
        std::fs::write(&config, written).unwrap();
        std::fs::create_dir_all(data.join("pki")).unwrap();
        std::fs::create_dir_all(data.join("geoip")).unwrap();
        std::fs::write(data.join("geoip/ballast"), noise(7, BALLAST_BYTES)).unwrap();
        std::fs::write(data.join("pki/extra.key"), "secret").unwrap();
        std::fs::set_permissions(data.join("pki/extra.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let address = address.replace("FOLDER", text(folder.path()));
        let mut city = City { folder, data, config, address, push, sent: 0 };
        city.more();
        city
    }

    fn in_a_bucket(s3: &S3) -> City {
        City::new(&format!("endpoint = {:?}\n", s3.endpoint), &format!("s3://{BUCKET}/siem/main"))
    }

    /// Twelve hundred events more, while `during` runs.
    fn more_while(&mut self, during: impl FnOnce(&City)) {
        let server = Server::start(&self.data, &["--config", text(&self.config)]);
        let authorization = format!("Bearer {}", self.push);
        for batch in 0..12 {
            let line = |n| format!("{}\n", json!({"message": format!("dong {} {batch} {n}", self.sent)}));
            let body: String = (0..100).map(line).collect();
            let headers = [("Authorization", authorization.as_str())];
            let answer = request(server.http, "POST", "/api/v1/events", &headers, body.as_bytes()).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        self.sent += 1_200;
        during(self);
        server.stop();
    }

    fn more(&mut self) {
        self.more_while(|_| {});
    }

    fn args<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        let mut args = command.to_vec();
        args.extend(["--data", text(&self.data), "--config", text(&self.config), &self.address]);
        args
    }

    fn back_up_with(&self, more: &[&str]) -> Value {
        let args: Vec<&str> = ["backup", "--json"].iter().chain(more).copied().collect();
        let said = stdout(&self.args(&args));
        assert!(!said.contains(SECRET));
        serde_json::from_str(&said).unwrap()
    }

    fn back_up(&self) -> Value {
        self.back_up_with(&[])
    }

    /// Exit code, and what it said.
    fn run(&self, command: &[&str]) -> (Option<i32>, String) {
        let output = run(&self.args(command));
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains(SECRET), "{said}");
        (output.status.code(), said)
    }

    fn drill(&self, more: &[&str]) -> (Option<i32>, String) {
        let args: Vec<&str> = ["restore", "--drill"].iter().chain(more).copied().collect();
        self.run(&args)
    }

    /// Restores into a new folder and looks at everything there; gives how many events it has.
    fn restored(&self, name: &str, more: &[&str]) -> u64 {
        let data = self.folder.path().join(name);
        let mut args = vec!["restore", "--json", "--data", text(&data), "--config", text(&self.config)];
        args.extend(more);
        args.push(&self.address);
        stdout(&args);
        stdout(&["verify", "--data", text(&data)]);
        assert_eq!(std::fs::read(data.join("geoip/ballast")).unwrap().len(), BALLAST_BYTES);
        let key = std::fs::metadata(data.join("pki/extra.key")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
        let count = stdout(&["search", "message:dong*", "--data", text(&data), "--count"]);
        std::fs::remove_dir_all(&data).unwrap();
        count.trim().parse().unwrap()
    }

    fn hidden(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value}"))
}

/// The life of a store and its backups, whatever the place.
fn backups_are_made_listed_proved_and_restored(mut city: City) {
    let mut first = Value::Null;
    city.more_while(|city| first = city.back_up());
    assert_eq!(number(&first, "events") / 1_200, 2, "{first}");
    assert!((BALLAST_BYTES as u64) < number(&first, "sent_bytes"), "{first}");
    city.more();
    let second = city.back_up();
    // What never changes is not sent again.
    assert!((BALLAST_BYTES as u64) < number(&second, "kept_bytes"), "{second}");
    assert!(number(&second, "sent_bytes") < 4 << 20, "{second}");
    assert_eq!(second["deleted_backups"], 0);
    let listed = stdout(&city.args(&["restore", "--list"]));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    for (line, made) in listed.lines().zip([&first, &second]) {
        assert!(line.starts_with(made["backup"].as_str().unwrap()), "{line} {made}");
        let (code, said) = city.drill(&["--backup", made["backup"].as_str().unwrap()]);
        let events = format!("{} events up to {} (", made["events"], made["last_seq"]);
        assert!(code == Some(0) && said.contains(" restore drill: whole: ") && said.contains(&events), "{said}");
    }
    assert_eq!(city.restored("newest", &[]), city.sent);
    assert_eq!(city.restored("older", &["--backup", &first["backup"].as_str().unwrap()[..40]]), city.sent - 1_200);
    assert_eq!(city.run(&["restore", "--drill", "--backup", "1999"]).0, Some(2), "there is none of that name");
    assert_eq!(city.hidden(), [""; 0]);
}

#[test]
fn a_running_store_goes_into_a_bucket_that_fails_now_and_then_and_comes_back() {
    let s3 = S3::start(None);
    s3.trouble(Trouble::Flaky);
    backups_are_made_listed_proved_and_restored(City::in_a_bucket(&s3));
    let (requests, _, parts) = s3.counts();
    assert!(100 < requests && 3 <= parts, "{requests} requests, {parts} parts");
}

#[test]
fn a_folder_holds_backups_as_a_bucket_does() {
    let city = City::new("", "file://FOLDER/store/main");
    let inside = format!("file://{}/backups", text(&city.data));
    let output = run(&["backup", "--data", text(&city.data), &inside]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!city.data.join("backups").exists(), "nothing was made in it");
    assert_eq!(city.drill(&[]).0, Some(2), "a folder that is not there says nothing of a backup");
    backups_are_made_listed_proved_and_restored(city);
}

#[test]
fn a_folder_for_backups_is_its_owners_alone() {
    let city = City::new("", "file://FOLDER/store");
    city.back_up();
    for below in ["", "objects", "backups"] {
        let about = std::fs::metadata(city.folder.path().join("store").join(below)).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777, 0o700, "{below:?}");
    }
    let objects = walk(&city.folder.path().join("store/objects"));
    assert!(objects.iter().all(|name| name.len() == 64), "{objects:?}");
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

#[test]
fn what_is_missing_or_damaged_is_named_and_sent_anew() {
    let s3 = S3::start(None);
    let city = City::in_a_bucket(&s3);
    let made = city.back_up();
    let index = format!("siem/main/backups/{}.json", made["backup"].as_str().unwrap());
    let listed: Value = {
        let bytes = s3.alter(&index, Some);
        serde_json::from_slice(&bytes).unwrap()
    };
    let files = listed["files"].as_array().unwrap();
    let object = |path: &str| {
        let row = files.iter().find(|row| row["path"].as_str().unwrap().ends_with(path)).unwrap();
        let sha256 = row["sha256"].as_str().unwrap();
        (row["path"].as_str().unwrap().to_owned(), format!("siem/main/objects/{}/{sha256}", &sha256[..2]))
    };
    let flip = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Some(bytes)
    };
    let cut = |mut bytes: Vec<u8>| {
        bytes.pop();
        Some(bytes)
    };
    let kinds: [(&str, fn(Vec<u8>) -> Option<Vec<u8>>); 3] =
        [("is damaged", flip), ("has ", cut), ("is missing", |_| None)];
    for path in ["/rows.parquet", "geoip/ballast", "register.sqlite", "pki/extra.key"] {
        let (path, name) = object(path);
        for (said_of_it, alter) in kinds {
            let before = s3.alter(&name, alter);
            let (code, said) = city.drill(&[]);
            let named = format!("difference: {path}: {}", name.trim_start_matches("siem/main/"));
            assert!(code == Some(1) && said.contains(&named) && said.contains(said_of_it), "{said}");
            let never = city.folder.path().join("never");
            let args = ["restore", "--data", text(&never), "--config", text(&city.config), &city.address];
            let output = run(&args);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(3) && said.contains(&path) && !never.exists(), "{said}");
            if said_of_it != "is damaged" {
                // The next backup finds that out by itself.
                assert!(0 < number(&city.back_up(), "sent_files"));
                assert_eq!(city.drill(&[]).0, Some(0));
            }
            s3.put_back(&name, before);
        }
    }
    // An index that was altered is no backup any more; the one before it is.
    let newest = s3.names().into_iter().filter(|name| name.starts_with("siem/main/backups/")).max().unwrap();
    let before = s3.alter(&newest, flip);
    let (code, said) = city.drill(&[]);
    assert!(code == Some(1) && said.contains("was altered"), "{said}");
    assert_eq!(city.run(&["restore", "--list"]).0, Some(1));
    assert_eq!(city.drill(&["--backup", made["backup"].as_str().unwrap()]).0, Some(0));
    s3.put_back(&newest, before);
    assert_eq!(city.drill(&[]).0, Some(0));
    assert_eq!(city.hidden(), [""; 0]);
}

#[test]
fn a_backup_that_is_cut_off_is_none_and_the_next_one_goes_on() {
    let s3 = S3::start(None);
    let mut city = City::in_a_bucket(&s3);
    let config = std::fs::read_to_string(&city.config).unwrap().replace("retry_max_s = 20", "retry_max_s = 1");
    std::fs::write(&city.config, config).unwrap();
    city.back_up();
    let backups = |s3: &S3| s3.names().iter().filter(|name| name.contains("/backups/")).count();
    let (mut cuts, mut made) = (0, 1);
    // The store dies after ever more requests, until a backup comes through.
    for step in 0..20 {
        if cuts == 0 {
            city.more();
            std::fs::write(city.data.join("geoip/ballast"), noise(step + 9, BALLAST_BYTES)).unwrap();
        }
        s3.trouble(Trouble::DeadAfter((step as usize) * 4));
        let (code, said) = city.run(&["backup"]);
        s3.trouble(Trouble::None);
        if code == Some(0) {
            made += 1;
            break;
        }
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("s3://city/siem/main"), "{said}");
        assert_eq!(backups(&s3), made, "a backup that was cut off is none");
        cuts += 1;
    }
    assert!(2 < cuts && made == 2 && backups(&s3) == 2, "{cuts} cuts, {made} backups");
    assert_eq!(city.restored("after-cuts", &[]), city.sent);

    // Killed while it sends, at three places.
    for after in [2, 8, 16] {
        city.more();
        std::fs::write(city.data.join("geoip/ballast"), noise(after as u64 + 99, BALLAST_BYTES)).unwrap();
        s3.trouble(Trouble::HangAfter(after));
        let hung = s3.counts().1;
        let mut child = Command::new(NHATLE)
            .args(city.args(&["backup"]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("it sends", PATIENCE, || hung < s3.counts().1);
        child.kill().unwrap();
        child.wait().unwrap();
        s3.trouble(Trouble::None);
        assert_eq!(backups(&s3), made);
        assert_eq!(city.drill(&[]).0, Some(0), "the one before is whole");
        city.back_up();
        made += 1;
        let (code, said) = city.drill(&[]);
        assert!(code == Some(0) && said.contains(&format!("events {}", city.sent)), "{said}");
    }
}

#[test]
fn old_backups_go_by_the_rule_and_what_others_need_stays() {
    let s3 = S3::start(None);
    let mut city = City::in_a_bucket(&s3);
    let first = city.back_up();
    std::fs::write(city.data.join("geoip/ballast"), noise(8, BALLAST_BYTES)).unwrap();
    city.more();
    city.back_up();
    city.more();
    let third = city.back_up_with(&["--keep", "2"]);
    assert_eq!((number(&third, "deleted_backups"), number(&third, "deleted_objects")), (1, 0), "young objects stay");
    assert_eq!(city.drill(&["--backup", first["backup"].as_str().unwrap()]).0, Some(2), "it is gone");
    let objects = s3.names().len();
    s3.age(40);
    let fourth = city.back_up_with(&["--keep", "2"]);
    assert_eq!(number(&fourth, "deleted_backups"), 1, "{fourth}");
    assert!((BALLAST_BYTES as u64) < number(&fourth, "deleted_bytes"), "{fourth}");
    assert!((BALLAST_BYTES as u64) < number(&fourth, "kept_bytes"), "{fourth}");
    assert!(s3.names().len() < objects);
    let (_, listed) = city.run(&["restore", "--list"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    for line in listed.lines() {
        assert_eq!(city.drill(&["--backup", line.split(':').next().unwrap()]).0, Some(0), "{line}");
    }
    // Objects nobody names, older than what is gone on with, are sent anew.
    let names: Vec<String> = s3.names().into_iter().filter(|name| name.contains("/backups/")).collect();
    names.iter().for_each(|name| drop(s3.alter(name, |_| None)));
    let anew = city.back_up();
    assert!(number(&anew, "kept_bytes") < number(&anew, "sent_bytes"), "{anew}");
    // Where a backup that stays is damaged nobody knows what it needs.
    let name = s3.names().into_iter().find(|name| name.contains("/backups/")).unwrap();
    s3.alter(&name, |_| Some(b"{}".to_vec()));
    let (code, said) = city.run(&["backup", "--keep", "5"]);
    assert!(code == Some(3) && said.contains("no object is deleted"), "{said}");
}

#[test]
fn a_bucket_is_reached_over_tls_with_an_authority_of_ones_own() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let s3 = S3::start(Some(Arc::new(tls)));
    let city = City::in_a_bucket(&s3);
    let config = std::fs::read_to_string(&city.config).unwrap().replace("retry_max_s = 20", "retry_max_s = 1");
    std::fs::write(&city.config, &config).unwrap();
    let (code, said) = city.run(&["backup"]);
    assert!(code == Some(3) && s3.names().is_empty(), "an authority nobody named: {said}");
    let ca = city.folder.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    std::fs::write(&city.config, format!("{config}ca = {ca:?}\n")).unwrap();
    city.back_up();
    assert_eq!(city.restored("again", &[]), city.sent);
}

#[test]
fn what_cannot_be_is_told_with_its_exit_code() {
    let s3 = S3::start(None);
    let city = City::in_a_bucket(&s3);
    let bare = |args: &[&str], environment: &[(&str, &str)]| -> Output {
        let mut command = Command::new(NHATLE);
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_REGION"];
        for name in names {
            command.env_remove(name);
        }
        command.args(args).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap()
    };
    let (data, config) = (text(&city.data), text(&city.config));
    let file = text(city.folder.path()).to_owned() + "/1.backup";
    let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ENDPOINT_URL", &s3.endpoint)];
    let far = [keys[0], keys[1], ("AWS_ENDPOINT_URL", "http://minio.example:9000")];
    for (code, args, environment) in [
        // No credentials; keys of the city in the clear; no address.
        (2, &["backup", "--data", data, "s3://city/a"][..], &[][..]),
        (2, &["backup", "--data", data, "s3://city/a"], &far),
        (2, &["backup", "--data", data, "s3://c/../a"], &keys),
        (2, &["backup", "--data", data, "gs://city/a"], &keys),
        // What goes with files, and what with object stores.
        (2, &["backup", "--data", data, "--since", config, "s3://city/a"], &keys),
        (2, &["backup", "--data", data, "--keep", "3", &file], &[]),
        (2, &["restore", "--list", &file], &[]),
        (2, &["restore", "--drill", "s3://city/a", "s3://city/b"], &keys),
        (2, &["restore", "--drill", "s3://city/none"], &keys),
        // The world: a bucket that is not there, credentials nobody knows.
        (3, &["backup", "--data", data, "s3://village/a"], &keys),
        (3, &["backup", "--data", data, "s3://city/a"], &[("AWS_ACCESS_KEY_ID", "other"), keys[1], keys[2]]),
        (3, &["restore", "--drill", "s3://city/a"], &[("AWS_ACCESS_KEY_ID", "other"), keys[1], keys[2]]),
        // And with the environment alone it works.
        (0, &["backup", "--data", data, "s3://city"], &keys),
        (0, &["restore", "--list", "s3://city"], &keys),
    ] {
        let output = bare(args, environment);
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    // A store that knows less than what is there is another one.
    city.back_up();
    let other = city.folder.path().join("other");
    token(&other, "sender", "ingest", None);
    let output = run(&["backup", "--data", text(&other), "--config", config, &city.address]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("one prefix is for one store"), "{said}");
}
