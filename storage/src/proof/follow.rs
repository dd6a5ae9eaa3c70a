//! What a [`Store`] does for the proof: its log and heads go with it.

use nhatle_event::Timestamp;

use super::prover::ProofState;
use super::tree::Hash;
use super::{SignedHead, SigningKey, VerifierKey};
use crate::error::WriteError;
use crate::store::Store;

impl Store {
    /// Signs heads with this key, from now on and at once.
    pub fn sign_with(&self, key: SigningKey) {
        self.prover().sign_with(&**self.disk(), key, self.now());
    }

    /// Signs heads with another key from now on; the old one vouches for it. The new public key under the log's name.
    ///
    /// # Errors
    /// The store is not written by this process, no key signs it yet, or the disk says no; then the old key stays.
    pub fn replace_key(&self, next: SigningKey) -> Result<VerifierKey, WriteError> {
        self.writable()?;
        self.prover().replace_key(&**self.disk(), next, self.now())
    }

    /// The newest head.
    pub fn newest_head(&self) -> Option<SignedHead> {
        self.prover().newest().cloned()
    }

    /// How the proof stands.
    pub fn proof_state(&self) -> ProofState {
        self.prover().state()
    }

    /// Tries again what could not be written, and signs what no head covers yet.
    pub fn catch_up_proof(&self) {
        if self.is_writer() {
            let mut prover = self.prover();
            prover.flush(&**self.disk());
            prover.sign(&**self.disk(), self.now());
        }
    }

    /// Writes down the register as it is (rows, `hash` of the last, root over all) and signs it. Says whether it was
    /// new.
    ///
    /// # Errors
    /// It could not be written down.
    pub fn record_register(&self, register: (u64, Hash, Hash)) -> Result<bool, WriteError> {
        self.writable()?;
        self.prover().record_register(&**self.disk(), register, self.now())
    }

    /// Writes down a file that leaves the house (name, length, SHA-256 in hexadecimal) and signs it.
    ///
    /// # Errors
    /// It could not be written down.
    pub fn record_document(&self, document: (String, u64, String)) -> Result<(), WriteError> {
        self.writable()?;
        self.prover().record_document(&**self.disk(), document, self.now())
    }

    /// Writes down that these segments will be dropped. To be called before the manifest without them is published:
    /// their leaves stay, and without this they count as lost.
    ///
    /// # Errors
    /// It could not be written down; then they must stay.
    pub fn announce_drop(&self, dirs: &[String], reason: &str) -> Result<(), WriteError> {
        self.writable()?;
        self.prover().announce_drop(&**self.disk(), dirs, reason, self.now())
    }

    fn writable(&self) -> Result<(), WriteError> {
        if self.is_writer() { Ok(()) } else { Err(WriteError::ReadOnly) }
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}
