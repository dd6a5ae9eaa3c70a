//! The register with its state in memory: what the engine decides, the storage writes down.
//!
//! In: changes somebody wants. Out: the state after them, or why they are refused. The order is: read
//! what others wrote (another process may have added an account), fold the changes in, write them down in
//! one transaction. If writing goes wrong the state is folded anew from what is written, so that memory
//! never says more than the log. All calls block; call them from a thread that may.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use nhatle_engine::incident::Refused;
use nhatle_engine::register::{AnyChange, RegisterState};
use nhatle_event::Timestamp;
use nhatle_storage::register::{Entry, NewChange, Register, RegisterError};
use tokio::runtime::Handle;
use tracing::warn;

use crate::evidence::{Gathered, Rows};
use crate::prove::RegisterHashes;

const READ_LIMIT: i64 = 20_000;
const TRIES_MAX: usize = 5;

/// Why changes were not made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A change makes no sense.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The register could not be read or written.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// The register and its fold.
pub struct Registry {
    register: Register,
    state: Mutex<Folded>,
    runtime: Handle,
}

#[derive(Default)]
struct Folded {
    state: RegisterState,
    last: i64,
}

impl Registry {
    /// Opens the register of a data folder and folds all of it.
    ///
    /// # Errors
    /// The register cannot be opened or read.
    pub fn open(folder: &Path, runtime: Handle) -> Result<Registry, RegisterError> {
        let register = runtime.block_on(Register::open(folder))?;
        let registry = Registry { register, state: Mutex::default(), runtime };
        registry.catch_up()?;
        Ok(registry)
    }

    fn lock(&self) -> MutexGuard<'_, Folded> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes in what other processes wrote. Returns whether there was anything.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn catch_up(&self) -> Result<bool, RegisterError> {
        self.catch_up_locked(&mut self.lock())
    }

    fn catch_up_locked(&self, folded: &mut Folded) -> Result<bool, RegisterError> {
        let before = folded.last;
        loop {
            let entries = self.runtime.block_on(self.register.read_after(folded.last, READ_LIMIT))?;
            if entries.is_empty() {
                return Ok(before < folded.last);
            }
            for entry in &entries {
                fold(&mut folded.state, entry);
                folded.last = entry.id;
            }
        }
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&RegisterState) -> T) -> T {
        look(&self.lock().state)
    }

    /// Makes the changes that `plan` gives for the state as it is, all or none, and returns what `plan`
    /// gave beside them. `plan` may run again when another process wrote meanwhile.
    ///
    /// # Errors
    /// A change is refused, or the register cannot be written; nothing was changed then.
    pub fn record<T, E: From<RecordError>>(
        &self,
        actor: &str,
        at: Timestamp,
        mut plan: impl FnMut(&RegisterState) -> Result<(Vec<AnyChange>, T), E>,
    ) -> Result<T, E> {
        let mut folded = self.lock();
        for _ in 0..TRIES_MAX {
            self.catch_up_locked(&mut folded).map_err(RecordError::from)?;
            let (changes, answer) = plan(&folded.state)?;
            match self.write(&mut folded, &changes, actor, at) {
                Ok(()) => return Ok(answer),
                Err(error) => {
                    *folded = Folded::default();
                    self.catch_up_locked(&mut folded).map_err(RecordError::from)?;
                    if !matches!(error, RecordError::Register(RegisterError::Conflict { .. })) {
                        return Err(error.into());
                    }
                }
            }
        }
        Err(RecordError::from(RegisterError::Conflict { expected: folded.last }).into())
    }

    /// Makes for each of `items` the change that `plan` gives for the state with the changes of those before it, in
    /// one write: it costs one sync, however many they are. All or none.
    ///
    /// # Errors
    /// A change is refused, or the register cannot be written; nothing was changed then.
    pub fn record_each<I>(
        &self,
        actor: &str,
        at: Timestamp,
        items: &[I],
        plan: impl Fn(&RegisterState, &I) -> Option<AnyChange>,
    ) -> Result<(), RecordError> {
        let mut folded = self.lock();
        for _ in 0..TRIES_MAX {
            self.catch_up_locked(&mut folded)?;
            let mut changes = Vec::new();
            let mut refused = None;
            for item in items {
                let Some(change) = plan(&folded.state, item) else { continue };
                if let Err(error) = folded.state.apply(&change, actor, at) {
                    refused = Some(error);
                    break;
                }
                changes.push(change);
            }
            let written = match refused {
                Some(error) => Err(error.into()),
                None => self.append(&mut folded, &changes, actor, at),
            };
            let Err(error) = written else { return Ok(()) };
            *folded = Folded::default();
            self.catch_up_locked(&mut folded)?;
            if !matches!(error, RecordError::Register(RegisterError::Conflict { .. })) {
                return Err(error);
            }
        }
        Err(RegisterError::Conflict { expected: folded.last }.into())
    }

    /// Folds the changes in and writes them down; on an error the fold is ahead of the log.
    fn write(&self, folded: &mut Folded, changes: &[AnyChange], actor: &str, at: Timestamp) -> Result<(), RecordError> {
        for change in changes {
            folded.state.apply(change, actor, at)?;
        }
        self.append(folded, changes, actor, at)
    }

    /// Writes down changes that are folded in already.
    fn append(
        &self,
        folded: &mut Folded,
        changes: &[AnyChange],
        actor: &str,
        at: Timestamp,
    ) -> Result<(), RecordError> {
        let row = |change: &AnyChange| {
            let json = change.json();
            NewChange {
                stream: change.stream(),
                kind: json["kind"].as_str().unwrap_or_default().to_owned(),
                json: json.to_string(),
                actor: actor.to_owned(),
                at,
            }
        };
        let rows: Vec<NewChange> = changes.iter().map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let entries = self.runtime.block_on(self.register.append(folded.last, &rows))?;
        folded.last = entries.last().map_or(folded.last, |entry| entry.id);
        Ok(())
    }

    /// The rows that belong into a package.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn rows(&self, gathered: &Gathered) -> Result<Rows, RegisterError> {
        self.runtime.block_on(Rows::read(&self.register, gathered))
    }

    /// The rows of one stream, oldest first.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn stream(&self, stream: &str) -> Result<Vec<Entry>, RegisterError> {
        self.runtime.block_on(self.register.read_stream(stream))
    }

    /// Reads the hashes of rows that are new.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn hash(&self, hashes: &mut RegisterHashes) -> Result<(), RegisterError> {
        hashes.catch_up(&self.register, &self.runtime)
    }

    /// Closes the register: what stands in SQLite's own log beside it goes into the one file, where the chain
    /// of hashes covers it. Whoever still asks gets an error.
    pub fn close(&self) {
        self.runtime.block_on(self.register.clone().close());
    }

    /// Makes one change. See [`Registry::record`].
    ///
    /// # Errors
    /// The change is refused, or the register cannot be written.
    pub fn change(&self, actor: &str, at: Timestamp, change: &AnyChange) -> Result<(), RecordError> {
        self.record(actor, at, |_state| Ok((vec![change.clone()], ())))
    }
}

/// Folds an entry in. An entry that no longer applies stays in the log and is said once: the log is the
/// truth of what was written, not of what was sensible.
fn fold(state: &mut RegisterState, entry: &Entry) {
    let change = &entry.change;
    match AnyChange::read(&change.stream, &change.json) {
        Ok(Some(any)) => {
            if let Err(refused) = state.apply(&any, &change.actor, change.at) {
                warn!(register.id = entry.id, register.stream = %change.stream, %refused, "register entry not applied");
            }
        }
        Ok(None) => {}
        Err(error) => {
            warn!(register.id = entry.id, register.stream = %change.stream, %error, "register entry not read")
        }
    }
}
