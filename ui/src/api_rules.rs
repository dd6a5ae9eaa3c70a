//! The JSON API of rules and coverage.
//!
//! In: query strings and JSON bodies. Out: JSON as the contract has it. Promise: the same desk calls as the pages,
//! with the same viewer. Failure: as in [`crate::api`].

use axum::extract::Path;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::api::{body, bounded};
use crate::failure::Failure;
use crate::guard::ApiBody;
use crate::model::{MatrixQuery, RuleChange, TEXT_BYTES_MAX};
use crate::pages::rule::RuleFilter;
use crate::pages::{Page, coverage as coverage_page, matrix as matrix_page, source as source_page};
use crate::request::Asked;

/// How many rows are passed over.
fn skip(asked: &Asked, name: &'static str) -> Result<usize, Failure> {
    asked.query.get(name).map_or(Ok(0), |text| text.parse().map_err(|_bad| Failure::BadRequest(name)))
}

/// `GET /api/v1/rules`
pub(crate) async fn list(asked: Asked) -> Page {
    let filter = RuleFilter::of(&asked)?;
    let limit = asked.number("limit", 100, 5_000);
    let skip = skip(&asked, "cursor")?;
    let (mut rows, load) = asked.desk(|desk, viewer| Ok((desk.rules(viewer)?, desk.rule_load(viewer)?))).await?;
    filter.apply(&mut rows);
    let total = rows.len();
    let rows: Vec<_> = rows.into_iter().skip(skip).take(limit).collect();
    let next = skip.saturating_add(rows.len());
    let cursor = (next < total).then(|| next.to_string());
    Ok(Json(json!({ "rules": rows, "total": total, "cursor": cursor, "load": load })).into_response())
}

/// `GET /api/v1/rules/{id}`
pub(crate) async fn get(asked: Asked, Path(id): Path<String>) -> Page {
    let view = asked.desk(move |desk, viewer| desk.rule(viewer, &id)).await?;
    Ok(Json(view).into_response())
}

/// `PATCH /api/v1/rules/{id}`
pub(crate) async fn patch(asked: Asked, Path(id): Path<String>, Extension(sent): Extension<ApiBody>) -> Page {
    let change: RuleChange = body(&sent)?;
    match &change {
        RuleChange::Enable { note: text }
        | RuleChange::Disable { reason: text }
        | RuleChange::SetLevel { reason: text, .. } => bounded(text, TEXT_BYTES_MAX)?,
        RuleChange::ResetLevel => {}
    }
    let view = asked
        .desk(move |desk, viewer| {
            desk.change_rule(viewer, &id, &change)?;
            desk.rule(viewer, &id)
        })
        .await?;
    Ok(Json(view).into_response())
}

/// `POST /api/v1/rules/reload`
pub(crate) async fn reload(asked: Asked) -> Page {
    let load = asked.desk(|desk, viewer| desk.reload_rules(viewer)).await?;
    Ok(Json(load).into_response())
}

/// `GET /api/v1/rules/{id}/sources`
pub(crate) async fn sources(asked: Asked, Path(id): Path<String>) -> Page {
    let fit = asked.desk(move |desk, viewer| desk.rule_fit(viewer, &id)).await?;
    Ok(Json(fit).into_response())
}

/// `GET /api/v1/sources/rules`
pub(crate) async fn of_source(asked: Asked) -> Page {
    let source = source_page::name_of(&asked);
    let fit = asked.desk(move |desk, viewer| desk.source_fit(viewer, &source)).await?;
    Ok(Json(fit).into_response())
}

/// `GET /api/v1/coverage/sources`
pub(crate) async fn matrix(asked: Asked) -> Page {
    let query = MatrixQuery {
        sources_skip: skip(&asked, "skip_sources")?,
        sources_most: asked.number("sources", 10, 100),
        rules_skip: skip(&asked, "skip_rules")?,
        rules_most: asked.number("limit", 100, 500),
        ..matrix_page::query_of(&asked)?
    };
    let matrix = asked.desk(move |desk, viewer| desk.fit_matrix(viewer, &query)).await?;
    Ok(Json(matrix).into_response())
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
