//! What is asked of a time-stamping authority: a time for the SHA-256 of a head as it is handed on (text and signatures),
//! with a nonce, and with the signer's certificate in the answer. In: hash and nonce. Out: `TimeStampReq` in DER, and back.
//! Source: RFC 3161, section 2.4.1.

use sha2::{Digest, Sha256};

use super::der::{self, BOOLEAN, DerError, NULL, OCTET_STRING, OID, Reader, SEQUENCE};
use super::oid;
use crate::proof::head::SignedHead;
use crate::proof::tree::Hash;

/// A request is not longer than this, bytes; ours has some 60.
pub const REQUEST_BYTES_MAX: usize = 4 << 10;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// SHA-256 of what is to have a time.
    pub imprint: Hash,
    /// The number that the answer repeats: the content of its DER INTEGER.
    pub nonce: Vec<u8>,
}

/// What stands for a head: SHA-256 of all its bytes as they are handed on.
pub fn imprint(head: &SignedHead) -> Hash {
    Sha256::digest(head.to_text()).into()
}

impl Request {
    /// For this head.
    pub fn new(head: &SignedHead, nonce: u64) -> Request {
        let number = der::write_number(nonce);
        Request { imprint: imprint(head), nonce: number[2..].to_vec() }
    }

    /// As it is sent: version 1, SHA-256, nonce, certReq.
    pub fn to_der(&self) -> Vec<u8> {
        let algorithm = der::write(SEQUENCE, &[der::write(OID, oid::SHA256), der::write(NULL, &[])].concat());
        let imprint = der::write(SEQUENCE, &[algorithm, der::write(OCTET_STRING, &self.imprint)].concat());
        let nonce = der::write(der::INTEGER, &self.nonce);
        let parts = [der::write_number(1), imprint, nonce, der::write(BOOLEAN, &[0xff])];
        der::write(SEQUENCE, &parts.concat())
    }

    /// Reads [`Request::to_der`].
    ///
    /// # Errors
    /// It is not of that form.
    pub fn parse(bytes: &[u8]) -> Result<Request, DerError> {
        if REQUEST_BYTES_MAX < bytes.len() {
            return Err(DerError("longer than a request can be"));
        }
        let mut parts = Reader::only(bytes, SEQUENCE)?.inside();
        if der::integer(&mut parts)? != [1] {
            return Err(DerError("a request of another version than 1"));
        }
        let imprint = read_imprint(&mut parts)?.ok_or(DerError("a request for another hash than SHA-256"))?;
        let nonce = der::integer(&mut parts)?.to_vec();
        if parts.expect(BOOLEAN)?.content != [0xff] {
            return Err(DerError("a request without the signer's certificate"));
        }
        parts.end()?;
        Ok(Request { imprint, nonce })
    }
}

/// Reads a `MessageImprint`; `None` where its hash is another than SHA-256.
pub(super) fn read_imprint(parts: &mut Reader<'_>) -> Result<Option<Hash>, DerError> {
    let mut imprint = parts.expect(SEQUENCE)?.inside();
    let algorithm = algorithm(&mut imprint)?;
    let hash = imprint.expect(OCTET_STRING)?.content;
    imprint.end()?;
    Ok(Hash::try_from(hash).ok().filter(|_| algorithm == oid::SHA256))
}

/// The name of an `AlgorithmIdentifier` whose parameters are absent or NULL.
pub(super) fn algorithm<'a>(parts: &mut Reader<'a>) -> Result<&'a [u8], DerError> {
    let mut algorithm = parts.expect(SEQUENCE)?.inside();
    let name = algorithm.expect(OID)?.content;
    algorithm.take_if(NULL)?;
    algorithm.end()?;
    Ok(name)
}
