//! Signed notes: text with one or more Ed25519 signatures below it. In: text or bytes of strangers. Out: a [`Note`], the
//! [`VerifierKey`]s that signed it. Failure: [`NoteError`]. Keys live in memory only; whoever made one keeps it.
//!
//! Source: C2SP signed-note (v1.0.0), tlog-cosignature (Ed25519 part); RFC 8032.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

/// The longest note that is read; heads of ours have some 300 bytes.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// How many signatures of one note are looked at.
pub const SIGNATURES_MAX: usize = 64;
/// The longest name of a key.
pub const KEY_NAME_BYTES_MAX: usize = 255;

const SIGNATURE_MARK: &str = "\u{2014} ";

/// What a key signs, and so how its signatures are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The text itself.
    Note = 1,
    /// That the text was seen at a time, by a second party.
    Cosignature = 4,
}

/// Why something is no note, or is not signed by whom it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not of the form.
    #[error("no signed note: {0}")]
    Form(&'static str),
    /// No signature of this key stands below it.
    #[error("not signed by key {0}")]
    NotSigned(String),
    /// A signature said to be of this key is not.
    #[error("the signature is not of key {0} over this text")]
    Forged(String),
    /// A key that is none.
    #[error("no key: {0}")]
    Key(&'static str),
}

/// A public key with the name it signs by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// The name in its signatures.
    pub name: String,
    /// What it signs.
    pub kind: KeyKind,
    /// The key (RFC 8032).
    pub public: [u8; 32],
}

impl VerifierKey {
    /// The number in its signatures: the first four bytes of SHA-256(name ‖ 0A ‖ kind ‖ key).
    pub fn id(&self) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update([b'\n', self.kind as u8]);
        hash.update(self.public);
        let hash: [u8; 32] = hash.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// As people hand it on: `name+id+base64(kind ‖ key)`.
    pub fn text(&self) -> String {
        let mut bytes = vec![self.kind as u8];
        bytes.extend_from_slice(&self.public);
        format!("{}+{}+{}", self.name, nhatle_event::json::hex(&self.id()), BASE64.encode(bytes))
    }

    /// Reads [`VerifierKey::text`].
    ///
    /// # Errors
    /// It is not of that form, of another kind of key, or its number is wrong.
    pub fn parse(text: &str) -> Result<VerifierKey, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it must be name+number+key"));
        };
        if !is_name(name) {
            return Err(NoteError::Key("a name is empty, too long, or has a space in it"));
        }
        let bytes = BASE64.decode(key).map_err(|_bad| NoteError::Key("its last part is not base64"))?;
        let kind = match bytes.first() {
            Some(1) => KeyKind::Note,
            Some(4) => KeyKind::Cosignature,
            _ => return Err(NoteError::Key("not of Ed25519")),
        };
        let public = bytes[1..].try_into().map_err(|_length| NoteError::Key("not of 32 bytes"))?;
        let key = VerifierKey { name: name.to_owned(), kind, public };
        match nhatle_event::json::hex(&key.id()) == id {
            true => Ok(key),
            false => Err(NoteError::Key("its number is not that of its name and key")),
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= KEY_NAME_BYTES_MAX && name.chars().all(is_plain)
}

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new key, as PKCS #8 in DER.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate() -> Result<Vec<u8>, NoteError> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        made.map(|pkcs8| pkcs8.as_ref().to_vec()).map_err(|_random| NoteError::Key("the system gives no randomness"))
    }

    /// The key of [`SigningKey::generate`].
    ///
    /// # Errors
    /// It is no such key.
    pub fn from_pkcs8(der: &[u8]) -> Result<SigningKey, NoteError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        Ok(SigningKey { pair: pair.map_err(|_rejected| NoteError::Key("no Ed25519 key in PKCS #8"))? })
    }

    /// Its public half.
    pub fn public(&self) -> [u8; 32] {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        public
    }

    /// Its public half under a name.
    pub fn verifier(&self, name: &str, kind: KeyKind) -> VerifierKey {
        VerifierKey { name: name.to_owned(), kind, public: self.public() }
    }

    /// The signature line under `text`, which ends with a line feed.
    pub fn sign(&self, name: &str, text: &str) -> Signature {
        let key = self.verifier(name, KeyKind::Note);
        Signature { name: key.name.clone(), id: key.id(), bytes: self.pair.sign(text.as_bytes()).as_ref().to_vec() }
    }

    /// The line of a second party that saw `text` at this time, in seconds since 1970.
    pub fn cosign(&self, name: &str, text: &str, seconds: u64) -> Signature {
        let key = self.verifier(name, KeyKind::Cosignature);
        let mut bytes = seconds.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.pair.sign(seen(text, seconds).as_bytes()).as_ref());
        Signature { name: key.name.clone(), id: key.id(), bytes }
    }
}

fn seen(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// One line below a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Whose it says it is.
    pub name: String,
    /// The number of the key.
    pub id: [u8; 4],
    /// The signature; of a second party the time before it.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// The line, with its line feed.
    pub fn line(&self) -> String {
        let bytes = [&self.id[..], &self.bytes].concat();
        format!("{SIGNATURE_MARK}{} {}\n", self.name, BASE64.encode(bytes))
    }

    /// Reads a line without its line feed.
    ///
    /// # Errors
    /// It is not of the form.
    pub fn parse(line: &str) -> Result<Signature, NoteError> {
        let wrong = NoteError::Form("a line below the text is no signature");
        let (name, base64) =
            line.strip_prefix(SIGNATURE_MARK).and_then(|rest| rest.split_once(' ')).ok_or(wrong.clone())?;
        let bytes = BASE64.decode(base64).map_err(|_bad| wrong.clone())?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or(wrong.clone())?;
        if !is_name(name) || bytes.is_empty() {
            return Err(wrong);
        }
        Ok(Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

/// A text with signatures, none of them checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text, with its last line feed.
    pub text: String,
    /// What stands below it.
    pub signatures: Vec<Signature>,
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// It is not of the form, or past a limit.
    pub fn parse(bytes: &[u8]) -> Result<Note, NoteError> {
        if NOTE_BYTES_MAX < bytes.len() {
            return Err(NoteError::Form("longer than 64 KiB"));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_bad| NoteError::Form("no UTF-8"))?;
        if whole.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Form("a control character"));
        }
        let at = whole.rfind("\n\n").ok_or(NoteError::Form("no empty line between text and signatures"))?;
        let (text, below) = (&whole[..=at], &whole[at + 2..]);
        let below = below.strip_suffix('\n').ok_or(NoteError::Form("it does not end with a line feed"))?;
        let signatures = below.split('\n').map(Signature::parse).collect::<Result<Vec<_>, _>>()?;
        if SIGNATURES_MAX < signatures.len() {
            return Err(NoteError::Form("too many signatures"));
        }
        Ok(Note { text: text.to_owned(), signatures })
    }

    /// The note as text.
    pub fn to_text(&self) -> String {
        let lines: String = self.signatures.iter().map(Signature::line).collect();
        format!("{}\n{lines}", self.text)
    }

    /// This key signed the text. For a second party: the time at which it saw it, in seconds since 1970.
    ///
    /// # Errors
    /// It did not, or a signature under its name and number is not its own.
    pub fn check(&self, key: &VerifierKey) -> Result<Option<u64>, NoteError> {
        let mut seen_at = Err(NoteError::NotSigned(key.name.clone()));
        for signature in self.signatures.iter().filter(|one| one.name == key.name && one.id == key.id()) {
            let forged = || NoteError::Forged(key.name.clone());
            match key.kind {
                KeyKind::Note => {
                    if !key.verify(self.text.as_bytes(), &signature.bytes) {
                        return Err(forged());
                    }
                    seen_at = Ok(None);
                }
                KeyKind::Cosignature => {
                    let (time, bytes) = signature.bytes.split_first_chunk::<8>().ok_or_else(forged)?;
                    let seconds = u64::from_be_bytes(*time);
                    if !key.verify(seen(&self.text, seconds).as_bytes(), bytes) {
                        return Err(forged());
                    }
                    seen_at = Ok(Some(seconds));
                }
            }
        }
        seen_at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("a key")
    }

    #[test]
    fn the_example_of_the_specification_is_read_and_checked() {
        // golang.org/x/mod/sumdb/note's example key and note.
        let key = VerifierKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        let key = key.expect("a key");
        assert_eq!(key.text(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        let text =
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let note = Note::parse(format!("{text}\n{line}").as_bytes()).expect("a note");
        assert_eq!(note.check(&key), Ok(None));
        assert_eq!(note.to_text(), format!("{text}\n{line}"));
    }

    #[test]
    fn a_signature_is_of_its_text_its_key_and_its_name() {
        let (first, other) = (key(), key());
        let mut note = Note { text: "a\nb\n".into(), signatures: vec![first.sign("city", "a\nb\n")] };
        let city = first.verifier("city", KeyKind::Note);
        assert_eq!(note.check(&city), Ok(None));
        let stranger = other.verifier("city", KeyKind::Note);
        assert_eq!(note.check(&stranger), Err(NoteError::NotSigned("city".into())));
        note.signatures.push(other.cosign("province", &note.text, 77));
        let note = Note::parse(note.to_text().as_bytes()).expect("a note");
        assert_eq!(note.check(&other.verifier("province", KeyKind::Cosignature)), Ok(Some(77)));
        let altered = Note { text: "a\nc\n".into(), ..note.clone() };
        assert_eq!(altered.check(&city), Err(NoteError::Forged("city".into())));
        let mut later = note;
        later.signatures[1].bytes[7] ^= 1;
        let province = other.verifier("province", KeyKind::Cosignature);
        assert_eq!(later.check(&province), Err(NoteError::Forged("province".into())));
    }

    #[test]
    fn what_is_no_note_or_key_is_said() {
        for text in [
            "",
            "a",
            "a\n\n",
            "a\n\n— x\n",
            "a\n\n— x AAAA\n",
            "a\n\n— x AAAAAAA=",
            "a\r\n\n— x AAAAAAA=\n",
            "a\n\nb\n",
        ] {
            assert!(matches!(Note::parse(text.as_bytes()), Err(NoteError::Form(_))), "{text:?}");
        }
        for text in [
            "",
            "a+b",
            "a+00000000+AQ==",
            "a b+00000000+AQ==",
            "x+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(matches!(VerifierKey::parse(text), Err(NoteError::Key(_))), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn strangers_bytes_never_panic(bytes: Vec<u8>, text in "[a\n— +=A]{0,60}") {
            let whole = [&bytes[..], text.as_bytes()].concat();
            if let Ok(note) = Note::parse(&whole) {
                prop_assert_eq!(Note::parse(note.to_text().as_bytes()), Ok(note));
            }
            drop(VerifierKey::parse(&text));
        }
    }
}
