//! `/rules` and `/rules/{id}`: what is looked for, what is off and why, and the forms that decide it.
//!
//! In: filters and forms. Out: a page of the list; one rule with its history. A decision is in force a moment
//! after it was made: rules are loaded anew beside the running detection.

use askama::Template;
use axum::extract::Path;

use super::alert::{note_of, redirect};
use super::{Page, Shell, html};
use crate::failure::Failure;
use crate::locale;
use crate::model::{Level, RuleChange, RuleFit, RuleLight, RuleLoad, RuleRow, RuleStanding, RuleStep, RuleView};
use crate::render::{url_part, url_query};
use crate::request::Asked;

/// How many rules one page lists.
const PAGE_ROWS: usize = 100;
/// The longest text of a filter, in characters.
const FILTER_CHARS_MAX: usize = 200;

/// What most rules say of false positives, and the message for it.
const USUAL_FALSE_POSITIVES: &[(&str, &str)] = &[
    ("unknown", "false-positive-unknown"),
    ("unlikely", "false-positive-unlikely"),
    ("likely", "false-positive-likely"),
    ("none", "false-positive-none"),
    ("none known", "false-positive-none"),
    ("legitimate administration activities", "false-positive-administration"),
    ("legitimate administrative activity", "false-positive-administration"),
    ("legitimate administrator activity", "false-positive-administration"),
    ("administrative activity", "false-positive-administration"),
    ("legitimate use", "false-positive-use"),
    ("vulnerability scanners", "false-positive-scanners"),
];

/// What the list is narrowed to.
#[derive(Clone, Default)]
pub(crate) struct RuleFilter {
    pub text: String,
    pub logsource: String,
    pub pack: String,
    pub standing: Option<RuleStanding>,
    pub level: Option<Level>,
    pub light: Option<RuleLight>,
}

impl RuleFilter {
    /// The filter in a query string; what makes no sense there is refused.
    pub fn of(asked: &Asked) -> Result<RuleFilter, Failure> {
        let text = |name: &str| -> String { asked.query.text(name).chars().take(FILTER_CHARS_MAX).collect() };
        Ok(RuleFilter {
            text: text("text"),
            logsource: text("logsource"),
            pack: text("pack"),
            standing: asked.words("state", RuleStanding::parse)?.into_iter().next(),
            level: asked.words("level", Level::parse)?.into_iter().next(),
            light: asked.words("light", RuleLight::parse)?.into_iter().next(),
        })
    }

    /// Keeps what fits, most urgent first.
    pub fn apply(&self, rows: &mut Vec<RuleRow>) {
        let (text, logsource) = (self.text.to_lowercase(), self.logsource.to_lowercase());
        let holds = |held: &str, wanted: &str| wanted.is_empty() || held.to_lowercase().contains(wanted);
        rows.retain(|row| {
            self.standing.is_none_or(|wanted| wanted == row.standing)
                && self.level.is_none_or(|wanted| wanted == row.level)
                && self.light.is_none_or(|wanted| wanted == row.alive.light && row.standing == RuleStanding::On)
                && (self.pack.is_empty() || self.pack == row.pack)
                && holds(&row.logsource, &logsource)
                && ([&row.title.vi, &row.title.en, &row.logsource, &row.id].iter().any(|held| holds(held, &text))
                    || row.tags.iter().any(|tag| holds(tag, &text)))
        });
        rows.sort_by(|left, right| {
            (right.level, &left.title.vi, &left.id).cmp(&(left.level, &right.title.vi, &right.id))
        });
    }

    /// The address of a page of the list with this filter, pages from 1.
    fn address(&self, page: usize) -> String {
        let page = page.to_string();
        let state = self.standing.map_or("", RuleStanding::as_str);
        let level = self.level.map_or("", Level::as_str);
        let light = self.light.map_or("", RuleLight::as_str);
        let pairs = [
            ("text", self.text.as_str()),
            ("logsource", self.logsource.as_str()),
            ("pack", self.pack.as_str()),
            ("state", state),
            ("level", level),
            ("light", light),
            ("page", if page == "1" { "" } else { page.as_str() }),
        ];
        format!("/rules{}", url_query(pairs))
    }
}

#[derive(Template)]
#[template(path = "rules.html")]
struct ListPage {
    p: Shell,
    rows: Vec<RuleRow>,
    total: u64,
    filter: RuleFilter,
    packs: Vec<String>,
    load: RuleLoad,
    page: usize,
    pages: usize,
}

impl ListPage {
    fn here(&self) -> String {
        self.filter.address(self.page)
    }

    fn before(&self) -> Option<String> {
        (1 < self.page).then(|| self.filter.address(self.page - 1))
    }

    fn after(&self) -> Option<String> {
        (self.page < self.pages).then(|| self.filter.address(self.page + 1))
    }

    fn is_standing(&self, standing: &RuleStanding) -> bool {
        self.filter.standing == Some(*standing)
    }

    fn is_level(&self, level: &Level) -> bool {
        self.filter.level == Some(*level)
    }

    fn is_light(&self, light: &RuleLight) -> bool {
        self.filter.light == Some(*light)
    }

    fn lights(&self) -> &'static [RuleLight] {
        RuleLight::ALL
    }

    fn standings(&self) -> &'static [RuleStanding] {
        RuleStanding::ALL
    }

    fn levels(&self) -> &'static [Level] {
        Level::ALL
    }

    fn address(&self, row: &RuleRow) -> String {
        address_of(&row.id)
    }
}

fn address_of(id: &str) -> String {
    format!("/rules/{}", url_part(id))
}

/// `GET /rules`
pub(crate) async fn list(asked: Asked) -> Page {
    let filter = RuleFilter::of(&asked)?;
    let (mut rows, load) = asked.desk(|desk, viewer| Ok((desk.rules(viewer)?, desk.rule_load(viewer)?))).await?;
    let mut packs: Vec<String> = rows.iter().map(|row| row.pack.clone()).collect();
    packs.sort_unstable();
    packs.dedup();
    filter.apply(&mut rows);
    let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let pages = rows.len().div_ceil(PAGE_ROWS).max(1);
    let page = asked.number("page", 1, pages);
    let rows = rows.into_iter().skip((page - 1) * PAGE_ROWS).take(PAGE_ROWS).collect();
    let p = Shell::new(&asked, "rules", locale::text(asked.language, "nav-rules")).await?;
    html(&ListPage { p, rows, total, filter, packs, load, page, pages })
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage {
    p: Shell,
    r: RuleView,
    f: RuleFit,
}

impl RulePage {
    fn here(&self) -> String {
        address_of(&self.r.row.id)
    }

    fn levels(&self) -> &'static [Level] {
        Level::ALL
    }

    /// A false positive as the rule has it; what every other rule says, in the language of the page.
    fn false_positive(&self, text: &str) -> String {
        let lower = text.trim().trim_end_matches('.').to_lowercase();
        let usual = USUAL_FALSE_POSITIVES.iter().find(|(usual, _)| *usual == lower);
        usual.map_or_else(|| self.p.v(text), |(_, id)| self.p.t(id))
    }

    fn is_on(&self) -> bool {
        self.r.row.standing == RuleStanding::On
    }

    /// When it was last switched on or off.
    fn last_switch(&self) -> Option<&RuleStep> {
        self.r.history.iter().rev().find(|step| matches!(step.kind.as_str(), "enable" | "disable"))
    }

    fn address(&self, id: &str) -> String {
        address_of(id)
    }
}

/// `GET /rules/{id}`
pub(crate) async fn detail(asked: Asked, Path(id): Path<String>) -> Page {
    let (r, f) = asked.desk(move |desk, viewer| Ok((desk.rule(viewer, &id)?, desk.rule_fit(viewer, &id)?))).await?;
    let p = Shell::new(&asked, "rules", r.row.title.get(asked.language).to_owned()).await?;
    html(&RulePage { p, r, f })
}

/// `POST /rules/{id}/changes`
pub(crate) async fn change(asked: Asked, Path(id): Path<String>) -> Page {
    let reason = note_of(&asked, "reason")?;
    let change = match asked.form.text("kind") {
        "enable" => RuleChange::Enable { note: reason },
        "disable" => RuleChange::Disable { reason },
        "set_level" => {
            let level = Level::parse(asked.form.text("level")).ok_or(Failure::BadRequest("level"))?;
            RuleChange::SetLevel { level, reason }
        }
        "reset_level" => RuleChange::ResetLevel,
        _ => return Err(Failure::BadRequest("kind")),
    };
    let back = asked.back(&address_of(&id));
    let result = asked.desk(move |desk, viewer| desk.change_rule(viewer, &id, &change)).await;
    redirect(result, &back, "changed")
}

/// `POST /rules/reload`
pub(crate) async fn reload(asked: Asked) -> Page {
    let result = asked.desk(|desk, viewer| desk.reload_rules(viewer)).await;
    redirect(result.map(drop), "/rules", "loaded")
}
