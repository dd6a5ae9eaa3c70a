//! `nhatle restore --drill`: whether a backup, or a chain of them, is worth anything. In: archives, the oldest first. Out: a
//! line for each difference, then one dated line for the auditor's file; exit code 1 where something differs.
//!
//! The store is made in a folder of its own that is deleted again. Every block, the log, every event against the root it was
//! sealed with, the proof's log and heads, the register and its chain are read; events are counted by dataset in the rows, not
//! in what the manifest says, changes in the register; all is compared with what the backup says it holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nhatle_event::{Clock, SystemClock};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Store, register, verify};
use serde_json::json;

use super::backup::folder_of;
use super::restore::{Source, Unwritten, rebuild, restored_bytes};
use super::{End, UsageError, output};
use crate::backup::Index;
use crate::cli_backup::RestoreArgs;
use crate::objects::fetch;
use crate::prove::check::{self, Found, Known};

/// What came out of a backup.
#[derive(Default)]
struct Counted {
    datasets: BTreeMap<String, u64>,
    last_seq: u64,
    register_entries: u64,
    segments: usize,
    /// The newest head of the proof, in words.
    head: Option<String>,
    differences: Vec<String>,
}

/// Runs the drill.
///
/// # Errors
/// A file is not there, or the folder for it cannot be written: that says nothing of the backup.
pub(super) fn run(args: &RestoreArgs, source: &Source) -> anyhow::Result<End> {
    let Some(newest) = args.files.last() else { return Err(UsageError("no backup was named".to_owned()).into()) };
    let beside = match source {
        Source::Files => newest,
        Source::Objects(_) => &args.data.data,
    };
    let scratch = args.scratch.clone().unwrap_or_else(|| folder_of(beside));
    let building = tempfile::Builder::new().prefix(".nhatle-drill-").tempdir_in(&scratch)?;
    let started = Instant::now();
    let disk = OsDisk::existing(building.path())?;
    let (index, damage) = match source {
        Source::Files => match rebuild(&args.files, &disk) {
            Ok(link) => (Some(link.index), Vec::new()),
            Err(error) if error.is::<Unwritten>() || error.is::<UsageError>() => return Err(error),
            Err(error) => (None, vec![format!("{error:#}")]),
        },
        Source::Objects(remote) => {
            let found = fetch::rebuild(remote, &fetch::choose(remote, args.backup.as_deref())?, &disk)?;
            (found.index, found.damage)
        }
    };
    let counted = match &index {
        Some(index) if damage.is_empty() => compare(building.path(), index)?,
        _ => Counted { differences: damage, ..Counted::default() },
    };
    building.close()?;
    let took = started.elapsed().as_secs_f64();
    tell(args, index.as_ref(), &counted, took)?;
    Ok(if counted.differences.is_empty() { End::Done } else { End::Findings })
}

/// Reads and counts everything, and compares.
fn compare(folder: &Path, index: &Index) -> anyhow::Result<Counted> {
    let mut counted = Counted::default();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(folder)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let opened = Store::open_read_only(disk, Config::default(), clock);
    // Where the store does not open, its events cannot be made again; the reason comes first.
    let known = Known { is_deep: opened.is_ok(), ..Known::default() };
    match opened {
        Ok(store) => {
            let snapshot = store.snapshot();
            counted.last_seq = snapshot.last_seq().0;
            counted.segments = store.stats().segments;
            match verify::counts(&snapshot) {
                Ok(counts) => {
                    let named = Dataset::ALL.into_iter().zip(counts);
                    counted.datasets = named.map(|(dataset, count)| (dataset.name().to_owned(), count)).collect();
                }
                Err(error) => counted.differences.push(format!("events cannot be counted: {error}")),
            }
        }
        Err(error) => counted.differences.push(format!("the store does not open: {error}")),
    }
    let checked = check::store(folder, &known)?;
    counted.head = checked.newest.as_ref().map(check::said);
    counted.differences.extend(checked.found.iter().map(said));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(register::hashes(folder)) {
        Ok(hashes) => counted.register_entries = hashes.len() as u64,
        Err(error) => counted.differences.push(format!("changes of the register cannot be counted: {error}")),
    }
    counted.against(index);
    Ok(counted)
}

fn said(found: &Found) -> String {
    let offset = found.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
    let row = found.row.map(|row| format!(" row {row}")).unwrap_or_default();
    format!("{}{offset}{row}: {}", found.file, found.what)
}

impl Counted {
    fn events(&self) -> u64 {
        self.datasets.values().sum()
    }

    fn against(&mut self, index: &Index) {
        let mut pairs = vec![
            ("events".to_owned(), self.events(), index.events),
            ("Seq of the last event".to_owned(), self.last_seq, index.last_seq),
            ("changes of the register".to_owned(), self.register_entries, index.register_entries),
        ];
        // A backup from before they were counted says nothing of datasets.
        for (name, said) in &index.datasets {
            pairs.push((format!("events of dataset {name}"), self.datasets.get(name).copied().unwrap_or(0), *said));
        }
        let differs = pairs.into_iter().filter(|(_, found, said)| found != said);
        self.differences.extend(differs.map(|(what, found, said)| format!("{what}: {found} came out, {said} went in")));
    }
}

fn tell(args: &RestoreArgs, index: Option<&Index>, counted: &Counted, took: f64) -> anyhow::Result<()> {
    let (now, is_whole) = (SystemClock.now().to_string(), counted.differences.is_empty());
    let files: Vec<String> = args.files.iter().map(|path| path.display().to_string()).collect();
    let bytes = index.map_or(0, restored_bytes);
    if args.json {
        let line = json!({"at": now, "whole": is_whole, "files": files, "made": index.map(|index| &index.made),
            "events": counted.events(), "datasets": counted.datasets, "last_seq": counted.last_seq,
            "register_entries": counted.register_entries, "segments": counted.segments, "head": counted.head,
            "bytes": bytes, "seconds": took, "differences": counted.differences});
        return Ok(output::line(&line.to_string())?);
    }
    counted.differences.iter().try_for_each(|what| output::line(&format!("difference: {what}")))?;
    let verdict =
        if is_whole { "whole".to_owned() } else { format!("NOT WHOLE, {} differences", counted.differences.len()) };
    let Some(index) = index else {
        return Ok(output::line(&format!("{now} restore drill: {verdict}: {}", files.join(" ")))?);
    };
    let datasets: Vec<String> = counted.datasets.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let line = format!(
        "{now} restore drill: {verdict}: {}: as of {}: {} events up to {} ({}), {} changes of the register, {} segments, {}, {bytes} bytes, {took:.1} s",
        files.join(" "),
        index.made,
        counted.events(),
        counted.last_seq,
        datasets.join(", "),
        counted.register_entries,
        counted.segments,
        counted.head.as_deref().unwrap_or("no signed head"),
    );
    Ok(output::line(&line)?)
}
