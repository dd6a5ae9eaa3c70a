//! `pg`: the tables about tables that PostgreSQL's clients ask for, answered from memory.
//!
//! psql, DBeaver, Metabase, Grafana and SQLAlchemy ask `pg_catalog` and `information_schema` what there is before they ask for
//! an event. In: one SQL statement over those tables, and the facts they are made of. Out: columns with their kinds, rows.
//! Promise: only what is told of is known, no row of an event is ever here; a statement runs within a [`Budget`] of steps, rows
//! and time; the meaning is PostgreSQL's (three-valued logic, `LIKE`, regular expressions, correlated subqueries).
//! Failure: [`Problem`] with PostgreSQL's SQLSTATE. Source: PostgreSQL 15, chapters 9, 37 and 53; ADR 32.

pub mod datum;
pub mod scan;
pub mod tables;
mod types;
mod names;
mod bound;
mod bind;
mod function;
mod plan;
mod run;
mod select;
mod join;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use datum::{Datum, Kind};
pub use tables::{Catalog, Column, Facts, Table};

/// The longest statement taken here, in bytes; those of clients have at most some 12,000.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// The most operators of one statement: a chain of them is as deep as it is long, and what is deep takes stack.
pub const OPERATORS_MAX: usize = 1_000;
/// How deep expressions and subqueries may stand in each other.
pub const DEPTH_MAX: usize = 64;
/// The most rows an intermediate result may have.
pub const ROWS_MAX: usize = 200_000;
/// The most bytes of such a result.
pub const BYTES_MAX: usize = 16 << 20;
/// How many queries may stand in each other: each may hold some results while those within it run.
pub const QUERIES_DEEP_MAX: usize = 8;
/// The most steps (expressions evaluated, rows looked at) of one statement.
pub const STEPS_MAX: u64 = 50_000_000;
/// The most bytes of one text or list that a function makes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// Why a statement is refused or ended, as PostgreSQL says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// SQLSTATE (PostgreSQL, appendix A).
    pub code: &'static str,
    /// What is wrong, short.
    pub message: String,
    /// Byte offset into the statement, where it is known.
    pub offset: Option<usize>,
}

impl Problem {
    /// A problem.
    pub fn new(code: &'static str, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), offset: None }
    }

    pub(crate) fn not_here(what: impl std::fmt::Display) -> Problem {
        Problem::new("0A000", format!("{what} is not known over the tables of the catalog"))
    }
}

/// What a statement may take.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Ends it when true.
    pub stop: Arc<AtomicBool>,
    /// When it must be done.
    pub due: Instant,
}

/// What is spent of a [`Budget`].
pub(crate) struct Spent<'a> {
    budget: &'a Budget,
    steps: std::cell::Cell<u64>,
}

impl<'a> Spent<'a> {
    pub fn new(budget: &'a Budget) -> Spent<'a> {
        Spent { budget, steps: std::cell::Cell::new(0) }
    }

    /// One step more.
    pub fn step(&self) -> Result<(), Problem> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps.is_multiple_of(4096) {
            if self.budget.stop.load(Ordering::Relaxed) {
                return Err(Problem::new("57014", "canceling statement due to user request"));
            }
            if self.budget.due <= Instant::now() {
                return Err(Problem::new("57014", "canceling statement due to statement timeout"));
            }
            if STEPS_MAX < steps {
                return Err(Problem::new("54000", "the statement over the catalog takes too many steps"));
            }
        }
        Ok(())
    }
}

/// What a row takes in memory, more or less.
pub(crate) fn bytes_of(row: &[Datum]) -> usize {
    let of = |value: &Datum| match value {
        Datum::Text(text) => text.len(),
        Datum::List(values) => bytes_of(values),
        _ => 0,
    };
    size_of_val(row) + row.iter().map(of).sum::<usize>()
}

/// What a statement is told of the connection it comes from.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Who asks.
    pub user: String,
    /// The number of the connection.
    pub pid: i32,
    /// Settings in force, by lower-case name.
    pub settings: BTreeMap<String, String>,
    /// The present moment, as PostgreSQL writes it.
    pub now: String,
}

/// A statement that was read, with names resolved.
pub struct Prepared {
    plan: plan::Plan,
    parameters: Vec<Kind>,
    catalog: Arc<Catalog>,
}

impl Prepared {
    /// Its columns.
    pub fn columns(&self) -> &[(String, Kind)] {
        &self.plan.columns
    }

    /// The kinds of its parameters, `$1` first.
    pub fn parameters(&self) -> &[Kind] {
        &self.parameters
    }

    /// Its rows.
    ///
    /// # Errors
    /// A value does not fit, a subquery gives two rows for one value, or the budget is spent.
    pub fn run(&self, parameters: &[Datum], session: &Session, budget: &Budget) -> Result<Vec<Vec<Datum>>, Problem> {
        let spent = Spent::new(budget);
        let world = run::World { catalog: &self.catalog, session, parameters, spent: &spent };
        let rows = self.plan.run(&world, None)?;
        Ok(run::named(&self.catalog, &self.plan.columns, rows))
    }
}

/// Reads a statement and resolves its names; `kinds` are those the client says of its parameters.
///
/// # Errors
/// It is no query, names what is not there, or is longer or deeper than taken.
pub fn prepare(catalog: &Arc<Catalog>, text: &str, kinds: &[Option<Kind>]) -> Result<Prepared, Problem> {
    let query = scan::parse(text)?;
    let binder = bind::Binder::new(catalog, kinds);
    let plan = plan::query(&binder, &query, None)?;
    Ok(Prepared { plan, parameters: binder.parameters(), catalog: Arc::clone(catalog) })
}
