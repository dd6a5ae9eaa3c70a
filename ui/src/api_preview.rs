//! The JSON API of previews and hunts.
//!
//! In: JSON bodies. Out: JSON. Promise: the same desk calls as the pages, with the same viewer. Failure: as in
//! [`crate::api`].

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::json;

use crate::api::body;
use crate::guard::ApiBody;
use crate::model::{NewHunt, PreviewState};
use crate::pages::Page;
use crate::pages::incident::number_of;
use crate::request::Asked;

/// `GET /api/v1/rules/{id}/preview`
pub(crate) async fn get(asked: Asked, Path(id): Path<String>) -> Page {
    let preview = asked.desk(move |desk, viewer| desk.rule_preview(viewer, &id)).await?;
    Ok(Json(preview).into_response())
}

/// `POST /api/v1/rules/{id}/preview`
pub(crate) async fn start(asked: Asked, Path(id): Path<String>) -> Page {
    let preview = asked
        .desk(move |desk, viewer| {
            desk.start_rule_preview(viewer, &id)?;
            desk.rule_preview(viewer, &id)
        })
        .await?;
    let is_under_way = matches!(preview.state, PreviewState::Waiting | PreviewState::Running);
    let status = if is_under_way { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(preview)).into_response())
}

/// `POST /api/v1/rules/{id}/hunts`
pub(crate) async fn hunt(asked: Asked, Path(id): Path<String>, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewHunt = body(&sent)?;
    let number = asked.desk(move |desk, viewer| desk.start_hunt(viewer, &id, &new)).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "hunt": number }))).into_response())
}

/// `POST /api/v1/hunts/{number}/cancel`
pub(crate) async fn cancel(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    asked.desk(move |desk, viewer| desk.cancel_hunt(viewer, number)).await?;
    Ok(Json(json!({ "hunt": number })).into_response())
}
