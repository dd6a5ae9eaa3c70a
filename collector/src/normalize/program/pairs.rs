//! Programs whose messages are values with names: Asterisk's security events, slapd's statistics, Drupal's record between bars, Proxmox.
//!
//! In: the program's name and its message. Out: who, from where, what came of it. Promise: a value is read between the marks that the program
//! puts around it. Source: Asterisk "Security Event Framework" (`res_security_log.c`); OpenLDAP `slapd` log level `stats`; Drupal `syslog` module.

use nhatle_event::{Event, Field};

use super::super::device::act;
use super::super::linux::{Outcome, authentication, set_user};
use super::super::service::between;
use super::{COMES, GOES, INFO, set_peer};
use crate::parse::Needle;

/// Sets what such a message means. Whether it was one.
pub(super) fn set_fields(event: &mut Event, name: &str, message: &str) -> bool {
    if name == "slapd" {
        return slapd(event, message);
    }
    security_event(event, message) || drupal(event, message)
}

/// `SecurityEvent="InvalidPassword",…,AccountID="6001",…,RemoteAddress="IPV4/UDP/203.0.113.9/5060",…`.
pub(super) fn security_event(event: &mut Event, message: &str) -> bool {
    const MARK: Needle = Needle::new("SecurityEvent=\"");
    let Some((kind, _)) = MARK.split(message).and_then(|(_, rest)| rest.split_once('"')) else { return false };
    let is_success = kind.starts_with("Successful");
    match kind {
        "SuccessfulAuth" => authentication(event, "sip_login", Outcome::Success),
        "ChallengeSent" => {
            act(event, super::super::device::Act("authentication", &["info"], ""));
            event.set(Field::EVENT_ACTION, "sip_challenge");
        }
        // What the server refused for reasons of its own.
        "SessionLimit" | "MemoryLimit" | "LoadAverageLimit" | "RequestNotSupported" | "RequestBadFormat" => {
            act(event, super::super::device::Act("network", &["connection", "denied"], "failure"));
            event.set(Field::EVENT_ACTION, "sip_refused");
        }
        _ => authentication(event, "sip_login", Outcome::Failure),
    }
    if !is_success {
        event.set(Field::EVENT_REASON, kind);
    }
    if let Some(user) = between(message, ",AccountID=\"", "\"") {
        set_user(event, user);
    }
    // Account and challenge are what the client sent, quotes too: of two addresses nobody knows which is the server's word.
    let is_sole = message.matches(",RemoteAddress=\"").count() == 1;
    let remote = between(message, ",RemoteAddress=\"", "\"").filter(|_| is_sole);
    let remote = remote.map(|text| text.split('/').skip(2).collect::<Vec<_>>());
    if let Some([address, port, ..]) = remote.as_deref() {
        set_peer(event, address);
        super::set_port(event, Some(port));
    }
    let local = between(message, ",LocalAddress=\"", "\"").and_then(|text| text.split('/').nth(2)?.parse().ok());
    if let Some(address) = local {
        let address: std::net::IpAddr = address;
        event.set(Field::DESTINATION_IP, address);
    }
    if let Some(service) = between(message, ",Service=\"", "\"") {
        event.set(Field::SERVICE_NAME, service);
    }
    true
}

/// `conn=1022 fd=21 ACCEPT from IP=203.0.113.9:45011 (IP=0.0.0.0:636)`, `conn=1022 op=1 BIND dn="uid=lan,…" method=128`,
/// `conn=1022 op=1 RESULT tag=97 err=49 text=`.
fn slapd(event: &mut Event, message: &str) -> bool {
    let Some((connection, rest)) = message.strip_prefix("conn=").and_then(|rest| rest.split_once(' ')) else {
        return false;
    };
    event.set_named("slapd.connection", connection);
    let rest = match rest.split_once(' ') {
        Some((front, rest)) if front.starts_with("op=") || front.starts_with("fd=") => rest,
        _ => rest,
    };
    let (verb, values) = rest.split_once(' ').unwrap_or((rest, ""));
    // Right behind the verb: further on stands what clients chose.
    if let Some(peer) = values.strip_prefix("from IP=").or_else(|| rest.strip_prefix("from IP=")) {
        set_peer(event, peer.split(' ').next().unwrap_or(peer));
    }
    match verb {
        "ACCEPT" => happened(event, "ldap_connect", COMES),
        "closed" | "UNBIND" => happened(event, "ldap_disconnect", GOES),
        "BIND" => {
            act(event, super::super::device::Act("authentication", &["info"], ""));
            event.set(Field::EVENT_ACTION, "ldap_bind");
            if let Some(name) = between(values, "dn=\"", "\"") {
                set_user(event, name);
            }
        }
        "RESULT" => result(event, values),
        "SRCH" => {
            happened(event, "ldap_search", INFO);
            event.set_named("slapd.base", between(values, "base=\"", "\"").unwrap_or_default());
        }
        "MOD" | "ADD" | "DEL" | "MODRDN" | "PASSMOD" => {
            act(event, super::super::device::Act("iam", &["change"], ""));
            event.set(Field::EVENT_ACTION, "ldap_change");
            event.set_named("slapd.dn", between(values, "dn=\"", "\"").unwrap_or_default());
        }
        _ => happened(event, "ldap_message", INFO),
    }
    true
}

fn happened(event: &mut Event, action: &'static str, meaning: super::super::device::Act) {
    act(event, meaning);
    event.set(Field::EVENT_ACTION, action);
}

/// Tag 97 answers a bind (RFC 4511 section 4.2.2); error 49 is a wrong name or password.
fn result(event: &mut Event, values: &str) {
    let error = values.split(' ').find_map(|word| word.strip_prefix("err=")).unwrap_or_default();
    if values.split(' ').any(|word| word == "tag=97") && error != "14" {
        authentication(event, "ldap_login", if error == "0" { Outcome::Success } else { Outcome::Failure });
    } else {
        happened(event, "ldap_result", INFO);
        event.set(Field::EVENT_OUTCOME, if error == "0" || error.is_empty() { "success" } else { "failure" });
    }
    if !error.is_empty() {
        event.set_named("slapd.error", error);
    }
}

/// `site|time|kind|address|request|referrer|account|link|message`, as Drupal's module writes by default.
fn drupal(event: &mut Event, message: &str) -> bool {
    if !message.starts_with("http") {
        return false;
    }
    let parts: Vec<&str> = message.splitn(5, '|').collect();
    let [site, time, kind, address, rest] = parts[..] else { return false };
    let is_record = site.starts_with("http") && !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    if !is_record || address.parse::<std::net::IpAddr>().is_err() {
        return false;
    }
    set_peer(event, address);
    event.set_named("drupal.kind", kind);
    event.set(Field::URL_ORIGINAL, rest.split('|').next().unwrap_or_default());
    let text = rest.rsplit("||").next().unwrap_or(rest);
    let failed = rest.contains("|Login attempt failed ");
    let user = |mark: &str| {
        rest.rsplit_once(mark).map(|(_, user)| user.split('|').next().unwrap_or(user).trim_end_matches('.'))
    };
    if failed {
        authentication(event, "web_login", Outcome::Failure);
        let user = user("Login attempt failed for ").or_else(|| user("Login attempt failed from "));
        if let Some(user) = user.filter(|user| user.parse::<std::net::IpAddr>().is_err()) {
            set_user(event, user);
        }
    } else if let Some(user) = user("Session opened for ") {
        authentication(event, "web_login", Outcome::Success);
        set_user(event, user);
    } else {
        happened(event, "web_message", super::super::device::Act("web", &["info"], ""));
        event.set(Field::EVENT_REASON, text);
    }
    true
}
