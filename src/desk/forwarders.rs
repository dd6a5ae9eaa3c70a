//! The forwarders of the wards, as pages may see them.

use nhatle_event::Timestamp;
use nhatle_ui::Viewer;
use nhatle_ui::model::{ForwarderGap, ForwarderRow};

use super::{LiveDesk, may_see};

/// Every forwarder of the viewer's units, by name.
pub(super) fn list(desk: &LiveDesk, viewer: &Viewer) -> Vec<ForwarderRow> {
    let limit = desk.limit(viewer);
    let some = |at_ns: i64| Some(Timestamp(at_ns)).filter(|at| at.0 != 0);
    let all = desk.shared.forwarders.all().into_iter().filter(|row| may_see(&limit, &row.unit));
    let mut rows: Vec<ForwarderRow> = all
        .map(|row| ForwarderRow {
            unit: row.unit.as_deref().map(|code| desk.unit_row(code)),
            name: row.name,
            program: row.program,
            last_contact: some(row.contact_ns),
            clock_offset_ms: i32::try_from(row.clock_offset_ns / 1_000_000).ok(),
            waiting: row.depth.records,
            spool_bytes: row.depth.bytes,
            spool_bytes_max: row.depth.bytes_max,
            taken: row.taken,
            repeated: row.repeated,
            lost: row.lost,
            dropped: row.dropped,
            forks: row.forks,
            gaps: row
                .gaps
                .into_iter()
                .map(|gap| ForwarderGap {
                    lane: gap.lane,
                    first: gap.first,
                    last: gap.last,
                    reason: gap.reason,
                    at: some(gap.at_ns),
                })
                .collect(),
        })
        .collect();
    rows.sort_by(|left, right| left.name.cmp(&right.name));
    rows
}
