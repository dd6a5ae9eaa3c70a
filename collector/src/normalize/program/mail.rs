//! Mail servers whose lines are no plain wording: Exim, Sendmail, Courier, qmail's and Cyrus' relatives.
//!
//! In: the program's name and its message. Out: who sent what to whom from where, and whether it was taken. Promise: what a client calls itself
//! (`HELO`) stands in parentheses and is passed over; the address is the one in brackets behind it. Source: Exim specification chapter 52 "Log
//! files"; Sendmail Operations Guide "System log"; Courier `submit.C`, `courieresmtpd`.

use std::net::IpAddr;

use nhatle_event::{Event, Field};

use super::super::device::act;
use super::super::linux::{Outcome, authentication, set_source, set_user};
use super::super::service::between;
use super::{COMES, DENIED, MAIL, REFUSED, set_peer};
use crate::parse::Needle;

/// Whom a mail is from.
const FROM: &str = "email.from.address";
/// Whom it is for.
const TO: &str = "email.to.address";

/// Sets what a message of a mail server means. Whether it was one.
pub(super) fn set_fields(event: &mut Event, name: &str, message: &str) -> bool {
    match name {
        "exim" | "exim4" => exim(event, message),
        "sendmail" | "sm-mta" | "sm-acceptingconnections" | "sm-msp" | "sm-msp-queue" | "sendmail-sm-mta" => {
            sendmail(event, message)
        }
        "courieresmtpd" | "esmtpd" | "esmtpd-ssl" | "courierd" => courier(event, message),
        _ => false,
    }
}

/// What follows a mark up to a space, without the marks around an address of mail.
fn word<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    let word = match rest.strip_prefix('<') {
        Some(inside) => inside.split('>').next(),
        None => rest.split([' ', ',']).next(),
    };
    word.map(|word| word.trim_end_matches(':')).filter(|word| !word.is_empty())
}

/// The host of Exim: `name (HELO) [address]:port`, where the first two may be missing. The text behind it.
fn exim_host<'a>(event: &mut Event, text: &'a str) -> Option<&'a str> {
    let (name, rest) =
        if text.starts_with(['(', '[']) { ("", text) } else { text.split_once(' ').unwrap_or(("", text)) };
    // A name that greets holds no `) [` of its own: Exim lets letters, digits, dots, dashes and an address through.
    let rest = match rest.strip_prefix('(') {
        Some(inside) => inside.split_once(") ").map(|(_, rest)| rest)?,
        None => rest,
    };
    let (address, back) = rest.strip_prefix('[')?.split_once(']')?;
    address.parse::<IpAddr>().ok()?;
    set_source(event, address);
    if let Some(port) = back.strip_prefix(':').and_then(|rest| rest.split([' ', ':', ',']).next()?.parse::<u16>().ok())
    {
        event.set(Field::SOURCE_PORT, port);
    }
    if !name.is_empty() {
        event.set(Field::SOURCE_DOMAIN, name);
    }
    Some(back)
}

/// A message number of Exim: `1Ai79e-0000Dq-8i`, since 4.97 `1rnXBb-00000004xYz-1AbC`.
fn is_message_id(word: &str) -> bool {
    if !matches!(word.len(), 16 | 23) {
        return false;
    }
    let parts: Vec<usize> = word.split('-').map(str::len).take(4).collect();
    matches!(parts[..], [6, 6, 2] | [6, 11, 4]) && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What stands behind the process id and the message's number, with that number.
fn exim_front(text: &str) -> (Option<&str>, &str) {
    let text = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((pid, rest)) if pid.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => text,
    };
    match text.split_once(' ').filter(|(word, _)| is_message_id(word)) {
        Some((id, rest)) => (Some(id), rest),
        None => (None, text),
    }
}

const NO_AUTHENTICATOR: Needle = Needle::new(" authenticator failed for ");

/// Whether what stands behind a date is a line of Exim's own log.
pub(super) fn is_exim(text: &str) -> bool {
    let (id, rest) = exim_front(text);
    id.is_some_and(|_| {
        ["<= ", "=> ", "-> ", ">> ", "*> ", "** ", "== ", "Completed", "H=", "F=", "SA: ", "U="]
            .iter()
            .any(|mark| rest.starts_with(mark))
    }) || rest.starts_with("H=")
        || NO_AUTHENTICATOR.is_in(rest)
        || [
            "SMTP connection ",
            "SMTP call from ",
            "SMTP protocol ",
            "SMTP command timeout ",
            "no host name found for IP address ",
            "no IP address found for host ",
            "TLS error on connection from ",
            "no MAIL in SMTP connection ",
            "rejected EHLO from ",
            "rejected HELO from ",
            "unexpected disconnection while reading SMTP command from ",
            "TLS session: ",
            "Connection from [",
            "refused connection from ",
            "authenticator ",
        ]
        .iter()
        .any(|front| rest.starts_with(front))
}

/// A line of Exim behind its date.
pub(super) fn exim(event: &mut Event, message: &str) -> bool {
    let text = message.split_once(' ').filter(|(date, rest)| {
        date.len() == 10 && rest.get(8..9) == Some(" ") && date.as_bytes().get(4) == Some(&b'-')
    });
    let message = text.and_then(|(_, rest)| rest.get(9..)).unwrap_or(message);
    let (id, text) = exim_front(message);
    if let Some(id) = id {
        event.set_named("email.local_id", id);
    }
    if let Some((method, rest)) =
        text.split_once(" authenticator failed for ").filter(|(method, _)| !method.contains(' '))
    {
        exim_host(event, rest);
        authentication(event, "smtp_login", Outcome::Failure);
        event.set_named("exim.authenticator", method);
        if let Some((_, user)) = text.rsplit_once("(set_id=") {
            set_user(event, user.rsplit_once(')').map_or(user, |(user, _)| user));
        }
        return true;
    }
    for place in exim_hosts(text) {
        if exim_host(event, place).is_some() {
            break;
        }
    }
    exim_mail(event, text)
}

/// How many places of each mark are looked at.
const PLACES_MAX: usize = 4;

/// Where the client of a line may be named, in order. What a client sent stands behind that; but before it where it is what the line
/// is about, or whom a mail is from.
fn exim_hosts(text: &str) -> Vec<&str> {
    let is_about = ["SMTP syntax error in \"", "SMTP protocol error in \""].iter().any(|front| text.starts_with(front));
    let from = match (is_about, text.starts_with("<= \"")) {
        (true, _) => text.rfind("\" H="),
        (false, true) => text.find("\"@"),
        (false, false) => Some(0),
    };
    let Some(text) = from.and_then(|from| text.get(from..)) else { return Vec::new() };
    let mut places: Vec<usize> = [" H=", " from ", "(host="]
        .into_iter()
        .flat_map(|mark| text.match_indices(mark).take(PLACES_MAX).map(move |(at, _)| at + mark.len()))
        .chain(text.starts_with("H=").then_some(2))
        .collect();
    places.sort_unstable();
    places.into_iter().filter_map(|at| text.get(at..)).collect()
}

fn exim_mail(event: &mut Event, text: &str) -> bool {
    let verbs = [
        ("<= ", "mail_received", MAIL),
        ("=> ", "mail_delivered", MAIL),
        ("-> ", "mail_delivered", MAIL),
        ("** ", "mail_failed", REFUSED),
        ("== ", "mail_deferred", MAIL),
        ("Completed", "mail_completed", MAIL),
    ];
    if let Some((rest, action, meaning)) =
        verbs.iter().find_map(|(mark, action, meaning)| Some((text.strip_prefix(mark)?, *action, *meaning)))
    {
        act(event, meaning);
        event.set(Field::EVENT_ACTION, action);
        let party = rest.split(' ').next().unwrap_or_default();
        let field = if action == "mail_received" { FROM } else { TO };
        if party.contains('@') {
            event.set_named(field, party.trim_matches(['<', '>']));
        }
        if action == "mail_received"
            && let Some((_, user)) = word(rest, " A=").and_then(|how| how.split_once(':'))
        {
            set_user(event, user);
        }
        return true;
    }
    let refused = [
        "rejected ",
        "sender verify fail",
        "SMTP protocol ",
        "refused",
        "dropped",
        "Blocked",
        "RBL",
        "denied",
        "blacklist",
        "relay not permitted",
    ];
    if refused.iter().any(|mark| text.contains(mark)) {
        act(event, REFUSED);
        event.set(Field::EVENT_ACTION, "mail_rejected");
        if let Some(from) =
            word(text, " F=").or_else(|| text.strip_prefix("F=").and_then(|rest| rest.split(' ').next()))
        {
            event.set_named(FROM, from);
        }
        if let Some(to) = word(text, " RCPT ") {
            event.set_named(TO, to);
        }
        if let Some((_, reason)) = text.split_once("rejected ").and_then(|(_, rest)| rest.split_once(": ")) {
            event.set(Field::EVENT_REASON, reason);
        }
        return true;
    }
    if event.get(Field::SOURCE_IP).is_some() {
        act(event, COMES);
        event.set(Field::EVENT_ACTION, "smtp_connection");
        return true;
    }
    if let Some((_, address)) = text.split_once("no host name found for IP address ") {
        act(event, COMES);
        event.set(Field::EVENT_ACTION, "smtp_connection");
        set_source(event, address.split(' ').next().unwrap_or_default());
        return true;
    }
    false
}

/// `s1P819mk027713: ruleset=check_rcpt, arg1=<…>, relay=name [203.0.113.9] (may be forged), reject=550 …`.
fn sendmail(event: &mut Event, message: &str) -> bool {
    let text = message
        .split_once(": ")
        .filter(|(id, _)| id.len() >= 12 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if let Some((id, _)) = text {
        event.set_named("email.local_id", id);
    }
    let text = text.map_or(message, |(_, rest)| rest);
    // The server writes `relay=` behind what the sender chose, so the last one is its own; behind `reject=` it says that again.
    let relay = before_reject(text).rsplit_once("relay=").map(|(_, rest)| rest.split(", ").next().unwrap_or(rest));
    if let Some(relay) = relay {
        set_peer(event, relay.split(" (may be forged)").next().unwrap_or(relay));
    }
    if let Some((_, reject)) = text.split_once(", reject=") {
        act(event, REFUSED);
        event.set(Field::EVENT_ACTION, "mail_rejected");
        event.set(Field::EVENT_REASON, reject);
        if text.contains("ruleset=check_relay") || text.contains("ruleset=check_rcpt") {
            set_named(event, "sendmail.ruleset", word(text, "ruleset="));
        }
        return true;
    }
    if text.contains("AUTH failure") || text.starts_with("AUTH=server, ") {
        let outcome = if text.contains("failure") { Outcome::Failure } else { Outcome::Success };
        authentication(event, "smtp_login", outcome);
        if let Some(user) = word(text, "authid=").or_else(|| word(text, "user=")) {
            set_user(event, user);
        }
        return true;
    }
    if let Some(from) = text.strip_prefix("from=").map(|rest| rest.split(", ").next().unwrap_or(rest)) {
        act(event, MAIL);
        event.set(Field::EVENT_ACTION, "mail_received");
        set_named(event, FROM, Some(from.trim_matches(['<', '>'])));
        return true;
    }
    if let Some(to) = text.strip_prefix("to=").map(|rest| rest.split(", ").next().unwrap_or(rest)) {
        act(event, MAIL);
        event.set(Field::EVENT_ACTION, "mail_delivery");
        set_named(event, TO, Some(to.trim_matches(['<', '>'])));
        if let Some(status) = text.split_once(", stat=").map(|(_, rest)| rest) {
            event.set(Field::EVENT_OUTCOME, if status.starts_with("Sent") { "success" } else { "failure" });
            event.set(Field::EVENT_REASON, status);
        }
        // The relay of a delivery is the next server, not who sent.
        for field in [Field::SOURCE_IP, Field::SOURCE_ADDRESS, Field::SOURCE_DOMAIN, Field::SOURCE_PORT] {
            let _relay = event.remove(field);
        }
        return true;
    }
    sendmail_talk(event, text)
}

/// What stands before `, reject=`, which an address of mail has in quotes only; nothing where the quotes do not end.
fn before_reject(text: &str) -> &str {
    const MARK: &str = ", reject=";
    let quotes = |at: usize| text.get(..at).map_or(0, |front| front.matches('"').count());
    let mut places = text.match_indices(MARK).take(PLACES_MAX).map(|(at, _)| at).peekable();
    if places.peek().is_none() {
        return text;
    }
    places.find(|at| quotes(*at) % 2 == 0).and_then(|at| text.get(..at)).unwrap_or_default()
}

/// What the server says of a talk: `name [203.0.113.9] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA`.
fn sendmail_talk(event: &mut Event, text: &str) -> bool {
    const MARKS: [(&str, &str, super::super::device::Act); 8] = [
        (" did not issue ", "smtp_no_mail", COMES),
        (" (may be forged) did not issue ", "smtp_no_mail", COMES),
        (": possible SMTP attack", "smtp_attack", DENIED),
        (" (may be forged): possible SMTP attack", "smtp_attack", DENIED),
        (": EXPN ", "smtp_probe", DENIED),
        (": expn ", "smtp_probe", DENIED),
        (": VRFY ", "smtp_probe", DENIED),
        (": vrfy ", "smtp_probe", DENIED),
    ];
    if let Some(rest) = text.strip_prefix("rejecting commands from ") {
        act(event, DENIED);
        event.set(Field::EVENT_ACTION, "smtp_rejected");
        set_peer(event, rest.split(" (may be").next().unwrap_or(rest).split(" due to").next().unwrap_or(rest));
        return true;
    }
    let found = MARKS.iter().find_map(|(mark, action, meaning)| Some((text.split_once(mark)?.0, *action, *meaning)));
    if let Some((peer, action, meaning)) = found {
        act(event, meaning);
        event.set(Field::EVENT_ACTION, action);
        set_peer(event, peer.split(" (may be").next().unwrap_or(peer));
        return true;
    }
    if let Some(user) = text.split_once("... User unknown").map(|(front, _)| front.trim_matches(['<', '>'])) {
        act(event, REFUSED);
        event.set(Field::EVENT_ACTION, "mail_rejected");
        event.set(Field::EVENT_REASON, "User unknown");
        set_named(event, TO, Some(user));
        return true;
    }
    event.get(Field::SOURCE_IP).is_some()
}

fn set_named(event: &mut Event, name: &str, value: Option<&str>) {
    super::super::service::set_named(event, name, value);
}

/// `error,relay=::ffff:203.0.113.9,from=<a@b>,to=<c@d>: 550 User unknown.`, `started,ip=[::ffff:203.0.113.9]`.
fn courier(event: &mut Event, message: &str) -> bool {
    let address = word(message, "relay=").or_else(|| between(message, "ip=[", "]"));
    let Some(address) = address else { return false };
    set_peer(event, address);
    if !message.starts_with("error,") {
        act(event, COMES);
        event.set(Field::EVENT_ACTION, "smtp_connection");
        return true;
    }
    if message.contains("535 ") {
        authentication(event, "smtp_login", Outcome::Failure);
        return true;
    }
    act(event, REFUSED);
    event.set(Field::EVENT_ACTION, "mail_rejected");
    for (mark, field) in [(",from=", FROM), (",to=", TO)] {
        if let Some(party) = word(message, mark) {
            event.set_named(field, party);
        }
    }
    if let Some((_, reason)) = message.rsplit_once(">: ") {
        event.set(Field::EVENT_REASON, reason);
    }
    true
}
