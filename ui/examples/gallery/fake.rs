//! `FakeDesk`: a desk over rows in memory, for tests and for looking at pages without a store.
//!
//! In: two wards' sample data, each ward's texts ending in its mark. Out: what the real desk would answer.
//! Promise: as asked of every desk, nothing of another unit. Failure: as [`DeskError`] says.

use std::cmp::Reverse;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use nhatle_event::{Stored, Timestamp};
use nhatle_ui::model::{
    AlertChange, AlertDetail, AlertGroup, AlertPage, AlertQuery, AlertRow, AlertSort, AlertStatus, Around, Bucket,
    Correlation, Coverage, CoverageQuery, EnrollmentRow, Entry, ExceptionChange, ExceptionDraft, ExceptionPreview,
    ExceptionRow, ExceptionStanding, ExceptionTest, ExceptionView, FitMatrix, ForwarderRow, IncidentChange,
    IncidentPage, IncidentQuery, IncidentStatus, IncidentView, IssuedCode, Level, LiveCounters, MatrixQuery,
    NewEnrollment, NewException, NewHunt, NewIncident, NewOutage, OutageRow, Overview, Reach, RefusedRow, RiskRow,
    RuleChange, RuleFit, RuleLoad, RulePreview, RuleRow, RuleView, SearchPage, SearchPart, SearchQuery, SourceFit,
    SourceRow, SourceView, TestChoice, TestHow, UnitRow, UserRow, Verdict,
};
use nhatle_ui::{
    Account, Answer, Desk, DeskError, KeepingDesk, Language, Localized, ReferenceDesk, Refusal, Role, SignIn, Viewer,
};
use tokio::sync::watch;

#[path = "change.rs"]
mod change;
#[path = "enrollment.rs"]
mod enrollment;
#[path = "preview.rs"]
mod preview;
#[path = "reference.rs"]
mod reference;
#[path = "sample.rs"]
mod sample;
#[path = "search.rs"]
pub mod search;

use change::{change_row, change_rule, change_view};
use enrollment::sees;
use preview::{sample_hunt, sample_preview};
use sample::{
    MINUTE, SAMPLES, entity, rule, rule_load, sample_alert, sample_coverage, sample_event, sample_exception,
    sample_incident, sample_matrix, sample_risk, sample_rule_fit, sample_source_fit, unit,
};
pub use sample::{NOW, UNITS};

#[derive(Default)]
struct Rows {
    accounts: Vec<Account>,
    tokens: Vec<([u8; 32], String)>,
    setup: Option<[u8; 32]>,
    alerts: Vec<(AlertRow, Vec<Entry>)>,
    incidents: Vec<(Option<String>, IncidentView)>,
    signs: Vec<(String, SignIn)>,
    exceptions: Vec<ExceptionView>,
    /// Rules somebody decided about.
    rules: Vec<RuleView>,
}

/// A desk over rows in memory.
pub struct FakeDesk {
    rows: Mutex<Rows>,
    events: Vec<(String, Stored)>,
    marks: [String; 2],
    ticks: watch::Sender<u64>,
}

impl FakeDesk {
    /// A desk whose two wards' texts end in these marks.
    pub fn new(marks: [&str; 2]) -> FakeDesk {
        let mut events = Vec::new();
        let mut alerts = Vec::new();
        for (at, mark) in marks.iter().enumerate() {
            for index in 0..30u32 {
                events.push((UNITS[at].to_owned(), sample_event(at, index, mark)));
            }
            for index in 0..SAMPLES.len() {
                alerts.push((sample_alert(at, index, mark), Vec::new()));
            }
        }
        let incident = |(at, mark): (usize, &&str)| (Some(UNITS[at].to_owned()), sample_incident(at, mark, &alerts));
        let incidents = marks.iter().enumerate().map(incident).collect();
        FakeDesk {
            rows: Mutex::new(Rows { alerts, incidents, ..Rows::default() }),
            events,
            marks: marks.map(str::to_owned),
            ticks: watch::Sender::new(0),
        }
    }

    /// Adds an account.
    pub fn with_account(self, user: &str, name: &str, role: Role, unit: Option<&str>, hash: &str) -> FakeDesk {
        self.rows().accounts.push(enrollment::account(user, name, role, unit, hash));
        self
    }

    /// Gives an account a token.
    pub fn with_token(self, user: &str, token: &str) -> FakeDesk {
        self.rows().tokens.push((nhatle_ui::session::token_sha256(token), user.to_owned()));
        self
    }

    /// Opens a first-start link.
    pub fn with_setup(self, token: &str) -> FakeDesk {
        self.rows().setup = Some(nhatle_ui::session::token_sha256(token));
        self
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.rows.lock().expect("no code panics while it holds this lock")
    }

    fn changed(&self) {
        self.ticks.send_modify(|tick| *tick += 1);
    }

    fn seen_alerts(&self, viewer: &Viewer) -> Vec<(AlertRow, Vec<Entry>)> {
        let rows = self.rows();
        let may_see = |row: &AlertRow| viewer.may_see(row.unit.as_ref().map(|unit| unit.code.as_str()));
        rows.alerts.iter().filter(|(row, _)| may_see(row)).cloned().collect()
    }

    fn seen_events<'a>(&'a self, viewer: &'a Viewer) -> impl Iterator<Item = &'a Stored> {
        self.events.iter().filter(|(unit, _)| viewer.may_see(Some(unit))).map(|(_, stored)| stored)
    }
}

impl Desk for FakeDesk {
    fn reference(&self) -> &dyn ReferenceDesk {
        self
    }

    fn keeping(&self) -> &dyn KeepingDesk {
        self
    }

    fn account(&self, user: &str) -> Answer<Option<Account>> {
        Ok(self.rows().accounts.iter().find(|account| account.user == user).cloned())
    }

    fn token_account(&self, token_sha256: &[u8; 32]) -> Answer<Option<Account>> {
        let user = self.rows().tokens.iter().find(|(hash, _)| hash == token_sha256).map(|(_, user)| user.clone());
        user.map_or(Ok(None), |user| self.account(&user))
    }

    fn setup_is_open(&self, token_sha256: &[u8; 32]) -> Answer<bool> {
        Ok(self.rows().setup.as_ref() == Some(token_sha256))
    }

    fn finish_setup(&self, token_sha256: &[u8; 32], user: &str, password_hash: &str) -> Answer<Account> {
        let mut rows = self.rows();
        if rows.setup.take().as_ref() != Some(token_sha256) {
            return Err(DeskError::NotFound);
        }
        let account = Account {
            user: user.to_owned(),
            name: user.to_owned(),
            role: Role::Admin,
            unit: None,
            language: None,
            password_hash: Some(password_hash.to_owned()),
            is_disabled: false,
        };
        rows.accounts.push(account.clone());
        Ok(account)
    }

    fn record_sign_in(&self, user: &str, _address: &str, outcome: SignIn) -> Answer<()> {
        self.rows().signs.push((user.to_owned(), outcome));
        Ok(())
    }

    fn set_password(&self, viewer: &Viewer, password_hash: &str) -> Answer<()> {
        for account in self.rows().accounts.iter_mut().filter(|account| account.user == viewer.user) {
            account.password_hash = Some(password_hash.to_owned());
        }
        Ok(())
    }

    fn set_language(&self, viewer: &Viewer, language: Language) -> Answer<()> {
        for account in self.rows().accounts.iter_mut().filter(|account| account.user == viewer.user) {
            account.language = Some(language);
        }
        Ok(())
    }

    fn overview(&self, viewer: &Viewer) -> Answer<Overview> {
        let alerts = self.seen_alerts(viewer);
        let mut overview = Overview { sources: 2, sources_silent: 1, units_reporting: (2, 2), ..Overview::default() };
        for (row, _) in alerts.iter().filter(|(row, _)| row.status != AlertStatus::Closed) {
            let at = Level::ALL.iter().position(|level| *level == row.level).unwrap_or(0);
            overview.alerts_open[at] += 1;
            overview.alerts_unowned += u64::from(row.owner.is_none());
        }
        let incidents = self.incidents(viewer, &IncidentQuery::default())?;
        for row in &incidents.rows {
            overview.incidents[row.status as usize] += 1;
            overview.incidents_by_layer[row.layer as usize] += u64::from(row.status != IncidentStatus::Closed);
        }
        overview.events_day = 1_284_551;
        overview.dead_letters_day = 12;
        overview.last_event_at = Some(NOW.plus_nanos(-3_000_000_000));
        overview.hours = (0..24u32)
            .map(|hour| {
                let start = NOW.plus_nanos(-i64::from(24 - hour) * 60 * MINUTE);
                let count = u64::from(300 + (hour * hour * 37) % 900);
                Bucket { start, end: start.plus_nanos(60 * MINUTE), count }
            })
            .collect();
        Ok(overview)
    }

    fn live(&self, viewer: &Viewer) -> Answer<LiveCounters> {
        let alerts = self.seen_alerts(viewer);
        let count = |wanted: &dyn Fn(&AlertRow) -> bool| {
            u64::try_from(alerts.iter().filter(|(row, _)| wanted(row)).count()).unwrap_or(0)
        };
        Ok(LiveCounters {
            alerts_total: count(&|_| true),
            alerts_open: count(&|row| row.status != AlertStatus::Closed),
            alerts_urgent: count(&|row| row.status != AlertStatus::Closed && Level::High <= row.level),
            incidents_open: self.incidents(viewer, &IncidentQuery::default())?.total,
            sources_silent: 1,
            intake: "normal".to_owned(),
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    fn alerts(&self, viewer: &Viewer, query: &AlertQuery) -> Answer<AlertPage> {
        let language = |row: &AlertRow| format!("{} {}", row.sentence.vi, row.sentence.en).to_lowercase();
        let mut rows: Vec<_> = self.seen_alerts(viewer).into_iter().map(|(row, _)| row).collect();
        rows.retain(|row| {
            (query.statuses.is_empty() || query.statuses.contains(&row.status))
                && (query.levels.is_empty() || query.levels.contains(&row.level))
                && query.unit.as_ref().is_none_or(|code| row.unit.as_ref().map(|unit| &unit.code) == Some(code))
                && query.rule.as_ref().is_none_or(|rule| row.rule_id == *rule)
                && query.owner.as_ref().is_none_or(|owner| row.owner.as_deref().unwrap_or("") == owner)
                && query.text.as_ref().is_none_or(|text| language(row).contains(&text.to_lowercase()))
        });
        match query.sort {
            AlertSort::Urgency => rows.sort_by_key(|row| Reverse((row.level, row.last_at))),
            AlertSort::Newest => rows.sort_by_key(|row| Reverse(row.last_at)),
            AlertSort::Oldest => rows.sort_by_key(|row| row.last_at),
            AlertSort::Count => rows.sort_by_key(|row| Reverse(row.count)),
        }
        let mut groups: Vec<AlertGroup> = Vec::new();
        for row in &rows {
            match groups.iter_mut().find(|group| group.rule_id == row.rule_id) {
                Some(group) => group.count += 1,
                None => groups.push(AlertGroup {
                    rule_id: row.rule_id.clone(),
                    title: row.title.clone(),
                    level: row.level,
                    count: 1,
                }),
            }
        }
        let total = u64::try_from(rows.len()).unwrap_or(0);
        rows.truncate(query.limit);
        Ok(AlertPage { rows, total, groups, next: None })
    }

    fn alert(&self, viewer: &Viewer, id: &str) -> Answer<AlertDetail> {
        let found = self.seen_alerts(viewer).into_iter().find(|(row, _)| row.id == id);
        let (row, history) = found.ok_or(DeskError::NotFound)?;
        let code = row.unit.as_ref().map_or("", |unit| unit.code.as_str());
        let events: Vec<_> =
            self.events.iter().filter(|(unit, _)| unit == code).take(3).map(|(_, stored)| stored.clone()).collect();
        let event_id = events.first().map(|stored| stored.id().to_string()).unwrap_or_default();
        let evidence = sample::sample_evidence(&event_id);
        let correlation = Some(Correlation {
            kind: "event_count".to_owned(),
            group: vec![entity("source.ip", "203.0.113.77")],
            count: row.count,
            start: row.first_at,
            end: row.last_at,
        });
        Ok(AlertDetail {
            rule: rule(&row.rule_id),
            evidence,
            correlation,
            events,
            event_count: row.count.max(3),
            history,
            assets: self.assets_of(viewer, std::slice::from_ref(&row.id))?,
            row,
        })
    }

    fn change_alert(&self, viewer: &Viewer, id: &str, change: &AlertChange) -> Answer<()> {
        self.alert(viewer, id)?;
        {
            let mut rows = self.rows();
            let (row, history) = rows.alerts.iter_mut().find(|(row, _)| row.id == id).ok_or(DeskError::NotFound)?;
            let said = change_row(row, &viewer.user, change).map_err(DeskError::Refused)?;
            history.push(said);
        }
        self.changed();
        Ok(())
    }

    fn incidents(&self, viewer: &Viewer, query: &IncidentQuery) -> Answer<IncidentPage> {
        let mut rows: Vec<_> = (self.rows().incidents.iter())
            .filter(|(unit, _)| viewer.may_see(unit.as_deref()))
            .map(|(_, view)| view.row.clone())
            .collect();
        rows.retain(|row| {
            (query.statuses.is_empty() || query.statuses.contains(&row.status))
                && (query.levels.is_empty() || query.levels.contains(&row.level))
                && query.layer.is_none_or(|layer| row.layer == layer)
        });
        let total = u64::try_from(rows.len()).unwrap_or(0);
        Ok(IncidentPage { rows, total, next: None })
    }

    fn incident(&self, viewer: &Viewer, number: u64) -> Answer<IncidentView> {
        let rows = self.rows();
        let found =
            rows.incidents.iter().find(|(unit, view)| view.row.number == number && viewer.may_see(unit.as_deref()));
        found.map(|(_, view)| view.clone()).ok_or(DeskError::NotFound)
    }

    fn open_incident(&self, viewer: &Viewer, new: &NewIncident) -> Answer<u64> {
        let seen = self.seen_alerts(viewer);
        let mine: Vec<_> = seen.into_iter().map(|(row, _)| row).filter(|row| new.alerts.contains(&row.id)).collect();
        if mine.len() != new.alerts.len() {
            return Err(DeskError::Refused(Refusal::UnknownAlert));
        }
        let mut rows = self.rows();
        let number = u64::try_from(rows.incidents.len()).unwrap_or(0) + 1;
        let mut view = sample_incident(0, "", &[]);
        view.row.number = number;
        view.row.title = Localized::same(new.title.as_str());
        view.row.units = mine.iter().filter_map(|row| row.unit.clone()).collect();
        view.alerts = mine;
        view.timeline.truncate(2);
        for (row, _) in rows.alerts.iter_mut().filter(|(row, _)| new.alerts.contains(&row.id)) {
            row.incident = Some(number);
        }
        rows.incidents.push((viewer.unit.clone(), view));
        Ok(number)
    }

    fn change_incident(
        &self,
        viewer: &Viewer,
        number: u64,
        version: Option<u64>,
        change: &IncidentChange,
    ) -> Answer<u64> {
        let seen = self.incident(viewer, number)?;
        if version.is_some_and(|version| version != seen.version) {
            return Err(DeskError::Refused(Refusal::Stale));
        }
        let mut rows = self.rows();
        let found = rows.incidents.iter_mut().find(|(_, view)| view.row.number == number);
        let (_, view) = found.ok_or(DeskError::NotFound)?;
        change_view(view, &viewer.user, change).map_err(DeskError::Refused)?;
        Ok(view.version)
    }

    fn exceptions(&self, viewer: &Viewer) -> Answer<Vec<ExceptionRow>> {
        Ok(self.rows().exceptions.iter().map(|view| view.row.clone()).filter(|row| sees(viewer, row)).collect())
    }

    fn exception(&self, viewer: &Viewer, number: u64) -> Answer<ExceptionView> {
        let rows = self.rows();
        let found = rows.exceptions.iter().find(|view| view.row.number == number && sees(viewer, &view.row));
        found.cloned().ok_or(DeskError::NotFound)
    }

    fn exception_draft(&self, viewer: &Viewer, alert_id: &str) -> Answer<ExceptionDraft> {
        let alert = self.alert(viewer, alert_id)?.row;
        let test = |entity: &nhatle_ui::model::Entity| ExceptionTest {
            field: entity.field.clone(),
            how: TestHow::Equals,
            value: entity.value.clone(),
        };
        let choices = alert.entities.iter().map(test).map(|test| TestChoice { test, is_proposed: true, shared: 1 });
        Ok(ExceptionDraft { choices: choices.collect(), looked_at: 1, alert })
    }

    fn preview_exception(&self, viewer: &Viewer, new: &NewException) -> Answer<ExceptionPreview> {
        let row = self.alert(viewer, &new.alert_id)?.row;
        let is_attack = row.verdict == Some(Verdict::TruePositive);
        Ok(ExceptionPreview {
            days: 30,
            looked_at: 1,
            hidden: 1,
            by_verdict: vec![(row.verdict, 1)],
            attacks: is_attack.then(|| row.clone()).into_iter().collect(),
            sample: vec![row],
            ..ExceptionPreview::default()
        })
    }

    fn open_exception(&self, viewer: &Viewer, new: &NewException) -> Answer<u64> {
        let preview = self.preview_exception(viewer, new)?;
        if new.tests.is_empty() {
            return Err(DeskError::Refused(Refusal::BadTest));
        }
        if preview.is_unsafe() && !new.accepts_known {
            return Err(DeskError::Refused(Refusal::HidesKnown));
        }
        let alert = self.alert(viewer, &new.alert_id)?.row;
        let mut rows = self.rows();
        let number = u64::try_from(rows.exceptions.len()).unwrap_or(0) + 1;
        rows.exceptions.push(sample_exception(number, &alert, new, &viewer.user));
        drop(rows);
        self.changed();
        Ok(number)
    }

    fn change_exception(&self, viewer: &Viewer, number: u64, change: &ExceptionChange) -> Answer<()> {
        self.exception(viewer, number)?;
        let mut rows = self.rows();
        let view = rows.exceptions.iter_mut().find(|view| view.row.number == number).ok_or(DeskError::NotFound)?;
        match change {
            ExceptionChange::SetEnd { until_ns, .. } => view.row.until = Timestamp(*until_ns),
            ExceptionChange::SetOwner { owner } => view.row.owner.clone_from(owner),
            ExceptionChange::End { .. } => view.row.standing = ExceptionStanding::Ended,
        }
        Ok(())
    }

    fn risks(&self, viewer: &Viewer, limit: usize) -> Answer<Vec<RiskRow>> {
        let row = |(row, _): &(AlertRow, Vec<Entry>)| Some(sample_risk(row, row.entities.first()?));
        Ok(self.seen_alerts(viewer).iter().filter_map(row).take(limit).collect())
    }

    fn search(&self, viewer: &Viewer, query: &SearchQuery) -> Answer<SearchPage> {
        search::page(self.seen_events(viewer).cloned().collect(), query)
    }

    fn search_parts(
        &self,
        viewer: &Viewer,
        query: &SearchQuery,
        stop: &Arc<AtomicBool>,
        tell: &mut dyn FnMut(SearchPart),
    ) -> Answer<SearchPage> {
        search::parts(self.search(viewer, query)?, query, stop, tell)
    }

    fn event(&self, viewer: &Viewer, id: &str) -> Answer<Stored> {
        let found = self.seen_events(viewer).find(|stored| stored.id().to_string() == id);
        found.cloned().ok_or(DeskError::NotFound)
    }

    fn around(&self, viewer: &Viewer, id: &str, around: &Around) -> Answer<Vec<Stored>> {
        let here = self.event(viewer, id)?.event.timestamp;
        let span = i64::from(around.span_s) * 1_000_000_000;
        let mut found: Vec<_> = self
            .seen_events(viewer)
            .filter(|stored| stored.event.timestamp.since(here).abs() <= span)
            .take(around.limit)
            .cloned()
            .collect();
        found.sort_by_key(|stored| stored.event.timestamp);
        Ok(found)
    }

    fn sources(&self, viewer: &Viewer) -> Answer<Vec<SourceRow>> {
        let rows = (0..2).filter(|at| viewer.may_see(Some(UNITS[*at])));
        Ok(rows.map(|at| sample::sample_source(&self.marks[at], unit(at), at)).collect())
    }

    fn forwarders(&self, viewer: &Viewer) -> Answer<Vec<ForwarderRow>> {
        Ok(if viewer.may_see(None) { vec![sample::sample_forwarder()] } else { Vec::new() })
    }

    fn enrollments(&self, viewer: &Viewer) -> Answer<Vec<EnrollmentRow>> {
        Ok(enrollment::rows(viewer, &self.marks))
    }

    fn issue_enrollment(&self, viewer: &Viewer, new: &NewEnrollment) -> Answer<IssuedCode> {
        enrollment::issue(viewer, new)
    }

    fn revoke_enrollment(&self, viewer: &Viewer, number: u64, _because: &str) -> Answer<EnrollmentRow> {
        enrollment::revoke(self.enrollments(viewer)?, number)
    }

    fn refused_senders(&self, viewer: &Viewer) -> Answer<Vec<RefusedRow>> {
        Ok(enrollment::refused(viewer))
    }

    fn reach(&self, _viewer: &Viewer) -> Answer<Reach> {
        Ok(enrollment::reach())
    }

    fn source_hours(&self, viewer: &Viewer, name: &str, span: (Timestamp, Timestamp)) -> Answer<SourceView> {
        let source = self.sources(viewer)?.into_iter().find(|row| row.name == name).ok_or(DeskError::NotFound)?;
        Ok(SourceView {
            hours: sample::sample_hours(span, NOW),
            outages: sample::sample_outages(&source),
            source,
            rhythm: None,
        })
    }

    fn outages(&self, viewer: &Viewer) -> Answer<Vec<OutageRow>> {
        Ok(self.sources(viewer)?.iter().flat_map(sample::sample_outages).collect())
    }

    fn plan_outage(&self, viewer: &Viewer, new: &NewOutage) -> Answer<u64> {
        sample::plan(&self.sources(viewer)?, new)
    }

    fn end_outage(&self, viewer: &Viewer, number: u64) -> Answer<()> {
        sample::end(&self.outages(viewer)?, number)
    }

    fn units(&self, viewer: &Viewer) -> Answer<Vec<UnitRow>> {
        Ok((0..2).filter(|at| viewer.may_see(Some(UNITS[*at]))).map(unit).collect())
    }

    fn people(&self, viewer: &Viewer) -> Answer<Vec<UserRow>> {
        let may_see = |account: &&Account| account.unit.is_none() || viewer.may_see(account.unit.as_deref());
        Ok(self.rows().accounts.iter().filter(may_see).map(enrollment::user_row).collect())
    }

    fn rules(&self, viewer: &Viewer) -> Answer<Vec<RuleRow>> {
        SAMPLES.iter().map(|sample| self.rule(viewer, sample.1).map(|view| view.row)).collect()
    }

    fn rule(&self, viewer: &Viewer, id: &str) -> Answer<RuleView> {
        let decided = self.rows().rules.iter().find(|view| view.row.id == id).cloned();
        let mut view = decided.or_else(|| rule(id)).ok_or(DeskError::NotFound)?;
        let mine = self.seen_alerts(viewer).iter().filter(|(row, _)| row.rule_id == id).count();
        view.row.alert_count = u64::try_from(mine).unwrap_or(0);
        Ok(view)
    }

    fn rule_preview(&self, viewer: &Viewer, id: &str) -> Answer<RulePreview> {
        let rule = self.rule(viewer, id)?;
        let events: Vec<&Stored> = self.seen_events(viewer).collect();
        Ok(sample_preview(&rule.row, &events, viewer.unit.is_none()))
    }

    fn start_rule_preview(&self, viewer: &Viewer, id: &str) -> Answer<()> {
        self.rule(viewer, id).map(drop)
    }

    fn start_hunt(&self, viewer: &Viewer, rule_id: &str, new: &NewHunt) -> Answer<u64> {
        self.rule(viewer, rule_id)?;
        sample_hunt(new)
    }

    fn cancel_hunt(&self, _viewer: &Viewer, number: u64) -> Answer<()> {
        if number == 4 { Ok(()) } else { Err(DeskError::NotFound) }
    }

    fn rule_load(&self, _viewer: &Viewer) -> Answer<RuleLoad> {
        Ok(rule_load())
    }

    fn change_rule(&self, viewer: &Viewer, id: &str, change: &RuleChange) -> Answer<()> {
        let mut view = self.rule(viewer, id)?;
        change_rule(&mut view, &viewer.user, change).map_err(DeskError::Refused)?;
        self.rows().rules.retain(|known| known.row.id != id);
        self.rows().rules.push(view);
        Ok(())
    }

    fn reload_rules(&self, viewer: &Viewer) -> Answer<RuleLoad> {
        self.rule_load(viewer)
    }

    fn rule_fit(&self, viewer: &Viewer, _id: &str) -> Answer<RuleFit> {
        Ok(sample_rule_fit(&self.sources(viewer)?))
    }

    fn source_fit(&self, viewer: &Viewer, source: &str) -> Answer<SourceFit> {
        sample_source_fit(&self.sources(viewer)?, &self.rules(viewer)?, source).ok_or(DeskError::NotFound)
    }

    fn fit_matrix(&self, viewer: &Viewer, query: &MatrixQuery) -> Answer<FitMatrix> {
        Ok(sample_matrix(&self.sources(viewer)?, &self.rules(viewer)?, query))
    }

    fn coverage(&self, viewer: &Viewer, _query: &CoverageQuery) -> Answer<Coverage> {
        Ok(sample_coverage(&self.rules(viewer)?))
    }

    fn coverage_layer(&self, _viewer: &Viewer, _query: &CoverageQuery) -> Answer<serde_json::Value> {
        Ok(serde_json::json!({"versions": {"layer": "4.5"}, "techniques": []}))
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn metrics(&self) -> String {
        "# TYPE nhatle_events_received_total counter\nnhatle_events_received_total 428006\n".to_owned()
    }
}
