//! Syslog over TCP (RFC 6587): a connection is a byte stream, cut into records by its own [`Framer`].
//!
//! In: a bound listener. Out: batches, one for each read. Overload: a full channel stops the reading of
//! that connection, so its sender waits. Bounds: connections, idle time, bytes of a record. An unfinished
//! frame at the end of a connection is its last record. Failure: only a broken listener ends the input;
//! a broken connection ends by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nhatle_event::Clock;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Batch, Counts, ListenError, SharedCounts, Sink, sizes};
use crate::frame::{Framer, Origin, RECORD_BYTES_MAX};

/// How many bytes one read takes at most.
const READ_BYTES: usize = 64 << 10;
/// How long to wait after the system could not accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of a TCP input.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// How many connections at once; more are closed at once and counted.
    pub connections_max: usize,
    /// A connection that sends nothing for so long is closed.
    pub idle: Duration,
    /// A frame begun must go on within so long, else what there is of it is a record and the connection
    /// is closed: a sender that trickles cannot hold memory.
    pub frame: Duration,
    /// How many bytes of one record are kept.
    pub record_bytes_max: usize,
}

impl Default for TcpLimits {
    fn default() -> TcpLimits {
        TcpLimits {
            connections_max: 4096,
            idle: Duration::from_secs(3600),
            frame: Duration::from_secs(60),
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }
}

/// A bound TCP input.
pub struct TcpInput {
    listener: TcpListener,
    origin: Origin,
    limits: TcpLimits,
    counts: SharedCounts,
}

impl TcpInput {
    /// Binds `address`. `origin` is what its records share; the peer is set from each connection.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(address: SocketAddr, origin: Origin, limits: TcpLimits) -> Result<TcpInput, ListenError> {
        let listener = TcpListener::bind(address).await.map_err(|source| ListenError::Bind { address, source })?;
        Ok(TcpInput { listener, origin, limits, counts: SharedCounts::default() })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Its counts, shared.
    pub fn counts(&self) -> SharedCounts {
        Arc::clone(&self.counts)
    }

    /// Accepts until the channel closes. Dropping the future stops accepting and ends its connections.
    ///
    /// # Errors
    /// Never today: a listener that cannot accept now is asked again.
    pub async fn run(self, sink: Sink, clock: Arc<dyn Clock>) -> Result<(), ListenError> {
        let counts = Arc::clone(&self.counts);
        let (limits, origin) = (self.limits, self.origin);
        let closed = sink.clone();
        let serve = move |stream: TcpStream, origin: Origin| {
            let connection = Connection {
                framer: Framer::new(origin, limits.record_bytes_max),
                limits,
                counts: Arc::clone(&self.counts),
                sink: sink.clone(),
                clock: Arc::clone(&clock),
            };
            connection.run(stream)
        };
        accept(self.listener, &origin, limits.connections_max, &counts, &closed, serve).await;
        Ok(())
    }
}

/// Accepts connections, at most so many at once, and serves each until it ends. Ends when the sink has closed;
/// that, and dropping it, ends its connections.
pub(super) async fn accept<F>(
    listener: TcpListener,
    origin: &Origin,
    connections_max: usize,
    counts: &SharedCounts,
    sink: &Sink,
    serve: impl Fn(TcpStream, Origin) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(connections_max.max(1)));
    // Aborts its tasks when dropped, so that no connection outlives the input.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sink.closed() => return,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(input = %origin.input, error = %error, "cannot accept a connection now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            Counts::add(&counts.refused_connections, 1);
            continue;
        };
        Counts::add(&counts.connections, 1);
        let mut origin = origin.clone();
        origin.peer = Some(peer.ip().to_canonical());
        let connection = serve(stream, origin);
        connections.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
}

struct Connection {
    framer: Framer,
    limits: TcpLimits,
    counts: SharedCounts,
    sink: Sink,
    clock: Arc<dyn Clock>,
}

impl Connection {
    async fn run(mut self, mut stream: TcpStream) {
        let mut buffer = vec![0u8; READ_BYTES];
        let mut skipped_bytes = 0;
        loop {
            let patience = if self.framer.is_inside_frame() { self.limits.frame } else { self.limits.idle };
            let read = match tokio::time::timeout(patience, stream.read(&mut buffer)).await {
                Ok(Ok(length)) => length,
                // Broken or silent: like an end.
                Ok(Err(_)) | Err(_) => 0,
            };
            let mut records = Vec::new();
            let now = self.clock.now();
            match buffer.get(..read).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => self.framer.push(bytes, now, &mut records),
                None => self.framer.finish(now, &mut records),
            }
            let skipped = self.framer.skipped_bytes();
            Counts::add(&self.counts.skipped_bytes, usize::try_from(skipped - skipped_bytes).unwrap_or(usize::MAX));
            skipped_bytes = skipped;
            if !records.is_empty() {
                let sizes = sizes(&records);
                if self.sink.send(Batch { records, done: None, keep: Vec::new() }).await.is_err() {
                    Counts::add(&self.counts.dropped, sizes.0);
                    return;
                }
                self.counts.add_received(sizes);
            }
            if read == 0 {
                return;
            }
        }
    }
}
