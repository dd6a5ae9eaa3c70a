//! The inputs of a server that are sockets of their own: each bound, then started.
//!
//! In: the configuration. Out: running tasks that hand batches to the pipeline, and the addresses they listen on.
//! Failure: an address that is taken or not ours, before anything is started.

use std::net::SocketAddr;
use std::sync::Arc;

use nhatle_collector::Sink;
use nhatle_collector::frame::Origin;
use nhatle_collector::listen::ListenError;
use nhatle_collector::listen::gelf::{GelfTcpInput, GelfUdpInput};
use nhatle_collector::listen::relp::{RelpInput, RelpLimits};
use nhatle_collector::listen::tcp::{TcpInput, TcpLimits};
use nhatle_collector::listen::udp::UdpInput;
use nhatle_event::Clock;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::config::Config;

/// Running inputs.
#[derive(Default)]
pub struct Inputs {
    /// Their tasks; aborting one ends it and its connections.
    pub tasks: Vec<JoinHandle<()>>,
    /// Where each listens, by its name in the configuration.
    pub addresses: Vec<(&'static str, SocketAddr)>,
}

impl Inputs {
    /// Where the input of this name listens.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(known, _)| *known == name).map(|(_, address)| *address)
    }

    /// Binds and starts every input that the configuration names.
    ///
    /// # Errors
    /// An address is taken or not ours.
    pub fn start(config: &Config, sink: &Sink, clock: &Arc<dyn Clock>, runtime: &Runtime) -> anyhow::Result<Inputs> {
        let mut inputs = Inputs::default();
        let record_bytes_max = config.collector.record_bytes_max;
        let connections_max = config.collector.connection_count_max;
        let tcp = TcpLimits { connections_max, record_bytes_max, ..TcpLimits::default() };
        // One of these for each kind, since each kind has its own type.
        macro_rules! start {
            ($name:literal, $address:expr, |$origin:ident, $at:ident| $bind:expr) => {
                if let Some($at) = $address {
                    let $origin = Origin::new(&$name.replace('_', "-"));
                    let input = runtime.block_on($bind)?;
                    inputs.addresses.push(($name, input.address()?));
                    let (sink, clock) = (sink.clone(), clock.clone());
                    inputs.tasks.push(runtime.spawn(async move { said($name, input.run(sink, clock).await) }));
                }
            };
        }
        start!("syslog_udp", config.syslog_udp, |origin, at| UdpInput::bind(at, origin, record_bytes_max));
        start!("syslog_tcp", config.syslog_tcp, |origin, at| TcpInput::bind(at, origin, tcp));
        let relp = RelpLimits { connections_max, message_bytes_max: record_bytes_max, ..RelpLimits::default() };
        start!("relp", config.relp, |origin, at| RelpInput::bind(at, origin, relp));
        start!("gelf_udp", config.gelf_udp, |origin, at| GelfUdpInput::bind(at, origin, record_bytes_max));
        start!("gelf_tcp", config.gelf_tcp, |origin, at| GelfTcpInput::bind(at, origin, tcp));
        Ok(inputs)
    }
}

fn said(name: &str, result: Result<(), ListenError>) {
    if let Err(error) = result {
        warn!(%error, "input {name} stopped");
    }
}
