//! What of a certificate a time-stamp must agree with: names, serial number, the identifier of its key, what it may be used
//! for. In: bytes of strangers. Out: [`Certificate`]. Its signature and times are looked at where the chain is (`verify`).
//! Source: RFC 5280, section 4.1; RFC 3161, section 2.3.

use super::der::{self, BIT_STRING, BOOLEAN, DerError, OCTET_STRING, OID, PRINTABLE, Reader, SEQUENCE, SET, UTF8};
use super::oid;
use super::token::{Signer, plain};

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For time-stamps and nothing else, and whoever does not know what that means must refuse it.
    TimeStamping,
    /// The same, but not so marked (critical).
    NotCritical,
    /// For something else, for more, or it does not say.
    Other,
}

/// A certificate.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    key: Option<&'a [u8]>,
    /// What it may be used for.
    pub purpose: Purpose,
}

impl<'a> Certificate<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Certificate<'a>, DerError> {
        let mut whole = Reader::only(bytes, SEQUENCE)?.inside();
        let mut parts = whole.expect(SEQUENCE)?.inside();
        parts.take_if(der::context(0))?;
        let serial = der::integer(&mut parts)?;
        parts.expect(SEQUENCE)?;
        let issuer = parts.expect(SEQUENCE)?.whole;
        parts.expect(SEQUENCE)?;
        let subject = parts.expect(SEQUENCE)?.whole;
        parts.expect(SEQUENCE)?;
        parts.take_if(der::context_primitive(1))?;
        parts.take_if(der::context_primitive(2))?;
        let mut certificate = Certificate { serial, issuer, subject, key: None, purpose: Purpose::Other };
        if let Some(extensions) = parts.take_if(der::context(3))? {
            let mut extensions = extensions.inside();
            certificate.read_extensions(extensions.expect(SEQUENCE)?.inside())?;
            extensions.end()?;
        }
        parts.end()?;
        whole.expect(SEQUENCE)?;
        whole.expect(BIT_STRING)?;
        whole.end()?;
        Ok(certificate)
    }

    fn read_extensions(&mut self, extensions: Reader<'a>) -> Result<(), DerError> {
        let mut extensions = extensions;
        while let Some(extension) = extensions.read()? {
            let mut parts = extension.inside();
            let name = parts.expect(OID)?.content;
            let is_critical = parts.take_if(BOOLEAN)?.is_some_and(|critical| critical.content == [0xff]);
            let value = parts.expect(OCTET_STRING)?.content;
            parts.end()?;
            if name == oid::SUBJECT_KEY {
                self.key = Some(Reader::only(value, OCTET_STRING)?.content);
            } else if name == oid::KEY_PURPOSES {
                let mut purposes = Reader::only(value, SEQUENCE)?.inside();
                let is_so = purposes.expect(OID)?.content == oid::TIME_STAMPING && purposes.end().is_ok();
                self.purpose = match (is_so, is_critical) {
                    (true, true) => Purpose::TimeStamping,
                    (true, false) => Purpose::NotCritical,
                    (false, _) => Purpose::Other,
                };
            }
        }
        Ok(())
    }

    /// Whether it is the one that a token names.
    pub fn is_of(&self, signer: Signer<'_>) -> bool {
        match signer {
            Signer::Issued(issuer, serial) => self.issuer == issuer && self.serial == serial,
            Signer::Key(key) => self.key == Some(key),
        }
    }

    /// Whose it is, in words: its common name, else its organization.
    pub fn name(&self) -> String {
        let name = |kind: &[u8]| named(self.subject, kind).ok().flatten();
        name(oid::COMMON_NAME).or_else(|| name(oid::ORGANIZATION)).unwrap_or_default()
    }
}

/// The last value of a kind in a name, where it is text.
fn named(subject: &[u8], kind: &[u8]) -> Result<Option<String>, DerError> {
    let mut found = None;
    let mut sets = Reader::only(subject, SEQUENCE)?.inside();
    while let Some(set) = sets.take_if(SET)? {
        let mut pairs = set.inside();
        while let Some(pair) = pairs.take_if(SEQUENCE)? {
            let mut parts = pair.inside();
            let is_it = parts.expect(OID)?.content == kind;
            if let Some(value) = parts.read()?.filter(|value| is_it && [UTF8, PRINTABLE].contains(&value.tag)) {
                found = std::str::from_utf8(value.content).ok().map(plain).filter(|text| !text.is_empty());
            }
        }
    }
    Ok(found)
}
