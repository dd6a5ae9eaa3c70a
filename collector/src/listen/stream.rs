//! Inputs over TCP: binding, accepting, bounds and counts in one place; what a connection says is its protocol's.
//!
//! In: a bound listener. Out: batches by each connection's own task. Behind a [`Door`] a connection comes in by TLS, or by a
//! balancer, and the certificate its sender shows fixes source and unit (RFC 5425 is syslog behind such a door). Bounds: connections at once, idle time, time for a
//! frame, bytes of a record, and what all unfinished frames hold ([`super::frame_room`]). They may change while it runs and hold for connections that come then. Told to stop, an
//! input accepts nothing more and serves the connections it has to their end; told that they end too
//! ([`StreamInput::ending_by`]), it reads what had come of each. Overload: [`super`].
//! Failure: only a broken listener ends the input; a broken connection ends by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nhatle_event::Clock;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::fair::Sender;
use super::read_out::ReadOut;
use super::tls::door::{AddressCounts, Door};
use super::{Counts, ListenError, SharedCounts, Sink, gelf, relp, syslog};
use crate::frame::{Framer, Origin, RECORD_BYTES_MAX};

/// How long to wait after the system could not accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Syslog, framed by count or line (RFC 6587).
    Syslog,
    /// RELP, answered when durable.
    Relp,
    /// GELF, ended by zero bytes.
    Gelf,
}

/// The bounds of an input over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections at once; more are closed at once and counted.
    pub connections_max: usize,
    /// A connection that sends nothing for so long is closed; one that waits for answers is not.
    pub idle: Duration,
    /// A frame begun must go on within so long, else what there is of it is a record and the connection
    /// is closed: a sender that trickles cannot hold memory.
    pub frame: Duration,
    /// How many bytes of one record are kept. RELP closes the session of a longer one: cutting it would acknowledge
    /// what is not kept.
    pub record_bytes_max: usize,
    /// How many messages may be unanswered (RELP).
    pub window: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 4096,
            idle: Duration::from_secs(3600),
            frame: Duration::from_secs(60),
            record_bytes_max: RECORD_BYTES_MAX,
            window: 16_384,
        }
    }
}

/// A bound input over TCP.
pub struct StreamInput {
    listener: TcpListener,
    protocol: Protocol,
    origin: Origin,
    limits: watch::Receiver<Limits>,
    counts: SharedCounts,
    by_address: AddressCounts,
    door: Option<Arc<Door>>,
    ends: Option<watch::Receiver<bool>>,
}

/// What serving a connection needs besides its bytes.
pub(super) struct Connection {
    /// What its records share.
    pub origin: Origin,
    /// Whose queue they go into.
    pub sender: Sender,
    pub limits: Limits,
    pub counts: SharedCounts,
    pub sink: Sink,
    pub clock: Arc<dyn Clock>,
}

impl StreamInput {
    /// Binds `address`. `origin` is what its records share; the peer is set from each connection.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        protocol: Protocol,
        origin: Origin,
        limits: watch::Receiver<Limits>,
    ) -> Result<StreamInput, ListenError> {
        let listener = TcpListener::bind(address).await.map_err(|source| ListenError::Bind { address, source })?;
        let origin = if protocol == Protocol::Gelf { gelf::origin(origin) } else { origin };
        let (counts, by_address) = (SharedCounts::default(), AddressCounts::default());
        Ok(StreamInput { listener, protocol, origin, limits, counts, by_address, door: None, ends: None })
    }

    /// When `ends` is true (or its sender is gone), each connection ends where what had come of it is read.
    #[must_use]
    pub fn ending_by(self, ends: watch::Receiver<bool>) -> StreamInput {
        StreamInput { ends: Some(ends), ..self }
    }

    /// Connections come in by this door.
    #[must_use]
    pub fn behind(self, door: Arc<Door>) -> StreamInput {
        StreamInput { door: Some(door), ..self }
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

    /// Accepts until the pipeline ends or `stop` does (true, or its sender is gone); then its connections are served to
    /// their end. Dropping the future ends them at once.
    ///
    /// # Errors
    /// Never today: a listener that cannot accept now is asked again.
    pub async fn run(
        self,
        sink: Sink,
        clock: Arc<dyn Clock>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ListenError> {
        // Aborts its tasks when dropped, so that no connection outlives the input.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = sink.closed() => return Ok(()),
                _ = stop.wait_for(|is_stopping| *is_stopping) => break,
            };
            while connections.try_join_next().is_some() {}
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(input = %self.origin.input, error = %error, "cannot accept a connection now");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let limits = *self.limits.borrow();
            let peer = peer.ip().to_canonical();
            let is_balancer = self.door.as_ref().is_some_and(|door| door.is_balancer(peer));
            let share = if is_balancer { usize::MAX } else { share_of(limits.connections_max) };
            let open = Open::new(&self.counts, limits.connections_max);
            let (Some(held), Some(open)) = (self.by_address.hold(peer, share), open) else {
                Counts::add(&self.counts.refused_connections, 1);
                continue;
            };
            Counts::add(&self.counts.connections, 1);
            let connection = Connection {
                origin: Origin { peer: Some(peer), ..self.origin.clone() },
                sender: Sender::Peer(peer),
                limits,
                counts: Arc::clone(&self.counts),
                sink: sink.clone(),
                clock: Arc::clone(&clock),
            };
            let (protocol, door, ends) = (self.protocol, self.door.clone(), self.ends.clone());
            connections.spawn(async move {
                match door {
                    None => serve(protocol, connection, ReadOut::new(stream, ends)).await,
                    Some(door) => serve_behind(&door, protocol, connection, stream, ends).await,
                }
                drop((open, held));
            });
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

/// How many connections one address may hold: some are always left for others.
fn share_of(connections_max: usize) -> usize {
    connections_max.max(1).saturating_mul(3).div_ceil(4)
}

/// A connection counted as open for as long as this is held.
struct Open(SharedCounts);

impl Open {
    /// `None` where so many are open already.
    fn new(counts: &SharedCounts, connections_max: usize) -> Option<Open> {
        let most = u64::try_from(connections_max.max(1)).unwrap_or(u64::MAX);
        if most <= counts.open_connections.fetch_add(1, Ordering::Relaxed) {
            counts.open_connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Open(Arc::clone(counts)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves whoever the door lets in, by the name it proved there.
async fn serve_behind(
    door: &Door,
    protocol: Protocol,
    connection: Connection,
    stream: TcpStream,
    ends: Option<watch::Receiver<bool>>,
) {
    let Some(peer) = connection.origin.peer else { return };
    let Some(mut entered) = door.enter(stream, peer).await else { return };
    let mut origin = Origin { peer: Some(entered.peer), ..connection.origin };
    if let Some(identity) = entered.identity {
        origin.source = Some(identity.name);
        origin.unit = identity.unit.or(origin.unit);
    }
    let sender = Sender::of(origin.source.as_deref(), origin.peer, &origin.input);
    serve(protocol, Connection { origin, sender, ..connection }, ReadOut::new(&mut entered.stream, ends)).await;
    // TLS says goodbye; whoever does not listen is left.
    drop(tokio::time::timeout(FAREWELL, entered.stream.shutdown()).await);
}

async fn serve(protocol: Protocol, connection: Connection, stream: impl Bytes) {
    match protocol {
        Protocol::Syslog => syslog::serve(connection, stream, Framer::new).await,
        Protocol::Relp => relp::serve(connection, stream).await,
        Protocol::Gelf => syslog::serve(connection, stream, Framer::to_zero).await,
    }
}

/// A stream of bytes both ways: TCP, or TLS over it.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}
