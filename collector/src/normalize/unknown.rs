//! Lines and objects that no reader knows: their time, level, host, and who is at the other end where a member says so by name.
//!
//! In: text, pairs or an event with the members of an object. Out: the event with its message. Promise: a member fills only fields that nothing
//! else has filled; names as they were sent stay beside. Failure: a line that begins with a date that does not exist. Source: the names that programs
//! usually give (Go's slog and zap, Serilog, Winston, logrus).

use nhatle_event::{Event, Field, Timestamp, Value};

use super::{Context, application, set_sent};
use crate::parse::{self, Fault};
use crate::profile::Profile;

/// Fills `message` and `host.name` from the names that programs usually give them.
pub(super) fn fill_from_usual_names(event: &mut Event) {
    let usual: [(Field, &[&str]); 4] = [
        (Field::USER_NAME, &["username", "user_name", "userName", "uname"]),
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
    const CLIENTS: [&str; 9] = [
        "remote_addr",
        "remote_ip",
        "client_ip",
        "clientip",
        "clientIp",
        "remoteAddress",
        "client_addr",
        "src_ip",
        "source_ip",
    ];
    if event.get(Field::SOURCE_IP).is_none() {
        let found = CLIENTS.iter().filter_map(|name| Field::lookup(name)).find_map(|name| event.get(name)?.as_ip());
        if let Some(address) = found {
            event.set(Field::SOURCE_IP, address);
            event.add(Field::RELATED_IP, address);
        }
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
    Ok(event)
}
