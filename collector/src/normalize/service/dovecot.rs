//! Dovecot: sign-ins to mailboxes, and mail that Sieve sends on.
//!
//! In: a message of its login, auth and delivery services. Out: account, addresses, outcome. The account is a
//! stranger's text: the addresses are read from the back. Source: Dovecot 2.3 and 2.4, `login-common`,
//! `auth-request.c`, `sieve-result.c`.

use nhatle_event::{Event, Field};

use super::{between, happened, set_named, sign_in, split_sole};
use crate::normalize::device::Act;
use crate::normalize::linux::{set_source, set_user};

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str) {
    // Some syslog daemons leave the tag in the message, too.
    let message = message.strip_prefix("dovecot: ").unwrap_or(message);
    let Some((service, text)) = message.split_once(": ") else { return };
    let text = text.strip_prefix("Info: ").unwrap_or(text);
    if service.ends_with("-login") {
        event.set_named("dovecot.service", service.trim_end_matches("-login"));
        login(event, text);
    } else if service.starts_with("auth") {
        auth(event, text);
    } else if let Some((_, what)) = split_sole(text, "forwarded to <") {
        happened(event, "mail_forwarded", Act("email", &["info"], "success"));
        set_named(event, "email.to.address", what.rsplit_once('>').map(|(address, _)| address));
        set_user(event, between(service, "(", ")").unwrap_or_default());
    }
}

/// `Login: user=<lan>, method=PLAIN, rip=…, lip=…, TLS, session=<…>`, `Disconnected (auth failed, 3 attempts in
/// 9 secs): user=<lan>, …`, and Dovecot 2.4's `Login aborted: Connection closed (auth failed, …) (auth_failed): user=<…>`.
/// The account is a stranger's; what the server writes behind it is read from the back.
fn login(event: &mut Event, text: &str) {
    // Without an account (nobody got that far) all behind the verb is the server's.
    let Some((verb, pairs)) = text.split_once("user=<").or_else(|| text.split_once("): ")) else { return };
    let verb = verb.trim_end_matches([':', ' ']);
    let is_refused = ["auth failed", "auth_failed", "Aborted login", "Maximum number of connections"]
        .iter()
        .any(|words| verb.contains(words));
    match verb {
        "Login" => sign_in(event, "mail_login", true),
        _ if is_refused => sign_in(event, "mail_login", false),
        _ => happened(event, "mail_disconnect", Act("network", &["connection", "end"], "")),
    }
    if verb != "Login" {
        set_named(event, "event.reason", Some(verb));
    }
    let Some((user, back)) = pairs.rsplit_once(", rip=").or_else(|| Some(("", pairs.strip_prefix("rip=")?))) else {
        return;
    };
    let user = if text.contains("user=<") { user } else { "" };
    let user = user.rsplit_once(">, method=").map_or_else(|| user.strip_suffix('>').unwrap_or(user), |(user, _)| user);
    set_user(event, user);
    let mut words = back.split(", ");
    set_source(event, words.next().unwrap_or_default());
    if let Some(Ok(address)) = words.find_map(|word| word.strip_prefix("lip=")).map(str::parse::<std::net::IpAddr>) {
        event.set(Field::DESTINATION_IP, address);
    }
}

const REFUSALS: &[&str] = &[
    "unknown user",
    "password mismatch",
    "pam_authenticate() failed",
    "invalid credentials",
    "user account has expired",
];

/// `passwd-file(lan,203.0.113.9,<session>): unknown user`, `pam(lan,203.0.113.9): Password mismatch`. With passwords
/// logged (`auth_debug_passwords`) a stranger's text follows: the bracket must be the sole one.
fn auth(event: &mut Event, text: &str) {
    // The worker names its connection first: `conn unix:auth-worker (pid=7,uid=97): auth-worker<55>: pam(…): …`.
    let text = text.strip_prefix("conn unix:").and_then(|rest| rest.split_once(">: ")).map_or(text, |(_, rest)| rest);
    let Some((front, reason)) = split_sole(text, "): ") else { return };
    let Some((_, inside)) = front.split_once('(') else { return };
    let lower = reason.to_ascii_lowercase();
    if !REFUSALS.iter().any(|wording| lower.contains(wording)) {
        return;
    }
    // The login service tells the refused sign-in, too: counted once, under its own action.
    happened(event, "mail_password_check", Act("authentication", &["info"], "failure"));
    set_named(event, "event.reason", Some(reason));
    let inside = inside.rsplit_once(",<").map_or(inside, |(inside, _)| inside);
    if let Some((user, address)) = inside.rsplit_once(',') {
        set_user(event, user);
        set_source(event, address);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn sign_ins_and_forwards() {
        let line = |message: &str| format!("<22>Nov 23 20:10:00 mail-01 dovecot: {message}");
        check(
            "dovecot",
            &line(
                "imap-login: Login: user=<lan>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.5, mpid=7, TLS, session=<a/b>",
            ),
            &[
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
                ("destination.ip", "192.0.2.5"),
                ("event.outcome", "success"),
            ],
        );
        check(
            "dovecot",
            &line(
                "pop3-login: Disconnected (auth failed, 3 attempts in 9 secs): user=<a>, rip=198.51.100.1, x>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.5",
            ),
            &[("user.name", "a>, rip=198.51.100.1, x"), ("source.ip", "203.0.113.9"), ("event.outcome", "failure")],
        );
        check(
            "dovecot",
            &line("auth-worker(9): pam(lan,203.0.113.9,<s>): Password mismatch"),
            &[("user.name", "lan"), ("source.ip", "203.0.113.9")],
        );
        check(
            "dovecot",
            &line(
                "auth-worker(9): pam(lan,203.0.113.9,<s>): unknown user (given password: a,198.51.100.1): unknown user",
            ),
            &[("!user.name", ""), ("!source.ip", "")],
        );
        check(
            "dovecot",
            &line(
                "auth-worker(7): conn unix:auth-worker (pid=9,uid=97): auth-worker<55>: pam(lan,203.0.113.9): unknown user",
            ),
            &[("user.name", "lan"), ("source.ip", "203.0.113.9")],
        );
        check(
            "dovecot",
            &line(
                "imap-login: Disconnected (auth failed, 1 attempts): method=PLAIN, rip=203.0.113.9, lip=192.0.2.5, TLS",
            ),
            &[("source.ip", "203.0.113.9"), ("!user.name", ""), ("event.outcome", "failure")],
        );
        check(
            "dovecot",
            "Nov 23 20:10:00 mail-01 auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=x rhost=203.0.113.9",
            &[("source.ip", "203.0.113.9"), ("event.outcome", "failure")],
        );
        check(
            "dovecot",
            "Nov 23 20:10:00 imap-login: Info: Login: user=<lan>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.5, TLS",
            &[("user.name", "lan"), ("source.ip", "203.0.113.9"), ("event.action", "mail_login")],
        );
        check(
            "dovecot",
            &line("lmtp(lan)<7><x>: sieve: msgid=<a@b>: forwarded to <x@example.net>"),
            &[("user.name", "lan"), ("email.to.address", "x@example.net"), ("event.action", "mail_forwarded")],
        );
    }
}
