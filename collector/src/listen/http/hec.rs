//! Splunk's HTTP Event Collector: `event`, `raw`, `ack` and `health`.
//!
//! In: JSON objects one after another (`event`), or lines (`raw`). Out: 200 `{"text":"Success","code":0}` once all
//! is durable, with an `ackId` where a channel is named; since nothing is answered before it is durable, every id
//! that was given out is acknowledged. Overload: 503 code 9 with `Retry-After`. An object that cannot be read, or
//! has no `event`, is a dead letter. Bounds: those of [`super`]. No `Content-Type` is asked for: several senders
//! give none. Source: Splunk, "Format events for HTTP Event Collector" and "HEC troubleshooting" (codes).

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nhatle_event::{Record, Text};
use serde_json::{Value, json};

use super::body::room_for_one_more;
use super::{Arrived, Incoming, Push, Refused};
use crate::frame::trim_frame;
use crate::listen::fair::Sender;
use crate::normalize::envelope;
use crate::parse::json::Scanner;

/// The header that names a channel.
const CHANNEL: &str = "x-splunk-request-channel";
/// How many ids one question for acknowledgements may hold.
const ACKS_MAX: usize = 10_000;

pub(super) fn router() -> Router<Push> {
    Router::new()
        .route("/services/collector", post(events))
        .route("/services/collector/event", post(events))
        .route("/services/collector/event/1.0", post(events))
        .route("/services/collector/raw", post(raw))
        .route("/services/collector/raw/1.0", post(raw))
        .route("/services/collector/ack", post(acks))
        .route("/services/collector/health", get(health))
        .route("/services/collector/health/1.0", get(health))
}

async fn events(State(push): State<Push>, incoming: Incoming) -> Response {
    take(push, incoming, objects).await
}

async fn raw(State(push): State<Push>, incoming: Incoming) -> Response {
    // A source type that names a profile of ours fixes how the lines are read.
    let profile = incoming.parameter("sourcetype").and_then(envelope::profile_of_source_type);
    let cut = move |arrived: &Arrived<'_>| {
        let mut records = Vec::new();
        for line in arrived.body.split(|byte| *byte == b'\n') {
            let line = trim_frame(line);
            if line.is_empty() {
                continue;
            }
            room_for_one_more(&records, arrived.limits)?;
            let mut record = arrived.record(line);
            record.profile = profile.map(|profile| Text::const_new(profile.name()));
            records.push(record);
        }
        no_data_if_empty(records)
    };
    take(push, incoming, cut).await
}

async fn take(
    push: Push,
    incoming: Incoming,
    cut: impl FnOnce(&Arrived<'_>) -> Result<Vec<Record>, Refused> + Send + 'static,
) -> Response {
    let token = incoming.token.clone();
    let has_channel = incoming.headers.contains_key(CHANNEL) || incoming.parameter("channel").is_some();
    match push.take(incoming, |arrived| Ok((cut(arrived)?, ()))).await {
        Ok(_) if has_channel => {
            let id = push.requests.load(Ordering::Relaxed);
            Json(json!({ "text": "Success", "code": 0, "ackId": id })).into_response()
        }
        Ok(_) => Json(json!({ "text": "Success", "code": 0 })).into_response(),
        Err(refused) => {
            tracing::debug!(%token, code = refused.code, detail = %refused.detail, "push refused");
            denied(&refused)
        }
    }
}

/// The objects of a body, which stand one after another with or without anything between them.
fn objects(arrived: &Arrived<'_>) -> Result<Vec<Record>, Refused> {
    let mut records = Vec::new();
    let mut rest = arrived.body.trim_ascii_start();
    while !rest.is_empty() {
        let (object, after) = if rest.starts_with(b"{") {
            rest.split_at(Scanner::default().end_of_value(rest).unwrap_or(rest.len()))
        } else {
            // No object: what stands before the next line is a dead letter, and the rest is looked at.
            rest.split_at(memchr::memchr(b'\n', rest).unwrap_or(rest.len()))
        };
        room_for_one_more(&records, arrived.limits)?;
        records.push(arrived.record_of(object.trim_ascii(), envelope::HEC));
        rest = after.trim_ascii_start();
    }
    no_data_if_empty(records)
}

fn no_data_if_empty(records: Vec<Record>) -> Result<Vec<Record>, Refused> {
    if records.is_empty() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "no_data", "No data"));
    }
    Ok(records)
}

async fn acks(State(push): State<Push>, incoming: Incoming) -> Response {
    let given_out = push.requests.load(Ordering::Relaxed);
    let (bytes, _room) = match push.read(Sender::named(&incoming.token), incoming.body).await {
        Ok(read) => read,
        Err(refused) => return denied(&refused),
    };
    let asked = serde_json::from_slice::<Value>(&bytes).ok();
    let ids = asked.as_ref().and_then(|asked| asked.get("acks")?.as_array()).filter(|ids| ids.len() <= ACKS_MAX);
    let Some(ids) = ids else {
        return denied(&Refused::new(StatusCode::BAD_REQUEST, "format", "Invalid data format"));
    };
    let told: BTreeMap<String, bool> =
        ids.iter().filter_map(Value::as_u64).map(|id| (id.to_string(), id <= given_out)).collect();
    Json(json!({ "acks": told })).into_response()
}

async fn health(State(push): State<Push>) -> Response {
    if push.sink.is_full() {
        let body = json!({ "text": "HEC is unhealthy, queues are full", "code": 18 });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    Json(json!({ "text": "HEC is healthy", "code": 17 })).into_response()
}

/// A refusal in Splunk's form: `{"text","code"}`.
pub(super) fn denied(refused: &Refused) -> Response {
    let (status, code, text) = match refused.status {
        StatusCode::UNAUTHORIZED => (refused.status, 3, "Invalid authorization"),
        StatusCode::FORBIDDEN => (refused.status, 4, "Invalid token"),
        // Senders know 503 as the sign to come again.
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            (StatusCode::SERVICE_UNAVAILABLE, 9, "Server is busy")
        }
        StatusCode::BAD_REQUEST if refused.code == "no_data" => (refused.status, 5, "No data"),
        StatusCode::BAD_REQUEST => (refused.status, 6, "Invalid data format"),
        status => (status, 6, refused.message),
    };
    let refused = Refused::new(status, refused.code, refused.message).retry(refused.retry_after_s);
    refused.with_body(&json!({ "text": text, "code": code }))
}
