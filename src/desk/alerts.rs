//! The alert queue: filter, order, page; one alert in full; what people do about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use nhatle_engine::alert::{Alert, shown};
use nhatle_engine::detect::evidence::rule_matches;
use nhatle_engine::detect::{EvidenceItem, evidence};
use nhatle_engine::register::{AnyChange, RegisterState, Triage, TriageChange};
use nhatle_event::{Seq, Stored, Timestamp};
use nhatle_rules::{Referred, RuleId, RuleSet};
use nhatle_ui::model::{
    AlertChange, AlertDetail, AlertGroup, AlertPage, AlertQuery, AlertRow, AlertSort, AlertStatus, Correlation, Entry,
    EntryKind, Evidence, Level,
};
use nhatle_ui::{Answer, Desk, DeskError, Localized, Refusal, Viewer};

use super::{Limit, LiveDesk, may_see, search, words};

/// How many events an alert's page shows.
const EVENTS_SHOWN_MAX: usize = 50;
/// How many rules the queue counts.
const GROUPS_MAX: usize = 20;

/// All, open, and open alerts of level high or critical that the viewer may see.
pub(super) fn counters(desk: &LiveDesk, viewer: &Viewer) -> (u64, u64, u64) {
    let limit = desk.limit(viewer);
    let book = desk.shared.alerts();
    desk.shared.registry.read(|state| {
        let (mut total, mut open, mut urgent) = (0, 0, 0);
        for alert in book.newest_first().filter(|alert| may_see(&limit, &alert.units)) {
            total += 1;
            if status(state, alert) != AlertStatus::Closed {
                open += 1;
                urgent += u64::from(nhatle_rules::Level::High <= alert.level());
            }
        }
        (total, open, urgent)
    })
}

/// Open alerts by level, and how many of them nobody has.
pub(super) fn open_by_level(desk: &LiveDesk, limit: &Limit) -> ([u64; 5], u64) {
    let book = desk.shared.alerts();
    desk.shared.registry.read(|state| {
        let (mut levels, mut unowned) = ([0; 5], 0);
        for alert in book.newest_first().filter(|alert| may_see(limit, &alert.units)) {
            let status = status(state, alert);
            if status != AlertStatus::Closed {
                levels[alert.level() as usize] += 1;
                unowned += u64::from(status == AlertStatus::New);
            }
        }
        (levels, unowned)
    })
}

/// How many alerts each rule raised, of those within the limit.
pub(super) fn counts_by_rule(desk: &LiveDesk, limit: &Limit) -> BTreeMap<String, u64> {
    let book = desk.shared.alerts();
    let mut counts = BTreeMap::new();
    for alert in book.newest_first().filter(|alert| may_see(limit, &alert.units)) {
        *counts.entry(alert.rule_id.clone()).or_default() += 1;
    }
    counts
}

fn status(state: &RegisterState, alert: &Alert) -> AlertStatus {
    match state.triage.get(alert.id.as_str()) {
        Some(Triage { disposition: Some(_), .. }) => AlertStatus::Closed,
        Some(Triage { owner: Some(_), .. }) => AlertStatus::Acknowledged,
        _ => AlertStatus::New,
    }
}

/// The alert as a row of the queue.
pub(super) fn row(desk: &LiveDesk, state: &RegisterState, alert: &Alert) -> AlertRow {
    let triage = state.triage.get(alert.id.as_str());
    let sentence = |text: &Option<String>| text.clone().unwrap_or_default();
    AlertRow {
        id: alert.id.to_string(),
        first_at: Timestamp(alert.span_ns.0),
        last_at: Timestamp(alert.span_ns.1),
        level: words::level(alert.level()),
        rule_id: alert.rule_id.clone(),
        title: words::title(alert),
        sentence: Localized::new(sentence(&alert.explanation_vi), sentence(&alert.explanation_en)),
        unit: alert.units.first().map(|code| desk.unit_row(code)),
        entities: alert.entities.iter().map(words::entity).collect(),
        count: alert.count,
        status: status(state, alert),
        verdict: triage.and_then(|triage| triage.disposition).map(words::verdict),
        owner: triage.and_then(|triage| triage.owner.clone()),
        incident: state.incident_of.get(alert.id.as_str()).copied(),
        tags: alert.tags.clone(),
        hunt: alert.hunt,
        is_looked_back: alert.is_looked_back,
    }
}

fn fits(state: &RegisterState, alert: &Alert, query: &AlertQuery) -> bool {
    let at = alert.timestamp();
    let owner = || state.triage.get(alert.id.as_str()).and_then(|triage| triage.owner.as_deref());
    (query.statuses.is_empty() || query.statuses.contains(&status(state, alert)))
        && (query.levels.is_empty() || query.levels.contains(&words::level(alert.level())))
        && query.unit.as_ref().is_none_or(|unit| alert.units.contains(unit))
        && query.rule.as_ref().is_none_or(|rule| alert.rule_id == *rule)
        && query.owner.as_ref().is_none_or(|wanted| owner().unwrap_or_default() == wanted)
        && query.incident.is_none_or(|number| state.incident_of.get(alert.id.as_str()) == Some(&number))
        && query.from.is_none_or(|from| from <= at)
        && query.to.is_none_or(|to| at < to)
        && query.text.as_ref().is_none_or(|text| speaks_of(alert, &text.to_lowercase()))
}

fn speaks_of(alert: &Alert, text: &str) -> bool {
    let texts =
        [Some(&alert.title), alert.title_vi.as_ref(), alert.explanation_vi.as_ref(), alert.explanation_en.as_ref()];
    texts.into_iter().flatten().any(|one| one.to_lowercase().contains(text))
        || alert.entities.iter().any(|entity| entity.value.contains(text))
}

/// A page of the queue.
pub(super) fn page(desk: &LiveDesk, viewer: &Viewer, query: &AlertQuery) -> Answer<AlertPage> {
    let limit = desk.limit(viewer);
    let book = desk.shared.alerts();
    desk.shared.registry.read(|state| {
        let visible = book.newest_first().filter(|alert| may_see(&limit, &alert.units));
        let mut found: Vec<&Arc<Alert>> = visible.filter(|alert| fits(state, alert, query)).collect();
        match query.sort {
            // Newest first already; a stable sort keeps that within a level.
            AlertSort::Urgency => found.sort_by_key(|alert| std::cmp::Reverse(alert.level())),
            AlertSort::Newest => {}
            AlertSort::Oldest => found.reverse(),
            AlertSort::Count => found.sort_by_key(|alert| std::cmp::Reverse(alert.count)),
        }
        let after = query.cursor.as_ref().and_then(|id| found.iter().position(|alert| alert.id == id.as_str()));
        let begin = after.map_or(0, |at| at + 1);
        let end = found.len().min(begin.saturating_add(query.limit));
        let shown = found.get(begin..end).unwrap_or_default();
        Ok(AlertPage {
            rows: shown.iter().map(|alert| row(desk, state, alert)).collect(),
            total: found.len() as u64,
            groups: groups(&found),
            next: shown.last().filter(|_| end < found.len()).map(|alert| alert.id.to_string()),
        })
    })
}

fn groups(found: &[&Arc<Alert>]) -> Vec<AlertGroup> {
    let mut groups: BTreeMap<&str, AlertGroup> = BTreeMap::new();
    for alert in found {
        let group = groups.entry(&alert.rule_id).or_insert_with(|| AlertGroup {
            rule_id: alert.rule_id.clone(),
            title: words::title(alert),
            level: words::level(alert.level()),
            count: 0,
        });
        group.count += 1;
    }
    let mut groups: Vec<AlertGroup> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups.truncate(GROUPS_MAX);
    groups
}

/// The alert of this id, if the viewer may see it.
pub(super) fn visible(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<Arc<Alert>> {
    let limit = desk.limit(viewer);
    let alert = desk.shared.alerts().get(id).cloned();
    alert.filter(|alert| may_see(&limit, &alert.units)).ok_or(DeskError::NotFound)
}

/// One alert in full.
pub(super) fn detail(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<AlertDetail> {
    let alert = visible(desk, viewer, id)?;
    let skipped = alert.events.len().saturating_sub(EVENTS_SHOWN_MAX);
    let seqs: Vec<Seq> = alert.seqs().skip(skipped).collect();
    let events = search::by_seqs(desk, viewer, &seqs)?;
    let rule = desk.rule(viewer, &alert.rule_id).ok();
    let correlation = (!alert.group.is_empty() || alert.events.len() > 1).then(|| Correlation {
        kind: correlation_kind(desk, &alert.rule_id).to_owned(),
        group: alert
            .group
            .iter()
            .map(|(field, value)| nhatle_ui::model::Entity { field: field.clone(), value: value.clone() })
            .collect(),
        count: alert.count,
        start: Timestamp(alert.span_ns.0),
        end: Timestamp(alert.span_ns.1),
    });
    let names: Vec<String> = alert.entities.iter().map(|entity| entity.value.clone()).collect();
    let assets = nhatle_ui::ReferenceDesk::assets_of(desk, viewer, &names)?;
    Ok(desk.shared.registry.read(|state| AlertDetail {
        assets,
        row: row(desk, state, &alert),
        rule,
        evidence: evidence_of(desk, &alert, &events),
        correlation,
        event_count: alert.count,
        history: history(state.triage.get(alert.id.as_str())),
        events,
    }))
}

fn correlation_kind(desk: &LiveDesk, rule_id: &str) -> &'static str {
    let rules = desk.shared.rules();
    let found = rules.correlations.iter().find(|correlation| correlation.meta.id == rule_id);
    found.map_or("", |correlation| crate::command::detect::kind_name(&correlation.kind))
}

/// What made the rule (or the rules a correlation counts) match, in each event shown.
fn evidence_of(desk: &LiveDesk, alert: &Alert, events: &[Stored]) -> Vec<Evidence> {
    let set = &desk.shared.rules();
    let rules = rules_behind(set, &alert.rule_id, 8);
    let mut found = Vec::new();
    for stored in events {
        for rule in &rules {
            if !rule_matches(set, *rule, &stored.event) {
                continue;
            }
            let items = evidence(set, *rule, &stored.event);
            found.extend(items.iter().filter(|item| item.holds && !item.is_negated).map(|item| one(item, stored)));
        }
    }
    found
}

fn one(item: &EvidenceItem, stored: &Stored) -> Evidence {
    let modifier = if item.modifier.is_empty() { String::new() } else { format!("|{}", item.modifier) };
    Evidence {
        selection: String::new(),
        condition: format!("{}{modifier}: {}", item.name, item.wanted.join(" | ")),
        field: item.field.map(|field| field.name().to_owned()).unwrap_or_default(),
        value: item.value.as_ref().map(shown).unwrap_or_default(),
        event_id: stored.id().to_string(),
    }
}

/// The rule itself, or the rules at the bottom of a correlation.
pub(super) fn rules_behind(set: &RuleSet, id: &str, depth: usize) -> Vec<RuleId> {
    if let Some(at) = set.rules.iter().position(|rule| rule.meta.id == id) {
        return vec![RuleId(u32::try_from(at).unwrap_or(u32::MAX))];
    }
    let Some(correlation) = set.correlations.iter().find(|correlation| correlation.meta.id == id) else {
        return Vec::new();
    };
    let mut rules = Vec::new();
    for referred in &correlation.referred {
        match referred {
            Referred::Rule(rule) => rules.push(*rule),
            Referred::Correlation(inner) if depth > 0 => {
                if let Some(inner) = set.correlations.get(inner.0 as usize) {
                    rules.extend(rules_behind(set, &inner.meta.id, depth - 1));
                }
            }
            Referred::Correlation(_) => {}
        }
    }
    rules
}

fn history(triage: Option<&Triage>) -> Vec<Entry> {
    let Some(triage) = triage else { return Vec::new() };
    triage
        .steps
        .iter()
        .map(|(at, actor, change)| {
            let (kind, text, to) = match change {
                TriageChange::Take {} => (EntryKind::Owner, "", Some(actor.clone())),
                TriageChange::Release {} => (EntryKind::Owner, "", None),
                TriageChange::Close { disposition, note } => {
                    (EntryKind::Closed, note.as_str(), Some(words::verdict(*disposition).as_str().to_owned()))
                }
                TriageChange::Reopen { note } => (EntryKind::Reopened, note.as_str(), None),
                TriageChange::Note { text } => (EntryKind::Note, text.as_str(), None),
            };
            Entry {
                at: *at,
                kind,
                actor: Some(actor.clone()),
                text: Localized::same(text),
                from: None,
                to,
                alert_id: None,
                event_id: None,
            }
        })
        .collect()
}

/// What a person does about an alert.
pub(super) fn change(desk: &LiveDesk, viewer: &Viewer, id: &str, change: &AlertChange) -> Answer<()> {
    let alert = visible(desk, viewer, id)?;
    if !viewer.may_work() {
        return Err(DeskError::Forbidden);
    }
    let id = alert.id.to_string();
    desk.record(viewer, |state| {
        let triage = state.triage.get(&id);
        let owner = triage.and_then(|triage| triage.owner.as_deref());
        let change = match change {
            AlertChange::Acknowledge if owner.is_some_and(|owner| owner != viewer.user) => {
                return Err(DeskError::Refused(Refusal::AlreadyTaken));
            }
            AlertChange::Acknowledge => TriageChange::Take {},
            AlertChange::Release => TriageChange::Release {},
            AlertChange::Close { verdict, note } => {
                TriageChange::Close { disposition: words::disposition(*verdict), note: note.clone() }
            }
            AlertChange::Reopen { note } => TriageChange::Reopen { note: note.clone() },
            AlertChange::Note { text } => TriageChange::Note { text: text.clone() },
        };
        Ok((vec![AnyChange::Alert(id.clone(), change)], ()))
    })
}

/// Levels from the pages' word.
pub(super) fn level_word(level: Level) -> String {
    level.as_str().to_owned()
}
