//! How the list of live segments changes: by one new manifest, and only here. In: the next manifest (a seal adds
//! segments and moves the border of the log, a merge puts one segment in the place of several, a drop leaves segments
//! out). Out: the manifest on disk, then the view of new snapshots, then the files that nothing refers to deleted.
//!
//! A publish that fails may be in place all the same. So the same file is tried again before anything else, and neither
//! the segments it names nor those it leaves out are touched until it is known.
//!
//! Files of a segment that is live no more are deleted when no snapshot of this process reads it and no other process
//! reads the store: readers hold [`READERS`] together, whoever deletes holds it alone. What cannot be deleted now is
//! tried again after each publish, and by recovery.

use std::sync::Arc;

use crate::disk::{Disk, DiskLock, remove_folder};
use crate::error::{ReadError, WriteError};
use crate::live::LiveSegment;
use crate::manifest::{self, Manifest};
use crate::store::{Sealer, Store};
use crate::wal;

/// The file that readers lock together, and who deletes segments alone.
pub const READERS: &str = "READERS";

/// Keeps the files of every segment that a manifest read from now on names.
///
/// # Errors
/// What the disk says.
pub fn hold_segments(disk: &dyn Disk) -> Result<Option<Box<dyn DiskLock>>, ReadError> {
    disk.lock_shared(READERS).map_err(|source| ReadError::io(READERS, source))
}

/// Segments that are live no more and whose files are still there.
#[derive(Default)]
pub(crate) struct Retired {
    segments: Vec<Arc<LiveSegment>>,
    /// Folders of an earlier life that a reader held then.
    folders: Vec<String>,
}

impl Retired {
    /// Nothing but these folders.
    pub fn of_folders(folders: Vec<String>) -> Retired {
        Retired { segments: Vec::new(), folders }
    }

    /// Deletes the files that nobody reads.
    pub fn sweep(&mut self, disk: &dyn Disk) {
        if self.segments.is_empty() && self.folders.is_empty() {
            return;
        }
        let lock = match disk.lock(READERS) {
            Ok(Some(lock)) => lock,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot say who reads segments that are live no more");
                return;
            }
        };
        let remove = |dir: &str| {
            let removed = remove_folder(disk, dir);
            if let Err(error) = &removed {
                tracing::warn!(file.path = dir, %error, "could not delete a segment that is live no more");
            }
            removed.is_err()
        };
        self.segments.retain(|segment| segment.is_read() || remove(&segment.meta().dir));
        self.folders.retain(|dir| remove(dir));
        drop(lock);
    }
}

impl Store {
    /// Makes `next` the newest manifest and its segments those of new snapshots.
    ///
    /// # Errors
    /// The disk is full or failing; the same is tried again by the next call of [`Store::settle`].
    pub(crate) fn publish(&self, sealer: &mut Sealer, next: Manifest) -> Result<(), WriteError> {
        sealer.pending = Some(next);
        self.settle(sealer).map(drop)
    }

    /// Finishes a publish that failed. Says whether there was one.
    ///
    /// # Errors
    /// As [`Store::publish`].
    pub(crate) fn settle(&self, sealer: &mut Sealer) -> Result<bool, WriteError> {
        let Some(next) = &sealer.pending else { return Ok(false) };
        next.publish(&**self.disk())?;
        let Some(mut next) = sealer.pending.take() else { return Ok(false) };
        let has_moved_border = next.log_first != sealer.manifest.log_first;
        let retired = self.show(&next, has_moved_border);
        // At once: whoever still reads one may hold it, and its files, for long.
        retired.iter().for_each(|segment| segment.forget_events());
        sealer.retired.segments.extend(retired);
        self.prover().follow(&**self.disk(), &sealer.manifest, &mut next, self.clock().now());
        let before = std::mem::replace(&mut sealer.manifest, next);
        self.remove_sealed(&sealer.manifest, before.log_first);
        sealer.retired.sweep(&**self.disk());
        Ok(true)
    }

    /// Deletes files of segments that are live no more and that nobody reads any longer.
    pub fn sweep(&self) {
        self.sealer().retired.sweep(&**self.disk());
    }

    /// Deletes log files and manifests that a published manifest made superfluous. What cannot be
    /// deleted now, recovery deletes.
    fn remove_sealed(&self, manifest: &Manifest, sealed_first: u64) {
        let logs = (sealed_first..manifest.log_first).map(wal::path);
        let old = manifest.number.checked_sub(manifest::KEPT as u64).filter(|number| *number > 0);
        for path in logs.chain(old.map(manifest::path)) {
            if let Err(error) = self.disk().remove(&path) {
                tracing::warn!(file.path = path, error = %error, "could not delete a sealed file");
            }
        }
    }
}
