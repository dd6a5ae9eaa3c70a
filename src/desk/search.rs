//! Search, single events, events around one, and the numbers of the landing page.

use nhatle_event::{EventId, Field, Seq, Stored, Text, Timestamp};
use nhatle_storage::query::{Cursor, Order, Page, Query};
use nhatle_storage::{Dataset, Snapshot};
use nhatle_ui::model::{Around, Bucket, Facet, Overview, SearchPage, SearchQuery, SourceState};
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

/// Searches stored events and dead letters.
pub(super) fn page(desk: &LiveDesk, viewer: &Viewer, asked: &SearchQuery) -> Answer<SearchPage> {
    let parsed = Query::parse(&asked.text).map_err(|error| SyntaxError {
        message: error.reason.to_string(),
        offset: error.offset,
        length: error.length,
    })?;
    let query = limited(parsed, &desk.limit(viewer))
        .in_datasets(&[Dataset::Events, Dataset::DeadLetters])
        .between(asked.from.unwrap_or(Timestamp::MIN), asked.to.unwrap_or(Timestamp::MAX));
    let view = view(desk);
    let mut page = Page::first(asked.limit);
    if let Some(text) = &asked.cursor {
        let cursor = Cursor::parse(text).ok_or(DeskError::NotFound)?;
        page = page.behind(cursor);
    }
    let hits = view.search(&query, &page).map_err(failed)?;
    let buckets = match asked.buckets {
        0 => Vec::new(),
        count => buckets(&view, &query, count)?,
    };
    let fields: Vec<Field> = asked.facets.iter().filter_map(|name| Field::lookup(name)).collect();
    let facets = match fields.is_empty() {
        true => Vec::new(),
        false => view.facets(&query, &fields, FACET_VALUES).map_err(failed)?,
    };
    Ok(SearchPage {
        total: hits.total,
        total_is_exact: hits.total_is_exact,
        next: hits.cursor.map(|cursor| cursor.to_string()),
        took_ms: u64::try_from(hits.took.as_millis()).unwrap_or(u64::MAX),
        hits: hits.hits,
        buckets,
        facets: facets
            .into_iter()
            .map(|facet| Facet {
                field: facet.field.name().to_owned(),
                counted: facet.values.iter().map(|(_, count)| count).sum(),
                values: facet.values,
            })
            .collect(),
        incomplete: None,
    })
}

fn buckets(view: &Snapshot, query: &Query, count: usize) -> Answer<Vec<Bucket>> {
    let rows = view.histogram(query, count).map_err(failed)?;
    // Buckets are of one width; the last one ends where a next one would begin.
    let width_ns = rows.windows(2).next().map_or(1, |pair| pair[1].0.since(pair[0].0));
    let bucket =
        |(start, count): &(Timestamp, u64)| Bucket { start: *start, end: start.plus_nanos(width_ns), count: *count };
    Ok(rows.iter().map(bucket).collect())
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
    let host = middle.event.text(Field::HOST_NAME).filter(|_| around.same_host);
    let line = host.map(|host| desk.term("host.name", host)).unwrap_or_default();
    let parsed = Query::parse(&line).map_err(|error| SyntaxError {
        message: error.reason.to_string(),
        offset: error.offset,
        length: error.length,
    })?;
    let query = limited(parsed, &desk.limit(viewer));
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
