//! The audit log of Kubernetes' API server.
//!
//! In: the leaves of an event of `audit.k8s.io`. Out: who did what to which object, from where, and whether it was let; all members
//! as they were sent, so that rules name them as the API server does. Source: Kubernetes, "kube-apiserver Audit Configuration (v1)";
//! ECS 8.17.

use std::net::IpAddr;

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Value};

use super::linux::set_user;
use super::web::set_url;
use super::{Context, set_leaves};
use crate::parse::json;

fn value<'a>(leaves: &'a Leaves, name: &str) -> Option<&'a Value> {
    leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn text<'a>(leaves: &'a Leaves, name: &str) -> Option<&'a str> {
    value(leaves, name)?.text().filter(|text| !text.is_empty())
}

/// The event of an object that is an audit event; `None` = it is none.
pub(super) fn event(leaves: &Leaves, context: &Context<'_>) -> Option<Event> {
    let is_audit = text(leaves, "apiVersion")?.starts_with("audit.k8s.io/") && text(leaves, "auditID").is_some();
    is_audit.then_some(())?;
    let stamp = ["stageTimestamp", "requestReceivedTimestamp"]
        .into_iter()
        .find_map(|name| json::moment(value(leaves, name)?, 0));
    let mut event = context.event(stamp, "kubernetes", "kubernetes.audit_logs");
    set_leaves(&mut event, leaves.clone());
    let verb = text(leaves, "verb").unwrap_or_default();
    let kind = match verb {
        "create" => "creation",
        "delete" | "deletecollection" => "deletion",
        "update" | "patch" => "change",
        _ => "access",
    };
    event.set(Field::EVENT_CATEGORY, "configuration");
    event.set(Field::EVENT_TYPE, kind);
    if !verb.is_empty() {
        event.set(Field::EVENT_ACTION, verb);
    }
    set_user(&mut event, text(leaves, "user.username").unwrap_or_default());
    // The first address is the client's, the last the one the server saw.
    if let Some(address) =
        value(leaves, "sourceIPs").and_then(|list| list.each().next()?.text()?.parse::<IpAddr>().ok())
    {
        event.set(Field::SOURCE_IP, address);
        event.add(Field::RELATED_IP, address);
    }
    if let Some(agent) = text(leaves, "userAgent") {
        event.set(Field::USER_AGENT_ORIGINAL, agent);
    }
    if let Some(target) = text(leaves, "requestURI") {
        set_url(&mut event, target);
    }
    let code = value(leaves, "responseStatus.code").and_then(Value::as_long);
    if let Some(code) = code {
        event.set(Field::HTTP_RESPONSE_STATUS_CODE, code);
    }
    let is_forbidden = text(leaves, "annotations.authorization.k8s.io/decision") == Some("forbid");
    if is_forbidden || code.is_some_and(|code| 400 <= code) {
        event.set(Field::EVENT_OUTCOME, "failure");
        if is_forbidden {
            event.add(Field::EVENT_TYPE, "denied");
        }
    } else if code.is_some() {
        event.set(Field::EVENT_OUTCOME, "success");
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;

    #[test]
    fn who_did_what_from_where() {
        let line = |more: &str| {
            format!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"7-9","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/hoso/secrets?limit=500","verb":"list","user":{{"username":"system:serviceaccount:hoso:x","groups":["system:authenticated"]}},"sourceIPs":["203.0.113.9","10.45.0.1"],"userAgent":"kubectl/v1.31","objectRef":{{"resource":"secrets","namespace":"hoso"}},"requestReceivedTimestamp":"2026-11-23T02:10:00.1Z","stageTimestamp":"2026-11-23T02:10:00.250Z"{more}}}"#
            )
        };
        check(
            "",
            &line(r#","responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}"#),
            &[
                ("event.dataset", "kubernetes.audit_logs"),
                ("event.action", "list"),
                ("event.type", "access,denied"),
                ("event.outcome", "failure"),
                ("user.name", "system:serviceaccount:hoso:x"),
                ("source.ip", "203.0.113.9"),
                ("url.path", "/api/v1/namespaces/hoso/secrets"),
                ("objectRef.resource", "secrets"),
                ("@timestamp", "2026-11-23T02:10:00.250Z"),
                ("!log.level", ""),
            ],
        );
        check("", &line(r#","responseStatus":{"code":200}"#), &[("event.outcome", "success")]);
    }
}
