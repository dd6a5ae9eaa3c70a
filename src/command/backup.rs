//! `nhatle backup`: a store into one file, also while a server uses it.
//!
//! In: the data folder, and perhaps the backup before. Out: an archive ([`crate::backup`]) with the segments, the log up
//! to a `Seq`, the proof of just these segments, the register by SQLite's own copying, keys, packs and whatever else stands
//! in the folder but caches; an increment leaves out what the backups before it hold. Every file is checked when it is
//! read and again from the finished archive. Memory: a piece of a file, the index, and the log that is not sealed yet.
//! Promise: the file appears whole or not at all, and takes no other's place. The register is copied last, so that no work
//! of people is missing that was done on what is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::backup::{Border, CheckedRead};
use nhatle_storage::register::{self, Register};
use nhatle_storage::{Dataset, Disk, OsDisk};
use serde_json::json;

use super::{End, UsageError, output};
use crate::backup::{Archive, FORMAT, FORMAT_INCREMENT, FileRow, Index, KeptRow, Link, Since, hash_of, link, read};
use crate::cli_backup::BackupArgs;
use crate::handover;

/// What of a data folder is copied by its own way, or made anew: the log, segments, manifests and proof, the register,
/// locks, room set aside, packs being written, caches.
const NOT_COPIED: [&str; 10] =
    ["LOCK", "READERS", handover::SOCKET, "reserve", "log", "segments", "manifest", "proof", "rules.staging", "state"];
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
    let since = args.since.as_deref().map(previous).transpose()?;
    let named = |problem: &str| format!("{problem} {}", args.file.display());
    let mut file = tempfile::Builder::new().prefix(".nhatle-backup-").tempfile_in(&folder)?;
    let written = write(data, BufWriter::new(file.as_file_mut()), &folder, since.as_ref())?;
    file.as_file().sync_all().with_context(|| named("sync"))?;
    // What was written is what is read.
    let again = read(BufReader::new(File::open(file.path())?), |_, _, _| Ok(())).with_context(|| named("check"))?;
    if again != written {
        bail!("{}: what is read is not what was written", args.file.display());
    }
    file.persist_noclobber(&args.file).with_context(|| named("name"))?;
    File::open(&folder)?.sync_all().with_context(|| named("name"))?;
    tell(args, &written)
}

fn tell(args: &BackupArgs, written: &Link) -> anyhow::Result<End> {
    let Index { events, last_seq, register_entries, datasets, files, kept, .. } = &written.index;
    let (bytes, kept_bytes) = (written.index.bytes(), kept.iter().map(|row| row.file.bytes).sum::<u64>());
    if args.json {
        let line = json!({"file": args.file, "events": events, "last_seq": last_seq, "datasets": datasets,
            "register_entries": register_entries, "files": files.len(), "bytes": bytes,
            "kept_files": kept.len(), "kept_bytes": kept_bytes, "id": written.id,
            "since": written.index.since.as_ref().map(|since| &since.id)});
        output::line(&line.to_string())?;
        return Ok(End::Done);
    }
    let rest = match &written.index.since {
        Some(since) => format!(
            "; {} files of {kept_bytes} bytes stand in the backups before, up to that of {}",
            kept.len(),
            since.made
        ),
        None => String::new(),
    };
    output::line(&format!(
        "{}: {events} events up to {last_seq}, {register_entries} changes of the register, {} files of {bytes} bytes, all checked{rest}",
        args.file.display(),
        files.len()
    ))?;
    Ok(End::Done)
}

/// The backup that is gone on with.
fn previous(path: &Path) -> anyhow::Result<Link> {
    let file = File::open(path).map_err(|error| UsageError(format!("--since {}: {error}", path.display())))?;
    link(&file).with_context(|| format!("go on from {}", path.display()))
}

/// The folder a file stands in.
pub(super) fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// What goes into the archive, beside what stands in earlier ones.
struct Copy<W: Write> {
    archive: Archive<W>,
    before: BTreeMap<String, KeptRow>,
}

fn write(data: &Path, into: BufWriter<&mut File>, beside: &Path, since: Option<&Link>) -> anyhow::Result<Link> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let border = Border::of(&*disk).context("read the store")?;
    let mut copy = Copy { archive: Archive::new(into), before: since.map(Link::places).unwrap_or_default() };
    copy.segments(&*disk, &border)?;
    for (path, bytes) in border.logs.iter().chain(&border.manifest) {
        copy.archive.add(path, bytes.len() as u64, false, &bytes[..])?;
    }
    for (path, length) in &border.proof {
        let file = File::open(data.join(path)).with_context(|| format!("read {path}"))?;
        copy.archive.add(path, *length, false, file)?;
    }
    others(data, "", 0, &mut copy)?;
    let register_entries = copy_register(data, beside, &mut copy)?;
    let counts = Dataset::ALL.into_iter().zip(border.counts);
    let index = |files, kept| Index {
        format: if since.is_some() { FORMAT_INCREMENT } else { FORMAT },
        made: SystemClock.now().to_string(),
        last_seq: border.last_seq.0,
        events: border.event_count,
        datasets: counts.map(|(dataset, count)| (dataset.name().to_owned(), count)).collect(),
        register_entries,
        since: since.map(|link| Since {
            id: link.id.clone(),
            made: link.index.made.clone(),
            last_seq: link.index.last_seq,
        }),
        kept,
        files,
    };
    let (mut into, link) = copy.archive.finish(index)?;
    into.flush()?;
    Ok(link)
}

impl<W: Write> Copy<W> {
    /// Segments never change: one that stands in an earlier archive is not even read.
    fn segments(&mut self, disk: &dyn Disk, border: &Border) -> anyhow::Result<()> {
        for segment in &border.segments {
            for part in &segment.files {
                let path = segment.path(&part.name);
                let row = FileRow { path: path.clone(), bytes: part.bytes, sha256: part.sha256.clone() };
                if let Some(kept) = self.before.get(&path).filter(|kept| kept.file == row) {
                    self.archive.keep(kept.clone())?;
                    continue;
                }
                let from = CheckedRead::new(disk, segment, part);
                let written = self.archive.add(&path, part.bytes, false, from);
                let written = written.with_context(|| format!("read {path}; see nhatle verify"))?;
                if *written != row {
                    bail!("{path} is not what the manifest says of it; see nhatle verify");
                }
            }
        }
        Ok(())
    }

    /// Any other file, as long as it is now.
    fn file(&mut self, path: &str, mut file: File, is_private: bool) -> anyhow::Result<()> {
        let length = file.metadata()?.len();
        if let Some(kept) = self.before.get(path).filter(|kept| kept.file.bytes == length) {
            let (bytes, sha256) = hash_of(&file, length).with_context(|| format!("read {path}"))?;
            if kept.file == (FileRow { path: path.to_owned(), bytes, sha256 }) {
                return self.archive.keep(kept.clone());
            }
            file.seek(SeekFrom::Start(0))?;
        }
        self.archive.add(path, length, is_private, file).map(drop)
    }
}

/// Keys, packs, lists: every other file of the folder.
fn others<W: Write>(data: &Path, below: &str, depth: usize, copy: &mut Copy<W>) -> anyhow::Result<()> {
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
            others(data, &path, depth + 1, copy)?;
        } else if kind.is_file() {
            // Gone since it was listed: it was not to stay.
            let file = match File::open(entry.path()) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                file => file.with_context(|| format!("read {path}"))?,
            };
            let is_private = is_private(&file.metadata()?);
            copy.file(&path, file, is_private)?;
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
fn copy_register<W: Write>(data: &Path, beside: &Path, into: &mut Copy<W>) -> anyhow::Result<u64> {
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
    into.file(register::FILE_NAME, File::open(&copy)?, true)?;
    Ok(entries)
}
