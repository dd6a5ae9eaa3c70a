//! pfSense and OPNsense: the packet filter's `filterlog` lines, and the messages of the web interface.
//!
//! In: a syslog message of the firewall. Out: packets in ECS, `pfsense.*` for what ECS has no name for. Failure: a
//! `filterlog` line that ends before its protocol, with the byte. Source: pfSense documentation, "Raw filter log
//! format"; OPNsense's filterlog is the same with a longer rule label.

use nhatle_event::{Event, Field};

use super::template::Template;
use super::{Act, act, community, observer, set_text};
use crate::normalize::{Context, linux, service};
use crate::parse::{Fault, Syslog};

/// The columns of every line: rule number, sub-rule, anchor, tracker, interface, reason, action, direction, version.
const COMMON: [(usize, Field); 3] =
    [(3, Field::RULE_ID), (4, Field::OBSERVER_INGRESS_INTERFACE_NAME), (6, Field::EVENT_ACTION)];

const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");

/// The event of a message; `is_opnsense` says whose.
///
/// # Errors
/// A `filterlog` line is shorter than its protocol asks.
pub fn event(parts: &Syslog<'_>, is_opnsense: bool, context: &Context<'_>) -> Result<Event, Fault> {
    let (module, log, product) =
        if is_opnsense { ("opnsense", "opnsense.log", "OPNsense") } else { ("pfsense", "pfsense.log", "pfSense") };
    let vendor = if is_opnsense { "Deciso" } else { "Netgate" };
    let app = parts.app.unwrap_or_default();
    // These boxes send the lines of every program they run.
    if let Some(program) = service::by_tag(app) {
        let mut event = service::of_parts(parts, program, context);
        observer(&mut event, vendor, product, "firewall");
        return Ok(event);
    }
    let mut event = context.event(parts.timestamp, module, log);
    observer(&mut event, vendor, product, "firewall");
    if !app.is_empty() {
        event.set(Field::PROCESS_NAME, app);
        if let Some(pid) = parts.procid {
            set_text(&mut event, Field::PROCESS_PID, pid);
        }
    }
    if app == "filterlog" {
        event.set(Field::EVENT_DATASET, if is_opnsense { "opnsense.filterlog" } else { "pfsense.filterlog" });
        packet(&mut event, parts.message.trim())?;
    } else if !words(&mut event, parts.message.trim()) {
        linux::set_fields(&mut event, app, parts.message.trim());
    }
    Ok(event)
}

fn packet(event: &mut Event, line: &str) -> Result<(), Fault> {
    let columns: Vec<&str> = line.split(',').take(64).collect();
    let short = || Fault::new("filterlog: the line is too short", line.len());
    let column = |at: usize| columns.get(at).copied();
    let version = column(8).ok_or_else(short)?;
    // Where protocol, length, source, destination and the first port stand, by IP version.
    let (protocol, length, source) = match version {
        "4" => (16, 17, 18),
        "6" => (12, 14, 15),
        _ => {
            return Err(Fault::new(
                "filterlog: no such IP version",
                columns[..8].iter().map(|one| one.len() + 1).sum(),
            ));
        }
    };
    let is_port = matches!(column(protocol).ok_or_else(short)?.to_ascii_lowercase().as_str(), "tcp" | "udp");
    column(source + 1).ok_or_else(short)?;
    let rest = [
        (protocol, Field::NETWORK_TRANSPORT),
        (length, Field::NETWORK_BYTES),
        (source, Field::SOURCE_IP),
        (source + 1, Field::DESTINATION_IP),
    ];
    for (at, field) in COMMON.into_iter().chain(rest) {
        set_text(event, field, column(at).unwrap_or_default());
    }
    if is_port {
        set_text(event, Field::SOURCE_PORT, column(source + 2).ok_or_else(short)?);
        set_text(event, Field::DESTINATION_PORT, column(source + 3).ok_or_else(short)?);
    }
    set_text(event, Field::NETWORK_DIRECTION, column(7).unwrap_or_default());
    event.set(Field::NETWORK_TYPE, if version == "6" { "ipv6" } else { "ipv4" });
    let is_denied = matches!(column(6), Some("block" | "reject"));
    let kinds: &[&str] = if is_denied { &["connection", "denied"] } else { &["connection", "allowed"] };
    act(event, Act("network", kinds, ""));
    community::set(event);
    Ok(())
}

/// Sign-ins at the web interface, and changes of the configuration. Whether it was one of them.
fn words(event: &mut Event, message: &str) -> bool {
    let wordings: [(&'static str, &str, Act); 5] = [
        ("<>Successful login for user '<user.name*>' from: <source.ip> (<>", "logged-in", LOGIN),
        ("<>successful login for user '<user.name*>' from: <source.ip>", "logged-in", LOGIN),
        ("<>webConfigurator authentication error for user '<user.name*>' from: <source.ip>", "login-failed", REFUSED),
        (
            "<>Configuration Change: <user.name>@<source.ip> (<>): <pfsense.change>",
            "configuration-changed",
            Act("configuration", &["change"], "success"),
        ),
        ("<>Web GUI authentication error for '<user.name*>' from <source.ip>", "login-failed", REFUSED),
    ];
    let fits = |event: &mut Event, wording| Template::new(wording).fill(message, event);
    let found = wordings.into_iter().find(|(wording, ..)| fits(event, wording));
    if let Some((_, action, meaning)) = found {
        event.set(Field::EVENT_ACTION, action);
        act(event, meaning);
    }
    found.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::{check, check_dead};
    use crate::profile::Profile;

    #[test]
    fn packets_of_both_families() {
        check(
            "<134>Nov 23 09:10:00 filterlog[72]: 5,,,1000000103,igb0,match,block,in,4,0x0,,63,12617,0,DF,6,tcp,60,203.0.113.45,192.0.2.20,40000,22,0,S,1,,64240,,mss",
            None,
            &[
                ("event.action", "block"),
                ("source.ip", "203.0.113.45"),
                ("destination.port", "22"),
                ("rule.id", "1000000103"),
                ("network.bytes", "60"),
                ("event.dataset", "pfsense.filterlog"),
            ],
        );
        check(
            "<134>Nov 23 09:10:00 fw filterlog[72]: 6,,,7,igb0,match,pass,in,6,0x00,0xf6279,1,UDP,17,32,2001:db8::1,2001:db8::2,546,547,32",
            Some(Profile::Opnsense),
            &[
                ("network.transport", "udp"),
                ("source.ip", "2001:db8::1"),
                ("destination.port", "547"),
                ("event.dataset", "opnsense.filterlog"),
            ],
        );
    }

    #[test]
    fn the_lines_of_every_program_are_read_by_their_own_readers() {
        for profile in [Profile::Pfsense, Profile::Opnsense] {
            check(
                "<38>Nov 23 09:10:00 fw dhcpd[1]: DHCPACK on 10.45.0.50 to 00:11:22:33:44:55 (may-7) via igb1",
                Some(profile),
                &[("event.module", "dhcpd"), ("source.ip", "10.45.0.50"), ("observer.type", "firewall")],
            );
            check(
                "<38>Nov 23 09:10:00 fw sshd[7]: Failed password for root from 203.0.113.9 port 4411 ssh2",
                Some(profile),
                &[("event.outcome", "failure"), ("source.ip", "203.0.113.9"), ("user.name", "root")],
            );
        }
    }

    #[test]
    fn a_short_line_is_a_dead_letter() {
        check_dead(
            "<134>Nov 23 09:10:00 filterlog[72]: 5,,,1,igb0,match,block,in,4,0x0,,63",
            Profile::Pfsense,
            "filterlog: the line is too short",
            71,
        );
    }

    #[test]
    fn a_name_typed_at_the_page_is_a_value() {
        check(
            "<38>Nov 23 09:10:00 fw php-fpm[1]: /index.php: webConfigurator authentication error for user 'a' from: 198.51.100.66' from: 203.0.113.45",
            Some(Profile::Pfsense),
            &[("source.ip", "203.0.113.45"), ("event.outcome", "failure")],
        );
    }
}
