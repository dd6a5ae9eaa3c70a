//! Alerts of Suricata and Snort as one line of text: `fast.log`, and the same over syslog.
//!
//! In: `[gid:sid:rev] message [Classification: …] [Priority: n] {TCP} address:port -> address:port`, with or without the moment and
//! `[**]` in front. Out: the alert, as EVE's. Promise: the message is the rule's author's; the ends are read from the back. Failure: a date that
//! does not exist. Source: Suricata, "Lua/fast.log" and `alert-fastlog.c`; Snort manual, 2.6 "alert_fast" and "alert_syslog".

use nhatle_event::{Event, Field, Value};

use super::{Act, act, finish, observer, set_text, zeek_protocols};
use crate::normalize::Context;
use crate::parse::{Fault, Needle, Syslog};

/// A line's parts.
struct Alert<'a> {
    /// Generator, signature, revision.
    ids: [&'a str; 3],
    message: &'a str,
    classification: Option<&'a str>,
    priority: Option<&'a str>,
    protocol: Option<&'a str>,
    ends: &'a str,
}

/// Whether a message is such an alert: three numbers in brackets, and two ends.
pub fn is_alert(message: &str) -> bool {
    take(unmarked(message)).is_some()
}

const MARK: Needle = Needle::new("[**] ");

/// Without the moment and the mark in front.
fn unmarked(message: &str) -> &str {
    let front = message.get(..message.len().min(64)).unwrap_or_default();
    let rest = match MARK.find(front) {
        Some(at) => message.get(at + MARK.len()..).unwrap_or_default(),
        None => message,
    };
    // Over syslog an inline sensor's verdict stands before the numbers.
    ["[Drop] ", "[wDrop] "].iter().find_map(|mark| rest.strip_prefix(mark)).unwrap_or(rest)
}

fn take(text: &str) -> Option<Alert<'_>> {
    let (ids, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let mut numbers = ids.split(':');
    let ids = [numbers.next()?, numbers.next()?, numbers.next()?];
    let is_number =
        |text: &&str| !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    (ids.iter().all(is_number) && numbers.next().is_none()).then_some(())?;
    // From the back: the ends hold no brackets.
    let (rest, ends) = match rest.rsplit_once("} ") {
        Some((rest, ends)) => (rest, ends),
        None => return None,
    };
    ends.contains(" -> ").then_some(())?;
    let (rest, protocol) = rest.rsplit_once('{').map_or((rest, None), |(rest, protocol)| (rest, Some(protocol)));
    let inside = |text: &'_ str, mark: &str| text.rfind(mark);
    let priority = inside(rest, "[Priority: ").and_then(|at| rest.get(at + "[Priority: ".len()..)?.split(']').next());
    let class_at = inside(rest, "[Classification: ");
    let classification = class_at
        .and_then(|at| rest.get(at + "[Classification: ".len()..)?.split(']').next())
        .filter(|text| *text != "(null)");
    let end = class_at.or_else(|| inside(rest, "[Priority: ")).unwrap_or(rest.len());
    let message = rest.get(..end)?.trim_end_matches(" [**] ").trim_end_matches([' ', ':']).trim();
    Some(Alert { ids, message, classification, priority, protocol, ends: ends.trim() })
}

/// The event of a message; `None` = it is no such alert.
///
/// # Errors
/// It begins with a date that does not exist.
pub fn event(parts: &Syslog<'_>, context: &Context<'_>) -> Result<Option<Event>, Fault> {
    let message = parts.message.trim();
    let Some(alert) = take(unmarked(message)) else { return Ok(None) };
    let stamp = moment(message, context)?.or(parts.timestamp);
    let mut event = context.event(stamp, "suricata", "suricata.alert");
    observer(&mut event, "OISF", "Suricata", "ids");
    event.set(Field::EVENT_KIND, "alert");
    // Drop rules of an inline sensor say so in front.
    let is_dropped = message.contains("[Drop]") || message.contains("[wDrop]");
    let kinds: &[&str] = if is_dropped { &["info", "denied"] } else { &["info", "allowed"] };
    act(&mut event, Act("intrusion_detection", kinds, ""));
    set_text(&mut event, Field::RULE_ID, alert.ids[1]);
    let name = alert.message.trim_start_matches("[Drop] ").trim_start_matches("[wDrop] ").trim_start_matches("[**] ");
    set_text(&mut event, Field::RULE_NAME, name);
    set_text(&mut event, Field::MESSAGE, name);
    set_text(&mut event, Field::RULE_CATEGORY, alert.classification.unwrap_or_default());
    for (named, text) in [
        ("suricata.eve.alert.gid", alert.ids[0]),
        ("suricata.eve.alert.signature_id", alert.ids[1]),
        ("suricata.eve.alert.rev", alert.ids[2]),
        ("suricata.eve.alert.severity", alert.priority.unwrap_or_default()),
    ] {
        if let Ok(number) = text.parse::<i64>() {
            event.set_named(named, Value::Long(number));
        }
    }
    if let Some(severity) = alert.priority.and_then(|text| text.parse::<i64>().ok()) {
        event.set(Field::EVENT_SEVERITY, Value::Long(severity));
    }
    let protocol = alert.protocol.unwrap_or_default();
    set_text(&mut event, Field::NETWORK_TRANSPORT, protocol.trim_start_matches("PROTO:").trim_start_matches('0'));
    // ICMP has type and code where others have ports.
    let has_ports = matches!(protocol, "TCP" | "UDP" | "SCTP" | "DCCP");
    if let Some((from, to)) = alert.ends.split_once(" -> ") {
        side(&mut event, Field::SOURCE_IP, Field::SOURCE_PORT, from, has_ports);
        side(&mut event, Field::DESTINATION_IP, Field::DESTINATION_PORT, to, has_ports);
    }
    zeek_protocols::set_direction(&mut event);
    finish(&mut event);
    Ok(Some(event))
}

/// `address:port` or an address; IPv6 stands without brackets, in full.
fn side(event: &mut Event, ip: Field, port: Field, text: &str, has_ports: bool) {
    let text = text.trim();
    match text.rsplit_once(':') {
        Some((address, number)) if address.parse::<std::net::IpAddr>().is_ok() => {
            set_text(event, ip, address);
            if has_ports {
                set_text(event, port, number);
            }
        }
        _ => set_text(event, ip, text),
    }
}

/// `11/23/2026-09:10:00.123456`, or without the year (Snort).
fn moment(message: &str, context: &Context<'_>) -> Result<Option<nhatle_event::Timestamp>, Fault> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Some((date, time)) = message.split(' ').next().and_then(|word| word.split_once('-')) else { return Ok(None) };
    let mut numbers = date.split('/');
    let (Some(month), Some(day)) = (numbers.next(), numbers.next()) else { return Ok(None) };
    let fault = || Fault::new("suricata: no such date", 0);
    let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(month) || !is_number(day) {
        return Ok(None);
    }
    match numbers.next() {
        Some(year) => {
            let year = if year.len() == 2 { format!("20{year}") } else { year.to_owned() };
            let told = format!("{year}-{month}-{day}T{time}");
            nhatle_event::Timestamp::parse(&told, context.offset_s).map(Some).ok_or_else(fault)
        }
        None => {
            let name =
                month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?)).ok_or_else(fault)?;
            let told = format!("{name} {day} {time}");
            let found = crate::parse::date::bsd(&told, context.record.received, context.offset_s)?;
            found.map(|(stamp, _)| Some(stamp)).ok_or_else(fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check, check_dead};
    use crate::profile::Profile;

    const BACK: &str = "[1:2024897:3] ET X [1] y [Classification: Attempted Admin] [Priority: 1] {TCP} 203.0.113.9:4411 -> 10.45.0.80:80";

    #[test]
    fn one_line_of_text_is_an_alert() {
        let told = [
            ("event.kind", "alert"),
            ("event.dataset", "suricata.alert"),
            ("rule.id", "2024897"),
            ("rule.name", "ET X [1] y"),
            ("rule.category", "Attempted Admin"),
            ("source.ip", "203.0.113.9"),
            ("source.port", "4411"),
            ("destination.ip", "10.45.0.80"),
            ("destination.port", "80"),
            ("network.transport", "tcp"),
        ];
        for profile in [None, Some(Profile::Suricata)] {
            check(&format!("<134>Nov 23 09:10:00 ids suricata[7]: {BACK}"), profile, &told);
            let dropped = [("event.type", "info,denied"), ("rule.name", "ET X [1] y"), ("source.ip", "203.0.113.9")];
            check(&format!("<134>Nov 23 09:10:00 ids suricata[7]: [Drop] {BACK}"), profile, &dropped);
            let marked = BACK.replace(" [Classification", " [**] [Classification");
            check(&format!("11/23/2026-09:10:00.123456  [**] {marked}"), profile, &told);
            check(&format!("11/23-09:10:00.123456  [**] {marked}"), profile, &told);
        }
        check(
            "[1:7:1] x [Classification: (null)] [Priority: 3] {ICMP} 2001:0db8:0000:0000:0000:0000:0000:0009:128 -> 2001:0db8:0000:0000:0000:0000:0000:0001:0",
            Some(Profile::Suricata),
            &[("source.ip", "2001:db8::9"), ("source.port", "(absent)"), ("rule.category", "(absent)")],
        );
    }

    #[test]
    fn a_date_that_does_not_exist_is_a_dead_letter() {
        check_dead(&format!("13/23/2026-09:10:00.1  [**] {BACK}"), Profile::Suricata, "suricata: no such date", 0);
    }
}
