//! DrayTek Vigor routers: `[FILTER][Block][…][@S:R=2:2, source->destination][TCP][HLen=20, …]`, and words.
//!
//! In: a message, with the router's name in front or in the header. Out: firewall and content filter lines, what
//! local users open, sign-ins at the web interface and at VPN portals in ECS; the rest under `draytek.*`. Promise:
//! the first flow of a line is the packet's, whatever a URL behind it looks like; nothing is refused. Source: DrayTek
//! knowledge base, "Syslog about Firewall and Content Security Management" (5023), "Log router configuration changes
//! and login", "Tips to improve router security". What other messages look like is not documented: they keep their text.

use std::sync::LazyLock;

use nhatle_event::{Event, Field, Text};

use super::template::Wordings;
use super::{Act, act, observer, set_text};
use crate::normalize::Context;
use crate::parse::Syslog;

/// Modules whose lines are about one packet.
const MODULES: [&str; 7] = ["FILTER", "CSM_AE", "CSM_UF", "CSM_WF", "CSM_DNSF", "DOS", "CSM"];
/// How many brackets of one line are read.
const GROUPS_MAX: usize = 16;

const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");
const SEEN: Act = Act("network", &["connection"], "");

/// Wording, action, meaning; the first that fits counts.
const WORDINGS: &[(&str, &str, Act)] = &[
    ("[SSL]Portal login fail from IP <source.ip>!", "vpn-login-failed", REFUSED),
    ("[SSL]Portal login success from IP <source.ip>!", "vpn-logged-in", LOGIN),
    ("[Web]WebUI login success<>", "logged-in", LOGIN),
    ("[Web]WebUI login fail, <event.reason>", "login-failed", REFUSED),
    ("[Web]WebUI login fail<>", "login-failed", REFUSED),
    ("PPTP accept client from <source.ip>:<source.port> ...", "vpn-connecting", SEEN),
    (
        "Local User (MAC=<source.mac>): <source.ip>:<source.port> -> <destination.ip>:<destination.port> (<network.transport>) <draytek.detail>",
        "connection",
        SEEN,
    ),
    (
        "Local User (MAC=<source.mac>): <source.ip>:<source.port> -> <destination.ip>:<destination.port> (<network.transport>)<>",
        "connection",
        SEEN,
    ),
    (
        "Local User (MAC=<source.mac>): <source.ip> DNS -> <destination.ip> inquire <dns.question.name>",
        "dns-query",
        Act("network", &["protocol"], ""),
    ),
    // Where the hardware address is not known.
    (
        "Local User: <source.ip>:<source.port> -> <destination.ip>:<destination.port> (<network.transport>)<>",
        "connection",
        SEEN,
    ),
    (
        "Local User: <source.ip> DNS -> <destination.ip> inquire <dns.question.name>",
        "dns-query",
        Act("network", &["protocol"], ""),
    ),
];

static TEMPLATES: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(WORDINGS));

/// The text behind the name that some models write in front of the message.
fn body(message: &str) -> &str {
    let rest = message.strip_prefix("DrayTek").unwrap_or(message);
    rest.strip_prefix(':').unwrap_or(rest).trim_start()
}

/// Whether a message is a Vigor's: a bracket with one of its modules, or words that only it has.
pub fn is_draytek(parts: &Syslog<'_>) -> bool {
    let text = body(parts.message.trim_start());
    let is_module = text.strip_prefix('[').and_then(|rest| rest.split_once("][")).is_some_and(|(name, rest)| {
        MODULES.contains(&name) && (rest.starts_with("Block") || rest.starts_with("Pass") || rest.contains("[@S:R="))
    });
    is_module
        || text.starts_with("Local User (MAC=")
        || (text.starts_with("Local User: ") && text.contains(" -> "))
        || text.starts_with("[Web]WebUI login ")
}

/// The event of a message.
pub fn event(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let mut event = context.event(parts.timestamp, "draytek", "draytek.vigor");
    observer(&mut event, "DrayTek", "Vigor", "firewall");
    // `HQ: message`: the router's own name stands where a program's would.
    if let Some(name) = parts.app.filter(|name| !name.eq_ignore_ascii_case("draytek")) {
        event.set(Field::OBSERVER_NAME, Text::from(name));
        event.set(Field::HOST_NAME, Text::from(name));
    }
    let text = body(message);
    event.set(Field::MESSAGE, Text::from(text));
    let module = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or_default();
    if MODULES.contains(&module) {
        packet(&mut event, text, module);
        return event;
    }
    TEMPLATES.fill(text, &mut event);
    event
}

fn packet(event: &mut Event, text: &str, module: &str) {
    event.set_named("draytek.module", Text::from(module));
    let mut has_flow = false;
    let groups = text.split('[').skip(2).take(GROUPS_MAX).map(|group| group.trim_end_matches([' ', ']']));
    let mut kinds: &[&str] = &["connection"];
    for (at, group) in groups.enumerate() {
        let lower = group.to_ascii_lowercase();
        match lower.as_str() {
            "block" | "drop" | "pass" | "pass log" if at == 0 => {
                kinds = if lower.starts_with("pass") { &["connection", "allowed"] } else { &["connection", "denied"] };
                event.set(Field::EVENT_ACTION, Text::from(lower.split(' ').next().unwrap_or_default()));
            }
            "tcp" | "udp" | "icmp" | "igmp" | "gre" | "esp" if has_flow => {
                event.set(Field::NETWORK_TRANSPORT, Text::from(lower.as_str()));
            }
            "http" | "https" | "dns" | "ftp" if has_flow => {
                event.set(Field::NETWORK_PROTOCOL, Text::from(lower.as_str()));
            }
            _ if !has_flow && group.contains("->") && group.contains(", ") && !group.contains("@S:R=") => {
                event.set_named("draytek.direction", Text::from(group));
            }
            _ if !has_flow && group.contains("->") => has_flow = flow(event, group),
            _ if group.starts_with("HLen=") => {
                let length = group.split(", ").find_map(|pair| pair.strip_prefix("TLen="));
                set_text(event, Field::NETWORK_BYTES, length.unwrap_or_default());
                break;
            }
            _ if !has_flow => detail(event, group),
            _ => {}
        }
    }
    let category = if matches!(module, "CSM_UF" | "CSM_WF") { "web" } else { "network" };
    let category = if module == "DOS" { "intrusion_detection" } else { category };
    act(event, Act(category, kinds, ""));
}

/// `Category=News`, or a word such as the application's name.
fn detail(event: &mut Event, group: &str) {
    match group.split_once('=') {
        Some(("Category", value)) => set_text(event, Field::RULE_CATEGORY, value),
        Some(("Type", value)) => event.set_named("draytek.type", Text::from(value)),
        Some(("Service_Provider", value)) => event.set_named("draytek.service_provider", Text::from(value)),
        _ => event.set_named("draytek.detail", Text::from(group)),
    }
}

/// `@S:R=2:2, 192.0.2.1:50345->http://host:80/path` or two addresses. Whether it is one.
fn flow(event: &mut Event, group: &str) -> bool {
    let (rule, flow) = match group.strip_prefix("@S:R=").and_then(|rest| rest.split_once(", ")) {
        Some((rule, flow)) => (rule, flow),
        None => ("", group),
    };
    let Some((source, destination)) = flow.split_once("->") else { return false };
    if !side(event, Field::SOURCE_IP, Field::SOURCE_PORT, source) {
        return false;
    }
    set_text(event, Field::RULE_ID, rule);
    if let Some((scheme, rest)) = destination.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = host.split_once(':').unwrap_or((host, ""));
        let port = if port.is_empty() { path.strip_prefix(':').unwrap_or_default() } else { port };
        set_text(event, Field::URL_DOMAIN, host);
        set_text(event, Field::URL_ORIGINAL, destination);
        set_text(event, Field::URL_SCHEME, scheme);
        set_text(event, Field::DESTINATION_PORT, port.split('/').next().unwrap_or_default());
        return true;
    }
    side(event, Field::DESTINATION_IP, Field::DESTINATION_PORT, destination);
    true
}

fn side(event: &mut Event, ip: Field, port: Field, text: &str) -> bool {
    let text = text.trim();
    let (address, number) = match text.parse::<std::net::IpAddr>() {
        Ok(_) => (text, ""),
        Err(_) => text.rsplit_once(':').unwrap_or((text, "")),
    };
    let address = address.trim_matches(['[', ']']);
    if address.parse::<std::net::IpAddr>().is_err() {
        return false;
    }
    set_text(event, ip, address);
    set_text(event, port, number);
    true
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn packets_of_the_filter() {
        let line = "<134>Nov 23 09:10:00 HQ: [FILTER][Block][WAN->LAN/RT/VPN, 0:10:22 ][@S:R=12:3, 203.0.113.45:40000->192.0.2.20:22][TCP][HLen=20, TLen=60, Flag=S, Seq=1]";
        let told = [
            ("event.action", "block"),
            ("event.type", "connection,denied"),
            ("draytek.module", "FILTER"),
            ("source.ip", "203.0.113.45"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("network.bytes", "60"),
            ("rule.id", "12:3"),
            ("observer.name", "HQ"),
            ("event.dataset", "draytek.vigor"),
        ];
        check(line, Some(Profile::Draytek), &told);
        check(line, None, &told);
    }

    #[test]
    fn a_url_is_no_flow() {
        check(
            "DrayTek [CSM_WF][Block][Service_Provider=CYREN][Category=News][@S:R=2:3, 192.0.2.11:50426->http://news.example:80/a][@S:R=9:9, 198.51.100.66:1->198.51.100.67:2][HTTP][HLen=20, TLen=1492]",
            None,
            &[
                ("source.ip", "192.0.2.11"),
                ("destination.ip", "(absent)"),
                ("url.domain", "news.example"),
                ("destination.port", "80"),
                ("rule.id", "2:3"),
                ("rule.category", "News"),
                ("event.category", "web"),
            ],
        );
    }

    #[test]
    fn sign_ins_and_local_users() {
        check(
            "<134>Nov 23 09:10:00 HQ: [SSL]Portal login fail from IP 203.0.113.9!",
            Some(Profile::Draytek),
            &[("event.outcome", "failure"), ("source.ip", "203.0.113.9"), ("event.action", "vpn-login-failed")],
        );
        check(
            "<134>Nov 23 09:10:00 HQ: [Web]WebUI login fail, Invalid user!",
            None,
            &[("event.outcome", "failure"), ("event.category", "authentication"), ("event.reason", "Invalid user!")],
        );
        check(
            "<134>Nov 23 09:10:00 HQ: Local User (MAC=02-00-00-00-00-01): 192.168.1.10:50000 -> 203.0.113.80:443 (TCP)",
            None,
            &[("source.ip", "192.168.1.10"), ("destination.port", "443"), ("network.transport", "tcp")],
        );
        check(
            "<134>Nov 23 09:10:00 HQ: Local User: 192.168.1.10 DNS -> 192.0.2.53 inquire a.example",
            None,
            &[("source.ip", "192.168.1.10"), ("dns.question.name", "a.example"), ("event.action", "dns-query")],
        );
    }
}
