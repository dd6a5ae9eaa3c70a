//! `/api/v1/erasures`: erasing what is about a person. In: JSON bodies. Out: JSON. Failure: as everywhere; what is refused
//! says why.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};

use super::Page;
use crate::api::{body, bounded};
use crate::guard::ApiBody;
use crate::model::TEXT_BYTES_MAX;
use crate::model::erasure::NewErasure;
use crate::request::Asked;

/// `GET /api/v1/erasures`
pub(crate) async fn json(asked: Asked) -> Page {
    let view = asked.desk(|desk, viewer| desk.keeping().erasures(viewer)).await?;
    Ok(Json(view).into_response())
}

/// `POST /api/v1/erasures`: counts; with `expect` and `basis` it begins.
pub(crate) async fn api_new(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewErasure = body(&sent)?;
    bounded(new.basis.as_deref().unwrap_or_default(), TEXT_BYTES_MAX)?;
    let status = if new.expect.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let plan = asked.desk(move |desk, viewer| desk.keeping().erase(viewer, &new)).await?;
    Ok((status, Json(plan)).into_response())
}
