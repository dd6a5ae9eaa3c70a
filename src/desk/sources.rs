//! Sources with their receipt books, in all and by hour.

use nhatle_engine::register::AnyChange;
use nhatle_engine::rhythm::outage::{Outage, OutageChange, SPAN_MAX_NS};
use nhatle_engine::rhythm::{Rhythm, UsualSilence};
use nhatle_event::Timestamp;
use nhatle_ui::model::{
    Gap, HourCheck, NewOutage, OutageRow, Reasons, RhythmKind, RhythmRow, SourceHour, SourceRow, SourceState,
    SourceView,
};
use nhatle_ui::{Answer, DeskError, Refusal, Viewer};

use super::{LiveDesk, failed, may_see};
use crate::source_settings;
use crate::sources::hour::{Counts, HOUR_NS};
use crate::sources::{HourPart, Receipts, history};

/// A source that sent nothing for so long is shown as silent, or as quiet where the sentinel knows its rhythm and finds nothing in it.
const SILENT_AFTER_NS: i64 = 3600 * 1_000_000_000;

/// Every source that the viewer may see, by name.
pub(super) fn list(desk: &LiveDesk, viewer: &Viewer) -> Vec<SourceRow> {
    let limit = desk.limit(viewer);
    let book = desk.shared.book();
    let seen = book.rows().filter(|(_, row)| may_see(&limit, &row.unit));
    let mut rows: Vec<SourceRow> = seen.map(|(name, row)| source_row(desk, name, row)).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

/// One source with its hours.
pub(super) fn hours(desk: &LiveDesk, viewer: &Viewer, name: &str, span: (Timestamp, Timestamp)) -> Answer<SourceView> {
    let limit = desk.limit(viewer);
    // Together, so that each hour is in one of them.
    let (book, snapshot) = {
        let book = desk.shared.book();
        (book.clone(), desk.shared.store.snapshot())
    };
    let row = book.row(name).filter(|row| may_see(&limit, &row.unit)).ok_or(DeskError::NotFound)?;
    let hours = history::of_source(&book, &snapshot, name, span).map_err(failed)?;
    let open: Vec<i64> = row.open.iter().map(|part| part.hour).collect();
    let checked = desk.shared.feed.checked().clone();
    let hours = hours.iter().map(|part| SourceHour {
        check: match checked.differences.iter().find(|one| one.source == name && one.hour == part.hour) {
            Some(one) => HourCheck::Differs(one.found),
            None if part.hour <= checked.through => HourCheck::Agrees,
            None => HourCheck::Open,
        },
        ..hour_row(part, open.contains(&part.hour))
    });
    let hours = hours.collect();
    let now = desk.now();
    let mut outages = outages(desk, viewer);
    outages.retain(|outage| {
        desk.shared.registry.read(|state| {
            state.outages.get(&outage.number).is_some_and(|one| one.covers(name, row.unit.as_deref(), now))
        })
    });
    let rhythm = desk.shared.feed.usual(name).map(rhythm_row);
    Ok(SourceView { source: source_row(desk, name, row), hours, outages, rhythm })
}

fn rhythm_row(usual: UsualSilence) -> RhythmRow {
    let kind = match usual.rhythm {
        Rhythm::Unknown => RhythmKind::Unknown,
        Rhythm::Steady => RhythmKind::Steady,
        Rhythm::Planned => RhythmKind::Planned,
        Rhythm::Office => RhythmKind::Office,
    };
    let whole = |seconds: f32| seconds.round() as u64;
    RhythmRow { kind, usual_s: usual.usual_s.map(whole), alarm_s: usual.alarm_s.map(whole) }
}

/// Outages planned now that the viewer may see.
pub(super) fn outages(desk: &LiveDesk, viewer: &Viewer) -> Vec<OutageRow> {
    let (limit, now) = (desk.limit(viewer), desk.now());
    let book = desk.shared.book().clone();
    let unit_of = |outage: &Outage| match &outage.source {
        Some(source) => book.row(source).and_then(|row| row.unit.clone()),
        None => outage.unit.clone(),
    };
    desk.shared.registry.read(|state| {
        let holds = state.outages.iter().filter(|(_, outage)| outage.from <= now && now < outage.until);
        holds
            .filter(|(_, outage)| may_see(&limit, &unit_of(outage)))
            .map(|(number, outage)| OutageRow {
                number: *number,
                source: outage.source.clone(),
                unit: outage.unit.as_deref().map(|code| desk.unit_row(code)),
                from: outage.from,
                until: outage.until,
                reason: outage.reason.clone(),
                actor: outage.actor.clone(),
            })
            .collect()
    })
}

/// Plans an outage of what the viewer may see.
pub(super) fn plan_outage(desk: &LiveDesk, viewer: &Viewer, new: &NewOutage) -> Answer<u64> {
    let limit = desk.limit(viewer);
    let unit = match (&new.source, &new.unit) {
        (Some(source), None) => desk.shared.book().row(source).ok_or(DeskError::NotFound)?.unit.clone(),
        (None, Some(unit)) => Some(desk.unit_tree().get(unit).ok_or(DeskError::NotFound)?.code.clone()),
        _ => return Err(DeskError::Refused(Refusal::WrongState)),
    };
    if !may_see(&limit, &unit) {
        return Err(DeskError::NotFound);
    }
    let until = Timestamp::parse(&new.until, 0).ok_or(DeskError::Refused(Refusal::BadEnd))?;
    let now = desk.now();
    if until <= now || SPAN_MAX_NS < until.since(now) {
        return Err(DeskError::Refused(Refusal::BadEnd));
    }
    if new.reason.trim().is_empty() {
        return Err(DeskError::Refused(Refusal::NoteMissing));
    }
    let change = OutageChange::Plan {
        source: new.source.clone(),
        unit: new.unit.clone(),
        until_ns: until.0,
        reason: new.reason.clone(),
    };
    desk.record(viewer, |state| {
        let number = state.next_outage();
        Ok((vec![AnyChange::Outage(number, change.clone())], number))
    })
}

/// Ends one early.
pub(super) fn end_outage(desk: &LiveDesk, viewer: &Viewer, number: u64) -> Answer<()> {
    if !outages(desk, viewer).iter().any(|outage| outage.number == number) {
        return Err(DeskError::NotFound);
    }
    desk.record(viewer, |_state| Ok((vec![AnyChange::Outage(number, OutageChange::End {})], ())))
}

fn source_row(desk: &LiveDesk, name: &str, row: &Receipts) -> SourceRow {
    let total = &row.total;
    SourceRow {
        name: name.to_owned(),
        unit: row.unit.as_deref().map(|code| desk.unit_row(code)),
        input: row.input.clone(),
        received: total.received,
        stored: total.stored,
        rejected: total.rejected,
        duplicate: total.duplicate,
        dead_lettered: total.dead_lettered,
        last_seen: Some(Timestamp(row.last_seen_ns)).filter(|at| at.0 != 0),
        state: state_of(
            desk.now().0.saturating_sub(row.last_seen_ns),
            row.last_seen_ns != 0,
            desk.shared.feed.usual(name),
        ),
        reasons: reasons(total),
        gaps: gaps(total),
        missing: total.missing,
        lost: total.lost,
        clock_offset_ms: row.clock().map(|(median_ms, _)| median_ms),
        misnamed: row.misnamed().map(str::to_owned),
        setting: source_settings::shown(&desk.shared.source_settings, name, &row.input),
    }
}

fn state_of(silent_ns: i64, has_sent: bool, usual: Option<UsualSilence>) -> SourceState {
    let usual = usual.filter(|usual| usual.rhythm != Rhythm::Unknown);
    match usual {
        _ if !has_sent => SourceState::Never,
        Some(UsualSilence { is_silent: true, .. }) => SourceState::Silent,
        _ if silent_ns <= SILENT_AFTER_NS => SourceState::Active,
        Some(_) => SourceState::Quiet,
        None => SourceState::Silent,
    }
}

fn hour_row(part: &HourPart, is_open: bool) -> SourceHour {
    let counts = &part.counts;
    let clock = part.clock.median_and_spread();
    SourceHour {
        begin: Timestamp(part.hour.saturating_mul(HOUR_NS)),
        is_open,
        check: HourCheck::Open,
        received: counts.received,
        stored: counts.stored,
        rejected: counts.rejected,
        duplicate: counts.duplicate,
        dead_lettered: counts.dead_lettered,
        reasons: reasons(counts),
        numbers: part.numbers.map(|(first, last)| Gap { first, last }),
        gaps: gaps(counts),
        missing: counts.missing,
        lost: counts.lost,
        clock_offset_ms: clock.map(|(median_ms, _)| median_ms),
        clock_spread_ms: clock.map(|(_, spread_ms)| spread_ms),
    }
}

fn reasons(counts: &Counts) -> Reasons {
    Reasons {
        rejected: counts.rejected_by.clone(),
        dead_lettered: counts.dead_by.clone(),
        misnamed: counts.misnamed_by.clone(),
    }
}

fn gaps(counts: &Counts) -> Vec<Gap> {
    counts.gaps.iter().map(|(first, last)| Gap { first: *first, last: *last }).collect()
}
