//! `nhatle sql`: a query over stored events, from a folder or from a running server.
//!
//! In: a query. Out: rows on standard output, as lines of JSON, a table, CSV or a Parquet file. A folder is read as it
//! is, also while a server has it open. Failure: what is wrong with the query is exit code 2, what is wrong with the
//! world 3; a Parquet file is written whole or not at all.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::register::FILE_NAME;
use nhatle_storage::sql::write::{self, Format};
use nhatle_storage::sql::{Cell, Limits, Sql, SqlError, World};
use nhatle_storage::{Config, Disk, OsDisk, Store};
use nhatle_ui::model::SqlFormat;
use serde_json::{Map, Value, json};

use super::{End, UsageError, output};
use crate::cli_sql::{SqlArgs, SqlRowFormat};
use crate::forward::client::{City, Client, said};
use crate::pki;
use crate::registry::Registry;
use crate::sources::SourceBook;
use crate::sql::tables;

/// What a server may answer at most.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// How long a server may take.
const ANSWER_WAIT: Duration = Duration::from_secs(3_700);
/// How long a local query may run: whoever asked can end it.
const LOCAL_TIME: Duration = Duration::from_secs(86_400);
/// How many rows the widths of a table's columns are taken from.
const WIDTH_ROWS: usize = 1_000;
/// How wide a column of a table is at most.
const WIDTH_MAX: usize = 60;

/// Runs the command.
///
/// # Errors
/// The query is none, the store cannot be read, the server does not answer.
pub fn run(args: &SqlArgs) -> anyhow::Result<End> {
    match &args.url {
        Some(url) => remote(args, url),
        None => local(args),
    }
}

fn local(args: &SqlArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open_read_only(disk, Config::default(), clock).context("open store")?;
    let mut world = World::of(store.snapshot());
    world.tables.push(tables::sources(&SourceBook::open(&store).context("read the receipt book")?, &|_unit| true));
    world.tables.push(tables::attack(None));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    world.tables.extend(register_tables(data, &runtime)?);
    let limits = Limits { time: LOCAL_TIME, rows_max: u64::MAX, answer_bytes_max: u64::MAX, ..Limits::default() };
    let sql = Sql::new(limits)?;
    let values: Vec<Cell<'static>> = args.params.iter().map(|text| Cell::text(text.as_str())).collect();
    let mut answer = sql.run(&args.query, &values, &world).map_err(usage)?;
    let mut out = output::buffered();
    let format = match args.format {
        SqlRowFormat::Jsonl => Format::JsonLines,
        SqlRowFormat::Csv => Format::Csv,
        SqlRowFormat::Parquet => Format::Parquet,
        SqlRowFormat::Table => {
            let mut table = Table::new(write::names(&answer));
            while let Some(batch) = answer.next_batch().map_err(usage)? {
                for row in 0..batch.len() {
                    let cells = (0..answer.columns().len()).map(|column| write::plain(&batch.cell(row, column)));
                    table.add(cells.collect(), &mut out)?;
                }
            }
            table.end(&mut out)?;
            out.flush()?;
            return Ok(End::Done);
        }
    };
    write::write(&mut answer, format, &mut out).map_err(usage)?;
    out.flush()?;
    Ok(End::Done)
}

/// Incidents, where the folder has a register.
fn register_tables(data: &Path, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<nhatle_storage::sql::Table>> {
    let empty = || {
        let none = nhatle_engine::register::RegisterState::default();
        vec![tables::incidents(&none, &|_| true), tables::incident_alerts(&none, &|_| true)]
    };
    if !data.join(FILE_NAME).try_exists()? {
        return Ok(empty());
    }
    let registry = Registry::open(data, runtime.handle().clone()).context("open register")?;
    let found =
        registry.read(|state| vec![tables::incidents(state, &|_| true), tables::incident_alerts(state, &|_| true)]);
    registry.close();
    Ok(found)
}

/// What is wrong with the query is the user's to mend.
fn usage(error: SqlError) -> anyhow::Error {
    match error {
        SqlError::Refused(_) | SqlError::Failed(_) | SqlError::TooMuch { .. } => UsageError(error.to_string()).into(),
        other => other.into(),
    }
}

fn remote(args: &SqlArgs, url: &str) -> anyhow::Result<End> {
    let city = City::read(url).map_err(|reason| UsageError(format!("--url: {reason}")))?;
    let tls = match city.is_tls {
        false => None,
        true => {
            let path = args.ca.clone().unwrap_or_else(|| args.data.data.join("pki/ca.pem"));
            let pem = std::fs::read_to_string(&path);
            let pem = pem.map_err(|error| UsageError(format!("--ca: {}: {error}", path.display())))?;
            Some(pki::client::authority_client(&pem)?)
        }
    };
    let accept = match args.format {
        SqlRowFormat::Jsonl | SqlRowFormat::Table => SqlFormat::JsonLines,
        SqlRowFormat::Csv => SqlFormat::Csv,
        SqlRowFormat::Parquet => SqlFormat::Parquet,
    };
    let headers = [
        (AUTHORIZATION, format!("Bearer {}", args.token.as_deref().unwrap_or_default())),
        (CONTENT_TYPE, "application/json".to_owned()),
        (ACCEPT, accept.media_type().to_owned()),
    ];
    let body = json!({ "query": args.query, "params": args.params }).to_string().into_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut client = Client::new(city, tls).with_answers(ANSWER_BYTES_MAX, ANSWER_WAIT);
    let answer =
        runtime.block_on(client.post("/api/v1/sql", &headers, body)).map_err(|error| anyhow::anyhow!(said(&error)))?;
    if answer.status != 200 {
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let error = &value["error"];
        let reason = error["detail"]["message"].as_str().or(error["message"].as_str()).unwrap_or("no reason given");
        return Err(UsageError(format!("the server answers {}: {reason}", answer.status)).into());
    }
    let mut out = output::buffered();
    match args.format {
        SqlRowFormat::Table => {
            let mut table: Option<Table> = None;
            for line in answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let row: Map<String, Value> = serde_json::from_slice(line).context("read the server's answer")?;
                let table = table.get_or_insert_with(|| Table::new(row.keys().cloned().collect()));
                let cells = row.values().map(|value| match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                table.add(cells.collect(), &mut out)?;
            }
            if let Some(table) = table {
                table.end(&mut out)?;
            }
        }
        _ => out.write_all(&answer.body)?,
    }
    out.flush()?;
    Ok(End::Done)
}

/// Rows in columns; how wide they are is taken from the first rows.
struct Table {
    names: Vec<String>,
    /// Rows that wait until the widths are known.
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl Table {
    fn new(names: Vec<String>) -> Table {
        Table { names, waiting: Vec::new(), widths: None }
    }

    fn add(&mut self, row: Vec<String>, out: &mut impl Write) -> std::io::Result<()> {
        match &self.widths {
            Some(widths) => line(&row, widths, out),
            None => {
                self.waiting.push(row);
                if WIDTH_ROWS <= self.waiting.len() { self.give(out) } else { Ok(()) }
            }
        }
    }

    fn give(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        let width = |column: usize| {
            let texts = rows.iter().filter_map(|row| row.get(column)).chain(self.names.get(column));
            texts.map(|text| text.chars().count()).max().unwrap_or(0).min(WIDTH_MAX)
        };
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        line(&self.names, &widths, out)?;
        line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>(), &widths, out)?;
        rows.iter().try_for_each(|row| line(row, &widths, out))?;
        self.widths = Some(widths);
        Ok(())
    }

    fn end(mut self, out: &mut impl Write) -> std::io::Result<()> {
        if self.widths.is_none() { self.give(out) } else { Ok(()) }
    }
}

fn line(row: &[String], widths: &[usize], out: &mut impl Write) -> std::io::Result<()> {
    let cells = row.iter().zip(widths).map(|(text, width)| {
        let text = output::cut(text, *width);
        format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count())))
    });
    writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())
}
