//! `/coverage/sources`: rules beside sources. Which rules can ever match what each source has really sent, and which
//! field is missing where one cannot.
//!
//! In: a kind of source, a state, words of the title. Out: a table of a bounded number of rules and sources, with ways
//! to the next of each. Nothing in it needs a script.

use askama::Template;

use super::{Page, Shell, html};
use crate::failure::Failure;
use crate::locale;
use crate::model::{Fit, FitMatrix, FitState, MatrixQuery, MatrixRule, MatrixSource};
use crate::render::url_query;
use crate::request::Asked;

/// How many sources stand beside each other: what a small screen holds.
const SOURCES: usize = 8;
/// How many rules stand below each other.
const RULES: usize = 60;
/// How many pages of rules or sources can be asked for.
const PAGES_MAX: usize = 10_000;
/// The longest text of a filter, in characters.
const FILTER_CHARS_MAX: usize = 200;
/// How many fields a cell names; its title names all.
const FIELDS_NAMED: usize = 2;

#[derive(Template)]
#[template(path = "matrix.html")]
struct MatrixPage {
    p: Shell,
    m: FitMatrix,
    query: MatrixQuery,
    /// Which page of rules, and which of sources, from 1.
    at: (usize, usize),
    pages: (usize, usize),
}

impl MatrixPage {
    fn states(&self) -> &'static [FitState] {
        FitState::ALL
    }

    fn is_state(&self, state: &FitState) -> bool {
        self.query.state == Some(*state)
    }

    fn is_module(&self, module: &str) -> bool {
        self.query.module.as_deref() == Some(module)
    }

    fn rule_path(&self, rule: &MatrixRule) -> String {
        format!("/rules/{}", crate::render::url_part(&rule.id))
    }

    /// A host's name and its domain, which stands smaller; an address is not cut.
    fn halves<'s>(&self, source: &'s MatrixSource) -> (&'s str, &'s str) {
        let name = source.source.as_str();
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        let at = name.find('.').filter(|at| 0 < *at && !is_address).unwrap_or(name.len());
        name.split_at(at)
    }

    /// The fields a cell has room for, and how many it has not.
    fn named<'f>(&self, fit: &'f Fit) -> (&'f [String], usize) {
        let named = fit.fields.get(..FIELDS_NAMED).unwrap_or(&fit.fields);
        (named, fit.fields.len() - named.len())
    }

    /// What to switch on at one source or another, each once.
    fn hints(&self, rule: &MatrixRule) -> Vec<&'static str> {
        let lacks = rule
            .cells
            .iter()
            .filter(|fit| matches!(fit.state, FitState::Missing | FitState::Indicators) && !fit.hint.is_empty());
        let mut hints: Vec<_> = lacks.map(|fit| fit.hint).collect();
        hints.sort_unstable();
        hints.dedup();
        hints
    }

    fn address(&self, (rules, sources): (usize, usize)) -> String {
        let text = |page: usize| if page == 1 { String::new() } else { page.to_string() };
        let (rules, sources) = (text(rules), text(sources));
        let pairs = [
            ("module", self.query.module.as_deref().unwrap_or_default()),
            ("state", self.query.state.map_or("", FitState::as_str)),
            ("text", self.query.text.as_str()),
            ("page", rules.as_str()),
            ("from", sources.as_str()),
        ];
        format!("/coverage/sources{}", url_query(pairs))
    }

    fn rules_before(&self) -> Option<String> {
        (1 < self.at.0).then(|| self.address((self.at.0 - 1, self.at.1)))
    }

    fn rules_after(&self) -> Option<String> {
        (self.at.0 < self.pages.0).then(|| self.address((self.at.0 + 1, self.at.1)))
    }

    fn sources_before(&self) -> Option<String> {
        (1 < self.at.1).then(|| self.address((1, self.at.1 - 1)))
    }

    fn sources_after(&self) -> Option<String> {
        (self.at.1 < self.pages.1).then(|| self.address((1, self.at.1 + 1)))
    }
}

/// The filter in a query string; what makes no sense there is refused.
pub(crate) fn query_of(asked: &Asked) -> Result<MatrixQuery, Failure> {
    let text = |name: &str| -> String { asked.query.text(name).chars().take(FILTER_CHARS_MAX).collect() };
    Ok(MatrixQuery {
        module: Some(text("module")).filter(|module| !module.is_empty()),
        state: asked.words("state", FitState::parse)?.into_iter().next(),
        text: text("text"),
        ..MatrixQuery::default()
    })
}

/// `GET /coverage/sources`
pub(crate) async fn page(asked: Asked) -> Page {
    let at = (asked.number("page", 1, PAGES_MAX).max(1), asked.number("from", 1, PAGES_MAX).max(1));
    let query = MatrixQuery {
        sources_skip: (at.1 - 1) * SOURCES,
        sources_most: SOURCES,
        rules_skip: (at.0 - 1) * RULES,
        rules_most: RULES,
        ..query_of(&asked)?
    };
    let sent = query.clone();
    let m = asked.desk(move |desk, viewer| desk.fit_matrix(viewer, &sent)).await?;
    let count = |total: u64, size: usize| usize::try_from(total).unwrap_or(usize::MAX).div_ceil(size).max(1);
    let pages = (count(m.rules_total, RULES), count(m.sources_total, SOURCES));
    let p = Shell::new(&asked, "coverage", locale::text(asked.language, "matrix")).await?;
    html(&MatrixPage { p, m, query, at, pages })
}
