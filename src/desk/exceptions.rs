//! Exceptions: the list, one with its life, what an alert proposes, what one would have hidden.
//!
//! The narrowest exception is proposed: the values the rule looked at, and whom it is about. What differs every
//! time (process and record numbers, ports of clients) is offered and not proposed, or it would never hold again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nhatle_collector::Settings;
use nhatle_engine::alert::{Alert, EntityKind};
use nhatle_engine::detect::matched_fields;
use nhatle_engine::exception::{self, Exception, ExceptionChange as Change, Hider, Standing, Subject, TESTS_MAX};
use nhatle_engine::register::{AnyChange, RegisterState};
use nhatle_engine::risk;
use nhatle_event::{Event, Field, Seq, Stored, Timestamp, Value};
use nhatle_rules::RuleSet;
use nhatle_rules::write::{FieldTest, How};
use nhatle_ui::model::{
    ExceptionChange, ExceptionDraft, ExceptionPreview, ExceptionRow, ExceptionStanding, ExceptionStep, ExceptionTest,
    ExceptionView, NewException, RiskPartRow, RiskRow, TestChoice, TestHow, Verdict,
};
use nhatle_ui::{Answer, DeskError, Localized, Refusal, Viewer};

use super::{LiveDesk, alerts, may_see, search, words};
use crate::exceptions::{proposal, sigma_text};
use crate::samples;

/// How many days back a preview looks.
const PREVIEW_DAYS: u32 = 30;
/// How long it may take; what is then left is said to be left.
const PREVIEW_TIME_MAX: Duration = Duration::from_secs(5);
/// The events of so many alerts are held at a time.
const CHUNK_ALERTS: usize = 1_000;
/// For how many alerts of the rule, the newest, it is counted which values they share.
const SHARED_ALERTS_MAX: usize = 500;
/// How many alerts it names.
const NAMED_MAX: usize = 10;
/// Values longer than this are offered by their front.
const VALUE_BYTES_MAX: usize = 1_024;

/// Fields that differ every time.
const VOLATILE: &[&str] = &[
    "ProcessId",
    "ProcessGuid",
    "ParentProcessId",
    "ParentProcessGuid",
    "NewProcessId",
    "LogonId",
    "LogonGuid",
    "SubjectLogonId",
    "TargetLogonId",
    "UtcTime",
    "EventRecordID",
    "SourcePort",
    "IpPort",
    "source.port",
    "process.pid",
    "process.parent.pid",
    "winlog.record_id",
    "message",
    "event.original",
];

/// All the viewer may see, in order of number.
pub(super) fn list(desk: &LiveDesk, viewer: &Viewer) -> Answer<Vec<ExceptionRow>> {
    let limit = desk.limit(viewer);
    let now = desk.now();
    Ok(desk.shared.registry.read(|state| {
        let visible = state.exceptions.values().filter(|one| may_see(&limit, &one.unit));
        visible.map(|one| row(desk, one, now)).collect()
    }))
}

fn row(desk: &LiveDesk, one: &Exception, now: Timestamp) -> ExceptionRow {
    let hidden = desk.shared.exceptions.hidden(one.number);
    let rules = desk.shared.rules();
    ExceptionRow {
        number: one.number,
        rule_id: one.rule_id.clone(),
        rule_title: words::meta_of(&rules, &one.rule_id).map_or_else(
            || Localized::same(one.rule_title.as_str()),
            |meta| words::localized(&meta.title, meta.title_vi.as_deref()),
        ),
        tests: one.tests.iter().map(shown).collect(),
        unit: one.unit.as_deref().map(|code| desk.unit_row(code)),
        because: one.because.clone(),
        until: one.until,
        owner: one.owner.clone(),
        maker: one.maker.clone(),
        opened: one.opened,
        standing: match one.standing(now) {
            Standing::Active => ExceptionStanding::Active,
            Standing::Ending => ExceptionStanding::Ending,
            Standing::Expired => ExceptionStanding::Expired,
            Standing::Ended => ExceptionStanding::Ended,
        },
        hidden: hidden.count,
        hidden_newest: Some(Timestamp(hidden.newest_ns)).filter(|_| hidden.count != 0),
        fault: desk.shared.exceptions.fault(one.number),
    }
}

fn shown(test: &FieldTest) -> ExceptionTest {
    let how = match test.how {
        How::Equals => TestHow::Equals,
        How::StartsWith => TestHow::StartsWith,
        How::EndsWith => TestHow::EndsWith,
        How::Contains => TestHow::Contains,
        How::Cidr => TestHow::Cidr,
    };
    ExceptionTest { field: test.field.clone(), how, value: test.value.clone() }
}

fn asked(test: &ExceptionTest) -> FieldTest {
    let how = match test.how {
        TestHow::Equals => How::Equals,
        TestHow::StartsWith => How::StartsWith,
        TestHow::EndsWith => How::EndsWith,
        TestHow::Contains => How::Contains,
        TestHow::Cidr => How::Cidr,
    };
    FieldTest { field: test.field.trim().to_owned(), how, value: test.value.clone() }
}

/// One with its life.
pub(super) fn view(desk: &LiveDesk, viewer: &Viewer, number: u64) -> Answer<ExceptionView> {
    let limit = desk.limit(viewer);
    let rules = desk.shared.rules();
    let now = desk.now();
    desk.shared.registry.read(|state| {
        let one = state.exceptions.get(&number).filter(|one| may_see(&limit, &one.unit)).ok_or(DeskError::NotFound)?;
        Ok(ExceptionView {
            row: row(desk, one, now),
            sigma: sigma_text(one, &rules),
            from_alert: one.from_alert.clone(),
            known_hidden: one.known_hidden,
            history: one.steps.iter().map(|(at, actor, change)| step(*at, actor, change)).collect(),
        })
    })
}

fn step(at: Timestamp, actor: &str, change: &Change) -> ExceptionStep {
    let (kind, text, until) = match change {
        Change::Open { because, until_ns, .. } => ("open", because, Some(*until_ns)),
        Change::SetEnd { until_ns, because } => ("set_end", because, Some(*until_ns)),
        Change::SetOwner { owner } => ("set_owner", owner, None),
        Change::End { because } => ("end", because, None),
    };
    ExceptionStep { at, actor: actor.to_owned(), kind, text: text.clone(), until: until.map(Timestamp) }
}

/// An alert with the event it is asked by.
struct Known<'a> {
    alert: &'a Arc<Alert>,
    event: &'a Event,
}

impl Known<'_> {
    fn subject(&self) -> Subject<'_> {
        Subject {
            rule_id: &self.alert.rule_id,
            event: self.event,
            group: &self.alert.group,
            units: &self.alert.units,
            at: self.alert.timestamp(),
        }
    }
}

/// How much of the past [`PREVIEW_DAYS`] was looked at.
struct Looked {
    /// Alerts of the rule whose event is still there.
    alerts: u64,
    /// There are more, older ones.
    is_partial: bool,
}

/// Gives the alerts of a rule in the past [`PREVIEW_DAYS`] whose event is still there, known attacks and then the
/// newest first, and `most` of them. Holds the events of [`CHUNK_ALERTS`] at a time.
fn each_known(
    desk: &LiveDesk,
    viewer: &Viewer,
    (rule_id, most): (&str, usize),
    mut take: impl FnMut(&Known),
) -> Answer<Looked> {
    let limit = desk.limit(viewer);
    let since = desk.now().plus_nanos(-i64::from(PREVIEW_DAYS) * 86_400_000_000_000);
    let mut alerts: Vec<Arc<Alert>> = {
        let book = desk.shared.alerts();
        let of_rule = |alert: &&Arc<Alert>| {
            alert.rule_id == rule_id && since <= alert.timestamp() && may_see(&limit, &alert.units)
        };
        book.newest_first().filter(of_rule).take(most.saturating_add(1)).cloned().collect()
    };
    let mut looked = Looked { alerts: 0, is_partial: most < alerts.len() };
    // Known attacks are looked at whatever the time: hiding one has to be seen.
    alerts.sort_by_key(|alert| verdict_of(desk, alert) != Some(Verdict::TruePositive));
    let began = Instant::now();
    for chunk in alerts.get(..most).unwrap_or(&alerts).chunks(CHUNK_ALERTS) {
        if PREVIEW_TIME_MAX < began.elapsed() {
            looked.is_partial = true;
            break;
        }
        let last: Vec<Seq> = chunk.iter().filter_map(|alert| alert.seqs().last()).collect();
        let events = search::by_seqs(desk, viewer, &last)?;
        let events: BTreeMap<Seq, Event> = events.into_iter().map(|stored| (stored.seq, stored.event)).collect();
        for alert in chunk {
            let Some(event) = alert.seqs().last().and_then(|seq| events.get(&seq)) else { continue };
            take(&Known { alert, event });
            looked.alerts += 1;
        }
    }
    Ok(looked)
}

fn newest(desk: &LiveDesk, viewer: &Viewer, seq: Seq) -> Answer<Option<Stored>> {
    Ok(search::by_seqs(desk, viewer, &[seq])?.pop())
}

/// What an exception from this alert could be.
pub(super) fn draft(desk: &LiveDesk, viewer: &Viewer, alert_id: &str) -> Answer<ExceptionDraft> {
    let alert = alerts::visible(desk, viewer, alert_id)?;
    let event = match alert.seqs().last() {
        Some(seq) => newest(desk, viewer, seq)?.map(|stored| stored.event),
        None => None,
    };
    let rules = desk.shared.rules();
    let mut choices: Vec<(Option<Hider>, TestChoice)> = Vec::new();
    for (test, is_proposed) in proposed(&rules, &alert, event.as_ref()) {
        let hider = proposal(&alert.rule_id, std::slice::from_ref(&test), None, &rules).ok();
        choices.push((hider, TestChoice { test: shown(&test), is_proposed, shared: 0 }));
    }
    let looked = each_known(desk, viewer, (&alert.rule_id, SHARED_ALERTS_MAX), |known| {
        for (hider, choice) in &mut choices {
            let hides = hider.as_ref().is_some_and(|hider| hider.hides(&known.subject()).is_some());
            choice.shared += u64::from(hides);
        }
    })?;
    let choices = choices.into_iter().map(|(_, choice)| choice).collect();
    let alert_row = desk.shared.registry.read(|state| alerts::row(desk, state, &alert));
    Ok(ExceptionDraft { alert: alert_row, choices, looked_at: looked.alerts })
}

/// The tests to choose from, each with whether it is part of the narrowest exception.
fn proposed(rules: &RuleSet, alert: &Alert, event: Option<&Event>) -> Vec<(FieldTest, bool)> {
    let mut values: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: &str| {
        if !name.is_empty() && !value.is_empty() && values.iter().all(|(known, _)| known != name) {
            values.push((name.to_owned(), value.to_owned()));
        }
    };
    for (name, value) in &alert.group {
        add(name, value);
    }
    if let Some(event) = event {
        for rule in alerts::rules_behind(rules, &alert.rule_id, 8) {
            for (name, value) in matched_fields(rules, rule, event) {
                if let Some(text) = value.each().find_map(Value::as_text) {
                    add(&name, &text);
                }
            }
        }
    }
    for entity in &alert.entities {
        add(entity.kind.field().name(), &entity.value);
    }
    if let Some(event) = event {
        for field in [Field::HOST_NAME, Field::USER_NAME, Field::PROCESS_EXECUTABLE, Field::SOURCE_IP] {
            if let Some(text) = event.get(field).and_then(Value::as_text) {
                add(field.name(), &text);
            }
        }
    }
    values.truncate(TESTS_MAX);
    let test = |(field, value): (String, String)| {
        let is_whole = value.len() <= VALUE_BYTES_MAX;
        let end = (0..=VALUE_BYTES_MAX.min(value.len())).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
        let how = if is_whole { How::Equals } else { How::StartsWith };
        let is_proposed = !VOLATILE.contains(&field.as_str());
        (FieldTest { field, how, value: value[..end].to_owned() }, is_proposed)
    };
    values.into_iter().map(test).collect()
}

/// What a wanted exception would have hidden.
pub(super) fn preview(desk: &LiveDesk, viewer: &Viewer, new: &NewException) -> Answer<ExceptionPreview> {
    let alert = alerts::visible(desk, viewer, &new.alert_id)?;
    let rules = desk.shared.rules();
    let tests: Vec<FieldTest> = new.tests.iter().map(asked).collect();
    let fresh = ExceptionPreview { days: PREVIEW_DAYS, ..ExceptionPreview::default() };
    let hider = match proposal(&alert.rule_id, &tests, new.unit.clone(), &rules) {
        Ok(hider) => hider,
        Err(fault) => return Ok(ExceptionPreview { fault: Some(fault), ..fresh }),
    };
    let mut by_verdict: BTreeMap<Option<Verdict>, u64> = BTreeMap::new();
    let (mut sample, mut attacks): (Vec<Arc<Alert>>, Vec<Arc<Alert>>) = Default::default();
    let looked = each_known(desk, viewer, (&alert.rule_id, usize::MAX), |known| {
        if hider.hides(&known.subject()).is_none() {
            return;
        }
        let verdict = verdict_of(desk, known.alert);
        *by_verdict.entry(verdict).or_default() += 1;
        let named = if verdict == Some(Verdict::TruePositive) { &mut attacks } else { &mut sample };
        if named.len() < NAMED_MAX {
            named.push(known.alert.clone());
        }
    })?;
    sample.extend(attacks.iter().cloned());
    sample.sort_by_key(|alert| std::cmp::Reverse(alert.at_ns));
    sample.truncate(NAMED_MAX);
    let rows = |alerts: Vec<Arc<Alert>>| {
        desk.shared.registry.read(|state| alerts.iter().map(|alert| alerts::row(desk, state, alert)).collect())
    };
    Ok(ExceptionPreview {
        looked_at: looked.alerts,
        is_partial: looked.is_partial,
        hidden: by_verdict.values().sum(),
        by_verdict: by_verdict.into_iter().collect(),
        sample: rows(sample),
        attacks: rows(attacks),
        samples: samples_hidden(&rules, &alert.rule_id, &tests),
        ..fresh
    })
}

/// What people said of an alert.
fn verdict_of(desk: &LiveDesk, alert: &Alert) -> Option<Verdict> {
    let triage = |state: &RegisterState| state.triage.get(alert.id.as_str())?.disposition;
    desk.shared.registry.read(triage).map(words::verdict)
}

/// The positive samples of a rule that the tests would hide, whatever the unit.
fn samples_hidden(rules: &RuleSet, rule_id: &str, tests: &[FieldTest]) -> Vec<String> {
    let Some(meta) = words::meta_of(rules, rule_id) else { return Vec::new() };
    let Ok(hider) = proposal(rule_id, tests, None, rules) else { return Vec::new() };
    let settings = Settings::default();
    let mut hidden = Vec::new();
    for sample in samples::builtin(Path::new(&meta.file)).into_iter().filter(|sample| sample.is_positive) {
        let events = sample.events(&settings);
        let Some(last) = events.last() else { continue };
        let subject = Subject { rule_id, event: last, group: &[], units: &[], at: last.timestamp };
        if hider.hides(&subject).is_some() {
            hidden.push(sample.why);
        }
    }
    hidden.truncate(NAMED_MAX);
    hidden
}

/// Makes an exception.
pub(super) fn open(desk: &LiveDesk, viewer: &Viewer, new: &NewException) -> Answer<u64> {
    let alert = alerts::visible(desk, viewer, &new.alert_id)?;
    let limit = desk.limit(viewer);
    if limit.is_some() && !may_see(&limit, &new.unit) {
        return Err(DeskError::Forbidden);
    }
    let preview = preview(desk, viewer, new)?;
    if preview.fault.is_some() || new.tests.is_empty() {
        return Err(DeskError::Refused(Refusal::BadTest));
    }
    if preview.is_unsafe() && !new.accepts_known {
        return Err(DeskError::Refused(Refusal::HidesKnown));
    }
    let owner = if new.owner.is_empty() { viewer.user.clone() } else { new.owner.clone() };
    let number = desk.record(viewer, |state| {
        if !state.accounts.contains_key(&owner.to_lowercase()) && owner != viewer.user {
            return Err(DeskError::Refused(Refusal::UnknownUser));
        }
        let number = state.next_exception();
        let change = Change::Open {
            rule_id: alert.rule_id.clone(),
            rule_title: alert.title.clone(),
            tests: new.tests.iter().map(asked).collect(),
            unit: new.unit.clone(),
            because: new.because.clone(),
            until_ns: new.until_ns,
            owner: owner.clone(),
            from_alert: Some(alert.id.to_string()),
            known_hidden: (preview.attacks.len() + preview.samples.len()) as u64,
        };
        // Asked here for the page's own word; the fold would refuse it as well.
        let change = checked(change, desk.now())?;
        Ok((vec![AnyChange::Exception(number, change)], number))
    })?;
    renew(desk);
    Ok(number)
}

fn checked(change: Change, now: Timestamp) -> Answer<Change> {
    let (until_ns, life_ns) = match &change {
        Change::Open { until_ns, .. } | Change::SetEnd { until_ns, .. } => {
            (*until_ns, exception::LIFE_DAYS_MAX * 86_400_000_000_000)
        }
        Change::SetOwner { .. } | Change::End { .. } => return Ok(change),
    };
    if until_ns <= now.0 || life_ns < until_ns.saturating_sub(now.0) {
        return Err(DeskError::Refused(Refusal::BadEnd));
    }
    Ok(change)
}

/// Changes an exception.
pub(super) fn change(desk: &LiveDesk, viewer: &Viewer, number: u64, wanted: &ExceptionChange) -> Answer<()> {
    let limit = desk.limit(viewer);
    let change = match wanted {
        ExceptionChange::SetEnd { until_ns, because } => {
            Change::SetEnd { until_ns: *until_ns, because: because.clone() }
        }
        ExceptionChange::SetOwner { owner } => Change::SetOwner { owner: owner.clone() },
        ExceptionChange::End { because } => Change::End { because: because.clone() },
    };
    let change = checked(change, desk.now())?;
    desk.record(viewer, |state| {
        state.exceptions.get(&number).filter(|one| may_see(&limit, &one.unit)).ok_or(DeskError::NotFound)?;
        if let Change::SetOwner { owner } = &change
            && !state.accounts.contains_key(&owner.to_lowercase())
        {
            return Err(DeskError::Refused(Refusal::UnknownUser));
        }
        Ok((vec![AnyChange::Exception(number, change.clone())], ()))
    })?;
    renew(desk);
    Ok(())
}

fn renew(desk: &LiveDesk) {
    desk.shared.renew_exceptions();
}

/// Hosts, accounts and addresses by risk.
pub(super) fn risks(desk: &LiveDesk, viewer: &Viewer, count: usize) -> Answer<Vec<RiskRow>> {
    let limit = desk.limit(viewer);
    let book = desk.shared.alerts();
    let now = desk.now();
    let (named_by, units) = (desk.shared.importance.get(), desk.unit_tree());
    let importance = |entity: &nhatle_engine::alert::Entity, alert: &Alert| {
        let named = named_by.get(&entity.value).copied();
        let of_units = alert.units.iter().filter_map(|unit| units.get(unit)).map(|unit| unit.system_level).max();
        let of_asset = || match entity.kind {
            EntityKind::Host | EntityKind::Ip => desk.importance_of(&entity.value),
            EntityKind::User => None,
        };
        named.or_else(of_asset).or(of_units).filter(|level| (1..=5).contains(level))
    };
    let found = desk.shared.registry.read(|state| {
        let visible = book.newest_first().filter(|alert| may_see(&limit, &alert.units));
        let rows =
            visible.map(|alert| (&**alert, state.triage.get(alert.id.as_str()).and_then(|triage| triage.disposition)));
        risk::risks(rows, importance, now)
    });
    let part = |part: &risk::RiskPart| RiskPartRow {
        rule_id: part.rule_id.clone(),
        title: words::localized(&part.title, part.title_vi.as_deref()),
        level: words::level(part.level),
        weight: part.weight,
        count: part.count,
        repetition: part.repetition,
        freshness: part.freshness,
        newest: part.newest,
        points: part.points,
    };
    let row = |risk: &risk::EntityRisk| RiskRow {
        entity: words::entity(&risk.entity),
        unit: risk.unit.as_deref().map(|unit| desk.unit_row(unit)),
        score: risk.score,
        importance: risk.importance,
        importance_factor: risk.importance_factor,
        parts: risk.parts.iter().map(part).collect(),
    };
    Ok(found.iter().take(count).map(row).collect())
}
