//! key=value text: logfmt, and the records of the Linux audit log.
//!
//! In: the text of one record. Out: its pairs in order, borrowed where no escape had to be undone.
//! Words without `=` are passed over (they stay in the message). Nothing is refused.
//! Source: logfmt as written by Go programs; audit(8), `type=… msg=audit(seconds.millis:serial): …`,
//! values quoted, in single quotes with pairs inside, or in hexadecimal where they have odd characters.

use std::borrow::Cow;

use nhatle_event::Timestamp;

use super::{Fault, digits};

/// How many pairs one record gives; what follows stays in the message only.
pub const PAIRS_MAX: usize = 1024;

/// How long a key may be.
const KEY_BYTES_MAX: usize = 128;

/// Names with their values.
pub type Pairs<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// A record of the Linux audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct Auditd<'a> {
    /// The host, where the log names it (`name_format`).
    pub node: Option<&'a str>,
    /// The record type (`SYSCALL`, `EXECVE`, `USER_LOGIN`, …).
    pub kind: &'a str,
    /// When.
    pub timestamp: Timestamp,
    /// The number that the records of one event share.
    pub serial: &'a str,
    /// Everything after the header.
    pub body: &'a str,
    /// The pairs of the body, those within `msg='…'` included.
    pub pairs: Pairs<'a>,
}

/// Whether text is an audit record: its type, and `audit(` soon after.
pub fn is_auditd(text: &str) -> bool {
    let front = text.as_bytes().get(..text.len().min(320)).unwrap_or_default();
    let starts = ["type=", "node=", "audit: type="].iter().any(|start| text.starts_with(start));
    starts && memchr::memmem::find(front, b"audit(").is_some()
}

/// Whether text is a line of pairs: the first word is one, and there is a second.
pub fn is_key_value(text: &str) -> bool {
    let Some((first, rest)) = text.split_once(' ') else { return false };
    let is_pair = |word: &str| word.split_once('=').is_some_and(|(key, _)| is_key(key));
    is_pair(first) && (first.contains("=\"") || rest.split(' ').take(16).any(is_pair)) && rest.contains('=')
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'))
        && key.len() <= KEY_BYTES_MAX
        && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '/' | ':'))
}

/// What a byte is to [`pairs`]: stands between pairs, ends a key, ends a bare value, may begin a key, may stand in one. Bytes
/// past ASCII are none of these; a key with one is looked at by its characters.
const BETWEEN: u8 = 1;
const ENDS_KEY: u8 = 2;
const ENDS_VALUE: u8 = 4;
const BEGINS_KEY: u8 = 8;
const IN_KEY: u8 = BEGINS_KEY << 1;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        let is_between = matches!(byte, b' ' | b'\t' | b',' | b';' | 0x1d);
        let is_end = matches!(byte, b' ' | b'\t' | 0x1d);
        let begins = byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@');
        let is_inside = begins || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'/' | b':');
        classes[byte as usize] = if is_between { BETWEEN } else { 0 }
            | if is_end { ENDS_KEY | ENDS_VALUE } else { 0 }
            | if byte == b'=' { ENDS_KEY } else { 0 }
            | if begins { BEGINS_KEY } else { 0 }
            | if is_inside { IN_KEY } else { 0 };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// So long a line of pairs is for each of them, at least.
const PAIR_BYTES: usize = 12;

/// The pairs of a line. A value may stand in double or single quotes; `\"` and `\\` in it are undone.
pub fn pairs(text: &str) -> Pairs<'_> {
    let mut found = Vec::with_capacity((text.len() / PAIR_BYTES).clamp(4, 64));
    let bytes = text.as_bytes();
    let mut at = 0;
    while found.len() < PAIRS_MAX {
        while bytes.get(at).is_some_and(|byte| class(*byte) & BETWEEN != 0) {
            at += 1;
        }
        let from = at;
        // What all bytes of the key may be.
        let mut may_be = bytes.get(from).map_or(0, |byte| class(*byte) & BEGINS_KEY) << 1;
        while let Some(class) = bytes.get(at).map(|byte| class(*byte)).filter(|class| class & ENDS_KEY == 0) {
            may_be &= class;
            at += 1;
        }
        match bytes.get(at) {
            None => break,
            Some(b'=') => at += 1,
            Some(_) => continue,
        }
        let key = text.get(from..at - 1).unwrap_or_default();
        let is_plain = may_be != 0 && key.len() <= KEY_BYTES_MAX;
        if is_plain || is_key(key) {
            let (value, end) = value(text, at);
            found.push((key, value));
            at = end;
        }
    }
    found
}

/// The value that stands at a place, and where it ends.
fn value(text: &str, at: usize) -> (Cow<'_, str>, usize) {
    let bytes = text.as_bytes();
    if let Some(quote @ (b'"' | b'\'')) = bytes.get(at)
        && let Some((value, rest)) = text.get(at..).and_then(|text| quoted(text, *quote))
    {
        return (value, text.len() - rest.len());
    }
    let mut end = at;
    while bytes.get(end).is_some_and(|byte| class(*byte) & ENDS_VALUE == 0) {
        end += 1;
    }
    let value = text.get(at..end).unwrap_or_default();
    (Cow::Borrowed(if value.ends_with(',') { value.trim_end_matches(',') } else { value }), end)
}

fn quoted(text: &str, quote: u8) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut from = 1;
    let mut has_escape = false;
    loop {
        let at = from + memchr::memchr2(quote, b'\\', bytes.get(from..)?)?;
        if bytes.get(at) == Some(&quote) {
            let raw = text.get(1..at)?;
            let rest = text.get(at + 1..)?;
            return Some((if has_escape { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) }, rest));
        }
        has_escape |= matches!(bytes.get(at + 1), Some(b'"' | b'\'' | b'\\'));
        from = at + 2;
    }
}

fn unescape(raw: &str) -> String {
    let mut value = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next @ ('"' | '\'' | '\\')) if c == '\\' => {
                value.push(*next);
                chars.next();
            }
            _ => value.push(c),
        }
    }
    value
}

/// The record types that the kernel writes by number where no audit daemon runs (`linux/audit.h`).
const KINDS: [(&str, &str); 34] = [
    ("1100", "USER_AUTH"),
    ("1101", "USER_ACCT"),
    ("1103", "CRED_ACQ"),
    ("1104", "CRED_DISP"),
    ("1105", "USER_START"),
    ("1106", "USER_END"),
    ("1107", "USER_AVC"),
    ("1108", "USER_CHAUTHTOK"),
    ("1110", "CRED_REFR"),
    ("1112", "USER_LOGIN"),
    ("1113", "USER_LOGOUT"),
    ("1114", "ADD_USER"),
    ("1115", "DEL_USER"),
    ("1116", "ADD_GROUP"),
    ("1117", "DEL_GROUP"),
    ("1123", "USER_CMD"),
    ("1127", "SYSTEM_BOOT"),
    ("1128", "SYSTEM_SHUTDOWN"),
    ("1130", "SERVICE_START"),
    ("1131", "SERVICE_STOP"),
    ("1006", "LOGIN"),
    ("1300", "SYSCALL"),
    ("1302", "PATH"),
    ("1305", "CONFIG_CHANGE"),
    ("1306", "SOCKADDR"),
    ("1307", "CWD"),
    ("1309", "EXECVE"),
    ("1325", "NETFILTER_CFG"),
    ("1326", "SECCOMP"),
    ("1327", "PROCTITLE"),
    ("1334", "BPF"),
    ("1400", "AVC"),
    ("1404", "MAC_STATUS"),
    ("1700", "ANOM_PROMISCUOUS"),
];

/// Reads one audit record.
///
/// # Errors
/// The header is broken: no type, or no `audit(seconds.millis:serial)`.
pub fn auditd(text: &str) -> Result<Auditd<'_>, Fault> {
    let fault = |reason: &'static str, rest: &str| Fault::new(reason, text.len() - rest.len());
    let mut rest = text.strip_prefix("audit: ").unwrap_or(text);
    let mut node = None;
    if let Some(after) = rest.strip_prefix("node=") {
        let (name, after) = after.split_once(' ').ok_or_else(|| fault("auditd: expected a type", ""))?;
        node = Some(name);
        rest = after;
    }
    let after = rest.strip_prefix("type=").ok_or_else(|| fault("auditd: expected a type", rest))?;
    let (kind, after) = after.split_once(' ').ok_or_else(|| fault("auditd: expected audit(", ""))?;
    let kind = KINDS.iter().find(|(number, _)| *number == kind).map_or(kind, |(_, name)| *name);
    let after = after.strip_prefix("msg=").unwrap_or(after);
    let inner = after.strip_prefix("audit(").ok_or_else(|| fault("auditd: expected audit(", after))?;
    let (stamp, body) = inner.split_once(')').ok_or_else(|| fault("auditd: the time does not end", inner))?;
    let (stamp, serial) = stamp.split_once(':').ok_or_else(|| fault("auditd: expected a serial number", inner))?;
    let timestamp = time(stamp).ok_or_else(|| fault("auditd: no such time", inner))?;
    let body = body.strip_prefix(':').unwrap_or(body).trim();
    Ok(Auditd { node, kind, timestamp, serial, body, pairs: auditd_pairs(kind, body) })
}

/// `seconds.millis`.
fn time(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let (millis, width) = digits(fraction.as_bytes(), 3)?;
    let millis = i64::from(millis) * [100, 10, 1].get(width - 1)?;
    let seconds: i64 = seconds.parse().ok().filter(|seconds| (0..=9_000_000_000).contains(seconds))?;
    Some(Timestamp::from_millis(seconds * 1000 + millis))
}

fn auditd_pairs<'a>(kind: &str, body: &'a str) -> Pairs<'a> {
    // The pairs within msg='…' belong to the record; what follows the quote is the enriched part.
    let (outer, inner) = match body.split_once("msg='") {
        Some((outer, inner)) => (outer, inner),
        None => (body, ""),
    };
    let (inner, enriched) = inner.rsplit_once('\'').unwrap_or((inner, ""));
    let mut found = pairs(outer);
    found.extend(pairs_with_phrase(inner));
    found.extend(pairs(enriched));
    found.truncate(PAIRS_MAX);
    let is_arguments = kind == "EXECVE";
    for (key, value) in &mut found {
        let is_argument = is_arguments && key.len() > 1 && key.starts_with('a') && key.as_bytes()[1].is_ascii_digit();
        let may_be_hex = is_argument
            || matches!(
                *key,
                "cmd"
                    | "proctitle"
                    | "data"
                    | "comm"
                    | "exe"
                    | "name"
                    | "cwd"
                    | "acct"
                    | "path"
                    | "key"
                    | "unit"
                    | "dir"
                    | "new-disk"
            );
        if may_be_hex && let Some(text) = decode_hex(value) {
            *value = Cow::Owned(text);
        }
    }
    found
}

/// `op=` may hold several words (`op=adding group to /etc/group id=7`): up to the next pair.
fn pairs_with_phrase(text: &str) -> Pairs<'_> {
    let Some(phrase) = text.strip_prefix("op=").filter(|phrase| !phrase.starts_with('"')) else { return pairs(text) };
    let next_pair = phrase.match_indices(' ').map(|(at, _)| at).find(|at| {
        let word = phrase.get(at + 1..).unwrap_or_default().split(' ').next().unwrap_or_default();
        word.split_once('=').is_some_and(|(key, _)| is_key(key))
    });
    let (phrase, rest) = phrase.split_at(next_pair.unwrap_or(phrase.len()));
    let mut found = vec![("op", Cow::Borrowed(phrase))];
    found.extend(pairs(rest));
    found
}

/// The text that hexadecimal stands for. The audit log writes a value so only where it has a space, a
/// quote, or a byte that is no printable ASCII; other text of these letters is what it says.
pub fn decode_hex(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 2 || bytes.len() % 2 == 1 {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let mut decoded = Vec::with_capacity(bytes.len() / 2);
    for pair in bytes.chunks_exact(2) {
        decoded.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    let has_reason = decoded.iter().any(|byte| !byte.is_ascii_graphic() || *byte == b'"');
    has_reason.then_some(())?;
    while decoded.last() == Some(&0) {
        decoded.pop();
    }
    for byte in &mut decoded {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = pairs(text);
        let found: Vec<_> = found.iter().map(|(key, value)| (*key, value.as_ref())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn pairs_of_all_shapes() {
        check("a=1 b=\"two words\" c=", &[("a", "1"), ("b", "two words"), ("c", "")]);
        check(r#"a="q\"uo\\te" b='x y'"#, &[("a", "q\"uo\\te"), ("b", "x y")]);
        check("word a=1, b=2", &[("a", "1"), ("b", "2")]);
        check("a=\"never closed b=2", &[("a", "\"never"), ("b", "2")]);
        check("== =x a==b", &[("a", "=b")]);
        check(r#"p="C:\Temp\x" n=1"#, &[("p", r"C:\Temp\x"), ("n", "1")]);
    }

    #[track_caller]
    fn check_audit(text: &str, kind: &str, expected: &[(&str, &str)]) {
        let found = auditd(text).expect("is an audit record");
        assert_eq!((found.kind, found.timestamp.to_string().as_str()), (kind, "2026-02-03T04:05:06.123Z"));
        for (key, value) in expected {
            let held = found.pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_ref());
            assert_eq!(held, Some(*value), "{key} of {text}");
        }
    }

    #[test]
    fn audit_records_are_taken_apart() {
        check_audit(
            "type=EXECVE msg=audit(1770091506.123:7): argc=3 a0=\"sh\" a1=\"-c\" a2=6C73202D6C",
            "EXECVE",
            &[("a0", "sh"), ("a2", "ls -l")],
        );
        check_audit(
            "type=SYSCALL msg=audit(1770091506.123:7): a0=6C73202D6C uid=0",
            "SYSCALL",
            &[("a0", "6C73202D6C")],
        );
        check_audit("type=EXECVE msg=audit(1770091506.123:7): argc=1 a0=AB", "EXECVE", &[("a0", "\u{fffd}")]);
        check_audit("type=EXECVE msg=audit(1770091506.123:7): argc=1 a0=4142", "EXECVE", &[("a0", "4142")]);
        check_audit(
            "node=web type=ADD_GROUP msg=audit(1770091506.123:7): pid=9 msg='op=adding group to /etc/group id=7 exe=\"/x\" res=success'",
            "ADD_GROUP",
            &[("pid", "9"), ("op", "adding group to /etc/group"), ("id", "7"), ("res", "success")],
        );
        check_audit(
            "type=PROCTITLE msg=audit(1770091506.123:7): proctitle=636174002F6574632F736861646F77",
            "PROCTITLE",
            &[("proctitle", "cat /etc/shadow")],
        );
        check_audit("audit: type=1400 audit(1770091506.123:7): apparmor=\"DENIED\"", "AVC", &[("apparmor", "DENIED")]);
    }

    #[test]
    fn a_broken_header_is_named_with_its_byte() {
        for (text, offset) in [("type=CWD msg=audit(x:7): a=1", 19), ("type=CWD msg=oops(1", 13), ("node=x cwd=1", 7)] {
            assert_eq!(auditd(text).expect_err("is broken").offset, offset, "{text}");
        }
    }

    /// The same, read by characters.
    fn pairs_plainly(text: &str) -> Pairs<'_> {
        let mut found = Vec::new();
        let mut rest = text;
        while found.len() < PAIRS_MAX {
            rest = rest.trim_start_matches([' ', '\t', ',', ';', '\x1d']);
            if rest.is_empty() {
                break;
            }
            let end = rest.find([' ', '=', '\t', '\x1d']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            let Some(after) = after.strip_prefix('=').filter(|_| is_key(key)) else {
                rest = after.strip_prefix('=').unwrap_or(after);
                continue;
            };
            let quote = after.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''));
            let (value, after) = quote.and_then(|quote| quoted(after, quote)).unwrap_or_else(|| {
                let (value, after) = after.split_at(after.find([' ', '\t', '\x1d']).unwrap_or(after.len()));
                (Cow::Borrowed(value.trim_end_matches(',')), after)
            });
            found.push((key, value));
            rest = after;
        }
        found
    }

    proptest! {
        #[test]
        fn pairs_by_bytes_are_pairs_by_characters(
            text in "[a-cÀ-ẹ0-9_@.:/ \t\x1d,;='\"\\\\-]{0,80}|([a-z]{1,3}=[a-zơ\"']{0,5}[ ,;\t]{0,2}){0,9}|.{0,60}",
            long in 120usize..136,
        ) {
            prop_assert_eq!(pairs(&text), pairs_plainly(&text));
            let long = format!("{text} {}={text}", "k".repeat(long));
            prop_assert_eq!(pairs(&long), pairs_plainly(&long));
        }

        #[test]
        fn any_text_gives_pairs(text in "[a-z=\"'\\\\ ]{0,60}|.{0,60}") {
            let _ = pairs(&text);
            prop_assert!(auditd(&format!("type=A msg=audit(1.1:1): {text}")).is_ok(), "is read");
        }
    }
}
