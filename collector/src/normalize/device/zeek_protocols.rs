//! What Zeek's logs say without saying it: each log of a protocol is of that protocol, over its transport.
//!
//! In: a log's name and its members. Out: network protocol, transport, direction; what was asked (`event.action`) and
//! how it ended. Source: Zeek 6 log reference; IANA's service names for the transports.

use nhatle_event::{Event, Field, Value};

/// Log, transport (empty = the log says it, or either), protocol.
const PROTOCOLS: &[(&str, &str, &str)] = &[
    ("dce_rpc", "tcp", "dce_rpc"),
    ("dhcp", "udp", "dhcp"),
    ("dnp3", "tcp", "dnp3"),
    ("dns", "", "dns"),
    ("ftp", "tcp", "ftp"),
    ("http", "tcp", "http"),
    ("irc", "tcp", "irc"),
    ("kerberos", "", "kerberos"),
    ("ldap", "", "ldap"),
    ("ldap_search", "", "ldap"),
    ("modbus", "tcp", "modbus"),
    ("mqtt_connect", "tcp", "mqtt"),
    ("mysql", "tcp", "mysql"),
    ("ntlm", "tcp", "ntlm"),
    ("ntp", "udp", "ntp"),
    ("pop3", "tcp", "pop3"),
    ("postgresql", "tcp", "postgresql"),
    ("radius", "udp", "radius"),
    ("rdp", "tcp", "rdp"),
    ("redis", "tcp", "redis"),
    ("rfb", "tcp", "rfb"),
    ("sip", "udp", "sip"),
    ("smb_cmd", "tcp", "smb"),
    ("smb_files", "tcp", "smb"),
    ("smb_mapping", "tcp", "smb"),
    ("smtp", "tcp", "smtp"),
    ("snmp", "udp", "snmp"),
    ("socks", "tcp", "socks"),
    ("ssh", "tcp", "ssh"),
    ("ssl", "tcp", "tls"),
    ("syslog", "udp", "syslog"),
];
/// Log, member that says what was asked.
const ACTIONS: &[(&str, &str)] = &[
    ("dnp3", "fc_request"),
    ("ftp", "command"),
    ("http", "method"),
    ("irc", "command"),
    ("kerberos", "request_type"),
    ("modbus", "func"),
    ("mysql", "cmd"),
    ("sip", "method"),
    ("smb_cmd", "command"),
    ("smb_files", "action"),
    ("notice", "note"),
];
/// Log, member, and the value that means success.
const OUTCOMES: &[(&str, &str, &str)] = &[
    ("kerberos", "success", "true"),
    ("mysql", "success", "true"),
    ("ntlm", "success", "true"),
    ("radius", "result", "success"),
    ("smb_cmd", "status", "SUCCESS"),
];

/// Sets what follows from the log's name and its members, which stand below `zeek.<log>.`.
pub fn set_fields(event: &mut Event, log: &str) {
    let member = |event: &Event, name: &str| {
        let field = Field::lookup(&format!("zeek.{log}.{name}"))?;
        event.get(field).cloned()
    };
    if let Some((_, transport, protocol)) = PROTOCOLS.iter().find(|(known, _, _)| *known == log) {
        event.set(Field::NETWORK_PROTOCOL, *protocol);
        if !transport.is_empty() {
            event.set(Field::NETWORK_TRANSPORT, *transport);
        }
    }
    let asked = ACTIONS.iter().find(|(known, _)| *known == log).and_then(|(_, name)| member(event, name));
    if let Some(Value::Text(action)) = asked {
        event.set(Field::EVENT_ACTION, action);
    }
    let ended = OUTCOMES.iter().find(|(known, _, _)| *known == log);
    if let Some((wanted, told)) = ended.and_then(|(_, name, wanted)| Some((*wanted, member(event, name)?)))
        && let Some(told) = told.as_text()
    {
        event.set(Field::EVENT_OUTCOME, if told == wanted { "success" } else { "failure" });
    }
    if matches!(log, "http" | "sip")
        && let Some(status) = member(event, "status_code").and_then(|status| status.as_long())
    {
        event.set(Field::EVENT_OUTCOME, if status < 400 { "success" } else { "failure" });
    }
}

/// Sets the direction by which side has a private address: `internal`, `outbound`, `inbound`, `external`.
pub fn set_direction(event: &mut Event) {
    let is_private = |field| {
        let address = event.get(field).and_then(Value::as_ip)?;
        Some(match address {
            std::net::IpAddr::V4(address) => address.is_private() || address.is_link_local(),
            std::net::IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
        })
    };
    let direction = match (is_private(Field::SOURCE_IP), is_private(Field::DESTINATION_IP)) {
        (Some(true), Some(true)) => "internal",
        (Some(true), Some(false)) => "outbound",
        (Some(false), Some(true)) => "inbound",
        (Some(false), Some(false)) => "external",
        _ => return,
    };
    event.set_default(Field::NETWORK_DIRECTION, direction);
}

#[cfg(test)]
mod tests {
    use super::super::check;

    #[test]
    fn a_log_of_a_protocol_says_more_than_its_members() {
        check(
            r#"{"_path":"kerberos","ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"203.0.113.9","request_type":"TGS","service":"HOST/pc","success":false}"#,
            None,
            &[
                ("network.protocol", "kerberos"),
                ("network.direction", "outbound"),
                ("event.action", "TGS"),
                ("event.outcome", "failure"),
                ("zeek.kerberos.service", "HOST/pc"),
            ],
        );
        check(
            r#"{"_path":"conn","ts":1,"uid":"C1","id.orig_h":"203.0.113.9","id.resp_h":"10.0.0.1","proto":"udp","service":"dns"}"#,
            None,
            &[("network.protocol", "dns"), ("network.transport", "udp"), ("network.direction", "inbound")],
        );
    }
}
