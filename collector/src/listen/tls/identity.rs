//! `Identity`: who a client certificate says its holder is, and `Revoked`: whose certificates no longer count.
//!
//! In: the certificate (DER) of a handshake that was verified. Out: the name (subject CN), the unit (OU), and what the
//! certificate is told apart by. Failure: [`NotAnIdentity`] for bytes that are no certificate or one without a name;
//! verifying is the TLS library's work, before this. Source: RFC 5280 section 4.1; ADR 19.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use nhatle_event::json::hex;
use nhatle_event::{Text, Timestamp};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How many characters a name or unit in a certificate may have.
pub const NAME_CHARS_MAX: usize = 64;

/// Who a sender is, as its certificate says. A request extension of HTTPS, and what fixes source and unit of syslog
/// over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the forwarder or sender (CN).
    pub name: Text,
    /// The code of its organization unit (OU).
    pub unit: Option<Text>,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
    /// The certificate's serial number, lower-case hexadecimal.
    pub serial: String,
    /// Until when the certificate holds.
    pub not_after: Timestamp,
}

/// Why a certificate names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIdentity {
    /// The bytes are no certificate.
    #[error("no certificate")]
    Malformed,
    /// It has no common name, or one longer than [`NAME_CHARS_MAX`].
    #[error("certificate without a common name of 1 to 64 characters")]
    NoName,
}

impl Identity {
    /// Reads a certificate.
    ///
    /// # Errors
    /// The bytes are no certificate, or it has no name.
    pub fn read(der: &[u8]) -> Result<Identity, NotAnIdentity> {
        let (_rest, certificate) = X509Certificate::from_der(der).map_err(|_bad| NotAnIdentity::Malformed)?;
        let good = |text: &str| {
            let is_good =
                !text.is_empty() && text.chars().count() <= NAME_CHARS_MAX && !text.contains(char::is_control);
            is_good.then(|| Text::from(text))
        };
        let subject = certificate.subject();
        let name = subject.iter_common_name().next().and_then(|name| good(name.as_str().ok()?));
        let unit = subject.iter_organizational_unit().next().and_then(|unit| good(unit.as_str().ok()?));
        let not_after_s = certificate.validity().not_after.timestamp();
        Ok(Identity {
            name: name.ok_or(NotAnIdentity::NoName)?,
            unit,
            fingerprint: hex(&Sha256::digest(der)),
            serial: hex(certificate.raw_serial()),
            not_after: Timestamp(not_after_s.saturating_mul(1_000_000_000)),
        })
    }
}

/// The fingerprints of certificates that no longer count, shared by every listener. It is as large as what was
/// revoked: bounded by whoever fills it (`ENROLLMENTS_MAX`, certificates of each).
#[derive(Debug, Default)]
pub struct Revoked {
    fingerprints: RwLock<BTreeSet<String>>,
}

impl Revoked {
    /// Whether this certificate was revoked.
    pub fn contains(&self, fingerprint: &str) -> bool {
        self.fingerprints.read().unwrap_or_else(PoisonError::into_inner).contains(fingerprint)
    }

    /// Takes these in place of those before.
    pub fn replace(&self, fingerprints: BTreeSet<String>) {
        *self.fingerprints.write().unwrap_or_else(PoisonError::into_inner) = fingerprints;
    }
}
