//! What people do to the rows of [`super::FakeDesk`], as the engine would do it.
//!
//! In: a row and a change. Out: the row changed, or why it is refused.

use nhatle_ui::model::{
    AlertChange, AlertRow, AlertStatus, Entry, EntryKind, IncidentChange, IncidentStatus, IncidentView, LayerState,
    RuleChange, RuleStanding, RuleStep, RuleView,
};
use nhatle_ui::{Localized, Refusal};

use super::NOW;
use super::sample::entry;

/// What was done to an alert, for its history.
pub fn change_row(row: &mut AlertRow, user: &str, change: &AlertChange) -> Result<Entry, Refusal> {
    let is_closed = row.status == AlertStatus::Closed;
    let mut said = entry(NOW, EntryKind::Note, Some(user), "");
    match change {
        AlertChange::Acknowledge if is_closed => return Err(Refusal::AlreadyClosed),
        AlertChange::Acknowledge if row.owner.as_deref().is_some_and(|owner| owner != user) => {
            return Err(Refusal::AlreadyTaken);
        }
        AlertChange::Acknowledge => {
            (row.status, row.owner) = (AlertStatus::Acknowledged, Some(user.to_owned()));
            (said.kind, said.to) = (EntryKind::Owner, Some(user.to_owned()));
        }
        AlertChange::Release => {
            (row.status, row.owner) = (AlertStatus::New, None);
            said.kind = EntryKind::Owner;
        }
        AlertChange::Close { .. } if is_closed => return Err(Refusal::AlreadyClosed),
        AlertChange::Close { note, .. } | AlertChange::Reopen { note } if note.trim().is_empty() => {
            return Err(Refusal::NoteMissing);
        }
        AlertChange::Close { verdict, note } => {
            (row.status, row.verdict) = (AlertStatus::Closed, Some(*verdict));
            (said.kind, said.to) = (EntryKind::Closed, Some(verdict.as_str().to_owned()));
            said.text = Localized::same(note.as_str());
        }
        AlertChange::Reopen { note } => {
            if !is_closed {
                return Err(Refusal::NotClosed);
            }
            (row.status, row.verdict) = (AlertStatus::New, None);
            (said.kind, said.text) = (EntryKind::Reopened, Localized::same(note.as_str()));
        }
        AlertChange::Note { text } => said.text = Localized::same(text.as_str()),
    }
    Ok(said)
}

/// The state of an incident after a change.
/// Changes an incident.
pub fn change_view(view: &mut IncidentView, user: &str, change: &IncidentChange) -> Result<(), Refusal> {
    let mut said = entry(NOW, EntryKind::Note, Some(user), "");
    match change {
        IncidentChange::Note { text } => said.text = Localized::same(text.as_str()),
        IncidentChange::Title { title } => {
            view.row.title = Localized::same(title.as_str());
            (said.kind, said.to) = (EntryKind::Title, Some(title.clone()));
        }
        IncidentChange::Status { status } => {
            said.kind = EntryKind::Status;
            said.from = Some(view.row.status.as_str().to_owned());
            said.to = Some(status.as_str().to_owned());
            view.row.status = *status;
        }
        IncidentChange::Severity { level, reason } => {
            (said.kind, said.to) = (EntryKind::Severity, Some(level.as_str().to_owned()));
            said.text = Localized::same(reason.as_str());
            view.row.level = *level;
        }
        IncidentChange::Owner { owner } => {
            (said.kind, said.to) = (EntryKind::Owner, owner.clone());
            view.row.owner = owner.clone();
        }
        IncidentChange::Handover { layer, reason, owner } => {
            if *layer == view.row.layer {
                return Err(Refusal::SameLayer);
            }
            said.kind = EntryKind::Handover;
            (said.from, said.to) = (Some(view.row.layer.as_str().to_owned()), Some(layer.as_str().to_owned()));
            said.text = Localized::same(reason.as_str());
            for step in &mut view.layers {
                if step.layer == view.row.layer {
                    step.state = LayerState::HandedOver;
                }
                if step.layer == *layer {
                    (step.state, step.since, step.by) = (LayerState::Current, Some(NOW), Some(user.to_owned()));
                    step.reason.clone_from(reason);
                }
            }
            view.row.layer = *layer;
            view.row.owner.clone_from(owner);
        }
        IncidentChange::AddAlerts { .. } => said.kind = EntryKind::Alert,
        IncidentChange::Close { verdict, reason } => {
            if view.row.status == IncidentStatus::Closed {
                return Err(Refusal::AlreadyClosed);
            }
            (view.row.status, view.row.verdict) = (IncidentStatus::Closed, Some(*verdict));
            (said.kind, said.to) = (EntryKind::Closed, Some(verdict.as_str().to_owned()));
            said.text = Localized::same(reason.as_str());
        }
        IncidentChange::Reopen { reason } => {
            (view.row.status, view.row.verdict) = (IncidentStatus::Active, None);
            (said.kind, said.text) = (EntryKind::Reopened, Localized::same(reason.as_str()));
        }
    }
    view.version += 1;
    view.timeline.push(said);
    Ok(())
}

/// Decides about a rule.
pub fn change_rule(view: &mut RuleView, user: &str, change: &RuleChange) -> Result<(), Refusal> {
    let (kind, level, text) = match change {
        RuleChange::Enable { note } => ("enable", None, note),
        RuleChange::Disable { reason } => ("disable", None, reason),
        RuleChange::SetLevel { level, reason } => ("set_level", Some(*level), reason),
        RuleChange::ResetLevel if view.row.level_written.is_none() => return Err(Refusal::WrongState),
        RuleChange::ResetLevel => ("reset_level", None, &String::new()),
    };
    if matches!(kind, "disable" | "set_level") && text.trim().is_empty() {
        return Err(Refusal::NoteMissing);
    }
    let written = view.row.level_written.unwrap_or(view.row.level);
    match change {
        RuleChange::Enable { .. } => view.row.standing = RuleStanding::On,
        RuleChange::Disable { .. } => view.row.standing = RuleStanding::Feeding,
        RuleChange::SetLevel { level, .. } => {
            (view.row.level, view.row.level_written) = (*level, Some(written).filter(|written| written != level));
        }
        RuleChange::ResetLevel => (view.row.level, view.row.level_written) = (written, None),
    }
    let step = RuleStep { at: NOW, actor: user.to_owned(), kind: kind.to_owned(), level, text: text.clone() };
    view.history.push(step);
    Ok(())
}
