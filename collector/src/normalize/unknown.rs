//! Lines and objects that no reader knows: their time, level, host, and who is at the other end where a member says so by name.
//!
//! In: text, pairs or an event with the members of an object. Out: the event with its message. Promise: a member fills only fields that nothing
//! else has filled; names as they were sent stay beside. Failure: a line that begins with a date that does not exist. Source: the names that programs
//! usually give (Go's slog and zap, Serilog, Winston, logrus).

use nhatle_event::{Event, Field, Timestamp, Value};

use super::{Context, application, eset, program, set_sent, words};
use crate::parse::{self, Fault};
use crate::profile::Profile;

/// How long an object at the end of a line may be.
const OBJECT_BYTES_MAX: usize = 4096;

/// Fills `message` and `host.name` from the names that programs usually give them.
pub(super) fn fill_from_usual_names(event: &mut Event) {
    let usual: [(Field, &[&str]); 4] = [
        (Field::USER_NAME, &["username", "user_name", "userName", "uname", "User", "userIdentity.userName"]),
        (Field::MESSAGE, &["msg", "log", "MESSAGE", "Message"]),
        (Field::HOST_NAME, &["host.hostname", "host", "hostname", "_HOSTNAME", "computer_name", "agent.hostname"]),
        (Field::LOG_LEVEL, &["level", "severity"]),
    ];
    for (field, names) in usual {
        if event.get(field).is_some() {
            continue;
        }
        let told = names.iter().filter_map(|name| Field::lookup(name)).filter_map(|name| event.text(name));
        // What programs write where there is nobody.
        let found = told.into_iter().find(|text| field != Field::USER_NAME || !matches!(*text, "" | "-" | "--"));
        if let Some(text) = found.map(nhatle_event::Text::from) {
            event.set(field, text);
        }
    }
    if let Some(user) = event.text(Field::USER_NAME).filter(|user| *user != "-").map(nhatle_event::Text::from) {
        event.add(Field::RELATED_USER, user);
    }
    // Who is at the other end, by the names that say so and nothing else.
    const CLIENTS: [&str; 19] = [
        "remote_addr",
        "remote_ip",
        "client_ip",
        "clientip",
        "clientIp",
        "remoteAddress",
        "client_addr",
        "src_ip",
        "source_ip",
        "remoteAddr",
        "remoteIp",
        "clientIP",
        "client.ip",
        "ClientAddr",
        "addr.remote",
        "peer_ip",
        "sourceIPAddress",
        "downstream_remote_address",
        "ip_address",
    ];
    if event.get(Field::SOURCE_IP).is_none() {
        let found = CLIENTS.iter().filter_map(|name| Field::lookup(name)).find_map(|name| {
            let value = event.get(name)?;
            value.as_ip().map(|address| (address, None)).or_else(|| socket(value.text()?))
        });
        if let Some((address, port)) = found {
            event.set(Field::SOURCE_IP, address.to_canonical());
            event.add(Field::RELATED_IP, address.to_canonical());
            if let Some(port) = port {
                event.set_default(Field::SOURCE_PORT, port);
            }
        }
    }
    if eset::set_fields(event) {
        return;
    }
    set_http(event);
    set_said(event);
}

/// What was asked for and what came of it, by the names that say so and nothing else; AWS CloudTrail's call.
fn set_http(event: &mut Event) {
    const NAMES: [(Field, &[&str]); 4] = [
        (
            Field::HTTP_RESPONSE_STATUS_CODE,
            &["http_status", "httpStatus", "response_code", "status_code", "statusCode"],
        ),
        (Field::HTTP_REQUEST_METHOD, &["http_method", "httpMethod", "request_method", "method"]),
        (Field::USER_AGENT_ORIGINAL, &["userAgent", "user_agent", "user-agent", "http_user_agent"]),
        (Field::URL_ORIGINAL, &["http_path", "x-envoy-origin-path", "request_uri", "uri"]),
    ];
    if event.get(Field::SOURCE_IP).is_none() {
        return;
    }
    for (field, names) in NAMES {
        if event.get(field).is_some() {
            continue;
        }
        let found = names.iter().filter_map(|name| Field::lookup(name)).find_map(|name| {
            let value = event.get(name)?;
            match field {
                Field::HTTP_RESPONSE_STATUS_CODE => {
                    value.as_long().filter(|status| (100..600).contains(status)).map(Value::Long)
                }
                Field::HTTP_REQUEST_METHOD => {
                    value.text().filter(|text| text.bytes().all(|byte| byte.is_ascii_uppercase())).map(Value::from)
                }
                _ => value.text().map(Value::from),
            }
        });
        if let Some(value) = found {
            event.set(field, value);
        }
    }
    let is_call = ["eventSource", "eventVersion"]
        .iter()
        .all(|name| Field::lookup(name).is_some_and(|field| event.text(field).is_some()));
    let call = Field::lookup("eventName").and_then(|field| event.text(field)).map(Value::from);
    if let Some(call) = call.filter(|_| is_call) {
        event.set_default(Field::EVENT_ACTION, call);
        let is_refused = Field::lookup("errorCode").is_some_and(|field| event.get(field).is_some())
            || Field::lookup("responseElements.ConsoleLogin").and_then(|field| event.text(field)) == Some("Failure");
        event.set_default(Field::EVENT_OUTCOME, if is_refused { "failure" } else { "success" });
    }
}

/// `203.0.113.9:4411`, `[2001:db8::9]:4411`.
fn socket(text: &str) -> Option<(std::net::IpAddr, Option<u16>)> {
    let socket: std::net::SocketAddr = text.parse().ok()?;
    Some((socket.ip(), Some(socket.port())))
}

/// Who is at the other end by the object that a line ends in: `… {"ip":"203.0.113.9","email":"lan@example.com"}`.
fn set_from_object(event: &mut Event, text: &str) {
    let Some(object) =
        text.find("{\"").and_then(|at| text.get(at..=text.rfind('}')?)).filter(|text| text.len() <= OBJECT_BYTES_MAX)
    else {
        return;
    };
    let Ok(leaves) = parse::json::parse(object) else { return };
    let of = |names: &[&str]| {
        leaves
            .iter()
            .find(|(name, _)| names.iter().any(|known| name.rsplit('.').next() == Some(known)))
            .and_then(|(_, value)| value.text())
    };
    if let Some(address) = of(&["ip", "ipAddress", "remoteAddress", "clientIp", "client_ip", "remote_ip"])
        .and_then(|text| text.parse::<std::net::IpAddr>().ok())
    {
        event.set(Field::SOURCE_IP, address.to_canonical());
        event.add(Field::RELATED_IP, address.to_canonical());
    }
    if let Some(user) = of(&["username", "userName", "user", "email"]) {
        super::linux::set_user(event, user);
    }
    if let Some(kind) = of(&["type", "event"]).filter(|kind| kind.len() <= 64) {
        event.set_default(Field::EVENT_ACTION, kind.to_ascii_lowercase());
    }
}

/// What the object's message says of a sign-in.
fn set_said(event: &mut Event) {
    if event.get(Field::EVENT_ACTION).is_some() || event.get(Field::EVENT_CATEGORY).is_some() {
        return;
    }
    let Some(message) = event.text(Field::MESSAGE).map(nhatle_event::Text::from) else { return };
    if !program::own_line(event, &message) {
        words::set_fields(event, &message);
    }
}

/// key=value pairs, names as sent.
pub(super) fn key_value(text: &str, context: &Context<'_>) -> Event {
    let pairs = parse::key_value::pairs(text);
    let value_of = |names: &[&str]| {
        names.iter().find_map(|name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref()))
    };
    let stamp = value_of(&["@timestamp", "timestamp", "ts", "time", "t", "eventtime"])
        .and_then(|text| parse::json::moment(&Value::from(text), context.offset_s))
        .or_else(|| {
            let (date, time) = (value_of(&["date"])?, value_of(&["time"])?);
            Timestamp::parse(&format!("{date}T{time}"), context.offset_s)
        })
        .or_else(|| parse::json::moment(&Value::from(value_of(&["date"])?), context.offset_s));
    let mut event = context.event(stamp, "kv", "kv");
    for (key, value) in &pairs {
        set_sent(&mut event, key, Value::from(value.as_ref()));
    }
    fill_from_usual_names(&mut event);
    event.set_default(Field::MESSAGE, text);
    event
}

/// A line of text that claims no format: a message, and the time it begins with where it does.
pub(super) fn plain(text: &str, context: &Context<'_>) -> Result<Event, Fault> {
    if text.starts_with('[')
        && let Some(event) = super::web::undated(text, context)
    {
        return Ok(event);
    }
    let found = parse::date::anywhere_in_front(text, context.offset_s)?;
    let klog = || application::klog(text, context.record.received, context.offset_s);
    let klog = if found.is_none() { klog() } else { None };
    // `[Nov 23 09:10:00] …` of Asterisk and others.
    let bracketed = text.strip_prefix('[').filter(|_| found.is_none() && klog.is_none());
    let bsd = bracketed.map(|rest| parse::date::bsd(rest, context.record.received, context.offset_s));
    let found = found.or(bsd.transpose()?.flatten().map(|(stamp, used)| (stamp, used + 1)));
    let stamp = found.map(|(stamp, _)| stamp).or(klog.map(|(stamp, _)| stamp));
    let (module, dataset) = match context.profile {
        Some(Profile::Nginx) => ("nginx", "nginx.error"),
        Some(Profile::Apache) => ("apache", "apache.error"),
        _ => ("syslog", "syslog"),
    };
    let mut event = context.event(stamp, module, dataset);
    event.set(Field::MESSAGE, text);
    match (found, klog) {
        (Some((_, used)), _) => application::set_level(&mut event, text.get(used..).unwrap_or_default()),
        (None, Some((_, level))) => event.set(Field::LOG_LEVEL, level),
        (None, None) => {}
    }
    if event.get(Field::LOG_LEVEL).is_none() {
        application::set_level_in_front(&mut event, text);
    }
    let words = found.map_or(text, |(_, used)| text.get(used..).unwrap_or_default());
    if module == "syslog" && !program::own_line(&mut event, words) {
        set_from_object(&mut event, words);
        words::set_fields(&mut event, words);
    }
    Ok(event)
}
