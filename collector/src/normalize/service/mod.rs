//! Services of a town hall (mail, names, addresses, remote access, the web proxy, databases) and agents that find things.
//!
//! In: a program's syslog message, or a line of its own log file where the profile is given. Out: the event
//! with the program's module and ECS fields. Promise: what a stranger chose (a login name, an address of mail, a
//! name that is asked for) is a value and never read as wording: every value is read at the place where the program
//! writes it, and where a stranger's text makes that place doubtful nothing is set. A message nobody knows keeps its
//! text. Failure: a line of a profile that begins with a date that does not exist.

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Timestamp, Value};

use crate::parse::{self, Fault, Format, Syslog, date};
use crate::profile::Profile;

use super::device::{Act, act, finish};
use super::{Context, linux, syslog};

pub mod postfix;
pub mod dovecot;
pub mod bind;
pub mod unbound;
pub mod dnsmasq;
pub mod openvpn;
pub mod postgresql_prefix;
pub mod postgresql;
pub mod mysql;
pub mod dhcpd;
pub mod squid;
pub mod haproxy;
pub mod mongodb;
pub mod redis;
pub mod modsecurity;
pub mod osquery;
pub mod wazuh;
pub mod crowdsec;
pub mod santa;
mod json_rows;

type ProgramRow = (Profile, &'static str, &'static str, &'static str, &'static str);

/// The programs read here: profile, tag of its messages (a prefix where it ends in `/` or `-`), module and
/// dataset, category. The first row of a profile is what a line of its own file is.
const PROGRAMS: &[ProgramRow] = &[
    (Profile::Postfix, "postfix/", "postfix", "postfix.log", "email"),
    (Profile::Dovecot, "dovecot", "dovecot", "dovecot.log", "email"),
    // Its services where they log by themselves.
    (Profile::Dovecot, "imap-login", "dovecot", "dovecot.log", "email"),
    (Profile::Dovecot, "pop3-login", "dovecot", "dovecot.log", "email"),
    (Profile::Dovecot, "submission-login", "dovecot", "dovecot.log", "email"),
    (Profile::Dovecot, "managesieve-login", "dovecot", "dovecot.log", "email"),
    (Profile::Dovecot, "auth-worker", "dovecot", "dovecot.log", "email"),
    (Profile::Bind, "named", "bind", "bind.log", "network"),
    (Profile::Unbound, "unbound", "unbound", "unbound.log", "network"),
    (Profile::Dnsmasq, "dnsmasq", "dnsmasq", "dnsmasq.log", "network"),
    (Profile::Dnsmasq, "pihole-FTL", "dnsmasq", "dnsmasq.log", "network"),
    (Profile::Dnsmasq, "dnsmasq-", "dnsmasq", "dnsmasq.log", "network"),
    (Profile::Openvpn, "openvpn", "openvpn", "openvpn.log", "network"),
    (Profile::Openvpn, "ovpn-", "openvpn", "openvpn.log", "network"),
    (Profile::Postgresql, "postgres", "postgresql", "postgresql.log", "database"),
    (Profile::Postgresql, "postgresql", "postgresql", "postgresql.log", "database"),
    (Profile::Mysql, "mysqld", "mysql", "mysql.error", "database"),
    (Profile::Mysql, "mariadbd", "mysql", "mysql.error", "database"),
    (Profile::Mysql, "mysqld_safe", "mysql", "mysql.error", "database"),
    (Profile::Mysql, "mysql-server_auditing", "mysql", "mysql.audit", "database"),
    (Profile::Dhcpd, "dhcpd", "dhcpd", "dhcpd.log", "network"),
    (Profile::Dhcpd, "kea-", "dhcpd", "dhcpd.log", "network"),
    (Profile::Squid, "squid", "squid", "squid.log", "web"),
    (Profile::Squid, "(squid-", "squid", "squid.log", "web"),
    (Profile::Haproxy, "haproxy", "haproxy", "haproxy.log", "web"),
    (Profile::Mongodb, "mongod", "mongodb", "mongodb.log", "database"),
    (Profile::Mongodb, "mongos", "mongodb", "mongodb.log", "database"),
    (Profile::Redis, "redis-server", "redis", "redis.log", "database"),
    (Profile::Redis, "redis", "redis", "redis.log", "database"),
    (Profile::Redis, "redis-sentinel", "redis", "redis.log", "database"),
    (Profile::Modsecurity, "modsecurity", "modsecurity", "modsecurity.error", "web"),
    (Profile::Osquery, "osqueryd", "osquery", "osquery.status", "host"),
    (Profile::Wazuh, "ossec", "wazuh", "wazuh.log", "host"),
    (Profile::Wazuh, "wazuh-", "wazuh", "wazuh.log", "host"),
    (Profile::Crowdsec, "crowdsec", "crowdsec", "crowdsec.log", "host"),
    (Profile::Santa, "santad", "macos", "macos.santa", "process"),
];

/// A program with its module, dataset and category.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    profile: Profile,
    tag: &'static str,
    module: &'static str,
    dataset: &'static str,
    category: &'static str,
}

impl Program {
    /// Its profile.
    pub fn profile(self) -> Profile {
        self.profile
    }

    /// The module of its events.
    pub fn module(self) -> &'static str {
        self.module
    }
}

/// The first two bytes of each tag, as bits; all tags are longer.
const BEGINNINGS: u128 = {
    let (mut bits, mut at) = (0, 0);
    while at < PROGRAMS.len() {
        let tag = PROGRAMS[at].1.as_bytes();
        bits |= beginning(tag[0], tag[1]);
        at += 1;
    }
    bits
};

const fn beginning(first: u8, second: u8) -> u128 {
    1 << ((first as u32 * 31 + second as u32) % 128)
}

fn program(&(profile, tag, module, dataset, category): &ProgramRow) -> Program {
    Program { profile, tag, module, dataset, category }
}

fn programs() -> impl Iterator<Item = Program> {
    PROGRAMS.iter().map(program)
}

/// The program behind a syslog tag; `None` = not one of these.
pub fn by_tag(tag: &str) -> Option<Program> {
    let name = linux::program_name(tag);
    let [first, second, ..] = name.as_bytes() else { return None };
    // Most tags are ruled out by how they begin.
    if BEGINNINGS & beginning(*first, *second) == 0 {
        return None;
    }
    let row = PROGRAMS.iter().find(|(_, tag, ..)| {
        let tag: &str = tag;
        let is_prefix = || matches!(tag.as_bytes().last(), Some(b'/' | b'-'));
        tag.as_bytes().first() == Some(first) && (name == tag || (is_prefix() && name.starts_with(tag)))
    });
    row.map(program)
}

/// The program of a profile; `None` = the profile is none of these.
pub fn by_profile(profile: Profile) -> Option<Program> {
    programs().find(|program| program.profile == profile)
}

/// The event of a record whose profile is one of these: syslog, or a line of the program's own file.
///
/// # Errors
/// The line's date does not exist.
pub fn event(text: &str, program: Program, context: &Context<'_>) -> Result<Event, Fault> {
    if has_syslog_header(text, program) {
        let parts = parse::syslog(text, context.record.received, context.offset_s)?;
        let known = parts.app.and_then(by_tag).unwrap_or(program);
        let mut event = of_parts(&parts, known, context);
        syslog::set_header(&mut event, &parts);
        return Ok(event);
    }
    if program.profile == Profile::Modsecurity {
        return modsecurity::line(text, context);
    }
    let found = match program.profile {
        Profile::Bind => bind::date(text, context.offset_s)?,
        Profile::Mysql => mysql::date(text, context.offset_s)?,
        Profile::Squid => squid::date(text)?,
        Profile::Crowdsec | Profile::Haproxy | Profile::Redis | Profile::Unbound | Profile::Santa => None,
        _ => date::anywhere_in_front(text, context.offset_s)?,
    };
    let (stamp, message) = match found {
        Some((stamp, end)) => (Some(stamp), text.get(end..).unwrap_or(text).trim_start_matches(['\t', ' '])),
        None => (None, text),
    };
    let parts = Syslog { timestamp: stamp, message, ..Syslog::default() };
    Ok(of_parts(&parts, program, context))
}

/// The event of a JSON record that one of these programs writes; `None` = it is none of theirs.
pub fn json_record(leaves: &Leaves, context: &Context<'_>) -> Option<Event> {
    let is_of = |profile| context.profile.is_none_or(|given| given == profile);
    if is_of(Profile::Postgresql) && postgresql::is_json(leaves) {
        let stamp = parse::json::timestamp(leaves, context.offset_s);
        let mut event = context.event(stamp, "postgresql", "postgresql.log");
        postgresql::set_json(&mut event, leaves, context.offset_s);
        event.set_default(Field::EVENT_TYPE, "info");
        finish(&mut event);
        return Some(event);
    }
    let known = AGENTS.iter().find(|(profile, is_record, _)| is_of(*profile) && is_record(leaves));
    known.map(|(_, _, event)| event(leaves.clone(), context))
}

/// The program whose record a JSON object surely is.
pub(super) fn json_profile(leaves: &Leaves) -> Option<Profile> {
    if postgresql::is_json(leaves) {
        return Some(Profile::Postgresql);
    }
    AGENTS.iter().find(|(_, is_record, _)| is_record(leaves)).map(|(profile, ..)| *profile)
}

/// The program of whose own file a line surely is, by how it begins; `None` = of none, or there is a doubt.
pub(super) fn own_file(text: &str, context: &Context<'_>) -> Option<Profile> {
    let rows: [(Profile, bool); 10] = [
        (Profile::Modsecurity, modsecurity::is_audit_entry(text)),
        (Profile::Postgresql, postgresql::is_own(text)),
        (Profile::Mysql, mysql::is_own(text, context.offset_s)),
        (Profile::Squid, squid::is_own(text)),
        (Profile::Bind, bind::is_own(text, context.offset_s)),
        (Profile::Haproxy, haproxy::is_own(text, context.offset_s)),
        (Profile::Mongodb, mongodb::is_own(text, context.offset_s)),
        (Profile::Redis, redis::is_own(text)),
        (Profile::Santa, santa::is_own(text, context.offset_s)),
        (Profile::Dhcpd, dhcpd::is_kea(text)),
    ];
    rows.into_iter().find(|(_, is_own)| *is_own).map(|(profile, _)| profile)
}

/// A question to the leaves of a record.
type IsRecord = fn(&Leaves) -> bool;
/// The event of a record of that kind.
type ToEvent = fn(Leaves, &Context<'_>) -> Event;

/// Agents that write JSON, and how their records are known.
const AGENTS: &[(Profile, IsRecord, ToEvent)] = &[
    (Profile::Modsecurity, modsecurity::is_record, modsecurity::event),
    (Profile::Mongodb, mongodb::is_record, mongodb::event),
    (Profile::Osquery, osquery::is_record, osquery::event),
    (Profile::Wazuh, wazuh::is_record, wazuh::event),
    (Profile::Crowdsec, crowdsec::is_record, crowdsec::event),
];

/// Whether the line came through syslog. The databases' own files begin with an ISO date, as syslog of RFC 3339
/// date does: there a host and a tag follow, here neither.
fn has_syslog_header(text: &str, program: Program) -> bool {
    if text.starts_with('<') {
        return true;
    }
    let is_dated = parse::detect(text) == Format::Syslog;
    match program.profile {
        // Behind a header stand a host and a tag; in its own file a category and a severity.
        Profile::Bind => is_dated && !bind::is_own(text, 0),
        Profile::Postgresql | Profile::Mysql | Profile::Openvpn | Profile::Mongodb => {
            is_dated && !text.starts_with(|c: char| c.is_ascii_digit())
        }
        _ => is_dated,
    }
}

/// The event of a message of such a program; the header's fields are the caller's.
pub fn of_parts(parts: &Syslog<'_>, program: Program, context: &Context<'_>) -> Event {
    let mut event = context.event(parts.timestamp, program.module, program.dataset);
    event.set(Field::MESSAGE, parts.message.trim());
    let message = linux::unwrap_repeated(&mut event, parts.message.trim());
    let name = parts.app.map_or(program.tag.trim_end_matches(['/', '-']), linux::program_name);
    event.set(Field::PROCESS_NAME, name);
    if let Some(pid) = parts.procid.and_then(|pid| pid.parse::<i64>().ok()) {
        event.set(Field::PROCESS_PID, pid);
    }
    act(&mut event, Act(program.category, &[], ""));
    match program.profile {
        Profile::Postfix => postfix::set_fields(&mut event, message),
        // PAM tells its refusals under Dovecot's name.
        Profile::Dovecot if message.starts_with("pam_") => linux::set_fields(&mut event, name, message),
        // Dovecot's own file gives the service where syslog has the tag.
        Profile::Dovecot if !name.starts_with("dovecot") => {
            dovecot::set_fields(&mut event, &format!("{name}: {message}"));
        }
        Profile::Dovecot => dovecot::set_fields(&mut event, message),
        Profile::Bind => bind::set_fields(&mut event, message),
        Profile::Unbound => unbound::set_fields(&mut event, message, context),
        Profile::Dnsmasq => dnsmasq::set_fields(&mut event, message),
        Profile::Openvpn => openvpn::set_fields(&mut event, message),
        Profile::Postgresql => postgresql::set_fields(&mut event, message, context),
        Profile::Mysql => mysql::set_fields(&mut event, message, context),
        Profile::Dhcpd => dhcpd::set_fields(&mut event, message),
        Profile::Squid => squid::set_fields(&mut event, message, context),
        Profile::Haproxy => haproxy::set_fields(&mut event, message, context),
        Profile::Mongodb => mongodb::set_fields(&mut event, message),
        Profile::Redis => redis::set_fields(&mut event, message, context),
        Profile::Crowdsec => crowdsec::set_fields(&mut event, message),
        Profile::Santa => santa::set_fields(&mut event, message, context),
        Profile::Modsecurity => {
            modsecurity::set_message(&mut event, message);
        }
        _ => {}
    }
    if event.get(Field::EVENT_ACTION).is_none() && event.get(Field::SOURCE_IP).is_none() {
        super::program::set_fields(&mut event, name, message);
    }
    event.set_default(Field::EVENT_TYPE, "info");
    finish(&mut event);
    event
}

/// What stands between two words, the second searched after the first.
pub(super) fn between<'a>(text: &'a str, front: &str, back: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(front)?;
    rest.split_once(back).map(|(inside, _)| inside)
}

/// Both sides of a mark that stands in the text exactly once. Twice means that a stranger wrote one of them.
pub(super) fn split_sole<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (front, back) = text.split_once(mark)?;
    (!back.contains(mark)).then_some((front, back))
}

/// Says what happened: what it is, and the action.
pub(super) fn happened(event: &mut Event, action: &'static str, meaning: Act) {
    act(event, meaning);
    event.set(Field::EVENT_ACTION, action);
}

/// A sign-in that was let in or refused.
pub(super) fn sign_in(event: &mut Event, action: &'static str, is_in: bool) {
    let outcome = if is_in { linux::Outcome::Success } else { linux::Outcome::Failure };
    linux::authentication(event, action, outcome);
}

/// Sets `source.port` where the text is a port.
pub(super) fn set_port(event: &mut Event, text: &str) {
    if let Ok(port) = text.trim().parse::<u16>() {
        event.set(Field::SOURCE_PORT, port);
    }
}

/// Sets a vendor's field where there is something to set.
pub(super) fn set_named(event: &mut Event, name: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        event.set_named(name, Value::from(value));
    }
}

/// Sets a vendor's field to a whole number.
pub(super) fn set_number(event: &mut Event, name: &str, value: &str) {
    if let Ok(number) = value.trim().parse::<i64>() {
        event.set_named(name, Value::Long(number));
    }
}

/// The moment of `2026-11-23T20:10:00.123` written from its parts.
pub(super) fn moment(date: &str, time: &str, offset_s: i32) -> Option<Timestamp> {
    Timestamp::parse(&format!("{date}T{time}"), offset_s)
}

#[cfg(test)]
pub(crate) mod tests;
