//! `/sources`: who sends, how much of it was kept, and who has gone silent.
//!
//! In: the receipt books. Out: a table, silent sources first; a book that does not balance is marked.

use askama::Template;

use super::{Page, Shell, html};
use crate::locale;
use crate::model::{SourceRow, SourceState};
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
