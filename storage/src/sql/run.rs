//! `Sql`: runs queries, each within its limits, on threads of its own. In: the text, its parameters, a [`World`]. Out:
//! [`Answer`], read from any blocking thread. Promise: who waits for an answer is told at the latest when its time is
//! over; whose answer is dropped runs no further than to its next batch; a query has its turn until what drives it
//! is done, and all run on the same few threads, so what cannot be ended at once cannot pile up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use datafusion::common::Result as DataResult;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::sqlparser::ast::Statement;
use futures_util::StreamExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

use super::answer::{Answer, columns_of};
use super::cell::{Cell, Column, Kind};
use super::deadline::Deadline;
use super::error::{Ended, SqlError, ended};
use super::gate::{Gate, Turn};
use super::{Limits, World, session, tables, text};

/// The stack of a thread that plans: trees of a query are as deep as it has operators.
const PLAN_STACK_BYTES: usize = 128 << 20;
/// The stack of a thread that runs, for the same reason.
const RUN_STACK_BYTES: usize = 32 << 20;
/// How many batches wait for whoever reads an answer.
const BATCHES_WAITING: usize = 4;

/// How long an answer that was put aside keeps its turn while others wait; less than they wait ([`Limits::wait`]).
const ASIDE_MAX: Duration = Duration::from_millis(500);
/// How often it looks whether it is put aside, and whether others wait.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Runs queries.
pub struct Sql {
    limits: Limits,
    gate: Arc<Gate>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What a query gives and asks for, without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The columns of its answer.
    pub columns: Vec<Column>,
    /// What `$1`, `$2`, … are; `None` where the query does not say, which takes any.
    pub parameters: Vec<Option<Kind>>,
}

/// What travels from the query's threads to whoever reads.
pub(super) enum Message {
    /// The next rows.
    Rows(RecordBatch),
    /// There are no more.
    End,
    /// Why there are no more.
    Error(SqlError),
}

impl Sql {
    /// Begins to take queries. What is left in the folder for spilled rows is deleted.
    ///
    /// # Errors
    /// Threads cannot be started, or the folder cannot be made.
    pub fn new(limits: Limits) -> Result<Sql, SqlError> {
        if let Some(folder) = &limits.spill_folder {
            let made = match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => std::fs::create_dir_all(folder),
            };
            made.map_err(|source| SqlError::World { what: format!("making {}", folder.display()), source })?;
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(limits.threads.max(1) + 1)
            .thread_stack_size(RUN_STACK_BYTES)
            .thread_name("sql")
            .enable_time()
            .build()
            .map_err(|source| SqlError::World { what: "starting threads for queries".to_owned(), source })?;
        Ok(Sql { gate: Gate::new(limits.running_max), limits, runtime: Some(runtime) })
    }

    /// What queries may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many queries run.
    pub fn running(&self) -> usize {
        self.gate.running()
    }

    /// What a query gives and asks for.
    ///
    /// # Errors
    /// It is refused, or as many queries run as may.
    pub fn describe(&self, query: &str, world: &World) -> Result<Described, SqlError> {
        let deadline = Deadline::after(self.limits.time, Arc::clone(&world.canceled));
        let limits = self.limits.clone();
        self.planned(query, world, &deadline, move |handle, statement, world, deadline| {
            handle.block_on(async {
                let state = session::open(&limits, &world, &deadline)?;
                let plan = session::planned(&state, statement).await?;
                let kinds = session::parameters(&plan)?;
                let columns = columns_of(plan.schema().as_arrow());
                let parameters = kinds.into_iter().map(|of| Some(tables::kind_of(&of?))).collect();
                Ok(Described { columns, parameters })
            })
        })
        .map(|(described, _turn)| described)
    }

    /// Runs a query. It is planned when this returns; what goes wrong later is told by the answer.
    ///
    /// # Errors
    /// It is refused, a parameter is not of its kind, or as many queries run as may.
    pub fn run(&self, query: &str, parameters: &[Cell<'_>], world: &World) -> Result<Answer, SqlError> {
        let deadline = Deadline::after(self.limits.time, Arc::clone(&world.canceled));
        let limits = self.limits.clone();
        let values: Vec<Cell<'static>> = parameters.iter().map(Cell::owned).collect();
        let plan = self.planned(query, world, &deadline, move |handle, statement, world, deadline| {
            handle.block_on(async {
                let state = session::open(&limits, &world, &deadline)?;
                let plan = session::with_values(session::planned(&state, statement).await?, &values)?;
                let schema: SchemaRef = Arc::clone(plan.schema().inner());
                let plan = session::physical(&state, &plan, &deadline).await?;
                Ok((schema, plan, state.task_ctx()))
            })
        });
        let ((schema, plan, context), turn) = plan?;
        Ok(self.started(schema, plan, context, deadline, (turn, Arc::clone(&world.put_aside))))
    }

    /// Reads the text and does what is to be done with it on a thread with room for deep trees.
    fn planned<T: Send + 'static>(
        &self,
        query: &str,
        world: &World,
        deadline: &Deadline,
        work: impl FnOnce(&Handle, Statement, World, Deadline) -> DataResult<T> + Send + 'static,
    ) -> Result<(T, Turn), SqlError> {
        let Some(runtime) = &self.runtime else { return Err(SqlError::Canceled) };
        let turn = self.gate.enter(&world.account, self.limits.wait);
        let turn = turn.ok_or(SqlError::Busy { running_max: self.limits.running_max })?;
        let (sender, receiver) = channel();
        let (handle, query, world, until) =
            (runtime.handle().clone(), query.to_owned(), world.clone(), deadline.clone());
        let planning = move || {
            let made = text::read(&query)
                .and_then(|statement| work(&handle, statement, world, until).map_err(|error| SqlError::of(&error)));
            // Nobody may wait any more.
            drop(sender.send(made.map(|made| (made, turn))));
        };
        let started = thread::Builder::new().name("sql-plan".to_owned()).stack_size(PLAN_STACK_BYTES).spawn(planning);
        started.map_err(|source| SqlError::World { what: "starting a thread for a query".to_owned(), source })?;
        match receiver.recv_timeout(deadline.left()) {
            Ok(made) => made,
            Err(RecvTimeoutError::Timeout) => Err(SqlError::TimeLimit { time: deadline.time() }),
            Err(RecvTimeoutError::Disconnected) => Err(SqlError::Canceled),
        }
    }

    fn started(
        &self,
        schema: SchemaRef,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        deadline: Deadline,
        (turn, put_aside): (Turn, Arc<AtomicBool>),
    ) -> Answer {
        let (sender, receiver) = channel();
        let room = Arc::new(Semaphore::new(BATCHES_WAITING));
        let drive = Drive {
            rows_left: self.limits.rows_max,
            bytes_left: self.limits.answer_bytes_max,
            limits: (self.limits.rows_max, self.limits.answer_bytes_max),
            room: Arc::clone(&room),
            deadline: deadline.clone(),
            sender,
            put_aside,
            turn,
        };
        let task = self.runtime.as_ref().map(|runtime| runtime.spawn(drive.run(plan, context)));
        Answer::new(schema, receiver, room, deadline, task.map(|task| task.abort_handle()))
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

/// Takes a query's rows to whoever reads.
struct Drive {
    rows_left: u64,
    bytes_left: u64,
    limits: (u64, u64),
    room: Arc<Semaphore>,
    deadline: Deadline,
    sender: Sender<Message>,
    put_aside: Arc<AtomicBool>,
    /// Held until all is done.
    turn: Turn,
}

impl Drive {
    async fn run(mut self, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) {
        let left = self.deadline.left();
        let time = self.deadline.time();
        let sender = self.sender.clone();
        let done = match tokio::time::timeout(left, self.rows(plan, context)).await {
            Ok(Ok(())) => Message::End,
            Ok(Err(error)) => Message::Error(error),
            Err(_elapsed) => Message::Error(SqlError::of(&ended(Ended::Time(time)))),
        };
        // Nobody may wait any more.
        drop(sender.send(done));
    }

    async fn rows(&mut self, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<(), SqlError> {
        let mut stream = execute_stream(plan, context).map_err(|error| SqlError::of(&error))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| SqlError::of(&error))?;
            self.deadline.check().map_err(|error| SqlError::of(&error))?;
            let too_much = SqlError::TooMuch { rows_max: self.limits.0, bytes_max: self.limits.1 };
            let bytes = bytes_of(&batch);
            match (self.rows_left.checked_sub(batch.num_rows() as u64), self.bytes_left.checked_sub(bytes)) {
                (Some(rows), Some(bytes)) => (self.rows_left, self.bytes_left) = (rows, bytes),
                _ => return Err(too_much),
            }
            let room = Arc::clone(&self.room);
            let place = tokio::select! {
                place = room.acquire() => place,
                () = self.must_give_up() => return Err(SqlError::PutAside),
            };
            match place {
                Ok(place) => place.forget(),
                Err(_closed) => return Ok(()),
            }
            if self.sender.send(Message::Rows(batch)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits until the answer is put aside for a while and another query waits for its turn.
    async fn must_give_up(&mut self) {
        let mut aside = Duration::ZERO;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            aside = if self.put_aside.load(Ordering::Relaxed) { aside + LOOK_INTERVAL } else { Duration::ZERO };
            if ASIDE_MAX <= aside && self.turn.give_up() {
                return;
            }
        }
    }
}

/// The bytes of a batch's values; views count what they show, not the pages they show it of.
pub(super) fn bytes_of(batch: &RecordBatch) -> u64 {
    use arrow_array::cast::AsArray;
    let of = |array: &arrow_array::ArrayRef| match array.data_type() {
        arrow_schema::DataType::Utf8View => {
            array.as_string_view().lengths().map(u64::from).sum::<u64>() + 16 * array.len() as u64
        }
        arrow_schema::DataType::BinaryView => {
            array.as_binary_view().lengths().map(u64::from).sum::<u64>() + 16 * array.len() as u64
        }
        _ => array.to_data().get_slice_memory_size().unwrap_or(0) as u64,
    };
    batch.columns().iter().map(of).sum()
}
