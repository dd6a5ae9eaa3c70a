//! What a rule would have found, and hunts that store it: for whom, and in the words of the pages.

use std::sync::Arc;

use nhatle_engine::hunt::{Hunt, HuntOutcome};
use nhatle_event::Timestamp;
use nhatle_rules::RuleSet;
use nhatle_ui::model::{Bucket, HUNT_DAYS_MAX, HuntRow, NewHunt, PreviewHit, PreviewState, RulePreview, RuleStanding};
use nhatle_ui::{Answer, Desk, DeskError, Refusal, Viewer};

use super::LiveDesk;
use crate::hunt::guest::{Refused, Running, State};
use crate::hunt::{job, preview};

/// How many hunts of a rule are shown.
const HUNTS_SHOWN: usize = 10;
const DAY_NS: i64 = 86_400_000_000_000;

/// The rule with what it refers to; one that is off as if it were on.
fn rules_of(desk: &LiveDesk, id: &str) -> Answer<Arc<RuleSet>> {
    desk.guests.rules_of(id).ok_or(DeskError::NotFound)
}

/// The preview of a rule as far as it is.
pub(super) fn look(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<RulePreview> {
    let rule = desk.rule(viewer, id)?;
    let is_on = rule.row.standing == RuleStanding::On;
    let limit = desk.limit(viewer);
    let rules = rules_of(desk, id)?;
    let running = desk.guests.running();
    let mut shown = RulePreview {
        rule_id: rule.row.id.clone(),
        title: rule.row.title.clone(),
        is_on,
        days: preview::DAYS,
        detection_behind: desk.guests.waits_for(),
        is_hunting: running.is_some(),
        hunts: if viewer.unit.is_none() { hunts(desk, id, running.as_ref()) } else { Vec::new() },
        ..RulePreview::default()
    };
    let Some((state, made)) = desk.guests.preview(&rules, id, &limit) else { return Ok(shown) };
    shown.state = match state {
        State::Waiting => PreviewState::Waiting,
        State::Running => PreviewState::Running,
        State::Done if made.is_whole => PreviewState::Done,
        State::Done => PreviewState::Partial,
        State::Failed => PreviewState::Failed,
    };
    let days = made.days_looked();
    shown.looked_from = Some(made.looked_from).filter(|from| *from < made.to);
    (shown.hits, shown.alerts, shown.hidden) = (made.hits, made.alerts, made.hidden);
    #[expect(clippy::cast_precision_loss, reason = "bounded by the number of hits")]
    let alerts = made.alerts as f64;
    shown.alerts_a_day = if days < 1.0 { alerts } else { alerts / days };
    shown.last_hit = made.last_hit;
    let day =
        |(start, count): &(Timestamp, u64)| Bucket { start: *start, end: start.plus_nanos(DAY_NS), count: *count };
    shown.by_day = made.days.iter().map(day).collect();
    shown.units = made.units.iter().map(|(code, count)| (desk.unit_row(code), *count)).collect();
    shown.hosts.clone_from(&made.hosts);
    shown.sample = made.sample.iter().map(PreviewHit::of).collect();
    (shown.in_true, shown.in_false) = (made.in_true, made.in_false);
    (shown.events, shown.read) = (made.progress.events, made.progress.read);
    shown.at = Some(made.at);
    shown.newer_events = desk.guests.newer(&made);
    Ok(shown)
}

/// Has a preview made.
pub(super) fn start(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<()> {
    desk.rule(viewer, id)?;
    let rules = rules_of(desk, id)?;
    desk.guests.want_preview(rules, id, &desk.limit(viewer)).map_err(refused)
}

fn refused(refused: Refused) -> DeskError {
    match refused {
        Refused::Busy => DeskError::Refused(Refusal::Full),
        Refused::Failed => DeskError::Busy,
    }
}

fn hunts(desk: &LiveDesk, id: &str, running: Option<&Running>) -> Vec<HuntRow> {
    desk.shared.registry.read(|state| {
        let of_rule = state.hunts.values().rev().filter(|hunt| hunt.rule_id == id);
        of_rule.take(HUNTS_SHOWN).map(|hunt| hunt_row(hunt, running)).collect()
    })
}

fn hunt_row(hunt: &Hunt, running: Option<&Running>) -> HuntRow {
    let counts = hunt.ended.as_ref().map(|(_, _, _, counts)| *counts).unwrap_or_default();
    let running = running.filter(|running| running.number == hunt.number);
    HuntRow {
        number: hunt.number,
        rule_id: hunt.rule_id.clone(),
        by: hunt.by.clone(),
        begun: hunt.begun,
        from: hunt.from,
        to: hunt.to,
        state: match (&hunt.ended, running) {
            (Some((_, HuntOutcome::Done, ..)), _) => "done",
            (Some((_, HuntOutcome::Canceled, ..)), _) => "canceled",
            (Some((_, HuntOutcome::Full, ..)), _) => "full",
            (Some((_, HuntOutcome::Failed, ..)), _) => "failed",
            (None, Some(_)) => "running",
            (None, None) => "broken",
        },
        percent: running.map_or(100, |running| (running.done * 100 / running.goal).min(100)),
        events: counts.events,
        findings: counts.findings,
        alerts: counts.alerts,
        known: counts.known,
        repeats: counts.repeats,
        hidden: counts.hidden,
    }
}

/// Begins a hunt. It looks at the whole city, so whoever is limited to a unit may not.
pub(super) fn hunt(desk: &LiveDesk, viewer: &Viewer, id: &str, new: &NewHunt) -> Answer<u64> {
    desk.rule(viewer, id)?;
    if viewer.unit.is_some() {
        return Err(DeskError::Forbidden);
    }
    if !(1..=HUNT_DAYS_MAX).contains(&new.days) {
        return Err(DeskError::Refused(Refusal::WrongState));
    }
    let rules = rules_of(desk, id)?;
    let range = job::days_before(desk.guests.now(), new.days);
    desk.guests.hunt(rules, id, range, &viewer.user).map_err(refused)
}

/// Stops a hunt.
pub(super) fn cancel(desk: &LiveDesk, viewer: &Viewer, number: u64) -> Answer<()> {
    if viewer.unit.is_some() {
        return Err(DeskError::NotFound);
    }
    let is_known = desk.shared.registry.read(|state| state.hunts.contains_key(&number));
    match (is_known, desk.guests.cancel(number, &viewer.user)) {
        (false, _) => Err(DeskError::NotFound),
        (true, true) => Ok(()),
        (true, false) => Err(DeskError::Refused(Refusal::WrongState)),
    }
}
