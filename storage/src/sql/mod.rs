//! SQL over what is stored. In: the text of one query, its parameters, and a [`World`]: a snapshot, the units its
//! viewer may see, tables that others give. Out: [`Answer`], rows as neutral [`Cell`]s, or written as a file
//! ([`write`]).
//!
//! Promise: an answer is the one that reading every event would give; the index only makes it quicker. A limit to units
//! holds where events are read, before any expression of the query sees a row. A query only reads, never a file; its
//! memory, time, rows, bytes and room on the disk are bounded ([`Limits`]), and so is how many run at once. Failure:
//! [`SqlError`]. Source: Apache DataFusion 55; ADR 28.
//!
//! ```text
//! text -> text (tokens, what is refused) -> session (tables, functions, plan) -> run (own threads, limits)
//!      -> events (which segments) -> scan (rows of one segment after the other) -> answer
//! ```

pub mod answer;
mod band;
mod bucket;
pub mod cell;
mod condition;
mod deadline;
mod distinct;
mod error;
mod events;
mod functions;
mod gate;
mod gather;
mod group;
mod guard;
mod kept;
mod math;
mod parts;
mod piles;
mod push;
mod run;
mod scan;
mod session;
mod slices;

mod spread;
mod tables;
mod tally;
mod text;
mod values;
mod walk;
mod wanted;
pub mod write;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_attrs;
#[cfg(test)]
mod tests_calls;
#[cfg(test)]
mod tests_group;
#[cfg(test)]
mod tests_limits;
#[cfg(test)]
mod tests_slices;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nhatle_event::Text;

pub use answer::{Answer, Batch};
pub use cell::{Cell, Column, Constant, Kind, Table};
pub use error::SqlError;
pub(crate) use kept::forget;
pub use run::{Described, Sql};

use crate::snapshot::Snapshot;

/// How long the text of a query may be.
pub const TEXT_BYTES_MAX: usize = 128 << 10;
/// How many parameters one query may have.
pub const PARAMETERS_MAX: usize = 1_000;

/// What one query may take, and how many may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of sorts, joins and groups; what is more goes to the disk.
    pub memory_bytes: usize,
    /// Room on the disk for that.
    pub spill_bytes: u64,
    /// The folder for that; what is in it when [`Sql::new`] is called is deleted. `None` is the system's own folder for
    /// temporary files.
    pub spill_folder: Option<PathBuf>,
    /// How long it may run.
    pub time: Duration,
    /// How many rows its answer may have.
    pub rows_max: u64,
    /// How many bytes its answer may have, as Arrow holds them.
    pub answer_bytes_max: u64,
    /// How many queries run at once.
    pub running_max: usize,
    /// How long one more waits for its turn.
    pub wait: Duration,
    /// How many threads read segments for one query.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 256 << 20,
            spill_bytes: 2 << 30,
            spill_folder: None,
            time: Duration::from_secs(60),
            rows_max: 1_000_000,
            answer_bytes_max: 256 << 20,
            running_max: 4,
            wait: Duration::from_secs(2),
            threads: std::thread::available_parallelism().map_or(1, |count| count.get().min(4)),
        }
    }
}

/// What one query sees. It does not change while the query runs.
#[derive(Clone)]
pub struct World {
    /// The events.
    pub snapshot: Snapshot,
    /// The events of these organization units only, as [`crate::query::Query::units`]; `None` is no limit.
    pub units: Option<Vec<Text>>,
    /// Tables beside `events`, `alerts` and `dead_letters`. Whoever gives them has left out what the viewer may not see.
    pub tables: Vec<Table>,
    /// Functions that give one value whatever they are asked.
    pub constants: Vec<Constant>,
    /// Who asks: one account has at most half of the turns while others ask.
    pub account: Arc<str>,
    /// Becomes true when nobody waits for the answer any more.
    pub canceled: Arc<AtomicBool>,
    /// True while whoever asked has put the answer aside (a cursor that stands still). Then its turn is given to one that
    /// waits, and the answer ends in [`SqlError::PutAside`].
    pub put_aside: Arc<AtomicBool>,
}

impl World {
    /// The events of a snapshot, all of them, and nothing else.
    pub fn of(snapshot: Snapshot) -> World {
        World {
            snapshot,
            units: None,
            tables: Vec::new(),
            constants: Vec::new(),
            account: Arc::from(""),
            canceled: Arc::default(),
            put_aside: Arc::default(),
        }
    }
}
