//! OpenTelemetry logs over HTTP: `POST /v1/logs`, protobuf or JSON.
//!
//! In: an `ExportLogsServiceRequest`. Out: 200 with an empty `ExportLogsServiceResponse` once all is durable; 429
//! and 503 with `Retry-After`, which exporters take as the sign to come again. A record is one log record written
//! as JSON together with its resource and scope (`resource`, `scope`, `timeUnixNano`, `body`, `attributes` as
//! plain JSON), because a log record alone does not say whose it is. Bounds: those of [`super`], and how deep
//! values nest. Failure: 400 for a body that is no such message. Source: OTLP 1.3, "OTLP/HTTP";
//! opentelemetry-proto `logs/v1/logs.proto`, `common/v1/common.proto`.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use nhatle_event::Record;
use nhatle_event::json::hex;
use serde_json::{Map, Value};

use super::body::room_for_one_more;
use super::protobuf::{Broken, Message, Wire};
use super::{Arrived, Incoming, Push, Refused};
use crate::normalize::envelope;

/// How deep values may nest; what is deeper is left out as null.
const DEPTH_MAX: usize = 32;

pub(super) fn router() -> Router<Push> {
    Router::new().route("/v1/logs", post(logs))
}

async fn logs(State(push): State<Push>, incoming: Incoming) -> Response {
    let (token, request_id) = (incoming.token.clone(), incoming.request_id.clone());
    let is_json = incoming.is_media_type("application/json");
    let cut = move |arrived: &Arrived<'_>| {
        let mut logs = Logs { arrived, records: Vec::new(), bytes: 0 };
        if is_json {
            logs.json()?
        } else {
            logs.protobuf()?
        }
        Ok((logs.records, ()))
    };
    let mut response = match push.take(incoming, cut).await {
        // An empty response message: nothing was rejected.
        Ok(_) if is_json => "{}".into_response(),
        Ok(_) => ().into_response(),
        Err(refused) => {
            tracing::debug!(%token, code = refused.code, detail = %refused.detail, "push refused");
            return refused.response(&request_id);
        }
    };
    let media_type = if is_json { "application/json" } else { "application/x-protobuf" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn no_request(detail: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "format", "the body is no ExportLogsServiceRequest").detail(detail)
}

impl From<Broken> for Refused {
    fn from(_broken: Broken) -> Refused {
        no_request("the message ends inside a field or has a wire type that does not exist")
    }
}

/// The records so far.
struct Logs<'a, 'b> {
    arrived: &'b Arrived<'a>,
    records: Vec<Record>,
    /// Bytes of the records: each repeats its resource, so a small body can become much.
    bytes: usize,
}

impl Logs<'_, '_> {
    /// Adds a log record with what it came with.
    fn add(&mut self, resource: &Value, scope: &Value, log: Map<String, Value>) -> Result<(), Refused> {
        room_for_one_more(&self.records, self.arrived.limits)?;
        let mut told = Map::new();
        for (name, value) in [("resource", resource), ("scope", scope)] {
            if !value.is_null() {
                told.insert(name.to_owned(), value.clone());
            }
        }
        told.extend(log);
        let text = Value::Object(told).to_string();
        self.bytes += text.len();
        let limit = self.arrived.limits.unpacked_bytes_max;
        if limit < self.bytes {
            return Err(Refused::too_large(format!("at most {limit} bytes, each log record with its resource")));
        }
        self.records.push(self.arrived.record_of(text.as_bytes(), envelope::OTLP));
        Ok(())
    }

    fn json(&mut self) -> Result<(), Refused> {
        let request: Value =
            serde_json::from_slice(self.arrived.body).map_err(|error| no_request(error.to_string()))?;
        let list = |of: &Value, name: &str| of.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        if !request.is_object() {
            return Err(no_request("no JSON object"));
        }
        for group in list(&request, "resourceLogs") {
            let resource = plain_attributes(group.get("resource").and_then(|resource| resource.get("attributes")));
            for scoped in list(&group, "scopeLogs") {
                let scope = scoped.get("scope").and_then(|scope| scope.get("name")).cloned().unwrap_or_default();
                for log in list(&scoped, "logRecords") {
                    let Value::Object(mut log) = log else { return Err(no_request("a log record is no object")) };
                    if let Some(body) = log.get_mut("body") {
                        *body = plain(body, 0);
                    }
                    if let Some(attributes) = log.get_mut("attributes") {
                        *attributes = plain_attributes(Some(&*attributes));
                    }
                    self.add(&resource, &scope, log)?;
                }
            }
        }
        Ok(())
    }

    fn protobuf(&mut self) -> Result<(), Refused> {
        for part in Message::new(self.arrived.body) {
            if let (1, Wire::Bytes(group)) = part? {
                self.resource_logs(group)?;
            }
        }
        Ok(())
    }

    fn resource_logs(&mut self, group: &[u8]) -> Result<(), Refused> {
        let mut resource = Map::new();
        for part in Message::new(group) {
            if let (1, Wire::Bytes(message)) = part? {
                for part in Message::new(message) {
                    if let (1, Wire::Bytes(pair)) = part? {
                        key_value(pair, &mut resource, 0)?;
                    }
                }
            }
        }
        let resource = if resource.is_empty() { Value::Null } else { Value::Object(resource) };
        for part in Message::new(group) {
            if let (2, Wire::Bytes(scoped)) = part? {
                self.scope_logs(&resource, scoped)?;
            }
        }
        Ok(())
    }

    fn scope_logs(&mut self, resource: &Value, scoped: &[u8]) -> Result<(), Refused> {
        let mut scope = Value::Null;
        for part in Message::new(scoped) {
            if let (1, Wire::Bytes(message)) = part? {
                for part in Message::new(message) {
                    if let (1, Wire::Bytes(name)) = part? {
                        scope = text(name);
                    }
                }
            }
        }
        for part in Message::new(scoped) {
            if let (2, Wire::Bytes(log)) = part? {
                let log = log_record(log)?;
                self.add(resource, &scope, log)?;
            }
        }
        Ok(())
    }
}

/// A `LogRecord`, in the names of OTLP's JSON form.
fn log_record(message: &[u8]) -> Result<Map<String, Value>, Broken> {
    let mut log = Map::new();
    let mut attributes = Map::new();
    for part in Message::new(message) {
        let (name, value) = match part? {
            (1, Wire::Fixed64(nanos)) if nanos != 0 => ("timeUnixNano", Value::from(nanos.to_string())),
            (11, Wire::Fixed64(nanos)) if nanos != 0 => ("observedTimeUnixNano", Value::from(nanos.to_string())),
            (2, Wire::Varint(number)) => ("severityNumber", Value::from(number)),
            (3, Wire::Bytes(name)) => ("severityText", text(name)),
            (5, Wire::Bytes(body)) => ("body", any_value(body, 0)?),
            (6, Wire::Bytes(pair)) => {
                key_value(pair, &mut attributes, 0)?;
                continue;
            }
            (9, Wire::Bytes(id)) if !id.is_empty() => ("traceId", Value::from(hex(id))),
            (10, Wire::Bytes(id)) if !id.is_empty() => ("spanId", Value::from(hex(id))),
            (12, Wire::Bytes(name)) => ("eventName", text(name)),
            _ => continue,
        };
        log.insert(name.to_owned(), value);
    }
    if !attributes.is_empty() {
        log.insert("attributes".to_owned(), Value::Object(attributes));
    }
    Ok(log)
}

fn text(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes))
}

fn key_value(message: &[u8], into: &mut Map<String, Value>, depth: usize) -> Result<(), Broken> {
    let (mut key, mut value) = (String::new(), Value::Null);
    for part in Message::new(message) {
        match part? {
            (1, Wire::Bytes(name)) => key = String::from_utf8_lossy(name).into_owned(),
            (2, Wire::Bytes(message)) => value = any_value(message, depth)?,
            _ => {}
        }
    }
    into.insert(key, value);
    Ok(())
}

/// An `AnyValue` as plain JSON; bytes as hexadecimal text.
fn any_value(message: &[u8], depth: usize) -> Result<Value, Broken> {
    if DEPTH_MAX <= depth {
        return Ok(Value::Null);
    }
    let mut value = Value::Null;
    for part in Message::new(message) {
        value = match part? {
            (1, Wire::Bytes(bytes)) => text(bytes),
            (2, Wire::Varint(number)) => Value::from(number != 0),
            (3, Wire::Varint(number)) => Value::from(number.cast_signed()),
            (4, Wire::Fixed64(bits)) => Value::from(f64::from_bits(bits)),
            (5, Wire::Bytes(list)) => {
                let mut values = Vec::new();
                for part in Message::new(list) {
                    if let (1, Wire::Bytes(one)) = part? {
                        values.push(any_value(one, depth + 1)?);
                    }
                }
                Value::Array(values)
            }
            (6, Wire::Bytes(list)) => {
                let mut map = Map::new();
                for part in Message::new(list) {
                    if let (1, Wire::Bytes(pair)) = part? {
                        key_value(pair, &mut map, depth + 1)?;
                    }
                }
                Value::Object(map)
            }
            (7, Wire::Bytes(bytes)) => Value::from(hex(bytes)),
            _ => continue,
        };
    }
    Ok(value)
}

/// OTLP's JSON form of attributes (`[{"key":…,"value":{…}}]`) as a plain object; null where there are none.
fn plain_attributes(attributes: Option<&Value>) -> Value {
    attributes.map_or(Value::Null, |list| plain_pairs(list, 0))
}

fn plain_pairs(list: &Value, depth: usize) -> Value {
    let pairs = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let pair = |pair: &Value| {
        let key = pair.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        (key, pair.get("value").map_or(Value::Null, |value| plain(value, depth)))
    };
    let map: Map<String, Value> = pairs.iter().map(pair).collect();
    if map.is_empty() { Value::Null } else { Value::Object(map) }
}

/// OTLP's JSON form of a value (`{"stringValue":…}`) as plain JSON.
fn plain(value: &Value, depth: usize) -> Value {
    let Some((kind, told)) = value.as_object().and_then(|one| one.iter().next()).filter(|_| depth < DEPTH_MAX) else {
        return Value::Null;
    };
    match kind.as_str() {
        // Whole numbers come as text, because JSON's numbers are too narrow.
        "intValue" => match told.as_str().map(str::parse::<i64>) {
            Some(Ok(number)) => Value::from(number),
            _ => told.clone(),
        },
        "arrayValue" => {
            let values = told.get("values").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            Value::Array(values.iter().map(|one| plain(one, depth + 1)).collect())
        }
        "kvlistValue" => plain_pairs(told.get("values").unwrap_or(&Value::Null), depth + 1),
        _ => told.clone(),
    }
}
