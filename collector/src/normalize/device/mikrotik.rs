//! MikroTik RouterOS: topics, then a message in words.
//!
//! In: `topic,topic message`. Out: logins, firewall lines, DHCP, wireless, PPP and configuration changes in ECS;
//! the rest under `mikrotik.*`. Promise: names that strangers choose are greedy ([`Template`]), so that words
//! inside them never pass for the router's. Source: RouterOS manual, "Log"; RouterOS 7 messages.

use std::sync::LazyLock;

use nhatle_event::{Event, Field, Value};

use super::template::Template;
use super::{Act, act, observer, set_text};
use crate::normalize::Context;
use crate::parse::{self, Syslog};

/// Topics that a line may begin with (RouterOS manual, "Log", list of topics).
const TOPICS: &[&str] = &[
    "system",
    "firewall",
    "dhcp",
    "wireless",
    "ppp",
    "l2tp",
    "pptp",
    "sstp",
    "ovpn",
    "ipsec",
    "interface",
    "script",
    "dns",
    "hotspot",
    "radius",
    "route",
    "bridge",
    "caps",
    "pppoe",
    "web-proxy",
    "certificate",
    "account",
    "critical",
    "async",
    "backup",
    "bgp",
    "container",
    "dot1x",
    "e-mail",
    "health",
    "igmp-proxy",
    "lte",
    "manager",
    "mqtt",
    "ntp",
    "ospf",
    "poe-out",
    "snmp",
    "ssh",
    "telnet",
    "tftp",
    "upnp",
    "vrrp",
    "watchdog",
    "wireguard",
];

const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");
const LOGOUT: Act = Act("authentication", &["end"], "success");
const ADDED: Act = Act("configuration", &["creation"], "success");
const CHANGED: Act = Act("configuration", &["change"], "success");
const REMOVED: Act = Act("configuration", &["deletion"], "success");
const INFO: Act = Act("network", &["info"], "");
const STARTED: Act = Act("network", &["connection", "start"], "success");
const BROKEN: Act = Act("network", &["connection", "error"], "failure");

/// Wording, action, meaning; the first that fits counts.
const WORDINGS: &[(&str, &str, Act)] = &[
    ("login failure for user <user.name*> from <source.ip> via <mikrotik.via>", "authentication_failed", REFUSED),
    ("user <user.name*> logged in from <source.ip> via <mikrotik.via>", "authentication_success", LOGIN),
    ("user <user.name*> logged out from <source.ip> via <mikrotik.via>", "logged-out", LOGOUT),
    // At the console there is no address.
    ("login failure for user <user.name*> via <mikrotik.via>", "authentication_failed", REFUSED),
    ("user <user.name*> logged in via <mikrotik.via>", "authentication_success", LOGIN),
    ("user <user.name*> logged out via <mikrotik.via>", "logged-out", LOGOUT),
    ("user <user.target.name*> added by <mikrotik.by>", "user-added", Act("iam", &["user", "creation"], "success")),
    ("user <user.target.name*> changed by <mikrotik.by>", "user-changed", Act("iam", &["user", "change"], "success")),
    ("user <user.target.name*> removed by <mikrotik.by>", "user-removed", Act("iam", &["user", "deletion"], "success")),
    ("<mikrotik.object*> added by <mikrotik.by>", "added", ADDED),
    ("<mikrotik.object*> changed by <mikrotik.by>", "changed", CHANGED),
    ("<mikrotik.object*> removed by <mikrotik.by>", "removed", REMOVED),
    ("<mikrotik.server> assigned <client.ip> for <client.mac> <client.domain>", "dhcp-assigned", INFO),
    ("<mikrotik.server> assigned <client.ip> for <client.mac>", "dhcp-assigned", INFO),
    ("<mikrotik.server> assigned <client.ip> to <client.mac> <client.domain>", "dhcp-assigned", INFO),
    ("<mikrotik.server> assigned <client.ip> to <client.mac>", "dhcp-assigned", INFO),
    ("<mikrotik.server> deassigned <client.ip> for <client.mac> <client.domain>", "dhcp-deassigned", INFO),
    ("<mikrotik.server> deassigned <client.ip> for <client.mac>", "dhcp-deassigned", INFO),
    ("<mikrotik.server> deassigned <client.ip> from <client.mac> <client.domain>", "dhcp-deassigned", INFO),
    ("<mikrotik.server> deassigned <client.ip> from <client.mac>", "dhcp-deassigned", INFO),
];

/// The same for topics whose words say nothing without them: topic, wording, action, meaning.
const WORDINGS_BY_TOPIC: &[(&str, &str, &str, Act)] = &[
    ("ppp", "<>: user <user.name*> authentication failed<>", "vpn-refused", REFUSED),
    ("ppp", "<user.name*> logged in, <source.nat.ip> from <source.ip>", "vpn-started", LOGIN),
    ("ppp", "<user.name*> logged in, <source.nat.ip>", "vpn-started", LOGIN),
    ("ppp", "<user.name*> logged out, <> from <source.ip>", "vpn-ended", LOGOUT),
    ("ppp", "<user.name*> logged out, <>", "vpn-ended", LOGOUT),
    // The tunnel's own interface, which is called after whoever dialed in.
    ("ppp", "<<mikrotik.tunnel>: authenticated", "vpn-authenticated", LOGIN),
    ("ppp", "<<mikrotik.tunnel>: connected", "vpn-connected", STARTED),
    ("ppp", "<<mikrotik.tunnel>: disconnected", "vpn-disconnected", Act("network", &["connection", "end"], "success")),
    (
        "ppp",
        "<<mikrotik.tunnel>: terminating... - <event.reason>",
        "vpn-terminating",
        Act("network", &["connection", "end"], ""),
    ),
    ("ssh", "publickey accepted for user: <user.name*>", "authentication_success", LOGIN),
    ("ipsec", "<source.ip> parsing packet failed, possible cause: <event.reason>", "vpn-refused", BROKEN),
    ("ipsec", "<source.ip> failed to <event.reason>", "vpn-refused", BROKEN),
    ("hotspot", "<user.name*> (<source.ip>): login failed: <event.reason>", "authentication_failed", REFUSED),
    ("hotspot", "<user.name*> (<source.ip>): logged in", "authentication_success", LOGIN),
    ("hotspot", "<user.name*> (<source.ip>): logged out: <event.reason>", "logged-out", LOGOUT),
    ("wireless", "<source.mac>@<observer.ingress.interface.name>: connected<>", "wireless-connected", INFO),
    (
        "wireless",
        "<source.mac>@<observer.ingress.interface.name>: disconnected, <event.reason>",
        "wireless-disconnected",
        INFO,
    ),
    ("caps", "<source.mac>@<observer.ingress.interface.name> connected<>", "wireless-connected", INFO),
    (
        "caps",
        "<source.mac>@<observer.ingress.interface.name> disconnected, <event.reason>",
        "wireless-disconnected",
        INFO,
    ),
    ("interface", "<observer.ingress.interface.name> link <event.reason>", "interface-state-changed", INFO),
    ("l2tp", "first L2TP UDP packet received from <source.ip>", "connection-started", STARTED),
    ("pptp", "TCP connection established from <source.ip>", "connection-started", STARTED),
    ("sstp", "TCP connection established from <source.ip>", "connection-started", STARTED),
    ("ovpn", "TCP connection established from <source.ip>", "connection-started", STARTED),
    (
        "ovpn",
        "connection established from <source.ip>, port: <source.port> to <destination.ip>",
        "connection-started",
        STARTED,
    ),
    (
        "ipsec",
        "ISAKMP-SA established <source.ip>[<source.port>]-<destination.ip>[<destination.port>]<>",
        "vpn-started",
        STARTED,
    ),
    (
        "ipsec",
        "ISAKMP-SA deleted <source.ip>[<source.port>]-<destination.ip>[<destination.port>]<>",
        "vpn-ended",
        Act("network", &["connection", "end"], "success"),
    ),
    // The router answers: the peer began.
    (
        "ipsec",
        "respond new phase 1 (<>): <destination.ip>[<destination.port>]<>=><source.ip>[<source.port>]<>",
        "vpn-requested",
        INFO,
    ),
    (
        "ipsec",
        "initiate new phase 1 (<>): <source.ip>[<source.port>]<>=><destination.ip>[<destination.port>]<>",
        "vpn-requested",
        INFO,
    ),
    (
        "ipsec",
        "phase1 negotiation failed due to time up <source.ip>[<source.port>]<>=><destination.ip>[<destination.port>]<>",
        "vpn-refused",
        BROKEN,
    ),
    ("ipsec", "phase1 negotiation failed <event.reason>", "vpn-refused", BROKEN),
    ("dns", "query from <source.ip>: #<> <dns.question.name*>. <dns.question.type>", "dns-query", INFO),
    (
        "web-proxy",
        "<source.ip> <http.request.method> <url.original*>  action=<event.reason> cache=<>",
        "web-request",
        Act("web", &["access"], ""),
    ),
    (
        "web-proxy",
        "<source.ip> <http.request.method> <url.original*> action=<event.reason> cache=<>",
        "web-request",
        Act("web", &["access"], ""),
    ),
    ("route", "<> neighbor <destination.ip>: state change from <> to <event.reason>", "neighbor-changed", INFO),
    ("dhcp", "<> on <observer.ingress.interface.name> got IP address <client.ip>", "dhcp-assigned", INFO),
    ("system", "router rebooted<>", "restarted", Act("host", &["start"], "success")),
    ("system", "router was rebooted <event.reason>", "restarted", Act("host", &["start"], "failure")),
];

static BY_TOPIC: LazyLock<Vec<(&str, Template, &str, Act)>> = LazyLock::new(|| {
    let row = |(topic, wording, action, meaning): &(&'static str, &'static str, &'static str, Act)| {
        (*topic, Template::new(wording), *action, *meaning)
    };
    WORDINGS_BY_TOPIC.iter().map(row).collect()
});

static TEMPLATES: LazyLock<Vec<(Template, &'static str, Act)>> = LazyLock::new(|| {
    WORDINGS.iter().map(|(wording, action, meaning)| (Template::new(wording), *action, *meaning)).collect()
});

/// The topics and the message behind them.
fn topics(text: &str) -> Option<(&str, &str)> {
    let (topics, message) = parse::cut(text, b' ')?;
    let (first, _) = parse::cut(topics, b',')?;
    TOPICS.contains(&first).then_some((topics, message))
}

/// Whether a line begins with RouterOS topics.
pub fn is_mikrotik(message: &str) -> bool {
    topics(message).is_some()
}

/// The event of a message.
pub fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let mut event = context.event(parts.timestamp, "mikrotik", "mikrotik.routeros");
    observer(&mut event, "MikroTik", "RouterOS", "firewall");
    let (topics, words) = topics(message).unwrap_or(("", message));
    for topic in topics.split(',').filter(|topic| !topic.is_empty()) {
        event.add(Field::intern("mikrotik.topics").unwrap_or(Field::TAGS), topic);
    }
    event.set(Field::MESSAGE, words);
    if topics.starts_with("firewall") || (topics.is_empty() && is_packet(words)) {
        packet(&mut event, words);
        return event;
    }
    // A script writes what it likes; only the router's own words are read.
    if topics.starts_with("script") {
        return event;
    }
    // Hotspot's debug lines have an arrow in front.
    let bare = words.strip_prefix("->: ").unwrap_or(words);
    let is_of = |topic: &str| topics.split(',').any(|told| told == topic);
    let by_topic = BY_TOPIC.iter().find(|(topic, template, ..)| is_of(topic) && template.fill(bare, &mut event));
    let found = by_topic.map(|(_, _, action, meaning)| (*action, *meaning)).or_else(|| {
        let found = TEMPLATES.iter().find(|(template, ..)| template.fill(words, &mut event));
        found.map(|(_, action, meaning)| (*action, *meaning))
    });
    if let Some((action, meaning)) = found {
        event.set(Field::EVENT_ACTION, action);
        act(&mut event, meaning);
        if let Some(by) = Field::lookup("mikrotik.by").and_then(|field| event.text(field)).map(str::to_owned) {
            changed_by(&mut event, &by);
        }
    }
    event
}

/// RouterOS 7.15 writes `winbox-3.41:admin@10.0.0.1/...`, older ones only the name.
fn changed_by(event: &mut Event, by: &str) {
    let rest = by.split_once(':').map_or(by, |(_, rest)| rest);
    let (user, peer) = rest.split_once('@').unwrap_or((rest, ""));
    set_text(event, Field::USER_NAME, user.split(' ').next().unwrap_or_default());
    let peer = peer.split(['/', ' ', ')']).next().unwrap_or_default();
    if peer.parse::<std::net::IpAddr>().is_ok() {
        set_text(event, Field::SOURCE_IP, peer);
    }
}

fn is_packet(words: &str) -> bool {
    words.contains(" in:") && words.contains("->") && words.contains(" proto ")
}

/// `prefix chain: in:ether1 out:(unknown 0), … proto TCP (SYN), 203.0.113.1:1->192.0.2.1:2, len 60`
fn packet(event: &mut Event, words: &str) {
    let Some((front, rest)) = words.split_once(": in:") else { return };
    let (prefix, chain) = front.rsplit_once(' ').unwrap_or(("", front));
    set_named(event, "mikrotik.prefix", prefix);
    set_named(event, "mikrotik.chain", chain);
    let lower = prefix.to_ascii_lowercase();
    let is_denied = ["drop", "deny", "block", "reject"].iter().any(|word| lower.contains(word));
    let kinds: &[&str] = if is_denied { &["connection", "denied"] } else { &["connection"] };
    act(event, Act("network", kinds, ""));
    event.set(Field::EVENT_ACTION, if is_denied { "drop" } else { "log" });
    let interface = |text: &str| text.split([' ', ',']).next().unwrap_or_default().to_owned();
    set_text(event, Field::OBSERVER_INGRESS_INTERFACE_NAME, &interface(rest));
    if let Some((_, out)) = rest.split_once(" out:").filter(|(_, out)| !out.starts_with('(')) {
        set_text(event, Field::OBSERVER_EGRESS_INTERFACE_NAME, &interface(out));
    }
    if let Some((_, mac)) = rest.split_once("src-mac ") {
        set_text(event, Field::SOURCE_MAC, &interface(mac));
    }
    let Some((_, proto)) = rest.split_once("proto ") else { return };
    set_text(event, Field::NETWORK_TRANSPORT, proto.split([' ', ',']).next().unwrap_or_default());
    let Some(flow) = proto.split(", ").find(|piece| piece.contains("->")) else { return };
    let Some((source, destination)) = flow.split_once("->") else { return };
    side(event, Field::SOURCE_IP, Field::SOURCE_PORT, source);
    side(event, Field::DESTINATION_IP, Field::DESTINATION_PORT, destination);
    if let Some((_, nat)) = proto.split_once(", NAT ") {
        translated(event, nat);
    }
    let length = proto.rsplit_once(", len ").and_then(|(_, length)| length.split(' ').next()?.parse::<i64>().ok());
    if let Some(length) = length {
        event.set(Field::NETWORK_BYTES, Value::Long(length));
    }
}

/// `(10.45.0.9:5000->192.0.2.1:5000)->203.0.113.9:53` of a source, `203.0.113.9:5000->(192.0.2.1:80->10.45.0.5:80)` of a
/// destination: what each became.
fn translated(event: &mut Event, nat: &str) {
    let inside = |text: &'_ str| Some(text.strip_prefix('(')?.split_once(')')?.0.split_once("->")?.1.to_owned());
    if let Some(source) = inside(nat) {
        side(event, Field::SOURCE_NAT_IP, Field::SOURCE_NAT_PORT, &source);
    }
    if let Some(destination) = nat.rsplit_once("->(").and_then(|(_, rest)| rest.split_once(')')?.0.split_once("->")) {
        side(event, Field::DESTINATION_NAT_IP, Field::DESTINATION_NAT_PORT, destination.1);
    }
}

/// `address:port`, `[address]:port`, or an address alone.
fn side(event: &mut Event, ip: Field, port: Field, text: &str) {
    let text = text.trim();
    if text.parse::<std::net::IpAddr>().is_ok() {
        return set_text(event, ip, text);
    }
    if let Some((address, number)) = text.rsplit_once(':') {
        set_text(event, ip, address.trim_matches(['[', ']']));
        set_text(event, port, number);
    }
}

fn set_named(event: &mut Event, name: &str, value: &str) {
    if !value.is_empty() {
        event.set_named(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn logins_are_told_and_not_fooled() {
        let line = "<134>Jan 15 10:20:30 gw system,error,critical login failure for user x logged in from 198.51.100.66 via ssh from 203.0.113.41 via winbox";
        let told = [
            ("event.action", "authentication_failed"),
            ("event.outcome", "failure"),
            ("source.ip", "203.0.113.41"),
            ("mikrotik.via", "winbox"),
            ("host.name", "gw"),
        ];
        check(line, Some(Profile::Mikrotik), &told);
        check(line, None, &told);
        check(
            "script,info user a logged in from 198.51.100.66 via ssh",
            Some(Profile::Mikrotik),
            &[("source.ip", "(absent)"), ("event.category", "(absent)")],
        );
    }

    #[test]
    fn packets_of_both_families() {
        check(
            "firewall,info drop-in input: in:wan out:(unknown 0), connection-state:new src-mac 00:00:5e:00:53:01, proto TCP (SYN), [2001:db8::1]:4000->[2001:db8::2]:22, len 60",
            Some(Profile::Mikrotik),
            &[
                ("source.ip", "2001:db8::1"),
                ("source.port", "4000"),
                ("destination.port", "22"),
                ("network.transport", "tcp"),
                ("event.action", "drop"),
                ("observer.ingress.interface.name", "wan"),
                ("observer.egress.interface.name", "(absent)"),
            ],
        );
        check(
            "firewall,info input: in:wan out:(unknown 0), proto ICMP (type 8, code 0), 203.0.113.9->198.51.100.2, len 84",
            None,
            &[("network.transport", "icmp"), ("destination.ip", "198.51.100.2"), ("mikrotik.chain", "input")],
        );
    }

    #[test]
    fn leases_tunnels_and_radios() {
        for (line, told) in [
            (
                "dhcp,info dhcp1 assigned 10.45.0.50 for 00:11:22:33:44:55 may-7",
                &[("client.mac", "00:11:22:33:44:55"), ("client.domain", "may-7"), ("client.ip", "10.45.0.50")][..],
            ),
            ("dhcp,info dhcp1 assigned 10.45.0.50 for 00:11:22:33:44:55", &[("client.mac", "00:11:22:33:44:55")]),
            (
                "system,info,account user an logged in via local",
                &[("event.outcome", "success"), ("mikrotik.via", "local")],
            ),
            (
                "system,error,critical login failure for user x via local",
                &[("event.outcome", "failure"), ("user.name", "x")],
            ),
            (
                "l2tp,ppp,info,account an logged in, 10.9.0.5 from 203.0.113.9",
                &[
                    ("event.action", "vpn-started"),
                    ("source.ip", "203.0.113.9"),
                    ("source.nat.ip", "10.9.0.5"),
                    ("user.name", "an"),
                ],
            ),
            (
                "l2tp,ppp,info,account an logged in, 10.9.0.5",
                &[("source.nat.ip", "10.9.0.5"), ("source.ip", "(absent)")],
            ),
            (
                "pptp,ppp,error <pptp-7>: user x logged in, 1 authentication failed",
                &[("event.outcome", "failure"), ("user.name", "x logged in, 1")],
            ),
            (
                "ipsec,error 203.0.113.9 failed to get valid proposal.",
                &[("source.ip", "203.0.113.9"), ("event.outcome", "failure")],
            ),
            (
                "hotspot,account,info,debug ->: x (10.45.0.9): login failed: invalid password",
                &[("user.name", "x"), ("source.ip", "10.45.0.9")],
            ),
            (
                "wireless,info 00:11:22:33:44:55@wlan1: connected, signal strength -60",
                &[("source.mac", "00:11:22:33:44:55"), ("observer.ingress.interface.name", "wlan1")],
            ),
            (
                "interface,info ether2 link down",
                &[("event.action", "interface-state-changed"), ("event.reason", "down")],
            ),
        ] {
            check(line, Some(Profile::Mikrotik), told);
        }
        // Words of one topic mean nothing in another.
        check("script,info an logged in, 10.9.0.5", Some(Profile::Mikrotik), &[("user.name", "(absent)")]);
        check("dns,info an logged in, 10.9.0.5", Some(Profile::Mikrotik), &[("user.name", "(absent)")]);
    }

    #[test]
    fn changes_name_who_made_them() {
        check(
            "<134>Jan 15 10:20:30 gw system,info user evil added by winbox-3.41:admin@203.0.113.9/terminal",
            None,
            &[
                ("user.target.name", "evil"),
                ("user.name", "admin"),
                ("source.ip", "203.0.113.9"),
                ("event.action", "user-added"),
            ],
        );
    }

    #[test]
    fn translations_leases_and_who_dialed_in() {
        let line = "firewall,info forward: in:bridge out:ether1, connection-state:established,snat proto UDP, 10.45.0.9:5000->203.0.113.9:53, NAT (10.45.0.9:5000->192.0.2.1:6000)->203.0.113.9:53, len 60";
        let told = [
            ("source.ip", "10.45.0.9"),
            ("destination.ip", "203.0.113.9"),
            ("destination.port", "53"),
            ("source.nat.ip", "192.0.2.1"),
            ("source.nat.port", "6000"),
            ("destination.nat.ip", "(absent)"),
            ("network.bytes", "60"),
        ];
        check(line, Some(Profile::Mikrotik), &told);
        let line = "firewall,info dstnat: in:ether1 out:bridge, proto TCP (SYN), 203.0.113.9:5000->192.0.2.1:80, NAT 203.0.113.9:5000->(192.0.2.1:80->10.45.0.5:8080), len 60";
        let told =
            [("destination.nat.ip", "10.45.0.5"), ("destination.nat.port", "8080"), ("source.nat.ip", "(absent)")];
        check(line, Some(Profile::Mikrotik), &told);
        for (line, told) in [
            ("dhcp,info dhcp1 assigned 10.45.0.9 to 00:11:22:33:44:55 may-1", ("client.mac", "00:11:22:33:44:55")),
            ("dhcp,info dhcp1 assigned 10.45.0.9 to 00:11:22:33:44:55 may-1", ("client.domain", "may-1")),
            ("l2tp,ppp,info <l2tp-an>: authenticated", ("event.action", "vpn-authenticated")),
            ("pptp,ppp,info <pptp-an>: terminating... - peer disconnected", ("event.reason", "peer disconnected")),
            ("ssh,info publickey accepted for user: an", ("user.name", "an")),
        ] {
            check(&format!("<30>Nov 23 09:10:00 mt-01 {line}"), None, &[told]);
        }
    }

    #[test]
    fn tunnels_names_and_restarts() {
        for (line, told) in [
            ("l2tp,info first L2TP UDP packet received from 203.0.113.9", ("source.ip", "203.0.113.9")),
            ("ovpn,info connection established from 203.0.113.9, port: 1194 to 192.0.2.1", ("source.port", "1194")),
            (
                "ipsec,info ISAKMP-SA established 192.0.2.1[500]-203.0.113.9[4500] spi:aa:bb",
                ("destination.port", "4500"),
            ),
            (
                "ipsec,info respond new phase 1 (Identity Protection): 192.0.2.1[500]<=>203.0.113.9[500]",
                ("source.ip", "203.0.113.9"),
            ),
            (
                "ipsec,error phase1 negotiation failed due to time up 192.0.2.1[500]<=>203.0.113.9[500] aa:bb",
                ("event.outcome", "failure"),
            ),
            (
                "web-proxy,account 10.45.0.9 GET http://a.example/x action=allow cache=MISS",
                ("url.original", "http://a.example/x"),
            ),
            ("wireguard,info wg0: x", ("event.module", "mikrotik")),
            ("system,error,critical router was rebooted without proper shutdown", ("event.action", "restarted")),
        ] {
            check(&format!("<30>Nov 23 09:10:00 mt-01 {line}"), None, &[told]);
        }
    }
}
