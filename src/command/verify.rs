//! `nhatle verify`: whether anything in a store, or in an evidence package, was altered.
//!
//! A store: every block of every segment, every frame of the log, the manifest, the chain of the register, and the proof:
//! its log, tree and signed heads, the segments and the register against it, and a head that somebody kept. A package:
//! everything in it, without a store and without configuration. Out: a line for each finding with file and place; exit
//! code 1 where there is one.

use std::path::Path;

use anyhow::Context;
use nhatle_event::Timestamp;
use nhatle_storage::proof::stamp::Authorities;
use nhatle_storage::proof::{SignedHead, VerifierKey, package};
use serde_json::json;

use super::{End, UsageError, output};
use crate::cli_evidence::VerifyArgs;
use crate::evidence::archive;
use crate::prove::check::{self, Found, Known};

/// A larger file holds no key and no heads.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// Runs the command.
///
/// # Errors
/// There is no such folder or file, or it cannot be read.
pub fn run(args: &VerifyArgs) -> anyhow::Result<End> {
    let key = args.key.as_deref().map(key).transpose()?;
    let authorities = args.timestamp_ca.as_deref().map(authorities).transpose()?;
    let (found, said) = match &args.file {
        Some(file) => verify_package(file, key.as_ref(), authorities.as_ref())?,
        None => verify_store(args, key, authorities)?,
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
        true => check::as_signed(&small_file(Path::new(text))?),
        false => text.to_owned(),
    };
    let first = text.lines().next().unwrap_or_default();
    Ok(VerifierKey::parse(first).map_err(|error| UsageError(format!("--key: {error}")))?)
}

fn small_file(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(small_bytes(path)?).with_context(|| format!("read {}", path.display()))
}

fn small_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(|error| UsageError(format!("{}: {error}", path.display())))?.len();
    if SMALL_FILE_BYTES_MAX < length {
        return Err(UsageError(format!("{}: larger than 64 MiB", path.display())).into());
    }
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

type Result = anyhow::Result<(Vec<Found>, Vec<String>)>;

fn verify_package(path: &Path, key: Option<&VerifierKey>, authorities: Option<&Authorities>) -> Result {
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
    let verdict = package::verify(&files, key, authorities);
    let mut said = Vec::new();
    if let Some(about) = &verdict.about {
        said.push(format!("{} {}, made by {} for {:?}", about.what, about.name, about.program, about.made_by));
    }
    if let Some((name, at_ns)) = &verdict.document {
        said.push(format!("document: {name:?}, written down at {}", Timestamp(*at_ns)));
    }
    said.push(format!("proved: {} events, {} changes of the register", verdict.events, verdict.changes));
    if 0 < verdict.erased {
        said.push(format!(
            "of {} of these events something was erased: that they stood there is proved, what is left of them is not",
            verdict.erased
        ));
    }
    if let Some(head) = &verdict.head {
        said.push(format!("under: {}", check::said(head)));
    }
    if let Some(stamp) = &verdict.stamp {
        said.push(check::said_stamp(stamp));
    }
    if let Some(known) = &verdict.key {
        said.push(format!("signed with: {}", known.text()));
        if key.is_none() {
            said.push("compare this key with the one the city handed out, or give it with --key".to_owned());
        }
    }
    Ok((verdict.findings.into_iter().map(|(file, what)| found(&file, what)).collect(), said))
}

fn verify_store(args: &VerifyArgs, key: Option<VerifierKey>, authorities: Option<Authorities>) -> Result {
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    let heads = args.head.as_deref().map(kept_heads).transpose()?.unwrap_or_default();
    let checked = check::store(data, &Known { key, heads, is_deep: args.deep, authorities })?;
    let newest = checked.newest.iter().map(|newest| format!("newest: {}", check::said(newest)));
    let keys = checked.keys.iter().map(|key| format!("key: {}", key.text()));
    let stamped = checked
        .stamp
        .iter()
        .flat_map(|(head, stamp)| [check::said_stamp(stamp), format!("time-stamped: {}", check::said(head))]);
    let said = newest.chain(stamped).chain(keys).chain(checked.erased).collect();
    Ok((checked.found, said))
}

/// The authorities whose time-stamps count.
pub(super) fn authorities(path: &Path) -> anyhow::Result<Authorities> {
    let read = Authorities::read(&small_bytes(path)?);
    Ok(read.map_err(|error| UsageError(format!("{}: {error}", path.display())))?)
}

/// The heads of a file.
fn kept_heads(path: &Path) -> anyhow::Result<Vec<SignedHead>> {
    let heads = check::kept_heads(&small_file(path)?);
    Ok(heads.map_err(|error| UsageError(format!("--head: {}: {error}", path.display())))?)
}
