//! Packs of rules made by others: read from a folder or archive, kept under `<data>/rules/<name>`, replaced whole.
//!
//! In: a folder or a ZIP archive, as it came. Out: its rule files as text, its licence, and on disk a folder that
//! has all of one import or all of the one before, also after a crash. Failure: a file that cannot be taken is an
//! error of the pack like a bad rule; an archive that passes a bound is refused as a whole.
//!
//! On disk: `rules/<name>/` is the pack, `rules.staging/` holds what is being written and a lock. Whoever loads
//! rules holds the lock shared, whoever swaps a pack holds it alone, so nobody loads while a pack is not there.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nhatle_collector::listen::zip::{self, EntryKind, ZipEntry, ZipLimits};
use nhatle_event::json::hex;
use nhatle_rules::RuleError;
use nhatle_rules::load::{FILES_MAX, FOLDER_DEPTH_MAX};
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use sha2::{Digest, Sha256};

use crate::live_rules::PACKS_FOLDER;

/// The longest rule file taken.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How many bytes all rule files of a pack may have.
const PACK_BYTES_MAX: u64 = 512 << 20;
/// The longest licence text kept; the longest one shown in a line, in characters.
const LICENSE_BYTES_MAX: u64 = 256 << 10;
const LICENSE_LINE_CHARS: usize = 120;
/// What a licence file is called, in order of preference, without case.
const LICENSE_NAMES: &[&str] =
    &["license", "license.txt", "license.md", "licence", "licence.txt", "copying", "copying.txt"];
/// What the texts of usual licences say, and what they are called.
const LICENSES: &[(&str, &str)] = &[
    ("Detection Rule License (DRL) 1.1", "DRL-1.1"),
    ("Detection Rule License (DRL) 1.0", "DRL-1.0"),
    ("http://www.apache.org/licenses/", "Apache-2.0"),
    ("Elastic License 2.0", "Elastic-2.0"),
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL-3.0"),
    ("Permission is hereby granted, free of charge", "MIT"),
];
/// The name of the licence file in a pack.
const LICENSE_FILE: &str = "LICENSE";
const STAGING_FOLDER: &str = "rules.staging";
/// Held shared while rules are loaded, alone while a pack is swapped.
const LOCK_FILE: &str = "lock";
/// Held alone while a pack is written.
const IMPORT_LOCK_FILE: &str = "import.lock";
/// What an archive of rules may have: SigmaHQ's whole repository is a thousandth of it.
const ZIP_LIMITS: ZipLimits = ZipLimits { entries_max: 200_000, entry_bytes_max: 256 << 20, total_bytes_max: 4 << 30 };

/// A pack as it was read.
#[derive(Debug, Default)]
pub struct Source {
    /// Rule files in order of name: path below the pack, and text.
    pub files: Vec<(PathBuf, String)>,
    /// Files that could not be taken, and why.
    pub errors: Vec<RuleError>,
    /// The text of its licence.
    pub license: Option<String>,
    bytes: u64,
}

impl Source {
    /// Reads a folder or a ZIP archive.
    ///
    /// # Errors
    /// It is neither, cannot be read, or passes a bound.
    pub fn read(path: &Path) -> anyhow::Result<Source> {
        let kind = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut source = Source::default();
        if kind.is_dir() {
            source.read_folder(path, Path::new(""), FOLDER_DEPTH_MAX)?;
        } else {
            source.read_zip(path)?;
        }
        source.files.sort();
        let twice: Vec<PathBuf> =
            source.files.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0.clone()).collect();
        source.files.dedup_by(|left, right| left.0 == right.0);
        twice.iter().for_each(|name| source.refuse(name, "the archive has this file twice; the first one is taken"));
        source.errors.sort_by(|left, right| left.file.cmp(&right.file));
        Ok(source)
    }

    /// Reads the licence from a file of its own.
    ///
    /// # Errors
    /// It cannot be read, or is no text.
    pub fn read_license(&mut self, path: &Path) -> anyhow::Result<()> {
        let open = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text =
            text_of(open, LICENSE_BYTES_MAX).map_err(|reason| anyhow::anyhow!("{}: {reason}", path.display()))?;
        self.license = Some(text);
        Ok(())
    }

    /// The licence in one line: its name where it is a usual one, else the first line that says something.
    pub fn license_line(&self) -> String {
        let Some(text) = &self.license else { return String::new() };
        if let Some((_, name)) = LICENSES.iter().find(|(sign, _)| text.contains(sign)) {
            return (*name).to_owned();
        }
        let mut lines =
            text.lines().map(|line| line.trim_matches(|letter: char| letter == '#' || letter.is_whitespace()));
        lines.find(|line| !line.is_empty()).unwrap_or_default().chars().take(LICENSE_LINE_CHARS).collect()
    }

    /// SHA-256 over names and texts of the rule files.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for (name, text) in &self.files {
            for part in [name.as_os_str().as_encoded_bytes(), text.as_bytes()] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hex(&hash.finalize())
    }

    fn read_folder(&mut self, root: &Path, below: &Path, depth: usize) -> anyhow::Result<()> {
        let folder = root.join(below);
        let list = fs::read_dir(&folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut entries = list.with_context(|| format!("cannot read {}", folder.display()))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = below.join(entry.file_name());
            // `.git` and its like are not the pack's.
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry.file_type().with_context(|| format!("cannot read {}", name.display()))?;
            match () {
                () if kind.is_dir() && depth == 0 => self.refuse(&name, "folders nest too deep"),
                () if kind.is_dir() => self.read_folder(root, &name, depth - 1)?,
                () if is_rule(&name) && !kind.is_file() => {
                    self.refuse(&name, "it is a link or no plain file; put the file there")
                }
                () if is_rule(&name) => self.take(name, File::open(entry.path()).map_err(|error| error.to_string()))?,
                () if below == Path::new("") && kind.is_file() => self.take_license(&name, File::open(entry.path())),
                () => {}
            }
        }
        Ok(())
    }

    fn read_zip(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut front = [0; 4];
        let is_zip = File::open(path).and_then(|mut file| file.read_exact(&mut front)).is_ok() && zip::is_zip(&front);
        if !is_zip {
            bail!(crate::command::UsageError(format!("{} is neither a folder nor a ZIP archive", path.display())));
        }
        let entries = zip::entries(path, &ZIP_LIMITS)?;
        let top = top_folder(&entries);
        for entry in entries.iter().filter(|entry| entry.kind != EntryKind::Folder) {
            let name = Path::new(&entry.name);
            let name = top.and_then(|top| name.strip_prefix(top).ok()).unwrap_or(name).to_owned();
            if name.iter().any(|part| part.as_encoded_bytes().starts_with(b"."))
                && !matches!(entry.kind, EntryKind::Unreadable(_))
            {
                continue;
            }
            match (&entry.kind, is_rule(&name)) {
                (EntryKind::Unreadable(reason), true) => self.refuse(&name, reason),
                (EntryKind::File, true) => self.take(name, entry.open().map_err(|error| error.to_string()))?,
                (EntryKind::File, false) if name.components().count() == 1 => {
                    self.take_license(&name, entry.open().map_err(io::Error::other));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, name: PathBuf, open: Result<impl Read, String>) -> anyhow::Result<()> {
        match open.and_then(|open| text_of(open, FILE_BYTES_MAX)) {
            Ok(text) => {
                self.bytes += text.len() as u64;
                self.files.push((name, text));
            }
            Err(reason) => self.refuse(&name, &reason),
        }
        if FILES_MAX < self.files.len() + self.errors.len() || PACK_BYTES_MAX < self.bytes {
            bail!("it has more than {FILES_MAX} rule files, or more than {PACK_BYTES_MAX} bytes of them");
        }
        Ok(())
    }

    fn take_license<R: Read>(&mut self, name: &Path, open: io::Result<R>) {
        let lower = name.to_string_lossy().to_lowercase();
        if self.license.is_none() && LICENSE_NAMES.contains(&lower.as_str()) {
            self.license = open.ok().and_then(|open| text_of(open, LICENSE_BYTES_MAX).ok());
        }
    }

    fn refuse(&mut self, name: &Path, reason: &str) {
        let error = RuleError {
            file: name.to_owned(),
            line: 1,
            column: 1,
            reason: reason.to_owned(),
            lint: None,
            rule_id: None,
        };
        self.errors.push(error);
    }
}

/// The folder all of an archive stands in, as those of repositories do.
fn top_folder(entries: &[ZipEntry]) -> Option<&str> {
    let mut tops = entries.iter().map(|entry| match (entry.name.split_once('/'), &entry.kind) {
        (Some((top, _)), _) => Some(top),
        (None, EntryKind::Folder) => Some(entry.name.as_str()),
        (None, _) => None,
    });
    let first = tops.next()??;
    tops.all(|top| top == Some(first)).then_some(first)
}

fn is_rule(name: &Path) -> bool {
    name.extension().is_some_and(|ending| ending == "yml" || ending == "yaml")
}

fn text_of(open: impl Read, bytes_max: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    open.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes_max < bytes.len() as u64 {
        return Err(format!("the file is larger than {bytes_max} bytes; split it"));
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

/// The packs of a data folder.
#[derive(Clone, Debug)]
pub struct Packs {
    folder: PathBuf,
    staging: PathBuf,
}

/// Holds the packs as they are, while it lives.
pub struct Held(#[expect(dead_code, reason = "dropping it lets go of the lock")] Option<File>);

impl Packs {
    /// The packs of this data folder, which need not have any.
    pub fn new(data: &Path) -> Packs {
        Packs { folder: data.join(PACKS_FOLDER), staging: data.join(STAGING_FOLDER) }
    }

    /// Where packs are: a folder for each.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The licence text of a pack, where it has one.
    pub fn license(&self, name: &str) -> Option<String> {
        let open = File::open(self.folder.join(name).join(LICENSE_FILE)).ok()?;
        text_of(open, LICENSE_BYTES_MAX).ok()
    }

    /// Holds the packs as they are, for reading. Without a staging folder nobody ever swapped one.
    pub fn hold(&self) -> Held {
        let lock = File::open(self.staging.join(LOCK_FILE)).ok();
        Held(lock.filter(|lock| lock.lock_shared().is_ok()))
    }

    /// Puts right what a crash in the middle of [`Packs::replace`] left, unless somebody is in the middle of it now.
    ///
    /// # Errors
    /// A folder cannot be moved or removed.
    pub fn recover(&self) -> io::Result<()> {
        match File::open(self.staging.join(IMPORT_LOCK_FILE)) {
            Ok(lock) if lock.try_lock().is_ok() => self.clean_up(),
            _ => Ok(()),
        }
    }

    /// For whoever holds the lock of imports.
    fn clean_up(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.staging)? {
            let path = entry?.path();
            match (path.extension().and_then(|ending| ending.to_str()), path.file_stem()) {
                (Some("old"), Some(name)) if !self.folder.join(name).exists() => {
                    move_folder(&path, &self.folder.join(name))?;
                }
                (Some("old" | "new"), _) => fs::remove_dir_all(&path)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a pack beside the one that is there, makes it durable, then takes its place.
    ///
    /// # Errors
    /// The disk is full, or a folder cannot be written. The pack that was there is then there still.
    pub fn replace(&self, name: &str, source: &Source) -> anyhow::Result<()> {
        fs::create_dir_all(&self.staging).with_context(|| format!("make folder {}", self.staging.display()))?;
        fs::create_dir_all(&self.folder).with_context(|| format!("make folder {}", self.folder.display()))?;
        let lock = File::create(self.staging.join(LOCK_FILE)).context("make the lock of packs")?;
        let importing = File::create(self.staging.join(IMPORT_LOCK_FILE)).context("make the lock of imports")?;
        if importing.try_lock().is_err() {
            bail!("another import is running in this data folder");
        }
        self.clean_up().context("put right what an import left")?;
        let new = self.staging.join(format!("{name}.new"));
        let mut files: Vec<(PathBuf, &str)> =
            source.files.iter().map(|(file, text)| (file.clone(), text.as_str())).collect();
        files.extend(source.license.as_deref().map(|text| (PathBuf::from(LICENSE_FILE), text)));
        let folders: std::collections::BTreeSet<&Path> = files.iter().filter_map(|(file, _)| file.parent()).collect();
        for folder in folders {
            fs::create_dir_all(new.join(folder)).with_context(|| format!("make folder {}", folder.display()))?;
        }
        files.par_iter().try_for_each(|(file, text)| {
            fs::write(new.join(file), text).with_context(|| format!("write {}", new.join(file).display()))
        })?;
        sync_all_below(&new, files.iter().map(|(file, _)| file)).context("make the pack durable")?;
        let (place, old) = (self.folder.join(name), self.staging.join(format!("{name}.old")));
        lock.lock().context("wait for whoever loads rules")?;
        if place.exists() {
            move_folder(&place, &old).with_context(|| format!("move {}", place.display()))?;
        }
        move_folder(&new, &place).with_context(|| format!("move {}", new.display()))?;
        lock.unlock().context("let go of the lock of packs")?;
        match fs::remove_dir_all(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("remove the pack before"),
            _ => Ok(()),
        }
    }
}

/// Gives a folder its new place, durably.
#[expect(
    clippy::disallowed_methods,
    reason = "a whole folder, which `Disk` has no word for; the folders are synced here"
)]
fn move_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    [from, to].iter().filter_map(|path| path.parent()).try_for_each(|folder| File::open(folder)?.sync_all())
}

/// Makes everything written below a folder durable with one sync of its file system: thousands of files synced one
/// by one are thousands of commits of its journal. Errors of writing back are reported by it too (Linux 5.8).
#[cfg(target_os = "linux")]
fn sync_all_below<'f>(folder: &Path, _files: impl Iterator<Item = &'f PathBuf>) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

/// Elsewhere there is no such call: files and folders one by one.
#[cfg(not(target_os = "linux"))]
fn sync_all_below<'f>(folder: &Path, files: impl Iterator<Item = &'f PathBuf>) -> io::Result<()> {
    let mut paths: std::collections::BTreeSet<&Path> = std::collections::BTreeSet::new();
    files.for_each(|file| paths.extend(file.ancestors()));
    paths.into_iter().try_for_each(|path| File::open(folder.join(path))?.sync_all())
}
