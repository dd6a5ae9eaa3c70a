//! Commands that this server answers by itself: settings, transactions, what is to be forgotten.
//!
//! In: a [`Command`]. Out: rows of text, or the tag of its answer. Failure: [`Problem`].

use nhatle_storage::pg::Datum;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::startup::ParameterStatus;

use super::problem::Problem;
use super::session::Session;
use super::settings::{TOLD, Taken};
use super::text::Command;
use super::value::{Field, Format, Rows};

/// Rows of text, and their columns.
pub(super) type Table = (Vec<Field>, Vec<Vec<String>>);

impl Session {
    /// The rows of a command that gives some.
    pub(super) fn table(&self, command: &Command) -> Result<Option<Table>, Problem> {
        match command {
            Command::Show(name) => {
                let unknown = || Problem::new("42704", format!("unrecognized configuration parameter \"{name}\""));
                let value = self.settings.get(name).ok_or_else(unknown)?.to_owned();
                let shown = TOLD.iter().find(|(_, known)| known == name).map_or(name.as_str(), |(told, _)| told);
                Ok(Some((vec![Field::text(shown)], vec![vec![value]])))
            }
            Command::ShowAll => {
                let fields = ["name", "setting", "description"].map(Field::text).to_vec();
                let rows =
                    self.settings.all().iter().map(|(name, value)| vec![name.clone(), value.clone(), String::new()]);
                Ok(Some((fields, rows.collect())))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn plain_rows(&mut self, fields: &[Field], rows: &[Vec<String>]) -> String {
        let mut out = Rows::default();
        for row in rows {
            for (value, field) in row.iter().zip(fields) {
                out.datum(&Datum::text(value.as_str()), field.kind, Format::Text);
            }
            // A setting is short.
            drop(out.finish());
        }
        self.wire.put_bytes(&out.bytes);
        "SHOW".to_owned()
    }

    /// Does what needs no rows; the tag of its answer.
    pub(super) fn own(&mut self, command: &Command) -> Result<String, Problem> {
        let tag = match command {
            Command::Set(name, value) => {
                if let Taken::Instead(problem) = self.settings.set(name, value.as_deref())? {
                    self.wire.put(&problem.notice());
                }
                let told = TOLD.iter().find(|(_, known)| *known == name.to_lowercase());
                if let Some((told, known)) = told {
                    let value = self.settings.get(known).unwrap_or_default().chars().take(256).collect();
                    self.wire.put(&Message::ParameterStatus(ParameterStatus::new((*told).to_owned(), value)));
                }
                if value.is_some() { "SET" } else { "RESET" }
            }
            Command::ResetAll => {
                self.settings.reset();
                "RESET"
            }
            Command::Nothing(tag) => {
                if *tag == "ROLLBACK" && self.status == TransactionStatus::Error {
                    self.status = TransactionStatus::Transaction;
                }
                tag
            }
            Command::Begin => {
                if self.status != TransactionStatus::Idle {
                    self.wire.put(&Problem::new("25001", "there is already a transaction in progress").notice());
                } else {
                    self.status = TransactionStatus::Transaction;
                }
                "BEGIN"
            }
            Command::Commit | Command::Rollback => {
                let is_failed = self.status == TransactionStatus::Error;
                if self.status == TransactionStatus::Idle {
                    self.wire.put(&Problem::new("25P01", "there is no transaction in progress").notice());
                }
                self.status = TransactionStatus::Idle;
                self.portals.clear();
                if *command == Command::Rollback || is_failed { "ROLLBACK" } else { "COMMIT" }
            }
            Command::Discard => {
                self.settings.reset();
                self.statements.clear();
                self.portals.clear();
                "DISCARD ALL"
            }
            Command::Deallocate(None) => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            Command::Deallocate(Some(name)) => {
                let unknown = || Problem::new("26000", format!("prepared statement \"{name}\" does not exist"));
                self.statements.remove(name).ok_or_else(unknown)?;
                "DEALLOCATE"
            }
            Command::CloseCursor(None) => {
                self.portals.retain(|_, portal| !portal.is_cursor);
                "CLOSE CURSOR ALL"
            }
            Command::CloseCursor(Some(name)) => {
                let unknown = || Problem::new("34000", format!("cursor \"{name}\" does not exist"));
                self.portals.remove(name).ok_or_else(unknown)?;
                "CLOSE CURSOR"
            }
            Command::Change(what) => {
                return Err(Problem::new("25006", format!("cannot execute {what}: this server is read-only")));
            }
            Command::NotBuilt(what) => return Err(Problem::not_built(what)),
            Command::Query | Command::Declare { .. } | Command::Fetch(..) | Command::Copy(_) => {
                return Err(Problem::new("XX000", "a command was not recognized"));
            }
            Command::Show(_) | Command::ShowAll => "SHOW",
        };
        Ok(tag.to_owned())
    }
}
