//! `/incidents` and `/incidents/{number}`: the list, one incident with its timeline and four layers.
//!
//! In: filters, forms. Out: pages; a redirect that says what was done or why it was refused.

use askama::Template;
use axum::extract::Path;

use super::alert::{note_of, redirect};
use super::{Page, Shell, day_around, html};
use crate::failure::Failure;
use crate::locale;
use crate::model::{
    ALERTS_NAMED_MAX, Entry, EntryKind, IncidentChange, IncidentPage, IncidentQuery, IncidentStatus, IncidentView,
    Layer, Level, NewIncident, TITLE_BYTES_MAX, UserRow, Verdict,
};
use crate::render::url_query;
use crate::request::{Asked, see_other, with_result};

#[derive(Template)]
#[template(path = "incidents.html")]
struct ListPage {
    p: Shell,
    page: IncidentPage,
    query: IncidentQuery,
    is_plain: bool,
}

impl ListPage {
    fn statuses(&self) -> &'static [IncidentStatus] {
        IncidentStatus::ALL
    }

    fn is_layer(&self, layer: &Layer) -> bool {
        self.query.layer == Some(*layer)
    }

    fn layers(&self) -> &'static [Layer] {
        Layer::ALL
    }

    fn levels(&self) -> impl Iterator<Item = Level> {
        Level::ALL.iter().rev().copied()
    }

    fn with(&self, name: &str, value: &str) -> String {
        let kept: Vec<_> = (self.p.asked.query.0.iter())
            .map(|(key, held)| (key.as_str(), held.as_str()))
            .filter(|(key, _)| *key != name && !matches!(*key, "cursor" | "done" | "refused" | "lang"))
            .collect();
        format!("/incidents{}", url_query(kept.into_iter().chain([(name, value)])))
    }

    fn text(&self) -> &str {
        self.query.text.as_deref().unwrap_or("")
    }
}

/// What the list shows for these parameters.
pub(crate) fn query_of(asked: &Asked) -> Result<IncidentQuery, Failure> {
    let owner = asked.query.get("owner").map(|owner| match owner {
        "-" => String::new(),
        "me" => asked.viewer.as_ref().map_or_else(String::new, |viewer| viewer.user.clone()),
        other => other.to_owned(),
    });
    Ok(IncidentQuery {
        statuses: asked.words("status", IncidentStatus::parse)?,
        levels: asked.words("level", Level::parse)?,
        layer: asked.words("layer", Layer::parse)?.first().copied(),
        owner,
        text: asked.query.get("text").map(|text| text.chars().take(200).collect()),
        cursor: asked.query.get("cursor").map(str::to_owned),
        limit: asked.number("limit", 50, crate::model::PAGE_ROWS_MAX),
    })
}

/// `GET /incidents`
pub(crate) async fn list(asked: Asked) -> Page {
    let query = query_of(&asked)?;
    let is_plain = query.statuses.is_empty();
    let sent = query.clone();
    let page = asked.desk(move |desk, viewer| desk.incidents(viewer, &sent)).await?;
    let p = Shell::new(&asked, "incidents", locale::text(asked.language, "nav-incidents")).await?;
    html(&ListPage { p, page, query, is_plain })
}

#[derive(Template)]
#[template(path = "incident.html")]
struct DetailPage {
    p: Shell,
    i: IncidentView,
    people: Vec<UserRow>,
}

impl DetailPage {
    fn verdicts(&self) -> &'static [Verdict] {
        Verdict::ALL
    }

    fn levels(&self) -> impl Iterator<Item = Level> {
        Level::ALL.iter().rev().copied()
    }

    fn is_closed(&self) -> bool {
        self.i.row.status == IncidentStatus::Closed
    }

    /// Layers the incident can be handed to.
    fn others(&self) -> impl Iterator<Item = Layer> {
        let here = self.i.row.layer;
        Layer::ALL.iter().copied().filter(move |layer| *layer != here)
    }

    /// A word of a change (status, level, layer, account) in the language of the page.
    fn side(&self, entry: &Entry, word: &Option<String>) -> String {
        let Some(word) = word else { return self.p.t("nobody") };
        let family = match entry.kind {
            EntryKind::Status | EntryKind::Reopened => "incident-status-",
            EntryKind::Alert | EntryKind::Severity => "level-",
            EntryKind::Handover => "layer-",
            EntryKind::Closed => "verdict-",
            _ => return self.p.v(word),
        };
        self.p.word(family, word)
    }

    fn is_change(&self, entry: &Entry) -> bool {
        entry.to.is_some() || entry.from.is_some()
    }
}

/// `GET /incidents/{number}`
pub(crate) async fn detail(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    let (i, people) =
        asked.desk(move |desk, viewer| Ok((desk.incident(viewer, number)?, desk.people(viewer)?))).await?;
    let title = format!("#{number} {}", i.row.title.get(asked.language));
    let mut p = Shell::new(&asked, "incidents", title).await?;
    let first = i.alerts.iter().map(|row| row.first_at).min().unwrap_or(i.row.opened_at);
    let last = i.alerts.iter().map(|row| row.last_at).max().unwrap_or(i.row.changed_at);
    p.range = Some(day_around(first, last));
    html(&DetailPage { p, i, people })
}

/// An incident's number in a path; what is none is not found.
pub(crate) fn number_of(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_not_a_number| Failure::NotFound)
}

/// `POST /incidents`
pub(crate) async fn open(asked: Asked) -> Page {
    let back = asked.back("/incidents");
    let title = asked.form.text("title").trim().to_owned();
    if title.is_empty() || TITLE_BYTES_MAX < title.len() {
        return Ok(see_other(&with_result(&back, "refused", "text-length")));
    }
    let new = NewIncident {
        title,
        level: Level::parse(asked.form.text("level")).ok_or(Failure::BadRequest("level"))?,
        alerts: asked.form.all("alert").take(ALERTS_NAMED_MAX).map(str::to_owned).collect(),
        note: note_of(&asked, "note")?,
    };
    match asked.desk(move |desk, viewer| desk.open_incident(viewer, &new)).await {
        Ok(number) => Ok(see_other(&format!("/incidents/{number}?done=opened"))),
        Err(failure) => redirect(Err(failure), &back, "opened"),
    }
}

/// `POST /incidents/{number}/changes`
pub(crate) async fn change(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    let here = format!("/incidents/{number}");
    let version = match asked.form.get("version") {
        Some(version) => Some(version.parse().map_err(|_not_a_number| Failure::BadRequest("version"))?),
        None => None,
    };
    let (change, done) = match change_of(&asked)? {
        Ok(change) => change,
        Err(refused) => return Ok(see_other(&with_result(&here, "refused", refused))),
    };
    let result = asked.desk(move |desk, viewer| desk.change_incident(viewer, number, version, &change)).await;
    redirect(result.map(|_version| ()), &here, done)
}

/// The change a form asks for and the code of its result, or the code of why it is refused.
fn change_of(asked: &Asked) -> Result<Result<(IncidentChange, &'static str), &'static str>, Failure> {
    let text = note_of(asked, "note")?;
    let owner = asked.form.get("owner").map(str::to_owned);
    Ok(Ok(match asked.form.text("kind") {
        "note" if text.is_empty() => return Ok(Err("text-length")),
        "note" => (IncidentChange::Note { text }, "noted"),
        "title" => (IncidentChange::Title { title: asked.form.text("title").trim().to_owned() }, "changed"),
        "status" => {
            let status = IncidentStatus::parse(asked.form.text("status")).ok_or(Failure::BadRequest("status"))?;
            (IncidentChange::Status { status }, "changed")
        }
        "severity" => {
            let level = Level::parse(asked.form.text("level")).ok_or(Failure::BadRequest("level"))?;
            (IncidentChange::Severity { level, reason: text }, "changed")
        }
        "owner" => (IncidentChange::Owner { owner }, "changed"),
        "take" => (IncidentChange::Owner { owner: Some(asked.viewer()?.user.clone()) }, "taken"),
        "handover" if text.is_empty() => return Ok(Err("note-missing")),
        "handover" => {
            let layer = Layer::parse(asked.form.text("layer")).ok_or(Failure::BadRequest("layer"))?;
            (IncidentChange::Handover { layer, reason: text, owner }, "handed-over")
        }
        "close" if text.is_empty() => return Ok(Err("note-missing")),
        "close" => match Verdict::parse(asked.form.text("verdict")) {
            Some(verdict) => (IncidentChange::Close { verdict, reason: text }, "closed"),
            None => return Ok(Err("verdict-missing")),
        },
        "reopen" if text.is_empty() => return Ok(Err("note-missing")),
        "reopen" => (IncidentChange::Reopen { reason: text }, "reopened"),
        _ => return Err(Failure::BadRequest("kind")),
    }))
}
