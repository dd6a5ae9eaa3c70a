//! `POST /upload`: systemd-journal-upload, which sends a host's journal in the export format.
//!
//! In: `application/vnd.fdo.journal`, of any length: a host that is new sends its whole journal in one request, so the
//! body is cut as it comes and stored by parts. Out: 202 `OK.` once all is durable, as systemd-journal-remote answers; the
//! sender then keeps the cursor. Records are RFC 5424 lines, as from a journal that is read here; their id is the entry's
//! cursor, so that what is sent again after a break is not stored again. Bounds: bytes of a record, records and bytes of
//! a part; an entry that its body does not end is not taken. Overload: nothing is read on; 429 or 503 when that lasts.
//! Source: systemd, "Journal Export Formats"; systemd-journal-upload(8).

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use nhatle_event::{Record, Text};

use super::{Incoming, Push, Refused, body};
use crate::listen::BATCH_RECORDS_MAX;
use crate::listen::fair::Sender;
use crate::listen::journal_export::{Entry, ExportReader};

const MEDIA_TYPE: &str = "application/vnd.fdo.journal";
/// So many bytes of lines are stored together.
const PART_BYTES_MAX: usize = 1 << 20;

pub(super) fn router() -> Router<Push> {
    Router::new().route("/upload", post(upload))
}

async fn upload(State(push): State<Push>, incoming: Incoming) -> Response {
    let (token, request_id) = (incoming.token.clone(), incoming.request_id.clone());
    match take(&push, incoming).await {
        Ok(()) => (StatusCode::ACCEPTED, "OK.\n").into_response(),
        Err(refused) => {
            tracing::debug!(%token, code = refused.code, "journal refused");
            refused.response(&request_id)
        }
    }
}

async fn take(push: &Push, incoming: Incoming) -> Result<(), Refused> {
    let unsupported = |code, message| Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message);
    if !incoming.is_media_type(MEDIA_TYPE) {
        return Err(unsupported("media_type", "a journal is sent as application/vnd.fdo.journal"));
    }
    if body::encoding(&incoming.headers)? != body::Encoding::Identity {
        return Err(unsupported("encoding", "a journal is sent unpacked"));
    }
    let sender = Sender::named(&incoming.token);
    push.admit(sender)?;
    let mut reader = ExportReader::new(push.limits().record_bytes_max);
    let (mut entries, mut part, mut part_bytes) = (Vec::new(), Vec::new(), 0);
    let mut rest: std::pin::Pin<&mut Body> = std::pin::pin!(incoming.body);
    while let Some(frame) = std::future::poll_fn(|context| rest.as_mut().poll_frame(context)).await {
        let frame =
            frame.map_err(|_broken| Refused::new(StatusCode::BAD_REQUEST, "cut", "the body did not arrive whole"))?;
        let Ok(data) = frame.into_data() else { continue };
        reader.push(&data, &mut entries);
        for entry in entries.drain(..) {
            let record = record(&entry, push, &incoming.origin);
            part_bytes += record.bytes.len();
            part.push(record);
            if BATCH_RECORDS_MAX <= part.len() || PART_BYTES_MAX <= part_bytes {
                part_bytes = 0;
                push.store(sender, std::mem::take(&mut part), None).await?;
            }
        }
    }
    push.store(sender, part, None).await.map(drop)
}

fn record(entry: &Entry, push: &Push, origin: &crate::frame::Origin) -> Record {
    let received = push.clock.now();
    let mut record = origin.record(&entry.line(received), received, entry.is_cut);
    record.profile = Some(Text::const_new("linux"));
    record.id = entry.cursor.as_deref().map(Text::from);
    record
}
