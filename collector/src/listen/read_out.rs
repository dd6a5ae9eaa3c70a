//! `ReadOut`: a connection that, once its input is told to end, ends where what came of it is read.
//!
//! In: a stream of bytes, and a flag that is raised at most once. Out: the same stream; after the flag is raised a read
//! that would wait is an end of the stream (0 bytes). Promise: what lay in the kernel's buffer when the flag was raised
//! is read first, so that a sender that nobody answers (syslog over TCP, GELF) loses nothing it had already handed over.
//! Not promised: an end of its own where the sender never pauses; whoever raises the flag sets a bound of time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::task::coop;

/// See above.
pub(super) struct ReadOut<S> {
    inner: S,
    /// `None` once it was said.
    told: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> ReadOut<S> {
    /// `ends`: true (or its sender is gone) says that the connection is to end; `None`: nobody does.
    pub(super) fn new(inner: S, ends: Option<watch::Receiver<bool>>) -> ReadOut<S> {
        let told = async move {
            match ends {
                Some(mut ends) => drop(ends.wait_for(|is_ending| *is_ending).await),
                None => std::future::pending().await,
            }
        };
        ReadOut { inner, told: Some(Box::pin(told)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadOut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(context, buffer) {
            return Poll::Ready(read);
        }
        // A task that has had its turn is told to wait although there may be more; it is called again.
        if !coop::has_budget_remaining() {
            return Poll::Pending;
        }
        if let Some(told) = &mut self.told {
            if told.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.told = None;
            // What came between the look above and the flag is read too.
            if let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(context, buffer) {
                return Poll::Ready(read);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadOut<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
