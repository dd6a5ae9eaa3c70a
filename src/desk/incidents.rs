//! Incidents: the list, one with its timeline and its four layers, and what people do about it.

use nhatle_engine::alert::Alert;
use nhatle_engine::incident::{AlertRef, Change, Incident, Layer as EngineLayer, Status, Step};
use nhatle_engine::register::{AnyChange, RegisterState};
use nhatle_event::Timestamp;
use nhatle_ui::model::{
    Entry, EntryKind, IncidentChange, IncidentPage, IncidentQuery, IncidentRow, IncidentStatus, IncidentView, Layer,
    LayerState, LayerStep, NewIncident,
};
use nhatle_ui::{Answer, DeskError, Localized, Refusal, Viewer};

use super::{Limit, LiveDesk, alerts, may_see, words};
use crate::pipeline::detect::ACTOR;

/// Whether an incident is within the limit: all of it.
pub(super) fn is_seen(limit: &Limit, incident: &Incident) -> bool {
    limit.is_none() || (!incident.is_citys && may_see(limit, &incident.units))
}

/// How many open incidents the viewer may see.
pub(super) fn open_count(desk: &LiveDesk, viewer: &Viewer) -> u64 {
    let limit = desk.limit(viewer);
    desk.shared.registry.read(|state| {
        let open = |incident: &&Incident| incident.status != Status::Closed && is_seen(&limit, incident);
        state.incidents.values().filter(open).count() as u64
    })
}

/// Incidents by status, and open ones by layer.
pub(super) fn counts(desk: &LiveDesk, limit: &Limit) -> ([u64; 3], [u64; 4]) {
    desk.shared.registry.read(|state| {
        let (mut by_status, mut by_layer) = ([0; 3], [0; 4]);
        for incident in state.incidents.values().filter(|incident| is_seen(limit, incident)) {
            by_status[incident.status as usize] += 1;
            if incident.status != Status::Closed {
                by_layer[usize::from(incident.layer.number() - 1)] += 1;
            }
        }
        (by_status, by_layer)
    })
}

fn row(desk: &LiveDesk, incident: &Incident) -> IncidentRow {
    IncidentRow {
        number: incident.number,
        title: words::localized(&incident.title, incident.title_vi.as_deref()),
        status: words::status(incident.status),
        level: words::level(incident.severity),
        verdict: incident.disposition.map(words::verdict),
        owner: incident.owner.clone(),
        layer: words::layer(incident.layer),
        units: incident.units.iter().map(|code| desk.unit_row(code)).collect(),
        alert_count: incident.alert_count,
        opened_at: incident.opened,
        changed_at: incident.changed,
    }
}

fn fits(incident: &Incident, query: &IncidentQuery) -> bool {
    let title = |text: &String| text.to_lowercase();
    (query.statuses.is_empty() || query.statuses.contains(&words::status(incident.status)))
        && (query.levels.is_empty() || query.levels.contains(&words::level(incident.severity)))
        && query.layer.is_none_or(|layer| words::layer(incident.layer) == layer)
        && query.owner.as_ref().is_none_or(|wanted| incident.owner.as_deref().unwrap_or_default() == wanted)
        && query.text.as_ref().is_none_or(|text| {
            let text = text.to_lowercase();
            title(&incident.title).contains(&text)
                || incident.title_vi.as_ref().is_some_and(|vi| title(vi).contains(&text))
        })
}

/// A page of the list, the one that changed last first.
pub(super) fn page(desk: &LiveDesk, viewer: &Viewer, query: &IncidentQuery) -> Answer<IncidentPage> {
    let limit = desk.limit(viewer);
    desk.shared.registry.read(|state| {
        let visible = state.incidents.values().filter(|incident| is_seen(&limit, incident));
        let mut found: Vec<&Incident> = visible.filter(|incident| fits(incident, query)).collect();
        found.sort_by_key(|incident| std::cmp::Reverse((incident.changed, incident.number)));
        let after = query.cursor.as_ref().and_then(|cursor| {
            let number: u64 = cursor.parse().ok()?;
            found.iter().position(|incident| incident.number == number)
        });
        let begin = after.map_or(0, |at| at + 1);
        let end = found.len().min(begin.saturating_add(query.limit));
        let shown = found.get(begin..end).unwrap_or_default();
        Ok(IncidentPage {
            rows: shown.iter().map(|incident| row(desk, incident)).collect(),
            total: found.len() as u64,
            next: shown.last().filter(|_| end < found.len()).map(|incident| incident.number.to_string()),
        })
    })
}

/// One incident with its timeline.
pub(super) fn view(desk: &LiveDesk, viewer: &Viewer, number: u64) -> Answer<IncidentView> {
    let limit = desk.limit(viewer);
    // The alert book is looked at before the register is locked: always in this order.
    let incident = find(desk, &limit, number)?;
    let book = desk.shared.alerts();
    let known: Vec<std::sync::Arc<Alert>> =
        incident.alerts.iter().filter_map(|alert| book.get(&alert.id).cloned()).collect();
    drop(book);
    desk.shared.registry.read(|state| {
        let mut rows: Vec<_> = known.iter().map(|alert| alerts::row(desk, state, alert)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.level, row.last_at)));
        Ok(IncidentView {
            row: row(desk, &incident),
            version: version(&incident),
            layers: layers(&incident),
            entities: incident.entities.iter().map(words::entity).collect(),
            alerts: rows,
            timeline: timeline(&incident),
        })
    })
}

fn find(desk: &LiveDesk, limit: &Limit, number: u64) -> Answer<Incident> {
    let found = desk.shared.registry.read(|state| state.incidents.get(&number).cloned());
    found.filter(|incident| is_seen(limit, incident)).ok_or(DeskError::NotFound)
}

fn version(incident: &Incident) -> u64 {
    incident.steps.len() as u64
}

/// Where each of the four layers stands, from the hand-overs.
fn layers(incident: &Incident) -> Vec<LayerStep> {
    let mut steps: Vec<LayerStep> = Layer::ALL
        .iter()
        .map(|layer| LayerStep {
            layer: *layer,
            state: LayerState::NotInvolved,
            since: None,
            by: None,
            reason: String::new(),
        })
        .collect();
    let mut set = |layer: EngineLayer, state: LayerState, step: &Step, reason: &str| {
        if let Some(row) = steps.get_mut(usize::from(layer.number() - 1)) {
            row.state = state;
            if state == LayerState::Current {
                row.since = Some(step.at);
                row.by = Some(step.actor.clone());
                reason.clone_into(&mut row.reason);
            }
        }
    };
    let mut current = EngineLayer::OnSite;
    for step in &incident.steps {
        match &step.change {
            Change::Open { .. } => set(current, LayerState::Current, step, ""),
            Change::HandOver { to, reason } => {
                set(current, LayerState::HandedOver, step, "");
                current = *to;
                set(current, LayerState::Current, step, reason);
            }
            Change::Close { .. } => set(current, LayerState::Done, step, ""),
            Change::Reopen { reason } => set(current, LayerState::Current, step, reason),
            _ => {}
        }
    }
    steps
}

/// Alerts when they happened, everything else when it was done; oldest first.
fn timeline(incident: &Incident) -> Vec<Entry> {
    let mut entries = Vec::new();
    let (mut layer, mut level) = (EngineLayer::OnSite, None::<String>);
    for step in &incident.steps {
        let mut entry = Entry {
            at: step.at,
            kind: EntryKind::Note,
            actor: Some(step.actor.clone()).filter(|actor| actor != ACTOR),
            text: Localized::default(),
            from: None,
            to: None,
            alert_id: None,
            event_id: None,
        };
        match &step.change {
            Change::Open { title, title_vi, alerts, .. } => {
                entry.kind = EntryKind::Opened;
                entry.text = words::localized(title, title_vi.as_deref());
                entries.extend(alerts.iter().map(alert_entry));
            }
            Change::AddAlerts { alerts } => {
                entries.extend(alerts.iter().map(alert_entry));
                if entry.actor.is_none() {
                    continue;
                }
                entry.kind = EntryKind::Alert;
                entry.text = Localized::same(alerts.len().to_string());
            }
            Change::Note { text } => entry.text = Localized::same(text.as_str()),
            Change::SetOwner { owner } => {
                entry.kind = EntryKind::Owner;
                entry.to.clone_from(owner);
            }
            Change::SetStatus { status } => {
                entry.kind = EntryKind::Status;
                entry.to = Some(words::status(*status).as_str().to_owned());
            }
            Change::SetSeverity { severity, reason } => {
                entry.kind = EntryKind::Severity;
                entry.text = Localized::same(reason.as_str());
                entry.from = level.replace(severity.clone());
                entry.to = Some(severity.clone());
            }
            Change::SetTitle { title } => {
                entry.kind = EntryKind::Title;
                entry.text = Localized::same(title.as_str());
            }
            Change::HandOver { to, reason } => {
                entry.kind = EntryKind::Handover;
                entry.text = Localized::same(reason.as_str());
                entry.from = Some(words::layer(layer).as_str().to_owned());
                entry.to = Some(words::layer(*to).as_str().to_owned());
                layer = *to;
            }
            Change::Close { disposition, reason } => {
                entry.kind = EntryKind::Closed;
                entry.text = Localized::same(reason.as_str());
                entry.to = Some(words::verdict(*disposition).as_str().to_owned());
            }
            Change::Reopen { reason } => {
                entry.kind = EntryKind::Reopened;
                entry.text = Localized::same(reason.as_str());
            }
        }
        entries.push(entry);
    }
    entries.sort_by_key(|entry| entry.at);
    entries
}

fn alert_entry(alert: &AlertRef) -> Entry {
    Entry {
        at: Timestamp(alert.at_ns),
        kind: EntryKind::Alert,
        actor: None,
        text: words::ref_title(alert),
        from: None,
        to: Some(alert.level.clone()),
        alert_id: Some(alert.id.clone()),
        event_id: None,
    }
}

/// The alerts of these ids, all of them visible and in no incident.
fn take_alerts(desk: &LiveDesk, viewer: &Viewer, ids: &[String]) -> Answer<Vec<AlertRef>> {
    let visible = |id: &String| alerts::visible(desk, viewer, id).map(|alert| AlertRef::from(&*alert));
    let found: Answer<Vec<AlertRef>> = ids.iter().map(visible).collect();
    found.map_err(|_hidden| DeskError::Refused(Refusal::UnknownAlert))
}

fn check_free(state: &RegisterState, alerts: &[AlertRef], own: Option<u64>) -> Answer<()> {
    let is_elsewhere = |alert: &AlertRef| state.incident_of.get(&alert.id).is_some_and(|number| Some(*number) != own);
    if alerts.iter().any(is_elsewhere) {
        return Err(DeskError::Refused(Refusal::InOtherIncident));
    }
    Ok(())
}

/// A person opens an incident.
pub(super) fn open(desk: &LiveDesk, viewer: &Viewer, new: &NewIncident) -> Answer<u64> {
    if !viewer.may_work() {
        return Err(DeskError::Forbidden);
    }
    let alerts = take_alerts(desk, viewer, &new.alerts)?;
    desk.record(viewer, |state| {
        check_free(state, &alerts, None)?;
        let number = state.next_incident();
        let open = Change::Open {
            title: new.title.clone(),
            title_vi: None,
            severity: Some(alerts::level_word(new.level)),
            alerts: alerts.clone(),
            unit: viewer.unit.clone(),
        };
        let mut changes = vec![AnyChange::Incident(number, open)];
        if !new.note.trim().is_empty() {
            changes.push(AnyChange::Incident(number, Change::Note { text: new.note.clone() }));
        }
        Ok((changes, number))
    })
}

/// A person changes an incident; answers its new version.
pub(super) fn change(
    desk: &LiveDesk,
    viewer: &Viewer,
    (number, seen): (u64, Option<u64>),
    change: &IncidentChange,
) -> Answer<u64> {
    let limit = desk.limit(viewer);
    find(desk, &limit, number)?;
    if !viewer.may_work() {
        return Err(DeskError::Forbidden);
    }
    let added = match change {
        IncidentChange::AddAlerts { alerts } => take_alerts(desk, viewer, alerts)?,
        _ => Vec::new(),
    };
    desk.record(viewer, |state| {
        let incident = state.incidents.get(&number).ok_or(DeskError::NotFound)?;
        if seen.is_some_and(|seen| seen != version(incident)) {
            return Err(DeskError::Refused(Refusal::Stale));
        }
        check_free(state, &added, Some(number))?;
        let changes = changes(state, &limit, change, &added)?;
        let next = version(incident) + changes.len() as u64;
        Ok((changes.into_iter().map(|change| AnyChange::Incident(number, change)).collect(), next))
    })
}

fn changes(state: &RegisterState, limit: &Limit, change: &IncidentChange, added: &[AlertRef]) -> Answer<Vec<Change>> {
    let owner = |owner: &Option<String>| -> Answer<Option<String>> {
        let Some(name) = owner.as_ref().filter(|name| !name.is_empty()) else { return Ok(None) };
        let known = state.accounts.get(name).filter(|account| !account.is_disabled && may_see(limit, &account.unit));
        known.map(|account| Some(account.name.clone())).ok_or(DeskError::Refused(Refusal::UnknownUser))
    };
    Ok(match change {
        IncidentChange::Note { text } => vec![Change::Note { text: text.clone() }],
        IncidentChange::Title { title } => vec![Change::SetTitle { title: title.clone() }],
        IncidentChange::Status { status: IncidentStatus::Closed } => {
            return Err(DeskError::Refused(Refusal::VerdictMissing));
        }
        IncidentChange::Status { status } => {
            let status = if *status == IncidentStatus::New { Status::New } else { Status::Active };
            vec![Change::SetStatus { status }]
        }
        IncidentChange::Severity { level, reason } => {
            vec![Change::SetSeverity { severity: alerts::level_word(*level), reason: reason.clone() }]
        }
        IncidentChange::Owner { owner: to } => vec![Change::SetOwner { owner: owner(to)? }],
        IncidentChange::Handover { layer, reason, owner: to } => {
            let mut changes = vec![Change::HandOver { to: words::engine_layer(*layer), reason: reason.clone() }];
            if let Some(name) = owner(to)? {
                changes.push(Change::SetOwner { owner: Some(name) });
            }
            changes
        }
        IncidentChange::AddAlerts { .. } => vec![Change::AddAlerts { alerts: added.to_vec() }],
        IncidentChange::Close { verdict, reason } => {
            vec![Change::Close { disposition: words::disposition(*verdict), reason: reason.clone() }]
        }
        IncidentChange::Reopen { reason } => vec![Change::Reopen { reason: reason.clone() }],
    })
}
