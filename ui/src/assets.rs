//! Static files, compiled in: style sheets, scripts, the mark.
//!
//! In: a name. Out: the file with a strong ETag; under its fingerprint it may be kept for a year.
//! Promise: no file comes from anywhere else. Failure: 404 for an unknown name.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use nhatle_event::json::hex;

use crate::session::token_sha256;

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset { name: "nhatle.css", kind: "text/css; charset=utf-8", text: include_str!("../static/nhatle.css") },
    Asset { name: "print.css", kind: "text/css; charset=utf-8", text: include_str!("../static/print.css") },
    Asset { name: "main.js", kind: "text/javascript; charset=utf-8", text: include_str!("../static/main.js") },
    Asset { name: "copy.js", kind: "text/javascript; charset=utf-8", text: include_str!("../static/copy.js") },
    Asset { name: "keys.js", kind: "text/javascript; charset=utf-8", text: include_str!("../static/keys.js") },
    Asset { name: "live.js", kind: "text/javascript; charset=utf-8", text: include_str!("../static/live.js") },
    Asset { name: "search.js", kind: "text/javascript; charset=utf-8", text: include_str!("../static/search.js") },
    Asset { name: "tail.js", kind: "text/javascript; charset=utf-8", text: include_str!("../static/tail.js") },
    Asset { name: "mark.svg", kind: "image/svg+xml", text: include_str!("../static/mark.svg") },
];

/// Fingerprints, in the order of [`ASSETS`]. One fingerprint for all scripts would do; one for each is as easy.
static FINGERPRINTS: LazyLock<Vec<String>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| hex(&token_sha256(asset.text))[..12].to_owned()).collect());

fn find(name: &str) -> Option<(&'static Asset, &'static str)> {
    let at = ASSETS.iter().position(|asset| asset.name == name)?;
    Some((&ASSETS[at], FINGERPRINTS.get(at)?))
}

/// The address of a file, with its fingerprint.
pub(crate) fn address(name: &str) -> String {
    match find(name) {
        Some((asset, fingerprint)) => format!("/static/{}?v={fingerprint}", asset.name),
        None => format!("/static/{name}"),
    }
}

/// `GET /static/{name}`
pub(crate) async fn file(Path(name): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some((asset, fingerprint)) = find(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let tag = format!("\"{fingerprint}\"");
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { asset.text.into_response() };
    let is_pinned = query.is_some_and(|query| query.strip_prefix("v=") == Some(fingerprint));
    let keep = if is_pinned { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
