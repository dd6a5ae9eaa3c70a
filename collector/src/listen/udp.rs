//! Syslog over UDP (RFC 5426): one datagram, one record.
//!
//! In: a bound socket. Out: batches of what has arrived, at once and at most [`BATCH_RECORDS_MAX`] each.
//! Overload: when the channel is full the datagrams are dropped and counted; what the kernel drops before
//! us is not seen here, so its buffer is asked to be large. Failure: only a broken socket ends it.

use std::net::SocketAddr;
use std::sync::Arc;

use nhatle_event::{Clock, Record};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::error::TrySendError;

use super::{BATCH_RECORDS_MAX, Batch, Counts, ListenError, SharedCounts, Sink, sizes};
use crate::frame::{Origin, trim_frame};

/// The largest payload of a datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// The receive buffer asked of the kernel; it gives what `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 64 << 20;

/// A socket with a large buffer, which is all that stands between a burst and its loss.
pub(super) async fn bind(address: SocketAddr) -> Result<UdpSocket, ListenError> {
    let bind_error = |source| ListenError::Bind { address, source };
    let socket = UdpSocket::bind(address).await.map_err(bind_error)?;
    let reference = socket2::SockRef::from(&socket);
    let mut bytes = RECEIVE_BUFFER_BYTES;
    // Linux caps what is asked by itself; other systems refuse, so ask for less.
    while reference.set_recv_buffer_size(bytes).is_err() && bytes > 1 << 16 {
        bytes /= 2;
    }
    Ok(socket)
}

/// A bound UDP input.
pub struct UdpInput {
    socket: UdpSocket,
    origin: Origin,
    record_bytes_max: usize,
    counts: SharedCounts,
}

impl UdpInput {
    /// Binds `address`. `origin` is what its records share; the peer is set from each datagram.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(address: SocketAddr, origin: Origin, record_bytes_max: usize) -> Result<UdpInput, ListenError> {
        let socket = bind(address).await?;
        Ok(UdpInput { socket, origin, record_bytes_max: record_bytes_max.max(1), counts: SharedCounts::default() })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Its counts, shared.
    pub fn counts(&self) -> SharedCounts {
        Arc::clone(&self.counts)
    }

    /// Receives until the channel closes. Dropping the future stops it between two datagrams.
    ///
    /// # Errors
    /// The socket broke.
    pub async fn run(self, sink: Sink, clock: Arc<dyn Clock>) -> Result<(), ListenError> {
        let mut buffer = vec![0u8; DATAGRAM_BYTES_MAX];
        loop {
            let mut records = Vec::new();
            let first = self.socket.recv_from(&mut buffer).await;
            self.keep(&buffer, first, clock.as_ref(), &mut records)?;
            while records.len() < BATCH_RECORDS_MAX {
                match self.socket.try_recv_from(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    received => self.keep(&buffer, received, clock.as_ref(), &mut records)?,
                }
            }
            if records.is_empty() {
                continue;
            }
            let sizes = sizes(&records);
            match sink.try_send(Batch { records, done: None, keep: Vec::new() }) {
                Ok(()) => self.counts.add_received(sizes),
                Err(TrySendError::Full(_)) => Counts::add(&self.counts.dropped, sizes.0),
                Err(TrySendError::Closed(_)) => {
                    Counts::add(&self.counts.dropped, sizes.0);
                    return Ok(());
                }
            }
        }
    }

    fn keep(
        &self,
        buffer: &[u8],
        received: std::io::Result<(usize, SocketAddr)>,
        clock: &dyn Clock,
        records: &mut Vec<Record>,
    ) -> Result<(), ListenError> {
        let (length, peer) = match received {
            Ok(received) => received,
            // An earlier answer of ours was refused (ICMP); says nothing about this socket.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Ok(()),
            Err(source) => return Err(ListenError::Socket { input: self.origin.input.to_string(), source }),
        };
        let bytes = trim_frame(buffer.get(..length).unwrap_or(buffer));
        let kept = bytes.get(..self.record_bytes_max).unwrap_or(bytes);
        if !kept.is_empty() {
            let mut record = self.origin.record(kept, clock.now(), kept.len() < bytes.len());
            record.peer = Some(peer.ip().to_canonical());
            Counts::add(&self.counts.skipped_bytes, bytes.len() - kept.len());
            records.push(record);
        }
        Ok(())
    }
}
