//! Modern syslog: header, structured data, message (RFC 5424 section 6).
//!
//! In: the text of one message. Out: its parts, borrowed. Tolerance: a missing message id or structured data is an
//! empty one, names may be longer than the RFC allows. Failure: a header that ends early, a date that
//! does not exist, structured data that does not end, each with its byte.

use std::borrow::Cow;

use super::{Fault, Syslog, cut, date, priority};

/// How many parameters of structured data one message may have; more is a fault.
pub const PARAMETERS_MAX: usize = 512;

/// Whether text is modern syslog: a priority, then a version and a space, then a date or `-`.
pub fn is_rfc5424(text: &str) -> bool {
    let Ok((Some(_), rest)) = priority(text) else { return false };
    let bytes = rest.as_bytes();
    let version = bytes.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let starts = matches!(bytes.first(), Some(b'1'..=b'9')) && bytes.get(version) == Some(&b' ');
    let date = bytes.get(version + 1..).unwrap_or_default();
    starts
        && (date.starts_with(b"- ")
            || date.get(..5).is_some_and(|year| year.iter().take(4).all(u8::is_ascii_digit) && year.ends_with(b"-")))
}

/// Reads one message. `offset_s` is the zone of a date without one (which the RFC forbids, and happens).
///
/// # Errors
/// The header ends early, the date does not exist, or structured data is broken.
pub fn parse(text: &str, offset_s: i32) -> Result<Syslog<'_>, Fault> {
    let (priority, rest) = priority(text)?;
    let at = |rest: &str| text.len() - rest.len();
    let (rest, version) = word(rest, text)?;
    let (after, stamp) = word(rest, text)?;
    let timestamp = match stamp {
        "-" => None,
        stamp => {
            let shift = |fault: Fault| Fault { offset: fault.offset + at(rest), ..fault };
            match date::iso(stamp, offset_s).map_err(shift)? {
                Some((moment, used)) if used == stamp.len() => Some(moment),
                _ => return Err(Fault::new("rfc5424: expected a date", at(rest))),
            }
        }
    };
    let (rest, host) = word(after, text)?;
    let (rest, app) = word(rest, text)?;
    let (rest, procid) = word(rest, text)?;
    // An agent without message ids leaves the word out, and the space behind it stays.
    let (rest, msgid) = match rest.strip_prefix(' ') {
        Some(rest) => (rest, "-"),
        None => last_word(rest, text)?,
    };
    let (rest, structured) = structured_data(rest, text)?;
    let message = rest.strip_prefix(' ').unwrap_or(rest);
    let value = |word: &'static str, found| if found == word { None } else { Some(found) };
    Ok(Syslog {
        priority,
        version: Some(version),
        timestamp,
        host: value("-", host),
        app: value("-", app),
        procid: value("-", procid),
        msgid: value("-", msgid),
        structured,
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
    })
}

/// A header field and the space after it.
fn word<'a>(rest: &'a str, text: &str) -> Result<(&'a str, &'a str), Fault> {
    let found = cut(rest, b' ').filter(|(word, _)| !word.is_empty()).map(|(word, after)| (after, word));
    found.ok_or_else(|| Fault::new("rfc5424: the header ends early", text.len() - rest.len()))
}

/// The last header field: the message may end after it.
fn last_word<'a>(rest: &'a str, text: &str) -> Result<(&'a str, &'a str), Fault> {
    let word = cut(rest, b' ').map_or(rest, |(word, _)| word);
    if word.is_empty() {
        return Err(Fault::new("rfc5424: the header ends early", text.len() - rest.len()));
    }
    Ok((without_spaces(rest.get(word.len()..).unwrap_or_default()), word))
}

/// Parameters of structured data, each with its element's id.
type Parameters<'a> = Vec<(&'a str, &'a str, Cow<'a, str>)>;

/// `-`, or elements `[id name="value" …]` without space between them; anything else is the message.
fn structured_data<'a>(text: &'a str, whole: &str) -> Result<(&'a str, Parameters<'a>), Fault> {
    let mut parameters = Vec::new();
    if let Some(rest) = text.strip_prefix('-')
        && (rest.is_empty() || rest.starts_with(' '))
    {
        return Ok((rest, parameters));
    }
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix('[') {
        match element(inner, &mut parameters) {
            // `[preauth] closed`, from a sender without data: an element without parameters says nothing.
            Ok(_) if parameters.is_empty() && !looks_like_element(inner) => break,
            Ok(after) => rest = after,
            Err(_) if parameters.is_empty() && rest.len() == text.len() && !looks_like_element(inner) => break,
            Err(at) => return Err(Fault::new("rfc5424: structured data is broken", whole.len() - at)),
        }
    }
    Ok((rest, parameters))
}

fn looks_like_element(inner: &str) -> bool {
    // `[action:"Accept"; …]` is how Check Point writes its values: the message.
    if inner.split([' ', ']']).next().is_some_and(|word| word.contains(":\"")) {
        return false;
    }
    inner.split(']').next().is_some_and(|body| body.contains("=\"") || body.contains('@'))
}

/// The rest of one element after its `[`; on failure, how many bytes were left.
fn element<'a>(inner: &'a str, parameters: &mut Parameters<'a>) -> Result<&'a str, usize> {
    let (id, mut rest) = leading_name(inner).ok_or(inner.len())?;
    loop {
        if let Some(after) = rest.strip_prefix(']') {
            return Ok(after);
        }
        let (name, after) = leading_name(without_spaces(rest)).ok_or(rest.len())?;
        let after = after.strip_prefix("=\"").ok_or(rest.len())?;
        let (value, after) = quoted(after).ok_or(after.len())?;
        if parameters.len() >= PARAMETERS_MAX {
            return Err(rest.len());
        }
        parameters.push((id, name, value));
        rest = after;
    }
}

/// A name in front of a text, and what follows it.
fn leading_name(text: &str) -> Option<(&str, &str)> {
    let is_part = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    let end = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(name, _)| !name.is_empty())
}

fn without_spaces(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// A value up to its closing quote, with `\"`, `\\` and `\]` undone; and what follows the quote.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    let mut has_escape = false;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.as_bytes().get(from..)?)?;
        if text.as_bytes().get(at) == Some(&b'"') {
            let raw = text.get(..at)?;
            let value = if has_escape { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
            return Some((value, text.get(at + 1..)?));
        }
        has_escape = true;
        from = at + 2;
    }
}

/// RFC 5424 section 6.3.3: a backslash before anything else stands for itself.
fn unescape(raw: &str) -> String {
    let mut value = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next @ ('"' | '\\' | ']')) if c == '\\' => {
                value.push(*next);
                chars.next();
            }
            _ => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_message_is_taken_apart() {
        let text = concat!(
            "<165>1 2026-02-03T04:05:06.003Z web app 71 ID47 ",
            r#"[a@1 x="1" y="q\"\\\]\n"][b@1] "#,
            "\u{feff}hello"
        );
        let found = parse(text, 0).expect("is valid");
        assert_eq!(found.timestamp.map(|stamp| stamp.to_string()).as_deref(), Some("2026-02-03T04:05:06.003Z"));
        assert_eq!((found.priority, found.version), (Some(165), Some("1")));
        assert_eq!(
            (found.host, found.app, found.procid, found.msgid),
            (Some("web"), Some("app"), Some("71"), Some("ID47"))
        );
        assert_eq!(found.structured, [("a@1", "x", "1".into()), ("a@1", "y", r#"q"\]\n"#.into())]);
        assert_eq!(found.message, "hello");
    }

    #[track_caller]
    fn check_message(text: &str, message: &str) {
        let found = parse(text, 0).expect("is valid");
        assert_eq!((found.message, found.structured.len()), (message, 0), "{text}");
    }

    #[test]
    fn what_is_not_there_is_nil() {
        check_message("<165>1 - - - - - -", "");
        check_message("<165>1 - - - - - - hi", "hi");
        check_message("<165>1 - - - - -", "");
        check_message("<165>1 - - - - - no data", "no data");
        check_message("<165>1 - - - - - [preauth] closed", "[preauth] closed");
    }

    #[track_caller]
    fn check_fault(text: &str, reason: &str, offset: usize) {
        let fault = parse(text, 0).expect_err("is broken");
        assert_eq!((fault.reason.as_str(), fault.offset), (reason, offset), "{text}");
    }

    #[test]
    fn a_break_is_named_with_its_byte() {
        check_fault("<165>1 - web", "rfc5424: the header ends early", 9);
        check_fault("<165>1 2026-02-30T04:05:06Z h a - - -", "syslog: no such date", 12);
        check_fault("<165>1 2026-nonsense h a - - -", "rfc5424: expected a date", 7);
        check_fault("<165>1 - h a - - [x y=\"1", "rfc5424: structured data is broken", 23);
        check_fault("<165>1 - h a - - [x y=\"1\" z", "rfc5424: structured data is broken", 25);
    }

    #[test]
    fn what_is_no_modern_syslog_is_left_to_the_other() {
        assert!(is_rfc5424("<1>1 - - - - - -"));
        assert!(is_rfc5424("<1>1 2026-02-03T00:00:00Z"));
        assert!(!is_rfc5424("<189>29: *Mar  1 18:48:50"));
        assert!(!is_rfc5424("<13>2026-02-03T04:05:06Z host x: y"));
        assert!(!is_rfc5424("<13>1 fish"));
    }
}
