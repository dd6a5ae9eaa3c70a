//! Sources with their receipt books, in all and by hour.

use nhatle_event::Timestamp;
use nhatle_ui::model::{Gap, Reasons, SourceHour, SourceRow, SourceState, SourceView};
use nhatle_ui::{Answer, DeskError, Viewer};

use super::{LiveDesk, failed, may_see};
use crate::source_settings;
use crate::sources::hour::{Counts, HOUR_NS};
use crate::sources::{HourPart, Receipts, history};

/// A source that sent nothing for so long is shown as silent.
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
    let hours = hours.iter().map(|part| hour_row(part, open.contains(&part.hour))).collect();
    Ok(SourceView { source: source_row(desk, name, row), hours })
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
        state: match row.last_seen_ns {
            0 => SourceState::Never,
            last if SILENT_AFTER_NS < desk.now().0.saturating_sub(last) => SourceState::Silent,
            _ => SourceState::Active,
        },
        reasons: reasons(total),
        gaps: gaps(total),
        missing: total.missing,
        clock_offset_ms: row.clock().map(|(median_ms, _)| median_ms),
        setting: source_settings::shown(&desk.shared.source_settings, name, &row.input),
    }
}

fn hour_row(part: &HourPart, is_open: bool) -> SourceHour {
    let counts = &part.counts;
    let clock = part.clock.median_and_spread();
    SourceHour {
        begin: Timestamp(part.hour.saturating_mul(HOUR_NS)),
        is_open,
        received: counts.received,
        stored: counts.stored,
        rejected: counts.rejected,
        duplicate: counts.duplicate,
        dead_lettered: counts.dead_lettered,
        reasons: reasons(counts),
        numbers: part.numbers.map(|(first, last)| Gap { first, last }),
        gaps: gaps(counts),
        missing: counts.missing,
        clock_offset_ms: clock.map(|(median_ms, _)| median_ms),
        clock_spread_ms: clock.map(|(_, spread_ms)| spread_ms),
    }
}

fn reasons(counts: &Counts) -> Reasons {
    Reasons { rejected: counts.rejected_by.clone(), dead_lettered: counts.dead_by.clone() }
}

fn gaps(counts: &Counts) -> Vec<Gap> {
    counts.gaps.iter().map(|(first, last)| Gap { first: *first, last: *last }).collect()
}
