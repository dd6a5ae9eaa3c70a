//! Enrolment: codes given out, certificates given for codes, renewed and revoked.
//!
//! In: `POST /api/v1/enroll` `{"code","csr"}` from who has a code on paper, `POST /api/v1/enroll/renew` `{"csr"}` from who has a
//! certificate that holds; and [`issue`] for pages and commands. Out: `{"certificate","ca","name","unit","not_after"}`, PEM.
//! Promise: a code is used once; the certificate is handed out only after the register has it; a wrong code says nothing of
//! what right ones there are. Bounds: wrong codes of an address and of all, bytes of a request.
//! Failure: 400 what is no request, 403 a code or certificate that does not count, 429 too many wrong codes. Source: ADR 19.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use nhatle_engine::enrollment::{Certificate, Enrollment, EnrollmentChange, Standing};
use nhatle_engine::register::AnyChange;
use nhatle_event::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tracing::{info, warn};

use crate::pipeline::Shared;
use crate::pki::authority::REQUEST_BYTES_MAX;
use crate::pki::{Authority, Code, Identity, Issued, PkiError, Trust};
use crate::registry::{RecordError, Registry};

/// How long a code works where nobody says otherwise: a week, so that paper can travel.
pub const CODE_HOURS: u32 = 7 * 24;
/// How long a code may work at most.
pub const CODE_HOURS_MAX: u32 = 90 * 24;
/// Wrong codes within an hour, of one address (a /64 of IPv6) and of all.
const WRONG_OF_ADDRESS_MAX: u32 = 10;
const WRONG_MAX: u32 = 200;
/// How many addresses are counted one by one; wrong codes of others count for all only.
const ADDRESSES_MAX: usize = 1_024;
const HOUR_NS: i64 = 3_600_000_000_000;
/// A certificate is renewed once less than half of its life is left; asking earlier gets none.
const RENEW_DAYS_LEFT: i64 = crate::pki::authority::CLIENT_DAYS / 2;

/// Gives out a code: the enrolment's number, the code, and until when it works.
///
/// # Errors
/// Name or unit have no good form, or the register cannot be written.
pub fn issue(
    registry: &Registry,
    authority: &Authority,
    actor: &str,
    now: Timestamp,
    wanted: (&str, &str, u32),
) -> Result<(u64, Code, Timestamp), RecordError> {
    let (name, unit, hours) = wanted;
    let code = Code::new(rand::random(), &authority.fingerprint());
    let expires = now.plus_nanos(i64::from(hours.clamp(1, CODE_HOURS_MAX)) * HOUR_NS);
    let number = registry.record(actor, now, |state| -> Result<_, RecordError> {
        let number = state.next_enrollment();
        let (name, unit) = (name.to_owned(), unit.to_owned());
        let change = EnrollmentChange::Issue { hash: code.hash(), name, unit, expires_ns: expires.0 };
        Ok((vec![AnyChange::Enrollment(number, change)], number))
    })?;
    Ok((number, code, expires))
}

/// The enrolment side of a server.
#[derive(Clone)]
pub struct Enroller {
    shared: Arc<Shared>,
    trust: Arc<Trust>,
    wrong: Arc<Mutex<Wrong>>,
}

/// Wrong codes of this hour.
#[derive(Debug, Default)]
struct Wrong {
    hour: i64,
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Wrong {
    fn turn(&mut self, now: Timestamp) {
        let hour = now.0.div_euclid(HOUR_NS);
        if self.hour != hour {
            *self = Wrong { hour, ..Wrong::default() };
        }
    }

    fn is_too_many(&mut self, now: Timestamp, address: IpAddr) -> bool {
        self.turn(now);
        let of_address = self.by_address.get(&network_of(address)).copied().unwrap_or_default();
        WRONG_MAX <= self.all || WRONG_OF_ADDRESS_MAX <= of_address
    }

    fn note(&mut self, now: Timestamp, address: IpAddr) {
        self.turn(now);
        self.all += 1;
        let network = network_of(address);
        if self.by_address.len() < ADDRESSES_MAX || self.by_address.contains_key(&network) {
            *self.by_address.entry(network).or_default() += 1;
        }
    }
}

/// Who holds one address of IPv6 holds its /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
        four => four,
    }
}

/// Why nobody was enrolled.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the body is no JSON of this form")]
    Body,
    #[error("no enrolment code: it has 20 letters and digits")]
    NotACode,
    #[error("the code is of another city")]
    OtherCity,
    #[error("no such code")]
    WrongCode,
    #[error("the code was used already")]
    Used,
    #[error("the code has expired")]
    Expired,
    #[error("the code was revoked")]
    Revoked,
    #[error("too many wrong codes; wait an hour")]
    TooMany,
    #[error("a certificate of the city is needed to renew it")]
    NoCertificate,
    #[error("the certificate is not of an enrolment in force")]
    NotEnrolled,
    #[error("the certificate holds long enough")]
    TooEarly,
    #[error(transparent)]
    Request(PkiError),
    #[error("the register could not be written")]
    Register(#[from] RecordError),
}

impl Refused {
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Refused::Body => (StatusCode::BAD_REQUEST, "bad_request"),
            Refused::NotACode => (StatusCode::BAD_REQUEST, "not_a_code"),
            Refused::OtherCity => (StatusCode::FORBIDDEN, "other_city"),
            Refused::WrongCode => (StatusCode::FORBIDDEN, "wrong_code"),
            Refused::Used => (StatusCode::FORBIDDEN, "code_used"),
            Refused::Expired => (StatusCode::FORBIDDEN, "code_expired"),
            Refused::Revoked => (StatusCode::FORBIDDEN, "revoked"),
            Refused::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            Refused::NoCertificate => (StatusCode::UNAUTHORIZED, "no_certificate"),
            Refused::NotEnrolled => (StatusCode::FORBIDDEN, "not_enrolled"),
            Refused::TooEarly => (StatusCode::CONFLICT, "too_early"),
            Refused::Request(PkiError::Request(_)) => (StatusCode::BAD_REQUEST, "bad_csr"),
            Refused::Request(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not_made"),
            Refused::Register(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_written"),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        let error = json!({ "code": code, "message": self.to_string(), "detail": "", "request_id": "" });
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, 3600.into());
        }
        response
    }
}

#[derive(Deserialize)]
struct EnrollBody {
    code: String,
    csr: String,
}

#[derive(Deserialize)]
struct RenewBody {
    csr: String,
}

/// The routes. They carry their own proof and need no sign-in.
pub fn router(shared: Arc<Shared>, trust: Arc<Trust>) -> Router {
    Router::new()
        .route("/api/v1/enroll", post(enroll))
        .route("/api/v1/enroll/renew", post(renew))
        .layer(DefaultBodyLimit::max(2 * REQUEST_BYTES_MAX))
        .with_state(Enroller { shared, trust, wrong: Arc::default() })
}

async fn enroll(
    State(enroller): State<Enroller>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: axum::body::Bytes,
) -> Response {
    let work = move || enroller.enroll(peer.ip().to_canonical(), &body);
    answer(tokio::task::spawn_blocking(work).await)
}

async fn renew(
    State(enroller): State<Enroller>,
    identity: Option<Extension<Identity>>,
    body: axum::body::Bytes,
) -> Response {
    let work = move || enroller.renew(identity.map(|Extension(identity)| identity), &body);
    answer(tokio::task::spawn_blocking(work).await)
}

fn answer(result: Result<Result<Json<serde_json::Value>, Refused>, tokio::task::JoinError>) -> Response {
    match result {
        Ok(Ok(json)) => json.into_response(),
        Ok(Err(refused)) => refused.into_response(),
        Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Enroller {
    fn wrong(&self) -> std::sync::MutexGuard<'_, Wrong> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enroll(&self, address: IpAddr, body: &[u8]) -> Result<Json<serde_json::Value>, Refused> {
        let now = self.shared.clock.now();
        if self.wrong().is_too_many(now, address) {
            return Err(Refused::TooMany);
        }
        let EnrollBody { code, csr } = serde_json::from_slice(body).map_err(|_bad| Refused::Body)?;
        let code: Code = code.parse().map_err(|_bad| Refused::NotACode)?;
        let enrolled = self.use_code(&code, &csr, now);
        if let Err(Refused::OtherCity | Refused::WrongCode) = &enrolled {
            self.wrong().note(now, address);
            warn!(source.ip = %address, "enrolment refused: wrong code");
        }
        let issued = enrolled?;
        info!(source.ip = %address, tls.client.subject = %issued.identity.name, "enrolled");
        self.shared.tick();
        Ok(self.json(&issued))
    }

    fn use_code(&self, code: &Code, csr: &str, now: Timestamp) -> Result<Issued, Refused> {
        let authority = &self.trust.authority;
        if !code.is_of(&authority.fingerprint()) {
            return Err(Refused::OtherCity);
        }
        let hash = code.hash();
        self.shared.registry.record("enrolment", now, |state| {
            let found = state.enrollments.values().find(|enrollment| enrollment.hash == hash);
            let found = found.ok_or(Refused::WrongCode)?;
            match found.standing(now) {
                Standing::Open => {}
                Standing::Expired => return Err(Refused::Expired),
                Standing::Enrolled | Standing::Outlived => return Err(Refused::Used),
                Standing::Revoked => return Err(Refused::Revoked),
            }
            give(authority, found, csr, now, EnrollmentChange::Use)
        })
    }

    fn renew(&self, identity: Option<Identity>, body: &[u8]) -> Result<Json<serde_json::Value>, Refused> {
        let now = self.shared.clock.now();
        let identity = identity.ok_or(Refused::NoCertificate)?;
        let RenewBody { csr } = serde_json::from_slice(body).map_err(|_bad| Refused::Body)?;
        let left_ns = identity.not_after.0.saturating_sub(now.0);
        if RENEW_DAYS_LEFT.saturating_mul(24 * HOUR_NS) < left_ns {
            return Err(Refused::TooEarly);
        }
        let authority = &self.trust.authority;
        let issued = self.shared.registry.record("enrolment", now, |state| {
            let is_of = |enrollment: &&Enrollment| {
                enrollment.certificates.iter().any(|held| held.fingerprint == identity.fingerprint)
            };
            let found = state.enrollments.values().find(is_of).ok_or(Refused::NotEnrolled)?;
            if found.revoked.is_some() {
                return Err(Refused::Revoked);
            }
            give(authority, found, &csr, now, EnrollmentChange::Renew)
        })?;
        info!(tls.client.subject = %issued.identity.name, "certificate renewed");
        Ok(self.json(&issued))
    }

    fn json(&self, issued: &Issued) -> Json<serde_json::Value> {
        Json(json!({
            "certificate": issued.pem,
            "ca": self.trust.authority.pem(),
            "name": issued.identity.name.as_str(),
            "unit": issued.identity.unit.as_deref(),
            "not_after": issued.identity.not_after.to_string(),
        }))
    }
}

/// Makes a certificate for an enrolment, and the change that says so.
fn give(
    authority: &Authority,
    enrollment: &Enrollment,
    csr: &str,
    now: Timestamp,
    change: fn(Certificate) -> EnrollmentChange,
) -> Result<(Vec<AnyChange>, Issued), Refused> {
    let issued = authority.issue_client(&enrollment.name, &enrollment.unit, csr, now).map_err(Refused::Request)?;
    let certificate = Certificate {
        fingerprint: issued.identity.fingerprint.clone(),
        serial: issued.identity.serial.clone(),
        not_after_ns: issued.identity.not_after.0,
    };
    Ok((vec![AnyChange::Enrollment(enrollment.number, change(certificate))], issued))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_are_counted_by_address_and_in_all_and_forgotten_with_the_hour() {
        let mut wrong = Wrong::default();
        let (now, later) = (Timestamp(0), Timestamp(HOUR_NS));
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        for _ in 0..WRONG_OF_ADDRESS_MAX {
            assert!(!wrong.is_too_many(now, address(1)));
            wrong.note(now, address(1));
        }
        assert!(wrong.is_too_many(now, address(1)) && !wrong.is_too_many(now, address(2)));
        for number in 0..WRONG_MAX {
            wrong.note(now, address(100 + number));
        }
        assert!(wrong.is_too_many(now, address(2)), "all together");
        assert!(!wrong.is_too_many(later, address(1)));
        let six = |text: &str| text.parse::<IpAddr>().expect("an address");
        for number in 0..WRONG_OF_ADDRESS_MAX {
            wrong.note(later, six(&format!("2001:db8::{number:x}")));
        }
        assert!(wrong.is_too_many(later, six("2001:db8::ffff")) && !wrong.is_too_many(later, six("2001:db8:0:1::")));
    }
}
