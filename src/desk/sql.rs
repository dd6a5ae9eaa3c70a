//! SQL for a viewer: the world they may see, and their query's answer as bytes. The limit to units goes into the world, so
//! that no text of a query meets anybody else's rows.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nhatle_engine::incident::Incident;
use nhatle_engine::register::RegisterState;
use nhatle_event::Text;
use nhatle_storage::sql::write::{self, Format};
use nhatle_storage::sql::{Cell, Sql, SqlError, World};
use nhatle_ui::model::{SqlFormat, SqlQuery};
use nhatle_ui::{Answer, DeskError, SqlRefusal, SqlTrouble, Viewer};
use serde_json::Value;

use super::{LiveDesk, failed, incidents, may_see};
use crate::sources::SourceBook;
use crate::sql::tables;

impl LiveDesk {
    /// What runs queries; `None` where SQL is not offered.
    pub fn sql_runner(&self) -> Option<&Arc<Sql>> {
        self.sql.as_ref()
    }

    /// What a query of this viewer sees, as it is now, whichever tables it names.
    pub fn sql_world(&self, viewer: &Viewer) -> World {
        self.sql_world_for(viewer, "incidents, sources, attack")
    }

    /// What this query of this viewer sees, as it is now. A table of ours that its text does not name has no rows: there
    /// may be a hundred thousand incidents.
    pub fn sql_world_for(&self, viewer: &Viewer, query: &str) -> World {
        let limit = self.limit(viewer);
        let text = query.to_lowercase();
        let is_seen = |incident: &Incident| incidents::is_seen(&limit, incident);
        let none = RegisterState::default();
        let mut tables = self.shared.registry.read(|state| {
            let state = if text.contains("incident") { state } else { &none };
            vec![tables::incidents(state, &is_seen), tables::incident_alerts(state, &is_seen)]
        });
        // A copy of the book is some pointers.
        let book = if text.contains("sources") { self.shared.book().clone() } else { SourceBook::default() };
        tables.push(tables::sources(&book, &|unit| may_see(&limit, unit)));
        let rules = text.contains("attack").then(|| self.shared.rules());
        tables.push(tables::attack(rules.as_deref()));
        let units = limit.map(|units| units.iter().map(Text::from).collect());
        World { units, tables, account: viewer.user.as_str().into(), ..World::of(self.shared.store.snapshot()) }
    }
}

/// Runs a query and writes its answer.
pub(super) fn run(
    desk: &LiveDesk,
    viewer: &Viewer,
    query: &SqlQuery,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> Answer<()> {
    let sql = desk.sql.as_ref().ok_or(DeskError::NotFound)?;
    let world = World { canceled: Arc::clone(stop), ..desk.sql_world_for(viewer, &query.text) };
    let values: Vec<Cell<'static>> = query.parameters.iter().map(cell).collect();
    let format = match query.format {
        SqlFormat::Json => Format::Json,
        SqlFormat::JsonLines => Format::JsonLines,
        SqlFormat::Csv => Format::Csv,
        SqlFormat::Arrow => Format::Arrow,
        SqlFormat::Parquet => Format::Parquet,
    };
    let mut answer = sql.run(&query.text, &values, &world).map_err(told)?;
    write::write(&mut answer, format, out).map_err(told)?;
    Ok(())
}

/// A parameter as JSON has it.
fn cell(value: &Value) -> Cell<'static> {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cell::Int(whole),
            (None, Some(double)) => Cell::Double(double),
            (None, None) => Cell::Null,
        },
        Value::String(text) => Cell::text(text.as_str()),
        other => Cell::text(other.to_string()),
    }
}

fn told(error: SqlError) -> DeskError {
    let trouble = match &error {
        SqlError::Refused(_) => SqlTrouble::Refused,
        SqlError::Failed(_) => SqlTrouble::Failed,
        SqlError::Busy { .. } | SqlError::PutAside => SqlTrouble::Busy,
        SqlError::TimeLimit { .. } => SqlTrouble::TooLong,
        SqlError::Memory(_) | SqlError::TooMuch { .. } => SqlTrouble::TooMuch,
        SqlError::Canceled => return DeskError::Canceled,
        SqlError::World { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe => {
            return DeskError::Canceled;
        }
        _ => return failed(error),
    };
    DeskError::Sql(SqlRefusal { trouble, reason: error.to_string() })
}
