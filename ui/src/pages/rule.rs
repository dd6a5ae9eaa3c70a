//! `/rules` and `/rules/{id}`: what is looked for. Read only.

use askama::Template;
use axum::extract::Path;

use super::{Page, Shell, html};
use crate::locale;
use crate::model::{RuleRow, RuleView};
use crate::request::Asked;

/// How many rules one page lists; the filter narrows down.
const ROWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "rules.html")]
struct ListPage {
    p: Shell,
    rows: Vec<RuleRow>,
    total: u64,
    text: String,
}

/// `GET /rules`
pub(crate) async fn list(asked: Asked) -> Page {
    let mut rows = asked.desk(|desk, viewer| desk.rules(viewer)).await?;
    let text: String = asked.query.text("text").chars().take(200).collect();
    let wanted = text.to_lowercase();
    rows.retain(|row| {
        [&row.title.vi, &row.title.en, &row.logsource, &row.id].iter().any(|held| held.to_lowercase().contains(&wanted))
            || row.tags.iter().any(|tag| tag.to_lowercase().contains(&wanted))
    });
    rows.sort_by(|left, right| (right.level, &left.title.vi).cmp(&(left.level, &right.title.vi)));
    let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    rows.truncate(ROWS_MAX);
    let p = Shell::new(&asked, "rules", locale::text(asked.language, "nav-rules")).await?;
    html(&ListPage { p, rows, total, text })
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage {
    p: Shell,
    r: RuleView,
}

/// `GET /rules/{id}`
pub(crate) async fn detail(asked: Asked, Path(id): Path<String>) -> Page {
    let r = asked.desk(move |desk, viewer| desk.rule(viewer, &id)).await?;
    let p = Shell::new(&asked, "rules", r.row.title.get(asked.language).to_owned()).await?;
    html(&RulePage { p, r })
}
