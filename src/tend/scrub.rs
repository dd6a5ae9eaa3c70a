//! Reads everything that is stored once a week, in the background, and tells what is damaged: segments, log, manifests and
//! proof as [`Place`] goes through them, then the register and the files of `state/`.
//!
//! In: the files, the time. Out: what was found, kept in `state/scrub.json` so that a pass goes on after a restart;
//! for each new finding a record that goes the way of every record, so that a rule raises our own alert. Failure: a
//! state that cannot be kept is said, and the pass begins anew at the next start.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nhatle_event::{Record, Text, Timestamp};
use nhatle_storage::register::{self, FILE_NAME};
use nhatle_storage::scrub::Place;
use nhatle_storage::{Dataset, Disk, Finding};
use serde_json::json;
use tracing::{error, info, warn};

use crate::overload::INPUT;
use crate::pipeline::Shared;
use crate::state;

/// Where it is kept.
pub const PATH: &str = "state/scrub.json";
/// A thousand findings are some hundred kilobytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// One pass takes so long, whatever there is to read.
const PASS: Duration = Duration::from_secs(7 * 86_400);
/// It reads so often.
const STEP: Duration = Duration::from_secs(60);
/// At most so much at once, so that nobody waits for the disk.
const STEP_BYTES_MAX: u64 = 64 << 20;
/// At least so much.
const STEP_BYTES_MIN: u64 = 1 << 20;
/// What stands before the name of a mark in place of a file's.
const MARK: &str = "mark ";
/// How many findings of one step are told one by one.
const TOLD_MAX: usize = 16;

/// What the scrub knows, for pages and figures.
#[derive(Debug, Default)]
pub struct Scrub(Mutex<Place>);

impl Scrub {
    /// Goes on where the folder says.
    pub fn open(disk: &dyn Disk) -> Scrub {
        let place = kept(disk).inspect_err(|error| warn!(%error, file.path = PATH, "the scrub begins anew"));
        Scrub(Mutex::new(place.ok().flatten().unwrap_or_default()))
    }

    /// Where it is, and what it found.
    pub fn place(&self) -> Place {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// When the next step is.
pub struct Pacer {
    step_at: Instant,
}

impl Pacer {
    /// The first step is a minute from now.
    pub fn new() -> Pacer {
        Pacer { step_at: Instant::now() + STEP }
    }

    /// Reads on, if it is time.
    pub fn step(&mut self, shared: &Shared) {
        if Instant::now() < self.step_at {
            return;
        }
        self.step_at = Instant::now() + STEP;
        let snapshot = shared.store.snapshot();
        let total: u64 = Dataset::ALL
            .into_iter()
            .flat_map(|dataset| snapshot.segments(dataset))
            .map(|segment| segment.meta().bytes())
            .sum();
        let share = total / (PASS.as_secs() / STEP.as_secs());
        let now = shared.clock.now();
        let mut place = shared.scrub.place();
        let bytes_max = share.clamp(STEP_BYTES_MIN, STEP_BYTES_MAX);
        let (mut new, has_ended) = place.read_on(&*shared.disk, &snapshot, bytes_max, now.0);
        if has_ended {
            new.extend(place.settle(is_beside, beside(&*shared.disk)));
            info!(bytes = total, findings = place.findings.len(), "everything stored was read and checked");
            // What takes less than a pass is not read again at once.
            self.step_at = Instant::now() + PASS / 7;
        }
        keep(&*shared.disk, &place);
        *shared.scrub.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
        say(shared, &new);
    }
}

/// What is wrong with a mark whose value should be JSON and is none.
pub fn of_mark(name: &str, error: &serde_json::Error) -> Finding {
    let what = format!("its value cannot be read: {error}");
    Finding { file: format!("{MARK}{name}"), offset: error.column().saturating_sub(1) as u64, what }
}

/// Takes up what was found elsewhere, when something was opened: it is said, and kept with the rest until the next pass ends.
pub fn take_up(shared: &Shared, found: &[Finding]) {
    if found.is_empty() {
        return;
    }
    let mut place = shared.scrub.place();
    let new = place.settle(|file| found.iter().any(|one| one.file == file), found.to_vec());
    keep(&*shared.disk, &place);
    *shared.scrub.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    say(shared, &new);
}

fn say(shared: &Shared, new: &[Finding]) {
    let now = shared.clock.now();
    for finding in new.iter().take(TOLD_MAX) {
        error!(file.path = finding.file, offset = finding.offset, what = finding.what, "what is stored is damaged");
        tell(shared, finding, now);
    }
    if !new.is_empty() {
        shared.tick();
    }
}

impl Default for Pacer {
    fn default() -> Pacer {
        Pacer::new()
    }
}

fn is_beside(file: &str) -> bool {
    file == FILE_NAME || file.starts_with(state::FOLDER) || file.starts_with(MARK)
}

/// What is wrong with the register and the files of `state/`. Blocks.
fn beside(disk: &dyn Disk) -> Vec<Finding> {
    let found = |file: &str, offset: u64, what: String| Finding { file: file.to_owned(), offset, what };
    let mut findings: Vec<Finding> =
        state::damage(disk).into_iter().map(|(file, what)| found(&file, 0, what)).collect();
    let Some(folder) = disk.local_path("") else { return findings };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let damage = runtime.block_on(register::verify(&folder));
            let row = |row: Option<i64>| row.map(|row| format!("row {row}: ")).unwrap_or_default();
            let damage = damage.into_iter().take(TOLD_MAX);
            findings.extend(damage.map(|one| found(FILE_NAME, one.offset.unwrap_or(0), row(one.row) + &one.what)));
        }
        Err(error) => warn!(%error, "the register was not read for damage"),
    }
    findings
}

/// How far it had come; `None` where it never began.
///
/// # Errors
/// The file is damaged, or what the disk says.
pub fn kept(disk: &dyn Disk) -> std::io::Result<Option<Place>> {
    let bytes = state::read(disk, PATH, FILE_BYTES_MAX)?;
    Ok(bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
}

fn keep(disk: &dyn Disk, place: &Place) {
    let kept =
        serde_json::to_vec(place).map_err(std::io::Error::other).and_then(|bytes| state::keep(disk, PATH, &bytes));
    if let Err(error) = kept {
        warn!(%error, file.path = PATH, "how far the scrub has come was not kept");
    }
}

/// A record about the damage.
fn tell(shared: &Shared, finding: &Finding, now: Timestamp) {
    let told = json!({
        "@timestamp": now.to_string(),
        "event.provider": "nhatle",
        "event.action": "store-damaged",
        "event.reason": finding.what,
        "file.path": finding.file,
        "message": format!("stored file {} is damaged at byte {}: {}", finding.file, finding.offset, finding.what),
        "nhatle_store": { "offset": finding.offset },
    });
    let record =
        Record { profile: Some(Text::const_new("json")), ..Record::new(told.to_string().into_bytes(), INPUT, now) };
    if let Some(sink) = &*shared.sink() {
        sink.offer(vec![record]);
    }
}

#[cfg(test)]
mod tests {
    use nhatle_storage::OsDisk;
    use nhatle_storage::register::{NewChange, Register};

    use super::*;

    #[test]
    fn register_and_state_are_read_too_and_what_is_mended_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(folder.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let change = |text: &str| NewChange {
            stream: "incident/1".into(),
            kind: "note".into(),
            json: format!("{{\"text\":\"{text}\"}}"),
            actor: "lan".into(),
            at: Timestamp(7),
        };
        runtime.block_on(async {
            let register = Register::open(folder.path()).await.unwrap();
            register.append(0, &[change("một"), change("hai")]).await.unwrap();
            register.close().await;
        });
        state::keep(&disk, "state/some.json", b"{\"a\":1}").unwrap();
        assert_eq!(beside(&disk), vec![]);
        let path = folder.path().join(FILE_NAME);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        let at = bytes.windows(5).position(|window| window == b"\"hai\"").unwrap();
        bytes[at + 1] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut kept = disk.read("state/some.json").unwrap();
        *kept.last_mut().unwrap() ^= 1;
        disk.replace("state/some.json", &kept).unwrap();
        let mut place = Place::default();
        let new = place.settle(is_beside, beside(&disk));
        let files: Vec<&str> = new.iter().map(|one| one.file.as_str()).collect();
        assert_eq!(files, ["state/some.json", FILE_NAME]);
        assert!(new[1].what.starts_with("row 2: "), "{}", new[1].what);
        assert_eq!(place.settle(is_beside, beside(&disk)), vec![], "told once");
        assert_eq!(place.findings, new);
        std::fs::write(&path, whole).unwrap();
        place.settle(is_beside, beside(&disk));
        assert_eq!(place.findings.len(), 1);
    }
}
