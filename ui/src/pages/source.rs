//! `/sources`, `/sources/{name}`, `/sources/rules`: who sends, how much of it was kept, and who has gone silent.
//!
//! In: the receipt books. Out: a table, silent sources first; a book that does not balance is marked. For one source
//! its hours, with reasons and missing numbers; the rules that look at what it sends, and what those lack that can never
//! match.

use askama::Template;
use axum::extract::Path;
use nhatle_event::Timestamp;

use super::{Page, Shell, html};
use crate::chart::{self, Bar};
use crate::failure::Failure;
use crate::locale;
use crate::model::{
    Bucket, ForwarderRow, HOURS_MAX, HourCheck, NewOutage, OUTAGE_REASON_BYTES_MAX, OutageRow, RhythmRow, SourceFit,
    SourceHour, SourceRow, SourceState, SourceView,
};
use crate::render;
use crate::request::{Asked, see_other, with_result};

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    p: Shell,
    rows: Vec<SourceRow>,
    silent: u64,
    forwarders: Vec<ForwarderRow>,
}

/// `GET /sources`
pub(crate) async fn list(asked: Asked) -> Page {
    let mut rows = asked.desk(|desk, viewer| desk.sources(viewer)).await?;
    let rank = |state: SourceState| match state {
        SourceState::Silent => 0,
        SourceState::Never => 1,
        SourceState::Active => 2,
        SourceState::Quiet => 3,
    };
    rows.sort_by(|left, right| (rank(left.state), &left.name).cmp(&(rank(right.state), &right.name)));
    let silent = rows.iter().filter(|row| row.state == SourceState::Silent).count();
    let forwarders = asked.desk(|desk, viewer| desk.forwarders(viewer)).await?;
    let p = Shell::new(&asked, "sources", locale::text(asked.language, "nav-sources")).await?;
    html(&SourcesPage { p, rows, silent: u64::try_from(silent).unwrap_or(0), forwarders })
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

const HOUR_NS: i64 = 3_600_000_000_000;
/// How far back the page looks where nothing is asked.
const DEFAULT_HOURS: i64 = 48;
/// Beyond so many hours the chart has a bar for each day.
const HOURLY_BARS_MAX: i64 = 14 * 24;
/// How many hours the table shows.
const ROWS_MAX: usize = 24 * 31;

/// The span of time asked for, of whole hours and within bounds.
pub(crate) fn span(asked: &Asked, from: Option<Timestamp>, to: Option<Timestamp>) -> (Timestamp, Timestamp) {
    let floor = |at: Timestamp| at.0.div_euclid(HOUR_NS);
    let end = to.map_or(floor(asked.now) + 1, |to| (to.0.saturating_add(HOUR_NS - 1)).div_euclid(HOUR_NS));
    let begin = from.map_or(end - DEFAULT_HOURS, floor).clamp(end - HOURS_MAX, end);
    (Timestamp(begin.saturating_mul(HOUR_NS)), Timestamp(end.saturating_mul(HOUR_NS)))
}

#[derive(Template)]
#[template(path = "source.html")]
struct SourcePage {
    p: Shell,
    row: SourceRow,
    hours: Vec<SourceHour>,
    bars: Vec<(Bar, Bar)>,
    /// The days to choose from, and the one chosen.
    days: Vec<(i64, bool)>,
    outages: Vec<OutageRow>,
    rhythm: Option<RhythmRow>,
}

impl SourcePage {
    fn here(&self) -> String {
        self.p.source_page(&self.row.name)
    }

    fn outage_spans(&self) -> [u64; 5] {
        OUTAGE_HOURS
    }

    fn days_id(&self, days: &i64) -> String {
        self.p.count("source-days", u64::try_from(*days).unwrap_or(0))
    }
}

/// `GET /sources/{name}`
pub(crate) async fn detail(asked: Asked, Path(name): Path<String>) -> Page {
    let days = i64::try_from(asked.number("days", 2, 400)).unwrap_or(2);
    let (_, to) = span(&asked, None, None);
    let from = to.plus_nanos(-days * 24 * HOUR_NS);
    let view = asked.desk(move |desk, viewer| desk.source_hours(viewer, &name, (from, to))).await?;
    let SourceView { source: row, mut hours, outages, rhythm } = view;
    let p = Shell::new(&asked, "sources", row.name.clone()).await?;
    let bars = bars_of(&hours, from, to);
    hours.reverse();
    hours.truncate(ROWS_MAX);
    let days = [2, 7, 31, 365].map(|choice| (choice, choice == days)).to_vec();
    html(&SourcePage { p, row, hours, bars, days, outages, rhythm })
}

/// How long an outage may be planned for on the page, in hours.
const OUTAGE_HOURS: [u64; 5] = [2, 8, 24, 72, 336];

/// `POST /sources/{name}/outage`
pub(crate) async fn plan_outage(asked: Asked, Path(name): Path<String>) -> Page {
    let hours: u64 = asked.form.text("hours").parse().map_err(|_not_a_number| Failure::BadRequest("hours"))?;
    let reason = asked.form.text("reason").to_owned();
    if !OUTAGE_HOURS.contains(&hours) || OUTAGE_REASON_BYTES_MAX < reason.len() {
        return Err(Failure::BadRequest("hours"));
    }
    let until = asked.now.plus_nanos(i64::try_from(hours).unwrap_or(0) * HOUR_NS).to_string();
    let back = format!("/sources/{}", render::url_part(&name));
    let new = NewOutage { source: Some(name), unit: None, until, reason };
    let result = asked.desk(move |desk, viewer| desk.plan_outage(viewer, &new)).await;
    redirect(result.map(drop), &back, "outage")
}

/// `POST /outages/{number}/end`
pub(crate) async fn end_outage(asked: Asked, Path(number): Path<String>) -> Page {
    let number: u64 = number.parse().map_err(|_not_a_number| Failure::NotFound)?;
    let back = asked.back("/sources");
    let result = asked.desk(move |desk, viewer| desk.end_outage(viewer, number)).await;
    redirect(result, &back, "outage-ended")
}

fn redirect(result: Result<(), Failure>, back: &str, done: &str) -> Page {
    match result {
        Ok(()) => Ok(see_other(&with_result(back, "done", done))),
        Err(Failure::Refused(refusal)) => Ok(see_other(&with_result(back, "refused", refusal.code()))),
        Err(failure) => Err(failure),
    }
}

/// For each slot of the chart what was received, and in front of it what was not understood or refused.
fn bars_of(hours: &[SourceHour], from: Timestamp, to: Timestamp) -> Vec<(Bar, Bar)> {
    let span_hours = to.since(from) / HOUR_NS;
    let width = if HOURLY_BARS_MAX < span_hours { 24 * HOUR_NS } else { HOUR_NS };
    let slots = usize::try_from((to.since(from) + width - 1) / width).unwrap_or(0);
    let mut all: Vec<Bucket> = (0i64..)
        .take(slots)
        .map(|slot| {
            let start = from.plus_nanos(slot * width);
            Bucket { start, end: start.plus_nanos(width), count: 0 }
        })
        .collect();
    let mut bad = all.clone();
    for hour in hours {
        let slot = usize::try_from(hour.begin.since(from).div_euclid(width)).unwrap_or(usize::MAX);
        if let (Some(all), Some(bad)) = (all.get_mut(slot), bad.get_mut(slot)) {
            all.count += hour.received;
            bad.count += hour.dead_lettered + hour.rejected;
        }
    }
    let highest = all.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    chart::bars_to(&all, highest).into_iter().zip(chart::bars_to(&bad, highest)).collect()
}
