//! Search, single events, events around one, and the numbers of the landing page.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nhatle_event::{EventId, Field, Seq, Stored, Text, Timestamp};
use nhatle_storage::query::hint::Hint;
use nhatle_storage::query::resolve::FieldName;
use nhatle_storage::query::{self, Control, Cursor, Order, Page, Part, Query, Stop, Wanted};
use nhatle_storage::{Dataset, LiveSegment, ReadError, Snapshot};
use nhatle_ui::model::{
    Around, Bucket, Facet, Overview, SearchHint, SearchPage, SearchPart, SearchProgress, SearchQuery, SourceState,
    TailPage,
};
use nhatle_ui::{Answer, Desk, DeskError, SyntaxError, Viewer};

use super::{Limit, LiveDesk, alerts, failed, incidents, may_see};

/// How many values of a facet are shown.
const FACET_VALUES: usize = 8;
const DAY_NS: i64 = 86_400 * 1_000_000_000;
const HOUR_NS: i64 = 3_600 * 1_000_000_000;

fn view(desk: &LiveDesk) -> Snapshot {
    desk.shared.store.snapshot()
}

fn limited(query: Query, limit: &Limit) -> Query {
    match limit {
        None => query,
        Some(units) => query.for_units(&units.iter().map(Text::from).collect::<Vec<_>>()),
    }
}

/// How many searches run, and how they ended, for the metrics.
#[derive(Default)]
pub(super) struct Searches {
    pub running: AtomicU64,
    pub begun: AtomicU64,
    pub canceled: AtomicU64,
}

/// One search that is counted while it runs.
struct Counted<'a>(&'a Searches);

impl<'a> Counted<'a> {
    fn new(searches: &'a Searches) -> Counted<'a> {
        searches.running.fetch_add(1, Ordering::Relaxed);
        searches.begun.fetch_add(1, Ordering::Relaxed);
        Counted(searches)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A query line as the desk tells it is wrong.
fn parse(line: &str) -> Answer<Query> {
    Ok(Query::parse(line).map_err(|error| SyntaxError {
        message: error.reason,
        offset: error.offset,
        length: error.length,
        suggestion: error.suggestion,
    })?)
}

/// What was searched for, of what the viewer may see.
fn query_of(desk: &LiveDesk, viewer: &Viewer, asked: &SearchQuery) -> Answer<Query> {
    Ok(limited(parse(&asked.text)?, &desk.limit(viewer))
        .in_datasets(&[Dataset::Events, Dataset::DeadLetters])
        .between(asked.from.unwrap_or(Timestamp::MIN), asked.to.unwrap_or(Timestamp::MAX)))
}

fn ended(desk: &LiveDesk, error: ReadError) -> DeskError {
    match error {
        ReadError::Stopped(Stop::Canceled) => {
            desk.searches.canceled.fetch_add(1, Ordering::Relaxed);
            DeskError::Canceled
        }
        ReadError::Stopped(Stop::Memory { bytes_max }) => DeskError::TooMuch { bytes_max },
        other => failed(other),
    }
}

/// Searches stored events and dead letters.
pub(super) fn page(desk: &LiveDesk, viewer: &Viewer, asked: &SearchQuery) -> Answer<SearchPage> {
    let mut hits = Vec::new();
    let mut page = parts(desk, viewer, asked, &Arc::default(), &mut |part| {
        if let SearchPart::Hits(more) = part {
            hits.extend(more);
        }
    })?;
    page.hits = hits;
    Ok(page)
}

/// The same, telling parts as it goes, until it is told to stop.
pub(super) fn parts(
    desk: &LiveDesk,
    viewer: &Viewer,
    asked: &SearchQuery,
    stop: &Arc<AtomicBool>,
    tell: &mut dyn FnMut(SearchPart),
) -> Answer<SearchPage> {
    let query = query_of(desk, viewer, asked)?;
    let mut page = Page::first(asked.limit);
    if let Some(text) = &asked.cursor {
        page = page.behind(Cursor::parse(text).ok_or(DeskError::NotFound)?);
    }
    let usual = Wanted::hits(page);
    let wanted = Wanted {
        bucket_count: asked.buckets,
        facets: asked.facets.iter().map(|name| FieldName::new(name)).collect(),
        facet_values: if asked.facet_values == 0 { FACET_VALUES } else { asked.facet_values },
        facet_rows_max: if asked.facet_rows_max == 0 { usual.facet_rows_max } else { asked.facet_rows_max },
        check_rows_max: if asked.is_thorough { u64::MAX } else { usual.check_rows_max },
        ..usual
    };
    let mut control = Control::by(Arc::clone(stop));
    if asked.due_ms > 0 {
        control = control.due_at(Instant::now() + Duration::from_millis(u64::from(asked.due_ms)));
    }
    let _counted = Counted::new(&desk.searches);
    // One damaged segment does not take the answer of all others with it; what was told before it was met stands.
    let mut told: BTreeSet<Seq> = BTreeSet::new();
    let answered = view(desk).serve_rest(|view| {
        view.survey(&query, &wanted, &control, &mut |part| {
            tell(match part {
                Part::Hits(mut hits) => {
                    hits.retain(|stored| told.insert(stored.seq));
                    SearchPart::Hits(hits)
                }
                Part::Progress(progress) => SearchPart::Progress(SearchProgress {
                    share_permille: u32::try_from(progress.segments_done * 1_000 / progress.segments_all.max(1))
                        .unwrap_or(1_000),
                    total: progress.total,
                    done_to: progress.done_to,
                    took_ms: millis(progress.took),
                }),
            });
        })
    });
    let (survey, left_out) = answered.map_err(|error| ended(desk, error))?;
    let is_nothing = survey.total == 0 && survey.paused_at.is_none();
    let hints = if is_nothing { hints(&asked.text) } else { Vec::new() };
    Ok(SearchPage {
        hits: Vec::new(),
        total: survey.total,
        total_is_exact: survey.total_is_exact,
        next: survey.cursor.map(|cursor| cursor.to_string()),
        took_ms: millis(survey.took),
        buckets: bars(&survey.buckets),
        facets: survey
            .facets
            .into_iter()
            .map(|facet| Facet {
                field: facet.field.to_string(),
                values: facet.values,
                counted: facet.looked_at,
                is_exact: facet.is_exact,
                distinct: facet.distinct,
            })
            .collect(),
        incomplete: left_out_of(&query, &left_out, desk.limit(viewer).is_none()),
        partial_to: survey.paused_at,
        // The numbers are of the whole store; somebody who sees a part of it would learn of the rest.
        explain: match desk.limit(viewer) {
            None => serde_json::to_value(&survey.explain).ok(),
            Some(_) => None,
        },
        hints,
    })
}

/// What a search leaves out because it is damaged, of what could hold a hit. How many events a segment has, of everybody's, only
/// who sees all of them is told.
fn left_out_of(query: &Query, left_out: &[Arc<LiveSegment>], sees_all: bool) -> Option<String> {
    let could_hold = |segment: &&Arc<LiveSegment>| {
        let meta = segment.meta();
        query.datasets.contains(&meta.dataset) && query.from <= meta.timestamp_max && meta.timestamp_min < query.to
    };
    let rows = left_out.iter().filter(could_hold);
    let named: Vec<String> = rows
        .map(|segment| {
            let meta = segment.meta();
            match sees_all {
                true => format!("{} ({}, {} – {})", meta.dir, meta.row_count, meta.timestamp_min, meta.timestamp_max),
                false => meta.dir.clone(),
            }
        })
        .collect();
    (!named.is_empty()).then(|| named.join("; "))
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn hints(line: &str) -> Vec<SearchHint> {
    let hint = |hint: Hint| SearchHint { offset: hint.offset, length: hint.length, meant: hint.meant, line: hint.line };
    query::hint::hints(line).into_iter().map(hint).collect()
}

/// What was committed after `after` and matches.
pub(super) fn tail(
    desk: &LiveDesk,
    viewer: &Viewer,
    asked: &SearchQuery,
    after: Option<u64>,
    rows_max: usize,
) -> Answer<TailPage> {
    let query = query_of(desk, viewer, asked)?;
    let Some(after) = after else {
        return Ok(TailPage { last: desk.shared.store.last_seq().0, ..TailPage::default() });
    };
    if desk.shared.store.last_seq().0 <= after {
        return Ok(TailPage { last: after, ..TailPage::default() });
    }
    let tail = view(desk).tail(&query, Seq(after), rows_max);
    // How many of everybody's events were not looked at is nothing of a limited viewer's; that there were some, is.
    let not_looked_at = match desk.limit(viewer) {
        None => tail.not_looked_at,
        Some(_) => tail.not_looked_at.min(1),
    };
    Ok(TailPage { hits: tail.hits, left_out: tail.left_out, not_looked_at, last: tail.last.0 })
}

fn buckets(view: &Snapshot, query: &Query, count: usize) -> Answer<Vec<Bucket>> {
    Ok(bars(&view.histogram(query, count).map_err(failed)?))
}

fn bars(rows: &[(Timestamp, u64)]) -> Vec<Bucket> {
    // Buckets are of one width; the last one ends where a next one would begin.
    let width_ns = rows.windows(2).next().map_or(1, |pair| pair[1].0.since(pair[0].0));
    let bucket =
        |(start, count): &(Timestamp, u64)| Bucket { start: *start, end: start.plus_nanos(width_ns), count: *count };
    rows.iter().map(bucket).collect()
}

/// One event by its id.
pub(super) fn event(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<Stored> {
    let seq = EventId(Text::from(id)).seq().ok_or(DeskError::NotFound)?;
    by_seqs(desk, viewer, &[seq])?.pop().ok_or(DeskError::NotFound)
}

/// The events of these numbers that the viewer may see, in the order given.
pub(super) fn by_seqs(desk: &LiveDesk, viewer: &Viewer, seqs: &[Seq]) -> Answer<Vec<Stored>> {
    let limit = desk.limit(viewer);
    let mut events = view(desk).get_all(seqs).map_err(failed)?;
    events.retain(|stored| may_see_event(&limit, stored));
    Ok(events)
}

fn may_see_event(limit: &Limit, stored: &Stored) -> bool {
    let units: Vec<String> = stored
        .event
        .get(Field::NHATLE_UNIT)
        .into_iter()
        .flat_map(nhatle_event::Value::each)
        .filter_map(|unit| unit.text().map(String::from))
        .collect();
    may_see(limit, &units)
}

/// Events around one event in time, oldest first.
pub(super) fn around(desk: &LiveDesk, viewer: &Viewer, id: &str, around: &Around) -> Answer<Vec<Stored>> {
    let middle = event(desk, viewer, id)?;
    let span_ns = i64::from(around.span_s) * 1_000_000_000;
    let at = middle.event.timestamp;
    let same = [(Field::HOST_NAME, around.same_host), (Field::USER_NAME, around.same_user)];
    let terms = same.into_iter().filter(|(_, is_wanted)| *is_wanted).filter_map(|(field, _)| {
        let value = middle.event.get(field)?.each().next()?.as_text()?;
        Some(desk.term(field.name(), &value))
    });
    let line = terms.collect::<Vec<_>>().join(" AND ");
    let query = limited(parse(&line)?, &desk.limit(viewer));
    let view = view(desk);
    let half = around.limit.div_ceil(2);
    let before = query.clone().between(at.plus_nanos(-span_ns), at.plus_nanos(1));
    let after = query.between(at.plus_nanos(1), at.plus_nanos(span_ns));
    let mut events = view.search(&before, &Page::first(half)).map_err(failed)?.hits;
    let later = Page { order: Order::OldestFirst, ..Page::first(half) };
    events.extend(view.search(&after, &later).map_err(failed)?.hits);
    if !events.iter().any(|stored| stored.seq == middle.seq) {
        events.push(middle);
    }
    events.sort_by_key(|stored| (stored.event.timestamp, stored.seq));
    Ok(events)
}

/// The landing page's numbers.
pub(super) fn overview(desk: &LiveDesk, viewer: &Viewer) -> Answer<Overview> {
    let limit = desk.limit(viewer);
    let now = desk.shared.clock.now();
    let (alerts_open, alerts_unowned) = alerts::open_by_level(desk, &limit);
    let (by_status, incidents_by_layer) = incidents::counts(desk, &limit);
    let sources = desk.sources(viewer)?;
    let last_event_at = sources.iter().filter_map(|row| row.last_seen).max();
    let units = desk.units(viewer)?;
    let reporting = units
        .iter()
        .filter(|unit| {
            sources.iter().any(|row| {
                let is_its = row.unit.as_ref().is_some_and(|of| of.code == unit.code);
                is_its && row.last_seen.is_some_and(|at| now.since(at) < DAY_NS)
            })
        })
        .count();
    let view = view(desk);
    // Whole hours, so that the bars stand still between two looks.
    let end = Timestamp(now.0 - now.0.rem_euclid(HOUR_NS) + HOUR_NS);
    let day =
        limited(Query::parse("").map_err(|_empty| DeskError::NotFound)?, &limit).between(end.plus_nanos(-DAY_NS), end);
    let dead = day.clone().in_datasets(&[Dataset::DeadLetters]);
    let hours = buckets(&view, &day, 24)?;
    Ok(Overview {
        alerts_open,
        alerts_unowned,
        incidents: by_status,
        incidents_by_layer,
        sources: sources.len() as u64,
        sources_silent: sources.iter().filter(|row| row.state == SourceState::Silent).count() as u64,
        units_reporting: (reporting as u64, units.len() as u64),
        events_day: hours.iter().map(|bucket| bucket.count).sum(),
        dead_letters_day: view.count_matches(&dead).map_err(failed)?,
        last_event_at,
        hours,
        detection_behind: desk.guests.waits_for(),
    })
}
