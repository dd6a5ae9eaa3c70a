//! `nhatle proof new-key`: heads are signed with a new key from now on.
//!
//! In: the data folder of a server that does not run. Out: an entry that names the new key, under a head that both keys
//! signed; the new key in the place of the old one, which is gone. A crash on the way leaves the old key signing.

use std::sync::Arc;

use anyhow::Context;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::{Config, Disk, OpenError, OsDisk, Store};

use super::{End, UsageError, output};
use crate::cli::DataArgs;
use crate::pki::heads;

/// Runs the command.
///
/// # Errors
/// There is no such store, a server has it, or a file cannot be written.
pub fn run(args: &DataArgs) -> anyhow::Result<End> {
    let data = &args.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = match Store::open(disk, Config::default(), clock) {
        Err(OpenError::Locked { .. }) => {
            return Err(UsageError("a server has this folder: stop it first".to_owned()).into());
        }
        other => other.context("open store")?,
    };
    store.sign_with(heads::open_or_make(data)?);
    let key = store.replace_key(heads::make_next(data)?).context("write down the new key")?;
    heads::put_in_place(data, &key)?;
    output::line(&key.text())?;
    Ok(End::Done)
}
