//! Postfix: who connected, who signed in, what was refused, what became of a message.
//!
//! In: the message of one of its daemons. Out: client, account, sender, recipients, status. The client stands in
//! front of all that a stranger writes and is read from there. Source: Postfix 3.7, smtpd(8), cleanup(8),
//! qmgr(8), smtp(8), and the log calls of `smtpd.c`, `smtpd_sasl_glue.c`, `cleanup_message.c`.

use nhatle_event::{Event, Field};

use super::{happened, set_named, set_number, sign_in, split_sole};
use crate::normalize::device::Act;
use crate::normalize::linux::{set_source, set_user};

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str) {
    let text = message.strip_prefix("warning: ").unwrap_or(message);
    if sasl_failure(event, text) || connection(event, text) || encrypted(event, text) || screened(event, text) {
        return;
    }
    // anvil(8)'s summary has a word where others have a queue.
    if text.starts_with("statistics: ") {
        return;
    }
    let Some((queue, rest)) = text.split_once(": ").filter(|(queue, _)| is_queue_id(queue)) else { return };
    if queue != "NOQUEUE" {
        event.set_named("postfix.queue_id", queue);
    }
    if rest.starts_with("client=") {
        client(event, rest);
    } else if rest.contains("reject: ") || rest.starts_with("reject") {
        reject(event, rest);
    } else if rest.starts_with("from=<") {
        queued(event, rest);
    } else if rest.starts_with("to=<") {
        delivery(event, rest);
    } else if let Some(id) = rest.strip_prefix("message-id=") {
        set_named(event, "email.message_id", Some(id.trim_matches(['<', '>'])));
    }
}

/// Short queue ids are hexadecimal, long ones letters and digits; refusals before a queue file say `NOQUEUE`.
fn is_queue_id(word: &str) -> bool {
    (1..=20).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `name[address]` or `name[address]:port`: sets the source, returns what follows the bracket. Postfix writes
/// `unknown` for a name that is no host name, so that the name holds no mark of its own.
fn host<'a>(event: &mut Event, text: &'a str) -> Option<&'a str> {
    let (name, rest) = text.split_once('[')?;
    let (address, rest) = rest.split_once(']')?;
    (!name.contains(' ')).then_some(())?;
    set_source(event, address);
    if !matches!(name, "unknown" | "") {
        event.set(Field::SOURCE_DOMAIN, name);
    }
    Some(rest)
}

/// `name[address]: SASL LOGIN authentication failed: reason, sasl_username=lan`. The account is the last of the
/// line and a stranger's text, with whatever marks it holds.
fn sasl_failure(event: &mut Event, text: &str) -> bool {
    let Some((front, back)) = text.split_once("]: SASL ") else { return false };
    let Some((method, reason)) = back.split_once(" authentication failed") else { return false };
    if method.contains(' ') || host(event, &text[..=front.len()]).is_none() {
        return false;
    }
    sign_in(event, "sasl_login", false);
    event.set_named("postfix.sasl_method", method);
    let (reason, user) = reason.split_once(", sasl_username=").unwrap_or((reason, ""));
    set_named(event, "event.reason", Some(reason.trim_start_matches(": ")));
    set_user(event, user);
    true
}

/// Connections by the words in front: action, type.
const CONNECTIONS: &[(&str, &str, &[&str])] = &[
    ("connect from ", "smtp_connect", &["connection", "start"]),
    ("disconnect from ", "smtp_disconnect", &["connection", "end"]),
    ("lost connection after ", "smtp_connection_lost", &["connection", "end"]),
    ("timeout after ", "smtp_connection_lost", &["connection", "end"]),
    ("too many errors after ", "smtp_too_many_errors", &["connection", "end"]),
    ("improper command pipelining after ", "smtp_pipelining", &["connection", "info"]),
    ("non-SMTP command from ", "smtp_non_smtp_command", &["connection", "info"]),
];

fn connection(event: &mut Event, text: &str) -> bool {
    let found =
        CONNECTIONS.iter().find_map(|(verb, action, kinds)| Some((text.strip_prefix(verb)?, *verb, *action, *kinds)));
    let Some((rest, verb, action, kinds)) = found else { return false };
    let rest = if verb.ends_with("after ") { rest.split_once(" from ").map_or(rest, |(_, rest)| rest) } else { rest };
    happened(event, action, Act("network", kinds, ""));
    host(event, rest);
    true
}

/// `Anonymous TLS connection established from name[address]: TLSv1.3 with cipher X (256/256 bits)`: no word of a stranger's stands in front.
fn encrypted(event: &mut Event, text: &str) -> bool {
    let found = ["from", "to"].iter().find_map(|way| {
        let (trust, rest) = text.split_once(&format!(" TLS connection established {way} "))?;
        matches!(trust, "Anonymous" | "Untrusted" | "Trusted" | "Verified").then_some((*way, rest))
    });
    let Some((way, rest)) = found else { return false };
    happened(event, "smtp_tls", Act("network", &["connection", "protocol"], "success"));
    let Some((peer, what)) = rest.split_once("]") else { return true };
    if way == "from" {
        host(event, &format!("{peer}]"));
    }
    let Some((version, cipher)) = what.rsplit_once(": ").and_then(|(_, what)| what.split_once(" with cipher ")) else {
        return true;
    };
    crate::normalize::tls::set_version(event, version);
    event.set(Field::TLS_CIPHER, cipher.split(' ').next().unwrap_or(cipher));
    true
}

/// postscreen(8): `PREGREET 14 after 0.1 from [203.0.113.9]:4411: EHLO x`, `DNSBL rank 6 for [address]:port`, `CONNECT from [address]:port to …`.
fn screened(event: &mut Event, text: &str) -> bool {
    let word = text.split(' ').next().unwrap_or_default();
    let (action, kinds): (_, &[&str]) = match word {
        "PREGREET" => ("smtp_pregreet", &["connection", "denied"]),
        "DNSBL" => ("smtp_blocklisted", &["connection", "denied"]),
        "HANGUP" => ("smtp_connection_lost", &["connection", "end"]),
        "CONNECT" => ("smtp_connect", &["connection", "start"]),
        "PASS" => ("smtp_screened", &["connection", "allowed"]),
        _ => return false,
    };
    // The client stands in brackets before all that it sent.
    let Some((address, rest)) = text.split_once('[').and_then(|(_, rest)| rest.split_once("]:")) else { return false };
    if address.parse::<std::net::IpAddr>().is_err() {
        return false;
    }
    happened(event, action, Act("network", kinds, ""));
    set_source(event, address);
    super::set_port(event, rest.split([':', ' ']).next().unwrap_or_default());
    true
}

/// `client=name[address], sasl_method=PLAIN, sasl_username=lan`. A sender (`sasl_sender`) follows where the client
/// gave one; the account of a sign-in that was let in is one that the server knows.
fn client(event: &mut Event, rest: &str) {
    let rest = host(event, rest.strip_prefix("client=").unwrap_or(rest)).unwrap_or_default();
    match rest.split_once(", sasl_username=") {
        Some((method, user)) => {
            sign_in(event, "sasl_login", true);
            let method = method.rsplit_once("sasl_method=").map(|(_, method)| method);
            set_named(event, "postfix.sasl_method", method);
            set_user(event, user.split(", sasl_sender=").next().unwrap_or(user));
        }
        None => happened(event, "mail_accepted", Act("email", &["info"], "success")),
    }
}

/// `reject: RCPT from name[address]: 554 5.7.1 text; from=<> to=<> proto=ESMTP helo=<>`, and cleanup's
/// `reject: header … from name[address]; from=<> to=<>: 5.7.1 text`.
fn reject(event: &mut Event, rest: &str) {
    happened(event, "mail_rejected", Act("email", &["denied"], "failure"));
    let Some((_, text)) = rest.split_once("reject: ") else { return };
    let (what, after) = text.split_once(' ').unwrap_or((text, ""));
    event.set_named("postfix.stage", what);
    if matches!(what, "header" | "body" | "mime-header" | "nested-header") {
        return content(event, after);
    }
    let Some(reason) = after.strip_prefix("from ").and_then(|rest| host(event, rest)) else { return };
    let reason = reason.trim_start_matches(": ");
    set_named(event, "postfix.reply_code", reason.split(' ').next());
    // The recipient stands in the reason, too: an address with the marks in it makes all of it doubtful.
    let told = split_sole(reason, "; from=<");
    set_named(event, "event.reason", Some(told.map_or(reason, |(reason, _)| reason)));
    envelope(event, told.map_or("", |(_, rest)| rest));
}

/// A header or a line of the body, which the sender wrote: the client is told by the sole mark behind it.
fn content(event: &mut Event, text: &str) {
    let Some((head, tail)) = split_sole(text, "]; from=<") else {
        set_named(event, "email.attachments.file.name", attachment(text));
        return;
    };
    let (head, client) = head.rsplit_once(" from ").unwrap_or((head, ""));
    host(event, &format!("{client}]"));
    set_named(event, "email.attachments.file.name", attachment(head));
    set_named(event, "event.reason", Some(head.trim()));
    envelope(event, tail);
}

/// The value of `name="…"` or `filename=…` in a header.
fn attachment(header: &str) -> Option<&str> {
    let (_, value) = header.split_once("name=")?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split([' ', ';']).next(),
    }
}

/// `a@b> to=<c@d> proto=ESMTP helo=<e>…`, behind `; from=<`. Postfix takes brackets and spaces out of what a client
/// says at HELO (smtpd(8), `neuter`); addresses may hold them in quotes.
fn envelope(event: &mut Event, text: &str) {
    let Some((from, rest)) = split_sole(text, "> to=<") else { return };
    set_named(event, "email.from.address", Some(from));
    let to = split_sole(rest, "> proto=").map_or_else(|| rest.split('>').next(), |(to, _)| Some(to));
    set_named(event, "email.to.address", to);
    let helo = rest.rsplit_once(" helo=<").and_then(|(_, helo)| helo.split('>').next());
    set_named(event, "postfix.helo", helo);
}

/// `from=<a@b>, size=900, nrcpt=3 (queue active)`.
fn queued(event: &mut Event, rest: &str) {
    happened(event, "mail_queued", Act("email", &["info"], "success"));
    let Some((from, numbers)) = rest.rsplit_once(">, size=") else { return };
    set_named(event, "email.from.address", from.strip_prefix("from=<"));
    let (size, count) = numbers.split_once(", nrcpt=").unwrap_or((numbers, ""));
    set_number(event, "postfix.size", size);
    set_number(event, "postfix.recipient_count", count.split(' ').next().unwrap_or_default());
}

/// What became of a message: status, action, outcome.
const STATUSES: &[(&str, &str, &str)] = &[
    ("sent", "mail_sent", "success"),
    ("bounced", "mail_bounced", "failure"),
    ("deferred", "mail_deferred", "failure"),
    ("expired", "mail_expired", "failure"),
];

/// `to=<a@b>, orig_to=<c>, relay=name[address]:25, delay=1, dsn=5.1.1, status=bounced (text)`. The text in brackets
/// is the other server's and the last.
fn delivery(event: &mut Event, rest: &str) {
    let Some((front, status)) = rest.split_once(", status=") else { return };
    let (status, reason) = status.split_once(" (").unwrap_or((status, ""));
    let known = STATUSES.iter().find(|(known, _, _)| *known == status);
    let (action, outcome) = known.map_or(("mail_delivery", ""), |(_, action, outcome)| (*action, *outcome));
    happened(event, action, Act("email", &["info"], outcome));
    event.set_named("postfix.status", status);
    set_named(
        event,
        "email.to.address",
        split_sole(front, ">, ")
            .map_or_else(|| front.split(">, ").next(), |(to, _)| Some(to))
            .and_then(|to| to.strip_prefix("to=<")),
    );
    set_named(event, "postfix.dsn", front.rsplit_once(", dsn=").map(|(_, dsn)| dsn));
    set_named(event, "postfix.relay", front.rsplit_once(", relay=").and_then(|(_, rest)| rest.split(',').next()));
    set_named(event, "event.reason", Some(reason.strip_suffix(')').unwrap_or(reason)));
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    const FRONT: &str = "<22>Nov 23 20:10:00 mail-01 postfix/smtpd[77]: ";

    #[track_caller]
    fn line(message: &str, expected: &[(&str, &str)]) {
        check("postfix", &format!("{FRONT}{message}"), expected);
    }

    #[test]
    fn screening_and_encryption() {
        let line = |daemon: &str, message: &str| format!("<22>Nov 23 20:10:00 mail-01 postfix/{daemon}[7]: {message}");
        check(
            "postfix",
            &line("postscreen", "PREGREET 14 after 0.1 from [203.0.113.9]:4411: EHLO [198.51.100.1]:25\\r\\n"),
            &[("event.action", "smtp_pregreet"), ("source.ip", "203.0.113.9"), ("source.port", "4411")],
        );
        check(
            "postfix",
            &line(
                "smtpd",
                "Anonymous TLS connection established from kho.example[2001:db8::9]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
            ),
            &[("source.ip", "2001:db8::9"), ("tls.version", "1.3"), ("tls.cipher", "TLS_AES_256_GCM_SHA384")],
        );
        check(
            "postfix",
            &line("anvil", "statistics: max connection rate 1/60s for (smtp:203.0.113.9) at Nov 23 20:10:00"),
            &[("!postfix.queue_id", "")],
        );
    }

    #[test]
    fn sign_ins_and_their_failures() {
        line(
            "warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=lan",
            &[
                ("source.ip", "203.0.113.9"),
                ("user.name", "lan"),
                ("event.outcome", "failure"),
                ("event.action", "sasl_login"),
            ],
        );
        line(
            "4XbT2k1mZz: client=host.example[203.0.113.9], sasl_method=PLAIN, sasl_username=lan",
            &[("source.domain", "host.example"), ("user.name", "lan"), ("event.outcome", "success")],
        );
        line(
            "lost connection after AUTH from unknown[203.0.113.9]",
            &[("source.ip", "203.0.113.9"), ("event.action", "smtp_connection_lost")],
        );
        line("connect from unknown[2001:db8::9]", &[("source.ip", "2001:db8::9"), ("event.action", "smtp_connect")]);
    }

    #[test]
    fn refusals_and_deliveries() {
        line(
            "NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 454 4.7.1 <x@example.net>: Relay access denied; from=<a@example.com> to=<x@example.net> proto=ESMTP helo=<pc>",
            &[
                ("source.ip", "203.0.113.9"),
                ("email.from.address", "a@example.com"),
                ("email.to.address", "x@example.net"),
                ("postfix.reply_code", "454"),
                ("event.reason", "454 4.7.1 <x@example.net>: Relay access denied"),
                ("!postfix.queue_id", ""),
            ],
        );
        line(
            "4XbT2k1mZz: reject: header Content-Disposition: attachment; filename=\"hoa don.exe\" from unknown[203.0.113.9]; from=<a@example.com> to=<lan@phuong.example> proto=ESMTP helo=<pc>: 5.7.1 refused",
            &[
                ("source.ip", "203.0.113.9"),
                ("email.attachments.file.name", "hoa don.exe"),
                ("email.to.address", "lan@phuong.example"),
                ("event.action", "mail_rejected"),
            ],
        );
        line(
            "4XbT2k1mZz: from=<lan@phuong.example>, size=900, nrcpt=120 (queue active)",
            &[("postfix.recipient_count", "120"), ("email.from.address", "lan@phuong.example")],
        );
        line(
            "4XbT2k1mZz: to=<x@example.net>, relay=mx.example.net[198.51.100.2]:25, delay=1, delays=0/0/1/0, dsn=5.1.1, status=bounced (host said: 550 5.1.1 no such user)",
            &[("event.action", "mail_bounced"), ("postfix.dsn", "5.1.1"), ("email.to.address", "x@example.net")],
        );
    }

    #[test]
    fn what_a_stranger_writes_does_not_move_the_client() {
        line(
            "NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 454 4.7.1 <x>: no; from=<\"[198.51.100.1]\"@e.example> to=<x> proto=SMTP helo=<a[198.51.100.2]>",
            &[("source.ip", "203.0.113.9")],
        );
        line(
            "4XbT2k1mZz: reject: header Subject: from unknown[198.51.100.1]; from=<k@e.example> from unknown[203.0.113.9]; from=<a@example.com> to=<lan@phuong.example> proto=ESMTP helo=<pc>: 5.7.1 refused",
            &[("!source.ip", ""), ("!email.from.address", ""), ("event.action", "mail_rejected")],
        );
        // The recipient is quoted and holds the marks: nothing of the envelope is guessed.
        line(
            "NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 <\"; from=<ceo@e.example> to=<a@e.example>\"@x>: no; from=<k@e.example> to=<\"; from=<ceo@e.example> to=<a@e.example>\"@x> proto=SMTP helo=<a>",
            &[("source.ip", "203.0.113.9"), ("!email.from.address", ""), ("!email.to.address", "")],
        );
        line(
            "warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=a, sasl_username=root",
            &[("source.ip", "203.0.113.9"), ("user.name", "a, sasl_username=root")],
        );
        line(
            "warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: x, sasl_username=a]: SASL y[198.51.100.1]",
            &[("source.ip", "203.0.113.9"), ("user.name", "a]: SASL y[198.51.100.1]")],
        );
    }
}
