//! The JSON API of exceptions and risk.
//!
//! In: JSON bodies. Out: JSON as the contract has it. Promise: the same desk calls as the pages, with the same
//! viewer. Failure: as in [`crate::api`].

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::json;

use crate::api::{body, bounded};
use crate::failure::Failure;
use crate::guard::ApiBody;
use crate::model::{ExceptionChange, NewException, TEXT_BYTES_MAX};
use crate::pages::Page;
use crate::pages::incident::number_of;
use crate::request::Asked;

/// Entities without `limit`.
const RISKS: usize = 100;

/// `GET /api/v1/exceptions`
pub(crate) async fn list(asked: Asked) -> Page {
    let rows = asked.desk(|desk, viewer| desk.exceptions(viewer)).await?;
    Ok(Json(json!({ "exceptions": rows })).into_response())
}

/// `GET /api/v1/exceptions/{number}`
pub(crate) async fn get(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    let view = asked.desk(move |desk, viewer| desk.exception(viewer, number)).await?;
    Ok(Json(view).into_response())
}

/// `POST /api/v1/exceptions`
pub(crate) async fn post(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewException = body(&sent)?;
    bounded(&new.because, TEXT_BYTES_MAX)?;
    let view = asked
        .desk(move |desk, viewer| {
            let number = desk.open_exception(viewer, &new)?;
            desk.exception(viewer, number)
        })
        .await?;
    let mut response = (StatusCode::CREATED, Json(json!(view))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/exceptions/{}", view.row.number)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `POST /api/v1/exceptions/preview`
pub(crate) async fn preview(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewException = body(&sent)?;
    let preview = asked.desk(move |desk, viewer| desk.preview_exception(viewer, &new)).await?;
    Ok(Json(preview).into_response())
}

/// `POST /api/v1/exceptions/{number}/changes`
pub(crate) async fn change(asked: Asked, Path(number): Path<String>, Extension(sent): Extension<ApiBody>) -> Page {
    let number = number_of(&number)?;
    let change: ExceptionChange = body(&sent)?;
    match &change {
        ExceptionChange::SetEnd { because, .. } | ExceptionChange::End { because } => {
            bounded(because, TEXT_BYTES_MAX)?;
        }
        ExceptionChange::SetOwner { owner } => bounded(owner, 256)?,
    }
    let view = asked
        .desk(move |desk, viewer| {
            desk.change_exception(viewer, number, &change)?;
            desk.exception(viewer, number)
        })
        .await?;
    Ok(Json(view).into_response())
}

/// `GET /api/v1/risks`
pub(crate) async fn risks(asked: Asked) -> Page {
    let limit = asked.number("limit", RISKS, crate::model::PAGE_ROWS_MAX);
    let rows = asked.desk(move |desk, viewer| desk.risks(viewer, limit)).await?;
    Ok::<_, Failure>(Json(json!({ "risks": rows })).into_response())
}
