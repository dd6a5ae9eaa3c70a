//! Statements that give rows: prepared against the engine or the catalog, run on a thread of their own, read as they come.
//!
//! In: text, parameters, who asks. Out: [`Prepared`], then [`Running`], whose rows are encoded on the thread that makes them.
//! Promise: at most [`CHUNKS_WAITING`] chunks of some [`CHUNK_BYTES`] wait for a slow client; whoever waits is told at once when
//! the time is over or somebody cancels; a dropped [`Running`] ends its query; one that stands still gives its turn to others
//! that wait, and holds its thread no longer than its time. Failure: [`Problem`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nhatle_storage::pg::{self, Budget, Catalog, Datum, Facts};
use nhatle_storage::sql::{Answer, Cell, Constant, Sql, World};
use nhatle_ui::Viewer;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::problem::{Problem, of_engine};
use super::settings::VERSION;
use super::value::{self, Field, Format, Rows};

/// How many chunks wait for the client.
const CHUNKS_WAITING: usize = 2;
/// From how many bytes on a chunk is handed on.
const CHUNK_BYTES: usize = 64 << 10;
/// How many statements over the catalog run at once.
const CATALOG_RUNNING_MAX: usize = 2;
/// The most columns of an answer, as in PostgreSQL.
const COLUMNS_MAX: usize = 1_664;

/// The tables of the store, and what they hold.
const STORED: &[(&str, &str)] = &[
    ("events", "Events as they were normalized, one row each; columns are ECS fields"),
    ("alerts", "Alerts of rules, one row each"),
    ("dead_letters", "Records that could not be read, with the reason"),
];

/// What answers.
pub struct Source {
    sql: Arc<Sql>,
    world: Box<dyn Fn(&Viewer) -> World + Send + Sync>,
    /// The catalog; tables and columns are the same for everybody, and as long as the server runs.
    catalog: Mutex<Option<Arc<Catalog>>>,
    /// Turns of statements over the catalog, which hold their rows in memory.
    turns: Semaphore,
}

impl Source {
    /// What answers by this engine, over what a viewer sees.
    pub fn new(sql: Arc<Sql>, world: Box<dyn Fn(&Viewer) -> World + Send + Sync>) -> Source {
        Source { sql, world, catalog: Mutex::default(), turns: Semaphore::new(CATALOG_RUNNING_MAX) }
    }

    /// How long a statement may run at most.
    pub fn time_max(&self) -> Duration {
        self.sql.limits().time
    }

    /// What a viewer sees, and what it is told of the server beside rows of events.
    fn seen(&self, viewer: &Viewer, user: &str) -> World {
        let mut world = (self.world)(viewer);
        let constant = |name: &str, value: &str| Constant { name: name.to_owned(), value: Cell::text(value) };
        world.constants.extend([
            constant("version", &version()),
            constant("current_database", super::DATABASE),
            constant("current_catalog", super::DATABASE),
            constant("current_schema", "public"),
            constant("current_user", user),
            constant("session_user", user),
        ]);
        world
    }

    /// The catalog. Blocks.
    ///
    /// # Errors
    /// It is not made yet, and the engine has no turn for it now.
    pub fn catalog(&self, viewer: &Viewer) -> Result<Arc<Catalog>, Problem> {
        let mut kept = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(catalog) = &*kept {
            return Ok(Arc::clone(catalog));
        }
        let world = (self.world)(viewer);
        let table = |name: &str, comment: &str, columns: &[nhatle_storage::sql::Column]| pg::Table {
            name: name.to_owned(),
            comment: comment.to_owned(),
            columns: columns
                .iter()
                .map(|of| pg::Column { name: of.name.clone(), kind: value::kind_of(of.kind), comment: String::new() })
                .collect(),
        };
        let mut tables = Vec::new();
        for (name, comment) in STORED {
            let text = format!("SELECT * FROM {name}");
            let described = self.sql.describe(&text, &world).map_err(|error| of_engine(&error, &text))?;
            tables.push(table(name, comment, &described.columns));
        }
        let given = world.tables.iter().filter(|table| table.schema.is_none());
        tables.extend(given.map(|of| table(&of.name, "", &of.columns)));
        let facts = Facts { database: super::DATABASE.to_owned(), version: version(), tables };
        let catalog = Arc::new(Catalog::new(facts));
        *kept = Some(Arc::clone(&catalog));
        Ok(catalog)
    }
}

fn version() -> String {
    format!("PostgreSQL {VERSION} (nhatle {})", env!("CARGO_PKG_VERSION"))
}

/// A statement that gives rows.
pub struct Prepared {
    /// Its columns.
    pub fields: Vec<Field>,
    /// The types of its parameters.
    pub parameters: Vec<pg::Kind>,
    text: Arc<str>,
    of: Of,
}

enum Of {
    Engine,
    Catalog(Box<pg::Prepared>),
}

/// Prepares a statement. Blocks.
///
/// # Errors
/// It is refused.
pub fn prepare(
    source: &Source,
    catalog: &Arc<Catalog>,
    (viewer, user): (&Viewer, &str),
    text: &str,
    types: &[u32],
) -> Result<Prepared, Problem> {
    let said: Vec<Option<pg::Kind>> = types.iter().map(|oid| pg::Kind::from_oid(i64::from(*oid))).collect();
    let prepared = if pg::scan::is_for_catalog(text) {
        let prepared = pg::prepare(catalog, text, &said)?;
        let field = |(name, kind): &(String, pg::Kind)| Field { name: name.clone(), kind: *kind };
        let fields = prepared.columns().iter().map(field).collect();
        let parameters = prepared.parameters().to_vec();
        Prepared { fields, parameters, text: text.into(), of: Of::Catalog(Box::new(prepared)) }
    } else {
        let described =
            source.sql.describe(text, &source.seen(viewer, user)).map_err(|error| of_engine(&error, text))?;
        let fields =
            described.columns.into_iter().map(|of| Field { name: of.name, kind: value::kind_of(of.kind) }).collect();
        let wanted = described.parameters.into_iter().map(|kind| kind.map_or(pg::Kind::Text, value::kind_of));
        // What the client says of a parameter is how it sends it.
        let kind = |(index, wanted): (usize, pg::Kind)| said.get(index).copied().flatten().unwrap_or(wanted);
        Prepared { fields, parameters: wanted.enumerate().map(kind).collect(), text: text.into(), of: Of::Engine }
    };
    if COLUMNS_MAX < prepared.fields.len() {
        return Err(Problem::new("54011", format!("an answer has at most {COLUMNS_MAX} columns")));
    }
    Ok(prepared)
}

/// Ends a query from outside.
#[derive(Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// The engine's own, which the engine sets too, when it is done.
    engine: Arc<AtomicBool>,
    /// The client has put it aside.
    put_aside: Arc<AtomicBool>,
    /// The time was over before all rows were handed on.
    is_cut: Arc<AtomicBool>,
    told: Notify,
}

impl Stop {
    /// Ends it.
    pub fn stop(&self) {
        self.end();
        self.told.notify_one();
    }

    fn end(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.engine.store(true, Ordering::Relaxed);
    }

    /// Whether it was ended.
    #[cfg(test)]
    pub fn is_stopped(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
}

/// Rows of a query, or its end.
pub enum Chunk {
    /// Encoded rows.
    Rows(Rows),
    /// There are no more, for a reason.
    Failed(Problem),
}

/// A query that runs.
pub struct Running {
    chunks: mpsc::Receiver<Chunk>,
    stop: Arc<Stop>,
    due: tokio::time::Instant,
    /// Rows that were not sent yet: the chunk, and how many of it are gone.
    rest: Option<(Rows, usize)>,
    is_over: bool,
}

/// What the client is asked with.
pub struct Asking {
    /// What answers.
    pub source: Arc<Source>,
    /// Who asks.
    pub viewer: Viewer,
    /// The name it came in with.
    pub user: String,
    /// What the catalog's functions are told.
    pub session: pg::Session,
    /// How long it may take.
    pub time: Duration,
}

impl Running {
    /// Begins a query.
    pub fn start(asking: Asking, prepared: Arc<Prepared>, values: Vec<Datum>, formats: Vec<Format>) -> Running {
        let stop = Arc::new(Stop::default());
        let (sender, chunks) = mpsc::channel(CHUNKS_WAITING);
        let due = Instant::now() + asking.time;
        let of_work = Arc::clone(&stop);
        tokio::task::spawn_blocking(move || {
            let work = Work { prepared, values, formats, due: due.into(), stop: of_work, sender };
            if let Err(problem) = work.run(&asking) {
                work.send(Chunk::Failed(problem));
            }
        });
        Running { chunks, stop, due: due.into(), rest: None, is_over: false }
    }

    /// How it is ended from outside.
    pub fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.stop)
    }

    /// Says whether the client has put it aside: a cursor that stands still.
    pub fn put_aside(&self, is_aside: bool) {
        self.stop.put_aside.store(is_aside, Ordering::Relaxed);
    }

    /// Up to `max` rows more, encoded; `None` at the end.
    ///
    /// # Errors
    /// Why there are no more.
    pub async fn next(&mut self, max: usize) -> Result<Option<(bytes::BytesMut, usize)>, Problem> {
        if self.rest.is_none() && !self.is_over {
            let got = tokio::select! {
                chunk = self.chunks.recv() => match chunk {
                    Some(Chunk::Rows(rows)) => Ok(Some(rows)),
                    Some(Chunk::Failed(problem)) => Err(problem),
                    // Its thread may have heard of the end before us.
                    None if self.stop.flag.load(Ordering::Relaxed) => Err(Problem::canceled()),
                    None if self.stop.is_cut.load(Ordering::Relaxed) => Err(Problem::timeout()),
                    None => Ok(None),
                },
                () = self.stop.told.notified() => Err(Problem::canceled()),
                () = tokio::time::sleep_until(self.due) => Err(Problem::timeout()),
            };
            match got {
                Ok(Some(rows)) => self.rest = Some((rows, 0)),
                Ok(None) => self.is_over = true,
                Err(problem) => {
                    self.is_over = true;
                    self.stop.end();
                    self.chunks.close();
                    return Err(problem);
                }
            }
        }
        let Some((mut rows, gone)) = self.rest.take() else { return Ok(None) };
        let take = max.min(rows.ends.len() - gone);
        let start = gone.checked_sub(1).map_or(0, |last| rows.ends[last]);
        let end = (gone + take).checked_sub(1).map_or(0, |last| rows.ends[last]);
        // What is before was split off already.
        let bytes = rows.bytes.split_to(end - start);
        if gone + take < rows.ends.len() {
            self.rest = Some((rows, gone + take));
        }
        Ok(Some((bytes, take)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.end();
    }
}

struct Work {
    prepared: Arc<Prepared>,
    values: Vec<Datum>,
    formats: Vec<Format>,
    due: tokio::time::Instant,
    stop: Arc<Stop>,
    sender: mpsc::Sender<Chunk>,
}

impl Work {
    fn run(&self, asking: &Asking) -> Result<(), Problem> {
        match &self.prepared.of {
            Of::Catalog(prepared) => {
                let turn = Handle::current().block_on(asking.source.turns.acquire());
                let _turn = turn.map_err(|_closed| Problem::new("57P01", "the server stops"))?;
                let budget = Budget { stop: Arc::clone(&self.stop.flag), due: self.due.into_std() };
                let rows = prepared.run(&self.values, &asking.session, &budget)?;
                let mut out = Rows::default();
                for row in rows {
                    for ((value, field), format) in row.iter().zip(&self.prepared.fields).zip(&self.formats) {
                        out.datum(value, field.kind, *format);
                    }
                    out.finish()?;
                    if !self.hand_on(&mut out, CHUNK_BYTES) {
                        return Ok(());
                    }
                }
                self.hand_on(&mut out, 0);
                Ok(())
            }
            Of::Engine => self.engine(asking),
        }
    }

    fn engine(&self, asking: &Asking) -> Result<(), Problem> {
        let text = &self.prepared.text;
        let kinds = &self.prepared.parameters;
        let cells = self.values.iter().zip(kinds).map(|(value, kind)| value::cell_of(value, *kind));
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        let seen = asking.source.seen(&asking.viewer, &asking.user);
        let (canceled, put_aside) = (Arc::clone(&self.stop.engine), Arc::clone(&self.stop.put_aside));
        let world = World { canceled, put_aside, ..seen };
        let failed = |error| {
            // What ended because of us is told by who ended it.
            if !self.stop.flag.load(Ordering::Relaxed) {
                tracing::debug!(error.message = %error, "a query of a PostgreSQL client ended");
            }
            of_engine(&error, text)
        };
        let mut answer: Answer = asking.source.sql.run(text, &cells, &world).map_err(failed)?;
        let mut out = Rows::default();
        while let Some(batch) = answer.next_batch().map_err(failed)? {
            for row in 0..batch.len() {
                for (column, format) in self.formats.iter().enumerate() {
                    out.cell(&batch.cell(row, column), *format)?;
                }
                out.finish()?;
                if !self.hand_on(&mut out, CHUNK_BYTES) {
                    return Ok(());
                }
            }
        }
        self.hand_on(&mut out, 0);
        Ok(())
    }

    /// Hands the rows on once they are more than this; whether anybody still wants them.
    fn hand_on(&self, rows: &mut Rows, bytes: usize) -> bool {
        if self.stop.flag.load(Ordering::Relaxed) {
            return false;
        }
        if rows.bytes.len() <= bytes {
            return true;
        }
        self.send(Chunk::Rows(std::mem::take(rows)))
    }

    /// Whether it was taken within the time: a cursor that is never read on must not hold a thread for as long as its session.
    fn send(&self, chunk: Chunk) -> bool {
        let sent = Handle::current().block_on(tokio::time::timeout_at(self.due, self.sender.send(chunk)));
        if sent.is_err() {
            self.stop.is_cut.store(true, Ordering::Relaxed);
        }
        matches!(sent, Ok(Ok(())))
    }
}
