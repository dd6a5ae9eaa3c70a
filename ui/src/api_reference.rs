//! The JSON API of reference data: assets and lists of indicators.
//!
//! In: a table or list as the body, whatever its content type. Out: JSON. Failure: what is wrong with a body is status 422
//! with a line for each mistake under `error.detail.wrong`; else as in [`crate::api`].

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::json;

use crate::failure::{Failure, json_error};
use crate::guard::ApiBody;
use crate::model::reference::{NewList, Taken, Wrong};
use crate::pages::Page;
use crate::request::Asked;

/// `GET /api/v1/assets`
pub(crate) async fn assets(asked: Asked) -> Page {
    Ok(Json(asked.desk(|desk, viewer| desk.reference().assets(viewer)).await?).into_response())
}

/// `POST /api/v1/assets`
pub(crate) async fn import_assets(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let source = source_of(&asked);
    let taken = asked.desk(move |desk, viewer| desk.reference().import_assets(viewer, &sent.0, &source)).await?;
    Ok(answer(&asked, taken))
}

/// `GET /api/v1/intel`
pub(crate) async fn intel(asked: Asked) -> Page {
    Ok(Json(asked.desk(|desk, viewer| desk.reference().intel(viewer)).await?).into_response())
}

/// `POST /api/v1/intel/{list}`
pub(crate) async fn import_list(asked: Asked, Path(list): Path<String>, Extension(sent): Extension<ApiBody>) -> Page {
    let number = |name: &'static str| -> Result<Option<u32>, Failure> {
        asked.query.get(name).map(|text| text.parse().map_err(|_bad| Failure::BadRequest(name))).transpose()
    };
    let confidence =
        number("confidence")?.map(u8::try_from).transpose().map_err(|_bad| Failure::BadRequest("confidence"))?;
    let kind = asked.query.text("kind").to_owned();
    let new = NewList { list, bytes: sent.0.to_vec(), kind, days: number("days")?, confidence };
    let taken = asked.desk(move |desk, viewer| desk.reference().import_list(viewer, &new)).await?;
    Ok(answer(&asked, taken))
}

/// `POST /api/v1/intel/{list}/remove`
pub(crate) async fn remove_list(asked: Asked, Path(list): Path<String>) -> Page {
    asked.desk(move |desk, viewer| desk.reference().remove_list(viewer, &list)).await?;
    Ok(Json(json!({ "removed": true })).into_response())
}

fn source_of(asked: &Asked) -> String {
    Some(asked.query.text("source")).filter(|source| !source.is_empty()).unwrap_or("api").to_owned()
}

fn answer(asked: &Asked, taken: Result<Taken, Wrong>) -> axum::response::Response {
    match taken {
        Ok(taken) => Json(taken).into_response(),
        Err(wrong) => {
            let detail = Some(json!({ "wrong": wrong }));
            json_error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "wrong-file",
                "the file is not taken",
                detail,
                &asked.request_id,
            )
        }
    }
}
