//! The JSON API: alerts, incidents, sources, and the machine's own health.
//!
//! In: query strings and JSON bodies. Out: JSON as the contract has it. Promise: the same desk calls as the
//! pages, with the same viewer. Failure: `{"error":{"code","message","detail","request_id"}}`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use nhatle_event::json::{Shape, stored_to_json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::guard::ApiBody;
use crate::model::{
    ALERTS_NAMED_MAX, AlertChange, AlertDetail, AlertStatus, IncidentChange, NewIncident, NewOutage,
    OUTAGE_REASON_BYTES_MAX, TEXT_BYTES_MAX, TITLE_BYTES_MAX, Verdict,
};
use crate::openapi;
use crate::pages::incident::number_of;
use crate::pages::{Page, alert, incident, source};
use crate::request::Asked;
use crate::state::State;

pub(crate) fn body<T: DeserializeOwned>(body: &ApiBody) -> Result<T, Failure> {
    serde_json::from_slice(&body.0).map_err(|error| {
        tracing::debug!(error.message = %error, "the body of a call does not parse");
        Failure::BadRequest("body")
    })
}

pub(crate) fn bounded(text: &str, bytes_max: usize) -> Result<(), Failure> {
    if bytes_max < text.len() { Err(Failure::BadRequest("body")) } else { Ok(()) }
}

/// `GET /api/v1/alerts`
pub(crate) async fn alerts(asked: Asked) -> Page {
    let query = alert::query_of(&asked)?;
    let page = asked.desk(move |desk, viewer| desk.alerts(viewer, &query)).await?;
    Ok(Json(json!({ "alerts": page.rows, "total": page.total, "groups": page.groups, "cursor": page.next }))
        .into_response())
}

fn alert_json(detail: &AlertDetail) -> Value {
    let mut value = json!(detail.row);
    if let Value::Object(fields) = &mut value {
        let events: Vec<Value> = detail.events.iter().map(|stored| stored_to_json(stored, Shape::Dotted)).collect();
        fields.insert("rule".to_owned(), json!(detail.rule));
        fields.insert("evidence".to_owned(), json!(detail.evidence));
        fields.insert("correlation".to_owned(), json!(detail.correlation));
        fields.insert("event_count".to_owned(), json!(detail.event_count));
        fields.insert("events".to_owned(), json!(events));
        fields.insert("history".to_owned(), json!(detail.history));
    }
    value
}

/// `GET /api/v1/alerts/{id}`
pub(crate) async fn alert_get(asked: Asked, Path(id): Path<String>) -> Page {
    let detail = asked.desk(move |desk, viewer| desk.alert(viewer, &id)).await?;
    Ok(Json(alert_json(&detail)).into_response())
}

/// What a PATCH of an alert may say: a change by kind, or the state it shall have.
#[derive(Deserialize)]
#[serde(untagged)]
enum AlertPatch {
    Change(AlertChange),
    State(AlertState),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertState {
    status: AlertStatus,
    verdict: Option<Verdict>,
    #[serde(default)]
    note: String,
}

/// `PATCH /api/v1/alerts/{id}`
pub(crate) async fn alert_patch(asked: Asked, Path(id): Path<String>, Extension(sent): Extension<ApiBody>) -> Page {
    let change = match body::<AlertPatch>(&sent)? {
        AlertPatch::Change(change) => change,
        AlertPatch::State(state) => match (state.status, state.verdict) {
            (AlertStatus::New, _) if state.note.is_empty() => AlertChange::Release,
            (AlertStatus::New, _) => AlertChange::Reopen { note: state.note },
            (AlertStatus::Acknowledged, _) => AlertChange::Acknowledge,
            (AlertStatus::Closed, Some(verdict)) => AlertChange::Close { verdict, note: state.note },
            (AlertStatus::Closed, None) => return Err(Failure::Refused(crate::Refusal::VerdictMissing)),
        },
    };
    match &change {
        AlertChange::Close { note: text, .. } | AlertChange::Reopen { note: text } | AlertChange::Note { text } => {
            bounded(text, TEXT_BYTES_MAX)?;
        }
        AlertChange::Acknowledge | AlertChange::Release => {}
    }
    let detail = asked
        .desk(move |desk, viewer| {
            desk.change_alert(viewer, &id, &change)?;
            desk.alert(viewer, &id)
        })
        .await?;
    Ok(Json(alert_json(&detail)).into_response())
}

/// `GET /api/v1/incidents`
pub(crate) async fn incidents(asked: Asked) -> Page {
    let query = incident::query_of(&asked)?;
    let page = asked.desk(move |desk, viewer| desk.incidents(viewer, &query)).await?;
    Ok(Json(json!({ "incidents": page.rows, "total": page.total, "cursor": page.next })).into_response())
}

/// `POST /api/v1/incidents`
pub(crate) async fn incident_post(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewIncident = body(&sent)?;
    bounded(&new.title, TITLE_BYTES_MAX)?;
    bounded(&new.note, TEXT_BYTES_MAX)?;
    if new.title.trim().is_empty() {
        return Err(Failure::Refused(crate::Refusal::TextLength));
    }
    if ALERTS_NAMED_MAX < new.alerts.len() {
        return Err(Failure::BadRequest("alerts"));
    }
    let view = asked
        .desk(move |desk, viewer| {
            let number = desk.open_incident(viewer, &new)?;
            desk.incident(viewer, number)
        })
        .await?;
    let mut response = (StatusCode::CREATED, Json(json!(view))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/incidents/{}", view.row.number)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `GET /api/v1/incidents/{no}`
pub(crate) async fn incident_get(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    let view = asked.desk(move |desk, viewer| desk.incident(viewer, number)).await?;
    Ok(Json(view).into_response())
}

/// A change of an incident with the version it was made for.
#[derive(Deserialize)]
struct VersionedChange {
    version: Option<u64>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// `POST /api/v1/incidents/{no}/changes`
pub(crate) async fn incident_change(
    asked: Asked,
    Path(number): Path<String>,
    Extension(sent): Extension<ApiBody>,
) -> Page {
    let number = number_of(&number)?;
    let VersionedChange { version, rest } = body(&sent)?;
    let change: IncidentChange =
        serde_json::from_value(Value::Object(rest)).map_err(|_bad| Failure::BadRequest("body"))?;
    match &change {
        IncidentChange::Note { text: long }
        | IncidentChange::Severity { reason: long, .. }
        | IncidentChange::Handover { reason: long, .. }
        | IncidentChange::Close { reason: long, .. }
        | IncidentChange::Reopen { reason: long } => bounded(long, TEXT_BYTES_MAX)?,
        IncidentChange::Title { title } => bounded(title, TITLE_BYTES_MAX)?,
        IncidentChange::AddAlerts { alerts } if ALERTS_NAMED_MAX < alerts.len() => {
            return Err(Failure::BadRequest("alerts"));
        }
        _ => {}
    }
    let view = asked
        .desk(move |desk, viewer| {
            desk.change_incident(viewer, number, version, &change)?;
            desk.incident(viewer, number)
        })
        .await?;
    Ok(Json(view).into_response())
}

/// `GET /api/v1/sources`
pub(crate) async fn sources(asked: Asked) -> Page {
    let rows = asked.desk(|desk, viewer| desk.sources(viewer)).await?;
    let inputs = asked.desk(|desk, viewer| desk.inputs(viewer)).await?;
    let forwarders = asked.desk(|desk, viewer| desk.forwarders(viewer)).await?;
    Ok(Json(json!({ "sources": rows, "inputs": inputs, "forwarders": forwarders })).into_response())
}

/// `GET /api/v1/sources/{name}/hours`
pub(crate) async fn source_hours(asked: Asked, Path(name): Path<String>) -> Page {
    let span = source::span(&asked, asked.moment("from")?, asked.moment("to")?);
    let view = asked.desk(move |desk, viewer| desk.source_hours(viewer, &name, span)).await?;
    Ok(Json(view).into_response())
}

/// `GET /api/v1/outages`
pub(crate) async fn outages(asked: Asked) -> Page {
    let rows = asked.desk(|desk, viewer| desk.outages(viewer)).await?;
    Ok(Json(json!({ "outages": rows })).into_response())
}

/// `POST /api/v1/outages`
pub(crate) async fn outage_post(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewOutage = body(&sent)?;
    bounded(&new.reason, OUTAGE_REASON_BYTES_MAX)?;
    let number = asked.desk(move |desk, viewer| desk.plan_outage(viewer, &new)).await?;
    Ok((StatusCode::CREATED, Json(json!({ "outage": number }))).into_response())
}

/// `POST /api/v1/outages/{number}/end`
pub(crate) async fn outage_end(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    asked.desk(move |desk, viewer| desk.end_outage(viewer, number)).await?;
    Ok(Json(json!({ "outage": number })).into_response())
}

/// `GET /api/v1/openapi.json`
pub(crate) async fn describe() -> Response {
    Json(openapi::document()).into_response()
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthy() -> Response {
    "ok\n".into_response()
}

/// `POST /api/v1/reload`
pub(crate) async fn reload(asked: Asked) -> Page {
    let done = asked.desk(|desk, viewer| desk.reload_config(viewer)).await?;
    Ok(Json(done).into_response())
}

/// `GET /readyz`: events can be taken.
pub(crate) async fn ready(Extension(state): Extension<std::sync::Arc<State>>) -> Response {
    match state.blocking(|desk| desk.ready()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(reason)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
        Err(failure) => failure.status().into_response(),
    }
}

/// `GET /metrics`: Prometheus text (exposition format 0.0.4), totals only.
pub(crate) async fn metrics(Extension(state): Extension<std::sync::Arc<State>>) -> Response {
    match state.blocking(|desk| desk.metrics()).await {
        Ok(text) => {
            let mut response = text.into_response();
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(failure) => failure.status().into_response(),
    }
}
