//! `ServerCertificate`: what the server shows, renewed while it runs, and the TLS configurations of its listeners.
//!
//! In: the authority, the names, the operator's own certificate where there is one. Out: `pki/server.pem` and
//! `pki/server.key`, and a [`ServerConfig`] for each listener, which shows the newest certificate at each handshake.
//! Promise: TLS 1.2 and 1.3 only; a client's certificate is looked at in each handshake (there is no resumption, which
//! would skip that); one that was revoked is refused. Failure: [`PkiError`]; when renewing fails the old one stays.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use nhatle_collector::listen::tls::door::note_shown;
use nhatle_event::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use serde::{Deserialize, Serialize};
use x509_parser::extensions::GeneralName;

use super::{Authority, FORWARD_ALPN, Identity, PkiError, Revoked, ServerNames, provider, read_text, write_file};

/// How long before its end the server's certificate is made anew.
const RENEW_BEFORE_S: i64 = 30 * 86_400;

/// Whether a listener asks for a client's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCert {
    /// It does not ask.
    None,
    /// It asks; who has none comes in without an identity, who shows one that does not hold is refused.
    #[default]
    Optional,
    /// Nobody comes in without one.
    Required,
}

/// The operator's own certificate, for browsers and senders that know its authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The chain, PEM, the server's first.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// What the server shows; shared by its listeners, changed while they run.
#[derive(Debug)]
pub struct ServerCertificate {
    city: RwLock<Arc<CertifiedKey>>,
    own: RwLock<Option<Arc<CertifiedKey>>>,
}

impl ServerCertificate {
    /// Reads the server's certificates; makes the city's where there is none, or none that serves.
    ///
    /// # Errors
    /// Files cannot be read or written, or the operator's own pair is none.
    pub fn open(
        authority: &Authority,
        names: &ServerNames,
        own: Option<&Own>,
        now: Timestamp,
    ) -> Result<Arc<ServerCertificate>, PkiError> {
        let (city, _is_new) = city_certificate(authority, names, now)?;
        let own = own.map(own_certificate).transpose()?.map(Arc::new);
        Ok(Arc::new(ServerCertificate { city: RwLock::new(Arc::new(city)), own: RwLock::new(own) }))
    }

    /// Looks again: makes the city's certificate anew if it ends soon or lacks a name, and reads the operator's own
    /// files again. Returns whether the city's was made anew. To be called now and then; connections that stand are
    /// not touched.
    ///
    /// # Errors
    /// As [`ServerCertificate::open`]; what was shown before is shown on.
    pub fn renew(
        &self,
        authority: &Authority,
        names: &ServerNames,
        own: Option<&Own>,
        now: Timestamp,
    ) -> Result<bool, PkiError> {
        let (city, is_new) = city_certificate(authority, names, now)?;
        *self.city.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(city);
        let own = own.map(own_certificate).transpose()?.map(Arc::new);
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own;
        Ok(is_new)
    }

    /// The configuration of a listener.
    ///
    /// # Errors
    /// The library does not take the authority's certificate.
    pub fn config(
        self: &Arc<Self>,
        authority: &Authority,
        client: ClientCert,
        revoked: &Arc<Revoked>,
        alpn: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, PkiError> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match client {
            ClientCert::None => builder.with_no_client_auth(),
            ClientCert::Optional | ClientCert::Required => {
                builder.with_client_cert_verifier(CityClients::verifier(authority, client, Arc::clone(revoked))?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_forwarder = hello.alpn().is_some_and(|mut names| names.any(|name| name == FORWARD_ALPN));
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).clone();
        let city = || self.city.read().unwrap_or_else(PoisonError::into_inner).clone();
        Some(own.filter(|_| !is_forwarder).unwrap_or_else(city))
    }
}

/// The city's certificate for the server, from its files if it still serves, else a new one. Also whether it is new.
fn city_certificate(
    authority: &Authority,
    names: &ServerNames,
    now: Timestamp,
) -> Result<(CertifiedKey, bool), PkiError> {
    let own = Own { certificate: authority.folder().join("server.pem"), key: authority.folder().join("server.key") };
    if own.certificate.exists() && own.key.exists() {
        match own_certificate(&own) {
            Ok(mut read) if serves(&read.cert[0], authority, names, now) => {
                read.cert.push(authority.certificate().clone());
                return Ok((read, false));
            }
            Ok(_outlived) => {}
            // Half a pair is what a crash between two writes leaves.
            Err(error) => tracing::warn!(%error, "certificate of the server made anew"),
        }
    }
    let (pem, key) = authority.issue_server(names, now)?;
    write_file(&own.key, key.as_bytes(), 0o600)?;
    write_file(&own.certificate, pem.as_bytes(), 0o644)?;
    let mut made = own_certificate(&own)?;
    // The authority's own goes with it: a forwarder knows it by the code it was given.
    made.cert.push(authority.certificate().clone());
    Ok((made, true))
}

/// Whether a certificate is of this authority, holds long enough and has every name.
fn serves(der: &CertificateDer<'_>, authority: &Authority, names: &ServerNames, now: Timestamp) -> bool {
    let Ok((_rest, certificate)) = x509_parser::parse_x509_certificate(der) else { return false };
    let Ok((_rest, issuer)) = x509_parser::parse_x509_certificate(authority.certificate()) else { return false };
    let ends_s = certificate.validity().not_after.timestamp();
    if certificate.verify_signature(Some(issuer.public_key())).is_err()
        || ends_s.saturating_sub(RENEW_BEFORE_S) < now.0.div_euclid(1_000_000_000)
    {
        return false;
    }
    let Ok(Some(held)) = certificate.subject_alternative_name() else { return false };
    let held = &held.value.general_names;
    let has_host = |host: &String| held.iter().any(|name| matches!(name, GeneralName::DNSName(dns) if dns == host));
    let has_address = |address: std::net::IpAddr| {
        let bytes = match address {
            std::net::IpAddr::V4(four) => four.octets().to_vec(),
            std::net::IpAddr::V6(six) => six.octets().to_vec(),
        };
        held.iter().any(|name| matches!(name, GeneralName::IPAddress(ip) if *ip == bytes.as_slice()))
    };
    names.hosts().iter().all(has_host) && names.addresses().all(has_address)
}

/// A pair of files, as TLS uses it.
fn own_certificate(own: &Own) -> Result<CertifiedKey, PkiError> {
    let wrong = |path: &PathBuf, why: String| PkiError::Content { path: path.clone(), why };
    let pem = read_text(&own.certificate)?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|error| wrong(&own.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&own.certificate, "no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(read_text(&own.key)?.as_bytes())
        .map_err(|error| wrong(&own.key, format!("no key in PEM: {error}")))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| wrong(&own.key, error.to_string()))
}

/// Verifies clients by the city's authority, and that they were not revoked.
#[derive(Debug)]
struct CityClients {
    inner: Arc<dyn ClientCertVerifier>,
    revoked: Arc<Revoked>,
}

impl CityClients {
    fn verifier(
        authority: &Authority,
        client: ClientCert,
        revoked: Arc<Revoked>,
    ) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = if client == ClientCert::Optional { builder.allow_unauthenticated() } else { builder };
        let inner = builder.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Arc::new(CityClients { inner, revoked }))
    }
}

impl ClientCertVerifier for CityClients {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        note_shown(end_entity);
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let identity = Identity::read(end_entity).map_err(|_bad| CertificateError::BadEncoding)?;
        if self.revoked.contains(&identity.fingerprint) {
            return Err(CertificateError::Revoked.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
