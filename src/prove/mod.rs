//! Keeps the proof of a running server in step: the register's state in its log, a head at least hourly, heads to second
//! parties and times for them by an authority, and heads of others checked. In: the store, the register, `[proof]`. Out: entries and heads in the store,
//! copies of heads, alerts where a log of others contradicts itself. The pure part is [`nhatle_storage::proof`].

pub mod settings;
pub mod request;
pub mod run;
pub mod deliver;
pub mod receive;
pub mod stamp;
pub mod alert;
pub mod check;
pub mod words;

use nhatle_storage::proof::tree::{Hash, Tree, leaf_hash};
use nhatle_storage::register::{Register, RegisterError};
use nhatle_storage::{Store, WriteError};
use tokio::runtime::Handle;

/// Why the register's state could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The register could not be read.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] WriteError),
}

/// The hashes of the register's rows, as far as they were read.
#[derive(Default)]
pub struct RegisterHashes {
    tree: Tree,
    last: Option<Hash>,
}

impl RegisterHashes {
    /// Reads what is new.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn catch_up(&mut self, register: &Register, runtime: &Handle) -> Result<(), RegisterError> {
        let after = i64::try_from(self.tree.len()).unwrap_or(i64::MAX);
        for hash in runtime.block_on(register.hashes_after(after))? {
            self.tree.push(leaf_hash(&hash));
            self.last = Some(hash);
        }
        Ok(())
    }

    /// Rows, hash of the last one, root over all; `None` where there is none.
    pub fn state(&self) -> Option<(u64, Hash, Hash)> {
        Some((self.tree.len(), self.last?, self.tree.root()))
    }
}

/// Writes down the register as it is.
///
/// # Errors
/// It could not be read or written down.
pub fn record_register(store: &Store, register: &Register, runtime: &Handle) -> Result<(), RecordError> {
    let mut hashes = RegisterHashes::default();
    hashes.catch_up(register, runtime)?;
    if let Some(state) = hashes.state() {
        store.record_register(state)?;
    }
    Ok(())
}
