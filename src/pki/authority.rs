//! `Authority`: the city's certificate authority, made on the first start and kept.
//!
//! In: the data folder. Out: `pki/ca.pem` and `pki/ca.key` (ECDSA P-256, 20 years), and certificates signed by it.
//! Promise: two processes that begin at once end with one authority; a certificate it gives a client cannot be a
//! server's or an authority's (extended key usage, path length 0), whatever the request asks for. Failure: half a pair
//! of files is an error, never a new authority: a new one would lock out every ward.

use std::path::{Path, PathBuf};

use nhatle_event::{Timestamp, json};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::{Identity, PkiError, ServerNames, read_text, rename, write_file};

const DAY_S: i64 = 86_400;
/// How long the authority holds. It must outlive the server it was made with; replacing it means enrolling every ward anew.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// How long a client's certificate holds; it is renewed by itself once two thirds have passed.
pub const CLIENT_DAYS: i64 = 365;
/// How long the server's holds: what browsers still take (397 days, CA/Browser Forum baseline requirements 6.3.2).
pub const SERVER_DAYS: i64 = 397;
/// How far back certificates begin, for senders whose clock is behind.
const BACKDATED_S: i64 = DAY_S;
/// How many bytes a certificate request may have; one with an RSA key of 8,192 bits has 3 KiB.
pub const REQUEST_BYTES_MAX: usize = 16 << 10;

/// The city's authority.
pub struct Authority {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate made for a client.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, PEM.
    pub pem: String,
    /// Who it says its holder is.
    pub identity: Identity,
}

impl Authority {
    /// Opens the authority of a data folder; makes it where there is none.
    ///
    /// # Errors
    /// Files cannot be read or written, or one of the pair is missing or not of the other.
    pub fn open(data: &Path, now: Timestamp) -> Result<Authority, PkiError> {
        let folder = data.join("pki");
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        if !certificate.exists() && !key.exists() {
            make(data, &folder, now)?;
        }
        if let Some(path) = [&certificate, &key].into_iter().find(|path| !path.exists()) {
            let why = "is missing beside the other half of the city's authority; bring it back from a backup";
            return Err(PkiError::Content { path: path.clone(), why: why.to_owned() });
        }
        let wrong = |path: &Path, why: &str| PkiError::Content { path: path.to_owned(), why: why.to_owned() };
        let pem = read_text(&certificate)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| wrong(&certificate, &format!("no certificate in PEM: {error}")))?;
        let pair = KeyPair::from_pem(&read_text(&key)?).map_err(|error| wrong(&key, &error.to_string()))?;
        let (_rest, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| wrong(&certificate, &format!("no certificate: {error}")))?;
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key_raw() {
            return Err(wrong(&key, "is not the key of ca.pem"));
        }
        let issuer = Issuer::from_ca_cert_der(&der, pair)?;
        Ok(Authority { folder, certificate: der, pem, issuer })
    }

    /// Its own certificate, DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of its certificate, of which an enrolment code carries a part.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// The folder `<data>/pki`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A certificate for a client: `name` and `unit` are what we say, and of the request only its key counts.
    ///
    /// # Errors
    /// The request is none, its signature is not of its key, or the key is of a kind that is not taken.
    pub fn issue_client(&self, name: &str, unit: &str, csr_pem: &str, now: Timestamp) -> Result<Issued, PkiError> {
        if REQUEST_BYTES_MAX < csr_pem.len() {
            return Err(PkiError::Request("longer than 16 KiB"));
        }
        let der = CertificateSigningRequestDer::from_pem_slice(csr_pem.as_bytes())
            .map_err(|_bad| PkiError::Request("no PKCS#10 request in PEM"))?;
        let (_rest, request) =
            X509CertificationRequest::from_der(&der).map_err(|_bad| PkiError::Request("no PKCS#10 request"))?;
        request.verify_signature().map_err(|_bad| PkiError::Request("not signed by its own key"))?;
        let key = SubjectPublicKeyInfo::from_der(request.certification_request_info.subject_pki.raw)
            .map_err(|_unknown| PkiError::Request("a kind of key that is not taken; use ECDSA P-256"))?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        if !unit.is_empty() {
            subject.push(DnType::OrganizationalUnitName, unit);
        }
        let mut params = leaf(subject, ExtendedKeyUsagePurpose::ClientAuth, now, CLIENT_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let identity = Identity::read(certificate.der()).map_err(|_no_name| PkiError::Request("a name of no use"))?;
        Ok(Issued { pem: certificate.pem(), identity })
    }

    /// A certificate for the server, with a new key: certificate and key, PEM.
    ///
    /// # Errors
    /// The library cannot make it.
    pub fn issue_server(&self, names: &ServerNames, now: Timestamp) -> Result<(String, String), PkiError> {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, names.first());
        let mut params = leaf(subject, ExtendedKeyUsagePurpose::ServerAuth, now, SERVER_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = names.subject_alt_names();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// Makes the pair of files. Whoever comes second finds that of the first.
fn make(data: &Path, folder: &Path, now: Timestamp) -> Result<(), PkiError> {
    let file = |what, path: &Path| {
        let path = path.to_owned();
        move |source| PkiError::File { what, path, source }
    };
    nhatle_storage::OsDisk::new(data).map_err(file("make folder", data))?;
    let staging = tempfile::Builder::new().prefix("pki.new-").tempdir_in(data).map_err(file("make folder in", data))?;
    let key = KeyPair::generate()?;
    let mut subject = DistinguishedName::new();
    // Two cities must not have authorities of one name: a part of the key tells them apart.
    let mark = json::hex(&Sha256::digest(key.public_key_raw())[..4]);
    subject.push(DnType::CommonName, format!("nhatle city CA {mark}"));
    let mut params = leaf(subject, ExtendedKeyUsagePurpose::Any, now, AUTHORITY_DAYS);
    params.extended_key_usages.clear();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    write_file(&staging.path().join("ca.key"), key.serialize_pem().as_bytes(), 0o600)?;
    write_file(&staging.path().join("ca.pem"), certificate.pem().as_bytes(), 0o644)?;
    match rename(staging.path(), folder) {
        Ok(()) => {
            // Renamed: nothing is left to remove.
            drop(staging.keep());
            Ok(())
        }
        Err(_taken) if folder.join("ca.key").exists() => Ok(()),
        Err(_other_files) if folder.is_dir() => {
            let put = |name: &str| rename(&staging.path().join(name), &folder.join(name));
            put("ca.key").and_then(|()| put("ca.pem")).map_err(file("write into", folder))
        }
        Err(error) => Err(file("make", folder)(error)),
    }
}

/// What all certificates share.
fn leaf(subject: DistinguishedName, usage: ExtendedKeyUsagePurpose, now: Timestamp, days: i64) -> CertificateParams {
    let now_s = now.0.div_euclid(1_000_000_000);
    // Years 1678 to 2261 are all dates.
    let date = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = date(now_s - BACKDATED_S);
    params.not_after = date(now_s + days * DAY_S);
    params.serial_number = Some(serial());
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

/// 127 random bits (RFC 5280 section 4.1.2.2: positive, at most 20 octets).
fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}
