//! `/proof`: how the proof of the store stands; and evidence packages as files.
//!
//! In: the desk's proof, an incident's number. Out: a page, JSON, a tar archive.

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::{Page, Shell, html};
use crate::desk::DeskError;
use crate::locale;
use crate::model::proof::ProofView;
use crate::request::Asked;

#[derive(Template)]
#[template(path = "proof.html")]
struct ProofPage {
    p: Shell,
    v: ProofView,
}

/// `GET /proof`
pub(crate) async fn page(asked: Asked) -> Page {
    let v = asked.desk(|desk, viewer| desk.proof(viewer)).await?;
    let p = Shell::new(&asked, "proof", locale::text(asked.language, "nav-proof")).await?;
    html(&ProofPage { p, v })
}

/// `GET /api/v1/proof`
pub(crate) async fn json(asked: Asked) -> Page {
    let view = asked.desk(|desk, viewer| desk.proof(viewer)).await?;
    Ok(Json(view).into_response())
}

/// `GET /incidents/{no}/evidence`, `GET /api/v1/incidents/{no}/evidence`: the package.
pub(crate) async fn incident(asked: Asked, Path(number): Path<String>) -> Page {
    let number: u64 = number.parse().map_err(|_none| DeskError::NotFound)?;
    let file = asked.desk(move |desk, viewer| desk.evidence(viewer, number)).await?;
    let mut response = file.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    // The name is of our own making: digits and letters.
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", file.name)) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
