//! The city's end: `POST /api/v1/forward`.
//!
//! In: a packed request of a forwarder whose certificate or token was looked at. Out: 200 with [`Reply`] once its new
//! records are durable, together with the number up to which they are. Promise: one request of a forwarder is decided at
//! a time, and the next one only when the one before is durable or refused, so that a record is taken once whatever is
//! sent again, also after `kill -9` of either side. Failure: 400 what makes no sense, 409 a fork, 413 too large, 429 and
//! 503 with `Retry-After`. Bounds: bytes packed and unpacked, requests at once, forwarders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use nhatle_collector::listen::fair::Sender;
use nhatle_collector::listen::http::PushIdentity;
use nhatle_collector::listen::queue::NoRoom;
use nhatle_collector::listen::{Batch, Keep, Refusal};
use nhatle_collector::{Sink, forwarded_input, wire};
use nhatle_event::{Record, Text, Timestamp};
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};

use super::head::{Admitted, Forwarder, Head, Reply, admit};
use super::losses;
use crate::pipeline::Shared;
use crate::sources::owners::By;
use crate::sources::tally::Whose;

/// Where forwarders send.
pub const PATH: &str = "/api/v1/forward";
/// Places of forwarders are kept under keys that begin so.
pub const KEY: &str = "forward/";
/// Bytes of a request, packed and unpacked: one record of the longest kind fits.
const BODY_BYTES_MAX: usize = 24 << 20;
/// Requests that are unpacked at once.
const PARALLEL_MAX: usize = 8;
/// How many forwarders one city has.
const FORWARDERS_MAX: usize = 1_024;
/// How long a request waits for its turn, and for durability, before its sender is told to come again.
const WAIT: Duration = Duration::from_secs(25);

/// How long a forwarder waits while nothing may be stored.
const SHUT_WAIT_S: u32 = 30;

type Row = Arc<tokio::sync::Mutex<Forwarder>>;

/// Every forwarder, as it is now.
#[derive(Default)]
pub struct Forwarders {
    rows: Mutex<BTreeMap<String, Row>>,
    /// What pages see, without waiting for a request in progress.
    seen: Mutex<BTreeMap<String, Forwarder>>,
}

impl Forwarders {
    /// Those whose places were kept, by key and value.
    pub fn new<'a>(kept: impl Iterator<Item = (&'a str, &'a str)>) -> Forwarders {
        let forwarders = Forwarders::default();
        for (key, value) in kept {
            let key = key.strip_prefix(KEY).unwrap_or(key);
            match serde_json::from_str::<Forwarder>(value) {
                Ok(row) => {
                    forwarders.rows().insert(key.to_owned(), Arc::new(tokio::sync::Mutex::new(row.clone())));
                    forwarders.show(key, row);
                }
                Err(error) => tracing::error!(%error, key, "place of a forwarder cannot be read"),
            }
        }
        forwarders
    }

    /// What is known of each, for pages.
    pub fn all(&self) -> Vec<Forwarder> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, key: &str, row: Forwarder) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), row);
    }

    fn row(&self, key: &str, name: &str, identity: &PushIdentity) -> Option<Row> {
        let mut rows = self.rows();
        if FORWARDERS_MAX <= rows.len() && !rows.contains_key(key) {
            return None;
        }
        let unit = identity.unit.as_deref().map(ToOwned::to_owned);
        let fresh = || Forwarder { name: name.to_owned(), unit, ..Forwarder::default() };
        Some(rows.entry(key.to_owned()).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(fresh()))).clone())
    }
}

/// Where forwarders come in.
#[derive(Clone)]
pub struct Receiver {
    sink: Sink,
    shared: Arc<Shared>,
    turns: Arc<Semaphore>,
}

impl Receiver {
    /// Their records go into `sink`.
    pub fn new(sink: Sink, shared: Arc<Shared>) -> Receiver {
        Receiver { sink, shared, turns: Arc::new(Semaphore::new(PARALLEL_MAX)) }
    }

    /// The route. The caller layers authentication over it, which inserts a [`PushIdentity`].
    pub fn router(self) -> Router {
        Router::new().route(PATH, post(receive)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(self)
    }
}

/// Why a request is not taken.
#[derive(Debug)]
enum Refused {
    Bad(String),
    TooLarge(String),
    Busy(u32),
    Unavailable(String),
    Forked(Reply),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code, message, retry_after) = match self {
            Refused::Forked(reply) => return (StatusCode::CONFLICT, Json(reply)).into_response(),
            Refused::Bad(message) => (StatusCode::BAD_REQUEST, "bad_request", message, None),
            Refused::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, None),
            Refused::Busy(wait) => (StatusCode::TOO_MANY_REQUESTS, "busy", "come again".to_owned(), Some(wait)),
            Refused::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", message, Some(5)),
        };
        let body = Json(json!({"error": {"code": code, "message": message, "detail": null, "request_id": null}}));
        let wait = retry_after.map(|wait| (header::RETRY_AFTER, wait.to_string()));
        let headers: Vec<(HeaderName, String)> = wait.into_iter().collect();
        (status, axum::response::AppendHeaders(headers), body).into_response()
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    identity: Option<Extension<PushIdentity>>,
    body: Bytes,
) -> Result<Json<Reply>, Refused> {
    let Some(Extension(identity)) = identity else {
        return Err(Refused::Bad("nobody was authenticated".to_owned()));
    };
    let turn = tokio::time::timeout(WAIT, receiver.turns.clone().acquire_owned()).await;
    let Ok(Ok(_turn)) = turn else { return Err(Refused::Busy(2)) };
    let read = tokio::task::spawn_blocking(move || read(&body)).await;
    let (head, records) = read.map_err(|error| Refused::Unavailable(error.to_string()))??;
    // It goes on when its sender has gone: what is in the pipeline has to be known to be durable before the next one.
    let taken = tokio::spawn(take(receiver, identity, head, records));
    taken.await.map_err(|error| Refused::Unavailable(error.to_string()))?
}

fn read(body: &[u8]) -> Result<(Head, Vec<Record>), Refused> {
    let refused = |error: wire::WireError| match error {
        wire::WireError::TooMuch { .. } => Refused::TooLarge(error.to_string()),
        other => Refused::Bad(other.to_string()),
    };
    let unpacked = wire::unpack(body, BODY_BYTES_MAX).map_err(refused)?;
    let (head, records) = wire::decode_request(&unpacked).map_err(refused)?;
    let head: Head = serde_json::from_slice(head).map_err(|error| Refused::Bad(format!("head: {error}")))?;
    head.check(records.len()).map_err(|error| Refused::Bad(error.to_string()))?;
    Ok((head, records))
}

async fn take(
    receiver: Receiver,
    identity: PushIdentity,
    head: Head,
    mut records: Vec<Record>,
) -> Result<Json<Reply>, Refused> {
    let (name, key) = names(&identity, &head.forwarder);
    let row = receiver.shared.forwarders.row(&key, &name, &identity);
    let row = row.ok_or_else(|| Refused::Unavailable("more forwarders than one city has".to_owned()))?;
    let turn = tokio::time::timeout(WAIT, row.lock_owned()).await;
    let Ok(mut forwarder) = turn else { return Err(Refused::Busy(2)) };
    let now = receiver.shared.clock.now();
    let (skip, next, is_kept, reply) = match admit(&forwarder, &head, now.0) {
        Admitted::Take { skip, next, is_kept, reply } => (skip, *next, is_kept, reply),
        Admitted::Forked(reply) => {
            forwarder.forks += 1;
            tracing::warn!(
                forwarder = name,
                durable_to = reply.durable_to,
                "a forwarder came with other records of old numbers"
            );
            receiver.shared.forwarders.show(&key, forwarder.clone());
            return Err(Refused::Forked(reply));
        }
    };
    if is_kept {
        records.drain(..skip.min(records.len()));
        records.iter_mut().for_each(|record| take_over(record, &name, &identity, now));
        let value = serde_json::to_string(&next).map_err(|error| Refused::Unavailable(error.to_string()))?;
        let keep = vec![Keep { key: format!("{KEY}{key}"), value }];
        let sender = Sender::named(&name);
        receiver.sink.admit(sender).map_err(|why| match why {
            NoRoom::Flood | NoRoom::Full => Refused::Busy(1),
            NoRoom::Shut => Refused::Busy(SHUT_WAIT_S),
            NoRoom::Closed => Refused::Unavailable("shutting down".to_owned()),
        })?;
        let (done, receipt) = oneshot::channel();
        let sent = receiver.sink.send_as(sender, Batch { done: Some(done), keep, ..Batch::of(records) }).await;
        sent.map_err(|_closed| Refused::Unavailable("shutting down".to_owned()))?;
        match receipt.await {
            Ok(Ok(_receipt)) => {}
            Ok(Err(Refusal::Busy { retry_after_s })) => return Err(Refused::Busy(retry_after_s)),
            Ok(Err(Refusal::Store { reason })) => {
                tracing::error!(reason, forwarder = name, "forwarded records were not stored");
                return Err(Refused::Unavailable("writing went wrong".to_owned()));
            }
            Err(_closed) => return Err(Refused::Unavailable("shutting down".to_owned())),
        }
    }
    note_gaps(&receiver.shared, &forwarder, &next, now);
    if let Some(report) = &head.losses
        && forwarder.losses_id != next.losses_id
    {
        losses::note(&receiver.shared, (&next.name, next.unit.as_deref()), report, now);
    }
    *forwarder = next;
    receiver.shared.forwarders.show(&key, forwarder.clone());
    Ok(Json(reply))
}

/// A record as the city's: what its forwarder may not say, and what it cannot know, is not believed.
fn take_over(record: &mut Record, name: &str, identity: &PushIdentity, now: Timestamp) {
    let input = std::mem::replace(&mut record.input, Text::const_new(""));
    record.input = forwarded_input(name, &input);
    record.canary = None;
    if &*input == super::status::INPUT {
        record.source = Some(Text::from(name));
    }
    if identity.unit.is_some() {
        record.unit.clone_from(&identity.unit);
    }
    // A ward's clock may be years ahead; correlations of the whole city go by the newest moment of receipt.
    record.received = record.received.min(now);
}

/// Writes new gaps into the receipt book too, on the row of the forwarder itself.
fn note_gaps(shared: &Shared, before: &Forwarder, after: &Forwarder, now: Timestamp) {
    if before.lost == after.lost {
        return;
    }
    let unit = after.unit.as_deref();
    let renamed = shared.owners.renamed(&after.name, unit, By::Grant, &shared.units.get(), now);
    let whose = Whose { source: renamed.as_deref().unwrap_or(&after.name), input: "forward", unit };
    let known = before.gaps.last();
    for gap in &after.gaps {
        match before.gaps.iter().find(|old| (&old.epoch, old.lane, old.first) == (&gap.epoch, gap.lane, gap.first)) {
            // The last one may have grown.
            Some(old) if Some(old) == known && old.last < gap.last => {
                shared.noted().gap(whose, (old.last + 1, gap.last), now);
            }
            Some(_) => {}
            None => shared.noted().gap(whose, (gap.first, gap.last), now),
        }
    }
}

/// What a forwarder is called, and its key: whoever proved a name is called so; one token may serve several forwarders,
/// which then are told apart by what they call themselves.
fn names(identity: &PushIdentity, claimed: &str) -> (String, String) {
    let clean = |text: &str| -> String {
        text.chars().map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect()
    };
    let (proved, claimed) = (clean(&identity.name), clean(claimed));
    let name = if proved == claimed { proved.clone() } else { format!("{proved}.{claimed}") };
    (name, format!("{proved}/{claimed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_was_received_after_it_came_to_the_city() {
        let identity = PushIdentity { name: "dh01".into(), unit: Some("DH01".into()) };
        let now = Timestamp(1_000);
        for (said, believed) in [(900, 900), (1_000, 1_000), (4_000_000_000_000_000_000, 1_000)] {
            let mut record = Record::new(*b"x", "syslog-udp", Timestamp(said));
            take_over(&mut record, "dh01", &identity, now);
            assert_eq!((record.received, record.unit.as_deref()), (Timestamp(believed), Some("DH01")));
            assert_eq!(&*record.input, "dh01: syslog-udp");
        }
    }
}
