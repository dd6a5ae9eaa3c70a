//! How long what is stored is kept, for the pages: the same as `nhatle retention` says, and its holds.

use nhatle_engine::register::AnyChange;
use nhatle_engine::retention::hold::{DropChange, Dropped, DroppedSegment, HoldChange as EngineHold};
use nhatle_engine::retention::{PROFILE, Rule};
use nhatle_event::Timestamp;
use nhatle_storage::segment::meta::Tier;
use nhatle_storage::{Dataset, Snapshot};
use nhatle_ui::model::retention::{
    DatasetRow, HoldChange, HoldRow, JobRow, KeepRow, MinimumRow, NewHold, RetentionView, SEGMENTS_SHOWN_MAX,
    SegmentRow,
};
use nhatle_ui::{Answer, DeskError, Refusal, Viewer};

use super::{LiveDesk, failed};
use crate::retention::forecast::{forecast, metas};
use crate::retention::{Due, job};

/// How many jobs are shown with their segments: each is read from the register.
const JOBS_SHOWN_MAX: usize = 20;

/// A hold speaks of everything that is stored, so only who sees all of it may see or change one.
fn sees_all(desk: &LiveDesk, viewer: &Viewer) -> Answer<()> {
    if desk.limit(viewer).is_some() { Err(DeskError::NotFound) } else { Ok(()) }
}

/// How retention stands.
pub(super) fn view(desk: &LiveDesk, viewer: &Viewer) -> Answer<RetentionView> {
    sees_all(desk, viewer)?;
    let (shared, now) = (&desk.shared, desk.now());
    let snapshot = shared.store.snapshot();
    let free_bytes = shared.overload.room().2;
    let grown = forecast(metas(&snapshot), free_bytes, now);
    let rules = shared.retention.get();
    let plan = job::plan_now(shared, now).map_err(|error| DeskError::Failed(error.into()))?;
    let row = |state: &str, due: &Due| segment_row(state, due, &rules);
    let next = plan.next.iter().map(|due| row("next", due));
    let due = plan.due.iter().take(SEGMENTS_SHOWN_MAX).map(|due| row("due", due));
    let held = plan.held.iter().take(SEGMENTS_SHOWN_MAX).map(|due| row("held", due));
    let (holds, drops) = shared.registry.read(|state| {
        let hold = |(number, hold): (&u64, &nhatle_engine::retention::hold::Hold)| HoldRow {
            number: *number,
            from: hold.from,
            to: hold.to,
            until: hold.until,
            is_in_force: now < hold.until,
            reason: hold.reason.clone(),
            by: hold.actor.clone(),
            placed: hold.placed,
        };
        let holds: Vec<HoldRow> = state.holds.iter().rev().take(SEGMENTS_SHOWN_MAX).map(hold).collect();
        let drops: Vec<(u64, Dropped)> =
            state.drops.iter().rev().take(JOBS_SHOWN_MAX).map(|(number, job)| (*number, job.clone())).collect();
        (holds, drops)
    });
    let shown = shared.retention_watch.shown();
    Ok(RetentionView {
        bytes: grown.bytes,
        bytes_per_day: grown.bytes_per_day,
        free_bytes,
        days_left: grown.days_left,
        datasets: Dataset::ALL.into_iter().filter_map(|dataset| dataset_row(&snapshot, dataset)).collect(),
        rules: (1..).zip(rules.iter()).map(keep_row).collect(),
        profile: PROFILE.to_owned(),
        kept_for_good: plan.kept_for_good as u64,
        to_archive: plan.to_archive.len() as u64,
        due_count: plan.due.len() as u64,
        held_count: plan.held.len() as u64,
        segments: due.chain(held).chain(next).collect(),
        holds,
        jobs: drops.into_iter().map(|(number, dropped)| job_row(desk, number, &dropped)).collect::<Answer<_>>()?,
        look_at: shown.look_at,
        had_jump: shown.had_jump,
        trouble: shown.trouble,
    })
}

fn dataset_row(snapshot: &Snapshot, dataset: Dataset) -> Option<DatasetRow> {
    let mut row = DatasetRow { name: dataset.name().to_owned(), segments: 0, archived: 0, events: 0, bytes: 0 };
    for segment in snapshot.segments(dataset) {
        let meta = segment.meta();
        row.segments += 1;
        row.archived += u64::from(meta.tier == Tier::Archive);
        row.events += meta.row_count;
        row.bytes += meta.bytes();
    }
    (0 < row.segments).then_some(row)
}

fn keep_row((number, rule): (u64, &Rule)) -> KeepRow {
    KeepRow {
        number,
        datasets: rule.datasets.clone(),
        kinds: rule.kinds.clone(),
        levels: rule.levels.clone(),
        purpose: rule.purpose.name().to_owned(),
        online_months: rule.online_months,
        archive_months: rule.archive_months,
        basis: rule.basis.clone(),
        minimum: rule.minimum().map(|one| MinimumRow {
            months: one.months,
            basis: one.basis.to_owned(),
            checked: one.checked.to_owned(),
        }),
    }
}

fn segment_row(state: &str, due: &Due, rules: &[Rule]) -> SegmentRow {
    let meta = due.segment.meta();
    SegmentRow {
        state: state.to_owned(),
        dir: meta.dir.clone(),
        dataset: meta.dataset.name().to_owned(),
        events: meta.row_count,
        bytes: meta.bytes(),
        stored_last: due.stored.1,
        gone_from: Some(due.gone_from()),
        months: due.keep.months,
        basis: rules.get(due.keep.rule).map(|rule| rule.basis.clone()).unwrap_or_default(),
        root: meta.events_root.clone(),
    }
}

fn gone_row(gone: DroppedSegment) -> SegmentRow {
    SegmentRow {
        state: "gone".to_owned(),
        dir: gone.dir,
        dataset: gone.dataset,
        events: gone.events,
        bytes: gone.bytes,
        stored_last: Timestamp(gone.stored_ns[1]),
        gone_from: None,
        months: gone.months,
        basis: gone.basis,
        root: gone.events_root,
    }
}

/// A job with its segments, as the register has them.
fn job_row(desk: &LiveDesk, number: u64, dropped: &Dropped) -> Answer<JobRow> {
    let rows = desk.shared.registry.stream(&format!("retention/{number}")).map_err(failed)?;
    let by = rows.first().map(|row| row.change.actor.clone()).unwrap_or_default();
    let mut segments = Vec::new();
    for row in rows {
        if let Ok(DropChange::Begin { segments: gone }) = serde_json::from_str(&row.change.json) {
            segments.extend(gone.into_iter().take(SEGMENTS_SHOWN_MAX).map(gone_row));
        }
    }
    Ok(JobRow {
        number,
        begun: dropped.begun,
        done: dropped.done,
        by,
        segment_count: dropped.segments as u64,
        events: dropped.events,
        bytes: dropped.bytes,
        segments,
    })
}

fn moment(text: &str) -> Answer<i64> {
    let parsed = Timestamp::parse(text, 0).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z"), 0));
    parsed.map(|stamp| stamp.0).ok_or(DeskError::Refused(Refusal::BadEnd))
}

/// Places a hold.
pub(super) fn place(desk: &LiveDesk, viewer: &Viewer, new: &NewHold) -> Answer<u64> {
    sees_all(desk, viewer)?;
    let place = EngineHold::Place {
        from_ns: moment(&new.from)?,
        to_ns: moment(&new.to)?,
        until_ns: moment(&new.until)?,
        reason: new.reason.clone(),
    };
    desk.record(viewer, |state| {
        let number = state.next_hold();
        Ok((vec![AnyChange::Hold(number, place.clone())], number))
    })
}

/// Changes a hold.
pub(super) fn change(desk: &LiveDesk, viewer: &Viewer, number: u64, change: &HoldChange) -> Answer<()> {
    sees_all(desk, viewer)?;
    let change = match change {
        HoldChange::Extend { until, reason } => EngineHold::Extend { until_ns: moment(until)?, reason: reason.clone() },
        HoldChange::Release { reason } => EngineHold::Release { reason: reason.clone() },
    };
    desk.record(viewer, |state| match state.holds.contains_key(&number) {
        true => Ok((vec![AnyChange::Hold(number, change.clone())], ())),
        false => Err(DeskError::NotFound),
    })
}

/// Has the job run now.
pub(super) fn run(desk: &LiveDesk, viewer: &Viewer) -> Answer<()> {
    sees_all(desk, viewer)?;
    desk.shared.retention_watch.ask(&viewer.user);
    Ok(())
}
