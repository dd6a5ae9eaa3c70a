//! Lines of programs' own files: what stands behind the date, the level and the logger.
//!
//! In: a line that claims no format, and where its date ends. Out: ECS fields on the event. Promise: a row fits from where the program's words
//! begin: behind the date, then behind each bracket, level or logger in front, a few at most; nothing in the middle of a text is taken for
//! a front. Source: the programs' own: see each row's program in the comments.

use std::sync::LazyLock;

use nhatle_event::{Event, Field};

use super::super::application;
use super::super::device::Act;
use super::super::device::template::{Rows, Wordings};
use super::{
    BANNED, COMES, DENIED, END, FOUND, GOES, IN, NO_ACCESS, OUT, appliance, mail, network, pairs, settle, web_line,
};
use crate::parse::Needle;

/// How many fronts of a line are tried.
const FRONTS_MAX: usize = 7;

/// Microsoft SQL Server's `ERRORLOG`.
pub(super) const MSSQL: Rows = &[
    ("Login failed for user '<user.name*>'. Reason: <event.reason> [CLIENT: <source.address>]", "database_login", OUT),
    ("Login failed for user '<user.name*>'. [CLIENT: <source.address>]", "database_login", OUT),
    ("Login succeeded for user '<user.name*>'. <event.reason> [CLIENT: <source.address>]", "database_login", IN),
    ("Login failed. <event.reason> [CLIENT: <source.address>]", "database_login", OUT),
];

const ROWS: Rows = &[
    // Apache Guacamole.
    ("Authentication attempt from [<source.address>] for user \"<user.name*>\" failed", "web_login", OUT),
    ("Authentication attempt from <source.address> for user \"<user.name*>\" failed", "web_login", OUT),
    ("User \"<user.name*>\" successfully authenticated from [<source.address>]", "web_login", IN),
    ("User \"<user.name*>\" successfully authenticated from <source.address>", "web_login", IN),
    // Bitwarden, Vaultwarden.
    ("Failed login attempt. <source.address>", "web_login", OUT),
    ("Failed login attempt, 2FA invalid. <source.address>", "web_login", OUT),
    ("Username or password is incorrect. Try again. IP: <source.address>. Username: <user.name*>.", "web_login", OUT),
    ("Invalid admin token. IP: <source.address>", "web_login", OUT),
    ("Invalid TOTP code! <> IP: <source.address>", "web_login", OUT),
    // Emby, Jellyfin, Radarr, Sonarr and their kin.
    ("AUTH-ERROR: <source.address> - <event.reason>", "web_login", OUT),
    ("Authentication request for \"<user.name*>\" has been denied (IP: \"<source.address>\")", "web_login", OUT),
    ("Authentication request for <user.name*> has been denied (IP: <source.address>)", "web_login", OUT),
    ("Authentication request for \"<user.name*>\" has succeeded", "web_login", IN),
    ("Authentication request for <user.name*> has succeeded", "web_login", IN),
    ("Auth-Failure ip <source.address> username '<user.name*>'", "web_login", OUT),
    ("Auth-Success ip <source.address> username '<user.name*>'", "web_login", IN),
    ("Auth-Logout ip <source.address> username '<user.name*>'", "web_logout", END),
    ("Auth-Unauthorized ip <source.address> <event.reason>", "web_login", OUT),
    // Immich, Uptime Kuma, Dockge, Audiobookshelf, Firefly III, ntfy.
    ("Failed login attempt for user <user.name*> from ip address <source.address>", "web_login", OUT),
    ("Incorrect username or password for user <user.name*>. IP=<source.address>", "web_login", OUT),
    ("Invalid token provided for user <user.name*>. IP=<source.address>", "web_login", OUT),
    ("Login by token. IP=<source.address>", "web_login", Act("authentication", &["info"], "")),
    ("Failed login attempt for username \"<user.name*>\" from ip <source.address> (<event.reason>)", "web_login", OUT),
    ("AUDIT: Login failed. Attempt for user \"<user.name*>\" failed. (<source.address> -> <>", "web_login", OUT),
    (
        "AUDIT: User is trying to login using \"<user.name*>\" (<source.address> -> <>",
        "web_login_try",
        Act("authentication", &["info"], ""),
    ),
    ("AUDIT: <event.reason> (<source.address> (<user.name>) -> <>", "web_audit", Act("web", &["info"], "")),
    // Redmine, Odoo, Paperless, Calibre, Gitea, Roundcube's own file, phpMyAdmin's.
    ("Failed login for '<user.name*>' from <source.address> at <>", "web_login", OUT),
    ("Successful authentication for '<user.name*>' from <source.address> at <>", "web_login", IN),
    ("Login failed for db:<> login:<user.name*> from <source.address>", "web_login", OUT),
    ("Login successful for db:<> login:<user.name*> from <source.address>", "web_login", IN),
    ("Login failed for user `<user.name*>` from <> `<source.address>`", "web_login", OUT),
    ("Login failed for user \"<user.name*>\" IP-address: <source.address>", "web_login", OUT),
    ("Failed authentication attempt for <user.name*> from <source.address>", "web_login", OUT),
    ("FAILED login for <user.name*> from <source.address>", "web_login", OUT),
    ("Failed login for <user.name*> from <source.address> in session <>", "web_login", OUT),
    ("IMAP Error: Login failed for <user.name*> from <source.address>. AUTHENTICATE <event.reason>", "web_login", OUT),
    ("IMAP Error: Login failed for <user.name*> from <source.address>(X-<event.reason>", "web_login", OUT),
    ("IMAP Error: Login failed for <user.name*> from <source.address>. <event.reason>", "web_login", OUT),
    ("IMAP Error: Login failed for <user.name*> from <source.address>", "web_login", OUT),
    ("Successful login for <user.name> (ID: <user.id>) from <source.address> in session <>", "web_login", IN),
    // GitLab and others.
    ("Failed Login: username=<user.name*> ip=<source.address>", "web_login", OUT),
    ("Login with username <user.name*> from <source.address> failed", "web_login", OUT),
    ("Login with username <user.name*> from <source.address> succeeded", "web_login", IN),
    ("invalid format) ip=<source.address> subsystem=<> username=<user.name>", "sftp_login", OUT),
    // qBittorrent, Zimbra, Keycloak.
    (
        "WebAPI login failure. Reason: <event.reason>, attempt count: <>, IP: <source.address>, username: <user.name>",
        "web_login",
        OUT,
    ),
    ("WebAPI login failure. Reason: <event.reason>, IP: <source.address>, username: <user.name>", "web_login", OUT),
    ("WebAPI login success. IP: <source.address>", "web_login", IN),
    ("[name=<user.name>;oip=<source.address>;<>authentication failed for [<>], <event.reason>", "web_login", OUT),
    ("[oip=<source.address>;<>authentication failed for [<user.name*>], <event.reason>", "web_login", OUT),
    ("[ip=<source.address>;<>authentication failed for [<user.name*>], <event.reason>", "web_login", OUT),
    ("[name=<user.name>;oip=<source.address>;<event.reason>", "web_request", Act("web", &["info"], "")),
    (
        "type=LOGIN_ERROR, realmId=<>, clientId=<>, userId=<>, ipAddress=<source.address>, error=<event.reason>, <>",
        "web_login",
        OUT,
    ),
    ("type=\"LOGIN_ERROR\", <>ipAddress=\"<source.address>\", error=\"<event.reason>\"", "web_login", OUT),
    ("type=LOGIN, realmId=<>, clientId=<>, userId=<user.id>, ipAddress=<source.address>, <>", "web_login", IN),
    ("type=LOGOUT, realmId=<>, clientId=<>, userId=<user.id>, ipAddress=<source.address>", "web_logout", END),
    // cPanel's `login_log`.
    (
        "[<>] <source.address> - <user.name*> \"<http.request.method> <url.original> HTTP/<>\" FAILED LOGIN <service.name>: <event.reason>",
        "web_login",
        OUT,
    ),
    (
        "[<>] <source.address> - <user.name*> \"<http.request.method> <url.original> HTTP/<>\" DEFERRED LOGIN <service.name>: <event.reason>",
        "web_login",
        OUT,
    ),
    ("[<>] <source.address> - <user.name*> (possessor: <>) - SUCCESS LOGIN <service.name>", "web_login", IN),
    ("[<>] <source.address> - <user.name*> - SUCCESS LOGIN <service.name>", "web_login", IN),
    // Synology's services write no colon behind their names.
    (
        "WinFileService Event: <event.action>, Path: <file.path*>, File/Folder: <>, Size: <>, User: <user.name>, IP: <source.address>",
        "",
        appliance::FILE,
    ),
    (
        "FileStation Event: <event.action>, Path: <file.path*>, File/Folder: <>, Size: <>, User: <user.name>, IP: <source.address>",
        "",
        appliance::FILE,
    ),
    // LiteSpeed, DirectAdmin, lighttpd, Monitorix.
    ("Failed Login Attempt - username:<user.name*> ip:<source.address> url:", "web_login", OUT),
    ("password doesn't match for <url.path> username: <user.name*>, IP: <source.address>", "web_login", OUT),
    ("password doesn't match for <url.path> username: <user.name*> IP: <source.address>", "web_login", OUT),
    ("digest: auth failed for <user.name*>: wrong password, IP: <source.address>", "web_login", OUT),
    ("digest: auth failed for <user.name*> : wrong password, IP: <source.address>", "web_login", OUT),
    ("get_password failed, IP: <source.address>", "web_login", OUT),
    ("AUTHERR - [<source.address>] <event.reason>", "web_login", OUT),
    ("NOTEXIST - [<source.address>] <event.reason>", "web_not_found", NO_ACCESS),
    ("NOTALLOWED - [<source.address>] <event.reason>", "web_denied", NO_ACCESS),
    (
        "OK - [<source.address>] \"<http.request.method> <url.original>\"",
        "web_request",
        Act("web", &["access"], "success"),
    ),
    // Kerio Connect.
    (
        "Attempt to deliver to unknown recipient <event.reason*>, IP address <source.address>",
        "mail_rejected",
        super::REFUSED,
    ),
    ("SMTP Spam attack detected from <source.address>, <event.reason>", "spam_found", FOUND),
    ("IP address <source.address> found in DNS blacklist <event.reason>", "mail_rejected", super::REFUSED),
    ("Relay attempt from IP address <source.address>, <event.reason>", "mail_rejected", super::REFUSED),
    ("Failed SMTP login from <source.address> with SASL method <>", "smtp_login", OUT),
    ("SMTP: User <user.name*> doesn't exist. Attempt from IP address <source.address>", "smtp_login", OUT),
    (
        "Client with IP address <source.address> has no reverse DNS entry, <event.reason>",
        "mail_rejected",
        super::REFUSED,
    ),
    (
        "Message from IP address <source.address>, sender <email.from.address> rejected: <event.reason>",
        "mail_rejected",
        super::REFUSED,
    ),
    ("Failed <service.name> login from <source.address>, user <user.name>", "login", OUT),
    // Games and voice servers.
    ("Rejected connection from <source.address>: <event.reason>", "voice_login", OUT),
    ("New connection: <source.address>", "connection_opened", COMES),
    ("Bad Rcon: <event.reason*> from \"<source.address>\"", "game_login", OUT),
    ("query from <> <source.address> attempted to login with account \"<user.name*>\" and failed!", "voice_login", OUT),
    // MongoDB before 3.0 and at its level 0.
    ("Failed to authenticate <user.name*>@<> with mechanism <event.reason>", "database_login", OUT),
    ("connection accepted from <source.address> #<>", "database_connect", COMES),
    ("end connection <source.address> (<>", "database_disconnect", GOES),
    // MySQL's general log.
    ("Connect   Access denied for user '<user.name*>'@'<source.address>' (<event.reason>)", "database_login", OUT),
    ("Connect\tAccess denied for user '<user.name*>'@'<source.address>' (<event.reason>)", "database_login", OUT),
    // Nextcloud, ownCloud, SOGo, Monit, Kerio.
    ("Login failed: '<user.name*>' (Remote IP: '<source.address>')", "web_login", OUT),
    ("Login failed: <user.name*> (Remote IP: <source.address>)", "web_login", OUT),
    ("SOGoRootPage Login from '<source.address>' for user '<user.name*>' might not have worked<>", "web_login", OUT),
    (
        "Warning: Client '<source.address>' supplied wrong password for user '<user.name*>' accessing monit httpd",
        "login",
        OUT,
    ),
    ("Warning: Client '<source.address>' supplied unknown user '<user.name*>' accessing monit httpd", "login", OUT),
    ("HttpRequest: access denied -- client [<source.address>]: <event.reason>", "login", OUT),
    ("Administration login into Web Administration from <source.address> failed: <event.reason>", "login", OUT),
    // fail2ban's kin in a container, PortSentry's history, ASSP.
    ("Banning <source.address> for <event.reason>", "address_banned", BANNED),
    ("Unbanning <source.address>", "address_unbanned", FOUND),
    ("Added host/network <source.address> to <event.reason>", "address_banned", BANNED),
    ("Host: <source.address> Port: <destination.port> <network.transport> Blocked", "address_banned", BANNED),
    ("Blocking <source.address> - <event.reason>", "address_banned", BANNED),
    // NSD.
    ("axfr for <dns.question.name> from <source.address> refused, <event.reason>", "zone_transfer_refused", DENIED),
    ("ratelimit block <dns.question.name> type <> target <> query <source.address> <>", "dns_ratelimited", DENIED),
    // TLS in front of others.
    ("SSL_accept from <source.address> : <event.reason>", "tls_failed", DENIED),
    ("authentication failure; rhost=<source.address> user=<user.name> msg=<event.reason>", "web_login", OUT),
    ("successful auth for user '<user.name*>'", "web_login", IN),
    // OpenVPN's own file.
    ("TLS Error: incoming packet authentication failed from [AF_INET]<source.address>", "vpn_connect", DENIED),
    ("TLS Error: incoming packet authentication failed from [AF_INET6]<source.address>", "vpn_connect", DENIED),
];

static WORDINGS: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(ROWS));
static SQL_SERVER: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(MSSQL));
static ASTERISK: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(network::ASTERISK));
static FREESWITCH: LazyLock<Wordings> = LazyLock::new(|| Wordings::new(network::FREESWITCH));

/// Sets what a line means, given what stands behind its date. Whether a row knew it.
pub(in super::super) fn line(event: &mut Event, behind_date: &str) -> bool {
    let text = behind_date.trim_start_matches([']', ' ', '\t', ')', ':', ',', '|', '-']).trim_end();
    let is_known = by_program(event, text) || by_front(event, text);
    if is_known {
        settle(event);
    }
    is_known
}

const FREESWITCH_FILE: Needle = Needle::new("sofia_reg.c:");
const WEBMIN_NAME: Needle = Needle::new(" global miniserv.pl \"");
const WEBMAIL_MARKS: [Needle; 2] = Needle::all([" - login error - ", " - userinfo error - "]);

/// Programs whose lines say so at their front.
fn by_program(event: &mut Event, text: &str) -> bool {
    if text.starts_with("[pid ") && super::super::daemon::set_fields(event, "vsftpd", text) {
        let is_known = event.get(Field::EVENT_ACTION).is_some();
        if is_known {
            event.set(Field::PROCESS_NAME, "vsftpd");
        }
        return is_known;
    }
    if let Some(rest) = text.strip_prefix("Logon").map(str::trim_start) {
        return SQL_SERVER.fill(rest, event);
    }
    if let Some(rest) = text.strip_prefix("fail2ban.") {
        super::super::daemon::set_fields(event, "fail2ban", rest);
        event.set_default(Field::PROCESS_NAME, "fail2ban");
        return event.get(Field::EVENT_ACTION).is_some();
    }
    if web_line::exchange(event, text) {
        return true;
    }
    if FREESWITCH_FILE.is_in(text) {
        return FREESWITCH.fill(text, event);
    }
    let is_asterisk =
        ["NOTICE[", "SECURITY[", "WARNING[", "ERROR[", "VERBOSE["].iter().any(|front| text.starts_with(front));
    if is_asterisk {
        return pairs::security_event(event, text) || ASTERISK.fill(text, event);
    }
    if WEBMIN_NAME.is_in(text) {
        return webmin(event, text);
    }
    if WEBMAIL_MARKS.iter().any(|mark| mark.is_in(text)) {
        return open_webmail(event, text);
    }
    mail::is_exim(text) && mail::exim(event, text)
}

/// Webmin's own file: `… [23/Nov/2026 16:06:44] lan - 203.0.113.9 global miniserv.pl "failed" "-" "wrongpass"`.
fn webmin(event: &mut Event, text: &str) -> bool {
    let Some((front, what)) = text.split_once(" global miniserv.pl \"") else { return false };
    let Some((user, address)) = front.rsplit_once(" - ") else { return false };
    let user = user.rsplit_once("] ").map_or(user, |(_, user)| user);
    let (meaning, action) = match what.split('"').next() {
        Some("failed") => (OUT, "webmin_login"),
        Some("login" | "successful") => (IN, "webmin_login"),
        Some("logout" | "timeout") => (END, "webmin_logout"),
        _ => (Act("web", &["access"], ""), "webmin_request"),
    };
    super::act(event, meaning);
    event.set(Field::EVENT_ACTION, action);
    event.set(Field::SOURCE_ADDRESS, address);
    event.set(Field::USER_NAME, user);
    true
}

/// Open WebMail: `[77] (203.0.113.9) lan - login error - no such user - …`.
fn open_webmail(event: &mut Event, text: &str) -> bool {
    let Some((address, rest)) = text.split_once("] (").and_then(|(_, rest)| rest.split_once(") ")) else {
        return false;
    };
    let Some((user, reason)) = rest.split_once(" - login error - ").or_else(|| rest.split_once(" - userinfo error - "))
    else {
        return false;
    };
    super::act(event, OUT);
    event.set(Field::EVENT_ACTION, "webmail_login");
    event.set(Field::SOURCE_ADDRESS, address);
    event.set(Field::USER_NAME, user);
    event.set(Field::EVENT_REASON, reason);
    true
}

/// The rows, tried behind each thing that stands in front of a program's words.
fn by_front(event: &mut Event, text: &str) -> bool {
    let mut rest = text;
    let requests = web_line::Marks::of(text);
    for _ in 0..FRONTS_MAX {
        if WORDINGS.fill(rest, event) || requests.set_fields(event, rest) {
            return true;
        }
        let Some(next) = behind_front(rest) else { return false };
        rest = next;
    }
    false
}

/// What stands behind a bracket, a level, a logger, or a dash in front.
fn behind_front(text: &str) -> Option<&str> {
    let skip = |rest: &str, marks: &[char]| -> usize { rest.len() - rest.trim_start_matches(marks).len() };
    const MARKS: &[char] = &[' ', '\t', ':', '-', '|', ',', ']', ')', '>'];
    for (open, close) in [('[', ']'), ('(', ')'), ('{', '}'), ('<', '>')] {
        if let Some(inside) = text.strip_prefix(open) {
            let (_, rest) = inside.split_once(close)?;
            return rest.get(skip(rest, MARKS)..);
        }
    }
    let (word, rest) = text.split_once([' ', '\t', '|']).filter(|(word, _)| !word.is_empty() && word.len() <= 128)?;
    let is_front = application::is_level_word(word)
        || word.ends_with(':')
        || word.contains('.')
        || word.contains("::")
        || word == "L"
        || (word.bytes().any(|byte| byte.is_ascii_digit())
            && word.bytes().filter(u8::is_ascii_alphabetic).count() <= 3)
        || rest.trim_start().starts_with(['-', '|', '['])
        || (word.len() <= 12 && word.contains('['));
    is_front.then(|| rest.get(skip(rest, MARKS)..)).flatten()
}
