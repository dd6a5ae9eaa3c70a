//! `/alerts` and `/alerts/{id}`: the queue, one alert, and what can be done with it.
//!
//! In: filters from the query string, forms. Out: the queue, most urgent first; why an alert fired; a
//! redirect that says what was done or why it was refused.

use askama::Template;
use axum::extract::Path;

use super::{Page, Shell, day_around, html};
use crate::account::Language;
use crate::failure::Failure;
use crate::locale;
use crate::model::{
    AlertChange, AlertDetail, AlertPage, AlertQuery, AlertRow, AlertSort, AlertStatus, Evidence, IncidentChange,
    IncidentQuery, IncidentRow, IncidentStatus, Level, TEXT_BYTES_MAX, UnitRow, Verdict,
};
use crate::pages::search::EventSheet;
use crate::render::url_query;
use crate::request::{Asked, see_other, with_result};

#[derive(Template)]
#[template(path = "alerts.html")]
struct QueuePage {
    p: Shell,
    page: AlertPage,
    units: Vec<UnitRow>,
    query: AlertQuery,
    /// Whether the filters are those of the plain address.
    is_plain: bool,
}

impl QueuePage {
    fn is_unowned(&self) -> bool {
        self.query.owner.as_deref() == Some("")
    }

    fn is_unit(&self, unit: &UnitRow) -> bool {
        self.query.unit.as_ref() == Some(&unit.code)
    }

    fn is_closed(&self) -> bool {
        self.query.statuses == [AlertStatus::Closed]
    }

    fn is_mine(&self) -> bool {
        self.query.owner.as_deref() == Some(self.p.user())
    }

    fn sorts(&self) -> &'static [AlertSort] {
        AlertSort::ALL
    }

    fn levels(&self) -> impl Iterator<Item = Level> {
        Level::ALL.iter().rev().copied()
    }

    fn statuses(&self) -> &'static [AlertStatus] {
        AlertStatus::ALL
    }

    /// The address of this queue with one parameter changed; an empty value takes it away.
    fn with(&self, name: &str, value: &str) -> String {
        let asked = &self.p.asked.query;
        let kept: Vec<_> = asked
            .0
            .iter()
            .map(|(key, held)| (key.as_str(), held.as_str()))
            .filter(|(key, _)| *key != name && !matches!(*key, "cursor" | "done" | "refused" | "lang"))
            .collect();
        let kept = kept.into_iter().chain([(name, value)]);
        format!("/alerts{}", url_query(kept))
    }

    fn text(&self) -> &str {
        self.query.text.as_deref().unwrap_or("")
    }
}

/// What the queue shows for these parameters.
pub(crate) fn query_of(asked: &Asked) -> Result<AlertQuery, Failure> {
    let owner = asked.query.get("owner").map(|owner| match owner {
        "-" => String::new(),
        "me" => asked.viewer.as_ref().map_or_else(String::new, |viewer| viewer.user.clone()),
        other => other.to_owned(),
    });
    Ok(AlertQuery {
        statuses: asked.words("status", AlertStatus::parse)?,
        levels: asked.words("level", Level::parse)?,
        unit: asked.query.get("unit").map(str::to_owned),
        rule: asked.query.get("rule").map(str::to_owned),
        owner,
        incident: match asked.query.get("incident") {
            Some(number) => Some(number.parse().map_err(|_not_a_number| Failure::BadRequest("incident"))?),
            None => None,
        },
        text: asked.query.get("text").map(|text| text.chars().take(200).collect()),
        from: asked.moment("from")?,
        to: asked.moment("to")?,
        sort: asked.words("sort", AlertSort::parse)?.first().copied().unwrap_or(AlertSort::Urgency),
        cursor: asked.query.get("cursor").map(str::to_owned),
        limit: asked.number("limit", 50, crate::model::PAGE_ROWS_MAX),
    })
}

/// `GET /alerts`
pub(crate) async fn queue(asked: Asked) -> Page {
    let mut query = query_of(&asked)?;
    let is_plain = query.statuses.is_empty();
    if asked.query.get("status").is_none() && !asked.query.0.iter().any(|(name, _)| name == "status") {
        query.statuses = vec![AlertStatus::New, AlertStatus::Acknowledged];
    }
    let sent = query.clone();
    let (page, units) = asked.desk(move |desk, viewer| Ok((desk.alerts(viewer, &sent)?, desk.units(viewer)?))).await?;
    let p = Shell::new(&asked, "alerts", locale::text(asked.language, "nav-alerts")).await?;
    html(&QueuePage { p, page, units, query, is_plain })
}

#[derive(Template)]
#[template(path = "alert.html")]
struct DetailPage {
    p: Shell,
    d: AlertDetail,
    sheets: Vec<EventSheet>,
    open_incidents: Vec<IncidentRow>,
}

impl DetailPage {
    fn row(&self) -> &AlertRow {
        &self.d.row
    }

    fn verdicts(&self) -> &'static [Verdict] {
        Verdict::ALL
    }

    /// Evidence of the first event that has any: one line for each condition.
    fn evidence(&self) -> Vec<&Evidence> {
        let first = self.d.evidence.first().map(|evidence| evidence.event_id.as_str());
        self.d.evidence.iter().filter(|evidence| Some(evidence.event_id.as_str()) == first).collect()
    }

    fn more_events(&self) -> u64 {
        self.d.event_count.saturating_sub(u64::try_from(self.sheets.len()).unwrap_or(0))
    }

    /// Where the alert's own path is.
    fn here(&self) -> String {
        format!("/alerts/{}", crate::render::url_part(&self.d.row.id))
    }
}

/// `GET /alerts/{id}`
pub(crate) async fn detail(asked: Asked, Path(id): Path<String>) -> Page {
    let open = IncidentQuery {
        statuses: vec![IncidentStatus::New, IncidentStatus::Active],
        limit: 50,
        ..IncidentQuery::default()
    };
    let (d, open_incidents) =
        asked.desk(move |desk, viewer| Ok((desk.alert(viewer, &id)?, desk.incidents(viewer, &open)?.rows))).await?;
    let title = d.row.title.get(asked.language).to_owned();
    let sheets = d
        .events
        .iter()
        .map(|stored| {
            let id = stored.id().to_string();
            let marks: Vec<_> = d
                .evidence
                .iter()
                .filter(|evidence| evidence.event_id == id)
                .map(|evidence| evidence.field.as_str())
                .collect();
            EventSheet::new(stored, &marks)
        })
        .collect();
    let mut p = Shell::new(&asked, "alerts", title).await?;
    p.range = Some(day_around(d.row.first_at, d.row.last_at));
    html(&DetailPage { p, d, sheets, open_incidents })
}

/// `POST /alerts/next`: the viewer takes the most urgent alert nobody has.
pub(crate) async fn take_next(asked: Asked) -> Page {
    let query =
        AlertQuery { statuses: vec![AlertStatus::New], owner: Some(String::new()), limit: 5, ..AlertQuery::default() };
    let taken = asked
        .desk(move |desk, viewer| {
            for row in desk.alerts(viewer, &query)?.rows {
                // Somebody else may be quicker; then the next one is ours.
                if desk.change_alert(viewer, &row.id, &AlertChange::Acknowledge).is_ok() {
                    return Ok(Some(row.id));
                }
            }
            Ok(None)
        })
        .await?;
    Ok(match taken {
        Some(id) => see_other(&format!("/alerts/{}?done=taken", crate::render::url_part(&id))),
        None => see_other("/alerts?done=none"),
    })
}

/// `POST /alerts/{id}/changes`
pub(crate) async fn change(asked: Asked, Path(id): Path<String>) -> Page {
    let here = asked.back(&format!("/alerts/{}", crate::render::url_part(&id)));
    let note = note_of(&asked, "note")?;
    let (change, done) = match asked.form.text("kind") {
        "acknowledge" => (AlertChange::Acknowledge, "taken"),
        "release" => (AlertChange::Release, "released"),
        "close" => match Verdict::parse(asked.form.text("verdict")) {
            Some(verdict) => (AlertChange::Close { verdict, note }, "closed"),
            None => return Ok(see_other(&with_result(&here, "refused", "verdict-missing"))),
        },
        "reopen" => (AlertChange::Reopen { note }, "reopened"),
        "note" => (AlertChange::Note { text: note }, "noted"),
        _ => return Err(Failure::BadRequest("kind")),
    };
    let result = asked.desk(move |desk, viewer| desk.change_alert(viewer, &id, &change)).await;
    redirect(result, &here, done)
}

/// `POST /alerts/{id}/incident`: the alert joins an open incident.
pub(crate) async fn join(asked: Asked, Path(id): Path<String>) -> Page {
    let number: u64 = asked.form.text("incident").parse().map_err(|_not_a_number| Failure::BadRequest("incident"))?;
    let back = format!("/incidents/{number}");
    let change = IncidentChange::AddAlerts { alerts: vec![id] };
    let result = asked.desk(move |desk, viewer| desk.change_incident(viewer, number, None, &change)).await;
    redirect(result.map(|_version| ()), &back, "added")
}

/// After a change: back to `path`, which says what was done, or why it was refused.
pub(crate) fn redirect(result: Result<(), Failure>, path: &str, done: &str) -> Page {
    match result {
        Ok(()) => Ok(see_other(&with_result(path, "done", done))),
        Err(Failure::Refused(refusal)) => Ok(see_other(&with_result(path, "refused", refusal.code()))),
        Err(failure) => Err(failure),
    }
}

/// A note or reason of a form, within bounds.
pub(crate) fn note_of(asked: &Asked, name: &'static str) -> Result<String, Failure> {
    let text = asked.form.text(name).trim().replace("\r\n", "\n");
    if TEXT_BYTES_MAX < text.len() { Err(Failure::BadRequest(name)) } else { Ok(text) }
}

impl AlertRow {
    /// The sentence, else the title.
    pub(crate) fn told(&self, language: Language) -> &str {
        let sentence = self.sentence.get(language);
        if sentence.is_empty() { self.title.get(language) } else { sentence }
    }
}
