//! AMD Pensando's distributed firewall: flows that its cards (DSC) and their agents send by syslog.
//!
//! In: an array of flows in JSON behind a syslog header of the program `pen-…`. Out: both sides, verdict, rule and session of
//! the first flow in ECS, its values under `pensando.dfw.*`; how many flows the message holds, where it is more than
//! one. Failure: JSON that does not hold together. Source: AMD Pensando PSM user guide, "Firewall logs"; Elastic, Filebeat 7.17,
//! exported fields of the module `pensando`.

use nhatle_event::{Event, Field, Text, Value};

use super::{Act, act, observer, set_text, verdict};
use crate::normalize::Context;
use crate::parse::{self, Fault, Syslog};

/// The agents' name begins so.
const TAG: &str = "pen-";

/// What the agent calls a value, its name under `pensando.dfw.`, the ECS field.
const TABLE: &[(&str, &str, Option<Field>)] = &[
    ("srcaddr", "source_address", Some(Field::SOURCE_IP)),
    ("srcport", "source_port", Some(Field::SOURCE_PORT)),
    ("destaddr", "destination_address", Some(Field::DESTINATION_IP)),
    ("destport", "destination_port", Some(Field::DESTINATION_PORT)),
    ("protocol", "protocol", Some(Field::NETWORK_TRANSPORT)),
    ("action", "action", None),
    ("direction", "direction", None),
    ("rule-id", "rule_id", Some(Field::RULE_ID)),
    ("session-id", "session_id", None),
    ("session-state", "session_state", None),
    ("app-id", "app_id", None),
    ("time", "timestamp", None),
];

/// Whether a message is such an agent's.
pub fn is_pensando(parts: &Syslog<'_>) -> bool {
    parts.app.is_some_and(|app| app.starts_with(TAG)) && parts.message.trim_start().starts_with("[{\"")
}

/// The event of a message.
///
/// # Errors
/// The JSON does not hold together.
pub fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    let list = message.strip_prefix('[').unwrap_or(message);
    // Flows hold no object of their own.
    let first = list.find('}').map_or(list, |at| list.get(..=at).unwrap_or(list));
    let shift = |fault: Fault| Fault { offset: fault.offset + message.len() - list.len(), ..fault };
    let leaves = parse::json::with_document(first, |mut document| document.to_leaves()).map_err(shift)?;
    let value = |name: &str| leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let stamp = value("time").and_then(|value| parse::json::moment(value, context.offset_s));
    let mut event = context.event(stamp.or(parts.timestamp), "pensando", "pensando.dfw");
    observer(&mut event, "AMD Pensando", "Distributed Services Platform", "firewall");
    for (name, plain, field) in TABLE {
        let Some(value) = value(name) else { continue };
        if let (Some(field), Some(text)) = (field, value.as_text()) {
            set_text(&mut event, *field, &text);
        }
        event.set_named(&format!("pensando.dfw.{plain}"), value.clone());
    }
    let flow_count = list.matches("},").count() + 1;
    if flow_count > 1 {
        event.set_named("pensando.dfw.flow_count", Value::from(flow_count.to_string()));
    }
    let action = value("action").and_then(Value::text).unwrap_or_default();
    let types = verdict(action);
    let is_end = value("session-state").and_then(Value::text).is_some_and(|state| state == "flow_delete");
    let kinds: &[&str] = if is_end { &["connection", "end"] } else { &["connection", "start"] };
    act(&mut event, Act("network", kinds, "success"));
    for kind in types {
        event.add(Field::EVENT_TYPE, *kind);
    }
    event.set(Field::EVENT_ACTION, Text::from(types.first().copied().unwrap_or(action)));
    for (from, to) in [
        (Field::SOURCE_IP, Field::CLIENT_IP),
        (Field::SOURCE_PORT, Field::CLIENT_PORT),
        (Field::DESTINATION_IP, Field::SERVER_IP),
        (Field::DESTINATION_PORT, Field::SERVER_PORT),
    ] {
        if let Some(value) = event.get(from).cloned() {
            event.set(to, value);
        }
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::super::{check, check_dead};
    use crate::profile::Profile;

    #[test]
    fn a_flow_of_a_card() {
        let line = r#"<14>1 2026-11-23T02:10:00Z esx-01 pen-tmagent 1402 - [{"time":"2026-11-23T02:10:00Z","destaddr":"10.45.0.5","destport":443,"srcaddr":"10.45.0.9","srcport":50000,"protocol":"TCP","action":"deny","direction":"from-host","rule-id":5413257681574708646,"session-id":7,"session-state":"flow_create"}]"#;
        let told = [
            ("event.dataset", "pensando.dfw"),
            ("event.type", "connection,start,denied"),
            ("event.action", "denied"),
            ("source.ip", "10.45.0.9"),
            ("client.port", "50000"),
            ("server.ip", "10.45.0.5"),
            ("network.transport", "tcp"),
            ("rule.id", "5413257681574708646"),
            ("pensando.dfw.session_state", "flow_create"),
            ("host.name", "esx-01"),
        ];
        check(line, None, &told);
        check(line, Some(Profile::Pensando), &told);
        // The agent leaves the message id out.
        check(&line.replace("1402 - [", "1402  - ["), None, &told);
        check_dead(
            "<14>1 2026-11-23T02:10:00Z esx-01 pen-tmagent 1402 - [{\"time\":",
            Profile::Pensando,
            "json: EOF while parsing a value",
            61,
        );
    }
}
