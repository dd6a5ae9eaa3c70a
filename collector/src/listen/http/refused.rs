//! Why a push is refused, and the answer that says so.
//!
//! In: what went wrong. Out: a response in our own form or in another protocol's. Source: contract.md, HTTP.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{elastic, hec};

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    pub(super) detail: String,
    pub(super) retry_after_s: Option<u32>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, code: &'static str, message: &'static str) -> Refused {
        Refused { status, code, message, detail: String::new(), retry_after_s: None }
    }

    pub(super) fn detail(self, detail: impl Into<String>) -> Refused {
        Refused { detail: detail.into(), ..self }
    }

    pub(super) fn retry(self, retry_after_s: Option<u32>) -> Refused {
        Refused { retry_after_s, ..self }
    }

    pub(super) fn too_large(detail: String) -> Refused {
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the request is larger than allowed").detail(detail)
    }

    pub(super) fn busy(retry_after_s: u32) -> Refused {
        let refused = Refused::new(StatusCode::TOO_MANY_REQUESTS, "busy", "no room for more events now, come again");
        Refused { retry_after_s: Some(retry_after_s), ..refused }
    }

    pub(super) fn shut(retry_after_s: u32) -> Refused {
        let refused =
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "read_only", "nothing can be stored now, come again");
        Refused { retry_after_s: Some(retry_after_s), ..refused }
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Refused {
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "not_stored", "the events could not be stored").detail(detail)
    }

    /// The answer in our own form: `{"error":{"code","message","detail","request_id"}}`.
    pub(super) fn response(self, request_id: &str) -> Response {
        let error = json!({
            "code": self.code, "message": self.message, "detail": self.detail, "request_id": request_id,
        });
        self.with_body(&json!({ "error": error }))
    }

    /// The answer with the status of this refusal and a body in another protocol's form.
    pub(super) fn with_body(&self, body: &Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The answer to a request whose sender is not known (401) or may not push (403), in the form of the protocol
/// that the path belongs to.
pub fn denied(path: &str, status: StatusCode) -> Response {
    let is_unknown = status == StatusCode::UNAUTHORIZED;
    let refused = match status {
        StatusCode::UNAUTHORIZED => Refused::new(status, "unauthorized", "a token with the right to push is needed"),
        StatusCode::FORBIDDEN => Refused::new(status, "forbidden", "this token may not push events"),
        _ => Refused::new(status, "unavailable", "try again"),
    };
    let mut response = if path.starts_with("/services/collector") {
        hec::denied(&refused)
    } else if path.starts_with("/es") || path.ends_with("_bulk") {
        elastic::error(&refused)
    } else {
        refused.response("")
    };
    if is_unknown {
        let scheme = HeaderValue::from_static("Bearer realm=\"nhatle\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}
