//! Who asks: bearer tokens and roles, for this crate's routes and for routers merged beside it.
//!
//! In: request headers and the desk. Out: a [`Viewer`], or [`Denied`], which is a JSON answer by itself.
//! Promise: a disabled or unknown account is nobody; the token's text never reaches the desk, only its
//! SHA-256. Failure: 401, 403, 503. Source: RFC 6750 (Bearer); Splunk HEC's `Splunk` scheme.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::account::{Account, Role, Viewer};
use crate::desk::{Desk, DeskError};
use crate::session::token_sha256;

/// The longest token looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 512;

/// Why a request may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No token, or none that is known.
    Unknown,
    /// Known, but the role may not do this.
    Forbidden,
    /// It could not be found out.
    Unavailable,
}

impl Denied {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Denied::Unknown => StatusCode::UNAUTHORIZED,
            Denied::Forbidden => StatusCode::FORBIDDEN,
            Denied::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (code, message) = match self {
            Denied::Unknown => ("unauthorized", "a bearer token is needed"),
            Denied::Forbidden => ("forbidden", "the role of this token may not do this"),
            Denied::Unavailable => ("unavailable", "try again"),
        };
        let mut response = crate::failure::json_error(self.status(), code, message, None, "");
        if self == Denied::Unknown {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"nhatle\""));
        }
        response
    }
}

/// The token of an `Authorization: Bearer …` or `Authorization: Splunk …` header.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let is_known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("splunk");
    (is_known && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

/// The viewer a request's bearer token stands for.
///
/// # Errors
/// [`Denied::Unknown`] without a known token of an enabled account, [`Denied::Unavailable`] when the desk fails.
pub async fn viewer_of_token(desk: &Arc<dyn Desk>, headers: &HeaderMap) -> Result<Viewer, Denied> {
    let hash = token_sha256(bearer_token(headers).ok_or(Denied::Unknown)?);
    let desk = Arc::clone(desk);
    let found = tokio::task::spawn_blocking(move || desk.token_account(&hash)).await;
    match found {
        Ok(Ok(Some(account))) => enabled(account).ok_or(Denied::Unknown),
        Ok(Ok(None) | Err(DeskError::NotFound)) => Err(Denied::Unknown),
        Ok(Err(_)) | Err(_) => Err(Denied::Unavailable),
    }
}

/// The viewer, where the role is one of these.
///
/// # Errors
/// [`Denied::Forbidden`] where it is not.
pub fn require(viewer: &Viewer, roles: &[Role]) -> Result<(), Denied> {
    if roles.contains(&viewer.role) { Ok(()) } else { Err(Denied::Forbidden) }
}

/// The account as a viewer unless it is disabled.
pub(crate) fn enabled(account: Account) -> Option<Viewer> {
    (!account.is_disabled).then(|| account.viewer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_known_schemes_carry_a_token() {
        let rows = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Splunk abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("", None),
        ];
        for (header, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(header).expect("a header"));
            assert_eq!(bearer_token(&headers), expected, "{header}");
        }
        let mut headers = HeaderMap::new();
        let long = format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1));
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&long).expect("a header"));
        assert_eq!(bearer_token(&headers), None);
    }
}
