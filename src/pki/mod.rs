//! Certificates: the city's own authority, the server's certificate, those of forwarders and senders (ADR 19).
//!
//! In: the data folder, names, certificate requests. Out: files in `<data>/pki/` (keys readable by the owner only),
//! and the configurations TLS runs with. Promise: the authority is made once and never replaced by itself; the
//! server's certificate is made anew by itself. Failure: [`PkiError`], which names the file.

pub mod authority;
pub mod client;
pub mod code;
pub mod heads;
pub mod names;
pub mod server;
pub mod trust;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

pub use authority::{Authority, Issued};
pub use client::{city_client, enroll_client};
pub use code::Code;
pub use names::ServerNames;
pub use nhatle_collector::listen::tls::identity::{Identity, NotAnIdentity, Revoked};
pub use server::{ClientCert, Own, ServerCertificate};
pub use trust::Trust;

/// What a forwarder offers beside `http/1.1` (RFC 7301), so that it is shown the certificate of the city's authority
/// also where browsers are shown another one.
pub const FORWARD_ALPN: &[u8] = b"nhatle/1";

/// Why certificates could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A certificate request is none, or not one that can be granted.
    #[error("certificate request: {0}")]
    Request(&'static str),
    /// The library could not make a certificate.
    #[error("make certificate")]
    Make(#[from] rcgen::Error),
    /// The library does not take a certificate or configuration.
    #[error("set up TLS")]
    Tls(#[from] rustls::Error),
}

/// Who a verified peer is: the first certificate of its chain.
///
/// # Errors
/// There is no certificate, or it names nobody.
pub fn client_identity(peer: &[CertificateDer<'_>]) -> Result<Identity, NotAnIdentity> {
    peer.first().ok_or(NotAnIdentity::Malformed).and_then(|first| Identity::read(first))
}

/// The one set of algorithms, of ring.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Writes a file whole or not at all: beside it first, synced, then renamed.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PkiError> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        rename(&beside, path)
    })();
    written.map_err(|source| PkiError::File { what: "write", path: path.to_owned(), source })
}

/// Renames, and syncs the folder, so that the name is there after a power cut.
#[expect(clippy::disallowed_methods, reason = "`Disk` writes files that all may read; keys are the owner's alone")]
pub(crate) fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    to.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// Reads a text file of at most 1 MiB.
pub(crate) fn read_text(path: &Path) -> Result<String, PkiError> {
    const FILE_BYTES_MAX: u64 = 1 << 20;
    let file = |source| PkiError::File { what: "read", path: path.to_owned(), source };
    if FILE_BYTES_MAX < std::fs::metadata(path).map_err(file)?.len() {
        return Err(PkiError::Content { path: path.to_owned(), why: "longer than 1 MiB".to_owned() });
    }
    std::fs::read_to_string(path).map_err(file)
}
