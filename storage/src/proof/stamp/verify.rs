//! Whether a token is what it says: granted, for our hash and nonce, signed by the certificate it names, which is one for
//! time-stamps and was signed, at that time, by an authority the reader knows. In: an answer, the request, authorities. Out:
//! [`Stamp`]. Failure: [`StampError`], each in its own words. Signatures are ring's, the chain is webpki's (which rustls
//! brings). Whether a certificate was revoked is not asked. Source: RFC 3161, RFC 5652, RFC 5816.

use std::time::Duration;

use pki_types::pem::PemObject;
use pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use ring::digest;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring as algorithms};

use super::certificate::{Certificate, Purpose};
use super::der::{self, DerError, OCTET_STRING, OID, Reader, SEQUENCE};
use super::oid;
use super::request::Request;
use super::token::Token;
use super::{Stamp, StampError};

/// How many authorities may be known.
const AUTHORITIES_MAX: usize = 64;

/// The authorities that a reader trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Reads their certificates: PEM, one or many behind each other.
    ///
    /// # Errors
    /// There is none, or one that is none; in words.
    pub fn read(pem: &[u8]) -> Result<Authorities, String> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(AUTHORITIES_MAX + 1).collect();
        let certificates = read.map_err(|error| format!("no certificates in PEM: {error}"))?;
        match certificates.len() {
            0 => return Err("no certificate in PEM".to_owned()),
            count if AUTHORITIES_MAX < count => return Err(format!("more than {AUTHORITIES_MAX} certificates")),
            _ => {}
        }
        for (at, certificate) in certificates.iter().enumerate() {
            anchor_from_trusted_cert(certificate).map_err(|error| format!("certificate {}: {error}", at + 1))?;
        }
        Ok(Authorities { certificates })
    }
}

/// Checks an answer to a request; with `None` for authorities all but the chain, which [`Stamp::is_chained`] says.
///
/// # Errors
/// What does not hold.
pub fn check(answer: &[u8], request: &Request, authorities: Option<&Authorities>) -> Result<Stamp, StampError> {
    let token = Token::parse(answer)?;
    match token.said.imprint {
        None => return Err(StampError::OtherHash),
        Some(imprint) if imprint != request.imprint => return Err(StampError::OtherImprint),
        Some(_) => {}
    }
    if token.said.nonce.as_ref() != Some(&request.nonce) {
        return Err(StampError::OtherNonce);
    }
    let (bytes, certificate) = signer(&token)?;
    check_attributes(&token, bytes)?;
    let der = CertificateDer::from(bytes);
    let parsed = EndEntityCert::try_from(&der).map_err(|error| StampError::Certificate(error.to_string()))?;
    let fitting = fitting(&token)?;
    if !fitting.iter().any(|one| parsed.verify_signature(*one, &token.signed, token.signature).is_ok()) {
        return Err(StampError::Signature);
    }
    match certificate.purpose {
        Purpose::TimeStamping => {}
        Purpose::NotCritical => return Err(StampError::NotCritical),
        Purpose::Other => return Err(StampError::NotForTime),
    }
    if let Some(authorities) = authorities {
        check_chain(&token, &parsed, authorities)?;
    }
    Ok(Stamp {
        at: token.said.at,
        accuracy_ns: token.said.accuracy_ns,
        authority: certificate.name(),
        serial: nhatle_event::json::hex(&token.said.serial),
        is_chained: authorities.is_some(),
    })
}

/// The certificate that the token names, among those that came with it.
fn signer<'a>(token: &Token<'a>) -> Result<(&'a [u8], Certificate<'a>), StampError> {
    for bytes in &token.certificates {
        // One that cannot be read may be somebody else's.
        if let Ok(certificate) = Certificate::parse(bytes)
            && certificate.is_of(token.signer)
        {
            return Ok((bytes, certificate));
        }
    }
    Err(StampError::NoCertificate)
}

/// The hash that a name stands for.
fn hash_of(name: &[u8]) -> Option<&'static digest::Algorithm> {
    match name {
        oid::SHA256 => Some(&digest::SHA256),
        oid::SHA384 => Some(&digest::SHA384),
        oid::SHA512 => Some(&digest::SHA512),
        _ => None,
    }
}

/// What is signed is of this content, of this kind, and names this certificate.
fn check_attributes(token: &Token<'_>, certificate: &[u8]) -> Result<(), StampError> {
    let value = |name: &[u8], tag: u8| {
        let found = token.attributes.iter().find(|(known, _)| *known == name);
        found.map(|(_, values)| Reader::only(values.content, tag)).transpose()
    };
    if value(oid::CONTENT_TYPE, OID)?.is_none_or(|kind| kind.content != oid::TST_INFO) {
        return Err(StampError::OtherContent);
    }
    let hash = hash_of(token.digest).ok_or(StampError::Algorithm)?;
    let content = digest::digest(hash, token.content);
    if value(oid::MESSAGE_DIGEST, OCTET_STRING)?.is_none_or(|said| said.content != content.as_ref()) {
        return Err(StampError::OtherContent);
    }
    let (old, new) = (value(oid::SIGNING_CERTIFICATE, SEQUENCE)?, value(oid::SIGNING_CERTIFICATE_V2, SEQUENCE)?);
    if old.is_none() && new.is_none() {
        return Err(StampError::OtherCertificate);
    }
    if let Some(old) = old {
        names(old.inside(), &digest::SHA1_FOR_LEGACY_USE_ONLY, certificate)?;
    }
    if let Some(new) = new {
        let first = new.inside().expect(SEQUENCE)?.inside().expect(SEQUENCE)?;
        let mut parts = first.inside();
        // SHA-256 is not said: it is what stands for nothing (RFC 5035, section 3).
        let hash = match parts.take_if(SEQUENCE)? {
            Some(algorithm) => hash_of(algorithm.inside().expect(OID)?.content).ok_or(StampError::Algorithm)?,
            None => &digest::SHA256,
        };
        names(new.inside(), hash, certificate)?;
    }
    Ok(())
}

/// The first certificate of a `SigningCertificate` has this hash. More of them say nothing of the signer.
fn names(parts: Reader<'_>, hash: &'static digest::Algorithm, certificate: &[u8]) -> Result<(), StampError> {
    let mut parts = parts;
    let mut first = parts.expect(SEQUENCE)?.inside().expect(SEQUENCE)?.inside();
    first.take_if(SEQUENCE)?;
    let said = first.expect(OCTET_STRING)?.content;
    let is_it = digest::digest(hash, certificate).as_ref() == said;
    if is_it { Ok(()) } else { Err(StampError::OtherCertificate) }
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// The ways of signing that fit what the token says of its own; which of them it is, the certificate's key decides.
fn fitting(token: &Token<'_>) -> Result<Vec<Algorithm>, StampError> {
    let mut parts = token.algorithm.inside();
    let name = parts.expect(OID)?.content;
    match (name, token.digest) {
        (oid::RSA | oid::RSA_SHA256, oid::SHA256) => Ok(vec![algorithms::RSA_PKCS1_2048_8192_SHA256]),
        (oid::RSA | oid::RSA_SHA384, oid::SHA384) => Ok(vec![algorithms::RSA_PKCS1_2048_8192_SHA384]),
        (oid::RSA | oid::RSA_SHA512, oid::SHA512) => Ok(vec![algorithms::RSA_PKCS1_2048_8192_SHA512]),
        (oid::RSA_PSS, hash) if pss_hash(parts)? == Some(hash) => match hash {
            oid::SHA256 => Ok(vec![algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
            oid::SHA384 => Ok(vec![algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
            oid::SHA512 => Ok(vec![algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
            _ => Err(StampError::Algorithm),
        },
        (oid::ECDSA_SHA256, oid::SHA256) => Ok(vec![algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256]),
        (oid::ECDSA_SHA384, oid::SHA384) => Ok(vec![algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384]),
        _ => Err(StampError::Algorithm),
    }
}

/// The hash that the parameters of PSS name. Its mask and salt are those that ring takes, or the signature does not hold.
fn pss_hash<'a>(parameters: Reader<'a>) -> Result<Option<&'a [u8]>, DerError> {
    let mut parameters = parameters;
    let mut parts = parameters.expect(SEQUENCE)?.inside();
    let Some(hash) = parts.take_if(der::context(0))? else { return Ok(None) };
    Ok(Some(hash.inside().expect(SEQUENCE)?.inside().expect(OID)?.content))
}

/// Somebody the reader knows vouched for the certificate, at the time that the token says.
fn check_chain(token: &Token<'_>, signer: &EndEntityCert<'_>, known: &Authorities) -> Result<(), StampError> {
    let anchors: Vec<TrustAnchor<'_>> =
        known.certificates.iter().filter_map(|one| anchor_from_trusted_cert(one).ok()).collect();
    let others: Vec<CertificateDer<'_>> = token.certificates.iter().map(|bytes| CertificateDer::from(*bytes)).collect();
    let seconds = u64::try_from(token.said.at.seconds()).unwrap_or(0);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = KeyUsage::required_if_present(oid::TIME_STAMPING);
    let checked = signer.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &others, at, usage, None, None);
    checked.map(drop).map_err(|error| match error {
        webpki::Error::CertExpired { .. } => StampError::Expired,
        webpki::Error::CertNotValidYet { .. } => StampError::NotValidYet,
        webpki::Error::UnknownIssuer => StampError::UnknownIssuer,
        other => StampError::Chain(other.to_string()),
    })
}
