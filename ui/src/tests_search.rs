//! Search over the fake desk: lines while it goes on, an end when nobody waits, bounds, what a page says.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use super::fake::search::{BEGUN, ENDED, ENDLESS};
use super::{House, house};
use crate::searches::SEARCHES_OF_ONE_MAX;

/// How long is waited for what must come; no promise of how soon it does.
const PATIENCE: Duration = Duration::from_secs(120);

fn get(path: &str, token: &str) -> Request<Body> {
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    request.body(Body::empty()).expect("a request")
}

/// An endless search whose client has read the first line.
async fn begin(house: &House, token: &str) -> Body {
    let path = format!("/api/v1/search/stream?q={ENDLESS}");
    let response = house.router.clone().oneshot(get(&path, token)).await.expect("a router always answers");
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let frame = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await;
    let line = frame.expect("a frame").expect("no failure").into_data().expect("data");
    assert!(line.starts_with(b"{") && line.ends_with(b"\n"));
    body
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

// One test, because all of it looks at one counter of ended searches.
#[tokio::test]
async fn a_search_ends_when_nobody_waits_and_one_person_has_a_bound() {
    let house = house();
    let before = ENDED.load(Ordering::Relaxed);
    let ended = move |count: u64| move || ENDED.load(Ordering::Relaxed) == before + count;

    let body = begin(&house, "analyst").await;
    assert!(ended(0)(), "it goes on while somebody reads");
    drop(body);
    wait_until("a stream that is closed ends its search", ended(1)).await;

    let call = house.router.clone().oneshot(get(&format!("/api/v1/search?q={ENDLESS}"), "analyst"));
    let begun = BEGUN.load(Ordering::Relaxed);
    let waits = async {
        wait_until("the call searches", || begun < BEGUN.load(Ordering::Relaxed)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::select! {
        _ = call => panic!("it does not answer by itself"),
        () = waits => {}
    }
    wait_until("a call that is given up ends its search", ended(2)).await;

    let mut bodies = Vec::new();
    for _ in 0..SEARCHES_OF_ONE_MAX {
        bodies.push(begin(&house, "analyst").await);
    }
    let full = house.call("GET", "/api/v1/search?q=sshd", "analyst", "").await;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS, "{}", full.body);
    assert!(full.body.contains("searches-full"), "{}", full.body);
    assert_eq!(house.call("GET", "/api/v1/search?q=sshd", "auditor", "").await.status, StatusCode::OK);
    let page = house.get("/search?q=sshd&lang=en", "analyst").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.body.contains("Too many searches run at once"), "{}", page.body);
    drop(bodies);
    wait_until("all ended", ended(2 + SEARCHES_OF_ONE_MAX as u64)).await;
    assert_eq!(house.call("GET", "/api/v1/search?q=sshd", "analyst", "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stream_is_lines_of_json_and_a_wrong_query_an_answer_of_its_own() {
    let house = house();
    let reply = house.call("GET", "/api/v1/search/stream?q=sshd&limit=3", "ward", "").await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson; charset=utf-8");
    let lines: Vec<Value> = reply.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["type"], "hits");
    assert_eq!(lines[0]["hits"].as_array().map(Vec::len), Some(3));
    let end = lines.last().expect("an end");
    assert_eq!((&end["type"], &end["total"]), (&"end".into(), &30.into()), "{end}");
    let wrong = house.call("GET", "/api/v1/search/stream?q=a+((", "ward", "").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let error: Value = serde_json::from_str(&wrong.body).expect("JSON");
    assert_eq!(error["error"]["detail"]["suggestion"], "add a closing )", "{error}");
    let page = house.get("/search?q=a+((", "ward").await;
    assert!(page.body.contains("Có lẽ: add a closing )"), "{}", page.body);
}

#[tokio::test]
async fn values_of_a_field_are_named_with_how_they_were_counted() {
    let house = house();
    let reply = house.call("GET", "/api/v1/search/top?q=&field=host.name", "ward", "").await;
    let top: Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!((&top["field"], &top["is_exact"], &top["counted"]), (&"host.name".into(), &true.into(), &30.into()));
    assert!(top["values"].as_array().is_some_and(|values| !values.is_empty()), "{top}");
    assert_eq!(house.call("GET", "/api/v1/search/top?q=", "ward", "").await.status, StatusCode::BAD_REQUEST);
    let page = house.get("/search?q=sshd&top=host.name&lang=en", "ward").await;
    assert!(page.body.contains("counted exactly"), "{}", page.body);
}

/// What goes on for long ends with the account it was begun with, and one account does not take all there is.
#[tokio::test]
async fn a_tail_ends_with_its_account_and_one_person_has_a_bound() {
    let house = house();
    let tail = |cookie: &str| {
        let request = Request::get("/search/tail/stream?q=sshd").header("cookie", cookie.to_owned());
        house.router.clone().oneshot(request.body(Body::empty()).expect("a request"))
    };
    let (cookie, _) = house.session("analyst");
    let mut open = Vec::new();
    for _ in 0..crate::state::TAILS_OF_ONE_MAX {
        let response = tail(&cookie).await.expect("a router always answers");
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response.into_body());
    }
    assert_eq!(tail(&cookie).await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    let (other, _) = house.session("auditor");
    assert_eq!(tail(&other).await.expect("an answer").status(), StatusCode::OK);
    let viewer = crate::Viewer {
        user: "analyst".to_owned(),
        name: "analyst".to_owned(),
        role: crate::Role::Analyst,
        unit: None,
    };
    house.state.desk.set_password(&viewer, "of another password").expect("is set");
    for body in open {
        let end = axum::body::to_bytes(body, 1 << 20);
        tokio::time::timeout(PATIENCE / 4, end).await.expect("it ends").expect("in order");
    }
}
