//! The ways bytes arrive, and the one way they go on: batches through a bounded queue that is fair between senders.
//!
//! In: sockets, HTTP pushes, files. Out: [`Batch`]es of records to whoever holds the queue's other end.
//! Failure: an input that cannot start is a [`ListenError`]; bad data never stops an input.
//!
//! Backpressure, when a sender has its share of the queue ([`fair`]):
//! - UDP drops the sender's datagrams and counts them; nothing can make it wait.
//! - TCP stops reading its connections; the sender's socket fills and the sender waits.
//! - RELP stops reading likewise, and answers nothing that is not durable.
//! - HTTP answers 429 with `Retry-After` to that token; it comes again.
//! - A file is simply read later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nhatle_event::Record;
use tokio::sync::oneshot;

pub mod datagram;
pub mod stream;
mod read_out;
pub mod tls;
pub mod frame_room;
mod syslog;
mod relp;
mod gelf;
mod netflow;
pub mod http;
pub mod serve;
pub mod lines;
pub mod misnamed;
pub mod file;
mod walk;
pub mod tail;
mod tail_file;
pub mod journald;
pub mod journal_export;
pub mod evtx_folder;
pub mod blocks;
pub mod zip;
pub mod fair;
mod packed;
pub mod queue;
mod shed;
pub mod resend;

#[cfg(test)]
mod blocks_tests;
#[cfg(test)]
mod fair_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tail_tests;
#[cfg(test)]
mod evtx_folder_tests;
#[cfg(test)]
mod zip_tests;

pub use queue::{Intake, Sink, channel};

/// How many records there are, and how many of them were cut.
fn sizes(records: &[Record]) -> (usize, usize) {
    (records.len(), records.iter().filter(|record| record.is_truncated).count())
}

/// How many records a socket puts into one batch at most.
pub const BATCH_RECORDS_MAX: usize = 1024;

/// Records that go on together.
#[derive(Debug)]
pub struct Batch {
    /// The records, in the order they came.
    pub records: Vec<Record>,
    /// Who waits until they are durable; `None` where nobody can be told.
    pub done: Option<oneshot::Sender<Result<Receipt, Refusal>>>,
    /// What becomes durable together with the records: up to where their input or sender has come.
    pub keep: Vec<Keep>,
    /// By which push or session they came, where the protocol answers and its records carry no ids.
    pub delivery: Option<Arc<resend::Delivery>>,
}

impl Batch {
    /// Records that nobody waits for.
    pub fn of(records: Vec<Record>) -> Batch {
        Batch { records, done: None, keep: Vec::new(), delivery: None }
    }
}

/// A place that is kept: the offset of a file, the cursor of a journal, the number of a forwarder. It is written in the
/// same batch as the records it speaks of, so that after a crash it says neither more nor less than what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Whose place: the kind of input, a slash, its name. At most [`KEEP_KEY_BYTES_MAX`] bytes.
    pub key: String,
    /// The place, as its owner writes it; empty = forget it. At most [`KEEP_VALUE_BYTES_MAX`] bytes.
    pub value: String,
}

/// How long the name of a kept place may be.
pub const KEEP_KEY_BYTES_MAX: usize = 1024;
/// How long a kept place may be.
pub const KEEP_VALUE_BYTES_MAX: usize = 256 << 10;

/// Finds a kept place by its key, for an input that starts.
pub type Kept = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What became of a batch, once it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Records stored as events.
    pub accepted: u64,
    /// Records stored as dead letters.
    pub dead_lettered: u64,
    /// Which records of the batch were stored before and are not stored again, by their place, rising.
    pub repeats: Vec<u32>,
    /// The sender has sent all of it again because it heard no answer: it is answered as it would have been then.
    pub is_resent: bool,
}

impl Receipt {
    /// How many records were stored before and are not stored again.
    pub fn duplicate(&self) -> u64 {
        u64::try_from(self.repeats.len()).unwrap_or(u64::MAX)
    }
}

/// Why a batch is not durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No room; the sender should come again after so many seconds.
    #[error("the store is full for now")]
    Busy {
        /// How long to wait.
        retry_after_s: u32,
    },
    /// Writing went wrong; the text is for the log and the operator.
    #[error("the store could not write: {reason}")]
    Store {
        /// What went wrong.
        reason: String,
    },
}

/// Why an input could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The socket broke while it was used.
    #[error("input {input} broke")]
    Socket {
        /// The input's name.
        input: String,
        /// Why.
        source: std::io::Error,
    },
}

/// How long an input that can wait does so after the store could not write.
const STORE_RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// Hands records on until they are durable together with their places, however often that takes. False once the
/// channel has closed.
async fn deliver(sink: &Sink, records: Vec<Record>, keep: Vec<Keep>) -> bool {
    loop {
        let (done, receipt) = oneshot::channel();
        let batch = Batch { done: Some(done), keep: keep.clone(), ..Batch::of(records.clone()) };
        if sink.send(batch).await.is_err() {
            return false;
        }
        let pause = match receipt.await {
            Ok(Ok(_)) => return true,
            Ok(Err(Refusal::Busy { retry_after_s })) => std::time::Duration::from_secs(u64::from(retry_after_s)),
            Ok(Err(Refusal::Store { reason })) => {
                tracing::warn!(reason, "records not stored; they are handed on again");
                STORE_RETRY
            }
            Err(_closed) => return false,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = sink.closed() => return false,
        }
    }
}

/// Counts of one input, read by whoever reports them. `received` = handed on; what is dropped is counted
/// apart.
#[derive(Debug, Default)]
pub struct Counts {
    received: AtomicU64,
    dropped: AtomicU64,
    kernel_dropped: AtomicU64,
    truncated: AtomicU64,
    skipped_bytes: AtomicU64,
    connections: AtomicU64,
    open_connections: AtomicU64,
    refused_connections: AtomicU64,
}

/// A reading of [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Records handed on.
    pub received: u64,
    /// Records dropped because their sender had no room (UDP), or the pipeline had ended.
    pub dropped: u64,
    /// Datagrams that the kernel dropped because its buffer was full.
    pub kernel_dropped: u64,
    /// Records cut at the limit.
    pub truncated: u64,
    /// Bytes that cutting left out.
    pub skipped_bytes: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open_connections: u64,
    /// Connections refused at the limit.
    pub refused_connections: u64,
}

impl Counts {
    /// The numbers as they are now.
    pub fn read(&self) -> Counted {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            received: load(&self.received),
            dropped: load(&self.dropped),
            kernel_dropped: load(&self.kernel_dropped),
            truncated: load(&self.truncated),
            skipped_bytes: load(&self.skipped_bytes),
            connections: load(&self.connections),
            open_connections: load(&self.open_connections),
            refused_connections: load(&self.refused_connections),
        }
    }

    fn add(count: &AtomicU64, number: usize) {
        count.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts records that were handed on: how many, and how many of them were cut.
    fn add_received(&self, (records, truncated): (usize, usize)) {
        Counts::add(&self.received, records);
        Counts::add(&self.truncated, truncated);
    }
}

/// Shared counts of an input.
pub type SharedCounts = Arc<Counts>;
