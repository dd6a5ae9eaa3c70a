//! Rules over the fake desk: decisions without JavaScript, filters, who may.

use axum::http::StatusCode;

use super::house;

#[tokio::test]
async fn a_rule_is_switched_off_and_on_with_who_and_why() {
    let house = house();
    let page = house.get("/rules/5a1c0d1e-0001", "analyst").await;
    assert!(page.body.contains("value=\"disable\"") && !page.body.contains("value=\"enable\""), "{}", page.body);
    let steps = [
        ("kind=disable&reason=", "refused=note-missing"),
        ("kind=disable&reason=qu%C3%A1+nhi%E1%BB%81u", "done=changed"),
        ("kind=set_level&level=low&reason=%3Cb%3E", "done=changed"),
    ];
    for (form, expected) in steps {
        let reply = house.post("/rules/5a1c0d1e-0001/changes", "analyst", form).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{form}");
        assert!(reply.header("location").contains(expected), "{form}: {}", reply.header("location"));
    }
    let page = house.get("/rules/5a1c0d1e-0001?lang=en", "analyst").await.body;
    for expected in ["quá nhiều", "analyst", "value=\"enable\"", "value=\"reset_level\"", "written as", "&#60;b&#62;"]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    let list = house.get("/rules?state=feeding", "analyst").await.body;
    assert!(list.contains("5a1c0d1e-0001") && !list.contains("5a1c0d1e-0002\""), "{list}");
    assert!(list.contains("class=\"off\"") && list.contains("sigmahq"), "{list}");
    let reply = house.post("/rules/5a1c0d1e-0001/changes", "analyst", "kind=enable&back=/rules%3Fstate%3Doff").await;
    assert_eq!(reply.header("location"), "/rules?done=changed&state=off", "back to the list as it was");
    let reply = house.post("/rules/5a1c0d1e-0001/changes", "analyst", "kind=explode").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(house.post("/rules/none/changes", "analyst", "kind=enable").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_those_who_decide_for_the_city_see_the_forms_and_may() {
    let house = house();
    for (user, may, runs) in
        [("admin", true, true), ("analyst", true, false), ("ward", false, false), ("auditor", false, false)]
    {
        let page = house.get("/rules/5a1c0d1e-0001", user).await.body;
        assert_eq!(page.contains("value=\"disable\""), may, "{user}");
        let list = house.get("/rules", user).await.body;
        assert_eq!((list.contains("value=\"disable\""), list.contains("/rules/reload")), (may, runs), "{user}");
        let body = r#"{"kind":"disable","reason":"x"}"#;
        let status = house.call("PATCH", "/api/v1/rules/5a1c0d1e-0001", user, body).await.status;
        assert_eq!(status, if may { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{user}");
        let status = house.call("POST", "/api/v1/rules/reload", user, "").await.status;
        assert_eq!(status, if runs { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{user}");
        house.call("PATCH", "/api/v1/rules/5a1c0d1e-0001", "admin", r#"{"kind":"enable"}"#).await;
    }
}

#[tokio::test]
async fn the_api_lists_by_filter_and_page() {
    let house = house();
    let read = async |query: &str| -> serde_json::Value {
        let reply = house.call("GET", &format!("/api/v1/rules{query}"), "auditor", "").await;
        serde_json::from_str(&reply.body).unwrap_or_default()
    };
    let all = read("").await;
    let total = all["total"].as_u64().expect("a number");
    assert!(2 <= total && all["load"]["generation"] == 3, "{all}");
    let first = read("?limit=1").await;
    assert_eq!((first["rules"].as_array().map(Vec::len), first["cursor"].as_str()), (Some(1), Some("1")), "{first}");
    let rest = read("?limit=100&cursor=1").await;
    assert_eq!(
        (rest["rules"].as_array().map(Vec::len), &rest["cursor"]),
        (Some(total as usize - 1), &serde_json::Value::Null)
    );
    assert_eq!(read("?pack=none").await["total"], 0);
    assert_eq!(read("?pack=builtin&state=on&logsource=LINUX").await["total"], total);
    let refused = house.call("GET", "/api/v1/rules?state=maybe", "auditor", "").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn rules_stand_beside_the_sources_of_the_viewer() {
    let house = house();
    let page = house.get("/coverage/sources?lang=en", "analyst").await.body;
    for expected in [
        "scope=\"row\"",
        "scope=\"col\"",
        "CommandLine",
        "field missing",
        "sends no such events",
        "/sources/rules?source=",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(house.get("/coverage", "analyst").await.body.contains("href=\"/coverage/sources\""));
    let sources = async |user: &str| -> usize {
        let reply = house.call("GET", "/api/v1/coverage/sources", user, "").await;
        let matrix: serde_json::Value = serde_json::from_str(&reply.body).expect("is JSON");
        matrix["sources"].as_array().expect("is a list").len()
    };
    assert!(sources("ward").await < sources("analyst").await, "another ward's are not shown");
    assert_eq!(house.get("/coverage/sources?state=nonsense", "analyst").await.status, StatusCode::BAD_REQUEST);
    let late = house.get("/coverage/sources?from=99&page=99&lang=en", "analyst").await;
    assert_eq!(late.status, StatusCode::OK);
}
