//! The checkpoint of correlations: `<data>/state/correlate.ckpt` (docs/format/correlate.md).
//!
//! In: a correlator, and up to where it has looked. Out: a file that is replaced whole, now and then at a mark and
//! at the end, so that a restart need not read days of events again. It is a cache: what is damaged, of other
//! rules or past the mark is said in the log and ignored. Failure to write is said and tried again later.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use nhatle_engine::correlate::Correlator;
use nhatle_event::{Seq, Timestamp};
use nhatle_storage::Disk;
use tracing::{info, warn};

use crate::state;

/// How often it is written while events come.
const INTERVAL_NS: i64 = 300_000_000_000;
/// A larger file is not ours: four million hits take some hundred megabytes.
const FILE_BYTES_MAX: u64 = 1 << 30;
const PATH: &str = "state/correlate.ckpt";

/// Writes and reads checkpoints.
pub struct Checkpoint {
    disk: Arc<dyn Disk>,
    /// When the next one is due.
    due: Timestamp,
    /// Up to where the last one goes.
    written: Seq,
    writer: Option<JoinHandle<()>>,
}

impl Checkpoint {
    /// In a data folder.
    pub fn new(disk: Arc<dyn Disk>, now: Timestamp) -> Checkpoint {
        Checkpoint { disk, due: now.plus_nanos(INTERVAL_NS), written: Seq(0), writer: None }
    }

    /// Brings a fresh correlator to where the checkpoint was written; returns up to where that is, at most `mark`.
    /// `None` where there is none that can be used.
    pub fn restore(&mut self, correlator: &mut Correlator, mark: Seq) -> Option<Seq> {
        let ignored = |reason: &str| {
            warn!(reason, "checkpoint of correlations ignored; rebuilt from events");
            None
        };
        let bytes = match state::read(&*self.disk, PATH, FILE_BYTES_MAX) {
            Ok(bytes) => bytes?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return ignored(&error.to_string()),
            Err(error) => {
                warn!(%error, "checkpoint of correlations not read; rebuilt from events");
                return None;
            }
        };
        let Some((head, state)) = bytes.split_first_chunk() else { return ignored("too short") };
        let known = Seq(u64::from_le_bytes(*head));
        if mark < known {
            return ignored("past the mark");
        }
        if let Err(error) = correlator.restore(state) {
            return ignored(&error.to_string());
        }
        info!(seq = known.0, hits = correlator.hit_count(), "correlations go on from their checkpoint");
        self.written = known;
        Some(known)
    }

    /// Whether it is time for the next one; it is to be written after the mark.
    pub fn is_due(&self, now: Timestamp) -> bool {
        // Also where the clock was set back.
        let is_time = self.due <= now || now.plus_nanos(INTERVAL_NS) < self.due;
        is_time && self.writer.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Writes it on a thread of its own. The correlator has looked at everything up to `marked` and nothing after.
    pub fn write(&mut self, now: Timestamp, correlator: &Correlator, marked: Seq) {
        self.due = now.plus_nanos(INTERVAL_NS);
        self.join();
        if marked == self.written {
            return;
        }
        self.written = marked;
        let (disk, bytes) = (self.disk.clone(), whole(correlator, marked));
        let write = move || say(state::keep(&*disk, PATH, &bytes));
        match std::thread::Builder::new().name("checkpoint".to_owned()).spawn(write) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => warn!(%error, "checkpoint of correlations not written"),
        }
    }

    /// Writes it and waits until it is there.
    pub fn write_last(&mut self, now: Timestamp, correlator: &Correlator, marked: Seq) {
        self.write(now, correlator, marked);
        self.join();
    }

    fn join(&mut self) {
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            warn!("the thread that writes checkpoints panicked");
        }
    }
}

fn whole(correlator: &Correlator, marked: Seq) -> Vec<u8> {
    let mut bytes = marked.0.to_le_bytes().to_vec();
    bytes.extend(correlator.encode());
    bytes
}

fn say(written: io::Result<()>) {
    if let Err(error) = written {
        warn!(%error, "checkpoint of correlations not written");
    }
}
