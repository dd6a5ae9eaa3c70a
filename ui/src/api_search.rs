//! The JSON API of search: one answer, lines while it goes on, values of a field, the live tail.
//!
//! In: query strings. Out: JSON, NDJSON, server-sent events. Promise: the same desk calls as the pages, with the same
//! viewer; a client that goes away ends its search. Failure: as everywhere in the API; over the number of searches 429.

use axum::Json;
use axum::response::IntoResponse;
use nhatle_event::Stored;
use nhatle_event::json::{Shape, stored_to_json};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::model::{PAGE_ROWS_MAX, SearchPage, SearchQuery, TEXT_BYTES_MAX};
use crate::pages::Page;
use crate::request::Asked;
use crate::searches::{self, Told};
use crate::tail;

/// Rows without `limit`.
const LIMIT: usize = 100;
/// How many values of one field a call gives.
const VALUES_MAX: usize = 1_000;
/// The most fields one call counts values of.
const FACETS_MAX: usize = 32;
/// Hits of a tail in one look, and how often it looks.
const TAIL_ROWS: usize = 100;

/// The query line, within its bound.
pub(crate) fn line(asked: &Asked) -> Result<String, Failure> {
    let text = asked.query.text("q").to_owned();
    if TEXT_BYTES_MAX < text.len() { Err(Failure::BadRequest("q")) } else { Ok(text) }
}

fn query_of(asked: &Asked) -> Result<SearchQuery, Failure> {
    Ok(SearchQuery {
        text: line(asked)?,
        from: asked.moment("from")?,
        to: asked.moment("to")?,
        limit: asked.number("limit", LIMIT, PAGE_ROWS_MAX),
        cursor: asked.query.get("cursor").map(str::to_owned),
        buckets: asked.query.get("buckets").and_then(|count| count.parse().ok()).unwrap_or(0usize).min(1000),
        facets: asked.query.all("facet").take(FACETS_MAX).map(str::to_owned).collect(),
        is_thorough: asked.query.text("exact") == "1",
        ..SearchQuery::default()
    })
}

fn rows(hits: &[Stored]) -> Vec<Value> {
    hits.iter().map(|stored| stored_to_json(stored, Shape::Dotted)).collect()
}

/// What a page says besides its hits.
fn summary(page: &SearchPage, with_explain: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("total", json!(page.total));
    put("total_is_exact", json!(page.total_is_exact));
    put("cursor", json!(page.next));
    put("took_ms", json!(page.took_ms));
    if !page.buckets.is_empty() {
        put("buckets", json!(page.buckets));
    }
    if !page.facets.is_empty() {
        put("facets", json!(page.facets));
    }
    if let Some(incomplete) = &page.incomplete {
        put("incomplete", json!(incomplete));
    }
    if let Some(to) = &page.partial_to {
        put("partial_to", json!(to.to_string()));
    }
    if !page.hints.is_empty() {
        put("hints", json!(page.hints));
    }
    if let Some(explain) = page.explain.as_ref().filter(|_| with_explain) {
        put("explain", explain.clone());
    }
    fields
}

/// `GET /api/v1/search`
pub(crate) async fn search(asked: Asked) -> Page {
    let with_explain = asked.query.text("explain") == "1";
    let page = searches::run(&asked, query_of(&asked)?).await?;
    let mut answer = summary(&page, with_explain);
    answer.insert("hits".to_owned(), Value::Array(rows(&page.hits)));
    Ok(Json(Value::Object(answer)).into_response())
}

/// `GET /api/v1/search/stream`
pub(crate) async fn stream(asked: Asked) -> Page {
    let with_explain = asked.query.text("explain") == "1";
    let query = query_of(&asked)?;
    searches::stream(asked, query, move |told| match told {
        Told::Hits(hits) => json!({ "type": "hits", "hits": rows(hits) }),
        Told::Progress(progress) => {
            let mut value = json!(progress);
            if let Value::Object(fields) = &mut value {
                fields.insert("type".to_owned(), json!("progress"));
            }
            value
        }
        Told::End(page) => {
            let mut fields = summary(page, with_explain);
            fields.insert("type".to_owned(), json!("end"));
            Value::Object(fields)
        }
    })
    .await
}

/// `GET /api/v1/search/top`
pub(crate) async fn top(asked: Asked) -> Page {
    let field = asked.query.get("field").ok_or(Failure::BadRequest("field"))?.to_owned();
    let query = SearchQuery {
        limit: 0,
        buckets: 0,
        cursor: None,
        facets: vec![field],
        facet_values: asked.number("values", 20, VALUES_MAX),
        facet_rows_max: if asked.query.text("exact") == "1" { usize::MAX } else { 0 },
        ..query_of(&asked)?
    };
    let page = searches::run(&asked, query).await?;
    let facet = page.facets.first().ok_or(Failure::Internal)?;
    Ok(Json(json!({
        "field": facet.field,
        "values": facet.values,
        "is_exact": facet.is_exact,
        "counted": facet.counted,
        "distinct": facet.distinct,
        "took_ms": page.took_ms,
    }))
    .into_response())
}

/// `GET /api/v1/tail`
pub(crate) async fn follow(asked: Asked) -> Page {
    let query = SearchQuery { text: line(&asked)?, ..SearchQuery::default() };
    let pause = std::time::Duration::from_millis(250);
    tail::stream(asked, query, (TAIL_ROWS, pause), |hits| Value::Array(rows(hits))).await
}
