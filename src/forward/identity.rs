//! Who the forwarder is: a key made here, and the certificate the city gives for it.
//!
//! In: the code of the first start; later the certificate itself, renewed when two thirds of its life are over. Out: a TLS
//! configuration that trusts the city's authority alone. Promise: the code's secret is said only to a server whose
//! authority is the one the code names, and the key never leaves this machine (file mode 0600). Failure: an
//! [`EnrollError`] in words that say what to do.

use std::path::{Path, PathBuf};

use axum::http::header;
use nhatle_event::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::client::{City, Client, LineError, said};
use crate::pki::{self, Code, PkiError};

const ENROLL: &str = "/api/v1/enroll";
const RENEW: &str = "/api/v1/enroll/renew";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The city could not be reached, or is another one.
    #[error("{0}")]
    Line(String),
    /// The city said no.
    #[error("the city refused (HTTP {status}): {message}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The answer is not what it should be.
    #[error("the city's answer: {0}")]
    Answer(&'static str),
    /// Key or certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The folder.
    #[error("make folder {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl EnrollError {
    /// Whether trying again later may help.
    pub fn is_passing(&self) -> bool {
        match self {
            EnrollError::Line(_) => true,
            EnrollError::Refused { status, .. } => matches!(status, 429 | 500..),
            _ => false,
        }
    }
}

impl From<LineError> for EnrollError {
    fn from(error: LineError) -> EnrollError {
        EnrollError::Line(said(&error))
    }
}

/// Key and certificate.
#[derive(Clone)]
pub struct Held {
    ca: String,
    certificate: String,
    key: String,
    /// Its name, as the city gave it.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    /// When the certificate begins to hold.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
}

fn folder(state: &Path) -> PathBuf {
    state.join("identity")
}

/// What an earlier run was given.
///
/// # Errors
/// A file is there and cannot be read, or is not what it should be.
pub fn load(state: &Path) -> Result<Option<Held>, PkiError> {
    let folder = folder(state);
    if !folder.join("certificate.pem").exists() {
        return Ok(None);
    }
    let read = |name: &str| pki::read_text(&folder.join(name));
    held(read("ca.pem")?, read("certificate.pem")?, read("key.pem")?).map(Some)
}

fn held(ca: String, certificate: String, key: String) -> Result<Held, PkiError> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes());
    let der = der.map_err(|_bad| PkiError::Request("the own certificate is none"))?;
    let identity = pki::client_identity(std::slice::from_ref(&der));
    let identity = identity.map_err(|_bad| PkiError::Request("the own certificate names nobody"))?;
    let (_, read) = X509Certificate::from_der(&der).map_err(|_bad| PkiError::Request("the own certificate is none"))?;
    let not_before = Timestamp::from_seconds(read.validity().not_before.timestamp());
    let (name, unit) = (identity.name.to_string(), identity.unit.map(|unit| unit.to_string()));
    Ok(Held { ca, certificate, key, name, unit, not_before, not_after: identity.not_after })
}

impl Held {
    /// TLS with this certificate, to the city of its authority.
    ///
    /// # Errors
    /// The library does not take it.
    pub fn tls(&self) -> Result<ClientConfig, PkiError> {
        pki::city_client(&self.ca, &self.certificate, &self.key)
    }

    /// Whether two thirds of its life are over.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after.since(self.not_before);
        life / 3 > self.not_after.since(now)
    }

    fn store(&self, state: &Path) -> Result<(), EnrollError> {
        let folder = folder(state);
        std::fs::create_dir_all(&folder).map_err(|source| EnrollError::Folder { path: folder.clone(), source })?;
        // The certificate last: where it is, the others are.
        pki::write_file(&folder.join("key.pem"), self.key.as_bytes(), 0o600)?;
        pki::write_file(&folder.join("ca.pem"), self.ca.as_bytes(), 0o644)?;
        pki::write_file(&folder.join("certificate.pem"), self.certificate.as_bytes(), 0o644)?;
        Ok(())
    }
}

fn request_of(key: &KeyPair) -> Result<String, PkiError> {
    let params = CertificateParams::new(Vec::<String>::new())?;
    Ok(params.serialize_request(key)?.pem()?)
}

fn json_header() -> [(header::HeaderName, String); 1] {
    [(header::CONTENT_TYPE, "application/json".to_owned())]
}

/// Takes the city's answer apart; what it refuses is told in its words.
fn answered(status: u16, body: &[u8]) -> Result<Value, EnrollError> {
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if status == 200 || status == 201 {
        return Ok(answer);
    }
    let error = &answer["error"];
    let words = [&error["message"], &error["detail"]].map(|word| word.as_str().unwrap_or_default());
    let message = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": ");
    Err(EnrollError::Refused { status, message })
}

/// Enrolls with a code and stores what the city gave.
///
/// # Errors
/// The city cannot be reached, is not the one of the code, or refuses; the files cannot be written.
pub async fn enroll(city: &City, code: &Code, code_text: &str, state: &Path) -> Result<Held, EnrollError> {
    let key = KeyPair::generate().map_err(PkiError::Make)?;
    let mut client = Client::new(city.clone(), Some(pki::enroll_client(code)?));
    let body = json!({"code": code_text.trim(), "csr": request_of(&key)?}).to_string();
    let answer = client.post(ENROLL, &json_header(), body.into_bytes()).await?;
    let answer = answered(answer.status, &answer.body)?;
    let text = |name: &str| answer[name].as_str().map(ToOwned::to_owned);
    let (Some(certificate), Some(ca)) = (text("certificate"), text("ca")) else {
        return Err(EnrollError::Answer("no certificate in it"));
    };
    let authority = CertificateDer::from_pem_slice(ca.as_bytes());
    let authority = authority.map_err(|_bad| EnrollError::Answer("its authority is no certificate"))?;
    if !code.is_of(&Sha256::digest(&authority).into()) {
        return Err(EnrollError::Answer("its authority is not the one of the code"));
    }
    let held = held(ca, certificate, key.serialize_pem())?;
    held.tls()?;
    held.store(state)?;
    Ok(held)
}

/// Has the certificate renewed, with a new key, over a line made with the present one.
///
/// # Errors
/// As [`enroll`]; the present certificate stays.
pub async fn renew(client: &mut Client, present: &Held, state: &Path) -> Result<Held, EnrollError> {
    let key = KeyPair::generate().map_err(PkiError::Make)?;
    let body = json!({"csr": request_of(&key)?}).to_string();
    let answer = client.post(RENEW, &json_header(), body.into_bytes()).await?;
    let answer = answered(answer.status, &answer.body)?;
    let Some(certificate) = answer["certificate"].as_str() else {
        return Err(EnrollError::Answer("no certificate in it"));
    };
    let held = held(present.ca.clone(), certificate.to_owned(), key.serialize_pem())?;
    held.tls()?;
    held.store(state)?;
    Ok(held)
}
