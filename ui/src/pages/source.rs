//! `/sources`, `/sources/rules`: who sends, how much of it was kept, and who has gone silent.
//!
//! In: the receipt books. Out: a table, silent sources first; a book that does not balance is marked. For one source
//! the rules that look at what it sends, and what those lack that can never match.

use askama::Template;

use super::{Page, Shell, html};
use crate::locale;
use crate::model::{SourceFit, SourceRow, SourceState};
use crate::request::Asked;

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    p: Shell,
    rows: Vec<SourceRow>,
    silent: u64,
}

/// `GET /sources`
pub(crate) async fn list(asked: Asked) -> Page {
    let mut rows = asked.desk(|desk, viewer| desk.sources(viewer)).await?;
    let rank = |state: SourceState| match state {
        SourceState::Silent => 0,
        SourceState::Never => 1,
        SourceState::Active => 2,
    };
    rows.sort_by(|left, right| (rank(left.state), &left.name).cmp(&(rank(right.state), &right.name)));
    let silent = rows.iter().filter(|row| row.state == SourceState::Silent).count();
    let p = Shell::new(&asked, "sources", locale::text(asked.language, "nav-sources")).await?;
    html(&SourcesPage { p, rows, silent: u64::try_from(silent).unwrap_or(0) })
}

/// The longest name of a source, in characters.
const NAME_CHARS_MAX: usize = 256;

#[derive(Template)]
#[template(path = "source_rules.html")]
struct RulesPage {
    p: Shell,
    f: SourceFit,
}

/// The source asked for.
pub(crate) fn name_of(asked: &Asked) -> String {
    asked.query.text("source").chars().take(NAME_CHARS_MAX).collect()
}

/// `GET /sources/rules`
pub(crate) async fn rules(asked: Asked) -> Page {
    let source = name_of(&asked);
    let f = asked.desk(move |desk, viewer| desk.source_fit(viewer, &source)).await?;
    let p = Shell::new(&asked, "sources", locale::text(asked.language, "fit-of-source")).await?;
    html(&RulesPage { p, f })
}
