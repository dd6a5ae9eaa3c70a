//! `nhatle evidence`: an incident, an alert or events with their proofs, as one file that anybody can check.
//!
//! In: a data folder and a subject. Out: a package ([`crate::evidence`]). Where no server has the folder, it seals and
//! signs first; where one has, it asks it to ([`crate::prove::request`]) and waits. Promise: the file appears whole or
//! not at all, and takes no other's place.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nhatle_event::json::hex;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::register::Register;
use nhatle_storage::{Config, Disk, OpenError, OsDisk, Store};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::backup::folder_of;
use super::{End, UsageError, output};
use crate::cli_evidence::EvidenceArgs;
use crate::evidence::{self, EvidenceError, Package, Subject};
use crate::pki::heads;
use crate::prove;
use crate::prove::request::{self, Document};
use crate::registry::Registry;

/// How long a server is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked for its head.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// A document is held in memory, and so is the package.
const DOCUMENT_BYTES_MAX: u64 = 256 << 20;

/// Runs the command.
///
/// # Errors
/// There is no such store or subject, it is damaged, or the file cannot be written.
pub fn run(args: &EvidenceArgs) -> anyhow::Result<End> {
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    if args.output.try_exists()? {
        return Err(UsageError(format!("{} is there already", args.output.display())).into());
    }
    let subject = subject(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let package = made(data, &subject, args.by.as_deref().unwrap_or_default(), &runtime);
    let package = package.map_err(|error| match error.downcast_ref() {
        Some(EvidenceError::NotFound(_) | EvidenceError::Query(_)) => UsageError(format!("{error:#}")).into(),
        _ => error,
    })?;
    let named = || format!("write {}", args.output.display());
    let mut file = tempfile::Builder::new().prefix(".nhatle-evidence-").tempfile_in(folder_of(&args.output))?;
    file.write_all(&package.bytes).with_context(named)?;
    file.as_file().sync_all().with_context(named)?;
    file.persist_noclobber(&args.output).with_context(named)?;
    let sha256 = hex(&Sha256::digest(&package.bytes));
    if args.json {
        let about = serde_json::to_value(&package.about)?;
        output::line(
            &json!({"file": args.output, "bytes": package.bytes.len(), "sha256": sha256, "about": about,
            "head_size": package.head.head.size, "is_stamped": package.is_stamped})
            .to_string(),
        )?;
    } else {
        output::line(&format!(
            "{}: {} events and {} changes of the register, proved under the head over {} leaves{}; SHA-256 {sha256}",
            args.output.display(),
            package.about.events,
            package.about.changes,
            package.head.head.size,
            if package.is_stamped { ", which has a time-stamp" } else { "" }
        ))?;
    }
    Ok(End::Done)
}

fn subject(args: &EvidenceArgs) -> anyhow::Result<Subject> {
    let mut subjects = Vec::new();
    subjects.extend(args.incident.map(Subject::Incident));
    subjects.extend(args.alert.clone().map(Subject::Alert));
    subjects.extend((!args.event.is_empty()).then(|| Subject::Events(args.event.clone())));
    subjects.extend(args.query.clone().map(Subject::Query));
    subjects.extend(args.document.as_deref().map(document).transpose()?);
    match subjects.len() {
        1 => Ok(subjects.remove(0)),
        _ => Err(UsageError("give one of --incident, --alert, --event, --query or --document".to_owned()).into()),
    }
}

fn document(path: &Path) -> anyhow::Result<Subject> {
    let refused = |what: String| UsageError(format!("{}: {what}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if DOCUMENT_BYTES_MAX < length {
        return Err(refused("larger than 256 MiB".to_owned()).into());
    }
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Subject::Document(Document::of(&name, &bytes), bytes))
}

fn made(data: &Path, subject: &Subject, by: &str, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Package> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let document = match subject {
        Subject::Document(document, _) => Some(document),
        _ => None,
    };
    match Store::open(disk.clone(), Config::default(), clock.clone()) {
        Ok(store) => {
            let register = runtime.block_on(Register::open(data))?;
            store.sign_with(heads::open_or_make(data)?);
            store.seal().context("seal")?;
            prove::record_register(&store, &register, runtime.handle())?;
            runtime.block_on(register.close());
            if let Some(one) = document.filter(|one| !evidence::is_written_down(&*disk, one).unwrap_or(false)) {
                store.record_document((one.name.clone(), one.bytes, one.sha256.clone())).context("write it down")?;
            }
            attempt(data, &disk, &store, subject, by, runtime)
        }
        Err(OpenError::Locked { .. }) => {
            let begun = Instant::now();
            loop {
                let store = Store::open_read_only(disk.clone(), Config::default(), clock.clone())?;
                match attempt(data, &disk, &store, subject, by, runtime) {
                    Ok(package) if !package.is_stamped => {
                        // Its head has no time yet: a server that asks for times is given a moment to get one.
                        prove::stamp::wait(&*disk, package.head.head.size)?;
                        return attempt(data, &disk, &store, subject, by, runtime);
                    }
                    Err(error) if is_too_early(&error) && begun.elapsed() < PATIENCE => {
                        // One that is not answered yet stays: asking again would have it written down again.
                        if !request::is_asked(&*disk) {
                            request::ask(&*disk, document).context("ask the server for a head")?;
                        }
                        std::thread::sleep(LOOK_INTERVAL);
                    }
                    Err(error) if is_too_early(&error) => bail!("{error:#}; the server signed no head meanwhile"),
                    other => return other,
                }
            }
        }
        Err(error) => Err(error).context("open store"),
    }
}

fn is_too_early(error: &anyhow::Error) -> bool {
    error.downcast_ref::<EvidenceError>().is_some_and(EvidenceError::is_too_early)
}

fn attempt(
    data: &Path,
    disk: &Arc<dyn Disk>,
    store: &Store,
    subject: &Subject,
    by: &str,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Package> {
    let key = heads::open(data)?;
    let registry = Registry::open(data, runtime.handle().clone())?;
    let snapshot = store.snapshot();
    let gathered = registry.read(|state| evidence::gather(subject, &snapshot, state))?;
    let rows = registry.rows(&gathered)?;
    registry.close();
    Ok(evidence::build(&gathered, (&**disk, &snapshot), rows, (&key, by))?)
}
