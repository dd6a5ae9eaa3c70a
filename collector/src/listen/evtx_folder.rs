//! Folders of EVTX files: the new records of files that grow, or are copied there again and again.
//!
//! In: a folder. Out: batches of JSON records in Winlogbeat's form, one for each event record that was not read before,
//! the last batch of a file with the place behind it. Binary records mean nothing without their chunk's templates, so what goes on
//! is the decoded event; `event.original` is then that JSON. A file is known by its path; which of its records were read
//! by the highest record number and its time. A log that was cleared begins with lower numbers, or with another time at
//! the same number: it is read from its start. A file that is being copied ends early; it is read again when it has
//! changed, and what stays damaged is named in the log once it has not changed for [`SETTLED`].
//! Bounds: files, bytes of a file, records of a batch. Failure: a file that cannot be read is tried again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nhatle_event::json::{Shape, to_json};
use nhatle_event::{Clock, Event, Field, Record, Text, Timestamp, Value};

use super::{BATCH_RECORDS_MAX, Keep, Kept, ListenError, Sink, deliver};
use crate::frame::Origin;
use crate::parse::evtx::EvtxReader;

/// How often the folder is looked at.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// A file that has not changed for so long is not being written.
pub const SETTLED: Duration = Duration::from_secs(60);
/// How many files of one folder are followed.
pub const FILES_MAX: usize = 512;
/// A larger file is left alone; Windows' own limit for a log is 4 GiB.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// What to follow, and what its records share.
#[derive(Clone, Debug)]
pub struct EvtxFolderOptions {
    /// The folder; folders in it are not looked into.
    pub folder: PathBuf,
    /// Unit of the records; the input's name is made of the path.
    pub origin: Origin,
}

/// Up to where a file was read: the record's number and when it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    number: u64,
    written: i64,
}

impl Place {
    fn read(text: &str) -> Option<Place> {
        let (number, written) = text.split_once(' ')?;
        Some(Place { number: number.parse().ok()?, written: written.parse().ok()? })
    }
}

/// What is known of a file that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looked {
    length: u64,
    modified: SystemTime,
    is_loss_said: bool,
}

/// A folder being followed.
pub struct EvtxFolderInput {
    options: EvtxFolderOptions,
    kept: Kept,
    looked: BTreeMap<PathBuf, Looked>,
}

impl EvtxFolderInput {
    /// Follows a folder from where it was left.
    pub fn new(options: EvtxFolderOptions, kept: &Kept) -> EvtxFolderInput {
        EvtxFolderInput { options, kept: Arc::clone(kept), looked: BTreeMap::new() }
    }

    /// Runs until the channel closes.
    ///
    /// # Errors
    /// Never today: what cannot be read now is tried again.
    pub async fn run(mut self, sink: Sink, clock: Arc<dyn Clock>) -> Result<(), ListenError> {
        loop {
            for path in self.files() {
                if !self.read(&path, &sink, &*clock).await {
                    return Ok(());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = sink.closed() => return Ok(()),
            }
        }
    }

    /// The files that have something to look at, in order of name.
    fn files(&mut self) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(&self.options.folder) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::debug!(file.path = %self.options.folder.display(), %error, "folder not listed");
                return Vec::new();
            }
        };
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let is_evtx = |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("evtx"));
        let mut paths: Vec<PathBuf> = paths.filter(is_evtx).collect();
        paths.sort();
        if FILES_MAX < paths.len() {
            tracing::warn!(files = paths.len(), files_max = FILES_MAX, "more EVTX files than are followed");
            paths.truncate(FILES_MAX);
        }
        self.looked.retain(|path, _| paths.binary_search(path).is_ok());
        paths
    }

    /// Reads what is new in one file. False once the channel has closed.
    async fn read(&mut self, path: &Path, sink: &Sink, clock: &dyn Clock) -> bool {
        let Ok(metadata) = std::fs::metadata(path) else { return true };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let length = metadata.len();
        let before = self.looked.get(path).copied();
        let is_same = before.is_some_and(|before| (before.length, before.modified) == (length, modified));
        // By the clock of the file system; one that runs ahead only delays what is said about losses.
        let is_settled = modified.elapsed().is_ok_and(|age| SETTLED <= age);
        if is_same && (before.is_some_and(|before| before.is_loss_said) || !is_settled) || FILE_BYTES_MAX < length {
            return true;
        }
        let key = format!("evtx/{}", path.display());
        let place = (self.kept)(&key).as_deref().and_then(Place::read).unwrap_or_default();
        let mut origin = self.options.origin.clone();
        origin.input = Text::from(format!("evtx:{}", path.display()));
        let (now, from) = (clock.now(), path.to_owned());
        let (to_here, mut chunks) = tokio::sync::mpsc::channel(2);
        let reading = tokio::task::spawn_blocking(move || read_new(&from, &origin, place, now, &to_here));
        while let Some((records, place)) = chunks.recv().await {
            let value = |place: Place| format!("{} {}", place.number, place.written);
            let keep = place.map(|place| Keep { key: key.clone(), value: value(place) });
            if !deliver(sink, records, keep.into_iter().collect()).await {
                return false;
            }
        }
        match reading.await {
            Ok(Ok(losses)) => {
                if losses > 0 && is_settled {
                    tracing::warn!(file.path = %path.display(), losses, "parts of an EVTX file cannot be read");
                }
                self.looked.insert(path.to_owned(), Looked { length, modified, is_loss_said: is_settled });
            }
            Ok(Err(error)) => tracing::debug!(file.path = %path.display(), %error, "EVTX file not read"),
            Err(_panicked) => tracing::error!(file.path = %path.display(), "reading an EVTX file panicked"),
        }
        true
    }
}

/// Records, and with the last ones of a file the place behind them: a file that went around holds its numbers out of
/// order, so only its end says that all below the highest were read. What a crash repeats is known by its id.
type Batches = tokio::sync::mpsc::Sender<(Vec<Record>, Option<Place>)>;

/// Sends the records behind a place on, in batches. Gives how many parts could not be read.
fn read_new(path: &Path, origin: &Origin, place: Place, now: Timestamp, out: &Batches) -> std::io::Result<u64> {
    // Two passes where something was read before: which of its records are new is known only at its end.
    let place = if place.number > 0 && !holds(path, origin, place, now)? { Place::default() } else { place };
    let (mut records, mut reached, mut losses) = (Vec::new(), place, 0);
    for decoded in EvtxReader::new(BufReader::new(File::open(path)?), &origin.record(b"", now, false)) {
        let event = match decoded {
            Ok(event) => event,
            Err(_loss) => {
                losses += 1;
                continue;
            }
        };
        let here = place_of(&event);
        if here.number <= place.number {
            continue;
        }
        if reached.number < here.number {
            reached = here;
        }
        records.push(record_of(&event, origin, now));
        if records.len() == BATCH_RECORDS_MAX && out.blocking_send((std::mem::take(&mut records), None)).is_err() {
            return Ok(losses);
        }
    }
    if reached != place {
        // A closed channel is the end of the program.
        drop(out.blocking_send((records, Some(reached))));
    }
    Ok(losses)
}

/// Whether a file still holds the log that was read up to this place: its numbers do not end before it, and the record
/// of that number, where it is still there, is the same.
fn holds(path: &Path, origin: &Origin, place: Place, now: Timestamp) -> std::io::Result<bool> {
    let mut highest = 0;
    for event in EvtxReader::new(BufReader::new(File::open(path)?), &origin.record(b"", now, false)).flatten() {
        let here = place_of(&event);
        if here.number == place.number && here.written != place.written {
            return Ok(false);
        }
        highest = highest.max(here.number);
    }
    // Nothing readable: it is being copied right now.
    Ok(highest == 0 || place.number <= highest)
}

fn place_of(event: &Event) -> Place {
    let number = match event.get(Field::WINLOG_RECORD_ID) {
        Some(Value::Long(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Value::Text(text)) => text.parse().unwrap_or(0),
        _ => 0,
    };
    Place { number, written: event.timestamp.0 }
}

/// The event as Winlogbeat would send it. Its name is made of host, log and number, so that the same record in another
/// file is known for as long as ids are remembered.
fn record_of(event: &Event, origin: &Origin, now: Timestamp) -> Record {
    let mut json = to_json(event, Shape::Dotted);
    let text = |field: Field| event.text(field).unwrap_or_default();
    let (host, channel) = (text(Field::HOST_NAME), text(Field::WINLOG_CHANNEL));
    let place = place_of(event);
    let id = format!("{host}/{channel}/{}/{}", place.number, place.written);
    if let serde_json::Value::Object(map) = &mut json {
        map.retain(|name, _| {
            !name.starts_with("nhatle.") && !matches!(name.as_str(), "event.original" | "event.hash" | "event.created")
        });
    }
    let mut record = origin.record(json.to_string().as_bytes(), now, false);
    record.profile = Some(Text::const_new("windows"));
    record.id = (place.number > 0).then(|| Text::from(id));
    record
}
