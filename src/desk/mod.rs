//! `ui::Desk` over storage, register and rules: what pages may read and do, for whom.
//!
//! Every answer is limited to what the viewer may see, here and not in the pages: a viewer with a unit sees
//! an event, alert, incident or source only when all its units are that unit or stand below it. What may not
//! be seen is "not found". All calls block and come from blocking threads.

mod alerts;
mod alive;
mod commands;
pub mod enrollments;
mod exceptions;
mod fit;
mod forwarders;
mod incidents;
mod inputs;
mod preview;
mod proof;
mod reference;
mod retention;
mod erasure;
mod erasure_look;
mod rules;
mod search;
mod sources;
mod sql;
mod words;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nhatle_engine::account::{AccountChange, Role as EngineRole, SetupChange};
use nhatle_engine::incident::Refused;
use nhatle_engine::register::{AnyChange, RegisterState, SignInRecord};
use nhatle_event::json::hex;
use nhatle_event::{Stored, Timestamp};
use nhatle_storage::sql::Sql;
use nhatle_ui::model::{
    AlertChange, AlertDetail, AlertPage, AlertQuery, Around, ConfigReload, Coverage, CoverageQuery, EnrollmentRow,
    ExceptionChange, ExceptionDraft, ExceptionPreview, ExceptionRow, ExceptionView, FitMatrix, ForwarderRow,
    IncidentChange, IncidentPage, IncidentQuery, IncidentView, InputRow, IssuedCode, LiveCounters, MatrixQuery,
    NewEnrollment, NewException, NewHunt, NewIncident, NewOutage, OutageRow, Overview, Reach, RefusedRow, RiskRow,
    RuleChange, RuleFit, RuleLoad, RulePreview, RuleRow, RuleView, SearchPage, SearchPart, SearchQuery, SourceFit,
    SourceRow, SourceState, SourceView, SqlQuery, TailPage, UnitRow, UserRow,
};
use nhatle_ui::{Account, Answer, Desk, DeskError, Language, Localized, Refusal, Role, SignIn, Viewer};
use tokio::sync::watch;

use crate::hunt::guest::Guests;
use crate::overload::state::State;
use crate::pipeline::Shared;
use crate::registry::RecordError;
use crate::units::Units;

/// The desk of a running server.
pub struct LiveDesk {
    shared: Arc<Shared>,
    guests: Arc<Guests>,
    fits: fit::Kept,
    gate: Option<enrollments::Gate>,
    searches: search::Searches,
    checks: proof::Checks,
    erasing: erasure::Running,
    sql: Option<Arc<Sql>>,
}

impl Drop for LiveDesk {
    fn drop(&mut self) {
        self.guests.stop();
    }
}

/// What a viewer may see: `None` = everything, else these units.
type Limit = Option<Vec<String>>;

impl LiveDesk {
    /// A desk over what a server shares; days begin at midnight of the zone.
    pub fn new(shared: Arc<Shared>, zone_offset_s: i32) -> LiveDesk {
        let guests = Guests::new(shared.clone(), zone_offset_s);
        let (fits, searches, checks, erasing) = Default::default();
        LiveDesk { shared, guests, fits, gate: None, searches, checks, erasing, sql: None }
    }

    /// The same, for a server that listens.
    #[must_use]
    pub fn behind(self, gate: enrollments::Gate) -> LiveDesk {
        let mut desk = self;
        desk.gate = Some(gate);
        desk
    }

    /// The same, which takes queries in SQL.
    #[must_use]
    pub fn asking(self, sql: Arc<Sql>) -> LiveDesk {
        let mut desk = self;
        desk.sql = Some(sql);
        desk
    }

    /// Goes on with what was interrupted when the server ended.
    ///
    /// # Errors
    /// What is kept of it cannot be read.
    pub fn take_up(&self) -> anyhow::Result<()> {
        erasure::take_up(self)
    }

    fn unit_tree(&self) -> Arc<Units> {
        self.shared.units.get()
    }

    fn limit(&self, viewer: &Viewer) -> Limit {
        match (&viewer.unit, viewer.role) {
            (Some(unit), _) => Some(self.unit_tree().within(unit)),
            (None, Role::Ward) => Some(Vec::new()),
            (None, _) => None,
        }
    }

    fn unit_row(&self, code: &str) -> UnitRow {
        let name = match self.unit_tree().get(code) {
            Some(unit) if unit.name_en.is_empty() => Localized::same(unit.name.as_str()),
            Some(unit) => Localized::new(unit.name.as_str(), unit.name_en.as_str()),
            None => Localized::same(code),
        };
        UnitRow { code: code.to_owned(), name }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Makes the changes that `plan` gives, in the viewer's name.
    fn record<T>(&self, viewer: &Viewer, plan: impl FnMut(&RegisterState) -> Answer<(Vec<AnyChange>, T)>) -> Answer<T> {
        let mut plan = plan;
        let result: Result<T, Failure> =
            self.shared.registry.record(&viewer.user, self.now(), |state| Ok(plan(state)?));
        self.shared.tick();
        result.map_err(|failure| failure.0)
    }
}

/// A desk error that a register error turns into.
struct Failure(DeskError);

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Failure {
        Failure(error)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Failure {
        Failure(match error {
            RecordError::Refused(refused) => DeskError::Refused(refusal(&refused)),
            RecordError::Register(error) => DeskError::Failed(Box::new(error)),
        })
    }
}

fn refusal(refused: &Refused) -> Refusal {
    match refused {
        Refused::Exists | Refused::Unknown => Refusal::WrongState,
        Refused::Closed => Refusal::AlreadyClosed,
        Refused::NotClosed => Refusal::NotClosed,
        Refused::SameLayer(_) => Refusal::SameLayer,
        Refused::Empty("verdict") => Refusal::VerdictMissing,
        Refused::Empty("title") | Refused::TooLong { .. } => Refusal::TextLength,
        Refused::Empty(_) => Refusal::NoteMissing,
        Refused::UnknownWord { what: "span" | "end", .. } => Refusal::BadEnd,
        Refused::UnknownWord { .. } => Refusal::WrongState,
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> DeskError {
    DeskError::Failed(Box::new(error))
}

/// Whether all of `units` are within the limit. Something of no unit is the city's.
fn may_see<'a>(limit: &Limit, units: impl IntoIterator<Item = &'a String>) -> bool {
    let Some(limit) = limit else { return true };
    let mut units = units.into_iter().peekable();
    units.peek().is_some() && units.all(|unit| limit.contains(unit))
}

fn account(from: &nhatle_engine::account::Account) -> Account {
    Account {
        user: from.name.clone(),
        name: from.name.clone(),
        role: role(from.role),
        unit: from.unit.clone(),
        language: from.language.as_deref().and_then(Language::parse),
        password_hash: from.password_hash.clone(),
        is_disabled: from.is_disabled,
    }
}

fn role(from: EngineRole) -> Role {
    match from {
        EngineRole::Admin => Role::Admin,
        EngineRole::Analyst => Role::Analyst,
        EngineRole::Ward => Role::Ward,
        EngineRole::Auditor => Role::Auditor,
        EngineRole::Ingest => Role::Ingest,
    }
}

fn user_row(from: &nhatle_engine::account::Account) -> UserRow {
    UserRow { user: from.name.clone(), name: from.name.clone(), role: role(from.role), unit: from.unit.clone() }
}

impl Desk for LiveDesk {
    fn account(&self, user: &str) -> Answer<Option<Account>> {
        let find = || self.shared.registry.read(|state| state.accounts.get(&user.to_lowercase()).map(account));
        if let Some(found) = find() {
            return Ok(Some(found));
        }
        // `nhatle user add` may have written it a moment ago, from another process.
        self.shared.registry.catch_up().map_err(failed)?;
        Ok(find())
    }

    fn token_account(&self, token_sha256: &[u8; 32]) -> Answer<Option<Account>> {
        let hash = hex(token_sha256);
        let find = || {
            self.shared.registry.read(|state| {
                state.token_by_hash(&hash).map(|token| Account {
                    user: format!("token:{}", token.name),
                    name: token.name.clone(),
                    role: role(token.role),
                    unit: token.unit.clone(),
                    language: None,
                    password_hash: None,
                    is_disabled: false,
                })
            })
        };
        if let Some(found) = find() {
            return Ok(Some(found));
        }
        self.shared.registry.catch_up().map_err(failed)?;
        Ok(find())
    }

    fn setup_is_open(&self, token_sha256: &[u8; 32]) -> Answer<bool> {
        Ok(self.shared.registry.read(|state| setup_fits(state, token_sha256, self.now())))
    }

    fn finish_setup(&self, token_sha256: &[u8; 32], user: &str, password_hash: &str) -> Answer<Account> {
        let viewer = Viewer { user: user.to_owned(), name: user.to_owned(), role: Role::Admin, unit: None };
        let now = self.now();
        let hash = password_hash.to_owned();
        self.record(&viewer, |state| {
            if !setup_fits(state, token_sha256, now) {
                return Err(DeskError::NotFound);
            }
            let name = user.to_lowercase();
            let change = match state.accounts.contains_key(&name) {
                true => AccountChange::SetPassword { password_hash: hash.clone() },
                false => {
                    AccountChange::Create { role: EngineRole::Admin, unit: None, password_hash: Some(hash.clone()) }
                }
            };
            Ok((vec![AnyChange::Setup(SetupChange::Used), AnyChange::Account(name, change)], ()))
        })?;
        self.account(user)?.ok_or(DeskError::NotFound)
    }

    fn record_sign_in(&self, user: &str, address: &str, outcome: SignIn) -> Answer<()> {
        let outcome = match outcome {
            SignIn::Accepted => "accepted",
            SignIn::Refused => "refused",
            SignIn::RateLimited => "rate_limited",
            SignIn::Left => "left",
        };
        let record = SignInRecord {
            user: user.chars().take(64).collect(),
            address: address.chars().take(64).collect(),
            outcome: outcome.to_owned(),
        };
        let result = self.shared.registry.change(&record.user, self.now(), &AnyChange::SignIn(record.clone()));
        result.map_err(|error| Failure::from(error).0)
    }

    fn set_password(&self, viewer: &Viewer, password_hash: &str) -> Answer<()> {
        let change = AccountChange::SetPassword { password_hash: password_hash.to_owned() };
        self.record(viewer, |_state| Ok((vec![AnyChange::Account(viewer.user.clone(), change.clone())], ())))
    }

    fn set_language(&self, viewer: &Viewer, language: Language) -> Answer<()> {
        let change = AccountChange::SetLanguage { language: language.tag().to_owned() };
        self.record(viewer, |_state| Ok((vec![AnyChange::Account(viewer.user.clone(), change.clone())], ())))
    }

    fn overview(&self, viewer: &Viewer) -> Answer<Overview> {
        search::overview(self, viewer)
    }

    fn live(&self, viewer: &Viewer) -> Answer<LiveCounters> {
        let (total, open, urgent) = alerts::counters(self, viewer);
        let incidents_open = incidents::open_count(self, viewer);
        let sources = self.sources(viewer)?;
        let silent = sources.iter().filter(|row| row.state == SourceState::Silent).count() as u64;
        Ok(LiveCounters {
            alerts_total: total,
            alerts_open: open,
            alerts_urgent: urgent,
            incidents_open,
            sources_silent: silent,
            intake: self.shared.overload.shown().0.name().to_owned(),
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn alerts(&self, viewer: &Viewer, query: &AlertQuery) -> Answer<AlertPage> {
        alerts::page(self, viewer, query)
    }

    fn alert(&self, viewer: &Viewer, id: &str) -> Answer<AlertDetail> {
        alerts::detail(self, viewer, id)
    }

    fn change_alert(&self, viewer: &Viewer, id: &str, change: &AlertChange) -> Answer<()> {
        alerts::change(self, viewer, id, change)
    }

    fn incidents(&self, viewer: &Viewer, query: &IncidentQuery) -> Answer<IncidentPage> {
        incidents::page(self, viewer, query)
    }

    fn incident(&self, viewer: &Viewer, number: u64) -> Answer<IncidentView> {
        incidents::view(self, viewer, number)
    }

    fn open_incident(&self, viewer: &Viewer, new: &NewIncident) -> Answer<u64> {
        incidents::open(self, viewer, new)
    }

    fn change_incident(
        &self,
        viewer: &Viewer,
        number: u64,
        version: Option<u64>,
        change: &IncidentChange,
    ) -> Answer<u64> {
        incidents::change(self, viewer, (number, version), change)
    }

    fn exceptions(&self, viewer: &Viewer) -> Answer<Vec<ExceptionRow>> {
        exceptions::list(self, viewer)
    }

    fn exception(&self, viewer: &Viewer, number: u64) -> Answer<ExceptionView> {
        exceptions::view(self, viewer, number)
    }

    fn exception_draft(&self, viewer: &Viewer, alert_id: &str) -> Answer<ExceptionDraft> {
        exceptions::draft(self, viewer, alert_id)
    }

    fn preview_exception(&self, viewer: &Viewer, new: &NewException) -> Answer<ExceptionPreview> {
        exceptions::preview(self, viewer, new)
    }

    fn open_exception(&self, viewer: &Viewer, new: &NewException) -> Answer<u64> {
        exceptions::open(self, viewer, new)
    }

    fn change_exception(&self, viewer: &Viewer, number: u64, change: &ExceptionChange) -> Answer<()> {
        exceptions::change(self, viewer, number, change)
    }

    fn risks(&self, viewer: &Viewer, limit: usize) -> Answer<Vec<RiskRow>> {
        exceptions::risks(self, viewer, limit)
    }

    fn search(&self, viewer: &Viewer, query: &SearchQuery) -> Answer<SearchPage> {
        search::page(self, viewer, query)
    }

    fn search_parts(
        &self,
        viewer: &Viewer,
        query: &SearchQuery,
        stop: &Arc<AtomicBool>,
        tell: &mut dyn FnMut(SearchPart),
    ) -> Answer<SearchPage> {
        search::parts(self, viewer, query, stop, tell)
    }

    fn sql(&self, viewer: &Viewer, query: &SqlQuery, stop: &Arc<AtomicBool>, out: &mut dyn Write) -> Answer<()> {
        sql::run(self, viewer, query, stop, out)
    }

    fn tail(&self, viewer: &Viewer, query: &SearchQuery, after: Option<u64>, rows_max: usize) -> Answer<TailPage> {
        search::tail(self, viewer, query, after, rows_max)
    }

    fn event(&self, viewer: &Viewer, id: &str) -> Answer<Stored> {
        search::event(self, viewer, id)
    }

    fn around(&self, viewer: &Viewer, id: &str, around: &Around) -> Answer<Vec<Stored>> {
        search::around(self, viewer, id, around)
    }

    fn sources(&self, viewer: &Viewer) -> Answer<Vec<SourceRow>> {
        Ok(sources::list(self, viewer))
    }

    fn forwarders(&self, viewer: &Viewer) -> Answer<Vec<ForwarderRow>> {
        Ok(forwarders::list(self, viewer))
    }

    fn enrollments(&self, viewer: &Viewer) -> Answer<Vec<EnrollmentRow>> {
        Ok(enrollments::list(self, viewer))
    }

    fn issue_enrollment(&self, viewer: &Viewer, new: &NewEnrollment) -> Answer<IssuedCode> {
        enrollments::issue(self, viewer, new)
    }

    fn revoke_enrollment(&self, viewer: &Viewer, number: u64, because: &str) -> Answer<EnrollmentRow> {
        enrollments::revoke(self, viewer, number, because)
    }

    fn refused_senders(&self, viewer: &Viewer) -> Answer<Vec<RefusedRow>> {
        Ok(enrollments::refused(self, viewer))
    }

    fn reach(&self, _viewer: &Viewer) -> Answer<Reach> {
        Ok(enrollments::reach(self))
    }

    fn source_hours(&self, viewer: &Viewer, name: &str, span: (Timestamp, Timestamp)) -> Answer<SourceView> {
        sources::hours(self, viewer, name, span)
    }

    fn outages(&self, viewer: &Viewer) -> Answer<Vec<OutageRow>> {
        Ok(sources::outages(self, viewer))
    }

    fn plan_outage(&self, viewer: &Viewer, new: &NewOutage) -> Answer<u64> {
        sources::plan_outage(self, viewer, new)
    }

    fn end_outage(&self, viewer: &Viewer, number: u64) -> Answer<()> {
        sources::end_outage(self, viewer, number)
    }

    fn inputs(&self, viewer: &Viewer) -> Answer<Vec<InputRow>> {
        Ok(inputs::rows(self, viewer))
    }

    fn units(&self, viewer: &Viewer) -> Answer<Vec<UnitRow>> {
        let limit = self.limit(viewer);
        let units = self.unit_tree();
        let codes = units.all().map(|unit| &unit.code).filter(|code| may_see(&limit, [*code]));
        Ok(codes.map(|code| self.unit_row(code)).collect())
    }

    fn people(&self, viewer: &Viewer) -> Answer<Vec<UserRow>> {
        let limit = self.limit(viewer);
        Ok(self.shared.registry.read(|state| {
            let works = |one: &&nhatle_engine::account::Account| {
                !one.is_disabled && !matches!(one.role, EngineRole::Ingest | EngineRole::Auditor)
            };
            state.accounts.values().filter(works).filter(|one| may_see(&limit, &one.unit)).map(user_row).collect()
        }))
    }

    fn rules(&self, viewer: &Viewer) -> Answer<Vec<RuleRow>> {
        Ok(rules::list(self, viewer))
    }

    fn coverage(&self, viewer: &Viewer, query: &CoverageQuery) -> Answer<Coverage> {
        alive::coverage(self, viewer, query)
    }

    fn coverage_layer(&self, viewer: &Viewer, query: &CoverageQuery) -> Answer<serde_json::Value> {
        alive::layer(self, viewer, query)
    }

    fn rule_fit(&self, viewer: &Viewer, id: &str) -> Answer<RuleFit> {
        fit::rule(self, viewer, id)
    }

    fn fit_matrix(&self, viewer: &Viewer, query: &MatrixQuery) -> Answer<FitMatrix> {
        Ok(fit::matrix(self, viewer, query))
    }

    fn source_fit(&self, viewer: &Viewer, source: &str) -> Answer<SourceFit> {
        fit::source(self, viewer, source)
    }

    fn rule(&self, viewer: &Viewer, id: &str) -> Answer<RuleView> {
        rules::view(self, viewer, id)
    }

    fn rule_preview(&self, viewer: &Viewer, id: &str) -> Answer<RulePreview> {
        preview::look(self, viewer, id)
    }

    fn start_rule_preview(&self, viewer: &Viewer, id: &str) -> Answer<()> {
        preview::start(self, viewer, id)
    }

    fn start_hunt(&self, viewer: &Viewer, rule_id: &str, new: &NewHunt) -> Answer<u64> {
        preview::hunt(self, viewer, rule_id, new)
    }

    fn cancel_hunt(&self, viewer: &Viewer, number: u64) -> Answer<()> {
        preview::cancel(self, viewer, number)
    }

    fn rule_load(&self, viewer: &Viewer) -> Answer<RuleLoad> {
        Ok(rules::load(self, viewer))
    }

    fn change_rule(&self, viewer: &Viewer, id: &str, change: &RuleChange) -> Answer<()> {
        rules::change(self, viewer, id, change)
    }

    fn reload_rules(&self, viewer: &Viewer) -> Answer<RuleLoad> {
        rules::reload(self, viewer)
    }

    fn reload_config(&self, viewer: &Viewer) -> Answer<ConfigReload> {
        inputs::reload(self, viewer)
    }

    fn reference(&self) -> &dyn nhatle_ui::ReferenceDesk {
        self
    }

    fn keeping(&self) -> &dyn nhatle_ui::KeepingDesk {
        self
    }

    fn ready(&self) -> Result<(), String> {
        if self.shared.overload.shown().0 == State::ReadOnly {
            return Err("read-only: the disk is nearly full".to_owned());
        }
        let trouble = self.shared.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*trouble {
            // The reason names a file of this machine; the log has it.
            Some(_) => Err("the store cannot write".to_owned()),
            None => Ok(()),
        }
    }

    fn metrics(&self) -> String {
        let stats = self.shared.store.stats();
        let mut text = self.shared.counters.text();
        let (reserve_bytes, is_reserve_held, free_bytes) = self.shared.overload.room();
        let (hours_checked, differences) = {
            let checked = self.shared.feed.checked();
            (checked.hours, checked.differences.len() as u64)
        };
        let gauges = [
            ("nhatle_events", stats.events.iter().sum::<u64>()),
            ("nhatle_segments", stats.segments as u64),
            ("nhatle_segment_bytes", stats.segment_bytes),
            ("nhatle_unsealed_events", stats.unsealed_events as u64),
            ("nhatle_log_bytes", stats.log_bytes),
            ("nhatle_rules", self.shared.rules().rules.len() as u64),
            ("nhatle_rules_off", self.shared.rules().off.len() as u64),
            ("nhatle_rules_refused", self.shared.rules().errors.len() as u64),
            ("nhatle_rules_generation", self.shared.live.last().generation),
            ("nhatle_detection_behind_events", self.shared.live.behind()),
            ("nhatle_intake_state", self.shared.overload.shown().0.number()),
            ("nhatle_disk_free_bytes", free_bytes.unwrap_or(0)),
            ("nhatle_reserve_bytes", reserve_bytes),
            ("nhatle_reserve_held", u64::from(is_reserve_held)),
            ("nhatle_book_hours_checked", hours_checked),
            ("nhatle_book_differences", differences),
            ("nhatle_damaged_places", self.shared.scrub.place().findings.len() as u64),
            ("nhatle_searches_running", self.searches.running.load(Ordering::Relaxed)),
            ("nhatle_searches", self.searches.begun.load(Ordering::Relaxed)),
            ("nhatle_searches_canceled", self.searches.canceled.load(Ordering::Relaxed)),
        ];
        for (name, value) in gauges {
            text.push_str(&format!("# TYPE {name} gauge\n{name} {value}\n"));
        }
        text.push_str(&inputs::metrics(&self.shared));
        text.push_str(&reference::metrics(self));
        text
    }
}

fn setup_fits(state: &RegisterState, token_sha256: &[u8; 32], now: Timestamp) -> bool {
    state.setup.as_ref().is_some_and(|link| link.hash == hex(token_sha256) && now < link.expires)
}
