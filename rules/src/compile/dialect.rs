//! Regular expressions as Sigma writes them in (PCRE, RE2), as the `regex` crate reads them out.
//!
//! `$` is also before a line break that ends the text (PCRE). The crate gives four more things a meaning of its own,
//! which would change a rule silently or refuse it: `\<` and `\>` (edges of words; elsewhere the characters), `&&`,
//! `~~` and `--` in a class (operations on sets; elsewhere the characters), `[` in a class (a class within; elsewhere
//! the character), and `{` that begins no repetition (an error; elsewhere the character). What is left means the same
//! in all of them, or is refused by the crate.
//! Total; cannot fail. Source: PCRE2 pattern syntax; RE2 syntax; syntax of the crate `regex` 1.

use std::borrow::Cow;

/// The end of the text, or before a line break that is its end.
const END: &str = r"\n?\z";

/// The pattern as the `regex` crate takes it; `is_multiline` where its flags make `$` the end of each line.
pub(crate) fn to_crate(pattern: &str, is_multiline: bool) -> Cow<'_, str> {
    let is_multiline = is_multiline || turns_multiline(pattern);
    let is_plain = !pattern.contains(['{', '[', '$']) && !pattern.contains("\\<") && !pattern.contains("\\>");
    if is_plain {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        rest = match character {
            '\\' => escape(rest, &mut out),
            '[' => class(rest, &mut out),
            '$' if !is_multiline => {
                out.push_str(END);
                &rest[1..]
            }
            '{' if !is_repetition(rest) => {
                out.push_str("\\{");
                &rest[1..]
            }
            other => {
                out.push(other);
                &rest[other.len_utf8()..]
            }
        };
    }
    Cow::Owned(out)
}

/// Copies an escape with the braces that belong to it; what is behind it.
fn escape<'a>(text: &'a str, out: &mut String) -> &'a str {
    let Some(escaped) = text[1..].chars().next() else {
        out.push('\\');
        return "";
    };
    let mut rest = &text[1 + escaped.len_utf8()..];
    if !matches!(escaped, '<' | '>') {
        out.push('\\');
    }
    out.push(escaped);
    // `\p{Han}`, `\x{41}`, `\b{start}` of the crate.
    if matches!(escaped, 'p' | 'P' | 'x' | 'u' | 'U' | 'b') && rest.starts_with('{') {
        let length = rest.find('}').map_or(rest.len(), |end| end + 1);
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    rest
}

/// Copies a class, `[` to `]`; what is behind it.
fn class<'a>(text: &'a str, out: &mut String) -> &'a str {
    let front = match text {
        _ if text.starts_with("[^]") => 3,
        _ if text.starts_with("[^") || text.starts_with("[]") => 2,
        _ => 1,
    };
    out.push_str(&text[..front]);
    let mut rest = &text[front..];
    // At the front of a class the first of two dashes is the character, a range may follow.
    if rest.starts_with("--") {
        out.push_str("\\-");
        rest = &rest[1..];
    }
    while let Some(character) = rest.chars().next() {
        let doubled = rest.strip_prefix(character).is_some_and(|next| next.starts_with(character));
        rest = match character {
            ']' => {
                out.push(']');
                return &rest[1..];
            }
            '\\' => escape(rest, out),
            '[' => match rest.find(":]").filter(|_| rest.starts_with("[:")) {
                Some(end) => {
                    out.push_str(&rest[..end + 2]);
                    &rest[end + 2..]
                }
                None => {
                    out.push_str("\\[");
                    &rest[1..]
                }
            },
            '&' | '~' | '-' if doubled => {
                out.push(character);
                out.push('\\');
                out.push(character);
                &rest[2..]
            }
            other => {
                out.push(other);
                &rest[other.len_utf8()..]
            }
        };
    }
    rest
}

/// Whether the pattern has `(?m)` or the like somewhere; then its `$` are left as they are.
fn turns_multiline(pattern: &str) -> bool {
    let flags = |text: &str| text.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').any(|c| c == 'm');
    pattern.match_indices("(?").any(|(at, _)| pattern.get(at + 2..).is_some_and(flags))
}

/// Whether `{` begins a repetition: `{2}`, `{2,}`, `{2,4}`. `{,4}` means one thing here and another there, and is left
/// to be refused.
fn is_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_crate_reads_in_its_own_way_is_written_for_it() {
        let rows = [
            (r"\<script\>", "<script>"),
            (r"[\<\>]", "[<>]"),
            (r"\\<", r"\\<"),
            ("[;&&|]", r"[;&\&|]"),
            ("[a~~b]", r"[a~\~b]"),
            ("[+--]", r"[+-\-]"),
            ("[--9]", r"[\--9]"),
            ("[^--]", r"[^\--]"),
            ("[[a]b]", r"[\[a]b]"),
            ("[[:alpha:]_]", "[[:alpha:]_]"),
            ("[]a[]", r"[]a\[]"),
            ("[^]&&]", r"[^]&\&]"),
            (r"\${jndi", r"\$\{jndi"),
            ("a$|b[$]c", r"a\n?\z|b[$]c"),
            ("(?m)a$", "(?m)a$"),
            ("(?i-m:a)$", "(?i-m:a)$"),
            ("(?i)a$", r"(?i)a\n?\z"),
            ("x{", r"x\{"),
            ("{}", r"\{}"),
            ("a{2}b{2,}c{2,4}d{,4}", "a{2}b{2,}c{2,4}d{,4}"),
            (r"\p{L}\x{41}\{", r"\p{L}\x{41}\{"),
            ("{é", r"\{é"),
            ("[é[", r"[é\["),
            ("a&&b", "a&&b"),
            ("\\", "\\"),
            ("[\\", "[\\"),
            ("(?P<name>a)", "(?P<name>a)"),
        ];
        for (pattern, expected) in rows {
            assert_eq!(to_crate(pattern, false), expected, "{pattern}");
        }
        assert_eq!(to_crate("a$", true), "a$");
    }

    proptest::proptest! {
        /// Where the crate compiles the translation, it has kept every character a value can be made of.
        #[test]
        fn any_text_is_translated(pattern in r"[a\[\]\\{}<>&~^,0-9é:-]{0,24}") {
            let translated = to_crate(&pattern, false);
            let kept = |text: &str| text.chars().filter(|c| *c != '\\').collect::<String>();
            proptest::prop_assert_eq!(kept(&translated), kept(&pattern));
        }
    }
}
