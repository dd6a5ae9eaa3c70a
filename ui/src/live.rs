//! `/live`: one stream of server-sent events that keeps the counters of a page current.
//!
//! In: ticks of [`crate::Desk::changes`]. Out: `event: counters` with the viewer's own numbers, and, asked with a source's name and
//! a moment, once `event: arrived` when it has sent something since; at most one a second, and a comment every 15 s so that proxies keep the line open. Promise: a stream ends when its
//! session or account does, and at most [`crate::state::STREAMS_MAX`] run. Failure: 503; the page works without.
//! Source: HTML Living Standard, section 9.2 (server-sent events).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use tokio::sync::{mpsc, watch};

use crate::failure::Failure;
use crate::pages::{Page, wizard};
use crate::request::Asked;
use crate::searches::Running;

/// How often a page is told at most.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a stream looks whether its session still runs.
const CHECK: Duration = Duration::from_secs(15);

/// The receiving end of a channel as a stream.
struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// `GET /live`
pub(crate) async fn stream(asked: Asked) -> Page {
    let room = asked.state.streams.begin(asked.viewer()?).map_err(|_full| Failure::Busy)?;
    let changes = asked.state.blocking(|desk| desk.changes()).await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(feed(asked, changes, sender, room));
    Ok(Sse::new(Events(receiver)).keep_alive(KeepAlive::new().interval(CHECK)).into_response())
}

async fn feed(asked: Asked, mut changes: watch::Receiver<u64>, sender: mpsc::Sender<Event>, _room: Running) {
    let mut shown = None;
    let mut awaited = wizard::awaited(&asked);
    loop {
        if !asked.still_holds().await {
            return;
        }
        changes.mark_unchanged();
        let Ok(counters) = asked.desk(|desk, viewer| desk.live(viewer)).await else { return };
        if shown.as_ref() != Some(&counters) {
            let Ok(data) = serde_json::to_string(&counters) else { return };
            if sender.send(Event::default().event("counters").data(data)).await.is_err() {
                return;
            }
            shown = Some(counters);
        }
        if let Some((name, since)) = &awaited {
            let Ok(rows) = asked.desk(|desk, viewer| desk.sources(viewer)).await else { return };
            if let Some(row) = wizard::arrived(rows, name, *since) {
                let event = Event::default().event("arrived").data(wizard::arrived_text(&asked, &row));
                if sender.send(event).await.is_err() {
                    return;
                }
                awaited = None;
            }
        }
        let check = if awaited.is_some() { PAUSE } else { CHECK };
        let changed = async {
            tokio::time::sleep(PAUSE).await;
            changes.changed().await
        };
        tokio::select! {
            () = sender.closed() => return,
            waited = tokio::time::timeout(check, changed) => {
                if matches!(waited, Ok(Err(_))) {
                    return;
                }
            }
        }
    }
}
