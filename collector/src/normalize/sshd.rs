//! What sshd says: logins, refusals, and connections that ended before one.
//!
//! In: the message. Out: `event.action`, outcome, user, source address and port. Where a message ends in
//! `from ADDRESS port N`, it is read from the back: a login name may hold spaces and pass for the rest.
//! Source: OpenSSH's auth.c, auth2.c, packet.c, sshd.c; lines of its last fifteen years.

use nhatle_event::{Event, Field};

use super::linux::{Outcome, authentication, category, set_source, set_user};
use crate::parse;

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str) {
    let message = message.strip_suffix(" [preauth]").unwrap_or(message);
    let message = message.strip_prefix("error: ").or_else(|| message.strip_prefix("fatal: ")).unwrap_or(message);
    // Its tag stands in front again where syslog wrote it in brackets.
    let message = message.strip_prefix("[sshd]").map_or(message, |rest| rest.trim_start_matches([':', ' ']));
    let is_known = login(event, message) || refusal(event, message) || connection(event, message);
    if !is_known {
        other(event, message);
    }
}

/// `… from ADDRESS[ port N][ ssh2]` from the back: what stands before, the address, the port.
fn from_back(text: &str) -> Option<(&str, &str, Option<&str>)> {
    let (front, back) = parse::cut_at_last(text, " from ")?;
    let (address, rest) = parse::cut(back, b' ').unwrap_or((back, ""));
    let port = rest.strip_prefix("port ").map(|rest| parse::cut(rest, b' ').map_or(rest, |(port, _)| port));
    (!address.is_empty()).then_some((front, address, port))
}

fn set_port(event: &mut Event, port: Option<&str>) {
    let Some(port) = port.map(|port| port.trim_end_matches([':', ',', '.', ']'])) else { return };
    if let Ok(port) = parse::cut(port, b':').map_or(port, |(port, _)| port).parse::<u16>() {
        event.set(Field::SOURCE_PORT, port);
    }
}

fn failure(event: &mut Event, reason: &'static str) {
    authentication(event, "ssh_login", Outcome::Failure);
    event.set(Field::EVENT_REASON, reason);
}

/// Takes `invalid user ` and its older forms off a name.
fn bare_user(user: &str) -> (&str, bool) {
    for prefix in ["invalid user ", "illegal user ", "unknown user "] {
        if let Some(user) = user.strip_prefix(prefix) {
            return (user, true);
        }
    }
    (user, false)
}

/// `Accepted METHOD for USER from …`, `Failed METHOD for [invalid user ]USER from …`, `Invalid user …`.
fn login(event: &mut Event, message: &str) -> bool {
    if let Some(rest) = message.strip_prefix("Accepted ") {
        // The user exists, so his name holds no space; what follows the port (a key's name) may hold all.
        let Some((method, rest)) = parse::cut_at(rest, " for ") else { return false };
        let Some((user, back)) = rest.split_once(" from ") else { return false };
        authentication(event, "ssh_login", Outcome::Success);
        event.set_named("ssh.method", method);
        set_user(event, user);
        let mut words = back.split(' ');
        set_source(event, words.next().unwrap_or_default());
        let port = if words.next() == Some("port") { words.next() } else { None };
        set_port(event, port);
        if let Some((_, signature)) = back.split_once("ssh2: ") {
            event.set_named("ssh.signature", signature);
        }
        return true;
    }
    let failed =
        ["Failed ", "Postponed ", "Partial "].into_iter().find_map(|verb| Some((verb, message.strip_prefix(verb)?)));
    if let Some((verb, rest)) = failed {
        let Some((method, rest)) = parse::cut_at(rest, " for ") else { return false };
        let Some((user, address, port)) = from_back(rest) else { return false };
        let (user, is_invalid) = bare_user(user);
        if verb == "Failed " {
            failure(event, if is_invalid { "invalid user" } else { "failed login" });
        } else {
            category(event, "authentication", &["info"]);
            event.set(Field::EVENT_ACTION, "ssh_login_continues");
        }
        event.set_named("ssh.method", method);
        set_user(event, user);
        set_source(event, address);
        set_port(event, port);
        return true;
    }
    let invalid = message.strip_prefix("Invalid user ").or_else(|| message.strip_prefix("Illegal user "));
    if let Some(rest) = invalid {
        // The name may be empty: `Invalid user  from 10.0.0.1`.
        let Some((user, address, port)) = from_back(rest).or_else(|| {
            let rest = rest.strip_prefix("from ")?;
            Some(("", rest.split(' ').next()?, rest.split_once(" port ").map(|(_, port)| port)))
        }) else {
            return false;
        };
        failure(event, "invalid user");
        set_user(event, user);
        set_source(event, address);
        set_port(event, port);
        return true;
    }
    false
}

/// Refusals that name their reason.
fn refusal(event: &mut Event, message: &str) -> bool {
    if let Some(rest) = message.strip_prefix("User ")
        && let Some((front, _)) = rest.split_once(" not allowed because ")
    {
        failure(event, "user not allowed");
        let (user, address) = front.rsplit_once(" from ").unwrap_or((front, ""));
        set_user(event, user);
        set_source(event, address);
        return true;
    }
    if let Some(rest) = message.strip_prefix("ROOT LOGIN REFUSED FROM ") {
        failure(event, "root login refused");
        set_user(event, "root");
        let mut words = rest.split(' ');
        set_source(event, words.next().unwrap_or_default());
        set_port(event, words.nth(1));
        return true;
    }
    let pam = message.strip_prefix("PAM: ").and_then(|rest| rest.split_once(" for "));
    if let Some((reason, rest)) = pam.filter(|(reason, _)| !reason.contains("session")) {
        let (user, address) = rest.rsplit_once(" from ").unwrap_or((rest, ""));
        failure(event, "authentication failure");
        event.set(Field::EVENT_REASON, reason);
        set_user(event, bare_user(user).0);
        set_source(event, address.split(' ').next().unwrap_or_default());
        return true;
    }
    let maximum = parse::find(message, "maximum authentication attempts exceeded for ");
    if let Some(rest) = maximum.and_then(|at| message.get(at + 45..))
        && let Some((user, address, port)) = from_back(rest)
    {
        failure(event, "too many attempts");
        set_user(event, bare_user(user).0);
        set_source(event, address);
        set_port(event, port);
        return true;
    }
    if message.starts_with("Disconnecting") && message.contains("Too many authentication failures") {
        failure(event, "too many attempts");
        let user = message.strip_prefix("Disconnecting ").and_then(named_peer);
        match user {
            Some((user, address, port)) => {
                set_user(event, user);
                set_source(event, address);
                set_port(event, port);
            }
            None => {
                if let Some((_, user)) = message.rsplit_once("failures for ") {
                    set_user(event, bare_user(user).0);
                }
            }
        }
        return true;
    }
    let input = message.strip_prefix("input_userauth_request: ");
    if let Some(user) = input {
        category(event, "authentication", &["info"]);
        event.set(Field::EVENT_ACTION, "ssh_invalid_user");
        set_user(event, bare_user(user).0);
        return true;
    }
    false
}

/// `[authenticating user X |invalid user X |user X ]ADDRESS port N…`: user (may be empty), address, port.
/// Read from the back, as a name may hold all.
fn named_peer(text: &str) -> Option<(&str, &str, Option<&str>)> {
    let (front, back) = text.rsplit_once(" port ")?;
    let port = back.split([' ', ':']).next();
    let (front, address) = front.rsplit_once(' ').unwrap_or(("", front));
    let user = ["authenticating user ", "invalid user ", "user "].iter().find_map(|prefix| front.strip_prefix(prefix));
    Some((user.unwrap_or_default(), address, port))
}

/// Connections that begin and end.
fn connection(event: &mut Event, message: &str) -> bool {
    const VERBS: [(&str, &str); 10] = [
        ("Connection closed by ", "ssh_disconnected"),
        ("Connection reset by ", "ssh_disconnected"),
        ("Disconnected from ", "ssh_disconnected"),
        ("Received disconnect from ", "ssh_disconnected"),
        ("Timeout before authentication for connection from ", "ssh_timeout"),
        ("Timeout before authentication for ", "ssh_timeout"),
        ("Unable to negotiate with ", "ssh_negotiation_failed"),
        ("Disconnecting ", "ssh_disconnected"),
        ("Read error from remote host ", "ssh_disconnected"),
        ("Connection from ", "ssh_connected"),
    ];
    let found = VERBS.iter().find_map(|(verb, action)| Some((message.strip_prefix(verb)?, *action)));
    let Some((rest, action)) = found else { return false };
    category(event, "network", &[if action == "ssh_connected" { "start" } else { "end" }]);
    event.set(Field::EVENT_ACTION, action);
    let peer = match action {
        // Two ports stand in `10.0.0.1 port 5 on 10.0.0.2 port 22`; the first is the sender's.
        "ssh_connected" => {
            let mut words = rest.split(' ');
            words.next().map(|address| ("", address, words.nth(1)))
        }
        _ => named_peer(rest).or_else(|| rest.split([' ', ':']).next().map(|_| ("", first_address(rest), None))),
    };
    if let Some((user, address, port)) = peer {
        set_user(event, user);
        set_source(event, address);
        set_port(event, port);
    }
    true
}

/// `ADDRESS port N: …` at the front.
fn peer_of(text: &str) -> Option<(&str, &str, &str)> {
    let (address, rest) = text.split_once(" port ")?;
    let (port, rest) = rest.split_once(':').unwrap_or((rest, ""));
    Some((address.rsplit(' ').next()?, port, rest))
}

/// The address at the front of `10.0.0.1: 11: Bye` and `2001:db8::1: 11: Bye`.
fn first_address(text: &str) -> &str {
    let word = text.split(' ').next().unwrap_or_default();
    word.strip_suffix(':').unwrap_or(word)
}

/// Everything else that names an address: scans, wrong protocols, names that do not fit.
fn other(event: &mut Event, message: &str) {
    let scan = [
        "Did not receive identification string from ",
        "Bad protocol version identification",
        "banner exchange: Connection from ",
    ];
    if scan.iter().any(|start| message.starts_with(start)) {
        category(event, "network", &["protocol"]);
        event.set(Field::EVENT_ACTION, "ssh_no_identification");
    } else if message.starts_with("kex_exchange_identification: ") || message.starts_with("ssh_dispatch_run_fatal: ") {
        category(event, "network", &["protocol"]);
        event.set(Field::EVENT_ACTION, "ssh_no_identification");
        // The second names its peer in front of the error.
        if let Some((address, port, _)) = message.split_once("Connection from ").and_then(|(_, rest)| peer_of(rest)) {
            set_source(event, address);
            set_port(event, Some(port));
        }
        return;
    } else if let Some(rest) = message.strip_prefix("drop connection #") {
        // `10 from [203.0.113.9]:4411 on [192.0.2.1]:22 past MaxStartups`, `… penalty: failed authentication`.
        category(event, "network", &["connection", "denied"]);
        event.set(Field::EVENT_ACTION, "ssh_dropped");
        if let Some((peer, here)) = rest.split_once(" from [").and_then(|(_, rest)| rest.split_once(" on [")) {
            let (address, port) = peer.split_once("]:").unwrap_or((peer, ""));
            set_source(event, address);
            set_port(event, Some(port));
            if let Some((_, reason)) = here.split_once(' ') {
                event.set(Field::EVENT_REASON, reason);
            }
        }
        return;
    } else if message.contains("POSSIBLE BREAK-IN ATTEMPT")
        || message.starts_with("reverse mapping checking getaddrinfo for ")
        || (message.starts_with("Address ") && message.contains(" maps to "))
    {
        category(event, "network", &["info"]);
        event.set(Field::EVENT_ACTION, "ssh_name_mismatch");
        // `… for NAME [ADDRESS] failed`, or `Address ADDRESS maps to NAME, but …`.
        let bracketed = message.split_once('[').and_then(|(_, rest)| rest.split(']').next());
        let address = message.strip_prefix("Address ").and_then(|rest| rest.split(' ').next()).or(bracketed);
        set_source(event, address.unwrap_or_default());
        return;
    } else if let Some((_, user)) =
        message.rsplit_once("subsystem request for ").and_then(|(_, rest)| rest.split_once(" by user "))
    {
        category(event, "session", &["info"]);
        event.set(Field::EVENT_ACTION, "ssh_subsystem");
        set_user(event, user.split(' ').next().unwrap_or(user));
        return;
    } else if let Some(rest) = message.strip_prefix("Starting session: ") {
        event.set(Field::EVENT_ACTION, "ssh_session_started");
        if let Some((user, address, port)) = rest.split_once(" for ").and_then(|(_, rest)| from_back(rest)) {
            set_user(event, user);
            set_source(event, address);
            set_port(event, port);
        }
        return;
    } else if let Some(rest) = message.strip_prefix("refused connect from ") {
        category(event, "network", &["connection", "denied"]);
        event.set(Field::EVENT_ACTION, "ssh_refused");
        let inside = rest.rsplit_once('(').map_or(rest, |(_, inside)| inside.trim_end_matches(')'));
        set_source(event, inside);
        return;
    } else if [
        "Bad packet length",
        "Corrupted MAC on input",
        "no matching ",
        "Unable to negotiate a key exchange",
        "Disconnecting: bad client public",
    ]
    .iter()
    .any(|front| message.starts_with(front))
    {
        category(event, "network", &["protocol", "error"]);
        event.set(Field::EVENT_ACTION, "ssh_protocol_error");
        return;
    } else if message.starts_with("Server listening on ") || message.starts_with("Received signal ") {
        event.set(Field::EVENT_ACTION, if message.starts_with("Server") { "ssh_listening" } else { "ssh_stopped" });
        return;
    }
    if let Some((_, address, port)) = from_back(message)
        && address.trim_end_matches(':').parse::<std::net::IpAddr>().is_ok()
    {
        set_source(event, address);
        set_port(event, port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nhatle_event::Timestamp;

    type Told<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, Option<&'a str>, Option<i64>);

    #[track_caller]
    fn check(message: &str, expected: Told<'_>) {
        let mut event = Event::new(Timestamp(0), *b"x");
        set_fields(&mut event, message);
        let address = event.get(Field::SOURCE_IP).and_then(|value| value.as_text().map(String::from));
        let found = (
            event.text(Field::EVENT_ACTION),
            event.text(Field::EVENT_OUTCOME),
            event.text(Field::USER_NAME),
            address.as_deref(),
            event.get(Field::SOURCE_PORT).and_then(nhatle_event::Value::as_long),
        );
        assert_eq!(found, expected, "{message}");
    }

    #[test]
    fn logins_and_refusals() {
        const IP: Option<&str> = Some("10.0.0.1");
        let (login, ok, no) = (Some("ssh_login"), Some("success"), Some("failure"));
        check("Accepted password for lan from 10.0.0.1 port 99 ssh2", (login, ok, Some("lan"), IP, Some(99)));
        check(
            "Accepted publickey for lan from ::ffff:10.0.0.1 port 99 ssh2: ED25519 SHA256:x from y",
            (login, ok, Some("lan"), IP, Some(99)),
        );
        check("Failed password for lan from 10.0.0.1 port 99 ssh2", (login, no, Some("lan"), IP, Some(99)));
        check(
            "Failed password for invalid user adm from 10.0.0.1 port 99 ssh2",
            (login, no, Some("adm"), IP, Some(99)),
        );
        check("Failed none for invalid user  from 10.0.0.1 port 99 ssh2", (login, no, None, IP, Some(99)));
        check("Invalid user adm from 10.0.0.1 port 99", (login, no, Some("adm"), IP, Some(99)));
        check("Invalid user adm from 10.0.0.1", (login, no, Some("adm"), IP, None));
        check("Invalid user  from 10.0.0.1", (login, no, None, IP, None));
        check(
            "User lan from 10.0.0.1 not allowed because not listed in AllowUsers",
            (login, no, Some("lan"), IP, None),
        );
        check("ROOT LOGIN REFUSED FROM 10.0.0.1 port 99 [preauth]", (login, no, Some("root"), IP, Some(99)));
        check("error: PAM: Authentication failure for lan from 10.0.0.1", (login, no, Some("lan"), IP, None));
        check(
            "error: maximum authentication attempts exceeded for invalid user a from 10.0.0.1 port 99 ssh2 [preauth]",
            (login, no, Some("a"), IP, Some(99)),
        );
        check(
            "Disconnecting authenticating user root 10.0.0.1 port 99: Too many authentication failures [preauth]",
            (login, no, Some("root"), IP, Some(99)),
        );
        check(
            "Disconnecting: Too many authentication failures for root [preauth]",
            (login, no, Some("root"), None, None),
        );
    }

    #[test]
    fn a_login_name_cannot_pass_for_an_address() {
        check(
            "Failed password for invalid user x from 8.8.8.8 port 1 ssh2 from 10.0.0.1 port 99 ssh2",
            (Some("ssh_login"), Some("failure"), Some("x from 8.8.8.8 port 1 ssh2"), Some("10.0.0.1"), Some(99)),
        );
        check(
            "Connection closed by invalid user x 8.8.8.8 port 1 10.0.0.1 port 99 [preauth]",
            (Some("ssh_disconnected"), None, Some("x 8.8.8.8 port 1"), Some("10.0.0.1"), Some(99)),
        );
    }

    #[test]
    fn connections() {
        const IP: Option<&str> = Some("10.0.0.1");
        let gone = Some("ssh_disconnected");
        check("Connection closed by 10.0.0.1 port 99 [preauth]", (gone, None, None, IP, Some(99)));
        check("Connection closed by 10.0.0.1 [preauth]", (gone, None, None, IP, None));
        check(
            "Connection closed by authenticating user lan 10.0.0.1 port 99 [preauth]",
            (gone, None, Some("lan"), IP, Some(99)),
        );
        check("Disconnected from user lan 10.0.0.1 port 99", (gone, None, Some("lan"), IP, Some(99)));
        check("Received disconnect from 10.0.0.1 port 99:11: disconnected by user", (gone, None, None, IP, Some(99)));
        check("Received disconnect from 10.0.0.1: 11: Bye Bye [preauth]", (gone, None, None, IP, None));
        check(
            "Connection from 10.0.0.1 port 99 on 10.0.0.2 port 22",
            (Some("ssh_connected"), None, None, IP, Some(99)),
        );
        check(
            "Did not receive identification string from 10.0.0.1 port 99",
            (Some("ssh_no_identification"), None, None, IP, Some(99)),
        );
        check(
            "reverse mapping checking getaddrinfo for a.example [10.0.0.1] failed - POSSIBLE BREAK-IN ATTEMPT!",
            (Some("ssh_name_mismatch"), None, None, IP, None),
        );
        check("something new", (None, None, None, None, None));
    }
}
