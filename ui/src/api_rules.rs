//! The JSON API of rules: the list, one with its text, what they cover.
//!
//! In: query strings. Out: JSON as the contract has it. Promise: the same desk calls as the pages, with the same
//! viewer. Failure: as in [`crate::api`].

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::pages::{Page, coverage as coverage_page, rule};
use crate::request::Asked;

/// `GET /api/v1/rules`
pub(crate) async fn list(asked: Asked) -> Page {
    let filter = rule::filter_of(&asked)?;
    let mut rows = asked.desk(|desk, viewer| desk.rules(viewer)).await?;
    filter.apply(&mut rows);
    let total = rows.len();
    rows.truncate(asked.number("limit", 100, 5_000));
    Ok(Json(json!({ "rules": rows, "total": total })).into_response())
}

/// `GET /api/v1/rules/{id}`
pub(crate) async fn get(asked: Asked, Path(id): Path<String>) -> Page {
    let view = asked.desk(move |desk, viewer| desk.rule(viewer, &id)).await?;
    Ok(Json(view).into_response())
}

/// `GET /api/v1/coverage`
pub(crate) async fn coverage(asked: Asked) -> Page {
    let query = coverage_page::query_of(&asked);
    let coverage = asked.desk(move |desk, viewer| desk.coverage(viewer, &query)).await?;
    let techniques: Vec<Value> =
        coverage.columns.iter().flat_map(|column| &column.techniques).map(|one| json!(one)).collect();
    let [green, amber, off] = coverage.counts;
    let counts = json!({ "green": green, "amber": amber, "off": off });
    Ok(Json(json!({ "techniques": techniques, "counts": counts, "modules": coverage.modules })).into_response())
}
