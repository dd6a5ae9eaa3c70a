//! `Asked`: one request after the guard has let it in: who, in which language, with which parameters.
//!
//! In: what the guard put into the request. Out: parameters, calls to the desk on a blocking thread,
//! redirects. Promise: the desk is reached through [`Asked::desk`] only, which always passes the viewer.
//! Failure: [`Failure`].

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use nhatle_event::Timestamp;

use crate::account::{Account, Language, Viewer};
use crate::auth;
use crate::desk::{Answer, Desk};
use crate::failure::Failure;
use crate::state::State;

/// Decoded pairs of a query string or form, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs(pub Vec<(String, String)>);

impl Pairs {
    /// The first value of this name that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The first value, or nothing.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// All values of this name that are not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// Light, dark, or as the system has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    pub fn as_str(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn parse(word: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.as_str() == word)
    }
}

/// One request that may go on.
#[derive(Clone)]
pub(crate) struct Asked {
    pub state: Arc<State>,
    /// Who; `None` on public routes only.
    pub viewer: Option<Viewer>,
    /// The token forms must carry.
    pub csrf: String,
    /// The session's id, where there is one.
    pub session_id: Option<String>,
    /// SHA-256 of the token it was asked with, where there is one.
    pub token: Option<[u8; 32]>,
    pub language: Language,
    pub theme: Theme,
    pub request_id: String,
    /// Path and query, as asked.
    pub target: String,
    pub query: Pairs,
    pub form: Pairs,
    pub address: String,
    pub now: Timestamp,
}

impl Asked {
    /// The one who asks.
    ///
    /// # Errors
    /// Nobody is signed in; the guard does not let that happen on routes that need somebody.
    pub fn viewer(&self) -> Result<&Viewer, Failure> {
        self.viewer.as_ref().ok_or(Failure::Unauthorized)
    }

    /// Whether who asked may still be answered. What goes on for long looks again and again: a session ends, an account is
    /// switched off, a token taken back.
    pub async fn still_holds(&self) -> bool {
        let found = if let Some(hash) = self.token {
            self.state.blocking(move |desk| desk.token_account(&hash)).await
        } else {
            let now = self.state.config.clock.now();
            let session = self.session_id.as_ref().and_then(|id| self.state.sessions.look(id, now));
            let Some(session) = session else { return false };
            let user = session.user.clone();
            let found = self.state.blocking(move |desk| desk.account(&user)).await;
            let fits = |account: &Account| session.fits(account.password_hash.as_deref());
            found.map(|account| account.map(|account| account.filter(fits)))
        };
        match found {
            Ok(Ok(Some(account))) => auth::enabled(account) == self.viewer,
            _ => false,
        }
    }

    /// Runs a call of the desk for the viewer on a blocking thread.
    pub async fn desk<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Desk, &Viewer) -> Answer<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let viewer = self.viewer()?.clone();
        self.state.blocking(move |desk| call(desk, &viewer)).await.and_then(|answer| answer.map_err(Failure::from))
    }

    /// Whether the viewer may change anything.
    pub fn may_work(&self) -> bool {
        self.viewer.as_ref().is_some_and(Viewer::may_work)
    }

    /// A moment in a parameter: RFC 3339, or the form's local time in the zone of the pages.
    ///
    /// # Errors
    /// The text is no moment.
    pub fn moment(&self, name: &'static str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let padded = if text.len() == "2026-11-23T08:15".len() { format!("{text}:00") } else { text.to_owned() };
        match Timestamp::parse(&padded, self.state.config.zone_offset_s) {
            Some(stamp) => Ok(Some(stamp)),
            None => Err(Failure::BadRequest(name)),
        }
    }

    /// A number in a parameter, within bounds.
    pub fn number(&self, name: &str, default: usize, max: usize) -> usize {
        self.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default).clamp(1, max)
    }

    /// Every word of a repeated or comma-separated parameter, read by `parse`.
    ///
    /// # Errors
    /// One of them is no such word.
    pub fn words<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Failure> {
        self.query
            .all(name)
            .flat_map(|text| text.split(','))
            .take(64)
            .map(|word| parse(word).ok_or(Failure::BadRequest(name)))
            .collect()
    }

    /// Where a form sends the browser back to: its `back` if that is a path of ours.
    pub fn back(&self, otherwise: &str) -> String {
        let asked = self.form.get("back").or_else(|| self.query.get("back"));
        asked.filter(|path| is_own_path(path)).unwrap_or(otherwise).to_owned()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Asked, Failure> {
        parts.extensions.get::<Asked>().cloned().ok_or(Failure::Internal)
    }
}

/// Whether this is a path on this host and nothing a browser could take for another one.
pub(crate) fn is_own_path(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && path.len() <= 2048
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\')
}

/// 303: the browser gets `path` next (Post/Redirect/Get).
pub(crate) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The path with what was done (`done=…`) or why not (`refused=…`) for the page to say.
pub(crate) fn with_result(path: &str, name: &str, code: &str) -> String {
    let path = path.split('#').next().unwrap_or("/");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("done=") && !pair.starts_with("refused="))
        .collect();
    let mut out = format!("{path}?{name}={code}");
    for pair in kept {
        out.push('&');
        out.push_str(pair);
    }
    out
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(HeaderName::from_static("cookie"))
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Adds a cookie to a response. `value` is ours: letters and digits.
pub(crate) fn set_cookie(response: &mut Response, name: &str, value: &str, max_age_s: u32, is_tls: bool) {
    let secure = if is_tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_host_are_gone_back_to() {
        for path in ["/", "/alerts", "/search?q=a%20b", "/alerts/x#why"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in ["", "alerts", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nX: y", "/a b"] {
            assert!(!is_own_path(path), "{path}");
        }
    }

    #[test]
    fn results_replace_results() {
        assert_eq!(with_result("/alerts?level=high&done=taken", "done", "closed"), "/alerts?done=closed&level=high");
        assert_eq!(with_result("/alerts#x", "refused", "stale"), "/alerts?refused=stale");
    }
}
