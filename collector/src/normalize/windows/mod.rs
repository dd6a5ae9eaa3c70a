//! Windows events to ECS, whatever they came as: EVTX, raw XML, or JSON of Winlogbeat, NXLog, evtx_dump or flat.
//!
//! In: a `WindowsEvent` (EVTX and XML) or a JSON document. Out: an `Event`. Promise: `winlog.*` carries what the
//! source sent under the source's names, ECS fields are added beside it, nothing is taken away. Failure: JSON that is
//! no Windows event is `None`; a part that does not read is left out of ECS and stays under `winlog.*`.
//!
//! Where data lives: `EventData` under `winlog.event_data.<Name>`, `UserData` leaves under
//! `winlog.user_data.<Name>`, once each; a rule that says `Channel` looks in both before `winlog.channel`, so the
//! log that was cleared (System 104) and the log it was written to stay apart. `<Data>` without a name becomes
//! `winlog.event_data.param1`, `param2`, … as in Winlogbeat, and `winlog.event_data.Data` with all of them, which is
//! the name rules use.
//!
//! Source: ECS 8.17; the Winlogbeat modules' documented fields; Microsoft's audit event reference.

mod channels;
mod ecs;
mod json;
mod words;
mod names;
pub(crate) mod passed;
mod security;
pub(crate) mod snare;
mod steps;
mod sysmon;
mod system;
mod table;

#[cfg(test)]
mod json_plain;
#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod json_twin_tests;

pub(crate) use ecs::{drain, to_event};
pub use json::from_document;
#[cfg(test)]
pub use json::from_leaves;
pub(crate) use system::{EVENT_DATA, Part, USER_DATA, WindowsEvent};
