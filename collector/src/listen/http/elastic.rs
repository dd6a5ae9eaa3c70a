//! Elasticsearch `_bulk`: documents in, one item of the answer for each action, in the order of the actions.
//!
//! Out: 200 `{"took","errors","items":[{OP:{"_index","_id","status",…}}]}` once all is durable. Items: 201 stored
//! (also as a dead letter: 400 would make the sender throw the document away, and its bytes are kept), 409 for a
//! `create` whose `_id` is stored already, 200 `noop` for such an `index`, 400 for `update` and `delete`, which
//! a log that nothing is ever taken from does not know. A request that is refused as a whole has Elasticsearch's
//! error form. Bounds: those of [`super`]. Failure: 400 with the line of an action that cannot be read; nothing
//! of such a request is stored. Source: Elasticsearch reference, Bulk API; Beats' and rsyslog's clients.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nhatle_event::{Record, Text};
use serde_json::{Map, Value, json};

use super::body::room_for_one_more;
use super::{Arrived, Incoming, Push, Receipt, Refused, elastic_face};

/// Bytes kept of an index's name and of a document's id: Elasticsearch's own bound.
const NAME_BYTES_MAX: usize = 512;
/// Characters shown of an action line that cannot be read.
const SHOWN_CHARS: usize = 80;

/// What an action asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Index,
    Create,
    Update,
    Delete,
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Op::Index => "index",
            Op::Create => "create",
            Op::Update => "update",
            Op::Delete => "delete",
        }
    }

    fn from_name(name: &str) -> Option<Op> {
        [Op::Index, Op::Create, Op::Update, Op::Delete].into_iter().find(|op| op.name() == name)
    }
}

/// One action of a request, as its item will name it.
#[derive(Debug)]
struct Action {
    op: Op,
    index: String,
    id: Option<String>,
    /// Which record of the batch it is; `None` where it is refused.
    record: Option<u32>,
}

pub(super) async fn bulk(State(push): State<Push>, incoming: Incoming) -> Response {
    let (token, request_id) = (incoming.token.clone(), incoming.request_id.clone());
    let media_type = elastic_face::answered_media_type(&incoming.headers);
    let began = push.clock.now();
    match push.take(incoming, actions_of).await {
        Ok((receipt, actions)) => {
            let took_ms = push.clock.now().since(began) / 1_000_000;
            let items: Vec<Value> = actions
                .iter()
                .enumerate()
                .map(|(at, action)| item(action, &receipt, &format!("{request_id}-{at}")))
                .collect();
            let has_errors = items.iter().any(|item| item.as_object().is_some_and(is_error));
            let answer = json!({ "took": took_ms, "errors": has_errors, "items": items });
            elastic_face::answer(StatusCode::OK, &answer, media_type)
        }
        Err(refused) => {
            tracing::debug!(%token, code = refused.code, detail = %refused.detail, "bulk refused");
            error(&refused)
        }
    }
}

fn is_error(item: &Map<String, Value>) -> bool {
    item.values().next().is_some_and(|told| told.get("error").is_some())
}

/// The item of one action. `made_id` names a document that came without one.
fn item(action: &Action, receipt: &Receipt, made_id: &str) -> Value {
    let mut told = json!({ "_index": action.index, "_id": action.id.as_deref().unwrap_or(made_id) });
    // What came without an id cannot be in conflict with itself: a resend of it is told what it would have been told.
    let is_known = !receipt.is_resent || action.id.is_some();
    let is_repeat = is_known && action.record.is_some_and(|record| receipt.repeats.binary_search(&record).is_ok());
    let more = match (action.op, action.record) {
        (_, None) => json!({ "status": 400, "error": {
            "type": "illegal_argument_exception",
            "reason": format!("{} is not possible: what is stored is never changed", action.op.name()),
        }}),
        (Op::Create, Some(_)) if is_repeat => json!({ "status": 409, "error": {
            "type": "version_conflict_engine_exception", "reason": "a document of this id is stored already",
        }}),
        (_, Some(_)) if is_repeat => json!({ "status": 200, "result": "noop", "_version": 1 }),
        (_, Some(_)) => json!({
            "status": 201, "result": "created", "_version": 1,
            "_shards": { "total": 1, "successful": 1, "failed": 0 },
        }),
    };
    if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
        told.extend(more);
    }
    json!({ action.op.name(): told })
}

/// The records and actions of a body.
fn actions_of(arrived: &Arrived<'_>) -> Result<(Vec<Record>, Vec<Action>), Refused> {
    let mut lines = arrived.body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    let (mut records, mut actions) = (Vec::new(), Vec::new());
    while let Some((number, line)) = lines.find(|(_, line)| !line.is_empty()) {
        let mut action = action_of(line, number + 1)?;
        if arrived.limits.records_max <= actions.len() {
            return Err(Refused::too_large(format!("at most {} actions", arrived.limits.records_max)));
        }
        if action.op != Op::Delete {
            let Some((_, document)) = lines.find(|(_, line)| !line.is_empty()) else {
                return Err(malformed(number + 1, "no document follows the action"));
            };
            if action.op != Op::Update {
                room_for_one_more(&records, arrived.limits)?;
                action.record = u32::try_from(records.len()).ok();
                let mut record = arrived.record(document);
                record.id = action.id.as_deref().map(Text::from);
                records.push(record);
            }
        }
        actions.push(action);
    }
    if actions.is_empty() {
        return Err(malformed(1, "the body has no action"));
    }
    Ok((records, actions))
}

fn action_of(line: &[u8], number: usize) -> Result<Action, Refused> {
    let shown = || String::from_utf8_lossy(line).chars().take(SHOWN_CHARS).collect::<String>();
    let value: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| malformed(number, &format!("{error}: {}", shown())))?;
    let mut entries = value.into_iter();
    let (Some((name, told)), None) = (entries.next(), entries.next()) else {
        return Err(malformed(number, &format!("an action is one name with what it is about: {}", shown())));
    };
    let op = Op::from_name(&name).ok_or_else(|| malformed(number, &format!("no such action: {}", shown())))?;
    // Some senders write ids as numbers.
    let text = |key: &str| match told.get(key) {
        Some(Value::String(text)) => Some(bounded(text)),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    Ok(Action { op, index: text("_index").unwrap_or_default(), id: text("_id"), record: None })
}

fn bounded(text: &str) -> String {
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or(text).to_owned()
}

fn malformed(line: usize, why: &str) -> Refused {
    let message = "Malformed action/metadata line";
    Refused::new(StatusCode::BAD_REQUEST, "illegal_argument_exception", message).detail(format!("line {line}: {why}"))
}

/// A refusal of the whole request in Elasticsearch's form.
pub(super) fn error(refused: &Refused) -> Response {
    let kind = match refused.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "security_exception",
        StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
        StatusCode::PAYLOAD_TOO_LARGE => "content_too_long_exception",
        StatusCode::SERVICE_UNAVAILABLE => "cluster_block_exception",
        _ => "illegal_argument_exception",
    };
    let colon = if refused.detail.is_empty() { "" } else { ": " };
    let reason = format!("{}{colon}{}", refused.message, refused.detail);
    let cause = json!({ "type": kind, "reason": reason });
    let body = json!({
        "error": { "root_cause": [cause], "type": kind, "reason": reason }, "status": refused.status.as_u16(),
    });
    let mut response = refused.with_body(&body).into_response();
    elastic_face::mark(&mut response);
    response
}
