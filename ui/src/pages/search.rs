//! `/search`, `/events/{id}`, `/events/{id}/around`: events found, one event in full, what stood around it.
//!
//! In: query line, time range. Out: pages; an error in the query line is shown with a caret under the place.

use askama::Template;
use axum::extract::Path;
use nhatle_event::json::hex;
use nhatle_event::{Field, Stored, Timestamp};

use super::{Page, Shell, day_around, html};
use crate::chart::{Bar, bars};
use crate::desk::SyntaxError;
use crate::failure::Failure;
use crate::locale;
use crate::model::{Around, Facet, SearchPage, SearchQuery, TEXT_BYTES_MAX};
use crate::render;
use crate::request::Asked;

/// Fields whose commonest values stand beside every result.
pub(crate) const FACETS: &[&str] = &[
    "event.dataset",
    "host.name",
    "user.name",
    "source.ip",
    "process.name",
    "event.action",
    "event.outcome",
    "event.code",
    "destination.ip",
    "http.response.status_code",
    "nhatle.unit",
];
/// Bars of the histogram.
const BUCKETS: usize = 60;
/// The ranges offered, in hours.
const RANGES_H: &[u32] = &[1, 6, 24, 168, 720];

/// One field of an event as the page shows it.
pub(crate) struct FieldLine {
    pub name: &'static str,
    pub values: Vec<String>,
    pub is_marked: bool,
}

/// One event in full.
pub(crate) struct EventSheet {
    pub id: String,
    pub at: Timestamp,
    pub received: Timestamp,
    pub committed: Timestamp,
    pub lines: Vec<FieldLine>,
    pub original: String,
    pub hex: String,
    pub bytes: u64,
    pub is_cut: bool,
    pub sha256: String,
}

impl EventSheet {
    /// The event with the fields of these names marked and put first.
    pub fn new(stored: &Stored, marks: &[&str]) -> EventSheet {
        let event = &stored.event;
        let mut lines: Vec<_> = (event.fields().iter())
            .map(|(field, value)| FieldLine {
                name: field.name(),
                values: value.each().map(|one| render::visible_lines(&one.as_text().unwrap_or_default())).collect(),
                is_marked: marks.contains(&field.name()),
            })
            .collect();
        lines.sort_by_key(|line| (!line.is_marked, line.name));
        EventSheet {
            id: stored.id().to_string(),
            at: event.timestamp,
            received: event.received,
            committed: stored.committed,
            lines,
            original: render::original(&event.original),
            hex: render::hex_dump(&event.original),
            bytes: u64::try_from(event.original.len()).unwrap_or(u64::MAX),
            is_cut: render::ORIGINAL_BYTES_MAX < event.original.len(),
            sha256: hex(&event.original_hash()),
        }
    }
}

/// One event as a line of a table.
pub(crate) struct HitLine {
    pub id: String,
    pub at: Timestamp,
    pub host: String,
    pub dataset: String,
    pub user: String,
    pub text: String,
    pub is_here: bool,
}

impl HitLine {
    fn new(stored: &Stored, here: &str) -> HitLine {
        let event = &stored.event;
        let field = |field: Field| event.get(field).and_then(|value| value.each().next()?.as_text().map(String::from));
        let text = field(Field::MESSAGE).or_else(|| field(Field::PROCESS_COMMAND_LINE));
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(&event.original).into_owned());
        let id = stored.id().to_string();
        HitLine {
            is_here: id == here,
            id,
            at: event.timestamp,
            host: render::short(
                &field(Field::HOST_NAME).or_else(|| field(Field::NHATLE_SOURCE)).unwrap_or_default(),
                40,
            ),
            dataset: render::short(&field(Field::EVENT_DATASET).unwrap_or_default(), 40),
            user: render::short(&field(Field::USER_NAME).unwrap_or_default(), 40),
            text: render::short(&text, 240),
        }
    }
}

#[derive(Template)]
#[template(path = "search.html")]
struct ResultPage {
    p: Shell,
    text: String,
    from: Timestamp,
    to: Timestamp,
    range: String,
    page: SearchPage,
    hits: Vec<HitLine>,
    bars: Vec<Bar>,
    error: Option<SyntaxError>,
}

impl ResultPage {
    fn input_time(&self, stamp: &Timestamp) -> String {
        render::input_time(*stamp, self.p.asked.state.config.zone_offset_s)
    }

    /// The ranges offered, and which one this is.
    fn ranges(&self) -> Vec<(String, bool)> {
        RANGES_H.iter().map(|hours| (hours.to_string(), self.range == hours.to_string())).collect()
    }

    fn is_own_range(&self) -> bool {
        self.ranges().iter().all(|(_, is_chosen)| !is_chosen)
    }

    /// The address of this search with other words and absolute times.
    fn with_text(&self, text: &str) -> String {
        let (from, to) = (self.from.to_string(), self.to.to_string());
        format!("/search{}", render::url_query([("q", text), ("from", from.as_str()), ("to", to.as_str())]))
    }

    /// This search and one more condition.
    fn and(&self, facet: &Facet, value: &str) -> String {
        let term = self.p.asked.state.desk.term(&facet.field, value);
        let text = if self.text.trim().is_empty() { term } else { format!("({}) AND {term}", self.text.trim()) };
        self.with_text(&text)
    }

    fn permalink(&self) -> String {
        self.with_text(&self.text)
    }

    /// This search in the range of one bar.
    fn zoom(&self, bar: &Bar) -> String {
        let (from, to) = (bar.start.to_string(), bar.end.to_string());
        format!(
            "/search{}",
            render::url_query([("q", self.text.as_str()), ("from", from.as_str()), ("to", to.as_str())])
        )
    }

    fn next(&self) -> Option<String> {
        let cursor = self.page.next.as_deref()?;
        Some(format!("{}&cursor={}", self.permalink(), render::url_part(cursor)))
    }

    /// The query line and, under it, a caret where it stops making sense. Counted in characters.
    fn caret(&self, error: &SyntaxError) -> String {
        let line: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let before =
            self.text.get(..error.offset).map_or_else(|| self.text.chars().count(), |text| text.chars().count());
        let end = error.offset.saturating_add(error.length);
        let meant = self.text.get(error.offset..end).map_or(1, |text| text.chars().count()).max(1);
        format!("{}\n{}{}", render::visible(&line), " ".repeat(before), "^".repeat(meant))
    }

    /// The share of a facet's value, in per cent of the largest.
    fn share(&self, facet: &Facet, count: &u64) -> u64 {
        let largest = facet.values.first().map_or(1, |(_, count)| *count).max(1);
        (u128::from(*count) * 100 / u128::from(largest)).try_into().unwrap_or(100)
    }
}

/// `GET /search`
pub(crate) async fn search(asked: Asked) -> Page {
    let text: String = asked.query.text("q").to_owned();
    if TEXT_BYTES_MAX < text.len() {
        return Err(Failure::BadRequest("q"));
    }
    let (from, to) = (asked.moment("from")?, asked.moment("to")?);
    let mut range = asked.query.text("range").to_owned();
    if range.is_empty() && from.is_none() && to.is_none() {
        range = "24".to_owned();
    }
    let hours: Option<u32> = range.parse().ok().filter(|hours| RANGES_H.contains(hours));
    let to = if hours.is_some() { asked.now } else { to.unwrap_or(asked.now) };
    let back = i64::from(hours.unwrap_or(24)).saturating_mul(3_600_000_000_000);
    let from = if hours.is_some() { to.plus_nanos(-back) } else { from.unwrap_or_else(|| to.plus_nanos(-back)) };
    let query = SearchQuery {
        text: text.clone(),
        from: Some(from),
        to: Some(to),
        limit: asked.number("limit", 100, crate::model::PAGE_ROWS_MAX),
        cursor: asked.query.get("cursor").map(str::to_owned),
        buckets: BUCKETS,
        facets: FACETS.iter().map(|name| (*name).to_owned()).collect(),
    };
    let found = asked.desk(move |desk, viewer| desk.search(viewer, &query)).await;
    let (page, error) = match found {
        Ok(page) => (page, None),
        Err(Failure::Syntax(error)) => (SearchPage::default(), Some(error)),
        Err(failure) => return Err(failure),
    };
    let p = Shell::new(&asked, "search", locale::text(asked.language, "nav-search")).await?;
    let hits = page.hits.iter().map(|stored| HitLine::new(stored, "")).collect();
    html(&ResultPage { p, text, from, to, range, hits, bars: bars(&page.buckets), page, error })
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    p: Shell,
    sheet: EventSheet,
}

/// `GET /events/{id}`
pub(crate) async fn event(asked: Asked, Path(id): Path<String>) -> Page {
    let stored = asked.desk(move |desk, viewer| desk.event(viewer, &id)).await?;
    let mut p =
        Shell::new(&asked, "search", locale::text_with(asked.language, "event-title", "id", &stored.id().to_string()))
            .await?;
    p.range = Some(day_around(stored.event.timestamp, stored.event.timestamp));
    html(&EventPage { p, sheet: EventSheet::new(&stored, &[]) })
}

#[derive(Template)]
#[template(path = "around.html")]
struct AroundPage {
    p: Shell,
    id: String,
    around: Around,
    hits: Vec<HitLine>,
}

impl AroundPage {
    fn spans(&self) -> Vec<(String, bool)> {
        [10, 60, 300, 900, 3600].iter().map(|span| (span.to_string(), *span == self.around.span_s)).collect()
    }
}

/// `GET /events/{id}/around`
pub(crate) async fn around(asked: Asked, Path(id): Path<String>) -> Page {
    let span = asked.number("span", 300, 86_400);
    let around = Around {
        span_s: u32::try_from(span).unwrap_or(300),
        same_host: asked.query.text("host") != "all",
        limit: asked.number("limit", 100, crate::model::PAGE_ROWS_MAX),
    };
    let (sent, name) = (around.clone(), id.clone());
    let events = asked.desk(move |desk, viewer| desk.around(viewer, &name, &sent)).await?;
    let hits = events.iter().map(|stored| HitLine::new(stored, &id)).collect();
    let p = Shell::new(&asked, "search", locale::text(asked.language, "around-title")).await?;
    html(&AroundPage { p, id, around, hits })
}
