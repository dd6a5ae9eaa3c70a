//! One record of comma-separated values, as databases write their logs.
//!
//! In: the text of a record, which quotes stand around values. Out: the values, quotes and their doubling undone.
//! A quote that never closes takes the rest of the text: the caller sees too few values. Source: RFC 4180 section
//! 2; PostgreSQL manual, "Using CSV-Format Log Output"; MariaDB audit plugin, which quotes with `'` and escapes
//! with a backslash.

use std::borrow::Cow;

/// How many values a record may have; the rest stays together as the last.
pub const VALUES_MAX: usize = 64;

/// The values of a record. `quote` stands around values that hold commas; inside it is written twice.
pub fn values(text: &str, quote: char) -> Vec<Cow<'_, str>> {
    let mut values = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        if values.len() + 1 == VALUES_MAX {
            values.push(Cow::Borrowed(text));
            break;
        }
        let (value, after) = match text.strip_prefix(quote) {
            Some(inside) => quoted(inside, quote),
            None => {
                text.split_once(',').map_or((Cow::Borrowed(text), None), |(value, rest)| (value.into(), Some(rest)))
            }
        };
        values.push(value);
        rest = after;
    }
    values
}

/// The value up to its closing quote, and what follows the comma behind it.
fn quoted(text: &str, quote: char) -> (Cow<'_, str>, Option<&str>) {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let Some((part, after)) = rest.split_once(quote) else {
            value.push_str(rest);
            return (Cow::Owned(value), None);
        };
        value.push_str(part);
        // A backslash escapes where `'` quotes; an even number of them escapes themselves.
        let slashes = part.len() - part.trim_end_matches('\\').len();
        if quote == '\'' && slashes % 2 == 1 {
            value.pop();
            value.push(quote);
            rest = after;
        } else if let Some(after) = after.strip_prefix(quote) {
            value.push(quote);
            rest = after;
        } else {
            return (Cow::Owned(value), after.split_once(',').map(|(_, rest)| rest));
        }
    }
}

/// Whether text ends inside a quoted value: the record goes on in the next line.
pub fn is_open(text: &[u8], quote: u8) -> bool {
    text.iter().filter(|byte| **byte == quote).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_commas_and_lines() {
        assert_eq!(values("a,\"b,\"\"c\"\"\n\",,d", '"'), ["a", "b,\"c\"\n", "", "d"]);
        assert_eq!(values(r"a,'it\'s, so',0", '\''), ["a", "it's, so", "0"]);
        assert_eq!(values("a,\"never closed,b", '"'), ["a", "never closed,b"]);
        assert_eq!(values("", '"'), [""]);
        assert_eq!(values(&",".repeat(1000), '"').len(), VALUES_MAX);
        assert!(is_open(b"a,\"b", b'"') && !is_open(b"a,\"b\"", b'"'));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(cells in proptest::collection::vec("[a,\"\n é]{0,8}", 1..10)) {
            let line: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            let line = line.join(",");
            prop_assert_eq!(values(&line, '"'), cells);
        }
    }
}
