//! The dialog that makes an exception, over the fake desk: preview first, refusals, who may.

use axum::http::StatusCode;

use super::house;

const FORM: &str = "field0=user.name&how0=equals&value0=backup&use=0&field1=host.name&how1=contains&value1=%3Cb%3E&because=s%C3%A1ng&until=2026-12-31";

#[tokio::test]
async fn an_exception_is_previewed_then_made_without_javascript() {
    let house = house();
    let dialog = house.get("/alerts/a00/exception", "analyst").await;
    assert_eq!(dialog.status, StatusCode::OK);
    assert!(dialog.body.contains("name=\"use\"") && !dialog.body.contains("value=\"open\""), "nothing is made unseen");
    let shown = house.post("/alerts/a00/exception", "analyst", &format!("{FORM}&do=preview")).await;
    assert_eq!(shown.status, StatusCode::OK);
    for expected in ["id=\"preview\"", "value=\"open\"", "value=\"backup\"", "sáng", "2026-12-31"] {
        assert!(shown.body.contains(expected), "{expected}");
    }
    assert!(!shown.body.contains("<b>"), "what was typed is shown, not interpreted");
    let made = house.post("/alerts/a00/exception", "analyst", &format!("{FORM}&do=open")).await;
    assert_eq!(made.header("location"), "/exceptions/1?done=saved");
    let one = house.get("/exceptions/1", "analyst").await;
    assert!(one.body.contains("filter:") && one.body.contains("sáng") && one.body.contains("value=\"set_end\""));
    for (form, expected) in [
        ("kind=set_end&until=2026-12-01&because=x", "done=changed"),
        ("kind=set_owner&owner=admin", "done=changed"),
        ("kind=end&because=x", "done=closed"),
    ] {
        let reply = house.post("/exceptions/1/changes", "analyst", form).await;
        assert!(reply.header("location").contains(expected), "{form}: {}", reply.header("location"));
    }
    let over = house.get("/exceptions/1", "analyst").await;
    assert!(!over.body.contains("value=\"set_end\""), "nothing can be done any more");
}

#[tokio::test]
async fn one_that_tests_nothing_or_hides_an_attack_is_refused() {
    let house = house();
    let empty = house.post("/alerts/a00/exception", "analyst", "because=x&until=2026-12-31&do=open").await;
    assert!(empty.header("location").contains("refused=bad-test"), "{}", empty.header("location"));
    house.post("/alerts/a00/changes", "analyst", "kind=close&verdict=true_positive&note=x").await;
    let known = house.post("/alerts/a00/exception", "analyst", &format!("{FORM}&do=open")).await;
    assert!(known.header("location").contains("refused=hides-known"), "{}", known.header("location"));
    let accepted = house.post("/alerts/a00/exception", "analyst", &format!("{FORM}&do=open&accepts_known=yes")).await;
    assert_eq!(accepted.header("location"), "/exceptions/1?done=saved");
}

#[tokio::test]
async fn wards_and_auditors_make_no_exception() {
    let house = house();
    for user in ["ward", "auditor"] {
        let reply = house.post("/alerts/a00/exception", user, &format!("{FORM}&do=open")).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{user}");
        assert_eq!(house.get("/exceptions", user).await.status, StatusCode::OK, "{user} may read");
    }
}
