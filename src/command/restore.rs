//! `nhatle restore`: a store from a backup, or from a chain of them, in a folder that is new or empty.
//!
//! In: archives ([`crate::backup`]), the oldest first, or an object store ([`crate::objects`]). Out: the data folder, or nothing: it is built beside its place, every
//! file compared with the index, checked as `nhatle verify` does, its events and changes counted, and only then given its
//! name. With `--drill` nothing but the answer ([`super::drill`]).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nhatle_storage::disk::{self, DiskFile};
use nhatle_storage::proof::check;
use nhatle_storage::register::{self, Register};
use nhatle_storage::{Disk, OsDisk};
use serde_json::json;

use super::backup::folder_of;
use super::{End, UsageError, drill, output};
use crate::backup::{Index, KeptRow, Link, link, read};
use crate::cli_backup::RestoreArgs;
use crate::objects::address::Address;
use crate::objects::remote::{Purpose, Remote};
use crate::objects::{fetch, index};

/// What is restored could not be written down: no fault of the backup.
#[derive(Debug, thiserror::Error)]
#[error("write {0}")]
pub(crate) struct Unwritten(pub(crate) String);

/// Runs the command.
///
/// # Errors
/// The folder is in use, a backup is cut or altered or missing in the chain, or what came out of it is not whole.
pub fn run(args: &RestoreArgs) -> anyhow::Result<End> {
    let source = Source::of(args)?;
    if let (Source::Objects(remote), true) = (&source, args.list) {
        return list(args, remote);
    }
    if args.drill {
        return drill::run(args, &source);
    }
    let data = &args.data.data;
    let is_there = data.try_exists()?;
    if is_there && (!data.is_dir() || std::fs::read_dir(data)?.next().is_some()) {
        return Err(UsageError(format!("{} is not empty: restore into a new folder", data.display())).into());
    }
    let beside = folder_of(data);
    std::fs::create_dir_all(&beside)?;
    let building = tempfile::Builder::new().prefix(".nhatle-restore-").tempdir_in(&beside)?;
    let disk = OsDisk::existing(building.path())?;
    let index = match &source {
        Source::Files => rebuild(&args.files, &disk)?.index,
        Source::Objects(remote) => {
            let found = fetch::rebuild(remote, &fetch::choose(remote, args.backup.as_deref())?, &disk)?;
            found.damage.iter().for_each(|what| output::say(what));
            match found.index.filter(|_| found.damage.is_empty()) {
                Some(index) => index,
                None => bail!("backup {} in {} is not whole, see above", found.name, remote.address()),
            }
        }
    };
    let index = &index;
    check(building.path(), index)?;
    if is_there {
        std::fs::remove_dir(data)?;
    }
    // From here on it is no longer to be deleted when something goes wrong.
    let built = building.keep();
    name(&built, data).with_context(|| format!("name {} {}", built.display(), data.display()))?;
    File::open(&beside)?.sync_all()?;
    let (events, changes) = (index.events, index.register_entries);
    let (files, bytes) = (index.files.len() + index.kept.len(), restored_bytes(index));
    if args.json {
        output::line(
            &json!({"data": data, "events": events, "last_seq": index.last_seq, "made": index.made,
            "register_entries": changes, "files": files, "bytes": bytes})
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

/// Where a backup is.
pub(super) enum Source {
    /// In files.
    Files,
    /// In an object store.
    Objects(Remote),
}

impl Source {
    fn of(args: &RestoreArgs) -> anyhow::Result<Source> {
        let read = |path: &PathBuf| Address::read(path).map_err(UsageError);
        let addresses: Vec<Address> =
            args.files.iter().filter_map(|path| read(path).transpose()).collect::<Result<_, _>>()?;
        match (&addresses[..], args.files.len()) {
            ([], _) if args.list || args.backup.is_some() => {
                Err(UsageError("--list and --backup are for object stores".to_owned()).into())
            }
            ([], _) => Ok(Source::Files),
            ([address], 1) => {
                let settings = super::backup::settings(args.config.as_deref())?;
                Ok(Source::Objects(Remote::open(address, &settings, Purpose::Reading)?))
            }
            _ => {
                Err(UsageError("an object store is named alone: each backup in it is whole by itself".to_owned())
                    .into())
            }
        }
    }
}

/// The backups of an object store, the oldest first, as their indexes say.
fn list(args: &RestoreArgs, remote: &Remote) -> anyhow::Result<End> {
    let mut end = End::Done;
    for entry in index::backups(remote)? {
        let name = &entry.name;
        match index::read(remote, &entry)? {
            Ok(index) if args.json => output::line(
                &json!({"backup": name, "made": index.made, "events": index.events, "last_seq": index.last_seq,
                    "register_entries": index.register_entries, "files": index.files.len(), "bytes": index.bytes()})
                .to_string(),
            )?,
            Ok(index) => output::line(&format!(
                "{name}: as of {}: {} events up to {}, {} changes of the register, {} files of {} bytes",
                index.made,
                index.events,
                index.last_seq,
                index.register_entries,
                index.files.len(),
                index.bytes()
            ))?,
            Err(problem) => {
                end = End::Findings;
                if args.json {
                    output::line(&json!({"backup": name, "problem": problem}).to_string())?;
                } else {
                    output::line(&format!("{name}: {problem}"))?;
                }
            }
        }
    }
    Ok(end)
}

/// The bytes of all files that a restore makes.
pub(super) fn restored_bytes(index: &Index) -> u64 {
    index.bytes() + index.kept.iter().map(|row| row.file.bytes).sum::<u64>()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a whole data folder, synced inside, gets its name; `Disk` is inside one"
)]
fn name(built: &Path, data: &Path) -> std::io::Result<()> {
    std::fs::rename(built, data)
}

/// Makes the store of the newest of these archives on an empty disk, durably. Each archive is read once and compared with
/// its index, and each must go on with the one before it. Gives the newest.
///
/// # Errors
/// An archive is missing, cut, altered, or of another chain; or, as [`Unwritten`], what the disk says.
pub(super) fn rebuild(files: &[PathBuf], disk: &dyn Disk) -> anyhow::Result<Link> {
    let mut chain: Vec<(&PathBuf, File, Link)> = Vec::new();
    for path in files {
        let file = File::open(path).map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
        let found = link(&file).with_context(|| format!("restore {}", path.display()))?;
        follows(chain.last().map(|(before, _, link)| (before.as_path(), link)), path, &found)?;
        chain.push((path, file, found));
    }
    let Some((_, _, newest)) = chain.last() else { bail!("no backup was named") };
    let (newest, places) = (newest.clone(), newest.places());
    for (_, _, found) in &chain {
        for row in found.index.files.iter().filter(|row| places.get(&row.path).is_some_and(|at| at.archive == found.id))
        {
            if places[&row.path].file != *row {
                bail!("{} is another file in the backup made {} than its increment says", row.path, found.index.made);
            }
        }
    }
    let mut written = BTreeSet::new();
    for (path, file, found) in chain {
        let is_wanted = |name: &str| places.get(name).is_some_and(|at| at.archive == found.id);
        let again = unpack(file, disk, is_wanted, &mut written);
        if again.with_context(|| format!("restore {}", path.display()))? != found {
            bail!("{} changed while it was read", path.display());
        }
    }
    if let Some(KeptRow { file, archive }) = places.values().find(|row| !written.contains(&row.file.path)) {
        bail!("{} stands in backup {archive}, which is not in this chain", file.path);
    }
    let folders: BTreeSet<&str> = written.iter().map(|path| disk::folder_of(path)).collect();
    let synced = folders.iter().rev().try_for_each(|folder| disk.sync_folder(folder));
    synced.with_context(|| Unwritten("the folders".to_owned()))?;
    Ok(newest)
}

/// The archive goes on with the one before it, or begins a chain.
fn follows(before: Option<(&Path, &Link)>, path: &Path, found: &Link) -> anyhow::Result<()> {
    match (before, &found.index.since) {
        (None, None) => Ok(()),
        (Some((_, before)), Some(since)) if before.id == since.id => Ok(()),
        (_, Some(since)) => bail!(
            "{} goes on with the backup made {} (events up to {}), which has to be named before it",
            path.display(),
            since.made,
            since.last_seq
        ),
        (Some((before, _)), None) => {
            bail!("{} is whole by itself and does not go on with {}", path.display(), before.display())
        }
    }
}

/// Writes the wanted files of an archive, synced but for the names in their folders.
fn unpack(
    file: File,
    disk: &dyn Disk,
    is_wanted: impl Fn(&str) -> bool,
    written: &mut BTreeSet<String>,
) -> anyhow::Result<Link> {
    let mut open: Option<(Box<dyn DiskFile>, u64)> = None;
    let mut folder = String::new();
    read(BufReader::new(rewound(file)?), |path, is_private, piece| {
        if !is_wanted(path) {
            return Ok(());
        }
        let unwritten = || Unwritten(path.to_owned());
        if open.is_none() {
            // Two files of one name are none of ours.
            if !written.insert(path.to_owned()) {
                bail!("{path} is there twice");
            }
            if disk::folder_of(path) != folder {
                disk::folder_of(path).clone_into(&mut folder);
                disk.create_folder(&folder).with_context(unwritten)?;
            }
            let made = if is_private { disk.create_private(path) } else { disk.create(path) };
            open = Some((made.with_context(unwritten)?, 0));
        }
        let Some((file, offset)) = &mut open else { return Ok(()) };
        if piece.is_empty() {
            file.sync_data().with_context(unwritten)?;
            open = None;
        } else {
            file.write_at(*offset, piece).with_context(unwritten)?;
            *offset += piece.len() as u64;
        }
        Ok(())
    })
}

fn rewound(mut file: File) -> std::io::Result<File> {
    use std::io::Seek;
    file.rewind()?;
    Ok(file)
}

/// What came out is whole, and as much as went in.
fn check(folder: &Path, index: &Index) -> anyhow::Result<()> {
    let disk = OsDisk::existing(folder)?;
    let report = nhatle_storage::verify::report(&disk);
    if let Some(finding) = report.findings.first() {
        bail!("the backup holds a damaged store: {} at byte {}: {}", finding.file, finding.offset, finding.what);
    }
    let events = report.sealed_events + report.log_events;
    if events != index.events {
        bail!("{events} events came out of the backup, {} went in", index.events);
    }
    // A store whose proof did not hold is given back as it was, but not silently.
    let proof = check::store(&disk).context("read the proof")?;
    for finding in proof.into_iter().flat_map(|checked| checked.findings) {
        output::say(&format!("the proof of what was restored: {}: {}", finding.file, finding.what));
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

#[cfg(test)]
mod tests {
    use nhatle_storage::disk::sim::SimDisk;

    use super::*;
    use crate::backup::{Archive, FORMAT, FORMAT_INCREMENT, FileRow, Since};

    type Files<'a> = &'a [(&'a str, &'a [u8])];

    /// An archive with these files, and the link it is; what the one before has already is left out.
    fn archive(folder: &Path, name: &str, files: Files<'_>, before: Option<&Link>) -> (PathBuf, Link) {
        let path = folder.join(name);
        let mut archive = Archive::new(File::create(&path).expect("is made"));
        let places = before.map(Link::places).unwrap_or_default();
        for (path, bytes) in files {
            let (length, sha256) = crate::backup::hash_of(*bytes, u64::MAX).expect("is read");
            let row = FileRow { path: (*path).to_owned(), bytes: length, sha256 };
            match places.get(*path).filter(|kept| kept.file == row) {
                Some(kept) => archive.keep(kept.clone()).expect("is kept"),
                None => drop(archive.add(path, length, path.starts_with("pki"), *bytes).expect("is written")),
            }
        }
        let since = |link: &Link| Since { id: link.id.clone(), made: name.to_owned(), last_seq: 0 };
        let index = |files, kept| Index {
            format: if before.is_some() { FORMAT_INCREMENT } else { FORMAT },
            made: name.to_owned(),
            last_seq: 0,
            events: 0,
            datasets: Default::default(),
            register_entries: 0,
            since: before.map(since),
            kept,
            private: Vec::new(),
            files,
        };
        (path, archive.finish(index).expect("is written").1)
    }

    fn content(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
        disk.image().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect()
    }

    fn owned(files: Files<'_>) -> Vec<(String, Vec<u8>)> {
        files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect()
    }

    const FIRST: Files<'static> = &[("log/1", b"one"), ("pki/ca.key", b"key"), ("segments/1/rows", &[7; 70_000])];
    const SECOND: Files<'static> = &[("log/2", b"two"), ("pki/ca.key", b"key"), ("segments/1/rows", &[7; 70_000])];
    const THIRD: Files<'static> = &[("log/2", b"three"), ("pki/ca.key", b"other"), ("segments/2/rows", b"merged")];

    #[test]
    fn a_chain_gives_the_newest_store_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, first) = archive(folder.path(), "1", FIRST, None);
        let (two, second) = archive(folder.path(), "2", SECOND, Some(&first));
        let (three, third) = archive(folder.path(), "3", THIRD, Some(&second));
        assert_eq!(second.index.files.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["log/2"]);
        assert_eq!(third.index.kept, []);
        let made = |files: &[&PathBuf]| {
            let disk = SimDisk::new(1);
            let files: Vec<PathBuf> = files.iter().map(|path| (*path).clone()).collect();
            rebuild(&files, &disk).map(|link| (link, content(&disk))).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(made(&[&one]), Ok((first, owned(FIRST))));
        assert_eq!(made(&[&one, &two]), Ok((second.clone(), owned(SECOND))));
        assert_eq!(made(&[&one, &two, &three]), Ok((third, owned(THIRD))));
        for wrong in [&[&two][..], &[&two, &one], &[&one, &three], &[&three], &[&one, &one], &[&one, &two, &two], &[]] {
            let told = made(wrong).expect_err("is no chain");
            assert!(
                wrong.is_empty() || told.contains("goes on with the backup made") || told.contains("by itself"),
                "{told}"
            );
        }
        // An increment made on another first one, of the same files.
        let (other, _) = archive(folder.path(), "another", FIRST, None);
        assert!(made(&[&other, &two]).is_err());
        // A byte of any link: found whichever it is.
        for path in [&one, &two, &three] {
            let whole = std::fs::read(path).expect("is there");
            // What the newest index says of itself nothing else says; what it says of files and counts, they do.
            let index =
                whole.windows(crate::backup::INDEX.len()).rposition(|name| name == crate::backup::INDEX.as_bytes());
            let end = if path == &three { index.expect("has an index") } else { whole.len() - 1024 };
            for at in (512..end).step_by(whole.len() / 40) {
                let mut altered = whole.clone();
                altered[at] ^= 4;
                std::fs::write(path, &altered).expect("is written");
                let told = made(&[&one, &two, &three]);
                // The zeros that fill a file up to its block are nobody's.
                let is_padding = whole[at] == 0;
                assert!(is_padding || told.is_err(), "{} byte {at}", path.display());
            }
            std::fs::write(path, &whole).expect("is written");
        }
        assert!(made(&[&one, &two, &three]).is_ok());
    }

    #[test]
    fn what_is_restored_survives_a_power_cut_and_a_disk_that_fails_at_any_call_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, first) = archive(folder.path(), "1", FIRST, None);
        let (two, _) = archive(folder.path(), "2", SECOND, Some(&first));
        let files = [one, two];
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            rebuild(&files, &disk).expect("is whole");
            disk.restart();
            assert_eq!(content(&disk), owned(SECOND), "seed {seed}");
        }
        let calls = {
            let disk = SimDisk::new(1);
            rebuild(&files, &disk).expect("is whole");
            disk.calls()
        };
        assert!(20 < calls, "{calls}");
        for call in 0..calls {
            for kind in [std::io::ErrorKind::Other, std::io::ErrorKind::StorageFull] {
                let disk = SimDisk::new(call);
                disk.fail_at(call, kind);
                let error = rebuild(&files, &disk).expect_err("the disk failed");
                assert!(error.downcast_ref::<Unwritten>().is_some(), "call {call}: {error:#}");
            }
        }
    }
}
