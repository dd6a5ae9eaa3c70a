//! `/search/tail` and its stream: new events that match, as they come.
//!
//! In: a query line. Out: a page with the newest events that match now, which its script goes on with. Promise: at most
//! 50 lines a second are drawn, and the page says how many were not. Failure: as search; a query that does not parse is
//! shown with its place on the search page.

use std::time::Duration;

use askama::Template;

use super::search::HitLine;
use super::{Page, Shell, html};
use crate::api_search::line;
use crate::failure::Failure;
use crate::locale;
use crate::model::SearchQuery;
use crate::render;
use crate::request::{Asked, see_other};
use crate::{searches, tail};

/// What stands there when the page opens.
const ROWS: usize = 50;
/// Lines of one look, and the time between two.
const LOOK: (usize, Duration) = (25, Duration::from_millis(500));
/// How far back the first lines may be.
const BACK_NS: i64 = 24 * 3_600 * 1_000_000_000;

#[derive(Template)]
#[template(path = "tail.html")]
struct TailPage {
    p: Shell,
    text: String,
    hits: Vec<HitLine>,
}

impl TailPage {
    fn stream(&self) -> String {
        format!("/search/tail/stream{}", render::url_query([("q", self.text.as_str())]))
    }

    fn search(&self) -> String {
        format!("/search{}", render::url_query([("q", self.text.as_str())]))
    }
}

/// `GET /search/tail`
pub(crate) async fn page(asked: Asked) -> Page {
    let text = line(&asked)?;
    let query = SearchQuery {
        text: text.clone(),
        from: Some(asked.now.plus_nanos(-BACK_NS)),
        limit: ROWS,
        due_ms: 250,
        ..SearchQuery::default()
    };
    let found = match searches::run(&asked, query).await {
        Err(Failure::Syntax(_)) => {
            return Ok(see_other(&format!("/search{}", render::url_query([("q", text.as_str())]))));
        }
        found => found?,
    };
    let hits = found.hits.iter().rev().map(|stored| HitLine::new(stored, "")).collect();
    let p = Shell::new(&asked, "search", locale::text(asked.language, "tail-title")).await?;
    html(&TailPage { p, text, hits })
}

/// `GET /search/tail/stream`
pub(crate) async fn stream(asked: Asked) -> Page {
    let query = SearchQuery { text: line(&asked)?, ..SearchQuery::default() };
    let shown = asked.clone();
    tail::stream(asked, query, LOOK, move |hits| serde_json::Value::Array(HitLine::all_drawn(hits, &shown))).await
}
