//! The router in process, over the fake desk: rights, forms, languages, headers, and what a ward may see.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use nhatle_event::{Clock, Timestamp};
use tower::ServiceExt;

use crate::account::{Language, Role};
use crate::guard::Access;
use crate::locale;
use crate::routes::{MACHINE_PATHS, Route, TABLE, Verb, router_of};
use crate::session::hash_password;
use crate::state::{State, UiConfig};

#[path = "../examples/gallery/fake.rs"]
mod fake;
#[path = "tests_exceptions.rs"]
mod exceptions;
#[path = "tests_rules.rs"]
mod rules;
#[path = "tests_search.rs"]
mod search;

use fake::{FakeDesk, NOW, UNITS};

const MARKS: [&str; 2] = ["MARKONE", "MARKTWO"];
const PASSWORD: &str = "a password of tests";

static HASH: LazyLock<String> = LazyLock::new(|| hash_password(PASSWORD).expect("a hash"));

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A router and its inside.
struct House {
    router: Router,
    state: Arc<State>,
}

/// What came back.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

fn house() -> House {
    let mut desk = FakeDesk::new(MARKS);
    for role in Role::ALL {
        let unit = (role == Role::Ward).then_some(UNITS[0]);
        desk =
            desk.with_account(role.as_str(), role.as_str(), role, unit, &HASH).with_token(role.as_str(), role.as_str());
    }
    let desk = desk
        .with_account("lost", "a ward account without a unit", Role::Ward, None, &HASH)
        .with_account("other", "the other ward MARKTWO", Role::Ward, Some(UNITS[1]), &HASH)
        .with_setup("first-start");
    let config = UiConfig { clock: Arc::new(Fixed), ..UiConfig::default() };
    let state = Arc::new(State::new(Arc::new(desk), config));
    House { router: router_of(Arc::clone(&state)), state }
}

impl House {
    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.expect("a router always answers");
        let (parts, body) = response.into_parts();
        let is_stream = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if is_stream { Default::default() } else { to_bytes(body, 1 << 22).await.expect("a body") };
        Reply { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// The cookie of a session of this account, and its form token.
    fn session(&self, user: &str) -> (String, String) {
        let id = self.state.sessions.start(user, &HASH, NOW);
        let csrf = self.state.sessions.find(&id, NOW).expect("just opened").csrf;
        (format!("nhatle={id}"), csrf)
    }

    async fn get(&self, path: &str, user: &str) -> Reply {
        let (cookie, _) = self.session(user);
        self.send(Request::get(path).header("cookie", cookie).body(Body::empty()).expect("a request")).await
    }

    async fn post(&self, path: &str, user: &str, form: &str) -> Reply {
        let (cookie, csrf) = self.session(user);
        let request = Request::post(path)
            .header("cookie", cookie)
            .header("host", "soc.example")
            .header("origin", "http://soc.example")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("{form}&csrf={csrf}")))
            .expect("a request");
        self.send(request).await
    }

    async fn call(&self, verb: &str, path: &str, token: &str, body: &str) -> Reply {
        let request = Request::builder()
            .method(verb)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(body.to_owned()))
            .expect("a request");
        self.send(request).await
    }
}

/// Paths of a route that name something of each ward and something that is not there.
fn paths(route: &Route) -> Vec<String> {
    let (first, second) =
        (nhatle_event::EventId::from(nhatle_event::Seq(1)), nhatle_event::EventId::from(nhatle_event::Seq(1001)));
    let names: Vec<String> = match route.path {
        path if path.contains("/alerts/{id}") => vec!["a00".into(), "a10".into(), "none".into()],
        path if path.contains("/incidents/") => vec!["1".into(), "2".into(), "99".into(), "x".into()],
        path if path.contains("/events/") => vec![first.to_string(), second.to_string(), "x".into()],
        path if path.contains("/rules/{id}") => vec!["5a1c0d1e-0001".into(), "x".into()],
        path if path.contains("/sources/{name}") => vec!["cong-ttMARKA".into(), "cong-ttMARKB".into(), "x".into()],
        path if path.contains("/outages/{number}") => vec!["1".into(), "x".into()],
        path if path.contains("{token}") => vec!["first-start".into(), "x".into()],
        path => return vec![path.to_owned()],
    };
    let (start, end) = (route.path.find('{').expect("a parameter"), route.path.find('}').expect("its end"));
    names.iter().map(|name| format!("{}{name}{}", &route.path[..start], &route.path[end + 1..])).collect()
}

/// Forms and bodies that make each changing route do something.
fn bodies(route: &Route) -> Vec<&'static str> {
    match (route.verb, route.path) {
        (Verb::Get, _) => vec![""],
        (_, "/alerts/{id}/changes") => {
            vec!["kind=acknowledge", "kind=note&note=seen", "kind=close&verdict=undetermined&note=n"]
        }
        (_, "/alerts/{id}/incident") => vec!["incident=1", "incident=2"],
        (_, "/incidents") => vec!["title=t&level=high&alert=a00", "title=t&level=high&alert=a10"],
        (_, "/incidents/{number}/changes") => {
            vec![
                "kind=note&note=seen",
                "kind=handover&layer=monitoring&note=please",
                "kind=close&verdict=undetermined&note=n",
            ]
        }
        (_, "/rules/{id}/changes") => {
            vec!["kind=disable&reason=noisy", "kind=set_level&level=low&reason=r", "kind=reset_level", "kind=enable"]
        }
        (Verb::Patch, "/api/v1/rules/{id}") => vec![r#"{"kind":"disable","reason":"noisy"}"#],
        (Verb::Patch, _) => vec![r#"{"kind":"note","text":"seen"}"#, r#"{"status":"acknowledged"}"#],
        (_, "/api/v1/incidents") => {
            vec![r#"{"title":"t","level":"high","alerts":["a00"]}"#, r#"{"title":"t","level":"high","alerts":["a10"]}"#]
        }
        (_, "/api/v1/incidents/{number}/changes") => vec![r#"{"kind":"note","text":"seen"}"#],
        _ => vec!["user=x&password=y&old=a&new=b&again=b"],
    }
}

const QUERIES: &[&str] =
    &["", "?lang=en", "?text=mark&limit=9&unit=nam-ly&owner=-", "?q=sshd&range=24&host=all&span=3600"];

/// Every reply a session and a token of this account can get out of every route.
async fn walk(house: &House, user: &str) -> Vec<(String, Reply)> {
    let mut replies = Vec::new();
    for route in TABLE {
        for path in paths(route) {
            for body in bodies(route) {
                let queries = if route.verb == Verb::Get { QUERIES } else { &QUERIES[..1] };
                for query in queries {
                    let path = format!("{path}{query}");
                    let name = format!("{} {path} as {user}", route.verb.as_str());
                    let reply = match route.verb {
                        _ if path.starts_with("/api/") => house.call(route.verb.as_str(), &path, user, body).await,
                        Verb::Get => house.get(&path, user).await,
                        _ => house.post(&path, user, body).await,
                    };
                    replies.push((name, reply));
                }
            }
        }
    }
    for path in MACHINE_PATHS.iter().chain(&["/static/nhatle.css", "/no/such/page", "/api/v1/none"]) {
        replies.push((format!("GET {path} as {user}"), house.get(path, user).await));
    }
    replies
}

#[tokio::test]
async fn a_ward_sees_nothing_of_another_ward_on_any_route() {
    let house = house();
    let replies = walk(&house, "ward").await;
    for (name, reply) in &replies {
        assert_ne!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{name}");
        assert!(!reply.body.contains(MARKS[1]), "{name} shows the other ward");
        assert!(!reply.body.contains("Nam Lý"), "{name} names the other ward");
    }
    let own = replies.iter().filter(|(_, reply)| reply.body.contains(MARKS[0])).count();
    assert!(40 < own, "the walk must see the own ward to mean anything: {own}");
    let city = house.get("/alerts/a10", "analyst").await;
    assert!(city.body.contains(MARKS[1]), "the other ward's data is there to be seen");
}

#[tokio::test]
async fn a_ward_account_without_a_unit_sees_no_ward() {
    let house = house();
    for (name, reply) in walk(&house, "lost").await {
        assert!(!MARKS.iter().any(|mark| reply.body.contains(mark)), "{name}");
    }
}

#[tokio::test]
async fn every_route_lets_in_its_roles_and_nobody_else() {
    for role in Role::ALL {
        let house = house();
        for (name, reply) in walk(&house, role.as_str()).await {
            let path = name.split_whitespace().nth(1).unwrap_or("").split('?').next().unwrap_or("");
            let verb = name.split_whitespace().next().unwrap_or("");
            let Some(route) =
                TABLE.iter().find(|route| route.verb.as_str() == verb && paths(route).iter().any(|one| one == path))
            else {
                continue;
            };
            let is_let_in = match route.access {
                Access::Public => true,
                Access::Roles(roles) => roles.contains(&role),
            };
            assert_eq!(reply.status == StatusCode::FORBIDDEN, !is_let_in, "{name}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn a_stranger_gets_nothing_but_the_public_routes() {
    let house = house();
    for route in TABLE {
        let path = paths(route).remove(0);
        let request = Request::builder().method(route.verb.as_str()).uri(&path).body(Body::empty()).expect("a request");
        let reply = house.send(request).await;
        assert!(!MARKS.iter().any(|mark| reply.body.contains(mark)), "{path}");
        if route.access != Access::Public {
            let is_refused = if path.starts_with("/api/") {
                reply.status == StatusCode::UNAUTHORIZED
            } else {
                reply.status == StatusCode::SEE_OTHER && reply.header("location").starts_with("/login")
            };
            assert!(is_refused, "{path}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn a_change_needs_the_form_token_and_our_own_origin() {
    let house = house();
    let (cookie, csrf) = house.session("analyst");
    let rows = [
        ("no token", "http://soc.example", String::new(), StatusCode::FORBIDDEN),
        ("another token", "http://soc.example", "0".repeat(64), StatusCode::FORBIDDEN),
        ("another site", "http://evil.example", csrf.clone(), StatusCode::FORBIDDEN),
        ("a hidden site", "null", csrf.clone(), StatusCode::FORBIDDEN),
        ("our own page", "http://soc.example", csrf, StatusCode::SEE_OTHER),
    ];
    for (name, origin, token, expected) in rows {
        let request = Request::post("/alerts/a00/changes")
            .header("cookie", &cookie)
            .header("host", "soc.example")
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("kind=acknowledge&csrf={token}")))
            .expect("a request");
        assert_eq!(house.send(request).await.status, expected, "{name}");
    }
    let by_cookie =
        Request::patch("/api/v1/alerts/a00").header("cookie", &cookie).body(Body::from("{}")).expect("a request");
    assert_eq!(house.send(by_cookie).await.status, StatusCode::FORBIDDEN, "the API with a cookie needs the token too");
}

async fn try_sign_in(house: &House, user: &str, password: &str) -> Reply {
    let visitor = "a".repeat(64);
    let form = format!("user={user}&password={}&next=%2Falerts&csrf={visitor}", password.replace(' ', "+"));
    let request = Request::post("/login")
        .header("cookie", format!("nhatle-visitor={visitor}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .expect("a request");
    house.send(request).await
}

#[tokio::test]
async fn signing_in_makes_a_session_and_guessing_is_stopped() {
    let house = house();
    let reply = try_sign_in(&house, "analyst", PASSWORD).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "/alerts"));
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("nhatle=")).expect("a session");
    assert!(session.contains("HttpOnly") && session.contains("SameSite=Strict"), "{session}");
    let pair = session.split(';').next().expect("a pair");
    let page = house.send(Request::get("/").header("cookie", pair).body(Body::empty()).expect("a request")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(
        try_sign_in(&house, "ingest", PASSWORD).await.status,
        StatusCode::UNAUTHORIZED,
        "a machine has no pages"
    );
    for _ in 0..10 {
        assert_eq!(try_sign_in(&house, "admin", "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(try_sign_in(&house, "admin", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_first_start_link_works_once() {
    let house = house();
    let visitor = "b".repeat(64);
    let request = || {
        let form = format!("user=chief&new=a+long+sentence+for+me&again=a+long+sentence+for+me&csrf={visitor}");
        Request::post("/setup/first-start")
            .header("cookie", format!("nhatle-visitor={visitor}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .expect("a request")
    };
    assert_eq!(house.send(request()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(house.send(request()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(try_sign_in(&house, "chief", "a long sentence for me").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_first_five_minutes_of_an_analyst_work_without_javascript() {
    let house = house();
    let taken = house.post("/alerts/next", "analyst", "").await;
    assert_eq!(taken.header("location"), "/alerts/a00?done=taken");
    let page = house.get("/alerts/a00?done=taken", "analyst").await;
    for expected in ["<mark>failure</mark>", "event.outcome: failure", "/around", "Failed password", "3c 38 36 3e"] {
        assert!(page.body.contains(expected), "{expected}");
    }
    let opened = house.post("/incidents", "analyst", "title=LSASS&level=critical&alert=a00&back=/alerts/a00").await;
    assert_eq!(opened.header("location"), "/incidents/3?done=opened");
    let steps = [
        ("kind=handover&layer=monitoring&note=night+shift", "done=handed-over"),
        ("kind=handover&layer=monitoring&note=again", "refused=same-layer"),
        ("kind=note&note=called+the+ward", "done=noted"),
        ("kind=close&verdict=&note=x", "refused=verdict-missing"),
        ("kind=close&verdict=true_positive&note=", "refused=note-missing"),
        ("kind=note&note=late&version=1", "refused=stale"),
        ("kind=close&verdict=true_positive&note=contained", "done=closed"),
    ];
    for (form, expected) in steps {
        let reply = house.post("/incidents/3/changes", "analyst", form).await;
        assert!(reply.header("location").contains(expected), "{form}: {}", reply.header("location"));
    }
    let page = house.get("/incidents/3?lang=en", "analyst").await;
    for expected in ["night shift", "called the ward", "contained", "Handed over", "Layer 2 – Professional monitoring"]
    {
        assert!(page.body.contains(expected), "{expected}");
    }
}

#[tokio::test]
async fn the_api_speaks_as_the_contract_says() {
    let house = house();
    let reply = house.call("GET", "/api/v1/search?q=sshd&limit=2", "analyst", "").await;
    let found: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!((found["total"].as_u64(), found["hits"].as_array().map(Vec::len)), (Some(60), Some(2)));
    assert!(found["total_is_exact"].is_boolean() && found["took_ms"].is_u64() && found.get("cursor").is_some());
    let reply = house.call("GET", "/api/v1/search?q=((", "analyst", "").await;
    let error: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!((reply.status, error["error"]["detail"]["offset"].as_u64()), (StatusCode::BAD_REQUEST, Some(0)));
    assert!(error["error"]["request_id"].as_str().is_some_and(|id| id.len() == 16));
    let rows = [
        ("PATCH", "/api/v1/alerts/a00", r#"{"status":"closed","verdict":"false_positive","note":"x"}"#, 200),
        ("PATCH", "/api/v1/alerts/a00", r#"{"status":"closed"}"#, 422),
        ("PATCH", "/api/v1/alerts/a00", r#"{"status":"gone"}"#, 400),
        ("PATCH", "/api/v1/alerts/none", r#"{"kind":"acknowledge"}"#, 404),
        ("POST", "/api/v1/incidents", r#"{"title":"t","level":"low"}"#, 201),
        ("POST", "/api/v1/incidents", r#"{"title":"","level":"low"}"#, 422),
        ("POST", "/api/v1/incidents/1/changes", r#"{"kind":"owner","owner":null,"version":3}"#, 200),
        ("POST", "/api/v1/incidents/1/changes", r#"{"kind":"note","text":"x","version":3}"#, 409),
        ("GET", "/api/v1/alerts?level=worst", "", 400),
        ("GET", "/api/v1/none", "", 404),
        ("DELETE", "/api/v1/sources", "", 405),
    ];
    for (verb, path, body, expected) in rows {
        let reply = house.call(verb, path, "analyst", body).await;
        assert_eq!(reply.status.as_u16(), expected, "{verb} {path} {body}: {}", reply.body);
        assert!(serde_json::from_str::<serde_json::Value>(&reply.body).is_ok(), "{path} answers JSON");
    }
    assert_eq!(house.call("GET", "/api/v1/alerts", "no-such-token", "").await.status, StatusCode::UNAUTHORIZED);
    let long = "x".repeat(crate::guard::BODY_BYTES_MAX + 1);
    assert_eq!(house.call("POST", "/api/v1/incidents", "analyst", &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn every_response_is_fenced() {
    let house = house();
    for path in ["/", "/login", "/healthz", "/static/main.js", "/no/such/page", "/api/v1/alerts", "/live"] {
        let reply = house.get(path, "analyst").await;
        assert!(reply.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
    }
    let reply = house.get("/no/such/page", "analyst").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert!(reply.body.contains(reply.header("x-request-id")), "the page names the request");
    assert_eq!(house.get("/live", "analyst").await.header("content-type"), "text/event-stream");
}

#[tokio::test]
async fn what_a_stranger_wrote_is_never_markup() {
    let hostile = ["<script>alert(1)</script>\u{202e}", "x"];
    let desk = FakeDesk::new(hostile).with_account("analyst", "<b>", Role::Analyst, None, &HASH);
    let config = UiConfig { clock: Arc::new(Fixed), ..UiConfig::default() };
    let state = Arc::new(State::new(Arc::new(desk), config));
    let house = House { router: router_of(Arc::clone(&state)), state };
    for path in ["/", "/alerts", "/alerts/a00", "/incidents/1", "/search?q=%3Cscript%3E", "/sources"] {
        let reply = house.get(path, "analyst").await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert!(!reply.body.contains("<script>") && !reply.body.contains("<b></a>"), "{path}");
        assert!(!reply.body.contains('\u{202e}'), "{path} lets text be reordered");
    }
}

#[tokio::test]
async fn language_comes_from_the_cookie_the_account_or_the_address() {
    let house = house();
    let (cookie, _) = house.session("analyst");
    assert!(house.get("/", "analyst").await.body.contains("<html lang=\"vi\""));
    assert!(house.get("/?lang=en", "analyst").await.body.contains("<html lang=\"en\""));
    let chosen = house.post("/preferences", "analyst", "language=en&back=/alerts?lang=vi").await;
    assert_eq!(chosen.header("location"), "/alerts");
    assert!(house.get("/", "analyst").await.body.contains("<html lang=\"en\""), "the account keeps it");
    let cookie = format!("{cookie}; nhatle-lang=vi; nhatle-theme=dark");
    let reply = house.send(Request::get("/").header("cookie", cookie).body(Body::empty()).expect("a request")).await;
    assert!(reply.body.contains("<html lang=\"vi\" data-theme=\"dark\""), "the cookie of this browser wins");
    let away = house.post("/preferences", "analyst", "theme=dark&back=//evil.example").await;
    assert_eq!(away.header("location"), "/");
}

fn ids(text: &str) -> BTreeSet<String> {
    let is_id = |line: &&str| line.starts_with(|first: char| first.is_ascii_lowercase());
    text.lines().filter(is_id).filter_map(|line| line.split_once(" =")).map(|(id, _)| id.to_owned()).collect()
}

/// Text of every template and source file of this crate.
fn sources() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["templates", "src", "src/pages", "src/model"] {
        for file in std::fs::read_dir(root.join(folder)).expect("a folder").flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if !name.starts_with("tests") && file.path().is_file() {
                found.push((name, std::fs::read_to_string(file.path()).expect("text")));
            }
        }
    }
    found
}

#[test]
fn both_languages_are_complete_and_every_message_is_used() {
    let (vi, en) = (ids(locale::VI), ids(locale::EN));
    assert_eq!(vi, en, "both files have the same messages");
    let texts = sources();
    let families: BTreeSet<&str> = [
        "alert-status-",
        "alive-reason-",
        "light-",
        "fit-hint-",
        "fit-state-",
        "incident-status-",
        "intake-",
        "done-",
        "enrollment-standing-",
        "entry-",
        "erasure-not-",
        "error-",
        "exception-step-",
        "explain-",
        "gap-",
        "how-",
        "hunt-state-",
        "intel-kind-",
        "places-",
        "preview-state-",
        "purpose-",
        "retention-state-",
        "standing-",
        "kind-",
        "layer-",
        "level-",
        "range-",
        "refusal-",
        "refused-",
        "rhythm-",
        "role-",
        "rule-standing-",
        "rule-step-",
        "sort-",
        "source-",
        "span-",
        "theme-",
        "verdict-",
    ]
    .into();
    for id in &vi {
        let quoted = format!("\"{id}\"");
        let is_used = texts.iter().any(|(_, text)| text.contains(&quoted));
        assert!(is_used || families.iter().any(|family| id.starts_with(family)), "{id} is not used");
    }
    for (name, text) in &texts {
        for call in [".t(\"", "both(\"", ".count(\"", "text(asked.language, \"", "Some(\"password-", "Some(\"sign-in-"]
        {
            for used in text.split(call).skip(1).filter_map(|rest| rest.split('"').next()) {
                let id = call.strip_prefix("Some(\"").map_or_else(|| used.to_owned(), |front| format!("{front}{used}"));
                assert!(vi.contains(&id), "{name} uses {id}");
            }
        }
    }
}

#[test]
fn every_word_of_an_enum_has_a_message() {
    use crate::model::{
        AlertSort, AlertStatus, EntryKind, IncidentStatus, Layer, LayerState, Level, SourceState, Verdict,
    };
    let mut wanted: Vec<String> = Vec::new();
    let mut family = |prefix: &str, words: Vec<&str>| {
        wanted.extend(words.iter().map(|word| format!("{prefix}{}", word.replace('_', "-"))));
    };
    family("alert-status-", AlertStatus::ALL.iter().map(|one| one.as_str()).collect());
    family("incident-status-", IncidentStatus::ALL.iter().map(|one| one.as_str()).collect());
    family("level-", Level::ALL.iter().map(|one| one.as_str()).collect());
    family("layer-", Layer::ALL.iter().map(|one| one.as_str()).collect());
    family("layer-state-", LayerState::ALL.iter().map(|one| one.as_str()).collect());
    family("verdict-", Verdict::ALL.iter().map(|one| one.as_str()).collect());
    family("entry-", EntryKind::ALL.iter().map(|one| one.as_str()).collect());
    family("source-", SourceState::ALL.iter().map(|one| one.as_str()).collect());
    family("sort-", AlertSort::ALL.iter().map(|one| one.as_str()).collect());
    family("role-", Role::ALL.iter().map(|one| one.as_str()).collect());
    family("done-", crate::pages::DONE.to_vec());
    family("explain-how-", crate::pages::explain::HOWS.to_vec());
    for (section, numbers) in crate::pages::explain::SECTIONS {
        family("explain-", vec![section]);
        family(&format!("explain-{section}-"), numbers.to_vec());
    }
    let known = ids(locale::VI);
    assert!(wanted.iter().all(|id| known.contains(id)), "{:?}", wanted.iter().find(|id| !known.contains(*id)));
    for language in Language::ALL {
        assert!(known.iter().all(|id| !locale::text(language, id).trim().is_empty()));
    }
}

#[test]
fn templates_have_nothing_inline_and_nothing_marked_safe() {
    for (name, text) in sources().iter().filter(|(name, _)| name.ends_with(".html")) {
        for forbidden in ["|safe", "| safe", " style=\"", "<style", " onclick=", " onload=", "javascript:"] {
            assert!(!text.contains(forbidden), "{name} has {forbidden}");
        }
        assert!(!text.contains("<script>"), "{name}");
        let posts = text.matches("method=\"post\"").count();
        assert_eq!(posts, text.matches("name=\"csrf\"").count(), "{name}: a form without its token");
    }
}
