//! Can this rule ever match what this source sends?
//!
//! [`Seen`] learns from events which fields each source sends in each kind of event, and which values where they are
//! few. [`fit`] holds a compiled rule against it: no such events, a field that never came, a value that never came, or
//! nothing in the way. Pure: nothing here knows a store or a clock.

mod seen;
mod judge;
mod hint;

pub use hint::Hint;
pub use judge::{Expressions, Fit, fit, fit_all, fit_of};
pub use seen::{FieldSeen, FieldsSeen, KindSeen, Seen, SourceSeen, Values};

#[cfg(test)]
mod tests;
