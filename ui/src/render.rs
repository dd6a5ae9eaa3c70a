//! Hostile text made harmless and numbers made readable, before a template sees them.
//!
//! In: bytes and text that attackers wrote. Out: plain text in which control, bidirectional and invisible
//! characters are visible tokens (templates then escape HTML). Promise: no output holds a character that
//! could reorder, hide or break what stands around it. Failure: none; what is too long is cut and says so.
//! Source: Unicode TR36 and TR9 for the characters meant.

use nhatle_event::Timestamp;

use crate::account::Language;

/// How many bytes of a record the page shows as text.
pub(crate) const ORIGINAL_BYTES_MAX: usize = 16 * 1024;
/// How many bytes of a record the page shows as hexadecimal.
pub(crate) const HEX_BYTES_MAX: usize = 2 * 1024;

/// The text with everything invisible made visible; line ends are kept when `keep_lines` says so.
fn visible_into(text: &str, out: &mut String, lines: Lines) {
    for character in text.chars() {
        match character {
            '\n' if matches!(lines, Lines::Kept) => out.push('\n'),
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            _ if is_invisible(character) => {
                out.push_str(&format!("\u{27e8}U+{:04X}\u{27e9}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
}

#[derive(Clone, Copy)]
enum Lines {
    Kept,
    Marked,
}

/// C1 controls, bidirectional controls, zero-width characters, separators, tags and look-alike blanks.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// One line of harmless text. The commands show with it what they put before a terminal.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    visible_into(text, &mut out, Lines::Marked);
    out
}

/// Harmless text that keeps its lines.
pub fn visible_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    visible_into(text, &mut out, Lines::Kept);
    out
}

/// The first characters of a text, harmless, with an ellipsis where it was cut.
pub(crate) fn short(text: &str, characters_max: usize) -> String {
    let mut characters = text.chars();
    let front: String = characters.by_ref().take(characters_max).collect();
    let mut out = visible(&front);
    if characters.next().is_some() {
        out.push('…');
    }
    out
}

/// A number of bytes in the largest unit of which there are ten.
pub(crate) fn bytes(bytes: u64, language: Language) -> String {
    const UNITS: [(u64, &str); 5] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"), (1, "B")];
    let (size, unit) = UNITS.into_iter().find(|(size, _)| 10 * size <= bytes).unwrap_or((1, "B"));
    format!("{}\u{a0}{unit}", crate::locale::number(language, bytes / size))
}

/// A record's bytes as harmless text: bytes that are no UTF-8 read as `\xNN`.
pub(crate) fn original(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(ORIGINAL_BYTES_MAX)];
    let mut out = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        visible_into(chunk.valid(), &mut out, Lines::Kept);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// A record's bytes as lines of offset, hexadecimal and ASCII.
pub(crate) fn hex_dump(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(HEX_BYTES_MAX)];
    let mut out = String::with_capacity(shown.len() * 5);
    for (row, line) in shown.chunks(16).enumerate() {
        out.push_str(&format!("{:08x}  ", row * 16));
        for at in 0..16 {
            match line.get(at) {
                Some(byte) => out.push_str(&format!("{byte:02x} ")),
                None => out.push_str("   "),
            }
        }
        out.push(' ');
        out.extend(
            line.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }),
        );
        out.push('\n');
    }
    out
}

/// A moment as people of the language write it, in the zone of the page: `23/11/2026 08:15:22`.
pub(crate) fn time(stamp: Timestamp, language: Language, offset_s: i32) -> String {
    let c = stamp.civil_at(offset_s);
    let day = match language {
        Language::Vietnamese => format!("{:02}/{:02}/{:04}", c.day, c.month, c.year),
        Language::English => format!("{:04}-{:02}-{:02}", c.year, c.month, c.day),
    };
    format!("{day} {:02}:{:02}:{:02}", c.hour, c.minute, c.second)
}

/// A moment as `<input type=datetime-local>` wants it.
pub(crate) fn input_time(stamp: Timestamp, offset_s: i32) -> String {
    let c = stamp.civil_at(offset_s);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

/// How far a clock is ahead (`+`) or behind (`−`).
pub(crate) fn offset(millis: i32, language: Language) -> String {
    let (hour, minute) = match language {
        Language::Vietnamese => ("giờ", "phút"),
        Language::English => ("h", "min"),
    };
    let sign = if millis < 0 { "−" } else { "+" };
    let millis = millis.unsigned_abs();
    let seconds = (millis + 500) / 1000;
    match seconds {
        0..10 => format!("{sign}{},{} s", millis / 1000, millis / 100 % 10)
            .replace(',', if language == Language::English { "." } else { "," }),
        10..120 => format!("{sign}{seconds} s"),
        120..7200 => format!("{sign}{} {minute} {} s", seconds / 60, seconds % 60),
        _ => format!("{sign}{} {hour} {} {minute}", seconds / 3600, seconds / 60 % 60),
    }
}

/// Text for a query string (RFC 3986 unreserved characters stand as they are).
pub(crate) fn url_part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Pairs as a query string, empty values left out.
pub(crate) fn url_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&url_part(name));
        out.push('=');
        out.push_str(&url_part(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(visible(text), expected);
    }

    #[test]
    fn bytes_have_two_digits_or_more() {
        for (count, said) in
            [(0, "0 B"), (9_999, "9.999 B"), (10_000, "10 kB"), (5_067_029, "5.067 kB"), (u64::MAX, "18.446.744 TB")]
        {
            assert_eq!(bytes(count, Language::Vietnamese), said.replace(' ', "\u{a0}"), "{count}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        check("plain Tiếng Việt đủ dấu", "plain Tiếng Việt đủ dấu");
        check("a\u{1b}[31mred", "a␛[31mred");
        check("a\nb\0c\u{7f}", "a␊b␀c␡");
        check("exe\u{202e}gpj", "exe⟨U+202E⟩gpj");
        check("zero\u{200b}width\u{feff}", "zero⟨U+200B⟩width⟨U+FEFF⟩");
        check("c1\u{9b}31m", "c1⟨U+009B⟩31m");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_bytes() {
        assert_eq!(original(b"ok \xff\xfe\n\x00"), "ok \\xff\\xfe\n␀");
        assert_eq!(original(&vec![b'a'; ORIGINAL_BYTES_MAX * 2]).len(), ORIGINAL_BYTES_MAX);
        assert!(hex_dump(b"AB\x00").starts_with("00000000  41 42 00 "));
    }

    #[test]
    fn times_are_shown_in_the_zone_of_the_page() {
        let stamp = Timestamp::parse("2026-11-23T01:15:22Z", 0).expect("a date");
        assert_eq!(time(stamp, Language::Vietnamese, 7 * 3600), "23/11/2026 08:15:22");
        assert_eq!(time(stamp, Language::English, 7 * 3600), "2026-11-23 08:15:22");
    }

    #[test]
    fn query_strings_carry_any_text() {
        assert_eq!(url_query([("q", "a b&c=\"đ\""), ("x", "")]), "?q=a%20b%26c%3D%22%C4%91%22");
    }
}
