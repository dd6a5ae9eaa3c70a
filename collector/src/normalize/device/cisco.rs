//! Cisco ASA/FTD and IOS: `%FACILITY-SEVERITY-MNEMONIC: message`.
//!
//! In: a syslog message of such a device. Out: the event; connections, denials, logins, configuration and
//! switch-port events in ECS by the wordings below, the message's name in `event.code`. Failure: a record that
//! is given as Cisco's and has no such mark is a plain message. Source: Cisco ASA syslog messages guide; Cisco IOS
//! system message guide.

use std::sync::LazyLock;

use nhatle_event::{Event, Field, Value};

use super::template::Template;
use super::{Act, act, ftd, observer, set_text};
use crate::normalize::Context;
use crate::parse::Syslog;

const DENIED: Act = Act("network", &["connection", "denied"], "failure");
const OPENED: Act = Act("network", &["connection", "start", "allowed"], "success");
const CLOSED: Act = Act("network", &["connection", "end"], "success");
const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");
const CHANGED: Act = Act("configuration", &["change"], "success");
const COMMAND: Act = Act("process", &["start"], "success");
const SEEN: Act = Act("network", &["info"], "");

/// The message's name, its wording (empty = any), action, meaning.
const WORDINGS: &[(&str, &str, &str, Act)] = &[
    (
        "106001",
        "Inbound TCP connection denied from <source.ip>/<source.port> to <destination.ip>/<destination.port> flags <> on interface <observer.ingress.interface.name>",
        "firewall-rule",
        DENIED,
    ),
    (
        "106006",
        "Deny inbound UDP from <source.ip>/<source.port> to <destination.ip>/<destination.port> on interface <observer.ingress.interface.name>",
        "firewall-rule",
        DENIED,
    ),
    (
        "106015",
        "Deny TCP (no connection) from <source.ip>/<source.port> to <destination.ip>/<destination.port> flags <> on interface <observer.ingress.interface.name>",
        "firewall-rule",
        DENIED,
    ),
    (
        "106021",
        "Deny <network.transport> reverse path check from <source.ip> to <destination.ip> on interface <observer.ingress.interface.name>",
        "firewall-rule",
        DENIED,
    ),
    (
        "106023",
        "Deny <network.transport> src <observer.ingress.interface.name>:<source.ip>/<source.port> dst <observer.egress.interface.name>:<destination.ip>/<destination.port> by access-group \"<rule.name>\"<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "106023",
        "Deny <network.transport> src <observer.ingress.interface.name>:<source.ip> dst <observer.egress.interface.name>:<destination.ip> (<>) by access-group \"<rule.name>\"<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "302013",
        "Built inbound TCP connection <cisco.asa.connection_id> for <>:<source.ip>/<source.port> (<>) to <>:<destination.ip>/<destination.port> (<>",
        "connection-started",
        OPENED,
    ),
    (
        "302013",
        "Built outbound TCP connection <cisco.asa.connection_id> for <>:<destination.ip>/<destination.port> (<>) to <>:<source.ip>/<source.port> (<>",
        "connection-started",
        OPENED,
    ),
    (
        "302015",
        "Built inbound UDP connection <cisco.asa.connection_id> for <>:<source.ip>/<source.port> (<>) to <>:<destination.ip>/<destination.port> (<>",
        "connection-started",
        OPENED,
    ),
    (
        "302015",
        "Built outbound UDP connection <cisco.asa.connection_id> for <>:<destination.ip>/<destination.port> (<>) to <>:<source.ip>/<source.port> (<>",
        "connection-started",
        OPENED,
    ),
    (
        "302014",
        "Teardown TCP connection <cisco.asa.connection_id> for <>:<source.ip>/<source.port> to <>:<destination.ip>/<destination.port> duration <cisco.asa.duration> bytes <network.bytes> <>",
        "flow-expiration",
        CLOSED,
    ),
    (
        "302016",
        "Teardown UDP connection <cisco.asa.connection_id> for <>:<source.ip>/<source.port> to <>:<destination.ip>/<destination.port> duration <cisco.asa.duration> bytes <network.bytes>",
        "flow-expiration",
        CLOSED,
    ),
    (
        "605004",
        "Login denied from <source.ip>/<source.port> to <>:<destination.ip>/<network.protocol> for user \"<user.name*>\"",
        "login-failed",
        REFUSED,
    ),
    (
        "605005",
        "Login permitted from <source.ip>/<source.port> to <>:<destination.ip>/<network.protocol> for user \"<user.name*>\"",
        "logged-in",
        LOGIN,
    ),
    (
        "113015",
        "AAA user authentication Rejected : reason = <event.reason> : local database : user = <user.name*> : user IP = <source.ip>",
        "login-failed",
        REFUSED,
    ),
    (
        "113005",
        "AAA user authentication Rejected : reason = <event.reason> : server = <destination.ip> : user = <user.name*> : user IP = <source.ip>",
        "login-failed",
        REFUSED,
    ),
    ("113039", "Group <<>> User <<>> IP <<>> AnyConnect parent session started.", "vpn-started", LOGIN),
    ("111008", "User '<user.name*>' executed the '<process.command_line>' command.", "command-executed", COMMAND),
    (
        "111010",
        "User '<user.name*>', running '<>' from IP <source.ip>, executed '<process.command_line>'",
        "command-executed",
        COMMAND,
    ),
    (
        "502103",
        "User priv level changed: Uname: <user.name> From: <cisco.asa.level_from> To: <cisco.asa.level_to>",
        "privilege-changed",
        Act("iam", &["user", "change"], "success"),
    ),
    (
        "106100",
        "access-list <rule.name> denied <network.transport> <observer.ingress.interface.name>/<source.ip>(<source.port>) -> <observer.egress.interface.name>/<destination.ip>(<destination.port>) hit-cnt <>",
        "firewall-rule",
        DENIED,
    ),
    (
        "106100",
        "access-list <rule.name> permitted <network.transport> <observer.ingress.interface.name>/<source.ip>(<source.port>) -> <observer.egress.interface.name>/<destination.ip>(<destination.port>) hit-cnt <>",
        "firewall-rule",
        OPENED,
    ),
    (
        "106016",
        "Deny IP spoof from (<source.ip>) to <destination.ip> on interface <observer.ingress.interface.name>",
        "firewall-rule",
        DENIED,
    ),
    (
        "710003",
        "<network.transport> access denied by ACL from <source.ip>/<source.port> to <observer.ingress.interface.name>:<destination.ip>/<destination.port>",
        "firewall-rule",
        DENIED,
    ),
    (
        "710005",
        "<network.transport> request discarded from <source.ip>/<source.port> to <observer.ingress.interface.name>:<destination.ip>/<destination.port>",
        "firewall-rule",
        DENIED,
    ),
    (
        "305011",
        "Built dynamic <network.transport> translation from <observer.ingress.interface.name>:<source.ip>/<source.port> to <observer.egress.interface.name>:<source.nat.ip>/<source.nat.port>",
        "nat-started",
        SEEN,
    ),
    (
        "305012",
        "Teardown dynamic <network.transport> translation from <observer.ingress.interface.name>:<source.ip>/<source.port> to <observer.egress.interface.name>:<source.nat.ip>/<source.nat.port> duration <>",
        "nat-ended",
        SEEN,
    ),
    (
        "302020",
        "Built inbound ICMP connection for faddr <source.ip>/<> gaddr <> laddr <destination.ip>/<>",
        "connection-started",
        OPENED,
    ),
    (
        "302020",
        "Built outbound ICMP connection for faddr <destination.ip>/<> gaddr <> laddr <source.ip>/<>",
        "connection-started",
        OPENED,
    ),
    ("111009", "User '<user.name*>' executed cmd: <process.command_line>", "command-executed", COMMAND),
    ("304001", "<source.ip> Accessed URL <destination.ip>:<url.original>", "url-accessed", SEEN),
    ("733100", "", "threat-rate-exceeded", SEEN),
    (
        "SYS-CONFIG_I",
        "Configured from <> by <user.name> on <cisco.ios.line> (<source.ip>)",
        "configuration-changed",
        CHANGED,
    ),
    ("SYS-CONFIG_I", "", "configuration-changed", CHANGED),
    (
        "SYS-LOGGINGHOST_STARTSTOP",
        "Logging to host <destination.ip> port <destination.port> stopped<>",
        "logging-stopped",
        CHANGED,
    ),
    ("SYS-LOGGINGHOST_STARTSTOP", "Logging to host <destination.ip> stopped<>", "logging-stopped", CHANGED),
    ("PARSER-CFGLOG_LOGGEDCMD", "User:<user.name>  logged command:<process.command_line>", "command-executed", COMMAND),
    (
        "SEC_LOGIN-LOGIN_SUCCESS",
        "Login Success [user: <user.name*>] [Source: <source.ip>] [localport: <destination.port>] at <>",
        "logged-in",
        LOGIN,
    ),
    (
        "SEC_LOGIN-LOGIN_FAILED",
        "Login failed [user: <user.name*>] [Source: <source.ip>] [localport: <destination.port>] [Reason: <event.reason>] at <>",
        "login-failed",
        REFUSED,
    ),
    (
        "SEC-IPACCESSLOGP",
        "list <rule.name> denied <network.transport> <source.ip>(<source.port>) -> <destination.ip>(<destination.port>), <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "SEC-IPACCESSLOGP",
        "list <rule.name> permitted <network.transport> <source.ip>(<source.port>) -> <destination.ip>(<destination.port>), <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "PORT_SECURITY-PSECURE_VIOLATION",
        "Security violation occurred, caused by MAC address <source.mac> on port <observer.ingress.interface.name>.",
        "port-security-violation",
        SEEN,
    ),
    (
        "SPANTREE-BLOCK_BPDUGUARD",
        "Received BPDU on port <observer.ingress.interface.name> with BPDU Guard enabled. Disabling port.",
        "bpdu-guard",
        SEEN,
    ),
    (
        "SPANTREE-ROOTGUARD_BLOCK",
        "Root guard blocking port <observer.ingress.interface.name> on <>",
        "root-guard",
        SEEN,
    ),
    (
        "SW_DAI-DHCP_SNOOPING_DENY",
        "<> Invalid ARPs (<>) on <observer.ingress.interface.name>, vlan <>.([<source.mac>/<source.ip>/<>",
        "arp-spoofing",
        SEEN,
    ),
];

/// What Cisco calls a severity, by its number.
const LEVELS: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notification", "informational", "debug"];

static TEMPLATES: LazyLock<Vec<(&'static str, Template, &'static str, Act)>> = LazyLock::new(|| {
    let row = |(code, wording, action, meaning): &(&'static str, &'static str, &'static str, Act)| {
        (*code, Template::new(wording), *action, *meaning)
    };
    WORDINGS.iter().map(row).collect()
});

/// The mark of a message: facility, severity, mnemonic, and what follows.
struct Mark<'a> {
    facility: &'a str,
    severity: i64,
    mnemonic: &'a str,
    message: &'a str,
}

/// How far into a line the mark may stand (behind a sequence number, a name and a date).
const MARK_AT_MAX: usize = 200;

fn mark(text: &str) -> Option<Mark<'_>> {
    let places = text.match_indices('%').map(|(at, _)| at).take_while(|at| *at <= MARK_AT_MAX).take(8);
    places.filter_map(|at| mark_at(text.get(at + 1..)?)).next()
}

fn mark_at(text: &str) -> Option<Mark<'_>> {
    let (name, message) = text.split_once(": ").or_else(|| text.split_once(':'))?;
    let is_name =
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'));
    let (front, mnemonic) = name.rsplit_once('-').filter(|_| is_name)?;
    let (facility, severity) = front.rsplit_once('-')?;
    let severity = severity.parse::<i64>().ok().filter(|severity| (0..=7).contains(severity))?;
    (!facility.is_empty() && !mnemonic.is_empty()).then_some(Mark { facility, severity, mnemonic, message })
}

/// Whether a message of this program and text is an ASA's (true) or an IOS device's (false).
pub fn is_asa(parts: &Syslog<'_>) -> Option<bool> {
    let app = parts.app.unwrap_or_default();
    let text = parts.message.trim_start_matches([':', ' ']);
    let name = if app.starts_with('%') { app } else { text };
    let named = name.strip_prefix('%')?;
    let is_asa = ["ASA-", "FTD-", "PIX-", "FWSM-"].iter().any(|start| named.starts_with(start));
    let is_marked = mark_at(text.get(1..).unwrap_or_default()).is_some() || mark_at(&format!("{named}: ")).is_some();
    is_marked.then_some(is_asa)
}

/// The event of a message. The tag in front may have been taken for the program's name, so the mark is put
/// together again from both.
pub fn event(parts: &Syslog<'_>, is_asa: bool, context: &Context<'_>) -> Event {
    let (dataset, product, home) =
        if is_asa { ("cisco.asa", "asa", "cisco.asa.") } else { ("cisco.ios", "ios", "cisco.ios.") };
    let mut event = context.event(parts.timestamp, "cisco", dataset);
    observer(&mut event, "Cisco", product, if is_asa { "firewall" } else { "switch" });
    let joined;
    let whole = match parts.app.filter(|app| app.starts_with('%')) {
        Some(app) => {
            joined = format!("{app}: {}", parts.message);
            joined.as_str()
        }
        None => parts.message,
    };
    let Some(mark) = mark(whole) else { return event };
    let message = mark.message.trim();
    event.set(Field::MESSAGE, message);
    event.set(Field::EVENT_SEVERITY, Value::Long(mark.severity));
    event.set_named(&format!("{home}facility"), mark.facility);
    event.set_named(&format!("{home}mnemonic"), mark.mnemonic);
    let code = if is_asa { mark.mnemonic.to_owned() } else { format!("{}-{}", mark.facility, mark.mnemonic) };
    if let Some(level) = usize::try_from(mark.severity).ok().and_then(|level| LEVELS.get(level)) {
        event.set(Field::LOG_LEVEL, *level);
    }
    if is_asa && ftd::fill(&code, message, &mut event) {
        event.set(Field::EVENT_CODE, code);
        return event;
    }
    let found = TEMPLATES.iter().filter(|(known, ..)| *known == code);
    let fitting = found.into_iter().find(|(_, template, ..)| template.fill(message, &mut event));
    if let Some((_, _, action, meaning)) = fitting {
        event.set(Field::EVENT_ACTION, *action);
        act(&mut event, *meaning);
    }
    // The connection's kind is a word of the wording itself; so is who began it.
    let words = message.split(' ').take(3);
    for word in words {
        match word {
            "inbound" | "outbound" => event.set(Field::NETWORK_DIRECTION, word),
            "TCP" | "UDP" | "ICMP" => set_text(&mut event, Field::NETWORK_TRANSPORT, word),
            _ => {}
        }
    }
    event.set(Field::EVENT_CODE, code);
    event
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn an_asa_denies_and_signs_in() {
        let line = r#"<164>Nov 23 2026 09:10:00 fw-01 : %ASA-4-106023: Deny tcp src outside:203.0.113.45/40000 dst inside:192.0.2.20/22 by access-group "outside_in" [0x0, 0x0]"#;
        let told = [
            ("event.code", "106023"),
            ("source.ip", "203.0.113.45"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("rule.name", "outside_in"),
            ("event.type", "connection,denied"),
            ("event.dataset", "cisco.asa"),
        ];
        check(line, Some(Profile::CiscoAsa), &told);
        check(line, None, &told);
        check(
            r#"<166>%ASA-6-605004: Login denied from 203.0.113.45/40001 to outside:192.0.2.1/ssh for user "a" from 198.51.100.66"""#,
            Some(Profile::CiscoAsa),
            &[("source.ip", "203.0.113.45"), ("event.outcome", "failure")],
        );
    }

    #[test]
    fn who_began_a_connection_is_its_source() {
        let line = |way: &str| {
            format!(
                "<166>Nov 23 2026 09:10:00 fw-01 : %ASA-6-302013: Built {way} TCP connection 7 for outside:203.0.113.80/443 (203.0.113.80/443) to inside:10.45.0.31/50330 (192.0.2.1/50330)"
            )
        };
        let (out, into) = (line("outbound"), line("inbound"));
        check(&out, None, &[("source.ip", "10.45.0.31"), ("destination.port", "443"), ("network.transport", "tcp")]);
        check(
            &into,
            None,
            &[("source.ip", "203.0.113.80"), ("destination.port", "50330"), ("network.direction", "inbound")],
        );
    }

    #[test]
    fn a_switch_tells_of_logins_and_ports() {
        check(
            "<189>29: *Nov 23 2026 02:10:00.000 UTC: %SYS-5-CONFIG_I: Configured from console by admin on vty0 (203.0.113.9)",
            None,
            &[
                ("event.code", "SYS-CONFIG_I"),
                ("user.name", "admin"),
                ("source.ip", "203.0.113.9"),
                ("event.dataset", "cisco.ios"),
            ],
        );
        check(
            "<186>Nov 23 02:10:00 sw-01: %PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 0000.5e00.5301 on port FastEthernet0/7.",
            Some(Profile::CiscoIos),
            &[
                ("event.action", "port-security-violation"),
                ("source.mac", "0000.5e00.5301"),
                ("observer.ingress.interface.name", "FastEthernet0/7"),
            ],
        );
    }
}
