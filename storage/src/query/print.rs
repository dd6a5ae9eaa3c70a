//! A [`Filter`] as a line of the query language that [`super::parse`] reads back to the same tree.

use std::fmt::{self, Display, Formatter, Write};

use super::filter::{Filter, Test};
use super::pattern::{Bound, Piece, Range, Wildcard};
use super::syntax::must_be_escaped;

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All => f.write_char('*'),
            Filter::Phrase(phrase) => quote(f, &phrase.written),
            Filter::Wildcard(wildcard) => pattern(f, wildcard),
            Filter::Field(name, test) => {
                let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-@".contains(letter);
                let is_first = |letter: char| letter.is_ascii_alphabetic() || "_@".contains(letter);
                // A single letter before `:\` would read back as a drive (`C:\Windows`), so it is quoted.
                let is_drive = name.written.len() == 1;
                match !is_drive && name.written.starts_with(is_first) && name.written.chars().all(is_plain) {
                    true => f.write_str(&name.written)?,
                    false => quote(f, &name.written)?,
                }
                f.write_char(':')?;
                value(f, test)
            }
            Filter::Not(filter) => {
                f.write_str("NOT ")?;
                inner(f, filter)
            }
            Filter::And(filters) => join(f, filters, " AND "),
            Filter::Or(filters) => join(f, filters, " OR "),
        }
    }
}

fn join(f: &mut Formatter<'_>, filters: &[Filter], word: &str) -> fmt::Result {
    for (at, filter) in filters.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        inner(f, filter)?;
    }
    Ok(())
}

fn inner(f: &mut Formatter<'_>, filter: &Filter) -> fmt::Result {
    match filter {
        Filter::And(_) | Filter::Or(_) => write!(f, "({filter})"),
        single => write!(f, "{single}"),
    }
}

fn value(f: &mut Formatter<'_>, test: &Test) -> fmt::Result {
    match test {
        Test::Is(phrase) => quote(f, &phrase.written),
        Test::Wildcard(wildcard) => pattern(f, wildcard),
        Test::Expression(expression) => {
            f.write_char('/')?;
            let mut letters = expression.written.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '/' => f.write_str("\\/")?,
                    '\\' => letters.next().iter().try_for_each(|next| write!(f, "\\{next}"))?,
                    other => f.write_char(other)?,
                }
            }
            f.write_char('/')
        }
        Test::Network(network) => write!(f, "{}/{}", network.address, network.bits),
        Test::Range(Range { low, high }) => {
            f.write_char(if low.as_ref().is_none_or(|low| low.is_inside) { '[' } else { '{' })?;
            bound(f, low.as_ref())?;
            f.write_str(" TO ")?;
            bound(f, high.as_ref())?;
            f.write_char(if high.as_ref().is_none_or(|high| high.is_inside) { ']' } else { '}' })
        }
        Test::Exists => f.write_char('*'),
    }
}

fn bound(f: &mut Formatter<'_>, bound: Option<&Bound>) -> fmt::Result {
    match bound {
        Some(bound) => quote(f, &bound.written),
        None => f.write_char('*'),
    }
}

fn quote(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(letter)?;
    }
    f.write_char('"')
}

fn pattern(f: &mut Formatter<'_>, wildcard: &Wildcard) -> fmt::Result {
    for piece in &wildcard.pieces {
        match piece {
            Piece::One => f.write_char('?')?,
            Piece::Any => f.write_char('*')?,
            Piece::Literal(text) => {
                for letter in text.chars() {
                    if must_be_escaped(letter) {
                        f.write_char('\\')?;
                    }
                    f.write_char(letter)?;
                }
            }
        }
    }
    Ok(())
}
