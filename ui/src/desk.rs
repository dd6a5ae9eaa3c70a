//! `Desk`: all that pages and the JSON API may read and do, as one trait.
//!
//! The program implements it over storage, register and rules; tests implement it over rows in memory.
//! Every call is a plain blocking function: routes run it on a blocking thread (`tokio::task::spawn_blocking`),
//! where an implementation may wait for async work with `Handle::block_on`.
//!
//! Promise asked of every implementation: nothing outside `viewer.unit` is read, counted or changed for a
//! viewer that has a unit; what such a viewer may not see is [`DeskError::NotFound`], never "forbidden", so
//! that numbers and names cannot be probed. Roles are checked by the routes before a call and may be
//! checked again. Failure: [`DeskError`].

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::watch;

use nhatle_event::{Stored, Timestamp};

use crate::account::{Account, Language, Viewer};
use crate::desk_keeping::KeepingDesk;
use crate::desk_reference::ReferenceDesk;
use crate::model::{
    AlertChange, AlertDetail, AlertPage, AlertQuery, Around, ConfigReload, Coverage, CoverageQuery, EnrollmentRow,
    ExceptionChange, ExceptionDraft, ExceptionPreview, ExceptionRow, ExceptionView, FitMatrix, ForwarderRow,
    IncidentChange, IncidentPage, IncidentQuery, IncidentView, InputRow, IssuedCode, LiveCounters, MatrixQuery,
    NewEnrollment, NewException, NewHunt, NewIncident, NewOutage, OutageRow, Overview, Reach, RefusedRow, RiskRow,
    RuleChange, RuleFit, RuleLoad, RulePreview, RuleRow, RuleView, SearchPage, SearchPart, SearchQuery, SourceFit,
    SourceRow, SourceView, SqlQuery, TailPage, UnitRow, UserRow,
};

/// Where a search text stops making sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct SyntaxError {
    /// What is wrong, in English, short.
    pub message: String,
    /// Byte offset into the query text; the caret stands there.
    pub offset: usize,
    /// How many bytes are meant; 0 = the place only.
    pub length: usize,
    /// What was probably meant, or what to do, in English, short.
    pub suggestion: Option<String>,
}

/// Why a change was refused although the viewer may ask for it. Each has a sentence in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Somebody else changed it since it was shown.
    Stale,
    /// Somebody else has taken it.
    AlreadyTaken,
    /// It is closed.
    AlreadyClosed,
    /// It is not closed.
    NotClosed,
    /// A note or reason is compulsory here.
    NoteMissing,
    /// Closing needs a verdict.
    VerdictMissing,
    /// It is at that layer already.
    SameLayer,
    /// No such person, or one who may not be given this.
    UnknownUser,
    /// No such alert among those named.
    UnknownAlert,
    /// The alert belongs to another incident.
    InOtherIncident,
    /// A text is empty or longer than allowed.
    TextLength,
    /// The change makes no sense in this state.
    WrongState,
    /// A bound is reached (alerts in one incident, notes…).
    Full,
    /// It would hide a known attack, and nobody said that this is accepted.
    HidesKnown,
    /// No test was chosen, or one makes no sense.
    BadTest,
    /// The end is in the past or too far ahead.
    BadEnd,
    /// A text that was to be a signed head is none.
    NoHead,
    /// Another number was typed than the one that is to be confirmed.
    OtherCount,
}

impl Refusal {
    /// The code of the JSON API and of the message (`refusal-…`).
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Stale => "stale",
            Refusal::AlreadyTaken => "already-taken",
            Refusal::AlreadyClosed => "already-closed",
            Refusal::NotClosed => "not-closed",
            Refusal::NoteMissing => "note-missing",
            Refusal::VerdictMissing => "verdict-missing",
            Refusal::SameLayer => "same-layer",
            Refusal::UnknownUser => "unknown-user",
            Refusal::UnknownAlert => "unknown-alert",
            Refusal::InOtherIncident => "in-other-incident",
            Refusal::TextLength => "text-length",
            Refusal::WrongState => "wrong-state",
            Refusal::Full => "full",
            Refusal::HidesKnown => "hides-known",
            Refusal::BadTest => "bad-test",
            Refusal::BadEnd => "bad-end",
            Refusal::NoHead => "no-head",
            Refusal::OtherCount => "other-count",
        }
    }
}

/// Why a query in SQL has no answer, or no more of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SqlRefusal {
    /// The kind.
    pub trouble: SqlTrouble,
    /// In words for whoever wrote the query, in English like SQL.
    pub reason: String,
}

/// The kinds of [`SqlRefusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlTrouble {
    /// The text is no query that is answered.
    Refused,
    /// A value of a row cannot be computed.
    Failed,
    /// It takes more memory, or its answer has more rows or bytes, than a query may.
    TooMuch,
    /// Its time is over.
    TooLong,
    /// As many queries run as may.
    Busy,
}

/// Why the desk did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is no such thing, or not for this viewer.
    #[error("not found")]
    NotFound,
    /// The role may not do this.
    #[error("forbidden")]
    Forbidden,
    /// The change is refused; nothing happened.
    #[error("refused: {}", .0.code())]
    Refused(Refusal),
    /// The search text does not parse.
    #[error("search text: {0}")]
    Syntax(#[from] SyntaxError),
    /// What was given has these problems; nothing happened.
    #[error("{}", .0.join("; "))]
    Problems(Vec<String>),
    /// Too much is going on; try again.
    #[error("busy")]
    Busy,
    /// Nobody waits for the answer any more.
    #[error("canceled")]
    Canceled,
    /// The answer would take more memory than one search may.
    #[error("the answer takes more than {bytes_max} bytes")]
    TooMuch {
        /// What one search may hold.
        bytes_max: usize,
    },
    /// A query in SQL has no answer.
    #[error("{0}")]
    Sql(#[from] SqlRefusal),
    /// The world failed. Logged with the request's id; a page shows the id only.
    #[error("desk")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Short for what every call gives back.
pub type Answer<T> = Result<T, DeskError>;

/// How a sign-in ended, for the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// The person is in.
    Accepted,
    /// Wrong name or password, or the account is disabled.
    Refused,
    /// Too many tries; the password was not looked at.
    RateLimited,
    /// The person signed out.
    Left,
}

/// All that pages and the JSON API may read and do.
pub trait Desk: Send + Sync + 'static {
    // Accounts. These come before there is a viewer; called for every request, so from memory.

    /// The account of this name.
    fn account(&self, user: &str) -> Answer<Option<Account>>;
    /// The account a bearer token belongs to, by SHA-256 of the token's text.
    fn token_account(&self, token_sha256: &[u8; 32]) -> Answer<Option<Account>>;
    /// Whether this is the unused, unexpired first-start link, by SHA-256 of its token's text.
    fn setup_is_open(&self, token_sha256: &[u8; 32]) -> Answer<bool>;
    /// Uses up the first-start link: makes (or resets) the administrator `user` with this password hash.
    ///
    /// # Errors
    /// [`DeskError::NotFound`] when the link is used, expired or wrong.
    fn finish_setup(&self, token_sha256: &[u8; 32], user: &str, password_hash: &str) -> Answer<Account>;
    /// Writes a sign-in or sign-out to the audit trail. `user` is as typed (bounded by the caller).
    fn record_sign_in(&self, user: &str, address: &str, outcome: SignIn) -> Answer<()>;
    /// The viewer's own new password hash.
    fn set_password(&self, viewer: &Viewer, password_hash: &str) -> Answer<()>;
    /// The viewer's own language.
    fn set_language(&self, viewer: &Viewer, language: Language) -> Answer<()>;

    // What stands on pages.

    /// The landing page's numbers.
    fn overview(&self, viewer: &Viewer) -> Answer<Overview>;
    /// Numbers for the live counters; called on each change for each open page, so cheap.
    fn live(&self, viewer: &Viewer) -> Answer<LiveCounters>;
    /// Ticks (any new value) when something on a page may have changed: alert, incident, source state.
    fn changes(&self) -> watch::Receiver<u64>;

    /// A page of the alert queue.
    fn alerts(&self, viewer: &Viewer, query: &AlertQuery) -> Answer<AlertPage>;
    /// One alert with its rule, evidence, events and history.
    fn alert(&self, viewer: &Viewer, id: &str) -> Answer<AlertDetail>;
    /// Takes, closes, reopens or annotates an alert; all of it lands in the register.
    fn change_alert(&self, viewer: &Viewer, id: &str, change: &AlertChange) -> Answer<()>;

    /// A page of incidents, newest change first.
    fn incidents(&self, viewer: &Viewer, query: &IncidentQuery) -> Answer<IncidentPage>;
    /// One incident with its timeline.
    fn incident(&self, viewer: &Viewer, number: u64) -> Answer<IncidentView>;
    /// Opens an incident and answers its number. A limited viewer's incident belongs to its unit.
    fn open_incident(&self, viewer: &Viewer, new: &NewIncident) -> Answer<u64>;
    /// Changes an incident. `version` is the one the viewer saw; another one now is [`Refusal::Stale`].
    /// Answers the new version.
    fn change_incident(
        &self,
        viewer: &Viewer,
        number: u64,
        version: Option<u64>,
        change: &IncidentChange,
    ) -> Answer<u64>;

    /// Exceptions the viewer may see, in order of number.
    fn exceptions(&self, viewer: &Viewer) -> Answer<Vec<ExceptionRow>>;
    /// One exception with its life.
    fn exception(&self, viewer: &Viewer, number: u64) -> Answer<ExceptionView>;
    /// What an exception from this alert could be, the narrowest one proposed.
    fn exception_draft(&self, viewer: &Viewer, alert_id: &str) -> Answer<ExceptionDraft>;
    /// What a wanted exception would have hidden. Changes nothing.
    fn preview_exception(&self, viewer: &Viewer, new: &NewException) -> Answer<ExceptionPreview>;
    /// Makes an exception and answers its number.
    fn open_exception(&self, viewer: &Viewer, new: &NewException) -> Answer<u64>;
    /// Changes an exception.
    fn change_exception(&self, viewer: &Viewer, number: u64, change: &ExceptionChange) -> Answer<()>;
    /// Hosts, accounts and addresses by risk, highest first, at most `limit`.
    fn risks(&self, viewer: &Viewer, limit: usize) -> Answer<Vec<RiskRow>>;

    /// Searches stored events, newest first.
    fn search(&self, viewer: &Viewer, query: &SearchQuery) -> Answer<SearchPage>;
    /// The same, telling hits and progress as it goes; the page that comes in the end has no hits. Ends soon after
    /// `stop` becomes true.
    fn search_parts(
        &self,
        viewer: &Viewer,
        query: &SearchQuery,
        _stop: &Arc<AtomicBool>,
        tell: &mut dyn FnMut(SearchPart),
    ) -> Answer<SearchPage> {
        let mut page = self.search(viewer, query)?;
        tell(SearchPart::Hits(std::mem::take(&mut page.hits)));
        Ok(page)
    }
    /// Runs a query in SQL and writes its answer, of what the viewer may see. Ends soon after `stop` becomes true, or
    /// when nothing more can be written.
    fn sql(&self, _viewer: &Viewer, _query: &SqlQuery, _stop: &Arc<AtomicBool>, _out: &mut dyn Write) -> Answer<()> {
        Err(DeskError::NotFound)
    }
    /// What was committed after `after` and matches, at most `rows_max`; without `after`, nothing but where to begin.
    fn tail(&self, _viewer: &Viewer, _query: &SearchQuery, _after: Option<u64>, _rows_max: usize) -> Answer<TailPage> {
        Ok(TailPage::default())
    }
    /// One event by its id (`event.id`).
    fn event(&self, viewer: &Viewer, id: &str) -> Answer<Stored>;
    /// Events around one event in time, oldest first, that one included.
    fn around(&self, viewer: &Viewer, id: &str, around: &Around) -> Answer<Vec<Stored>>;
    /// The search text for "this field has this value", as facets and pivots link to it.
    fn term(&self, field: &str, value: &str) -> String {
        format!("{field}:\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }

    /// Sources with their receipt book.
    fn sources(&self, viewer: &Viewer) -> Answer<Vec<SourceRow>>;
    /// The forwarders of the wards.
    fn forwarders(&self, viewer: &Viewer) -> Answer<Vec<ForwarderRow>>;
    /// Enrolments, of the viewer's units.
    fn enrollments(&self, viewer: &Viewer) -> Answer<Vec<EnrollmentRow>>;
    /// Gives out a code.
    fn issue_enrollment(&self, viewer: &Viewer, new: &NewEnrollment) -> Answer<IssuedCode>;
    /// Ends a code and its certificates.
    fn revoke_enrollment(&self, viewer: &Viewer, number: u64, because: &str) -> Answer<EnrollmentRow>;
    /// Senders refused lately; only for who sees the whole city, since nobody knows whose they are.
    fn refused_senders(&self, viewer: &Viewer) -> Answer<Vec<RefusedRow>>;
    /// Where a new sender finds the server.
    fn reach(&self, viewer: &Viewer) -> Answer<Reach>;
    /// One source with the hours that begin in `[from, to)`.
    fn source_hours(&self, viewer: &Viewer, name: &str, span: (Timestamp, Timestamp)) -> Answer<SourceView>;
    /// Outages planned now.
    fn outages(&self, viewer: &Viewer) -> Answer<Vec<OutageRow>>;
    /// Plans an outage of a source or unit the viewer may see; its number.
    fn plan_outage(&self, viewer: &Viewer, new: &NewOutage) -> Answer<u64>;
    /// Ends an outage early.
    fn end_outage(&self, viewer: &Viewer, number: u64) -> Answer<()>;
    /// The inputs and what they counted; nothing for a viewer that has a unit.
    fn inputs(&self, _viewer: &Viewer) -> Answer<Vec<InputRow>> {
        Ok(Vec::new())
    }
    /// Units the viewer may see, for filters and names.
    fn units(&self, viewer: &Viewer) -> Answer<Vec<UnitRow>>;
    /// People that work may be given to.
    fn people(&self, viewer: &Viewer) -> Answer<Vec<UserRow>>;
    /// Loaded rules; alert counts only of what the viewer may see.
    fn rules(&self, viewer: &Viewer) -> Answer<Vec<RuleRow>>;
    /// Which techniques the rules would find today.
    fn coverage(&self, viewer: &Viewer, query: &CoverageQuery) -> Answer<Coverage>;
    /// The same as a layer for ATT&CK Navigator (format 4.5).
    fn coverage_layer(&self, viewer: &Viewer, query: &CoverageQuery) -> Answer<serde_json::Value>;
    /// Which sources a rule can match; of the viewer's units.
    fn rule_fit(&self, viewer: &Viewer, id: &str) -> Answer<RuleFit>;
    /// Which rules can match what a source sends; with no name, which sources there are.
    fn source_fit(&self, viewer: &Viewer, source: &str) -> Answer<SourceFit>;
    /// Rules beside sources, and what stands between them; of the viewer's units.
    fn fit_matrix(&self, viewer: &Viewer, query: &MatrixQuery) -> Answer<FitMatrix>;
    /// One rule with its text.
    fn rule(&self, viewer: &Viewer, id: &str) -> Answer<RuleView>;
    /// What a rule would have found in the past days, as far as that is known; starts nothing.
    fn rule_preview(&self, viewer: &Viewer, id: &str) -> Answer<RulePreview>;
    /// Has a preview made in the background where there is none that is fresh.
    fn start_rule_preview(&self, viewer: &Viewer, id: &str) -> Answer<()>;
    /// Begins a hunt: what the rule finds in what is stored and nobody was told of becomes alerts. Answers its number.
    fn start_hunt(&self, viewer: &Viewer, rule_id: &str, new: &NewHunt) -> Answer<u64>;
    /// Stops a hunt; what it stored stands.
    fn cancel_hunt(&self, viewer: &Viewer, number: u64) -> Answer<()>;
    /// What is loaded and what is not; a viewer with a unit is not told of single files.
    fn rule_load(&self, viewer: &Viewer) -> Answer<RuleLoad>;
    /// Switches a rule on or off, or gives it another level; it is in force a moment later.
    fn change_rule(&self, viewer: &Viewer, id: &str, change: &RuleChange) -> Answer<()>;
    /// Loads rules anew and waits until they are in force.
    fn reload_rules(&self, viewer: &Viewer) -> Answer<RuleLoad>;

    /// Reads the configuration again and puts in force what may change while the program runs.
    ///
    /// # Errors
    /// [`DeskError::Problems`]: all of them at once; nothing has changed.
    fn reload_config(&self, _viewer: &Viewer) -> Answer<ConfigReload> {
        Err(DeskError::NotFound)
    }

    /// Assets, lists of indicators, places of addresses.
    fn reference(&self) -> &dyn ReferenceDesk;
    /// How what is stored is kept.
    fn keeping(&self) -> &dyn KeepingDesk;

    // The machine itself; no viewer, so nothing of any unit, source or person may be in it.

    /// `Ok` when events can be taken; else a short reason.
    fn ready(&self) -> Result<(), String>;
    /// Prometheus text, totals only: it is shown without signing in.
    fn metrics(&self) -> String;
}
