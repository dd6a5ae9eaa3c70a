//! Searches that run: how many, of whom, and that each ends when nobody waits for its answer.
//!
//! In: a search and who asks. Out: its page, or lines of JSON while it goes on. Promise: at most [`SEARCHES_MAX`] run
//! at once and [`SEARCHES_OF_ONE_MAX`] of one person; one whose client is gone is told to stop; what waits for a slow
//! client is bounded, and one that takes nothing for [`PATIENCE`] is given up. Failure: [`Failure::SearchesFull`].

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::Response;
use futures_core::Stream;
use nhatle_event::Stored;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::account::Viewer;
use crate::failure::Failure;
use crate::locale;
use crate::model::{SearchPage, SearchPart, SearchProgress, SearchQuery};
use crate::pages::Page;
use crate::request::Asked;

/// How many searches run at once.
pub(crate) const SEARCHES_MAX: usize = 16;
/// How many of one account or token.
pub(crate) const SEARCHES_OF_ONE_MAX: usize = 4;
/// How many lines wait for a client.
const LINES_WAITING_MAX: usize = 16;
/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often progress is told at most.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);
/// How long a search waits before it tries again to give a line.
const LINE_PAUSE: Duration = Duration::from_millis(10);

/// The searches that run, by account; or what else goes on for long.
pub(crate) struct Searches {
    by_user: Mutex<HashMap<String, usize>>,
    all_max: usize,
    of_one_max: usize,
}

impl Default for Searches {
    fn default() -> Searches {
        Searches::new(SEARCHES_MAX, SEARCHES_OF_ONE_MAX)
    }
}

/// One search that runs; dropped, it is told to stop.
pub(crate) struct Running {
    searches: Arc<Searches>,
    user: String,
    pub stop: Arc<AtomicBool>,
}

impl Searches {
    /// None run; so many may.
    pub fn new(all_max: usize, of_one_max: usize) -> Searches {
        Searches { by_user: Mutex::default(), all_max, of_one_max }
    }

    /// Counts one more, where there is room.
    pub fn begin(self: &Arc<Searches>, viewer: &Viewer) -> Result<Running, Failure> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = by_user.values().sum();
        let own = by_user.get(&viewer.user).copied().unwrap_or(0);
        if self.all_max <= all || self.of_one_max <= own {
            return Err(Failure::SearchesFull);
        }
        by_user.insert(viewer.user.clone(), own + 1);
        Ok(Running { searches: Arc::clone(self), user: viewer.user.clone(), stop: Arc::default() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut by_user = self.searches.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_user.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                by_user.remove(&self.user);
            }
        }
    }
}

/// Runs a search to its end, or until the client is gone.
pub(crate) async fn run(asked: &Asked, query: SearchQuery) -> Result<SearchPage, Failure> {
    let running = asked.state.searches.begin(asked.viewer()?)?;
    let stop = Arc::clone(&running.stop);
    asked
        .desk(move |desk, viewer| {
            let mut hits = Vec::new();
            let mut page = desk.search_parts(viewer, &query, &stop, &mut |part| {
                if let SearchPart::Hits(more) = part {
                    hits.extend(more);
                }
            })?;
            page.hits = hits;
            Ok(page)
        })
        .await
}

/// What a stream tells, to be put into a line.
pub(crate) enum Told<'a> {
    Hits(&'a [Stored]),
    Progress(&'a SearchProgress),
    End(&'a SearchPage),
}

enum Sent {
    Line(Bytes),
    Failed(Failure),
}

/// Runs a search and answers with a line of JSON for each part; a failure before the first is an answer of its own.
pub(crate) async fn stream(
    asked: Asked,
    query: SearchQuery,
    line: impl Fn(Told<'_>) -> Value + Send + Sync + 'static,
) -> Page {
    let running = asked.state.searches.begin(asked.viewer()?)?;
    let stop = Arc::clone(&running.stop);
    let language = asked.language;
    let (sender, mut receiver) = mpsc::channel(LINES_WAITING_MAX);
    tokio::spawn(async move {
        let (lines, line) = (sender.clone(), Arc::new(line));
        let shown = Arc::clone(&line);
        let done = asked
            .desk(move |desk, viewer| {
                let mut told_at: Option<Instant> = None;
                desk.search_parts(viewer, &query, &stop, &mut |part| {
                    let value = match &part {
                        SearchPart::Hits(hits) => shown(Told::Hits(hits)),
                        SearchPart::Progress(progress) => {
                            if told_at.is_some_and(|at| at.elapsed() < PROGRESS_PAUSE) {
                                return;
                            }
                            told_at = Some(Instant::now());
                            shown(Told::Progress(progress))
                        }
                    };
                    put(&lines, &stop, &value);
                })
            })
            .await;
        let last = match done {
            Ok(page) => Sent::Line(line_of(&line(Told::End(&page)))),
            Err(failure) => Sent::Failed(failure),
        };
        // A client that is gone needs no end.
        drop(tokio::time::timeout(PATIENCE, sender.send(last)).await);
    });
    let first = match receiver.recv().await {
        Some(Sent::Line(line)) => line,
        Some(Sent::Failed(failure)) => return Err(failure),
        None => return Err(Failure::Internal),
    };
    let lines = Lines { first: Some(first), receiver, language, _running: running };
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn line_of(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

/// Gives a line, waiting for room; a client that takes nothing for too long ends the search.
fn put(lines: &mpsc::Sender<Sent>, stop: &AtomicBool, value: &Value) {
    let mut sent = Sent::Line(line_of(value));
    let begin = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        sent = match lines.try_send(sent) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(sent)) if begin.elapsed() < PATIENCE => sent,
            Err(_gone) => break,
        };
        std::thread::sleep(LINE_PAUSE);
    }
    stop.store(true, Ordering::Relaxed);
}

/// The lines of one search as a body; dropped, the search is told to stop.
struct Lines {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Sent>,
    language: crate::account::Language,
    _running: Running,
}

impl Stream for Lines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.receiver.poll_recv(context).map(|sent| {
            Some(Ok(match sent? {
                Sent::Line(line) => line,
                Sent::Failed(failure) => {
                    let message = locale::text(self.language, &format!("error-{}", failure.code()));
                    let (code, detail) = (failure.code(), failure.detail());
                    line_of(&json!({ "type": "error", "code": code, "message": message, "detail": detail }))
                }
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Role;

    fn viewer(user: &str) -> Viewer {
        Viewer { user: user.to_owned(), name: user.to_owned(), role: Role::Analyst, unit: None }
    }

    #[test]
    fn one_person_and_all_together_have_bounds() {
        let searches: Arc<Searches> = Arc::default();
        let of_lan: Vec<Running> =
            (0..SEARCHES_OF_ONE_MAX).map(|_| searches.begin(&viewer("lan")).expect("room")).collect();
        assert!(matches!(searches.begin(&viewer("lan")), Err(Failure::SearchesFull)));
        let others = SEARCHES_MAX - SEARCHES_OF_ONE_MAX;
        let of_others: Vec<Running> =
            (0..others).map(|at| searches.begin(&viewer(&format!("u{at}"))).expect("room")).collect();
        assert!(matches!(searches.begin(&viewer("minh")), Err(Failure::SearchesFull)));
        let stop = Arc::clone(&of_lan[0].stop);
        drop((of_lan, of_others));
        assert!(stop.load(Ordering::Relaxed), "what nobody waits for is told to stop");
        assert!(searches.begin(&viewer("lan")).is_ok());
        assert!(searches.by_user.lock().expect("held by nobody").is_empty());
    }
}
