//! The nouns every other crate shares, and nothing else: no I/O, no async, no other nhatle crate.
//!
//! A [`Record`] is what arrived; an [`Event`] is what it means, held as ECS [`Field`]s with typed
//! [`Value`]s. [`Timestamp`] is the one time type and [`Clock`] the one door to the wall clock.
//! [`json`] and [`binary`] are the two outside forms of an event: ECS JSON for people and programs,
//! and the compact form that the log keeps.

pub mod binary;
pub mod compose;
pub mod event;
pub mod field;
pub mod json;
pub mod record;
pub mod time;
pub mod value;

pub use event::{Event, EventId, Seq, Stored};
pub use field::{Field, Kind};
pub use record::{DeadLetter, Record};
pub use time::{Clock, SystemClock, Timestamp};
pub use value::{Text, Value};
