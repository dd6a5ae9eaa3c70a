//! `nhatle backup`: a store into one file or an object store, also while a server uses it.
//!
//! In: the data folder, and perhaps the backup before. Out: an archive ([`crate::backup`]), or objects and an index
//! ([`crate::objects`]), with the segments, the log up to a `Seq`, the proof of just these segments, the register by
//! SQLite's own copying, keys, packs and whatever else stands in the folder but caches; an increment leaves out what the
//! backups before it hold. Every file is checked when it is read, and an archive again when it is finished. Memory: pieces of a file, the index, and the log that is not sealed yet.
//! Promise: the backup appears whole or not at all, and takes no other's place. The register is copied last, so that no work
//! of people is missing that was done on what is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::backup::{Border, CheckedRead};
use nhatle_storage::register::{self, Register};
use nhatle_storage::segment::meta::{FileMeta, SegmentMeta};
use nhatle_storage::{Dataset, Disk, OsDisk};
use serde_json::json;

use super::{End, UsageError, output};
use crate::backup::{
    Archive, FORMAT, FORMAT_INCREMENT, FORMAT_OBJECTS, FileRow, Index, KeptRow, Link, Since, hash_of, link, read,
};
use crate::cli_backup::BackupArgs;
use crate::config::ConfigError;
use crate::handover;
use crate::objects::address::Address;
use crate::objects::keep::{Deleted, keep_newest};
use crate::objects::remote::{Changed, Purpose, Remote};
use crate::objects::send::{Sender, Sent};
use crate::objects::settings::BackupFile;

/// What of a data folder is copied by its own way, or made anew: the log, segments, manifests and proof, the register,
/// locks, room set aside, packs being written, caches.
const NOT_COPIED: [&str; 10] =
    ["LOCK", "READERS", handover::SOCKET, "reserve", "log", "segments", "manifest", "proof", "rules.staging", "state"];
/// How deep folders may stand in each other.
const DEPTH_MAX: usize = 8;
/// How often a file is begun anew that changes while it is read.
const TRIES_MAX: usize = 3;

/// Runs the command.
///
/// # Errors
/// There is no such store, it is damaged, or the backup cannot be written.
pub fn run(args: &BackupArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    match Address::read(&args.file).map_err(UsageError)? {
        Some(address) => into_objects(args, &address),
        None if args.keep.is_some() => Err(UsageError("--keep is for object stores".to_owned()).into()),
        None => into_file(args),
    }
}

/// The settings of `[backup]`.
pub(super) fn settings(config: Option<&Path>) -> Result<BackupFile, ConfigError> {
    let file = config.map(crate::config::read).transpose()?.unwrap_or_default().backup;
    let mut problems = Vec::new();
    file.check(&mut problems);
    if problems.is_empty() { Ok(file) } else { Err(ConfigError { problems }) }
}

fn is_not_inside(data: &Path, folder: &Path) -> anyhow::Result<()> {
    let folder = folder.canonicalize().with_context(|| format!("look at folder {}", folder.display()))?;
    if folder.starts_with(data.canonicalize()?) {
        return Err(UsageError("a backup inside the data folder would be part of the next one".to_owned()).into());
    }
    Ok(())
}

fn into_objects(args: &BackupArgs, address: &Address) -> anyhow::Result<End> {
    if args.since.is_some() {
        return Err(
            UsageError("--since is for files: in an object store every backup goes on by itself".to_owned()).into()
        );
    }
    let settings = settings(args.config.as_deref())?;
    let data = &args.data.data;
    if let Address::Folder(folder) = address {
        // Before anything is made in it.
        is_not_inside(data, folder.ancestors().find(|above| above.exists()).unwrap_or(folder))?;
    }
    let remote = Remote::open(address, &settings, Purpose::Writing)?;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let border = Border::of(&*disk).context("read the store")?;
    let mut sender = Sender::begin(&remote, border.last_seq.0)?;
    let beside = match address {
        Address::Folder(folder) => folder.clone(),
        Address::Bucket { .. } => std::env::temp_dir(),
    };
    let register_entries = copy(data, &*disk, &border, &beside, &mut Target::<Vec<u8>>::Objects(&mut sender))?;
    let sent = sender.finish(|files, private| Index {
        format: FORMAT_OBJECTS,
        private,
        ..index_of(&border, register_entries, files, Vec::new())
    })?;
    let deleted = match args.keep.unwrap_or(settings.keep) {
        0 => Ok(Deleted::default()),
        keep => keep_newest(&remote, keep).context("the backup is made, but old ones are not all deleted"),
    };
    tell_sent(args, &remote, &sent, deleted.as_ref().unwrap_or(&Deleted::default()))?;
    deleted.map(|_| End::Done)
}

fn tell_sent(args: &BackupArgs, remote: &Remote, done: &Sent, deleted: &Deleted) -> anyhow::Result<()> {
    let Sent { name, index, sent, kept } = done;
    if args.json {
        let line = json!({"address": remote.address(), "backup": name, "events": index.events, "last_seq": index.last_seq,
            "datasets": index.datasets, "register_entries": index.register_entries, "files": index.files.len(),
            "bytes": index.bytes(), "sent_files": sent.files, "sent_bytes": sent.bytes, "kept_files": kept.files,
            "kept_bytes": kept.bytes, "deleted_backups": deleted.backups, "deleted_objects": deleted.objects.files,
            "deleted_bytes": deleted.objects.bytes});
        return Ok(output::line(&line.to_string())?);
    }
    let gone = match (deleted.backups, deleted.objects.files) {
        (0, 0) => String::new(),
        (backups, objects) => {
            format!("; deleted {backups} old backups and {objects} objects of {} bytes", deleted.objects.bytes)
        }
    };
    Ok(output::line(&format!(
        "{}: backup {name}: {} events up to {}, {} changes of the register; sent {} files of {} bytes, {} files of {} bytes were there{gone}",
        remote.address(),
        index.events,
        index.last_seq,
        index.register_entries,
        sent.files,
        sent.bytes,
        kept.files,
        kept.bytes
    ))?)
}

fn into_file(args: &BackupArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    if args.file.try_exists()? {
        return Err(UsageError(format!("{} is there already", args.file.display())).into());
    }
    let folder = folder_of(&args.file);
    is_not_inside(data, &folder)?;
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

/// Where the files of a store go.
enum Target<'t, 'r, W: Write> {
    Archive(&'t mut Copy<W>),
    Objects(&'t mut Sender<'r>),
}

fn write(data: &Path, into: BufWriter<&mut File>, beside: &Path, since: Option<&Link>) -> anyhow::Result<Link> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let border = Border::of(&*disk).context("read the store")?;
    let before = since.map(Link::places).unwrap_or_default();
    let mut into = Copy { archive: Archive::new(into), before };
    let register_entries = copy(data, &*disk, &border, beside, &mut Target::Archive(&mut into))?;
    let (mut into, link) = into.archive.finish(|files, kept| Index {
        format: if since.is_some() { FORMAT_INCREMENT } else { FORMAT },
        since: since.map(|link| Since {
            id: link.id.clone(),
            made: link.index.made.clone(),
            last_seq: link.index.last_seq,
        }),
        ..index_of(&border, register_entries, files, kept)
    })?;
    into.flush()?;
    Ok(link)
}

fn index_of(border: &Border, register_entries: u64, files: Vec<FileRow>, kept: Vec<KeptRow>) -> Index {
    let counts = Dataset::ALL.into_iter().zip(border.counts);
    Index {
        format: FORMAT,
        made: SystemClock.now().to_string(),
        last_seq: border.last_seq.0,
        events: border.event_count,
        datasets: counts.map(|(dataset, count)| (dataset.name().to_owned(), count)).collect(),
        register_entries,
        since: None,
        kept,
        private: Vec::new(),
        files,
    }
}

/// Everything of the store as of this border; how many entries the register has.
fn copy<W: Write>(
    data: &Path,
    disk: &dyn Disk,
    border: &Border,
    beside: &Path,
    target: &mut Target<'_, '_, W>,
) -> anyhow::Result<u64> {
    for segment in &border.segments {
        for part in &segment.files {
            target.segment_file(disk, segment, part)?;
        }
    }
    for (path, bytes) in border.logs.iter().chain(&border.manifest) {
        target.bytes(path, bytes)?;
    }
    for (path, length) in &border.proof {
        let file = File::open(data.join(path)).with_context(|| format!("read {path}"))?;
        target.file(path, file, Some(*length), false)?;
    }
    others(data, "", 0, target)?;
    copy_register(data, beside, target)
}

impl<W: Write> Target<'_, '_, W> {
    /// Segments never change: one that is there already is not even read.
    fn segment_file(&mut self, disk: &dyn Disk, segment: &SegmentMeta, part: &FileMeta) -> anyhow::Result<()> {
        let path = segment.path(&part.name);
        let row = FileRow { path: path.clone(), bytes: part.bytes, sha256: part.sha256.clone() };
        let from = || CheckedRead::new(disk, segment, part);
        let damaged = || format!("read {path}; see nhatle verify");
        match self {
            Target::Objects(sender) => sender.add(row, false, || Ok(from())).with_context(damaged),
            Target::Archive(copy) => {
                if let Some(kept) = copy.before.get(&path).filter(|kept| kept.file == row) {
                    return copy.archive.keep(kept.clone());
                }
                let written = copy.archive.add(&path, part.bytes, false, from()).with_context(damaged)?;
                if *written != row {
                    bail!("{path} is not what the manifest says of it; see nhatle verify");
                }
                Ok(())
            }
        }
    }

    /// A file that is in memory.
    fn bytes(&mut self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Target::Archive(copy) => copy.archive.add(path, bytes.len() as u64, false, bytes).map(drop),
            Target::Objects(sender) => sender.add(row_of(path, bytes, u64::MAX)?, false, || Ok(bytes)),
        }
    }

    /// Any other file, as long as it is now, or just so long.
    fn file(&mut self, path: &str, mut file: File, length: Option<u64>, is_private: bool) -> anyhow::Result<()> {
        for _ in 1..TRIES_MAX {
            match self.try_file(path, &mut file, length, is_private) {
                Err(error) if error.is::<Changed>() => drop(file.seek(SeekFrom::Start(0))?),
                done => return done,
            }
        }
        self.try_file(path, &mut file, length, is_private)
    }

    fn try_file(&mut self, path: &str, file: &mut File, length: Option<u64>, is_private: bool) -> anyhow::Result<()> {
        let is_exact = length.is_some();
        let length = length.map_or_else(|| file.metadata().map(|about| about.len()), Ok)?;
        let copy = match self {
            Target::Archive(copy) => copy,
            Target::Objects(sender) => {
                let row = row_of(path, &*file, length).with_context(|| format!("read {path}"))?;
                if is_exact && row.bytes != length {
                    bail!("{path} has {} bytes, not {length}: it became shorter while it was read", row.bytes);
                }
                let file: &File = file;
                return sender.add(row, is_private, || {
                    let mut anew = file;
                    anew.seek(SeekFrom::Start(0))?;
                    Ok(anew)
                });
            }
        };
        if let Some(kept) = copy.before.get(path).filter(|kept| kept.file.bytes == length) {
            if kept.file == row_of(path, &*file, length).with_context(|| format!("read {path}"))? {
                return copy.archive.keep(kept.clone());
            }
            file.seek(SeekFrom::Start(0))?;
        }
        copy.archive.add(path, length, is_private, file).map(drop)
    }
}

/// The row of a file of at most this length.
fn row_of(path: &str, from: impl Read, length: u64) -> std::io::Result<FileRow> {
    let (bytes, sha256) = hash_of(from, length)?;
    Ok(FileRow { path: path.to_owned(), bytes, sha256 })
}

/// Keys, packs, lists: every other file of the folder.
fn others<W: Write>(data: &Path, below: &str, depth: usize, target: &mut Target<'_, '_, W>) -> anyhow::Result<()> {
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
            others(data, &path, depth + 1, target)?;
        } else if kind.is_file() {
            // Gone since it was listed: it was not to stay.
            let file = match File::open(entry.path()) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                file => file.with_context(|| format!("read {path}"))?,
            };
            let is_private = is_private(&file.metadata()?);
            target.file(&path, file, None, is_private)?;
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
fn copy_register<W: Write>(data: &Path, beside: &Path, into: &mut Target<'_, '_, W>) -> anyhow::Result<u64> {
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
    into.file(register::FILE_NAME, File::open(&copy)?, None, true)?;
    Ok(entries)
}
