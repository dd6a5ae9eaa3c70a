//! `Head`: what the whole log is at one moment, in a few lines that anybody can keep: origin, number of leaves, root,
//! time, writer. Signed, it is a checkpoint that witnesses of transparency logs read.
//!
//! ```text
//! nhatle/5f3a…            the log: "nhatle/" and the first 16 hexadecimal digits of SHA-256 of its first key
//! 4711                    how many leaves
//! CsUYapGG…=              base64 of the root over them
//! time 2026-11-26T21:45:12.123456789Z
//! writer 0
//!
//! — nhatle/5f3a… Az3g…    signature
//! ```
//!
//! In: the parts, or bytes of strangers. Out: [`Head`], [`SignedHead`]. Source: C2SP tlog-checkpoint (v1.0.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nhatle_event::Timestamp;
use nhatle_event::json::hex;
use sha2::{Digest, Sha256};

use super::note::{KeyKind, Note, NoteError, SigningKey, VerifierKey};
use super::tree::Hash;

/// What a log is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which log.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// When that was signed; `None` where the head of another program does not say.
    pub at: Option<Timestamp>,
    /// The writer that signed it (the upper 16 bits of its `Seq`s).
    pub writer: Option<u16>,
}

/// The name of the log that a first key begins.
pub fn origin_of(public: &[u8; 32]) -> String {
    format!("nhatle/{}", &hex(&Sha256::digest(public))[..16])
}

impl Head {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let at = self.at.map(|at| format!("time {at}\n")).unwrap_or_default();
        let writer = self.writer.map(|writer| format!("writer {writer}\n")).unwrap_or_default();
        format!("{}\n{}\n{}\n{at}{writer}", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads the text of a head; lines it does not know are passed over.
    ///
    /// # Errors
    /// It is not of the form.
    pub fn parse(text: &str) -> Result<Head, NoteError> {
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Form("no head: fewer than three lines"));
        };
        let is_plain = size == "0" || (!size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit()));
        let size = size.parse().ok().filter(|_size| is_plain);
        let size = size.ok_or(NoteError::Form("no head: its second line is no number of leaves"))?;
        let root = BASE64.decode(root).ok().and_then(|root| Hash::try_from(root).ok());
        let root = root.ok_or(NoteError::Form("no head: its third line is no root"))?;
        if origin.is_empty() {
            return Err(NoteError::Form("no head: it names no log"));
        }
        let mut head = Head { origin: origin.to_owned(), size, root, at: None, writer: None };
        for line in lines {
            match line.split_once(' ') {
                Some(("time", at)) if head.at.is_none() => head.at = Timestamp::parse(at, 0),
                Some(("writer", writer)) if head.writer.is_none() => head.writer = writer.parse().ok(),
                _ => {}
            }
        }
        Ok(head)
    }
}

/// A head with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// What it says.
    pub head: Head,
    /// As it was signed.
    pub note: Note,
}

impl SignedHead {
    /// Signs a head under the log's name.
    pub fn sign(head: Head, key: &SigningKey) -> SignedHead {
        let text = head.text();
        let signatures = vec![key.sign(&head.origin, &text)];
        SignedHead { head, note: Note { text, signatures } }
    }

    /// Reads a head. No signature is checked.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &[u8]) -> Result<SignedHead, NoteError> {
        let note = Note::parse(bytes)?;
        let head = Head::parse(&note.text)?;
        Ok(SignedHead { head, note })
    }

    /// Its key signed it.
    ///
    /// # Errors
    /// It did not.
    pub fn check(&self, public: &[u8; 32]) -> Result<(), NoteError> {
        let key = VerifierKey { name: self.head.origin.clone(), kind: KeyKind::Note, public: *public };
        self.note.check(&key).map(drop)
    }

    /// As it is kept and handed on.
    pub fn to_text(&self) -> String {
        self.note.to_text()
    }
}

/// The heads of a file: one behind the other, with an empty line after each.
///
/// # Errors
/// For each that is none, its number from 0 and what is wrong. A last one that is not whole is left out and not said.
pub fn read_all(text: &str) -> Vec<Result<SignedHead, (usize, NoteError)>> {
    // A head is two paragraphs: the text, and the signatures.
    let paragraphs: Vec<&str> = text.split_inclusive("\n\n").collect();
    let whole = paragraphs.chunks_exact(2);
    let heads = whole.filter(|pair| pair[1].ends_with('\n')).enumerate();
    heads
        .map(|(at, pair)| {
            let note = [pair[0], pair[1].strip_suffix('\n').filter(|_| pair[1].ends_with("\n\n")).unwrap_or(pair[1])];
            SignedHead::parse(note.concat().as_bytes()).map_err(|error| (at, error))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was_signed() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("a key");
        let head = Head {
            origin: origin_of(&key.public()),
            size: 12,
            root: [7; 32],
            at: Some(Timestamp(1_790_000_000_123_456_789)),
            writer: Some(0),
        };
        let signed = SignedHead::sign(head.clone(), &key);
        assert_eq!(signed.check(&key.public()), Ok(()));
        let later = SignedHead::sign(Head { size: 13, ..head.clone() }, &key);
        let file = format!("{}\n{}\n", signed.to_text(), later.to_text());
        let read: Vec<_> = read_all(&file).into_iter().map(|one| one.expect("a head")).collect();
        assert_eq!(read, [signed.clone(), later.clone()]);
        // Cut anywhere in the second one, the first is there.
        let border = signed.to_text().len() + 1;
        for end in border..file.len() - 2 {
            if file.is_char_boundary(end) {
                let read: Vec<_> = read_all(&file[..end]).into_iter().collect();
                assert_eq!(read.first(), Some(&Ok(signed.clone())), "{end}");
            }
        }
        assert_eq!(read_all(""), []);
        assert_eq!(SignedHead::parse(signed.to_text().as_bytes()).map(|one| one.head), Ok(head));
    }

    #[test]
    fn what_is_no_head_is_said() {
        let root = BASE64.encode([0; 32]);
        for text in [
            "",
            "a\n1\n",
            &format!("a\n01\n{root}\n"),
            &format!("a\n-1\n{root}\n"),
            &format!("\n1\n{root}\n"),
            "a\n1\nAA==\n",
        ] {
            assert!(matches!(Head::parse(text), Err(NoteError::Form(_))), "{text:?}");
        }
        let head = Head::parse(&format!("a\n0\n{root}\nother line\n")).expect("a head");
        assert_eq!((head.size, head.at, head.writer), (0, None, None));
    }
}
