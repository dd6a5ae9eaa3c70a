//! The live tail: server-sent events of what is committed and matches a query line.
//!
//! In: a query line, how many rows at a look, how often. Out: `event: hits` with rows in the form asked for,
//! `event: dropped` with how many were left out or not looked at since the last time, a comment each 15 s. Promise: the
//! viewer's limit to units holds at every look; a slow reader costs no memory, only rows that are counted as left out;
//! a tail ends with its session, and after [`TAIL_TIME_MAX`]; at most [`crate::state::TAILS_MAX`] run. Failure: a query
//! that does not parse is the answer; 503 when as many run as may. Source: HTML Living Standard, section 9.2.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use nhatle_event::Stored;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::model::SearchQuery;
use crate::pages::Page;
use crate::request::Asked;

/// How long one tail runs; the browser opens the next one by itself.
pub(crate) const TAIL_TIME_MAX: Duration = Duration::from_secs(3600);
/// How often a comment keeps the line open.
const COMMENT: Duration = Duration::from_secs(15);
/// Looks that wait for a slow reader; while they do, nothing is looked at.
const LOOKS_WAITING_MAX: usize = 2;

struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// Answers with a tail; `form` gives the data of `event: hits`.
pub(crate) async fn stream(
    asked: Asked,
    query: SearchQuery,
    (rows_max, pause): (usize, Duration),
    form: impl Fn(&[Stored]) -> Value + Send + Sync + 'static,
) -> Page {
    let room = asked.state.tails.begin(asked.viewer()?).map_err(|_full| Failure::Busy)?;
    // The first look says where to begin, and whether the line parses at all.
    let first = query.clone();
    let begin = asked.desk(move |desk, viewer| desk.tail(viewer, &first, None, 0)).await?.last;
    let (sender, receiver) = mpsc::channel(LOOKS_WAITING_MAX);
    tokio::spawn(async move {
        feed(asked, query, (rows_max, pause), begin, &sender, form).await;
        drop(room);
    });
    Ok(Sse::new(Events(receiver)).keep_alive(KeepAlive::new().interval(COMMENT)).into_response())
}

async fn feed(
    asked: Asked,
    query: SearchQuery,
    (rows_max, pause): (usize, Duration),
    begin: u64,
    sender: &mpsc::Sender<Event>,
    form: impl Fn(&[Stored]) -> Value,
) {
    let ends = Instant::now() + TAIL_TIME_MAX;
    let mut after = begin;
    while Instant::now() < ends {
        tokio::select! {
            () = sender.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if !asked.still_holds().await {
            return;
        }
        let wanted = query.clone();
        let looked = asked.desk(move |desk, viewer| desk.tail(viewer, &wanted, Some(after), rows_max)).await;
        let Ok(page) = looked else { return };
        after = page.last;
        if page.left_out + page.not_looked_at > 0 {
            let data = json!({ "left_out": page.left_out, "not_looked_at": page.not_looked_at });
            if sender.send(Event::default().event("dropped").data(data.to_string())).await.is_err() {
                return;
            }
        }
        if !page.hits.is_empty() {
            let event = Event::default().event("hits").id(after.to_string()).data(form(&page.hits).to_string());
            if sender.send(event).await.is_err() {
                return;
            }
        }
    }
}
