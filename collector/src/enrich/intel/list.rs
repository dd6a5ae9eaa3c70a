//! The file a list is kept in: one indicator a line, sorted by kind and value, tab-separated.
//!
//! In: indicators. Out: the same text for the same indicators, so that its hash names it. Reading a line back that is
//! none is an error with its number: nobody but us writes this file. First line: `nhatle indicators 1`.
//!
//! Columns: kind, value, confidence, first seen (seconds), until (seconds), TLP, tags, reference; empty = not said.

use std::fmt::Write as _;

use nhatle_event::{Text, Timestamp};

use super::{Indicator, Kind, Note};

const HEAD: &str = "nhatle indicators 1";

/// A line that is no indicator of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no indicator")]
pub struct ListError {
    /// From 1.
    pub line: usize,
}

/// The text of indicators, in the order given.
pub fn write<'a>(indicators: impl IntoIterator<Item = &'a Indicator>) -> String {
    let mut text = String::from(HEAD);
    text.push('\n');
    for one in indicators {
        let seconds =
            |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.0.div_euclid(1_000_000_000).to_string());
        let confidence = one.confidence.map_or_else(String::new, |confidence| confidence.to_string());
        writeln!(
            text,
            "{}\t{}\t{confidence}\t{}\t{}\t{}\t{}\t{}",
            one.kind.name(),
            plain(&one.value),
            seconds(one.first_seen),
            seconds(one.until),
            one.note.tlp,
            plain(&one.note.tags),
            plain(&one.note.reference)
        )
        .expect("writing to a string cannot go wrong");
    }
    text
}

/// Text without what ends a cell or line.
fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, " ").into(),
        false => text.into(),
    }
}

/// The indicators of a text, one by one.
///
/// # Errors
/// A line is none.
pub fn read(text: &str) -> impl Iterator<Item = Result<Indicator, ListError>> + '_ {
    let mut lines = (1..).zip(text.lines());
    let head = lines.next();
    let bad_head = (head.map(|(_, line)| line) != Some(HEAD)).then_some(Err(ListError { line: 1 }));
    let rest = if bad_head.is_some() { None } else { Some(lines) };
    bad_head.into_iter().chain(rest.into_iter().flatten().map(|(line, text)| row(text).ok_or(ListError { line })))
}

fn row(line: &str) -> Option<Indicator> {
    let mut cells = line.split('\t');
    let kind = Kind::from_name(cells.next()?)?;
    let value = Text::from(cells.next().filter(|value| !value.is_empty())?);
    let number = |cell: &str| if cell.is_empty() { Some(None) } else { cell.parse::<i64>().ok().map(Some) };
    let confidence = match number(cells.next()?)? {
        Some(confidence) => Some(u8::try_from(confidence).ok()?),
        None => None,
    };
    let moment = |seconds: Option<i64>| seconds.map(Timestamp::from_seconds);
    let (first_seen, until) = (moment(number(cells.next()?)?), moment(number(cells.next()?)?));
    let mut text = || cells.next().map(Text::from);
    let note = Note { tlp: text()?, tags: text()?, reference: text()? };
    cells.next().is_none().then_some(Indicator { kind, value, confidence, first_seen, until, note })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_as_it_was() {
        let one = Indicator {
            kind: Kind::Domain,
            value: "evil.example".into(),
            confidence: Some(85),
            first_seen: Some(Timestamp::from_seconds(1_790_000_000)),
            until: None,
            note: Note { tlp: "AMBER".into(), tags: "a, b".into(), reference: "https://example.com/x".into() },
        };
        let two = Indicator { confidence: None, note: Note::default(), value: "b.example".into(), ..one.clone() };
        let text = write([&one, &two]);
        assert_eq!(read(&text).collect::<Result<Vec<_>, _>>(), Ok(vec![one.clone(), two]));
        let torn = Indicator { note: Note { tags: "a\tb\nc".into(), ..Note::default() }, ..one };
        let read_back = read(&write([&torn])).next().expect("a line").expect("reads");
        assert_eq!(read_back.note.tags, "a b c");
        assert_eq!(read("x\n").collect::<Vec<_>>(), [Err(ListError { line: 1 })]);
        assert_eq!(
            read(&format!("{text}domain\tx\n")).filter_map(Result::err).collect::<Vec<_>>(),
            [ListError { line: 4 }]
        );
    }
}
