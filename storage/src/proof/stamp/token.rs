//! What a time-stamping authority answers, taken apart: status, and the token with what it says, who signed it and how. In:
//! bytes of strangers. Out: [`Token`], nothing of it checked yet. Failure: [`StampError`]. Only DER is taken, and one signer.
//! Source: RFC 3161, section 2.4.2; RFC 5652, section 5.

use nhatle_event::Timestamp;

use super::StampError;
use super::der::{
    self, BOOLEAN, DerError, GENERALIZED_TIME, INTEGER, Item, OCTET_STRING, OID, Reader, SEQUENCE, SET, UTF8,
};
use super::oid;
use super::request::{algorithm, read_imprint};
use crate::proof::tree::Hash;

/// An answer is not longer than this, bytes; one with its certificates has 5 to 10 KiB.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Nor has it more certificates.
const CERTIFICATES_MAX: usize = 16;
/// Nor more signed attributes.
const ATTRIBUTES_MAX: usize = 32;
/// How much of what an authority says is repeated, characters.
const SAID_CHARS_MAX: usize = 200;

/// What a token says (`TSTInfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Of what; `None` where the hash is another than SHA-256.
    pub imprint: Option<Hash>,
    /// The number the request had.
    pub nonce: Option<Vec<u8>>,
    /// The authority's number of it.
    pub serial: Vec<u8>,
    /// When.
    pub at: Timestamp,
    /// How exact that is, where it says so.
    pub accuracy_ns: i64,
}

/// Who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer<'a> {
    /// By issuer (all its bytes) and serial number.
    Issued(&'a [u8], &'a [u8]),
    /// By the identifier of its key.
    Key(&'a [u8]),
}

/// A token.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    /// What it says.
    pub said: Said,
    /// The bytes it says that in, which are signed.
    pub content: &'a [u8],
    /// Certificates that came with it.
    pub certificates: Vec<&'a [u8]>,
    /// Who signed.
    pub signer: Signer<'a>,
    /// The hash of the signature.
    pub digest: &'a [u8],
    /// Names and values (SET) of the signed attributes.
    pub attributes: Vec<(&'a [u8], Item<'a>)>,
    /// The bytes that are signed.
    pub signed: Vec<u8>,
    /// How they are.
    pub algorithm: Item<'a>,
    /// The signature.
    pub signature: &'a [u8],
}

impl<'a> Token<'a> {
    /// Takes an answer (`TimeStampResp`) apart.
    ///
    /// # Errors
    /// It is none, or no time was granted.
    pub fn parse(answer: &'a [u8]) -> Result<Token<'a>, StampError> {
        if ANSWER_BYTES_MAX < answer.len() {
            return Err(DerError("longer than 64 KiB").into());
        }
        let mut parts = Reader::only(answer, SEQUENCE)?.inside();
        granted(&parts.expect(SEQUENCE)?)?;
        let token = parts.take_if(SEQUENCE)?.ok_or(StampError::NoToken)?;
        parts.end()?;
        let mut parts = token.inside();
        let mut signed = wrapped(&mut parts, oid::SIGNED_DATA)?;
        parts.end()?;
        let mut data = signed.expect(SEQUENCE)?.inside();
        signed.end()?;
        der::small(der::integer(&mut data)?)?;
        data.expect(SET)?;
        let mut inner = data.expect(SEQUENCE)?.inside();
        let mut content = wrapped(&mut inner, oid::TST_INFO)?;
        inner.end()?;
        let content_item = content.expect(OCTET_STRING)?;
        content.end()?;
        let certificates = certificates(&mut data)?;
        data.take_if(der::context(1))?;
        let mut signers = data.expect(SET)?.inside();
        data.end()?;
        let signer = signers.expect(SEQUENCE)?;
        signers.end().map_err(|_more| DerError("more than one signer"))?;
        signer_of(&signer, content_item.content, certificates)
    }
}

/// `PKIStatusInfo`: granted, with changes or without.
fn granted(status: &Item<'_>) -> Result<(), StampError> {
    let mut parts = status.inside();
    let number = der::small(der::integer(&mut parts)?)?;
    if number <= 1 {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(texts) = parts.take_if(SEQUENCE)? {
        let mut texts = texts.inside();
        while let Some(text) = texts.take_if(UTF8)? {
            said.push_str(&String::from_utf8_lossy(text.content));
            said.push(' ');
        }
    }
    Err(StampError::NotGranted { status: number, said: plain(&said) })
}

/// What strangers say, in one short line.
pub(super) fn plain(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect();
    text.trim().to_owned()
}

/// The inside of `[0]` behind a content type.
fn wrapped<'a>(parts: &mut Reader<'a>, kind: &[u8]) -> Result<Reader<'a>, DerError> {
    if parts.expect(OID)?.content != kind {
        return Err(DerError("a content of another kind than a signed time-stamp"));
    }
    Ok(parts.expect(der::context(0))?.inside())
}

fn certificates<'a>(data: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, DerError> {
    let mut certificates = Vec::new();
    let Some(set) = data.take_if(der::context(0))? else { return Ok(certificates) };
    let mut set = set.inside();
    while let Some(item) = set.read()? {
        if CERTIFICATES_MAX == certificates.len() {
            return Err(DerError("more than 16 certificates"));
        }
        // Other kinds (attribute certificates) have other tags, and nobody asks for them.
        if item.tag == SEQUENCE {
            certificates.push(item.whole);
        }
    }
    Ok(certificates)
}

/// `SignerInfo`
fn signer_of<'a>(info: &Item<'a>, content: &'a [u8], certificates: Vec<&'a [u8]>) -> Result<Token<'a>, StampError> {
    let mut parts = info.inside();
    der::small(der::integer(&mut parts)?)?;
    let signer = match parts.take_if(der::context_primitive(0))? {
        Some(key) => Signer::Key(key.content),
        None => {
            let mut named = parts.expect(SEQUENCE)?.inside();
            let signer = Signer::Issued(named.expect(SEQUENCE)?.whole, der::integer(&mut named)?);
            named.end()?;
            signer
        }
    };
    let digest = algorithm(&mut parts)?;
    let attributes = parts.take_if(der::context(0))?.ok_or(DerError("nothing is signed but the content"))?;
    let algorithm = parts.expect(SEQUENCE)?;
    let signature = parts.expect(OCTET_STRING)?.content;
    parts.take_if(der::context(1))?;
    parts.end()?;
    // Signed is the SET, not the `[0]` that stands for it (RFC 5652, section 5.4).
    let signed = [&[SET], &attributes.whole[1..]].concat();
    let attributes = read_attributes(&attributes)?;
    Ok(Token { said: said(content)?, content, certificates, signer, digest, attributes, signed, algorithm, signature })
}

fn read_attributes<'a>(set: &Item<'a>) -> Result<Vec<(&'a [u8], Item<'a>)>, DerError> {
    let mut attributes: Vec<(&[u8], Item<'_>)> = Vec::new();
    let mut items = set.inside();
    while let Some(item) = items.take_if(SEQUENCE)? {
        let mut parts = item.inside();
        let name = parts.expect(OID)?.content;
        let values = parts.expect(SET)?;
        parts.end()?;
        if attributes.len() == ATTRIBUTES_MAX || attributes.iter().any(|(known, _)| *known == name) {
            return Err(DerError("an attribute twice, or more than 32"));
        }
        attributes.push((name, values));
    }
    items.end()?;
    Ok(attributes)
}

/// `TSTInfo`
fn said(content: &[u8]) -> Result<Said, DerError> {
    let mut parts = Reader::only(content, SEQUENCE)?.inside();
    if der::integer(&mut parts)? != [1] {
        return Err(DerError("a time-stamp of another version than 1"));
    }
    parts.expect(OID)?;
    let imprint = read_imprint(&mut parts)?;
    let serial = der::integer(&mut parts)?.to_vec();
    let at = der::time(parts.expect(GENERALIZED_TIME)?.content)?;
    let accuracy_ns = parts.take_if(SEQUENCE)?.map_or(Ok(0), |accuracy| accuracy_ns(&accuracy))?;
    parts.take_if(BOOLEAN)?;
    let nonce = parts.take_if(INTEGER)?.map(|nonce| nonce.content.to_vec());
    parts.take_if(der::context(0))?;
    if let Some(extensions) = parts.take_if(der::context(1))? {
        let mut extensions = extensions.inside();
        while let Some(extension) = extensions.take_if(SEQUENCE)? {
            let mut extension = extension.inside();
            extension.expect(OID)?;
            if extension.take_if(BOOLEAN)?.is_some_and(|critical| critical.content != [0]) {
                return Err(DerError("a critical extension that is not known"));
            }
        }
        extensions.end()?;
    }
    parts.end()?;
    Ok(Said { imprint, nonce, serial, at, accuracy_ns })
}

/// `Accuracy`: seconds, `[0]` thousandths, `[1]` millionths.
fn accuracy_ns(accuracy: &Item<'_>) -> Result<i64, DerError> {
    let mut parts = accuracy.inside();
    let mut ns = 0;
    for (tag, unit_ns) in
        [(INTEGER, 1_000_000_000), (der::context_primitive(0), 1_000_000), (der::context_primitive(1), 1_000)]
    {
        if let Some(count) = parts.take_if(tag)? {
            ns += i64::from(der::small(count.content)?) * unit_ns;
        }
    }
    parts.end()?;
    Ok(ns)
}
