//! Flows of NetFlow and IPFIX as ECS.
//!
//! In: the object that [`crate::parse::netflow`] makes of a record. Out: the event: who spoke with whom, how much, from when
//! to when; every field of the record below `netflow.*`. Failure: what the reader of packets could not read is a dead
//! letter with its reason. Names below `netflow.` and `event.action` are those of Filebeat's netflow input, so that its
//! searches hold. Source: ECS 8.17; IANA "IPFIX Information Elements"; Cisco ASA "NetFlow Secure Event Logging".

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Timestamp, Value};

use super::device::{Act, Row, act, community, finish, set_text};
use super::{Context, typed};
use crate::parse::{self, Fault};

/// The profile of a flow; nothing else names it.
pub const NETFLOW: &str = "netflow";

/// What a field of a record means in ECS. The first that is there counts, so the more telling stand first.
const ROWS: &[Row] = &[
    ("source_ipv4_address", Field::SOURCE_IP),
    ("source_ipv6_address", Field::SOURCE_IP),
    ("destination_ipv4_address", Field::DESTINATION_IP),
    ("destination_ipv6_address", Field::DESTINATION_IP),
    ("source_transport_port", Field::SOURCE_PORT),
    ("udp_source_port", Field::SOURCE_PORT),
    ("tcp_source_port", Field::SOURCE_PORT),
    ("destination_transport_port", Field::DESTINATION_PORT),
    ("udp_destination_port", Field::DESTINATION_PORT),
    ("tcp_destination_port", Field::DESTINATION_PORT),
    ("source_mac_address", Field::SOURCE_MAC),
    ("destination_mac_address", Field::DESTINATION_MAC),
    ("post_destination_mac_address", Field::DESTINATION_MAC),
    ("post_nat_source_ipv4_address", Field::SOURCE_NAT_IP),
    ("post_nat_source_ipv6_address", Field::SOURCE_NAT_IP),
    ("post_nat_destination_ipv4_address", Field::DESTINATION_NAT_IP),
    ("post_nat_destination_ipv6_address", Field::DESTINATION_NAT_IP),
    ("post_napt_source_transport_port", Field::SOURCE_NAT_PORT),
    ("post_napt_destination_transport_port", Field::DESTINATION_NAT_PORT),
    ("initiator_octets", Field::SOURCE_BYTES),
    ("octet_delta_count", Field::SOURCE_BYTES),
    ("octet_total_count", Field::SOURCE_BYTES),
    ("layer2_octet_delta_count", Field::SOURCE_BYTES),
    ("responder_octets", Field::DESTINATION_BYTES),
    ("reverse_octet_delta_count", Field::DESTINATION_BYTES),
    ("reverse_octet_total_count", Field::DESTINATION_BYTES),
    ("initiator_packets", Field::SOURCE_PACKETS),
    ("packet_delta_count", Field::SOURCE_PACKETS),
    ("packet_total_count", Field::SOURCE_PACKETS),
    ("responder_packets", Field::DESTINATION_PACKETS),
    ("reverse_packet_delta_count", Field::DESTINATION_PACKETS),
    ("reverse_packet_total_count", Field::DESTINATION_PACKETS),
    ("application_name", Field::NETWORK_APPLICATION),
    ("user_name", Field::SOURCE_USER_NAME),
    ("http_request_host", Field::URL_DOMAIN),
    ("http_request_target", Field::URL_ORIGINAL),
    ("http_request_method", Field::HTTP_REQUEST_METHOD),
    ("http_status_code", Field::HTTP_RESPONSE_STATUS_CODE),
    ("http_user_agent", Field::USER_AGENT_ORIGINAL),
];

/// The event of a flow's object.
///
/// # Errors
/// The text is no such object, or says itself why it could not be read.
pub fn event(text: &str, context: &Context<'_>) -> Result<Event, Fault> {
    let leaves = parse::json::parse(text)?;
    let of = |name: &str| value(&leaves, name);
    if let Some(reason) = of("fault").and_then(Value::text) {
        return Err(Fault::new(known_reason(reason), 0));
    }
    let kind = of("type").and_then(Value::text).unwrap_or_default();
    if !matches!(kind, "netflow_flow" | "netflow_options") {
        return Err(Fault::new("netflow: no flow's object", 0));
    }
    let moment = |name: &str| of(name).and_then(|value| parse::json::moment(value, 0));
    let (start, end) = (moment("start"), moment("end"));
    let stamp = end.or(start).or_else(|| moment("exporter.timestamp"));
    let mut event = context.event(stamp, "netflow", "netflow.log");
    act(&mut event, Act("network", &["connection"], ""));
    event.set(Field::EVENT_ACTION, kind.to_owned());
    event.set(Field::OBSERVER_TYPE, "router");
    for (name, value) in leaves.iter().filter(|(name, _)| name.starts_with("netflow.")) {
        event.set_named(name, value.clone());
    }
    if kind == "netflow_options" {
        event.set(Field::EVENT_TYPE, "info");
        event.set(Field::MESSAGE, "options of an exporter");
        return Ok(event);
    }
    for (name, field) in ROWS {
        if let Some(value) = of(name)
            && event.get(*field).is_none()
        {
            event.set(*field, typed(field.kind(), value.clone()));
        }
    }
    transport(&mut event, &leaves);
    times(&mut event, start, end);
    direction(&mut event, &leaves);
    firewall(&mut event, &leaves);
    community::set(&mut event);
    finish(&mut event);
    if event.get(Field::NETWORK_BYTES).is_none() {
        copy(&mut event, Field::SOURCE_BYTES, Field::NETWORK_BYTES);
        copy(&mut event, Field::SOURCE_PACKETS, Field::NETWORK_PACKETS);
    }
    let message = message(&event);
    event.set(Field::MESSAGE, message);
    Ok(event)
}

fn value<'a>(leaves: &'a Leaves, name: &str) -> Option<&'a Value> {
    leaves.iter().find(|(known, _)| known.strip_prefix("netflow.") == Some(name)).map(|(_, value)| value)
}

fn number(leaves: &Leaves, name: &str) -> Option<i64> {
    value(leaves, name)?.as_long()
}

/// Reasons come from our own reader; what somebody else wrote there is cut to a phrase of ours.
fn known_reason(reason: &str) -> String {
    let is_ours = reason.starts_with("netflow: ") && reason.len() <= 96;
    if is_ours { reason.to_owned() } else { "netflow: unreadable".to_owned() }
}

/// The transport by its number; of ICMP the type and code, which some exporters write as the destination's port.
fn transport(event: &mut Event, leaves: &Leaves) {
    let Some(protocol) = number(leaves, "protocol_identifier") else { return };
    set_text(event, Field::NETWORK_TRANSPORT, &protocol.to_string());
    if matches!(protocol, 1 | 58) {
        let both = number(leaves, "icmp_type_code_ipv4").or_else(|| number(leaves, "icmp_type_code_ipv6"));
        let both = both.or_else(|| event.get(Field::DESTINATION_PORT).and_then(Value::as_long));
        if let Some(both) = both.filter(|both| (0..=65_535).contains(both)) {
            event.set_named("netflow.icmp_type", both >> 8);
            event.set_named("netflow.icmp_code", both & 255);
        }
        event.remove(Field::SOURCE_PORT);
        event.remove(Field::DESTINATION_PORT);
    }
}

fn times(event: &mut Event, start: Option<Timestamp>, end: Option<Timestamp>) {
    for (field, moment) in [(Field::EVENT_START, start), (Field::EVENT_END, end)] {
        if let Some(moment) = moment {
            event.set(field, Value::Date(moment));
        }
    }
    if let (Some(start), Some(end)) = (start, end)
        && start <= end
    {
        event.set(Field::EVENT_DURATION, end.since(start));
    }
}

/// Which way the flow went through the interface it was seen at (RFC 5102 section 5.11.7).
fn direction(event: &mut Event, leaves: &Leaves) {
    match number(leaves, "flow_direction") {
        Some(0) => event.set(Field::NETWORK_DIRECTION, "inbound"),
        Some(1) => event.set(Field::NETWORK_DIRECTION, "outbound"),
        _ => {}
    }
}

/// What a firewall did with the connection (element 233).
fn firewall(event: &mut Event, leaves: &Leaves) {
    match number(leaves, "firewall_event") {
        Some(1) => event.add(Field::EVENT_TYPE, "start"),
        Some(2) => event.add(Field::EVENT_TYPE, "end"),
        Some(3) => {
            event.add(Field::EVENT_TYPE, "denied");
            event.set(Field::EVENT_OUTCOME, "failure");
        }
        _ => {}
    }
}

fn copy(event: &mut Event, from: Field, to: Field) {
    if let Some(value) = event.get(from).cloned() {
        event.set(to, value);
    }
}

/// `tcp 192.0.2.9:40000 > 203.0.113.9:443, 1200 bytes`.
fn message(event: &Event) -> String {
    let text = |field| event.get(field).and_then(Value::as_text).map(|text| text.to_string()).unwrap_or_default();
    let side = |address, port| {
        let (address, port) = (text(address), text(port));
        match (address.contains(':'), port.is_empty()) {
            (_, true) => address,
            (true, false) => format!("[{address}]:{port}"),
            (false, false) => format!("{address}:{port}"),
        }
    };
    format!(
        "{} {} > {}, {} bytes",
        text(Field::NETWORK_TRANSPORT),
        side(Field::SOURCE_IP, Field::SOURCE_PORT),
        side(Field::DESTINATION_IP, Field::DESTINATION_PORT),
        text(Field::NETWORK_BYTES)
    )
    .trim_start()
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;
    use crate::Settings;
    use nhatle_event::{Record, Timestamp};

    #[test]
    fn a_flow_says_who_spoke_with_whom() {
        check(
            "netflow",
            r#"{"netflow":{"type":"netflow_flow","exporter":{"address":"192.0.2.1","version":9},"source_ipv4_address":"10.0.0.9","destination_ipv4_address":"203.0.113.9","source_transport_port":40000,"destination_transport_port":443,"protocol_identifier":6,"octet_delta_count":1200,"packet_delta_count":7,"flow_direction":1,"start":"2026-11-23T02:10:00Z","end":"2026-11-23T02:10:02.500Z"}}"#,
            &[
                ("@timestamp", "2026-11-23T02:10:02.500Z"),
                ("event.dataset", "netflow.log"),
                ("event.category", "network"),
                ("event.kind", "event"),
                ("event.action", "netflow_flow"),
                ("source.ip", "10.0.0.9"),
                ("destination.port", "443"),
                ("network.transport", "tcp"),
                ("network.iana_number", "6"),
                ("network.bytes", "1200"),
                ("network.packets", "7"),
                ("network.direction", "outbound"),
                ("event.duration", "2500000000"),
                ("netflow.exporter.address", "192.0.2.1"),
                ("message", "tcp 10.0.0.9:40000 > 203.0.113.9:443, 1200 bytes"),
            ],
        );
        check(
            "netflow",
            r#"{"netflow":{"type":"netflow_flow","source_ipv6_address":"2001:db8::1","destination_ipv6_address":"2001:db8::2","protocol_identifier":58,"icmp_type_code_ipv6":32768,"initiator_octets":5,"responder_octets":7,"firewall_event":3}}"#,
            &[
                ("network.transport", "ipv6-icmp"),
                ("netflow.icmp_type", "128"),
                ("network.bytes", "12"),
                ("event.type", "connection,denied"),
                ("!destination.port", ""),
            ],
        );
    }

    #[test]
    fn what_could_not_be_read_is_a_dead_letter_with_its_reason() {
        for (text, reason) in [
            (r#"{"netflow":{"fault":"netflow: a record is cut","bytes":"00"}}"#, "netflow: a record is cut"),
            (r#"{"netflow":{"fault":"x","bytes":"00"}}"#, "netflow: unreadable"),
            (r#"{"a":1}"#, "netflow: no flow's object"),
            ("\u{5}", "json: expected an object"),
        ] {
            let mut record = Record::new(text.as_bytes(), "test", Timestamp(0));
            record.profile = Some(super::NETFLOW.into());
            let dead = crate::to_event(&record, &Settings::default()).expect_err("is none");
            assert!(dead.reason == reason || reason.starts_with("json"), "{}", dead.reason);
        }
    }
}
