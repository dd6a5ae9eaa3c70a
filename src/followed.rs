//! Inputs that are followed and not listened to: files that grow, the journal, folders of EVTX files. Of a server and of
//! a forwarder alike.
//!
//! In: what the configuration names, and the places where things were left. Out: running tasks that hand batches on.
//! Failure: a path or profile that makes no sense, before anything is started.

use std::path::PathBuf;
use std::sync::Arc;

use nhatle_collector::frame::Origin;
use nhatle_collector::listen::evtx_folder::{EvtxFolderInput, EvtxFolderOptions};
use nhatle_collector::listen::journald::{JournaldInput, JournaldOptions};
use nhatle_collector::listen::tail::{TailInput, TailOptions};
use nhatle_collector::listen::{Kept, ListenError};
use nhatle_collector::{Profile, Sink};
use nhatle_event::{Clock, Text};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::warn;

/// How many files and folders may be named.
pub const FOLLOWED_MAX: usize = 256;

/// `[[collector.file]]`: files that grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSource {
    /// A file, or a pattern in the last part of the path.
    pub path: PathBuf,
    /// The source profile; empty = by content.
    pub profile: String,
    /// The organization unit; empty = by sender.
    pub unit: String,
}

/// `[[collector.evtx]]`: a folder of EVTX files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvtxSource {
    /// The folder.
    pub folder: PathBuf,
    /// The organization unit; empty = by sender.
    pub unit: String,
}

/// Something to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files.
    File(FileSource),
    /// A folder of EVTX files.
    Evtx(EvtxSource),
    /// The journal, read by this program.
    Journald(PathBuf),
}

/// Checks what a configuration names; `key` is the section's.
pub fn check(key: &str, files: &[FileSource], folders: &[EvtxSource], problems: &mut Vec<String>) {
    if FOLLOWED_MAX < files.len() + folders.len() {
        problems.push(format!("{key}: more than {FOLLOWED_MAX} files and folders"));
    }
    let none: Kept = Arc::new(|_| None);
    for file in files {
        if let Err(error) = TailInput::new(options(file, 1024), &none) {
            problems.push(format!("{key}.file: {error}"));
        }
        if let Err(error) =
            Some(file.profile.as_str()).filter(|name| !name.is_empty()).map(Profile::from_name).transpose()
        {
            problems.push(format!("{key}.file: {}: {error}", file.path.display()));
        }
    }
    let mut paths: Vec<&PathBuf> = files.iter().map(|file| &file.path).collect();
    paths.sort();
    for pair in paths.windows(2).filter(|pair| pair[0] == pair[1]) {
        problems.push(format!("{key}.file: {} stands there twice", pair[0].display()));
    }
    if folders.iter().any(|folder| folder.folder.as_os_str().is_empty()) {
        problems.push(format!("{key}.evtx: folder is missing"));
    }
}

fn options(file: &FileSource, record_bytes_max: usize) -> TailOptions {
    let mut origin = Origin::new("file");
    origin.profile = some(&file.profile);
    origin.unit = some(&file.unit);
    TailOptions { path: file.path.clone(), origin, record_bytes_max }
}

fn some(text: &str) -> Option<Text> {
    Some(text).filter(|text| !text.is_empty()).map(Text::from)
}

/// Starts to follow a source from where it was left.
///
/// # Errors
/// The path makes no sense.
pub fn start(
    source: &Source,
    record_bytes_max: usize,
    sink: &Sink,
    clock: &Arc<dyn Clock>,
    kept: &Kept,
    runtime: &Handle,
) -> anyhow::Result<JoinHandle<()>> {
    let (sink, clock) = (sink.clone(), clock.clone());
    Ok(match source {
        Source::File(file) => {
            let input = TailInput::new(options(file, record_bytes_max), kept)?;
            let name = file.path.display().to_string();
            runtime.spawn(async move { said(&name, input.run(sink, clock).await) })
        }
        Source::Evtx(folder) => {
            let mut origin = Origin::new("evtx");
            origin.unit = some(&folder.unit);
            let name = folder.folder.display().to_string();
            let input = EvtxFolderInput::new(EvtxFolderOptions { folder: folder.folder.clone(), origin }, kept);
            runtime.spawn(async move { said(&name, input.run(sink, clock).await) })
        }
        Source::Journald(program) => {
            let origin = Origin::new("journald");
            let options = JournaldOptions { program: program.clone(), origin, record_bytes_max };
            let input = JournaldInput::new(options, kept);
            runtime.spawn(async move { said("journald", input.run(sink, clock).await) })
        }
    })
}

fn said(name: &str, result: Result<(), ListenError>) {
    if let Err(error) = result {
        warn!(%error, name, "no longer followed");
    }
}

/// Starts everything a server's configuration names.
///
/// # Errors
/// As [`start`].
pub fn start_all(
    collector: &crate::config::Collector,
    shared: &Arc<crate::pipeline::Shared>,
    sink: &Sink,
    runtime: &Handle,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let places = shared.clone();
    let kept: Kept = Arc::new(move |key| places.place(key));
    let files = collector.file.iter().cloned().map(Source::File);
    let folders = collector.evtx.iter().cloned().map(Source::Evtx);
    let journal = collector.journald.then(|| Source::Journald("journalctl".into()));
    let all = files.chain(folders).chain(journal);
    all.map(|source| start(&source, collector.record_bytes_max, sink, &shared.clock, &kept, runtime)).collect()
}
