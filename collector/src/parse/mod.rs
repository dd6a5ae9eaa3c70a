//! Parsers: the text of one record in, its parts out, borrowed from the text; a [`Fault`] where the text
//! claims a format and breaks it.
//!
//! Every parser is a plain function of text, so that tests and fuzz targets can call it. No parser
//! keeps state, does I/O or panics. [`detect`] names the format of a record by its content.

use nhatle_event::{Text, Timestamp};

pub mod date;
pub mod rfc5424;
pub mod rfc3164;
pub mod json;
pub mod key_value;
pub mod csv;
pub mod headed;
pub mod zeek_layout;
pub mod netflow;
pub mod web_access;
pub mod web_error;
pub mod windows_event;
pub mod evtx;
mod needle;

pub(crate) use needle::Needle;

/// Why text breaks the format it claims, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A stable short phrase that begins with the format (`syslog: no such date`).
    pub reason: Text,
    /// The byte of the parsed text where it went wrong.
    pub offset: usize,
}

impl Fault {
    /// A fault with this reason at this byte.
    pub fn new(reason: impl Into<Text>, offset: usize) -> Fault {
        Fault { reason: reason.into(), offset }
    }
}

/// The parts of a syslog message, of either RFC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Syslog<'a> {
    /// Facility times eight plus severity.
    pub priority: Option<u8>,
    /// RFC 5424's version.
    pub version: Option<&'a str>,
    /// When, as the sender says.
    pub timestamp: Option<Timestamp>,
    /// The sending host's name or address.
    pub host: Option<&'a str>,
    /// The program (the tag without its process id).
    pub app: Option<&'a str>,
    /// The process id, as sent.
    pub procid: Option<&'a str>,
    /// RFC 5424's message type.
    pub msgid: Option<&'a str>,
    /// RFC 5424's structured data: element id, parameter name, value with its escapes undone.
    pub structured: Vec<(&'a str, &'a str, std::borrow::Cow<'a, str>)>,
    /// The message itself.
    pub message: &'a str,
}

/// What a record looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object (or an array, which no record may be).
    Json,
    /// Windows event XML.
    WindowsXml,
    /// Syslog of either RFC, with or without its priority.
    Syslog,
    /// A record of the Linux audit log.
    Auditd,
    /// A line of a web server's access log.
    WebAccess,
    /// A line of a web server's error log.
    WebError,
    /// key=value pairs.
    KeyValue,
    /// None of these: a line of text.
    Plain,
}

/// Names the format of a record's text by its first bytes; costs no more than a short look.
pub fn detect(text: &str) -> Format {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    match bytes {
        [b'{', rest @ ..] if matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')) => Format::Json,
        [b'[', rest @ ..] if rest.trim_ascii_start().first() == Some(&b'{') => Format::Json,
        [b'<', b'0'..=b'9', ..] => Format::Syslog,
        [b'<', ..] if text.starts_with("<Event") || text.starts_with("<?xml") => Format::WindowsXml,
        _ if key_value::is_auditd(text) => Format::Auditd,
        _ if rfc3164::begins_with_date(text) => Format::Syslog,
        _ if rfc3164::begins_with_tag(text) => Format::Syslog,
        _ if web_error::is_error_line(text) => Format::WebError,
        _ if web_access::is_access_line(text) => Format::WebAccess,
        _ if key_value::is_key_value(text) => Format::KeyValue,
        _ => Format::Plain,
    }
}

/// The byte of `bytes` that stands at `text_offset` of its lossy text: replaced bytes make the text
/// longer than the bytes.
pub fn byte_offset(bytes: &[u8], text_offset: usize) -> usize {
    let (mut of_bytes, mut of_text) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().len();
        if text_offset <= of_text + valid {
            return of_bytes + text_offset - of_text;
        }
        of_bytes += valid + chunk.invalid().len();
        of_text += valid + char::REPLACEMENT_CHARACTER.len_utf8();
        if text_offset < of_text {
            return of_bytes - chunk.invalid().len();
        }
    }
    of_bytes
}

/// [`str::trim`]; costs two bytes' look where there is nothing to trim, which is nearly always.
#[inline]
pub(crate) fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// [`str::split_once`] at a byte of ASCII.
#[inline]
pub(crate) fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    debug_assert!(at.is_ascii());
    let place = memchr::memchr(at, text.as_bytes())?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// [`str::rsplit_once`] at a byte of ASCII.
pub(crate) fn cut_last(text: &str, at: u8) -> Option<(&str, &str)> {
    debug_assert!(at.is_ascii());
    let place = memchr::memrchr(at, text.as_bytes())?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Where a mark of at least two bytes stands first: [`str::find`] for texts as short as a message, with less before it begins.
pub(crate) fn find(text: &str, mark: &str) -> Option<usize> {
    let (bytes, mark) = (text.as_bytes(), mark.as_bytes());
    let inner = bytes.get(1..)?;
    memchr::memchr_iter(*mark.get(1)?, inner).find(|at| bytes[*at..].starts_with(mark))
}

/// [`str::split_once`] at such a mark.
pub(crate) fn cut_at<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let at = find(text, mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// [`str::rsplit_once`] at such a mark.
pub(crate) fn cut_at_last<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (bytes, marked) = (text.as_bytes(), mark.as_bytes());
    let inner = bytes.get(1..)?;
    let at = memchr::memrchr_iter(*marked.get(1)?, inner).find(|at| bytes[*at..].starts_with(marked))?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Reads decimal digits from the front of `text`; also returns how many there are.
pub(crate) fn digits(text: &[u8], max: usize) -> Option<(u32, usize)> {
    let count = text.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
    let sum =
        text.get(..count)?.iter().fold(0u32, |sum, digit| sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
    (count > 0).then_some((sum, count))
}

/// Reads `<PRI>` from the front of a syslog message: the priority and what follows it.
///
/// # Errors
/// The number is past 191 (RFC 5424 section 6.2.1).
pub fn priority(text: &str) -> Result<(Option<u8>, &str), Fault> {
    let bytes = text.as_bytes();
    let Some((number, count)) = bytes.strip_prefix(b"<").and_then(|rest| digits(rest, 3)) else {
        return Ok((None, text));
    };
    if bytes.get(count + 1) != Some(&b'>') {
        return Ok((None, text));
    }
    match u8::try_from(number).ok().filter(|number| *number <= 191) {
        Some(number) => Ok((Some(number), text.get(count + 2..).unwrap_or_default())),
        None => Err(Fault::new("syslog: priority past 191", 1)),
    }
}

/// Reads a syslog message of either RFC.
///
/// # Errors
/// See [`rfc5424::parse`] and [`rfc3164::parse`].
pub fn syslog(text: &str, received: Timestamp, offset_s: i32) -> Result<Syslog<'_>, Fault> {
    if rfc5424::is_rfc5424(text) { rfc5424::parse(text, offset_s) } else { rfc3164::parse(text, received, offset_s) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Format) {
        assert_eq!(detect(text), expected, "{text}");
    }

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        check(r#"{"a":1}"#, Format::Json);
        check(" { }", Format::Json);
        check("{not json} at all", Format::Plain);
        check(r#"[{"a":1}]"#, Format::Json);
        check("<34>Oct 11 22:14:15 host su: x", Format::Syslog);
        check("<Event xmlns='x'>", Format::WindowsXml);
        check("Oct 11 22:14:15 host su: x", Format::Syslog);
        check("2026-02-03T04:05:06.1+07:00 host su[1]: x", Format::Syslog);
        check("type=EXECVE msg=audit(1700000000.123:7): argc=1 a0=\"id\"", Format::Auditd);
        check("node=web type=CWD msg=audit(1700000000.123:7): cwd=\"/\"", Format::Auditd);
        check("10.0.0.1 - - [03/Feb/2026:04:05:06 +0700] \"GET / HTTP/1.1\" 200 1", Format::WebAccess);
        check("[Tue Feb 03 04:05:06.1 2026] [core:error] [pid 7] x", Format::WebError);
        check("2026/02/03 04:05:06 [error] 7#7: *1 x", Format::WebError);
        check("level=info msg=\"hello there\" user=lan", Format::KeyValue);
        check("2026-02-03 04:05:06,123 INFO [main] a.b.C: x=1", Format::Plain);
        check("x = y", Format::Plain);
        check("", Format::Plain);
    }

    #[test]
    fn a_priority_past_191_is_a_fault() {
        assert_eq!(priority("<191>x"), Ok((Some(191), "x")));
        assert!(priority("<192>x").is_err());
        assert_eq!(priority("<1921>x"), Ok((None, "<1921>x")));
    }

    #[test]
    fn offsets_count_the_bytes_as_sent() {
        assert_eq!(byte_offset(b"ab\xffcd", 2), 2);
        assert_eq!(byte_offset(b"ab\xffcd", 3), 2);
        assert_eq!(byte_offset(b"ab\xffcd", 5), 3);
        assert_eq!(byte_offset(b"ab\xffcd", 99), 5);
    }

    proptest! {
        #[test]
        fn texts_are_cut_as_the_standard_library_cuts_them(
            text in "[ aốb:]{0,24}| *[à-ỹ ]{0,9} *",
            mark in prop_oneof![Just(" a"), Just(": "), Just("ab "), Just("bb"), Just("  "), Just("ốa"), Just("aba")],
        ) {
            prop_assert_eq!(trimmed(&text), text.trim());
            prop_assert_eq!(cut(&text, b' '), text.split_once(' '));
            prop_assert_eq!(find(&text, mark), text.find(mark));
            prop_assert_eq!(cut_at(&text, mark), text.split_once(mark));
            prop_assert_eq!(cut_at_last(&text, mark), text.rsplit_once(mark));
        }

        #[test]
        fn any_text_has_a_format(text in ".{0,60}") {
            let _ = detect(&text);
            prop_assert!(syslog(&text, Timestamp(0), 0).err().is_none_or(|fault| fault.offset <= text.len()));
        }
    }
}
