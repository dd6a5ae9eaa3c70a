//! Canaries made from rules: a predicate in, field values that satisfy it out.
//!
//! For rules that bring no sample of their own. In: a compiled rule set and one of its rules. Out: a [`Solution`],
//! checked against the naive twin of the detector before anybody sees it, or an [`Unsolved`] that says why not.
//! Pure and without chance: the same rule gives the same values. Bounded: [`solve::BUILDS_MAX`] attempts a rule,
//! [`value::TRIES_MAX`] texts a field.

mod shape;
pub mod value;
pub mod solve;
pub mod raw;
pub mod sequence;

pub use raw::{Raw, raw, rule_fields};
pub use sequence::{of_correlation, of_rule};
pub use solve::{Solution, Unsolved, event_of, solve, solve_with};

#[cfg(test)]
mod tests;
