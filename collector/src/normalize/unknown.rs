//! Lines and objects that no reader knows: their time, level, host, and who is at the other end where a member says so by name.
//!
//! In: text, pairs or an event with the members of an object. Out: the event with its message. Promise: a member fills only fields that nothing
//! else has filled; names as they were sent stay beside. Failure: a line that begins with a date that does not exist. Source: the names that programs
//! usually give (Go's slog and zap, Serilog, Winston, logrus).

use nhatle_event::{Event, Field, Timestamp, Value};

use super::{Context, application, program, set_sent, words};
use crate::parse::{self, Fault};
use crate::profile::Profile;

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
        let found = names.iter().filter_map(|name| Field::lookup(name)).find_map(|name| event.text(name));
        if let Some(text) = found.map(Value::from) {
            event.set(field, text);
        }
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
    set_said(event);
}

/// `203.0.113.9:4411`, `[2001:db8::9]:4411`.
fn socket(text: &str) -> Option<(std::net::IpAddr, Option<u16>)> {
    let socket: std::net::SocketAddr = text.parse().ok()?;
    Some((socket.ip(), Some(socket.port())))
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
        words::set_fields(&mut event, words);
    }
    Ok(event)
}
