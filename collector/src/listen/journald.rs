//! journald: the journal of a Linux host, through `journalctl --output=export --follow` as a child process.
//!
//! In: the child's output. Out: batches of RFC 5424 lines, each batch with the cursor behind it, which becomes durable
//! with the records: a restart goes on exactly there. Why a child: the export format is documented and stable, the files
//! are not read by anything but systemd's own library (C, linked dynamically, its features change by distribution), and
//! `journalctl` knows about rotation, vacuuming and compression. Why RFC 5424 lines: every parser of a Linux host reads
//! them as it reads rsyslog's; who sent a line, which only journald knows for sure, stands in its structured data.
//! Failure: a child that ends is started again after a pause, from the durable cursor; what it said goes to the log.
//! Source: systemd, "Journal Export Formats" (systemd.io/JOURNAL_EXPORT_FORMATS); systemd.journal-fields(7); RFC 5424.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nhatle_event::{Clock, Record};
use tokio::sync::mpsc;

use super::journal_export::{Entry, ExportReader};
use super::{BATCH_RECORDS_MAX, Keep, Kept, ListenError, Sink, deliver};
use crate::frame::Origin;

/// Under this key the cursor is kept.
const KEY: &str = "journald";
/// How many reads of the child's output wait.
const READS_MAX: usize = 4;
const READ_BYTES: usize = 64 << 10;
/// How long after its end the child is started again: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// So much of what the child says on standard error goes to the log.
const SAID_BYTES_MAX: u64 = 4096;

/// What to read, and what its records share.
#[derive(Clone, Debug)]
pub struct JournaldOptions {
    /// The program; `journalctl` is found on the path.
    pub program: PathBuf,
    /// Input name, unit.
    pub origin: Origin,
    /// A longer message is cut and marked.
    pub record_bytes_max: usize,
}

/// The journal being followed.
pub struct JournaldInput {
    options: JournaldOptions,
    cursor: Option<String>,
}

impl JournaldInput {
    /// Follows the journal from where it was left; the first time from the start of this boot.
    pub fn new(options: JournaldOptions, kept: &Kept) -> JournaldInput {
        JournaldInput { options, cursor: kept(KEY) }
    }

    /// Runs until the channel closes.
    ///
    /// # Errors
    /// Never today: a child that ends is started again.
    pub async fn run(mut self, sink: Sink, clock: Arc<dyn Clock>) -> Result<(), ListenError> {
        let mut pause = PAUSES.0;
        loop {
            let before = self.cursor.clone();
            match Following::start(&self.options.program, self.cursor.as_deref()) {
                Ok(following) => {
                    if !self.follow(following, &sink, &*clock).await {
                        return Ok(());
                    }
                }
                Err(error) => tracing::warn!(%error, program = %self.options.program.display(), "journal not read"),
            }
            pause = if self.cursor == before { (pause * 2).min(PAUSES.1) } else { PAUSES.0 };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = sink.closed() => return Ok(()),
            }
        }
    }

    /// Reads until the child ends. False once the channel has closed.
    async fn follow(&mut self, mut following: Following, sink: &Sink, clock: &dyn Clock) -> bool {
        let mut reader = ExportReader::new(self.options.record_bytes_max);
        let mut entries = Vec::new();
        loop {
            let read = tokio::select! {
                read = following.reads.recv() => read,
                () = sink.closed() => return false,
            };
            let Some(read) = read else { return true };
            reader.push(&read, &mut entries);
            while entries.len() < BATCH_RECORDS_MAX
                && let Ok(read) = following.reads.try_recv()
            {
                reader.push(&read, &mut entries);
            }
            let now = clock.now();
            let record = |entry: &Entry| -> Record {
                let mut record = self.options.origin.record(&entry.line(now), now, entry.is_cut);
                record.peer = None;
                record
            };
            let records: Vec<Record> = entries.iter().map(record).collect();
            let Some(cursor) = entries.drain(..).filter_map(|entry| entry.cursor).next_back() else { continue };
            let keep = vec![Keep { key: KEY.to_owned(), value: cursor.clone() }];
            if !deliver(sink, records, keep).await {
                return false;
            }
            self.cursor = Some(cursor);
        }
    }
}

/// A running child. Dropping it ends the child.
struct Following {
    child: Child,
    reads: mpsc::Receiver<Vec<u8>>,
}

impl Following {
    fn start(program: &PathBuf, cursor: Option<&str>) -> std::io::Result<Following> {
        let mut command = Command::new(program);
        command.args(["--output=export", "--follow", "--no-tail", "--no-pager", "--quiet"]);
        match cursor {
            Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
            None => command.arg("--boot"),
        };
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C").spawn()?;
        let (to_reader, reads) = mpsc::channel(READS_MAX);
        if let Some(mut output) = child.stdout.take() {
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
                let mut buffer = vec![0; READ_BYTES];
                while let Ok(length) = output.read(&mut buffer)
                    && length > 0
                    && to_reader.blocking_send(buffer[..length].to_vec()).is_ok()
                {}
            })?;
        }
        if let Some(errors) = child.stderr.take() {
            std::thread::Builder::new().name("journal-errors".to_owned()).spawn(move || {
                let mut said = String::new();
                // What is no text is no reason to stop reading.
                drop(errors.take(SAID_BYTES_MAX).read_to_string(&mut said));
                if !said.trim().is_empty() {
                    tracing::warn!(said = said.trim(), "journalctl ended or complains");
                }
            })?;
        }
        Ok(Following { child, reads })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
