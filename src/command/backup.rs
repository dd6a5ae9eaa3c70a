//! `nhatle backup`: a store into one file, also while a server uses it.
//!
//! In: the data folder. Out: an archive ([`crate::backup`]) with the segments, the log up to a `Seq`, the register by
//! SQLite's own copying, keys, packs and whatever else stands in the folder but caches. Every file is checked when it is
//! read and again from the finished archive. Promise: the file appears whole or not at all, and takes no other's place.
//! The register is copied last, so that no work of people is missing that was done on what is there.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::backup::Border;
use nhatle_storage::register::{self, Register};
use nhatle_storage::{Disk, OsDisk};
use serde_json::json;

use super::{End, UsageError, output};
use crate::backup::{Archive, FORMAT, Index, read};
use crate::cli::BackupArgs;

/// What of a data folder is copied by its own way, or made anew: the log, segments and manifests, the register, locks,
/// room set aside, packs being written, caches.
const NOT_COPIED: [&str; 8] = ["LOCK", "READERS", "reserve", "log", "segments", "manifest", "rules.staging", "state"];
/// How deep folders may stand in each other.
const DEPTH_MAX: usize = 8;

/// Runs the command.
///
/// # Errors
/// There is no such store, it is damaged, or the backup cannot be written.
pub fn run(args: &BackupArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    if args.file.try_exists()? {
        return Err(UsageError(format!("{} is there already", args.file.display())).into());
    }
    let folder = folder_of(&args.file);
    let is_inside = folder.canonicalize().with_context(|| format!("look at folder {}", folder.display()))?;
    if is_inside.starts_with(data.canonicalize()?) {
        return Err(UsageError("a backup inside the data folder would be part of the next one".to_owned()).into());
    }
    let named = |problem: &str| format!("{problem} {}", args.file.display());
    let mut file = tempfile::Builder::new().prefix(".nhatle-backup-").tempfile_in(&folder)?;
    let index = write(data, BufWriter::new(file.as_file_mut()), &folder)?;
    file.as_file().sync_all().with_context(|| named("sync"))?;
    // What was written is what is read.
    let again = read(BufReader::new(File::open(file.path())?), |_, _, _| Ok(())).with_context(|| named("check"))?;
    if again != index {
        bail!("{}: what is read is not what was written", args.file.display());
    }
    file.persist_noclobber(&args.file).with_context(|| named("name"))?;
    File::open(&folder)?.sync_all().with_context(|| named("name"))?;
    let (events, changes, bytes) = (index.events, index.register_entries, index.bytes());
    if args.json {
        output::line(
            &json!({"file": args.file, "events": events, "last_seq": index.last_seq,
            "register_entries": changes, "files": index.files.len(), "bytes": bytes})
            .to_string(),
        )?;
    } else {
        output::line(&format!(
            "{}: {events} events up to {}, {changes} changes of the register, {} files of {bytes} bytes, all checked",
            args.file.display(),
            index.last_seq,
            index.files.len()
        ))?;
    }
    Ok(End::Done)
}

/// The folder a file stands in.
pub(super) fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn write(data: &Path, into: BufWriter<&mut File>, beside: &Path) -> anyhow::Result<Index> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let border = Border::of(&*disk).context("read the store")?;
    let mut archive = Archive::new(into);
    for segment in &border.segments {
        for part in &segment.files {
            let path = format!("{}/{}", segment.dir, part.name);
            let bytes = disk.read(&path).with_context(|| format!("read {path}"))?;
            if let Some(damage) = part.check(&path, &bytes).first() {
                bail!("{path} is damaged at byte {}; see nhatle verify", damage.offset);
            }
            archive.add(&path, &bytes, false)?;
        }
    }
    for (path, bytes) in border.logs.iter().chain(&border.manifest) {
        archive.add(path, bytes, false)?;
    }
    others(data, "", 0, &mut archive)?;
    let register_entries = copy_register(data, beside, &mut archive)?;
    let index = |files| Index {
        format: FORMAT,
        made: SystemClock.now().to_string(),
        last_seq: border.last_seq.0,
        events: border.event_count,
        register_entries,
        files,
    };
    let (mut into, index) = archive.finish(index)?;
    into.flush()?;
    Ok(index)
}

/// Keys, packs, lists: every other file of the folder.
fn others<W: Write>(data: &Path, below: &str, depth: usize, archive: &mut Archive<W>) -> anyhow::Result<()> {
    let folder = data.join(below);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        names.push(entry?);
    }
    names.sort_by_key(std::fs::DirEntry::file_name);
    for entry in names {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_kept =
            below.is_empty() && (NOT_COPIED.contains(&name.as_str()) || name.starts_with(register::FILE_NAME));
        if is_kept || name.ends_with(".tmp") {
            continue;
        }
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < DEPTH_MAX {
            others(data, &path, depth + 1, archive)?;
        } else if kind.is_file() {
            // Gone since it was listed: it was not to stay.
            let bytes = match std::fs::read(entry.path()) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.with_context(|| format!("read {path}"))?,
            };
            archive.add(&path, &bytes, is_private(&entry.metadata()?))?;
        } else {
            output::say(&format!("not in the backup: {path} is no file, or stands too deep"));
        }
    }
    Ok(())
}

fn is_private(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o077 == 0
}

/// The register, copied by the database itself; how many entries it has.
fn copy_register<W: Write>(data: &Path, beside: &Path, archive: &mut Archive<W>) -> anyhow::Result<u64> {
    if !data.join(register::FILE_NAME).try_exists()? {
        return Ok(0);
    }
    let folder = tempfile::Builder::new().prefix(".nhatle-register-").tempdir_in(beside)?;
    let copy = folder.path().join(register::FILE_NAME);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entries = runtime.block_on(async {
        let register = Register::open_read_only(data).await?;
        let entries = register.copy_to(&copy).await?;
        register.close().await;
        anyhow::Ok(entries)
    })?;
    archive.add(register::FILE_NAME, &std::fs::read(&copy)?, true)?;
    Ok(entries)
}
