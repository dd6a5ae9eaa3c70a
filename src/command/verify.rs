//! `nhatle verify`: whether anything in a store was altered.
//!
//! Checks every block of every segment, every frame of the log, the manifest, and the chain of the register.
//! Out: a line for each finding with file and place; exit code 1 where there is one.

use std::sync::Arc;

use serde_json::json;

use super::{End, UsageError, output};
use crate::cli::VerifyArgs;
use nhatle_storage::{Disk, OsDisk};

/// Runs the command.
///
/// # Errors
/// There is no such folder, or it cannot be read.
pub fn run(args: &VerifyArgs) -> anyhow::Result<End> {
    if args.file.is_some() {
        return Err(UsageError("verify FILE (evidence packages): not built yet".to_owned()).into());
    }
    let data = &args.data.data;
    if !data.is_dir() {
        return Err(UsageError(format!("{} is no folder", data.display())).into());
    }
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let mut found = Vec::new();
    for finding in nhatle_storage::verify(&*disk) {
        found.push((finding.file, Some(finding.offset), None, finding.what));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for damage in runtime.block_on(nhatle_storage::register::verify(data)) {
        let file = damage.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        found.push((file, damage.offset, damage.row, damage.what));
    }
    for (file, offset, row, what) in &found {
        if args.json {
            output::line(&json!({"file": file, "offset": offset, "row": row, "what": what}).to_string())?;
            continue;
        }
        let offset = offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
        let row = row.map(|row| format!(" row {row}")).unwrap_or_default();
        output::line(&format!("damage: {file}{offset}{row}: {what}"))?;
    }
    if found.is_empty() {
        if !args.json {
            output::line("nothing altered")?;
        }
        return Ok(End::Done);
    }
    Ok(End::Findings)
}
