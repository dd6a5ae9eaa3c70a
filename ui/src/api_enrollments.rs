//! The JSON API of enrolments and refused senders.
//!
//! In: JSON bodies. Out: JSON. Promise: the same desk calls as the pages, with the same viewer; a code is in one answer, that
//! to who asked for it. Failure: as in [`crate::api`].

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use crate::api::{body, bounded};
use crate::guard::ApiBody;
use crate::model::{NewEnrollment, TEXT_BYTES_MAX};
use crate::pages::Page;
use crate::pages::incident::number_of;
use crate::request::Asked;

/// `GET /api/v1/enrollments`
pub(crate) async fn list(asked: Asked) -> Page {
    let rows = asked.desk(|desk, viewer| desk.enrollments(viewer)).await?;
    Ok(Json(json!({ "enrollments": rows })).into_response())
}

/// `POST /api/v1/enrollments`
pub(crate) async fn post(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewEnrollment = body(&sent)?;
    bounded(&new.name, 256)?;
    bounded(&new.unit, 256)?;
    let issued = asked.desk(move |desk, viewer| desk.issue_enrollment(viewer, &new)).await?;
    Ok((StatusCode::CREATED, Json(issued)).into_response())
}

/// Why an enrolment is revoked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Because {
    because: String,
}

/// `POST /api/v1/enrollments/{number}/revoke`
pub(crate) async fn revoke(asked: Asked, Path(number): Path<String>, Extension(sent): Extension<ApiBody>) -> Page {
    let number = number_of(&number)?;
    let Because { because } = if sent.0.is_empty() { Because::default() } else { body(&sent)? };
    bounded(&because, TEXT_BYTES_MAX)?;
    let row = asked.desk(move |desk, viewer| desk.revoke_enrollment(viewer, number, &because)).await?;
    Ok(Json(row).into_response())
}

/// `GET /api/v1/refused-senders`
pub(crate) async fn refused(asked: Asked) -> Page {
    let rows = asked.desk(|desk, viewer| desk.refused_senders(viewer)).await?;
    Ok(Json(json!({ "refused": rows })).into_response())
}
