//! TLS as a forwarder or command of ours speaks it: the other side must be the city's server.
//!
//! In: the authority's certificate, or an enrolment code that carries a part of its hash; the own certificate where
//! there is one. Out: a [`ClientConfig`]. Promise: the server's certificate is signed by that very authority, for
//! servers, and holds now. Its name is not looked at: the authority signs one server, which wards may reach by an
//! address it does not know itself (ADR 19).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use super::{Code, FORWARD_ALPN, PkiError, provider};

/// For who has no certificate yet: the city is known by the code. Nothing secret may be said before the handshake is
/// done.
///
/// # Errors
/// Never today; the library may refuse a configuration.
pub fn enroll_client(code: &Code) -> Result<ClientConfig, PkiError> {
    let city = City { anchor: Anchor::Code(*code), algorithms: provider().signature_verification_algorithms };
    let config = builder(city)?.with_no_client_auth();
    Ok(finished(config))
}

/// For who shows no certificate: the authority's certificate, PEM.
///
/// # Errors
/// It is none.
pub fn authority_client(ca_pem: &str) -> Result<ClientConfig, PkiError> {
    let authority = CertificateDer::from_pem_slice(ca_pem.as_bytes())
        .map_err(|_bad| PkiError::Request("no certificate of an authority"))?;
    let city = City { anchor: Anchor::Authority(authority), algorithms: provider().signature_verification_algorithms };
    Ok(finished(builder(city)?.with_no_client_auth()))
}

/// For a web server that is not ours: who may have signed its certificate (PEM, one or more), which must be of its name.
///
/// # Errors
/// There is none, or one that is none.
pub fn web_client(ca_pem: &str) -> Result<ClientConfig, PkiError> {
    let wrong = PkiError::Request("no certificate of an authority");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|_bad| PkiError::Request("no certificate of an authority"))?;
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        return Err(wrong);
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// For who is enrolled: the authority's certificate, the own one and its key, all PEM.
///
/// # Errors
/// One of them is not what it should be, or the key is not of the certificate.
pub fn city_client(ca_pem: &str, certificate_pem: &str, key_pem: &str) -> Result<ClientConfig, PkiError> {
    let read = |what: &'static str| move |_error| PkiError::Request(what);
    let authority =
        CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(read("no certificate of an authority"))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(read("no key"))?;
    let city = City { anchor: Anchor::Authority(authority), algorithms: provider().signature_verification_algorithms };
    let config = builder(city)?.with_client_auth_cert(chain.map_err(read("no certificate"))?, key)?;
    Ok(finished(config))
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn builder(city: City) -> Result<Builder, PkiError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(city)))
}

fn finished(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![FORWARD_ALPN.to_vec(), b"http/1.1".to_vec()];
    config
}

/// By what the city is known.
#[derive(Debug)]
enum Anchor {
    Code(Code),
    Authority(CertificateDer<'static>),
}

/// Verifies that a server is the city's.
#[derive(Debug)]
struct City {
    anchor: Anchor,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for City {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority = match &self.anchor {
            Anchor::Authority(authority) => Some(authority),
            Anchor::Code(code) => intermediates.iter().find(|shown| code.is_of(&Sha256::digest(shown).into())),
        };
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, self.algorithms.all)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
