//! Where commands write: data to standard output, everything else to standard error.

use std::io::{BufWriter, Write};

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

/// One line for the person at the terminal.
pub fn say(text: &str) {
    // Where standard error is closed nobody is there to tell.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// A value as a field of comma-separated values (RFC 4180, section 2).
pub fn csv(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// Text cut to a width in characters, for columns.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
