//! `nhatle verify`: whether anything in a store, or in an evidence package, was altered.
//!
//! A store: every block of every segment, every frame of the log, the manifest, the chain of the register, and the proof:
//! its log, tree and signed heads, the segments and the register against it, and a head that somebody kept. A package:
//! everything in it, without a store and without configuration. Out: a line for each finding with file and place; exit
//! code 1 where there is one.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use nhatle_event::json::hex;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::proof::{SignedHead, VerifierKey, check, head, package};
use nhatle_storage::verify::Finding;
use nhatle_storage::{Config, Disk, OsDisk, Store};
use serde_json::json;

use super::{End, UsageError, output};
use crate::cli_evidence::VerifyArgs;
use crate::evidence::archive;

/// A larger file holds no key and no heads.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// One thing that is not as it should be.
struct Found {
    file: String,
    offset: Option<u64>,
    row: Option<i64>,
    what: String,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Found {
        Found { file: finding.file, offset: Some(finding.offset), row: None, what: finding.what }
    }
}

/// Runs the command.
///
/// # Errors
/// There is no such folder or file, or it cannot be read.
pub fn run(args: &VerifyArgs) -> anyhow::Result<End> {
    let key = args.key.as_deref().map(key).transpose()?;
    let (found, said) = match &args.file {
        Some(file) => verify_package(file, key.as_ref())?,
        None => verify_store(args, key.as_ref())?,
    };
    for one in &found {
        if args.json {
            let line = json!({"file": one.file, "offset": one.offset, "row": one.row, "what": one.what});
            output::line(&line.to_string())?;
            continue;
        }
        let offset = one.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
        let row = one.row.map(|row| format!(" row {row}")).unwrap_or_default();
        output::line(&format!("damage: {}{offset}{row}: {}", one.file, one.what))?;
    }
    if !args.json {
        said.iter().try_for_each(|line| output::line(line))?;
        if found.is_empty() {
            output::line("nothing altered")?;
        }
    }
    Ok(if found.is_empty() { End::Done } else { End::Findings })
}

/// A key as text, or a file with it.
fn key(text: &str) -> anyhow::Result<VerifierKey> {
    let text = match Path::new(text).is_file() {
        true => small_file(Path::new(text))?,
        false => text.to_owned(),
    };
    let first = text.lines().next().unwrap_or_default();
    Ok(VerifierKey::parse(first).map_err(|error| UsageError(format!("--key: {error}")))?)
}

fn small_file(path: &Path) -> anyhow::Result<String> {
    let length = std::fs::metadata(path).map_err(|error| UsageError(format!("{}: {error}", path.display())))?.len();
    if SMALL_FILE_BYTES_MAX < length {
        return Err(UsageError(format!("{}: larger than 64 MiB", path.display())).into());
    }
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

type Result = anyhow::Result<(Vec<Found>, Vec<String>)>;

fn verify_package(path: &Path, key: Option<&VerifierKey>) -> Result {
    if !path.is_file() {
        return Err(UsageError(format!("{} is no file", path.display())).into());
    }
    let name = path.display().to_string();
    let found = |file: &str, what: String| Found { file: file.to_owned(), offset: None, row: None, what };
    let open = std::fs::File::open(path).with_context(|| format!("read {name}"))?;
    let files = match archive::read(std::io::BufReader::new(open)) {
        Ok(files) => files,
        Err(error) => return Ok((vec![found(&name, format!("no evidence package: {error:#}"))], Vec::new())),
    };
    let verdict = package::verify(&files, key);
    let mut said = Vec::new();
    if let Some(about) = &verdict.about {
        said.push(format!("{} {}, made by {} for {:?}", about.what, about.name, about.program, about.made_by));
    }
    said.push(format!("proved: {} events, {} changes of the register", verdict.events, verdict.changes));
    if let Some(head) = &verdict.head {
        said.push(format!("under: {}", head_said(head)));
    }
    if let Some(known) = &verdict.key {
        said.push(format!("signed with: {}", known.text()));
        if key.is_none() {
            said.push("compare this key with the one the city handed out, or give it with --key".to_owned());
        }
    }
    Ok((verdict.findings.into_iter().map(|(file, what)| found(&file, what)).collect(), said))
}

fn head_said(head: &SignedHead) -> String {
    let at = head.head.at.map_or_else(|| "without a time".to_owned(), |at| format!("of {at}"));
    format!("head {at} over {} leaves of {}, root {}", head.head.size, head.head.origin, hex(&head.head.root))
}

fn verify_store(args: &VerifyArgs, key: Option<&VerifierKey>) -> Result {
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    let kept = args.head.as_deref().map(kept_heads).transpose()?.unwrap_or_default();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let mut found: Vec<Found> = nhatle_storage::verify(&*disk).into_iter().map(Found::from).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checked = check::store(&*disk);
    let damage = runtime.block_on(nhatle_storage::register::verify(data));
    let is_register_whole = damage.is_empty();
    for one in damage {
        let file = one.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        found.push(Found { file, offset: one.offset, row: one.row, what: one.what });
    }
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => {
            // Where the manifest is damaged this was said already.
            let finding = Finding::of(error);
            if !found.iter().any(|one| one.file == finding.file) {
                found.push(finding.into());
            }
            None
        }
    };
    let mut said = Vec::new();
    if let Some(checked) = &checked {
        found.extend(checked.findings.iter().cloned().map(Found::from));
        if is_register_whole {
            let hashes = runtime.block_on(nhatle_storage::register::hashes(data)).context("read the register")?;
            found.extend(check::register(&checked.log, &hashes).into_iter().map(Found::from));
        }
        if let Some(newest) = checked.heads.last() {
            said.push(format!("newest: {}", head_said(newest)));
        }
        let keys = checked.log.keys.iter().map(|(_, known)| known);
        said.extend(keys.clone().map(|known| format!("key: {}", known.text())));
        if let Some(key) = key.filter(|key| !keys.clone().any(|known| known == *key)) {
            let what = format!("no head was signed with the key given: {}", key.text());
            found.push(finding(nhatle_storage::proof::log::HEADS, what).into());
        }
    } else if key.is_some() {
        found.push(finding(nhatle_storage::proof::log::HEADS, "there is no signed head".to_owned()).into());
    }
    for head in &kept {
        if let Some(what) = check::kept_head(checked.as_ref(), head) {
            found.push(finding(nhatle_storage::proof::log::LOG, what).into());
        }
    }
    if args.deep {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open_read_only(disk, Config::default(), clock).context("open store")?;
        found.extend(check::events(&store.snapshot()).into_iter().map(Found::from));
    }
    Ok((found, said))
}

fn finding(file: &str, what: String) -> Finding {
    Finding { file: file.to_owned(), offset: 0, what }
}

/// The heads of a file: one, or many behind each other.
fn kept_heads(path: &Path) -> anyhow::Result<Vec<SignedHead>> {
    let text = small_file(path)?;
    let wrong = |error: &dyn std::fmt::Display| UsageError(format!("--head: {}: {error}", path.display()));
    if let Ok(one) = SignedHead::parse(text.as_bytes()) {
        return Ok(vec![one]);
    }
    let heads: std::result::Result<Vec<SignedHead>, _> = head::read_all(&text).into_iter().collect();
    let heads = heads.map_err(|(number, error)| wrong(&format!("head {number}: {error}")))?;
    if heads.is_empty() {
        return Err(wrong(&"no signed head").into());
    }
    Ok(heads)
}
