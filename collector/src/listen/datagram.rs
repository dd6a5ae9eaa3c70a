//! Inputs over UDP: binding, receiving, bounds and counts in one place. Syslog (RFC 5426): one datagram, one record;
//! GELF: [`super::gelf`]; flows: [`super::netflow`].
//!
//! In: bound sockets. Out: batches of what has arrived, at once and at most [`BATCH_RECORDS_MAX`] or about
//! [`BATCH_BYTES_MAX`] each.
//! Overload: what its sender has no room for is dropped and counted by sender ([`super::queue`]). What the kernel drops
//! before us is read from `/proc/net/udp`, whose `drops` column is the counter behind `SO_RXQ_OVFL`; it needs no
//! ancillary data, so no unsafe code and no call for each datagram. The kernel's buffer is asked to be large, and it is
//! said how large it is. Failure: only a broken socket ends it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nhatle_event::{Clock, Record, Timestamp};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::gelf::Assembly;
use super::netflow::Flows;
use super::queue::Unreceived;
use super::{BATCH_RECORDS_MAX, Counts, ListenError, SharedCounts, Sink, gelf, netflow};
use crate::frame::{Origin, trim_frame};

/// The largest payload of a datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// The receive buffer asked of the kernel; it gives what `net.core.rmem_max` allows, or this to whoever may pass that.
const RECEIVE_BUFFER_BYTES: usize = 64 << 20;
/// How often the kernel's count of dropped datagrams is read.
const DROPS_INTERVAL: Duration = Duration::from_secs(1);
/// A batch with so many bytes is handed on: the queue bounds batches by what they weigh.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How many batches are taken from a buffer at the end.
const DRAIN_BATCHES_MAX: usize = 256;
/// How many sockets one address may have.
pub const SOCKETS_MAX: usize = 16;

/// What datagrams carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A line of syslog each.
    Syslog,
    /// GELF, whole or in chunks.
    Gelf,
    /// NetFlow v5, v9 and IPFIX: flows, each a record.
    Netflow,
}

/// A bound input over UDP.
pub struct DatagramInput {
    sockets: Vec<UdpSocket>,
    receive_buffer_bytes: usize,
    protocol: Protocol,
    origin: Origin,
    record_bytes_max: watch::Receiver<usize>,
    counts: SharedCounts,
}

impl DatagramInput {
    /// Binds `address` with so many sockets, between which the kernel spreads senders (`SO_REUSEPORT`). `origin` is what
    /// its records share; the peer is set from each datagram.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        socket_count: usize,
        protocol: Protocol,
        origin: Origin,
        record_bytes_max: watch::Receiver<usize>,
    ) -> Result<DatagramInput, ListenError> {
        // GELF's chunks of one message must meet, and flows their templates, so they go to one socket.
        let count = if protocol == Protocol::Syslog { socket_count.clamp(1, SOCKETS_MAX) } else { 1 };
        let first = bind(address, 1 < count).map_err(|source| ListenError::Bind { address, source })?;
        // Port 0 is a free one; the others join it.
        let bound = first.local_addr().map_err(|source| ListenError::Bind { address, source })?;
        let receive_buffer_bytes = socket2::SockRef::from(&first).recv_buffer_size().unwrap_or(0);
        let mut sockets = vec![first];
        for _ in 1..count {
            sockets.push(bind(bound, true).map_err(|source| ListenError::Bind { address, source })?);
        }
        let origin = match protocol {
            Protocol::Syslog => origin,
            Protocol::Gelf => gelf::origin(origin),
            Protocol::Netflow => netflow::origin(origin),
        };
        let counts = SharedCounts::default();
        // Linux says twice what it uses for data.
        tracing::info!(
            input = %origin.input, asked_bytes = RECEIVE_BUFFER_BYTES, granted_bytes = receive_buffer_bytes / 2, sockets = count,
            "receive buffer; without CAP_NET_ADMIN net.core.rmem_max bounds it"
        );
        Ok(DatagramInput { sockets, receive_buffer_bytes, protocol, origin, record_bytes_max, counts })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.sockets.first().map_or_else(|| Err(std::io::ErrorKind::NotConnected.into()), UdpSocket::local_addr)
    }

    /// Its counts, shared.
    pub fn counts(&self) -> SharedCounts {
        Arc::clone(&self.counts)
    }

    /// How large the kernel's buffer of each socket is, as the kernel says it.
    pub fn receive_buffer_bytes(&self) -> usize {
        self.receive_buffer_bytes
    }

    /// Receives until the pipeline ends or `stop` does (true, or its sender is gone); what has arrived by then is still
    /// taken. Dropping the future stops it between two datagrams.
    ///
    /// # Errors
    /// The socket broke.
    pub async fn run(self, sink: Sink, clock: Arc<dyn Clock>, stop: watch::Receiver<bool>) -> Result<(), ListenError> {
        let mut sockets = JoinSet::new();
        for socket in self.sockets {
            let receiver = Receiver {
                drops: Drops::of(&socket),
                socket,
                assembly: (self.protocol == Protocol::Gelf).then(Assembly::default),
                flows: (self.protocol == Protocol::Netflow).then(Flows::default),
                origin: self.origin.clone(),
                record_bytes_max: self.record_bytes_max.clone(),
                counts: Arc::clone(&self.counts),
                sink: sink.clone(),
                clock: Arc::clone(&clock),
            };
            sockets.spawn(receiver.run(stop.clone()));
        }
        while let Some(ended) = sockets.join_next().await {
            // A task that panicked is like a socket that broke; there is no data that makes it.
            ended.unwrap_or_else(|error| {
                let input = self.origin.input.to_string();
                Err(ListenError::Socket { input, source: std::io::Error::other(error) })
            })?;
        }
        Ok(())
    }
}

/// A socket with a large buffer, which is all that stands between a burst and its loss.
fn bind(address: SocketAddr, is_shared: bool) -> std::io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    let mut bytes = RECEIVE_BUFFER_BYTES;
    // Linux caps what is asked by itself; other systems refuse, so ask for less.
    while !is_forced(&socket, bytes) && socket.set_recv_buffer_size(bytes).is_err() && bytes > 1 << 16 {
        bytes /= 2;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Gives a socket this buffer whatever `net.core.rmem_max` says, which a process with `CAP_NET_ADMIN` may.
#[cfg(target_os = "linux")]
fn is_forced(socket: &socket2::Socket, bytes: usize) -> bool {
    rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn is_forced(_socket: &socket2::Socket, _bytes: usize) -> bool {
    false
}

/// What is handed on together.
#[derive(Default)]
struct Taken {
    records: Vec<Record>,
    bytes: usize,
}

impl Taken {
    fn is_full(&self) -> bool {
        BATCH_RECORDS_MAX <= self.records.len() || BATCH_BYTES_MAX <= self.bytes
    }
}

/// One socket at work.
struct Receiver {
    socket: UdpSocket,
    drops: Drops,
    /// Chunks of GELF; `None` for others.
    assembly: Option<Assembly>,
    /// Templates of flows; `None` for others.
    flows: Option<Flows>,
    origin: Origin,
    record_bytes_max: watch::Receiver<usize>,
    counts: SharedCounts,
    sink: Sink,
    clock: Arc<dyn Clock>,
}

impl Receiver {
    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), ListenError> {
        let mut buffer = vec![0u8; DATAGRAM_BYTES_MAX];
        let mut look = tokio::time::interval(DROPS_INTERVAL);
        // After a standstill the buffer is full, and one look tells as much as many.
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let first = tokio::select! {
                biased;
                _ = look.tick() => {
                    self.say_unreceived(self.clock.now());
                    self.give_up_flows(Flows::expired);
                    continue;
                }
                _ = stop.wait_for(|is_stopping| *is_stopping) => break,
                () = self.sink.closed() => return Ok(()),
                first = self.socket.recv_from(&mut buffer) => first,
            };
            let mut taken = Taken::default();
            let mut goes_on = self.keep(&buffer, first, &mut taken);
            while matches!(goes_on, Ok(true)) && !taken.is_full() {
                let received = self.socket.try_recv_from(&mut buffer);
                goes_on = self.keep(&buffer, received, &mut taken);
            }
            self.hand_on(taken);
            goes_on?;
        }
        self.drain(&mut buffer)?;
        self.give_up_flows(|flows, _now| flows.ended());
        self.say_unreceived(Timestamp(i64::MAX));
        Ok(())
    }

    /// Says what the kernel dropped, and which numbers of exporters never came.
    fn say_unreceived(&mut self, now: Timestamp) {
        let datagrams = self.drops.count(&self.counts);
        if 0 < datagrams {
            self.sink.miss(Unreceived::Kernel { input: self.origin.input.clone(), datagrams });
        }
        let received = self.clock.now();
        for gap in self.flows.iter_mut().flat_map(|flows| flows.missing(now)) {
            let mut sample = self.origin.record(&[], received, false);
            sample.peer = Some(gap.exporter);
            self.sink.miss(Unreceived::Numbers { first: gap.first, last: gap.last, sample });
        }
    }

    /// Hands on the flows that have waited for their template too long, or to the end.
    fn give_up_flows(&mut self, which: impl Fn(&mut Flows, Timestamp) -> Vec<netflow::Flow>) {
        let now = self.clock.now();
        let Some(flows) = &mut self.flows else { return };
        let mut taken = Taken::default();
        for (peer, flow) in which(flows, now) {
            self.keep_bytes(flow.as_bytes(), peer, now, &mut taken);
        }
        self.hand_on(taken);
    }

    /// Takes what lies in the kernel's buffer: it came before the end. Asks the kernel, not the runtime, which may not
    /// have heard of it yet. Bounded by what a buffer holds, so that a flood does not keep it from ending.
    fn drain(&mut self, buffer: &mut [u8]) -> Result<(), ListenError> {
        let broken = |source| ListenError::Socket { input: self.origin.input.to_string(), source };
        let socket = std::net::UdpSocket::from(self.socket.as_fd().try_clone_to_owned().map_err(broken)?);
        for _ in 0..DRAIN_BATCHES_MAX {
            let mut taken = Taken::default();
            let mut goes_on = Ok(true);
            while matches!(goes_on, Ok(true)) && !taken.is_full() {
                let received = socket.recv_from(buffer);
                goes_on = self.keep(buffer, received, &mut taken);
            }
            self.hand_on(taken);
            if !goes_on? {
                break;
            }
        }
        Ok(())
    }

    fn hand_on(&self, taken: Taken) {
        if taken.records.is_empty() {
            return;
        }
        let (taken, cut, dropped) = self.sink.offer(taken.records);
        self.counts.add_received((taken, cut));
        Counts::add(&self.counts.dropped, dropped);
    }

    /// Keeps a datagram; `false` where there was none.
    fn keep(
        &mut self,
        buffer: &[u8],
        received: std::io::Result<(usize, SocketAddr)>,
        taken: &mut Taken,
    ) -> Result<bool, ListenError> {
        let (length, peer) = match received {
            Ok(received) => received,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            // An earlier answer of ours was refused (ICMP); says nothing about this socket.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Ok(true),
            Err(source) => return Err(ListenError::Socket { input: self.origin.input.to_string(), source }),
        };
        let datagram = buffer.get(..length).unwrap_or(buffer);
        let (peer, now) = (peer.ip().to_canonical(), self.clock.now());
        if let Some(flows) = &mut self.flows {
            for (peer, flow) in flows.push(peer, datagram, now) {
                self.keep_bytes(flow.as_bytes(), peer, now, taken);
            }
            return Ok(true);
        }
        let whole;
        let message = match &mut self.assembly {
            None => datagram,
            Some(assembly) => {
                let bytes_max = (*self.record_bytes_max.borrow()).max(1);
                let (message, lost) = assembly.push(peer, datagram, now, bytes_max);
                Counts::add(&self.counts.dropped, lost);
                let Some(message) = message else { return Ok(true) };
                whole = message;
                &whole
            }
        };
        self.keep_bytes(trim_frame(message), peer, now, taken);
        Ok(true)
    }

    /// Makes a record of bytes, as far as the limit for one allows.
    fn keep_bytes(&self, bytes: &[u8], peer: IpAddr, now: Timestamp, taken: &mut Taken) {
        let bytes_max = (*self.record_bytes_max.borrow()).max(1);
        let kept = bytes.get(..bytes_max).unwrap_or(bytes);
        if !kept.is_empty() {
            let mut record = self.origin.record(kept, now, kept.len() < bytes.len());
            record.peer = Some(peer);
            Counts::add(&self.counts.skipped_bytes, bytes.len() - kept.len());
            taken.bytes += kept.len();
            taken.records.push(record);
        }
    }
}

/// The kernel's count of datagrams it dropped for want of room in one socket's buffer.
struct Drops {
    /// The socket's inode; `None` where the system does not tell.
    inode: Option<u64>,
    /// The counter as it was read last; it has 32 bits and may wrap.
    last: u32,
}

impl Drops {
    #[cfg(target_os = "linux")]
    fn of(socket: &UdpSocket) -> Drops {
        use std::os::fd::AsRawFd;
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok();
        let inode = link.as_ref().and_then(|link| inode_of(link.to_str()?));
        Drops { inode, last: 0 }
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_socket: &UdpSocket) -> Drops {
        Drops { inode: None, last: 0 }
    }

    /// Counts what was dropped since the last look, and gives it.
    fn count(&mut self, counts: &Counts) -> u64 {
        let Some(inode) = self.inode else { return 0 };
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
        let read = |path| drops_in(&std::fs::read_to_string(path).ok()?, inode);
        let Some(now) = tables.into_iter().find_map(read) else { return 0 };
        let dropped = u64::from(now.wrapping_sub(self.last));
        counts.kernel_dropped.fetch_add(dropped, Ordering::Relaxed);
        self.last = now;
        dropped
    }
}

/// The inode in what `/proc/self/fd/N` points to: `socket:[12345]`.
fn inode_of(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The last column (`drops`) of the row whose tenth is this inode (proc(5), `/proc/net/udp`).
fn drops_in(table: &str, inode: u64) -> Option<u32> {
    let row = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let found: u64 = columns.nth(9)?.parse().ok()?;
        (found == inode).then_some(())?;
        columns.last()?.parse().ok()
    };
    table.lines().find_map(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drops_of_a_socket_are_found_by_its_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
                     310: 0100007F:1586 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41870 2 0000000000000000 12\n  \
                     311: 0100007F:1587 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41871 2 0000000000000000 0\n";
        assert_eq!([41870, 41871, 7].map(|inode| drops_in(table, inode)), [Some(12), Some(0), None]);
        assert_eq!(
            (inode_of("socket:[41870]"), inode_of("pipe:[1]"), inode_of("socket:[]")),
            (Some(41870), None, None)
        );
    }
}
