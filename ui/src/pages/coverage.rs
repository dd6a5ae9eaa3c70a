//! `/coverage`: which techniques of ATT&CK the rules would find today, by tactic.
//!
//! In: a unit, a kind of source. Out: the matrix; the same as a layer for ATT&CK Navigator.

use askama::Template;
use axum::Json;
use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use axum::response::IntoResponse;

use super::{Page, Shell, html};
use crate::locale;
use crate::model::{Coverage, CoverageQuery, TechniqueRow, UnitRow};
use crate::request::Asked;

/// How many rules a cell names; the list of rules has all.
const SHOWN: usize = 6;

#[derive(Template)]
#[template(path = "coverage.html")]
struct MatrixPage {
    p: Shell,
    c: Coverage,
    units: Vec<UnitRow>,
    query: CoverageQuery,
}

impl MatrixPage {
    fn is_unit(&self, unit: &UnitRow) -> bool {
        self.query.unit.as_ref() == Some(&unit.code)
    }

    fn is_module(&self, module: &str) -> bool {
        self.query.module.as_deref() == Some(module)
    }

    /// How many rules of a technique are not named.
    fn more(&self, technique: &TechniqueRow) -> u64 {
        u64::try_from(technique.rules.len().saturating_sub(SHOWN)).unwrap_or(u64::MAX)
    }

    /// The list of all rules of a technique.
    fn all_of(&self, technique: &TechniqueRow) -> String {
        let tag = format!("attack.{}", technique.id.to_lowercase());
        format!("/rules{}", crate::render::url_query([("text", tag.as_str()), ("state", "on")]))
    }

    /// The layer of the same filters.
    fn layer(&self) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (unit, module) = (text(&self.query.unit), text(&self.query.module));
        format!(
            "/coverage/layer.json{}",
            crate::render::url_query([("unit", unit.as_str()), ("module", module.as_str())])
        )
    }
}

/// What the parameters ask for.
pub(crate) fn query_of(asked: &Asked) -> CoverageQuery {
    let text = |name: &str| asked.query.get(name).map(|text| text.chars().take(100).collect());
    CoverageQuery { unit: text("unit"), module: text("module") }
}

/// `GET /coverage`
pub(crate) async fn page(asked: Asked) -> Page {
    let query = query_of(&asked);
    let sent = query.clone();
    let (c, units) = asked.desk(move |desk, viewer| Ok((desk.coverage(viewer, &sent)?, desk.units(viewer)?))).await?;
    let p = Shell::new(&asked, "coverage", locale::text(asked.language, "nav-coverage")).await?;
    html(&MatrixPage { p, c, units, query })
}

/// `GET /coverage/layer.json`: the layer, as a file.
pub(crate) async fn layer(asked: Asked) -> Page {
    let query = query_of(&asked);
    let layer = asked.desk(move |desk, viewer| desk.coverage_layer(viewer, &query)).await?;
    let mut response = Json(layer).into_response();
    let name = HeaderValue::from_static("attachment; filename=\"nhatle-coverage.json\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}
