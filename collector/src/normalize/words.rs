//! Sign-ins of programs that no table knows, by the words that nearly every program uses for them.
//!
//! In: the message of such a program. Out: an authentication with its outcome, the address and the account where they stand
//! beyond doubt; nothing where neither is told. Promise: `source.ip` only where the message holds one address (or one list of a proxy's) and a word
//! such as `from` or `ip=` stands before it, or it stands in brackets, first or last; `user.name` only behind a word
//! such as `user` and in quotes or as one word. A program that logs no address can so be made to name one by an account
//! that is called like it: the programs of [`super::program`] and [`super::daemon`] are read by their own wordings. Cost: of a
//! message without such words, a few searches.

use std::net::IpAddr;

use nhatle_event::{Event, Field};

use super::linux::{Outcome, authentication, set_source, set_user};
use crate::parse::Needle;

/// How much of a message is looked at.
const TEXT_BYTES_MAX: usize = 2048;
/// How many addresses are looked at.
const ADDRESSES_MAX: usize = 8;

/// Parts of words without which no phrase stands in a message.
const ROOTS: [&str; 11] = [
    "fail",
    "invalid",
    "incorrect",
    "wrong",
    "bad ",
    "denied",
    "success",
    "logged in",
    "accepted",
    "mismatch",
    "login",
];
/// What this reader calls it.
pub(super) const ACTION: &str = "sign_in";

const FAILED: [&str; 54] = [
    "invalid username or",
    "invalid user or",
    "incorrect username or",
    "wrong username or",
    "authentication fail",
    "authentication error",
    "authentication was not successful",
    "failed authentication",
    "failed to authenticate",
    "failed to log in",
    "failed to login",
    "failed login",
    "failed log in",
    "failed sign-in",
    "failed sign in",
    "failed password",
    "failed user login",
    "failed auth",
    "auth failed",
    "auth-fail",
    "auth fail",
    "auth-error",
    "login failed",
    "login fail",
    "login error",
    "login attempt failed",
    "login incorrect",
    "log in failed",
    "logon failed",
    "logon fail",
    "sign in failed",
    "sign-in failed",
    "signin failed",
    "unsuccessful login",
    "unsuccessful log",
    "unsuccessful auth",
    "invalid login",
    "invalid password",
    "invalid credential",
    "invalid email or password",
    "incorrect password",
    "incorrect credentials",
    "wrong password",
    "wrong credentials",
    "bad password",
    "bad credentials",
    "failed to validate user credentials",
    "login denied",
    "password mismatch",
    "password verification failed",
    "access denied for user",
    "password incorrect",
    "password check failed",
    "tried to login with wrong",
];

/// Phrases that settings and errors of input have, too: they say it only of an account that follows.
const FAILED_OF: [&str; 7] = [
    "invalid username",
    "invalid user name",
    "invalid user ",
    "invalid account",
    "incorrect username",
    "incorrect user",
    "wrong username",
];

const SUCCEEDED: [&str; 18] = [
    "successful login",
    "successful authentication",
    "successful auth ",
    "successful sign",
    "successfully logged in",
    "successfully authenticated",
    "success login",
    "login success",
    "login succeeded",
    "logged in successfully",
    "authentication success",
    "authentication succeeded",
    "auth-success",
    "authenticated successfully",
    "logged in from",
    "accepted password for",
    "accepted login",
    "login ok",
];

/// Words before an address that say whose it is.
const FROM: [&str; 17] = [
    "from",
    "ip",
    "client",
    "host",
    "rhost",
    "addr",
    "address",
    "peer",
    "remote",
    "source",
    "src",
    "oip",
    "by",
    "remoteip",
    "remoteaddr",
    "ipaddress",
    "rip",
];

/// Words before an account.
const ACCOUNT: [&str; 9] = ["username", "user name", "userid", "user", "account", "login", "email", "for", "set_id"];

/// Words that stand behind those and are no account.
const NO_ACCOUNT: [&str; 56] = [
    "not",
    "is",
    "does",
    "or",
    "and",
    "with",
    "unknown",
    "has",
    "in",
    "from",
    "to",
    "of",
    "was",
    "name",
    "user",
    "the",
    "login",
    "password",
    "credentials",
    "failed",
    "failure",
    "attempt",
    "error",
    "on",
    "by",
    "at",
    "ip",
    "db",
    "logged",
    "logins",
    "management",
    "here",
    "probably",
    "account",
    "accounts",
    "authentication",
    "authentications",
    "attempts",
    "agent",
    "input",
    "id",
    "type",
    "format",
    "settings",
    "preferences",
    "queued",
    "ok",
    "unlocked",
    "locked",
    "data",
    "request",
    "session",
    "token",
    "string",
    "status",
    "names",
];

/// A phrase of the tables above, to be looked for.
#[derive(Clone, Copy)]
struct Phrase {
    needle: Needle,
    /// Which roots stand in it, a bit for each: it stands in no message that has not all of them.
    roots: u16,
}

static ROOT_NEEDLES: [Needle; ROOTS.len()] = Needle::all(ROOTS);
static FAILED_PHRASES: [Phrase; FAILED.len()] = phrases(FAILED);
static FAILED_OF_PHRASES: [Phrase; FAILED_OF.len()] = phrases(FAILED_OF);
static SUCCEEDED_PHRASES: [Phrase; SUCCEEDED.len()] = phrases(SUCCEEDED);
static ATTEMPT: [Phrase; 1] = phrases(["authentication attempt"]);
static ATTEMPT_FAILED: [Phrase; 2] = phrases(["failed", "invalid"]);
static ACCOUNT_NEEDLES: [Needle; ACCOUNT.len()] = Needle::all(ACCOUNT);

const fn phrases<const N: usize>(texts: [&'static str; N]) -> [Phrase; N] {
    let (mut phrases, mut at) = ([Phrase { needle: Needle::new(""), roots: 0 }; N], 0);
    while at < N {
        phrases[at] = Phrase { needle: Needle::new(texts[at]), roots: roots_in(texts[at]) };
        at += 1;
    }
    phrases
}

const fn roots_in(text: &str) -> u16 {
    let (mut roots, mut at) = (0, 0);
    while at < ROOTS.len() {
        if Needle::new(ROOTS[at]).stands_in(text) {
            roots |= 1 << at;
        }
        at += 1;
    }
    roots
}

/// Sets what a message says of a sign-in. Whether it does.
pub(super) fn set_fields(event: &mut Event, message: &str) -> bool {
    let mut end = message.len().min(TEXT_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let text = message.get(..end).unwrap_or_default();
    let lower = text.to_ascii_lowercase();
    let found = (0..).zip(&ROOT_NEEDLES).filter(|(_, root)| root.is_in(&lower));
    let roots = found.fold(0u16, |roots, (at, _)| roots | 1 << at);
    if roots == 0 || quotes_a_line(text) {
        return false;
    }
    let says = |phrase: &Phrase| phrase.roots & !roots == 0 && says(&lower, phrase.needle);
    // `An authentication attempt by the user lan from 203.0.113.9 failed`.
    let is_attempt = || ATTEMPT.iter().any(says) && ATTEMPT_FAILED.iter().any(says);
    let user = account(text, &lower);
    let outcome =
        if FAILED_PHRASES.iter().any(says) || is_attempt() || (user.is_some() && FAILED_OF_PHRASES.iter().any(says)) {
            Outcome::Failure
        } else if SUCCEEDED_PHRASES.iter().any(says) {
            Outcome::Success
        } else {
            return false;
        };
    let user = user.filter(|_| event.get(Field::USER_NAME).is_none());
    let found = address(text, &lower).filter(|_| event.get(Field::SOURCE_IP).is_none());
    // Words of nobody from nowhere are as often about sign-ins as of one.
    let is_somebody = [Field::USER_NAME, Field::SOURCE_IP].iter().any(|field| event.get(*field).is_some());
    if !is_somebody && user.is_none() && found.is_none() {
        return false;
    }
    authentication(event, ACTION, outcome);
    if let Some((address, port)) = found {
        set_source(event, &address.to_string());
        if let Some(port) = port {
            event.set(Field::SOURCE_PORT, port);
        }
    }
    if let Some(user) = user {
        set_user(event, user);
    }
    true
}

/// How many places of a phrase are looked at.
const PLACES_MAX: usize = 8;

/// Words that take away what stands behind them: `no failed login`, `max failed login attempts`, `not successfully authenticated`.
const DENIALS: [&str; 12] =
    ["no", "not", "never", "without", "0", "zero", "max", "maximum", "if", "when", "allowed", "permitted"];

/// Whether a text says a phrase: it begins where a word does, and the word before it does not take it away.
fn says(lower: &str, phrase: Needle) -> bool {
    phrase.each(lower).take(PLACES_MAX).any(|at| {
        let front = lower.get(..at).unwrap_or_default();
        let before = front.trim_end_matches([' ', '-', '_', ':', '=']);
        let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_denied = DENIALS.contains(&word) && before.len() < front.len();
        // `login success: false` is a value of a program that tells of both.
        let back = lower.get(at + phrase.len()..).unwrap_or_default().trim_start_matches([' ', '"', '\'']);
        let is_false = back.strip_prefix([':', '=']).is_some_and(|value| {
            let value = value.trim_start_matches([' ', '"', '\'']);
            ["false", "no", "0"].iter().any(|none| {
                value
                    .strip_prefix(none)
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.'))
            })
        });
        !front.ends_with(|c: char| c.is_ascii_alphanumeric()) && !is_denied && !is_false
    })
}

/// Whether a text holds another program's line with its priority: what that says is not what this program says.
fn quotes_a_line(text: &str) -> bool {
    memchr::memchr_iter(b'<', text.as_bytes()).take(16).any(|at| {
        let rest = text.as_bytes().get(at + 1..).unwrap_or_default();
        let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        (1..=3).contains(&digits) && rest.get(digits) == Some(&b'>')
    })
}

/// An address in a text: where it stands, and its port.
#[derive(Clone, Copy, Debug)]
struct Found {
    from: usize,
    to: usize,
    address: IpAddr,
    port: Option<u16>,
}

/// The address of whoever signed in, where there is no doubt.
fn address(text: &str, lower: &str) -> Option<(IpAddr, Option<u16>)> {
    let found = addresses(text);
    let first = found.first().copied()?;
    let mut end = first.to;
    for next in &found[1..] {
        // A proxy's list: `192.0.2.1, 198.51.100.2`.
        let is_list = text.get(end..next.from).is_some_and(|gap| matches!(gap, ", " | "," | " "));
        if !is_list && next.address != first.address {
            return None;
        }
        end = next.to;
    }
    let front = lower.get(..first.from)?.trim_end_matches("::ffff:");
    let back = text.get(end..)?;
    let bare = front.trim_end_matches(['[', '(', '\'', '"', '=', ':', ' ', '<', '`', '\\', '{']);
    let word = bare.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let is_marked =
        FROM.contains(&word) || ["_ip", "_addr", "_address", "_host", "clientip"].iter().any(|end| word.ends_with(end));
    let is_set_off = front.ends_with(['[', '(']) && back.starts_with([']', ')', ' ', ':']);
    let is_edge = !bare.bytes().any(|byte| byte.is_ascii_alphabetic())
        || back.trim_end_matches(['.', ')', ']', '"', '\'', '!', '}', ' ']).is_empty();
    (is_marked || is_set_off || is_edge).then_some((first.address, first.port))
}

/// The addresses of a text, in order, with their ports.
fn addresses(text: &str) -> Vec<Found> {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() && found.len() < ADDRESSES_MAX {
        let Some(length) =
            bytes.get(at..).and_then(|rest| rest.iter().position(|byte| !is_part(*byte))).or(Some(bytes.len() - at))
        else {
            break;
        };
        let is_word_before = at > 0
            && bytes.get(at - 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'@'));
        let is_word_after =
            bytes.get(at + length).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if length >= 3
            && !is_word_before
            && !is_word_after
            && let Some(one) = one(text.get(at..at + length).unwrap_or_default(), at)
        {
            found.push(one);
        }
        at += length.max(1);
    }
    found
}

/// The address of a word, with its port or without.
fn one(word: &str, at: usize) -> Option<Found> {
    let trimmed = word.trim_end_matches(['.', ':']);
    let lead = trimmed.len() - trimmed.trim_start_matches('.').len();
    let body = trimmed.get(lead..)?;
    let made = |address: IpAddr, port: Option<u16>, length: usize| Found {
        from: at + lead,
        to: at + lead + length,
        address: address.to_canonical(),
        port,
    };
    let is_whole = |text: &str| text.contains('.') || text.matches(':').count() >= 3;
    if let Ok(address) = body.parse::<IpAddr>() {
        return (is_whole(body) || body == "::1").then(|| made(address, None, body.len()));
    }
    let (front, port) = body.rsplit_once(':')?;
    let address = front.trim_start_matches(':').parse::<IpAddr>().ok().filter(|address| address.is_ipv4())?;
    Some(made(address, port.parse().ok(), body.len()))
}

/// The account behind a word that says so: in quotes, or one word.
fn account<'a>(text: &'a str, lower: &str) -> Option<&'a str> {
    ACCOUNT_NEEDLES.iter().find_map(|word| {
        word.each(lower).take(4).find_map(|at| {
            let is_word = at == 0 || lower.as_bytes().get(at - 1).is_some_and(|byte| !byte.is_ascii_alphanumeric());
            let rest = text.get(at + word.len()..)?;
            let value = rest.trim_start_matches([':', '=', ' ']);
            (is_word && value.len() < rest.len()).then_some(())?;
            named(value)
        })
    })
}

fn named(value: &str) -> Option<&str> {
    for (open, close) in [('"', '"'), ('\'', '\''), ('`', '`'), ('[', ']'), ('<', '>')] {
        if let Some(inside) = value.strip_prefix(open) {
            return inside.split_once(close).map(|(name, _)| name).filter(|name| !name.is_empty());
        }
    }
    let word = value.split([' ', ',', ';', '(', ')', '|']).next().unwrap_or_default();
    let word = word.trim_end_matches(['.', ':', '!', '\'', '"', ']', '}']);
    let is_name = !word.is_empty()
        && word.parse::<IpAddr>().is_err()
        && !NO_ACCOUNT.contains(&word.to_ascii_lowercase().as_str())
        && word.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'.' | b'_' | b'-' | b'@' | b'\\' | b'+' | b'$')
                || byte >= 0x80
        });
    is_name.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;

    const FROM: (&str, &str) = ("source.ip", "203.0.113.9");
    const LAN: (&str, &str) = ("user.name", "lan");
    const OUT: (&str, &str) = ("event.outcome", "failure");
    const NO_ADDRESS: (&str, &str) = ("!source.ip", "");

    #[test]
    fn sign_ins_by_the_words_for_them() {
        for line in [
            "2026-11-23 02:10:00,123 INFO cong.so: Login failed for user 'lan' from 203.0.113.9",
            "[2026-11-23 02:10:00] [WARN] Failed login attempt for username \"lan\" from ip 203.0.113.9 (no such account)",
            "2026-11-23T02:10:00Z cong: invalid credentials user=lan ip=203.0.113.9:4411",
            "2026-11-23 02:10:00 [203.0.113.9] Authentication failed for 'lan' : password mismatch",
            "2026-11-23 02:10:00 | Incorrect username or password for account lan. IP: ::ffff:203.0.113.9",
            "<38>Nov 23 02:10:00 may-01 cong[7]: Login failed for user lan, client IP=\"203.0.113.9, 192.0.2.1\"",
        ] {
            check("", line, &[OUT, LAN, FROM, ("event.category", "authentication")]);
        }
        check(
            "",
            "2026-11-23 02:10:00 Successful login for user lan from 2001:db8::9",
            &[("event.outcome", "success"), LAN, ("source.ip", "2001:db8::9")],
        );
    }

    #[test]
    fn what_is_in_doubt_is_not_told() {
        check(
            "",
            "2026-11-23 02:10:00 Login failed for user 'x from 198.51.100.1' from 203.0.113.9",
            &[OUT, NO_ADDRESS],
        );
        check("", "2026-11-23 02:10:00 Login failed for lan, build 10.11.12.13 is old", &[OUT, NO_ADDRESS]);
        check("", "2026-11-23 02:10:00 disk failed on 10.11.12.13", &[("!event.outcome", ""), NO_ADDRESS]);
        check(
            "",
            "2026-11-23 02:10:00 user and password failed to authenticate, ip=203.0.113.9",
            &[OUT, FROM, ("!user.name", "")],
        );
        for line in [
            "<22>Nov 23 02:10:00 may-01 thu[7]: A00001: <lan@example.com>... No such user here",
            "2026-11-23 02:10:00 INFO cong: no failed login attempts since 203.0.113.9 was seen",
            "2026-11-23 02:10:00 INFO cong: max failed login attempts set to 5",
            "2026-11-23 02:10:00 INFO cong: login success: false, invalidated",
            "2026-11-23 02:10:00 INFO cong: client 203.0.113.9 not successfully authenticated yet",
            "2026-11-23 02:10:00 INFO cong: authentication attempt by user lan begins",
            "2026-11-23 02:10:00 INFO cong: relogin failures are counted",
            "2026-11-23 02:10:00 INFO cong: rule 'auth failed' loaded",
            "2026-11-23 02:10:00 INFO cong: user preferences: login error page updated",
            "2026-11-23 02:10:00 INFO cong: account unlocked after failed login",
            "2026-11-23 02:10:00 WARN cong: invalid user agent string from 203.0.113.9",
            "2026-11-23 02:10:00 WARN cong: invalid account type 5 in config",
            "2026-11-23 02:10:00 INFO cong: database login ok, migrating",
        ] {
            check("", line, &[("!event.outcome", ""), ("!event.category", "")]);
        }
        check("", "2026-11-23 02:10:00 INFO cong: unsuccessful authentication for lan", &[OUT, LAN]);
        check(
            "",
            "<38>Nov 23 02:10:00 may-01 cong[7]: An authentication attempt by the user lan from 203.0.113.9 failed",
            &[OUT, LAN, FROM],
        );
        check("", "2026-11-23 02:10:00 INFO cong: remote user logged in from 203.0.113.9", &[FROM, ("!user.name", "")]);
    }
}
