//! What Elasticsearch clients ask before they send anything, and the routes of the whole face.
//!
//! Out: answers that let Beats, Logstash, Vector, rsyslog and the official clients go on to `_bulk`. Nothing is
//! set up by them: templates, pipelines and policies are answered with success and not kept, for a document's
//! parsing happens here and not in a pipeline of theirs. The version that is claimed is the client's own,
//! because clients refuse servers older than themselves. Source: Elasticsearch reference, REST APIs; Beats
//! `libbeat/esleg/eslegclient`; the `X-Elastic-Product` check of the official clients since 7.14.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::{Push, elastic};

/// Claimed where the client does not name a version of its own.
const VERSION: &str = "8.17.0";
/// The oldest and newest major version that is claimed.
const MAJORS: std::ops::RangeInclusive<u32> = 7..=9;

/// The route of the contract on the main address.
pub(super) fn router() -> Router<Push> {
    Router::new().route("/_bulk", post(elastic::bulk).put(elastic::bulk))
}

/// The whole face, as clients expect it from the root of an address.
pub(super) fn root() -> Router<Push> {
    let nothing = || get(empty).put(acknowledged).post(acknowledged);
    router()
        .route("/{index}/_bulk", post(elastic::bulk).put(elastic::bulk))
        .route("/", get(hello))
        .route("/_license", get(license))
        .route("/_xpack", get(features))
        .route("/_cluster/health", get(health))
        .route("/_cat/health", get(health_line))
        .route("/_nodes", get(nodes))
        .route("/_nodes/{*what}", get(nodes))
        .route("/_ilm/policy/{name}", nothing())
        .route("/_alias/{name}", nothing())
        .route("/_index_template/{name}", nothing())
        .route("/_component_template/{name}", nothing())
        .route("/_template/{name}", nothing())
        .route("/_data_stream/{name}", nothing())
        .route("/_data_stream/{name}/_lifecycle", nothing())
        .route("/_ingest/pipeline", nothing())
        .route("/_ingest/pipeline/{name}", nothing())
        .fallback(any(unknown))
}

/// The media type to answer in: a client that sends Elastic's own type wants it back.
pub(super) fn answered_media_type(headers: &HeaderMap) -> HeaderValue {
    let accepted =
        [header::ACCEPT, header::CONTENT_TYPE].into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    let mut vendor = accepted.flat_map(|types| types.split(',')).map(str::trim);
    let vendor = vendor.find(|one| one.starts_with("application/vnd.elasticsearch+json") && one.len() <= 100);
    vendor
        .and_then(|one| HeaderValue::from_str(one).ok())
        .unwrap_or_else(|| HeaderValue::from_static("application/json"))
}

/// An answer as the clients expect it.
pub(super) fn answer(status: StatusCode, body: &Value, media_type: HeaderValue) -> Response {
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    mark(&mut response);
    response
}

/// Says what the official clients look for in each answer.
pub(super) fn mark(response: &mut Response) {
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
}

fn json_answer(headers: &HeaderMap, body: &Value) -> Response {
    answer(StatusCode::OK, body, answered_media_type(headers))
}

async fn hello(headers: HeaderMap) -> Response {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let body = json!({
        "name": "nhatle", "cluster_name": "nhatle", "cluster_uuid": "nhatle",
        "version": {
            "number": version_for(agent), "build_flavor": "default", "build_type": "tar",
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    });
    json_answer(&headers, &body)
}

/// The first `a.b.c` of the client's name, where it is a version there is.
fn version_for(agent: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let words = agent.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let is_version = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3
            && parts.iter().all(|part| is_number(part))
            && parts.first().and_then(|major| major.parse().ok()).is_some_and(|major| MAJORS.contains(&major))
    };
    words.into_iter().find(is_version).unwrap_or(VERSION)
}

async fn license(headers: HeaderMap) -> Response {
    json_answer(
        &headers,
        &json!({ "license": { "status": "active", "uid": "nhatle", "type": "basic", "mode": "basic" } }),
    )
}

async fn features(headers: HeaderMap) -> Response {
    let body = json!({
        "license": { "uid": "nhatle", "type": "basic", "mode": "basic", "status": "active" },
        "features": { "ilm": { "available": true, "enabled": false }, "monitoring": { "available": false, "enabled": false } },
    });
    json_answer(&headers, &body)
}

async fn health(headers: HeaderMap) -> Response {
    let body = json!({
        "cluster_name": "nhatle", "status": "green", "timed_out": false, "number_of_nodes": 1,
        "number_of_data_nodes": 1, "active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0,
        "initializing_shards": 0, "unassigned_shards": 0,
    });
    json_answer(&headers, &body)
}

async fn health_line() -> Response {
    let mut response = "nhatle green 1 1 1 1 0 0 0 0 - 100.0%\n".into_response();
    mark(&mut response);
    response
}

/// No node by address: a client that would go round the nodes stays with the address it was given.
async fn nodes(headers: HeaderMap) -> Response {
    json_answer(
        &headers,
        &json!({ "_nodes": { "total": 0, "successful": 0, "failed": 0 }, "cluster_name": "nhatle", "nodes": {} }),
    )
}

async fn empty(headers: HeaderMap) -> Response {
    json_answer(&headers, &json!({}))
}

async fn acknowledged(headers: HeaderMap) -> Response {
    tracing::debug!("a template, policy or pipeline was sent and is not kept: documents are parsed here");
    json_answer(&headers, &json!({ "acknowledged": true }))
}

async fn unknown(method: Method, path: Option<Path<String>>, headers: HeaderMap) -> Response {
    tracing::debug!(%method, path = ?path.map(|Path(path)| path), "asked for a call that the face does not have");
    let reason = "this is a receiver of documents: only _bulk and what clients ask before it";
    let body = json!({ "error": { "type": "illegal_argument_exception", "reason": reason }, "status": 404 });
    answer(StatusCode::NOT_FOUND, &body, answered_media_type(&headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_clients_own() {
        let rows = [
            ("Elastic-Filebeat/8.15.3 (linux; amd64; abc; 2024-10-01)", "8.15.3"),
            ("elasticsearch-py/9.5.1 (Python/3.11.2; elastic-transport/9.1.0)", "9.5.1"),
            ("opensearch-py/3.2.0 (Python 3.11.7)", VERSION),
            ("curl/7.88.1", "7.88.1"),
            ("Elastic-Metricbeat/99.0.0", VERSION),
            ("", VERSION),
        ];
        for (agent, expected) in rows {
            assert_eq!(version_for(agent), expected, "{agent}");
        }
    }
}
