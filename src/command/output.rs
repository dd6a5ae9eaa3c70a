//! Where commands write: data to standard output, everything else to standard error.
//!
//! What is for people's eyes goes through [`text`], [`say`], [`cell`] or [`cut`]: a record may hold what a terminal takes for
//! orders (ECMA-48), or what turns a line around.

use std::io::{BufWriter, Write};

use nhatle_ui::{visible, visible_lines};

/// Standard output with a buffer; flush it at the end.
pub fn buffered() -> BufWriter<std::io::StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, std::io::stdout().lock())
}

/// One line of data.
///
/// # Errors
/// Standard output is closed.
pub fn line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// One line, or several, of data as people read it.
///
/// # Errors
/// Standard output is closed.
pub fn text(text: &str) -> std::io::Result<()> {
    line(&visible_lines(text))
}

/// One line for the person at the terminal.
pub fn say(text: &str) {
    // Where standard error is closed nobody is there to tell.
    drop(writeln!(std::io::stderr().lock(), "{}", visible_lines(text)));
}

/// Text as a cell of a table: in one line, harmless.
pub fn cell(text: &str) -> String {
    visible(&text.replace(['\n', '\r', '\t'], " "))
}

/// A value as a field of comma-separated values (RFC 4180, section 2).
pub fn csv(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// The same, cut to a width in characters.
pub fn cut(text: &str, width: usize) -> String {
    // A long text is not gone through to its end.
    let front: String = text.chars().take(width.saturating_add(1)).collect();
    let shown = cell(&front);
    if shown.chars().count() <= width {
        return shown;
    }
    shown.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cell_is_an_order_to_the_terminal() {
        let hostile = "a\u{1b}[2J\u{1b}]0;x\u{7}\r\nb\tc\u{9b}31m\u{202e}d";
        for shown in [cell(hostile), cut(hostile, 80)] {
            assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown:?}");
            assert!(shown.starts_with("a␛[2J␛]0;x␇  b c"), "{shown:?}");
        }
        assert_eq!((cut("đủ", 2), cut("đủ dài", 3)), ("đủ".into(), "đủ…".into()));
        assert_eq!(cut("\u{202e}abcdef", 4), "⟨U+…");
    }
}
