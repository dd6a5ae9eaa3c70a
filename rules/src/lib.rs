//! Sigma text in, predicates out. The phases in order: load, parse, resolve, compile.
//!
//! `rules` turns text into predicates and never sees an event; `engine` runs predicates and never sees YAML.

mod ast;
pub mod attack;
mod collection;
pub mod compile;
pub mod error;
pub mod fold;
mod lint;
pub mod load;
pub mod nearest;
mod parse;
pub mod set;
pub mod switch;
mod subset;
mod taxonomy;
pub mod write;
mod yaml;

pub use compile::predicate;
pub use compile::value::build_regex;
pub use error::RuleError;
pub use load::{LoadOptions, Routing};
pub use set::{
    Correlation, CorrelationId, CorrelationKind, Expression, GroupBy, Level, Meta, Referred, Rule, RuleId, RuleSet,
    Scope, Threshold,
};
pub use switch::{Off, Switch, Switches};

#[cfg(test)]
mod tests;
