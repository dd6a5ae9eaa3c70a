//! From a code on paper to a certificate, its renewal, and its end.

use nhatle::pki::{Code, enroll_client};
use serde_json::{Value, json};

use super::*;

/// A key, and a request for it.
fn request_of() -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap().pem().unwrap();
    (key, request)
}

/// Asks over TLS: status and JSON.
fn ask(city: &City, config: &ClientConfig, path: &str, body: &Value) -> (u16, Value) {
    let mut tls = connect(city.server.address("https"), config).unwrap();
    let (status, body) = request(&mut tls, &format!("POST {path} HTTP/1.1"), &body.to_string()).unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// What `nhatle enroll` prints while the server has the folder open.
fn code(city: &City, name: &str) -> String {
    let data = city.data();
    stdout(&["enroll", name, "--unit", "DH01", "--data", data.to_str().unwrap()]).trim().to_owned()
}

#[test]
fn a_code_on_paper_makes_a_sender_of_the_city() {
    let city = City::start("syslog_tls_client = \"required\"");
    let text = code(&city, "phuong-01");
    let paper: Code = text.parse().unwrap();
    assert!(paper.is_of(&city.authority.fingerprint()));
    let nobody = enroll_client(&paper).unwrap();
    let (key, csr) = request_of();
    // Typed by hand.
    let typed = text.to_lowercase().replace('-', " ");
    let (status, answer) = ask(&city, &nobody, "/api/v1/enroll", &json!({ "code": typed, "csr": csr }));
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["name"], &answer["unit"]), (&json!("phuong-01"), &json!("DH01")));
    assert_eq!(answer["ca"].as_str().unwrap(), city.authority.pem());
    let certificate = answer["certificate"].as_str().unwrap();
    let config = city_client(answer["ca"].as_str().unwrap(), certificate, &key.serialize_pem()).unwrap();
    let mut tls = connect(city.syslog(), &config).unwrap();
    tls.write_all(b"<13>1 2026-02-03T04:05:06Z x app - - - dau\n").unwrap();
    tls.flush().unwrap();
    city.wait_for("message:dau nhatle.source:phuong-01 nhatle.unit:DH01", 1);
    // A second time, by somebody else, it is used.
    let (status, answer) = ask(&city, &nobody, "/api/v1/enroll", &json!({ "code": text, "csr": request_of().1 }));
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("code_used")));
    // Too early to renew; and only who has a certificate may.
    let (status, answer) = ask(&city, &config, "/api/v1/enroll/renew", &json!({ "csr": csr }));
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("too_early")));
    let (status, _) = ask(&city, &nobody, "/api/v1/enroll/renew", &json!({ "csr": csr }));
    assert_eq!(status, 401);
    // Revoked: the standing connection ends at its next words, a new one at the handshake.
    let token = crate::support::token(&city.data(), "quantri", "admin", None);
    let authorization = format!("Bearer {token}");
    let post = |path: &str, body: &[u8]| {
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        crate::support::request(city.server.http, "POST", path, &headers, body).unwrap()
    };
    wait_for("the token is known", PATIENCE, || post("/api/v1/enrollments/99/revoke", b"{}").status == 404);
    let revoked = post("/api/v1/enrollments/1/revoke", "{\"because\":\"mất máy\"}".as_bytes());
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    assert_eq!(revoked.json()["standing"], "revoked");
    wait_for("the connection ends", PATIENCE, || {
        tls.write_all(b"<13>1 2026-02-03T04:05:06Z x app - - - muon\n").is_err()
            || tls.flush().is_err()
            || tls.sock.set_read_timeout(Some(Duration::from_millis(50))).is_err()
            || matches!(tls.read(&mut [0; 16]), Ok(0))
    });
    let again = connect(city.syslog(), &config);
    assert!(refusals::is_refused(again));
    refusals::said(&city, &["phuong-01", "its certificate was revoked"]);
    let sources = crate::support::request(
        city.server.http,
        "GET",
        "/api/v1/refused-senders",
        &[("Authorization", &authorization)],
        b"",
    )
    .unwrap();
    let rows = sources.json()["refused"].as_array().unwrap().clone();
    assert!(rows.iter().any(|row| row["why"] == "certificate-revoked" && row["name"] == "phuong-01"), "{rows:?}");
    let City { server, .. } = city;
    server.stop();
}

#[test]
fn wrong_codes_are_refused_and_then_no_longer_looked_at() {
    let city = City::start("");
    let good = code(&city, "phuong-01");
    let nobody = enroll_client(&good.parse().unwrap()).unwrap();
    let (_, csr) = request_of();
    let of_city = |random: u64| Code::new(random, &city.authority.fingerprint()).to_string();
    let elsewhere = Code::new(1, &[7; 32]).to_string();
    let says = |code: &str| {
        let (status, answer) = ask(&city, &nobody, "/api/v1/enroll", &json!({ "code": code, "csr": csr }));
        (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(says("hello"), (400, "not_a_code".to_owned()));
    assert_eq!(says(&elsewhere), (403, "other_city".to_owned()));
    for number in 1..10 {
        assert_eq!(says(&of_city(number << 30)), (403, "wrong_code".to_owned()));
    }
    // Ten wrong ones: now not even the right one counts from there.
    assert_eq!(says(&good), (429, "too_many".to_owned()));
    let City { server, .. } = city;
    server.stop();
}

/// A sender that enrolled so many days ago: the register says so, as if that server had run then. Its key and certificate.
pub fn enrolled(city: &City, name: &str, days_ago: i64) -> (KeyPair, String) {
    let (key, csr) = request_of();
    let at = Timestamp(SystemClock.now().0 - days_ago * DAY_NS);
    let issued = city.authority.issue_client(name, "DH01", &csr, at).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = nhatle::registry::Registry::open(&city.data(), runtime.handle().clone()).unwrap();
    let (number, _, _) = nhatle::enroll::issue(&registry, &city.authority, "lan", at, (name, "DH01", 24)).unwrap();
    let given = nhatle_engine::enrollment::Certificate {
        fingerprint: issued.identity.fingerprint.clone(),
        serial: issued.identity.serial.clone(),
        not_after_ns: issued.identity.not_after.0,
    };
    let change = nhatle_engine::enrollment::EnrollmentChange::Use(given);
    registry.change("enrolment", at, &nhatle_engine::register::AnyChange::Enrollment(number, change)).unwrap();
    registry.close();
    (key, issued.pem)
}

/// A city whose certificates are nearly over: half a year and more has passed since they were given.
#[test]
fn a_certificate_is_renewed_by_who_has_it() {
    let city = City::start("");
    let (key, pem) = enrolled(&city, "phuong-01", 300);
    let config = city_client(city.authority.pem(), &pem, &key.serialize_pem()).unwrap();
    let (new_key, new_csr) = request_of();
    let (status, answer) = ask(&city, &config, "/api/v1/enroll/renew", &json!({ "csr": new_csr }));
    assert_eq!(status, 200, "{answer}");
    let renewed = answer["certificate"].as_str().unwrap();
    assert_ne!(renewed, pem);
    let config = city_client(city.authority.pem(), renewed, &new_key.serialize_pem()).unwrap();
    let (status, _) = ask(&city, &config, "/api/v1/events", &json!({ "message": "tiep" }));
    assert_eq!(status, 200);
    let City { server, .. } = city;
    server.stop();
}
