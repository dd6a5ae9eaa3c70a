//! The OpenAPI description of the JSON API, made from the table of routes and a row of words for each.
//!
//! In: [`crate::routes::TABLE`]. Out: an OpenAPI 3.1.0 document. Promise: every route of the API is in it
//! (test). Failure: none.

use serde_json::{Map, Value, json};

use crate::guard::Access;
use crate::routes::{TABLE, Verb};

/// What a call does, its query parameters, and the schema of its body.
struct Words {
    verb: Verb,
    path: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
}

const PAGE: (&str, &str) = ("cursor", "go on after the page that gave this cursor");
const LIMIT: (&str, &str) = ("limit", "at most so many rows, 1 to 500");

/// What a search takes, whole or step by step.
const SEARCH: &[(&str, &str)] = &[
    ("q", "the query line; empty = everything"),
    ("from", "RFC 3339; happened at or after"),
    ("to", "RFC 3339; happened before"),
    LIMIT,
    PAGE,
    ("buckets", "bars of a histogram, 0 to 1000"),
    ("facet", "a field to count values of; repeatable"),
    ("exact", "1 = look at as many rows as it takes to make the total exact"),
    ("explain", "1 = say what was skipped and where the time went; only for who sees the whole city"),
];

const WORDS: &[Words] = &[
    Words {
        verb: Verb::Get,
        path: "/api/v1/search",
        summary: "Searches stored events, newest first",
        query: SEARCH,
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/search/stream",
        summary: "The same as lines of JSON while it goes on: hits, progress, end; closing the connection ends the search",
        query: SEARCH,
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/search/top",
        summary: "The commonest values of a field among the events that match",
        query: &[
            ("q", "the query line; empty = everything"),
            ("field", "the field, by any of its names"),
            ("values", "so many values, 1 to 1000"),
            ("exact", "1 = among all events that match, not only the newest"),
            ("from", "RFC 3339; happened at or after"),
            ("to", "RFC 3339; happened before"),
        ],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/sql",
        summary: "Runs a query in SQL; the answer as JSON, NDJSON, CSV, Arrow IPC or Parquet, as Accept says",
        query: &[],
        body: Some("SqlQuery"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/tail",
        summary: "New events that match, as server-sent events; what is left out is counted",
        query: &[("q", "the query line; empty = everything")],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/alerts",
        summary: "The alert queue",
        query: &[
            ("status", "new, acknowledged, closed; repeatable"),
            ("level", "informational, low, medium, high, critical; repeatable"),
            ("unit", "a unit's code"),
            ("rule", "a rule's id"),
            ("owner", "an account; me; - for nobody"),
            ("incident", "an incident's number"),
            ("text", "inside title, sentence and entities"),
            ("from", "RFC 3339"),
            ("to", "RFC 3339"),
            ("sort", "urgency, newest, oldest, count"),
            LIMIT,
            PAGE,
        ],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/alerts/{id}",
        summary: "One alert and why it fired",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Patch,
        path: "/api/v1/alerts/{id}",
        summary: "Takes, releases, closes, reopens or annotates an alert",
        query: &[],
        body: Some("AlertChange"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/incidents",
        summary: "Incidents, newest change first",
        query: &[
            ("status", "new, active, closed; repeatable"),
            ("level", "a level; repeatable"),
            ("layer", "on_site, monitoring, assessment, national"),
            ("owner", "an account; me; - for nobody"),
            ("text", "inside the title"),
            LIMIT,
            PAGE,
        ],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/incidents",
        summary: "Opens an incident",
        query: &[],
        body: Some("NewIncident"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/incidents/{number}",
        summary: "One incident with its timeline",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/incidents/{number}/changes",
        summary: "Changes an incident: note, status, severity, owner, hand-over, alerts, close, reopen",
        query: &[],
        body: Some("IncidentChange"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/incidents/{number}/evidence",
        summary: "The incident with its proofs, a tar archive that nhatle verify checks anywhere",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/proof",
        summary: "How the proof of the store stands: newest head, key, what waits",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/proof/check",
        summary: "Begins a check of the whole store, as nhatle verify makes it; its result stands in GET /api/v1/proof",
        query: &[],
        body: Some("NewCheck"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/retention",
        summary: "How long what is stored is kept and why, what goes when, legal holds, what went",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/retention/holds",
        summary: "Places a legal hold: nothing that happened or was stored in its span goes until its end",
        query: &[],
        body: Some("NewHold"),
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/retention/holds/{number}/changes",
        summary: "Extends a legal hold or ends it",
        query: &[],
        body: Some("HoldChange"),
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/retention/run",
        summary: "Has the job of retention run now, in the name of whoever asks",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/erasures",
        summary: "What was erased about persons, by whom and on what basis",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/erasures",
        summary: "Counts what erasing a value would touch; with expect and basis it begins",
        query: &[],
        body: Some("NewErasure"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/assets",
        summary: "Assets in force, and who sends and is none",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/assets",
        summary: "Takes a table of assets (CSV as the body) in place of the one in force",
        query: &[("source", "what the file is called")],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/intel",
        summary: "Lists of indicators, places of addresses, and how far the look back is",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/intel/{list}",
        summary: "Takes a list of indicators (the body) in place of the one of that name",
        query: &[
            ("kind", "auto, lines, csv, misp, stix"),
            ("days", "its indicators end after so many days"),
            ("confidence", "of indicators that say none, 0 to 100"),
        ],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/intel/{list}/remove",
        summary: "Takes a list out of force",
        query: &[],
        body: None,
    },
    Words { verb: Verb::Get, path: "/api/v1/exceptions", summary: "Exceptions", query: &[], body: None },
    Words {
        verb: Verb::Post,
        path: "/api/v1/exceptions",
        summary: "Makes an exception from an alert",
        query: &[],
        body: Some("NewException"),
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/exceptions/preview",
        summary: "What an exception would have hidden in the past 30 days; changes nothing",
        query: &[],
        body: Some("NewException"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/exceptions/{number}",
        summary: "One exception with its Sigma filter and its life",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/exceptions/{number}/changes",
        summary: "Changes an exception: set_end, set_owner, end",
        query: &[],
        body: Some("ExceptionChange"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/risks",
        summary: "Hosts, accounts and addresses by risk, with every factor",
        query: &[LIMIT],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/rules",
        summary: "Rules, with whether they are alive",
        query: &[
            ("text", "inside title, id, log source and tags"),
            ("logsource", "inside the log source"),
            ("pack", "of this pack"),
            ("state", "on, feeding, off"),
            ("light", "green, amber, red"),
            ("level", "a level"),
            ("limit", "at most so many rows, 1 to 5000"),
            ("cursor", "where the page before ended"),
        ],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/rules/reload",
        summary: "Loads rules anew and answers when they are in force, with what does not load",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/reload",
        summary: "Reads the configuration again: inputs that changed, keys in force, keys that need a restart; 422 with all problems and nothing changed",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/rules/{id}",
        summary: "One rule with its text and what was decided about it",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Patch,
        path: "/api/v1/rules/{id}",
        summary: "Decides about a rule: enable, disable, set_level, reset_level",
        query: &[],
        body: Some("RuleChange"),
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/rules/{id}/preview",
        summary: "What a rule would have found in the past 30 days, as far as that is known",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/rules/{id}/preview",
        summary: "Has a preview made where there is none that is fresh; 202 while it is on its way",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/rules/{id}/hunts",
        summary: "Hunts with a rule over the past days; what is new becomes alerts marked as found late",
        query: &[],
        body: Some("NewHunt"),
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/hunts/{number}/cancel",
        summary: "Stops a hunt; what it stored stands",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/coverage",
        summary: "Techniques of ATT&CK that rules would find today, under each tactic",
        query: &[("unit", "only what this unit sends"), ("module", "only what this kind of source sends")],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/rules/{id}/sources",
        summary: "Which sources the rule can match: missing fields, values never seen; counts are missing, unseen, can, no-source, indicators",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/coverage/sources",
        summary: "Rules beside sources: which can match what each source really sends, with the missing fields; counts are missing, unseen, can, no-source, indicators",
        query: &[
            ("module", "only sources that send this kind (event.module)"),
            ("state", "missing, unseen, can: with a source that is given; no-source: with all of them"),
            ("text", "inside title and id"),
            ("sources", "at most so many sources, 1 to 100; 10 where not given"),
            ("skip_sources", "pass over so many sources, in order of name"),
            LIMIT,
            ("skip_rules", "pass over so many rules"),
        ],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/sources/rules",
        summary: "Which rules can match what one source sends, and what the others lack",
        query: &[("source", "the source's name; without it only the names are given")],
        body: None,
    },
    Words { verb: Verb::Get, path: "/api/v1/sources", summary: "Sources with their counts", query: &[], body: None },
    Words {
        verb: Verb::Get,
        path: "/api/v1/sources/{name}/hours",
        summary: "What one source sent, hour by hour: counts, reasons, missing numbers, its clock",
        query: &[("from", "RFC 3339; hours that begin at or after; two days ago where not given"), ("to", "RFC 3339")],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/enrollments",
        summary: "Enrolment codes and what came of them; never the codes themselves",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/enrollments",
        summary: "Gives out a code, to be used once at POST /api/v1/enroll; it is in this answer only",
        query: &[],
        body: Some("NewEnrollment"),
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/enrollments/{number}/revoke",
        summary: "Ends a code and every certificate given for it",
        query: &[],
        body: None,
    },
    Words {
        verb: Verb::Get,
        path: "/api/v1/refused-senders",
        summary: "Senders that were not let in lately, with the reason",
        query: &[],
        body: None,
    },
    Words { verb: Verb::Get, path: "/api/v1/outages", summary: "Outages planned now", query: &[], body: None },
    Words {
        verb: Verb::Post,
        path: "/api/v1/outages",
        summary: "Plans an outage of a source or a unit from now on: its silence raises no alert until then",
        query: &[],
        body: Some("NewOutage"),
    },
    Words {
        verb: Verb::Post,
        path: "/api/v1/outages/{number}/end",
        summary: "Ends a planned outage early",
        query: &[],
        body: None,
    },
    Words { verb: Verb::Get, path: "/api/v1/openapi.json", summary: "This document", query: &[], body: None },
];

/// The document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for route in TABLE.iter().filter(|route| route.path.starts_with("/api/")) {
        let Some(words) = WORDS.iter().find(|words| words.path == route.path && words.verb == route.verb) else {
            continue;
        };
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = entry {
            methods.insert(route.verb.as_str().to_lowercase(), operation(words, route.access));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "nhatle", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0" } },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "nhatle" },
            },
            "schemas": schemas(),
        },
    })
}

fn operation(words: &Words, access: Access) -> Value {
    let mut parameters: Vec<Value> = words
        .query
        .iter()
        .map(|(name, what)| json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } }))
        .collect();
    for part in words.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        parameters.push(json!({ "name": part, "in": "path", "required": true, "schema": { "type": "string" } }));
    }
    let error = json!({ "description": "refused", "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/Error" } } } });
    let mut operation = json!({
        "summary": words.summary,
        "parameters": parameters,
        "responses": { "200": { "description": "done" }, "default": error },
    });
    if let Value::Object(fields) = &mut operation {
        if let Some(schema) = words.body {
            let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
            fields.insert(
                "requestBody".to_owned(),
                json!({ "required": true, "content": { "application/json": { "schema": schema } } }),
            );
        }
        if let Access::Roles(roles) = access {
            let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
            fields.insert("security".to_owned(), json!([{ "token": [] }, { "session": [] }]));
            fields.insert("x-roles".to_owned(), json!(roles));
        }
    }
    operation
}

fn schemas() -> Value {
    let level = json!({ "enum": ["informational", "low", "medium", "high", "critical"] });
    let verdict = json!({ "enum": ["true_positive", "benign_positive", "false_positive", "undetermined"] });
    let layer = json!({ "enum": ["on_site", "monitoring", "assessment", "national"] });
    let text = json!({ "type": "string" });
    let kind = |kind: &str, fields: Value| {
        let mut properties = json!({ "kind": { "const": kind } });
        if let (Value::Object(all), Value::Object(fields)) = (&mut properties, fields) {
            all.extend(fields);
        }
        json!({ "type": "object", "required": ["kind"], "properties": properties })
    };
    json!({
        "Error": { "type": "object", "properties": { "error": { "type": "object", "properties": {
            "code": text, "message": text, "detail": {}, "request_id": text } } } },
        "AlertChange": { "oneOf": [
            kind("acknowledge", json!({})),
            kind("release", json!({})),
            kind("close", json!({ "verdict": verdict, "note": text })),
            kind("reopen", json!({ "note": text })),
            kind("note", json!({ "text": text })),
            { "type": "object", "required": ["status"], "properties": {
                "status": { "enum": ["new", "acknowledged", "closed"] }, "verdict": verdict, "note": text } },
        ] },
        "NewIncident": { "type": "object", "required": ["title", "level"], "properties": {
            "title": text, "level": level, "alerts": { "type": "array", "items": text }, "note": text } },
        "NewEnrollment": { "type": "object", "required": ["name", "unit"], "properties": {
            "name": text, "unit": text, "hours": { "type": "integer", "minimum": 1, "maximum": 2160 } } },
        "SqlQuery": { "type": "object", "required": ["query"], "properties": {
            "query": { "type": "string" },
            "params": { "type": "array", "description": "the values of $1, $2, …" } } },
        "NewOutage": { "type": "object", "required": ["until", "reason"], "properties": {
            "source": text, "unit": text, "until": { "type": "string", "format": "date-time" }, "reason": text } },
        "NewCheck": { "type": "object", "properties": {
            "heads": text, "is_deep": { "type": "boolean" } } },
        "NewHold": { "type": "object", "required": ["from", "to", "until", "reason"], "properties": {
            "from": text, "to": text, "until": text, "reason": text } },
        "NewErasure": { "type": "object", "properties": {
            "subject": text, "query": text, "fields": { "type": "array", "items": text },
            "also": { "type": "array", "items": text }, "from": text, "to": text, "leave_held": { "type": "boolean" },
            "basis": text, "expect": { "type": "integer", "minimum": 1 } } },
        "HoldChange": { "oneOf": [
            kind("extend", json!({ "until": text, "reason": text })),
            kind("release", json!({ "reason": text })),
        ] },
        "NewHunt": { "type": "object", "required": ["days"], "properties": {
            "days": { "type": "integer", "minimum": 1, "maximum": 3660 } } },
        "RuleChange": { "oneOf": [
            kind("enable", json!({ "note": text })),
            kind("disable", json!({ "reason": text })),
            kind("set_level", json!({ "level": level, "reason": text })),
            kind("reset_level", json!({})),
        ] },
        "IncidentChange": { "oneOf": [
            kind("note", json!({ "text": text })),
            kind("title", json!({ "title": text })),
            kind("status", json!({ "status": { "enum": ["new", "active"] } })),
            kind("severity", json!({ "level": level, "reason": text })),
            kind("owner", json!({ "owner": { "type": ["string", "null"] } })),
            kind("handover", json!({ "layer": layer, "reason": text, "owner": { "type": ["string", "null"] } })),
            kind("add_alerts", json!({ "alerts": { "type": "array", "items": text } })),
            kind("close", json!({ "verdict": verdict, "reason": text })),
            kind("reopen", json!({ "reason": text })),
        ] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_described() {
        let document = document();
        for route in TABLE.iter().filter(|route| route.path.starts_with("/api/")) {
            let method = route.verb.as_str().to_lowercase();
            assert!(document["paths"][route.path][&method].is_object(), "{method} {}", route.path);
        }
        for words in WORDS {
            assert!(TABLE.iter().any(|route| route.path == words.path && route.verb == words.verb), "{}", words.path);
        }
    }
}
