//! The inputs of a server that are sockets of their own: bound, started, and changed while the server runs.
//!
//! In: the configuration. Out: running tasks that hand batches to the pipeline, the addresses they listen on and what
//! they counted. A change keeps every input whose address stays, with its connections; an input that goes accepts
//! nothing more and serves the connections it has to their end. Limits hold for connections that come later.
//! Failure: an address that is taken or not ours, before anything is started or changed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nhatle_collector::Sink;
use nhatle_collector::frame::Origin;
use nhatle_collector::listen::datagram::{self, DatagramInput};
use nhatle_collector::listen::stream::{self, StreamInput};
use nhatle_collector::listen::{Counted, ListenError, SharedCounts};
use nhatle_event::Clock;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::config::Config;
use crate::pki::{ClientCert, PkiError, Trust};

/// How long an address of ours may take to become free for the input that follows.
const REBIND_PATIENCE: Duration = Duration::from_secs(2);
/// How long the end may take to read what connections had sent: under a service manager's patience (systemd: 90 s).
const READ_OUT_MAX: Duration = Duration::from_secs(5);

/// An input as the configuration asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    /// Its name in the configuration.
    name: &'static str,
    kind: Kind,
    address: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stream(stream::Protocol),
    /// Syslog, plain, where a balancer may stand in front.
    Syslog,
    /// Syslog over TLS.
    SyslogTls(ClientCert),
    /// How many sockets.
    Datagram(datagram::Protocol, usize),
}

impl Kind {
    fn is_stream(self) -> bool {
        !matches!(self, Kind::Datagram(..))
    }
}

/// A bound input that is not started yet.
enum Bound {
    Stream(StreamInput),
    Datagram(DatagramInput),
}

/// An input at work.
struct Running {
    asked: Asked,
    address: SocketAddr,
    counts: SharedCounts,
    receive_buffer_bytes: usize,
    /// True = take nothing more.
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What an input has counted, for pages and metrics.
#[derive(Clone, Debug)]
pub struct InputCounts {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Where it listens; `None` for what is pushed over HTTP.
    pub address: Option<SocketAddr>,
    /// The counts.
    pub counted: Counted,
    /// How large the kernel's receive buffer is, where it matters.
    pub receive_buffer_bytes: usize,
}

/// The table of running inputs; see [`Inputs::shown`].
#[derive(Clone, Debug, Default)]
pub struct Shown(Vec<Row>);

type Row = (&'static str, Option<SocketAddr>, SharedCounts, usize);

impl Shown {
    /// Adds what is pushed over HTTP.
    #[must_use]
    pub fn with_pushed(mut self, counts: SharedCounts) -> Shown {
        self.0.push(("http", None, counts, 0));
        self
    }

    /// Shows other sockets; what is pushed stays.
    pub fn renew(&mut self, inputs: &Inputs) {
        let pushed = std::mem::take(&mut self.0).into_iter().filter(|(_, address, ..)| address.is_none());
        self.0 = inputs.shown().0.into_iter().chain(pushed).collect();
    }

    /// Every input with what it has counted by now.
    pub fn read(&self) -> Vec<InputCounts> {
        let read = |(name, address, counts, receive_buffer_bytes): &Row| {
            let counted = counts.read();
            InputCounts { name, address: *address, counted, receive_buffer_bytes: *receive_buffer_bytes }
        };
        self.0.iter().map(read).collect()
    }
}

/// Running inputs.
pub struct Inputs {
    running: Vec<Running>,
    /// Inputs that take nothing more and still serve connections.
    ending: Vec<JoinHandle<()>>,
    limits: watch::Sender<stream::Limits>,
    record_bytes_max: watch::Sender<usize>,
    sink: Sink,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    trust: Arc<Trust>,
    /// Raised when connections end too.
    ends: watch::Sender<bool>,
}

impl Inputs {
    /// Binds and starts every input that the configuration names.
    ///
    /// # Errors
    /// An address is taken or not ours.
    pub fn start(
        config: &Config,
        trust: &Arc<Trust>,
        sink: &Sink,
        clock: &Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Result<Inputs, ListenError> {
        let mut inputs = Inputs {
            running: Vec::new(),
            ending: Vec::new(),
            limits: watch::Sender::new(limits_of(config)),
            record_bytes_max: watch::Sender::new(config.collector.record_bytes_max),
            sink: sink.clone(),
            clock: clock.clone(),
            runtime: runtime.clone(),
            trust: trust.clone(),
            ends: watch::Sender::new(false),
        };
        inputs.change(config)?;
        Ok(inputs)
    }

    /// Makes the inputs those of another configuration. Answers the names of those that began, moved or ended. Blocks;
    /// not to be called from a task.
    ///
    /// # Errors
    /// An address is taken or not ours; all is as it was then.
    pub fn change(&mut self, config: &Config) -> Result<Vec<&'static str>, ListenError> {
        let wanted = asked_by(config);
        let is_new = |asked: &&Asked| !self.running.iter().any(|running| running.asked == **asked);
        let (mut fresh, mut in_the_way) = (Vec::new(), Vec::new());
        for asked in wanted.iter().filter(is_new) {
            // All are bound before any that runs is touched, but for those whose port is one of ours.
            match self.bind(asked) {
                Ok(bound) => fresh.push((*asked, bound)),
                Err(error) if self.holder_of(asked).is_none() => return Err(error),
                Err(_taken) => in_the_way.push(*asked),
            }
        }
        for asked in in_the_way {
            let bound = self.take_over(&asked)?;
            fresh.push((asked, bound));
        }
        let mut changed = Vec::new();
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.running.drain(..).partition(|running| wanted.contains(&running.asked));
        self.running = kept;
        for running in gone {
            changed.push(running.asked.name);
            running.stop.send_replace(true);
            self.ending.push(running.task);
        }
        self.ending.retain(|task| !task.is_finished());
        for (asked, bound) in fresh {
            changed.push(asked.name);
            self.run(asked, bound);
        }
        self.limits.send_replace(limits_of(config));
        self.sink.frames().set_bytes_max(config.collector.unfinished_bytes_max);
        self.record_bytes_max.send_replace(config.collector.record_bytes_max);
        // As the configuration lists them.
        let place = |name: &str| wanted.iter().position(|asked| asked.name == name);
        self.running.sort_by_key(|running| place(running.asked.name));
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    /// Where each input listens, by its name in the configuration.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.running.iter().map(|running| (running.asked.name, running.address)).collect()
    }

    /// The inputs, for whoever shows their counts.
    pub fn shown(&self) -> Shown {
        let row = |one: &Running| (one.asked.name, Some(one.address), one.counts.clone(), one.receive_buffer_bytes);
        Shown(self.running.iter().map(row).collect())
    }

    /// Takes nothing more. What lies in the kernel's buffers, of datagrams and of connections, is taken; a connection
    /// whose sender does not pause is ended after [`READ_OUT_MAX`].
    pub async fn stop(self) {
        self.ends.send_replace(true);
        for running in &self.running {
            running.stop.send_replace(true);
        }
        let due = tokio::time::Instant::now() + READ_OUT_MAX;
        let (streams, datagrams): (Vec<_>, Vec<_>) =
            self.running.into_iter().partition(|running| running.asked.kind.is_stream());
        for mut task in streams.into_iter().map(|running| running.task).chain(self.ending) {
            if tokio::time::timeout_at(due, &mut task).await.is_err() {
                task.abort();
                drop(task.await);
            }
        }
        for running in datagrams {
            drop(running.task.await);
        }
    }

    fn bind(&self, asked: &Asked) -> Result<Bound, ListenError> {
        let input = asked.name.replace('_', "-");
        let origin = Origin::new(&input);
        let door = match asked.kind {
            Kind::Syslog => Some(self.trust.plain(&input)),
            Kind::SyslogTls(client) => Some(self.trust.syslog(&input, client).map_err(broken(&input))?),
            Kind::Stream(_) | Kind::Datagram(..) => None,
        };
        self.runtime.block_on(async {
            match asked.kind {
                Kind::Stream(_) | Kind::Syslog | Kind::SyslogTls(_) => {
                    let protocol = match asked.kind {
                        Kind::Stream(protocol) => protocol,
                        _ => stream::Protocol::Syslog,
                    };
                    let input = StreamInput::bind(asked.address, protocol, origin, self.limits.subscribe()).await?;
                    let input = input.ending_by(self.ends.subscribe());
                    Ok(Bound::Stream(match door {
                        Some(door) => input.behind(Arc::new(door)),
                        None => input,
                    }))
                }
                Kind::Datagram(protocol, sockets) => {
                    let bytes_max = self.record_bytes_max.subscribe();
                    let bound = DatagramInput::bind(asked.address, sockets, protocol, origin, bytes_max);
                    bound.await.map(Bound::Datagram)
                }
            }
        })
    }

    /// The input of ours that holds the port another one wants: it moves from loopback to all addresses, say.
    fn holder_of(&self, asked: &Asked) -> Option<usize> {
        let is_same_kind = |kind: Kind| kind.is_stream() == asked.kind.is_stream();
        self.running.iter().position(|running| {
            is_same_kind(running.asked.kind)
                && running.address.port() == asked.address.port()
                && asked.address.port() != 0
        })
    }

    /// Binds a port that an input of ours holds, which stops first. For a moment nobody listens there; connections go on.
    fn take_over(&mut self, asked: &Asked) -> Result<Bound, ListenError> {
        let Some(at) = self.holder_of(asked) else { return self.bind(asked) };
        let holder = self.running.remove(at);
        holder.stop.send_replace(true);
        self.ending.push(holder.task);
        let began = Instant::now();
        loop {
            match self.bind(asked) {
                Ok(bound) => return Ok(bound),
                Err(_taken) if began.elapsed() < REBIND_PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    // As it was. Its counts begin anew.
                    match self.bind(&holder.asked) {
                        Ok(bound) => self.run(holder.asked, bound),
                        Err(lost) => warn!(%lost, "an input could not be given its address back"),
                    }
                    return Err(error);
                }
            }
        }
    }

    fn run(&mut self, asked: Asked, bound: Bound) {
        let (stop, stopping) = watch::channel(false);
        let (sink, clock) = (self.sink.clone(), self.clock.clone());
        let (address, counts, receive_buffer_bytes, task) = match bound {
            Bound::Stream(input) => {
                let (address, counts) = (input.address(), input.counts());
                let task = self.runtime.spawn(async move { said(asked.name, input.run(sink, clock, stopping).await) });
                (address, counts, 0, task)
            }
            Bound::Datagram(input) => {
                let (address, counts, bytes) = (input.address(), input.counts(), input.receive_buffer_bytes());
                let task = self.runtime.spawn(async move { said(asked.name, input.run(sink, clock, stopping).await) });
                (address, counts, bytes, task)
            }
        };
        // A bound socket has an address; the one asked for is the next best thing to say.
        let address = address.unwrap_or(asked.address);
        self.running.push(Running { asked, address, counts, receive_buffer_bytes, stop, task });
    }
}

/// The inputs a configuration asks for, in the order they are shown.
fn asked_by(config: &Config) -> Vec<Asked> {
    let sockets = config.collector.syslog_udp_sockets;
    let all = [
        ("syslog_udp", Kind::Datagram(datagram::Protocol::Syslog, sockets), config.syslog_udp),
        ("syslog_tcp", Kind::Syslog, config.syslog_tcp),
        ("syslog_tls", Kind::SyslogTls(config.collector.syslog_tls_client), config.syslog_tls),
        ("relp", Kind::Stream(stream::Protocol::Relp), config.relp),
        ("gelf_udp", Kind::Datagram(datagram::Protocol::Gelf, 1), config.gelf_udp),
        ("netflow", Kind::Datagram(datagram::Protocol::Netflow, 1), config.netflow),
        ("gelf_tcp", Kind::Stream(stream::Protocol::Gelf), config.gelf_tcp),
    ];
    all.into_iter().filter_map(|(name, kind, address)| Some(Asked { name, kind, address: address? })).collect()
}

/// An input whose TLS the library does not take.
fn broken(input: &str) -> impl FnOnce(PkiError) -> ListenError {
    let input = input.to_owned();
    move |error| ListenError::Socket { input, source: std::io::Error::other(error) }
}

fn limits_of(config: &Config) -> stream::Limits {
    stream::Limits {
        connections_max: config.collector.connection_count_max,
        record_bytes_max: config.collector.record_bytes_max,
        ..stream::Limits::default()
    }
}

fn said(name: &str, result: Result<(), ListenError>) {
    if let Err(error) = result {
        warn!(%error, "input {name} stopped");
    }
}
