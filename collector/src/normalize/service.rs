//! Programs that serve people over the network and write syslog: mail, names, tunnels, databases.
//!
//! In: the program's tag and its message. Out: who, from where, what came of it, as ECS. Promise: what a remote
//! user chooses (a name, a host name) sets its own field and no other: each value is looked for at the place where
//! the program writes it, never anywhere in the line. A message nobody knows sets nothing.
//! Source: the messages of Postfix 3.7 (smtpd(8), qmgr(8)), Dovecot 2.3, BIND 9.18, dnsmasq 2.89, OpenVPN 2.6,
//! PostgreSQL 15 and MariaDB 10.11 as their sources print them; categories of ECS 8.17.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};

use super::linux::{Outcome, authentication};

/// Whether this program is one of these, and its fields are set.
pub fn set_fields(event: &mut Event, name: &str, message: &str) -> bool {
    let family = name.split('/').next().unwrap_or(name);
    match family {
        "postfix" => postfix(event, name, message),
        "dovecot" => dovecot(event, message),
        "named" => named(event, message),
        "dnsmasq" => dnsmasq(event, message),
        "openvpn" | "ovpn-server" => openvpn(event, message),
        "postgres" | "postgresql" => postgres(event, message),
        "mysqld" | "mariadbd" | "mysqld_safe" => mysql(event, message),
        _ => return false,
    }
    true
}

/// The text between two marks, the first after the other.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(behind)?])
}

fn set_address(event: &mut Event, field: Field, text: &str) {
    if let Ok(address) = text.trim().parse::<IpAddr>() {
        event.set(field, Value::Ip(address));
        event.add(Field::RELATED_IP, Value::Ip(address));
    }
}

fn set_port(event: &mut Event, text: &str) {
    if let Ok(port) = text.trim().parse::<u16>() {
        event.set(Field::SOURCE_PORT, i64::from(port));
    }
}

fn set_user(event: &mut Event, user: &str) {
    if !user.is_empty() {
        event.set(Field::USER_NAME, user);
        event.add(Field::RELATED_USER, user);
    }
}

fn set_text(event: &mut Event, name: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        event.set_named(name, text);
    }
}

/// `smtpd`: `connect from host[1.2.3.4]`, `warning: host[1.2.3.4]: SASL LOGIN authentication failed: …`,
/// `NOQUEUE: reject: RCPT from host[1.2.3.4]: 554 …; from=<a> to=<b> proto=ESMTP helo=<c>`; `qmgr`:
/// `ID: from=<a>, size=1, nrcpt=2 (queue active)`; `smtp`: `ID: to=<b>, relay=…, status=sent (…)`.
fn postfix(event: &mut Event, name: &str, message: &str) {
    event.set(Field::EVENT_CATEGORY, "email");
    let is_smtpd = name.ends_with("smtpd");
    // The client stands first, and a host name holds no bracket; a program name in a path does neither.
    if is_smtpd && let Some(address) = between(message, "[", "]") {
        set_address(event, Field::SOURCE_IP, address);
    }
    if is_smtpd && message.contains("]: SASL ") && message.contains(" authentication failed") {
        authentication(event, "sasl_login", Outcome::Failure);
        set_user(event, message.rsplit_once("sasl_username=").map_or("", |(_, user)| user.trim()));
    } else if is_smtpd && let Some((_, user)) = message.rsplit_once(", sasl_username=") {
        authentication(event, "sasl_login", Outcome::Success);
        set_user(event, user.trim());
    } else if message.starts_with("NOQUEUE: reject:") {
        event.set(Field::EVENT_ACTION, "mail_rejected");
        event.set(Field::EVENT_OUTCOME, "failure");
    } else if message.contains(", status=") {
        event.set(Field::EVENT_ACTION, "mail_delivery");
        let status = between(message, ", status=", " ").unwrap_or_default();
        event.set(Field::EVENT_OUTCOME, if status == "sent" { "success" } else { "failure" });
        set_text(event, "postfix.status", Some(status));
    }
    set_text(event, "email.from.address", between(message, "from=<", ">"));
    set_text(event, "email.to.address", between(message, "to=<", ">"));
    if let Some(count) = between(message, ", nrcpt=", " ").and_then(|count| count.parse::<i64>().ok()) {
        event.set_named("postfix.recipient_count", count);
        event.set(Field::EVENT_ACTION, "mail_queued");
    }
}

/// `imap-login: Login: user=<a>, method=PLAIN, rip=1.2.3.4, lip=…`, `imap-login: Disconnected (auth failed, …): user=<a>, …`.
fn dovecot(event: &mut Event, message: &str) {
    let is_failure = message.contains("auth failed") || message.contains("Aborted login");
    let is_login = message.contains("-login: Login: ");
    if !is_failure && !is_login {
        return;
    }
    authentication(event, "mail_login", if is_login { Outcome::Success } else { Outcome::Failure });
    set_user(event, between(message, "user=<", ">").unwrap_or_default());
    // From the end: a name may hold anything, what the server writes behind it does not.
    if let Some((_, rest)) = message.rsplit_once(", rip=") {
        set_address(event, Field::SOURCE_IP, rest.split(',').next().unwrap_or_default());
    }
}

/// `client @0x… 1.2.3.4#50211 (name): query: name IN TXT +E(0)K (10.45.0.53)`, `… zone transfer 'x/AXFR/IN' denied`.
fn named(event: &mut Event, message: &str) {
    let Some(rest) = message.strip_prefix("client ") else { return };
    let rest = rest.strip_prefix('@').map_or(rest, |rest| rest.split_once(' ').map_or(rest, |(_, rest)| rest));
    let Some((client, rest)) = rest.split_once(' ') else { return };
    if let Some((address, port)) = client.trim_end_matches(':').split_once('#') {
        set_address(event, Field::SOURCE_IP, address);
        set_port(event, port);
    }
    event.set(Field::EVENT_CATEGORY, "network");
    if let Some((_, query)) = rest.split_once("): query: ").or_else(|| rest.split_once("query: ")) {
        let mut words = query.split(' ');
        event.set(Field::EVENT_ACTION, "dns_query");
        event.set(Field::DNS_QUESTION_NAME, words.next().unwrap_or_default());
        if let Some(kind) = words.nth(1) {
            event.set(Field::DNS_QUESTION_TYPE, kind);
        }
    } else if rest.contains("denied") || rest.contains("REFUSED") {
        event.set(Field::EVENT_ACTION, if rest.contains("transfer") { "dns_zone_transfer" } else { "dns_query" });
        event.set(Field::EVENT_OUTCOME, "failure");
    }
}

/// `query[A] name from 10.45.3.20`, `DHCPACK(eth0) 10.45.3.20 00:11:… name`.
fn dnsmasq(event: &mut Event, message: &str) {
    event.set(Field::EVENT_CATEGORY, "network");
    if let Some(rest) = message.strip_prefix("query[") {
        let Some((kind, rest)) = rest.split_once("] ") else { return };
        let Some((name, client)) = rest.rsplit_once(" from ") else { return };
        event.set(Field::EVENT_ACTION, "dns_query");
        event.set(Field::DNS_QUESTION_NAME, name);
        event.set(Field::DNS_QUESTION_TYPE, kind);
        set_address(event, Field::SOURCE_IP, client);
    } else if let Some((kind, rest)) = message.split_once('(').filter(|(kind, _)| kind.starts_with("DHCP")) {
        event.set(Field::EVENT_ACTION, kind.to_lowercase());
        if let Some((_, rest)) = rest.split_once(") ") {
            set_address(event, Field::SOURCE_IP, rest.split(' ').next().unwrap_or_default());
        }
    }
}

/// `1.2.3.4:50211 TLS Error: …`, `user/1.2.3.4:50211 MULTI: …`, `1.2.3.4:50211 [user] Peer Connection Initiated with …`.
fn openvpn(event: &mut Event, message: &str) {
    let Some((peer, rest)) = message.split_once(' ') else { return };
    let (user, peer) = peer.split_once('/').map_or((None, peer), |(user, peer)| (Some(user), peer));
    let Some((address, port)) = peer.rsplit_once(':') else { return };
    set_address(event, Field::SOURCE_IP, address);
    set_port(event, port);
    event.set(Field::EVENT_CATEGORY, "network");
    if rest.starts_with("TLS Auth Error") || rest.starts_with("AUTH_FAILED") || rest.contains("VERIFY ERROR") {
        authentication(event, "vpn_login", Outcome::Failure);
    } else if rest.contains("Peer Connection Initiated with") {
        authentication(event, "vpn_login", Outcome::Success);
        set_user(event, between(rest, "[", "]").unwrap_or_default());
    }
    set_user(event, user.unwrap_or_default());
}

/// `… user@database FATAL:  password authentication failed for user "x"`, `… LOG:  statement: …`,
/// `… connection authorized: user=x database=y`.
fn postgres(event: &mut Event, message: &str) {
    event.set(Field::EVENT_CATEGORY, "database");
    if let Some((_, rest)) = message.split_once("authentication failed for user \"") {
        authentication(event, "database_login", Outcome::Failure);
        set_user(event, rest.split('"').next().unwrap_or_default());
    } else if let Some((_, rest)) = message.split_once("connection authorized: user=") {
        authentication(event, "database_login", Outcome::Success);
        set_user(event, rest.split(' ').next().unwrap_or_default());
    } else if let Some((_, rest)) = message.split_once("connection received: host=") {
        event.set(Field::EVENT_ACTION, "database_connection");
        set_address(event, Field::SOURCE_IP, rest.split(' ').next().unwrap_or_default());
    } else if let Some((_, statement)) = message.split_once("LOG:  statement: ") {
        event.set(Field::EVENT_ACTION, "database_statement");
        event.set_named("postgresql.log.query", statement);
    }
}

/// `Access denied for user 'x'@'1.2.3.4' (using password: YES)`.
fn mysql(event: &mut Event, message: &str) {
    event.set(Field::EVENT_CATEGORY, "database");
    let Some((_, rest)) = message.split_once("Access denied for user '") else { return };
    authentication(event, "database_login", Outcome::Failure);
    // From the end: a name may hold quotes.
    let Some((user, rest)) = rest.rsplit_once("'@'") else { return };
    set_user(event, user);
    set_address(event, Field::SOURCE_IP, rest.split('\'').next().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use nhatle_event::Timestamp;

    use super::*;

    #[track_caller]
    fn check(program: &str, message: &str, expected: &[(&str, Option<&str>)]) {
        let mut event = Event::new(Timestamp(0), *b"x");
        assert!(set_fields(&mut event, program, message), "{program}");
        for (name, wanted) in expected {
            let field = Field::lookup(name);
            let found = field.and_then(|field| event.get(field)).and_then(|value| value.each().next()?.as_text());
            assert_eq!(found.as_deref(), *wanted, "{name} in {message}");
        }
    }

    #[test]
    fn each_program_says_who_and_from_where() {
        let failed = Some("failure");
        check(
            "postfix/smtpd",
            "warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
            &[("source.ip", Some("203.0.113.9")), ("event.outcome", failed), ("event.action", Some("sasl_login"))],
        );
        check(
            "postfix/smtpd",
            "A1: client=may.example[10.45.3.20], sasl_method=LOGIN, sasl_username=ttmai",
            &[("user.name", Some("ttmai")), ("event.outcome", Some("success")), ("source.ip", Some("10.45.3.20"))],
        );
        check(
            "postfix/qmgr",
            "A1: from=<ttmai@donghoi.example>, size=900, nrcpt=250 (queue active)",
            &[("email.from.address", Some("ttmai@donghoi.example")), ("postfix.recipient_count", Some("250"))],
        );
        check(
            "dovecot",
            "imap-login: Login: user=<ttmai>, method=PLAIN, rip=203.0.113.9, lip=10.45.0.25, TLS",
            &[("user.name", Some("ttmai")), ("source.ip", Some("203.0.113.9")), ("event.outcome", Some("success"))],
        );
        check(
            "named",
            "client @0x7f 10.45.3.77#50211 (a.example): query: a.example IN TXT + (10.45.0.53)",
            &[
                ("dns.question.name", Some("a.example")),
                ("dns.question.type", Some("TXT")),
                ("source.ip", Some("10.45.3.77")),
            ],
        );
        check(
            "dnsmasq",
            "query[A] a.example from 10.45.3.20",
            &[("dns.question.name", Some("a.example")), ("source.ip", Some("10.45.3.20"))],
        );
        check(
            "openvpn",
            "203.0.113.9:50211 TLS Auth Error: Auth Username/Password verification failed for peer",
            &[("source.ip", Some("203.0.113.9")), ("event.outcome", failed)],
        );
        check(
            "openvpn",
            "203.0.113.9:50211 [ttmai] Peer Connection Initiated with [AF_INET]203.0.113.9:50211",
            &[("user.name", Some("ttmai")), ("event.outcome", Some("success"))],
        );
        check(
            "postgres",
            "2026-11-23 [9] a@b FATAL:  password authentication failed for user \"ttmai\"",
            &[("user.name", Some("ttmai")), ("event.outcome", failed)],
        );
        check(
            "mariadbd",
            "[Warning] Access denied for user 'root'@'203.0.113.9' (using password: YES)",
            &[("user.name", Some("root")), ("source.ip", Some("203.0.113.9"))],
        );
    }

    #[test]
    fn a_name_that_looks_like_an_address_sets_no_address() {
        check(
            "dovecot",
            "imap-login: Disconnected (auth failed): user=<x, rip=192.0.2.1>, method=PLAIN, rip=203.0.113.9, lip=1",
            &[("source.ip", Some("203.0.113.9")), ("user.name", Some("x, rip=192.0.2.1"))],
        );
        check(
            "mysqld",
            "Access denied for user 'a'@'192.0.2.1' x'@'203.0.113.9' (using password: NO)",
            &[("source.ip", Some("203.0.113.9"))],
        );
        check("postfix/cleanup", "A1: message-id=<[192.0.2.1]@x>", &[("source.ip", None)]);
    }

    #[test]
    fn broken_messages_set_what_they_can_and_never_panic() {
        for program in ["postfix/smtpd", "dovecot", "named", "dnsmasq", "openvpn", "postgres", "mysqld"] {
            for message in [
                "",
                "[",
                "client",
                "client @",
                "client @0x #",
                "query[",
                "DHCP(",
                ":",
                "/:",
                "user=<",
                "'@'",
                "ế[ế]ế: ế",
            ] {
                let mut event = Event::new(Timestamp(0), *b"x");
                set_fields(&mut event, program, message);
                assert!(event.get(Field::SOURCE_IP).is_none(), "{program} {message}");
            }
        }
    }
}
