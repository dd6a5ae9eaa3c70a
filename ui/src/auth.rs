//! Who asks: bearer tokens and roles, for this crate's routes and for routers merged beside it.
//!
//! In: request headers and the desk. Out: a [`Viewer`], or [`Denied`], which is a JSON answer by itself.
//! Promise: a disabled or unknown account is nobody; the token's text never reaches the desk, only its
//! SHA-256. Failure: 401, 403, 503. Source: RFC 6750 (Bearer); Splunk HEC's `Splunk` scheme.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;

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

/// The token of a request that pushes: a bearer's, or where senders can only be given a name and a password, the
/// password (`Basic`, RFC 7617) or the part after the colon of an Elasticsearch `ApiKey`, which may also be the
/// token as it is.
pub fn push_token(headers: &HeaderMap) -> Option<String> {
    if let Some(token) = bearer_token(headers) {
        return Some(token.to_owned());
    }
    let (scheme, sent) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let sent = sent.trim();
    let is_key = scheme.eq_ignore_ascii_case("apikey");
    if !(is_key || scheme.eq_ignore_ascii_case("basic")) || 2 * TOKEN_BYTES_MAX < sent.len() {
        return None;
    }
    let pair =
        base64::engine::general_purpose::STANDARD.decode(sent).ok().and_then(|pair| String::from_utf8(pair).ok());
    let token = match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((_, token)) => token,
        None if is_key => sent,
        None => return None,
    };
    (!token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then(|| token.to_owned())
}

/// The viewer a request's bearer token stands for.
///
/// # Errors
/// [`Denied::Unknown`] without a known token of an enabled account, [`Denied::Unavailable`] when the desk fails.
pub async fn viewer_of_token(desk: &Arc<dyn Desk>, headers: &HeaderMap) -> Result<Viewer, Denied> {
    viewer_of(desk, bearer_token(headers).ok_or(Denied::Unknown)?).await
}

/// The viewer a pushing request's token stands for, in any of the schemes of [`push_token`].
///
/// # Errors
/// As [`viewer_of_token`].
pub async fn viewer_of_push(desk: &Arc<dyn Desk>, headers: &HeaderMap) -> Result<Viewer, Denied> {
    viewer_of(desk, &push_token(headers).ok_or(Denied::Unknown)?).await
}

async fn viewer_of(desk: &Arc<dyn Desk>, token: &str) -> Result<Viewer, Denied> {
    let hash = token_sha256(token);
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
    fn a_push_may_name_its_token_as_a_password_or_a_key() {
        let rows = [
            ("Bearer abc", Some("abc")),
            ("Basic YWdlbnQ6YWJj", Some("abc")),
            ("ApiKey aWQ6YWJj", Some("abc")),
            ("ApiKey a-token.of-ours", Some("a-token.of-ours")),
            ("Basic not-base64", None),
            ("Basic YWdlbnQ6", None),
            ("Basic YWdlbnQ", None),
            ("Digest YWdlbnQ6YWJj", None),
        ];
        for (header, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(header));
            assert_eq!(push_token(&headers).as_deref(), expected, "{header}");
        }
    }

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
