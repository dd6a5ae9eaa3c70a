//! Times for heads by an authority (RFC 3161): asked over HTTP by the server, or carried by hand; in packages, on the page,
//! found by `nhatle verify`, `doctor` and `check.py`.
//!
//! In: an authority that openssl plays (`support/tsa.rs`), skipped where there is none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nhatle::evidence::archive;
use nhatle_storage::proof::stamp::Request;

use crate::pages::{PASSWORD, Visitor, add_user, csrf};
use crate::proof::{copy, python, store, text, verify};
use crate::support::tsa::Authority;
use crate::support::{PATIENCE, Server, run, stdout, token, wait_for};

/// What the authority on loopback does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Good,
    /// It answers with the time-stamp of somebody else's request.
    Stale,
    Garbage,
    Refuses,
    /// More than anybody reads.
    Endless,
}

/// An authority on loopback.
struct Web {
    authority: Arc<Authority>,
    mood: Arc<Mutex<Mood>>,
    at: SocketAddr,
}

impl Web {
    fn start(mood: Mood) -> Option<Web> {
        let authority = Arc::new(Authority::make()?);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = Web { authority, mood: Arc::new(Mutex::new(mood)), at: listener.local_addr().unwrap() };
        let (authority, mood) = (web.authority.clone(), web.mood.clone());
        // It ends with the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mood = *mood.lock().unwrap();
                drop(answer(stream, &authority, mood));
            }
        });
        Some(web)
    }

    fn become_(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn ca(&self) -> PathBuf {
        self.authority.path("ca.pem")
    }

    /// A configuration that asks it.
    fn config(&self, path: &Path) {
        let (at, ca) = (self.at, self.ca());
        let proof = format!("[proof]\ntimestamp_url = \"http://{at}/tsa\"\ntimestamp_ca = \"{}\"\n", ca.display());
        std::fs::write(path, format!("[sentinel]\nenabled = false\n{proof}")).unwrap();
    }
}

fn answer(stream: TcpStream, authority: &Authority, mood: Mood) -> std::io::Result<()> {
    let mut stream = stream;
    let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
    let body = loop {
        let count = stream.read(&mut buffer)?;
        asked.extend_from_slice(&buffer[..count]);
        let Some(at) = asked.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&asked[..at]).to_lowercase();
        assert!(head.starts_with("post /tsa ") && head.contains("application/timestamp-query"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        if at + 4 + length.parse::<usize>().unwrap() <= asked.len() {
            break asked[at + 4..].to_vec();
        }
    };
    let (status, answer) = match mood {
        Mood::Good => (200, authority.answer(&body)),
        Mood::Stale => {
            let request = Request::parse(&body).unwrap();
            (200, authority.answer(&Request { nonce: vec![7], ..request }.to_der()))
        }
        Mood::Garbage => (200, b"<html>sign in to the network</html>".to_vec()),
        Mood::Refuses => (503, Vec::new()),
        Mood::Endless => (200, vec![0x30; 1 << 20]),
    };
    write!(stream, "HTTP/1.1 {status} -\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len())?;
    stream.write_all(&answer)
}

fn stamps(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data.join("proof/stamps")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut stamps: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "tsr")).collect();
    stamps.sort();
    stamps
}

/// Both programs say the same of a package or store.
fn both(arguments: &[&str], ca: Option<&Path>, code: i32, words: &str) {
    let ca: Vec<&str> = ca.iter().flat_map(|ca| ["--timestamp-ca", text(ca)]).collect();
    let (found, said) = verify(&[arguments, &ca].concat());
    assert_eq!(found, Some(code), "{said}");
    assert!(said.contains(words), "{words}: {said}");
    let arguments: Vec<&str> = arguments.iter().map(|one| if *one == "--data" { "--store" } else { one }).collect();
    if let Some((found, said)) = python(&[&arguments[..], &ca].concat()) {
        assert_eq!(found, code, "{said}");
    }
}

fn visitor(web: SocketAddr) -> Visitor {
    let mut visitor = Visitor { web, cookies: Vec::new() };
    let login = format!("csrf={}&user=lan&password={}", csrf(&visitor.get("/login")), PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.post("/login", &login).status, 303);
    visitor
}

#[test]
fn a_server_gets_times_for_its_heads_and_packages_hold_them() {
    let Some(web) = Web::start(Mood::Good) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("nhatle.toml"));
    store(&data);
    add_user(&data);
    web.config(&config);
    let server = Server::start(&data, &["--config", text(&config)]);
    wait_for("the first time-stamp", PATIENCE, || !stamps(&data).is_empty());
    // Something new: who asks for a package waits for the time of its head.
    token(&data, "later", "ingest", None);
    let file = folder.path().join("incident.tar");
    stdout(&["evidence", "--data", text(&data), "--incident", "1", "-o", text(&file)]);
    both(&[text(&file)], Some(&web.ca()), 0, "time-stamp: existed at or before ");
    both(&[text(&file)], None, 0, "give --timestamp-ca");
    let stranger = web.authority.path("stranger.pem");
    both(&[text(&file)], Some(&stranger), 1, "no authority that is known");
    let files = archive::read(&std::fs::read(&file).unwrap()[..]).unwrap();
    std::fs::write(folder.path().join("head.tsq"), &files["head.tsq"]).unwrap();
    std::fs::write(folder.path().join("head.tsr"), &files["head.tsr"]).unwrap();
    assert!(web.authority.accepts(&folder.path().join("head.tsq"), &folder.path().join("head.tsr")));
    // The time-stamp of another head, all signed anew by who has the key.
    let key = nhatle::pki::heads::open(&data).unwrap();
    let mut forged = files.clone();
    let first = &stamps(&data)[0];
    for ending in ["tsq", "tsr"] {
        forged.insert(format!("head.{ending}"), std::fs::read(first.with_extension(ending)).unwrap());
    }
    if forged["head.tsr"] == files["head.tsr"] {
        let answer = web.authority.answer(&Request { imprint: [1; 32], nonce: vec![1] }.to_der());
        forged.insert("head.tsr".to_owned(), answer);
    }
    let path = folder.path().join("forged.tar");
    std::fs::write(&path, archive::write(&crate::proof::signed_anew(forged, &key)).unwrap()).unwrap();
    both(&[text(&path)], None, 1, "head.tsr");

    let mut visitor = visitor(server.http);
    for (language, words) in [("vi", "Đã có vào hoặc trước lúc"), ("en", "Existed at or before")] {
        let page = visitor.get(&format!("/proof?lang={language}")).body;
        assert!(page.contains(words) && page.contains("Time-of-tsa"), "{page}");
    }
    let json = visitor.get("/api/v1/proof").json();
    assert_eq!((&json["stamp"]["is_chained"], &json["stamp"]["trouble"]), (&true.into(), &serde_json::Value::Null));
    let tar = visitor.get("/incidents/1/evidence");
    assert_eq!(tar.status, 200, "{}", tar.body);
    server.stop();
    both(&["--data", text(&data)], Some(&web.ca()), 0, "time-stamped: head ");
}

#[test]
fn an_authority_that_fails_is_told_and_nothing_waits_for_it() {
    let Some(web) = Web::start(Mood::Refuses) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("nhatle.toml"));
    store(&data);
    add_user(&data);
    web.config(&config);
    let server = Server::start(&data, &["--config", text(&config)]);
    let state = || std::fs::read_to_string(data.join("proof/stamps/state.json")).unwrap_or_default();
    wait_for("the refusal", PATIENCE, || state().contains("answers 503"));
    let doctor = |words: &str| {
        let output = run(&["doctor", "--json", "--lang", "en", "--data", text(&data), "--config", text(&config)]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find(|line| line.contains("\"timestamps\"")).unwrap_or_default().to_owned();
        assert!(line.contains(words), "{words}: {said}");
    };
    doctor("answers 503");
    let page = visitor(server.http).get("/proof?lang=en").body;
    assert!(page.contains("answers 503") && page.contains("No head has a time-stamp yet."), "{page}");
    for (mood, words) in [
        (Mood::Garbage, "no time-stamp: "),
        (Mood::Stale, "its nonce is not ours"),
        (Mood::Endless, "read the answer"),
        (Mood::Refuses, "answers 503"),
    ] {
        web.become_(mood);
        let name = format!("{mood:?}");
        token(&data, &name, "ingest", None);
        let file = folder.path().join(&name);
        wait_for(words, PATIENCE, || {
            // Trying again at once is refused: it is asked at most every two seconds.
            drop(std::fs::remove_file(&file));
            stdout(&["evidence", "--data", text(&data), "--query", "sshd", "-o", text(&file)]);
            state().contains(words)
        });
        both(&[text(&file)], None, 0, "proved: ");
    }
    assert!(stamps(&data).is_empty());
    let said = server.errors();
    assert!(said.matches("no time-stamp for a head").count() <= 6, "said once each: {said}");
    web.become_(Mood::Good);
    wait_for("a time-stamp", PATIENCE, || {
        drop(std::fs::remove_file(folder.path().join("last")));
        stdout(&["evidence", "--data", text(&data), "--query", "sshd", "-o", text(&folder.path().join("last"))]);
        !stamps(&data).is_empty()
    });
    both(&[text(&folder.path().join("last"))], Some(&web.ca()), 0, "time-stamp: ");
    server.stop();
    doctor("by Time-of-tsa");
}

#[test]
fn a_time_is_carried_by_hand_and_a_store_put_back_or_altered_is_found_by_it() {
    let Some(authority) = Authority::make() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (data, ca) = (path("data"), authority.path("ca.pem"));
    store(&data);
    let yesterday = path("yesterday");
    copy(&data, &yesterday);
    let ask = |name: &str| stdout(&["proof", "request-timestamp", "--data", text(&data), "-o", text(&path(name))]);
    token(&data, "later", "ingest", None);
    // Signs a head over the register as it is now.
    let made = path("first.tar");
    stdout(&["evidence", "--data", text(&data), "--query", "sshd", "-o", text(&made)]);
    ask("head.tsq");
    ask("again.tsq");
    let asked = std::fs::read(path("head.tsq")).unwrap();
    assert_eq!(asked, std::fs::read(path("again.tsq")).unwrap(), "asked again, the same is asked");
    both(&["--data", text(&data)], Some(&ca), 0, "nothing altered");
    let request = Request::parse(&asked).unwrap();
    let add = |answer: &[u8], ca: &Path| {
        std::fs::write(path("head.tsr"), answer).unwrap();
        let (data, file) = (text(&data), path("head.tsr"));
        let output = run(&["proof", "add-timestamp", "--data", data, "--timestamp-ca", text(ca), text(&file)]);
        (output.status.code(), String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned())
    };
    let good = authority.answer(&asked);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (answer, ca, words) in [
        (&b"nothing"[..], &ca, "no time-stamp"),
        (&good[..good.len() - 1], &ca, "no time-stamp"),
        (&authority.answer(&Request { nonce: vec![7], ..request }.to_der()), &ca, "answers no request"),
        (&flipped, &ca, "signature"),
        (&good, &authority.path("stranger.pem"), "no authority that is known"),
        (&good, &path("head.tsq"), "certificate"),
    ] {
        let (code, said) = add(answer, ca);
        assert!(code != Some(0) && said.contains(words), "{words}: {said}");
        assert!(stamps(&data).is_empty());
    }
    let (code, said) = add(&good, &ca);
    assert!(code == Some(0) && said.contains("existed at or before"), "{said}");
    assert_eq!(add(&good, &ca).0, Some(2), "it waits no more");
    assert_eq!(
        run(&["proof", "request-timestamp", "--data", text(&data), "-o", text(&path("x"))]).status.code(),
        Some(2)
    );
    both(&["--data", text(&data)], Some(&ca), 0, "time-stamped: head ");
    // What the head covers goes into a package with its time, also after later ones were signed.
    let package = path("incident.tar");
    stdout(&["evidence", "--data", text(&data), "--query", "sshd", "-o", text(&package)]);
    both(&[text(&package)], Some(&ca), 0, "time-stamp: ");

    // A backup takes it along.
    let (backup, restored) = (path("1.backup"), path("restored"));
    stdout(&["backup", "--data", text(&data), text(&backup)]);
    stdout(&["restore", "--data", text(&restored), text(&backup)]);
    assert_eq!(stamps(&restored).len(), 1);
    both(&["--data", text(&restored)], Some(&ca), 0, "time-stamped: head ");

    // Put back to yesterday's copy, with the time-stamps of today.
    copy(&data.join("proof/stamps"), &yesterday.join("proof/stamps"));
    both(&["--data", text(&yesterday)], None, 1, "put back to an older state");
    // A head that says something else, its time-stamp as it was.
    let stamp = &stamps(&restored)[0];
    let newest = std::fs::read_to_string(stamp.with_extension("head")).unwrap();
    let signed = newest.trim_end().to_owned() + "\n" + newest.lines().last().unwrap() + "\n";
    std::fs::write(stamp.with_extension("head"), signed).unwrap();
    both(&["--data", text(&restored)], None, 1, "of other bytes");
    std::fs::write(stamp.with_extension("head"), newest).unwrap();
    let mut bytes = std::fs::read(stamp).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(stamp, bytes).unwrap();
    both(&["--data", text(&restored)], Some(&ca), 1, "the signature of the time-stamp does not hold");
}
