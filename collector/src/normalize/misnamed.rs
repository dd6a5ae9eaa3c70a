//! Lines of another source than the profile names: read as what they are, and told so.
//!
//! In: what the named profile's reader made of a text. Out: the same, or, where that reader did not know the line and the
//! line's own form leaves no doubt ([`form::sure`]), the event of the profile it is of, with both names in
//! `nhatle.profile.named` and `nhatle.profile.read`. Promise: a line that the named profile knows is never read as another
//! (ADR 34), so that a stranger's text in it cannot choose the reader; a line nobody is sure of stays as it was. Cost: of a line that was read,
//! two looks at fields of its event.

use nhatle_event::{Event, Field};

use super::{Context, Problem, form, service, words};
use crate::profile::Profile;

/// What a text means that was read with a profile: as it was read, or as the profile it is surely of.
///
/// # Errors
/// The named reader's problem, where no other profile is sure.
pub(super) fn settle(
    read: Result<Event, Problem>,
    text: &str,
    named: Profile,
    context: &Context<'_>,
) -> Result<Event, Problem> {
    match read {
        Ok(event) if !is_doubtful(&event, named) => Ok(event),
        read => reread(read, text, named, context),
    }
}

#[cold]
fn reread(read: Result<Event, Problem>, text: &str, named: Profile, context: &Context<'_>) -> Result<Event, Problem> {
    // The text inside has been settled already.
    if read.as_ref().is_ok_and(|event| event.get(Field::NHATLE_PROFILE_READ).is_some()) {
        return read;
    }
    let Some(other) = form::sure(text, context).filter(|other| !is_akin(named, *other)) else { return read };
    let mut event = match read {
        // Its reader has followed the program's tag. What is of no program is `syslog` to other readers, too.
        Ok(event) if other != Profile::Linux && is_of(&event, other) => event,
        read => match super::as_named(text, Some(other), context.record, context.offset_s) {
            Ok(event) if !is_doubtful(&event, other) => event,
            _ => return read,
        },
    };
    mark(&mut event, named.name(), other.name());
    Ok(event)
}

/// Writes down which profile was named and which it was read with.
pub(crate) fn mark(event: &mut Event, named: &str, read: &str) {
    event.set(Field::NHATLE_PROFILE_NAMED, named);
    event.set(Field::NHATLE_PROFILE_READ, read);
}

/// Whether the reader of a profile knows a text.
pub(crate) fn is_known(text: &str, named: Profile, context: &Context<'_>) -> bool {
    super::as_named(text, Some(named), context.record, context.offset_s).is_ok_and(|event| !is_doubtful(&event, named))
}

/// Whether two names may stand for one source: a line of the one is no sign that the other is wrong.
pub(crate) fn is_akin(named: Profile, other: Profile) -> bool {
    use Profile::{
        Apache, Bind, Cef, CiscoAsa, CiscoIos, Dhcpd, Dnsmasq, Haproxy, Linux, Modsecurity, Nginx, Openvpn, Opnsense,
        Pfsense, Postfix, Squid, Sshd, Sudo, Syslog, Sysmon, Unbound, Unifi, Windows,
    };
    const FAMILIES: [&[Profile]; 6] = [
        &[Apache, Nginx, Modsecurity],
        &[Windows, Sysmon],
        &[CiscoAsa, CiscoIos],
        &[Pfsense, Opnsense],
        &[Unifi, Cef],
        &[Linux, Syslog, Sshd, Sudo],
    ];
    // These boxes send the lines of every program they run.
    let is_box = matches!(named, Pfsense | Opnsense | Unifi);
    named == other
        || FAMILIES.iter().any(|family| family.contains(&named) && family.contains(&other))
        || (is_box && matches!(other, Linux | Dhcpd | Dnsmasq | Unbound | Bind | Openvpn | Squid | Haproxy | Postfix))
}

/// Whether a reader has learned nothing from its line that only its own source writes.
fn is_doubtful(event: &Event, named: Profile) -> bool {
    let has = |field| event.get(field).is_some();
    match named {
        Profile::Json | Profile::Hec | Profile::Otlp | Profile::Gelf | Profile::Netflow => false,
        Profile::KeyValue => {
            !event.original.split(|byte| *byte == b' ').next().is_some_and(|word| word.contains(&b'='))
        }
        // Any program's message is theirs.
        Profile::Syslog | Profile::Sshd | Profile::Sudo | Profile::Linux => {
            matches!(event.text(Field::EVENT_MODULE), Some("syslog" | "linux" | "json")) && !has_program(event)
        }
        _ if !is_of(event, named) => true,
        Profile::Nginx | Profile::Apache | Profile::Iis => !has(Field::EVENT_CATEGORY),
        Profile::Fortigate | Profile::Sophos => !has(Field::EVENT_CODE),
        Profile::Auditd | Profile::Windows | Profile::Sysmon => false,
        Profile::Suricata => {
            event.text(Field::EVENT_DATASET) == Some("suricata.eve")
                && !Field::lookup("suricata.eve.event_type").is_some_and(has)
        }
        // An address in front is all that some lines of other programs share with its own.
        Profile::Openvpn if !has(Field::EVENT_ACTION) && second_word(&event.original).starts_with(b"[") => true,
        Profile::Zeek => event.text(Field::EVENT_DATASET) == Some("zeek.log"),
        _ => {
            let told = [
                Field::EVENT_ACTION,
                Field::SOURCE_IP,
                Field::EVENT_CODE,
                Field::EVENT_OUTCOME,
                Field::DNS_QUESTION_NAME,
            ];
            // Words that any program has for a sign-in are no sign of this one.
            let is_by_words = event.text(Field::EVENT_ACTION) == Some(words::ACTION);
            (is_by_words || !told.into_iter().any(has)) && !is_tagged(event, named)
        }
    }
}

fn second_word(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
}

/// Whether a syslog header says which program wrote a message. A year in front with a space behind the day is how databases
/// begin their own lines; a word and a colon without any header is a text.
fn has_program(event: &Event) -> bool {
    let is_own_date = event.original.first().is_some_and(u8::is_ascii_digit) && event.original.get(10) == Some(&b' ');
    let has_header = event.get(Field::LOG_SYSLOG_HOSTNAME).is_some()
        || event.get(Field::LOG_SYSLOG_PRIORITY).is_some()
        || event.timestamp != event.received;
    has_header && !is_own_date && event.text(Field::LOG_SYSLOG_APPNAME).is_some_and(|app| !app.starts_with('%'))
}

/// Whether the tag of the message is the program's own; of a line without a header, whether it tells its severity.
fn is_tagged(event: &Event, named: Profile) -> bool {
    match event.text(Field::LOG_SYSLOG_APPNAME) {
        Some(app) => service::by_tag(app).is_some_and(|program| program.profile() == named),
        None => event.get(Field::LOG_LEVEL).is_some() && event.get(Field::LOG_SYSLOG_PRIORITY).is_none(),
    }
}

/// Whether an event is of a profile's module.
fn is_of(event: &Event, profile: Profile) -> bool {
    let module = event.text(Field::EVENT_MODULE).unwrap_or_default();
    match profile {
        Profile::Nginx | Profile::Apache | Profile::Modsecurity => {
            matches!(module, "nginx" | "apache" | "modsecurity" | "traefik" | "caddy")
        }
        Profile::Windows | Profile::Sysmon => matches!(module, "windows" | "sysmon"),
        Profile::Fortigate => module == "fortinet",
        Profile::Pfsense | Profile::Opnsense => matches!(module, "pfsense" | "opnsense"),
        Profile::CiscoAsa | Profile::CiscoIos => module == "cisco",
        Profile::PaloAlto => module == "panw",
        Profile::Unifi => matches!(module, "unifi" | "cef"),
        Profile::Syslog | Profile::Sshd | Profile::Sudo | Profile::Linux => matches!(module, "linux" | "syslog"),
        other => module == service::by_profile(other).map_or(other.name(), service::Program::module),
    }
}
