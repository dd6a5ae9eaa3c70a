//! What every request passes: identity, language, origin and form token on the way in; failures drawn and
//! headers set on the way out.
//!
//! In: any request. Out: [`Asked`] in the request's extensions; a response with security headers and a
//! request id. Promise: a route with roles is reached by a viewer of one of them only; a change asked for by
//! a browser carries the session's token and comes from our own origin; no more than [`BODY_BYTES_MAX`] of
//! a body is read. Failure: [`Failure`], drawn as page or JSON. Source: OWASP CSRF Prevention (synchronizer
//! token, Origin and Sec-Fetch-Site), CSP Level 3.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Form, FromRequest, Query, Request};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::account::{Account, Language, Role};
use crate::auth;
use crate::failure::Failure;
use crate::locale;
use crate::model::reference::IMPORT_BYTES_MAX;
use crate::pages;
use crate::request::{Asked, Pairs, Theme, cookie, see_other, set_cookie};
use crate::session::{is_same_secret, random_token, token_sha256};
use crate::state::State;

/// The longest body of a page's form or an API call, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// The most parameters of one request that are looked at.
const PAIRS_MAX: usize = 512;
/// The cookie of the language.
pub(crate) const LANGUAGE_COOKIE: &str = "nhatle-lang";
/// The cookie of the theme.
pub(crate) const THEME_COOKIE: &str = "nhatle-theme";
/// A year.
pub(crate) const PREFERENCE_AGE_S: u32 = 365 * 24 * 3600;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
    require-trusted-types-for 'script'";

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, signed in or not.
    Public,
    /// Accounts of one of these roles.
    Roles(&'static [Role]),
}

/// Whether the request proved that our own page made it; the route's guard looks at it after the role.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FormIsOurs(bool);

/// The body of an API call, already read within the bound.
#[derive(Clone)]
pub(crate) struct ApiBody(pub Bytes);

/// The layer around the whole router.
pub(crate) async fn outer(state: Arc<State>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Exactly what the routes without an `Asked` serve: anything else ends at the page that needs one.
    let is_file = path.strip_prefix("/static/").is_some_and(|name| !name.is_empty() && !name.contains('/'));
    let is_plain = is_file || matches!(path, "/healthz" | "/readyz" | "/metrics");
    let is_api = path.starts_with("/api/");
    let mut response = if is_plain {
        next.run(request).await
    } else {
        let (parts, body) = request.into_parts();
        let mut asked = anonymous(&state, &parts);
        match admit(&state, &mut asked, parts, body).await {
            Ok(mut request) => {
                request.extensions_mut().insert(asked.clone());
                let response = next.run(request).await;
                finish(&asked, is_api, response)
            }
            Err(failure) => draw(&asked, is_api, &failure),
        }
    };
    secure(response.headers_mut(), is_plain, state.config.is_tls);
    response
}

/// The guard around one route.
pub(crate) async fn route(access: Access, request: Request, next: Next) -> Result<Response, Failure> {
    let Some(asked) = request.extensions().get::<Asked>() else { return Err(Failure::Internal) };
    if let Access::Roles(roles) = access {
        match &asked.viewer {
            Some(viewer) => auth::require(viewer, roles).map_err(|_denied| Failure::Forbidden)?,
            None => return Err(Failure::Unauthorized),
        }
    }
    match request.extensions().get::<FormIsOurs>() {
        Some(FormIsOurs(true)) => Ok(next.run(request).await),
        _ => Err(Failure::WrongOrigin),
    }
}

fn anonymous(state: &Arc<State>, parts: &Parts) -> Asked {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let cookie_word = |name| cookie(&parts.headers, name);
    Asked {
        state: Arc::clone(state),
        viewer: None,
        csrf: String::new(),
        session_id: None,
        token: None,
        language: cookie_word(LANGUAGE_COOKIE).and_then(Language::parse).unwrap_or_default(),
        theme: cookie_word(THEME_COOKIE).and_then(Theme::parse).unwrap_or_default(),
        request_id: random_token()[..16].to_owned(),
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        query: Pairs::default(),
        form: Pairs::default(),
        address: peer.map_or_else(|| "unknown".to_owned(), |ConnectInfo(peer)| peer.ip().to_string()),
        now: state.config.clock.now(),
    }
}

/// Fills in who asks and with what; reads the body of a change.
async fn admit(state: &Arc<State>, asked: &mut Asked, parts: Parts, body: Body) -> Result<Request, Failure> {
    let is_api = parts.uri.path().starts_with("/api/");
    let by_token = is_api && auth::bearer_token(&parts.headers).is_some();
    if by_token {
        let viewer = auth::viewer_of_token(&state.desk, &parts.headers).await.map_err(|denied| match denied {
            auth::Denied::Unavailable => Failure::Busy,
            _ => Failure::Unauthorized,
        })?;
        asked.viewer = Some(viewer);
        asked.token = auth::bearer_token(&parts.headers).map(token_sha256);
    } else if let Some(account) = signed_in(state, asked, &parts.headers).await? {
        if cookie(&parts.headers, LANGUAGE_COOKIE).is_none() {
            asked.language = account.language.unwrap_or(asked.language);
        }
        asked.viewer = auth::enabled(account);
    } else {
        let visitor = cookie(&parts.headers, state.visitor_cookie()).filter(|token| token.len() == 64);
        asked.csrf = visitor.map_or_else(random_token, str::to_owned);
    }
    let Query(pairs) =
        Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_bad| Failure::BadRequest("query"))?;
    asked.query = Pairs(pairs.into_iter().take(PAIRS_MAX).collect());
    if let Some(language) = asked.query.get("lang").and_then(Language::parse) {
        asked.language = language;
    }
    if matches!(parts.method, Method::GET | Method::HEAD) {
        let mut request = Request::from_parts(parts, Body::empty());
        request.extensions_mut().insert(FormIsOurs(true));
        return Ok(request);
    }
    // A table or list may be long, from a program that may send one.
    let may_import = asked.viewer.as_ref().is_some_and(|viewer| matches!(viewer.role, Role::Admin | Role::Analyst));
    let is_import = ["/api/v1/assets", "/api/v1/intel/"].iter().any(|path| parts.uri.path().starts_with(path));
    let bytes_max = if by_token && may_import && is_import { IMPORT_BYTES_MAX } else { BODY_BYTES_MAX };
    let body = to_bytes(body, bytes_max).await.map_err(|_longer| Failure::TooLarge)?;
    let mut is_ours = by_token || is_same_origin(&parts.headers);
    if is_api {
        let sent = parts.headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
        is_ours &= by_token || is_same_secret(sent.unwrap_or(""), &asked.csrf);
    } else {
        let mut form_request = Request::new(Body::from(body.clone()));
        *form_request.method_mut() = Method::POST;
        *form_request.headers_mut() = parts.headers.clone();
        // What is no form has no token either, and is refused for that after the role was looked at.
        let form = Form::<Vec<(String, String)>>::from_request(form_request, &()).await;
        let pairs = form.map_or_else(|_not_a_form| Vec::new(), |Form(pairs)| pairs);
        asked.form = Pairs(pairs.into_iter().take(PAIRS_MAX).collect());
        is_ours &= is_same_secret(asked.form.text("csrf"), &asked.csrf);
    }
    let mut request = Request::from_parts(parts, Body::empty());
    request.extensions_mut().insert(FormIsOurs(is_ours));
    request.extensions_mut().insert(ApiBody(body));
    Ok(request)
}

/// The account of the request's session, if it has one that still holds.
async fn signed_in(state: &Arc<State>, asked: &mut Asked, headers: &HeaderMap) -> Result<Option<Account>, Failure> {
    let Some(id) = cookie(headers, state.session_cookie()) else { return Ok(None) };
    let Some(session) = state.sessions.find(id, asked.now) else { return Ok(None) };
    let user = session.user.clone();
    let account = state.blocking(move |desk| desk.account(&user)).await??;
    let account = account.filter(|account| !account.is_disabled && session.fits(account.password_hash.as_deref()));
    match account {
        Some(account) => {
            asked.csrf = session.csrf;
            asked.session_id = Some(id.to_owned());
            Ok(Some(account))
        }
        None => {
            state.sessions.end(id);
            Ok(None)
        }
    }
}

/// Whether the browser says that our own page made the request. A client that says neither is no browser;
/// it still needs the token.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let word = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if word("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return false;
    }
    match word("origin") {
        None => true,
        Some(origin) => {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            host.is_some() && host == word("host")
        }
    }
}

/// Draws a failure a route ended with; gives a visitor the cookie that binds its forms.
fn finish(asked: &Asked, is_api: bool, response: Response) -> Response {
    let failure = match response.extensions().get::<Failure>() {
        Some(failure) => Some(failure.clone()),
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED => Some(Failure::WrongMethod),
        None => None,
    };
    let mut response = match failure {
        Some(failure) => draw(asked, is_api, &failure),
        None => response,
    };
    if asked.viewer.is_none() && !is_api {
        set_cookie(&mut response, asked.state.visitor_cookie(), &asked.csrf, 3600, asked.state.config.is_tls);
    }
    if let Ok(value) = HeaderValue::from_str(&asked.request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

fn draw(asked: &Asked, is_api: bool, failure: &Failure) -> Response {
    if is_api {
        let id = match failure {
            Failure::Refused(refusal) => format!("refusal-{}", refusal.code()),
            _ => format!("error-{}", failure.code()),
        };
        return failure.to_json(&locale::text(Language::English, &id), &asked.request_id);
    }
    if matches!(failure, Failure::Unauthorized) {
        let next = crate::render::url_query([("next", asked.target.as_str())]);
        return see_other(&format!("/login{}", if asked.target == "/" { String::new() } else { next }));
    }
    pages::error::page(asked, failure)
}

/// Headers of every response.
fn secure(headers: &mut HeaderMap, is_plain: bool, is_tls: bool) {
    let rows = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ];
    for (name, value) in rows {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !is_plain {
        headers.insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    }
    if is_tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(HeaderName::from_static("strict-transport-security"), year);
    }
}

/// The hash by which the desk knows a token of ours.
pub(crate) fn known_token(token: &str) -> Option<[u8; 32]> {
    (token.len() <= auth::TOKEN_BYTES_MAX).then(|| token_sha256(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: &[(&'static str, &'static str)], expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("soc.example:8080"));
        for (name, value) in rows {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(is_same_origin(&headers), expected, "{rows:?}");
    }

    #[test]
    fn only_our_own_pages_may_post() {
        check(&[], true);
        check(&[("origin", "http://soc.example:8080")], true);
        check(&[("origin", "http://soc.example:8080"), ("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "http://evil.example")], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "http://soc.example")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "same-site")], false);
    }
}
