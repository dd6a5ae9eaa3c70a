//! `/proof`: how the proof of the store stands; the newest head and evidence packages as files.
//!
//! In: the desk's proof, an incident's number. Out: a page, JSON, a tar archive.

use askama::Template;
use axum::extract::Path;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::alert::redirect;
use super::{Page, Shell, html};
use crate::api::body;
use crate::desk::DeskError;
use crate::failure::Failure;
use crate::guard::ApiBody;
use crate::locale;
use crate::model::proof::{KEPT_BYTES_MAX, NewCheck, ProofView};
use crate::request::Asked;

#[derive(Template)]
#[template(path = "proof.html")]
struct ProofPage {
    p: Shell,
    v: ProofView,
}

/// `GET /proof`
pub(crate) async fn page(asked: Asked) -> Page {
    let v = asked.desk(|desk, viewer| desk.keeping().proof(viewer)).await?;
    let p = Shell::new(&asked, "proof", locale::text(asked.language, "nav-proof")).await?;
    html(&ProofPage { p, v })
}

/// `GET /proof/head.txt`: the newest head as a file, byte for byte.
pub(crate) async fn head(asked: Asked) -> Page {
    let view = asked.desk(|desk, viewer| desk.keeping().proof(viewer)).await?;
    if view.head_text.is_empty() {
        return Err(DeskError::NotFound.into());
    }
    Ok(file(view.head_text.into_bytes(), "text/plain; charset=utf-8", "nhatle-head.txt"))
}

/// `POST /proof/check`: the whole store is checked in the background.
pub(crate) async fn check(asked: Asked) -> Page {
    let new = NewCheck { heads: asked.form.text("heads").to_owned(), is_deep: asked.form.text("deep") == "yes" };
    let result = start(&asked, new).await;
    redirect(result, "/proof", "check")
}

/// `POST /api/v1/proof/check`
pub(crate) async fn api_check(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    start(&asked, body(&sent)?).await?;
    let view = asked.desk(|desk, viewer| desk.keeping().proof(viewer)).await?;
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

async fn start(asked: &Asked, new: NewCheck) -> Result<(), Failure> {
    if KEPT_BYTES_MAX < new.heads.len() {
        return Err(Failure::BadRequest("heads"));
    }
    asked.desk(move |desk, viewer| desk.keeping().start_check(viewer, &new)).await
}

/// `GET /api/v1/proof`
pub(crate) async fn json(asked: Asked) -> Page {
    let view = asked.desk(|desk, viewer| desk.keeping().proof(viewer)).await?;
    Ok(Json(view).into_response())
}

/// `GET /incidents/{no}/evidence`, `GET /api/v1/incidents/{no}/evidence`: the package.
pub(crate) async fn incident(asked: Asked, Path(number): Path<String>) -> Page {
    let number: u64 = number.parse().map_err(|_none| DeskError::NotFound)?;
    let file = asked.desk(move |desk, viewer| desk.keeping().evidence(viewer, number)).await?;
    Ok(self::file(file.bytes, "application/x-tar", &file.name))
}

/// Bytes to be kept as a file. The name is of our own making: digits, letters, dots and hyphens.
fn file(bytes: Vec<u8>, kind: &'static str, name: &str) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    response
}
