//! The PostgreSQL wire protocol: psql, DBeaver, Grafana, Metabase and pandas ask the store by SQL.
//!
//! In: connections at `[postgres] listen`. Out: answers of the engine (`storage::sql`), and of a catalog of our own
//! (`storage::pg`) to what clients ask about tables. Promise: the same accounts, limits to units, memory and time as the API;
//! read-only; beyond loopback only within TLS; nothing that comes before the sign-in grows memory. Bounds: connections (waiting
//! and signed in), bytes of a message, statements and cursors of a session, rows waiting for a slow client. Failure: an
//! `ErrorResponse` with SQLSTATE. Source: PostgreSQL 15, chapter 55; ADR 32.
//!
//! ```text
//! start (TLS, cancel, sign-in) -> session (messages, statements, cursors) -> query (a thread for each) -> value (rows)
//!      wire: bytes in and out         text, settings: what is answered here
//! ```

mod cancel;
pub mod config;
mod copy;
mod extended;
mod own;
mod problem;
mod query;
mod session;
mod settings;
mod start;
mod text;
mod value;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nhatle_collector::listen::tls::door::AddressCounts;
use nhatle_ui::Desk;
use nhatle_ui::entry::Entry;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use self::cancel::Cancels;
use self::config::Postgres;
use self::problem::Problem;
use self::query::Source;
use self::start::SIGN_IN_WAIT;
use crate::desk::LiveDesk;
use crate::pki::Trust;

/// The name of the one database.
pub const DATABASE: &str = "nhatle";
/// How many connections may wait for their sign-in at once.
const WAITING_MAX: usize = 256;
/// How many of them may be of one address.
const WAITING_PER_ADDRESS_MAX: usize = 32;
/// How long to wait after the system could not accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long sessions have to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the connections of a listener share.
struct Shared {
    source: Arc<Source>,
    entry: Entry,
    tls: Option<TlsAcceptor>,
    must_be_secure: bool,
    cancels: Arc<Cancels>,
    signed_in: Arc<Semaphore>,
    idle_max: Duration,
    time_max: Duration,
}

/// What a listener is made of.
struct Parts {
    source: Source,
    entry: Entry,
    tls: Arc<ServerConfig>,
    config: Postgres,
}

/// Listens where the configuration says; `None` = nowhere.
///
/// # Errors
/// The address is taken or not ours, or TLS cannot be set up.
pub fn start(
    config: &Postgres,
    desk: &Arc<LiveDesk>,
    trust: &Trust,
    runtime: &Runtime,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<Option<(SocketAddr, JoinHandle<()>)>> {
    let Some(address) = config.listen else { return Ok(None) };
    let sql = desk.sql_runner().context("SQL is not offered")?.clone();
    let bound = runtime.block_on(TcpListener::bind(address));
    let listener = bound.with_context(|| format!("listen on {address} for clients of PostgreSQL"))?;
    let address = listener.local_addr()?;
    let asked = Arc::clone(desk);
    let parts = Parts {
        source: Source::new(sql, Box::new(move |viewer| asked.sql_world(viewer))),
        entry: Entry::new(Arc::clone(desk) as Arc<dyn Desk>, Arc::clone(&trust.house.clock)),
        tls: trust.postgres().context("set up TLS for clients of PostgreSQL")?,
        config: config.clone(),
    };
    Ok(Some((address, runtime.spawn(serve(listener, parts, stopping.clone())))))
}

/// Serves until told to stop.
async fn serve(listener: TcpListener, parts: Parts, stopping: watch::Receiver<bool>) {
    let mut stopping = stopping;
    let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let time_max = parts.source.time_max();
    let shared = Arc::new(Shared {
        source: Arc::new(parts.source),
        entry: parts.entry,
        tls: Some(TlsAcceptor::from(parts.tls)),
        must_be_secure: !is_loopback,
        cancels: Arc::default(),
        signed_in: Arc::new(Semaphore::new(parts.config.connection_count_max)),
        idle_max: parts.config.idle_max,
        time_max,
    });
    let waiting = Arc::new(Semaphore::new(WAITING_MAX));
    let of_address = AddressCounts::default();
    let mut connections = tokio::task::JoinSet::new();
    let told = stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|is_stopping| *is_stopping) => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error.message = %error, "cannot accept a connection now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let peer = address.ip().to_canonical();
        let max = if peer.is_loopback() { WAITING_MAX } else { WAITING_PER_ADDRESS_MAX };
        let (Ok(place), Some(held)) = (Arc::clone(&waiting).try_acquire_owned(), of_address.hold(peer, max)) else {
            continue;
        };
        let (shared, told) = (Arc::clone(&shared), told.clone());
        connections.spawn(connection(shared, stream, peer, told, (place, held)));
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, all).await.is_err() {
        connections.shutdown().await;
    }
}

/// One connection; `place` is held until somebody has signed in.
async fn connection<P>(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: IpAddr,
    stopping: watch::Receiver<bool>,
    place: P,
) {
    let begun = match tokio::time::timeout(SIGN_IN_WAIT, start::begin(&shared, stream, peer)).await {
        Ok(Ok(Some(begun))) => begun,
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => {
            tracing::debug!(error.message = %error, "a PostgreSQL connection ended before its sign-in");
            return;
        }
    };
    drop(place);
    let Ok(_slot) = Arc::clone(&shared.signed_in).try_acquire_owned() else {
        let problem = Problem::new("53300", "sorry, too many clients already");
        // Nobody waits for whether it was heard.
        drop(start::refuse::<()>(begun.wire, &problem).await);
        return;
    };
    if let Err(error) = session::run(shared, begun, stopping).await {
        tracing::debug!(error.message = %error, "a PostgreSQL session ended");
    }
}
