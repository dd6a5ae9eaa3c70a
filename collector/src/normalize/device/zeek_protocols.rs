//! What Zeek's logs say without saying it: each log of a protocol is of that protocol, over its transport.
//!
//! In: a log's name and its members. Out: network protocol, transport, direction; what was asked (`event.action`) and
//! how it ended. Source: Zeek 6 log reference; IANA's service names for the transports.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Text, Value};

use crate::normalize::{tls, typed};

/// Log, transport (empty = the log says it, or either), protocol.
const PROTOCOLS: &[(&str, &str, &str)] = &[
    ("dce_rpc", "tcp", "dce_rpc"),
    ("dhcp", "udp", "dhcp"),
    ("dnp3", "tcp", "dnp3"),
    ("dns", "", "dns"),
    ("ftp", "tcp", "ftp"),
    ("http", "tcp", "http"),
    ("irc", "tcp", "irc"),
    // Elastic's module has it over TCP, as Windows uses it; Zeek's log does not tell.
    ("kerberos", "tcp", "kerberos"),
    ("ldap", "", "ldap"),
    ("ldap_search", "", "ldap"),
    ("modbus", "tcp", "modbus"),
    ("mqtt_connect", "tcp", "mqtt"),
    ("mysql", "tcp", "mysql"),
    ("ntlm", "tcp", "ntlm"),
    ("ntp", "udp", "ntp"),
    // Asked for over HTTP (RFC 6960 appendix A).
    ("ocsp", "tcp", ""),
    ("pop3", "tcp", "pop3"),
    ("postgresql", "tcp", "postgresql"),
    ("quic", "udp", "quic"),
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
    ("websocket", "tcp", "websocket"),
    ("wireguard", "udp", "wireguard"),
];
/// Log, member that says what was asked.
const ACTIONS: &[(&str, &str)] = &[
    ("dce_rpc", "operation"),
    ("dnp3", "fc_request"),
    ("ftp", "command"),
    ("http", "method"),
    ("irc", "command"),
    ("kerberos", "request_type"),
    ("ldap", "opcode"),
    ("modbus", "func"),
    ("mysql", "cmd"),
    ("sip", "method"),
    ("smb_cmd", "command"),
    ("smb_files", "action"),
    ("notice", "note"),
    ("tunnel", "action"),
];
/// Log, member, field: what a member means in one log alone.
const MEMBERS: &[(&str, &str, &str)] = &[
    ("dhcp", "client_addr", "client.address"),
    ("dhcp", "server_addr", "server.address"),
    ("dhcp", "mac", "source.mac"),
    ("dhcp", "host_name", "source.domain"),
    ("dns", "trans_id", "dns.id"),
    ("dns", "answers", "dns.answers.data"),
    ("files", "rx_hosts", "client.ip"),
    ("files", "tx_hosts", "server.ip"),
    ("http", "version", "http.version"),
    ("kerberos", "id.orig_h", "client.address"),
    ("kerberos", "id.resp_h", "server.address"),
    ("ntlm", "domainname", "user.domain"),
    ("notice", "msg", "rule.description"),
    ("signature", "event_msg", "rule.description"),
    ("signatures", "event_msg", "rule.description"),
    ("smb_files", "name", "file.name"),
    ("smb_files", "path", "file.path"),
    ("smb_files", "size", "file.size"),
    ("smb_mapping", "path", "file.path"),
    ("smtp", "subject", "email.subject"),
    ("smtp", "from", "email.from.address"),
    ("smtp", "to", "email.to.address"),
    ("ssl", "id.orig_h", "client.address"),
    ("ssl", "id.resp_h", "server.address"),
    ("syslog", "message", "message"),
    ("known_certs", "port_num", "source.port"),
    ("known_certs", "issuer_subject", "tls.server.issuer"),
    ("known_devices", "mac", "source.mac"),
    ("known_services", "port_num", "source.port"),
    ("known_services", "port_proto", "network.transport"),
    ("syslog", "facility", "log.syslog.facility.name"),
    ("syslog", "severity", "log.syslog.severity.name"),
    ("weird", "name", "rule.name"),
    ("x509", "certificate.subject", "tls.server.subject"),
    ("x509", "certificate.issuer", "tls.server.issuer"),
];
/// Log, member, and the value that means success.
const OUTCOMES: &[(&str, &str, &str)] = &[
    ("kerberos", "success", "true"),
    ("ldap", "result", "success"),
    ("mysql", "success", "true"),
    ("ntlm", "success", "true"),
    ("radius", "result", "success"),
    ("socks", "status", "succeeded"),
    ("smb_cmd", "status", "SUCCESS"),
];

/// Sets what follows from the log's name and its members, which stand below `zeek.<log>.`.
pub fn set_fields(event: &mut Event, log: &str) {
    let member = |event: &Event, name: &str| {
        let field = Field::lookup(&format!("zeek.{log}.{name}"))?;
        event.get(field).cloned()
    };
    if let Some((_, transport, protocol)) = PROTOCOLS.iter().find(|(known, _, _)| *known == log) {
        if !protocol.is_empty() {
            event.set(Field::NETWORK_PROTOCOL, *protocol);
        }
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
    for (_, name, field) in MEMBERS.iter().filter(|(known, _, _)| *known == log) {
        let Some(value) = member(event, name) else { continue };
        match Field::lookup(field).filter(|field| field.known().is_some()) {
            Some(field) => event.set(field, typed(field.kind(), value)),
            None => event.set_named(field, value),
        }
    }
    match log {
        "dhcp" => {
            // RFC 2131 section 4.1.
            event.set_default(Field::SOURCE_PORT, 68u16);
            event.set_default(Field::DESTINATION_PORT, 67u16);
        }
        "kerberos" => principal(event, member(event, "client")),
        "modbus" => {
            let is_done = member(event, "exception").is_none();
            event.set(Field::EVENT_OUTCOME, if is_done { "success" } else { "failure" });
        }
        "sip" => {
            let domain = event.text(Field::URL_ORIGINAL).and_then(sip_domain).map(Text::from);
            if let Some(domain) = domain {
                event.set(Field::URL_DOMAIN, domain);
            }
        }
        "ssl" => {
            if let Some(Value::Text(version)) = member(event, "version") {
                tls::set_version(event, &version);
            }
        }
        _ => {}
    }
}

/// `lan/DONGHOI.EXAMPLE`, `host/pc-01/DONGHOI.EXAMPLE`: the account, and the realm behind the last slash.
fn principal(event: &mut Event, client: Option<Value>) {
    let Some(Value::Text(client)) = client else { return };
    match client.rsplit_once('/') {
        Some((user, realm)) => {
            event.set(Field::USER_NAME, user);
            event.set(Field::USER_DOMAIN, realm);
        }
        None => event.set(Field::USER_NAME, client),
    }
}

/// The host of `sip:user@host:port;parameters` (RFC 3261 section 19.1.1).
fn sip_domain(uri: &str) -> Option<&str> {
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:"))?;
    let rest = rest.split([';', '?']).next()?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// Sets the direction by which side has a private address: `internal`, `outbound`, `inbound`, `external`.
pub fn set_direction(event: &mut Event) {
    let is_private = |field| {
        let address = event.get(field).and_then(Value::as_ip)?;
        Some(match address {
            IpAddr::V4(address) => address.is_private() || address.is_link_local(),
            IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
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
    fn members_mean_what_their_log_makes_of_them() {
        check(
            r#"{"_path":"kerberos","ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","request_type":"AS","client":"lan/DONGHOI.EXAMPLE"}"#,
            None,
            &[
                ("user.name", "lan"),
                ("user.domain", "DONGHOI.EXAMPLE"),
                ("client.address", "10.0.0.1"),
                ("server.address", "10.0.0.2"),
            ],
        );
        check(
            r#"{"ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","version":"TLSv12","resumed":false}"#,
            None,
            &[("tls.version", "1.2"), ("tls.version_protocol", "tls"), ("event.dataset", "zeek.ssl")],
        );
        check(
            r#"{"_path":"sip","ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","uri":"sip:lan@dien-thoai.example:5061;x=y","method":"INVITE"}"#,
            None,
            &[("url.domain", "dien-thoai.example"), ("event.action", "INVITE")],
        );
        check(
            r#"{"_path":"dns","ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","query":"a.example","answers":["b.example","192.0.2.7"]}"#,
            None,
            &[("dns.resolved_ip", "192.0.2.7")],
        );
        check(
            r#"{"ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","command":"JOIN","value":"kenh","addl":"x"}"#,
            None,
            &[("event.dataset", "zeek.irc"), ("event.action", "JOIN"), ("network.protocol", "irc")],
        );
        check(
            r#"{"ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","func":"READ_COILS","exception":"ILLEGAL_FUNCTION"}"#,
            None,
            &[("event.dataset", "zeek.modbus"), ("event.outcome", "failure")],
        );
    }

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
