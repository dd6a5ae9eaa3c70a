//! Events in, alerts and incidents out: detect, correlate, suppress, group. Same events in, same alerts out.

pub mod matching;
pub mod local;
mod moment;
pub mod detect;
pub mod correlate;
pub mod replay;
pub mod needs;
pub mod coverage;
pub mod canary;
pub mod fit;
pub mod alert;
pub mod incident;
pub mod exception;
pub mod hunt;
pub mod risk;
pub mod rhythm;
pub mod account;
pub mod enrollment;
pub mod rule_state;
pub mod reference;
pub mod retention;
pub mod register;

pub use nhatle_rules::attack;

#[cfg(test)]
mod tests;
