//! `1 of selection* and not filter` in, [`Condition`] out: a nom grammar with Sigma's precedence.
//!
//! Binding, loosest first: `or`, `and`, `not`, `x of`, brackets. Operators are lower case and whole words, so
//! `notepad` is an identifier. A pipe (`| count() …`) was removed in Sigma 2 and is refused, not half-run.
//!
//! Source: Sigma rules specification 2.1.0, "Condition"; identifier characters and `any of` as pySigma 2.0.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, multispace0, multispace1};
use nom::combinator::{all_consuming, cut, map, not, peek, value, verify};
use nom::error::{ErrorKind, ParseError};
use nom::multi::{many0_count, separated_list1};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use crate::ast::{Condition, Quantifier, Selector};

/// How long a condition may be, in bytes.
pub(crate) const CONDITION_BYTES_MAX: usize = 16 * 1024;
/// How deep brackets may nest.
pub(crate) const BRACKETS_MAX: usize = 32;

/// The condition, or the byte offset and what is wrong there.
pub(crate) fn parse(text: &str) -> Result<Condition, (usize, String)> {
    if CONDITION_BYTES_MAX < text.len() {
        return Err((0, format!("the condition is longer than {CONDITION_BYTES_MAX} bytes")));
    }
    if let Some(offset) = text.find('|') {
        let reason = "aggregation after a pipe is not part of Sigma 2; write a correlation rule (event_count, value_count, temporal) instead";
        return Err((offset, reason.into()));
    }
    check_brackets(text)?;
    match all_consuming(delimited(multispace0, any, multispace0)).parse(text) {
        Ok((_, condition)) => Ok(condition),
        Err(nom::Err::Error(wrong) | nom::Err::Failure(wrong)) => Err(explain(text, wrong.rest)),
        Err(nom::Err::Incomplete(_)) => Err((text.len(), "the condition ends too early".into())),
    }
}

/// The deepest place at which the grammar gave up.
#[derive(Debug)]
struct Wrong<'a> {
    rest: &'a str,
}

impl<'a> ParseError<&'a str> for Wrong<'a> {
    fn from_error_kind(rest: &'a str, _kind: ErrorKind) -> Wrong<'a> {
        Wrong { rest }
    }

    fn append(_rest: &'a str, _kind: ErrorKind, other: Wrong<'a>) -> Wrong<'a> {
        other
    }

    fn or(self, other: Wrong<'a>) -> Wrong<'a> {
        if other.rest.len() < self.rest.len() { other } else { self }
    }
}

type Parsed<'a, T> = IResult<&'a str, T, Wrong<'a>>;

fn check_brackets(text: &str) -> Result<(), (usize, String)> {
    let mut depth = 0_usize;
    for (offset, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return Err((offset, "this `)` has no `(`".into())),
            },
            _ => {}
        }
        if BRACKETS_MAX < depth {
            return Err((offset, format!("brackets nest more than {BRACKETS_MAX} deep")));
        }
    }
    if depth == 0 { Ok(()) } else { Err((text.len(), "a `(` is not closed".into())) }
}

fn explain(text: &str, rest: &str) -> (usize, String) {
    let mut offset = text.len() - rest.trim_start().len();
    if rest.starts_with('*') {
        // The word began before its first `*`.
        let before = text[..offset].trim_end_matches(is_name_char);
        offset = before.len();
    }
    let rest = &text[offset..];
    if text.trim().is_empty() {
        return (0, "the condition is empty; write the name of a search".into());
    }
    let word: String = rest.chars().take_while(|c| !c.is_whitespace() && !matches!(c, '(' | ')')).take(40).collect();
    let reason = match word.as_str() {
        "" if rest.is_empty() => "the condition ends where the name of a search should be".into(),
        "" => "expected the name of a search, `not`, `1 of`, `all of` or brackets".into(),
        "AND" | "OR" | "NOT" | "And" | "Or" | "Not" => {
            format!("operators are lower case: write `{}`", word.to_lowercase())
        }
        word if word.contains('*') => format!("the pattern `{word}` needs `1 of` or `all of` before it"),
        "and" | "or" | "not" => {
            format!("after `{word}` must stand the name of a search, `not`, `1 of`, `all of` or brackets")
        }
        "of" => "before `of` stands `1`, `any` or `all`".into(),
        word => format!("`{word}` cannot stand here; expected `and`, `or`, the name of a search, or the end"),
    };
    (offset, reason)
}

fn any(input: &str) -> Parsed<'_, Condition> {
    map(separated_list1(delimited(multispace0, word("or"), multispace0), all), |parts| group(parts, Condition::Any))
        .parse(input)
}

fn all(input: &str) -> Parsed<'_, Condition> {
    map(separated_list1(delimited(multispace0, word("and"), multispace0), negated), |parts| {
        group(parts, Condition::All)
    })
    .parse(input)
}

fn group(mut parts: Vec<Condition>, of: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ => of(parts),
    }
}

fn negated(input: &str) -> Parsed<'_, Condition> {
    let (input, count) = many0_count(terminated(word("not"), multispace0)).parse(input)?;
    let (input, condition) = primary(input)?;
    Ok((input, if count % 2 == 0 { condition } else { Condition::Not(Box::new(condition)) }))
}

fn primary(input: &str) -> Parsed<'_, Condition> {
    alt((bracketed, quantified, map(identifier, |name| Condition::Identifier(name.to_owned())))).parse(input)
}

fn bracketed(input: &str) -> Parsed<'_, Condition> {
    preceded((char('('), multispace0), cut(terminated(any, (multispace0, char(')'))))).parse(input)
}

fn quantified(input: &str) -> Parsed<'_, Condition> {
    let quantifier = alt((value(Quantifier::One, alt((word("1"), word("any")))), value(Quantifier::All, word("all"))));
    let selector = alt((
        value(Selector::Them, word("them")),
        map(take_while1(is_pattern_char), |pattern: &str| Selector::Pattern(pattern.to_owned())),
    ));
    let of = delimited(multispace1, word("of"), multispace1);
    map((terminated(quantifier, of), cut(selector)), |(quantifier, selector)| Condition::Of(quantifier, selector))
        .parse(input)
}

fn identifier(input: &str) -> Parsed<'_, &str> {
    terminated(
        verify(take_while1(is_name_char), |name: &str| !matches!(name, "and" | "or" | "not" | "of" | "them")),
        not(peek(char('*'))),
    )
    .parse(input)
}

/// A whole word: not the front of a longer name.
fn word<'a>(expected: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = Wrong<'a>> {
    terminated(tag(expected), not(peek(take_while1(is_pattern_char))))
}

fn is_name_char(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn is_pattern_char(character: char) -> bool {
    is_name_char(character) || character == '*'
}

/// Whether a pattern with `*` anywhere matches the whole name.
pub(crate) fn pattern_matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut middle: Vec<&str> = parts.collect();
    let Some(last) = middle.pop() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
