//! `Control`: what a search is told from outside while it runs. In: whoever asked may cancel it, a moment after which a
//! first answer is due, a bound of memory. Out: [`ReadError::Stopped`] where it must end, or a pause between two
//! segments. Promise: a canceled search reads no further step of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::error::ReadError;

/// How many bytes of events and counted values one search holds at most.
pub const MEMORY_BYTES_MAX: usize = 256 << 20;

/// Why a search ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Whoever asked said so, or is gone.
    #[error("it was canceled")]
    Canceled,
    /// It would hold more than one search may.
    #[error("its answer takes more than {bytes_max} bytes of memory")]
    Memory {
        /// What one search may hold.
        bytes_max: usize,
    },
}

/// What a search is told while it runs; clones tell the same search.
#[derive(Clone, Debug)]
pub struct Control {
    canceled: Arc<AtomicBool>,
    due_at: Option<Instant>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl Default for Control {
    fn default() -> Control {
        Control::by(Arc::default())
    }
}

impl Control {
    /// One that ends when `canceled` becomes true.
    pub fn by(canceled: Arc<AtomicBool>) -> Control {
        Control { canceled, due_at: None, bytes: Arc::default(), bytes_max: MEMORY_BYTES_MAX }
    }

    /// The same, which pauses between two segments once this moment is past.
    #[must_use]
    pub fn due_at(self, moment: Instant) -> Control {
        Control { due_at: Some(moment), ..self }
    }

    /// The same with another bound of memory.
    #[must_use]
    pub fn within(self, bytes_max: usize) -> Control {
        Control { bytes_max, ..self }
    }

    /// Ends the search.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::Relaxed);
    }

    /// Somebody ended it.
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed)
    }

    /// A first answer is due.
    pub fn is_due(&self) -> bool {
        self.due_at.is_some_and(|moment| moment <= Instant::now())
    }

    /// Goes on, unless somebody ended it.
    ///
    /// # Errors
    /// [`Stop::Canceled`].
    pub fn check(&self) -> Result<(), ReadError> {
        if self.is_canceled() { Err(ReadError::Stopped(Stop::Canceled)) } else { Ok(()) }
    }

    /// Notes that so many bytes more are held.
    ///
    /// # Errors
    /// [`Stop::Memory`] where that is too much.
    pub fn hold(&self, bytes: usize) -> Result<(), ReadError> {
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        match held <= self.bytes_max {
            true => Ok(()),
            false => Err(ReadError::Stopped(Stop::Memory { bytes_max: self.bytes_max })),
        }
    }
}
