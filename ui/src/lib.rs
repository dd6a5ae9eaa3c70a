//! The interface for people: server-rendered pages in Vietnamese and English, the JSON API, sessions.
//!
//! In: requests, and a [`Desk`] that knows everything. Out: [`router`], an axum router. Promise: a viewer
//! with a unit limit is shown nothing of another unit, every page works without JavaScript, and nothing a
//! log line says is ever interpreted. Failure: error pages with a request id and no internals.

pub mod account;
pub mod auth;
pub mod desk;
pub mod desk_keeping;
pub mod entry;
pub mod desk_reference;
pub mod model;
pub mod routes;
pub mod session;
pub mod timeline;

mod api;
mod api_enrollments;
mod api_exceptions;
mod api_preview;
mod api_reference;
mod api_rules;
mod api_search;
mod api_sql;
mod assets;
mod brake;
mod brief;
mod chart;
mod failure;
mod guard;
mod live;
mod locale;
mod openapi;
mod pages;
mod render;
mod request;
mod searches;
mod sheet;
mod state;
mod tail;

#[cfg(test)]
extern crate self as nhatle_ui;
#[cfg(test)]
mod tests;

pub use account::{Account, Language, Localized, Role, Viewer};
pub use desk::{Answer, Desk, DeskError, Refusal, SignIn, SqlRefusal, SqlTrouble, SyntaxError};
pub use desk_keeping::KeepingDesk;
pub use desk_reference::ReferenceDesk;
pub use guard::Access;
pub use render::{visible, visible_lines};
pub use routes::router;
pub use state::UiConfig;
