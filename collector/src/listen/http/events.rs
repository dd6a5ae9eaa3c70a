//! `POST /api/v1/events`: NDJSON, or one JSON array.
//!
//! Out: 200 `{"accepted":N,"dead_lettered":N,"duplicate":N}` once all is durable; else JSON
//! `{"error":{"code","message","detail","request_id"}}`. Source: contract.md, HTTP.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use super::{Incoming, Push, body};

pub(super) fn router() -> Router<Push> {
    Router::new().route("/api/v1/events", post(push))
}

async fn push(State(push): State<Push>, incoming: Incoming) -> Response {
    let (token, request_id) = (incoming.token.clone(), incoming.request_id.clone());
    let cut = |arrived: &super::Arrived<'_>| Ok((body::records_of(arrived)?, ()));
    match push.take(incoming, cut).await {
        Ok((receipt, ())) => Json(json!({
            "accepted": receipt.accepted + receipt.duplicate(), "dead_lettered": receipt.dead_lettered,
            "duplicate": receipt.duplicate(),
        }))
        .into_response(),
        Err(refused) => {
            tracing::debug!(%token, code = refused.code, "push refused");
            refused.response(&request_id)
        }
    }
}
