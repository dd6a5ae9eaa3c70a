//! What goes wrong with a request, and how it is told: a page for people, JSON for programs.
//!
//! In: a desk error or a refusal of ours. Out: a response with the request's id and no internals; the cause
//! is logged once, here. Promise: what is answered depends on the kind of failure only.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::desk::{DeskError, Refusal, SqlRefusal, SqlTrouble, SyntaxError};

/// Why a request was not served.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// A parameter is missing or makes no sense; names it.
    BadRequest(&'static str),
    /// Nobody is signed in.
    Unauthorized,
    /// The role may not.
    Forbidden,
    /// The form's token or the request's origin is wrong.
    WrongOrigin,
    /// No such thing for this viewer.
    NotFound,
    /// No such method here.
    WrongMethod,
    /// The body is longer than allowed.
    TooLarge,
    /// Too many tries.
    RateLimited,
    /// The change was refused.
    Refused(Refusal),
    /// The search text does not parse.
    Syntax(SyntaxError),
    /// What was given has these problems.
    Problems(Vec<String>),
    /// Too much going on.
    Busy,
    /// As many searches run as may, of this person or of all.
    SearchesFull,
    /// The search was ended: nobody waits for it.
    Canceled,
    /// The answer of a search takes more memory than it may.
    TooMuch(usize),
    /// A query in SQL has no answer.
    Sql(SqlRefusal),
    /// The world failed.
    Internal,
}

impl Failure {
    pub fn status(&self) -> StatusCode {
        match self {
            Failure::BadRequest(_) | Failure::Syntax(_) => StatusCode::BAD_REQUEST,
            Failure::Unauthorized => StatusCode::UNAUTHORIZED,
            Failure::Forbidden | Failure::WrongOrigin => StatusCode::FORBIDDEN,
            Failure::NotFound => StatusCode::NOT_FOUND,
            Failure::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Failure::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Failure::Refused(Refusal::Stale | Refusal::AlreadyTaken) => StatusCode::CONFLICT,
            Failure::Refused(_) | Failure::Problems(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Failure::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Failure::SearchesFull => StatusCode::TOO_MANY_REQUESTS,
            Failure::Canceled => StatusCode::CONFLICT,
            Failure::TooMuch(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Failure::Sql(refusal) => match refusal.trouble {
                SqlTrouble::Refused => StatusCode::BAD_REQUEST,
                SqlTrouble::Busy => StatusCode::TOO_MANY_REQUESTS,
                SqlTrouble::Failed | SqlTrouble::TooMuch | SqlTrouble::TooLong => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Failure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code of the JSON API and of the page's message (`error-…`).
    pub fn code(&self) -> &'static str {
        match self {
            Failure::BadRequest(_) => "bad-request",
            Failure::Unauthorized => "unauthorized",
            Failure::Forbidden => "forbidden",
            Failure::WrongOrigin => "wrong-origin",
            Failure::NotFound => "not-found",
            Failure::WrongMethod => "wrong-method",
            Failure::TooLarge => "too-large",
            Failure::RateLimited => "rate-limited",
            Failure::Refused(refusal) => refusal.code(),
            Failure::Syntax(_) => "syntax",
            Failure::Problems(_) => "problems",
            Failure::Busy => "busy",
            Failure::SearchesFull => "searches-full",
            Failure::Canceled => "canceled",
            Failure::TooMuch(_) => "too-much",
            Failure::Sql(refusal) => match refusal.trouble {
                SqlTrouble::Refused => "sql-refused",
                SqlTrouble::Failed => "sql-failed",
                SqlTrouble::TooMuch => "sql-too-much",
                SqlTrouble::TooLong => "sql-too-long",
                SqlTrouble::Busy => "searches-full",
            },
            Failure::Internal => "internal",
        }
    }

    /// What the JSON API says beside the code.
    pub fn detail(&self) -> Option<serde_json::Value> {
        match self {
            Failure::BadRequest(name) => Some(json!({ "parameter": name })),
            Failure::Problems(problems) => Some(json!({ "problems": problems })),
            Failure::Sql(refusal) => Some(json!({ "message": refusal.reason })),
            Failure::TooMuch(bytes_max) => Some(json!({ "bytes_max": bytes_max })),
            Failure::Syntax(error) => {
                let SyntaxError { message, offset, length, suggestion } = error;
                Some(json!({ "message": message, "offset": offset, "length": length, "suggestion": suggestion }))
            }
            _ => None,
        }
    }

    /// As JSON.
    pub fn to_json(&self, message: &str, request_id: &str) -> Response {
        json_error(self.status(), self.code(), message, self.detail(), request_id)
    }
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Failure {
        match error {
            DeskError::NotFound => Failure::NotFound,
            DeskError::Forbidden => Failure::Forbidden,
            DeskError::Refused(refusal) => Failure::Refused(refusal),
            DeskError::Syntax(error) => Failure::Syntax(error),
            DeskError::Problems(problems) => Failure::Problems(problems),
            DeskError::Busy => Failure::Busy,
            DeskError::Canceled => Failure::Canceled,
            DeskError::TooMuch { bytes_max } => Failure::TooMuch(bytes_max),
            DeskError::Sql(refusal) => Failure::Sql(refusal),
            DeskError::Failed(source) => {
                tracing::error!(error.message = %source, "a page or call could not be served");
                Failure::Internal
            }
        }
    }
}

impl IntoResponse for Failure {
    /// An empty response that carries the failure; the guard around every route draws it in the right form
    /// and language.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The error object of the contract.
pub(crate) fn json_error(
    status: StatusCode,
    code: &str,
    message: &str,
    detail: Option<serde_json::Value>,
    request_id: &str,
) -> Response {
    let body = json!({ "error": {
        "code": code, "message": message, "detail": detail, "request_id": request_id,
    } });
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
