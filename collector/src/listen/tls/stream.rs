//! `Secured`: a connection that came in by a [`Door`](super::door::Door), plain or TLS, under the same rules.
//!
//! Promise: the connection of a certificate that is revoked, or runs out, while it stands ends at its next bytes, which are not
//! taken; one whose other side reads nothing for [`STALL`] ends; a plain connection that begins with a PROXY header,
//! and is no balancer's, ends and is noted. Failure: an end of the stream, as of a sender that left.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nhatle_event::Text;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use super::door::House;
use super::identity::Identity;
use super::proxy::{self, Front};
use super::refusals::Why;

/// How long the other side may read nothing while we have something to say.
pub const STALL: Duration = Duration::from_secs(60);

/// A connection that was let in.
pub struct Secured {
    inner: Inner,
    /// Whose certificate is watched.
    watched: Option<(Identity, House)>,
    /// Who is told of a header that does not belong there; only until the first bytes.
    guard: Option<(House, Text, IpAddr)>,
    stall: Option<Pin<Box<Sleep>>>,
    is_ended: bool,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Secured {
    pub(super) fn plain(stream: TcpStream, guard: Option<(House, Text, IpAddr)>) -> Secured {
        Secured { inner: Inner::Plain(stream), watched: None, guard, stall: None, is_ended: false }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, identity: Option<Identity>, house: &House) -> Secured {
        let watched = identity.map(|identity| (identity, house.clone()));
        Secured { inner: Inner::Tls(Box::new(stream)), watched, guard: None, stall: None, is_ended: false }
    }

    /// Whether the certificate it came in with holds no longer.
    fn is_outlived(&self) -> bool {
        self.watched.as_ref().is_some_and(|(identity, house)| {
            house.revoked.contains(&identity.fingerprint) || identity.not_after < house.clock.now()
        })
    }

    /// Ends what must not go on.
    fn judge(&mut self, first: &[u8]) {
        if self.is_outlived() {
            tracing::warn!("connection ended: its certificate was revoked or has expired");
            self.is_ended = true;
        }
        if let Some((house, input, peer)) = self.guard.take()
            && matches!(proxy::read(first), Ok(Front::Header { .. }) | Err(_))
        {
            house.refusals.note(house.clock.now(), peer, &input, Why::ForeignProxyHeader, None);
            self.is_ended = true;
        }
    }

    /// What a write or flush came to; a stalled one runs out.
    fn patient<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stall = None;
            return result;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side reads nothing")))
    }
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_ended {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Inner::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if let Poll::Ready(Ok(())) = read
            && before < buffer.filled().len()
        {
            this.judge(&buffer.filled()[before..]);
            if this.is_ended {
                buffer.set_filled(before);
            }
        }
        read
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Inner::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        this.patient(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(context),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(context),
        };
        this.patient(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let closed = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        };
        this.patient(context, closed)
    }
}
