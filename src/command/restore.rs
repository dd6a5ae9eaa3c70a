//! `nhatle restore`: a store from a backup, in a folder that is new or empty.
//!
//! In: an archive ([`crate::backup`]). Out: the data folder, or nothing: it is built beside its place, every file compared
//! with the index, checked as `nhatle verify` does, its events and changes counted, and only then given its name.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use nhatle_storage::OsDisk;
use nhatle_storage::register::{self, Register};
use serde_json::json;

use super::backup::folder_of;
use super::{End, UsageError, output};
use crate::backup::{Index, read};
use crate::cli::BackupArgs;

/// Runs the command.
///
/// # Errors
/// The folder is in use, the backup is cut or altered, or what came out of it is not whole.
pub fn run(args: &BackupArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    let is_there = data.try_exists()?;
    if is_there && (!data.is_dir() || std::fs::read_dir(data)?.next().is_some()) {
        return Err(UsageError(format!("{} is not empty: restore into a new folder", data.display())).into());
    }
    let file = File::open(&args.file).with_context(|| format!("open {}", args.file.display()))?;
    let beside = folder_of(data);
    std::fs::create_dir_all(&beside)?;
    let building = tempfile::Builder::new().prefix(".nhatle-restore-").tempdir_in(&beside)?;
    let index = unpack(file, building.path()).with_context(|| format!("restore {}", args.file.display()))?;
    check(building.path(), &index)?;
    if is_there {
        std::fs::remove_dir(data)?;
    }
    // From here on it is no longer to be deleted when something goes wrong.
    let built = building.keep();
    name(&built, data).with_context(|| format!("name {} {}", built.display(), data.display()))?;
    File::open(&beside)?.sync_all()?;
    let (events, changes) = (index.events, index.register_entries);
    if args.json {
        output::line(
            &json!({"data": data, "events": events, "last_seq": index.last_seq, "made": index.made,
            "register_entries": changes, "files": index.files.len(), "bytes": index.bytes()})
            .to_string(),
        )?;
    } else {
        output::line(&format!(
            "{}: {events} events up to {}, {changes} changes of the register, as of {}; nothing altered",
            data.display(),
            index.last_seq,
            index.made
        ))?;
    }
    Ok(End::Done)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a whole data folder, synced inside, gets its name; `Disk` is inside one"
)]
fn name(built: &Path, data: &Path) -> std::io::Result<()> {
    std::fs::rename(built, data)
}

/// Writes the files of an archive below a folder, synced.
fn unpack(file: File, folder: &Path) -> anyhow::Result<Index> {
    let mut open: Option<File> = None;
    read(BufReader::new(file), |path, is_private, piece| {
        if open.is_none() {
            let path = folder.join(path);
            DirBuilder::new().recursive(true).mode(0o700).create(folder_of(&path))?;
            let mode = if is_private { 0o600 } else { 0o644 };
            // Two files of one name are none of ours.
            open = Some(OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?);
        }
        let Some(file) = &mut open else { return Ok(()) };
        file.write_all(piece)?;
        if piece.is_empty() {
            file.sync_all()?;
            open = None;
        }
        Ok(())
    })
}

/// What came out is whole, and as much as went in.
fn check(folder: &Path, index: &Index) -> anyhow::Result<()> {
    let report = nhatle_storage::verify::report(&OsDisk::existing(folder)?);
    if let Some(finding) = report.findings.first() {
        bail!("the backup holds a damaged store: {} at byte {}: {}", finding.file, finding.offset, finding.what);
    }
    let events = report.sealed_events + report.log_events;
    if events != index.events {
        bail!("{events} events came out of the backup, {} went in", index.events);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let damage = runtime.block_on(register::verify(folder));
    if let Some(damage) = damage.first() {
        bail!("the backup holds a damaged register: {}", damage.what);
    }
    if index.register_entries != 0 {
        let entries = runtime.block_on(async {
            let register = Register::open_read_only(folder).await?;
            let last = i64::try_from(index.register_entries).unwrap_or(i64::MAX);
            let found = register.read_after(last.saturating_sub(1), 2).await?;
            register.close().await;
            anyhow::Ok(found.len())
        })?;
        if entries != 1 {
            bail!("the register of the backup does not end with change {}", index.register_entries);
        }
    }
    Ok(())
}
