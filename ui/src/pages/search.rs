//! `/search` and `/search/parts`, `/events/{id}`, `/events/{id}/around`: events found, one event in full, what stood around it.
//!
//! In: query line, time range. Out: pages; an error in the query line is shown with a caret under the place.

use askama::Template;
use axum::extract::Path;
use nhatle_event::json::hex;
use nhatle_event::{Field, Stored, Timestamp};
use serde_json::{Value, json};

use super::explain::ExplainView;
use super::{Page, Shell, day_around, html};
use crate::api_search::line;
use crate::brief;
use crate::chart::{Bar, bars};
use crate::desk::SyntaxError;
use crate::failure::Failure;
use crate::locale;
use crate::model::{Around, Facet, PAGE_ROWS_MAX, SearchHint, SearchPage, SearchQuery};
use crate::render;
use crate::request::Asked;
use crate::searches::{self, Told};

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
/// How long a page waits for its search; what is newest by then is shown, and the rest comes after it. `wait` in the
/// address is another time, up to the second.
const DUE_MS: usize = 250;
const DUE_MS_MAX: usize = 10_000;
/// Among how many events, the newest, a page counts values.
const FACET_ROWS: usize = 10_000;
/// How many values of a field are shown beside a result, and how many where the field was asked for.
const VALUES: usize = 8;
const TOP_VALUES: usize = 50;
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
    /// What it is about, in one line.
    pub brief: String,
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
            brief: render::short(&brief::of(event), 160),
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
    /// As a script draws it.
    fn drawn(&self, asked: &Asked) -> Value {
        let at = render::time(self.at, asked.language, asked.state.config.zone_offset_s);
        json!({
            "id": self.id, "at": at, "host": self.host, "dataset": self.dataset, "user": self.user, "text": self.text,
        })
    }

    /// Events as a script draws them.
    pub fn all_drawn(hits: &[Stored], asked: &Asked) -> Vec<Value> {
        hits.iter().map(|stored| HitLine::new(stored, "").drawn(asked)).collect()
    }

    pub fn new(stored: &Stored, here: &str) -> HitLine {
        let event = &stored.event;
        let field = |field: Field| event.get(field).and_then(|value| value.each().next()?.as_text().map(String::from));
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
            text: render::short(&brief::of(event), 240),
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
    explain: Option<ExplainView>,
    /// The field whose values were asked for.
    top: String,
    limit: usize,
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

    /// The next wider of the ranges offered, and this search in it: for who found nothing.
    fn wider(&self) -> Option<(String, String)> {
        let span_s = self.to.since(self.from) / 1_000_000_000;
        let hours = RANGES_H.iter().find(|hours| span_s < i64::from(**hours) * 3_600)?.to_string();
        let query = render::url_query([("q", self.text.as_str()), ("range", &hours)]);
        Some((hours, format!("/search{query}")))
    }

    /// The address of this search with other words and absolute times.
    fn with_text(&self, text: &str) -> String {
        search_url("/search", text, (self.from, self.to))
    }

    /// Where a script gets what was not searched yet.
    fn parts(&self) -> Option<String> {
        self.page.partial_to?;
        let left = self.limit.saturating_sub(self.hits.len());
        let cursor = self.page.next.as_deref().map(render::url_part).unwrap_or_default();
        let base = search_url("/search/parts", &self.text, (self.from, self.to));
        Some(format!("{base}&limit={left}&cursor={cursor}"))
    }

    /// This search to its end, however long that takes.
    fn all(&self) -> String {
        format!("{}&all=1", self.permalink())
    }

    /// The values asked for, among all events that match.
    fn top_exact(&self) -> String {
        format!("{}&top={}", self.all(), render::url_part(&self.top))
    }

    /// The live tail of this query.
    fn tail(&self) -> String {
        format!("/search/tail{}", render::url_query([("q", self.text.as_str())]))
    }

    /// What was probably meant, with its place in the line.
    fn hint_caret(&self, hint: &SearchHint) -> String {
        caret(&self.text, hint.offset, hint.length)
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
        search_url("/search", &self.text, (bar.start, bar.end))
    }

    fn next(&self) -> Option<String> {
        let cursor = self.page.next.as_deref()?;
        Some(format!("{}&cursor={}", self.permalink(), render::url_part(cursor)))
    }

    /// The query line and, under it, a caret where it stops making sense.
    fn caret(&self, error: &SyntaxError) -> String {
        caret(&self.text, error.offset, error.length)
    }

    /// The share of a facet's value, in per cent of the largest.
    fn share(&self, facet: &Facet, count: &u64) -> u64 {
        let largest = facet.values.first().map_or(1, |(_, count)| *count).max(1);
        (u128::from(*count) * 100 / u128::from(largest)).try_into().unwrap_or(100)
    }
}

/// The address of a search with absolute times.
fn search_url(path: &str, text: &str, (from, to): (Timestamp, Timestamp)) -> String {
    let (from, to) = (from.to_string(), to.to_string());
    format!("{path}{}", render::url_query([("q", text), ("from", from.as_str()), ("to", to.as_str())]))
}

/// A line and, under it, a caret at a place of it. Counted in characters.
fn caret(text: &str, offset: usize, length: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let before = text.get(..offset).map_or_else(|| text.chars().count(), |text| text.chars().count());
    let meant = text.get(offset..offset.saturating_add(length)).map_or(1, |text| text.chars().count()).max(1);
    format!("{}\n{}{}", render::visible(&line), " ".repeat(before), "^".repeat(meant))
}

/// `GET /search`
pub(crate) async fn search(asked: Asked) -> Page {
    let text = line(&asked)?;
    let (from, to) = (asked.moment("from")?, asked.moment("to")?);
    let mut range = asked.query.text("range").to_owned();
    if range.is_empty() && from.is_none() && to.is_none() {
        range = "24".to_owned();
    }
    let hours: Option<u32> = range.parse().ok().filter(|hours| RANGES_H.contains(hours));
    let to = if hours.is_some() { asked.now } else { to.unwrap_or(asked.now) };
    let back = i64::from(hours.unwrap_or(24)).saturating_mul(3_600_000_000_000);
    let from = if hours.is_some() { to.plus_nanos(-back) } else { from.unwrap_or_else(|| to.plus_nanos(-back)) };
    let top = render::short(asked.query.text("top"), 256);
    let is_all = asked.query.text("all") == "1";
    let limit = asked.number("limit", 100, PAGE_ROWS_MAX);
    let asked_for = Some(top.clone()).filter(|name| !name.is_empty());
    let query = SearchQuery {
        text: text.clone(),
        from: Some(from),
        to: Some(to),
        limit,
        cursor: asked.query.get("cursor").map(str::to_owned),
        buckets: BUCKETS,
        facets: asked_for.into_iter().chain(FACETS.iter().map(|name| (*name).to_owned())).collect(),
        facet_values: if top.is_empty() { VALUES } else { TOP_VALUES },
        facet_rows_max: if is_all && !top.is_empty() { usize::MAX } else { FACET_ROWS },
        due_ms: if is_all { 0 } else { u32::try_from(asked.number("wait", DUE_MS, DUE_MS_MAX)).unwrap_or(1) },
        is_thorough: is_all,
    };
    let (mut page, error) = match searches::run(&asked, query).await {
        Ok(page) => (page, None),
        Err(Failure::Syntax(error)) => (SearchPage::default(), Some(error)),
        Err(failure) => return Err(failure),
    };
    for facet in page.facets.iter_mut().skip(usize::from(!top.is_empty())) {
        facet.values.truncate(VALUES);
    }
    let p = Shell::new(&asked, "search", locale::text(asked.language, "nav-search")).await?;
    let hits = page.hits.iter().map(|stored| HitLine::new(stored, "")).collect();
    let explain = page.explain.as_ref().map(ExplainView::new);
    html(&ResultPage { p, text, from, to, range, hits, bars: bars(&page.buckets), page, error, explain, top, limit })
}

/// `GET /search/parts`: what a page that was due did not search, for its script.
pub(crate) async fn parts(asked: Asked) -> Page {
    let text = line(&asked)?;
    let (from, to) = (asked.moment("from")?.unwrap_or(Timestamp::MIN), asked.moment("to")?.unwrap_or(asked.now));
    let query = SearchQuery {
        text: text.clone(),
        from: Some(from),
        to: Some(to),
        limit: asked.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(0usize).min(PAGE_ROWS_MAX),
        cursor: asked.query.get("cursor").map(str::to_owned),
        buckets: BUCKETS,
        ..SearchQuery::default()
    };
    let shown = asked.clone();
    searches::stream(asked, query, move |told| match told {
        Told::Hits(hits) => json!({ "type": "rows", "rows": HitLine::all_drawn(hits, &shown) }),
        Told::Progress(progress) => {
            let share = (progress.share_permille / 10).to_string();
            let mut said = locale::text_with(shown.language, "searched-share", "share", &share);
            said.push_str(&format!(" · {}", locale::count(shown.language, "found", progress.total)));
            if let Some(to) = progress.done_to {
                let at = render::time(to, shown.language, shown.state.config.zone_offset_s);
                said.push_str(&format!(" · {}", locale::text_with(shown.language, "searched-to", "at", &at)));
            }
            json!({ "type": "progress", "text": said })
        }
        Told::End(page) => {
            let drawn = |bar: &Bar| {
                let at = render::time(bar.start, shown.language, shown.state.config.zone_offset_s);
                let title = format!("{at}: {}", locale::number(shown.language, bar.count));
                json!({ "y": bar.y, "height": bar.height, "title": title })
            };
            let family = if page.total_is_exact { "found" } else { "found-at-most" };
            let next = page.next.as_deref().map(|cursor| {
                format!("{}&cursor={}", search_url("/search", &text, (from, to)), render::url_part(cursor))
            });
            json!({
                "type": "end",
                "text": locale::text(shown.language, "searched-all"),
                "total": locale::count(shown.language, family, page.total),
                "none": page.total == 0,
                "bars": bars(&page.buckets).iter().map(drawn).collect::<Vec<_>>(),
                "next": next,
            })
        }
    })
    .await
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
        same_user: asked.query.text("user") == "same",
        limit: asked.number("limit", 100, PAGE_ROWS_MAX),
    };
    let (sent, name) = (around.clone(), id.clone());
    let events = asked.desk(move |desk, viewer| desk.around(viewer, &name, &sent)).await?;
    let hits = events.iter().map(|stored| HitLine::new(stored, &id)).collect();
    let p = Shell::new(&asked, "search", locale::text(asked.language, "around-title")).await?;
    html(&AroundPage { p, id, around, hits })
}
