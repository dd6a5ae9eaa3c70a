//! Push over HTTP: `POST /api/v1/events` with NDJSON or one JSON array, plain, gzip or zstd.
//!
//! In: a request, and the [`PushIdentity`] that the caller's authentication puts into its extensions.
//! Out: 200 `{"accepted":N,"dead_lettered":N}` only after the receipt says that all is durable. Overload:
//! 429 with `Retry-After`. Bounds: bytes of the body, bytes after decompression (a bomb is cut off while it is
//! unpacked), bytes of a record, records of a request; past them 413. Failure: JSON
//! `{"error":{"code","message","detail","request_id"}}`. A record that cannot be read is a dead letter,
//! never a refused request. Source: contract.md, HTTP; RFC 9110 section 8.4; RFC 6585 section 4 (429).

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use nhatle_event::{Clock, Record, Text, Timestamp};
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::{Batch, Refusal, SharedCounts, Sink};
use crate::frame::{Origin, trim_frame};

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
            receipt_wait: Duration::from_secs(30),
        }
    }
}

/// What the handler needs.
#[derive(Clone)]
pub struct Push {
    sink: Sink,
    clock: Arc<dyn Clock>,
    limits: PushLimits,
    counts: SharedCounts,
    requests: Arc<AtomicU64>,
}

impl Push {
    /// Pushes go into `sink`.
    pub fn new(sink: Sink, clock: Arc<dyn Clock>, limits: PushLimits) -> Push {
        Push { sink, clock, limits, counts: SharedCounts::default(), requests: Arc::default() }
    }

    /// The counts, shared.
    pub fn counts(&self) -> SharedCounts {
        Arc::clone(&self.counts)
    }

    /// The routes: `POST /api/v1/events`. The caller layers authentication over it, which must insert a
    /// [`PushIdentity`].
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/events", post(push))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self)
    }
}

/// Why a request is refused.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    detail: String,
    retry_after_s: Option<u32>,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, message: &'static str) -> Refused {
        Refused { status, code, message, detail: String::new(), retry_after_s: None }
    }

    fn detail(self, detail: impl Into<String>) -> Refused {
        Refused { detail: detail.into(), ..self }
    }

    fn too_large(detail: String) -> Refused {
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the request is larger than allowed").detail(detail)
    }

    fn busy(retry_after_s: u32) -> Refused {
        let refused = Refused::new(StatusCode::TOO_MANY_REQUESTS, "busy", "no room for more events now, come again");
        Refused { retry_after_s: Some(retry_after_s), ..refused }
    }

    fn unavailable(detail: impl Into<String>) -> Refused {
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "not_stored", "the events could not be stored").detail(detail)
    }

    fn response(self, request_id: &str) -> Response {
        let error = json!({
            "code": self.code, "message": self.message, "detail": self.detail, "request_id": request_id,
        });
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

type Peer = Option<Extension<ConnectInfo<std::net::SocketAddr>>>;

async fn push(
    State(push): State<Push>,
    identity: Option<Extension<PushIdentity>>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let number = push.requests.fetch_add(1, Ordering::Relaxed);
    let given = headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(|id| id.len() <= 64);
    let request_id = given.map_or_else(|| format!("push-{number}"), ToOwned::to_owned);
    let Some(Extension(identity)) = identity else {
        let refused =
            Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", "a token with the right to push is needed");
        return refused.response(&request_id);
    };
    let mut origin = Origin::new("http");
    origin.unit = identity.unit;
    origin.peer = peer.map(|Extension(ConnectInfo(address))| address.ip().to_canonical());
    match push.take(origin, &headers, body).await {
        Ok(receipt) => {
            let answer = json!({
                "accepted": receipt.accepted + receipt.duplicate, "dead_lettered": receipt.dead_lettered,
                "duplicate": receipt.duplicate,
            });
            Json(answer).into_response()
        }
        Err(refused) => {
            tracing::debug!(token = %identity.name, code = refused.code, "push refused");
            refused.response(&request_id)
        }
    }
}

impl Push {
    async fn take(&self, origin: Origin, headers: &HeaderMap, body: Body) -> Result<super::Receipt, Refused> {
        // Reserving first: a full channel refuses before the body is unpacked.
        let slot = match self.sink.try_reserve() {
            Ok(slot) => slot,
            Err(TrySendError::Full(())) => return Err(Refused::busy(1)),
            Err(TrySendError::Closed(())) => return Err(Refused::unavailable("shutting down")),
        };
        let limit = self.limits.body_bytes_max;
        let bytes = axum::body::to_bytes(body, limit)
            .await
            .map_err(|_cut| Refused::too_large(format!("at most {limit} bytes, or the body did not arrive whole")))?;
        let received = self.clock.now();
        let limits = self.limits;
        let encoding = encoding(headers)?;
        let records = tokio::task::spawn_blocking(move || unpack(bytes, encoding, &origin, received, &limits))
            .await
            .map_err(|error| Refused::unavailable(error.to_string()))??;
        if records.is_empty() {
            return Ok(super::Receipt::default());
        }
        self.counts.add_received(super::sizes(&records));
        let (done, receipt) = oneshot::channel();
        slot.send(Batch { records, done: Some(done) });
        match tokio::time::timeout(self.limits.receipt_wait, receipt).await {
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Encoding::Identity) };
    match value.to_str().unwrap_or_default().trim() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        other => {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Refused::new(status, "encoding", "content encodings are gzip and zstd")
                .detail(other.chars().take(32).collect::<String>()))
        }
    }
}

/// Unpacks a body and cuts it into records.
fn unpack(
    body: Bytes,
    encoding: Encoding,
    origin: &Origin,
    received: Timestamp,
    limits: &PushLimits,
) -> Result<Vec<Record>, Refused> {
    let unpacked = match encoding {
        Encoding::Identity => None,
        Encoding::Gzip => Some(read_bounded(flate2::read::MultiGzDecoder::new(body.as_ref()), limits)?),
        Encoding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref());
            Some(read_bounded(decoder.map_err(|error| broken_encoding(&error))?, limits)?)
        }
    };
    records_of(unpacked.as_deref().unwrap_or(&body), origin, received, limits)
}

fn broken_encoding(error: &std::io::Error) -> Refused {
    let message = "the body is not in its content encoding";
    Refused::new(StatusCode::BAD_REQUEST, "broken_encoding", message).detail(error.to_string())
}

fn read_bounded(reader: impl Read, limits: &PushLimits) -> Result<Vec<u8>, Refused> {
    let limit = limits.unpacked_bytes_max;
    let mut unpacked = Vec::new();
    let with_one_more = u64::try_from(limit).unwrap_or(u64::MAX - 1).saturating_add(1);
    reader.take(with_one_more).read_to_end(&mut unpacked).map_err(|error| broken_encoding(&error))?;
    if limit < unpacked.len() {
        return Err(Refused::too_large(format!("at most {limit} bytes unpacked")));
    }
    Ok(unpacked)
}

/// The records of a body: a JSON array's elements, else its lines.
fn records_of(body: &[u8], origin: &Origin, received: Timestamp, limits: &PushLimits) -> Result<Vec<Record>, Refused> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let mut records = Vec::new();
    let mut keep = |bytes: &[u8], is_element: bool| {
        let bytes = trim_frame(bytes).trim_ascii();
        if bytes.is_empty() {
            return Ok(());
        }
        if limits.records_max <= records.len() {
            return Err(Refused::too_large(format!("at most {} records", limits.records_max)));
        }
        let kept = bytes.get(..limits.record_bytes_max).unwrap_or(bytes);
        let mut record = origin.record(kept, received, kept.len() < bytes.len());
        if is_element && !bytes.starts_with(b"{") {
            // An element that is no object can only be a dead letter.
            record.profile = Some(Text::const_new("json"));
        }
        records.push(record);
        Ok(())
    };
    match body {
        [b'[', rest @ ..] if matches!(rest.trim_ascii_start().first(), Some(b'{' | b']')) => {
            for element in crate::parse::json::elements(body) {
                keep(element, true)?;
            }
        }
        _ => {
            for line in body.split(|byte| *byte == b'\n') {
                keep(line, false)?;
            }
        }
    }
    Ok(records)
}
