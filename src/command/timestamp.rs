//! `nhatle proof request-timestamp`, `nhatle proof add-timestamp`: a time for the newest head by a time-stamping authority
//! that this machine has no line to. Request and answer go by file, on a stick say.
//!
//! In: a data folder, also of a running server; the answer, and whose answers count. Out: the request as a file
//! (`openssl ts -query` reads it), then the answer beside the head. Promise: an answer is kept only after all of it was
//! checked. Failure: words, exit code 2 where the answer is of something else.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use nhatle_storage::proof::log;
use nhatle_storage::proof::stamp::kept::{self, Kept};
use nhatle_storage::proof::stamp::token::{ANSWER_BYTES_MAX, Token};
use nhatle_storage::proof::stamp::{Request, StampError};
use nhatle_storage::{Disk, OsDisk};

use super::backup::folder_of;
use super::{End, UsageError, output, verify};
use crate::cli_evidence::{AddTimestampArgs, RequestTimestampArgs};
use crate::prove::{check, stamp};

/// Writes a request.
///
/// # Errors
/// There is no such store or head, the head has a time already, or the file cannot be written.
pub fn request(args: &RequestTimestampArgs) -> anyhow::Result<End> {
    if args.output.try_exists()? {
        return Err(UsageError(format!("{} is there already", args.output.display())).into());
    }
    let disk = disk(&args.data.data)?;
    let Some(head) = log::newest(&disk)? else {
        return Err(UsageError("there is no signed head yet".to_owned()).into());
    };
    let size = head.head.size;
    if kept::sizes(&disk, "tsr")?.contains(&size) {
        return Err(UsageError("the newest head has a time-stamp already".to_owned()).into());
    }
    // Asked again, the same is asked: whichever file comes back is taken.
    let before = kept::sizes(&disk, "tsq")?.contains(&size).then(|| kept::read(&disk, size)).transpose()?;
    let kept = match before.filter(|before| before.head == head) {
        Some(before) => before,
        None => {
            let kept = Kept { request: Request::new(&head, stamp::nonce()), head, answer: Vec::new() };
            kept::write(&disk, &kept).context("write down what is asked")?;
            kept
        }
    };
    let named = || format!("write {}", args.output.display());
    let mut file = tempfile::Builder::new().prefix(".nhatle-timestamp-").tempfile_in(folder_of(&args.output))?;
    file.write_all(&kept.request.to_der()).with_context(named)?;
    file.as_file().sync_all().with_context(named)?;
    file.persist_noclobber(&args.output).with_context(named)?;
    output::line(&format!("{}: asks for a time of the {}", args.output.display(), check::said(&kept.head)))?;
    Ok(End::Done)
}

/// Takes an answer in.
///
/// # Errors
/// It answers nothing that waits, does not hold, or cannot be written.
pub fn add(args: &AddTimestampArgs) -> anyhow::Result<End> {
    let authorities = verify::authorities(&args.timestamp_ca)?;
    let disk = disk(&args.data.data)?;
    let refused = |what: String| UsageError(format!("{}: {what}", args.file.display()));
    let length = std::fs::metadata(&args.file).map_err(|error| refused(error.to_string()))?.len();
    if ANSWER_BYTES_MAX as u64 <= length {
        return Err(refused("longer than 64 KiB".to_owned()).into());
    }
    let answer = std::fs::read(&args.file).with_context(|| format!("read {}", args.file.display()))?;
    let waiting = waiting(&disk, &answer)?.map_err(|error| refused(error.to_string()))?;
    let Some(waiting) = waiting else {
        return Err(refused("answers no request of this store that waits".to_owned()).into());
    };
    let kept = Kept { answer, ..waiting };
    let stamp = kept.check(Some(&authorities)).map_err(|error| refused(error.to_string()))?;
    kept::write(&disk, &kept).context("write it down")?;
    output::line(&check::said_stamp(&stamp))?;
    output::line(&format!("time-stamped: {}", check::said(&kept.head)))?;
    Ok(End::Done)
}

/// What an answer is for, among what waits.
fn waiting(disk: &dyn Disk, answer: &[u8]) -> anyhow::Result<Result<Option<Kept>, StampError>> {
    let token = match Token::parse(answer) {
        Ok(token) => token,
        Err(error) => return Ok(Err(error)),
    };
    for size in kept::waiting(disk)?.into_iter().rev() {
        let kept = kept::read(disk, size)?;
        let is_it = token.said.imprint == Some(kept.request.imprint);
        if is_it && token.said.nonce.as_ref() == Some(&kept.request.nonce) {
            return Ok(Ok(Some(kept)));
        }
    }
    Ok(Ok(None))
}

fn disk(data: &Path) -> anyhow::Result<OsDisk> {
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    Ok(OsDisk::existing(data)?)
}
