//! Serving HTTP/1.1 by a [`Door`]: pages, API and pushes, plain or TLS.
//!
//! In: a bound listener, a door, a router. Out: each request with `ConnectInfo<SocketAddr>` and, where the client showed a
//! certificate, its [`Identity`](super::tls::identity::Identity) in its extensions. Bounds: connections, those of one
//! address (not of loopback, where a proxy stands), the time and bytes of a request's head, the pace of its body, the time nothing
//! is read of an answer. Told to stop it takes no more, lets requests end and returns. Failure: a connection that breaks
//! its bounds ends; a listener that cannot accept now is asked again.
//! Source: RFC 9112; ADR 19.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};

use super::resend::LastPush;
use super::tls::door::{AddressCounts, Door};

/// How many connections at once.
pub const CONNECTIONS_MAX: usize = 4096;
/// How many of them may be of one address.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 256;
/// How many bytes of a request are held before it is read: its head is no longer.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long the head of a request may take, and how long a connection may stand between two.
const HEAD_WAIT: Duration = Duration::from_secs(60);
/// How long a body may stand still, and how long it may take beside its pace.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// How many bytes of a body must come in a second, on the whole.
const BODY_BYTES_PER_SECOND: u64 = 1 << 10;
/// How long to wait for a sender to end its side: what it says until then tells whether it has heard the answer.
const LINGER_WAIT: Duration = Duration::from_secs(1);
/// How long to wait after the system could not accept (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop (or the sender of `stopping` is gone), then until the last request is answered.
pub async fn serve(listener: TcpListener, door: Arc<Door>, app: Router, mut stopping: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let of_address = AddressCounts::default();
    let mut connections = tokio::task::JoinSet::new();
    let told = stopping.clone();
    let mut stop = pin!(async move { drop(stopping.wait_for(|is_stopping| *is_stopping).await) });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
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
        let max = if peer.is_loopback() { CONNECTIONS_MAX } else { CONNECTIONS_PER_ADDRESS_MAX };
        let (Ok(slot), Some(held)) = (Arc::clone(&slots).try_acquire_owned(), of_address.hold(peer, max)) else {
            continue;
        };
        let (door, app, told) = (Arc::clone(&door), app.clone(), told.clone());
        connections.spawn(async move {
            connection(stream, address, &door, app, told).await;
            drop((slot, held));
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    door: &Door,
    app: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let Some(entered) = door.enter(stream, address.ip().to_canonical()).await else { return };
    let peer = SocketAddr::new(entered.peer, address.port());
    let identity = entered.identity;
    let last_push = LastPush::default();
    let of_connection = last_push.clone();
    let arrive = move |request: hyper::Request<Incoming>| {
        of_connection.asks_again();
        let mut request = request.map(|body| Body::new(Patient::new(body)));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(of_connection.clone());
        if let Some(identity) = &identity {
            request.extensions_mut().insert(identity.clone());
        }
        request
    };
    let service = tower::ServiceBuilder::new().map_request(arrive).service(app);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(HEAD_BYTES_MAX);
    let stream = Lingering { stream: entered.stream, last_push: last_push.clone(), wait: None, is_shut: false };
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let mut is_told = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    match is_break(&error) {
                        true => last_push.broke(),
                        false => last_push.left(),
                    }
                    tracing::debug!(error.message = %error, "connection ended");
                }
                return;
            }
            _ = stopping.wait_for(|is_stopping| *is_stopping), if !is_told => {
                is_told = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Whether a connection broke, rather than that its sender stood still, spoke no HTTP or ended TLS without a word.
fn is_break(error: &hyper::Error) -> bool {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let mut broken = sources.filter_map(|error| error.downcast_ref::<std::io::Error>());
    broken.any(|error| error.kind() != std::io::ErrorKind::UnexpectedEof)
}

/// A stream that, once shut, waits a little for the other side to end: in order, which is said to `last_push`, or with an
/// error.
struct Lingering<S> {
    stream: S,
    last_push: LastPush,
    wait: Option<Pin<Box<Sleep>>>,
    is_shut: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        if !this.is_shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.is_shut = true;
        }
        let wait = this.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_WAIT)));
        if wait.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scrap = [0; 1 << 10];
        loop {
            let mut into = ReadBuf::new(&mut scrap);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {}
                Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Poll::Ready(Err(error)),
                Ok(()) | Err(_) => {
                    this.last_push.left();
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// A body that must come at a pace.
struct Patient {
    inner: Incoming,
    began: Instant,
    bytes: u64,
    last: Instant,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(inner: Incoming) -> Patient {
        let now = Instant::now();
        Patient { inner, began: now, bytes: 0, last: now, wait: None }
    }

    fn deadline(&self) -> Instant {
        let pace = Duration::from_secs(self.bytes / BODY_BYTES_PER_SECOND);
        (self.last + BODY_WAIT).min(self.began + BODY_WAIT + pace)
    }
}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(frame) => {
                this.wait = None;
                this.last = Instant::now();
                if let Some(Ok(frame)) = &frame {
                    this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                if this.began + BODY_WAIT < this.last && this.deadline() < this.last {
                    return Poll::Ready(Some(Err("the body comes too slowly".into())));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let deadline = this.deadline();
                let wait = this.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                match wait.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(Some(Err("the body comes too slowly".into()))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
