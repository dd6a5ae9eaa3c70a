//! The JSON API of SQL: `POST /api/v1/sql`.
//!
//! In: `{"query": "…", "params": […]}` and an `Accept`. Out: the answer's bytes as they come, in the form asked for.
//! Promise: the same bounds for each person as for searches; a client that goes away, or takes nothing for
//! [`PATIENCE`], ends its query. Failure: as everywhere in the API, where nothing was sent yet; later the connection is
//! cut, so that half an answer is never taken for one.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use futures_core::Stream;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::api::body;
use crate::failure::Failure;
use crate::guard::ApiBody;
use crate::model::{SqlFormat, SqlQuery};
use crate::pages::Page;
use crate::request::Asked;
use crate::searches::Running;

/// How long the text of a query may be.
pub(crate) const QUERY_BYTES_MAX: usize = 128 << 10;
/// How many parameters it may have.
pub(crate) const PARAMETERS_MAX: usize = 1_000;
/// The bytes of one piece.
const PIECE_BYTES: usize = 64 << 10;
/// How many pieces wait for a client.
const PIECES_WAITING_MAX: usize = 8;
/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a query waits before it tries again to give a piece.
const PIECE_PAUSE: Duration = Duration::from_millis(5);

/// What is posted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    query: String,
    #[serde(default)]
    params: Vec<Value>,
}

enum Told {
    Piece(Bytes),
    End,
    Failed(Failure),
}

/// `POST /api/v1/sql`
pub(crate) async fn post(asked: Asked, headers: HeaderMap, Extension(sent): Extension<ApiBody>) -> Page {
    let sent: Sent = body(&sent)?;
    if QUERY_BYTES_MAX < sent.query.len() {
        return Err(Failure::BadRequest("query"));
    }
    if PARAMETERS_MAX < sent.params.len() {
        return Err(Failure::BadRequest("params"));
    }
    let accept =
        headers.get(ACCEPT).map_or(Ok(""), HeaderValue::to_str).map_err(|_bad| Failure::BadRequest("Accept"))?;
    let format = SqlFormat::accepted(accept).ok_or(Failure::BadRequest("Accept"))?;
    let query = SqlQuery { text: sent.query, parameters: sent.params, format };
    let running = asked.state.searches.begin(asked.viewer()?)?;
    let stop = Arc::clone(&running.stop);
    let (sender, mut receiver) = mpsc::channel(PIECES_WAITING_MAX);
    tokio::spawn(async move {
        let pieces = sender.clone();
        let done = asked
            .desk(move |desk, viewer| {
                let mut out = Pieces { buffer: Vec::new(), pieces, stop: Arc::clone(&stop) };
                desk.sql(viewer, &query, &stop, &mut out)?;
                // A client that is gone needs no end.
                drop(out.give());
                Ok(())
            })
            .await;
        let last = done.map_or_else(Told::Failed, |()| Told::End);
        drop(tokio::time::timeout(PATIENCE, sender.send(last)).await);
    });
    let first = match receiver.recv().await {
        Some(Told::Piece(piece)) => Some(piece),
        Some(Told::End) => None,
        Some(Told::Failed(failure)) => return Err(failure),
        None => return Err(Failure::Internal),
    };
    let is_over = first.is_none();
    let mut response = Response::new(Body::from_stream(Answer { first, receiver, is_over, _running: running }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Gathers bytes and gives them in pieces.
struct Pieces {
    buffer: Vec<u8>,
    pieces: mpsc::Sender<Told>,
    stop: Arc<AtomicBool>,
}

impl Pieces {
    fn give(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut told = Told::Piece(Bytes::from(std::mem::take(&mut self.buffer)));
        let begin = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            told = match self.pieces.try_send(told) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(told)) if begin.elapsed() < PATIENCE => told,
                Err(_gone) => break,
            };
            std::thread::sleep(PIECE_PAUSE);
        }
        self.stop.store(true, Ordering::Relaxed);
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if PIECE_BYTES <= self.buffer.len() {
            self.give()?;
        }
        Ok(bytes.len())
    }

    /// Pieces are given when they are full, and at the end: who answers may still fail before the first.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The pieces as a body; dropped, the query is told to stop.
struct Answer {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Told>,
    is_over: bool,
    _running: Running,
}

impl Stream for Answer {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(context).map(|told| match told {
            Some(Told::Piece(piece)) => Some(Ok(piece)),
            Some(Told::End) => {
                self.is_over = true;
                None
            }
            Some(Told::Failed(failure)) => {
                self.is_over = true;
                Some(Err(io::Error::other(failure.code())))
            }
            None => {
                self.is_over = true;
                Some(Err(io::ErrorKind::UnexpectedEof.into()))
            }
        })
    }
}
