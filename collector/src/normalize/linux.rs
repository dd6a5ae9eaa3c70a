//! Programs of a Linux host: which dataset they write to, and what their messages mean.
//!
//! In: the program's tag and its message. Out: ECS fields on the event. Promise: a message nobody knows
//! sets nothing; no text that a remote user chooses (a login name, say) can set another field than its
//! own. Source: the messages of OpenSSH, sudo, shadow-utils, Linux-PAM, util-linux, cron and systemd, as
//! their sources print them; categories of ECS 8.17.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};

use super::{account, daemon, firewall, program, sshd, words};
use crate::parse::Needle;

/// The program behind a tag: without its path, `(pam_unix)` (older PAM), and sshd's split processes,
/// which are sshd to everyone who watches it.
pub fn program_name(app: &str) -> &str {
    let name = if app.starts_with('/') { app.rsplit('/').next().unwrap_or(app) } else { app };
    // A tag is short: looking at each byte costs less than preparing to look at many.
    let bracket = name.bytes().position(|byte| byte == b'(').filter(|at| *at > 0);
    let name = bracket.and_then(|at| name.get(..at)).unwrap_or(name);
    match name {
        "sshd-session" | "sshd-auth" => "sshd",
        name => name,
    }
}

const PAM_UNIX: Needle = Needle::new("pam_unix(");

/// The dataset of a program's messages, where the program or the message is known to be of a Linux host;
/// otherwise `linux.syslog` if the profile says that it is one or the tag has a daemon's form
/// (`name[pid]`), else `None`.
pub fn dataset_of(app: &str, procid: Option<&str>, message: &str, is_linux: bool) -> Option<&'static str> {
    let name = program_name(app);
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let is_daemon = is_word && procid.is_some_and(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()));
    let dataset = match name {
        "sshd" | "sudo" | "su" | "login" | "useradd" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod"
        | "gpasswd" | "passwd" | "chpasswd" | "chage" | "chsh" | "chfn" | "newusers" | "systemd-logind" | "polkitd"
        | "pkexec" | "doas" | "vsftpd" | "remote" | "pam" => "linux.auth",
        "CRON" | "cron" | "crond" | "crontab" | "anacron" | "atd" => "linux.cron",
        "dropbear" | "proftpd" | "pure-ftpd" | "xrdp-sesman" | "radiusd" | "freeradius" => "linux.auth",
        "kernel" => "linux.kernel",
        _ if PAM_UNIX.is_in(message) || app.ends_with("(pam_unix)") => "linux.auth",
        _ if is_linux || is_daemon || name == "systemd" || name.starts_with("systemd-") => "linux.syslog",
        "rsyslogd" | "syslogd" | "syslog-ng" | "dbus" | "dbus-daemon" | "NetworkManager" | "auditd" | "snapd"
        | "logrotate" => "linux.syslog",
        _ => return None,
    };
    Some(dataset)
}

/// Sets what a message means.
pub fn set_fields(event: &mut Event, app: &str, message: &str) {
    let message = unwrap_repeated(event, message);
    let name = program_name(app);
    if pam(event, name, app, message) {
        return;
    }
    match name {
        "sshd" => sshd::set_fields(event, message),
        "sudo" => account::sudo(event, message),
        "su" => account::su(event, message),
        "login" | "remote" => account::login(event, message),
        "systemd-logind" => account::logind(event, message),
        "useradd" | "userdel" | "usermod" | "groupadd" | "groupdel" | "groupmod" | "gpasswd" | "passwd"
        | "chpasswd" | "newusers" => account::change(event, name, message),
        "CRON" | "cron" | "crond" | "crontab" | "anacron" => cron(event, message),
        "systemd" => systemd(event, message),
        "kernel" => firewall::kernel(event, message),
        _ => {
            daemon::set_fields(event, name, message);
        }
    }
    let is_told = event.get(Field::EVENT_ACTION).is_some() || event.get(Field::EVENT_CATEGORY).is_some();
    if !is_told {
        program::set_fields(event, name, message);
    }
}

/// Sets what a message of a program means that none of the readers above knows, by how its own file is written and by the words that all have.
pub(super) fn set_fields_of_any(event: &mut Event, app: &str, message: &str) {
    let is_told = event.get(Field::EVENT_ACTION).is_some() || event.get(Field::EVENT_CATEGORY).is_some();
    // sshd's words are read in full above: what a stranger types there is not looked through.
    if !is_told && !matches!(program_name(app), "sshd" | "sudo") && !program::own_line(event, message) {
        words::set_fields(event, message);
    }
}

/// `message repeated 3 times: [ Failed …]` (rsyslog): the message inside, the number beside it.
pub(super) fn unwrap_repeated<'a>(event: &mut Event, message: &'a str) -> &'a str {
    let inside = || {
        let rest = message.strip_prefix("message repeated ")?;
        let (count, rest) = rest.split_once(" times: [")?;
        Some((count.parse::<i64>().ok()?, rest.strip_suffix(']').unwrap_or(rest).trim()))
    };
    let Some((count, inner)) = inside() else { return message };
    event.set_named("log.syslog.repeated", count);
    inner
}

/// PAM's own messages, of whatever program: `pam_unix(sshd:auth): authentication failure; …`, or with the
/// module in the tag (`sshd(pam_unix)`). Whether it was one.
fn pam(event: &mut Event, name: &str, app: &str, message: &str) -> bool {
    let text = match message.strip_prefix("pam_") {
        Some(rest) => match rest.split_once("): ").or_else(|| rest.split_once(": ")) {
            Some((_, text)) => text,
            None => return false,
        },
        // PAM of old behind the tag of its program.
        None if message.starts_with("(pam_") => message.split_once(") ").map_or(message, |(_, text)| text),
        None if app.contains("(pam_") => message,
        // sshd tells of further failures of one connection itself.
        None if message.starts_with("PAM ") && message.contains(" more authentication failure") => message,
        None => return false,
    };
    let action = if name == "sshd" { "ssh_login" } else { "pam_authentication" };
    if let Some(rest) = text.strip_prefix("session opened for user ") {
        session_opened(event, rest);
    } else if let Some(rest) = text.strip_prefix("session closed for user ") {
        set_session(event, "session_closed", "end");
        set_user(event, rest.trim());
    } else if text.starts_with("authentication failure") || text.contains(" more authentication failure") {
        authentication(event, action, Outcome::Failure);
        event.set(Field::EVENT_REASON, "authentication failure");
        failure_pairs(event, text);
    } else if text.starts_with("authentication success") {
        authentication(event, action, Outcome::Success);
        failure_pairs(event, text);
    } else if let Some(rest) = text.strip_prefix("Consecutive login failures for user ") {
        iam(event, "account_locked", &["user", "change"]);
        set_user(event, rest.rsplit_once(" account temporarily locked").map_or(rest, |(user, _)| user));
    } else if let Some(rest) = text.strip_prefix("check pass; user unknown") {
        authentication(event, action, Outcome::Failure);
        event.set(Field::EVENT_REASON, "user unknown");
        failure_pairs(event, rest);
    } else if let Some((user, rest)) =
        text.strip_prefix("user ").and_then(|rest| rest.split_once(" (")).filter(|(_, rest)| rest.contains(") tally "))
    {
        // pam_tally: `user lan (1001) tally 6, deny 5`.
        authentication(event, action, Outcome::Failure);
        event.set(Field::EVENT_REASON, rest.split_once(") ").map_or(rest, |(_, reason)| reason));
        set_user(event, user);
    } else if let Some(user) = text.strip_prefix("password changed for ") {
        iam(event, "password_changed", &["user", "change"]);
        set_user(event, user.trim());
    } else if let Some((_, user)) = text.rsplit_once("not met by user \"") {
        set_user(event, user.trim_end_matches('"'));
    } else if let Some(rest) = text.strip_prefix("account ") {
        // `account x has expired`, `account x has password changed in future`.
        if let Some((user, _)) = rest.split_once(" has ") {
            set_user(event, user);
        }
    }
    true
}

/// `root by lan(uid=1000)`, `root(uid=0) by lan(uid=1000)`, `root by (uid=0)`.
fn session_opened(event: &mut Event, rest: &str) {
    set_session(event, "session_opened", "start");
    let (target, by) = rest.rsplit_once(" by ").unwrap_or((rest, ""));
    let target = target.split('(').next().unwrap_or(target).trim();
    let (by, uid) = by.split_once("(uid=").unwrap_or((by, ""));
    let uid = uid.trim_end_matches(')');
    event.set(Field::USER_EFFECTIVE_NAME, target);
    if by.is_empty() {
        // Opened by a daemon: the session is the user's own.
        set_user(event, target);
    } else {
        set_user(event, by);
        event.add(Field::RELATED_USER, target);
    }
    if !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_digit()) {
        event.set(Field::USER_ID, uid);
    }
}

/// `logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=root`: PAM writes `user=` last, so that a
/// remote host's name cannot pass for it.
fn failure_pairs(event: &mut Event, text: &str) {
    if let Some(host) = remote_host(text) {
        set_source(event, host);
    }
    match text.rsplit_once(" user=") {
        Some((_, user)) => set_user(event, user.trim()),
        None => {
            let before = text.split("rhost=").next().unwrap_or(text);
            let named = |mark: &str| {
                let name = before.split_once(mark).map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
                name.filter(|name| !name.is_empty())
            };
            if let Some(name) = named("logname=").or_else(|| named("ruser=")) {
                set_user(event, name);
            }
        }
    }
}

/// The host of such pairs. The account stands behind it, but some programs (vsftpd) put what was typed in front as `ruser=`, too: then one
/// of several is nobody's.
fn remote_host(text: &str) -> Option<&str> {
    const MARK: &str = "rhost=";
    let (_, host) = text.split_once(MARK)?;
    let is_first = text.split_once("ruser=").is_none_or(|(_, rest)| rest.trim_start().starts_with(MARK));
    (is_first || text.matches(MARK).count() == 1).then(|| host.split(' ').next().unwrap_or_default())
}

/// `(root) CMD (command)`, `(lan) REPLACE (lan)`.
fn cron(event: &mut Event, message: &str) {
    let Some((user, rest)) = message.strip_prefix('(').and_then(|rest| rest.split_once(") ")) else { return };
    let Some((verb, inside)) = rest.split_once(" (") else { return };
    let inside = inside.strip_suffix(')').unwrap_or(inside);
    set_user(event, user);
    match verb {
        "CMD" => {
            category(event, "process", &["start"]);
            event.set(Field::EVENT_ACTION, "cron_command");
            event.set(Field::PROCESS_COMMAND_LINE, inside.trim());
        }
        "REPLACE" | "BEGIN EDIT" | "END EDIT" | "DELETE" | "LIST" | "RELOAD" => {
            let kind = if verb == "LIST" { "access" } else { "change" };
            category(event, "configuration", &[kind]);
            event.set(Field::EVENT_ACTION, format!("crontab_{}", verb.to_ascii_lowercase().replace(' ', "_")));
            if !inside.starts_with("crontabs/") && inside != user && verb != "RELOAD" {
                event.set(Field::USER_TARGET_NAME, inside);
            }
        }
        _ => {}
    }
}

/// `Started X.`, `ssh.service: Failed with result 'exit-code'.`
fn systemd(event: &mut Event, message: &str) {
    const VERBS: [(&str, &str, &str); 7] = [
        ("Started ", "service_started", "start"),
        ("Starting ", "service_starting", "start"),
        ("Stopped ", "service_stopped", "end"),
        ("Stopping ", "service_stopping", "end"),
        ("Finished ", "service_finished", "end"),
        ("Failed to start ", "service_failed", "error"),
        ("Reloading", "reloading", "change"),
    ];
    let found = VERBS.iter().find_map(|(verb, action, kind)| Some((message.strip_prefix(verb)?, *action, *kind)));
    if let Some((rest, action, kind)) = found {
        category(event, "process", &[kind]);
        event.set(Field::EVENT_ACTION, action);
        if kind == "error" {
            event.set(Field::EVENT_OUTCOME, "failure");
        }
        // `Started ssh.service - OpenBSD Secure Shell server.`
        let unit = rest.split(" - ").next().unwrap_or(rest).trim_end_matches('.');
        if is_unit(unit) {
            event.set(Field::SERVICE_NAME, unit);
        }
    } else if let Some((unit, rest)) = message.split_once(": ")
        && is_unit(unit)
    {
        event.set(Field::SERVICE_NAME, unit);
        if rest.starts_with("Failed with result") {
            category(event, "process", &["error"]);
            event.set(Field::EVENT_ACTION, "service_failed");
            event.set(Field::EVENT_OUTCOME, "failure");
        }
    }
}

fn is_unit(name: &str) -> bool {
    let has_kind = [".service", ".socket", ".timer", ".mount", ".target", ".scope", ".slice", ".path"];
    !name.contains(' ') && has_kind.iter().any(|kind| name.ends_with(kind))
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
}

/// An authentication, with its outcome; a successful one begins a session.
pub(super) fn authentication(event: &mut Event, action: &'static str, outcome: Outcome) {
    event.set(Field::EVENT_ACTION, action);
    match outcome {
        Outcome::Success => {
            event.set(Field::EVENT_CATEGORY, Value::List(vec!["authentication".into(), "session".into()]));
            event.set(Field::EVENT_TYPE, "start");
            event.set(Field::EVENT_OUTCOME, "success");
        }
        Outcome::Failure => {
            event.set(Field::EVENT_CATEGORY, "authentication");
            event.set(Field::EVENT_TYPE, "start");
            event.set(Field::EVENT_OUTCOME, "failure");
        }
    }
}

/// A category with its types.
pub(super) fn category(event: &mut Event, category: &'static str, types: &[&'static str]) {
    event.set(Field::EVENT_CATEGORY, category);
    for kind in types {
        event.add(Field::EVENT_TYPE, *kind);
    }
}

/// A change of accounts.
pub(super) fn iam(event: &mut Event, action: &'static str, types: &[&'static str]) {
    category(event, "iam", types);
    event.set(Field::EVENT_ACTION, action);
    event.set(Field::EVENT_OUTCOME, "success");
}

fn set_session(event: &mut Event, action: &'static str, kind: &'static str) {
    category(event, "session", &[kind]);
    event.set(Field::EVENT_ACTION, action);
    event.set(Field::EVENT_OUTCOME, "success");
}

/// Sets the user, and the related one.
pub(super) fn set_user(event: &mut Event, user: &str) {
    if !user.is_empty() {
        event.set(Field::USER_NAME, user);
        if user != "-" {
            event.add(Field::RELATED_USER, user);
        }
    }
}

/// Sets the source: an address (IPv4 mapped into IPv6 as IPv4), or a host name.
pub(super) fn set_source(event: &mut Event, text: &str) {
    let text = text.trim_matches(['[', ']', ',', ';', '.']).trim_end_matches(':');
    if text.is_empty() || text == "?" || text == "UNKNOWN" {
        return;
    }
    event.set(Field::SOURCE_ADDRESS, text);
    match crate::parse::cut(text, b'%').map_or(text, |(text, _)| text).parse::<IpAddr>() {
        Ok(address) => {
            event.set(Field::SOURCE_IP, address.to_canonical());
            event.add(Field::RELATED_IP, address.to_canonical());
        }
        Err(_) if !text.contains(' ') => event.set(Field::SOURCE_DOMAIN, text),
        Err(_) => {}
    }
}
