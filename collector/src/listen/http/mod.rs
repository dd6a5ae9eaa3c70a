//! Push over HTTP: NDJSON, Elasticsearch `_bulk`, Splunk HEC, OTLP logs, systemd's journal; plain, gzip
//! or zstd.
//!
//! In: a request, and the [`PushIdentity`] that the caller's authentication puts into its extensions.
//! Out: each protocol's own success, only after the receipt says that all is durable. Overload: 429 (HEC: 503)
//! with `Retry-After` to the token that has its share of the room; 503 with `Retry-After` while nothing can be stored. Bounds: bytes of the body, bytes after decompression (a bomb is cut off while it is
//! unpacked), bytes of all bodies held at once, bytes of a record, records of a request; past them 413 or 429.
//! A record that cannot be read is a dead letter, never a refused request.
//! Source: contract.md, HTTP; RFC 9110 section 8.4; RFC 6585 section 4 (429).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use nhatle_event::{Clock, Record, Text, Timestamp};
use tokio::sync::{oneshot, watch};

use self::refused::Refused;
use self::room::{Hold, Room};
use super::fair::Sender;
use super::queue::NoRoom;
use super::resend::{Delivery, Ending, Kind, Lane, LastPush};
use super::{Batch, Receipt, Refusal, SharedCounts, Sink};
use crate::frame::Origin;

mod body;
mod refused;
mod events;
mod elastic;
mod elastic_face;
mod hec;
mod journal;
mod otlp;
mod protobuf;
mod room;

#[cfg(test)]
mod tests;

pub use refused::denied;

/// Who pushes: set as a request extension by the caller's authentication. A request without one is
/// refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushIdentity {
    /// The unit all its events belong to; `None` = a token of the whole city.
    pub unit: Option<Text>,
    /// The name of the token or account, for the input's name.
    pub name: Text,
}

/// The bounds of a push.
#[derive(Clone, Copy, Debug)]
pub struct PushLimits {
    /// Bytes of the body as sent.
    pub body_bytes_max: usize,
    /// Bytes of the body unpacked.
    pub unpacked_bytes_max: usize,
    /// Bytes of one record; a longer one is cut (and then a dead letter, as it no longer ends).
    pub record_bytes_max: usize,
    /// Records of one request.
    pub records_max: usize,
    /// Bytes of all bodies held at once, unpacked ones included; a request past it is told to come again.
    pub held_bytes_max: usize,
    /// How long a request waits for its receipt before it is answered 503; the sender may repeat it.
    pub receipt_wait: Duration,
}

impl Default for PushLimits {
    fn default() -> PushLimits {
        PushLimits {
            body_bytes_max: 16 << 20,
            unpacked_bytes_max: 64 << 20,
            record_bytes_max: 1 << 20,
            records_max: 100_000,
            held_bytes_max: 512 << 20,
            receipt_wait: Duration::from_secs(30),
        }
    }
}

/// Whether a path is answered without a token: Splunk's health, which senders and balancers ask for without one.
pub fn is_open(path: &str) -> bool {
    matches!(path, "/services/collector/health" | "/services/collector/health/1.0")
}

/// A place where pushes come in; every protocol's handler has one.
#[derive(Clone)]
pub struct Push {
    sink: Sink,
    clock: Arc<dyn Clock>,
    limits: watch::Receiver<PushLimits>,
    counts: SharedCounts,
    requests: Arc<AtomicU64>,
    /// Room for bodies.
    room: Arc<Room>,
}

/// What a sender is told to wait while nothing can be stored.
const SHUT_RETRY_AFTER_S: u32 = 10;
/// How many times its size a packed body is taken to need once unpacked, before that is known.
const UNPACKED_TIMES: usize = 8;

impl Push {
    /// Pushes go into `sink`.
    pub fn new(sink: Sink, clock: Arc<dyn Clock>, limits: PushLimits) -> Push {
        let room = Arc::new(Room::new(limits.held_bytes_max));
        let limits = watch::channel(limits).1;
        Push { sink, clock, limits, counts: SharedCounts::default(), requests: Arc::default(), room }
    }

    /// Where its records go.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// The same with limits that may change while it runs; the room for all bodies stays as it is.
    #[must_use]
    pub fn with_limits(self, limits: watch::Receiver<PushLimits>) -> Push {
        Push { limits, ..self }
    }

    fn limits(&self) -> PushLimits {
        *self.limits.borrow()
    }

    /// The counts, shared.
    pub fn counts(&self) -> SharedCounts {
        Arc::clone(&self.counts)
    }

    /// Every push route of the main address. The caller layers authentication over it, which must insert a
    /// [`PushIdentity`] and answers with [`denied`].
    pub fn router(self) -> Router {
        let elastic = elastic_face::router().nest("/es", elastic_face::root());
        events::router()
            .merge(hec::router())
            .merge(otlp::router())
            .merge(journal::router())
            .merge(elastic)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self)
    }

    /// The Elasticsearch face alone, for an address of its own. Authentication as for [`Push::router`].
    pub fn elastic_router(self) -> Router {
        elastic_face::root().layer(axum::extract::DefaultBodyLimit::disable()).with_state(self)
    }
}

/// A request to push, its sender known.
struct Incoming {
    /// What its records share.
    origin: Origin,
    /// The name of the token, for the log.
    token: Text,
    /// What it is called in answers and in the log.
    request_id: String,
    headers: HeaderMap,
    /// The query as sent, without the question mark.
    query: String,
    /// What its connection brought before.
    last_push: LastPush,
    body: Body,
}

impl FromRequest<Push> for Incoming {
    type Rejection = Response;

    async fn from_request(request: Request, push: &Push) -> Result<Incoming, Response> {
        let number = push.requests.fetch_add(1, Ordering::Relaxed);
        let (mut parts, body) = request.into_parts();
        let given = parts.headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(|id| id.len() <= 64);
        let request_id = given.map_or_else(|| format!("push-{number}"), ToOwned::to_owned);
        let Some(identity) = parts.extensions.remove::<PushIdentity>() else {
            return Err(denied(parts.uri.path(), StatusCode::UNAUTHORIZED));
        };
        let mut origin = Origin::new("http");
        origin.unit = identity.unit;
        let peer = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>();
        origin.peer = peer.map(|ConnectInfo(address)| address.ip().to_canonical());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let last_push = parts.extensions.remove::<LastPush>().unwrap_or_default();
        let (token, headers) = (identity.name, parts.headers);
        Ok(Incoming { origin, token, request_id, headers, query, last_push, body })
    }
}

impl Incoming {
    /// The value of a query parameter, as sent.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether the body is said to be of this media type.
    fn is_media_type(&self, name: &str) -> bool {
        let sent = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        sent.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(name)
    }
}

/// What a protocol's reader is given: the unpacked body, whose it is, when it came, the bounds.
struct Arrived<'a> {
    body: &'a [u8],
    origin: &'a Origin,
    received: Timestamp,
    limits: &'a PushLimits,
}

impl Push {
    /// Reads, unpacks and cuts a body, hands its records on and waits until they are durable. `cut` makes the
    /// records, and whatever the answer needs besides.
    async fn take<T: Send + 'static>(
        &self,
        incoming: Incoming,
        cut: impl FnOnce(&Arrived<'_>) -> Result<(Vec<Record>, T), Refused> + Send + 'static,
    ) -> Result<(Receipt, T), Refused> {
        let sender = Sender::named(&incoming.token);
        // Asked first: without room a body is refused before it is read.
        self.admit(sender)?;
        let encoding = body::encoding(&incoming.headers)?;
        let (bytes, mut hold) = self.read(sender, incoming.body).await?;
        if encoding != body::Encoding::Identity {
            let expected = bytes.len().saturating_mul(UNPACKED_TIMES).min(self.limits().unpacked_bytes_max);
            hold.grow(expected).ok_or_else(|| Refused::busy(1))?;
        }
        let (received, limits, origin) = (self.clock.now(), self.limits(), incoming.origin);
        let lane = Lane::of_token(&incoming.token, origin.unit.as_deref(), origin.peer);
        let delivery = Delivery::new(self.sink.breaks(), Kind::Push, lane, origin.peer, received);
        let work = move || {
            let body = body::unpack(bytes, encoding, &limits)?;
            cut(&Arrived { body: &body, origin: &origin, received, limits: &limits })
        };
        let (records, more) =
            tokio::task::spawn_blocking(work).await.map_err(|error| Refused::unavailable(error.to_string()))??;
        // Broken, if whoever waits for the answer is gone before it comes.
        let ending = Ending::new(delivery, self.clock.clone());
        let receipt = self.store(sender, records, Some(ending.delivery())).await?;
        incoming.last_push.answered(ending);
        Ok((receipt, more))
    }

    /// Hands records on and waits until they are durable.
    async fn store(
        &self,
        sender: Sender,
        records: Vec<Record>,
        delivery: Option<&Arc<Delivery>>,
    ) -> Result<Receipt, Refused> {
        if records.is_empty() {
            return Ok(Receipt::default());
        }
        self.counts.add_received(super::sizes(&records));
        let (done, receipt) = oneshot::channel();
        let stored = async {
            // Others of this sender may have taken its room meanwhile.
            let batch = Batch { done: Some(done), delivery: delivery.cloned(), ..Batch::of(records) };
            if let Err(closed) = self.sink.send_as(sender, batch).await {
                tracing::debug!(%closed, "pushed events not taken");
            }
            receipt.await
        };
        match tokio::time::timeout(self.limits().receipt_wait, stored).await {
            Ok(Ok(Ok(receipt))) => Ok(receipt),
            Ok(Ok(Err(Refusal::Busy { retry_after_s }))) => Err(Refused::busy(retry_after_s)),
            Ok(Ok(Err(Refusal::Store { reason }))) => {
                tracing::error!(reason, "pushed events were not stored");
                Err(Refused::unavailable("writing went wrong"))
            }
            Ok(Err(_closed)) => Err(Refused::unavailable("shutting down")),
            Err(_elapsed) => Err(Refused::unavailable("no receipt in time")),
        }
    }

    /// Whether this sender may come now.
    fn admit(&self, sender: Sender) -> Result<(), Refused> {
        self.sink.admit(sender).map_err(|why| match why {
            NoRoom::Flood | NoRoom::Full => Refused::busy(1),
            NoRoom::Shut => Refused::shut(SHUT_RETRY_AFTER_S),
            NoRoom::Closed => Refused::unavailable("shutting down"),
        })
    }

    /// Reads a body within its bound, as far as there is room for it beside the others.
    async fn read(&self, sender: Sender, body: Body) -> Result<(Bytes, Hold), Refused> {
        use axum::body::HttpBody;
        let limit = self.limits().body_bytes_max;
        let mut body = std::pin::pin!(body);
        let mut read = Vec::new();
        let mut hold = Hold::new(&self.room, sender);
        while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            let frame = frame
                .map_err(|_broken| Refused::new(StatusCode::BAD_REQUEST, "cut", "the body did not arrive whole"))?;
            let Ok(data) = frame.into_data() else { continue };
            if limit < read.len() + data.len() {
                return Err(Refused::too_large(format!("at most {limit} bytes")));
            }
            hold.grow(data.len()).ok_or_else(|| Refused::busy(1))?;
            read.extend_from_slice(&data);
        }
        Ok((read.into(), hold))
    }
}
