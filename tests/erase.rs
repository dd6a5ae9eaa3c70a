//! Erasing what is about one person, from outside: the command on a store that nobody runs, and the API of a server. The value
//! is nowhere in the segments afterwards, all else is found as before, `nhatle verify --deep`, a head kept from before, an
//! evidence package handed out before and the program in Python hold, also after a backup was put back.
//!
//! In: sshd lines of several accounts, in three seals, with the alert of a guessing among them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nhatle::erasure::{self, Order, Wanted};
use nhatle::registry::Registry;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::{Config, OsDisk, Store};
use serde_json::{Value, json};

use crate::pages::{PASSWORD, Visitor, csrf};
use crate::proof::{python, text, verify};
use crate::support::{Answer, NHATLE, PATIENCE, Server, request, run, stdout, token, wait_for};

const NAME: &str = "nguyen.van.an";

/// Lines of a round: one person fails to sign in again and again and then does, two others sign in between.
fn lines(round: i64) -> String {
    let line = |second: i64, said: &str, user: &str, address: &str| {
        let (minute, second) = (round * 20 + second / 60, second % 60);
        format!(
            "<86>1 2026-02-03T04:{minute:02}:{second:02}.000000+07:00 csdl-01 sshd 2345 - - {said} password for {user} from {address} port {} ssh2\n",
            40_000 + second
        )
    };
    let own = (0..20).map(|n| line(n * 4, "Failed", NAME, "203.0.113.9"));
    let others = (0..10).map(|n| line(n * 7 + 1, "Accepted", ["tran.thi.binh", "an"][n as usize % 2], "198.51.100.7"));
    own.chain([line(100, "Accepted", NAME, "203.0.113.9")]).chain(others).collect()
}

fn import(data: &Path, round: i64) {
    let file = data.with_extension(format!("{round}.txt"));
    std::fs::write(&file, lines(round)).unwrap();
    stdout(&["import", "--data", text(data), text(&file)]);
}

fn add_admin(data: &Path) {
    let mut child = Command::new(NHATLE)
        .args(["user", "add", "lan", "--role", "admin", "--password-stdin", "--data"])
        .arg(data)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success());
}

/// Exit code and everything said.
fn erase(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(&[&["erase"], arguments].concat());
    (output.status.code(), String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned())
}

fn count(data: &Path, query: &str) -> u64 {
    stdout(&["search", "--data", text(data), "--count", query]).trim().parse().unwrap()
}

/// The files below this folder that hold the bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut with = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            with.extend(files_with(&path, bytes));
        } else if std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            with.push(path.display().to_string());
        }
    }
    with
}

/// Everything of the segments as it is read, a line an event.
fn everything(data: &Path) -> String {
    stdout(&["search", "--data", text(data), "--format", "jsonl", "--limit", "10000", ""])
}

/// Keeps the newest head of a store.
fn keep_head(data: &Path, to: &Path) {
    let heads = std::fs::read_to_string(data.join("proof/heads")).unwrap();
    let newest = heads.trim_end().rsplit("\n\n").take(2).collect::<Vec<_>>();
    std::fs::write(to, format!("{}\n\n{}\n", newest[1], newest[0])).unwrap();
}

fn whole(data: &Path, head: &Path) -> String {
    let (code, said) = verify(&["--data", text(data), "--deep", "--head", text(head)]);
    assert_eq!(code, Some(0), "{said}");
    if let Some((code, said)) = python(&["--store", text(data), "--head", text(head)]) {
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("erased: erasure 1"), "{said}");
    }
    said
}

#[test]
fn a_person_is_erased_and_everything_given_out_before_still_holds() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (0..3).for_each(|round| import(&data, round));
    add_admin(&data);
    let (old, head) = (folder.path().join("old.tar"), folder.path().join("head.txt"));
    let other = ["evidence", "--data", text(&data), "--query", "user.name:tran.thi.binh", "-o", text(&old)];
    stdout(&other);
    keep_head(&data, &head);
    let (own, others) = (count(&data, NAME), count(&data, "user.name:tran.thi.binh"));
    assert!(60 < own && others == 15, "{own} {others}");
    let before = everything(&data);

    // The preview counts, names what is not reached, and changes nothing.
    let what = ["--subject", NAME, "--data", text(&data)];
    let plan = |more: &[&str]| erase(&[&["plan", "--json"], &what[..], more].concat());
    let (code, said) = plan(&[]);
    assert_eq!(code, Some(0), "{said}");
    let counted: Value = serde_json::from_str(said.trim()).unwrap();
    let events = counted["plan"]["events"].as_u64().unwrap();
    assert_eq!(
        (counted["plan"]["datasets"]["events"].clone(), &counted["plan"]["days"]),
        (json!(63), &json!(1)),
        "{said}"
    );
    assert!(
        63 < events && counted["not_reached"].as_array().unwrap().contains(&json!("backups")),
        "the alert has it, too: {said}"
    );
    let (_, said) = erase(&[&["plan"], &what[..]].concat());
    assert!(said.contains("backups made before") && said.contains(&format!("--expect {events}")), "{said}");

    // What makes no sense, and what is not confirmed, is refused; nothing is changed.
    let order =
        |more: &[&str]| erase(&[&["run", "--basis", "Luật 91/2025/QH15, đơn số 12", "--by", "lan"], more].concat());
    let expect = events.to_string();
    for (name, refused) in [
        ("another count", order(&[&what[..], &["--expect", "63"]].concat())),
        (
            "nobody's account",
            erase(&[&["run", "--basis", "b", "--by", "minh", "--expect", &expect], &what[..]].concat()),
        ),
        (
            "the value in the basis",
            erase(
                &[&["run", "--basis", "theo đơn của Nguyen.Van.An", "--by", "lan", "--expect", &expect], &what[..]]
                    .concat(),
            ),
        ),
        ("no basis", erase(&[&["run", "--basis", " ", "--by", "lan", "--expect", &expect], &what[..]].concat())),
        ("no value", order(&["--subject", "", "--expect", "1", "--data", text(&data)])),
        ("a value that is long", order(&["--subject", &"x".repeat(100_000), "--expect", "1", "--data", text(&data)])),
        ("nothing found", order(&["--subject", "nobody.at.all", "--expect", "1", "--data", text(&data)])),
        (
            "everything, not confirmed",
            order(&["--query", "*", "--fields", "host.name", "--expect", "1", "--data", text(&data)]),
        ),
        (
            "a field that must stay",
            order(&["--query", "*", "--fields", "event.module", "--expect", "1", "--data", text(&data)]),
        ),
    ] {
        assert_eq!(refused.0, Some(2), "{name}: {}", refused.1);
    }
    stdout(&[
        "retention",
        "hold",
        "--from",
        "2026-02-03",
        "--to",
        "2026-02-04",
        "--until",
        "2099-01-01",
        "--reason",
        "vụ 12",
        "--data",
        text(&data),
    ]);
    let (code, said) = order(&[&what[..], &["--expect", &expect]].concat());
    assert_eq!(code, Some(2));
    assert!(said.contains("hold 1"), "{said}");
    let (_, said) = plan(&[]);
    assert!(said.contains(r#""held":{"1":"#) && said.contains(r#""events":0"#), "{said}");
    stdout(&["retention", "release", "1", "--reason", "xong", "--data", text(&data)]);
    assert_eq!(everything(&data), before);

    let (code, said) = order(&[&what[..], &["--expect", &expect]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("erasure 1: {events} events")) && said.contains("receipt "), "{said}");
    assert_eq!(files_with(&data.join("segments"), NAME.as_bytes()), Vec::<String>::new());
    assert_eq!(files_with(&data.join("log"), NAME.as_bytes()), Vec::<String>::new());
    let after = everything(&data);
    assert!(!after.to_lowercase().contains(NAME));
    for query in [NAME, "user.name:nguyen.van.an", "event.original:nguyen", "nguyen*"] {
        assert_eq!(count(&data, query), 0, "{query}");
    }
    assert_eq!((count(&data, "user.name:tran.thi.binh"), count(&data, "user.name:an")), (15, 15));
    assert_eq!(count(&data, "nhatle.erased:1"), events);
    let unchanged =
        |text: &str| text.lines().filter(|line| line.contains("tran.thi.binh")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(unchanged(&before), unchanged(&after));
    let sql = stdout(&[
        "sql",
        "--data",
        text(&data),
        "select count(*) as n from events where \"user.name\" = 'nguyen.van.an'",
    ]);
    assert!(sql.contains('0') && !sql.contains("63"), "{sql}");
    // The register says who and why, not what.
    let shown = stdout(&["erase", "show", "--data", text(&data)]);
    assert!(shown.contains("by lan") && shown.contains("đơn số 12") && shown.contains("done"), "{shown}");
    let rows = files_with(&data, NAME.as_bytes());
    assert!(rows.iter().all(|file| file.contains("/state/") || file.contains("/register.sqlite")), "{rows:?}");

    // The proof holds, and says what was erased; so does what was handed out before.
    let said = whole(&data, &head);
    assert!(said.contains("erased: erasure 1") && said.contains("basis"), "{said}");
    let key = std::fs::read_to_string(data.join("pki/proof.pub")).unwrap();
    let package = |file: &Path, events: &str| {
        let (code, said) = verify(&[text(file), "--key", key.trim()]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("proved: {events} events")), "{said}");
        let Some((code, of_python)) = python(&["--key", key.trim(), text(file)]) else { return said };
        assert_eq!(code, 0, "{of_python}");
        assert_eq!(of_python.contains("something was erased"), said.contains("something was erased"), "{of_python}");
        said
    };
    package(&old, "15");
    let new = folder.path().join("new.tar");
    stdout(&[
        "evidence",
        "--data",
        text(&data),
        "--query",
        "nhatle.erased:1 OR user.name:an OR user.name:tran.thi.binh",
        "-o",
        text(&new),
    ]);
    let said = package(&new, "93");
    assert!(said.contains("of 63 of these events something was erased"), "{said}");
    assert_eq!(std::fs::read(&new).unwrap().windows(NAME.len()).filter(|window| *window == NAME.as_bytes()).count(), 0);

    // A backup of it can be put back, and holds.
    let (backup, again) = (folder.path().join("1.backup"), folder.path().join("again"));
    stdout(&["backup", "--data", text(&data), text(&backup)]);
    stdout(&["restore", text(&backup), "--data", text(&again)]);
    whole(&again, &head);
    assert_eq!(everything(&again), after);
    // Asked again: nothing is left.
    let (code, said) = order(&[&what[..], &["--expect", &expect]].concat());
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn a_running_server_erases_on_an_administrators_request() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (0..2).for_each(|round| import(&data, round));
    let head = folder.path().join("head.txt");
    let admin = format!("Bearer {}", token(&data, "boss", "admin", None));
    let analyst = format!("Bearer {}", token(&data, "reader", "analyst", None));
    let pushing = format!("Bearer {}", token(&data, "push", "ingest", Some("18853")));
    let config = folder.path().join("nhatle.toml");
    std::fs::write(&config, "[sentinel]\nenabled = false\n[storage]\nsubject_keys = true\n").unwrap();
    let server = Server::start(&data, &["--config", text(&config)]);
    // What comes now has a key: the same for the same person and address.
    let body: String = lines(2).lines().map(|line| format!("{}\n", json!({ "message": line }))).collect();
    let headers = [("Authorization", pushing.as_str())];
    assert_eq!(request(server.http, "POST", "/api/v1/events", &headers, body.as_bytes()).unwrap().status, 200);
    let call = |method: &str, path: &str, bearer: &str, body: Value| {
        let headers = [("Authorization", bearer), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        request(server.http, method, path, &headers, body.as_bytes()).unwrap()
    };
    let ask = |bearer: &str, body: Value| call("POST", "/api/v1/erasures", bearer, body);
    let (code, said) =
        erase(&["run", "--subject", NAME, "--basis", "b", "--by", "lan", "--expect", "1", "--data", text(&data)]);
    // The server does it, and what it refuses is refused.
    assert!(code == Some(2) && said.contains("lan is no administrator's account"), "{said}");
    assert_eq!(ask(&analyst, json!({ "subject": NAME })).status, 403);
    assert_eq!(ask(&admin, json!({ "subject": "" })).status, 422);
    assert_eq!(ask(&admin, json!({})).status, 422);
    assert_eq!(ask(&admin, json!({ "subject": NAME, "unknown": 1 })).status, 400);
    assert_eq!(ask(&admin, json!({ "query": "user.name:(" })).status, 422);
    let plan = ask(&admin, json!({ "subject": NAME })).json();
    let events = plan["events"].as_u64().unwrap();
    assert!(63 < events && plan["number"].is_null(), "{plan}");
    let keys = || {
        let found = call("GET", "/api/v1/search/top?q=&field=nhatle.subject_key&exact=1", &admin, Value::Null).json();
        let values = found["values"].as_array().unwrap().iter();
        values.map(|value| (value[0].to_string(), value[1].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let before = keys();
    assert_eq!(before.iter().map(|(_, events)| *events).collect::<Vec<_>>(), [21, 5, 5], "{before:?}");
    let refused = ask(&admin, json!({ "subject": NAME, "basis": "đơn số 7", "expect": 3 }));
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains(&format!("{events} events")), "{}", refused.body);
    let moment = |day: &str| format!("2026-02-{day}T00:00:00Z");
    let hold = json!({ "from": moment("02"), "to": moment("05"), "until": "2099-01-01T00:00:00Z", "reason": "vụ 12" });
    assert_eq!(call("POST", "/api/v1/retention/holds", &admin, hold).status, 201);
    let refused = ask(&admin, json!({ "subject": NAME, "basis": "đơn số 7", "expect": events }));
    assert!(refused.status == 422 && refused.body.contains("hold 1"), "{}", refused.body);
    let release = json!({ "kind": "release", "reason": "xong" });
    assert_eq!(call("POST", "/api/v1/retention/holds/1/changes", &admin, release).status, 200);
    let alerts = || call("GET", "/api/v1/alerts", &admin, Value::Null).body;
    assert!(alerts().contains(NAME), "{}", alerts());

    keep_head(&data, &head);
    let begun = ask(&admin, json!({ "subject": NAME, "basis": "đơn số 7", "expect": events }));
    assert_eq!(begun.status, 202, "{}", begun.body);
    assert!(begun.json()["receipt"].is_string() && begun.json()["number"] == 1);
    let shown = || call("GET", "/api/v1/erasures", &analyst, Value::Null).json();
    wait_for("the erasure", PATIENCE, || shown()["is_running"] == false);
    let shown = shown();
    let row = &shown["erasures"][0];
    assert_eq!(
        (&row["by"], &row["basis"], &row["events"]),
        (&json!("token:boss"), &json!("đơn số 7"), &json!(events)),
        "{shown}"
    );
    assert!(row["done"].is_string() && shown["trouble"].is_null(), "{shown}");
    let found = call("GET", &format!("/api/v1/search?q={NAME}"), &admin, Value::Null).json();
    assert_eq!(found["total"], 0, "{found}");
    assert!(!alerts().contains(NAME), "{}", alerts());
    let after = keys();
    assert_eq!(after.len(), 2, "the person's key is destroyed, those of others are as they were: {after:?}");
    assert!(after.iter().all(|one| before.contains(one)), "{after:?}");
    server.stop();
    assert_eq!(files_with(&data.join("segments"), NAME.as_bytes()), Vec::<String>::new());
    whole(&data, &head);
}

#[test]
fn an_administrator_counts_and_erases_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (0..2).for_each(|round| import(&data, round));
    add_admin(&data);
    token(&data, "boss", "admin", None);
    let auditor = format!("Bearer {}", token(&data, "minh", "auditor", None));
    let server = Server::start_without_sentinel(&data, &[]);
    let mut visitor = Visitor { web: server.http, cookies: Vec::new() };
    let login = format!("csrf={}&user=lan&password={}", csrf(&visitor.get("/login")), PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.post("/login", &login).status, 303);
    let csrf = csrf(&visitor.get("/erasures"));
    let said = |answer: &Answer, what: &str| {
        assert!(answer.status == 303 && answer.head.contains(what), "{what}: {} {}", answer.head, answer.body);
    };
    let settled = |visitor: &mut Visitor, mark: &str| {
        wait_for(mark, PATIENCE, || visitor.get("/erasures").body.contains(mark));
        visitor.get("/erasures")
    };

    let before = count(&data, NAME);
    // What makes no sense is said on the page; nothing is lost by it.
    said(&visitor.post("/erasures/count", &format!("csrf={csrf}&subject=lan&q=user.name:(")), "done=counting");
    let page = settled(&mut visitor, "Không xóa gì:");
    assert!(page.body.contains("chưa rõ") && !page.head.to_ascii_lowercase().contains("refresh:"), "{}", page.body);
    said(&visitor.post("/erasures/forget", &format!("csrf={csrf}")), "done=forgotten");
    assert!(!visitor.get("/erasures").body.contains("Không xóa gì:"));
    // A basis before anything was counted.
    said(&visitor.post("/erasures/confirm", &format!("csrf={csrf}&basis=x&read=yes&typed=1")), "refused=wrong-state");

    said(&visitor.post("/erasures/count", &format!("csrf={csrf}&subject={NAME}")), "done=counting");
    let page = settled(&mut visitor, "Xóa vĩnh viễn ở");
    assert!(page.body.contains(NAME) && page.body.contains("user.name"), "{}", page.body);
    assert!(page.body.contains("bản sao lưu đã làm trước đây"), "{}", page.body);
    // It names whom it is about: nobody else sees it.
    let seen = request(server.http, "GET", "/api/v1/erasures", &[("Authorization", &auditor)], b"").unwrap();
    assert!(seen.status == 200 && !seen.body.contains(NAME), "{}", seen.body);
    let (_, typed) = page.body.split_once("name=\"typed\"").unwrap();
    let typed = typed.split_once("pattern=\"").unwrap().1.split_once('|').unwrap().0;
    assert_eq!(
        visitor.post("/erasures/confirm", &format!("csrf={csrf}&basis=x&typed={typed}")).status,
        400,
        "not read"
    );
    assert_eq!(visitor.post("/erasures/confirm", &format!("csrf={csrf}&basis=x&read=yes")).status, 400, "not typed");
    let other = format!("csrf={csrf}&basis=x&read=yes&typed=1{typed}");
    said(&visitor.post("/erasures/confirm", &other), "refused=other-count");
    let confirm = format!("csrf={csrf}&basis={NAME}&read=yes&typed={typed}");
    said(&visitor.post("/erasures/confirm", &confirm), "done=erasing");
    settled(&mut visitor, "không hợp lệ");
    assert_eq!(count(&data, NAME), before, "the basis may not name the person, and nothing went");

    said(&visitor.post("/erasures/count", &format!("csrf={csrf}&subject={NAME}")), "done=counting");
    settled(&mut visitor, "Xóa vĩnh viễn ở");
    let confirm = format!("csrf={csrf}&basis=so+7&read=yes&typed={typed}");
    said(&visitor.post("/erasures/confirm", &confirm), "done=erasing");
    let page = settled(&mut visitor, "id=\"receipt\"");
    assert!(!page.body.contains(NAME), "{}", page.body);
    wait_for("the erasure", PATIENCE, || !visitor.get("/erasures").body.contains("chưa xong"));
    assert_eq!(count(&data, NAME), 0);
    let page = visitor.get("/erasures?lang=en");
    assert!(page.body.contains("so 7") && page.body.contains("lan"), "{}", page.body);
    said(&visitor.post("/erasures/forget", &format!("csrf={csrf}")), "done=forgotten");
    assert!(!visitor.get("/erasures").body.contains("id=\"receipt\""));
}

#[test]
fn an_erasure_that_was_interrupted_is_said_and_goes_on_when_the_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (0..2).for_each(|round| import(&data, round));
    add_admin(&data);
    // It begins and is written down; then the process ends.
    let begin = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (clock, disk) = (Arc::new(SystemClock), Arc::new(OsDisk::new(&data).unwrap()));
        let store = Store::open(disk, Config::default(), clock.clone()).unwrap();
        store.sign_with(nhatle::pki::heads::open_or_make(&data).unwrap());
        let registry = Registry::open(&data, runtime.handle().clone()).unwrap();
        let wanted = Wanted { subject: Some(NAME.to_owned()), ..Wanted::default() };
        let expect = erasure::preview(&store.snapshot(), &registry, &wanted, clock.now()).unwrap().events;
        let order = Order { actor: "cli".to_owned(), by: "lan".to_owned(), basis: "đơn số 12".to_owned(), expect };
        erasure::begin((&store, &registry), &wanted, order, clock.now()).unwrap();
        registry.close();
        expect
    };
    let events = begin();
    let shown = || stdout(&["erase", "show", "--data", text(&data)]);
    assert!(shown().contains("erasure 1") && shown().contains("nhatle erase resume"), "{}", shown());
    assert!(0 < count(&data, NAME));
    let server = Server::start(&data, &[]);
    wait_for("the erasure", PATIENCE, || shown().contains("done"));
    server.stop();
    assert!(shown().contains(&format!("{events} events of")), "{}", shown());
    assert_eq!(count(&data, NAME), 0);
    let (code, said) = erase(&["resume", "--data", text(&data)]);
    assert!(code == Some(0) && said.contains("nothing was interrupted"), "{said}");
    let kept = files_with(&data.join("state"), NAME.as_bytes());
    assert!(!kept.iter().any(|file| file.contains("/erasure-")), "{kept:?}");

    // Where no server runs, by the command.
    import(&data, 2);
    let events = begin();
    let (code, said) = erase(&["resume", "--data", text(&data)]);
    assert!(code == Some(0) && said.contains(&format!("erasure 2: {events} events")), "{said}");
    assert_eq!(count(&data, NAME), 0);
    let (code, said) = verify(&["--data", text(&data), "--deep"]);
    assert_eq!(code, Some(0), "{said}");
}
