//! A ward account sees its ward only: every route of the pages and the API, walked as one ward, on a live
//! server that holds events, alerts and incidents of two.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use nhatle_ui::routes::{TABLE, Verb};
use serde_json::Value;

use crate::cli::add_user;
use crate::support::{Answer, PATIENCE, Server, request, token, wait_for};

const OWN: (&str, &str) = ("18853", "cuanha");
const OTHER: (&str, &str) = ("18856", "hangxom");
pub const PASSWORD: &str = "mot-mat-khau-dai";

/// One event that raises an alert, all of whose texts say whose it is.
fn push(server: SocketAddr, bearer: &str, word: &str) {
    let text = format!("{word} : TTY=pts/1 ; PWD=/home/{word} ; USER=root ; COMMAND=/usr/bin/vi /etc/sudoers");
    let body = serde_json::json!({
        "@timestamp": "2026-02-03T04:05:06Z", "host.name": format!("may-{word}"), "user.name": word, "message": text,
        "process.name": "sudo", "event.module": "linux", "event.dataset": "linux.auth", "event.id": format!("id-{word}"),
        "nhatle.unit": "18853", "source.ip": "203.0.113.9",
    });
    // As a syslog line it is what rules read; pushed as JSON it is what a strange sender may claim.
    let line = format!("<86>Feb  3 04:05:06 may-{word} sudo: {text}");
    for body in [format!("{body}\n"), format!("{}\n", serde_json::json!({"message": line}))] {
        let answer = request(server, "POST", "/api/v1/events", &[("Authorization", bearer)], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn get(server: SocketAddr, bearer: &str, path: &str) -> Answer {
    request(server, "GET", path, &[("Authorization", bearer)], b"").unwrap()
}

/// Signs in; gives the session's cookie and the token of its forms.
pub fn sign_in(server: SocketAddr, user: &str) -> (String, String) {
    let page = request(server, "GET", "/login", &[], b"").unwrap();
    let (visitor, csrf) = (cookie(&page), csrf(&page.body));
    let form = format!("csrf={csrf}&user={user}&password={PASSWORD}");
    let headers = [("Cookie", visitor.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let answer = request(server, "POST", "/login", &headers, form.as_bytes()).unwrap();
    assert_eq!(answer.status, 303, "{answer:?}");
    let session = cookie(&answer);
    let page = request(server, "GET", "/account", &[("Cookie", &session)], b"").unwrap();
    assert_eq!(page.status, 200, "{page:?}");
    (session, self::csrf(&page.body))
}

/// Every cookie an answer sets, as a browser sends them back.
pub fn cookie(answer: &Answer) -> String {
    let set =
        answer.head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie: ")).map(|line| &line[12..]);
    set.map(|line| line.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

/// The token of a page's forms.
pub fn csrf(body: &str) -> String {
    let at = body.find("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("no form in {body}")) + 19;
    body[at..].split('"').next().unwrap().to_owned()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    value.as_array().unwrap().iter().map(|one| one[key].as_str().map_or(one[key].to_string(), str::to_owned)).collect()
}

#[test]
fn no_route_shows_a_ward_what_is_another_wards() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for (unit, word) in [OWN, OTHER] {
        assert!(add_user(data, &format!("nguoi-{unit}"), "ward", Some(unit), PASSWORD).status.success(), "{word}");
    }
    let bearer = |name: &str, role: &str, unit: Option<&str>| format!("Bearer {}", token(data, name, role, unit));
    let (own_push, other_push) = (bearer("a", "ingest", Some(OWN.0)), bearer("b", "ingest", Some(OTHER.0)));
    let (admin, ward) = (bearer("c", "admin", None), bearer("d", "ward", Some(OWN.0)));
    let server = Server::start(data, &[]);
    let http = server.http;
    push(http, &own_push, OWN.1);
    push(http, &other_push, OTHER.1);
    let alerts = || get(http, &admin, "/api/v1/alerts").json();
    wait_for("both wards have alerts", PATIENCE, || {
        let text = alerts().to_string();
        text.contains(OWN.1) && text.contains(OTHER.1)
    });
    wait_for("both wards have incidents", PATIENCE, || {
        let text = get(http, &admin, "/api/v1/incidents").body;
        text.contains(OTHER.1) || 2 <= get(http, &admin, "/api/v1/incidents").json()["total"].as_u64().unwrap()
    });
    let hits = get(http, &admin, "/api/v1/search?q=*&limit=100").json();
    let events: Vec<&Value> = hits["hits"].as_array().unwrap().iter().collect();
    assert!(events.iter().any(|one| one.to_string().contains(OTHER.1)));
    let alert_rows = alerts();
    let incidents = get(http, &admin, "/api/v1/incidents").json();
    let mut ids: Vec<String> = texts(&alert_rows["alerts"], "id");
    ids.extend(texts(&incidents["incidents"], "number"));
    for event in events {
        ids.extend(
            event
                .as_object()
                .unwrap()
                .iter()
                .filter(|(key, _)| key.contains("id"))
                .map(|(_, value)| value.as_str().map_or(value.to_string(), str::to_owned)),
        );
    }
    ids.sort();
    ids.dedup();

    let (session, form_token) = sign_in(http, &format!("nguoi-{}", OWN.0));
    let questions = [
        "",
        "?q=*",
        "?q=hangxom",
        "?q=nhatle.unit:18856",
        "?q=NOT%20nhatle.unit:18853&limit=500",
        "?text=hangxom",
        "?unit=18856",
        "?user=hangxom",
        "?entity=hangxom",
        "?host=may-hangxom",
        "?facet=user.name&facet=host.name&buckets=10",
        "?q=*&cursor=0",
        "?lang=en",
    ];
    let mut walked = 0;
    let mut has_own = false;
    for route in TABLE {
        // These go on until somebody leaves; below.
        if matches!(route.path, "/live" | "/api/v1/tail" | "/search/tail/stream") {
            continue;
        }
        let paths: Vec<String> = match route.path.find('{') {
            Some(at) => {
                let rest = &route.path[route.path.find('}').unwrap() + 1..];
                ids.iter().map(|id| format!("{}{id}{rest}", &route.path[..at])).collect()
            }
            None => questions.iter().map(|question| format!("{}{question}", route.path)).collect(),
        };
        // Signing out would end the walk; it shows nothing.
        if route.path == "/logout" {
            continue;
        }
        for path in paths {
            let mut answers = Vec::new();
            if route.verb == Verb::Get {
                answers.push(get(http, &ward, &path));
                answers.push(request(http, "GET", &path, &[("Cookie", &session)], b"").unwrap());
            } else if path.starts_with("/api/") {
                for body in ["{\"kind\":\"note\",\"text\":\"x\"}", "{\"title\":\"t\",\"level\":\"low\",\"alerts\":[]}"]
                {
                    let headers = [("Authorization", ward.as_str()), ("Content-Type", "application/json")];
                    answers.push(request(http, route.verb.as_str(), &path, &headers, body.as_bytes()).unwrap());
                }
            } else if !path.starts_with("/account") && !path.starts_with("/login") && !path.starts_with("/setup") {
                let form = format!("csrf={form_token}&kind=note&note=x&version=1");
                let headers = [("Cookie", session.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
                answers.push(request(http, "POST", &path, &headers, form.as_bytes()).unwrap());
            }
            for answer in answers {
                walked += 1;
                has_own |= answer.body.contains(OWN.1);
                // What was asked comes back in a form's field; that is not the other ward's.
                let asked = path.contains(OTHER.1);
                let shown = answer.body.contains(&format!("may-{}", OTHER.1)) && !path.contains("may-hangxom");
                assert!(!shown, "{} {path} shows the other ward: {}", route.verb.as_str(), answer.body);
                assert!(asked || !answer.body.contains(OTHER.1), "{} {path}: {}", route.verb.as_str(), answer.body);
                assert!(answer.status < 500, "{} {path}: {answer:?}", route.verb.as_str());
            }
        }
    }
    assert!(has_own && 100 < walked, "the walk saw nothing: {walked}");
    println!("ward: {walked} answers of {} routes", TABLE.len());
    // And nothing of the other ward was changed by the walk.
    for row in get(http, &admin, "/api/v1/alerts").json()["alerts"].as_array().unwrap() {
        if row.to_string().contains(OTHER.1) {
            let id = row["id"].as_str().unwrap();
            let detail = get(http, &admin, &format!("/api/v1/alerts/{id}")).json();
            assert_eq!(detail["history"].to_string().matches("nguoi-").count(), 0, "{detail}");
        }
    }
    // A tail shows its own only, while both go on.
    let mut tail = TcpStream::connect(http).unwrap();
    tail.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(tail, "GET /api/v1/tail HTTP/1.1\r\nHost: {http}\r\nAuthorization: {ward}\r\n\r\n").unwrap();
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    let mut read = |shown: &mut Vec<u8>| match tail.read(&mut buffer) {
        Ok(length @ 1..) => {
            shown.extend_from_slice(&buffer[..length]);
            true
        }
        _ => false,
    };
    while read(&mut shown) && !shown.windows(4).any(|window| window == b"\r\n\r\n") {}
    assert!(shown.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&shown));
    for (push, word) in [(&other_push, OTHER.1), (&own_push, OWN.1)] {
        let body = format!("{{\"message\": \"{word} dang noi\"}}\n");
        assert_eq!(
            request(http, "POST", "/api/v1/events", &[("Authorization", push)], body.as_bytes()).unwrap().status,
            200
        );
    }
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && !String::from_utf8_lossy(&shown).contains(OWN.1) {
        read(&mut shown);
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(shown.contains(OWN.1) && !shown.contains(OTHER.1), "{shown}");
    // A count is a leak too.
    let counted = get(http, &ward, "/api/v1/search?q=hangxom&limit=1").json();
    assert_eq!(counted["total"], 0, "{counted}");
}

/// The name of a host is the sender's own word: who names a machine of another unit has a row of its own, sees no count
/// of the other and plans no outage for it.
#[test]
fn a_ward_that_names_another_wards_machine_gets_a_row_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let bearer = |name: &str, role: &str, unit| format!("Bearer {}", token(folder.path(), name, role, unit));
    let (own_push, other_push) = (bearer("a", "ingest", Some("A")), bearer("b", "ingest", Some("B")));
    let city_push = bearer("c", "ingest", None);
    let (own, other, city) =
        (bearer("d", "ward", Some("A")), bearer("e", "ward", Some("B")), bearer("f", "admin", None));
    let rows = |server: &Server, who: &str| -> Vec<(String, u64)> {
        let rows = get(server.http, who, "/api/v1/sources").json();
        let row = |row: &Value| (row["name"].as_str().unwrap().to_owned(), row["received"].as_u64().unwrap());
        rows["sources"].as_array().unwrap().iter().map(row).collect()
    };
    let named =
        |rows: &[(&str, u64)]| rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>();
    // A restart changes nothing of whose a name is.
    for round in 1..=2 {
        let server = Server::start(folder.path(), &[]);
        for (push, host) in
            [(&city_push, "may-tp"), (&other_push, "may-b"), (&own_push, "may-b"), (&own_push, "may-tp")]
        {
            let body = format!("{{\"host.name\": \"{host}\", \"message\": \"x\"}}\n");
            let answer = request(server.http, "POST", "/api/v1/events", &[("Authorization", push)], body.as_bytes());
            assert_eq!(answer.unwrap().status, 200);
        }
        assert_eq!(rows(&server, &own), named(&[("A/may-b", round), ("A/may-tp", round)]));
        assert_eq!(rows(&server, &other), named(&[("may-b", round)]));
        assert_eq!(rows(&server, &city).len(), 4);
        for source in ["may-b", "may-tp"] {
            let outage =
                serde_json::json!({"source": source, "until": "2999-01-01T00:00:00Z", "reason": "x"}).to_string();
            let headers = [("Authorization", own.as_str()), ("Content-Type", "application/json")];
            let answer = request(server.http, "POST", "/api/v1/outages", &headers, outage.as_bytes()).unwrap();
            assert_eq!(answer.status, 404, "{answer:?}");
        }
        server.stop();
    }
}

/// An incident shows a ward nothing of a machine that is of no unit, which is the city's, also where an alert of the ward
/// joined it.
#[test]
fn an_incident_of_the_city_is_hidden_from_a_ward_whose_alert_joined_it() {
    let folder = tempfile::tempdir().unwrap();
    let bearer = |name: &str, role: &str, unit| format!("Bearer {}", token(folder.path(), name, role, unit));
    let (city_push, ward_push) = (bearer("a", "ingest", None), bearer("b", "ingest", Some("A")));
    let (city, ward) = (bearer("c", "analyst", None), bearer("d", "ward", Some("A")));
    let server = Server::start(folder.path(), &[]);
    let alerts = |who: &str| get(server.http, who, "/api/v1/alerts").json()["alerts"].as_array().unwrap().len();
    for (round, (push, host)) in [(&city_push, "may-bi-mat"), (&ward_push, "may-phuong")].into_iter().enumerate() {
        let text = "ketrom : TTY=pts/1 ; PWD=/home/ketrom ; USER=root ; COMMAND=/usr/bin/vi /etc/sudoers";
        let line = format!("<86>Feb  3 04:05:06 {host} sudo: {text}");
        let body = format!("{}\n", serde_json::json!({ "message": line }));
        let answer = request(server.http, "POST", "/api/v1/events", &[("Authorization", push)], body.as_bytes());
        assert_eq!(answer.unwrap().status, 200);
        wait_for("the alert", PATIENCE, || round < alerts(&city));
    }
    let incident = |who: &str| get(server.http, who, "/api/v1/incidents/1");
    wait_for("both are in one incident", PATIENCE, || {
        let body = incident(&city).body;
        body.contains("may-bi-mat") && body.contains("may-phuong")
    });
    assert_eq!(alerts(&ward), 1);
    assert_eq!(incident(&ward).status, 404);
    assert_eq!(get(server.http, &ward, "/api/v1/incidents").json()["total"], 0);
    let sql = serde_json::json!({"query": "SELECT * FROM incidents JOIN incident_alerts USING (number)"}).to_string();
    let headers = [("Authorization", ward.as_str()), ("Content-Type", "application/json")];
    let rows = request(server.http, "POST", "/api/v1/sql", &headers, sql.as_bytes()).unwrap().json();
    assert_eq!(rows["row_count"], 0, "{rows}");
}
