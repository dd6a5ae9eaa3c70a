//! Logs whose lines mean what a header above them says: Zeek's tab-separated logs, W3C extended logs (IIS).
//!
//! In: header lines one after another, as they stand between the records. Out: the [`Header`] in force, which may
//! change in the middle of a file (`#fields` again, another `#path`), and a record's values by its names. Failure: a
//! record with more or fewer values than the header names, or before any header. Source: Zeek manual, "Zeek Log
//! Formats" and the ASCII writer (`Ascii.cc`, `Formatter`); W3C "Extended Log File Format" (WD-logfile).

use std::borrow::Cow;
use std::sync::Arc;

use nhatle_event::Value;
use nhatle_event::json::Leaves;

use super::Fault;

/// How many columns a header may name.
pub const COLUMNS_MAX: usize = 512;
/// How many bytes the lines of a header may take that goes with each record.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// How many elements of a set or vector are kept.
pub const ELEMENTS_MAX: usize = 4096;

/// What the lines below it mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// A log of Zeek.
    Zeek(ZeekHeader),
    /// A W3C extended log: the names of its columns.
    W3c(Vec<String>),
}

/// The header of a Zeek log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZeekHeader {
    separator: String,
    set_separator: String,
    empty: String,
    unset: String,
    path: String,
    names: Vec<String>,
    types: Vec<String>,
}

impl Default for ZeekHeader {
    fn default() -> ZeekHeader {
        let text = str::to_owned;
        ZeekHeader {
            separator: text("\t"),
            set_separator: text(","),
            empty: text("(empty)"),
            unset: text("-"),
            path: String::new(),
            names: Vec::new(),
            types: Vec::new(),
        }
    }
}

/// Follows the header lines of a file.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    zeek: ZeekHeader,
    current: Option<Arc<Header>>,
}

impl Headers {
    /// Whether the front of a file is of such a log: its first lines are comments, and one of them is a header's.
    pub fn stand_in(front: &[u8]) -> bool {
        let front = front.strip_prefix(b"\xef\xbb\xbf").unwrap_or(front);
        let comments = front.split(|byte| *byte == b'\n').take_while(|line| line.starts_with(b"#"));
        comments.take(64).any(|line| line.starts_with(b"#separator ") || line.starts_with(b"#Fields: "))
    }

    /// The header in force; `None` = none was read yet.
    pub fn current(&self) -> Option<Arc<Header>> {
        self.current.clone()
    }

    /// Takes a line if it is a comment, and what it says.
    pub fn take(&mut self, line: &[u8]) -> bool {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.first() != Some(&b'#') {
            return false;
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if let Some(names) = text.strip_prefix("#Fields: ") {
            let names = names.split_ascii_whitespace().take(COLUMNS_MAX).map(str::to_owned).collect();
            self.current = Some(Arc::new(Header::W3c(names)));
        } else if let Some(separator) = text.strip_prefix("#separator ") {
            // A new log begins: nothing of the one before holds.
            self.zeek = ZeekHeader { separator: unescaped(separator).into_owned(), ..ZeekHeader::default() };
            self.current = None;
        } else {
            self.zeek_line(text);
        }
        true
    }

    fn zeek_line(&mut self, text: &str) {
        let separator = self.zeek.separator.clone();
        let Some((key, rest)) = text.split_once(separator.as_str()).filter(|_| !separator.is_empty()) else { return };
        let rest_text = || unescaped(rest).into_owned();
        let list = || rest.split(separator.as_str()).take(COLUMNS_MAX).map(str::to_owned).collect::<Vec<_>>();
        match key {
            "#set_separator" => self.zeek.set_separator = rest_text(),
            "#empty_field" => self.zeek.empty = rest.to_owned(),
            "#unset_field" => self.zeek.unset = rest.to_owned(),
            "#path" => self.zeek.path = rest.to_owned(),
            "#fields" => {
                self.zeek.names = list();
                self.zeek.types.clear();
            }
            "#types" => self.zeek.types = list(),
            _ => return,
        }
        if !self.zeek.names.is_empty() {
            self.current = Some(Arc::new(Header::Zeek(self.zeek.clone())));
        }
    }
}

/// The lines of the header in force, as they stand, for whoever hands the lines below it on one by one: [`HeaderLines::with`]
/// puts them before each, and [`carried`] takes them off again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderLines(Vec<Vec<u8>>);

impl HeaderLines {
    /// Takes a line if it is a comment, and keeps it where it says what other lines mean.
    pub fn take(&mut self, line: &[u8]) -> bool {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_end();
        if line.first() != Some(&b'#') {
            return false;
        }
        let is_begun = self.0.first().is_some_and(|first| key(first) == b"#separator");
        match key(line) {
            b"#Fields" | b"#separator" => self.0 = vec![line.to_vec()],
            name @ (b"#set_separator" | b"#empty_field" | b"#unset_field" | b"#path" | b"#fields" | b"#types")
                if is_begun =>
            {
                // New names have types of their own.
                self.0.retain(|held| key(held) != name && (name != b"#fields" || key(held) != b"#types"));
                self.0.push(line.to_vec());
            }
            _ => {}
        }
        if HEADER_BYTES_MAX < self.0.iter().map(|line| line.len() + 1).sum() {
            self.0.clear();
        }
        true
    }

    /// A line behind the header in force; the line alone where there is none.
    pub fn with(&self, line: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(line.len() + self.0.iter().map(|line| line.len() + 1).sum::<usize>());
        for held in &self.0 {
            bytes.extend_from_slice(held);
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        bytes
    }
}

/// `#` and the word behind it.
fn key(line: &[u8]) -> &[u8] {
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'#' | b'_');
    line.get(..line.iter().take_while(|byte| is_word(byte)).count()).unwrap_or_default()
}

/// The header and the line of a record that carries both; `None` = it is no such record.
pub fn carried(bytes: &[u8]) -> Option<(Arc<Header>, &[u8])> {
    bytes.first().filter(|first| **first == b'#')?;
    let end = memchr::memrchr(b'\n', bytes).filter(|end| *end <= HEADER_BYTES_MAX)?;
    let (lines, line) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let mut headers = Headers::default();
    let are_comments = lines.split(|byte| *byte == b'\n').all(|line| headers.take(line));
    let is_record = !line.trim_ascii().is_empty() && line.first() != Some(&b'#');
    headers.current().filter(|_| are_comments && is_record).map(|header| (header, line))
}

impl ZeekHeader {
    /// The header of a log with Zeek's default separators.
    pub(super) fn of(path: &str, columns: impl Iterator<Item = (&'static str, &'static str)>) -> ZeekHeader {
        let (names, types) = columns.map(|(name, kind)| (name.to_owned(), kind.to_owned())).unzip();
        ZeekHeader { path: path.to_owned(), names, types, ..ZeekHeader::default() }
    }

    /// The record as Zeek's JSON writer would give it: unset values are not there, an empty set is an empty list.
    ///
    /// # Errors
    /// The line has not as many values as the header names.
    pub fn leaves(&self, line: &str) -> Result<Leaves, Fault> {
        let count = line.split(self.separator.as_str()).take(COLUMNS_MAX + 1).count();
        if count != self.names.len() {
            let reason = if count < self.names.len() {
                "zeek: fewer values than #fields"
            } else {
                "zeek: more values than #fields"
            };
            return Err(Fault::new(reason, line.len()));
        }
        let mut leaves: Leaves = Vec::with_capacity(count + 1);
        if !self.path.is_empty() {
            leaves.push(("_path".into(), Value::from(self.path.as_str())));
        }
        for (at, (name, cell)) in self.names.iter().zip(line.split(self.separator.as_str())).enumerate() {
            if let Some(value) = self.value(self.types.get(at).map_or("string", String::as_str), cell) {
                leaves.push((name.as_str().into(), value));
            }
        }
        Ok(leaves)
    }

    fn value(&self, kind: &str, cell: &str) -> Option<Value> {
        if cell == self.unset {
            return None;
        }
        let element =
            kind.strip_suffix(']').and_then(|kind| kind.strip_prefix("set[").or_else(|| kind.strip_prefix("vector[")));
        let Some(element) = element else {
            return Some(if cell == self.empty { Value::from("") } else { scalar(kind, cell) });
        };
        if cell == self.empty {
            return Some(Value::List(Vec::new()));
        }
        // One element alone is a value, as the JSON reader has it.
        let cells = cell.split(self.set_separator.as_str()).take(ELEMENTS_MAX).filter(|cell| *cell != self.unset);
        let mut values: Vec<Value> = cells.map(|cell| scalar(element, cell)).collect();
        if values.len() == 1 { values.pop() } else { Some(Value::List(values)) }
    }
}

/// A cell in the type that the header gives; what does not fit stays text.
fn scalar(kind: &str, cell: &str) -> Value {
    let typed = match kind {
        "bool" => match cell {
            "T" => Some(Value::Boolean(true)),
            "F" => Some(Value::Boolean(false)),
            _ => None,
        },
        "count" | "int" | "port" => cell.parse().ok().map(Value::Long),
        "double" | "interval" | "time" => {
            cell.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Double)
        }
        _ => None,
    };
    typed.unwrap_or_else(|| Value::from(&*unescaped(cell)))
}

/// Zeek's escapes undone: `\\`, `\x09`. Bytes that are no UTF-8 stay as they were escaped, as in Zeek's JSON.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, after.first()) {
            (b'\\', Some(b'\\')) => {
                bytes.push(b'\\');
                rest = &after[1..];
            }
            (b'\\', Some(b'x')) if hex(1).is_some() && hex(2).is_some() => {
                let byte = u8::try_from(hex(1).unwrap_or_default() * 16 + hex(2).unwrap_or_default()).unwrap_or(b'?');
                // Control characters stay escaped, but those that JSON has an escape for.
                match byte {
                    0x00..=0x07 | 0x0b | 0x0e..=0x1f | 0x7f => {
                        bytes.extend_from_slice(format!("\\x{byte:02x}").as_bytes())
                    }
                    byte => bytes.push(byte),
                }
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(shown)
}

/// The values of a line of a W3C extended log by their names. Values stand between spaces; a value that the header
/// promises in quotes is not IIS's way, `+` stands for spaces there.
///
/// # Errors
/// The line has not as many values as the header names.
pub fn w3c<'a>(names: &'a [String], line: &'a str) -> Result<Vec<(&'a str, &'a str)>, Fault> {
    let values: Vec<&str> = line.split([' ', '\t']).filter(|value| !value.is_empty()).take(COLUMNS_MAX + 1).collect();
    if values.len() != names.len() {
        let reason =
            if values.len() < names.len() { "iis: fewer values than #Fields" } else { "iis: more values than #Fields" };
        return Err(Fault::new(reason, line.len()));
    }
    Ok(names.iter().map(String::as_str).zip(values).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &[&str]) -> Vec<Leaves> {
        let mut headers = Headers::default();
        let mut records = Vec::new();
        for line in lines {
            if !headers.take(line.as_bytes())
                && let Some(header) = headers.current()
                && let Header::Zeek(header) = &*header
            {
                records.extend(header.leaves(line));
            }
        }
        records
    }

    fn shown(leaves: &Leaves, name: &str) -> String {
        leaves.iter().find(|(known, _)| known == name).map_or("(absent)".into(), |(_, value)| format!("{value:?}"))
    }

    #[test]
    fn types_sets_unset_and_empty() {
        let records = read(&[
            "#separator \\x09",
            "#set_separator\t,",
            "#empty_field\t(empty)",
            "#unset_field\t-",
            "#path\tx",
            "#fields\tts\ta\tb\tc\td\te\tf",
            "#types\ttime\tcount\tbool\tset[string]\tvector[interval]\tstring\tset[addr]",
            "1.5\t7\tT\ta\\x2cb,c\t0.5,2.0\t\\x2d\t(empty)",
            "1.5\t-\tx\t-\t-\ttab\\x09\\\\ \\xc3\\xa9 \\xff\t-",
        ]);
        assert_eq!(shown(&records[0], "_path"), "Text(\"x\")");
        assert_eq!(shown(&records[0], "ts"), "Double(1.5)");
        assert_eq!(shown(&records[0], "b"), "Boolean(true)");
        assert_eq!(shown(&records[0], "c"), "List([Text(\"a,b\"), Text(\"c\")])");
        assert_eq!(shown(&records[0], "d"), "List([Double(0.5), Double(2.0)])");
        assert_eq!(shown(&records[0], "e"), "Text(\"-\")");
        assert_eq!(shown(&records[0], "f"), "List([])");
        assert_eq!(shown(&records[1], "a"), "(absent)");
        assert_eq!(shown(&records[1], "b"), "Text(\"x\")");
        assert_eq!(shown(&records[1], "e"), "Text(\"tab\\t\\\\ é \\\\xff\")");
    }

    #[test]
    fn the_header_may_change_and_other_separators_are_read() {
        let records = read(&[
            "#separator \\x7c",
            "#set_separator|;",
            "#path|a",
            "#fields|x|y",
            "#types|count|set[count]",
            "1|2;3",
            "#close|now",
            "#fields|y",
            "#types|string",
            "z",
            "#separator \\x09",
            "#path\tb",
            "#fields\tq",
            "w",
        ]);
        assert_eq!(shown(&records[0], "y"), "List([Long(2), Long(3)])");
        assert_eq!(
            (shown(&records[1], "y"), shown(&records[1], "_path")),
            ("Text(\"z\")".into(), "Text(\"a\")".into())
        );
        assert_eq!(
            (shown(&records[2], "q"), shown(&records[2], "_path")),
            ("Text(\"w\")".into(), "Text(\"b\")".into())
        );
        assert_eq!(records.len(), 3);
    }

    #[test]
    fn another_number_of_values_is_a_fault() {
        let header = ZeekHeader { names: vec!["a".into(), "b".into()], ..ZeekHeader::default() };
        assert_eq!(header.leaves("1").expect_err("few").reason, "zeek: fewer values than #fields");
        assert_eq!(header.leaves("1\t2\t3").expect_err("many").reason, "zeek: more values than #fields");
        let names = ["date".to_owned(), "time".to_owned()];
        assert!(w3c(&names, "a").is_err() && w3c(&names, "a b c").is_err());
        assert_eq!(w3c(&names, "a b").expect("fits"), [("date", "a"), ("time", "b")]);
    }

    #[test]
    fn a_header_goes_with_each_line_and_comes_off_again() {
        let lines = [
            "#separator \\x09",
            "#set_separator\t,",
            "#empty_field\t(empty)",
            "#unset_field\t-",
            "#path\tx",
            "#open\t2026-11-23-09-10-00",
            "#fields\ta\tb",
            "#types\tcount\tstring",
            "1\ty",
            "#fields\tb",
            "z",
            "#separator \\x7c",
            "#fields|q",
            "w",
            "#Software: Microsoft Internet Information Services 10.0",
            "#Fields: date time",
            "2026-11-23 02:10:00",
        ];
        let (mut plain, mut held, mut count) = (Headers::default(), HeaderLines::default(), 0);
        for line in lines {
            let is_comment = plain.take(line.as_bytes());
            assert_eq!(held.take(line.as_bytes()), is_comment, "{line}");
            if !is_comment {
                let record = held.with(line.as_bytes());
                let (header, found) = carried(&record).expect("carries its header");
                assert_eq!((Some(header), found), (plain.current(), line.as_bytes()));
                count += 1;
            }
        }
        assert_eq!(count, 4);
        assert_eq!(HeaderLines::default().with(b"x"), b"x");
        let long = format!("#Fields: {}", "a ".repeat(HEADER_BYTES_MAX));
        assert!(held.take(long.as_bytes()) && held.with(b"x") == b"x", "a header without end is none");
        for none in ["x", "#Fields: a", "#Fields: a\n", "#Fields: a\n#b", "#Fields: a\nx\ny", "# a\nx", "#\n\n"] {
            assert!(carried(none.as_bytes()).is_none(), "{none}");
        }
    }

    #[test]
    fn logs_with_headers_are_known() {
        assert!(Headers::stand_in(b"### made by a test\n#separator \\x09\n"));
        assert!(Headers::stand_in(
            b"#Software: Microsoft Internet Information Services 10.0\r\n#Fields: date time\r\n"
        ));
        assert!(!Headers::stand_in(b"# a comment\nx\n#separator \\x09\n"));
    }

    proptest! {
        #[test]
        fn any_lines_are_read_or_refused(lines in proptest::collection::vec("#?(separator |fields\t|types\t|path\t)?[a-z\\\\x0-9\t,|é]{0,30}", 0..20)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let _ = read(&lines);
        }
    }
}
