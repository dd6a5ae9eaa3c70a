//! A session: the messages of a client that has signed in.
//!
//! In: messages. Out: answers, in the order of PostgreSQL's protocol. Promise: after an error in a chain of messages nothing is
//! done until its `Sync`; a failed transaction is left first; whoever came in is looked at again before each statement. Failure:
//! an `ErrorResponse`; a broken protocol ends the session. Source: PostgreSQL 15, chapter 55.2.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Buf;
use nhatle_storage::pg::{self, Catalog, Datum};
use nhatle_ui::Viewer;
use nhatle_ui::entry::Pass;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::extendedquery::CloseComplete;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey};
use tokio::sync::watch;

use super::cancel::Registered;
use super::problem::Problem;
use super::query::{self, Asking, Prepared, Running};
use super::settings::{Settings, TOLD};
use super::start::{AnyStream, Begun};
use super::text::{self, Command, Copy};
use super::value::{self, Format};
use super::wire::{Asked, Broken, MESSAGE_BYTES_MAX, Wire};
use super::{Shared, copy};

/// All rows there are.
pub(super) const ALL: usize = usize::MAX;

/// Serves a session until it ends.
///
/// # Errors
/// The connection breaks.
pub async fn run(shared: Arc<Shared>, begun: Begun, stopping: watch::Receiver<bool>) -> Result<(), Broken> {
    let Begun { wire, viewer, pass, user, pairs, minor } = begun;
    let registered = shared.cancels.register(if minor < 2 { 4 } else { 32 });
    let (source, asker) = (Arc::clone(&shared.source), viewer.clone());
    let made = tokio::task::spawn_blocking(move || source.catalog(&asker)).await;
    let made = made.unwrap_or_else(|_panicked| Err(Problem::new("58000", "the server cannot answer now")));
    let catalog = match made {
        Ok(catalog) => catalog,
        Err(problem) => return super::start::refuse(wire, &problem).await.map(|_: Option<()>| ()),
    };
    let mut session = Session {
        settings: Settings::new(&user),
        shared,
        wire,
        viewer,
        pass,
        user,
        registered,
        catalog,
        status: TransactionStatus::Idle,
        statements: BTreeMap::new(),
        portals: BTreeMap::new(),
        is_skipping: false,
    };
    session.greet(&pairs).await?;
    let ended = session.serve(stopping).await;
    match ended {
        Err(Broken::Protocol(message)) => {
            session.wire.put(&Problem::protocol(message).response("FATAL", ""));
            session.wire.close().await;
            Err(Broken::Protocol(message))
        }
        Ok(()) => {
            session.wire.close().await;
            Ok(())
        }
        other => other,
    }
}

pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) wire: Wire<AnyStream>,
    pub(super) viewer: Viewer,
    pub(super) pass: Pass,
    pub(super) user: String,
    pub(super) registered: Registered,
    pub(super) catalog: Arc<Catalog>,
    pub(super) settings: Settings,
    pub(super) status: TransactionStatus,
    pub(super) statements: BTreeMap<String, Statement>,
    pub(super) portals: BTreeMap<String, Portal>,
    /// An error came: nothing is done until the chain's end.
    pub(super) is_skipping: bool,
}

#[derive(Clone)]
pub(super) struct Statement {
    pub(super) text: Arc<str>,
    pub(super) what: What,
}

#[derive(Clone)]
pub(super) enum What {
    Empty,
    Own(Command),
    Rows(Arc<Prepared>),
    /// A cursor over a query.
    Cursor {
        name: String,
        is_binary: bool,
        of: Arc<Prepared>,
    },
}

pub(super) struct Portal {
    pub(super) text: Arc<str>,
    pub(super) what: What,
    pub(super) values: Vec<Datum>,
    pub(super) bytes: usize,
    pub(super) formats: Vec<Format>,
    pub(super) running: Option<Running>,
    pub(super) is_done: bool,
    pub(super) is_cursor: bool,
}

/// How a statement or message ended.
enum Flow {
    Go,
    End,
}

/// A step that may fail in the client's eyes, or break the connection.
pub(super) type Step<T> = Result<Result<T, Problem>, Broken>;

/// Passes a problem of the client's on.
macro_rules! hand {
    ($step:expr) => {
        match $step {
            Ok(value) => value,
            Err(problem) => return Ok(Err(problem)),
        }
    };
}
pub(super) use hand;

impl Session {
    async fn greet(&mut self, pairs: &[(String, String)]) -> Result<(), Broken> {
        self.wire.put(&Message::Authentication(Authentication::Ok));
        for (name, value) in
            pairs.iter().filter(|(name, _)| !matches!(name.as_str(), "user" | "database" | "replication"))
        {
            if name == "options" {
                let options: Vec<&str> = value.split_whitespace().collect();
                for option in
                    options.iter().filter_map(|option| option.strip_prefix("-c").or_else(|| option.strip_prefix("--")))
                {
                    if let Some((name, value)) = option.split_once('=') {
                        drop(self.settings.set(name, Some(value)));
                    }
                }
                // `-c name=value` with a space between.
                for pair in options.windows(2).filter(|pair| pair[0] == "-c") {
                    if let Some((name, value)) = pair[1].split_once('=') {
                        drop(self.settings.set(name, Some(value)));
                    }
                }
            } else if !name.starts_with("_pq_.") {
                // What is not taken is told below, with what is in force.
                drop(self.settings.set(name, Some(value)));
            }
        }
        for (told, name) in TOLD {
            let value = self.settings.get(name).unwrap_or_default().chars().take(256).collect();
            self.wire.put(&Message::ParameterStatus(ParameterStatus::new((*told).to_owned(), value)));
        }
        let key = match <[u8; 4]>::try_from(&self.registered.key[..]) {
            Ok(four) => SecretKey::I32(i32::from_be_bytes(four)),
            Err(_longer) => SecretKey::Bytes(self.registered.key.clone()),
        };
        self.wire.put(&Message::BackendKeyData(BackendKeyData::new(self.registered.pid, key)));
        self.ready().await
    }

    async fn ready(&mut self) -> Result<(), Broken> {
        self.wire.put(&Message::ReadyForQuery(ReadyForQuery::new(self.status)));
        self.wire.send().await
    }

    async fn serve(&mut self, mut stopping: watch::Receiver<bool>) -> Result<(), Broken> {
        loop {
            let asked = tokio::select! {
                asked = self.wire.next(MESSAGE_BYTES_MAX) => asked?,
                () = tokio::time::sleep(self.shared.idle_max) => {
                    let problem = Problem::new("57P05", "terminating connection due to idle-session timeout");
                    self.wire.put(&problem.response("FATAL", ""));
                    return Ok(());
                }
                _ = stopping.wait_for(|is_stopping| *is_stopping) => {
                    let problem = Problem::new("57P01", "terminating connection due to administrator command");
                    self.wire.put(&problem.response("FATAL", ""));
                    return Ok(());
                }
            };
            if let Flow::End = self.message(asked).await? {
                return Ok(());
            }
        }
    }

    async fn message(&mut self, asked: Asked) -> Result<Flow, Broken> {
        let is_work = matches!(asked, Asked::Query(_) | Asked::Parse { .. } | Asked::Execute(..)) && !self.is_skipping;
        if is_work && !self.is_still_in().await {
            let problem = Problem::new("57P01", "the account or token does not hold any more");
            self.wire.put(&problem.response("FATAL", ""));
            return Ok(Flow::End);
        }
        let step = match asked {
            Asked::Terminate => return Ok(Flow::End),
            Asked::Sync => {
                self.is_skipping = false;
                if self.status == TransactionStatus::Idle {
                    self.portals.retain(|_, portal| portal.is_cursor);
                }
                self.ready().await?;
                return Ok(Flow::Go);
            }
            Asked::Flush => {
                self.wire.send().await?;
                return Ok(Flow::Go);
            }
            Asked::Query(_) if self.is_skipping => return Ok(Flow::Go),
            Asked::Query(text) => {
                self.simple(&text).await?;
                return Ok(Flow::Go);
            }
            Asked::Password(_) => return Err(Broken::Protocol("a password out of place")),
            // What is left of a copy that was refused.
            Asked::Copy => return Ok(Flow::Go),
            _ if self.is_skipping => return Ok(Flow::Go),
            Asked::Parse { name, text, types } => (Arc::from(text.as_str()), self.parse(name, &text, &types).await?),
            Asked::Bind(bind) => {
                let text = self.statements.get(&bind.statement).map(|one| Arc::clone(&one.text)).unwrap_or_default();
                (text, self.bind(bind))
            }
            Asked::Describe(is_statement, name) => (Arc::default(), self.describe(is_statement, &name)),
            Asked::Execute(name, max) => {
                let text = self.portals.get(&name).map(|one| Arc::clone(&one.text)).unwrap_or_default();
                (text, self.execute(&name, max).await?)
            }
            Asked::Close(is_statement, name) => {
                if is_statement {
                    self.statements.remove(&name);
                } else {
                    self.portals.remove(&name);
                }
                self.wire.put(&Message::CloseComplete(CloseComplete::new()));
                (Arc::default(), Ok(()))
            }
        };
        if let (text, Err(problem)) = step {
            self.failed(&problem, &text);
            self.is_skipping = true;
        }
        self.wire.relieve().await?;
        Ok(Flow::Go)
    }

    async fn is_still_in(&mut self) -> bool {
        match self.shared.entry.again(&self.pass).await {
            Ok(Some(viewer)) => {
                self.viewer = viewer;
                true
            }
            Ok(None) => false,
            // It came in; that the register cannot be read now is no reason to throw it out.
            Err(_unavailable) => true,
        }
    }

    fn failed(&mut self, problem: &Problem, text: &str) {
        self.wire.put(&problem.response("ERROR", text));
        if self.status == TransactionStatus::Transaction {
            self.status = TransactionStatus::Error;
        }
    }

    /// Whether a command may run in the present state of the transaction.
    pub(super) fn may_run(&self, command: &Command) -> Result<(), Problem> {
        let ends = matches!(command, Command::Rollback | Command::Commit | Command::Nothing("ROLLBACK"));
        if self.status == TransactionStatus::Error && !ends {
            return Err(Problem::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    // The simple protocol.

    async fn simple(&mut self, text: &str) -> Result<(), Broken> {
        match text::statements(text) {
            Ok(statements) if statements.is_empty() => {
                self.wire.put(&Message::EmptyQueryResponse(EmptyQueryResponse::new()))
            }
            Ok(statements) => {
                for (start, statement) in statements {
                    let done = self.one(statement).await?;
                    if let Err(problem) = done {
                        let offset = problem.offset.map(|offset| offset + start);
                        self.failed(&Problem { offset, ..problem }, text);
                        break;
                    }
                }
            }
            Err(problem) => self.failed(&problem, text),
        }
        if self.status == TransactionStatus::Idle {
            self.portals.retain(|_, portal| portal.is_cursor);
        }
        self.ready().await
    }

    /// One statement, at once.
    async fn one(&mut self, text: &str) -> Step<()> {
        let command = hand!(text::command(text));
        hand!(self.may_run(&command));
        match command {
            Command::Query => {
                let prepared = hand!(self.prepare(text, &[]).await);
                if !prepared.parameters.is_empty() {
                    return Ok(Err(Problem::new("42P02", "there is no parameter $1")));
                }
                let formats = vec![Format::Text; prepared.fields.len()];
                self.wire.put(&Message::RowDescription(value::described(&prepared.fields, &formats)));
                let mut running = self.begin(&prepared, Vec::new(), formats);
                let (count, _) = hand!(self.rows(&mut running, ALL).await?);
                self.complete(&format!("SELECT {count}"));
                Ok(Ok(()))
            }
            Command::Declare { name, is_binary, query } => {
                let prepared = hand!(self.prepare(&query, &[]).await);
                hand!(self.declare(name, is_binary, &prepared, Vec::new(), &query));
                self.complete("DECLARE CURSOR");
                Ok(Ok(()))
            }
            Command::Fetch(name, count) => {
                let fields = hand!(self.cursor(&name));
                self.wire.put(&Message::RowDescription(value::described(&fields.0, &fields.1)));
                self.fetch(&name, count).await
            }
            Command::Copy(copy) => self.copy(&copy).await,
            other => {
                if let Some((fields, rows)) = hand!(self.table(&other)) {
                    self.wire.put(&Message::RowDescription(value::described(&fields, &[])));
                    let tag = self.plain_rows(&fields, &rows);
                    self.complete(&tag);
                    return Ok(Ok(()));
                }
                let tag = hand!(self.own(&other));
                self.complete(&tag);
                Ok(Ok(()))
            }
        }
    }

    pub(super) fn complete(&mut self, tag: &str) {
        self.wire.put(&Message::CommandComplete(CommandComplete::new(tag.to_owned())));
    }

    pub(super) async fn prepare(&mut self, text: &str, types: &[u32]) -> Result<Arc<Prepared>, Problem> {
        let (source, catalog, viewer) =
            (Arc::clone(&self.shared.source), Arc::clone(&self.catalog), self.viewer.clone());
        let (text, types, user) = (text.to_owned(), types.to_vec(), self.user.clone());
        let work =
            tokio::task::spawn_blocking(move || query::prepare(&source, &catalog, (&viewer, &user), &text, &types));
        let prepared = work.await.map_err(|_panicked| Problem::new("XX000", "the statement could not be prepared"))?;
        prepared.map(Arc::new)
    }

    pub(super) fn begin(&self, prepared: &Arc<Prepared>, values: Vec<Datum>, formats: Vec<Format>) -> Running {
        let now = nhatle_event::Clock::now(&nhatle_event::SystemClock);
        let session = pg::Session {
            user: self.user.clone(),
            pid: self.registered.pid,
            settings: self.settings.all().clone(),
            now: value::time_text(now.0),
        };
        let asking = Asking {
            source: Arc::clone(&self.shared.source),
            viewer: self.viewer.clone(),
            user: self.user.clone(),
            session,
            time: self.settings.statement_time(self.shared.time_max),
        };
        Running::start(asking, Arc::clone(prepared), values, formats)
    }

    /// Sends up to `max` rows; how many there were, and whether these were all.
    pub(super) async fn rows(&mut self, running: &mut Running, max: usize) -> Step<(usize, bool)> {
        self.registered.runs(Some(running.stop()));
        let sent = self.send_rows(running, max, None).await;
        self.registered.runs(None);
        sent
    }

    async fn send_rows(&mut self, running: &mut Running, max: usize, copy: Option<&Copy>) -> Step<(usize, bool)> {
        let mut count = 0;
        while count < max {
            let next = tokio::select! {
                next = running.next(max - count) => next,
                broken = self.wire.watch() => return Err(broken),
            };
            match hand!(next) {
                None => return Ok(Ok((count, true))),
                Some((bytes, rows)) => {
                    count += rows;
                    match copy {
                        None => self.wire.put_bytes(&bytes),
                        Some(copy) => self.put_lines(&bytes, copy),
                    }
                    self.wire.relieve().await?;
                }
            }
        }
        Ok(Ok((count, false)))
    }

    fn put_lines(&mut self, rows: &[u8], copy: &Copy) {
        let mut rest = rows;
        // A kind, a length, a body; they are ours.
        while 5 <= rest.len() {
            rest.advance(1);
            let length = usize::try_from(rest.get_i32()).unwrap_or(4).saturating_sub(4).min(rest.len());
            let (body, behind) = rest.split_at(length);
            self.wire.put(&Message::CopyData(CopyData::new(copy::row(body, copy).into())));
            rest = behind;
        }
    }

    async fn copy(&mut self, copy: &Copy) -> Step<()> {
        let prepared = hand!(self.prepare(&copy.query, &[]).await);
        let columns = prepared.fields.len();
        let count = i16::try_from(columns).unwrap_or(i16::MAX);
        self.wire.put(&Message::CopyOutResponse(CopyOutResponse::new(0, count, vec![0; columns])));
        if copy.has_header {
            let names = prepared.fields.iter().map(|field| field.name.as_str());
            self.wire.put(&Message::CopyData(CopyData::new(copy::header(names, copy).into())));
        }
        let mut running = self.begin(&prepared, Vec::new(), vec![Format::Text; columns]);
        self.registered.runs(Some(running.stop()));
        let sent = self.send_rows(&mut running, ALL, Some(copy)).await;
        self.registered.runs(None);
        let (count, _) = hand!(sent?);
        self.wire.put(&Message::CopyDone(CopyDone::new()));
        self.complete(&format!("COPY {count}"));
        Ok(Ok(()))
    }
}
