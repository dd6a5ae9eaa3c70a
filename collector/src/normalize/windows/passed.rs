//! Windows events that agents pass on as syslog in other forms than Snare's: NXLog's structured data, the words of Eventlog-to-Syslog.
//!
//! In: `… Microsoft-Windows-Security-Auditing 700 - [NXLOG@14506 EventID="4625" …] text`; `… Security-Auditing: 4625: AUDIT_FAILURE text`. Out: the
//! event as from XML. Promise: labels that stand twice fill nothing, as in [`super::snare`]. Failure: none; what is none of the two is no such event.
//! Source: NXLog, `to_syslog_ietf` of `xm_syslog`; evtsys, "Format of the messages".

use nhatle_event::json::{Leaves, Reader};
use nhatle_event::{Event, Field, Text, Value};

use super::{EVENT_DATA, Part, WindowsEvent, from_document, snare, to_event};
use crate::normalize::Context;
use crate::parse::Syslog;

/// NXLog's private enterprise number (IANA: 14506) in the id of its structured data.
const NXLOG: &str = "NXLOG@14506";

/// The event of a message of one of the two agents.
pub(crate) fn event(parts: &Syslog<'_>, context: &Context<'_>) -> Option<Event> {
    if !parts.structured.is_empty() {
        return nxlog(parts, context);
    }
    words(parts, context)
}

fn nxlog(parts: &Syslog<'_>, context: &Context<'_>) -> Option<Event> {
    let is_event = parts.structured.iter().any(|(id, name, _)| *id == NXLOG && *name == "EventID");
    is_event.then_some(())?;
    let mut leaves: Leaves = Vec::with_capacity(parts.structured.len() + 4);
    let told = parts.structured.iter().filter(|(id, ..)| *id == NXLOG).map(|(_, name, value)| (*name, value.as_ref()));
    let header = [
        ("SourceName", parts.app.unwrap_or_default()),
        ("Hostname", parts.host.unwrap_or_default()),
        ("Message", parts.message.trim()),
    ];
    for (name, text) in told.chain(header) {
        if !text.is_empty() && !leaves.iter().any(|(known, _)| known == name) {
            let number = text.parse::<i64>().ok().filter(|_| name == "EventID");
            leaves.push((Text::from(name), number.map_or_else(|| Value::from(text), Value::Long)));
        }
    }
    let mut reader = Reader::default();
    let mut event = from_document(&mut reader.hold(leaves), context.record)?;
    if let Some(stamp) = parts.timestamp {
        event.timestamp = stamp;
    }
    match parts.structured.iter().find(|(_, name, _)| *name == "EventType").map(|(.., value)| value.as_ref()) {
        Some("AUDIT_SUCCESS") => event.set_default(Field::EVENT_OUTCOME, "success"),
        Some("AUDIT_FAILURE") => event.set_default(Field::EVENT_OUTCOME, "failure"),
        _ => {}
    }
    Some(event)
}

/// `4625: AUDIT_FAILURE An account failed to log on. Subject: Security ID: …`, all in one line.
fn words(parts: &Syslog<'_>, context: &Context<'_>) -> Option<Event> {
    let message = parts.message.trim_start();
    if !message.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (id, rest) = message.split_once(": AUDIT_")?;
    let id: i64 = id.parse().ok().filter(|id| (1..=65_535).contains(id))?;
    let (kind, text) = rest.split_once(' ')?;
    let keywords = match kind.trim_end_matches(':') {
        "SUCCESS" => "0x8020000000000000",
        "FAILURE" => "0x8010000000000000",
        _ => return None,
    };
    let source = parts.app?;
    let source = if source == "Security-Auditing" { "Microsoft-Windows-Security-Auditing" } else { source };
    let mut event = WindowsEvent::default();
    event.time = parts.timestamp;
    event.set(Part::EventId, Value::Long(id));
    event.set(Part::Keywords, Value::from(keywords));
    event.set(Part::ProviderName, Value::from(source));
    event.set(Part::Channel, Value::from("Security"));
    event.set(Part::Message, Value::from(text.trim()));
    if let Some(host) = parts.host {
        event.set(Part::Computer, Value::from(host));
    }
    // The account stands in front where the agent adds it: `HUE\lan: An account …`.
    let spread = snare::spread(text);
    for (name, value) in snare::data(&spread) {
        event.add_named(EVENT_DATA, name.as_str(), Value::from(value));
    }
    let bytes = context.record.bytes.clone();
    Some(to_event(event, bytes, context.record.received, context.record))
}

#[cfg(test)]
mod tests {
    use super::super::super::service::tests::check;

    #[test]
    fn a_refused_sign_in_of_nxlog_is_as_from_xml() {
        check(
            "",
            r#"<14>1 2026-11-23T02:10:00Z may-01 Microsoft-Windows-Security-Auditing 700 - [NXLOG@14506 EventType="AUDIT_FAILURE" EventID="4625" Channel="Security" TargetUserName="lan" TargetDomainName="HUE" Status="0xc000006d" LogonType="3" IpAddress="203.0.113.9" IpPort="4411" WorkstationName="MAY-7"] An account failed to log on."#,
            &[
                ("event.code", "4625"),
                ("event.action", "logon-failed"),
                ("event.category", "authentication"),
                ("event.outcome", "failure"),
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
                ("host.name", "may-01"),
                ("@timestamp", "2026-11-23T02:10:00Z"),
            ],
        );
    }

    #[test]
    fn a_sign_in_in_one_line_is_as_from_xml_unless_a_label_stands_twice() {
        let line = |name: &str| {
            format!(
                "<29>Nov 23 02:10:00 may-01 Security-Auditing: 4624: AUDIT_SUCCESS An account was successfully logged on. Subject: Security ID: S-1-5-18 Account Name: MAY-01$ Account Domain: HUE Logon ID: 0x3E7 Logon Type: 3 New Logon: Security ID: S-1-5-21-1 Account Name: {name} Account Domain: HUE Logon ID: 0x777 Network Information: Workstation Name: MAY-7 Source Network Address: 203.0.113.9 Source Port: 4411"
            )
        };
        check(
            "",
            &line("lan"),
            &[
                ("event.code", "4624"),
                ("event.outcome", "success"),
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
                ("source.port", "4411"),
                ("winlog.event_data.LogonType", "3"),
            ],
        );
        check("", &line("x Source Network Address: 198.51.100.1"), &[("!source.ip", ""), ("event.code", "4624")]);
    }
}
