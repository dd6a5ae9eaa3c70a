//! Being a second party: heads of another log come in, each with a proof that it continues the one before. In: the newest
//! head known of that log, a request. Out: the head to keep, or a [`Refusal`] that says whether the log contradicts itself.
//! Pure: whoever calls keeps the head, durably, before it answers.
//!
//! Source: C2SP tlog-witness, `add-checkpoint`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::head::SignedHead;
use super::note::VerifierKey;
use super::tree::{Hash, empty_root, is_consistent};

/// The longest proof: one hash for each level of a tree.
pub const PATH_MAX: usize = 63;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the head that the sender believes is known.
    pub old: u64,
    /// That the new head continues it.
    pub path: Vec<Hash>,
    /// The new head.
    pub head: SignedHead,
}

/// Why a head is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It makes no sense.
    Malformed(String),
    /// No key is known for this log.
    Unknown,
    /// None of the known keys signed it.
    NotSigned,
    /// The sender believes in another size than the one known, which this is. Nothing is wrong.
    OtherSize(u64),
    /// It is of an older log than one signed before: put back. The size known.
    WentBack(u64),
    /// It does not continue what was signed before: two histories. The size known.
    Contradicts(u64),
}

impl AddCheckpoint {
    /// As it is sent.
    pub fn to_text(&self) -> String {
        let path: String = self.path.iter().map(|hash| BASE64.encode(hash) + "\n").collect();
        format!("old {}\n{path}\n{}", self.old, self.head.to_text())
    }

    /// Reads what was sent.
    ///
    /// # Errors
    /// It is not of the form; the reason.
    pub fn parse(bytes: &[u8]) -> Result<AddCheckpoint, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (front, note) = text.split_once("\n\n").ok_or("no empty line before the head")?;
        let mut lines = front.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(|size| size.parse().ok());
        let old = old.ok_or("it does not begin with the old size")?;
        let hash = |line: &str| BASE64.decode(line).ok().and_then(|hash| Hash::try_from(hash).ok());
        let path: Vec<Hash> = lines.map(hash).collect::<Option<_>>().ok_or("a line of the proof is no hash")?;
        if PATH_MAX < path.len() {
            return Err("a proof of more than 63 hashes".to_owned());
        }
        let head = SignedHead::parse(note.as_bytes()).map_err(|error| error.to_string())?;
        Ok(AddCheckpoint { old, path, head })
    }
}

/// Whether to keep a head as the newest of its log. `known` is the newest one so far, `keys` are those of its log.
///
/// # Errors
/// Why not.
pub fn consider(known: Option<&SignedHead>, request: &AddCheckpoint, keys: &[VerifierKey]) -> Result<(), Refusal> {
    let new = &request.head.head;
    let of_log: Vec<&VerifierKey> = keys.iter().filter(|key| key.name == new.origin).collect();
    if of_log.is_empty() {
        return Err(Refusal::Unknown);
    }
    if !of_log.iter().any(|key| request.head.note.check(key).is_ok()) {
        return Err(Refusal::NotSigned);
    }
    if new.size < request.old {
        return Err(Refusal::Malformed("the old size is past the new one".to_owned()));
    }
    let (size, root) = known.map_or((0, empty_root()), |known| (known.head.size, known.head.root));
    if new.size < size {
        return Err(Refusal::WentBack(size));
    }
    if new.size == size && new.root != root {
        return Err(Refusal::Contradicts(size));
    }
    if request.old != size {
        return Err(Refusal::OtherSize(size));
    }
    match is_consistent(size, &root, new.size, &new.root, &request.path) {
        true => Ok(()),
        false => Err(Refusal::Contradicts(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tree::{Tree, consistency, leaf_hash};
    use crate::proof::{Head, KeyKind, SigningKey, head};

    #[test]
    fn a_log_that_grows_is_taken_and_one_that_was_put_back_or_written_anew_is_not() {
        let new_key = || SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("a key");
        let (key, stranger) = (new_key(), new_key());
        let origin = head::origin_of(&key.public());
        let keys = [key.verifier(&origin, KeyKind::Note)];
        let tree = |count: u8, other: u8| Tree::of((0..count).map(|at| leaf_hash(&[at / other])).collect());
        let request = |old: u64, tree: &Tree, key: &SigningKey| {
            let head = Head { origin: origin.clone(), size: tree.len(), root: tree.root(), at: None, writer: None };
            let nodes = |level, place| tree.node_at(level, place).ok_or(());
            let path = consistency(&nodes, old.min(tree.len()), tree.len()).expect("its nodes are there");
            let request = AddCheckpoint { old, path, head: SignedHead::sign(head, key) };
            assert_eq!(AddCheckpoint::parse(request.to_text().as_bytes()), Ok(request.clone()));
            request
        };
        let (five, nine, forged) = (tree(5, 1), tree(9, 1), tree(9, 2));
        let first = request(0, &five, &key);
        assert_eq!(consider(None, &first, &keys), Ok(()));
        let known = Some(&first.head);
        assert_eq!(consider(known, &request(5, &nine, &key), &keys), Ok(()));
        assert_eq!(consider(known, &request(5, &five, &key), &keys), Ok(()));
        assert_eq!(consider(known, &request(3, &nine, &key), &keys), Err(Refusal::OtherSize(5)));
        assert_eq!(consider(known, &request(5, &forged, &key), &keys), Err(Refusal::Contradicts(5)));
        assert_eq!(consider(known, &request(5, &tree(5, 2), &key), &keys), Err(Refusal::Contradicts(5)));
        assert_eq!(consider(known, &request(0, &tree(4, 1), &key), &keys), Err(Refusal::WentBack(5)));
        assert_eq!(consider(known, &request(5, &nine, &stranger), &keys), Err(Refusal::NotSigned));
        assert_eq!(consider(known, &request(5, &nine, &key), &[]), Err(Refusal::Unknown));
        for text in ["", "old 1\n\n", "old x\n\na\n", "old 1\nAA==\n\nnote", "new 1\n\nnote"] {
            assert!(AddCheckpoint::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
