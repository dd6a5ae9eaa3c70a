//! `SqlError`: why there is no answer, or no more of it.

use std::time::Duration;

use datafusion::common::{DataFusionError, SchemaError};

use crate::error::ReadError;
use crate::query::hint;

/// Why there is no answer, or no more of it. What is wrong with the query is told apart from what is wrong with the world.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The text is no query that is answered here; nothing was read.
    #[error("{0}")]
    Refused(String),
    /// It is a query, and one of its rows cannot be computed (a number past its bounds, text that is no moment).
    #[error("{0}")]
    Failed(String),
    /// As many queries run as may, all together or of this account, or as many of it wait.
    #[error("{running_max} queries run already, or half as many of this account; ask again")]
    Busy {
        /// How many run.
        running_max: usize,
    },
    /// Its answer was put aside, and somebody else waited for a turn.
    #[error(
        "the answer stood still while other queries waited for their turn, and was ended; ask again, or read on sooner"
    )]
    PutAside,
    /// It took too long.
    #[error("the query was ended after {} seconds; a shorter time range or fewer columns may help", .time.as_secs_f32())]
    TimeLimit {
        /// How long it may run.
        time: Duration,
    },
    /// It needs more memory than it may, and cannot go on with the disk's help.
    #[error("the query needs more memory than a query may use: {0}")]
    Memory(String),
    /// The answer is too large.
    #[error("the answer has more than {rows_max} rows or {bytes_max} bytes; add a LIMIT, or group")]
    TooMuch {
        /// So many rows are given.
        rows_max: u64,
        /// So many bytes are given.
        bytes_max: u64,
    },
    /// Whoever asked said so, or is gone.
    #[error("the query was canceled")]
    Canceled,
    /// A segment cannot be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing of the query: threads or folders of the machine.
    #[error("{what}")]
    World {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a query was ended from outside, as it travels through DataFusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    /// Its time is over.
    #[error("the time is over")]
    Time(Duration),
    /// Nobody waits for it.
    #[error("it was canceled")]
    Canceled,
}

/// A reading error as it travels through DataFusion.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub(super) struct Unread {
    error: std::sync::Mutex<Option<ReadError>>,
    said: String,
}

pub(super) fn unread(error: ReadError) -> DataFusionError {
    let said = error.to_string();
    DataFusionError::External(Box::new(Unread { error: std::sync::Mutex::new(Some(error)), said }))
}

pub(super) fn ended(why: Ended) -> DataFusionError {
    DataFusionError::External(Box::new(why))
}

pub(super) fn refused(reason: impl Into<String>) -> SqlError {
    SqlError::Refused(reason.into())
}

impl SqlError {
    /// What DataFusion said, by whose fault it is.
    pub(super) fn of(error: &DataFusionError) -> SqlError {
        let root = error.find_root();
        match root {
            DataFusionError::External(inner) => {
                if let Some(why) = inner.downcast_ref::<Ended>() {
                    return match why {
                        Ended::Time(time) => SqlError::TimeLimit { time: *time },
                        Ended::Canceled => SqlError::Canceled,
                    };
                }
                if let Some(unread) = inner.downcast_ref::<Unread>()
                    && let Some(error) = unread.error.lock().ok().and_then(|mut error| error.take())
                {
                    return SqlError::Read(error);
                }
                SqlError::Failed(inner.to_string())
            }
            DataFusionError::ResourcesExhausted(reason) => SqlError::Memory(first_line(reason)),
            DataFusionError::SchemaError(schema, _) => match &**schema {
                SchemaError::FieldNotFound { field, .. } => no_column(&field.flat_name()),
                other => SqlError::Refused(other.to_string()),
            },
            DataFusionError::SQL(error, _) => SqlError::Refused(error.to_string()),
            DataFusionError::Plan(reason) => SqlError::Refused(first_line(reason)),
            DataFusionError::NotImplemented(reason) => SqlError::Refused(format!("not built: {}", first_line(reason))),
            DataFusionError::Collection(errors) => match errors.first() {
                Some(first) => SqlError::of(first),
                None => SqlError::Failed(first_line(&root.to_string())),
            },
            other => SqlError::Failed(first_line(&other.to_string())),
        }
    }
}

fn no_column(name: &str) -> SqlError {
    let plain = name.replace('"', "");
    let meant = hint::closest(&plain).map(|meant| format!("; did you mean \"{meant}\"?")).unwrap_or_default();
    SqlError::Refused(format!("there is no column {plain}{meant} (a vendor's field is read with attr('{plain}'))"))
}

/// A reason without the trace behind it, and no longer than a person reads.
fn first_line(reason: &str) -> String {
    const CHARS_MAX: usize = 600;
    let line = reason.split("\n\nbacktrace").next().unwrap_or_default().trim();
    line.chars().take(CHARS_MAX).collect()
}
