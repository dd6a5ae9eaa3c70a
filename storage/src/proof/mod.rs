//! Proof that nothing stored was altered. In: stored events, segments, the register's hashes. Out: leaves, trees, an
//! append-only log of what the store did, signed heads of it, proofs that one thing stands under a head. Promise:
//! whoever kept one head finds every change of what it covers. Failure: damage, with file and place. Nothing here is
//! async, and only [`prover`] and [`log`] touch files.
//!
//! ```text
//! event → leaf ─┐                                       register rows → tree ─┐
//! event → leaf ─┴ tree of its segment → entry of the log ─┬── entry of the log ┘
//!                                                          └ tree of the log → signed head → a second party
//! ```
//!
//! Format: `docs/format/proof.md`. Why: ADR 27. Source: RFC 6962, RFC 9162, C2SP signed-note and tlog-checkpoint.

pub mod tree;
pub mod canonical;
pub mod note;
pub mod head;
pub mod entry;
pub mod log;
pub mod prover;
mod follow;
pub mod prove;
pub mod event_json;
pub mod package;
pub mod check;
pub mod witness;
pub mod stamp;
#[cfg(test)]
mod tests;

pub use head::{Head, SignedHead};
pub use note::{KeyKind, SigningKey, VerifierKey};
pub use prover::ProofState;
