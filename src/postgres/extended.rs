//! The extended protocol: statements and portals that are kept, cursors, rows in parts.
//!
//! In: `Parse`, `Bind`, `Describe`, `Execute`, and `DECLARE`, `FETCH`, `CLOSE`. Out: their answers. Promise: statements, portals
//! and what they hold are bounded. Failure: a [`Problem`] of the client's. Source: PostgreSQL 15, chapter 55.2.3.

use std::sync::Arc;

use nhatle_storage::pg::{self, Datum};
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::EmptyQueryResponse;

use super::problem::Problem;
use super::query::Prepared;
use super::session::{ALL, Portal, Session, Statement, Step, What, hand};
use super::text::{self, Command};
use super::value::{self, Field, Format};
use super::wire::Bind;

/// The most statements a session keeps.
const STATEMENTS_MAX: usize = 256;
/// The most portals and cursors.
const PORTALS_MAX: usize = 64;
/// The most bytes of the statements it keeps, and of the values of its portals.
const KEPT_BYTES_MAX: usize = 8 << 20;

impl Session {
    // Cursors.

    pub(super) fn declare(
        &mut self,
        name: String,
        is_binary: bool,
        prepared: &Arc<Prepared>,
        values: Vec<Datum>,
        text: &str,
    ) -> Result<(), Problem> {
        if self.portals.contains_key(&name) {
            return Err(Problem::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        let format = if is_binary { Format::Binary } else { Format::Text };
        let portal = Portal {
            text: text.into(),
            what: What::Rows(Arc::clone(prepared)),
            bytes: 0,
            values,
            formats: vec![format; prepared.fields.len()],
            running: None,
            is_done: false,
            is_cursor: true,
        };
        self.keep_portal(name, portal)
    }

    pub(super) fn cursor(&self, name: &str) -> Result<(Vec<Field>, Vec<Format>), Problem> {
        match self.portals.get(name) {
            Some(Portal { what: What::Rows(prepared), formats, .. }) => Ok((prepared.fields.clone(), formats.clone())),
            _ => Err(Problem::new("34000", format!("cursor \"{name}\" does not exist"))),
        }
    }

    pub(super) async fn fetch(&mut self, name: &str, count: Option<u32>) -> Step<()> {
        let max = count.map_or(ALL, |count| usize::try_from(count).unwrap_or(ALL));
        let (sent, _) = hand!(self.run_portal(name, max).await?);
        self.complete(&format!("FETCH {sent}"));
        Ok(Ok(()))
    }

    // The extended protocol.

    pub(super) async fn parse(&mut self, name: String, text: &str, types: &[u32]) -> Step<()> {
        let statements = hand!(text::statements(text));
        let what = match statements.as_slice() {
            [] => What::Empty,
            [_, _, ..] => {
                return Ok(Err(Problem::new("42601", "cannot insert multiple commands into a prepared statement")));
            }
            [(_, one)] => {
                let command = hand!(text::command(one));
                hand!(self.may_run(&command));
                match command {
                    Command::Query => What::Rows(hand!(self.prepare(text, types).await)),
                    Command::Declare { name, is_binary, query } => {
                        What::Cursor { name, is_binary, of: hand!(self.prepare(&query, types).await) }
                    }
                    Command::Copy(_) => return Ok(Err(Problem::not_built("COPY in a prepared statement"))),
                    other => What::Own(other),
                }
            }
        };
        let kept: usize = self.statements.values().map(|one| one.text.len()).sum();
        let is_new = !self.statements.contains_key(&name);
        if is_new && STATEMENTS_MAX <= self.statements.len() || KEPT_BYTES_MAX < kept + text.len() {
            return Ok(Err(Problem::new("53400", "too many prepared statements")));
        }
        if !is_new && !name.is_empty() {
            return Ok(Err(Problem::new("42P05", format!("prepared statement \"{name}\" already exists"))));
        }
        self.statements.insert(name, Statement { text: text.into(), what });
        self.wire.put(&Message::ParseComplete(ParseComplete::new()));
        Ok(Ok(()))
    }

    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), Problem> {
        let Some(statement) = self.statements.get(&bind.statement).cloned() else {
            return Err(Problem::new("26000", format!("prepared statement \"{}\" does not exist", bind.statement)));
        };
        let (parameters, columns): (&[pg::Kind], usize) = match &statement.what {
            What::Rows(prepared) => (&prepared.parameters, prepared.fields.len()),
            What::Cursor { of, .. } => (&of.parameters, of.fields.len()),
            What::Empty | What::Own(_) => (&[], 0),
        };
        if bind.values.len() != parameters.len() {
            let (given, wanted) = (bind.values.len(), parameters.len());
            let message = format!("bind message supplies {given} parameters, but prepared statement requires {wanted}");
            return Err(Problem::protocol(&message));
        }
        let formats = value::formats(&bind.formats, bind.values.len())?;
        let mut values = Vec::with_capacity(bind.values.len());
        let mut bytes = 0;
        for ((sent, format), kind) in bind.values.iter().zip(formats).zip(parameters) {
            bytes += sent.as_ref().map_or(0, |sent| sent.len());
            values.push(match sent {
                None => Datum::Null,
                Some(sent) => value::parameter(sent, format, *kind)?,
            });
        }
        let formats = match &statement.what {
            What::Own(Command::Fetch(name, _)) => self.cursor(name).map(|(_, formats)| formats).unwrap_or_default(),
            What::Own(_) | What::Empty => Vec::new(),
            _ => value::formats(&bind.results, columns)?,
        };
        let portal = Portal {
            text: statement.text,
            what: statement.what,
            values,
            bytes,
            formats,
            running: None,
            is_done: false,
            is_cursor: false,
        };
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            return Err(Problem::new("42P03", format!("cursor \"{}\" already exists", bind.portal)));
        }
        self.keep_portal(bind.portal, portal)?;
        self.wire.put(&Message::BindComplete(BindComplete::new()));
        Ok(())
    }

    fn keep_portal(&mut self, name: String, portal: Portal) -> Result<(), Problem> {
        let is_new = !self.portals.contains_key(&name);
        let kept: usize = self.portals.values().map(|one| one.bytes).sum();
        if is_new && PORTALS_MAX <= self.portals.len() || KEPT_BYTES_MAX < kept + portal.bytes {
            return Err(Problem::new("53400", "too many open cursors"));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    pub(super) fn describe(&mut self, is_statement: bool, name: &str) -> Result<(), Problem> {
        let (what, formats) = if is_statement {
            let unknown = || Problem::new("26000", format!("prepared statement \"{name}\" does not exist"));
            let statement = self.statements.get(name).ok_or_else(unknown)?;
            let parameters = match &statement.what {
                What::Rows(prepared) => prepared.parameters.iter().map(|kind| value::oid_of(*kind)).collect(),
                What::Cursor { of, .. } => of.parameters.iter().map(|kind| value::oid_of(*kind)).collect(),
                What::Empty | What::Own(_) => Vec::new(),
            };
            self.wire.put(&Message::ParameterDescription(ParameterDescription::new(parameters)));
            (statement.what.clone(), Vec::new())
        } else {
            let unknown = || Problem::new("34000", format!("portal \"{name}\" does not exist"));
            let portal = self.portals.get(name).ok_or_else(unknown)?;
            (portal.what.clone(), portal.formats.clone())
        };
        let described = match what {
            What::Rows(prepared) => Some(value::described(&prepared.fields, &formats)),
            What::Own(Command::Fetch(name, _)) => {
                let (fields, formats) = self.cursor(&name)?;
                Some(value::described(&fields, &formats))
            }
            What::Own(command) => self.table(&command)?.map(|(fields, _)| value::described(&fields, &[])),
            What::Empty | What::Cursor { .. } => None,
        };
        self.wire.put(&described.map_or(Message::NoData(NoData::new()), Message::RowDescription));
        Ok(())
    }

    pub(super) async fn execute(&mut self, name: &str, max: i32) -> Step<()> {
        let max = usize::try_from(max).ok().filter(|max| 0 < *max).unwrap_or(ALL);
        let unknown = || Problem::new("34000", format!("portal \"{name}\" does not exist"));
        let what = hand!(self.portals.get(name).map(|portal| portal.what.clone()).ok_or_else(unknown));
        match what {
            What::Empty => self.wire.put(&Message::EmptyQueryResponse(EmptyQueryResponse::new())),
            What::Rows(_) => {
                hand!(self.may_run(&Command::Query));
                let (count, is_over) = hand!(self.run_portal(name, max).await?);
                if is_over {
                    self.complete(&format!("SELECT {count}"));
                } else {
                    self.wire.put(&Message::PortalSuspended(PortalSuspended::new()));
                }
            }
            What::Cursor { name: cursor, is_binary, of } => {
                let values =
                    self.portals.get_mut(name).map(|portal| std::mem::take(&mut portal.values)).unwrap_or_default();
                hand!(self.declare(cursor, is_binary, &of, values, ""));
                self.complete("DECLARE CURSOR");
            }
            What::Own(command) => {
                hand!(self.may_run(&command));
                if let Command::Fetch(cursor, count) = command {
                    return self.fetch(&cursor, count).await;
                }
                if let Some((fields, rows)) = hand!(self.table(&command)) {
                    let tag = self.plain_rows(&fields, &rows);
                    self.complete(&tag);
                } else {
                    let tag = hand!(self.own(&command));
                    self.complete(&tag);
                }
            }
        }
        Ok(Ok(()))
    }

    /// Rows of a portal, which runs on where it stands.
    async fn run_portal(&mut self, name: &str, max: usize) -> Step<(usize, bool)> {
        let unknown = || Problem::new("34000", format!("cursor \"{name}\" does not exist"));
        let mut portal = hand!(self.portals.remove(name).ok_or_else(unknown));
        let What::Rows(prepared) = &portal.what else { return Ok(Err(unknown())) };
        if portal.is_done {
            self.portals.insert(name.to_owned(), portal);
            return Ok(Ok((0, true)));
        }
        let mut running = match portal.running.take() {
            Some(running) => running,
            None => self.begin(prepared, std::mem::take(&mut portal.values), portal.formats.clone()),
        };
        running.put_aside(false);
        let sent = self.rows(&mut running, max).await?;
        match &sent {
            Ok((_, false)) => {
                running.put_aside(true);
                portal.running = Some(running);
            }
            Ok((_, true)) => portal.is_done = true,
            Err(_) => return Ok(sent),
        }
        self.portals.insert(name.to_owned(), portal);
        Ok(sent)
    }
}
