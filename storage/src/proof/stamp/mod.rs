//! Times for heads by a time-stamping authority (RFC 3161): somebody outside, whose word counts before others, says that a
//! head existed at or before a moment. In: heads, answers of an authority. Out: requests, [`Stamp`]s, files beside the heads.
//! Promise: bounded, no panic on any bytes, nothing here touches a network. Failure: [`StampError`]. What is asked for:
//! SHA-256 of a head as it is handed on, text and signatures (docs/format/proof.md, section 8). Why: ADR 42.

pub mod der;
mod oid;
pub mod request;
mod certificate;
pub mod token;
pub mod verify;
pub mod kept;
#[cfg(test)]
mod tests;

use nhatle_event::Timestamp;

pub use request::Request;
pub use verify::{Authorities, check};

use der::DerError;

/// What an authority said, after it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When, as it said.
    pub at: Timestamp,
    /// How far that may be off, where it says so.
    pub accuracy_ns: i64,
    /// Whose certificate signed: its common name.
    pub authority: String,
    /// The authority's number of the token, in hexadecimal.
    pub serial: String,
    /// An authority that the reader knows vouched for the certificate; else nobody looked.
    pub is_chained: bool,
}

impl Stamp {
    /// The last moment that its time may be.
    pub fn latest(&self) -> Timestamp {
        Timestamp(self.at.0.saturating_add(self.accuracy_ns))
    }
}

/// Why a token is no proof of a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// No answer of the form.
    #[error("no time-stamp: {0}")]
    Form(#[from] DerError),
    /// The authority refused.
    #[error("the time-stamping authority did not grant it: status {status} {said}")]
    NotGranted {
        /// Its status.
        status: u32,
        /// What it said.
        said: String,
    },
    /// Granted, and nothing there.
    #[error("the answer has no token")]
    NoToken,
    /// Of a hash that is not SHA-256.
    #[error("the time-stamp is of another hash than SHA-256")]
    OtherHash,
    /// Of other bytes.
    #[error("the time-stamp is of other bytes than those of the head")]
    OtherImprint,
    /// Of another request.
    #[error("the time-stamp answers another request: its nonce is not ours")]
    OtherNonce,
    /// Who signed did not send their certificate.
    #[error("the time-stamp came without the certificate of its signer")]
    NoCertificate,
    /// The certificate is none.
    #[error("the certificate of the time-stamp is none: {0}")]
    Certificate(String),
    /// The signed attributes are of something else.
    #[error("what is signed is not the content of the time-stamp")]
    OtherContent,
    /// The signed attributes name another certificate.
    #[error("the time-stamp was signed for another certificate than the one that came with it")]
    OtherCertificate,
    /// Not signed in a way we know.
    #[error("the time-stamp is signed in a way that is not known")]
    Algorithm,
    /// The signature does not hold.
    #[error("the signature of the time-stamp does not hold")]
    Signature,
    /// The certificate is for other things.
    #[error("the certificate is not one for time-stamps and nothing else")]
    NotForTime,
    /// It is, but not so marked.
    #[error("the certificate does not mark its use for time-stamps as critical")]
    NotCritical,
    /// Past its end at that time.
    #[error("a certificate had expired at the time of the time-stamp")]
    Expired,
    /// Before its begin.
    #[error("a certificate was not valid yet at the time of the time-stamp")]
    NotValidYet,
    /// Nobody known vouched for it.
    #[error("no authority that is known vouched for the certificate of the time-stamp")]
    UnknownIssuer,
    /// Something else of the chain.
    #[error("the chain of the time-stamp's certificate does not hold: {0}")]
    Chain(String),
}
