//! `/rules` and `/rules/{id}`: what is looked for. Read only.

use askama::Template;
use axum::extract::Path;

use super::{Page, Shell, html};
use crate::failure::Failure;
use crate::locale;
use crate::model::{Level, RuleLight, RuleRow, RuleView};
use crate::request::Asked;

/// How many rules one page lists; the filter narrows down.
const ROWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "rules.html")]
struct ListPage {
    p: Shell,
    rows: Vec<RuleRow>,
    total: u64,
    filter: RuleFilter,
}

impl ListPage {
    fn is_light(&self, light: &RuleLight) -> bool {
        self.filter.light == Some(*light)
    }

    fn is_level(&self, level: &Level) -> bool {
        self.filter.level == Some(*level)
    }

    fn lights(&self) -> &'static [RuleLight] {
        RuleLight::ALL
    }

    fn levels(&self) -> impl Iterator<Item = Level> {
        Level::ALL.iter().rev().copied()
    }
}

/// Which rules are listed.
pub(crate) struct RuleFilter {
    text: String,
    light: Option<RuleLight>,
    level: Option<Level>,
}

/// What the parameters ask for.
pub(crate) fn filter_of(asked: &Asked) -> Result<RuleFilter, Failure> {
    Ok(RuleFilter {
        text: asked.query.text("text").chars().take(200).collect(),
        light: asked.words("light", RuleLight::parse)?.first().copied(),
        level: asked.words("level", Level::parse)?.first().copied(),
    })
}

impl RuleFilter {
    /// Keeps what is asked for.
    pub(crate) fn apply(&self, rows: &mut Vec<RuleRow>) {
        let wanted = self.text.to_lowercase();
        rows.retain(|row| {
            let held = [&row.title.vi, &row.title.en, &row.logsource, &row.id];
            let speaks = held.iter().any(|held| held.to_lowercase().contains(&wanted))
                || row.tags.iter().any(|tag| tag.to_lowercase().contains(&wanted));
            speaks
                && self.light.is_none_or(|light| row.alive.light == light)
                && self.level.is_none_or(|level| row.level == level)
        });
    }
}

/// `GET /rules`
pub(crate) async fn list(asked: Asked) -> Page {
    let mut rows = asked.desk(|desk, viewer| desk.rules(viewer)).await?;
    let filter = filter_of(&asked)?;
    filter.apply(&mut rows);
    rows.sort_by(|left, right| (right.level, &left.title.vi).cmp(&(left.level, &right.title.vi)));
    let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    rows.truncate(ROWS_MAX);
    let p = Shell::new(&asked, "rules", locale::text(asked.language, "nav-rules")).await?;
    html(&ListPage { p, rows, total, filter })
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
